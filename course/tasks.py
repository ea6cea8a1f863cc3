"""What can be graded: the sheet, and what `blank` has made blanks in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

import numpy as np

from .checking import check, form_of
from .filling import check_arguments
from .gradients import NAMES
from .judging import judged
from .naming import Verdict
from .parts import Part, is_blank, line_of
from .runner import FILE_SIZE, RemoteFilling, Runner, RunnerError
from .sheet import Sheet
from .statements import Statements

SHEET_POINTS = 60  # of problem 3


class Task(Protocol):
    """Something to be handed in.

    Attributes:
        points: how many each blank is worth, by name.
    """

    points: dict[str, float]

    def grade(self, folder: Path, rng: np.random.Generator, seconds: float) -> list[Verdict]:
        """Return the verdicts on a hand-in."""


def task_of(solution: Path) -> Task:
    """Return the task whose solution `blank` has written into a folder.

    Raises:
        ValueError: for a folder that is none of these.
    """
    if (solution / "train.py").is_file() and not (solution / "task.json").exists():
        return SheetTask()
    try:
        content = json.loads((solution / "task.json").read_text(encoding="utf-8"))
        return PartsTask(solution, [Part.of(fields) for fields in content["parts"]], content["points"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{solution} holds no solution that `python -m course blank` wrote: {error}") from None


class SheetTask:
    """The sheet that `new` writes.

    Example:
        >>> sum(SheetTask().points.values())
        60.0
    """

    points = dict.fromkeys(NAMES, SHEET_POINTS / len(NAMES))

    def grade(self, folder: Path, rng: np.random.Generator, seconds: float) -> list[Verdict]:
        """Return the verdicts on a hand-in: on each gradient, and on the whole where that is wrong."""
        try:
            file = hand_in_file(folder, "train.py")
            source = source_of(file)
            statements = Statements(source, "backward", file.name)
            check_arguments(statements)
            lines = {name: statements.line(name) for name in NAMES}
            with Runner(file, "sheet", seconds) as runner:
                return check(RemoteFilling(runner, lines), Sheet(form_of(source)), rng)
        except RunnerError as error:
            return [Verdict(name, "wrong", str(error), error.line) for name in NAMES]
        except LookupError as error:
            return [Verdict(name, "wrong", str(error.args[0])) for name in NAMES]


class PartsTask:
    """Blanks in files, with the solution in a folder.

    Args:
        solution: the folder.
        parts: the blanks.
        points: how many each is worth, by name.
    """

    def __init__(self, solution: Path, parts: list[Part], points: dict[str, float]) -> None:
        self.solution, self.parts, self.points = solution, parts, points

    def grade(self, folder: Path, rng: np.random.Generator, seconds: float) -> list[Verdict]:
        """Return the verdicts on a hand-in, one a blank."""
        verdicts = []
        for name in dict.fromkeys(part.file for part in self.parts):
            parts = [part for part in self.parts if part.file == name]
            try:
                file = hand_in_file(folder, name)
                source = source_of(file)
                withheld = [(part.origin, part.name, part.blank.rpartition(".")[2]) for part in parts if part.origin]
                solution = Runner(self.solution / name, "calls")
                with solution as right, Runner(file, "calls", seconds, withheld) as tried:
                    for part in parts:
                        if is_blank(source, part.blank):
                            verdicts.append(Verdict(part.blank, "blank"))
                        else:
                            message, line = judged(part, right, tried, rng) or ("", 0)
                            state = "wrong" if message else "right"
                            line = line or line_of(source, part.blank)
                            verdicts.append(Verdict(part.blank, state, message, line))
            except RunnerError as error:
                verdicts += [Verdict(part.blank, "wrong", str(error), error.line) for part in parts]
            except LookupError as error:
                verdicts += [Verdict(part.blank, "wrong", str(error.args[0])) for part in parts]
        return verdicts


def hand_in_file(folder: Path, name: str) -> Path:
    """Return the file of a hand-in: by its name, in the folder or in one inside it, or else the only Python file.

    Raises:
        LookupError: where there is none.
    """
    for found in ([folder / name], sorted(folder.glob(f"*/{name}")), sorted(folder.glob("*.py"))):
        if len(found) == 1 and found[0].is_file():
            return found[0]
    raise LookupError(f"there is no {name} in the folder")


def source_of(file: Path) -> str:
    """Return the text of a hand-in.

    Raises:
        LookupError: where it is no Python, with the line.
    """
    if file.stat().st_size > FILE_SIZE:
        raise LookupError(f"{file.name} has more than {FILE_SIZE} bytes")
    try:
        source = file.read_text(encoding="utf-8-sig")
        compile(source, file.name, "exec")
    except SyntaxError as error:
        raise LookupError(f"line {error.lineno} is no Python ({error.msg}): {(error.text or '').strip()}") from None
    except (ValueError, RecursionError, MemoryError) as error:  # bytes that are no text, or nested without end
        raise LookupError(f"{file.name} cannot be read: {error}") from None
    return source
