"""Mathematics as data: a module's equations are NumPy expressions that are shown and run from one syntax tree.

The language is small: names, numbers, arithmetic, comparisons, `a if c else b`, `.T .shape .size .ndim`, the methods
and functions listed below. Nothing else is read, and nothing is ever given to Python's own evaluator. Here it is run;
notation.py shows it, and columns.py rewrites it for a single sample.
"""

from __future__ import annotations

import ast
import copy
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from ..parameter import Buffer, Parameter
from ..random import default_generator


class Stated(Protocol):
    """What this file asks of a module; `Module` says what the attributes mean."""

    @property
    def equations(self) -> Mapping[str, str]: ...
    @property
    def symbols(self) -> Mapping[str, str]: ...
    @property
    def input_symbols(self) -> tuple[str, ...]: ...
    def equations_of(self, count: int) -> Mapping[str, str]: ...


# ---- the language


def norm(x: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Return the square root of the sum of squares, of all entries or along an axis."""
    return np.sqrt(np.square(x).sum(axis))


def rows(x: np.ndarray) -> np.ndarray:
    """Return a matrix: all leading dimensions joined into one."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def samples(x: np.ndarray) -> np.ndarray:
    """Return a matrix: all dimensions but the first joined into one."""
    return x.reshape(len(x), math.prod(x.shape[1:]))


def flatten(x: np.ndarray, start: int, end: int) -> np.ndarray:
    """Return x with the dimensions from `start` to `end`, both included, joined into one."""
    shape = x.shape or (1,)
    start, end = start % len(shape), end % len(shape)
    return x.reshape(*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])


def along(w: np.ndarray, x: np.ndarray, axis: int) -> np.ndarray:
    """Return the vector w so shaped that it lies along one axis of x."""
    return w.reshape([-1 if i == axis else 1 for i in range(x.ndim)])


def join(*arguments: Any) -> np.ndarray:
    """Return arrays joined along the axis that comes last."""
    *arrays, axis = arguments
    return np.concatenate(arrays, axis)


def part(x: np.ndarray, start: int, end: int, axis: int) -> np.ndarray:
    """Return the part of x from `start` to before `end` along an axis."""
    return np.take(x, range(start, end), axis)


def one_hot(y: np.ndarray, x: np.ndarray, axis: int) -> np.ndarray:
    """Return an array shaped like x: 1 where the index along the axis is y, else 0."""
    return np.equal(np.expand_dims(y, axis), along(np.arange(x.shape[axis]), x, axis)) * 1.0


ELEMENTWISE: dict[str, Callable] = {
    "abs": np.abs,
    "exp": np.exp,
    "log": np.log,
    "maximum": np.maximum,
    "sign": np.sign,
    "tanh": np.tanh,
    "where": np.where,
}
# These only bring arrays into a shape in which NumPy can join them, and are not shown.
LAYOUT: dict[str, Callable] = {"along": along, "expand_dims": np.expand_dims, "rows": rows, "samples": samples}
FUNCTIONS: dict[str, Callable] = {
    **ELEMENTWISE,
    **LAYOUT,
    "flatten": flatten,
    "join": join,
    "len": len,
    "norm": norm,
    "one_hot": one_hot,
    "part": part,
}
SHOWN_ONLY = {"partial"}  # partial(J, x) is shown as the derivative of J by x, and has no value
METHODS = {"sum", "reshape"}
ATTRIBUTES = {"T", "shape", "size", "ndim"}
OPERATORS: dict[type, Callable] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.MatMult: operator.matmul,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda value, among: value in among,
}
GRAMMAR = (
    *(ast.Constant, ast.Name, ast.Load, ast.Tuple, ast.UnaryOp, ast.USub, ast.BinOp, ast.Pow, ast.Compare, ast.IfExp),
    *(ast.Attribute, ast.Subscript, ast.Call, ast.keyword, *OPERATORS),
)
# Bounds, so that no text exhausts Python's parser, its stack, or anybody's patience.
LONGEST = 2000  # characters
DEEPEST = 150  # levels of the syntax tree
LARGEST_EXPONENT = 100
FROM_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


