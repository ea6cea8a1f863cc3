"""From a model to a program of loops: its computing graph is recorded, and each call's equations are lowered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import NamedTuple, cast

import numpy as np

from ..container import Sequential
from ..graph import Call, Graph, Node, leaves, placed
from ..mathematics.statement import Statement
from ..module import Module
from ..parameter import Buffer, Parameter
from .entries import Entries, elementwise, scalar
from .expression import LoweringError, operation
from .fusion import fused
from .lines import LineLowering
from .program import Builder, Program
from .reuse import reused
from .values import Shapes


class _Outlines(Statement):
    """A statement whose lines are run for their shapes alone."""

    walker = Shapes
    _done = 0

    def lower(self, lowering: LineLowering, gradients: bool) -> None:
        """Lower the lines of the forward pass, or of the gradients, that have been run since the last time."""
        start = self._done if gradients else 0
        lowering.run(self._walker.settled[start:])
        self._done = len(self._walker.settled)

    @property
    def shapes(self) -> Shapes:
        """What has run the lines."""
        return cast("Shapes", self._walker)


class Lowered(NamedTuple):
    """A model's program, and what its arrays are.

    Attributes:
        program: the loops.
        inputs, outputs: the arrays of the model's inputs and outputs, in order.
        target: the array of the target; "" without a loss.
        parameters: the path of each parameter, by its array; its gradient's array has a d in front.
        values: of buffers and constants, by array: the path of the module, and the attribute.
        constants: what they held.
        draws: the arrays of random numbers, each with the path of the module that draws it.
    """

    program: Program
    inputs: list[str]
    outputs: list[str]
    target: str
    parameters: dict[str, str]
    values: dict[str, tuple[str, str]]
    constants: dict[str, np.ndarray]
    draws: dict[str, str]


class ModelLowering:
    """Lowers a recorded graph.

    Args:
        graph: of one call of a model, perhaps with its loss.
        gradients: what is to be computed: "none", "parameters", or "all", which are those of the inputs too.
        upstream: whether the caller gives the gradients of the outputs; else they are ones.
        draw: "input" makes random numbers an input, "generator" draws them where they are needed.
        frozen: paths of parameters whose gradients are not wanted.
    """

    def __init__(
        self,
        graph: Graph,
        gradients: str = "none",
        upstream: bool = False,
        draw: str = "input",
        frozen: Collection[str] = (),
    ) -> None:
        self.graph = graph
        self.gradients = gradients
        self.upstream = upstream
        self.draw = draw
        self.frozen = frozen
        self.builder = Builder()
        self.entries: dict[Node, Entries] = {}
        self.names: dict[Node, str] = {}
        self.values: dict[str, tuple[str, str]] = {}
        self.constants: dict[str, np.ndarray] = {}
        self.draws: dict[str, str] = {}
        self._buffers: dict[tuple[str, str], Entries] = {}
        self._calls: dict[Call, tuple[_Outlines, LineLowering]] = {}

    def run(self) -> Lowered:
        """Return the program.

        Raises:
            LoweringError: for a module without equations, or a line that has no lowering; it names the module.
        """
        self._declare()
        for call in self.graph.calls:
            self._forward(call)
        outputs = list(leaves(self.graph.outputs))
        names = [self.names[node] for node in outputs]
        for name, node in zip(names, outputs, strict=True):
            is_real = node.value.dtype.kind == "f"
            self.builder.assign(self.builder.declare(name, node.shape, is_real, "output"), self.entries[node])
        if self.gradients != "none":
            self._backward(outputs)
        program = fused(Program(self.builder.arrays, tuple(self.builder.items)), {"output", "gradient", "buffer"})
        program = reused(program)
        kinds = {kind: [self.names[n] for n in self.graph.nodes if n.kind == kind] for kind in ("data", "target")}
        return Lowered(
            program,
            kinds["data"],
            names,
            (kinds["target"] or [""])[0],
            {self.names[node]: node.path for node in self.graph.nodes if node.kind == "parameter"},
            {name: place for name, place in self.values.items() if name in program.arrays},
            {name: value for name, value in self.constants.items() if name in program.arrays},
            {name: path for name, path in self.draws.items() if name in program.arrays},
        )

    def _declare(self) -> None:
        """Declare the arrays of the caller."""
        counts: dict[str, int] = {}
        letters = {"data": ("x", "input"), "target": ("target", "target"), "parameter": ("w", "parameter")}
        for node in self.graph.nodes:
            if node.kind in letters:
                letter, role = letters[node.kind]
                counts[letter] = counts.get(letter, -1) + 1
                self.names[node] = name = f"{letter}{counts[letter]}"
                self.entries[node] = self.builder.declare(name, node.shape, node.value.dtype.kind == "f", role)
        for number, node in enumerate(leaves(self.graph.outputs)):
            self.names[node] = f"y{number}"

    # ---- one call

    def _forward(self, call: Call) -> None:
        module = call.before
        name = placed(module, call.path)
        inputs = list(leaves(call.inputs))
        if call.note or len(inputs) != len(call.inputs):
            raise LoweringError(f"{name} has no lowering: {call.note or 'its inputs are no arrays'}")
        if isinstance(module, Sequential) and not len(module):
            self.entries[call.results[0]] = self.entries[inputs[0]]
            return
        if not module.equations_of(len(inputs)).strip():
            raise LoweringError(f"{name} has no lowering: it states no equations")
        hollow = tuple(np.broadcast_to(np.zeros((), node.value.dtype), node.shape) for node in inputs)
        try:
            statement = _Outlines(module, hollow)
            given = dict(zip(statement.inputs, (self.entries[node] for node in inputs), strict=True))
            given |= self._attributes(call, module, statement)
            prefix = f"c{len(self._calls)}_"
            lowering = LineLowering(
                self.builder, statement.shapes, given, self._drawing(call.path), self._table, prefix
            )
            statement.lower(lowering, gradients=False)
        except ValueError as error:
            raise LoweringError(f"{name} has no lowering: {error}") from error
        self._calls[call] = statement, lowering
        self._update_buffers(call, lowering)
        for symbol, node in zip(statement.outputs, leaves(call.outputs), strict=True):
            self.entries[node] = lowering.names[symbol]

    def _update_buffers(self, call: Call, lowering: LineLowering) -> None:
        """Store what a forward leaves in buffers, which its equations state as `M_new` of the symbol M.

        Raises:
            LoweringError: for a buffer that changes, and no line says how.
        """
        before, after = dict(_buffers(call.before)), dict(_buffers(call.module))
        changed = {name for name in before if not np.array_equal(before[name], after[name])}
        for symbol, attribute in call.before.symbols.items():
            new = lowering.names.get(f"{symbol}_new")
            if attribute in before and new is not None:
                old = self._constant(call.path, attribute, getattr(call.before, attribute))
                self.builder.arrays[old.array] = replace(self.builder.arrays[old.array], role="buffer")
                self.builder.assign(old, new)
                changed.discard(attribute)
        if changed:
            raise LoweringError(
                f"{placed(call.before, call.path)} has no lowering: its forward changes {', '.join(sorted(changed))}, "
                f"and no equation says how"
            )

    def _attributes(self, call: Call, module: Module, statement: _Outlines) -> dict[str, Entries]:
        """Return the arrays of symbols that are tied to attributes."""
        paths = {id(parameter): path for path, parameter in module.named_parameters()}
        found: dict[str, Entries] = {}
        for symbol, attribute in module.symbols.items():
            value = getattr(module, attribute)
            if isinstance(value, Parameter):
                found[symbol] = self.entries[call.parameters[paths[id(value)]]]
            elif isinstance(value, Buffer | np.ndarray):
                found[symbol] = self._constant(call.path, attribute, value)
        return found

    def _constant(self, path: str, attribute: str, value: Buffer | np.ndarray) -> Entries:
        key = (path, attribute)
        if key not in self._buffers:
            array = value.data if isinstance(value, Buffer) else value
            entries = self.builder.declare("table", array.shape, array.dtype.kind == "f", "constant")
            self.values[entries.array] = key
            self.constants[entries.array] = array
            self._buffers[key] = entries
        return self._buffers[key]

    def _table(self, value: np.ndarray) -> Entries:
        entries = self.builder.declare("table", value.shape, value.dtype.kind == "f", "constant")
        self.constants[entries.array] = value
        return entries

    def _drawing(self, path: str) -> Callable[[Iterable[int]], Entries]:
        def draw(shape: Iterable[int]) -> Entries:
            if self.draw == "generator":
                return self.builder.store(Entries(tuple(shape), lambda *i: operation("random")), "noise")
            entries = self.builder.declare("noise", shape, True, "random")
            self.draws[entries.array] = path
            return entries

        return draw

    # ---- the way back

    def _backward(self, outputs: list[Node]) -> None:
        terms: dict[Node, list[Entries]] = {}
        for node in outputs:
            if node.value.dtype.kind != "f":
                continue
            seed = self.builder.declare(f"d{self.names[node]}", node.shape, True, "input") if self.upstream else None
            terms.setdefault(node, []).append(seed or Entries(node.shape, lambda *i: scalar(1.0).at()))
        for call in reversed(self.graph.calls):
            if any(node in terms for node in call.results):
                self._go_back(call, terms)
        for node in self.graph.nodes:
            if (node.kind == "parameter" and node.path not in self.frozen) or (
                node.kind == "data" and self.gradients == "all" and node in terms
            ):
                target = self.builder.declare(f"d{self.names[node]}", node.shape, True, "gradient")
                self.builder.assign(target, self._total(terms.get(node, []), node))

    def _total(self, terms: list[Entries], node: Node) -> Entries:
        if not terms:
            return Entries(node.shape, lambda *i: scalar(0.0).at())
        total = terms[0]
        for term in terms[1:]:
            total = elementwise(lambda a, b: operation("+", a, b), total, term)
        return total

    def _go_back(self, call: Call, terms: dict[Node, list[Entries]]) -> None:
        if call not in self._calls:  # an empty Sequential
            terms.setdefault(call.sources[0], []).extend(terms[call.results[0]])
            return
        statement, lowering = self._calls[call]
        results = list(leaves(call.outputs))
        for symbol, node in zip(statement.outputs, results, strict=True):
            total = self._total(terms.get(node, []), node)
            if node.shape and not total.array:
                total = self.builder.store(total, f"{lowering.prefix}d")
            lowering.names[f"d{symbol}"] = total
        try:
            statement.backward(tuple(np.broadcast_to(np.float64(0), node.shape) for node in results))
            statement.lower(lowering, gradients=True)
        except ValueError as error:
            raise LoweringError(f"{placed(call.before, call.path)} has no lowering: {error}") from error
        nodes = dict(zip(statement.inputs, leaves(call.inputs), strict=True))
        paths = {id(parameter): path for path, parameter in call.before.named_parameters()}
        for symbol, attribute in call.before.symbols.items():
            value = getattr(call.before, attribute)
            if isinstance(value, Parameter):
                nodes[symbol] = call.parameters[paths[id(value)]]
        for symbol, node in nodes.items():
            if f"d{symbol}" in lowering.names and node.value.dtype.kind == "f":
                terms.setdefault(node, []).append(lowering.names[f"d{symbol}"])


def _buffers(module: Module) -> Iterable[tuple[str, np.ndarray]]:
    """Yield the buffers that a module itself has, by attribute."""
    return ((name, value.data) for name, value in vars(module).items() if isinstance(value, Buffer))
