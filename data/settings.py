"""Settings: each is checked where it is given, and NumPy's scalars become Python's."""

from __future__ import annotations

import functools
import math
import numbers
import operator
import reprlib
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])


def refusal(owner: str, name: str, expected: str, value: Any) -> str:
    """Return the text of an error: which setting of what, what was expected, and what came."""
    return f"{owner} expects {name} to be {expected}, got {reprlib.repr(value)}"


def integer(owner: str, name: str, value: Any, at_least: int, below: int = 2**63) -> int:
    """Return a setting that is an integer; TypeError for another kind (booleans, 2.0), ValueError out of bounds."""
    expected = f"an integer of at least {at_least}"
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        value = operator.index(value)
    except TypeError:
        raise TypeError(refusal(owner, name, expected, value)) from None
    if value >= below:
        expected += f" and below {below}"
    if not at_least <= value < below:
        raise ValueError(refusal(owner, name, expected, value))
    return value


def number(owner: str, name: str, value: Any, at_least: float, at_most: float = math.inf) -> float:
    """Return a setting that is a finite number; TypeError for another kind, ValueError for NaN or one out of bounds."""
    expected = f"a finite number of at least {at_least}" + f" and at most {at_most}" * (at_most < math.inf)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(refusal(owner, name, expected, value))
    if not (at_least <= float(value) <= at_most and math.isfinite(value)):
        raise ValueError(refusal(owner, name, expected, value))
    return float(value)


def flag(owner: str, name: str, value: Any) -> bool:
    """Return a setting that is True or False; TypeError for anything else, 0 and 1 too."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(refusal(owner, name, "True or False", value))
    return bool(value)


def choice(owner: str, name: str, value: Any, *choices: str | None) -> Any:
    """Return a setting that is one of several words; ValueError for anything else."""
    if not (value is None or isinstance(value, str)) or value not in choices:
        raise ValueError(refusal(owner, name, f"one of {', '.join(map(repr, choices))}", value))
    return value


def names(owner: str, name: str, value: Any) -> list[str]:
    """Return a setting that is a collection of names; TypeError for anything else, a bare string too."""
    expected = "a list of names"
    if isinstance(value, str):
        raise TypeError(f"{refusal(owner, name, expected, value)}: write [{value!r}]")
    try:
        found = list(value)
    except TypeError:
        raise TypeError(refusal(owner, name, expected, value)) from None
    if not all(isinstance(item, str) for item in found):
        raise TypeError(refusal(owner, name, expected, value))
    return found


def random_generator(owner: str, value: Any) -> np.random.Generator:
    """Return the generator that `generator` means: itself, one started from a seed, or for None a fresh one."""
    try:
        return np.random.default_rng(value)
    except (TypeError, ValueError) as error:
        expected = "a NumPy Generator, a seed of at least 0, or None"
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(refusal(owner, "generator", expected, value)) from None


def lacks(owner: str, **advice: str) -> Callable[[F], F]:
    """Decorate a function so that a keyword which PyTorch has and it lacks is answered with what to write instead.

    The signature stays as it is, so that type checkers go on flagging such a keyword, and any typo.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            for name in advice.keys() & kwargs.keys():
                raise TypeError(f"{owner} has no {name}: {advice[name]}")
            return function(*args, **kwargs)

        return checked  # type: ignore[return-value]

    return decorate
