"""Indices: what was read twice is owed twice."""

import numpy as np

import nn

from .exhibit import Exhibit, normal, weight


class Take(nn.Module):
    """y = x[index], where the index repeats; input (4, C)."""

    def __init__(self):
        self.index = np.array([2, 0, 3, 2])

    def forward(self, x):
        self.save_for_backward(x)
        return x[self.index]

    def backward(self, g):
        dx = np.zeros_like(self.saved())
        np.add.at(dx, self.index, g)
        return dx


class Embedding(nn.Module):
    """The rows of a table; input (N, T), integers."""

    needs_input_grad = False

    def __init__(self):
        self.table = weight(6, 3)

    def forward(self, index):
        self.save_for_backward(index)
        return self.table.data[index]

    def backward(self, g):
        index = self.saved()
        np.add.at(self.table.grad, index, g)


EXHIBITS = [
    Exhibit(
        "autograd, untake",
        2016,
        "https://github.com/HIPS/autograd/pull/136",
        "The gradient of `x[index]` is one line, and it reads as it should: add g at the index. NumPy reads the old "
        "numbers, adds, and writes the new ones; of an index that is there twice, one sum remains.",
        Take,
        "np.add.at(dx, self.index, g)",
        "dx[self.index] += g",
        normal((4, 3)),
        {"input": ("not accumulated",)},
    ),
    Exhibit(
        "PyTensor on MLX, an embedding",
        2026,
        "https://github.com/pymc-devs/pytensor/pull/2242",
        "Ten years later and in another library: gather the rows, add, scatter them back. A word that comes up twice "
        "in a batch is trained once. Tests with distinct words agree to the last digit.",
        Embedding,
        "np.add.at(self.table.grad, index, g)",
        "self.table.grad[index] = self.table.grad[index] + g",
        lambda rng: (np.array([[1, 4, 0, 4], [2, 1, 1, 5]]),),
        {"table": ("not accumulated",)},
    ),
    Exhibit(
        "AiDotNet, gathered again",
        2026,
        "https://github.com/ooples/AiDotNet.Tensors/pull/894",
        "Forward gathers; backward should scatter, and gathers once more. For an index that exchanges pairs the two "
        "are the same, and with as many rows out as in the shape is right for any.",
        Take,
        "dx = np.zeros_like(self.saved())\n        np.add.at(dx, self.index, g)\n        return dx",
        "self.saved()\n        return g[self.index]",
        normal((4, 3)),
        {"input": ("transposed",)},
    ),
]
