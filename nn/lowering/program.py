"""A program of loops: arrays in memory, and nests of loops that store into them. `Builder` writes one.

A nest is one array's entries, or several that are stored side by side. What is stored is an expression of the nest's
indices, so that whatever is elementwise happens in the loop that stores it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .entries import Entries, loaded
from .expression import (
    Expression,
    Index,
    Load,
    Number,
    Reduction,
    Size,
    as_expression,
    free_indices,
    nodes,
    rebuilt,
    reductions,
    substituted,
)
from .stable import stabilized


@dataclass(frozen=True)
class Array:
    """An array in memory.

    Attributes:
        name: unique.
        shape: its sizes.
        is_real: whether it holds real numbers, not integers.
        role: "temporary", or what it is to the caller: "input", "target", "random", "parameter", "gradient", "buffer",
            "constant" or "output"; or "panel", to work in.
    """

    name: str
    shape: tuple[Size, ...]
    is_real: bool = True
    role: str = "temporary"


@dataclass(frozen=True)
class Store:
    """`array[places] = value`, or `+=`."""

    array: str
    shape: tuple[Size, ...]
    places: tuple[Expression, ...]
    value: Expression
    adds: bool = False

    @property
    def target(self) -> Load:
        """The entry that is stored, as an expression that reads it."""
        return Load(self.array, self.shape, self.places, self.value.is_real)


@dataclass(frozen=True)
class Nest:
    """Loops, one inside another, with what is stored in the innermost, and arrays to work in."""

    indices: tuple[tuple[str, Size], ...]
    stores: tuple[Store, ...]
    scratch: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recurrence:
    """Items that are run for each step, forward or `backwards`."""

    index: str
    count: Size
    backwards: bool
    items: tuple[Any, ...]


Item = Nest | Recurrence


@dataclass
class Program:
    """Arrays by name, and what is done to them in order."""

    arrays: dict[str, Array] = field(default_factory=dict)
    items: tuple[Item, ...] = ()


class Builder:
    """Writes a program, nest by nest."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}
        self.items: list[Item] = []
        self._definitions: dict[str, tuple[tuple[Size, ...], list[Expression], Expression]] = {}
        self._numbers = itertools.count()

    def declare(self, hint: str, shape: Iterable[int], is_real: bool = True, role: str = "temporary") -> Entries:
        """Add an array, and return its entries."""
        name = f"{hint}{next(self._numbers)}" if role in ("temporary", "constant", "random") else hint
        sizes = tuple(map(int, shape))
        self.arrays[name] = Array(name, sizes, is_real, role)
        return loaded(name, sizes, is_real)

    @contextmanager
    def recurrence(self, index: str, count: int, backwards: bool) -> Iterator[None]:
        """Put what is stored inside the `with` into a loop over steps."""
        outer, self.items = self.items, []
        try:
            yield
        finally:
            inner, self.items = self.items, outer
        self.items.append(Recurrence(index, count, backwards, tuple(inner)))

    def stored(self, entries: Entries, hint: str = "part") -> Entries:
        """Return an array in memory with the entries: the one that they are, or a new one."""
        if entries.array:
            return entries
        indices = [Index(f"?{axis}") for axis in range(entries.ndim)]
        entry = entries.at(*indices)
        if isinstance(entry, Load) and entry.shape == entries.shape and list(entry.places) == indices:
            return loaded(entry.array, entries.shape, entry.is_real)  # another name for it
        return self.store(entries, hint)

    def store(self, entries: Entries, hint: str = "part") -> Entries:
        """Store entries into a new array, and return that."""
        is_real = entries.at(*[Number(0)] * entries.ndim).is_real
        target = self.declare(hint, entries.shape, is_real)
        self.assign(target, entries)
        return target

    def assign(self, target: Entries, entries: Entries, adds: bool = False) -> None:
        """Store entries where those of `target`, which are in memory, stand."""
        indices: list[Expression] = []
        loops: list[tuple[str, int]] = []
        for size in entries.shape:
            if size == 1:
                indices.append(Number(0))
            else:
                loops.append((f"i{len(loops)}", size))
                indices.append(Index(loops[-1][0]))
        self.scatter(target.at(*indices), loops, entries.at(*indices), adds)

    def scatter(self, target: Expression, loops: list[tuple[str, int]], value: Expression, adds: bool) -> None:
        """Store a value at a place, for each of the indices of some loops."""
        if not isinstance(target, Load):
            raise TypeError(f"expected an entry in memory, got {target}")
        plain = value
        value = self._without_hoisted(stabilized(value, self._definition), [name for name, _ in loops], dict(loops))
        self.items.append(Nest(tuple(loops), (Store(target.array, target.shape, target.places, value, adds),)))
        if not adds and not free_indices(target) - {name for name, _ in loops}:
            if all(isinstance(place, Index | Number) for place in target.places):
                self._definitions[target.array] = (target.shape, list(target.places), plain)

    def _definition(self, entry: Load) -> Expression | None:
        """Return what was stored in an entry, under names of indices that stand nowhere else."""
        shape, places, value = self._definitions.get(entry.array, ((), [], None))
        if value is None or shape != entry.shape:
            return None
        names = {place.name: at for place, at in zip(places, entry.places, strict=True) if isinstance(place, Index)}
        return substituted(self._renamed(value), names)

    def _renamed(self, node: Expression) -> Expression:
        """Return an expression whose reductions run over indices of new names."""
        if isinstance(node, Reduction):
            names = {name: f"b{next(self._numbers)}" for name, _ in node.indices}
            body = substituted(self._renamed(node.body), {old: Index(new) for old, new in names.items()})
            return Reduction(node.name, tuple((names[name], size) for name, size in node.indices), body)
        return rebuilt(node, self._renamed)

    def _without_hoisted(self, value: Expression, order: list[str], sizes: dict[str, int]) -> Expression:
        """Return a value in which reductions that would be done again and again are read from arrays of their own.

        A reduction that depends on the first indices of a nest is done once for each of these. One that depends on
        others, such as the mean of a column in a loop over rows, is stored first.
        """
        found = reductions(value)
        full = [each for each in found if order and free_indices(each) >= set(order)]
        for each in found:
            used = [name for name in order if name in free_indices(each)]
            if each in full or (used == order[: len(used)] and not full):
                continue
            at = self._stored_reduction(each, [(name, sizes[name]) for name in used])
            value = _replaced(value, each, at)
        return value

    def _stored_reduction(self, node: Reduction, loops: list[tuple[str, int]]) -> Expression:
        def at(*indices: Expression) -> Expression:
            return substituted(node, {name: i for (name, _), i in zip(loops, indices, strict=True)})

        array = self.store(Entries([size for _, size in loops], at), "sum")
        return array.at(*(Index(name) for name, _ in loops))


def _replaced(node: Expression, old: Expression, new: Expression) -> Expression:
    return new if node == old else rebuilt(node, lambda part: _replaced(part, old, new))


def zeros(shape: Iterable[int]) -> Entries:
    """Return an array of zeros."""
    return Entries(tuple(shape), lambda *i: as_expression(0.0))


def reads(*values: Expression) -> set[str]:
    """Return the arrays that expressions read."""
    return {node.array for node in nodes(*values) if isinstance(node, Load)}


def all_nests(items: Iterable[Item]) -> Iterator[Nest]:
    """Yield all nests, also those in recurrences."""
    for item in items:
        if isinstance(item, Recurrence):
            yield from all_nests(item.items)
        else:
            yield item
