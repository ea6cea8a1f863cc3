"""Tables as they stand in CSV files: named columns of text, and where each row was.

What is wrong with a file is found here, once, and said with its line.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable

import numpy as np

from . import settings
from .dialect import Dialect, decode, find_decimal, find_quote, find_separator, parse_label, parse_number

MISSING = {"", "na", "n/a", "n.a.", "#n/a", "#na", "<na>", "nan", "-nan", "?", "null", "#null!", "#value!", "#div/0!"}
MOST_CLASSES = 20  # a target with more different whole numbers is a quantity
LARGEST = float(np.finfo(np.float32).max)  # what is beyond would become infinite
ENOUGH_ROWS = 20  # to tell an id from a number, and a text that never comes twice from one that happened not to
MOST_NAMES = 20  # that an error lists
UNNAMED = "(column "  # how the name begins that a column without one is given
DATE = re.compile(r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3(\d{4}|\d{2}))([T ]\d{1,2}:\d\d.*)?")
ID = re.compile(r"(?i:(^|[^a-z])(id|uuid|guid)$)|[a-z](ID|Id)$")


def listed(names: Iterable[object]) -> str:
    """Return names as an error shows them, the first of them where there are very many."""
    texts = list(map(str, names))
    return ", ".join(texts[:MOST_NAMES]) + (f", ... ({len(texts)} in all)" if len(texts) > MOST_NAMES else "")


class Table:
    """Named columns of text, as a CSV file has them; `len(table)` is the number of rows.

    Args:
        path: the file, for errors to name.
        columns: each column's values, "" where one is missing.
        lines: each row's line in the file, from 1, for errors to name.
        dialect: how the file is written; its decimal sign says which texts are numbers.

    Example:
        >>> table = Table("pets.csv", {"kind": ["cat", "dog"], "age": ["3", ""]}, lines=[2, 3])
        >>> table["kind"], table.numbers("age")
        (['cat', 'dog'], array([ 3., nan]))
    """

    def __init__(
        self, path: str, columns: dict[str, list[str]], lines: list[int], dialect: Dialect | None = None
    ) -> None:
        self.path = path
        self.columns = columns
        self.lines = lines
        self.dialect = dialect or Dialect()

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, name: str) -> list[str]:
        """Return a column's values; raise ValueError, with the names there are, for one that is not there."""
        if name not in self.columns:
            advice = f", separated by {self.dialect.sep!r}, which sep overrules" if len(self.columns) == 1 else ""
            raise ValueError(f"{self.path}: no column {name!r}; the columns are {listed(self.columns)}{advice}")
        return self.columns[name]

    def missing(self, name: str) -> np.ndarray:
        """Tell of each row whether it lacks the value of a column, boolean (N,)."""
        return np.array([not value for value in self[name]], dtype=bool)

    def drop_missing(self, names: Iterable[str]) -> Table:
        """Return the table without the rows that lack one of the named values; that none stays is a ValueError."""
        rows = [row for row, values in enumerate(zip(*map(self.__getitem__, names), strict=True)) if all(values)]
        if not rows:
            raise ValueError(f"{self.path}: every row has a missing value")
        columns = {name: [values[row] for row in rows] for name, values in self.columns.items()}
        return Table(self.path, columns, [self.lines[row] for row in rows], self.dialect)

    def is_text(self, name: str, *, as_target: bool = False) -> bool:
        """Tell whether a column holds text: no value is a number. A mixture, or no value at all, is a ValueError."""
        values = self[name]
        present = [row for row, value in enumerate(values) if value]
        texts = [row for row in present if parse_number(values[row], self.dialect.decimal) is None]
        advice = f"text_columns=[{name!r}] the column text, exclude=[{name!r}] leaves it out"
        if as_target:
            advice = "task='classification' each value a class"
        if not present:
            raise ValueError(
                f"{self.path}: column {name!r} has no values" + f"; exclude=[{name!r}] leaves it out" * (not as_target)
            )
        if texts and len(texts) < len(present):
            word = values[texts[0]]
            other = "," if self.dialect.decimal == "." else "."
            if parse_number(word, other) is not None:
                advice += f"; decimal={other!r} would read it as a number"
            problem = f"has {word!r} among numbers ({len(texts)} of {len(present)} values are none)"
            raise self.error(name, texts[0], f"{problem}: na=[{word!r}] makes it a missing value, {advice}")
        return bool(texts)

    def numbers(self, name: str) -> np.ndarray:
        """Return a column as float64 (N,), NaN where a value is missing; text and infinity are a ValueError."""
        numbers = np.full(len(self), np.nan)
        for row, value in enumerate(self[name]):
            if value:
                number = parse_number(value, self.dialect.decimal)
                if number is None or not abs(number) <= LARGEST:
                    problem = f"expects a finite number, got {value!r}; na=[{value!r}] makes it a missing value"
                    raise self.error(name, row, problem)
                numbers[row] = number
        return numbers

    def labels(self, name: str) -> list[int | float | str]:
        """Return a column as classes, whole numbers exact; "" where a value is missing."""
        return [parse_label(value, self.dialect.decimal) for value in self[name]]

    def suspicion(self, name: str, is_text: bool) -> str | None:
        """Return why a column is nothing to learn from, by the look of it: ids, dates, names; or None."""
        values = [value for value in self[name] if value]
        distinct = len(set(values))
        if len(values) < ENOUGH_ROWS:
            return None
        if is_text:
            if all(map(DATE.fullmatch, values)):
                return "dates"
            return f"{distinct} different texts in {len(values)} rows" if 2 * distinct > len(values) else None
        if distinct == len(self):
            numbers = self.numbers(name)
            if ID.search(name) and not (numbers % 1).any():
                return "ids"
            # With a single input beside the target, 1, 2, 3, ... is what there is to learn from.
            if name == next(iter(self.columns)) and len(self.columns) > 2 and (np.diff(numbers) == 1).all():
                return "it counts the rows"
        return None

    def error(self, name: str, row: int, problem: str) -> ValueError:
        """Return the error to raise for one value, which says where the value stands."""
        return ValueError(f"{self.path}, line {self.lines[row]}: column {name!r} {problem}")


