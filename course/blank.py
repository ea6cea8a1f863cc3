"""Make blanks in a file, handgrad's or your own, and a task of it.

A target is a ready set (mlp, layers, conv, norms, losses, optimizers), FILE:Class.method or FILE:function. What stands
between the lines `# BEGIN SOLUTION` and `# END SOLUTION` of a function becomes a blank, or else its whole body. Where a
constructor needs arguments, they go in brackets: 'mylayers.py:Scale(3).backward'. Where inputs of shape 4,3 do not fit,
--shape says what does, once for each input: --shape 5,3 --shape "5<3", the latter for integers below 3.

The task goes to one folder, and the solution to another, which `python -m course grade --solution` needs.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .gradients import NAMES
from .new import HOME, README, handout, write_folder
from .parts import Part, find, inherited, part_of
from .runner import Runner, RunnerError
from .sets import SETS
from .sheet import Sheet

BEGIN, END = re.compile(r"\s*#+\s*BEGIN SOLUTION\s*"), re.compile(r"\s*#+\s*END SOLUTION\s*")
GRADIENT = re.compile(r"\s*d\w+(\[.*?\])?\s*\+?=.*")  # a line of a layer's equations that gives an answer away
POINTS = 10  # for a blank
NOTHING: dict[str, Any] = {"parameters": {}, "upstream": None, "training": True}  # of a request for the forward alone


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("targets", nargs="+", metavar="TARGET", help="a ready set, FILE:Class.method or FILE:function")
    parser.add_argument("--shape", action="append", default=[], help="of an input (default: 4,3)")
    parser.add_argument("--folder", type=Path, help="where the task goes (default: named after the target)")
    parser.add_argument("--solution", type=Path, help="where the solution goes (default: the folder with -solution)")


def run(arguments: argparse.Namespace) -> int:
    """Write the task and its solution, and return the exit status."""
    first = arguments.targets[0]
    folder = arguments.folder or Path(first if first in {"mlp", *SETS} else Path(first.partition(":")[0]).stem)
    solution = arguments.solution or folder.parent / f"{folder.name}-solution"
    for path in (folder, solution):
        if path.exists():
            raise ValueError(
                f"{path} is there already, and nothing is overwritten: name another by --folder or --solution"
            )
    if arguments.targets == ["mlp"]:
        sheet = Sheet("columns")
        write_folder(folder, {"train.py": handout(sheet.source), "README.md": README["columns"]})
        write_folder(solution, {"train.py": sheet.source})
        print(f"{folder}: the task, {len(NAMES)} blanks in train.py\n{solution}: the solution")
        return 0
    sources: dict[str, str] = {}
    parts: list[Part] = []
    for target in arguments.targets:
        for path, name, inputs, origin in _places(target, tuple(arguments.shape)):
            if path.name not in sources:
                sources[path.name] = standalone(path)
            parts.append(part_of(sources[path.name], path.name, name, inputs, origin))
    task = {"parts": [asdict(part) for part in parts], "points": {part.blank: POINTS for part in parts}}
    _try(parts, sources)
    blanks = {name: blanked(source, [part for part in parts if part.file == name]) for name, source in sources.items()}
    write_folder(solution, {**sources, "task.json": json.dumps(task, indent=1)})
    write_folder(folder, {**blanks, "README.md": readme(parts)})
    for name in blanks:
        print(f"{folder / name}: blank are {', '.join(part.blank for part in parts if part.file == name)}")
    print(f"{solution}: the solution; grade hand-ins by `python -m course grade --solution {solution} DIR...`")
    return 0


def _places(target: str, shapes: tuple[str, ...]) -> list[tuple[Path, str, tuple[str, ...], str]]:
    """Return the file, the name in it, the inputs and the origin of each blank that a target stands for."""
    if target in SETS:
        return [
            (HOME / path, name, inputs, path.removesuffix(".py").replace("/", "."))
            for path, name, inputs in SETS[target]
        ]
    path, colon, name = target.partition(":")
    if not (path and colon and name):
        raise ValueError(f"expected one of the sets mlp, {', '.join(SETS)}, or FILE:Class.method, got {target}")
    if not Path(path).is_file():
        raise ValueError(f"there is no file {path}")
    home, resolved = "", Path(path).resolve()
    if any(resolved.is_relative_to(HOME / package) for package in ("nn", "optim")):
        home = ".".join(resolved.relative_to(HOME).with_suffix("").parts)
    return [(Path(path), name, shapes, home)]


def _try(parts: list[Part], sources: dict[str, str]) -> None:
    """Run the solution of each blank once.

    Raises:
        ValueError: where that fails.
    """
    for name, source in sources.items():
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, name)
            file.write_text(source, encoding="utf-8")
            try:
                with Runner(file, "calls") as runner:
                    for part in parts:
                        if part.file == name:
                            _try_one(part, runner)
            except RunnerError as error:
                raise ValueError(f"{name} cannot be imported by itself: {error}") from None


def _try_one(part: Part, runner: Runner) -> None:
    inputs = part.draw(np.random.default_rng(0))
    answer = runner.ask(part.request(inputs, **NOTHING, gradients=inputs[:1]))
    if "error" in answer:
        raise ValueError(
            f"{part.blank} cannot be tried with inputs of {' and '.join(part.inputs)}: {answer['error']}. Give --shape "
            f"for each input, and the arguments of a constructor in brackets"
        )


# ---- the texts


def standalone(path: Path) -> str:
    """Return the text of a file that can be imported by itself: what it imports from its package, by the whole name.

    Example:
        >>> "from nn.module import Module" in standalone(HOME / "nn/layers/activation.py")
        True
    """
    source = path.read_text(encoding="utf-8-sig")
    package: list[str] = []
    while (folder := path.resolve().parents[len(package)]).joinpath("__init__.py").is_file():
        package.insert(0, folder.name)
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            home = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            line = lines[node.lineno - 1]
            lines[node.lineno - 1] = line.replace(f"from {'.' * node.level}{node.module or ''}", f"from {home}", 1)
    return "".join(lines)


def blanked(source: str, parts: list[Part]) -> str:
    """Return a text with its blanks.

    Example:
        >>> part = part_of("def f(x):\\n    return 2 * x\\n", "a.py", "f", ())
        >>> print(blanked("def f(x):\\n    return 2 * x\\n", [part]))
        def f(x):
            ...  # fill this in
    """
    for part in parts:
        function = find(source, part.blank)
        if function is None:
            continue
        lines = source.splitlines(keepends=True)
        begin, end = _region(function, lines)
        indent = re.match(r"\s*", lines[begin]).group()  # type: ignore[union-attr]
        lines[begin:end] = [f"{indent}...  # fill this in\n"]
        source = "".join(lines)
        if part.kind == "module":
            method = part.blank.rpartition(".")[2]
            for node in ast.parse(source).body:
                if isinstance(node, ast.ClassDef) and inherited(source, node.name, method) == part.blank:
                    source = _without_gradients(source, node.name)
    return source


def _region(function: ast.FunctionDef, lines: list[str]) -> tuple[int, int]:
    """Return where the lines begin and end that become a blank: between the markers, or else below the docstring."""
    end = function.end_lineno or function.lineno
    while end < len(lines) and re.fullmatch(r"\s*(#.*)?\s*", lines[end]):
        end += 1  # comments below the last statement, such as the second marker
    inside = range(function.lineno, end)
    begins = [number for number in inside if BEGIN.fullmatch(lines[number])]
    ends = [number for number in inside if END.fullmatch(lines[number])]
    if begins and ends and begins[0] < ends[-1]:
        return begins[0], ends[-1] + 1
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body:
        raise ValueError(f"{function.name} has no body besides its docstring")
    return body[0].lineno - 1, function.end_lineno or function.lineno


def _without_gradients(source: str, name: str) -> str:
    """Return a text in which the equations of a class do not give its gradients away."""
    lines = source.splitlines(keepends=True)
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            for inner in node.body:
                if isinstance(inner, ast.Assign) and ast.unparse(inner.targets[0]) == "equations":
                    first, last = inner.lineno, (inner.end_lineno or inner.lineno) - 1
                    lines[first:last] = [
                        line for line in lines[first:last] if not GRADIENT.fullmatch(line.rstrip("\n"))
                    ]
                    return "".join(lines)
    return source


def readme(parts: list[Part]) -> str:
    """Return the text that goes with a task."""
    lines = ["# Fill in the blanks", "", "In each of these, replace the line `...  # fill this in` by your own.", ""]
    lines += [f"- `{part.blank}` in `{part.file}`" for part in parts]
    checks = [part for part in parts if part.kind == "module" and not set("<:") & set("".join(part.inputs))]
    if checks:
        lines += ["", "Check a gradient, in this folder, with handgrad installed or on the `PYTHONPATH`:", ""]
    for part in checks:
        arguments = [*map(repr, part.args), *(f"{name}={value!r}" for name, value in part.kwargs.items())]
        call = f"{part.name}({', '.join(arguments)})" if arguments else part.name
        shapes = " ".join(f"--shape {text}" for text in part.inputs)
        lines.append(f"    python -m nn gradcheck '{Path(part.file).stem}:{call}' {shapes}")
    return "\n".join([*lines, ""])
