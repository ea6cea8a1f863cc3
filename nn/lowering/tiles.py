"""Products in tiles: sums over all of a nest's entries are kept for a few rows and many columns at a time.

A tile of 4 rows and 64 columns stays in the registers of a processor with wide vectors, so that each entry that is read
serves several products. It needs columns that lie side by side in memory; an array in which they do not is first copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from .c import Dialect, Function, NestWriter, nest_function
from .expression import (
    Expression,
    Index,
    Load,
    Number,
    Operation,
    Reduction,
    Size,
    free_indices,
    nodes,
    rebuilt,
    reductions,
    substituted,
)
from .program import Array, Item, Nest, Program, Recurrence, Store, all_nests, reads

ROWS, COLUMNS = 4, 64


# ---- which nests


def products(nest: Nest) -> list[Reduction]:
    """Return the sums that a nest computes for each of its entries; none where it computes others too."""
    every = {name for name, _ in nest.indices}
    found = reductions(*(store.value for store in nest.stores))
    whole = [each for each in found if each.name == "sum" and every and free_indices(each) >= every]
    inner = any(isinstance(part, Reduction) for each in whole for part in nodes(each.body))
    return [] if inner or len(whole) < len(found) else whole


def stride(load: Load, index: str) -> Size | None:
    """Return how far apart in memory the entries for successive values of an index stand; None where that varies."""
    found: Size | None = 0
    for axis, place in enumerate(load.places):
        if index not in free_indices(place):
            continue
        step = _slope(place, index)
        below = [size for size in load.shape[axis + 1 :] if size != 1]
        if step is None or found != 0 or (below and not all(isinstance(size, int) for size in below)):
            return None
        for size in below:
            step *= size  # type: ignore[operator]
        found = step
    return found


def _slope(place: Expression, index: str) -> int | None:
    match place:
        case Index():
            return 1
        case Operation(name="+" | "-" as sign, arguments=(a, b)):
            ends = [0 if index not in free_indices(each) else _slope(each, index) for each in (a, b)]
            if None in ends:
                return None
            return ends[0] + ends[1] if sign == "+" else ends[0] - ends[1]  # type: ignore[operator]
        case Operation(name="*", arguments=(Number(value=int() as factor), b)):
            inner = _slope(b, index)
            return None if inner is None else factor * inner
    return None


def axes(nest: Nest, sums: list[Reduction]) -> tuple[str, str]:
    """Return the index of the rows and that of the columns of a nest's tiles; "" for no rows."""
    names = [name for name, size in nest.indices if size != 1]
    column = names[-1]
    for name in reversed(names):
        loads = [n for each in sums for n in nodes(each.body) if isinstance(n, Load) and name in free_indices(n)]
        if loads and all(stride(load, name) == 1 for load in loads) and stride(nest.stores[-1].target, name) == 1:
            column = name
            break
    rows = [name for name in names if name != column]
    for name in reversed(rows):  # better one on which the columns do not depend: these are then read once for all rows
        loads = [n for each in sums for n in nodes(each.body) if isinstance(n, Load) and column in free_indices(n)]
        if not any(name in free_indices(load) for load in loads):
            return name, column
    return "", column


# ---- columns side by side


def with_columns(program: Program) -> Program:
    """Return a program in which products read their columns side by side, from copies where need be."""
    arrays = dict(program.arrays)
    return Program(arrays, tuple(_with_columns(program.items, arrays, {})))


Copies = dict[tuple[str, int], str]  # of an array with an axis moved to the end, by both


def _with_columns(items: Iterable[Item], arrays: dict[str, Array], made: Copies) -> list[Item]:
    found: list[Item] = []
    for item in items:
        written = {store.array for nest in all_nests([item]) for store in nest.stores}
        if isinstance(item, Recurrence):
            inner = _with_columns(item.items, arrays, {})
            first = [step for step in inner if _source(step, arrays) and _source(step, arrays) not in written]
            found += [*first, replace(item, items=tuple(step for step in inner if step not in first))]
        else:
            found += _copied_columns(item, arrays, made)
        for key in [key for key in made if key[0] in written]:
            del made[key]
    return found


def _source(item: Item, arrays: Mapping[str, Array]) -> str:
    """Return what array a nest copies for its columns; "" where it does something else."""
    is_copy = isinstance(item, Nest) and arrays[item.stores[0].array].role == "copy"
    return next(iter(reads(item.stores[0].value))) if is_copy else ""


