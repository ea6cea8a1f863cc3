"""Convolution: indices by the handful, each of which can stand in another's place."""

import numpy as np

import nn

from .exhibit import Exhibit, normal, weight


class Conv1d(nn.Module):
    """Two maps from two channels, a kernel of three; input (N, C, T)."""

    def __init__(self):
        self.w = weight(2, 2, 3)

    def forward(self, x):
        self.save_for_backward(x)
        return sum(np.einsum("nct,mc->nmt", x[:, :, k : x.shape[2] - 2 + k], self.w.data[:, :, k]) for k in range(3))

    def backward(self, g):
        x = self.saved()
        w, dx, length = self.w.data, np.zeros_like(x), g.shape[2]
        for m, d, k in np.ndindex(w.shape):
            self.w.grad[m, d, k] += (g[:, m] * x[:, d, k : k + length]).sum()
            dx[:, d, k : k + length] += g[:, m] * w[m, d, k]
        return dx


class Dilated(nn.Module):
    """One kernel of three with gaps of two; input (N, T)."""

    def __init__(self):
        self.w = weight(3)

    def forward(self, x):
        taps = np.arange(x.shape[1] - 4)[:, None] + [0, 2, 4]
        self.save_for_backward(x, taps)
        return x[:, taps] @ self.w.data

    def backward(self, g):
        x, taps = self.saved()
        dx = np.zeros_like(x)
        self.w.grad += np.einsum("nt,ntk->k", g, x[:, taps])
        np.add.at(dx, (slice(None), taps), g[..., None] * self.w.data)
        return dx


class Strided(nn.Module):
    """Two maps from two channels, a kernel of three, a stride of two; input (N, C, T)."""

    def __init__(self):
        self.w = weight(2, 2, 3)

    def forward(self, x):
        self.save_for_backward(x)
        starts = range(0, x.shape[2] - 2, 2)
        return np.stack([np.tensordot(x[:, :, s : s + 3], self.w.data, ((1, 2), (1, 2))) for s in starts], 2)

    def backward(self, g):
        x = self.saved()
        dx = np.zeros_like(x)
        for t in range(g.shape[2]):
            start = 2 * t
            self.w.grad += np.tensordot(g[:, :, t], x[:, :, start : start + 3], (0, 0))
            dx[:, :, start : start + 3] += np.tensordot(g[:, :, t], self.w.data, 1)
        return dx


class Image(nn.Module):
    """One kernel, two rows by three columns, kept flat; input (N, H, W)."""

    def __init__(self):
        self.w = weight(6)

    def forward(self, x):
        self.save_for_backward(x)
        windows = np.lib.stride_tricks.sliding_window_view(x, (2, 3), axis=(1, 2))
        return windows.reshape(*windows.shape[:3], 6) @ self.w.data

    def backward(self, g):
        x = self.saved()
        dx, (rows, columns), (_, h, w) = np.zeros_like(x), (2, 3), g.shape
        for i, j in np.ndindex(rows, columns):
            self.w.grad[i * columns + j] += (g * x[:, i : i + h, j : j + w]).sum()
            dx[:, i : i + h, j : j + w] += g * self.w.data[i * columns + j]
        return dx


class Flipped(nn.Module):
    """A true convolution, that is with its kernel in reverse; input (N, T)."""

    def __init__(self):
        self.w = weight(3)

    def forward(self, x):
        windows = np.lib.stride_tricks.sliding_window_view(x, 3, axis=1)
        self.save_for_backward(x, windows)
        return windows @ self.w.data[::-1]

    def backward(self, g):
        x, windows = self.saved()
        self.w.grad += np.einsum("nt,ntk->k", g, windows)[::-1]
        dx = np.zeros_like(x)
        for k in range(3):
            dx[:, k : k + g.shape[1]] += g * self.w.data[2 - k]
        return dx


class Leftover(nn.Module):
    """One kernel of three, a stride of two; input (N, T), where T may leave an entry over."""

    def __init__(self):
        self.w = weight(3)

    def forward(self, x):
        windows = np.lib.stride_tricks.sliding_window_view(x, 3, axis=1)[:, ::2]
        self.save_for_backward(x.shape, windows)
        return windows @ self.w.data

    def backward(self, g):
        (n, length), windows = self.saved()
        self.w.grad += np.einsum("nt,ntk->k", g, windows)
        dx = np.zeros((n, length), g.dtype)
        for t in range(g.shape[1]):
            dx[:, 2 * t : 2 * t + 3] += g[:, t, None] * self.w.data
        return dx


class Biased(nn.Module):
    """A kernel of one, from two channels to three maps, with a bias; input (N, T, C)."""

    def __init__(self):
        self.w, self.b = weight(2, 3), weight(3)

    def forward(self, x):
        self.save_for_backward(x)
        return x @ self.w.data + self.b.data

    def backward(self, g):
        x = self.saved()
        self.w.grad += np.einsum("ntc,ntm->cm", x, g)
        self.b.grad = self.b.grad + g.sum((0, 1))
        return g @ self.w.data.T


