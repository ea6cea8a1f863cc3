"""Grading: hand-ins of every kind, points files, JSON, and what a hand-in can do to the grader, which is nothing."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from course.gradients import NAMES
from course.sheet import Sheet

ROOT = Path(__file__).resolve().parents[1]
SOLUTION = Sheet("columns").source
TOP, BODY = "import sys\n", "    dz3 = z3 - y"  # a line at the top of the file, and the first one of backward


def replaced(*changes):
    """Return the solution with some texts, each of which stands in it once, replaced by others."""
    source = SOLUTION
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    return source


def at_top(code):
    return replaced((TOP, TOP + code + "\n"))


def at_line(name, value):
    return re.sub(rf"(?m)^    {name} = .*$", f"    {name} = {value}", SOLUTION)


CHECKER = "import course.naming\ncourse.naming.is_right = lambda *args: True"
OVERWRITES = f"open({str(ROOT / 'course' / 'naming.py')!r}, 'w').close()"
REMOVES = f"import os\nos.remove({str(ROOT / 'course' / 'naming.py')!r})"
ENDLESS = "__import__('time').sleep(99)"  # a loop that leaves the processor to the other tests
STORED = "np.array([[0.1, 0.2, 0.3, 0.4, 0.5]] * 4)"

# By name: the file, the points out of 60, and what is said.
HAND_INS = {
    "right": (SOLUTION, 60, "all is right"),
    "from-notepad": (b"\xef\xbb\xbf" + SOLUTION.encode(), 60, "all is right"),
    "prints": (at_top("print('x' * 10**6)\nimport os\nos.write(1, b'{}\\n')"), 60, "all is right"),
    "writes": (at_top("open('notes.txt', 'w').write('here')"), 60, "all is right"),
    "writes-much": (at_top("open('notes.txt', 'w').write('x' * 10**8)"), 0, "File too large"),
    "one-mistake": (at_line("dW1", "dz2 @ z1.T"), 55, r"dW1: line \d+: z1 is one factor"),
    "a-blank": (at_line("dx", "..."), 55, "dx: not filled yet"),
    "stored-answer": (at_line("dW1", STORED), 55, "dW1.*same at every point"),
    "loops-at-one-line": (at_line("dW1", f"{ENDLESS} or dz2"), 55, r"dW1: line \d+: it did not end within"),
    "loops-at-once": (at_top(f"while True: {ENDLESS}"), 0, "did not end within"),
    "eats-memory": (at_line("dW1", "np.zeros((10**5, 10**5)) + 1"), 55, "dW1.*[Mm]emory"),
    "imports-nonsense": (at_top("import nonsense"), 0, "all: line 12: ModuleNotFoundError: No module named 'nonsense'"),
    "syntax-error": (
        at_line("dW1", "dz2 @@ a1.T"),
        0,
        r"all: line 37 is no Python \(invalid syntax\): dW1 = dz2 @@ a1.T",
    ),
    "no-function": (SOLUTION.replace("def backward", "def backwards"), 0, "there is no function backward"),
    "signature": (replaced(("W2, b2, z1, a1, z2, a2, z3):", "W2, b2, cache):")), 0, "takes .*cache.* and lacks z1, a1"),
    "another-forward": (replaced(("np.maximum(z1, 0)", "np.tanh(z1)")), 60, "forward gives another a1"),
    "wrong-return": (
        replaced(("return dW0, db0, dW1", "return dW1, db0, dW0")),
        50,
        "dW1: .*backward returns something else",
    ),
    "returns-too-soon": (at_line("dz3", "z3 - y\n    if True: return 0"), 0, "keep one return, at the end"),
    "raises-in-between": (
        at_line("dz3", "z3 - y\n    raise ValueError(1)"),
        0,
        "all: line 32: .*backward cannot be run",
    ),
    "loops-in-between": (at_line("dz3", f"z3 - y\n    while True: {ENDLESS}"), 0, "all: .*did not end within"),
    "eats-more-and-more": (
        at_line("dW1", "[bytes(10**8) for _ in iter(int, 1)]"),
        55,
        "dW1.*(more memory|did not end)",
    ),
    "edits-the-checker": (at_top(CHECKER), 0, "ModuleNotFoundError"),
    "overwrites-the-checker": (at_top(OVERWRITES), 0, "PermissionError: it writes to .*naming.py"),
    "removes-the-checker": (at_top(REMOVES), 0, "PermissionError: it changes .*naming.py"),
    "starts-a-program": (at_top("import os\nos.system('true')"), 0, "may neither start programs"),
    "exits": (at_top("sys.exit(0)"), 0, "it calls exit"),
    "ends-itself": (at_line("dW1", "__import__('os')._exit(0)"), 55, "dW1.*ended without an answer"),
    "an-empty-file": ("", 0, "there is no function backward"),
    "no-text": (b"\xff\xfe\x00", 0, "train.py cannot be read"),
    "nothing": (None, 0, "there is no train.py"),
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """All hand-ins, graded by one command: what it printed, what it returned, and the JSON."""
    folder = tmp_path_factory.mktemp("hand-ins")
    for name, (source, _, _) in HAND_INS.items():
        (folder / name).mkdir()
        if source is not None:
            data = source if isinstance(source, bytes) else source.encode()
            (folder / name / "train.py").write_bytes(data)
    before = (ROOT / "course" / "naming.py").read_bytes()
    command = [sys.executable, "-m", "course", "grade", *HAND_INS, "--seconds", "1.5", "--json", "grades.json"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert (ROOT / "course" / "naming.py").read_bytes() == before
    assert {path.name for path in (folder / "writes").iterdir()} == {"train.py"}
    return done, json.loads((folder / "grades.json").read_text())


def test_the_command_says_how_far_it_is_and_that_not_all_is_right(graded):
    done, _ = graded
    assert done.returncode == 1 and f"{len(HAND_INS)}/{len(HAND_INS)}" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", HAND_INS)
def test_a_hand_in_is_graded_justly(graded, name):
    done, grades = graded
    _, points, said = HAND_INS[name]
    assert grades[name]["score"] == points
    assert grades[name]["score"] == sum(test["score"] for test in grades[name]["tests"])
    block = re.search(rf"(?m)^{name}:\n((?:  .*\n)+)", done.stdout).group(1)
    assert re.search(said, block), block
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith(f"{name} "))
    assert row[1] == f"{points:g}" and len(row) == 2 + len(NAMES)
