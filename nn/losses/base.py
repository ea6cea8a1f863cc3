"""Losses: called with (prediction, target), they return a number, and backward returns the prediction's gradient.

Shapes must agree exactly: a prediction of shape (N, 1) against a target of shape (N,) is an error, never a broadcast.
"""

from __future__ import annotations

import inspect
import math
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..module import Module, is_grad_enabled
from ..numeric import total
from ..passes import pass_of
from ..settings import choice
from ..shapes import Likeness


class Loss(Module):
    """The base of losses: the reduction, forward and backward, and the check of the two arguments.

    Args:
        reduction: 'mean' or 'sum' over all values, or 'none' for an array of them.

    Raises:
        TypeError: for a reduction that is no text.
        ValueError: for another reduction.

    Example:
        >>> class Distance(Loss):
        ...     def forward(self, prediction, target):
        ...         f, y = self.cast_pair(prediction, target)
        ...         self.save_for_backward(f - y)
        ...         return self.reduce(abs(f - y))
        ...     def backward(self, grad_output=None):
        ...         g = self.upstream(grad_output)
        ...         return g * np.sign(self.saved())
        >>> loss = Distance()
        >>> loss([1.0, 4.0], [2.0, 2.0]), loss.backward()
        (np.float64(1.5), array([-0.5,  0.5]))
    """

    input_symbols = ("f", "y")
    _divisor: float = 1.0  # of the last reduction
    _pass: list[bool] | None = None  # of a Sequential, which the prediction came straight from

    # A loss states its values L and their gradients; what becomes of L is said here, once. A mean divides by m, which
    # is how many values there are unless the loss states it.
    reductions: ClassVar = {
        "none": ("J = L", "dL = dJ"),
        "sum": ("J = L.sum()", "dL = dJ"),
        "mean": ("J = L.sum() / m", "dL = dJ / m"),
    }

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = choice(self, "reduction", reduction, "none", "mean", "sum")

    def cast_prediction(self, prediction: ArrayLike) -> np.ndarray:
        """Return the prediction as an array, and remember for `upstream` which pass of a Sequential it came from.

        Raises:
            TypeError: for what is not made of real numbers.
        """
        if is_grad_enabled():
            self._pass = pass_of(prediction)
        return self.cast(prediction, name="prediction")

    def cast_pair(self, prediction: ArrayLike, target: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return both arguments as arrays of the prediction's dtype.

        Raises:
            TypeError: for what is not made of real numbers.
            ValueError: where their shapes differ.
        """
        f = self.cast_prediction(prediction)
        y = self.cast(target, f.dtype, name="target")
        if f.shape != y.shape:
            raise ValueError(f"{self!r} expects a target shaped like the prediction, {f.shape}, got {y.shape}")
        return f, y

    def reduce(self, values: np.ndarray, count: float | None = None) -> np.ndarray | np.floating:
        """Return the values, their sum or their mean, and leave for `upstream` which of them it was.

        Args:
            values: what is reduced.
            count: what a mean divides by, by default how many they are; the mean over none is NaN.
        """
        values = np.asarray(values)
        divisor = 1.0
        if self.reduction == "none":
            result = values
        elif self.reduction == "sum":
            result = values.sum()
        else:
            divisor = (values.size if count is None else count) or math.nan
            result = values.dtype.type(total(values) / divisor)
        if is_grad_enabled():
            self._output, self._divisor = Likeness(result.shape, result.dtype), divisor
        return result

    def upstream(self, grad_output: ArrayLike | None = None) -> np.ndarray | float:
        """Return the gradient of each value that `reduce` saw, from the gradient of what it returned; None means ones.

        Call it once, before `saved` or after it. Reduction 'none' gives an array shaped like the values, the others
        one number for all of them.

        Raises:
            RuntimeError: where the Sequential that the prediction came from has run forward again since; otherwise as
                in Module.
        """
        if self._pass is not None and not self._pass[0]:
            raise RuntimeError(
                f"{self!r} was computed from an earlier forward of the model, and the model's backward goes through "
                f"its latest: go back before the next forward, and run what needs no backward under nn.no_grad()"
            )
        if grad_output is None and self._output is not None:
            g = np.ones(self._output.shape, self._output.dtype) if self.reduction == "none" else 1.0
            self._output = None
        else:
            g = super().upstream(grad_output)
        return g if self.reduction == "none" else float(g) / self._divisor

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
