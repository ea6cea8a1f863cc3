"""What each of ONNX's operators becomes: a table of functions that build a module of a step and its constants."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..branch import CAddTable, CMulTable, JoinTable
from ..layers.activation import LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Softplus, Tanh
from ..layers.adaptive_pool import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
)
from ..layers.avg_pool import AvgPool1d, AvgPool2d, AvgPool3d
from ..layers.batch_norm import BatchNorm1d, BatchNorm2d, BatchNorm3d, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from ..layers.constant_pad import ConstantPad1d, ConstantPad2d, ConstantPad3d
from ..layers.conv import Conv1d, Conv2d, Conv3d
from ..layers.conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..layers.dropout import Dropout
from ..layers.layer_norm import LayerNorm
from ..layers.linear import Linear
from ..layers.lp_pool import LPPool1d, LPPool2d, LPPool3d
from ..layers.max_pool import MaxPool1d, MaxPool2d, MaxPool3d
from ..layers.reflection_pad import ReflectionPad1d, ReflectionPad2d, ReflectionPad3d
from ..layers.replication_pad import ReplicationPad1d, ReplicationPad2d, ReplicationPad3d
from ..layers.response_norm import LocalResponseNorm
from ..layers.shape import Flatten, Identity, Unflatten
from ..layers.upsample import Upsample
from ..module import Module
from ..parameter import Parameter

Shape = list[int | None] | None


class Step:
    """One operator of a graph.

    Attributes:
        operator, place: its kind and its name.
        sources: the values that it is computed from, in order, without the constants. A builder that takes in the step
            before as well puts that one's sources here.
        attributes: as the file has them.
    """

    def __init__(
        self,
        onnx: Any,
        node: Any,
        constants: dict[str, np.ndarray],
        shapes: dict[str, Shape],
        steps: dict[str, Step],
        parameters: dict[tuple, Parameter],
    ) -> None:
        self._onnx = onnx
        self._node = node
        self._constants = constants
        self._shapes = shapes
        self._steps = steps
        self._parameters = parameters
        self.operator: str = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        self.place: str = node.name or node.output[0]
        self.sources = [name for name in node.input if name and name not in constants]
        self.attributes: dict[str, Any] = {
            attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute
        }

    def folded(self) -> list[np.ndarray]:
        """Return what an operator on constants alone makes."""
        from onnx.reference import ReferenceEvaluator

        given = {name: self._constants[name] for name in self._node.input if name}
        results = ReferenceEvaluator(self._node).run(None, given)
        return [np.asarray(result) for result in results]

    def is_computed(self, index: int) -> bool:
        """Tell whether an input is no constant."""
        return self._node.input[index] not in self._constants

    def constant(self, index: int) -> np.ndarray | None:
        """Return the constant that an input is; None where it is left out.

        Raises:
            ValueError: where the input is computed.
        """
        if index >= len(self._node.input) or not self._node.input[index]:
            return None
        if self.is_computed(index):
            raise ValueError(f"its input {index} is computed, expected a constant")
        return self._constants[self._node.input[index]]

    def needed(self, index: int) -> np.ndarray:
        """Return a constant that must be there."""
        found = self.constant(index)
        if found is None:
            raise ValueError(f"its input {index} is missing")
        return found

    def fill(self, module: Any, **arrays: np.ndarray | None) -> Any:
        """Give a module its Parameters and Buffers, and return it; what stands for two in the file is shared here."""
        for name, array in arrays.items():
            if array is None:
                continue
            held = getattr(module, name)
            if held.data.shape != array.shape:
                raise ValueError(f"its {name} has shape {array.shape}, expected {held.data.shape}")
            held.data[...] = array
            if isinstance(held, Parameter):
                memory = array.__array_interface__["data"], array.shape, array.strides
                setattr(module, name, self._parameters.setdefault(memory, held))
        return module

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute, text as text."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def expect(self, **expected: Any) -> None:
        """Refuse an attribute that is there and has another value than the one that modules here compute with."""
        for name, value in expected.items():
            found = self.get(name, value)
            if found != value:
                raise ValueError(f"{name} is {found}, expected {value}")

    @property
    def before(self) -> Step | None:
        """The step that made the first source."""
        return self._steps.get(self.sources[0])

    @property
    def shape(self) -> Shape:
        """The shape of the first source, with None for a free size, where it is known."""
        return self._shapes.get(self.sources[0])

    @property
    def made_shape(self) -> Shape:
        """The shape of what it makes."""
        return self._shapes.get(self._node.output[0])


# ---- activations and noise


def _leaky_relu(step: Step) -> Module:
    return LeakyReLU(step.get("alpha", 0.01))


def _softmax(step: Step) -> Module:
    return (Softmax if step.operator == "Softmax" else LogSoftmax)(step.get("axis", -1))


def _dropout(step: Step) -> Module:
    ratio = step.constant(1)
    return Dropout(0.5 if ratio is None else float(ratio))


# ---- linear maps


def _gemm(step: Step) -> Module:
    step.expect(alpha=1.0, beta=1.0, transA=0)
    W = step.needed(1)
    return _linear(step, W if step.get("transB", 0) else W.T, step.constant(2))


def _matmul(step: Step) -> Module:
    return _linear(step, step.needed(1).T, None)


def _linear(step: Step, W: np.ndarray, b: np.ndarray | None) -> Module:
    if W.ndim != 2:
        raise ValueError(f"its weight has {W.ndim} dimensions, expected 2")
    if b is not None:
        b = np.broadcast_to(b.reshape(-1) if b.size == len(W) else b, (len(W),))
    return step.fill(Linear(W.shape[1], W.shape[0], b is not None, W.dtype), weight=W, bias=b)


def _add(step: Step) -> Module:
    if len(step.sources) > 1:
        return CAddTable()
    product = step.before
    if product is None or product.operator != "MatMul" or len(product.sources) != 1:
        raise ValueError("it adds a constant, and only a product with a matrix takes one, as its bias")
    b = next(step.needed(index) for index in (0, 1) if not step.is_computed(index))
    step.sources = product.sources
    return _linear(step, product.needed(1).T, b)


def _mul(step: Step) -> Module:
    if len(step.sources) < 2:
        raise ValueError("it multiplies by a constant, which no module here does")
    return CMulTable()


# ---- convolution


def _widths(step: Step, dims: int) -> list[tuple[int, int]]:
    """Return an operator's paddings, (before, after) an axis."""
    step.expect(auto_pad="NOTSET")
    pads = step.get("pads", [0] * (2 * dims))
    return list(zip(pads[:dims], pads[dims:], strict=True))


