"""How files are written: encodings, separators, quotes and decimal signs are found by looking."""

import gzip

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data import Table, infer_task, read_table
from data.dialect import Dialect, find_decimal, find_separator, parse_label, parse_number


def read(tmp_path, content, **settings):
    path = tmp_path / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, **settings)


# Numbers


@pytest.mark.parametrize(
    ("text", "point", "comma"),
    [
        ("1.5", 1.5, None),
        ("1,5", None, 1.5),
        ("1,234", 1234, 1.234),
        ("1.234", 1.234, 1234),
        ("1,234,567.25", 1234567.25, None),
        ("1.234.567,25", None, 1234567.25),
        ("-1 234 567", -1234567, -1234567),
        ("1\u00a0234", 1234, 1234),
        ("1\u202f234", 1234, 1234),
        ("1'234", 1234, 1234),
        ("0,123", None, 0.123),
        ("12,34,567", None, None),
        ("1,234 567", None, None),
        ("1_000", None, None),
        ("2e3", 2000, 2000),
        ("2,5e3", None, 2500),
        ("1.2.3", None, None),
        ("01.02.2020", None, None),
        ("", None, None),
    ],
)
def test_parse_number(text, point, comma):
    assert parse_number(text) == point and parse_number(text, ",") == comma


def test_parse_label_is_exact():
    assert parse_label(str(2**60)) == 2**60 != parse_label(str(2**60 + 1)) == 2**60 + 1
    assert parse_label("9007199254740993.0") == 2**53 + 1
    assert {parse_label(text) for text in ("3", "3.0", "03", "+3", "3e0", "3.")} == {3}
    assert parse_label("1.234", ",") == 1234 and parse_label("0,50", ",") == 0.5
    for text in ("inf", "nan", "x", "1e999", "9" * 5000):
        assert parse_label(text) == text


# What a file looks like

ROWS = [["name", "x", "y"], ["Zoë", "1.5", "2"], ["B", "0.25", "3"]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
@pytest.mark.parametrize("sep", [",", ";", "\t", "|"])
def test_separator_and_encoding_are_found(tmp_path, sep, encoding):
    text = "\r\n".join(sep.join(row) for row in ROWS) + "\r\n"
    for content in (text.encode(encoding), gzip.compress(text.encode(encoding))):
        table = read(tmp_path, content)
        assert table.columns == {"name": ["Zoë", "B"], "x": ["1.5", "0.25"], "y": ["2", "3"]}
        assert table.dialect[:2] == (sep, ".")


def test_gzip_is_known_by_its_content(tmp_path):
    (tmp_path / "plain.csv.gz").write_bytes(b"a,b\n1,2\n")
    assert read_table(tmp_path / "plain.csv.gz").columns == {"a": ["1"], "b": ["2"]}


@pytest.mark.parametrize("sep", [";", "\t", "|"])
def test_a_decimal_comma_is_found(tmp_path, sep):
    table = read(tmp_path, f"a{sep}b\n1,5{sep}1.234,5\n-0,25{sep}7\n")
    assert table.dialect == Dialect(sep, ",", "utf-8")
    np.testing.assert_array_equal(table.numbers("a"), [1.5, -0.25])
    np.testing.assert_array_equal(table.numbers("b"), [1234.5, 7])
    quoted = read(tmp_path, 'a,b\n"1,5",2\n"2,25",3\n')
    np.testing.assert_array_equal(quoted.numbers("a"), [1.5, 2.25])


@pytest.mark.parametrize(
    ("values", "sep", "sign"),
    [
        (["1,234", "12,345"], ",", "."),  # thousands
        (["1,234", "12,345"], ";", ","),
        (["1,234", "1.5"], ";", "."),
        (["1,234.5"], ";", "."),
        (["1.234", "2.345"], ";", "."),
        (["1.234.567"], ";", ","),
        (["1,5", "2.25", "0.5"], "\t", "."),
        (["01.02.2020", "x,y"], ";", "."),
        ([], ",", "."),
    ],
)
def test_the_decimal_sign(values, sep, sign):
    assert find_decimal(values, sep) == sign


@pytest.mark.parametrize(
    ("text", "sep"),
    [
        ("a;b\n1,5;2,5\n", ";"),
        ("name;size, cm\nx;1,5\n", ";"),
        ("a,b,c\n1;2,3,4\n5;6,7,8\n", ","),
        ("text\none, two\nthree, four, five\n", ","),
        ('a;b\n"1;2";"3,4"\n', ";"),
        ("a;b\n1;2\n3\n", ";"),
        ("", ","),
    ],
)
def test_the_separator(text, sep):
    assert find_separator(text) == sep


def test_thousands_in_quotes(tmp_path):
    table = read(tmp_path, 'a,b\n"1,234",2.5\n"12,345,678",3\n')
    np.testing.assert_array_equal(table.numbers("a"), [1234, 12345678])


def test_apostrophes_as_quotes(tmp_path):
    assert read(tmp_path, "a,b\n'x, y',1\n").columns == {"a": ["x, y"], "b": ["1"]}
    assert read(tmp_path, "a,b\nO'Brien,1\n'tis,2\n").columns["a"] == ["O'Brien", "'tis"]
    assert read(tmp_path, "a,b\n\"x\",'1'\n").columns == {"a": ["x"], "b": ["'1'"]}


def test_what_is_found_can_be_overruled(tmp_path):
    text = "a;b\n1,234;é\n"
    assert read(tmp_path, text).numbers("a").tolist() == [1.234]
    assert read(tmp_path, text, decimal=".").numbers("a").tolist() == [1234]
    assert read(tmp_path, text, encoding="latin-1")["b"] == ["Ã©"]
    assert read(tmp_path, "a;b,c\n1;2,3\n", sep=",").columns == {"a;b": ["1;2"], "c": ["3"]}
    assert read(tmp_path, "a,b\nnone,-\n1,2\n", na=["None", "-"]).columns == {"a": ["", "1"], "b": ["", "2"]}


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"sep": ";;"}, ValueError, "sep to be one character, got ';;'"),
        ({"sep": "\n"}, ValueError, "sep to be one character"),
        ({"decimal": "comma"}, ValueError, r"decimal to be one of None, '\.', ',', got 'comma'"),
        ({"encoding": "klingon"}, ValueError, "knows no encoding 'klingon'"),
        ({"encoding": "hex"}, ValueError, "knows no encoding 'hex'"),
        ({"encoding": "ascii"}, ValueError, "line 2: not ascii text"),
        ({"na": "none"}, TypeError, r"na to be a list of names, got 'none': write \['none'\]"),
    ],
)
def test_settings_refused(tmp_path, settings, error, text):
    with pytest.raises(error, match=text):
        read(tmp_path, "a,b\né,2\n", **settings)


