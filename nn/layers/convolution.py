"""Convolution over any number of axes, and its two gradients: what all layers of the family compute with.

Arrays are batches: x (N, C, *sizes), y (N, O, *sizes), the weight W (O, C / groups, *kernel). Padding is the layers'.
The windows of x stand as columns, so that a convolution is one product for each sample. A transposed convolution is
`convolve_backward` of its input; its own gradients then are `convolve` and `weight_gradient`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .window import crop, pad, window_count

_BLOCK = 1 << 19  # entries of the columns that stand at a time: 2 MB of float32, whatever the batch
_KEPT = 1 << 21  # entries of the columns that a layer may keep from forward to backward: 8 MB of float32


class Steps(NamedTuple):
    """How a kernel goes over its input: `stride` and `dilation` of each axis, and into how many groups channels part.

    Example:
        >>> Steps(stride=(2,), dilation=(1,), groups=1).stride
        (2,)
    """

    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


def columns_to_keep(x: np.ndarray, W: np.ndarray, steps: Steps) -> np.ndarray | None:
    """Return the windows of x as columns, for `convolve` and then `weight_gradient`; None where they are many.

    To keep them spares a small net 7 % of a step.

    Example:
        >>> columns_to_keep(np.ones((1, 1, 3)), np.ones((1, 1, 2)), Steps((1,), (1,), 1)).shape
        (1, 1, 2, 2)
    """
    counts = _counts(x, W, steps)
    few = x.size // max(math.prod(x.shape[2:]), 1) * math.prod(W.shape[2:]) * math.prod(counts) <= _KEPT
    return _columns(x, W.shape[2:], counts, steps) if few else None


def convolve(x: np.ndarray, W: np.ndarray, steps: Steps, kept: np.ndarray | None = None) -> np.ndarray:
    """Return `y[n, o, i] = sum(W[o, c, u] * x[n, c, stride*i + dilation*u], c, u)`, of more axes alike.

    Example:
        >>> convolve(np.array([[[1.0, 2.0, 4.0]]]), np.array([[[1.0, -1.0]]]), Steps((1,), (1,), 1))
        array([[[-1., -2.]]])
    """
    counts, kernels = _counts(x, W, steps), _kernels(W, steps)
    y = np.empty((len(x), *kernels.shape[:2], math.prod(counts)), x.dtype)
    for samples, columns in _blocks(x, W.shape[2:], counts, steps, kept):
        np.matmul(kernels, columns, out=y[samples])
    return y.reshape(len(x), len(W), *counts)


def weight_gradient(
    g: np.ndarray, x: np.ndarray, W: np.ndarray, steps: Steps, kept: np.ndarray | None = None
) -> np.ndarray:
    """Return the gradient of W from that of the output, `dW[o, c, u] += g[n, o, i] * x[n, c, stride*i + dilation*u]`.

    Example:
        >>> x, W = np.array([[[1.0, 2.0, 4.0]]]), np.array([[[1.0, -1.0]]])
        >>> weight_gradient(np.ones((1, 1, 2)), x, W, Steps((1,), (1,), 1))
        array([[[3., 6.]]])
    """
    counts, rows = g.shape[2:], _rows(g, steps)
    dW = np.zeros_like(_kernels(W, steps))
    for samples, columns in _blocks(x, W.shape[2:], counts, steps, kept):
        dW += np.matmul(rows[samples], columns.mT).sum(0)
    return dW.reshape(W.shape)


def convolve_backward(
    g: np.ndarray, W: np.ndarray, steps: Steps, sizes: Sequence[int], before: Sequence[int]
) -> np.ndarray:
    """Return the gradient of x from that of the output, `dx[n, c, stride*i + dilation*u] += W[o, c, u] * g[n, o, i]`.

    Args:
        g: the gradient of the output.
        W: the weight.
        steps: as in the convolution.
        sizes: of the part of dx that is returned, axis by axis.
        before: where that part begins, such as behind the padding.

    Example:
        >>> convolve_backward(np.ones((1, 1, 2)), np.array([[[1.0, -1.0]]]), Steps((1,), (1,), 1), (3,), (0,))
        array([[[ 1.,  0., -1.]]])
    """
    # To copy windows takes a third of the time of adding them up. Along an axis of stride 1, dx[h] is the sum of
    # W[u] * g[h - dilation*u]: there, windows of g are copied, and the kernel is flipped. Along the last axis, whose
    # short rows are slow to copy too, and along those of a larger stride, windows of dx are added up.
    dims, counts = W.ndim - 2, g.shape[2:]
    copied = [axis < dims - 1 and stride == 1 for axis, stride in enumerate(steps.stride)]
    reached = reach(counts, W.shape[2:], steps)
    axes = [*zip(copied, counts, reached, sizes, before, strict=True)]
    g = widen(g, [(r - m - p, p + n - m) if copy else (0, 0) for copy, m, r, n, p in axes])
    positions = [n if copy else m for copy, m, _, n, _ in axes]
    whole = [n if copy else max(r, p + n) for copy, _, r, n, p in axes]
    inner = [k if copy else 1 for copy, k in zip(copied, W.shape[2:], strict=True)]
    outer = [1 if copy else k for copy, k in zip(copied, W.shape[2:], strict=True)]
    kernels = _kernels_back(W, copied, steps)
    dx = np.empty((len(g), W.shape[1] * steps.groups, *whole), g.dtype)
    for samples, rows in _blocks(g, inner, positions, steps._replace(stride=(1,) * dims)):
        columns = np.matmul(kernels, rows).reshape(len(rows), dx.shape[1], *outer, *positions)
        dx[samples] = _fold(columns, whole, steps)
    return crop(dx, [(0, 0) if copy else (p, w - p - n) for w, (copy, _, _, n, p) in zip(whole, axes, strict=True)])


def reach(counts: Sequence[int], kernel: Sequence[int], steps: Steps) -> list[int]:
    """Return how long the axes are on which so many windows lie.

    Example:
        >>> reach((4,), (3,), Steps((2,), (1,), 1))
        [9]
    """
    axes = zip(counts, kernel, steps.stride, steps.dilation, strict=True)
    return [s * (m - 1) + d * (k - 1) + 1 for m, k, s, d in axes]


def widen(x: np.ndarray, widths: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return x padded with zeros along its last axes by (before, after) each; below zero, it is cropped.

    Example:
        >>> widen(np.array([1.0, 2.0, 3.0]), [(1, -1)])
        array([0., 1., 2.])
    """
    cropped = crop(x, [(max(-before, 0), max(-after, 0)) for before, after in widths])
    return pad(cropped, [(max(before, 0), max(after, 0)) for before, after in widths])


