"""The table of ONNX's operators: for each module a function that writes what it computes in evaluation mode.

A function takes the sheet, the module, and the names of its inputs, and returns the name of its output.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..branch import CAddTable, CMulTable, JoinTable
from ..container import Sequential
from ..layers.activation import LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Softmax2d, Softplus, Tanh
from ..layers.adaptive_pool import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
)
from ..layers.avg_pool import AvgPool1d, AvgPool2d, AvgPool3d
from ..layers.batch_norm import (
    BatchNorm,
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from ..layers.circular_pad import CircularPad1d, CircularPad2d, CircularPad3d
from ..layers.constant_pad import ConstantPad1d, ConstantPad2d, ConstantPad3d, ZeroPad1d, ZeroPad2d, ZeroPad3d
from ..layers.conv import Conv1d, Conv2d, Conv3d
from ..layers.conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..layers.dropout import AlphaDropout, Dropout, Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout
from ..layers.fold import Fold, Unfold
from ..layers.layer_norm import LayerNorm, RMSNorm
from ..layers.linear import Linear
from ..layers.lp_pool import LPPool1d, LPPool2d, LPPool3d
from ..layers.max_pool import MaxPool1d, MaxPool2d, MaxPool3d
from ..layers.norm import GroupNorm
from ..layers.reflection_pad import ReflectionPad1d, ReflectionPad2d, ReflectionPad3d
from ..layers.replication_pad import ReplicationPad1d, ReplicationPad2d, ReplicationPad3d
from ..layers.response_norm import LocalResponseNorm
from ..layers.shape import ChannelShuffle, Flatten, Identity, PixelShuffle, PixelUnshuffle, Unflatten
from ..layers.upsample import Upsample, UpsamplingBilinear2d, UpsamplingNearest2d
from ..layers.window import MODES, window_count
from ..module import Module
from .sheet import Sheet

Writer = Callable[..., Any]

OPERATORS: dict[type[Module], Writer] = {}


def operator_of(module: Module) -> Writer | None:
    """Return the entry of a module's class, or of the one that it has its forward from; None where there is none."""
    kinds = (kind for kind in type(module).__mro__ if kind in OPERATORS)
    return next((OPERATORS[kind] for kind in kinds if kind.forward is type(module).forward), None)


def entry(*kinds: type[Module]) -> Callable[[Writer], Writer]:
    """Enter a function into the table."""

    def enter(write: Writer) -> Writer:
        OPERATORS.update(dict.fromkeys(kinds, write))
        return write

    return enter


def one(kind: type[Module], operator: str, attributes: Callable[[Any], dict[str, Any]] = lambda module: {}) -> None:
    """Enter a module that is one operator, with attributes from its settings."""
    entry(kind)(lambda sheet, module, *inputs: sheet.add(operator, *inputs, **attributes(module)))


one(ReLU, "Relu")
one(Sigmoid, "Sigmoid")
one(Tanh, "Tanh")
one(LeakyReLU, "LeakyRelu", lambda module: {"alpha": module.negative_slope})


@entry(Sequential)
def _empty(sheet: Sheet, module: Any, *inputs: str) -> Any:
    if len(module):
        raise ValueError("it cannot be followed inside")
    return _identity(sheet, module, *inputs)


@entry(Identity, Dropout, Dropout1d, Dropout2d, Dropout3d, AlphaDropout, FeatureAlphaDropout)
def _identity(sheet: Sheet, module: Any, *inputs: str) -> Any:
    return inputs[0] if len(inputs) == 1 else list(inputs)


@entry(Softmax, LogSoftmax)
def _softmax(sheet: Sheet, module: Any, x: str) -> str:
    if not sheet.shape:
        raise ValueError("its operator expects at least one dimension")
    implied = 0 if len(sheet.shape) in (0, 1, 3) else 1  # PyTorch's choice
    return str(sheet.add(type(module).__name__, x, axis=implied if module.dim is None else module.dim))


one(Softmax2d, "Softmax", lambda module: {"axis": -3})


