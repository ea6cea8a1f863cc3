"""Windows over the last axes of an array: what convolution, pooling and unfolding slide, and how edges are padded.

Whatever cuts windows out has the function beside it that carries a gradient back.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}  # PyTorch's words and NumPy's


def window_count(size: int, kernel: int, stride: int, dilation: int = 1) -> int:
    """Return how many windows lie wholly inside an axis; fewer than one where not even the first does.

    Example:
        >>> window_count(7, kernel=3, stride=2)
        3
    """
    return (size - dilation * (kernel - 1) - 1) // stride + 1


class Windows(NamedTuple):
    """Where windows lie on an image.

    Attributes:
        widths: how far they reach over its edges, by (before, after) an axis: what to pad it with.
        counts: how many there are along each axis.
        overlap: whether two windows may share an entry.
        places: the subscripts of the padded image that give the first entries of all windows, the second ones, ...
    """

    widths: list[tuple[int, int]]
    counts: tuple[int, ...]
    overlap: bool
    places: list[Any]


def slide(
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool = False,
) -> Windows:
    """Return the windows over an image, one number an axis in each argument; counts below one where none fits.

    Args:
        sizes: of the image.
        kernel: the sizes of a window.
        stride: the steps from one to the next.
        padding: how many entries more there are on both sides of the image.
        dilation: the steps from one entry of a window to the next.
        ceil_mode: whether a last window may hang over the end of the padding; it begins before the image's own end.

    Example:
        >>> windows = slide((5,), kernel=(2,), stride=(2,), padding=(0,), dilation=(1,), ceil_mode=True)
        >>> windows.widths, windows.counts, windows.overlap
        ([(0, 1)], (3,), False)
        >>> windows.places
        [(Ellipsis, slice(0, 5, 2)), (Ellipsis, slice(1, 6, 2))]
    """
    counts, widths = [], []
    for size, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True):
        count = window_count(size + 2 * p + (s - 1 if ceil_mode else 0), k, s, d)
        if ceil_mode and (count - 1) * s >= size + p:
            count -= 1
        counts.append(count)
        widths.append((p, max((count - 1) * s + d * (k - 1) + 1 - size - p, 0)))
    overlap = any(s <= d * (k - 1) for k, s, d in zip(kernel, stride, dilation, strict=True))
    offsets = itertools.product(*map(range, kernel)) if min(counts) > 0 else ()
    return Windows(widths, tuple(counts), overlap, [places(offset, counts, stride, dilation) for offset in offsets])


def windows(x: np.ndarray, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> np.ndarray:
    """Return the windows over the last axes, `w[..., i, j, u, v] = x[..., s0*i + d0*u, s1*j + d1*v]`: a view.

    Example:
        >>> windows(np.arange(5), kernel=(3,), stride=(2,), dilation=(1,))
        array([[0, 1, 2],
               [2, 3, 4]])
    """
    count = len(kernel)
    front, steps = x.shape[:-count], x.strides[-count:]
    sizes = map(window_count, x.shape[-count:], kernel, stride, dilation)
    return as_strided(
        x,
        (*front, *sizes, *kernel),
        (*x.strides[:-count], *map(int.__mul__, steps, stride), *map(int.__mul__, steps, dilation)),
        writeable=False,
    )


def add_windows(x: np.ndarray, w: np.ndarray, stride: Sequence[int], dilation: Sequence[int]) -> None:
    """Add windows into the places they were cut from, `x[..., s0*i + d0*u, s1*j + d1*v] += w[..., i, j, u, v]`.

    Example:
        >>> x = np.zeros(5)
        >>> add_windows(x, np.ones((2, 3)), stride=(2,), dilation=(1,))
        >>> x
        array([1., 1., 2., 1., 1.])
    """
    count = len(stride)
    sizes, kernel = w.shape[-2 * count : -count], w.shape[-count:]
    for offset in itertools.product(*map(range, kernel)):
        entries: Any = (..., *offset)
        x[places(offset, sizes, stride, dilation)] += w[entries]


def places(offset: Sequence[int], sizes: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Any:
    """Return the subscript of the entry at `offset` of all windows: `s*i + d*u` for i in range(size), axis by axis.

    Example:
        >>> places((1,), sizes=(3,), stride=(2,), dilation=(1,))
        (Ellipsis, slice(1, 6, 2))
    """
    axes = zip(offset, sizes, stride, dilation, strict=True)
    return (..., *(slice(d * u, d * u + s * (n - 1) + 1, s) for u, n, s, d in axes))


def pad(x: np.ndarray, widths: Sequence[tuple[int, int]], mode: str = "zeros", value: float = 0.0) -> np.ndarray:
    """Return an array with its last axes made longer, by (before, after) each.

    Args:
        x: the array.
        widths: how much to add before and after each of the last axes, 0 or more.
        mode: what stands there: 'zeros' (that is `value`), 'reflect', 'replicate' or 'circular'.
        value: what 'zeros' fills in.

    Example:
        >>> pad(np.array([1.0, 2.0]), [(1, 2)])
        array([0., 1., 2., 0., 0.])
    """
    if not any(map(any, widths)):
        return x
    front = x.ndim - len(widths)
    if mode != "zeros":
        return np.pad(x, [(0, 0)] * front + list(widths), MODES[mode])  # type: ignore[call-overload]
    sizes = [before + n + after for n, (before, after) in zip(x.shape[front:], widths, strict=True)]
    padded = (
        np.full((*x.shape[:front], *sizes), value, x.dtype) if value else np.zeros((*x.shape[:front], *sizes), x.dtype)
    )
    crop(padded, widths)[...] = x
    return padded


def crop(x: np.ndarray, widths: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return what lies between the paddings: a view.

    Example:
        >>> crop(np.arange(5), [(1, 2)])
        array([1, 2])
    """
    axes = zip(x.shape[-len(widths) :], widths, strict=True)
    inside: Any = (..., *(slice(before, n - after) for n, (before, after) in axes))
    return x[inside]


def pad_backward(g: np.ndarray, widths: Sequence[tuple[int, int]], mode: str = "zeros") -> np.ndarray:
    """Return the gradient of what `pad` was given: what was copied into the padding adds its gradient to its source.

    Example:
        >>> pad_backward(np.array([1.0, 10.0, 100.0]), [(1, 0)], "replicate")
        array([ 11., 100.])
    """
    if mode == "zeros":
        return crop(g, widths)
    for axis, (before, after) in enumerate(widths, start=-len(widths)):
        if before or after:
            g = np.moveaxis(g, axis, 0)
            n = len(g) - before - after
            source = np.pad(np.arange(n), (before, after), MODES[mode])  # type: ignore[call-overload]
            inside = g[before : before + n].copy()
            for k in (*range(before), *range(before + n, len(g))):
                inside[source[k]] += g[k]
            g = np.moveaxis(inside, 0, axis)
    return g
