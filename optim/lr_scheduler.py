"""Schedules of the learning rate: each `step()` sets the "lr" of every group for what comes next.

The order is PyTorch's: `optimizer.step()` first, then `scheduler.step()`, once an epoch (OneCycleLR: once a batch).
Where PyTorch goes from the present rate to the next one, so do these: two of them on one optimizer multiply, and a rate
changed by hand stays changed. All compute with `math`, on Python's floats.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from .optimizer import Optimizer
from .settings import ABOVE_0, AT_LEAST_0, BELOW_1, COUNT, FLAG, NUMBER, Range, checked, one_of, plain, tuple_of

_EPOCH = Range((int, float), lambda value: isinstance(value, int) and value >= -1, "a whole number of at least -1")
_STEPS = Range((int, float), lambda value: isinstance(value, int) and value > 0, "a whole number above 0")
_SHARE = Range((int, float), lambda value: isinstance(value, float) and 0 <= value <= 1, "a float from 0.0 to 1.0")
_RATES = tuple_of(AT_LEAST_0)
_MIN_LR = Range(
    (*AT_LEAST_0.types, *_RATES.types),
    lambda value: (_RATES if isinstance(value, tuple) else AT_LEAST_0).test(value),
    "a number of at least 0, or a list of them",
)

# What every schedule keeps.
_POSITION = {"last_epoch": COUNT, "base_lrs": tuple_of(NUMBER), "_last_lr": tuple_of(NUMBER)}


class LRScheduler:
    """The base of schedules: a subclass writes `get_lr`, and says in `ranges` what its own attributes may be.

    Args:
        optimizer: whose groups are scheduled; their rates at this moment are kept in them as "initial_lr".
        last_epoch: the epoch before the one that the schedule begins at. -1 starts afresh; otherwise it goes on from
            the rates that the groups have, which need an "initial_lr" then.

    Attributes:
        base_lrs: the initial rates, one a group.
        last_epoch: how many steps have been taken.

    Raises:
        ValueError: for settings out of range, or groups that lack what going on needs.
        TypeError: for what is not an Optimizer.

    Example:
        >>> from nn import Parameter
        >>> from optim import SGD
        >>> class Halving(LRScheduler):
        ...     def get_lr(self):
        ...         return [base_lr / 2**self.last_epoch for base_lr in self.base_lrs]
        >>> optimizer = SGD([Parameter([1.0])], lr=0.8)
        >>> scheduler = Halving(optimizer)
        >>> optimizer.step()
        >>> scheduler.step()
        >>> scheduler.get_last_lr()
        [0.4]
    """

    ranges: ClassVar[Mapping[str, Range]] = {}
    _unsaved: ClassVar[tuple[str, ...]] = ("optimizer",)  # attributes that are no part of the state

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self._attach(optimizer)
        last_epoch = self._check("last_epoch", last_epoch, _EPOCH)
        if last_epoch == -1:
            for group in optimizer.param_groups:
                group.setdefault("initial_lr", float(group["lr"]))
        self._need("initial_lr")
        self.base_lrs = [float(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch + 1
        self._set(self.first_lr())

    # ---- the schedule

    def get_lr(self) -> list[float]:
        """Return the rates after `last_epoch` steps, one a group."""
        raise NotImplementedError(f"{type(self).__name__} has no get_lr")

    def first_lr(self) -> list[float]:
        """Return the rates to begin with, one a group."""
        return self.get_lr()

    def get_last_lr(self) -> list[float]:
        """Return the rates that were set last, one a group."""
        return list(self._last_lr)

    def step(self) -> None:
        """Set the rates of the next epoch; nothing changes when it raises."""
        self.last_epoch += 1
        try:
            self._set(self.get_lr())
        except Exception:
            self.last_epoch -= 1
            raise

    def _set(self, lrs: list[float]) -> None:
        groups = self.optimizer.param_groups
        if len(lrs) != len(groups):
            raise ValueError(f"{type(self).__name__} expects a rate for each of {len(groups)} groups, got {lrs}")
        lrs = [float(lr) for lr in lrs]
        for group, lr in zip(groups, lrs, strict=True):
            group["lr"] = lr
        self._last_lr = lrs

    def _present(self) -> list[float]:
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    # ---- the state

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the settings and the position, made of numbers, strings, lists and tuples.

        The rates themselves are in the optimizer's state, which is to be saved and loaded beside this one.
        """
        return copy.deepcopy({name: value for name, value in vars(self).items() if name not in self._unsaved})

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict()` gave.

        Raises:
            ValueError: for other names, another number of groups, or values out of range; nothing is loaded then.
            TypeError: for values of another type.
        """
        own = self.state_dict()
        title = type(self).__name__
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"{title} expects a state as a dict, got {type(state_dict).__name__}")
        if set(state_dict) != set(own):
            found = sorted(map(str, state_dict))
            raise ValueError(f"{title} expects a state of {sorted(own)}, got {found}; nothing was loaded")
        state = copy.deepcopy(dict(state_dict))
        for name, allowed in {**_POSITION, **self.ranges}.items():
            if name in state:
                value = self._check(name, state[name], allowed)
                state[name] = list(value) if isinstance(value, tuple) else value
        groups, rates = len(own["_last_lr"]), len(state["_last_lr"])
        if rates != groups:
            raise ValueError(f"{title} has {groups} groups, the state has {rates}; nothing was loaded")
        vars(self).update(state)

    # ---- the settings

    def _attach(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__} expects an Optimizer, got {type(optimizer).__name__}")
        for group in optimizer.param_groups:
            optimizer.check_settings(group)
        self.optimizer = optimizer

    def _check(self, name: str, value: Any, allowed: Range | None = None) -> Any:
        """Return a setting in Python's own types, checked to be in range."""
        return checked(type(self).__name__, name, value, allowed or self.ranges[name])

    def _check_each(self, name: str, value: Any, allowed: Range) -> list[Any]:
        """Return a setting that is one number, or a list of one a group, as a list."""
        groups = len(self.optimizer.param_groups)
        values = value if isinstance(value, list | tuple) else [value] * groups
        if len(values) != groups:
            raise ValueError(f"{type(self).__name__} expects {name} for {groups} groups, got {len(values)}")
        return [self._check(name, item, allowed) for item in values]

    def _need(self, *names: str) -> None:
        """Refuse to go on from groups that lack what a schedule keeps in them."""
        for number, group in enumerate(self.optimizer.param_groups):
            if missing := [name for name in names if name not in group]:
                raise ValueError(
                    f"{type(self).__name__} expects group {number} to have {', '.join(missing)} to go on from "
                    f"last_epoch: load the optimizer's state first, or start with last_epoch=-1"
                )

    def _check_groups(self) -> None:
        """Refuse groups that were added after the schedule was made, where it has no numbers for them."""
        known, found = len(self.base_lrs), len(self.optimizer.param_groups)
        if found != known:
            raise ValueError(f"{type(self).__name__} was made for {known} groups, got {found}: make a new schedule")


class LambdaLR(LRScheduler):
    """Sets the initial rate times a function of the epoch.

    Args:
        optimizer, last_epoch: as in LRScheduler.
        lr_lambda: takes the number of steps so far, returns the factor; or a list of such functions, one a group.
            Functions are not part of the state.

    Raises:
        ValueError: for another number of functions than groups.
        TypeError: for what cannot be called.

    Example:
        >>> from nn import Parameter
        >>> from optim import SGD
        >>> LambdaLR(SGD([Parameter([1.0])], lr=0.5), lambda epoch: 1 / (1 + epoch)).get_last_lr()
        [0.5]
    """

    _unsaved = ("optimizer", "lr_lambdas")

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | list[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        self._attach(optimizer)
        groups = len(optimizer.param_groups)
        self.lr_lambdas = list(lr_lambda) if isinstance(lr_lambda, list | tuple) else [lr_lambda] * groups
        if len(self.lr_lambdas) != groups:
            raise ValueError(f"LambdaLR expects a function for each of {groups} groups, got {len(self.lr_lambdas)}")
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"LambdaLR expects functions of the epoch, got {function!r}")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        self._check_groups()
        factors = [self._check("what lr_lambda returns", f(self.last_epoch), NUMBER) for f in self.lr_lambdas]
        return [base_lr * factor for base_lr, factor in zip(self.base_lrs, factors, strict=True)]


class StepLR(LRScheduler):
    """Multiplies the rate by gamma at every step_size-th step.

    Args:
        optimizer, last_epoch: as in LRScheduler.
        step_size: the steps from one multiplication to the next.
        gamma: the factor.

    Raises:
        ValueError: for settings out of range.

    Example:
        >>> from nn import Parameter
        >>> from optim import SGD
        >>> scheduler = StepLR(SGD([Parameter([1.0])], lr=0.5), step_size=2, gamma=0.5)
        >>> for _ in range(4):
        ...     scheduler.step()
        >>> scheduler.get_last_lr()
        [0.125]
    """

    ranges: ClassVar = {"step_size": ABOVE_0, "gamma": AT_LEAST_0}

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = self._check("step_size", step_size)
        self.gamma = self._check("gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        due = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return [lr * self.gamma if due else lr for lr in self._present()]


class MultiStepLR(LRScheduler):
    """Multiplies the rate by gamma at given steps.

    Args:
        optimizer, last_epoch: as in LRScheduler.
        milestones: the steps, in any order; one that is named twice multiplies twice.
        gamma: the factor.

    Raises:
        ValueError: for settings out of range.

    Example:
        >>> from nn import Parameter
        >>> from optim import SGD
        >>> scheduler = MultiStepLR(SGD([Parameter([1.0])], lr=0.5), milestones=[1, 3], gamma=0.5)
        >>> for _ in range(4):
        ...     scheduler.step()
        >>> scheduler.get_last_lr()
        [0.125]
    """

    ranges: ClassVar = {"milestones": tuple_of(AT_LEAST_0), "gamma": AT_LEAST_0}

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        milestones = plain(milestones)
        if not isinstance(milestones, Iterable):
            raise TypeError(f"MultiStepLR expects milestones to be an iterable of steps, got {milestones!r}")
        self.milestones = sorted(self._check("each milestone", milestone, AT_LEAST_0) for milestone in milestones)
        self.gamma = self._check("gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        factor = self.gamma ** self.milestones.count(self.last_epoch)
        return [lr * factor for lr in self._present()]


class ExponentialLR(LRScheduler):
    """Multiplies the rate by gamma at every step.

    Args:
        optimizer, last_epoch: as in LRScheduler.
        gamma: the factor.

    Raises:
        ValueError: for settings out of range.

    Example:
        >>> from nn import Parameter
        >>> from optim import SGD
        >>> scheduler = ExponentialLR(SGD([Parameter([1.0])], lr=0.5), gamma=0.5)
        >>> scheduler.step()
        >>> scheduler.get_last_lr()
        [0.25]
    """

    ranges: ClassVar = {"gamma": AT_LEAST_0}

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = self._check("gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def first_lr(self) -> list[float]:
        return self._present()

    def get_lr(self) -> list[float]:
        return [lr * self.gamma for lr in self._present()]


class CosineAnnealingLR(LRScheduler):
    """Lowers the rate along half a cosine in T_max steps, and raises it again in the next T_max (Loshchilov, 2017).

    Args:
        optimizer, last_epoch: as in LRScheduler.
        T_max: the steps from the initial rate to the lowest.
        eta_min: the lowest rate.

    Raises:
        ValueError: for settings out of range.

    Example:
        >>> from nn import Parameter
        >>> from optim import SGD
        >>> scheduler = CosineAnnealingLR(SGD([Parameter([1.0])], lr=0.5), T_max=2)
        >>> scheduler.step()
        >>> round(scheduler.get_last_lr()[0], 6)
        0.25
    """

    ranges: ClassVar = {"T_max": ABOVE_0, "eta_min": AT_LEAST_0}

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = self._check("T_max", T_max)
        self.eta_min = self._check("eta_min", eta_min)
        super().__init__(optimizer, last_epoch)

    def first_lr(self) -> list[float]:
        return self._present()

    def get_lr(self) -> list[float]:
        t, T = self.last_epoch, self.T_max
        if (t - 1 - T) % (2 * T) == 0:  # the last rate was the lowest, from which no ratio leads on
            self._check_groups()
            pairs = zip(self._present(), self.base_lrs, strict=True)
            return [lr + (base_lr - self.eta_min) * (1 - math.cos(math.pi / T)) / 2 for lr, base_lr in pairs]
        ratio = (1 + math.cos(math.pi * t / T)) / (1 + math.cos(math.pi * (t - 1) / T))
        # An initial rate of 0 is come back to with an error of rounding, which must not take it below.
        return [max(ratio * (lr - self.eta_min) + self.eta_min, 0.0) for lr in self._present()]


# The last step of a phase, then what it takes the rate and the momentum from and to, by their names in the groups.
_Phase = tuple[float, str, str, str, str]


def _phases(total_steps: int, pct_start: float, three_phase: bool) -> list[_Phase]:
    up = (pct_start * total_steps - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum")
    if not three_phase:
        return [up, (total_steps - 1, "max_lr", "min_lr", "base_momentum", "max_momentum")]
    down = (2 * pct_start * total_steps - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum")
    return [up, down, (total_steps - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum")]


class OneCycleLR(LRScheduler):
    """Raises the rate from max_lr / div_factor to max_lr and lowers it far below, once; momentum goes the other way.

    Takes a step after every batch; sets SGD's and RMSprop's momentum, Adam's first beta (Smith and Topin, 2018).

    Args:
        optimizer, last_epoch: as in LRScheduler. Going on needs groups with what this schedule keeps in them.
        max_lr: the highest rate; one, or a list of one a group.
        total_steps: the steps of the cycle; or give epochs and steps_per_epoch, whose product it is.
        pct_start: which part of the steps raises the rate, 0.0 to 1.0.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: False leaves momentum alone.
        base_momentum, max_momentum: the lowest and the highest; one, or a list of one a group.
        div_factor: max_lr over the initial rate.
        final_div_factor: the initial rate over the last.
        three_phase: goes down as it came up first, and then on to the last rate.

    Raises:
        ValueError: for settings out of range, an optimizer without momentum, or a step beyond the cycle.

    Example:
        >>> from nn import Parameter
        >>> from optim import SGD
        >>> optimizer = SGD([Parameter([1.0])])
        >>> scheduler = OneCycleLR(optimizer, max_lr=0.5, total_steps=10)
        >>> for _ in range(2):
        ...     scheduler.step()
        >>> scheduler.get_last_lr(), optimizer.param_groups[0]["momentum"]
        ([0.5], 0.85)
    """

    ranges: ClassVar = {
        "total_steps": _STEPS,
        "pct_start": _SHARE,
        "anneal_strategy": one_of("cos", "linear"),
        "cycle_momentum": FLAG,
        "three_phase": FLAG,
    }

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 10000.0,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self._attach(optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR expects total_steps, or both epochs and steps_per_epoch")
            total_steps = self._check("epochs", epochs, _STEPS)
            total_steps *= self._check("steps_per_epoch", steps_per_epoch, _STEPS)
        self.total_steps = self._check("total_steps", total_steps)
        self.pct_start = self._check("pct_start", pct_start)
        self.anneal_strategy = self._check("anneal_strategy", anneal_strategy)
        self.cycle_momentum = self._check("cycle_momentum", cycle_momentum)
        self.three_phase = self._check("three_phase", three_phase)
        max_lrs = self._check_each("max_lr", max_lr, AT_LEAST_0)
        div_factor = self._check("div_factor", div_factor, ABOVE_0)
        final_div_factor = self._check("final_div_factor", final_div_factor, ABOVE_0)
        initial_lrs = [lr / div_factor for lr in max_lrs]
        kept = {"initial_lr": initial_lrs, "max_lr": max_lrs, "min_lr": [lr / final_div_factor for lr in initial_lrs]}
        if cycle_momentum:
            if not {"momentum", "betas"} & optimizer.defaults.keys():
                raise ValueError(f"OneCycleLR expects an optimizer with momentum or betas to cycle, got {optimizer!r}")
            allowed = BELOW_1 if "betas" in optimizer.defaults else AT_LEAST_0
            kept["max_momentum"] = self._check_each("max_momentum", max_momentum, allowed)
            kept["base_momentum"] = self._check_each("base_momentum", base_momentum, allowed)
        last_epoch = self._check("last_epoch", last_epoch, _EPOCH)
        if last_epoch == -1:
            for index, group in enumerate(optimizer.param_groups):
                group.update((name, values[index]) for name, values in kept.items())
        self._need(*kept)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        self._check_groups()
        if self.last_epoch > self.total_steps:
            raise ValueError(f"OneCycleLR was made for {self.total_steps} steps, this would be step {self.last_epoch}")
        (_, start, end, _, _), progress = self._phase()
        return [self._annealed(group[start], group[end], progress) for group in self.optimizer.param_groups]

    def _set(self, lrs: list[float]) -> None:
        super()._set(lrs)
        if not self.cycle_momentum:
            return
        (_, _, _, start, end), progress = self._phase()
        for group in self.optimizer.param_groups:
            momentum = self._annealed(group[start], group[end], progress)
            if "betas" in group:
                group["betas"] = (momentum, group["betas"][1])
            else:
                group["momentum"] = momentum

    def _phase(self) -> tuple[_Phase, float]:
        """Return the present phase, and how far in it we are, from 0 to 1."""
        first = 0.0
        phases = _phases(self.total_steps, self.pct_start, self.three_phase)
        for phase in phases:
            if self.last_epoch <= phase[0] or phase is phases[-1]:
                break
            first = phase[0]
        length = phase[0] - first
        return phase, (self.last_epoch - first) / length if length else 1.0

    def _annealed(self, start: float, end: float, progress: float) -> float:
        if self.anneal_strategy == "linear":
            return (end - start) * progress + start
        return end + (start - end) / 2 * (math.cos(math.pi * progress) + 1)


class ReduceLROnPlateau(LRScheduler):
    """Multiplies the rate by factor when a metric has stopped getting better; `step` takes the metric.

    Args:
        optimizer: as in LRScheduler.
        mode: "min" for a metric that is to fall, "max" for one that is to rise.
        factor: what the rate is multiplied by, below 1.
        patience: the steps without a better metric that are let pass.
        threshold: by how much a metric must beat the best one to be better.
        threshold_mode: "rel", as a part of the best, or "abs".
        cooldown: the steps after a multiplication before bad ones count again.
        min_lr: the rate stays above it; one, or a list of one a group.
        eps: a change of the rate smaller than this is not made.

    Raises:
        ValueError: for settings out of range.

    Example:
        >>> from nn import Parameter
        >>> from optim import SGD
        >>> scheduler = ReduceLROnPlateau(SGD([Parameter([1.0])], lr=0.5), factor=0.5, patience=1)
        >>> for loss in (1.0, 1.0, 1.0):
        ...     scheduler.step(loss)
        >>> scheduler.get_last_lr()
        [0.25]
    """

    ranges: ClassVar = {
        "mode": one_of("min", "max"),
        "factor": BELOW_1,
        "patience": AT_LEAST_0,
        "threshold": NUMBER,
        "threshold_mode": one_of("rel", "abs"),
        "cooldown": AT_LEAST_0,
        "min_lr": _MIN_LR,
        "eps": AT_LEAST_0,
        "best": NUMBER,
        "num_bad_epochs": COUNT,
        "cooldown_counter": AT_LEAST_0,
    }

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 0.0001,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        self._attach(optimizer)
        self.mode = self._check("mode", mode)
        self.factor = self._check("factor", factor)
        self.patience = self._check("patience", patience)
        self.threshold = self._check("threshold", threshold)
        self.threshold_mode = self._check("threshold_mode", threshold_mode)
        self.cooldown = self._check("cooldown", cooldown)
        min_lrs = self._check_each("min_lr", min_lr, AT_LEAST_0)
        self.min_lr = min_lrs if isinstance(min_lr, list | tuple) else min_lrs[0]
        self.eps = self._check("eps", eps)
        self.last_epoch = 0
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self._last_lr = self._present()

    def step(self, metrics: float) -> None:  # type: ignore[override]
        """Take the epoch's metric into account, and lower the rates when it is time; nothing changes when it raises."""
        metric = float(metrics)
        min_lrs = self._check_each("min_lr", self.min_lr, AT_LEAST_0)  # anew: a group may have been added
        self.last_epoch += 1
        if self._is_better(metric):
            self.best = metric
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        lrs = self._present()
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
            lowered = [max(lr * self.factor, min_lr) for lr, min_lr in zip(lrs, min_lrs, strict=True)]
            lrs = [new if lr - new > self.eps else lr for lr, new in zip(lrs, lowered, strict=True)]
        self._set(lrs)

    def _is_better(self, metric: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        margin = sign * self.threshold
        bar = self.best * (1 + margin) if self.threshold_mode == "rel" else self.best + margin
        return metric > bar if self.mode == "max" else metric < bar
