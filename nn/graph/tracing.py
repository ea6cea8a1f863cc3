"""The recorder behind `trace`: it follows the arrays of one forward pass from call to call.

A module with others inside is followed when all that it hands to them and returns was made by modules, and its own
backward agrees with the chain rule through them. Otherwise it becomes one call, covered by its own backward.
"""

from __future__ import annotations

import copy
import functools
import itertools
import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import tree
from ..branch import CAddTable
from ..losses.base import Loss
from ..module import Module, calling
from ..random import get_rng_state
from .node import CRITERION, Call, Node, leaves, matched, placed

ROUNDINGS = 1000  # of a sum over thousands of entries, at most
MOST_TERMS = 6  # of which a sum is looked for in what a module returns
OWN = Module.__module__.removesuffix("module")  # how the names of the library's own modules begin


class Frame:
    """A module whose forward is running: what was recorded before it began, and what is found about it."""

    def __init__(self, calls: int, followed: int) -> None:
        self.calls = calls
        self.followed = followed
        self.busy = False  # whether it called other modules
        self.fault = ""  # why it cannot be followed
        self.received: list[Node] = []  # what the modules that it called returned to it


class LostError(Exception):
    """Says which array came from nowhere."""


class Recorder:
    """Stands in for the forward of every module that is called, and records what was made of what.

    Args:
        parts: copies that may be run, by the beginning of their paths: "" for the model, and the criterion, if any.
        opaque: paths of modules that are not to be followed, with the reason.
    """

    def __init__(self, parts: Mapping[str, Module], opaque: Mapping[str, str]) -> None:
        self.model = parts[""]
        self.criterion = parts.get(CRITERION)
        self.opaque = opaque
        self.calls: list[Call] = []
        self.followed: list[tuple[Call, set[Call]]] = []  # with the calls inside; the inner modules before the outer
        self.uncovered = ""  # the first arithmetic between modules that no backward covers
        self.paths: dict[int, str] = {}
        self.parameters: dict[int, Node] = {}
        for prefix, whole in parts.items():
            for path, module in whole.named_modules():
                self.paths.setdefault(id(module), joined(prefix, path))
            for path, parameter in whole.named_parameters():
                node = Node("parameter", parameter.data.copy(), joined(prefix, path))
                self.parameters.setdefault(id(parameter), node)
        self._nodes: dict[int, tuple[np.ndarray, Node]] = {}  # by id, with the array: an id is its own while it lives
        self._frames = [Frame(0, 0)]

    def run(self, inputs: tuple) -> tuple[tuple, Any]:
        """Run the model, and return the trees of Nodes of inputs and outputs.

        Raises:
            ValueError: where arrays come from nowhere and no module's backward covers that.
        """
        arrays, nodes = self._introduce(inputs, "data")
        self._prediction = self._watched(self.model, *arrays)
        return nodes, self._look_up(self._prediction)

    def run_criterion(self, target: Any) -> tuple[Any, Any]:
        """Run the criterion on the model's outputs, and return the trees of Nodes of target and loss.

        Raises:
            ValueError: as `run`.
        """
        array, nodes = self._introduce(target, "target")
        return nodes, self._look_up(self._watched(self.criterion, self._prediction, array))

    def _watched(self, module: Any, *inputs: Any) -> Any:
        with calling(self._call):
            output = module(*inputs)
        if fault := self._frames[0].fault:
            raise ValueError(self.uncovered or f"trace cannot follow the model: {fault}")
        for path, parameter in module.named_parameters():
            if id(parameter) not in self.parameters:
                raise ValueError(f"the parameter {path} is made by the call itself: call the model once before trace")
        return output

    def disagreeing(self, inputs: tuple, upstream: Any) -> dict[str, str]:
        """Hold the gradients that the nodes have against the model's own backward, which uses up what it saved.

        A model whose backward is not written is not compared.

        Args:
            inputs: the tree of Nodes of the inputs.
            upstream: the gradients of the model's outputs; None where there is a criterion, which gives them.

        Returns:
            The path of a followed module whose own backward is not the chain rule through what is inside, with the
            reason; empty where all agrees.

        Raises:
            ValueError: for arithmetic between modules that no backward covers.
            RuntimeError: where something disagrees, and it is no followed module's doing.
        """
        try:
            self.model.zero_grad()
            if self.criterion is not None:
                self.criterion.zero_grad()
                criterion: Any = self.criterion  # a loss needs no argument
                upstream = criterion.backward()
            grads = self.model.backward(upstream)
        except NotImplementedError:
            if self.uncovered:
                raise ValueError(self.uncovered) from None
            return {}
        unwritten = {call for call in self.calls if not _has_backward(call.module)}
        parameters = [*self.model.parameters(), *(self.criterion.parameters() if self.criterion is not None else [])]
        found = [(self.parameters[id(parameter)], parameter.grad) for parameter in parameters]
        given = zip(leaves(inputs), matched(inputs, grads if len(inputs) > 1 else (grads,)), strict=True)
        found += [(node, grad) for node, grad in given if grad is not None]
        made = (node.grad for call in self.calls for node in call.results if node.kind != "loss")
        largest = max((_largest(grad) for grad in made if grad is not None), default=0.0)
        wrong = [node for node, grad in found if not _agree(node.grad, grad, largest)]
        if not unwritten and not wrong:
            return {}
        for call, inside in self.followed:
            if type(call.module).__module__.startswith(OWN):
                continue  # the containers of the library chain what they hold, and nothing else
            if _has_backward(call.module) and (unwritten & inside or not (unwritten or _is_chain_rule(call, inside))):
                return {call.path: "its own backward is not the chain rule through the layers inside"}
        raise RuntimeError(
            f"model.backward gives other gradients than the walk through the graph for "
            f"{', '.join(node.name for node in wrong)}: does a module overwrite a gradient instead of adding to it, or "
            f"take values otherwise than as arguments?"
        )

    def _call(self, module: Module, inputs: tuple) -> Any:
        outer = self._frames[-1]
        outer.busy = True
        path = self.paths.get(id(module))
        name = placed(module, path or "")
        if path is None:
            outer.fault = outer.fault or f"{name} is called, and no module holds it as an attribute"
        if not outer.fault:
            try:
                nodes = self._look_up(inputs)
            except LostError as lost:
                outer.fault = f"{name} received {lost}"
        if outer.fault:
            return module.forward(*inputs)

        call = Call(copy.deepcopy(module), path or "", nodes)
        own = module.named_parameters()
        call.parameters = {name: self.parameters[id(p)] for name, p in own if id(p) in self.parameters}
        rng_state = get_rng_state()
        frame = Frame(len(self.calls), len(self.followed))
        self._frames.append(frame)
        try:
            output = module.forward(*inputs)
        finally:
            self._frames.pop()
        call.module = copy.deepcopy(module)
        call.rng_state = rng_state if get_rng_state() != rng_state else None

        fault = frame.fault or self.opaque.get(call.path, "")
        if frame.busy and not fault:
            try:
                if _has_backward(module):
                    output = self._summed(call, output, frame)
                call.outputs = self._look_up(output)
                self.followed.append((call, set(self.calls[frame.calls :])))
                outer.received += leaves(call.outputs)
                return output
            except LostError as lost:
                fault = f"{name} returned {lost}"
        if fault and not _has_backward(module):
            outer.fault = fault
            self.uncovered = self.uncovered or (
                f"trace cannot follow {name}: {fault}, and {type(module).__name__} has no backward that covers it; use "
                f"CAddTable, CMulTable, JoinTable or Residual for sums, products and joins, put other arithmetic into "
                f"a Module with a backward, or give {type(module).__name__} one"
            )
            return output
        found = tree.leaves(output, is_leaf=lambda value: isinstance(value, dict))
        if not any(map(_is_array, found)) or any(map(_is_foreign, found)):
            outer.fault = f"{name} returned {type(output).__name__}, expected arrays or tuples and lists of them"
            return output
        output = self._record(call, module, output, frame, fault)
        outer.received += leaves(call.outputs)
        return output

    def _summed(self, call: Call, output: Any, frame: Frame) -> Any:
        """Record what a module returns as a sum, where it is one of what it took and what its parts made.

        So a skip connection is followed although `module(x) + x` is no module's doing. That the module's own backward
        agrees is checked like that of any other.
        """
        if not _is_array(output) or id(output) in self._nodes:
            return output
        known = dict.fromkeys([*frame.received, *leaves(call.inputs)])
        terms = [node for node in known if node.shape == np.shape(output)]
        terms = [node for node in terms if node.differentiable][-MOST_TERMS:]
        pairs = (found for count in range(2, len(terms) + 1) for found in itertools.combinations(terms, count))
        for found in pairs:
            values = [node.value.astype(found[0].value.dtype) for node in found]  # as CAddTable casts them
            if np.array_equal(functools.reduce(operator.add, values), output):
                adder = CAddTable()
                inner = Call(copy.deepcopy(adder), call.path, found)
                adder.forward(*(node.value for node in found))
                inner.module = adder
                output, inner.outputs = self._introduce(output, "intermediate", inner)
                self.calls.append(inner)
                break
        return output

    def _record(self, call: Call, module: Module, output: Any, frame: Frame, fault: str) -> Any:
        """Make a call of its own of a module, in place of what was recorded inside it."""
        if made := {node for inner in self.calls[frame.calls :] for node in inner.results}:
            self._nodes = {key: known for key, known in self._nodes.items() if known[1] not in made}
        del self.calls[frame.calls :], self.followed[frame.followed :]
        composite = any(module.children())
        call.note = fault or ("its layers are not called as modules" if composite else "")
        output, call.outputs = self._introduce(output, "composite" if composite else "intermediate", call)
        self.calls.append(call)
        return output

    def _introduce(self, values: Any, kind: str, call: Call | None = None) -> tuple[Any, Any]:
        """Make a Node of each array; return the tree to hand on, of arrays that are nowhere else, and that of Nodes."""

        def node(leaf: Any) -> Any:
            if not _is_array(leaf):
                return leaf
            made = Node(kind, leaf.copy(), call.path if call else "", call)
            self._nodes[id(leaf)] = leaf, made
            return made

        # A layer may return its very input, or a view of it: an array object of its own tells the two apart.
        arrays = tree.map(lambda leaf: np.asarray(leaf).view() if _is_array(leaf) else leaf, values)
        return arrays, tree.map(node, arrays)

    def _look_up(self, values: Any) -> Any:
        """Return a tree with its Node in the place of each array.

        Raises:
            LostError: for an array that no module made, or that was changed since, or what may hide one.
        """
        return tree.map(self._node_of, values)

    def _node_of(self, leaf: Any) -> Any:
        if _is_foreign(leaf):
            raise LostError(f"a {type(leaf).__name__}")
        if not isinstance(leaf, np.ndarray | np.generic):
            return leaf
        _, node = self._nodes.get(id(leaf), (None, None))
        if node is None:
            raise LostError(f"an array of shape {np.shape(leaf)} that no module made")
        if not np.array_equal(leaf, node.value, equal_nan=node.value.dtype.kind == "f"):
            raise LostError(f"an array of shape {np.shape(leaf)} that was changed after a module had made it")
        return node


