"""Padding by replication: the edge's own entries go on: 0 0 | 0 1 2 | 2 2."""

from __future__ import annotations

from typing import ClassVar

from .constant_pad import Pad


class _ReplicationPad(Pad):
    """Padding by replication for any number of axes; the classes below state it for each."""

    mode: ClassVar[str] = "replicate"
    crops_first: ClassVar[bool] = False
    needs: ClassVar[str] = "one entry that stays"

    def _fits(self, size: int, more: tuple[int, int], less: tuple[int, int]) -> bool:
        """Tell whether an axis of this size can be padded so."""
        return sum(more) + size > sum(less)


class ReplicationPad1d(_ReplicationPad):
    """Repeats the edges of a signal; a copy's gradient adds to that of its source.

    Args:
        padding: (before, after); one integer for both. A negative one takes entries away.

    Shape:
        Input (N, C, L) or (C, L), output the same with each axis longer by its two widths.

    Raises:
        TypeError: for widths that are no integers.
        ValueError: for another count of widths, or an input of which nothing stays.

    Example:
        >>> ReplicationPad1d(2)([[1.0, 2.0, 3.0]])
        array([[1., 1., 1., 2., 3., 3., 3.]])
    """

    dims: ClassVar[int] = 1
    equations = """
        W = x.shape[-1]
        i = range(W + p[0] + p[1])
        a[i] = minimum(maximum(i - p[0], 0), W - 1)
        y[..., i] = x[..., a[i]]
        dx[..., a[i]] += dy[..., i]
    """


class ReplicationPad2d(_ReplicationPad):
    """Repeats the edges of an image; a copy's gradient adds to that of its source.

    Args:
        padding: (left, right, top, bottom); one integer for all. A negative one takes entries away.

    Shape:
        Input (N, C, H, W) or (C, H, W), output the same with each axis longer by its two widths.

    Raises:
        TypeError: for widths that are no integers.
        ValueError: for another count of widths, or an input of which nothing stays.

    Example:
        >>> ReplicationPad2d((1, 0, 0, 0))([[[1.0, 2.0], [3.0, 4.0]]])
        array([[[1., 1., 2.],
                [3., 3., 4.]]])
    """

    dims: ClassVar[int] = 2
    equations = """
        H, W = x.shape[-2], x.shape[-1]
        i, j = range(H + p[2] + p[3]), range(W + p[0] + p[1])
        a[i] = minimum(maximum(i - p[2], 0), H - 1)
        b[j] = minimum(maximum(j - p[0], 0), W - 1)
        y[..., i, j] = x[..., a[i], b[j]]
        dx[..., a[i], b[j]] += dy[..., i, j]
    """


class ReplicationPad3d(_ReplicationPad):
    """Repeats the edges of a volume; a copy's gradient adds to that of its source.

    Args:
        padding: (left, right, top, bottom, front, back); one integer for all. A negative one takes entries away.

    Shape:
        Input (N, C, D, H, W) or (C, D, H, W), output the same with each axis longer by its two widths.

    Raises:
        TypeError: for widths that are no integers.
        ValueError: for another count of widths, or an input of which nothing stays.

    Example:
        >>> import numpy as np
        >>> ReplicationPad3d(1)(np.zeros((2, 3, 4, 5, 6))).shape
        (2, 3, 6, 7, 8)
    """

    dims: ClassVar[int] = 3
    equations = """
        T, H, W = x.shape[-3], x.shape[-2], x.shape[-1]
        i, j, l = range(T + p[4] + p[5]), range(H + p[2] + p[3]), range(W + p[0] + p[1])
        a[i] = minimum(maximum(i - p[4], 0), T - 1)
        b[j] = minimum(maximum(j - p[2], 0), H - 1)
        c[l] = minimum(maximum(l - p[0], 0), W - 1)
        y[..., i, j, l] = x[..., a[i], b[j], c[l]]
        dx[..., a[i], b[j], c[l]] += dy[..., i, j, l]
    """
