"""Turn a forward pass and its gradients, both a student's own, into a page or LaTeX to hand in: problems 1 and 2.

    python -m course hand-in mine.py
    python -m course hand-in mine.py --out mine.tex

The file has Python statements: the forward pass, such as `z1 = W0 @ x + b0`, `a1 = np.maximum(z1, 0)` and
`J = 0.5 * np.sum((z3 - y)**2)`, and then the gradients, such as `dz3 = z3 - y` or `dJ/dW2 = dz3 @ a2.T`. Nothing in it
is executed: it is read as mathematics. The computing graph is drawn, and each gradient is held against the measured
derivative, with the right gradients for those that it uses. None is derived for you.

Shapes follow from how the arrays are used, and sizes are chosen all different; a line such as `W0: (5, 3)` states one.
The exit status is 1 where a gradient is wrong or lacking.
"""

from __future__ import annotations

import argparse
import ast
import html
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nn.files import whole_file
from nn.graph.formula import Formula, equation
from nn.graph.node import Node
from nn.graph.svg import graph_svg
from nn.graph.tikz import PREAMBLE, graph_tikz
from nn.mathematics.notation import Shown, shown, split_name
from nn.mathematics.trees import names_in, rewritten

from .paper import (
    Answer,
    HandIn,
    Measured,
    UnreadableError,
    is_data,
    is_target,
    laid_out,
    outer,
    read,
    values_in,
    verdict,
)

TITLE = "The computing graph of J, and its gradients"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("file", type=Path, help="Python statements: the forward pass, then the gradients")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write, .html or .tex (default: FILE.html)")


def run(arguments: argparse.Namespace) -> int:
    """Read, check and write a hand-in, and return the exit status."""
    source: Path = arguments.file
    out: Path = arguments.out or Path(f"{source.stem}.html")
    if out.suffix not in (".html", ".tex"):
        raise ValueError(f"--out {out}: expected a name that ends in .html or .tex")
    if out.exists() and source.exists() and out.samefile(source):
        raise ValueError(f"--out {out} would overwrite the hand-in")
    if not out.parent.is_dir():
        raise ValueError(f"--out {out}: there is no folder {out.parent}")
    checked = check(read_file(source))
    text = checked.to_html() if out.suffix == ".html" else checked.to_latex()
    with whole_file(out, "utf-8") as file:
        file.write(text)
    print(checked.report())
    print(f"{out} is what you hand in." if not checked.faults else f"{out} is written, with what is not right marked.")
    return 1 if checked.faults else 0


