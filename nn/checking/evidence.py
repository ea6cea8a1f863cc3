"""What is known of one wrong gradient, and the questions that every diagnosis asks of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .. import tree
from .experiment import Experiment
from .measure import Sample

SAME = 1e-5  # relative to the largest entry: how precise the evidence is
CLEAR = 1e-3  # where some entries are right and others wrong, the right ones are so much less off


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
    """

    name: str
    experiment: Experiment
    other_mode: Experiment | None
    sample: Sample
    chained: bool
    true: dict[str, np.ndarray]
    peers: set[str]

    # ---- the arrays

    @property
    def whole(self) -> np.ndarray:
        """All of the gradient that backward gave."""
        return self.experiment.gradients[self.name]

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
        return np.nan_to_num(self.experiment.jacobian(self.name, self.sample.grid))

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

    @cached_property
    def g(self) -> np.ndarray:
        """The upstream gradient, flat."""
        return self.experiment.g

    @property
    def output_shape(self) -> tuple[int, ...] | None:
        """None for several outputs."""
        upstream = self.experiment.upstream
        return None if isinstance(upstream, tuple | list | dict) else np.shape(upstream)

    @property
    def elementwise_shape(self) -> bool:
        """Whether the one output is shaped like the array."""
        return self.output_shape == self.whole.shape

    def vjp(self, g: np.ndarray) -> np.ndarray:
        """Return the gradient that backward gives for another upstream gradient; NaN where it raises, or has none."""
        upstream = tree.unravel(g, self.experiment.upstream)
        try:
            _, gradients = self.experiment.repeat(upstream=upstream)
        except Exception:  # the author's backward need not bear every gradient
            return np.full(self.analytic.shape, np.nan)
        return self.on_grid(gradients[self.name])

    @cached_property
    def is_input(self) -> bool:
        return self.name in dict(tree.named_leaves(self.experiment.inputs))

    @cached_property
    def variables(self) -> dict[str, np.ndarray]:
        """For an input: the inputs and outputs that are shaped like it, and what losses make of them."""
        if not self.is_input:
            return {}
        inputs = dict(tree.named_leaves(self.experiment.inputs))
        found = {name: x for name, x in inputs.items() if np.shape(x) == self.whole.shape}
        if self.elementwise_shape:
            found["output"] = self.experiment.value.reshape(self.whole.shape)
        target = inputs.get("target")
        if {"prediction", "target"} <= found.keys():
            found["(prediction - target)"] = found["prediction"] - found["target"]
        elif (
            target is not None
            and target.dtype.kind in "iu"
            and target.shape == self.whole.shape[:1] + self.whole.shape[2:]
        ):
            found["one_hot(target)"] = np.stack([1.0 * (target == c) for c in range(self.whole.shape[1])], 1)
        return {name: self.on_grid(x) for name, x in found.items()}

    @cached_property
    def own(self) -> np.ndarray | None:
        """For an input that each output depends on in one place alone: the place of each entry's own output."""
        if "output" not in self.variables:
            return None
        own = self.on_grid(np.arange(self.g.size).reshape(self.whole.shape))
        rest = self.jacobian.copy()
        np.put_along_axis(rest, own[..., None], 0, -1)
        return own if np.abs(rest).max() <= SAME * np.abs(self.jacobian).max() else None

    def mixing(self) -> tuple[bool, bool, bool | None] | None:
        """Return whether samples mix: in the gradient, in the outputs, and in the outputs of the other mode.

        They do where the upstream gradient of the first sample reaches the input's gradient in others.
        """
        batch = self.whole.shape[:1]
        if not self.is_input or self.chained or not self.output_shape or self.output_shape[:1] != batch:
            return None
        if len(self.sample.grid[0]) < 2:
            return None
        first = np.zeros(self.output_shape)
        first[0] = self.g.reshape(self.output_shape)[0]

        def reaches(gradient: np.ndarray) -> bool:
            return bool(np.abs(gradient[self.sample.grid[0] > 0]).max() > SAME * np.abs(gradient).max())

        there = self.other_jacobian
        return (
            reaches(self.vjp(first.ravel())),
            reaches(self.jacobian @ first.ravel()),
            None if there is None else reaches(there @ first.ravel()),
        )

    @cached_property
    def other_jacobian(self) -> np.ndarray | None:
        """What `columns` is in the other mode."""
        if self.other_mode is None or self.other_mode.value.shape != self.experiment.value.shape:
            return None
        return self.other_mode.jacobian(self.name, self.sample.grid)
