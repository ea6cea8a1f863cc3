"""The check of a filled-in sheet.

Each gradient is asked for at points of its own, with the right gradients before it handed over. So one mistake spoils
one line, and whoever runs a filling is never given an answer that is asked for.
"""

from __future__ import annotations

import ast
from typing import Protocol

import numpy as np

from .filling import Answer
from .gradients import BLANKS, COMPUTED, LEAVES, NAMES, RETURNED, Arrays
from .naming import Verdict, is_right, judge
from .sheet import Sheet
from .statements import StatementError


class Fillable(Protocol):
    """What can be asked what a filling gives: here, or in another process."""

    lines: dict[str, int]

    def answer(self, name: str, nodes: Arrays, given: Arrays) -> Answer:
        """Return what the line of a gradient gives, `...` for a blank, or the error that it ends in."""

    def together(self, leaves: Arrays) -> Answer:
        """Return all that forward and backward return in one run, by name, or the error that it ends in."""


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
        >>> from .filling import Filling
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
    names = (*COMPUTED, *RETURNED)
    wrong = [name for name in names if not is_right(dict(found or {}).get(name), np.asarray(point[name]))]
    if not wrong:
        return []
    if wrong[0] in COMPUTED:
        return [Verdict("all", "wrong", f"forward gives another {wrong[0]}: leave it as it was handed out", line)]
    text = f"each line is right by itself, and backward still returns a wrong {wrong[0]}: is it returned in its place, "
    return [Verdict("all", "wrong", f"{text}and is no array changed in place that another name stands for too?", line)]
