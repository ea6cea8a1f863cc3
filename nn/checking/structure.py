"""What is wrong with the Jacobian that backward stands for: where does it differ from the measured one, and how?

Backward is linear in the upstream gradient, so that one output at a time shows the whole of its Jacobian. Each function
here tries one hypothesis on it, as those of `diagnosis` do on the gradient.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from .. import tree
from .evidence import SAME, Evidence
from .measure import PATIENCE
from .uses import contributions
from .vocabulary import FORMULAS, vectors

Diagnosis = Iterator[tuple[str, str]]

SHIFT = 4  # how far a shift is looked for
FEW = 64  # entries that may have gone to any other
PLACES = 512  # entries of which each is compared with each
MOSTLY = 0.6  # of what is away from the edges fits


# ---- which parts of it are lost


def not_accumulated(e: Evidence) -> Diagnosis:
    """Of the outputs that an entry reaches, one alone counts: the last, or the first, in the order of some axes."""
    lost, kept = e.off & e.nonzero, ~e.off & e.nonzero
    zeros = np.abs(e.given) <= SAME * np.abs(e.expected).max()
    if not lost.any() or not kept.any() or not zeros[e.off].all():
        return
    shape, reached = e.output_shape or (), np.abs(e.jacobian) > SAME * np.abs(e.jacobian).max()
    reached = reached.reshape(-1, e.g.size)
    for axes in subsets(len(shape)):
        index = np.unravel_index(np.arange(e.g.size), shape)
        order = np.ravel_multi_index([index[k] for k in axes], [shape[k] for k in axes])
        for sign, word in ((1, "last"), (-1, "first")):
            best = np.where(reached, sign * order, -math.inf).max(1, keepdims=True)
            if ((sign * order[e.chosen] == best) == kept)[e.nonzero].all():
                text = (
                    f"Where an entry of {e.name} reaches several outputs, the {word} one alone counts, in the order of "
                    f"the output's {named(axes)}. Is the gradient written (=) where it should be added (+=)? With an "
                    f"array of indices that repeat, += adds once: np.add.at adds all."
                )
                yield "not accumulated", text


def shared_out(e: Evidence) -> Diagnosis:
    """What belongs to one entry goes to several."""
    if e.complete is None:
        return
    flat = np.abs(e.complete.reshape(-1, e.chosen.size)) > SAME * np.abs(e.complete).max()
    given = e.columns.reshape(flat.shape)
    counts = (np.abs(given) > SAME * np.abs(given).max()).sum(0)
    if (flat.sum(0) == 1).all() and (counts >= 1).all() and counts.max() > 1:
        columns = [column[np.abs(column) > 0] for column in given.T]
        if all(np.ptp(column) <= SAME * abs(column[0]) for column in columns):
            how = "shared out evenly" if np.allclose(given.sum(0), e.complete.reshape(flat.shape).sum(0)) else "given"
            text = f"Each output depends on one entry of {e.name} alone, and its gradient is {how} to several of them."
            yield "shared out", text


def not_carried(e: Evidence) -> Diagnosis:
    """It is right from an index to the same, and wrong from one index to another."""
    for axis, size in enumerate(e.whole.shape if e.is_input else ()):
        for other in (k for k, length in enumerate(e.output_shape or ()) if length == size > 1):
            apart = np.abs(e.entry_index(axis) - e.output_index(other))
            same, across = apart == 0, apart > 0
            far = (e.nonzero & (apart == size - 1)).any()  # what reaches its neighbours alone is a window's
            if not far or not (e.nonzero & same).any() or (e.off & same).any() or not (e.off & across).any():
                continue
            given, c = e.given[across], ratio(e.given[across], e.expected[across])
            how = "is zero" if not given.any() else f"is {c:.5g} times the true one" if c else "is another"
            text = (
                f"Within the same index along axis {axis} all is right; from one index to another, the gradient {how}. "
                f"What should carry over along that axis is {'wrong' if given.any() else 'lost'}."
            )
            yield ("wrong term" if c else "not carried"), text


def wrong_way(e: Evidence) -> Diagnosis:
    """It goes from early outputs to late entries, where outputs depend on earlier entries, or the other way round."""
    for axis, size in enumerate(e.whole.shape if e.is_input else ()):
        for other in (k for k, length in enumerate(e.output_shape or ()) if length == size > 2):
            before = e.entry_index(axis) - e.output_index(other)
            true, given = (before[j] for j in (e.nonzero, np.abs(e.given) > SAME * np.abs(e.given).max(initial=0)))
            if all(x.any() for x in (true, given)) and (true <= 0).all() and (given >= 0).all() and (given > 0).any():
                text = (
                    f"Along axis {axis}, outputs depend on the entries before them, and the gradient goes to those "
                    f"after them. Does backward go through the steps in the order of forward?"
                )
                yield "not carried", text


def later_wrong(e: Evidence) -> Diagnosis:
    """It is right under upstream gradients at the first steps of a sequence, and wrong at all later ones."""
    for axis, size in enumerate(e.output_shape or ()):
        first = first_wrong(e, axis)
        if first and e.recurrent(axis):
            text = (
                f"It is right under upstream gradients at the output's first {first} of {size} indices along axis "
                f"{axis}, and wrong at later ones. Is what is carried back from an index to the one before lost or "
                f"wrong, or something that is zero at first?"
            )
            yield "not carried", text


def first_wrong(e: Evidence, axis: int) -> int:
    """Return the output's first index along an axis for which the gradient is wrong; 0 where not all later are."""
    index = e.output_index(axis)
    numbers = np.unique(index)
    wrong = np.array([e.off[:, index == k].any() for k in numbers])
    first = int(np.argmax(wrong))
    known = e.nonzero[:, index < numbers[first]].any()
    return int(numbers[first]) if known and wrong[first:].all() else 0


