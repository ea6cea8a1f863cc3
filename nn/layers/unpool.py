"""Unpooling: what max-pooling left goes back to where it came from, with zeros around."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..module import short_repr
from .plane import entries, planes
from .spatial import Spatial, check_padding


class _MaxUnpool(Spatial):
    """Unpooling for any number of axes; the classes below state it for each."""

    symbols: ClassVar = {"k": "kernel_size", "s": "stride", "p": "padding"}

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
    ) -> None:
        self.kernel_size = self.each("kernel_size", kernel_size, at_least=1)
        self.stride = self.each("stride", kernel_size if stride is None else stride, at_least=1)
        self.padding = self.each("padding", padding, at_least=0)
        check_padding(self, self.padding, self.kernel_size)

    def __call__(self, x: ArrayLike, indices: ArrayLike, output_size: Sequence[int] | None = None) -> Any:
        return super().__call__(x, indices, *([] if output_size is None else [output_size]))

    def forward(self, x: ArrayLike, indices: ArrayLike, output_size: Sequence[int] | None = None) -> np.ndarray:
        x = self.images(x)
        sizes = self._sizes(x, output_size)
        k = self.indices(indices, math.prod(sizes), x.shape, "the indices of its pooling")
        y = np.zeros((*x.shape[: -self.dims], *sizes), x.dtype)
        np.put_along_axis(planes(y, self.dims), planes(k, self.dims), planes(x, self.dims), -1)
        self.save_for_backward(k, () if output_size is None else (None,), output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> tuple[np.ndarray | None, ...]:
        g = self.upstream(grad_output)
        k, of_the_size = self.saved()
        return entries(g, k, self.dims), None, *of_the_size

    def _sizes(self, x: np.ndarray, output_size: Sequence[int] | None) -> list[int]:
        """Return the size of the output along each axis: of all that pooling makes that of x, the one asked for."""
        axes = zip(x.shape[-self.dims :], self.kernel_size, self.stride, self.padding, strict=True)
        sizes = [(n - 1) * s - 2 * p + k for n, k, s, p in axes]
        if output_size is None:
            return sizes
        given = list(output_size) if isinstance(output_size, list | tuple) else []
        given = given[2:] if len(given) == self.dims + 2 else given
        ranges = [range(size - s + 1, size + s) for size, s in zip(sizes, self.stride, strict=True)]
        if len(given) != self.dims or not all(n in allowed for n, allowed in zip(given, ranges, strict=True)):
            limits = " x ".join(f"{allowed.start} to {allowed.stop - 1}" for allowed in ranges)
            raise ValueError(
                f"{short_repr(self)} expects output_size to be the shape of what was pooled, of sizes {limits}, got "
                f"{output_size!r}"
            )
        return given

    def equations_of(self, count: int) -> str:
        """Return the equations, the first two of which state the output's sizes; a third input gives them."""
        lines = inspect.cleandoc(self.equations).splitlines()
        if count == 3:
            given = ", ".join(f"x2[len(x2) - {self.dims - axis}]" for axis in range(self.dims))
            lines[:2] = [f"{lines[1].partition(' = ')[0]} = {given}"]
        return "\n".join(lines)


class MaxUnpool1d(_MaxUnpool):
    """Puts entries to where `MaxPool1d` took them from, and zeros elsewhere; the gradient takes the same way back.

    It is called with the values and the indices that pooling with return_indices gave, and where the stride allows for
    several sizes, with that of what was pooled. Where an index occurs twice, the last value stays. backward returns a
    gradient for each of these: that of the values, and None.

    Args:
        kernel_size: that of the pooling.
        stride: that of the pooling; the kernel's size by default.
        padding: that of the pooling.

    Shape:
        Inputs (N, C, L) or (C, L), and the indices, of the same shape. Output (N, C, L') or (C, L') with
        L' = (L - 1) stride - 2 padding + kernel_size, or as `output_size` says.

    Raises:
        TypeError: for settings of the wrong kind, or indices that are no integers.
        ValueError: for settings out of range, indices of another shape or out of the output, or an output_size that no
            such pooling would have made that of the input.

    Example:
        >>> from nn import MaxPool1d
        >>> values, indices = MaxPool1d(2, return_indices=True)([[1.0, 3.0, 2.0, 5.0, 4.0]])
        >>> MaxUnpool1d(2)(values, indices), MaxUnpool1d(2)(values, indices, output_size=(5,))
        (array([[0., 3., 0., 5.]]), array([[0., 3., 0., 5., 0.]]))
    """

    dims: ClassVar[int] = 1
    equations = """
        F = x0.shape[-1] - 1
        H = F*s[0] - 2*p[0] + k[0]
        r = range(H)
        y[..., r] = sum(x0[..., i] * (x1[..., i] == r), i)
        dx0[..., i] = dy[..., x1[..., i]]
    """


