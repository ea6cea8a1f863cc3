"""What a computing graph is made of: a Node is a value, a Call is one run of a module that made values of values."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..losses.base import Loss
from ..mathematics.columns import as_column
from ..mathematics.notation import Shown, Text
from ..module import Module, title

DIRECTIONS = ("down", "right")  # in which the computation flows in a drawing
CRITERION = "criterion"  # the path of the loss, which stands outside the model


class Node:
    """One value of a computing graph.

    Attributes:
        name: such as W₀, z₁ or J, or with the layer's path, W[encoder.0].
        letter, subscript: what the name is made of, for typesetting.
        kind: "data", "target", "parameter", "intermediate", "composite" (made by a module of several layers that
            could not be followed inside) or "loss".
        value: the array.
        grad: ∂J/∂value, shaped like it; None before a backward, and for targets and integers.
        path: a parameter's name in `state_dict`, or the dotted path of the module that made the value.
        call: what made it; None for data, targets and parameters.
        terms: what each use of it adds to its gradient.
        is_sample: whether it belongs to a single sample, and vectors are written as columns.

    Example:
        >>> Node("parameter", np.zeros((2, 3)), letter="W", subscript="0")
        Node('W₀', 'parameter', (2, 3))
    """

    def __init__(
        self,
        kind: str,
        value: np.ndarray,
        path: str = "",
        call: Call | None = None,
        letter: str = "",
        subscript: str = "",
    ) -> None:
        self.kind = kind
        self.value = value
        self.path = path
        self.call = call
        self.letter = letter
        self.subscript = subscript
        self.is_sample = False
        self.grad: np.ndarray | None = None
        self.terms: list[Term] = []

    @property
    def name(self) -> str:
        """The letter with its subscript."""
        return Text().shown_symbol(self.symbol()).text

    def symbol(self, symbol: str = "", gradient: bool = False) -> Shown:
        """Return the name, or the gradient by it, as it stands in formulas in the place of a symbol."""
        scalar = not self.value.ndim or (self.is_sample and self.kind == "loss")
        return Shown(symbol, self.letter, self.subscript, gradient, scalar)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value."""
        return self.value.shape

    def shown(self, array: np.ndarray) -> np.ndarray:
        """Return the value or the gradient as it is written."""
        if not self.is_sample:
            return array
        if self.kind == "loss" and array.size == 1:
            return array.reshape(())
        of_sample = self.kind != "parameter" and array.ndim == 2 and len(array) == 1
        return as_column(array[0] if of_sample else array) if of_sample or self.kind == "parameter" else array

    @property
    def differentiable(self) -> bool:
        """Whether it has a gradient: not so for targets, and for integers and booleans."""
        return self.kind != "target" and self.value.dtype.kind == "f"

    def __repr__(self) -> str:
        return f"Node({self.name!r}, {self.kind!r}, {self.shape})"


class Term(NamedTuple):
    """What one use of a node adds to its gradient.

    Attributes:
        call: the use.
        slot: as what it was used: the number of the input, or the name of the parameter within the call's module.
        grad: the contribution.
    """

    call: Call
    slot: int | str
    grad: np.ndarray


