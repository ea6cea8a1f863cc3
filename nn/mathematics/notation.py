"""Equations as they are printed: text, LaTeX, or MathML, from the syntax trees that are also run.

One walk writes them all; a notation only says how it writes a sum, a fraction, a script. Words write themselves
(words.py). Gradients are written as derivatives: dW is ∂J/∂W.
"""

from __future__ import annotations

import ast
import functools
import html
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .program import (
    Line,
    Loop,
    base,
    dedented,
    flat,
    gradients,
    is_ellipsis,
    names_in,
    parse,
    parse_expression,
    subscripts,
)
from .words import REDUCTIONS, WORDS

SUBSCRIPTS = str.maketrans("0123456789aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
FROM_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
SUPERSCRIPTS = str.maketrans("0123456789−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
LOOSE, RELATION, SUM, PRODUCT, FRACTION, POWER, ATOM = range(7)  # how tightly what is written holds together
# fmt: off
COMPARISONS = {
    ast.Gt: ">", ast.GtE: "≥", ast.Lt: "<", ast.LtE: "≤", ast.Eq: "=", ast.NotEq: "≠",
    ast.In: "∈", ast.NotIn: "∉", ast.Is: "=", ast.IsNot: "≠",
}
GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "eps": "ε", "epsilon": "ε", "eta": "η",
    "lam": "λ", "mu": "μ", "rho": "ρ", "sigma": "σ", "tau": "τ",
}
HATS = {f"{letter}hat": f"{letter}\N{COMBINING CIRCUMFLEX ACCENT}" for letter in "abcdefghijklmnopqrstuvwxyz"}
LATEX_SIGNS = {
    "−": "-", "⊙": r"\odot", "≥": r"\ge", "≤": r"\le", "≠": r"\ne", "∈": r"\in", "∉": r"\notin", "‖": r"\|",
    "⌊": r"\lfloor", "⌋": r"\rfloor", "∑": r"\sum", "∏": r"\prod", "max": r"\max", "min": r"\min",
    "+=": r"\mathrel{+}=", "mod": r"\bmod", "…": r"\dots", "and": r"\text{ and }", "or": r"\text{ or }",
}
# fmt: on


class Shown(ast.Name):
    """What is written in the place of a symbol.

    Attributes:
        id: the symbol.
        letter, subscript: the name.
        gradient: whether it is the derivative of J by it.
        scalar: whether it is one number, by which a product needs no sign.
        literal: whether the letter stands as it is, such as a shape.
    """

    def __init__(
        self,
        symbol: str,
        letter: str,
        subscript: str = "",
        gradient: bool = False,
        scalar: bool = False,
        literal: bool = False,
    ) -> None:
        super().__init__(symbol)
        self.letter, self.subscript = letter, subscript
        self.gradient, self.scalar, self.literal = gradient, scalar, literal


def shown(node: ast.expr, names: Mapping[str, ast.expr]) -> ast.expr:
    """Return a tree with what is shown in the place of its symbols.

    Args:
        node: the tree.
        names: by symbol, gradients among them; other symbols are written as they are.
    """

    class Replace(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return names.get(node.id, node)

        def visit_Call(self, node: ast.Call) -> ast.expr:
            function = node.func if isinstance(node.func, ast.Name) else self.visit(node.func)
            return ast.Call(function, [self.visit(argument) for argument in node.args], node.keywords)

        def generic_visit(self, node: Any) -> Any:  # on copies: trees are shared by all that use them
            fields = {name: self._copied(value) for name, value in ast.iter_fields(node)}
            return node if isinstance(node, Shown) else type(node)(**fields)

        def _copied(self, value: Any) -> Any:
            if isinstance(value, list):
                return [self.visit(item) for item in value]
            return self.visit(value) if isinstance(value, ast.AST) else value

    return Replace().visit(node)


def to_text(equations: str, rename: Mapping[str, str] | None = None, scalars: Iterable[str] = ()) -> str:
    """Return equations, or an expression, as Unicode text, a line each.

    In an expression `a == b` is written as the equation a = b. Gradients are written as derivatives of J.

    Args:
        equations: in the language of the equations.
        rename: names that take the place of symbols; the gradients by them follow.
        scalars: the symbols that stand for one number, by which a product needs no sign.

    Raises:
        ValueError: for what cannot be read.

    Example:
        >>> to_text("y = x @ W.T + b", {"W": "W2", "x": "a1", "y": "z2"})
        'z₂ = a₁ W₂ᵀ + b'
        >>> to_text("dW = dy.T @ x")
        '∂J/∂W = (∂J/∂y)ᵀ x'
        >>> to_text("y[..., o] = b[o] + sum(W[o, i] * x[..., i], i)")
        'y[…,o] = bₒ + Σᵢ W[o,i] x[…,i]'
    """
    return _of_source(Text, equations, rename, scalars)


def to_latex(equations: str, rename: Mapping[str, str] | None = None, scalars: Iterable[str] = ()) -> str:
    r"""Return equations as LaTeX for mathematics mode, with the package amsmath; arguments as in `to_text`.

    Example:
        >>> to_latex("dW = dy.T @ x / n", scalars={"n"})
        '\\frac{\\partial J}{\\partial W} = \\frac{\\left( \\frac{\\partial J}{\\partial y} \\right)^{\\top} x}{n}'
    """
    return _of_source(Latex, equations, rename, scalars)


def to_mathml(equations: str, rename: Mapping[str, str] | None = None, scalars: Iterable[str] = ()) -> str:
    """Return equations as a `<math>` element of presentation MathML; arguments as in `to_text`.

    Example:
        >>> to_mathml("x0 ** 2").removeprefix('<math xmlns="http://www.w3.org/1998/Math/MathML">')
        '<msubsup><mi>x</mi><mn>0</mn><mn>2</mn></msubsup></math>'
    """
    return mathml_element(_of_source(MathML, equations, rename, scalars))


def mathml_element(inside: str) -> str:
    """Return the `<math>` element around what `MathML` wrote."""
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML">{inside}</math>'


def _of_source(notation: type[Notation], source: str, rename: Mapping[str, str] | None, scalars: Iterable[str]) -> str:
    source = dedented(source).translate(FROM_SUBSCRIPTS)
    rename = {old: new.translate(FROM_SUBSCRIPTS) for old, new in (rename or {}).items()}
    scalars = {*scalars, *(rename[name] for name in scalars if name in rename)}
    names: dict[str, ast.expr] = {old: ast.Name(new) for old, new in rename.items()}
    names |= {f"d{old}": ast.Name(f"d{new}") for old, new in rename.items()}
    if not _states_lines(source):
        value = parse_expression(source)
        lines = [Line((ast.Name("_"),), value, False, 1)]
        return notation.of_program(lines, scalars).at(shown(value, names), LOOSE)
    program = parse(source)
    for name in gradients(program):
        names[name] = Shown(name, *split_name(rename.get(name[1:], name[1:])), gradient=True)
    return notation.of_program(program, scalars).lines(program, names)


def _states_lines(source: str) -> bool:
    try:
        return not isinstance(ast.parse(source).body[0], ast.Expr)
    except (SyntaxError, IndexError):
        return "\n" in source or re.search(r"(?<![=<>!])=(?!=)", source) is not None


def split_name(name: str) -> tuple[str, str]:
    """Return a name's letter and its subscript.

    Example:
        >>> split_name("x0"), split_name("m_new"), split_name("pos_weight")
        (('x', '0'), ('m', 'new'), ('pos_weight', ''))
    """
    match = re.fullmatch(r"(.*?[A-Za-z])(\d+)|(\w+)_(new)", name)
    if match:
        return (match[1], match[2]) if match[1] else (match[3], match[4])
    small = len(name) == 2 and name not in GREEK and name[1] != name[1].translate(SUBSCRIPTS)
    return (name[0], name[1]) if small and name.isalpha() else (name, "")


class Piece(NamedTuple):
    """Something written: how tightly it holds together, and for a product or a symbol of which kind it is."""

    text: str
    level: int
    kind: str = ""


class Notation(ABC):
    """The walk that writes; a subclass says how in its format.

    Args:
        scalars: the symbols that stand for one number.
        indices: the names that are indices.
        sequences: the symbols that are stated step by step.
    """

    def __init__(self, scalars: Iterable[str] = (), indices: Iterable[str] = (), sequences: Iterable[str] = ()) -> None:
        self.scalars, self.indices, self.sequences = frozenset(scalars), frozenset(indices), frozenset(sequences)
        self.depth = 0  # of subscripts: all that stands in them is numbers

    def at(self, node: ast.expr, least: int) -> str:
        """Return a node's text, in brackets when it holds together less than `least`."""
        piece = self.write(node)
        return piece.text if piece.level >= least else self.enclosed(node, piece)

    def enclosed(self, node: ast.expr, piece: Piece) -> str:
        return self.indicator(piece.text) if isinstance(node, ast.Compare) else self.fenced("(", piece.text, ")")

    # ---- lines

    @classmethod
    def of_program(cls, program: Iterable[Line | Loop], scalars: Iterable[str] = ()) -> Notation:
        """Return a notation that knows the indices and the numbers of a program."""
        program = list(program)
        indices, sequences = cls.knowledge(program, scalars)
        sizes = {name for line in flat(program) for name in line.names if _is_size(line.value)}
        return cls({*scalars, *(loop.variable for loop in loops(program)), *sizes}, indices, sequences)

    @staticmethod
    def knowledge(program: Iterable[Line | Loop], scalars: Iterable[str] = ()) -> tuple[frozenset[str], frozenset[str]]:
        """Return which names in a program are indices, and which are stated step by step."""
        program = list(program)
        every = list(flat(program))
        steps = {loop.variable for loop in loops(program)}
        ranges = {name for line in every for name in line.names if _is_range(line)}
        stated = {name for line in every for name in line.names} - ranges
        parts = [part for line in every for part in (*line.targets, line.value)]
        alone = {
            place.id
            for part in parts
            for node in ast.walk(part)
            if isinstance(node, ast.Subscript)
            for place in subscripts(node)
            if isinstance(place, ast.Name)
        }
        indices = ranges | (alone - stated - steps - {*scalars})
        targets = [t for line in every for t in line.targets if isinstance(t, ast.Subscript)]
        entries = [node for part in parts for node in ast.walk(part) if isinstance(node, ast.Subscript)]
        sequences = [t for t in targets if not _is_indexed(t, indices)]
        sequences += [node for node in entries if names_in(node.slice) & steps]
        return frozenset(indices), frozenset(map(base, sequences))

    def lines(self, program: Iterable[Line | Loop], names: Mapping[str, ast.expr]) -> str:
        """Write lines, one below the other; one whose sides read the same, such as h0 = h[0], is left out."""
        program = list(program)
        stated = [name for line in flat(program) for name in line.names]
        return self.stacked([*self._lines(program, names, stated, 0)])

    def _lines(self, program: Iterable[Line | Loop], names: Mapping, stated: list[str], depth: int) -> Iterable:
        for line in program:
            if isinstance(line, Loop):
                yield depth, self.loop_head(line.variable, self.write(shown(line.stop, names)).text, line.backwards)
                yield from self._lines(line.lines, names, stated, depth + 1)
            else:
                alone = not depth and stated.count(line.names[0]) == 1
                left, sign, right = self.sides(line, names, alone)
                if left != right or len(stated) == 1:
                    yield depth, self.infix(left, sign, right)

    def sides(self, line: Line, names: Mapping[str, ast.expr], alone: bool = True) -> tuple[str, str, str]:
        """Write a line's left side, its sign, and its right side.

        Where the line `alone` states its target, += with bare indices is a sum over the others.
        """
        targets, value, sign = [shown(target, names) for target in line.targets], line.value, "="
        if line.adds:
            over = self.summed(line) if alone else None
            if over is None:
                sign = "+="
            elif over:
                value = ast.Call(ast.Name("sum"), [value, *over], [])
        value = shown(value, names)
        right = self.listed(value.elts) if isinstance(value, ast.Tuple) else self.side(value)
        return self.listed(targets), sign, right

    def side(self, value: ast.expr) -> str:
        """Write the right side of an equation; a comparison there is 1 or 0."""
        return self.at(value, SUM) if isinstance(value, ast.Compare) else self.write(value).text

    def summed(self, line: Line) -> list[ast.expr] | None:
        """Return the indices that a += sums over; None for a scatter, or a line without indices."""
        (target,) = line.targets
        places = subscripts(target) if isinstance(target, ast.Subscript) else []
        left = ["..." if is_ellipsis(place) else base(place) for place in places]
        if not left or not self.indices.union(["..."]).issuperset(left):
            return None
        return [ast.Constant(...) if n == "..." else ast.Name(n) for n in self.free(line.value) if n not in left]

    def free(self, node: ast.AST) -> list[str]:
        """Return the indices of a tree that no reduction runs over, in their order."""
        found: dict[str, None] = {}
        if isinstance(node, ast.Call) and base(node.func) in REDUCTIONS:
            over = {"..." if is_ellipsis(index) else base(index) for index in node.args[1:]}
            return [name for name in self.free(node.args[0]) if name not in over]
        if isinstance(node, ast.Subscript):
            for place in subscripts(node):
                names = [n.id for n in ast.walk(place) if isinstance(n, ast.Name)]
                found |= dict.fromkeys(["..."] if is_ellipsis(place) else names)
            return [name for name in found if name in self.indices or name == "..."]
        for child in ast.iter_child_nodes(node):
            found |= dict.fromkeys(self.free(child))
        return list(found)

    # ---- expressions

    def write(self, node: ast.expr) -> Piece:
        match node:
            case Shown():
                return self.shown_symbol(node)
            case ast.Constant(value=value):
                return self.symbol("…") if value is ... else self.number(value)
            case ast.Name(id="inf"):
                return self.symbol("∞")
            case ast.Name(id=name) if re.fullmatch(r"d[A-Za-z]\d*", name):
                return self.shown_symbol(Shown(name, *split_name(name[1:]), gradient=True))
            case ast.Name(id=name):
                return self.symbol(*split_name(name))
            case ast.Tuple(elts=items):
                return Piece(self.fenced("(", self.listed(items), ")"), ATOM)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.function("not", [operand])
            case ast.UnaryOp(operand=operand):
                return Piece(self.minus(self.at(operand, PRODUCT)), SUM)
            case ast.BoolOp(op=op, values=parts):
                word = "and" if isinstance(op, ast.And) else "or"
                written = [self.at(part, RELATION) for part in parts]
                return Piece(functools.reduce(lambda left, right: self.infix(left, word, right), written), LOOSE)
            case ast.BinOp(left=base_of, op=ast.Pow(), right=exponent):
                return Piece(self.script(self.at(base_of, ATOM), superscript=self.write(exponent).text), POWER)
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
                sign = "+" if isinstance(op, ast.Add) else "−"
                return Piece(self.infix(self.at(left, SUM), sign, self.at(right, PRODUCT)), SUM)
            case ast.BinOp() if (positive := _without_sign(node)) is not None:
                return self.write(ast.UnaryOp(ast.USub(), positive))
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return self.write(left) if _is_one(right) else self.quotient(left, right)
            case ast.BinOp(left=left, op=ast.FloorDiv(), right=right):
                return Piece(self.fenced("⌊", self.quotient(left, right).text, "⌋"), ATOM)
            case ast.BinOp(left=left, op=ast.Mod(), right=right):
                return Piece(self.infix(self.at(left, PRODUCT), "mod", self.at(right, ATOM)), PRODUCT)
            case ast.BinOp(left=left, op=op, right=right):
                return self.product(left, right, isinstance(op, ast.MatMult))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                loosely = isinstance(op, ast.Eq) and self.write(right).level == LOOSE
                sides = self.at(left, SUM), self.at(right, LOOSE if loosely else SUM)
                return Piece(self.infix(sides[0], COMPARISONS[type(op)], sides[1]), RELATION)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.cases(test, body, orelse)
            case ast.Attribute(value=value, attr="T" | "mT"):
                return Piece(self.transposed(self.at(value, ATOM)), POWER)
            case ast.Attribute(value=value, attr=name):
                return self.function(name, [value])
            case ast.Subscript(value=value):
                return self.entry(value, subscripts(node))
            case ast.Call(func=ast.Attribute(value=value, attr="sum"), args=axes):
                return self.sum(value, *axes)
            case ast.Call(func=ast.Attribute(value=value, attr="reshape"), args=arguments):
                return self.function("reshape", [value, *arguments])
            case ast.Call(func=ast.Attribute(value=value, attr=name), args=axes):
                return self.over(name, value, *axes)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                entry = REDUCTIONS[name] if name in REDUCTIONS else WORDS[name]
                return entry.show(self, arguments) if entry.show else self.function(name, arguments)
        raise ValueError(f"there is no way to write {ast.dump(node)}")

    def shown_symbol(self, node: Shown) -> Piece:
        if node.literal:
            return Piece(self.quoted(node.letter), ATOM)
        symbol = self.symbol(node.letter, node.subscript)
        return self.derivative(symbol.text) if node.gradient else symbol

    def entry(self, value: ast.expr, places: list[ast.expr]) -> Piece:
        """Write an array's entry, x[i, j], or a step of a sequence; of a gradient, the derivative by that entry."""
        if all(map(is_ellipsis, places)) and not self.indices:
            return self.write(value)
        self.depth += 1
        where = self.places([self.write(place).text for place in places])
        self.depth -= 1
        if isinstance(value, Shown) and value.gradient:
            plain = Shown(value.id, value.letter, value.subscript)
            return self.derivative(self.entry(plain, places).text)
        if isinstance(value, ast.Name) and not isinstance(value, Shown) and re.fullmatch(r"d[A-Za-z]\d*", value.id):
            return self.entry(Shown(value.id, *split_name(value.id[1:]), gradient=True), places)
        of = self.write(value)
        closed = of.level == ATOM and (of.kind != "indexed" or self.chains)
        return Piece(self.script(of.text if closed else self.enclosed(value, of), subscript=where), ATOM, "indexed")

    def places(self, written: list[str]) -> str:
        """Join what stands in a subscript."""
        return self.comma_close.join(written)

    def is_scalar(self, node: ast.AST) -> bool:
        """Tell whether an expression is one number, whatever the arrays."""
        if self.depth:
            return True
        match node:
            case Shown():
                return node.scalar
            case ast.Constant() | ast.Attribute(attr="size" | "ndim"):
                return True
            case ast.Subscript(value=ast.Attribute(attr="shape")):
                return True
            case ast.Subscript():
                return _is_indexed(node, self.indices) or base(node) not in self.sequences
            case ast.Name(id=name):
                return name in self.scalars | self.indices or name == "inf"
            case ast.Call(func=ast.Attribute(attr="sum" | "mean" | "max" | "min"), args=[]):
                return True
            case ast.Call(func=ast.Name(id=name), args=arguments):
                if name in REDUCTIONS or name == "len":
                    return len(arguments) > 1 or name == "len"
                return WORDS[name].elementwise and all(map(self.is_scalar, arguments))
            case ast.UnaryOp(operand=operand):
                return self.is_scalar(operand)
            case ast.BinOp(left=left, right=right) | ast.IfExp(body=left, orelse=right):
                return self.is_scalar(left) and self.is_scalar(right)
            case ast.Compare(left=left, comparators=[right]):
                return self.is_scalar(left) and self.is_scalar(right)
        return False

    def function(self, name: str, arguments: list[ast.expr]) -> Piece:
        return Piece(self.call(name, self.listed(arguments)), ATOM)

    def product(self, left: ast.expr, right: ast.expr, of_matrices: bool) -> Piece:
        """Write a product: of matrices and with numbers without a sign, of arrays entry by entry with ⊙."""
        if not of_matrices and (_is_one(left) or _is_one(right)):
            return self.write(right if _is_one(left) else left)
        by_number = any(map(self.is_scalar, (left, right)))
        kind = "matrices" if of_matrices else "scalar" if by_number else "entries"
        a, b = self.write(left), self.write(right)
        first, second, result = a.text, b.text, kind
        if a.level < PRODUCT or (a.level == PRODUCT and a.kind not in ("scalar", kind)):
            first = self.enclosed(left, a)
        # What follows a sum's sign belongs to the sum, so nothing may be multiplied to its right.
        runs_on = kind == "scalar" and b.kind not in ("quotient", "derivative")
        if b.level == PRODUCT and (b.kind in ("sum", kind) or runs_on):
            result = b.kind
        elif b.level <= PRODUCT:
            second = self.enclosed(right, b)
        return Piece(self.infix(first, "⊙" if kind == "entries" else "", second), PRODUCT, result)

    def sum(self, value: ast.expr, axis: ast.expr | None = None) -> Piece:
        """Write a sum of all entries, along an axis, or along axis 0 as the sum over the samples n."""
        if isinstance(axis, ast.Constant) and axis.value == 0:
            samples = ast.Subscript(value, ast.Name("n"), ast.Load())
            return self.over("∑", samples, ast.Name("n"))
        return self.over("∑", value, *([axis] if axis else []))

    def over(self, sign: str, value: ast.expr, *which: ast.expr) -> Piece:
        """Write a sum, a maximum or the like over indices or axes; over none it is of all entries."""
        axes = [axis for index in which for axis in (index.elts if isinstance(index, ast.Tuple) else [index])]
        below = self.comma_close.join(self.write(axis).text for axis in axes)
        return Piece(self.large(sign, below, self.at(value, PRODUCT)), PRODUCT, "sum")

    def between(self, opening: str, value: ast.expr, closing: str) -> Piece:
        """Write a value between bars."""
        return Piece(self.fenced(opening, self.write(value).text, closing), ATOM)

    def listed(self, items: list[ast.expr]) -> str:
        return self.comma.join(self.write(item).text for item in items)

    # ---- how a format writes it

    chains = False  # whether a subscript may follow another one
    comma = ", "
    comma_close = ","  # in subscripts

    @abstractmethod
    def stacked(self, lines: list[tuple[int, str]]) -> str: ...
    @abstractmethod
    def loop_head(self, variable: str, stop: str, backwards: bool) -> str: ...
    @abstractmethod
    def number(self, value: Any) -> Piece: ...
    @abstractmethod
    def quoted(self, text: str) -> str: ...
    @abstractmethod
    def symbol(self, letter: str, subscript: str = "") -> Piece: ...
    @abstractmethod
    def minus(self, text: str) -> str: ...
    @abstractmethod
    def infix(self, left: str, sign: str, right: str) -> str: ...
    @abstractmethod
    def fenced(self, opening: str, text: str, closing: str) -> str: ...
    @abstractmethod
    def indicator(self, text: str) -> str: ...
    @abstractmethod
    def script(self, base: str, subscript: str = "", superscript: str = "") -> str: ...
    @abstractmethod
    def transposed(self, base: str) -> str: ...
    @abstractmethod
    def call(self, name: str, arguments: str) -> str: ...
    @abstractmethod
    def large(self, sign: str, below: str, text: str) -> str: ...
    @abstractmethod
    def root(self, node: ast.expr) -> Piece: ...
    @abstractmethod
    def quotient(self, left: ast.expr, right: ast.expr) -> Piece: ...
    @abstractmethod
    def derivative(self, by: str) -> Piece: ...
    @abstractmethod
    def cases(self, test: ast.expr, body: ast.expr, orelse: ast.expr) -> Piece: ...


def loops(program: Iterable[Line | Loop]) -> Iterable[Loop]:
    """Yield all loops, also those in loops."""
    for line in program:
        if isinstance(line, Loop):
            yield line
            yield from loops(line.lines)


def _is_indexed(node: ast.Subscript, indices: Iterable[str]) -> bool:
    """Tell whether some of these stand in an entry's subscripts, or `...` does."""
    return any(is_ellipsis(place) or names_in(place).intersection(indices) for place in subscripts(node))


def _is_range(line: Line) -> bool:
    values = line.value.elts if isinstance(line.value, ast.Tuple) else [line.value]
    return any(isinstance(value, ast.Call) and base(value.func) == "range" for value in values)


def _is_size(value: ast.expr) -> bool:
    """Tell whether a value is the length of an axis, or several."""
    if isinstance(value, ast.Tuple):
        return all(map(_is_size, value.elts))
    size = value.value if isinstance(value, ast.Subscript) else value
    return isinstance(size, ast.Attribute) and size.attr in ("shape", "size", "ndim")


def _is_one(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 1


def _without_sign(node: ast.expr) -> ast.expr | None:
    """Return a product that begins with a minus, without it; None if it begins with none."""
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return operand
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div() | ast.MatMult() as op, right=right):
            positive = _without_sign(left)
            return None if positive is None else ast.BinOp(positive, op, right)
    return None


class Text(Notation):
    """One line of Unicode."""

    chains = True

    def stacked(self, lines: list[tuple[int, str]]) -> str:
        return "\n".join("  " * depth + line for depth, line in lines)

    def places(self, written: list[str]) -> str:
        return (", " if any(" " in place for place in written) else ",").join(written)

    def loop_head(self, variable: str, stop: str, backwards: bool) -> str:
        first, last = ("0", f"{stop} − 1")[:: -1 if backwards else 1]
        return f"for {variable} = {first}, …, {last}:"

    def number(self, value: Any) -> Piece:
        return Piece("½" if value == 0.5 else "none" if value is None else str(value).replace("-", "−"), ATOM)

    def quoted(self, text: str) -> str:
        return text

    def symbol(self, letter: str, subscript: str = "") -> Piece:
        name = HATS.get(letter) or GREEK.get(letter, letter)
        small = subscript.translate(SUBSCRIPTS)
        if any(c.isascii() for c in small) or (len(subscript) > 1 and not subscript.isdecimal()):
            return Piece(f"{name}[{subscript}]", ATOM, "indexed")
        return Piece(name + small, ATOM, "indexed" if subscript else "")

    def minus(self, text: str) -> str:
        return f"−{text}"

    def infix(self, left: str, sign: str, right: str) -> str:
        return f"{left} {sign} {right}" if sign else f"{left} {right}"

    def fenced(self, opening: str, text: str, closing: str) -> str:
        return opening + text + closing

    def indicator(self, text: str) -> str:
        return f"1[{text}]"

    def script(self, base: str, subscript: str = "", superscript: str = "") -> str:
        if subscript:
            small = subscript.translate(SUBSCRIPTS)
            low = len(subscript) == 1 and small != subscript and base[-1].isascii()
            return base + (small if low else f"[{subscript}]")
        plain = re.fullmatch(r"−?\d+", superscript)
        return base + (superscript.translate(SUPERSCRIPTS) if plain else f"^({superscript})")

    def transposed(self, base: str) -> str:
        return f"{base}ᵀ"

    def call(self, name: str, arguments: str) -> str:
        return f"{name}({arguments})"

    def large(self, sign: str, below: str, text: str) -> str:
        small = below.translate(SUBSCRIPTS)
        braced = f"_{below}" if below.isidentifier() else f"_{{{below}}}" if below else ""
        where = small if len(below) == 1 and not small.isascii() and below != "…" else braced
        return f"{sign.replace('∑', 'Σ').replace('∏', 'Π')}{where} {text}"

    def root(self, node: ast.expr) -> Piece:
        return Piece(f"√({self.write(node).text})", ATOM)

    def quotient(self, left: ast.expr, right: ast.expr) -> Piece:
        a, b = self.write(left), self.write(right)
        above = self.enclosed(left, a) if a.level < PRODUCT or a.kind in ("sum", "derivative") else a.text
        below = self.enclosed(right, b) if b.level <= PRODUCT and b.kind != "sum" else b.text
        slash = " / " if " " in above + below else "/"
        return Piece(above + slash + below, PRODUCT, "sum" if b.kind == "sum" else "quotient")

    def derivative(self, by: str) -> Piece:
        return Piece(f"∂J/∂{by}", PRODUCT, "derivative")

    def cases(self, test: ast.expr, body: ast.expr, orelse: ast.expr) -> Piece:
        return Piece(f"{self.side(body)} if {self.write(test).text}, else {self.side(orelse)}", LOOSE)


class Latex(Notation):
    """LaTeX for mathematics mode, with amsmath."""

    signs = LATEX_SIGNS
    letters: Mapping[str, str] = {
        **{letter: name for name, letter in GREEK.items()},
        "ε": "varepsilon",
        "λ": "lambda",
        "∞": "infty",
    }

    def stacked(self, lines: list[tuple[int, str]]) -> str:
        if len(lines) == 1:
            return lines[0][1]
        rows = ["&" + r"\quad " * depth + line for depth, line in lines]
        return r"\begin{aligned} " + r" \\ ".join(rows) + r" \end{aligned}"

    def loop_head(self, variable: str, stop: str, backwards: bool) -> str:
        first, last = ("0", f"{stop} - 1")[:: -1 if backwards else 1]
        return rf"\text{{for }} {variable} = {first}, \dots, {last}:"

    def number(self, value: Any) -> Piece:
        return Piece(r"\tfrac{1}{2}" if value == 0.5 else r"\text{none}" if value is None else str(value), ATOM)

    def quoted(self, text: str) -> str:
        named = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
        escaped = re.sub(r"[\\^~{}_#&%$]", lambda match: named.get(match[0], f"\\{match[0]}"), text)
        return rf"\text{{{escaped}}}"

    def symbol(self, letter: str, subscript: str = "") -> Piece:
        if letter == "…":
            return Piece(r"\dots", ATOM)
        if letter in HATS:
            return Piece(rf"\hat{{{letter[0]}}}", ATOM)
        named = self.letters.get(GREEK.get(letter, letter))
        upright = letter.replace("_", r"\_")
        written = f"\\{named}" if named else letter if len(letter) == 1 else rf"\mathrm{{{upright}}}"
        low = subscript if subscript.isalnum() else self.quoted(subscript)
        return Piece(f"{written}_{{{low}}}" if subscript else written, ATOM, "indexed" if subscript else "")

    def minus(self, text: str) -> str:
        return f"-{text}"

    def infix(self, left: str, sign: str, right: str) -> str:
        return f"{left} {self.signs.get(sign, sign)} {right}" if sign else f"{left} {right}"

    def fenced(self, opening: str, text: str, closing: str) -> str:
        opening, closing = self.signs.get(opening, opening), self.signs.get(closing, closing)
        tall = any(name in text for name in (r"\frac", r"\sum", r"\prod", r"\begin"))
        if tall:
            return rf"\left{opening} {text} \right{closing}"
        return opening + " " * opening[-1].isalpha() + text + " " * closing[-1].isalpha() + closing

    def indicator(self, text: str) -> str:
        return r"\mathbf{1}" + self.fenced("[", text, "]")

    def script(self, base: str, subscript: str = "", superscript: str = "") -> str:
        return f"{base}_{{{subscript}}}" if subscript else f"{base}^{{{superscript}}}"

    def transposed(self, base: str) -> str:
        return rf"{base}^{{\top}}"

    def call(self, name: str, arguments: str) -> str:
        known = name in ("exp", "log", "max", "min", "tanh")
        return (f"\\{name}" if known else self._operator(name)) + self.fenced("(", arguments, ")")

    def _operator(self, name: str) -> str:
        named = self.letters.get(name)
        return f"\\{named}" if named else rf"\operatorname{{{name}}}"

    def large(self, sign: str, below: str, text: str) -> str:
        written = self.signs.get(sign) or self._operator(sign)
        return rf"{written}_{{{below}}} {text}" if below else f"{written} {text}"

    def root(self, node: ast.expr) -> Piece:
        return Piece(rf"\sqrt{{{self.write(node).text}}}", ATOM)

    def quotient(self, left: ast.expr, right: ast.expr) -> Piece:
        return Piece(rf"\frac{{{self.at(left, LOOSE)}}}{{{self.at(right, LOOSE)}}}", FRACTION)

    def derivative(self, by: str) -> Piece:
        return Piece(rf"\frac{{\partial J}}{{\partial {by}}}", FRACTION)

    def cases(self, test: ast.expr, body: ast.expr, orelse: ast.expr) -> Piece:
        when = rf"\text{{if }} {self.write(test).text}"
        rows = rf"{self.side(body)} & {when} \\ {self.side(orelse)} & \text{{else}}"
        return Piece(rf"\begin{{cases}} {rows} \end{{cases}}", PRODUCT, "sum")


class MathML(Notation):
    """Presentation MathML, for the inside of a `<math>` element."""

    comma = "<mo>,</mo>"
    comma_close = "<mo>,</mo>"

    def stacked(self, lines: list[tuple[int, str]]) -> str:
        if len(lines) == 1:
            return lines[0][1]
        cell = '<mtr><mtd style="text-align: left">'
        rows = [f'{cell}<mspace width="{2 * depth}em"/>{line}</mtd></mtr>' for depth, line in lines]
        return f"<mtable>{''.join(rows)}</mtable>"

    def loop_head(self, variable: str, stop: str, backwards: bool) -> str:
        last = f"<mrow>{stop}<mo>−</mo><mn>1</mn></mrow>"
        first, last = ("<mn>0</mn>", last)[:: -1 if backwards else 1]
        return (
            f"<mrow><mtext>for\N{NO-BREAK SPACE}</mtext><mi>{variable}</mi><mo>=</mo>{first}<mo>,</mo><mo>…</mo>"
            f"<mo>,</mo>{last}</mrow>"
        )

    def number(self, value: Any) -> Piece:
        if value is None:
            return Piece("<mtext>none</mtext>", ATOM)
        return Piece("<mfrac><mn>1</mn><mn>2</mn></mfrac>" if value == 0.5 else f"<mn>{value}</mn>", ATOM)

    def quoted(self, text: str) -> str:
        return f"<mtext>{html.escape(text, quote=False)}</mtext>"

    def symbol(self, letter: str, subscript: str = "") -> Piece:
        written = f"<mi>{html.escape(HATS.get(letter) or GREEK.get(letter, letter), quote=False)}</mi>"
        if not subscript:
            return Piece(written, ATOM)
        low = f"<mn>{subscript}</mn>" if subscript.isdecimal() else f"<mi>{html.escape(subscript, quote=False)}</mi>"
        return Piece(f"<msub>{written}{low}</msub>", ATOM, "indexed")

    def minus(self, text: str) -> str:
        return f"<mrow><mo>−</mo>{text}</mrow>"

    def infix(self, left: str, sign: str, right: str) -> str:
        written = html.escape(sign) if sign else "\N{INVISIBLE TIMES}"
        return f"<mrow>{left}<mo>{written}</mo>{right}</mrow>"

    def fenced(self, opening: str, text: str, closing: str) -> str:
        tall = any(name in text for name in ("<mfrac", "<munder", "<mtable"))
        sign = "<mo>" if tall else '<mo stretchy="false">'  # browsers space brackets of plain size better
        return f"<mrow>{sign}{opening}</mo>{text}{sign}{closing}</mo></mrow>"

    def indicator(self, text: str) -> str:
        return f"<mrow><mn>1</mn>{self.fenced('[', text, ']')}</mrow>"

    def script(self, base: str, subscript: str = "", superscript: str = "") -> str:
        if subscript:
            return f"<msub>{base}<mrow>{subscript}</mrow></msub>"
        if base.startswith("<msub>"):  # one above the other: browsers set a power of an index too high and too far
            return f"<msubsup>{base.removeprefix('<msub>').removesuffix('</msub>')}{superscript}</msubsup>"
        return f"<msup>{base}{superscript}</msup>"

    def transposed(self, base: str) -> str:
        return self.script(base, superscript="<mo>⊤</mo>")

    def call(self, name: str, arguments: str) -> str:
        return f"<mrow><mi>{name}</mi><mo>\N{FUNCTION APPLICATION}</mo>{self.fenced('(', arguments, ')')}</mrow>"

    def large(self, sign: str, below: str, text: str) -> str:
        written = f"<mo>{sign}</mo>"
        return f"<mrow>{f'<munder>{written}<mrow>{below}</mrow></munder>' if below else written}{text}</mrow>"

    def root(self, node: ast.expr) -> Piece:
        return Piece(f"<msqrt>{self.write(node).text}</msqrt>", ATOM)

    def quotient(self, left: ast.expr, right: ast.expr) -> Piece:
        return Piece(f"<mfrac>{self.at(left, LOOSE)}{self.at(right, LOOSE)}</mfrac>", FRACTION)

    def derivative(self, by: str) -> Piece:
        return Piece(f"<mfrac><mrow><mo>∂</mo><mi>J</mi></mrow><mrow><mo>∂</mo>{by}</mrow></mfrac>", FRACTION)

    def cases(self, test: ast.expr, body: ast.expr, orelse: ast.expr) -> Piece:
        when = f"<mtext>if\N{NO-BREAK SPACE}</mtext>{self.write(test).text}"
        lines = ((self.side(body), when), (self.side(orelse), "<mtext>else</mtext>"))
        cell = '<mtd style="text-align: left">'
        table = "".join(f"<mtr>{cell}{value}</mtd>{cell}{when}</mtd></mtr>" for value, when in lines)
        return Piece(f"<mrow><mo>{{</mo><mtable>{table}</mtable></mrow>", PRODUCT, "sum")
