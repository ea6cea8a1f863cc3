"""C99 of a program: each nest a function, loops over indices and expressions of entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..mathematics.words import WORDS
from .expression import (
    COMPARISONS,
    Affine,
    Expression,
    Index,
    Load,
    Number,
    Operation,
    Size,
    nodes,
)
from .program import Array

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


class Writer:
    """Writes expressions in C.

    Args:
        arrays: what is read, by name.
        dialect: how numbers are written.

    Attributes:
        locals: the names of variables, by the expressions that stand in them already.
    """

    def __init__(self, arrays: Mapping[str, Array], dialect: Dialect) -> None:
        self.arrays = arrays
        self.dialect = dialect
        self.locals: dict[Expression, str] = {}

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
                holds = self.text(test, test.is_real)
                if not (isinstance(test, Operation) and test.name in COMPARISONS):
                    holds = f"({holds} != 0)"
                return f"({holds} ? {self.text(a, real)} : {self.text(b, real)})"
            case Operation(name=name, arguments=arguments):
                if not node.is_real and real and name not in COMPARISONS:
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


def helpers(texts: Iterable[str], dialect: Dialect) -> list[str]:
    """Return the definitions of the helper functions that texts use."""
    used: list[str] = []
    everything = "\n".join(texts)
    for name, text in reversed(HELPERS.items()):
        if f"{name}(" in everything:
            used.insert(0, text.replace("{f}", dialect.suffix))
            everything += text
    return used
