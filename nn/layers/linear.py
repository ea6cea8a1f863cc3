"""Layers that map features linearly."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import init
from ..module import Module
from ..parameter import Parameter


class Linear(Module):
    """The affine map y = x Wᵀ + b.

    Args:
        in_features: size of the last dimension of the input.
        out_features: size of the last dimension of the output.
        bias: False leaves b out.
        dtype: of the parameters, and so of the computation; float32 by default.
        generator: where the initial values are drawn from; None for the library's own.

    Shape:
        Input (..., in_features), output (..., out_features): any leading dimensions, none included.

    Attributes:
        weight: W, (out_features, in_features), drawn from U(-1/√in_features, 1/√in_features). It lies in memory column
            by column, so write to its entries by index or through `flat`: `ravel` gives a copy.
        bias: b, (out_features,), drawn from the same; None without bias.

    Raises:
        ValueError: for negative sizes, or an input of another width.

    Example:
        >>> Linear(3, 2)(np.zeros((5, 3))).shape
        (5, 2)
    """

    symbols: ClassVar = {"W": "weight", "b": "bias"}
    equations = """
        y = x @ W.T + b
        dx = dy @ W
        dW = rows(dy).T @ rows(x)
        db = rows(dy).sum(0)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        dtype: DTypeLike | None = None,
        *,
        generator: init.Generator = None,
    ) -> None:
        if in_features < 0 or out_features < 0:
            raise ValueError(f"Linear expects sizes of at least 0, got {in_features} and {out_features}")
        self.in_features = in_features
        self.out_features = out_features
        bound = 1 / math.sqrt(max(in_features, 1))
        # Wᵀ is what lies row by row: BLAS multiplies faster by it than by a transposed view, and of forward's x Wᵀ and
        # backward's g W only forward's is taken in every layer, since the first one spares the gradient of its input.
        self.weight = Parameter(np.empty((in_features, out_features), dtype or np.float32).T)
        init.uniform_(self.weight, -bound, bound, generator=generator)
        self.bias = None
        if bias:
            self.bias = Parameter(np.empty(out_features, dtype or np.float32))
            init.uniform_(self.bias, -bound, bound, generator=generator)

    def forward(self, x: ArrayLike) -> np.ndarray:
        W = self.weight.data
        x = self.cast(x, W.dtype, (..., self.in_features))
        self.save_for_backward(x)
        y = _rows(x).dot(W.T)
        if self.bias is not None:
            y += self.bias.data
        return y if x.ndim == 2 else y.reshape(*x.shape[:-1], self.out_features)

    def backward(self, grad_output: ArrayLike) -> np.ndarray | None:
        x = self.saved()
        W = self.weight.data
        g = self.cast(grad_output, W.dtype, (*x.shape[:-1], self.out_features), "grad_output")
        g = _rows(g)
        self.weight.grad += _rows(x).T.dot(g).T  # gᵀ x, in the memory order of W
        if self.bias is not None:
            self.bias.grad += _ones(len(g), g.dtype).dot(g)  # g.sum(0), several times as fast
        if not self.needs_input_grad:
            return None
        return g.dot(W).reshape(x.shape)

    def extra_repr(self) -> str:
        text = f"{self.in_features}, {self.out_features}"
        if self.bias is None:
            text += ", bias=False"
        if self.weight.data.dtype != np.float32:
            text += f", dtype='{self.weight.data.dtype}'"
        return text


@lru_cache(maxsize=16)
def _ones(count: int, dtype: np.dtype) -> np.ndarray:
    ones = np.ones(count, dtype)
    ones.flags.writeable = False
    return ones


def _rows(x: np.ndarray) -> np.ndarray:
    """Flatten the leading dimensions, so that the products see matrices."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
