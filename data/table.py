"""Tables as they stand in CSV files: named columns of text, and where each row was.

What is wrong with a file is found here, once, and said with its line.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib
from collections.abc import Iterable

import numpy as np

MISSING = {"", "na", "nan", "?", "null"}  # whatever their case
MOST_CLASSES = 20  # a target with more different whole numbers is a quantity
LARGEST = float(np.finfo(np.float32).max)  # what is beyond would become infinite


def parse_number(text: str) -> float | None:
    """Return the number that a text spells, infinity and NaN included; None if it spells none."""
    try:
        return None if "_" in text else float(text)  # Python would read 1_000
    except ValueError:
        return None


class Table:
    """Named columns of text, as a CSV file has them; `len(table)` is the number of rows.

    Args:
        path: the file, for errors to name.
        columns: each column's values, "" where one is missing.
        lines: each row's line in the file, from 1, for errors to name.

    Example:
        >>> table = Table("pets.csv", {"kind": ["cat", "dog"], "age": ["3", ""]}, lines=[2, 3])
        >>> table["kind"], table.numbers("age")
        (['cat', 'dog'], array([ 3., nan]))
    """

    def __init__(self, path: str, columns: dict[str, list[str]], lines: list[int]) -> None:
        self.path = path
        self.columns = columns
        self.lines = lines

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, name: str) -> list[str]:
        """Return a column's values; raise ValueError, with the names there are, for one that is not there."""
        if name not in self.columns:
            raise ValueError(f"{self.path}: no column {name!r}; the columns are {', '.join(self.columns)}")
        return self.columns[name]

    def drop_missing(self, names: Iterable[str]) -> Table:
        """Return the table without the rows that lack one of the named values; that none stays is a ValueError."""
        rows = [row for row, values in enumerate(zip(*map(self.__getitem__, names), strict=True)) if all(values)]
        if not rows:
            raise ValueError(f"{self.path}: every row has a missing value")
        columns = {name: [values[row] for row in rows] for name, values in self.columns.items()}
        return Table(self.path, columns, [self.lines[row] for row in rows])

    def is_text(self, name: str) -> bool:
        """Tell whether a column holds text: no value is a number. A mixture, or no value at all, is a ValueError."""
        values = self[name]
        present = [row for row, value in enumerate(values) if value]
        texts = [row for row in present if parse_number(values[row]) is None]
        if not present:
            raise ValueError(f"{self.path}: column {name!r} has no values; leave it out")
        if texts and len(texts) < len(present):
            problem = f"has {values[texts[0]]!r} among numbers; mend it, or declare the column to be text"
            raise self.error(name, texts[0], problem)
        return bool(texts)

    def numbers(self, name: str) -> np.ndarray:
        """Return a column as float64 (N,), NaN where a value is missing; text and infinity are a ValueError."""
        numbers = np.full(len(self), np.nan)
        for row, value in enumerate(self[name]):
            if value:
                number = parse_number(value)
                if number is None or not abs(number) <= LARGEST:
                    raise self.error(name, row, f"expects a finite number, got {value!r}")
                numbers[row] = number
        return numbers

    def error(self, name: str, row: int, problem: str) -> ValueError:
        """Return the error to raise for one value, which says where the value stands."""
        return ValueError(f"{self.path}, line {self.lines[row]}: column {name!r} {problem}")


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read a CSV file: UTF-8, commas, a header row, fields quoted as usual; a name that ends in .gz is decompressed.

    Blanks around a value do not count, nor do blank lines. Empty, NA, NaN, ? and null, in any case, are missing values.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: for a file that is not there.
        ValueError: for whatever is wrong inside, with the file and the line.

    Example:
        >>> table = read_table(os.path.join(os.path.dirname(__file__), "files", "auto_mpg.csv"))
        >>> len(table), table["car_name"][0]
        (392, 'chevrolet chevelle malibu')
    """
    path = os.fspath(path)
    with open(path, "rb") as file:
        content = file.read()
    try:
        if path.endswith(".gz"):
            content = gzip.decompress(content)
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}: not UTF-8 text") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: broken gzip file: {error}") from error

    lines, rows = [], []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1  # where the next row begins: a quoted field may hold line breaks
    try:
        for row in reader:
            row = [value.strip() for value in row]
            if row not in ([], [""]):
                lines.append(line)
                rows.append(row)
                if len(row) != len(rows[0]):
                    raise ValueError(f"{path}, line {line}: expected {len(rows[0])} fields, got {len(row)}")
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}, line {line}: {error}") from error

    if not rows:
        raise ValueError(f"{path}: the file is empty")
    names = rows[0]
    for number, name in enumerate(names, 1):
        if not name:
            raise ValueError(f"{path}, line {lines[0]}: column {number} has no name")
        if names.count(name) > 1:
            raise ValueError(f"{path}, line {lines[0]}: more than one column is named {name!r}")
    if len(rows) == 1:
        raise ValueError(f"{path}: a header, but no rows")
    values = (
        [("" if value.lower() in MISSING else value) for value in column] for column in zip(*rows[1:], strict=True)
    )
    return Table(path, dict(zip(names, values, strict=True)), lines[1:])


def infer_task(table: Table, target: str) -> str:
    """Tell which task a column sets as the target: 'classification' or 'regression'.

    Text (true and false, too) and at most 20 different whole numbers are classes; other numbers are quantities.

    Raises:
        ValueError: for no such column, one without values, and a mixture of numbers and text.

    Example:
        >>> infer_task(Table("pets.csv", {"kind": ["cat", "dog", "cat"]}, lines=[2, 3, 4]), "kind")
        'classification'
    """
    if table.is_text(target):
        return "classification"
    numbers = table.numbers(target)
    distinct = np.unique(numbers[~np.isnan(numbers)])
    return "classification" if len(distinct) <= MOST_CLASSES and not (distinct % 1).any() else "regression"
