"""The operations that a forward is made of: they are recorded while it runs on arrays that know where they come from.

Whatever NumPy does to a `Recorded` array becomes an `Operation` of a `Record`. What takes nothing but entries from one
place to another (views, stacking, padding) is known by where each entry comes from. What cannot be recorded leaves a
plain array, and whoever reads the record has to see whether it holds.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

import numpy as np

MOST = 6000  # operations are recorded up to so many
MEMORY = 2**25  # numbers that their values may take together

# The operations whose derivatives are known; those of `COPIES` take entries from one place to another.
ELEMENTWISE = {
    *("add", "subtract", "multiply", "divide", "negative", "exp", "log", "log1p", "expm1", "sqrt", "square", "tanh"),
    *("sin", "cos", "sinh", "cosh", "arctan", "power", "maximum", "minimum", "absolute", "reciprocal", "logaddexp"),
    *("matmul", "expit", "erf"),
}
REDUCTIONS = {"add": "sum", "maximum": "max", "minimum": "min"}
COPIES = {
    *("reshape", "ravel", "transpose", "swapaxes", "moveaxis", "squeeze", "expand_dims", "broadcast_to", "concatenate"),
    *("stack", "vstack", "hstack", "split", "array_split", "pad", "repeat", "tile", "flip", "roll", "take", "copy"),
    *("take_along_axis", "atleast_1d", "atleast_2d", "diagonal", "tril", "triu", "sliding_window_view"),
}
MADE = ("zeros", "empty", "ones", "full", "array", "asarray", "ascontiguousarray")  # make arrays that are written into


class TooManyError(Exception):
    """Forward has more operations than are looked at."""


@dataclass(eq=False)
class Operation:
    """Something that forward has computed.

    name: what NumPy calls it; "leaf" for what forward was given.
    operands: operations, or arrays and numbers that do not depend on the leaves.
    value: what came out.
    settings: what else there is to know, by name.
    site: where in the code it was asked for.
    number: its place in the order.
    """

    name: str
    operands: list[Any]
    value: np.ndarray
    settings: dict[str, Any] = field(default_factory=dict)
    site: tuple[tuple[CodeType, int], ...] = ()
    number: int = 0


class Record:
    """The operations of one run of forward, in their order.

    Example:
        >>> record = Record()
        >>> x = record.leaf(np.ones(2))
        >>> y = np.tanh(2 * x)
        >>> [operation.name for operation in record.operations]
        ['leaf', 'multiply', 'tanh']
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.closed = False  # what was recorded and is kept somewhere behaves like a plain array then
        self._size = 0
        self._thread = threading.get_ident()

    def leaf(self, array: np.ndarray) -> Recorded:
        """Return an array that forward can be given."""
        return self.put("leaf", [], np.array(array, order="C"))

    def put(self, name: str, operands: list[Any], value: Any, **settings: Any) -> Recorded:
        """Enter an operation; return its value."""
        self._size += np.size(value)
        if len(self.operations) >= MOST or self._size > MEMORY:
            raise TooManyError
        plain = np.array(value, order="C", dtype=np.float64)
        entry = Operation(name, operands, plain.copy(), settings, _site(), len(self.operations))
        self.operations.append(entry)
        array = plain.view(Recorded)
        array.opened, array.operation, array.source = self, entry, None
        return array

    def operand(self, value: Any) -> Any:
        """Return the operation that an array comes from, or a plain array."""
        return value.resolved() if isinstance(value, Recorded) else value

    @contextlib.contextmanager
    def making(self) -> Iterator[None]:
        """Inside the `with`, arrays that forward makes to write into are recorded too, and copies remain recorded.

        NumPy's functions are replaced for the thread that records alone, and put back; others wait to record.
        """
        with ONE_AT_A_TIME:
            yield from self._making()

    def _making(self) -> Iterator[None]:
        originals = {name: getattr(np, name) for name in MADE}
        as_strided = np.lib.stride_tricks.as_strided

        def watched(name: str) -> Callable[..., Any]:
            def make(*args: Any, **settings: Any) -> Any:
                original = originals[name]
                if threading.get_ident() != self._thread or _inside_numpy():
                    return original(*args, **settings)
                if name.endswith("array"):  # of recorded ones, else plain as ever
                    return _as_array(args[0], name) if args and _has_recorded(args[0]) else original(*args, **settings)
                made = original(*args, **settings)
                return self.put("made", [], made) if made.dtype.kind == "f" and made.size else made

            return make

        def strided(x: Any, *args: Any, **settings: Any) -> Any:
            if isinstance(x, Recorded) and threading.get_ident() == self._thread and not _inside_numpy():
                return _copy(self, as_strided, (x, *args), settings)
            return as_strided(x, *args, **settings)

        try:
            for name in MADE:
                setattr(np, name, watched(name))
            np.lib.stride_tricks.as_strided = strided
            yield
        finally:
            self.closed = True
            np.lib.stride_tricks.as_strided = as_strided
            for name, original in originals.items():
                setattr(np, name, original)


