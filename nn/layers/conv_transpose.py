"""Transposed convolution: each entry of the input adds a kernel to the output, where a convolution gathers one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import init
from ..settings import choice, integers
from .conv import Sizes, SlidingKernel
from .convolution import convolve, convolve_backward, reach, weight_gradient, widen


class TransposedConvolution(SlidingKernel):
    """What ConvTranspose1d, ConvTranspose2d and ConvTranspose3d share.

    Example:
        >>> isinstance(ConvTranspose2d(1, 1, 3), TransposedConvolution)
        True
    """

    symbols: ClassVar = {
        "W": "weight",
        "b": "bias",
        "s": "stride",
        "d": "dilation",
        "g": "groups",
        "p": "padding",
        "e": "output_padding",
    }
    input_symbols = ("x", "r")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        dtype: DTypeLike | None = None,
        *,
        generator: init.Generator = None,
    ) -> None:
        self._keep_settings(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self.padding = integers(self, "padding", padding, len(self.AXES), at_least=0)
        self.output_padding = integers(self, "output_padding", output_padding, len(self.AXES), at_least=0)
        for extra, s, d in zip(self.output_padding, self.stride, self.dilation, strict=True):
            if extra >= max(s, d):
                raise ValueError(
                    f"{type(self).__name__} expects output_padding to be smaller than stride or dilation, "
                    f"got {output_padding} with stride={stride} and dilation={dilation}"
                )
        self.padding_mode = choice(self, "padding_mode", padding_mode, "zeros")
        self._draw(self.out_channels // self.groups, self.in_channels, bias, dtype, generator)

    def __call__(self, x: ArrayLike, output_size: Sequence[int] | None = None) -> Any:
        return super().__call__(x, *([] if output_size is None else [output_size]))

    def forward(self, x: ArrayLike, output_size: Sequence[int] | None = None) -> np.ndarray:
        x = self._checked(x)
        sizes = self._output_sizes(x, output_size)
        batch = self._batch(x)
        y = convolve_backward(batch, self.weight.data, self._steps, sizes, self.padding)
        self._add_bias(y)
        y = y if x.ndim == y.ndim else y[0]
        self.save_for_backward(batch, x.shape, output_size is not None, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> Any:
        g = self._batch(self.upstream(grad_output))
        x, shape, is_sized = self.saved()
        W = self.weight.data
        # The gradient of all that the kernels reach: nothing comes from what padding has cropped, or output_padding
        # has added.
        axes = zip(reach(x.shape[2:], self.kernel_size, self._steps), self.padding, g.shape[2:], strict=True)
        dz = widen(g, [(p, n - p - m) for n, p, m in axes])
        self.weight.grad += weight_gradient(x, dz, W, self._steps)
        self._add_bias_gradient(g)
        dx = convolve(dz, W, self._steps).reshape(shape) if self.needs_input_grad else None
        return (dx, None) if is_sized else dx  # a gradient for each input; a size has none

    def _output_sizes(self, x: np.ndarray, output_size: Sequence[int] | None) -> list[int]:
        """Return the sizes of the output's axes, which may be asked for where a stride leaves a choice."""
        dims = len(self.AXES)
        reached = reach(x.shape[-dims:], self.kernel_size, self._steps)
        least = [n - 2 * p for n, p in zip(reached, self.padding, strict=True)]
        if output_size is None:
            sizes = [n + extra for n, extra in zip(least, self.output_padding, strict=True)]
        else:
            wanted = output_size.tolist() if isinstance(output_size, np.ndarray) else output_size
            if isinstance(wanted, list | tuple) and len(wanted) == x.ndim:  # a whole shape
                wanted = wanted[-dims:]
            sizes = list(integers(self, "output_size", wanted, dims))
            most = [n + s - 1 for n, s in zip(least, self.stride, strict=True)]
            if any(not low <= n <= high for n, low, high in zip(sizes, least, most, strict=True)):
                raise ValueError(
                    f"{self!r} expects output_size from {tuple(least)} to {tuple(most)} for an input of shape "
                    f"{x.shape}, got {tuple(sizes)}"
                )
        if min(sizes) < 1 or 0 in x.shape[-dims:]:
            raise ValueError(f"{self!r} expects a larger input, got shape {x.shape}: nothing of the output would stay")
        return sizes


