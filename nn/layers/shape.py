"""Layers that pass on what they get, or give it another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..module import Module
from ..settings import integer, integers


class Identity(Module):
    """y = x, a place to put another layer later; whatever it is built with is ignored.

    Shape:
        Input and output: any shape, the same.

    Example:
        >>> Identity(54, unused=True)([1.0, 2.0])
        array([1., 2.])
    """

    equations = """
        y = x
        dx = dy
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        self.save_for_backward(output=x)
        return x

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        self.saved()
        return g


class Flatten(Module):
    """Joins a run of dimensions into one.

    Args:
        start_dim: the first to join; 1 by default, so that the samples stay apart.
        end_dim: the last to join; negative counts from the end.

    Shape:
        Input (N, C, H, W), output (N, C·H·W) by default.

    Raises:
        TypeError: for a dimension that is no integer.
        ValueError: for dimensions that the input does not have, or an end before the start.

    Example:
        >>> Flatten()(np.zeros((5, 3, 2))).shape
        (5, 6)
    """

    symbols: ClassVar = {"i": "start_dim", "j": "end_dim"}
    equations = """
        y = flatten(x, i, j)
        dx = dy.reshape(x.shape)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = integer(self, "start_dim", start_dim)
        self.end_dim = integer(self, "end_dim", end_dim)

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        shape = x.shape or (1,)
        dims = len(shape)
        if not (-dims <= self.start_dim < dims and -dims <= self.end_dim < dims):
            raise ValueError(f"{self!r} expects an input that has these dimensions, got shape {x.shape}")
        start, end = self.start_dim % dims, self.end_dim % dims
        if start > end:
            raise ValueError(f"{self!r} expects start_dim before end_dim, got {start} and {end} for shape {x.shape}")
        y = x.reshape(*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])
        self.save_for_backward(x.shape, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        shape = self.saved()
        return g.reshape(shape)


class Unflatten(Module):
    """Splits a dimension into several: what Flatten joined.

    Args:
        dim: the dimension to split; negative counts from the end.
        unflattened_size: the sizes that it is split into; one of them may be -1, and is what the others leave.

    Shape:
        Input (N, C·H·W), output (N, C, H, W), for dim 1 and unflattened_size (C, H, W).

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for no sizes, a dimension that the input does not have, or sizes whose product is another.

    Example:
        >>> Unflatten(1, (3, 2))(np.zeros((5, 6))).shape
        (5, 3, 2)
    """

    symbols: ClassVar = {"i": "dim", "s": "unflattened_size"}
    equations = """
        y = unflatten(x, i, s)
        dx = dy.reshape(x.shape)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim = integer(self, "dim", dim)
        if not isinstance(unflattened_size, list | tuple):
            kind = type(unflattened_size).__name__
            raise TypeError(f"Unflatten expects unflattened_size to be a tuple of integers, got {kind}")
        sizes = integers(self, "unflattened_size", unflattened_size, len(unflattened_size), at_least=-1)
        if not sizes or sizes.count(-1) > 1:
            raise ValueError(
                f"Unflatten expects unflattened_size to be one size or more, one of which may be -1, got {sizes}"
            )
        self.unflattened_size = sizes

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        if not -x.ndim <= self.dim < x.ndim:
            raise ValueError(f"{self!r} expects an input that has dimension {self.dim}, got shape {x.shape}")
        dim, sizes = self.dim % x.ndim, self.unflattened_size
        known = math.prod(size for size in sizes if size != -1)
        if -1 in sizes and known and x.shape[dim] % known == 0:
            sizes = tuple(x.shape[dim] // known if size == -1 else size for size in sizes)
        if -1 in sizes or math.prod(sizes) != x.shape[dim]:
            raise ValueError(f"{self!r} expects dimension {self.dim} to be the product of the sizes, got {x.shape}")
        y = x.reshape(*x.shape[:dim], *sizes, *x.shape[dim + 1 :])
        self.save_for_backward(x.shape, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        shape = self.saved()
        return g.reshape(shape)


class PixelShuffle(Module):
    """Makes an image r times as large from r² times as many channels: each r · r of them become one's neighbours.

    Shi et al., "Real-Time Single Image and Video Super-Resolution", 2016.

    Args:
        upscale_factor: r.

    Shape:
        Input (..., C·r², H, W), output (..., C, H·r, W·r).

    Raises:
        TypeError: for a factor that is no integer.
        ValueError: for a factor below 1, or channels that r² does not divide.

    Example:
        >>> PixelShuffle(2)(np.arange(4.0).reshape(1, 4, 1, 1))
        array([[[[0., 1.],
                 [2., 3.]]]])
    """

    symbols: ClassVar = {"r": "upscale_factor"}
    equations = """
        C, H, W = x.shape[-3] // (r * r), x.shape[-2], x.shape[-1]
        c, i, j = range(C), range(H * r), range(W * r)
        y[..., c, i, j] = x[..., c*r*r + i % r * r + j % r, i // r, j // r]
        dx[..., c*r*r + i % r * r + j % r, i // r, j // r] += dy[..., c, i, j]
    """

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = integer(self, "upscale_factor", upscale_factor, at_least=1)

    def forward(self, x: ArrayLike) -> np.ndarray:
        x, r = self.cast(x, shape=(..., "C", "H", "W")), self.upscale_factor
        if x.shape[-3] % (r * r):
            raise ValueError(f"{self!r} expects channels that {r * r} divides, got {x.shape[-3]} in shape {x.shape}")
        y = _spread(x, r)
        self.save_for_backward(output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        self.saved()
        return _gather(g, self.upscale_factor)


class PixelUnshuffle(Module):
    """Makes r² times as many channels of an image, each r times as small: what PixelShuffle put together.

    Args:
        downscale_factor: r.

    Shape:
        Input (..., C, H·r, W·r), output (..., C·r², H, W).

    Raises:
        TypeError: for a factor that is no integer.
        ValueError: for a factor below 1, or a height or width that it does not divide.

    Example:
        >>> PixelUnshuffle(2)([[[0.0, 1.0], [2.0, 3.0]]]).ravel()
        array([0., 1., 2., 3.])
    """

    symbols: ClassVar = {"r": "downscale_factor"}
    equations = """
        C, H, W = x.shape[-3], x.shape[-2] // r, x.shape[-1] // r
        c, i, j = range(C * r * r), range(H), range(W)
        y[..., c, i, j] = x[..., c // (r * r), i*r + c // r % r, j*r + c % r]
        dx[..., c // (r * r), i*r + c // r % r, j*r + c % r] += dy[..., c, i, j]
    """

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = integer(self, "downscale_factor", downscale_factor, at_least=1)

    def forward(self, x: ArrayLike) -> np.ndarray:
        x, r = self.cast(x, shape=(..., "C", "H", "W")), self.downscale_factor
        if x.shape[-2] % r or x.shape[-1] % r:
            raise ValueError(f"{self!r} expects a height and a width that {r} divides, got shape {x.shape}")
        y = _gather(x, r)
        self.save_for_backward(output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        self.saved()
        return _spread(g, self.downscale_factor)


def _spread(x: np.ndarray, r: int) -> np.ndarray:
    """Return (..., C·r², H, W) as (..., C, H·r, W·r): y[c, h·r + u, w·r + v] = x[c·r² + u·r + v, h, w]."""
    *front, channels, height, width = x.shape
    parts = x.reshape(*front, channels // (r * r), r, r, height, width)
    c, u, v, h, w = range(len(front), len(front) + 5)
    return parts.transpose(*range(len(front)), c, h, u, w, v).reshape(
        *front, channels // (r * r), height * r, width * r
    )


def _gather(x: np.ndarray, r: int) -> np.ndarray:
    """Return (..., C, H·r, W·r) as (..., C·r², H, W), which undoes `_spread`."""
    *front, channels, height, width = x.shape
    parts = x.reshape(*front, channels, height // r, r, width // r, r)
    c, h, u, w, v = range(len(front), len(front) + 5)
    return parts.transpose(*range(len(front)), c, u, v, h, w).reshape(*front, channels * r * r, height // r, width // r)


class ChannelShuffle(Module):
    """Deals the channels of groups out in turn, so that each group of the next layer hears of all of them.

    Zhang et al., "ShuffleNet", 2018.

    Args:
        groups: how many groups the channels are in.

    Shape:
        Input (N, C, L), (N, C, H, W), ..., output the same.

    Raises:
        TypeError: for a number that is no integer.
        ValueError: for fewer than one group, channels that it does not divide, or fewer than three dimensions.

    Example:
        >>> ChannelShuffle(2)(np.arange(6.0).reshape(1, 6, 1)).ravel()
        array([0., 3., 1., 4., 2., 5.])
    """

    symbols: ClassVar = {"g": "groups"}
    equations = """
        C = x.shape[1]
        c = range(C)
        y[n, c, ...] = x[n, c % g * (C // g) + c // g, ...]
        dx[n, c % g * (C // g) + c // g, ...] += dy[n, c, ...]
    """

    def __init__(self, groups: int) -> None:
        self.groups = integer(self, "groups", groups, at_least=1)

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        if x.ndim < 3 or x.shape[1] % self.groups:
            raise ValueError(
                f"{self!r} expects input of shape (N, C, L), (N, C, H, W), ..., with C a multiple of {self.groups}, "
                f"got {x.shape}"
            )
        y = self._dealt(x, self.groups)
        self.save_for_backward(output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        self.saved()
        return self._dealt(g, g.shape[1] // self.groups)

    def _dealt(self, x: np.ndarray, groups: int) -> np.ndarray:
        """Return the first channel of each group, then the second of each, and so on."""
        parts = x.reshape(len(x), groups, x.shape[1] // max(groups, 1), *x.shape[2:])
        return parts.swapaxes(1, 2).reshape(x.shape)