def _as_array(value: Any, name: str) -> Any:
    """Return a recorded array, or a nest of them as one."""
    if isinstance(value, list | tuple):
        return np.stack([_as_array(part, name) for part in value])
    return np.copy(value) if name == "array" else np.asanyarray(value)


def _has_recorded(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_has_recorded, value))
    return isinstance(value, Recorded)


ONE_AT_A_TIME = threading.RLock()
HERE = __name__.rpartition(".")[0]
CALLS = f"{HERE.rpartition('.')[0]}.module"  # where modules are called, which tells nobody anything


def _site() -> tuple[tuple[CodeType, int], ...]:
    """Return where in the author's code NumPy was called: the innermost place first."""
    frame: FrameType | None = sys._getframe(2)
    places: list[tuple[CodeType, int]] = []
    while frame is not None and len(places) < 12:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith(HERE):
            if places:
                break  # the checker, which called forward
        elif module != CALLS and not module.startswith("numpy"):
            places.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(places)


def _inside_numpy() -> bool:
    return str(sys._getframe(2).f_globals.get("__name__", "")).startswith("numpy")


class Recorded(np.ndarray):
    """An array that enters what NumPy does to it into a record."""

    opened: Record | None = None
    operation: Any = None  # where its entries come from; None for a view, whose entries come from its source
    source: Recorded | None = None

    def __array_finalize__(self, source: Any) -> None:
        if isinstance(source, Recorded):
            self.opened, self.source, self.operation = source.opened, source, None

    @property
    def record(self) -> Record | None:
        """The record that this is entered into, while it is open."""
        return None if self.opened is None or self.opened.closed else self.opened

    def resolved(self) -> Any:
        """Return the operation that this comes from; of a view, made unseen, a copy of the entries that it shows."""
        if self.record is None:
            return self.plain()
        if self.operation is not None:
            if self.operation.value.shape == self.shape:
                return self.operation
            places = np.arange(self.size).reshape(self.shape)  # its shape was set
            self.operation = self.record.put("view", [self.operation], self.plain(), places=places).operation
            return self.operation
        owner: Recorded | None = self.source
        while owner is not None and owner.operation is None:
            owner = owner.source
        if owner is None or not np.may_share_memory(self.plain(), owner.plain()):
            return np.array(self.plain())
        offset = self.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
        places = np.ndarray(self.shape, np.int64, np.arange(owner.size), offset, self.strides)
        return self.record.put("view", [owner.operation], self.plain(), places=np.array(places)).operation

    def plain(self) -> np.ndarray:
        """Return the array without what it knows."""
        return self.view(np.ndarray)

    # ---- what NumPy does to it

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **settings: Any) -> Any:
        operands = (*inputs, *(out or ()))
        record = next((x.record for x in operands if isinstance(x, Recorded) and x.record is not None), None)
        plain, call = _plain(inputs), getattr(ufunc, method)
        if record is None:
            return call(*plain, **(settings if out is None else settings | {"out": _plain(out)}))
        name = ufunc.__name__
        if method == "at":
            call(*plain)
            if isinstance(inputs[0], Recorded):
                inputs[0].operation = _scattered(record, name, inputs) if name == "add" else None
            return None
        result = None
        if method == "__call__" and name in ELEMENTWISE and not settings:
            value = call(*plain)
            result = _called(record, name, inputs, value) if np.asarray(value).dtype.kind == "f" else value
        elif method == "reduce" and name in REDUCTIONS and settings.keys() <= {"axis", "keepdims", "dtype"}:
            result = _reduced(record, REDUCTIONS[name], inputs[0], settings.get("axis", 0), settings.get("keepdims"))
        else:
            result = call(*plain, **settings)
        if out is None:
            return result
        (target,) = out
        _plain(target)[...] = _plain(result)
        if isinstance(target, Recorded):
            target.operation = result.operation if isinstance(result, Recorded) else None
        return target

    def __array_function__(self, function: Any, types: Any, args: Any, settings: Any) -> Any:
        recorded = list(_recorded_in((args, settings)))
        record = next((x.record for x in recorded if x.record is not None), None)
        name = getattr(function, "__name__", "")
        if record is not None and name in FUNCTIONS:
            with contextlib.suppress(NotRecordedError, TypeError):  # settings that are not foreseen
                return FUNCTIONS[name](record, *args, **settings)
        if record is not None and name in COPIES:
            return _copy(record, function, args, settings)
        return function(*_plain(args), **_plain(settings))

    def __getitem__(self, index: Any) -> Any:
        if _has_recorded(index):
            index = _plain(index)
        part = self.plain()[index]
        if self.record is None:
            return part
        if isinstance(part, np.ndarray) and part.base is not None and np.may_share_memory(part, self.plain()):
            return super().__getitem__(index)
        return self.record.put("view", [self.resolved()], part, places=np.arange(self.size).reshape(self.shape)[index])

    def __setitem__(self, index: Any, value: Any) -> None:
        if self.record is not None:
            before, given = self.resolved(), self.record.operand(value)
            self.plain()[_plain(index)] = _plain(value)
            if isinstance(before, Operation) or isinstance(given, Operation):
                places = np.arange(self.size).reshape(self.shape)[_plain(index)]
                self.operation = self.record.put("put", [before, given], self.plain(), places=places).operation
            return
        super().__setitem__(_plain(index), _plain(value))

    # ---- methods, which NumPy does not announce

    def astype(self, dtype: Any, *_: Any, **__: Any) -> Any:
        return np.copy(self) if np.dtype(dtype).kind == "f" else self.plain().astype(dtype)

    def flatten(self, *order: Any) -> Any:
        return np.ravel(self, *order)

    def reshape(self, *shape: Any, **settings: Any) -> Any:
        return np.reshape(self, shape[0] if len(shape) == 1 else shape, **settings)

    def __deepcopy__(self, memo: Any) -> Any:
        return np.copy(self)


