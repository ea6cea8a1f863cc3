"""Rows of nn/layers/max_pool.py, avg_pool.py, lp_pool.py, adaptive_pool.py, fractional_pool.py and unpool.py."""

import itertools
import math

import numpy as np

import nn

from .base import Case, normal, torch_twin


def spans(size, kernel, stride, padding=0, dilation=1, ceil_mode=False):
    """Return the positions of each window along an axis, those on the padding and behind it too."""
    length = dilation * (kernel - 1) + 1
    steps = (size + 2 * padding - length) / stride
    count = (math.ceil(steps) if ceil_mode else math.floor(steps)) + 1
    starts = [i * stride - padding for i in range(count)]
    return [[start + u * dilation for u in range(kernel)] for start in starts if start < size]


def pooled(x, axes, function):
    """Return `function` of the positions of each window, as tuples, and of the image of each channel.

    It may return several values, which make as many arrays.
    """
    dims = len(axes)
    shape = (*x.shape[:-dims], *map(len, axes))
    windows = [list(itertools.product(*window)) for window in itertools.product(*axes)]
    found = [function(places, x[front]) for front in np.ndindex(x.shape[:-dims]) for places in windows]
    return tuple(np.array(values).reshape(shape) for values in zip(*found, strict=True))


def inside(places, shape):
    return [place for place in places if all(0 <= i < size for i, size in zip(place, shape, strict=True))]


def largest(places, image):
    """Return the largest entry, and the number of its place: of several the first, of NaN the last."""
    best, value = None, -math.inf
    for place in inside(places, image.shape):
        if best is None or image[place] > value or math.isnan(image[place]):
            best, value = place, image[place]
    number = 0
    for i, size in zip(best, image.shape, strict=True):
        number = number * size + i
    return value, number


def max_pool(m, x):
    settings = zip(x.shape[-m.dims :], m.kernel_size, m.stride, m.padding, m.dilation, strict=True)
    values, indices = pooled(x, [spans(*setting, m.ceil_mode) for setting in settings], largest)
    return (values, indices) if m.return_indices else values


def avg_pool(m, x):
    sizes = x.shape[-m.dims :]
    axes = [
        spans(*setting, ceil_mode=m.ceil_mode)
        for setting in zip(sizes, m.kernel_size, m.stride, m.padding, strict=True)
    ]

    def mean(places, image):
        within = inside(places, image.shape)
        padded = [
            place
            for place in places
            if all(-p <= i < size + p for i, size, p in zip(place, sizes, m.padding, strict=True))
        ]
        count = len(padded if m.count_include_pad else within)
        return (math.fsum(image[place] for place in within) / (getattr(m, "divisor_override", None) or count),)

    return pooled(x, axes, mean)[0]


def lp_pool(m, x):
    p = m.norm_type
    settings = zip(x.shape[-m.dims :], m.kernel_size, m.stride, strict=True)

    def norm(places, image):
        values = [float(image[place]) for place in inside(places, image.shape)]
        if math.isinf(p):
            return ((max if p > 0 else min)(map(abs, values)),)
        return ((math.fsum(value**p for value in values) * len(places) / len(values)) ** (1 / p),)

    return pooled(x, [spans(*setting, ceil_mode=m.ceil_mode) for setting in settings], norm)[0]


def adaptive_axes(m, x):
    sizes = x.shape[-m.dims :]
    counts = [size if wanted is None else wanted for size, wanted in zip(sizes, m.output_size, strict=True)]
    return [
        [list(range(math.floor(i * size / n), math.ceil((i + 1) * size / n))) for i in range(n)]
        for size, n in zip(sizes, counts, strict=True)
    ]


def adaptive_avg_pool(m, x):
    return pooled(x, adaptive_axes(m, x), lambda places, image: (math.fsum(image[p] for p in places) / len(places),))[0]


def adaptive_max_pool(m, x):
    values, indices = pooled(x, adaptive_axes(m, x), largest)
    return (values, indices) if m.return_indices else values


def fractional_max_pool(m, x):
    images = x if x.ndim == m.dims + 2 else x[None]
    order = {2: (1, 0), 3: (0, 1, 2)}[m.dims]
    values, indices = [], []
    for n, c in np.ndindex(images.shape[:2]):
        axes = []
        for axis, (size, k) in enumerate(zip(images.shape[2:], m.kernel_size, strict=True)):
            z = m._random_samples.data[n, c, order[axis]]
            count = int(size * m.output_ratio[axis]) if m.output_size is None else m.output_size[axis]
            step = (size - k) / (count - 1) if count > 1 else 0
            starts = [int((i + z) * step) - int(z * step) for i in range(count - 1)] + [size - k]
            axes.append([list(range(start, start + k)) for start in starts])
        value, index = pooled(images[n, c], axes, largest)
        values.append(value)
        indices.append(index)
    shape = (*x.shape[: -m.dims], *values[0].shape)
    values, indices = np.array(values).reshape(shape), np.array(indices).reshape(shape)
    return (values, indices) if m.return_indices else values


