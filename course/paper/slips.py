"""What is wrong with one gradient, in a sentence that says where to look next, and not what to write.

The value is held against what usual slips make of the measured gradient, at several points. What that does not explain
is looked for in the line itself: which small change of it would make it right.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np

from nn.mathematics.program import EquationError
from nn.mathematics.trees import names_in, nodes, rewritten

from .answers import outer, values_in
from .measured import Measured, Point, agree

RATIO = 1e-5  # to which a ratio is the same everywhere


class Case(NamedTuple):
    """A wrong gradient: whose it is, what the line gives, and what is measured, at a point."""

    measured: Measured
    symbol: str
    value: np.ndarray
    gradient: np.ndarray
    point: Point

    @property
    def name(self) -> str:
        """The node's name."""
        return outer(self.symbol)

    def users(self) -> list[str]:
        """Return the nodes that are computed from it directly."""
        return [line.names[0] for line in self.point.lines if self.symbol in values_in(line.value)]

    def like(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the nodes of its shape with their values, those that the forward pass computes before the inputs."""
        stated = [line.names[0] for line in reversed(self.point.lines)]
        for name in dict.fromkeys([*stated, *self.point.values]):
            value = self.point.values[name]
            if self.point.is_node(name) and np.shape(value) == self.gradient.shape and np.ndim(value):
                yield name, np.asarray(value, float)


def verdict(measured: Measured, symbol: str, tree: ast.expr, stated: Collection[str] = ()) -> str:
    """Return what is wrong with a line for a gradient; nothing if it is right.

    Args:
        measured: the forward pass.
        symbol: what J is differentiated by.
        tree: the line's right side.
        stated: the symbols whose gradients are stated before. Those of the nodes that it leads to are known anyway.
    """
    used = {name[1:] for name in measured.names(tree) if name[0] == "d" and len(name) > 1}
    if symbol in used:
        return f"dJ/d{outer(symbol)} stands on its own right side"
    if unknown := sorted((used & {*measured.points[0].values}) - measured.led_to(symbol) - {*stated}):
        return (
            f"dJ/d{outer(unknown[0])} is not known here: {outer(symbol)} does not lead to {outer(unknown[0])}, and no "
            f"line before states it"
        )
    if measured.is_right(tree, symbol):
        return ""
    cases = []
    for point in measured.points:
        try:
            value = np.asarray(measured.computed(tree, symbol, point), float)
        except EquationError as error:
            return _not_computed(measured, symbol, tree, str(error))
        except (TypeError, ValueError):
            return "it is no array of numbers"
        if not np.isfinite(value).all():
            return "it has entries that are not finite"
        cases.append(Case(measured, symbol, value, point.by(symbol), point))
    with np.errstate(all="ignore"):
        if text := _of_shape(cases):
            repair = "" if "." in text else _repaired(measured, symbol, tree)
            return f"{text}. {repair[0].upper()}{repair[1:]}" if repair else text
        if text := _of_zero(cases) or _multiple(cases):
            return text
        for slips in (_ways, _upstream, _others, _masks, _factors):
            found = [dict(slips(case)) for case in cases]
            for text in found[0]:
                if all(each.get(text, False) for each in found):
                    return text
        return _repaired(measured, symbol, tree) or _entry(cases)


def factor(value: np.ndarray, of: np.ndarray) -> float | None:
    """Return c where a value is c times another array, and c is not zero; None where there is no such number.

    Example:
        >>> factor(np.array([2.0, 4.0]), np.array([1.0, 2.0]))
        2.0
    """
    if value.shape != of.shape or not of.any() or not value.any():
        return None
    c = float(np.vdot(value, of) / np.vdot(of, of))
    return c if np.abs(value - c * of).max() <= RATIO * np.abs(value).max() else None


def _title(name: str) -> str:
    """Return what to call a node or a gradient."""
    return f"dJ/d{outer(name[1:])}" if name[0] == "d" else outer(name)


def _same(value: np.ndarray, expected: np.ndarray) -> bool:
    return agree(value, expected, RATIO)


# ---- what the values are


def _of_shape(cases: list[Case]) -> str:
    """Say what is wrong with a shape."""
    case = cases[0]
    measured, value, gradient = case.measured, case.value, case.gradient
    if value.shape == gradient.shape:
        return ""
    text = (
        f"it has shape {value.shape}, and {case.name} has {gradient.shape}: a gradient has the shape of what it is by"
    )
    if factor(value.T, gradient) is not None:
        return f"{text}. The numbers stand transposed"
    if value.size == gradient.size and factor(value.reshape(gradient.shape), gradient) is not None:
        return f"{text}. The numbers are right: keep the axes"
    for axis in range(value.ndim):
        over = " of the samples" if measured.layout.of_batch and value.shape[axis] == measured.samples else ""
        if any(factor(value.sum(axis, keepdims=keepdims), gradient) is not None for keepdims in (True, False)):
            return f"{text}. The sum over axis {axis}{over} is missing"
    for axes in (None, *range(gradient.ndim)):
        if any(
            factor(value, np.asarray(gradient.sum(axes, keepdims=keepdims))) is not None for keepdims in (True, False)
        ):
            over = "all entries" if axes is None else f"axis {axes}"
            return f"{text}. It is summed over {over}, where that is not meant"
    return text


def _of_zero(cases: list[Case]) -> str:
    if not any(case.gradient.any() for case in cases):
        return f"J does not change with {cases[0].name}"
    return "" if any(case.value.any() for case in cases) else "it is zero everywhere"


def _multiple(cases: list[Case]) -> str:
    """Say of which multiple of the gradient the values are."""
    c = factor(cases[0].value, cases[0].gradient)
    if c is None or not all(_same(case.value, c * case.gradient) for case in cases):
        return ""
    if abs(c + 1) < RATIO:
        return "the sign is wrong"
    known = {2.0: "twice", 0.5: "half", -2.0: "minus twice", -0.5: "minus half"}
    if (samples := cases[0].measured.samples) > 1:
        known |= {float(samples): "N times", 1 / samples: "1/N times"}
    text = next((word for number, word in known.items() if abs(c - number) < RATIO), f"{c:.4g} times")
    return f"it is {text} the gradient: a factor is wrong"


Slips = Iterator[tuple[str, bool]]  # what is wrong, and whether the values at a point are so


def _ways(case: Case) -> Slips:
    """Yield slips where a node is used several times."""
    users = case.users()
    if len(users) < 2:
        return
    for user in users:
        by_one = case.point.gradient(case.symbol, only=user)
        used = f"{case.name} is used for {' and '.join(map(outer, users))}"
        yield f"{used}, and only the way over {outer(user)} is counted: the ways add up", _same(case.value, by_one)
        text = f"{used}, and the way over {outer(user)} is missing: the ways add up"
        yield text, _same(case.value, case.gradient - by_one)


def _upstream(case: Case) -> Slips:
    """Yield slips with the gradient that comes in, and with the derivative of a function that works entry by entry."""
    value, gradient = case.value, case.gradient
    for user in case.users():
        upstream = case.point.by(user)
        if upstream.shape != gradient.shape:
            continue
        name = f"dJ/d{outer(user)}"
        text = f"that is {name} as it came: the derivative of what makes {outer(user)} of {case.name} is missing"
        yield text, _same(value, upstream)
        missing = not _same(value, gradient) and _same(value * upstream, gradient)
        yield f"{name} is missing: by the chain rule, it is a factor", missing
        if user != case.point.loss:
            for other, node in case.like():
                text = (
                    f"{name} is multiplied by {outer(other)}, where the derivative of what makes {outer(user)} is meant"
                )
                yield text, _same(value, upstream * node)


def _others(case: Case) -> Slips:
    for name, node in case.like():
        by = case.point.by(name)
        if name != case.symbol:
            text = f"that is the gradient by {outer(name)}, and not by {case.name}"
            yield text, _same(case.value, by) and not _same(case.gradient, by)
        yield f"that is {outer(name)} itself, and no gradient", _same(case.value, node)


def _masks(case: Case) -> Slips:
    value, gradient = case.value, case.gradient
    for name, node in case.like():
        above = node > 0
        alone = _same(value, np.where(above, value, 0))
        what = f"where {outer(name)} is not above 0"
        yield f"{what}, it should be zero: a mask is missing", not alone and _same(value * above, gradient)
        yield f"{what}, it is zero, and the gradient is not: a mask too many", _same(value, gradient * above)
    turned = bool(value.any()) and not (gradient * value).any()
    yield "it is zero where the gradient is not, and not where it is: is the mask the wrong way round?", turned


def _factors(case: Case) -> Slips:
    yield "it is squared, entry by entry", factor(case.value, case.gradient**2) is not None
    for name, node in case.like():
        for other, array in ((name, node), (f"d{name}", case.point.by(name))):
            text = f"it has a factor {_title(other)} too many"
            yield text, _same(case.value, case.gradient * array) and not _same(case.value, case.gradient)


def _entry(cases: list[Case]) -> str:
    """Say where the values are off the most."""
    case = max(cases, key=lambda each: float(np.abs(each.value - each.gradient).max()))
    place = np.unravel_index(np.abs(case.value - case.gradient).argmax(), case.gradient.shape)
    where = f"its entry [{', '.join(str(int(k)) for k in place)}]" if place else "it"
    numbers = f"{where} is {case.value[place]:.4g}, and J moves at a rate of {case.gradient[place]:.4g}"
    return f"the shape is right and the numbers are not: at one point, {numbers}"


# ---- what the line is


def _not_computed(measured: Measured, symbol: str, tree: ast.expr, reason: str) -> str:
    """Say which part of a line cannot be computed."""
    point = measured.points[0]
    known = {*point.values, *(f"d{name}" for name in point.values), *(h.names[0] for h in measured.hand_in.helpers)}
    if missing := sorted(names_in(tree) - known - {"inf"}):
        return f"there is no {outer(missing[0])}"
    for node in reversed(list(nodes(tree))):  # the innermost comes first
        if isinstance(node, ast.BinOp):
            try:
                left, right = (np.shape(measured.computed(side, symbol, point)) for side in (node.left, node.right))
                measured.computed(ast.BinOp(node.left, ast.Mult(), ast.Constant(0)), symbol, point)
            except EquationError:
                continue
            try:
                measured.computed(node, symbol, point)
            except EquationError:
                what = f"{shown(node)} cannot be computed: shapes {left} and {right} do not fit"
                repair = _repaired(measured, symbol, tree)
                return f"{what}. {repair[0].upper()}{repair[1:]}" if repair else what
    return f"it cannot be computed: {reason.rpartition(': ')[2]}"


def shown(tree: ast.expr) -> str:
    """Return a tree as the student would write it.

    Example:
        >>> shown(ast.parse("dz3 @ a2.T", mode="eval").body)
        'dz3 @ a2.T'
    """
    return ast.unparse(rewritten(tree, lambda node: ast.Name(outer(node.id)) if isinstance(node, ast.Name) else None))


def _repaired(measured: Measured, symbol: str, tree: ast.expr) -> str:
    """Say which small change of a line would make it right, without the change; nothing if there is none."""
    for part, others, text in _changes(measured, symbol, tree):
        for other in others:
            changed = rewritten(tree, {part: other}.get)
            try:
                value = np.asarray(measured.computed(changed, symbol, measured.points[0]), float)
            except (EquationError, TypeError, ValueError):
                continue
            if agree(value, measured.points[0].by(symbol)) and measured.is_right(changed, symbol):
                return text
    return ""


def _changes(measured: Measured, symbol: str, tree: ast.expr) -> Iterator[tuple[ast.expr, list[ast.expr], str]]:
    """Yield parts of a line with what might stand in their places, and what to say if one of that is right."""
    for node in nodes(tree):
        match node:
            case ast.BinOp(left=left, op=ast.MatMult(), right=right):
                orders = _products(left, right)
                yield node, orders, f"look at the order of the factors in {shown(node)}, and at what is transposed"
                yield node, [ast.BinOp(left, ast.Mult(), right)], f"in {shown(node)}, @ stands for *"
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                text = f"in {shown(node)}, * multiplies entry by entry, and a product of matrices is meant"
                yield node, _products(left, right), text
            case ast.Compare(left=left, comparators=[right]):
                turned: list[ast.expr] = [ast.Compare(left, [op()], [right]) for op in (ast.Gt, ast.Lt)]
                yield node, [*turned, left], f"look at the comparison {shown(node)}"
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
                sign = ast.Sub() if isinstance(op, ast.Add) else ast.Add()
                yield node, [ast.BinOp(left, sign, right)], f"look at the sign in {shown(node)}"
                yield node, [left, right], f"in {shown(node)}, one term is too many"
            case ast.BinOp(left=left, op=ast.Pow()):
                yield node, [left], f"look at the power in {shown(node)}"
            case ast.Call(func=ast.Attribute(value=value, attr="sum" | "mean" | "max" as name)):
                yield node, _reductions(value, name), f"look at the axis in {shown(node)}, and at keepdims"
                yield node, [value], f"nothing is to be reduced in {shown(node)}"
            case ast.Attribute(value=value, attr="T"):
                yield node, [value], f"look at what is transposed in {shown(node)}"
    point = measured.points[0]
    names = [name for name in point.values if point.is_node(name)]
    for node in nodes(tree):
        if isinstance(node, ast.Name):
            known = [name for each in names for name in (each, f"d{each}") if name not in (node.id, f"d{symbol}")]
            others = [ast.Name(name) for name in known]
            yield node, list(others), f"another node belongs in the place of {_title(node.id)}"
    masks = [ast.Compare(ast.Name(name), [ast.Gt()], [ast.Constant(0)]) for name in names]
    yield tree, [ast.BinOp(tree, ast.Mult(), mask) for mask in masks], "a mask is missing"


def _products(a: ast.expr, b: ast.expr) -> list[ast.expr]:
    """Return the products of two matrices, in either order, with each of them as it is or transposed."""
    found: list[ast.expr] = []
    for left, right in ((a, b), (b, a)):
        for x in (left, _turned(left)):
            found += [ast.BinOp(x, ast.MatMult(), y) for y in (right, _turned(right))]
    return found


def _reductions(value: ast.expr, name: str) -> list[ast.expr]:
    """Return the sums of an array, or whatever is meant, over either axis and over all."""
    func = ast.Attribute(value, name, ast.Load())
    kept = [ast.keyword("keepdims", ast.Constant(True))]
    axes: list[list[ast.expr]] = [[], [ast.Constant(0)], [ast.Constant(1)]]
    return [ast.Call(func, axis, keep) for axis in axes for keep in ([], kept)]


def _turned(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Attribute) and node.attr == "T" else ast.Attribute(node, "T", ast.Load())