@lru_cache(maxsize=4096)
def parse(expression: str) -> ast.expr:
    """Return an expression's syntax tree, every node of it permitted; subscripts in names are digits there."""
    if len(expression) > LONGEST:
        raise ValueError(f"an equation has at most {LONGEST} characters, got {len(expression)}")
    try:
        tree = ast.parse(expression.strip().translate(FROM_SUBSCRIPTS), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"{expression!r} is not an equation: {error}") from None
    level: list[ast.AST] = [tree]
    for _ in range(DEEPEST):
        for node in level:
            if not _is_permitted(node):
                raise ValueError(f"an equation may not contain {source(node)}, in {expression!r}")
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    if level:
        raise ValueError(f"an equation is nested at most {DEEPEST} deep, which this one is not: {expression!r}")
    return tree


def _is_permitted(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=value):
            return isinstance(value, int | float | str)
        case ast.Attribute(attr=name):
            return name in ATTRIBUTES | METHODS
        case ast.Call(func=ast.Name(id=name)):
            return name in FUNCTIONS or name in SHOWN_ONLY or name == "random"
        case ast.Call(func=ast.Attribute(attr=name), args=arguments):
            return name in METHODS and len(arguments) <= 1  # NumPy's further ones name arrays to write into
        case ast.Call():
            return False
        case ast.Compare(ops=comparisons):
            return len(comparisons) == 1
        case ast.keyword(arg=name):
            return name == "keepdims"
    return isinstance(node, GRAMMAR)


def source(node: ast.AST) -> str:
    return f"{ast.unparse(node)!r}" if isinstance(node, ast.expr) else type(node).__name__


# ---- run


def evaluate(
    expression: str, names: Mapping[str, Any], generator: np.random.Generator | int | None = None
) -> np.ndarray:
    """Return the value of an expression.

    Args:
        expression: in the language above.
        names: the values of its symbols: arrays and numbers.
        generator: where `random(shape)` draws from; needed only where it occurs.

    Raises:
        ValueError: for what is not permitted or has no value, naming it.

    Example:
        >>> evaluate("x @ W.T + b", {"x": np.ones((2, 3)), "W": np.ones((1, 3)), "b": np.zeros(1)})
        array([[3.],
               [3.]])
    """
    return np.asarray(Values(names, generator).of(parse(expression)))


