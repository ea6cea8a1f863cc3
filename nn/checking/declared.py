"""Deliberate gradients: declared to be something else than the derivative, and held against the declaration."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import tree
from ..parameter import NUMERIC
from .experiment import Experiment
from .measure import Function, compare
from .report import Fault

FACTORS = {
    "stop-gradient": (0.0, "zero (stop-gradient)"),
    "reversed": (-1.0, "the true gradient with the opposite sign (reversed)"),
}
STRAIGHT_THROUGH, TARGET = "straight-through", "target"

Meant = Callable[..., ArrayLike]


@dataclass(frozen=True)
class Declaration:
    """What the gradient of one array is meant to be: a multiple of the derivative, or what a function says.

    text: the declaration in words.
    factor: what the derivative is multiplied by, entry by entry; it broadcasts.
    meant: gets the upstream gradient and all that forward gets, parameters after the inputs.
    """

    text: str
    factor: np.ndarray | None = None
    meant: Meant | None = None

    def judge(
        self, experiment: Experiment, name: str, tolerance: float, full: bool | None, rng: np.random.Generator
    ) -> tuple[float, Fault | None]:
        """Return by how much a gradient is off from what is declared, and the fault if it is."""
        gradient = experiment.gradients[name]
        if self.factor is None:
            expected = self._expected(experiment)
            if expected.shape != gradient.shape:
                text = f"{self._declared(name)}, which has shape {expected.shape}; {name} has {gradient.shape}."
                return np.inf, Fault(name, "not as declared", text)
            off = np.abs(gradient - expected)
            error = float(off.max(initial=0) / (np.abs(expected).max(initial=0) or 1.0))
            wrong = not error <= tolerance
            place = np.unravel_index(int(off.argmax()), off.shape) if off.size else ()
            text = (
                f"{self._declared(name)}. It is off from that by {error:.1e}, at {tuple(map(int, place))} the most: "
                f"{gradient[place]:.7g} for {expected[place]:.7g}."
            )
            return error, Fault(name, "not as declared", text) if wrong else None
        factor = np.broadcast_to(self.factor, gradient.shape)
        stopped = factor == 0
        if loose := int(np.count_nonzero(gradient[stopped])):
            text = f"{self._declared(name)}. It is not zero in {loose} of the {stopped.sum()} entries that should be."
            return 1.0, Fault(name, "not as declared", text)
        if stopped.all():
            return 0.0, None
        array, through = experiment.arrays[name], experiment.arrays[name][~stopped]

        def outputs() -> np.ndarray:
            array[~stopped] = through
            return experiment.outputs()

        before = array.copy()
        function = Function(outputs, through, experiment.value)
        found = compare(function, gradient[~stopped] / factor[~stopped], experiment.g, tolerance, full, rng)
        array[...] = before
        text = f"{self._declared(name)}. It is off from that by {found.error:.1e}."
        return found.error, Fault(name, "not as declared", text) if found.sample is not None else None

    def _expected(self, experiment: Experiment) -> np.ndarray:
        g = copy.deepcopy(experiment.upstream)
        if self.meant is None:
            return np.asarray(g if not isinstance(g, tuple | list | dict) else tree.ravel(g))
        values = copy.deepcopy([*experiment.inputs.values(), *experiment.parameters.values()])
        return np.asarray(self.meant(g, *values))

    def _declared(self, name: str) -> str:
        return f"The gradient of {name} is declared to be {self.text}"


def declarations(
    except_for: Mapping[str, Any], expected: Mapping[str, Meant], names: Iterable[str]
) -> dict[str, Declaration]:
    """Return by name what gradients are meant to be; a "target" is none of them.

    Raises:
        TypeError: for what is neither a word, a number nor an array; for what is expected and no function.
        ValueError: for a name or a word that there is not.
    """
    names, found = list(names), {}
    for name in [*except_for, *expected]:
        if name not in names:
            raise ValueError(f"gradcheck knows no {name!r} to be declared otherwise, only {', '.join(names)}")
    for name, value in except_for.items():
        if isinstance(value, str) and value == STRAIGHT_THROUGH:
            found[name] = Declaration("grad_output itself (straight-through)")
        elif isinstance(value, str) and value in FACTORS:
            factor, text = FACTORS[value]
            found[name] = Declaration(text, np.asarray(factor))
        elif isinstance(value, str) and value != TARGET:
            words = ", ".join([STRAIGHT_THROUGH, *FACTORS, TARGET])
            raise ValueError(f"gradcheck expects except_for[{name!r}] to be one of {words}, or factors, got {value!r}")
        elif not isinstance(value, str):
            factors = np.asarray(value)
            if factors.dtype.kind not in NUMERIC:
                raise TypeError(f"gradcheck expects except_for[{name!r}] to be a word or factors, got {value!r}")
            text = "the true gradient times given factors" if factors.ndim else f"{factors:g} times the true gradient"
            found[name] = Declaration(text, factors * 1.0)
    for name, meant in expected.items():
        if not callable(meant):
            raise TypeError(
                f"gradcheck expects expected[{name!r}] to be a function of (grad_output, *inputs), got {meant!r}"
            )
        found[name] = Declaration(f"what {getattr(meant, '__name__', 'a function')} gives", meant=meant)
    return found
