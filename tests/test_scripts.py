"""The scripts as people run them: what they print, write and refuse."""

import argparse
import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import nn

ROOT = Path(__file__).resolve().parents[1]
MPG, DIGITS = ROOT / "data" / "files" / "auto_mpg.csv", ROOT / "data" / "files" / "digits.csv.gz"
sys.path.insert(0, str(ROOT / "scripts"))


def run(script, *args, fails=False, cwd=None):
    """Run a script, and return what it printed: on standard output, or on standard error where it is to fail."""
    command = [sys.executable, str(ROOT / "scripts" / script), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, encoding="utf-8")
    assert (done.returncode != 0) == fails, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if fails else done.stdout


def table(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """One run of the toy with the defaults, with everything it can write."""
    folder = tmp_path_factory.mktemp("toy")
    printed = run("train_toy.py", "--plot", "toy.png", "--metrics", "m.json", "--checkpoint", "c", cwd=folder)
    return folder, printed


def test_toy_learns_to_the_noise_floor(toy):
    folder, printed = toy
    metrics = json.loads((folder / "m.json").read_text())
    assert list(metrics) == ["train_loss", "test_loss", "noise_floor", "epochs", "seconds", "seed"]
    assert metrics["noise_floor"] == pytest.approx(0.005) and metrics["seed"] == 0
    assert metrics["test_loss"] < 1.25 * metrics["noise_floor"]
    assert f"test loss    {metrics['test_loss']:.6f}" in printed and "noise floor  0.005000" in printed
    assert (folder / "toy.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in folder.iterdir()) == ["c", "m.json", "toy.png"]


def test_toy_resumed_when_nothing_is_left_says_so(toy):
    folder, _ = toy
    assert "nothing is left to train" in run("train_toy.py", "--checkpoint", "c", "--resume", cwd=folder)


def test_toy_resume_refuses_another_run(toy):
    folder, _ = toy
    text = run("train_toy.py", "--checkpoint", "c", "--resume", "--hidden", 32, fails=True, cwd=folder)
    assert "another run" in text and "--hidden [64, 64] and not [32]" in text


def test_toy_resume_needs_a_checkpoint(tmp_path):
    assert "needs --checkpoint" in run("train_toy.py", "--resume", fails=True)
    text = run("train_toy.py", "--resume", "--checkpoint", tmp_path / "none", fails=True)
    assert "nothing to resume" in text and "none" in text
    (tmp_path / "bad").write_bytes(b"PK")
    assert "not a readable checkpoint" in run("train_toy.py", "--resume", "--checkpoint", tmp_path / "bad", fails=True)
    nn.save({"other": 1}, tmp_path / "other")
    text = run("train_toy.py", "--resume", "--checkpoint", tmp_path / "other", fails=True)
    assert "no checkpoint of this script" in text


@pytest.mark.parametrize(
    "history",
    [{}, None, [], {"train_loss": [0.5]}, {"train_loss": [None], "test_loss": [0.5]},
     {"train_loss": [0.5] * 150, "test_loss": [0.5] * 149}],
)  # fmt: skip
def test_toy_resume_refuses_another_history(toy, history, tmp_path):
    state = nn.load(toy[0] / "c")
    nn.save({**state, "history": history}, tmp_path / "c")
    text = run("train_toy.py", "--resume", "--checkpoint", "c", fails=True, cwd=tmp_path)
    assert "no checkpoint of this script" in text


def test_toy_interrupted_and_resumed_is_the_uninterrupted_run(tmp_path, monkeypatch):
    import common
    import train_toy

    settings = ["--epochs", "7", "--samples", "130", "--quiet"]

    def trained(*args):
        train_toy.train(train_toy.parse([*settings, "--checkpoint", str(tmp_path / args[0]), *args[1:]]))
        return nn.load(tmp_path / args[0])

    whole = trained("whole")
    saves = []
    monkeypatch.setattr(train_toy, "SECONDS_BETWEEN_SAVES", 0)

    def save_and_break_off(state, path, save=common.save_state):
        save(state, path)
        saves.append(path)
        if len(saves) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(common, "save_state", save_and_break_off)
    with pytest.raises(KeyboardInterrupt):
        trained("parts")
    assert len(nn.load(tmp_path / "parts")["history"]["train_loss"]) == 3
    parts = trained("parts", "--resume")
    assert parts["history"] == whole["history"]
    for name, array in whole["model"].items():
        np.testing.assert_array_equal(parts["model"][name], array)


def test_toy_quiet_prints_nothing_and_other_settings_work(tmp_path):
    options = ["--function", "absolute", "--samples", 60, "--noise", 0, "--hidden", 8, "--epochs", 2]
    options += ["--batch-size", 7, "--optimizer", "sgd", "--seed", 5, "--plot", tmp_path / "p.png", "--quiet"]
    assert run("train_toy.py", *options) == ""


def test_toy_stops_where_the_loss_is_not_finite():
    text = run("train_toy.py", "--lr", "1e30", "--epochs", 3, fails=True)
    assert "in epoch 1" in text and "Linear" in text and "--lr" in text


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--function", "cosine"], "invalid choice"),
        (["--samples", "0"], "at least 1"),
        (["--noise", "-1"], "at least 0"),
        (["--noise", "nan"], "at least 0"),
        (["--lr", "-1"], "at least 0"),
        (["--seed", "-1"], "at least 0"),
        (["--epochs", "many"], "many"),
        (["--epochs", "1", "--plot", "no/such/folder/toy.png"], "no/such/folder/toy.png"),
        (["--epochs", "1", "--plot", "toy.unknown"], "toy.unknown"),
        (["--epochs", "1", "--metrics", "no/such/folder/m.json"], "no/such/folder/m.json"),
        (["--epochs", "1", "--checkpoint", "no/such/folder/c"], "no/such/folder/c"),
        (["--checkpoint", ""], "--checkpoint expects the name of a file"),
        (["--plot", "one", "--metrics", "./one"], "--metrics ./one would overwrite --plot one"),
    ],
)
def test_toy_refuses(args, text, tmp_path):
    assert text in run("train_toy.py", *args, fails=True, cwd=tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_it_says_so_and_still_trains(tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})"
    code += "; sys.argv = ['train_toy.py', '--epochs', '1', '--plot', 'p.png']"
    code += f"; import runpy; sys.path.insert(1, {str(ROOT / 'scripts')!r})"
    code += f"; runpy.run_path({str(ROOT / 'scripts' / 'train_toy.py')!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and "handgrad[plot]" in done.stderr and "test loss" in done.stdout
    assert not (tmp_path / "p.png").exists()


