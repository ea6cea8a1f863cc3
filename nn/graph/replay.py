"""The loss as a function of any node of a computing graph, and each gradient against its central differences.

Works in float64 on copies. A node is varied in place, and only the calls that depend on it are run again, each from
the state, generators included, in which it was first called.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..checking import Function, ModuleState, NumericalGradient, RandomState, grid
from ..module import no_grad
from ..random import set_rng_state
from .maps import MOST_MAPS, Window, has_maps
from .node import Call, Node, leaves, matched

TOLERANCE = 1e-6
FLOOR = 1e-3  # of loss over value: smaller gradients drown in the rounding of long chains, and are compared absolutely
DIRECTIONS = 2
FEWEST_ENTRIES = 8  # of a sample
SETTLING = 10  # how many times more an entry at a kink takes than another
LARGEST_SEARCH = 2 * 10**7  # numbers that the search for a window may have to do with
CALLS = 40_000  # that all comparisons of a graph together may take: about half a second of small layers


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
        state = RandomState()
        self._values |= {node: value.copy() for node, value in self._run(calls).items()}
        state.restore()
        self._share = CALLS // max(1, sum(node.differentiable for node in nodes))

    def compare(self, node: Node) -> Difference:
        """Compare the gradient of a node with differences of the loss: all entries, or random directions of many.

        A direction that moves thousands of entries crosses a kink for some of them: where it does not tell, or agree, a
        sample of the entries does, of which those at a kink are left out.
        """
        calls, gradient, rng = self._dependent(node), _double(node.grad), np.random.default_rng(0)
        state = RandomState()
        function = Function(lambda: self._loss_after(calls), self._values[node])
        numerical = NumericalGradient(function, gradient, np.ones(1), TOLERANCE, FLOOR)
        by_entry = 2 * gradient.size * len(calls) <= self._share
        if by_entry:
            sample = numerical.sample(tuple(map(np.arange, gradient.shape)))
            error, compared = sample.error, sample.judged | sample.outside
        else:
            verdicts = [numerical.along(numerical.direction(slice(None), rng)) for _ in range(DIRECTIONS)]
            error = np.array([verdict.error for verdict in verdicts])
            compared = np.array([verdict.judged or verdict.outside for verdict in verdicts])
            if not compared.all() or error.max() > TOLERANCE:
                few = grid(gradient.shape, max(FEWEST_ENTRIES, self._share // (2 * SETTLING * len(calls))))
                axes = zip(gradient.shape, map(len, few), strict=True)
                sample = numerical.sample(tuple(np.sort(rng.choice(*axis, replace=False)) for axis in axes))
                error, compared = sample.error, sample.judged
                by_entry = True
        state.restore()
        largest = float(error[compared].max(initial=0))
        return Difference(largest, error.size if by_entry else 0, int((~compared).sum()))

    def windows(self, node: Node) -> list[Window]:
        """Find of which entries of its inputs one entry in the middle of a node's first map is made.

        An input's row is in it where NaN in that row makes the entry NaN; the same with columns and maps.
        """
        call = node.call
        if call is None or not has_maps(node):
            return []
        run, place = self._runs[call], call.results.index(node)
        entry = (0, 0, node.shape[2] // 2, node.shape[3] // 2)
        found = []
        for source in dict.fromkeys(leaves(call.inputs)):
            if (
                source.differentiable
                and has_maps(source)
                and sum(source.shape[1:]) * source.value.size <= LARGEST_SEARCH
            ):
                spoilt = self._values[source].copy()

                def is_made_of(part: Any, source: Node = source, spoilt: np.ndarray = spoilt) -> bool:
                    kept = spoilt[part].copy()
                    spoilt[part] = np.nan
                    inputs = tree.map(
                        lambda leaf: spoilt if leaf is source else self._values.get(leaf, leaf), call.inputs
                    )
                    with no_grad(), np.errstate(all="ignore"):
                        output = list(run(inputs))[place]
                    spoilt[part] = kept
                    return bool(np.isnan(output[entry]))

                maps = [c for c in range(min(source.shape[1], MOST_MAPS)) if is_made_of(np.s_[:, c])]
                rows = [i for i in range(source.shape[2]) if is_made_of(np.s_[:, :, i])]
                columns = [j for j in range(source.shape[3]) if is_made_of(np.s_[..., j])]
                if rows and columns:
                    found.append(Window(source, entry[1:], maps, rows, columns))
        return found

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

        def value(leaf: Any) -> Any:
            return made.get(leaf, self._values[leaf]) if isinstance(leaf, Node) else leaf

        with no_grad():
            for call in calls:
                made |= zip(call.results, self._runs[call](tree.map(value, call.inputs)), strict=True)
        return made


class _Run:
    """A call that can be made again and again in float64, each time from the state before it was first made."""

    def __init__(self, call: Call, values: Mapping[Node, np.ndarray]) -> None:
        self.call = call
        self.module = copy.deepcopy(call.before).double()
        for name, parameter in self.module.named_parameters():
            parameter.data = values[call.parameters[name]]  # the very array that is varied
        self.state = ModuleState(self.module)
        self.attributes = [(vars(module), dict(vars(module))) for module in self.module.modules()]

    def __call__(self, inputs: tuple) -> Iterator[np.ndarray]:
        for attributes, before in self.attributes:
            attributes.update(before)
        self.state.restore(self.module)
        if self.call.rng_state is not None:
            set_rng_state(self.call.rng_state)
        return (np.asarray(output) for output in matched(self.call.outputs, self.module(*inputs)))


def _double(array: np.ndarray | None) -> np.ndarray:
    return np.array(array, np.float64 if array is not None and array.dtype.kind == "f" else None)
