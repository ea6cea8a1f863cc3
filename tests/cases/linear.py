"""Rows of nn/layers/linear.py."""

import math

import numpy as np

import nn

from .base import Case, normal


def linear(module, x):
    W, b = module.weight.data, module.bias
    y = np.empty((*x.shape[:-1], module.out_features))
    for index in np.ndindex(y.shape):
        *sample, out = index
        y[index] = math.fsum(x[(*sample, i)] * W[out, i] for i in range(module.in_features))
        y[index] += b.data[out] if b is not None else 0.0
    return y


CASES = [
    Case("Linear", lambda: nn.Linear(4, 3), normal(5, 4), linear),
    Case("Linear-nobias", lambda: nn.Linear(4, 3, bias=False), normal(5, 4), linear),
    Case("Linear-1-1", lambda: nn.Linear(1, 1), normal(5, 1), linear),
    Case("Linear-vector", lambda: nn.Linear(4, 3), normal(4), linear, batched=False),
    Case("Linear-3d", lambda: nn.Linear(4, 3), normal(2, 5, 4), linear),
    Case("Linear-4d", lambda: nn.Linear(2, 3), normal(2, 2, 3, 2), linear),
]
