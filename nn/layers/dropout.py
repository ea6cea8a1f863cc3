"""Dropout: noise that keeps units, or whole channels, from relying on one another."""

from __future__ import annotations

import math
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
        shape = self._shape(x)
        if not self.training:
            return np.ones(shape, x.dtype)
        return self._survives(shape) * x.dtype.type(1 / (1 - self.p) if self.p < 1 else 0)

    def _survives(self, shape: tuple[int, ...]) -> np.ndarray:
        """Draw which elements are kept."""
        return default_generator(self.generator).random(shape) >= self.p

    def _shape(self, x: np.ndarray) -> tuple[int, ...]:
        """Return the shape of what is drawn: a number for each element."""
        return x.shape


class FeatureDropout(Dropout):
    """The base of Dropout1d, 2d and 3d, which drop whole channels.

    Attributes:
        layouts: the letters of the input's dimensions, of each number of dimensions that it may have.
    """

    layouts: ClassVar[tuple[str, ...]] = ()
    symbols: ClassVar = {**Dropout.symbols, "u": "unbatched_dims"}
    equations = """
        q = x.reshape(x.shape[0], -1) if x.ndim == u else x.reshape(x.shape[0], x.shape[1], -1)
        k = random((q.shape[0], 1) if x.ndim == u else (q.shape[0], q.shape[1], 1)) >= p
        z = (q * k / (1 - p) if p < 1 else 0 * q) if training else q
        y = z.reshape(x.shape)
        dz = dy.reshape(z.shape)
        dq = (dz * k / (1 - p) if p < 1 else 0 * dz) if training else dz
        dx = dq.reshape(x.shape)
    """

    @property
    def unbatched_dims(self) -> int:
        """How many dimensions a single sample has; 0 where the first dimension is always that of samples."""
        return next((len(layout) for layout in self.layouts if layout[0] == "C"), 0)

    def _shape(self, x: np.ndarray) -> tuple[int, ...]:
        for layout in self.layouts:
            if len(layout) == x.ndim:
                dims = layout.index("C") + 1
                return x.shape[:dims] + (1,) * (x.ndim - dims)
        expected = " or ".join(f"({', '.join(layout)})" for layout in self.layouts)
        raise ValueError(f"{self!r} expects input of shape {expected}, got {x.shape}; Dropout takes any shape")


class Dropout1d(FeatureDropout):
    """In training, sets each channel to 0 with probability p and scales the others by 1 / (1 - p); else y = x.

    Tompson et al., "Efficient Object Localization Using Convolutional Networks", 2015: where neighbours are alike, to
    drop one of them hides little.

    Args:
        p: the probability of dropping a channel of a sample, in [0, 1].
        generator: where the masks are drawn from; None for the library's own.

    Shape:
        Input (N, C, L) or (C, L), output the same.

    Raises:
        TypeError: for a p that is no number.
        ValueError: for p outside [0, 1], or an input of another number of dimensions.

    Example:
        >>> len(np.unique(Dropout1d(0.5)(np.ones((1, 1, 5)))))
        1
    """

    layouts = ("CL", "NCL")


class Dropout2d(FeatureDropout):
    """Dropout1d of images: whole channels are dropped, with all their pixels.

    Args and errors are those of Dropout1d.

    Shape:
        Input (N, C, H, W), output the same; three dimensions are (N, C, L), as in PyTorch.

    Example:
        >>> len(np.unique(Dropout2d(0.5)(np.ones((1, 1, 5, 5)))))
        1
    """

    layouts = ("NCL", "NCHW")


class Dropout3d(FeatureDropout):
    """Dropout1d of volumes: whole channels are dropped, with all their voxels.

    Args and errors are those of Dropout1d.

    Shape:
        Input (N, C, D, H, W) or (C, D, H, W), output the same.

    Example:
        >>> len(np.unique(Dropout3d(0.5)(np.ones((1, 1, 2, 2, 2)))))
        1
    """

    layouts = ("CDHW", "NCDHW")


SELU_FLOOR = -1.7580993408473766  # what SELU tends to for x to minus infinity: its scale times its alpha


class AlphaDropout(Dropout):
    """In training, sets each element to what SELU takes for minus infinity with probability p; else y = x.

    Klambauer et al., "Self-Normalizing Neural Networks", 2017. All is then scaled and shifted so that inputs of mean 0
    and variance 1 keep both, as they would not if elements became 0.

    Args:
        p: the probability of dropping an element, in [0, 1]; for 1 everything becomes 0.
        generator: where the masks are drawn from; None for the library's own.

    Shape:
        Input and output: any shape, the same.

    Raises:
        TypeError: for a p that is no number.
        ValueError: for p outside [0, 1].

    Example:
        >>> x = np.random.default_rng(0).normal(size=100_000)
        >>> y = AlphaDropout(0.3, generator=1)(x)
        >>> y.mean().round(1) + 0.0, y.std().round(1)
        (np.float64(0.0), np.float64(1.0))
    """

    equations = """
        k = random(x.shape) >= p
        s = -1.7580993408473766
        a = 1 / sqrt((1 - p) * (1 + p * s**2))
        y = (a * where(k, x, s) - a * p * s if p < 1 else 0 * x) if training else x
        dx = (a * k * dy if p < 1 else 0 * dy) if training else dy
    """

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        shape = self._shape(x)
        if self.training:
            kept, s = self._survives(shape), SELU_FLOOR
            a = 1 / math.sqrt((1 - self.p) * (1 + self.p * s * s)) if self.p < 1 else 0.0
            m = kept * x.dtype.type(a)
            y = x * m + (~kept * x.dtype.type(a * s) - a * self.p * s)
        else:
            m = np.ones(shape, x.dtype)
            y = x * m
        self.save_for_backward(m, output=y)
        return y


class FeatureAlphaDropout(AlphaDropout):
    """AlphaDropout of whole channels.

    Args and errors are those of AlphaDropout.

    Shape:
        Input (N, C, ...), output the same.

    Example:
        >>> len(np.unique(FeatureAlphaDropout(0.5)(np.ones((1, 1, 5)))))
        1
    """

    equations = """
        q = x.reshape(x.shape[0], x.shape[1], -1)
        k = random((x.shape[0], x.shape[1], 1)) >= p
        s = -1.7580993408473766
        a = 1 / sqrt((1 - p) * (1 + p * s**2))
        z = (a * where(k, q, s) - a * p * s if p < 1 else 0 * q) if training else q
        y = z.reshape(x.shape)
        dz = dy.reshape(z.shape)
        dq = (a * k * dz if p < 1 else 0 * dz) if training else dz
        dx = dq.reshape(x.shape)
    """

    def _shape(self, x: np.ndarray) -> tuple[int, ...]:
        if x.ndim < 2:
            raise ValueError(f"{self!r} expects input of shape (N, C, ...), got {x.shape}; AlphaDropout takes any")
        return x.shape[:2] + (1,) * (x.ndim - 2)
