"""An optimizer's rule in C: one step of every weight of a flat array, from the equations that the rule states.

Settings are numbers that are given when the program runs, so that schedules hold; what they choose is chosen there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from ..mathematics.program import Line, parse
from ..mathematics.trees import base
from ..mathematics.words import WORDS
from .c import Dialect
from .expression import (
    Affine,
    Expression,
    Index,
    Load,
    LoweringError,
    Number,
    Setting,
    as_expression,
    children,
    operation,
)
from .nests import Function, NestWriter
from .program import Array, Nest, Store
from .values import BINARY

SIZE = Affine(1, 0)  # as many weights as the rule is given
DOUBLE = Dialect("double", "double")


def numbers_of(defaults: Iterable[str], group: Mapping[str, Any]) -> dict[str, float]:
    """Return the settings of a group as numbers; those of a tuple one by one.

    Raises:
        LoweringError: for a setting that is no number.
    """
    found: dict[str, float] = {}
    for name in defaults:
        value = group[name]
        for place, item in enumerate(value) if isinstance(value, tuple) else [("", value)]:
            if not isinstance(item, int | float):
                raise LoweringError(f"the setting {name} is {item!r}, no number")
            found[f"{name}{place}"] = float(item)
    return found


class Rule:
    """The rule of an optimizer, for a group that keeps certain arrays.

    Args:
        optimizer: its class states `equations` and `symbols`.
        group: its settings.
        state: the names of the arrays that are kept.

    Attributes:
        settings: the names of the numbers that a step is given: "t", which counts steps from 1, and the settings.

    Raises:
        LoweringError: for a rule without equations, or with what has no lowering.
    """

    def __init__(self, optimizer: Any, group: Mapping[str, Any], state: Iterable[str]) -> None:
        title = type(optimizer).__name__
        if not optimizer.equations.strip():
            raise LoweringError(f"{title} has no lowering: it states no equations")
        self.state = list(state)
        self._names = {**{name: name for name in (*group, *self.state)}, **optimizer.symbols}
        self._group = group
        self.settings = ["t", *numbers_of(optimizer.defaults, group)]
        self._values: dict[str, Expression] = {"g": _entry("g"), "w": _entry("w")}
        self._stores: list[Store] = []
        try:
            for line in parse(optimizer.equations):
                self._line(line)
        except (KeyError, TypeError) as error:
            raise LoweringError(f"{title} has no lowering: {error}") from error

    def _line(self, line: Any) -> None:
        if not isinstance(line, Line) or line.adds:
            raise LoweringError(f"line {line.number}, {line}, is no plain line")
        parts = line.value.elts if isinstance(line.value, ast.Tuple) else [line.value]
        for target, part in zip(line.targets, parts, strict=True):
            name, value = base(target), self._of(part)
            if _is_number(value):
                self._values[name] = value
            else:
                self._stores.append(Store(f"{name}_", (SIZE,), (Index("i"),), value))
                self._values[name] = _entry(f"{name}_")

    def _of(self, node: ast.expr) -> Expression:
        match node:
            case ast.Constant(value=bool() | int() | float() as number):
                return as_expression(number)
            case ast.Name(id=name):
                return self._symbol(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return operation("neg", self._of(operand))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return operation("==", self._of(operand), 0)
            case ast.BoolOp(op=op, values=values):
                first, *rest = (operation("!=", self._of(value), 0) for value in values)
                for value in rest:
                    first = operation("*" if isinstance(op, ast.And) else "+", first, value)
                return first
            case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
                return operation(BINARY[type(op)], self._of(left), self._of(right))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return operation("where", self._of(test), self._of(body), self._of(orelse))
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=int() as place)):
                return self._setting(f"{self._names[name]}{place}")
            case ast.Call(func=ast.Name(id=name), args=arguments) if WORDS[name].elementwise:
                return operation(name, *map(self._of, arguments))
        raise LoweringError(f"{ast.unparse(node)} has no lowering")

    def _symbol(self, name: str) -> Expression:
        if name in self._values:
            return self._values[name]
        if name == "t":
            return self._setting("t")
        attribute = self._names[name]
        if attribute in self.state:
            return _entry(attribute)
        if attribute in self._group:
            return self._setting(attribute)
        return Number(0.0)  # an array that these settings do without

    def _setting(self, name: str) -> Expression:
        if name not in self.settings:
            raise LoweringError(f"there is no setting {name}")
        return Setting(name)

    def function(self, name: str, dialect: Dialect) -> Function:
        """Return the C function of a step: of n, the settings, the weights, the gradient and the arrays kept."""
        arrays = {each: Array(each, (SIZE,)) for each in ["w", "g", *self.state]}
        temporary = {store.array: Array(store.array, (SIZE,)) for store in self._stores}
        last = [
            Store(attribute, (SIZE,), (Index("i"),), self._values[f"{symbol}_new"])
            for symbol, attribute in {**self._names, "w": "w"}.items()
            if attribute in arrays and f"{symbol}_new" in self._values
        ]
        nest = Nest((("i", SIZE),), (*self._stores, *last))
        writer = NestWriter(nest, {**arrays, **temporary}, arrays, dialect)
        for place, setting in enumerate(self.settings):
            writer.locals[Setting(setting)] = f"setting[{place}]"
        scalars = NestWriter(nest, {}, (), DOUBLE)
        scalars.locals |= writer.locals
        for value in dict.fromkeys(part for store in nest.stores for part in _numbers_in(store.value)):
            writer.variable(value, f"(T){scalars.text(value, real=True)}")
        body = "\n".join(writer.write())
        changed = {store.array for store in last}
        arguments = [f"{'' if each in changed else 'const '}T *restrict {each}" for each in arrays]
        unused = [f"    (void){each};" for each in arrays if f"{each}[" not in body]
        head = f"static void {name}(long n, const double *setting, {', '.join(arguments)}) {{"
        return Function(name, "\n".join([head, *unused, body, "}"]), list(arrays))


def _entry(array: str) -> Load:
    return Load(array, (SIZE,), (Index("i"),))


def _is_number(value: Expression) -> bool:
    """Tell whether a value is one for all weights."""
    return not isinstance(value, Load) and all(map(_is_number, children(value)))


def _numbers_in(value: Expression) -> list[Expression]:
    """Return the largest parts of an expression that are one number for all weights, but for mere constants."""
    if _is_number(value):
        return [] if isinstance(value, Number) else [value]
    return [] if isinstance(value, Load) else [part for each in children(value) for part in _numbers_in(each)]
