"""A student's forward pass and gradients, read statement by statement as lines of the language of equations.

Nothing is executed: Python's parser gives the tree of each statement, and what has a meaning in the language of
equations is taken over. NumPy's names, `dJ/dW2 = ...`, subscripts such as W₀, and small functions of one's own are
understood.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from nn.mathematics.formats import FROM_SUBSCRIPTS
from nn.mathematics.program import Line
from nn.mathematics.trees import names_in, nodes, rewritten

CLASS_AXIS = "class_axis"  # stands in softmax(z) for the axis of the classes, which the layout decides
PASSES = ("forward", "backward", "gradient", "grad", "loss")  # functions whose bodies are read, by how they begin
LOSSES = ("J", "L", "loss", "Loss", "cost", "E")
# What makes an array out of nothing: the arrays of a hand-in are drawn, whatever they are in the file.
MAKERS = ("randn", "rand", "normal", "uniform", "standard_normal", "random", "random_sample", "zeros", "ones", "array")
WRITTEN = {"ᵀ": ".T", "⊙": "*", "−": "-", "·": "*", "²": "**2", "½": "0.5", "∂": "d", "σ": "sigmoid"}


class UnreadableError(ValueError):
    """Says which statement cannot be read, and why."""


class Given(NamedTuple):
    """An input of the forward pass: an array of a shape that is stated, or is chosen (None), or a number."""

    shape: tuple[int, ...] | None = None
    number: float | None = None


class Answer(NamedTuple):
    """What a student states of one gradient.

    Attributes:
        symbol: what J is differentiated by.
        value: the tree; None where it is not filled in yet.
        line: the number of the line.
        text: as it is written.
    """

    symbol: str
    value: ast.expr | None
    line: int
    text: str


class HandIn(NamedTuple):
    """What was read.

    Attributes:
        forward: the lines that lead to J.
        loss: the symbol of J.
        given: the inputs that something is said of.
        answers: the gradients, in their order.
        helpers: further lines, such as masks.
    """

    forward: list[Line]
    loss: str
    given: dict[str, Given]
    answers: list[Answer]
    helpers: list[Line]

    @property
    def inputs(self) -> list[str]:
        """The symbols that the forward pass uses and does not state, in the order in which it uses them."""
        stated = {line.names[0] for line in self.forward}
        used = [name for line in self.forward for name in ordered_names(line.value)]
        return [name for name in dict.fromkeys(used) if name not in stated and name != CLASS_AXIS]


class Statement(NamedTuple):
    """A statement as it was read: a name, and the tree of what it is; None for `...`.

    It `adds` where it changes what the name stood for, as += does.
    """

    name: str
    value: ast.expr | None
    line: int
    text: str
    adds: bool = False


def ordered_names(tree: ast.AST) -> list[str]:
    """Return the symbols of a tree, from left to right."""
    return list(dict.fromkeys(node.id for node in nodes(tree) if isinstance(node, ast.Name)))


def read(text: str, name: str = "the hand-in") -> HandIn:
    """Read a hand-in.

    Args:
        text: Python statements: the forward pass, then gradients such as dW2 = dz3 @ a2.T.
        name: what to call it in errors.

    Raises:
        UnreadableError: for a statement that cannot be read, with its line.

    Example:
        >>> hand_in = read("z = W @ x\\nJ = 0.5 * np.sum((z - y)**2)\\ndJ/dz = z - y")
        >>> hand_in.inputs, [answer.symbol for answer in hand_in.answers]
        (['W', 'x', 'y'], ['z'])
    """
    written = as_python(text)
    try:
        tree = ast.parse(written)
    except (SyntaxError, ValueError) as error:
        number = getattr(error, "lineno", None) or 1
        lines = text.splitlines() or [""]
        line = lines[min(number, len(lines)) - 1].strip()
        raise UnreadableError(
            f"{name}, line {number}: {line!r} cannot be read: {getattr(error, 'msg', error)}"
        ) from None
    reader = _Reader(name, text.splitlines())
    reader.read(tree)
    return _sorted(reader, name)


def read_expression(text: str, symbols: Iterable[str]) -> ast.expr:
    """Read one expression, such as an answer in a quiz; gradients may be called dz3, dJ_dz3 or dJ/dz3.

    Args:
        text: the expression.
        symbols: those of the forward pass.

    Raises:
        UnreadableError: for what cannot be read.

    Example:
        >>> ast.unparse(read_expression("np.dot(dJ/dz3, a2.T)", ["z3", "a2"]))
        'dz3 @ a2.T'
    """
    try:
        tree = ast.parse(as_python(text).strip(), mode="eval")
    except (SyntaxError, ValueError) as error:
        raise UnreadableError(f"{text.strip()!r} cannot be read: {getattr(error, 'msg', error)}") from None
    value = _Reader("", [text]).tree(tree.body)
    return _with_gradients(value, set(map(outer, symbols)))


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


# ---- what is a gradient, what leads to J


def _symbol_of(name: str, symbols: set[str]) -> str | None:
    """Return the symbol that a name is the gradient by, in one of the ways in which that is written."""
    for pattern in (r"d(?:[JLE]|loss|cost)_?d_?(\w+)", r"d_?(\w+)", r"(?:grad|g)_(\w+)", r"(\w+)_grad"):
        if (match := re.fullmatch(pattern, name)) and _canonical(match[1]) in symbols:
            return _canonical(match[1])
    return None


def inner(name: str) -> str:
    """Return the symbol for a name; in the language of equations, only gradients begin with d.

    Example:
        >>> inner("z3"), inner("diff")
        ('z3', '_diff')
    """
    return f"_{name}" if name[0] == "d" and len(name) > 1 else name


def outer(symbol: str) -> str:
    """Return the name that a symbol has in the student's file.

    Example:
        >>> outer("z3"), outer("_diff")
        ('z3', 'diff')
    """
    return symbol.removeprefix("_") if symbol.startswith("_d") else symbol


def _with_gradients(tree: ast.expr, symbols: set[str]) -> ast.expr:
    """Return a tree in which each gradient has its name in the language of equations: d and the symbol."""

    def rule(node: ast.expr) -> ast.expr | None:
        if not isinstance(node, ast.Name):
            return None
        if node.id in symbols:
            return ast.Name(inner(node.id))
        symbol = _symbol_of(node.id, symbols)
        return ast.Name(f"d{inner(symbol)}") if symbol else None

    return rewritten(tree, rule)


def _sorted(reader: _Reader, name: str) -> HandIn:
    """Tell the forward pass from the gradients, and from what is neither."""
    everything = {
        *reader.given,
        *(statement.name for statement in reader.statements),
        *(symbol for statement in reader.statements if statement.value for symbol in names_in(statement.value)),
    }
    looks_like = {s.name for s in reader.statements if _symbol_of(s.name, everything - {s.name})}
    symbols = everything - {symbol for symbol in everything if _symbol_of(symbol, everything - {symbol})}
    forward: dict[str, Statement] = {}
    back: dict[str, Statement] = {}
    gradients: set[str] = set()
    for statement in reader.statements:
        value = statement.value and _with_gradients(statement.value, symbols)
        is_gradient = statement.name in looks_like and statement.name not in symbols
        target = f"d{inner(_symbol_of(statement.name, symbols) or '')}" if is_gradient else inner(statement.name)
        of_gradient = is_gradient or (value is not None and bool(names_in(value) & gradients))
        if not is_gradient and re.match(r"d[JLE]_d", statement.name):
            what = re.sub(r"d[JLE]_d_?", "", statement.name)
            raise UnreadableError(f"{name}, line {statement.line}: there is no {what} in the forward pass")
        if of_gradient:
            gradients.add(target)
        where = back if of_gradient else forward
        if (earlier := where.get(target)) is not None and value is not None:
            if not of_gradient and not statement.adds:
                raise UnreadableError(
                    f"{name}, line {statement.line}: {statement.text!r} states {statement.name} again, as line "
                    f"{earlier.line} does: each node needs a name of its own"
                )
            value = _substituted(value, target, earlier.value)
        if value is None and not of_gradient:
            raise UnreadableError(f"{name}, line {statement.line}: {statement.text!r}: a forward pass has no blanks")
        where.pop(target, None)
        where[target] = Statement(target, value, statement.line, statement.text)
    return _assembled(reader, forward, back, name)


def _assembled(reader: _Reader, forward: dict[str, Statement], back: dict[str, Statement], name: str) -> HandIn:
    if not forward:
        raise UnreadableError(
            f"{name} states no forward pass: lines such as z1 = W0 @ x + b0, the last of them J = ..."
        )
    loss = next((symbol for symbol in LOSSES if symbol in forward), "")
    if not loss:
        raise UnreadableError(f"{name} states no loss: expected a line J = ...")
    needed, new = {loss}, {loss}
    while new:
        found = [forward[symbol].value for symbol in new if symbol in forward]
        new = set().union(*(names_in(value) for value in found if value)) - needed
        needed |= new
    lines = {
        s.name: Line((ast.Name(s.name),), s.value, False, s.line)
        for s in (*forward.values(), *back.values())
        if s.value
    }
    passes = [lines[symbol] for symbol in forward if symbol in needed]
    symbols = needed | {f"d{symbol}" for symbol in needed}
    answers = [
        Answer(s.name[1:], s.value, s.line, s.text) for s in back.values() if s.name in symbols and s.name[0] == "d"
    ]
    named = {f"d{answer.symbol}" for answer in answers}
    rest = [s for s in (*forward.values(), *back.values()) if s.name not in needed and s.name not in named]
    helpers = [lines[s.name] for s in sorted(rest, key=lambda s: s.line) if s.name in lines]
    given = {inner(name): what for name, what in reader.given.items() if inner(name) not in forward}
    return HandIn(passes, loss, given, answers, helpers)


def _substituted(value: ast.expr, name: str, earlier: ast.expr | None) -> ast.expr:
    """Return a tree with what a name stood for before in its place."""
    return rewritten(value, lambda node: earlier if isinstance(node, ast.Name) and node.id == name else None)


def _canonical(name: str) -> str:
    """Return W0 for W_0."""
    return re.sub(r"([A-Za-z])_(\d+)$", r"\1\2", name)


def _at(node: Any, like: ast.AST) -> Any:
    return ast.copy_location(node, like)


# ---- statements


class _Reader:
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
                self.given[_canonical(name)] = Given(self._shape(shape))
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self._assign(target, value)
            case ast.Assign(targets=targets, value=value):
                for each in targets:
                    self._assign(each, value)
            case ast.AugAssign(target=target, op=op, value=value):
                name = self._name(target)
                old = _at(ast.Name(name, ast.Load()), target)
                self._state(name, _at(ast.BinOp(old, op, value), node), adds=True)
            case ast.For() | ast.While():
                raise self.refuse(node, "it is a loop: write its steps out, one line each")
            case ast.Expr(value=value):
                raise self.refuse(node, "it states nothing: expected NAME = EXPRESSION")
            case _:
                kind = type(node).__name__.lower()
                raise self.refuse(node, f"expected NAME = EXPRESSION, got a statement of another kind ({kind})")

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple):
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
        if isinstance(target, ast.Subscript) and not _is_key(target.slice):  # dz[z <= 0] = 0
            name = self._name(target.value)
            if not isinstance(target.slice, ast.Compare | ast.Name | ast.UnaryOp | ast.Call):
                raise self.refuse(target, "a part of an array is set: state whole arrays")
            old = _at(ast.Name(name, ast.Load()), target)
            call = ast.Call(ast.Name("where"), [target.slice, value, old], [])
            self._state(name, _at(call, target), adds=True)
            return
        self._state(self._name(target), value)

    def _name(self, target: ast.expr) -> str:
        match target:
            case ast.Name(id=name):
                return _canonical(name)
            case ast.Subscript(value=ast.Name(id=owner), slice=key) if _is_key(key):
                return _keyed(owner, key)
            case ast.Attribute(attr=name):  # self.z1
                return _canonical(name)
        raise self.refuse(target, "expected a name on the left side")

    def _state(self, name: str, value: ast.expr, adds: bool = False) -> None:
        """Enter what is stated of a name."""
        number = getattr(self._place, "lineno", 0)
        text = self.lines[number - 1].partition("#")[0].strip() if 0 < number <= len(self.lines) else ""
        if isinstance(value, ast.Constant) and value.value is ...:
            self.statements.append(Statement(name, None, number, text))
        elif (constant := self._number(value)) is not None:
            if any(statement.name == name for statement in self.statements) or name in ("dJ", "dJ_dJ"):
                self.statements.append(Statement(name, ast.Constant(constant), number, text))
            else:
                self.numbers[name] = constant
                self.given[name] = Given(number=constant)
        elif (maker := self._maker(value)) is not None:
            if maker.func.attr not in ("default_rng", "RandomState"):  # type: ignore[attr-defined]
                self.given[name] = Given(self._shape_made(maker))
        else:
            self.statements.append(Statement(name, self.tree(value), number, text, adds))

    def _number(self, node: ast.expr) -> float | None:
        """Return the value of an expression of numbers alone."""
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                number = self._number(operand)
                return None if number is None else -number
            case ast.BinOp(left=left, op=ast.Pow() | ast.Mult() | ast.Div() as op, right=right):
                a, b = self._number(left), self._number(right)
                if a is None or b is None or (isinstance(op, ast.Div) and b == 0):
                    return None
                return a**b if isinstance(op, ast.Pow) else a * b if isinstance(op, ast.Mult) else a / b
        return None

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
            value = self.numbers.get(size.id) if isinstance(size, ast.Name) else self._number(size)
            if isinstance(size, ast.Name) and value is None and isinstance(self._place, ast.AnnAssign):
                return None  # x: np.ndarray says nothing of its shape
            if value is None or value != int(value) or value < 1:
                return None
            found.append(int(value))
        return tuple(found)

    # ---- expressions

    def tree(self, node: ast.expr, names: Mapping[str, ast.expr] | None = None) -> ast.expr:
        """Return an expression in the language of equations.

        Args:
            node: as it stands in the file.
            names: what the arguments of a function that is written out stand for.
        """
        return _Translation(self, names or {}).of(node)


def _is_key(node: ast.expr) -> bool:
    """Tell whether a subscript is that of a dict or a list: params["W0"], W[0]."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str | int) and not isinstance(node.value, bool)


