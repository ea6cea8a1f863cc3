"""Rows of nn/losses/regression.py."""

import math

import nn

from .base import Case, pair, pairwise, reduced, torch_twin

mse = pairwise(lambda m, f, y, index: (f - y) ** 2)
l1 = pairwise(lambda m, f, y, index: abs(f - y))


@pairwise
def huber(m, f, y, index):
    size = abs(f - y)
    return 0.5 * size**2 if size <= m.delta else m.delta * (size - 0.5 * m.delta)


def half_squared(module, prediction, target):
    values = [
        0.5 * math.fsum((f - y) ** 2 for f, y in zip(sample.flat, wanted.flat, strict=True))
        for sample, wanted in zip(prediction, target, strict=True)
    ]
    return reduced(module, values)


def half_squared_twin(module):
    """In PyTorch's operations, since it has no such loss."""
    import torch

    class HalfSquaredLoss(torch.nn.Module):
        def __init__(self, reduction="mean"):
            super().__init__()
            self.reduction = reduction

        def forward(self, prediction, target):
            values = 0.5 * (prediction - target).pow(2).flatten(1).sum(1)
            return {"mean": values.mean, "sum": values.sum, "none": values.clone}[self.reduction]()

    return torch_twin(module, HalfSquaredLoss=HalfSquaredLoss)


# fmt: off
CASES = [
    *(Case(f"HalfSquaredLoss-{r}", lambda r=r: nn.HalfSquaredLoss(reduction=r), pair(5, 3), half_squared, half_squared_twin) for r in ("mean", "sum", "none")),
    Case("HalfSquaredLoss-3d", lambda: nn.HalfSquaredLoss(reduction="none"), pair(4, 3, 2), half_squared, half_squared_twin),
    *(Case(f"MSELoss-{r}", lambda r=r: nn.MSELoss(reduction=r), pair(5, 3), mse) for r in ("mean", "sum", "none")),
    Case("MSELoss-0d", lambda: nn.MSELoss(), pair(), mse, batched=False),
    *(Case(f"L1Loss-{r}", lambda r=r: nn.L1Loss(reduction=r), pair(5, 3), l1) for r in ("mean", "sum", "none")),
    Case("L1Loss-0d", lambda: nn.L1Loss(), pair(), l1, batched=False),
    *(Case(f"HuberLoss-{r}", lambda r=r: nn.HuberLoss(reduction=r), pair(5, 3), huber) for r in ("mean", "sum", "none")),
    Case("HuberLoss-0.3", lambda: nn.HuberLoss(delta=0.3), pair(5, 3), huber),
]
# fmt: on
