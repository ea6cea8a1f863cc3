"""The derivation as a document: the forward pass, then each gradient from the loss back to the data, and its checks."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Callable, Iterator

import numpy as np

from ..mathematics.formats import SUBSCRIPTS
from ..mathematics.notation import Latex, MathML, Shown, mathml_element
from ..mathematics.program import Line
from ..module import short_repr
from .formula import Formula
from .maps import has_maps, map_pictures, maps_of
from .node import CRITERION, Node, Term
from .steps import Step
from .svg import graph_svg
from .tikz import PREAMBLE, graph_tikz

ROWS, COLUMNS = 4, 5  # how much of an array is shown
FORWARD = "The forward pass, from the data to J"
BACKWARD = "The gradients, from J back to the data"
Content = Formula | np.ndarray | str  # of what is said


class Derivation:
    """The gradient of every node, derived from those of the nodes that it feeds, and checked.

    Attributes:
        values: a step for each node, from the data to the loss: how it is computed.
        gradients: a step for each node, from the loss back to the data: the rule of its gradient, and the checks.

    Example:
        >>> from nn import HalfSquaredLoss, Linear, trace
        >>> graph = trace(Linear(2, 1, dtype="float64"), HalfSquaredLoss(), [[1.0, 2.0]], [[0.0]])
        >>> derivation = graph.derivation()
        >>> print(derivation.gradients[-1].formula.to_text())
        ∂J/∂x = (∂J/∂z₁) W₀
        >>> derivation.right
        True
    """

    def __init__(self, values: list[Step], gradients: list[Step]) -> None:
        self.values = values
        self.gradients = gradients

    @property
    def right(self) -> bool:
        """Whether every rule agrees with the module's backward, and every gradient with central differences."""
        return not self.wrong

    @property
    def wrong(self) -> list[Node]:
        """The nodes whose value or gradient is not right."""
        return list(dict.fromkeys(step.node for step in (*self.values, *self.gradients) if not step.right))

    @property
    def verdict(self) -> str:
        """The outcome of all checks, in a sentence or two."""
        if self.wrong:
            first, *others = (node.name for node in self.wrong)
            where = f", first those of {first}" if others else ""
            return f"NOT RIGHT: {', '.join([first, *others])}; see the checks there{where}."
        rules = [step.error for step in self.gradients if step.error is not None]
        differences = [step.difference.error for step in self.gradients if step.difference]
        zero = [step for step in self.gradients if step.node.terms and not step.value.any()]
        reasons = dict.fromkeys(filter(None, (_flat(step.node, term) for step in zero for term in step.node.terms)))
        unseen = (
            f" Zero in every entry, and so hardly tested: {', '.join(step.node.name for step in zero)}." if zero else ""
        )
        return (
            f"{len(differences)} gradients checked, all right: {len(rules)} rules and backward differ by at most "
            f"{max(rules, default=0):.1g}, backward and central differences by {max(differences):.1g} of the largest "
            f"entry.{unseen}{''.join(f' {reason}.' for reason in reasons)}"
        )

    @property
    def conventions(self) -> str:
        """How the equations are to be read."""
        of_sample = self.gradients[0].node.is_sample
        return (
            f"{'Vectors are columns, of one sample' if of_sample else 'Samples are the rows of matrices'}. A gradient "
            f"has the shape of what it is the gradient of. ⊙ multiplies entry by entry; 1[c] is 1 where c holds and 0 "
            f"elsewhere."
        )

    @property
    def _graph(self) -> tuple[list[Node], list[tuple[Node, Node]]]:
        nodes = [step.node for step in self.values]
        return nodes, [(source, node) for node in nodes if node.call for source in node.call.sources]

    def to_svg(self, direction: str = "down") -> str:
        """Return a drawing of the graph, in which the nodes that are not right are marked."""
        windows = {step.node: step.windows for step in self.values}
        return graph_svg(*self._graph, direction, self.wrong, windows)

    def to_text(self) -> str:
        """Return plain text, for the terminal."""
        return "\n\n".join([*self._blocks("{}", str, _text), self.verdict]) + "\n"

    def to_markdown(self, note: str = "") -> str:
        """Return Markdown, with equations in LaTeX, as GitHub shows them; a note stands before the first step."""
        return "\n\n".join([*self._blocks("## {}", str, _markdown, note), f"**{self.verdict}**"]) + "\n"

    def to_latex(self, note: str = "") -> str:
        """Return a LaTeX document to hand in, for pdflatex with amsmath and TikZ: the graph, and each equation.

        It has no checks, unless something is not right; a note stands before the first step.
        """
        blocks = self._blocks(r"\section*{{{}}}", lambda text: rf"{_latex_text(text)}\par", _latex, note)
        parts = [LATEX_HEAD, graph_tikz(*self._graph), *blocks]
        parts += [rf"\textbf{{{_latex_text(self.verdict)}}}"] if self.wrong else []
        return "\n".join([*parts, "\\end{document}\n"])

    def to_html(self) -> str:
        """Return HTML to stand in a page, with equations in MathML."""
        blocks = self._blocks("<h2>{}</h2>", lambda text: f"<p>{html.escape(text)}</p>", step_html)
        return "\n".join([*blocks, f"<p><strong>{html.escape(self.verdict)}</strong></p>"]) + "\n"

    def _blocks(
        self, heading: str, paragraph: Callable[[str], str], written: Callable[[Step], str], note: str = ""
    ) -> list[str]:
        notes = [paragraph(note)] if note else []
        forward = [heading.format(FORWARD), *notes, *map(written, self.values)]
        return [*forward, heading.format(BACKWARD), paragraph(self.conventions), *map(written, self.gradients)]

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return self.to_html()


