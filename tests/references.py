"""Slow and obvious forwards, written from the definitions with loops and `math`, against which the layers are held.

Each takes the module, for its settings and parameters, and then the inputs in float64.
"""

import copy
import math
from collections.abc import Callable

import numpy as np

from nn.random import default_generator


def elementwise(function: Callable) -> Callable:
    """Make a reference of a function of the module and one number."""

    def reference(module, x):
        y = np.empty_like(x)
        for index in np.ndindex(x.shape):
            y[index] = function(module, float(x[index]))
        return y

    return reference


identity = elementwise(lambda m, x: x)
relu = elementwise(lambda m, x: x if x > 0 else 0.0)
leaky_relu = elementwise(lambda m, x: x if x > 0 else m.negative_slope * x)
sigmoid = elementwise(lambda m, x: 1 / (1 + math.exp(-x)))
tanh = elementwise(lambda m, x: math.tanh(x))
softplus = elementwise(lambda m, x: x if m.beta * x > m.threshold else math.log(1 + math.exp(m.beta * x)) / m.beta)


def linear(module, x):
    W, b = module.weight.data, module.bias
    y = np.empty((*x.shape[:-1], module.out_features))
    for index in np.ndindex(y.shape):
        *sample, out = index
        y[index] = math.fsum(x[(*sample, i)] * W[out, i] for i in range(module.in_features))
        y[index] += b.data[out] if b is not None else 0.0
    return y


def flatten(module, x):
    shape = x.shape or (1,)
    start, end = module.start_dim % len(shape), module.end_dim % len(shape)
    joined = 1
    for size in shape[start : end + 1]:
        joined *= size
    return np.array(list(x.flat)).reshape(shape[:start] + (joined,) + shape[end + 1 :])


def dropout(module, x):
    if not module.training:
        return x
    generator = copy.deepcopy(default_generator(module.generator))
    y = np.empty_like(x)
    for index in np.ndindex(x.shape):
        kept = generator.random() >= module.p
        y[index] = x[index] / (1 - module.p) if kept else 0.0
    return y


def _along(x, dim, function):
    if dim is None:
        dim = 0 if x.ndim in (0, 1, 3) else 1
    if x.ndim == 0:
        return np.array(function([float(x)])[0])
    return np.apply_along_axis(lambda row: np.array(function([float(v) for v in row])), dim, x)


def softmax(module, x):
    def row(values):
        total = math.fsum(math.exp(v) for v in values)
        return [math.exp(v) / total for v in values]

    return _along(x, module.dim, row)


def log_softmax(module, x):
    def row(values):
        total = math.fsum(math.exp(v) for v in values)
        return [v - math.log(total) for v in values]

    return _along(x, module.dim, row)


def sequential(module, x):
    """A chain of Linear and ReLU."""
    for layer in module:
        x = linear(layer, x) if hasattr(layer, "weight") else relu(layer, x)
    return x


def composed(module, *xs):
    """Containers, branches and the layers in them; several inputs and outputs are tuples."""
    match type(module).__name__:
        case "Sequential":
            for layer in module:
                y = composed(layer, *xs)
                xs = y if isinstance(y, tuple) else (y,)
            return y
        case "ConcatTable":
            return tuple(composed(branch, *xs) for branch in module)
        case "ParallelTable":
            pairs = zip(module, xs, strict=True)
            return tuple(composed(branch, *(x if isinstance(x, tuple) else (x,))) for branch, x in pairs)
        case "Residual":
            branches = list(module)
            shortcut = composed(branches[1], *xs) if len(branches) > 1 else xs[0]
            return composed(branches[0], *xs) + shortcut
        case "CAddTable" | "CMulTable" as name:
            combine = math.fsum if name == "CAddTable" else math.prod
            entries = zip(*(x.flat for x in xs), strict=True)
            return np.array([combine(each) for each in entries]).reshape(xs[0].shape)
        case "JoinTable":
            slices = [part for x in xs for part in np.moveaxis(x, module.dim, 0)]
            return np.moveaxis(np.array(slices), 0, module.dim)
        case name:
            return {"Linear": linear, "ReLU": relu, "Tanh": tanh, "Identity": identity}[name](module, *xs)


# Losses: each gives the values before the reduction, `reduced` the rest.


def reduced(module, values, count=None):
    if module.reduction == "none":
        return np.array(values)
    total = math.fsum(np.ravel(values))
    return total if module.reduction == "sum" else total / (np.size(values) if count is None else count)


def pairwise(function: Callable) -> Callable:
    """Make a reference loss of a function of the module, one prediction, one target and their index."""

    def reference(module, prediction, target):
        values = np.empty_like(prediction)
        for index in np.ndindex(prediction.shape):
            values[index] = function(module, float(prediction[index]), float(target[index]), index)
        return reduced(module, values)

    return reference


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
