"""Expressions of Python and NumPy, written in the language of equations.

A name, a method or a function that has a meaning there is taken over, and all else is refused, with the line that it
stands in. Functions of one's own are written out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

CLASS_AXIS = "class_axis"  # stands in softmax(z) for the axis of the classes, which the layout decides


class Scope(Protocol):
    """What an expression stands in."""

    functions: dict[str, ast.FunctionDef | ast.Lambda]

    def refuse(self, node: ast.AST, why: str) -> Exception:
        """Return the error for something that cannot be read."""


def canonical(name: str) -> str:
    """Return a symbol in one spelling: W0 for W_0."""
    return re.sub(r"([A-Za-z])_(\d+)$", r"\1\2", name)


def at(node: Any, like: ast.AST) -> Any:
    """Return a node with the place of another one in the text."""
    return ast.copy_location(node, like)


def is_key(node: ast.expr) -> bool:
    """Tell whether a subscript is that of a dict or a list: params["W0"], W[0]."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str | int) and not isinstance(node.value, bool)


def keyed(owner: str, key: ast.expr) -> str:
    """Return the symbol that an entry of a dict or of a list stands for."""
    value = key.value  # type: ignore[attr-defined]
    if isinstance(value, int):
        return canonical(f"{owner}_{value}")
    name = canonical(value)
    is_gradient = owner.lower().startswith(("grad", "dj", "d_")) and not name.startswith("d")
    return f"d{name}" if is_gradient else name


def number_of(node: ast.expr) -> float | None:
    """Return the value of an expression of numbers alone; None of any other."""
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            number = number_of(operand)
            return None if number is None else -number
        case ast.BinOp(left=left, op=ast.Pow() | ast.Mult() | ast.Div() as op, right=right):
            a, b = number_of(left), number_of(right)
            if a is None or b is None or (isinstance(op, ast.Div) and b == 0):
                return None
            return a**b if isinstance(op, ast.Pow) else a * b if isinstance(op, ast.Mult) else a / b
    return None


UNARY = {"exp", "log", "sqrt", "tanh", "abs", "sign", "sigmoid"}
SAME = {"absolute": "abs", "fabs": "abs"}
BINARY = {
    "multiply": ast.Mult,
    "add": ast.Add,
    "subtract": ast.Sub,
    "divide": ast.Div,
    "true_divide": ast.Div,
    "power": ast.Pow,
    "dot": ast.MatMult,
    "matmul": ast.MatMult,
}
REDUCED = ("sum", "max", "min", "mean", "amax", "amin")
IGNORED = ("copy", "astype", "item", "asarray", "float", "float64", "float32", "array")
MODULES = ("np", "numpy", "math", "scipy.special", "special", "jnp")
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.MatMult)
COMPARED = (ast.Gt, ast.GtE, ast.Lt, ast.LtE, ast.Eq, ast.NotEq)