class Call:
    """One run of a module.

    Attributes:
        before: a copy of the module as it stood before the run.
        module: a copy as it stood after it, with what it saved. Neither is ever run; copies of them are.
        path: its dotted path in the model.
        inputs: the arguments, with a Node in the place of each array.
        outputs: what it returned, likewise.
        parameters: the Nodes of its parameters, by their names within it.
        note: why a module with others inside is one call; empty for a single layer.
        rng_state: the state of the library's generator before the run, if the run drew from it.
    """

    def __init__(self, before: Module, path: str, inputs: tuple) -> None:
        self.before = before
        self.module = before
        self.path = path
        self.inputs = inputs
        self.outputs: Any = None
        self.parameters: dict[str, Node] = {}
        self.note = ""
        self.rng_state: dict[str, Any] | None = None

    @property
    def slots(self) -> dict[int | str, Node]:
        """The Nodes that it used: inputs by number, then parameters by name."""
        slots: dict[int | str, Node] = dict(enumerate(leaves(self.inputs)))
        slots.update(self.parameters.items())
        return slots

    @property
    def sources(self) -> list[Node]:
        """The Nodes that it used, each once."""
        return list(dict.fromkeys(self.slots.values()))

    @property
    def results(self) -> list[Node]:
        """The Nodes that it made."""
        return list(leaves(self.outputs))

    def backward(self, grads: Mapping[Node, np.ndarray]) -> dict[int | str, np.ndarray | None]:
        """Return what the module's backward gives for each slot, from the gradients of the results.

        Raises:
            RuntimeError: where it gives another number of gradients than it had inputs, or another shape.
        """
        module: Any = copy.deepcopy(self.module)
        module.zero_grad()
        if self.path == CRITERION:  # it comes first, and its backward may have no argument
            result = module.backward()
        else:
            upstream = tree.map(lambda leaf: grads.get(leaf) if isinstance(leaf, Node) else leaf, self.outputs)
            result = module.backward(upstream)
        if self.path == CRITERION or isinstance(module, Loss):  # nothing comes back for the target
            found = result if isinstance(result, tuple) else (result,)
            found += (None,) * (len(self.inputs) - len(found))
        else:
            found = result if len(self.inputs) > 1 else (result,)
        try:
            slots: dict[int | str, np.ndarray | None] = dict(enumerate(matched(self.inputs, found)))
        except ValueError as error:
            raise RuntimeError(f"the backward of {placed(module, self.path)} gave {error}") from None
        slots.update((name, parameter.grad) for name, parameter in module.named_parameters())
        return slots

    def __repr__(self) -> str:
        made = ", ".join(node.name for node in self.results)
        used = ", ".join(node.name for node in self.sources)
        return f"{made} = {title(self.before)}({used})"


def check_direction(direction: str) -> None:
    """Raise ValueError unless a drawing can flow in this direction."""
    if direction not in DIRECTIONS:
        raise ValueError(f"direction is one of {', '.join(map(repr, DIRECTIONS))}, got {direction!r}")


def placed(module: Module, path: str) -> str:
    """Return a module in one line, with its place in the model before it."""
    return f"{path} ({title(module)})" if path else title(module)


def leaves(values: Any) -> Iterator[Node]:
    """Yield the Nodes in a tree."""
    return (leaf for leaf in tree.leaves(values) if isinstance(leaf, Node))


def matched(nodes: Any, grads: Any) -> Iterator[np.ndarray | None]:
    """Yield the gradient in the place of each Node of a tree; None stands for a tree of Nones.

    Raises:
        ValueError: where the gradients are nested otherwise, or of other shapes.
    """
    if isinstance(nodes, tuple | list) and isinstance(grads, tuple | list) and len(grads) != len(nodes):
        raise ValueError(f"{len(grads)} gradients for {len(nodes)} inputs")
    for node, grad in tree.pairs(nodes, grads):
        if isinstance(node, Node):
            if grad is not None and np.shape(grad) != node.shape:
                raise ValueError(f"a gradient of shape {np.shape(grad)} for an input of shape {node.shape}")
            yield None if grad is None else np.asarray(grad)


def flow_back(calls: list[Call], nodes: list[Node], loss: Node) -> None:
    """Walk the calls in reverse, run each backward, and sum where paths meet: sets every node's `grad` and `terms`.

    Raises:
        NotImplementedError: for a module without a backward.
    """
    grads = {node: np.zeros_like(node.value) for node in nodes if node.differentiable}
    grads[loss] = np.ones_like(loss.value)
    terms: dict[Node, list[Term]] = {node: [] for node in nodes}
    for call in reversed(calls):
        if not any(node is loss or terms[node] for node in call.results):
            continue  # nothing that the loss depends on
        for slot, grad in call.backward(grads).items():
            node = call.slots[slot]
            if grad is not None and node in grads:
                grads[node] = np.asarray(grads[node] + grad)
                terms[node].append(Term(call, slot, grad))
    for node in nodes:
        node.grad = grads.get(node)
        node.terms = terms[node]
