"""Layers that pass on what they get, or give it another shape."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..module import Module


class Identity(Module):
    """y = x, a place to put another layer later; whatever it is built with is ignored.

    Shape:
        Any, and the same.

    Example:
        >>> Identity(54, unused=True)([1.0, 2.0])
        array([1., 2.])
    """

    equations = """
        y = x
        dx = dy
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        self.save_for_backward(x)
        return x

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        x = self.saved()
        return self.cast(grad_output, x.dtype, x.shape, "grad_output")


class Flatten(Module):
    """Joins a run of dimensions into one.

    Args:
        start_dim: the first to join; 1 by default, so that the samples stay apart.
        end_dim: the last to join; negative counts from the end.

    Shape:
        Input (N, C, H, W), output (N, C·H·W) by default.

    Raises:
        ValueError: for dimensions that the input does not have, or an end before the start.

    Example:
        >>> Flatten()(np.zeros((5, 3, 2))).shape
        (5, 6)
    """

    symbols: ClassVar = {"i": "start_dim", "j": "end_dim"}
    equations = """
        y = flatten(x, i, j)
        dx = dy.reshape(x.shape)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        shape = x.shape or (1,)
        dims = len(shape)
        if not (-dims <= self.start_dim < dims and -dims <= self.end_dim < dims):
            raise ValueError(f"{self!r} expects an input that has these dimensions, got shape {x.shape}")
        start, end = self.start_dim % dims, self.end_dim % dims
        if start > end:
            raise ValueError(f"{self!r} expects start_dim before end_dim, got {start} and {end} for shape {x.shape}")
        y = x.reshape(*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])
        self.save_for_backward(x.shape, y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        shape, y = self.saved()
        return self.cast(grad_output, y.dtype, y.shape, "grad_output").reshape(shape)

    def extra_repr(self) -> str:
        return (
            f"start_dim={self.start_dim}, end_dim={self.end_dim}" if (self.start_dim, self.end_dim) != (1, -1) else ""
        )
