"""From the lines of a module's equations to a program of loops.

A walker runs the lines on arrays of the right shapes without computing entries; what each line says of one entry
becomes an expression, and is stored for all.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable

import numpy as np

from ..mathematics.program import EquationError, Line, Loop, is_gradient
from ..mathematics.run import Grid
from ..mathematics.run import Sequence as Steps
from ..mathematics.trees import base, index_name, subscripts
from .entries import Entries, elementwise, scalar
from .expression import Expression, Index, LoweringError, operation, reduced
from .program import zeros
from .values import Values, is_number
from .wholes import spread


class LineLowering(Values):
    """Lowers the settled lines of one call of a module; it is made as `Values` are."""

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
        self.names[name] = value if is_number(value) else self._stored(value, name)

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
