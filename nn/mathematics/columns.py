"""Equations for a single sample, as textbooks write them: with columns where a batch has rows."""

from __future__ import annotations

import ast
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .program import EquationError, Line, Loop, base, is_ellipsis, names_in, subscripts
from .run import Walker
from .statement import Stated, Statement, inlined, without_unused
from .words import REDUCTIONS, WORDS


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
        module = statement.module
        self.values = statement.values
        self.parameters = statement.attributes
        self.matrices = {symbol for symbol, value in self.parameters.items() if np.ndim(value) == 2}
        self.constants: dict[str, ast.expr] = {}  # symbols that are a mere number, such as how many samples there are
        sizes = {np.shape(self.values[s])[:1] for s in statement.inputs if np.ndim(self.values.get(s, 0))}
        if len(sizes) != 1:
            raise EquationError(f"{module!r} has no column form: its inputs have no samples along their first axis")
        (self.samples,) = sizes.pop()
        self.run: list[Line] = []
        for line in statement.lines():
            try:
                if isinstance(line, Loop):
                    raise EquationError("there is none of a recurrence")
                self.run.append(self.column(line))
            except EquationError as error:
                raise EquationError(f"{module!r} has no column form: {error}") from None
        kept = inlined(without_unused(self.run, statement.wanted), statement.wanted, self.shape_of)
        self.lines = [line for line in kept if isinstance(line, Line)]

    # ---- the lines

    def column(self, line: Line) -> Line:
        """Return a line for one sample."""
        name = line.names[0]
        if indexed := entries(line):
            return self.without_sample(line, self.sample_index(indexed))
        for symbol in names_in(line.value) - self.matrices:
            if symbol in self.statement.inputs and self._is_floating(symbol) and np.ndim(self.values[symbol]) != 2:
                raise EquationError(
                    f"{symbol} has shape {np.shape(self.values[symbol])}, and a matrix is expected, a sample a row"
                )
        of_parameter = name[1:] in self.parameters
        over_samples = Whole(self, of_parameter)
        value = over_samples.of(line.value, name.removeprefix("d") not in self.matrices)
        if isinstance(value, ast.Constant):
            self.constants[name] = value
        return line._replace(targets=(ast.Name(name),), value=value)

    def _is_floating(self, symbol: str) -> bool:
        return np.asarray(self.values[symbol]).dtype.kind == "f"

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a symbol of one sample."""
        shape = self.statement.shape_of(name)
        return shape[1:] if self.has_samples(name) else shape

    def has_samples(self, name: str) -> bool:
        """Tell whether the first axis of a symbol is that of the samples."""
        value = self.values.get(name, self.values.get(name[1:], 0))
        of = name[1:] if name not in self.values else name
        tied = of in self.parameters or name[1:] in self.parameters
        return not tied and np.ndim(value) > 0 and np.shape(value)[0] == self.samples

    def sample_index(self, indexed: list[ast.Subscript]) -> str:
        """Return which index is that of the sample, "..." where these axes begin with it."""
        found = {
            "..." if is_ellipsis(subscripts(node)[0]) else base(subscripts(node)[0])
            for node in indexed
            if self.has_samples(base(node))
        }
        if len(found) != 1 or not min(found):
            raise EquationError(f"no single index is that of the samples in {ast.unparse(indexed[0])}")
        return found.pop()

    def without_sample(self, line: Line, index: str) -> Line:
        """Return a line with the sample's index gone; of `...` that is the sample alone, nothing stays."""
        rest = max((self._rest(node) for part in (*line.targets, line.value) for node in ast.walk(part)), default=0)

        def gone(node: ast.AST) -> bool:
            if index == "...":
                return is_ellipsis(node) and rest == 1
            return isinstance(node, ast.Name) and node.id == index

        class Erase(ast.NodeTransformer):
            def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
                value = self.visit(node.value)
                places = [self.visit(place) for place in subscripts(node) if not gone(place)]
                if not places:
                    return value
                return ast.Subscript(value, places[0] if len(places) == 1 else ast.Tuple(places, ast.Load()), node.ctx)

            def visit_Call(self, node: ast.Call) -> ast.AST:
                arguments = [self.visit(argument) for argument in node.args if not gone(argument)]
                if base(node.func) in REDUCTIONS and len(arguments) == 1 and base(node.func) != "norm":
                    return arguments[0]
                return ast.Call(node.func, arguments, node.keywords)

        erased = [Erase().visit(_copied(part)) for part in (*line.targets, line.value)]
        for part in erased:
            if index != "..." and index in names_in(part):
                raise EquationError(f"the sample's index {index} is used as a number")
        for node in ast.walk(erased[-1]):
            match node:
                case ast.Attribute(value=ast.Name(id=name), attr="shape" | "size") if self.has_samples(name):
                    raise EquationError(f"there is none of {ast.unparse(node)}")
        return line._replace(targets=tuple(erased[:-1]), value=erased[-1])

    def _rest(self, node: ast.AST) -> int:
        """Return how many axes `...` stands for in an entry."""
        if not isinstance(node, ast.Subscript) or not any(map(is_ellipsis, subscripts(node))):
            return 0
        value = self.values.get(base(node), self.values.get(base(node)[1:], ()))
        return np.ndim(value) - len(subscripts(node)) + 1

    # ---- the values

    def evaluate(self, generator: np.random.Generator) -> dict[str, Any]:
        """Run the lines for the first sample; return the values of all symbols, vectors as columns.

        Args:
            generator: where random numbers are drawn from, as it stood before the call.
        """
        given = {*self.statement.inputs, *self.parameters, *(f"d{name}" for name in self.statement.outputs)}
        known = {name: self.first(name, value) for name, value in self.values.items() if name in given}
        ranges: dict[str, int] = {}
        for line in self.run:
            whole = not entries(line)
            given_form = {name: as_column(value) if whole else value for name, value in known.items()}
            walker = Walker(given_form, generator, ranges)
            walker.run([line])
            for name, value in walker.stated().items():
                shape = self.shape_of(name)
                known[name] = np.reshape(value, shape) if np.size(value) == math.prod(shape) else value
        return {name: as_column(value) for name, value in known.items()}

    def first(self, name: str, value: Any) -> Any:
        """Return what the first sample has of a value."""
        return value[0] if self.has_samples(name) else value


