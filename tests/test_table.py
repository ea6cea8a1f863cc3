"""CSV files: what is read, what is refused and where, and encoders that treat every table alike."""

import copy
import gzip
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nn
from data import Table, TableEncoder, infer_task, load_auto_mpg, load_csv, load_digits, read_table


@pytest.fixture
def write(tmp_path):
    def write(text, name="table.csv"):
        path = tmp_path / name
        content = text if isinstance(text, bytes) else text.encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


def table(**columns):
    columns = {name: [str(value) for value in values] for name, values in columns.items()}
    rows = len(next(iter(columns.values())))
    return Table("some.csv", columns, list(range(2, rows + 2)))


# Reading


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,x\n2,y\n",
        "a,b\r\n1,x\r\n2,y",
        "\ufeffa,b\n1,x\n2,y\n",
        ' "a" ,b\n1, x \n\n\t2 ,"y "\n\n  \n'.replace(' "a" ', '"a"'),
    ],
)
def test_read(write, text, name):
    path = write(text, name)
    for given_path in (path, str(path)):
        got = read_table(given_path)
        assert got.columns == {"a": ["1", "2"], "b": ["x", "y"]}
        assert got.path == str(path) and len(got) == 2


def test_quoted_fields_and_lines(write):
    got = read_table(write('a,"b, c"\n"1\n2","say ""hi"""\n\n3,ü\n'))
    assert got.columns == {"a": ["1\n2", "3"], "b, c": ['say "hi"', "ü"]}
    assert got.lines == [2, 5]


def test_missing_values(write):
    got = read_table(write("a,b\nNA,nan\n?,NULL\n , NaN \n0,none\n"))
    assert got["a"] == ["", "", "", "0"] and got["b"] == ["", "", "", "none"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": the file is empty"),
        ("\n\n", ": the file is empty"),
        ("a,b\n", ": a header, but no rows"),
        ("a,b\n1,2\n3\n", ", line 3: expected 2 fields, got 1"),
        ("a,b\n1,2\n\n3,4,5\n", ", line 4: expected 2 fields, got 3"),
        ('a,b\n"1\n1",2\n3,4,5\n', ", line 4: expected 2 fields, got 3"),
        ("a,b,a\n1,2,3\n", ", line 1: more than one column is named 'a'"),
        ("a, a\n1,2\n", ", line 1: more than one column is named 'a'"),
        ("a;b;a\n1;2;3\n", ", line 1: more than one column is named 'a'"),
        ('a,b\n1,2\n3,"4\n5,6\n', ", line 3: unexpected end of data"),
        ('a,b\n1,2\n3,"4"5\n', ", line 3: "),
        ("a,b\n1,2\n3,\0\n", ", line 3: a NUL character"),
        (b"PK\3\4\0\0\0 an Excel workbook", ", line 1: a NUL character, so this is no text; save the table as CSV"),
        ("a b\n1,2 3\n", ", line 2: expected 1 fields, got 2; they are taken to be separated by ','"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(write, text, message):
    for name in ("table.csv", "table.csv.gz"):
        path = write(text, name)
        with pytest.raises(ValueError) as caught:
            read_table(path)
        assert str(caught.value).startswith(f"{path}{message}")


def test_a_broken_gzip_file(write, tmp_path):
    whole = gzip.compress(b"a,b\n1,2\n" * 50)
    flipped = bytearray(whole)
    flipped[-6] ^= 1
    for content in (whole[:-3], whole[:20], whole[:5], bytes(flipped), whole[:10] + b"\xff" * 20):
        for name in ("broken.csv.gz", "broken.csv"):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(ValueError, match=rf"{name}: broken gzip file"):
                read_table(tmp_path / name)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        read_table(tmp_path / "none.csv")


def test_a_missing_column_is_answered_with_those_there():
    with pytest.raises(ValueError, match="no column 'c'; the columns are a, b"):
        table(a=[1], b=[2])["c"]


def test_drop_missing():
    got = table(a=[1, "", 3, 4], b=["x", "y", "", "z"], c=["", 1, 2, 3])
    kept = got.drop_missing(["a", "b"])
    assert kept.columns == {"a": ["1", "4"], "b": ["x", "z"], "c": ["", "3"]}
    assert kept.lines == [2, 5] and kept.path == got.path and len(got) == 4
    with pytest.raises(ValueError, match="every row has a missing value"):
        table(a=[1, ""], b=["", 2]).drop_missing(["a", "b"])


# What a column holds


def test_numbers():
    got = table(a=["1", "-2.5", "", "1e3", "+.5"]).numbers("a")
    np.testing.assert_array_equal(got, [1, -2.5, np.nan, 1000, 0.5])
    assert got.dtype == np.float64


@pytest.mark.parametrize("value", ["x", "inf", "-Infinity", "1e39", "1_000", "-nan", "1,5"])
def test_what_is_no_finite_number(value):
    with pytest.raises(ValueError, match=rf"some\.csv, line 3: column 'a' expects a finite number, got '{value}'"):
        table(a=["1", value, "y"]).numbers("a")


def test_is_text():
    assert table(a=["x", "", "1_000"]).is_text("a")
    assert not table(a=["1", "", "2e5"]).is_text("a")
    with pytest.raises(ValueError, match="line 4: column 'a' has 'x' among numbers"):
        table(a=["1", "", "x", "y"]).is_text("a")
    with pytest.raises(ValueError, match="column 'a' has no values"):
        table(a=["", ""]).is_text("a")


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["yes", "no"], "classification"),
        (["True", "false"], "classification"),
        ([1, 0, 1, ""], "classification"),
        (["1.0", "2", "3e0"], "classification"),
        ([1, 0.5], "regression"),
        (list(range(20)) * 2, "classification"),
        (list(range(21)), "regression"),
        (range(0, 2100, 100), "regression"),
    ],
)
def test_infer_task(values, task):
    assert infer_task(table(t=values), "t") == task


