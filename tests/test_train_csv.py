"""Tables that people have: how train_csv.py reads them, what it tells of its scores, what it answers to odd ones."""

import csv
import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))


class Done(NamedTuple):
    code: object  # None, or the message that the script ended with
    out: str
    err: str


@pytest.fixture
def csv_script(monkeypatch, capsys, tmp_path):
    """A run of train_csv.py within this process, in a folder of its own."""
    import train_csv

    monkeypatch.chdir(tmp_path)

    def run(*args):
        code = None
        try:
            monkeypatch.setattr(sys, "argv", ["train_csv.py", *map(str, args)])
            train_csv.main()
        except SystemExit as end:
            code = end.code
        return Done(code, *capsys.readouterr())

    return run


def as_csv(path, **columns):
    rows = [columns, *zip(*columns.values(), strict=True)]
    path.write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n", encoding="utf-8")
    return path.name


def strict_json(path):
    def refuse(constant):
        raise ValueError(constant)

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def test_csv_large_numbers_are_no_perfect_score(csv_script, tmp_path):
    x = np.random.default_rng(0).permutation(300)
    name = as_csv(tmp_path / "t.csv", x=x, y=1_700_000_000 + x)
    done = csv_script(name, "--target", "y", "--epochs", 60, "--metrics", "m.json", "--save", "m")
    metrics = strict_json(tmp_path / "m.json")
    assert 0.01 < metrics["test_rmse"] < 5 and 80 < metrics["baseline_rmse"] < 100  # a float32 tells steps of 128 apart
    assert f"test_rmse    {metrics['test_rmse']:<9.4f} baseline {metrics['baseline_rmse']:.4f}" in done.out
    rows = list(csv.DictReader(csv_script(name, "--predict", "m").out.splitlines()))
    error = [float(row["predicted_y"]) - float(row["y"]) for row in rows]
    assert metrics["test_rmse"] / 3 < np.sqrt(np.mean(np.square(error))) < 3 * metrics["test_rmse"]
    assert len({row["predicted_y"] for row in rows}) == 300


def test_csv_labels_keep_all_their_digits(csv_script, tmp_path):
    x = np.random.default_rng(0).normal(size=60)
    name = as_csv(tmp_path / "t.csv", x=x, y=[2**60 + int(value > 0) for value in x])
    assert "classification of 2 classes" in csv_script(name, "--target", "y", "--epochs", 20, "--save", "m").out
    rows = list(csv.DictReader(csv_script(name, "--predict", "m").out.splitlines()))
    assert sum(row["y"] == row["predicted_y"] for row in rows) > 50
    assert {row["predicted_y"] for row in rows} == {str(2**60), str(2**60 + 1)}


def test_csv_as_it_is_written_elsewhere(csv_script, tmp_path):
    rng = np.random.default_rng(0)
    lines = ["größe;wert;art"]
    lines += [f"{a:.2f};{b:,.1f};{'süß' if a > 0 else 'herb'}" for a, b in rng.normal(size=(40, 2)) * [1, 5000]]
    swapped = "\n".join(lines).translate(str.maketrans(",.", ".,"))
    (tmp_path / "t.csv").write_bytes(swapped.encode("latin-1"))
    done = csv_script("t.csv", "--target", "art", "--epochs", 40, "--save", "m")
    assert "separator semicolon, decimal comma, encoding cp1252 (--sep" in done.out and "2 from 2 columns" in done.out
    written = csv_script("t.csv", "--predict", "m", "--proba").out
    rows = list(csv.DictReader(written.splitlines(), delimiter=";"))
    assert list(rows[0]) == [
        "größe",
        "wert",
        "art",
        "predicted_art",
        "probability_herb",
        "probability_süß",
        "filled_in",
    ]
    herbs = [row["probability_herb"] for row in rows]
    assert any("," in text for text in herbs) and not any("." in text for text in herbs)
    for row in rows:
        herb, sweet = (float(row[f"probability_{name}"].replace(",", ".")) for name in ("herb", "süß"))
        assert herb + sweet == pytest.approx(1, abs=1e-5) and (sweet > herb) == (row["predicted_art"] == "süß")
    assert [row["wert"] for row in rows] == [line.split(";")[1] for line in swapped.splitlines()[1:]]


def test_csv_predict_answers_every_row(csv_script, tmp_path):
    rng = np.random.default_rng(0)
    name = as_csv(tmp_path / "t.csv", x=rng.normal(size=50), kind=["u", "v"] * 25, y=rng.normal(size=50))
    assert csv_script(name, "--target", "y", "--text", "onehot", "--epochs", 2, "--save", "m").code is None
    (tmp_path / "new.csv").write_text("predicted_y,kind,x\nmine,u,1\n,w,n/a\n,,2\n,v,0\n", encoding="utf-8")
    done = csv_script("new.csv", "--predict", "m", "--out", "out.csv")
    assert done.code is None and "2 of 4 rows lack a value or have an unknown one" in done.err
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["predicted_y"] for row in rows] == ["mine", "", "", ""]
    assert all(np.isfinite(float(row["predicted_y_"])) for row in rows)
    expected = ["", "x is missing; kind has the unknown value w", "kind is missing", ""]
    assert [row["filled_in"] for row in rows] == expected
    assert "--proba belongs to a classification" in csv_script("new.csv", "--predict", "m", "--proba").code


