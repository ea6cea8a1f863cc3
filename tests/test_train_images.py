"""Images that people have: what train_images.py makes of a folder, keeps of a run, answers, and refuses."""

import csv
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import nn
import optim
from data import load_digits

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
SMALL = ["--channels", 4, "--epochs", 2, "--batch-size", 8]


@pytest.fixture
def script(monkeypatch, capsys, tmp_path):
    """A run of train_images.py within this process, in a folder of its own: the message it ended with, and output."""
    import train_images

    monkeypatch.chdir(tmp_path)

    def run(*args):
        code = None
        try:
            monkeypatch.setattr(sys, "argv", ["train_images.py", *map(str, args)])
            train_images.main()
        except SystemExit as end:
            code = end.code
        except (OSError, ValueError) as error:  # which common.run says in one line
            code = str(error)
        return code, *capsys.readouterr()

    return run


def bars(folder, rows=16, size=8, colour=False):
    """Write pictures of upright and of lying bars, a folder each."""
    Image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for row in range(rows):
        upright = row % 2 == 0
        picture = rng.integers(0, 60, (size, size, *[3] * colour)).astype(np.uint8)
        bar = (picture if upright else picture.swapaxes(0, 1))[:, rng.integers(2, size - 2)]
        bar[...] = 250
        name = folder / ("upright" if upright else "lying") / f"{row:02}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(name)
    return folder


def as_idx(path, array):
    content = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(content + array.astype(np.uint8).tobytes())


def rows_of(text):
    return list(csv.DictReader(text.splitlines()))


# ---- a run


def test_a_run_on_digits_writes_all_that_it_is_asked_for(script, tmp_path):
    files = ["--save", "m.npz", "--metrics", "m.json", "--plot", "p.png", "--checkpoint", "c"]
    code, out, _ = script("--data", "digits", "--channels", 8, 16, "--epochs", 4, "--lr", 0.01, *files)
    assert code is None and "1797 of 1 x 8 x 8, 10 classes" in out
    metrics = json.loads((tmp_path / "m.json").read_text())
    assert set(metrics) == {
        "test_accuracy", "test_macro_f1", "baseline_accuracy", "baseline_macro_f1", "classes", "task", "epochs",
        "best_epoch", "seed", "train_rows", "validation_rows", "test_rows", "notes",
    }  # fmt: skip
    assert (metrics["train_rows"], metrics["validation_rows"], metrics["test_rows"]) == (1258, 180, 359)
    assert metrics["test_accuracy"] > 0.9 and f"test_accuracy {metrics['test_accuracy']:.4f}" in out
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "m.json", "m.npz", "p.png"]
    assert script("--data", "digits", "--channels", 8, "--epochs", 1, "--quiet")[1] == ""


def test_the_seed_sets_split_and_start(script, tmp_path):
    bars(tmp_path / "bars", rows=24)
    models = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert script("--data", "bars", *SMALL, "--seed", seed, "--save", name)[0] is None
        models.append(nn.load(name))
    for name, weights in models[0]["model"].items():
        np.testing.assert_array_equal(weights, models[1]["model"][name])
    assert any((models[0]["model"][name] != models[2]["model"][name]).any() for name in models[0]["model"])
    assert (models[0]["mean"] != models[2]["mean"]).any()  # other training images


def test_an_interrupted_run_that_is_resumed_is_the_uninterrupted_one(script, tmp_path, monkeypatch):
    import common
    import train_images

    bars(tmp_path / "bars", rows=24)
    settings = ["--data", "bars", "--channels", 4, "--epochs", 5, "--batch-size", 8, "--flip", "--quiet"]
    assert script(*settings, "--checkpoint", "whole")[0] is None
    monkeypatch.setattr(train_images, "SECONDS_BETWEEN_SAVES", 0)
    saves = []

    def save_and_break_off(state, path, save=common.save_state):
        save(state, path)
        saves.append(path)
        if len(saves) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(common, "save_state", save_and_break_off)
    assert script(*settings, "--checkpoint", "parts")[0] == "interrupted: --resume goes on from the checkpoint"
    assert len(nn.load("parts")["history"]["training"]) == 2
    assert script(*settings, "--checkpoint", "parts", "--resume")[0] is None
    whole, parts = nn.load("whole"), nn.load("parts")
    assert whole["history"] == parts["history"]
    for part in ("model", "best"):
        for name, array in whole[part].items():
            np.testing.assert_array_equal(parts[part][name], array)
    assert "made with --seed 0 and not 1" in script(*settings, "--checkpoint", "parts", "--resume", "--seed", 1)[0]
    _, out, _ = script(*settings[:-1], "--checkpoint", "parts", "--resume")
    assert "has all of its 5 epochs: nothing is left to train" in out


