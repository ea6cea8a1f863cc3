"""A function whose top statements are run one at a time, so that each line can be looked at with the others right.

A student's `backward` computes a chain of gradients, each from those before. To look at one of them, the statements
run from the top with the right values in the place of all gradients before it: one mistake spoils one line.
"""

from __future__ import annotations

import ast
import copy
import traceback
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np

IN_PLACE = {
    "copyto",
    "put",
    "place",
    "putmask",
    "fill_diagonal",
}  # NumPy's functions that write into the first argument
RAISED = {  # what NumPy says of arrays and single numbers, and what is meant
    "truth value of an array": "a comparison of arrays has an answer for each entry, and `if`, `and`, `or` and `not` "
    "take a single one",
    "setting an array element with a sequence": "one entry of an array is set to an array: compare the shape of the "
    "array with that of what it is filled from",
}
LONGEST = 60  # characters of a student's expression that a message repeats


class StatementError(Exception):
    """A statement that cannot be run, in words and with its line.

    Example:
        >>> StatementError("there is no dz4", 12).line
        12
    """

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.line = line


@dataclass(frozen=True)
class Step:
    """A top statement.

    Attributes:
        tree: its syntax tree.
        code: the same to be run.
        bound: the names that it gives a value, or into whose array it writes.
        touched: these, and what it may change by calling a method or a function.
        read: the names whose values it uses.
    """

    tree: ast.stmt
    code: CodeType
    bound: frozenset[str]
    touched: frozenset[str]
    read: frozenset[str]


class Statements:
    """The top statements of a function in a source text.

    Args:
        source: the text.
        function: the function's name.
        filename: what messages call the source.

    Raises:
        SyntaxError: where the source is no Python.
        LookupError: where it has no such function.

    Example:
        >>> statements = Statements("def f(x):\\n    a = x + 1\\n    b = 3 * a\\n    return b", "f")
        >>> statements.value("b", {"x": 1}), statements.value("b", {"x": 1}, {"a": 5})
        (6, 15)
    """

    def __init__(self, source: str, function: str, filename: str = "<source>") -> None:
        tree = ast.parse(source, filename)
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
        if not functions:
            raise LookupError(f"there is no function {function} at the top level of the file")
        self.filename = filename
        self.tree = functions[-1]  # a later definition replaces an earlier one
        self.steps = [_step(statement, filename) for statement in _before_return(self.tree.body)]
        self.first: dict[str, int] = {}  # the statement that first binds a name
        for number, step in enumerate(self.steps):
            for name in step.bound:
                self.first.setdefault(name, number)

    @property
    def parameters(self) -> list[str]:
        """The function's parameters."""
        arguments = self.tree.args
        return [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]

    def line(self, name: str) -> int:
        """Return the line where a name is first bound, or where the function begins if it never is."""
        return self.steps[self.first[name]].tree.lineno if name in self.first else self.tree.lineno

    def value(
        self,
        name: str,
        variables: Mapping[str, Any],
        given: Mapping[str, Any] | None = None,
        ends: Collection[str] = (),
        surroundings: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return what the function computes under a name.

        Args:
            name: a local variable.
            variables: the function's arguments, by name.
            given: values that local variables have from where they are bound, whatever the statements give them.
            ends: further names; what follows the first of them that is bound after `name` is not run.
            surroundings: the globals of the file.

        Returns:
            The value, `...` where a blank is left in the statement.

        Raises:
            LookupError: where the name is never bound.
            StatementError: where the statement cannot be run.
        """
        given = given or {}
        if name not in self.first:
            raise LookupError(f"the function has no line `{name} = ...`")
        start = self.first[name]
        stop = min((self.first[end] for end in ends if self.first.get(end, -1) > start), default=len(self.steps))
        settled = {key: value for key, value in given.items() if key != name and self.first.get(key, stop) <= start}
        namespace = {**(surroundings or {}), **{key: copy.copy(value) for key, value in variables.items()}}
        wanted = self._wanted(name, stop, settled)
        for number, step in enumerate(self.steps[:stop]):
            if number in wanted:
                try:
                    exec(step.code, namespace)
                except Exception as error:  # a student's line raises anything
                    if name in step.bound and _is_blank(step.tree):
                        return ...
                    text = explained(error, step.tree, namespace)
                    if isinstance(error, NameError) and self.first.get(error.name or "", -1) >= number:
                        text += " yet: it is computed further down"
                    raise StatementError(text, self.line_of(error, step.tree)) from error
            for key, value in settled.items():
                if self.first[key] == number or (number in wanted and self.first[key] < number):
                    namespace[key] = copy.copy(value)  # the statement may have written into any of them
        return namespace.get(name)

    def _wanted(self, name: str, stop: int, settled: Collection[str]) -> set[int]:
        """Return which statements before `stop` have a part in the value of a name, where some names are settled."""
        names, wanted = {name}, set()
        for number in reversed(range(stop)):
            if self.steps[number].touched & names:
                wanted.add(number)
                names |= self.steps[number].read - set(settled)
        return wanted

    def values(
        self, variables: Mapping[str, Any], surroundings: Mapping[str, Any], replaced: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run all statements, and return what stands under each name that they bind.

        Args:
            variables: the function's arguments, by name.
            surroundings: the globals of the file.
            replaced: local variables that have these values, whatever the statements give them.
        """
        replaced = replaced or {}
        namespace = {**surroundings, **variables, **replaced}
        for step in self.steps:
            if not step.bound <= replaced.keys():
                exec(step.code, namespace)
                namespace.update(replaced)
        return {name: namespace[name] for name in self.first}

    def line_of(self, error: Exception, statement: ast.stmt) -> int:
        """Return the line of the file in which a statement has failed."""
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == self.filename and frame.lineno]
        return lines[-1] if lines else statement.lineno


