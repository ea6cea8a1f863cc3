"""One slip in the chain rule: which one, made on purpose, gives exactly the gradients that backward gave?

Forward is recorded operation by operation, and `derivatives` states what goes back through each. Here a statement is
changed as people change it by mistake: a path, a factor or a term is left out, a sign is turned, a matrix is not
transposed, one array is taken for another, a mean runs over another axis. What gives the wrong numbers to the last
digit names the mistake, in the author's own line.
"""

from __future__ import annotations

import ast
import bisect
import contextlib
import copy
import itertools
import linecache
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .. import tree
from .derivatives import (
    COMPOSED,
    RIGHT,
    STATEMENTS,
    ChainRule,
    Change,
    Rule,
    Values,
    back,
    rule,
    scattered,
    statement,
    tree_of,
)
from .experiment import Experiment
from .measure import STEP, units
from .operations import ELEMENTWISE, Operation, Record, Recorded, shapes_of, size_along, subsets_of

SAME = 1e-6  # relative to the largest entry: how well a slip explains a gradient
SLOPE = 1e-5  # how well the chain rule of a record agrees with forward, or it is not used
WORK = 250_000  # that the search for a slip may take, of which a second does some 300,000: no matter of the clock
QUICK = 400  # work that the way back takes, so that a search through all slips is no matter
LONG = 3000  # work that the way back takes through a forward that is called long
STEPS = 3  # of a long forward, the first ones that are looked at
FEW = 4  # operations that one place in the code makes are looked at one by one up to so many
MOST_PARTS = 6  # of a value are looked at one by one
SPLIT = 4  # uses of one value are left out in every combination up to so many
DEEP = 10  # operations that a function may be made of, one after another
NEARLY = 1e-6  # how well a function of several operations is known by its values
EPSILON = 0.05  # of a variance: the most that is added to it

SLOPES = (
    *("dy", "dy * y", "dy * (1 - y)", "dy * y * (1 - y)", "dy * (1 - y**2)", "dy * a", "dy * (1 - a**2)"),
    *("dy * a * (1 - a)", "dy * (1 - a)", "dy / a", "dy * 1 / y", "dy * y**2", "dy * exp(a)", "dy * (a > 0)"),
    *("dy * (1 - tanh(y)**2)", "dy * (sigmoid(y) * (1 - sigmoid(y)))"),
)
CURVES = ("exp", "expm1", "log", "log1p", "sqrt", "square", "power", "tanh", "sin", "cos", "absolute", "sigmoid")

PIECEWISE = ("where", "maximum", "minimum")
LINEAR = ("sum", "mean", "squeeze", "negative", "multiply", "divide", "add", "subtract")
POINTWISE = (ELEMENTWISE - {"matmul"}) | {"where", "sigmoid"}


@dataclass(eq=False)
class Slip:
    """A mistake in the chain rule, in words.

    kind: of mistake.
    text: a clause on what is done, and what should be.
    change: what it does to the chain rule.
    place: where, in words.
    seeds: for each output, where its upstream gradient goes, if not to itself.
    """

    kind: str
    text: str
    change: Change
    place: str = ""
    seeds: tuple[int, ...] | None = None


@dataclass
class Explanation:
    """A slip, and the arrays whose wrong gradients it explains.

    fits: whether gradients that are right stay right with it.
    complete: whether these besides are all that are wrong.
    """

    slip: Slip
    names: set[str] = field(default_factory=set)
    fits: bool = False
    complete: bool = False