# Names, blanks, missing values


def test_columns_without_a_name(tmp_path):
    table = read(tmp_path, ",a,,b,\n0,1,x,2,\n1,3,,4,\n,,,,\n")
    assert list(table.columns) == ["(column 1)", "a", "(column 3)", "b"] and len(table) == 2


@pytest.mark.parametrize("word", ["n/a", "N/A", "#N/A", "n.a.", "<NA>", "-NaN", "#DIV/0!"])
def test_words_for_a_missing_value(tmp_path, word):
    assert read(tmp_path, f"a,b\n{word},1\n")["a"] == [""]


def test_a_mixture_is_refused_with_what_to_do():
    with pytest.raises(ValueError) as caught:
        Table("t.csv", {"a": ["1", "x"]}, [2, 3]).is_text("a")
    assert all(text in str(caught.value) for text in ("na=['x']", "text_columns=['a']", "exclude=['a']", "1 of 2"))
    with pytest.raises(ValueError, match=r"decimal=',' would read it as a number"):
        Table("t.csv", {"a": ["1.5", "1,5"]}, [2, 3]).is_text("a")
    with pytest.raises(ValueError, match="task='classification' each value a class"):
        infer_task(Table("t.csv", {"a": ["1", "x"]}, [2, 3]), "a")


# Anything at all


@given(st.binary(max_size=200) | st.text(alphabet="a1,;\t|\"'\n\r .\0é-", max_size=60).map(str.encode))
@example(b"\x1f\x8b")
@example(b"\xef\xbb\xbfa,b\n1,\xe9\n")
@example(b"a,b\n" + b"x" * 200_000 + b",1\n")
@example(b'a;b\n"' + b"x" * 200_000 + b";1\n")
@example(b"\xff\xfe\0")
def test_any_bytes_are_a_table_or_a_value_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    try:
        table = read_table(path)
    except ValueError as error:
        assert str(error).startswith(str(path))
    else:
        assert len(table) and all(len(values) == len(table) for values in table.columns.values())