def test_csv_tells_what_it_leaves_out(csv_script, tmp_path):
    rng = np.random.default_rng(0)
    columns = {
        "": range(40),
        "x": rng.normal(size=40),
        "user_id": rng.permutation(40),
        "day": [f"2024-01-{row % 28 + 1}" for row in range(40)],
        "who": [f"person {row}" for row in range(40)],
        "kind": ["u", "v"] * 20,
        "y": rng.normal(size=40),
    }
    name = as_csv(tmp_path / "t.csv", **columns)
    out = csv_script(name, "--target", "y", "--epochs", 1).out
    assert "features     1 from 1 columns" in out
    for text in (
        "(column 1) (it has no name;",
        "user_id (ids;",
        "day (dates;",
        "who (40 different texts",
        "kind (text;",
    ):
        assert f"left out     {text}" in out
    out = csv_script(name, "--target", "y", "--epochs", 1, "--include", "(column 1)", "user_id", "kind").out
    assert "features     5 from 4 columns" in out


def test_csv_scores_of_two_classes_and_class_weights(csv_script, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    y = np.where(rng.random(400) < 0.3 / (1 + np.exp(-8 * x)), "rare", "usual")
    name = as_csv(tmp_path / "t.csv", x=x, y=y)
    out = csv_script(name, "--target", "y", "--epochs", 8, "--metrics", "plain.json").out
    assert "never predicted, though there in the test rows: rare; --class-weight balanced" in out
    assert "baseline     always 'usual', the most frequent class of the training rows" in out
    assert "the validation loss was still falling at the last epoch: try --epochs 16" in out
    plain = strict_json(tmp_path / "plain.json")
    assert plain["test_accuracy"] == plain["baseline_accuracy"] and plain["baseline_roc_auc"] == 0.5
    assert plain["classes"][0] | {"rows": 0} == {
        "class": "rare", "rows": 0, "predicted": 0, "precision": None, "recall": 0, "f1": 0,
    }  # fmt: skip
    assert len(plain["notes"]) == 2
    csv_script(name, "--target", "y", "--epochs", 8, "--class-weight", "balanced", "--metrics", "balanced.json")
    balanced = strict_json(tmp_path / "balanced.json")
    assert balanced["classes"][0]["recall"] > 0.5 and balanced["test_macro_f1"] > plain["test_macro_f1"]
    refused = csv_script(name, "--target", "x", "--include", "y", "--class-weight", "balanced")
    assert "--class-weight belongs to a classification" in refused.code


@pytest.mark.parametrize(
    ("target", "note"),
    [
        (["same"] * 40, "y has one value in all rows: there is nothing to learn"),
        ([7.5] * 40, "y has one value in all rows: there is nothing to learn"),
        ([f"name {row}" for row in range(40)], "40 classes in 40 rows: is y a name, or a number"),
    ],
)
def test_csv_says_when_there_is_little_to_learn(csv_script, tmp_path, target, note):
    name = as_csv(tmp_path / "t.csv", x=np.random.default_rng(0).normal(size=40), y=target)
    done = csv_script(name, "--target", "y", "--epochs", 2, "--metrics", "m.json", "--plot", "p.png")
    assert done.code is None and note in done.out
    assert any(note in text for text in strict_json(tmp_path / "m.json")["notes"])


@pytest.mark.parametrize("target", [np.arange(40) / 7, ["u", "v"] * 20])
def test_csv_rows_far_beyond_the_others_are_told(csv_script, tmp_path, target):
    import train_csv

    x = np.arange(40) / 7000
    x[train_csv.split(40, np.random.default_rng(0))[2][0]] = 3e38  # a test row
    name = as_csv(tmp_path / "t.csv", x=x, y=target)
    done = csv_script(
        name, "--target", "y", "--epochs", 2, "--lr", 0.3, "--metrics", "m.json", "--save", "m", "--plot", "p.png"
    )
    note = "predictions are not finite: those rows lie far beyond the training rows"
    assert done.code is None and f"1 of 8 {note}" in done.out
    assert f"1 of 8 {note}" in strict_json(tmp_path / "m.json")["notes"]
    assert f"1 of 40 {note}" in csv_script(name, "--predict", "m").err


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--target", "y"], "'x' has 'odd' among numbers (1 of 20 values are none): --na odd makes it a missing value"),
        (["--target", "y"], "--text-columns x the column text, --exclude x leaves it out"),
        (["--target", "y", "--exclude", "x"], "left out are 'kind of' (text): --include 'kind of' asks for one"),
        (
            ["--target", "y", "--exclude", "x", "--encoding", "utf-32"],
            "not utf-32 text; without --encoding it is found",
        ),
        (["--target", "y", "--sep", "|"], "separated by '|', which --sep overrules"),
        (["--target", "kind of", "--proba"], 2),
        (["--target", "y", "--sep", "two"], 2),
    ],
)
def test_csv_refusals_name_their_flag(csv_script, tmp_path, args, text):
    x = ["odd", *range(3, 22)]
    name = as_csv(tmp_path / "t.csv", x=x, **{"kind of": ["u", "v"] * 10}, y=np.arange(20) / 7)
    code = csv_script(name, *args, "--epochs", 1).code
    assert code == text if text == 2 else text in code


