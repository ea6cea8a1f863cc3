"""Expressions as they are printed: one line of text, LaTeX, or MathML, from the syntax tree that is also run."""

from __future__ import annotations

import ast
import html
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .equation import LAYOUT, is_scalar, parse, source

SUBSCRIPTS = str.maketrans("0123456789ij", "₀₁₂₃₄₅₆₇₈₉ᵢⱼ")
SUPERSCRIPTS = str.maketrans("0123456789−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
LOOSE, RELATION, SUM, PRODUCT, FRACTION, POWER, ATOM = range(7)  # how tightly what is written holds together
NAMES = {"maximum": "max", "one_hot": "onehot"}
COMPARISONS = {
    ast.Gt: ">",
    ast.GtE: "≥",
    ast.Lt: "<",
    ast.LtE: "≤",
    ast.Eq: "=",
    ast.NotEq: "≠",
    ast.In: "∈",
}
GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "mu": "μ", "sigma": "σ", "tau": "τ"}


def to_text(expression: str, rename: Mapping[str, str] | None = None, scalars: Iterable[str] = ()) -> str:
    """Return an expression as one line of Unicode text.

    A comparison `a == b` is written as the equation a = b. `partial(J, x)` is the derivative of J by x. A text in
    quotes stands as it is.

    Args:
        expression: in the language above.
        rename: expressions that take the place of symbols, bracketed where need be; a factor of 1 is left out.
        scalars: the symbols that stand for one number (`scalar_symbols`), by which a product needs no sign.

    Example:
        >>> to_text("y == x @ W.T + b", {"W": "W2", "x": "a1", "y": "z2"})
        'z₂ = a₁ W₂ᵀ + b'
        >>> to_text("g.T @ x", {"g": "partial(J, z3)"})
        '(∂J/∂z₃)ᵀ x'
        >>> to_text("2 * g * (f - y) / n", scalars={"g", "n"})
        '2 g (f − y) / n'
    """
    return _Text(rename or {}, scalars).at(parse(expression), LOOSE)


def to_latex(expression: str, rename: Mapping[str, str] | None = None, scalars: Iterable[str] = ()) -> str:
    r"""Return an expression as LaTeX for mathematics mode, with the package amsmath; arguments as in `to_text`.

    Example:
        >>> to_latex("g.T @ x / n", {"g": "partial(J, z3)"}, {"n"})
        '\\frac{\\left( \\frac{\\partial J}{\\partial z_{3}} \\right)^{\\top} x}{n}'
    """
    return _Latex(rename or {}, scalars).at(parse(expression), LOOSE)


def to_mathml(expression: str, rename: Mapping[str, str] | None = None, scalars: Iterable[str] = ()) -> str:
    """Return an expression as a `<math>` element of presentation MathML; arguments as in `to_text`.

    Example:
        >>> to_mathml("x0 ** 2").removeprefix('<math xmlns="http://www.w3.org/1998/Math/MathML">')
        '<msup><msub><mi>x</mi><mn>0</mn></msub><mn>2</mn></msup></math>'
    """
    shown = _MathML(rename or {}, scalars).at(parse(expression), LOOSE)
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML">{shown}</math>'


class Piece(NamedTuple):
    """Something written: how tightly it holds together, and for a product or a symbol of which kind it is."""

    text: str
    level: int
    kind: str = ""


