"""The SVG drawing of a computing graph: kinds are told apart by shape as well as by colour, in light and in dark."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .layout import Layout, arrange
from .node import Node, check_direction
from .rendering import COLOURS, INK

KINDS = ("data", "target", "parameter", "intermediate", "composite", "loss")
MARGIN = 16.0
HEIGHT = 66.0
LAYER_GAP = 42.0
LEGEND_WIDTH = 330.0
LINE = 17.0  # from line to line of text
ENTRY_GAP = 13.0  # between arrows that end in one node
SHORT_NAME, LONGEST_NAME = 5, 26  # in characters
NAME_SIZE, LONG_NAME_SIZE, TEXT_SIZE = 18, 13, 12  # of fonts
# The width of a character, for the widest of the fonts that a browser may take.
CHARACTERS = {"letter": 0.7 * NAME_SIZE, "letter long": 0.66 * LONG_NAME_SIZE, "operation": 7.4, "small": 7.4}
PADDING = {"data": 30.0, "target": 30.0, "parameter": 30.0, "intermediate": 18.0, "composite": 30.0, "loss": 18.0}
LOSS_WIDER = 1.4  # the corners of a text must lie inside the ellipse

_LIGHT = f"--paper:#fff;--ink:{INK};--soft:#4d5560;--line:#5b6570;--lit:#d6336c;" + "".join(
    f"--{kind}:{fill};--{kind}-line:{line};" for kind, (fill, line) in COLOURS.items() if kind != "composite"
)
_DARK = """--paper:#15181c;--ink:#eceff2;--soft:#b4bcc6;--line:#8b95a1;--data:#10304c;--data-line:#67b5f2;\
--target:#0b3a2c;--target-line:#4fce9f;--parameter:#46310c;--parameter-line:#f0ae45;--intermediate:#282d33;\
--intermediate-line:#9aa5b1;--loss:#47213a;--loss-line:#ec91c6;--lit:#ff7aa8"""
STYLE = f"""
.handgrad{{{_LIGHT};background:var(--paper);font-family:Georgia,"Times New Roman","DejaVu Serif",serif}}
@media screen and (prefers-color-scheme:dark){{.handgrad{{{_DARK}}}}}
.handgrad text{{fill:var(--ink);text-anchor:middle;font-size:{TEXT_SIZE}px}}
.handgrad .letter{{font-size:{NAME_SIZE}px;font-style:italic;font-weight:bold}}
.handgrad .long{{font-size:{LONG_NAME_SIZE}px}}
.handgrad .legend text{{text-anchor:start;fill:var(--soft)}}
.handgrad .small{{fill:var(--soft);font:{TEXT_SIZE}px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace}}
.handgrad .shape{{fill:var(--intermediate);stroke:var(--intermediate-line);stroke-width:1.5}}
.handgrad .data .shape{{fill:var(--data);stroke:var(--data-line)}}
.handgrad .target .shape{{fill:var(--target);stroke:var(--target-line);stroke-dasharray:5 3}}
.handgrad .parameter .shape{{fill:var(--parameter);stroke:var(--parameter-line)}}
.handgrad .loss .shape{{fill:var(--loss);stroke:var(--loss-line);stroke-width:3}}
.handgrad .edge{{fill:none;stroke:var(--line);stroke-width:1.4;marker-end:url(#handgrad-arrow)}}
.handgrad .edge.from-parameter{{stroke:var(--parameter-line)}}
.handgrad marker path{{fill:var(--line)}}
"""
ARROW = (
    '<marker id="handgrad-arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9" markerHeight="9" '
    'markerUnits="userSpaceOnUse" orient="auto"><path d="M0,1 L10,5 L0,9 z"/></marker>'
)


class Label(NamedTuple):
    """What stands in a node: lines of (text, class) pieces, and the width that the longest line may take."""

    lines: list[list[tuple[str, str]]]
    width: float


