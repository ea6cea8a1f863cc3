"""The chain rule of a recorded forward: for each operation, a statement of what goes back to each operand.

The statements are text, in the words of the equations: `dy` is what comes in, `y` the value, `a` and `b` the operands.
So that a mistake can be made in one on purpose: `slips` has those that people make.
"""

from __future__ import annotations

import ast
import functools
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..mathematics.run import OPERATORS
from .operations import Operation, shapes_of, size_along

# What goes back to each operand. That it is summed over what was broadcast, and broadcast over what was summed, goes
# without saying.
STATEMENTS: dict[str, tuple[str, ...]] = {
    "add": ("dy", "dy"),
    "subtract": ("dy", "-dy"),
    "multiply": ("dy * b", "dy * a"),
    "divide": ("dy / b", "-(dy * a) / b**2"),
    "negative": ("-dy",),
    "reciprocal": ("-dy * y**2",),
    "exp": ("dy * y",),
    "expm1": ("dy * (y + 1)",),
    "log": ("dy / a",),
    "log1p": ("dy / (1 + a)",),
    "sqrt": ("dy / (2 * y)",),
    "square": ("dy * (2 * a)",),
    "power": ("dy * (b * a**(b - 1))", "dy * (y * log(a))"),
    "tanh": ("dy * (1 - y**2)",),
    "sin": ("dy * cos(a)",),
    "cos": ("-dy * sin(a)",),
    "sinh": ("dy * cosh(a)",),
    "cosh": ("dy * sinh(a)",),
    "arctan": ("dy / (1 + a**2)",),
    "expit": ("dy * (y * (1 - y))",),
    "erf": ("dy * (1.1283791670955126 * exp(-(a**2)))",),
    "logaddexp": ("dy * exp(a - y)", "dy * exp(b - y)"),
    "absolute": ("dy * sign(a)",),
    "maximum": ("dy * (a > b)", "dy * (b >= a)"),
    "minimum": ("dy * (a < b)", "dy * (b <= a)"),
    "where": ("dy * c", "dy * (1 - c)"),
    "matmul": ("dy @ b.mT", "a.mT @ dy"),
    "sum": ("dy",),
    "mean": ("dy / n",),
    "var": ("dy * 2 * (a - mean(a)) / n",),
    "max": ("dy * (a == y)",),
    "min": ("dy * (a == y)",),
    # Functions that are made of several operations, and known by their values.
    "sigmoid": ("dy * (y * (1 - y))",),
    "softmax": ("y * (dy - sum(dy * y))",),
    "log-softmax": ("dy - exp(y) * sum(dy)",),
    "standardise": ("(dy - mean(dy) - y * mean(dy * y)) / s",),
    "scale to length 1": ("(dy - y * sum(dy * y)) / s",),
    "divide by the root mean square": ("(dy - y * mean(dy * y)) / s",),
}
COMPOSED = ("sigmoid", "softmax", "log-softmax", "standardise", "scale to length 1", "divide by the root mean square")
WORDS: dict[str, Callable[..., Any]] = {
    "log": np.log,
    "exp": np.exp,
    "sign": np.sign,
    "tanh": np.tanh,
    "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
    "cos": np.cos,
    "sin": np.sin,
    "cosh": np.cosh,
    "sinh": np.sinh,
}

ENTRIES = 700  # of an array, which take about as long as what is done around them; so do
PRODUCTS = 8000  # in products of matrices, and
TERMS = 1500  # in sums over indices

Values = dict[str, Any]
Rule = Callable[[Values], Any]


@functools.cache
def tree_of(text: str) -> ast.expr:
    """Return an expression as a tree."""
    return ast.parse(text, mode="eval").body


@functools.cache
def rule(text: str) -> Rule:
    """Return an expression as a function of the values of its symbols.

    Example:
        >>> float(rule("dy * (1 - y**2)")({"dy": 2.0, "y": 0.5}))
        1.5
    """
    return _compiled(tree_of(text))


def _compiled(node: ast.expr) -> Rule:
    match node:
        case ast.Constant(value=value):
            return lambda values: value
        case ast.Name(id=name):
            return lambda values: values[name]
        case ast.UnaryOp(operand=operand):
            inner = _compiled(operand)
            return lambda values: -inner(values)
        case ast.BinOp(left=left, op=op, right=right):
            function, one, other = OPERATORS[type(op)], _compiled(left), _compiled(right)
            return lambda values: function(one(values), other(values))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            function, one, other = OPERATORS[type(op)], _compiled(left), _compiled(right)
            return lambda values: function(one(values), other(values)) * 1.0
        case ast.Attribute(value=value):
            inner = _compiled(value)
            return lambda values: np.swapaxes(inner(values), -1, -2)
        case ast.Call(func=ast.Name(id="sum" | "mean" as name), args=[argument, *axes]):
            inner, along = _compiled(argument), tuple(k.value for k in axes)  # type: ignore[attr-defined]
            reduce = np.sum if name == "sum" else np.mean
            return lambda values: reduce(inner(values), along or values["axes"], keepdims=True)
        case ast.Call(func=ast.Name(id=name), args=[argument]):
            function, inner = WORDS[name], _compiled(argument)
            return lambda values: function(inner(values))
    raise ValueError(f"{ast.unparse(node)} is no expression of a derivative")


