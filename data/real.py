"""Real data as arrays: from the user's own CSV file, or from one of the three sets that travel with the package.

Those three stand in `files/`, beside the note on where they come from.
"""

from __future__ import annotations

import os
from collections.abc import Collection

import numpy as np

from .encoder import TableEncoder
from .images import read_idx
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


def load_mnist() -> tuple[np.ndarray, np.ndarray]:
    """The 10,000 test images of MNIST: handwritten digits of 28x28 pixels from 0 to 255, and which digit each is.

    The 60,000 training images are not here. So whoever trains on these splits them, say 8,000 for training and 2,000
    held out, by a seed, and does not compare the accuracy with one on MNIST's own test set.

    Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits", test part,
    CC BY-SA 3.0; see `files/SOURCES.md`.

    Shape:
        x (10000, 1, 28, 28), float32, and y (10000,), int64.

    Example:
        >>> from data import TensorDataset, random_split
        >>> x, y = load_mnist()
        >>> y[:5]
        array([7, 2, 1, 0, 4])
        >>> training, held_out = random_split(TensorDataset(x, y), [8000, 2000], generator=0)
    """
    x = read_idx(os.path.join(FILES, "mnist_t10k_images.idx3.gz"))
    y = read_idx(os.path.join(FILES, "mnist_t10k_labels.idx1.gz"))
    return x[:, None].astype(np.float32), y.astype(np.int64)
