"""What wrong numbers may be made of: the sizes, settings, statistics and formulas that a diagnosis tries."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from .. import tree
from .evidence import SAME, Evidence

CLOSE = 1e-3  # how well a layer that adds an epsilon agrees with a plain statistic

# What a derivative may be mistaken for, as a function of a variable v: an input, the output, prediction - target.
FORMULAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "v": lambda v: v,
    "v^2": lambda v: v**2,
    "1/v": lambda v: 1 / v,
    "(1 - v)": lambda v: 1 - v,
    "(1 + v)": lambda v: 1 + v,
    "1/(1 - v)": lambda v: 1 / (1 - v),
    "(1 - v^2)": lambda v: 1 - v**2,
    "(1 + v^2)": lambda v: 1 + v**2,
    "v * (1 - v)": lambda v: v * (1 - v),
    "v * (1 + v)": lambda v: v * (1 + v),
    "exp(v)": lambda v: np.exp(v),
    "exp(-v)": lambda v: np.exp(-v),
    "|v|": lambda v: np.abs(v),
    "sign(v)": lambda v: np.sign(v),
    "(v > 0)": lambda v: v > 0,
    "(v < 0)": lambda v: v < 0,
    "sigmoid(v)": lambda v: 1 / (1 + np.exp(-v)),
}


# What a factor may be made of, as a function of a size or a setting s: the likely forms first, and the others only
# where those do not fit.
ORIGINS: tuple[dict[str, Callable[[float], float]], ...] = (
    {"{0}": lambda s: s, "1/{0}": lambda s: 1 / s},
    {
        "1 - {0}": lambda s: 1 - s,
        "1/(1 - {0})": lambda s: 1 / (1 - s),
        "sqrt({0})": lambda s: math.sqrt(abs(s)),
        "1/sqrt({0})": lambda s: 1 / math.sqrt(abs(s)),
        "{0}^2": lambda s: s**2,
        "1/{0}^2": lambda s: 1 / s**2,
        "2*{0}": lambda s: 2 * s,
        "2/{0}": lambda s: 2 / s,
        "{0}/2": lambda s: s / 2,
        "1/(2*{0})": lambda s: 0.5 / s,
        "({0} - 1)/{0}": lambda s: (s - 1) / s,
        "{0}/({0} - 1)": lambda s: s / (s - 1),
    },
)
HINTS = {
    2.0: " Is the 2 of a square's derivative there once too often, or a 1/2 left out?",
    0.5: " Is the 2 of a square's derivative left out, or a 1/2 there once too often?",
}


def origin(c: float, e: Evidence, everywhere: bool = False) -> str:
    """Return sentences on what a factor may be made of, or nothing.

    everywhere: whether many entries have it, so that it is no coincidence.
    """
    hint = next((text for value, text in HINTS.items() if everywhere and math.isclose(c, value, rel_tol=SAME)), "")
    for forms in ORIGINS:
        fits = [
            (form.format(symbol), f"where {symbol} = {value:g} is {meaning}")
            for symbol, meaning, value in _quantities(e)
            for form, function in forms.items()
            if math.isclose(c, function(value), rel_tol=SAME)
        ]
        if fits:
            question = " Is a mean over the batch taken twice, or never?" if fits[0][0] in ("N", "1/N") else hint
            return f" That is {', or '.join(', '.join(pair) for pair in fits[:2])}.{question}"
        if hint:
            break
    return hint


def _quantities(e: Evidence) -> Iterator[tuple[str, str, float]]:
    """Yield symbol, meaning and value of sizes and settings; each value once, and neither 0 nor 1."""
    quantities: list[tuple[str, str, float]] = []
    inputs = [np.shape(x) for _, x in tree.named_leaves(e.experiment.inputs)]
    for name, shape in (("input", inputs[0] if inputs else ()), ("output", e.output_shape or ())):
        if shape:
            positions = math.prod(shape[2:])
            quantities += [
                ("N", "the size of the batch", shape[0]),
                ("D", f"the last size of the {name}", shape[-1]),
                ("n", f"the number of entries of the {name}", math.prod(shape)),
                ("P", f"the number of positions in the {name}", positions),
                ("M", f"the number of positions in the {name}, times the batch", shape[0] * positions),
            ]
    quantities += [(name, "a setting", value) for name, value in e.experiment.subject.settings.items()]
    seen = {0.0, 1.0}
    for symbol, meaning, value in quantities:
        if value not in seen and math.isfinite(value):
            seen.add(value)
            yield symbol, meaning, value


def vector_origin(c: np.ndarray, axis: int, e: Evidence) -> str:
    """Return a sentence on what factors along an axis may be made of: parameters, or the inputs' statistics."""
    for name, vector in vectors(e, e.whole.shape[axis]).items():
        for form, power in {"{}": 1.0, "1/{}": -1.0}.items():
            if np.allclose(c, vector[e.sample.grid[axis]] ** power, rtol=CLOSE):
                return f" They are {form.format(name)}: a factor too much, or its inverse left out."
    return ""


def vectors(e: Evidence, size: int) -> dict[str, np.ndarray]:
    """Return vectors of a size that a factor may be made of: parameters, and the statistics of inputs and parameters.

    They are by name.
    """
    known = {name: p for name, p in e.experiment.arrays.items() if p.shape == (size,)}
    arrays = dict(tree.named_leaves(e.experiment.inputs)) | e.experiment.arrays
    for name, x in arrays.items():
        for k in range(np.ndim(x)):
            if x.ndim > 1 and x.shape[k] == size and x.dtype.kind == "f":
                rest = rest_of(x.ndim, k)
                known[f"std({name})"], known[f"var({name})"] = x.std(rest), x.var(rest)
                known[f"norm({name})"] = np.sqrt((x * x).sum(rest))
                known[f"sum({name})"], known[f"mean({name})"] = x.sum(rest), x.mean(rest)
    return known


def rest_of(ndim: int, axis: int) -> tuple[int, ...]:
    """Return the other axes."""
    return tuple(k for k in range(ndim) if k != axis)
