"""The computing graph: every parameter, the data and each intermediate value as a node, with its gradient.

`record` makes it from one real call, for any model made of Modules; `trace` adds a loss.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import tree
from ..mathematics.notation import FROM_SUBSCRIPTS
from ..module import Module, check_initialized
from ..parameter import NUMERIC
from ..random import get_rng_state, set_rng_state
from .derivation import Derivation
from .markup import graph_mermaid, graph_text
from .naming import name_nodes
from .node import CRITERION, Call, Node, flow_back, leaves, matched
from .steps import Steps
from .svg import graph_svg
from .tracing import Recorder, joined


class Source(NamedTuple):
    """What a graph was recorded from: copies that nothing changes."""

    model: Module
    criterion: Module | None
    inputs: tuple
    target: Any
    rng_state: dict[str, Any]


class Graph:
    """A directed acyclic graph of values, as `record` and `trace` make it.

    Attributes:
        nodes: in an order in which they can be computed, from the data to the outputs or the loss.
        calls: the runs of modules that made them, in the order in which they happened.
        outputs: what the model returned, or the loss: a Node, or tuples and lists of them.

    Example:
        >>> from nn import HalfSquaredLoss, Linear, trace
        >>> graph = trace(Linear(2, 1), HalfSquaredLoss(), np.ones((4, 2)), np.zeros((4, 1)))
        >>> [node.name for node in graph.nodes]
        ['x', 'W₀', 'b₀', 'z₁', 'y', 'J']
        >>> graph["W0"].grad.shape
        (1, 2)
        >>> print(graph.derivation().gradients[-1].formula.to_text())
        ∂J/∂x = (∂J/∂z₁) W₀
    """

    def __init__(self, nodes: list[Node], calls: list[Call], outputs: Any, source: Source) -> None:
        self.nodes = nodes
        self.calls = calls
        self.outputs = outputs
        self._source = source

    @property
    def edges(self) -> list[tuple[Node, Node]]:
        """The pairs (a, b) of which b is computed from a."""
        return [(source, node) for node in self.nodes if node.call for source in node.call.sources]

    @property
    def loss(self) -> Node:
        """The last node, J.

        Raises:
            ValueError: for a graph that was recorded without a loss.
        """
        if self._source.criterion is None:
            raise ValueError("the graph has no loss: trace(model, criterion, x, y) makes one that has")
        return self.nodes[-1]

    def __getitem__(self, name: str) -> Node:
        """Return a node by its name (W₀, or W0) or by its path, such as a parameter's name in `state_dict`."""
        for node in self.nodes:
            if name in (node.name, node.name.translate(FROM_SUBSCRIPTS)):
                return node
        for node in self.nodes:
            if name == node.path:
                return node
        raise KeyError(f"the graph has no node {name!r}; it has {', '.join(node.name for node in self.nodes)}")

    def backward(self, grad_output: Any = None) -> None:
        """Set every node's gradient: walk the graph in reverse, run each module's backward, sum where paths meet.

        It may be called any number of times, and touches nothing but the graph.

        Args:
            grad_output: the gradient of each output, nested as these; None means ones.

        Raises:
            ValueError: for gradients that are nested otherwise than the outputs, or of other shapes.
            NotImplementedError: for a module without a backward.
        """
        outputs = list(leaves(self.outputs))
        given = list(matched(self.outputs, grad_output))
        seeds = {node: np.ones_like(node.value) if g is None else g for node, g in zip(outputs, given, strict=True)}
        flow_back(self.calls, self.nodes, {node: g for node, g in seeds.items() if node.differentiable})

    def derivation(self, sample: bool = False) -> Derivation:
        """Derive the gradient of every node, from the loss back to the data, and check each one.

        Args:
            sample: True writes the equations of a single sample, with columns for rows, on the first sample.

        Raises:
            ValueError: for a single sample of data that have none along their first axis, or a graph without a loss.
            NotImplementedError: for a module without a backward.
        """
        loss = self.loss
        if sample and not loss.is_sample:
            return self.first_sample().derivation()
        self.backward()
        steps = Steps(self.nodes, self.calls)
        return Derivation(steps.values(), steps.gradients())

    def first_sample(self) -> Graph:
        """Return the graph of the first sample alone, in which vectors are written as columns.

        Raises:
            ValueError: for data that have no samples along their first axis.
        """
        arrays = [node.value for node in self.nodes if node.kind in ("data", "target")]
        if any(array.ndim == 0 or len(array) != len(arrays[0]) or not len(array) for array in arrays):
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise ValueError(f"a single sample expects data with the samples along the first axis, got shapes {shapes}")
        inputs, target = _first_samples(self._source.inputs), _first_samples(self._source.target)
        graph = _recorded(self._source._replace(inputs=inputs, target=target))
        for node in graph.nodes:
            node.is_sample = True
        return graph

    def to_svg(self, direction: str = "down") -> str:
        """Return a drawing, which flows "down" or to the "right", as SVG."""
        return graph_svg(self.nodes, self.edges, direction)

    def to_mermaid(self, direction: str = "down") -> str:
        """Return the graph in Mermaid's language, which GitHub and many wikis draw."""
        return graph_mermaid(self.nodes, self.edges, direction)

    def to_text(self) -> str:
        """Return a table for the terminal."""
        return graph_text(self.nodes)

    def _repr_svg_(self) -> str:
        return self.to_svg()

    def _repr_html_(self) -> str:
        return f'<div style="overflow:auto">{self.to_svg()}</div>'

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return f"Graph({len(self.nodes)} nodes, {len(self.edges)} edges)"


