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


def layer_norm(module, x):
    dims = len(module.normalized_shape)
    h = standardized(x, lambda index: index[:-dims], module.eps)
    return affine(module, h, lambda index: index[-dims:])


def rms_norm(module, x):
    dims = len(module.normalized_shape)
    eps = 2.0**-52 if module.eps is None else module.eps
    h = standardized(x, lambda index: index[:-dims], eps, center=False)
    return affine(module, h, lambda index: index[-dims:])


CASES = [
    Case("GroupNorm", lambda: nn.GroupNorm(2, 8), normal(3, 8), group_norm),
    Case("GroupNorm-images", lambda: nn.GroupNorm(3, 6, eps=0.1), normal(2, 6, 3, 2), group_norm),
    Case("GroupNorm-plain", lambda: nn.GroupNorm(1, 3, affine=False), normal(2, 3, 2), group_norm),
    Case("GroupNorm-nobias", lambda: nn.GroupNorm(3, 3, bias=False), normal(2, 3, 4), group_norm),
    Case("LayerNorm", lambda: nn.LayerNorm(4), normal(5, 4), layer_norm),
    Case("LayerNorm-vector", lambda: nn.LayerNorm(6, eps=0.1), normal(6), layer_norm, batched=False),
    Case("LayerNorm-2d", lambda: nn.LayerNorm((3, 2)), normal(2, 2, 3, 2), layer_norm),
    Case("LayerNorm-nobias", lambda: nn.LayerNorm(4, bias=False), normal(2, 3, 4), layer_norm),
    Case("LayerNorm-plain", lambda: nn.LayerNorm(4, elementwise_affine=False), normal(3, 4), layer_norm),
    Case("RMSNorm", lambda: nn.RMSNorm(4), normal(5, 4), rms_norm),
    Case("RMSNorm-2d", lambda: nn.RMSNorm((3, 2), eps=0.1), normal(2, 2, 3, 2), rms_norm),
    Case("RMSNorm-plain", lambda: nn.RMSNorm(4, elementwise_affine=False), normal(3, 4), rms_norm),
]