# ---- windows as the columns of a matrix


def _counts(x: np.ndarray, W: np.ndarray, steps: Steps) -> list[int]:
    """Return how many windows lie along each axis."""
    return [*map(window_count, x.shape[2:], W.shape[2:], steps.stride, steps.dilation)]


def _kernels(W: np.ndarray, steps: Steps) -> np.ndarray:
    """Return the kernels of each group as a matrix: an output channel a row."""
    return W.reshape(steps.groups, len(W) // steps.groups, math.prod(W.shape[1:]))


def _kernels_back(W: np.ndarray, copied: Sequence[bool], steps: Steps) -> np.ndarray:
    """Return the matrices of the way back: rows are input channels, columns output channels.

    Beside the output channels stand the axes of the kernel that are `copied`, in reverse; beside the input channels the
    others.
    """
    parts = W.reshape(steps.groups, len(W) // steps.groups, *W.shape[1:])
    inner = [3 + axis for axis, copy in enumerate(copied) if copy]
    outer = [3 + axis for axis, copy in enumerate(copied) if not copy]
    turned = np.flip(parts, tuple(inner)).transpose(0, 2, *outer, 1, *inner)
    columns = 2 + len(outer)  # the first axis of them
    return turned.reshape(steps.groups, math.prod(turned.shape[1:columns]), math.prod(turned.shape[columns:]))


def _rows(g: np.ndarray, steps: Steps) -> np.ndarray:
    """Return the gradient of the output with an output channel a row, as `_kernels` has them."""
    return g.reshape(len(g), steps.groups, g.shape[1] // steps.groups, math.prod(g.shape[2:]))


def _columns(x: np.ndarray, kernel: Sequence[int], counts: Sequence[int], steps: Steps) -> np.ndarray:
    """Return the windows of each sample and group as a matrix: a window a column."""
    rows = x.shape[1] // steps.groups * math.prod(kernel)
    return _unfold(x, kernel, counts, steps).reshape(len(x), steps.groups, rows, math.prod(counts))


def _blocks(
    x: np.ndarray, kernel: Sequence[int], counts: Sequence[int], steps: Steps, kept: np.ndarray | None = None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the columns of so many samples at a time as fill a block, of one at least; or those that were kept."""
    entries = x.shape[1] * math.prod(kernel) * math.prod(counts)
    size = max(_BLOCK // max(entries, 1), 1) if kept is None else max(len(x), 1)
    for start in range(0, len(x), size):
        samples = slice(start, start + size)
        yield samples, _columns(x[samples], kernel, counts, steps) if kept is None else kept


# Windows are taken along one axis after the other, the last first. So short rows are copied a few times only, as often
# as a kernel is wide; after that a row follows on the other without a gap, and what is copied are long runs.


def _unfold(x: np.ndarray, kernel: Sequence[int], counts: Sequence[int], steps: Steps) -> np.ndarray:
    """Return `w[n, c, u, v, i, j] = x[n, c, s0*i + d0*u, s1*j + d1*v]`, of other numbers of axes alike."""
    for axis in reversed(range(len(counts))):
        places = _places(axis, kernel, counts, steps)
        if len(places) == 1:
            x = x[:, :, None][places[0]]
            continue
        w = np.empty((*x.shape[:2], len(places), *x[places[0]].shape[2:]), x.dtype)
        for u, place in enumerate(places):
            w[:, :, u] = x[place]
        x = w
    return x


def _fold(w: np.ndarray, sizes: Sequence[int], steps: Steps) -> np.ndarray:
    """Return `x[n, c, s0*i + d0*u, s1*j + d1*v] += w[n, c, u, v, i, j]`, of other numbers of axes alike."""
    dims = len(sizes)
    kernel, counts = w.shape[2 : 2 + dims], w.shape[2 + dims :]
    for axis, size in enumerate(sizes):
        if kernel[axis] == 1 and counts[axis] == size:
            w = w[:, :, 0]
            continue
        shape = [*w.shape[:2], *w.shape[3:]]
        shape[axis - dims] = size
        x = np.zeros(shape, w.dtype)
        for u, place in enumerate(_places(axis, kernel, counts, steps)):
            x[place] += w[:, :, u]
        w = x
    return w


def _places(axis: int, kernel: Sequence[int], counts: Sequence[int], steps: Steps) -> list[Any]:
    """Return, for each entry of a kernel along an axis, the subscript of what it sees."""
    s, d, m = steps.stride[axis], steps.dilation[axis], counts[axis]
    behind = [slice(None)] * (len(counts) - 1 - axis)
    return [(..., slice(d * u, d * u + s * (m - 1) + 1, s), *behind) for u in range(kernel[axis])]
