"""What backward owes whatever the numbers: right shapes, arguments left alone, gradients that add up, and no chance."""

from __future__ import annotations

import contextlib
import copy
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import tree
from .experiment import Experiment
from .pull import MismatchError, Pull
from .report import Fault


def examine(experiment: Experiment, rng: np.random.Generator) -> list[Fault]:
    """Run forward and backward on a fresh instance, and then on one that has a past; return what is wrong.

    The experiment gets its upstream gradient, and the gradients that can be compared. Arrays that backward passes by
    and may are taken out of it.

    Args:
        experiment: the point.
        rng: where the upstream gradient is drawn from.
    """
    subject = experiment.subject
    run = experiment.forward()
    experiment.random_state = experiment.random_state.drawn()  # the rest needs no care from here on: that spares time
    outputs = tree.ravel(run.output)
    faults = [*_changes("forward", experiment, run.values), *_output_flaws(run.output, subject.narrow)]
    if faults:
        return faults
    if not outputs.size:
        raise ValueError("gradcheck expects an output of floating numbers, got none: there is nothing to differentiate")
    if not agree(experiment.value, outputs):
        return [Fault("forward", "random forward", RANDOM_FORWARD.format(subject.pinned))]

    def draw(leaf: Any) -> np.ndarray | None:
        values = np.ones(np.shape(leaf)) if subject.scalar else rng.normal(size=np.shape(leaf))
        return np.asarray(values) if tree.is_floating(leaf) else None

    upstream = tree.map(draw, run.output)
    grad_output = copy.deepcopy(upstream)
    mismatch = None
    try:
        gradients = experiment.backward(run.back, grad_output)
    except MismatchError as error:
        mismatch = error
    except Exception as error:
        return [_raised(error, upstream)]
    faults += _changes("backward", experiment, run.values)
    for name, before, after in (("grad_output", upstream, grad_output), ("the output", outputs, run.output)):
        if not np.array_equal(tree.ravel(before), tree.ravel(after)):
            text = f"backward writes into {name}, which is not its own: others read it too. Let it work on a copy."
            faults.append(Fault("backward", "changed in place", text))
    if mismatch:
        return [*faults, Fault("backward", "wrong count", str(mismatch))]

    experiment.upstream = upstream
    for name, array in list(experiment.arrays.items()):
        if gradients[name] is None and name in subject.optional:
            del experiment.arrays[name]
        elif flaw := _flaw(name, gradients[name], array, experiment, upstream):
            faults.append(flaw)
        else:
            experiment.gradients[name] = np.array(gradients[name])
    if not faults:  # they would show again in what follows
        faults = [*_with_a_past(experiment, rng), *subject.promises(experiment)]
    for fault in faults:
        if fault.kind in ("random backward", "stale values"):
            experiment.gradients.pop(fault.name, None)  # there is not one gradient to measure
    return faults


RANDOM_FORWARD = (
    "forward gives different outputs for the same inputs and the same random state, so that nothing can be compared. "
    "Random numbers must come from {}."
)


def _changes(who: str, experiment: Experiment, values: list[Any]) -> Iterator[Fault]:
    """Report where inputs or parameters are not what they were."""
    point = experiment.inputs | experiment.parameters
    given = dict(zip(point, values, strict=True))
    for (name, before), (_, after) in zip(tree.named_leaves(point), tree.named_leaves(given), strict=True):
        if not np.array_equal(before, after):
            text = f"{who} writes into its argument, {name}, which is the caller's. Let it work on a copy."
            if name in experiment.parameters:
                text = f"{who} changes the values of {name}. That is for an optimizer to do, between the passes."
            yield Fault(who, "changed in place", text)


def _output_flaws(y: Any, narrow: str) -> Iterator[Fault]:
    """Report outputs that cannot be differentiated."""
    for name, leaf in tree.named_leaves(y, "output"):
        array = np.asarray(leaf)
        if array.dtype.kind not in "biuf" or (array.dtype.kind == "f" and array.dtype != np.float64):
            text = (
                f"forward returns {array.dtype} for float64 inputs and parameters. The {name} should have their dtype."
            )
            yield Fault("forward", "wrong dtype", " ".join(filter(None, [text, narrow])))
        elif not np.isfinite(array).all():
            place = f" at {_index(np.argwhere(~np.isfinite(array))[0])}" if array.ndim else ""
            text = f"The {name} is {array[~np.isfinite(array)][0]}{place}, which has no derivative."
            yield Fault("forward", "not finite", text)


