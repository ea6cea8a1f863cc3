"""Experiments: a subject is run again and again, at a point and at others, from the same state each time."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..module import Module
from .measure import Function, numerical_jacobian, typical
from .pull import Back, MismatchError, Pull, Subject
from .state import RandomState


class Run(NamedTuple):
    """One forward pass: what the pull was given and may have written into, the output, and the way back."""

    values: list[Any]
    output: Any
    back: Back


class Experiment:
    """A subject at a point, and the gradients that its backward gives there.

    subject: what is run.
    random_state: where the generators that any code can reach stand before each run.
    inputs: by name, in float64 where floating.
    parameters: by name.
    arrays: what may have a gradient, by name: floating inputs, then parameters. They are varied in place and put back.
    upstream: the gradient that backward is given, nested as the outputs.
    gradients: what it gives, by name of the array; all of the array's shape, float64 and finite.
    """

    def __init__(
        self,
        subject: Subject,
        random_state: RandomState,
        inputs: dict[str, Any] | None = None,
        parameters: dict[str, np.ndarray] | None = None,
    ) -> None:
        self.subject, self.random_state = subject, random_state
        self.inputs = copy.deepcopy(subject.inputs if inputs is None else inputs)
        self.parameters = copy.deepcopy(subject.parameters if parameters is None else parameters)
        self.arrays = {name: leaf for name, leaf in tree.named_leaves(self.inputs) if tree.is_floating(leaf)}
        self.arrays |= self.parameters
        self.upstream: Any = None
        self.gradients: dict[str, np.ndarray] = {}

    @property
    def module(self) -> Module | None:
        """The Module that is checked, in its mode, if it is one; its parameters stand where the check began."""
        return self.subject.module

    @property
    def mode(self) -> str:
        """The mode: "train", "eval", or "" where there is none."""
        return self.subject.mode

    @property
    def g(self) -> np.ndarray:
        """The upstream gradient, flat."""
        return tree.ravel(self.upstream)

    @property
    def samples(self) -> int:
        """How many there are, as far as the inputs' first axes tell."""
        return max((len(leaf) for leaf in tree.leaves(self.inputs) if np.ndim(leaf)), default=1)

    # ---- forward

    def forward(self, pull: Pull | None = None) -> Run:
        """Run an instance, a fresh one by default, on copies of the point."""
        values = copy.deepcopy([*self.inputs.values(), *self.parameters.values()])
        self.random_state.restore()
        return Run(values, *(pull or self.subject.instance())(*values))

    def outputs(self) -> np.ndarray:
        """Return all floating outputs at the point as it stands, flat."""
        # The parameters are handed over as they are, since forward only reads them.
        inputs = copy.deepcopy(list(self.inputs.values()))
        self.random_state.restore()
        output, _ = self.subject.instance()(*inputs, *self.parameters.values())
        return tree.ravel(output)

    @cached_property
    def value(self) -> np.ndarray:
        """The outputs at the point itself."""
        return self.outputs()

    def function(self, name: str) -> Function:
        """Return the outputs as a function of an array."""
        return Function(self.outputs, self.arrays[name], self.value)

    def jacobian(self, name: str, grid: tuple[np.ndarray, ...]) -> np.ndarray:
        """Return the derivative of each output by each entry of a grid; one axis more than the grid."""
        return numerical_jacobian(self.outputs, self.arrays[name], grid)

    # ---- backward

    def backward(self, back: Back, upstream: Any) -> dict[str, Any]:
        """Return by name what backward gives for each array.

        Raises:
            MismatchError: where what it returns does not fit the inputs.
        """
        point = self.inputs | self.parameters
        gradients = dict(zip(point, back(upstream), strict=True))
        names = [name for name, _ in tree.named_leaves(point)]
        try:
            pairs = tree.pairs(list(point.values()), list(gradients.values()))
        except ValueError:
            expected, got = (
                ", ".join(name for name, leaf in tree.named_leaves(nest) if leaf is not None)
                for nest in (self.inputs, {name: gradients[name] for name in self.inputs})
            )
            raise MismatchError(
                f"backward returns gradients for {got or 'nothing'}. It should return them for {expected}, nested as "
                f"forward got those."
            ) from None
        return {name: gradient for name, (_, gradient) in zip(names, pairs, strict=True)}

    def repeat(
        self, pull: Pull | None = None, upstream: Any = None, advanced: bool = False
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Run forward and backward once more; return the outputs and the gradients.

        Args:
            pull: an instance that has a past; None for a fresh one.
            upstream: what to give to backward in place of `self.upstream`.
            advanced: whether random numbers are drawn between forward and backward.
        """
        output, gradients = self.run(pull, upstream, advanced)
        return tree.ravel(output), {name: np.array(gradients[name]) for name in self.gradients}

    def run(self, pull: Pull | None = None, upstream: Any = None, advanced: bool = False) -> tuple[Any, dict[str, Any]]:
        """Do what `repeat` does, and return what came back, uncopied."""
        pull = self.subject.instance() if pull is None else pull
        run = self.forward(pull)
        if advanced:
            self.subject.advance(pull)
        return run.output, self.backward(run.back, copy.deepcopy(self.upstream if upstream is None else upstream))

    # ---- other points

    def moved(self, rng: np.random.Generator, way: float = 1.0) -> Experiment:
        """Return a point nearby, each entry moved by about 1 % of its array's scale.

        way: 1 and -1 are opposite; 0 is toward the array's mean, which does not leave any interval.
        """
        other = self._copy()
        for array in other.arrays.values():
            if way:
                array += way * 0.01 * typical(array) * rng.normal(size=array.shape)
            else:
                _contract(array, rng)
        return other

    def redrawn(self, rng: np.random.Generator, within: bool) -> Experiment:
        """Return another point of the same scale, with floating inputs, parameters and random numbers drawn anew.

        within: whether from the numbers that an array holds, which does not leave any interval, or from around zero.
        """
        other = self._copy()
        self.random_state.restore()
        other.subject = self.subject.redrawn()
        other.random_state = RandomState(self.subject.sources)
        for array in other.arrays.values():
            if within and array.size:
                array[...] = rng.choice(array.ravel(), array.shape)
                _contract(array, rng)
            else:
                array[...] = typical(array) * rng.normal(size=array.shape)
        return other

    def _copy(self) -> Experiment:
        other = Experiment(self.subject, self.random_state, self.inputs, self.parameters)
        other.arrays = {name: other.arrays[name] for name in self.arrays}
        other.upstream, other.gradients = self.upstream, self.gradients
        return other


def _contract(array: np.ndarray, rng: np.random.Generator) -> None:
    """Move each entry by up to 2 % toward the mean."""
    if array.size:
        array += 0.02 * rng.random(array.shape) * (array.mean() - array)