def read_table(
    path: str | os.PathLike[str],
    *,
    sep: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    na: Iterable[str] = (),
) -> Table:
    """Read a CSV file with a header row, plain or compressed by gzip.

    How it is written is found by looking: the encoding (UTF-8, UTF-16, else Latin-1), the separator (comma, semicolon,
    tab or bar), the quote and the decimal sign. Blanks around a value do not count, nor do blank lines. Empty, NA, N/A,
    NaN, ?, null and their like, in any case, are missing values. A column without a name is called "(column 1)", by
    its number; one without a value, too, is skipped.

    Args:
        path: the file.
        sep: the separator, one character; None looks.
        decimal: the decimal sign, "." or ","; None looks.
        encoding: as Python names it; None looks.
        na: further words for a missing value.

    Raises:
        FileNotFoundError: for a file that is not there.
        ValueError: for whatever is wrong inside, with the file and the line.

    Example:
        >>> table = read_table(os.path.join(os.path.dirname(__file__), "files", "auto_mpg.csv"))
        >>> len(table), table["car_name"][0], table.dialect.sep
        (392, 'chevrolet chevelle malibu', ',')
    """
    if sep is not None and (not isinstance(sep, str) or len(sep) != 1 or sep in '\r\n"'):
        raise ValueError(settings.refusal("read_table", "sep", "one character", sep))
    settings.choice("read_table", "decimal", decimal, None, ".", ",")
    missing = MISSING | {word.lower() for word in settings.names("read_table", "na", na)}
    path = os.fspath(path)
    with open(path, "rb") as file:
        text, encoding = decode(path, file.read(), encoding)
    sep = sep or find_separator(text)
    quote = find_quote(text, sep)
    lines, rows = _rows(path, text, sep, quote)
    if not rows:
        raise ValueError(f"{path}: the file is empty")
    names = [name or f"{UNNAMED}{number})" for number, name in enumerate(rows[0], 1)]
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{path}, line {lines[0]}: more than one column is named {name!r}; rename one in the file")
        seen.add(name)
    if len(rows) == 1:
        raise ValueError(f"{path}: a header, but no rows")
    columns = {
        name: ["" if value.lower() in missing else value for value in column]
        for name, given, column in zip(names, rows[0], zip(*rows[1:], strict=True), strict=True)
        if given or any(column)
    }
    decimal = decimal or find_decimal([value for column in columns.values() for value in column], sep)
    return Table(path, columns, lines[1:], Dialect(sep, decimal, encoding))


def _rows(path: str, text: str, sep: str, quote: str) -> tuple[list[int], list[list[str]]]:
    """Return the rows that are not blank, all as long as the first, and the line where each begins."""
    lines, rows = [], []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=sep, quotechar=quote, strict=True)
    line = 1  # where the next row begins: a quoted field may hold line breaks
    try:
        for row in reader:
            row = [value.strip() for value in row]
            if any(row):
                lines.append(line)
                rows.append(row)
                if len(row) != len(rows[0]):
                    where = f"{path}, line {line}: expected {len(rows[0])} fields, got {len(row)}"
                    raise ValueError(f"{where}; they are taken to be separated by {sep!r}, which sep overrules")
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}, line {line}: {error}; is a quote {quote} not closed?") from error
    return lines, rows


def infer_task(table: Table, target: str) -> str:
    """Tell which task a column sets as the target: 'classification' or 'regression'.

    Text (true and false, too) and at most 20 different whole numbers are classes; other numbers are quantities.

    Raises:
        ValueError: for no such column, one without values, and a mixture of numbers and text.

    Example:
        >>> infer_task(Table("pets.csv", {"kind": ["cat", "dog", "cat"]}, lines=[2, 3, 4]), "kind")
        'classification'
    """
    if table.is_text(target, as_target=True):
        return "classification"
    distinct = {label for label in table.labels(target) if label != ""}
    whole = all(isinstance(label, int) for label in distinct)
    return "classification" if whole and len(distinct) <= MOST_CLASSES else "regression"