def read_file(path: Path) -> HandIn:
    """Read a hand-in from a file.

    Raises:
        UnreadableError: for a file that is no text, and for a statement that cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableError(f"{path} is no text in UTF-8") from None
    return read(text, path.name)


class Line(NamedTuple):
    """A line as it is handed in: a value or a gradient.

    Attributes:
        formula: the equation.
        shapes: the same with shapes in the place of arrays; None where that says nothing.
        fault: what is wrong with it.
    """

    formula: Formula
    shapes: Formula | None
    fault: str = ""


class Checked:
    """A hand-in with its graph, and what is right in it.

    Args:
        hand_in: as it was read.
        measured: its forward pass, laid out.

    Attributes:
        faults: by gradient, what is wrong with it, or that it is lacking.
        nodes, edges: the computing graph.
        helpers, values, gradients: the lines.
    """

    def __init__(self, hand_in: HandIn, measured: Measured) -> None:
        self.hand_in, self.measured = hand_in, measured
        self.verdicts: dict[str, str] = {}
        before: set[str] = set()
        own: dict[str, ast.expr] = {}  # what the lines give that are wrong by themselves
        for answer in hand_in.answers:
            self.verdicts[answer.symbol] = self._verdict(answer, before)
            before.add(answer.symbol)
            if self.verdicts[answer.symbol] and answer.value is not None:
                value = rewritten(answer.value, lambda node: own.get(node.id) if isinstance(node, ast.Name) else None)
                if names_in(answer.value) & own.keys() and measured.is_right(value, answer.symbol):
                    self.verdicts[answer.symbol] = ""  # as where dh is the gradient by what h is made of
                own[f"d{answer.symbol}"] = value
        point = measured.points[0]
        symbols = [*hand_in.inputs, *(line.names[0] for line in hand_in.forward)]
        self.symbols = [symbol for symbol in symbols if point.is_node(symbol)]
        asked = [s for s in self.symbols if s != hand_in.loss and not is_target(s) and s not in self.verdicts]
        self.lacking = list(reversed(asked))
        self.nodes = {symbol: self._node(symbol) for symbol in self._in_order()}
        uses = {line.names[0]: values_in(line.value) for line in hand_in.forward}
        self.edges = [(a, b) for n, b in self.nodes.items() for s, a in self.nodes.items() if s in uses.get(n, ())]

    @property
    def faults(self) -> dict[str, str]:
        """What is wrong, by symbol."""
        wrong = {symbol: text for symbol, text in self.verdicts.items() if text}
        return wrong | dict.fromkeys(self.lacking, "it is not there")

    def _verdict(self, answer: Answer, before: set[str]) -> str:
        if answer.value is None:
            return "not filled in yet"
        if not self.measured.points[0].is_node(answer.symbol):
            return f"{outer(answer.symbol)} is a number, and no node of the graph"
        return verdict(self.measured, answer.symbol, answer.value, before)

    def _in_order(self) -> list[str]:
        """Return the nodes in an order in which they can be computed, each input before its first use."""
        order: dict[str, None] = {}
        for line in self.hand_in.forward:
            used = [name for name in self.symbols if name in names_in(line.value)]
            order |= dict.fromkeys([*used, line.names[0]])
        return [symbol for symbol in order if symbol in self.symbols]

    def _node(self, symbol: str) -> Node:
        stated = {line.names[0] for line in self.hand_in.forward}
        kind = "loss" if symbol == self.hand_in.loss else "intermediate" if symbol in stated else "parameter"
        if kind == "parameter" and is_data(symbol):
            kind = "target" if is_target(symbol) else "data"
        name = self._name(symbol)
        return Node(
            kind, np.asarray(self.measured.points[0].values[symbol]), letter=name.letter, subscript=name.subscript
        )

    # ---- how it is written

    def _name(self, symbol: str) -> Shown:
        value = self.measured.points[0].values.get(symbol, 0.0)
        is_number = np.size(value) == 1 and (np.ndim(value) == 0 or symbol == self.hand_in.loss)
        return Shown(symbol, *self._letters(symbol), scalar=is_number)

    def _letters(self, symbol: str) -> tuple[str, str]:
        return ("J", "") if symbol == self.hand_in.loss else split_name(outer(symbol))

    def _names(self) -> dict[str, ast.expr]:
        values = self.measured.points[0].values
        names: dict[str, ast.expr] = {symbol: self._name(symbol) for symbol in values}
        for symbol in values:
            names[f"d{symbol}"] = Shown(f"d{symbol}", *self._letters(symbol), True, np.ndim(values[symbol]) == 0)
        return names

    def _shapes(self) -> dict[str, ast.expr]:
        """Return the shapes of arrays in the place of their names."""
        found = self._names()
        for symbol, value in self.measured.points[0].values.items():
            if np.ndim(value):
                for name in (symbol, f"d{symbol}"):
                    found[name] = Shown(name, str(np.shape(value)), literal=True)
        return found

    def _by_sample(self, node: ast.expr) -> ast.expr | None:
        """Return how an axis or its length is written: n runs over the N samples, i over the entries of each."""
        axes = self.measured.layout.data
        match node:
            case ast.Subscript(
                value=ast.Attribute(value=ast.Name(id=name), attr="shape"), slice=ast.Constant(value=int() as at)
            ):
                return Shown("", "N", scalar=True) if is_data(name) and axes[at : at + 1] == "N" else None
            case ast.Call(
                func=ast.Attribute(value=value, attr="sum" | "mean" | "max" | "min" as name),
                args=[ast.Constant(value=int() as at)],
            ):
                over = "n" if axes[at % len(axes)] == "N" else "i"
                func = ast.Attribute(rewritten(value, self._by_sample), name, ast.Load())
                return ast.Call(func, [ast.Constant(0) if (name, over) == ("sum", "n") else Shown("", over)], [])
        return None

    def _line(self, symbol: str, tree: ast.expr, fault: str = "") -> Line:
        tree = tree if isinstance(tree, ast.Subscript) else rewritten(tree, self._by_sample)
        names, shapes = self._names(), self._shapes()
        helpers = {line.names[0] for line in self.hand_in.helpers}
        left = names.get(symbol, Shown(symbol, *split_name(outer(symbol))))
        formula = equation(left, shown(tree, names))
        plain = symbol in shapes and not names_in(tree) & helpers and not isinstance(tree, ast.Name | ast.Constant)
        sizes = equation(shapes[symbol], shown(tree, shapes)) if plain and not fault else None
        return Line(formula, sizes, fault)

    @property
    def values(self) -> list[Line]:
        """The lines of the forward pass."""
        return [self._line(line.names[0], line.value) for line in self.hand_in.forward]

    @property
    def helpers(self) -> list[Line]:
        """The lines that are neither, such as masks."""
        used = set().union(*(self.measured.names(a.value) for a in self.hand_in.answers if a.value is not None))
        return [self._line(line.names[0], line.value) for line in self.hand_in.helpers if line.names[0] in used]

    @property
    def gradients(self) -> list[Line]:
        """The lines of the gradients that are filled in."""
        filled = [(answer, answer.value) for answer in self.hand_in.answers if answer.value is not None]
        return [self._line(f"d{answer.symbol}", tree, self.verdicts[answer.symbol]) for answer, tree in filled]

    @property
    def reading(self) -> str:
        """How the lines are to be read."""
        layout = self.measured.layout
        kind = f"; targets are {self.measured.kind}" if self.measured.kind != "numbers" else ""
        return (
            f"Read as {layout.name}{kind}. A gradient has the shape of what it is the gradient by. ⊙ multiplies entry "
            f"by entry; 1[c] is 1 where c holds and 0 elsewhere."
        )

    def report(self) -> str:
        """Return what is right and what is not, a line a gradient."""
        lines = [f"Read as {self.measured.layout.name}: {self._sizes()}."]
        for answer in self.hand_in.answers:
            fault = self.verdicts[answer.symbol]
            lines.append(f"line {answer.line}: dJ/d{outer(answer.symbol)}: {fault or 'right'}")
        lines += [f"dJ/d{outer(symbol)}: it is not there" for symbol in self.lacking]
        right = sum(not text for text in self.verdicts.values())
        lines.append(f"{right} of {len(self.verdicts) + len(self.lacking)} gradients are right.")
        return "\n".join(lines)

    def _sizes(self) -> str:
        return ", ".join(f"{outer(name)} {shape}" for name, shape in self.measured.shapes.items())

    # ---- the two formats

    def to_html(self) -> str:
        """Return the page: the graph, the forward pass, the gradients."""
        wrong = [node for symbol, node in self.nodes.items() if symbol in self.faults]
        lacking = [f'<p class="wrong">dJ/d{html.escape(outer(s))} is not there.</p>' for s in self.lacking]
        blank = [s for s, text in self.verdicts.items() if text == "not filled in yet"]
        lacking += [f'<p class="wrong">dJ/d{html.escape(outer(s))} is not filled in yet.</p>' for s in blank]
        parts = {
            "graph": graph_svg([*self.nodes.values()], self.edges, wrong=wrong),
            "values": "\n".join(map(_html, self.values)),
            "helpers": "\n".join(map(_html, self.helpers)),
            "gradients": "\n".join([*map(_html, self.gradients), *lacking]),
            "reading": html.escape(self.reading),
            "title": TITLE,
        }
        return PAGE.format_map(parts)

    def to_latex(self) -> str:
        """Return a LaTeX document."""
        parts = [LATEX_HEAD, graph_tikz([*self.nodes.values()], self.edges)]
        for title, lines in (("The forward pass", self.values), ("The gradients", [*self.helpers, *self.gradients])):
            parts += [rf"\section*{{{title}}}", *map(_latex, lines)]
        for symbol in self.faults:
            if symbol in self.lacking or self.verdicts[symbol] == "not filled in yet":
                parts.append(rf"\textbf{{$\partial J / \partial {self._latex_name(symbol)}$ is not there.}}\par")
        return "\n".join([*parts, "\\end{document}\n"])

    def _latex_name(self, symbol: str) -> str:
        return equation(self._name(symbol), ast.Constant(0)).to_latex().rpartition(" =")[0]


def check(hand_in: HandIn) -> Checked:
    """Lay out a hand-in, and check its gradients.

    Raises:
        UnreadableError: where its forward pass cannot be computed.

    Example:
        >>> print(check(read("z = W @ x\\nJ = 0.5 * np.sum((z - y)**2)\\ndz = y - z")).report())
        Read as one sample, as a column: W (5, 3), x (3, 1), y (5, 1).
        line 3: dJ/dz: the sign is wrong
        dJ/dx: it is not there
        dJ/dW: it is not there
        0 of 3 gradients are right.
    """
    return Checked(hand_in, laid_out(hand_in))


def _html(line: Line) -> str:
    shapes = f'<span class="shapes">{line.shapes.to_mathml()}</span>' if line.shapes else ""
    fault = f'<p class="wrong">✗ {html.escape(line.fault)}</p>' if line.fault else ""
    return f'<div class="line">{line.formula.to_mathml()}{shapes}{fault}</div>'


def _latex(line: Line) -> str:
    shapes = f"${line.shapes.to_latex()}$" if line.shapes else ""
    mark = r"\ \textbf{(not right)}" if line.fault else ""
    return rf"\step{{{line.formula.to_latex()}}}{{{shapes}{mark}}}"


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 2rem auto; padding: 0 1rem; max-width: 60rem; font: 17px/1.5 Georgia, "Times New Roman", serif; }}
h1 {{ font-size: 1.5rem; }}
h2 {{ font-size: 1.15rem; margin-top: 2rem; }}
.graph {{ overflow: auto; }}
.graph svg {{ display: block; max-width: 100%; height: auto; margin: auto; }}
.line {{ display: flex; flex-wrap: wrap; gap: .3rem 2rem; align-items: center; justify-content: space-between;
  margin: .7rem 0; break-inside: avoid; }}
.line > math {{ font-size: 1.15em; math-style: normal; }}
mfrac > * {{ padding: .12em .1em; }}
.shapes {{ color: #59626c; font-size: .85em; }}
.wrong {{ color: #b3261e; margin: 0; flex-basis: 100%; }}
</style>
</head>
<body>
<h1>{title}</h1>
<div class="graph">
{graph}
</div>
<h2>The forward pass</h2>
{values}
<h2>The gradients, from J back</h2>
<p>{reading}</p>
{helpers}
{gradients}
</body>
</html>
"""
LATEX_HEAD = rf"""\documentclass{{article}}
\usepackage{{amsmath,amssymb}}
\usepackage[margin=2.2cm]{{geometry}}
{PREAMBLE}
\newcommand{{\step}}[2]{{$\displaystyle #1$\hspace*{{\fill}}\linebreak[0]\hspace*{{\fill}}{{\small #2}}\par}}
\begin{{document}}
\raggedright\parindent=0pt \parskip=7pt plus 2pt
\section*{{The computing graph}}"""
