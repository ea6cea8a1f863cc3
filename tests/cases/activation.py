"""Rows of nn/layers/activation.py."""

import math

import numpy as np

import nn

from .base import Case, elementwise, normal

relu = elementwise(lambda m, x: x if x > 0 else 0.0)
leaky_relu = elementwise(lambda m, x: x if x > 0 else m.negative_slope * x)
sigmoid = elementwise(lambda m, x: 1 / (1 + math.exp(-x)))
tanh = elementwise(lambda m, x: math.tanh(x))
softplus = elementwise(lambda m, x: x if m.beta * x > m.threshold else math.log(1 + math.exp(m.beta * x)) / m.beta)


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


CASES = [
    Case("ReLU", lambda: nn.ReLU(), normal(5, 4), relu),
    Case("ReLU-0d", lambda: nn.ReLU(), normal(), relu, batched=False),
    Case("LeakyReLU", lambda: nn.LeakyReLU(), normal(5, 4), leaky_relu),
    Case("LeakyReLU-0.3", lambda: nn.LeakyReLU(negative_slope=0.3), normal(5, 4), leaky_relu),
    Case("Sigmoid", lambda: nn.Sigmoid(), normal(5, 4, scale=3), sigmoid),
    Case("Sigmoid-0d", lambda: nn.Sigmoid(), normal(), sigmoid, batched=False),
    Case("Tanh", lambda: nn.Tanh(), normal(5, 4, scale=2), tanh),
    Case("Tanh-0d", lambda: nn.Tanh(), normal(), tanh, batched=False),
    Case("Softplus", lambda: nn.Softplus(), normal(5, 4, scale=3), softplus),
    Case("Softplus-linear", lambda: nn.Softplus(beta=2.0, threshold=1.0), normal(5, 4, scale=2), softplus),
    Case("Softmax", lambda: nn.Softmax(), normal(5, 4), softmax),
    Case("Softmax-0", lambda: nn.Softmax(dim=0), normal(4, 3), softmax, batched=False),
    Case("Softmax-middle", lambda: nn.Softmax(dim=-2), normal(2, 4, 3), softmax),
    Case("Softmax-0d", lambda: nn.Softmax(), normal(), softmax, batched=False),
    Case("Softmax2d", lambda: nn.Softmax2d(), normal(2, 3, 2, 2), softmax),
    Case("Softmax2d-unbatched", lambda: nn.Softmax2d(), normal(3, 2, 2), softmax, batched=False),
    Case("LogSoftmax", lambda: nn.LogSoftmax(), normal(5, 4), log_softmax),
    Case("LogSoftmax-0", lambda: nn.LogSoftmax(dim=0), normal(4, 3), log_softmax, batched=False),
    Case("LogSoftmax-last", lambda: nn.LogSoftmax(dim=-1), normal(2, 3, 4), log_softmax),
    Case("LogSoftmax-0d", lambda: nn.LogSoftmax(), normal(), log_softmax, batched=False),
]