def record(model: Module, *inputs: ArrayLike) -> Graph:
    """Record the computing graph of `model(*inputs)` from one real call.

    Everything runs on copies: the model, its saved slots, gradients, buffers and mode, and all generators, stay as
    they are. Modules that call other modules are followed inside where their values can be; otherwise they are one
    node of kind "composite". What flows back through the graph is checked against `model.backward`, under a random
    gradient of each output.

    Args:
        model: any Module.
        *inputs: what it is called with.

    Raises:
        TypeError: for what is not a Module, or data that are not numbers.
        ValueError: for data that do not fit, or arithmetic between modules that no backward covers.
        RuntimeError: for a backward that fails or does not fit the graph.

    Example:
        >>> from nn import Linear, ReLU, Sequential
        >>> graph = record(Sequential(Linear(2, 3), ReLU()), [[1.0, 2.0]])
        >>> graph, graph.outputs
        (Graph(5 nodes, 4 edges), Node('a₁', 'intermediate', (1, 3)))
    """
    _check_module("record", "model", model)
    arrays = tuple(_numbers(value, f"input {index}", "record") for index, value in enumerate(inputs))
    return _recorded(Source(copy.deepcopy(model), None, arrays, None, get_rng_state()))


def trace(model: Module, criterion: Module, x: ArrayLike, y: ArrayLike) -> Graph:
    """Record the computing graph of `criterion(model(x), y)` from one real call, with all gradients, as `record` does.

    What the graph's gradients must be is checked against `model.backward`.

    Args:
        model: any Module.
        criterion: called with the prediction and the target.
        x: the input; a tuple for several arguments.
        y: the target.

    Raises:
        TypeError: for what is not a Module, or data that are not numbers.
        ValueError: for data that do not fit, a loss that is not finite, or arithmetic between modules that no
            backward covers.
        RuntimeError: for a backward that fails or does not fit the graph.

    Example:
        >>> from nn import HalfSquaredLoss, Linear
        >>> trace(Linear(2, 1), HalfSquaredLoss(), [[1.0, 2.0]], [[0.0]])
        Graph(6 nodes, 5 edges)
    """
    _check_module("trace", "model", model)
    _check_module("trace", "criterion", criterion)
    inputs = (
        tuple(_numbers(value, "x", "trace") for value in x) if isinstance(x, tuple) else (_numbers(x, "x", "trace"),)
    )
    return _recorded(Source(*copy.deepcopy((model, criterion)), inputs, _numbers(y, "y", "trace"), get_rng_state()))


