"""Whole arrays by their entries: sums along axes, products of matrices, numbers spread over a shape."""

from __future__ import annotations

import math
from typing import Any

from .entries import Entries, elementwise
from .expression import Expression, LoweringError, Number, as_expression, operation, reduced


def negative(value: Expression) -> Expression:
    if isinstance(value, Number) and isinstance(value.value, int | float):
        return as_expression(-value.value)
    return operation("neg", value)


def spread(value: Entries, shape: tuple[int, ...]) -> Entries:
    """Return a number as an array of some shape, and an array as it is."""
    return value if value.shape == shape else Entries(shape, lambda *i: value.aligned(i))


def axes_of(axis: Any, ndim: int) -> list[int]:
    """Return the axes of a reduction; None stands for all."""
    each = range(ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    return sorted(int(a) % max(ndim, 1) for a in each) if ndim else []


def along(name: str, x: Entries, axes: list[int], keepdims: bool) -> Entries:
    """Return a sum, mean, maximum or minimum along axes."""
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    sizes = [x.shape[axis] for axis in axes]
    shape = [1 if a in axes else x.shape[a] for a in range(x.ndim)] if keepdims else [x.shape[a] for a in kept]
    count = math.prod(sizes)

    def at(*indices: Expression) -> Expression:
        own = [indices[axis] for axis in kept] if keepdims else indices

        def body(*rest: Expression) -> Expression:
            places = {**dict(zip(kept, own, strict=True)), **dict(zip(axes, rest, strict=True))}
            return x.at(*(places[axis] for axis in range(x.ndim)))

        if not axes:
            return body()
        total = reduced("sum" if name == "mean" else name, sizes, body)
        return operation("/", total, count) if name == "mean" else total

    return Entries(shape, at)


def product(a: Entries, b: Entries) -> Entries:
    """Return a @ b, as NumPy has it."""
    if a.ndim == 1:
        row = product(a.moved((1, *a.shape), lambda _, k: (k,)), b)
        axis = row.ndim - 1 if b.ndim == 1 else row.ndim - 2
        return _without_axis(row, max(axis, 0))
    if b.ndim == 1:
        column = product(a, b.moved((*b.shape, 1), lambda k, _: (k,)))
        return _without_axis(column, column.ndim - 1)
    inner = a.shape[-1]
    if inner != b.shape[-2]:
        raise LoweringError(f"a product of shapes {a.shape} and {b.shape}")
    front = elementwise(lambda x, y: x, _front(a), _front(b)).shape

    def at(*indices: Expression) -> Expression:
        *leading, i, j = indices

        def term(k: Expression) -> Expression:
            return operation("*", _at(a, leading, i, k), _at(b, leading, k, j))

        return reduced("sum", [inner], term)

    return Entries((*front, a.shape[-2], b.shape[-1]), at)


def _front(x: Entries) -> Entries:
    return Entries(x.shape[:-2], lambda *i: Number(0))


def _at(x: Entries, leading: list[Expression], i: Expression, j: Expression) -> Expression:
    """Return an entry of a stack of matrices, the stack broadcast."""
    own = leading[len(leading) - (x.ndim - 2) :]
    return x.at(*(Number(0) if size == 1 else k for k, size in zip(own, x.shape, strict=False)), i, j)


def _without_axis(x: Entries, axis: int) -> Entries:
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    return Entries(shape, lambda *i: x.at(*i[:axis], Number(0), *i[axis:]))
