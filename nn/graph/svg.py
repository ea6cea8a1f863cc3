"""The SVG drawing of a computing graph: kinds are told apart by shape as well as by colour, in light and in dark."""

from __future__ import annotations

import html
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from types import MappingProxyType
from typing import NamedTuple

from .layout import Layout, arrange
from .maps import Window, has_maps, map_pictures, maps_of
from .markup import COLOURS, INK, caption
from .node import Node, check_direction

MARGIN = 16.0
HEIGHT = 66.0
LAYER_GAP = 0.65  # of the height of a node
LEGEND_WIDTH = 330.0
LINE = 17.0  # from line to line of text
ENTRY_GAP = 13.0  # between arrows that end in one node
SHORT_NAME, LONGEST_NAME = 5, 26  # in characters
NAME_SIZE, LONG_NAME_SIZE, TEXT_SIZE = 18, 13, 12  # of fonts
# The width of a character, for the widest of the fonts that a browser may take.
CHARACTER, CHARACTERS = 7.4, {"letter": 0.7 * NAME_SIZE, "letter long": 0.66 * LONG_NAME_SIZE}
PADDING = {"data": 30.0, "target": 30.0, "parameter": 30.0, "intermediate": 18.0, "composite": 30.0, "loss": 18.0}
LOSS_WIDER = 1.4  # the corners of a text must lie inside the ellipse
MAP_SIDE, MAP_GAP = 56.0, 4.0  # the longer side of a map's picture, and the room between two
ENTRY_SIDE = 10.0  # of a map of few entries, at most

