"""Nests: what modules take and return may be tuples, lists and dicts of arrays, which are walked here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what tuples, lists and dicts hold, with where it stands.

    Example:
        >>> list(leaves((1, {"h": 2}), "x"))
        [('x[0]', 1), ("x[1]['h']", 2)]
    """
    if isinstance(tree, dict):
        for key, item in tree.items():
            yield from leaves(item, f"{name}[{key!r}]")
    elif isinstance(tree, tuple | list):
        for index, item in enumerate(tree):
            yield from leaves(item, f"{name}[{index}]")
    else:
        yield name, tree


def named_leaves(trees: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what each of several named trees holds.

    Example:
        >>> list(named_leaves({"input": 1, "state": (2, 3)}))
        [('input', 1), ('state[0]', 2), ('state[1]', 3)]
    """
    for name, tree in trees.items():
        yield from leaves(tree, name)


def with_leaves(tree: Any, function: Callable[[Any], Any]) -> Any:
    """Return the same nesting around what `function` makes of each leaf.

    Example:
        >>> with_leaves((1, [2, 3]), lambda leaf: leaf + 1)
        (2, [3, 4])
    """
    if isinstance(tree, dict):
        return {key: with_leaves(item, function) for key, item in tree.items()}
    if isinstance(tree, tuple | list):
        items = [with_leaves(item, function) for item in tree]
        return items if isinstance(tree, list) else tuple(items)
    return function(tree)
