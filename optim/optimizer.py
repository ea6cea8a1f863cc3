"""The base of optimizers: groups of parameters, laid end to end, and a rule run over them block by block.

A rule is plain code over whole arrays. What makes it fast is the layout: the parameters of a group become views of one
flat array (Torch7's getParameters), so that one sweep updates them all, in blocks that stay in the cache.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from operator import is_
from typing import Any, ClassVar, Never, Self

import numpy as np

from .flat import Flat, Group, State, Trainable, check_arrays, check_memory, lay_out
from .settings import Range, checked, plain, refuse_foreign

# What a loaded step count may be: PyTorch's is a float.
STEP = Range((int, float), lambda step: step >= 0 and step % 1 == 0, "a whole number of at least 0")


class Handle:
    """What registering a hook gives: `remove()` takes the hook away again."""

    def __init__(self, hooks: dict[Handle, Callable[..., Any]]) -> None:
        self._hooks = hooks

    def remove(self) -> None:
        """Take the hook away; nothing happens where it is gone already."""
        self._hooks.pop(self, None)


class Optimizer:
    """Holds groups of parameters with their settings, and updates them from their gradients.

    A subclass gives its settings to `super().__init__`, says in `ranges` what they may be, and writes a rule: `update`,
    and where it needs them `init_state` and `begin`. `equations` states the same rule as text, one step of one entry,
    in the language in which layers state theirs: `w` is the weight and `g` its gradient, `t` counts the steps from 1,
    settings go by their own names, and `symbols` ties shorter ones to settings and to arrays of the state. `m` is a
    value before the step and `m_new` after it; the last line states `w_new`.

    Args:
        params: parameters, or dicts of a group's "params" and the settings in which it differs.
        defaults: the settings of groups that do not name their own. "maximize" is the base's: True climbs.

    Attributes:
        param_groups: the groups: dicts of "params" and settings, free to change between steps.

    Raises:
        ValueError: for no parameters, a parameter given twice, or a setting out of range.
        TypeError: for what is not a parameter, and for keywords of PyTorch's that mean nothing here.

    Example:
        >>> from nn import Parameter
        >>> class SignSGD(Optimizer):
        ...     symbols = {"eta": "lr"}
        ...     equations = "w_new = w - eta * sign(g)"
        ...     def update(self, w, g, state, group, scalars):
        ...         w -= group["lr"] * np.sign(g)
        >>> p = Parameter([1.0, 2.0])
        >>> p.grad += [5, -5]
        >>> SignSGD([p], {"lr": 0.5}).step()
        >>> p.data
        array([0.5, 2.5])
    """

    ranges: ClassVar[Mapping[str, Range]] = {}
    symbols: ClassVar[Mapping[str, str]] = {}
    equations: ClassVar[str] = ""

    def __new__(cls, *args: Any, **settings: Any) -> Self:
        refuse_foreign(cls.__name__, settings)
        return super().__new__(cls)

    def __init__(self, params: Iterable[Any], defaults: Mapping[str, Any]) -> None:
        self.defaults = dict(defaults)
        self.param_groups: list[Group] = []
        self._shapes: dict[Trainable, tuple[int, ...]] = {}  # of every parameter, as first met
        self._state: dict[Trainable, dict[str, Any]] = {}  # of those met in a step: "step" and the rule's arrays
        self._flats: list[Flat] = []
        self._views: dict[Trainable, tuple[np.ndarray, np.ndarray]] = {}  # the data and grad that those in flats got
        self._checked: dict[int, list[Any]] = {}  # of each group, by its index: its values, as last checked
        self._step_pre_hooks: dict[Handle, Callable[..., Any]] = {}
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
        """Turn a group's settings into Python's own types, in place, and refuse those out of range.

        Raises:
            ValueError: naming the setting.
            TypeError: for another type.
        """
        title = type(self).__name__
        if missing := [name for name in self.defaults if name not in group]:
            raise ValueError(f"a group lacks settings of {title}: {', '.join(missing)}")
        for name in self.defaults:
            value, allowed = group[name], self.ranges.get(name)
            group[name] = checked(title, name, value, allowed) if allowed else plain(value)

    def _check_groups(self) -> None:
        """Check the settings of the groups in which one is another object than at the last check."""
        for index, group in enumerate(self.param_groups):
            known = self._checked.get(index, [])
            if len(known) == len(group) and all(map(is_, known, group.values())):
                continue
            switches = [value for value in known if isinstance(value, bool)]
            self.check_settings(group)
            self._checked[index] = list(group.values())
            if switches != [value for value in group.values() if isinstance(value, bool)]:
                self._views = {}  # a switch, such as amsgrad, may change which arrays the rule keeps: lay out anew

    # ---- the flat arrays

    def flat_parameters(self) -> list[np.ndarray]:
        """Return the arrays that hold all trainable parameters, in the order of groups, then dtypes.

        Parameters of other step counts, such as those that were frozen for a while, have an array of their own. These
        are the live arrays: what is written to them is written to the parameters, until one is moved, frozen or added.

        Raises:
            ValueError, TypeError: as `step`.
        """
        return [flat.data for flat in self._laid_out()]

    def flat_gradients(self) -> list[np.ndarray]:
        """Return the arrays that hold their gradients, as `flat_parameters`."""
        return [flat.grad for flat in self._laid_out()]

    def flat_groups(self) -> list[Flat]:
        """Return these arrays with what belongs to them: the index of the group, the rule's arrays, the step counts.

        The same list as the last time means that nothing was moved, frozen or added. For who runs the rule elsewhere:
        after a step of theirs, the `step` of each of the `states` is to be one more.
        """
        return self._laid_out()

    @property
    def step_pre_hooks(self) -> list[Callable[..., Any]]:
        """What `register_step_pre_hook` has registered."""
        return list(self._step_pre_hooks.values())

    def _laid_out(self) -> list[Flat]:
        """Return the flats, laid out anew where a parameter was moved, frozen, freed or added since the last time."""
        self._check_groups()
        trainable = [p for group in self.param_groups for p in group["params"] if p.requires_grad]
        moved = any(p.data is not data or p.grad is not grad for p, (data, grad) in self._views.items())
        if moved or trainable != list(self._views):
            self._lay_out(trainable)
        return self._flats

    def _lay_out(self, trainable: list[Trainable]) -> None:
        names = {
            p: f"parameter {number} of group {index}"
            for index, group in enumerate(self.param_groups)
            for number, p in enumerate(group["params"])
        }
        for p, shape in self._shapes.items():
            if 0 in shape and p.data.shape != shape:  # held nothing, as in a lazy layer before its first input
                self._shapes[p] = p.data.shape
                self._state.pop(p, None)
        check_arrays(type(self).__name__, names, self._shapes)
        check_memory(type(self).__name__, names)
        for p in trainable:
            self._state.setdefault(p, {"step": 0})
        self._flats = []
        for index, group in enumerate(self.param_groups):
            alike: dict[np.dtype, dict[int, list[Trainable]]] = {}
            for p in group["params"]:
                if p.requires_grad:
                    alike.setdefault(p.data.dtype, {}).setdefault(self._state[p]["step"], []).append(p)
            for runs in alike.values():
                self._flats += [lay_out(index, group, run, self._state, self.init_state) for run in runs.values()]
        self._views = {p: (p.data, p.grad) for p in trainable}

    def __getstate__(self) -> dict[str, Any]:
        # A copy's views would look into arrays of their own and train nothing: it lays its parameters out by itself.
        return {**vars(self), "_flats": [], "_views": {}, "_step_pre_hooks": {}}

    # ---- the steps

    def zero_grad(self, **unknown: Never) -> None:
        """Set the gradients of all parameters to zero, in place; those of frozen ones too.

        Raises:
            ValueError, TypeError: as `step`; also for any argument, such as PyTorch's set_to_none.
        """
        if unknown:
            call = f"{type(self).__name__}.zero_grad()"
            refuse_foreign(call, unknown)
            raise TypeError(f"{call} takes no arguments, got {', '.join(unknown)}")
        for flat in self._laid_out():
            flat.grad.fill(0)
        for group in self.param_groups:
            for p in group["params"]:
                if not p.requires_grad:
                    p.grad.fill(0)

    def step(self) -> None:
        """Update every parameter that requires its gradient, in place.

        Raises:
            ValueError: for a setting out of range, or parameters' arrays that have changed their shape or share memory.
            TypeError: for settings or arrays of another type. Nothing is updated when it raises.
        """
        for hook in list(self._step_pre_hooks.values()):
            hook(self, (), {})
        work = []
        for flat in self._laid_out():
            group = self.param_groups[flat.group]
            work.append((flat, group, self.begin(group, flat.states[0]["step"] + 1)))
        for flat, group, scalars in work:
            maximize = group.get("maximize")
            for w, g, state in flat.blocks:
                self.update(w, -g if maximize else g, state, group, scalars)
            for kept in flat.states:
                kept["step"] += 1

    def register_step_pre_hook(self, hook: Callable[[Optimizer, tuple[()], dict[str, Any]], object]) -> Handle:
        """Have `hook(optimizer, args, kwargs)` called at the beginning of each step; copies of the optimizer have none.

        The hook has PyTorch's form, but `step` takes no arguments: `args` and `kwargs` are empty, and what the hook
        returns is not used. It may change gradients and settings.

        Returns:
            A handle, whose `remove()` takes the hook away.

        Raises:
            TypeError: for what cannot be called.
        """
        if not callable(hook):
            raise TypeError(f"{type(self).__name__} expects a hook to be a function, got {hook!r}")
        handle = Handle(self._step_pre_hooks)
        self._step_pre_hooks[handle] = hook
        return handle

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
                or step counts out of range.
            TypeError: for settings, step counts or arrays of another type.
        """
        title = type(self).__name__
        try:
            groups, states = [dict(group) for group in state_dict["param_groups"]], dict(state_dict["state"])
            groups = copy.deepcopy(groups)
            found = [len(group["params"]) for group in groups]
            numbers = {number for group in groups for number in group["params"]}
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f"{title} expects a state with 'param_groups' and 'state', nothing was loaded") from error
        expected = [len(group["params"]) for group in self.param_groups]
        if found != expected:
            raise ValueError(f"{title} has groups of {expected} parameters, the state of {found}; nothing was loaded")
        if len(numbers) < sum(found):
            raise ValueError(f"{title} expects a state that numbers each parameter once; nothing was loaded")
        new_state = {}
        for own, group in zip(self.param_groups, groups, strict=True):
            self.check_settings(group)
            for p, number in zip(own["params"], group["params"], strict=True):
                if number in states:
                    new_state[p] = self._checked_state(p, number, states.pop(number), group)
            group["params"] = own["params"]
        if states:
            raise ValueError(
                f"{title} got a state of parameters {list(states)} too, which no group has; nothing was loaded"
            )
        self.param_groups[:] = groups
        self._state = new_state
        self._flats, self._views = [], {}

    def _checked_state(self, p: Trainable, number: int, state: Mapping[str, Any], group: Group) -> dict[str, Any]:
        """Return a copy of one parameter's loaded state, checked to be what the rule keeps."""
        arrays = self.init_state(p.data, group)
        expected = {"step": (), **{name: array.shape for name, array in arrays.items()}}
        title = type(self).__name__
        found: Any
        try:
            found = (
                {name: np.shape(value) for name, value in state.items()} if isinstance(state, Mapping) else repr(state)
            )
        except (TypeError, ValueError) as error:  # what is no array; lists of unequal lengths
            found = str(error)
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
        step = checked(title, f"the step of parameter {number}", state["step"], STEP)
        return {"step": int(step), **arrays}

    def __repr__(self) -> str:
        groups = [{k: v for k, v in group.items() if k != "params"} for group in self.param_groups]
        return f"{type(self).__name__}({', '.join(map(repr, groups))})"