# ---- whatever happens to standard output, the files are written

ALL_FILES = ["--epochs", "1", "--plot", "p.png", "--metrics", "m.json", "--checkpoint", "c"]


@pytest.mark.skipif(os.name != "posix", reason="closes descriptors as a shell does")
@pytest.mark.parametrize("output", ["nobody reads", "closed", "closed with standard error", "full"])
def test_results_do_not_depend_on_standard_output(output, tmp_path):
    command = [sys.executable, "-u", str(ROOT / "scripts" / "train_toy.py"), *ALL_FILES]
    options = {"stderr": subprocess.PIPE, "cwd": tmp_path, "text": True}
    if output == "nobody reads":
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(command, stdout=writing, **options)
        os.close(writing)
    elif output == "full":
        if not os.path.exists("/dev/full"):
            pytest.skip("needs /dev/full")
        with open("/dev/full", "w") as full:
            done = subprocess.run(command, stdout=full, **options)
    else:
        shell = 'exec "$@" >&-' + " 2>&-" * (output != "closed")
        done = subprocess.run(["sh", "-c", shell, "sh", *command], **options)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ("standard output: No space left on device\n" if output == "full" else "")
    assert sorted(os.listdir(tmp_path)) == ["c", "m.json", "p.png"]
    assert nn.load(tmp_path / "c")["history"]


def test_text_for_standard_output_may_be_cut_off():
    command = [sys.executable, str(ROOT / "scripts" / "explain.py"), "--format", "text"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline()
        running.stdout.close()
        assert running.wait() == 0 and running.stderr.read() == ""


# ---- what stops a script ends it in one line


def raised(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (MemoryError(), "name: there is not enough memory"),
        (MemoryError("Unable to allocate 3 TiB"), "name: there is not enough memory. Unable to allocate 3 TiB"),
        (FileNotFoundError(2, "No such file or directory", "gone.csv"), "name: gone.csv: No such file or directory"),
        (OSError("odd"), "name: odd"),
        (ValueError("Linear(1, 1) expects"), "name: Linear(1, 1) expects"),
        (TypeError("not so"), "name: not so"),
        (RecursionError("maximum recursion"), "name: maximum recursion"),
        (KeyError("x"), "name: KeyError: 'x' (unexpected; `python -X dev` shows where)"),
        (EOFError("ended"), "name: EOFError: ended (unexpected; `python -X dev` shows where)"),
    ],
)
def test_whatever_is_raised_ends_in_a_line(error, text, monkeypatch):
    import common

    monkeypatch.setattr(sys, "argv", ["folder/name"])
    with pytest.raises(SystemExit) as caught:
        common.run(raised(error))
    assert caught.value.code == text


def test_an_interrupted_script_says_so(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "train_toy.py"), "--epochs", "100000", "--checkpoint", "c"]

    def heed():  # where the tests run in the background, the shell has children ignore Ctrl-C
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, preexec_fn=heed) as running:
        while not (tmp_path / "c").exists():
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        text = running.communicate()[1]
    assert running.returncode == 1 and text == "interrupted: --resume goes on from the checkpoint\n"
    assert os.listdir(tmp_path) == ["c"] and nn.load(tmp_path / "c")["history"]["train_loss"]


