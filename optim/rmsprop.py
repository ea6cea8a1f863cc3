"""RMSprop: steps scaled by the running mean of the squared gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .optimizer import Group, Optimizer, State


class RMSprop(Optimizer):
    """w ← w - lr g / (√v + eps), with v the running mean of g² (Tieleman and Hinton, 2012).

    Args:
        params: parameters or groups, as in Optimizer.
        lr: the learning rate.
        alpha: how much of v stays from step to step.
        eps: keeps the denominator from 0.
        weight_decay: adds weight_decay · w to the gradient.
        momentum: steps along b ← momentum b + g / (√v + eps) instead; 0 for none.
        centered: takes the square of the running mean of g off v (Graves, 2013).
        maximize: climbs instead of descending.

    Raises:
        ValueError: for settings out of range.

    Example:
        >>> from nn import Parameter
        >>> p = Parameter([1.0])
        >>> p.grad += 2
        >>> RMSprop([p], lr=0.1).step()
        >>> p.data.round(6)
        array([0.])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def init_state(self, w: np.ndarray, group: Group) -> State:
        # The momentum's buffer also without momentum, which a schedule may switch on; untouched zeros cost no memory.
        names = ["square_avg", "momentum_buffer"] + ["grad_avg"] * group["centered"]
        return {name: np.zeros_like(w) for name in names}

    def update(self, w: np.ndarray, g: np.ndarray, state: State, group: Group, scalars: None) -> None:
        alpha, v = group["alpha"], state["square_avg"]
        if group["weight_decay"]:
            g = g + group["weight_decay"] * w
        v *= alpha
        v += (1 - alpha) * (g * g)
        if group["centered"]:
            mean = state["grad_avg"]
            mean += (1 - alpha) * (g - mean)
            v = v - mean * mean
        step = g / (np.sqrt(v) + group["eps"])
        if group["momentum"]:
            b = state["momentum_buffer"]
            b *= group["momentum"]
            b += step
            step = b
        w -= group["lr"] * step
