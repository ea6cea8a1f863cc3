"""Losses of predicted classes: cross-entropy of logits, for two classes and for many."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..numeric import log_softmax, sigmoid, softplus, total
from ..parameter import Buffer
from ..settings import integer, number
from .base import Loss


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of logits z: J = w (pos_weight y softplus(-z) + (1 - y) softplus(z)), elementwise.

    Args:
        weight: w, scales each value; any shape that broadcasts to the prediction's.
        reduction: as in Loss.
        pos_weight: scales the positive part; any shape that broadcasts to the prediction's, usually one a class.

    Shape:
        Prediction z and target y alike, any; the target holds probabilities.

    Raises:
        ValueError: for shapes that differ, or weights that do not broadcast.

    Example:
        >>> BCEWithLogitsLoss()([0.0, 1e4], [1.0, 1.0]).round(4)
        np.float64(0.3466)
    """

    symbols: ClassVar = {"w": "weight", "q": "pos_weight"}
    equations = """
        p = 1 / (1 + exp(-f))
        L = -w * (q * y * log(p) + (1 - y) * log(1 - p))
        df = dL * w * ((1 - y) * p - q * y * (1 - p))
    """

    def __init__(
        self, weight: ArrayLike | None = None, reduction: str = "mean", pos_weight: ArrayLike | None = None
    ) -> None:
        super().__init__(reduction)
        self.weight = None if weight is None else Buffer(self.cast(weight, name="weight"))
        self.pos_weight = None if pos_weight is None else Buffer(self.cast(pos_weight, name="pos_weight"))

    def forward(self, prediction: ArrayLike, target: ArrayLike) -> np.ndarray | np.floating:
        z, y = self.cast_pair(prediction, target)
        w, q = self._spread(self.weight, z), self._spread(self.pos_weight, z)
        positive, negative = w * q * y, w * (1 - y)
        self.save_for_backward(z, positive, negative)
        return self.reduce(positive * softplus(-z) + negative * softplus(z))

    def backward(self, grad_output: ArrayLike | None = None) -> np.ndarray:
        g = self.upstream(grad_output)
        z, positive, negative = self.saved()
        # The derivative of softplus is the sigmoid.
        return g * (negative * sigmoid(z) - positive * sigmoid(-z))

    def _spread(self, weight: Buffer | None, z: np.ndarray) -> np.ndarray | float:
        """Return a weight in the prediction's dtype and shape; 1 where there is none."""
        if weight is None:
            return 1.0
        try:
            return np.broadcast_to(weight.data.astype(z.dtype), z.shape)
        except ValueError:
            raise ValueError(
                f"{self!r} expects weights that broadcast to the prediction's shape {z.shape}, got {weight.data.shape}"
            ) from None


