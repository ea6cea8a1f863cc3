"""The slips that people make in a chain rule, one after another, the simplest first.

A path, a factor or a term is left out or there twice, a sign is turned, a matrix is not transposed, one array is taken
for another, a mean runs over another axis, a step of a loop is forgotten. Each changes what goes back at one place in
the author's code, at all operations that this place has made.
"""

from __future__ import annotations

import ast
import bisect
import contextlib
import copy
import functools
import itertools
import linecache
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np

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
from .operations import ELEMENTWISE, Operation, size_along, subsets_of

FEW = 4  # operations that one place in the code makes are looked at one by one up to so many
MOST_PARTS = 6  # of a value are looked at one by one
SHORT = 300  # operations of a forward in which each two products are looked at
SPLIT = 4  # uses of one value are left out in every combination up to so many

# What the derivative of a function of one number is mistaken for.
SLOPES = (
    *("dy", "dy * y", "dy * (1 - y)", "dy * y * (1 - y)", "dy * (1 - y**2)", "dy * a", "dy * (1 - a**2)"),
    *("dy * a * (1 - a)", "dy * (1 - a)", "dy / a", "dy * 1 / y", "dy * y**2", "dy * exp(a)", "dy * (a > 0)"),
    *("dy * (1 - tanh(y)**2)", "dy * (sigmoid(y) * (1 - sigmoid(y)))"),
)
CURVES = ("exp", "expm1", "log", "log1p", "sqrt", "square", "power", "tanh", "sin", "cos", "absolute", "sigmoid")

PIECEWISE = ("where", "maximum", "minimum")
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
    whole = parts is groups
    parts = [group for group in parts if group.first.number not in known]
    carried = {id(group): {k for k in _places(chain, group) if _is_carried(group, k, first)} for group in parts}
    edges = [(group, k) for group in parts for k in _places(chain, group)]
    for group, k in edges:
        yield _left_out(group, k, k in carried[id(group)])
    if not known:
        yield from _several_left_out(chain, parts, carried)
    if whole and len(chain.operations) <= SHORT:
        yield from _exchanged(chain, edges)
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


def _exchanged(chain: ChainRule, edges: list[tuple[Group, int]]) -> Iterator[Slip]:
    """Yield slips by which what two products give back goes each to the other's operand, such as two gates."""
    products = [(group, k) for group, k in edges if group.first.name == "multiply"]
    for (one, i), (other, k) in itertools.combinations(products, 2):
        x, y = one.first.operands[i], other.first.operands[k]
        of_each_other = any(y is z for z in x.operands) or any(x is z for z in y.operands)  # z and 1 - z: a sign
        if len(one.operations) != len(other.operations) or one is other or of_each_other:
            continue
        to: dict[tuple[Operation, int], Operation | None] = {}
        later: dict[Operation, Operation] = {}  # what is gone back through after another operation than usual
        for o, p in zip(one.operations, other.operations, strict=True):
            to |= {(o, i): p.operands[k], (p, k): o.operands[i]}
            if isinstance(late := p.operands[k], Operation) and late.number > o.number:
                later[o] = late
        order, moved = list[Operation](), set(later.values())
        for operation in reversed(chain.operations) if later else ():
            order += [operation] if operation not in moved else []
            order += [later[operation]] if operation in later else []
        if x.value.shape == y.value.shape:
            text = (
                f"what goes back to {_operand(one, i)} and, from {_place(other)}, to {_operand(other, k)}, is exchanged"
            )
            yield Slip("exchanged", text, Change(to=to, order=order), _place(one))


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
    return _expression(*operation.site[depth]) if depth < len(operation.site) else ("", 0)


@functools.lru_cache(1024)
def _expression(code: CodeType, last: int) -> tuple[str, int]:
    """Return the text of an expression, and its line, by the instruction that it ends in."""
    start, end, left, right = next(itertools.islice(code.co_positions(), last // 2, None), (None,) * 4)
    if start is None or start != end or left is None:
        return "", 0
    line = linecache.getline(code.co_filename, start).encode()
    return line[left:right].decode(errors="replace").strip(), start


def _operand(group: Group, k: int) -> str:
    """Return what an operand is called."""
    if group.first.name in COMPOSED:
        return "what it is taken of"
    letter = "ab"[k] if k < 2 else f"operand {k}"
    named = _operands(_source(group.first)[0])
    return f"{letter} = {named[k]}" if k < len(named) else letter


@functools.lru_cache(1024)
def _operands(expression: str) -> tuple[str, ...]:
    """Return the texts of the operands of an expression; none where there is no telling."""
    with contextlib.suppress(SyntaxError):
        match ast.parse(expression, mode="eval").body if expression else None:
            case ast.BinOp(left=left, right=right):
                return ast.unparse(left), ast.unparse(right)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="np" | "numpy")), args=args):
                return tuple(map(ast.unparse, args))
            case ast.Call(func=ast.Attribute(value=value)):
                return (ast.unparse(value),)
    return ()
