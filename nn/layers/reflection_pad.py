"""Padding by reflection: the edge is a mirror, and what is on it stands once: 2 1 | 0 1 2 | 1 0."""

from __future__ import annotations

from typing import ClassVar

from .constant_pad import Pad


class _ReflectionPad(Pad):
    """Padding by reflection for any number of axes; the classes below state it for each."""

    mode: ClassVar[str] = "reflect"
    crops_first: ClassVar[bool] = False
    needs: ClassVar[str] = "more entries than are added on a side, and one that stays"

    def _fits(self, size: int, more: tuple[int, int], less: tuple[int, int]) -> bool:
        """Tell whether an axis of this size can be padded so."""
        return max(more) < size and sum(more) + size > sum(less)


class ReflectionPad1d(_ReflectionPad):
    """Mirrors a signal at its edges, whose own entries are not repeated; a copy's gradient adds to that of its source.

    Args:
        padding: (before, after); one integer for both. A negative one takes entries away.

    Shape:
        Input (N, C, L) or (C, L), output the same with each axis longer by its two widths.

    Raises:
        TypeError: for widths that are no integers.
        ValueError: for another count of widths, or an input too small for that.

    Example:
        >>> ReflectionPad1d(2)([[1.0, 2.0, 3.0]])
        array([[3., 2., 1., 2., 3., 2., 1.]])
    """

    dims: ClassVar[int] = 1
    equations = """
        W = x.shape[-1]
        i = range(W + p[0] + p[1])
        a[i] = W - 1 - abs(W - 1 - abs(i - p[0]))
        y[..., i] = x[..., a[i]]
        dx[..., a[i]] += dy[..., i]
    """


class ReflectionPad2d(_ReflectionPad):
    """Mirrors an image at its edges, whose own entries are not repeated; a copy's gradient adds to that of its source.

    Args:
        padding: (left, right, top, bottom); one integer for all. A negative one takes entries away.

    Shape:
        Input (N, C, H, W) or (C, H, W), output the same with each axis longer by its two widths.

    Raises:
        TypeError: for widths that are no integers.
        ValueError: for another count of widths, or an input too small for that.

    Example:
        >>> ReflectionPad2d((1, 0, 0, 0))([[[1.0, 2.0], [3.0, 4.0]]])
        array([[[2., 1., 2.],
                [4., 3., 4.]]])
    """

    dims: ClassVar[int] = 2
    equations = """
        H, W = x.shape[-2], x.shape[-1]
        i, j = range(H + p[2] + p[3]), range(W + p[0] + p[1])
        a[i] = H - 1 - abs(H - 1 - abs(i - p[2]))
        b[j] = W - 1 - abs(W - 1 - abs(j - p[0]))
        y[..., i, j] = x[..., a[i], b[j]]
        dx[..., a[i], b[j]] += dy[..., i, j]
    """


class ReflectionPad3d(_ReflectionPad):
    """Mirrors a volume at its edges, whose own entries are not repeated; a copy's gradient adds to that of its source.

    Args:
        padding: (left, right, top, bottom, front, back); one integer for all. A negative one takes entries away.

    Shape:
        Input (N, C, D, H, W) or (C, D, H, W), output the same with each axis longer by its two widths.

    Raises:
        TypeError: for widths that are no integers.
        ValueError: for another count of widths, or an input too small for that.

    Example:
        >>> import numpy as np
        >>> ReflectionPad3d(1)(np.zeros((2, 3, 4, 5, 6))).shape
        (2, 3, 6, 7, 8)
    """

    dims: ClassVar[int] = 3
    equations = """
        T, H, W = x.shape[-3], x.shape[-2], x.shape[-1]
        i, j, l = range(T + p[4] + p[5]), range(H + p[2] + p[3]), range(W + p[0] + p[1])
        a[i] = T - 1 - abs(T - 1 - abs(i - p[4]))
        b[j] = H - 1 - abs(H - 1 - abs(j - p[2]))
        c[l] = W - 1 - abs(W - 1 - abs(l - p[0]))
        y[..., i, j, l] = x[..., a[i], b[j], c[l]]
        dx[..., a[i], b[j], c[l]] += dy[..., i, j, l]
    """
