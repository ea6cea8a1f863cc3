"""A program made smaller: what is elementwise moves into the loop that stores what it reads, what nobody reads goes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from .expression import Expression, Load, children, reductions
from .program import Item, Nest, Program, Recurrence, Store, all_nests, reads


def fused(program: Program, roots: Collection[str]) -> Program:
    """Return a program that leaves the same in the arrays of the caller, in fewer loops and less memory.

    Args:
        program: what was written.
        roots: the roles of arrays whose contents the caller wants.
    """
    wanted = {name for name, array in program.arrays.items() if array.role in roots}
    items = _needed(_fused(_needed(program.items, wanted)), wanted)
    kept = {store.array for nest in all_nests(items) for store in nest.stores}.union(*map(_read_by, items))
    arrays = {n: a for n, a in program.arrays.items() if n in kept or a.role not in ("temporary", "constant", "random")}
    return Program(arrays, items)


# ---- what is needed


def _needed(items: Iterable[Item], wanted: Collection[str]) -> tuple[Item, ...]:
    """Return the items without stores into arrays that are neither wanted nor read."""
    items = tuple(items)
    needed, before = set(wanted), -1
    while len(needed) > before:
        before = len(needed)
        for nest in all_nests(items):
            for store in nest.stores:
                if store.array in needed:
                    needed |= reads(store.value, *store.places)
    return _without(items, needed)


def _without(items: Iterable[Item], needed: Collection[str]) -> tuple[Item, ...]:
    found: list[Item] = []
    for item in items:
        if isinstance(item, Recurrence):
            if inner := _without(item.items, needed):
                found.append(replace(item, items=inner))
        elif stores := tuple(store for store in item.stores if store.array in needed):
            found.append(Nest(item.indices, stores))
    return tuple(found)


# ---- loops joined


def _fused(items: Iterable[Item]) -> tuple[Item, ...]:
    found: list[Item] = []
    for item in items:
        if isinstance(item, Recurrence):
            found.append(replace(item, items=_fused(item.items)))
            continue
        home = _home(item, found)
        if home is None:
            found.append(item)
        else:
            found[home] = Nest(item.indices, (*stores_of(found[home]), *item.stores))
    return tuple(found)


def stores_of(item: Item) -> tuple[Store, ...]:
    """Return what an item stores, also inside a recurrence."""
    return tuple(store for nest in all_nests([item]) for store in nest.stores)


def _home(nest: Nest, before: list[Item]) -> int | None:
    """Return the number of an earlier nest that can do what this one does beside its own; None where there is none."""
    (store,) = nest.stores
    if store.adds:
        return None
    read = reads(store.value, *store.places)
    for number in reversed(range(len(before))):
        item = before[number]
        if reductions(store.value) and isinstance(item, Nest) and _joins(store, nest, item):
            return number  # it reduces the same already
        written = {each.array for each in stores_of(item)}
        if written & (read | {store.array}) or store.array in _read_by(item):
            return number if isinstance(item, Nest) and _joins(store, nest, item) else None
    return None


def _read_by(item: Item) -> set[str]:
    stores = stores_of(item)
    return reads(*(store.value for store in stores), *(place for store in stores for place in store.places))


def _joins(store: Store, nest: Nest, home: Nest) -> bool:
    """Tell whether a store can stand behind those of another nest: it reads of these only what was just stored."""
    if nest.indices != home.indices or any(each.adds for each in home.stores):
        return False
    if not set(reductions(store.value)) <= set(reductions(*(each.value for each in home.stores))):
        return False  # what is computed already may be read again
    targets = {each.array: each.target for each in home.stores}
    if store.array in targets or store.array in _read_by(home) - targets.keys():
        return False
    loads = [node for node in _loads(store.value) if node.array in targets]
    return all((n.shape, n.places) == (targets[n.array].shape, targets[n.array].places) for n in loads)


def _loads(node: Expression) -> list[Load]:
    own = [node] if isinstance(node, Load) else []
    return [*own, *(load for part in children(node) for load in _loads(part))]
