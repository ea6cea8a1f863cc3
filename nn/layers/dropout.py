"""Dropout: noise that keeps units from relying on one another."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..module import Module
from ..random import default_generator


class Dropout(Module):
    """In training, sets each element to 0 with probability p and scales the others by 1 / (1 - p); else y = x.

    Srivastava et al., "Dropout", 2014; scaled in training, so that evaluation needs no change.

    Args:
        p: the probability of dropping an element, in [0, 1].
        generator: where the masks are drawn from; None for the library's own.

    Shape:
        Any, and the same.

    Raises:
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
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout expects a probability p from 0 to 1, got {p}")
        self.p = p
        self.generator = None if generator is None else default_generator(generator)

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        m = self._mask(x)
        self.save_for_backward(m)
        return x * m

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        m = self.saved()
        g = self.cast(grad_output, m.dtype, m.shape, "grad_output")
        return g * m

    def _mask(self, x: np.ndarray) -> np.ndarray:
        """Draw what to multiply each element by."""
        if not self.training:
            return np.ones_like(x)
        kept = default_generator(self.generator).random(x.shape) >= self.p
        return kept * x.dtype.type(1 / (1 - self.p) if self.p < 1 else 0)

    def extra_repr(self) -> str:
        return f"p={self.p}" if self.p != 0.5 else ""
