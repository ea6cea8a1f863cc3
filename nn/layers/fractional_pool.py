"""Fractional max-pooling: windows of one size at random steps, so that an image shrinks by less than half."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..module import short_repr
from ..parameter import Buffer
from ..random import default_generator
from ..settings import flag, number, real_array
from .plane import add_entries, entries, largest_place, planes
from .spatial import Spatial


def window_starts(samples: np.ndarray, size: int, count: int, kernel: int) -> np.ndarray:
    """Return where each of `count` windows begins on an axis, for each sample: about evenly, the last at the end.

    Args:
        samples: numbers from 0 to 1, which shift the windows.
        size: of the axis.
        count: how many windows.
        kernel: how many entries each has.

    Example:
        >>> window_starts(np.array([0.0, 0.9]), 7, 4, 2)
        array([[0, 1, 3, 5],
               [0, 2, 3, 5]])
    """
    step = samples.dtype.type((size - kernel) / max(count - 1, 1))
    shifts = samples[..., None]
    starts = ((np.arange(count, dtype=samples.dtype) + shifts) * step).astype(int) - (shifts * step).astype(int)
    starts[..., -1:] = size - kernel
    return starts


class _FractionalMaxPool(Spatial):
    """Fractional max-pooling for any number of axes; the classes below state it for each."""

    symbols: ClassVar = {"k": "kernel_size", "n": "output_size", "f": "output_ratio", "R": "_random_samples"}
    order: ClassVar[tuple[int, ...]]  # which sample belongs to which axis, as PyTorch has it

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        output_size: int | Sequence[int] | None = None,
        output_ratio: float | Sequence[float] | None = None,
        return_indices: bool = False,
        _random_samples: ArrayLike | None = None,
        *,
        generator: np.random.Generator | int | None = None,
    ) -> None:
        if (output_size is None) == (output_ratio is None):
            given = f"output_size {output_size!r} and output_ratio {output_ratio!r}"
            raise ValueError(f"{type(self).__name__} expects either output_size or output_ratio, got {given}")
        self.kernel_size = self.each("kernel_size", kernel_size, at_least=1)
        self.output_size = None if output_size is None else self.each("output_size", output_size, at_least=0)
        self.output_ratio = None if output_ratio is None else self._ratios(output_ratio)
        self.return_indices = flag(self, "return_indices", return_indices)
        self.output_symbols = ("y", "m") if self.return_indices else ("y",)
        self._random_samples = None
        if _random_samples is not None:
            self._random_samples = Buffer(real_array(self, "_random_samples", _random_samples))
        self.generator = None if generator is None else default_generator(generator)

    def forward(self, x: ArrayLike) -> Any:
        x = self.images(x)
        images = x if x.ndim == self.dims + 2 else x[None]
        front, sizes = images.shape[:2], x.shape[-self.dims :]
        counts = self._counts(sizes)
        samples = self._samples(front, x.dtype)
        w: Any = 0  # the number in its channel of each entry of each window: (N, C, *counts, *kernel_size)
        for axis, (size, count, kernel) in enumerate(zip(sizes, counts, self.kernel_size, strict=True)):
            starts = window_starts(samples[..., self.order[axis]], size, count, kernel)
            shape = [1] * 2 * self.dims
            shape[axis], shape[self.dims + axis] = count, kernel
            w = w * size + (starts[..., None] + np.arange(kernel)).reshape(*front, *shape)
        w = w.reshape(*front, *counts, math.prod(self.kernel_size))
        values = entries(planes(images, self.dims), planes(w, self.dims + 1), 1)
        place = largest_place(values.reshape(w.shape))
        indices = np.take_along_axis(w, place[..., None], -1).reshape(*x.shape[: -self.dims], *counts)
        y = entries(x, indices, self.dims)
        output = (y, indices) if self.return_indices else y
        self.save_for_backward(x.shape, indices, output=output)
        return output

    def backward(self, grad_output: Any) -> np.ndarray:
        g = self.upstream(grad_output)
        shape, indices = self.saved()
        return add_entries(shape, indices, g[0] if self.return_indices else g, self.dims)

    def _ratios(self, value: Any) -> tuple[float, ...]:
        """Return the setting, a number an axis."""
        given = value if isinstance(value, list | tuple) else (value,) * self.dims
        if len(given) != self.dims:
            raise ValueError(
                f"{type(self).__name__} expects output_ratio to be one number or {self.dims}, got {value!r}"
            )
        return tuple(number(self, "output_ratio", ratio, above=0, below=1) for ratio in given)

    def _counts(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Return the size of the output along each axis."""
        if self.output_ratio is None:
            counts = self.output_size or ()
        else:
            counts = tuple(int(size * ratio) for size, ratio in zip(sizes, self.output_ratio, strict=True))
        for size, count, kernel in zip(sizes, counts, self.kernel_size, strict=True):
            if count + kernel - 1 > size:
                raise ValueError(
                    f"{short_repr(self)} expects an input of at least {count + kernel - 1} entries an axis for an "
                    f"output of {count}, got {sizes}"
                )
        return counts

    def _samples(self, front: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Return a number from 0 to 1 for each axis of each channel: those given, or newly drawn ones."""
        shape = (*front, self.dims)
        if self._random_samples is None:
            return default_generator(self.generator).random(shape).astype(dtype)
        samples = self._random_samples.data.astype(dtype)
        if samples.ndim != 3 or samples.shape[1:] != shape[1:] or len(samples) < shape[0]:
            raise ValueError(f"{short_repr(self)} expects _random_samples of shape {shape}, got {samples.shape}")
        return samples[: shape[0]]


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest entry of each window of an image, the windows at random steps, so that any output size will do.

    Graham, "Fractional Max-Pooling", 2014. The gradient goes to the largest entry, the first of several. The steps are
    drawn anew in each call, in evaluation too, for each channel of each image.

    Args:
        kernel_size: the height and width of a window; one integer for both.
        output_size: (H', W'), one integer for both; either this or output_ratio.
        output_ratio: by what to multiply the input's size to get that of the output, above 0 and below 1.
        return_indices: whether to return where each largest entry is, too, as integers that count along the rows of
            its channel.
        _random_samples: (N, C, 2) numbers from 0 to 1 in place of the random ones, kept as a Buffer; the first is that
            of the width, as in PyTorch.
        generator: where the steps are drawn from; None for the library's own.

    Shape:
        Input (N, C, H, W) or (C, H, W), output (N, C, H', W') or (C, H', W'); with return_indices (values, indices),
        of that shape each.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for settings out of range, both or none of size and ratio, or an input that is too small.

    Example:
        >>> FractionalMaxPool2d(2, output_ratio=0.7, generator=0)(np.zeros((5, 3, 28, 28))).shape
        (5, 3, 19, 19)
    """

    dims: ClassVar[int] = 2
    order: ClassVar[tuple[int, ...]] = (1, 0)
    equations = """
        X = x if x.ndim == 4 else x.reshape(1, x.shape[0], x.shape[1], x.shape[2])
        H, W = X.shape[2], X.shape[3]
        r, t = n[0] if n is not None else floor(f[0]*H), n[1] if n is not None else floor(f[1]*W)
        i, j, u, v = range(r), range(t), range(k[0]), range(k[1])
        z, Z = split(R, (len(X), len(R) - len(X)), 0) if R is not None else (random((len(X), X.shape[1], 2)), 0)
        e, h = (H - k[0])/(r - 1) if r > 1 else 0, (W - k[1])/(t - 1) if t > 1 else 0
        a[g, c, i] = where(i < r - 1, floor((i + z[g, c, 1])*e) - floor(z[g, c, 1]*e), H - k[0])
        b[g, c, j] = where(j < t - 1, floor((j + z[g, c, 0])*h) - floor(z[g, c, 0]*h), W - k[1])
        Q[g, c, i, j, u, v] = X[g, c, a[g, c, i] + u, b[g, c, j] + v]
        Y[g, c, i, j] = max(Q[g, c, i, j, u, v], u, v)
        o[g, c, i, j], p[g, c, i, j] = argmax(Q[g, c, i, j, u, v], u, v)
        M[g, c, i, j] = (a[g, c, i] + o[g, c, i, j])*W + b[g, c, j] + p[g, c, i, j]
        y = Y if x.ndim == 4 else Y.reshape(Y.shape[1], r, t)
        m = M if x.ndim == 4 else M.reshape(Y.shape[1], r, t)
        dY = dy if x.ndim == 4 else dy.reshape(Y.shape)
        dX[g, c, a[g, c, i] + o[g, c, i, j], b[g, c, j] + p[g, c, i, j]] += dY[g, c, i, j]
        dx = dX if x.ndim == 4 else dX.reshape(x.shape)
    """


class FractionalMaxPool3d(_FractionalMaxPool):
    """The largest entry of each window of a volume, the windows at random steps, so that any output size will do.

    Graham, "Fractional Max-Pooling", 2014. The gradient goes to the largest entry, the first of several. The steps are
    drawn anew in each call, in evaluation too, for each channel of each volume.

    Args:
        kernel_size: the depth, height and width of a window; one integer for all.
        output_size: (D', H', W'), one integer for all; either this or output_ratio.
        output_ratio: by what to multiply the input's size to get that of the output, above 0 and below 1.
        return_indices: whether to return where each largest entry is, too, as integers that count along the rows of
            its channel.
        _random_samples: (N, C, 3) numbers from 0 to 1 in place of the random ones, kept as a Buffer: depth, height and
            width.
        generator: where the steps are drawn from; None for the library's own.

    Shape:
        Input (N, C, D, H, W) or (C, D, H, W), output (N, C, D', H', W') or (C, D', H', W'); with return_indices
        (values, indices), of that shape each.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for settings out of range, both or none of size and ratio, or an input that is too small.

    Example:
        >>> FractionalMaxPool3d(2, output_size=(3, 4, 4), generator=0)(np.zeros((2, 1, 5, 6, 6))).shape
        (2, 1, 3, 4, 4)
    """

    dims: ClassVar[int] = 3
    order: ClassVar[tuple[int, ...]] = (0, 1, 2)
    equations = """
        X = x if x.ndim == 5 else x.reshape(1, x.shape[0], x.shape[1], x.shape[2], x.shape[3])
        T, H, W = X.shape[2], X.shape[3], X.shape[4]
        r, s = n[0] if n is not None else floor(f[0]*T), n[1] if n is not None else floor(f[1]*H)
        t = n[2] if n is not None else floor(f[2]*W)
        i, j, l, u, v, w = range(r), range(s), range(t), range(k[0]), range(k[1]), range(k[2])
        z, Z = split(R, (len(X), len(R) - len(X)), 0) if R is not None else (random((len(X), X.shape[1], 3)), 0)
        e, h = (T - k[0])/(r - 1) if r > 1 else 0, (H - k[1])/(s - 1) if s > 1 else 0
        q = (W - k[2])/(t - 1) if t > 1 else 0
        a[g, c, i] = where(i < r - 1, floor((i + z[g, c, 0])*e) - floor(z[g, c, 0]*e), T - k[0])
        b[g, c, j] = where(j < s - 1, floor((j + z[g, c, 1])*h) - floor(z[g, c, 1]*h), H - k[1])
        o[g, c, l] = where(l < t - 1, floor((l + z[g, c, 2])*q) - floor(z[g, c, 2]*q), W - k[2])
        Q[g, c, i, j, l, u, v, w] = X[g, c, a[g, c, i] + u, b[g, c, j] + v, o[g, c, l] + w]
        Y[g, c, i, j, l] = max(Q[g, c, i, j, l, u, v, w], u, v, w)
        E[g, c, i, j, l], F[g, c, i, j, l], G[g, c, i, j, l] = argmax(Q[g, c, i, j, l, u, v, w], u, v, w)
        A[g, c, i, j, l] = a[g, c, i] + E[g, c, i, j, l]
        B[g, c, i, j, l] = b[g, c, j] + F[g, c, i, j, l]
        C[g, c, i, j, l] = o[g, c, l] + G[g, c, i, j, l]
        M[g, c, i, j, l] = (A[g, c, i, j, l]*H + B[g, c, i, j, l])*W + C[g, c, i, j, l]
        y = Y if x.ndim == 5 else Y.reshape(Y.shape[1], r, s, t)
        m = M if x.ndim == 5 else M.reshape(Y.shape[1], r, s, t)
        dY = dy if x.ndim == 5 else dy.reshape(Y.shape)
        dX[g, c, A[g, c, i, j, l], B[g, c, i, j, l], C[g, c, i, j, l]] += dY[g, c, i, j, l]
        dx = dX if x.ndim == 5 else dX.reshape(x.shape)
    """
