"""Maps: what convolution takes and gives, as small pictures on the nodes of a drawing."""

from __future__ import annotations

import base64
import zlib
from typing import NamedTuple

import numpy as np

from .node import Node

MOST_MAPS = 8  # of a node that are drawn
POSITIVE, NEGATIVE, WHITE = (np.array(colour, float) for colour in ((11, 95, 165), (196, 60, 30), (255, 255, 255)))


class Window(NamedTuple):
    """Of which entries of an input one entry of a map is made, both of the first sample.

    Attributes:
        source: the input.
        entry: the map, the row and the column in what is made.
        maps, rows, columns: of the input; of the maps only those that are drawn.
    """

    source: Node
    entry: tuple[int, int, int]
    maps: list[int]
    rows: list[int]
    columns: list[int]

    def to_text(self) -> str:
        """Return it in words."""
        at = ", ".join(map(str, self.entry))
        rows, columns = _listed("row", self.rows), _listed("column", self.columns)
        return f"the entry at [0, {at}] is made of {rows} and {columns} of {self.source.name}"


def _listed(what: str, numbers: list[int]) -> str:
    """Return rising numbers in words, with those between left out where they all are there."""
    if len(numbers) == 1:
        return f"{what} {numbers[0]}"
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{what}s {numbers[0]} to {numbers[-1]}"
    return f"{what}s {', '.join(map(str, numbers))}"


def has_maps(node: Node) -> bool:
    """Tell whether a value is of maps (N, C, H, W), or of filters (O, C, H, W), that are something to look at."""
    return node.value.ndim == 4 and node.value.size > 0 and min(node.value.shape[2:]) > 1


def maps_of(node: Node, array: np.ndarray) -> np.ndarray:
    """Return what is drawn of a node's value or gradient: (maps, H, W).

    It is the maps of the first sample, or what filters have for their first channel.
    """
    return (array[:, 0] if node.kind == "parameter" else array[0])[:MOST_MAPS]


def map_pictures(maps: np.ndarray) -> list[str]:
    """Return each map as a picture, in the form of an address that holds it.

    What is nowhere negative is drawn from black to white, anything else from red over white to blue; all the maps
    under one scale.

    Example:
        >>> map_pictures(np.eye(2)[None])[0][:22]
        'data:image/png;base64,'
    """
    maps = np.nan_to_num(np.asarray(maps, float))
    scaled = maps / (np.abs(maps).max() or 1)
    share = np.abs(scaled)[..., None]
    colours = share * WHITE
    if scaled.min() < 0:
        colours = share * np.where(scaled[..., None] > 0, POSITIVE, NEGATIVE) + (1 - share) * WHITE
    return [
        f"data:image/png;base64,{base64.b64encode(_png(pixels)).decode()}" for pixels in colours.round().astype("u1")
    ]


def _png(pixels: np.ndarray) -> bytes:
    """Return pixels (H, W, 3) of 8 bits as a PNG file."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    height, width, _ = pixels.shape
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])  # 8 bits of red, green, blue
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)  # each row begins with how it is filtered: not at all
    end = chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + end