class Slips:
    """The slips that explain wrong gradients at a point.

    Args:
        experiment: the point.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment

    @cached_property
    def rules(self) -> list[ChainRule]:
        """The chain rule of forward, in known functions and in single operations; none where it cannot be recorded."""
        with contextlib.suppress(Exception), np.errstate(all="ignore"):  # forward can do what is not foreseen
            single = recorded(self.experiment)
            together = composed(single)
            return [together, single] if together is not None else [single]
        return []

    @cached_property
    def true(self) -> dict[str, np.ndarray]:
        """The gradients by the chain rule; none where these are not the slope of forward, so that it does not hold."""
        e = self.experiment
        if not self.rules or not self.rules[0].leaves:
            return {}
        with np.errstate(all="ignore"), contextlib.suppress(Exception):
            true, *more = (each.gradients(e.g) for each in self.rules)
            if not all(_same(each[name], gradient) for each in more for name, gradient in true.items()):
                return {}
            slope, expected, size = self._slope(true)
            return true if abs(slope - expected) <= SLOPE * size else {}
        return {}

    def _slope(self, gradients: dict[str, np.ndarray]) -> tuple[float, float, float]:
        """Return the slope along a direction of all arrays, measured and by their gradients, and its scale."""
        rng, point = np.random.default_rng(0), self.experiment.arrays
        directions = {name: units(x).reshape(x.shape) * rng.uniform(-1, 1, x.shape) for name, x in point.items()}
        before = {name: x.copy() for name, x in point.items()}
        outputs = []
        try:
            for sign in (1, -1):
                for name, x in point.items():
                    x[...] = before[name] + sign * STEP * directions[name]
                outputs.append(self.experiment.outputs())
        finally:
            for name, x in point.items():
                x[...] = before[name]
        parts = [gradient * directions[name] for name, gradient in gradients.items()]
        measured = float(np.dot(self.experiment.g, outputs[0] - outputs[1])) / (2 * STEP)
        return measured, float(sum(part.sum() for part in parts)), float(sum(np.abs(part).sum() for part in parts))

    @cached_property
    def found(self) -> list[Explanation]:
        """The slips that explain at least one wrong gradient, the best first."""
        found: list[Explanation] = []
        with contextlib.suppress(Exception):  # a forward can be odder than is foreseen
            for explanation in self._search():
                found.append(explanation)
                if explanation.complete:
                    break
        return sorted(found, key=lambda each: (not each.fits, -len(each.names)))

    def _search(self) -> Iterator[Explanation]:
        """Yield the slips that explain a wrong gradient."""
        e = self.experiment
        wrong = {name for name, true in self.true.items() if not _same(e.gradients[name], true)}
        right = self.true.keys() - wrong
        g, given = self._early() if wrong else (e.g, e.gradients)
        for chain, slip in self._all() if wrong else ():
            if sum(each.work for each in self.rules) > WORK:
                return
            names = _explained(chain, slip, g, given, wrong)
            if names and given is not e.gradients:
                names = _explained(chain, slip, e.g, e.gradients, names)
            if names:
                fits = _explained(chain, slip, e.g, e.gradients, right) == right
                yield Explanation(slip, names, fits, fits and names == wrong)

    def _all(self) -> Iterator[tuple[ChainRule, Slip]]:
        """Yield the slips, those in known functions first, and then those in the operations that make them up."""
        seen: set[int] = set()
        for chain in self.rules:
            for slip in possible_slips(chain, seen):
                yield chain, slip
            seen |= {operation.number for operation in chain.operations if operation.name not in COMPOSED}

    def _early(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return an upstream gradient, and what backward gives for it; of a long forward one at the first steps alone.

        Little has to be gone back through there, and so more slips can be tried.
        """
        e, chain = self.experiment, self.rules[0]
        shortest, best = self.length, (e.g, e.gradients)
        shape = np.shape(e.upstream) if isinstance(e.upstream, np.ndarray) else ()
        for axis, size in enumerate(shape) if shortest > QUICK else ():
            if size <= 2 * STEPS:
                continue
            g = np.zeros(shape)
            where = (slice(None),) * axis + (slice(STEPS),)
            g[where] = e.upstream[where]
            work = self._work(g.ravel())
            if work < shortest / 2:
                true, (_, given) = chain.gradients(g.ravel()), e.repeat(upstream=g)
                if all(_same(given[name], true[name]) == _same(e.gradients[name], self.true[name]) for name in given):
                    shortest, best = work, (g.ravel(), given)
        return best

    def _work(self, g: np.ndarray) -> float:
        """Return how much it takes to go back once."""
        before = self.rules[0].work
        self.rules[0].gradients(g)
        return self.rules[0].work - before

    def is_elementwise(self, name: str) -> bool:
        """Return whether each entry of an array goes its own way through forward, until sums of them all are taken."""
        chain = self.rules[0]
        leaf = chain.leaves[name]
        alone, summed = {leaf}, set[Operation]()
        for operation in chain.operations:
            operands = {x for x in operation.operands if isinstance(x, Operation)}
            if operands & summed and (operands & alone or len(operands) > 1 or operation.name not in LINEAR):
                return False
            if operation.name in ("sum", "mean") or operands & summed:
                summed.add(operation)
            elif operands & alone:
                if operation.name not in POINTWISE or operation.value.shape != leaf.value.shape:
                    return False
                alone.add(operation)
        return leaf.value.size > 1

    @cached_property
    def length(self) -> float:
        """How much work it is to go back through forward once; 0 where that cannot be done."""
        return self._work(self.experiment.g) if self.true else 0.0

    @property
    def long(self) -> bool:
        """Whether forward is so long that a slip is the first thing to be looked for."""
        return self.length > LONG

    @property
    def at_hand(self) -> bool:
        """Whether the search has been made, or takes next to no time."""
        return "found" in vars(self) or self.length < QUICK

    def of(self, name: str) -> Explanation | None:
        """Return the slip that explains the gradient of an array best."""
        return next((each for each in self.found if name in each.names), None)


def _explained(
    chain: ChainRule, slip: Slip, g: np.ndarray, given: dict[str, np.ndarray], names: Iterable[str]
) -> set[str]:
    """Return which gradients are those of a chain rule with a slip in it."""
    try:
        with np.errstate(all="ignore"):
            got = chain.gradients(g, slip.change, slip.seeds)
    except (ValueError, KeyError, IndexError):
        return set()  # the change does not fit the shapes
    return {name for name in names if _same(got[name], given[name])}


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    size = np.abs(b).max(initial=0)
    return bool((np.abs(a - b) <= SAME * size).all()) if size else not np.abs(a).max(initial=0) > 0


# ---- forward, recorded


