"""A program, run: a walker over the trees, line by line, with NumPy underneath.

Each line is first settled: branches are taken, and what is absent leaves. The settled line is what is run here, shown
by notation.py, and rewritten for one sample by columns.py.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import numpy as np

from ..random import default_generator
from .program import (
    EquationError,
    Line,
    Loop,
    base,
    is_ellipsis,
    is_gradient,
    names_in,
    parse,
    subscripts,
    where,
)
from .words import REDUCTIONS, WORDS

LARGEST_GRID = 10**7  # entries that the indices of one line may span
REST = "..."  # the name of the axes that `...` stands for

OPERATORS: dict[type, Callable] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda a, b: np.true_divide(a, b),  # as NumPy divides: by zero too
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.MatMult: operator.matmul,
    ast.Pow: lambda a, b: np.float_power(a, b) if np.asarray(a).dtype.kind in "iub" and np.min(b) < 0 else a**b,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda value, among: value in among,
    ast.NotIn: lambda value, among: value not in among,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}


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

    def stacked(self) -> np.ndarray:
        """Return the steps as one array."""
        return np.stack([self[step] for step in sorted(self)])


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

    def __init__(
        self,
        values: Mapping[str, Any],
        generator: np.random.Generator | int | None = None,
        ranges: dict[str, int] | None = None,
    ) -> None:
        self.values = {name: value for name, value in values.items() if value is not None}
        self.absent = {name for name, value in values.items() if value is None}
        self.given = frozenset(self.values)
        self.generator = generator
        self.settled: list[Line | Loop] = []
        self.ranges = {} if ranges is None else ranges
        self.steps: set[str] = set()  # the variables of the loops that are run
        self.indices: list[str] = []  # of the line that is run: their axes
        self.rest: tuple[int, ...] = ()  # the shape that `...` stands for in it

    def give(self, values: Mapping[str, Any]) -> None:
        """Add the values of symbols that lines to come use."""
        self.values |= {name: value for name, value in values.items() if value is not None}
        self.absent |= {name for name, value in values.items() if value is None}
        self.given |= frozenset(values)

    def stated(self) -> dict[str, Any]:
        """Return the values of the symbols that lines stated, in their order."""
        found = {name: value for name, value in self.values.items() if name not in self.given}
        return {name: v.stacked() if isinstance(v, Sequence) else v for name, v in found.items()}

    def run(self, lines: Iterable[Line | Loop]) -> None:
        """Settle and run lines, and note them in `settled`.

        Raises:
            EquationError: with the line.
        """
        with np.errstate(all="ignore"):  # a plain formula may overflow where the code, written for that, does not
            self.settled += self._run(lines, settle=True)

    def _run(self, lines: Iterable[Line | Loop], settle: bool) -> list[Line | Loop]:
        settled: list[Line | Loop] = []
        for line in lines:
            try:
                if isinstance(line, Loop):
                    settled.append(self._loop(line, settle))
                    continue
                ready = self._settle(line) if settle else line
                if ready is not None:
                    self._execute(ready)
                    settled.append(ready)
            except EquationError as error:
                raise error if str(error).startswith("line ") else EquationError(f"{where(line)}: {error}") from None
            except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
                raise EquationError(f"{where(line)}: {error}") from None
        return settled

    def _loop(self, loop: Loop, settle: bool) -> Loop:
        stop = self.settle(loop.stop) if settle else loop.stop
        if stop is None:
            raise EquationError(f"{ast.unparse(loop.stop)} is None")
        steps = range(self.of(stop))
        if loop.variable in self.values:
            raise EquationError(f"{loop.variable} is a symbol already, and cannot count steps")
        lines = loop.lines
        self.steps.add(loop.variable)
        for step in reversed(steps) if loop.backwards else steps:
            self.values[loop.variable] = step
            lines = tuple(self._run(lines, settle))
            settle = False
        self.values.pop(loop.variable, None)
        self.steps.discard(loop.variable)
        return loop._replace(stop=stop, lines=lines)

    # ---- settled: branches taken, what is absent gone

    def _settle(self, line: Line) -> Line | None:
        gone = [name for name in line.names if is_gradient(name) and name[1:] in self.absent]
        value = None if gone else self.settle(line.value)
        if value is None:
            self.absent.update(base(target) for target in line.targets if gone or not self._is_step(target))
            return None
        self.rest = self._rest_shape(value, *line.targets)
        targets = [target if isinstance(target, ast.Name) else self.settle(target) for target in line.targets]
        if not self.rest:
            value, targets = _without_rest(value), list(map(_without_rest, targets))
        return line._replace(value=value, targets=tuple(targets))

    def _is_step(self, target: ast.expr) -> bool:
        """Tell whether a target is a step of a sequence, such as h[0], whose name other lines may state too."""
        places = subscripts(target) if isinstance(target, ast.Subscript) else []
        return bool(places) and not any(is_ellipsis(p) or names_in(p) - self.values.keys() for p in places)

    def settle(self, node: Any) -> Any:
        """Return a tree with branches taken and absent parts gone; None where nothing is left."""
        match node:
            case ast.Name(id=name):
                return None if name in self.absent else node
            case ast.Constant():
                return node
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.settle(body if self._holds(test) else orelse)
            case ast.UnaryOp(op=op, operand=operand):
                inner = self.settle(operand)
                return None if inner is None else ast.UnaryOp(op, inner)
            case ast.BinOp(left=left, op=op, right=right):
                a, b = self.settle(left), self.settle(right)
                if a is not None and b is not None:
                    return ast.BinOp(a, op, b)
                if b is not None and isinstance(op, ast.Sub):
                    return ast.UnaryOp(ast.USub(), b)
                if b is not None and isinstance(op, ast.Div):
                    return ast.BinOp(ast.Constant(1), op, b)
                if isinstance(op, ast.Pow | ast.Mod | ast.FloorDiv) and (a is not None or b is not None):
                    self._cannot_drop(node, left if a is None else right)
                signed = isinstance(op, ast.Mult) and a is None and isinstance(left, ast.UnaryOp)
                return ast.UnaryOp(ast.USub(), b) if b is not None and signed else b if a is None else a
            case ast.Compare(left=left, ops=ops, comparators=[right]):
                a, b = self.settle(left), self.settle(right)
                return None if a is None or b is None else ast.Compare(a, ops, [b])
            case ast.Subscript(value=value, slice=slice):
                inner = self.settle(value)
                return None if inner is None else ast.Subscript(inner, self._whole(slice, node), ast.Load())
            case ast.Attribute(value=value, attr=name):
                inner = self.settle(value)
                return None if inner is None else ast.Attribute(inner, name)
            case ast.Call(func=ast.Attribute(value=value, attr=name), args=arguments, keywords=keywords):
                inner = self.settle(value)
                arguments = [self._whole(argument, node) for argument in arguments]
                return None if inner is None else ast.Call(ast.Attribute(inner, name), arguments, keywords)
            case ast.Call(func=ast.Name(id="where"), args=[test, body, orelse]) if self.settle(test) is None:
                return self.settle(body)
            case ast.Call(func=ast.Name(id=name) as function, args=[value, *which]) if name in REDUCTIONS:
                inner = self.settle(value)
                return None if inner is None else ast.Call(function, [inner, *which], [])
            case ast.Call(func=function, args=arguments, keywords=keywords):
                return ast.Call(function, [self._whole(argument, node) for argument in arguments], keywords)
            case ast.Tuple(elts=items):
                return ast.Tuple([self._whole(item, node) for item in items], ast.Load())
            case ast.BoolOp():
                return node
        raise EquationError(f"{ast.unparse(node)} cannot stand here")

    def _whole(self, node: ast.expr, within: ast.expr) -> ast.expr:
        settled = self.settle(node)
        if settled is None:
            self._cannot_drop(within, node)
        return settled

    def _cannot_drop(self, within: ast.expr, absent: ast.expr) -> NoReturn:
        raise EquationError(
            f"{ast.unparse(absent)} is None and cannot drop out of {ast.unparse(within)}: only a term, a factor or a "
            f"condition can"
        )

    def _holds(self, test: ast.expr) -> bool:
        """Tell whether the condition of a branch holds; what is absent is None there."""
        match test:
            case ast.BoolOp(op=ast.And(), values=parts):
                return all(map(self._holds, parts))
            case ast.BoolOp(values=parts):
                return any(map(self._holds, parts))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self._holds(operand)
            case ast.Name(id=name) if name in self.absent:
                return False
            case ast.Compare(left=ast.Name(id=name), ops=[op], comparators=[ast.Constant(value=None)]):
                return OPERATORS[type(op)](None if name in self.absent else self.of(test.left), None)
        if steps := names_in(test) & self.steps:
            raise EquationError(f"`if` chooses before the recurrence runs, and cannot depend on {steps.pop()}")
        truth = np.asarray(self.of(test))
        if truth.size != 1:
            raise EquationError(
                f"`if {ast.unparse(test)}` chooses once for the whole line: write where(...) for each entry"
            )
        return bool(truth)

    # ---- run

    def _execute(self, line: Line) -> None:
        self.indices = []
        for name in line.names:
            if is_gradient(name) and name[1:] not in self.values:
                raise EquationError(f"{name} is the gradient of nothing: there is no {name[1:]}")
            if name in self.given:
                raise EquationError(f"{name} is given, and cannot be stated")
        if isinstance(line.value, ast.Tuple) and len(line.value.elts) == len(line.targets) > 1:
            for target, value in zip(line.targets, line.value.elts, strict=True):
                self._execute(line._replace(targets=(target,), value=value))
            return
        value = self._indexed_value(line) if self._has_indices(line) else self.of(line.value)
        if len(line.targets) == 1:
            self._assign(line.targets[0], value, line.adds)
            return
        parts = list(value) if isinstance(value, tuple | list) else [value]
        if len(parts) != len(line.targets):
            raise EquationError(f"{len(line.targets)} targets for {len(parts)} values")
        for target, part in zip(line.targets, parts, strict=True):
            self._assign(target, part, line.adds)

    def _assign(self, target: ast.expr, value: Any, adds: bool) -> None:
        name = base(target)
        if isinstance(value, range):
            self._set_range(name, len(value), f"{name} = range({len(value)})")
            return
        if self.indices:
            self._assign_indexed(target, value, adds)
        elif isinstance(target, ast.Subscript):
            (place,) = subscripts(target)
            step = int(self.of(place))
            if step < 0:
                raise EquationError(f"a sequence has no step {step}")
            if not isinstance(self.values.setdefault(name, Sequence()), Sequence):
                raise EquationError(f"{name} is no sequence: an entry of an array cannot be stated alone")
            self._store(name, step, value, adds)
        else:
            self._store(name, None, value, adds)

    def _store(self, name: str, step: int | None, value: Any, adds: bool) -> None:
        """Give a symbol, or a step of a sequence, its value."""
        like = self._like(name, step)
        if adds:
            value = self._current(name, step, like) + value
        if like is not None and np.ndim(value) == 0:
            value = np.full(np.shape(like), value)  # one number is the gradient by each entry
        if like is not None and np.shape(value) != np.shape(like):
            raise EquationError(f"{name} has shape {np.shape(value)}, and {name[1:]} has {np.shape(like)}")
        if step is None:
            self.values[name] = value
        else:
            self.values[name][step] = value

    def _like(self, name: str, step: int | None) -> Any:
        """Return what a gradient is the gradient of, whose shape it has; None for what is no gradient."""
        if not is_gradient(name) or name[1:] not in self.values:
            return None
        of = self.values[name[1:]]
        if step is None:
            return of.stacked() if isinstance(of, Sequence) else of
        if isinstance(of, Sequence) and step not in of:
            raise EquationError(f"{name[1:]}[{step}] is not there")
        return of[step]

    def _current(self, name: str, step: int | None, like: Any) -> Any:
        """Return the value that is added to; a gradient starts at zero."""
        found = self.values.get(name) if step is None else self.values[name].get(step)
        if found is None and like is None:
            raise EquationError(f"{name} has no value to add to: state {name} = zeros(...) first")
        return np.zeros(np.shape(like)) if found is None else found

    # ---- values

    def of(self, node: Any) -> Any:
        """Return the value of a tree."""
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name) if name in self.values:
                value = self.values[name]
                if isinstance(value, Sequence):
                    return value.stacked()
                if self.indices and np.ndim(value):
                    raise EquationError(f"{name}, of shape {np.shape(value)}, stands without subscripts among indices")
                return value
            case ast.Name(id=name) if name in self.ranges:
                return self._along(name)
            case ast.Name(id="inf"):
                return math.inf
            case ast.Name(id=name) if (like := self._like(name, None)) is not None:
                return np.zeros(np.shape(like))  # a gradient that nothing was added to
            case ast.Tuple(elts=items):
                return tuple(self.of(item) for item in items)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self.of(operand)
            case ast.UnaryOp(operand=operand):
                return -self._number(operand)
            case ast.BoolOp():
                return self._holds(node)
            case ast.BinOp(left=left, op=op, right=right):
                return OPERATORS[type(op)](self._number(left), self._number(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return OPERATORS[type(op)](self.of(left), self.of(right))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.of(body if self._holds(test) else orelse)
            case ast.Attribute(value=value, attr=name):
                return getattr(np.asarray(self._whole_array(value)), name)
            case ast.Subscript(value=value):
                return self._item(self._whole_array(value), base(node), subscripts(node))
            case ast.Call(func=ast.Attribute(value=value, attr=name), args=arguments, keywords=keywords):
                named = {str(keyword.arg): self.of(keyword.value) for keyword in keywords}
                return getattr(np.asarray(self._whole_array(value)), name)(*map(self.of, arguments), **named)
            case ast.Call(func=ast.Name(id=name), args=[value, *which]) if name in REDUCTIONS:
                return self._reduce(name, value, which)
            case ast.Call(func=ast.Name(id="random"), args=[shape]):
                if self.generator is None:
                    raise EquationError("random draws from a generator, and none is given")
                return WORDS["random"].run(self.of(shape), default_generator(self.generator))
            case ast.Call(func=ast.Name(id=name), args=arguments):
                elementwise = WORDS[name].elementwise
                return WORDS[name].run(*map(self.of if elementwise else self._whole_array, arguments))
            case ast.Name(id=name):
                known = ", ".join(n for n in self.values if isinstance(n, str))
                reason = "is None" if name in self.absent else f"has no value here; known are {known or 'no names'}"
                raise EquationError(f"{name} {reason}")
        raise EquationError(f"{ast.unparse(node)} has no value")

    def _number(self, node: ast.expr) -> Any:
        value = self.of(node)
        if np.asarray(value).dtype == bool:  # a comparison counts as 0 or 1, also in a sum or behind a sign
            return np.asarray(value, np.int8)
        return value

    def _whole_array(self, node: ast.expr) -> Any:
        """Return the value of a tree that stands outside of the indices, such as x in x[i] or x.shape."""
        match node:
            case ast.Name(id=name) if isinstance(self.values.get(name), Sequence):
                return self.values[name]
        indices, self.indices = self.indices, []
        try:
            return self.of(node)
        finally:
            self.indices = indices

    def _item(self, whole: Any, name: str, places: list[ast.expr]) -> Any:
        """Return an entry, a step of a sequence, or an array over the indices of the line."""
        if isinstance(whole, Sequence):
            step = self.of(places[0])
            if np.ndim(step) == 0 and len(places) == 1:
                if step not in whole and (like := self._like(name, step)) is not None:
                    return np.zeros(np.shape(like))
                if step not in whole:
                    raise EquationError(f"{name}[{step}] is not there")
                return whole[step]
            whole = whole.stacked()
        if isinstance(whole, tuple | range):
            return whole[self.of(places[0])]
        whole, positions = np.asarray(whole), self._places(places)
        if self.indices:
            self._check_inside(name, positions, whole.shape)
        return whole[tuple(positions)]

    def _places(self, places: list[ast.expr]) -> list[Any]:
        """Return an array of positions for each axis; `...` has one for each axis that it stands for."""
        found: list[Any] = []
        for place in places:
            if is_ellipsis(place):
                found += [self._along(REST, axis) for axis in range(len(self.rest))]
            else:
                value = self.of(place)
                found.append(np.asarray(value) if self.indices else value)
        return found

    # ---- indices: each has an axis of its own, behind the axes that `...` stands for

    def _has_indices(self, line: Line) -> bool:
        """Find the indices of a line and their ranges: names within [] that are no symbols."""
        nodes = [node for part in (*line.targets, line.value) for node in ast.walk(part)]
        subscripted = [node for node in nodes if isinstance(node, ast.Subscript)]
        inside = [name for n in subscripted for place in subscripts(n) for name in sorted(names_in(place))]
        found = [name for name in inside if name not in self.values and name != "inf"]
        found += [name for name in sorted(names_in(line.value)) if name in self.ranges]
        self.indices = list(dict.fromkeys(found))
        dots = any(is_ellipsis(place) for n in subscripted for place in subscripts(n))
        if not self.indices and not dots:
            return False
        self.indices.append(REST)
        self.rest = self._rest_shape(line.value, *line.targets)
        for node in subscripted:
            self._read_ranges(node)
        for name in self.indices[:-1]:
            if name not in self.ranges:
                raise EquationError(
                    f"the range of the index {name} cannot be known: it stands alone on no axis (state {name} = "
                    f"range(...)); or is the symbol {name} missing?"
                )
        if math.prod([self.ranges[name] for name in self.indices[:-1]]) * math.prod(self.rest) > LARGEST_GRID:
            raise EquationError(f"its indices span more than {LARGEST_GRID:,} entries: run it on smaller arrays")
        return True

    def _shape_of(self, name: str) -> tuple[int, ...] | None:
        """Return the shape of a symbol, or of what a gradient is the gradient of."""
        for known in (name, name[1:]):
            if known in self.values:
                value = self.values[known]
                return np.shape(value.stacked() if isinstance(value, Sequence) else value)
        return None

    def _rest_shape(self, *parts: ast.expr) -> tuple[int, ...]:
        """Return the shape that `...` stands for in a line."""
        found: tuple[int, ...] | None = None
        for node in (n for part in parts for n in ast.walk(part) if isinstance(n, ast.Subscript)):
            places = subscripts(node)
            dots = [i for i, place in enumerate(places) if is_ellipsis(place)]
            shape = self._shape_of(base(node))
            if not dots or shape is None:
                continue
            extra = len(shape) - len(places) + 1
            if extra < 0:
                raise EquationError(f"{ast.unparse(node)} has {len(places) - 1} subscripts for {len(shape)} axes")
            rest = shape[dots[0] : dots[0] + extra]
            if found is not None and found != rest:
                raise EquationError(f"`...` stands for {found}, and in {ast.unparse(node)} for {rest}")
            found = rest
        return found or ()

    def _read_ranges(self, node: ast.Subscript) -> None:
        """Learn the ranges of the indices that stand alone on an axis."""
        shape = self._shape_of(base(node))
        if shape is None:
            return
        places = subscripts(node)
        dots = next((i for i, place in enumerate(places) if is_ellipsis(place)), len(places))
        for i, place in enumerate(places):
            axis = i if i < dots else len(shape) - len(places) + i
            if isinstance(place, ast.Name) and place.id in self.indices and axis < len(shape):
                self._set_range(place.id, shape[axis], ast.unparse(node))

    def _set_range(self, name: str, size: int, claim: str) -> None:
        if self.ranges.setdefault(name, size) != size:
            raise EquationError(f"the index {name} has {self.ranges[name]} values, and {size} in {claim}")

    def _axes(self, name: str) -> list[int]:
        """Return the axes of an index in the grid of the line; those of `...` come first."""
        if name == REST:
            return list(range(len(self.rest)))
        return [len(self.rest) + self.indices.index(name)]

    def _along(self, name: str, number: int = 0) -> np.ndarray:
        """Return 0, 1, 2, ... along the axis of an index."""
        size = self.rest[number] if name == REST else self.ranges[name]
        shape = [1] * (len(self.rest) + len(self.indices) - 1)
        shape[self._axes(name)[number]] = size
        return np.arange(size).reshape(shape)

    def _spread(self, value: Any, names: Iterable[str]) -> np.ndarray:
        """Return a value at its full length along some indices."""
        shape = [1] * (len(self.rest) + len(self.indices) - 1)
        for name in names:
            for axis in self._axes(name):
                shape[axis] = self.rest[axis] if name == REST else self.ranges[name]
        return np.broadcast_to(value, np.broadcast_shapes(np.shape(value), tuple(shape)))

    def _named(self, which: Iterable[ast.expr]) -> list[str]:
        names = [REST if is_ellipsis(index) else base(index) for index in which]
        if unknown := [name for name in names if name not in self.indices]:
            raise EquationError(f"{', '.join(unknown) or 'it'} is no index: nothing has it as a subscript")
        return names

    def _reduce(self, word: str, value: ast.expr, which: list[ast.expr]) -> Any:
        if not which:
            raise EquationError(f"{word} runs over named indices: {word}(x[i], i); of a whole array write x.{word}()")
        names = self._named(which)
        axes = tuple(axis for name in names for axis in self._axes(name))
        return REDUCTIONS[word].run(self._spread(self.of(value), names), axis=axes, keepdims=True)

    def _free(self, node: ast.AST) -> set[str]:
        """Return the indices of a tree that no reduction in it runs over."""
        match node:
            case ast.Call(func=ast.Name(id=name), args=[value, *which]) if name in REDUCTIONS:
                return self._free(value) - set(self._named(which))
            case ast.Name(id=name):
                return {name} & set(self.indices)
            case ast.Constant(value=value) if value is ...:
                return {REST}
        return set().union(*map(self._free, ast.iter_child_nodes(node)))

    def _indexed_value(self, line: Line) -> Any:
        left = set().union(*map(self._free, line.targets))
        right = self._free(line.value)
        reduced = {
            name
            for node in ast.walk(line.value)
            if isinstance(node, ast.Call) and base(node.func) in REDUCTIONS
            for name in self._named(node.args[1:])
        }
        if both := sorted(reduced & (left | right)):
            raise EquationError(f"the index {both[0]} is reduced, and stands outside of its reduction too")
        if not line.adds and (loose := sorted(right - left)):
            raise EquationError(f"the index {loose[0]} stands on the right alone: reduce it, or write +=")
        return self.of(line.value)

    def _assign_indexed(self, target: ast.expr, value: Any, adds: bool) -> None:
        name, places = base(target), subscripts(target) if isinstance(target, ast.Subscript) else []
        names = [REST if is_ellipsis(place) else base(place) for place in places]
        bare = all(n in self.indices for n in names) and len(set(names)) == len(names)
        if not adds and not bare:
            raise EquationError(f"{ast.unparse(target)} defines entries at computed places: accumulate with +=")
        like = self._like(name, None)
        if bare:
            axes = [axis for n in names for axis in self._axes(n)]
            full = self._spread(value, names)
            others = tuple(axis for axis in range(full.ndim) if axis not in axes)
            kept = sorted(axes)
            total = full.sum(others).transpose([kept.index(axis) for axis in axes])  # of `=` there are no others left
            self._store(name, None, total, adds)
            return
        total = np.array(self._current(name, None, like), np.float64)
        *positions, value = np.broadcast_arrays(*self._places(places), value)
        self._check_inside(name, positions, total.shape)
        np.add.at(total, tuple(positions), value)
        self.values[name] = total

    def _check_inside(self, name: str, positions: list[Any], shape: tuple[int, ...]) -> None:
        if len(positions) != len(shape):
            raise EquationError(f"{name} has {len(shape)} axes, and {len(positions)} subscripts")
        for axis, (place, size) in enumerate(zip(positions, shape, strict=True)):
            if (place < 0).any() or (place >= size).any():
                raise EquationError(f"{name} reaches outside of axis {axis}, which has {size} entries")


def _without_rest(node: Any) -> Any:
    """Return a tree without `...`, where that stands for no axes."""

    class Drop(ast.NodeTransformer):
        def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
            node = ast.Subscript(self.visit(node.value), self.visit(node.slice), node.ctx)
            kept = [place for place in subscripts(node) if not is_ellipsis(place)]
            if not kept:
                return node.value
            return ast.Subscript(node.value, kept[0] if len(kept) == 1 else ast.Tuple(kept, ast.Load()), node.ctx)

        def visit_Call(self, node: ast.Call) -> ast.AST:
            arguments = [self.visit(argument) for argument in node.args if not is_ellipsis(argument)]
            function = self.visit(node.func)
            if base(function) in REDUCTIONS and len(arguments) == 1 < len(node.args):
                return arguments[0]
            return ast.Call(function, arguments, node.keywords)

    return Drop().visit(node)
