"""Naming a mistake from its numbers: what makes of the true gradient the one that backward gave?

Each function in DIAGNOSES examines the evidence for one mistake, and yields its kind and sentences on it where it fits.
They are asked in their order there, the most specific first. To teach the checker a mistake, add a function.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from .. import tree
from .evidence import SAME, Evidence
from .measure import PATIENCE, STEP, replaced
from .slips import told
from .structure import (
    coupling,
    entries_exchanged,
    factor_by_output,
    first_wrong,
    gathered,
    jacobian_turned,
    later_wrong,
    listed,
    misplaced,
    mixed_samples,
    moved_entries,
    named,
    not_accumulated,
    not_carried,
    parts_exchanged,
    shared_out,
    shifted,
    some_uses,
    subsets,
    wrong_pattern,
    wrong_way,
)
from .vocabulary import FORMULAS, origin, rest_of, vector_origin

PLACES = 1000  # of the output that are tried

Diagnosis = Iterator[tuple[str, str]]


def diagnose(evidence: Evidence) -> tuple[str, str]:
    """Return the kind of mistake that a gradient shows, and sentences on it."""
    first = (complete_slip,) if evidence.slips.long else ()  # what else there is to ask takes long too
    if found := _first(evidence, (*first, *DIAGNOSES)):
        kind, text = found
        return kind, _more(evidence, kind, text)
    return "unknown", f"{UNKNOWN}{_direction(evidence)} Here is where it is off the most:"


def _first(evidence: Evidence, questions: tuple[Callable[[Evidence], Diagnosis], ...]) -> tuple[str, str] | None:
    """Return the first diagnosis that fits."""
    with np.errstate(all="ignore"):
        for ask in questions:
            if ask in COSTLY and (evidence.slips.long or not evidence.patient):
                continue
            with contextlib.suppress(Exception):  # evidence can be odder than a diagnosis foresees: others may fit
                for diagnosis in ask(evidence):
                    return diagnosis
    return None


UNKNOWN = "No kind of mistake that the checker knows fits the numbers."


def _direction(e: Evidence) -> str:
    """Return a sentence on how well the gradient agrees in direction."""
    a, n = e.analytic, e.numeric
    size = math.sqrt((a * a).sum() * (n * n).sum())
    return (
        f" It agrees with the true gradient in direction to {(a * n).sum() / size:.3f} (1 is perfect)." if size else ""
    )


# ---- the whole


def zero(e: Evidence) -> Diagnosis:
    if not e.whole.any():
        text = "The gradient is zero everywhere, and the true one is not. Is it computed, and put where it belongs?"
        yield "zero", text


def exchanged(e: Evidence) -> Diagnosis:
    for name, true in e.true.items():
        if name in e.peers and e.same(e.analytic, true):
            yield "exchanged", f"This is the true gradient of {name}. Are the two in the wrong order?"


def of_another(e: Evidence) -> Diagnosis:
    for name, true in e.true.items():
        if e.same(e.analytic, true):
            yield "exchanged", f"This is the true gradient of {name}, and not of {e.name}."


def constant_factor(e: Evidence) -> Diagnosis:
    if c := e.factor(e.analytic, e.numeric):
        if math.isclose(c, -1, rel_tol=SAME):
            yield "wrong sign", "This is the true gradient with the wrong sign."
        meaning = origin(abs(c), e, e.telling.sum() > 1)
        if meaning or e.telling.sum() > 1:  # one number is always a multiple of another
            sign = ", and with the wrong sign" if c < 0 else ""
            text = f"This is {abs(c):.6g} times the true gradient, in every entry{sign}.{meaning}"
            yield "constant factor", text


def wrong_mode(e: Evidence) -> Diagnosis:
    if e.other_jacobian is not None and e.same(e.analytic, e.other_jacobian @ e.g):
        mode = e.experiment.mode
        yield (
            "wrong mode",
            f"In {mode} mode, this is the true gradient of {'eval' if mode == 'train' else 'train'} mode.",
        )


# ---- the upstream gradient


def upstream_replaced(e: Evidence) -> Diagnosis:
    if not e.chained and e.same(e.analytic, e.jacobian.sum(-1)):
        yield (
            "upstream ignored",
            "This is right for an upstream gradient of all ones alone: grad_output is left out. By the chain rule, it "
            "multiplies the module's own derivative.",
        )
    g = e.g
    for text, instead in {
        "grad_output": g,
        "the positive part of grad_output": np.maximum(g, 0),
        "the absolute value of grad_output": np.abs(g),
        "the sign of grad_output": np.sign(g),
        "the square of grad_output": g**2,
        "the mean of grad_output": np.full_like(g, g.mean()),
    }.items():
        if g.size > 1 and e.elementwise_shape and e.same(e.analytic, e.on_grid(instead.reshape(e.whole.shape))):
            yield "passed through", f"This is {text}: the module's own derivative is left out."
        if g.size > 1 and e.same(e.analytic, e.jacobian @ instead):
            yield "upstream misused", f"This is right for {text} in the place of grad_output."


def upstream_untouched(e: Evidence) -> Diagnosis:
    if not e.chained and e.same(e.vjp(2 * e.g), e.analytic):
        yield "upstream ignored", "The gradient stays the same when grad_output is doubled: grad_output is left out."


def upstream_no_factor(e: Evidence) -> Diagnosis:
    if not e.chained and not e.same(e.vjp(2 * e.g), 2 * e.analytic):
        yield "upstream misused", "The gradient is not doubled when grad_output is: it is no product with grad_output."


def upstream_no_factor_at_all(e: Evidence) -> Diagnosis:
    if not e.partly:  # what probes one output at a time would be misled; where some entries are right, they tell more
        yield from upstream_no_factor(e)


# ---- the order


def turned(e: Evidence) -> Diagnosis:
    a, n = e.analytic, e.numeric
    for i, k in itertools.combinations(range(n.ndim), 2):
        if n.shape[i] == n.shape[k] and e.same(a, n.swapaxes(i, k)):
            yield "transposed", f"This is the true gradient with axes {i} and {k} exchanged: it is transposed."
    for axes in subsets(n.ndim):
        if e.same(a, np.flip(n, axes)):
            yield "reordered", f"This is the true gradient in reverse along {named(axes)}."


def scrambled(e: Evidence) -> Diagnosis:
    a, n = e.analytic, e.numeric
    if n.size == e.whole.size > 2 and e.same(np.sort(a, None), np.sort(n, None)):
        yield "reordered", "The true numbers stand in the wrong places. Is there a reshape in place of a transpose?"


def parameter_turned(e: Evidence) -> Diagnosis:
    inputs = dict(tree.named_leaves(e.experiment.inputs))
    for name, array in e.experiment.arrays.items():
        if name in inputs or name == e.name or array.ndim < 2:
            continue
        if 2 * e.analytic.size * e.cost > PATIENCE:
            return
        turned = [("reordered", "were reversed along its last two axes", array[..., ::-1, ::-1])]
        for i, k in itertools.combinations(range(array.ndim), 2):
            if array.shape[i] == array.shape[k]:
                turned.append(("transposed", f"had its axes {i} and {k} exchanged", array.swapaxes(i, k)))
        for kind, text, values in turned:
            with replaced(array, values.ravel()):
                gradient = e.experiment.jacobian(e.name, e.sample.grid) @ e.g
            if e.same(e.analytic, gradient):
                yield kind, f"This would be right if {name} {text}. Is it used one way round where the other is meant?"


# ---- the sums


def spread(e: Evidence) -> Diagnosis:
    a, n = e.analytic, e.numeric
    for axes in reversed(list(subsets(n.ndim))):
        level, true = (np.broadcast_to(array.mean(axes, keepdims=True), a.shape) for array in (a, n))
        if math.prod(a.shape[k] for k in axes) > 1 and e.same(a, level) and not e.same(n, true):
            where = "in all entries" if len(axes) == a.ndim else f"all along {named(axes)}"
            yield (
                "summed twice",
                f"The gradient is the same {where}, and the true one is not. Is it summed or averaged once too often, "
                f"and spread out again?",
            )


def one_counts(e: Evidence) -> Diagnosis:
    for one, part in _parts(e):
        if e.same(e.analytic, part):
            yield "not summed", f"Only {one} counts, where all should be summed."


def one_left_out(e: Evidence) -> Diagnosis:
    for one, part in _parts(e) if not e.partly else ():  # where it is, a row or an entry is wrong
        if e.same(e.analytic, e.numeric - part):
            yield "not summed", f"{one[0].upper()}{one[1:]} is left out of the sum."


def _parts(e: Evidence) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what comes from the output's indices along some axes, one by one."""
    shape, ndim = e.output_shape or (), e.numeric.ndim
    if e.output_shape is None:
        leaves, stop = tree.named_leaves(e.experiment.upstream, "output"), 0
        for name, leaf in leaves:
            start, stop = stop, stop + np.size(leaf) * (leaf is not None)
            yield f"{name}", e.jacobian[..., start:stop] @ e.g[start:stop]
    parts = (e.jacobian * e.g).reshape(e.numeric.shape + shape) if shape else np.zeros(0)
    for axes in subsets(len(shape)):
        sums = parts.sum(tuple(ndim + k for k in range(len(shape)) if k not in axes))
        sizes = [shape[k] for k in axes]
        for place in np.ndindex(*sizes) if 1 < math.prod(sizes) <= PLACES else ():
            one = f"sample {place[0]}" if axes == (0,) else f"the output's index {_tuple(place)} along {named(axes)}"
            yield one, sums[(..., *place)]