class BiasAdd(nn.Module):
    """y = x + b, channels last; input (N, H, W, C)."""

    def __init__(self):
        self.b = weight(3)

    def forward(self, x):
        return x + self.b.data

    def backward(self, g):
        self.b.grad += g.sum((0, 1, 2))
        return g


EXHIBITS = [
    Exhibit(
        "neon, two letters",
        2015,
        "https://github.com/NervanaSystems/neon/issues/111",
        "Deep inside the loops, the gradient of the input is written at the index of the output map, `m`, where "
        "that of the input's channel, `d`, belongs; and it is written, not added up over the maps. With as many "
        "maps as channels no index runs out of bounds and no shape is off.",
        Conv1d,
        "dx[:, d, k : k + length] += g",
        "dx[:, m, k : k + length] = g",
        normal((3, 2, 6)),
        {"input": ("not accumulated", "transposed")},
        {"input": "unknown"},
    ),
    Exhibit(
        "cherimoya, three loads and three stores",
        2026,
        "https://github.com/jmschrei/cherimoya/issues/25",
        "A dilated convolution lets every output load three entries of the gradient, add to them, and store them. Two "
        "outputs share an entry, both load the old number, and the last to store wins. NumPy's `+=` with an array of "
        "indices does precisely the same, in silence.",
        Dilated,
        "np.add.at(dx, (slice(None), taps), g[..., None] * self.w.data)",
        "dx[:, taps] += g[..., None] * self.w.data",
        normal((3, 9)),
        {"input": ("not accumulated",)},
    ),
    Exhibit(
        "A course's conv_backward",
        2018,
        "https://github.com/Kulbear/deep-learning-coursera/pull/34",
        "Forward steps by the stride, backward by one. With a stride of one the two are the same, and with any "
        "other every shape still fits: the gradient just piles up in the corner of the image.",
        Strided,
        "start = 2 * t",
        "start = t",
        normal((3, 2, 9)),
        {"input": ("shifted",), "w": ("shifted",)},
    ),
    Exhibit(
        "NNlib, the kernel in reverse",
        2023,
        "https://github.com/FluxML/NNlib.jl/issues/518",
        "A convolution, unlike a correlation, reads its kernel backwards, and so its gradient has to be turned round "
        "as well. In a corner of the filter's gradient that was forgotten. Symmetric kernels cannot tell.",
        Flipped,
        ", g, windows)[::-1]",
        ", g, windows)",
        normal((3, 7)),
        {"w": ("reordered",)},
    ),
    Exhibit(
        "NNPACK, square kernels only",
        2016,
        "https://github.com/Maratyszcza/NNPACK/issues/15",
        "Height and width change places on the way into the kernel's gradient. Kernels are square, nearly always, and "
        "then it does not matter; one of two rows by three columns is filled with the right numbers in wrong places.",
        Image,
        "self.w.grad[i * columns + j] +=",
        "self.w.grad[i * rows + j] +=",
        normal((2, 4, 5)),
        {"w": ("shifted", "reordered")},
    ),
    Exhibit(
        "FlagGems and burn, what the stride leaves over",
        2026,
        "https://github.com/flagos-ai/FlagGems/pull/1576",
        "A kernel of three with steps of two covers seven entries of eight. The size of the input's gradient was "
        "worked out backwards from the output's, and the eighth entry forgotten; "
        "[burn](https://github.com/tracel-ai/burn/pull/4806) stumbled over the same rows in the same year.",
        Leftover,
        "np.zeros((n, length), g.dtype)",
        "np.zeros((n, 2 * g.shape[1] + 1), g.dtype)",
        normal((3, 8)),
        {"input": ("wrong shape",)},
    ),
    Exhibit(
        "cruise, a bias for each place",
        2016,
        "https://github.com/snuspl/cruise/issues/800",
        "A convolution has one bias a kernel, shared by all places. Its gradient here is summed over the rows of a "
        "matrix as in a dense layer, and the places stay apart.",
        Biased,
        "g.sum((0, 1))",
        "g.sum(0)",
        normal((4, 5, 2)),
        {"b": ("not summed",)},
    ),
    Exhibit(
        "DL4J, channels last",
        2019,
        "https://github.com/deeplearning4j/deeplearning4j/issues/8280",
        "The bias's gradient is a sum over all axes but the channels'. The axes were spelled out for channels first, "
        "and used for channels last as well. With as many rows as channels even the shape agrees.",
        BiasAdd,
        "g.sum((0, 1, 2))",
        "g.sum((0, 2, 3))",
        normal((2, 3, 2, 3)),
        {"b": ("transposed",)},
    ),
]
