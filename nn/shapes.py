"""Shapes: what is expected of an array, and what is remembered of one that is not kept."""

from __future__ import annotations

from typing import Any

import numpy as np


def fits(shape: tuple, expected: tuple) -> bool:
    """Return whether a shape is what was expected: exact sizes, names for free ones, `...` in front for any number.

    Example:
        >>> fits((5, 3, 8), (..., 3, "W")), fits((5, 2, 8), (..., 3, "W"))
        (True, False)
    """
    if expected and expected[0] is ...:
        expected = expected[1:]
        shape = shape[-len(expected) :] if expected else ()
    if shape == expected:
        return True
    pairs = zip(shape, expected, strict=False)
    return len(shape) == len(expected) and all(size == want or isinstance(want, str) for size, want in pairs)


def shape_text(shape: tuple) -> str:
    """Write a shape as Python would, with `...` for any leading dimensions and names for free sizes.

    Example:
        >>> shape_text((..., 3, "W"))
        '(..., 3, W)'
    """
    return "(" + ", ".join("..." if size is ... else str(size) for size in shape) + ("," * (len(shape) == 1)) + ")"


class Likeness:
    """The shape and dtype of an array that is not kept.

    Example:
        >>> Likeness((2, 3), np.dtype("float32")).shape
        (2, 3)
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.shape = shape
        self.dtype = dtype


def likeness(output: Any) -> Any:
    """Return the nest of likenesses of a nest of arrays.

    Example:
        >>> [each.shape for each in likeness((np.zeros(2), np.zeros((3, 4))))]
        [(2,), (3, 4)]
    """
    if isinstance(output, np.ndarray):
        return Likeness(output.shape, output.dtype)
    if isinstance(output, dict):
        return {key: likeness(item) for key, item in output.items()}
    if isinstance(output, tuple | list):
        items = [likeness(item) for item in output]
        return items if isinstance(output, list) else tuple(items)
    return Likeness(np.shape(output), np.asarray(output).dtype)


def outline(nest: Any) -> str:
    """Return a nest's kind and size in words.

    Example:
        >>> outline((1, 2)), outline({"h": 1})
        ('a tuple of 2', "a dict of 'h'")
    """
    if isinstance(nest, dict):
        return f"a dict of {', '.join(map(repr, nest))}"
    return f"a {type(nest).__name__}" + (f" of {len(nest)}" if isinstance(nest, tuple | list) else "")