class ConvTranspose1d(TransposedConvolution):
    """Adds kernels up along signals: y[o, s i + u] += W[c, o, u] x[c, i], with the stride s; then the bias.

    Args:
        in_channels: how many channels the input has.
        out_channels: how many channels the output has.
        kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode, dtype, generator: as in
            ConvTranspose2d, of one axis.

    Shape:
        Input (N, in_channels, L) or (in_channels, L), output (N, out_channels, L') or (out_channels, L'). A second
        argument, `output_size`, as in ConvTranspose2d.

    Attributes:
        weight: W, (in_channels, out_channels / groups, kernel_size).
        bias: b, (out_channels,); None without bias.

    Raises:
        TypeError, ValueError: as in ConvTranspose2d.

    Example:
        >>> ConvTranspose1d(3, 2, kernel_size=5, stride=2)(np.zeros((4, 3, 6))).shape
        (4, 2, 15)
    """

    AXES = ("L",)
    equations = """
        C, O, U = W.shape
        L = x.shape[-1]
        P = s[0]*(L - 1) + d[0]*(U - 1) + 1 + e[0] if r is None else 2*p[0] + r[r.size - 1]
        z = zeros(O*g, P) if x.ndim == 2 else zeros(x.shape[0], O*g, P)
        z[..., o if g == 1 else c//(C//g)*O + o, s[0]*i + d[0]*u] += W[c, o, u] * x[..., c, i]
        q = z if p.max() == 0 else crop(z, p)
        y[..., f, h] = q[..., f, h] + b[f]
        dz = dy if p.max() == 0 else pad(dy, p)
        dx[..., c, i] += W[c, o, u] * dz[..., o if g == 1 else c//(C//g)*O + o, s[0]*i + d[0]*u]
        dW[c, o, u] += x[..., c, i] * dz[..., o if g == 1 else c//(C//g)*O + o, s[0]*i + d[0]*u]
        db[f] += dy[..., f, h]
    """


class ConvTranspose2d(TransposedConvolution):
    """Adds kernels up in images: y[o, s i + u, s j + v] += W[c, o, u, v] x[c, i, j], with the stride s; then the bias.

    It is what a Conv2d of the same settings does to a gradient, with which it shares its weight's layout, and no
    inverse of it.

    Args:
        in_channels: how many channels the input has.
        out_channels: how many channels the output has.
        kernel_size: the height and width of a kernel; one integer means both, here and below.
        stride: by how many pixels the kernels of neighbours lie apart.
        padding: how many rows and columns to crop on each side of the output.
        output_padding: how many to add at its end; less than the stride or the dilation.
        groups: into how many groups the channels part; an input channel adds to the output channels of its own alone.
        bias: False leaves b out.
        dilation: how many pixels lie from one entry of a kernel to the next.
        padding_mode: 'zeros', and no other.
        dtype: of the parameters, and so of the computation; float32 by default.
        generator: where the initial values are drawn from; None for the library's own.

    Shape:
        Input (N, in_channels, H, W) or (in_channels, H, W), output (N, out_channels, H', W') or (out_channels, H', W')
        with H' = (H - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1, and W' alike. A second
        argument, `output_size`, sets H' and W' where the stride leaves a choice, in place of output_padding; it may
        be the whole shape of an array, such as that of a convolution's input.

    Attributes:
        weight: W, (in_channels, out_channels / groups, height, width), drawn from U(-1/√n, 1/√n) with n the number of
            weights behind the first axis.
        bias: b, (out_channels,), drawn from the same; None without bias.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for settings out of range, channels that groups do not divide, another number of channels, an
            output_size out of reach, or an output of which padding leaves nothing.

    Example:
        >>> up = ConvTranspose2d(3, 2, kernel_size=3, stride=2)
        >>> up(np.zeros((5, 3, 4, 4))).shape, up(np.zeros((5, 3, 4, 4)), output_size=(10, 9)).shape
        ((5, 2, 9, 9), (5, 2, 10, 9))
    """

    AXES = ("H", "W")
    equations = """
        C, O, U, V = W.shape
        H, K = x.shape[-2], x.shape[-1]
        P = s[0]*(H - 1) + d[0]*(U - 1) + 1 + e[0] if r is None else 2*p[0] + r[r.size - 2]
        Q = s[1]*(K - 1) + d[1]*(V - 1) + 1 + e[1] if r is None else 2*p[1] + r[r.size - 1]
        z = zeros(O*g, P, Q) if x.ndim == 3 else zeros(x.shape[0], O*g, P, Q)
        z[..., o if g == 1 else c//(C//g)*O + o, s[0]*i + d[0]*u, s[1]*j + d[1]*v] += W[c, o, u, v] * x[..., c, i, j]
        q = z if p.max() == 0 else crop(z, p)
        y[..., f, h, k] = q[..., f, h, k] + b[f]
        dz = dy if p.max() == 0 else pad(dy, p)
        dx[..., c, i, j] += W[c, o, u, v] * dz[..., o if g == 1 else c//(C//g)*O + o, s[0]*i + d[0]*u, s[1]*j + d[1]*v]
        dW[c, o, u, v] += x[..., c, i, j] * dz[..., o if g == 1 else c//(C//g)*O + o, s[0]*i + d[0]*u, s[1]*j + d[1]*v]
        db[f] += dy[..., f, h, k]
    """


