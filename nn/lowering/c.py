"""C99 of a program: each nest a function, loops over indices and expressions of entries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from ..mathematics.words import REDUCTIONS, WORDS
from .expression import (
    Affine,
    Expression,
    Index,
    Load,
    Number,
    Operation,
    Reduction,
    Size,
    children,
    free_indices,
    nodes,
)
from .program import Array, Nest, Store

OPERATORS = {
    "+": "({0} + {1})", "-": "({0} - {1})", "*": "({0} * {1})", "/": "({0} / {1})", "//": "({0} / {1})",
    "%": "({0} % {1})", ">": "({0} > {1})", ">=": "({0} >= {1})", "<": "({0} < {1})", "<=": "({0} <= {1})",
    "==": "({0} == {1})", "!=": "({0} != {1})", "neg": "(-{0})", "softplus": "softplus({0})", "**": "pow{f}({0}, {1})",
    "random": "uniform()", "quotient": "quotient({0}, {1})", "remainder_of": "remainder_of({0}, {1})",
}  # fmt: skip

HELPERS = {
    "quotient": "static inline long quotient(long a, long b) { return a / b - (a % b && (a < 0) != (b < 0)); }",
    "remainder_of": "static inline long remainder_of(long a, long b) { return a - b * quotient(a, b); }",
    "square": "static inline T square(T x) { return x * x; }",
    "larger": "static inline T larger(T a, T b) { const T m = a > b ? a : b; return a != a ? a : m; }",
    "smaller": "static inline T smaller(T a, T b) { const T m = a < b ? a : b; return a != a ? a : m; }",
    "sign": "static inline T sign(T x) { return x > 0 ? 1 : x < 0 ? -1 : x; }",
    "softplus": "static inline T softplus(T x) { return larger(x, 0) + log1p{f}(exp{f}(-fabs{f}(x))); }",
}


@dataclass(frozen=True)
class Dialect:
    """How numbers are written: `real` is the C type, "float" or "double", and `name` what the text calls it."""

    real: str = "float"
    name: str = "T"

    @property
    def suffix(self) -> str:
        """What stands behind functions of math.h and constants."""
        return "f" if self.real == "float" else ""

    def number(self, value: float | Affine) -> str:
        """Return a constant."""
        if isinstance(value, Affine):
            return f"({self.name}){value}"
        if value != value:
            return "NAN"
        if value in (float("inf"), -float("inf")):
            return "INFINITY" if value > 0 else "(-INFINITY)"
        text = f"{float(value)!r}{self.suffix}"
        return f"({text})" if value < 0 else text


@dataclass
class Function:
    """One nest as a function of the arrays that it uses."""

    name: str
    text: str
    arguments: list[str] = field(default_factory=list)  # the names of its arrays, in order
    steps: list[str] = field(default_factory=list)  # the recurrences whose step it needs


class NestWriter:
    """Writes the lines of one nest."""

    def __init__(self, nest: Nest, arrays: Mapping[str, Array], in_memory: Iterable[str], dialect: Dialect) -> None:
        self.nest = nest
        self.arrays = arrays
        self.in_memory = set(in_memory)
        self.dialect = dialect
        self.lines: list[str] = []
        self.depth = 1
        self.locals: dict[Expression, str] = {}  # what stands in a variable already
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

    # ---- expressions

    def offset(self, shape: tuple[Size, ...], places: tuple[Expression, ...]) -> str:
        """Return where an entry stands in memory."""
        text = ""
        for size, place in _joined(shape, places):
            here = self.text(place, real=False)
            front = text if text.isidentifier() or text.isdigit() else f"({text})"
            before = "" if text in ("", "0") else f"{front} * {size}"
            text = " + ".join(filter(None, [before, "" if here == "0" else here])) or "0"
        return text or "0"

    def text(self, node: Expression, real: bool) -> str:
        """Return an expression in C, as a real number or an integer."""
        if node in self.locals:
            return self.locals[node]
        if node.is_real and not real:
            return f"(long){self.text(node, True)}"
        match node:
            case Number(value=value):
                if real:
                    return self.dialect.number(value)
                return str(value)
            case Index(name=name):
                return f"({self.dialect.name}){name}" if real else name
            case Load(array=array, shape=shape, places=places):
                text = f"{array}[{self.offset(shape, places)}]"
                return f"({self.dialect.name}){text}" if real and not self.arrays[array].is_real else text
            case Operation(name="**", arguments=(base, Number(value=2))) if base.is_real:
                return f"square({self.text(base, True)})"
            case Operation(name="where", arguments=(test, a, b)):
                parts = [self.text(test, test.is_real), self.text(a, real), self.text(b, real)]
                return f"({parts[0]} ? {parts[1]} : {parts[2]})"
            case Operation(name=name, arguments=arguments):
                if not node.is_real and real and name not in (">", ">=", "<", "<=", "==", "!="):
                    return f"({self.dialect.name}){self.text(node, False)}"
                inner = any(each.is_real for each in arguments) or name not in OPERATORS or name in ("/", "**")
                if not inner and name in ("//", "%") and _may_be_negative(arguments[0]):
                    name = {"//": "quotient", "%": "remainder_of"}[name]
                text = _template(name).format(*(self.text(each, inner) for each in arguments), f=self.dialect.suffix)
                return f"({self.dialect.name}){text}" if real and not node.is_real else text
        raise TypeError(f"{node} stands where it was not computed")


def _joined(shape: tuple[Size, ...], places: tuple[Expression, ...]) -> list[tuple[Size, Expression]]:
    """Return sizes and places, with the places p // s and p % s of axes beside one another joined to the one, p."""
    found: list[tuple[Size, Expression]] = []
    for size, place in zip(shape, places, strict=True):
        found.append((size, place))
        while len(found) > 1 and (whole := _whole(*found[-2:])) is not None:
            found[-2:] = [whole]
    return found


