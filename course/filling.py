"""A filled-in sheet: what each of its lines gives, and whether that is right.

Each gradient is asked for at points of its own, with the right gradients before it handed over. So one mistake spoils
one line, and whoever runs a filling is never given an answer that is asked for.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from .naming import Answer, Verdict, is_right, judge
from .sheet import BLANKS, LEAVES, NAMES, Arrays, Sheet
from .statements import StatementError, Statements

RETURNED = ("dW0", "db0", "dW1", "db1", "dW2", "db2", "dx")  # what backward returns, in order
COMPUTED = ("z1", "a1", "z2", "a2", "z3", "J")  # what forward returns


class Fillable(Protocol):
    """What can be asked what a filling gives: here, or in another process."""

    lines: dict[str, int]

    def answer(self, name: str, nodes: Arrays, given: Arrays) -> Answer:
        """Return what the line of a gradient gives, `...` for a blank, or the error that it ends in."""

    def together(self, leaves: Arrays) -> Answer:
        """Return all that forward and backward return in one run, by name, or the error that it ends in."""


class Filling:
    """A filled-in sheet that is run here.

    Args:
        source: the text of the file.
        filename: what messages call it.
        surroundings: its globals.

    Raises:
        SyntaxError: where the text is no Python.
        LookupError: where there is no backward.

    Example:
        >>> filling = Filling("def backward(z3, y):\\n    dz3 = z3 - y\\n    db2 = ...", "train.py", {})
        >>> filling.answer("dz3", {"z3": 3, "y": 1}, {}), filling.answer("db2", {}, {})
        (2, Ellipsis)
    """

    def __init__(self, source: str, filename: str, surroundings: Mapping[str, Any]) -> None:
        self.backward = Statements(source, "backward", filename)
        self.surroundings = surroundings
        self.lines = {name: self.backward.line(name) for name in NAMES}

    def answer(self, name: str, nodes: Arrays, given: Arrays) -> Answer:
        """Return what the line of a gradient gives, `...` for a blank, or the error that it ends in."""
        variables = {key: nodes[key] for key in self.backward.parameters if key in nodes}
        try:
            with np.errstate(all="ignore"):
                value = self.backward.value(name, variables, given, NAMES, self.surroundings)
        except StatementError as error:
            return error
        except LookupError as error:
            return StatementError(f"{error.args[0]}; the names of the gradients must stay", self.lines[name])
        return np.asarray(value) if isinstance(value, int | float | np.generic) else value

    def together(self, leaves: Arrays) -> Answer:
        """Return all that forward and backward return in one run, by name, or the error that it ends in."""
        function = "forward"
        try:
            *nodes, loss = self.surroundings["forward"](*(leaves[name].copy() for name in LEAVES))
            found = dict(zip(COMPUTED, [*nodes, np.asarray(loss)], strict=True))
            function = "backward"
            gradients = self.surroundings["backward"](*(leaves[name].copy() for name in LEAVES), *nodes)
            return found | dict(zip(RETURNED, gradients, strict=True))
        except Exception as error:  # a student's code raises anything
            return StatementError(
                f"{function} cannot be run: {type(error).__name__}: {error}", self.backward.tree.lineno
            )


def form_of(source: str) -> str:
    """Return "columns" or "rows", as the file says in its line FORM = ...; columns where it does not say.

    Example:
        >>> form_of('FORM = "rows"'), form_of("")
        ('rows', 'columns')
    """
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and [ast.unparse(target) for target in statement.targets] == ["FORM"]:
            return "rows" if ast.unparse(statement.value) == "'rows'" else "columns"
    return "columns"


def check(filling: Fillable, sheet: Sheet, rng: np.random.Generator) -> list[Verdict]:
    """Return the verdict on each gradient, from J back to x; where all are right, also one on the whole, if it is not.

    Example:
        >>> sheet = Sheet("columns")
        >>> verdicts = check(Filling(sheet.source, "train.py", vars(sheet.solution)), sheet, np.random.default_rng(0))
        >>> len(verdicts), {verdict.state for verdict in verdicts}
        (12, {'right'})
    """
    verdicts = []
    for number, blank in enumerate(BLANKS):
        points, before, name = sheet.points(rng), NAMES[:number], blank.name

        def ask(point: Arrays, before: tuple[str, ...] = before, name: str = name) -> Answer:
            nodes = {key: value for key, value in point.items() if key not in NAMES}
            return filling.answer(name, nodes, {key: point[key] for key in before})

        answers = [ask(point) for point in points]
        verdicts.append(judge(sheet, blank, points, answers, filling.lines[name], ask))
    if all(verdict.state == "right" for verdict in verdicts):
        verdicts += _of_the_whole(filling, sheet.point(rng))
    return verdicts


def _of_the_whole(filling: Fillable, point: Arrays) -> list[Verdict]:
    """Say what is wrong where all lines are right, and forward or backward is not."""
    found, line = filling.together({name: point[name] for name in LEAVES}), min(filling.lines.values())
    if isinstance(found, StatementError):
        return [Verdict("all", "wrong", str(found), found.line)]
    wrong = [name for name in (*COMPUTED, *RETURNED) if not is_right(found[name], np.asarray(point[name]))]
    if not wrong:
        return []
    if wrong[0] in COMPUTED:
        return [Verdict("all", "wrong", f"forward gives another {wrong[0]}: leave it as it was handed out", line)]
    text = f"each line is right by itself, and backward still returns a wrong {wrong[0]}: is it returned in its place, "
    return [Verdict("all", "wrong", f"{text}and is no array changed in place that another name stands for too?", line)]
