"""State that outlives a call, pinned so that every run sees the same: generators, and a module's buffers."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ..module import Module, named_generators
from ..parameter import Buffer
from ..random import default_generator, get_rng_state, set_rng_state

# NumPy's old global generator is used nowhere here; an author's layer may draw from it.


def _get_numpy_state() -> tuple:
    name, key, *rest = np.random.get_state()  # noqa: NPY002
    return name, np.asarray(key).tobytes(), *rest  # bytes, so that states compare


def _set_numpy_state(state: tuple) -> None:
    name, key, *rest = state
    np.random.set_state((name, np.frombuffer(key, np.uint32), *rest))  # noqa: NPY002


class Source(NamedTuple):
    """A generator that any code can reach: how to get its state and put it back, and how to draw from it."""

    get: Callable[[], Any]
    put: Callable[[Any], None]
    draw: Callable[[], Any]


SOURCES = (
    Source(get_rng_state, set_rng_state, lambda: default_generator().random()),
    Source(_get_numpy_state, _set_numpy_state, np.random.random),
    Source(random.getstate, random.setstate, random.random),
)


class RandomState:
    """The state of the generators that any code can reach: the library's, NumPy's old global one and Python's.

    Args:
        sources: others, in place of these three.

    Example:
        >>> state = RandomState()
        >>> a = random.random()
        >>> state.restore()
        >>> random.random() == a
        True
    """

    def __init__(self, sources: Iterable[Source] = SOURCES) -> None:
        self._states = [(source, source.get()) for source in sources]

    def restore(self) -> None:
        """Put the generators back."""
        for source, state in self._states:
            source.put(state)

    def drawn(self) -> RandomState:
        """Return the part of this that has been drawn from, since it does not stand as it stood."""
        part = copy.copy(self)
        part._states = [(source, state) for source, state in self._states if source.get() != state]
        return part


class ModuleState:
    """The state of a module's buffers and own generators, which it, or a copy of it, can be put back into.

    Example:
        >>> from nn import Dropout
        >>> dropout = Dropout(generator=0)
        >>> state, y = ModuleState(dropout), dropout(np.ones(8))
        >>> state.restore(dropout)
        >>> bool((dropout(np.ones(8)) == y).all())
        True
    """

    def __init__(self, module: Module) -> None:
        self._buffers = {name: member.data.copy() for name, member in module._state() if isinstance(member, Buffer)}
        self._generators = {name: each.bit_generator.state for name, each in named_generators(module).items()}

    def restore(self, module: Module) -> None:
        """Put a module's buffers and generators back; nothing else."""
        for name, member in module._state() if self._buffers else ():
            if name in self._buffers:
                member.data = self._buffers[name].copy()
        for name, generator in named_generators(module).items() if self._generators else ():
            if name in self._generators:
                generator.bit_generator.state = self._generators[name]  # in place: modules may share one


def advance(module: Module | None = None, sources: Iterable[Source] = SOURCES) -> None:
    """Draw from every generator within reach, a module's own too, so that whoever draws next draws something else.

    Example:
        >>> state = RandomState()
        >>> advance(Module())
        >>> len(state.drawn()._states)
        3
    """
    for source in sources:
        source.draw()
    for generator in named_generators(module).values() if module else ():
        generator.random()
