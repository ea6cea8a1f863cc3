"""What an encoder leaves out, makes up and refuses to be restored from."""

import copy
import tracemalloc

import numpy as np
import pytest

from data import Table, TableEncoder


def table(**columns):
    columns = {name.replace("__", " "): [str(value) for value in values] for name, values in columns.items()}
    rows = len(next(iter(columns.values())))
    return Table("some.csv", columns, list(range(2, rows + 2)))


RNG = np.random.default_rng(0)
ROWS = 40
X, Y = RNG.normal(size=ROWS).round(3), RNG.normal(size=ROWS).round(3)


# Left out, and told


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("n", range(ROWS), "it counts the rows"),
        ("n", range(1, ROWS + 1), "it counts the rows"),
        ("n", range(0, 2 * ROWS, 2), None),
        ("n", [0, 0, *range(2, ROWS)], None),
        ("user_id", RNG.permutation(ROWS), "ids"),
        ("PassengerId", RNG.permutation(ROWS), "ids"),
        ("ID", RNG.permutation(ROWS), "ids"),
        ("width", RNG.permutation(ROWS), None),
        ("grid", RNG.permutation(ROWS), None),
        ("user_id", [row % 5 for row in range(ROWS)], None),
        ("day", [f"2024-01-{row % 28 + 1:02}" for row in range(ROWS)], "dates"),
        ("day", [f"{row % 28 + 1}.1.2024" for row in range(ROWS)], "dates"),
        ("day", [f"2024/1/{row % 28 + 1} 12:30:00" for row in range(ROWS)], "dates"),
        ("who", [f"person {row}" for row in range(ROWS)], f"{ROWS} different texts in {ROWS} rows"),
        ("what", ["red", "blue"] * (ROWS // 2), None),
        ("(column 1)", [row % 3 for row in range(ROWS)], "it has no name"),
    ],
)
def test_columns_that_say_nothing_are_left_out_unless_asked_for(name, values, reason):
    got = table(**{name: values, "x": X, "y": Y})
    encoder = TableEncoder(got, "y", text="onehot")
    assert encoder.left_out == ({name: reason} if reason else {})
    assert encoder.inputs == (["x"] if reason else [name, "x"])
    asked = TableEncoder(got, "y", include=[name])
    assert asked.inputs == [name, "x"] and not asked.left_out
    assert np.isfinite(asked.fit(got).transform(got)).all()


def test_a_few_rows_prove_nothing_and_a_single_input_is_used():
    few = table(n=range(9), who=[f"person {row}" for row in range(9)], x=X[:9], y=Y[:9])
    assert TableEncoder(few, "y", text="onehot").inputs == ["n", "who", "x"]
    assert TableEncoder(table(n=range(ROWS), y=Y), "y").inputs == ["n"]


def test_text_is_left_out_with_a_word():
    got = table(what=["red", "blue"] * (ROWS // 2), x=X, y=Y)
    assert TableEncoder(got, "y").left_out == {"what": "text"}
    with pytest.raises(ValueError, match=r"left out are 'what' \(text\): include=\['what'\] asks for one"):
        TableEncoder(got, "y", exclude=["x"])


# Exact


def test_large_targets_keep_their_digits():
    got = table(x=X, y=1_700_000_000 + np.arange(ROWS))
    y = TableEncoder(got, "y").transform_target(got)
    assert y[:, 0].tolist() == list(range(1_700_000_000, 1_700_000_000 + ROWS))


def test_large_features_are_standardised_before_they_lose_digits():
    got = table(x=1_700_000_000 + RNG.permutation(ROWS), y=Y)
    x = TableEncoder(got, "y").fit(got).transform(got)
    assert len(np.unique(x)) == ROWS and abs(x.std() - 1) < 1e-6


def test_labels_that_a_float_would_merge_are_two_classes():
    got = table(x=X[:4], y=[2**60, 2**60 + 1, 2**60 + 1, 2**60])
    encoder = TableEncoder(got, "y")
    assert encoder.classes == [2**60, 2**60 + 1] and encoder.transform_target(got).tolist() == [0, 1, 1, 0]


# Made up, and told

PETS = table(colour=["red", "grey", "grey", "red"], weight=[1, 2, 3, 6], kind=["a", "b", "b", "a"])


@pytest.mark.parametrize("missing", ["refuse", "drop", "mean"])
def test_every_row_of_a_second_file_gets_features(missing):
    encoder = TableEncoder(PETS, "kind", text="onehot", missing=missing).fit(PETS)
    new = table(weight=[3, "", 6, ""], colour=["red", "blue", "", "grey"])
    x = encoder.transform(new, strict=False)
    np.testing.assert_allclose(x[:, :2], [[0, 1], [0.5, 0.5], [0.5, 0.5], [1, 0]])
    np.testing.assert_allclose(x[:, 2], [0, 0, 3 / np.std([1, 2, 3, 6]), 0], atol=1e-7)
    assert encoder.gaps(new) == [
        "",
        "colour has the unknown value blue; weight is missing",
        "colour is missing",
        "weight is missing",
    ]
    with pytest.raises(ValueError, match=r"unknown value 'blue'|rows lack 'weight'"):
        encoder.transform(new)


def test_the_frequencies_of_levels_are_those_of_the_values_there_are():
    gaps = table(colour=["red", "", "grey", "grey", "grey", ""], t=range(6))
    x = TableEncoder(gaps, "t", text="onehot", missing="mean").fit(gaps, np.arange(5)).transform(gaps)
    np.testing.assert_allclose(x[[1, 5]], [[3 / 4, 1 / 4]] * 2)


def test_all_columns_with_gaps_are_named_at_once():
    gaps = table(a=["", 2, ""], b=[1, 2, ""], t=[1, 2, 3])
    with pytest.raises(ValueError) as caught:
        TableEncoder(gaps, "t").fit(gaps)
    assert str(caught.value) == (
        "some.csv: 2 rows lack 'a' (the first is line 2), 1 row lacks 'b' (line 4): "
        "missing='mean' fills them in, missing='drop' leaves the rows out"
    )


# Memory


def test_features_of_many_levels_are_made_within_memory_or_refused():
    levels = [f"city {row % 500}" for row in range(5000)]
    got = table(city=levels, y=range(5000))
    encoder = TableEncoder(got, "y", text="onehot").fit(got)
    tracemalloc.start()
    x = encoder.transform(got)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert x.shape == (5000, 500) and (x.sum(axis=1) == 1).all() and peak < 1.5 * x.nbytes
    rows = 40_000
    got = table(city=[f"city {row % 10_000}" for row in range(rows)], y=range(rows))
    with pytest.raises(ValueError, match=r"'city' has 10,000 different texts in 40,000 rows.* exclude=\['city'\]"):
        TableEncoder(got, "y", text="onehot")


# Settings


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"standardize": "yes"}, TypeError, "standardize to be True or False, got 'yes'"),
        ({"exclude": "x"}, TypeError, r"exclude to be a list of names, got 'x': write \['x'\]"),
        ({"exclude": 3}, TypeError, "exclude to be a list of names, got 3"),
        ({"include": [1]}, TypeError, r"include to be a list of names, got \[1\]"),
        ({"include": ["z"]}, ValueError, "no input column 'z'"),
        ({"missing": None}, ValueError, "missing to be one of"),
        ({"task": ["regression"]}, ValueError, "task to be one of"),
    ],
)
def test_settings_refused(settings, error, text):
    with pytest.raises(error, match=text):
        TableEncoder(PETS, "kind", **settings)


