"""Schedules of the learning rate: each `step()` sets the "lr" of every group for what comes next.

The order is PyTorch's: `optimizer.step()` first, then `scheduler.step()`, once an epoch (OneCycleLR: once a batch).
Where PyTorch goes from the present rate to the next one, so do these: two of them on one optimizer multiply, and a rate
changed by hand stays changed. All compute with `math`, on Python's floats.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any

from .optimizer import AT_LEAST_0, Optimizer, Range

_ABOVE_0: Range = (lambda value: value > 0, "a number above 0")
_BELOW_1: Range = (lambda value: 0 <= value < 1, "a number in [0, 1)")
_COUNT: Range = (lambda value: isinstance(value, int) and value > 0, "a whole number above 0")
_SHARE: Range = (lambda value: isinstance(value, float) and 0 <= value <= 1, "a float from 0.0 to 1.0")
_NUMBER: Range = (lambda value: value == value, "a number")
_EPOCH: Range = (lambda value: isinstance(value, int) and value >= -1, "a whole number of at least -1")


class LRScheduler:
    """The base of schedules: a subclass writes `get_lr`.

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

    _unsaved: tuple[str, ...] = ("optimizer",)  # attributes that are no part of the state

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self._attach(optimizer)
        last_epoch = self._number("last_epoch", last_epoch, *_EPOCH)
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
        for group, lr in zip(groups, lrs, strict=True):
            group["lr"] = float(lr)
        self._last_lr = self._present()

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
            ValueError: for other names, or another number of groups; nothing is loaded then.
        """
        own = self.state_dict()
        title = type(self).__name__
        if set(state_dict) != set(own):
            raise ValueError(f"{title} expects a state of {sorted(own)}, got {sorted(state_dict)}; nothing was loaded")
        groups, found = len(own["_last_lr"]), len(state_dict["_last_lr"])
        if found != groups:
            raise ValueError(f"{title} has {groups} groups, the state has {found}; nothing was loaded")
        vars(self).update(copy.deepcopy(dict(state_dict)))

    # ---- the settings

    def _attach(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__} expects an Optimizer, got {type(optimizer).__name__}")
        self.optimizer = optimizer

    def _number(self, name: str, value: Any, test: Callable[[Any], bool], text: str) -> Any:
        """Return a setting as Python's number, which states can hold, seen to be in range."""
        message = f"{type(self).__name__} expects {name} to be {text}, got {value!r}"
        if not isinstance(value, Real):
            raise TypeError(message)
        number = int(value) if isinstance(value, Integral) else float(value)
        if not test(number):
            raise ValueError(message)
        return number

    def _numbers(self, name: str, value: Any, test: Callable[[Any], bool], text: str) -> list[Any]:
        """Return a setting that is one number, or a list of one a group, as a list."""
        groups = len(self.optimizer.param_groups)
        values = list(value) if isinstance(value, list | tuple) else [value] * groups
        if len(values) != groups:
            raise ValueError(f"{type(self).__name__} expects {name} for {groups} groups, got {len(values)}")
        return [self._number(name, item, test, text) for item in values]

    def _choice(self, name: str, value: Any, *choices: str) -> str:
        if value not in choices:
            raise ValueError(f"{type(self).__name__} expects {name} to be one of {choices}, got {value!r}")
        return str(value)

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
        return [base_lr * f(self.last_epoch) for base_lr, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]


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

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = self._number("step_size", step_size, *_ABOVE_0)
        self.gamma = self._number("gamma", gamma, *AT_LEAST_0)
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

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = sorted(self._number("each milestone", milestone, *AT_LEAST_0) for milestone in milestones)
        self.gamma = self._number("gamma", gamma, *AT_LEAST_0)
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

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = self._number("gamma", gamma, *AT_LEAST_0)
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

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = self._number("T_max", T_max, *_ABOVE_0)
        self.eta_min = self._number("eta_min", eta_min, *AT_LEAST_0)
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
        return [ratio * (lr - self.eta_min) + self.eta_min for lr in self._present()]


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
            total_steps = self._number("epochs", epochs, *_COUNT)
            total_steps *= self._number("steps_per_epoch", steps_per_epoch, *_COUNT)
        self.total_steps = self._number("total_steps", total_steps, *_COUNT)
        pct_start = self._number("pct_start", pct_start, *_SHARE)
        self.anneal_strategy = self._choice("anneal_strategy", anneal_strategy, "cos", "linear")
        self.cycle_momentum = bool(cycle_momentum)
        max_lrs = self._numbers("max_lr", max_lr, *AT_LEAST_0)
        div_factor = self._number("div_factor", div_factor, *_ABOVE_0)
        final_div_factor = self._number("final_div_factor", final_div_factor, *_ABOVE_0)
        initial_lrs = [lr / div_factor for lr in max_lrs]
        kept = {"initial_lr": initial_lrs, "max_lr": max_lrs, "min_lr": [lr / final_div_factor for lr in initial_lrs]}
        if cycle_momentum:
            if not {"momentum", "betas"} & optimizer.defaults.keys():
                raise ValueError(f"OneCycleLR expects an optimizer with momentum or betas to cycle, got {optimizer!r}")
            fitting = _BELOW_1 if "betas" in optimizer.defaults else AT_LEAST_0
            kept["max_momentum"] = self._numbers("max_momentum", max_momentum, *fitting)
            kept["base_momentum"] = self._numbers("base_momentum", base_momentum, *fitting)
        self.phases = _phases(self.total_steps, pct_start, three_phase)
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
        for phase in self.phases:
            if self.last_epoch <= phase[0] or phase is self.phases[-1]:
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
        self.mode = self._choice("mode", mode, "min", "max")
        self.factor = self._number("factor", factor, *_BELOW_1)
        self.patience = self._number("patience", patience, *AT_LEAST_0)
        self.threshold = self._number("threshold", threshold, *_NUMBER)
        self.threshold_mode = self._choice("threshold_mode", threshold_mode, "rel", "abs")
        self.cooldown = self._number("cooldown", cooldown, *AT_LEAST_0)
        min_lrs = self._numbers("min_lr", min_lr, *AT_LEAST_0)
        self.min_lr = min_lrs if isinstance(min_lr, list | tuple) else min_lrs[0]
        self.eps = self._number("eps", eps, *AT_LEAST_0)
        self.last_epoch = 0
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self._last_lr = self._present()

    def step(self, metrics: float) -> None:  # type: ignore[override]
        """Take the epoch's metric into account, and lower the rates when it is time; nothing changes when it raises."""
        metric = float(metrics)
        min_lrs = self._numbers("min_lr", self.min_lr, *AT_LEAST_0)  # anew: a group may have been added
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
