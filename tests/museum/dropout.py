"""Dropout: the one thing that backward must remember is the mask."""

import numpy as np

import nn

from .exhibit import Exhibit, normal


class Dropout(nn.Module):
    """In training half of the entries are dropped, and the others doubled."""

    def __init__(self):
        self.p = 0.5
        self.generator = np.random.default_rng(0)

    def forward(self, x):
        keep = self.generator.random(x.shape) >= self.p
        mask = keep / (1 - self.p) if self.training else np.ones(x.shape)
        y = x * mask
        self.save_for_backward(mask)
        return y

    def backward(self, g):
        mask = self.saved()
        return g * mask


def rectified(rng):
    return (np.maximum(rng.normal(size=(5, 6)), 0),)


EXHIBITS = [
    Exhibit(
        "Kaldi, a mask from a quotient",
        2020,
        "https://github.com/kaldi-asr/kaldi/issues/3890",
        "Why store a mask, if output over input gives it back? Because zero over zero does not. Behind a ReLU half of "
        "the inputs are zero, and there the gradient passes whether the entry was dropped or not.",
        Dropout,
        "self.save_for_backward(mask)\n        return y\n\n    def backward(self, g):\n        mask = self.saved()\n"
        "        return g * mask",
        "self.save_for_backward(x, y)\n        return y\n\n    def backward(self, g):\n        x, y = self.saved()\n"
        "        scale = 1 / (1 - self.p) if self.training else 1.0\n"
        "        return g * np.divide(y, x, out=np.full_like(x, scale), where=x != 0)",
        rectified,
        {"input": ("partly right",)},
    ),
    Exhibit(
        "numpy-ml, scaled and not masked",
        2024,
        "https://github.com/ddbourgin/numpy-ml/issues/94",
        "Backward remembers to divide by 1 - p and forgets the mask: entries that took no part are given a gradient "
        "as if they had. The shape is right, and so is every entry that was kept.",
        Dropout,
        "mask = self.saved()\n        return g * mask",
        "self.saved()\n        return g / (1 - self.p) if self.training else g",
        normal((5, 6)),
        {"input": ("partly right",)},
    ),
]
