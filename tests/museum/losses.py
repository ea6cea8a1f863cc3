"""Losses: sums and means, and who divides by N."""

import numpy as np

import nn

from .exhibit import Exhibit, normal, positive


class CrossEntropy(nn.Loss):
    """-Σ y log f over everything, of probabilities f and targets y."""

    def __init__(self):
        super().__init__("sum")

    def forward(self, f, y):
        self.save_for_backward(f, y)
        return -(y * np.log(f)).sum()

    def backward(self, g=1.0):
        f, y = self.saved()
        return -g * y / f


class SoftmaxCrossEntropy(nn.Loss):
    """The mean over the batch of -log softmax(x) at the target."""

    def forward(self, x, target):
        e = np.exp(x - x.max(1, keepdims=True))
        p = e / e.sum(1, keepdims=True)
        self.save_for_backward(p, target)
        return -np.log(p[np.arange(len(x)), target]).mean()

    def backward(self, g=1.0):
        p, target = self.saved()
        return g * (p - np.eye(p.shape[1], dtype=p.dtype)[target]) / len(p)


class MeanSquare(nn.Loss):
    """The mean of (f - y)²."""

    def forward(self, f, y):
        self.save_for_backward(f - y)
        return ((f - y) ** 2).mean()

    def backward(self, g=1.0):
        d = self.saved()
        return g * 2 * d / d.size


def classes(rng):
    return rng.normal(size=(6, 4)), rng.integers(4, size=6)


FACTOR = {"prediction": ("constant factor",)}

EXHIBITS = [
    Exhibit(
        "fetchai's ledger, cross-entropy",
        2019,
        "https://github.com/fetchai/ledger/pull/1580",
        "Two in one line: it is the prediction that one divides by, not the target, and not by the batch size, unless "
        "the loss is a mean.",
        CrossEntropy,
        "return -g * y / f",
        "return -g * f / y / len(f)",
        positive((4, 3), (4, 3)),
        {"prediction": ("elementwise slip",)},
    ),
    Exhibit(
        "Swift for TensorFlow, a mean and a sum",
        2019,
        "https://github.com/tensorflow/swift-apis/pull/42",
        "The loss is a mean over the batch, its hand-written gradient that of a sum. Each batch size has a learning "
        "rate of its own then, and whoever tunes it for one is content.",
        SoftmaxCrossEntropy,
        " / len(p)",
        "",
        classes,
        FACTOR,
    ),
    Exhibit(
        "code2seq, divided twice",
        2019,
        "https://github.com/tech-srl/code2seq/pull/9",
        "The other way round: divided by the batch size, and then once more. With a batch of one, right.",
        SoftmaxCrossEntropy,
        " / len(p)",
        " / len(p) ** 2",
        classes,
        FACTOR,
    ),
    Exhibit(
        "dlib, the two of a square",
        2018,
        "https://github.com/davisking/dlib/issues/1169",
        "The loss is a mean of squares, the gradient that of half of it. Textbooks put a half in front so that the "
        "two cancels, and their formula is easily remembered next to a loss that has no half.",
        MeanSquare,
        "g * 2 * d / d.size",
        "g * d / d.size",
        normal((5, 3), (5, 3)),
        FACTOR,
    ),
]
