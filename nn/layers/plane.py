"""Entries of each channel by their number, counted along its rows: how pooling says where its maxima are."""

from __future__ import annotations

import math

import numpy as np


def planes(x: np.ndarray, dims: int) -> np.ndarray:
    """Return an array with its last axes joined to one.

    Example:
        >>> planes(np.zeros((5, 3, 2, 4)), 2).shape
        (5, 3, 8)
    """
    return x.reshape(*x.shape[:-dims], math.prod(x.shape[-dims:]))


def entries(x: np.ndarray, indices: np.ndarray, dims: int) -> np.ndarray:
    """Return the entries of these numbers, from each channel its own.

    Example:
        >>> entries(np.array([[1.0, 2.0, 3.0]]), np.array([[2, 2]]), 1)
        array([[3., 3.]])
    """
    return np.take_along_axis(planes(x, dims), planes(indices, dims), -1).reshape(indices.shape)


def add_entries(shape: tuple[int, ...], indices: np.ndarray, g: np.ndarray, dims: int) -> np.ndarray:
    """Return the gradient of what `entries` was given: zeros of this shape, and g added at these numbers.

    Example:
        >>> add_entries((1, 3), np.array([[2, 2]]), np.array([[1.0, 10.0]]), 1)
        array([[ 0.,  0., 11.]])
    """
    dx = np.zeros(shape, g.dtype)
    channels = np.arange(math.prod(shape[:-dims])).reshape(*shape[:-dims], 1)
    numbers = channels * math.prod(shape[-dims:]) + planes(indices, dims)  # in the whole array
    np.add.at(dx.reshape(-1), numbers.ravel(), g.ravel())
    return dx


def largest_place(w: np.ndarray) -> np.ndarray:
    """Return where along the last axis the largest entry is: the first of several; of NaN the last one, as in PyTorch.

    Example:
        >>> largest_place(np.array([[1.0, 3.0, 3.0], [np.nan, 0.0, np.nan]]))
        array([1, 2])
    """
    place = w.argmax(-1)
    nan = np.isnan(w)
    if nan.any():
        last = w.shape[-1] - 1 - nan[..., ::-1].argmax(-1)
        place = np.where(nan.any(-1), last, place)
    return place
