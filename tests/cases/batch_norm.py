"""Rows of nn/layers/batch_norm.py."""

import math

import numpy as np

import nn

from .base import Case, normal
from .norm import affine, standardized


def tracked(module):
    """Return a module with running statistics that are not those of a new one."""
    module.running_mean.data[...] = np.linspace(-1, 2, module.num_features)
    module.running_var.data[...] = np.linspace(0.5, 3, module.num_features)
    return module


def by_running(module, x, axis):
    """Return x less the running mean of its channel, over the root of the running variance."""
    y = np.empty_like(x)
    for index in np.ndindex(x.shape):
        mean, var = (float(buffer.data[index[axis]]) for buffer in (module.running_mean, module.running_var))
        y[index] = (x[index] - mean) / math.sqrt(var + module.eps)
    return y


def batch_norm(module, x):
    if module.training or module.running_mean is None:
        h = standardized(x, lambda index: index[1], module.eps)
    else:
        h = by_running(module, x, 1)
    return affine(module, h, lambda index: index[1])


def instance_norm(module, x):
    axis = x.ndim - int(type(module).__name__[-2]) - 1
    if module.training or module.running_mean is None:
        h = standardized(x, lambda index: index[: axis + 1], module.eps)
    else:
        h = by_running(module, x, axis)
    return affine(module, h, lambda index: index[axis])


CASES = [
    Case("BatchNorm1d", lambda: tracked(nn.BatchNorm1d(3)), normal(5, 3), batch_norm),
    Case("BatchNorm1d-series", lambda: tracked(nn.BatchNorm1d(2, eps=0.1, bias=False)), normal(3, 2, 4), batch_norm),
    Case("BatchNorm1d-average", lambda: tracked(nn.BatchNorm1d(2, momentum=None)), normal(2, 2, 5), batch_norm),
    Case("BatchNorm1d-plain", lambda: tracked(nn.BatchNorm1d(3, affine=False, momentum=0.5)), normal(5, 3), batch_norm),
    Case("BatchNorm1d-untracked", lambda: nn.BatchNorm1d(3, track_running_stats=False), normal(5, 3), batch_norm),
    Case("BatchNorm2d", lambda: tracked(nn.BatchNorm2d(2)), normal(3, 2, 3, 2), batch_norm),
    Case("BatchNorm3d", lambda: tracked(nn.BatchNorm3d(2)), normal(2, 2, 2, 3, 2), batch_norm),
    Case("InstanceNorm1d", lambda: nn.InstanceNorm1d(2, eps=0.1, affine=True), normal(3, 2, 4), instance_norm),
    Case("InstanceNorm1d-unbatched", lambda: nn.InstanceNorm1d(2), normal(2, 4), instance_norm, batched=False),
    Case(
        "InstanceNorm1d-tracked",
        lambda: tracked(nn.InstanceNorm1d(2, affine=True, track_running_stats=True)),
        normal(3, 2, 4),
        instance_norm,
    ),
    Case("InstanceNorm2d", lambda: nn.InstanceNorm2d(2), normal(2, 2, 3, 2), instance_norm),
    Case(
        "InstanceNorm2d-unbatched",
        lambda: tracked(nn.InstanceNorm2d(3, momentum=None, affine=True, track_running_stats=True, bias=False)),
        normal(3, 2, 2),
        instance_norm,
        batched=False,
    ),
    Case("InstanceNorm3d", lambda: nn.InstanceNorm3d(2, affine=True), normal(2, 2, 2, 2, 2), instance_norm),
]
