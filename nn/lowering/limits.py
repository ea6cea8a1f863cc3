"""Which integers a program takes: those that choose an entry or a class must be in range, or memory would be read
beyond an array.
"""

from __future__ import annotations

from .expression import Expression, Index, Load, Operation, Reduction, Size, children
from .program import Program, all_nests


def index_limits(program: Program) -> dict[str, Size]:
    """Return, for each array of integers that the caller gives and that chooses something, how many choices there are.

    Such an array stands in a subscript, or is compared with an index.
    """
    found: dict[str, Size] = {}
    given = {name for name, a in program.arrays.items() if a.role in ("input", "target") and not a.is_real}

    def note(node: Expression, size: Size) -> None:
        if isinstance(node, Load) and node.array in given:
            found.setdefault(node.array, size)

    def look(node: Expression, ranges: dict[str, Size]) -> None:
        match node:
            case Load(shape=shape, places=places):
                for size, place in zip(shape, places, strict=True):
                    note(place, size)
            case Operation(name="==", arguments=(a, b)):
                for one, other in ((a, b), (b, a)):
                    if isinstance(other, Index) and other.name in ranges:
                        note(one, ranges[other.name])
            case Reduction(indices=indices):
                ranges = ranges | dict(indices)
        for part in children(node):
            look(part, ranges)

    for nest in all_nests(program.items):
        for store in nest.stores:
            for tree in (store.target, store.value):
                look(tree, dict(nest.indices))
    return found
