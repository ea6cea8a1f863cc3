"""The words of the language: each is one entry that knows how it is run, how it is shown and how it is lowered to C.

A word is shown by a function of the notation (text, LaTeX or MathML) and its arguments, which are trees. It is lowered
by a text in C, or, where it is about whole arrays, by a function of `Entries`, arrays that are given by their entries:
what stands where in the result. A new word is a new entry, and nothing else.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .moves import crop_entries, join_entries, move_entries, pad_entries, split_entries


class Word(NamedTuple):
    """What a word does, and how it is written.

    Attributes:
        run: of arrays and numbers.
        show: of a notation and the argument trees; None writes the word as a function, name(arguments).
        arity: how many arguments it has; 0 for any number.
        elementwise: whether each entry of the result comes of the same entries of the arguments.
        lower: of an elementwise word its text in C, with the arguments in the braces and {f} behind the functions of
            math.h, which have an f there in single precision; None for the function that has the word's name there.
            Of a reduction what it starts from, and how an entry joins in. Of others a function of Entries and settings;
            None for what only brings an array into another shape, and for what nn/lowering knows by name.
    """

    run: Callable
    show: Callable[[Any, list[ast.expr]], Any] | None = None
    arity: int = 0
    elementwise: bool = False
    lower: str | tuple[str, str] | Callable | None = None


def rows(x: np.ndarray) -> np.ndarray:
    """Return a matrix: all leading dimensions joined into one."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def flatten(x: np.ndarray, start: int, end: int) -> np.ndarray:
    """Return x with the dimensions from `start` to `end`, both included, joined into one."""
    shape = x.shape or (1,)
    start, end = start % len(shape), end % len(shape)
    return x.reshape(*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])


def unflatten(x: np.ndarray, axis: int, sizes: Sequence[int]) -> np.ndarray:
    """Return x with one dimension split into several; a size of -1 is what the others leave."""
    axis %= x.ndim
    return x.reshape(*x.shape[:axis], *sizes, *x.shape[axis + 1 :])


def split(x: np.ndarray, parts: int | Sequence[int], axis: int = -1) -> list[np.ndarray]:
    """Return x cut along an axis into so many equal parts, or into parts of these lengths."""
    return np.split(x, parts if isinstance(parts, int) else np.cumsum(parts)[:-1], axis)


def join(*arguments: Any) -> np.ndarray:
    """Return arrays joined along the axis that comes last."""
    *arrays, axis = arguments
    return np.concatenate(arrays, axis)


_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}  # PyTorch's words for NumPy's


def sides(x: np.ndarray, widths: Any) -> list[tuple[int, int]]:
    """Return how much is added before and after each axis: a width, or a pair of them, for each of the last ones."""
    each = widths if isinstance(widths, tuple | list | np.ndarray) else (widths,)
    pairs = [(width, width) if np.ndim(width) == 0 else (width[0], width[1]) for width in each]
    return [(0, 0)] * (x.ndim - len(pairs)) + pairs


def pad(x: np.ndarray, widths: Any, filling: float | str = 0) -> np.ndarray:
    """Return x with so many more entries on both sides of its last axes; fewer where a width is negative.

    They are of one value, or copied in a mode.
    """
    added = sides(x, widths)
    if isinstance(filling, str):
        return np.pad(x, added, _MODES[filling])  # type: ignore[call-overload]
    kept = tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, added, strict=True))
    return np.pad(x[kept], [(max(a, 0), max(b, 0)) for a, b in added], constant_values=filling)


def crop(x: np.ndarray, widths: Any, filling: float | str = 0) -> np.ndarray:
    """Return x without what `pad` added by these widths, and with zeros for what a negative one took away.

    Of a gradient: where padding was copied in a mode, what is cropped is added to the entries that it is a copy of.
    """
    added = sides(x, widths)
    if not isinstance(filling, str):
        return pad(x, [(-before, -after) for before, after in added])
    for axis, (before, after) in enumerate(added):
        if before or after:
            inside = np.arange(x.shape[axis] - before - after)
            source = np.pad(inside, (before, after), _MODES[filling])  # type: ignore[call-overload]
            x = np.stack([x.compress(source == place, axis).sum(axis) for place in inside], axis)
    return x


def floor(x: Any) -> np.ndarray:
    """Return the largest integers that are not above x."""
    return np.floor(x).astype(np.int64)


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """Return exp(x) / sum(exp(x)) along an axis."""
    e = np.exp(x - x.max(axis, keepdims=True, initial=-np.inf))
    return e / e.sum(axis, keepdims=True)


