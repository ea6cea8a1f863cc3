"""The sheet that an ONNX graph is written on, operator by operator; and the `onnx` package, asked for in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..graph import Call, Node

OPSET = 17
IR_VERSION = 8  # of the file format: the first that knows this opset


def onnx_package(wanted_by: str) -> Any:
    """Return the `onnx` package.

    Raises:
        ModuleNotFoundError: where it is not installed, naming the extra that brings it.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{wanted_by} needs the onnx package: pip install onnx, or handgrad's extra 'onnx'", name=error.name
        ) from None
    return onnx


class Sheet:
    """The nodes and constants of a graph that is being written.

    Attributes:
        nodes, constants: of the graph, as `onnx` makes them.
        call: the run of a module that is being written at the moment.
    """

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self._names: dict[Node, str] = {}
        self.call: Call

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add an operator, and return the name of its output, or the list of several; "" stands for no input."""
        names = [f"{operator.lower()}_{len(self.nodes)}" + (f"_{k}" if k else "") for k in range(outputs)]
        name = f"{self.call.path}/{operator}_{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(operator, inputs, names, name, **attributes))
        return names[0] if outputs == 1 else names

    def parameter(self, name: str) -> str:
        """Return the name of the call's own Parameter or Buffer, "" where it is None; a shared one is written once."""
        node = self.call.parameters.get(name)
        if node is not None:
            return self._constant(node.path, node.value)
        buffer = getattr(self.call.before, name)
        return "" if buffer is None else self._constant(f"{self.call.path}.{name}", buffer.data)

    def constant(self, value: Any, like: np.ndarray | None = None) -> str:
        """Return the name of a constant: integers, or numbers of the dtype of `like`."""
        array = np.asarray(value, np.int64 if like is None else like.dtype)
        return self._constant(f"constant_{len(self.constants)}", array)

    def _constant(self, name: str, value: np.ndarray) -> str:
        if name not in self.constants:
            self.constants[name] = self._onnx.numpy_helper.from_array(
                np.ascontiguousarray(value).reshape(value.shape), name
            )
        return name

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the call's first input, as in the example."""
        return self.value.shape

    @property
    def value(self) -> np.ndarray:
        """The call's first input, as in the example."""
        return self.call.slots[0].value

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        """Add a Reshape, in which 0 keeps a size and -1 is what is left."""
        return str(self.add("Reshape", x, self.constant(shape)))
