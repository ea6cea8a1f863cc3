"""The homework: the hand-out and its check, wrong fillings and what is said of them."""

import re
from pathlib import Path

import numpy as np
import pytest
from fillings import COLUMNS, ROWS

from course.checking import check
from course.filling import Filling
from course.sheet import Sheet

ROOT = Path(__file__).resolve().parents[1]
SHEETS = {form: Sheet(form) for form in ("columns", "rows")}
WRONG = [("columns", *row) for row in COLUMNS] + [("rows", *row) for row in ROWS]


def filled(form, name, text):
    """Return the solution with another right side, or other lines, for one gradient."""
    lines = SHEETS[form].source.splitlines(keepends=True)
    number = next(number for number, line in enumerate(lines) if line.startswith(f"    {name} = "))
    lines[number] = text[1:] if text.startswith("\n") else f"    {name} = {text}\n"
    return "".join(lines)


def verdicts(form, source, seed=0):
    filling = Filling(source, "train.py", vars(SHEETS[form].solution))
    return {verdict.name: verdict for verdict in check(filling, SHEETS[form], np.random.default_rng(seed))}


@pytest.mark.parametrize(
    ("form", "name", "text", "said"), WRONG, ids=[f"{row[0]} {row[1]} = {row[2]}" for row in WRONG]
)
def test_a_wrong_filling_is_named_and_spoils_no_other_line(form, name, text, said):
    source = filled(form, name, text)
    found = verdicts(form, source)
    assert found[name].state == "wrong"
    assert re.search(said, found[name].message), found[name].message
    assert {verdict.state for key, verdict in found.items() if key != name} == {"right"}
    start = next(number for number, line in enumerate(source.splitlines(), 1) if line.startswith(f"    {name} = "))
    assert start <= found[name].line <= start + text.count("\n")