_LIGHT = f"--paper:#fff;--ink:{INK};--soft:#4d5560;--line:#5b6570;--lit:#d6336c;--wrong:#b3261e;" + "".join(
    f"--{kind}:{fill};--{kind}-line:{line};" for kind, (fill, line) in COLOURS.items() if kind != "composite"
)
_DARK = """--paper:#15181c;--ink:#eceff2;--soft:#b4bcc6;--line:#8b95a1;--data:#10304c;--data-line:#67b5f2;\
--target:#0b3a2c;--target-line:#4fce9f;--parameter:#46310c;--parameter-line:#f0ae45;--intermediate:#282d33;\
--intermediate-line:#9aa5b1;--loss:#47213a;--loss-line:#ec91c6;--lit:#ff7aa8;--wrong:#ff8a80"""
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
.handgrad .wrong .shape{{stroke:var(--wrong);stroke-width:4;stroke-dasharray:none}}
.handgrad .mark{{fill:var(--wrong);font:bold 24px "DejaVu Sans",sans-serif}}
.handgrad .edge{{fill:none;stroke:var(--line);stroke-width:1.4;marker-end:url(#handgrad-arrow)}}
.handgrad .edge.from-parameter{{stroke:var(--parameter-line)}}
.handgrad marker path{{fill:var(--line)}}
.handgrad .map{{image-rendering:pixelated}}
.handgrad .window{{visibility:hidden;fill:none;stroke:var(--lit);stroke-width:2}}
"""
ARROW = (
    '<marker id="handgrad-arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9" markerHeight="9" '
    'markerUnits="userSpaceOnUse" orient="auto"><path d="M0,1 L10,5 L0,9 z"/></marker>'
)


class Label(NamedTuple):
    """What stands in a node: lines of (text, class) pieces, below them pictures of so many maps, and the node's size.

    Attributes:
        lines: of text.
        width, height: of the node, so that all has room.
        maps: the number of pictures, their width and their height.
    """

    lines: list[list[tuple[str, str]]]
    width: float
    height: float
    maps: tuple[int, float, float] = (0, 0.0, 0.0)


def graph_svg(
    nodes: Sequence[Node],
    edges: Iterable[tuple[Node, Node]],
    direction: str = "down",
    wrong: Collection[Node] = (),
    windows: Mapping[Node, Sequence[Window]] = MappingProxyType({}),
) -> str:
    """Draw a graph, with a `<title>` on every node, and with pictures of maps.

    Args:
        nodes: in an order in which they can be computed.
        edges: pairs of nodes.
        direction: which way the computation flows, "down" or "right".
        wrong: nodes to mark.
        windows: of what one entry of a node's maps is made, to be lit by whoever shows the drawing.

    Raises:
        ValueError: for another direction.
    """
    number = {node: index for index, node in enumerate(nodes)}
    pairs = [(number[a], number[b]) for a, b in edges]
    labels = [_label(node) for node in nodes]
    sizes = [label.width for label in labels], [label.height for label in labels]
    picture = arranged(nodes, pairs, *sizes, LAYER_GAP * HEIGHT, direction)
    drawn = [
        f'<path class="edge from-{nodes[a].kind}" data-from="{a}" data-to="{b}" d="{path}"/>'
        for (a, b), path in zip(pairs, picture.paths, strict=True)
    ]
    for index, (node, label, (x, y)) in enumerate(zip(nodes, labels, picture.centres, strict=True)):
        drawn.append(_box(node, index, label, x, y, node in wrong))
    places = list(zip(labels, picture.centres, strict=True))
    drawn += [_window(window, node, number, places) for node, found in windows.items() for window in found]
    width = max(picture.width, LEGEND_WIDTH)
    legend, legend_height = _legend(nodes, width, picture.height, bool(wrong))
    height = picture.height + legend_height
    heading = f"The computing graph of {html.escape(nodes[-1].name)}: {len(nodes)} nodes, {len(pairs)} edges"
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    start = f'<svg xmlns="http://www.w3.org/2000/svg" class="handgrad" role="img" {size}>'
    head = [start, f"<title>{heading}</title>", f"<style>{STYLE}</style>", f"<defs>{ARROW}</defs>"]
    return "\n".join([*head, *drawn, legend, "</svg>\n"])


# ---- where everything goes


class Picture(NamedTuple):
    """Where a drawing has its nodes and edges, with (0, 0) at the top left.

    Attributes:
        centres: of the nodes.
        paths: of the edges, in the commands of an SVG path.
        width, height: of it all.
    """

    centres: list[tuple[float, float]]
    paths: list[str]
    width: float
    height: float


def arranged(
    nodes: Sequence[Node],
    pairs: Sequence[tuple[int, int]],
    widths: Sequence[float],
    heights: Sequence[float],
    gap: float,
    direction: str,
) -> Picture:
    """Lay out a graph.

    Args:
        nodes: in an order in which they can be computed.
        pairs: the edges, by the numbers of their nodes.
        widths, heights: of the nodes.
        gap: between layers.
        direction: which way the computation flows, "down" or "right".

    Raises:
        ValueError: for another direction.
    """
    check_direction(direction)
    down = direction == "down"
    lengths, breadths = (heights, widths) if down else (widths, heights)  # along the flow, and across
    layout = arrange(breadths, pairs, [node.kind in ("parameter", "target") for node in nodes])

    def on_paper(along: float, across: float) -> tuple[float, float]:
        return (MARGIN + across, along) if down else (along, MARGIN + across)

    # A layer is as long as its longest node.
    layers = [0.0] * (1 + max(place.layer for place in layout.places))
    for place, length in zip(layout.places, lengths, strict=True):
        layers[place.layer] = max(layers[place.layer], length)
    ends = [end - gap for end in accumulate((length + gap for length in layers), initial=MARGIN)][1:]
    middles = [end - length / 2 for end, length in zip(ends, layers, strict=True)]

    # An edge is a line through every layer's band, and a curve in every gap between two.
    paths = []
    for (a, b), route, shift in zip(pairs, layout.routes, _shifts(layout, breadths, pairs), strict=True):
        centres = [place.centre for place in route]
        centres[-1] += shift
        points = [(middles[route[0].layer] + lengths[a] / 2, centres[0])]
        for (before, after), (c, d) in zip(pairwise(route), pairwise(centres), strict=True):
            leave, enter = ends[before.layer], ends[after.layer] - layers[after.layer]
            points += [(leave, c), ((leave + enter) / 2, c), ((leave + enter) / 2, d), (enter, d)]
        points.append((middles[route[-1].layer] - lengths[b] / 2, centres[-1]))
        paths.append(_path([on_paper(*point) for point in points]))
    centres_on_paper = [on_paper(middles[place.layer], place.centre) for place in layout.places]
    return Picture(centres_on_paper, paths, *on_paper(ends[-1] + MARGIN, layout.breadth + MARGIN))


def _shifts(layout: Layout, breadths: Sequence[float], pairs: Sequence[tuple[int, int]]) -> list[float]:
    """Return how far from a node's centre each edge ends: side by side, in the order in which they come."""
    shifts = [0.0] * len(pairs)
    for node, breadth in enumerate(breadths):
        group = [index for index, (_, b) in enumerate(pairs) if b == node]
        group.sort(key=lambda index: layout.routes[index][-2].centre)
        for rank, index in enumerate(group):
            shifts[index] = (rank - (len(group) - 1) / 2) * min(ENTRY_GAP, breadth / 2 / len(group))
    return shifts


def _path(points: list[tuple[float, float]]) -> str:
    """Write a first point, and then lines and curves in turn, without the lines of no length."""
    path = f"M{_at(points[0])}"
    for i in range(1, len(points), 4):
        path += f"L{_at(points[i])}" if points[i] != points[i - 1] else ""
        path += f"C{' '.join(map(_at, points[i + 1 : i + 4]))}" if i + 1 < len(points) else ""
    return path


# ---- nodes


def _label(node: Node) -> Label:
    name, operation, size, norm = caption(node)
    name = shortened(name, LONGEST_NAME)
    first = [(name, "letter long" if len(name) > SHORT_NAME else "letter")]
    if operation:
        first.append((f" = {shortened(operation, LONGEST_NAME)}", "operation"))
    lines = [first, [(size, "small")], *([[(norm, "small gradient")]] if norm else [])]
    width = max(sum(len(text) * CHARACTERS.get(style, CHARACTER) for text, style in line) for line in lines)
    height = HEIGHT
    maps = (0, 0.0, 0.0)
    if has_maps(node):
        count, rows, columns = maps_of(node, node.value).shape
        side = min(ENTRY_SIDE, MAP_SIDE / max(rows, columns))
        maps = count, side * columns, side * rows
        width = max(width, count * (maps[1] + MAP_GAP))
        height += maps[2] + 2 * MAP_GAP
    return Label(lines, (width + PADDING[node.kind]) * (LOSS_WIDER if node.kind == "loss" else 1), height, maps)


def _box(node: Node, index: int, label: Label, x: float, y: float, wrong: bool) -> str:
    head = y - (label.height - HEIGHT) / 2  # the middle of the text
    top = head - LINE * (len(label.lines) - 1) / 2 + TEXT_SIZE * 0.45
    texts = "".join(
        f'<text x="{x:.1f}" y="{top + LINE * row:.1f}">'
        + "".join(f'<tspan class="{style}">{html.escape(text)}</tspan>' for text, style in line)
        + "</text>"
        for row, line in enumerate(label.lines)
    )
    shape = _shape(node.kind, x, y, label.width, label.height)
    if label.maps[0]:
        _, width, height = label.maps
        for number, picture in enumerate(map_pictures(maps_of(node, node.value))):
            left, above = _map_corner(label, (x, y), number)
            size = f'x="{left:.1f}" y="{above:.1f}" width="{width:.1f}" height="{height:.1f}"'
            shape += f'<image class="map" {size} preserveAspectRatio="none" href="{picture}"/>'
    mark = f'<text class="mark" x="{x + label.width / 2 - 4:.1f}" y="{y - label.height / 2 + 8:.1f}">✗</text>' * wrong
    kinds = f"{node.kind} wrong" if wrong else node.kind
    start = f'<g class="node {kinds}" data-node="{index}" data-name="{html.escape(node.name)}">'
    return f"{start}<title>{html.escape(described(node, wrong))}</title>{shape}{texts}{mark}</g>"


def _map_corner(label: Label, centre: tuple[float, float], number: int) -> tuple[float, float]:
    """Return where the picture of a map begins, at the top left."""
    count, width, height = label.maps
    left = centre[0] - (count * (width + MAP_GAP) - MAP_GAP) / 2
    return left + number * (width + MAP_GAP), centre[1] + label.height / 2 - height - 2 * MAP_GAP


def _window(
    window: Window, node: Node, number: Mapping[Node, int], places: Sequence[tuple[Label, tuple[float, float]]]
) -> str:
    """Draw the frames around one entry of a map, and around the entries that it is made of."""

    def frame(owner: Node, index: int, rows: Sequence[int], columns: Sequence[int]) -> str:
        label, centre = places[number[owner]]
        left, top = _map_corner(label, centre, index)
        _, width, height = label.maps
        down, right = height / owner.value.shape[2], width / owner.value.shape[3]  # of an entry
        first, last = (rows[0], columns[0]), (rows[-1] + 1, columns[-1] + 1)
        size = f'width="{right * (last[1] - first[1]):.1f}" height="{down * (last[0] - first[0]):.1f}"'
        return f'<rect x="{left + right * first[1]:.1f}" y="{top + down * first[0]:.1f}" {size}/>'

    index, row, column = window.entry
    frames = frame(node, index, [row], [column])
    frames += "".join(frame(window.source, each, window.rows, window.columns) for each in window.maps)
    return f'<g class="window" data-from="{number[window.source]}" data-to="{number[node]}">{frames}</g>'


def _shape(kind: str, x: float, y: float, width: float, height: float) -> str:
    left, top, right, bottom = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if kind == "parameter":
        nook = min(height, HEIGHT) / 5
        corners = [(left, y), (left + nook, top), (right - nook, top), (right, y), (right - nook, bottom)]
        points = " ".join(map(_at, [*corners, (left + nook, bottom)]))
        return f'<polygon class="shape" points="{points}"/>'
    if kind == "loss":
        return f'<ellipse class="shape" cx="{x:.1f}" cy="{y:.1f}" rx="{width / 2:.1f}" ry="{height / 2:.1f}"/>'
    round_end = min(height, HEIGHT) / 2
    radius = {"data": round_end, "target": round_end, "composite": 0}.get(kind, round_end / 4)
    size = f'width="{width:.1f}" height="{height:.1f}" rx="{radius:.1f}"'
    shape = f'<rect class="shape" x="{left:.1f}" y="{top:.1f}" {size}/>'
    if kind == "composite":  # bars at both sides, as flow charts draw what is described elsewhere
        shape += f'<path class="shape" d="M{_at((left + 6, top))}V{bottom:.1f}M{_at((right - 6, top))}V{bottom:.1f}"/>'
    return shape


def _legend(nodes: Sequence[Node], width: float, top: float, wrong: bool) -> tuple[str, float]:
    """Return the legend of the kinds that there are, wrapped to a width, and how high it is."""
    parts = []
    x, y = MARGIN, top + LINE / 2
    entries = [(kind, kind) for kind in COLOURS if any(node.kind == kind for node in nodes)]
    entries += [("", "✗: not right")] if wrong else []
    if nodes[-1].grad is not None:
        entries.append(("", f"‖∇‖: the norm of the gradient of {shortened(nodes[-1].name, LONGEST_NAME)}"))
    for kind, text in entries:
        swatch = 34 if kind else 0
        wide = swatch + len(text) * CHARACTER + 14
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


def described(node: Node, wrong: bool) -> str:
    """Return all that is known of a node, for whoever points at it."""
    lines = [repr(node.call) if node.call else f"{node.name}, {node.kind}"]
    lines += [f"{node.kind} {node.path}" if node.path else node.kind] if node.call or node.path else []
    lines += [f"shape {node.shown(node.value).shape}, {node.value.dtype}"]
    lines += [f"one node: {node.call.note}"] if node.call and node.call.note else []
    lines += ["NOT RIGHT"] if wrong else []
    return "\n".join(lines)


def _at(point: tuple[float, float]) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"
