"""Local response normalisation: each channel is divided by how strongly its neighbours respond at the same place."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..module import Module
from ..numeric import wide
from ..settings import integer, number


class ResponseNorm(Module):
    """The base of both: y = x / u^beta with u = k + alpha / size · Σ x², the sum over neighbouring channels."""

    symbols: ClassVar = {"s": "size", "alpha": "alpha", "beta": "beta", "k": "k"}

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        self.size = integer(self, "size", size, at_least=1)
        self.alpha = number(self, "alpha", alpha)
        self.beta = number(self, "beta", beta)
        self.k = number(self, "k", k)

    def _sums(self, q: np.ndarray) -> np.ndarray:
        """Return for each channel the sum of q over its neighbours and itself."""
        raise NotImplementedError(f"{type(self).__name__} does not say which channels are neighbours")

    def _sums_backward(self, t: np.ndarray) -> np.ndarray:
        """Return for each channel the sum of t over those that it is a neighbour of."""
        raise NotImplementedError(f"{type(self).__name__} does not say which channels are neighbours")

    def _normalize(self, x: np.ndarray) -> np.ndarray:
        q = wide(x)
        u = self.k + self.alpha / self.size * self._sums(q * q)
        p = u**-self.beta
        y = (q * p).astype(x.dtype, copy=False)
        self.save_for_backward(q, u, p, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        x, u, p = self.saved()
        # x stands above the line in its own output, and below it, in u, in that of every channel it is a neighbour of.
        t = self._sums_backward(g * x * p / u)
        dx = g * p - (2 * self.alpha * self.beta / self.size) * x * t
        return dx.astype(g.dtype, copy=False)


class LocalResponseNorm(ResponseNorm):
    """y = x / u^beta, where u = k + alpha / size · Σ x², the sum over `size` neighbouring channels, itself included.

    Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012.

    Args:
        size: how many channels are summed: size // 2 before, (size - 1) // 2 behind, as far as there are any.
        alpha: the factor of the mean of squares.
        beta: the exponent.
        k: what is added.

    Shape:
        Input (N, C, L), (N, C, H, W), ..., output the same.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for a size below 1, or an input of fewer than three dimensions.

    Example:
        >>> LocalResponseNorm(3, alpha=3.0, beta=1.0)([[[1.0], [2.0], [0.0]]])
        array([[[0.16666667],
                [0.33333333],
                [0.        ]]])
    """

    equations = """
        c, e = range(x.shape[1]), range(x.shape[1])
        q[n, c, ...] = x[n, c, ...]**2
        a[c, e] = (e >= c - s // 2) * (e <= c + (s - 1) // 2)
        u[n, c, ...] = k + alpha / s * sum(a[c, e] * q[n, e, ...], e)
        y[n, c, ...] = x[n, c, ...] / u[n, c, ...]**beta
        du[n, c, ...] = -beta * dy[n, c, ...] * x[n, c, ...] / u[n, c, ...]**(beta + 1)
        dq[n, c, ...] = alpha / s * sum(a[e, c] * du[n, e, ...], e)
        dx[n, c, ...] = dy[n, c, ...] / u[n, c, ...]**beta + 2 * x[n, c, ...] * dq[n, c, ...]
    """

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        if x.ndim < 3:
            raise ValueError(
                f"{self!r} expects input of shape (N, C, ...), of three dimensions at least, got {x.shape}"
            )
        return self._normalize(x)

    def _sums(self, q: np.ndarray) -> np.ndarray:
        return _window_sums(q, self.size // 2, (self.size - 1) // 2)

    def _sums_backward(self, t: np.ndarray) -> np.ndarray:
        return _window_sums(t, (self.size - 1) // 2, self.size // 2)


class CrossMapLRN2d(ResponseNorm):
    """LocalResponseNorm of images, with as many channels before as behind, and the first in every sum, as in PyTorch.

    From where the window has left the first channel behind, PyTorch goes on to count it in, and so does this layer; its
    gradient is that of this very output, which PyTorch's own is not.

    Args:
        size: (size - 1) // 2 channels before and as many behind are summed.
        alpha: over size, the factor of the sum of squares.
        beta: the exponent.
        k: what is added.

    Shape:
        Input (N, C, H, W), output the same.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for a size below 1, or an input of another number of dimensions.

    Example:
        >>> CrossMapLRN2d(3, alpha=3.0, beta=1.0)(np.ones((1, 3, 1, 1))).ravel().round(3)
        array([0.333, 0.25 , 0.25 ])
    """

    equations = """
        c, e = range(x.shape[1]), range(x.shape[1])
        q[n, c, ...] = x[n, c, ...]**2
        a[c, e] = maximum(e == 0, e > c - (s + 1) // 2) * (e < c + (s + 1) // 2)
        u[n, c, ...] = k + alpha / s * sum(a[c, e] * q[n, e, ...], e)
        y[n, c, ...] = x[n, c, ...] / u[n, c, ...]**beta
        du[n, c, ...] = -beta * dy[n, c, ...] * x[n, c, ...] / u[n, c, ...]**(beta + 1)
        dq[n, c, ...] = alpha / s * sum(a[e, c] * du[n, e, ...], e)
        dx[n, c, ...] = dy[n, c, ...] / u[n, c, ...]**beta + 2 * x[n, c, ...] * dq[n, c, ...]
    """

    def forward(self, x: ArrayLike) -> np.ndarray:
        return self._normalize(self.cast(x, shape=("N", "C", "H", "W")))

    def _sums(self, q: np.ndarray) -> np.ndarray:
        side = (self.size - 1) // 2
        sums = _window_sums(q, side, side)
        sums[:, side + 1 :] += q[:, :1]
        return sums

    def _sums_backward(self, t: np.ndarray) -> np.ndarray:
        side = (self.size - 1) // 2
        sums = _window_sums(t, side, side)
        sums[:, :1] += t[:, side + 1 :].sum(1, keepdims=True)
        return sums


def _window_sums(q: np.ndarray, before: int, behind: int) -> np.ndarray:
    """Return for each channel the sum of q over so many before it, itself, and so many behind."""
    sums = q.copy()
    for offset in range(1, min(before, q.shape[1]) + 1):
        sums[:, offset:] += q[:, :-offset]
    for offset in range(1, min(behind, q.shape[1]) + 1):
        sums[:, :-offset] += q[:, offset:]
    return sums
