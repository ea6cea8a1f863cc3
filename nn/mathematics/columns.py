"""Equations for a single sample, as textbooks write them: with columns where a batch has rows."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .equation import (
    ELEMENTWISE,
    Stated,
    Values,
    attribute_values,
    forward_values,
    gradient_names,
    input_names,
    output_names,
    parse,
    settle_equations,
    source,
    without_unused,
)


def column_equations(module: Stated, inputs: tuple[ArrayLike, ...]) -> dict[str, str]:
    """Return a module's settled equations for a single sample, as textbooks write them: with columns for rows.

    A vector stands as a column, so that y = x Wᵀ + b becomes y = W x + b, and the gradient of W, gᵀ x, becomes g xᵀ.

    Args:
        module: one whose equations know samples as the rows of matrices.
        inputs: what it is called with: a batch, of any number of samples.

    Raises:
        ValueError: for a module that states no equations, or has an equation without such a form.

    Example:
        >>> from nn import Linear
        >>> column_equations(Linear(3, 2), (np.ones((5, 3)),))
        {'y': 'W @ x + b', 'x': 'W.T @ g', 'W': 'g @ x.T', 'b': 'g'}
    """
    names = forward_values(module, inputs)
    for symbol in input_names(module, len(inputs)):
        if names[symbol].dtype.kind == "f" and names[symbol].ndim != 2:
            raise ValueError(
                f"{module!r} has no column form: {symbol} has shape {names[symbol].shape}, and a matrix is expected, "
                f"a sample a row"
            )
    parameters = attribute_values(module)
    columns = _Columns(names, {symbol for symbol, value in parameters.items() if np.ndim(value) == 2})
    lines = {}
    for symbol, line in settle_equations(module, inputs).items():
        columns.over_samples = symbol in parameters
        try:
            column = columns.of(parse(line), symbol not in columns.matrices)
        except ValueError as error:
            raise ValueError(f"{module!r} has no column form: {error}") from None
        if isinstance(column, ast.Constant):
            columns.constants[symbol] = column
        lines[symbol] = ast.unparse(column)
    return without_unused(lines, {*output_names(module), *gradient_names(module, len(inputs))})


class _Columns:
    """The walk that rewrites: rows, the samples, become one column.

    What stands in a batch as a matrix with the samples as its rows is, of one sample, its column transposed. So each
    node is written in columns either as it is, or transposed, and the transposition is pushed down to the symbols.

    Attributes:
        names: the values of the symbols, for a batch.
        matrices: the parameters that are matrices: the same in both forms.
        constants: the symbols that are a mere number in this form, such as how many samples there are.
        over_samples: whether the line may sum over the samples, as the gradient of a parameter does.
    """

    def __init__(self, names: Mapping[str, Any], matrices: set[str]) -> None:
        self.names = names
        self.matrices = matrices
        self.constants: dict[str, ast.expr] = {}
        self.over_samples = False

    def of(self, node: ast.expr, transposed: bool) -> ast.expr:
        def same(part: ast.expr) -> ast.expr:
            return self.of(part, transposed)

        def turned(column: ast.expr) -> ast.expr:
            return column if transposed else ast.Attribute(column, "T")

        match node:
            case ast.Constant():
                return node
            case ast.Name(id=name) if name in self.constants:
                return self.constants[name]
            case ast.Name(id=name) if name not in self.matrices:
                return node if np.ndim(self.names.get(name, ())) == 0 else turned(node)
            case ast.UnaryOp(op=op, operand=operand):
                return ast.UnaryOp(op, same(operand))
            case ast.BinOp(left=left, op=ast.MatMult() as op, right=right):
                first, second = (right, left) if transposed else (left, right)
                return ast.BinOp(self.factor(first, transposed), op, self.factor(second, transposed))
            case ast.BinOp(left=left, op=ast.Div(), right=right) if getattr(same(right), "value", None) == 1:
                return same(left)
            case ast.BinOp(left=left, op=op, right=right):
                return ast.BinOp(same(left), op, same(right))
            case ast.Compare(left=left, ops=ops, comparators=[right]):
                return ast.Compare(same(left), ops, [same(right)])
            case ast.Attribute(value=value, attr="T"):
                return self.of(value, not transposed)
            case ast.Attribute(value=value, attr="size" | "shape" as name):
                return ast.Attribute(self.of(value, True), name)
            case ast.Subscript(value=ast.Attribute(value=value, attr="shape"), slice=axis):
                return self.length(value, axis)
            case ast.Call(func=ast.Attribute(value=value, attr="sum"), args=[axis]) if self.axis(axis) == 0:
                if self.over_samples:
                    return same(value)
            case ast.Call(func=ast.Attribute(value=value, attr="sum")):
                return ast.Call(ast.Attribute(self.of(value, True), "sum"), [], [])
            case ast.Call(func=ast.Name("len"), args=[value]):
                return self.length(value, ast.Constant(0))
            case ast.Call(func=ast.Name("random") as function, args=[shape]) if transposed:
                return ast.Call(function, [same(shape)], [])
            case ast.Call(func=ast.Name("norm") as function, args=[value, *_]):
                return ast.Call(function, [self.of(value, True)], [])
            case ast.Call(func=ast.Name("rows" | "samples"), args=[value]):
                return same(value)
            case ast.Call(func=ast.Name("expand_dims"), args=[value, _]):
                return self.of(value, True)  # of one sample there is one number, which goes with any shape
            case ast.Call(func=ast.Name("along" | "one_hot") as function, args=[value, like, axis]):
                if self.axis(axis) == 1:
                    return turned(ast.Call(function, [value, self.of(like, True), ast.Constant(0)], []))
            case ast.Call(func=ast.Name(id=name) as function, args=arguments) if name in ELEMENTWISE:
                return ast.Call(function, [same(argument) for argument in arguments], [])
        raise ValueError(f"there is none of {source(node)}")

    def factor(self, node: ast.expr, transposed: bool) -> ast.expr:
        """Write a factor of a product of matrices: only there may a parameter that is a matrix stand."""
        match node:
            case ast.Name(id=name) if name in self.matrices:
                return ast.Attribute(node, "T") if transposed else node
            case ast.Attribute(value=ast.Name(id=name) as matrix, attr="T") if name in self.matrices:
                return matrix if transposed else node
        return self.of(node, transposed)

    def axis(self, axis: ast.expr) -> int:
        """Return the number of an axis of a matrix."""
        return int(Values(self.names).of(axis)) % 2

    def length(self, value: ast.expr, axis: ast.expr) -> ast.expr:
        """Write a matrix's length along an axis, of one sample."""
        if self.axis(axis) == 0:
            return ast.Constant(1)
        return ast.Subscript(ast.Attribute(self.of(value, True), "shape"), ast.Constant(0))