# ---- what is said of a step


def details(step: Step) -> Iterator[tuple[str, Content]]:
    """Yield what stands below a step's equation: a word, and what it is about."""
    node = step.node
    if step.is_gradient and node.grad is None:
        return
    if not step.is_gradient:
        yield "by" if node.call else "is", _origin(node)
    elif len(node.terms) > 1:
        fed = dict.fromkeys(made.name for term in node.terms for made in term.call.results)
        yield "sum", f"{node.name} is used {len(node.terms)} times, for {', '.join(fed)}"
    yield ("shapes", step.shapes) if step.shapes else ("shape", str(step.value.shape))
    for formula in step.where:
        yield "where", formula
    if step.remark and step.formula:
        yield "note", step.remark
    yield "value", step.value
    for window in step.windows:
        yield "window", window.to_text()
    if zero := zeros(step):
        yield "zero", zero
    if step.difference or step.error is not None:
        yield "check", check(step)


def _origin(node: Node) -> str:
    """Return which layer made a value, or what was given, and where it stands in the model."""
    if node.call is None:
        return f"{node.kind} {node.path}".rstrip()
    return short_repr(node.call.before) + (f", layer {node.call.path}" if node.call.path not in ("", CRITERION) else "")


def zeros(step: Step) -> str:
    """Return how many entries of a gradient are zero, and why; empty where none is, or J does not depend on the node.

    The reason is a layer that is flat there, as ReLU is below zero, or else the zeros in what the rule multiplies.
    """
    count = step.value.size - np.count_nonzero(step.value)
    if not (step.is_gradient and step.node.terms and count):
        return ""
    reasons = [_flat(step.node, term) for term in step.node.terms]
    if not any(reasons) and (names := dict.fromkeys(name for name, value in _factors(step) if not np.all(value))):
        reasons = [f"from zeros in {' and '.join(names)}"]
    return "; ".join([f"{count} of {step.value.size} entries", *dict.fromkeys(filter(None, reasons))])


def _flat(node: Node, term: Term) -> str:
    """Return where a layer that works entry by entry lets no gradient through, in words; empty where it does."""
    call = term.call
    if call.parameters or len(call.results) != 1 or call.results[0].shape != node.shape or not call.results[0].terms:
        return ""
    stopped = (term.grad == 0) & (call.results[0].grad != 0)
    if not stopped.any():
        return ""
    where = "all" if stopped.all() else f"{np.count_nonzero(stopped)} of the {stopped.size}"
    below = ", which are below zero" if np.all(node.value[stopped] < 0) else ""
    return f"{short_repr(call.before)} is flat at {where} entries of {node.name}{below}"


