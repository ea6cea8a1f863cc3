"""Upsampling: an image, a series or a volume at another size, each new entry a weighted sum of old neighbours."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..module import Module
from ..settings import choice, flag, integer, integers, number


class Neighbours(NamedTuple):
    """What the entries along one new axis are made of: row t has a neighbour of each, and its weight."""

    indices: np.ndarray
    weights: np.ndarray

    def matrix(self, size: int) -> np.ndarray:
        """Return A, (new size, old size): the weight of each old entry in each new one."""
        A = np.zeros((self.indices.shape[1], size))
        np.add.at(A, (np.arange(len(A)), self.indices), self.weights)
        return A


def nearest_neighbours(positions: np.ndarray, size: int) -> Neighbours:
    """Return the one entry that each position lies in.

    Example:
        >>> nearest_neighbours(np.array([0.0, 0.5, 1.0, 1.5]), 2).indices
        array([[0, 0, 1, 1]])
    """
    indices = np.minimum(np.floor(positions).astype(int), size - 1)
    return Neighbours(indices[None], np.ones((1, len(indices))))


def linear_neighbours(positions: np.ndarray, size: int) -> Neighbours:
    """Return the two entries that each position lies between, the closer the heavier.

    Example:
        >>> linear_neighbours(np.array([0.0, 0.25]), 2).weights
        array([[1.  , 0.75],
               [0.  , 0.25]])
    """
    positions = positions.clip(0, size - 1)
    left = np.floor(positions).astype(int)
    t = positions - left
    return Neighbours(np.stack([left, np.minimum(left + 1, size - 1)]), np.stack([1 - t, t]))


def cubic_neighbours(positions: np.ndarray, size: int) -> Neighbours:
    """Return two entries on either side of each position (Keys, 1981, with a = -0.75); beyond an edge it is repeated.

    Example:
        >>> cubic_neighbours(np.array([1.5]), 4).weights.ravel()
        array([-0.09375,  0.59375,  0.59375, -0.09375])
    """
    a = -0.75
    left = np.floor(positions).astype(int)
    indices = np.stack([left + k for k in (-1, 0, 1, 2)])
    d = abs(positions - indices)
    near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return Neighbours(indices.clip(0, size - 1), np.where(d <= 1, near, far))


# By mode: how neighbours are taken, and how many dimensions the input may have.
MODES = {
    "nearest": (nearest_neighbours, (3, 4, 5)),
    "nearest-exact": (nearest_neighbours, (3, 4, 5)),
    "linear": (linear_neighbours, (3,)),
    "bilinear": (linear_neighbours, (4,)),
    "bicubic": (cubic_neighbours, (4,)),
    "trilinear": (linear_neighbours, (5,)),
}


class Upsample(Module):
    """Resizes all dimensions behind the channels, by a factor or to a size.

    Args:
        size: of the output, one integer for all dimensions or one each.
        scale_factor: the new size over the old one, one number for all dimensions or one each; sizes are rounded down.
        mode: 'nearest', 'nearest-exact' (which takes the middle of each new entry, as Pillow does), 'linear' of series,
            'bilinear' or 'bicubic' of images, 'trilinear' of volumes.
        align_corners: True lets the outer entries keep their places, False (None) the outer edges; of linear and cubic
            modes alone.
        recompute_scale_factor: True takes the factor from the sizes once they are rounded, instead of scale_factor.

    Shape:
        Input (N, C, L), (N, C, H, W) or (N, C, D, H, W); output the same but for the sizes behind C.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for both a size and a scale_factor or neither, settings that do not go together, an input of a
            number of dimensions that the mode does not take, or an empty output.

    Example:
        >>> Upsample(scale_factor=2)([[[1.0, 2.0]]])
        array([[[1., 1., 2., 2.]]])
        >>> Upsample(size=3, mode="linear", align_corners=True)([[[1.0, 2.0]]])
        array([[[1. , 1.5, 2. ]]])
    """

    # Along each axis, the last first; A, B, C: the weights of the old entries (columns) in the new ones (rows).
    symbols: ClassVar = {"r": "rule"}
    equations = """
        A = weights(r, x.shape, -1)
        a = x @ A.T
        B = weights(r, x.shape, -2) if x.ndim > 3 else A
        b = move(move(a, -2, -1) @ B.T, -1, -2) if x.ndim > 3 else a
        C = weights(r, x.shape, -3) if x.ndim > 4 else A
        y = move(move(b, -3, -1) @ C.T, -1, -3) if x.ndim > 4 else b
        db = move(move(dy, -3, -1) @ C, -1, -3) if x.ndim > 4 else dy
        da = move(move(db, -2, -1) @ B, -1, -2) if x.ndim > 3 else db
        dx = da @ A
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        name = type(self).__name__
        if (size is None) == (scale_factor is None):
            raise ValueError(f"{name} expects a size or a scale_factor, got size={size}, scale_factor={scale_factor}")
        self.size: int | tuple[int, ...] | None = None
        if isinstance(size, list | tuple):
            self.size = integers(self, "size", size, len(size), at_least=1)
        elif size is not None:
            self.size = integer(self, "size", size, at_least=1)
        self.scale_factor: float | tuple[float, ...] | None = None
        if isinstance(scale_factor, list | tuple):
            factors = enumerate(scale_factor)
            self.scale_factor = tuple(
                number(self, f"scale_factor[{k}]", factor, above=0, below=math.inf) for k, factor in factors
            )
        elif scale_factor is not None:
            self.scale_factor = number(self, "scale_factor", scale_factor, above=0, below=math.inf)
        self.mode = choice(self, "mode", mode, *MODES)
        self.align_corners = None if align_corners is None else flag(self, "align_corners", align_corners)
        self.recompute_scale_factor = (
            None if recompute_scale_factor is None else flag(self, "recompute_scale_factor", recompute_scale_factor)
        )
        if self.align_corners is not None and mode.startswith("nearest"):
            raise ValueError(f"{name} expects align_corners=None for mode {mode!r}, got {align_corners}")
        if self.recompute_scale_factor and size is not None:
            raise ValueError(f"{name} expects recompute_scale_factor to stand beside scale_factor, got size={size}")

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        allowed = MODES[self.mode][1]
        given = self.scale_factor if self.size is None else self.size
        if x.ndim not in allowed or (isinstance(given, tuple) and len(given) != x.ndim - 2):
            dims = " or ".join(map(str, allowed))
            each = f", {len(given)} of them behind the channels" if isinstance(given, tuple) else ""
            raise ValueError(f"{self!r} expects an input of {dims} dimensions{each}, got shape {x.shape}")
        y, along = x, [self._neighbours(x.shape, axis) for axis in range(2, x.ndim)]
        for axis, (indices, weights) in enumerate(along, start=2):
            column = weights.astype(x.dtype)[(..., *(None,) * (x.ndim - axis - 1))]
            terms = (y.take(i, axis) * w for i, w in zip(indices, column, strict=True))
            y = functools.reduce(np.add, terms)
        self.save_for_backward(x.shape, along, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        shape, along = self.saved()
        # Several new entries are made of one old entry, which gets the sum of what each of them gives it back.
        for axis, neighbours in enumerate(along, start=2):
            A = neighbours.matrix(shape[axis]).astype(g.dtype)
            g = np.moveaxis(np.moveaxis(g, axis, -1) @ A, -1, axis)
        return g

    @property
    def rule(self) -> Upsample:
        """The layer itself, which the word `weights` of the equations asks for its `weights`."""
        return self

    def weights(self, shape: tuple[int, ...], axis: int) -> np.ndarray:
        """Return A, (new size, old size): the weight of each old entry in each new one along an axis of an input."""
        axis %= len(shape)
        return self._neighbours(shape, axis).matrix(shape[axis])

    def _neighbours(self, shape: tuple[int, ...], axis: int) -> Neighbours:
        """Return what the new entries along an axis of an input are made of."""
        old = shape[axis]
        new, factor = _of_axis(self.size, axis), _of_axis(self.scale_factor, axis)
        if new is None:
            new = int(old * factor)
        if not (old and new):
            raise ValueError(f"{self!r} expects sizes above 0 of input and output, got {old} and {new} for axis {axis}")
        t, neighbours, middle = np.arange(new), MODES[self.mode][0], 0.0 if self.mode == "nearest" else 0.5
        # In PyTorch the factor is that of the sizes also where linear modes leave a size as it is, and where pixels are
        # copied once or twice.
        if self.recompute_scale_factor or (neighbours is linear_neighbours and new == old):
            factor = None
        if self.align_corners:
            return neighbours(t * ((old - 1) / max(new - 1, 1)), old)
        if neighbours is not nearest_neighbours:
            return neighbours((t + middle) * (old / new if factor is None else 1 / factor) - 0.5, old)
        if len(shape) == 4 and self.mode == "nearest" and new in (old, 2 * old):
            factor = None
        elif len(shape) == 4:
            # PyTorch places pixels in float32, which tells where a position is close to an integer.
            step = np.float32(old) / np.float32(new) if factor is None else np.float32(1 / factor)
            return nearest_neighbours((t + middle).astype(np.float32) * step, old)
        return nearest_neighbours((t + middle) * old / new if factor is None else (t + middle) * (1 / factor), old)


def _of_axis(setting: Any, axis: int) -> Any:
    """Return the entry of a setting that belongs to an axis; one number is that of all."""
    return setting[axis - 2] if isinstance(setting, tuple) else setting


class UpsamplingNearest2d(Upsample):
    """Upsample with mode 'nearest'.

    Args:
        size: of the output, one integer for both dimensions or one each.
        scale_factor: the new size over the old one, one number for both dimensions or one each.

    Shape:
        Input (N, C, H, W); output the same but for H and W.

    Example:
        >>> UpsamplingNearest2d(scale_factor=2)([[[[1.0, 2.0]]]])
        array([[[[1., 1., 2., 2.],
                 [1., 1., 2., 2.]]]])
    """

    def __init__(
        self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
    ) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Upsample with mode 'bilinear' and align_corners.

    Args:
        size: of the output, one integer for both dimensions or one each.
        scale_factor: the new size over the old one, one number for both dimensions or one each.

    Shape:
        Input (N, C, H, W); output the same but for H and W.

    Example:
        >>> UpsamplingBilinear2d(size=(1, 3))([[[[1.0, 2.0]]]])
        array([[[[1. , 1.5, 2. ]]]])
    """

    def __init__(
        self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
    ) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)
