"""Layers that map features linearly."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import init
from ..module import Module
from ..numeric import matmul, rows, sum_rows
from ..parameter import Parameter
from ..settings import flag, floating_dtype, integer


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
        weight: W, (out_features, in_features), drawn from U(-1/√in_features, 1/√in_features).
        bias: b, (out_features,), drawn from the same; None without bias.

    Raises:
        TypeError: for settings of the wrong kind.
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
        self.in_features = integer(self, "in_features", in_features, at_least=0)
        self.out_features = integer(self, "out_features", out_features, at_least=0)
        dtype = floating_dtype(self, dtype)
        bound = 1 / math.sqrt(max(self.in_features, 1))
        self.weight = Parameter(np.empty((self.out_features, self.in_features), dtype))
        init.uniform_(self.weight, -bound, bound, generator=generator)
        self.bias = None
        if flag(self, "bias", bias):
            self.bias = Parameter(np.empty(self.out_features, dtype))
            init.uniform_(self.bias, -bound, bound, generator=generator)

    def forward(self, x: ArrayLike) -> np.ndarray:
        W = self.weight.data
        x = self.cast(x, W.dtype, (..., self.in_features))
        y = matmul(x, W.T)
        if self.bias is not None:
            y += self.bias.data
        self.save_for_backward(x, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray | None:
        g = self.upstream(grad_output)
        x = self.saved()
        self.weight.grad += rows(g).T.dot(rows(x))
        if self.bias is not None:
            self.bias.grad += sum_rows(rows(g))
        return matmul(g, self.weight.data) if self.needs_input_grad else None