def _before_return(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return the statements in front of the first top one that returns."""
    ends = [number for number, statement in enumerate(body) if isinstance(statement, ast.Return)]
    return body[: ends[0]] if ends else body


def _step(statement: ast.stmt, filename: str) -> Step:
    """Return a statement as a step.

    Raises:
        LookupError: for one that can be run inside a function alone.
    """
    try:
        code = compile(ast.Module([statement], []), filename, "exec")
    except SyntaxError as error:
        raise LookupError(f"line {error.lineno}: {error.msg}; keep one return, at the end of the function") from None
    bound = _bound(statement)
    calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
    touched = bound | {_root(node.func) for node in calls if isinstance(node.func, ast.Attribute)}
    if isinstance(statement, ast.Expr):
        touched |= {_root(argument) for node in calls for argument in node.args}
    read = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return Step(statement, code, frozenset(bound), frozenset(touched), frozenset(read))


def _bound(statement: ast.stmt) -> set[str]:
    names = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name | ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(_root(node))
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Call):
            names |= {_root(keyword.value) for keyword in node.keywords if keyword.arg == "out"}
            if ast.unparse(node.func).rpartition(".")[2] in IN_PLACE and node.args:
                names.add(_root(node.args[0]))
    return names - {""}


def _root(node: ast.expr) -> str:
    """Return the name that `a`, `a[0]` and `a.b` begin with; "" for anything else."""
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_blank(statement: ast.stmt) -> bool:
    """Return whether a value in a statement is still `...`, which inside square brackets is an index."""
    inside = {
        id(inner) for node in ast.walk(statement) if isinstance(node, ast.Subscript) for inner in ast.walk(node.slice)
    }
    return any(
        isinstance(node, ast.Constant) and node.value is ... and id(node) not in inside for node in ast.walk(statement)
    )


# ---- what went wrong, in words


def explained(error: Exception, statement: ast.stmt, namespace: dict[str, Any]) -> str:
    """Say why a statement cannot be run: the operands and their shapes where these are the reason.

    Example:
        >>> tree = ast.parse("c = a @ b").body[0]
        >>> explained(ValueError("mismatch"), tree, {"a": np.ones((2, 3)), "b": np.ones((2, 1))})
        'a @ b cannot be computed: a has shape (2, 3) and b has shape (2, 1)'
    """
    if isinstance(error, MemoryError):
        return "it needs more memory than it may have"
    if isinstance(error, NameError):
        return f"there is no {error.name} there" if error.name else str(error)
    for part, advice in RAISED.items():
        if part in str(error):
            return advice
    for node in reversed(list(ast.walk(statement))):  # the inner ones first
        if isinstance(node, ast.BinOp):
            operands = [node.left, node.right]
        elif isinstance(node, ast.Call):
            operands = [*([node.func.value] if isinstance(node.func, ast.Attribute) else []), *node.args]
        else:
            continue
        values = [_evaluated(operand, namespace) for operand in operands]
        failed = any(isinstance(value, Exception) for value in values)
        if not failed and isinstance(_evaluated(node, namespace), Exception):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor | ast.BitAnd | ast.BitOr):
                return f"{_shown(node)} has no meaning for numbers: & and | join masks, and a power is written **"
            for operand, value in zip(operands, values, strict=True):
                if isinstance(node, ast.BinOp) and callable(value):
                    return f"{_shown(operand)} is a function, and is not called: it lacks its brackets"
            arrays = [
                f"{_shown(operand)} has shape {np.shape(value)}"
                for operand, value in zip(operands, values, strict=True)
                if isinstance(value, np.ndarray | np.generic)
            ]
            if len(arrays) > 1:
                return f"{_shown(node)} cannot be computed: {' and '.join(arrays)}"
    return f"{type(error).__name__}: {error}".rstrip(".: ")


def _evaluated(expression: ast.expr, namespace: dict[str, Any]) -> Any:
    """Return the value of an expression, or what it raises."""
    try:
        return eval(compile(ast.Expression(expression), "<expression>", "eval"), dict(namespace))
    except Exception as error:  # as above
        return error


def _shown(expression: ast.expr) -> str:
    text = ast.unparse(expression)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
