"""Rows of nn/layers/layer_norm.py."""

import nn

from .base import Case, normal
from .norm import affine, standardized


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
    Case("LayerNorm", lambda: nn.LayerNorm(4), normal(5, 4), layer_norm),
    Case("LayerNorm-vector", lambda: nn.LayerNorm(6, eps=0.1), normal(6), layer_norm, batched=False),
    Case("LayerNorm-2d", lambda: nn.LayerNorm((3, 2)), normal(2, 2, 3, 2), layer_norm),
    Case("LayerNorm-nobias", lambda: nn.LayerNorm(4, bias=False), normal(2, 3, 4), layer_norm),
    Case("LayerNorm-plain", lambda: nn.LayerNorm(4, elementwise_affine=False), normal(3, 4), layer_norm),
    Case("RMSNorm", lambda: nn.RMSNorm(4), normal(5, 4), rms_norm),
    Case("RMSNorm-2d", lambda: nn.RMSNorm((3, 2), eps=0.1), normal(2, 2, 3, 2), rms_norm),
    Case("RMSNorm-plain", lambda: nn.RMSNorm(4, elementwise_affine=False), normal(3, 4), rms_norm),
]