def _method(name: str) -> Callable[..., Any]:
    """Return a method that does what NumPy's function of that name does, and so is recorded."""
    return lambda self, *args, **settings: getattr(np, name)(self, *args, **settings)


for _name in ("sum", "mean", "max", "min", "var", "std", "clip", "cumsum", "copy", "ravel", "repeat", "take", "dot"):
    setattr(Recorded, _name, _method(_name))


class NotRecordedError(Exception):
    """This use of a function is not known."""


def _recorded_in(value: Any) -> Iterator[Recorded]:
    if isinstance(value, Recorded):
        yield value
    elif isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _recorded_in(part)


def _plain(value: Any) -> Any:
    """Return arguments with plain arrays in the place of recorded ones."""
    if isinstance(value, Recorded):
        return value.plain()
    if isinstance(value, list | tuple):
        return type(value)(_plain(part) for part in value)
    return {key: _plain(part) for key, part in value.items()} if isinstance(value, dict) else value


# ---- what is entered


def _scattered(record: Record, name: str, inputs: tuple) -> Operation:
    target, index, given = inputs
    places = np.arange(target.size).reshape(target.shape)[_plain(index)]
    before = target.operation if target.operation is not None else np.array(target.plain())
    return record.put(f"{name}.at", [before, record.operand(given)], target.plain(), places=places).operation


