"""A table's network taken away: trained, written as a C file, compiled by hand, and used on raw rows."""

import ctypes
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lowered import COMPILER, build, needs_compiler

import nn
from data import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))


@pytest.fixture
def script(monkeypatch, tmp_path, capsys):
    """A run of train_csv.py within this process, in a folder of its own."""
    import train_csv

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HANDGRAD_CACHE", str(tmp_path / "cache"))

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["train_csv.py", *map(str, args)])
        train_csv.main()
        return capsys.readouterr().out

    run.module = train_csv
    return run


def cars(folder, target):
    """Write a small table with text, numbers and gaps, and return its file."""
    rng = np.random.default_rng(0)
    lines = [f"weight,origin,{target}"]
    for _ in range(60):
        weight, origin = rng.integers(1500, 4500), rng.choice(["US", "Japan", "Europe"])
        value = round(50 - weight / 100 + (origin == "Japan") * 5 + rng.normal(), 1)
        gap = rng.random() < 0.1
        lines.append(
            f"{'' if gap else weight},{origin},{value if target == 'mpg' else 'good' if value > 20 else 'bad'}"
        )
    path = folder / "cars.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@needs_compiler
@pytest.mark.parametrize("target", ["mpg", "class"])
def test_a_raw_row_is_predicted_as_in_python_and_learning_goes_on(script, tmp_path, target):
    settings = ["--text", "onehot", "--missing", "mean", "--hidden", 8, "--epochs", 20]
    out = script(cars(tmp_path, target), "--target", target, *settings, "--save", "m.npz", "--export-c", "net.c")
    assert "C file       net.c, and a header beside it" in out
    library = build(tmp_path, (tmp_path / "net.c").read_text(), name="library")
    predictor = script.module.Predictor.load("m.npz")
    encoder = predictor.encoder
    columns = {"weight": ["2000", "", "4000"], "origin": ["Japan", "US", ""]}
    expected = predictor.predict(encoder.transform(Table("rows", columns, lines=[2, 3, 4]), strict=False))
    level = {text: library.level_of(1, text.encode()) for text in ("Europe", "Japan", "US", "nowhere", "")}
    assert level == {"Europe": 0, "Japan": 1, "US": 2, "nowhere": -1, "": -1}
    outputs = 1 if target == "mpg" else 2
    for weight, origin, value in zip(*columns.values(), expected, strict=True):
        y = (ctypes.c_float * outputs)()
        row = (ctypes.c_double * 2)(float(weight or "nan"), level[origin])
        assert library.predict_row(row, y) == 0
        np.testing.assert_allclose(list(y), np.atleast_1d(value), rtol=1e-5)

    # New cars, twice as thirsty: the loss on them falls.
    library.train_step.restype = library.loss.restype = ctypes.c_float
    x = np.zeros((4, 4), np.float32)
    for k in range(4):
        row = (ctypes.c_double * 2)(2000.0 + 500 * k, k % 3)
        library.encode_row(row, ctypes.c_void_p(x[k].ctypes.data))
    if target == "mpg":
        library.encode_target.restype = ctypes.c_float
        wanted = np.full(4, library.encode_target(ctypes.c_double(10.0)), np.float32)
    else:
        assert [library.class_of(name) for name in (b"bad", b"good", b"")] == [0, 1, -1]
        wanted = np.full(4, library.class_of(b"bad"), np.intc)
    batch = ctypes.c_long(4), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(wanted.ctypes.data)
    before = library.loss(*batch)
    for _ in range(50):
        library.train_step(*batch)
    assert library.loss(*batch) < 0.9 * before


@needs_compiler
def test_compiled_training_scores_as_python_s(script, tmp_path):
    scores = []
    for flags in ([], ["--compile"]):
        script(
            cars(tmp_path, "mpg"), "--target", "mpg", "--missing", "mean", "--epochs", 5, "--metrics", "m.json", *flags
        )
        scores.append(json.loads((tmp_path / "m.json").read_text())["test_rmse"])
    assert scores[0] == pytest.approx(scores[1], rel=1e-4)


@needs_compiler
def test_compiled_toy_is_the_same_toy(monkeypatch, tmp_path):
    import train_toy

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HANDGRAD_CACHE", str(tmp_path / "cache"))
    settings = ["--epochs", "3", "--samples", "100", "--hidden", "8", "--quiet"]
    train_toy.train(train_toy.parse([*settings, "--checkpoint", "python.npz"]))
    train_toy.train(train_toy.parse([*settings, "--checkpoint", "c.npz", "--compile"]))
    python, compiled = (nn.load(tmp_path / f"{name}.npz") for name in ("python", "c"))
    np.testing.assert_allclose(compiled["history"]["test_loss"], python["history"]["test_loss"], rtol=1e-5)
    train_toy.train(train_toy.parse([*settings[2:], "--epochs", "4", "--checkpoint", "c.npz", "--resume"]))


def test_export_c_flags_are_checked_before_training(script, tmp_path):
    for flags, message in (
        (["--export-c", "net.cpp"], 2),
        (["--export-c", "cars.c", "--save", "cars.h"], 2),
        (["--export-c", "net.c", "--predict", "m.npz"], 2),
    ):
        with pytest.raises(SystemExit) as caught:
            script(cars(tmp_path, "mpg"), "--target", "mpg", *flags)
        assert caught.value.code == message


@needs_compiler
def test_the_program_of_the_page(script, tmp_path):
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    command = page.partition("python scripts/train_csv.py ")[2].partition("\n")[0].split()
    script(ROOT / command[0], *command[1:], "--epochs", 5, "--save", "m.npz")
    (tmp_path / "main.c").write_text(page.partition("```c\n")[2].partition("```")[0])
    built = subprocess.run([COMPILER, "-O1", "main.c", "net.c", "-lm", "-o", "cars"], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    lines = subprocess.run(["./cars"], capture_output=True, text=True, check=True).stdout.splitlines()
    predicted, before, after = (float(line.split()[-2 if "mpg" in line else -1]) for line in lines)
    predictor = script.module.Predictor.load("m.npz")
    values = ["8", "307", "130", "3504", "12", "70", "1"]
    row = Table("car", dict(zip(predictor.encoder.inputs, ([v] for v in values), strict=True)), lines=[2])
    expected = predictor.predict(predictor.encoder.transform(row))
    assert predicted == pytest.approx(float(expected[0]), abs=1e-3)
    assert after < 0.1 * before
