"""Padding with one value: more entries at the edges of an image, or fewer where a width is negative."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..module import short_repr
from ..settings import integers, number
from .spatial import AXES, Spatial
from .window import crop, pad, pad_backward

Widths = list[tuple[int, int]]


class Pad(Spatial):
    """What all padding shares, for any number of axes.

    Attributes:
        mode: what the new entries are, as `pad` has it.
        value: what 'zeros' fills in.
        crops_first: whether negative widths take entries away before others are added, or after that.
        needs: what an input must have.
    """

    symbols: ClassVar = {"p": "padding"}
    mode: ClassVar[str] = "zeros"
    value: float = 0.0
    crops_first: ClassVar[bool] = True
    needs: ClassVar[str] = "as many entries as negative widths take away"

    def __init__(self, padding: int | Sequence[int]) -> None:
        self.padding = integers(self, "padding", padding, 2 * self.dims)

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.images(x)
        more, less = self._widths()
        sizes = x.shape[-self.dims :]
        if not all(map(self._fits, sizes, more, less)):
            raise ValueError(
                f"{short_repr(self)} expects an input with {self.needs}, got {sizes} for {AXES[self.dims]}"
            )
        if self.crops_first:
            y = pad(crop(x, less), more, self.mode, self.value)
        else:
            y = crop(pad(x, more, self.mode), less)
        self.save_for_backward(output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        self.saved()
        more, less = self._widths()
        if self.crops_first:
            return pad(pad_backward(g, more, self.mode), less)
        return pad_backward(pad(g, less), more, self.mode)

    def _fits(self, size: int, more: tuple[int, int], less: tuple[int, int]) -> bool:
        """Tell whether an axis of this size can be padded so."""
        return sum(less) <= size

    def _widths(self) -> tuple[Widths, Widths]:
        """Return what to add before and after each axis, and what to take away; `padding` begins with the last axis."""
        pairs = list(zip(self.padding[::2], self.padding[1::2], strict=True))[::-1]
        return [(max(a, 0), max(b, 0)) for a, b in pairs], [(max(-a, 0), max(-b, 0)) for a, b in pairs]


class _ConstantPad(Pad):
    """Padding with one value for any number of axes; the classes below state it for each."""

    symbols: ClassVar = {"p": "padding", "v": "value"}

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = number(self, "value", value)

    def images(self, value: ArrayLike) -> np.ndarray:
        """Return an input as an array; it may have any axes before the last ones, and empty ones."""
        return self.cast(value, None, (..., *AXES[self.dims].split(", ")))


class _ZeroPad(Pad):
    """Padding with zeros for any number of axes; the classes below state it for each."""

    images = _ConstantPad.images


class ConstantPad1d(_ConstantPad):
    """Puts entries of one value around a signal; their gradient is dropped.

    Args:
        padding: (before, after); one integer for both. A negative one takes entries away.
        value: of the new entries.

    Shape:
        Input (..., L), output (..., L'), each axis longer by its two widths.

    Raises:
        TypeError: for widths that are no integers, or a value that is no number.
        ValueError: for another count of widths, or an input with less entries than are taken away.

    Example:
        >>> ConstantPad1d((1, 2), 7.0)([1.0, 2.0])
        array([7., 1., 2., 7., 7.])
        >>> ConstantPad1d((-1, 1), 7.0)([1.0, 2.0])
        array([2., 7.])
    """

    dims: ClassVar[int] = 1
    equations = """
        y = pad(x, ((p[0], p[1]),), v)
        dx = crop(dy, ((p[0], p[1]),))
    """


class ConstantPad2d(_ConstantPad):
    """Puts entries of one value around an image; their gradient is dropped.

    Args:
        padding: (left, right, top, bottom); one integer for all. A negative one takes entries away.
        value: of the new entries.

    Shape:
        Input (..., H, W), output (..., H', W'), each axis longer by its two widths.

    Raises:
        TypeError: for widths that are no integers, or a value that is no number.
        ValueError: for another count of widths, or an input with less entries than are taken away.

    Example:
        >>> ConstantPad2d((1, 0, 0, 0), 7.0)([[1.0], [2.0]])
        array([[7., 1.],
               [7., 2.]])
    """

    dims: ClassVar[int] = 2
    equations = """
        y = pad(x, ((p[2], p[3]), (p[0], p[1])), v)
        dx = crop(dy, ((p[2], p[3]), (p[0], p[1])))
    """


class ConstantPad3d(_ConstantPad):
    """Puts entries of one value around a volume; their gradient is dropped.

    Args:
        padding: (left, right, top, bottom, front, back); one integer for all. A negative one takes entries away.
        value: of the new entries.

    Shape:
        Input (..., D, H, W), output (..., D', H', W'), each axis longer by its two widths.

    Raises:
        TypeError: for widths that are no integers, or a value that is no number.
        ValueError: for another count of widths, or an input with less entries than are taken away.

    Example:
        >>> ConstantPad3d(1, 7.0)(np.zeros((2, 3, 4, 5, 6))).shape
        (2, 3, 6, 7, 8)
    """

    dims: ClassVar[int] = 3
    equations = """
        y = pad(x, ((p[4], p[5]), (p[2], p[3]), (p[0], p[1])), v)
        dx = crop(dy, ((p[4], p[5]), (p[2], p[3]), (p[0], p[1])))
    """


class ZeroPad1d(_ZeroPad):
    """Puts zeros around a signal; their gradient is dropped.

    Args:
        padding: (before, after); one integer for both. A negative one takes entries away.

    Shape:
        Input (..., L), output (..., L'), each axis longer by its two widths.

    Raises:
        TypeError: for widths that are no integers.
        ValueError: for another count of widths, or an input with less entries than are taken away.

    Example:
        >>> ZeroPad1d(1)([1.0, 2.0])
        array([0., 1., 2., 0.])
    """

    dims: ClassVar[int] = 1
    equations = """
        y = pad(x, ((p[0], p[1]),))
        dx = crop(dy, ((p[0], p[1]),))
    """


class ZeroPad2d(_ZeroPad):
    """Puts zeros around an image; their gradient is dropped.

    Args:
        padding: (left, right, top, bottom); one integer for all. A negative one takes entries away.

    Shape:
        Input (..., H, W), output (..., H', W'), each axis longer by its two widths.

    Raises:
        TypeError: for widths that are no integers.
        ValueError: for another count of widths, or an input with less entries than are taken away.

    Example:
        >>> ZeroPad2d((1, 0, 0, 0))([[1.0], [2.0]])
        array([[0., 1.],
               [0., 2.]])
    """

    dims: ClassVar[int] = 2
    equations = """
        y = pad(x, ((p[2], p[3]), (p[0], p[1])))
        dx = crop(dy, ((p[2], p[3]), (p[0], p[1])))
    """


class ZeroPad3d(_ZeroPad):
    """Puts zeros around a volume; their gradient is dropped.

    Args:
        padding: (left, right, top, bottom, front, back); one integer for all. A negative one takes entries away.

    Shape:
        Input (..., D, H, W), output (..., D', H', W'), each axis longer by its two widths.

    Raises:
        TypeError: for widths that are no integers.
        ValueError: for another count of widths, or an input with less entries than are taken away.

    Example:
        >>> ZeroPad3d(1)(np.zeros((2, 3, 4, 5, 6))).shape
        (2, 3, 6, 7, 8)
    """

    dims: ClassVar[int] = 3
    equations = """
        y = pad(x, ((p[4], p[5]), (p[2], p[3]), (p[0], p[1])))
        dx = crop(dy, ((p[4], p[5]), (p[2], p[3]), (p[0], p[1])))
    """