class _Notation(ABC):
    """The walk that writes; a subclass says how in its format."""

    def __init__(self, rename: Mapping[str, str], scalars: Iterable[str] = ()) -> None:
        self.rename = rename
        self.scalars = frozenset(scalars)

    def at(self, node: ast.expr, least: int) -> str:
        """Return a node's text, in brackets when it holds together less than `least`."""
        piece = self.write(node)
        return piece.text if piece.level >= least else self.enclosed(node, piece)

    def enclosed(self, node: ast.expr, piece: Piece) -> str:
        return self.indicator(piece.text) if isinstance(node, ast.Compare) else self.fenced("(", piece.text, ")")

    def write(self, node: ast.expr) -> Piece:
        match node:
            case ast.Constant(value=str() as text):
                return Piece(self.quoted(text), ATOM)
            case ast.Constant(value=int() | float() as value):
                return self.number(value)
            case ast.Name(id=name) if name in self.rename:
                return type(self)({}).write(parse(self.rename[name]))
            case ast.Name(id=name):
                return self.symbol(*_split(name))
            case ast.Tuple(elts=items):
                return Piece(self.fenced("(", self.listed(items), ")"), ATOM)
            case ast.UnaryOp(operand=operand):
                return Piece(self.minus(self.at(operand, PRODUCT)), SUM)
            case ast.BinOp(left=base, op=ast.Pow(), right=exponent):
                return Piece(self.script(self.at(base, ATOM), superscript=self.write(exponent).text), POWER)
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
                sign = "+" if isinstance(op, ast.Add) else "−"
                return Piece(self.infix(self.at(left, SUM), sign, self.at(right, PRODUCT)), SUM)
            case ast.BinOp() if (positive := _without_sign(node)) is not None:
                return self.write(ast.UnaryOp(ast.USub(), positive))
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return self.write(left) if self.is_one(right) else self.quotient(left, right)
            case ast.BinOp(left=left, op=op, right=right):
                return self.product(left, right, isinstance(op, ast.MatMult))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                loosely = isinstance(op, ast.Eq) and self.write(right).level == LOOSE
                sides = self.at(left, SUM), self.at(right, LOOSE if loosely else SUM)
                return Piece(self.infix(sides[0], COMPARISONS[type(op)], sides[1]), RELATION)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.cases(*(self.write(part).text for part in (test, body, orelse)))
            case ast.Attribute(value=value, attr="T"):
                return Piece(self.transposed(self.at(value, ATOM)), POWER)
            case ast.Attribute(value=value, attr=name):
                return Piece(self.call(name, self.listed([value])), ATOM)
            case ast.Subscript(value=value, slice=index):
                return Piece(self.script(self.at(value, ATOM), subscript=self.write(index).text), ATOM, "indexed")
            case ast.Call(func=ast.Attribute(value=value, attr="sum"), args=axes):
                return self.sum(value, *axes)
            case ast.Call(func=ast.Attribute(value=value, attr=name), args=arguments):
                return Piece(self.call(name, self.listed([value, *arguments])), ATOM)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self.function(name, arguments)
        raise ValueError(f"there is no way to write {source(node)}")

    def function(self, name: str, arguments: list[ast.expr]) -> Piece:
        if name in LAYOUT:
            return self.write(arguments[0])
        match name, arguments:
            case "where", [test, body, orelse]:
                return self.write(ast.IfExp(test, body, orelse))
            case "abs", [x]:
                return Piece(self.fenced("|", self.write(x).text, "|"), ATOM)
            case "norm", [x, *axes]:
                return Piece(self.fenced("‖", self.indexed(x) if axes else self.write(x).text, "‖"), ATOM)
            case "partial", [J, x]:
                return self.derivative(self.at(J, ATOM), self.at(x, ATOM))
            case "one_hot", [y, *_]:
                arguments = [y]
        return Piece(self.call(NAMES.get(name, name), self.listed(arguments)), ATOM)

    def product(self, left: ast.expr, right: ast.expr, of_matrices: bool) -> Piece:
        """Write a product: of matrices and with numbers without a sign, of arrays entry by entry with ⊙."""
        if not of_matrices and self.is_one(left):
            return self.write(right)
        if not of_matrices and self.is_one(right):
            return self.write(left)
        scalar = any(is_scalar(side, self.scalars) for side in (left, right))
        kind = "matrices" if of_matrices else "scalar" if scalar else "entries"
        a, b = self.write(left), self.write(right)
        first, second, result = a.text, b.text, kind
        if a.level < PRODUCT or (a.level == PRODUCT and a.kind not in ("scalar", kind)):
            first = self.enclosed(left, a)
        # What follows a sum's sign belongs to the sum, so nothing may be multiplied to its right.
        if b.level == PRODUCT and (b.kind in ("sum", kind) or (kind == "scalar" and b.kind != "quotient")):
            result = b.kind
        elif b.level <= PRODUCT:
            second = self.enclosed(right, b)
        return Piece(self.infix(first, "⊙" if kind == "entries" else "", second), PRODUCT, result)

    def sum(self, value: ast.expr, axis: ast.expr | None = None) -> Piece:
        """Write a sum of all entries, along an axis, or along axis 0 as the sum over the samples i."""
        if axis is None:
            return Piece(self.sigma("", self.at(value, PRODUCT)), PRODUCT, "sum")
        if isinstance(axis, ast.Constant) and axis.value == 0:
            return Piece(self.sigma(self.symbol("i").text, self.indexed(value)), PRODUCT, "sum")
        return Piece(self.sigma(self.write(axis).text, self.at(value, PRODUCT)), PRODUCT, "sum")

    def indexed(self, value: ast.expr) -> str:
        """Write sample i of an array."""
        piece = self.write(value)
        plain = piece.level == ATOM and piece.kind != "indexed"
        base = piece.text if plain else self.enclosed(value, piece)
        return self.script(base, subscript=self.symbol("i").text)

    def listed(self, items: list[ast.expr]) -> str:
        return self.comma.join(self.write(item).text for item in items)

    def is_one(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name) and node.id in self.rename:
            node = parse(self.rename[node.id])
        return isinstance(node, ast.Constant) and node.value == 1

    # ---- how a format writes it

    comma = ", "

    @abstractmethod
    def number(self, value: float) -> Piece: ...
    @abstractmethod
    def quoted(self, text: str) -> str: ...
    @abstractmethod
    def symbol(self, base: str, subscript: str = "") -> Piece: ...
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
    def sigma(self, axis: str, text: str) -> str: ...
    @abstractmethod
    def quotient(self, left: ast.expr, right: ast.expr) -> Piece: ...
    @abstractmethod
    def derivative(self, J: str, x: str) -> Piece: ...
    @abstractmethod
    def cases(self, test: str, body: str, orelse: str) -> Piece: ...