def test_infer_task_refuses_a_mixture():
    with pytest.raises(ValueError, match="line 3: column 't' has 'x' among numbers"):
        infer_task(table(t=[1, "x"]), "t")


# Encoding

CARS = table(
    weight=[10, 20, 30, 1000],
    origin=["US", "JP", "US", "EU"],
    doors=[2, 4, 4, 2],
    mpg=[1.5, 2.5, 3.5, 4.5],
)


def encode(*args, rows=None, **settings):
    return TableEncoder(*args, **settings).fit(args[0], rows)


def test_standardised_by_the_training_rows_alone():
    rows = np.array([0, 1, 2])
    encoder = encode(CARS, "mpg", rows=rows)
    x = encoder.transform(CARS)
    assert encoder.feature_names == ["weight", "doors"] and x.dtype == np.float32 and x.shape == (4, 2)
    np.testing.assert_allclose(x[:3].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(x[:3].std(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(x[3, 0], (1000 - 20) / np.std([10, 20, 30]), rtol=1e-6)
    others = copy.deepcopy(CARS)
    others.columns["weight"][3] = "-5"
    np.testing.assert_array_equal(encode(others, "mpg", rows=rows).transform(others)[:3], x[:3])


def test_filled_in_with_the_mean_of_the_training_rows_alone():
    gaps = table(a=[1, "", 3, 100], b=["x", "y", "y", ""], t=[0.5, 1, 2, 3])
    encoder = encode(gaps, "t", rows=[0, 1, 2], missing="mean", text="onehot", standardize=False)
    np.testing.assert_allclose(encoder.transform(gaps), [[1, 1, 0], [2, 0, 1], [3, 0, 1], [100, 1 / 3, 2 / 3]])
    encoder = encode(gaps, "t", rows=[0, 1, 2], missing="mean")
    np.testing.assert_allclose(encoder.transform(gaps)[:, 0], [-1, 0, 1, 98], rtol=1e-6)


def test_one_hot():
    encoder = encode(CARS, "mpg", rows=[0, 1], text="onehot", text_columns=["doors"])
    assert encoder.feature_names == ["weight", "origin=EU", "origin=JP", "origin=US", "doors=2", "doors=4"]
    expected = [[0, 0, 1, 1, 0], [0, 1, 0, 0, 1], [0, 0, 1, 0, 1], [1, 0, 0, 1, 0]]
    np.testing.assert_array_equal(encoder.transform(CARS)[:, 1:], expected)


def test_text_columns_and_exclude_leave_out():
    assert TableEncoder(CARS, "mpg", text_columns=["doors"]).feature_names == ["weight"]
    assert TableEncoder(CARS, "mpg", exclude=["weight", "origin"], text="onehot").feature_names == ["doors"]
    mixed = table(a=[1, "x"], b=["", ""], c=[1, 2], t=[0.5, 1])
    assert encode(mixed, "t", text="onehot", text_columns=["a"], exclude=["b"]).transform(mixed).shape == (2, 3)


@pytest.mark.parametrize(("value", "last"), [("0.1", "0.1"), ("3", "3"), ("1e30", "1e30"), ("0", "1e-200")])
def test_a_constant_column_becomes_zero(value, last):
    constant = table(a=[value] * 6 + [last], t=[0.5] * 7)
    assert not encode(constant, "t").transform(constant).any()


def test_a_number_far_beyond_the_training_rows_stays_finite():
    got = table(a=[0, 3e-38, 7], t=[0.5, 1, 2])
    x = encode(got, "t", rows=[0, 1]).transform(got)
    assert np.isfinite(x).all() and x[2, 0] > 3e38


def test_drop():
    gaps = table(a=[1, "", 3, 4], b=["x", "y", "", "z"], t=[0.5, 1, 2, ""])
    encoder = TableEncoder(gaps, "t", missing="drop")
    assert encoder.drop_missing(gaps).lines == [2, 4]  # b is not used, so its gap does not count
    assert encoder.drop_missing(gaps, target=False).lines == [2, 4, 5]
    assert TableEncoder(gaps, "t", missing="drop", text="onehot").drop_missing(gaps).lines == [2]
    mean = TableEncoder(gaps, "t", missing="mean")
    assert mean.drop_missing(gaps).lines == [2, 3, 4] and mean.drop_missing(gaps, target=False) is gaps
    assert TableEncoder(gaps, "t").drop_missing(gaps) is gaps


@pytest.mark.parametrize("missing", ["refuse", "drop"])
def test_a_missing_value_is_refused_with_its_line(missing):
    for name, values in (("a", [1, "", ""]), ("b", ["x", "", "y"])):
        gaps = table(**{"c": [1, 2, 3], name: values, "t": [0.5, 1, 2]})
        count = "2 rows lack 'a' (the first is line 3)" if name == "a" else "1 row lacks 'b' (line 3)"
        with pytest.raises(ValueError, match=re.escape(f"some.csv: {count}: ")):
            encode(gaps, "t", missing=missing, text="onehot")


@pytest.mark.parametrize("missing", ["refuse", "drop", "mean"])
@pytest.mark.parametrize("values", [[0.5, "", 1], ["x", "", "y"]])
def test_a_missing_target_is_never_made_up(missing, values):
    gaps = table(a=[1, 2, 3], t=values)
    encoder = encode(gaps, "t", missing=missing)
    with pytest.raises(ValueError, match=r"some\.csv: 1 row lacks 't' \(line 3\): a target is never made up"):
        encoder.transform_target(gaps)


def test_targets():
    y = TableEncoder(CARS, "mpg").transform_target(CARS)
    assert y.dtype == np.float64 and y.tolist() == [[1.5], [2.5], [3.5], [4.5]]
    encoder = TableEncoder(CARS, "origin")
    y = encoder.transform_target(CARS)
    assert (encoder.task, encoder.classes) == ("classification", ["EU", "JP", "US"])
    assert y.dtype == np.int64 and y.tolist() == [2, 1, 2, 0]


def test_number_classes_are_numbers():
    got = table(a=[1, 2, 3, 4], t=["10", "9", "9.0", "-1"])
    encoder = TableEncoder(got, "t")
    assert encoder.classes == [-1, 9, 10] and encoder.transform_target(got).tolist() == [2, 1, 1, 0]
    got = table(a=[1, 2, 3], t=["0.5", "b", "0.25"])
    encoder = TableEncoder(got, "t", task="classification")
    assert encoder.classes == [0.25, 0.5, "b"] and encoder.transform_target(got).tolist() == [1, 2, 0]


def test_what_is_no_finite_number_is_a_class_by_its_text():
    got = table(a=[1, 2, 3, 4], t=["inf", "1", "-nan", "-nan"])
    encoder = TableEncoder(got, "t", task="classification")
    assert encoder.classes == [1, "-nan", "inf"] and encoder.transform_target(got).tolist() == [2, 0, 1, 1]


def test_a_task_may_be_given():
    encoder = TableEncoder(CARS, "doors", task="regression")
    assert encoder.classes == [] and encoder.transform_target(CARS).tolist() == [[2], [4], [4], [2]]
    assert TableEncoder(CARS, "mpg", task="classification").classes == [1.5, 2.5, 3.5, 4.5]
    with pytest.raises(ValueError, match="line 2: column 'origin' expects a finite number, got 'US'"):
        TableEncoder(CARS, "origin", task="regression").transform_target(CARS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": "price"}, "no column 'price'; the columns are weight, origin, doors, mpg"),
        ({"target": "price", "task": "regression"}, "no column 'price'"),
        ({"task": "ranking"}, "TableEncoder expects task to be one of .* got 'ranking'"),
        ({"missing": "zero"}, "TableEncoder expects missing to be one of .* got 'zero'"),
        ({"text": "hash"}, "TableEncoder expects text to be one of .* got 'hash'"),
        ({"exclude": ["wieght"]}, "no input column 'wieght'; the columns are weight"),
        ({"text_columns": ["mpg"]}, "no input column 'mpg'"),
        ({"exclude": ["weight", "doors"]}, "no input column is left beside the target 'mpg'"),
    ],
)
def test_settings_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TableEncoder(CARS, **{"target": "mpg", **settings})


def test_columns_refused():
    with pytest.raises(ValueError, match="line 3: column 'a' has 'x' among numbers"):
        TableEncoder(table(a=[1, "x"], t=[0.5, 1]), "t")
    with pytest.raises(ValueError, match="column 'a' has no values"):
        TableEncoder(table(a=["", ""], b=[1, 2], t=[0.5, 1]), "t", missing="mean")
    with pytest.raises(ValueError, match="line 2: column 'a' expects a finite number, got 'inf'"):
        encode(table(a=["inf", 1], t=[0.5, 1]), "t")


def test_fit_needs_values_in_the_training_rows():
    gaps = table(a=[1, 2, ""], b=[1, 2, 3], t=[0.5, 1, 2])
    with pytest.raises(ValueError, match="'a' has no value in the 1 rows to fit on"):
        encode(gaps, "t", rows=[2], missing="mean")
    with pytest.raises(ValueError, match="in the 0 rows to fit on"):
        encode(CARS, "mpg", rows=np.array([], int))
    with pytest.raises(RuntimeError, match="call fit first"):
        TableEncoder(CARS, "mpg").transform(CARS)


# A second file


@pytest.fixture
def restored():
    encoder = encode(CARS, "mpg", rows=[0, 1, 2], text="onehot", text_columns=["doors"])
    return TableEncoder.from_state_dict(encoder.state_dict())


def test_columns_may_be_moved_added_and_without_the_target(restored):
    other = table(colour=["red"], doors=[4], origin=["EU"], weight=[20])
    np.testing.assert_array_equal(restored.transform(other), [[0, 1, 0, 0, 0, 1]])
    with pytest.raises(ValueError, match="no column 'mpg'"):
        restored.transform_target(other)


def test_a_missing_column_is_named(restored):
    with pytest.raises(ValueError, match=r"some\.csv: no column 'origin'; the columns are weight, doors"):
        restored.transform(table(weight=[1], doors=[2]))


def test_an_unknown_level_is_named_with_its_line(restored):
    with pytest.raises(
        ValueError, match=r"some\.csv, line 3: column 'doors' has the unknown value '3'; known are 2, 4"
    ):
        restored.transform(table(weight=[1, 2], doors=[2, 3], origin=["US", "US"]))


def test_text_in_a_numeric_column_is_named_with_its_line(restored):
    with pytest.raises(ValueError, match=r"some\.csv, line 3: column 'weight' expects a finite number, got 'heavy'"):
        restored.transform(table(weight=[1, "heavy"], doors=[2, 2], origin=["US", "US"]))


def test_text_stays_text_though_it_looks_numeric():
    encoder = encode(table(code=["x1", "x2"], t=[0.5, 1]), "t", text="onehot")
    with pytest.raises(ValueError, match="line 2: column 'code' has the unknown value '7'; known are x1, x2"):
        encoder.transform(table(code=[7, 8]))


def test_an_unknown_class_is_named_with_its_line():
    encoder = TableEncoder(table(a=range(25), t=[f"k{i:02}" for i in range(25)]), "t")
    with pytest.raises(
        ValueError, match=r"line 3: column 't' has the unknown value 'z'; known are k00, .*, k19, \.\.\. \(25 in all\)"
    ):
        encoder.transform_target(table(a=[1, 2], t=["k01", "z"]))


@given(st.data())
def test_a_restored_encoder_is_the_same(data):
    rows = data.draw(st.integers(2, 8))

    def column(values):
        return data.draw(st.lists(values, min_size=rows, max_size=rows))

    got = table(
        a=column(st.floats(-1e6, 1e6)),
        b=column(st.sampled_from("uvw")),
        c=column(st.integers(0, 3)),
        t=column(st.sampled_from(["no", "yes"])),
    )
    encoder = encode(got, "t", rows=[0, 1], text="onehot", text_columns=["c"])
    state = encoder.state_dict()
    kept = copy.deepcopy(state)
    restored = TableEncoder.from_state_dict(state)
    for entry in state.values():
        assert isinstance(entry, str | bool | list | np.ndarray)
        if isinstance(entry, np.ndarray):
            entry[...] = np.nan  # neither encoder may feel this
    for same in (encoder, restored, TableEncoder.from_state_dict(kept)):
        x = same.transform(got)
        assert np.isfinite(x).all() and x.shape == (rows, len(same.feature_names))
        np.testing.assert_array_equal(x, encoder.transform(got))
        np.testing.assert_array_equal(same.transform_target(got), encoder.transform_target(got))
        assert (same.classes, same.feature_names, same.task) == (encoder.classes, encoder.feature_names, encoder.task)


def test_saved_and_loaded(tmp_path):
    for target in ("mpg", "origin"):
        encoder = encode(CARS, target, text="onehot", text_columns=["doors"])
        nn.save(encoder.state_dict(), tmp_path / "encoder.npz")
        restored = TableEncoder.from_state_dict(nn.load(tmp_path / "encoder.npz"))
        np.testing.assert_array_equal(restored.transform(CARS), encoder.transform(CARS))
        np.testing.assert_array_equal(restored.transform_target(CARS), encoder.transform_target(CARS))
        assert restored.feature_names == encoder.feature_names and restored.classes == encoder.classes


def test_a_state_that_lacks_entries_is_refused():
    state = TableEncoder(CARS, "mpg").state_dict()
    del state["mean"], state["levels"]
    with pytest.raises(ValueError, match=r"lacks \['levels', 'mean'\]"):
        TableEncoder.from_state_dict(state)


# Whole files


def test_load_csv(write):
    path = write("a,b,name,t\n1,2,x,no\n3,,y,yes\n5,6,z,no\n")
    x, y = load_csv(path, "t", missing="drop")
    assert x.tolist() == [[1, 2], [5, 6]] and x.dtype == np.float32
    assert y.tolist() == [0, 0] and y.dtype == np.int64
    x, y = load_csv(path, target="t", missing="mean", text="onehot", text_columns=["a"], exclude=["name"])
    assert x.tolist() == [[1, 0, 0, 2], [0, 1, 0, 4], [0, 0, 1, 6]] and y.tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match=r"table\.csv: 1 row lacks 'b' \(line 3\)"):
        load_csv(path, "t")


def test_auto_mpg():
    x, y = load_auto_mpg()
    assert x.shape == (392, 7) and y.shape == (392, 1) and x.dtype == y.dtype == np.float32
    assert x[0].tolist() == [8, 307, 130, 3504, 12, 70, 1] and y[0] == 18
    assert round(float(y.mean()), 2) == 23.45


def test_digits():
    x, y = load_digits()
    assert x.shape == (1797, 64) and y.shape == (1797,) and (x.dtype, y.dtype) == (np.float32, np.int64)
    assert x.min() == 0 and x.max() == 16 and x[0, :6].tolist() == [0, 0, 5, 13, 9, 1]
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
