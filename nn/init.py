"""How parameters begin: each function fills a Parameter's data in place and returns the Parameter.

Names, defaults and scales are PyTorch's.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from .parameter import Parameter
from .random import default_generator
from .settings import checked_parameter, choice, number

Generator: TypeAlias = "np.random.Generator | int | None"  # as text, since numpy.random takes a while to import


def _filled(parameter: Parameter, values: np.ndarray | float) -> Parameter:
    parameter.data[...] = values
    return parameter


def uniform_(parameter: Parameter, a: float = 0.0, b: float = 1.0, *, generator: Generator = None) -> Parameter:
    """Draw from the uniform distribution on [a, b).

    Raises:
        TypeError: for what is no Parameter, or bounds that are no numbers.
        ValueError: for b below a, or bounds that are not finite.

    Example:
        >>> bool(abs(uniform_(Parameter(np.zeros(9)), -1, 1, generator=0).data).max() <= 1)
        True
    """
    checked_parameter("uniform_", parameter)
    a = number("uniform_", "a", a, above=-math.inf)
    b = number("uniform_", "b", b, at_least=a, below=math.inf)
    return _filled(parameter, default_generator(generator).uniform(a, b, parameter.data.shape))


def normal_(parameter: Parameter, mean: float = 0.0, std: float = 1.0, *, generator: Generator = None) -> Parameter:
    """Draw from the normal distribution.

    Raises:
        TypeError: for what is no Parameter, or a mean or standard deviation that is no number.
        ValueError: for a negative standard deviation.

    Example:
        >>> normal_(Parameter(np.zeros(2)), std=0.0).data
        array([0., 0.])
    """
    checked_parameter("normal_", parameter)
    mean = number("normal_", "mean", mean)
    std = number("normal_", "std", std, at_least=0)
    return _filled(parameter, default_generator(generator).normal(mean, std, parameter.data.shape))


def constant_(parameter: Parameter, value: float) -> Parameter:
    """Fill with one value.

    Raises:
        TypeError: for what is no Parameter, or a value that is no number.
        ValueError: for NaN.

    Example:
        >>> constant_(Parameter([1.0, 2.0]), 3).data
        array([3., 3.])
    """
    return _filled(checked_parameter("constant_", parameter), number("constant_", "value", value))


def zeros_(parameter: Parameter) -> Parameter:
    """Fill with zeros.

    Raises:
        TypeError: for what is no Parameter.

    Example:
        >>> zeros_(Parameter([1.0, 2.0])).data
        array([0., 0.])
    """
    return _filled(checked_parameter("zeros_", parameter), 0.0)


def ones_(parameter: Parameter) -> Parameter:
    """Fill with ones.

    Raises:
        TypeError: for what is no Parameter.

    Example:
        >>> ones_(Parameter([1.0, 2.0])).data
        array([1., 1.])
    """
    return _filled(checked_parameter("ones_", parameter), 1.0)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor that keeps a signal's scale through a nonlinearity.

    Args:
        nonlinearity: 'linear', 'sigmoid', 'tanh', 'relu', 'leaky_relu' or 'selu'.
        param: the negative slope of 'leaky_relu', 0.01 by default.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for another name.

    Example:
        >>> round(calculate_gain("relu"), 4)
        1.4142
    """
    return _gain("calculate_gain", nonlinearity, 0.01 if param is None else number("calculate_gain", "param", param))


def _gain(function: str, nonlinearity: str, slope: float) -> float:
    gains = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + slope**2)),
        "selu": 3 / 4,
    }
    return gains[choice(function, "nonlinearity", nonlinearity, *gains)]


def _fans(function: str, parameter: Parameter) -> tuple[int, int]:
    """Return how many inputs feed an output and how many outputs an input feeds, for weights (out, in, ...).

    An empty weight counts as one of each.
    """
    shape = checked_parameter(function, parameter).data.shape
    if len(shape) < 2:
        raise ValueError(f"{function} expects a weight of at least two dimensions (out, in), got shape {shape}")
    field = math.prod(shape[2:])
    return max(shape[1] * field, 1), max(shape[0] * field, 1)


def xavier_uniform_(parameter: Parameter, gain: float = 1.0, *, generator: Generator = None) -> Parameter:
    """Draw from U(-a, a) with a = gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010).

    Raises:
        TypeError: for what is no Parameter, or a gain that is no number.
        ValueError: for fewer than two dimensions, or a gain that is negative or infinite.

    Example:
        >>> bool(abs(xavier_uniform_(Parameter(np.zeros((3, 3)))).data).max() <= 1)
        True
    """
    fans = _fans("xavier_uniform_", parameter)
    bound = number("xavier_uniform_", "gain", gain, at_least=0, below=math.inf) * math.sqrt(6 / sum(fans))
    return uniform_(parameter, -bound, bound, generator=generator)


def xavier_normal_(parameter: Parameter, gain: float = 1.0, *, generator: Generator = None) -> Parameter:
    """Draw from N(0, gain^2 2 / (fan_in + fan_out)) (Glorot and Bengio, 2010).

    Raises:
        TypeError: for what is no Parameter, or a gain that is no number.
        ValueError: for fewer than two dimensions, or a gain that is negative or infinite.

    Example:
        >>> xavier_normal_(Parameter(np.zeros((3, 2)))).data.shape
        (3, 2)
    """
    fans = _fans("xavier_normal_", parameter)
    std = number("xavier_normal_", "gain", gain, at_least=0, below=math.inf) * math.sqrt(2 / sum(fans))
    return normal_(parameter, 0.0, std, generator=generator)


def _kaiming_std(function: str, parameter: Parameter, a: float, mode: str, nonlinearity: str) -> float:
    fan_in, fan_out = _fans(function, parameter)
    fan = fan_in if choice(function, "mode", mode, "fan_in", "fan_out") == "fan_in" else fan_out
    return _gain(function, nonlinearity, number(function, "a", a)) / math.sqrt(fan)


def kaiming_uniform_(
    parameter: Parameter,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    generator: Generator = None,
) -> Parameter:
    """Draw from U(-b, b) with b = gain sqrt(3 / fan) (He et al., 2015).

    Args:
        parameter: the weight, (out, in, ...).
        a: the negative slope of the leaky ReLU that follows.
        mode: 'fan_in' keeps the scale of the forward signal, 'fan_out' that of the gradient.
        nonlinearity: a name that `calculate_gain` knows.

    Raises:
        TypeError: for what is no Parameter, or settings of the wrong kind.
        ValueError: for fewer than two dimensions, another mode or another nonlinearity.

    Example:
        >>> bool(abs(kaiming_uniform_(Parameter(np.zeros((2, 6)))).data).max() <= 1)
        True
    """
    bound = math.sqrt(3) * _kaiming_std("kaiming_uniform_", parameter, a, mode, nonlinearity)
    return uniform_(parameter, -bound, bound, generator=generator)


def kaiming_normal_(
    parameter: Parameter,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    generator: Generator = None,
) -> Parameter:
    """Draw from N(0, gain^2 / fan) (He et al., 2015); arguments and errors as in `kaiming_uniform_`.

    Example:
        >>> kaiming_normal_(Parameter(np.zeros((2, 6)))).data.shape
        (2, 6)
    """
    std = _kaiming_std("kaiming_normal_", parameter, a, mode, nonlinearity)
    return normal_(parameter, 0.0, std, generator=generator)
