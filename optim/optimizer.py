"""The base of optimizers: groups of parameters, laid end to end, and a rule run over them block by block.

A rule is plain code over whole arrays. What makes it fast is the layout: the parameters of a group become views of one
flat array (Torch7's getParameters), so that one sweep updates them all, in blocks that stay in the cache.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

BLOCK = 1 << 16  # elements a block: 256 KB of float32, of which a rule touches a handful of arrays


class Trainable(Protocol):
    """What an optimizer needs of a parameter."""

    data: np.ndarray
    grad: np.ndarray
    requires_grad: bool


Group = dict[str, Any]
State = dict[str, np.ndarray]

# What each setting must be, whichever rule it belongs to.
_RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "lr": (lambda value: value >= 0, "of at least 0"),
    "momentum": (lambda value: value >= 0, "of at least 0"),
    "weight_decay": (lambda value: value >= 0, "of at least 0"),
    "eps": (lambda value: value >= 0, "of at least 0"),
    "alpha": (lambda value: value >= 0, "of at least 0"),
    "betas": (lambda value: len(value) == 2 and all(0 <= beta < 1 for beta in value), "of two numbers in [0, 1)"),
}


class _Flat:
    """Parameters of one dtype and one step count, laid end to end; each keeps views of the two flat arrays."""

    def __init__(self, params: list[Trainable], step: int) -> None:
        self.params = params
        self.shapes = [p.data.shape for p in params]
        self.step = step
        self.data = np.concatenate([p.data.ravel() for p in params])
        self.grad = np.concatenate([p.grad.ravel() for p in params], dtype=self.data.dtype)
        self.state: State = {}
        self.views = list(zip(params, self.split(self.data), self.split(self.grad), strict=True))
        for p, data, grad in self.views:
            p.data, p.grad = data, grad

    def split(self, flat: np.ndarray) -> list[np.ndarray]:
        """Return each parameter's part of a flat array, in its shape."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])
        return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), self.shapes, strict=True)]

    def state_of(self) -> Iterator[tuple[Trainable, dict[str, Any]]]:
        """Yield each parameter with its step count and its parts of the state."""
        parts = {name: self.split(array) for name, array in self.state.items()}
        for index, p in enumerate(self.params):
            yield p, {"step": self.step, **{name: part[index] for name, part in parts.items()}}

    def intact(self) -> bool:
        """Tell whether every parameter still looks into these arrays, through the very views that it was given.

        The views are held against their base too: a deep copy copies each view into an array of its own.
        """
        for p, data, grad in self.views:
            if p.data is not data or p.grad is not grad or data.base is not self.data or grad.base is not self.grad:
                return False
        return True


