"""A student's forward pass as a function: its values at random points, and J's gradient by each node, measured.

The forward pass is run in the language of equations. A gradient is measured by central differences: one node is moved,
entry by entry, and what depends on it is computed again. No gradient is derived, from the student's lines or otherwise.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from nn.mathematics.program import EquationError, Line
from nn.mathematics.run import Walker
from nn.mathematics.trees import names_in, nodes

from .answers import HandIn, values_in
from .expressions import CLASS_AXIS
from .layout import LAYOUTS, Layout, MisfitError, Shapes, is_target
from .reader import UnreadableError

STEP = 1e-5
TOLERANCE = 1e-6  # of the largest entry; differences are right to about 1e-9
POINTS = 3
DRAWS = 60  # for a point at which each ReLU has entries above and below zero
KINDS = ("numbers", "one-hot", "0 or 1")  # what targets may be

Values = dict[str, Any]


def values_of(lines: Sequence[Line], given: Values) -> Values:
    """Run lines; return the values of what they state.

    Raises:
        EquationError: with the line.
    """
    walker = Walker(given)
    walker.run(lines)
    return walker.stated()


class Point:
    """One set of inputs, and all that follows from it.

    Args:
        lines: the forward pass.
        loss: the symbol of J.
        given: the inputs.

    Attributes:
        values: of all symbols of the forward pass.
    """

    def __init__(self, lines: Sequence[Line], loss: str, given: Values) -> None:
        self.lines, self.loss = lines, loss
        self.values: Values = {**given, **values_of(lines, given)}
        self._gradients: dict[str, np.ndarray] = {}

    def is_node(self, symbol: str) -> bool:
        """Tell whether a symbol is an array, or J, and so has a gradient."""
        return symbol == self.loss or isinstance(self.values.get(symbol), np.ndarray)

    def by(self, symbol: str) -> np.ndarray:
        """Return J's gradient by a node."""
        if symbol not in self._gradients:
            self._gradients[symbol] = self.gradient(symbol)
        return self._gradients[symbol]

    def known(self, names: Iterable[str]) -> Values:
        """Return the values, and the gradients among some names."""
        gradients = {name: self.by(name[1:]) for name in names if name[0] == "d" and self.is_node(name[1:])}
        return self.values | gradients

    def gradient(self, symbol: str, only: str = "") -> np.ndarray:
        """Return J's gradient by a node, by central differences.

        Args:
            symbol: the node.
            only: the one node that sees it move; empty for all that are computed from it.
        """
        value = np.asarray(self.values[symbol], float)
        if symbol == self.loss:
            return np.ones(value.shape)
        later = self._later(symbol, only)
        known = {name: v for name, v in self.values.items() if name not in {line.names[0] for line in later}}
        found = np.empty(value.shape)
        for place in np.ndindex(value.shape):
            losses = []
            for step in (STEP, -STEP):
                moved = value.copy()
                moved[place] += step
                losses.append(self._loss(later, known, symbol, moved, only))
            found[place] = (losses[0] - losses[1]) / (2 * STEP)
        return found

    def _later(self, symbol: str, only: str) -> list[Line]:
        """Return the lines whose values change with a node."""
        reached, later = {symbol}, []
        for line in self.lines:
            uses = values_in(line.value) & reached
            if line.names[0] == symbol or (uses == {symbol} and only and line.names[0] != only):
                continue
            if uses:
                later.append(line)
                reached.add(line.names[0])
        return later

    def _loss(self, later: list[Line], known: Values, symbol: str, moved: np.ndarray, only: str) -> float:
        if not only:
            stated = values_of(later, {**known, symbol: moved})
            return float(np.asarray(stated.get(self.loss, self.values[self.loss])).sum())
        first, *rest = later
        given = {**known, **values_of([first], {**known, symbol: moved})}
        return float(np.asarray(values_of(rest, given).get(self.loss, given.get(self.loss))).sum())