def _keyed(owner: str, key: ast.expr) -> str:
    value = key.value  # type: ignore[attr-defined]
    if isinstance(value, int):
        return _canonical(f"{owner}_{value}")
    name = _canonical(value)
    is_gradient = owner.lower().startswith(("grad", "dj", "d_")) and not name.startswith("d")
    return f"d{name}" if is_gradient else name


def _shape_of_literal(node: ast.expr) -> tuple[int, ...] | None:
    if isinstance(node, ast.List | ast.Tuple):
        inner = _shape_of_literal(node.elts[0]) if node.elts else None
        return None if inner is None else (len(node.elts), *inner)
    return ()


# ---- expressions

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


class _Translation:
    """Writes one expression in the language of equations."""

    def __init__(self, reader: _Reader, names: Mapping[str, ast.expr], depth: int = 0) -> None:
        self.reader, self.names, self.depth = reader, names, depth

    def of(self, node: ast.expr) -> ast.expr:
        """Return the expression."""
        return _at(self._of(node), node)

    def _of(self, node: ast.expr) -> ast.expr:
        refuse = self.reader.refuse
        match node:
            case ast.Constant(value=bool() | int() | float() as value):
                return ast.Constant(float(value) if isinstance(value, float) else int(value))
            case ast.Constant(value=value) if value is ...:
                raise refuse(node, "a blank within an expression: fill it in, or leave the whole right side as ...")
            case ast.Name(id=name):
                return self.names.get(name) or ast.Name(_canonical(name), ast.Load())
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
                return ast.Name(_canonical(name), ast.Load())
            case ast.Attribute(value=value, attr="T" | "shape" | "size" | "ndim" as name):
                return ast.Attribute(self.of(value), name, ast.Load())
            case ast.Subscript(value=ast.Attribute(attr="shape") as shape, slice=place):
                axis = self.reader._number(place)
                if axis is not None:
                    return ast.Subscript(self.of(shape), ast.Constant(int(axis)), ast.Load())
            case ast.Subscript(value=ast.Name(id=owner), slice=key) if _is_key(key):
                return ast.Name(_keyed(owner, key), ast.Load())
            case ast.Subscript(value=value, slice=ast.Tuple(elts=[first, second])):
                for axis, (kept, new) in enumerate(((second, first), (first, second))):
                    if isinstance(kept, ast.Slice) and ast.unparse(new) in ("None", "np.newaxis"):
                        return _reshaped(self.of(value), *((1, -1) if axis == 0 else (-1, 1)))
                raise refuse(node, "it takes a part of an array: write it for whole arrays")
            case ast.Subscript():
                raise refuse(node, "it takes a part of an array: write it for whole arrays")
            case ast.Call(func=ast.Name(id=name)) if name in self.reader.functions:
                return self._written_out(node, self.reader.functions[name])
            case ast.Call(func=ast.Attribute(value=of, attr=name)) if ast.unparse(of) in (*MODULES, "np.linalg"):
                return self._call(node, name, node.args)
            case ast.Call(func=ast.Attribute(value=of, attr=name)):
                return self._call(node, name, [of, *node.args], is_method=True)
            case ast.Call(func=ast.Name(id=name)):
                return self._call(node, {"max": "maximum", "min": "minimum"}.get(name, name), node.args)
        raise refuse(node, f"{ast.unparse(node)} has no meaning in the language of equations")

    def _call(self, node: ast.Call, name: str, given: Sequence[ast.expr], is_method: bool = False) -> ast.expr:
        """Return what a function of NumPy, or a method of an array, is in the language of equations."""
        refuse = self.reader.refuse
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
            raise self.reader.refuse(
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
        number = self.reader._number(axis)
        if number is None:
            raise self.reader.refuse(axis, "the axis is no number")
        return ast.Constant(int(number))

    def _written_out(self, node: ast.Call, function: ast.FunctionDef | ast.Lambda) -> ast.expr:
        """Return a call of a function of one's own, with what it returns in its place."""
        refuse = self.reader.refuse
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
            return _Translation(self.reader, names, self.depth + 1).of(function.body)
        for statement in function.body:
            inner = _Translation(self.reader, names, self.depth + 1)
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