def as_column(value: Any) -> Any:
    """Return a vector as a column; all else stays."""
    return value[:, None] if np.ndim(value) == 1 else value


def entries(line: Line) -> list[ast.Subscript]:
    """Return the entries of arrays in a line, such as x[n, i]; not x.shape[0]."""
    nodes = [node for part in (*line.targets, line.value) for node in ast.walk(part)]
    return [node for node in nodes if isinstance(node, ast.Subscript) and base(node)]


def _copied(node: ast.expr) -> ast.expr:
    return ast.parse(ast.unparse(node), mode="eval").body


class Whole:
    """The rewriting of a line about whole arrays.

    Args:
        columns: the statement.
        over_samples: whether the line may sum over the samples, as the gradient of a parameter does.
    """

    def __init__(self, columns: Columns, over_samples: bool) -> None:
        self.columns = columns
        self.over_samples = over_samples

    def of(self, node: ast.expr, transposed: bool) -> ast.expr:
        """Return a tree in columns, or the transpose of that."""

        def same(part: ast.expr) -> ast.expr:
            return self.of(part, transposed)

        def turned(column: ast.expr) -> ast.expr:
            return column if transposed else ast.Attribute(column, "T")

        constants, matrices = self.columns.constants, self.columns.matrices
        match node:
            case ast.Constant():
                return node
            case ast.Name(id=name) if name in constants:
                return constants[name]
            case ast.Name(id=name) if name not in matrices:
                return node if self.is_number(name) else turned(node)
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
            case ast.Attribute(value=ast.Name(id=name), attr="size") if np.ndim(self.value(name)) == 1:
                return ast.Constant(1)  # one number a sample
            case ast.Attribute(value=value, attr="size" | "shape" as name):
                return ast.Attribute(self.of(value, True), name)
            case ast.Subscript(value=ast.Attribute(value=value, attr="shape"), slice=axis):
                return self.length(value, axis)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name) as whole, attr="sum"), args=[]):
                column = self.of(whole, True)
                return column if np.ndim(self.value(name)) == 1 else ast.Call(ast.Attribute(column, "sum"), [], [])
            case ast.Call(func=ast.Attribute(value=value, attr="sum"), args=[axis, *_]) if self.axis(axis) == 0:
                if self.over_samples:
                    return same(value)
            case ast.Call(func=ast.Attribute(value=value, attr="sum")):
                return ast.Call(ast.Attribute(self.of(value, True), "sum"), [], [])
            case ast.Call(func=ast.Name("len"), args=[value]):
                return self.length(value, ast.Constant(0))
            case ast.Call(func=ast.Name("random") as function, args=[shape]) if transposed:
                return ast.Call(function, [same(shape)], [])
            case ast.Call(func=ast.Name("rows"), args=[value]):
                return same(value)
            case ast.Call(func=ast.Name(id=name) as function, args=arguments) if _is_elementwise(name):
                return ast.Call(function, [same(argument) for argument in arguments], [])
        raise EquationError(f"there is none of {ast.unparse(node)}")

    def value(self, name: str) -> Any:
        """Return the value of a symbol, or of what a gradient is the gradient of."""
        return self.columns.values.get(name, self.columns.values.get(name[1:], ()))

    def is_number(self, name: str) -> bool:
        return np.ndim(self.value(name)) == 0

    def factor(self, node: ast.expr, transposed: bool) -> ast.expr:
        """Write a factor of a product of matrices: only there may a parameter that is a matrix stand."""
        match node:
            case ast.Name(id=name) if name in self.columns.matrices:
                return ast.Attribute(node, "T") if transposed else node
            case ast.Attribute(value=ast.Name(id=name) as matrix, attr="T") if name in self.columns.matrices:
                return matrix if transposed else node
        return self.of(node, transposed)

    def axis(self, axis: ast.expr) -> int:
        """Return the number of an axis of a matrix."""
        return int(Walker(self.columns.values).of(axis)) % 2

    def length(self, value: ast.expr, axis: ast.expr) -> ast.expr:
        """Write a matrix's length along an axis, of one sample."""
        if self.axis(axis) == 0:
            return ast.Constant(1)
        return ast.Subscript(ast.Attribute(self.of(value, True), "shape"), ast.Constant(0), ast.Load())


def _is_elementwise(name: str) -> bool:
    return name in WORDS and WORDS[name].elementwise
