"""Rows of nn/layers/shape.py."""

import numpy as np

import nn

from .base import Case, elementwise, normal

identity = elementwise(lambda m, x: x)


def flatten(module, x):
    shape = x.shape or (1,)
    start, end = module.start_dim % len(shape), module.end_dim % len(shape)
    joined = 1
    for size in shape[start : end + 1]:
        joined *= size
    return np.array(list(x.flat)).reshape(shape[:start] + (joined,) + shape[end + 1 :])


CASES = [
    Case("Identity", lambda: nn.Identity(), normal(5, 4), identity),
    Case("Identity-0d", lambda: nn.Identity(), normal(), identity, batched=False),
    Case("Flatten", lambda: nn.Flatten(), normal(4, 3, 2), flatten),
    Case("Flatten-middle", lambda: nn.Flatten(start_dim=1, end_dim=2), normal(2, 3, 2, 2), flatten),
    Case("Flatten-all", lambda: nn.Flatten(start_dim=0, end_dim=-1), normal(2, 3, 2), flatten),
    Case("Flatten-0d", lambda: nn.Flatten(start_dim=0), normal(), flatten, batched=False),
]
