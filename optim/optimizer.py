"""The base of optimizers: groups of parameters, laid end to end, and a rule run over them block by block.

A rule is plain code over whole arrays. What makes it fast is the layout: the parameters of a group become views of one
flat array (Torch7's getParameters), so that one sweep updates them all, in blocks that stay in the cache.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

import numpy as np

BLOCK = 1 << 17  # elements a block: 512 KB of float32, of which a rule touches a handful of arrays


class Trainable(Protocol):
    """What an optimizer needs of a parameter."""

    data: np.ndarray
    grad: np.ndarray
    requires_grad: bool


Group = dict[str, Any]
State = dict[str, np.ndarray]

# What a setting must be: a test, so put that NaN fails it, and its words.
Range = tuple[Callable[[Any], bool], str]
AT_LEAST_0: Range = (lambda value: value >= 0, "a number of at least 0")

# The settings that are checked, whichever rule they belong to.
_RANGES: dict[str, Range] = {
    "lr": AT_LEAST_0,
    "momentum": AT_LEAST_0,
    "weight_decay": AT_LEAST_0,
    "eps": AT_LEAST_0,
    "alpha": AT_LEAST_0,
    "betas": (lambda betas: len(betas) == 2 and all(0 <= beta < 1 for beta in betas), "two numbers in [0, 1)"),
}


class _Flat(NamedTuple):
    """Parameters of one group, dtype and step count, laid end to end."""

    group: int  # its index
    states: list[dict[str, Any]]  # of each parameter: its step count, and its views of the rule's arrays
    grad: np.ndarray
    blocks: list[tuple[np.ndarray, np.ndarray, State]]  # what the rule is given: views of weights, gradient, state

    @property
    def step(self) -> int:
        return self.states[0]["step"]


def _split(flat: np.ndarray, like: list[np.ndarray]) -> list[np.ndarray]:
    """Return views of the successive parts of a flat array, shaped and ordered in memory like these arrays."""
    ends = list(accumulate(array.size for array in like))
    parts = zip(np.split(flat, ends[:-1]), like, strict=True)
    return [part.reshape(array.shape, order="F" if array.flags.fnc else "C") for part, array in parts]


def _make_plain(group: Group) -> None:
    """Turn NumPy's scalars into Python's: next to a float32 array a NumPy float64 would widen the computation."""
    for name, value in group.items():
        if isinstance(value, np.generic):
            group[name] = value.item()


class Optimizer:
    """Holds groups of parameters with their settings, and updates them from their gradients.

    A subclass gives its settings to `super().__init__` and writes a rule: `update`, and where it needs them
    `init_state` and `begin`.

    Args:
        params: parameters, or dicts of a group's "params" and the settings in which it differs.
        defaults: the settings of groups that do not name their own. "maximize" is the base's: True climbs.

    Attributes:
        param_groups: the groups: dicts of "params" and settings, free to change between steps.

    Raises:
        ValueError: for no parameters, a parameter given twice, or a setting out of range.
        TypeError: for what is not a parameter.

    Example:
        >>> from nn import Parameter
        >>> class SignSGD(Optimizer):
        ...     def update(self, w, g, state, group, scalars):
        ...         w -= group["lr"] * np.sign(g)
        >>> p = Parameter([1.0, 2.0])
        >>> p.grad += [5, -5]
        >>> SignSGD([p], {"lr": 0.5}).step()
        >>> p.data
        array([0.5, 2.5])
    """

    def __init__(self, params: Iterable[Any], defaults: Mapping[str, Any]) -> None:
        self.defaults = dict(defaults)
        self.param_groups: list[Group] = []
        self._shapes: dict[Trainable, tuple[int, ...]] = {}  # of every parameter, as first met
        self._state: dict[Trainable, dict[str, Any]] = {}  # of those met in a step: "step" and the rule's arrays
        self._flats: list[_Flat] = []
        self._views: dict[Trainable, tuple[np.ndarray, np.ndarray]] = {}  # the data and grad that those in flats got
        self.check_settings(self.defaults)
        if isinstance(params, np.ndarray) or not isinstance(params, Iterable):
            raise TypeError(
                f"{type(self).__name__} expects an iterable of parameters or of groups, got {type(params).__name__}"
            )
        groups = self._listed(params)
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
        """Update one block of weights `w` and their `state`, in place, from their gradient `g`, which stays as it is.

        `scalars` is what `begin` returned.
        """
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
        params = [group["params"]] if hasattr(group["params"], "requires_grad") else self._listed(group["params"])
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

    def _listed(self, params: Iterable[Any]) -> list[Any]:
        if isinstance(params, set | frozenset):  # states number the parameters by their order
            raise TypeError(f"{type(self).__name__} expects parameters in a fixed order, got a set")
        return list(params)

    def check_settings(self, group: Group) -> None:
        """Refuse settings out of range.

        Raises:
            ValueError: naming the setting.
            TypeError: for what is not made of numbers.
        """
        for name, (test, text) in _RANGES.items():
            if name not in group:
                continue
            message = f"{type(self).__name__} expects {name} to be {text}, got {group[name]!r}"
            try:
                fits = test(group[name])
            except TypeError:
                raise TypeError(message) from None
            if not fits:
                raise ValueError(message)

    # ---- the flat arrays

    def _gathered(self) -> list[_Flat]:
        """Return the flats, laid out anew where a parameter was moved, frozen, freed or added since the last time."""
        trainable = [p for group in self.param_groups for p in group["params"] if p.requires_grad]
        moved = any(p.data is not data or p.grad is not grad for p, (data, grad) in self._views.items())
        if moved or trainable != list(self._views):
            self._lay_out(trainable)
        return self._flats

    def _lay_out(self, trainable: list[Trainable]) -> None:
        for index, group in enumerate(self.param_groups):
            for number, p in enumerate(group["params"]):
                if p.requires_grad:
                    self._check_arrays(p, f"parameter {number} of group {index}")
        starts = [p.data.__array_interface__["data"][0] for p in trainable if p.data.size]
        if len(set(starts)) < len(starts):
            raise ValueError(
                f"{type(self).__name__} expects each parameter to have memory of its own, got two whose data are the "
                f"same memory: to share weights, use the one parameter in both places"
            )
        alike: dict[tuple[int, np.dtype, int], list[Trainable]] = {}
        for index, group in enumerate(self.param_groups):
            for p in group["params"]:
                if p.requires_grad:
                    step = self._state.setdefault(p, {"step": 0})["step"]
                    alike.setdefault((index, p.data.dtype, step), []).append(p)
        self._flats = [self._flat(index, params) for (index, _, _), params in alike.items()]
        self._views = {p: (p.data, p.grad) for p in trainable}

    def _flat(self, index: int, params: list[Trainable]) -> _Flat:
        """Lay parameters end to end, with what state they have, and give each of them its views."""
        like = [p.data for p in params]
        data = np.concatenate([array.ravel("A") for array in like])  # A: in its own order of memory
        grad = np.empty_like(data)
        state = self.init_state(data, self.param_groups[index])
        for p, w, g in zip(params, _split(data, like), _split(grad, like), strict=True):
            g[...] = p.grad
            p.data, p.grad = w, g
        states = [self._state[p] for p in params]
        for name, array in state.items():
            for kept, view in zip(states, _split(array, like), strict=True):
                if name in kept:
                    view[...] = kept[name]
                kept[name] = view
        blocks = [slice(start, start + BLOCK) for start in range(0, data.size, BLOCK)]
        cut = [(data[block], grad[block], {name: array[block] for name, array in state.items()}) for block in blocks]
        return _Flat(index, states, grad, cut)

    def _check_arrays(self, p: Trainable, name: str) -> None:
        """Refuse arrays that cannot be trained."""
        shape = self._shapes[p]
        for role, array in (("data", p.data), ("grad", p.grad)):
            if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
                kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
                raise TypeError(f"{type(self).__name__} expects {role} of {name} to be a floating array, got {kind}")
            if array.shape != shape:
                raise ValueError(
                    f"{type(self).__name__} expects {role} of {name} to keep its shape {shape}, got {array.shape}: "
                    f"make a new optimizer for reshaped parameters"
                )

    def __getstate__(self) -> dict[str, Any]:
        # A copy's views would look into arrays of their own and train nothing: it lays its parameters out by itself.
        return {**vars(self), "_flats": [], "_views": {}}

    # ---- the steps

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to zero, in place; those of frozen ones too.

        Raises:
            ValueError, TypeError: as `step`.
        """
        for flat in self._gathered():
            flat.grad.fill(0)
        for group in self.param_groups:
            for p in group["params"]:
                if not p.requires_grad:
                    p.grad.fill(0)

    def step(self) -> None:
        """Update every parameter that requires its gradient, in place.

        Raises:
            ValueError: where a parameter's arrays have changed their shape; nothing is updated then.
            TypeError: where they are no floating arrays; nothing is updated then.
        """
        work = []
        for flat in self._gathered():
            group = self.param_groups[flat.group]
            _make_plain(group)
            work.append((flat, group, self.begin(group, flat.step + 1)))
        for flat, group, scalars in work:
            maximize = group.get("maximize")
            for w, g, state in flat.blocks:
                self.update(w, -g if maximize else g, state, group, scalars)
            for kept in flat.states:
                kept["step"] += 1

    # ---- the state

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the settings and of the state, in PyTorch's form.

        Returns:
            "param_groups": the groups' settings, with numbers for "params"; "state": by those numbers, a dict of each
            parameter's step count and arrays, for the parameters that have been updated.
        """
        numbers = {p: number for number, p in enumerate(self._shapes)}
        groups = [{**group, "params": [numbers[p] for p in group["params"]]} for group in self.param_groups]
        state = {number: self._state[p] for p, number in numbers.items() if self._state.get(p, {"step": 0})["step"]}
        return copy.deepcopy({"state": state, "param_groups": groups})

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over settings and state that `state_dict()` gave; all of it, or nothing when it raises.

        Raises:
            ValueError: for other numbers of groups or parameters, other names, arrays of another shape, or settings
                out of range.
            TypeError: for arrays of what are not real numbers.
        """
        title = type(self).__name__
        try:
            groups, states = state_dict["param_groups"], dict(state_dict["state"])
            found = [len(group["params"]) for group in groups]
        except (KeyError, TypeError) as error:
            raise ValueError(f"{title} expects a state with 'param_groups' and 'state', nothing was loaded") from error
        expected = [len(group["params"]) for group in self.param_groups]
        if found != expected:
            raise ValueError(f"{title} has groups of {expected} parameters, the state of {found}; nothing was loaded")
        new_groups, new_state = [], {}
        for own, group in zip(self.param_groups, groups, strict=True):
            if missing := [name for name in self.defaults if name not in group]:
                raise ValueError(f"the state lacks settings of {title}: {', '.join(missing)}; nothing was loaded")
            new_groups.append({**copy.deepcopy(group), "params": own["params"]})
            self.check_settings(new_groups[-1])
            for p, number in zip(own["params"], group["params"], strict=True):
                if number in states:
                    new_state[p] = self._checked_state(p, number, states.pop(number), group)
        if states:
            raise ValueError(f"the state is of parameters {list(states)} too, which no group has; nothing was loaded")
        self.param_groups[:] = new_groups
        self._state = new_state
        self._flats, self._views = [], {}

    def _checked_state(self, p: Trainable, number: int, state: Mapping[str, Any], group: Group) -> dict[str, Any]:
        """Return a copy of one parameter's loaded state, seen to be what the rule keeps."""
        arrays = self.init_state(p.data, group)
        expected = {"step": (), **{name: array.shape for name, array in arrays.items()}}
        found = {name: np.shape(value) for name, value in state.items()}
        title = type(self).__name__
        if found != expected:
            raise ValueError(
                f"{title} keeps {expected} of parameter {number}, the state has {found}; nothing was loaded"
            )
        for name, array in arrays.items():
            try:
                np.copyto(array, state[name], casting="same_kind")
            except TypeError as error:
                raise TypeError(
                    f"{title} cannot keep {name} of parameter {number}; nothing was loaded: {error}"
                ) from None
        return {"step": int(state["step"]), **arrays}

    def __repr__(self) -> str:
        groups = [{k: v for k, v in group.items() if k != "params"} for group in self.param_groups]
        return f"{type(self).__name__}({', '.join(map(repr, groups))})"