def _called(record: Record, name: str, inputs: tuple, value: Any) -> Recorded:
    operands = [record.operand(x) for x in inputs]
    n, m = (len(shapes_of(x)) for x in operands) if name == "matmul" else (2, 2)
    if min(n, m) == 1:  # a vector, in the place of a matrix
        letters = "abcdefghijklm"[: max(n, m)]
        terms = [letters, letters[-1]] if m == 1 else [letters[-2], letters]
        out = letters[:-1] if m == 1 else letters[:-2] + letters[-1]
        return record.put("einsum", operands, value, terms=["a", "a"] if n == m else terms, out="" if n == m else out)
    return record.put(name, operands, value)


def _value(operand: Any) -> Any:
    return operand.value if isinstance(operand, Operation) else np.asanyarray(operand)


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return axes from 0 to ndim - 1."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(sorted(int(a) % ndim for a in np.ravel(axis)))


def _reduced(record: Record | None, name: str, x: Any, axis: Any, keepdims: Any) -> Any:
    """Enter a reduction, its axes kept; and another operation that drops them."""
    axes = _axes(axis, np.ndim(x))
    value = getattr(_plain(x), name)(axes, keepdims=True)
    if record is None or value.dtype.kind != "f":
        return value if keepdims else value.squeeze(axes)
    kept = record.put(name, [record.operand(x)], value, axes=axes)
    return kept if keepdims else _squeezed(record, kept, axes)


def _squeezed(record: Record, kept: Recorded, axes: tuple[int, ...]) -> Recorded:
    shape = tuple(size for k, size in enumerate(kept.shape) if k not in axes)
    places = np.arange(kept.size).reshape(shape)
    return record.put("squeeze", [kept.operation], kept.plain().reshape(shape), places=places)


def _var(
    record: Record, x: Any, axis: Any = None, *more: Any, ddof: int = 0, keepdims: Any = False, **settings: Any
) -> Recorded:
    if more or settings or not isinstance(x, Recorded):
        raise NotRecordedError
    axes = _axes(axis, x.ndim)
    value = x.plain().var(axes, ddof=ddof, keepdims=True)
    kept = record.put("var", [record.operand(x)], value, axes=axes, ddof=ddof)
    return kept if keepdims else _squeezed(record, kept, axes)


