"""RMSprop: steps scaled by the running mean of the squared gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from .flat import Group, State
from .optimizer import Optimizer
from .settings import AT_LEAST_0, FLAG


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

    Papers:
        Tieleman and Hinton, Neural Networks for Machine Learning, lecture 6.5, 2012,
        https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf
        Graves, Generating Sequences With Recurrent Neural Networks, 2013, https://arxiv.org/abs/1308.0850

    Example:
        >>> from nn import Parameter
        >>> p = Parameter([1.0])
        >>> p.grad += 2
        >>> RMSprop([p], lr=0.1).step()
        >>> p.data.round(6)
        array([0.])
    """

    ranges: ClassVar = {
        "lr": AT_LEAST_0,
        "alpha": AT_LEAST_0,
        "eps": AT_LEAST_0,
        "weight_decay": AT_LEAST_0,
        "momentum": AT_LEAST_0,
        "centered": FLAG,
        "maximize": FLAG,
    }
    symbols: ClassVar = {
        "v": "square_avg",
        "m": "grad_avg",
        "b": "momentum_buffer",
        "eta": "lr",
        "mu": "momentum",
        "lam": "weight_decay",
    }
    equations = """
        s = -g if maximize else g
        h = s + lam * w if lam else s
        v_new = alpha * v + (1 - alpha) * h**2
        m_new = alpha * m + (1 - alpha) * h if centered else 0
        r = v_new - m_new**2 if centered else v_new
        u = h / (sqrt(r) + eps)
        b_new = mu * b + u if mu else b
        w_new = w - eta * (b_new if mu else u)
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
        v += (1 - alpha) * g**2
        if group["centered"]:
            m = state["grad_avg"]
            m += (1 - alpha) * (g - m)  # so rounding takes v - m² below 0 less often than with m *= alpha
            v = v - m**2
        u = g / (np.sqrt(v) + group["eps"])
        if group["momentum"]:
            b = state["momentum_buffer"]
            b *= group["momentum"]
            b += u
            u = b
        w -= group["lr"] * u
