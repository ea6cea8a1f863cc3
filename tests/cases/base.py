"""What a row of the table is made of: the row itself, how inputs are drawn, and what references and twins share."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import nn


def torch_twin(module: nn.Module, **names):
    """Return PyTorch's module from the repr of ours, which has the same names and arguments, with the same state.

    names: what repr mentions and torch.nn lacks, or takes otherwise.
    """
    import torch

    # float, since PyTorch takes no dtype by name
    twin = eval(repr(copy.deepcopy(module).float()), vars(torch.nn) | names).double()
    if not isinstance(module, nn.Loss):  # PyTorch's losses keep their weights out of some states
        twin.load_state_dict({name: torch.tensor(value) for name, value in module.state_dict().items()})
    return twin.train(module.training)


@dataclass(frozen=True)
class Case:
    """A row: one configuration of a layer, a loss or a composition.

    name: unique; seeds the row's random numbers, and golden numbers stand under it.
    build: makes the module.
    draw: draws the tuple of inputs: float64 or integer arrays, or nested tuples and dicts of them.
    reference: the slow forward, written from the definition; takes the module, then the inputs in float64. A module that
        is run outside of the table needs none.
    twin: makes PyTorch's module from ours; needed by tools/golden.py alone.
    batched: whether the first axis of all inputs is the batch, so that a batch of no rows makes sense.
    drawn: whether training draws random numbers, so that PyTorch's output cannot be compared in that mode.
    targets: the positions of a loss' inputs that have no gradient.
    """

    name: str
    build: Callable[[], nn.Module]
    draw: Callable[[np.random.Generator], tuple]
    reference: Callable | None
    twin: Callable = torch_twin
    batched: bool = True
    drawn: bool = False
    targets: tuple[int, ...] = (1,)


# ---- drawing inputs


def numbers(rng, shape, scale=1.0):
    """Return normal numbers of three decimals, which read well in golden numbers."""
    return np.round(scale * rng.normal(size=shape), 3)


def normal(*shape, scale=1.0):
    """One input of normal numbers."""
    return lambda rng: (numbers(rng, shape, scale),)


def indices(count, *shape):
    """One input of integers from 0 to count - 1."""
    return lambda rng: (rng.integers(count, size=shape),)


def several(*draws):
    """The inputs of each draw, one after another."""
    return lambda rng: tuple(x for draw in draws for x in draw(rng))


def nested(*draws):
    """One input: the tuple of what each draw gives."""
    return lambda rng: (several(*draws)(rng),)


def pair(*shape):
    """Prediction and target, both normal."""
    return several(normal(*shape), normal(*shape))


# ---- parts of references


def elementwise(function: Callable) -> Callable:
    """Make a reference of a function of the module and one number."""

    def reference(module, x):
        y = np.empty_like(x)
        for index in np.ndindex(x.shape):
            y[index] = function(module, float(x[index]))
        return y

    return reference


def reduced(module, values, count=None):
    """Reduce the values of a loss; a mean divides by `count`, by default how many they are."""
    if module.reduction == "none":
        return np.array(values)
    total = math.fsum(np.ravel(values))
    return total if module.reduction == "sum" else total / (np.size(values) if count is None else count)


def pairwise(function: Callable) -> Callable:
    """Make a reference loss of a function of the module, one prediction, one target and their index."""

    def reference(module, prediction, target):
        values = np.empty_like(prediction)
        for index in np.ndindex(prediction.shape):
            values[index] = function(module, float(prediction[index]), float(target[index]), index)
        return reduced(module, values)

    return reference