def test_the_best_weights_are_those_of_the_lowest_validation_loss(script, tmp_path):
    bars(tmp_path / "bars", rows=24)
    assert script("--data", "bars", *SMALL, "--epochs", 6, "--lr", 0.3, "--checkpoint", "c", "--save", "m")[0] is None
    state = nn.load("c")
    best = int(np.argmin(state["history"]["validation"]))
    assert best < 5, "the last epoch is the best: this run tests nothing"
    kept = nn.load("m")["model"]
    for name, array in state["best"].items():
        np.testing.assert_array_equal(kept[name], array)
    assert any((kept[name] != array).any() for name, array in state["model"].items())


def test_idx_files_named_test_are_held_out(script, tmp_path):
    x, y = load_digits()
    folder = tmp_path / "idx"
    folder.mkdir()
    for name, part in (("train", slice(0, 60)), ("t10k", slice(60, 85))):
        as_idx(folder / f"{name}-images-idx3-ubyte", x[part].reshape(-1, 8, 8))
        as_idx(folder / f"{name}-labels-idx1-ubyte", y[part])
    code, out, _ = script("--data", "idx", *SMALL, "--save", "m")
    assert code is None and "52 for training, 8 for validation, 25 held out" in out
    as_idx(folder / "train-images-idx3-ubyte", x[:3].reshape(-1, 8, 8))
    as_idx(folder / "train-labels-idx1-ubyte", y[:3])
    assert "expected at least 20 images to learn from, got 3" in script("--data", "idx", *SMALL)[0]
    code, out, _ = script("--predict", "m", "idx")
    assert code is None and [row["image"] for row in rows_of(out)][::27] == [
        "t10k-images-idx3-ubyte[0]", "train-images-idx3-ubyte[2]",
    ]  # fmt: skip


def test_every_image_is_in_one_part_of_the_split():
    import train_images

    nowhere = np.zeros(10_000, bool)
    parts = train_images.split(nowhere, np.random.default_rng(0))
    assert list(map(len, parts)) == [7000, 1000, 2000]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(10_000))
    assert (parts[2] != train_images.split(nowhere, np.random.default_rng(1))[2]).any()


def test_loss_and_accuracy_stand_on_the_progress_bar(script, tmp_path, monkeypatch):
    bars(tmp_path / "bars", rows=24)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    _, _, err = script("--data", "bars", *SMALL)
    last = err.rstrip().rpartition("\r")[2]
    assert re.search(r"4/4 .*epoch 2, loss \d\.\d+, accuracy \d\.\d+, validation \d\.\d+", last), last


def test_coloured_images_are_drawn_in_colour(script, tmp_path):
    bars(tmp_path / "bars", rows=24, colour=True)
    code, out, _ = script("--data", "bars", *SMALL, "--plot", "p.png", "--shift", 0)
    assert code is None and "24 of 3 x 8 x 8" in out and (tmp_path / "p.png").exists()


def test_the_picture_shows_the_worst_mistakes_and_what_they_were_taken_for():
    import pictures
    import scores

    rng = np.random.default_rng(0)
    truth, probabilities = np.array([0, 1, 2, 1, 0]), np.eye(3)[[0, 2, 2, 0, 0]] * 0.8 + 0.05
    probabilities[3] = [0.6, 0.3, 0.1]
    comparison = scores.Comparison(truth, probabilities, 0, "", ["ant", "bee", "cat"])
    history = {name: [1.0, 0.5] for name in ("training", "validation")}
    images = rng.uniform(0, 255, (5, 1, 6, 6)).astype(np.float32)
    figure = pictures.draw_images(history, 1, 0.1, comparison, images, rng.normal(size=(4, 1, 3, 3)))
    assert all(place == round(place) for place in figure.axes[0].get_xticks())  # no epoch 1.25
    titles = [axes.get_title() for axes in figure.axes]
    assert [title for title in titles if "→" in title] == ["bee → cat\n85%", "bee → ant\n60%"]
    shown = figure.axes[titles.index("bee → cat\n85%")].images[0].get_array()
    np.testing.assert_array_equal(shown, images[1, 0])
    assert sum(bool(axes.images) and axes.images[0].get_array().shape == (3, 3) for axes in figure.axes) == 5