def _symmetric(step: Step, dims: int) -> tuple[int, ...]:
    """Return an operator's paddings where they are the same before and after each axis."""
    widths = _widths(step, dims)
    if any(before != after for before, after in widths):
        raise ValueError(f"pads differ before and after an axis: {widths}")
    return tuple(before for before, _ in widths)


def _conv(step: Step) -> Module:
    W, b = step.needed(1), step.constant(2)
    dims, groups = W.ndim - 2, step.get("group", 1)
    strides, dilations = step.get("strides", [1] * dims), step.get("dilations", [1] * dims)
    same = [(d * (k - 1) // 2, d * (k - 1) - d * (k - 1) // 2) for d, k in zip(dilations, W.shape[2:], strict=True)]
    is_same = _widths(step, dims) == same and set(strides) == {1} and any(before != after for before, after in same)
    layer = (Conv1d, Conv2d, Conv3d)[dims - 1](
        W.shape[1] * groups,
        W.shape[0],
        W.shape[2:],
        tuple(strides),
        "same" if is_same else _symmetric(step, dims),
        tuple(dilations),
        groups,
        b is not None,
        dtype=W.dtype,
    )
    return step.fill(layer, weight=W, bias=b)


def _conv_transpose(step: Step) -> Module:
    step.expect(output_shape=None)
    W, b = step.needed(1), step.constant(2)
    dims, groups = W.ndim - 2, step.get("group", 1)
    layer = (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)[dims - 1](
        W.shape[0],
        W.shape[1] * groups,
        W.shape[2:],
        tuple(step.get("strides", [1] * dims)),
        _symmetric(step, dims),
        tuple(step.get("output_padding", [0] * dims)),
        groups,
        b is not None,
        tuple(step.get("dilations", [1] * dims)),
        dtype=W.dtype,
    )
    return step.fill(layer, weight=W, bias=b)


# ---- pooling and padding


def _pool(step: Step) -> Module:
    kernel = tuple(step.attributes["kernel_shape"])
    dims = len(kernel)
    step.expect(dilations=[1] * dims if step.operator == "AveragePool" else step.get("dilations"), storage_order=0)
    settings: dict[str, Any] = {
        "kernel_size": kernel,
        "stride": tuple(step.get("strides", [1] * dims)),
        "padding": _symmetric(step, dims),
        "ceil_mode": bool(step.get("ceil_mode", 0)),
    }
    if step.operator == "MaxPool":
        dilation = tuple(step.get("dilations", [1] * dims))
        return (MaxPool1d, MaxPool2d, MaxPool3d)[dims - 1](**settings, dilation=dilation)
    include = bool(step.get("count_include_pad", 0))
    return (AvgPool1d, AvgPool2d, AvgPool3d)[dims - 1](**settings, count_include_pad=include)


def _lp_pool(step: Step) -> Module:
    kernel = tuple(step.attributes["kernel_shape"])
    if any(_symmetric(step, len(kernel))):
        raise ValueError("it pads, which no module here does")
    strides = tuple(step.get("strides", [1] * len(kernel)))
    return (LPPool1d, LPPool2d, LPPool3d)[len(kernel) - 1](step.get("p", 2), kernel, strides)


def _global_pool(step: Step) -> Module:
    average = step.operator == "GlobalAveragePool"
    kinds: tuple[Any, ...] = (AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d)
    if average:
        kinds = (AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d)
    return kinds[_spatial(step) - 1](1)


_PADS = {
    "constant": (ConstantPad1d, ConstantPad2d, ConstantPad3d),
    "reflect": (ReflectionPad1d, ReflectionPad2d, ReflectionPad3d),
    "edge": (ReplicationPad1d, ReplicationPad2d, ReplicationPad3d),
}


def _pad(step: Step) -> Module:
    pads, value, mode = step.needed(1).tolist(), step.constant(2), step.get("mode", "constant")
    widths = list(zip(pads[: len(pads) // 2], pads[len(pads) // 2 :], strict=True))
    spatial = widths[2:]
    if any(map(any, widths[:2])) or not 1 <= len(spatial) <= 3 or mode not in _PADS:
        raise ValueError(
            f"it pads by {widths}, mode {mode!r}; the axes behind the channels can be padded, in modes {list(_PADS)}"
        )
    sides = tuple(side for pair in spatial[::-1] for side in pair)
    layer = _PADS[mode][len(spatial) - 1]
    return layer(sides, 0.0 if value is None else float(value)) if mode == "constant" else layer(sides)


# ---- normalisation


def _spatial(step: Step) -> int:
    """Return how many axes stand behind the channels."""
    if step.shape is None or not 2 <= len(step.shape) <= 5:
        raise ValueError(f"its input has shape {step.shape}, expected 2 to 5 dimensions")
    return max(len(step.shape) - 2, 1)


def _batch_norm(step: Step) -> Module:
    step.expect(training_mode=0)
    w, b, mean, var = (step.needed(index) for index in (1, 2, 3, 4))
    kind = (BatchNorm1d, BatchNorm2d, BatchNorm3d)[_spatial(step) - 1]
    layer = kind(len(w), step.get("epsilon", 1e-5), 1 - step.get("momentum", 0.9), dtype=w.dtype)
    return step.fill(layer, weight=w, bias=b, running_mean=mean, running_var=var)


def _instance_norm(step: Step) -> Module:
    w, b = step.needed(1), step.needed(2)
    kind = (InstanceNorm1d, InstanceNorm2d, InstanceNorm3d)[_spatial(step) - 1]
    return step.fill(kind(len(w), step.get("epsilon", 1e-5), affine=True, dtype=w.dtype), weight=w, bias=b)


def _layer_norm(step: Step) -> Module:
    w, b, axis = step.needed(1), step.constant(2), step.get("axis", -1)
    if axis != -w.ndim and (step.shape is None or axis != len(step.shape) - w.ndim):
        raise ValueError(f"axis is {axis} for a scale of shape {w.shape}")
    return step.fill(LayerNorm(w.shape, step.get("epsilon", 1e-5), bias=b is not None, dtype=w.dtype), weight=w, bias=b)


# ---- shapes


def _flatten(step: Step) -> Module:
    step.expect(axis=1)
    return Flatten()


def _reshape(step: Step) -> Module:
    before, after = step.shape, step.made_shape
    if before == [] and after == [1]:
        return Flatten(0)
    if before is not None and after is not None:
        more = len(after) - len(before)
        for dim in range(min(len(before), len(after))):  # where neighbours are joined, or one is split
            here, there = before[dim : dim + max(1 - more, 1)], after[dim : dim + max(1 + more, 1)]
            around = before[:dim] == after[:dim] and before[dim + len(here) :] == after[dim + len(there) :]
            if around and more <= 0 and there == [_product(here)]:
                return Flatten(dim, dim - more)
            if around and more > 0 and here == [_product(there)] and here != [None]:
                return Unflatten(dim, [size or 0 for size in there])
    raise ValueError(f"it makes {after} of {before}, and only neighbouring dimensions can be joined, or one split")


def _product(sizes: list[int | None]) -> int | None:
    """Return the product of sizes, None where one is free."""
    known = [size for size in sizes if size is not None]
    return math.prod(known) if len(known) == len(sizes) else None


def _resize(step: Step) -> Module:
    scales = step.constant(2)
    if scales is None or len(step.sources) > 1 or any(scales[:2] != 1) or not 3 <= len(scales) <= 5:
        raise ValueError("its scales are no constants of the axes behind the channels")
    kind, places = step.get("mode", "nearest"), step.get("coordinate_transformation_mode", "half_pixel")
    if kind == "nearest":
        rounding = places, step.get("nearest_mode", "round_prefer_floor")
        modes = {("asymmetric", "floor"): "nearest", ("half_pixel", "round_prefer_ceil"): "nearest-exact"}
        mode, is_known = modes.get(rounding, ""), rounding in modes
    else:
        mode = {"linear": ("linear", "bilinear", "trilinear"), "cubic": ("", "bicubic", "")}[kind][len(scales) - 3]
        is_known = bool(mode) and places in ("align_corners", "half_pixel", "pytorch_half_pixel")
        is_known &= kind == "linear" or step.get("cubic_coeff_a", -0.75) == -0.75
    if not is_known:
        raise ValueError(f"mode {kind!r} with {places!r} is no mode of Upsample")
    corners = None if kind == "nearest" else places == "align_corners"
    return Upsample(scale_factor=tuple(map(float, scales[2:])), mode=mode, align_corners=corners)


def _lrn(step: Step) -> Module:
    settings = (step.get(name, default) for name, default in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0)))
    if step.get("size") % 2 == 0:
        raise ValueError(f"size is {step.get('size')}, expected an odd one")
    return LocalResponseNorm(step.get("size"), *settings)


def _concat(step: Step) -> Module:
    return JoinTable(step.attributes["axis"])


BUILDERS: dict[str, Callable[[Step], Module]] = {
    "Add": _add,
    "AveragePool": _pool,
    "BatchNormalization": _batch_norm,
    "Concat": _concat,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool,
    "GlobalMaxPool": _global_pool,
    "Identity": lambda step: Identity(),
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": _leaky_relu,
    "LogSoftmax": _softmax,
    "LRN": _lrn,
    "LpPool": _lp_pool,
    "MatMul": _matmul,
    "MaxPool": _pool,
    "Mul": _mul,
    "Pad": _pad,
    "Relu": lambda step: ReLU(),
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": lambda step: Sigmoid(),
    "Softmax": _softmax,
    "Softplus": lambda step: Softplus(),
    "Sum": lambda step: CAddTable(),
    "Tanh": lambda step: Tanh(),
}