def _flaw(name: str, gradient: Any, array: np.ndarray, experiment: Experiment, upstream: Any) -> Fault | None:
    """Report a gradient that cannot be compared with the true one."""
    expected = f"It should be an array of shape {array.shape} and dtype float64, like {name}."
    if gradient is None:
        return Fault(name, "missing", f"The gradient is None. {expected}")
    if not isinstance(gradient, np.ndarray | np.generic):
        return Fault(name, "wrong dtype", f"The gradient is a {type(gradient).__name__}. {expected}")
    if gradient.shape != array.shape:
        known = {other: values.shape for other, values in experiment.arrays.items() if other != name}
        known |= {n: np.shape(g) for n, g in tree.named_leaves(upstream, "grad_output")}
        return Fault(name, *_misshapen(gradient.shape, array.shape, known))
    if gradient.dtype != np.float64:
        return Fault(name, "wrong dtype", f"The gradient has dtype {gradient.dtype}. {expected}")
    if not np.isfinite(gradient).all():
        bad = np.argwhere(~np.isfinite(gradient))
        text = (
            f"The gradient is not finite in {len(bad)} of {array.size} entries. At {_index(bad[0])} it is "
            f"{np.asarray(gradient)[tuple(bad[0])]}, and {name} is {array[tuple(bad[0])]:.5g}: is it divided by zero?"
        )
        return Fault(name, "not finite", text)
    return None


def _misshapen(got: tuple[int, ...], shape: tuple[int, ...], known: dict[str, tuple[int, ...]]) -> tuple[str, str]:
    """Return the kind of mistake that a gradient's wrong shape shows, and sentences on it.

    known: the shapes of other arrays.
    """
    text = f"The gradient has shape {got} and should have {shape}"
    if len(got) > 1 and got == shape[::-1]:
        return "transposed", f"{text}: it is transposed."
    if len(got) > len(shape):
        return "not summed", f"{text}. Is a sum left out, over the batch?"
    if got and got in known.values():
        name = next(name for name, other in known.items() if other == got)
        return "wrong shape", f"{text}; {got} is the shape of {name}. Is one taken for the other?"
    if math.prod(got) == math.prod(shape):
        return "wrong shape", f"{text}, which is as many numbers. Is a reshape left out?"
    with contextlib.suppress(ValueError):
        if np.broadcast_shapes(got, shape) == shape:
            return "wrong shape", f"{text}: it is summed once too often, and would broadcast without a word."
    return "wrong shape", f"{text}."


def _raised(error: Exception, upstream: Any) -> Fault:
    """Say what stopped backward, and what NumPy's words on shapes mean here."""
    kind, text = "raised", f"backward raised {type(error).__name__}: {str(error).strip().rstrip('.')}."
    shapes = [re.findall(r"\d+", shape) for shape in re.findall(r"\(([\d, ]+)\)", text)]
    if "broadcast" in text and len(shapes) > 1:
        own, got = shapes[:2]
        if len(own) > 1 and own == got[::-1]:
            kind, hint = "transposed", "One of the two is transposed."
        elif len(got) > len(own):
            kind, hint = "not summed", "Is a sum left out, over the batch?"
        else:
            hint = "Is a sum taken over the wrong axis?"
        text += f" {hint}"
    elif "mismatch in its core dimension" in text or "not aligned" in text:
        text += " Is a factor transposed, or are two in the wrong order?"
    elif isinstance(error, TypeError) and "argument" in text and isinstance(upstream, tuple | list | dict):
        text += f" It gets one argument, nested like the output: here {len(upstream)} gradients together."
    return Fault("backward", kind, text, cause=error)