# ---- the places


def factor_by_index(e: Evidence) -> Diagnosis:
    a, n = e.analytic, e.numeric
    for axis in range(n.ndim):
        rest = rest_of(n.ndim, axis)
        square = (n * n).sum(rest, keepdims=True)
        c = np.where(square, (a * n).sum(rest, keepdims=True) / square, 1)
        factors = np.unique(c[np.abs(c - 1) > SAME].round(6))
        if (e.telling.sum(rest) > 1).any() and factors.size > 1 and e.same(a, c * n):
            each, origins = listed(f"{v:.4g}" for v in c.ravel()), vector_origin(c.ravel(), axis, e)
            yield "factor by index", f"Each index along axis {axis} has a factor of its own: {each}.{origins}"
        elif n.ndim == 1 and n.size > 2 and (origins := vector_origin(a / n, axis, e)):  # nothing but the vector tells
            yield "factor by index", f"Each index along axis {axis} has a factor of its own.{origins}"


def some_rows(e: Evidence) -> Diagnosis:
    right, ndim = ~e.wrong & e.telling, e.wrong.ndim
    for axis in range(ndim) if e.partly else ():
        bad, good = (np.asarray(where.any(rest_of(ndim, axis))) for where in (e.wrong, right))
        if not (bad & good).any() and (bad | good).sum() > 1 and bad.sum() < bad.size:
            one, several = (("row", "rows"), ("column", "columns"))[axis] if ndim == 2 else ("index", "indices")
            along = f" along axis {axis}" if ndim > 2 else ""
            where = f"{one if bad.sum() == 1 else several} {listed(e.sample.grid[axis][bad])}{along}"
            seen = "All" if e.sample.error.size == e.whole.size else f"Of {e.sample.error.size} entries looked at, all"
            if not (how := _where_wrong(e)) and e.is_input and bad.size > 2 and bad[:-1].all() and not bad[-1]:
                text = f"All is right at the last index along axis {axis} alone: is what carries back from there wrong?"
                yield "not carried", text
            yield "partly right", f"{seen} is right except {where}.{how}"


