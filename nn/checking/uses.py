"""Where forward uses an array, and what each use contributes to its gradient: each is moved while the others stay.

The array is disguised as a `_Probe`, which counts the NumPy operations that it is an operand of. Forward may take views
of it; what comes through copies, made unseen, counts as one use more, elsewhere.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .. import tree
from .experiment import Experiment
from .measure import STEP, units

MOST = 24  # uses are told apart up to so many


class _Ledger:
    """Counts uses: all get the array as it is, but for one, which gets another."""

    def __init__(self, array: np.ndarray, other: np.ndarray, which: int) -> None:
        self.array, self.other, self.which = array, other, which
        self.names: list[str] = []

    def used(self, view: np.ndarray, name: str) -> np.ndarray:
        """Return what a use gets for a view of the array."""
        self.names.append(name)
        plain = view.view(np.ndarray)
        if len(self.names) - 1 != self.which:
            return plain
        offset = view.__array_interface__["data"][0] - self.array.__array_interface__["data"][0]
        if not np.may_share_memory(plain, self.array):
            raise ValueError("not a view")
        return np.ndarray(view.shape, view.dtype, self.other, offset, view.strides)


class _Probe(np.ndarray):
    """A view of an array that enters its uses into a ledger."""

    ledger: _Ledger | None = None

    def __array_finalize__(self, source: Any) -> None:
        self.ledger = getattr(source, "ledger", None)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **settings: Any) -> Any:
        return getattr(ufunc, method)(*_plain(inputs, ufunc.__name__), **settings)

    def __array_function__(self, function: Any, types: Any, args: Any, settings: Any) -> Any:
        return function(*_plain(args, function.__name__), **settings)

    def __getitem__(self, index: Any) -> Any:
        part = super().__getitem__(index)
        if isinstance(part, _Probe) and np.may_share_memory(part, self):
            return part
        plain = _plain([self], "indexing")[0]
        return plain[index]


def _plain(values: Any, name: str) -> list[Any]:
    """Return arguments with plain arrays in the place of probes."""
    plain: list[Any] = []
    for value in values:
        if isinstance(value, _Probe) and value.ledger is not None:
            plain.append(value.ledger.used(value, name))
        else:
            plain.append(_plain(value, name) if isinstance(value, tuple | list) else value)
    return plain


def _outputs(experiment: Experiment, name: str, other: np.ndarray, which: int) -> tuple[np.ndarray, list[str]]:
    """Run forward with another array in the place of one use; return the outputs, and the uses' operations."""
    array = np.array(experiment.arrays[name], order="C")
    probe = array.view(_Probe)
    probe.ledger = _Ledger(array, other, which)
    module, inputs = copy.deepcopy((experiment.module, experiment.inputs))
    leaves = [probe if key == name else leaf for key, leaf in tree.named_leaves(inputs)]
    remaining = iter(leaves)
    inputs = tree.map(lambda _: next(remaining), inputs)
    for key, p in module.named_parameters():
        if key == name:
            p.data = probe
    experiment.random_state.restore()
    return tree.ravel(module(*inputs.values())), probe.ledger.names


def contributions(
    experiment: Experiment, name: str, g: np.ndarray, gradient: np.ndarray, most: float, rng: np.random.Generator
) -> tuple[list[str], np.ndarray, np.ndarray] | None:
    """Measure what each use of an array in forward contributes to its gradient, along random directions.

    most: evaluations of forward.

    Returns:
        The uses that are felt; the slopes, a direction a row and a use a column; and the gradient's slopes. None where
        no use was seen, or too many.
    """
    array = experiment.arrays[name]
    _, names = _outputs(experiment, name, array, -1)
    count = len(names)
    if not 1 <= count <= MOST or 2 * count * (count + 3) > most:
        return None
    unit = units(array).reshape(array.shape)
    directions = [
        unit * rng.uniform(0.5, 1.5, array.shape) * rng.choice([-1, 1], array.shape) for _ in range(count + 3)
    ]
    slopes = np.empty((count + 3, count + 1))
    for row, direction in enumerate(directions):
        for k in range(count):
            above, below = (_outputs(experiment, name, array + s * STEP * direction, k)[0] for s in (1, -1))
            slopes[row, k] = np.dot(g, above - below) / (2 * STEP)
        above, below, _ = experiment.function(name).around(slice(None), STEP * direction.ravel())
        slopes[row, -1] = np.dot(g, above - below) / (2 * STEP) - slopes[row, :-1].sum()
    felt = np.abs(slopes).max(0) > 1e-6 * np.abs(slopes).max()
    given = np.array([(gradient * direction).sum() for direction in directions])
    felt_names = [name for name, f in zip([*names, "elsewhere"], felt, strict=True) if f]
    return [f"use {k + 1} (in {used})" for k, used in enumerate(felt_names)], slopes[:, felt], given
