"""Normalisation: every entry depends on every other, through a mean and a spread, and those terms get lost."""

import numpy as np

import nn

from .exhibit import Exhibit, normal, weight


class LayerNorm(nn.Module):
    """y = gamma (x - mean) / std + beta over the last axis; input (..., C)."""

    def __init__(self):
        self.gamma, self.beta = weight(6), weight(6)

    def forward(self, x):
        std = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        h = (x - x.mean(-1, keepdims=True)) / std
        self.save_for_backward(h, std)
        return self.gamma.data * h + self.beta.data

    def backward(self, g):
        h, std = self.saved()
        rows, hs = g.reshape(-1, 6), h.reshape(-1, 6)
        self.gamma.grad += (rows * hs).sum(0)
        self.beta.grad += rows.sum(0)
        dh = g * self.gamma.data
        a, b = dh.mean(-1, keepdims=True), (dh * h).mean(-1, keepdims=True)
        return (dh - a - h * b) / std


class BatchNorm(nn.Module):
    """y = (x - mean) / std over the batch, backward step by step as in the paper; input (N, C)."""

    def forward(self, x):
        mean, std = x.mean(0), np.sqrt(x.var(0) + 1e-5)
        self.save_for_backward(x, mean, std)
        return (x - mean) / std

    def backward(self, g):
        x, mean, std = self.saved()
        dvar = (g * (x - mean)).sum(0) * -0.5 / std**3
        dmean = -(g / std).sum(0) + dvar * (-2 * (x - mean)).mean(0)
        return g / std + dvar * 2 * (x - mean) / len(x) + dmean / len(x)


class RMSNorm(nn.Module):
    """y = gamma x / rms(x) over the last axis; input (..., C)."""

    def __init__(self):
        self.gamma = weight(5)

    def forward(self, x):
        r = np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
        self.save_for_backward(x, r)
        return self.gamma.data * x / r

    def backward(self, g):
        x, r = self.saved()
        self.gamma.grad += (g * x / r).sum(0)
        dh = g * self.gamma.data
        dr = -x * (dh * x).mean(-1, keepdims=True) / r**3
        return dh / r + dr


class PreNorm(nn.Module):
    """A residual block's first half: returns x, which goes round the block, and x / rms(x), which goes in."""

    def forward(self, x):
        r = np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
        self.save_for_backward(x, r)
        return x, x / r

    def backward(self, g):
        residual, inner = g
        return residual + self.through(inner)

    def through(self, g):
        x, r = self.saved()
        return g / r - x * (g * x).mean(-1, keepdims=True) / r**3


class GroupNorm(nn.Module):
    """Four channels in two groups, each normalised; input (N, C, T)."""

    def forward(self, x):
        groups = x.reshape(len(x), 2, -1)
        std = np.sqrt(groups.var(-1) + 1e-5)
        h = (groups - groups.mean(-1, keepdims=True)) / std[..., None]
        self.save_for_backward(h.reshape(x.shape), std)
        return h.reshape(x.shape)

    def backward(self, g):
        h, std = self.saved()
        a = g.reshape(len(g), 2, -1).mean(-1)
        b = (g * h).reshape(len(g), 2, -1).mean(-1)
        dx = np.zeros_like(g)
        for c in range(4):
            group = c // (4 // 2)
            dx[:, c] = (g[:, c] - a[:, group, None] - h[:, c] * b[:, group, None]) / std[:, group, None]
        return dx


