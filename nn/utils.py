"""What is done to all parameters of a model at once: clipping gradients, and one vector of everything.

Arithmetic and names are PyTorch's. Each function takes one Parameter or any iterable of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from .parameter import Parameter
from .settings import checked_parameter, flag, number, real_array


def _listed(function: str, parameters: Parameter | Iterable[Parameter]) -> list[Parameter]:
    if isinstance(parameters, Parameter):
        parameters = [parameters]
    if isinstance(parameters, np.ndarray) or not isinstance(parameters, Iterable):
        kind = type(parameters).__name__
        raise TypeError(f"{function} expects a Parameter or several, such as model.parameters(), got {kind}")
    return [checked_parameter(function, each) for each in parameters]


def _trainable_grads(function: str, parameters: Parameter | Iterable[Parameter]) -> list[np.ndarray]:
    return [each.grad for each in _listed(function, parameters) if each.requires_grad]


def clip_grad_norm_(
    parameters: Parameter | Iterable[Parameter],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> float:
    """Scale the gradients, in place, so that their norm, taken over all of them as one vector, is at most `max_norm`.

    Pascanu et al., "On the difficulty of training recurrent neural networks", 2013. Frozen parameters neither count
    nor change. The norm is computed in float64, so that large float32 gradients do not overflow it.

    Args:
        parameters: whose gradients to clip.
        max_norm: the largest norm allowed, at least 0.
        norm_type: the p of the p-norm, above 0; infinity is the largest magnitude.
        error_if_nonfinite: raise where the norm is NaN or infinite, instead of making NaNs and zeros of the gradients.

    Returns:
        The norm as it was before.

    Raises:
        ValueError: for a negative `max_norm` or a `norm_type` not above 0.
        TypeError: for what is not a Parameter, or a setting that is no number.
        RuntimeError: for a norm that is not finite, when asked for; nothing is changed then.

    Example:
        >>> weight = Parameter([0.0, 0.0])
        >>> weight.grad += [3.0, 4.0]
        >>> clip_grad_norm_(weight, 1.0)
        5.0
        >>> weight.grad.round(4)
        array([0.6, 0.8])
    """
    max_norm = number("clip_grad_norm_", "max_norm", max_norm, at_least=0)
    norm_type = number("clip_grad_norm_", "norm_type", norm_type, above=0)
    error_if_nonfinite = flag("clip_grad_norm_", "error_if_nonfinite", error_if_nonfinite)
    grads = _trainable_grads("clip_grad_norm_", parameters)
    norms = [float(np.linalg.norm(grad.ravel().astype(np.float64), norm_type)) for grad in grads if grad.size]
    total = float(np.linalg.norm([0.0, *norms], norm_type))
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(f"clip_grad_norm_ expects gradients of finite norm, got a {norm_type:g}-norm of {total}")
    coefficient = max_norm / (total + 1e-6)
    if not coefficient >= 1:  # NaN too goes into the gradients
        with np.errstate(invalid="ignore"):  # 0 times infinity
            for grad in grads:
                grad *= coefficient
    return total


def clip_grad_value_(parameters: Parameter | Iterable[Parameter], clip_value: float) -> None:
    """Bring every entry of the gradients, in place, into [-clip_value, clip_value]; frozen parameters are passed by.

    Args:
        parameters: whose gradients to clip.
        clip_value: the largest magnitude allowed, at least 0.

    Raises:
        ValueError: for a negative `clip_value`.
        TypeError: for what is not a Parameter, or a `clip_value` that is no number.

    Example:
        >>> weight = Parameter([0.0, 0.0])
        >>> weight.grad += [-3.0, 0.5]
        >>> clip_grad_value_(weight, 1.0)
        >>> weight.grad
        array([-1. ,  0.5])
    """
    clip_value = number("clip_grad_value_", "clip_value", clip_value, at_least=0)
    for grad in _trainable_grads("clip_grad_value_", parameters):
        with np.errstate(over="ignore"):  # a bound beyond float32 is infinity
            np.clip(grad, -clip_value, clip_value, out=grad)


def parameters_to_vector(parameters: Parameter | Iterable[Parameter]) -> np.ndarray:
    """Return the values of all parameters, frozen ones too, end to end in one new array.

    Raises:
        ValueError: for no parameters.
        TypeError: for what is not a Parameter.

    Example:
        >>> parameters_to_vector([Parameter([[1.0, 2.0]]), Parameter(3.0)])
        array([1., 2., 3.])
    """
    found = _listed("parameters_to_vector", parameters)
    if not found:
        raise ValueError("parameters_to_vector expects at least one parameter, got none")
    return np.concatenate([each.data.ravel() for each in found])


def vector_to_parameters(vec: ArrayLike, parameters: Parameter | Iterable[Parameter]) -> None:
    """Copy the entries of a vector into the parameters, in place and in order, each in its dtype.

    Args:
        vec: as many numbers as the parameters have together, (size,).
        parameters: where they go; frozen ones too.

    Raises:
        ValueError: for a vector of another shape; nothing is written then.
        TypeError: for what is not a Parameter, or a vector not of real numbers.

    Example:
        >>> weight, bias = Parameter([[0.0, 0.0]]), Parameter(0.0)
        >>> vector_to_parameters([1, 2, 3], [weight, bias])
        >>> weight.data, bias.data
        (array([[1., 2.]]), array(3.))
    """
    found = _listed("vector_to_parameters", parameters)
    vec = real_array("vector_to_parameters", "vec", vec)
    ends = list(itertools.accumulate((each.data.size for each in found), initial=0))
    if vec.shape != (ends[-1],):
        raise ValueError(f"vector_to_parameters expects a vector of shape ({ends[-1]},), got {vec.shape}")
    for each, (start, end) in zip(found, itertools.pairwise(ends), strict=True):
        each.data[...] = vec[start:end].reshape(each.data.shape)