def _factors(step: Step) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the nodes, or their gradients, that stand in a rule: the name, and the array."""
    written = {
        (part.letter, part.subscript, part.gradient)
        for line in (step.formula.lines if step.formula else ())
        for part in (ast.walk(line.value) if isinstance(line, Line) else ())
        if isinstance(part, Shown)
    }
    for term in step.node.terms:
        for node in (*term.call.results, *term.call.sources):
            if (node.letter, node.subscript, True) in written and node.grad is not None:
                yield f"∂J/∂{node.name}", node.grad
            if (node.letter, node.subscript, False) in written:
                yield node.name, node.value


def check(step: Step) -> str:
    """Return how far the equation, the code and central differences lie apart, and the verdict."""
    parts = []
    if step.error is not None:
        parts.append(
            f"{'rule and backward' if step.is_gradient else 'equation and forward'} differ by {step.error:.1g}"
        )
    if step.difference:
        error, entries, kinks = step.difference
        how = f"{entries} entr{'y' if entries == 1 else 'ies'}" if entries else "random directions"
        parts.append(f"backward and central differences by {error:.1g} ({how})")
        if kinks:
            parts.append(f"{kinks} left out, where J has no derivative")
    return ", ".join(parts) + (" ✓" if step.right else " ✗ NOT RIGHT")


def corner(array: np.ndarray) -> list[list[str]]:
    """Return the first rows and columns of an array, with dots for the others.

    A vector is one row; of more dimensions than two, the leading ones are joined.
    """
    table = np.asarray(array).reshape(-1, array.shape[-1] if array.ndim and array.shape[-1] else 1)
    more = ["…"] * (table.shape[1] > COLUMNS)
    rows = [[f"{value:.4g}" for value in row[:COLUMNS]] + more for row in table[:ROWS]]
    return [*rows, *[["⋮"]] * (len(table) > ROWS)]


# ---- the four formats


def _plain(content: Content) -> str:
    """Return what is said in one line of text, an array in NumPy's brackets."""
    if isinstance(content, Formula):
        return content.to_text()
    if isinstance(content, str):
        return content
    rows = ["…" if row == ["⋮"] else f"[{', '.join(row)}]" for row in corner(content)]
    array = corner(content)[0][0] if content.ndim == 0 else ", ".join(rows)
    return f"norm {np.linalg.norm(content):.6g}, {f'[{array}]' if content.ndim > 1 or not rows else array}"


def _text(step: Step) -> str:
    head = step.formula.to_text() if step.formula else f"{_subject(step)}: {step.remark or 'given'}"
    return "\n".join([f"  {head}", *(f"    {word:8}{_plain(content)}" for word, content in details(step))])


def _markdown(step: Step) -> str:
    lines = [f"**{_subject(step)}**" + ("" if step.formula else f": {step.remark or 'given'}"), ""]
    lines += ["```math", step.formula.to_latex(), "```", ""] if step.formula else []
    return "\n".join([*lines, *(f"- {word}: `{_plain(content)}`" for word, content in details(step))])


def _subject(step: Step) -> str:
    """Return what a step is about: a node, or its gradient."""
    return f"∂J/∂{step.node.name}" if step.is_gradient else step.node.name


# In \\step, a long equation breaks where it can, and the shapes go to the right, on a line of their own if they must.
LATEX_HEAD = rf"""\documentclass{{article}}
\usepackage{{amsmath,amssymb}}
\usepackage[margin=2.2cm]{{geometry}}
{PREAMBLE}
\newcommand{{\step}}[2]{{$\displaystyle #1$\hspace*{{\fill}}\linebreak[0]\hspace*{{\fill}}{{\small #2}}\par}}
\renewcommand{{\arraystretch}}{{.85}}
\begin{{document}}
\raggedright\parindent=0pt \parskip=7pt plus 2pt \lineskip=4pt
\section*{{The computing graph}}"""
_LOWERED = {chr(low): chr(high) for high, low in SUBSCRIPTS.items()} | {"₊": "+"}
_LATEX_CHARACTERS = {
    **{character: f"\\{character}" for character in "{}_#&%$"},
    **{character: f"${character}$" for character in "<>|"},
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "…": r"\dots{}",
    "×": r"$\times$",
    "−": "$-$",
    "′": "$'$",
    "∂": r"$\partial$",
    "⊙": r"$\odot$",
    "✓": r"$\checkmark$",
    "✗": r"$\times$",
}