def statement(operation: Operation, k: int) -> str:
    """Return what goes back to an operand, as text; of what only moves entries, nothing."""
    return STATEMENTS[operation.name][k] if operation.name in STATEMENTS else ""


def values_of(operation: Operation) -> Values:
    """Return the values of the symbols in the statements of an operation, without dy."""
    arrays = [x.value if isinstance(x, Operation) else np.asanyarray(x) for x in operation.operands]
    values: Values = dict(zip("ab", arrays, strict=False)) | {"y": operation.value}
    settings = operation.settings
    if "condition" in settings:
        values["c"] = settings["condition"]
    if "s" in settings:
        values["s"] = settings["s"]
    if "axes" in settings:
        values["axes"] = settings["axes"]
        values["n"] = size_along(np.shape(arrays[0]), settings["axes"]) - settings.get("ddof", 0)
    return values


@dataclass(eq=False)
class Change:
    """A mistake in the chain rule.

    at: what goes back instead, by the operation and the operand's place; None for nothing.
    shapes: of operations whose value would have another shape.
    silent: outputs that get no upstream gradient.
    to: where it goes instead, by the operation and the operand's place; None for nowhere.
    order: in which the operations are gone through instead.
    """

    at: Mapping[tuple[Operation, int], Rule | None] = field(default_factory=dict)
    shapes: Mapping[Operation, tuple[int, ...]] = field(default_factory=dict)
    silent: Collection[Operation] = ()
    to: Mapping[tuple[Operation, int], Operation | None] = field(default_factory=dict)
    order: Sequence[Operation] = ()


RIGHT = Change()


class ChainRule:
    """The operations of a forward, and the gradients that the chain rule makes of them.

    leaves: the operations that forward was given, by name.
    outputs: those that it returned, None for what is no operation, and how large each is.

    Attributes:
        work: how much was done so far, one for each operation that was gone back through, and more for a large one.
    """

    def __init__(
        self,
        operations: list[Operation],
        leaves: Mapping[str, Operation],
        outputs: list[tuple[Operation | None, int]],
    ) -> None:
        self.leaves, self.outputs = dict(leaves), outputs
        alive, needed = set(self.leaves.values()), {operation for operation, _ in outputs if operation is not None}
        for operation in operations:
            if any(x in alive for x in operation.operands if isinstance(x, Operation)):
                alive.add(operation)
        for operation in reversed(operations):
            if operation in needed:
                needed |= {x for x in operation.operands if isinstance(x, Operation)}
        self.alive = alive & needed
        self.work = 0.0
        self.operations = [operation for operation in operations if operation in self.alive]
        self.costs = {operation: _cost(operation) for operation in self.operations}
        self.values = {operation: values_of(operation) for operation in self.operations if operation.operands}

    def gradients(
        self, g: np.ndarray, change: Change = RIGHT, seeds: Iterable[int] | None = None
    ) -> dict[str, np.ndarray]:
        """Return by name what a backward by the chain rule, with a mistake in it, makes of an upstream gradient.

        seeds: for each output, the number of the one whose place its upstream gradient takes; its own by default.
        """
        upstream: dict[Operation, np.ndarray] = {}
        ends = np.cumsum([size for _, size in self.outputs])
        places = [operation for operation, _ in self.outputs]
        for end, k, (operation, size) in zip(ends, seeds or range(len(places)), self.outputs, strict=True):
            place, part = places[k], g[end - size : end]
            if operation is not None and place is not None and operation not in change.silent and part.any():
                _add(upstream, place, part.reshape(place.value.shape))
        for operation in change.order or reversed(self.operations):
            if operation not in upstream or not operation.operands:
                continue
            self.work += self.costs[operation]
            values = self.values[operation] | {"dy": upstream[operation]}
            for k, operand in enumerate(operation.operands):
                operand = change.to.get((operation, k), operand)
                if not isinstance(operand, Operation) or operand not in self.alive:
                    continue
                changed = change.at.get((operation, k), _right)
                if changed is not None:
                    gradient = back(operation, k, values) if changed is _right else changed(values)
                    if gradient is not None:
                        _add(upstream, operand, fitted(gradient, change.shapes.get(operand, operand.value.shape)))
        return {
            name: upstream.get(leaf, np.zeros(leaf.value.shape)).reshape(leaf.value.shape)
            for name, leaf in self.leaves.items()
        }


