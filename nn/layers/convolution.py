"""Convolution over any number of axes, and its two gradients: what all layers of the family compute with.

Arrays are batches: x (N, C, *sizes), y (N, O, *sizes), the weight W (O, C / groups, *kernel). Padding is the layers'.
The windows of x stand as columns, so that a convolution is one product. A transposed convolution is `convolve_backward`
of its input; its own gradients then are `convolve` and `weight_gradient`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .window import add_windows, crop, pad, window_count, windows

_BLOCK = 1 << 20  # entries of the columns that stand at a time, so that memory does not grow with the batch


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
    sizes = [*map(window_count, x.shape[2:], W.shape[2:], steps.stride, steps.dilation)]
    kernels = _matrices(W, steps.groups)
    y = np.empty((len(x), *kernels.shape[:2], math.prod(sizes)), x.dtype)
    for samples in _blocks(x, W, sizes):
        np.matmul(kernels, _columns(x[samples], W, steps), out=y[samples])
    return y.reshape(len(x), len(W), *sizes)


def weight_gradient(g: np.ndarray, x: np.ndarray, W: np.ndarray, steps: Steps) -> np.ndarray:
    """Return the gradient of W from that of the output, `dW[o, c, u] += g[n, o, i] * x[n, c, stride*i + dilation*u]`.

    Example:
        >>> x, W = np.array([[[1.0, 2.0, 4.0]]]), np.array([[[1.0, -1.0]]])
        >>> weight_gradient(np.ones((1, 1, 2)), x, W, Steps((1,), (1,), 1))
        array([[[3., 6.]]])
    """
    dW = np.zeros_like(_matrices(W, steps.groups))
    rows = _rows(g, steps.groups)
    for samples in _blocks(x, W, g.shape[2:]):
        dW += np.matmul(rows[samples], _columns(x[samples], W, steps).mT).sum(0)
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
        before: where that part begins, which spares the gradient of padding.

    Example:
        >>> convolve_backward(np.ones((1, 1, 2)), np.array([[[1.0, -1.0]]]), Steps((1,), (1,), 1), (3,), (0,))
        array([[[ 1.,  0., -1.]]])
    """
    reach = [d * (k - 1) for d, k in zip(steps.dilation, W.shape[2:], strict=True)]
    axes = [*zip(before, sizes, reach, g.shape[2:], strict=True)]
    if all(s == 1 for s in steps.stride):
        # dx[h] = sum(W[u] * g[h - dilation*u]) is itself a convolution, with the kernel flipped: it takes 0.6 of the
        # time of adding up windows.
        return convolve(widen(g, [(r - b, b + n - m) for b, n, r, m in axes]), _flipped(W, steps.groups), steps)
    whole = [max(b + n, s * (m - 1) + r + 1) for s, (b, n, r, m) in zip(steps.stride, axes, strict=True)]
    dx = np.zeros((len(g), W.shape[1] * steps.groups, *whole), g.dtype)
    kernels, rows = _matrices(W, steps.groups).mT, _rows(g, steps.groups)
    for samples in _blocks(dx, W, g.shape[2:]):
        columns = np.matmul(kernels, rows[samples])
        shape = (len(columns), dx.shape[1], *W.shape[2:], *g.shape[2:])
        add_windows(dx[samples], _swapped(columns.reshape(shape)), steps.stride, steps.dilation)
    return crop(dx, [(b, w - b - n) for w, (b, n, _, _) in zip(whole, axes, strict=True)])


def widen(x: np.ndarray, widths: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return x padded with zeros along its last axes by (before, after) each; below zero, it is cropped.

    Example:
        >>> widen(np.array([1.0, 2.0, 3.0]), [(1, -1)])
        array([0., 1., 2.])
    """
    cropped = crop(x, [(max(-before, 0), max(-after, 0)) for before, after in widths])
    return pad(cropped, [(max(before, 0), max(after, 0)) for before, after in widths])


def _matrices(W: np.ndarray, groups: int) -> np.ndarray:
    """Return the kernels of each group as a matrix: an output channel a row."""
    return W.reshape(groups, len(W) // groups, math.prod(W.shape[1:]))


def _rows(g: np.ndarray, groups: int) -> np.ndarray:
    """Return the gradient of the output with an output channel a row, as `_matrices` has them."""
    return g.reshape(len(g), groups, g.shape[1] // groups, math.prod(g.shape[2:]))


def _columns(x: np.ndarray, W: np.ndarray, steps: Steps) -> np.ndarray:
    """Return the windows of each sample and group as a matrix: a window a column."""
    w = _swapped(windows(x, W.shape[2:], steps.stride, steps.dilation))
    positions = math.prod(w.shape[W.ndim :])
    return w.reshape(len(x), steps.groups, math.prod(W.shape[1:]), positions)


def _swapped(w: np.ndarray) -> np.ndarray:
    """Return windows with the axes of the kernel and those of the positions exchanged."""
    half = w.ndim // 2 + 1
    return w.transpose(0, 1, *range(half, w.ndim), *range(2, half))


def _flipped(W: np.ndarray, groups: int) -> np.ndarray:
    """Return the weight of the convolution back: each kernel in reverse, input and output channels exchanged."""
    parts = W.reshape(groups, len(W) // groups, *W.shape[1:]).swapaxes(1, 2)
    return np.flip(parts, tuple(range(3, parts.ndim))).reshape(groups * W.shape[1], len(W) // groups, *W.shape[2:])


def _blocks(x: np.ndarray, W: np.ndarray, sizes: Sequence[int]) -> Iterator[slice]:
    """Yield slices of so many samples that their columns fill a block; of one at least."""
    entries = x.shape[1] * math.prod(W.shape[2:]) * math.prod(sizes)
    step = max(_BLOCK // max(entries, 1), 1)
    return (slice(start, start + step) for start in range(0, len(x), step))
