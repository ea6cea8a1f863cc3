"""Convolution: kernels that slide over signals, images and volumes."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import init
from ..module import Module
from ..parameter import Parameter
from ..settings import arguments_text, choice, flag, floating_dtype, integer, integers
from .convolution import Steps, columns_to_keep, convolve, convolve_backward, weight_gradient
from .window import MODES, pad, pad_backward

Sizes = int | tuple[int, ...]  # one for each axis; an integer means all of them


class SlidingKernel(Module):
    """What convolutions and transposed ones share: kernels that slide over the axes in `AXES`, behind the channels.

    Example:
        >>> Conv2d(1, 1, 3).AXES
        ('H', 'W')
    """

    AXES: ClassVar[tuple[str, ...]]

    weight: Parameter
    bias: Parameter | None

    def _keep_settings(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes, dilation: Sizes, groups: int
    ) -> None:
        """Check and keep the settings that all of them have."""
        dims = len(self.AXES)
        self.in_channels = integer(self, "in_channels", in_channels, at_least=0)
        self.out_channels = integer(self, "out_channels", out_channels, at_least=0)
        self.kernel_size = integers(self, "kernel_size", kernel_size, dims, at_least=1)
        self.stride = integers(self, "stride", stride, dims, at_least=1)
        self.dilation = integers(self, "dilation", dilation, dims, at_least=1)
        self.groups = integer(self, "groups", groups, at_least=1)
        for name, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if channels % self.groups:
                title = type(self).__name__
                raise ValueError(f"{title} expects {name} to be divisible by groups={self.groups}, got {channels}")

    def _draw(self, inputs: int, outputs: int, bias: bool, dtype: DTypeLike | None, generator: init.Generator) -> None:
        """Make the weight (outputs, inputs, *kernel_size) and the bias; PyTorch's bound is that of a convolution."""
        dtype = floating_dtype(self, dtype)
        bound = 1 / math.sqrt(max(inputs * math.prod(self.kernel_size), 1))
        self.weight = Parameter(np.empty((outputs, inputs, *self.kernel_size), dtype))
        init.uniform_(self.weight, -bound, bound, generator=generator)
        self.bias = None
        if flag(self, "bias", bias):
            self.bias = Parameter(np.empty(self.out_channels, dtype))
            init.uniform_(self.bias, -bound, bound, generator=generator)

    @property
    def _steps(self) -> Steps:
        return Steps(self.stride, self.dilation, self.groups)

    def _checked(self, x: ArrayLike) -> np.ndarray:
        """Return the input cast and checked: a batch, or a sample alone."""
        x = self.cast(x, self.weight.data.dtype)
        sample = (self.in_channels, *self.AXES)
        return self.cast(x, shape=sample if x.ndim == len(sample) else ("N", *sample))

    def _batch(self, x: np.ndarray) -> np.ndarray:
        """Return a batch as it is, and a sample alone as a batch of one."""
        return x if x.ndim == len(self.AXES) + 2 else x[None]

    def _add_bias(self, y: np.ndarray) -> None:
        if self.bias is not None:
            y += self.bias.data.reshape(-1, *[1] * len(self.AXES))

    def _add_bias_gradient(self, g: np.ndarray) -> None:
        if self.bias is not None:
            self.bias.grad += g.sum((0, *range(2, g.ndim)))

    def extra_repr(self) -> str:
        return arguments_text(self, ("kernel_size", "stride", "padding", "output_padding", "dilation"))


