"""What is known of one wrong gradient, and the questions that every diagnosis asks of it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from .. import tree
from .experiment import Experiment
from .measure import PATIENCE, STEP, Sample, units
from .slips import Explanation, Slips

SAME = 1e-5  # relative to the largest entry: how precise the evidence is
CLEAR = 1e-3  # where some entries are right and others wrong, the right ones are so much less off
PROBES = 256  # how many outputs are probed one at a time
ENOUGH = 0.6  # seconds after which no further question is asked


@dataclass
class Evidence:
    """What is known of one wrong gradient. Arrays are on the grid of entries that were looked at.

    name: of the array.
    experiment: the point.
    other_mode: the same point in the other mode, if the module behaves differently there.
    sample: the entries, one by one.
    chained: whether the module is a model with its loss, whose backward is given no upstream gradient.
    true: the true gradients of other arrays of the same shape, by name.
    peers: the names of the module's other wrong gradients.
    g: the upstream gradient, flat.
    slips: of the chain rule, at the point.
    start: when it was gathered.
    """

    name: str
    experiment: Experiment
    other_mode: Experiment | None
    sample: Sample
    chained: bool
    true: dict[str, np.ndarray]
    peers: set[str]
    g: np.ndarray
    slips: Slips
    start: float = field(default_factory=time.perf_counter)

    # ---- the arrays

    @cached_property
    def whole(self) -> np.ndarray:
        """All of the gradient that backward gave."""
        return self.experiment.gradients[self.name] if self.g is self.experiment.g else self.pulled(self.g)

    @property
    def analytic(self) -> np.ndarray:
        """The gradient that backward gave, on the grid."""
        return self.sample.analytic

    @cached_property
    def numeric(self) -> np.ndarray:
        """The measured gradient; where nothing could be measured, the other one, which then says nothing."""
        return np.where(self.sample.judged, self.sample.numeric, self.sample.analytic)

    @cached_property
    def jacobian(self) -> np.ndarray:
        """The derivative of each output by each entry; one axis more."""
        known = self.sample.jacobian
        return np.nan_to_num(self.experiment.jacobian(self.name, self.sample.grid) if known is None else known)

    @property
    def wrong(self) -> np.ndarray:
        return self.sample.wrong

    @cached_property
    def telling(self) -> np.ndarray:
        """Where the true gradient is not zero: that a zero is right says little."""
        return np.abs(self.numeric) > SAME * np.abs(self.numeric).max(initial=0)

    @cached_property
    def partly(self) -> bool:
        """Whether some entries are clearly right and others clearly wrong."""
        right = ~self.wrong & self.sample.judged
        if not (right & self.telling).any():
            return False
        return bool(self.sample.error[right].max() < CLEAR * self.sample.error[self.wrong].min())

    def on_grid(self, array: np.ndarray) -> np.ndarray:
        """Return the entries of the grid."""
        return array[np.ix_(*self.sample.grid)]

    # ---- comparing

    def same(self, a: np.ndarray, b: np.ndarray) -> bool:
        """Return whether two gradients agree to the precision of the evidence; two zeros do not count."""
        off = np.abs(a - b)
        off = off[self.sample.judged] if off.shape == self.sample.judged.shape else off
        size = np.abs(b).max(initial=0)
        return bool(0 < size < math.inf and off.size > 0 and (off <= SAME * size).all())

    def factor(self, a: np.ndarray, b: np.ndarray) -> float | None:
        """Return c where a = c b, or None."""
        square = (b * b).sum()
        c = (a * b).sum() / square if 0 < square < math.inf else 0.0
        return float(c) if c and self.same(a, c * b) else None

    # ---- inputs and outputs

    @property
    def output_shape(self) -> tuple[int, ...] | None:
        """None for several outputs."""
        upstream = self.experiment.upstream
        return None if isinstance(upstream, tuple | list | dict) else np.shape(upstream)

    @property
    def elementwise_shape(self) -> bool:
        """Whether the one output is shaped like the array."""
        return self.output_shape == self.whole.shape

    def pulled(self, g: np.ndarray) -> np.ndarray:
        """Return all of the gradient that backward gives for another upstream gradient; NaN where it raises."""
        try:
            _, gradients = self.experiment.repeat(upstream=tree.unravel(g, self.experiment.upstream))
        except Exception:  # the author's backward need not bear every gradient
            return np.full(self.experiment.arrays[self.name].shape, np.nan)
        return gradients[self.name]

    def vjp(self, g: np.ndarray) -> np.ndarray:
        """Return what `pulled` does, on the grid."""
        return self.on_grid(self.pulled(g))

    @property
    def patient(self) -> bool:
        """Whether there is time for a further question."""
        return time.perf_counter() - self.start < ENOUGH

    # ---- the Jacobian, column by column: backward is linear in the upstream gradient

    @cached_property
    def cost(self) -> float:
        """The seconds that forward and backward take."""
        start = time.perf_counter()
        self.pulled(self.g)
        return time.perf_counter() - start

    @cached_property
    def chosen(self) -> np.ndarray:
        """The outputs, by flat index, that are probed one at a time: those whose upstream gradient is not zero."""
        count = min(PROBES, int(PATIENCE / self.cost))
        outputs = np.flatnonzero(self.g)
        return outputs[np.unique(np.linspace(0, outputs.size - 1, count).astype(int))] if count > 1 else outputs[:0]

    @cached_property
    def columns(self) -> np.ndarray:
        """What backward gives for each of the chosen outputs alone, as measured against `self.expected`; (E..., O)."""
        return np.stack([self.pulled(np.eye(1, self.g.size, k)[0]) for k in self.chosen], -1)

    @cached_property
    def given(self) -> np.ndarray:
        """The analytic Jacobian on the grid, an entry a row, and a chosen output a column."""
        return self.columns[np.ix_(*self.sample.grid)].reshape(self.analytic.size, -1)

    @cached_property
    def expected(self) -> np.ndarray:
        """The measured Jacobian, likewise."""
        return self.jacobian.reshape(self.analytic.size, -1)[:, self.chosen]

    @cached_property
    def nonzero(self) -> np.ndarray:
        """Where the measured Jacobian is not zero."""
        return np.abs(self.expected) > SAME * np.abs(self.expected).max(initial=0)

    @cached_property
    def off(self) -> np.ndarray:
        """Where the two Jacobians differ."""
        return ~(np.abs(self.given - self.expected) <= SAME * np.abs(self.expected).max(initial=0))

    def across_scaled(self, axis: int) -> bool:
        """Return whether what goes from one index to another along an axis is there, and only scaled by a factor."""
        if len(self.output_shape or ()) <= axis or not self.chosen.size:
            return False
        across = (self.entry_index(axis) != self.output_index(axis)) & self.nonzero
        pairs = [(a[rows], n[rows]) for a, n, rows in zip(self.given.T, self.expected.T, across.T, strict=True)]
        return bool(across.any()) and all(self.factor(a, n) is not None for a, n in pairs if n.size)

    def entry_index(self, axis: int) -> np.ndarray:
        """Return the index along an axis of each row of the Jacobian."""
        return np.broadcast_to(np.ix_(*self.sample.grid)[axis], self.analytic.shape).reshape(-1, 1)

    def output_index(self, axis: int) -> np.ndarray:
        """Return the index along an axis of the output of each column."""
        return np.unravel_index(self.chosen, self.output_shape or ())[axis]

    @cached_property
    def complete(self) -> np.ndarray | None:
        """The measured Jacobian by all entries and chosen outputs; None where it takes too long."""
        array = self.experiment.arrays[self.name]
        if self.sample.error.shape == array.shape:
            return self.expected.reshape(*array.shape, -1)
        if 2 * array.size * self.cost > PATIENCE:
            return None
        return self.experiment.jacobian(self.name, tuple(map(np.arange, array.shape)))[..., self.chosen]

    def recurrent(self, axis: int) -> bool:
        """Return whether along an axis of the output, an input at one index is felt at others."""
        shape = self.output_shape or ()
        for name, x in tree.named_leaves(self.experiment.inputs):
            if not tree.is_floating(x) or x.ndim <= axis or x.shape[axis] != shape[axis]:
                continue
            index = np.arange(x.size).reshape(x.shape).take(0, axis).ravel()
            function = self.experiment.function(name)
            above, below, _ = function.around(index, STEP * units(function.array)[index])
            moved = (above - below).reshape(shape)
            if np.abs(moved.take(range(1, shape[axis]), axis)).max() > SAME * np.abs(moved).max():
                return True
        return False

    def at(self, axis: int, index: int) -> Evidence:
        """Return the evidence under an upstream gradient at one index of an axis of the output alone."""
        g = np.zeros_like(self.g).reshape(self.output_shape or ())
        where = (slice(None),) * axis + (index,)
        g[where] = self.g.reshape(g.shape)[where]
        return self.under(g.ravel())

    def under(self, g: np.ndarray) -> Evidence:
        """Return the evidence under another upstream gradient."""
        analytic, numeric = self.vjp(g), self.jacobian @ g
        error = np.abs(analytic - numeric) / np.abs(numeric).max(initial=1e-300)
        sample = self.sample._replace(analytic=analytic, numeric=numeric, error=error, outside=~(error <= SAME))
        return replace(self, sample=sample, g=g, true={}, peers=set())

    @cached_property
    def slip(self) -> Explanation | None:
        """The slip in the chain rule that gives this gradient, where there is one."""
        if not np.array_equal(self.g, self.experiment.g) or self.name not in self.slips.true:
            return None
        return self.slips.of(self.name) if self.same(self.on_grid(self.slips.true[self.name]), self.numeric) else None

    @cached_property
    def is_input(self) -> bool:
        return self.name in dict(tree.named_leaves(self.experiment.inputs))

    @cached_property
    def variables(self) -> dict[str, np.ndarray]:
        """For an input: the inputs and outputs that are shaped like it, and what losses make of them."""
        if not self.is_input:
            return {}
        inputs = dict(tree.named_leaves(self.experiment.inputs))
        variables = {name: x for name, x in inputs.items() if np.shape(x) == self.whole.shape}
        if self.elementwise_shape:
            variables["output"] = self.experiment.value.reshape(self.whole.shape)
        target = inputs.get("target")
        if {"prediction", "target"} <= variables.keys():
            variables["(prediction - target)"] = variables["prediction"] - variables["target"]
        elif (
            target is not None
            and target.dtype.kind in "iu"
            and target.shape == self.whole.shape[:1] + self.whole.shape[2:]
        ):
            variables["one_hot(target)"] = np.stack([1.0 * (target == c) for c in range(self.whole.shape[1])], 1)
        return {name: self.on_grid(x) for name, x in variables.items()}

    @cached_property
    def own(self) -> np.ndarray | None:
        """For an input that each output depends on in one place alone: the place of each entry's own output."""
        if "output" not in self.variables:
            return None
        own = self.on_grid(np.arange(self.g.size).reshape(self.whole.shape))
        rest = self.jacobian.copy()
        np.put_along_axis(rest, own[..., None], 0, -1)
        return own if np.abs(rest).max() <= SAME * np.abs(self.jacobian).max() else None

    @cached_property
    def other_jacobian(self) -> np.ndarray | None:
        """What `columns` is in the other mode."""
        if self.other_mode is None or self.other_mode.value.shape != self.experiment.value.shape:
            return None
        return self.other_mode.jacobian(self.name, self.sample.grid)
