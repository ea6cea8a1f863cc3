"""Rows of nn/layers/norm.py."""

import math
from collections import defaultdict

import numpy as np

import nn

from .base import Case, normal


def standardized(x, belongs, eps, center=True):
    """Return x less the mean, over the root of the variance, of all entries for which `belongs(index)` is the same."""
    sets = defaultdict(list)
    for index in np.ndindex(x.shape):
        sets[belongs(index)].append(float(x[index]))
    y = np.empty_like(x)
    for index in np.ndindex(x.shape):
        values = sets[belongs(index)]
        mean = math.fsum(values) / len(values) if center else 0.0
        y[index] = (x[index] - mean) / math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values) + eps)
    return y


def affine(module, h, entry):
    """Return each entry of h times its weight plus its bias, which stand at `entry(index)`; None leaves them out."""
    y = h.copy()
    for index in np.ndindex(h.shape):
        y[index] *= 1.0 if module.weight is None else module.weight.data[entry(index)]
        y[index] += 0.0 if getattr(module, "bias", None) is None else module.bias.data[entry(index)]
    return y


def group_norm(module, x):
    size = module.num_channels // module.num_groups
    h = standardized(x, lambda index: (index[0], index[1] // size), module.eps)
    return affine(module, h, lambda index: index[1])


CASES = [
    Case("GroupNorm", lambda: nn.GroupNorm(2, 8), normal(3, 8), group_norm),
    Case("GroupNorm-images", lambda: nn.GroupNorm(3, 6, eps=0.1), normal(2, 6, 3, 2), group_norm),
    Case("GroupNorm-plain", lambda: nn.GroupNorm(1, 3, affine=False), normal(2, 3, 2), group_norm),
    Case("GroupNorm-nobias", lambda: nn.GroupNorm(3, 3, bias=False), normal(2, 3, 4), group_norm),
]
