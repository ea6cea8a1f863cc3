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


def unflatten(module, x):
    dim, sizes = module.dim % x.ndim, list(module.unflattened_size)
    for size in (size for size in range(1, x.shape[dim] + 1) if -1 in sizes):
        trial = [size if s == -1 else s for s in sizes]
        if np.prod(trial) == x.shape[dim]:
            sizes = trial
    return np.array(list(x.flat)).reshape(x.shape[:dim] + tuple(sizes) + x.shape[dim + 1 :])


def pixel_shuffle(module, x):
    r = module.upscale_factor
    *front, channels, height, width = x.shape
    y = np.empty((*front, channels // r**2, height * r, width * r))
    for *lead, c, h, w in np.ndindex(x.shape):
        place, rest = divmod(c, r**2)
        y[(*lead, place, h * r + rest // r, w * r + rest % r)] = x[(*lead, c, h, w)]
    return y


def pixel_unshuffle(module, x):
    r = module.downscale_factor
    *front, channels, height, width = x.shape
    y = np.empty((*front, channels * r**2, height // r, width // r))
    for *lead, c, h, w in np.ndindex(x.shape):
        y[(*lead, (c * r + h % r) * r + w % r, h // r, w // r)] = x[(*lead, c, h, w)]
    return y


def channel_shuffle(module, x):
    size = x.shape[1] // module.groups
    order = [group * size + k for k in range(size) for group in range(module.groups)]
    return np.stack([x[:, c] for c in order], 1)


CASES = [
    Case("Identity", lambda: nn.Identity(), normal(5, 4), identity),
    Case("Identity-0d", lambda: nn.Identity(), normal(), identity, batched=False),
    Case("Flatten", lambda: nn.Flatten(), normal(4, 3, 2), flatten),
    Case("Flatten-middle", lambda: nn.Flatten(start_dim=1, end_dim=2), normal(2, 3, 2, 2), flatten),
    Case("Flatten-all", lambda: nn.Flatten(start_dim=0, end_dim=-1), normal(2, 3, 2), flatten),
    Case("Flatten-0d", lambda: nn.Flatten(start_dim=0), normal(), flatten, batched=False),
    Case("Unflatten", lambda: nn.Unflatten(1, (2, 3)), normal(3, 6), unflatten),
    Case("Unflatten-rest", lambda: nn.Unflatten(-2, [2, -1, 1]), normal(2, 4, 3), unflatten),
    Case("PixelShuffle", lambda: nn.PixelShuffle(2), normal(2, 8, 2, 3), pixel_shuffle),
    Case("PixelShuffle-unbatched", lambda: nn.PixelShuffle(3), normal(9, 1, 2), pixel_shuffle, batched=False),
    Case("PixelUnshuffle", lambda: nn.PixelUnshuffle(2), normal(2, 2, 4, 2), pixel_unshuffle),
    Case("PixelUnshuffle-5d", lambda: nn.PixelUnshuffle(2), normal(2, 2, 1, 2, 4), pixel_unshuffle),
    Case("ChannelShuffle", lambda: nn.ChannelShuffle(2), normal(2, 6, 2), channel_shuffle),
    Case("ChannelShuffle-images", lambda: nn.ChannelShuffle(3), normal(2, 6, 2, 2), channel_shuffle),
]
