"""What a model is trained on: rows that can be asked for by number, many at a time.

One call fetches a whole batch, so no Python loop ever runs over rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import settings


class Dataset:
    """Base of all datasets; an author writes the two methods `__len__` and `__getitem__`.

    Shape:
        `len(dataset)` is the number of rows. `dataset[indices]` with an integer array (N,) is a tuple of arrays, one
        for each field (inputs, targets, ...), all with N as their first dimension.

    Example:
        >>> class Squares(Dataset):
        ...     def __len__(self):
        ...         return 10
        ...     def __getitem__(self, indices):
        ...         return indices, indices**2
        >>> Squares()[np.array([2, 3])]
        (array([2, 3]), array([4, 9]))
    """

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__: the number of rows")

    def __getitem__(self, indices: Any) -> tuple[Any, ...]:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__: the rows at an integer array")


class TensorDataset(Dataset):
    """Arrays side by side: row i of the dataset is row i of each.

    Args:
        arrays: one or more of the same length; kept as they are, not copied, in `arrays`.

    Shape:
        The index may be an integer array, a boolean mask, a slice (which gives views) or one integer.

    Raises:
        ValueError: for no array, one without dimensions or with ragged rows, or different lengths.

    Example:
        >>> dataset = TensorDataset(np.arange(6).reshape(3, 2), np.array([7, 8, 9]))
        >>> dataset[[2, 0]]
        (array([[4, 5],
               [0, 1]]), array([9, 7]))
    """

    def __init__(self, *arrays: ArrayLike) -> None:
        try:
            self.arrays = tuple(np.asarray(array) for array in arrays)
        except (TypeError, ValueError) as error:  # NumPy says where the rows of a list begin to differ
            raise type(error)(f"TensorDataset expects arrays, or lists that make one: {error}") from error
        shapes = [array.shape for array in self.arrays]
        if not shapes or () in shapes:
            raise ValueError(f"TensorDataset expects arrays of one dimension or more, got shapes {shapes}")
        lengths = [len(array) for array in self.arrays]
        if len(set(lengths)) > 1:
            raise ValueError(f"TensorDataset expects arrays of one length, got lengths {lengths}")

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, indices: Any) -> tuple[Any, ...]:
        return tuple(array[indices] for array in self.arrays)


def check_dataset(owner: str, dataset: Any) -> Any:
    """Return a dataset, or say how arrays become one: TypeError."""
    is_one = hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
    if isinstance(dataset, np.ndarray | list | tuple) or not is_one:
        raise TypeError(f"{owner} expects a Dataset, got {type(dataset).__name__}: wrap arrays in TensorDataset(x, y)")
    return dataset


class Subset(Dataset):
    """Some rows of a dataset: row i of the subset is row `indices[i]` of the dataset.

    Args:
        dataset: where the rows are.
        indices: which ones, (N,), each in [0, len(dataset)); an array of them is kept in `indices`.

    Raises:
        ValueError: for an index out of range.
        TypeError: for indices that are not integers, and for bare arrays or lists in place of a dataset.

    Example:
        >>> subset = Subset(TensorDataset(np.array([10, 20, 30])), [2, 0])
        >>> subset[np.array([0, 1])]
        (array([30, 10]),)
    """

    def __init__(self, dataset: Dataset, indices: Sequence[int] | np.ndarray) -> None:
        self.dataset = check_dataset("Subset", dataset)
        try:
            self.indices = np.array(indices)
        except (TypeError, ValueError) as error:  # no array; ragged lists
            raise type(error)(f"Subset expects indices of shape (N,): {error}") from error
        if self.indices.ndim != 1:
            raise ValueError(f"Subset expects indices of shape (N,), got shape {self.indices.shape}")
        if not self.indices.size:
            self.indices = self.indices.astype(np.int64)  # NumPy makes an empty list an array of floats
        if self.indices.dtype.kind not in "iu":
            raise TypeError(f"Subset expects integer indices, got {self.indices.dtype}")
        outside = self.indices[(self.indices < 0) | (self.indices >= len(dataset))]
        if outside.size:
            raise ValueError(f"Subset expects indices in [0, {len(dataset)}), got {outside[0]}")

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, indices: Any) -> tuple[Any, ...]:
        return self.dataset[self.indices[indices]]


def random_split(
    dataset: Dataset, lengths: Sequence[float], *, generator: np.random.Generator | int | None = None
) -> list[Subset]:
    """Split a dataset at random into subsets that share no row and leave none out.

    Args:
        dataset: what to split.
        lengths: whole numbers that sum to `len(dataset)`, or fractions that sum to 1. Of n rows a fraction f gets
            floor(n f), and the rows then left over go one each to the subsets from the first on, as in PyTorch.
        generator: a NumPy Generator or a seed; None for a fresh one.

    Raises:
        ValueError: for any other lengths.
        TypeError: for lengths that are no list of numbers, and for bare arrays or lists in place of a dataset.

    Example:
        >>> dataset = TensorDataset(np.arange(10))
        >>> [len(part) for part in random_split(dataset, [0.5, 0.25, 0.25], generator=0)]
        [6, 2, 2]
    """
    rows = len(check_dataset("random_split", dataset))
    expected = f"whole numbers that sum to {rows}, or fractions that sum to 1"
    try:
        given = list(lengths)
        fractions = all(0 <= length <= 1 for length in given) and math.isclose(sum(given), 1)
    except (TypeError, ValueError) as error:  # no list, or one of what cannot be compared with numbers
        kind = TypeError if isinstance(error, TypeError) else ValueError  # NumPy's own kinds want other arguments
        raise kind(settings.refusal("random_split", "lengths", expected, lengths)) from None
    if fractions:
        given = [math.floor(rows * fraction) for fraction in given]
        left = rows - sum(given)
        given = [count + (i < left) for i, count in enumerate(given)]
    if sum(given) != rows or not all(isinstance(count, int | np.integer) and count >= 0 for count in given):
        raise ValueError(settings.refusal("random_split", "lengths", expected, lengths))
    order = settings.random_generator("random_split", generator).permutation(rows)
    return [Subset(dataset, part) for part in np.split(order, np.cumsum(given)[:-1])]
