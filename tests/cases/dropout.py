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


def channels(module, x):
    """Return how many of the first dimensions tell the channels apart."""
    unbatched = {nn.Dropout1d: 2, nn.Dropout3d: 4}.get(type(module))
    return 1 if x.ndim == unbatched else 2


def feature_dropout(module, x):
    if not module.training:
        return x
    generator = copy.deepcopy(default_generator(module.generator))
    y = np.empty_like(x)
    for index in np.ndindex(x.shape[: channels(module, x)]):
        kept = generator.random() >= module.p
        y[index] = x[index] / (1 - module.p) if kept else 0.0
    return y


def alpha_dropout(module, x):
    if not module.training:
        return x
    if module.p == 1:
        return 0 * x
    generator = copy.deepcopy(default_generator(module.generator))
    floor = -1.0507009873554805 * 1.6732632423543772  # SELU's scale and alpha
    scale = ((1 - module.p) * (1 + module.p * floor**2)) ** -0.5
    y = np.empty_like(x)
    for index in np.ndindex(x.shape[:2] if isinstance(module, nn.FeatureAlphaDropout) else x.shape):
        kept = generator.random() >= module.p
        y[index] = scale * ((x[index] if kept else floor) - module.p * floor)
    return y


CASES = [
    Case("Dropout", lambda: nn.Dropout(), normal(5, 4), dropout, drawn=True),
    Case("Dropout-0.2", lambda: nn.Dropout(p=0.2, generator=7), normal(5, 4), dropout, drawn=True),
    Case("Dropout-none", lambda: nn.Dropout(p=0.0), normal(5, 4), dropout),
    Case("Dropout-all", lambda: nn.Dropout(p=1.0), normal(5, 4), dropout),
    Case("Dropout1d", lambda: nn.Dropout1d(), normal(3, 4, 2), feature_dropout, drawn=True),
    Case("Dropout1d-unbatched", lambda: nn.Dropout1d(p=0.2), normal(6, 2), feature_dropout, batched=False, drawn=True),
    Case("Dropout1d-all", lambda: nn.Dropout1d(p=1.0), normal(3, 2, 2), lambda m, x: 0 * x if m.training else x),
    Case("Dropout2d", lambda: nn.Dropout2d(generator=7), normal(3, 4, 2, 2), feature_dropout, drawn=True),
    Case("Dropout3d", lambda: nn.Dropout3d(), normal(2, 3, 2, 1, 2), feature_dropout, drawn=True),
    Case("Dropout3d-unbatched", lambda: nn.Dropout3d(), normal(5, 2, 1, 2), feature_dropout, batched=False, drawn=True),
    Case("AlphaDropout", lambda: nn.AlphaDropout(p=0.3), normal(5, 4), alpha_dropout, drawn=True),
    Case("AlphaDropout-all", lambda: nn.AlphaDropout(p=1.0), normal(3, 2), alpha_dropout),
    Case("FeatureAlphaDropout", lambda: nn.FeatureAlphaDropout(p=0.3), normal(3, 4, 2), alpha_dropout, drawn=True),
]
