"""Arrays that are given by their entries: a shape, and the expression that stands at some indices."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .expression import Expression, Load, Number, as_expression, operation


class Entries:
    """An array that is given by its entries.

    Args:
        shape: its sizes.
        at: the entry at some indices, as many as there are axes.
        array: the array in memory whose entries these are, in its order; "" for what is computed.
    """

    def __init__(self, shape: Sequence[int], at: Callable[..., Expression], array: str = "") -> None:
        self.shape = tuple(map(int, shape))
        self.at = at
        self.array = array

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of entries."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    def reshape(self, shape: Sequence[int]) -> Entries:
        """Return the same entries, in their order, as an array of another shape."""
        if self.array:
            return loaded(self.array, shape, self.at(*[Number(0)] * self.ndim).is_real)

        def at(*indices: Expression) -> Expression:
            place = as_expression(0)
            for i, size in zip(indices, shape, strict=True):
                place = place * size + i
            places: list[Expression] = []
            for size in reversed(self.shape):
                places.insert(0, place % size)
                place = place // size
            return self.at(*places)

        return Entries(shape, at)

    def moved(self, shape: Sequence[int], source: Callable[..., Sequence[Expression]]) -> Entries:
        """Return an array whose entries at some indices are the entries here at `source(*indices)`."""
        return Entries(shape, lambda *i: self.at(*source(*i)))

    def aligned(self, indices: Sequence[Expression]) -> Expression:
        """Return the entry that meets the one at `indices` of an array that this one is broadcast to."""
        own = indices[len(indices) - self.ndim :]
        return self.at(*(Number(0) if size == 1 else i for i, size in zip(own, self.shape, strict=True)))

    @staticmethod
    def chosen(test: Expression, inside: Expression, outside: Expression | float) -> Expression:
        """Return `inside` where a test holds and `outside` elsewhere."""
        return operation("where", test, inside, outside)


def loaded(array: str, shape: Sequence[int], is_real: bool = True) -> Entries:
    """Return the array of the entries of an array in memory."""
    sizes = tuple(map(int, shape))
    return Entries(sizes, lambda *i: Load(array, sizes, i, is_real), array)


def scalar(value: Expression | float) -> Entries:
    """Return an array of no axes."""
    entry = as_expression(value)
    return Entries((), lambda: entry)


def elementwise(function: Callable[..., Expression], *arrays: Entries) -> Entries:
    """Return the array of a function of entries, the arrays broadcast."""
    ndim = max(each.ndim for each in arrays)
    shape = []
    for axis in range(-ndim, 0):
        sizes = {each.shape[axis] for each in arrays if each.ndim >= -axis} - {1}
        shape.append(sizes.pop() if sizes else 1)
    return Entries(shape, lambda *i: function(*(each.aligned(i) for each in arrays)))
