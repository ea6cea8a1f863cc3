"""Products in tiles: the sums of a few rows and many columns at a time, which stay in the registers of a processor.

The columns of one factor are first copied side by side, into a panel that all rows then read. Vectors are those of gcc
and clang, since neither is sure to find them by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from .c import Dialect
from .cuts import Factors, Tiling, column_of, count_of, is_linear, is_split, sums, tiling
from .expression import (
    Expression,
    Index,
    Load,
    Number,
    Reduction,
    Size,
    operation,
    substituted,
)
from .memory import size_at
from .nests import Function, NestWriter, nest_function
from .program import Array, Nest


class Shape(NamedTuple):
    """How a tile is made: the bytes of a vector, how many vectors a row has, and how many rows there are.

    The sums must fit in the registers beside a row of the panel: 32 of 64 bytes with AVX-512, 16 of 32 bytes before.
    """

    vector: int = 64
    vectors: int = 4
    rows: int = 6

    def lanes(self, dialect: Dialect) -> int:
        """Return how many numbers a vector holds."""
        return self.vector // (8 if dialect.real == "double" else 4)

    def columns(self, dialect: Dialect) -> int:
        """Return how many columns a tile has."""
        return self.vectors * self.lanes(dialect)


WIDE, NARROW = Shape(64, 4, 6), Shape(32, 2, 6)


class TileWriter(NestWriter):
    """Writes a nest of products in tiles."""

    shape = WIDE

    def write(self) -> list[str]:
        """Return the lines of the function's body."""
        found = tiling(self.nest) if self.nest.scratch else None
        if found is None:
            totals = sums(self.nest)
            column = column_of(self.nest, totals) if totals else ""
            return self._columns(totals, column) if column else super().write()
        sizes = dict(self.nest.indices)
        for name, size in self.nest.indices:
            if name not in (*found.rows, *found.columns):
                self.open(name, size)
        lanes = self.shape.lanes(self.dialect)
        for width, start, stop in _parts(
            count_of(sizes[name] for name in found.columns), self.shape.columns(self.dialect)
        ):
            self._block("c", start, stop, width)
            vectors = -(-int(width) // lanes) if width.isdigit() else self.shape.vectors
            for panel, each in zip(self.nest.scratch, found.sums, strict=True):
                self._fill(panel, each, found.columns, width, vectors * lanes)
            if scattered := self._scattered(found):
                places = _all_at(scattered, self._alone(found.columns, "(c + j)"))
                self.line(f"long to[{self.shape.columns(self.dialect)}];")
                self.line(f"for (long j = 0; j < {width}; j++) to[j] = {self.offset(scattered.shape, places)};")
            for height, first, last in _rows(count_of(sizes[name] for name in found.rows), self.shape.rows):
                self.open("r", last, first, height)
                self._tile(found, height, vectors, lanes, width)
                self.close()
            self.close()
        while self.depth > 1:
            self.close()
        return self.lines

    def _places(self, names: tuple[str, ...], counter: str) -> dict[str, Expression]:
        """Return the indices that a counter of all their values stands for."""
        sizes = dict(self.nest.indices)
        found: dict[str, Expression] = {}
        below = 1
        for name in reversed(names):
            place = operation("//", Index(counter), below)
            found[name] = place if name == names[0] else operation("%", place, sizes[name])  # type: ignore[arg-type]
            below *= size_at(sizes[name], 1)  # the first, which may follow the batch size, is below none
        return found

    def _columns(self, totals: list[Reduction], column: str) -> list[str]:
        """Write sums of many columns side by side, which the compiler finds vectors for."""
        *outer, (_, size) = self.nest.indices
        for name, count in outer:
            self.open(name, count)
        for width, start, stop in _parts(size, self.shape.columns(self.dialect)):
            self._block("c", start, stop, width)
            at = {column: Index("(c + j)")}
            before = dict(self.locals)
            for number, each in enumerate(totals):
                self.line(f"T a{number}[{width}] = {{0}};")
                for index, count in each.indices:
                    self.open(index, count)
                self.line(
                    f"for (long j = 0; j < {width}; j++) a{number}[j] += {self.text(_at(each.body, at), real=True)};"
                )
                for _ in each.indices:
                    self.close()
            self.open("j", width)
            for number, each in enumerate(totals):
                self.locals[_at(each, at)] = f"a{number}[j]"
            for store in self.nest.stores:
                places = tuple(_at(p, at) for p in store.places)
                self.store(replace(store, places=places, value=_at(store.value, at)))
            self.locals = before
            self.close()
            self.close()
        while self.depth > 1:
            self.close()
        return self.lines

    def _block(self, name: str, start: str, stop: str, width: str) -> None:
        """Begin the loop over whole tiles, or a block for what is left behind them."""
        if width == str(self.shape.columns(self.dialect)):
            self.open(name, stop, start, int(width))
            return
        self.line(f"if ({start} < {stop}) {{" if not width.isdigit() else "{")
        self.depth += 1
        self.line(f"const long {name} = {start};")
        if not width.isdigit():
            self.line(f"const long {width} = {stop} - {name};")

    def _over(self, total: Reduction, body: Callable[[], None]) -> None:
        """Write loops over the indices of a sum, in which k counts."""
        self.line("k = 0;")
        for index, size in total.indices:
            self.open(index, size)
        body()
        self.line("k++;")
        for _ in total.indices:
            self.close()

    def _fill(self, panel: str, each: Factors, columns: tuple[str, ...], width: str, room: int) -> None:
        """Copy the columns of a tile side by side; what stands behind them is never stored."""
        if not any("long k;" in line for line in self.lines):
            self.lines.insert(0, "    long k;")
        places = self._places(columns, "(c + j)")

        def copied() -> None:
            self.open("j", width)
            self.line(f"{panel}[k * {room} + j] = {self.text(_at(each.column, places), real=True)};")
            self.close()
            if width != str(room):
                self.line(f"for (long j = {width}; j < {room}; j++) {panel}[k * {room} + j] = 0;")

        load = each.column
        if len(columns) == 1 or not is_split(load):
            self._over(each.total, copied)
            return
        first = {**places, **{index: Number(0) for index, _ in each.total.indices}}
        start = self.offset(load.shape, _all_at(load, first))
        step, array = self._step(load), load.array

        def gathered() -> None:
            self.line(f"const T *from = {array} + {step};")
            self.line(f"for (long j = 0; j < {room}; j++) {panel}[k * {room} + j] = from[at[j]];")

        self.line(f"long at[{room}];")
        self.line(f"for (long j = 0; j < {room}; j++) at[j] = 0;")
        self.line(f"for (long j = 0; j < {width}; j++) at[j] = {start};")
        self._over(each.total, gathered)

    def _alone(self, names: tuple[str, ...], counter: str) -> dict[str, Expression]:
        """Return the indices that a counter stands for, with 0 for all others."""
        return {**{name: Number(0) for name, _ in self.nest.indices}, **self._places(names, counter)}

    def _scattered(self, found: Tiling) -> Load | None:
        """Return the entry that a nest adds a sum to, if that is all it does, and rows and columns step apart."""
        (store, *others) = self.nest.stores
        is_scatter = store.adds and not others and store.value == found.sums[0].total
        return store.target if is_scatter and all(map(is_linear, store.places)) else None

    def _row_values(self, number: int, each: Factors, rows: list[dict[str, Expression]]) -> list[str]:
        """Return the factor of each row in C; where it is an entry of an array, find first where these begin."""
        if not is_split(each.row):
            return [self.text(_at(each.row, place), real=True) for place in rows]
        for k, place in enumerate(rows):
            first = {**place, **{index: Number(0) for index, _ in each.total.indices}}
            start = self.offset(each.row.shape, _all_at(each.row, first))
            self.line(f"const T *row{number}_{k} = {each.row.array} + {start};")
        return [f"row{number}_{k}[step]" for k in range(len(rows))]

    def _step(self, load: Load) -> str:
        """Return how far the indices of a sum move along an array, whose places are sums of multiples of indices."""
        return self.offset(load.shape, _all_at(load, {name: Number(0) for name, _ in self.nest.indices}))

    def _tile(self, found: Tiling, height: int, vectors: int, lanes: int, width: str) -> None:
        room = vectors * lanes
        rows = [self._places(found.rows, f"(r + {k})") for k in range(height)]
        for s, (panel, each) in enumerate(zip(self.nest.scratch, found.sums, strict=True)):
            names = [[f"a{s}_{k}_{v}" for v in range(vectors)] for k in range(height)]
            for row in names:
                self.line(f"V {', '.join(f'{name} = {{0}}' for name in row)};")

            values = self._row_values(s, each, rows)

            def multiplied(
                panel: str = panel, each: Factors = each, names: list[list[str]] = names, values: list[str] = values
            ) -> None:
                for v in range(vectors):
                    self.line(f"const V column{v} = *(const V *)({panel} + k * {room} + {v * lanes});")
                if is_split(each.row):
                    self.line(f"const long step = {self._step(each.row)};")
                for value, row in zip(values, names, strict=True):
                    self.line(f"{{ const T x = {value};")
                    self.line("    " + " ".join(f"{name} += x * column{v};" for v, name in enumerate(row)) + " }")

            self._over(each.total, multiplied)
            self.line(f"T tile{s}[{height}][{room}];")
            for k, row in enumerate(names):
                self.line(" ".join(f"*(V *)(tile{s}[{k}] + {v * lanes}) = {name};" for v, name in enumerate(row)))
        scattered = self._scattered(found)
        for k, place in enumerate(rows):
            if scattered:
                base = _all_at(scattered, {**place, **{name: Number(0) for name in found.columns}})
                self.line(f"T *into{k} = {scattered.array} + {self.offset(scattered.shape, base)};")
                self.line(f"for (long j = 0; j < {width}; j++) into{k}[to[j]] += tile0[{k}][j];")
                continue
            at = {**place, **self._places(found.columns, "(c + j)")}
            self.open("j", width)
            before = dict(self.locals)
            for s, each in enumerate(found.sums):
                self.locals[_at(each.total, at)] = f"tile{s}[{k}][j]"
            for store in self.nest.stores:
                places = tuple(_at(p, at) for p in store.places)
                self.store(replace(store, places=places, value=_at(store.value, at)))
            self.locals = before
            self.close()


class NarrowTileWriter(TileWriter):
    """Writes tiles for processors without AVX-512."""

    shape = NARROW


def _at(node: Expression, places: Mapping[str, Expression]) -> Expression:
    return substituted(node, dict(places))


def _all_at(load: Load, places: Mapping[str, Expression]) -> tuple[Expression, ...]:
    return tuple(_at(place, places) for place in load.places)


def _parts(size: Size, most: int) -> list[tuple[str, str, str]]:
    """Return into what parts columns are cut: how wide each is, where the first begins and the last ends."""
    if not isinstance(size, int):
        whole = f"({size} - {size} % {most})"
        return [(str(most), "0", whole), ("width", whole, str(size))]
    whole_size = size - size % most
    parts = [(str(most), "0", str(whole_size))] if whole_size else []
    return [*parts, (str(size - whole_size), str(whole_size), str(size))] if size > whole_size else parts


def _rows(size: Size, most: int) -> list[tuple[int, str, str]]:
    """Return into what parts rows are cut: how many each has, where the first begins and the last ends."""
    if not isinstance(size, int):
        whole = f"({size} - {size} % {most})"
        return [(most, "0", whole), (1, whole, str(size))]
    whole_size = size - size % most
    parts = [(most, "0", str(whole_size))] if whole_size else []
    return [*parts, (size - whole_size, str(whole_size), str(size))] if size > whole_size else parts


def tile_shape(is_wide: bool) -> Shape:
    """Return the shape of tiles for a processor with AVX-512, or without."""
    return WIDE if is_wide else NARROW


def tiled_function(
    is_wide: bool,
) -> Callable[[str, Nest, Mapping[str, Array], Iterable[str], Dialect], Function]:
    """Return what writes the function of a nest, with its products in tiles."""
    kind = TileWriter if is_wide else NarrowTileWriter
    return lambda name, nest, arrays, in_memory, dialect: nest_function(name, nest, arrays, in_memory, dialect, kind)


def vector_type(is_wide: bool) -> str:
    """Return the definition of vectors."""
    size = tile_shape(is_wide).vector
    return f"typedef T V __attribute__((vector_size({size}), aligned(sizeof(T)), may_alias));"
