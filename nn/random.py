"""The one source of chance in `nn`: a NumPy Generator that `manual_seed` sets and every draw can override.

Whatever draws numbers takes `generator=None` last; None means the generator kept here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .settings import integer

_default: np.random.Generator | None = None  # made at the first draw, so that an import draws no entropy


def default_generator(generator: np.random.Generator | int | None = None) -> np.random.Generator:
    """Return the Generator to draw from: the one given, one made from the seed given, or the library's own.

    Args:
        generator: a NumPy Generator, an integer seed, or None for the generator that `manual_seed` sets.

    Raises:
        TypeError: for anything else; booleans are no seeds.
        ValueError: for a negative seed.

    Example:
        >>> default_generator(0).integers(10) == np.random.default_rng(0).integers(10)
        np.True_
    """
    global _default
    if isinstance(generator, np.random.Generator):
        return generator
    if generator is not None:
        expected = "generator expects a numpy.random.Generator, an integer seed of at least 0 or None"
        if isinstance(generator, bool) or not isinstance(generator, int | np.integer):
            raise TypeError(f"{expected}, got {generator!r}")
        if generator < 0:
            raise ValueError(f"{expected}, got {generator!r}")
        return np.random.default_rng(generator)
    if _default is None:
        _default = np.random.default_rng()
    return _default


def manual_seed(seed: int) -> np.random.Generator:
    """Start the library's generator afresh from `seed`, and return it.

    Args:
        seed: a non-negative integer.

    Raises:
        TypeError: for what is no integer.
        ValueError: for a negative one.

    Example:
        >>> manual_seed(0).integers(100) == manual_seed(0).integers(100)
        np.True_
    """
    global _default
    _default = np.random.default_rng(integer("manual_seed", "seed", seed, at_least=0, below=math.inf))
    return _default


def get_rng_state() -> dict[str, Any]:
    """Return the state of the library's generator as a dict of strings and integers, for a checkpoint.

    Example:
        >>> state = get_rng_state()
        >>> a = default_generator().random()
        >>> set_rng_state(state)
        >>> a == default_generator().random()
        True
    """
    return dict(default_generator().bit_generator.state)


def set_rng_state(state: dict[str, Any]) -> None:
    """Put the library's generator back into a state that `get_rng_state` gave.

    Raises:
        ValueError: for a state that belongs to another kind of generator; nothing is changed then.

    Example:
        >>> set_rng_state(get_rng_state())
    """
    generator = default_generator()
    try:
        generator.bit_generator.state = state
    except (TypeError, ValueError, KeyError) as error:
        kind = type(generator.bit_generator).__name__
        raise ValueError(f"set_rng_state expects a state of {kind}, got {state!r}") from error