def _check_module(who: str, role: str, module: Any) -> None:
    if not isinstance(module, Module):
        hint = f": write {module.__name__}()" if isinstance(module, type) else ""
        raise TypeError(f"{who} expects a Module as {role}, got {module!r}{hint}")
    check_initialized(who, module)


def _recorded(source: Source) -> Graph:
    rng_state = get_rng_state()
    opaque: dict[str, str] = {}
    try:
        while True:
            set_rng_state(source.rng_state)
            graph, wrong = _run(source, opaque)
            if not wrong:
                return graph
            opaque |= wrong
    finally:
        set_rng_state(rng_state)


def _run(source: Source, opaque: dict[str, str]) -> tuple[Graph, dict[str, str]]:
    """Run a copy of the model; return the graph, and which modules must not be followed after all, with the reason."""
    model, criterion = copy.deepcopy((source.model, source.criterion))
    parts = {"": model} if criterion is None else {"": model, CRITERION: criterion}
    for part in parts.values():
        for module in part.modules():
            module.needs_input_grad = True
    recorder = Recorder(parts, opaque)
    data, outputs = recorder.run(source.inputs)
    targets: Any = ()
    if criterion is not None:
        targets, outputs = recorder.run_criterion(source.target)
        if not isinstance(outputs, Node) or outputs.call is None:
            raise TypeError(f"{criterion!r} returned {outputs!r}, expected a loss: an array or a number")
        outputs.kind, outputs.path = "loss", ""
    nodes = _ordered(leaves(data), recorder.calls, [*leaves(targets), *recorder.parameters.values()], leaves(outputs))
    modules = {joined(prefix, path): m for prefix, part in parts.items() for path, m in part.named_modules()}
    name_nodes(nodes, recorder.calls, modules)
    _check_finite(nodes, [node for node in leaves(outputs) if node.kind == "loss"])
    graph = Graph(nodes, recorder.calls, outputs, source)
    rng = np.random.default_rng(0)
    upstream = None if criterion else tree.map(lambda node: _drawn(node, rng), outputs)
    with contextlib.suppress(NotImplementedError):  # what has no gradients yet can be looked at all the same
        graph.backward(upstream)
    return graph, recorder.disagreeing(data, upstream)


def _drawn(node: Any, rng: np.random.Generator) -> np.ndarray | None:
    """Draw the gradient of an output."""
    if not isinstance(node, Node) or not node.differentiable:
        return None
    return np.asarray(rng.normal(size=node.shape).astype(node.value.dtype))


def _check_finite(nodes: list[Node], losses: list[Node]) -> None:
    """Say of a loss that is not finite where that begins."""
    for loss in losses:
        for node in nodes:
            if not np.isfinite(loss.value).all() and not np.isfinite(node.value).all():
                raise ValueError(f"the loss is {loss.value}: the first value that is not finite is {_described(node)}")


def _numbers(value: Any, name: str, who: str) -> Any:
    """Return data as arrays; of a tuple, each."""
    if isinstance(value, tuple):
        return tuple(_numbers(item, name, who) for item in value)
    try:
        array = np.array(value)
    except ValueError as error:  # lists of unequal lengths
        raise ValueError(f"{who} expects {name} to be an array of numbers: {error}") from None
    if array.dtype.kind not in NUMERIC:
        raise TypeError(f"{who} expects {name} to be an array of real numbers, got dtype {array.dtype}")
    return array


def _first_samples(value: Any) -> Any:
    """Return data cut down to the first sample."""
    return tuple(map(_first_samples, value)) if isinstance(value, tuple) else value[:1]


def _described(node: Node) -> str:
    return repr(node.call) if node.call else f"the {node.kind} {node.name}" + f" ({node.path})" * bool(node.path)


def _ordered(data: Iterable[Node], calls: list[Call], others: Iterable[Node], outputs: Iterable[Node]) -> list[Node]:
    """Return all nodes: data, then call by call what it uses and what it makes, what is not used, and the outputs."""
    order = dict.fromkeys(data)
    for call in calls:
        order |= dict.fromkeys([*call.sources, *call.results])
    last = dict.fromkeys(outputs)
    return [node for node in order | dict.fromkeys(others) if node not in last] + list(last)
