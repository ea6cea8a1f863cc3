"""The derivation as a document: the forward pass, then each gradient from the loss back to the data, and its checks."""

from __future__ import annotations

import html
from collections.abc import Iterator

import numpy as np

from ..mathematics.notation import Latex, MathML, mathml_element
from ..module import title
from .formula import Formula
from .node import CRITERION, Node
from .steps import Step

ROWS, COLUMNS = 4, 5  # how much of an array is shown
FORWARD = "The forward pass, from the data to J"
BACKWARD = "The gradients, from J back to the data"


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
        return all(step.right for step in (*self.values, *self.gradients))

    @property
    def verdict(self) -> str:
        """The outcome of all checks, in a sentence."""
        wrong = [step.node.name for step in (*self.values, *self.gradients) if not step.right]
        if wrong:
            return f"NOT RIGHT: {', '.join(dict.fromkeys(wrong))}; see the checks there."
        rules = [step.error for step in self.gradients if step.error is not None]
        differences = [step.difference.error for step in self.gradients if step.difference]
        return (
            f"{len(differences)} gradients checked, all right: {len(rules)} rules and backward differ by at most "
            f"{max(rules, default=0):.1g}, backward and central differences by {max(differences):.1g}."
        )

    @property
    def conventions(self) -> str:
        """How the equations are to be read."""
        of_sample = self.gradients[0].node.is_sample
        return (
            f"{'Vectors are columns, of one sample' if of_sample else 'Samples are the rows of matrices'}. A gradient "
            f"has the shape of what it is the gradient of. ⊙ multiplies entry by entry; 1[c] is 1 where c holds and 0 "
            f"elsewhere. Errors are relative to the largest entry."
        )

    def to_text(self) -> str:
        """Return plain text, for the terminal."""
        blocks = [FORWARD, "\n".join(_text(step) for step in self.values), BACKWARD, self.conventions]
        blocks += [_text(step) for step in self.gradients]
        return "\n\n".join([*blocks, self.verdict]) + "\n"

    def to_markdown(self) -> str:
        """Return Markdown, with equations in LaTeX, as GitHub shows them."""
        blocks = [f"## {FORWARD}", *map(_markdown, self.values)]
        blocks += [f"## {BACKWARD}", self.conventions, *map(_markdown, self.gradients)]
        return "\n\n".join([*blocks, f"**{self.verdict}**"]) + "\n"

    def to_latex(self) -> str:
        """Return a LaTeX document, for pdflatex with amsmath."""
        blocks = [rf"\section*{{{FORWARD}}}", *map(_latex, self.values)]
        blocks += [rf"\section*{{{BACKWARD}}}", _latex_text(self.conventions), *map(_latex, self.gradients)]
        body = "\n\n".join([*blocks, rf"\medskip\noindent\textbf{{{_latex_text(self.verdict)}}}"])
        return f"{LATEX_HEAD}\n{body}\n\\end{{document}}\n"

    def to_html(self) -> str:
        """Return HTML to stand in a page, with equations in MathML."""
        parts = [f"<h2>{FORWARD}</h2>", *map(step_html, self.values)]
        parts += [f"<h2>{BACKWARD}</h2>", f"<p>{html.escape(self.conventions)}</p>", *map(step_html, self.gradients)]
        return "\n".join([*parts, f"<p><strong>{html.escape(self.verdict)}</strong></p>"]) + "\n"

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return self.to_html()


# ---- what is said of a step


def subject(step: Step) -> str:
    """Return what a step is about: a node, or its gradient."""
    return f"∂J/∂{step.node.name}" if step.is_gradient else step.node.name


def details(step: Step) -> Iterator[tuple[str, Formula | str]]:
    """Yield what stands below a step's equation: a word, and an equation or a text."""
    if step.is_gradient and step.node.grad is None:
        return
    if not step.is_gradient:
        yield "by" if step.node.call else "is", _origin(step.node)
    if len(step.node.terms) > 1 and step.is_gradient:
        fed = dict.fromkeys(made.name for term in step.node.terms for made in term.call.results)
        yield "sum", f"{step.node.name} is used {len(step.node.terms)} times, for {', '.join(fed)}"
    yield "shapes" if step.shapes else "shape", step.shapes or str(step.value.shape)
    for formula in step.where:
        yield "where", formula
    if step.remark and step.formula:
        yield "note", step.remark
    yield "value", f"norm {np.linalg.norm(step.value):.6g}, {corner_text(step.value)}"
    if step.difference or step.error is not None:
        yield "check", check(step)


def _origin(node: Node) -> str:
    """Return which layer made a value, or what was given, and where it stands in the model."""
    if node.call is None:
        return f"{node.kind} {node.path}".rstrip()
    return title(node.call.before) + (f", layer {node.call.path}" if node.call.path not in ("", CRITERION) else "")


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


