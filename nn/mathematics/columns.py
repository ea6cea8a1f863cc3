"""Equations for a single sample, as textbooks write them: with columns where a batch has rows."""

from __future__ import annotations

import ast
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .program import EquationError, Line, Loop, is_gradient
from .run import Walker
from .statement import Stated, Statement, inlined, without_unused
from .trees import base, index_name, is_ellipsis, names_in, nodes, subscripted, subscripts, with_parts, without_indices
from .words import is_elementwise


def column_equations(module: Stated, inputs: tuple[ArrayLike, ...]) -> dict[str, str]:
    """Return a module's settled equations for a single sample, as textbooks write them: with columns for rows.

    A vector stands as a column, so that y = x Wᵀ + b becomes y = W x + b, and the gradient of W, dyᵀ x, becomes dy xᵀ.
    In lines with indices that of the sample is gone.

    Args:
        module: one whose equations know samples along the first axis.
        inputs: what it is called with: a batch, of any number of samples.

    Raises:
        ValueError: for a module that states no equations, or has an equation without such a form.

    Example:
        >>> from nn import Linear
        >>> column_equations(Linear(3, 2), (np.ones((5, 3)),))
        {'y': 'W @ x + b', 'dx': 'W.T @ dy', 'dW': 'dy @ x.T', 'db': 'dy'}
    """
    statement = Statement(module, inputs)
    statement.backward()
    return {", ".join(map(ast.unparse, line.targets)): ast.unparse(line.value) for line in Columns(statement).lines}


class Columns:
    """A statement for a single sample: its lines, and their values.

    What stands in a batch as a matrix with the samples as its rows is, of one sample, its column transposed. So each
    node is written in columns either as it is, or transposed, and the transposition is pushed down to the symbols.

    Args:
        statement: of a batch, whose gradients have been run.

    Attributes:
        lines: the lines for one sample, as they are shown.

    Raises:
        EquationError: for a line that has no such form.
    """

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self.values, self.parameters = statement.values, statement.attributes
        self.matrices = {symbol for symbol, value in self.parameters.items() if np.ndim(value) == 2}
        self.constants: dict[str, ast.expr] = {}  # symbols that are a mere number, such as how many samples there are
        sizes = {np.shape(self.values[s])[:1] for s in statement.inputs if np.ndim(self.values.get(s, 0))}
        try:
            if len(sizes) != 1:
                raise EquationError("its inputs have no samples along their first axis")
            (self.samples,) = sizes.pop()
            self.run = [self.column(line) for line in statement.lines()]
        except EquationError as error:
            raise EquationError(f"{statement.module!r} has no column form: {error}") from None
        kept = inlined(without_unused(self.run, statement.wanted), statement.wanted, self.shape_of)
        self.lines = [line for line in kept if isinstance(line, Line)]

    # ---- the lines

    def column(self, line: Line | Loop) -> Line:
        """Return a line for one sample."""
        if isinstance(line, Loop):
            raise EquationError("there is none of a recurrence")
        if indexed := entries(line):
            return self.without_sample(line, self.sample_index(indexed))
        for symbol in sorted(names_in(line.value) & {*self.statement.inputs}):
            x = np.asarray(self.values[symbol])
            if x.dtype.kind == "f" and x.ndim != 2:
                raise EquationError(f"{symbol} has shape {x.shape}, and a matrix is expected, a sample a row")
        name = line.names[0]
        value = Whole(self, name[1:] in self.parameters).of(line.value, name.removeprefix("d") not in self.matrices)
        if isinstance(value, ast.Constant):
            self.constants[name] = value
        return line._replace(targets=(ast.Name(name),), value=value)

    def value(self, name: str) -> Any:
        """Return the value of a symbol, or of what a gradient is the gradient of."""
        return self.values.get(name, self.values.get(name[1:], ()))

    def has_samples(self, name: str) -> bool:
        """Tell whether the first axis of a symbol is that of the samples."""
        tied = name in self.parameters or (is_gradient(name) and name[1:] in self.parameters)
        return not tied and np.shape(self.value(name))[:1] == (self.samples,)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a symbol of one sample."""
        return self.statement.shape_of(name)[1 if self.has_samples(name) else 0 :]

    def first(self, name: str, value: Any) -> Any:
        """Return what the first sample has of a value."""
        return value[0] if self.has_samples(name) else value

    def sample_index(self, indexed: list[ast.Subscript]) -> str:
        """Return which index is that of the sample, "..." where these axes begin with it."""
        found = {index_name(subscripts(entry)[0]) for entry in indexed if self.has_samples(base(entry))}
        if len(found) != 1 or "" in found:
            raise EquationError(f"no single index is that of the samples in {ast.unparse(indexed[0])}")
        return found.pop()

    def without_sample(self, line: Line, index: str) -> Line:
        """Return a line with the sample's index gone; of `...` that is the sample alone, nothing stays."""
        dotted = [entry for entry in entries(line) if any(map(is_ellipsis, subscripts(entry)))]
        rest = max((np.ndim(self.value(base(e))) - len(subscripts(e)) + 1 for e in dotted), default=0)
        stays = index == "..." and rest > 1  # further axes follow that of the sample
        one = line.rewritten(without_indices(lambda place: index_name(place) == index and not stays))
        if index in names_in(*one.parts):
            raise EquationError(f"the sample's index {index} is used as a number")
        for node in nodes(one.value):
            match node:
                case ast.Attribute(value=ast.Name(id=name), attr="shape" | "size") if self.has_samples(name):
                    raise EquationError(f"there is none of {ast.unparse(node)}")
        return one

    # ---- the values

    def evaluate(self, generator: np.random.Generator) -> dict[str, Any]:
        """Run the lines for the first sample; return the values of all symbols, vectors as columns.

        Args:
            generator: where random numbers are drawn from, as it stood before the call.
        """
        given = {*self.statement.inputs, *self.parameters, *(f"d{name}" for name in self.statement.outputs)}
        known = {name: self.first(name, value) for name, value in self.values.items() if name in given}
        ranges: dict[str, int] = {}
        for line in self.run:  # a line about whole arrays has columns, one with indices has vectors
            form = known if entries(line) else {name: as_column(value) for name, value in known.items()}
            walker = Walker(form, generator, ranges)
            walker.run([line])
            for name, value in walker.stated().items():
                shape = self.shape_of(name)
                known[name] = np.reshape(value, shape) if np.size(value) == math.prod(shape) else value
        return {name: as_column(value) for name, value in known.items()}


