"""`gradcheck`: every gradient that a backward gives, in each mode, against central differences."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, TypedDict

import numpy as np

from .. import tree
from ..module import Module
from ..random import default_generator
from .composite import misled
from .declared import Declaration, Meant, declarations
from .diagnosis import diagnose
from .evidence import Evidence
from .experiment import Experiment
from .functions import FunctionSubject
from .measure import Comparison, NumericalGradient, Sample, compare
from .modules import ModuleSubject
from .protocol import examine
from .pull import Subject
from .report import Fault, GradcheckError, Report
from .slips import Slips
from .state import RandomState

NOTHING: Mapping[str, Any] = MappingProxyType({})
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


class Settings(TypedDict, total=False):
    """The keywords of every check, whatever the kind of what is checked; `gradcheck` says what they mean."""

    training: bool | None
    except_for: Mapping[str, Any]
    expected: Mapping[str, Meant]
    full: bool | None
    tolerance: float
    generator: np.random.Generator | int | None
    raise_exception: bool


def gradcheck(
    forward: Module | Callable[..., Any],
    *inputs: Any,
    backward: Callable[..., Any] | None = None,
    cache: bool = True,
    value_and_grad: bool = False,
    loss: Module | None = None,
    training: bool | None = None,
    except_for: Mapping[str, Any] = NOTHING,
    expected: Mapping[str, Meant] = NOTHING,
    full: bool | None = None,
    tolerance: float = 1e-6,
    generator: np.random.Generator | int | None = 0,
    raise_exception: bool = True,
) -> Report:
    """Compare every gradient that a backward gives with central differences, and name what is wrong with it.

    Each input and each parameter is checked, in training and in evaluation mode, under a random upstream gradient and
    with the same randomness in each evaluation. So is what backward owes besides: gradients add up, arguments stay as
    they are, nothing is left over from earlier calls. Where a gradient is zero nearly everywhere, or fewer than four
    samples come in, further points are drawn at random, and what stays zero at all of them is told. All runs in float64
    on copies: the module, the inputs and every generator stay as they are.

    A function is checked with its `backward`. It gets what stands in `inputs`: arrays are checked under the names that
    the function gives them; numbers, text, and dicts of settings are passed on. Without `backward`, the function
    returns its output and a function that takes the output's gradient to the inputs', as `jax.vjp` does.

    Args:
        forward: what to check: a Module, or a function. A Loss is called with (prediction, target).
        *inputs: what to call it with: arrays, or tuples, lists and dicts of arrays. Integers have no gradient.
        backward: of a function: returns a gradient for each floating array, in order, or a dict by name, with or
            without a leading d; None says that there is no gradient.
        cache: True: forward returns (output, cache), of several outputs (*outputs, cache), and backward gets
            (*gradients of the outputs, cache). False: forward returns the output or a tuple of outputs, and backward
            gets (gradient of the output, *inputs).
        value_and_grad: True for a function that returns its value, one number, and its gradients together.
        loss: what to check a module together with, as one chain; the last input is the target then.
        training: True or False checks that mode alone.
        except_for: by name, gradients that deliberately are none of the derivative: "straight-through" is the upstream
            gradient itself, "stop-gradient" zero, "reversed" the derivative with the opposite sign; a number or an
            array is what the derivative is multiplied by, such as zeros in padding rows; a "target" may have none.
        expected: by name, a function that gives such a gradient in full: it gets the upstream gradient, the inputs and
            the parameters.
        full: True looks at each entry of each array, False first at one random direction of each, which is enough to
            see that it is right; None does the former for arrays of up to 64 entries.
        tolerance: the largest error allowed, relative to the largest entry of the gradient; 1e-6 by default.
        generator: where the upstream gradient and the directions come from: a generator or a seed, 0 by default.
        raise_exception: False returns the report of a wrong gradient too.

    Returns:
        The report: true if all is well, and a page of text when it is printed.

    Raises:
        GradcheckError: for a wrong gradient, with the report.
        TypeError: for what is neither module nor function, a function that does not return what is expected, or inputs
            that are not made of real numbers.
        ValueError: for inputs that are not finite, or when nothing has a gradient.

    Example:
        >>> from nn import Linear
        >>> report = gradcheck(Linear(3, 2), np.ones((4, 3)))
        >>> list(report.errors)
        ['input', 'weight', 'bias']
        >>> def scale_forward(x, w):
        ...     return x * w, (x, w)
        >>> def scale_backward(dout, cache):
        ...     x, w = cache
        ...     return dout * w, (dout * x).sum(0)
        >>> print(gradcheck(scale_forward, np.ones((4, 3)), np.ones(3), backward=scale_backward).errors.keys())
        dict_keys(['x', 'w'])
    """
    subject: Subject
    if isinstance(forward, Module):
        if backward is not None or value_and_grad or not cache:
            raise TypeError(
                f"gradcheck takes backward=, cache= and value_and_grad= for functions; {forward!r} has its own"
            )
        if loss is not None and not isinstance(loss, Module):
            raise TypeError(f"gradcheck expects loss= to be an instance of nn.Module, got {loss!r}")
        subject = ModuleSubject(forward, inputs, loss)
    else:
        if not callable(forward) or isinstance(forward, type):
            raise TypeError(f"gradcheck expects an instance of nn.Module, or a function, got {forward!r}")
        if loss is not None:
            raise TypeError("gradcheck takes loss= for modules: a function calls its loss itself")
        subject = FunctionSubject(forward, inputs, backward, cache, value_and_grad)
    return check_subject(
        subject,
        training=training,
        except_for=except_for,
        expected=expected,
        full=full,
        tolerance=tolerance,
        generator=generator,
        raise_exception=raise_exception,
    )


def check_subject(
    subject: Subject,
    *,
    training: bool | None = None,
    except_for: Mapping[str, Any] = NOTHING,
    expected: Mapping[str, Meant] = NOTHING,
    full: bool | None = None,
    tolerance: float = 1e-6,
    generator: np.random.Generator | int | None = 0,
    raise_exception: bool = True,
) -> Report:
    """Check a subject of any kind; what the settings mean, `gradcheck` says.

    Example:
        >>> from .functions import FunctionSubject
        >>> def square(x):
        ...     return x**2, lambda g: 2 * x * g
        >>> bool(check_subject(FunctionSubject(square, (np.ones(3),))))
        True
    """
    seed = int(default_generator(generator).spawn(1)[0].integers(2**63))
    state = RandomState(subject.sources)
    leaves = [name for name, _ in tree.named_leaves(subject.inputs)]
    declared = declarations(except_for, expected, [*leaves, *subject.parameters])
    subject.optional |= {
        name: "a target: no gradient" for name in except_for if name in leaves and name not in declared
    }
    check = _Check(state, full, tolerance, seed, declared)
    try:
        subjects = subject.modes(training)
        report = check.report(subjects)
        if not report:
            faulty = next((each for each in subjects if each.mode in report.faults[0].modes), subjects[0])
            settings: Settings = {"training": training, "full": full, "tolerance": tolerance, "generator": seed}
            settings["raise_exception"] = False
            report.inside = _inside(faulty, settings)
            if faulty.module is not None and any(faulty.module.children()):
                check.report_misled(faulty, report)
    finally:
        state.restore()
    if raise_exception and not report:
        raise GradcheckError(report) from next((fault.cause for fault in report.faults if fault.cause), None)
    return report


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
    full: bool | None
    tolerance: float
    seed: int
    declared: dict[str, Declaration]

    def rng(self) -> np.random.Generator:
        """Return a generator that starts afresh from the seed."""
        return np.random.default_rng(self.seed)

    def report(self, subjects: list[Subject]) -> Report:
        """Check the subject in each mode."""
        first = subjects[0]
        experiments = [Experiment(subject, self.state) for subject in subjects]
        faults = [self.examined(experiment) for experiment in experiments]
        arrays = {name for experiment in experiments for name in experiment.arrays}
        if not arrays:
            raise ValueError("gradcheck expects a floating input or a parameter, got none: nothing has a gradient")
        report = Report(first.title, [subject.mode for subject in subjects if subject.mode])
        for name, leaf in tree.named_leaves(first.inputs):
            if not tree.is_floating(leaf):
                report.skipped[name] = "not floating: no gradient"
            elif name not in arrays:
                report.skipped[name] = first.optional[name]
        report.skipped |= first.skipped
        report.declared = {name: declaration.text for name, declaration in self.declared.items()}
        one, other = experiments[0], experiments[-1]
        if one is not other and faults[0] == faults[1] and self.same(one, other):
            report.add([*faults[0], *self.wrong(one, None, report)], report.modes)
        else:
            for experiment, known in zip(experiments, faults, strict=True):
                opposite = None if one is other else one if experiment is other else other
                modes = [experiment.mode] if experiment.mode else []
                report.add([*known, *self.wrong(experiment, opposite, report)], modes)
        for note in first.notes(one):
            report.note(note)
        return report

    def report_misled(self, subject: Subject, report: Report) -> None:
        """Enter into the report which module inside is given a wrong upstream gradient, if one is."""
        with contextlib.suppress(Exception):  # what cannot be watched is passed by
            experiment = Experiment(subject, self.state)
            self.examined(experiment)
            report.add(misled(experiment, set(report.inside), self.rng()), [experiment.mode])

    def examined(self, experiment: Experiment) -> list[Fault]:
        """Run the passes at the point; return what is wrong with them, whatever the numbers."""
        try:
            return examine(experiment, self.rng())
        except Exception as error:
            where = f" in {experiment.mode} mode" if experiment.mode else ""
            error.add_note(f"(raised while gradcheck ran {experiment.module or experiment.subject.title!r}{where})")
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
        faults = []
        for name in filter(experiment.gradients.__contains__, self.declared):
            error, fault = self.declared[name].judge(experiment, name, self.tolerance, self.full, self.rng())
            report.errors[name] = max(error, report.errors.get(name, 0.0))
            faults += [fault] if fault else []
        results = {name: self.judged(experiment, name) for name in experiment.gradients if name not in self.declared}
        further = self.judge_further(experiment, results, report)
        results |= further
        slips = {id(point): Slips(point) for point, _ in results.values()}
        for name, (point, (error, measured, unjudged, sample)) in results.items():
            report.errors[name] = max(error, report.errors.get(name, 0.0))
            if sample is not None:
                faults.append(_fault(self.evidence(name, results, sample, other_mode, slips[id(point)]), error))
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
        """Judge gradients that are zero nearly everywhere, that few samples made, or that may be remembered elsewhere.

        What was zero at all points is entered into the report.

        Returns:
            Those that are wrong at a further point.
        """
        alive = {name: found.experiment.gradients[name] != 0 for name, found in results.items() if not found.wrong}
        least = POINTS if experiment.samples < FEW_SAMPLES else 0 if experiment.subject.starts_afresh else 1
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
        self, name: str, results: dict[str, _Result], sample: Sample, other_mode: Experiment | None, slips: Slips
    ) -> Evidence:
        """Gather what is known of a wrong gradient."""
        experiment, true, wrong = results[name].experiment, {}, set()
        for key, (point, comparison) in results.items():
            if key != name and point.gradients[key].shape == experiment.gradients[name].shape:
                true[key] = point.gradients[key][np.ix_(*sample.grid)]
                if comparison.sample is not None:
                    wrong.add(key)
                    true[key] = comparison.sample.numeric
        return Evidence(
            name, experiment, other_mode, sample, experiment.subject.scalar, true, wrong, experiment.g, slips
        )


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


def _inside(subject: Subject, settings: Settings) -> dict[str, Report]:
    """Check the parts inside, and return the reports of those that are wrong.

    A part that holds a wrong one is passed by, since that one tells more.
    """
    reports: dict[str, Report] = {}
    for name, part in subject.parts():  # children come before the parents that call them
        if not any(inner.startswith(f"{name}.") for inner in reports):
            with contextlib.suppress(Exception):  # what cannot be checked by itself is passed by too
                report = check_subject(part, **settings)
                if not report:
                    reports[name] = report
    return reports
