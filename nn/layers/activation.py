"""Activations: elementwise nonlinearities, and Softmax, whose outputs depend on a whole row of inputs.

Most keep their output for backward rather than their input: the next layer holds the same array anyway.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..module import Module
from ..numeric import log_softmax, positive_part, sigmoid, softmax, softplus
from ..settings import integer, number


class ReLU(Module):
    """y = max(x, 0), with derivative 0 at 0.

    Where a unit is inactive, an infinite gradient comes back as NaN, 0 times infinity.

    Shape:
        Input and output: any shape, the same.

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
        y = positive_part(x)
        self.save_for_backward(y, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        y = self.saved()
        return g * (y != 0)  # y is nowhere below 0; where it is NaN the gradient passes, as in PyTorch


class LeakyReLU(Module):
    """y = x where x > 0, and negative_slope · x elsewhere (Maas et al., 2013).

    Args:
        negative_slope: the derivative at and below 0.

    Shape:
        Input and output: any shape, the same.

    Raises:
        TypeError: for a setting that is no number.
        ValueError: for NaN.

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
        self.negative_slope = number(self, "negative_slope", negative_slope)

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        y = np.where(x > 0, x, self.negative_slope * x)
        self.save_for_backward(x, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        x = self.saved()
        return np.where(x > 0, g, self.negative_slope * g)


class Sigmoid(Module):
    """y = 1 / (1 + exp(-x)), with derivative y (1 - y).

    Shape:
        Input and output: any shape, the same.

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
        self.save_for_backward(y, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        y = self.saved()
        return g * y * (1 - y)


class Tanh(Module):
    """y = tanh(x), with derivative 1 - y².

    Shape:
        Input and output: any shape, the same.

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
        self.save_for_backward(y, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        y = self.saved()
        return g * (1 - y * y)


class Softplus(Module):
    """y = log(1 + exp(beta x)) / beta, a smooth ReLU.

    Args:
        beta: sharpness.
        threshold: where beta x exceeds it, y = x.

    Shape:
        Input and output: any shape, the same.

    Raises:
        TypeError: for a setting that is no number.
        ValueError: for NaN.

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
        self.beta = number(self, "beta", beta)
        self.threshold = number(self, "threshold", threshold)

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        scaled = self.beta * x
        y = np.where(scaled > self.threshold, x, softplus(scaled) / self.beta)
        self.save_for_backward(x, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        x = self.saved()
        scaled = self.beta * x
        return np.where(scaled > self.threshold, g, g * sigmoid(scaled))


class Softmax(Module):
    """y = exp(x) / sum(exp(x)): along a dimension, numbers become probabilities.

    Args:
        dim: the dimension to sum along. None takes PyTorch's choice: 0 for inputs of 0, 1 or 3 dimensions, else 1.

    Shape:
        Input and output: any shape, the same.

    Raises:
        TypeError: for a dimension that is no integer.
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
        self.dim = None if dim is None else integer(self, "dim", dim)

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        axis = _axis(self, x)
        y = softmax(x, axis)
        self.save_for_backward(y, axis, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        y, axis = self.saved()
        # Output i depends on every input j of its row: its derivative is y_i (1 - y_i) where i = j, else -y_i y_j. So
        # the sum over i of g_i times it is y_j g_j - y_j Σ_i g_i y_i: what all outputs gain together is taken off
        # each, since they sum to 1 whatever the input is.
        return y * (g - (g * y).sum(axis, keepdims=True))


class Softmax2d(Softmax):
    """Softmax over the channels of images, at each pixel.

    Shape:
        Input (N, C, H, W) or (C, H, W), output the same.

    Raises:
        ValueError: for an input of another number of dimensions.

    Example:
        >>> Softmax2d()(np.zeros((2, 1, 1)))
        array([[[0.5]],
        <BLANKLINE>
               [[0.5]]])
    """

    def __init__(self) -> None:
        super().__init__(dim=-3)

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        if x.ndim not in (3, 4):
            raise ValueError(f"{self!r} expects input of shape (N, C, H, W) or (C, H, W), got {x.shape}")
        return super().forward(x)


class LogSoftmax(Module):
    """y = x - log(sum(exp(x))): the logarithm of Softmax, without its overflow.

    Args:
        dim: as in Softmax.

    Shape:
        Input and output: any shape, the same.

    Raises:
        TypeError: for a dimension that is no integer.
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
        self.dim = None if dim is None else integer(self, "dim", dim)

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        axis = _axis(self, x)
        y = log_softmax(x, axis)
        self.save_for_backward(y, axis, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        y, axis = self.saved()
        # Input j stands in output j, with derivative 1, and in the log of the sum that is taken off every output of the
        # row: the derivative of that log is exp(x_j) / sum(exp(x)), the probability exp(y_j).
        return g - np.exp(y) * g.sum(axis, keepdims=True)


def _axis(module: Softmax | LogSoftmax, x: np.ndarray) -> int:
    """Return the axis that a softmax's dim means for this input."""
    dim = module.dim
    if dim is None:
        dim = 0 if x.ndim in (0, 1, 3) else 1
    dims = max(x.ndim, 1)
    if not -dims <= dim < dims:
        raise ValueError(f"{module!r} expects an input that has dimension {dim}, got shape {x.shape}")
    return dim
