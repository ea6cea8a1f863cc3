"""Raw rows of a table in C: columns become the model's inputs, its output a number in its own unit or probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..graph import record
from ..layers.activation import Softmax
from .cfile import CFile
from .expression import LoweringError
from .memory import entries_at
from .model import ModelLowering

POSITION = """\
static int position(const char *const *list, const char *text) {
    for (int k = 0; list[k]; k++) {
        const char *a = list[k], *b = text;
        while (*a && *a == *b) a++, b++;
        if (*a == *b) return k;
    }
    return -1;
}
"""


class RowCode:
    """The functions of a table's rows.

    Args:
        before: the columns in their order, each a mapping with "name" and either "levels", the texts that it may hold,
            with "mean", their frequencies, or "shift", "scale" and "mean", of its numbers.
        after: {"name", "mean", "std"} of a number, or {"name", "classes"}; None leaves the output as it is.
        file: of the model.

    Raises:
        ValueError: for descriptions that lack something, or make another number of inputs than the model takes.
    """

    def __init__(
        self, before: Iterable[Mapping[str, Any]] | None, after: Mapping[str, Any] | None, file: CFile
    ) -> None:
        self.file = file
        if before is None:
            raise ValueError("export_c expects `before`, the columns of a row, where `after` is given")
        self.columns = list(before)
        self.after = dict(after or {})
        for number, column in enumerate(self.columns):
            wanted = {"name", "levels", "mean"} if column.get("levels") else {"name", "shift", "scale", "mean"}
            if lacking := wanted - column.keys():
                raise ValueError(f"export_c expects column {number} of `before` to have {', '.join(sorted(lacking))}")
        self.features = sum(len(column.get("levels") or [0]) for column in self.columns)
        inputs = file.example.inputs
        shape = inputs[0].shape
        if len(inputs) != 1 or len(shape) != 2 or shape[1] != self.features:
            raise ValueError(
                f"export_c expects a model of one input of {self.features} features, which `before` describes, got "
                f"an example of shape {', '.join(str(x.shape) for x in inputs)}"
            )

    def functions(self) -> tuple[list[str], list[str]]:
        """Return the lines of the functions, and those that declare them."""
        file = self.file
        (output,) = file.predicted.outputs
        outputs = entries_at(file.predicted.program.arrays[output], 1)
        classes = self.after.get("classes")
        if classes and len(classes) != outputs:
            raise ValueError(f"export_c expects as many classes in `after` as outputs, {outputs}, got {len(classes)}")
        if file.fixed:
            raise LoweringError("predict_row needs a model that takes any batch size")
        real = self.file.real
        levels = [list(map(_quoted, column.get("levels") or [])) for column in self.columns]
        table = ",\n".join(f"    {{{', '.join([*each, '0'])}}}" for each in levels)
        lines = [
            f"#define COLUMNS {len(levels)}\n",
            f"static const char *const levels[COLUMNS][{max(map(len, levels)) + 1}] = {{\n{table}\n}};\n",
            POSITION,
            "int level_of(int column, const char *text) {",
            "    return column < 0 || column >= COLUMNS ? -1 : position(levels[column], text);",
            "}\n",
            f"void encode_row(const double *row, {real} *x) {{",
            *self._encoding(),
            "}\n",
            f"int predict_row(const double *row, {real} *y) {{",
            f"    T x[{self.features}];",
            "    encode_row(row, x);",
            "    if (predict(1, x, y)) return 1;",
            *self._decoding(outputs),
            "    return 0;",
            "}\n",
        ]
        declared = self._declared(outputs)
        if "std" in self.after:
            mean, std = float(self.after["mean"]), float(self.after["std"])
            head = f"{real} encode_target(double value)"
            lines += [f"{head} {{", f"    return (T)((value - {mean!r}) / {std!r});", "}\n"]
            declared += ["/* Return a number of the target column as the loss takes it. */", f"{head};\n"]
        elif classes:
            head = "int class_of(const char *text)"
            names = ", ".join([*map(_quoted, classes), "0"])
            lines += [f"const char *const classes[{outputs + 1}] = {{{names}}};\n"]
            lines += [f"{head} {{", "    return position(classes, text);", "}\n"]
            declared += ["/* The names of the classes, and the number of one; -1 where there is none. */"]
            declared += [f"extern const char *const classes[{outputs + 1}];", f"{head};\n"]
        return lines, declared

    def _encoding(self) -> list[str]:
        """Return the lines that make features of a row; NAN, or a level of -1, is a missing value."""
        lines: list[str] = []
        place = 0
        for number, column in enumerate(self.columns):
            if names := column.get("levels"):
                means = np.broadcast_to(column["mean"], len(names))
                lines.append(f"    for (int k = 0; k < {len(names)}; k++) x[{place} + k] = row[{number}] == k;")
                fills = " ".join(f"x[{place + k}] = (T){float(m)!r};" for k, m in enumerate(means))
                lines.append(f"    if (!(row[{number}] >= 0)) {{ {fills} }}")
                place += len(names)
                continue
            shift, scale, mean = (float(np.ravel(column[key])[0]) for key in ("shift", "scale", "mean"))
            missing = (mean - shift) / scale
            lines.append(
                f"    x[{place}] = (T)(row[{number}] == row[{number}] ? (row[{number}] - {shift!r}) / {scale!r} : "
                f"{missing!r});"
            )
            place += 1
        return lines

    def _decoding(self, outputs: int) -> list[str]:
        """Return the lines that make a prediction of the output."""
        if "std" in self.after:
            mean, std = float(self.after["mean"]), float(self.after["std"])
            return [f"    for (int k = 0; k < {outputs}; k++) y[k] = (T)(y[k] * {std!r} + {mean!r});"]
        if not self.after.get("classes"):
            return []
        file = self.file
        graph = record(Softmax(1), np.zeros((1, outputs), file.example.dtype))
        lowered = ModelLowering(graph).run()
        where = file.where(lowered, {lowered.inputs[0]: "f", lowered.outputs[0]: "y"})
        calls = [line.replace("(n, ", "(1, ") for line in file.code.calls(lowered.program, where)]
        return [f"    T f[{outputs}];", f"    for (int k = 0; k < {outputs}; k++) f[k] = y[k];", *calls]

    def _declared(self, outputs: int) -> list[str]:
        """Return the lines of the header."""
        real = self.file.real
        what = "the probabilities of the classes" if self.after.get("classes") else "the prediction"
        lines = ["/* The columns of a row, and the levels of those that are text:"]
        for number, column in enumerate(self.columns):
            levels = ", ".join(map(str, column.get("levels") or []))
            lines.append(f"   {number}  {_plain(column['name'])}" + f": {_plain(levels)}" * bool(levels))
        return [
            *lines,
            "*/",
            "/* Return the number of a level of a text column, counted from 0; -1 where there is none. */",
            "int level_of(int column, const char *text);",
            "",
            "/* Make the model's inputs of a row: numbers, and levels of text by number. NAN and -1 are missing. */",
            f"void encode_row(const double *row, {real} *x);",
            "",
            f"/* Predict from a row of raw columns: {what}, {outputs} in number. */",
            f"int predict_row(const double *row, {real} *y);",
            "",
        ]


def _quoted(text: Any) -> str:
    """Return a string of C; what is not ASCII as the bytes of UTF-8."""
    found = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in str(text).encode())
    return f'"{found}"'


def _plain(text: Any) -> str:
    return str(text).replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?").replace("\n", " ")