class CrossEntropyLoss(Loss):
    """Cross-entropy of logits f: J = -Σ_c t_c log softmax(f)_c, with t the target's share of each class.

    For a class index y the shares are 1 at y and 0 elsewhere; for class probabilities they are the target itself.
    Smoothing mixes them with the uniform distribution, and class weights w multiply them:
    t_c = w_c ((1 - label_smoothing) share_c + label_smoothing / C).

    Args:
        weight: w, one a class, (C,).
        ignore_index: samples of this class index count nothing.
        reduction: as in Loss; the mean for indices divides by the sum of their classes' weights.
        label_smoothing: in [0, 1].

    Shape:
        Prediction (C,), (N, C) or (N, C, d1, ...); target without C as integers (class indices), or shaped like the
        prediction as floating numbers (class probabilities); 'none' gives the shape without C.

    Raises:
        ValueError: for shapes that do not fit, an index that is no class, or settings out of range.
        TypeError: for a target of the wrong kind of number.

    Example:
        >>> CrossEntropyLoss()([[0.0, 0.0], [1e4, 0.0]], [0, 1])
        np.float64(5000.34657...)
    """

    symbols: ClassVar = {"w": "weight", "e": "label_smoothing", "ignored": "ignore_index"}
    equations = """
        hard = y.ndim < f.ndim
        F = move(f, 1, -1) if f.ndim > 2 else f
        Y = move(y, 1, -1) if not hard and f.ndim > 2 else y
        C = F.shape[-1]
        p[..., c] = exp(F[..., c]) / sum(exp(F[..., j]), j)
        s[..., c] = ((y[...] == c) * (y[...] != ignored) if ignored >= 0 else y[...] == c) if hard else Y[..., c]
        u[..., c] = (1 - e) * s[..., c] + e / C * (sum(s[..., j], j) if hard else 1) if e else s[..., c]
        t[..., c] = w[c] * u[..., c]
        L[...] = -sum(t[..., c] * log(p[..., c]), c)
        m = sum(w[c] * s[..., c], ..., c) if hard else L.size
        dF[..., c] = dL[...] * (sum(t[..., j], j) * p[..., c] - t[..., c])
        df = move(dF, -1, 1) if f.ndim > 2 else dF
    """

    def __init__(
        self,
        weight: ArrayLike | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction)
        self.weight = None if weight is None else Buffer(self.cast(weight, name="weight"))
        if self.weight is not None and self.weight.data.ndim != 1:
            raise ValueError(f"CrossEntropyLoss expects weight of shape (C,), got {self.weight.data.shape}")
        self.ignore_index = integer(self, "ignore_index", ignore_index)
        self.label_smoothing = number(self, "label_smoothing", label_smoothing, at_least=0, at_most=1)

    def forward(self, prediction: ArrayLike, target: ArrayLike) -> np.ndarray | np.floating:
        f = self.cast_prediction(prediction)
        if f.ndim == 0:
            raise ValueError(f"{self!r} expects a prediction of shape (C,), (N, C) or (N, C, d1, ...), got ()")
        axis = min(f.ndim - 1, 1)
        y = self._array(target, "target", "class indices or class probabilities")
        t, count = self._shares(f, y, axis)
        log_p = log_softmax(np.moveaxis(f, axis, -1), -1)
        self.save_for_backward(log_p, t, axis)
        # A share of zero counts nothing, also where the logit is -inf.
        terms = np.multiply(t, log_p, where=t != 0, out=np.zeros_like(log_p))
        return self.reduce(-terms.sum(-1), count)

    def backward(self, grad_output: ArrayLike | None = None) -> np.ndarray:
        g = self.upstream(grad_output)
        log_p, t, axis = self.saved()
        if self.reduction == "none":
            g = np.expand_dims(g, -1)  # one a sample, to meet its classes
        # The derivative of log p_c by f_k is 1 - p_k where c = k, else -p_k: a logit raises the log of its own class
        # and, since the p sum to 1, lowers all. So that of -Σ_c t_c log p_c is p_k Σ_c t_c - t_k.
        return np.moveaxis(g * (np.exp(log_p) * t.sum(-1, keepdims=True) - t), -1, axis)

    def _shares(self, f: np.ndarray, y: np.ndarray, axis: int) -> tuple[np.ndarray, float]:
        """Return t, with the classes last, and what a mean over the samples divides by."""
        classes = f.shape[axis]
        samples = f.shape[:axis] + f.shape[axis + 1 :]
        w = np.ones(classes, f.dtype) if self.weight is None else self.weight.data.astype(f.dtype)
        if len(w) != classes:
            raise ValueError(f"{self!r} expects a prediction of {len(w)} classes, one a weight, got shape {f.shape}")
        if y.shape == f.shape:
            if y.dtype.kind != "f":
                raise TypeError(f"{self!r} expects class probabilities of a floating dtype, got {y.dtype}")
            if self.ignore_index >= 0:
                raise ValueError(f"{self!r} cannot ignore an index: the target holds class probabilities")
            share = np.moveaxis(y.astype(f.dtype), axis, -1)
            count: float = math.prod(samples)
        elif y.shape == samples:
            i = self.indices(y, classes, name="target", ignore=self.ignore_index)[..., None]
            share = (i == np.arange(classes)).astype(f.dtype)
            w = w * (i != self.ignore_index)
            count = float(total(w * share))
        else:
            raise ValueError(
                f"{self!r} expects a target of shape {samples} (class indices) or {f.shape} (class probabilities) "
                f"for a prediction of shape {f.shape}, got {y.shape}"
            )
        smooth = self.label_smoothing
        return w * ((1 - smooth) * share + smooth / max(classes, 1)), count
