"""Experiments: a module is run again and again on copies, at a point and at others, from the same state each time."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any

import numpy as np

from .. import tree
from ..losses.base import Loss
from ..module import Module
from .measure import Function, numerical_jacobian, typical
from .state import ModuleState, RandomState, advance


class MismatchError(Exception):
    """Backward's gradients are not one an input, nested like the inputs."""


class Experiment:
    """A module at a point, in the mode that it is in, and the gradients that its backward gives there.

    module: in float64; only copies of it are run.
    inputs: by name, in float64 where floating.
    random_state: where the generators that any module can reach stand before each run.
    arrays: what may have a gradient, by name: floating inputs, then parameters. They are varied in place and put back.
    upstream: the gradient that backward is given, nested as the outputs.
    gradients: what it gives, by name of the array; all of the array's shape, float64 and finite.
    """

    def __init__(self, module: Module, inputs: dict[str, Any], random_state: RandomState) -> None:
        self.module, self.inputs = copy.deepcopy((module, inputs))
        self.random_state = random_state
        self.arrays = {name: leaf for name, leaf in tree.named_leaves(self.inputs) if tree.is_floating(leaf)}
        self.arrays.update((name, p.data) for name, p in self.module.named_parameters())
        self.upstream: Any = None
        self.gradients: dict[str, np.ndarray] = {}

    @property
    def g(self) -> np.ndarray:
        """The upstream gradient, flat."""
        return tree.ravel(self.upstream)

    @property
    def mode(self) -> str:
        """Of the module: "train" or "eval"."""
        return "train" if self.module.training else "eval"

    @property
    def samples(self) -> int:
        """How many there are, as far as the inputs' first axes tell."""
        return max((len(leaf) for leaf in tree.leaves(self.inputs) if np.ndim(leaf)), default=1)

    def constants(self) -> list[str]:
        """Return the names of float arrays that are neither Parameters nor Buffers and that forward does not assign."""
        replica = copy.deepcopy(self.module)
        before = _plain_arrays(replica)
        if before:
            self.forward(replica)
        after = _plain_arrays(replica)
        return [name for name, array in before.items() if after.get(name) is array]

    # ---- forward

    def forward(self, replica: Module) -> tuple[list[Any], Any]:
        """Run a copy of the module at the point; return copies of the inputs, which it got, and the output."""
        self.random_state.restore()
        inputs = copy.deepcopy(list(self.inputs.values()))
        return inputs, replica(*inputs)

    def outputs(self) -> np.ndarray:
        """Return all floating outputs at the point as it stands, flat."""
        # The parameters are shared with the copy, since forward only reads them; all else is the copy's own.
        memo = {id(p): p for p in self.module.parameters()}
        return tree.ravel(self.forward(copy.deepcopy(self.module, memo))[1])

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

    def backward(self, replica: Module, upstream: Any) -> dict[str, Any]:
        """Return by name what backward returns for each input, and what each parameter's grad becomes.

        Raises:
            MismatchError: where what it returns does not fit the inputs.
        """
        returned = replica.backward(upstream)
        names, count = list(self.inputs), len(self.inputs)
        if count == 1:
            returned = (returned,)
        elif not isinstance(returned, tuple | list):
            rest = [self.inputs[name] for name in names[1:]]
            if not isinstance(self.module, Loss) and any(map(tree.is_floating, rest)):
                raise MismatchError(
                    f"backward returns one gradient for {count} inputs. It should return a tuple of one for each, or "
                    f"derive from nn.Loss if it is a loss, where the prediction alone has one."
                )
            returned = (returned, *[None] * len(rest))  # targets and integers have none
        if len(returned) != count:
            raise MismatchError(
                f"backward returns {len(returned)} gradients for {count} inputs. It should return one for each."
            )
        expected = [name for name, _ in tree.named_leaves(self.inputs)]
        try:
            pairs = tree.pairs(list(self.inputs.values()), returned)
        except ValueError:
            got = [name for name, _ in tree.named_leaves(dict(zip(names, returned, strict=True)))]
            raise MismatchError(
                f"backward returns gradients for {', '.join(got) or 'nothing'}. It should return them for "
                f"{', '.join(expected)}, nested as forward got those."
            ) from None
        gradients = {name: gradient for name, (_, gradient) in zip(expected, pairs, strict=True)}
        return gradients | {name: p.grad for name, p in replica.named_parameters()}

    def repeat(
        self, replica: Module | None = None, upstream: Any = None, advanced: bool = False
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Run forward and backward once more; return the outputs and the gradients.

        Args:
            replica: a copy that has a past; its buffers and generators are put back. None for a fresh one.
            upstream: what to give to backward in place of `self.upstream`.
            advanced: whether random numbers are drawn between forward and backward.
        """
        replica = copy.deepcopy(self.module) if replica is None else replica
        y, gradients = self.run(replica, upstream, advanced)
        return tree.ravel(y), {name: np.array(gradients[name]) for name in self.gradients}

    def run(self, replica: Module, upstream: Any = None, advanced: bool = False) -> tuple[Any, dict[str, Any]]:
        """Do what `repeat` does, and return what the module returned, uncopied."""
        ModuleState(self.module).restore(replica)
        _, y = self.forward(replica)
        if advanced:
            advance(replica)
        return y, self.backward(replica, copy.deepcopy(self.upstream if upstream is None else upstream))

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
        advance(other.module)
        other.random_state = RandomState()
        for array in other.arrays.values():
            if within and array.size:
                array[...] = rng.choice(array.ravel(), array.shape)
                _contract(array, rng)
            else:
                array[...] = typical(array) * rng.normal(size=array.shape)
        return other

    def _copy(self) -> Experiment:
        other = Experiment(self.module, self.inputs, self.random_state)
        other.arrays = {name: other.arrays[name] for name in self.arrays}
        other.upstream, other.gradients = self.upstream, self.gradients
        return other


def _contract(array: np.ndarray, rng: np.random.Generator) -> None:
    """Move each entry by up to 2 % toward the mean."""
    if array.size:
        array += 0.02 * rng.random(array.shape) * (array.mean() - array)


def _plain_arrays(module: Module) -> dict[str, np.ndarray]:
    """Return the float arrays among the attributes of a module and those inside it, by dotted name."""
    return {
        f"{path}.{name}".lstrip("."): leaf
        for path, part in module.named_modules()
        for key, value in vars(part).items()
        for name, leaf in tree.named_leaves(value, key)
        if key != "_saved" and isinstance(leaf, np.ndarray) and tree.is_floating(leaf)
    }
