"""The mistakes: which text of a layer's backward is another, and the kinds that name it rightly.

None of these was at hand when the diagnosis was first written. Each third one (`Mistake.aside`) is kept aside: nothing
is tuned on it, and it is counted apart. Where the numbers bear out another description as well (a product rule's term
left out is a wrong slope too), its kind stands beside.
"""

import functools
import inspect
import zlib
from dataclasses import dataclass

import numpy as np

import nn

from . import layers


def normal(*shapes):
    return lambda rng: tuple(rng.normal(size=shape) for shape in shapes)


def classes(shape, count):
    return lambda rng: (rng.normal(size=(*shape, count)), rng.integers(count, size=shape))


# What each layer is called with.
INPUTS = {
    "Conv2d": normal((2, 2, 5, 7)),
    "Conv1d": normal((3, 2, 7)),
    "Depthwise": normal((2, 4, 8)),
    "Upsample": normal((3, 2, 4)),
    "MaxPool2d": normal((2, 2, 5, 7)),
    "AvgPool2d": normal((2, 2, 4, 6)),
    "GlobalPool": normal((3, 2, 3, 3)),
    "PaddedMaxPool": normal((3, 2, 7)),
    "TiedMaxPool": lambda rng: (rng.integers(2, size=(3, 2, 6)).astype(float),),
    "PaddedAvgPool": normal((3, 2, 7)),
    "AdaptivePool": normal((3, 2, 8)),
    "PowerPool": normal((3, 2, 6)),
    "Unpool": lambda rng: (
        rng.normal(size=(3, 2, 3)),
        rng.permuted(np.tile(np.arange(6), (3, 2, 1)), axis=2)[:, :, :3],
    ),
    "ReflectionPad": normal((3, 2, 6)),
    "ReplicationPad": normal((3, 2, 5)),
    "CircularPad": normal((3, 2, 5)),
    "Columns": normal((2, 3, 3, 4)),
    "FromColumns": normal((3, 4, 4)),
    "BatchNorm2d": normal((4, 3, 3, 2)),
    "LayerNorm": normal((3, 2, 6)),
    "RMSNorm": normal((3, 2, 5)),
    "GroupNorm": normal((3, 4, 3)),
    "InstanceNorm2d": normal((4, 3, 5, 3)),
    "TrackingNorm": normal((6, 3)),
    "ResponseNorm": normal((3, 6, 2)),
    "NearestUpsample": normal((2, 2, 4, 5)),
    "LinearUpsample": normal((3, 2, 3)),
    "PixelShuffle": normal((2, 8, 3, 4)),
    "AlphaDropout": normal((5, 4)),
    "Normalize": normal((4, 5)),
    "WeightNorm": normal((5, 4)),
    "RNN": normal((5, 2, 3)),
    "LSTM": normal((4, 3, 3)),
    "GRU": normal((4, 2, 2), (2, 3)),
    "CumulativeSum": normal((6, 3)),
    "Attention": normal((2, 3, 4), (2, 3, 4), (2, 3, 4)),
    "SelfAttention": normal((2, 3, 4)),
    "Embedding": lambda rng: (np.array([[1, 4, 0, 4], [2, 1, 1, 5]]),),
    "Tied": normal((4, 5)),
    "Gather": normal((4, 5)),
    "Residual": normal((5, 4)),
    "Gated": normal((5, 4)),
    "Excitation": normal((2, 3, 5)),
    "PReLU": normal((4, 3, 5)),
    "GELU": normal((5, 4)),
    "LogSumExp": normal((4, 5)),
    "Concat": normal((5, 4)),
    "Network": normal((5, 4)),
    "MinimalGate": normal((4, 2, 2)),
    "TwoHeads": normal((2, 3, 4)),
    "InstanceNorm": normal((2, 3, 5)),
    "Bottleneck": normal((5, 4)),
    "SequenceCrossEntropy": classes((3, 4), 5),
    "Hinge": classes((6,), 4),
    "Divergence": lambda rng: (rng.uniform(0.1, 1, (4, 3)), rng.uniform(0.1, 1, (4, 3))),
    "Focal": lambda rng: (rng.normal(size=(4, 3)), rng.integers(2, size=(4, 3))),
    "Dice": lambda rng: (rng.uniform(0.1, 1, (4, 5)), rng.integers(2, size=(4, 5))),
    "Cosine": normal((4, 5), (4, 5)),
    "Triplet": normal((6, 3), (6, 3), (6, 3)),
}


@functools.cache
def _source(layer):
    """Return the text of a layer's class; to find it takes Python 40 ms, and most have several mistakes."""
    return inspect.getsource(getattr(layers, layer))


@dataclass
class Mistake:
    """One text of a layer's backward (or of its forward, where that has it alone) that is another."""

    layer: str
    name: str
    old: str
    new: str
    kinds: tuple[str, ...]

    @property
    def aside(self):
        return zlib.crc32(f"{self.layer}: {self.name}".encode()) % 3 == 0

    def text(self):
        """Return the text of the layer with the mistake."""
        forward, backward = _source(self.layer).split("    def backward", 1)
        if backward.count(self.old) == 1:
            backward = backward.replace(self.old, self.new)
        elif forward.count(self.old) == 1:
            forward = forward.replace(self.old, self.new)
        else:
            raise ValueError(f"{self.layer}: {self.old!r} occurs not once")
        return f"{forward}    def backward{backward}"

    def build(self):
        """Return the layer with the mistake."""
        space = dict(vars(layers))
        exec(self.text(), space)
        return space[self.layer]()

    def draw(self, rng):
        return INPUTS[self.layer](rng)


FACTOR, SIGN, INDEX = "constant factor", "wrong sign", "factor by index"
PARTLY, SLIP, MISSING, EXTRA = "partly right", "elementwise slip", "missing term", "extra term"
LOST, SHIFTED, CARRIED, WRONG_TERM = "not accumulated", "shifted", "not carried", "wrong term"
REORDERED, TRANSPOSED, SUMMED, TWICE = "reordered", "transposed", "not summed", "summed twice"
EXCHANGED, ZERO, SHAPE, RAISED, UNUSED = "exchanged", "zero", "wrong shape", "raised", "unused"
MIXED, PASSED, IGNORED, MISUSED = "mixed samples", "passed through", "upstream ignored", "upstream misused"
BY_OUTPUT, UPSTREAM = "factor by output", "wrong upstream"
SHARED, STALE, OVERWRITTEN, CHANGED = "shared out", "stale values", "overwritten", "changed in place"

