"""Images changed at random, each of a batch in its own way, so that a model sees none of them twice.

The functions take a whole batch, with height and width as its last two axes, and return a new one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from . import settings

PADDING_MODES = {"zeros": "constant", "replicate": "edge", "reflect": "reflect"}  # PyTorch's words and NumPy's
MOST = 2**20  # pixels that are padded: far beyond any image, and NumPy's words for more name nothing


def shift(
    x: ArrayLike, most: int, padding_mode: str = "zeros", *, generator: np.random.Generator | int | None = None
) -> np.ndarray:
    """Move each image by up to `most` pixels, up or down and left or right, all distances alike.

    Args:
        x: images.
        most: the largest distance.
        padding_mode: what comes in at the edges, as for `crop`.
        generator: a NumPy Generator or a seed; None for a fresh one.

    Shape:
        (N, ..., H, W), and the same.

    Raises:
        ValueError, TypeError: as `crop`.

    Example:
        >>> shift([[[0, 0, 0], [0, 7, 0], [0, 0, 0]]], most=1, generator=2)
        array([[[0, 0, 7],
                [0, 0, 0],
                [0, 0, 0]]])
    """
    x = _images("shift", x)
    most = settings.integer("shift", "most", most, at_least=0, below=MOST)
    return _cropped("shift", x, x.shape[-2], x.shape[-1], most, padding_mode, generator)


def flip(x: ArrayLike, p: float = 0.5, *, generator: np.random.Generator | int | None = None) -> np.ndarray:
    """Mirror some of the images, left for right.

    Args:
        x: images.
        p: the probability of each to be mirrored.
        generator: a NumPy Generator or a seed; None for a fresh one.

    Shape:
        (N, ..., H, W), and the same.

    Raises:
        ValueError: for other shapes, and a probability outside of [0, 1].
        TypeError: for a probability or a generator of another kind.

    Example:
        >>> flip([[[1, 2, 3]], [[1, 2, 3]]], generator=0)
        array([[[1, 2, 3]],
               [[3, 2, 1]]])
    """
    x = _images("flip", x)
    p = settings.number("flip", "p", p, at_least=0, at_most=1)
    mirrored = settings.random_generator("flip", generator).random(len(x)) < p
    return np.where(mirrored.reshape(-1, *[1] * (x.ndim - 1)), x[..., ::-1], x)


def crop(
    x: ArrayLike,
    size: int | tuple[int, int],
    padding: int = 0,
    padding_mode: str = "zeros",
    *,
    generator: np.random.Generator | int | None = None,
) -> np.ndarray:
    """Cut a window out of each image, at a place of its own, after pixels have been added on all four sides.

    Args:
        x: images.
        size: of the window: its height and its width, or one number for both.
        padding: how many pixels to add on each side.
        padding_mode: what they are: 'zeros', 'replicate' (the nearest pixel of the edge) or 'reflect'.
        generator: a NumPy Generator or a seed; None for a fresh one.

    Shape:
        (N, ..., H, W) and (N, ..., *size).

    Raises:
        ValueError: for other shapes, a window larger than the padded images, an unknown mode, and negative numbers.
        TypeError: for numbers or a generator of another kind.

    Example:
        >>> crop(np.arange(12).reshape(1, 3, 4), size=(2, 3), generator=0)
        array([[[ 5,  6,  7],
                [ 9, 10, 11]]])
        >>> crop(np.zeros((8, 3, 32, 32)), 32, padding=4).shape
        (8, 3, 32, 32)
    """
    x = _images("crop", x)
    height, width = _pair("crop", "size", size)
    padding = settings.integer("crop", "padding", padding, at_least=0, below=MOST)
    return _cropped("crop", x, height, width, padding, padding_mode, generator)


def _cropped(
    owner: str, x: np.ndarray, height: int, width: int, padding: int, padding_mode: str, generator: Any
) -> np.ndarray:
    mode: Any = PADDING_MODES[settings.choice(owner, "padding_mode", padding_mode, *PADDING_MODES)]
    rng = settings.random_generator(owner, generator)
    if mode != "constant" and padding and 0 in x.shape[-2:]:
        raise ValueError(f"{owner} expects images of at least one pixel to pad with, got shape {x.shape}")
    padded = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(padding, padding)] * 2, mode)
    if height > padded.shape[-2] or width > padded.shape[-1]:
        raise ValueError(
            f"{owner} expects size to be at most {padded.shape[-2:]}, the images' with their padding, "
            f"got {(height, width)}"
        )
    windows: Any = sliding_window_view(padded, (height, width), axis=(-2, -1))  # (N, ..., rows, columns, *size)
    row, column = (rng.integers(places, size=len(x)) for places in windows.shape[-4:-2])
    return windows[np.arange(len(x)), ..., row, column, :, :]


def _images(owner: str, x: ArrayLike) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim < 3:
        raise ValueError(f"{owner} expects images of shape (N, ..., H, W), got {x.shape}")
    return x


def _pair(owner: str, name: str, value: Any) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2:
        raise ValueError(settings.refusal(owner, name, "a height and a width, or one number for both", value))
    height, width = (settings.integer(owner, name, number, at_least=1) for number in pair)
    return height, width
