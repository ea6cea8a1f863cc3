"""Power-average pooling: the p-norm of each window, between the sum (p = 1) and the largest entry (p = ∞)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..settings import flag, number
from .avg_pool import window_areas, window_sums, window_sums_backward
from .max_pool import largest, to_largest
from .spatial import Spatial
from .window import Windows


class _LPPool(Spatial):
    """Power-average pooling for any number of axes; the classes below state it for each."""

    symbols: ClassVar = {"p": "norm_type", "k": "kernel_size", "s": "stride", "ceil": "ceil_mode"}

    def __init__(
        self,
        norm_type: float,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        ceil_mode: bool = False,
    ) -> None:
        self.norm_type = number(self, "norm_type", norm_type)
        if self.norm_type == 0:
            raise ValueError(f"{type(self).__name__} expects a norm_type other than 0, of which there is no root")
        self.kernel_size = self.each("kernel_size", kernel_size, at_least=1)
        self.stride = self.each("stride", kernel_size if stride is None else stride, at_least=1)
        self.ceil_mode = flag(self, "ceil_mode", ceil_mode)

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.images(x)
        windows = self.slide(x, self.kernel_size, self.stride, ceil_mode=self.ceil_mode)
        p = self.norm_type
        if math.isinf(p):
            y, number = largest(math.copysign(1.0, p) * np.abs(x), windows)
            y = np.abs(y)
            self.save_for_backward(x, windows, number, output=y)
            return y
        with np.errstate(all="ignore"):  # a power or a root may be infinite, or have no real value
            S = window_sums(x**p, windows) * self._scale(x, windows)
            y = S ** (1 / p)
        self.save_for_backward(x, windows, S, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        x, windows, kept = self.saved()
        p = self.norm_type
        if math.isinf(p):
            return to_largest(g, kept, windows, x.shape) * np.sign(x)
        S = kept
        with np.errstate(all="ignore"):
            dS = np.where(S == 0, 0, g * S ** (1 / p - 1) / p)  # at 0 there is no derivative: 0, as in PyTorch
            return window_sums_backward(dS * self._scale(x, windows), windows, x.shape) * p * x ** (p - 1)

    def _scale(self, x: np.ndarray, windows: Windows) -> np.ndarray:
        """Return by how much the sum over each window grows: one that hangs over stands for a whole one."""
        zeros = (0,) * self.dims
        areas = window_areas(x.shape[-self.dims :], windows.counts, self.kernel_size, self.stride, zeros, True)
        return np.asarray(math.prod(self.kernel_size) / areas, x.dtype)


class LPPool1d(_LPPool):
    """The p-norm of each window of a signal, (Σ xᵖ)^(1/p): the sum for p = 1, the largest |x| for p = ∞.

    Where the sum is 0, which has no derivative, the gradient is 0. The power is of x, not of its absolute value: for an
    odd p a negative sum has the root NaN.

    Args:
        norm_type: p, any number but 0, infinite ones too.
        kernel_size: how many entries a window has.
        stride: the step from one window to the next; the kernel's size by default.
        ceil_mode: whether a last window may hang over the end; its sum is scaled to that of a whole window.

    Shape:
        Input (N, C, L) or (C, L), output (N, C, L') or (C, L') with L' = ⌊(L - kernel_size) / stride⌋ + 1, rounded up
        with ceil_mode; the last window begins before the end of the signal.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for settings out of range, or an input in which no window has room.

    Example:
        >>> LPPool1d(2, 2)([[3.0, 4.0, 0.0, 1.0]])
        array([[5., 1.]])
    """

    dims: ClassVar[int] = 1
    equations = """
        r = x.shape[-1] - k[0]
        h = (r + s[0] - 1)//s[0] if ceil else r//s[0]
        i, u = range(h + (s[0]*h < x.shape[-1]) if ceil else h + 1), range(k[0])
        P = ((0, s[0] - 1),)
        z = abs(x) if p in (inf, -inf) else x**p
        q = pad(z, P, -p if p in (inf, -inf) else 0) if ceil else z
        Q[..., i, u] = q[..., s[0]*i + u]
        m[i] = k[0] / (minimum(s[0]*i + k[0], x.shape[-1]) - s[0]*i) if ceil else 1
        S[..., i] = sum(Q[..., i, u], u) * m[i]
        y[..., i] = max(Q[..., i, u], u) if p == inf else min(Q[..., i, u], u) if p == -inf else S[..., i]**(1/p)
        a[..., i] = argmax(-Q[..., i, u] if p == -inf else Q[..., i, u], u)
        dS[..., i] = where(S[..., i] == 0, 0, dy[..., i] * S[..., i]**(1/p - 1) / p)
        dQ[..., i, u] = dy[..., i] * (a[..., i] == u) if p in (inf, -inf) else dS[..., i] * m[i]
        dq[..., s[0]*i + u] += dQ[..., i, u]
        dz = crop(dq, P) if ceil else dq
        dx = dz * sign(x) if p in (inf, -inf) else dz * p * x**(p - 1)
    """


class LPPool2d(_LPPool):
    """The p-norm of each window of an image, (Σ xᵖ)^(1/p): the sum for p = 1, the largest |x| for p = ∞.

    Where the sum is 0, which has no derivative, the gradient is 0. The power is of x, not of its absolute value: for an
    odd p a negative sum has the root NaN.

    Args:
        norm_type: p, any number but 0, infinite ones too.
        kernel_size: the height and width of a window; one integer for both.
        stride: the steps from one window to the next; the kernel's size by default.
        ceil_mode: whether a last window may hang over the edge; its sum is scaled to that of a whole window.

    Shape:
        Input (N, C, H, W) or (C, H, W), output (N, C, H', W') or (C, H', W') with
        H' = ⌊(H - kernel_size) / stride⌋ + 1, rounded up with ceil_mode; the last window begins before the edge of the
        image.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for settings out of range, or an input in which no window has room.

    Example:
        >>> LPPool2d(2, 2)([[[1.0, 1.0], [1.0, 1.0]]])
        array([[[2.]]])
    """

    dims: ClassVar[int] = 2
    equations = """
        H, W = x.shape[-2], x.shape[-1]
        h = (H - k[0] + s[0] - 1)//s[0] if ceil else (H - k[0])//s[0]
        w = (W - k[1] + s[1] - 1)//s[1] if ceil else (W - k[1])//s[1]
        i, u = range(h + (s[0]*h < H) if ceil else h + 1), range(k[0])
        j, v = range(w + (s[1]*w < W) if ceil else w + 1), range(k[1])
        P = ((0, s[0] - 1), (0, s[1] - 1))
        z = abs(x) if p in (inf, -inf) else x**p
        q = pad(z, P, -p if p in (inf, -inf) else 0) if ceil else z
        Q[..., i, j, u, v] = q[..., s[0]*i + u, s[1]*j + v]
        m[i] = k[0] / (minimum(s[0]*i + k[0], H) - s[0]*i) if ceil else 1
        n[j] = k[1] / (minimum(s[1]*j + k[1], W) - s[1]*j) if ceil else 1
        S[..., i, j] = sum(Q[..., i, j, u, v], u, v) * m[i] * n[j]
        R[..., i, j] = max(Q[..., i, j, u, v], u, v) if p == inf else min(Q[..., i, j, u, v], u, v)
        y[..., i, j] = R[..., i, j] if p in (inf, -inf) else S[..., i, j]**(1/p)
        a[..., i, j], b[..., i, j] = argmax(-Q[..., i, j, u, v] if p == -inf else Q[..., i, j, u, v], u, v)
        A[..., i, j, u, v] = (a[..., i, j] == u) * (b[..., i, j] == v)
        dS[..., i, j] = where(S[..., i, j] == 0, 0, dy[..., i, j] * S[..., i, j]**(1/p - 1) / p)
        dQ[..., i, j, u, v] = dy[..., i, j] * A[..., i, j, u, v] if p in (inf, -inf) else dS[..., i, j] * m[i] * n[j]
        dq[..., s[0]*i + u, s[1]*j + v] += dQ[..., i, j, u, v]
        dz = crop(dq, P) if ceil else dq
        dx = dz * sign(x) if p in (inf, -inf) else dz * p * x**(p - 1)
    """


class LPPool3d(_LPPool):
    """The p-norm of each window of a volume, (Σ xᵖ)^(1/p): the sum for p = 1, the largest |x| for p = ∞.

    Where the sum is 0, which has no derivative, the gradient is 0. The power is of x, not of its absolute value: for an
    odd p a negative sum has the root NaN.

    Args:
        norm_type: p, any number but 0, infinite ones too.
        kernel_size: the depth, height and width of a window; one integer for all.
        stride: the steps from one window to the next; the kernel's size by default.
        ceil_mode: whether a last window may hang over the edge; its sum is scaled to that of a whole window.

    Shape:
        Input (N, C, D, H, W) or (C, D, H, W), output the same with sizes as `LPPool2d` has them.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for settings out of range, or an input in which no window has room.

    Example:
        >>> LPPool3d(1, 2)(np.ones((1, 2, 2, 2)))
        array([[[[8.]]]])
    """

    dims: ClassVar[int] = 3
    equations = """
        T, H, W = x.shape[-3], x.shape[-2], x.shape[-1]
        g = (T - k[0] + s[0] - 1)//s[0] if ceil else (T - k[0])//s[0]
        h = (H - k[1] + s[1] - 1)//s[1] if ceil else (H - k[1])//s[1]
        f = (W - k[2] + s[2] - 1)//s[2] if ceil else (W - k[2])//s[2]
        i, u = range(g + (s[0]*g < T) if ceil else g + 1), range(k[0])
        j, v = range(h + (s[1]*h < H) if ceil else h + 1), range(k[1])
        l, w = range(f + (s[2]*f < W) if ceil else f + 1), range(k[2])
        P = ((0, s[0] - 1), (0, s[1] - 1), (0, s[2] - 1))
        z = abs(x) if p in (inf, -inf) else x**p
        q = pad(z, P, -p if p in (inf, -inf) else 0) if ceil else z
        Q[..., i, j, l, u, v, w] = q[..., s[0]*i + u, s[1]*j + v, s[2]*l + w]
        m[i] = k[0] / (minimum(s[0]*i + k[0], T) - s[0]*i) if ceil else 1
        n[j] = k[1] / (minimum(s[1]*j + k[1], H) - s[1]*j) if ceil else 1
        o[l] = k[2] / (minimum(s[2]*l + k[2], W) - s[2]*l) if ceil else 1
        M[i, j, l] = m[i] * n[j] * o[l]
        S[..., i, j, l] = sum(Q[..., i, j, l, u, v, w], u, v, w) * M[i, j, l]
        R[..., i, j, l] = max(Q[..., i, j, l, u, v, w], u, v, w) if p == inf else min(Q[..., i, j, l, u, v, w], u, v, w)
        y[..., i, j, l] = R[..., i, j, l] if p in (inf, -inf) else S[..., i, j, l]**(1/p)
        N[..., i, j, l, u, v, w] = -Q[..., i, j, l, u, v, w] if p == -inf else Q[..., i, j, l, u, v, w]
        a[..., i, j, l], b[..., i, j, l], c[..., i, j, l] = argmax(N[..., i, j, l, u, v, w], u, v, w)
        A[..., i, j, l, u, v, w] = (a[..., i, j, l] == u) * (b[..., i, j, l] == v) * (c[..., i, j, l] == w)
        dS[..., i, j, l] = where(S[..., i, j, l] == 0, 0, dy[..., i, j, l] * S[..., i, j, l]**(1/p - 1) / p)
        D[..., i, j, l, u, v, w] = dy[..., i, j, l] * A[..., i, j, l, u, v, w]
        dQ[..., i, j, l, u, v, w] = D[..., i, j, l, u, v, w] if p in (inf, -inf) else dS[..., i, j, l] * M[i, j, l]
        dq[..., s[0]*i + u, s[1]*j + v, s[2]*l + w] += dQ[..., i, j, l, u, v, w]
        dz = crop(dq, P) if ceil else dq
        dx = dz * sign(x) if p in (inf, -inf) else dz * p * x**(p - 1)
    """
