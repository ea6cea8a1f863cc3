"""The homework: the hand-out and its check, wrong fillings and what is said of them."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fillings import COLUMNS, ROWS, WHOLE, filled

from course import practice
from course.__main__ import COMMANDS, main
from course.checking import check
from course.filling import Filling
from course.gradients import LEAVES, NAMES
from course.sheet import Sheet

ROOT = Path(__file__).resolve().parents[1]
SHEETS = {form: Sheet(form) for form in ("columns", "rows")}
WRONG = [("columns", *row) for row in COLUMNS] + [("rows", *row) for row in ROWS]


def verdicts(form, source, seed=0):
    filling = Filling(source, "train.py", vars(SHEETS[form].solution))
    return {verdict.name: verdict for verdict in check(filling, SHEETS[form], np.random.default_rng(seed))}


@pytest.mark.parametrize(
    ("form", "name", "text", "said"), WRONG, ids=[f"{row[0]} {row[1]} = {row[2]}" for row in WRONG]
)
def test_a_wrong_filling_is_named_and_spoils_no_other_line(form, name, text, said):
    source = filled(SHEETS[form].source, name, text)
    found = verdicts(form, source)
    assert found[name].state == "wrong"
    assert re.search(said, found[name].message), found[name].message
    assert {verdict.state for key, verdict in found.items() if key != name} == {"right"}
    start = next(number for number, line in enumerate(source.splitlines(), 1) if line.startswith(f"    {name} = "))
    assert start <= found[name].line <= start + text.count("\n")


RIGHT = {  # other ways to write what is right
    "columns": [
        ("dz3", "-(y - z3)"),
        ("db2", "(z3 - y)"),
        ("dW2", "np.outer(dz3, a2)"),
        ("dW2", "(z3 - y) @ np.maximum(z2, 0).T"),
        ("dW2", "dz3 * a2.T"),
        ("da2", "(dz3.T @ W2).T"),
        ("da2", "np.einsum('ij,ik->jk', W2, dz3)"),
        ("dz2", "np.where(a2 > 0, da2, 0)"),
        ("dz2", "da2 * np.heaviside(z2, 0)"),
        ("dz2", "\n    dz2 = da2.copy()\n    dz2[z2 <= 0] = 0\n"),
        ("dz2", "\n    alive = z2 > 0\n    dz2 = da2 * alive\n"),
        ("dz2", "\n    dz2 = np.array(da2)\n    np.copyto(dz2, 0, where=z2 < 0)\n"),
        ("dW1", "\n    dW1 = np.zeros_like(W1)\n    for i in range(len(z2)):\n        dW1[i] = dz2[i] * a1[:, 0]\n"),
        ("dW1", "db1 @ a1.T"),
        ("db1", "\n    if True:\n        db1 = dz2\n"),
        ("db1", "\n    db1 = ...\n    db1 = dz2\n"),
    ],
    "rows": [
        ("dz3", "(z3 - y) / z3.shape[0]"),
        ("db2", "np.ones(len(x)) @ dz3"),
        ("dW2", "np.einsum('ni,nj->ij', dz3, a2)"),
        ("dW2", "sum(np.outer(g, a) for g, a in zip(dz3, a2))"),
        ("dz1", "da1 * (a1 > 0)"),
    ],
}


@pytest.mark.parametrize("form", SHEETS)
def test_what_is_right_is_right_however_it_is_written(form):
    for name, text in [("dx", "dz1 @ W0" if form == "rows" else "W0.T @ dz1"), *RIGHT[form]]:
        found = verdicts(form, filled(SHEETS[form].source, name, text))
        assert [str(verdict) for verdict in found.values() if verdict.state != "right"] == [], (name, text)


@pytest.mark.parametrize("body", WHOLE)
def test_a_whole_backward_is_right_however_it_is_written(body):
    source = SHEETS["columns"].source
    start, end = source.index("    dz3 = z3 - y"), source.index("    return dW0, db0")
    source = source[:start] + body + source[end:]
    surroundings: dict = {"__name__": "hand_in"}
    exec(source, surroundings)
    found = check(Filling(source, "train.py", surroundings), SHEETS["columns"], np.random.default_rng(0))
    assert [str(verdict) for verdict in found if verdict.state != "right"] == []


def test_points_are_drawn_until_every_unit_has_been_alive_and_dead():
    for sheet in SHEETS.values():
        points = sheet.points(np.random.default_rng(0))
        for z, a in (("z1", "a1"), ("z2", "a2")):
            values = [
                point if sheet.by_rows else {name: point[name].T for name in (z, f"d{z}", f"d{a}")} for point in points
            ]
            alive, dead = (
                np.concatenate([way(value) for value in values]).any(0)
                for way in (lambda n, z=z: n[f"d{z}"] != 0, lambda n, z=z, a=a: (n[z] < 0) & (n[f"d{a}"] != 0))
            )
            assert alive.all() and dead.all()


def test_the_solutions_gradients_are_those_of_j():
    for sheet in SHEETS.values():
        point = sheet.point(np.random.default_rng(1))
        leaves = {name: point[name] for name in LEAVES}
        for name in NAMES:
            node, step = name[1:], 1e-6
            numeric = np.zeros_like(point[node])
            for place in np.ndindex(numeric.shape):
                sides = []
                for way in (1, -1):
                    moved = point[node].copy()
                    moved[place] += way * step
                    sides.append(sheet.nodes(leaves, {node: moved})["J"])
                numeric[place] = (sides[0] - sides[1]) / (2 * step)
            assert np.abs(numeric - point[name]).max() < 1e-7 * np.abs(numeric).max()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("return dW0, db0", "return dW1, db0"), "dW0: .*backward returns something else"),
        (
            ("    db0 = dz1 ", "    dz1 *= 1\n    db0 = dz1\n    db0 *= 1\n    spoilt = dz1\n    spoilt *= 0  "),
            "db0: .*place",
        ),
        (("a1 = np.maximum(z1, 0)", "a1 = np.abs(z1)"), "all: .*forward gives another a1: leave it"),
        (("return z1, a1", "return a1"), "dz3: .*cannot be run"),
    ],
)
def test_lines_that_are_right_and_together_are_not(change, said):
    source = SHEETS["columns"].source
    assert source.count(change[0]) == 1
    surroundings: dict = {"__name__": "hand_in"}
    source = source.replace(*change)
    exec(source, surroundings)
    found = check(Filling(source, "train.py", surroundings), SHEETS["columns"], np.random.default_rng(0))
    assert re.search(said, "\n".join(str(verdict) for verdict in found if verdict.state != "right"))


def test_the_page_names_commands_that_there_are():
    page = (ROOT / "docs" / "course.md").read_text(encoding="utf-8")
    assert set(re.findall(r"python3? -m course ([\w-]+)", page)) <= set(COMMANDS)


# ---- what a student sees


def run(folder, *args, path=""):
    """Run train.py as a student does, and return the exit status and all that was printed."""
    command = [sys.executable, "train.py", *args]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": path}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(params=["columns", "rows"])
def homework(request, tmp_path, capsys):
    assert main(["new", str(tmp_path / "hw"), *(["--rows"] if request.param == "rows" else [])]) == 0
    capsys.readouterr()
    return request.param, tmp_path / "hw"


def fill(folder, form, names=NAMES):
    """Fill in what stands in the solution."""
    source = (folder / "train.py").read_text()
    for name in names:
        right = re.search(rf"(?m)^    {name} = (.*?)  #", SHEETS[form].source).group(1)
        source, count = re.subn(rf"(?m)^    {name} = \.\.\.  # dJ/{name}", f"    {name} = {right}  # dJ/{name}", source)
        assert count == 1
    (folder / "train.py").write_text(source)


def test_a_new_homework_has_all_blanks_and_the_sheet(homework, capsys):
    form, folder = homework
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "train.py"]
    assert (folder / "train.py").read_text().count(" = ...  # dJ/d") == len(NAMES)
    assert (folder / "README.md").read_text().count("**Problem ") == 3
    assert main(["new", str(folder)]) == 2 and "nothing is overwritten" in capsys.readouterr().err
    status, printed = run(folder)
    assert status == 1 and printed.count("not filled yet") == 12
    assert "0 of 12 gradients are right" in printed and "python train.py --hint dz3" in printed
    fill(folder, form, ["dz3", "dW1"])  # the latter is looked at though what is before it is not filled in
    status, printed = run(folder)
    assert status == 1 and re.search(r"dW1 +right", printed) and "2 of 12 gradients are right" in printed
    assert "Next: db2" in printed and "Traceback" not in printed


def test_hints_come_in_steps_and_give_nothing_away(homework, capsys):
    form, folder = homework
    module = {"__file__": str(folder / "train.py")}
    for name in NAMES:
        right = re.search(rf"(?m)^    {name} = (.*?)  #", SHEETS[form].source).group(1)
        for number in (1, 2, 3, 3):
            assert practice.main(module, ["--hint", name]) == 0
            printed = capsys.readouterr().out
            assert printed.count(f" of 3 for {name}: ") == number and ("ask again" in printed) == (number < 3)
            assert len(right) < 4 or right not in printed.replace("||z3 - y||", "")
    assert practice.main(module, ["--hint", "dJ/dW1"]) == practice.main(module, ["--hint", "W1"]) == 0
    (folder / ".hints.json").write_text("[]")
    assert practice.main(module, ["--hint", "x"]) == 0 and "Hint 1 of 3 for dx" in capsys.readouterr().out
    status, printed = run(folder, "--hint", "dW7")
    assert status == 2 and "there is no gradient dW7" in printed


def test_all_right_is_trained_and_shown(homework):
    form, folder = homework
    fill(folder, form)
    status, printed = run(folder, "--check")
    assert status == 0 and printed.endswith("12 of 12 gradients are right.\n")
    if form == "rows":  # the whole of it takes seconds, and once is enough
        source = (folder / "train.py").read_text()
        (folder / "train.py").write_text(re.sub(r"(?m)^EPOCHS = \d+", "EPOCHS = 2", source))
    status, printed = run(folder)
    assert status == 0, printed
    train, test, floor = map(
        float, re.search(r"train loss (\S+), test loss (\S+), noise floor (\S+) ", printed).groups()
    )
    assert floor == 0.005 and (form == "rows" or max(train, test) < 1.25 * floor)
    assert (folder / "fit.png").read_bytes().startswith(b"\x89PNG")


def test_a_hand_out_that_finds_no_handgrad_says_where_it_looked(homework, tmp_path):
    _, folder = homework
    (tmp_path / "course.py").touch()  # comes before the package, where that is installed, and has no check
    source = (folder / "train.py").read_text()
    assert source.count(str(ROOT)) == 1
    (folder / "train.py").write_text(source.replace(str(ROOT), "/nowhere"))
    status, printed = run(folder, path=str(tmp_path))
    assert status == 1 and "needs handgrad" in printed and "/nowhere" in printed and "pip install" in printed
    assert "Traceback" not in printed
    assert run(folder, path=str(ROOT))[1].count("not filled yet") == 12


def test_what_backward_prints_does_not_flood(homework):
    _, folder = homework
    source = (folder / "train.py").read_text()
    (folder / "train.py").write_text(source.replace("    dz3 = ...", "    print('shape', z3.shape)\n    dz3 = z3 * 1"))
    _, printed = run(folder)
    assert printed.startswith("backward prints ") and printed.count("shape (") == 5
    assert re.search(r"(?m)^dz3 +WRONG, line \d+: this is ", printed)


def test_a_syntax_error_is_pythons_own_to_tell(homework):
    _, folder = homework
    source = (folder / "train.py").read_text()
    (folder / "train.py").write_text(source.replace("dW1 = ...", "dW1 = dz2 @@ a1"))
    status, printed = run(folder)
    assert status == 1 and "SyntaxError" in printed and "dz2 @@ a1" in printed


def test_a_backward_that_is_gone_or_takes_something_else(homework):
    _, folder = homework
    source = (folder / "train.py").read_text()
    (folder / "train.py").write_text(source.replace("def backward(", "def back("))
    assert "there is no function backward" in run(folder)[1]
    (folder / "train.py").write_text(source.replace("a2, z3):", "a2):", 1))
    assert "backward takes" in run(folder)[1] and "lacks z3" in run(folder)[1]
