"""Experiments: a module is run again and again on copies, at a point and beside it, under the same chance each time."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from ..module import Module
from ..module import named_generators as held_generators
from ..parameter import Buffer
from ..random import default_generator, get_rng_state, set_rng_state
from ..tree import leaves, named_leaves, with_leaves

# ---- numbers in nested inputs and outputs


def is_floating(leaf: Any) -> bool:
    """Return whether a leaf is a number or an array of the kind that has a gradient."""
    return np.asarray(leaf).dtype.kind == "f"


def flat(tree: Any) -> np.ndarray:
    """Return all floating numbers of a tree, end to end, in float64."""
    found = [np.ravel(leaf) for _, leaf in leaves(tree) if is_floating(leaf)]
    return np.concatenate(found, dtype=np.float64) if found else np.zeros(0)


def unflat(numbers: np.ndarray, tree: Any) -> Any:
    """Return numbers in the nesting and the shapes of a tree: the reverse of `flat`.

    Example:
        >>> unflat(np.array([1.0, 2.0, 3.0]), (np.zeros(2), None, np.zeros(())))
        (array([1., 2.]), None, array(3.))
    """
    rest = iter(numbers)
    return with_leaves(
        tree,
        lambda leaf: (
            np.fromiter(rest, np.float64, np.size(leaf)).reshape(np.shape(leaf)) if is_floating(leaf) else leaf
        ),
    )


# ---- chance


# NumPy's old global generator is used nowhere here; an author's layer may draw from it.


def _get_numpy_state() -> tuple:
    name, key, *rest = np.random.get_state()  # noqa: NPY002
    return name, np.asarray(key).tobytes(), *rest  # bytes, so that states compare


def _set_numpy_state(state: tuple) -> None:
    name, key, *rest = state
    np.random.set_state((name, np.frombuffer(key, np.uint32), *rest))  # noqa: NPY002


_DOORS: list[tuple[Callable[[], Any], Callable[[Any], None]]] = [
    (get_rng_state, set_rng_state),
    (_get_numpy_state, _set_numpy_state),
    (random.getstate, random.setstate),
]


class Chance:
    """The generators that any module can reach, as they stand: the library's, NumPy's old global one and Python's.

    Those that a module holds need no care, since they are copied with it.
    """

    def __init__(self) -> None:
        self._states = [(get, put, get()) for get, put in _DOORS]

    def restore(self) -> None:
        """Put the generators back."""
        for _, put, state in self._states:
            put(state)

    def drawn(self) -> Chance:
        """Return the part of this that has been drawn from, since it does not stand as it stood."""
        part = copy.copy(self)
        part._states = [kept for kept in self._states if kept[0]() != kept[2]]
        return part


def rewind(module: Module, start: Module) -> None:
    """Put a used copy's buffers and generators back to where the module stood at the start; nothing else."""
    members = dict(module._state())
    for name, member in start._state():
        if isinstance(member, Buffer) and name in members:
            members[name].data = member.data.copy()
    generators = held_generators(module)
    for name, generator in held_generators(start).items():
        if name in generators:
            generators[name].bit_generator.state = generator.bit_generator.state  # in place: modules may share one


def stir(module: Module) -> None:
    """Draw from every generator within a module's reach, so that whoever draws next draws something else."""
    own = [generator.random for generator in held_generators(module).values()]
    draws: list[Callable[[], Any]] = [default_generator().random, np.random.random, random.random, *own]
    for draw in draws:
        draw()


# ---- the point


class Experiment:
    """A module at a point, in the mode that it is in.

    module: in float64; only copies of it are run.
    inputs: by name, in float64 where floating.
    arrays: what may have a gradient, by name: floating inputs, then parameters. They are shifted in place and put back.
    """

    def __init__(self, module: Module, inputs: dict[str, Any], chance: Chance) -> None:
        self.module = module
        self.inputs = inputs
        self.chance = chance
        self.arrays = {name: leaf for name, leaf in named_leaves(inputs) if is_floating(leaf)}
        self.arrays.update((name, p.data) for name, p in module.named_parameters())

    def outputs(self) -> np.ndarray:
        """Return all floating outputs at the point as it stands, end to end."""
        # The parameters are shared with the copy, since forward only reads them; all else is the copy's own.
        memo = {id(p): p for p in self.module.parameters()}
        self.chance.restore()
        return flat(copy.deepcopy(self.module, memo)(*copy.deepcopy(list(self.inputs.values()))))

    @cached_property
    def base(self) -> np.ndarray:
        """The outputs at the point itself."""
        return self.outputs()

    def between(self, name: str, where: Any, shift: Any) -> tuple[np.ndarray, np.ndarray, Any]:
        """Shift some entries of an array up, then down; return the outputs at both, and the way from below to above.

        They are NaN where forward cannot go, which is at the edge of what it takes.
        """
        entries = self.arrays[name].reshape(-1)
        held = entries[where].copy()

        def at(values: Any) -> np.ndarray:
            entries[where] = values
            try:
                with np.errstate(all="ignore"):
                    y = self.outputs()
            except Exception:
                y = np.full(0, np.nan)
            return y if y.shape == self.base.shape else np.full_like(self.base, np.nan)

        above, below = held + shift, held - shift  # the way between them is not quite twice the shift: they are rounded
        try:
            return at(above), at(below), above - below
        finally:
            entries[where] = held

    def moved(self, rng: np.random.Generator, way: float = 1.0) -> Experiment:
        """Return a point beside this one, each entry moved by about 1 % of its array's scale.

        way: 1 and -1 are opposite; 0 is toward the array's mean, which does not leave any interval.
        """
        other = Experiment(*copy.deepcopy((self.module, self.inputs)), self.chance)
        other.arrays = {name: other.arrays[name] for name in self.arrays}
        for array in other.arrays.values():
            if way:
                array += way * 0.01 * typical(array) * rng.normal(size=array.shape)
            elif array.size:
                array += 0.02 * rng.random(array.shape) * (array.mean() - array)
        return other


def typical(array: np.ndarray) -> float:
    """Return the median size of the entries that are not zero; 1 where all are.

    Example:
        >>> typical(np.array([0.0, -2.0, 3.0, 5.0]))
        3.0
    """
    sizes = np.abs(array[array != 0])
    return float(np.median(sizes)) if sizes.size else 1.0