def _split(name: str) -> tuple[str, str]:
    """Split the digits off the end of a symbol: W2 and W_2 are W with subscript 2."""
    match = re.fullmatch(r"(.*[^\W\d_])_?(\d+)", name)
    return (match[1], match[2]) if match else (name, "")


def _without_sign(node: ast.expr) -> ast.expr | None:
    """Return a product or quotient without the sign that its first factor has: (-a) b / c is -(a b / c)."""
    match node:
        case ast.UnaryOp(operand=operand):
            return operand
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div() | ast.MatMult() as op, right=right):
            positive = _without_sign(left)
            return None if positive is None else ast.BinOp(positive, op, right)
    return None


class _Text(_Notation):
    def number(self, value: float) -> Piece:
        return Piece("½" if value == 0.5 else str(value), ATOM)

    def quoted(self, text: str) -> str:
        return text

    def symbol(self, base: str, subscript: str = "") -> Piece:
        return Piece(GREEK.get(base, base) + subscript.translate(SUBSCRIPTS), ATOM, "indexed" if subscript else "")

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
            return base + (subscript.translate(SUBSCRIPTS) if len(subscript) == 1 else f"[{subscript}]")
        plain = re.fullmatch(r"−?\d+", superscript)
        return base + (superscript.translate(SUPERSCRIPTS) if plain else f"^({superscript})")

    def transposed(self, base: str) -> str:
        return f"{base}ᵀ"

    def call(self, name: str, arguments: str) -> str:
        return f"{name}({arguments})"

    def sigma(self, axis: str, text: str) -> str:
        sign = f"Σ_{axis}" if len(axis) > 1 else f"Σ{axis.translate(SUBSCRIPTS)}"
        return f"{sign} {text}"

    def quotient(self, left: ast.expr, right: ast.expr) -> Piece:
        a, b = self.write(left), self.write(right)
        above = self.enclosed(left, a) if a.level < PRODUCT or a.kind == "sum" else a.text
        below = self.enclosed(right, b) if b.level <= PRODUCT and b.kind != "sum" else b.text
        slash = " / " if " " in above + below else "/"
        return Piece(above + slash + below, PRODUCT, "sum" if b.kind == "sum" else "quotient")

    def derivative(self, J: str, x: str) -> Piece:
        return Piece(f"∂{J}/∂{x}", PRODUCT, "quotient")

    def cases(self, test: str, body: str, orelse: str) -> Piece:
        return Piece(f"{body} if {test}, else {orelse}", LOOSE)


class _Latex(_Notation):
    signs: Mapping[str, str] = {
        "−": "-",
        "⊙": r"\odot",
        "≥": r"\ge",
        "≤": r"\le",
        "≠": r"\ne",
        "∈": r"\in",
        "‖": r"\|",
    }
    letters: Mapping[str, str] = {letter: name for name, letter in GREEK.items()}

    def number(self, value: float) -> Piece:
        return Piece(r"\tfrac{1}{2}" if value == 0.5 else str(value), ATOM)

    def quoted(self, text: str) -> str:
        named = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
        escaped = re.sub(r"[\\^~{}_#&%$]", lambda match: named.get(match[0], f"\\{match[0]}"), text)
        return rf"\text{{{escaped}}}"

    def symbol(self, base: str, subscript: str = "") -> Piece:
        letter = self.letters.get(GREEK.get(base, base))
        upright = base.replace("_", r"\_")
        shown = f"\\{letter}" if letter else base if len(base) == 1 else rf"\mathrm{{{upright}}}"
        return Piece(f"{shown}_{{{subscript}}}" if subscript else shown, ATOM, "indexed" if subscript else "")

    def minus(self, text: str) -> str:
        return f"-{text}"

    def infix(self, left: str, sign: str, right: str) -> str:
        return f"{left} {self.signs.get(sign, sign)} {right}" if sign else f"{left} {right}"

    def fenced(self, opening: str, text: str, closing: str) -> str:
        opening, closing = self.signs.get(opening, opening), self.signs.get(closing, closing)
        tall = any(name in text for name in (r"\frac", r"\sum", r"\begin"))
        return rf"\left{opening} {text} \right{closing}" if tall else opening + text + closing

    def indicator(self, text: str) -> str:
        return r"\mathbf{1}" + self.fenced("[", text, "]")

    def script(self, base: str, subscript: str = "", superscript: str = "") -> str:
        return f"{base}_{{{subscript}}}" if subscript else f"{base}^{{{superscript}}}"

    def transposed(self, base: str) -> str:
        return rf"{base}^{{\top}}"

    def call(self, name: str, arguments: str) -> str:
        known = name in ("exp", "log", "max", "tanh")
        shown = f"\\{name}" if known else rf"\operatorname{{{name}}}"
        return shown + self.fenced("(", arguments, ")")

    def sigma(self, axis: str, text: str) -> str:
        return rf"\sum_{{{axis}}} {text}" if axis else rf"\sum {text}"

    def quotient(self, left: ast.expr, right: ast.expr) -> Piece:
        return Piece(rf"\frac{{{self.at(left, LOOSE)}}}{{{self.at(right, LOOSE)}}}", FRACTION)

    def derivative(self, J: str, x: str) -> Piece:
        return Piece(rf"\frac{{\partial {J}}}{{\partial {x}}}", FRACTION)

    def cases(self, test: str, body: str, orelse: str) -> Piece:
        rows = rf"{body} & \text{{if }} {test} \\ {orelse} & \text{{else}}"
        return Piece(rf"\begin{{cases}} {rows} \end{{cases}}", PRODUCT, "sum")


