"""Real data as arrays: from the user's own CSV file, or from one of two that travel with the package.

Those two stand in `files/`, beside the note on where they come from.
"""

from __future__ import annotations

import os
from collections.abc import Collection

import numpy as np

from .encoder import TableEncoder
from .table import read_table

FILES = os.path.join(os.path.dirname(__file__), "files")


def load_csv(
    path: str | os.PathLike[str],
    target: str,
    *,
    missing: str = "refuse",
    text: str = "drop",
    text_columns: Collection[str] = (),
    exclude: Collection[str] = (),
    include: Collection[str] = (),
    sep: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    na: Collection[str] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Read a CSV file into arrays (x, y), with its numbers as they stand.

    Nothing is standardised, since that belongs to the training rows alone: see `TableEncoder`, which also knows the
    names of features and classes and what to do with a second file.

    Args:
        path: the file, as `read_table` takes it.
        target: the column to predict; `infer_task` tells whether it sets a regression or a classification.
        missing: as for `TableEncoder`, like the next four.
        text: see there.
        text_columns: see there.
        exclude: see there.
        include: see there.
        sep: as for `read_table`, like the next three.
        decimal: see there.
        encoding: see there.
        na: see there.

    Shape:
        x (N, features), float32; y (N, 1), float64, for regression, and (N,), int64, for classification, where class 0
        is the first in sorted order.

    Raises:
        FileNotFoundError, ValueError: as `read_table` and `TableEncoder` do.

    Example:
        >>> x, y = load_csv(os.path.join(FILES, "auto_mpg.csv"), "mpg", text="onehot", exclude=["car_name"])
        >>> x.shape, y.shape
        ((392, 7), (392, 1))
    """
    table = read_table(path, sep=sep, decimal=decimal, encoding=encoding, na=na)
    encoder = TableEncoder(
        table,
        target,
        missing=missing,
        text=text,
        text_columns=text_columns,
        exclude=exclude,
        include=include,
        standardize=False,
    )
    table = encoder.drop_missing(table)
    return encoder.fit(table).transform(table), encoder.transform_target(table)


def load_auto_mpg() -> tuple[np.ndarray, np.ndarray]:
    """Cars and their fuel consumption: 7 numeric attributes of each, and the miles it goes on a gallon.

    Source: UCI Machine Learning Repository, "Auto MPG" (R. Quinlan, 1993), CC BY 4.0; see `files/SOURCES.md`.

    Shape:
        x (392, 7) and y (392, 1), float32.

    Example:
        >>> x, y = load_auto_mpg()
        >>> y[:3, 0]
        array([18., 15., 18.], dtype=float32)
    """
    x, y = load_csv(os.path.join(FILES, "auto_mpg.csv"), target="mpg")
    return x, y.astype(np.float32)


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits as images of 8x8 pixels from 0 to 16, row by row, and which digit each is.

    Source: UCI Machine Learning Repository, "Optical Recognition of Handwritten Digits", test part (E. Alpaydin,
    C. Kaynak, 1998), CC BY 4.0; see `files/SOURCES.md`.

    Shape:
        x (1797, 64), float32, and y (1797,), int64.

    Example:
        >>> x, y = load_digits()
        >>> x.max(), y[:5]
        (np.float32(16.0), array([0, 1, 2, 3, 4]))
    """
    return load_csv(os.path.join(FILES, "digits.csv.gz"), target="digit")
