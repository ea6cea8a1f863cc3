"""Rows of nn/layers/conv.py."""

import math

import numpy as np

import nn

from .base import Case, normal


def source(place, size, mode):
    """Return which entry of an axis stands at a place beside it, None where it is a zero."""
    if 0 <= place < size:
        return place
    if mode == "zeros":
        return None
    if mode == "replicate":
        return 0 if place < 0 else size - 1
    if mode == "circular":
        return place % size
    return -place if place < 0 else 2 * (size - 1) - place


def padding(module):
    """Return how much is added before and after each axis."""
    if module.padding == "valid":
        return [(0, 0) for _ in module.kernel_size]
    if module.padding == "same":
        totals = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    return [(p, p) for p in module.padding]


def conv(module, x):
    """The sum of the definition, output by output."""
    W, b, s, d = module.weight.data, module.bias, module.stride, module.dilation
    dims, widths = len(s), padding(module)
    batch = x if x.ndim == dims + 2 else x[None]
    sizes = batch.shape[2:]
    counts = [
        (n + sum(width) - step * (k - 1) - 1) // stride + 1
        for n, width, step, k, stride in zip(sizes, widths, d, W.shape[2:], s, strict=True)
    ]
    y = np.empty((len(batch), len(W), *counts))
    inputs, outputs = W.shape[1], len(W) // module.groups
    for n, o, *position in np.ndindex(*y.shape):
        terms = [] if b is None else [b.data[o]]
        for c, *u in np.ndindex(inputs, *W.shape[2:]):
            places = [
                source(s[a] * position[a] + d[a] * u[a] - widths[a][0], sizes[a], module.padding_mode)
                for a in range(dims)
            ]
            if None not in places:
                terms.append(W[(o, c, *u)] * batch[(n, o // outputs * inputs + c, *places)])
        y[(n, o, *position)] = math.fsum(terms)
    return y if x.ndim == dims + 2 else y[0]


SIGNAL, IMAGE, VOLUME = normal(2, 2, 6), normal(2, 2, 5, 4), normal(2, 2, 3, 4, 3)


def row(name, build, draw, **settings):
    return Case(name, build, draw, conv, **settings)


CASES = [
    row("Conv1d", lambda: nn.Conv1d(2, 3, 3), SIGNAL),
    row("Conv1d-nobias", lambda: nn.Conv1d(2, 3, 2, bias=False), SIGNAL),
    row("Conv1d-settings", lambda: nn.Conv1d(4, 2, 2, stride=3, padding=2, dilation=2, groups=2), normal(2, 4, 5)),
    row("Conv1d-same", lambda: nn.Conv1d(2, 2, 4, padding="same"), normal(2, 2, 5)),
    row("Conv1d-unbatched", lambda: nn.Conv1d(2, 3, 3, padding=1), normal(2, 5), batched=False),
    row("Conv1d-circular", lambda: nn.Conv1d(2, 2, 2, padding=3, padding_mode="circular"), normal(2, 2, 4)),
    row("Conv2d", lambda: nn.Conv2d(2, 3, 3), IMAGE),
    row("Conv2d-padding", lambda: nn.Conv2d(2, 3, 3, padding=1), IMAGE),
    row("Conv2d-narrowing", lambda: nn.Conv2d(3, 1, (2, 3), padding=(0, 1), bias=False), normal(2, 3, 4, 4)),
    row("Conv2d-stride", lambda: nn.Conv2d(2, 2, 3, stride=2, padding=(0, 2)), IMAGE),
    row("Conv2d-stride-over-kernel", lambda: nn.Conv2d(2, 2, (2, 1), stride=3, padding=1), IMAGE),
    row("Conv2d-dilation", lambda: nn.Conv2d(2, 2, 2, dilation=(3, 1), padding=1), IMAGE),
    row("Conv2d-groups", lambda: nn.Conv2d(4, 6, 2, groups=2), normal(2, 4, 3, 4)),
    row("Conv2d-depthwise", lambda: nn.Conv2d(3, 6, 3, padding=1, groups=3, bias=False), normal(2, 3, 4, 3)),
    row("Conv2d-settings", lambda: nn.Conv2d(4, 2, (2, 3), (2, 1), (1, 2), (2, 1), 2), normal(2, 4, 5, 3)),
    row("Conv2d-1x1", lambda: nn.Conv2d(3, 2, 1), normal(2, 3, 3, 2)),
    row("Conv2d-1x1-stride", lambda: nn.Conv2d(3, 2, 1, stride=2), normal(2, 3, 3, 4)),
    row("Conv2d-whole", lambda: nn.Conv2d(2, 3, (3, 4)), normal(2, 2, 3, 4)),
    row("Conv2d-one", lambda: nn.Conv2d(2, 3, 3, padding=1), normal(1, 2, 3, 3)),
    row("Conv2d-unbatched", lambda: nn.Conv2d(2, 3, 3, stride=2, padding=1), normal(2, 4, 5), batched=False),
    row("Conv2d-valid", lambda: nn.Conv2d(2, 2, 2, stride=2, padding="valid"), IMAGE),
    row("Conv2d-same", lambda: nn.Conv2d(2, 2, (3, 2), padding="same", dilation=(1, 3)), IMAGE),
    row("Conv2d-reflect", lambda: nn.Conv2d(2, 2, 2, padding=(2, 3), padding_mode="reflect"), normal(2, 2, 3, 4)),
    row("Conv2d-replicate", lambda: nn.Conv2d(2, 2, 3, 2, (1, 3), padding_mode="replicate"), normal(2, 2, 4, 2)),
    row("Conv2d-circular", lambda: nn.Conv2d(2, 2, 3, padding=(3, 2), padding_mode="circular"), normal(2, 2, 3, 4)),
    row("Conv2d-same-reflect", lambda: nn.Conv2d(2, 2, (2, 4), padding="same", padding_mode="reflect"), IMAGE),
    row(
        "Conv2d-unbatched-copied",
        lambda: nn.Conv2d(2, 2, 2, padding=1, padding_mode="replicate"),
        normal(2, 3, 3),
        batched=False,
    ),
    row("Conv3d", lambda: nn.Conv3d(2, 2, 2), VOLUME),
    row("Conv3d-settings", lambda: nn.Conv3d(2, 2, (1, 2, 3), (2, 2, 1), (1, 0, 1), (1, 2, 1), 2, bias=False), VOLUME),
    row(
        "Conv3d-same",
        lambda: nn.Conv3d(1, 2, (2, 1, 3), padding="same", padding_mode="circular"),
        normal(2, 1, 3, 2, 3),
    ),
    row("Conv3d-unbatched", lambda: nn.Conv3d(1, 2, 2, padding=1), normal(1, 2, 3, 2), batched=False),
]
