"""A student's file, read statement by statement. Nothing is executed: Python's parser gives the trees."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nn.mathematics.formats import FROM_SUBSCRIPTS
from nn.mathematics.trees import names_in

from .expressions import Translation, at, canonical, is_key, keyed, number_of

PASSES = ("forward", "backward", "gradient", "grad", "loss")  # functions whose bodies are read, by how they begin
# What makes an array out of nothing: the arrays of a hand-in are drawn, whatever they are in the file.
MAKERS = ("randn", "rand", "normal", "uniform", "standard_normal", "random", "random_sample", "zeros", "ones", "array")
WRITTEN = {"ᵀ": ".T", "⊙": "*", "−": "-", "·": "*", "²": "**2", "½": "0.5", "∂": "d", "σ": "sigmoid"}


class UnreadableError(ValueError):
    """Says which statement cannot be read, and why."""


class Given(NamedTuple):
    """An input of the forward pass: an array of a shape that is stated, or is chosen (None), or a number."""

    shape: tuple[int, ...] | None = None
    number: float | None = None


class Statement(NamedTuple):
    """A statement as it was read: a name, and the tree of what it is; None for `...`.

    It `adds` where it changes what the name stood for, as += does.
    """

    name: str
    value: ast.expr | None
    line: int
    text: str
    adds: bool = False


def as_python(text: str) -> str:
    """Return a text in which what is written as on paper stands as Python has it; lines keep their numbers.

    Example:
        >>> as_python("∂J/∂W₀ = (dJ/dz₁) xᵀ")
        'dJ_dW0 = (dJ_dz1) x.T'
    """
    text = text.translate(FROM_SUBSCRIPTS)
    for sign, meant in WRITTEN.items():
        text = text.replace(sign, meant)
    text = re.sub(r"(?:\|\||‖)(.+?)(?:\|\||‖)\s*(?:\^|\*\*)\s*2", r"np.sum((\1)**2)", text)
    text = re.sub(r"\^\{?[T⊤]\}?", ".T", text)
    return re.sub(r"\bd([JLE])\s*/\s*d\s*([A-Za-z]\w*)", r"d\1_d\2", text)


class Reader:
    """Reads statements one after another.

    Attributes:
        statements: in their order.
        given: what is said of inputs.
    """

    def __init__(self, name: str, lines: Sequence[str]) -> None:
        self.name, self.lines = name, lines
        self.statements: list[Statement] = []
        self.given: dict[str, Given] = {}
        self.functions: dict[str, ast.FunctionDef | ast.Lambda] = {}
        self.numbers: dict[str, float] = {}
        self._place: ast.AST | None = None

    def refuse(self, node: ast.AST, why: str) -> UnreadableError:
        """Return the error for something that cannot be read."""
        place = self._place or node
        number = getattr(place, "lineno", 0)
        if not self.name:
            return UnreadableError(f"{ast.unparse(node)!r} cannot be read: {why}")
        line = self.lines[number - 1].strip() if 0 < number <= len(self.lines) else ast.unparse(node)
        return UnreadableError(f"{self.name}, line {number}: {line!r} cannot be read: {why}")

    def read(self, tree: ast.Module) -> None:
        """Read a file: its statements, or where it has functions forward and backward, the statements of these."""
        passes: list[ast.stmt] = []
        straight: list[ast.stmt] = []
        for node in tree.body:
            match node:
                case ast.FunctionDef(name=name, body=body):
                    self.functions[name] = node
                    passes += body if name.lower().startswith(PASSES) else []
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda() as function):
                    self.functions[name] = function
                case ast.AnnAssign(value=None):
                    self._block([node])
                case _:
                    straight.append(node)
        self._block(passes or straight)

    def _block(self, body: Iterable[ast.stmt]) -> None:
        for node in body:
            self._place = node
            self._statement(node)

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Return() | ast.Assert() | ast.ClassDef():
                return
            case ast.Expr(value=ast.Constant()):
                return
            case ast.Expr(value=ast.Call(func=function)) if ast.unparse(function).split(".")[-1] in ("print", "seed"):
                return
            case ast.AnnAssign(target=ast.Name(id=name), annotation=shape, value=None):
                self.given[canonical(name)] = Given(self._shape(shape))
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self._assign(target, value)
            case ast.Assign(targets=targets, value=value):
                for each in targets:
                    self._assign(each, value)
            case ast.AugAssign(target=target, op=op, value=value):
                name = self._name(target)
                old = at(ast.Name(name, ast.Load()), target)
                self._state(name, at(ast.BinOp(old, op, value), node), adds=True)
            case ast.For() | ast.While():
                raise self.refuse(node, "it is a loop: write its steps out, one line each")
            case ast.Expr(value=value):
                raise self.refuse(node, "it states nothing: expected NAME = EXPRESSION")
            case _:
                kind = type(node).__name__.lower()
                raise self.refuse(node, f"expected NAME = EXPRESSION, got a statement of another kind ({kind})")

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple):
            if isinstance(value, ast.Name):  # W0, b0 = parameters: what the forward pass is handed
                return
            if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
                for each, part in zip(target.elts, value.elts, strict=True):
                    self._assign(each, part)
                return
            if isinstance(value, ast.Attribute) and value.attr == "shape":
                for axis, each in enumerate(target.elts):
                    self._assign(each, ast.Subscript(value, ast.Constant(axis), ast.Load()))
                return
            raise self.refuse(value, "several names are stated at once: give each a line")
        if isinstance(target, ast.Name) and isinstance(value, ast.Dict):  # grads = {"W0": dz1 @ x.T}
            for key, part in zip(value.keys, value.values, strict=True):
                if key is not None and not isinstance(part, ast.Name):
                    self._assign(ast.Subscript(target, key, ast.Store()), part)
            return
        if isinstance(target, ast.Name) and isinstance(value, ast.Tuple | ast.List):  # what backward is handed
            return
        if isinstance(target, ast.Subscript) and not is_key(target.slice):  # dz[z <= 0] = 0
            name = self._name(target.value)
            if not isinstance(target.slice, ast.Compare | ast.Name | ast.UnaryOp | ast.Call):
                raise self.refuse(target, "a part of an array is set: state whole arrays")
            old = at(ast.Name(name, ast.Load()), target)
            call = ast.Call(ast.Name("where"), [target.slice, value, old], [])
            self._state(name, at(call, target), adds=True)
            return
        name = self._name(target)
        match value:
            case ast.Subscript(value=ast.Name(), slice=key) if is_key(key) and self._name(value) == name:
                return  # W0 = parameters["W0"] states nothing of W0
            case ast.Attribute(value=ast.Name(id="self")) if self._name(value) == name:
                return
        self._state(name, value)

    def _name(self, target: ast.expr) -> str:
        match target:
            case ast.Name(id=name):
                return canonical(name)
            case ast.Subscript(value=ast.Name(id=owner), slice=key) if is_key(key):
                return keyed(owner, key)
            case ast.Attribute(attr=name):  # self.z1
                return canonical(name)
        raise self.refuse(target, "expected a name on the left side")

    def _state(self, name: str, value: ast.expr, adds: bool = False) -> None:
        """Enter what is stated of a name."""
        number = getattr(self._place, "lineno", 0)
        text = self.lines[number - 1].partition("#")[0].strip() if 0 < number <= len(self.lines) else ""
        if isinstance(value, ast.Constant) and value.value is ...:
            self.statements.append(Statement(name, None, number, text))
        elif (constant := number_of(value)) is not None:
            if any(statement.name == name for statement in self.statements) or name in ("dJ", "dJ_dJ"):
                self.statements.append(Statement(name, ast.Constant(constant), number, text))
            else:
                self.numbers[name] = constant
                self.given[name] = Given(number=constant)
        elif (maker := self._maker(value)) is not None:
            if maker.func.attr not in ("default_rng", "RandomState"):  # type: ignore[attr-defined]
                self.given[name] = Given(self._shape_made(maker))
        else:
            self.statements.append(Statement(name, Translation(self, {}).of(value), number, text, adds))

    def _maker(self, value: ast.expr) -> ast.Call | None:
        """Return the call that makes an array out of nothing, if a value is made by one."""
        for node in ast.walk(value):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value)
                drawn = "random" in owner or "rng" in owner.lower() or node.func.attr in ("default_rng", "RandomState")
                literal = not names_in(*node.args) - {*self.numbers} and owner in ("np", "numpy")
                if (drawn or literal) and node.func.attr in (*MAKERS, "default_rng", "RandomState"):
                    return node
        return None

    def _shape_made(self, call: ast.Call) -> tuple[int, ...] | None:
        """Return the shape of what a call makes; None where it does not say."""
        name = call.func.attr  # type: ignore[attr-defined]
        size = next((keyword.value for keyword in call.keywords if keyword.arg in ("size", "shape")), None)
        if name == "array":
            return _shape_of_literal(call.args[0]) if call.args else None
        if size is None and name in ("randn", "rand"):
            size = ast.Tuple(call.args, ast.Load())
        if size is None and name in ("zeros", "ones", "standard_normal", "random", "random_sample") and call.args:
            size = call.args[0]
        if size is None and name in ("normal", "uniform") and len(call.args) == 3:
            size = call.args[2]
        return None if size is None else self._shape(size)

    def _shape(self, node: ast.expr) -> tuple[int, ...] | None:
        sizes = node.elts if isinstance(node, ast.Tuple | ast.List) else [node]
        found: list[int] = []
        for size in sizes:
            value = self.numbers.get(size.id) if isinstance(size, ast.Name) else number_of(size)
            if isinstance(size, ast.Name) and value is None and isinstance(self._place, ast.AnnAssign):
                return None  # x: np.ndarray says nothing of its shape
            if value is None or value != int(value) or value < 1:
                return None
            found.append(int(value))
        return tuple(found)


def _shape_of_literal(node: ast.expr) -> tuple[int, ...] | None:
    if isinstance(node, ast.List | ast.Tuple):
        inner = _shape_of_literal(node.elts[0]) if node.elts else None
        return None if inner is None else (len(node.elts), *inner)
    return ()
