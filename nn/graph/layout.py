"""Where the nodes of a layered drawing go: Sugiyama's method, in plain Python.

A node lies in the layer after its deepest source. An edge that spans several layers gets a place in each of them, so
that it passes beside nodes and never through them. Layers are ordered and spread by relaxation: each place moves to
the mean of its neighbours, as far as the order and the distances allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

GAP = 22.0  # between neighbours in a layer
LANE = 10.0  # the breadth of a passing edge
SWEEPS = 2  # down and up
MAIN, PASSING, SIDE = 10000.0, 100.0, 1.0  # how hard it is to push a node, a passing edge, a node beside the line


class Place(NamedTuple):
    """Where something lies: the layer, and the centre within it."""

    layer: int
    centre: float


class Layout(NamedTuple):
    """The result of `arrange`.

    Attributes:
        places: of each node.
        routes: of each edge, the places that it passes, both ends included.
        breadth: of the widest layer, from 0.
    """

    places: list[Place]
    routes: list[list[Place]]
    breadth: float


def arrange(breadths: Sequence[float], edges: Sequence[tuple[int, int]], side: Sequence[bool]) -> Layout:
    """Lay out a graph whose nodes are numbered such that every edge goes from a lower to a higher number.

    Args:
        breadths: of each node, across the direction of flow.
        edges: pairs of numbers.
        side: True for nodes that stand beside the main line, such as parameters.

    Example:
        >>> arrange([40, 40, 40], [(0, 1), (1, 2)], [False] * 3).places
        [Place(layer=0, centre=20.0), Place(layer=1, centre=20.0), Place(layer=2, centre=20.0)]
    """
    return _Arrangement(breadths, edges, side).result()


class _Arrangement:
    """Items are the nodes by their numbers, then one lane for each node and layer that an edge from it passes."""

    def __init__(self, breadths: Sequence[float], edges: Sequence[tuple[int, int]], side: Sequence[bool]) -> None:
        self.nodes = len(breadths)
        self.breadths = list(breadths)
        self.weight = [SIDE if beside else MAIN for beside in side]
        self.layer = _depths(len(breadths), edges)
        self.lanes: dict[tuple[int, int], int] = {}
        self.chains = [self._chain(a, b) for a, b in edges]
        count = len(self.breadths)
        self.above: list[dict[int, None]] = [{} for _ in range(count)]  # as sets, in order
        self.below: list[dict[int, None]] = [{} for _ in range(count)]
        for chain in self.chains:
            for a, b in pairwise(chain):
                self.below[a][b] = self.above[b][a] = None
        self.layers: list[list[int]] = [[] for _ in range(max(self.layer, default=0) + 1)]
        for item in self._first_order():
            self.layers[self.layer[item]].append(item)
        self.centre = [0.0] * count
        self.partners = self._partners()

    def _chain(self, a: int, b: int) -> list[int]:
        chain = [a]
        for layer in range(self.layer[a] + 1, self.layer[b]):
            if (a, layer) not in self.lanes:
                self.lanes[a, layer] = len(self.breadths)
                self.breadths.append(LANE)
                self.weight.append(min(PASSING, self.weight[a]))
                self.layer.append(layer)
            chain.append(self.lanes[a, layer])
        return [*chain, b]

    def _first_order(self) -> list[int]:
        """Order all items so that the side sources of a node stand half before and half behind the others."""
        order: dict[int, None] = {}
        for sources in self.above[: self.nodes]:
            beside = [item for item in sources if self.weight[item] == SIDE]
            half = len(beside) // 2
            order |= dict.fromkeys([*beside[:half], *(item for item in sources if item not in beside), *beside[half:]])
        return list(order | dict.fromkeys(range(len(self.breadths))))

    def result(self) -> Layout:
        for layer in self.layers:
            self._spread(layer, dict.fromkeys(layer, 0.0))
        for sweep in range(2 * SWEEPS):
            self._sweep(down=sweep % 2 == 0, reorder=True)
        for down in (False, True):
            self._sweep(down, reorder=False)
        lowest = min(c - breadth / 2 for c, breadth in zip(self.centre, self.breadths, strict=True))
        places = [Place(layer, centre - lowest) for layer, centre in zip(self.layer, self.centre, strict=True)]
        breadth = max(place.centre + breadth / 2 for place, breadth in zip(places, self.breadths, strict=True))
        return Layout(places[: self.nodes], [[places[item] for item in chain] for chain in self.chains], breadth)

    def _partners(self) -> dict[int, int]:
        """Return for each item itself, or for one beside the line, what on the line feeds the same node alone."""
        partners = {item: item for item in range(len(self.breadths))}
        for sources in self.above:
            main = [item for item in sources if self.weight[item] != SIDE]
            if len(main) == 1 and len(self.below[main[0]]) == 1:
                partners |= {item: main[0] for item in sources if len(self.below[item]) == 1}
        return partners

    def _sweep(self, down: bool, reorder: bool) -> None:
        """Move the items of layer after layer towards those that they are joined with in the layers before."""
        for layer in self.layers if down else reversed(self.layers):
            wanted = {item: self._wanted(item, down) for item in layer}
            if reorder:  # partners want the same, and so stay beside one another, half before and half behind
                layer.sort(key=lambda item: wanted[self.partners[item]])
            self._spread(layer, wanted)

    def _wanted(self, item: int, down: bool) -> float:
        """Return where an item wants to be: at the mean of what it is joined with, if any of the main line."""
        near, far = (self.above[item], self.below[item]) if down else (self.below[item], self.above[item])
        joined = [other for other in near or far if self.weight[other] != SIDE] or near or far
        return sum(self.centre[other] for other in joined) / len(joined) if joined else self.centre[item]

    def _spread(self, layer: list[int], wanted: dict[int, float]) -> None:
        """Move a layer's items as near to where they want to be as the distances allow: isotonic regression."""
        offset = 0.0
        blocks: list[tuple[float, float, int]] = []  # mean, weight, how many items
        offsets = []
        for before, item in zip([None, *layer], layer, strict=False):
            if before is not None:
                offset += (self.breadths[before] + self.breadths[item]) / 2 + GAP
            offsets.append(offset)
            mean, weight, size = wanted[item] - offset, self.weight[item], 1
            while blocks and blocks[-1][0] > mean:
                left, other, count = blocks.pop()
                mean = (left * other + mean * weight) / (other + weight)
                weight, size = weight + other, size + count
            blocks.append((mean, weight, size))
        means = [mean for mean, _, size in blocks for _ in range(size)]
        for item, mean, shift in zip(layer, means, offsets, strict=True):
            self.centre[item] = mean + shift


def _depths(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Return each node's layer: one more than its deepest source's; what has no source stands just before its use."""
    depth = [0] * count
    first_use = [-1] * count
    has_source = [False] * count
    for a, b in sorted(edges, key=lambda edge: edge[1]):
        depth[b] = max(depth[b], depth[a] + 1)
        has_source[b] = True
    for a, b in edges:
        first_use[a] = depth[b] if first_use[a] < 0 else min(first_use[a], depth[b])
    return [
        max(first - 1, 0) if not inner else own for own, first, inner in zip(depth, first_use, has_source, strict=True)
    ]
