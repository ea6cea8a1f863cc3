"""What the value of an entry of an array is: expressions over loop indices, and arrays given by their entries.

An expression is a small tree. Integers compute where entries stand, real numbers what stands there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class LoweringError(ValueError):
    """Says what cannot be lowered to C, and why."""


class Affine(NamedTuple):
    """A number that follows the batch size: slope * n + constant."""

    slope: int
    constant: int

    def at(self, n: int) -> int:
        """Return the number for a batch size."""
        return self.slope * n + self.constant

    def __str__(self) -> str:
        slope = "n" if self.slope == 1 else f"{self.slope} * n"
        return f"({slope} + {self.constant})" if self.constant else slope if self.slope == 1 else f"({slope})"


Size = int | Affine


class Expression:
    """The base of expressions, with Python's operators. `is_real` tells real numbers from integers."""

    is_real = False

    def __add__(self, other: Expression | int) -> Expression:
        return operation("+", self, other)

    def __sub__(self, other: Expression | int) -> Expression:
        return operation("-", self, other)

    def __mul__(self, other: Expression | int) -> Expression:
        return operation("*", self, other)

    def __floordiv__(self, other: Expression | int) -> Expression:
        return operation("//", self, other)

    def __mod__(self, other: Expression | int) -> Expression:
        return operation("%", self, other)

    def __ge__(self, other: Expression | int) -> Expression:
        return operation(">=", self, other)

    def __lt__(self, other: Expression | int) -> Expression:
        return operation("<", self, other)


@dataclass(frozen=True)
class Number(Expression):
    """A number that is known before the program runs."""

    value: int | float | Affine

    @property
    def is_real(self) -> bool:  # type: ignore[override]
        return isinstance(self.value, float)


@dataclass(frozen=True)
class Index(Expression):
    """The index of a loop."""

    name: str


@dataclass(frozen=True)
class Setting(Expression):
    """A number that is given when the program runs, such as a learning rate."""

    name: str
    is_real = True


@dataclass(frozen=True)
class Load(Expression):
    """An entry of an array in memory, seen in a shape that has as many entries as the array."""

    array: str
    shape: tuple[Size, ...]
    places: tuple[Expression, ...]
    is_real: bool = True


@dataclass(frozen=True)
class Operation(Expression):
    """An operator or an elementwise word of the language, applied to values."""

    name: str
    arguments: tuple[Expression, ...]

    @property
    def is_real(self) -> bool:  # type: ignore[override]
        if self.name in COMPARISONS:
            return False
        if self.name in ("+", "-", "*", "//", "%", "neg", "where", "maximum", "minimum", "abs"):
            return any(each.is_real for each in self.arguments)
        return True


@dataclass(frozen=True)
class Reduction(Expression):
    """A sum, a largest value or the like of an expression over indices, each with its range."""

    name: str
    indices: tuple[tuple[str, Size], ...]
    body: Expression

    @property
    def is_real(self) -> bool:  # type: ignore[override]
        return self.name != "argmax" and self.body.is_real


COMPARISONS = (">", ">=", "<", "<=", "==", "!=")


def as_expression(value: Expression | float) -> Expression:
    """Return a number as an expression; truth counts as 1, as in the language."""
    if isinstance(value, Expression):
        return value
    return Number(float(value) if isinstance(value, float) else int(value))


def operation(name: str, *arguments: Expression | float) -> Expression:
    """Return an operation, in which arithmetic of known integers is done and adding 0 and the like is left out."""
    given = tuple(map(as_expression, arguments))
    known = [each.value for each in given if isinstance(each, Number) and isinstance(each.value, int)]
    if name in ("+", "-", "*", "//", "%") and len(given) == 2 and not any(each.is_real for each in given):
        a, b = given
        if len(known) == 2 and not (name in ("//", "%") and known[1] == 0):
            x, y = known
            return Number({"+": x + y, "-": x - y, "*": x * y}[name] if name in "+-*" else _divided(name, x, y))
        zero, one = Number(0), Number(1)
        if (name == "+" and a == zero) or (name == "*" and a == one):
            return b
        if (name in "+-" and b == zero) or (name in ("*", "//") and b == one):
            return a
        if (name == "*" and zero in given) or (name == "%" and b == one):
            return zero
    if name in ("maximum", "minimum") and not any(each.is_real for each in given):
        if len(known) == 2:
            return Number(max(known) if name == "maximum" else min(known))
        return operation("where", operation(">" if name == "maximum" else "<", *given), *given)
    return Operation(name, given)


