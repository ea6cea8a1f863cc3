"""Rows of nn/layers/fold.py."""

import itertools

import numpy as np

import nn

from .base import Case, normal


def shared_places(m, sizes):
    """Yield (row, column, place) for each entry of a channel's windows: None for a place on the padding."""
    counts = [
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, d, p, s in zip(sizes, m.kernel_size, m.dilation, m.padding, m.stride, strict=True)
    ]
    for row, offset in enumerate(itertools.product(*map(range, m.kernel_size))):
        for column, window in enumerate(itertools.product(*map(range, counts))):
            axes = zip(window, offset, m.stride, m.dilation, m.padding, strict=True)
            place = tuple(s * i + d * u - p for i, u, s, d, p in axes)
            yield row, column, place if all(0 <= a < n for a, n in zip(place, sizes, strict=True)) else None


def unfold(m, x):
    entries, channels = m.kernel_size[0] * m.kernel_size[1], x.shape[-3]
    places = list(shared_places(m, x.shape[-2:]))
    y = np.zeros((*x.shape[:-3], channels * entries, places[-1][1] + 1))
    for index in np.ndindex(x.shape[:-2]):
        for row, column, place in places:
            if place:
                y[index[:-1]][index[-1] * entries + row, column] = x[index][place]
    return y


def fold(m, x):
    entries = m.kernel_size[0] * m.kernel_size[1]
    y = np.zeros((*x.shape[:-2], x.shape[-2] // entries, *m.output_size))
    for index in np.ndindex(y.shape[:-2]):
        for row, column, place in shared_places(m, m.output_size):
            if place:
                y[index][place] += x[index[:-1]][index[-1] * entries + row, column]
    return y


CASES = [
    Case("Unfold", lambda: nn.Unfold(2), normal(1, 2, 3, 3), unfold),
    Case("Unfold-settings", lambda: nn.Unfold((3, 2), dilation=(1, 2), padding=(2, 1), stride=(2, 1)), normal(2, 1, 3, 2), unfold),
    Case("Unfold-unbatched", lambda: nn.Unfold((1, 2), stride=(2, 3)), normal(2, 3, 4), unfold, batched=False),
    Case("Fold", lambda: nn.Fold((3, 2), 2), normal(1, 8, 2), fold),
    Case("Fold-settings", lambda: nn.Fold((4, 3), (3, 2), dilation=(1, 2), padding=(2, 1), stride=(2, 1)), normal(1, 6, 9), fold),
    Case("Fold-unbatched", lambda: nn.Fold((4, 5), (1, 2), stride=(2, 3)), normal(4, 4), fold, batched=False),
]  # fmt: skip