def recorded(experiment: Experiment) -> ChainRule:
    """Run forward on arrays that are recorded, and return its chain rule."""
    record, leaves = Record(), {}
    point = copy.deepcopy(experiment.inputs | experiment.parameters)
    values = []
    for name, leaf in tree.named_leaves(point):
        if name in experiment.arrays:
            leaf = record.leaf(leaf)
            leaves[name] = leaf.operation
        values.append(leaf)
    remaining = iter(values)
    arguments = tree.map(lambda _: next(remaining), list(point.values()))
    experiment.random_state.restore()
    pull = experiment.subject.instance()
    with record.making():
        output, _ = pull(*arguments)
        floating = [leaf for leaf in tree.leaves(output) if tree.is_floating(leaf)]
        outputs = [(leaf.resolved() if isinstance(leaf, Recorded) else None, np.size(leaf)) for leaf in floating]
    return ChainRule(record.operations, leaves, outputs)


def composed(chain: ChainRule) -> ChainRule | None:
    """Return the chain rule in terms of known functions, where forward has any that are made of several operations."""
    new: dict[Operation, Operation] = {}
    operations, known = [], False
    for operation in chain.operations:
        function = _function(operation)
        other = copy.copy(operation)
        if function is not None:
            name, operand, settings = function
            other = Operation(name, [operand], operation.value, settings, operation.site, operation.number)
            known = True
        other.operands = [new.get(x, x) if isinstance(x, Operation) else x for x in other.operands]
        new[operation] = other
        operations.append(other)
    if not known:
        return None
    leaves = {name: new.get(leaf, leaf) for name, leaf in chain.leaves.items()}
    outputs = [(new.get(operation) if operation is not None else None, size) for operation, size in chain.outputs]
    return ChainRule(operations, leaves, outputs)


def _function(operation: Operation) -> tuple[str, Operation, dict[str, Any]] | None:
    """Return the name, the operand and the settings of a function that an operation is the last step of."""
    if operation.name == "subtract":
        return _log_softmax(operation)
    if operation.name in ("divide", "put", "where", "reciprocal") and (x := _of_sigmoid(operation)):
        return "sigmoid", x, {}
    if operation.name not in ("divide", "multiply"):
        return None
    a, b = operation.operands
    if not isinstance(a, Operation) or not isinstance(b, Operation):
        return None
    ndim, ours = a.value.ndim, a.value.shape
    shape = (1,) * (ndim - b.value.ndim) + b.value.shape
    axes = tuple(k for k in range(ndim) if shape[k] == 1 < ours[k])
    if len(shape) != ndim or not axes or operation.value.shape != ours:
        return None
    s = (b.value if operation.name == "divide" else 1 / b.value).reshape(shape)
    if a.name == "exp" and _close(s, a.value.sum(axes, keepdims=True)) and isinstance(a.operands[0], Operation):
        x = a.operands[0]
        if x.name == "subtract" and isinstance(x.operands[0], Operation) and _is_level(x.operands[1], ours, axes):
            x = x.operands[0]  # softmax does not depend on the largest that is taken away
        return "softmax", x, {"axes": axes}
    square = s**2
    settings = {"axes": axes, "s": s}
    if a.name == "subtract" and isinstance(x := a.operands[0], Operation) and x.value.shape == ours:
        centred = x.value - x.value.mean(axes, keepdims=True)
        if _close(a.value, centred) and _nearly(square, x.value.var(axes, keepdims=True)):
            return "standardise", x, settings
    if _nearly(square, (a.value**2).sum(axes, keepdims=True)):
        return "scale to length 1", a, settings
    if _nearly(square, (a.value**2).mean(axes, keepdims=True)):
        return "divide by the root mean square", a, settings
    return None


def _of_sigmoid(operation: Operation) -> Operation | None:
    """Return what an operation is the logistic function of, among the operations that it is made of."""
    y = operation.value
    if not y.size or y.min() <= 0 or y.max() >= 1:
        return None
    found, x = [operation], np.log(y / (1 - y))
    for depth in range(DEEP):
        found = list(dict.fromkeys(x for each in found for x in each.operands if isinstance(x, Operation)))
        for each in found:
            if each.value.shape == y.shape and np.abs(each.value - x).max() <= NEARLY * np.abs(x).max() and depth:
                return each
    return None


def _log_softmax(operation: Operation) -> tuple[str, Operation, dict[str, Any]] | None:
    a, b = operation.operands
    shape = (1,) * (np.ndim(operation.value) - len(shapes_of(b))) + tuple(shapes_of(b))
    axes = tuple(k for k, size in enumerate(operation.value.shape) if len(shape) > k and shape[k] == 1 < size)
    if (
        not axes
        or not isinstance(a, Operation)
        or not isinstance(b, Operation)
        or a.value.shape != operation.value.shape
    ):
        return None
    total = np.exp(operation.value).sum(axes, keepdims=True)
    if a.value.shape != operation.value.shape or not _close(total, np.ones(total.shape)):
        return None
    if a.name == "subtract" and isinstance(a.operands[0], Operation) and _is_level(a.operands[1], a.value.shape, axes):
        a = a.operands[0]
    return "log-softmax", a, {"axes": axes}


