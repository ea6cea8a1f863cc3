"""From the lines of a module's equations to a program of loops.

A walker runs the lines on arrays of the right shapes without computing entries; what each line says of one entry
becomes an expression, and is stored for all.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..mathematics.program import EquationError, Line, Loop, is_gradient
from ..mathematics.run import Grid, Walker
from ..mathematics.run import Sequence as Steps
from ..mathematics.trees import base, free_indices, index_name, is_ellipsis, nodes, subscripts
from ..mathematics.words import REDUCTIONS, WORDS
from .entries import Entries, elementwise, scalar
from .expression import Expression, Index, LoweringError, Number, operation, reduced
from .program import Builder, zeros
from .wholes import along, axes_of, negative, product, spread

BINARY = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip


class Shapes(Walker):
    """A walker that finds the shape of what each line states, and does not compute it where that could take long."""

    largest_grid = math.inf

    def _execute(self, line: Line) -> None:
        grid = self._grid(line)
        if not grid or isinstance(line.value, ast.Tuple) or not self._is_defined_by_entries(line, grid):
            super()._execute(line)
            return
        self._check_indices(line, grid)
        for target in line.targets:
            places = subscripts(target)
            names = [index_name(place) for place in places]
            if all(names) and {*names} <= {*grid.sizes, "..."} and len({*names}) == len(names):
                shape = tuple(grid.sizes[name] for name in grid.names(places))
            else:
                shape = np.shape(self._before(base(target)))
            self._store(base(target), None, np.broadcast_to(0.0, shape), False)

    def _is_defined_by_entries(self, line: Line, grid: Grid) -> bool:
        """Tell whether a line with indices is about entries, and no range of an index such as `i = range(n)`."""
        calls = [node for node in nodes(line.value) if isinstance(node, ast.Call)]
        return not any(base(call.func) == "range" for call in calls)

    def grid_of(self, line: Line) -> Grid:
        """Return the indices of a line that has been run."""
        return self._grid(line)


class LineLowering:
    """Lowers the settled lines of one call of a module.

    Args:
        builder: what is written to.
        walker: has run the lines.
        arrays: of the symbols that are given, those that hold data.
        draw: gives the array of random numbers of a shape, for `random`.
        constant: gives the array of numbers that are known, such as a word makes of a shape.
        prefix: of the names of arrays and loops, to tell calls apart.

    Attributes:
        names: the arrays of all symbols, and numbers that follow from shapes and settings.
    """

    def __init__(
        self,
        builder: Builder,
        walker: Shapes,
        arrays: Mapping[str, Entries],
        draw: Callable[[Iterable[int]], Entries],
        constant: Callable[[np.ndarray], Entries],
        prefix: str = "",
    ) -> None:
        self.builder = builder
        self.walker = walker
        self.names = dict(arrays)
        self.draw = draw
        self.constant = constant
        self.prefix = prefix
        self._loops = 0
        self._steps: dict[str, Expression] = {}  # the index of each recurrence around

    def run(self, lines: Iterable[Line | Loop]) -> None:
        """Lower lines.

        Raises:
            LoweringError: for a line that has no lowering, with its number.
        """
        for line in lines:
            try:
                if isinstance(line, Loop):
                    self._loop(line)
                else:
                    self._line(line)
            except (EquationError, TypeError, KeyError, AttributeError) as error:
                raise LoweringError(f"line {line.number}, {line}: {error}") from error

    def _loop(self, loop: Loop) -> None:
        for line in loop.lines:
            for name in line.names:
                self._begin(name, isinstance(line, Line) and line.adds)
        index = f"t{len(self._steps)}"
        with self.builder.recurrence(index, self._static(loop.stop), loop.backwards):
            self.walker.values[loop.variable] = 0  # what a line is about does not depend on the step
            self._steps[loop.variable] = Index(index)
            self.run(loop.lines)
            del self._steps[loop.variable], self.walker.values[loop.variable]

    def _begin(self, name: str, adds: bool) -> None:
        """Make sure that what a recurrence writes step by step, or adds to, is there before it."""
        is_sequence = isinstance(self.walker.values.get(name), Steps)
        if name in self.names or not (is_sequence or adds):
            return
        shape = np.shape(self.walker.value(name))
        self.names[name] = self.builder.declare(self.prefix + name, shape)
        if is_gradient(name):  # nothing was stated of some steps
            self.builder.assign(self.names[name], zeros(shape))

    def _line(self, line: Line) -> None:
        if isinstance(line.value, ast.Tuple) and len(line.value.elts) == len(line.targets) > 1:
            for target, expression in zip(line.targets, line.value.elts, strict=True):
                self._line(line._replace(targets=(target,), value=expression))
            return
        if isinstance(line.value, ast.Call) and base(line.value.func) == "range":
            return
        grid = self.walker.grid_of(line)
        if grid:
            self._entries_line(line, grid)
            return
        if len(line.targets) > 1:
            parts = self._parts(line.value)
        else:
            if line.names[0] not in self.names and self._is_static(line.value):
                value = self._static(line.value)
                if not isinstance(value, int | float | np.ndarray):
                    return  # a shape, which is known
            parts = [self.of(line.value)]
        for target, part in zip(line.targets, parts, strict=True):
            self._state(target, part, line.adds)

    def _parts(self, value: ast.expr) -> list[Entries]:
        """Return the arrays of a line that states several."""
        if self._is_static(value):
            return [scalar(each) for each in self._static(value)]
        found = self._word(value)
        if not isinstance(found, list):
            raise LoweringError(f"{ast.unparse(value)} gives one value")
        return found

    def _state(self, target: ast.expr, value: Entries, adds: bool) -> None:
        """Store what a line about whole arrays states, or keep it where it is a mere number or another's entries."""
        name, places = base(target), subscripts(target)
        like = np.shape(self.walker.value(name))
        if places:
            self._begin(name, adds)
            whole = self.names[name]
            (place,) = (self._index(each) for each in places)
            step = Entries(whole.shape[1:], lambda *i: whole.at(place, *i))
            self.builder.assign(step, spread(value, step.shape), adds)
            return
        value = spread(value, like)
        if adds and name in self.names and self._steps:
            self.builder.assign(self.names[name], value, adds)
            return
        if adds and name in self.names:
            value = elementwise(lambda a, b: operation("+", a, b), self.names[name], value)
        is_number = not value.shape and not any(map(_is_data, _leaves(value.at())))
        self.names[name] = value if is_number else self._stored(value, name)

    def _stored(self, value: Entries, name: str) -> Entries:
        return self.builder.stored(value, self.prefix + name)

    # ---- lines about entries

    def _entries_line(self, line: Line, grid: Grid) -> None:
        for target in line.targets:
            places = subscripts(target)
            names = [index_name(place) for place in places]
            bare = all(names) and {*names} <= {*grid.sizes, "..."} and len({*names}) == len(names)
            if bare or not places:
                self._defined(line, target, grid)
            else:
                self._scattered(line, target, grid)

    def _defined(self, line: Line, target: ast.expr, grid: Grid) -> None:
        """Lower a line whose target has bare indices: sums over the others."""
        name, order = base(target), grid.names(subscripts(target))
        sizes = [grid.sizes[axis] for axis in order]
        others = [axis for axis in self._used(line.value, grid) if axis not in order]

        def at(*indices: Expression) -> Expression:
            known = dict(zip(order, indices, strict=True))

            def entry(*rest: Expression) -> Expression:
                return self.entry(line.value, {**known, **dict(zip(others, rest, strict=True))}, grid)

            return reduced("sum", [grid.sizes[axis] for axis in others], entry) if others else entry()

        value = Entries(sizes, at)
        if len(line.targets) > 1:  # argmax: an array of positions for each index
            value = self._position(line, value, line.targets.index(target), grid)
        self._state(ast.Name(name), value, line.adds)

    def _position(self, line: Line, value: Entries, which: int, grid: Grid) -> Entries:
        """Return one of the indices that the first largest entry has."""
        if not isinstance(line.value, ast.Call):
            raise LoweringError("it gives one value")
        sizes = [grid.sizes[axis] for axis in grid.names(line.value.args[1:])]
        below = math.prod(sizes[which + 1 :])
        return elementwise(lambda place: place // below % sizes[which], value)

    def _scattered(self, line: Line, target: ast.expr, grid: Grid) -> None:
        """Lower a line that accumulates at computed places: indices that do not occur in these are summed over."""
        name = base(target)
        if name not in self.names:
            self.names[name] = self._new_zeros(name)
        elif not self.names[name].array.startswith(self.prefix + name):  # another name for what must stay as it is
            self.names[name] = self.builder.store(self.names[name], self.prefix + name)
        order = self._used(target, grid)
        others = [axis for axis in self._used(line.value, grid) if axis not in order]
        loops = [(f"i{k}", grid.sizes[axis]) for k, axis in enumerate(order)]
        known: dict[str, Expression] = {axis: Index(i) for axis, (i, _) in zip(order, loops, strict=True)}

        def entry(*rest: Expression) -> Expression:
            return self.entry(line.value, {**known, **dict(zip(others, rest, strict=True))}, grid)

        value = reduced("sum", [grid.sizes[axis] for axis in others], entry) if others else entry()
        place = self.names[name].at(*self._places(subscripts(target), known, grid))
        self.builder.scatter(place, loops, value, True)

    def _new_zeros(self, name: str) -> Entries:
        return self.builder.store(zeros(np.shape(self.walker.value(name))), self.prefix + name)

    def _used(self, tree: ast.expr, grid: Grid) -> list[str]:
        """Return the axes of the grid that stand in a tree outside of reductions over them, in their order."""
        found = free_indices(tree, [*grid.sizes])
        return [axis for name in found for axis in (grid.rest if name == "..." else [name])]

    def _places(self, places: Iterable[ast.expr], known: Mapping[str, Expression], grid: Grid) -> list[Expression]:
        found: list[Expression] = []
        for place in places:
            found += [known[axis] for axis in grid.rest] if is_ellipsis(place) else [self.entry(place, known, grid)]
        return found

    def entry(self, node: ast.expr, known: Mapping[str, Expression], grid: Grid) -> Expression:
        """Return the value of a tree in a line with indices, for one choice of these."""
        match node:
            case ast.Name(id=name) if name in known:
                return known[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return negative(self.entry(operand, known, grid))
            case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
                return operation(BINARY[type(op)], self.entry(left, known, grid), self.entry(right, known, grid))
            case ast.Subscript(value=value) if not self._is_static(node):
                array = self.of(value)
                places = self._places(subscripts(node), known, grid)
                return array.at(*places)
            case ast.Call(func=ast.Name(id=name), args=[value, *which]) if name in REDUCTIONS:
                axes = grid.names(which)

                def body(*rest: Expression) -> Expression:
                    return self.entry(value, {**known, **dict(zip(axes, rest, strict=True))}, grid)

                return reduced(name, [grid.sizes[axis] for axis in axes], body)
            case ast.Call(func=ast.Name(id=name), args=arguments) if WORDS[name].elementwise:
                return operation(name, *(self.entry(each, known, grid) for each in arguments))
        whole = self.of(node)
        if whole.ndim:
            raise LoweringError(f"{ast.unparse(node)} stands without subscripts among indices")
        return whole.at()

    # ---- lines about whole arrays

    def of(self, node: ast.expr) -> Entries:
        """Return the array that a tree is."""
        match node:
            case ast.Constant(value=value) if isinstance(value, int | float):
                return scalar(value)
            case ast.Name(id=name):
                return self._symbol(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return elementwise(negative, self.of(operand))
            case ast.BinOp(left=left, op=ast.MatMult(), right=right):
                return product(self._readable(self.of(left)), self._readable(self.of(right)))
            case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
                sign = BINARY[type(op)]
                return elementwise(lambda a, b: operation(sign, a, b), self.of(left), self.of(right))
            case ast.Attribute(value=value, attr="T"):
                x = self.of(value)
                return x.moved(x.shape[::-1], lambda *i: i[::-1])
            case ast.Attribute(value=value, attr="mT"):
                x = self.of(value)
                return x.moved((*x.shape[:-2], x.shape[-1], x.shape[-2]), lambda *i: (*i[:-2], i[-1], i[-2]))
            case ast.Subscript(value=value) if not self._is_static(node):
                whole = self.of(value)
                places = [self._index(place) for place in subscripts(node)]
                return Entries(whole.shape[len(places) :], lambda *i: whole.at(*places, *i))
            case ast.Call(func=ast.Attribute(value=value, attr=name)):
                return self._method(node, name, self.of(value))
            case ast.Call(func=ast.Name(id=name), args=arguments) if WORDS[name].elementwise:
                return elementwise(lambda *each: operation(name, *each), *map(self.of, arguments))
        if self._is_static(node):
            value = self._static(node)
            return self.constant(value) if isinstance(value, np.ndarray) else scalar(value)
        found = self._word(node)
        if isinstance(found, list):
            raise LoweringError(f"{ast.unparse(node)} gives several arrays")
        return found

    def _symbol(self, name: str) -> Entries:
        if name in self._steps:
            return scalar(self._steps[name])
        if name in self.names:
            return self.names[name]
        if name == "inf":
            return scalar(math.inf)
        value = self.walker.value(name)
        if is_gradient(name) and name not in self.walker.values:
            return zeros(np.shape(value))  # nothing was stated of it
        if np.ndim(value) or value is None:
            raise LoweringError(f"{name} has no array")
        return scalar(_plain(value))

    def _index(self, node: ast.expr) -> Expression:
        """Return a step, or another place that is no index of a line."""
        return self.of(node).at()

    def _readable(self, value: Entries) -> Entries:
        """Return an array whose entries are read where they stand, for what reads each of them many times."""
        probe = value.at(*(Index(f"?{axis}") for axis in range(value.ndim)))
        return value if type(probe).__name__ == "Load" else self.builder.store(value, self.prefix)

    def _method(self, node: ast.Call, name: str, x: Entries) -> Entries:
        arguments = [self._static(each) for each in node.args]
        if name == "reshape":
            shape = arguments[0] if len(arguments) == 1 and isinstance(arguments[0], tuple) else tuple(arguments)
            return self._readable_whole(x).reshape(np.empty(x.shape, np.bool_).reshape(shape).shape)
        named = {str(keyword.arg): self._static(keyword.value) for keyword in node.keywords}
        axes = axes_of(arguments[0] if arguments else None, x.ndim)
        return along(name, x, axes, bool(named.get("keepdims", False)))

    def _readable_whole(self, x: Entries) -> Entries:
        """Return an array that is in memory in its own order."""
        return x if x.array else self.builder.store(x, self.prefix)

    def _word(self, node: ast.expr) -> Any:
        """Return what a word about whole arrays gives: an array, or a list of them."""
        match node:
            case ast.Call(func=ast.Name(id="random"), args=[shape]):
                return self.draw(self._static(shape))
            case ast.Call(func=ast.Name(id="zeros"), args=arguments):
                sizes = [self._static(each) for each in arguments]
                return zeros(sizes[0] if isinstance(sizes[0], tuple) else sizes)
            case ast.Call(func=ast.Name(id="softmax"), args=[x, axis]):
                e = elementwise(lambda v: operation("exp", v), self._readable(self.of(x)))
                total = along("sum", e, axes_of(self._static(axis), e.ndim), keepdims=True)
                return elementwise(lambda a, b: operation("/", a, b), e, total)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                given = [
                    self._static(each) if self._is_static(each) else self._readable_whole(self.of(each))
                    for each in arguments
                ]
                lower = WORDS[name].lower
                return lower(*given) if callable(lower) else self._reshaped(name, given)
        raise LoweringError(f"{ast.unparse(node)} has no lowering")

    def _reshaped(self, name: str, given: list[Any]) -> Entries:
        """Return what a word gives that only brings an array into another shape."""
        positions = [np.arange(x.size).reshape(x.shape) if isinstance(x, Entries) else x for x in given]
        found = WORDS[name].run(*positions)
        arrays = [x for x in given if isinstance(x, Entries)]
        if not isinstance(found, np.ndarray) or len(arrays) != 1 or found.ravel().tolist() != [*range(found.size)]:
            raise LoweringError(f"the word {name} has no lowering")
        return arrays[0].reshape(found.shape)

    # ---- what is known from shapes and settings alone

    def _is_static(self, node: ast.AST) -> bool:
        match node:
            case ast.Attribute(attr="shape" | "size" | "ndim"):
                return True
            case ast.Call(func=ast.Name(id="len")):
                return True
            case ast.Name(id=name):
                if name in self.names:
                    return not self.names[name].shape and not any(map(_is_data, _leaves(self.names[name].at())))
                return name not in self._steps and (name == "inf" or not np.ndim(_scalar_or_tuple(self.walker, name)))
            case ast.Call(func=ast.Name(id="random" | "zeros")):
                return False
            case ast.Call(func=ast.Name(), args=arguments):
                return all(map(self._is_static, arguments))
            case ast.Call():
                return False
        return all(map(self._is_static, (part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr))))

    def _static(self, node: ast.expr) -> Any:
        """Return the value of a tree that depends on shapes and settings alone."""
        if not self._is_static(node):
            raise LoweringError(f"{ast.unparse(node)} must follow from shapes and settings")
        return _plain(self.walker.of(node))


def _scalar_or_tuple(walker: Walker, name: str) -> Any:
    """Return the value of a symbol, with 0 in the place of a tuple."""
    value = walker.values.get(name)
    return 0 if isinstance(value, tuple | str | range) else value if value is not None else np.zeros(1)


def _plain(value: Any) -> Any:
    """Return a value in Python's own types; an array that has axes stays."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim):
        value = value.tolist()
    return tuple(map(_plain, value)) if isinstance(value, tuple | list) else value


def _leaves(node: Expression) -> list[Expression]:
    parts = getattr(node, "arguments", None) or ((node.body,) if hasattr(node, "body") else ())
    return [leaf for part in parts for leaf in _leaves(part)] if parts else [node]


def _is_data(leaf: Expression) -> bool:
    return not isinstance(leaf, Number)