EXHIBITS = [
    Exhibit(
        "tt-metal, the mean twice",
        2026,
        "https://github.com/tenstorrent/tt-metal/issues/53204",
        "Three terms make LayerNorm's gradient, and one of them, the mean of the upstream times gamma, was "
        "subtracted twice. With an upstream whose mean is nearly zero there is nearly nothing to see.",
        LayerNorm,
        "(dh - a - h * b)",
        "(dh - a - a - h * b)",
        normal((4, 6)),
        {"input": ("wrong term", "extra term")},
    ),
    Exhibit(
        "FlagGems, two dimensions or three",
        2026,
        "https://github.com/flagos-ai/FlagGems/issues/5392",
        "Forward normalises the last axis. Backward takes the first axis for the rows and everything else for the "
        "features, which is the same for a matrix. For a batch of sequences the means run over whole sequences.",
        LayerNorm,
        "a, b = dh.mean(-1, keepdims=True), (dh * h).mean(-1, keepdims=True)",
        "axes = tuple(range(1, g.ndim))\n"
        "        a, b = dh.mean(axes, keepdims=True), (dh * h).mean(axes, keepdims=True)",
        normal((2, 3, 6)),
        {"input": ("wrong term", "mixed samples")},
    ),
    Exhibit(
        "attorch, the rows left over",
        2026,
        "https://github.com/BobMcDear/attorch/issues/18",
        "A kernel sums the weight's gradient block by block and stops at the last full block. Batches that are "
        "multiples of the block, which is what benchmarks and tests like, lose nothing.",
        LayerNorm,
        "rows, hs = g.reshape(-1, 6), h.reshape(-1, 6)",
        "block = len(g) // 4 * 4\n        rows, hs = g[:block], h[:block]",
        normal((5, 6)),
        {"gamma": ("not summed",), "beta": ("not summed",)},
    ),
    Exhibit(
        "FlagGems, a sum over the block",
        2024,
        "https://github.com/flagos-ai/FlagGems/pull/59",
        "A kernel works on several rows at once, and its two sums run over all of them where each row should have its "
        "own. With one row a block it is right.",
        LayerNorm,
        "a, b = dh.mean(-1, keepdims=True), (dh * h).mean(-1, keepdims=True)",
        "a, b = dh.mean(), (dh * h).mean()",
        normal((4, 6)),
        {"input": ("mixed samples", "wrong term")},
    ),
    Exhibit(
        "MXNet, one term too many",
        2015,
        "https://github.com/apache/mxnet/issues/1053",
        "The paper's formula for the mean's gradient was followed, and one more term came along. In our rebuilding it "
        "is the variance's share, which is zero about the mean, taken about zero.",
        BatchNorm,
        "dvar * (-2 * (x - mean)).mean(0)",
        "dvar * (-2 * x).mean(0)",
        lambda rng: (rng.normal(size=(5, 3)) + 1,),
        {"input": ("extra term", "wrong term")},
    ),
    Exhibit(
        "Caffe and darknet, one term too few?",
        2016,
        "https://github.com/BVLC/caffe/issues/3878",
        "The paper has four terms and the code had three, and that was reported, "
        "[here](https://github.com/pjreddie/darknet/pull/29) as well. But the fourth is a sum of deviations from "
        "the mean, and that is zero: the code was right all along. A checker that trusts numbers, and no formula, "
        "says so.",
        BatchNorm,
        "-(g / std).sum(0) + dvar * (-2 * (x - mean)).mean(0)",
        "-(g / std).sum(0)",
        normal((5, 3)),
        {},
    ),
    Exhibit(
        "A thread of llm.c, RMSNorm without its weight",
        2024,
        "https://github.com/karpathy/llm.c/pull/763",
        "A reader's backward let the gradient through the norm and forgot that it had been multiplied by the weight "
        "on the way. A fresh model's weight is all ones: the first test cannot see it.",
        RMSNorm,
        "dh = g * self.gamma.data",
        "dh = g",
        normal((4, 5)),
        {"input": ("factor by output", "factor by index")},
    ),
    Exhibit(
        "Megatron-LM, the weight twice",
        2026,
        "https://github.com/NVIDIA/Megatron-LM/pull/6859",
        "The opposite: in one of the two terms, that of the mean square, the weight is there twice. Again a weight of "
        "ones hides it.",
        RMSNorm,
        "(dh * x).mean",
        "(dh * self.gamma.data * x).mean",
        normal((4, 5)),
        {"input": ("wrong term",)},
    ),
    Exhibit(
        "AiDotNet, a path forgotten",
        2026,
        "https://github.com/ooples/AiDotNet/pull/695",
        "The output is divided by the root mean square, and that depends on the input too. Backward treated it as a "
        "constant. What is left points the right way, more or less, and so the loss goes down.",
        RMSNorm,
        "return dh / r + dr",
        "return dh / r",
        normal((4, 5)),
        {"input": ("missing term",)},
    ),
    Exhibit(
        "quack, a pair of brackets",
        2025,
        "https://github.com/Dao-AILab/quack/pull/53",
        "Two gradients come back to a residual block's entrance: one through the norm, one round it. They were added "
        "first and sent through the norm together.",
        PreNorm,
        "return residual + self.through(inner)",
        "return self.through(residual + inner)",
        normal((4, 5)),
        {"input": ("wrong term", "missing term")},
    ),
    Exhibit(
        "trueno, a gradient never written",
        2026,
        "https://github.com/paiml/trueno/pull/178",
        "The gradient of gamma has its place, and nothing is ever written there. It stays zero, gamma stays what it "
        "was, and the rest of the model trains around it.",
        RMSNorm,
        "        self.gamma.grad += (g * x / r).sum(0)\n",
        "",
        normal((4, 5)),
        {"gamma": ("zero",)},
    ),
    Exhibit(
        "tt-metal, whose group is it?",
        2026,
        "https://github.com/tenstorrent/tt-metal/pull/56202",
        "Groups are runs of neighbouring channels, so the group is a quotient; the code took the remainder. With one "
        "group, or as many as channels, the statistics still land where they should.",
        GroupNorm,
        "group = c // (4 // 2)",
        "group = c % 2",
        normal((2, 4, 3)),
        {"input": ("reordered", "partly right")},
    ),
]
