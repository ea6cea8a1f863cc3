"""A model as an ONNX file: its recorded graph, each run of a module written as the operators of its table entry."""

from __future__ import annotations

import copy
import os
from typing import Any

import numpy as np

from .. import tree
from ..files import check_path, whole_file
from ..graph import Node, leaves, placed, record
from ..module import Module
from .operators import operator_of
from .sheet import IR_VERSION, OPSET, Sheet, onnx_package


def export_onnx(model: Module, example: Any, path: str | os.PathLike[str]) -> None:
    """Write a model, as it computes in evaluation mode, as an ONNX file (opset 17): all of it, or none.

    Args:
        model: made of the library's modules, branches included; it is left as it is.
        example: an input, or the tuple of several, of the shapes that the file is to take. The first dimension of each
            is the batch, and stays free.
        path: the file's name; nothing is added to it.

    Raises:
        ModuleNotFoundError: without the `onnx` package.
        TypeError: for what is no Module, or holds one that ONNX has no operators for, naming its place.
        ValueError: for settings that ONNX's operators lack, or a model whose graph cannot be followed.
        OSError: when the file cannot be written.

    Example:
        >>> from nn import Linear
        >>> export_onnx(Linear(2, 1), np.zeros((1, 2)), "linear.onnx")  # doctest: +SKIP
    """
    check_path("export_onnx(model, example, path)", path)
    if not isinstance(model, Module):
        raise TypeError(f"export_onnx expects a Module, got {type(model).__name__}")
    onnx = onnx_package("export_onnx")
    model = copy.deepcopy(model).eval()
    dtype = next((parameter.data.dtype for parameter in model.parameters()), np.dtype(np.float32))
    inputs = example if isinstance(example, tuple) else (example,)
    graph = record(model, *tree.map(lambda leaf: _input(leaf, dtype), inputs))

    sheet = Sheet(onnx)
    names: dict[Node, str] = {}
    data = [node for node in graph.nodes if node.kind == "data"]
    for count, node in enumerate(data):
        names[node] = "x" if len(data) == 1 else f"x{count}"
    for call in graph.calls:
        sheet.call = call
        write = operator_of(call.before)
        if write is None:
            raise TypeError(
                f"export_onnx has no operators for {placed(call.before, call.path)}"
                + (f": {call.note}" if call.note else "")
            )
        try:
            made = write(sheet, call.before, *(names[node] for node in leaves(call.inputs)))
        except ValueError as error:
            raise ValueError(f"export_onnx cannot write {placed(call.before, call.path)}: {error}") from None
        names |= zip(call.results, [made] if isinstance(made, str) else made, strict=True)

    results = list(leaves(graph.outputs))
    outputs = []
    for count, node in enumerate(results):  # a name of its own each, although one may be an input, or stand twice
        name = "y" if len(results) == 1 else f"y{count}"
        sheet.nodes.append(onnx.helper.make_node("Identity", [names[node]], [name]))
        outputs.append((name, node))
    proto = onnx.helper.make_model(
        onnx.helper.make_graph(
            sheet.nodes,
            type(model).__name__,
            [_described(onnx, names[node], node) for node in data],
            [_described(onnx, name, node) for name, node in outputs],
            list(sheet.constants.values()),
        ),
        producer_name="handgrad",
        ir_version=IR_VERSION,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
    )
    onnx.checker.check_model(proto, full_check=True)
    with whole_file(path) as file:
        file.write(proto.SerializeToString())


def _input(leaf: Any, dtype: np.dtype) -> Any:
    """Return an input as the model takes it: integers as they are, numbers in its dtype."""
    array = np.asarray(leaf)
    return array if array.dtype.kind in "iub" else array.astype(dtype)


def _described(onnx: Any, name: str, node: Node) -> Any:
    kind = onnx.helper.np_dtype_to_tensor_dtype(node.value.dtype)
    return onnx.helper.make_tensor_value_info(name, kind, ["N", *node.shape[1:]] if node.shape else [])