# ---- what is written


def test_json_has_null_for_what_is_not_finite(tmp_path):
    import common

    values = {"nan": math.nan, "deep": [(1.5, -math.inf)], "numpy": np.float64("nan"), "text": "NaN", "count": 3}
    common.write_json(values, str(tmp_path / "m.json"))
    read = json.loads((tmp_path / "m.json").read_text(), parse_constant=pytest.fail)
    assert read == {"nan": None, "deep": [[1.5, None]], "numpy": None, "text": "NaN", "count": 3}


def test_a_picture_that_finds_the_disk_full_leaves_the_old_one(tmp_path):
    resource = pytest.importorskip("resource")
    import common

    (tmp_path / "p.png").write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(SystemExit, match=r"cannot write the picture .*File too large"):
            common.save_figure(common.new_figure(3, 3), str(tmp_path / "p.png"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "p.png").read_bytes() == b"old" and os.listdir(tmp_path) == ["p.png"]


@pytest.mark.parametrize(
    ("name", "start"), [("p.svg", b"<?xml"), ("p.pdf", b"%PDF"), ("P.PNG", b"\x89PNG"), ("p", b"\x89PNG")]
)
def test_pictures_of_every_format(name, start, tmp_path):
    import common

    common.save_figure(common.new_figure(3, 3), str(tmp_path / name))
    assert (tmp_path / name).read_bytes().startswith(start) and os.listdir(tmp_path) == [name]


@pytest.mark.skipif(os.name != "posix", reason="needs links and pipes")
@pytest.mark.parametrize(
    ("reads", "writes", "text"),
    [
        ({}, {"--save": ""}, "--save expects the name of a file, got an empty one"),
        ({"FILE": ""}, {}, "FILE expects the name of a file"),
        ({}, {"--save": "none/m"}, "--save none/m: there is no folder none"),
        ({}, {"--save": "folder"}, "--save folder: expected a regular file"),
        ({}, {"--save": "new/"}, "there is no folder new"),
        ({}, {"--save": "folder/"}, "--save folder/: expected a regular file"),
        ({}, {"--save": "pipe"}, "--save pipe: expected a regular file"),
        ({}, {"--save": "/dev/null"}, "--save /dev/null: expected a regular file"),
        ({"FILE": "table"}, {"--save": "table"}, "--save table would overwrite FILE table"),
        ({"FILE": "table"}, {"--save": "./folder/../table"}, "--save ./folder/../table would overwrite FILE table"),
        ({"FILE": "table"}, {"--save": "link"}, "--save link would overwrite FILE table"),
        ({"FILE": "link"}, {"--save": "table"}, "--save table would overwrite FILE link"),
        ({"FILE": "table"}, {"--save": "hard"}, "--save hard would overwrite FILE table"),
        ({}, {"--plot": "new", "--save": "./new"}, "--save ./new would overwrite --plot new"),
        ({"FILE": "table", "--predict": "table"}, {"--save": "new", "--plot": None}, None),
    ],
)
def test_files_that_would_be_lost_are_refused_at_once(reads, writes, text, tmp_path, monkeypatch, capsys):
    import common

    monkeypatch.chdir(tmp_path)
    os.mkdir("folder")
    os.mkfifo("pipe")
    Path("table").write_text("x,y")
    os.symlink("table", "link")
    os.link("table", "hard")
    if text is None:
        common.check_paths(argparse.ArgumentParser(), reads=reads, writes=writes)
    else:
        with pytest.raises(SystemExit):
            common.check_paths(argparse.ArgumentParser(), reads=reads, writes=writes)
        assert text in capsys.readouterr().err


def test_csv_regression_saves_a_model_that_predicts_new_rows(tmp_path):
    options = ["--target", "mpg", "--text", "onehot", "--exclude", "car_name", "--epochs", 30]
    printed = run(
        "train_csv.py", MPG, *options, "--save", "m.npz", "--plot", "p.png", "--metrics", "m.json", cwd=tmp_path
    )
    assert "regression, by the look of the target" in printed
    metrics = json.loads((tmp_path / "m.json").read_text())
    assert 1 < metrics["test_rmse"] < 4 and 0.7 < metrics["test_r2"] < 1
    assert f"test_rmse    {metrics['test_rmse']:.4f}" in printed
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")

    rows = list(csv.DictReader(MPG.read_text(encoding="utf-8").splitlines()))
    with (tmp_path / "new.csv").open("w", encoding="utf-8", newline="") as file:  # reordered, without the target
        writer = csv.DictWriter(file, sorted(set(rows[0]) - {"mpg"}), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows[:50])
    run("train_csv.py", "new.csv", "--predict", "m.npz", "--out", "out.csv", cwd=tmp_path)
    written = (tmp_path / "out.csv").read_text(encoding="utf-8")
    predicted = [float(row["predicted_mpg"]) for row in csv.DictReader(written.splitlines())]
    truth = [float(row["mpg"]) for row in rows[:50]]
    assert len(predicted) == 50 and np.sqrt(np.mean((np.array(predicted) - truth) ** 2)) < 4
    assert run("train_csv.py", "new.csv", "--predict", "m.npz", cwd=tmp_path) == written

    no_weight = table(tmp_path / "bad.csv", "cylinders,mpg\n8,3\n")
    assert "no column 'displacement'" in run("train_csv.py", no_weight, "--predict", "m.npz", fails=True, cwd=tmp_path)


def test_csv_classification_on_digits(tmp_path):
    options = ["--target", "digit", "--epochs", 15, "--plot", tmp_path / "p.png", "--metrics", tmp_path / "m.json"]
    printed = run("train_csv.py", DIGITS, *options)
    assert "classification of 10 classes" in printed and "rows are the truth" in printed
    metrics = json.loads((tmp_path / "m.json").read_text())
    assert metrics["test_accuracy"] > 0.93 and metrics["task"] == "classification"


def pets(rows=60):
    """A table of text, numbers, missing values and quoted fields that tells cats from dogs."""
    rng = np.random.default_rng(0)
    lines = ["name,colour,weight,kind"]
    for row in range(rows):
        cat = rng.random() < 0.5
        weight = "?" if row % 10 == 3 else f"{rng.normal(4 if cat else 20):.2f}"
        lines.append(f'"pet, {row}",{rng.choice(["red", "grey"])},{weight},{"cat" if cat else "dog"}')
    return "\n".join(lines) + "\n"


def test_csv_text_levels_missing_values_and_text_classes(tmp_path):
    path = table(tmp_path / "pets.csv", pets())
    text = run("train_csv.py", path, "--target", "kind", fails=True)
    assert "6 rows lack 'weight' (the first is line 5): --missing mean fills them in, --missing drop leaves" in text
    options = ["--target", "kind", "--exclude", "name", "--text", "onehot", "--epochs", 60]
    dropped = run("train_csv.py", path, *options, "--missing", "drop")
    assert "54, 6 with missing values dropped" in dropped
    printed = run("train_csv.py", path, *options, "--missing", "mean", "--save", tmp_path / "m")
    assert "classification of 2 classes" in printed and "3 from 2 columns" in printed
    new = table(tmp_path / "new.csv", "weight,colour\n3.9,red\n,grey\n21,grey\n")
    rows = list(csv.reader(run("train_csv.py", new, "--predict", tmp_path / "m").splitlines()))
    assert rows[0] == ["weight", "colour", "predicted_kind", "filled_in"]
    assert rows[1][2] == "cat" and rows[3][2] == "dog" and rows[2][2] in ("cat", "dog")
    assert [row[3] for row in rows[1:]] == ["", "weight is missing", ""]


def test_csv_task_can_be_overridden(tmp_path):
    lines = ["x,y"] + [f"{x / 10},{x // 20}" for x in range(60)]
    path = table(tmp_path / "steps.csv", "\n".join(lines))
    assert "classification of 3 classes, by the look" in run("train_csv.py", path, "--target", "y", "--epochs", 2)
    printed = run("train_csv.py", path, "--target", "y", "--task", "regression", "--epochs", 2)
    assert "regression (--task overrides)" in printed and "test_r2" in printed


@pytest.mark.parametrize(
    ("content", "args", "text"),
    [
        (None, ["--target", "y"], "there is no file"),
        ("", ["--target", "y"], "empty"),
        ("x,y\n", ["--target", "y"], "no rows"),
        ("x,y\n1,2\n3\n", ["--target", "y"], "t.csv, line 3"),
        ("x,y\n1,2\n", ["--target", "z"], "no column 'z'"),
        ("x,y\n1,2\nnought,3\n", ["--target", "y"], "t.csv, line 3: column 'x'"),
        ("x,y\n1,2\n2,3\n", ["--target", "y"], "at least 10 rows"),
        ("x,y\n1,2\n", [], "--target COLUMN is needed"),
        ("x,y\n1,2\n", ["--target", "y", "--out", "o"], "--out belongs to --predict"),
        ("x,y\n1,2\n", ["--predict", "nothing.npz"], "there is no model nothing.npz"),
        ("x,y\n1,2\n", ["--predict", "t.csv"], "not a readable checkpoint"),
    ],
)
def test_csv_refuses(content, args, text, tmp_path):
    if content is not None:
        table(tmp_path / "t.csv", content)
    assert text in run("train_csv.py", "t.csv", *args, fails=True, cwd=tmp_path)
