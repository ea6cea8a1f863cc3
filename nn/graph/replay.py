"""The loss as a function of any node of a computing graph, and its central differences.

Works in float64 on copies. A node is varied in place, and only the calls that depend on it are run again, each from
the state, generators included, in which it was first called.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from types import EllipsisType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..module import named_generators as held_generators
from ..module import no_grad
from ..random import get_rng_state, set_rng_state
from .node import Call, Node, matched, nest_map

STEP = 1e-5
TOLERANCE = 1e-6
DIRECTIONS = 2
CALLS = 40_000  # that all comparisons of a graph together may take: about half a second of small layers
FLOOR = 1e-3  # of the loss: smaller gradients drown in its rounding errors, and are compared absolutely
KINK = 1e-3  # how far the one-sided differences of a smooth function may lie apart, relative to the gradient


class Difference(NamedTuple):
    """How a gradient compares with central differences of the loss.

    Attributes:
        error: the largest deviation, relative to the largest entry of the gradient.
        entries: how many entries were compared; 0 where they are so many that random directions were taken instead.
        kinks: at how many of them the loss has no derivative, its one-sided ones being different; not compared.
    """

    error: float
    entries: int
    kinks: int


class Replay:
    """A graph that can be run again from any node.

    Args:
        nodes: of the graph.
        calls: in order; the last one makes the loss.

    Example:
        >>> from nn import HalfSquaredLoss, Linear, trace
        >>> graph = trace(Linear(2, 1, dtype="float64"), HalfSquaredLoss(), np.ones((4, 2)), np.zeros((4, 1)))
        >>> replay = Replay(graph.nodes, graph.calls)
        >>> replay.compare(graph["W0"]).error < 1e-6
        True
    """

    def __init__(self, nodes: list[Node], calls: list[Call]) -> None:
        self._values = {node: _double(node.value) for node in nodes}
        self._calls = calls
        self._loss = nodes[-1]
        self._runs = {call: _Run(call, self._values) for call in calls}
        self._values |= {node: value.copy() for node, value in self._run(calls).items()}
        self._share = CALLS // max(1, sum(node.differentiable for node in nodes))

    def compare(self, node: Node) -> Difference:
        """Hold the gradient of a node against differences of the loss: all entries, or random directions of many."""
        calls = self._dependent(node)
        value, grad = self._values[node], _double(node.grad)
        by_entry = 2 * grad.size * len(calls) <= self._share
        size = np.abs(grad).max(initial=0) if by_entry else np.linalg.norm(grad)
        scale = float(max(size, FLOOR * abs(self._loss_after(calls)), np.finfo(float).tiny))
        worst, kinks = 0.0, 0
        for index, direction, step in _probes(value) if by_entry else _directions(value):
            analytic = float(np.sum(grad[index] * direction))
            left, right = self._slopes(calls, value, index, direction, step)
            if abs(analytic - (left + right) / 2) > TOLERANCE * scale:
                # Perhaps a kink. The jump of its slope, unlike curvature and noise, stays when one looks closer, and a
                # gradient there is one of those in between.
                jump = abs(right - left)
                left, right = self._slopes(calls, value, index, direction, step / 10)
                stays = max(KINK * scale, jump / 2) < abs(right - left) < 2 * jump
                if stays and min(left, right) - TOLERANCE * scale <= analytic <= max(left, right) + TOLERANCE * scale:
                    kinks += 1
                    continue
            worst = max(worst, abs(analytic - (left + right) / 2) / scale)
        return Difference(worst, grad.size if by_entry else 0, kinks)

    def _slopes(
        self, calls: list[Call], value: np.ndarray, index: Any, direction: ArrayLike, step: float
    ) -> tuple[float, float]:
        """Return the one-sided differences of the loss, before and behind, where part of a value moves."""
        kept = value[index].copy()
        here = self._loss_after(calls)
        value[index] = kept - step * np.asarray(direction)
        below = self._loss_after(calls)
        value[index] = kept + step * np.asarray(direction)
        above = self._loss_after(calls)
        value[index] = kept
        return (here - below) / step, (above - here) / step

    def _dependent(self, node: Node) -> list[Call]:
        """Return the calls whose results depend on a node."""
        reached = {node}
        calls = []
        for call in self._calls:
            if not reached.isdisjoint(call.slots.values()):
                calls.append(call)
                reached.update(call.results)
        return calls

    def _loss_after(self, calls: list[Call]) -> float:
        return float(np.sum(self._run(calls).get(self._loss, self._values[self._loss])))

    def _run(self, calls: list[Call]) -> dict[Node, np.ndarray]:
        """Run calls, and return what they make; all other values stay."""
        made: dict[Node, np.ndarray] = {}

        def value(node: Node) -> np.ndarray:
            return made[node] if node in made else self._values[node]

        rng_state = get_rng_state()
        try:
            with no_grad():
                for call in calls:
                    made |= zip(call.results, self._runs[call](nest_map(call.inputs, value)), strict=True)
        finally:
            set_rng_state(rng_state)
        return made


class _Run:
    """A call that can be made again and again in float64, each time from the state before it was first made."""

    def __init__(self, call: Call, values: Mapping[Node, np.ndarray]) -> None:
        self.call = call
        self.module = copy.deepcopy(call.before).double()
        for name, parameter in self.module.named_parameters():
            parameter.data = values[call.parameters[name]]  # the very array that is varied
        held = [vars(module) for module in self.module.modules()]
        self.attributes = [(attributes, dict(attributes)) for attributes in held]
        self.buffers = [(buffer, buffer.data.copy()) for buffer in self.module.buffers()]
        generators = [generator.bit_generator for generator in held_generators(self.module).values()]
        self.generators = [(generator, generator.state) for generator in generators]

    def __call__(self, inputs: tuple) -> list[np.ndarray]:
        for attributes, before in self.attributes:
            attributes.update(before)
        for buffer, data in self.buffers:
            buffer.data = data.copy()
        for generator, state in self.generators:
            generator.state = state
        if self.call.rng_state is not None:
            set_rng_state(self.call.rng_state)
        return [np.asarray(output) for output in matched(self.call.outputs, self.module(*inputs))]


def _double(array: np.ndarray | None) -> np.ndarray:
    return np.array(array, np.float64 if array is not None and array.dtype.kind == "f" else None)


def _probes(value: np.ndarray) -> Iterator[tuple[tuple[int, ...], float, float]]:
    """Yield each entry's index, a direction and a step."""
    for index in np.ndindex(value.shape):
        yield index, 1.0, STEP * max(1.0, abs(float(value[index])))


def _directions(value: np.ndarray) -> Iterator[tuple[EllipsisType, np.ndarray, float]]:
    """Yield, for the whole array, random directions and a step that is small also for many entries."""
    rng = np.random.default_rng(0)
    for _ in range(DIRECTIONS):
        yield ..., rng.normal(size=value.shape), STEP / value.size**0.25