def first(notation: Any, args: list[ast.expr]) -> Any:
    """Show the first argument alone: the word only brings an array into another shape."""
    return notation.write(args[0])


def called(name: str) -> Callable[[Any, list[ast.expr]], Any]:
    """Show a word as a function of another name."""
    return lambda notation, args: notation.function(name, args)


# fmt: off
WORDS: dict[str, Word] = {
    # entry by entry
    "abs": Word(np.abs, lambda notation, args: notation.between("|", args[0], "|"), 1, True, "fabs{f}({0})"),
    "exp": Word(np.exp, arity=1, elementwise=True),
    "floor": Word(floor, lambda notation, args: notation.between("⌊", args[0], "⌋"), arity=1, elementwise=True),
    "log": Word(np.log, arity=1, elementwise=True),
    "maximum": Word(np.maximum, called("max"), 2, True, "larger({0}, {1})"),
    "minimum": Word(np.minimum, called("min"), 2, True, "smaller({0}, {1})"),
    "sigmoid": Word(lambda x: 1 / (1 + np.exp(-np.asarray(x))), called("σ"), 1, True, "(1 / (1 + exp{f}(-({0}))))"),
    "sign": Word(np.sign, arity=1, elementwise=True, lower="sign({0})"),
    "sqrt": Word(np.sqrt, lambda notation, args: notation.square_root(args[0]), arity=1, elementwise=True),
    "tanh": Word(np.tanh, arity=1, elementwise=True),
    "where": Word(np.where, lambda notation, args: notation.choice(*args), 3, True, "({0} ? {1} : {2})"),
    # whole arrays
    "crop": Word(crop, lower=crop_entries),
    "flatten": Word(flatten),
    "join": Word(join, lower=join_entries),
    "len": Word(len, arity=1),
    "move": Word(np.moveaxis, lower=move_entries),
    "pad": Word(pad, lower=pad_entries),
    "random": Word(lambda shape, generator: generator.random(shape), arity=1),  # the walker adds its generator
    "range": Word(range, arity=1),
    "rows": Word(rows, first, arity=1),
    "softmax": Word(softmax, lambda notation, args: notation.function("softmax", args[:1])),
    "split": Word(split, lower=split_entries),
    "unflatten": Word(unflatten),
    "weights": Word(lambda rule, shape, axis: rule.weights(shape, axis)),  # of a layer that makes sums of neighbours
    "zeros": Word(lambda *shape: np.zeros(shape[0] if isinstance(shape[0], tuple) else shape)),
}
# fmt: on


# Words that run over named indices, with an axis each: the array, and which axes go. They keep the axes, of length 1.


def _argmax(x: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> np.ndarray | tuple[np.ndarray, ...]:
    """Return where the first largest entry is: an array of positions for each axis, where there are several."""
    sizes = [x.shape[k] for k in axis]
    front = np.moveaxis(x, axis, range(len(axis)))
    flat = front.reshape(math.prod(sizes), *front.shape[len(axis) :])
    places = np.unravel_index(flat.argmax(0), sizes)
    positions = tuple(np.expand_dims(place, axis) for place in places)
    return positions[0] if len(axis) == 1 else positions


def _norm(x: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> np.ndarray:
    norm = np.sqrt(np.square(x).sum(axis, keepdims=True))
    return norm if keepdims else norm.squeeze(axis)


REDUCTIONS: dict[str, Word] = {
    "argmax": Word(_argmax, lambda notation, args: notation.over("argmax", *args)),
    "max": Word(np.max, lambda notation, args: notation.over("max", *args), lower=("-INFINITY", "larger({0}, {1})")),
    "min": Word(np.min, lambda notation, args: notation.over("min", *args), lower=("INFINITY", "smaller({0}, {1})")),
    "norm": Word(_norm, lambda notation, args: notation.between("‖", args[0], "‖")),
    "prod": Word(np.prod, lambda notation, args: notation.over("∏", *args), lower=("1", "{0} * {1}")),
    "sum": Word(np.sum, lambda notation, args: notation.over("∑", *args), lower=("0", "{0} + {1}")),
}

METHODS = ("sum", "max", "min", "mean", "reshape")


def is_elementwise(name: str) -> bool:
    """Tell whether a word computes entry by entry."""
    return name in WORDS and WORDS[name].elementwise
