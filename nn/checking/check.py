"""`gradcheck`: every gradient that a module's backward gives, in both modes, against measured slopes."""

from __future__ import annotations

import contextlib
import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..losses.base import Loss
from ..module import Module, watching
from ..parameter import NUMERIC
from ..random import default_generator
from .composite import misled
from .diagnosis import diagnose
from .evidence import Evidence
from .experiment import Experiment
from .measure import Comparison, NumericalGradient, Sample, compare
from .protocol import examine, float64_for_float32
from .report import Fault, GradcheckError, Report
from .state import RandomState

WORST = 5  # entries that a report shows of a wrong gradient
NEARLY_ZERO = 0.1  # of the entries: where fewer are not zero, a gradient is looked at elsewhere
ENOUGH = 0.5  # of the entries, not zero at one point or another, are enough
MOSTLY = 0.5  # of what was measured: where more could not be judged, it is told
FEW_SAMPLES = 4  # where fewer come in, a wrong gradient can look right by chance
POINTS = 4  # further ones that are looked at, in any case for few samples, else until entries enough were not zero
MOST_POINTS = 10  # further ones that are looked at where all entries stay zero

NOT_MEASURABLE = (
    "Central differences with steps of many sizes contradict one another, here and nearby: forward jumps, or computes "
    "in a lower precision than float64. Nothing can be said of the gradient here: try inputs near 1."
)
TIES = (
    "Several entries are equal here, and where they move together the gradient is wrong. Does each of several largest "
    "get the whole of the gradient? They share it, or the first gets it."
)
ELSEWHERE = "right at the given point, and wrong at another point, drawn at random: the numbers are from there."
NO_PARAMETER = (
    "a float array that is no Parameter, so that it has no gradient to check. An nn.Parameter is trained, an nn.Buffer "
    "kept."
)


def gradcheck(
    module: Module,
    *inputs: Any,
    loss: Module | None = None,
    training: bool | None = None,
    full: bool | None = None,
    tolerance: float = 1e-6,
    generator: np.random.Generator | int | None = 0,
    raise_exception: bool = True,
) -> Report:
    """Compare every gradient that a module's backward gives with central differences, and name what is wrong with it.

    Each input and each parameter is checked, in training and in evaluation mode, under a random upstream gradient and
    with the same randomness in each evaluation. So is what backward owes besides: gradients add up, arguments stay as
    they are, nothing is left over from earlier calls. Where a gradient is zero nearly everywhere, or fewer than four
    samples come in, further points are drawn at random, and what stays zero at all of them is told. All runs in float64
    on copies: the module, the inputs and every generator stay as they are.

    Args:
        module: what to check. A Loss is called with (prediction, target).
        *inputs: what to call it with: arrays, or tuples, lists and dicts of arrays. Integers have no gradient.
        loss: what to check the module together with, as one chain; the last input is the target then.
        training: True or False checks that mode alone.
        full: True looks at each entry of each array, False first at one random direction of each, which is enough to
            see that it is right; None does the former for arrays of up to 64 entries.
        tolerance: the largest error allowed, relative to the largest entry of the gradient.
        generator: where the upstream gradient and the directions come from: a generator or a seed.
        raise_exception: False returns the report of a wrong gradient too.

    Returns:
        The report: true if all is well, and a page of text when it is printed.

    Raises:
        GradcheckError: for a wrong gradient, with the report.
        TypeError: for what is no module, or inputs that are not made of real numbers.
        ValueError: for inputs that are not finite, or when nothing has a gradient.

    Example:
        >>> from nn import Linear
        >>> report = gradcheck(Linear(3, 2), np.ones((4, 3)))
        >>> list(report.errors)
        ['input', 'weight', 'bias']
    """
    for role, part in (("a module", module), ("loss=", module if loss is None else loss)):
        if not isinstance(part, Module):
            raise TypeError(f"gradcheck expects {role} to be an instance of nn.Module, got {part!r}")
    whole = module if loss is None else _Whole(module, loss)
    names = _names(module, len(inputs), loss is not None)
    point = {name: _prepared(name, value) for name, value in zip(names, inputs, strict=True)}
    optional = {name for name, _ in tree.named_leaves(point) if name == "target" or not module.needs_input_grad}
    seed = int(default_generator(generator).spawn(1)[0].integers(2**63))
    state = RandomState()
    check = _Check(state, optional, full, tolerance, seed, chained=loss is not None)
    modes = [True, False] if training is None else [training]
    try:
        prototype = _prototype(whole)
        report = check.report(repr(whole), prototype, point, modes)
        if not report and any(prototype.children()):
            settings = {"training": training, "full": full, "tolerance": tolerance, "generator": seed}
            report.inside = _inside(prototype.train(report.faults[0].modes[0] == "train"), point, settings)
            check.report_misled(prototype, point, report)
    finally:
        state.restore()
    if raise_exception and not report:
        raise GradcheckError(report) from next((fault.cause for fault in report.faults if fault.cause), None)
    return report


