"""One program for all batch sizes: programs for three of them are laid over one another.

Wherever they hold different numbers, these must lie on a line through the batch size; the third proves it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from .expression import Affine


class BatchError(ValueError):
    """Says that programs for several batch sizes are not one program."""


def free_batch(lower: Callable[[int], Any], taken: Collection[int]) -> Any:
    """Return what `lower` gives for a batch size, with numbers that follow it in the place of those that differ.

    Args:
        lower: lowers for a batch size.
        taken: sizes of other axes, which a batch size had better not meet by chance.

    Raises:
        BatchError: where the programs differ in more than sizes, or a size is not affine in the batch size.
    """
    sizes = list(itertools.islice((p for p in _primes() if p not in taken), 3))
    return _merged([lower(n) for n in sizes], sizes)


def _primes() -> Iterator[int]:
    return (n for n in itertools.count(3) if all(n % k for k in range(2, n)))


def _merged(values: list[Any], sizes: list[int]) -> Any:
    first = values[0]
    if isinstance(first, np.ndarray):
        if not all(np.array_equal(first, value, equal_nan=first.dtype.kind == "f") for value in values):
            raise BatchError("the batch size changes a table of numbers")
        return first
    if any(type(value) is not type(first) for value in values):
        raise BatchError(f"{' and '.join(type(value).__name__ for value in values)} stand in the same place")
    if is_dataclass(first) and not isinstance(first, type):
        names = [each.name for each in fields(first)]
        return type(first)(*(_merged([getattr(value, name) for value in values], sizes) for name in names))
    if isinstance(first, dict):
        if any([*value] != [*first] for value in values):
            raise BatchError("the batch size changes which arrays there are")
        return {key: _merged([value[key] for value in values], sizes) for key in first}
    if isinstance(first, list | tuple):
        if any(len(value) != len(first) for value in values):
            raise BatchError("the batch size changes how many steps there are")
        items = [_merged(list(items), sizes) for items in zip(*values, strict=True)]
        return type(first)(*items) if hasattr(first, "_fields") else type(first)(items)
    if all(value == first for value in values) or first != first:
        return first
    if not isinstance(first, int | float):
        raise BatchError(f"the batch size changes {first} to {values[1]}")
    slope, rest = divmod(values[1] - first, sizes[1] - sizes[0])
    line = Affine(int(slope), int(first - slope * sizes[0]))
    if rest or line.at(sizes[2]) != values[2] or line.at(sizes[0]) != first:
        raise BatchError(f"{first}, {values[1]} and {values[2]} do not follow the batch sizes {sizes}")
    return line
