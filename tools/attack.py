"""Throw bad input at everything: each attack is refused in clear words and changes nothing, or does no harm.

    python tools/attack.py --attacks 2000 --seed 1        so many of each family
    python tools/attack.py --kill                         SIGKILL at every system call of a save; needs strace

An attack takes something that works and spoils one part of it. Layers and losses come from the table in tests/cases,
optimizers, schedules and functions from what the packages export, so that a new one is attacked without a line here.
`tests/test_attack.py` runs a sample.
"""

from __future__ import annotations

import argparse
import ast
import copy
import functools
import inspect
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "scripts")]

import explain  # noqa: E402
from cases import CASES  # noqa: E402

import data  # noqa: E402
import nn  # noqa: E402
import optim  # noqa: E402
from nn import archive, tree  # noqa: E402

SPOILED: list[Any] = [
    *(None, "text", b"bytes", "", object(), {}, [], (), {"a": 1}, {1, 2}, range(3), len, int),
    *(True, -1, 0, 1.5, 2**70, -(2**70), float("nan"), float("inf"), -float("inf"), 1j, 1e400),
    *([1, "a"], [[1.0], [1.0, 2.0]], [None], [[]], [-1], (0.9,), (2.0, -1.0), ["a", "b"]),
    *(np.array("a"), np.array([None, 1.0]), np.array(1j), np.array("2020", "M8[D]"), np.zeros(2, "f4,i4")),
    *(np.zeros(0), np.zeros((0, 3)), np.ones((2, 3, 4, 5)), np.full((4, 3), np.nan), np.zeros((5, 4), int)),
    *(np.float64("nan"), np.int8(-1), np.bool_(True), np.ma.zeros(2)),
    *(nn.Parameter([1.0]), nn.Buffer([1.0]), nn.ReLU(), nn.ReLU, np.random.default_rng),
]

# The same for what a checkpoint says of itself.
STRUCTURES: list[Any] = [
    *(None, True, 0, 2**53, 2**60, 1.5, 1e400, float("nan"), "text", [], {}, [[]], {"array": "0"}, {"array": 1}),
    *({"tuple": []}, {"tuple": "ab"}, {"tuple": {"dict": []}}, {"dict": [[[], 1]]}, {"dict": [["a", 1], ["a", 2]]}),
    *({"dict": {"a": 1}}, {"int": "0x1"}, {"int": "ten"}, {"int": hex(2**80)}, {"float": "nan"}, {"float": "1.5"}),
    *({"str_": "a"}, {"str_": 1}, {"scalar": ["<f4", "00000000"]}, {"scalar": ["O", "00" * 8]}, {"scalar": ["f8"]}),
    *({"scalar": ["(99999999,)f8", ""]}, {"scalar": ["<f4", "00" * 400]}, {"int": "0x1", "float": "1"}, {"set": []}),
]

# What stands for a required argument of this name, where something that works is spoiled.
# fmt: off
ARGUMENTS: dict[str, Callable[[], Any]] = {
    "parameter": lambda: nn.Parameter(np.ones((3, 2))), "parameters": lambda: [nn.Parameter(np.ones((3, 2)))],
    "params": lambda: trainable(), "optimizer": lambda: optim.SGD(trainable(), lr=0.1),
    "dataset": lambda: data.TensorDataset(np.arange(6)), "arrays": lambda: np.arange(6.0),
    "lengths": lambda: [2, 4], "indices": lambda: [0, 3], "vec": lambda: np.zeros(6), "seed": lambda: 0,
    "value": lambda: 0.5, "max_norm": lambda: 1.0, "clip_value": lambda: 1.0, "nonlinearity": lambda: "relu",
    "function": lambda: "sine", "samples": lambda: 8, "noise": lambda: 0.1, "turns": lambda: 1.0,
    "lr": lambda: 0.1, "step_size": lambda: 2, "gamma": lambda: 0.9, "milestones": lambda: [1, 3],
    "T_max": lambda: 5, "max_lr": lambda: 0.2, "total_steps": lambda: 9, "lr_lambda": lambda: lambda epoch: 1.0,
}
# fmt: on

ROWS = [case for case in CASES if case.name != "Sequential-empty"]  # which passes on whatever there is
ALLOWED = (ValueError, TypeError, RuntimeError)
Rng = np.random.Generator


