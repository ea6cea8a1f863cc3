"""A model as one C99 file and a header: it predicts, and with a loss and an optimizer it goes on learning.

The file needs nothing but math.h and allocates nothing: what it needs in memory is planned here, for the largest batch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .. import tree
from ..files import whole_file
from ..module import Module
from ..settings import integer
from .c import Dialect
from .example import Example, split_example
from .expression import Affine, LoweringError, Size
from .memory import plan
from .model import Lowered
from .program import Array
from .row import RowCode
from .rule import Rule, numbers_of
from .source import HEAD, Source, numbers


def export_c(
    model: Module,
    example: Any,
    path: str | os.PathLike[str],
    *,
    criterion: Module | None = None,
    optimizer: Any = None,
    max_batch: int = 64,
    before: Iterable[Mapping[str, Any]] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write a model as a C99 file, and a header of the same name that ends in .h and says how to call it.

    The file has `predict`, with a criterion also `loss` and `gradients`, and with an optimizer `train_step`. It holds
    the weights, and needs no library but the mathematics of C. `predict` and `loss` compute in evaluation mode,
    `gradients` and `train_step` in training mode, with a small generator for dropout. Where the equations allow it, the
    batch size is an argument, up to `max_batch`.

    Args:
        model: any Module whose layers state their equations.
        example: an input, of any number of rows, or a tuple of several; with a criterion perhaps the pair of these and
            a target, which otherwise is taken for class indices where the criterion takes such, else for numbers.
        path: of the C file; it ends in .c.
        criterion: the loss.
        optimizer: from `optim`, over parameters of the model; its settings and its state go into the file.
        max_batch: the largest batch that the file can take.
        before: what makes the inputs of a table's columns, as `TableEncoder.description()` gives them; for
            `predict_row`.
        after: what makes a prediction of the output: {"mean", "std"} of a number, or {"classes"}.

    Raises:
        ValueError: for a model with a module that has no lowering, which is named, a path that does not end in .c, or
            descriptions that do not fit the model.
        OSError: when a file cannot be written; nothing half written is left.

    Example:
        >>> import tempfile
        >>> from nn import Linear
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     export_c(Linear(3, 2), np.zeros((1, 3)), f"{folder}/net.c")
        ...     sorted(os.listdir(folder))
        ['net.c', 'net.h']
    """
    name = os.fsdecode(path)
    if not name.endswith(".c"):
        raise ValueError(f"export_c expects a path that ends in .c, got {name!r}")
    if not isinstance(model, Module):
        raise TypeError(f"export_c expects a Module as model, got {model!r}")
    if optimizer is not None and criterion is None:
        raise ValueError("export_c expects a criterion with the optimizer: the loss that train_step brings down")
    max_batch = integer("export_c", "max_batch", max_batch, at_least=1)
    inputs, target = split_example(model, criterion, example)
    file = CFile(Example(model, inputs, criterion, target), optimizer, max_batch)
    if before is not None or after is not None:
        file.add_rows(RowCode(before, after, file.example))
    header = f"{name[:-2]}.h"
    source = file.source(os.path.basename(header))
    declarations = file.header(os.path.basename(header))
    with whole_file(name, "utf-8") as first, whole_file(header, "utf-8") as second:
        first.write(source)
        second.write(declarations)