def _is_level(x: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> bool:
    """Return whether something is the same all along some axes."""
    ours = np.shape(x.value if isinstance(x, Operation) else x)
    ours = (1,) * (len(shape) - len(ours)) + ours
    return all(ours[k] == 1 for k in axes)


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(np.abs(a - b).max() <= NEARLY * np.abs(b).max())


def _nearly(square: np.ndarray, statistic: np.ndarray) -> bool:
    """Return whether one is the other, and an epsilon."""
    more = square - statistic
    return bool(
        np.ptp(more) <= NEARLY * square.max() and -NEARLY * square.min() <= more.min() <= EPSILON * square.min()
    )


# ---- the slips that people make


@dataclass(frozen=True, eq=False)
class Group:
    """Operations that one place in the code has made, such as the steps of a loop."""

    operations: list[Operation]

    @property
    def first(self) -> Operation:
        return self.operations[0]


def possible_slips(chain: ChainRule, known: Collection[int] = ()) -> Iterator[Slip]:
    """Yield the slips that can be made in a chain rule, the simplest first.

    known: the numbers of operations whose slips have been tried.
    """
    groups = _groups(chain)
    if not known:
        yield from _exchanged_upstreams(chain)
        yield from _forwards_in_time(chain, groups)
    yield from _in_groups(chain, groups, groups, known)
    members = [Group([o]) for group in groups if 1 < len(group.operations) <= FEW for o in group.operations]
    yield from _in_groups(chain, members, groups, known)


def _in_groups(chain: ChainRule, parts: list[Group], groups: list[Group], known: Collection[int]) -> Iterator[Slip]:
    """Yield the slips that can be made at some places.

    parts: the operations at each of them.
    groups: those at all places.
    """
    first = {operation: group.first.number for group in groups for operation in group.operations}
    parts = [group for group in parts if group.first.number not in known]
    carried = {id(group): {k for k in _places(chain, group) if _is_carried(group, k, first)} for group in parts}
    edges = [(group, k) for group in parts for k in _places(chain, group)]
    for group, k in edges:
        yield _left_out(group, k, k in carried[id(group)])
    if not known:
        yield from _several_left_out(chain, parts, carried)
    for group, k in edges:
        for slip in _misstated(chain, group, k):
            if k in carried[id(group)] and slip.kind in ("wrong term", "missing term"):
                slip.kind = "not carried"
            yield slip
    for group in parts:
        yield from _turned(group)
        yield from _other_way(group)
    for group, k in edges:
        yield from _other_arrays(chain, group, k, groups)
    for group, k in edges:
        yield from _other_axes(group, k)
    for group, k in edges:
        yield from _not_accumulated(group, k)
        yield from _not_put_back(group, k)


def _groups(chain: ChainRule) -> list[Group]:
    groups: dict[Any, Group] = {}
    for operation in chain.operations:
        if operation.operands:
            key = (operation.site, operation.name, len(operation.operands), operation.settings.get("part"))
            groups.setdefault(key, Group([])).operations.append(operation)
    return list(groups.values())


def _places(chain: ChainRule, group: Group) -> list[int]:
    """Return the places of the operands that something goes back to."""
    count = max(len(operation.operands) for operation in group.operations)
    return [
        k
        for k in range(count)
        if any(
            len(o.operands) > k and isinstance(o.operands[k], Operation) and o.operands[k] in chain.alive
            for o in group.operations
        )
    ]


def _is_carried(group: Group, k: int, first: dict[Operation, int]) -> bool:
    """Return whether an operand comes from the step before: from further down in the code."""
    for operation in group.operations:
        operand = operation.operands[k] if k < len(operation.operands) else None
        while isinstance(operand, Operation):
            if first.get(operand, -1) > group.first.number:
                return True
            if operand.name not in ("view", "put", "pad") or len(operand.operands) > 2:
                break
            operand = operand.operands[-1]
    return False


def _at(group: Group, k: int, make: Callable[[Operation], Rule | None]) -> Change:
    return Change({(operation, k): make(operation) for operation in group.operations})


def _left_out(group: Group, k: int, carried: bool) -> Slip:
    what = f"nothing goes back to {_operand(group, k)}"
    if carried:
        return Slip(
            "not carried", f"{what}, which comes from the step before", _at(group, k, lambda _: None), _place(group)
        )
    return Slip("missing term", what, _at(group, k, lambda _: None), _place(group))


def _misstated(chain: ChainRule, group: Group, k: int) -> Iterator[Slip]:
    """Yield slips in a statement."""
    operation = group.first
    if operation.name not in STATEMENTS:
        return
    right = statement(operation, k)
    seen = {right}
    curved = operation.name in CURVES and not _is_statistic(operation)
    parts = _parts(chain, group) if curved else []
    for wrong, kind in _variants(right, operation.name, curved):
        if wrong not in seen:
            seen.add(wrong)
            if operation.name in ("max", "min") and wrong == "dy":
                kind = "shared out"
            text = f"{wrong} goes back to {_operand(group, k)}, where {right} should"
            yield Slip(kind, text, _at(group, k, lambda _, wrong=wrong: rule(wrong)), _place(group))  # type: ignore[misc]
            for number, masks in enumerate(parts):
                change = _at(group, k, lambda o, wrong=wrong, masks=masks: _partly(rule(wrong), rule(right), masks[o]))  # type: ignore[misc]
                yield Slip(kind, f"{text}, for part {number} of its value", change, _place(group))


def _partly(wrong: Rule, right: Rule, mask: np.ndarray) -> Rule:
    return lambda values: np.where(mask, wrong(values), right(values))


def _parts(chain: ChainRule, group: Group) -> list[dict[Operation, np.ndarray]]:
    """Return the parts that forward takes of a value, such as the gates of a cell: by operation, which entries."""
    views: dict[Operation, list[Operation]] = {}
    for operation in chain.operations:
        if operation.name == "view" and len(operation.operands) == 1:
            views.setdefault(operation.operands[0], []).append(operation)

    def masks(operation: Operation) -> dict[bytes, np.ndarray]:
        found: dict[bytes, np.ndarray] = {}
        for view in views.get(operation, []):
            for inner in masks(view).values() or [np.ones(view.value.shape, bool)]:
                mask = np.zeros(operation.value.size, bool)
                mask[view.settings["places"][inner]] = True
                if not mask.all():
                    found[mask.tobytes()] = mask.reshape(operation.value.shape)
        return found

    each = {operation: list(masks(operation).values()) for operation in group.operations}
    counts = {len(found) for found in each.values()}
    if len(counts) != 1 or not 1 < counts.pop() <= MOST_PARTS:
        return []
    return [dict(zip(each, part, strict=True)) for part in zip(*each.values(), strict=True)]


def _is_statistic(operation: Operation) -> bool:
    """Return whether something is made of sums and means alone, as a standard deviation is."""
    if operation.name in ("sum", "mean", "var"):
        return True
    operands = [x for x in operation.operands if isinstance(x, Operation) and x.operands]
    pointwise = operation.name in POINTWISE or operation.name in ("view", "squeeze")
    return pointwise and bool(operands) and all(map(_is_statistic, operands))


def _variants(right: str, name: str, curved: bool) -> Iterator[tuple[str, str]]:
    """Yield changed statements, and the kind of mistake."""
    root = tree_of(right)
    factor = "elementwise slip" if curved else "partly right" if name in PIECEWISE else "wrong term"
    if name in CURVES or name in COMPOSED:
        for slope in SLOPES:
            yield slope, "elementwise slip" if curved else "missing term"
    for node in ast.walk(root):
        for other, kind in _edits(node):
            text = ast.unparse(_replaced(root, node, other))
            if "dy" in text:
                yield text, {"factor": factor, "term": "missing term"}.get(kind, factor if kind == "sign" else kind)
    for form, kind in (
        ("-({})", "wrong sign" if curved else "wrong term"),
        ("2 * ({})", "wrong term"),
        ("({}) / 2", "wrong term"),
    ):
        yield ast.unparse(tree_of(form.format(right))), kind


def _edits(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """Yield what may stand for a part of a statement by mistake, and what kind of slip that is."""
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            for kept, gone in ((left, right), (right, left)):
                if not _has_upstream(gone):
                    yield kept, "factor"
                    yield ast.BinOp(kept, ast.Mult(), ast.BinOp(gone, ast.Pow(), ast.Constant(2))), "factor"
                    yield ast.BinOp(kept, ast.Div(), gone), "factor"
                    yield ast.BinOp(kept, ast.Mult(), ast.BinOp(ast.Constant(1), ast.Sub(), gone)), "factor"
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            yield left, "factor"
            yield ast.BinOp(left, ast.Mult(), right), "factor"
            yield ast.BinOp(left, ast.Div(), ast.BinOp(right, ast.Pow(), ast.Constant(2))), "factor"
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            yield left, "term"
            yield right if isinstance(op, ast.Add) else ast.UnaryOp(ast.USub(), right), "term"
            yield ast.BinOp(left, ast.Sub() if isinstance(op, ast.Add) else ast.Add(), right), "sign"
            yield ast.BinOp(left, op, ast.BinOp(ast.Constant(2), ast.Mult(), right)), "factor"
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int(power))):
            yield left, "factor"
            yield ast.BinOp(left, ast.Pow(), ast.Constant(power + 1)), "factor"
        case ast.BinOp(left=left, op=ast.Pow()):
            yield left, "factor"
        case ast.UnaryOp(operand=operand):
            yield operand, "sign"
        case ast.Name(id="a" | "b" | "y" as symbol):
            for other in {"a", "b", "y"} - {symbol}:
                yield ast.Name(other), "exchanged"
        case ast.Attribute(value=value):
            yield value, "transposed"
        case ast.BinOp(left=left, op=ast.MatMult(), right=right):
            yield left if _has_upstream(left) else right, "factor"
            across = [ast.Attribute(x, "mT") if _has_upstream(x) else x for x in (left, right)]
            yield ast.BinOp(across[0], ast.MatMult(), across[1]), "transposed"
        case ast.Call(func=ast.Name(id="sum" | "mean" as name), args=[argument]):
            yield ast.Call(ast.Name("mean" if name == "sum" else "sum"), [argument], []), "wrong term"
            for axes in subsets_of(range(4)):
                yield ast.Call(ast.Name(name), [argument, *map(ast.Constant, axes)], []), "wrong term"
        case ast.Call(func=ast.Name(id="sin" | "cos" as name), args=[argument]):
            yield ast.Call(ast.Name("cos" if name == "sin" else "sin"), [argument], []), "factor"


