"""The language of equations, read: a text becomes a program of lines, each a target and an expression.

Python's parser does the reading, and only what the language has is let through. Nothing is ever given to Python's own
evaluator: run.py walks the trees.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from .words import METHODS, REDUCTIONS, WORDS

ATTRIBUTES = ("T", "mT", "shape", "size", "ndim")
PERMITTED = (
    *(ast.Constant, ast.Name, ast.Load, ast.Store, ast.Tuple, ast.Subscript, ast.IfExp, ast.BoolOp, ast.And, ast.Or),
    *(ast.UnaryOp, ast.USub, ast.Not, ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod),
    *(ast.MatMult, ast.Pow, ast.Compare, ast.Gt, ast.GtE, ast.Lt, ast.LtE, ast.Eq, ast.NotEq, ast.In, ast.NotIn),
    *(ast.Is, ast.IsNot),
)


class EquationError(ValueError):
    """Says what is wrong with a stated line, and where."""


class Line(NamedTuple):
    """One line: `target = value`, or `target += value`.

    Attributes:
        targets: symbols, bare or with subscripts; several only where the value gives as many.
        value: the expression.
        adds: whether it adds into the target.
        number: its place in the text, from 1.
    """

    targets: tuple[ast.expr, ...]
    value: ast.expr
    adds: bool
    number: int

    @property
    def names(self) -> list[str]:
        """The symbols that the line states."""
        return [base(target) for target in self.targets]

    def __str__(self) -> str:
        sign = "+=" if self.adds else "="
        return f"{', '.join(map(ast.unparse, self.targets))} {sign} {ast.unparse(self.value)}"


class Loop(NamedTuple):
    """Lines that are run for each step of a recurrence, forward or `backwards` in time."""

    variable: str
    stop: ast.expr
    backwards: bool
    lines: tuple[Line | Loop, ...]
    number: int

    @property
    def names(self) -> list[str]:
        """The symbols that its lines state."""
        return [name for line in self.lines for name in line.names]

    def __str__(self) -> str:
        steps = f"range({ast.unparse(self.stop)})"
        return f"for {self.variable} in {f'reversed({steps})' if self.backwards else steps}:"


Program = tuple[Line | Loop, ...]


@lru_cache(maxsize=1024)
def parse(text: str) -> Program:
    """Return the program of a text.

    Raises:
        EquationError: for what cannot be read, with the line and what is wrong there.

    Example:
        >>> [line.names for line in parse("y = x @ W.T + b; dx = dy @ W")]
        [['y'], ['dx']]
    """
    text = dedented(text)
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        lines = text.splitlines()
        place = lines[error.lineno - 1].strip() if error.lineno and error.lineno <= len(lines) else text
        raise EquationError(f"line {error.lineno}, {place!r}, cannot be read: {error.msg}") from None
    program = tuple(map(_line, tree.body))
    stated: set[str] = set()
    for line in program:
        if isinstance(line, Line) and not line.adds:
            bare = {name for name, t in zip(line.names, line.targets, strict=True) if not _is_element(t)}
            if again := bare & stated:
                raise EquationError(f"{where(line)}: {', '.join(sorted(again))} is stated twice")
            stated |= bare
    return program


def dedented(text: str) -> str:
    """Return a text without the margin that its lines have in the source, whether or not its first line has it too."""
    first, _, rest = text.strip("\n").partition("\n")
    if first[:1].isspace() or first.rstrip().endswith(":"):
        return textwrap.dedent(f"{first}\n{rest}").strip()
    return f"{first}\n{textwrap.dedent(rest)}".strip()


def parse_expression(text: str) -> ast.expr:
    """Return the tree of a single expression, of which every part is permitted."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise EquationError(f"{text!r} cannot be read: {error.msg}") from None
    if (node := next(_refused(tree), None)) is not None:
        raise EquationError(f"{text!r}: the language has no {_described(node)}")
    return tree


def where(line: Line | Loop) -> str:
    """Return how an error names a line."""
    return f"line {line.number}, {str(line)!r}"


def base(target: ast.expr) -> str:
    """Return the symbol of a target or of a subscripted expression; "" where there is none."""
    while isinstance(target, ast.Subscript):
        target = target.value
    return target.id if isinstance(target, ast.Name) else ""


def subscripts(node: ast.Subscript) -> list[ast.expr]:
    """Return the subscripts of x[i, j]."""
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]


