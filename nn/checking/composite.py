"""What backward hands to the modules inside: each upstream gradient is held against the measured one."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .. import tree
from ..module import Module
from .evidence import SAME
from .experiment import Experiment
from .measure import STEP, typical
from .report import Fault


class _Call:
    """One call of a module inside: its output, the upstream gradient that it was given, and what it returned."""

    output: np.ndarray
    given: Any = None
    returned: Any = None


def misled(experiment: Experiment, wrong: set[str], rng: np.random.Generator) -> list[Fault]:
    """Report the first module in the order of backward that is given a wrong upstream gradient by those around it.

    Args:
        experiment: the point.
        wrong: the names of modules that are wrong by themselves. What comes after them in backward tells nothing.
        rng: where directions are drawn from.
    """
    replica = copy.deepcopy(experiment.module)
    calls: dict[str, _Call] = {}
    order: list[str] = []
    parts = {name: part for name, part in replica.named_modules() if name}
    for name, part in parts.items():
        _watch(name, part, calls, order)
    experiment.forward(replica)
    experiment.backward(replica, copy.deepcopy(experiment.upstream))
    idle = [name for name in calls if name not in order]
    for name in sorted(order, key=lambda name: -list(calls).index(name)):  # from the output on
        if any(name == bad or bad.startswith(f"{name}.") for bad in wrong):
            return []
        call = calls[name]
        if not isinstance(call.given, np.ndarray) or call.given.shape != np.shape(call.output):
            continue
        direction = typical(call.output) * rng.uniform(0.5, 1.5, call.output.shape)
        direction *= rng.choice([-1, 1], direction.shape)
        above, below = (_moved(experiment, name, sign * STEP * direction) for sign in (1, -1))
        slope = np.dot(experiment.g, above - below) / (2 * STEP)
        gives = float((call.given * direction).sum())
        if abs(slope - gives) > SAME * (np.abs(call.given * direction).sum() + abs(slope)):
            return [Fault("backward", "wrong upstream", _text(name, call, calls, idle, experiment.upstream))]
    return []


def _watch(name: str, part: Module, calls: dict[str, _Call], order: list[str]) -> None:
    """Enter what a module is called with, and its backward; a module that is called twice tells nothing."""
    forward, backward = part.forward, part.backward

    def watched(*inputs: Any) -> Any:
        y = forward(*inputs)
        calls[name] = _Call()
        calls[name].output = np.array(y) if tree.is_floating(y) else np.zeros(0)
        return y

    def watched_back(*grads: Any) -> Any:
        given = copy.deepcopy(grads[0]) if grads else None
        returned = backward(*grads)
        if name in calls and name not in order:
            calls[name].given, calls[name].returned = given, copy.deepcopy(returned)
            order.append(name)
        elif name in calls:
            calls[name].given = None
        return returned

    part.__dict__.update(forward=watched, backward=watched_back)


def _moved(experiment: Experiment, name: str, by: np.ndarray) -> np.ndarray:
    """Return the outputs where a module inside returns something else."""
    replica = copy.deepcopy(experiment.module)
    part = dict(replica.named_modules())[name]
    forward = part.forward
    part.__dict__["forward"] = lambda *inputs: forward(*inputs) + by
    return tree.ravel(experiment.forward(replica)[1])


def _text(name: str, call: _Call, calls: dict[str, _Call], idle: list[str], upstream: Any) -> str:
    """Return sentences on where the upstream gradient of a module comes from."""
    text = f"{name} is given another gradient than that of its output"
    sources = {f"what {other}'s backward returned": c.returned for other, c in calls.items() if other != name}
    sources["grad_output itself"] = upstream
    for source, array in sources.items():
        if np.shape(array) == call.given.shape and np.array_equal(array, call.given):
            text += f": it is given {source}"
            break
    text += "."
    if idle:
        text += f" The backward of {', '.join(idle)} is not called."
    return text