class Translation:
    """Writes one expression in the language of equations."""

    def __init__(self, scope: Scope, names: Mapping[str, ast.expr], depth: int = 0) -> None:
        self.scope, self.names, self.depth = scope, names, depth

    def of(self, node: ast.expr) -> ast.expr:
        """Return the expression."""
        return at(self._of(node), node)

    def _of(self, node: ast.expr) -> ast.expr:
        refuse = self.scope.refuse
        match node:
            case ast.Constant(value=bool() | int() | float() as value):
                return ast.Constant(float(value) if isinstance(value, float) else int(value))
            case ast.Constant(value=value) if value is ...:
                raise refuse(node, "a blank within an expression: fill it in, or leave the whole right side as ...")
            case ast.Name(id=name):
                return self.names.get(name) or ast.Name(canonical(name), ast.Load())
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return ast.UnaryOp(ast.USub(), self.of(operand))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.of(operand)
            case ast.UnaryOp(op=ast.Invert() | ast.Not(), operand=operand):
                return ast.BinOp(ast.Constant(1), ast.Sub(), self.of(operand))
            case ast.BinOp(op=ast.BitXor()):
                raise refuse(node, "^ is no power in Python: write **")
            case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
                return ast.BinOp(self.of(left), ast.Mult(), self.of(right))
            case ast.BinOp(left=left, op=op, right=right) if isinstance(op, OPERATORS):
                return ast.BinOp(self.of(left), op, self.of(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if isinstance(op, COMPARED):
                return ast.Compare(self.of(left), [op], [self.of(right)])
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return ast.Call(ast.Name("where"), [self.of(test), self.of(body), self.of(orelse)], [])
            case ast.Attribute(value=ast.Name(id="np" | "numpy" | "math"), attr=name):
                numbers = {"pi": 3.141592653589793, "e": 2.718281828459045}
                if name in numbers:
                    return ast.Constant(numbers[name])
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                return ast.Name(canonical(name), ast.Load())
            case ast.Attribute(value=value, attr="T" | "shape" | "size" | "ndim" as name):
                return ast.Attribute(self.of(value), name, ast.Load())
            case ast.Subscript(value=ast.Attribute(attr="shape") as shape, slice=place):
                axis = number_of(place)
                if axis is not None:
                    return ast.Subscript(self.of(shape), ast.Constant(int(axis)), ast.Load())
            case ast.Subscript(value=ast.Name(id=owner), slice=key) if is_key(key):
                return ast.Name(keyed(owner, key), ast.Load())
            case ast.Subscript(value=value, slice=ast.Tuple(elts=[first, second])):
                for axis, (kept, new) in enumerate(((second, first), (first, second))):
                    if isinstance(kept, ast.Slice) and ast.unparse(new) in ("None", "np.newaxis"):
                        return _reshaped(self.of(value), *((1, -1) if axis == 0 else (-1, 1)))
                raise refuse(node, "it takes a part of an array: write it for whole arrays")
            case ast.Subscript():
                raise refuse(node, "it takes a part of an array: write it for whole arrays")
            case ast.Call(func=ast.Name(id=name)) if name in self.scope.functions:
                return self._written_out(node, self.scope.functions[name])
            case ast.Call(func=ast.Attribute(value=of, attr=name)) if ast.unparse(of) in (*MODULES, "np.linalg"):
                return self._call(node, name, node.args)
            case ast.Call(func=ast.Attribute(value=of, attr=name)):
                return self._call(node, name, [of, *node.args], is_method=True)
            case ast.Call(func=ast.Name(id=name)):
                return self._call(node, {"max": "maximum", "min": "minimum"}.get(name, name), node.args)
        raise refuse(node, f"{ast.unparse(node)} has no meaning in the language of equations")

    def _call(self, node: ast.Call, name: str, given: Sequence[ast.expr], is_method: bool = False) -> ast.expr:
        """Return what a function of NumPy, or a method of an array, is in the language of equations."""
        refuse = self.scope.refuse
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        name = SAME.get(name, name)
        if name in IGNORED and given:
            return self.of(given[0])
        if name in REDUCED and given:
            return self._reduced(node, name.removeprefix("a"), given, keywords)
        if name in ("reshape", "flatten", "ravel") and given:
            sizes = list(given[1:]) if name == "reshape" else [ast.UnaryOp(ast.USub(), ast.Constant(1))]
            if len(sizes) == 1 and isinstance(sizes[0], ast.Tuple):
                sizes = list(sizes[0].elts)
            return ast.Call(ast.Attribute(self.of(given[0]), "reshape", ast.Load()), list(map(self.of, sizes)), [])
        if keywords and set(keywords) != {"axis"}:
            raise refuse(node, f"{name} has a keyword that is not understood: {', '.join(map(str, keywords))}")
        a = [self.of(argument) for argument in given if not isinstance(argument, ast.Tuple)]
        word: Callable[..., ast.expr] | None = WORDS.get((name, len(a)))
        if name == "softmax":
            axis = keywords.get("axis")
            return ast.Call(ast.Name("softmax"), [a[0], self.of(axis) if axis else ast.Name(CLASS_AXIS)], [])
        if word is not None:
            return word(*a)
        if name == "maximum" and len(a) == 1:
            return ast.Call(ast.Attribute(a[0], "max", ast.Load()), [], [])
        if name in UNARY and len(a) == 1:
            return ast.Call(ast.Name(name), a, [])
        if name in ("maximum", "minimum") and len(a) == 2:
            return ast.Call(ast.Name(name), a, [])
        if name == "where" and len(a) == 3:
            return ast.Call(ast.Name("where"), a, [])
        if name in BINARY and len(a) == 2:
            return ast.BinOp(a[0], BINARY[name](), a[1])
        known = f"{name} with {len(a) - is_method} argument{'s' * (len(a) - is_method != 1)}"
        raise refuse(
            node,
            f"{known} has no meaning in the language of equations; is it a function of your own? Put its def above",
        )

    def _reduced(
        self, node: ast.Call, name: str, given: Sequence[ast.expr], keywords: Mapping[str | None, ast.expr]
    ) -> ast.expr:
        """Return a sum, a mean or a maximum, over an axis or over all entries."""
        if unknown := set(keywords) - {"axis", "keepdims"}:
            raise self.scope.refuse(
                node, f"{name} has a keyword that is not understood: {', '.join(map(str, unknown))}"
            )
        axis = given[1] if len(given) > 1 else keywords.get("axis")
        axes: list[ast.expr] = []
        if axis is not None and ast.unparse(axis) != "None":
            axes = [self._axis(axis)]
        kept = keywords.get("keepdims")
        keep = (
            [ast.keyword("keepdims", ast.Constant(True))] if kept is not None and ast.unparse(kept) != "False" else []
        )
        return ast.Call(ast.Attribute(self.of(given[0]), name, ast.Load()), axes, keep)

    def _axis(self, axis: ast.expr) -> ast.expr:
        if isinstance(axis, ast.Tuple):
            return ast.Tuple([self._axis(each) for each in axis.elts], ast.Load())
        number = number_of(axis)
        if number is None:
            raise self.scope.refuse(axis, "the axis is no number")
        return ast.Constant(int(number))

    def _written_out(self, node: ast.Call, function: ast.FunctionDef | ast.Lambda) -> ast.expr:
        """Return a call of a function of one's own, with what it returns in its place."""
        refuse = self.scope.refuse
        if self.depth > 20:
            raise refuse(node, "a function calls itself")
        parameters = [argument.arg for argument in function.args.args]
        names = dict(zip(parameters, (self.of(argument) for argument in node.args), strict=False))
        names |= {str(keyword.arg): self.of(keyword.value) for keyword in node.keywords}
        defaults = dict(zip(reversed(parameters), reversed(function.args.defaults), strict=False))
        names |= {name: self.of(value) for name, value in defaults.items() if name not in names}
        if missing := [name for name in parameters if name not in names]:
            raise refuse(node, f"the argument {missing[0]} is missing")
        if isinstance(function, ast.Lambda):
            return Translation(self.scope, names, self.depth + 1).of(function.body)
        for statement in function.body:
            inner = Translation(self.scope, names, self.depth + 1)
            match statement:
                case ast.Expr(value=ast.Constant()):
                    continue
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    names[name] = inner.of(value)
                case ast.Return(value=ast.expr() as value):
                    return inner.of(value)
                case _:
                    raise refuse(statement, "a function is understood that consists of NAME = ... and return")
        raise refuse(node, "the function returns nothing")


def _call(name: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(name), list(arguments), [])


def _method(of: ast.expr, name: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Attribute(of, name, ast.Load()), list(arguments), [])


def _reshaped(value: ast.expr, *sizes: int) -> ast.expr:
    written = [ast.Constant(s) if s > 0 else ast.UnaryOp(ast.USub(), ast.Constant(-s)) for s in sizes]
    return _method(value, "reshape", *written)


def _binary(a: ast.expr, op: ast.operator, b: ast.expr) -> ast.expr:
    return ast.BinOp(a, op, b)


ONE, TWO, ZERO = ast.Constant(1), ast.Constant(2), ast.Constant(0)
# By name and number of arguments, what has no word of its own.
WORDS: dict[tuple[str, int], Callable[..., ast.expr]] = {
    ("len", 1): lambda x: ast.Subscript(ast.Attribute(x, "shape", ast.Load()), ZERO, ast.Load()),
    ("relu", 1): lambda x: _call("maximum", x, ZERO),
    ("square", 1): lambda x: _binary(x, ast.Pow(), TWO),
    ("negative", 1): lambda x: ast.UnaryOp(ast.USub(), x),
    ("reciprocal", 1): lambda x: _binary(ONE, ast.Div(), x),
    ("transpose", 1): lambda x: ast.Attribute(x, "T", ast.Load()),
    ("log1p", 1): lambda x: _call("log", _binary(ONE, ast.Add(), x)),
    ("expm1", 1): lambda x: _binary(_call("exp", x), ast.Sub(), ONE),
    ("expit", 1): lambda x: _call("sigmoid", x),
    ("zeros_like", 1): lambda x: _binary(ZERO, ast.Mult(), x),
    ("ones_like", 1): lambda x: _binary(_binary(ZERO, ast.Mult(), x), ast.Add(), ONE),
    ("norm", 1): lambda x: _call("sqrt", _method(_binary(x, ast.Pow(), TWO), "sum")),
    ("outer", 2): lambda a, b: _binary(_reshaped(a, -1, 1), ast.MatMult(), _reshaped(b, 1, -1)),
    ("inner", 2): lambda a, b: _method(_binary(a, ast.Mult(), b), "sum"),
    ("vdot", 2): lambda a, b: _method(_binary(a, ast.Mult(), b), "sum"),
    ("heaviside", 2): lambda x, at: _binary(
        ast.Compare(x, [ast.Gt()], [ZERO]), ast.Add(), _binary(at, ast.Mult(), ast.Compare(x, [ast.Eq()], [ZERO]))
    ),
    ("clip", 3): lambda x, low, high: _call("minimum", _call("maximum", x, low), high),
    ("logaddexp", 2): lambda a, b: _call("log", _binary(_call("exp", a), ast.Add(), _call("exp", b))),
    ("logsumexp", 1): lambda x: _call("log", _method(_call("exp", x), "sum")),
}