def max_unpool(m, x, indices, output_size=None):
    settings = zip(x.shape[-m.dims :], m.kernel_size, m.stride, m.padding, strict=True)
    sizes = [(n - 1) * s - 2 * p + k for n, k, s, p in settings]
    y = np.zeros((*x.shape[: -m.dims], *sizes))
    for index in np.ndindex(x.shape):
        y[index[: -m.dims]].flat[indices[index]] = x[index]
    return y


def pooled_before(pool, *shape):
    """Draw what a pooling with return_indices gives."""
    return lambda rng: pool(normal(*shape)(rng)[0])


def positive(*shape):
    return lambda rng: (np.round(rng.uniform(0.5, 2, shape), 3),)


def fractional_twin(module):
    import torch  # needed by this twin alone

    def build(kind):
        return lambda *args, _random_samples, **settings: kind(
            *args, _random_samples=torch.tensor(_random_samples), **settings
        )

    names = {f"FractionalMaxPool{n}d": build(getattr(torch.nn, f"FractionalMaxPool{n}d")) for n in (2, 3)}
    return torch_twin(module, **names)


SAMPLES = [[[0.1, 0.7], [0.9, 0.4]], [[0.5, 0.2], [0.3, 0.8]]]
SAMPLES_3D = [[[0.1, 0.7, 0.4]]]

