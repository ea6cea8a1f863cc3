"""Adam and AdamW: steps scaled by running moments of the gradient."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .optimizer import Group, Optimizer, State


class Adam(Optimizer):
    """w ← w - lr m̂ / (√v̂ + eps), with m̂ and v̂ the bias-corrected means of g and g² (Kingma and Ba, 2015).

    Args:
        params: parameters or groups, as in Optimizer.
        lr: the learning rate.
        betas: how much of m and of v stays from step to step.
        eps: keeps the denominator from 0.
        weight_decay: adds weight_decay · w to the gradient.
        amsgrad: divides by the largest v so far (Reddi et al., 2018).
        maximize: climbs instead of descending.
        decoupled_weight_decay: shrinks w by lr · weight_decay instead, as AdamW does.

    Raises:
        ValueError: for settings out of range.

    Example:
        >>> from nn import Parameter
        >>> p = Parameter([1.0])
        >>> p.grad += 2
        >>> Adam([p], lr=0.1).step()
        >>> p.data.round(6)
        array([0.9])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def init_state(self, w: np.ndarray, group: Group) -> State:
        names = ["exp_avg", "exp_avg_sq"] + ["max_exp_avg_sq"] * group["amsgrad"]
        return {name: np.zeros_like(w) for name in names}

    def begin(self, group: Group, step: int) -> tuple[float, float, float, float]:
        """Return lr and eps with both bias corrections in them, which spares correcting the arrays, and the betas."""
        beta1, beta2 = map(float, group["betas"])
        root = math.sqrt(1 - beta2**step)
        return group["lr"] * root / (1 - beta1**step), group["eps"] * root, beta1, beta2

    def update(self, w: np.ndarray, g: np.ndarray, state: State, group: Group, scalars: tuple[float, ...]) -> None:
        lr, eps, beta1, beta2 = scalars
        m, v = state["exp_avg"], state["exp_avg_sq"]
        if group["weight_decay"]:
            if group["decoupled_weight_decay"]:
                w *= 1 - group["lr"] * group["weight_decay"]
            else:
                g = g + group["weight_decay"] * w
        # m += (1 - β1) (g - m), v = β2 v + (1 - β2) g², w -= lr m / (√v + eps): each in one array of scratch, d
        d = g - m
        d *= 1 - beta1
        m += d
        d = g * g
        d *= 1 - beta2
        v *= beta2
        v += d
        if group["amsgrad"]:
            v = np.maximum(state["max_exp_avg_sq"], v, out=state["max_exp_avg_sq"])
        d = np.sqrt(v)
        d += eps
        np.divide(m, d, out=d)
        d *= lr
        w -= d


class AdamW(Adam):
    """Adam whose weight decay shrinks w by lr · weight_decay, apart from the moments (Loshchilov and Hutter, 2019).

    Args:
        params, lr, betas, eps, amsgrad, maximize: as in Adam.
        weight_decay: the shrinkage, in units of lr.

    Raises:
        ValueError: for settings out of range.

    Example:
        >>> from nn import Parameter
        >>> p = Parameter([1.0])
        >>> AdamW([p], lr=0.1, weight_decay=0.5).step()
        >>> p.data
        array([0.95])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)