def some_values(e: Evidence) -> Diagnosis:
    right = ~e.wrong & e.sample.judged
    if not e.partly or e.wrong.sum() < 2 or (right & e.telling).sum() < 2:
        return
    sizes = {f"|{name.strip('()')}|": np.abs(v) for name, v in e.variables.items()}
    for name, v in {**e.variables, **sizes}.items():
        low, high = v[e.wrong].min(), v[e.wrong].max()
        if (v[right] < low).all() and name == "one_hot(target)":
            text = "at the class that is each sample's target, and right elsewhere"
        elif (v[right] < low).all():
            text = f"where {name} is {low:.4g} or more, and right where it is {v[right].max():.4g} or less"
        elif (v[right] > high).all():
            text = f"where {name} is {high:.4g} or less, and right where it is {v[right].min():.4g} or more"
        elif ((v[right] < low) | (v[right] > high)).all():
            text = f"where {name} is between {low:.4g} and {high:.4g}, and right elsewhere"
        else:
            continue
        yield "partly right", f"It is wrong {text}.{_where_wrong(e)}"


def some_entries(e: Evidence) -> Diagnosis:
    if e.partly:
        right = ~e.wrong & e.telling
        few, word = (e.wrong, "wrong at") if e.wrong.sum() <= right.sum() else (right, "right only at")
        places = [_tuple(int(g[i]) for g, i in zip(e.sample.grid, index, strict=True)) for index in np.argwhere(few)]
        text = f"It is {word} {len(places)} of {few.size} entries: {listed(places)}.{_where_wrong(e)}"
        yield "partly right", text