def mixed_samples(e: Evidence) -> Diagnosis:
    """The gradient mixes samples, and the outputs do not."""
    shape = e.output_shape or ()
    if e.is_input and shape and e.whole.shape[:1] == shape[:1] and len(e.sample.grid[0]) > 1:
        across = e.entry_index(0) != e.output_index(0)
        if (e.off & across).any() and not (e.nonzero & across).any():
            text = (
                "A gradient depends on the upstream gradient of other samples, and no output depends on other samples. "
                "Is a sum or mean taken over the wrong axis?"
            )
            yield "mixed samples", text


def wrong_pattern(e: Evidence) -> Diagnosis:
    """It reaches where the other mode's reaches, and not where this one's does."""
    if e.other_jacobian is None or not e.off.any():
        return
    there = e.other_jacobian.reshape(e.analytic.size, -1)[:, e.chosen]
    there, given = (np.abs(j) > SAME * np.abs(j).max(initial=0) for j in (there, e.given))
    across = e.entry_index(0) != e.output_index(0) if e.whole.ndim and e.output_shape else np.zeros(1, bool)
    if (there != e.nonzero).any() and (there == given).all() and ((there != e.nonzero) & across).any():
        mode = e.experiment.mode
        other = "eval" if mode == "train" else "train"
        does, do = ("mixes samples", "do not") if given.sum() > e.nonzero.sum() else ("does not mix samples", "do")
        text = f"In {mode} mode, the gradient {does} and the outputs {do}. Is this {other} mode's formula?"
        yield "wrong mode", text


# ---- where its parts go


def shifted(e: Evidence) -> Diagnosis:
    """Each entry has the gradient of one some steps away."""
    a, n, ndim = e.whole, e.numeric, e.numeric.ndim
    places = np.stack(np.meshgrid(*e.sample.grid, indexing="ij"), -1).reshape(-1, ndim)
    ranges = [range(-min(SHIFT, size - 1), min(SHIFT, size - 1) + 1) for size in a.shape]
    steps = [step for step in itertools.product(*ranges[-3:]) if any(step)]
    for step in sorted(steps, key=lambda step: sum(map(abs, step))):
        step = (0,) * (ndim - len(step)) + step
        moved = places + step
        inside = ((moved >= 0) & (moved < a.shape)).all(1)
        there, here = a[tuple(moved[inside].T)], n.reshape(-1)[inside]
        telling = e.telling.reshape(-1)
        if (telling & inside).sum() >= max(3, telling.sum() / 2) and e.same(there, here):
            by = " and ".join(f"{s:+d} along axis {k}" for k, s in enumerate(step) if s)
            text = f"This is the true gradient, shifted by {by}. Is an index off, or padding cropped on the wrong side?"
            yield "shifted", text


