"""Rows of nn/layers/constant_pad.py, reflection_pad.py, replication_pad.py and circular_pad.py."""

import itertools

import numpy as np

import nn

from .base import Case, normal


def reflected(i, size):
    while not 0 <= i < size:
        i = -i if i < 0 else 2 * (size - 1) - i
    return i


def replicated(i, size):
    return min(max(i, 0), size - 1)


def padding(source):
    """Make a reference of a function that gives the position which an entry copies, and an axis' size; None copies none."""

    def reference(m, x):
        pairs = list(zip(m.padding[::2], m.padding[1::2], strict=True))[::-1]
        sizes = x.shape[-m.dims :]
        axes = [
            [source(i, size, before, after) for i in range(-before, size + after)]
            for size, (before, after) in zip(sizes, pairs, strict=True)
        ]
        y = [
            m.value if None in place else x[front + place]
            for front in np.ndindex(x.shape[: -m.dims])
            for place in itertools.product(*axes)
        ]
        return np.array(y).reshape(*x.shape[: -m.dims], *map(len, axes))

    return reference


def wrapped(i, size, before, after):
    first, last = max(-before, 0), size - max(-after, 0)  # what is taken away is not wrapped
    return first + (i - first) % (last - first)


constant = padding(lambda i, size, before, after: i if 0 <= i < size else None)
reflection = padding(lambda i, size, before, after: reflected(i, size))
replication = padding(lambda i, size, before, after: replicated(i, size))
circular = padding(wrapped)

CASES = [
    Case("ZeroPad1d", lambda: nn.ZeroPad1d((2, 1)), normal(2, 1, 3), constant),
    Case("ZeroPad2d", lambda: nn.ZeroPad2d(1), normal(2, 1, 2, 3), constant),
    Case("ZeroPad2d-negative", lambda: nn.ZeroPad2d((1, -1, -2, 0)), normal(2, 1, 4, 3), constant),
    Case("ZeroPad2d-any-axes", lambda: nn.ZeroPad2d((0, 1, 2, 0)), normal(2, 3), constant, batched=False),
    Case("ZeroPad3d", lambda: nn.ZeroPad3d((1, 0, 0, 2, -1, 1)), normal(2, 1, 2, 2, 3), constant),
    Case("ConstantPad1d", lambda: nn.ConstantPad1d((-1, 2), 1.5), normal(2, 1, 3), constant),
    Case("ConstantPad2d", lambda: nn.ConstantPad2d((1, 0, 0, 2), -2), normal(2, 1, 2, 3), constant),
    Case("ConstantPad3d", lambda: nn.ConstantPad3d(1, value=0.5), normal(2, 1, 1, 2), constant, batched=False),
    Case("ReflectionPad1d", lambda: nn.ReflectionPad1d((3, 2)), normal(2, 1, 4), reflection),
    Case("ReflectionPad1d-negative", lambda: nn.ReflectionPad1d((-4, 3)), normal(2, 1, 4), reflection),
    Case("ReflectionPad2d", lambda: nn.ReflectionPad2d((2, 1, 0, 1)), normal(2, 1, 2, 3), reflection),
    Case("ReflectionPad2d-unbatched", lambda: nn.ReflectionPad2d(1), normal(2, 2, 2), reflection, batched=False),
    Case("ReflectionPad3d", lambda: nn.ReflectionPad3d((1, 1, 2, 0, 0, 1)), normal(2, 1, 2, 3, 2), reflection),
    Case("ReplicationPad1d", lambda: nn.ReplicationPad1d((4, 2)), normal(2, 1, 3), replication),
    Case("ReplicationPad2d", lambda: nn.ReplicationPad2d((2, 1, 0, 1)), normal(2, 1, 2, 3), replication),
    Case("ReplicationPad2d-negative", lambda: nn.ReplicationPad2d((-1, 2, 2, -1)), normal(2, 1, 3, 3), replication),
    Case("ReplicationPad2d-one-pixel", lambda: nn.ReplicationPad2d(2), normal(2, 1, 1, 1), replication),
    Case("ReplicationPad3d", lambda: nn.ReplicationPad3d((1, 1, 2, 0, 0, 1)), normal(2, 1, 2, 3, 2), replication),
    Case("CircularPad1d", lambda: nn.CircularPad1d((3, 2)), normal(2, 1, 3), circular),
    Case("CircularPad1d-negative", lambda: nn.CircularPad1d((-1, 2)), normal(2, 1, 5), circular),
    Case("CircularPad2d", lambda: nn.CircularPad2d((2, 1, 0, 1)), normal(2, 1, 2, 3), circular),
    Case("CircularPad2d-negative", lambda: nn.CircularPad2d((2, -1, -1, 1)), normal(2, 3, 4), circular, batched=False),
    Case("CircularPad3d", lambda: nn.CircularPad3d((1, 1, 2, 0, 0, 1)), normal(2, 1, 2, 3, 2), circular),
]