def _copy(record: Record, function: Any, args: Any, settings: Any) -> Any:
    """Enter what takes entries from one place to another: it is done to their numbers as well."""
    operands: list[Any] = []

    def numbered(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            start = sum(np.size(_value(x)) for x in operands) + 1
            operands.append(record.operand(value))
            return np.arange(start, start + value.size).reshape(value.shape)
        if isinstance(value, list | tuple):
            return type(value)(map(numbered, value))
        return value

    name = function.__name__
    settings = {k: 0 if k == "constant_values" else v for k, v in settings.items()}
    places = function(*numbered(args), **_plain(settings))
    given = {k: v for k, v in settings.items() if k != "constant_values"}
    values = function(*_plain(args), **_plain(given))
    if isinstance(values, list):
        parts = enumerate(zip(values, places, strict=True))
        return [record.put("view", operands, v, places=p - 1, part=k) for k, (v, p) in parts]
    return record.put("pad" if name == "pad" else "view", operands, values, places=np.asarray(places) - 1)


def _where(record: Record, condition: Any, *values: Any) -> Recorded:
    if len(values) != 2:
        raise NotRecordedError
    a, b = values
    value = np.where(_plain(condition), _plain(a), _plain(b))
    condition = np.broadcast_to(_plain(condition), value.shape)
    return record.put("where", [record.operand(a), record.operand(b)], value, condition=1.0 * condition)


def _einsum(record: Record, subscripts: str, *operands: Any, **_: Any) -> Recorded:
    if not isinstance(subscripts, str) or "." in subscripts:
        raise NotRecordedError
    terms, arrow, out = subscripts.replace(" ", "").partition("->")
    names = terms.split(",")
    if not arrow:
        letters = terms.replace(",", "")
        out = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    if any(len(set(name)) < len(name) for name in names):
        raise NotRecordedError
    value = np.einsum(subscripts, *_plain(operands))
    return record.put("einsum", [record.operand(x) for x in operands], value, terms=names, out=out)


def _tensordot(record: Record, a: Any, b: Any, axes: Any = 2) -> Recorded:
    n, m = np.ndim(a), np.ndim(b)
    if isinstance(axes, int):
        axes = (tuple(range(n - axes, n)), tuple(range(axes)))
    ours, theirs = ((k,) if isinstance(k, int) else tuple(k) for k in axes)
    letters = "abcdefghijklmnopqrstuvwxyz"
    left, right = list(letters[:n]), list(letters[n : n + m])
    for i, k in zip(ours, theirs, strict=True):
        right[k % m] = left[i % n]
    out = [c for c in left if c not in right] + [c for c in right if c not in left]
    return _einsum(record, f"{''.join(left)},{''.join(right)}->{''.join(out)}", a, b)


def _dot(record: Record, a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    if np.ndim(b) <= 2:
        return np.matmul(a, b)
    raise NotRecordedError


def _outer(record: Record, a: Any, b: Any) -> Recorded:
    return _einsum(record, "a,b->ab", np.ravel(a), np.ravel(b))


def _reduction(name: str) -> Callable[..., Any]:
    def reduce(record: Record, a: Any, axis: Any = None, *more: Any, keepdims: Any = False, **settings: Any) -> Any:
        if more or settings or not isinstance(a, Recorded):
            raise NotRecordedError
        return _reduced(record, name, a, axis, keepdims)

    return reduce


def _deviation(record: Record, *args: Any, **settings: Any) -> Any:
    return np.sqrt(_var(record, *args, **settings))


def _norm(record: Record, x: Any, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Any:  # noqa: A002
    if ord not in (None, 2):
        raise NotRecordedError
    return np.sqrt(_reduced(record, "sum", x * x, axis, keepdims))


def _clip(record: Record, a: Any, low: Any = None, high: Any = None) -> Any:
    a = a if low is None else np.maximum(a, low)
    return a if high is None else np.minimum(a, high)


def _cumsum(record: Record, a: Any, axis: Any = None, **settings: Any) -> Recorded:
    if axis is None or settings:
        raise NotRecordedError
    return record.put("cumsum", [record.operand(a)], np.cumsum(a.plain(), axis), axis=axis)


def _filled(function: Callable[..., Any]) -> Callable[..., Any]:
    def like(record: Record, prototype: Any, *values: Any, **settings: Any) -> Any:
        made = function(_plain(prototype), *values, **settings)
        return record.put("made", [], made) if made.dtype.kind == "f" else made

    return like


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "where": _where,
    "einsum": _einsum,
    "tensordot": _tensordot,
    "dot": _dot,
    "outer": _outer,
    "sum": _reduction("sum"),
    "mean": _reduction("mean"),
    "max": _reduction("max"),
    "amax": _reduction("max"),
    "min": _reduction("min"),
    "amin": _reduction("min"),
    "var": _var,
    "std": _deviation,
    "norm": _norm,
    "clip": _clip,
    "cumsum": _cumsum,
    "zeros_like": _filled(np.zeros_like),
    "empty_like": _filled(np.zeros_like),
    "ones_like": _filled(np.ones_like),
    "full_like": _filled(np.full_like),
}


def shapes_of(value: Any) -> Sequence[int]:
    """Return the shape of an operand."""
    return np.shape(_value(value))


def size_along(shape: Sequence[int], axes: Sequence[int]) -> int:
    """Return how many entries there are along some axes."""
    return math.prod(shape[k] for k in axes)


def subsets_of(axes: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield all choices of at least one."""
    return itertools.chain.from_iterable(itertools.combinations(axes, k) for k in range(1, len(axes) + 1))
