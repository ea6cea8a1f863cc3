"""Calls as tests make them, each kept as what its arguments are, and not as their values.

An argument is an array of a shape, a setting, or what another call was given or returned. So a call can be written as
code, with other shapes and other settings.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

CALLS_A_FUNCTION = 6  # with different shapes and settings
REMEMBERED = 300  # results of calls, by which later arguments are recognized


# ---- what an argument is


@dataclasses.dataclass(frozen=True)
class Array:
    """An array that is drawn.

    Attributes:
        shape: its shape.
        draw: "normal", "positive", "whole" (small whole numbers, in which ties and zeros occur), "integer", "same"
            (one integer, repeated), or "boolean".
        high: of integers, what they stay below.
        like: the call and the part of its result that it has the shape of, if it is a gradient.
    """

    shape: tuple[int, ...]
    draw: str = "normal"
    high: int = 0
    like: tuple[int, str] | None = None

    def code(self, names: Mapping[int, str]) -> str:
        """Return an expression that draws it."""
        size = f"np.shape({names[self.like[0]]}{self.like[1]})" if self.like else str(self.shape)
        return {
            "normal": f"rng.normal(size={size})",
            "positive": f"rng.uniform(0.1, 0.9, size={size})",
            "whole": f"rng.integers(-2, 3, size={size}).astype(float)",
            "integer": f"rng.integers({self.high}, size={size})",
            "same": f"np.full({size}, {self.high - 1})",
            "boolean": f"rng.random(size={size}) < 0.5",
        }[self.draw]


@dataclasses.dataclass(frozen=True)
class Setting:
    """A number, a text or None."""

    value: Any

    def code(self, names: Mapping[int, str]) -> str:
        """Return it as it is written."""
        return repr(self.value)


@dataclasses.dataclass(frozen=True)
class Result:
    """What another call returned, or a part of it."""

    call: int
    path: str

    def code(self, names: Mapping[int, str]) -> str:
        """Return the name that it is kept under."""
        return names[self.call] + self.path


@dataclasses.dataclass(frozen=True)
class Argument:
    """The array that another call was given."""

    call: int
    name: str

    def code(self, names: Mapping[int, str]) -> str:
        """Return the name that it was given under."""
        return self.name


@dataclasses.dataclass(frozen=True)
class Nest:
    """A tuple, a list or a dict of further arguments."""

    kind: str
    items: tuple[tuple[Any, Any], ...]  # each with its key, or its number

    def code(self, names: Mapping[int, str]) -> str:
        """Return the expression that makes it."""
        items = [item.code(names) for _, item in self.items]
        if self.kind == "dict":
            return "{" + ", ".join(f"{key!r}: {item}" for (key, _), item in zip(self.items, items, strict=True)) + "}"
        inside = ", ".join(items) + "," * (self.kind == "tuple" and len(items) == 1)
        return f"({inside})" if self.kind == "tuple" else f"[{inside}]"


Leaf = Array | Setting | Result | Argument
Spec = Leaf | Nest
Rule = Callable[[str, Any, int], Any]  # of a leaf's name, the leaf, and the number of its call: what takes its place


class NotWritten(Exception):
    """Raised for an argument that cannot be written as code."""


class Call(NamedTuple):
    """A call of a function, of a class, or of a method.

    Attributes:
        number: by which other calls speak of its result.
        function: its name; of a method with its class.
        arguments: by name; those of a method begin with the object.
        after: earlier calls on the same object, which must come before.
    """

    number: int
    function: str
    arguments: tuple[tuple[str, Spec], ...]
    after: tuple[int, ...]

    @property
    def is_constructor(self) -> bool:
        """Whether it makes an object."""
        return self.function.endswith(".__init__")

    @property
    def is_method(self) -> bool:
        """Whether its first argument is an object."""
        return "." in self.function and not self.is_constructor

    def leaves(self) -> list[tuple[str, Leaf]]:
        """Return what the arguments are made of, each with its name, or its key."""
        return [pair for name, spec in self.arguments for pair in leaves_of(name, spec)]

    def needs(self) -> set[int]:
        """Return the numbers of the calls that must come before."""
        return {*self.after, *(leaf.call for _, leaf in self.leaves() if isinstance(leaf, Result | Argument))}

    def changed(self, rule: Rule) -> Call:
        """Return the call with each leaf changed."""
        return self._replace(
            arguments=tuple((name, _changed(name, spec, rule, self.number)) for name, spec in self.arguments)
        )


def leaves_of(name: str, spec: Spec) -> Iterator[tuple[str, Leaf]]:
    if isinstance(spec, Nest):
        for key, item in spec.items:
            yield from leaves_of(str(key) if spec.kind == "dict" else name, item)
    else:
        yield name, spec


def _changed(name: str, spec: Spec, rule: Rule, number: int) -> Spec:
    if isinstance(spec, Nest):
        inner = [(key, str(key) if spec.kind == "dict" else name, item) for key, item in spec.items]
        return Nest(spec.kind, tuple((key, _changed(label, item, rule, number)) for key, label, item in inner))
    return rule(name, spec, number)


# ---- recording


class Recorder:
    """Notes which calls tests make, of each kind one.

    Attributes:
        calls: in their order.
        ran: the names of all functions that ran, also those that others called.
        module: the names of the reference's module.
        is_on: whether calls are noted.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.ran: set[str] = set()
        self.module: dict[str, Any] = {}
        self.is_on = True
        self._depth = 0
        self._known: dict[Any, int] = {}
        self._shapes: dict[int, dict[str, tuple[int, ...]]] = {}  # of a call's results
        self._results: deque[tuple[Any, int]] = deque(maxlen=REMEMBERED)
        self._given: deque[tuple[Any, int, str]] = deque(maxlen=REMEMBERED)  # arrays, by call and name
        self._latest: dict[tuple[int, str], int] = {}  # of an object and a method: the last call

    def watch(self, module: dict[str, Any]) -> None:
        """Put a watcher in the place of each function and method that a module defines."""
        self.module = module
        for name, value in list(module.items()):
            if getattr(value, "__module__", None) != module["__name__"]:
                continue
            if inspect.isfunction(value):
                module[name] = self._watched(value, value.__name__)
            elif inspect.isclass(value):
                for key, method in list(vars(value).items()):
                    if inspect.isfunction(method) and (key == "__init__" or not key.startswith("__")):
                        setattr(value, key, self._watched(method, f"{name}.{key}"))

    def _watched(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            number = None
            self.ran.add(name)
            if self.is_on and not self._depth:
                with contextlib.suppress(NotWritten, TypeError):
                    number = self._note(name, signature.bind(*args, **kwargs).arguments)
            self._depth += 1
            try:
                result = function(*args, **kwargs)
            finally:
                self._depth -= 1
            if number is not None:
                result_of_call = args[0] if name.endswith(".__init__") else result
                self._results.append((result_of_call, number))
                self._shapes.setdefault(number, {path: np.shape(v) for path, v in flat(result) if np.ndim(v)})
            return result

        return watched

    def _note(self, name: str, arguments: Mapping[str, Any]) -> int:
        """Enter a call, or find the one like it; return its number."""
        given = dict(arguments)
        owner: Any = next(iter(given.values())) if "." in name else None
        if name.endswith(".__init__"):
            given.pop(next(iter(given)))
        is_method = owner is not None and not name.endswith(".__init__")
        after = sorted(k for (of, other), k in self._latest.items() if is_method and of == id(owner) and other != name)
        before = self._linked(given)
        call = Call(-1, name, tuple((key, self._spec(value, before)) for key, value in given.items()), tuple(after))
        call = call.changed(self._gradient(call.needs()))
        if call not in self._known:
            if sum(other.function == name for other in self.calls) >= CALLS_A_FUNCTION:
                raise NotWritten
            self._known[call] = len(self.calls)
            self.calls.append(call._replace(number=len(self.calls)))
        number = self._known[call]
        if is_method:
            self._latest[id(owner), name] = number
        self._given.extend((value, number, key) for key, value in given.items() if isinstance(value, np.ndarray))
        return number

    def _spec(self, value: Any, before: Mapping[int, Argument]) -> Spec:
        """Return what an argument is."""
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, bool | int | float | str):
            return Setting(value)
        if id(value) in before:
            return before[id(value)]
        for result, number in reversed(self._results):
            if (path := _path_in(result, value)) is not None:
                return Result(number, path)
        if isinstance(value, np.ndarray):
            return _array(value)
        if isinstance(value, dict):
            return Nest("dict", tuple((key, self._spec(item, before)) for key, item in value.items()))
        if type(value) in (tuple, list):
            return Nest(type(value).__name__, tuple((k, self._spec(item, before)) for k, item in enumerate(value)))
        raise NotWritten

    def _linked(self, given: Mapping[str, Any]) -> dict[int, Argument]:
        """Return the arrays that an earlier call was given too, if one here is shaped like what that call returned."""
        arrays = [value for value in given.values() if isinstance(value, np.ndarray)]
        shared: dict[int, dict[int, Argument]] = {}
        for array, number, name in self._given:
            if any(array is other for other in arrays):
                shared.setdefault(number, {})[id(array)] = Argument(number, name)
        for number, found in reversed(shared.items()):
            rest = [array.shape for array in arrays if id(array) not in found]
            if any(shape in self._shapes.get(number, {}).values() for shape in rest):
                return found
        return {}

    def _gradient(self, needed: set[int]) -> Rule:
        """Return the rule by which an array shaped like what an earlier call returned says so."""

        def rule(name: str, leaf: Any, number: int) -> Any:
            if isinstance(leaf, Array) and leaf.draw in ("normal", "positive"):
                for other in sorted(needed, reverse=True):
                    for path, shape in self._shapes.get(other, {}).items():
                        if shape == leaf.shape:
                            return Array(leaf.shape, "normal", like=(other, path))
            return leaf

        return rule


def _array(value: np.ndarray) -> Array:
    if value.dtype.kind == "b":
        return Array(value.shape, "boolean")
    if value.dtype.kind in "iu":
        is_index = value.size > 0 and value.min() >= 0
        return Array(value.shape, "integer", int(value.max()) + 1) if is_index else Array(value.shape, "whole")
    if value.dtype.kind != "f":
        raise NotWritten
    return Array(value.shape, "positive" if value.size > 3 and (value > 0).all() else "normal")


def _path_in(result: Any, value: Any) -> str | None:
    """Return where in a result a value is."""
    if result is value:
        return ""
    items: Any = ()
    if isinstance(result, tuple | list):
        items = enumerate(result)
    elif isinstance(result, dict):
        items = result.items()
    for key, item in items:
        if (path := _path_in(item, value)) is not None:
            return f"[{key!r}]{path}"
    return None


def flat(value: Any, path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays and numbers in what a call returned, with their places."""
    if isinstance(value, np.ndarray | np.generic | float | int) and not isinstance(value, str):
        if np.asarray(value).dtype.kind in "biuf":
            yield path, np.asarray(value)
    elif isinstance(value, dict | tuple | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from flat(item, f"{path}[{key!r}]")