def corner(array: np.ndarray) -> tuple[list[list[str]], bool, bool]:
    """Return the first rows and columns of an array, and whether there are more rows and more columns.

    A vector is one row; of more dimensions than two, the leading ones are joined.
    """
    table = np.asarray(array).reshape(-1, array.shape[-1] if array.ndim and array.shape[-1] else 1)
    rows = [[f"{value:.4g}" for value in row[:COLUMNS]] for row in table[:ROWS]]
    return rows, len(table) > ROWS, table.shape[1] > COLUMNS


def corner_text(array: np.ndarray) -> str:
    """Return the corner of an array in one line, in NumPy's brackets."""
    rows, more_rows, more_columns = corner(array)
    texts = ["[" + ", ".join(row + ["…"] * more_columns) + "]" for row in rows] + ["…"] * more_rows
    if array.ndim == 0:
        return rows[0][0]
    return texts[0] if array.ndim == 1 and texts else f"[{', '.join(texts)}]"


# ---- the four formats


def _text(step: Step) -> str:
    head = step.formula.to_text() if step.formula else f"{subject(step)}: {step.remark or 'given'}"
    lines = [f"    {word:8}{what.to_text() if isinstance(what, Formula) else what}" for word, what in details(step)]
    return "\n".join([f"  {head}", *lines])


def _markdown(step: Step) -> str:
    lines = [f"**{subject(step)}**" + ("" if step.formula else f": {step.remark or 'given'}"), ""]
    lines += ["```math", step.formula.to_latex(), "```", ""] if step.formula else []
    lines += [f"- {word}: `{what.to_text() if isinstance(what, Formula) else what}`" for word, what in details(step)]
    return "\n".join(lines)


LATEX_HEAD = r"""\documentclass{article}
\usepackage{amsmath,amssymb}
\usepackage[margin=2.5cm]{geometry}
\setlength{\parindent}{0pt}
\raggedright
\begin{document}"""
_LATEX_CHARACTERS = {
    **{character: f"\\{character}" for character in "{}_#&%$"},
    **{character: f"${character}$" for character in "<>|"},
    **{digit: f"$_{{{index}}}$" for index, digit in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "…": r"\dots{}",
    "−": "$-$",
    "′": "$'$",
    "∂": r"$\partial$",
    "⊙": r"$\odot$",
    "✓": r"$\checkmark$",
    "✗": r"$\times$",
}


def _latex_text(text: str) -> str:
    """Return a text as LaTeX; characters that its fonts lack become question marks."""
    return "".join(_LATEX_CHARACTERS.get(c, c if c.isascii() else "?") for c in text)


def _latex_array(array: np.ndarray) -> str:
    rows, more_rows, more_columns = corner(array)
    lines = [" & ".join(row + [r"\cdots"] * more_columns) for row in rows] + [r"\vdots"] * more_rows
    return rows[0][0] if array.ndim == 0 else r"\begin{bmatrix} " + r" \\ ".join(lines) + r" \end{bmatrix}"


def _latex(step: Step) -> str:
    name = Latex().shown_symbol(step.node.symbol(gradient=step.is_gradient)).text
    lines = [rf"\medskip\textbf{{${name}$}}" + ("" if step.formula else f": {_latex_text(step.remark or 'given')}")]
    lines += [rf"\[ {step.formula.to_latex()} \]"] if step.formula else [""]
    for word, what in details(step):
        if word == "value":
            lines.append(rf"value: norm {np.linalg.norm(step.value):.6g}, $\displaystyle {_latex_array(step.value)}$\\")
        else:
            lines.append(rf"{word}: {f'${what.to_latex()}$' if isinstance(what, Formula) else _latex_text(what)}\\")
    return "\n".join(lines)


def step_html(step: Step) -> str:
    """Return a step as HTML: a heading, the equation, and a list of what is to be said."""
    parts = ['<section class="handgrad-step">']
    if step.formula:
        parts.append(f'<div class="equation">{step.formula.to_mathml()}</div>')
    else:
        name = mathml_element(MathML().shown_symbol(step.node.symbol(gradient=step.is_gradient)).text)
        parts.append(f'<div class="equation">{name}: {html.escape(step.remark or "given")}</div>')
    parts.append("<dl>")
    for word, what in details(step):
        shown = what.to_mathml() if isinstance(what, Formula) else html.escape(what)
        if word == "value":
            shown = f"norm {np.linalg.norm(step.value):.6g} {array_html(step.value)}"
        mark = ("" if step.right else ' class="wrong"') if word == "check" else ""
        parts.append(f"<dt>{word}</dt><dd{mark}>{shown}</dd>")
    return "\n".join([*parts, "</dl></section>"])


def array_html(array: np.ndarray) -> str:
    """Return the corner of an array as a table."""
    rows, more_rows, more_columns = corner(array)
    rows = [row + ["…"] * more_columns for row in rows] + [["⋮"]] * more_rows
    cells = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<table class="array">{cells}</table>'
