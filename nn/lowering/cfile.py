"""The two texts of a model in C: the functions that it has, their memory, the weights, and the header.

All memory is static and planned for the largest batch; functions share one block for their intermediate values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .c import Dialect
from .example import Example
from .expression import Affine, LoweringError, Size
from .limits import index_limits
from .memory import plan
from .model import Lowered
from .program import Array
from .source import HEAD, Source, numbers, product
from .training import Training

OUTSIDE = """\
static int outside(long count, const int *x, long size) {
    for (long i = 0; i < count; i++)
        if (x[i] < 0 || x[i] >= size) return 1;
    return 0;
}
"""

SEED = """\
void seed_generator(unsigned long seed) {
    generator = seed % 0xffffffffUL + 1;
}
"""


class CFile:
    """The file and its header.

    Args:
        example: the model, with what it is called with.
        optimizer: what trains it, or None.
        max_batch: the largest batch.

    Attributes:
        predicted: the lowered model of `predict`.
        fixed: the only batch size that there is; 0 where it is free.
    """

    def __init__(self, example: Example, optimizer: Any, max_batch: int) -> None:
        self.example = example
        self.max_batch = max_batch
        self.real = "double" if example.dtype == np.float64 else "float"
        self.code = Source(Dialect(self.real))
        self.fixed = 0
        self._parameters = dict(example.model.named_parameters())
        self._training = Training(optimizer, self._parameters)
        self._places: dict[str, int] = {}
        self.weights = 0
        for path in self._training.order():
            self._places[path] = self.weights
            self.weights += self._parameters[path].data.size
        self._functions: list[str] = []
        self._declared: list[str] = []
        self._tables: list[str] = []
        self._constants: dict[tuple[str, str | bytes], str] = {}
        self._reals = self._integers = 0
        self._predict()
        if example.criterion is not None:
            self._loss("loss", training=False)
        if optimizer is not None:
            self._train()

    def add(self, lines: Iterable[str], declared: Iterable[str]) -> None:
        """Add lines to the file, and to its header."""
        self._functions += lines
        self._declared += declared

    # ---- the functions

    def _lowered(self, training: bool, loss: bool, gradients: bool) -> Lowered:
        lowered, is_free = self.example.lowered(training, loss, gradients, frozen=self._training.frozen)
        if not is_free:
            self.fixed = max(self.example.rows, 1)
        return lowered

    def where(self, lowered: Lowered, arguments: Mapping[str, str]) -> dict[str, str]:
        """Return, of each array in memory, a pointer to it in C, and make room for the intermediate values.

        Args:
            lowered: what is to be run.
            arguments: the pointers to what the caller gives.
        """
        places, reals, integers = plan(lowered.program, self.fixed or self.max_batch)
        self._reals, self._integers = max(self._reals, reals), max(self._integers, integers)
        found: dict[str, str] = {}
        for name, array in lowered.program.arrays.items():
            if name in places:
                found[name] = f"{'memory' if array.is_real else 'integers'} + {places[name]}"
            elif name in lowered.parameters:
                found[name] = f"weights + {self._places[lowered.parameters[name]]}"
            elif array.role == "gradient":
                found[name] = f"weight_gradients + {self._places[lowered.parameters[name[1:]]]}"
            elif name in lowered.constants:
                found[name] = self._constant(lowered.constants[name], array, lowered.values.get(name))
            else:
                found[name] = arguments.get(name, name)
        return found

    def _constant(self, value: np.ndarray, array: Array, place: tuple[str, str] | None) -> str:
        """Return the name of a table of numbers: a buffer, which training may change, or what is known for good."""
        key = place or (str(array.is_real), value.tobytes())
        if key not in self._constants:
            name = self._constants[key] = f"table{len(self._constants)}"
            text = numbers(value.ravel().astype(self.example.dtype if array.is_real else np.intc), self.code.dialect)
            kind = f"{'' if place and self._training.runs else 'const '}{'T' if array.is_real else 'int'}"
            self._tables.append(f"static {kind} {name}[{max(value.size, 1)}] = {{\n    {text or '0'}\n}};\n")
        return self._constants[key]

    def _arguments(self, lowered: Lowered) -> dict[str, str]:
        """Return the names of the arguments that are read, by array."""
        names = {lowered.inputs[0]: "x"} if len(lowered.inputs) == 1 else {name: name for name in lowered.inputs}
        return names | ({lowered.target: "target"} if lowered.target else {})

    def _head(self, lowered: Lowered, result: str, outputs: Mapping[str, str]) -> str:
        arrays = lowered.program.arrays
        read = [f"const {self._kind(arrays[name])} *{text}" for name, text in self._arguments(lowered).items()]
        written = [f"{self._kind(arrays[name])} *{text}" for name, text in outputs.items()]
        return f"{result}({', '.join(['long n', *read, *written])})"

    def _kind(self, array: Array) -> str:
        return self.real if array.is_real else "int"

    def _refusals(self, lowered: Lowered, answer: str) -> list[str]:
        """Return the lines that refuse what the memory is not made for."""
        test = f"n != {self.fixed}" if self.fixed else "n < 1 || n > MAX_BATCH"
        lines = [f"    if ({test}) return {answer};"]
        for name, size in index_limits(lowered.program).items():
            count = product(lowered.program.arrays[name].shape)
            lines.append(f"    if (outside({count}, {self._arguments(lowered)[name]}, {size})) return {answer};")
        return lines

    def _unread(self, lowered: Lowered, lines: list[str]) -> list[str]:
        """Return lines for arguments that no other line reads, of which compilers would complain."""
        text = "\n".join(lines)
        return [
            f"    (void){name};" for name in self._arguments(lowered).values() if not re.search(rf"\b{name}\b", text)
        ]

    def _predict(self) -> None:
        lowered = self.predicted = self._lowered(training=False, loss=False, gradients=False)
        single = len(lowered.outputs) == 1
        outputs = {name: "y" if single else name for name in lowered.outputs}
        where = self.where(lowered, {**self._arguments(lowered), **outputs})
        head = self._head(lowered, "int predict", outputs)
        calls = self.code.calls(lowered.program, where)
        lines = [*self._refusals(lowered, "1"), *calls]
        lines = [f"{head} {{", *self._unread(lowered, lines), *lines, "    return 0;", "}", ""]
        arrays = lowered.program.arrays
        shapes = " and ".join(_shape_text(arrays[name]) for name in (*lowered.inputs, *lowered.outputs))
        comment = f"/* Predict from n rows; the arrays are {shapes}. Not 0: n or an index is out of range. */"
        self.add(lines, [comment, f"{head};", ""])

    def _loss(self, name: str, training: bool) -> Lowered:
        """Write a function that returns the loss, and in training computes the gradients too."""
        lowered = self._lowered(training, loss=True, gradients=training)
        if lowered.program.arrays[lowered.outputs[0]].shape:
            raise LoweringError(f"{self.example.criterion!r} gives several losses: take reduction 'mean' or 'sum'")
        where = self.where(lowered, {**self._arguments(lowered), lowered.outputs[0]: "&result"})
        head = self._head(lowered, f"{self.real} {name}", {})
        calls = self.code.calls(lowered.program, where)
        lines = [*self._refusals(lowered, "NAN"), *calls]
        start = [f"{head} {{", "    T result = NAN;", *self._unread(lowered, lines)]
        what = "Compute the gradients of the weights, in training mode, and return" if training else "Return"
        comment = f"/* {what} the loss of n rows; NAN where n or an index is out of range. */"
        self.add([*start, *lines, "    return result;", "}", ""], [comment, f"{head};", ""])
        return lowered

    def _train(self) -> None:
        lowered = self._loss("gradients", training=True)
        definitions, updates, declared = self._training.tables(self.code, self.example.dtype)
        self._tables += definitions
        head = self._head(lowered, f"{self.real} train_step", {})
        given = ", ".join(["n", *self._arguments(lowered).values()])
        start = [f"{head} {{", *self._refusals(lowered, "NAN"), f"    const T result = gradients({given});"]
        comment = "/* Take a training step on n rows, and return the loss before it, as `gradients` does. */"
        self.add([*start, *updates, "    return result;", "}", ""], [*declared, comment, f"{head};", ""])
        if self.code.draws:
            comment = "/* Start the random numbers of training afresh. */"
            self.add([SEED], [comment, "void seed_generator(unsigned long seed);", ""])

    # ---- the texts

    def source(self, header: str) -> str:
        """Return the C file, which includes a header of this name."""
        trains = bool(self._training.runs)
        values = [self._parameters[path].data.ravel() for path in self._places]
        flat = np.concatenate(values) if values else np.zeros(0, self.example.dtype)
        functions = "\n".join(self._functions)
        parts = [
            f"/* {_comment(repr(self.example.model))} */",
            f'#include "{header}"',
            HEAD,
            f"typedef {self.real} T;\n",
            f"{'' if trains else 'const '}T weights[{max(flat.size, 1)}] = {{",
            f"    {numbers(flat, self.code.dialect) or '0'}",
            "};",
            f"T weight_gradients[{max(flat.size, 1)}];" if trains else "",
            f"static T memory[{self._reals}];" if self._reals else "",
            f"static int integers[{self._integers}];" if self._integers else "",
            "",
            *self.code.text(),
            *self._tables,
            OUTSIDE if "outside(" in functions else "",
            functions,
        ]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(parts))

    def header(self, name: str) -> str:
        """Return the header of this name."""
        guard = re.sub(r"\W", "_", name).upper()
        trains = bool(self._training.runs)
        size, memory = max(self.weights, 1), self._reals * self.example.dtype.itemsize + self._integers * 4
        only = ", and the only one" if self.fixed else ""
        parts = [
            f"/* {_comment(repr(self.example.model))} */",
            f"#ifndef {guard}\n#define {guard}\n",
            '#ifdef __cplusplus\nextern "C" {\n#endif\n',
            f"#define MAX_BATCH {self.fixed or self.max_batch} /* the largest n{only} */",
            f"#define MEMORY_BYTES {memory} /* of intermediate values */",
            f"#define WEIGHT_COUNT {self.weights}\n",
            f"extern {'' if trains else 'const '}{self.real} weights[{size}];",
            f"extern {self.real} weight_gradients[{size}];" if trains else "",
            "\n/* Where each parameter begins in weights:",
            *(f"   {place:>8}  {path} {self._parameters[path].data.shape}" for path, place in self._places.items()),
            "*/\n",
            *self._declared,
            "#ifdef __cplusplus\n}\n#endif\n",
            "#endif\n",
        ]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(parts))


def _comment(text: str) -> str:
    """Return a text that can stand in a comment of C."""
    return text.replace("*/", "* /").replace("/*", "/ *").replace("\n", "\n   ")


def _shape_text(array: Array) -> str:
    return f"({', '.join(map(_size_text, array.shape))})"


def _size_text(size: Size) -> str:
    return str(size).strip("()") if isinstance(size, Affine) else str(size)
