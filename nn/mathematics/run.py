"""A program, run: a walker over the trees, line by line, with NumPy underneath.

Each line is first settled (settle.py). The settled line is what is run here, shown by notation.py, and rewritten for
one sample by columns.py.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..random import default_generator
from .program import EquationError, GridError, Line, Loop, is_gradient, parse, where
from .settle import Settler
from .trees import (
    base,
    free_indices,
    index_name,
    is_ellipsis,
    names_in,
    nodes,
    subscripted,
    subscripts,
    without_indices,
)
from .words import REDUCTIONS, WORDS

LARGEST_GRID = 10**7  # entries that the indices of one line may span


def _power(a: Any, b: Any) -> Any:
    """Return a**b: of integers to a negative power a fraction, of a negative number to a fractional one NaN."""
    if np.result_type(a, b).kind in "iub" and np.less(b, 0).any():
        return np.float_power(a, b)
    power = a**b
    return math.nan if isinstance(power, complex) else power


# fmt: off
OPERATORS: dict[type, Callable] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.MatMult: operator.matmul,
    ast.Div: np.true_divide,  # by zero too
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: _power,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda value, among: value in among, ast.NotIn: lambda value, among: value not in among,
}
# fmt: on


def evaluate(text: str, values: Mapping[str, Any], generator: np.random.Generator | int | None = None) -> dict:
    """Run a program and return the value of every symbol that it states.

    Args:
        text: a program, in the language of the equations.
        values: of the symbols that it uses: arrays, numbers, tuples; None for what is absent.
        generator: where `random(shape)` draws from; needed only where it occurs.

    Raises:
        EquationError: for what cannot be read or has no value, with the line.

    Example:
        >>> evaluate("y = x @ W.T + b", {"x": np.ones((1, 3)), "W": np.ones((2, 3)), "b": None})
        {'y': array([[3., 3.]])}
    """
    walker = Walker(values, generator)
    walker.run(parse(text))
    return walker.stated()


class Sequence(dict):
    """The steps of a recurrence so far, by their number."""


class Grid:
    """The indices of one line, each with an axis of its own; a line about whole arrays has none, and is false.

    Args:
        rest: the shape that `...` stands for in the line; its axes come first.
        ranges: how far each index goes, by its name.
    """

    def __init__(self, rest: tuple[int, ...] = (), ranges: Mapping[str, int] | None = None) -> None:
        self.rest = [f"...{axis}" for axis in range(len(rest))]
        self.sizes = {**dict(zip(self.rest, rest, strict=True)), **(ranges or {})}

    def __bool__(self) -> bool:
        return bool(self.sizes)

    def names(self, indices: Iterable[ast.expr]) -> list[str]:
        """Return the names of the axes of some indices."""
        found = [name for i in indices for name in (self.rest if is_ellipsis(i) else [index_name(i)])]
        if unknown := [name for name in found if name not in self.sizes]:
            raise EquationError(f"{', '.join(unknown) or 'it'} is no index: nothing has it as a subscript")
        return found

    def axes(self, names: Iterable[str]) -> tuple[int, ...]:
        """Return the numbers of the axes of these names."""
        return tuple(map([*self.sizes].index, names))

    def along(self, name: str) -> np.ndarray:
        """Return 0, 1, 2, ... along an axis."""
        shape = [1] * len(self.sizes)
        shape[self.axes([name])[0]] = self.sizes[name]
        return np.arange(self.sizes[name]).reshape(shape)

    def spread(self, value: Any, names: Iterable[str]) -> np.ndarray:
        """Return a value at its full length along some axes."""
        shape = [size if name in names else 1 for name, size in self.sizes.items()]
        return np.broadcast_to(value, np.broadcast_shapes(np.shape(value), shape))


WHOLE = Grid()


class Walker:
    """Runs lines one after another.

    Args:
        values: of the symbols that are given; None for what is absent.
        generator: where `random` draws from.
        ranges: how far indices go that are known already.

    Attributes:
        values: of all symbols, those that the lines stated so far included.
        settled: the lines as they were run.
        ranges: how far each index goes.
    """

    largest_grid: float = LARGEST_GRID

    def __init__(
        self,
        values: Mapping[str, Any],
        generator: np.random.Generator | int | None = None,
        ranges: dict[str, int] | None = None,
    ) -> None:
        self.values: dict[str, Any] = {}
        self.given: set[str] = set()
        self.absent: set[str] = set()
        self.generator = generator
        self.ranges = {} if ranges is None else ranges
        self.settled: list[Line | Loop] = []
        self.settler = Settler(self.absent, self.of)
        self.give(values)

    def give(self, values: Mapping[str, Any]) -> None:
        """Add the values of symbols that lines to come use."""
        self.values |= {name: _plain(value) for name, value in values.items() if value is not None}
        self.absent |= {name for name, value in values.items() if value is None}
        self.given |= {*values}

    def stated(self) -> dict[str, Any]:
        """Return the values of the symbols that lines stated, in their order."""
        return {name: self.value(name) for name in self.values if name not in self.given}

    def run(self, lines: Iterable[Line | Loop]) -> None:
        """Settle and run lines, and note them in `settled`.

        Raises:
            EquationError: with the line.
        """
        with np.errstate(all="ignore"):  # a plain formula may overflow where the code, written for that, does not
            self.settled += self._run(lines)

    def _run(self, lines: Iterable[Line | Loop]) -> list[Line | Loop]:
        settled: list[Line | Loop] = []
        for line in lines:
            try:
                ready = self._loop(line) if isinstance(line, Loop) else self._settle(line)
                if isinstance(ready, Line):
                    self._execute(ready)
                if ready is not None:
                    settled.append(ready)
            except EquationError as error:
                raise error if str(error).startswith("line ") else type(error)(f"{where(line)}: {error}") from None
            except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
                raise EquationError(f"{where(line)}: {error}") from None
        return settled

    def _loop(self, loop: Loop) -> Loop:
        stop = self.settler.settle(loop.stop)
        if stop is None:
            raise EquationError(f"{ast.unparse(loop.stop)} is None")
        if loop.variable in self.values:
            raise EquationError(f"{loop.variable} is a symbol already, and cannot count steps")
        steps = range(self.of(stop))
        outer, self.settler.steps = self.settler.steps, self.settler.steps | {loop.variable, *loop.names}
        lines = loop.lines
        for step in reversed(steps) if loop.backwards else steps:
            self.values[loop.variable] = step
            lines = tuple(self._run(loop.lines))
        self.values.pop(loop.variable, None)
        self.settler.steps = outer
        if not steps:  # then nothing was added to a gradient
            zeros = {name: self.value(name) for name in loop.names if name not in self.values}
            self.values |= {name: value for name, value in zeros.items() if value is not None}
        return loop._replace(stop=stop, lines=lines)

    def _settle(self, line: Line) -> Line | None:
        """Return a line as it is run and shown; None where nothing of it is left."""
        absent = [name for name in line.names if is_gradient(name) and name[1:] in self.absent]
        value = None if absent else self.settler.settle(line.value)
        if value is None:  # h[0] = h0 says nothing of h[1]
            self.absent.update(base(target) for target in line.targets if absent or not self._is_step(target))
            return None
        targets = [target if isinstance(target, ast.Name) else self.settler.settle(target) for target in line.targets]
        line = line._replace(targets=tuple(targets), value=value)
        return line if self._grid(line).rest else line.rewritten(without_indices(is_ellipsis))

    def _is_step(self, target: ast.expr) -> bool:
        """Tell whether a target is a step of a sequence, such as h[0], whose name other lines may state too."""
        places = subscripts(target)
        return bool(places) and not any(is_ellipsis(place) or names_in(place) - {*self.values} for place in places)

    def _execute(self, line: Line) -> None:
        for name in line.names:
            if is_gradient(name) and name[1:] not in self.values:
                raise EquationError(f"{name} is the gradient of nothing: there is no {name[1:]}")
            if name in self.given:
                raise EquationError(f"{name} is given, and cannot be stated")
        if isinstance(line.value, ast.Tuple) and len(line.value.elts) == len(line.targets) > 1:
            for target, part in zip(line.targets, line.value.elts, strict=True):
                self._execute(line._replace(targets=(target,), value=part))
            return
        grid = self._grid(line)
        self._check_indices(line, grid)
        value = self.of(line.value, grid)
        values = [value] if len(line.targets) == 1 else [*value] if isinstance(value, tuple | list) else [value]
        if len(values) != len(line.targets):
            raise EquationError(f"{len(line.targets)} targets for {len(values)} values")
        for target, part in zip(line.targets, values, strict=True):
            if isinstance(part, range):
                self._set_range(base(target), len(part), f"{base(target)} = range({len(part)})")
            else:
                self._assign(target, part, line.adds, grid)

    # ---- the indices of a line

    def _grid(self, line: Line) -> Grid:
        """Find a line's indices, which are the names within [] that are no symbols, and their ranges."""
        entries = subscripted(*line.parts)
        places = [place for entry in entries for place in subscripts(entry)]
        inside = [node.id for node in nodes(*places) if isinstance(node, ast.Name) and node.id != "inf"]
        indices = dict.fromkeys(name for name in inside if name not in self.values)
        indices |= dict.fromkeys(sorted(names_in(line.value) & self.ranges.keys()))
        if not indices and not any(map(is_ellipsis, places)):
            return WHOLE
        rest: tuple[int, ...] | None = None
        for entry in entries:
            if entry in line.targets:
                array = self.value(base(entry))
            else:
                array = self.of(entry.value) if isinstance(entry.value, ast.Name | ast.Attribute) else None
            if array is None:
                continue
            shape = np.shape(array)
            places = subscripts(entry)
            dots = next((axis for axis, place in enumerate(places) if is_ellipsis(place)), len(places))
            after = max(len(shape) - len(places) + 1, 0) + dots  # the axis behind those of `...`
            if dots < len(places):
                if len(shape) < len(places) - 1:
                    raise EquationError(f"{ast.unparse(entry)} has {len(places) - 1} subscripts for {len(shape)} axes")
                if rest not in (None, shape[dots:after]):
                    raise EquationError(f"`...` stands for {rest}, and in {ast.unparse(entry)} for {shape[dots:after]}")
                rest = shape[dots:after]
            for place, size in zip([*places[:dots], *places[dots + 1 :]], shape[:dots] + shape[after:], strict=False):
                if index_name(place) in indices:
                    self._set_range(index_name(place), size, ast.unparse(entry))
        for name in indices:
            if name not in self.ranges:
                raise EquationError(
                    f"the range of the index {name} cannot be known: it stands alone on no axis (state {name} = "
                    f"range(...)); or is the symbol {name} missing?"
                )
        grid = Grid(rest or (), {name: self.ranges[name] for name in indices})
        if math.prod(grid.sizes.values()) > self.largest_grid:
            raise GridError(f"its indices span more than {self.largest_grid:,} entries: run it on smaller arrays")
        return grid

    def _set_range(self, name: str, size: int, claim: str) -> None:
        if self.ranges.setdefault(name, size) != size:
            raise EquationError(f"the index {name} has {self.ranges[name]} values, and {size} in {claim}")

    def _check_indices(self, line: Line, grid: Grid) -> None:
        left = {name for target in line.targets for name in free_indices(target, grid.sizes)}
        right = set(free_indices(line.value, grid.sizes))
        calls = [node for node in nodes(line.value) if isinstance(node, ast.Call) and base(node.func) in REDUCTIONS]
        reduced = {index_name(index) for call in calls for index in call.args[1:]}
        if both := sorted(reduced & (left | right)):
            raise EquationError(f"the index {both[0]} is reduced, and stands outside of its reduction too")
        if not line.adds and (loose := sorted(right - left)):
            raise EquationError(f"the index {loose[0]} stands on the right alone: reduce it, or write +=")

    # ---- what a line states

    def _assign(self, target: ast.expr, value: Any, adds: bool, grid: Grid) -> None:
        name, places = base(target), subscripts(target)
        if not grid and places:
            if len(places) > 1:
                raise EquationError(f"the steps of a sequence have one subscript, and {ast.unparse(target)} has more")
            step = operator.index(self.of(places[0]))
            if step < 0:
                raise EquationError(f"a sequence has no step {step}")
            self._store(name, step, value, adds)
            return
        indices = [index_name(place) for place in places]
        if grid and {*indices} <= {*grid.sizes, "..."} and len({*indices}) == len(indices):
            axes = grid.names(places)
            full = grid.spread(_number(value), axes)
            value = np.array(np.einsum(full, range(full.ndim), grid.axes(axes)))  # sums over the other indices
        elif grid:
            if not adds:
                raise EquationError(f"{ast.unparse(target)} defines entries at computed places: accumulate with +=")
            total = np.array(self._before(name), np.float64)
            *positions, value = np.broadcast_arrays(*self._positions(places, grid), value)
            self._check_inside(name, positions, total.shape, grid)
            np.add.at(total, tuple(positions), value)
            value, adds = total, False
        self._store(name, None, value, adds)

    def _store(self, name: str, step: int | None, value: Any, adds: bool) -> None:
        """Give a symbol, or a step of a sequence, its value; that of a gradient has the shape of what it is by."""
        if name in self.values and isinstance(self.values[name], Sequence) != (step is not None):
            kind = "a sequence: state its steps" if step is None else "no sequence: an array cannot be stated in parts"
            raise EquationError(f"{name} is {kind}")
        like = self.value(name[1:], step) if is_gradient(name) else None
        if is_gradient(name) and like is None:
            raise EquationError(f"{name[1:]}[{step}] is not there")
        before = self._before(name, step) if adds else None
        like, of = (like, name[1:]) if is_gradient(name) else (before, f"{name} before")
        if like is not None:
            value = np.full(np.shape(like), value) if np.ndim(value) == 0 else value  # one number stands for each entry
            if np.shape(value) != np.shape(like):
                raise EquationError(f"{name} has shape {np.shape(value)}, and {of} has {np.shape(like)}")
        container: dict = self.values if step is None else self.values.setdefault(name, Sequence())
        container[name if step is None else step] = before + value if adds else value

    def _before(self, name: str, step: int | None = None) -> Any:
        """Return the value that is added to."""
        before = self.value(name, step)
        if before is None:
            raise EquationError(f"{name} has no value to add to: state {name} = zeros(...) first")
        return before

    def value(self, name: str, step: int | None = None) -> Any:
        """Return the value of a symbol, or of one step of it; of a gradient zeros where nothing was stated, else None.

        The steps of a sequence are stacked to one array.
        """
        value = self.values.get(name)
        by = self.value(name[1:], step) if is_gradient(name) and not (step is None and name in self.values) else None
        if isinstance(value, Sequence) and step is None:
            count = len(self.value(name[1:])) if is_gradient(name) else max(value) + 1
            value = np.stack([self._step(name, step) for step in range(count)])
        elif isinstance(value, Sequence):
            value = value.get(step)
        elif value is not None and step is not None:
            self._check_inside(name, [step], np.shape(value), WHOLE)
            value = value[step]
        return value if by is None or value is not None else np.zeros(np.shape(by))

    def _step(self, name: str, step: int) -> Any:
        """Return a step of a sequence."""
        if (value := self.value(name, step)) is None:
            raise EquationError(f"{name}[{step}] is not there")
        return value

    # ---- the values of trees

    def of(self, node: Any, grid: Grid = WHOLE) -> Any:
        """Return the value of a tree; in a line with indices an array over their grid."""
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self._symbol(name, grid)
            case ast.Tuple(elts=items):
                return tuple(self.of(item, grid) for item in items)
            case ast.BoolOp():
                return self.settler.holds(node)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.of(body if self.settler.holds(test) else orelse, grid)
            case ast.UnaryOp(op=op, operand=operand):
                return not self.of(operand, grid) if isinstance(op, ast.Not) else -_number(self.of(operand, grid))
            case ast.BinOp(left=left, op=op, right=right):
                return OPERATORS[type(op)](_number(self.of(left, grid)), _number(self.of(right, grid)))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return OPERATORS[type(op)](self.of(left, grid), self.of(right, grid))
            case ast.Attribute(value=value, attr=name):
                return getattr(np.asarray(self.of(value)), name)
            case ast.Subscript():
                return self._entry(node, grid)
            case ast.Call(func=ast.Attribute(value=value, attr=name), args=arguments, keywords=keywords):
                named = {str(keyword.arg): self.of(keyword.value) for keyword in keywords}
                return getattr(np.asarray(self.of(value)), name)(*map(self.of, arguments), **named)
            case ast.Call(func=ast.Name(id=name), args=[value, *which]) if name in REDUCTIONS:
                if not which:
                    raise EquationError(
                        f"{name} runs over named indices: {name}(x[i], i); of a whole array write x.{name}()"
                    )
                axes = grid.names(which)
                full = grid.spread(self.of(value, grid), axes)
                return REDUCTIONS[name].run(full, axis=grid.axes(axes), keepdims=True)
            case ast.Call(func=ast.Name(id="random"), args=[shape]):
                if self.generator is None:
                    raise EquationError("random draws from a generator, and none is given")
                return WORDS["random"].run(self.of(shape), default_generator(self.generator))
            case ast.Call(func=ast.Name(id=name), args=arguments) if WORDS[name].elementwise:
                return WORDS[name].run(*(_number(self.of(argument, grid)) for argument in arguments))
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return WORDS[name].run(*map(self.of, arguments))
        raise EquationError(f"{ast.unparse(node)} has no value")

    def _symbol(self, name: str, grid: Grid) -> Any:
        if name in grid.sizes:
            return grid.along(name)
        value = math.inf if name == "inf" and name not in self.values else self.value(name)
        if value is None:
            reason = f"has no value here; known are {', '.join(self.values) or 'no names'}"
            raise EquationError(f"{name} {'is None' if name in self.absent else reason}")
        if grid and np.ndim(value):
            raise EquationError(f"{name}, of shape {np.shape(value)}, stands without subscripts among indices")
        return value

    def _entry(self, node: ast.Subscript, grid: Grid) -> Any:
        """Return an entry, a step of a sequence, or an array over the indices of the line."""
        name = base(node) or ast.unparse(node.value)
        positions = self._positions(subscripts(node), grid)
        is_one = len(positions) == 1 and np.ndim(positions[0]) == 0
        if is_one and isinstance(self.values.get(name), Sequence):
            return self._step(name, operator.index(positions[0]))
        whole = self.of(node.value)
        if is_one and isinstance(whole, tuple | list | range):  # such as a shape, where -1 is the last
            return whole[positions[0]]
        self._check_inside(name, positions, np.shape(whole), grid)
        return np.asarray(whole)[tuple(positions)]

    def _positions(self, places: Iterable[ast.expr], grid: Grid) -> list[Any]:
        """Return an array of positions for each axis; `...` has one for each axis that it stands for."""
        found: list[Any] = []
        for place in places:
            found += map(grid.along, grid.rest) if is_ellipsis(place) else [_number(self.of(place, grid))]
        return found

    def _check_inside(self, name: str, positions: list[Any], shape: tuple[int, ...], grid: Grid) -> None:
        """Raise EquationError for positions outside of an array; only whole arrays may have fewer than axes."""
        if len(positions) > len(shape) or (grid and len(positions) < len(shape)):
            raise EquationError(f"{name} has {len(shape)} axes, and {len(positions)} subscripts")
        for axis, (place, size) in enumerate(zip(positions, shape, strict=False)):
            if np.less(place, 0).any() or np.greater_equal(place, size).any():
                raise EquationError(f"{name} reaches outside of axis {axis}, which has {size} entries")


def _number(value: Any) -> Any:
    """Return a value to compute with: what is true counts as 1, what is false as 0."""
    if isinstance(value, bool):
        return int(value)
    return value.astype(int) if getattr(value, "dtype", None) == np.bool_ else value


def _plain(value: Any) -> Any:
    """Return a given value as it is computed with: a list as an array, integers, which could overflow, in 64 bits."""
    value = np.asarray(value) if isinstance(value, list) else value
    is_integer = isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "iu"
    return value.astype(np.int64) if is_integer else value