# ---- what is checked


class _Whole(Module):
    """A model and its loss as one module: what a training step differentiates."""

    def __init__(self, model: Module, loss: Module) -> None:
        self.model = model
        self.loss = loss

    def forward(self, *inputs: Any) -> Any:
        *x, target = inputs
        return self.loss(self.model(*x), target)

    def backward(self, grad_output: Any = None) -> Any:
        given = self.model.backward(self.loss.backward())  # type: ignore[call-arg]
        return (*given, None) if isinstance(given, tuple | list) else (given, None)

    def __repr__(self) -> str:
        return f"{type(self.model).__name__} under {self.loss!r}"


def _names(module: Module, count: int, chained: bool) -> list[str]:
    """Return what to call the inputs."""
    targets = int(chained or (isinstance(module, Loss) and count > 1))
    if count - targets == 1:
        return ["prediction" if isinstance(module, Loss) else "input"] + ["target"] * targets
    return [f"input {index}" for index in range(count - targets)] + ["target"] * targets


def _prepared(name: str, value: Any) -> Any:
    """Return a copy of an input, floating arrays as float64."""

    def prepared(leaf: Any) -> np.ndarray | None:
        if leaf is None:
            return None
        array = np.array(leaf, order="C")
        if array.dtype.kind not in NUMERIC:
            raise TypeError(f"gradcheck expects {name} to be made of real numbers, got dtype {array.dtype}")
        if not np.isfinite(array).all():
            raise ValueError(f"gradcheck expects {name} to be finite, got {array[~np.isfinite(array)][0]}")
        return array.astype(np.float64) if array.dtype.kind == "f" else array

    nested_numbers = isinstance(value, list) and not any(isinstance(leaf, np.ndarray) for leaf in tree.leaves(value))
    return prepared(value) if nested_numbers else tree.map(prepared, value)


def _prototype(module: Module) -> Module:
    """Return a copy in float64, with its gradients at zero and nothing saved."""
    prototype = copy.deepcopy(module).double().requires_grad_()
    for p in prototype.parameters():
        p.data = np.array(p.data, order="C")  # so that its flat view is no copy
        p.grad = np.zeros_like(p.data)
    for part in prototype.modules():
        part._saved = None
    return prototype


# ---- the check


class _Result(NamedTuple):
    """A gradient compared with the numerical one, at the point that counts."""

    experiment: Experiment
    comparison: Comparison

    @property
    def wrong(self) -> bool:
        return self.comparison.sample is not None

    @property
    def unjudged(self) -> bool:
        """Whether nothing of it could be judged."""
        return self.comparison.unjudged == self.comparison.measured


