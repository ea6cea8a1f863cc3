"""What a tree of the equations is, entry by entry: expressions of entries, and whole arrays of them."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..mathematics.program import Line, is_gradient
from ..mathematics.run import Grid, Walker
from ..mathematics.trees import base, free_indices, index_name, is_ellipsis, nodes, subscripts
from ..mathematics.words import REDUCTIONS, WORDS
from .entries import Entries, elementwise, scalar
from .expression import Expression, Index, LoweringError, Number, children, operation, reduced
from .expression import nodes as nodes_of
from .program import Builder, zeros
from .wholes import along, axes_of, negative, product

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


class Values:
    """Reads trees: what they are at some indices, and which arrays they are.

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

    def _used(self, tree: ast.expr, grid: Grid) -> list[str]:
        """Return the axes of the grid that stand in a tree outside of reductions over them, in their order."""
        found = free_indices(tree, [*grid.sizes])
        return [axis for name in found for axis in (grid.rest if name == "..." else [name])]

    def _places(self, places: Iterable[ast.expr], known: Mapping[str, Expression], grid: Grid) -> list[Expression]:
        found: list[Expression] = []
        for place in places:
            found += [known[axis] for axis in grid.rest] if is_ellipsis(place) else [self.entry(place, known, grid)]
        return found

    # ---- whole arrays

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
                    return is_number(self.names[name])
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
        with np.errstate(all="ignore"):
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


def is_number(value: Entries) -> bool:
    """Tell whether an array is a single number that follows from shapes and settings."""
    return not value.shape and all(isinstance(leaf, Number) for leaf in nodes_of(value.at()) if not children(leaf))
