"""The drawing of a computing graph in LaTeX, with the TikZ package: letters in shapes, as one draws it on paper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..mathematics.notation import Latex
from .markup import COLOURS
from .node import DIRECTIONS, Node
from .svg import LAYER_GAP, arranged

SIZE = 24.0  # of a node, in points
CHARACTER = 5.5
TEXT_WIDTH, TEXT_HEIGHT = 460.0, 600.0  # that a page leaves
LARGEST = 1.4  # scale
SHAPES = {
    "data": "rounded corners=8pt",
    "target": "rounded corners=8pt, dashed",
    "parameter": "",
    "intermediate": "rounded corners=2pt",
    "composite": "double",
    "loss": "rounded corners=8pt, double",
}

PREAMBLE = "\n".join(
    [
        r"\usepackage{tikz}\usetikzlibrary{svg.path}",
        *(
            rf"\definecolor{{{kind}}}{{HTML}}{{{fill[1:].upper()}}}"
            rf"\tikzset{{{kind}/.style={{draw, fill={kind}, inner sep=0pt, {SHAPES[kind]}}}}}"
            for kind, (fill, _) in COLOURS.items()
        ),
    ]
)


def graph_tikz(nodes: Sequence[Node], edges: Iterable[tuple[Node, Node]]) -> str:
    """Draw a graph for LaTeX, in the direction in which it is drawn larger, no larger than a page; with a legend.

    Args:
        nodes: in an order in which they can be computed.
        edges: pairs of nodes.
    """
    number = {node: index for index, node in enumerate(nodes)}
    pairs = [(number[a], number[b]) for a, b in edges]
    widths = [max(SIZE, CHARACTER * len(node.name) + SIZE / 2) for node in nodes]

    heights = [SIZE] * len(nodes)
    pictures = [arranged(nodes, pairs, widths, heights, LAYER_GAP * SIZE, direction) for direction in DIRECTIONS]
    scales = [min(LARGEST, TEXT_WIDTH / picture.width, TEXT_HEIGHT / picture.height) for picture in pictures]
    scale, picture = max(zip(scales, pictures, strict=True), key=lambda pair: (pair[0], -pair[1].height))

    size = f"xscale={scale:.3f}, yscale=-{scale:.3f}"
    lines = [rf"\begin{{tikzpicture}}[>=stealth, {size}, every node/.style={{transform shape, yscale=-1}}]"]
    for node, width, (x, y) in zip(nodes, widths, picture.centres, strict=True):
        size = f"minimum width={width:.1f}pt, minimum height={SIZE:.1f}pt"
        name = Latex().shown_symbol(node.symbol()).text
        lines.append(rf"\node[{node.kind}, {size}] at ({x:.1f}pt,{y:.1f}pt) {{${name}$}};")
    lines += [rf'\draw[->] svg "{path}";' for path in picture.paths]
    kinds = [kind for kind in COLOURS if any(node.kind == kind for node in nodes)]
    swatch = r"\tikz[baseline=-2pt]\node[{0}, minimum width=24pt, minimum height=16pt]{{}}; {0}"
    return "\n".join([*lines, r"\end{tikzpicture}", "", r"\medskip", r" \quad ".join(map(swatch.format, kinds)), ""])