def _copied_columns(nest: Nest, arrays: dict[str, Array], made: Copies) -> list[Item]:
    """Return a nest, behind those that copy what it reads."""
    sums = products(nest)
    if not sums:
        return [nest]
    _, column = axes(nest, sums)
    copies: list[Item] = []
    new: dict[Expression, Expression] = {}
    for load in {n for each in sums for n in nodes(each.body) if isinstance(n, Load) and column in free_indices(n)}:
        if stride(load, column) == 1 or Index(column) not in load.places:
            continue
        axis = load.places.index(Index(column))
        if sum(column in free_indices(place) for place in load.places) > 1:
            continue
        shape = (*load.shape[:axis], *load.shape[axis + 1 :], load.shape[axis])
        key = load.array, axis
        if key not in made or arrays[made[key]].shape != shape:
            made[key] = f"{load.array}_by{axis}_{len(arrays)}"
            arrays[made[key]] = Array(made[key], shape, load.is_real, "copy")
            copies.append(_transposition(load, axis, made[key], shape))
        places = (*load.places[:axis], *load.places[axis + 1 :], load.places[axis])
        new[load] = Load(made[key], shape, places, load.is_real)
    stores = tuple(replace(store, value=_with(store.value, new)) for store in nest.stores)
    return [*copies, replace(nest, stores=stores)]


def _with(node: Expression, new: Mapping[Expression, Expression]) -> Expression:
    return new[node] if node in new else rebuilt(node, lambda part: _with(part, new))


def _transposition(load: Load, axis: int, name: str, shape: tuple[Size, ...]) -> Nest:
    """Return the nest that copies an array with one axis moved to the end."""
    indices = [Number(0) if size == 1 else Index(f"i{k}") for k, size in enumerate(shape)]
    source = (*indices[:axis], indices[-1], *indices[axis:-1])
    loops = tuple((f"i{k}", size) for k, size in enumerate(shape) if size != 1)
    value = Load(load.array, load.shape, source, load.is_real)
    return Nest(loops, (Store(name, shape, tuple(indices), value),))


# ---- C


class TileWriter(NestWriter):
    """Writes a nest of products in tiles."""

    def write(self) -> list[str]:
        """Return the lines of the function's body."""
        sums = products(self.nest)
        if not sums:
            return super().write()
        rows, column = axes(self.nest, sums)
        sizes = dict(self.nest.indices)
        outer = [(name, size) for name, size in self.nest.indices if name not in (rows, column)]
        for name, size in outer:
            self.open(name, size)
        for width, start, stop in _parts(sizes[column], COLUMNS):
            self.open("c", stop, start, COLUMNS if width == str(COLUMNS) else 0)
            if width == "w":
                self.line(f"const long w = {stop} - c;")
            if not rows:
                self._tile(sums, {}, column, 1, width)
            else:
                for height, first, last in _parts(sizes[rows], ROWS, rest_in_ones=True):
                    self.open("r", last, first, int(height))
                    self._tile(sums, {rows: "r"}, column, int(height), width)
                    self.close()
            self.close()
        while self.depth > 1:
            self.close()
        return self.lines

    def open(self, name: str, size: Size | str, start: str = "0", step: int = 1) -> None:
        """Begin a loop; a step of 0 makes it a block in which the index is its start."""
        if step:
            super().open(name, size, start, step)
            return
        self.line("{")
        self.depth += 1
        self.line(f"const long {name} = {start};")

    def _tile(self, sums: list[Reduction], rows: Mapping[str, str], column: str, height: int, width: str) -> None:
        room = COLUMNS if not width.isdigit() else int(width)
        at = [{**{name: f"({r} + {k})" for name, r in rows.items()}, column: "(c + j)"} for k in range(height)]
        for s in range(len(sums)):
            for k in range(height):
                self.line(f"T a{s}_{k}[{room}] = {{0}};")
        for s, each in enumerate(sums):
            for index, size in each.indices:
                self.open(index, size)
            self.open("j", width)
            for k in range(height):
                self.line(f"a{s}_{k}[j] += {self.text(_at(each.body, at[k]), real=True)};")
            for _ in range(len(each.indices) + 1):
                self.close()
        for k in range(height):
            self.open("j", width)
            before = dict(self.locals)
            for s, each in enumerate(sums):
                self.locals[_at(each, at[k])] = f"a{s}_{k}[j]"
            for store in self.nest.stores:
                places = tuple(_at(place, at[k]) for place in store.places)
                self.store(replace(store, places=places, value=_at(store.value, at[k])))
            self.locals = before
            self.close()


def _at(node: Expression, places: Mapping[str, str]) -> Expression:
    return substituted(node, {name: Index(text) for name, text in places.items()})


def _parts(size: Size, most: int, rest_in_ones: bool = False) -> list[tuple[str, str, str]]:
    """Return into what parts a size is cut: how wide each is, where the first begins and the last ends."""
    if isinstance(size, int):
        whole = size - size % most
        parts = [(str(most), "0", str(whole))] if whole else []
        if size > whole:
            parts.append((str(size - whole), str(whole), str(size)))
        return parts
    whole_text = f"{size} - {size} % {most}"
    if rest_in_ones:
        return [(str(most), "0", whole_text), ("1", whole_text, str(size))]
    return [(str(most), "0", whole_text), ("w", whole_text, str(size))]


def tiled_function(
    name: str, nest: Nest, arrays: Mapping[str, Array], in_memory: Iterable[str], dialect: Dialect
) -> Function:
    """Return the function of a nest, with its products in tiles."""
    return nest_function(name, nest, arrays, in_memory, dialect, TileWriter)
