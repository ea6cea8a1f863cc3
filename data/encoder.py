"""From a table of text to the arrays a network is trained on, and the same again for the next file.

An encoder is fitted once, on training rows; all it knows can be saved beside the model.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np

from . import settings
from .table import LARGEST, UNNAMED, Table, infer_task, listed

TASKS = ("regression", "classification")
MISSING = ("refuse", "drop", "mean")
MOST_NUMBERS = 10**8  # in the features that text makes: 400 MB of float32, and as much again for the parts of a split
_GAP, _UNKNOWN = -1, -2  # in place of a value's number among those known


def _codes(values: Iterable[Any], known: list[Any]) -> np.ndarray:
    """Return where each value of a column stands among the known ones, int64 (N,)."""
    codes = {value: code for code, value in enumerate(known)} | {"": _GAP}
    return np.array([codes.get(value, _UNKNOWN) for value in values], dtype=np.int64)


def _check_known(table: Table, name: str, codes: np.ndarray, known: list[Any]) -> None:
    """Refuse a value that is not among the known ones, with its line."""
    if (codes == _UNKNOWN).any():
        row = int((codes == _UNKNOWN).argmax())
        raise table.error(name, row, f"has the unknown value {table[name][row]!r}; known are {listed(known)}")


def _is_texts(value: Any) -> bool:
    """Tell whether a value of a state is a list of different texts."""
    return type(value) is list and all(type(item) is str for item in value) and len(set(value)) == len(value)


class TableEncoder:
    """Turns tables into arrays, the features x and the target y, in the same way for every table.

    What the columns are is read from all of `table`: numbers, or text with its sorted levels, and the sorted classes
    of the target. Means and standard deviations are learnt by `fit`, from the training rows only.

    Args:
        table: the table to train on.
        target: the column to predict.
        task: 'regression' or 'classification'; None for what `infer_task` says.
        missing: what becomes of a missing input: 'refuse' makes it an error, 'drop' drops its row (see `drop_missing`),
            'mean' puts the column's mean in its place (for text, the frequencies of the levels). A missing target is
            never made up.
        text: what becomes of text columns: 'drop' leaves them out, 'onehot' makes each level a feature of 0 and 1.
        text_columns: columns that are text whatever they look like.
        exclude: columns to leave out.
        include: columns to use even if they look like nothing to learn from: an index without a name, ids, dates, text
            with a different value in nearly every row. Others of that kind are left out. Included text is one-hot.
        standardize: True gives numeric features mean 0 and standard deviation 1, and constant ones the value 0.

    Attributes:
        task: the task, with None made up for.
        classes: what the targets 0, 1, ... stand for; empty for regression.
        left_out: the columns that are not used though nobody excluded them, and why.

    Raises:
        ValueError: for unknown settings or columns, a column that mixes numbers and text or has no value, text that
            would make more features than memory holds, and when no input is left.

    Example:
        >>> columns = {"origin": ["US", "JP", "US"], "weight": ["3500", "2100", "3300"], "mpg": ["18.5", "31", "20"]}
        >>> table = Table("cars.csv", columns, lines=[2, 3, 4])
        >>> encoder = TableEncoder(table, "mpg", text="onehot").fit(table, np.array([0, 1]))
        >>> encoder.feature_names
        ['origin=JP', 'origin=US', 'weight']
        >>> encoder.transform(table)[:2]
        array([[ 0.,  1.,  1.],
               [ 1.,  0., -1.]], dtype=float32)
    """

    target: str
    task: str
    missing: str
    standardize: bool
    inputs: list[str]
    levels: list[list[str]]  # of each input column; none for a numeric one
    classes: list[int | float | str]  # none for regression
    mean: np.ndarray  # of each feature; a missing value takes it
    shift: np.ndarray
    scale: np.ndarray

    def __init__(
        self,
        table: Table,
        target: str,
        *,
        task: str | None = None,
        missing: str = "refuse",
        text: str = "drop",
        text_columns: Collection[str] = (),
        exclude: Collection[str] = (),
        include: Collection[str] = (),
        standardize: bool = True,
    ) -> None:
        settings.choice("TableEncoder", "task", task, None, *TASKS)
        settings.choice("TableEncoder", "text", text, "drop", "onehot")
        self.missing = settings.choice("TableEncoder", "missing", missing, *MISSING)
        self.standardize = settings.flag("TableEncoder", "standardize", standardize)
        text_columns = settings.names("TableEncoder", "text_columns", text_columns)
        exclude = settings.names("TableEncoder", "exclude", exclude)
        include = settings.names("TableEncoder", "include", include)
        for name in (*text_columns, *exclude, *include):
            if name == target or name not in table.columns:
                raise ValueError(f"{table.path}: no input column {name!r}; the columns are {listed(table.columns)}")
        labels = set(table.labels(target)) - {""}
        self.target = target
        self.task = task or infer_task(table, target)
        self.classes = []
        if self.task == "classification":
            self.classes = sorted(labels, key=lambda label: (isinstance(label, str), label))
        self._choose(table, text, text_columns, exclude, include)
        self._check_size(table)
        self.mean = self.shift = self.scale = np.zeros(0)

    def _choose(self, table: Table, text: str, text_columns: list[str], exclude: list[str], include: list[str]) -> None:
        """Find the input columns, the levels of those that are text, and why others are left out."""
        self.inputs, self.levels = [], []
        self.left_out: dict[str, str] = {}
        for name in table.columns:
            if name == self.target or name in exclude:
                continue
            if name.startswith(UNNAMED) and name not in include:
                self.left_out[name] = "it has no name"
                continue
            is_text = name in text_columns or table.is_text(name)
            reason = table.suspicion(name, is_text) or ("text" if is_text and text == "drop" else None)
            if reason and name not in include:
                self.left_out[name] = reason
            else:
                self.inputs.append(name)
                self.levels.append(sorted(set(table[name]) - {""}) if is_text else [])
        if not self.inputs:
            out = [f"{name!r} ({reason})" for name, reason in self.left_out.items()]
            advice = ""
            if out:
                advice = f"; left out are {listed(out)}: include=[{next(iter(self.left_out))!r}] asks for one"
            raise ValueError(f"{table.path}: no input column is left beside the target {self.target!r}{advice}")

    def _check_size(self, table: Table) -> None:
        """Refuse text of so many levels that the features would not fit into memory."""
        counts = dict(zip(self.inputs, map(len, self.levels), strict=True))
        if len(table) * sum(counts.values()) > MOST_NUMBERS:
            name = max(counts, key=lambda name: counts[name])
            raise ValueError(
                f"{table.path}: column {name!r} has {counts[name]:,} different texts in {len(table):,} rows, and a "
                f"feature for each does not fit into memory; exclude=[{name!r}] leaves it out"
            )

    @property
    def feature_names(self) -> list[str]:
        """A name for each feature: that of its column, or column=level."""
        columns = zip(self.inputs, self.levels, strict=True)
        return [f"{name}={level}" if level else name for name, levels in columns for level in levels or [""]]

    def columns(self) -> list[dict[str, Any]]:
        """Return what is done to each input column, in their order, as dicts of names, lists and numbers.

        A column of text has "levels", each a feature of 0 and 1, and in "mean" their frequencies, which stand for a
        missing value. One of numbers becomes (value - "shift") / "scale", and "mean" stands for a missing value.

        Raises:
            RuntimeError: before `fit`.

        Example:
            >>> table = Table("cars.csv", {"weight": ["3500", "2100"], "mpg": ["18", "31"]}, lines=[2, 3])
            >>> TableEncoder(table, "mpg").fit(table).columns()
            [{'name': 'weight', 'shift': 2800.0, 'scale': 700.0, 'mean': 2800.0}]
        """
        if not len(self.mean):
            raise RuntimeError("TableEncoder.columns needs what fit learns: call fit first")
        found: list[dict[str, Any]] = []
        start = 0
        for name, levels in zip(self.inputs, self.levels, strict=True):
            if levels:
                found.append({"name": name, "levels": levels, "mean": self.mean[start : start + len(levels)].tolist()})
            else:
                numbers = {"shift": self.shift[start], "scale": self.scale[start], "mean": self.mean[start]}
                found.append({"name": name, **{key: float(value) for key, value in numbers.items()}})
            start += len(levels) or 1
        return found

    def drop_missing(self, table: Table, *, target: bool = True) -> Table:
        """Return the table without the rows that `missing` says to drop.

        With 'drop' these are the rows that lack an input, with 'drop' and 'mean' the rows that lack the target; with
        'refuse' there are none.

        Args:
            table: any table.
            target: False keeps the rows that lack only the target, as when they are there to be predicted.

        Raises:
            ValueError: if no row stays.
        """
        names = list(self.inputs) if self.missing == "drop" else []
        if target and self.missing != "refuse":
            names.append(self.target)
        return table.drop_missing(names) if names else table

    def _column(self, table: Table, name: str, levels: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return an input column, codes or numbers, and where it has neither: (N,) both."""
        if levels:
            codes = _codes(table[name], levels)
            return codes, codes < 0
        numbers = table.numbers(name)
        return numbers, np.isnan(numbers)

    def _check(self, table: Table) -> None:
        """Refuse a table with missing values that are not made up for, or with unknown texts."""
        if self.missing != "mean":
            lacking = [text for name in self.inputs if (text := _lack(table, name))]
            if lacking:
                advice = "missing='mean' fills them in, missing='drop' leaves the rows out"
                if self.missing == "drop":
                    advice = "drop_missing leaves the rows out"
                raise ValueError(f"{table.path}: {listed(lacking)}: {advice}")
        for name, levels in zip(self.inputs, self.levels, strict=True):
            if levels:
                _check_known(table, name, _codes(table[name], levels), levels)

    def fit(self, table: Table, rows: np.ndarray | None = None) -> TableEncoder:
        """Learn means and standard deviations, and return the encoder.

        Args:
            table: the table to train on.
            rows: the numbers of its training rows, (N,); None for all.

        Raises:
            ValueError: for a column that has no value in those rows, and as `transform` does.
        """
        self._check(table)
        blocks = []
        for name, levels in zip(self.inputs, self.levels, strict=True):
            column, gaps = self._column(table, name, levels)
            if rows is not None:
                column, gaps = column[rows], gaps[rows]
            column = column[~gaps]
            if not len(column):
                raise ValueError(f"{table.path}: {name!r} has no value in the {len(gaps)} rows to fit on")
            if levels:
                mean = np.bincount(column, minlength=len(levels)) / len(column)
                shift, scale = np.zeros(len(levels)), np.ones(len(levels))
            else:
                # Constant is also what rounding hides: a mean beside the constant, a deviation of next to nothing.
                std = column.std()
                varies = column.max() > column.min() and std > np.finfo(np.float32).tiny
                mean = np.array([column.mean() if varies else column.min()])
                shift = mean if self.standardize else np.zeros(1)
                scale = np.array([std if self.standardize and varies else 1.0])
            blocks.append((mean, shift, scale))
        self.mean, self.shift, self.scale = map(np.concatenate, zip(*blocks, strict=True))
        return self

    def transform(self, table: Table, *, strict: bool = True) -> np.ndarray:
        """Return the features x of every row; the columns may stand in any order, among others.

        Args:
            table: any table that has the input columns.
            strict: False puts the mean of the training rows (for text, the frequencies of the levels) in place of
                whatever is missing or was not there before, as `gaps` tells of each row.

        Shape:
            (N, features), float32.

        Raises:
            ValueError: with the file and the column, for a missing column, text in a numeric column, and, if `strict`,
                a missing value that is not to be made up for and text that was not there before.
            RuntimeError: before `fit`.
        """
        if not len(self.mean):
            raise RuntimeError("TableEncoder.transform needs what fit learns: call fit first")
        if strict:
            self._check(table)
        x = np.empty((len(table), len(self.mean)), dtype=np.float32)
        start = 0
        for name, levels in zip(self.inputs, self.levels, strict=True):
            column, gaps = self._column(table, name, levels)
            here = slice(start, start + (len(levels) or 1))
            if levels:
                x[:, here] = 0
                x[np.flatnonzero(~gaps), start + column[~gaps]] = 1
            else:
                scaled = (column - self.shift[start]) / self.scale[start]
                x[:, start] = np.clip(scaled, -LARGEST, LARGEST)  # 7 in a column with a deviation of 1e-38 is too large
            x[gaps, here] = (self.mean[here] - self.shift[here]) / self.scale[here]
            start = here.stop
        return x

    def gaps(self, table: Table) -> list[str]:
        """Return of each row what is missing in its inputs or was not there before; "" where nothing is."""
        found: list[list[str]] = [[] for _ in range(len(table))]
        for name, levels in zip(self.inputs, self.levels, strict=True):
            for row in np.flatnonzero(self._column(table, name, levels)[1]):
                value = table[name][row]
                found[row].append(f"{name} has the unknown value {value}" if value else f"{name} is missing")
        return ["; ".join(texts) for texts in found]

    def transform_target(self, table: Table) -> np.ndarray:
        """Return the target y of every row, with all its digits.

        Shape:
            (N, 1), float64, for regression; (N,), int64, places in `classes`, for classification.

        Raises:
            ValueError: with the file, the line and the column, for a missing value and an unknown class.
        """
        lacking = _lack(table, self.target)
        if lacking:
            advice = "missing='drop'" if self.missing == "refuse" else "drop_missing"
            raise ValueError(f"{table.path}: {lacking}: a target is never made up, {advice} leaves the rows out")
        if self.task == "regression":
            return table.numbers(self.target)[:, None]
        codes = _codes(table.labels(self.target), self.classes)
        _check_known(table, self.target, codes, self.classes)
        return codes

    def state_dict(self) -> dict[str, Any]:
        """Return all that the encoder knows, as dicts, lists, strings, numbers and arrays."""
        return copy.deepcopy({name: getattr(self, name) for name in type(self).__annotations__})

    @classmethod
    def from_state_dict(cls, state_dict: dict[str, Any]) -> TableEncoder:
        """Make the encoder that a state was taken from, without its table.

        Raises:
            TypeError: for what is no dict.
            ValueError: for a state that lacks entries, has others, or has some that no encoder can have.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(settings.refusal("TableEncoder", "the state", "a dict", state_dict))
        lacking = cls.__annotations__.keys() - state_dict.keys()
        if lacking:
            raise ValueError(f"TableEncoder's state lacks {sorted(lacking)}")
        unknown = state_dict.keys() - cls.__annotations__.keys()
        if unknown:
            raise ValueError(f"TableEncoder's state has unknown entries, {listed(unknown)}")
        encoder = cls.__new__(cls)
        vars(encoder).update(copy.deepcopy(dict(state_dict)))
        encoder._check_state()
        encoder.left_out = {}
        return encoder

    def _check_state(self) -> None:
        """Refuse a state that no encoder can have: each entry in turn, so that one may rely on those before it."""
        rules: dict[str, tuple[str, Callable[[Any], bool]]] = {
            "target": ("a name", lambda name: type(name) is str),
            "task": (f"one of {TASKS}", lambda task: type(task) is str and task in TASKS),
            "missing": (f"one of {MISSING}", lambda missing: type(missing) is str and missing in MISSING),
            "standardize": ("True or False", lambda flag: type(flag) is bool),
            "inputs": ("names other than the target", lambda n: _is_texts(n) and len(n) > 0 and self.target not in n),
            "levels": ("a list of texts for each input", self._fits_inputs),
            "classes": ("different classes, none for a regression", self._fits_task),
            "mean": ("a finite number for each feature", self._fits_features),
            "shift": ("a finite number for each feature", self._fits_features),
            "scale": ("a positive number for each feature", lambda a: self._fits_features(a) and bool((a > 0).all())),
        }
        for name, (expected, holds) in rules.items():
            if not holds(getattr(self, name)):
                raise ValueError(settings.refusal("TableEncoder", f"the state's {name}", expected, getattr(self, name)))

    def _fits_inputs(self, levels: Any) -> bool:
        return type(levels) is list and len(levels) == len(self.inputs) and all(map(_is_texts, levels))

    def _fits_task(self, classes: Any) -> bool:
        plain = type(classes) is list and all(type(label) in (int, float, str) for label in classes)
        return plain and len(set(classes)) == len(classes) and bool(classes) == (self.task == "classification")

    def _fits_features(self, array: Any) -> bool:
        lengths = {0, len(self.feature_names)} if array is self.mean else {len(self.mean)}
        is_vector = isinstance(array, np.ndarray) and array.dtype == np.float64 and array.ndim == 1
        return is_vector and len(array) in lengths and bool(np.isfinite(array).all())


def _lack(table: Table, name: str) -> str | None:
    """Return in words how many rows lack the value of a column, and where; None if none does."""
    rows = np.flatnonzero(table.missing(name))
    if not len(rows):
        return None
    line = table.lines[rows[0]]
    return (
        f"1 row lacks {name!r} (line {line})"
        if len(rows) == 1
        else f"{len(rows)} rows lack {name!r} (the first is line {line})"
    )
