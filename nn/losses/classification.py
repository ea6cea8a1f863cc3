"""Losses of predicted classes: cross-entropy of logits, for two classes and for many."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..numeric import log_softmax, sigmoid, softplus
from ..parameter import Buffer
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
        positive = self._spread(self.weight, z) * self._spread(self.pos_weight, z) * y
        negative = self._spread(self.weight, z) * (1 - y)
        self.save_for_backward(z, positive, negative)
        return self.reduce(positive * softplus(-z) + negative * softplus(z))

    def backward(self, grad_output: ArrayLike | None = None) -> np.ndarray:
        z, positive, negative = self.saved()
        g = self.upstream(grad_output, z.shape, z.dtype)
        return g * (negative * sigmoid(z) - positive * sigmoid(-z))

    def _spread(self, weight: Buffer | None, z: np.ndarray) -> np.ndarray | float:
        """Return a weight in the prediction's dtype, seen to broadcast to the prediction's shape."""
        if weight is None:
            return 1.0
        try:
            return np.broadcast_to(weight.data.astype(z.dtype), z.shape)
        except ValueError:
            raise ValueError(
                f"{self!r} expects weights that broadcast to the prediction's shape {z.shape}, got {weight.data.shape}"
            ) from None

    def extra_repr(self) -> str:
        weights = {"weight": self.weight, "pos_weight": self.pos_weight}
        settings = [f"{name}={w.data.tolist()}" for name, w in weights.items() if w is not None]
        return ", ".join(filter(None, [*settings, super().extra_repr()]))


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
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"CrossEntropyLoss expects label_smoothing from 0 to 1, got {label_smoothing}")
        self.weight = None if weight is None else Buffer(self.cast(weight, name="weight"))
        if self.weight is not None and self.weight.data.ndim != 1:
            raise ValueError(f"CrossEntropyLoss expects weight of shape (C,), got {self.weight.data.shape}")
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, prediction: ArrayLike, target: ArrayLike) -> np.ndarray | np.floating:
        f = self.cast(prediction, name="prediction")
        if f.ndim == 0:
            raise ValueError(f"{self!r} expects a prediction of shape (C,), (N, C) or (N, C, d1, ...), got ()")
        axis = min(f.ndim - 1, 1)
        t, count = self._shares(f, np.asarray(target), axis)
        log_p = log_softmax(f, axis)
        self.save_for_backward(log_p, t, count, axis)
        # A share of zero counts nothing, also where the logit is -inf.
        terms = np.multiply(t, log_p, where=t != 0, out=np.zeros(f.shape, f.dtype))
        return self.reduce(-terms.sum(axis), count)

    def backward(self, grad_output: ArrayLike | None = None) -> np.ndarray:
        log_p, t, count, axis = self.saved()
        values_shape = log_p.shape[:axis] + log_p.shape[axis + 1 :]
        g = self.upstream(grad_output, values_shape, log_p.dtype, count)
        if self.reduction == "none" and grad_output is not None:
            g = np.expand_dims(g, axis)
        return g * (np.exp(log_p) * t.sum(axis, keepdims=True) - t)

    def _shares(self, f: np.ndarray, y: np.ndarray, axis: int) -> tuple[np.ndarray, float]:
        """Return t, shaped like the prediction f, and what a mean over the values divides by."""
        classes, behind = f.shape[axis], f.shape[axis + 1 :]
        values_shape = f.shape[:axis] + behind
        upright = (-1, *(1,) * len(behind))  # the shape of one number a class beside f
        count: float
        if y.shape == f.shape:
            if y.dtype.kind != "f":
                raise TypeError(f"{self!r} expects class probabilities of a floating dtype, got {y.dtype}")
            if self.ignore_index >= 0:
                raise ValueError(f"{self!r} cannot ignore an index: the target holds class probabilities")
            share, kept, count = y.astype(f.dtype), np.True_, math.prod(values_shape)
        elif y.shape != values_shape:
            raise ValueError(
                f"{self!r} expects a target of shape {values_shape} (class indices) or {f.shape} (class "
                f"probabilities) for a prediction of shape {f.shape}, got {y.shape}"
            )
        elif y.dtype.kind not in "iu":
            raise TypeError(f"{self!r} expects class indices of an integer dtype, got {y.dtype}")
        else:
            column = y.reshape(*f.shape[:axis], 1, *behind)
            kept = column != self.ignore_index
            share = (column == np.arange(classes).reshape(upright)) & kept
            count = int(np.count_nonzero(share))
            if count != np.count_nonzero(kept):
                wrong = column[kept & ((column < 0) | (column >= classes))]
                raise ValueError(f"{self!r} expects class indices from 0 to {classes - 1}, got {wrong[0]}")
            share = share.astype(f.dtype)
        t = share
        if self.label_smoothing:
            t = (1 - self.label_smoothing) * share + kept * f.dtype.type(self.label_smoothing / max(classes, 1))
        if self.weight is not None:
            w = self.weight.data.astype(f.dtype)
            if len(w) != classes:
                raise ValueError(
                    f"{self!r} expects a prediction of {len(w)} classes, one a weight, got shape {f.shape}"
                )
            w = w.reshape(upright)
            t = w * t
            if y.shape != f.shape:
                count = float((w * share).sum())
        return t, count

    def extra_repr(self) -> str:
        settings = [] if self.weight is None else [f"weight={self.weight.data.tolist()}"]
        settings += [f"ignore_index={self.ignore_index}"] if self.ignore_index != -100 else []
        settings += [super().extra_repr()]
        settings += [f"label_smoothing={self.label_smoothing}"] if self.label_smoothing else []
        return ", ".join(filter(None, settings))
