"""Numerical derivatives: central differences in steps that fit the scale, away from kinks and noise.

All of it works on a function of one array, which is varied in place and put back.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

STEP = 1e-6  # relative to the entry: near the cube root of the precision, where rounding and curvature weigh alike
# The steps that are tried where that one does not convince. Their ratios are uneven: outputs that are rounded to a grid
# answer to steps in exact powers of ten with errors that agree.
STEPS = 10.0 ** -np.arange(2, 9) * [1.0, 0.83, 1.13, 0.91, 1.19, 0.87, 1.07]
FLOOR = 1e-5  # a derivative this much smaller than value over argument counts as zero, and is compared absolutely
DOUBT = 1e-5  # a derivative that is not known to so much, relatively, judges nothing
GAP = 1e-3  # derivatives to the left and the right, by a single step, that differ by more may be those of a kink
EPS = float(np.finfo(np.float64).eps)
SAMPLE = 64  # how many entries are measured one by one; arrays of no more are measured whole
LEAST = 16  # how many of them at least, where forward is slow
PATIENCE = 0.3  # seconds that measuring a sample may take, and so may each set of further measurements
MEMORY = 2**24  # how many numbers the Jacobian of all outputs by these entries may take
MOST = 0.5  # of the entries must be good to judge by, before any of them is called wrong
SETTLED = 4  # how many entries that look wrong are measured in many steps before the rest is believed

Where = int | slice  # entries of a flat array


class Function:
    """A function of an array: called without arguments, `outputs` reads the array, which may be varied in place.

    Args:
        outputs: reads the array.
        array: float64, in any layout.
        value: the outputs at the point as it stands, flat, where they are known.

    Example:
        >>> x = np.array([1.0, 2.0])
        >>> Function(lambda: x**2, x).at(0, 5.0)
        array([25.,  4.])
    """

    def __init__(self, outputs: Callable[[], ArrayLike], array: np.ndarray, value: np.ndarray | None = None) -> None:
        self.outputs = outputs
        self.array = array
        self.value = np.ravel(outputs()) if value is None else value
        self.calls, self.seconds = 0, 0.0

    @property
    def cost(self) -> float:
        """The seconds that a call takes, of those so far."""
        return self.seconds / max(self.calls, 1)

    def at(self, where: Where, entries: Any) -> np.ndarray:
        """Return the outputs where some entries of the array are others; NaN where there are none."""
        start = time.perf_counter()
        with replaced(self.array, entries, where), np.errstate(all="ignore"):
            try:
                y = np.ravel(self.outputs())
            except Exception:
                y = np.zeros(0)
        self.calls, self.seconds = self.calls + 1, self.seconds + time.perf_counter() - start
        return y if y.shape == self.value.shape else np.full_like(self.value, np.nan)

    def around(self, where: Where, step: Any, at: Any = None) -> tuple[np.ndarray, np.ndarray, Any]:
        """Return the outputs a step above and below some entries, and the distance: not quite two steps, by rounding.

        at: what these entries are at the point in between, if not what they are now.
        """
        entries = self.array.flat[where] if at is None else at
        above, below = entries + step, entries - step
        return self.at(where, above), self.at(where, below), above - below


@contextlib.contextmanager
def replaced(array: np.ndarray, entries: Any, where: Where = slice(None)) -> Iterator[None]:
    """Inside the `with`, some entries of an array are others."""
    before = array.flat[where]
    array.flat[where] = entries
    try:
        yield
    finally:
        array.flat[where] = before


def numerical_jacobian(
    outputs: Callable[[], ArrayLike], array: np.ndarray, grid: tuple[np.ndarray, ...] | None = None
) -> np.ndarray:
    """Return the derivative of each output by each entry of an array, by one central difference an entry.

    Args:
        outputs: the function, which reads the array.
        array: float64; varied in place and put back.
        grid: the indices along each axis that are wanted; None for all.

    Returns:
        An array of the grid's shape and then the outputs' shape.

    Example:
        >>> x = np.array([1.0, 2.0])
        >>> numerical_jacobian(lambda: (x**2).sum(), x).round(6)
        array([2., 4.])
    """
    shape = np.shape(outputs())
    function, unit = Function(outputs, array), units(array)
    chosen = np.arange(array.size).reshape(array.shape)
    chosen = chosen if grid is None else chosen[np.ix_(*grid)]
    jacobian = np.empty((*chosen.shape, *shape))
    for place, entry in np.ndenumerate(chosen):
        above, below, distance = function.around(int(entry), STEP * unit[entry])
        jacobian[place] = ((above - below) / distance).reshape(shape)
    return jacobian


# ---- a gradient against the numerical one


class Verdict(NamedTuple):
    """What is measured along one direction.

    slope: the numerical derivative.
    error: by how much the gradient is off, relative to the scale.
    judged: whether the measurement is good: neither at a kink nor lost in noise.
    outside: whether the gradient lies outside of what the derivatives to the left and to the right allow.
    """

    slope: float
    error: float
    judged: bool
    outside: bool

    @property
    def wrong(self) -> bool:
        return self.judged and self.outside


class Sample(NamedTuple):
    """Entries of an array on a grid, measured one by one. All arrays have the grid's shape.

    grid: the indices along each axis.
    analytic, numeric: the gradient that backward gave, and the measured one.
    error, judged, outside: as in a Verdict; the error is relative to the largest entry.
    jacobian: the derivative of each output by each entry, one axis more; None where that is too much to keep.
    """

    grid: tuple[np.ndarray, ...]
    analytic: np.ndarray
    numeric: np.ndarray
    error: np.ndarray
    judged: np.ndarray
    outside: np.ndarray
    jacobian: np.ndarray | None

    @property
    def wrong(self) -> np.ndarray:
        return self.judged & self.outside

    @property
    def worst(self) -> float:
        return float(self.error[self.judged].max(initial=0))


class NumericalGradient:
    """The numerical gradient of sum(g · outputs) by an array, and what it says of an analytic one.

    Args:
        function: of the array.
        gradient: the analytic gradient, shaped like the array.
        g: what weighs the outputs, flat.
        tolerance: the largest error allowed.
        floor: how much smaller than value over argument a gradient is that counts as zero.

    Example:
        >>> x = np.array([1.0, 2.0])
        >>> numerical = NumericalGradient(Function(lambda: x**2, x), np.array([2.0, 5.0]), np.ones(2), 1e-6)
        >>> numerical.sample(grid(x.shape)).wrong
        array([False,  True])
    """

    def __init__(
        self, function: Function, gradient: np.ndarray, g: np.ndarray, tolerance: float, floor: float = FLOOR
    ) -> None:
        self.function, self.g, self.tolerance = function, g, tolerance
        self.shape, self.gradient = gradient.shape, gradient.reshape(-1)
        self.units = units(function.array)
        self.value = float(np.linalg.norm(g * function.value))
        self.floor = floor * self.value / typical(function.array)
        self.nothing = 4 * EPS * float(np.linalg.norm(g))  # what rounding leaves of zero, for outputs of about 1

    def difference(self, where: Where, step: Any) -> tuple[float, float, Any]:
        """Return the first and the second difference of sum(g · outputs), and the distance between the two points."""
        above, below, distance = self.function.around(where, step)
        return np.dot(self.g, above - below), abs(np.dot(self.g, above - 2 * self.function.value + below)), distance

    # ---- along directions

    def direction(self, where: slice, rng: np.random.Generator) -> np.ndarray:
        """Return a random direction in which no entry moves much less than another."""
        size = self.units[where].shape
        return self.units[where] * rng.uniform(0.5, 1.5, size) * rng.choice([-1, 1], size)

    def along(self, direction: np.ndarray) -> Verdict:
        """Judge by one direction of all entries."""
        single = self.by_one_step(direction)
        return single if single.judged else self.settle(slice(None), direction, self.least(direction))

    def least(self, direction: np.ndarray) -> float:
        """Return the size of a slope along a direction that counts."""
        return max(float(np.linalg.norm(self.gradient * direction)), self.floor * float(np.linalg.norm(direction)))

    def by_one_step(self, direction: np.ndarray) -> Verdict:
        """Judge by a single step along a direction, which can convince that the gradient is right, and no more."""
        everywhere = slice(None)
        first, second, distance = self.difference(everywhere, STEP * direction)
        slope, gap = first / (2 * STEP), second / STEP
        scale = max(self.least(direction), abs(slope))
        error = self.error(np.dot(self.gradient, distance) / (2 * STEP) - slope, scale)
        convincing = error <= self.tolerance and gap <= GAP * scale
        return Verdict(slope, error, judged=convincing, outside=not convincing)

    def locate(self, rng: np.random.Generator) -> int:
        """Return the place of a wrong entry, by halving: each time the half that is off by more."""
        where = slice(0, self.gradient.size)
        while where.stop - where.start > 1:
            middle = (where.start + where.stop) // 2
            halves = slice(where.start, middle), slice(middle, where.stop)
            errors = []
            for half in halves:
                first, _, distance = self.difference(half, STEP * self.direction(half, rng))
                errors.append(abs(np.dot(self.gradient[half], distance) - first))
            where = halves[0] if errors[0] > errors[1] else halves[1]
        return where.start

    def among_ties(self, rng: np.random.Generator) -> Verdict | None:
        """Judge by a direction in which equal entries stay equal, as the largest do; None where none are equal."""
        values, group = np.unique(self.function.array, return_inverse=True)
        if values.size == self.gradient.size:
            return None
        return self.along(self.units * rng.uniform(0.5, 1.5, values.size)[group.reshape(-1)])

    # ---- entry by entry

    def sample(self, grid: tuple[np.ndarray, ...]) -> Sample:
        """Judge the entries of a grid one by one."""
        chosen = np.arange(self.gradient.size).reshape(self.shape)[np.ix_(*grid)]
        entries = chosen.ravel()
        numeric, gap = np.empty((2, entries.size))
        jacobian = np.empty((entries.size, self.g.size)) if entries.size * self.g.size <= MEMORY else None
        value = self.function.value
        for i, entry in enumerate(entries):
            above, below, distance = self.function.around(int(entry), STEP * self.units[entry])
            if jacobian is not None:
                jacobian[i] = (above - below) / distance
            numeric[i] = np.dot(self.g, above - below) / distance
            gap[i] = 2 * abs(np.dot(self.g, above - 2 * value + below)) / distance
        analytic = self.gradient[entries]
        scale = max(self.floor, float(np.abs(numeric[np.isfinite(numeric)]).max(initial=0)))
        error = np.array([self.error(difference, scale) for difference in analytic - numeric])
        outside, judged = error > self.tolerance, np.ones(entries.shape, bool)
        suspects = sorted(map(int, np.flatnonzero(outside | (gap > GAP * scale))), key=lambda i: -error[i])
        confirmed, enough = 0, SETTLED if 2 * STEPS.size * SETTLED * self.function.cost < PATIENCE else 1
        for count, i in enumerate(suspects):
            if count == confirmed == enough:
                break  # the single step was right about all of these, and so about the rest
            unit = self.units[entries[i]]
            verdict = self.settle(int(entries[i]), unit, scale * unit)
            numeric[i], error[i], judged[i], outside[i] = verdict
            numeric[i] /= unit
            confirmed += int(verdict.wrong)
        kept = None if jacobian is None else jacobian.reshape(*chosen.shape, -1)
        shape = chosen.shape
        findings = analytic.reshape(shape), numeric.reshape(shape), error.reshape(shape)
        return Sample(grid, *findings, judged.reshape(shape), outside.reshape(shape), kept)

    # ---- what a derivative is worth

    def settle(self, where: Where, direction: Any, least: float) -> Verdict:
        """Judge by steps of many sizes, relative to the slope or at least to `least`."""
        slope, doubt, gap = self.slope(where, direction)
        scale = max(abs(slope), least)
        error = self.error(np.dot(self.gradient[where], direction) - slope, scale)
        doubt, gap = _relative(doubt, scale), _relative(gap, scale)
        judged = doubt <= DOUBT and gap <= max(self.tolerance, 4 * doubt)
        allowed = self.tolerance + 2 * doubt + (0.0 if judged else gap / 2)
        return Verdict(slope, error, judged, error > allowed)

    def slope(self, where: Where, direction: Any) -> tuple[float, float, float]:
        """Measure the derivative along a direction in steps of many sizes.

        Returns:
            The derivative from the two neighbouring steps that agree best; the doubt, which is by how much they
            disagree; and the gap between the derivatives to the left and to the right, where it does not vanish with
            the step.
        """
        differences = [self.difference(where, step * direction)[:2] for step in STEPS]
        central, gaps = np.array(differences).T / [2 * STEPS, STEPS]
        # Two steps can agree by chance. Rounding falls as the step grows, and what comes of curvature with the square
        # of the step: so what other pairs disagree by bounds from below how far this pair can be trusted.
        steps, disagreed = STEPS[1:], np.abs(np.diff(central))
        rounding = np.maximum.accumulate((disagreed * steps)[::-1])[::-1]
        curvature = np.append(0, disagreed[:-1] * (steps[1:] / steps[:-1]) ** 2)
        doubts = np.maximum(rounding, EPS * self.value) / steps
        doubts = np.where(curvature > doubts, curvature, doubts)
        if np.isnan(doubts).all():
            return math.nan, math.inf, math.inf
        best = int(np.nanargmin(doubts))
        left_of_best, at_best = gaps[best : best + 2]
        return central[best + 1], doubts[best], at_best if at_best > 0.5 * left_of_best else 0.0

    def error(self, difference: float, scale: float) -> float:
        """Return a difference relative to a scale."""
        return 0.0 if abs(difference) <= self.nothing else _relative(difference, scale)


def _relative(difference: float, scale: float) -> float:
    """Return |difference| / scale: 0 for none, even relative to 0; infinity where nothing could be measured."""
    if not difference:
        return 0.0
    return float(abs(difference) / scale) if scale > 0 and not math.isnan(difference) else math.inf


class Comparison(NamedTuple):
    """How well a gradient agrees with the numerical one.

    error: the largest relative one, of what could be judged.
    measured, unjudged: how many entries or directions were measured, and how many of them could not be judged.
    sample: the evidence if the gradient is wrong, else None.
    """

    error: float
    measured: int
    unjudged: int
    sample: Sample | None


def compare(
    function: Function,
    gradient: np.ndarray,
    g: np.ndarray,
    tolerance: float,
    full: bool | None,
    rng: np.random.Generator,
) -> Comparison:
    """Compare the gradient of sum(g · outputs) with the numerical one.

    One random direction of all entries is enough to see whether a gradient is right; a sample of entries tells what is
    wrong. Where `full` is True, or None and the entries are few, all of them are measured instead.

    Example:
        >>> x = np.array([1.0, 2.0])
        >>> compare(Function(lambda: x**2, x), 2 * x, np.ones(2), 1e-6, None, np.random.default_rng(0)).error < 1e-9
        True
    """
    numerical = NumericalGradient(function, gradient, g, tolerance)
    shape, few = gradient.shape, max(4, min(SAMPLE, MEMORY // g.size))
    if full or (full is None and gradient.size <= few):
        sample = numerical.sample(tuple(map(np.arange, shape)))
        error, unjudged, wrong = sample.worst, int((~sample.judged).sum()), bool(sample.wrong.any())
    else:
        direction = numerical.direction(slice(None), rng)
        along = numerical.by_one_step(direction)
        if along.judged:
            return Comparison(along.error, 1, 0, None)
        far = along.error > GAP  # the entries will show it, and sooner
        if not far and (along := numerical.along(direction)).judged and not along.wrong:
            return Comparison(along.error, 1, 0, None)
        few = int(np.clip(PATIENCE / (2 * function.cost), min(few, LEAST), few))
        sample = numerical.sample(grid(shape, few))
        error, unjudged, wrong = sample.worst, int((~sample.judged).sum()), bool(sample.wrong.any())
        if far and not wrong and (along := numerical.along(direction)).judged and not along.wrong:
            return Comparison(along.error, 1, 0, None)
        if not far or not wrong:
            wrong, unjudged = wrong or along.wrong, max(unjudged, int(not along.judged))
            error = max(error, along.error if along.judged else 0.0)
    measured = sample.error.size
    if wrong and sample.judged.mean() < MOST:
        return Comparison(0.0, measured, measured, None)
    if wrong and full and measured > few:  # as evidence, a part will do
        worst = int(np.where(sample.wrong, sample.error, -1).argmax())
        sample = numerical.sample(grid(shape, few, np.unravel_index(worst, shape)))
    elif wrong and not sample.wrong.any():
        sample = numerical.sample(grid(shape, few, np.unravel_index(numerical.locate(rng), shape)))
    return Comparison(error, measured, unjudged, sample if wrong else None)


# ---- scales and places


def typical(array: np.ndarray) -> float:
    """Return the median size of the entries that are not zero; 1 where all are.

    Example:
        >>> typical(np.array([0.0, -2.0, 3.0, 5.0]))
        3.0
    """
    sizes = np.abs(array[array != 0])
    return float(np.median(sizes)) if sizes.size else 1.0


def units(array: np.ndarray) -> np.ndarray:
    """Return, flat, what a step in each entry is relative to.

    Example:
        >>> units(np.array([0.0, -2.0, 3.0, 5.0]))
        array([3., 3., 3., 5.])
    """
    return np.maximum(np.abs(array), typical(array)).reshape(-1)


def grid(shape: tuple[int, ...], few: int = SAMPLE, including: tuple[Any, ...] | None = None) -> tuple[np.ndarray, ...]:
    """Return indices along each axis, of about `few` entries together.

    They are spread evenly and symmetrically, and alike on axes of the same length, so that rows and columns, transposes
    and reversals can be told.

    Example:
        >>> [indices.tolist() for indices in grid((3, 100), 15)]
        [[0, 1, 2], [0, 24, 49, 50, 75, 99]]
    """
    counts = list(shape)
    while math.prod(counts) > few:
        counts[counts.index(max(counts))] -= 1
    chosen = []
    for size, count in zip(shape, counts, strict=True):
        half = np.linspace(0, size - 1, count).astype(int)[: (count + 1) // 2]
        chosen.append(np.union1d(half, size - 1 - half))
    if including is not None:
        chosen = [np.union1d(indices, place) for indices, place in zip(chosen, including, strict=True)]
    return tuple(chosen)