def joined(prefix: str, path: str) -> str:
    """Return two dotted paths as one; either may be empty."""
    return ".".join(filter(None, (prefix, path)))


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic | float)


def _is_foreign(value: Any) -> bool:
    """Tell whether a value may hide arrays; None, numbers and text do not."""
    return not (value is None or isinstance(value, np.ndarray | np.generic | float | int | str))


def _has_backward(module: Module) -> bool:
    return type(module).backward not in (Module.backward, Loss.backward)


def _is_chain_rule(call: Call, inside: set[Call]) -> bool:
    """Tell whether the backward of a followed module gives what flows back through the calls inside it."""

    def through(node: Node) -> np.ndarray:
        return sum((term.grad for term in node.terms if term.call in inside), np.zeros_like(node.value))

    upstream = {node: node.grad - through(node) for node in call.results if node.grad is not None}
    expected = {node: through(node) + upstream.get(node, 0) for node in call.sources if node.differentiable}
    found = {node: np.zeros_like(node.value) for node in expected}
    for slot, grad in call.backward(upstream).items():
        if grad is not None and call.slots[slot] in found:
            found[call.slots[slot]] = found[call.slots[slot]] + grad
    return all(_agree(found[node], grad) for node, grad in expected.items())


def _largest(array: np.ndarray) -> float:
    """Return the size of the largest entry that is finite."""
    return float(np.abs(array).max(initial=0, where=np.isfinite(array)))


def _agree(a: np.ndarray | None, b: np.ndarray, largest: float = 0.0) -> bool:
    """Compare two ways of summing the same products, to half the digits of the less precise of the two.

    Where they cancel, as in the gradient of a bias before BatchNorm, what is left is the rounding of the largest
    gradient there is.
    """
    if a is None:
        return False
    eps = max(float(np.finfo(array.dtype).eps) for array in (a, b))
    tolerance = max(eps**0.5 * np.abs(b).max(initial=0), ROUNDINGS * eps * largest)
    return np.allclose(a, b, rtol=0, atol=tolerance, equal_nan=True)
