"""Dropout: noise that keeps units from relying on one another."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..module import Module
from ..random import default_generator
from ..settings import number


class Dropout(Module):
    """In training, sets each element to 0 with probability p and scales the others by 1 / (1 - p); else y = x.

    Srivastava et al., "Dropout", 2014; scaled in training, so that evaluation needs no change.

    Args:
        p: the probability of dropping an element, in [0, 1].
        generator: where the masks are drawn from; None for the library's own.

    Shape:
        Input and output: any shape, the same.

    Raises:
        TypeError: for a p that is no number.
        ValueError: for p outside [0, 1].

    Example:
        >>> Dropout(0.5).eval()([1.0, 2.0])
        array([1., 2.])
    """

    symbols: ClassVar = {"p": "p", "training": "training"}
    equations = """
        k = random(x.shape) >= p
        y = (x * k / (1 - p) if p < 1 else 0 * x) if training else x
        dx = (dy * k / (1 - p) if p < 1 else 0 * dy) if training else dy
    """

    def __init__(self, p: float = 0.5, *, generator: np.random.Generator | int | None = None) -> None:
        self.p = number(self, "p", p, at_least=0, at_most=1)
        self.generator = None if generator is None else default_generator(generator)

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        m = self._mask(x)
        y = x * m
        self.save_for_backward(m, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        m = self.saved()
        return g * m

    def _mask(self, x: np.ndarray) -> np.ndarray:
        """Draw what to multiply each element by."""
        if not self.training:
            return np.ones_like(x)
        survives = default_generator(self.generator).random(x.shape) >= self.p
        return survives * x.dtype.type(1 / (1 - self.p) if self.p < 1 else 0)