class Measured:
    """A forward pass with its arrays laid out, at several points.

    Args:
        hand_in: whose forward pass.
        layout: how its arrays lie.
        kind: what its targets are: see KINDS.
        strict: as of Shapes.

    Attributes:
        shapes: of the inputs that are arrays.
        points: where all is computed and measured.

    Raises:
        MisfitError: where the arrays do not fit together.
        EquationError: where a line cannot be computed.
    """

    def __init__(self, hand_in: HandIn, layout: Layout, kind: str = KINDS[0], strict: bool = True) -> None:
        self.hand_in, self.layout, self.kind, self.strict = hand_in, layout, kind, strict
        shapes = Shapes(hand_in, layout, strict)
        self.shapes, self.numbers = shapes.inputs, shapes.numbers
        self.samples = shapes.samples.root().value or 1
        self.points = [self._point(np.random.default_rng(seed)) for seed in range(POINTS)]

    def _point(self, rng: np.random.Generator) -> Point:
        """Draw a point at which J is a number and, where it can be, each ReLU has entries above and below zero."""
        best: Point | None = None
        most = -1.0
        for draw in range(DRAWS):
            point = Point(self.hand_in.forward, self.hand_in.loss, self._inputs(rng, positive=draw % 2 == 1))
            loss = np.asarray(point.values[self.hand_in.loss])
            if loss.size != 1:
                name = self.hand_in.loss
                raise MisfitError(f"{name} has shape {loss.shape}, and a loss is one number: is a sum missing?")
            if not all(np.isfinite(np.asarray(value, float)).all() for value in point.values.values()):
                continue
            mixed = [self._mixed(tree, point) for tree in self._bends()]
            if sum(mixed) > most:
                best, most = point, sum(mixed)
            if all(mixed):
                break
        if best is None:
            raise MisfitError("J is not finite: is there a logarithm or a root of something negative?")
        return best

    def _inputs(self, rng: np.random.Generator, positive: bool) -> Values:
        """Draw the inputs; the sign of half of the draws is positive, for logarithms."""
        given: Values = {**self.numbers, CLASS_AXIS: self.layout.class_axis}
        for name, shape in self.shapes.items():
            if is_target(name) and self.kind == KINDS[1]:
                given[name] = self._one_hot(rng, shape)
            elif is_target(name) and self.kind == KINDS[2]:
                given[name] = (rng.random(shape) < 0.5).astype(float)
            else:
                drawn = np.asarray(rng.normal(size=shape))
                given[name] = np.abs(drawn) + 0.1 if positive and self._needs_positive else drawn
        return given

    @property
    def _needs_positive(self) -> bool:
        calls = [n for line in self.hand_in.forward for n in nodes(line.value) if isinstance(n, ast.Call)]
        return any(isinstance(call.func, ast.Name) and call.func.id in ("log", "sqrt") for call in calls)

    def _one_hot(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        drawn = rng.random(shape)
        axis = min(self.layout.class_axis, len(shape) - 1)
        return (drawn == drawn.max(axis, keepdims=True)).astype(float)

    def _bends(self) -> Iterator[ast.expr]:
        """Yield the pairs of trees at whose equality the forward pass has a bend, as their differences."""
        for line in self.hand_in.forward:
            for node in nodes(line.value):
                match node:
                    case ast.Call(func=ast.Name(id="maximum" | "minimum"), args=[a, b]):
                        yield ast.BinOp(a, ast.Sub(), b)
                    case ast.Call(func=ast.Name(id="abs"), args=[a]):
                        yield a
                    case ast.Compare(left=a, comparators=[b]):
                        yield ast.BinOp(a, ast.Sub(), b)

    def _mixed(self, tree: ast.expr, point: Point) -> float:
        """Return how well a point serves a bend: 1 with entries on both sides, and none near it."""
        (difference,) = values_of([Line((ast.Name("answer"),), tree, False, 1)], point.values).values()
        if np.abs(difference).min(initial=1) < 100 * STEP:
            return -1.0
        return float(np.size(difference) < 2 or (np.any(difference > 0) and np.any(difference < 0)))

    def names(self, tree: ast.expr) -> set[str]:
        """Return the symbols that a line uses, also by way of helpers such as masks."""
        needed = names_in(tree)
        for line in reversed(self.hand_in.helpers):
            if line.names[0] in needed:
                needed |= names_in(line.value)
        return needed

    def led_to(self, symbol: str) -> set[str]:
        """Return the nodes that are computed from a node, directly or not."""
        reached = {symbol}
        for line in self.hand_in.forward:
            if values_in(line.value) & reached:
                reached.add(line.names[0])
        return reached - {symbol}

    def computed(self, tree: ast.expr, symbol: str, point: Point) -> Any:
        """Return what a student's line gives at a point, with the measured gradients for all other ones.

        Raises:
            EquationError: where it cannot be computed.
        """
        needed = self.names(tree)
        lines = [line for line in self.hand_in.helpers if line.names[0] in needed]
        return values_of([*lines, Line((ast.Name("answer"),), tree, False, 1)], point.known(needed))["answer"]

    def is_right(self, tree: ast.expr, symbol: str, points: int = POINTS) -> bool:
        """Tell whether a line gives the measured gradient, at so many points."""
        try:
            return all(agree(self.computed(tree, symbol, point), point.by(symbol)) for point in self.points[:points])
        except EquationError:
            return False


def agree(value: Any, gradient: np.ndarray, tolerance: float = TOLERANCE) -> bool:
    """Tell whether an array is a measured gradient, but for rounding.

    Example:
        >>> agree(np.ones((2, 1)), np.ones((2, 1)) + 1e-9), agree(np.ones(2), np.ones((2, 1)))
        (True, False)
    """
    value = np.asarray(value)
    if value.shape != gradient.shape or value.dtype.kind not in "biuf":
        return False
    scale = max(float(np.abs(gradient).max(initial=0)), 1e-3)
    return bool(np.abs(value - gradient).max(initial=0) <= tolerance * scale)


def laid_out(hand_in: HandIn) -> Measured:
    """Return a forward pass in the way in which most of the student's gradients are right.

    Raises:
        UnreadableError: where its arrays fit together in no way.
    """
    has_log = any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "log"
        for line in hand_in.forward
        for node in nodes(line.value)
    )
    filled = [(answer.symbol, answer.value) for answer in hand_in.answers if answer.value is not None]
    best: Measured | None = None
    most, reason = -1, ""
    first = _speaks_of_samples(hand_in)
    layouts = sorted(LAYOUTS, key=lambda layout: layout.of_batch != first)
    for strict, layout, kind in itertools.product((True, False), layouts, KINDS if has_log else KINDS[:1]):
        if best is not None and best.strict and not strict:
            break
        try:
            measured = Measured(hand_in, layout, kind, strict)
        except (MisfitError, EquationError) as error:
            reason = reason or str(error)
            continue
        known = [(symbol, tree) for symbol, tree in filled if measured.points[0].is_node(symbol)]
        right = sum(measured.is_right(tree, symbol, points=1) for symbol, tree in known)
        if right > most:
            best, most = measured, right
        if right == len(filled):
            return measured
    if best is None:
        raise UnreadableError(
            f"the forward pass cannot be computed, however its arrays lie: {reason}. (A line such as `W0: (5, 3)` "
            f"states a shape.)"
        )
    return best


def _speaks_of_samples(hand_in: HandIn) -> bool:
    """Tell whether a hand-in sums over an axis or counts samples, as one about a batch does."""
    trees = [line.value for line in (*hand_in.forward, *hand_in.helpers)]
    trees += [answer.value for answer in hand_in.answers if answer.value is not None]
    for node in nodes(*trees):
        match node:
            case ast.Call(func=ast.Attribute(attr="sum" | "mean"), args=[_]) | ast.Attribute(attr="shape"):
                return True
            case ast.Call(func=ast.Attribute(attr="mean")):
                return True
    return False