def as_column(value: Any) -> Any:
    """Return a vector as a column; all else stays."""
    return value[:, None] if np.ndim(value) == 1 else value


def entries(line: Line) -> list[ast.Subscript]:
    """Return the entries of arrays in a line, such as x[n, i]; not x.shape[0]."""
    return [entry for entry in subscripted(*line.parts) if base(entry)]


class Whole:
    """The rewriting of a line about whole arrays.

    Args:
        columns: the statement.
        over_samples: whether the line may sum over the samples, as the gradient of a parameter does.
    """

    def __init__(self, columns: Columns, over_samples: bool) -> None:
        self.constants, self.matrices, self.value = columns.constants, columns.matrices, columns.value
        self.axis_of = Walker(columns.values).of
        self.over_samples = over_samples

    def of(self, node: ast.expr, transposed: bool) -> ast.expr:
        """Return a tree in columns, or the transpose of that."""

        def same(part: ast.expr) -> ast.expr:
            return self.of(part, transposed)

        match node:
            case ast.Constant():
                return node
            case ast.Name(id=name) if name in self.constants:
                return self.constants[name]
            case ast.Name(id=name) if name not in self.matrices:
                return node if transposed or np.ndim(self.value(name)) == 0 else ast.Attribute(node, "T")
            case ast.BinOp(left=left, op=ast.MatMult() as op, right=right):
                first, second = (right, left) if transposed else (left, right)
                return ast.BinOp(self.factor(first, transposed), op, self.factor(second, transposed))
            case ast.BinOp(left=left, op=ast.Div(), right=right) if getattr(same(right), "value", None) == 1:
                return same(left)
            case ast.BinOp() | ast.UnaryOp() | ast.Compare():
                return with_parts(node, same)
            case ast.Attribute(value=value, attr="T"):
                return self.of(value, not transposed)
            case ast.Attribute(value=ast.Name(id=name), attr="size") if np.ndim(self.value(name)) == 1:
                return ast.Constant(1)  # one number a sample
            case ast.Attribute(value=value, attr="size" | "shape" as name):
                return ast.Attribute(self.of(value, True), name)
            case ast.Subscript(value=ast.Attribute(value=value, attr="shape"), slice=axis):
                return self.length(value, axis)
            case ast.Call(func=ast.Name("len"), args=[value]):
                return self.length(value, ast.Constant(0))
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name) as one, attr="sum"), args=[]) if (
                np.ndim(self.value(name)) == 1  # one number a sample
            ):
                return self.of(one, True)
            case ast.Call(func=ast.Attribute(value=value, attr="sum"), args=[axis, *_]) if self.axis(axis) == 0:
                if self.over_samples:
                    return same(value)
            case ast.Call(func=ast.Attribute(value=value, attr="sum")):
                return ast.Call(ast.Attribute(self.of(value, True), "sum"), [], [])
            case ast.Call(func=ast.Name("random") as word, args=[shape]) if transposed:
                return ast.Call(word, [same(shape)], [])
            case ast.Call(func=ast.Name("rows"), args=[value]):
                return same(value)
            case ast.Call(func=ast.Name(id=name)) if is_elementwise(name):
                return with_parts(node, same)
        raise EquationError(f"there is none of {ast.unparse(node)}")

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
        return int(self.axis_of(axis)) % 2

    def length(self, value: ast.expr, axis: ast.expr) -> ast.expr:
        """Write a matrix's length along an axis, of one sample."""
        if self.axis(axis) == 0:
            return ast.Constant(1)
        return ast.Subscript(ast.Attribute(self.of(value, True), "shape"), ast.Constant(0), ast.Load())
