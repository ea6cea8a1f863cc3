"""Test a teacher's tests: plant wrong answers in the reference solution, and list those that pass.

    python -m course audit layers.py test_layers.py

Up to fifty mistakes that students make are planted in the functions of the reference that the tests call, one at a
time: = for +=, a sign, a transpose, a factor, a mask, the axis of a sum, an index, a term. Each is proven to change
what a function gives, on inputs and settings varied around those that the tests use. Then the tests run on each. They
may be plain asserts, functions named test..., unittest's classes, or pytest's. Listed are those that no test notices,
each with a test that would: with the reference's own numbers, to be pasted in.

Both files are run, each time in a process of its own. The exit status is 1 if a wrong answer passes.
"""

from __future__ import annotations

import argparse
import ast
import json
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from nn.texttable import aligned

from .auditing import Mistake, plant

ROOT = Path(__file__).resolve().parents[1]
CHILD = "import sys; sys.path.insert(0, sys.argv[1]); from course.auditing.trial import main; del sys.path[0]; main()"
PROCESSES = 2
SLOWER = 10  # times the time that the tests take on the reference, after which a wrong answer counts as caught
LEAST_SECONDS = 5.0
PROOF_SECONDS = 20.0  # within which a wrong answer is proven, or taken for one that never ends


class Survivor(NamedTuple):
    """A wrong answer that passes the tests.

    Attributes:
        mistake: what was planted.
        said: what is special about the input that would have caught it.
        test: a test with that input.
    """

    mistake: Mistake
    said: str
    test: str


class Audit(NamedTuple):
    """What an audit found.

    Attributes:
        planted: how many mistakes were tried.
        proven: how many of them change what a function gives, and were given to the tests.
        survivors: those that passed.
        tests: how many tests there are.
        untested: functions and classes of the reference that no test reaches.
        module: the name under which the tests import the reference.
        names: the functions and classes of the reference.
    """

    planted: int
    proven: int
    survivors: list[Survivor]
    tests: int
    untested: list[str]
    module: str
    names: list[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("reference", type=Path, help="a Python file with the functions of the solution")
    parser.add_argument("tests", type=Path, help="a Python file with tests, which imports the reference")
    parser.add_argument("--most", type=_positive, default=50, metavar="N", help="wrong answers to try (default: 50)")
    parser.add_argument(
        "--seconds", type=_positive, default=300, metavar="S", help="that the tests may take once (default: 300)"
    )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text}")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Audit the tests, print what was found, and return the exit status."""
    with tqdm(total=arguments.most, desc="planting", unit="mistake", leave=False, disable=None) as bar:
        found = audit_tests(arguments.reference, arguments.tests, arguments.most, arguments.seconds, bar)
    print(report(found, arguments.reference))
    return 1 if found.survivors else 0


def report(found: Audit, reference: Path) -> str:
    """Return what an audit found, as text."""
    caught = found.proven - len(found.survivors)
    parts = [
        f"{found.planted} mistakes planted in {reference.name}, {found.proven} proven to change what a function gives: "
        f"{caught} caught by the {found.tests} test{'s' * (found.tests != 1)}, {len(found.survivors)} not."
    ]
    if found.proven and not caught:
        parts.append("The tests notice none of them: is anything asserted?")
    if found.survivors:
        rows = [("line", "function", "what was planted", "as it stands then")]
        rows += [(str(m.line), m.function, m.said, m.after) for m, _, _ in found.survivors]
        parts.append("\n".join(aligned(rows, "><<<")))
        text = "\n".join(survivor.test for survivor in found.survivors)
        names = sorted(name for name in found.names if re.search(rf"\b{name}\(", text))
        parts.append(f"Tests that would have caught them, with the numbers of {reference.name}, to be pasted in:")
        parts.append(f"import numpy as np\nfrom {found.module} import {', '.join(names)}")
        reasons: dict[str, dict[str, None]] = {}  # by test, since one may catch several
        for mistake, said, test in found.survivors:
            reason = f"# line {mistake.line}: {mistake.said}{f' ({said})' if said else ''}"
            reasons.setdefault(test, {})[reason] = None
        for number, (test, why) in enumerate(reasons.items(), 1):
            parts.append("\n".join([*why, test.replace("():\n", f"_{number}():\n", 1)]))
    if found.untested:
        parts.append(f"No test reaches {', '.join(found.untested)}.")
    return "\n\n".join(parts)


