"""What one call of a graph states about itself: its module's equations, with the graph's nodes for their symbols."""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..mathematics.columns import Columns, entries
from ..mathematics.notation import Latex, MathML, Notation, Shown, Text, mathml_element, shown, split_name
from ..mathematics.program import EquationError, GridError, Line, Loop, is_ellipsis
from ..mathematics.statement import Statement, used_names
from ..module import short_repr
from ..random import default_generator
from .node import Call, Node, leaves


class Formula(NamedTuple):
    """An equation as it is written, or several lines of a recurrence.

    Attributes:
        lines: with what is shown in the place of the symbols.
        indices, sequences: which names in them are what: see notation.py.
    """

    lines: Sequence[Line | Loop]
    indices: frozenset[str] = frozenset()
    sequences: frozenset[str] = frozenset()

    def to_text(self) -> str:
        """Return Unicode text."""
        return Text((), self.indices, self.sequences).lines(self.lines, {})

    def to_latex(self) -> str:
        """Return LaTeX for mathematics mode."""
        return Latex((), self.indices, self.sequences).lines(self.lines, {})

    def to_mathml(self) -> str:
        """Return a `<math>` element."""
        return mathml_element(MathML((), self.indices, self.sequences).lines(self.lines, {}))


def equation(left: ast.expr, right: ast.expr) -> Formula:
    """Return the formula left = right."""
    return Formula([Line((left,), right, False, 1)])


class CallStatement:
    """A call's equations, settled and run for its inputs, with the graph's nodes for its symbols.

    Args:
        call: of a traced graph, whose nodes have gradients.

    Attributes:
        lines: as they are shown; empty where none are stated, or none can be written in columns.
        remark: what to say of a line that there is not.
        fault: what is wrong with the lines; empty where they have values.
        slots: the symbol of each input (by number) and parameter (by name).
        results: the symbol of each node that the call made.
        values: of the symbols, in the form in which the graph shows values.
    """

    def __init__(self, call: Call) -> None:
        module = call.before
        nodes = list(leaves(call.inputs))
        self.call = call
        self.lines: list[Line | Loop] = []
        self.remark = f"no equations stated by {short_repr(module)}"
        self.fault = ""
        self.values: dict[str, Any] = {}
        self.slots: dict[int | str, str] = {attribute: letter for letter, attribute in module.symbols.items()}
        self.results: dict[Node, str] = {}
        self.attributes: dict[str, Any] = {}
        self.names: dict[str, ast.expr] = {}
        self.indices: frozenset[str] = frozenset()
        self.sequences: frozenset[str] = frozenset()
        if module.equations_of(len(nodes)):
            try:
                self._state(nodes)
            except GridError:
                title = short_repr(module)
                self.remark = f"the equations of {title} are not run on so many entries: fewer rows or smaller ones do"
            except EquationError as error:
                self.fault = f"the equations of {short_repr(module)} have no value: {error}"

    def _state(self, nodes: list[Node]) -> None:
        call = self.call
        generator = copy.deepcopy(default_generator(getattr(call.before, "generator", None)))
        if call.rng_state is not None:
            generator.bit_generator.state = call.rng_state
        statement = Statement(call.before, tuple(node.value for node in nodes), copy.deepcopy(generator))
        self.slots |= dict(enumerate(statement.inputs))
        self.results = dict(zip(call.results, statement.outputs, strict=False))
        given = {self.slots[slot]: node for slot, node in call.slots.items() if slot in self.slots}
        self.attributes = {s: v for s, v in statement.attributes.items() if s not in given and v is not None}
        statement.backward(tuple(node.grad for node in self.results))
        self.lines, self.values = statement.lines(), statement.values
        if call.results[0].is_sample:
            self._take_sample(statement, generator)
        self.indices, self.sequences = Notation.knowledge(self.lines)
        symbols = {**given, **{symbol: node for node, symbol in self.results.items()}}
        self.names = {symbol: self._own(symbol) for symbol in self.values}
        for symbol, node in symbols.items():
            self.names[symbol] = node.symbol(symbol)
            self.names[f"d{symbol}"] = node.symbol(f"d{symbol}", gradient=True)
            if node.kind == "loss" and not np.ndim(self.values.get(symbol, 0)):
                self.names[f"d{symbol}"] = ast.Constant(1)

    def _take_sample(self, statement: Statement, generator: np.random.Generator) -> None:
        """Write the lines for a single sample, in columns, and run them so."""
        try:
            columns = Columns(statement)
        except EquationError as error:
            self.lines, self.remark = [], str(error)
            return
        self.lines = list(columns.lines)
        self.values = columns.evaluate(generator)

    def _own(self, symbol: str) -> Shown:
        """Return how a symbol is shown that is no node."""
        is_gradient = symbol[0] == "d" and symbol[1:] in self.values
        letter, subscript = split_name(symbol[1:] if is_gradient else symbol)
        return Shown(symbol, letter, subscript, is_gradient, np.ndim(self.values[symbol]) == 0)

    def states(self, symbol: str) -> bool:
        """Tell whether there is a line for a symbol."""
        return any(symbol in line.names for line in self.lines)

    def lines_of(self, symbol: str) -> list[Line | Loop]:
        """Return the lines that state a symbol."""
        return [line for line in self.lines if symbol in line.names]

    def locals(self, symbol: str) -> list[str]:
        """Return the symbols that a line needs and that are no nodes: those of other lines, and attributes."""
        own = self.lines_of(symbol)
        needed = set().union(*map(used_names, own))
        shown_there = {name for line in own if isinstance(line, Loop) for name in line.names}
        found: list[str] = []
        for line in reversed(self.lines):
            names = [n for n in line.names if n in needed and n not in self.results.values() and n not in shown_there]
            if names and symbol not in line.names:
                found.append(names[0])
                needed |= used_names(line)
        return [*reversed(found), *(attribute for attribute in self.attributes if attribute in needed)]

    def formula(self, symbol: str, names: dict[str, ast.expr]) -> Formula:
        """Return the lines that state a symbol, as they are written."""
        if symbol in self.attributes and not self.states(symbol):
            return equation(names[symbol], _constant(self.attributes[symbol]))
        lines = [line.rewritten(lambda node: shown(node, names)) for line in self.lines_of(symbol)]
        return Formula(lines, self.indices, self.sequences)


