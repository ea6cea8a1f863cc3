"""An ONNX file as a model: chains become Sequential, paths that part and meet again become ConcatTable and its kin."""

from __future__ import annotations

import os
from typing import Any

from ..branch import ConcatTable
from ..container import Sequential
from ..files import check_path
from ..layers.shape import Identity
from ..module import Module
from ..parameter import Parameter
from .builders import BUILDERS, Step
from .sheet import onnx_package


def import_onnx(path: str | os.PathLike[str]) -> Module:
    """Return the model of an ONNX file, with its weights, ready to predict or to be trained further.

    The model has one input, whose first dimension is the batch; its operators are those that `export_onnx` writes, and
    what PyTorch writes for the same layers. Paths that part must meet again in a sum, a product or a join.

    Args:
        path: the file's name.

    Raises:
        ModuleNotFoundError: without the `onnx` package.
        FileNotFoundError: when there is no such file.
        ValueError: for what is no valid ONNX file; for operators, or settings of them, that no module here computes,
            naming each.

    Example:
        >>> import_onnx("linear.onnx")  # doctest: +SKIP
        Linear(2, 1)
    """
    check_path("import_onnx(path)", path)
    onnx = onnx_package("import_onnx")
    name = os.fsdecode(path)
    with open(path, "rb") as file:
        content = file.read()
    try:
        proto = onnx.load_model_from_string(content)
        onnx.checker.check_model(proto)
        proto = onnx.shape_inference.infer_shapes(proto)
    except Exception as error:  # what protobuf and the checker say of nonsense is of a dozen kinds
        raise ValueError(f"{name} is not a readable ONNX file ({type(error).__name__}: {error})") from error
    return Reader(onnx, proto.graph, name).model()


class Reader:
    """Walks a graph from its output back to its input."""

    def __init__(self, onnx: Any, graph: Any, name: str) -> None:
        self.name = name
        self.steps: dict[str, Step] = {}  # by the names of what they make
        self.constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
        shapes = {info.name: _shape(info) for info in (*graph.input, *graph.value_info, *graph.output)}
        self.inputs = [info.name for info in graph.input if info.name not in self.constants]
        self.outputs = [info.name for info in graph.output]
        # For each value the values that every path to it passes, the nearest first.
        self.passed: dict[str, list[str]] = {name: [name] for name in self.inputs}
        parameters: dict[tuple, Parameter] = {}
        unknown = {}
        for node in graph.node:  # in an order in which they can be computed
            step = Step(onnx, node, self.constants, shapes, self.steps, parameters)
            if not step.sources:
                self.constants |= zip(node.output, step.folded(), strict=True)
                continue
            if step.operator not in BUILDERS:
                unknown[step.operator] = node.name or node.output[0]
            ways = [self.passed[source] for source in step.sources]
            common = [value for value in ways[0] if all(value in way for way in ways[1:])]
            for output in node.output:
                self.steps[output] = step
                self.passed[output] = [output, *common]
        if unknown:
            listed = ", ".join(f"{operator} (at {place!r})" for operator, place in unknown.items())
            raise ValueError(f"{name} has operators that no module here computes: {listed}")

    def model(self) -> Module:
        """Return the model."""
        if len(self.inputs) != 1:
            raise ValueError(f"{self.name} has {len(self.inputs)} inputs ({', '.join(self.inputs)}), expected one")
        modules = self.chain(self.outputs, self.inputs[0])
        return modules[0] if len(modules) == 1 else Sequential(*modules)

    def chain(self, ends: list[str], start: str) -> list[Module]:
        """Return the modules that make the values `ends` of the value `start`, in order."""
        modules: list[Module] = []  # the last first
        while ends != [start]:
            if len(ends) == 1:
                step = self.steps[ends[0]]
                modules.append(self.built(step))
                ends = step.sources
            else:
                fork = next(
                    (value for value in self.passed[ends[0]] if all(value in self.passed[end] for end in ends)), None
                )
                if fork is None:
                    raise ValueError(f"{self.name} has outputs that depend on no common value")
                branches = [self.chain([end], fork) for end in ends]
                modules.append(ConcatTable(*(_one(branch) for branch in branches)))
                ends = [fork]
        return modules[::-1]

    def built(self, step: Step) -> Module:
        try:
            return BUILDERS[step.operator](step)
        except ValueError as error:
            raise ValueError(f"{self.name}: {step.operator} (at {step.place!r}): {error}") from None


def _one(modules: list[Module]) -> Module:
    if not modules:
        return Identity()
    return modules[0] if len(modules) == 1 else Sequential(*modules)


def _shape(info: Any) -> list[int | None] | None:
    """Return a value's shape with None for a free size; None where even their number is not known."""
    kind = info.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
