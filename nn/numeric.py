"""Elementary functions that several layers and losses need: stable at any magnitude, and products and sums made fast.

Each trick for speed stands here with the figure that it is here for (one thread, float32, NumPy 2.4).
"""

from __future__ import annotations

import math

import numpy as np


def rows(x: np.ndarray) -> np.ndarray:
    """Return x as a matrix: its leading dimensions become one.

    Example:
        >>> rows(np.zeros((5, 3, 2))).shape, rows(np.zeros(2)).shape
        ((15, 2), (1, 2))
    """
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def matmul(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return x @ matrix, for any leading dimensions of x.

    `dot` does less than `@` before it calls BLAS, most where a matrix has one column: the training step of a
    1-64-64-1 net with `@` takes 1.19 times as long.

    Example:
        >>> matmul(np.ones((5, 4, 3)), np.ones((3, 2))).shape
        (5, 4, 2)
    """
    return x.dot(matrix) if x.ndim == 2 else rows(x).dot(matrix).reshape(*x.shape[:-1], matrix.shape[1])


_FEW = 128
_ONES = np.ones(_FEW, np.float32)


def sum_rows(x: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Return the sum of a matrix over its rows, each times its entry of `weight`, a column, where that is given.

    A product with ones takes a third of the time of `x.sum(0)`. Either adds row after row, and of a million rows in
    float32 is off by 1e-5: so it adds a few rows alone, by up to 1e-6, and more are added in float64.

    Example:
        >>> sum_rows(np.array([[1.0, 2.0], [3.0, 4.0]]))
        array([4., 6.])
    """
    if len(x) <= _FEW:
        return (_ONES[: len(x)] if weight is None else weight[:, 0]).dot(x)
    return (x if weight is None else x * weight).sum(0, np.float64).astype(x.dtype)


_BLOCK = 1024
_BLOCK_OF_ONES = np.ones(_BLOCK, np.float32)


def row_sums(x: np.ndarray) -> np.ndarray:
    """Return the sums over the last axis, which stays, of length 1.

    A product with ones takes 0.3 of the time of `x.sum(-1)`, and adds a block of 1,024 as accurately as that does; the
    sums of blocks are left to `sum`.

    Example:
        >>> row_sums(np.array([[1.0, 2.0], [3.0, 4.0]]))
        array([[3.],
               [7.]])
    """
    size = x.shape[-1]
    if size == 1:
        return x
    if size <= _BLOCK:
        return x.dot(_BLOCK_OF_ONES[:size])[..., None]
    rest = size % _BLOCK
    blocks = x[..., : size - rest].reshape(*x.shape[:-1], size // _BLOCK, _BLOCK)
    sums = blocks.dot(_BLOCK_OF_ONES).sum(-1, keepdims=True)
    return sums + row_sums(x[..., size - rest :]) if rest else sums


def row_products(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the sums of x · y over the last axis, which stays, of length 1.

    `vecdot` takes 0.7 of the time of a product that is then summed; in rows of 16 it would take 3 times as long.

    Example:
        >>> row_products(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
        array([[11.]])
    """
    return np.vecdot(x, y)[..., None] if x.shape[-1] >= 64 else row_sums(x * y)


_WIDER = {np.dtype(np.float16): np.float32}


def wide(x: np.ndarray) -> np.ndarray:
    """Return x in a dtype whose squares and sums do not overflow: float16 as float32, any other as it is.

    Example:
        >>> wide(np.ones(2, np.float16)).dtype, wide(np.ones(2)).dtype
        (dtype('float32'), dtype('float64'))
    """
    return x.astype(_WIDER.get(x.dtype, x.dtype), copy=False)


def total(x: np.ndarray) -> np.floating:
    """Return the sum of all entries; in float32 for float16, in which a sum beyond 65,504 is infinite.

    Example:
        >>> total(np.ones(70_000, np.float16))
        np.float32(70000.0)
    """
    return x.sum(dtype=_WIDER.get(x.dtype))


def positive_part(x: np.ndarray) -> np.ndarray:
    """Return max(x, 0), entry by entry.

    Zeros in an array take half the time of `np.maximum(x, 0)`, which NumPy does not vectorise.

    Example:
        >>> positive_part(np.array([-1.0, 2.0]))
        array([0., 2.])
    """
    return np.maximum(x, np.zeros(x.shape, x.dtype))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)), accurate for either sign.

    Example:
        >>> sigmoid(np.array([-800.0, 0.0, 800.0]))
        array([0. , 0.5, 1. ])
    """
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def softplus(x: np.ndarray) -> np.ndarray:
    """Return log(1 + exp(x)).

    Example:
        >>> softplus(np.array([-800.0, 800.0]))
        array([  0., 800.])
    """
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """Return exp(x) / sum(exp(x)) along an axis.

    Example:
        >>> softmax(np.array([1e4, 1e4]), 0)
        array([0.5, 0.5])
    """
    e = np.exp(x - x.max(axis, keepdims=True, initial=-np.inf))
    return e / e.sum(axis, keepdims=True)


def log_softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """Return x - log(sum(exp(x))) along an axis.

    Example:
        >>> log_softmax(np.array([0.0, 1e4]), 0)
        array([-10000.,      0.])
    """
    shifted = x - x.max(axis, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))