class Values:
    """The walk that computes."""

    def __init__(self, names: Mapping[str, Any], generator: np.random.Generator | int | None = None) -> None:
        self.names = names
        self.generator = generator

    def of(self, node: ast.AST) -> Any:
        match node:
            case ast.Constant(value=int() | float() as value):
                return value
            case ast.Name(id=name) if name in self.names:
                return self.names[name]
            case ast.Tuple(elts=items):
                return tuple(self.of(item) for item in items)
            case ast.UnaryOp(operand=operand):
                return -self.number(operand)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return self.power(left, right)
            case ast.BinOp(left=left, op=op, right=right):
                return OPERATORS[type(op)](self.number(left), self.number(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return OPERATORS[type(op)](self.of(left), self.of(right))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.of(body if self.of(test) else orelse)
            case ast.Attribute(value=value, attr=name) if name in ATTRIBUTES:
                return getattr(np.asarray(self.of(value)), name)
            case ast.Subscript(value=ast.Attribute(attr="shape") as shape, slice=index):
                return self.of(shape)[self.of(index)]
            case ast.Call(func=ast.Attribute(value=value, attr=name)):
                return getattr(np.asarray(self.of(value)), name)(*self.arguments(node), **self.keywords(node))
            case ast.Call(func=ast.Name(id="random")) if self.generator is not None:
                return default_generator(self.generator).random(*self.arguments(node))
            case ast.Call(func=ast.Name(id=name)) if name in FUNCTIONS:
                return self.call(FUNCTIONS[name], node)
        raise ValueError(f"{source(node)} has no value here; known are {', '.join(self.names) or 'no names'}")

    def number(self, node: ast.AST) -> Any:
        value = self.of(node)
        if isinstance(value, tuple):
            raise ValueError(f"an equation may not calculate with the tuple {source(node)}")
        if np.asarray(value).dtype == bool:  # a comparison counts as 0 or 1, also in a sum or behind a sign
            return np.asarray(value, np.int8)
        return value

    def power(self, base: ast.AST, exponent: ast.AST) -> Any:
        power = self.number(exponent)
        if np.ndim(power) or not abs(power) <= LARGEST_EXPONENT:
            raise ValueError(f"an exponent is a number up to {LARGEST_EXPONENT}, got {source(exponent)}")
        return (np.asarray(self.number(base)) * 1.0) ** power  # floating, so that no integer grows without bound

    def call(self, function: Callable, node: ast.Call) -> Any:
        if isinstance(function, np.ufunc) and len(node.args) != function.nin:  # one more would be written into
            raise ValueError(f"{function.__name__} takes {function.nin} arguments in an equation, got {source(node)}")
        return function(*self.arguments(node), **self.keywords(node))

    def arguments(self, node: ast.Call) -> list:
        return [self.of(argument) for argument in node.args]

    def keywords(self, node: ast.Call) -> dict[str, Any]:
        return {str(keyword.arg): self.of(keyword.value) for keyword in node.keywords}


# ---- the equations of a module


def input_names(module: Stated, count: int) -> tuple[str, ...]:
    """Return the symbols of a module's inputs: its own, or x, or x0, x1, ... for several."""
    return module.input_symbols or (("x",) if count == 1 else tuple(f"x{i}" for i in range(count)))


def output_names(module: Stated) -> tuple[str, ...]:
    """Return the symbols of a module's outputs: J for a loss, y, or y0, y1, ... for several."""
    stated = module.equations
    return ("J",) if "J" in stated else tuple(name for name in stated if re.fullmatch(r"y\d*", name))


def evaluate_equations(
    module: Stated,
    inputs: tuple[ArrayLike, ...],
    grad_output: Any = None,
    *,
    generator: np.random.Generator | int | None = None,
) -> dict[str, np.ndarray]:
    """Return the value of every line of a module's equations: intermediates, outputs, gradients.

    Args:
        module: in the mode that it is in, with the parameters that it has; its gradients are left alone.
        inputs: what it is called with.
        grad_output: the upstream gradient, a tuple of them for several outputs; None means ones.
        generator: where random numbers are drawn from; by default a copy of the module's own, as it stands.

    Raises:
        ValueError: for a module that states no equations, or upstream gradients of another shape than the outputs.

    Example:
        >>> from nn import ReLU
        >>> evaluate_equations(ReLU(), (np.array([-1.0, 2.0]),), np.array([3.0, 4.0]))
        {'y': array([0., 2.]), 'x': array([0., 4.])}
    """
    names = forward_values(module, inputs, generator)
    gradients = gradient_names(module, len(inputs))
    equations = module.equations_of(len(inputs))
    lines = {symbol: names[symbol] for symbol in equations if symbol not in gradients}
    outputs = [names[output] for output in output_names(module)]
    ones = tuple(map(np.ones_like, outputs))
    upstream = ones if grad_output is None else grad_output if isinstance(grad_output, tuple) else (grad_output,)
    if [np.shape(g) for g in upstream] != [y.shape for y in outputs]:
        shapes = ", ".join(str(y.shape) for y in outputs)
        raise ValueError(
            f"{module!r} expects upstream gradients of shape {shapes}, got {list(map(np.shape, upstream))}"
        )
    for i, g in enumerate(upstream):
        names["g" if len(outputs) == 1 else f"g{i}"] = np.asarray(g)
    for symbol, expression in equations.items():
        if symbol in gradients:
            lines[symbol] = evaluate(expression, names)
    return lines


def settle(expression: str, names: Mapping[str, Any]) -> str:
    """Return an expression with each `a if c else b` replaced by the side that holds for these values.

    Example:
        >>> settle("x.T if x.ndim == 2 else x", {"x": np.ones(3)})
        'x'
    """

    class Settle(ast.NodeTransformer):
        def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
            return self.visit(node.body if Values(names).of(node.test) else node.orelse)

    return ast.unparse(Settle().visit(copy.deepcopy(parse(expression))))


def settle_equations(module: Stated, inputs: tuple[ArrayLike, ...]) -> dict[str, str]:
    """Return a module's equations as they read for these inputs: `settle` in every line, without lines of no use.

    Raises:
        ValueError: for a module that states no equations.

    Example:
        >>> from nn import Softmax
        >>> settle_equations(Softmax(), (np.ones((2, 3)),))["dim"]
        '1'
    """
    names = forward_values(module, inputs)
    settled = {symbol: settle(line, names) for symbol, line in module.equations_of(len(inputs)).items()}
    return without_unused(settled, {*output_names(module), *gradient_names(module, len(inputs))})


def scalar_symbols(module: Stated) -> frozenset[str]:
    """Return the symbols in a module's equations that stand for one number, whatever the inputs.

    The renderers write a product with one of them without a sign, and a product of arrays entry by entry as ⊙.

    Example:
        >>> from nn import MSELoss
        >>> sorted(scalar_symbols(MSELoss()))
        ['J', 'g', 'n']
    """
    scalars = {symbol for symbol, value in attribute_values(module).items() if np.ndim(value) == 0}
    gradients = gradient_names(module, 1)
    for symbol, expression in module.equations.items():
        if symbol not in gradients and is_scalar(parse(expression), scalars):
            scalars.add(symbol)
    if {*output_names(module)} <= scalars:
        scalars.add("g")
    return frozenset(scalars)


def attribute_values(module: Stated) -> dict[str, Any]:
    """Return the values of the attributes that symbols are tied to; what is None, such as a bias left out, has none."""
    values = {symbol: getattr(module, attribute) for symbol, attribute in module.symbols.items()}
    return {
        symbol: value.data if isinstance(value, Parameter | Buffer) else value
        for symbol, value in values.items()
        if value is not None
    }


def without_unused(lines: dict[str, str], wanted: set[str]) -> dict[str, str]:
    """Return the lines but for those that neither are wanted nor occur in a later one."""
    kept: dict[str, str] = {}
    for symbol, line in reversed(lines.items()):
        if symbol in wanted:
            kept[symbol] = line
            wanted = wanted | {node.id for node in ast.walk(parse(line)) if isinstance(node, ast.Name)}
    return dict(reversed(kept.items()))


def gradient_names(module: Stated, inputs: int) -> set[str]:
    return {*input_names(module, inputs), *module.symbols}


def forward_values(
    module: Stated, inputs: tuple[ArrayLike, ...], generator: np.random.Generator | int | None = None
) -> dict[str, Any]:
    """Return the values of all symbols but the upstream gradients."""
    if not module.equations:
        raise ValueError(f"{module!r} states no equations")
    equations = module.equations_of(len(inputs))
    if generator is None:
        generator = copy.deepcopy(default_generator(getattr(module, "generator", None)))
    generator = default_generator(generator)
    symbols = input_names(module, len(inputs))
    if len(symbols) != len(inputs):
        raise ValueError(f"{module!r} states equations of {', '.join(symbols)}, got {len(inputs)} inputs")
    names = attribute_values(module) | dict(zip(symbols, map(np.asarray, inputs), strict=True))
    gradients = gradient_names(module, len(inputs))
    for symbol, expression in equations.items():
        if symbol not in gradients:
            names[symbol] = evaluate(expression, names, generator)
    return names


def is_scalar(node: ast.AST, scalars: Iterable[str]) -> bool:
    """Tell whether an expression is one number whatever the shapes of the symbols not in `scalars`."""
    match node:
        case ast.Constant() | ast.Attribute(attr="size" | "ndim") | ast.Call(func=ast.Name("len")):
            return True
        case ast.Subscript(value=ast.Attribute(attr="shape")):
            return True
        case ast.Name(id=name):
            return name in scalars
        case ast.Call(func=ast.Attribute(attr="sum"), args=[]) | ast.Call(func=ast.Name("norm"), args=[_]):
            return True
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in ELEMENTWISE:
            return all(is_scalar(argument, scalars) for argument in arguments)
        case ast.UnaryOp(operand=operand):
            return is_scalar(operand, scalars)
        case ast.BinOp(left=left, right=right) | ast.IfExp(body=left, orelse=right):
            return is_scalar(left, scalars) and is_scalar(right, scalars)
    return False