class ConvTranspose3d(TransposedConvolution):
    """Adds kernels up in volumes: y[o, s h + t, s i + u, s j + v] += W[c, o, t, u, v] x[c, h, i, j]; then the bias.

    Args:
        in_channels: how many channels the input has.
        out_channels: how many channels the output has.
        kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode, dtype, generator: as in
            ConvTranspose2d, of three axes.

    Shape:
        Input (N, in_channels, D, H, W) or without N, output (N, out_channels, D', H', W') or without N. A second
        argument, `output_size`, as in ConvTranspose2d.

    Attributes:
        weight: W, (in_channels, out_channels / groups, depth, height, width).
        bias: b, (out_channels,); None without bias.

    Raises:
        TypeError, ValueError: as in ConvTranspose2d.

    Example:
        >>> ConvTranspose3d(1, 2, kernel_size=2, stride=2)(np.zeros((4, 1, 3, 3, 5))).shape
        (4, 2, 6, 6, 10)
    """

    AXES = ("D", "H", "W")
    equations = """
        C, O, T, U, V = W.shape
        D, H, K = x.shape[-3], x.shape[-2], x.shape[-1]
        P = s[0]*(D - 1) + d[0]*(T - 1) + 1 + e[0] if r is None else 2*p[0] + r[r.size - 3]
        Q = s[1]*(H - 1) + d[1]*(U - 1) + 1 + e[1] if r is None else 2*p[1] + r[r.size - 2]
        R = s[2]*(K - 1) + d[2]*(V - 1) + 1 + e[2] if r is None else 2*p[2] + r[r.size - 1]
        z = zeros(O*g, P, Q, R) if x.ndim == 4 else zeros(x.shape[0], O*g, P, Q, R)
        z[..., o if g == 1 else c//(C//g)*O + o, s[0]*h + d[0]*t, s[1]*i + d[1]*u, s[2]*j + d[2]*v] += W[c, o, t, u, v] * x[..., c, h, i, j]
        q = z if p.max() == 0 else crop(z, p)
        y[..., f, l, m, n] = q[..., f, l, m, n] + b[f]
        dz = dy if p.max() == 0 else pad(dy, p)
        dx[..., c, h, i, j] += W[c, o, t, u, v] * dz[..., o if g == 1 else c//(C//g)*O + o, s[0]*h + d[0]*t, s[1]*i + d[1]*u, s[2]*j + d[2]*v]
        dW[c, o, t, u, v] += x[..., c, h, i, j] * dz[..., o if g == 1 else c//(C//g)*O + o, s[0]*h + d[0]*t, s[1]*i + d[1]*u, s[2]*j + d[2]*v]
        db[f] += dy[..., f, l, m, n]
    """  # noqa: E501