class MaxUnpool2d(_MaxUnpool):
    """Puts entries to where `MaxPool2d` took them from, and zeros elsewhere; the gradient takes the same way back.

    It is called with the values and the indices that pooling with return_indices gave, and where the stride allows for
    several sizes, with that of what was pooled. Where an index occurs twice, the last value stays. backward returns a
    gradient for each of these: that of the values, and None.

    Args:
        kernel_size: that of the pooling; one integer for both axes.
        stride: that of the pooling; the kernel's size by default.
        padding: that of the pooling.

    Shape:
        Inputs (N, C, H, W) or (C, H, W), and the indices, of the same shape. Output (N, C, H', W') or (C, H', W') with
        H' = (H - 1) stride - 2 padding + kernel_size, or as `output_size` says.

    Raises:
        TypeError: for settings of the wrong kind, or indices that are no integers.
        ValueError: for settings out of range, indices of another shape or out of the output, or an output_size that no
            such pooling would have made that of the input.

    Example:
        >>> from nn import MaxPool2d
        >>> values, indices = MaxPool2d(2, return_indices=True)([[[1.0, 2.0], [3.0, 6.0]]])
        >>> MaxUnpool2d(2)(values, indices)
        array([[[0., 0.],
                [0., 6.]]])
    """

    dims: ClassVar[int] = 2
    equations = """
        E, F = x0.shape[-2] - 1, x0.shape[-1] - 1
        H, W = E*s[0] - 2*p[0] + k[0], F*s[1] - 2*p[1] + k[1]
        r, t = range(H), range(W)
        y[..., r, t] = sum(x0[..., i, j] * (x1[..., i, j] == r*W + t), i, j)
        dx0[..., i, j] = dy[..., x1[..., i, j]//W, x1[..., i, j] % W]
    """


class MaxUnpool3d(_MaxUnpool):
    """Puts entries to where `MaxPool3d` took them from, and zeros elsewhere; the gradient takes the same way back.

    It is called with the values and the indices that pooling with return_indices gave, and where the stride allows for
    several sizes, with that of what was pooled. Where an index occurs twice, the last value stays. backward returns a
    gradient for each of these: that of the values, and None.

    Args:
        kernel_size: that of the pooling; one integer for all axes.
        stride: that of the pooling; the kernel's size by default.
        padding: that of the pooling.

    Shape:
        Inputs (N, C, D, H, W) or (C, D, H, W), and the indices, of the same shape; output the same with sizes as
        `MaxUnpool2d` has them.

    Raises:
        TypeError: for settings of the wrong kind, or indices that are no integers.
        ValueError: for settings out of range, indices of another shape or out of the output, or an output_size that no
            such pooling would have made that of the input.

    Example:
        >>> from nn import MaxPool3d
        >>> values, indices = MaxPool3d(2, return_indices=True)(np.ones((1, 4, 4, 4)))
        >>> MaxUnpool3d(2)(values, indices).sum()
        np.float64(8.0)
    """

    dims: ClassVar[int] = 3
    equations = """
        D, E, F = x0.shape[-3] - 1, x0.shape[-2] - 1, x0.shape[-1] - 1
        T, H, W = D*s[0] - 2*p[0] + k[0], E*s[1] - 2*p[1] + k[1], F*s[2] - 2*p[2] + k[2]
        r, t, z = range(T), range(H), range(W)
        y[..., r, t, z] = sum(x0[..., i, j, l] * (x1[..., i, j, l] == (r*H + t)*W + z), i, j, l)
        dx0[..., i, j, l] = dy[..., x1[..., i, j, l]//(H*W), x1[..., i, j, l]//W % H, x1[..., i, j, l] % W]
    """
