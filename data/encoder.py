"""From a table of text to the arrays a network is trained on, and the same again for the next file.

An encoder is fitted once, on training rows; all it knows can be saved beside the model.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from .table import Table, infer_task, parse_number


def _label(text: str) -> int | float | str:
    """Return a class as it is compared and shown: 3, 3.0 and 03 are the same one."""
    number = parse_number(text)
    if number is None or not math.isfinite(number):
        return text
    return int(number) if number.is_integer() else number


def _codes(table: Table, name: str, values: Iterable[Any], known: list[Any]) -> np.ndarray:
    """Return where each value of a column stands among the known ones, int64 (N,); -1 for a missing value."""
    places = {value: code for code, value in enumerate(known)} | {"": -1}
    codes = np.empty(len(table), dtype=np.int64)
    for row, value in enumerate(values):
        if value not in places:
            some = ", ".join(map(str, known[:10])) + (", ..." if len(known) > 10 else "")
            raise table.error(name, row, f"has the unknown value {value!r}; known are {some}")
        codes[row] = places[value]
    return codes


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
        standardize: True gives numeric features mean 0 and standard deviation 1, and constant ones the value 0.

    Attributes:
        task: the task, with None made up for.
        classes: what the targets 0, 1, ... stand for; empty for regression.

    Raises:
        ValueError: for unknown settings or columns, a column that mixes numbers and text or has no value, and when no
            input is left.

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
        standardize: bool = True,
    ) -> None:
        for word, value, allowed in (
            ("task", task, (None, "regression", "classification")),
            ("missing", missing, ("refuse", "drop", "mean")),
            ("text", text, ("drop", "onehot")),
        ):
            if value not in allowed:
                raise ValueError(f"TableEncoder expects {word} among {allowed}, got {value!r}")
        for name in (*text_columns, *exclude):
            if name == target or name not in table.columns:
                raise ValueError(f"{table.path}: no input column {name!r}; the columns are {', '.join(table.columns)}")
        targets = table[target]
        self.target = target
        self.task = task or infer_task(table, target)
        self.missing = missing
        self.standardize = standardize
        self.classes = []
        if self.task == "classification":
            labels = {_label(value) for value in targets if value}
            self.classes = sorted(labels, key=lambda label: (isinstance(label, str), label))
        self.inputs, self.levels = [], []
        for name in table.columns:
            if name != target and name not in exclude:
                is_text = name in text_columns or table.is_text(name)
                if not (is_text and text == "drop"):
                    self.inputs.append(name)
                    self.levels.append(sorted(set(table[name]) - {""}) if is_text else [])
        if not self.inputs:
            raise ValueError(f"{table.path}: no input column is left beside the target {target!r}")
        self.mean = self.shift = self.scale = np.zeros(0)

    @property
    def feature_names(self) -> list[str]:
        """A name for each feature: that of its column, or column=level."""
        columns = zip(self.inputs, self.levels, strict=True)
        return [f"{name}={level}" if level else name for name, levels in columns for level in levels or [""]]

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

    def _features(self, table: Table) -> np.ndarray:
        """Return the features as they stand in the file, float64 (N, features), NaN where a value is missing."""
        blocks = []
        for name, levels in zip(self.inputs, self.levels, strict=True):
            if levels:
                codes = _codes(table, name, table[name], levels)[:, None]
                block = np.where(codes < 0, math.nan, codes == np.arange(len(levels)))
            else:
                block = table.numbers(name)[:, None]
            gaps = np.isnan(block[:, 0])
            if gaps.any() and self.missing != "mean":
                raise table.error(name, int(gaps.argmax()), "has a missing value")
            blocks.append(block)
        return np.concatenate(blocks, axis=1)

    def fit(self, table: Table, rows: np.ndarray | None = None) -> TableEncoder:
        """Learn means and standard deviations, and return the encoder.

        Args:
            table: the table to train on.
            rows: the numbers of its training rows, (N,); None for all.

        Raises:
            ValueError: for a column that has no value in those rows, and as `transform` does.
        """
        x = self._features(table)
        if rows is not None:
            x = x[rows]
        empty = np.isnan(x).all(axis=0)
        if empty.any():
            name = self.feature_names[int(empty.argmax())]
            raise ValueError(f"{table.path}: {name!r} has no value in the {len(x)} rows to fit on")
        # Constant is also what rounding hides: a mean beside the constant, a deviation of next to nothing.
        low, std = np.nanmin(x, axis=0), np.nanstd(x, axis=0)
        varies = (np.nanmax(x, axis=0) > low) & (std > np.finfo(np.float32).tiny)
        self.mean = np.where(varies, np.nanmean(x, axis=0), low)
        scaled = np.array([self.standardize and not levels for levels in self.levels for _ in levels or [""]])
        self.shift = np.where(scaled, self.mean, 0.0)
        self.scale = np.where(scaled & varies, std, 1.0)
        return self

    def transform(self, table: Table) -> np.ndarray:
        """Return the features x of every row; the columns may stand in any order, among others.

        Shape:
            (N, features), float32.

        Raises:
            ValueError: with the file, the line and the column, for a missing column, a missing value that is not to be
                made up for, text in a numeric column, and text that was not there before.
            RuntimeError: before `fit`.
        """
        if not len(self.mean):
            raise RuntimeError("TableEncoder.transform needs what fit learns: call fit first")
        x = self._features(table)
        x = np.where(np.isnan(x), self.mean, x)
        return ((x - self.shift) / self.scale).astype(np.float32)

    def transform_target(self, table: Table) -> np.ndarray:
        """Return the target y of every row.

        Shape:
            (N, 1), float32, for regression; (N,), int64, places in `classes`, for classification.

        Raises:
            ValueError: with the file, the line and the column, for a missing value and an unknown class.
        """
        values = table[self.target]
        if "" in values:
            raise table.error(self.target, values.index(""), "has a missing value, which a target must not")
        if self.task == "regression":
            return table.numbers(self.target).astype(np.float32)[:, None]
        return _codes(table, self.target, map(_label, values), self.classes)

    def state_dict(self) -> dict[str, Any]:
        """Return all that the encoder knows, as dicts, lists, strings, numbers and arrays."""
        return copy.deepcopy(vars(self))

    @classmethod
    def from_state_dict(cls, state_dict: dict[str, Any]) -> TableEncoder:
        """Make the encoder that a state was taken from, without its table.

        Raises:
            ValueError: for a state that lacks entries.
        """
        lacking = cls.__annotations__.keys() - state_dict.keys()
        if lacking:
            raise ValueError(f"TableEncoder's state lacks {sorted(lacking)}")
        encoder = cls.__new__(cls)
        vars(encoder).update(copy.deepcopy(state_dict))
        return encoder