def _latex_text(text: str) -> str:
    """Return a text as LaTeX; characters that its fonts lack become question marks."""

    def written(match: re.Match[str]) -> str:
        character = match[0]
        if character[0] in _LOWERED:
            return f"$_{{{''.join(map(_LOWERED.__getitem__, character))}}}$"
        return _LATEX_CHARACTERS.get(character, character if character.isascii() else "?")

    return re.sub(f"[{''.join(_LOWERED)}]+|.", written, text)


def _latex_array(array: np.ndarray) -> str:
    rows = r" \\ ".join(" & ".join(row) for row in corner(array)).replace("…", r"\cdots").replace("⋮", r"\vdots")
    return rows if array.ndim == 0 else rf"\begin{{bmatrix}} {rows} \end{{bmatrix}}"


def _latex(step: Step) -> str:
    """Return the equation and the value in it, the shapes at the margin, and what explains it: nothing of the run."""
    name = Latex().shown_symbol(step.node.symbol(gradient=step.is_gradient)).text
    if step.is_gradient and step.node.grad is None:
        return rf"${name}$: {_latex_text(step.remark)}\par"
    value = f"{name} = {_latex_array(step.value)}"
    formula = step.formula.to_latex() if step.formula else value
    if formula.startswith(f"{name} = ") and not formula.endswith(value.removeprefix(name)):
        formula += value.removeprefix(name)
    shapes = f"${step.shapes.to_latex()}$" if step.shapes else str(step.value.shape or "")
    given = "" if step.formula else f"{_latex_text(step.remark or 'given')}, "
    lines = [rf"\step{{{formula}}}{{{given}{shapes}}}"]
    lines += [] if formula.startswith(f"{name} = ") else [rf"\step{{{value}}}{{}}"]
    for word, content in details(step):
        if isinstance(content, Formula) and word == "where":
            lines.append(rf"where ${content.to_latex()}$\par")
        elif word in ("sum", "note", "zero") or (word == "check" and not step.right):
            lines.append(rf"{word}: {_latex_text(str(content))}\par")
    return "\n".join(lines)


def step_html(step: Step) -> str:
    """Return a step as HTML: a heading, the equation, and a list of what is to be said."""
    head = step.formula.to_mathml() if step.formula else f"{subject_html(step)}: {html.escape(step.remark or 'given')}"
    parts = [f'<section class="handgrad-step{"" if step.right else " wrong"}">', f'<div class="equation">{head}</div>']
    for word, content in details(step):
        mark = ' class="wrong"' if word == "check" and not step.right else ""
        parts.append(f"<dt>{word}</dt><dd{mark}>{_html(content)}</dd>")
        if word == "value" and has_maps(step.node):
            parts.append(f"<dt>maps</dt><dd>{_maps_html(step)}</dd>")
    return "\n".join([*parts[:2], "<dl>", *parts[2:], "</dl></section>"])


def _maps_html(step: Step) -> str:
    """Return pictures of the maps of a value or a gradient."""
    array = step.node.value if not step.is_gradient else step.node.grad
    pictures = map_pictures(maps_of(step.node, np.asarray(array)))
    style = "width:5rem;margin:0 .3rem .3rem 0;image-rendering:pixelated"
    return "".join(
        f'<img src="{picture}" alt="map {number}" style="{style}">' for number, picture in enumerate(pictures)
    )


def subject_html(step: Step) -> str:
    """Return what a step is about, a node or its gradient, as MathML."""
    return mathml_element(MathML().shown_symbol(step.node.symbol(gradient=step.is_gradient)).text)


def _html(content: Content) -> str:
    if isinstance(content, Formula):
        return content.to_mathml()
    if isinstance(content, str):
        return html.escape(content)
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in corner(content))
    return f'norm {np.linalg.norm(content):.6g} <table class="array">{rows}</table>'