ODD = {
    "nothing": b"",
    "blank lines": b"\n\n \n",
    "a header": b"x,y\n",
    "a bar": b"|",
    "half a mark": b"\xff\xfe",
    "zeros": b"\0" * 50,
    "no text": bytes(range(256)),
    "a zip file": b"PK\3\4\0\0",
    "a cut gzip file": b"\x1f\x8b\x08\0\0",
    "one column": b"y\n" + b"1\n2\n" * 10,
    "no target": b"a,b\n" + b"1,2\n" * 20,
    "ragged": b"x,y\n" + b"1,2\n" * 20 + b"1\n",
    "a huge field": b"x,y\n" + b"z" * 200_000 + b",1\n",
    "an open quote": b'x,y\n"1,2\n' + b"3,4\n" * 20,
    "the same name twice": b"y,y\n" + b"1,2\n" * 20,
    "no names": b",,\n" + b"1,2,3\n" * 20,
    "only gaps": b"x,y\n" + b",1.5\n" * 20,
    "targets without values": b"x,y\n" + b"1.5,\n" * 20,
    "infinity": b"x,y\n" + b"inf,1.5\n" * 20,
    "an infinite target": b"x,y\n" + b"1.5,inf\n2.5,1.25\n" * 10,
    "numbers without end": b"x,y\n" + b"9" * 5000 + b",1\n" + b"1,2\n" * 20,
    "numbers that overflow": b"x,y\n" + b"3e38,3e38\n-3e38,-3e38\n" * 10,
    "tiny numbers": b"x,y\n" + b"1e-300,1e-310\n2e-300,2e-310\n" * 10,
    "too many classes": b"x,y\n" + b"".join(b"%d.5,c%d\n" % (row, row) for row in range(1500)),
    "dollars": b"$x$,y\n" + b"1.5,$a_{\n2.5,\\b\n" * 10,
    "ten rows": b"x,y\n" + b"1.5,2\n" * 10,
}


@pytest.mark.parametrize("missing", ["refuse", "drop", "mean"])
@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_csv_odd_files_end_in_a_result_or_in_one_line(csv_script, tmp_path, content, missing):
    (tmp_path / "odd.csv").write_bytes(content)
    options = ["--missing", missing, "--text", "onehot", "--epochs", 2, "--hidden", 4]
    done = csv_script("odd.csv", "--target", "y", *options, "--metrics", "m.json", "--save", "m", "--plot", "p.png")
    if done.code is None:
        strict_json(tmp_path / "m.json")
        done = csv_script("odd.csv", "--predict", "m")
        assert done.code is None and len(done.out.splitlines()) == len(content.splitlines())
    else:
        assert "odd.csv" in done.code and "\n" not in done.code and not (tmp_path / "m").exists()


def state_of(kind, path):
    """Change a saved model: what its parts become."""
    state = nn.load(path)
    weights, unknown = state["model"], dict.fromkeys(("mean", "shift", "scale"), np.zeros(0))
    changes = {
        "none": None,
        "list": [],
        "empty": {},
        "no encoder": {**state, "encoder": None},
        "other encoder": {**state, "encoder": {**state["encoder"], "inputs": 3}},
        "not fitted": {**state, "encoder": {**state["encoder"], **unknown}},
        "text": {**state, "target_mean": "abc"},
        "NaN": {**state, "target_std": float("nan")},
        "no model": {**state, "model": None},
        "no weights": {**state, "model": {}},
        "wrong shape": {**state, "model": {**weights, "0.weight": np.zeros((2, 2))}},
        "a number": {**state, "model": {**weights, "0.bias": np.float64(3)}},
    }  # fmt: skip
    return changes[kind]


@pytest.mark.parametrize(
    "kind",
    ["none", "list", "empty", "no encoder", "other encoder", "not fitted", "text", "NaN", "no model", "no weights",
     "wrong shape", "a number"],
)  # fmt: skip
def test_csv_a_changed_model_is_refused(csv_script, tmp_path, kind):
    name = as_csv(tmp_path / "t.csv", x=np.arange(20) / 7, y=np.arange(20) / 3)
    csv_script(name, "--target", "y", "--epochs", 1, "--save", "m")
    nn.save(state_of(kind, "m"), "changed")
    assert "changed is no model that this script saved" in csv_script(name, "--predict", "changed").code
