"""Text forms of a computing graph: a table for the terminal, and the language of Mermaid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..module import short_repr
from ..texttable import aligned
from .node import Node, check_direction

# By kind: the fill, the line and the ink on paper; they differ in lightness and hue for the colour-blind.
INK = "#1b1f24"
COLOURS = {
    "data": ("#e0effa", "#0b5fa5"),
    "target": ("#ddf3ea", "#00704f"),
    "parameter": ("#fdebcb", "#9a5b00"),
    "intermediate": ("#f1f2f4", "#59626c"),
    "composite": ("#f1f2f4", "#59626c"),
    "loss": ("#f8e0ee", "#94306d"),
}
_MERMAID_SHAPES = {
    "data": ("([", "])"),
    "target": ("([", "])"),
    "parameter": ("{{", "}}"),
    "intermediate": ("[", "]"),
    "composite": ("[[", "]]"),
    "loss": ("((", "))"),
}
_MERMAID_LINES = {"target": ",stroke-dasharray:5 3", "loss": ",stroke-width:3px"}


def graph_text(nodes: Sequence[Node]) -> str:
    """Return a table: a line a node, with what it is computed from, and the norms of its value and its gradient."""
    heading = ("node", "kind", "shape", "norm", "gradient", "computed by")
    rows = [heading]
    for node in nodes:
        made = (
            f"{short_repr(node.call.before)} of {', '.join(source.name for source in node.call.sources)}"
            if node.call
            else ""
        )
        rows.append(
            (node.name, node.kind, str(node.shown(node.value).shape), _norm(node.value), _norm(node.grad), made)
        )
    lines = aligned(rows, "<<<>><")
    notes = dict.fromkeys(
        f"{node.name}: one node, since {node.call.note}" for node in nodes if node.call and node.call.note
    )
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:], *notes]) + "\n"


def graph_mermaid(nodes: Sequence[Node], edges: Iterable[tuple[Node, Node]], direction: str = "down") -> str:
    """Return the graph in Mermaid's language, which Markdown pages show."""
    check_direction(direction)
    number = {node: f"n{index}" for index, node in enumerate(nodes)}
    lines = [f"flowchart {'TB' if direction == 'down' else 'LR'}"]
    for node in nodes:
        name, operation, *others = caption(node)
        lines_of_node = [f"{name} = {operation}" if operation else name, *filter(None, others)]
        label = "<br/>".join(map(_mermaid_text, lines_of_node))
        opening, closing = _MERMAID_SHAPES[node.kind]
        lines.append(f'  {number[node]}{opening}"{label}"{closing}:::{node.kind}')
    lines += [f"  {number[a]} --> {number[b]}" for a, b in edges]
    for kind in dict.fromkeys(node.kind for node in nodes):
        fill, line = COLOURS[kind]
        lines.append(f"  classDef {kind} fill:{fill},stroke:{line},color:{INK}{_MERMAID_LINES.get(kind, '')}")
    return "\n".join(lines) + "\n"


def caption(node: Node) -> tuple[str, str, str, str]:
    """Return what a drawing says of a node: its name, the layer that makes it, its shape or number, and ‖∇‖."""
    operation = type(node.call.before).__name__ if node.call else ""
    kind = "" if node.value.dtype.kind == "f" else f" {node.value.dtype}"
    size = f"{node.shown(node.value).shape}{kind}" if node.shape else f"{node.value:.4g}"
    return node.name, operation, size, "" if node.grad is None else f"‖∇‖ {np.linalg.norm(node.grad):.3g}"


def _mermaid_text(text: str) -> str:
    """Write a text so that Mermaid reads neither quotes, tags, Markdown nor its own entities in it."""
    return "".join(f"#{ord(character)};" if character in '"<>&#;`*_' else character for character in text)


def _norm(array: np.ndarray | None) -> str:
    return "" if array is None else f"{np.linalg.norm(array):.4g}"