@dataclass(frozen=True)
class _Check:
    """The settings of a check, and its steps."""

    state: RandomState
    optional: set[str]
    full: bool | None
    tolerance: float
    seed: int
    chained: bool

    def rng(self) -> np.random.Generator:
        """Return a generator that starts afresh from the seed."""
        return np.random.default_rng(self.seed)

    def report(self, title: str, module: Module, inputs: dict[str, Any], modes: list[bool]) -> Report:
        """Check the module in each mode."""
        experiments = [Experiment(module.train(training), inputs, self.state) for training in modes]
        faults = [self.examined(experiment) for experiment in experiments]
        arrays = {name for experiment in experiments for name in experiment.arrays}
        if not arrays:
            raise ValueError("gradcheck expects a floating input or a parameter, got none: nothing has a gradient")
        report = Report(title, [experiment.mode for experiment in experiments])
        for name, leaf in tree.named_leaves(inputs):
            if not tree.is_floating(leaf):
                report.skipped[name] = "not floating: no gradient"
            elif name not in arrays:
                report.skipped[name] = "a target: no gradient" if name == "target" else "needs_input_grad is False"
        for name in float64_for_float32(experiments[0]):
            report.note(f"{name}: the gradient is float64 where all else is float32. Does a np.zeros want a dtype?")
        for name in experiments[0].constants():
            report.note(f"{name}: {NO_PARAMETER}")
        one, other = experiments[0], experiments[-1]
        if one is not other and faults[0] == faults[1] and self.same(one, other):
            report.add([*faults[0], *self.wrong(one, None, report)], report.modes)
        else:
            for experiment, known in zip(experiments, faults, strict=True):
                opposite = None if one is other else one if experiment is other else other
                report.add([*known, *self.wrong(experiment, opposite, report)], [experiment.mode])
        return report

    def report_misled(self, module: Module, inputs: dict[str, Any], report: Report) -> None:
        """Enter into the report which module inside is given a wrong upstream gradient, if one is."""
        with contextlib.suppress(Exception):  # what cannot be watched is passed by
            experiment = Experiment(module, inputs, self.state)
            self.examined(experiment)
            report.add(misled(experiment, set(report.inside), self.rng()), [experiment.mode])

    def examined(self, experiment: Experiment) -> list[Fault]:
        """Run the passes at the point; return what is wrong with them, whatever the numbers."""
        try:
            return examine(experiment, self.optional, self.rng(), self.chained)
        except Exception as error:
            error.add_note(f"(raised while gradcheck ran {experiment.module!r} in {experiment.mode} mode)")
            raise

    def same(self, one: Experiment, other: Experiment) -> bool:
        """Return whether a module does the same in both modes, here and at a point nearby."""
        with contextlib.suppress(Exception), np.errstate(all="ignore"):
            a, b = ([e.value, e.moved(self.rng()).outputs(), *e.gradients.values()] for e in (one, other))
            return one.gradients.keys() == other.gradients.keys() and all(map(np.array_equal, a, b))
        return False

    # ---- the numbers

    def wrong(self, experiment: Experiment, other_mode: Experiment | None, report: Report) -> list[Fault]:
        """Return the faults in the numbers, and enter errors and notes into the report."""
        results = {name: self.judged(experiment, name) for name in experiment.gradients}
        further = self.judge_further(experiment, results, report)
        results |= further
        faults = []
        for name, (point, (error, measured, unjudged, sample)) in results.items():
            report.errors[name] = max(error, report.errors.get(name, 0.0))
            if sample is not None:
                faults.append(_fault(self.evidence(name, results, sample, other_mode), error))
                if name in further:
                    report.note(f"{name}: {ELSEWHERE}")
            elif among_ties := self.among_ties(experiment, name, unjudged > 0 or point is not experiment):
                faults.append(among_ties)
            elif unjudged == measured > 0:
                faults.append(Fault(name, "not measurable", NOT_MEASURABLE))
            elif unjudged > MOSTLY * measured:
                text = f"{name}: {unjudged} of {measured} entries could not be judged; nothing was proven of those."
                report.unseen[name] = f"{text} Does forward compute in float32, or far from numbers near 1?"
            elif unjudged:
                entries = f"{unjudged} of {measured} entries"
                report.note(f"{name}: {entries} could not be judged, at a kink, a tie or an edge, or for float32.")
            elif error > self.tolerance:
                report.note(f"{name}: measured to {error:.0e} at best. Is something computed in float32?")
            elif point is not experiment:
                report.note(f"{name}: not differentiable here (a kink such as ReLU's at 0, a tie); judged 1 % away.")
        return faults

    def judged(self, experiment: Experiment, name: str) -> _Result:
        """Judge a gradient; where a kink is in the way, at points on either side, which count then."""
        here = self.compared(experiment, name)
        if here.wrong or not here.comparison.unjudged:
            return here
        for ways in ((1, -1), (0,)):
            nearby = [self.elsewhere(experiment.moved(self.rng(), way), [name]) for way in ways]
            sides = [side[name] for side in nearby if name in side and not side[name].unjudged]
            if sides:
                return next((side for side in sides if side.wrong), sides[0])
        return here

    def among_ties(self, experiment: Experiment, name: str, kinked: bool) -> Fault | None:
        """Report a gradient that is wrong where equal entries move together; not asked for where nothing has a kink."""
        if not kinked:
            return None
        function, gradient = experiment.function(name), experiment.gradients[name]
        verdict = NumericalGradient(function, gradient, experiment.g, self.tolerance).among_ties(self.rng())
        return Fault(name, "shared out", TIES) if verdict is not None and verdict.wrong else None

    def judge_further(self, experiment: Experiment, results: dict[str, _Result], report: Report) -> dict[str, _Result]:
        """Judge gradients that are zero nearly everywhere, or that few samples made, at further points.

        What was zero at all points is entered into the report.

        Returns:
            Those that are wrong at a further point.
        """
        alive = {name: found.experiment.gradients[name] != 0 for name, found in results.items() if not found.wrong}
        least = POINTS if experiment.samples < FEW_SAMPLES else 0
        names = [name for name, nonzero in alive.items() if nonzero.size and (least or nonzero.mean() < NEARLY_ZERO)]
        further: dict[str, _Result] = {}
        for number in range(MOST_POINTS):
            enough = ENOUGH if number < POINTS else 0.0
            names = [name for name in names if number < least or alive[name].mean() < enough or not alive[name].any()]
            if not names:
                break
            point = experiment.redrawn(np.random.default_rng([self.seed, number]), within=number % 2 > 0)
            for name, found in self.elsewhere(point, names, full=False).items():
                if found.wrong:
                    further[name] = found
                    names.remove(name)
                elif not found.unjudged:
                    alive[name] |= point.gradients[name] != 0
        for name in alive.keys() - further.keys():
            zeros, size = int((~alive[name]).sum()), alive[name].size
            if zeros > (1 - NEARLY_ZERO) * size:
                where, them = ("everywhere", "it") if zeros == size else (f"in {zeros} of {size} entries", "those")
                text = f"{name}: the gradient is zero {where} at every point tried; nothing was proven of {them}."
                report.unseen[name] = text
        return further

    def elsewhere(self, point: Experiment, names: list[str], full: bool | None = None) -> dict[str, _Result]:
        """Judge gradients at another point; none where the module cannot go there."""
        with contextlib.suppress(Exception), np.errstate(all="ignore"):
            outputs, point.gradients = point.repeat()
            if all(np.isfinite(array).all() for array in (outputs, *(point.gradients[name] for name in names))):
                return {name: self.compared(point, name, full) for name in names}
        return {}

    def compared(self, experiment: Experiment, name: str, full: bool | None = None) -> _Result:
        """Compare a gradient with the numerical one at a point."""
        function, gradient = experiment.function(name), experiment.gradients[name]
        full = self.full if full is None else full
        return _Result(experiment, compare(function, gradient, experiment.g, self.tolerance, full, self.rng()))

    def evidence(
        self, name: str, results: dict[str, _Result], sample: Sample, other_mode: Experiment | None
    ) -> Evidence:
        """Gather what is known of a wrong gradient."""
        experiment, true, wrong = results[name].experiment, {}, set()
        for key, (point, comparison) in results.items():
            if key != name and point.gradients[key].shape == experiment.gradients[name].shape:
                true[key] = point.gradients[key][np.ix_(*sample.grid)]
                if comparison.sample is not None:
                    wrong.add(key)
                    true[key] = comparison.sample.numeric
        return Evidence(name, experiment, other_mode, sample, self.chained, true, wrong, experiment.g)


