"""A model written to a C99 file and a header."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from ..files import whole_file
from ..module import Module
from ..settings import integer
from .cfile import CFile
from .example import Example, split_example
from .row import RowCode


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

    The file has `predict`, with a criterion also `loss`, and with an optimizer too `gradients` and `train_step`. It
    holds the weights, needs no library but the mathematics of C, and allocates nothing: the memory for intermediate
    values is planned, and its size stands in the header. `predict` and `loss` compute in evaluation mode, `gradients`
    and `train_step` in training mode, with a small generator for dropout. Where the equations allow it, the batch size
    is an argument, up to `max_batch`; else it is the example's.

    Args:
        model: any Module whose layers state their equations.
        example: an input, of any number of rows, or a tuple of several; with a criterion also a pair of these and a
            target, which otherwise is taken for class indices where the criterion takes such, else for numbers.
        path: of the C file; it ends in .c.
        criterion: the loss.
        optimizer: from `optim`, over parameters of the model; its settings and its state go into the file.
        max_batch: the largest batch that the file can take.
        before: the columns of a table in their order, of which the inputs are made, for `predict_row`: of text
            {"name", "levels", "mean"}, the texts and their frequencies; of numbers {"name", "shift", "scale", "mean"}.
            `TableEncoder.columns()` gives them.
        after: what the output means: {"mean", "std"} of a standardised number, or {"classes"}, whose probabilities
            `predict_row` gives.

    Raises:
        ValueError: for a model with a module that has no lowering, which is named, a path that does not end in .c, or
            descriptions that do not fit the model.
        TypeError: for what is no Module.
        OSError: when a file cannot be written; nothing half written is left.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from nn import Linear
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     export_c(Linear(3, 2), np.zeros((1, 3)), f"{folder}/net.c")
        ...     sorted(os.listdir(folder))
        ['net.c', 'net.h']
    """
    name = os.fsdecode(path)
    if not name.endswith(".c"):
        raise ValueError(f"export_c expects a path that ends in .c, got {name!r}")
    for role, module in (("model", model), ("criterion", criterion)):
        if not isinstance(module, Module) and not (module is None and role == "criterion"):
            raise TypeError(f"export_c expects a Module as {role}, got {module!r}")
    if optimizer is not None and criterion is None:
        raise ValueError("export_c expects a criterion with the optimizer: the loss that train_step brings down")
    max_batch = integer("export_c", "max_batch", max_batch, at_least=1)
    inputs, target = split_example(model, criterion, example)
    file = CFile(Example(model, inputs, criterion, target), optimizer, max_batch)
    if before is not None or after is not None:
        file.add(*RowCode(before, after, file).functions())
    header = f"{name[:-2]}.h"
    source, declarations = file.source(os.path.basename(header)), file.header(os.path.basename(header))
    with whole_file(name, "utf-8") as first, whole_file(header, "utf-8") as second:
        first.write(source)
        second.write(declarations)