def parts_exchanged(e: Evidence) -> Diagnosis:
    """Slices along an axis stand in each other's places."""
    a, n = e.analytic, e.numeric
    for axis, size in enumerate(n.shape):
        if size != e.whole.shape[axis] or not 1 < size <= 64 or size == n.size <= 2:
            continue
        slices = [[e.same(a.take(i, axis), n.take(k, axis)) for k in range(size)] for i in range(size)]
        if (np.sum(slices, 1) == 1).all() and (np.sum(slices, 0) == 1).all():
            order = np.argmax(slices, 1)
            if (order != np.arange(size)).any():
                text = f"The true gradient's parts along axis {axis} are in the wrong order: {listed(order)}."
                yield "reordered", f"{text} Is one taken for another?"


def entries_exchanged(e: Evidence) -> Diagnosis:
    """Each entry has the gradient of another: rows of the Jacobian stand in each other's places."""
    if e.complete is None or not e.off.any() or e.whole.size > PLACES:
        return
    given, true = (j.reshape(e.whole.size, -1) for j in (e.columns, e.complete))
    peak = np.abs(true).max()
    order = [np.flatnonzero(np.abs(true - row).max(1) <= SAME * peak) for row in given]
    if all(rows.size for rows in order) and np.allclose(np.sort(given, 0), np.sort(true, 0), atol=SAME * peak):
        text = f"Each entry of {e.name} has the gradient of another one, for whatever comes in. Is there a reshape in"
        yield "reordered", f"{text} the place of a transpose, or np.tile for np.repeat?"


def moved_entries(e: Evidence) -> Diagnosis:
    """The gradient of each entry goes to another, and adds up where several go to the same."""
    if e.complete is None or not e.off.any() or e.whole.size > FEW:
        return
    given, true = (j.reshape(e.whole.size, -1) for j in (e.columns, e.complete))
    if np.linalg.matrix_rank(true) < len(true):
        return
    moves = np.linalg.lstsq(true.T, given.T)[0].T
    exact = (
        np.abs(moves - moves.round()).max() < 1e-4 and np.abs(moves @ true - given).max() <= SAME * np.abs(true).max()
    )
    if exact and set(np.unique(moves.round())) <= {0.0, 1.0} and (moves.round().sum(0) == 1).all():
        goes = [(old, int(np.argmax(column))) for old, column in enumerate(moves.T.round()) if not column[old]]
        text = (
            f"The right numbers go to the wrong entries: {listed(f'those of {a} to {b}' for a, b in goes)}, counted in"
        )
        yield "shifted", f"{text} the order of memory. Is an index or a size wrong?"


def gathered(e: Evidence) -> Diagnosis:
    """What belongs to several entries goes to fewer of them, and is as much together."""
    if e.complete is None or not e.off.any():
        return
    given, true = (j.reshape(e.whole.size, -1) for j in (e.columns, e.complete))
    peak = np.abs(true).max()
    counts = [(np.abs(j) > SAME * peak).sum(0) for j in (given, true)]
    if (np.abs(given[np.abs(true) <= SAME * peak]) > SAME * peak).any():
        return
    same = np.abs(given.sum(0) - true.sum(0)) <= SAME * peak * e.whole.size
    if same.all() and (counts[0] > 0).all() and (counts[0] < counts[1]).all():
        text = f"Each output depends on {counts[1].max()} entries of {e.name}, and its gradient goes to"
        yield "shared out", f"{text} {counts[0].max()} of them, which get all that the others should share."


