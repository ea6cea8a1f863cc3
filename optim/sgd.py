"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from .flat import Group, State
from .optimizer import Optimizer
from .settings import AT_LEAST_0, FLAG, NUMBER


class SGD(Optimizer):
    """w ← w - lr g; with momentum, w ← w - lr b with b ← momentum b + (1 - dampening) g.

    The first b is the gradient itself. Nesterov's form steps along g + momentum b (Sutskever et al., 2013).

    Args:
        params: parameters or groups, as in Optimizer.
        lr: the learning rate.
        momentum: how much of b stays from step to step; 0 for none.
        dampening: how much of the gradient is kept out of b.
        weight_decay: adds weight_decay · w to the gradient.
        nesterov: looks ahead along b; needs momentum and no dampening.
        maximize: climbs instead of descending.

    Raises:
        ValueError: for settings out of range.

    Papers:
        Sutskever, Martens, Dahl and Hinton, On the importance of initialization and momentum in deep learning, 2013,
        https://proceedings.mlr.press/v28/sutskever13.html

    Example:
        >>> from nn import Parameter
        >>> p = Parameter([1.0])
        >>> p.grad += 2
        >>> SGD([p], lr=0.1).step()
        >>> p.data
        array([0.8])
    """

    ranges: ClassVar = {
        "lr": AT_LEAST_0,
        "momentum": AT_LEAST_0,
        "dampening": NUMBER,
        "weight_decay": AT_LEAST_0,
        "nesterov": FLAG,
        "maximize": FLAG,
    }
    symbols: ClassVar = {
        "b": "momentum_buffer",
        "eta": "lr",
        "mu": "momentum",
        "tau": "dampening",
        "lam": "weight_decay",
    }
    equations = """
        s = -g if maximize else g
        h = s + lam * w if lam else s
        k = 1 - tau if t > 1 else 1
        b_new = mu * b + k * h if mu else b
        u = (h + mu * b_new if nesterov else b_new) if mu else h
        w_new = w - eta * u
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.001,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check_settings(self, group: Group) -> None:
        super().check_settings(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError(
                f"SGD expects a momentum and no dampening for nesterov, got momentum={group['momentum']!r} and "
                f"dampening={group['dampening']!r}"
            )

    def init_state(self, w: np.ndarray, group: Group) -> State:
        # Also without momentum, which a schedule may switch on later; untouched zeros cost no memory.
        return {"momentum_buffer": np.zeros_like(w)}

    def begin(self, group: Group, step: int) -> float:
        """Return how much of the gradient goes into b."""
        return 1 if step == 1 else 1 - group["dampening"]

    def update(self, w: np.ndarray, g: np.ndarray, state: State, group: Group, scalars: float) -> None:
        if group["weight_decay"]:
            g = g + group["weight_decay"] * w
        if group["momentum"]:
            b = state["momentum_buffer"]
            b *= group["momentum"]
            b += scalars * g
            g = g + group["momentum"] * b if group["nesterov"] else b
        w -= group["lr"] * g
