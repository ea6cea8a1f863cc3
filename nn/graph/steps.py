"""The steps of a derivation: each value's formula, each gradient's rule, and the checks of both, from a traced graph.

What a module states about itself, in `equations`, is written with the graph's nodes in the place of its symbols, and
evaluated on their values.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..checking import typical
from .formula import CallStatement, Formula, equation, written
from .maps import Window
from .node import Call, Node
from .replay import FLOOR, TOLERANCE, Difference, Replay

LOOSE = 1e-3  # the tolerance for float32 against central differences in float64


class Step(NamedTuple):
    """A value or a gradient: how it is found, what it is, and whether that is right.

    Attributes:
        node: whose.
        is_gradient: whether it is about the node's gradient, not its value.
        value: the array, as it is shown.
        formula: the equation; None where nothing is stated.
        shapes: the same equation with shapes in the place of arrays.
        where: equations of the further symbols in it.
        remark: what else is to be said.
        error: how far what the formula gives deviates, relative to the largest entry; None where nothing is stated.
        difference: the comparison of a gradient with central differences.
        right: whether all is within tolerance.
        windows: of what one entry of a value of maps is made.
    """

    node: Node
    is_gradient: bool
    value: np.ndarray
    formula: Formula | None = None
    shapes: Formula | None = None
    where: Sequence[Formula] = ()
    remark: str = ""
    error: float | None = None
    difference: Difference | None = None
    right: bool = True
    windows: Sequence[Window] = ()


class Steps:
    """All steps of a graph.

    Args:
        nodes: of the graph, with gradients.
        calls: of the graph.
    """

    def __init__(self, nodes: Sequence[Node], calls: Sequence[Call]) -> None:
        self.nodes = nodes
        self.calls = calls
        self.replay = Replay(list(nodes), list(calls))
        eps = max(np.finfo(node.value.dtype).eps for node in nodes if node.value.dtype.kind == "f")
        self.tolerance = float(eps) ** 0.5
        self.loose = TOLERANCE if eps <= np.finfo(np.float64).eps else LOOSE
        self.statements = {call: CallStatement(call) for call in calls}

    def values(self) -> list[Step]:
        """Return how each value is computed, from the data to the loss."""
        return [self._value(node) for node in self.nodes]

    def gradients(self) -> list[Step]:
        """Return the rule of each gradient, from the loss back to the data."""
        return [self._gradient(node) for node in reversed(self.nodes)]

    def _value(self, node: Node) -> Step:
        step = Step(node, False, node.shown(node.value), windows=self.replay.windows(node))
        if node.call is None:
            return step
        statement = self.statements[node.call]
        symbol = statement.results.get(node, "")
        if not statement.states(symbol):
            return step._replace(remark=statement.fault or statement.remark, right=not statement.fault)
        formula, shapes, where = written(node.symbol(), step.value, [(statement, symbol)])
        step = step._replace(formula=formula, shapes=shapes, where=where, remark=statement.fault)
        return self._compared(step, statement.values.get(symbol))

    def _gradient(self, node: Node) -> Step:
        if node.grad is None:
            remark = "given, no gradient is asked for" if node.kind == "target" else "whole numbers have no gradient"
            return Step(node, True, node.shown(node.value), remark=remark)
        difference = self.replay.compare(node)
        step = Step(node, True, node.shown(node.grad), difference=difference, right=difference.error <= self.loose)
        left = node.symbol(gradient=True)
        if node is self.nodes[-1]:
            return step._replace(formula=equation(left, ast.Constant(1)))
        if not node.terms:
            return step._replace(formula=equation(left, ast.Constant(0)), remark="J does not depend on it")
        statements = [self.statements[term.call] for term in node.terms]
        terms = [(s, f"d{s.slots.get(term.slot, '')}") for s, term in zip(statements, node.terms, strict=True)]
        faults = [statement.fault for statement in statements if statement.fault]
        lacking = [s.fault or s.remark for s, symbol in terms if not s.states(symbol)]
        remark = "; ".join(dict.fromkeys(lacking + faults))
        step = step._replace(remark=remark, right=step.right and not faults)
        if len(lacking) == len(terms):
            return step
        formula, shapes, where = written(left, step.value, terms)
        step = step._replace(formula=formula, shapes=shapes, where=where)
        if lacking:
            return step
        with np.errstate(invalid="ignore"):
            stated = None if faults else sum(statement.values[symbol] for statement, symbol in terms)
        return self._compared(step, stated)

    def _compared(self, step: Step, stated: Any) -> Step:
        """Return a step with what its formula gives held against what the code gave."""
        if stated is not None and step.node.is_sample and np.size(stated) == step.value.size:
            stated = np.reshape(stated, step.value.shape)
        if stated is None or np.shape(stated) != step.value.shape:
            return step._replace(error=math.inf, right=False)
        kept = np.isfinite(stated) | ~np.isfinite(step.value)
        lost = step.value.size - np.count_nonzero(kept)
        remark = f"the plain formula overflows at {lost} of {step.value.size} entries" if lost else step.remark
        deviation = np.abs(np.subtract(stated, step.value, where=kept, out=np.zeros_like(step.value)))
        scale = np.abs(step.value).max(initial=0)
        if step.is_gradient:  # one that is zero but for rounding, as of a bias before BatchNorm, is compared absolutely
            scale = max(scale, FLOOR * float(np.abs(self.nodes[-1].value).max(initial=0)) / typical(step.node.value))
        error = float(deviation.max(initial=0) / (scale or 1.0))
        return step._replace(error=error, remark=remark, right=step.right and error <= self.tolerance)
