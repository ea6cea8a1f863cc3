"""Which arrays of a program need memory, how long each, and where each stands in one block of it."""

from __future__ import annotations

from collections.abc import Iterable

from .expression import Affine, Expression, Load, Size, children
from .program import Array, Item, Nest, Program, Recurrence, all_nests

INNER = ("temporary", "panel")  # the roles of arrays that the caller does not see


def size_at(size: Size, n: int) -> int:
    """Return a size for a batch size."""
    return size.at(n) if isinstance(size, Affine) else size


def entries_at(array: Array, n: int) -> int:
    """Return how many entries an array has for a batch size."""
    count = 1
    for size in array.shape:
        count *= size_at(size, n)
    return count


def read_from_memory(nest: Nest) -> set[str]:
    """Return the arrays that a nest reads, but for entries that it has just stored itself, which it has at hand."""
    found: set[str] = set()
    at_hand: set[tuple] = set()

    def look(node: Expression) -> None:
        if isinstance(node, Load) and (node.array, node.shape, node.places) not in at_hand:
            found.add(node.array)
        for part in children(node):
            look(part)

    for store in nest.stores:
        for tree in (store.value, *store.places):
            look(tree)
        if store.adds:
            found.add(store.array)
        else:
            at_hand.add((store.array, store.shape, store.places))
    return found


def in_memory(program: Program) -> set[str]:
    """Return the arrays that are stored in memory: those of the caller, and those that a later nest reads."""
    read = set[str]().union(*map(read_from_memory, all_nests(program.items)))
    return {name for name, array in program.arrays.items() if array.role != "temporary" or name in read}


def lifetimes(program: Program) -> dict[str, tuple[int, int]]:
    """Return for each temporary in memory the first and the last step of the program that touches it.

    What a recurrence touches is alive all through it.
    """
    kept = in_memory(program)
    found: dict[str, tuple[int, int]] = {}
    for step, item in enumerate(program.items):
        for name in sorted(_touched(item) & kept):
            if program.arrays[name].role in INNER:
                found[name] = (found.get(name, (step, step))[0], step)
    return found


def _touched(item: Item) -> set[str]:
    nests: Iterable[Nest] = all_nests([item]) if isinstance(item, Recurrence) else [item]
    return set[str]().union(
        *(read_from_memory(n) | {store.array for store in n.stores} | set(n.scratch) for n in nests)
    )


def plan(program: Program, n: int) -> tuple[dict[str, int], int, int]:
    """Give each temporary its place among the real numbers or the integers.

    The largest come first, each at the lowest place that is free while it is alive.

    Args:
        program: with all its passes done.
        n: the batch size.

    Returns:
        The places by name, in entries; how many real numbers there are, and how many integers.
    """
    alive = lifetimes(program)
    places: dict[str, int] = {}
    ends = {True: 0, False: 0}
    order = sorted(alive, key=lambda name: (-entries_at(program.arrays[name], n), name))
    for name in order:
        first, last = alive[name]
        array = program.arrays[name]
        size = entries_at(array, n)
        taken = sorted(
            (places[other], places[other] + entries_at(program.arrays[other], n))
            for other in places
            if program.arrays[other].is_real == array.is_real and alive[other][0] <= last and first <= alive[other][1]
        )
        place = 0
        for start, end in taken:
            if place + size <= start:
                break
            place = max(place, end)
        places[name] = place
        ends[array.is_real] = max(ends[array.is_real], place + size)
    return places, ends[True], ends[False]
