"""Circular padding: what leaves at one edge comes in at the other: 1 2 | 0 1 2 | 0 1."""

from __future__ import annotations

from typing import ClassVar

from .constant_pad import Pad


class _CircularPad(Pad):
    """Circular padding for any number of axes; the classes below state it for each."""

    mode: ClassVar[str] = "circular"
    needs: ClassVar[str] = "at least as many entries left, after what is taken away, as are added on a side"

    def _fits(self, size: int, more: tuple[int, int], less: tuple[int, int]) -> bool:
        """Tell whether an axis of this size can be padded so."""
        return 1 <= size - sum(less) >= max(more)


class CircularPad1d(_CircularPad):
    """Wraps a signal around its edges; a copy's gradient adds to that of its source.

    Args:
        padding: (before, after); one integer for both. A negative one takes entries away.

    Shape:
        Input (N, C, L) or (C, L), output the same with each axis longer by its two widths.

    Raises:
        TypeError: for widths that are no integers.
        ValueError: for another count of widths, or an input too small for that.

    Example:
        >>> CircularPad1d(2)([[1.0, 2.0, 3.0]])
        array([[2., 3., 1., 2., 3., 1., 2.]])
    """

    dims: ClassVar[int] = 1
    equations = """
        W = x.shape[-1]
        i = range(W + p[0] + p[1])
        m = W + minimum(p[0], 0) + minimum(p[1], 0)
        a[i] = (i - p[0]) % m if p[0] >= 0 else i % m - p[0]
        y[..., i] = x[..., a[i]]
        dx[..., a[i]] += dy[..., i]
    """


class CircularPad2d(_CircularPad):
    """Wraps an image around its edges; a copy's gradient adds to that of its source.

    Args:
        padding: (left, right, top, bottom); one integer for all. A negative one takes entries away.

    Shape:
        Input (N, C, H, W) or (C, H, W), output the same with each axis longer by its two widths.

    Raises:
        TypeError: for widths that are no integers.
        ValueError: for another count of widths, or an input too small for that.

    Example:
        >>> CircularPad2d((1, 0, 0, 0))([[[1.0, 2.0], [3.0, 4.0]]])
        array([[[2., 1., 2.],
                [4., 3., 4.]]])
    """

    dims: ClassVar[int] = 2
    equations = """
        H, W = x.shape[-2], x.shape[-1]
        i = range(H + p[2] + p[3])
        j = range(W + p[0] + p[1])
        m = H + minimum(p[2], 0) + minimum(p[3], 0)
        a[i] = (i - p[2]) % m if p[2] >= 0 else i % m - p[2]
        n = W + minimum(p[0], 0) + minimum(p[1], 0)
        b[j] = (j - p[0]) % n if p[0] >= 0 else j % n - p[0]
        y[..., i, j] = x[..., a[i], b[j]]
        dx[..., a[i], b[j]] += dy[..., i, j]
    """


class CircularPad3d(_CircularPad):
    """Wraps a volume around its edges; a copy's gradient adds to that of its source.

    Args:
        padding: (left, right, top, bottom, front, back); one integer for all. A negative one takes entries away.

    Shape:
        Input (N, C, D, H, W) or (C, D, H, W), output the same with each axis longer by its two widths.

    Raises:
        TypeError: for widths that are no integers.
        ValueError: for another count of widths, or an input too small for that.

    Example:
        >>> import numpy as np
        >>> CircularPad3d(1)(np.zeros((2, 3, 4, 5, 6))).shape
        (2, 3, 6, 7, 8)
    """

    dims: ClassVar[int] = 3
    equations = """
        T, H, W = x.shape[-3], x.shape[-2], x.shape[-1]
        i = range(T + p[4] + p[5])
        j = range(H + p[2] + p[3])
        l = range(W + p[0] + p[1])
        m = T + minimum(p[4], 0) + minimum(p[5], 0)
        a[i] = (i - p[4]) % m if p[4] >= 0 else i % m - p[4]
        n = H + minimum(p[2], 0) + minimum(p[3], 0)
        b[j] = (j - p[2]) % n if p[2] >= 0 else j % n - p[2]
        o = W + minimum(p[0], 0) + minimum(p[1], 0)
        c[l] = (l - p[0]) % o if p[0] >= 0 else l % o - p[0]
        y[..., i, j, l] = x[..., a[i], b[j], c[l]]
        dx[..., a[i], b[j], c[l]] += dy[..., i, j, l]
    """