def _whole(front: tuple[Size, Expression], back: tuple[Size, Expression]) -> tuple[Size, Expression] | None:
    """Return the size and the place of two axes together; None where the places are no parts of one."""
    (outer, high), (inner, low) = front, back
    if not isinstance(outer, int) or not isinstance(inner, int):
        return None
    end = Number(inner)
    match high, low:
        case Operation("//", (p, divisor)), Operation("%", (q, modulus)) if p == q and divisor == modulus == end:
            return outer * inner, p
        case Operation("%", (Operation("//", (p, divisor)), bound)), Operation("%", (q, modulus)):
            if p == q and divisor == modulus == end and bound == Number(outer):
                return outer * inner, Operation("%", (p, Number(outer * inner)))
    return None


def _template(name: str) -> str:
    """Return the text of an operator or an elementwise word; by default the word is a function of math.h."""
    if name in OPERATORS:
        return OPERATORS[name]
    word = WORDS[name]
    arguments = ", ".join(f"{{{place}}}" for place in range(word.arity))
    return str(word.lower or f"{name}{{f}}({arguments})")


def _may_be_negative(node: Expression) -> bool:
    """Tell whether an integer may be below 0, where C and Python divide differently."""
    return any(
        part.name in ("-", "neg")
        if isinstance(part, Operation)
        else isinstance(part, Number) and _is_below_0(part.value)
        for part in nodes(node)
    )


def _is_below_0(value: float | Affine) -> bool:
    return not isinstance(value, Affine) and value < 0


def _inner_first(node: Expression) -> list[Reduction]:
    """Return all reductions in an expression, those inside of others before these."""
    found: dict[Reduction, None] = {}
    for part in children(node):
        found |= dict.fromkeys(_inner_first(part))
    if isinstance(node, Reduction):
        found[node] = None
    return list(found)


def helpers(texts: Iterable[str], dialect: Dialect) -> list[str]:
    """Return the definitions of the helper functions that texts use."""
    used: list[str] = []
    everything = "\n".join(texts)
    for name, text in reversed(HELPERS.items()):
        if f"{name}(" in everything:
            used.insert(0, text.replace("{f}", dialect.suffix))
            everything += text
    return used


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
