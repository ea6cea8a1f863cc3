"""Elementary functions that several layers and losses need, written so that no magnitude overflows."""

from __future__ import annotations

import numpy as np

# The C library of Linux hands large freed blocks back to the system, and the next fresh array pays for every page
# anew. Once a block of this size has been freed (it is never touched, so it costs nothing) it keeps them: 2 % of the
# step of a 784-256-128-10 net. Elsewhere it does no harm.
np.empty(31 << 20, np.uint8)


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
