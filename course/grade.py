"""Grade hand-ins: a folder each, as it was handed out, with the blanks filled in.

A hand-in runs in a process of its own that computes and knows no tests: arrays go in and come out, points are drawn and
judged here. This holds mistakes off, and is no sandbox against malice; docs/course.md shows a container for that.

The exit status is 0 where every hand-in has all points, 1 where one has not, 2 where nothing could be graded.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from nn.files import whole_file
from nn.texttable import aligned

from .naming import Verdict
from .runner import SECONDS
from .tasks import SheetTask, Task, task_of

MARKS = {"right": "+", "blank": ".", "wrong": "-"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add = parser.add_argument
    add("folders", nargs="+", type=Path, metavar="DIR", help="a hand-in")
    add("--solution", type=Path, metavar="DIR", help="what `blank` wrote; without it, the task is the sheet of `new`")
    add("--points", type=Path, metavar="FILE", help='JSON, such as {"dW1": 10}; what it leaves out counts nothing')
    add("--json", type=Path, metavar="FILE", help="write the grades, as Gradescope takes them")
    add("--seconds", type=float, default=SECONDS, help="for one answer of a hand-in (default: %(default)g)")
    add("--seed", type=int, help="of the points that are drawn; without it they are others each time")
    add("--quiet", action="store_true", help="print the table alone, and not what is wrong")


@dataclass(frozen=True)
class Grade:
    """What a hand-in got.

    Attributes:
        name: of its folder.
        verdicts: on each blank, and on what else is wrong.
        points: how many each blank is worth, by name.
    """

    name: str
    verdicts: list[Verdict]
    points: dict[str, float]

    @property
    def score(self) -> float:
        """The points of the blanks that are right."""
        return sum(self.points.get(verdict.name, 0) for verdict in self.verdicts if verdict.state == "right")

    def as_gradescope(self) -> dict[str, Any]:
        """Return the grade as the results.json of Gradescope."""
        tests = [
            {
                "name": verdict.name,
                "score": self.points.get(verdict.name, 0) * (verdict.state == "right"),
                "max_score": self.points.get(verdict.name, 0),
                "status": "passed" if verdict.state == "right" else "failed",
                "output": str(verdict),
            }
            for verdict in self.verdicts
        ]
        return {"score": self.score, "tests": tests, "visibility": "visible"}


def run(arguments: argparse.Namespace) -> int:
    """Grade the hand-ins, and return the exit status."""
    for folder in arguments.folders:
        if not folder.is_dir():
            raise ValueError(f"expected the folder of a hand-in, got {folder}, which is none")
    if not arguments.seconds > 0:
        raise ValueError(f"--seconds expects a positive number, got {arguments.seconds}")
    if arguments.json and not arguments.json.resolve().parent.is_dir():
        raise ValueError(f"--json {arguments.json}: there is no such folder")
    task = task_of(arguments.solution) if arguments.solution else SheetTask()
    points = points_of(arguments.points, task)
    names = hand_in_names(arguments.folders)
    grades = []
    for name, folder in tqdm(names.items(), desc="grading", disable=len(names) == 1):
        rng = np.random.default_rng(arguments.seed)
        grades.append(Grade(name, task.grade(folder, rng, arguments.seconds), points))
    if not arguments.quiet:
        print("\n".join(feedback(grades)))
    print("\n".join(table(grades, points)))
    if arguments.json:
        results = {grade.name: grade.as_gradescope() for grade in grades}
        with whole_file(arguments.json, "utf-8") as file:
            json.dump(next(iter(results.values())) if len(results) == 1 else results, file, indent=1)
    return 0 if all(grade.score == sum(points.values()) for grade in grades) else 1


def hand_in_names(folders: list[Path]) -> dict[str, Path]:
    """Return the folders by their names, or by their whole paths where two have one name."""
    names = [folder.resolve().name for folder in folders]
    return {
        name if names.count(name) == 1 else str(folder): folder for name, folder in zip(names, folders, strict=True)
    }


def points_of(path: Path | None, task: Task) -> dict[str, float]:
    """Return how many points each blank is worth.

    Raises:
        ValueError: for a file that is no such JSON, or that names something else than blanks.
    """
    if path is None:
        return task.points
    try:
        points = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
    example = json.dumps(dict(list(task.points.items())[:2]))
    if not isinstance(points, dict) or not points:
        raise ValueError(f"{path} should give the points of each blank, such as {example}")
    if unknown := [name for name in points if name not in task.points]:
        raise ValueError(f"{path} names {', '.join(unknown)}, and there is no such blank: {', '.join(task.points)}")
    for name, value in points.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise ValueError(f"{path}: {name} should be worth a number of at least 0, got {value!r}")
    return points


def feedback(grades: list[Grade]) -> list[str]:
    """Return the lines that say, for each hand-in, what is not right."""
    lines = []
    for grade in grades:
        names: dict[str, list[str]] = {}  # of the blanks of which the same is to be said
        for verdict in grade.verdicts:
            if verdict.state != "right":
                names.setdefault(verdict.text, []).append(verdict.name)
        lines.append(f"{grade.name}:")
        for text, those in names.items():
            lines.append(f"  {'all' if len(those) == len(grade.verdicts) > 1 else ', '.join(those)}: {text}")
        lines += ["  all is right"] if not names else []
    return [*lines, ""]


def table(grades: list[Grade], points: dict[str, float]) -> list[str]:
    """Return the lines of the table: a hand-in a row, a blank a column."""
    total = sum(points.values())
    classes = [name.partition(".")[0] for name in points]  # which say enough where no two are the same
    rows = [["hand-in", "points", *(classes if len(set(classes)) == len(classes) else points)]]
    for grade in grades:
        states = {verdict.name: verdict.state for verdict in grade.verdicts}
        rows.append([grade.name, f"{grade.score:g}", *(MARKS[states.get(name, "wrong")] for name in points)])
    rows.append(["of", f"{total:g}", *(f"{value:g}" for value in points.values())])
    return [*aligned(rows, "<>" + ">" * len(points)), "+ right   - wrong   . not filled yet"]