def _with_a_past(experiment: Experiment, rng: np.random.Generator) -> Iterator[Fault]:
    """Go through an instance that has seen other inputs, twice, and report where its past shows."""
    pull = _called_before(experiment, rng)
    try:
        _, advanced = experiment.repeat(advanced=True)
        outputs, once = experiment.run(pull)
        values = {name: np.array(once[name]) for name in experiment.gradients}
        again, twice = experiment.run(pull)
    except Exception as error:
        text = f"The first pass went well, and a later one of the same object raised {type(error).__name__}: {error}."
        yield Fault("backward", "stale values", text, cause=error)
        return
    added = set(experiment.parameters) if experiment.subject.accumulates else set()
    if not agree(tree.ravel(outputs), experiment.value):
        yield Fault("forward", "stale values", "The output depends on what it was called with before.")
        return
    own = experiment.subject.own(pull)
    if _reused(outputs, again, own):
        yield Fault("forward", "changed in place", f"The output's {REUSED}")
    yield from _in_fortran_order(experiment)
    for name, first in experiment.gradients.items():
        if not agree(advanced[name], first):
            yield Fault(name, "random backward", RANDOM_BACKWARD)
        elif not agree(values[name], first):
            yield Fault(name, "stale values", STALE_VALUES)
        elif name not in experiment.parameters and _reused(once[name], twice[name], own):
            yield Fault(name, "changed in place", f"The gradient's {REUSED}")
        elif name not in added and not agree(twice[name], first):
            text = "The gradient changes when the same passes are repeated. Is it added to an old one?"
            yield Fault(name, "stale values", text)
        elif name in added and not agree(twice[name], 2 * first):
            if agree(twice[name], first):
                yield Fault(name, "overwritten", OVERWRITTEN)
            else:
                text = "A second pass adds another gradient than the first. Is something in it added to an old one?"
                yield Fault(name, "stale values", text)


REUSED = (
    "array is used again for the next call, so that what an earlier call returned changes. Return a new one each time."
)


def _called_before(experiment: Experiment, rng: np.random.Generator) -> Pull:
    """Return an instance that has been called with other inputs: of another batch size, if it takes them."""
    other, size = experiment.moved(rng), experiment.samples

    def doubled(leaf: Any) -> Any:
        return np.concatenate([leaf, leaf]) if np.ndim(leaf) and len(leaf) == size else leaf

    inputs, parameters = list(other.inputs.values()), list(other.parameters.values())
    for change in (doubled, lambda leaf: leaf):
        pull = experiment.subject.instance()
        with contextlib.suppress(Exception), np.errstate(all="ignore"):  # the first axis need not be a batch
            pull(*tree.map(change, inputs), *copy.deepcopy(parameters))
            break
    return pull


def _reused(one: Any, other: Any, own: list[np.ndarray]) -> bool:
    """Return whether what two calls returned lies in the same memory, which is not its own parameters'."""
    return any(
        isinstance(a, np.ndarray) and np.may_share_memory(a, b) and not any(np.may_share_memory(a, p) for p in own)
        for a, b in zip(tree.leaves(one), tree.leaves(other), strict=True)
    )


RANDOM_BACKWARD = (
    "The gradient depends on random numbers that backward draws. Forward should save what it drew, and backward use "
    "that."
)
STALE_VALUES = (
    "The gradient belongs to an earlier call: it is another one when forward has seen other inputs before these. "
    "Forward should save afresh each time."
)
OVERWRITTEN = (
    "A second pass does not double the gradient: backward overwrites grad where it should add. Write grad += ...; only "
    "zero_grad clears."
)


def _in_fortran_order(experiment: Experiment) -> Iterator[Fault]:
    """Report what is another where arrays lie in memory column by column."""

    def fortran(leaf: Any) -> Any:
        return np.array(leaf, order="F") if isinstance(leaf, np.ndarray) else leaf

    inputs = tree.map(fortran, list(experiment.inputs.values()))
    experiment.random_state.restore()
    try:
        output, back = experiment.subject.instance()(*inputs, *copy.deepcopy(list(experiment.parameters.values())))
        gradients = experiment.backward(back, tree.map(fortran, experiment.upstream))
    except Exception as error:
        text = f"For inputs in Fortran's order, {type(error).__name__} is raised: {error}."
        yield Fault("backward", "memory order", text, cause=error)
        return
    if not agree(tree.ravel(output), experiment.value):
        yield Fault("forward", "memory order", f"The output is another for inputs {FORTRAN}")
        return
    for name, first in experiment.gradients.items():
        if not agree(np.asarray(gradients[name], float), first):
            yield Fault(name, "memory order", f"The gradient is another for inputs and grad_output {FORTRAN}")


FORTRAN = (
    "in Fortran's order, with the same numbers: their memory is gone through in an order that holds for C's alone. "
    'Leave order="A" or "K" away.'
)


def agree(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two arrays are the same but for rounding.

    Example:
        >>> agree(np.ones(2), np.ones(2) + 1e-15)
        True
    """
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-9, atol=1e-9 * np.abs(b).max(initial=0)))


def _index(index: Any) -> str:
    return str(tuple(int(i) for i in index))