def written(
    left: ast.expr, value: np.ndarray, terms: Sequence[tuple[CallStatement, str]]
) -> tuple[Formula, Formula | None, list[Formula]]:
    """Return the equation of a value that is a sum of lines, the same with shapes, and those of the further symbols.

    Args:
        left: what the sum is equal to.
        value: its value.
        terms: statements, and symbols of their lines; one that has no such line stands as a remark.
    """
    where: dict[tuple[CallStatement, str], Formula] = {}
    owners: dict[str, set[CallStatement]] = {}
    for statement, symbol in terms:
        for local in statement.locals(symbol):
            owners.setdefault(local, set()).add(statement)
    parts: list[ast.expr] = []
    sizes: list[ast.expr | None] = []
    for number, (statement, symbol) in enumerate(terms, 1):
        if not statement.states(symbol):
            parts.append(Shown("", f"[{statement.remark}]", literal=True))
            sizes.append(parts[-1])
            continue
        names = dict(statement.names)
        for local in statement.locals(symbol):
            if len(owners[local]) > 1:
                names[local] = Shown(local, local, statement.call.path, scalar=not np.ndim(statement.values[local]))
            where[statement, local] = statement.formula(local, names)
        lines = statement.lines_of(symbol)
        line = lines[0] if len(lines) == 1 else None
        if not _is_of_whole_arrays(line) and len(terms) == 1:
            return statement.formula(symbol, names), None, list(where.values())
        if isinstance(line, Line) and _is_of_whole_arrays(line):
            parts.append(shown(line.value, names))
            plain = all(is_ellipsis(node.slice) for node in entries(line))
            sizes.append(shown(line.value, _shapes(statement, names)) if plain else None)
        else:
            parts.append(Shown("", "G", str(number)))
            sizes.append(None)
            where[statement, symbol] = statement.formula(symbol, {**names, symbol: parts[-1]})
    known = [statement for statement, symbol in terms if statement.states(symbol)]
    total = _sum(parts)
    formula = Formula(
        [Line((left,), total, False, 1)],
        frozenset().union(*(statement.indices for statement in known)),
        frozenset().union(*(statement.sequences for statement in known)),
    )
    shapes = None
    if None not in sizes:
        shapes = equation(Shown("", str(value.shape), literal=True), _sum([size for size in sizes if size is not None]))
    return formula, shapes, list(where.values())


def _is_of_whole_arrays(line: Line | Loop | None) -> bool:
    """Tell whether a line states one array at once."""
    if not isinstance(line, Line) or len(line.targets) != 1:
        return False
    (target,) = line.targets
    return isinstance(target, ast.Name) or (isinstance(target, ast.Subscript) and is_ellipsis(target.slice))


def _sum(parts: Sequence[ast.expr]) -> ast.expr:
    total = parts[0]
    for part in parts[1:]:
        total = ast.BinOp(total, ast.Add(), part)
    return total


def _shapes(statement: CallStatement, names: dict[str, ast.expr]) -> dict[str, ast.expr]:
    """Return shapes in the place of arrays; numbers stay as they are named."""
    found = dict(names)
    for symbol, value in statement.values.items():
        if np.ndim(value) and not isinstance(names.get(symbol), ast.Constant):
            found[symbol] = Shown(symbol, str(np.shape(value)), literal=True)
    return found


def _constant(value: Any) -> ast.expr:
    """Write an attribute's value."""
    if not isinstance(value, np.ndarray | np.generic | int | float | str | list | tuple):
        return Shown("", repr(value), literal=True)
    if np.ndim(value) == 0 and not isinstance(value, str):
        return ast.Constant(value if isinstance(value, bool | int) else float(f"{value:g}"))
    few = np.size(value) <= 4
    return Shown("", str(np.ravel(value).tolist()) if few else f"an array of shape {np.shape(value)}", literal=True)
