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


class Steps(NamedTuple):
    """How a kernel goes over its input: `stride` and `dilation` of each axis, and into how many groups channels part.

    Example:
        >>> Steps(stride=(2,), dilation=(1,), groups=1).stride
        (2,)
    """

    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


def convolve(x: np.ndarray, W: np.ndarray, steps: Steps) -> np.ndarray:
    """Return `y[n, o, i] = sum(W[o, c, u] * x[n, c, stride*i + dilation*u], c, u)`, of more axes alike.

    Example:
        >>> convolve(np.array([[[1.0, 2.0, 4.0]]]), np.array([[[1.0, -1.0]]]), Steps((1,), (1,), 1))
        array([[[-1., -2.]]])
    """
    counts = [*map(window_count, x.shape[2:], W.shape[2:], steps.stride, steps.dilation)]
    kernels = _kernels(W, steps)
    y = np.empty((len(x), *kernels.shape[:2], math.prod(counts)), x.dtype)
    for samples in _blocks(x, W, counts):
        np.matmul(kernels, _columns(x[samples], W, counts, steps), out=y[samples])
    return y.reshape(len(x), len(W), *counts)


def weight_gradient(g: np.ndarray, x: np.ndarray, W: np.ndarray, steps: Steps) -> np.ndarray:
    """Return the gradient of W from that of the output, `dW[o, c, u] += g[n, o, i] * x[n, c, stride*i + dilation*u]`.

    Example:
        >>> x, W = np.array([[[1.0, 2.0, 4.0]]]), np.array([[[1.0, -1.0]]])
        >>> weight_gradient(np.ones((1, 1, 2)), x, W, Steps((1,), (1,), 1))
        array([[[3., 6.]]])
    """
    counts, rows = g.shape[2:], _rows(g, steps)
    dW = np.zeros_like(_kernels(W, steps))
    for samples in _blocks(x, W, counts):
        dW += np.matmul(rows[samples], _columns(x[samples], W, counts, steps).mT).sum(0)
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
    counts, channels = g.shape[2:], W.shape[1] * steps.groups
    if max(steps.stride) == 1 and len(W) * math.prod(sizes) <= channels * math.prod(counts):
        # dx[h] = sum(W[u] * g[h - dilation*u]) is itself a convolution, with the kernel flipped. To copy windows of g
        # takes a third of the time of adding windows of dx up; where there are no more of them, that is faster.
        axes = zip(sizes, before, counts, W.shape[2:], steps.dilation, strict=True)
        around = [(d * (k - 1) - p, n + p - m) for n, p, m, k, d in axes]
        return convolve(widen(g, around), _flipped(W, steps), steps)
    reached = reach(counts, W.shape[2:], steps)
    whole = [max(p + n, r) for p, n, r in zip(before, sizes, reached, strict=True)]
    rows, kernels = _rows(g, steps), _kernels(W, steps).mT
    dx = np.empty((len(g), channels, *whole), g.dtype)
    for samples in _blocks(dx, W, counts):
        columns = np.matmul(kernels, rows[samples])
        dx[samples] = _fold(columns.reshape(len(columns), channels, *W.shape[2:], *counts), whole, steps)
    return crop(dx, [(p, w - p - n) for w, p, n in zip(whole, before, sizes, strict=True)])


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


def _kernels(W: np.ndarray, steps: Steps) -> np.ndarray:
    """Return the kernels of each group as a matrix: an output channel a row."""
    return W.reshape(steps.groups, len(W) // steps.groups, math.prod(W.shape[1:]))


def _flipped(W: np.ndarray, steps: Steps) -> np.ndarray:
    """Return the weight of the convolution back: each kernel in reverse, input and output channels exchanged."""
    groups, outputs = steps.groups, len(W) // steps.groups
    W_back = W.reshape(groups, outputs, *W.shape[1:]).swapaxes(1, 2)
    W_back = np.flip(W_back, tuple(range(3, W_back.ndim)))
    return W_back.reshape(groups * W.shape[1], outputs, *W.shape[2:])


def _rows(g: np.ndarray, steps: Steps) -> np.ndarray:
    """Return the gradient of the output with an output channel a row, as `_kernels` has them."""
    return g.reshape(len(g), steps.groups, g.shape[1] // steps.groups, math.prod(g.shape[2:]))


def _columns(x: np.ndarray, W: np.ndarray, counts: Sequence[int], steps: Steps) -> np.ndarray:
    """Return the windows of each sample and group as a matrix: a window a column."""
    return _unfold(x, W.shape[2:], counts, steps).reshape(
        len(x), steps.groups, math.prod(W.shape[1:]), math.prod(counts)
    )


def _blocks(x: np.ndarray, W: np.ndarray, counts: Sequence[int]) -> Iterator[slice]:
    """Yield slices of so many samples that their columns fill a block; of one at least."""
    entries = x.shape[1] * math.prod(W.shape[2:]) * math.prod(counts)
    step = max(_BLOCK // max(entries, 1), 1)
    return (slice(start, start + step) for start in range(0, len(x), step))


# Windows are taken along one axis after the other, the last first. So short rows are copied a few times only, as often
# as a kernel is wide; after that a row follows on the other without a gap, and what is copied are long runs.


def _unfold(x: np.ndarray, kernel: Sequence[int], counts: Sequence[int], steps: Steps) -> np.ndarray:
    """Return `w[n, c, u, v, i, j] = x[n, c, s0*i + d0*u, s1*j + d1*v]`, of other numbers of axes alike."""
    for axis in reversed(range(len(counts))):
        places = _places(axis, kernel, counts, steps)
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
