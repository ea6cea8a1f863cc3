"""A student's forward pass and gradients, as lines of the language of equations.

What leads to J is the forward pass; what is named as a gradient of a node in it (dW2, dJ_dW2, dJ/dW2, grad_W2) is an
answer; the rest, such as masks, helps.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import NamedTuple

from nn.mathematics.program import Line
from nn.mathematics.trees import names_in, nodes, parts, rewritten

from .expressions import CLASS_AXIS, Translation, canonical
from .reader import Given, Reader, Statement, UnreadableError, as_python

LOSSES = ("J", "L", "loss", "Loss", "cost", "E")


class Answer(NamedTuple):
    """What a student states of one gradient.

    Attributes:
        symbol: what J is differentiated by.
        value: the tree; None where it is not filled in yet.
        line: the number of the line.
        text: as it is written.
    """

    symbol: str
    value: ast.expr | None
    line: int
    text: str


class HandIn(NamedTuple):
    """What was read.

    Attributes:
        forward: the lines that lead to J.
        loss: the symbol of J.
        given: the inputs that something is said of.
        answers: the gradients, in their order.
        helpers: further lines, such as masks.
    """

    forward: list[Line]
    loss: str
    given: dict[str, Given]
    answers: list[Answer]
    helpers: list[Line]

    @property
    def inputs(self) -> list[str]:
        """The symbols that the forward pass uses and does not state, in the order in which it uses them."""
        stated = {line.names[0] for line in self.forward}
        used = [name for line in self.forward for name in ordered_names(line.value)]
        return [name for name in dict.fromkeys(used) if name not in stated and name != CLASS_AXIS]


def ordered_names(tree: ast.AST) -> list[str]:
    """Return the symbols of a tree, from left to right."""
    return list(dict.fromkeys(node.id for node in nodes(tree) if isinstance(node, ast.Name)))


def values_in(tree: ast.AST) -> set[str]:
    """Return the symbols whose values a tree uses, and not their shapes alone.

    Example:
        >>> values_in(ast.parse("z / x.shape[0]", mode="eval").body)
        {'z'}
    """
    if isinstance(tree, ast.Attribute) and tree.attr in ("shape", "size", "ndim"):
        return set()
    return {tree.id} if isinstance(tree, ast.Name) else set().union(*map(values_in, parts(tree)))


def read(text: str, name: str = "the hand-in") -> HandIn:
    """Read a hand-in.

    Args:
        text: Python statements: the forward pass, then gradients such as dW2 = dz3 @ a2.T.
        name: what to call it in errors.

    Raises:
        UnreadableError: for a statement that cannot be read, with its line.

    Example:
        >>> hand_in = read("z = W @ x\\nJ = 0.5 * np.sum((z - y)**2)\\ndJ/dz = z - y")
        >>> hand_in.inputs, [answer.symbol for answer in hand_in.answers]
        (['W', 'x', 'y'], ['z'])
    """
    written = as_python(text)
    try:
        tree = ast.parse(written)
    except (SyntaxError, ValueError) as error:
        number = getattr(error, "lineno", None) or 1
        lines = text.splitlines() or [""]
        line = lines[min(number, len(lines)) - 1].strip()
        raise UnreadableError(
            f"{name}, line {number}: {line!r} cannot be read: {getattr(error, 'msg', error)}"
        ) from None
    reader = Reader(name, text.splitlines())
    reader.read(tree)
    return _sorted(reader, name)


def read_expression(text: str, symbols: Iterable[str]) -> ast.expr:
    """Read one expression, such as an answer in a quiz; gradients may be called dz3, dJ_dz3 or dJ/dz3.

    Args:
        text: the expression.
        symbols: those of the forward pass.

    Raises:
        UnreadableError: for what cannot be read.

    Example:
        >>> ast.unparse(read_expression("np.dot(dJ/dz3, a2.T)", ["z3", "a2"]))
        'dz3 @ a2.T'
    """
    try:
        tree = ast.parse(as_python(text).strip(), mode="eval")
    except (SyntaxError, ValueError) as error:
        raise UnreadableError(f"{text.strip()!r} cannot be read: {getattr(error, 'msg', error)}") from None
    value = Translation(Reader("", [text]), {}).of(tree.body)
    return _with_gradients(value, set(map(outer, symbols)))


# ---- what is a gradient, what leads to J


def inner(name: str) -> str:
    """Return the symbol for a name; in the language of equations, only gradients begin with d.

    Example:
        >>> inner("z3"), inner("diff")
        ('z3', '_diff')
    """
    return f"_{name}" if name[0] == "d" and len(name) > 1 else name


def outer(symbol: str) -> str:
    """Return the name that a symbol has in the student's file.

    Example:
        >>> outer("z3"), outer("_diff")
        ('z3', 'diff')
    """
    return symbol.removeprefix("_") if symbol.startswith("_d") else symbol


def _symbol_of(name: str, symbols: set[str]) -> str | None:
    """Return the symbol that a name is the gradient by, in one of the ways in which that is written."""
    for pattern in (r"d(?:[JLE]|loss|cost)_?d_?(\w+)", r"d_?(\w+)", r"(?:grad|g)_(\w+)", r"(\w+)_grad"):
        if (match := re.fullmatch(pattern, name)) and canonical(match[1]) in symbols:
            return canonical(match[1])
    return None


def _with_gradients(tree: ast.expr, symbols: set[str]) -> ast.expr:
    """Return a tree in which each gradient has its name in the language of equations: d and the symbol."""

    def rule(node: ast.expr) -> ast.expr | None:
        if not isinstance(node, ast.Name):
            return None
        if node.id in symbols:
            return ast.Name(inner(node.id))
        symbol = _symbol_of(node.id, symbols)
        return ast.Name(f"d{inner(symbol)}") if symbol else None

    return rewritten(tree, rule)


def _sorted(reader: Reader, name: str) -> HandIn:
    """Tell the forward pass from the gradients, and from what is neither."""
    everything = {
        *reader.given,
        *(statement.name for statement in reader.statements),
        *(symbol for statement in reader.statements if statement.value for symbol in names_in(statement.value)),
    }
    looks_like = {s.name for s in reader.statements if _symbol_of(s.name, everything - {s.name})}
    symbols = everything - {symbol for symbol in everything if _symbol_of(symbol, everything - {symbol})}
    forward: dict[str, Statement] = {}
    back: dict[str, Statement] = {}
    gradients: set[str] = set()
    for statement in reader.statements:
        value = statement.value and _with_gradients(statement.value, symbols)
        is_gradient = statement.name in looks_like and statement.name not in symbols
        target = f"d{inner(_symbol_of(statement.name, symbols) or '')}" if is_gradient else inner(statement.name)
        of_gradient = is_gradient or (value is not None and bool(names_in(value) & gradients))
        if not is_gradient and re.match(r"d[JLE]_d", statement.name):
            what = re.sub(r"d[JLE]_d_?", "", statement.name)
            raise UnreadableError(f"{name}, line {statement.line}: there is no {what} in the forward pass")
        if of_gradient:
            gradients.add(target)
        where = back if of_gradient else forward
        if (earlier := where.get(target)) is not None and value is not None:
            if not of_gradient and not statement.adds:
                raise UnreadableError(
                    f"{name}, line {statement.line}: {statement.text!r} states {statement.name} again, as line "
                    f"{earlier.line} does: each node needs a name of its own"
                )
            value = _substituted(value, target, earlier.value)
        if value is None and not of_gradient:
            raise UnreadableError(f"{name}, line {statement.line}: {statement.text!r}: a forward pass has no blanks")
        where.pop(target, None)
        where[target] = Statement(target, value, statement.line, statement.text)
    return _assembled(reader, forward, back, name)


def _assembled(reader: Reader, forward: dict[str, Statement], back: dict[str, Statement], name: str) -> HandIn:
    if not forward:
        raise UnreadableError(
            f"{name} states no forward pass: lines such as z1 = W0 @ x + b0, the last of them J = ..."
        )
    loss = next((symbol for symbol in LOSSES if symbol in forward), "")
    if not loss:
        raise UnreadableError(f"{name} states no loss: expected a line J = ...")
    needed, new = {loss}, {loss}
    while new:
        found = [forward[symbol].value for symbol in new if symbol in forward]
        new = set().union(*(names_in(value) for value in found if value)) - needed
        needed |= new
    lines = {
        s.name: Line((ast.Name(s.name),), s.value, False, s.line)
        for s in (*forward.values(), *back.values())
        if s.value
    }
    passes = [lines[symbol] for symbol in forward if symbol in needed]
    symbols = needed | {f"d{symbol}" for symbol in needed}
    answers = [
        Answer(s.name[1:], s.value, s.line, s.text) for s in back.values() if s.name in symbols and s.name[0] == "d"
    ]
    named = {f"d{answer.symbol}" for answer in answers}
    rest = [s for s in (*forward.values(), *back.values()) if s.name not in needed and s.name not in named]
    helpers = [lines[s.name] for s in sorted(rest, key=lambda s: s.line) if s.name in lines]
    given = {inner(name): what for name, what in reader.given.items() if inner(name) not in forward}
    return HandIn(passes, loss, given, answers, helpers)


def _substituted(value: ast.expr, name: str, earlier: ast.expr | None) -> ast.expr:
    """Return a tree with what a name stood for before in its place."""
    return rewritten(value, lambda node: earlier if isinstance(node, ast.Name) and node.id == name else None)
