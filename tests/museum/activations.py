"""Activations: a derivative by heart, and softmax, which is no function of one number."""

import numpy as np

import nn

from .exhibit import Exhibit, normal


class SELU(nn.Module):
    """y = s x where x > 0, else s a (eˣ - 1)."""

    def forward(self, x):
        s, a = 1.0507, 1.6733
        y = s * np.where(x > 0, x, a * (np.exp(x) - 1))
        self.save_for_backward(x, y, s, a)
        return y

    def backward(self, g):
        x, y, s, a = self.saved()
        return g * np.where(x > 0, s, y + s * a)


class LeakyReLU(nn.Module):
    """y = x where x > 0, else slope x."""

    def __init__(self, slope=0.2):
        self.slope = slope

    def forward(self, x):
        self.save_for_backward(x)
        return np.where(x > 0, x, self.slope * x)

    def backward(self, g):
        x = self.saved()
        return np.where(x > 0, g, self.slope * g)


class Softmax(nn.Module):
    """y = eˣ / Σ eˣ over the last axis."""

    def forward(self, x):
        e = np.exp(x - x.max(-1, keepdims=True))
        y = e / e.sum(-1, keepdims=True)
        self.save_for_backward(y)
        return y

    def backward(self, g):
        y = self.saved()
        return y * (g - (g * y).sum(-1, keepdims=True))


X = normal((4, 5))

EXHIBITS = [
    Exhibit(
        "mlpack, a bracket in ELU",
        2018,
        "https://github.com/mlpack/mlpack/pull/1540",
        "Written by means of the output, the derivative for negative inputs is y + λα. The code has λ (y + α). With "
        "a λ of one, that is ELU, they are equal; with SELU's 1.05 they differ by so little that no curve shows it.",
        SELU,
        "y + s * a",
        "s * (y + a)",
        X,
        {"input": ("partly right", "elementwise slip")},
    ),
    Exhibit(
        "DL4J, a slope that backward does not know",
        2019,
        "https://github.com/deeplearning4j/deeplearning4j/issues/8178",
        "Forward takes the slope as a setting; backward takes none, and uses a number of its own. As long as nobody "
        "sets the slope, the two agree.",
        LeakyReLU,
        "np.where(x > 0, g, self.slope * g)",
        "np.where(x > 0, g, 0.01 * g)",
        X,
        {"input": ("partly right", "wrong term")},
    ),
    Exhibit(
        "FKB, leaky forward only",
        2021,
        "https://github.com/scientific-computing/FKB/issues/15",
        "The leak is what keeps a unit alive when its input is negative. Forward leaks; the derivative was taken over "
        "from ReLU, and is zero precisely where the leak was wanted.",
        LeakyReLU,
        "np.where(x > 0, g, self.slope * g)",
        "g * (x > 0)",
        X,
        {"input": ("partly right", "missing term")},
    ),
    Exhibit(
        "neuroph, softmax in half",
        2016,
        "https://github.com/neuroph/neuroph/issues/37",
        "Softmax's outputs depend on all of its inputs, and its derivative is a matrix. What was returned has one "
        "number an entry, 1 - y: of the diagonal, y (1 - y), and a factor is missing from that too.",
        Softmax,
        "y * (g - (g * y).sum(-1, keepdims=True))",
        "g * (1 - y)",
        X,
        {"input": ("elementwise slip", "missing term")},
    ),
    Exhibit(
        "python-neural-network, softmax taken for a sigmoid",
        2016,
        "https://github.com/jorgenkg/python-neural-network/pull/6",
        "The logistic function's y (1 - y) is softmax's diagonal, letter by letter, which makes it so plausible. "
        "The rest of the matrix is missing. Move one input, look at its own output, and it is right; the other "
        "outputs move as well.",
        Softmax,
        "y * (g - (g * y).sum(-1, keepdims=True))",
        "g * y * (1 - y)",
        X,
        {"input": ("elementwise slip", "missing term", "not carried")},
    ),
    Exhibit(
        "fromscratchtoml, twice the softmax",
        2018,
        "https://github.com/markroxor/fromscratchtoml/issues/65",
        "A factor of two changes no direction and no sign. The learning rate swallows it, and it takes somebody who "
        "compares numbers to find it.",
        Softmax,
        "return y * (g",
        "return 2 * y * (g",
        X,
        {"input": ("constant factor",)},
    ),
    Exhibit(
        "cTensor, the upstream once more",
        2025,
        "https://github.com/pocketpy/cTensor/pull/31",
        "The upstream gradient is in the formula already, twice; it was multiplied with once more at the end, as "
        "one does with other activations. For an upstream of ones, the favourite of all tests, softmax's gradient "
        "is zero, and zero times one is zero.",
        Softmax,
        "return y * (g - (g * y).sum(-1, keepdims=True))",
        "return y * (g - (g * y).sum(-1, keepdims=True)) * g",
        X,
        {"input": ("upstream misused",)},
    ),
]