# ---- predictions


def test_predict_answers_every_image_and_names_the_broken_ones(script, tmp_path):
    Image = pytest.importorskip("PIL.Image")
    bars(tmp_path / "bars", rows=40)
    assert script("--data", "bars", "--channels", 8, "--epochs", 20, "--batch-size", 8, "--save", "m")[0] is None
    code, out, _ = script("--predict", "m", "bars")
    rows = rows_of(out)
    assert code is None and list(rows[0]) == ["image", "predicted", "probability", "problem"] and len(rows) == 40
    assert sum(row["image"].startswith(row["predicted"]) for row in rows) >= 36
    assert all(0.5 <= float(row["probability"]) <= 1 for row in rows)

    (tmp_path / "new" / "deep").mkdir(parents=True)
    picture = Image.open(tmp_path / "bars" / "lying" / "01.png")
    picture.convert("RGB").save(tmp_path / "new" / "deep" / "coloured.png")
    picture.resize((9, 8)).save(tmp_path / "new" / "wide.png")
    (tmp_path / "new" / "broken.png").write_bytes(b"no picture")
    code, out, err = script("--predict", "m", "new", "--out", "out.csv")
    assert "2 of 3 images have no answer" in code and out == ""
    assert "broken.png is no image that can be read" in err and "wide.png: expected an image of 8 x 8 pixels" in err
    rows = {row["image"]: row for row in rows_of((tmp_path / "out.csv").read_text(encoding="utf-8"))}
    assert list(rows) == ["broken.png", "deep/coloured.png", "wide.png"]
    assert rows["deep/coloured.png"]["predicted"] == "lying" and not rows["deep/coloured.png"]["problem"]
    assert rows["wide.png"]["predicted"] == "" and "got 8 x 9" in rows["wide.png"]["problem"]
    (tmp_path / "none").mkdir()
    assert "expected picture files or IDX files, got none" in script("--predict", "m", "none")[0]
    assert "expected a folder of images, and out.csv is none" in script("--predict", "m", "out.csv")[0]
    assert "there is no model nothing" in script("--predict", "nothing", "new")[0]


def changed(kind, state):
    """Return a saved model's state with one thing changed."""
    return {
        "none": None,
        "empty": {},
        "another shape": {**state, "shape": [1, 16, 16]},
        "no shape": {**state, "shape": 3},
        "other classes": {**state, "classes": ["one"]},
        "other channels": {**state, "channels": [5]},
        "no channels": {**state, "channels": ["x"]},
        "another mean": {**state, "mean": np.zeros(2)},
        "NaN": {**state, "std": np.array([np.nan])},
        "no weights": {**state, "model": {}},
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["none", "empty", "another shape", "no shape", "other classes", "other channels", "no channels", "another mean",
     "NaN", "no weights"],
)  # fmt: skip
def test_a_changed_model_is_refused(script, tmp_path, kind):
    import train_images

    one = np.ones(1, np.float32)
    nn.save(changed(kind, train_images.Classifier((1, 8, 8), ["a", "b"], [4], one, one, 0).state_dict()), "m")
    (tmp_path / "new").mkdir()
    assert "m is no model that this script saved" in script("--predict", "m", "new")[0]


# ---- bad input


def spoil(folder, kind):
    """Make a folder of bars one that nothing can be learnt from."""
    Image = pytest.importorskip("PIL.Image")
    odd = folder / "lying" / "odd.png"
    if kind == "a broken PNG":
        odd.write_bytes((folder / "lying" / "01.png").read_bytes()[:50])
    elif kind == "another size":
        Image.new("L", (9, 8)).save(odd)
    elif kind == "an image outside":
        Image.new("L", (8, 8)).save(folder / "odd.png")
    elif kind == "one class":
        for path in (folder / "upright").iterdir():
            path.rename(folder / "lying" / path.name)
    elif kind == "few images":
        for path in sorted((folder / "lying").iterdir())[2:]:
            path.unlink()
    elif kind == "IDX of another format":
        (folder / "images-idx3-ubyte").write_bytes(b"\1\2\3\4" * 9)
    elif kind == "nothing":
        for path in sorted(folder.rglob("*.png")):
            path.unlink()