@dataclass
class Attack:
    """Something to do, and what must hold of it.

    name: what it is, for the report.
    call: does it.
    names: words of which an error must hold one.
    state: what an error must leave as it was.
    must_fail: whether it may not go through.
    """

    name: str
    call: Callable[[], Any]
    names: list[str]
    state: Callable[[], Any] = lambda: None
    must_fail: bool = False


def fault(attack: Attack) -> str | None:
    """Carry an attack out; return what is wrong with how it was met, None where nothing is."""
    before = frozen(attack.state())
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error")
            attack.call()
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
        if frozen(attack.state()) != before:
            return f"something changed, in spite of {found}"
        if not isinstance(error, ALLOWED):
            return found
        return None if any(name in str(error) for name in attack.names) else f"names no {attack.names[0]}: {found}"
    return "was accepted" if attack.must_fail else None


def frozen(value: Any) -> Any:
    """Return what is equal only for equal states, down to the bits of every number."""
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, nn.Parameter | nn.Buffer):
        return frozen(vars(value))
    if isinstance(value, dict):
        return [(repr(key), frozen(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value).__name__, [frozen(item) for item in value]
    return repr(value)


def choice(rng: Rng, values: Any) -> Any:
    values = list(values)
    return values[rng.integers(len(values))]


def spoiled(rng: Rng) -> Any:
    return copy.deepcopy(choice(rng, SPOILED))


def short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) < 60 else text[:60] + "..."


def trainable() -> list[nn.Parameter]:
    rng = np.random.default_rng(0)
    parameters = [nn.Parameter(rng.normal(size=shape)) for shape in ((2, 3), (3,))]
    for parameter in parameters:
        parameter.grad += rng.normal(size=parameter.data.shape)
    return parameters


def spoil_array(rng: Rng, array: Any) -> Any:
    """Return another value for an array: of another kind, or of another shape; for a tuple, one with such an entry."""
    if isinstance(array, tuple):
        place = rng.integers(len(array))
        return (*array[:place], spoil_array(rng, array[place]), *array[place + 1 :])
    array = np.asarray(array)
    ways = [
        lambda: spoiled(rng),
        lambda: array[None],
        lambda: array[..., None],
        lambda: array.sum(-1) if array.ndim else array,
        lambda: np.concatenate([array, array], axis=int(rng.integers(array.ndim))) if array.ndim else [array, array],
        lambda: array[:0] if array.ndim else array,
        lambda: array.astype(choice(rng, [complex, str, object, bool, np.int8, np.float16, "M8[s]"])),
        lambda: np.full(array.shape, choice(rng, [np.nan, np.inf, -np.inf, 1e30, -7])),
        lambda: array.T,
        lambda: {"x": array},
        lambda: (array, array),
    ]
    return choice(rng, ways)()


def spoil_state(rng: Rng, state: Any, values: list[Any] = SPOILED) -> Any:
    """Return a copy of nested dicts and lists in which one thing is missing, too much, or another."""
    state = copy.deepcopy(state)
    places = list(containers(state))
    container = choice(rng, places)
    keys = list(container) if isinstance(container, dict) else list(range(len(container)))
    way = rng.integers(4)
    if way == 0 and keys:
        del container[choice(rng, keys)]
    elif way == 1 and isinstance(container, dict):
        container["unexpected"] = copy.deepcopy(choice(rng, values))
    elif way == 1:
        container.append(copy.deepcopy(choice(rng, values)))
    elif keys:
        key = choice(rng, keys)
        value = container[key]
        container[key] = (
            spoil_array(rng, value) if isinstance(value, np.ndarray) else copy.deepcopy(choice(rng, values))
        )
    return state


def containers(state: Any) -> Iterator[Any]:
    if isinstance(state, dict | list):
        yield state
        for item in state.values() if isinstance(state, dict) else state:
            yield from containers(item)


# ---- modules


def built(rng: Rng) -> tuple[str, nn.Module, list[Any], list[str]]:
    """Return a row of the table: its name, its module, inputs for it, and the names of the modules in it."""
    case = choice(rng, ROWS)
    module = case.build()
    return case.name, module, list(case.draw(rng)), [name for part in module.modules() for name in names_of(type(part))]


def names_of(kind: type[nn.Module]) -> list[str]:
    """Return the names under which an error may speak of a module.

    Python's own, for a wrong number of arguments, name the class that defines the method: where layers share one, it is
    that of their base.
    """
    return [base.__name__ for base in kind.__mro__ if base not in (nn.Module, nn.Loss, object)]


def module_state(module: nn.Module) -> Any:
    return list(module.parameters()), list(module.buffers()), [part.training for part in module.modules()]


def inputs(rng: Rng) -> Attack:
    """A wrong input, one too many, or one too few."""
    name, module, values, names = built(rng)
    way = rng.integers(8)
    if way == 0:
        values.append(spoiled(rng))
    elif way == 1:
        values.pop()
    else:
        place = rng.integers(len(values))
        values[place] = spoil_array(rng, values[place])
    call = lambda: module(*values)  # noqa: E731
    return Attack(
        f"{name} of {short(values)}", call, names, lambda: module_state(module), must_fail=not takes(module, values)
    )


def takes(module: nn.Module, values: list[Any]) -> bool:
    """Tell whether a module may be called with so many inputs."""
    try:
        inspect.signature(module.forward).bind(*values)
    except TypeError:
        return False
    return True


def upstream(rng: Rng) -> Attack:
    """A wrong gradient that comes back."""
    name, module, values, names = built(rng)
    y = module(*values)
    g = spoil_array(rng, y) if not isinstance(y, tuple) else spoiled(rng)
    try:
        other = np.shape(g) != np.shape(y)
    except (TypeError, ValueError):
        other = True
    call = lambda: module.backward(g)  # noqa: E731
    return Attack(
        f"{name} back from {short(g)}", call, names, lambda: module_state(module), must_fail=other and g is not None
    )


def order(rng: Rng) -> Attack:
    """Backward where there is nothing to go back through."""
    name, module, values, names = built(rng)
    way = choice(rng, ["before a forward", "twice", "after no_grad"])
    if way == "twice":
        y = module(*values)
        module.backward(tree.map(np.ones_like, y))
    elif way == "after no_grad":
        with nn.no_grad():
            module(*values)
    call = lambda: module.backward(1.0)  # noqa: E731
    return Attack(f"{name} back {way}", call, names, lambda: module_state(module), must_fail=True)


def settings(rng: Rng) -> Attack:
    """A wrong argument of a constructor; where it is taken, the module has to work."""
    name, module, values, _ = built(rng)
    part = choice(rng, module.modules())
    kind, call = type(part), ast.parse(repr(part), mode="eval").body
    if not isinstance(call, ast.Call):
        raise TypeError(f"expected a repr that builds {name} again, got {part!r}")
    arguments = [eval(ast.unparse(argument), {**vars(nn), "inf": np.inf}) for argument in call.args]
    named = {item.arg: eval(ast.unparse(item.value), vars(nn)) for item in call.keywords if item.arg}
    keywords = [p.name for p in inspect.signature(kind).parameters.values() if p.default is not p.empty]
    value = spoiled(rng)
    if arguments and rng.integers(2):
        arguments[rng.integers(len(arguments))] = value
    elif keywords:
        keyword = choice(rng, keywords)
        position = list(inspect.signature(kind).parameters).index(keyword)
        if position < len(arguments):
            arguments[position] = value
        else:
            named[keyword] = value
    else:
        arguments.append(value)

    def make_and_use() -> None:
        made = kind(*arguments, **named)
        repr(made)
        if part is module:
            made(*values)

    text = ", ".join([*map(short, arguments), *(f"{key}={short(item)}" for key, item in named.items())])
    return Attack(f"{kind.__name__}({text})", make_and_use, [*names_of(kind), "generator"])


def states(rng: Rng) -> Attack:
    """A wrong state for a module."""
    name, module, _, _ = built(rng)
    state = spoil_state(rng, module.state_dict())
    call = lambda: module.load_state_dict(state)  # noqa: E731
    return Attack(
        f"{name} loads {short(state)}",
        call,
        [type(module).__name__, *module.state_dict()],
        lambda: module_state(module),
    )


# ---- optimizers and schedules


def public(package: Any, base: type) -> list[type]:
    return [
        value
        for name, value in vars(package).items()
        if isinstance(value, type) and issubclass(value, base) and value is not base and not name.startswith("_")
    ]


def call_of(rng: Rng, function: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return arguments that work, and the same with one of them spoiled; None where a required one is not known."""
    good: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in ARGUMENTS and parameter.default in (parameter.empty, None):
            good[parameter.name] = ARGUMENTS[parameter.name]()
        elif parameter.default is not parameter.empty:
            good[parameter.name] = parameter.default
        elif parameter.kind is not parameter.VAR_KEYWORD:
            return None
    if not good:
        return None
    name, value = choice(rng, good), spoiled(rng)
    if callable(good[name]) and callable(value):
        value = None  # another function is as good, and what it raises is its own affair
    return good, {**good, name: value}


def apply(function: Any, arguments: dict[str, Any]) -> Any:
    """Call a function with arguments by name, the one of kind `*arrays` by position."""
    star = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.VAR_POSITIONAL]
    return function(*(arguments[name] for name in star), **{k: v for k, v in arguments.items() if k not in star})


def text_of(function: Any, arguments: dict[str, Any]) -> str:
    return f"{function.__name__}({', '.join(f'{name}={short(value)}' for name, value in arguments.items())})"


def optimizer_state(optimizer: optim.Optimizer) -> Any:
    return [(group["params"], {**group, "params": 0}) for group in optimizer.param_groups], optimizer.state_dict()


def optimizers(rng: Rng) -> Attack:
    """Wrong settings of an optimizer, in its constructor, later in a group, or in its state; wrong gradients."""
    kind = choice(rng, public(optim, optim.Optimizer))
    way = choice(rng, ["made", "set", "moved", "loaded"])
    if way == "made":
        found = call_of(rng, kind)
        if found is None:
            return optimizers(rng)
        return Attack(text_of(kind, found[1]), lambda: kind(**found[1]).step(), [kind.__name__, "parameter"])
    parameters = trainable()
    optimizer = kind([{"params": [p]} for p in parameters], lr=0.1)
    optimizer.step()
    if way == "set":
        group = optimizer.param_groups[1]
        name = choice(rng, sorted(group.keys() - {"params"}))
        group[name] = spoiled(rng)
        text, call = f"{kind.__name__} with {name}={short(group[name])}", optimizer.step
    elif way == "moved":
        name = choice(rng, ["data", "grad"])
        value = spoil_array(rng, parameters[1].data)
        setattr(parameters[1], name, value)
        text, call = f"{kind.__name__} with {name} {short(value)}", optimizer.step
    else:
        state = spoil_state(rng, optimizer.state_dict())
        text, call = f"{kind.__name__} loads {short(state)}", lambda: optimizer.load_state_dict(state)
    watched = (lambda: parameters[0]) if way == "moved" else (lambda: optimizer_state(optimizer))
    return Attack(text, call, [kind.__name__], watched)


def schedules(rng: Rng) -> Attack:
    """Wrong settings of a schedule, or a wrong state."""
    kind = choice(rng, public(optim.lr_scheduler, optim.lr_scheduler.LRScheduler))
    found = call_of(rng, kind)
    if found is None:
        return schedules(rng)
    good, bad = found
    if rng.integers(2):
        return Attack(text_of(kind, bad), lambda: kind(**bad), [kind.__name__])
    schedule = kind(**good)
    optimizer = good["optimizer"]
    state = spoil_state(rng, schedule.state_dict())
    watched = lambda: (schedule.state_dict(), optimizer_state(optimizer))  # noqa: E731
    text = f"{kind.__name__} loads {short(state)}"
    return Attack(text, lambda: schedule.load_state_dict(state), [kind.__name__], watched)


# ---- functions, data


def functions(rng: Rng) -> Attack:
    """A wrong argument of a function or a dataset."""
    rooms = [nn.init, nn.utils, nn.random, data]
    every = [
        value
        for room in rooms
        for name, value in vars(room).items()
        if inspect.isfunction(value) or (isinstance(value, type) and value.__module__.startswith("data"))
        if not name.startswith("_") and value.__module__.startswith(room.__name__)
    ]
    function = choice(rng, every)
    found = call_of(rng, function)
    if found is None:
        return functions(rng)
    parameters = [value for value in found[1].values() if isinstance(value, nn.Parameter)]
    return Attack(
        text_of(function, found[1]),
        lambda: apply(function, found[1]),
        [function.__name__, "generator", "Parameter"],
        lambda: parameters,
    )


def loaders(rng: Rng) -> Attack:
    """A wrong state for a loader."""
    loader = data.DataLoader(data.TensorDataset(np.arange(6)), 2, shuffle=True, generator=0)
    next(iter(loader))
    state = spoil_state(rng, loader.state_dict())
    call = lambda: (loader.load_state_dict(state), list(loader))  # noqa: E731
    return Attack(f"DataLoader loads {short(state)}", call, ["DataLoader"], loader.state_dict)


# ---- files


@functools.cache
def temporary() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory()


def folder() -> Path:
    """Return a folder for the files of the attacks, which goes when the program ends."""
    return Path(temporary().name)


@functools.cache
def saved() -> bytes:
    nn.save(STATE, folder() / "saved")
    return (folder() / "saved").read_bytes()


STATE = {"model": {"w": np.arange(6.0), "b": np.zeros((2, 0), "f4")}, "text": "é", "step": 3, 2: (None, 2**80)}


def spoil_bytes(rng: Rng, content: bytes) -> bytes:
    """Return other bytes: flipped, cut, doubled, moved, or with a number in them replaced by a large one."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        if not changed:
            break
        start, end = sorted(rng.integers(len(changed) + 1, size=2).tolist())
        way = rng.integers(6)
        if way == 0:
            changed[start - 1] ^= 1 << int(rng.integers(8))
        elif way == 1:
            del changed[start:]
        elif way == 2:
            del changed[start:end]
        elif way == 3:
            changed[start:start] = changed[start:end]
        elif way == 4:
            changed[start : start + 4] = rng.bytes(4)
        else:
            changed[start : start + 8] = choice(rng, [2**63 - 1, 2**31, 2**16 - 1, 0]).to_bytes(8, "little")
    return bytes(changed)


def loads(rng: Rng) -> Attack:
    """A checkpoint of which some bytes are others; it is refused or the very same, in little memory."""
    path = folder() / "spoiled.checkpoint"
    path.write_bytes(spoil_bytes(rng, saved()))

    def load() -> None:
        if frozen(load_in_little(path)) != frozen(STATE):
            raise AssertionError("another state came out")

    return Attack("a checkpoint with other bytes", load, ["spoiled.checkpoint"])


def structures(rng: Rng) -> Attack:
    """A checkpoint whole in all but what it says; it is refused, or it is the one that its own state makes."""
    path = folder() / "spoiled.checkpoint"
    path.write_bytes(saved())
    with path.open("rb") as file:
        structure, *arrays = archive.read(file)
    said = spoil_state(rng, json.loads(structure.item()), values=STRUCTURES)
    content = np.array(json.dumps(said).encode())
    if rng.integers(4) == 0:
        arrays = [choice(rng, arrays) for _ in range(rng.integers(4))]
    with path.open("wb") as file:
        archive.write(file, [content, *arrays])

    def load() -> None:
        state = load_in_little(path)
        nn.save(state, folder() / "again")
        if (folder() / "again").read_bytes() != path.read_bytes():
            raise AssertionError("the state that came out makes another file")

    return Attack(f"a checkpoint that says {short(said)}", load, ["spoiled.checkpoint"])


def load_in_little(path: Path) -> Any:
    """Load a state, in memory near the size of the file."""
    tracemalloc.start()
    try:
        return nn.load(path)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        if peak > 4 * path.stat().st_size + 1_000_000:
            raise MemoryError(f"took {peak} bytes for a file of {path.stat().st_size}")


def saves(rng: Rng) -> Attack:
    """A state in which something stands that may have no place in a file; the old file stays."""
    path = folder() / "old.checkpoint"
    path.write_bytes(saved())
    state = spoil_state(rng, STATE)

    def save() -> None:
        nn.save(state, path)
        if frozen(nn.load(path)) != frozen(state):
            raise AssertionError("another state came back")

    return Attack(f"save({short(state)})", save, ["state"], path.read_bytes)


def tables(rng: Rng) -> Attack:
    """A table of which some bytes are others, read, and learnt from."""
    path = folder() / "spoiled.csv"
    rows = "\n".join(f"{n},{n % 3 * 1.5},{'red' if n % 2 else 'grey'}" for n in range(12))
    path.write_bytes(spoil_bytes(rng, f"id,size,colour\n{rows}\n".encode()))

    def read() -> None:
        table = data.read_table(path)
        for name in table.columns:
            data.infer_task(table, name)

    return Attack("a table with other bytes", read, ["spoiled.csv"])


def samples(rng: Rng) -> Attack:
    """Data for explain.py of which some bytes are others."""
    name = choice(rng, ["spoiled.npz", "spoiled.npy", "spoiled.csv"])
    content = io.BytesIO()
    if name == "spoiled.npz":
        np.savez(content, x=np.zeros((3, 2)), y=np.zeros(3))
    elif name == "spoiled.npy":
        np.save(content, np.zeros(3))
    else:
        content.write(b"a,b\n1,2\n3,4\n")
    path = folder() / name
    path.write_bytes(spoil_bytes(rng, content.getvalue()))

    def load() -> None:
        try:
            explain.load_data(str(path), classes=False)
        except SystemExit as end:
            raise ValueError(end.code) from None

    return Attack("data for explain.py with other bytes", load, [name])


FAMILIES = (
    *(inputs, upstream, order, settings, states, optimizers, schedules, functions, loaders),
    *(loads, structures, saves, tables, samples),
)


def attacks(family: Callable[[Rng], Attack], count: int, seed: int = 0) -> Iterator[tuple[int, Attack]]:
    """Yield attacks of a family with their numbers, each of which has random numbers of its own."""
    for number in range(count):
        yield number, family(np.random.default_rng([seed, number, *family.__name__.encode()]))


# ---- killed

SAVE = """
import os, sys
import numpy as np
import nn
state = [np.arange(1000.0), "new"]
os.path.exists("/begin")
nn.save(state, sys.argv[1])
os.path.exists("/end")
"""


def kill() -> int:
    """Kill a save at every system call, in a process of its own each time; return how many lost anything."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    path, log = folder() / "killed.checkpoint", folder() / "log"
    command = [sys.executable, "-c", SAVE, str(path)]
    old = [np.zeros(5), "old"]
    nn.save(old, path)
    subprocess.run(["strace", "-o", str(log), *command], env=environment, check=True, capture_output=True)
    calls: list[tuple[str, int]] = []
    counts: dict[str, int] = {}
    inside = False
    for line in log.read_text(errors="replace").splitlines():
        match = re.match(r"(\w+)\(", line)
        if match:
            name = match[1]
            counts[name] = counts.get(name, 0) + 1
            inside = (inside or '"/begin"' in line) and '"/end"' not in line
            if inside:
                calls.append((name, counts[name]))
    bad, outcomes = 0, {"old": 0, "new": 0}
    for name, count in calls:
        nn.save(old, path)
        inject = f"inject={name}:signal=SIGKILL:when={count}"
        run = subprocess.run(["strace", "-o", str(log), "-e", inject, *command], env=environment, capture_output=True)
        try:
            outcomes[nn.load(path)[1]] += 1
        except (ValueError, OSError) as error:
            bad += 1
            print(f"killed at {name} number {count}: {error}")
        if run.returncode != -signal.SIGKILL:
            bad += 1
            print(f"was not killed at {name} number {count}: status {run.returncode}")
    nn.save(old, path)
    left = [name for name in os.listdir(path.parent) if "unfinished" in name]
    print(
        f"{len(calls)} system calls of a save, killed at each: {outcomes}, {bad} lost; left behind: {left or 'nothing'}"
    )
    return bad + len(left)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--attacks", type=int, default=1000, help="of each family")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--families", nargs="+", choices=[f.__name__ for f in FAMILIES], help="all by default")
    parser.add_argument("--kill", action="store_true", help="kill a save at every system call instead")
    args = parser.parse_args()
    if args.kill:
        sys.exit(kill() > 0)
    total = 0
    for family in FAMILIES:
        if args.families and family.__name__ not in args.families:
            continue
        faults = [
            f"{family.__name__} {number}: {attack.name}: {found}"
            for number, attack in attacks(family, args.attacks, args.seed)
            if (found := fault(attack))
        ]
        print(*faults, f"{family.__name__}: {args.attacks} attacks, {len(faults)} met badly", sep="\n", flush=True)
        total += len(faults)
    sys.exit(total > 0)


if __name__ == "__main__":
    main()
