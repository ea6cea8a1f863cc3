"""A forward as operations whose derivatives are known: it is recorded, and functions made of several are recognised.

Nobody derives a softmax operation by operation: its formula is a mistake's home, and so it counts as one operation,
as do the logistic function and the norms. They are known by their values, however they are written.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .. import tree
from .derivatives import ChainRule
from .experiment import Experiment
from .operations import Operation, Record, Recorded, shapes_of

DEEP = 10  # operations that a function may be made of, one after another
NEARLY = 1e-6  # how well a function of several operations is known by its values
EPSILON = 0.05  # of a variance: the most that is added to it


def recorded(experiment: Experiment) -> ChainRule:
    """Run forward on arrays that are recorded, and return its chain rule."""
    record, leaves = Record(), {}
    point = copy.deepcopy(experiment.inputs | experiment.parameters)
    values = []
    for name, leaf in tree.named_leaves(point):
        if name in experiment.arrays:
            leaf = record.leaf(leaf)
            leaves[name] = leaf.operation
        values.append(leaf)
    remaining = iter(values)
    arguments = tree.map(lambda _: next(remaining), list(point.values()))
    experiment.random_state.restore()
    pull = experiment.subject.instance()
    with record.making():
        output, _ = pull(*arguments)
        floating = [leaf for leaf in tree.leaves(output) if tree.is_floating(leaf)]
        outputs = [(leaf.resolved() if isinstance(leaf, Recorded) else None, np.size(leaf)) for leaf in floating]
    return ChainRule(record.operations, leaves, outputs)


def composed(chain: ChainRule) -> ChainRule | None:
    """Return the chain rule in terms of known functions, where forward has any that are made of several operations."""
    new: dict[Operation, Operation] = {}
    operations, known = [], False
    for operation in chain.operations:
        function = _function(operation)
        other = copy.copy(operation)
        if function is not None:
            name, operand, settings = function
            other = Operation(name, [operand], operation.value, settings, operation.site, operation.number)
            known = True
        other.operands = [new.get(x, x) if isinstance(x, Operation) else x for x in other.operands]
        new[operation] = other
        operations.append(other)
    if not known:
        return None
    leaves = {name: new.get(leaf, leaf) for name, leaf in chain.leaves.items()}
    outputs = [(new.get(operation) if operation is not None else None, size) for operation, size in chain.outputs]
    return ChainRule(operations, leaves, outputs)


def _function(operation: Operation) -> tuple[str, Operation, dict[str, Any]] | None:
    """Return the name, the operand and the settings of a function that an operation is the last step of."""
    if operation.name == "subtract":
        return _log_softmax(operation)
    if operation.name in ("divide", "put", "where", "reciprocal") and (x := _of_sigmoid(operation)):
        return "sigmoid", x, {}
    if operation.name not in ("divide", "multiply"):
        return None
    a, b = operation.operands
    if not isinstance(a, Operation) or not isinstance(b, Operation):
        return None
    ndim, ours = a.value.ndim, a.value.shape
    shape = (1,) * (ndim - b.value.ndim) + b.value.shape
    axes = tuple(k for k in range(ndim) if shape[k] == 1 < ours[k])
    if len(shape) != ndim or not axes or operation.value.shape != ours:
        return None
    s = (b.value if operation.name == "divide" else 1 / b.value).reshape(shape)
    if a.name == "exp" and _close(s, a.value.sum(axes, keepdims=True)) and isinstance(a.operands[0], Operation):
        x = a.operands[0]
        if x.name == "subtract" and isinstance(x.operands[0], Operation) and _is_level(x.operands[1], ours, axes):
            x = x.operands[0]  # softmax does not depend on the largest that is taken away
        return "softmax", x, {"axes": axes}
    square = s**2
    settings = {"axes": axes, "s": s}
    if a.name == "subtract" and isinstance(x := a.operands[0], Operation) and x.value.shape == ours:
        centred = x.value - x.value.mean(axes, keepdims=True)
        if _close(a.value, centred) and _nearly(square, x.value.var(axes, keepdims=True)):
            return "standardise", x, settings
    if _nearly(square, (a.value**2).sum(axes, keepdims=True)):
        return "scale to length 1", a, settings
    if _nearly(square, (a.value**2).mean(axes, keepdims=True)):
        return "divide by the root mean square", a, settings
    return None


def _of_sigmoid(operation: Operation) -> Operation | None:
    """Return what an operation is the logistic function of, among the operations that it is made of."""
    y = operation.value
    if not y.size or y.min() <= 0 or y.max() >= 1:
        return None
    found, x = [operation], np.log(y / (1 - y))
    for depth in range(DEEP):
        found = list(dict.fromkeys(x for each in found for x in each.operands if isinstance(x, Operation)))
        for each in found:
            if each.value.shape == y.shape and np.abs(each.value - x).max() <= NEARLY * np.abs(x).max() and depth:
                return each
    return None


def _log_softmax(operation: Operation) -> tuple[str, Operation, dict[str, Any]] | None:
    a, b = operation.operands
    shape = (1,) * (np.ndim(operation.value) - len(shapes_of(b))) + tuple(shapes_of(b))
    axes = tuple(k for k, size in enumerate(operation.value.shape) if len(shape) > k and shape[k] == 1 < size)
    if not axes or not isinstance(a, Operation) or not isinstance(b, Operation):
        return None
    total = np.exp(operation.value).sum(axes, keepdims=True)
    if a.value.shape != operation.value.shape or not _close(total, np.ones(total.shape)):
        return None
    if a.name == "subtract" and isinstance(a.operands[0], Operation) and _is_level(a.operands[1], a.value.shape, axes):
        a = a.operands[0]
    return "log-softmax", a, {"axes": axes}


def _is_level(x: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> bool:
    """Return whether something is the same all along some axes."""
    ours = np.shape(x.value if isinstance(x, Operation) else x)
    ours = (1,) * (len(shape) - len(ours)) + ours
    return all(ours[k] == 1 for k in axes)


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(np.abs(a - b).max() <= NEARLY * np.abs(b).max())


def _nearly(square: np.ndarray, statistic: np.ndarray) -> bool:
    """Return whether one is the other, and an epsilon."""
    more = square - statistic
    return bool(
        np.ptp(more) <= NEARLY * square.max() and -NEARLY * square.min() <= more.min() <= EPSILON * square.min()
    )