@pytest.mark.parametrize(
    ("kind", "args", "text"),
    [
        ("a broken PNG", [], "odd.png is no image that can be read"),
        ("another size", [], "of 8 x 8 pixels (height x width) and lying/odd.png of 8 x 9"),
        ("an image outside", [], "got odd.png"),
        ("one class", [], "expected images of two classes or more, got only 'lying'"),
        ("few images", [], "expected at least 20 images to learn from, got 14"),
        ("IDX of another format", [], "images-idx3-ubyte: expected an IDX file"),
        ("nothing", [], "expected IDX files, or a folder for each class with PNG files in it, got no image"),
        (
            "",
            ["--channels", 4, 4, 4, 4],
            "4 poolings, a --channels number each, halve images of 8 x 8 pixels to nothing",
        ),
        ("", ["--data", "minst"], "expected mnist, digits or a folder of images, and there is no folder minst"),
        ("", ["--lr", "1e30"], "try a smaller --lr"),
    ],
)
def test_bad_images_end_a_run_that_keeps_what_it_had(script, tmp_path, kind, args, text):
    spoil(bars(tmp_path / "bars", rows=24), kind)
    (tmp_path / "m.npz").write_bytes(b"the model of yesterday")
    code, _, _ = script("--data", "bars", *SMALL, *args, "--save", "m.npz", "--checkpoint", "c", "--metrics", "m.json")
    assert text in code and "\n" not in code
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bars", "m.npz"]
    assert (tmp_path / "m.npz").read_bytes() == b"the model of yesterday"


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--predict", "m"], "--predict MODEL FOLDER belong together"),
        (["new"], "--predict MODEL FOLDER belong together"),
        (["--out", "o"], "--out belongs to --predict"),
        (["--resume"], "--resume needs --checkpoint"),
        (["--shift", "-1"], "at least 0"),
        (["--label-smoothing", "1"], "below 1"),
        (["--epochs", "0"], "at least 1"),
        (["--save", "none/m"], "there is no folder none"),
        (["--save", "m", "--plot", "./m"], "--save m would overwrite --plot ./m"),
        (["--data", ""], "--data expects the name"),
    ],
)
def test_the_command_line_refuses(script, args, text, capsys):
    code, _, err = script(*args)
    assert code == 2 and text in err


def test_without_pillow_the_extra_is_named(script, tmp_path, monkeypatch):
    bars(tmp_path / "bars", rows=24)
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "pip install 'handgrad[images]'" in script("--data", "bars", *SMALL)[0]


# ---- the same in PyTorch


def test_a_twin_in_pytorch_takes_the_same_steps():
    torch = pytest.importorskip("torch")
    import train_images

    torch.set_num_threads(1)
    x, y = load_digits()
    x = (x.reshape(-1, 1, 8, 8) - 5) / 6
    model = train_images.cnn((1, 8, 8), [8, 16], 10, generator=0)
    twin = torch.nn.Sequential(*(eval(repr(layer), vars(torch.nn)) for layer in model))
    twin.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in model.state_dict().items()})
    criterion, other = nn.CrossEntropyLoss(label_smoothing=0.1), torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer, adam = optim.Adam(model.parameters(), lr=2e-3), torch.optim.Adam(twin.parameters(), lr=2e-3)
    losses = []
    for batch in np.random.default_rng(0).permutation(len(x))[: 100 * 16].reshape(100, 16):
        loss = criterion(model(x[batch]), y[batch])
        optimizer.zero_grad()
        model.backward(criterion.backward())
        optimizer.step()
        its_loss = other(twin(torch.from_numpy(x[batch])), torch.from_numpy(y[batch]))
        adam.zero_grad()
        its_loss.backward()
        adam.step()
        losses.append([float(loss), its_loss.item()])
    losses = np.array(losses)
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=0, atol=1e-3)
    assert losses[-10:].mean() < 0.7 * losses[:10].mean()