def misplaced(e: Evidence) -> Diagnosis:
    """Each output's numbers are right, and stand at other entries; or each entry's, from other outputs."""
    if e.complete is None:
        return
    peak, ndim = np.abs(e.complete).max(), e.whole.ndim
    given, true = (_cut(np.moveaxis(jacobian, -1, 0), peak) for jacobian in (e.columns, e.complete))
    turned = [("shifted", "at the wrong entries of it. Is an index, a stride or a dilation wrong?", true)]
    for axes in subsets(ndim):
        flipped = np.flip(true, tuple(k + 1 for k in axes))
        turned.append(("reordered", f"in reverse along {named(axes)}. Is a kernel flipped?", flipped))
    for i, k in itertools.combinations(range(ndim), 2):
        if e.whole.shape[i] == e.whole.shape[k]:
            exchanged = true.swapaxes(i + 1, k + 1)
            turned.append(("transposed", f"with axes {i} and {k} exchanged. Is a kernel transposed?", exchanged))
    counts = np.count_nonzero(true.reshape(len(true), -1), 1)
    told = (counts == counts.max()) & (np.abs(given - true).reshape(len(true), -1).max(1) > SAME * peak)  # by no edge
    for kind, how, numbers in turned if told.sum() > 2 and counts.max() > 0 else ():
        fits = [_in_order(a, n, peak) for a, n in zip(given[told], numbers[told], strict=True)]
        if np.mean(fits) > MOSTLY and (kind == "shifted" or counts.max() > 1):
            yield kind, f"Each output's gradient has the right numbers {how}"
    rows = np.flatnonzero(e.off.any(1)) if e.chosen.size == e.g.size else np.zeros(0, int)
    if len(rows) > 2 and all(_in_order(_cut(e.given[i], peak), _cut(e.expected[i], peak), peak) for i in rows):
        text = "Each entry gets the right numbers, from the wrong outputs. Is an index, a stride or a dilation wrong?"
        yield "shifted", text


def jacobian_turned(e: Evidence) -> Diagnosis:
    """What goes from one index to another goes from the other to the one."""
    if e.complete is None or e.chosen.size < e.g.size or e.output_shape is None:
        return
    a, n = (x.reshape(e.whole.shape + e.output_shape) for x in (e.columns, e.complete))
    for k, other in itertools.product(range(e.whole.ndim), range(len(e.output_shape))):
        if e.whole.shape[k] == e.output_shape[other] > 1 and ratio(a, n.swapaxes(k, e.whole.ndim + other)) is not None:
            text = f"What goes from index i to index k along axis {k} goes from k to i. Is a factor transposed?"
            yield "transposed", text


def coupling(e: Evidence) -> Diagnosis:
    """What differs is, for each row of outputs, a multiple of the outputs: they are means by weights that sum to 1."""
    y = e.experiment.value[e.chosen]
    difference, shape = e.expected - e.given, e.output_shape or ()
    if len(shape) < 2 or not np.isfinite(difference).all() or not e.off.any():
        return
    row = e.chosen // shape[-1]
    for r in np.unique(row[e.off.any(0)]):
        part, weights = difference[:, row == r], y[row == r]
        fit = np.outer(part @ weights / (weights @ weights), weights)
        if len(weights) < 3 or np.abs(part - fit).max() > SAME * np.abs(e.expected).max():
            return
    text = (
        "What differs is, for each row of outputs, a multiple of the outputs themselves: that is the term by which the"
    )
    yield "missing term", f"{text} weights of a softmax depend on one another, the sum over g times p."


def _cut(x: np.ndarray, peak: float) -> np.ndarray:
    """Return an array with zeros for what is next to nothing."""
    return x * (np.abs(x) > SAME * peak)


def _in_order(a: np.ndarray, n: np.ndarray, peak: float) -> bool:
    """Return whether two arrays have the same numbers that are not zero, in the same order."""
    a, n = a[a != 0], n[n != 0]
    return a.shape == n.shape and bool(np.abs(a - n).max(initial=0) <= SAME * peak)


# ---- what it is multiplied with


