"""Tables for the terminal: rows of text in columns."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], sides: str, limits: Sequence[int | None] = (), gap: str = "  ") -> list[str]:
    """Return the lines of a table.

    Args:
        rows: of cells, as many each.
        sides: for each column "<", to the left, or ">", to the right.
        limits: the most characters of each column; a cell that is longer ends in "...". None sets no limit.
        gap: what stands between columns.

    Example:
        >>> aligned([("layer", "size"), ("Linear", "8"), ("ReLU", "")], "<>")
        ['layer   size', 'Linear     8', 'ReLU']
    """
    limits = limits or [None] * len(sides)
    cut = [
        [
            cell if limit is None or len(cell) <= limit else cell[: limit - 3] + "..."
            for cell, limit in zip(row, limits, strict=True)
        ]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cut, strict=True)]
    return [
        gap.join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in cut
    ]