def audit_tests(reference: Path, tests: Path, most: int, seconds: float, bar: tqdm | None = None) -> Audit:
    """Plant mistakes in a reference, and run its tests on each.

    Args:
        reference: a Python file.
        tests: a Python file that imports it.
        most: how many proven mistakes to try.
        seconds: how long the tests may run once.
        bar: a progress bar, which is told of each mistake.

    Raises:
        ValueError: for a file that cannot be read, tests that fail on the reference itself, or that call nothing in it.
    """
    source = _read(reference, "the reference")
    _read(tests, "the tests")
    if reference.resolve() == tests.resolve():
        raise ValueError(f"{reference} is given as the reference and as the tests: expected two files")
    bar = tqdm(disable=True) if bar is None else bar
    with tempfile.TemporaryDirectory() as scratch:
        desk = Desk(reference.resolve(), tests.resolve(), source, scratch)
        first, took = desk.tried_on_reference(seconds)
        planted = [mistake for mistake in plant(source) if mistake.function in first["ran"]]
        if not planted:
            raise ValueError(f"{reference} has no function in which a mistake could be planted")
        tried, proven = 0, []
        for number, witness in desk.proofs(planted, seconds):
            tried = number + 1
            if witness is not None:
                proven.append((planted[number], witness))
                bar.update()
            if len(proven) == most:
                break
        if not proven:
            raise ValueError(
                f"no mistake in {reference} could be proven to change what it gives, of {tried} that were tried"
            )
        bar.reset(total=len(proven))
        bar.set_description("testing")
        limit = min(seconds, max(LEAST_SECONDS, SLOWER * took))
        survivors = []
        with ThreadPoolExecutor(PROCESSES) as pool:
            passes = pool.map(lambda pair: desk.passes(pair[0].source, limit), proven)
            for (mistake, witness), survived in zip(proven, passes, strict=True):
                bar.update()
                if survived:
                    survivors.append(Survivor(mistake, witness["said"], witness["test"]))
    called = {name.partition(".")[0] for name in first["ran"]}
    names = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    untested = [name for name in names if name not in called and not name.startswith("_")]
    survivors.sort(key=lambda survivor: survivor.mistake.line)
    return Audit(tried, len(proven), survivors, first["tests"], untested, first["module"], names)


def _read(path: Path, what: str) -> str:
    """Return the text of a Python file."""
    if not path.is_file():
        raise ValueError(f"{what}: there is no file {path}")
    try:
        text = path.read_text(encoding="utf-8")
        ast.parse(text)
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no Python file: it is not UTF-8 text") from None
    except (SyntaxError, ValueError) as error:
        line = (getattr(error, "text", "") or "").strip()
        place = f", line {getattr(error, 'lineno', '?')}: {line!r}" if line else ""
        raise ValueError(f"{path}{place} is not Python: {getattr(error, 'msg', error)}") from None
    return text


class Desk:
    """Where a reference and its tests are run, in processes of their own.

    Args:
        reference, tests: the files.
        source: the text of the reference.
        scratch: a folder for what Python compiles.
    """

    def __init__(self, reference: Path, tests: Path, source: str, scratch: str) -> None:
        self.reference, self.tests, self.source, self.scratch = reference, tests, source, scratch

    def tried_on_reference(self, seconds: float) -> tuple[dict[str, Any], float]:
        """Run the tests on the reference; return what was called, and how long it took."""
        started = time.perf_counter()
        answers = list(self._answers(self.source, [], seconds))
        took = time.perf_counter() - started
        if not answers:
            raise ValueError(f"{self.tests.name} does not end within {seconds:g} s on {self.reference.name}: --seconds")
        first = answers[0]
        if "ended" in first:
            reason = " (they need pytest, which is not installed)" if first["ended"] == 3 else ""
            raise ValueError(f"{self.tests.name} ends Python with status {first['ended']}{reason}, and tests nothing")
        if first["failures"]:
            raise ValueError(
                f"{self.tests.name} fails on {self.reference.name} itself, so it cannot be audited: "
                f"{'; '.join(first['failures'])}"
            )
        if not first["called"]:
            raise ValueError(
                f"{self.tests.name} calls no function of {self.reference.name} with numbers and arrays: does it import "
                f"{self.reference.stem}, and is it run by its tests?"
            )
        return first, took

    def proofs(self, planted: Sequence[Mistake], seconds: float) -> Iterator[tuple[int, dict[str, str] | None]]:
        """Yield the number of each mistake with the input that proves it, or None where there is none."""
        number = 0
        while number < len(planted):
            started = False
            rest = [(k, planted[k].function, planted[k].source) for k in range(number, len(planted))]
            for answer in self._answers(self.source, rest, seconds):
                if "started" in answer:
                    number, started = answer["started"], True
                elif "number" in answer:
                    yield answer["number"], answer["witness"]
            if not started:
                raise ValueError(f"{self.tests.name} gives another result each time it is run on {self.reference.name}")
            number += 1  # the last one that was started never ended, or ended Python

    def passes(self, source: str, seconds: float) -> bool:
        """Tell whether the tests pass on a changed reference; not so if they never end."""
        answers = list(self._answers(source, None, seconds))
        return bool(answers) and not answers[0].get("failures", [""])

    def _answers(self, source: str, planted: list[Any] | None, seconds: float) -> Iterator[dict[str, Any]]:
        """Yield what a process says, until it ends or says nothing for so long."""
        task = {
            "reference": str(self.reference),
            "tests": str(self.tests),
            "source": source,
            "mistakes": planted,
            "scratch": self.scratch,
        }
        command = [sys.executable, "-c", CHILD, str(ROOT)]
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        lines: queue.Queue[str | None] = queue.Queue()

        def listen() -> None:
            for line in child.stdout or ():
                lines.put(line)
            lines.put(None)

        listener = threading.Thread(target=listen, daemon=True)
        try:
            if child.stdin:
                child.stdin.write(json.dumps(task) + "\n")
                child.stdin.close()
            listener.start()
            said = 0
            while (line := lines.get(timeout=PROOF_SECONDS if said else seconds)) is not None:
                yield json.loads(line)
                said += 1
            if not said:
                yield {"ended": child.wait()}
        except queue.Empty:
            return
        finally:
            child.kill()
            child.wait()
            if child.stdout:
                child.stdout.close()