TABLE = {
    "Conv2d": [
        ("overlaps overwritten", "columns] +=", "columns] =", [LOST]),
        ("the last position alone", "dw += ", "dw = ", [SUMMED, LOST]),
        ("padding cropped before", "1:-1, 1:-1]", "2:, 2:]", [SHIFTED]),
        ("padding cropped behind", "1:-1, 1:-1]", ":-2, :-2]", [SHIFTED]),
        ("padding cropped on one axis", "1:-1, 1:-1]", "1:-1, 2:]", [SHIFTED]),
        ("padding not cropped", "dp[:, :, 1:-1, 1:-1]", "dp", [SHAPE]),
        ("kernel flipped", "g[:, :, i, j], w, 1", "g[:, :, i, j], w[:, :, ::-1, ::-1], 1", [REORDERED]),
        ("kernel flipped along rows", "g[:, :, i, j], w, 1", "g[:, :, i, j], w[:, :, ::-1], 1", [REORDERED]),
        ("kernel transposed", "g[:, :, i, j], w, 1", "g[:, :, i, j], w.swapaxes(2, 3), 1", [TRANSPOSED]),
        ("weight's gradient flipped", "self.w.grad += dw", "self.w.grad += dw[:, :, ::-1, ::-1]", [REORDERED]),
        ("stride forgotten", "slice(i * s, i * s + 3), slice(j * s, j * s + 3)", "slice(i, i + 3), slice(j, j + 3)",
         [SHIFTED, REORDERED]),
        ("stride forgotten along columns", "slice(j * s, j * s + 3)", "slice(j, j + 3)",
         [SHIFTED, REORDERED]),
        ("bias over the batch's mean", "g.sum((0, 2, 3))", "g.mean(0).sum((1, 2))", [FACTOR]),
        ("last column of outputs left out", "range(g.shape[3])", "range(g.shape[3] - 1)", [SUMMED, PARTLY, MISSING]),
        ("weight from the first image", "tensordot(g[:, :, i, j], p[:, :, rows, columns], (0, 0))",
         "tensordot(g[:1, :, i, j], p[:1, :, rows, columns], (0, 0))", [SUMMED]),
        ("weight a step late", "p[:, :, rows, columns], (0", "np.roll(p, 1, 3)[:, :, rows, columns], (0", [SHIFTED]),
    ],
    "Conv1d": [
        ("overlaps overwritten", "k : k + t] +=", "k : k + t] =", [LOST]),
        ("taps in reverse", "g, self.w.data[:, :, k])", "g, self.w.data[:, :, 2 - k])", [REORDERED]),
        ("weight in reverse", "self.w.grad[:, :, k]", "self.w.grad[:, :, 2 - k]", [REORDERED]),
        ("a tap left out", "in range(3)", "in range(2)", [PARTLY, MISSING, SUMMED]),
        ("bias over time alone", "g.sum((0, 2))", "g.sum(2)[0]", [SUMMED]),
        ("bias's mean over time", "g.sum((0, 2))", "g.mean(2).sum(0)", [FACTOR]),
        ("a step late", "return dx", "return np.roll(dx, 1, 2)", [SHIFTED]),
    ],
    "Depthwise": [
        ("cropped behind", "dp[:, :, 4:]", "dp[:, :, :-4]", [SHIFTED]),
        ("dilation forgotten", "dp[:, :, 2 * k : 2 * k + t]", "dp[:, :, k : k + t]",
         [SHIFTED, REORDERED]),
        ("overlaps overwritten", "2 * k + t] += g", "2 * k + t] = g", [LOST]),
        ("weight without dilation", "g * p[:, :, 2 * k : 2 * k + t]", "g * p[:, :, k : k + t]",
         [SHIFTED, REORDERED, PARTLY]),
        ("weight of the first sample", "(g * p[:, :, 2 * k : 2 * k + t]).sum((0, 2))",
         "(g * p[:, :, 2 * k : 2 * k + t])[0].sum(1)", [SUMMED]),
    ],
    "Upsample": [
        ("stride forgotten", "2 * t : 2 * t + 3]", "t : t + 3]", [SHIFTED, REORDERED]),
        ("kernel flipped", "einsum(\"nok,cok->nc\", window", "einsum(\"nok,cok->nc\", window[:, :, ::-1]", [REORDERED]),
        ("first tap alone", "einsum(\"nok,cok->nc\", window, self.w.data)",
         "einsum(\"no,co->nc\", window[:, :, 0], self.w.data[:, :, 0])", [SUMMED, MISSING, LOST]),
        ("weight of the last step", "self.w.grad += ", "self.w.grad += (t == x.shape[2] - 1) * ", [SUMMED, MISSING]),
    ],
    "MaxPool2d": [
        ("overlaps overwritten", "2 * j + 3] += first", "2 * j + 3] = first", [LOST]),
        ("shared out evenly", "first * g[:, :, i, j][..., None, None]", "g[:, :, i, j][..., None, None] / 9", [SHARED]),
        ("to all in the window", "first * g[:, :, i, j][..., None, None]", "g[:, :, i, j][..., None, None]", [SHARED]),
        ("stride forgotten", "dx[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]", "dx[:, :, i : i + 3, j : j + 3]",
         [SHIFTED, REORDERED]),
        ("times the largest", "first * g", "first * y[:, :, i, j][..., None, None] * g", [SLIP]),
    ],
    "AvgPool2d": [
        ("not divided", " / 4", "", [FACTOR]),
        ("divided by the side", " / 4", " / 2", [FACTOR]),
        ("repeated on one axis only", "np.repeat(np.repeat(g, 2, 2), 2, 3)", "np.repeat(g, 2, 2)", [SHAPE]),
        ("tiled for repeated", "np.repeat(np.repeat(g, 2, 2), 2, 3)", "np.tile(g, (1, 1, 2, 2))", [REORDERED]),
        ("to one of four", "np.repeat(np.repeat(g, 2, 2), 2, 3) / 4", "np.kron(g, [[1, 0], [0, 0]])",
         [PARTLY, SHARED]),
    ],
    "GlobalPool": [
        ("the mean not divided", "b[..., None] / flat.shape[-1]", "b[..., None]", [FACTOR, WRONG_TERM]),
        ("the mean forgotten", " + b[..., None] / flat.shape[-1]", "", [SUMMED, MISSING]),
        ("the largest forgotten", "largest * a[..., None] + b", "0 * largest + b", [SUMMED, MISSING]),
        ("halves exchanged", "flat, (a, b)", "flat, (b, a)", [EXCHANGED]),
        ("the largest shared out", "largest * a[..., None]", "a[..., None] / 9 * np.ones(9)", [SHARED, TWICE]),
    ],
    "PaddedMaxPool": [
        ("overlaps overwritten", "+= g", "= g", [LOST]),
        ("padding cropped before", "1:-1]", "2:]", [SHIFTED]),
        ("padding cropped behind", "1:-1]", ":-2]", [SHIFTED]),
        ("padding not cropped", "dp[:, :, 1:-1]", "dp", [SHAPE]),
        ("place within the window", "places[:, :, t]]", "places[:, :, t] - 2 * t]", [SHIFTED, REORDERED]),
        ("stride forgotten", "places[:, :, t]]", "places[:, :, t] - t]", [SHIFTED, REORDERED]),
        ("windows in reverse", "+= g[:, :, t]", "+= g[:, :, -1 - t]", [REORDERED]),
        ("to the middle", "places[:, :, t]]", "2 * t + 1]", [SHARED, REORDERED, SHIFTED]),
        ("last window left out", "range(g.shape[2])", "range(g.shape[2] - 1)", [SUMMED, PARTLY, MISSING]),
    ],
    "TiedMaxPool": [
        ("to all of several largest", "mask[..., 1] &= ~mask[..., 0]", "pass", [SHARED]),
        ("shared out evenly", "(mask * g", "(0.5 * np.ones_like(pairs) * g", [SHARED, PARTLY]),
    ],
    "PaddedAvgPool": [
        ("overlaps overwritten", "3] +=", "3] =", [LOST]),
        ("padding counted", "counts[t]", "3", [BY_OUTPUT, INDEX]),
        ("not divided", " / counts[t]", "", [BY_OUTPUT, INDEX]),
        ("stride forgotten", "2 * t : 2 * t + 3", "t : t + 3", [SHIFTED, REORDERED]),
        ("padding cropped before", "1:-1]", "2:]", [SHIFTED]),
        ("padding cropped behind", "1:-1]", ":-2]", [SHIFTED]),
        ("last window left out", "range(g.shape[2])", "range(g.shape[2] - 1)", [SUMMED, PARTLY, MISSING]),
        ("last entry of windows left out", "2 * t + 3] +=", "2 * t + 2] +=", [MISSING, SUMMED, PARTLY, LOST]),
    ],
    "AdaptivePool": [
        ("overlaps overwritten", "a:b] +=", "a:b] =", [LOST]),
        ("divided by the average size", "(b - a)", "(8 / 3)", [BY_OUTPUT, INDEX]),
        ("overlaps left out", "a:b] +=", "a + (i > 0) : b] +=", [MISSING, SUMMED, PARTLY, LOST]),
        ("windows of equal size", "dx[:, :, a:b]", "dx[:, :, a : a + 3]", [MISSING, SUMMED, PARTLY]),
    ],
    "PowerPool": [
        ("not divided by the root", "g / y", "g", [BY_OUTPUT, MISSING, SLIP, WRONG_TERM]),
        ("divided by the sum", "g / y", "g / y**2", [BY_OUTPUT, MISSING, SLIP, WRONG_TERM]),
        ("2 of the square's derivative", "g / y", "2 * g / y", [FACTOR]),
        ("by the absolute value", "* pairs", "* np.abs(pairs)", [SLIP, SIGN, PARTLY]),
        ("without the entry itself", "[..., None] * pairs", "[..., None] * np.ones_like(pairs)", [SLIP, SHARED, MISSING]),
    ],
    "Unpool": [
        ("places forgotten", "np.take_along_axis(g, k, 2)", "g[:, :, :3]", [REORDERED, SHIFTED]),
        ("every second place", "np.take_along_axis(g, k, 2)", "g[:, :, ::2]", [REORDERED, SHIFTED]),
        ("places of the first channel", "np.take_along_axis(g, k, 2)", "np.take_along_axis(g, k[:, :1], 2)",
         [REORDERED, SHIFTED, PARTLY]),
        ("in sorted order", "np.take_along_axis(g, k, 2)", "np.take_along_axis(g, np.sort(k), 2)",
         [REORDERED, SHIFTED, PARTLY]),
    ],
    "ReflectionPad": [
        ("copies forgotten", "for k in (1, 2)", "for k in ()", [MISSING, SUMMED, PARTLY]),
        ("copies overwrite", "dx[:, :, k] +=", "dx[:, :, k] =", [LOST, MISSING, PARTLY]),
        ("edge counted twice", "dx[:, :, k] +=", "dx[:, :, k - 1] +=", [SHIFTED, WRONG_TERM, PARTLY, MISSING]),
        ("one side forgotten", "+= g[:, :, k - 3]", "+= 0", [MISSING, SUMMED, PARTLY]),
        ("not mirrored", "g[:, :, 2 - k]", "g[:, :, k - 1]", [REORDERED, SHIFTED, WRONG_TERM]),
        ("cropped by one", "2:-2]", "1:-3]", [SHIFTED, WRONG_TERM, MISSING]),
    ],
    "ReplicationPad": [
        ("copies forgotten", "g[:, :, :2].sum(2)", "0", [MISSING, SUMMED, PARTLY]),
        ("one copy alone", "g[:, :, :2].sum(2)", "g[:, :, 1]", [MISSING, SUMMED, PARTLY]),
        ("mean of the copies", "g[:, :, :2].sum(2)", "g[:, :, :2].mean(2)", [MISSING, WRONG_TERM, PARTLY, FACTOR]),
        ("copies overwrite", "dx[:, :, 0] +=", "dx[:, :, 0] =", [LOST, MISSING, PARTLY]),
        ("sides exchanged", "2:-1]", "1:-2]", [SHIFTED, WRONG_TERM, MISSING]),
    ],
    "CircularPad": [
        ("copies forgotten", "dx[:, :, -2:] += g[:, :, :2]", "pass", [MISSING, SUMMED, PARTLY]),
        ("to the near edge", "dx[:, :, -2:] += g", "dx[:, :, :2] += g", [REORDERED, WRONG_TERM, SHIFTED, MISSING, PARTLY]),
        ("mirrored", "+= g[:, :, :2]", "+= g[:, :, 1::-1]", [REORDERED, SHIFTED, WRONG_TERM]),
        ("copies overwrite", "dx[:, :, -2:] +=", "dx[:, :, -2:] =", [LOST, MISSING, PARTLY]),
    ],
    "Columns": [
        ("overlaps overwritten", "w - 1] +=", "w - 1] =", [LOST]),
        ("window transposed", "2 * i + j", "i + 2 * j", [REORDERED, TRANSPOSED, EXCHANGED, SHIFTED]),
        ("channels last", "parts = g.reshape(n, c, 4, h - 1, w - 1)",
         "parts = g.reshape(n, 4, c, h - 1, w - 1).swapaxes(1, 2)", [REORDERED, SHIFTED, EXCHANGED, TRANSPOSED]),
        ("first entry alone", "parts[:, :, 2 * i + j]", "parts[:, :, 2 * i + j] * (i + j == 0)", [MISSING, SUMMED, PARTLY, LOST]),
        ("rows for columns", "dx[:, :, i : i + h - 1, j : j + w - 1]",
         "dx[:, :, 1 - i : h - i, 1 - j : w - j]", [SHIFTED, REORDERED]),
    ],
    "FromColumns": [
        ("offset forgotten", "g[:, :, u : u + t]", "g[:, :, :t]", [SHIFTED, REORDERED, PARTLY]),
        ("window in reverse", "g[:, :, u : u + t]", "g[:, :, 1 - u : 1 - u + t]", [SHIFTED, REORDERED, EXCHANGED]),
        ("channels last", "for u in range(2)], 2)", "for u in range(2)], 1)", [REORDERED, EXCHANGED, TRANSPOSED]),
        ("divided by the overlap", ".reshape(x.shape)", ".reshape(x.shape) / 2", [FACTOR]),
    ],
    "BatchNorm2d": [
        ("no mean's term", "dh - dh.mean(axes, keepdims=True) - h", "dh - h", [MISSING, CARRIED]),
        ("no variance's term", " - h * (dh * h).mean(axes, keepdims=True)", "", [MISSING, CARRIED]),
        ("over each image", "axes = (0, 2, 3)", "axes = (2, 3)", [MISSING, CARRIED]),
        ("over the batch alone", "axes = (0, 2, 3)", "axes = 0", [MISSING, CARRIED]),
        ("sums for means", "dh - dh.mean(axes, keepdims=True)", "dh - dh.sum(axes, keepdims=True)",
         [MISSING, CARRIED, WRONG_TERM]),
        ("variance's sign", " - h * (dh * h)", " + h * (dh * h)", [WRONG_TERM, MISSING]),
        ("std squared", "keepdims=True)) / std", "keepdims=True)) / std**2", [INDEX]),
        ("not divided", "keepdims=True)) / std", "keepdims=True))", [INDEX]),
        ("gamma left out", "dh = g * self.gamma.data[:, None, None]", "dh = g", [INDEX]),
        ("gamma twice", "dh = g * self.gamma.data[:, None, None]", "dh = g * self.gamma.data[:, None, None] ** 2",
         [INDEX]),
        ("gamma's without the input", "(g * h).sum((0, 2, 3))", "g.sum((0, 2, 3))", [EXCHANGED]),
        ("gamma's from the first image", "(g * h).sum((0, 2, 3))", "(g * h)[0].sum((1, 2))", [SUMMED]),
        ("beta's mean over the batch", "g.sum((0, 2, 3))", "g.mean(0).sum((1, 2))", [FACTOR]),
    ],
    "LayerNorm": [
        ("no mean's term", "dc - dc.mean(-1, keepdims=True)", "dc", [MISSING, CARRIED]),
        ("no variance's term", "dh / std + dvar * c", "dh / std", [MISSING, CARRIED]),
        ("variance's cube a square", "std**3", "std**2", [WRONG_TERM, MISSING]),
        ("variance halved", "-(dh * c).mean", "-0.5 * (dh * c).mean", [WRONG_TERM, MISSING]),
        ("gamma left out", "dh = g * self.gamma.data", "dh = g", [INDEX, BY_OUTPUT]),
        ("mean over time", "dc.mean(-1, keepdims=True)", "dc.mean(1, keepdims=True)", [MISSING, CARRIED, WRONG_TERM]),
        ("gamma's not standardised", "g * c / std", "g * c", [MISSING, BY_OUTPUT, WRONG_TERM]),
        ("beta's at the first step", "g.sum((0, 1))", "g[:, 0].sum(0)", [SUMMED]),
    ],
    "RMSNorm": [
        ("root not squared", "r**3", "r", [WRONG_TERM, MISSING]),
        ("coupling forgotten", " - x * (dh * x).mean(-1, keepdims=True) / r**3", "", [MISSING, CARRIED]),
        ("coupling's sign", "dh / r - x", "dh / r + x", [WRONG_TERM]),
        ("a sum for a mean", "(dh * x).mean", "(dh * x).sum", [WRONG_TERM]),
        ("gamma left out of the coupling", "(dh * x).mean", "(g * x).mean", [MISSING, WRONG_TERM]),
        ("gamma twice", "dh = g * self.gamma.data", "dh = g * self.gamma.data**2", [BY_OUTPUT, INDEX]),
        ("gamma's without x", "g * x / r", "g / r", [BY_OUTPUT, MISSING]),
    ],
    "GroupNorm": [
        ("no mean's term", "dh - dh.mean(-1, keepdims=True) - h", "dh - h", [MISSING, CARRIED]),
        ("over the whole sample", "(dh * h).mean(-1, keepdims=True)", "(dh * h).mean((1, 2), keepdims=True)",
         [MISSING, WRONG_TERM, CARRIED]),
        ("gamma left out", "(g * self.gamma.data[:, None])", "g", [INDEX, BY_OUTPUT]),
        ("gamma's over positions alone", "(g * h.reshape(g.shape)).sum((0, 2))",
         "(g * h.reshape(g.shape)).sum(2)[-1]", [SUMMED]),
    ],
    "InstanceNorm2d": [
        ("no mean's term", "dh - dh.mean(axes, keepdims=True) - h", "dh - h", [MISSING, CARRIED]),
        ("no variance's term", " - h * (dh * h).mean(axes, keepdims=True)", "", [MISSING, CARRIED]),
        ("over the batch too", "axes = (2, 3)", "axes = (0, 2, 3)", [MISSING, CARRIED, WRONG_TERM, MIXED]),
        ("over channels too", "axes = (2, 3)", "axes = (1, 2, 3)", [MISSING, CARRIED, WRONG_TERM]),
        ("over the columns alone", "axes = (2, 3)", "axes = 3", [MISSING, CARRIED, WRONG_TERM]),
        ("gamma's of the last image", "(g * h).sum((0, 2, 3))", "(g * h)[-1].sum((1, 2))", [SUMMED]),
        ("gamma's over the channels", "(g * h).sum((0, 2, 3))", "(g * h).sum((0, 1, 2))", [TRANSPOSED, SUMMED, TWICE, REORDERED, SHIFTED]),
        ("beta's of gamma", "self.beta.grad += g.sum((0, 2, 3))", "self.beta.grad += (g * h).sum((0, 2, 3))", [EXCHANGED, BY_OUTPUT]),
        ("gamma left out", "dh = g * self.gamma.data[:, None, None]", "dh = g", [INDEX, BY_OUTPUT]),
    ],
    "TrackingNorm": [
        ("no mean's term", "dh - dh.sum(0) / n - h", "dh - h", [MISSING, CARRIED]),
        ("no variance's term", " - h * (dh * h).sum(0) / n", "", [MISSING, CARRIED]),
        ("statistics held fast", "if self.training", "if False", [MISSING, CARRIED, "wrong mode"]),
        ("evaluation as training", "if self.training:\n            dh", "if True:\n            dh", ["wrong mode", EXTRA, MIXED, CARRIED, MISSING]),
        ("training as evaluation", "if self.training:\n            dh", "if not self.training:\n            dh", ["wrong mode", MISSING, CARRIED, EXTRA]),
        ("n - 1 of the mean", "dh.sum(0) / n", "dh.sum(0) / (n - 1)", [WRONG_TERM, MISSING]),
        ("n - 1 of the variance", "(dh * h).sum(0) / n", "(dh * h).sum(0) / (n - 1)", [WRONG_TERM, MISSING]),
        ("eps outside of the root", "/ np.sqrt(v)", "/ (np.sqrt(v) + 1e-3)", [INDEX]),
        ("unbiased for biased", "return dh / np.sqrt(v)", "return dh / np.sqrt(v * n / (n - 1))", [FACTOR]),
        ("by the running variance", "return dh / np.sqrt(v)", "return dh / np.sqrt(self.var.data + 1e-5)", [INDEX, STALE]),
        ("gamma's mean", "(g * h).sum(0)", "(g * h).mean(0)", [FACTOR]),
    ],
    "ResponseNorm": [
        ("neighbours held fast", " - 0.75 * x * (t[:, :-2] + t[:, 1:-1] + t[:, 2:])", "", [MISSING, CARRIED, SLIP]),
        ("itself alone", "(t[:, :-2] + t[:, 1:-1] + t[:, 2:])", "t[:, 1:-1]", [MISSING, CARRIED, PARTLY]),
        ("the square's 2 left out", "0.75 * x *", "0.375 * x *", [WRONG_TERM, MISSING]),
        ("exponent", "u**-1.75", "u**-0.75", [WRONG_TERM, MISSING]),
        ("sign of the neighbours", " - 0.75 * x", " + 0.75 * x", [WRONG_TERM, MISSING]),
        ("neighbours' own x", "g * x * u**-1.75", "g * u**-1.75", [WRONG_TERM, MISSING]),
        ("window one aside", "(1, 1), (0, 0)))\n        return g", "(2, 0), (0, 0)))\n        return g", [WRONG_TERM, MISSING, SHIFTED, CARRIED, PARTLY]),
    ],
    "NearestUpsample": [
        ("one of each taken", "g.reshape(n, c, h, 2, w, 3).sum((3, 5))", "g[:, :, ::2, ::3]", [SUMMED, MISSING, LOST, PARTLY]),
        ("mean for sum", ".sum((3, 5))", ".mean((3, 5))", [FACTOR]),
        ("summed on one axis", ".sum((3, 5))", ".sum(3)[..., 0]", [SUMMED, MISSING, LOST, PARTLY]),
        ("tiles for repeats", "g.reshape(n, c, h, 2, w, 3).sum((3, 5))", "g.reshape(n, c, 2, h, 3, w).sum((2, 4))", [REORDERED, SHIFTED]),
        ("the largest alone", ".sum((3, 5))", ".max((3, 5))", [MISUSED, SUMMED, UPSTREAM, LOST]),
    ],
    "LinearUpsample": [
        ("repeated indices overwritten", "np.add.at(dx, (..., i), (1 - t) * g)", "dx[..., i] += (1 - t) * g", [LOST, CARRIED]),
        ("right neighbours forgotten", "        np.add.at(dx, (..., j), t * g)\n", "", [MISSING, SUMMED, PARTLY]),
        ("left neighbours forgotten", "        np.add.at(dx, (..., i), (1 - t) * g)\n", "", [MISSING, SUMMED]),
        ("weights exchanged", "(..., j), t * g", "(..., j), (1 - t) * g", [WRONG_TERM, MISSING, EXTRA, SLIP, REORDERED, PARTLY]),
        ("weights left out", "(1 - t) * g)", "g)", [WRONG_TERM, MISSING, EXTRA, PARTLY, SLIP, CARRIED]),
    ],
    "PixelShuffle": [
        ("rows and columns exchanged", "(0, 1, 3, 5, 2, 4)", "(0, 1, 5, 3, 2, 4)", [REORDERED, SHIFTED]),
        ("forward's order again", "(0, 1, 3, 5, 2, 4)", "(0, 1, 4, 2, 5, 3)", [REORDERED, SHIFTED]),
        ("reshaped alone", "return parts.transpose(0, 1, 3, 5, 2, 4).reshape(shape)", "return g.reshape(shape)", [REORDERED, SHIFTED]),
        ("channels outside in", "g.reshape(n, c // 4, h, 2, w, 2)", "g.reshape(n, c // 4, 2, h, 2, w)", [REORDERED, SHIFTED]),
    ],
    "AlphaDropout": [
        ("mask forgotten", "a * k * g", "a * g", [PARTLY, EXTRA, SLIP]),
        ("scale forgotten", "a * k * g", "k * g", [FACTOR]),
        ("mask inverted", "a * k * g", "a * ~k * g", [PARTLY, REORDERED, SLIP, WRONG_TERM]),
    ],
    "Normalize": [
        ("projection forgotten", "(g - y * (g * y).sum(-1, keepdims=True))", "g", [MISSING, CARRIED]),
        ("length squared", " / r", " / r**2", [INDEX]),
        ("a mean for a sum", "(g * y).sum", "(g * y).mean", [MISSING, WRONG_TERM]),
        ("projection's sign", "g - y", "g + y", [WRONG_TERM]),
    ],
    "WeightNorm": [
        ("projection forgotten", "(dw - u * (dw * u).sum(1, keepdims=True))", "dw", [MISSING]),
        ("length left out", "keepdims=True)) / r", "keepdims=True))", [INDEX]),
        ("scale left out", "self.v.grad += s * ", "self.v.grad += ", [INDEX]),
        ("input with the direction alone", "g @ (s * u)", "g @ u", [BY_OUTPUT, MISSING, INDEX]),
        ("scale's with v", "(dw * u).sum(1)", "(dw * self.v.data).sum(1)", [INDEX]),
    ],
    "RNN": [
        ("h not carried", "dh = da @ self.u.data", "dh = 0.0", [CARRIED]),
        ("weight of the last step", "self.w.grad += da.T @ x[t]", "self.w.grad += da.T @ x[t] * (t == len(x) - 1)",
         [SUMMED, MISSING]),
        ("weight of the first step", "self.u.grad += da.T @ h[t]", "self.u.grad += da.T @ h[t] * (t == 1)",
         [SUMMED, MISSING]),
        ("h of the step itself", "da.T @ h[t]", "da.T @ h[t + 1]", [SHIFTED, MISSING]),
        ("time in reverse", "dx[t] = da", "dx[len(x) - 1 - t] = da", [REORDERED]),
        ("forwards in time", "for t in reversed(range(len(x))):\n            da", "for t in range(len(x)):\n            da",
         [CARRIED]),
        ("derivative of the input's state", "1 - h[t + 1] ** 2", "1 - h[t] ** 2", [SLIP, BY_OUTPUT]),
        ("tanh's derivative left out", " * (1 - h[t + 1] ** 2)", "", [SLIP, BY_OUTPUT]),
        ("upstream at the last step alone", "(g[t] + dh)", "(g[t] * (t == len(x) - 1) + dh)", [SUMMED, CARRIED]),
        ("recurrent weight transposed", "dh = da @ self.u.data", "dh = da @ self.u.data.T", [TRANSPOSED, CARRIED]),
        ("bias of the last step", "self.b.grad += da.sum(0)", "self.b.grad = da.sum(0)", [OVERWRITTEN, SUMMED, MISSING, CARRIED]),
        ("dh carried, not added", "(g[t] + dh)", "(g[t] if t == len(x) - 1 else dh)", [SUMMED, CARRIED]),
        ("through tanh twice", "dh = da @ self.u.data", "dh = (da * (1 - h[t + 1] ** 2)) @ self.u.data", [CARRIED]),
    ],
    "LSTM": [
        ("h not carried", "dh = da @ self.u.data", "dh = 0.0", [CARRIED]),
        ("c not carried", "dc = dc * f", "dc = 0.0", [CARRIED]),
        ("c carried without the gate", "dc = dc * f", "dc = dc", [CARRIED, BY_OUTPUT]),
        ("gates exchanged", "di, df, do, dz = dc * z, dc * c", "df, di, do, dz = dc * z, dc * c", [EXCHANGED, REORDERED, PARTLY]),
        ("gates concatenated in another order", "[di * i * (1 - i), df * f * (1 - f)",
         "[df * f * (1 - f), di * i * (1 - i)", [EXCHANGED, REORDERED]),
        ("new c for old", "dc * c, dh * tc", "dc * (f * c + i * z), dh * tc", [PARTLY, SHIFTED]),
        ("tanh of c left out", "dh * tc, dc * i", "dh * c, dc * i", [PARTLY]),
        ("candidate with the logistic slope", "(1 - z**2)", "z * (1 - z)", [PARTLY, SLIP]),
        ("forget gate forgotten", "df * f * (1 - f)", "0 * df", [PARTLY, CARRIED, MISSING]),
        ("dc replaced, not added", "dc = dc + dh", "dc = dh", [CARRIED]),
        ("no tanh's slope", "dh * o * (1 - tc**2)", "dh * o", [PARTLY, BY_OUTPUT, SLIP]),
        ("recurrent weight of the last step", "self.u.grad += da.T @ h", "self.u.grad += (t == len(x) - 1) * da.T @ h",
         [SUMMED, MISSING]),
        ("input's gradient from the recurrent part", "dh = dh + g[t]", "dh = g[t]", [CARRIED]),
    ],
    "GRU": [
        ("h not carried past the gate", "dh = dh * (1 - z) + drh", "dh = drh", [CARRIED, MISSING]),
        ("reset path not carried", " + drh * r + ", " + ", [CARRIED, MISSING]),
        ("gates' paths not carried", " + dr @ ur + dz @ uz", "", [CARRIED, MISSING]),
        ("gate complement", "dh = dh * (1 - z)", "dh = dh * z", [CARRIED, WRONG_TERM]),
        ("gate's sign", "(c - h) * z", "(h - c) * z", [PARTLY, SIGN]),
        ("candidate's h without reset", "dc.T @ (r * h)", "dc.T @ h", [PARTLY]),
        ("gates exchanged", "[dr, dz, dc]", "[dz, dr, dc]", [EXCHANGED, REORDERED]),
        ("candidate's slope", "dc = dh * z * (1 - c**2)", "dc = dh * z * c * (1 - c)", [PARTLY, SLIP]),
        ("weight of the last step", "self.w.grad += da.T @ x[t]", "self.w.grad += da.T @ x[t] * (t == len(x) - 1)",
         [SUMMED, MISSING]),
    ],
    "CumulativeSum": [
        ("not carried", " + (0.8 * dx[t + 1] if t + 1 < len(g) else 0)", "", [CARRIED, PASSED]),
        ("forwards in time", "0.8 * dx[t + 1] if t + 1 < len(g)", "0.8 * g[t - 1] if t", [CARRIED]),
        ("decay forgotten", "0.8 * dx[t + 1]", "dx[t + 1]", [CARRIED]),
        ("one step alone", "0.8 * dx[t + 1]", "0.8 * g[t + 1]", [CARRIED]),
    ],
    "Attention": [
        ("softmax's coupling", " - (dp * p).sum(-1, keepdims=True)", "", [MISSING, CARRIED]),
        ("coupling over queries", "(dp * p).sum(-1", "(dp * p).sum(-2", [MISSING, CARRIED, WRONG_TERM]),
        ("scale left out", "ds = ds / np.sqrt(q.shape[-1])", "", [FACTOR]),
        ("scale twice", "ds / np.sqrt(q.shape[-1])", "ds / q.shape[-1]", [FACTOR]),
        ("keys not transposed", "ds.swapaxes(1, 2) @ q", "ds @ q", [TRANSPOSED]),
        ("values not transposed", "p.swapaxes(1, 2) @ g", "p @ g", [TRANSPOSED]),
        ("queries and keys exchanged", "dq, dk, dv", "dk, dq, dv", [EXCHANGED]),
        ("weights left out of values", "dv = p.swapaxes(1, 2) @ g", "dv = g", [PASSED]),
        ("no softmax", "ds = p * (dp - (dp * p).sum(-1, keepdims=True))", "ds = dp", [MISSING, BY_OUTPUT]),
    ],
    "SelfAttention": [
        ("a path alone", "dq @ self.wq.data.T + dk @ self.wk.data.T + dv", "dv", [MISSING]),
        ("keys' path forgotten", " + dk @ self.wk.data.T", "", [MISSING]),
        ("a weight transposed", "dv @ self.wv.data.T", "dv @ self.wv.data", [TRANSPOSED]),
        ("queries' weight for keys'", "dk @ self.wk.data.T", "dk @ self.wq.data.T", [EXCHANGED, WRONG_TERM]),
        ("gradients exchanged", "self.wq.grad += np.einsum(\"nti,ntj->ij\", x, dq)",
         "self.wq.grad += np.einsum(\"nti,ntj->ij\", x, dk)", [EXCHANGED]),
        ("scale on queries alone", "keepdims=True)) / 2\n        dq, dk = ds @ k",
         "keepdims=True))\n        dq, dk = ds @ k / 2", [FACTOR, WRONG_TERM]),
        ("coupling forgotten", "(dp - (dp * p).sum(-1, keepdims=True))", "dp", [MISSING, CARRIED, WRONG_TERM]),
        ("output's weight of one sample", "np.einsum(\"nti,ntj->ij\", a, g)", "a[0].T @ g[0]", [SUMMED]),
    ],
    "Embedding": [
        ("+= with repeated indices", "np.add.at(self.table.grad, index, g)", "self.table.grad[index] += g", [LOST]),
        ("averaged", "np.add.at(self.table.grad, index, g)", "np.add.at(self.table.grad, index, g / index.size)",
         [FACTOR]),
        ("by mean over repeats", "np.add.at(self.table.grad, index, g)",
         "np.add.at(self.table.grad, index, g / (index[..., None, None] == index).sum((-2, -1))[..., None])", [INDEX, PARTLY]),
        ("first sequence alone", "(self.table.grad, index, g)", "(self.table.grad, index[0], g[0])", [SUMMED]),
        ("a row late", "(self.table.grad, index, g)", "(self.table.grad, index - 1, g)", [SHIFTED, REORDERED]),
    ],
    "Tied": [
        ("decoder's use alone", "        self.w.grad += da.T @ x\n", "", [MISSING]),
        ("encoder's use alone", "        self.w.grad += h.T @ g\n", "", [MISSING]),
        ("slope left out", " * (1 - h**2)", "", [SLIP, BY_OUTPUT, MISSING]),
        ("slope squared", "(1 - h**2)", "(1 - h**2) ** 2", [SLIP, BY_OUTPUT, MISSING]),
    ],
    "Gather": [
        ("+= with repeated indices", "np.add.at(dx, (np.arange(4)[:, None], self.index), g)",
         "dx[np.arange(4)[:, None], self.index] += g", [LOST]),
        ("rows and columns", "(np.arange(4)[:, None], self.index), g", "(self.index, np.arange(4)[:, None]), g",
         [TRANSPOSED, REORDERED]),
        ("an index late", "self.index), g", "self.index + 1), g", [SHIFTED]),
    ],
    "Residual": [
        ("skip forgotten", "dx + g", "dx", [MISSING]),
        ("skip doubled", "dx + g", "dx + 2 * g", [EXTRA, WRONG_TERM]),
        ("branch forgotten", "dx + g", "g", [MISSING, PASSED]),
        ("branch doubled", "dx + g", "2 * dx + g", [EXTRA, WRONG_TERM]),
        ("skip subtracted", "dx + g", "dx - g", [WRONG_TERM]),
        ("slope left out", " * (1 - h**2)", "", [SLIP, BY_OUTPUT, INDEX]),
        ("forward forgets the branch", "x + h @ self.v.data.T", "x + h[:, :4]", [UNUSED, PARTLY]),
    ],
    "Gated": [
        ("gate's path forgotten", "ds @ self.w.data + dy", "dy", [MISSING]),
        ("value's path forgotten", " + dy @ self.v.data", "", [MISSING]),
        ("gate left out", "dy = g * s", "dy = g", [BY_OUTPUT, MISSING, WRONG_TERM]),
        ("gate twice", "dy = g * s", "dy = g * s * s", [BY_OUTPUT, MISSING, WRONG_TERM]),
        ("value left out", "ds = g * y * s", "ds = g * s", [BY_OUTPUT, MISSING, WRONG_TERM]),
        ("gradients exchanged", "self.w.grad += ds.T @ x\n        self.v.grad += dy.T @ x",
         "self.w.grad += dy.T @ x\n        self.v.grad += ds.T @ x", [EXCHANGED]),
        ("slope of the logistic", "s * (1 - s)", "(1 - s)", [BY_OUTPUT, SLIP]),
    ],
    "Excitation": [
        ("gate's path forgotten", " + dm[..., None] / x.shape[-1]", "", [MISSING, CARRIED]),
        ("not divided by the positions", " / x.shape[-1]", "", [WRONG_TERM]),
        ("gate alone", "g * s[..., None] + dm", "0 * x + dm", [MISSING]),
        ("over one position", "(g * x).sum(-1)", "(g * x)[..., 0]", [SUMMED, MISSING]),
        ("weight transposed", "da @ self.w.data.T", "da @ self.w.data", [TRANSPOSED]),
        ("slope left out", " * s * (1 - s)", "", [BY_OUTPUT, INDEX, SLIP, WRONG_TERM]),
    ],
    "PReLU": [
        ("slope's without x", "0, g * x)", "0, g)", [BY_OUTPUT, SLIP]),
        ("slope's over everything", ".sum((0, 2))", ".sum() * np.ones(3)", [TWICE]),
        ("slope's in the batch's mean", ".sum((0, 2))", ".mean(0).sum(1)", [FACTOR]),
        ("slope left out", "1, self.slope.data[:, None]", "1, 0", [PARTLY, MISSING]),
        ("forward forgets the slope", "self.slope.data[:, None] * x)", "0.25 * x)", [UNUSED, PARTLY]),
    ],
    "GELU": [
        ("constant left out", "s + 1.702 * x", "s + x", [SLIP, PARTLY, WRONG_TERM]),
        ("only the gate", "(s + 1.702 * x * s * (1 - s))", "s", [SLIP, MISSING]),
        ("another's constant", "sigmoid(1.702 * x)", "sigmoid(1.7 * x)", [SLIP]),
    ],
    "LogSumExp": [
        ("no softmax", "g[..., None] * softmax(x)", "g[..., None] * np.exp(x)", [INDEX]),
        ("upstream left out", "g[..., None] * softmax(x)", "softmax(x)", [IGNORED]),
        ("softmax over the batch", "softmax(x)", "softmax(x.T).T", [INDEX, SLIP]),
    ],
    "Concat": [
        ("deep path forgotten", " + da @ self.w.data", "", [MISSING, SUMMED]),
        ("wide path forgotten", "wide * 2 * x + da", "da", [MISSING, SUMMED]),
        ("2 of the square", "wide * 2 * x", "wide * x", [WRONG_TERM, SUMMED]),
        ("sine's slope", "deep * np.cos", "deep * np.sin", [SLIP, BY_OUTPUT, INDEX]),
        ("cosine's sign", "da = deep * np.cos", "da = -deep * np.cos", [WRONG_TERM, SIGN]),
    ],
    "Network": [
        ("skip forgotten", "self.first.backward(d) + g", "self.first.backward(d)", [MISSING]),
        ("an activation skipped", "d = self.a.backward(d)", "d = d", [UPSTREAM, SLIP]),
        ("another's upstream", "d = self.second.backward(d)", "d = self.second.backward(g)", [UPSTREAM, BY_OUTPUT, WRONG_TERM, SLIP]),
        ("a gradient scaled on its way", "d = self.a.backward(d)", "d = self.a.backward(d / len(g))", [UPSTREAM, FACTOR, WRONG_TERM]),
        ("skip doubled", "backward(d) + g", "backward(d) + 2 * g", [EXTRA, WRONG_TERM]),
    ],
    "SequenceCrossEntropy": [
        ("over the batch alone", "(n * t)", "n", [FACTOR]),
        ("over the batch's square", "(n * t)", "(n * n)", [FACTOR]),
        ("one-hot forgotten", "target] -= 1", "target] -= 0", [PARTLY]),
        ("steps exchanged with the batch", "d[np.arange(n)[:, None], np.arange(t), target] -= 1",
         "d[:, :, 0] -= 1", [PARTLY, SLIP, BY_OUTPUT]),
        ("upstream left out", "g * d", "d", [IGNORED]),
    ],
    "Hinge": [
        ("target's share forgotten", "d[rows, target] -= (margins > 0).sum(1)", "", [PARTLY]),
        ("margins for their sign", "d = (margins > 0) * 1.0", "d = margins * 1.0", [SLIP, PARTLY]),
        ("target's share once", "(margins > 0).sum(1)", "1", [PARTLY, MISSING]),
        ("not averaged", " / len(target)", "", [FACTOR]),
    ],
    "Divergence": [
        ("sign", "-g * target", "g * target", [SIGN]),
        ("target left out", "g * target / prediction", "g / prediction", [SLIP]),
        ("over all entries", "len(target)", "target.size", [FACTOR]),
        ("log's derivative", "target / prediction", "target * prediction", [SLIP]),
    ],
    "Focal": [
        ("modulating factor held fixed", "2 * (1 - p) * np.log(p) - (1 - p)", "-((1 - p))", [SLIP]),
        ("2 left out", "2 * (1 - p)", "(1 - p)", [SLIP]),
        ("sign by target forgotten", " * np.where(target > 0, 1, -1)", "", [PARTLY]),
    ],
    "Dice": [
        ("denominator held fixed", "2 * a / b**2 - 2", "-2", [MISSING, PARTLY]),
        ("square forgotten", "b**2", "b", [MISSING, WRONG_TERM]),
        ("2 left out", "2 * a / b**2", "a / b**2", [MISSING, WRONG_TERM]),
    ],
    "Cosine": [
        ("projection forgotten", "(v / (a * b) - s * u / a**2)", "v / (a * b)", [MISSING]),
        ("lengths exchanged", "s * v / b**2", "s * v / a**2", [MISSING, WRONG_TERM, INDEX]),
        ("gradients exchanged", "return -g * (v / (a * b) - s * u / a**2), -g * (u / (a * b) - s * v / b**2)",
         "return -g * (u / (a * b) - s * v / b**2), -g * (v / (a * b) - s * u / a**2)", [EXCHANGED]),
        ("length left out", "(v / (a * b) - s", "(v / b - s", [MISSING, WRONG_TERM]),
    ],
    "Triplet": [
        ("anchor's negative forgotten", "2 * g * (n - p)", "2 * g * (a - p)", [MISSING, SLIP]),
        ("negative's sign", "2 * g * (a - n)", "-2 * g * (a - n)", [SIGN]),
        ("2 forgotten", "-2 * g * (a - p)", "-g * (a - p)", [FACTOR]),
        ("inactive rows counted", "(g * (y > 0))", "g", [PARTLY]),
    ],
}  # fmt: skip

MISTAKES = [Mistake(layer, *row[:3], tuple(row[3])) for layer, rows in TABLE.items() for row in rows]


def verdict(mistake, seed=1):
    """Return what the checker makes of a mistake: "missed", "named", "unknown" or "misnamed"."""
    report = nn.gradcheck(mistake.build(), *mistake.draw(np.random.default_rng(seed)), raise_exception=False)
    kinds = {fault.kind for fault in report.faults}
    if report:
        return "missed"
    if kinds - {*mistake.kinds, "unknown"}:
        return "misnamed"
    return "named" if kinds & set(mistake.kinds) else "unknown"