class _MathML(_Notation):
    comma = "<mo>,</mo>"

    def number(self, value: float) -> Piece:
        return Piece("<mfrac><mn>1</mn><mn>2</mn></mfrac>" if value == 0.5 else f"<mn>{value}</mn>", ATOM)

    def quoted(self, text: str) -> str:
        return f"<mtext>{html.escape(text, quote=False)}</mtext>"

    def symbol(self, base: str, subscript: str = "") -> Piece:
        shown = f"<mi>{GREEK.get(base, base)}</mi>"
        if subscript:
            return Piece(f"<msub>{shown}<mn>{subscript}</mn></msub>", ATOM, "indexed")
        return Piece(shown, ATOM)

    def minus(self, text: str) -> str:
        return f"<mrow><mo>−</mo>{text}</mrow>"

    def infix(self, left: str, sign: str, right: str) -> str:
        shown = html.escape(sign) if sign else "\N{INVISIBLE TIMES}"
        return f"<mrow>{left}<mo>{shown}</mo>{right}</mrow>"

    def fenced(self, opening: str, text: str, closing: str) -> str:
        tall = any(name in text for name in ("<mfrac", "<munder", "<mtable"))
        sign = "<mo>" if tall else '<mo stretchy="false">'  # browsers space brackets of plain size better
        return f"<mrow>{sign}{opening}</mo>{text}{sign}{closing}</mo></mrow>"

    def indicator(self, text: str) -> str:
        return f"<mrow><mn>1</mn>{self.fenced('[', text, ']')}</mrow>"

    def script(self, base: str, subscript: str = "", superscript: str = "") -> str:
        name, script = ("msub", subscript) if subscript else ("msup", superscript)
        return f"<{name}>{base}{script}</{name}>"

    def transposed(self, base: str) -> str:
        return f"<msup>{base}<mo>⊤</mo></msup>"

    def call(self, name: str, arguments: str) -> str:
        return f"<mrow><mi>{name}</mi><mo>\N{FUNCTION APPLICATION}</mo>{self.fenced('(', arguments, ')')}</mrow>"

    def sigma(self, axis: str, text: str) -> str:
        sign = f"<munder><mo>∑</mo>{axis}</munder>" if axis else "<mo>∑</mo>"
        return f"<mrow>{sign}{text}</mrow>"

    def quotient(self, left: ast.expr, right: ast.expr) -> Piece:
        return Piece(f"<mfrac>{self.at(left, LOOSE)}{self.at(right, LOOSE)}</mfrac>", FRACTION)

    def derivative(self, J: str, x: str) -> Piece:
        return Piece(f"<mfrac><mrow><mo>∂</mo>{J}</mrow><mrow><mo>∂</mo>{x}</mrow></mfrac>", FRACTION)

    def cases(self, test: str, body: str, orelse: str) -> Piece:
        lines = ((body, f"<mtext>if\N{NO-BREAK SPACE}</mtext>{test}"), (orelse, "<mtext>else</mtext>"))
        cell = '<mtd style="text-align: left">'
        table = "".join(f"<mtr>{cell}{value}</mtd>{cell}{when}</mtd></mtr>" for value, when in lines)
        return Piece(f"<mrow><mo>{{</mo><mtable>{table}</mtable></mrow>", PRODUCT, "sum")