@entry(Softplus)
def _softplus(sheet: Sheet, module: Any, x: str) -> str:
    if module.beta == 1 and module.threshold >= 20:  # beyond which the two differ by less than 3e-9
        return str(sheet.add("Softplus", x))
    beta = sheet.constant(module.beta, sheet.value)
    scaled = sheet.add("Mul", x, beta)
    large = sheet.add("Greater", scaled, sheet.constant(module.threshold, sheet.value))
    return str(sheet.add("Where", large, x, sheet.add("Div", sheet.add("Softplus", scaled), beta)))


@entry(Linear)
def _linear(sheet: Sheet, module: Any, x: str) -> str:
    W, b = sheet.parameter("weight"), sheet.parameter("bias")
    if len(sheet.shape) == 2:
        return str(sheet.add("Gemm", *filter(None, (x, W, b)), transB=1))
    y = sheet.add("MatMul", x, sheet.add("Transpose", W, perm=[1, 0]))
    return str(sheet.add("Add", y, b) if b else y)


@entry(Flatten)
def _flatten(sheet: Sheet, module: Any, x: str) -> str:
    dims = len(sheet.shape)
    if not dims:
        return sheet.reshape(x, [1])
    start, end = module.start_dim % dims, module.end_dim % dims
    return sheet.reshape(x, [0] * start + [-1] + list(sheet.shape[end + 1 :]))


@entry(CAddTable, CMulTable)
def _folded(sheet: Sheet, module: Any, first: str, *rest: str) -> str:
    for name in rest:
        first = str(sheet.add("Add" if isinstance(module, CAddTable) else "Mul", first, name))
    return first


@entry(JoinTable)
def _join(sheet: Sheet, module: Any, *inputs: str) -> str:
    return str(sheet.add("Concat", *inputs, axis=module.dim))


# ---- convolution


def batched(sheet: Sheet, dims: int, x: str, write: Callable[[str], str]) -> str:
    """Write an operator over `dims` axes, which takes batches alone: a single sample becomes a batch of one."""
    if len(sheet.shape) == dims + 2:
        return write(x)
    first = sheet.constant([0])
    return str(sheet.add("Squeeze", write(str(sheet.add("Unsqueeze", x, first))), first))


def ends(widths: Sequence[tuple[int, int]]) -> list[int]:
    """Return paddings in ONNX's order: those before each axis, then those after."""
    return [*(before for before, _ in widths), *(after for _, after in widths)]


def padded(
    sheet: Sheet,
    x: str,
    widths: Sequence[tuple[int, int]],
    mode: str,
    value: float = 0.0,
    crops_first: bool = True,
) -> str:
    """Write a Pad of the last axes, in a mode of PyTorch's; widths below zero cut off, and may do so first."""
    front = len(sheet.shape) - len(widths)
    if mode == "zeros":
        pads = sheet.constant(ends([(0, 0)] * front + list(widths)))
        return str(sheet.add("Pad", x, pads, sheet.constant(value, sheet.value), mode="constant"))
    for axis, (before, after) in enumerate(widths, start=front):  # entries are copied: which, is known
        if before or after:
            more, size = (max(before, 0), max(after, 0)), sheet.shape[axis]
            cut = slice(max(-before, 0), (size if crops_first else size + sum(more)) - max(-after, 0))
            kept = np.arange(size)[cut] if crops_first else np.arange(size)
            places = np.pad(kept, more, MODES[mode])[... if crops_first else cut]  # type: ignore[call-overload]
            x = str(sheet.add("Gather", x, sheet.constant(places), axis=axis))
    return x


@entry(Conv1d, Conv2d, Conv3d)
def _conv(sheet: Sheet, module: Any, x: str) -> str:
    widths = module.padding_widths
    if module.padding_mode != "zeros":
        x, widths = padded(sheet, x, widths, module.padding_mode), [(0, 0)] * len(widths)
    attributes = {"dilations": module.dilation, "group": module.groups, "pads": ends(widths), "strides": module.stride}
    weights = [name for name in (sheet.parameter("weight"), sheet.parameter("bias")) if name]
    return batched(sheet, len(widths), x, lambda x: str(sheet.add("Conv", x, *weights, **attributes)))