def _cost(operation: Operation) -> float:
    """Return how much work it is to go back through an operation, in what a small one takes."""
    size = operation.value.size
    if operation.name == "matmul":
        return 1 + size * shapes_of(operation.operands[0])[-1] / PRODUCTS
    if operation.name == "einsum":
        lengths = dict(zip("".join(terms := operation.settings["terms"]), _lengths(operation), strict=True))
        return 1 + len(terms) * math.prod(lengths.values()) / TERMS
    return 1 + size / ENTRIES


def _lengths(operation: Operation) -> list[int]:
    return [length for x in operation.operands for length in shapes_of(x)]


def _right(values: Values) -> Any:
    raise NotImplementedError


def _add(upstream: dict[Operation, np.ndarray], operation: Operation, gradient: np.ndarray) -> None:
    upstream[operation] = upstream[operation] + gradient if operation in upstream else gradient


def back(operation: Operation, k: int, values: Values) -> Any:
    """Return what goes back to an operand."""
    name, dy = operation.name, values["dy"]
    if name in STATEMENTS:
        return rule(STATEMENTS[name][k])(values)
    if name == "einsum":
        return contracted(operation, k, dy, list(map(values.get, "ab")))
    if name == "cumsum":
        axis = operation.settings["axis"]
        return np.flip(np.cumsum(np.flip(dy, axis), axis), axis)
    places = operation.settings["places"]
    if name == "add.at" and k == 0:
        return dy
    if name in ("put", "add.at"):
        if k == 1:
            return dy.reshape(-1)[places]
        rest = np.array(dy)
        rest.reshape(-1)[places] = 0
        return rest
    return scattered(operation, k, dy)


def scattered(operation: Operation, k: int, dy: np.ndarray, last: bool = False) -> np.ndarray | None:
    """Return what goes back to an operand whose entries were taken to several places: their sum, or the last alone.

    Where that is nothing, as for most parts of a stack when few are looked at, it is None.
    """
    taken, places, once = moves(operation)[k]
    given = np.broadcast_to(dy, operation.value.shape).reshape(-1)[taken]
    shape = shapes_of(operation.operands[k])
    if not given.any():
        return None
    if not once and not last:
        return np.bincount(places, given, math.prod(shape)).reshape(shape)
    total = np.zeros(math.prod(shape))
    total[places] = given
    return total.reshape(shape)


def moves(operation: Operation) -> list[tuple[np.ndarray, np.ndarray, bool]]:
    """Return, for each operand, which entries of the value are its own, where they come from, and whether each once."""
    known = operation.settings.get("moves")
    if known is None:
        places, start, known = operation.settings["places"].reshape(-1), 0, []
        owner = np.searchsorted(np.cumsum([math.prod(shapes_of(x)) for x in operation.operands]), places, side="right")
        owner[places < 0] = -1
        order = np.argsort(owner, kind="stable")
        for k, size in enumerate(math.prod(shapes_of(x)) for x in operation.operands):
            taken = order[slice(*np.searchsorted(owner, (k, k + 1), sorter=order))]
            mine = places[taken] - start
            known.append((taken, mine, bool(np.bincount(mine, minlength=1).max() <= 1)))
            start += size
        operation.settings["moves"] = known
    return known


def contracted(operation: Operation, k: int, dy: np.ndarray, operands: list[Any]) -> np.ndarray:
    """Return what goes back to an operand of a sum of products over indices."""
    terms, out = operation.settings["terms"], operation.settings["out"]
    others = [i for i in range(len(terms)) if i != k]
    known = set(out).union(*(terms[i] for i in others))
    kept = "".join(c for c in terms[k] if c in known)
    subscripts = ",".join([out, *(terms[i] for i in others)]) + "->" + kept
    gradient = np.einsum(subscripts, dy, *(operands[i] for i in others))
    shape = [size if c in kept else 1 for c, size in zip(terms[k], shapes_of(operation.operands[k]), strict=True)]
    return gradient.reshape(shape)


def fitted(gradient: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return a gradient in its array's shape: summed over what was broadcast, broadcast over what was summed."""
    gradient = np.asarray(gradient)
    if gradient.shape == shape:
        return gradient
    gradient = gradient.sum(tuple(range(gradient.ndim - len(shape)))) if gradient.ndim > len(shape) else gradient
    axes = tuple(k for k, size in enumerate(gradient.shape) if size > 1 and shape[len(shape) - gradient.ndim + k] == 1)
    gradient = gradient.sum(axes, keepdims=True) if axes else gradient
    return np.broadcast_to(gradient, shape)
