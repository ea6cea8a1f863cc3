"""A call with those that it needs, as code; and the same with other inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from .calls import Array, Call, Leaf, Nest, Rule, Setting, leaves_of


class Chain(NamedTuple):
    """A call with those that it needs before it, and what is special about its inputs."""

    calls: tuple[Call, ...]
    said: str

    def names(self) -> dict[int, str]:
        """Return the variable that the result of each call is kept under."""
        *before, last = self.calls
        names: dict[int, str] = {}
        for call in before:  # one that is made twice has one name
            word = call.function.partition(".")[0].lower() if call.is_constructor else "out"
            names.setdefault(call.number, word if word not in names.values() else f"{word}{call.number}")
        return names | {last.number: "result"}

    def code(self) -> str:
        """Return the lines that draw the arguments and make the calls."""
        names = self.names()
        lines: list[str] = []
        for call in self.calls:
            given: list[str] = []
            for name, spec in call.arguments:
                if isinstance(spec, Array | Nest) and any(isinstance(leaf, Array) for _, leaf in leaves_of(name, spec)):
                    lines += [f"{name} = {spec.code(names)}"]
                    given.append(name)
                else:
                    given.append(spec.code(names))
            function = call.function.removesuffix(".__init__")
            if call.is_method:
                function = f"{given.pop(0)}.{function.partition('.')[2]}"
            lines.append(f"{names[call.number]} = {function}({', '.join(given)})")
        return "\n".join(lines)

    def changed(self, rule: Rule, said: str) -> Chain:
        """Return the chain with each leaf of each call changed."""
        return Chain(tuple(call.changed(rule) for call in self.calls), ", ".join(filter(None, (self.said, said))))

    def leaves(self) -> list[tuple[int, str, Leaf]]:
        """Return the leaves of all calls, each with the number of the call and its name."""
        return [(call.number, name, leaf) for call in self.calls for name, leaf in call.leaves()]


def chain_of(call: Call, calls: Sequence[Call]) -> Chain:
    """Return a call with those that it needs."""
    needed, new = {call.number}, {call.number}
    while new:
        new = set().union(*(calls[number].needs() for number in new)) - needed
        needed |= new
    return Chain(tuple(calls[number] for number in sorted(needed)), "")


# ---- other inputs of the same kind


def varied(chain: Chain) -> Iterator[Chain]:
    """Yield a chain with other inputs: ties and zeros, repeated indices, other settings, other sizes, and several."""
    values = list(_other_values(chain))
    settings, sizes = list(_other_settings(chain)), list(_other_sizes(chain))
    yield chain
    if chain.calls[-1].is_method:
        again = [call for call in chain.calls if not call.is_constructor]
        yield Chain((*chain.calls, *again), "called twice")
    yield from values
    yield from settings
    yield from sizes
    for first, others in ((values, _other_settings), (values, _other_sizes), (sizes, _other_settings)):
        for changed in first:
            yield from others(changed)


def _other_values(chain: Chain) -> Iterator[Chain]:
    def drawn(name: str, leaf: Any, number: int) -> Any:
        is_float = isinstance(leaf, Array) and leaf.draw == "normal" and leaf.like is None
        return dataclasses.replace(leaf, draw="whole") if is_float else leaf

    def repeated(name: str, leaf: Any, number: int) -> Any:
        is_index = isinstance(leaf, Array) and leaf.draw == "integer"
        return dataclasses.replace(leaf, draw="same") if is_index else leaf

    for rule, said in ((drawn, "small whole numbers, so that zeros and ties occur"), (repeated, "a repeated index")):
        if (changed := chain.changed(rule, said)).calls != chain.calls:
            yield changed


def _other_settings(chain: Chain) -> Iterator[Chain]:
    leaves = sorted(chain.leaves(), key=lambda found: "stride" not in found[1])  # below the kernel, windows overlap
    for place, name, leaf in leaves:
        if not isinstance(leaf, Setting) or leaf.value is None:
            continue
        value = leaf.value
        others: list[Any] = []
        if isinstance(value, bool):
            others = [not value]
        elif isinstance(value, int):
            others = [other for other in (value - 1, 1, value + 1, 2, 3, 0) if other >= min(value, 0)]
        elif isinstance(value, float):
            others = [value / 2, 2 * value + 0.1]
        elif isinstance(value, str):
            others = {"train": ["test", "eval"], "test": ["train"], "eval": ["train"]}.get(value, [])
        for other in dict.fromkeys(o for o in others if o != value):

            def rule(key: str, old: Any, at: int, which: Any = (place, name, leaf), new: Any = other) -> Any:
                return Setting(new) if (at, key, old) == which else old

            yield chain.changed(rule, f"{name} {other!r}")


def _other_sizes(chain: Chain) -> Iterator[Chain]:
    arrays = [leaf for _, _, leaf in chain.leaves() if isinstance(leaf, Array) and leaf.like is None]
    first = {leaf.shape[0] for leaf in arrays if leaf.shape}
    for size in dict.fromkeys(size for leaf in arrays for size in leaf.shape):
        for other in dict.fromkeys((1, size + 1, size + 2, max(size - 1, 1), 3)):
            if other == size:
                continue

            def anywhere(name: str, leaf: Any, at: int, old: int = size, new: int = other) -> Any:
                if isinstance(leaf, Array):
                    shape = tuple(new if n == old else n for n in leaf.shape)
                    return dataclasses.replace(leaf, shape=shape, high=new if leaf.high == old else leaf.high)
                is_size = isinstance(leaf, Setting) and leaf.value == old and not isinstance(leaf.value, bool)
                return Setting(new) if is_size and isinstance(leaf.value, int) else leaf

            def in_front(name: str, leaf: Any, at: int, old: int = size, new: int = other) -> Any:
                is_batch = isinstance(leaf, Array) and leaf.shape[:1] == (old,)
                return dataclasses.replace(leaf, shape=(new, *leaf.shape[1:])) if is_batch else leaf

            def behind(name: str, leaf: Any, at: int, old: int = size, new: int = other) -> Any:
                if not isinstance(leaf, Array) or not leaf.shape:
                    return leaf
                shape = (leaf.shape[0], *(new if n == old else n for n in leaf.shape[1:]))
                return dataclasses.replace(leaf, shape=shape)

            if size in first:
                yield chain.changed(in_front, f"{other} in place of {size} along the first axis")
            yield chain.changed(behind, f"size {other} in place of {size}")
            yield chain.changed(anywhere, f"size {other} in place of {size} everywhere")