@entry(ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
def _conv_transpose(sheet: Sheet, module: Any, x: str, *output_size: str) -> str:
    if output_size:
        raise ValueError("its output_size is an input: build it with output_padding instead")
    dims = len(module.kernel_size)
    sizes, made = sheet.shape[-dims:], sheet.call.results[0].shape[-dims:]
    settings = zip(sizes, made, module.kernel_size, module.stride, module.padding, module.dilation, strict=True)
    attributes = {
        "dilations": module.dilation,
        "group": module.groups,
        "output_padding": [o - ((i - 1) * s - 2 * p + d * (k - 1) + 1) for i, o, k, s, p, d in settings],
        "pads": [*module.padding, *module.padding],
        "strides": module.stride,
    }
    weights = [name for name in (sheet.parameter("weight"), sheet.parameter("bias")) if name]
    return batched(sheet, dims, x, lambda x: str(sheet.add("ConvTranspose", x, *weights, **attributes)))


# ---- normalisation


def channels_of(sheet: Sheet, name: str, count: int, filling: float) -> str:
    """Return a Parameter or Buffer with a number a channel, or as many equal numbers where the module has none."""
    return sheet.parameter(name) or sheet.constant([filling] * count, sheet.value)


def scaled(sheet: Sheet, x: str, dims: int) -> str:
    """Write w x + b with a number a channel, before `dims` further axes."""
    for name, operator in (("weight", "Mul"), ("bias", "Add")):
        if factor := sheet.parameter(name):
            x = str(sheet.add(operator, x, sheet.reshape(factor, [-1] + [1] * dims)))
    return x


@entry(BatchNorm1d, BatchNorm2d, BatchNorm3d, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d)
def _channel_norm(sheet: Sheet, module: Any, x: str) -> str:
    count, dims = module.num_features, len(module.layouts[-1]) - 2
    given = [channels_of(sheet, "weight", count, 1), channels_of(sheet, "bias", count, 0)]
    operator = "InstanceNormalization"
    if module.running_mean is not None:
        operator = "BatchNormalization"
        given += [sheet.parameter("running_mean"), sheet.parameter("running_var")]
    elif isinstance(module, BatchNorm):
        raise ValueError("without running statistics it takes those of each batch, which ONNX leaves to training")
    dims = len(sheet.shape) - 2 if isinstance(module, BatchNorm) else dims
    return batched(sheet, dims, x, lambda x: str(sheet.add(operator, x, *given, epsilon=module.eps)))


@entry(GroupNorm)
def _group_norm(sheet: Sheet, module: Any, x: str) -> str:
    groups = module.num_groups
    ones, zeros = (sheet.constant([filling] * groups, sheet.value) for filling in (1, 0))
    parts = sheet.reshape(x, [0, groups, -1])
    parts = sheet.add("InstanceNormalization", parts, ones, zeros, epsilon=module.eps)
    return scaled(sheet, sheet.reshape(parts, [-1, *sheet.shape[1:]]), len(sheet.shape) - 2)


@entry(LayerNorm)
def _layer_norm(sheet: Sheet, module: Any, x: str) -> str:
    w = sheet.parameter("weight") or sheet.constant(np.ones(module.normalized_shape), sheet.value)
    given = [name for name in (x, w, sheet.parameter("bias")) if name]
    return str(sheet.add("LayerNormalization", *given, axis=-len(module.normalized_shape), epsilon=module.eps))


@entry(RMSNorm)
def _rms_norm(sheet: Sheet, module: Any, x: str) -> str:
    eps = np.finfo(sheet.value.dtype).eps if module.eps is None else module.eps
    squares = sheet.add("ReduceMean", sheet.add("Mul", x, x), axes=module.axes)
    y = sheet.add("Div", x, sheet.add("Sqrt", sheet.add("Add", squares, sheet.constant(eps, sheet.value))))
    w = sheet.parameter("weight")
    return str(sheet.add("Mul", y, w) if w else y)


@entry(LocalResponseNorm)
def _response_norm(sheet: Sheet, module: Any, x: str) -> str:
    if module.size % 2 == 0:
        raise ValueError("its operator takes an odd size alone")
    attributes = {"size": module.size, "alpha": module.alpha, "beta": module.beta, "bias": module.k}
    if len(sheet.shape) == 4:
        return str(sheet.add("LRN", x, **attributes))
    y = sheet.add("LRN", sheet.reshape(x, [0, 0, -1, 1]), **attributes)
    return sheet.reshape(y, [-1, *sheet.shape[1:]])


# ---- other shapes


@entry(Unflatten)
def _unflatten(sheet: Sheet, module: Any, x: str) -> str:
    dim = module.dim % len(sheet.shape)
    made = sheet.call.results[0].shape
    sizes = list(made[dim : dim + len(module.unflattened_size)])
    if dim == 0:  # the batch, of which the example has but one size
        sizes = list(module.unflattened_size)
    return sheet.reshape(x, [0] * dim + sizes + list(made[dim + len(sizes) :]))


def rearranged(sheet: Sheet, x: str, parts: Sequence[int], order: Sequence[int]) -> str:
    """Write the split of the last dimensions into parts, those parts in another order, and the output's shape."""
    kept = len(sheet.shape) - 3  # dimensions before channels, height and width
    perm = [*range(kept), *(kept + place for place in order)]
    shuffled = str(sheet.add("Transpose", sheet.reshape(x, [0] * kept + list(parts)), perm=perm))
    return sheet.reshape(shuffled, [0] * kept + list(sheet.call.results[0].shape[kept:]))


@entry(PixelShuffle)
def _pixel_shuffle(sheet: Sheet, module: Any, x: str) -> str:
    r, (C, H, W) = module.upscale_factor, sheet.shape[-3:]
    return rearranged(sheet, x, [C // (r * r), r, r, H, W], [0, 3, 1, 4, 2])


@entry(PixelUnshuffle)
def _pixel_unshuffle(sheet: Sheet, module: Any, x: str) -> str:
    r, (C, H, W) = module.downscale_factor, sheet.shape[-3:]
    return rearranged(sheet, x, [C, H // r, r, W // r, r], [0, 2, 4, 1, 3])


@entry(ChannelShuffle)
def _channel_shuffle(sheet: Sheet, module: Any, x: str) -> str:
    groups, (C, *sizes) = module.groups, sheet.shape[1:]
    parts = sheet.reshape(x, [0, groups, C // groups, -1])
    return sheet.reshape(str(sheet.add("Transpose", parts, perm=[0, 2, 1, 3])), [-1, C, *sizes])


@entry(Upsample, UpsamplingNearest2d, UpsamplingBilinear2d)
def _upsample(sheet: Sheet, module: Any, x: str) -> str:
    mode = {"nearest": "nearest", "nearest-exact": "nearest", "bicubic": "cubic"}.get(module.mode, "linear")
    places = "align_corners" if module.align_corners else "pytorch_half_pixel" if mode == "linear" else "half_pixel"
    attributes: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": places}
    if module.mode == "nearest":
        attributes |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    elif mode == "nearest":
        attributes |= {"nearest_mode": "round_prefer_ceil"}
    elif mode == "cubic":
        attributes |= {"cubic_coeff_a": -0.75}
    if module.scale_factor is not None and not module.recompute_scale_factor:
        factors = np.broadcast_to(module.scale_factor, len(sheet.shape) - 2)
        scales = sheet.constant(np.array([1, 1, *factors], np.float32), np.empty(0, np.float32))
        return str(sheet.add("Resize", x, "", scales, **attributes))
    front = sheet.add("Slice", sheet.add("Shape", x), sheet.constant([0]), sheet.constant([2]))
    sizes = sheet.add("Concat", front, sheet.constant(sheet.call.results[0].shape[2:]), axis=0)
    return str(sheet.add("Resize", x, "", "", sizes, **attributes))


# ---- pooling and padding


@entry(MaxPool1d, MaxPool2d, MaxPool3d)
def _max_pool(sheet: Sheet, module: Any, x: str) -> Any:
    sizes, made = (shape[-module.dims :] for shape in (sheet.shape, sheet.call.results[0].shape))
    settings = zip(sizes, made, module.kernel_size, module.stride, module.padding, module.dilation, strict=True)
    # What ceil_mode adds at the end is written as padding, which is never the largest: runtimes round otherwise.
    after = [max((o - 1) * s + d * (k - 1) + 1 - i - p, p) for i, o, k, s, p, d in settings]
    attributes = sliding(module) | {"pads": [*module.padding, *after]}
    if not module.return_indices:
        return batched(sheet, module.dims, x, lambda x: str(sheet.add("MaxPool", x, **attributes)))
    if len(sheet.shape) != module.dims + 2:
        raise ValueError("return_indices is written for batches alone")
    y, places = sheet.add("MaxPool", x, outputs=2, **attributes)
    return [y, sheet.add("Mod", places, sheet.constant(math.prod(sheet.shape[2:])))]  # from the whole batch to a plane


@entry(AvgPool1d, AvgPool2d, AvgPool3d)
def _avg_pool(sheet: Sheet, module: Any, x: str) -> str:
    sizes, made = (shape[-module.dims :] for shape in (sheet.shape, sheet.call.results[0].shape))
    axes = list(zip(sizes, made, module.kernel_size, module.stride, module.padding, strict=True))
    if module.divisor_override is None and all((o - 1) * s + k <= i + 2 * p for i, o, k, s, p in axes):
        attributes = {
            "count_include_pad": int(module.count_include_pad),
            "kernel_shape": module.kernel_size,
            "pads": [*module.padding, *module.padding],
            "strides": module.stride,
        }
        return batched(sheet, module.dims, x, lambda x: str(sheet.add("AveragePool", x, **attributes)))
    # Of windows that hang over the padding runtimes count the entries differently; here they are counted beforehand.
    for axis, (size, count, k, s, p) in enumerate(axes, start=-module.dims):
        starts = np.arange(count)[:, None] * s - p
        inside = (np.arange(size) >= starts) & (np.arange(size) < starts + k)
        counts = np.minimum(starts + k, size + p) - starts if module.count_include_pad else inside.sum(1, keepdims=True)
        x = along(sheet, x, axis, inside / (counts if module.divisor_override is None else 1))
    if module.divisor_override is not None:
        x = str(sheet.add("Div", x, sheet.constant(module.divisor_override, sheet.value)))
    return x


def along(sheet: Sheet, x: str, axis: int, matrix: np.ndarray) -> str:
    """Write the product of a matrix (new size, old size) with every vector along an axis, counted from the end."""
    letters = list("abcdef"[: len(sheet.shape)])
    old, letters[axis] = letters[axis], "z"
    equation = f"{'abcdef'[: len(letters)]},z{old}->{''.join(letters)}"
    return str(sheet.add("Einsum", x, sheet.constant(matrix, sheet.value), equation=equation))


def adaptive_windows(size: int, count: int) -> list[range]:
    """Return the windows of adaptive pooling along an axis."""
    return [range(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


@entry(AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d)
def _adaptive_avg_pool(sheet: Sheet, module: Any, x: str) -> str:
    sizes, made = (shape[-module.dims :] for shape in (sheet.shape, sheet.call.results[0].shape))
    if all(count == 1 for count in made):
        return batched(sheet, module.dims, x, lambda x: str(sheet.add("GlobalAveragePool", x)))
    for axis, (size, count) in enumerate(zip(sizes, made, strict=True), start=-module.dims):
        rows = [np.isin(np.arange(size), window) / len(window) for window in adaptive_windows(size, count)]
        x = along(sheet, x, axis, np.array(rows))
    return x


@entry(AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d)
def _adaptive_max_pool(sheet: Sheet, module: Any, x: str) -> str:
    if module.return_indices:
        raise ValueError("return_indices has no operator")
    sizes, made = (shape[-module.dims :] for shape in (sheet.shape, sheet.call.results[0].shape))
    if all(count == 1 for count in made):
        return batched(sheet, module.dims, x, lambda x: str(sheet.add("GlobalMaxPool", x)))
    for axis, (size, count) in enumerate(zip(sizes, made, strict=True), start=len(sheet.shape) - module.dims):
        windows = adaptive_windows(size, count)
        longest = max(map(len, windows))  # the others repeat their last entry
        places = [[window[min(k, len(window) - 1)] for k in range(longest)] for window in windows]
        parts = sheet.add("Gather", x, sheet.constant(places), axis=axis)
        x = str(sheet.add("ReduceMax", parts, axes=[axis + 1], keepdims=0))
    return x


@entry(Unfold)
def _unfold(sheet: Sheet, module: Any, x: str) -> str:
    channels = sheet.shape[-3]
    attributes = sliding(module) | {"group": channels}
    kernels = sheet.constant(one_hot(channels, module.kernel_size), sheet.value)
    columns = batched(sheet, 2, x, lambda x: str(sheet.add("Conv", x, kernels, **attributes)))
    kept = len(sheet.shape) - 3
    return sheet.reshape(columns, [0] * kept + [channels * math.prod(module.kernel_size), -1])


@entry(Fold)
def _fold(sheet: Sheet, module: Any, x: str) -> str:
    settings = zip(module.output_size, module.kernel_size, module.stride, module.padding, module.dilation, strict=True)
    counts = [window_count(size + 2 * p, k, s, d) for size, k, s, p, d in settings]
    channels = sheet.shape[-2] // math.prod(module.kernel_size)
    attributes = sliding(module) | {"group": channels}
    attributes["output_padding"] = [
        size - ((count - 1) * s - 2 * p + d * (k - 1) + 1)
        for size, count, k, s, p, d in zip(
            module.output_size, counts, module.kernel_size, module.stride, module.padding, module.dilation, strict=True
        )
    ]
    kernels = sheet.constant(one_hot(channels, module.kernel_size), sheet.value)
    x = sheet.reshape(x, [-1, sheet.shape[-2], *counts])
    y = str(sheet.add("ConvTranspose", x, kernels, **attributes))
    return sheet.reshape(
        y, [-1 if len(sheet.shape) == 3 else channels, channels, *module.output_size][-len(sheet.shape) - 1 :]
    )


def sliding(module: Any) -> dict[str, Any]:
    """Return the attributes of windows."""
    pads = [*module.padding, *module.padding]
    return {"dilations": module.dilation, "kernel_shape": module.kernel_size, "pads": pads, "strides": module.stride}


def one_hot(channels: int, kernel: Sequence[int]) -> np.ndarray:
    """Return the kernels that pick each entry of a window, of each channel: (channels · entries, 1, *kernel)."""
    entries = math.prod(kernel)
    return np.tile(np.eye(entries).reshape(entries, 1, *kernel), (channels, 1, 1, 1))


@entry(LPPool1d, LPPool2d, LPPool3d)
def _lp_pool(sheet: Sheet, module: Any, x: str) -> str:
    if module.ceil_mode or module.norm_type not in range(1, 100):
        raise ValueError("its operator has no ceil_mode at this opset, and whole powers alone")
    attributes = {"kernel_shape": module.kernel_size, "p": int(module.norm_type), "strides": module.stride}
    return batched(sheet, module.dims, x, lambda x: str(sheet.add("LpPool", x, **attributes)))


@entry(ZeroPad1d, ZeroPad2d, ZeroPad3d, ConstantPad1d, ConstantPad2d, ConstantPad3d)
@entry(ReflectionPad1d, ReflectionPad2d, ReflectionPad3d, ReplicationPad1d, ReplicationPad2d, ReplicationPad3d)
@entry(CircularPad1d, CircularPad2d, CircularPad3d)
def _pad(sheet: Sheet, module: Any, x: str) -> str:
    widths = list(zip(module.padding[::2], module.padding[1::2], strict=True))[::-1]  # PyTorch begins at the last axis
    return padded(sheet, x, widths, module.mode, getattr(module, "value", 0.0), module.crops_first)