# ---- the derivative of an elementwise module


def elementwise(e: Evidence) -> Diagnosis:
    a, n = e.analytic, e.numeric
    if e.telling.sum() < 3:
        return
    formulas = [(text, name, f(v)) for text, f in FORMULAS.items() for name, v in e.variables.items()]
    if e.own is not None:
        g = e.g[e.own]
        if e.same(a, g * _derivative_at_output(e)):
            yield "elementwise slip", "The derivative is taken at the output where it should be at the input."
        for (text, name, value), (meant, other, right) in itertools.product(formulas, formulas):
            if text == meant and name != other and e.same(a, g * value) and e.same(n, g * right):
                used, meant = text.replace("v", name), text.replace("v", other)
                yield "elementwise slip", f"{used} is used where {meant} is meant."
        for text, name, value in formulas:
            if e.same(a, g * value):
                yield "elementwise slip", f"This is grad_output * {text.replace('v', name)}, entry by entry."
    for text, name, value in formulas:
        if c := e.factor(a, n * value):
            text = f"This is {_times(c)}{text.replace('v', name)} times the true gradient, entry by entry."
            yield "elementwise slip", text
    for text, name, value in formulas if e.output_shape == () else ():
        if c := e.factor(a, e.g * value):
            formula = _times(c) + text.replace("v", name)
            yield "elementwise slip", f"This is grad_output * {formula}, entry by entry.{origin(c, e)}"
    for (one, v), (other, w) in itertools.permutations(e.variables.items(), 2) if e.output_shape == () else ():
        for formula, value in ((f"{one} / {other}", v / w), (f"{one} * {other}", v * w)):
            if c := e.factor(a, e.g * value):
                text = f"This is grad_output * {_times(c)}{formula}, entry by entry.{origin(c, e)}"
                yield "elementwise slip", text


def another_derivative(e: Evidence) -> Diagnosis:
    if e.own is None or e.chained:
        return
    half = np.where(np.arange(e.g.size) % 2, e.g, 0)
    if e.same(np.where(e.own % 2, e.analytic, 0), e.vjp(half)):
        used, true = e.analytic / e.g[e.own], e.numeric / e.g[e.own]
        worst = np.unravel_index(np.argmax(e.sample.error), used.shape)
        yield (
            "elementwise slip",
            f"Each output depends on its own entry of {e.name} alone, and so does each gradient, but the derivative is "
            f"another: at {e.name} = {e.variables[e.name][worst]:.5g}, it is {used[worst]:.5g} for {true[worst]:.5g}.",
        )


def _derivative_at_output(e: Evidence) -> np.ndarray:
    """Return the derivative of an elementwise module, taken at its own outputs."""
    function = e.experiment.function(e.name)
    above, below, distance = function.around(slice(None), STEP, at=function.value)
    return e.on_grid(((above - below) / distance).reshape(function.array.shape))


# ---- the terms


def decay(e: Evidence) -> Diagnosis:
    c = e.factor(e.analytic - e.numeric, e.on_grid(e.experiment.arrays[e.name]))
    if c and e.analytic.size > 2:
        text = f"This is the true gradient and {c:.4g} times {e.name} itself. Weight decay is for the optimizer to add."
        yield "extra term", text


