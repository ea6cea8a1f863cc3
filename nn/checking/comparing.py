"""Comparing gradients with slopes: with central differences, in steps that fit the scale, away from kinks and noise."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .experiment import Experiment, typical

STEP = 1e-6  # relative to the entry: near the cube root of the precision, where rounding and curvature weigh alike
LADDER = 10.0 ** -np.arange(2, 9)  # the steps that are tried where that one does not convince
FLOOR = 1e-5  # a slope this much smaller than value over argument counts as zero, and is compared absolutely
DOUBT = 1e-5  # a slope that is not known to so much, relatively, judges nothing
GAP = 1e-3  # slopes to the left and the right of a single step that differ by more, relatively, may be those of a kink
EPS = float(np.finfo(np.float64).eps)
SAMPLE = 64  # how many entries are looked at one by one; arrays of no more are looked at whole
MEMORY = 2**24  # how many numbers the slopes of all outputs by these entries may take
MOST = 0.5  # of the entries must be good to judge by, before any of them is called wrong
SETTLED = 4  # how many entries that look wrong are measured in many steps before the rest is believed


class Sample(NamedTuple):
    """Entries of an array on a grid, looked at one by one. All arrays have the grid's shape.

    grid: the indices along each axis.
    analytic, numeric: the gradient that backward gave, and the measured one.
    error: by how much they differ, relative to the largest entry.
    judged: where the measurement is good: neither at a kink nor lost in noise.
    wrong: where it is good, and the gradients differ.
    """

    grid: tuple[np.ndarray, ...]
    analytic: np.ndarray
    numeric: np.ndarray
    error: np.ndarray
    judged: np.ndarray
    wrong: np.ndarray

    @property
    def worst(self) -> float:
        return float(self.error[self.judged].max(initial=0))


class Comparison(NamedTuple):
    """How well a gradient agrees with the measured one.

    error: the largest relative one, of what could be judged.
    looked_at, unjudged: how many entries or directions were looked at, and how many of them could not be judged.
    sample: the evidence if the gradient is wrong, else None.
    """

    error: float
    looked_at: int
    unjudged: int
    sample: Sample | None


def compare(
    experiment: Experiment,
    name: str,
    gradient: np.ndarray,
    g: np.ndarray,
    tolerance: float,
    full: bool | None,
    rng: np.random.Generator,
) -> Comparison:
    """Hold an array's gradient of sum(g · outputs) against measured slopes.

    One random direction of all entries is enough to see whether a gradient is right; a sample of entries tells what is
    wrong. Where `full` is True, or None and the entries are few, all of them are looked at instead.
    """
    gauge = _Gauge(experiment, name, gradient.reshape(-1), g, tolerance)
    shape, few = gradient.shape, max(4, min(SAMPLE, MEMORY // g.size))
    if full or (full is None and gradient.size <= few):
        sample = gauge.sample(tuple(np.arange(size) for size in shape), shape)
        error, unjudged, wrong = sample.worst, int((~sample.judged).sum()), bool(sample.wrong.any())
    else:
        along = gauge.along(gauge.any_direction(slice(None), rng))
        if along.judged and not along.wrong:
            return Comparison(along.error, 1, 0, None)
        sample = gauge.sample(grid(shape, few), shape)
        error = max(along.error if along.judged else 0.0, sample.worst)
        unjudged = max(int((~sample.judged).sum()), int(not along.judged))
        wrong = along.wrong or bool(sample.wrong.any())
    looked_at = sample.error.size
    if wrong and sample.judged.mean() < MOST:
        return Comparison(0.0, looked_at, looked_at, None)
    if wrong and full and looked_at > few:  # as evidence, a part will do
        worst = np.where(sample.wrong, sample.error, -1).argmax()
        sample = gauge.sample(grid(shape, few, np.unravel_index(worst, shape)), shape)
    elif wrong and not sample.wrong.any():
        sample = gauge.sample(grid(shape, few, np.unravel_index(gauge.locate(rng), shape)), shape)
    return Comparison(error, looked_at, unjudged, sample if wrong else None)


class _Verdict(NamedTuple):
    slope: float
    error: float
    judged: bool
    wrong: bool


class _Gauge:
    """Holds one gradient, flat, against slopes along directions in its array."""

    def __init__(
        self, experiment: Experiment, name: str, gradient: np.ndarray, g: np.ndarray, tolerance: float
    ) -> None:
        self.experiment, self.name, self.gradient, self.g, self.tolerance = experiment, name, gradient, g, tolerance
        array = experiment.arrays[name]
        self.units = units(array)
        self.value = float(np.linalg.norm(g * experiment.base))
        self.floor = FLOOR * self.value / typical(array)
        self.nothing = 4 * EPS * float(np.linalg.norm(g))  # what rounding leaves of zero, for outputs of about 1

    # ---- along directions

    def any_direction(self, where: slice, rng: np.random.Generator) -> np.ndarray:
        """Return a random direction in which no entry moves much less than another."""
        size = self.units[where].shape
        return self.units[where] * rng.uniform(0.5, 1.5, size) * rng.choice([-1, 1], size)

    def glance(self, where: slice, direction: np.ndarray) -> tuple[float, float, float]:
        """Take a single step along a direction.

        Returns:
            The slope that the gradient promises; the measured one; by how much those to the left and right differ.
        """
        up, down, way = self.experiment.between(self.name, where, STEP * direction)
        promised, measured = np.dot(self.gradient[where], way), np.dot(self.g, up - down)
        gap = abs(np.dot(self.g, up - 2 * self.experiment.base + down))
        return promised / (2 * STEP), measured / (2 * STEP), gap / STEP

    def along(self, direction: np.ndarray) -> _Verdict:
        """Judge by one direction of all entries."""
        promised, measured, gap = self.glance(slice(None), direction)
        least = max(float(np.linalg.norm(self.gradient * direction)), self.floor * float(np.linalg.norm(direction)))
        scale = max(least, abs(measured))
        error = self.error(promised - measured, scale)
        if error <= self.tolerance and gap <= GAP * scale:
            return _Verdict(measured, error, judged=True, wrong=False)
        return self.settle(slice(None), direction, least)

    def locate(self, rng: np.random.Generator) -> int:
        """Return the place of a wrong entry, by halving: each time the half that is off by more."""
        where = slice(0, self.gradient.size)
        while where.stop - where.start > 1:
            middle = (where.start + where.stop) // 2
            halves = slice(where.start, middle), slice(middle, where.stop)
            slopes = [self.glance(half, self.any_direction(half, rng)) for half in halves]
            first, second = (abs(promised - measured) for promised, measured, _ in slopes)
            where = halves[0] if first > second else halves[1]
        return where.start

    # ---- entry by entry

    def sample(self, grid: tuple[np.ndarray, ...], shape: tuple[int, ...]) -> Sample:
        """Look at the entries of a grid one by one."""
        chosen = np.arange(self.gradient.size).reshape(shape)[np.ix_(*grid)]
        entries = chosen.ravel()
        analytic, numeric, gap = self.gradient[entries], np.empty(entries.size), np.empty(entries.size)
        for i, entry in enumerate(entries):
            up, down, way = self.experiment.between(self.name, entry, STEP * self.units[entry])
            numeric[i] = np.dot(self.g, up - down) / way
            gap[i] = 2 * abs(np.dot(self.g, up - 2 * self.experiment.base + down)) / way
        scale = max(self.floor, float(np.abs(numeric[np.isfinite(numeric)]).max(initial=0)))
        error = np.array([self.error(difference, scale) for difference in analytic - numeric])
        wrong = error > self.tolerance
        suspect = wrong | (gap > GAP * scale)
        judged = np.ones_like(wrong)
        confirmed = 0
        for count, i in enumerate(np.argsort(np.where(suspect, -error, 1), kind="stable")[: suspect.sum()]):
            if count == confirmed == SETTLED:
                break  # the single step was right about all of these, and so about the rest
            unit = self.units[entries[i]]
            slope, error[i], judged[i], wrong[i] = self.settle(entries[i], unit, scale * unit)
            numeric[i] = slope / unit
            confirmed += int(wrong[i])
        arrays = (analytic, numeric, error, judged, wrong)
        return Sample(grid, *(array.reshape(chosen.shape) for array in arrays))

    # ---- what a slope is worth

    def settle(self, where: Any, direction: Any, least: float) -> _Verdict:
        """Judge by steps of many sizes, relative to the slope or at least to `least`."""
        slope, doubt, gap = self.slope(where, direction)
        scale = max(abs(slope), least)
        error = self.error(np.dot(self.gradient[where], direction) - slope, scale)
        doubt, gap = _relative(doubt, scale), _relative(gap, scale)
        judged = doubt <= DOUBT and gap <= max(self.tolerance, 4 * doubt)
        return _Verdict(slope, error, judged, judged and error > self.tolerance + 2 * doubt)

    def slope(self, where: Any, direction: Any) -> tuple[float, float, float]:
        """Measure the slope along a direction in steps of many sizes.

        Returns:
            The slope from the two neighbouring steps that agree best; the doubt, which is by how much they disagree;
            and the gap between the slopes to the left and to the right, where it does not vanish with the step.
        """
        central, gaps = [], []
        for step in LADDER:
            up, down, _ = self.experiment.between(self.name, where, step * direction)
            central.append(np.dot(self.g, up - down) / (2 * step))
            gaps.append(abs(np.dot(self.g, up - 2 * self.experiment.base + down)) / step)
        # Two steps can agree by chance. Rounding falls as the step grows, and what comes of curvature with the square
        # of the step: so what other pairs disagree by bounds from below how far this pair can be trusted.
        steps, disagreed = LADDER[1:], np.abs(np.diff(central))
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


def units(array: np.ndarray) -> np.ndarray:
    """Return, flat, what a step in each entry is relative to."""
    return np.maximum(np.abs(array), typical(array)).reshape(-1)


def slopes(experiment: Experiment, name: str, grid: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return the derivative of each output by each entry of a grid: the grid's shape, and an axis for the outputs."""
    array = experiment.arrays[name]
    chosen, unit = np.arange(array.size).reshape(array.shape)[np.ix_(*grid)], units(array)
    columns = np.empty((*chosen.shape, experiment.base.size))
    for place, entry in np.ndenumerate(chosen):
        up, down, way = experiment.between(name, entry, STEP * unit[entry])
        columns[place] = (up - down) / way
    return columns


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
