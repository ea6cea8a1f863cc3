"""Calls as tests make them, recorded; varied; and the input on which a wrong answer differs from the reference.

A recorded call is kept as what its arguments are, not as their values: an array of a shape, a setting, what another
call returned. So it can be written as code, with other shapes and other settings, and what is run to find a difference
is the very code that is shown.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import itertools
import textwrap
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

CALLS_A_FUNCTION = 6  # with different shapes and settings
REMEMBERED = 300  # results of calls, by which later arguments are recognized
VARIANTS = 200
SECONDS = 8.0  # after which no further variant is tried on a wrong answer
SAME = 1e-6  # relative: what differs by less is rounding
FEW = 8  # entries of an array that is written out; of others, a sum with random weights


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
        return [pair for name, spec in self.arguments for pair in _leaves(name, spec)]

    def needs(self) -> set[int]:
        """Return the numbers of the calls that must come before."""
        return {*self.after, *(leaf.call for _, leaf in self.leaves() if isinstance(leaf, Result | Argument))}

    def changed(self, rule: Rule) -> Call:
        """Return the call with each leaf changed."""
        return self._replace(
            arguments=tuple((name, _changed(name, spec, rule, self.number)) for name, spec in self.arguments)
        )


def _leaves(name: str, spec: Spec) -> Iterator[tuple[str, Leaf]]:
    if isinstance(spec, Nest):
        for key, item in spec.items:
            yield from _leaves(str(key) if spec.kind == "dict" else name, item)
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


# ---- a chain of calls, as code


class Chain(NamedTuple):
    """A call with those that it needs before it, and what is special about its inputs."""

    calls: tuple[Call, ...]
    said: str

    def names(self) -> dict[int, str]:
        """Return the variable that the result of each call is kept under."""
        *before, last = self.calls
        names: dict[int, str] = {}
        for call in before:  # one that is made twice has one name
            word = call.function.partition(".")[0].lower() if call.is_constructor else "out"
            names.setdefault(call.number, word if word not in names.values() else f"{word}{call.number}")
        return names | {last.number: "result"}

    def code(self) -> str:
        """Return the lines that draw the arguments and make the calls."""
        names = self.names()
        lines: list[str] = []
        for call in self.calls:
            given: list[str] = []
            for name, spec in call.arguments:
                if isinstance(spec, Array | Nest) and any(isinstance(leaf, Array) for _, leaf in _leaves(name, spec)):
                    lines += [f"{name} = {spec.code(names)}"]
                    given.append(name)
                else:
                    given.append(spec.code(names))
            function = call.function.removesuffix(".__init__")
            if call.is_method:
                function = f"{given.pop(0)}.{function.partition('.')[2]}"
            lines.append(f"{names[call.number]} = {function}({', '.join(given)})")
        return "\n".join(lines)

    def changed(self, rule: Rule, said: str) -> Chain:
        """Return the chain with each leaf of each call changed."""
        return Chain(tuple(call.changed(rule) for call in self.calls), ", ".join(filter(None, (self.said, said))))

    def leaves(self) -> list[tuple[int, str, Leaf]]:
        """Return the leaves of all calls, each with the number of the call and its name."""
        return [(call.number, name, leaf) for call in self.calls for name, leaf in call.leaves()]


def chain_of(call: Call, calls: Sequence[Call]) -> Chain:
    """Return a call with those that it needs."""
    needed, new = {call.number}, {call.number}
    while new:
        new = set().union(*(calls[number].needs() for number in new)) - needed
        needed |= new
    return Chain(tuple(calls[number] for number in sorted(needed)), "")


# ---- other inputs of the same kind


def variants(chain: Chain) -> Iterator[Chain]:
    """Yield a chain with other inputs: ties and zeros, repeated indices, other settings, other sizes, and several."""
    values = list(_other_values(chain))
    settings, sizes = list(_other_settings(chain)), list(_other_sizes(chain))
    yield chain
    if chain.calls[-1].is_method:
        again = [call for call in chain.calls if not call.is_constructor]
        yield Chain((*chain.calls, *again), "called twice")
    yield from values
    yield from settings
    yield from sizes
    for first, others in ((values, _other_settings), (values, _other_sizes), (sizes, _other_settings)):
        for changed in first:
            yield from others(changed)


def _other_values(chain: Chain) -> Iterator[Chain]:
    def drawn(name: str, leaf: Any, number: int) -> Any:
        is_float = isinstance(leaf, Array) and leaf.draw == "normal" and leaf.like is None
        return dataclasses.replace(leaf, draw="whole") if is_float else leaf

    def repeated(name: str, leaf: Any, number: int) -> Any:
        is_index = isinstance(leaf, Array) and leaf.draw == "integer"
        return dataclasses.replace(leaf, draw="same") if is_index else leaf

    for rule, said in ((drawn, "small whole numbers, so that zeros and ties occur"), (repeated, "a repeated index")):
        if (changed := chain.changed(rule, said)).calls != chain.calls:
            yield changed


def _other_settings(chain: Chain) -> Iterator[Chain]:
    leaves = sorted(chain.leaves(), key=lambda found: "stride" not in found[1])  # below the kernel, windows overlap
    for place, name, leaf in leaves:
        if not isinstance(leaf, Setting) or leaf.value is None:
            continue
        value = leaf.value
        others: list[Any] = []
        if isinstance(value, bool):
            others = [not value]
        elif isinstance(value, int):
            others = [other for other in (value - 1, 1, value + 1, 2, 3, 0) if other >= min(value, 0)]
        elif isinstance(value, float):
            others = [value / 2, 2 * value + 0.1]
        elif isinstance(value, str):
            others = {"train": ["test", "eval"], "test": ["train"], "eval": ["train"]}.get(value, [])
        for other in dict.fromkeys(o for o in others if o != value):

            def rule(key: str, old: Any, at: int, what: Any = (place, name, leaf, Setting(other))) -> Any:
                return what[3] if (at, key, old) == what[:3] else old

            yield chain.changed(rule, f"{name} {other!r}")


def _other_sizes(chain: Chain) -> Iterator[Chain]:
    arrays = [leaf for _, _, leaf in chain.leaves() if isinstance(leaf, Array) and leaf.like is None]
    first = {leaf.shape[0] for leaf in arrays if leaf.shape}
    for size in dict.fromkeys(size for leaf in arrays for size in leaf.shape):
        for other in dict.fromkeys((1, size + 1, size + 2, max(size - 1, 1), 3)):
            if other == size:
                continue

            def anywhere(name: str, leaf: Any, at: int, old: int = size, new: int = other) -> Any:
                if isinstance(leaf, Array):
                    shape = tuple(new if n == old else n for n in leaf.shape)
                    return dataclasses.replace(leaf, shape=shape, high=new if leaf.high == old else leaf.high)
                is_size = isinstance(leaf, Setting) and leaf.value == old and not isinstance(leaf.value, bool)
                return Setting(new) if is_size and isinstance(leaf.value, int) else leaf

            def in_front(name: str, leaf: Any, at: int, old: int = size, new: int = other) -> Any:
                is_batch = isinstance(leaf, Array) and leaf.shape[:1] == (old,)
                return dataclasses.replace(leaf, shape=(new, *leaf.shape[1:])) if is_batch else leaf

            def behind(name: str, leaf: Any, at: int, old: int = size, new: int = other) -> Any:
                if not isinstance(leaf, Array) or not leaf.shape:
                    return leaf
                shape = (leaf.shape[0], *(new if n == old else n for n in leaf.shape[1:]))
                return dataclasses.replace(leaf, shape=shape)

            if size in first:
                yield chain.changed(in_front, f"{other} in place of {size} along the first axis")
            yield chain.changed(behind, f"size {other} in place of {size}")
            yield chain.changed(anywhere, f"size {other} in place of {size} everywhere")


# ---- where a wrong answer differs


class Witness(NamedTuple):
    """An input on which a wrong answer differs from the reference.

    Attributes:
        said: what is special about it.
        test: a test with it, to paste in.
    """

    said: str
    test: str


class Differences:
    """Finds the inputs on which wrong answers differ from a reference.

    Args:
        recorder: what recorded the tests on the reference.
        source: of the reference.
    """

    def __init__(self, recorder: Recorder, source: str) -> None:
        self.recorder = recorder
        self.draws = "np.random.seed(0)\n" if "np.random." in source or "numpy.random" in source else ""
        self._expected: dict[str, dict[str, np.ndarray]] = {}

    def witness(self, function: str, source: str) -> Witness | None:
        """Return an input on which a changed source gives something else; None where none was found.

        Args:
            function: the one that was changed.
            source: the whole file.
        """
        module = {name: self.recorder.module.get(name) for name in ("__name__", "__package__", "__file__", "__spec__")}
        try:
            exec(compile(source, str(module["__file__"]), "exec"), module)
        except Exception:
            return None  # it cannot even be imported: no test is needed to see that
        calls = self.recorder.calls
        own = [call for call in calls if call.function == function]
        deadline = time.perf_counter() + SECONDS
        for call in own or [call for call in calls if not call.is_constructor]:
            for chain in itertools.islice(variants(chain_of(call, calls)), VARIANTS):
                if found := self._compared(chain, module):
                    return found
                if time.perf_counter() > deadline:
                    return None
        return None

    def _compared(self, chain: Chain, module: Mapping[str, Any]) -> Witness | None:
        """Return a chain as a witness, if the changed module gives something else than the reference."""
        expected = self._reference(chain)
        if not expected:
            return None
        got = self._run(chain, module)
        for name, value in expected.items():
            if got is not None and not _passes(got.get(name), value):
                return Witness(chain.said, self._test(chain, name, value))
        return None

    def _reference(self, chain: Chain) -> dict[str, np.ndarray]:
        """Return what the reference gives; nothing where it fails, or gives something else each time."""
        key = chain.code()
        if key not in self._expected:
            first, second = (self._run(chain, self.recorder.module) for _ in range(2))
            first = first or {}
            steady = second is not None and all(_is_same(second.get(name), value) for name, value in first.items())
            finite = all(np.isfinite(value).all() for value in first.values())
            self._expected[key] = first if steady and finite else {}
        return self._expected[key]

    def _run(self, chain: Chain, module: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
        """Return what a chain gives, by how it is written; None where it fails."""
        names = {**module, "np": np, "rng": np.random.default_rng(0)}
        try:
            exec(self.draws + chain.code(), names)
        except Exception:
            return None
        found = {f"result{path}": value for path, value in flat(names["result"])}
        last = chain.calls[-1]
        if last.is_method and isinstance(owner := last.arguments[0][1], Result):
            name = chain.names()[owner.call]
            found |= {f"{name}.{key}{path}": v for key, x in vars(names[name]).items() for path, v in flat(x)}
        return found

    def _test(self, chain: Chain, name: str, value: np.ndarray) -> str:
        """Return a test that the reference passes and the wrong answer does not."""
        lines = [*(self.draws + chain.code()).splitlines()]
        if value.size <= FEW:
            lines.append(f"np.testing.assert_allclose({name}, {_written(value)}, rtol={SAME}, atol=1e-9)")
        else:
            lines += [
                f"weights = np.random.default_rng(1).normal(size={value.shape})",
                f"assert np.shape({name}) == {value.shape}",
                f"np.testing.assert_allclose(np.vdot({name}, weights), {_weighed(value):.10g}, rtol={SAME}, atol=1e-9)",
            ]
        uses_rng = any("rng." in line for line in lines)
        lines = ["rng = np.random.default_rng(0)"] * uses_rng + lines
        title = chain.calls[-1].function.replace(".", "_").lower()
        return f"def test_{title}():\n" + textwrap.indent("\n".join(lines), "    ")


def _is_same(got: np.ndarray | None, expected: np.ndarray) -> bool:
    return got is not None and got.shape == expected.shape and np.array_equal(got, expected)


def _passes(got: np.ndarray | None, expected: np.ndarray) -> bool:
    """Tell whether a value would pass the test that is written for it."""
    if got is None or got.shape != expected.shape:
        return False
    if expected.size > FEW:
        got, expected = _weighed(got), _weighed(expected)
    return np.allclose(got, expected, rtol=2 * SAME, atol=1e-8)


def _weighed(value: np.ndarray) -> np.ndarray:
    """Return the sum of an array's entries with random weights: one number that tells of each."""
    return np.vdot(value, np.random.default_rng(1).normal(size=value.shape))


def _written(value: np.ndarray) -> str:
    """Return an array of few entries as it is written."""
    if value.dtype.kind in "biu":
        return str(value.tolist())
    digits = [float(f"{number:.8g}") for number in value.ravel()]
    return str(np.reshape(digits, value.shape).tolist())
