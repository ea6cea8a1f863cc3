"""Activations: elementwise nonlinearities, and Softmax, whose outputs depend on a whole row of inputs.

Most keep their output for backward rather than their input: the next layer holds the same array anyway.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..module import Module
from ..numeric import log_softmax, sigmoid, softmax, softplus


class ReLU(Module):
    """y = max(x, 0), with derivative 0 at 0.

    Shape:
        Any, and the same.

    Example:
        >>> ReLU()([-1.0, 2.0])
        array([0., 2.])
    """

    equations = """
        y = maximum(x, 0)
        dx = dy * (x > 0)
    """

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        y = np.maximum(x, np.zeros(x.shape, x.dtype))
        self.save_for_backward(y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        y = self.saved()
        g = self.cast(grad_output, y.dtype, y.shape, "grad_output")
        return g * (y > 0)


class LeakyReLU(Module):
    """y = x where x > 0, and negative_slope · x elsewhere (Maas et al., 2013).

    Args:
        negative_slope: the derivative at and below 0.

    Shape:
        Any, and the same.

    Example:
        >>> LeakyReLU(0.1)([-1.0, 2.0])
        array([-0.1,  2. ])
    """

    symbols: ClassVar = {"alpha": "negative_slope"}
    equations = """
        y = where(x > 0, x, alpha * x)
        dx = where(x > 0, dy, alpha * dy)
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        self.save_for_backward(x)
        return np.where(x > 0, x, self.negative_slope * x)

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        x = self.saved()
        g = self.cast(grad_output, x.dtype, x.shape, "grad_output")
        return np.where(x > 0, g, self.negative_slope * g)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}" if self.negative_slope != 0.01 else ""


class Sigmoid(Module):
    """y = 1 / (1 + exp(-x)), with derivative y (1 - y).

    Shape:
        Any, and the same.

    Example:
        >>> Sigmoid()([0.0, 1e4])
        array([0.5, 1. ])
    """

    equations = """
        y = 1 / (1 + exp(-x))
        dx = dy * y * (1 - y)
    """

    def forward(self, x: ArrayLike) -> np.ndarray:
        y = sigmoid(self.cast(x))
        self.save_for_backward(y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        y = self.saved()
        g = self.cast(grad_output, y.dtype, y.shape, "grad_output")
        return g * y * (1 - y)


class Tanh(Module):
    """y = tanh(x), with derivative 1 - y².

    Shape:
        Any, and the same.

    Example:
        >>> Tanh()([0.0, 1e4])
        array([0., 1.])
    """

    equations = """
        y = tanh(x)
        dx = dy * (1 - y**2)
    """

    def forward(self, x: ArrayLike) -> np.ndarray:
        y = np.tanh(self.cast(x))
        self.save_for_backward(y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        y = self.saved()
        g = self.cast(grad_output, y.dtype, y.shape, "grad_output")
        return g * (1 - y * y)


class Softplus(Module):
    """y = log(1 + exp(beta x)) / beta, a smooth ReLU.

    Args:
        beta: sharpness.
        threshold: where beta x exceeds it, y = x.

    Shape:
        Any, and the same.

    Example:
        >>> Softplus()([-1e4, 1e4])
        array([    0., 10000.])
    """

    symbols: ClassVar = {"beta": "beta", "threshold": "threshold"}
    equations = """
        y = where(beta * x > threshold, x, log(1 + exp(beta * x)) / beta)
        dx = where(beta * x > threshold, dy, dy / (1 + exp(-beta * x)))
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta = beta
        self.threshold = threshold

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        self.save_for_backward(x)
        scaled = self.beta * x
        return np.where(scaled > self.threshold, x, softplus(scaled) / self.beta)

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        x = self.saved()
        g = self.cast(grad_output, x.dtype, x.shape, "grad_output")
        scaled = self.beta * x
        return np.where(scaled > self.threshold, g, g * sigmoid(scaled))

    def extra_repr(self) -> str:
        settings = {"beta": (self.beta, 1.0), "threshold": (self.threshold, 20.0)}
        return ", ".join(f"{name}={value}" for name, (value, default) in settings.items() if value != default)


class Softmax(Module):
    """y = exp(x) / sum(exp(x)): along a dimension, numbers become probabilities.

    Args:
        dim: the dimension to sum along. None takes PyTorch's choice: 0 for inputs of 0, 1 or 3 dimensions, else 1.

    Shape:
        Any, and the same.

    Raises:
        ValueError: for a dimension that the input does not have.

    Example:
        >>> Softmax(dim=1)([[0.0, 0.0], [1e4, 0.0]])
        array([[0.5, 0.5],
               [1. , 0. ]])
    """

    symbols: ClassVar = {"dim": "dim"}
    equations = """
        a = (0 if x.ndim in (0, 1, 3) else 1) if dim is None else dim
        y = exp(x) / exp(x).sum(a, keepdims=True)
        dx = y * (dy - (dy * y).sum(a, keepdims=True))
    """

    def __init__(self, dim: int | None = None) -> None:
        self.dim = dim

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        axis = _axis(self, x)
        y = softmax(x, axis)
        self.save_for_backward(y, axis)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        y, axis = self.saved()
        g = self.cast(grad_output, y.dtype, y.shape, "grad_output")
        return y * (g - (g * y).sum(axis, keepdims=True))

    def extra_repr(self) -> str:
        return f"dim={self.dim}" if self.dim is not None else ""


class LogSoftmax(Module):
    """y = x - log(sum(exp(x))): the logarithm of Softmax, without its overflow.

    Args:
        dim: as in Softmax.

    Shape:
        Any, and the same.

    Raises:
        ValueError: for a dimension that the input does not have.

    Example:
        >>> LogSoftmax(dim=-1)([0.0, 1e4])
        array([-10000.,      0.])
    """

    symbols: ClassVar = {"dim": "dim"}
    equations = """
        a = (0 if x.ndim in (0, 1, 3) else 1) if dim is None else dim
        y = x - log(exp(x).sum(a, keepdims=True))
        dx = dy - exp(y) * dy.sum(a, keepdims=True)
    """

    def __init__(self, dim: int | None = None) -> None:
        self.dim = dim

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        axis = _axis(self, x)
        y = log_softmax(x, axis)
        self.save_for_backward(y, axis)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        y, axis = self.saved()
        g = self.cast(grad_output, y.dtype, y.shape, "grad_output")
        return g - np.exp(y) * g.sum(axis, keepdims=True)

    def extra_repr(self) -> str:
        return f"dim={self.dim}" if self.dim is not None else ""


def _axis(module: Softmax | LogSoftmax, x: np.ndarray) -> int:
    """Return the axis that a softmax's dim means for this input."""
    dim = module.dim
    if dim is None:
        dim = 0 if x.ndim in (0, 1, 3) else 1
    dims = max(x.ndim, 1)
    if not -dims <= dim < dims:
        raise ValueError(f"{module!r} expects an input that has dimension {dim}, got shape {x.shape}")
    return dim


def _stated_axis(module: Softmax | LogSoftmax) -> str:
    """Return the expression of that axis."""
    return "0 if x.ndim in (0, 1, 3) else 1" if module.dim is None else str(module.dim)