CASES = [
    Case("MaxPool1d", lambda: nn.MaxPool1d(2), normal(2, 2, 5), max_pool),
    Case("MaxPool1d-settings", lambda: nn.MaxPool1d(3, stride=2, padding=1, dilation=2, ceil_mode=True), normal(2, 1, 6), max_pool),
    Case("MaxPool1d-indices", lambda: nn.MaxPool1d(3, stride=1, padding=1, return_indices=True), normal(2, 2, 4), max_pool),
    Case("MaxPool2d", lambda: nn.MaxPool2d(2), normal(2, 2, 2, 3), max_pool),
    Case("MaxPool2d-overlap", lambda: nn.MaxPool2d(3, stride=(2, 1)), normal(1, 1, 5, 4), max_pool),
    Case("MaxPool2d-settings", lambda: nn.MaxPool2d((3, 2), stride=(2, 1), padding=1, dilation=(1, 2)), normal(1, 1, 5, 4), max_pool),
    Case("MaxPool2d-ceil", lambda: nn.MaxPool2d(2, ceil_mode=True), normal(1, 2, 3, 3), max_pool),
    Case("MaxPool2d-ceil-padding", lambda: nn.MaxPool2d(2, stride=3, padding=1, ceil_mode=True), normal(1, 1, 4, 5), max_pool),
    Case("MaxPool2d-stride-over-kernel", lambda: nn.MaxPool2d(1, stride=3), normal(1, 1, 4, 5), max_pool),
    Case("MaxPool2d-unbatched", lambda: nn.MaxPool2d(2), normal(2, 2, 4), max_pool, batched=False),
    Case("MaxPool2d-one-pixel", lambda: nn.MaxPool2d(3, padding=1), normal(2, 2, 1, 1), max_pool),
    Case("MaxPool2d-indices", lambda: nn.MaxPool2d((3, 2), stride=2, padding=(1, 0), return_indices=True, ceil_mode=True), normal(2, 1, 3, 4), max_pool),
    Case("MaxPool3d", lambda: nn.MaxPool3d(2), normal(1, 1, 2, 3, 4), max_pool),
    Case("MaxPool3d-settings", lambda: nn.MaxPool3d((2, 3, 1), stride=(1, 2, 2), padding=(1, 1, 0), dilation=(2, 1, 1), return_indices=True, ceil_mode=True), normal(1, 1, 2, 3, 3), max_pool),
    Case("AvgPool1d", lambda: nn.AvgPool1d(2), normal(2, 2, 5), avg_pool),
    Case("AvgPool1d-settings", lambda: nn.AvgPool1d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False), normal(2, 2, 6), avg_pool),
    Case("AvgPool2d", lambda: nn.AvgPool2d(2), normal(2, 2, 2, 3), avg_pool),
    Case("AvgPool2d-overlap", lambda: nn.AvgPool2d(3, stride=(1, 2), padding=1), normal(1, 1, 4, 5), avg_pool),
    Case("AvgPool2d-ceil", lambda: nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True), normal(1, 1, 4, 6), avg_pool),
    Case("AvgPool2d-ceil-exclude", lambda: nn.AvgPool2d((2, 3), stride=2, padding=1, ceil_mode=True, count_include_pad=False), normal(1, 1, 5, 4), avg_pool),
    Case("AvgPool2d-divisor", lambda: nn.AvgPool2d(2, padding=1, divisor_override=3), normal(1, 1, 3, 4), avg_pool),
    Case("AvgPool2d-unbatched", lambda: nn.AvgPool2d((1, 2), stride=(2, 3)), normal(2, 3, 4), avg_pool, batched=False),
    Case("AvgPool3d", lambda: nn.AvgPool3d(2), normal(1, 1, 2, 3, 4), avg_pool),
    Case("AvgPool3d-settings", lambda: nn.AvgPool3d((2, 3, 2), stride=(1, 2, 1), padding=(1, 1, 0), ceil_mode=True, count_include_pad=False), normal(1, 1, 2, 3, 2), avg_pool),
    Case("LPPool1d", lambda: nn.LPPool1d(2, 2), normal(2, 2, 5), lp_pool),
    Case("LPPool1d-ceil", lambda: nn.LPPool1d(3.0, 3, stride=2, ceil_mode=True), positive(1, 2, 6), lp_pool),
    Case("LPPool2d", lambda: nn.LPPool2d(2.0, (2, 3), stride=(2, 1)), normal(1, 1, 4, 5), lp_pool),
    Case("LPPool2d-ceil", lambda: nn.LPPool2d(1.5, (2, 2), ceil_mode=True), positive(1, 1, 3, 5), lp_pool),
    Case("LPPool2d-smallest", lambda: nn.LPPool2d(-math.inf, (2, 2), stride=1, ceil_mode=True), normal(1, 1, 3, 3), lp_pool),
    Case("LPPool3d", lambda: nn.LPPool3d(2, (1, 2, 2)), normal(2, 1, 2, 2, 2), lp_pool),
    Case("LPPool3d-settings", lambda: nn.LPPool3d(-2, (2, 1, 2), stride=(1, 2, 1), ceil_mode=True), positive(1, 1, 3, 2, 2), lp_pool),
    Case("LPPool3d-largest", lambda: nn.LPPool3d(math.inf, (2, 2, 1)), normal(1, 1, 2, 4, 2), lp_pool),
    Case("AdaptiveAvgPool1d", lambda: nn.AdaptiveAvgPool1d(3), normal(2, 2, 5), adaptive_avg_pool),
    Case("AdaptiveAvgPool2d", lambda: nn.AdaptiveAvgPool2d((3, 2)), normal(1, 1, 5, 4), adaptive_avg_pool),
    Case("AdaptiveAvgPool2d-global", lambda: nn.AdaptiveAvgPool2d(1), normal(2, 1, 2, 3), adaptive_avg_pool),
    Case("AdaptiveAvgPool3d", lambda: nn.AdaptiveAvgPool3d((2, None, 1)), normal(1, 1, 3, 2, 3), adaptive_avg_pool),
    Case("AdaptiveMaxPool1d", lambda: nn.AdaptiveMaxPool1d(3, return_indices=True), normal(2, 2, 5), adaptive_max_pool),
    Case("AdaptiveMaxPool2d", lambda: nn.AdaptiveMaxPool2d((3, 2)), normal(1, 1, 5, 4), adaptive_max_pool),
    Case("AdaptiveMaxPool2d-indices", lambda: nn.AdaptiveMaxPool2d((2, None), return_indices=True), normal(2, 3, 2), adaptive_max_pool, batched=False),
    Case("AdaptiveMaxPool3d", lambda: nn.AdaptiveMaxPool3d((2, None, 1), return_indices=True), normal(1, 1, 3, 2, 3), adaptive_max_pool),
    Case("FractionalMaxPool2d", lambda: nn.FractionalMaxPool2d(2, output_size=(2, 3), _random_samples=SAMPLES), normal(2, 2, 3, 4), fractional_max_pool, fractional_twin),
    Case("FractionalMaxPool2d-ratio", lambda: nn.FractionalMaxPool2d((3, 1), output_ratio=(0.5, 0.7), return_indices=True, _random_samples=SAMPLES[:1]), normal(1, 2, 4, 5), fractional_max_pool, fractional_twin),
    Case("FractionalMaxPool2d-unbatched", lambda: nn.FractionalMaxPool2d(2, output_size=(1, 3), return_indices=True, _random_samples=SAMPLES[:1]), normal(2, 2, 4), fractional_max_pool, fractional_twin, batched=False),
    Case("FractionalMaxPool3d", lambda: nn.FractionalMaxPool3d((2, 2, 1), output_size=(1, 2, 1), return_indices=True, _random_samples=SAMPLES_3D), normal(1, 1, 3, 4, 2), fractional_max_pool, fractional_twin),
    Case("MaxUnpool1d", lambda: nn.MaxUnpool1d(2), pooled_before(nn.MaxPool1d(2, return_indices=True), 2, 2, 4), max_unpool),
    Case("MaxUnpool2d", lambda: nn.MaxUnpool2d(2, stride=(2, 3)), pooled_before(nn.MaxPool2d(2, stride=(2, 3), return_indices=True), 1, 2, 4, 5), max_unpool),
    Case("MaxUnpool2d-padding", lambda: nn.MaxUnpool2d(3, stride=3, padding=1), pooled_before(nn.MaxPool2d(3, padding=1, return_indices=True), 2, 4, 4), max_unpool, batched=False),
    Case("MaxUnpool3d", lambda: nn.MaxUnpool3d((1, 2, 2)), pooled_before(nn.MaxPool3d((1, 2, 2), return_indices=True), 2, 1, 2, 2, 4), max_unpool),
]  # fmt: skip