def _has_upstream(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Name) and part.id == "dy" for part in ast.walk(node))


def _replaced(root: ast.expr, part: ast.AST, other: ast.expr) -> ast.expr:
    """Return a tree with another part."""

    class Replace(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return other if node is part else super().generic_visit(_shallow(node))

    return Replace().visit(root)


def _shallow(node: ast.AST) -> ast.AST:
    """Return a copy of a node, so that trees can be shared."""
    new = copy.copy(node)
    for name, value in ast.iter_fields(node):
        if isinstance(value, list):
            setattr(new, name, list(value))
    return new


def _several_left_out(chain: ChainRule, groups: list[Group], carried: dict[int, set[int]]) -> Iterator[Slip]:
    """Yield slips of several paths at once: all that are carried, or some uses of one value."""
    all_carried = [(group, k) for group in groups for k in carried[id(group)]]
    if len(all_carried) > 1:
        change = Change({(o, k): None for group, k in all_carried for o in group.operations})
        yield Slip("not carried", "nothing goes back to the step before", change)
    for value, places in _uses(chain, groups).items():
        if not 1 < len(places) <= SPLIT:
            continue
        for count in range(1, len(places)):
            for some in itertools.combinations(places, count):
                inner = [place for place in some if place is not None]
                if count == 1 and inner:
                    continue  # one path alone is left out above
                change = Change(
                    {(o, k): None for group, k in inner for o in group.operations},
                    silent=value.operations if None in some else (),
                )
                words = [f"{_place(group)} to {_operand(group, k)}" for group, k in inner]
                words += ["the upstream gradient itself"] if None in some else []
                kind = "not carried" if all(k in carried[id(group)] for group, k in inner) else "missing term"
                back_to = " and from ".join(dict.fromkeys(words))
                yield Slip(
                    kind, f"of all that comes back to its value, nothing comes from {back_to}", change, _place(value)
                )


def _uses(chain: ChainRule, groups: list[Group]) -> dict[Group, list[tuple[Group, int] | None]]:
    """Return where the values of each place in the code are used, and None where they are outputs."""
    owner = {operation: group for group in groups for operation in group.operations}
    outputs = {operation for operation, _ in chain.outputs}
    leaves = {leaf: Group([leaf]) for leaf in chain.leaves.values()}
    uses: dict[int, tuple[Group, list[tuple[Group, int] | None]]] = {}
    for group in groups:
        if outputs & set(group.operations):
            uses.setdefault(id(group), (group, []))[1].append(None)
        for k in _places(chain, group):
            operands = [o.operands[k] for o in group.operations if isinstance(o.operands[k], Operation)]
            for source in {id(each): each for x in operands if (each := owner.get(x) or leaves.get(x))}.values():
                uses.setdefault(id(source), (source, []))[1].append((group, k))
    return dict(uses.values())


def _forwards_in_time(chain: ChainRule, groups: list[Group]) -> Iterator[Slip]:
    """Yield the slip of a loop that goes back through its steps in the order of forward."""
    first = {operation: group.first.number for group in groups for operation in group.operations}
    owner = {operation: group for group in groups for operation in group.operations}
    carried = [(group, k) for group in groups for k in _places(chain, group) if _is_carried(group, k, first)]
    if not carried:
        return
    count = max(len(group.operations) for group, _ in carried)
    loop = [group for group in groups if len(group.operations) in (count, count - 1) and count > 2]
    starts = next((group.operations for group in loop if len(group.operations) == count), [])
    steps: list[list[Operation]] = [[] for _ in starts]
    for group in loop:
        for operation in group.operations:
            steps[bisect.bisect([start.number for start in starts], operation.number) - 1].append(operation)
    inside = {operation for step in steps for operation in step}
    to: dict[tuple[Operation, int], Operation | None] = {}
    for group, k in carried:
        producer = next((owner[x] for o in group.operations if (x := o.operands[k]) in owner), None)
        if producer is None or len(producer.operations) != count or len(group.operations) != count:
            return
        to |= {(o, k): after for o, after in zip(group.operations, [*producer.operations[1:], None], strict=True)}
    end = max((operation.number for operation in inside), default=0)
    rest = [operation for operation in chain.operations[::-1] if operation not in inside]
    order = [operation for operation in rest if operation.number > end]
    order += [operation for step in steps for operation in sorted(step, key=lambda o: -o.number)]
    order += [operation for operation in rest if operation.number < end]
    text = "backward goes through the steps of the loop in the order of forward, not from the last to the first"
    yield Slip("not carried", text, Change(to=to, order=order), f"the loop that begins with {_place(Group(starts))}")


def _turned(group: Group) -> Iterator[Slip]:
    """Yield slips in the sign or size of all that reaches some value."""
    for factor, what, kind in ((-1.0, "has the wrong sign", "wrong sign"), (2.0, "counts twice", "wrong term")):
        change = Change(
            {
                (operation, k): _scaled(operation, k, factor)
                for operation in group.operations
                for k in range(len(operation.operands))
            }
        )
        yield Slip(kind, f"the gradient of its value {what}", change, _place(group))


def _scaled(operation: Operation, k: int, factor: float) -> Rule:
    return lambda values: _masked(back(operation, k, values), factor)


def _masked(gradient: Any, by: Any) -> Any:
    return None if gradient is None else gradient * by


def _with(operation: Operation, k: int, symbol: str, make: Callable[[Values], Any]) -> Rule:
    """Return what goes back where one symbol has another value."""
    return lambda values: back(operation, k, values | {symbol: make(values)})


def _other_arrays(chain: ChainRule, group: Group, k: int, groups: list[Group]) -> Iterator[Slip]:
    """Yield slips of products: an operand transposed or reversed, or another array in its place."""
    operation = group.first
    if operation.name not in ("matmul", "einsum", "multiply", "divide") or len(operation.operands) != 2:
        return
    symbol, other = "ab"[1 - k], _operand(group, 1 - k)
    shape = np.shape(chain.values[operation][symbol])
    for i, j in itertools.combinations(range(len(shape)), 2) if operation.name in ("matmul", "einsum") else ():
        if shape[i] == shape[j]:
            text = f"{other} is used with its axes {i} and {j} exchanged on the way back to {_operand(group, k)}"
            change = _at(group, k, lambda o, i=i, j=j: _with(o, k, symbol, lambda v: v[symbol].swapaxes(i, j)))  # type: ignore[misc]
            yield Slip("transposed", text, change, _place(group))
    for axes in subsets_of(range(max(0, len(shape) - 2), len(shape))) if operation.name in ("matmul", "einsum") else ():
        if size_along(shape, axes) > 1:
            text = f"{other} is used in reverse along its axes {axes} on the way back to {_operand(group, k)}"
            change = _at(group, k, lambda o, axes=axes: _with(o, k, symbol, lambda v: np.flip(v[symbol], axes)))  # type: ignore[misc]
            yield Slip("reordered", text, change, _place(group))
    for j in range(2):
        before = {o: _value_before(o.operands[1 - k], j, shape) for o in group.operations}
        if all(value is not None for value in before.values()):
            text = f"what {other} was made of is used in its place on the way back to {_operand(group, k)}"
            change = _at(group, k, lambda o, before=before: _with(o, k, symbol, lambda v: before[o]))  # type: ignore[misc]
            yield Slip("wrong term", text, change, _place(group))
    count = len(group.operations)
    for name, leaf in chain.leaves.items():
        if leaf.value.shape == shape and leaf is not operation.operands[1 - k]:
            text = f"{name} is used for {other} on the way back to {_operand(group, k)}"
            change = _at(group, k, lambda o, x=leaf.value: _with(o, k, symbol, lambda v: x))  # type: ignore[misc]
            yield Slip("exchanged", text, change, _place(group))
    if count > 1:
        start = chain.values[operation][symbol]
        change = _at(group, k, lambda o: _with(o, k, symbol, lambda v: start))
        text = f"{other} of the first step is used in all steps on the way back to {_operand(group, k)}"
        yield Slip("exchanged", text, change, _place(group))
    for source, turn in itertools.product(groups, (False, True)):
        value = source.first.value.mT if turn and source.first.value.ndim > 1 else source.first.value
        if source is group or value.shape != shape or len(source.operations) != count or (turn and len(shape) < 2):
            continue
        if turn:
            pairs = dict(zip(group.operations, source.operations, strict=True))
            text = f"the value of {_place(source)}, transposed, is used in the place of {other}"
            change = _at(group, k, lambda o, pairs=pairs: _with(o, k, symbol, lambda v: pairs[o].value.mT))  # type: ignore[misc]
            yield Slip("exchanged", f"{text} on the way back to {_operand(group, k)}", change, _place(group))
            continue
        pairs = dict(zip(group.operations, source.operations, strict=True))
        if all(pairs[o] is o.operands[1 - k] for o in group.operations):
            continue
        late = any(pairs[a] is b.operands[1 - k] for a, b in itertools.pairwise(group.operations))
        kind, what = ("shifted", "a step late") if late else ("exchanged", f"in the place of {other}")
        text = f"the value of {_place(source)} is used, {what}, on the way back to {_operand(group, k)}"
        change = _at(group, k, lambda o, pairs=pairs: _with(o, k, symbol, lambda v: pairs[o].value))  # type: ignore[misc]
        yield Slip(kind, text, change, _place(group))


def _value_before(operand: Any, j: int, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return the value of an operand of an operand, if it has its shape."""
    if not isinstance(operand, Operation) or len(operand.operands) <= j:
        return None
    x = operand.operands[j]
    value = x.value if isinstance(x, Operation) else np.asanyarray(x)
    return value if value.shape == shape else None


def _other_axes(group: Group, k: int) -> Iterator[Slip]:
    """Yield slips of a sum or mean that is taken to run over other axes."""
    operation = group.first
    if operation.name in COMPOSED and "axes" in operation.settings:
        for others in subsets_of(range(operation.value.ndim)):
            text = f"its sums and means run over axes {others} on the way back, for {operation.settings['axes']}"
            change = _at(group, k, lambda o, others=others: _with(o, k, "axes", lambda _: others))  # type: ignore[misc]
            fewer = set(others) < set(operation.settings["axes"])
            yield Slip("missing term" if fewer else "wrong term", text, change, _place(group))
    if operation.name not in ("sum", "mean", "var"):
        return
    shape, axes = operation.operands[0].value.shape, operation.settings["axes"]
    for others in subsets_of(range(len(shape))):
        if others != axes:
            size = size_along(shape, others)
            kept = tuple(1 if axis in others else length for axis, length in enumerate(shape))
            change = Change(
                {(o, k): _with(o, k, "n", lambda v, size=size: size) for o in group.operations},  # type: ignore[misc]
                dict.fromkeys(group.operations, kept),
            )
            yield Slip("wrong term", f"the way back runs over axes {others} for {axes}", change, _place(group))


def _not_put_back(group: Group, k: int) -> Iterator[Slip]:
    """Yield the slip of a transpose that is gone back through by a reshape."""
    operation = group.first
    if (
        operation.name == "view"
        and len(operation.operands) == 1
        and operation.value.size == operation.operands[0].value.size
    ):
        change = _at(group, k, lambda o: lambda values: values["dy"].reshape(o.operands[k].value.shape))
        text = (
            "the gradient keeps its order, where its entries should go back to their places: a reshape for a transpose"
        )
        yield Slip("reordered", text, change, _place(group))


def _other_way(group: Group) -> Iterator[Slip]:
    """Yield the slip of a condition that is turned round."""
    if group.first.name in PIECEWISE:
        change = Change({(o, k): _other_side(o, k) for o in group.operations for k in range(2)})
        yield Slip("elementwise slip", "its condition is the other way round on the way back", change, _place(group))


def _other_side(operation: Operation, k: int) -> Rule:
    """Return what goes back to one operand as it should to the other."""
    return rule(statement(operation, 1 - k))


def _not_accumulated(group: Group, k: int) -> Iterator[Slip]:
    """Yield slips of entries that are taken to several places, of which the last or the first alone counts."""
    if group.first.name not in ("view", "pad"):
        return
    if len(group.operations) == 1:
        change = _at(group, k, lambda o: lambda values: scattered(o, k, values["dy"], last=True))
        yield Slip("not accumulated", f"of several places that an entry is taken to, {LOST}", change, _place(group))
    source = group.first.operands[k]
    if len(group.operations) == 1 or any(o.operands[k] is not source for o in group.operations):
        return
    for operations in (group.operations[::-1], group.operations):
        taken = np.zeros(source.value.size, bool)
        free: dict[Operation, np.ndarray] = {}
        for operation in operations:
            free[operation] = ~taken.reshape(source.value.shape)
            taken[operation.settings["places"]] = True
        if taken.any() and not all(mask.all() for mask in free.values()):
            change = _at(group, k, lambda o, free=free: lambda values: _masked(back(o, k, values), free[o]))  # type: ignore[misc]
            yield Slip("not accumulated", f"of parts that overlap, {LOST}", change, _place(group))


LOST = "one alone counts, as where the gradient is written (=) and should be added (+=)"


def _exchanged_upstreams(chain: ChainRule) -> Iterator[Slip]:
    """Yield slips by which the upstream gradient of one output goes through another."""
    for i, k in itertools.permutations(range(len(chain.outputs)), 2):
        (one, size), (other, length) = chain.outputs[i], chain.outputs[k]
        if one is not None and other is not None and size == length and one.value.shape == other.value.shape:
            seeds = tuple(k if place == i else place for place in range(len(chain.outputs)))
            text = f"the upstream gradient of output {i} goes back through output {k}"
            yield Slip("wrong term", text, RIGHT, seeds=seeds)


# ---- words


def _place(group: Group) -> str:
    """Return the author's expression, or what NumPy calls the operation."""
    operation = group.first
    text, line = _source(operation)
    if not text:
        return f"{operation.name} of shape {operation.value.shape}"
    caller, called = _source(operation, 1)
    place = f"{f'the {operation.name} that ends in ' if operation.name in COMPOSED else ''}`{text}` in line {line}"
    return f"{place}, for `{caller}` in line {called}" if caller else place


def _source(operation: Operation, depth: int = 0) -> tuple[str, int]:
    """Return the text of the expression that made an operation, and its line; none where the text is not known.

    depth: 0 for the expression itself, 1 for the call of the function that it stands in.
    """
    if len(operation.site) <= depth:
        return "", 0
    code, last = operation.site[depth]
    start, end, left, right = next(itertools.islice(code.co_positions(), last // 2, None), (None,) * 4)
    if start is None or start != end or left is None:
        return "", 0
    line = linecache.getline(code.co_filename, start).encode()
    return line[left:right].decode(errors="replace").strip(), start


def _operand(group: Group, k: int) -> str:
    """Return what an operand is called."""
    if group.first.name in COMPOSED:
        return "what it is taken of"
    text, _ = _source(group.first)
    with contextlib.suppress(SyntaxError, IndexError):
        match ast.parse(text, mode="eval").body if text else None:
            case ast.BinOp(left=left, right=right):
                return f"{'ab'[k]} = {ast.unparse((left, right)[k])}"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="np" | "numpy")), args=args):
                return f"{'ab'[k]} = {ast.unparse(args[k])}"
            case ast.Call(func=ast.Attribute(value=value)) if k == 0:
                return f"a = {ast.unparse(value)}"
    return "ab"[k] if k < 2 else f"operand {k}"


LEGEND = " (y is its value and dy the gradient of y)"


def told(explanation: Explanation) -> str:
    """Return sentences on a slip."""
    slip = explanation.slip
    legend = LEGEND if "dy" in slip.text.split() or "y" in slip.text.split() else ""
    all_ = " That explains all that is wrong, and leaves right what is right." if explanation.complete else ""
    at = f"at {slip.place}{legend}, " if slip.place else ""
    return (
        f"A backward that goes through forward step by step and makes one slip gives just this: {at}{slip.text}.{all_}"
    )