def is_ellipsis(node: ast.AST) -> bool:
    """Tell whether a subscript is `...`."""
    return isinstance(node, ast.Constant) and node.value is ...


def names_in(*nodes: ast.AST) -> set[str]:
    """Return all names in expressions."""
    return {part.id for node in nodes for part in ast.walk(node) if isinstance(part, ast.Name)}


def gradients(program: Iterable[Line | Loop]) -> set[str]:
    """Return the gradients that a program speaks of: targets that begin with d, and d before what else it states."""
    stated = {name for line in program for name in line.names}
    return {name for name in stated if is_gradient(name)} | {f"d{name}" for name in stated}


def is_gradient(name: str) -> bool:
    """Tell whether a target is a gradient: d and the symbol that it is the gradient by."""
    return len(name) > 1 and name[0] == "d"


def halves(program: Program) -> tuple[Program, Program]:
    """Return the lines of the forward pass, and those from the first gradient on."""
    first = next((i for i, line in enumerate(program) if any(map(is_gradient, line.names))), len(program))
    return program[:first], program[first:]


def flat(program: Iterable[Line | Loop]) -> Iterator[Line]:
    """Yield all lines, also those in loops."""
    for line in program:
        if isinstance(line, Loop):
            yield from flat(line.lines)
        else:
            yield line


# ---- from Python's tree


def _line(node: ast.stmt) -> Line | Loop:
    text = ast.unparse(node).splitlines()[0]
    match node:
        case ast.Assign(targets=[target], value=value):
            targets = tuple(target.elts) if isinstance(target, ast.Tuple) else (target,)
            line: Line | Loop = Line(targets, value, False, node.lineno)
        case ast.AugAssign(target=target, op=ast.Add(), value=value):
            line = Line((target,), value, True, node.lineno)
        case ast.For(target=ast.Name(id=name), iter=steps, body=body, orelse=[]):
            backwards = isinstance(steps, ast.Call) and base(steps.func) == "reversed"
            if isinstance(steps, ast.Call) and backwards and len(steps.args) == 1:
                steps = steps.args[0]
            if not (isinstance(steps, ast.Call) and base(steps.func) == "range" and len(steps.args) == 1):
                raise EquationError(f"line {node.lineno}, {text!r}: a recurrence runs over range(T) or its reverse")
            line = Loop(name, steps.args[0], backwards, tuple(map(_line, body)), node.lineno)
        case _:
            raise EquationError(f"line {node.lineno}, {text!r}: a line is `target = expression`, `+=`, or a `for`")
    parts = (line.stop,) if isinstance(line, Loop) else (*line.targets, line.value)
    for part in parts:
        if (refused := next(_refused(part), None)) is not None:
            raise EquationError(f"line {node.lineno}, {text!r}: the language has no {_described(refused)}")
    if isinstance(line, Line) and not all(line.names):
        raise EquationError(f"line {node.lineno}, {text!r}: a target is a symbol, or one with subscripts")
    return line


def _refused(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts that the language does not have."""
    calls = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=value):
                fine = value is None or isinstance(value, int | float) or value is ...
            case ast.Attribute(attr=name):
                fine = name in (METHODS if node in calls else ATTRIBUTES)
            case ast.Call(func=ast.Name(id=name)):
                fine = name in WORDS or name in REDUCTIONS
            case ast.Call(func=function):
                fine = isinstance(function, ast.Attribute)
            case ast.keyword(arg=name):
                fine = name == "keepdims"
            case ast.Compare(ops=operators):
                fine = len(operators) == 1
            case _:
                fine = isinstance(node, PERMITTED)
        if not fine:
            yield node


def _described(node: ast.AST) -> str:
    match node:
        case ast.Call(func=function):
            return f"word {ast.unparse(function)!r}; it has {', '.join(sorted({*WORDS, *REDUCTIONS}))}"
        case ast.Attribute(attr=name):
            return f"{'.' + name!r}; it has {', '.join('.' + n for n in (*ATTRIBUTES, *METHODS))}"
        case ast.expr():
            return f"{ast.unparse(node)!r}"
    return type(node).__name__


def _is_element(target: ast.expr) -> bool:
    """Tell whether a target is an element of a sequence, such as h[0] or h[t + 1]: bare indices define an array."""
    return isinstance(target, ast.Subscript) and not all(
        is_ellipsis(sub) or isinstance(sub, ast.Name) for sub in subscripts(target)
    )
