"""LayerNorm and RMSNorm: the last dimensions of each sample are normalised, each entry with a scale of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..module import Module
from ..numeric import row_products, row_sums, rows, sum_rows, wide
from ..parameter import Parameter
from ..settings import arguments_text, flag, floating_dtype, integer, integers, number
from .norm import standardize, standardize_backward


def normalized_shape_setting(module: Module, value: int | Sequence[int]) -> tuple[int, ...]:
    """Return the shape of the last dimensions; one integer means one dimension.

    Example:
        >>> normalized_shape_setting(Module(), 3), normalized_shape_setting(Module(), [3, 2])
        ((3,), (3, 2))
    """
    if not isinstance(value, list | tuple):
        return (integer(module, "normalized_shape", value, at_least=0),)
    if not value:
        raise ValueError(
            f"{type(module).__name__} expects normalized_shape to have a dimension at least, got {value!r}"
        )
    return integers(module, "normalized_shape", value, len(value), at_least=0)


class LayerNorm(Module):
    """y = h w + b, where h has mean 0 and variance 1 in the last dimensions of each sample.

    Ba et al., "Layer Normalization", 2016. Training and evaluation are the same.

    Args:
        normalized_shape: the sizes of the last dimensions; one integer means the last alone.
        eps: what is added to the variance.
        elementwise_affine: False leaves w and b out.
        bias: False leaves b out.
        dtype: of the parameters, and so of the computation; float32 by default.

    Shape:
        Input (..., *normalized_shape), output the same.

    Attributes:
        weight: w, of normalized_shape, born one; None without elementwise_affine.
        bias: b, of normalized_shape, born zero; None without elementwise_affine or bias.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for negative sizes, or an input of another shape.

    Example:
        >>> LayerNorm(2)([[1.0, 3.0], [5.0, 5.2]]).round(2)
        array([[-1.,  1.],
               [-1.,  1.]], dtype=float32)
    """

    symbols: ClassVar = {"w": "weight", "b": "bias", "a": "axes", "eps": "eps"}
    equations = """
        m = x.mean(a, keepdims=True)
        v = ((x - m)**2).mean(a, keepdims=True)
        h = (x - m) / sqrt(v + eps)
        y = h * w + b
        dw = (dy * h).reshape(-1, w.size).sum(0).reshape(w.shape)
        db = dy.reshape(-1, b.size).sum(0).reshape(b.shape)
        dh = dy * w
        dx = (dh - dh.mean(a, keepdims=True) - h * (dh * h).mean(a, keepdims=True)) / sqrt(v + eps)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype: DTypeLike | None = None,
    ) -> None:
        self.normalized_shape = normalized_shape_setting(self, normalized_shape)
        self.eps = number(self, "eps", eps, at_least=0)
        self.elementwise_affine = flag(self, "elementwise_affine", elementwise_affine)
        dtype = floating_dtype(self, dtype)
        bias = flag(self, "bias", bias) and self.elementwise_affine
        self.weight = Parameter(np.ones(self.normalized_shape, dtype)) if self.elementwise_affine else None
        self.bias = Parameter(np.zeros(self.normalized_shape, dtype)) if bias else None

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of normalized_shape."""
        return tuple(range(-len(self.normalized_shape), 0))

    def extra_repr(self) -> str:
        return arguments_text(self, without=() if self.elementwise_affine else ("bias",))

    def forward(self, x: ArrayLike) -> np.ndarray:
        dtype = None if self.weight is None else self.weight.data.dtype
        x = self.cast(x, dtype, (..., *self.normalized_shape))
        samples = _rows(x, self.normalized_shape)
        size = max(samples.shape[1], 1)
        c, r, _, _ = standardize(samples, lambda sums: sums / size, self.eps)
        scale = r if self.weight is None else r.dot(self.weight.data.reshape(1, -1))
        y = c * scale
        if self.bias is not None:
            y += self.bias.data.reshape(-1)
        y = y.reshape(x.shape).astype(x.dtype, copy=False)
        self.save_for_backward(c, r, scale, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray | None:
        dy = self.upstream(grad_output)
        c, r, scale = self.saved()
        g = _rows(dy, self.normalized_shape)
        if self.weight is not None:
            self.weight.grad += sum_rows(g * c, r).reshape(self.normalized_shape)
        if self.bias is not None:
            self.bias.grad += sum_rows(g).reshape(self.normalized_shape)
        if not self.needs_input_grad:
            return None
        q, size = g * scale, max(c.shape[1], 1)
        dx = standardize_backward(q, c, r, row_sums(q) / size, row_products(q, c) / size)
        return dx.reshape(dy.shape).astype(dy.dtype, copy=False)


class RMSNorm(Module):
    """y = h w, where h is x over the root of the mean of its squares in the last dimensions of each sample.

    Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019. Training and evaluation are the same.

    Args:
        normalized_shape: the sizes of the last dimensions; one integer means the last alone.
        eps: what is added to the mean of squares; None takes the distance from 1 to the next number of the dtype.
        elementwise_affine: False leaves w out.
        dtype: of the parameters, and so of the computation; float32 by default.

    Shape:
        Input (..., *normalized_shape), output the same.

    Attributes:
        weight: w, of normalized_shape, born one; None without elementwise_affine.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for negative sizes, or an input of another shape.

    Example:
        >>> RMSNorm(2)([[3.0, -3.0], [0.0, 8.0]]).round(2)
        array([[ 1.  , -1.  ],
               [ 0.  ,  1.41]], dtype=float32)
    """

    symbols: ClassVar = {"w": "weight", "a": "axes", "eps": "eps"}
    equations = """
        v = (x**2).mean(a, keepdims=True)
        h = x / sqrt(v + eps)
        y = h * w
        dw = (dy * h).reshape(-1, w.size).sum(0).reshape(w.shape)
        dh = dy * w
        dx = (dh - h * (dh * h).mean(a, keepdims=True)) / sqrt(v + eps)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        dtype: DTypeLike | None = None,
    ) -> None:
        self.normalized_shape = normalized_shape_setting(self, normalized_shape)
        self.eps = None if eps is None else number(self, "eps", eps, at_least=0)
        self.elementwise_affine = flag(self, "elementwise_affine", elementwise_affine)
        dtype = floating_dtype(self, dtype)
        self.weight = Parameter(np.ones(self.normalized_shape, dtype)) if self.elementwise_affine else None

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of normalized_shape."""
        return tuple(range(-len(self.normalized_shape), 0))

    def forward(self, x: ArrayLike) -> np.ndarray:
        dtype = None if self.weight is None else self.weight.data.dtype
        x = self.cast(x, dtype, (..., *self.normalized_shape))
        samples = _rows(x, self.normalized_shape)
        eps = float(np.finfo(samples.dtype).eps) if self.eps is None else self.eps
        r = 1 / np.sqrt(row_products(samples, samples) / max(samples.shape[1], 1) + eps)
        scale = r if self.weight is None else r.dot(self.weight.data.reshape(1, -1))
        y = (samples * scale).reshape(x.shape).astype(x.dtype, copy=False)
        self.save_for_backward(samples, r, scale, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray | None:
        dy = self.upstream(grad_output)
        x, r, scale = self.saved()
        g = _rows(dy, self.normalized_shape)
        if self.weight is not None:
            self.weight.grad += sum_rows(g * x, r).reshape(self.normalized_shape)
        if not self.needs_input_grad:
            return None
        q = g * scale
        # As in standardize_backward, without the term of the mean: there is none to act through.
        dx = q - x * (r * r * row_products(q, x) / max(x.shape[1], 1))
        return dx.reshape(dy.shape).astype(dy.dtype, copy=False)


def _rows(x: np.ndarray, normalized_shape: tuple[int, ...]) -> np.ndarray:
    """Return x as a matrix, a row all that is normalised together."""
    x, dims = wide(x), len(normalized_shape)
    return rows(x) if dims == 1 else x.reshape(math.prod(x.shape[: x.ndim - dims]), math.prod(normalized_shape))