def graph_svg(nodes: Sequence[Node], edges: Iterable[tuple[Node, Node]], direction: str = "down") -> str:
    """Draw a graph, with a `<title>` on every node.

    Args:
        nodes: in an order in which they can be computed.
        edges: pairs of nodes.
        direction: which way the computation flows, "down" or "right".

    Raises:
        ValueError: for another direction.
    """
    check_direction(direction)
    down = direction == "down"
    number = {node: index for index, node in enumerate(nodes)}
    pairs = [(number[a], number[b]) for a, b in edges]
    labels = [_label(node) for node in nodes]
    widths = [label.width for label in labels]
    lengths = [HEIGHT] * len(nodes) if down else widths  # along the flow
    breadths = widths if down else [HEIGHT] * len(nodes)
    layout = arrange(breadths, pairs, [node.kind in ("parameter", "target") for node in nodes])
    layers = _bands(layout, lengths)

    def on_paper(along: float, across: float) -> tuple[float, float]:
        return (MARGIN + across, along) if down else (along, MARGIN + across)

    drawn = []
    for (a, b), points in zip(pairs, _ways(layout, layers, lengths, breadths, pairs), strict=True):
        path = _path([on_paper(*point) for point in points])
        drawn.append(f'<path class="edge from-{nodes[a].kind}" data-from="{a}" data-to="{b}" d="{path}"/>')
    for index, (node, label, place) in enumerate(zip(nodes, labels, layout.places, strict=True)):
        x, y = on_paper(layers[place.layer].middle, place.centre)
        drawn.append(_box(node, index, label, x, y))
    across = layout.breadth + 2 * MARGIN
    along = layers[-1].end + MARGIN
    width, height = (max(across, LEGEND_WIDTH), along) if down else (max(along, LEGEND_WIDTH), across)
    legend, legend_height = _legend(nodes, width, height)
    height += legend_height
    heading = f"The computing graph of {html.escape(nodes[-1].name)}: {len(nodes)} nodes, {len(pairs)} edges"
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    start = f'<svg xmlns="http://www.w3.org/2000/svg" class="handgrad" role="img" {size}>'
    head = [start, f"<title>{heading}</title>", f"<style>{STYLE}</style>", f"<defs>{ARROW}</defs>"]
    return "\n".join([*head, *drawn, legend, "</svg>\n"])


# ---- edges


class Band(NamedTuple):
    """The strip of paper that a layer takes, along the flow."""

    start: float
    middle: float
    end: float


def _bands(layout: Layout, lengths: Sequence[float]) -> list[Band]:
    """Lay the layers one after the other, each as long as its longest node."""
    longest: dict[int, float] = {}
    for place, length in zip(layout.places, lengths, strict=True):
        longest[place.layer] = max(longest.get(place.layer, 0), length)
    bands = []
    start = MARGIN
    for layer in range(len(longest)):
        bands.append(Band(start, start + longest[layer] / 2, start + longest[layer]))
        start += longest[layer] + LAYER_GAP
    return bands


def _ways(
    layout: Layout,
    bands: list[Band],
    lengths: Sequence[float],
    breadths: Sequence[float],
    pairs: Sequence[tuple[int, int]],
) -> Iterator[list[tuple[float, float]]]:
    """Yield the points of each edge: a line through every layer's band, and a curve in every gap between."""
    arriving: dict[int, list[int]] = {}
    for index, (_, b) in enumerate(pairs):
        arriving.setdefault(b, []).append(index)
    shift = {}  # arrows that end in one node end side by side, in the order in which they come
    for node, group in arriving.items():
        group.sort(key=lambda index: layout.routes[index][-2].centre)
        for rank, index in enumerate(group):
            shift[index] = (rank - (len(group) - 1) / 2) * min(ENTRY_GAP, breadths[node] / 2 / len(group))
    for index, ((a, b), route) in enumerate(zip(pairs, layout.routes, strict=True)):
        centres = [place.centre for place in route]
        centres[-1] += shift[index]
        points = [(bands[route[0].layer].middle + lengths[a] / 2, centres[0])]
        for i in range(1, len(route)):
            leave, enter = bands[route[i - 1].layer].end, bands[route[i].layer].start
            points += [(leave, centres[i - 1]), ((leave + enter) / 2, centres[i - 1])]
            points += [((leave + enter) / 2, centres[i]), (enter, centres[i])]
        yield [*points, (bands[route[-1].layer].middle - lengths[b] / 2, centres[-1])]


def _path(points: list[tuple[float, float]]) -> str:
    """Write what `_ways` yields as an SVG path: lines and curves in turn, without the lines of no length."""
    path = f"M{_at(points[0])}"
    for i in range(1, len(points), 4):
        path += f"L{_at(points[i])}" if points[i] != points[i - 1] else ""
        path += f"C{' '.join(map(_at, points[i + 1 : i + 4]))}" if i + 1 < len(points) else ""
    return path


# ---- nodes


