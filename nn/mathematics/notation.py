"""Equations as they are printed: text, LaTeX, or MathML, from the syntax trees that are also run.

One walk writes them all; the formats (formats.py) say how a fraction or a script is written, and words write
themselves (words.py). Gradients are written as derivatives: dW is ∂J/∂W.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .formats import FROM_SUBSCRIPTS as FROM_SUBSCRIPTS
from .formats import GREEK, SUBSCRIPTS, LatexFormat, MathMLFormat, TextFormat
from .program import Line, Loop, all_lines, dedented, flat, gradients, parse, parse_expression
from .trees import base, free_indices, index_name, is_ellipsis, names_in, rewritten, subscripted, subscripts
from .words import REDUCTIONS, WORDS, is_elementwise

LOOSE, RELATION, SUM, PRODUCT, FRACTION, POWER, ATOM = range(7)  # how tightly what is written holds together
# fmt: off
COMPARISONS = {
    ast.Gt: ">", ast.GtE: "≥", ast.Lt: "<", ast.LtE: "≤", ast.Eq: "=", ast.NotEq: "≠",
    ast.In: "∈", ast.NotIn: "∉", ast.Is: "=", ast.IsNot: "≠",
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
    return rewritten(node, lambda part: names.get(part.id, part) if isinstance(part, ast.Name) else None)


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
    if (value := parse_expression(source)) is not None:
        lines = [Line((ast.Name("_"),), value, False, 1)]
        return notation.of_program(lines, scalars).write(shown(value, names)).text
    program = parse(source)
    for name in gradients(program):
        names[name] = Shown(name, *split_name(rename.get(name[1:], name[1:])), gradient=True)
    return notation.of_program(program, scalars).lines(program, names)


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


class Notation(TextFormat):
    """The walk that writes; a format says how each construct is written.

    Args:
        scalars: the symbols that stand for one number.
        indices: the names that are indices.
        sequences: the symbols that are stated step by step.
    """

    def __init__(self, scalars: Iterable[str] = (), indices: Iterable[str] = (), sequences: Iterable[str] = ()) -> None:
        self.scalars, self.indices, self.sequences = frozenset(scalars), frozenset(indices), frozenset(sequences)
        self.depth = 0  # of subscripts: all that stands in them is numbers

    # ---- lines

    @classmethod
    def of_program(cls, program: Iterable[Line | Loop], scalars: Iterable[str] = ()) -> Notation:
        """Return a notation that knows the indices and the numbers of a program."""
        program = list(program)
        steps = {loop.variable for loop in all_lines(program) if isinstance(loop, Loop)}
        sizes = {name for line in flat(program) for name in line.names if _is_size(line.value)}
        return cls({*scalars, *steps, *sizes}, *cls.knowledge(program, scalars))

    @staticmethod
    def knowledge(program: Iterable[Line | Loop], scalars: Iterable[str] = ()) -> tuple[frozenset[str], frozenset[str]]:
        """Return which names in a program are indices, and which are stated step by step."""
        program = list(program)
        steps = {loop.variable for loop in all_lines(program) if isinstance(loop, Loop)}
        lines = list(flat(program))
        ranges = {name for line in lines for name in line.names if _is_range(line.value)}
        stated = {name for line in lines for name in line.names} - ranges
        entries = [entry for line in lines for entry in subscripted(*line.parts)]
        alone = {place.id for entry in entries for place in subscripts(entry) if isinstance(place, ast.Name)}
        indices = ranges | (alone - stated - steps - {*scalars})
        elements = {base(t) for line in lines for t in line.targets if subscripts(t) and not free_indices(t, indices)}
        in_steps = {base(entry) for entry in entries if names_in(entry.slice) & steps}
        return frozenset(indices), frozenset(elements | in_steps)

    def lines(self, program: Iterable[Line | Loop], names: Mapping[str, ast.expr]) -> str:
        """Write lines, one below the other; one whose sides read the same, such as h0 = h[0], is left out."""
        program = list(program)
        stated = [name for line in flat(program) for name in line.names]
        return self.stacked([*self._lines(program, names, stated, 0)])

    def _lines(
        self, program: Iterable[Line | Loop], names: Mapping[str, ast.expr], stated: list[str], depth: int
    ) -> Iterable[tuple[int, str]]:
        for line in program:
            if isinstance(line, Loop):
                last = ast.BinOp(shown(line.stop, names), ast.Sub(), ast.Constant(1))
                ends = [self.write(end).text for end in (ast.Constant(0), last)]
                yield depth, self.loop % (self.name(line.variable), *ends[:: -1 if line.backwards else 1])
                yield from self._lines(line.lines, names, stated, depth + 1)
            else:
                left, sign, right = self.sides(line, names, not depth and stated.count(line.names[0]) == 1)
                if left != right or len(stated) == 1:
                    yield depth, self.infix(left, sign, right)

    def sides(self, line: Line, names: Mapping[str, ast.expr], alone: bool = True) -> tuple[str, str, str]:
        """Write a line's left side, its sign, and its right side.

        Where the line `alone` states its target, += with bare indices is a sum over the others.
        """
        value, sign = line.value, "+=" if line.adds else "="
        left = [index_name(place) for target in line.targets for place in subscripts(target)]
        if line.adds and alone and left and self.indices.issuperset({*left} - {"..."}):
            over = [index for index in free_indices(value, self.indices) if index not in left]
            which = [ast.Constant(...) if index == "..." else ast.Name(index) for index in over]
            value, sign = ast.Call(ast.Name("sum"), [value, *which], []) if over else value, "="
        values = value.elts if isinstance(value, ast.Tuple) else [value]
        right = self.comma.join(self.side(shown(part, names)) for part in values)
        return self.listed([shown(target, names) for target in line.targets]), sign, right

    def side(self, value: ast.expr) -> str:
        """Write the right side of an equation; a comparison there is 1 or 0."""
        return self.at(value, SUM) if isinstance(value, ast.Compare) else self.write(value).text

    # ---- expressions

    def at(self, node: ast.expr, least: int) -> str:
        """Return a node's text, in brackets when it holds together less than `least`."""
        piece = self.write(node)
        return piece.text if piece.level >= least else self.enclosed(node, piece)

    def enclosed(self, node: ast.expr, piece: Piece) -> str:
        """Put what is written in brackets; those of a condition make it 1 or 0."""
        if isinstance(node, ast.Compare):
            return self.joined(self.one, self.fenced("[", piece.text, "]"))
        return self.fenced("(", piece.text, ")")

    def write(self, node: ast.expr) -> Piece:
        match node:
            case ast.Constant(value=value):
                return Piece(self.name("…") if value is ... else self.number(value), ATOM)
            case ast.Name():
                return self.shown_symbol(_as_shown(node))
            case ast.Tuple(elts=items):
                return Piece(self.fenced("(", self.listed(items), ")"), ATOM)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.function("not", [operand])
            case ast.UnaryOp(operand=operand):
                return Piece(self.joined(self.sign("−"), self.at(operand, PRODUCT)), SUM)
            case ast.BoolOp(op=op, values=parts):
                word = "and" if isinstance(op, ast.And) else "or"
                written = [self.at(part, RELATION) for part in parts]
                return Piece(functools.reduce(lambda left, right: self.infix(left, word, right), written), LOOSE)
            case ast.BinOp(left=left, op=ast.Pow(), right=exponent):
                return Piece(self.power(self.at(left, ATOM), self.write(exponent).text), POWER)
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
                return self.choice(test, body, orelse)
            case ast.Attribute(value=value, attr="T" | "mT"):
                return Piece(self.transpose(self.at(value, ATOM)), POWER)
            case ast.Attribute(value=value, attr=name):
                return self.function(name, [value])
            case ast.Subscript(value=value):
                return self.entry(value, subscripts(node))
            case ast.Call(func=ast.Attribute(value=value, attr="sum"), args=[ast.Constant(value=0)]):
                samples = ast.Subscript(value, ast.Name("n"), ast.Load())  # axis 0 is that of the samples
                return self.over("∑", samples, ast.Name("n"))
            case ast.Call(func=ast.Attribute(value=value, attr="reshape"), args=arguments):
                return self.function("reshape", [value, *arguments])
            case ast.Call(func=ast.Attribute(value=value, attr=name), args=axes):
                return self.over("∑" if name == "sum" else name, value, *axes)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                entry = REDUCTIONS[name] if name in REDUCTIONS else WORDS[name]
                return entry.show(self, arguments) if entry.show else self.function(name, arguments)
        raise ValueError(f"there is no way to write {ast.dump(node)}")

    def shown_symbol(self, node: Shown) -> Piece:
        """Write what is shown in the place of a symbol."""
        if node.literal:
            return Piece(self.quoted(node.letter), ATOM)
        symbol = self.name(node.letter, node.subscript)
        return self.derivative(symbol) if node.gradient else Piece(symbol, ATOM, "indexed" if node.subscript else "")

    def entry(self, value: ast.expr, places: list[ast.expr]) -> Piece:
        """Write an array's entry, x[i, j], or a step of a sequence; of a gradient, the derivative by that entry."""
        if all(map(is_ellipsis, places)) and not self.indices:
            return self.write(value)
        if isinstance(value, ast.Name) and (symbol := _as_shown(value)).gradient:
            return self.derivative(self.entry(Shown(value.id, symbol.letter, symbol.subscript), places).text)
        self.depth += 1
        where = self.subscripts([self.write(place).text for place in places])
        self.depth -= 1
        of = self.write(value)
        closed = of.level == ATOM and (of.kind != "indexed" or self.chains)
        return Piece(self.subscripted(of.text if closed else self.enclosed(value, of), where), ATOM, "indexed")

    def product(self, left: ast.expr, right: ast.expr, of_matrices: bool) -> Piece:
        """Write a product: of matrices and with numbers without a sign, of arrays entry by entry with ⊙."""
        if not of_matrices and (_is_one(left) or _is_one(right)):
            return self.write(right if _is_one(left) else left)
        by_number = self.is_scalar(left) or self.is_scalar(right)
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

    def quotient(self, left: ast.expr, right: ast.expr) -> Piece:
        """Write a fraction, built up or with a slash."""
        a, b = self.write(left), self.write(right)
        if self.built_up:
            return Piece(self.fraction % (a.text, b.text), FRACTION)
        above = self.enclosed(left, a) if a.level < PRODUCT or a.kind in ("sum", "derivative") else a.text
        below = self.enclosed(right, b) if b.level <= PRODUCT and b.kind != "sum" else b.text
        slash = " / " if " " in above + below else "/"
        return Piece(above + slash + below, PRODUCT, "sum" if b.kind == "sum" else "quotient")

    def derivative(self, by: str) -> Piece:
        """Write the derivative of J."""
        return Piece(self.partial % by, FRACTION if self.built_up else PRODUCT, "derivative")

    def choice(self, test: ast.expr, body: ast.expr, orelse: ast.expr) -> Piece:
        """Write a value that depends on a condition."""
        text = self.cases % (self.side(body), self.write(test).text, self.side(orelse))
        return Piece(text, PRODUCT if self.built_up else LOOSE, "sum")

    def over(self, sign: str, value: ast.expr, *which: ast.expr) -> Piece:
        """Write a sum, a maximum or the like over indices or axes; over none it is of all entries."""
        axes = [axis for index in which for axis in (index.elts if isinstance(index, ast.Tuple) else [index])]
        below = self.subscript_comma.join(self.write(axis).text for axis in axes)
        return Piece(self.large(sign, below, self.at(value, PRODUCT)), PRODUCT, "sum")

    def between(self, opening: str, value: ast.expr, closing: str) -> Piece:
        """Write a value between bars."""
        return Piece(self.fenced(opening, self.write(value).text, closing), ATOM)

    def square_root(self, value: ast.expr) -> Piece:
        """Write a square root."""
        return Piece(self.root % self.write(value).text, ATOM)

    def function(self, name: str, arguments: list[ast.expr]) -> Piece:
        """Write a function of arguments."""
        return Piece(self.call(name, self.listed(arguments)), ATOM)

    def listed(self, items: list[ast.expr]) -> str:
        """Write expressions with commas between them."""
        return self.comma.join(self.write(item).text for item in items)

    def is_scalar(self, node: ast.AST) -> bool:
        """Tell whether an expression is one number, whatever the arrays."""
        match node:
            case _ if self.depth:
                return True
            case Shown():
                return node.scalar
            case ast.Name(id=name):
                return name in self.scalars | self.indices or name == "inf"
            case ast.Constant() | ast.Attribute(attr="size" | "ndim"):
                return True
            case ast.Subscript(value=ast.Attribute(attr="shape")):
                return True
            case ast.Subscript():
                return base(node) not in self.sequences or bool(free_indices(node, self.indices))
            case ast.Call(func=ast.Attribute(attr="sum" | "mean" | "max" | "min"), args=[]):
                return True
            case ast.Call(func=ast.Name(id=name)) if name in REDUCTIONS or name == "len":
                return True
            case ast.Call(func=ast.Name(id=name), args=arguments) if is_elementwise(name):
                return all(map(self.is_scalar, arguments))
            case ast.UnaryOp(operand=operand):
                return self.is_scalar(operand)
            case ast.BinOp(left=left, right=right) | ast.IfExp(body=left, orelse=right):
                return self.is_scalar(left) and self.is_scalar(right)
            case ast.Compare(left=left, comparators=[right]):
                return self.is_scalar(left) and self.is_scalar(right)
        return False


class Text(Notation):
    """Equations as lines of Unicode."""


class Latex(LatexFormat, Notation):
    """Equations as LaTeX for mathematics mode, with amsmath."""


class MathML(MathMLFormat, Notation):
    """Equations as presentation MathML, for the inside of a `<math>` element."""


def _as_shown(name: ast.Name) -> Shown:
    """Return how a symbol is shown that nothing is said of: dx as the derivative by x."""
    if isinstance(name, Shown):
        return name
    if name.id == "inf":
        return Shown(name.id, "∞")
    gradient = re.fullmatch(r"d[A-Za-z]\d*", name.id) is not None
    return Shown(name.id, *split_name(name.id[1:] if gradient else name.id), gradient=gradient)


def _is_range(value: ast.expr) -> bool:
    """Tell whether a value declares how far an index goes, or several."""
    values = value.elts if isinstance(value, ast.Tuple) else [value]
    return any(isinstance(each, ast.Call) and base(each.func) == "range" for each in values)


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
