"""What a setting of a rule or of a schedule may be, and the one check that all of them go through."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np


class Range(NamedTuple):
    """What a setting may be.

    Attributes:
        types: the types that it may have, of Python's own; True and False are no numbers.
        test: whether a value of one of these types is in range, so put that NaN fails it.
        text: both in words.
    """

    types: tuple[type, ...]
    test: Callable[[Any], bool]
    text: str


NUMBER = Range((int, float), lambda value: value == value, "a number")
AT_LEAST_0 = Range((int, float), lambda value: value >= 0, "a number of at least 0")
ABOVE_0 = Range((int, float), lambda value: value > 0, "a number above 0")
BELOW_1 = Range((int, float), lambda value: 0 <= value < 1, "a number in [0, 1)")
COUNT = Range((int, float), lambda value: isinstance(value, int) and value >= 0, "a whole number of at least 0")
FLAG = Range((bool,), lambda value: True, "True or False")

# Keywords that PyTorch has and that mean nothing here, with what to write instead.
_FOREIGN = {
    "foreach": "leave it out, the parameters of a group are updated in one sweep anyway",
    "fused": "leave it out, the parameters of a group are updated in one sweep anyway",
    "capturable": "leave it out, there are no CUDA graphs to capture a step",
    "differentiable": "leave it out, there is no autograd to differentiate a step",
    "set_to_none": "write zero_grad(), which sets gradients to zero in place; they are never None",
}


def one_of(*choices: str) -> Range:
    """Return the range of a setting that is one of several words."""
    return Range((str,), lambda value: value in choices, f"one of {choices}")


def tuple_of(each: Range) -> Range:
    """Return the range of a setting that is a list or a tuple, each entry of which is in range."""

    def test(values: tuple[Any, ...]) -> bool:
        return all(type(value) in each.types and each.test(value) for value in values)

    return Range((tuple,), test, f"a list, each {each.text}")


def checked(owner: str, name: str, value: Any, allowed: Range) -> Any:
    """Return a setting in Python's own types, checked to be in range.

    Raises:
        TypeError: for another type.
        ValueError: for a value out of range.
    """
    value = plain(value)
    fits = type(value) in allowed.types
    if not fits or not allowed.test(value):
        error = ValueError if fits else TypeError
        raise error(f"{owner} expects {name} to be {allowed.text}, got {value!r}")
    return value


def plain(value: Any) -> Any:
    """Return a setting in Python's own types: next to float32 arrays a NumPy float64 would widen the computation.

    Lists become tuples, which nobody can change unseen after the check.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, np.generic):
        return value.item()
    return tuple(map(plain, value)) if isinstance(value, list | tuple) else value


def refuse_foreign(call: str, keywords: Iterable[str]) -> None:
    """Refuse keywords that PyTorch has and that mean nothing here.

    Raises:
        TypeError: saying what to write instead.
    """
    for name in keywords:
        if name in _FOREIGN:
            raise TypeError(f"{call} has no {name}: {_FOREIGN[name]}")