class Convolution(SlidingKernel):
    """What Conv1d, Conv2d and Conv3d share.

    Example:
        >>> isinstance(Conv2d(1, 1, 3), Convolution)
        True
    """

    symbols: ClassVar = {
        "W": "weight",
        "b": "bias",
        "s": "stride",
        "d": "dilation",
        "g": "groups",
        "p": "padding_widths",
        "m": "copying_mode",
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        dtype: DTypeLike | None = None,
        *,
        generator: init.Generator = None,
    ) -> None:
        self._keep_settings(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self.padding: str | tuple[int, ...]
        if isinstance(padding, str):
            self.padding = choice(self, "padding", padding, "valid", "same")
        else:
            self.padding = integers(self, "padding", padding, len(self.AXES), at_least=0)
        if self.padding == "same" and max(self.stride) > 1:
            raise ValueError(f"{type(self).__name__} expects stride to be 1 where padding is 'same', got {stride}")
        self.padding_mode = choice(self, "padding_mode", padding_mode, "zeros", *MODES)
        self._draw(self.in_channels // self.groups, self.out_channels, bias, dtype, generator)

    @property
    def padding_widths(self) -> tuple[tuple[int, int], ...]:
        """How much is padded before and after, axis by axis; of an odd total, 'same' puts the larger half after."""
        if self.padding == "valid":
            return ((0, 0),) * len(self.AXES)
        if self.padding == "same":
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return tuple((total // 2, total - total // 2) for total in totals)
        return tuple((int(width), int(width)) for width in self.padding)

    @property
    def copying_mode(self) -> str | None:
        """The mode of padding, None where it is zeros."""
        return None if self.padding_mode == "zeros" else self.padding_mode

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self._checked(x)
        self._check_size(x)
        q = pad(self._batch(x), self.padding_widths, self.padding_mode)
        columns = columns_to_keep(q, self.weight.data, self._steps)
        y = convolve(q, self.weight.data, self._steps, columns)
        self._add_bias(y)
        y = y if x.ndim == y.ndim else y[0]
        self.save_for_backward(q, columns, x.shape, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray | None:
        g = self._batch(self.upstream(grad_output))
        q, columns, shape = self.saved()
        W, widths = self.weight.data, self.padding_widths
        self.weight.grad += weight_gradient(g, q, W, self._steps, columns)
        self._add_bias_gradient(g)
        if not self.needs_input_grad:
            return None
        if self.padding_mode == "zeros":
            before = [width for width, _ in widths]
            dx = convolve_backward(g, W, self._steps, shape[-len(widths) :], before)
        else:
            dq = convolve_backward(g, W, self._steps, q.shape[2:], [0] * len(widths))
            dx = pad_backward(dq, widths, self.padding_mode)
        return dx.reshape(shape)

    def _check_size(self, x: np.ndarray) -> None:
        """Refuse an input that, padded, is smaller than the kernel, or too small to be copied from."""
        least = []
        for kernel, dilation, widths in zip(self.kernel_size, self.dilation, self.padding_widths, strict=True):
            copied = {"reflect": max(widths) + 1, "circular": max(widths)}.get(self.padding_mode, 0)
            least.append(max(dilation * (kernel - 1) + 1 - sum(widths), copied, 1))
        sizes = x.shape[-len(least) :]
        if any(size < wanted for size, wanted in zip(sizes, least, strict=True)):
            wanted = ", ".join(f"{axis} >= {size}" for axis, size in zip(self.AXES, least, strict=True))
            raise ValueError(f"{self!r} expects an input of {wanted}, got shape {x.shape}")


class Conv1d(Convolution):
    """Slides kernels over signals: y[o, i] = b[o] + Σ_{c, u} W[o, c, u] x[c, i + u].

    Args:
        in_channels: how many channels the input has.
        out_channels: how many kernels there are, each of which makes a channel of the output.
        kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype, generator: as in Conv2d, of one axis.

    Shape:
        Input (N, in_channels, L) or (in_channels, L), output (N, out_channels, L') or (out_channels, L').

    Attributes:
        weight: W, (out_channels, in_channels / groups, kernel_size).
        bias: b, (out_channels,); None without bias.

    Raises:
        TypeError, ValueError: as in Conv2d.

    Example:
        >>> Conv1d(3, 2, kernel_size=5)(np.zeros((4, 3, 16))).shape
        (4, 2, 12)
    """

    AXES = ("L",)
    equations = """
        q = x if p.max() == 0 else pad(x, p) if m is None else pad(x, p, m)
        L = q.shape[-1]
        O, C, U = W.shape
        i = range((L - d[0]*(U - 1) - 1)//s[0] + 1)
        y[..., o, i] = b[o] + sum(W[o, c, u] * q[..., c if g == 1 else o//(O//g)*C + c, s[0]*i + d[0]*u], c, u)
        dq[..., c if g == 1 else o//(O//g)*C + c, s[0]*i + d[0]*u] += W[o, c, u] * dy[..., o, i]
        dx = dq if p.max() == 0 else crop(dq, p) if m is None else crop(dq, p, m)
        dW[o, c, u] += q[..., c if g == 1 else o//(O//g)*C + c, s[0]*i + d[0]*u] * dy[..., o, i]
        db[o] += dy[..., o, i]
    """


class Conv2d(Convolution):
    """Slides kernels over images: y[o, i, j] = b[o] + Σ_{c, u, v} W[o, c, u, v] x[c, i + u, j + v].

    The kernel is not flipped: in signal processing this is called cross-correlation.

    Args:
        in_channels: how many channels the input has.
        out_channels: how many kernels there are, each of which makes a channel of the output.
        kernel_size: the height and width of a kernel; one integer means both, here and below.
        stride: by how many pixels a kernel moves from one output to the next.
        padding: how many rows and columns to add on each side; 'valid' for none, 'same' for an output as large as the
            input, for which the stride must be 1.
        dilation: how many pixels lie from one entry of a kernel to the next.
        groups: into how many groups the channels part; a kernel sees the input channels of its own group alone.
        bias: False leaves b out.
        padding_mode: what is added: 'zeros', 'reflect' (mirrored, without the edge), 'replicate' (the edge itself) or
            'circular' (the opposite side).
        dtype: of the parameters, and so of the computation; float32 by default.
        generator: where the initial values are drawn from; None for the library's own.

    Shape:
        Input (N, in_channels, H, W) or (in_channels, H, W), output (N, out_channels, H', W') or (out_channels, H', W')
        with H' = ⌊(H + padding before and after - dilation (kernel_size - 1) - 1) / stride⌋ + 1, and W' alike.

    Attributes:
        weight: W, (out_channels, in_channels / groups, height, width), drawn from U(-1/√n, 1/√n) with n the number
            of weights of a kernel.
        bias: b, (out_channels,), drawn from the same; None without bias.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for settings out of range, channels that groups do not divide, another number of channels, or an
            image that is too small for the kernel or for its padding.

    Example:
        >>> Conv2d(3, 2, kernel_size=3, padding=1)(np.zeros((5, 3, 8, 6))).shape
        (5, 2, 8, 6)
    """

    AXES = ("H", "W")
    equations = """
        q = x if p.max() == 0 else pad(x, p) if m is None else pad(x, p, m)
        H, K = q.shape[-2], q.shape[-1]
        O, C, U, V = W.shape
        i = range((H - d[0]*(U - 1) - 1)//s[0] + 1)
        j = range((K - d[1]*(V - 1) - 1)//s[1] + 1)
        y[..., o, i, j] = b[o] + sum(W[o, c, u, v] * q[..., c if g == 1 else o//(O//g)*C + c, s[0]*i + d[0]*u, s[1]*j + d[1]*v], c, u, v)
        dq[..., c if g == 1 else o//(O//g)*C + c, s[0]*i + d[0]*u, s[1]*j + d[1]*v] += W[o, c, u, v] * dy[..., o, i, j]
        dx = dq if p.max() == 0 else crop(dq, p) if m is None else crop(dq, p, m)
        dW[o, c, u, v] += q[..., c if g == 1 else o//(O//g)*C + c, s[0]*i + d[0]*u, s[1]*j + d[1]*v] * dy[..., o, i, j]
        db[o] += dy[..., o, i, j]
    """  # noqa: E501


class Conv3d(Convolution):
    """Slides kernels over volumes: y[o, i, j, l] = b[o] + Σ_{c, u, v, w} W[o, c, u, v, w] x[c, i + u, j + v, l + w].

    Args:
        in_channels: how many channels the input has.
        out_channels: how many kernels there are, each of which makes a channel of the output.
        kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype, generator: as in Conv2d, of three
            axes.

    Shape:
        Input (N, in_channels, D, H, W) or without N, output (N, out_channels, D', H', W') or without N.

    Attributes:
        weight: W, (out_channels, in_channels / groups, depth, height, width).
        bias: b, (out_channels,); None without bias.

    Raises:
        TypeError, ValueError: as in Conv2d.

    Example:
        >>> Conv3d(1, 2, kernel_size=3, stride=2)(np.zeros((4, 1, 7, 7, 9))).shape
        (4, 2, 3, 3, 4)
    """

    AXES = ("D", "H", "W")
    equations = """
        q = x if p.max() == 0 else pad(x, p) if m is None else pad(x, p, m)
        D, H, K = q.shape[-3], q.shape[-2], q.shape[-1]
        O, C, T, U, V = W.shape
        h = range((D - d[0]*(T - 1) - 1)//s[0] + 1)
        i = range((H - d[1]*(U - 1) - 1)//s[1] + 1)
        j = range((K - d[2]*(V - 1) - 1)//s[2] + 1)
        y[..., o, h, i, j] = b[o] + sum(W[o, c, t, u, v] * q[..., c if g == 1 else o//(O//g)*C + c, s[0]*h + d[0]*t, s[1]*i + d[1]*u, s[2]*j + d[2]*v], c, t, u, v)
        dq[..., c if g == 1 else o//(O//g)*C + c, s[0]*h + d[0]*t, s[1]*i + d[1]*u, s[2]*j + d[2]*v] += W[o, c, t, u, v] * dy[..., o, h, i, j]
        dx = dq if p.max() == 0 else crop(dq, p) if m is None else crop(dq, p, m)
        dW[o, c, t, u, v] += q[..., c if g == 1 else o//(O//g)*C + c, s[0]*h + d[0]*t, s[1]*i + d[1]*u, s[2]*j + d[2]*v] * dy[..., o, h, i, j]
        db[o] += dy[..., o, h, i, j]
    """  # noqa: E501
