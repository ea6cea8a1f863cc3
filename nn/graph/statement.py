"""What one call of a graph states about itself: its module's equations, with nodes in the place of its symbols."""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..mathematics.columns import column_equations
from ..mathematics.equation import (
    attribute_values,
    evaluate,
    gradient_names,
    input_names,
    output_names,
    parse,
    scalar_symbols,
    settle_equations,
)
from ..mathematics.notation import to_latex, to_mathml, to_text
from ..module import Module
from ..module import short_repr as title
from ..random import default_generator
from .node import Call, as_column, leaves


class Formula(NamedTuple):
    """An expression, and what its symbols are called: see notation.py."""

    expression: str
    rename: Mapping[str, str] = {}
    scalars: frozenset[str] = frozenset()

    def to_text(self) -> str:
        """Return one line of Unicode text."""
        return to_text(self.expression, self.rename, self.scalars)

    def to_latex(self) -> str:
        """Return LaTeX for mathematics mode."""
        return to_latex(self.expression, self.rename, self.scalars)

    def to_mathml(self) -> str:
        """Return a `<math>` element."""
        return to_mathml(self.expression, self.rename, self.scalars)


class Statement:
    """A call's equations, settled for its inputs, with the graph's nodes for its symbols.

    Args:
        call: of a traced graph, whose nodes have gradients.

    Attributes:
        lines: the expressions by symbol; empty where none are stated, or none can be written in columns.
        remark: what to say of a line that there is not.
        fault: what is wrong with the lines; empty where they have values.
        slots: the symbol of each input (by number) and parameter (by name).
        results: the symbol of each node that the call made.
    """

    def __init__(self, call: Call) -> None:
        module = call.before
        inputs = list(leaves(call.inputs))
        arrays = tuple(node.value for node in inputs)
        letters = {attribute: letter for letter, attribute in module.symbols.items()}
        self.call = call
        self.sample = call.results[0].is_sample
        self.lines: dict[str, str] = {}
        self.remark = f"no equations stated by {title(module)}"
        self.fault = ""
        self.scalars: frozenset[str] = frozenset()
        if module.equations_of(len(inputs)):
            self._settle(module, arrays)
        self.gradients = gradient_names(module, len(inputs))
        self.slots: dict[int | str, str] = dict(enumerate(input_names(module, len(inputs))))
        self.slots.update(letters.items())
        self.results = dict(zip(call.results, output_names(module), strict=False))
        self.nodes = {self.slots[slot]: node for slot, node in call.slots.items() if slot in self.slots}
        self.upstream = {f"g{i}" if len(self.results) > 1 else "g": node for i, node in enumerate(self.results)}
        attributes = attribute_values(module)
        self.attributes = {symbol: value for symbol, value in attributes.items() if symbol not in self.nodes}
        self.names = {symbol: symbol for symbol in (*self.attributes, *self.lines)}
        self.names |= {symbol: node.expression for symbol, node in self.nodes.items()}
        self.names |= {symbol: node.expression for node, symbol in self.results.items()}
        for symbol, node in self.upstream.items():
            self.names[symbol] = "1" if node.kind == "loss" else f"partial(J, {node.expression})"
        self.values: dict[str, np.ndarray] = {}
        self.gradient_values: dict[str, np.ndarray] = {}
        try:
            self._evaluate()
        except ValueError as error:
            self.fault = f"the equations of {title(module)} have no value: {error}"

    def _settle(self, module: Module, arrays: tuple[np.ndarray, ...]) -> None:
        try:
            self.lines = settle_equations(module, arrays)
            self.scalars = scalar_symbols(module)
        except ValueError as error:
            self.fault = f"the equations of {title(module)} have no value: {error}"
            return
        if self.sample:
            try:
                self.lines = column_equations(module, arrays)
            except ValueError as error:
                self.lines, self.remark = {}, str(error)

    def _evaluate(self) -> None:
        generator = copy.deepcopy(default_generator(getattr(self.call.before, "generator", None)))
        if self.call.rng_state is not None:
            generator.bit_generator.state = self.call.rng_state
        values = {s: as_column(np.asarray(v), True) if self.sample else v for s, v in self.attributes.items()}
        values |= {symbol: node.shown(node.value) for symbol, node in self.nodes.items()}
        self.values = values
        for symbol, line in self.lines.items():
            if symbol not in self.gradients:
                values[symbol] = evaluate(line, values, generator)
        values |= {symbol: node.shown(node.grad) for symbol, node in self.upstream.items() if node.grad is not None}
        for symbol, line in self.lines.items():
            if symbol in self.gradients:
                self.gradient_values[symbol] = evaluate(line, values, generator)

    def used(self, line: str) -> set[str]:
        """Return the symbols in an expression."""
        return {part.id for part in ast.walk(parse(line)) if isinstance(part, ast.Name) and part.id in self.names}

    def locals(self, symbol: str) -> list[str]:
        """Return the symbols that a line needs and that are no nodes: intermediate lines, and attributes."""
        if symbol not in self.lines:
            return []
        needed = self.used(self.lines[symbol])
        found = []
        for local, line in reversed(self.lines.items()):
            if local in needed and local not in self.gradients and local not in self.results.values():
                found.append(local)
                needed |= self.used(line)
        return [*reversed(found), *(attribute for attribute in self.attributes if attribute in needed)]

    def local(self, symbol: str, name: str) -> Formula:
        """Return the equation of a symbol that is no node."""
        if symbol in self.attributes:
            return Formula(f"{name} == {_constant(self.attributes[symbol])}")
        return Formula(f"{name} == ({self.lines[symbol]})", self.names, self.scalars)


