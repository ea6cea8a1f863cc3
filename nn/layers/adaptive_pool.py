"""Adaptive pooling: the output has the size that is asked for, whatever that of the input.

Of n windows over an axis of H entries, window i goes from ⌊i H / n⌋ to ⌈(i + 1) H / n⌉: together they cover the axis,
and where n does not divide H, neighbours share entries.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..settings import flag, integer
from .plane import add_entries, entries, largest_place, planes
from .spatial import Spatial

Sizes = int | Sequence[int | None]


class _AdaptivePool(Spatial):
    """What adaptive pooling shares: the output's size, and the windows."""

    symbols: ClassVar = {"n": "output_size"}

    def __init__(self, output_size: Sizes) -> None:
        given = output_size if isinstance(output_size, list | tuple) else (output_size,) * self.dims
        if len(given) != self.dims:
            raise ValueError(f"{type(self).__name__} expects output_size to be one integer or {self.dims}, got {given}")
        can_be_none = isinstance(output_size, list | tuple) and self.dims > 1
        self.output_size = tuple(
            None if size is None and can_be_none else integer(self, "output_size", size, at_least=0) for size in given
        )

    def _sizes(self, x: np.ndarray) -> tuple[int, ...]:
        """Return the size of the output along each axis."""
        sizes = zip(x.shape[-self.dims :], self.output_size, strict=True)
        return tuple(size if wanted is None else wanted for size, wanted in sizes)

    def _windows(self, sizes: Sequence[int], counts: Sequence[int]) -> Iterator[tuple[Any, Any]]:
        """Yield the subscript of each entry of the output, with that of its window."""
        spans = [
            [slice(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]
            for size, n in zip(sizes, counts, strict=True)
        ]
        for axes in itertools.product(*map(enumerate, spans)):
            entry, window = zip(*axes, strict=True)
            yield (..., *entry), (..., *window)


class _AdaptiveAvgPool(_AdaptivePool):
    """Adaptive average-pooling for any number of axes; the classes below state it for each."""

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.images(x)
        counts = self._sizes(x)
        axes = tuple(range(-self.dims, 0))
        y = np.empty((*x.shape[: -self.dims], *counts), x.dtype)
        for entry, window in self._windows(x.shape[-self.dims :], counts):
            y[entry] = x[window].mean(axes)
        self.save_for_backward(x.shape, counts, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        shape, counts = self.saved()
        dx = np.zeros(shape, g.dtype)
        for entry, window in self._windows(shape[-self.dims :], counts):
            part = dx[window]
            part += np.expand_dims(g[entry], tuple(range(-self.dims, 0))) / math.prod(part.shape[-self.dims :])
        return dx


class _AdaptiveMaxPool(_AdaptivePool):
    """Adaptive max-pooling for any number of axes; the classes below state it for each."""

    def __init__(self, output_size: Sizes, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = flag(self, "return_indices", return_indices)
        self.output_symbols = ("y", "m") if self.return_indices else ("y",)

    def forward(self, x: ArrayLike) -> Any:
        x = self.images(x)
        sizes, counts = x.shape[-self.dims :], self._sizes(x)
        numbers = np.arange(math.prod(sizes)).reshape(sizes)
        indices = np.empty((*x.shape[: -self.dims], *counts), np.int64)
        for entry, window in self._windows(sizes, counts):
            indices[entry] = numbers[window].ravel()[largest_place(planes(x[window], self.dims))]
        y = entries(x, indices, self.dims)
        output = (y, indices) if self.return_indices else y
        self.save_for_backward(x.shape, indices, output=output)
        return output

    def backward(self, grad_output: Any) -> np.ndarray:
        g = self.upstream(grad_output)
        shape, indices = self.saved()
        return add_entries(shape, indices, g[0] if self.return_indices else g, self.dims)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means over as many windows as are asked for; each entry of a window gets an equal share of the gradient.

    Args:
        output_size: L', how many.

    Shape:
        Input (N, C, L) or (C, L), output (N, C, L') or (C, L').

    Raises:
        TypeError: for a size that is no integer.
        ValueError: for a negative one, or an input of other dimensions.

    Example:
        >>> AdaptiveAvgPool1d(2)([[1.0, 2.0, 3.0]])
        array([[1.5, 2.5]])
    """

    dims: ClassVar[int] = 1
    equations = """
        H = x.shape[-1]
        i, u = range(n[0]), range(H)
        a[i, u] = (u >= i*H//n[0]) * (u < ((i + 1)*H + n[0] - 1)//n[0])
        A[i, u] = a[i, u] / sum(a[i, v], v)
        y[..., i] = sum(A[i, u] * x[..., u], u)
        dx[..., u] += A[i, u] * dy[..., i]
    """


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means over as many windows as are asked for; each entry of a window gets an equal share of the gradient.

    Args:
        output_size: (H', W'), one integer for both; None for the size of the input. 1 gives the mean of each channel.

    Shape:
        Input (N, C, H, W) or (C, H, W), output (N, C, H', W') or (C, H', W').

    Raises:
        TypeError: for a size that is neither an integer nor None.
        ValueError: for a negative one, or an input of other dimensions.

    Example:
        >>> AdaptiveAvgPool2d(1)([[[1.0, 2.0], [3.0, 6.0]]])
        array([[[3.]]])
    """

    dims: ClassVar[int] = 2
    equations = """
        H, W = x.shape[-2], x.shape[-1]
        r, s = H if n[0] is None else n[0], W if n[1] is None else n[1]
        i, j, u, v = range(r), range(s), range(H), range(W)
        a[i, u] = (u >= i*H//r) * (u < ((i + 1)*H + r - 1)//r)
        b[j, v] = (v >= j*W//s) * (v < ((j + 1)*W + s - 1)//s)
        A[i, u] = a[i, u] / sum(a[i, g], g)
        B[j, v] = b[j, v] / sum(b[j, h], h)
        y[..., i, j] = sum(A[i, u] * B[j, v] * x[..., u, v], u, v)
        dx[..., u, v] += A[i, u] * B[j, v] * dy[..., i, j]
    """


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means over as many windows as are asked for; each entry of a window gets an equal share of the gradient.

    Args:
        output_size: (D', H', W'), one integer for all; None for the size of the input.

    Shape:
        Input (N, C, D, H, W) or (C, D, H, W), output (N, C, D', H', W') or (C, D', H', W').

    Raises:
        TypeError: for a size that is neither an integer nor None.
        ValueError: for a negative one, or an input of other dimensions.

    Example:
        >>> AdaptiveAvgPool3d((1, None, None))(np.zeros((2, 3, 4, 5, 6))).shape
        (2, 3, 1, 5, 6)
    """

    dims: ClassVar[int] = 3
    equations = """
        D, H, W = x.shape[-3], x.shape[-2], x.shape[-1]
        r, s = D if n[0] is None else n[0], H if n[1] is None else n[1]
        t = W if n[2] is None else n[2]
        i, j, l, u, v, w = range(r), range(s), range(t), range(D), range(H), range(W)
        a[i, u] = (u >= i*D//r) * (u < ((i + 1)*D + r - 1)//r)
        b[j, v] = (v >= j*H//s) * (v < ((j + 1)*H + s - 1)//s)
        c[l, w] = (w >= l*W//t) * (w < ((l + 1)*W + t - 1)//t)
        A[i, u] = a[i, u] / sum(a[i, g], g)
        B[j, v] = b[j, v] / sum(b[j, h], h)
        C[l, w] = c[l, w] / sum(c[l, o], o)
        y[..., i, j, l] = sum(A[i, u] * B[j, v] * C[l, w] * x[..., u, v, w], u, v, w)
        dx[..., u, v, w] += A[i, u] * B[j, v] * C[l, w] * dy[..., i, j, l]
    """


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest entries of as many windows as are asked for; the gradient goes to the first of the largest.

    Args:
        output_size: L', how many.
        return_indices: whether to return where each largest entry is, too, as integers.

    Shape:
        Input (N, C, L) or (C, L), output (N, C, L') or (C, L'); with return_indices (values, indices), of that shape
        each.

    Raises:
        TypeError: for a size that is no integer.
        ValueError: for a negative one, or an input of other dimensions.

    Example:
        >>> AdaptiveMaxPool1d(2)([[1.0, 2.0, 3.0]])
        array([[2., 3.]])
    """

    dims: ClassVar[int] = 1
    equations = """
        H = x.shape[-1]
        i, u = range(n[0]), range(H)
        b[i, u] = (u >= i*H//n[0]) * (u < ((i + 1)*H + n[0] - 1)//n[0])
        y[..., i] = max(where(b[i, u] > 0, x[..., u], -inf), u)
        m[..., i] = argmax(where(b[i, u] > 0, x[..., u], -inf), u)
        dx[..., m[..., i]] += dy[..., i]
    """


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest entries of as many windows as are asked for; the gradient goes to the first of the largest.

    Args:
        output_size: (H', W'), one integer for both; None for the size of the input. 1 gives each channel's largest.
        return_indices: whether to return where each largest entry is, too, as integers that count along the rows of
            its channel.

    Shape:
        Input (N, C, H, W) or (C, H, W), output (N, C, H', W') or (C, H', W'); with return_indices (values, indices),
        of that shape each.

    Raises:
        TypeError: for a size that is neither an integer nor None.
        ValueError: for a negative one, or an input of other dimensions.

    Example:
        >>> AdaptiveMaxPool2d(1, return_indices=True)([[[1.0, 2.0], [3.0, 6.0]]])
        (array([[[6.]]]), array([[[3]]]))
    """

    dims: ClassVar[int] = 2
    equations = """
        H, W = x.shape[-2], x.shape[-1]
        r, s = H if n[0] is None else n[0], W if n[1] is None else n[1]
        i, j, u, v = range(r), range(s), range(H), range(W)
        b[i, u] = (u >= i*H//r) * (u < ((i + 1)*H + r - 1)//r)
        c[j, v] = (v >= j*W//s) * (v < ((j + 1)*W + s - 1)//s)
        q[..., i, j, u, v] = where(b[i, u] * c[j, v] > 0, x[..., u, v], -inf)
        y[..., i, j] = max(q[..., i, j, u, v], u, v)
        e[..., i, j], f[..., i, j] = argmax(q[..., i, j, u, v], u, v)
        m[..., i, j] = e[..., i, j]*W + f[..., i, j]
        dx[..., e[..., i, j], f[..., i, j]] += dy[..., i, j]
    """


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest entries of as many windows as are asked for; the gradient goes to the first of the largest.

    Args:
        output_size: (D', H', W'), one integer for all; None for the size of the input.
        return_indices: whether to return where each largest entry is, too, as integers that count along the rows of
            its channel.

    Shape:
        Input (N, C, D, H, W) or (C, D, H, W), output (N, C, D', H', W') or (C, D', H', W'); with return_indices
        (values, indices), of that shape each.

    Raises:
        TypeError: for a size that is neither an integer nor None.
        ValueError: for a negative one, or an input of other dimensions.

    Example:
        >>> AdaptiveMaxPool3d((1, None, None))(np.zeros((2, 3, 4, 5, 6))).shape
        (2, 3, 1, 5, 6)
    """

    dims: ClassVar[int] = 3
    equations = """
        D, H, W = x.shape[-3], x.shape[-2], x.shape[-1]
        r, s = D if n[0] is None else n[0], H if n[1] is None else n[1]
        t = W if n[2] is None else n[2]
        i, j, l, u, v, w = range(r), range(s), range(t), range(D), range(H), range(W)
        a[i, u] = (u >= i*D//r) * (u < ((i + 1)*D + r - 1)//r)
        b[j, v] = (v >= j*H//s) * (v < ((j + 1)*H + s - 1)//s)
        c[l, w] = (w >= l*W//t) * (w < ((l + 1)*W + t - 1)//t)
        q[..., i, j, l, u, v, w] = where(a[i, u] * b[j, v] * c[l, w] > 0, x[..., u, v, w], -inf)
        y[..., i, j, l] = max(q[..., i, j, l, u, v, w], u, v, w)
        e[..., i, j, l], f[..., i, j, l], g[..., i, j, l] = argmax(q[..., i, j, l, u, v, w], u, v, w)
        m[..., i, j, l] = (e[..., i, j, l]*H + f[..., i, j, l])*W + g[..., i, j, l]
        dx[..., e[..., i, j, l], f[..., i, j, l], g[..., i, j, l]] += dy[..., i, j, l]
    """