def _divided(name: str, x: int, y: int) -> int:
    return x // y if name == "//" else x % y


def children(node: Expression) -> tuple[Expression, ...]:
    """Return the expressions that an expression is made of."""
    match node:
        case Load(places=parts) | Operation(arguments=parts):
            return parts
        case Reduction(body=body):
            return (body,)
    return ()


def nodes(*trees: Expression) -> Iterator[Expression]:
    """Yield all expressions inside of expressions, the outer ones first."""
    for tree in trees:
        yield tree
        yield from nodes(*children(tree))


def rebuilt(node: Any, change: Callable[[Expression], Expression]) -> Expression:
    """Return an expression with `change(part)` in the place of each part; unchanged, it is itself."""
    match node:
        case Load(places=places):
            new = tuple(map(change, places))
            return node if new == places else Load(node.array, node.shape, new, node.is_real)
        case Operation(name=name, arguments=arguments):
            new = tuple(map(change, arguments))
            return node if new == arguments else operation(name, *new)
        case Reduction(name=name, indices=indices, body=body):
            inner = change(body)
            return node if inner == body else Reduction(name, indices, inner)
    return node


def substituted(node: Expression, values: dict[str, Expression]) -> Expression:
    """Return an expression with expressions in the place of indices."""
    if isinstance(node, Index):
        return values.get(node.name, node)
    return rebuilt(node, lambda part: substituted(part, values))


def free_indices(node: Expression) -> set[str]:
    """Return the indices that an expression depends on, without those that it reduces over."""
    found = {node.name} if isinstance(node, Index) else set[str]().union(*map(free_indices, children(node)))
    return found - {name for name, _ in node.indices} if isinstance(node, Reduction) else found


def reductions(*trees: Expression) -> list[Reduction]:
    """Return the outermost reductions in expressions, each once."""
    found: dict[Reduction, None] = {}
    for tree in trees:
        if isinstance(tree, Reduction):
            found[tree] = None
        else:
            found |= dict.fromkeys(reductions(*children(tree)))
    return list(found)


_fresh = itertools.count()


def reduced(name: str, sizes: Sequence[Size], body: Callable[..., Expression]) -> Expression:
    """Return the reduction of `body(*indices)` over indices of these sizes.

    Its indices are named by how deep reductions stand in the body, so that two that say the same are equal.
    """
    if name == "norm":
        return Operation("sqrt", (reduced("sum", sizes, lambda *i: operation("**", body(*i), 2)),))
    if name != "argmax" and 1 in sizes:
        longer = [size for size in sizes if size != 1]

        def spread(*indices: Expression) -> Expression:
            given = iter(indices)
            return body(*(Number(0) if size == 1 else next(given) for size in sizes))

        return reduced(name, longer, spread) if longer else spread()
    names = [f"?{next(_fresh)}" for _ in sizes]
    value = body(*map(Index, names))
    depth = max((int(i[1:].partition("_")[0]) + 1 for i in _bound(value)), default=0)
    final = [f"r{depth}_{k}" for k in range(len(names))]
    value = substituted(value, {old: Index(new) for old, new in zip(names, final, strict=True)})
    return Reduction(name, tuple(zip(final, sizes, strict=True)), value)


def _bound(node: Expression) -> set[str]:
    return {name for part in nodes(node) if isinstance(part, Reduction) for name, _ in part.indices}
