"""The table: a row for each configuration of each layer and loss. Every check of `test_cases.py` runs on every row.

To add a layer, add rows here, a forward to `references.py`, and run `tools/golden.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import references

import nn


@dataclass
class Case:
    """One configuration.

    name: unique; golden numbers stand under it.
    build: makes the module; parameters are drawn afresh by each test.
    draw: draws the inputs, in float64 or integers, from a generator.
    reference: the slow forward.
    batched: whether the first axis of all inputs is the batch, so that a batch of no rows makes sense.
    drawn: whether training draws random numbers, so that PyTorch's output cannot be compared in that mode.
    """

    name: str
    build: Callable[[], nn.Module]
    draw: Callable[[np.random.Generator], tuple]
    reference: Callable
    batched: bool = True
    drawn: bool = False


def normal(*shape, scale=1.0):
    """One input of normal numbers."""
    return lambda rng: (scale * rng.normal(size=shape),)


def pair(*shape):
    """Prediction and target, both normal."""
    return lambda rng: (rng.normal(size=shape), rng.normal(size=shape))


def probabilities(*shape):
    """Logits and target probabilities, elementwise."""
    return lambda rng: (2 * rng.normal(size=shape), rng.random(shape))


def classes(*shape, ignored=None):
    """Logits of shape (C,), (N, C) or (N, C, d1, ...) and class indices; every third one `ignored`."""

    def draw(rng):
        axis = min(len(shape) - 1, 1)
        target = rng.integers(shape[axis], size=shape[:axis] + shape[axis + 1 :])
        if ignored is not None:
            target.flat[::3] = ignored
        return 2 * rng.normal(size=shape), target

    return draw


def shares(*shape):
    """Logits and class probabilities that sum to 1."""

    def draw(rng):
        axis = min(len(shape) - 1, 1)
        t = rng.random(shape)
        return 2 * rng.normal(size=shape), t / t.sum(axis, keepdims=True)

    return draw


ONE = {"batched": False}
W3 = [0.5, 1.0, 2.0]

# fmt: off
CASES = [
    # linear maps and shapes
    Case("Linear", lambda: nn.Linear(4, 3), normal(5, 4), references.linear),
    Case("Linear-nobias", lambda: nn.Linear(4, 3, bias=False), normal(5, 4), references.linear),
    Case("Linear-1-1", lambda: nn.Linear(1, 1), normal(5, 1), references.linear),
    Case("Linear-vector", lambda: nn.Linear(4, 3), normal(4), references.linear, **ONE),
    Case("Linear-3d", lambda: nn.Linear(4, 3), normal(2, 5, 4), references.linear),
    Case("Linear-4d", lambda: nn.Linear(2, 3), normal(2, 2, 3, 2), references.linear),
    Case("Identity", lambda: nn.Identity(), normal(5, 4), references.identity),
    Case("Identity-0d", lambda: nn.Identity(), normal(), references.identity, **ONE),
    Case("Flatten", lambda: nn.Flatten(), normal(4, 3, 2), references.flatten),
    Case("Flatten-middle", lambda: nn.Flatten(start_dim=1, end_dim=2), normal(2, 3, 2, 2), references.flatten),
    Case("Flatten-all", lambda: nn.Flatten(start_dim=0, end_dim=-1), normal(2, 3, 2), references.flatten),
    Case("Flatten-0d", lambda: nn.Flatten(start_dim=0), normal(), references.flatten, **ONE),
    # activations
    Case("ReLU", lambda: nn.ReLU(), normal(5, 4), references.relu),
    Case("ReLU-0d", lambda: nn.ReLU(), normal(), references.relu, **ONE),
    Case("LeakyReLU", lambda: nn.LeakyReLU(), normal(5, 4), references.leaky_relu),
    Case("LeakyReLU-0.3", lambda: nn.LeakyReLU(negative_slope=0.3), normal(5, 4), references.leaky_relu),
    Case("Sigmoid", lambda: nn.Sigmoid(), normal(5, 4, scale=3), references.sigmoid),
    Case("Sigmoid-0d", lambda: nn.Sigmoid(), normal(), references.sigmoid, **ONE),
    Case("Tanh", lambda: nn.Tanh(), normal(5, 4, scale=2), references.tanh),
    Case("Tanh-0d", lambda: nn.Tanh(), normal(), references.tanh, **ONE),
    Case("Softplus", lambda: nn.Softplus(), normal(5, 4, scale=3), references.softplus),
    Case("Softplus-linear", lambda: nn.Softplus(beta=2.0, threshold=1.0), normal(5, 4, scale=2), references.softplus),
    Case("Softmax", lambda: nn.Softmax(), normal(5, 4), references.softmax),
    Case("Softmax-0", lambda: nn.Softmax(dim=0), normal(4, 3), references.softmax, **ONE),
    Case("Softmax-middle", lambda: nn.Softmax(dim=-2), normal(2, 4, 3), references.softmax),
    Case("Softmax-0d", lambda: nn.Softmax(), normal(), references.softmax, **ONE),
    Case("LogSoftmax", lambda: nn.LogSoftmax(), normal(5, 4), references.log_softmax),
    Case("LogSoftmax-0", lambda: nn.LogSoftmax(dim=0), normal(4, 3), references.log_softmax, **ONE),
    Case("LogSoftmax-last", lambda: nn.LogSoftmax(dim=-1), normal(2, 3, 4), references.log_softmax),
    Case("LogSoftmax-0d", lambda: nn.LogSoftmax(), normal(), references.log_softmax, **ONE),
    # noise
    Case("Dropout", lambda: nn.Dropout(), normal(5, 4), references.dropout, drawn=True),
    Case("Dropout-0.2", lambda: nn.Dropout(p=0.2, generator=7), normal(5, 4), references.dropout, drawn=True),
    Case("Dropout-none", lambda: nn.Dropout(p=0.0), normal(5, 4), references.dropout),
    Case("Dropout-all", lambda: nn.Dropout(p=1.0), normal(5, 4), references.dropout),
    # containers
    Case("Sequential", lambda: nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)), normal(4, 3), references.sequential),
    Case("Sequential-named", lambda: nn.Sequential({"fc": nn.Linear(3, 2), "act": nn.ReLU()}), normal(4, 3), references.sequential),
    Case("Sequential-empty", lambda: nn.Sequential(), normal(4, 3), references.sequential),
    # losses
    *(Case(f"HalfSquaredLoss-{r}", lambda r=r: nn.HalfSquaredLoss(reduction=r), pair(5, 3), references.half_squared) for r in ("mean", "sum", "none")),
    Case("HalfSquaredLoss-3d", lambda: nn.HalfSquaredLoss(reduction="none"), pair(4, 3, 2), references.half_squared),
    *(Case(f"MSELoss-{r}", lambda r=r: nn.MSELoss(reduction=r), pair(5, 3), references.mse) for r in ("mean", "sum", "none")),
    Case("MSELoss-0d", lambda: nn.MSELoss(), pair(), references.mse, **ONE),
    *(Case(f"L1Loss-{r}", lambda r=r: nn.L1Loss(reduction=r), pair(5, 3), references.l1) for r in ("mean", "sum", "none")),
    Case("L1Loss-0d", lambda: nn.L1Loss(), pair(), references.l1, **ONE),
    *(Case(f"HuberLoss-{r}", lambda r=r: nn.HuberLoss(reduction=r), pair(5, 3), references.huber) for r in ("mean", "sum", "none")),
    Case("HuberLoss-0.3", lambda: nn.HuberLoss(delta=0.3), pair(5, 3), references.huber),
    *(Case(f"BCEWithLogitsLoss-{r}", lambda r=r: nn.BCEWithLogitsLoss(reduction=r), probabilities(5, 3), references.bce_with_logits) for r in ("mean", "sum", "none")),
    Case("BCEWithLogitsLoss-0d", lambda: nn.BCEWithLogitsLoss(), probabilities(), references.bce_with_logits, **ONE),
    Case("BCEWithLogitsLoss-weight", lambda: nn.BCEWithLogitsLoss(weight=W3), probabilities(5, 3), references.bce_with_logits),
    Case("BCEWithLogitsLoss-pos_weight", lambda: nn.BCEWithLogitsLoss(pos_weight=W3), probabilities(5, 3), references.bce_with_logits),
    Case("BCEWithLogitsLoss-both", lambda: nn.BCEWithLogitsLoss(weight=[[0.5], [1.0], [3.0]], reduction="sum", pos_weight=[2.0]), probabilities(3, 4), references.bce_with_logits, **ONE),
    *(Case(f"CrossEntropyLoss-{r}", lambda r=r: nn.CrossEntropyLoss(reduction=r), classes(5, 3), references.cross_entropy) for r in ("mean", "sum", "none")),
    Case("CrossEntropyLoss-vector", lambda: nn.CrossEntropyLoss(), classes(4), references.cross_entropy, **ONE),
    Case("CrossEntropyLoss-vector-none", lambda: nn.CrossEntropyLoss(reduction="none"), classes(4), references.cross_entropy, **ONE),
    Case("CrossEntropyLoss-images", lambda: nn.CrossEntropyLoss(), classes(2, 3, 2, 2), references.cross_entropy),
    Case("CrossEntropyLoss-images-none", lambda: nn.CrossEntropyLoss(reduction="none"), classes(2, 3, 2), references.cross_entropy),
    *(Case(f"CrossEntropyLoss-weight-{r}", lambda r=r: nn.CrossEntropyLoss(weight=W3, reduction=r), classes(5, 3), references.cross_entropy) for r in ("mean", "sum", "none")),
    Case("CrossEntropyLoss-ignore", lambda: nn.CrossEntropyLoss(), classes(6, 3, ignored=-100), references.cross_entropy),
    Case("CrossEntropyLoss-ignore-class", lambda: nn.CrossEntropyLoss(weight=W3, ignore_index=1), classes(7, 3, ignored=1), references.cross_entropy),
    *(Case(f"CrossEntropyLoss-smooth-{r}", lambda r=r: nn.CrossEntropyLoss(reduction=r, label_smoothing=0.1), classes(5, 3), references.cross_entropy) for r in ("mean", "none")),
    Case("CrossEntropyLoss-all-settings", lambda: nn.CrossEntropyLoss(weight=W3, ignore_index=2, label_smoothing=0.3), classes(6, 3, 2, ignored=2), references.cross_entropy),
    *(Case(f"CrossEntropyLoss-shares-{r}", lambda r=r: nn.CrossEntropyLoss(reduction=r), shares(5, 3), references.cross_entropy) for r in ("mean", "sum", "none")),
    Case("CrossEntropyLoss-shares-vector", lambda: nn.CrossEntropyLoss(), shares(3), references.cross_entropy, **ONE),
    Case("CrossEntropyLoss-shares-images", lambda: nn.CrossEntropyLoss(weight=W3, label_smoothing=0.2), shares(2, 3, 2), references.cross_entropy),
    # branches
    Case("ConcatTable-CAddTable", lambda: nn.Sequential(nn.ConcatTable(nn.Linear(3, 2), nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))), nn.CAddTable()), normal(4, 3), references.composed),
    Case("ConcatTable-named", lambda: nn.Sequential(nn.ConcatTable({"left": nn.Linear(3, 2), "right": nn.Linear(3, 2)}), nn.CAddTable()), normal(4, 3), references.composed),
    Case("CMulTable", lambda: nn.Sequential(nn.ConcatTable(nn.Linear(3, 2), nn.Linear(3, 2), nn.Linear(3, 2, bias=False)), nn.CMulTable()), normal(4, 3), references.composed),
    Case("ParallelTable-JoinTable", lambda: nn.Sequential(nn.ConcatTable(nn.Identity(), nn.Tanh()), nn.ParallelTable(nn.Linear(3, 2), nn.ReLU()), nn.JoinTable(1)), normal(4, 3), references.composed),
    Case("JoinTable-middle", lambda: nn.Sequential(nn.ConcatTable(nn.Identity(), nn.Tanh(), nn.ReLU()), nn.JoinTable(-2)), normal(4, 3, 2), references.composed),
    Case("JoinTable-one", lambda: nn.Sequential(nn.ConcatTable(nn.Linear(3, 2)), nn.JoinTable(1)), normal(4, 3), references.composed),
    Case("tables-within-tables", lambda: nn.Sequential(nn.ConcatTable(nn.ConcatTable(nn.Tanh(), nn.Linear(3, 3)), nn.Identity()), nn.ParallelTable(nn.CMulTable(), nn.ReLU()), nn.CAddTable()), normal(4, 3), references.composed),
    Case("Residual", lambda: nn.Residual(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3))), normal(4, 3), references.composed),
    Case("Residual-shortcut", lambda: nn.Residual(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), nn.Linear(3, 4, bias=False)), normal(4, 3), references.composed),
    Case("Residual-twice", lambda: nn.Sequential(nn.Residual(nn.Linear(3, 3)), nn.ReLU(), nn.Residual(nn.Residual(nn.Linear(3, 3)))), normal(4, 3), references.composed),
]
# fmt: on