def missing_term(e: Evidence) -> Diagnosis:
    a, n = e.analytic, e.numeric
    cosine = (a * n).sum() / math.sqrt((a * a).sum() * (n * n).sum())
    text = f"It agrees with the true gradient in direction to {cosine:.3f} (1 is perfect)"
    if e.elementwise_shape and e.factor(n - a, e.on_grid(e.g.reshape(e.whole.shape))):
        text = f"{text}. What differs is a multiple of grad_output itself: a path that skips the rest?"
        yield "missing term", text
    for (what, basis), axis in itertools.product(_bases(e), range(n.ndim)):
        if n.shape[axis] > len(basis) + 1 and _spanned(n - a, basis, axis):
            scaled = e.across_scaled(axis)
            word, kind = ("wrong", "wrong term") if scaled else ("missing", "missing term")
            yield kind, f"{text}. What is {word} is, along axis {axis}, {what}"


def _bases(e: Evidence) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Yield what a missing term may be made of: in words that end a sentence, and in arrays."""
    one = np.ones(e.numeric.shape)
    yield "the same for all: a term that sums or averages over it.", [one]
    for name, v in e.variables.items():
        if name == "one_hot(target)":
            continue  # where it is alone, it is a matter of the class and of no term
        yield f"a multiple of {name}: the term by which entries along it depend on one another.", [v]
    for name, v in e.variables.items():
        terms = "" if name == "one_hot(target)" else ": the terms of a mean and of a variance"
        yield f"a constant and a multiple of {name}{terms}.", [one, v]


def _spanned(rest: np.ndarray, basis: list[np.ndarray], axis: int) -> bool:
    """Return whether, line by line along an axis, an array is a combination of the basis."""
    lines, *bases = (np.moveaxis(x, axis, -1).reshape(-1, rest.shape[axis]) for x in (rest, *basis))
    for line, *vectors in zip(lines, *bases, strict=True):
        matrix = np.stack(vectors, 1)
        if np.abs(line - matrix @ np.linalg.lstsq(matrix, line)[0]).max() > SAME * np.abs(rest).max():
            return False
    return True


def unused(e: Evidence) -> Diagnosis:
    if not e.jacobian.any():
        text = f"The outputs do not depend on {e.name}: does forward use it?"
        yield "unused", f"{text} The true gradient is zero, and backward's is not."


def tiny(e: Evidence) -> Diagnosis:
    if e.sample.worst <= SAME:
        text = f"It is right to {e.sample.worst:.0e} of its largest entry, and no better. Is a constant rounded, or"
        yield "slightly off", f"{text} an epsilon in one pass and not in the other?"


def at_one_index(e: Evidence) -> Diagnosis:
    """Ask again with an upstream gradient at one index of an axis alone: what is wrong may be simpler there."""
    for axis, size in enumerate(e.output_shape or ()):
        for index in sorted({0, first_wrong(e, axis), size - 1}) if size > 1 and not e.chained else ():
            if not e.patient:
                return
            part = e.at(axis, index)
            if part.numeric.any() and part.wrong.any() and (found := _first(part, QUESTIONS)):
                kind, text = found
                where = f"Under an upstream gradient at index {index} along the output's axis {axis} alone"
                if kind not in VAGUE:
                    yield kind, f"{where}: {text[0].lower()}{text[1:]}"


VAGUE = ("zero", "summed twice", "slightly off", "unused", "factor by index", "partly right")  # say little of a part


def upstream_reordered(e: Evidence) -> Diagnosis:
    shape = e.output_shape or ()
    g = e.g.reshape(shape)
    options = [("reordered", f"reversed along axis {k}", np.flip(g, k)) for k in range(g.ndim)]
    for k, size in enumerate(shape):
        if size > 2:
            options += [("shifted", f"shifted by {s:+d} along axis {k}", np.roll(g, s, k)) for s in (1, -1)]
        if size % 2 == 0:
            options.append(("exchanged", f"with its halves along axis {k} exchanged", np.roll(g, size // 2, k)))
    for i, k in itertools.combinations(range(g.ndim), 2):
        if shape[i] == shape[k]:
            options.append(("transposed", f"with axes {i} and {k} exchanged", g.swapaxes(i, k)))
    for kind, how, other in options if g.size > 2 and not e.chained else ():
        if e.same(e.analytic, e.jacobian @ other.ravel()):
            yield kind, f"This would be right for grad_output {how}."


def slip(e: Evidence) -> Diagnosis:
    """It is what the chain rule gives with one slip in it, which leaves right what is right."""
    if e.slip is not None and e.slip.fits:
        yield from any_slip(e)


def turned_slip(e: Evidence) -> Diagnosis:
    """It is what the chain rule gives with one array turned, or taken for another."""
    if e.slip is not None and e.slip.fits and e.slip.slip.kind in ("transposed", "reordered"):
        yield from any_slip(e)


def complete_slip(e: Evidence) -> Diagnosis:
    """It is what the chain rule gives with one slip in it, as is all else that is wrong."""
    if e.slip is not None and e.slip.complete:
        yield e.slip.slip.kind, told(e.slip)


def any_slip(e: Evidence) -> Diagnosis:
    """It is what the chain rule gives with one slip in it."""
    if (explanation := e.slip) is None:
        return
    kind = explanation.slip.kind
    alone = len(explanation.names) == 1  # where one slip makes several gradients wrong, it is one thing to say
    if kind in OF_SOME and alone and (found := _first(e, (some_values, some_rows, some_entries))):
        yield found
    if kind in OF_SOME and e.slips.is_elementwise(e.name):
        kind = "elementwise slip"
    yield kind, told(explanation)


OF_SOME = ("missing term", "wrong term", "elementwise slip", "exchanged", "shifted")  # what can be said more closely


def _more(e: Evidence, kind: str, text: str) -> str:
    """Return what is said of a gradient, and which slip in the chain rule makes it, where that says more."""
    known = kind in PLACED and e.slips.at_hand
    if known and (explanation := e.slip) is not None and told(explanation) not in text:
        return f"{text} {told(explanation)}"
    return text


# Kinds for which the place in the code is worth more than the numbers.
PLACED = {"constant factor", "wrong sign", "factor by index", "factor by output", "elementwise slip", "partly right"}
PLACED |= {"missing term", "wrong term", "extra term", "not carried", "not accumulated"}


QUESTIONS: tuple[Callable[[Evidence], Diagnosis], ...] = (
    tiny,
    unused,
    zero,
    exchanged,
    upstream_replaced,
    upstream_untouched,
    upstream_no_factor_at_all,
    constant_factor,
    wrong_mode,
    wrong_pattern,
    turned,
    shifted,
    parts_exchanged,
    scrambled,
    upstream_reordered,
    factor_by_index,
    one_counts,
    one_left_out,
    some_values,
    some_uses,
    spread,
    jacobian_turned,
    elementwise,
    factor_by_output,
    of_another,
    turned_slip,
    wrong_way,
    not_carried,
    not_accumulated,
    shared_out,
    slip,
    missing_term,
    coupling,
    entries_exchanged,
    moved_entries,
    gathered,
    any_slip,
    misplaced,
    some_rows,
    some_entries,
    decay,
    upstream_no_factor,
    parameter_turned,
    mixed_samples,
    another_derivative,
)
DIAGNOSES = (*QUESTIONS, later_wrong, at_one_index)
COSTLY = (some_uses, parameter_turned, at_one_index)  # asked where there is time, and of no long forward


# ---- words


def _where_wrong(e: Evidence) -> str:
    """Return a sentence on the entries that are wrong, where others are right."""
    a, n = e.analytic[e.wrong], e.numeric[e.wrong]
    if not a.any():
        return " Where it is wrong, it is zero."
    if not n.any():
        return " Where it is wrong, it should be zero."
    c = (a * n).sum() / (n * n).sum()
    if n.size > 1 and np.abs(a - c * n).max() <= SAME * np.abs(a).max():
        return f" Where it is wrong, it is {c:.6g} times the true one.{origin(c, e)}"
    return ""


def _tuple(index: Iterable[int]) -> str:
    index = list(index)
    return str(index[0]) if len(index) == 1 else f"({', '.join(map(str, index))})"


def _times(c: float) -> str:
    return "" if math.isclose(c, 1, rel_tol=SAME) else f"{c:.5g} * "
