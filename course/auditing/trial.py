"""Runs a teacher's tests on a reference, or on a wrong answer in its place: the process that `audit` starts.

The first line of standard input is a task, as JSON; what is found goes to standard output, a line of JSON each. What
the tests print is lost.
"""

from __future__ import annotations

import ast
import importlib.machinery
import inspect
import json
import os
import runpy
import sys
import types
import unittest
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .calls import Recorder
from .witness import Differences

RECORDER = "__handgrad_recorder__"  # the name under which the reference, while it is recorded, finds the recorder


def main() -> None:
    """Do the task that standard input names, and say what was found."""
    task = json.loads(sys.stdin.readline())
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)

    def answer(**values: Any) -> None:
        print(json.dumps(values), file=answers, flush=True)

    reference, tests = Path(task["reference"]), Path(task["tests"])
    sys.path[:0] = list(dict.fromkeys(map(str, (tests.parent, reference.parent, Path.cwd()))))
    sys.dont_write_bytecode = True
    sys.pycache_prefix = task["scratch"]  # an older compilation of the reference would be taken for it
    if task["mistakes"] is None:
        _put_in_place(reference, task["source"])
        answer(failures=run_tests(tests)[0])
        return
    recorder = Recorder()
    sys.modules[RECORDER] = types.SimpleNamespace(watch=recorder.watch)  # type: ignore[assignment]
    _put_in_place(reference, f"{task['source']}\n__import__({RECORDER!r}).watch(globals())\n")
    failures, count = run_tests(tests)
    recorder.is_on = False
    answer(
        failures=failures,
        tests=count,
        called=bool(recorder.calls),
        ran=sorted(recorder.ran),
        module=recorder.module.get("__name__"),
    )
    if failures or not recorder.calls:
        return
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    differences = Differences(recorder, task["source"])
    for number, function, source in task["mistakes"]:
        answer(started=number)
        witness = differences.witness(function, source)
        answer(number=number, witness=witness and witness._asdict())


def _put_in_place(path: Path, source: str) -> None:
    """Let whoever imports the file at a path, in whatever way, get this text in its place."""
    whole, loader = str(path), importlib.machinery.SourceFileLoader
    read = loader.get_data

    def get_data(self: importlib.machinery.SourceFileLoader, path: str) -> bytes:
        return source.encode() if os.path.realpath(path) == whole else read(self, path)

    loader.get_data = get_data  # type: ignore[method-assign, assignment]


# ---- tests, in the three styles that there are


def run_tests(path: Path) -> tuple[list[str], int]:
    """Run the tests of a file until one fails.

    Returns:
        What failed, with the reason, and how many tests there were; a file of plain asserts is one.
    """
    if _needs_pytest(path.read_text(encoding="utf-8")):
        return _by_pytest(path)
    names: dict[str, Any] = {}

    def loaded() -> None:
        names.update(runpy.run_path(str(path), run_name=path.stem))

    if failure := _failure(path.name, loaded):
        return [failure], 1
    cases = [value for value in names.values() if isinstance(value, type) and issubclass(value, unittest.TestCase)]
    tests = {name: value for name, value in names.items() if name.startswith("test") and inspect.isfunction(value)}
    for name, test in tests.items():
        if failure := _failure(name, test):
            return [failure], len(tests)
    if cases:
        result = unittest.TestResult()
        result.failfast = True
        unittest.TestSuite(map(unittest.defaultTestLoader.loadTestsFromTestCase, cases)).run(result)
        broken = [*result.failures, *result.errors]
        return [f"{case.id().rpartition('.')[2]}: {text.splitlines()[-1]}" for case, text in broken], result.testsRun
    if not tests and "__main__" in path.read_text(encoding="utf-8"):
        failure = _failure(path.name, lambda: runpy.run_path(str(path), run_name="__main__"))
        return [failure] if failure else [], 1
    return [], max(1, len(tests))


def _failure(name: str, test: Callable[[], Any]) -> str:
    """Run a test; return why it failed, or an empty text."""
    try:
        test()
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit) and not error.code:
            return ""
        text = str(error).strip().splitlines()
        return f"{name}: {type(error).__name__}{': ' + text[0] if text else ''}"
    return ""


def _needs_pytest(text: str) -> bool:
    """Tell whether tests use pytest, or are classes or functions of arguments, as only pytest runs them."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and "pytest" in ast.unparse(node):
            return True
        if isinstance(node, ast.ImportFrom) and node.level:  # from the package that the tests are in
            return True
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test") and node.args.args:
            return True
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            if not any("TestCase" in ast.unparse(base) for base in node.bases):
                return True
    return False


def _by_pytest(path: Path) -> tuple[list[str], int]:
    try:
        import pytest
    except ImportError:
        raise SystemExit(3) from None

    class Listener:
        def __init__(self) -> None:
            self.failures: list[str] = []
            self.count = 0

        def pytest_runtest_logreport(self, report: Any) -> None:
            self.count += report.when == "call"
            if report.failed:
                crash = getattr(getattr(report.longrepr, "reprcrash", None), "message", "") or "error"
                self.failures.append(f"{report.nodeid.rpartition('::')[2]}: {crash.splitlines()[0]}")

        def pytest_collectreport(self, report: Any) -> None:
            if report.failed:
                self.failures.append(f"{path.name}: {str(report.longrepr).splitlines()[-1].strip('E ')}")

    listener = Listener()
    options = ["-x", "-q", "-p", "no:cacheprovider", "-o", "addopts="]
    status = pytest.main([str(path), *options], plugins=[listener])
    if status not in (0, 1, 5) and not listener.failures:
        listener.failures.append(f"{path.name}: pytest ended with status {int(status)}")
    return listener.failures, listener.count


if __name__ == "__main__":
    main()