class CFile:
    """The two texts, the file and its header.

    Args:
        example: the model, with what it is called with.
        optimizer: what trains it, or None.
        max_batch: the largest batch.
    """

    def __init__(self, example: Example, optimizer: Any, max_batch: int) -> None:
        self.example = example
        self.optimizer = optimizer
        self.real = "double" if example.dtype == np.float64 else "float"
        self.code = Source(Dialect(self.real))
        self.trains = optimizer is not None
        self._parameters = dict(example.model.named_parameters())
        if self.trains:
            self._check_optimizer()
        self._frozen = {path for path, p in self._parameters.items() if self.trains and not p.requires_grad}
        self._order = self._ordered()
        self.places: dict[str, int] = {}
        for path in self._order:
            self.places[path] = self.weights
        self.max_batch = max_batch
        self.fixed = 0  # the only batch size there is; 0 where it is free
        self.functions: list[list[str]] = []
        self.declared: list[str] = []
        self.memory = self.integers = 0
        self._constants: dict[tuple, str] = {}
        self._tables: list[str] = []
        self._predict()
        if example.criterion is not None:
            self._loss()
        if self.trains:
            self._train()

    def _check_optimizer(self) -> None:
        own = set(self._parameters.values())
        if any(p not in own for group in self.optimizer.param_groups for p in group["params"]):
            raise ValueError(f"export_c expects an optimizer of the model's parameters, got {self.optimizer!r}")

    @property
    def weights(self) -> int:
        """How many weights have their places."""
        return sum(self._parameters[path].data.size for path in self.places)

    def _ordered(self) -> list[str]:
        """Return the paths of parameters: those that are trained first, a run of each group and step count together."""
        paths = {p: path for path, p in self._parameters.items()}
        runs = [run for _, run in self._runs()]
        first = [paths[p] for run in runs for p in run]
        return [*first, *(path for path in self._parameters if path not in first)]

    def _runs(self) -> list[tuple[int, list[Any]]]:
        """Return the runs of parameters that one call of the rule updates, each with the number of its group."""
        if not self.trains:
            return []
        found: dict[tuple[int, int], list[Any]] = {}
        for number, group in enumerate(self.optimizer.param_groups):
            for p in group["params"]:
                if p.requires_grad:
                    found.setdefault((number, self._state_of(p)["step"]), []).append(p)
        return [(number, run) for (number, _), run in found.items()]

    def _state_of(self, p: Any) -> dict[str, Any]:
        """Return the optimizer's state of a parameter."""
        state = self.optimizer.state_dict()["state"]
        every = [q for group in self.optimizer.param_groups for q in group["params"]]
        number = next(number for number, q in enumerate(every) if q is p)
        return state.get(number, {"step": 0})

    # ---- the functions

    def _where(self, lowered: Lowered, outputs: Mapping[str, str]) -> dict[str, str]:
        """Return, of each array in memory, a pointer to it in C."""
        n = self.fixed or self.max_batch
        places, reals, integers = plan(lowered.program, n)
        self.memory, self.integers = max(self.memory, reals), max(self.integers, integers)
        where: dict[str, str] = {}
        for name, array in lowered.program.arrays.items():
            if name in places:
                where[name] = f"{'memory' if array.is_real else 'integers'} + {places[name]}"
            elif name in lowered.parameters:
                where[name] = f"weights + {self.places[lowered.parameters[name]]}"
            elif name[1:] in lowered.parameters and array.role == "gradient":
                where[name] = f"weight_gradients + {self.places[lowered.parameters[name[1:]]]}"
            elif name in lowered.values:
                where[name] = self._constant(lowered.constants[name], array)
            else:
                where[name] = outputs.get(name, name)
        return where

    def _constant(self, value: np.ndarray, array: Array) -> str:
        """Return the name of a table of numbers that never change."""
        key = (array.is_real, value.tobytes())
        if key not in self._constants:
            self._constants[key] = f"constant{len(self._constants)}"
            kind = "T" if array.is_real else "int"
            text = numbers(value.ravel().astype(self.example.dtype if array.is_real else int), self.code.dialect)
            self._tables.append(f"static const {kind} {self._constants[key]}[{max(value.size, 1)}] = {{\n    {text}\n}};\n")
        return self._constants[key]

    def _lowered(self, training: bool, loss: bool, gradients: bool) -> Lowered:
        lowered, is_free = self.example.lowered(training, loss, gradients, frozen=self._frozen)
        if not is_free:
            self.fixed = max(self.example.rows, 1)
        return lowered

    def _arguments(self, lowered: Lowered, target: bool) -> str:
        arrays = lowered.program.arrays
        named = self._argument_names(lowered)
        texts = [f"const {self._kind(arrays[name])} *{named[name]}" for name in lowered.inputs]
        if target and lowered.target:
            texts.append(f"const {self._kind(arrays[lowered.target])} *target")
        return ", ".join(["long n", *texts])

    def _argument_names(self, lowered: Lowered) -> dict[str, str]:
        single = {lowered.inputs[0]: "x"} if len(lowered.inputs) == 1 else {}
        names = {name: single.get(name, name) for name in lowered.inputs}
        return names | ({lowered.target: "target"} if lowered.target else {})

    def _kind(self, array: Array) -> str:
        return self.real if array.is_real else "int"

    @property
    def _refused(self) -> str:
        return f"n != {self.fixed}" if self.fixed else "n < 1 || n > MAX_BATCH"

    def _predict(self) -> None:
        lowered = self._lowered(training=False, loss=False, gradients=False)
        self.predicted = lowered
        arrays = lowered.program.arrays
        single = len(lowered.outputs) == 1
        named = {name: "y" if single else name for name in lowered.outputs}
        where = self._where(lowered, {**self._argument_names(lowered), **named})
        outputs = ", ".join(f"{self._kind(arrays[name])} *{named[name]}" for name in lowered.outputs)
        head = f"int predict({self._arguments(lowered, False)}, {outputs})"
        self.functions.append([
            f"{head} {{",
            f"    if ({self._refused}) return 1;",
            *self.code.calls(lowered.program, where),
            "    return 0;",
            "}",
            "",
        ])  # fmt: skip
        shapes = [_shape_text(arrays[name]) for name in (*lowered.inputs, *lowered.outputs)]
        self._declare(head, f"Predict from n rows, {' and '.join(shapes)}; not 0 where n is out of range.")

    def _loss(self) -> None:
        lowered = self._lowered(training=False, loss=True, gradients=False)
        self._check_loss(lowered)
        where = self._where(lowered, {**self._argument_names(lowered), lowered.outputs[0]: "&result"})
        head = f"{self.real} loss({self._arguments(lowered, True)})"
        self._write_loss(head, lowered, where)
        self._declare(head, "Return the loss of n rows, in evaluation mode; NAN where n is out of range.")

    def _check_loss(self, lowered: Lowered) -> None:
        if lowered.program.arrays[lowered.outputs[0]].shape:
            raise LoweringError(f"{self.example.criterion!r} gives several losses: train with reduction mean or sum")

    def _write_loss(self, head: str, lowered: Lowered, where: Mapping[str, str]) -> None:
        self.functions.append([
            f"{head} {{",
            "    T result = NAN;",
            f"    if ({self._refused}) return NAN;",
            *self.code.calls(lowered.program, where),
            "    return result;",
            "}",
            "",
        ])  # fmt: skip

    def _train(self) -> None:
        lowered = self._lowered(training=True, loss=True, gradients=True)
        where = self._where(lowered, {**self._argument_names(lowered), lowered.outputs[0]: "&result"})
        arguments = self._arguments(lowered, True)
        head = f"{self.real} gradients({arguments})"
        self._write_loss(head, lowered, where)
        self._declare(head, "Compute the gradients of the weights, in training mode, and return the loss.")
        self._rules()
        named = self._argument_names(lowered)
        given = ", ".join(["n", *(named[name] for name in lowered.inputs), "target"])
        updates = [
            f"    {rule}({size}, setting{number}, weights + {start}, weight_gradients + {start}"
            + "".join(f", {name}{number}" for name in state)
            + ");"
            for number, (rule, start, size, state) in enumerate(self._updates)
        ]
        head = f"{self.real} train_step({arguments})"
        self.functions.append([
            f"{head} {{",
            f"    const T result = gradients({given});",
            f"    if ({self._refused}) return NAN;",
            *(f"    setting{number}[0] += 1;" for number in range(len(self._updates))),
            *updates,
            "    return result;",
            "}",
            "",
        ])  # fmt: skip
        self._declare(head, "Take a training step on n rows, and return the loss before it.")

    def _rules(self) -> None:
        """Write the optimizer's rule, and what it keeps of each run of parameters."""
        self._updates: list[tuple[str, int, int, list[str]]] = []
        for number, (index, run) in enumerate(self._runs()):
            group = self.optimizer.param_groups[index]
            states = [self._state_of(p) for p in run]
            fresh = self.optimizer.init_state(np.zeros(1), group)
            rule = Rule(self.optimizer, group, fresh)
            function = self.code.add("rule", rule.function("?", self.code.dialect))
            size = sum(p.data.size for p in run)
            start = self.places[next(path for path, p in self._parameters.items() if p is run[0])]
            values = {"t": states[0]["step"], **numbers_of(self.optimizer.defaults, group)}
            texts = ", ".join(f"{float(values[name])!r} /* {name} */" for name in rule.settings)
            self._tables.append(f"double setting{number}[{len(rule.settings)}] = {{{texts}}};\n")
            for name in rule.state:
                kept = np.concatenate([np.ravel(s.get(name, np.zeros(p.data.size))) for s, p in zip(states, run)])
                inside = f" = {{\n    {numbers(kept.astype(self.example.dtype), self.code.dialect)}\n}}" * bool(kept.any())
                self._tables.append(f"static T {name}{number}[{size}]{inside};\n")
            self._updates.append((function.name, start, size, rule.state))
            self._declare_setting(number, rule, group)

    def _declare_setting(self, number: int, rule: Rule, group: Mapping[str, Any]) -> None:
        names = ", ".join(rule.settings)
        self.declared += [f"/* Settings of {type(self.optimizer).__name__}: {names}; free to change. */"]
        self.declared += [f"extern double setting{number}[{len(rule.settings)}];", ""]

    def add_rows(self, rows: RowCode) -> None:
        """Add the functions for raw rows of a table."""
        lines, declared = rows.functions(self)
        self.functions.append(lines)
        self.declared += declared

    def _declare(self, head: str, comment: str) -> None:
        self.declared += [f"/* {comment} */", f"{head};", ""]

    # ---- the texts

    def source(self, header: str) -> str:
        """Return the C file."""
        kind = "" if self.trains else "const "
        values = [self._parameters[path].data.ravel() for path in self._order]
        flat = np.concatenate(values) if values else np.zeros(0, self.example.dtype)
        size = max(flat.size, 1)
        functions = ["\n".join(lines) for lines in self.functions]
        nests = self.code.text()
        parts = [
            f"/* {_comment(repr(self.example.model))} */",
            "",
            f'#include "{header}"',
            HEAD,
            f"typedef {self.real} T;",
            "",
            f"{kind}T weights[{size}] = {{\n    {numbers(flat, self.code.dialect) or '0'}\n}};",
            f"T weight_gradients[{size}];" if self.trains else "",
            f"static T memory[{self.memory}];" if self.memory else "",
            f"static int integers[{self.integers}];" if self.integers else "",
            "",
            *nests,
            *self._tables,
            *functions,
        ]
        text = "\n".join(parts)
        return re.sub(r"\n{3,}", "\n\n", text)

    def header(self, name: str) -> str:
        """Return the header."""
        guard = re.sub(r"\W", "_", name).upper()
        width = self.example.dtype.itemsize
        temporary = self.memory * width + self.integers * 4
        size = max(self.weights, 1)
        kind = "" if self.trains else "const "
        parts = [
            f"/* {_comment(repr(self.example.model))} */",
            f"#ifndef {guard}",
            f"#define {guard}",
            "",
            "#ifdef __cplusplus",
            'extern "C" {',
            "#endif",
            "",
            f"#define MAX_BATCH {self.fixed or self.max_batch} /* the largest n{', and the only one' * bool(self.fixed)} */",
            f"#define MEMORY_BYTES {temporary} /* for intermediate values, in one static block */",
            f"#define WEIGHT_COUNT {self.weights}",
            "",
            f"extern {kind}{self.real} weights[{size}];",
            f"extern {self.real} weight_gradients[{size}];" if self.trains else "",
            "",
            "/* Where each parameter begins in weights:",
            *(f"   {place:>8}  {path} {self._parameters[path].data.shape}" for path, place in self.places.items()),
            "*/",
            "",
            *self.declared,
            "#ifdef __cplusplus",
            "}",
            "#endif",
            "",
            "#endif",
            "",
        ]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(parts))


def _comment(text: str) -> str:
    """Return a text that can stand in a comment of C."""
    return text.replace("*/", "* /").replace("\n", "\n   ")


def _shape_text(array: Array) -> str:
    return f"({', '.join(map(_size_text, array.shape))})"


def _size_text(size: Size) -> str:
    return str(size).strip("()") if isinstance(size, Affine) else str(size)


__all__ = ["CFile", "export_c", "tree"]