# ---- what is wrong


def _fault(evidence: Evidence, error: float) -> Fault:
    """Name what is wrong."""
    sample = evidence.sample
    if not sample.wrong.any():
        text = f"Off by {error:.1e} along a random direction, and at none of the {sample.error.size} entries looked at."
        return Fault(evidence.name, "unknown", text)
    fault = Fault(evidence.name, *diagnose(evidence))
    worst = sorted(np.argwhere(sample.wrong).tolist(), key=lambda place: -sample.error[tuple(place)])
    for place in map(tuple, worst[:WORST]):
        index = tuple(int(indices[i]) for indices, i in zip(sample.grid, place, strict=True))
        fault.worst.append((index, float(sample.analytic[place]), float(sample.numeric[place])))
    return fault


def _inside(module: Module, point: dict[str, Any], settings: dict[str, Any]) -> dict[str, Report]:
    """Check the modules inside, each with what it is called with, and return the reports of those that are wrong.

    A module that holds a wrong one is passed by, since that one tells more.
    """
    names = {id(part): name for name, part in module.named_modules()}
    calls: dict[str, tuple[Module, tuple]] = {}

    def record(part: Module, x: tuple, _: Any) -> None:
        calls.setdefault(names.get(id(part), ""), (part, copy.deepcopy(x)))

    with watching(record):
        module(*copy.deepcopy(list(point.values())))
    reports: dict[str, Report] = {}
    for name, (part, x) in calls.items():  # children come before the parents that call them
        if name and not any(inner.startswith(f"{name}.") for inner in reports):
            with contextlib.suppress(Exception):  # what cannot be checked by itself is passed by too
                report = gradcheck(part, *x, **settings, raise_exception=False)
                if not report:
                    reports[name] = report
    return reports
