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
    """Return the verdict on each gradient, from J back to x; one more where forward is not what it was.

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
        return _together(filling, sheet.point(rng), verdicts)
    return verdicts


def _together(filling: Fillable, point: Arrays, verdicts: list[Verdict]) -> list[Verdict]:
    """Return the verdicts on lines that are right each, once forward and backward have been run as a whole."""
    found, line = filling.together({name: point[name] for name in LEAVES}), min(filling.lines.values())
    if not isinstance(found, dict):
        text = (
            f"right by itself, but {found}"
            if isinstance(found, StatementError)
            else "forward and backward give nothing"
        )
        line = found.line if isinstance(found, StatementError) else line
        return [Verdict(verdict.name, "wrong", text, line) for verdict in verdicts]
    wrong = {name for name in (*COMPUTED, *RETURNED) if not is_right(found.get(name), np.asarray(point[name]))}
    if changed := [name for name in COMPUTED if name in wrong]:
        text = f"forward gives another {changed[0]}: leave it as it was handed out"
        return [*verdicts, Verdict("all", "wrong", text, line)]
    text = (
        "right by itself, but backward returns something else: is it returned in its place, and is no array changed in "
    )
    text += "place that another name stands for too?"
    return [
        Verdict(verdict.name, "wrong", text, verdict.line or filling.lines[verdict.name])
        if verdict.name in wrong
        else verdict
        for verdict in verdicts
    ]
