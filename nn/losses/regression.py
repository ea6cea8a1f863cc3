"""Losses of predicted numbers: squared, absolute, and between the two."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from .base import Loss


class HalfSquaredLoss(Loss):
    """J = ½ ‖f - y‖² a sample, summed over its features; `reduction` is over the samples.

    Shape:
        Prediction f and target y (N, ...) alike; 'none' gives (N,).

    Raises:
        ValueError: for shapes that differ, or of no or one dimension.

    Example:
        >>> HalfSquaredLoss()([[1.0, 2.0]], [[0.0, 0.0]])
        np.float64(2.5)
    """

    equations = """
        L[n] = 0.5 * norm(f[n, ...] - y[n, ...], ...)**2
        df[n, ...] = dL[n] * (f[n, ...] - y[n, ...])
    """

    def forward(self, prediction: ArrayLike, target: ArrayLike) -> np.ndarray | np.floating:
        f, y = self.cast_pair(prediction, target)
        if f.ndim < 2:
            raise ValueError(f"{self!r} expects shape (N, ...), samples of at least one feature, got {f.shape}")
        r = f - y
        self.save_for_backward(r)
        return self.reduce(0.5 * (r * r).sum(tuple(range(1, r.ndim))))

    def backward(self, grad_output: ArrayLike | None = None) -> np.ndarray:
        r = self.saved()
        g = self.upstream(grad_output, r.shape[:1], r.dtype)
        return (g * r.T).T  # transposed, so that an array of one g a sample meets the samples


class MSELoss(Loss):
    """J = (f - y)², elementwise.

    Shape:
        Prediction f and target y alike, any.

    Raises:
        ValueError: for shapes that differ.

    Example:
        >>> MSELoss()([1.0, 2.0], [0.0, 0.0])
        np.float64(2.5)
    """

    equations = """
        L = (f - y)**2
        df = 2 * dL * (f - y)
    """

    def forward(self, prediction: ArrayLike, target: ArrayLike) -> np.ndarray | np.floating:
        f, y = self.cast_pair(prediction, target)
        r = f - y
        self.save_for_backward(r)
        return self.reduce(r * r)

    def backward(self, grad_output: ArrayLike | None = None) -> np.ndarray:
        r = self.saved()
        return 2 * self.upstream(grad_output, r.shape, r.dtype) * r


class L1Loss(Loss):
    """J = |f - y|, elementwise, with derivative 0 where f = y.

    Shape:
        Prediction f and target y alike, any.

    Raises:
        ValueError: for shapes that differ.

    Example:
        >>> L1Loss()([1.0, 2.0], [0.0, 0.0])
        np.float64(1.5)
    """

    equations = """
        L = abs(f - y)
        df = dL * sign(f - y)
    """

    def forward(self, prediction: ArrayLike, target: ArrayLike) -> np.ndarray | np.floating:
        f, y = self.cast_pair(prediction, target)
        r = f - y
        self.save_for_backward(r)
        return self.reduce(np.abs(r))

    def backward(self, grad_output: ArrayLike | None = None) -> np.ndarray:
        r = self.saved()
        return self.upstream(grad_output, r.shape, r.dtype) * np.sign(r)


class HuberLoss(Loss):
    """J = ½ r² where |r| ≤ delta, else delta (|r| - ½ delta), with r = f - y, elementwise (Huber, 1964).

    Args:
        reduction: as in Loss.
        delta: where the square turns into a line; positive.

    Shape:
        Prediction f and target y alike, any.

    Raises:
        ValueError: for shapes that differ, or a delta that is not positive.

    Example:
        >>> HuberLoss(reduction="none")([0.5, 2.0], [0.0, 0.0])
        array([0.125, 1.5  ])
    """

    symbols: ClassVar = {"delta": "delta"}
    equations = """
        r = f - y
        L = where(abs(r) <= delta, 0.5 * r**2, delta * (abs(r) - 0.5 * delta))
        df = dL * where(abs(r) <= delta, r, delta * sign(r))
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        if not delta > 0:
            raise ValueError(f"HuberLoss expects delta > 0, got {delta}")
        self.delta = delta

    def forward(self, prediction: ArrayLike, target: ArrayLike) -> np.ndarray | np.floating:
        f, y = self.cast_pair(prediction, target)
        r = f - y
        self.save_for_backward(r)
        size = np.abs(r)
        return self.reduce(np.where(size <= self.delta, 0.5 * r * r, self.delta * (size - 0.5 * self.delta)))

    def backward(self, grad_output: ArrayLike | None = None) -> np.ndarray:
        r = self.saved()
        return self.upstream(grad_output, r.shape, r.dtype) * np.clip(r, -self.delta, self.delta)

    def extra_repr(self) -> str:
        settings = [super().extra_repr(), f"delta={self.delta}" if self.delta != 1.0 else ""]
        return ", ".join(filter(None, settings))
