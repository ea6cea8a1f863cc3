"""Losses: called with (prediction, target), they return a number, and backward returns the prediction's gradient.

Shapes must agree exactly: a prediction of shape (N, 1) against a target of shape (N,) is an error, never a broadcast.
"""

from __future__ import annotations

import inspect
import math
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..module import Module


class Loss(Module):
    """The base of losses: the reduction, forward and backward, and the check of the two arguments.

    Args:
        reduction: 'mean' or 'sum' over all values, or 'none' for an array of them.

    Raises:
        ValueError: for another reduction.

    Example:
        >>> class Distance(Loss):
        ...     def forward(self, prediction, target):
        ...         f, y = self.cast_pair(prediction, target)
        ...         self.save_for_backward(f - y)
        ...         return self.reduce(abs(f - y))
        ...     def backward(self, grad_output=None):
        ...         r = self.saved()
        ...         return self.upstream(grad_output, r.shape, r.dtype) * np.sign(r)
        >>> loss = Distance()
        >>> loss([1.0, 4.0], [2.0, 2.0]), loss.backward()
        (np.float64(1.5), array([-0.5,  0.5]))
    """

    input_symbols = ("f", "y")

    # A loss states its values L and their gradients; what becomes of L is said here, once. A mean divides by m, which
    # is how many values there are unless the loss states it.
    reductions: ClassVar = {
        "none": ("J = L", "dL = dJ"),
        "sum": ("J = L.sum()", "dL = dJ"),
        "mean": ("J = L.sum() / m", "dL = dJ / m"),
    }

    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in ("none", "mean", "sum"):
            raise ValueError(f"{type(self).__name__} expects reduction 'none', 'mean' or 'sum', got {reduction!r}")
        self.reduction = reduction

    def cast_pair(self, prediction: ArrayLike, target: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return both arguments as arrays of the prediction's dtype.

        Raises:
            ValueError: where their shapes differ.
        """
        f = self.cast(prediction, name="prediction")
        y = self.cast(target, f.dtype, name="target")
        if f.shape != y.shape:
            raise ValueError(f"{self!r} expects a target shaped like the prediction, {f.shape}, got {y.shape}")
        return f, y

    def reduce(self, values: np.ndarray, count: float | None = None) -> np.ndarray | np.floating:
        """Return the values, their sum, or their sum over `count` (by default how many they are; NaN for none)."""
        if self.reduction == "none":
            return np.asarray(values)
        total = values.sum()
        if self.reduction == "sum":
            return total
        count = values.size if count is None else count
        return total / count if count else total.dtype.type(math.nan)

    def upstream(
        self, grad_output: ArrayLike | None, shape: tuple[int, ...], dtype: np.dtype, count: float | None = None
    ) -> np.ndarray | float:
        """Return the gradient of each value that `reduce` saw, from the gradient of what it returned; None means ones.

        Args:
            grad_output: the gradient of the loss.
            shape: of the values that were reduced.
            dtype: of the values that were reduced.
            count: as given to `reduce`.
        """
        g: np.ndarray | float = 1.0
        if grad_output is not None:
            g = self.cast(grad_output, dtype, shape if self.reduction == "none" else (), "grad_output")
        if self.reduction != "mean":
            return g
        count = math.prod(shape) if count is None else count
        return g / count if count else math.nan

    def backward(self, grad_output: ArrayLike | None = None) -> np.ndarray:
        """Return the gradient of the prediction; `grad_output` is that of the loss itself, ones by default."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def equations_of(self, count: int) -> str:
        """Return the loss's own lines, with those of the reduction between the values and their gradients."""
        lines = inspect.cleandoc(self.equations).splitlines()
        first = next((i for i, line in enumerate(lines) if line.startswith("d")), len(lines))
        values = lines[:first]
        if self.reduction == "mean" and not any(line.startswith("m =") for line in values):
            values.append("m = L.size")
        return "\n".join([*values, *self.reductions[self.reduction], *lines[first:]]) if lines[0] else ""

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}" if self.reduction != "mean" else ""
