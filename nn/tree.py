"""Trees: what modules take and return may be tuples, lists and dicts of arrays, nested in any way.

The words are JAX's. A leaf is whatever is no tuple, list or dict; None is a leaf too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def leaves(tree: Any, is_leaf: Callable[[Any], bool] = lambda value: False) -> list:
    """Return the leaves of a tree.

    Args:
        tree: what to walk.
        is_leaf: says of what else than a leaf it should not be walked into.

    Example:
        >>> leaves((1, {"h": [2, None]}))
        [1, 2, None]
    """
    if is_leaf(tree) or not isinstance(tree, tuple | list | dict):
        return [tree]
    items = tree.values() if isinstance(tree, dict) else tree
    return [leaf for item in items for leaf in leaves(item, is_leaf)]


def named_leaves(tree: Any, name: str = "") -> list[tuple[str, Any]]:
    """Return the leaves of a tree, each with where it stands; keys at the top of a dict are names as they are.

    Example:
        >>> named_leaves((1, {"h": 2}), "x")
        [('x[0]', 1), ("x[1]['h']", 2)]
        >>> named_leaves({"input": 1, "state": (2, 3)})
        [('input', 1), ('state[0]', 2), ('state[1]', 3)]
    """
    if isinstance(tree, dict):
        items = {f"{name}[{key!r}]" if name else str(key): item for key, item in tree.items()}
    elif isinstance(tree, tuple | list):
        items = {f"{name}[{index}]": item for index, item in enumerate(tree)}
    else:
        return [(name, tree)]
    return [leaf for key, item in items.items() for leaf in named_leaves(item, key)]


def map(function: Callable[[Any], Any], tree: Any) -> Any:  # noqa: A001 - the name that it has in JAX
    """Return a tree of the same structure around what `function` makes of each leaf.

    Example:
        >>> map(abs, (-1, [2, -3]))
        (1, [2, 3])
    """
    if isinstance(tree, dict):
        return {key: map(function, item) for key, item in tree.items()}
    if isinstance(tree, tuple | list):
        items = [map(function, item) for item in tree]
        return items if isinstance(tree, list) else tuple(items)
    return function(tree)


def pairs(tree: Any, other: Any) -> list[tuple[Any, Any]]:
    """Return each leaf of a tree with what stands in its place in another; None stands for a tree of Nones.

    Raises:
        ValueError: where the other one has another structure; lists and tuples are the same.

    Example:
        >>> pairs((1, [2, 3], 4), (5, None, 6))
        [(1, 5), (2, None), (3, None), (4, 6)]
    """
    if other is None:
        return [(leaf, None) for leaf in leaves(tree)]
    if isinstance(tree, dict) and isinstance(other, dict) and tree.keys() == other.keys():
        branches = [(item, other[key]) for key, item in tree.items()]
    elif isinstance(tree, tuple | list) and isinstance(other, tuple | list) and len(tree) == len(other):
        branches = list(zip(tree, other, strict=True))
    elif isinstance(tree, tuple | list | dict) or isinstance(other, tuple | list | dict):
        raise ValueError(f"expected the structure {_structure(tree)}, got {_structure(other)}")
    else:
        return [(tree, other)]
    return [pair for branch in branches for pair in pairs(*branch)]


def _structure(tree: Any) -> str:
    return str(map(lambda leaf: "*", tree)).replace("'*'", "*")


# ---- the numbers in a tree, as one vector


def is_floating(leaf: Any) -> bool:
    """Tell whether a leaf is a real floating number, or an array of them: the kind that has a gradient.

    Example:
        >>> is_floating(1.0), is_floating(np.arange(3)), is_floating(None)
        (True, False, False)
    """
    return np.asarray(leaf).dtype.kind == "f"


def ravel(tree: Any) -> np.ndarray:
    """Return all floating numbers of a tree, end to end, in float64.

    Example:
        >>> ravel((np.array([1.0, 2.0]), None, 3.0))
        array([1., 2., 3.])
    """
    arrays = [np.ravel(leaf) for leaf in leaves(tree) if is_floating(leaf)]
    return np.concatenate(arrays, dtype=np.float64) if arrays else np.zeros(0)


def unravel(vector: np.ndarray, tree: Any) -> Any:
    """Return a vector's numbers in the structure and the shapes of a tree: the reverse of `ravel`.

    Example:
        >>> unravel(np.array([1.0, 2.0, 3.0]), (np.zeros(2), None, np.zeros(())))
        (array([1., 2.]), None, array(3.))
    """
    rest = iter(vector)

    def filled(leaf: Any) -> Any:
        if not is_floating(leaf):
            return leaf
        return np.fromiter(rest, np.float64, np.size(leaf)).reshape(np.shape(leaf))

    return map(filled, tree)
