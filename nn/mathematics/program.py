"""The language of equations, read: a text becomes a program of lines, each a target and an expression.

Python's parser does the reading, and only what the language has is let through. Nothing is ever given to Python's own
evaluator: run.py walks the trees.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from .trees import Rule, nodes, rewritten, subscripts
from .trees import base as base
from .trees import is_ellipsis as is_ellipsis
from .words import METHODS, REDUCTIONS, WORDS

ATTRIBUTES = ("T", "mT", "shape", "size", "ndim")


def _is_call(node: ast.Call) -> bool:
    match node.func:
        case ast.Name(id=name) if name in WORDS:
            return not node.keywords and WORDS[name].arity in (0, len(node.args))
        case ast.Name(id=name):
            return not node.keywords and name in REDUCTIONS and len(node.args) > 0
        case ast.Attribute(attr=name):
            return name in METHODS and (name == "reshape" or len(node.args) <= 1)
    return False


# The kinds of nodes that the language has, and those of which something must hold.
PLAIN = (
    *(ast.Name, ast.Load, ast.Store, ast.Tuple, ast.IfExp, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.USub),
    *(ast.Not, ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.MatMult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow),
    *(ast.Gt, ast.GtE, ast.Lt, ast.LtE, ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is, ast.IsNot),
)
CONDITIONS: dict[type, Callable[[Any], bool]] = {
    ast.Attribute: lambda node: node.attr in ATTRIBUTES,
    ast.Call: _is_call,
    ast.Compare: lambda node: len(node.ops) == 1,
    ast.Constant: lambda node: node.value in (None, ...) or isinstance(node.value, int | float),
    ast.Subscript: lambda node: not isinstance(node.value, ast.Subscript),
    ast.keyword: lambda node: node.arg == "keepdims",
}


class EquationError(ValueError):
    """Says what is wrong with a stated line, and where."""


class GridError(EquationError):
    """Says that a line spans too many entries to be run; nothing is wrong with it."""


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

    @property
    def parts(self) -> tuple[ast.expr, ...]:
        """Its expressions: the targets, and the value."""
        return (*self.targets, self.value)

    def rewritten(self, rule: Rule) -> Line:
        """Return the line with each expression rewritten."""
        return self._replace(
            targets=tuple(rewritten(target, rule) for target in self.targets), value=rewritten(self.value, rule)
        )

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

    @property
    def parts(self) -> tuple[ast.expr, ...]:
        """Its own expression: how many steps there are."""
        return (self.stop,)

    def rewritten(self, rule: Rule) -> Loop:
        """Return the loop with each expression rewritten."""
        lines = tuple(line.rewritten(rule) for line in self.lines)
        return self._replace(stop=rewritten(self.stop, rule), lines=lines)

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
    if not tree.body:
        raise EquationError(f"{text!r} cannot be read: there is no line")
    program = tuple(map(_line, tree.body))
    stated: set[str] = set()
    for line in program:
        if isinstance(line, Line) and not line.adds:
            bare = {base(target) for target in line.targets if not _is_element(target)}
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


def parse_expression(text: str) -> ast.expr | None:
    """Return the tree of a single expression, of which every part is permitted; None for lines."""
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        return None
    _check([tree], repr(text))
    return tree


def _line(node: ast.stmt) -> Line | Loop:
    place = f"line {node.lineno}, {ast.unparse(node).splitlines()[0]!r}"
    match node:
        case ast.Assign(targets=[target], value=value):
            targets = tuple(target.elts) if isinstance(target, ast.Tuple) else (target,)
            line: Line | Loop = Line(targets, value, False, node.lineno)
        case ast.AugAssign(target=target, op=ast.Add(), value=value):
            line = Line((target,), value, True, node.lineno)
        case ast.For(target=ast.Name(id=variable), iter=steps, body=body, orelse=[]):
            match steps:
                case ast.Call(func=ast.Name(id="range"), args=[stop], keywords=[]):
                    backwards = False
                case ast.Call(func=ast.Name(id="reversed"), args=[ast.Call(func=ast.Name(id="range"), args=[stop])]):
                    backwards = True
                case _:
                    raise EquationError(f"{place}: a recurrence runs over range(T) or its reverse")
            line = Loop(variable, stop, backwards, tuple(map(_line, body)), node.lineno)
        case _:
            raise EquationError(f"{place}: a line is `target = expression`, `+=`, or a `for`")
    _check(line.parts, place)
    if not all(line.names):
        raise EquationError(f"{place}: a target is a symbol, or one with subscripts")
    return line


def _check(trees: Iterable[ast.expr], place: str) -> None:
    """Raise EquationError for a part that the language does not have."""
    for node in nodes(*trees):
        if not isinstance(node, PLAIN) and not (type(node) in CONDITIONS and CONDITIONS[type(node)](node)):
            raise EquationError(f"{place}: the language has no {_described(node)}")


def _described(node: ast.AST) -> str:
    match node:
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name not in {*WORDS, *REDUCTIONS}:
            return f"word {name!r}; it has {', '.join(sorted({*WORDS, *REDUCTIONS}))}"
        case ast.Call(func=ast.Attribute(attr=name)) | ast.Attribute(attr=name) if name not in METHODS:
            return f"{'.' + name!r}; it has {', '.join('.' + n for n in (*ATTRIBUTES, *METHODS))}"
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in WORDS:
            return f"{ast.unparse(node)!r}: the arguments of {name} are {WORDS[name].arity}"
        case ast.Call(func=ast.Name(), keywords=[_, *_]):
            return "keyword for a word"
        case ast.expr():
            return f"{ast.unparse(node)!r}"
    return type(node).__name__


def _is_element(target: ast.expr) -> bool:
    """Tell whether a target is an element of a sequence, such as h[0] or h[t + 1]: bare indices define an array."""
    return isinstance(target, ast.Subscript) and not all(
        is_ellipsis(place) or isinstance(place, ast.Name) for place in subscripts(target)
    )


def where(line: Line | Loop) -> str:
    """Return how an error names a line."""
    return f"line {line.number}, {str(line)!r}"


# ---- what is in a program


def all_lines(program: Iterable[Line | Loop]) -> Iterator[Line | Loop]:
    """Yield the lines and loops of a program, also those in loops."""
    for line in program:
        yield line
        if isinstance(line, Loop):
            yield from all_lines(line.lines)


def flat(program: Iterable[Line | Loop]) -> Iterator[Line]:
    """Yield all lines, also those in loops."""
    return (line for line in all_lines(program) if isinstance(line, Line))


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
