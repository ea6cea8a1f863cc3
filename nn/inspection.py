"""Two watchers of a forward pass: a table of a model's layers, and the place where numbers stop being finite.

Both run a deep copy, so that the caller's model stays as it is, saved slots and generators included, whatever its
layers do and wherever they fail.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import tree
from .module import Module, count_parameters, no_grad, short_repr, watching
from .parameter import Parameter
from .random import get_rng_state, set_rng_state
from .texttable import aligned

_WIDTH = 80  # columns of a terminal
_SHAPE_WIDTH = 30  # of which a shape may take so many


@contextlib.contextmanager
def _rehearsal(model: Module) -> Iterator[Module]:
    """Give a copy of the model to run, and put the library's generator back afterwards."""
    state = get_rng_state()
    try:
        with no_grad():
            yield copy.deepcopy(model)
    finally:
        set_rng_state(state)


# ---- the table


def summary(model: Module, input_shape: tuple[int, ...] | tuple[tuple[int, ...], ...]) -> str:
    """Return a table of a model's layers with their output shapes and parameter counts, in ASCII and 80 columns.

    A copy of the model is run once on zeros, in evaluation mode. A parameter that several layers hold counts in the
    first of them. A layer that runs several times shows its last output, and one that does not run a dash.

    Args:
        model: any module.
        input_shape: the shape of the input, batch included, or a tuple of shapes where the model takes several.

    Raises:
        ValueError: for anything else than a shape or a tuple of shapes. What the model raises passes through.

    Example:
        >>> from nn import Linear, ReLU, Sequential
        >>> print(summary(Sequential(Linear(784, 256), ReLU(), Linear(256, 10)), (32, 784)))
        Layer                  Output shape  Parameters
        -----------------------------------------------
        Sequential             (32, 10)
          0: Linear(784, 256)  (32, 256)        200,960
          1: ReLU()            (32, 256)
          2: Linear(256, 10)   (32, 10)           2,570
        -----------------------------------------------
        203,530 parameters, 203,530 trainable
    """
    inputs = [np.zeros(shape, np.float32) for shape in _shapes(input_shape)]
    outputs: dict[Module, str] = {}

    def watch(module: Module, inputs: tuple, output: Any) -> None:
        outputs[module] = ", ".join(str(np.shape(leaf)) for leaf in tree.leaves(output))

    with _rehearsal(model) as replica, watching(watch):
        replica.eval()(*inputs)
    rows = [(label, outputs.get(module, "-"), count) for label, module, count in _rows(replica, "", "", set())]
    total = f"{count_parameters(replica):,} parameters"
    trainable = sum(parameter.data.size for parameter in replica.parameters() if parameter.requires_grad)
    return _table([("Layer", "Output shape", "Parameters"), *rows], f"{total}, {trainable:,} trainable")


def _shapes(input_shape: Any) -> list[tuple[int, ...]]:
    """Return the shapes of all inputs."""
    several = isinstance(input_shape, tuple | list) and any(isinstance(part, tuple | list) for part in input_shape)
    shapes = list(input_shape) if several else [input_shape]
    for shape in shapes:
        if not isinstance(shape, tuple | list) or not all(isinstance(n, int | np.integer) and n >= 0 for n in shape):
            raise ValueError(f"summary expects input_shape to be a shape or a tuple of shapes, got {input_shape!r}")
    return shapes


def _rows(module: Module, name: str, indent: str, seen: set[Any]) -> Iterator[tuple[str, Module, str]]:
    """Yield a label, the module and its count of parameters not `seen`, for a module and all below it."""
    members = list(module._members())
    own = {member for _, member in members if isinstance(member, Parameter)}
    new = own - seen
    seen |= {module, *own}
    count = f"{sum(parameter.data.size for parameter in new):,}" if new else "shared" if own else ""
    yield f"{indent}{name}{short_repr(module)}", module, count
    for key, member in members:
        if isinstance(member, Module) and member not in seen:
            yield from _rows(member, f"{key}: ", indent + "  ", seen)


def _table(rows: list[tuple[str, str, str]], total: str) -> str:
    """Lay out rows of which the first holds the headings; the first column yields where space is short."""
    cells = [[text.encode("ascii", "backslashreplace").decode() for text in row] for row in rows]
    _, shape, count = (max(map(len, column)) for column in zip(*cells, strict=True))
    shape = min(shape, _SHAPE_WIDTH)
    lines = aligned(cells, "<<>", (_WIDTH - 2 - shape - 2 - count, shape, count))
    rule = "-" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:], rule, total])


# ---- the first number that is not finite


def first_nonfinite(model: Module, *inputs: ArrayLike) -> str | None:
    """Tell where NaN or infinity first appears when a model is called, for a script whose loss is not finite.

    A copy of the model is run once, in the mode that it is in. A loss is a module too: give it the prediction and
    the target.

    Args:
        model: any module.
        *inputs: what to call it with.

    Returns:
        An input, a parameter, or else the first module in the order of computation that makes of finite inputs what is
        not finite, with its dotted name: "input 0", "parameter 0.weight", "output of 2: Linear(64, 1)". None where all
        is finite.

    Raises:
        What the model raises passes through.

    Example:
        >>> from nn import Linear, ReLU, Sequential
        >>> model = Sequential(Linear(1, 2), ReLU())
        >>> first_nonfinite(model, [[1.0]])
        >>> model[0].weight.data *= 1e38
        >>> first_nonfinite(model, [[1e38]])
        'output of 0: Linear(1, 2)'
        >>> model[0].bias.data[0] = np.nan
        >>> first_nonfinite(model, [[1.0]])
        'parameter 0.bias'
    """
    for index, value in enumerate(inputs):
        if not _finite(value):
            return f"input {index}"
    for name, parameter in model.named_parameters():
        if not _finite(parameter.data):
            return f"parameter {name}"
    found: list[str] = []

    def watch(module: Module, inputs: tuple, output: Any) -> None:
        if not found and not _finite(output) and _finite(inputs):
            name = names.get(module)
            found.append(f"output of {name}: {short_repr(module)}" if name else f"output of {short_repr(module)}")

    with _rehearsal(model) as replica, watching(watch), np.errstate(all="ignore"):
        names = {module: name for name, module in replica.named_modules()}
        replica(*inputs)
    return found[0] if found else None


def _finite(value: Any) -> bool:
    """Tell whether all floating numbers in a tree of arrays are finite."""
    arrays = (np.asarray(leaf) for leaf in tree.leaves(value))
    return all(array.dtype.kind not in "fc" or bool(np.isfinite(array).all()) for array in arrays)
