"""Lines are settled before anything else is done with them: branches are taken, and what is absent leaves.

An absent term, factor or condition leaves alone; a line that is wholly absent leaves with the symbol that it states.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import numpy as np

from .program import EquationError
from .trees import names_in, with_parts
from .words import REDUCTIONS


class Settler:
    """Settles expressions.

    Args:
        absent: the symbols that are None.
        value_of: gives the value of a tree, for the conditions of branches.

    Attributes:
        steps: the symbols that differ from step to step of the recurrence that is run.
    """

    def __init__(self, absent: set[str], value_of: Callable[[ast.expr], Any]) -> None:
        self.absent = absent
        self.value_of = value_of
        self.steps: set[str] = set()

    def settle(self, node: Any) -> Any:
        """Return an expression with its branches taken and without absent parts; None where nothing is left.

        Raises:
            EquationError: where something is absent that can drop out of nothing.
        """
        match node:
            case ast.Name(id=name):
                return None if name in self.absent else node
            case ast.Constant(value=None):
                return None
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.settle(body if self.holds(test) else orelse)
            case ast.BoolOp():
                return node
        parts: dict[Any, Any] = {}  # what each part of the node becomes

        def settled(part: Any) -> Any:
            parts[part] = self.settle(part)
            return parts[part]

        whole = with_parts(node, settled)
        gone = [part for part, left in parts.items() if left is None]
        if not gone:
            return whole
        match node:
            case ast.Compare():
                return None
            case ast.BinOp() if len(gone) == 2:
                return None
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.MatMult()):
                return _remaining(whole, left in gone, gone[0])
            case ast.Call(func=ast.Name(id="where"), args=[test, _, _]) if test in gone:
                return whole.args[1]
            case ast.Call(func=ast.Name(id=name), args=[part, *_]) if name in REDUCTIONS and part in gone:
                return None
            case ast.UnaryOp(operand=part) | ast.Attribute(value=part) | ast.Subscript(value=part) if part in gone:
                return None
            case ast.Call(func=ast.Attribute(value=part)) if part in gone:
                return None
        raise EquationError(
            f"{ast.unparse(gone[0])} is None and cannot drop out of {ast.unparse(node)}: only a term, a factor or a "
            f"condition can"
        )

    def holds(self, test: ast.expr) -> bool:
        """Tell whether the condition of a branch holds; what is absent is None there."""
        match test:
            case ast.BoolOp(op=op, values=parts):
                return (all if isinstance(op, ast.And) else any)(map(self.holds, parts))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self.holds(operand)
            case ast.Name(id=name) if name in self.absent:
                return False
            case ast.Compare(
                left=ast.Name(id=name), ops=[ast.Is() | ast.IsNot() as op], comparators=[ast.Constant(value=None)]
            ):
                is_none = name in self.absent or self.value_of(test.left) is None
                return is_none == isinstance(op, ast.Is)
        if steps := names_in(test) & self.steps:
            raise EquationError(f"`if` chooses before the recurrence runs, and cannot depend on {min(steps)}")
        truth = np.asarray(self.value_of(test))
        if truth.size != 1:
            raise EquationError(
                f"`if {ast.unparse(test)}` chooses once for the whole line: write where(...) for each entry"
            )
        return bool(truth)


def _remaining(whole: ast.BinOp, left_is_gone: bool, gone: ast.expr) -> ast.expr:
    """Return what a sum, a product or a quotient is without one side; the sign of an absent factor stays."""
    rest = whole.right if left_is_gone else whole.left
    if left_is_gone and isinstance(whole.op, ast.Div):
        rest = ast.BinOp(ast.Constant(1), ast.Div(), rest)
    is_term = isinstance(whole.op, ast.Add | ast.Sub)
    negative = left_is_gone and isinstance(whole.op, ast.Sub) if is_term else _is_negative(gone)
    return ast.UnaryOp(ast.USub(), rest) if negative else rest


def _is_negative(factor: ast.expr) -> bool:
    """Tell whether a product has an odd number of signs."""
    match factor:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return not _is_negative(operand)
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div() | ast.MatMult(), right=right):
            return _is_negative(left) != _is_negative(right)
    return False
