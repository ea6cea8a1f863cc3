"""Rows of nn/layers/dropout.py."""

import copy

import numpy as np

import nn
from nn.random import default_generator

from .base import Case, normal


def dropout(module, x):
    if not module.training:
        return x
    generator = copy.deepcopy(default_generator(module.generator))
    y = np.empty_like(x)
    for index in np.ndindex(x.shape):
        kept = generator.random() >= module.p
        y[index] = x[index] / (1 - module.p) if kept else 0.0
    return y


CASES = [
    Case("Dropout", lambda: nn.Dropout(), normal(5, 4), dropout, drawn=True),
    Case("Dropout-0.2", lambda: nn.Dropout(p=0.2, generator=7), normal(5, 4), dropout, drawn=True),
    Case("Dropout-none", lambda: nn.Dropout(p=0.0), normal(5, 4), dropout),
    Case("Dropout-all", lambda: nn.Dropout(p=1.0), normal(5, 4), dropout),
]