class Optimizer:
    """Holds groups of parameters with their settings, and updates them from their gradients.

    A subclass gives its settings to `super().__init__` and writes a rule: `init_state`, `begin` and `update`.

    Args:
        params: parameters, or dicts of a group's "params" and the settings in which it differs.
        defaults: the settings of groups that do not name their own.

    Attributes:
        param_groups: the groups: dicts of "params" and settings, free to change between steps.

    Raises:
        ValueError: for no parameters, a parameter given twice, or a setting out of range.
        TypeError: for what is not a parameter.
    """

    def __init__(self, params: Iterable[Any], defaults: Mapping[str, Any]) -> None:
        self.defaults = dict(defaults)
        self.param_groups: list[Group] = []
        self._shapes: dict[Trainable, tuple[int, ...]] = {}  # of every parameter, as first met
        self._flats: list[list[_Flat]] = []  # a list a group
        self._parked: dict[Trainable, dict[str, Any]] = {}  # state of parameters that lie in no flat just now
        if isinstance(params, np.ndarray) or not isinstance(params, Iterable):
            raise TypeError(
                f"{type(self).__name__} expects an iterable of parameters or of groups, got {type(params).__name__}"
            )
        groups = list(params)
        if not groups:
            raise ValueError(f"{type(self).__name__} got an empty list of parameters")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    # ---- the rule

    def init_state(self, w: np.ndarray, group: Group) -> State:
        """Return the arrays, shaped like `w`, that the rule keeps from step to step, by name."""
        return {}

    def begin(self, group: Group, step: int) -> Any:
        """Return what is one number a step, such as a bias correction; `step` counts from 1."""

    def update(self, w: np.ndarray, g: np.ndarray, state: State, group: Group, scalars: Any) -> None:
        """Update one block of weights `w` and their `state`, in place, from their gradient `g`, which stays as it is."""
        raise NotImplementedError(f"{type(self).__name__} has no update")

    # ---- the groups

    def add_param_group(self, group: Group) -> None:
        """Add a group: a dict of "params" (a parameter or several) and the settings in which it differs.

        Raises:
            ValueError: for no parameters, a parameter that is here already, or a setting out of range.
            TypeError: for what is not a parameter.
        """
        title = type(self).__name__
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f"{title} expects a group to be a dict with 'params', got {group!r}")
        params = [group["params"]] if hasattr(group["params"], "requires_grad") else list(group["params"])
        if not params:
            raise ValueError(f"{title} got a group with an empty list of parameters")
        for p in params:
            if not all(hasattr(p, name) for name in ("data", "grad", "requires_grad")):
                raise TypeError(f"{title} expects parameters with data, grad and requires_grad, got {type(p).__name__}")
        if len(set(params)) < len(params) or any(p in self._shapes for p in params):
            raise ValueError(f"{title} expects each parameter once, got one twice")
        group = {**self.defaults, **group, "params": params}
        self.check_settings(group)
        self.param_groups.append(group)
        self._shapes.update((p, p.data.shape) for p in params)
        self._flats.append([])

    def check_settings(self, group: Group) -> None:
        """Refuse settings out of range.

        Raises:
            ValueError: naming the setting.
        """
        for name, value in group.items():
            test, text = _RANGES.get(name, (None, ""))
            if test is not None and not test(value):
                raise ValueError(f"{type(self).__name__} expects {name} {text}, got {value}")

    # ---- the flat arrays

    def _gathered(self, index: int) -> list[_Flat]:
        """Return the flats of a group, laid out anew where a parameter moved, was frozen or was freed."""
        flats = self._flats[index]
        trainable = [p for p in self.param_groups[index]["params"] if p.requires_grad]
        if sum(len(flat.params) for flat in flats) == len(trainable) and all(
            flat.intact() and all(p.requires_grad for p in flat.params) for flat in flats
        ):
            return flats
        return self._lay_out(index, trainable)

    def _lay_out(self, index: int, trainable: list[Trainable]) -> list[_Flat]:
        for number, p in enumerate(self.param_groups[index]["params"]):
            self._check_arrays(p, f"parameter {number} of group {index}")
        for flat in self._flats[index]:
            self._parked.update(flat.state_of())
        alike: dict[tuple[np.dtype, int], list[Trainable]] = {}
        for p in trainable:
            step = self._parked.setdefault(p, {"step": 0})["step"]
            alike.setdefault((p.data.dtype, step), []).append(p)
        self._flats[index] = [_Flat(params, step) for (_, step), params in alike.items()]
        for flat in self._flats[index]:
            flat.state = self.init_state(flat.data, self.param_groups[index])
            for p, state in flat.state_of():
                for name, kept in self._parked.pop(p).items():
                    if name != "step":
                        state[name][...] = kept
        return self._flats[index]

    def _check_arrays(self, p: Trainable, name: str) -> None:
        """Refuse arrays that cannot be trained."""
        for role in ("data", "grad"):
            array, shape = getattr(p, role), self._shapes[p]
            if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
                kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
                raise TypeError(f"{type(self).__name__} expects {role} of {name} to be a floating array, got {kind}")
            if array.shape != shape:
                raise ValueError(
                    f"{type(self).__name__} expects {role} of {name} to keep its shape {shape}, got {array.shape}: "
                    f"make a new optimizer for reshaped parameters"
                )

    # ---- the steps

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to zero, in place."""
        for index, group in enumerate(self.param_groups):
            for flat in self._gathered(index):
                flat.grad.fill(0)
            for p in group["params"]:
                if not p.requires_grad:
                    p.grad.fill(0)

    def step(self) -> None:
        """Update every parameter that requires its gradient, in place.

        Raises:
            ValueError: where a parameter's arrays have changed their shape; nothing is updated then.
            TypeError: where they are no floating arrays; nothing is updated then.
        """
        flats = [(group, flat) for index, group in enumerate(self.param_groups) for flat in self._gathered(index)]
        work = [(group, flat, self.begin(group, flat.step + 1)) for group, flat in flats]
        for group, flat, scalars in work:
            for start in range(0, flat.data.size, BLOCK):
                block = slice(start, start + BLOCK)
                g = -flat.grad[block] if group["maximize"] else flat.grad[block]
                state = {name: array[block] for name, array in flat.state.items()}
                self.update(flat.data[block], g, state, group, scalars)
            flat.step += 1

    # ---- the state

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the settings and of the state, in PyTorch's form.

        Returns:
            "param_groups": the groups' settings, with numbers for "params"; "state": by those numbers, a dict of each
            parameter's step count and arrays, for the parameters that have been updated.
        """
        state = dict(self._parked)
        for flats in self._flats:
            for flat in flats:
                state.update(flat.state_of())
        numbers = {p: number for number, p in enumerate(self._shapes)}
        groups = [{**group, "params": [numbers[p] for p in group["params"]]} for group in self.param_groups]
        kept = {numbers[p]: state[p] for p in numbers if state.get(p, {"step": 0})["step"]}
        return copy.deepcopy({"state": kept, "param_groups": groups})

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over settings and state that `state_dict()` gave; all of it, or nothing when it raises.

        Raises:
            ValueError: for other numbers of groups or parameters, other names, or arrays of another shape.
        """
        title = type(self).__name__
        try:
            groups, states = state_dict["param_groups"], state_dict["state"]
            found = [len(group["params"]) for group in groups]
        except (KeyError, TypeError) as error:
            raise ValueError(f"{title} expects a state with 'param_groups' and 'state', nothing was loaded") from error
        expected = [len(group["params"]) for group in self.param_groups]
        if found != expected:
            raise ValueError(f"{title} has groups of {expected} parameters, the state of {found}; nothing was loaded")
        new_groups, parked = [], {}
        for own, group in zip(self.param_groups, groups, strict=True):
            if missing := [name for name in self.defaults if name not in group]:
                raise ValueError(f"the state lacks settings of {title}: {', '.join(missing)}; nothing was loaded")
            new_groups.append({**copy.deepcopy(group), "params": own["params"]})
            self.check_settings(new_groups[-1])
            for p, number in zip(own["params"], group["params"], strict=True):
                if number in states:
                    parked[p] = self._checked_state(p, states[number], group)
        self.param_groups[:] = new_groups
        self._flats = [[] for _ in new_groups]
        self._parked = parked

    def _checked_state(self, p: Trainable, state: Mapping[str, Any], group: Group) -> dict[str, Any]:
        """Return a copy of one parameter's loaded state, seen to be what the rule keeps."""
        expected = {"step": (), **{name: array.shape for name, array in self.init_state(p.data, group).items()}}
        found = {name: np.shape(value) for name, value in state.items()}
        if found != expected:
            raise ValueError(
                f"{type(self).__name__} keeps {expected} of a parameter, the state has {found}; nothing was loaded"
            )
        return copy.deepcopy(dict(state))

    def __repr__(self) -> str:
        groups = [{k: v for k, v in group.items() if k != "params"} for group in self.param_groups]
        return f"{type(self).__name__}({', '.join(map(repr, groups))})"
