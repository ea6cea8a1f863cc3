"""Arrays that take the place of others: what is computed entry by entry may be stored over what it is computed from."""

from __future__ import annotations

from dataclasses import replace

from .expression import Expression, Load, nodes, rebuilt
from .memory import in_memory, lifetimes, read_from_memory
from .program import Item, Nest, Program, Recurrence, Store


def reused(program: Program) -> Program:
    """Return a program in which arrays are stored over others of their shape that are read for the last time."""
    alive, kept = lifetimes(program), in_memory(program)
    step = 0
    while step < len(program.items):
        item = program.items[step]
        pair = _pair(program, item, step, alive, kept) if isinstance(item, Nest) else None
        if pair is None:
            step += 1
        else:
            program = _renamed(program, *pair)
            alive, kept = lifetimes(program), in_memory(program)
    return program


Lifetimes = dict[str, tuple[int, int]]


def _pair(program: Program, nest: Nest, step: int, alive: Lifetimes, kept: set[str]) -> tuple[str, str] | None:
    """Return an array that a nest stores, and one that it can be stored over; None where there is none."""
    for number, store in enumerate(nest.stores):
        new = program.arrays[store.array]
        if new.role != "temporary" or store.array not in kept or store.adds or alive[store.array][0] != step:
            continue
        later = set[str]().union(*(_names(each) for each in nest.stores[number + 1 :]))
        for name in sorted(read_from_memory(nest) - {each.array for each in nest.stores} - later):
            old = program.arrays[name]
            same = (old.role, old.is_real, old.shape) == (new.role, new.is_real, new.shape)
            if same and alive[name][1] == step and _is_read_in_place(nest, name, store):
                return store.array, name
    return None


def _names(store: Store) -> set[str]:
    return {load.array for load in _loads(store)}


def _loads(store: Store) -> list[Load]:
    return [node for node in nodes(store.value, *store.places) if isinstance(node, Load)]


def _is_read_in_place(nest: Nest, name: str, store: Store) -> bool:
    """Tell whether a nest reads of an array the entry alone that it stores in the place of another one."""
    loads = [load for each in nest.stores for load in _loads(each) if load.array == name]
    return all((load.shape, load.places) == (store.shape, store.places) for load in loads)


def _renamed(program: Program, old: str, new: str) -> Program:
    def in_tree(node: Expression) -> Expression:
        node = rebuilt(node, in_tree)
        return replace(node, array=new) if isinstance(node, Load) and node.array == old else node

    def in_item(item: Item) -> Item:
        if isinstance(item, Recurrence):
            return replace(item, items=tuple(map(in_item, item.items)))
        return replace(item, stores=tuple(map(in_store, item.stores)))

    def in_store(store: Store) -> Store:
        array = new if store.array == old else store.array
        return replace(store, array=array, places=tuple(map(in_tree, store.places)), value=in_tree(store.value))

    arrays = {name: array for name, array in program.arrays.items() if name != old}
    return Program(arrays, tuple(map(in_item, program.items)))