def written(
    left: str, value: np.ndarray, terms: Sequence[tuple[Statement, str]]
) -> tuple[Formula, Formula, list[Formula]]:
    """Return the equation of a value that is a sum of lines, the same with shapes, and those of the further symbols.

    Args:
        left: what the sum is equal to.
        value: its value.
        terms: statements, and symbols of their lines; one that has no such line stands as a remark.
    """
    owners: dict[str, set[Statement]] = {}
    for statement, symbol in terms:
        for local in statement.locals(symbol):
            owners.setdefault(local, set()).add(statement)
    parts = []
    names: dict[str, str] = {}
    sizes: dict[str, str] = {}
    scalars: set[str] = set()
    where: dict[tuple[Statement, str], Formula] = {}
    for index, (statement, symbol) in enumerate(terms):
        if symbol not in statement.lines:
            parts.append(repr(f"[{statement.remark}]"))
            continue
        line = statement.lines[symbol]
        called = dict(statement.names)
        for local in statement.locals(symbol):
            called[local] = local if len(owners[local]) == 1 else f"{local}[{statement.call.path!r}]"
            where[statement, local] = statement.local(local, called[local])
        prefix = f"t{index}_"  # so that each term's symbols are its own
        parts.append(_prefixed(line, called, prefix))
        for name in statement.used(line):
            shape = np.shape(statement.values.get(name, ()))
            names[prefix + name] = called[name]
            sizes[prefix + name] = repr(str(shape)) if shape and called[name] != "1" else called[name]
            scalars |= {prefix + name} if name in statement.scalars else set()
    right = " + ".join(f"({part})" for part in parts)
    formula = Formula(f"{left} == {right}", names, frozenset(scalars))
    return formula, Formula(f"{str(value.shape)!r} == {right}", sizes, frozenset(scalars)), list(where.values())


def _prefixed(line: str, names: Mapping[str, str], prefix: str) -> str:
    tree = copy.deepcopy(parse(line))
    for part in ast.walk(tree):
        if isinstance(part, ast.Name) and part.id in names:
            part.id = prefix + part.id
    return ast.unparse(tree)


def _constant(value: Any) -> str:
    """Write an attribute's value as an expression."""
    if isinstance(value, str):
        return repr(value)
    if np.ndim(value) == 0:
        return f"{value:g}"
    return repr(str(np.ravel(value).tolist()) if np.size(value) <= 4 else f"an array of shape {np.shape(value)}")
