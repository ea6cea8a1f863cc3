"""Adam and AdamW: steps scaled by running moments of the gradient."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from .flat import Group, State
from .optimizer import Optimizer
from .settings import AT_LEAST_0, FLAG, Range

BETAS = Range(
    (tuple,),
    lambda betas: len(betas) == 2 and all(isinstance(beta, int | float) and 0 <= beta < 1 for beta in betas),
    "two numbers in [0, 1)",
)


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

    Papers:
        Kingma and Ba, Adam: A Method for Stochastic Optimization, 2015, https://arxiv.org/abs/1412.6980
        Reddi, Kale and Kumar, On the Convergence of Adam and Beyond, 2018, https://arxiv.org/abs/1904.09237

    Example:
        >>> from nn import Parameter
        >>> p = Parameter([1.0])
        >>> p.grad += 2
        >>> Adam([p], lr=0.1).step()
        >>> p.data.round(6)
        array([0.9])
    """

    ranges: ClassVar = {
        "lr": AT_LEAST_0,
        "betas": BETAS,
        "eps": AT_LEAST_0,
        "weight_decay": AT_LEAST_0,
        "amsgrad": FLAG,
        "maximize": FLAG,
        "decoupled_weight_decay": FLAG,
    }
    symbols: ClassVar = {"m": "exp_avg", "v": "exp_avg_sq", "r": "max_exp_avg_sq", "eta": "lr", "lam": "weight_decay"}
    equations = """
        beta1, beta2 = betas[0], betas[1]
        s = -g if maximize else g
        h = s + lam * w if lam and not decoupled_weight_decay else s
        u = w - eta * lam * w if lam and decoupled_weight_decay else w
        m_new = beta1 * m + (1 - beta1) * h
        v_new = beta2 * v + (1 - beta2) * h**2
        r_new = maximum(r, v_new) if amsgrad else v_new
        mhat = m_new / (1 - beta1**t)
        vhat = r_new / (1 - beta2**t)
        w_new = u - eta * mhat / (sqrt(vhat) + eps)
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

    def begin(self, group: Group, step: int) -> tuple[float, float]:
        """Return lr and eps with the bias corrections in them: lr m̂ / (√v̂ + eps) is lr' m / (√v + eps').

        So the paper's section 2 has it; correcting the arrays m and v instead takes 1.2 times as long.
        """
        beta1, beta2 = group["betas"]
        root = math.sqrt(1 - beta2**step)
        return group["lr"] * root / (1 - beta1**step), group["eps"] * root

    def update(self, w: np.ndarray, g: np.ndarray, state: State, group: Group, scalars: tuple[float, float]) -> None:
        lr, eps = scalars
        beta1, beta2 = group["betas"]
        m, v = state["exp_avg"], state["exp_avg_sq"]
        if group["weight_decay"]:
            if group["decoupled_weight_decay"]:
                w -= group["lr"] * group["weight_decay"] * w
            else:
                g = g + group["weight_decay"] * w
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * g**2
        if group["amsgrad"]:
            v = np.maximum(state["max_exp_avg_sq"], v, out=state["max_exp_avg_sq"])
        w -= lr * m / (np.sqrt(v) + eps)


class AdamW(Adam):
    """Adam whose weight decay shrinks w by lr · weight_decay, apart from the moments (Loshchilov and Hutter, 2019).

    Args:
        params, lr, betas, eps, amsgrad, maximize: as in Adam.
        weight_decay: the shrinkage, in units of lr.

    Raises:
        ValueError: for settings out of range.

    Papers:
        Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019, https://arxiv.org/abs/1711.05101

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
