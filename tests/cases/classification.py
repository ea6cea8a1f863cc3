"""Rows of nn/losses/classification.py."""

import math

import numpy as np

import nn

from .base import Case, normal, pairwise, reduced, several, torch_twin


def probabilities(*shape):
    """Logits and target probabilities, elementwise."""
    return several(normal(*shape, scale=2), lambda rng: (np.round(rng.random(shape), 3),))


def classes(*shape, ignored=None):
    """Logits of shape (C,), (N, C) or (N, C, d1, ...) and class indices; every third one `ignored`."""
    axis = min(len(shape) - 1, 1)

    def target(rng):
        t = rng.integers(shape[axis], size=shape[:axis] + shape[axis + 1 :])
        if ignored is not None:
            t.flat[::3] = ignored
        return (t,)

    return several(normal(*shape, scale=2), target)


def shares(*shape):
    """Logits and class probabilities that sum to 1."""

    def target(rng):
        t = rng.random(shape)
        return (t / t.sum(min(len(shape) - 1, 1), keepdims=True),)

    return several(normal(*shape, scale=2), target)


def bce_with_logits(module, prediction, target):
    def spread(weight):
        return np.broadcast_to(1.0 if weight is None else weight.data, prediction.shape)

    weight, pos_weight = spread(module.weight), spread(module.pos_weight)

    @pairwise
    def values(m, f, y, index):
        p = 1 / (1 + math.exp(-f))
        return -weight[index] * (pos_weight[index] * y * math.log(p) + (1 - y) * math.log(1 - p))

    return values(module, prediction, target)


def cross_entropy(module, prediction, target):
    axis = min(prediction.ndim - 1, 1)
    logits = np.moveaxis(prediction, axis, -1)
    classes = logits.shape[-1]
    soft = target.shape == prediction.shape
    target = np.moveaxis(target, axis, -1) if soft else target
    weight = [1.0] * classes if module.weight is None else [float(w) for w in module.weight.data]
    smooth = module.label_smoothing
    values = np.zeros(logits.shape[:-1])
    count = 0.0
    for index in np.ndindex(values.shape):
        if not soft and target[index] == module.ignore_index:
            continue
        shares = target[index] if soft else [float(c == target[index]) for c in range(classes)]
        shares = [(1 - smooth) * share + smooth / classes for share in shares]
        total = math.fsum(math.exp(v) for v in logits[index])
        values[index] = -math.fsum(
            w * t * (float(v) - math.log(total)) for w, t, v in zip(weight, shares, logits[index], strict=True)
        )
        count += 1.0 if soft else weight[target[index]]
    return reduced(module, values, count)


def twin(module):
    """PyTorch's losses take their weights as tensors."""
    import torch

    def weighted(loss):
        return lambda **settings: loss(
            **{name: torch.tensor(value) if isinstance(value, list) else value for name, value in settings.items()}
        )

    names = ("BCEWithLogitsLoss", "CrossEntropyLoss")
    return torch_twin(module, **{name: weighted(getattr(torch.nn, name)) for name in names})


W3 = [0.5, 1.0, 2.0]

# fmt: off
CASES = [
    *(Case(f"BCEWithLogitsLoss-{r}", lambda r=r: nn.BCEWithLogitsLoss(reduction=r), probabilities(5, 3), bce_with_logits) for r in ("mean", "sum", "none")),
    Case("BCEWithLogitsLoss-0d", lambda: nn.BCEWithLogitsLoss(), probabilities(), bce_with_logits, batched=False),
    Case("BCEWithLogitsLoss-weight", lambda: nn.BCEWithLogitsLoss(weight=W3), probabilities(5, 3), bce_with_logits, twin),
    Case("BCEWithLogitsLoss-pos_weight", lambda: nn.BCEWithLogitsLoss(pos_weight=W3), probabilities(5, 3), bce_with_logits, twin),
    Case("BCEWithLogitsLoss-both", lambda: nn.BCEWithLogitsLoss(weight=[[0.5], [1.0], [3.0]], reduction="sum", pos_weight=[2.0]), probabilities(3, 4), bce_with_logits, twin, batched=False),
    *(Case(f"CrossEntropyLoss-{r}", lambda r=r: nn.CrossEntropyLoss(reduction=r), classes(5, 3), cross_entropy) for r in ("mean", "sum", "none")),
    Case("CrossEntropyLoss-vector", lambda: nn.CrossEntropyLoss(), classes(4), cross_entropy, batched=False),
    Case("CrossEntropyLoss-vector-none", lambda: nn.CrossEntropyLoss(reduction="none"), classes(4), cross_entropy, batched=False),
    Case("CrossEntropyLoss-images", lambda: nn.CrossEntropyLoss(), classes(2, 3, 2, 2), cross_entropy),
    Case("CrossEntropyLoss-images-none", lambda: nn.CrossEntropyLoss(reduction="none"), classes(2, 3, 2), cross_entropy),
    *(Case(f"CrossEntropyLoss-weight-{r}", lambda r=r: nn.CrossEntropyLoss(weight=W3, reduction=r), classes(5, 3), cross_entropy, twin) for r in ("mean", "sum", "none")),
    Case("CrossEntropyLoss-ignore", lambda: nn.CrossEntropyLoss(), classes(6, 3, ignored=-100), cross_entropy),
    Case("CrossEntropyLoss-ignore-class", lambda: nn.CrossEntropyLoss(weight=W3, ignore_index=1), classes(7, 3, ignored=1), cross_entropy, twin),
    *(Case(f"CrossEntropyLoss-smooth-{r}", lambda r=r: nn.CrossEntropyLoss(reduction=r, label_smoothing=0.1), classes(5, 3), cross_entropy) for r in ("mean", "none")),
    Case("CrossEntropyLoss-all-settings", lambda: nn.CrossEntropyLoss(weight=W3, ignore_index=2, label_smoothing=0.3), classes(6, 3, 2, ignored=2), cross_entropy, twin),
    *(Case(f"CrossEntropyLoss-shares-{r}", lambda r=r: nn.CrossEntropyLoss(reduction=r), shares(5, 3), cross_entropy) for r in ("mean", "sum", "none")),
    Case("CrossEntropyLoss-shares-vector", lambda: nn.CrossEntropyLoss(), shares(3), cross_entropy, batched=False),
    Case("CrossEntropyLoss-shares-images", lambda: nn.CrossEntropyLoss(weight=W3, label_smoothing=0.2), shares(2, 3, 2), cross_entropy, twin),
]
# fmt: on