def factor_by_output(e: Evidence) -> Diagnosis:
    """Each output's gradient is right but for a factor of its own: something on the way from the output."""
    square = (e.expected**2).sum(0)
    known = square > 0
    if not known.any() or e.chained or e.own is not None:
        return
    factors = (e.given * e.expected).sum(0)[known] / square[known]
    close = np.abs(e.given[:, known] - factors * e.expected[:, known]) <= SAME * np.abs(e.expected).max()
    informative = (e.nonzero.sum(0) > 1).mean() > 0.5 and not e.given[:, ~known].any()
    if not close.all() or np.ptp(factors) <= SAME:
        return
    if set(factors.round(5)) <= {0.0, 1.0}:
        return  # some outputs are left out of the sum
    outputs = e.chosen[known]
    for text, vector in _at_outputs(e):
        for form, values in ((text, vector), (f"1/{text}", 1 / vector), (f"-{text}", -vector)):
            if np.allclose(factors, values[outputs], rtol=1e-4, atol=1e-6):
                yield (
                    "factor by output",
                    f"This would be right for grad_output times {form}: that is a factor too much, or its inverse is "
                    f"left out.",
                )
    if not informative or (e.slip is not None and e.slip.fits):
        return
    text = f"Each output's own gradient is right but for a factor: {listed(f'{c:.4g}' for c in factors)}. Is something"
    yield "factor by output", f"{text} that multiplies the output, or its derivative, left out or there twice?"


def _at_outputs(e: Evidence) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what may multiply the outputs, one number for each."""
    y, shape = e.experiment.value, e.output_shape or ()
    for text, function in FORMULAS.items():
        yield text.replace("v", "output"), 1.0 * function(y)
    for axis in range(len(shape)):
        for name, vector in vectors(e, shape[axis]).items():
            spread = np.broadcast_to(vector.reshape([-1 if k == axis else 1 for k in range(len(shape))]), shape)
            yield name, spread.ravel()
    for name, x in tree.named_leaves(e.experiment.inputs):
        if np.shape(x) == shape:
            yield name, 1.0 * np.ravel(x)
        if np.shape(x)[:-1] == shape[:-1] and tree.is_floating(x):
            for statistic in ("std", "var", "norm"):
                values = np.linalg.norm(x, axis=-1) if statistic == "norm" else getattr(x, statistic)(-1)
                yield f"{statistic}({name})", np.broadcast_to(values[..., None], shape).ravel()


# ---- uses


def some_uses(e: Evidence) -> Diagnosis:
    """It is a sum over the uses of the array in forward, each right but for a factor."""
    found = (
        contributions(e.experiment, e.name, e.g, e.whole, PATIENCE / e.cost, np.random.default_rng(0))
        if not e.chained
        else None
    )
    if found is None:
        return
    names, slopes, given = found
    weights, _, rank, _ = np.linalg.lstsq(slopes, given)
    right = np.abs(weights - 1) < 1e-4
    if not 1 < len(names) == rank or right.all() or (not right.any() and np.ptp(weights) > 1e-4):
        return
    rounded = np.where(right, 1, weights.round(3) if np.abs(weights - weights.round(3)).max() < 1e-4 else weights)
    if np.abs(slopes @ rounded - given).max() > 10 * SAME * np.abs(slopes).max():
        return
    wrong = [f"{rounded[k] + 0.0:.4g} times what comes from {names[k]}" for k in np.flatnonzero(~right)]
    kind = "missing term" if not rounded[~right].any() else "wrong term"
    text = f"Forward uses {e.name} {len(names)} times, and the gradient adds up what comes from each. It counts"
    yield kind, f"{text} {listed(wrong)}, and the others once."


def listed(items: object) -> str:
    """Return some of many items, with commas."""
    texts = [str(item) for item in items]  # type: ignore[attr-defined]
    more = f" and {len(texts) - 5} more" if len(texts) > 5 else ""
    return ", ".join(texts[:5]) + more


def subsets(count: int) -> Iterator[tuple[int, ...]]:
    """Yield all choices of at least one axis, the smallest first."""
    return itertools.chain.from_iterable(itertools.combinations(range(count), k) for k in range(1, count + 1))


def named(axes: tuple[int, ...]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {' and '.join(map(str, axes))}"


def ratio(a: np.ndarray, b: np.ndarray) -> float | None:
    """Return c where a = c b, or None."""
    square = (b * b).sum()
    c = float((a * b).sum() / square) if square else 0.0
    return c if c and np.abs(a - c * b).max() <= SAME * np.abs(b).max() else None
