"""The recorder behind `trace`: it follows the arrays of one forward pass from call to call.

A module with others inside is followed when all that it hands to them and returns was made by modules, and its own
backward agrees with the chain rule through them. Otherwise it becomes one call, covered by its own backward.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import tree
from ..losses.base import Loss
from ..module import Module, calling
from ..random import get_rng_state
from .node import CRITERION, Call, Node, leaves, matched, placed

OWN = Module.__module__.removesuffix("module")  # how the names of the library's own modules begin


class Frame:
    """A module whose forward is running: what was recorded before it began, and what is found about it."""

    def __init__(self, calls: int, followed: int) -> None:
        self.calls = calls
        self.followed = followed
        self.busy = False  # whether it called other modules
        self.fault = ""  # why it cannot be followed


class LostError(Exception):
    """Says which array came from nowhere."""


class Recorder:
    """Stands in for the forward of every module that is called, and records what was made of what.

    Args:
        model: a copy that may be run.
        criterion: likewise.
        opaque: paths of modules that are not to be followed, with the reason.
    """

    def __init__(self, model: Module, criterion: Module, opaque: Mapping[str, str]) -> None:
        self.model = model
        self.criterion = criterion
        self.opaque = opaque
        self.calls: list[Call] = []
        self.followed: list[tuple[Call, set[Call]]] = []  # with the calls inside; the inner modules before the outer
        self.uncovered = ""  # the first arithmetic between modules that no backward covers
        self.paths: dict[int, str] = {}
        self.parameters: dict[int, Node] = {}
        for prefix, whole in (("", model), (CRITERION, criterion)):
            for path, module in whole.named_modules():
                self.paths.setdefault(id(module), joined(prefix, path))
            for path, parameter in whole.named_parameters():
                node = Node("parameter", parameter.data.copy(), joined(prefix, path))
                self.parameters.setdefault(id(parameter), node)
        self._nodes: dict[int, tuple[np.ndarray, Node]] = {}  # by id, with the array: an id is its own while it lives
        self._frames = [Frame(0, 0)]

    def run(self, inputs: tuple, target: Any) -> tuple[tuple, Any, Any]:
        """Run the model and the criterion, and return the nests of Nodes of inputs, target and loss.

        Raises:
            ValueError: where arrays come from nowhere and no module's backward covers that.
        """
        arrays, inputs = self._introduce(inputs, "data")
        target, targets = self._introduce(target, "target")
        with calling(self._call):
            prediction = self.model(*arrays)
            self._stop_at_fault()
            value = self.criterion(prediction, target)
            self._stop_at_fault()
        for path, parameter in (*self.model.named_parameters(), *self.criterion.named_parameters()):
            if id(parameter) not in self.parameters:
                raise ValueError(f"the parameter {path} is made by the call itself: call the model once before trace")
        return inputs, targets, self._look_up(value)

    def _stop_at_fault(self) -> None:
        if fault := self._frames[0].fault:
            raise ValueError(self.uncovered or f"trace cannot follow the model: {fault}")

    def disagreeing(self, inputs: tuple) -> dict[str, str]:
        """Hold the gradients that the nodes have against the model's own backward, which uses up what it saved.

        A model whose backward is not written is not compared.

        Returns:
            The path of a followed module whose own backward is not the chain rule through what is inside, with the
            reason; empty where all agrees.

        Raises:
            ValueError: for arithmetic between modules that no backward covers.
            RuntimeError: where something disagrees, and it is no followed module's doing.
        """
        try:
            self.model.zero_grad()
            self.criterion.zero_grad()
            criterion: Any = self.criterion  # a loss needs no argument
            grads = self.model.backward(criterion.backward())
        except NotImplementedError:
            if self.uncovered:
                raise ValueError(self.uncovered) from None
            return {}
        unwritten = {call for call in self.calls if not _has_backward(call.module)}
        parameters = (*self.model.parameters(), *self.criterion.parameters())
        found = [(self.parameters[id(parameter)], parameter.grad) for parameter in parameters]
        given = zip(leaves(inputs), matched(inputs, grads if len(inputs) > 1 else (grads,)), strict=True)
        found += [(node, grad) for node, grad in given if grad is not None]
        wrong = [node for node, grad in found if not _agree(node.grad, grad)]
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
        held = module.named_parameters()
        call.parameters = {name: self.parameters[id(p)] for name, p in held if id(p) in self.parameters}
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
                call.outputs = self._look_up(output)
                self.followed.append((call, set(self.calls[frame.calls :])))
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
        return self._record(call, module, output, frame, fault)

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
        """Make a Node of each array; return the nest to hand on, of arrays that are nowhere else, and that of Nodes."""
        if isinstance(values, tuple | list):
            pairs = [self._introduce(item, kind, call) for item in values]
            return type(values)([array for array, _ in pairs]), type(values)([node for _, node in pairs])
        if not _is_array(values):
            return values, values
        # A layer may return its very input, or a view of it: an array object of its own tells the two apart.
        array = np.asarray(values).view()
        node = Node(kind, array.copy(), call.path if call else "", call)
        self._nodes[id(array)] = array, node
        return array, node

    def _look_up(self, values: Any) -> Any:
        """Return a nest with its Node in the place of each array.

        Raises:
            LostError: for an array that no module made, or that was changed since, or what may hide one.
        """
        if isinstance(values, tuple | list):
            return type(values)([self._look_up(item) for item in values])
        if _is_foreign(values):
            raise LostError(f"a {type(values).__name__}")
        if not isinstance(values, np.ndarray | np.generic):
            return values
        _, node = self._nodes.get(id(values), (None, None))
        if node is None:
            raise LostError(f"an array of shape {np.shape(values)} that no module made")
        if not np.array_equal(values, node.value, equal_nan=node.value.dtype.kind == "f"):
            raise LostError(f"an array of shape {np.shape(values)} that was changed after a module had made it")
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


def _agree(a: np.ndarray | None, b: np.ndarray) -> bool:
    """Compare two ways of summing the same products, to half the digits of the less precise of the two."""
    if a is None:
        return False
    tolerance = max(np.finfo(array.dtype).eps for array in (a, b)) ** 0.5
    return np.allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max(initial=0), equal_nan=True)
