"""Rows of nn/layers/upsample.py."""

import itertools
import math

import numpy as np

import nn

from .base import Case, normal


def of_axis(setting, axis):
    return setting[axis - 2] if isinstance(setting, tuple) else setting


def kernel(mode, d):
    """Return the weight of an entry at a distance of d."""
    if mode != "bicubic":
        return max(0.0, 1 - abs(d))
    d, a = abs(d), -0.75
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def shares(module, old, axis):
    """Return for each new entry along an axis the weights of the old ones, by their index."""
    new, factor = of_axis(module.size, axis), of_axis(module.scale_factor, axis)
    new = math.floor(old * factor) if new is None else new
    step = old / new if factor is None or module.recompute_scale_factor else 1 / factor
    rows = []
    for t in range(new):
        if module.mode == "nearest":
            rows.append({min(math.floor(t * step), old - 1): 1.0})
        elif module.mode == "nearest-exact":
            rows.append({min(math.floor((t + 0.5) * step), old - 1): 1.0})
        else:
            place = t * (old - 1) / max(new - 1, 1) if module.align_corners else (t + 0.5) * step - 0.5
            row = {}
            for e in range(-2, old + 2):
                inside = min(max(e, 0), old - 1)  # beyond an edge, the entry there is repeated
                row[inside] = row.get(inside, 0.0) + kernel(module.mode, place - e)
            rows.append(row)
    return rows


def upsample(module, x):
    along = [shares(module, x.shape[axis], axis) for axis in range(2, x.ndim)]
    y = np.empty((*x.shape[:2], *map(len, along)))
    for n, c, *places in np.ndindex(y.shape):
        parts = itertools.product(*(rows[place].items() for rows, place in zip(along, places, strict=True)))
        y[(n, c, *places)] = math.fsum(
            math.prod(weight for _, weight in part) * x[(n, c, *(index for index, _ in part))] for part in parts
        )
    return y


SERIES, IMAGES, VOLUMES = normal(2, 2, 3), normal(2, 2, 3, 2), normal(2, 1, 2, 3, 2)

CASES = [
    Case("Upsample", lambda: nn.Upsample(scale_factor=2), IMAGES, upsample),
    Case("Upsample-nearest-size", lambda: nn.Upsample(size=(5, 1)), IMAGES, upsample),
    Case("Upsample-nearest-series", lambda: nn.Upsample(scale_factor=1.7, recompute_scale_factor=True), SERIES, upsample),
    Case("Upsample-nearest-volumes", lambda: nn.Upsample(scale_factor=(1.5, 2.0, 1.0)), VOLUMES, upsample),
    Case("Upsample-exact", lambda: nn.Upsample(size=5, mode="nearest-exact"), IMAGES, upsample),
    Case("Upsample-linear", lambda: nn.Upsample(scale_factor=2.5, mode="linear"), SERIES, upsample),
    Case("Upsample-linear-corners", lambda: nn.Upsample(size=7, mode="linear", align_corners=True), SERIES, upsample),
    Case("Upsample-linear-smaller", lambda: nn.Upsample(size=2, mode="linear", align_corners=False), normal(2, 2, 5), upsample),
    Case("Upsample-bilinear", lambda: nn.Upsample(scale_factor=(2.0, 1.7), mode="bilinear"), IMAGES, upsample),
    Case("Upsample-bilinear-corners", lambda: nn.Upsample(size=(1, 4), mode="bilinear", align_corners=True), IMAGES, upsample),
    Case("Upsample-bicubic", lambda: nn.Upsample(scale_factor=1.5, mode="bicubic"), IMAGES, upsample),
    Case("Upsample-bicubic-corners", lambda: nn.Upsample(size=(5, 3), mode="bicubic", align_corners=True), IMAGES, upsample),
    Case("Upsample-trilinear", lambda: nn.Upsample(scale_factor=1.7, mode="trilinear", recompute_scale_factor=True), VOLUMES, upsample),
    Case("UpsamplingNearest2d", lambda: nn.UpsamplingNearest2d(scale_factor=1.5), IMAGES, upsample),
    Case("UpsamplingBilinear2d", lambda: nn.UpsamplingBilinear2d(size=(4, 3)), IMAGES, upsample),
]  # fmt: skip
