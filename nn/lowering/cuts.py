"""How products are cut into tiles: which indices count rows, which count columns, and what is copied for them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple, TypeGuard

from .expression import (
    Affine,
    Expression,
    Index,
    Load,
    Number,
    Operation,
    Reduction,
    Size,
    free_indices,
    nodes,
    operation,
    reductions,
)
from .memory import size_at
from .program import Array, Item, Nest, Program, Recurrence

FEWEST_ROWS = 4  # for fewer a panel is not worth while


class Factors(NamedTuple):
    """A sum over products: the factor that depends on the rows of a tile, and the one that depends on its columns."""

    total: Reduction
    row: Expression
    column: Expression


class Tiling(NamedTuple):
    """The indices of a nest that count rows together, those that count columns together, and the sums."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    sums: list[Factors]


def sums(nest: Nest) -> list[Reduction]:
    """Return the sums that a nest computes for each of its entries; none where it reduces in other ways too."""
    every = {name for name, _ in nest.indices}
    totals = reductions(*(store.value for store in nest.stores))
    whole = all(each.name == "sum" and each.is_real and free_indices(each) >= every for each in totals)
    inner = any(isinstance(part, Reduction) for each in totals for part in nodes(each.body))
    return totals if whole and every and not inner else []


def column_of(nest: Nest, totals: list[Reduction]) -> str:
    """Return the index along which what sums read stands side by side in memory; "" where there is none."""
    column, size = nest.indices[-1]
    loads = [node for each in totals for node in nodes(each.body) if isinstance(node, Load)]
    near = all(_stands_last(load, column) for load in loads if column in free_indices(load))
    return column if near and isinstance(size, int) and any(column in free_indices(load) for load in loads) else ""


def _stands_last(load: Load, index: str) -> bool:
    """Tell whether the entries for successive values of an index stand side by side."""
    *front, last = [p for p, size in zip(load.places, load.shape, strict=True) if size != 1] or [Number(0)]
    return last == Index(index) and all(index not in free_indices(place) for place in front)


def tiling(nest: Nest) -> Tiling | None:
    """Return how a nest is best cut into tiles; None for what is no product of enough rows."""
    totals, sizes = sums(nest), dict(nest.indices)
    best: Tiling | None = None
    for seed in reversed(sizes) if totals else ():
        found = [_factors(each, seed, sizes) for each in totals]
        first = found[0]
        if first is None or any(each is None or each[:2] != first[:2] for each in found):
            continue
        rows, columns, _ = first
        if _estimate(sizes[name] for name in rows) < FEWEST_ROWS:
            continue
        candidate = Tiling(rows, columns, [each[2] for each in found if each])
        if best is None or _cost(nest, candidate) < _cost(nest, best):
            best = candidate
    return best


USUAL_BATCH, USUAL_LANES = 256, 16  # for estimates


def _estimate(sizes: Iterable[Size]) -> int:
    return math.prod(size_at(size, USUAL_BATCH) for size in sizes)


def _cost(nest: Nest, tiles: Tiling) -> float:
    """Estimate the cycles of a product: of copying columns, of multiplying, and of storing entries apart or in rows."""
    sizes, last = dict(nest.indices), nest.indices[-1][0]
    rows, columns = (_estimate(sizes[name] for name in names) for names in (tiles.rows, tiles.columns))
    stored = 0.2 if tiles.columns[-1] == last else 4
    cost = rows * columns * stored
    for each in tiles.sums:
        near = isinstance(each.column, Load) and _stands_last(each.column, tiles.columns[-1])
        copied = 1.5 if len(tiles.columns) > 1 else 0.15 if near else 1
        terms = _estimate(size for _, size in each.total.indices)
        cost += terms * (columns * copied + rows * math.ceil(columns / USUAL_LANES) / 2)
    return cost * _estimate(size for name, size in sizes.items() if name not in (*tiles.rows, *tiles.columns))


def count_of(sizes: Iterable[Size]) -> Size:
    """Return how many values indices have together, one of which at most follows the batch size."""
    listed = list(sizes)
    whole = math.prod(size for size in listed if isinstance(size, int))
    free = next((size for size in listed if isinstance(size, Affine)), None)
    return whole if free is None else Affine(free.slope * whole, free.constant * whole)


def _factors(total: Reduction, seed: str, sizes: Mapping[str, Size]) -> tuple[tuple, tuple, Factors] | None:
    """Return the indices of rows and of columns, one of which is `seed`, and the factors that depend on them."""
    factors = _product(total.body)
    column = [factor for factor in factors if seed in free_indices(factor)]
    row = [factor for factor in factors if seed not in free_indices(factor)]
    of_columns = set[str]().union(*map(free_indices, column)) & sizes.keys()
    of_rows = set[str]().union(*map(free_indices, row)) & sizes.keys()
    rows, columns = (_in_order(each, sizes) for each in (of_rows - of_columns, of_columns - of_rows))
    if not rows or not columns:
        return None
    if (
        len(columns) > 1
        and isinstance(sizes[columns[0]], Affine)
        and _estimate(sizes[name] for name in columns[1:]) >= USUAL_LANES
    ):
        columns = columns[1:]  # what is stored then stands side by side
    return rows, columns, Factors(total, _multiplied(row), _multiplied(column))


def _in_order(names: set[str], sizes: Mapping[str, Size]) -> tuple[str, ...]:
    """Return indices in their order, but one whose size follows the batch size first; of several such the first."""
    free = [name for name in sizes if name in names and isinstance(sizes[name], Affine)]
    return (*free[:1], *(name for name in sizes if name in names and name not in free))


def _product(node: Expression) -> list[Expression]:
    if isinstance(node, Operation) and node.name == "*":
        return [factor for part in node.arguments for factor in _product(part)]
    return [node]


def _multiplied(factors: list[Expression]) -> Expression:
    first, *rest = factors
    for factor in rest:
        first = operation("*", first, factor)
    return first


def with_panels(program: Program, columns: int) -> Program:
    """Return a program in which each product has memory for the panel of columns that it copies."""
    arrays = dict(program.arrays)

    def with_panel(item: Item) -> Item:
        if isinstance(item, Recurrence):
            return replace(item, items=tuple(map(with_panel, item.items)))
        found = tiling(item)
        if found is None:
            return item
        names = []
        for each in found.sums:
            names.append(f"panel{len(arrays)}")
            arrays[names[-1]] = Array(names[-1], (*(size for _, size in each.total.indices), columns), role="panel")
        return replace(item, scratch=tuple(names))

    return Program(arrays, tuple(map(with_panel, program.items)))


def is_split(value: Expression) -> TypeGuard[Load]:
    """Tell whether a value is an entry whose place in memory is a sum of steps along each index."""
    return isinstance(value, Load) and value.is_real and all(map(is_linear, value.places))


def is_linear(place: Expression) -> bool:
    """Tell whether a place is a sum of multiples of indices, so that steps along different ones add up."""
    match place:
        case Operation(name="+" | "-", arguments=parts):
            return all(map(is_linear, parts))
        case Operation(name="*", arguments=(a, b)):
            return (isinstance(a, Number) and is_linear(b)) or (isinstance(b, Number) and is_linear(a))
    return isinstance(place, Index) or place == Number(0)