def _label(node: Node) -> Label:
    name = shortened(node.name, LONGEST_NAME)
    first = [(name, "letter long" if len(name) > SHORT_NAME else "letter")]
    if node.call:
        first.append((f" = {shortened(type(node.call.before).__name__, LONGEST_NAME)}", "operation"))
    kind = "" if node.value.dtype.kind == "f" else f" {node.value.dtype}"
    lines = [first, [(f"{node.shown(node.value).shape}{kind}" if node.shape else f"{node.value:.4g}", "small")]]
    if node.grad is not None:
        lines.append([(f"‖∇‖ {np.linalg.norm(node.grad):.3g}", "small")])
    width = max(sum(len(text) * CHARACTERS[style] for text, style in line) for line in lines)
    return Label(lines, (width + PADDING[node.kind]) * (LOSS_WIDER if node.kind == "loss" else 1))


def _box(node: Node, index: int, label: Label, x: float, y: float) -> str:
    top = y - LINE * (len(label.lines) - 1) / 2 + TEXT_SIZE * 0.45
    texts = "".join(
        f'<text x="{x:.1f}" y="{top + LINE * row:.1f}">'
        + "".join(f'<tspan class="{style}">{html.escape(text)}</tspan>' for text, style in line)
        + "</text>"
        for row, line in enumerate(label.lines)
    )
    shape = _shape(node.kind, x, y, label.width, HEIGHT)
    start = f'<g class="node {node.kind}" data-node="{index}" data-name="{html.escape(node.name)}">'
    return f"{start}<title>{html.escape(described(node))}</title>{shape}{texts}</g>"


def _shape(kind: str, x: float, y: float, width: float, height: float) -> str:
    left, top, right, bottom = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if kind == "parameter":
        nook = height / 5
        corners = [(left, y), (left + nook, top), (right - nook, top), (right, y), (right - nook, bottom)]
        points = " ".join(map(_at, [*corners, (left + nook, bottom)]))
        return f'<polygon class="shape" points="{points}"/>'
    if kind == "loss":
        return f'<ellipse class="shape" cx="{x:.1f}" cy="{y:.1f}" rx="{width / 2:.1f}" ry="{height / 2:.1f}"/>'
    radius = {"data": height / 2, "target": height / 2, "composite": 0}.get(kind, height / 8)
    size = f'width="{width:.1f}" height="{height:.1f}" rx="{radius:.1f}"'
    shape = f'<rect class="shape" x="{left:.1f}" y="{top:.1f}" {size}/>'
    if kind == "composite":  # bars at both sides, as flow charts draw what is described elsewhere
        shape += f'<path class="shape" d="M{_at((left + 6, top))}V{bottom:.1f}M{_at((right - 6, top))}V{bottom:.1f}"/>'
    return shape


def _legend(nodes: Sequence[Node], width: float, top: float) -> tuple[str, float]:
    """Return the legend of the kinds that there are, wrapped to a width, and how high it is."""
    parts = []
    x, y = MARGIN, top + LINE / 2
    entries = [(kind, kind) for kind in KINDS if any(node.kind == kind for node in nodes)]
    if nodes[-1].grad is not None:
        entries.append(("", f"‖∇‖: the norm of the gradient of {shortened(nodes[-1].name, LONGEST_NAME)}"))
    for kind, text in entries:
        swatch = 34 if kind else 0
        wide = swatch + len(text) * CHARACTERS["operation"] + 14
        if x + wide > width and x > MARGIN:
            x, y = MARGIN, y + LINE + 4
        shape = _shape(kind, x + 13, y, 26, 14) if kind else ""
        entry = f'<text x="{x + swatch:.1f}" y="{y + 4:.1f}">{html.escape(text)}</text>'
        parts.append(f'<g class="legend {kind}">{shape}{entry}</g>')
        x += wide
    return "\n".join(parts), y + LINE - top


def shortened(text: str, length: int) -> str:
    """Return a text with its middle left out where it is longer than `length`."""
    half = (length - 1) // 2
    return text if len(text) <= length else f"{text[:half]}…{text[-half:]}"


def described(node: Node) -> str:
    """Return all that is known of a node, for whoever points at it."""
    lines = [repr(node.call) if node.call else f"{node.name}, {node.kind}"]
    lines += [f"{node.kind} {node.path}" if node.path else node.kind] if node.call or node.path else []
    lines += [f"shape {node.shown(node.value).shape}, {node.value.dtype}"]
    lines += [f"norm of the gradient {np.linalg.norm(node.grad):.6g}"] if node.grad is not None else []
    lines += [f"one node: {node.call.note}"] if node.call and node.call.note else []
    return "\n".join(lines)


def _at(point: tuple[float, float]) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"
