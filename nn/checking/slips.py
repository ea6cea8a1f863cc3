"""One slip in the chain rule: which one, made on purpose, gives exactly the gradients that backward gave?

Forward is recorded operation by operation, `derivatives` states what goes back through each, and `mistakes` makes in
these statements the slips that people make. What gives the wrong numbers to the last digit names the mistake, in the
author's own line.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .derivatives import COMPOSED, ChainRule
from .experiment import Experiment
from .measure import STEP, units
from .mistakes import POINTWISE, Slip, possible_slips
from .operations import Operation
from .recognition import composed, recorded

SAME = 1e-6  # relative to the largest entry: how well a slip explains a gradient
SLOPE = 1e-5  # how well the chain rule of a record agrees with forward, or it is not used
WORK = 400_000  # that the search for a slip may take, of which a second does some 300,000: no matter of the clock
QUICK = 400  # work that the way back takes, so that a search through all slips is no matter
LONG = 3000  # work that the way back takes through a forward that is called long
STEPS = 3  # of a long forward, the first ones that are looked at
LINEAR = ("sum", "mean", "squeeze", "negative", "multiply", "divide", "add", "subtract")  # what may be done to a sum


@dataclass
class Explanation:
    """A slip, and the arrays whose wrong gradients it explains.

    fits: whether gradients that are right stay right with it.
    complete: whether these besides are all that are wrong.
    """

    slip: Slip
    names: set[str] = field(default_factory=set)
    fits: bool = False
    complete: bool = False


class Slips:
    """The slips that explain wrong gradients at a point.

    Args:
        experiment: the point.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment

    @cached_property
    def rules(self) -> list[ChainRule]:
        """The chain rule of forward, in known functions and in single operations; none where it cannot be recorded."""
        with contextlib.suppress(Exception), np.errstate(all="ignore"):  # forward can do what is not foreseen
            single = recorded(self.experiment)
            together = composed(single)
            return [together, single] if together is not None else [single]
        return []

    @cached_property
    def true(self) -> dict[str, np.ndarray]:
        """The gradients by the chain rule; none where these are not the slope of forward, so that it does not hold."""
        e = self.experiment
        if not self.rules or not self.rules[0].leaves:
            return {}
        with np.errstate(all="ignore"), contextlib.suppress(Exception):
            true, *more = (each.gradients(e.g) for each in self.rules)
            if not all(_same(each[name], gradient) for each in more for name, gradient in true.items()):
                return {}
            slope, expected, size = self._slope(true)
            return true if abs(slope - expected) <= SLOPE * size else {}
        return {}

    def _slope(self, gradients: dict[str, np.ndarray]) -> tuple[float, float, float]:
        """Return the slope along a direction of all arrays, measured and by their gradients, and its scale."""
        rng, point = np.random.default_rng(0), self.experiment.arrays
        directions = {name: units(x).reshape(x.shape) * rng.uniform(-1, 1, x.shape) for name, x in point.items()}
        before = {name: x.copy() for name, x in point.items()}
        outputs = []
        try:
            for sign in (1, -1):
                for name, x in point.items():
                    x[...] = before[name] + sign * STEP * directions[name]
                outputs.append(self.experiment.outputs())
        finally:
            for name, x in point.items():
                x[...] = before[name]
        parts = [gradient * directions[name] for name, gradient in gradients.items()]
        measured = float(np.dot(self.experiment.g, outputs[0] - outputs[1])) / (2 * STEP)
        return measured, float(sum(part.sum() for part in parts)), float(sum(np.abs(part).sum() for part in parts))

    @cached_property
    def found(self) -> list[Explanation]:
        """The slips that explain at least one wrong gradient, the best first."""
        found: list[Explanation] = []
        with contextlib.suppress(Exception):  # a forward can be odder than is foreseen
            for explanation in self._search():
                found.append(explanation)
                if explanation.complete:
                    break
        return sorted(found, key=lambda each: (not each.fits, -len(each.names)))

    def _search(self) -> Iterator[Explanation]:
        """Yield the slips that explain a wrong gradient."""
        e = self.experiment
        wrong = {name for name, true in self.true.items() if not _same(e.gradients[name], true)}
        right = self.true.keys() - wrong
        g, given = self._early() if wrong else (e.g, e.gradients)
        for chain, slip in self._all() if wrong else ():
            if sum(each.work for each in self.rules) > WORK:
                return
            names = _explained(chain, slip, g, given, wrong)
            if names and given is not e.gradients:
                names = _explained(chain, slip, e.g, e.gradients, names)
            if names:
                fits = _explained(chain, slip, e.g, e.gradients, right) == right
                yield Explanation(slip, names, fits, fits and names == wrong)

    def _all(self) -> Iterator[tuple[ChainRule, Slip]]:
        """Yield the slips, those in known functions first, and then those in the operations that make them up."""
        seen: set[int] = set()
        for chain in self.rules:
            for slip in possible_slips(chain, seen):
                yield chain, slip
            seen |= {operation.number for operation in chain.operations if operation.name not in COMPOSED}

    def _early(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return an upstream gradient, and what backward gives for it; of a long forward one at the first steps alone.

        Little has to be gone back through there, and so more slips can be tried.
        """
        e, chain = self.experiment, self.rules[0]
        shortest, best = self.length, (e.g, e.gradients)
        shape = np.shape(e.upstream) if isinstance(e.upstream, np.ndarray) else ()
        for axis, size in enumerate(shape) if shortest > QUICK else ():
            if size <= 2 * STEPS:
                continue
            g = np.zeros(shape)
            where = (slice(None),) * axis + (slice(STEPS),)
            g[where] = e.upstream[where]
            work = self._work(g.ravel())
            if work < shortest / 2:
                true, (_, given) = chain.gradients(g.ravel()), e.repeat(upstream=g)
                if all(_same(given[name], true[name]) == _same(e.gradients[name], self.true[name]) for name in given):
                    shortest, best = work, (g.ravel(), given)
        return best

    def _work(self, g: np.ndarray) -> float:
        """Return how much it takes to go back once."""
        before = self.rules[0].work
        self.rules[0].gradients(g)
        return self.rules[0].work - before

    def is_elementwise(self, name: str) -> bool:
        """Return whether each entry of an array goes its own way through forward, until sums of them all are taken."""
        chain = self.rules[0]
        leaf = chain.leaves[name]
        alone, summed = {leaf}, set[Operation]()
        for operation in chain.operations:
            operands = {x for x in operation.operands if isinstance(x, Operation)}
            if operands & summed and (operands & alone or len(operands) > 1 or operation.name not in LINEAR):
                return False
            if operation.name in ("sum", "mean") or operands & summed:
                summed.add(operation)
            elif operands & alone:
                if operation.name not in POINTWISE or operation.value.shape != leaf.value.shape:
                    return False
                alone.add(operation)
        return leaf.value.size > 1

    @cached_property
    def length(self) -> float:
        """How much work it is to go back through forward once; 0 where that cannot be done."""
        return self._work(self.experiment.g) if self.true else 0.0

    @property
    def long(self) -> bool:
        """Whether forward is so long that a slip is the first thing to be looked for."""
        return self.length > LONG

    @property
    def at_hand(self) -> bool:
        """Whether the search has been made, or takes next to no time."""
        return "found" in vars(self) or self.length < QUICK

    def of(self, name: str) -> Explanation | None:
        """Return the slip that explains the gradient of an array best."""
        return next((each for each in self.found if name in each.names), None)


def _explained(
    chain: ChainRule, slip: Slip, g: np.ndarray, given: dict[str, np.ndarray], names: Iterable[str]
) -> set[str]:
    """Return which gradients are those of a chain rule with a slip in it."""
    try:
        with np.errstate(all="ignore"):
            got = chain.gradients(g, slip.change, slip.seeds)
    except (ValueError, KeyError, IndexError):
        return set()  # the change does not fit the shapes
    return {name for name in names if _same(got[name], given[name])}


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    size = np.abs(b).max(initial=0)
    return bool((np.abs(a - b) <= SAME * size).all()) if size else not np.abs(a).max(initial=0) > 0


LEGEND = " (y is its value and dy the gradient of y)"


def told(explanation: Explanation) -> str:
    """Return sentences on a slip."""
    slip = explanation.slip
    legend = LEGEND if "dy" in slip.text.split() or "y" in slip.text.split() else ""
    all_ = " That explains all that is wrong, and leaves right what is right." if explanation.complete else ""
    at = f"at {slip.place}{legend}, " if slip.place else ""
    return (
        f"A backward that goes through forward step by step and makes one slip gives just this: {at}{slip.text}.{all_}"
    )