# States


@pytest.mark.parametrize("state", [None, 3, "state", [], [("target", "kind")]])
def test_what_is_no_state_is_refused(state):
    with pytest.raises(TypeError, match="the state to be a dict"):
        TableEncoder.from_state_dict(state)


FINE = TableEncoder(PETS, "kind", text="onehot").fit(PETS).state_dict()
ANYTHING = [
    None,
    True,
    -1,
    1.5,
    "abc",
    b"abc",
    [],
    [1],
    {},
    {"a": 1},
    (),
    np.zeros(2),
    np.zeros((3, 1)),
    np.array(["x"]),
]


@pytest.mark.parametrize("name", FINE)
@pytest.mark.parametrize("value", [*ANYTHING, np.full(3, np.nan), np.zeros(3, np.float32), [[1]], ["x", "x"]])
def test_a_state_with_anything_in_it_is_refused(name, value):
    if (name, repr(value)) in [("target", "'abc'"), ("standardize", "True"), ("classes", "[1]")]:
        return  # these are fine
    with pytest.raises(ValueError, match=f"TableEncoder expects the state's {name} to be"):
        TableEncoder.from_state_dict({**copy.deepcopy(FINE), name: value})


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": ["colour"]},
        {"inputs": ["colour", "colour"]},
        {"inputs": ["colour", "kind"]},
        {"levels": [["grey", "red"]]},
        {"levels": [["grey", "grey"], []]},
        {"classes": ["a", "a"]},
        {"classes": [1, True]},
        {"task": "regression"},
        {"scale": np.array([1.0, 1.0, 0.0])},
        {"scale": np.zeros(0)},
        {"mean": np.zeros(0)},
    ],
)
def test_a_state_that_does_not_fit_together_is_refused(change):
    with pytest.raises(ValueError, match="TableEncoder expects the state's"):
        TableEncoder.from_state_dict({**FINE, **change})


def test_unknown_entries_are_refused_and_a_state_before_fit_is_fine():
    with pytest.raises(ValueError, match="unknown entries, colour"):
        TableEncoder.from_state_dict({**FINE, "colour": 1})
    state = TableEncoder(PETS, "kind").state_dict()
    with pytest.raises(RuntimeError, match="call fit first"):
        TableEncoder.from_state_dict(state).transform(PETS)


def test_columns_are_told_in_their_order():
    columns = {
        "origin": ["US", "JP", "US", ""],
        "weight": ["3500", "2100", "2800", "2800"],
        "mpg": ["1", "2", "3", "4"],
    }
    table = Table("cars.csv", columns, lines=[2, 3, 4, 5])
    encoder = TableEncoder(table, "mpg", text="onehot", missing="mean", standardize=False)
    with pytest.raises(RuntimeError, match="columns needs what fit learns: call fit first"):
        encoder.columns()
    assert encoder.fit(table).columns() == [
        {"name": "origin", "levels": ["JP", "US"], "mean": pytest.approx([1 / 3, 2 / 3])},
        {"name": "weight", "shift": 0.0, "scale": 1.0, "mean": 2800.0},
    ]
