"""Pooling: where windows overlap, one entry can win several of them."""

import numpy as np

import nn

from .exhibit import Exhibit, normal


class MaxPool2d(nn.Module):
    """The maximum over windows of 3 x 3, two apart; input (N, H, W)."""

    def forward(self, x):
        y = np.zeros((len(x), (x.shape[1] - 1) // 2, (x.shape[2] - 1) // 2))
        for n, i, j in np.ndindex(y.shape):
            y[n, i, j] = x[n, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max()
        self.save_for_backward(x)
        return y

    def backward(self, g):
        x = self.saved()
        dx = np.zeros_like(x)
        for n, i, j in np.ndindex(g.shape):
            window = x[n, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            a, b = np.unravel_index(window.argmax(), window.shape)
            dx[n, 2 * i + a, 2 * j + b] += g[n, i, j]
        return dx


class MaxPool1d(nn.Module):
    """The maximum over windows of three, one apart; input (N, T)."""

    def forward(self, x):
        windows = np.lib.stride_tricks.sliding_window_view(x, 3, axis=1)
        winner = np.arange(windows.shape[1]) + windows.argmax(2)
        self.save_for_backward(x, winner)
        return windows.max(2)

    def backward(self, g):
        x, winner = self.saved()
        dx = np.zeros_like(x)
        np.add.at(dx, (np.arange(len(x))[:, None], winner), g)
        return dx


class MaskPool(nn.Module):
    """The maximum over windows of three, two apart, by a mask for each window; input (N, T)."""

    def forward(self, x):
        windows = np.stack([x[:, t : t + 3] for t in range(0, x.shape[1] - 2, 2)], 1)
        self.save_for_backward(x, np.arange(3) == windows.argmax(2)[..., None])
        return windows.max(2)

    def backward(self, g):
        x, mask = self.saved()
        dx = np.zeros_like(x)
        for i in range(g.shape[1]):
            dx[:, 2 * i : 2 * i + 3] += mask[:, i] * g[:, i, None]
        return dx


class PatchPool(nn.Module):
    """The maximum over patches of 2 x 2 that do not overlap; of equal ones, the first; input (H, W)."""

    def forward(self, x):
        h, w = x.shape[0] // 2, x.shape[1] // 2
        patches = x.reshape(h, 2, w, 2).transpose(0, 2, 1, 3).reshape(h, w, 4)
        self.save_for_backward(x, patches)
        return patches.max(2)

    def backward(self, g):
        x, patches = self.saved()
        dx = np.zeros_like(x)
        for i, j in np.ndindex(g.shape):
            won = np.arange(4) == patches[i, j].argmax()
            dx[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = g[i, j] * won.reshape(2, 2)
        return dx


class BufferPool(nn.Module):
    """The maximum over windows of three, two apart, with one buffer for the gradients of all calls; input (N, T)."""

    def __init__(self):
        self.buffer = None

    def forward(self, x):
        windows = np.lib.stride_tricks.sliding_window_view(x, 3, axis=1)[:, ::2]
        if np.shape(self.buffer) != x.shape:
            self.buffer = np.zeros_like(x)
        self.save_for_backward(2 * np.arange(windows.shape[1]) + windows.argmax(2))
        return windows.max(2)

    def backward(self, g):
        dx = self.buffer
        dx[...] = 0
        np.add.at(dx, (np.arange(len(g))[:, None], self.saved()), g)
        return dx.copy()


def ties(rng):
    return (rng.integers(0, 3, size=(4, 6)).astype(float),)


LOST = {"input": ("not accumulated",)}

EXHIBITS = [
    Exhibit(
        "A tutorial's max pooling",
        2017,
        "https://github.com/ghosert/cmd-editor/issues/2058",
        "A tutorial on convolutional networks writes each window's gradient to the place of its maximum. As long as "
        "windows stand side by side nothing is lost, and the usual example has a stride as wide as its window. Let "
        "them overlap, and an entry that wins four windows is paid for one.",
        MaxPool2d,
        "dx[n, 2 * i + a, 2 * j + b] += g",
        "dx[n, 2 * i + a, 2 * j + b] = g",
        normal((2, 5, 7)),
        LOST,
    ),
    Exhibit(
        "tangermeme, max unpooling",
        2026,
        "https://github.com/jmschrei/tangermeme/pull/95",
        "A library's unpooling looks like the exact inverse of its pooling: values go back to the indices they came "
        "from. But it assigns, and a sum was called for: of a position that wins several windows, one contribution "
        "is kept and the others are gone.",
        MaxPool1d,
        "np.add.at(dx, (np.arange(len(x))[:, None], winner), g)",
        "np.put_along_axis(dx, winner, g, 1)",
        normal((3, 7)),
        LOST,
    ),
    Exhibit(
        "ocannl, max of windows",
        2026,
        "https://github.com/ahrefs/ocannl/issues/512",
        "Here each window writes its whole slice, winner and losers alike. Where two windows share an entry, the later "
        "one decides: an entry that won the first and lost the second is left with a zero.",
        MaskPool,
        "2 * i + 3] += mask",
        "2 * i + 3] = mask",
        normal((6, 9)),
        LOST,
    ),
    Exhibit(
        "CNN-from-scratch, the early return",
        2023,
        "https://github.com/riccardoandreoni0/CNN-from-scratch/issues/1",
        "Four spaces too many: the `return` stands inside the loop, and backward is over after the first patch. The "
        "array has the right shape and is nearly all zeros; what lies in front of such a layer still learns, from "
        "one corner of each image.",
        PatchPool,
        "        return dx",
        "            return dx",
        normal((4, 6)),
        {"input": ("not summed",)},
    ),
    Exhibit(
        "CNN-from-scratch, equal maxima",
        2023,
        "https://github.com/riccardoandreoni0/CNN-from-scratch/issues/1",
        "The same snippet asks of each pixel whether it equals the maximum. Behind a ReLU a patch of zeros is common, "
        "and all four of its pixels answer yes: the gradient is handed out four times. On random numbers there is no "
        "tie to show it.",
        PatchPool,
        "np.arange(4) == patches[i, j].argmax()",
        "patches[i, j] == patches[i, j].max()",
        ties,
        {"input": ("shared out",)},
    ),
    Exhibit(
        "ExecuTorch, the buffer that was not zeroed",
        2026,
        "https://github.com/pytorch/executorch/pull/21687",
        "A scatter-add needs zeros to add to, and the buffer that it was given held whatever an earlier call had left "
        "there. A test that runs backward once, in fresh memory, sees nothing.",
        BufferPool,
        "        dx[...] = 0\n",
        "",
        normal((3, 7)),
        {"input": ("stale values",)},
    ),
]
