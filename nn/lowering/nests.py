"""C99 of a program: each nest a function, loops over indices and stores of entries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from ..mathematics.words import REDUCTIONS
from .c import Dialect, Writer
from .expression import (
    Expression,
    Index,
    Reduction,
    Size,
    children,
    free_indices,
    nodes,
)
from .program import Array, Nest, Store


@dataclass
class Function:
    """One nest as a function of the arrays that it uses."""

    name: str
    text: str
    arguments: list[str] = field(default_factory=list)  # the names of its arrays, in order
    steps: list[str] = field(default_factory=list)  # the recurrences whose step it needs


class NestWriter(Writer):
    """Writes the lines of one nest."""

    def __init__(self, nest: Nest, arrays: Mapping[str, Array], in_memory: Iterable[str], dialect: Dialect) -> None:
        self.nest = nest
        super().__init__(arrays, dialect)
        self.in_memory = set(in_memory)
        self.lines: list[str] = []
        self.depth = 1
        self._count = 0

    def write(self) -> list[str]:
        """Return the lines of the function's body."""
        self._hoist(0)
        for level, (name, size) in enumerate(self.nest.indices, start=1):
            self.open(name, size)
            self._hoist(level)
        for store in self.nest.stores:
            self.store(store)
        while self.depth > 1:
            self.close()
        return self.lines

    # ---- lines

    def line(self, text: str) -> None:
        """Add a line."""
        self.lines.append("    " * self.depth + text)

    def open(self, name: str, size: Size | str, start: str = "0", step: int = 1) -> None:
        """Begin a loop."""
        forward = f"{name}++" if step == 1 else f"{name} += {step}"
        self.line(f"for (long {name} = {start}; {name} < {size}; {forward}) {{")
        self.depth += 1

    def close(self) -> None:
        """End a loop."""
        self.depth -= 1
        self.line("}")

    def variable(self, value: Expression, text: str, is_real: bool = True) -> None:
        """Put a value into a variable, for whatever reads it later."""
        if re.fullmatch(r"[vs]\d+", text):  # it stands in a variable already
            self.locals[value] = text
            return
        name = f"v{self._count}"
        self._count += 1
        self.line(f"const {'T' if is_real else 'long'} {name} = {text};")
        self.locals[value] = name

    def store(self, store: Store) -> None:
        """Write what one store does, and keep the value at hand."""
        value = self.text(store.value, real=store.value.is_real)
        array = self.arrays[store.array]
        entry = f"{store.array}[{self.offset(store.shape, store.places)}]"
        cast = "" if array.is_real or store.value.is_real else "(int)"
        if store.adds:
            self.line(f"{entry} += {value};")
            return
        self.variable(replace(store.target, is_real=array.is_real), value, array.is_real)
        if store.array in self.in_memory:
            self.line(f"{entry} = {cast}{self.locals[replace(store.target, is_real=array.is_real)]};")

    # ---- reductions

    def _hoist(self, level: int) -> None:
        """Compute the reductions that depend on the first indices alone, as many as `level`."""
        known = {name for name, _ in self.nest.indices[:level]}
        every = {name for name, _ in self.nest.indices}
        for store in self.nest.stores:
            for node in _inner_first(store.value):
                free = free_indices(node) & every
                bound = free_indices(node) - every
                if free <= known and not {i for i in bound if i[0] in "rb"} and node not in self.locals:
                    self.reduce(node)

    def reduce(self, node: Reduction) -> None:
        """Compute a reduction into a variable."""
        name = f"s{self._count}"
        self._count += 1
        if node.name == "argmax":
            self._argmax(node, name)
            return
        start, step = cast("tuple[str, str]", REDUCTIONS[node.name].lower)
        self.line(f"T {name} = {start};")
        outer = dict(self.locals)
        for index, size in node.indices:
            self.open(index, size)
        self._inside(node)
        value = self.text(node.body, real=True)
        added = step.removeprefix("{0} + ")
        self.line(f"{name} += {value};" if added == "{1}" else f"{name} = {step.format(name, value)};")
        for _ in node.indices:
            self.close()
        self.locals = {**outer, node: name}

    def _inside(self, node: Reduction) -> None:
        """Compute, inside the loops of a reduction, those in its body that depend on its indices."""
        for inner in _inner_first(node.body):
            if inner not in self.locals:
                self.reduce(inner)

    def _argmax(self, node: Reduction, name: str) -> None:
        """Compute where the first largest entry is, counted over all indices."""
        self.line(f"long {name} = 0, {name}_at = 0;")
        self.line(f"T {name}_best = -INFINITY;")
        outer = dict(self.locals)
        for index, size in node.indices:
            self.open(index, size)
        self._inside(node)
        self.line(f"const T {name}_here = {self.text(node.body, real=True)};")
        here, best = f"{name}_here", f"{name}_best"
        self.line(f"const int {name}_wins = {here} > {best} || ({here} != {here} && {best} == {best});")
        self.line(f"{best} = {name}_wins ? {here} : {best};")
        self.line(f"{name} = {name}_wins ? {name}_at : {name};")
        self.line(f"{name}_at++;")
        for _ in node.indices:
            self.close()
        self.locals = {**outer, node: name}


def _inner_first(node: Expression) -> list[Reduction]:
    """Return all reductions in an expression, those inside of others before these."""
    found: dict[Reduction, None] = {}
    for part in children(node):
        found |= dict.fromkeys(_inner_first(part))
    if isinstance(node, Reduction):
        found[node] = None
    return list(found)


def nest_function(
    name: str,
    nest: Nest,
    arrays: Mapping[str, Array],
    in_memory: Iterable[str],
    dialect: Dialect,
    kind: type[NestWriter] = NestWriter,
) -> Function:
    """Return the function of a nest, which a writer of a kind writes."""
    writer = kind(nest, arrays, in_memory, dialect)
    body = writer.write()
    stored = {store.array for store in nest.stores} & writer.in_memory | set(nest.scratch)
    text = "\n".join(body)
    used = [each for each in arrays if re.search(rf"\b{each}\b", text)]
    declared = [
        f"{'' if each in stored else 'const '}{'T' if arrays[each].is_real else 'int'} *restrict {each}"
        for each in used
    ]
    every = {node for store in nest.stores for node in nodes(store.value, *store.places)}
    steps = sorted(node.name for node in every if isinstance(node, Index) and node.name.startswith("t"))
    parameters = ["long n", *(f"long {step}" for step in steps), *declared]
    lines = [f"static void {name}({', '.join(parameters)}) {{"]
    if not re.search(r"\bn\b", text):
        lines.append("    (void)n;")
    return Function(name, "\n".join([*lines, *body, "}"]), used, steps)
