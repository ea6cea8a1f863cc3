"""Faults planted in correct modules, each with the kind of mistake that the checker should name.

Most are formulas: `spoil` replaces one of a module's gradients by what a formula makes of the true one. Those that are
a matter of what backward does are classes of their own.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from textbook import BatchNorm, Bilinear, Cell, Conv2d, Heads, LayerNorm, Product, Split, nested, normal

import nn


@dataclass
class Plant:
    """A fault: its name, how to build the module, what inputs to draw, and the kinds that name it rightly."""

    name: str
    build: Callable[[], nn.Module]
    draw: Callable[[np.random.Generator], tuple]
    kinds: tuple[str, ...]


def spoil(module: nn.Module, **formulas: Callable) -> nn.Module:
    """Return the module with some of its gradients replaced.

    formulas: by "dx" (what backward returns) or a parameter's name, what to make of v, which has the inputs (v.x is the
    first of them), v.y, v.g, v.dx, v.module, and each parameter's true gradient under its name.
    """

    class Spoiled(type(module)):
        spoiled = frozenset(formulas)

        def forward(self, *inputs):
            y = super().forward(*inputs)
            self.v = SimpleNamespace(inputs=copy.deepcopy(inputs), x=np.array(inputs[0]), y=copy.deepcopy(y))
            return y

        def backward(self, g=1.0):
            parameters = dict(self.named_parameters())
            before = {name: p.grad for name, p in parameters.items()}
            for p in parameters.values():
                p.grad = np.zeros_like(p.data)
            self.v.module, self.v.g, self.v.dx = self, copy.deepcopy(g), super().backward(g)
            vars(self.v).update((name, p.grad) for name, p in parameters.items())
            for name, p in parameters.items():
                p.grad = before[name] + (formulas[name](self.v) if name in formulas else p.grad)
            return formulas["dx"](self.v) if "dx" in formulas else self.v.dx

    Spoiled.__name__ = type(module).__name__
    module.__class__ = Spoiled
    return module


def formulas(build, draw, table):
    """Return a plant for each row of a table: name -> (kind or kinds, formulas by what they replace)."""
    return [
        Plant(name, lambda made=made: spoil(build(), **made), draw, (kinds,) if isinstance(kinds, str) else kinds)
        for name, (kinds, made) in table.items()
    ]


def dx(formula):
    return {"dx": formula}


def weight(formula):
    return {"weight": formula}


def bias(formula):
    return {"bias": formula}


X = normal((5, 4))
PAIR = normal((5, 4), (5, 4))
FACTOR, SIGN, PARTLY, SLIP = "constant factor", "wrong sign", "partly right", "elementwise slip"
MISSING, MIXED, MODE, BY_INDEX = "missing term", "mixed samples", "wrong mode", "factor by index"
WRONG_TERM, CARRIED = "wrong term", "not carried"
IGNORED, MISUSED, PASSED, SHAPE = "upstream ignored", "upstream misused", "passed through", "wrong shape"


# ---- Linear


def zeroed(array, index):
    array = array.copy()
    array[index] = 0
    return array


LINEAR = {
    "weight doubled": (FACTOR, weight(lambda v: 2 * v.weight)),
    "weight halved": (FACTOR, weight(lambda v: v.weight / 2)),
    "weight times N": (FACTOR, weight(lambda v: v.weight * len(v.x))),
    "weight over N": (FACTOR, weight(lambda v: v.weight / len(v.x))),
    "weight over the root of N": (FACTOR, weight(lambda v: v.weight / np.sqrt(len(v.x)))),
    "weight times out_features": (FACTOR, weight(lambda v: 3 * v.weight)),
    "bias averaged": (FACTOR, bias(lambda v: v.g.mean(0))),
    "all tripled": (FACTOR, weight(lambda v: 3 * v.weight) | bias(lambda v: 3 * v.bias) | dx(lambda v: 3 * v.dx)),
    "weight negative": (SIGN, weight(lambda v: -v.weight)),
    "input negative": (SIGN, dx(lambda v: -v.dx)),
    "weight forgotten": ("zero", weight(lambda v: 0 * v.weight)),
    "bias forgotten": ("zero", bias(lambda v: 0 * v.bias)),
    "input zero": ("zero", dx(lambda v: 0 * v.dx)),
    "input transposed": ("transposed", dx(lambda v: v.dx.T)),
    "input reshaped where transposed was meant": ("reordered", dx(lambda v: v.dx.T.reshape(v.dx.shape))),
    "samples in reverse": ("reordered", dx(lambda v: v.dx[::-1])),
    "bias of the first sample": ("not summed", bias(lambda v: v.g[0])),
    "bias of the last sample": ("not summed", bias(lambda v: v.g[-1])),
    "weight of the last sample": ("not summed", weight(lambda v: np.outer(v.g[-1], v.x[-1]))),
    "bias without the last sample": ("not summed", bias(lambda v: v.g[:-1].sum(0))),
    "bias one a sample": ("not summed", bias(lambda v: v.g)),
    "bias summed over all": ("summed twice", bias(lambda v: np.full(3, v.g.sum()))),
    "weight summed over outputs": ("summed twice", weight(lambda v: np.broadcast_to(v.weight.sum(0), (3, 4)))),
    "input averaged over the batch": ("summed twice", dx(lambda v: np.broadcast_to(v.dx.mean(0), v.dx.shape))),
    "weight's last row lost": (PARTLY, weight(lambda v: zeroed(v.weight, -1))),
    "first sample lost": (PARTLY, dx(lambda v: zeroed(v.dx, 0))),
    "a column doubled": (PARTLY, weight(lambda v: v.weight * [1, 2, 1, 1])),
    "an entry wrong": (PARTLY, weight(lambda v: v.weight + np.eye(3, 4) * [0, 1, 0, 0])),
    "columns scaled": (BY_INDEX, weight(lambda v: v.weight * [1, 2, 3, 4])),
    "weight ignores upstream": (IGNORED, weight(lambda v: np.ones_like(v.g).T @ v.x)),
    "input ignores upstream": (IGNORED, dx(lambda v: np.ones_like(v.g) @ v.module.weight.data)),
    "weight with upstream squared": (MISUSED, weight(lambda v: (v.g**2).T @ v.x)),
    "weight with its own decay": ("extra term", weight(lambda v: v.weight + 0.01 * v.module.weight.data)),
    "input in float32": ("wrong dtype", dx(lambda v: v.dx.astype(np.float32))),
    "input of objects": ("wrong dtype", dx(lambda v: v.dx.astype(object))),
    "input flat": (SHAPE, dx(lambda v: v.dx.ravel())),
    "input summed to a number": (SHAPE, dx(lambda v: v.dx.sum())),
    "input summed with keepdims": (SHAPE, dx(lambda v: v.dx.sum(1, keepdims=True))),
    "upstream returned": (SHAPE, dx(lambda v: v.g)),
    "bias with a dimension kept": ("not summed", bias(lambda v: v.g.sum(0, keepdims=True))),
    "no input gradient": ("missing", dx(lambda v: None)),
    "input NaN in places": ("not finite", dx(lambda v: np.where(v.x > v.x.mean(), np.nan, v.dx))),
    "weight infinite": ("not finite", weight(lambda v: v.weight + np.inf)),
}
SQUARE = {
    "weight transposed": ("transposed", weight(lambda v: v.weight.T)),
    "weight used transposed": ("transposed", dx(lambda v: v.g @ v.module.weight.data.T)),
    "square input transposed": ("transposed", dx(lambda v: v.dx.T)),
}
BLOCKS = {"weight of the first block": ("not summed", weight(lambda v: v.g[0].T @ v.x[0]))}


class Overwriting(nn.Linear):
    def backward(self, g):
        x = self.saved()
        self.weight.grad = g.T @ x
        self.bias.grad += g.sum(0)
        return g @ self.weight.data


class OverwritingInPlace(nn.Linear):
    def backward(self, g):
        x = self.saved()
        self.weight.grad += g.T @ x
        self.bias.grad[...] = g.sum(0)
        return g @ self.weight.data


class AddingUnsummed(nn.Linear):
    def backward(self, g):
        x = self.saved()
        self.weight.grad += g.T @ x
        self.bias.grad += g
        return g @ self.weight.data


class AddingTransposed(nn.Linear):
    def backward(self, g):
        x = self.saved()
        self.weight.grad += x.T @ g
        self.bias.grad += g.sum(0)
        return g @ self.weight.data


class Training(nn.Linear):
    def backward(self, g):
        gradient = super().backward(g)
        self.weight.data -= 0.1 * self.weight.grad
        return gradient


LINEAR_DEEDS = [
    Plant("grad rebound", lambda: Overwriting(4, 3), X, ("overwritten",)),
    Plant("grad overwritten in place", lambda: OverwritingInPlace(4, 3), X, ("overwritten",)),
    Plant("bias not summed", lambda: AddingUnsummed(4, 3), X, ("not summed",)),
    Plant("weight's product transposed", lambda: AddingTransposed(4, 3), X, ("transposed",)),
    Plant("backward trains", lambda: Training(4, 3), X, ("changed in place",)),
]


# ---- activations


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def one_wrong(v):
    gradient = v.dx.copy()
    gradient.flat[777] += 1
    return gradient


RELU = {
    "ReLU passes on": (PASSED, dx(lambda v: v.g)),
    "ReLU doubled": (FACTOR, dx(lambda v: 2 * v.dx)),
    "ReLU negative": (SIGN, dx(lambda v: -v.dx)),
    "ReLU inverted": (SLIP, dx(lambda v: v.g * (v.x < 0))),
    "ReLU times the output": (SLIP, dx(lambda v: v.g * v.y)),
    "ReLU times the input": (SLIP, dx(lambda v: v.g * v.x)),
    "ReLU's mask alone": (IGNORED, dx(lambda v: 1.0 * (v.x > 0))),
    "ReLU's output alone": (IGNORED, dx(lambda v: v.y)),
    "ReLU cut at 0.5": (PARTLY, dx(lambda v: v.g * (v.x > 0.5))),
    "ReLU cut at -0.5": (PARTLY, dx(lambda v: v.g * (v.x > -0.5))),
    "ReLU leaks": (PARTLY, dx(lambda v: np.where(v.x > 0, v.g, 0.01 * v.g))),
    "ReLU of the upstream": ((PASSED, MISUSED), dx(lambda v: np.maximum(v.g, 0))),
    "ReLU takes |g|": (MISUSED, dx(lambda v: abs(v.g) * (v.x > 0))),
}
LEAKY = {
    "LeakyReLU without slope": (PARTLY, dx(lambda v: v.g * (v.x > 0))),
    "LeakyReLU's slope squared": (PARTLY, dx(lambda v: np.where(v.x > 0, v.g, 0.01 * v.g))),
    "LeakyReLU's slope everywhere": (PARTLY, dx(lambda v: 0.1 * v.g)),
}
SIGMOID = {
    "Sigmoid: y": (SLIP, dx(lambda v: v.g * v.y)),
    "Sigmoid: 1 - y": (SLIP, dx(lambda v: v.g * (1 - v.y))),
    "Sigmoid: x (1 - x)": (SLIP, dx(lambda v: v.g * v.x * (1 - v.x))),
    "Sigmoid at the output": (SLIP, dx(lambda v: v.g * sigmoid(v.y) * (1 - sigmoid(v.y)))),
    "Sigmoid: y (1 + y)": (SLIP, dx(lambda v: v.g * v.y * (1 + v.y))),
    "Sigmoid: y^2 (1 - y)": (SLIP, dx(lambda v: v.g * v.y**2 * (1 - v.y))),
}
TANH = {
    "Tanh: 1 - x^2": (SLIP, dx(lambda v: v.g * (1 - v.x**2))),
    "Tanh: 1 - y": (SLIP, dx(lambda v: v.g * (1 - v.y))),
    "Tanh: 1 + y^2": (SLIP, dx(lambda v: v.g * (1 + v.y**2))),
    "Tanh: y (1 - y)": (SLIP, dx(lambda v: v.g * v.y * (1 - v.y))),
    "Tanh squared": (SLIP, dx(lambda v: v.g * (1 - v.y**2) ** 2)),
    "Tanh times x": (SLIP, dx(lambda v: v.dx * v.x)),
    "Tanh: cosh": (SLIP, dx(lambda v: v.g * np.cosh(v.x))),
}
WIDE = {
    "an entry wrong of 2000": (PARTLY, dx(one_wrong)),
    "Tanh of 2000 entries: 1 - x^2": (SLIP, dx(lambda v: v.g * (1 - v.x**2))),
    "Tanh of 2000 entries over N": (FACTOR, dx(lambda v: v.dx / 50)),
}
SOFTPLUS = {
    "Softplus without beta": (SLIP, dx(lambda v: v.g * sigmoid(v.x))),
    "Softplus times beta": (FACTOR, dx(lambda v: 3 * v.dx)),
}


class WritingIntoUpstream(nn.ReLU):
    def backward(self, g):
        g *= self.saved() > 0
        return g


class WritingIntoInput(nn.Module):
    def forward(self, x):
        x[x < 0] = 0
        self.save_for_backward(x)
        return x * 1

    def backward(self, g):
        return g * (self.saved() > 0)


class WritingIntoOutput(nn.Sigmoid):
    def backward(self, g):
        y = self.saved()
        gradient = g * y * (1 - y)
        y -= 1
        return gradient


class Remembering(nn.Sigmoid):
    def forward(self, x):
        y = super().forward(x)
        if not hasattr(self, "first"):
            self.first = y
        return y

    def backward(self, g):
        return super().backward(g) * 0 + g * self.first * (1 - self.first)


class Caching(nn.Sigmoid):
    def forward(self, x):
        self.cache = getattr(self, "cache", None)
        y = super().forward(x)
        self.cache = y if self.cache is None else self.cache
        return self.cache * 1


class Hoarding(nn.Tanh):
    total = 0.0

    def backward(self, g):
        self.total = self.total + super().backward(g)
        return self.total


class Stopping(nn.ReLU):
    def backward(self, g):
        return g * self.mask


class HalfPrecision(nn.Tanh):
    def forward(self, x):
        return super().forward(x.astype(np.float32))


class Dividing(nn.Module):
    """y = max(x, 0) with the derivative y / x, which is NaN at 0."""

    def forward(self, x):
        self.save_for_backward(x)
        return np.maximum(x, 0)

    def backward(self, g):
        x = self.saved()
        with np.errstate(invalid="ignore"):
            return g * np.maximum(x, 0) / x


class TupleOfOne(nn.Tanh):
    def backward(self, g):
        return (super().backward(g),)


ACTIVATION_DEEDS = [
    Plant("written into grad_output", WritingIntoUpstream, X, ("changed in place",)),
    Plant("written into the input", WritingIntoInput, X, ("changed in place",)),
    Plant("written into the output", WritingIntoOutput, X, ("changed in place",)),
    Plant("first input remembered", Remembering, X, ("stale values",)),
    Plant("first output returned for ever", Caching, X, ("stale values",)),
    Plant("gradient hoarded", Hoarding, X, ("stale values",)),
    Plant("backward raises", Stopping, X, ("raised",)),
    Plant("float32 forward", HalfPrecision, X, ("wrong dtype",)),
    Plant("division by zero", Dividing, lambda rng: (rng.normal(size=(5, 4)).round(),), ("not finite",)),
    Plant("a tuple of one", TupleOfOne, X, ("wrong count",)),
]

SOFTMAX = {
    "Softmax without coupling": (MISSING, dx(lambda v: v.g * v.y)),
    "Softmax's diagonal": (CARRIED, dx(lambda v: v.g * v.y * (1 - v.y))),
    "Softmax over the batch": (MIXED, dx(lambda v: v.y * (v.g - (v.g * v.y).sum(0)))),
    "Softmax passes on": (PASSED, dx(lambda v: v.g)),
    "Softmax: zero, as under ones": ("zero", dx(lambda v: 0 * v.g)),
    "Softmax negative": (SIGN, dx(lambda v: -v.dx)),
    "Softmax coupled with a wrong sign": (WRONG_TERM, dx(lambda v: v.y * (v.g + (v.g * v.y).sum(1, keepdims=True)))),
}
LOG_SOFTMAX = {
    "LogSoftmax's diagonal": (CARRIED, dx(lambda v: v.g - np.exp(v.y) * v.g)),
    "LogSoftmax passes on": (PASSED, dx(lambda v: v.g)),
}


# ---- Dropout


class DrawingAgain(nn.Dropout):
    def backward(self, g):
        return g * self._mask(g)


class DrawingFromNumPy(nn.Module):
    def forward(self, x):
        self.save_for_backward()
        return x * (np.random.random(x.shape) > 0.5)  # noqa: NPY002

    def backward(self, g):
        self.saved()
        return g * (np.random.random(g.shape) > 0.5)  # noqa: NPY002


class Unseeded(nn.Dropout):
    def forward(self, x):
        self.generator = np.random.default_rng()
        return super().forward(x)


class MaskingInEvaluation(nn.Dropout):
    """Draws a mask in evaluation too, and leaves it out of forward alone."""

    def forward(self, x):
        training, self.training = self.training, True
        mask = self._mask(x)
        self.training = training
        self.save_for_backward(mask)
        return x * mask if training else x


DROPOUT = {
    "Dropout not scaled": (FACTOR, dx(lambda v: v.dx * (0.6 if v.module.training else 1))),
    "Dropout scaled in evaluation": (FACTOR, dx(lambda v: v.dx * (1 if v.module.training else 0.6))),
    "Dropout passes on in training": ((PASSED, MODE), dx(lambda v: v.g)),
}
DROPOUT_DEEDS = [
    Plant("Dropout draws again", DrawingAgain, X, ("random backward",)),
    Plant("Dropout draws again, seeded", lambda: DrawingAgain(generator=3), X, ("random backward",)),
    Plant("noise from np.random", DrawingFromNumPy, X, ("random backward",)),
    Plant("Dropout unseeded", Unseeded, X, ("random forward",)),
    Plant("Dropout masks in evaluation", MaskingInEvaluation, X, (MODE,)),
]


# ---- losses


def classes(rng):
    return rng.normal(size=(5, 4)), rng.integers(4, size=5)


def one_hot(v):
    return np.eye(4)[v.inputs[1]]


def error(v):
    return v.x - v.inputs[1]


MSE = {
    "MSE without 2": (FACTOR, dx(lambda v: v.dx / 2)),
    "MSE without the mean": (FACTOR, dx(lambda v: v.dx * v.dx.size)),
    "MSE over N alone": (FACTOR, dx(lambda v: v.dx * 4)),
    "MSE: target - prediction": (SIGN, dx(lambda v: -v.dx)),
    "MSE ignores upstream": (IGNORED, dx(lambda v: v.dx / v.g)),
    "MSE: squared error for error": (SLIP, dx(lambda v: v.g * error(v) ** 2)),
    "MSE: prediction for error": (SLIP, dx(lambda v: v.g * v.x / 10)),
}
L1 = {"L1: error for its sign": (SLIP, dx(lambda v: v.g * error(v) / 20))}
HUBER = {"Huber never clipped": (PARTLY, dx(lambda v: v.g * error(v)))}
BCE = {
    "BCE without sigmoid": (SLIP, dx(lambda v: v.g * error(v) / 20)),
    "BCE without the mean": (FACTOR, dx(lambda v: 20 * v.dx)),
}
CROSS_ENTROPY = {
    "cross-entropy summed": (FACTOR, dx(lambda v: v.dx * 5)),
    "cross-entropy averaged over classes too": (FACTOR, dx(lambda v: v.dx / 4)),
    "cross-entropy negative": (SIGN, dx(lambda v: -v.dx)),
    "cross-entropy without one-hot": (PARTLY, dx(lambda v: v.dx + v.g * one_hot(v) / 5)),
    "cross-entropy without softmax": (SLIP, dx(lambda v: -v.g * one_hot(v) / 5)),
    "cross-entropy ignores upstream": (IGNORED, dx(lambda v: v.dx / v.g)),
}
WEIGHTED = {"class weights forgotten": ((BY_INDEX, PARTLY), dx(lambda v: v.dx / (v.inputs[1] + 1)[:, None]))}
SMOOTHED = {"smoothing forgotten": (MISSING, dx(lambda v: v.dx + v.g * 0.2 * (0.25 - one_hot(v)) / 5))}


class AnotherDefault(nn.MSELoss):
    def backward(self, g=2.0):
        return super().backward(g)


# ---- several inputs and outputs

PRODUCT = {
    "product's gradients exchanged": ("exchanged", dx(lambda v: v.dx[::-1])),
    "product's own input": (SLIP, dx(lambda v: (v.g * v.inputs[0], v.dx[1]))),
    "product's second negative": (SIGN, dx(lambda v: (v.dx[0], -v.dx[1]))),
    "product's second None": ("missing", dx(lambda v: (v.dx[0], None))),
    "product's first without upstream": (IGNORED, dx(lambda v: (v.inputs[1], v.dx[1]))),
    "product's gradients three": ("wrong count", dx(lambda v: (*v.dx, v.g))),
}
BILINEAR = {
    "bilinear's gradients exchanged": (SHAPE, dx(lambda v: v.dx[::-1])),
    "bilinear's first doubled": (FACTOR, dx(lambda v: (2 * v.dx[0], v.dx[1]))),
    "bilinear's weight of the first sample": (
        "not summed",
        weight(lambda v: np.einsum("k,i,j->kij", v.g[0], v.inputs[0][0], v.inputs[1][0])),
    ),
    "bilinear's second from one output": (
        "not summed",
        dx(lambda v: (v.dx[0], np.outer(v.g[:, 0], np.ones(4)) * (v.inputs[0] @ v.module.weight.data[0]))),
    ),
}
BILINEAR_SQUARE = {"bilinear's weight transposed": ("transposed", weight(lambda v: v.weight.swapaxes(1, 2)))}
SPLIT = {
    "second output forgotten": ((PARTLY, "not summed"), dx(lambda v: v.dx * [1, 1, 0, 0])),
    "no 2 in the square": ((PARTLY, WRONG_TERM), dx(lambda v: v.dx * [0.5, 0.5, 1, 1])),
}
HEADS = {
    "one head of two": ("not summed", dx(lambda v: v.g["mean"] @ v.module.mean.weight.data)),
    "both heads doubled": (FACTOR, dx(lambda v: 2 * v.dx)),
}
CELL = {
    "state's gradients exchanged": ("exchanged", dx(lambda v: (v.dx[0], v.dx[1][::-1]))),
    "state's gradient not nested": ("wrong count", dx(lambda v: (v.dx[0], v.dx[1][0]))),
    "state: one path of two": ("not summed", dx(lambda v: (v.g[0], v.dx[1]))),
}


class FirstInputOnly(Product):
    def backward(self, g):
        return super().backward(g)[0]


class TwoArguments(Split):
    def backward(self, g0, g1):
        return super().backward((g0, g1))


# ---- normalisation


def parts(axis, formula):
    """Make a formula of gamma g, the standardised input and the deviation, along an axis, as in training."""

    def made(v):
        mean, std = v.x.mean(axis, keepdims=True), np.sqrt(v.x.var(axis, keepdims=True) + 1e-5)
        return formula(v.g * v.module.gamma.data, (v.x - mean) / std, std)

    return made


def batch_norm(formula):
    """Replace BatchNorm's gradient in training alone."""
    made = parts(0, formula)
    return dx(lambda v: made(v) if v.module.training else v.dx)


def layer_norm(formula):
    return dx(parts(-1, formula))


def mean(x, axis):
    return x.mean(axis, keepdims=True)


def training_in_evaluation(v):
    """BatchNorm's formula of training, from running statistics, in evaluation."""
    std = np.sqrt(v.module.running_var.data + 1e-5)
    g, h = v.g * v.module.gamma.data, (v.x - v.module.running_mean.data) / std
    return v.dx if v.module.training else (g - mean(g, 0) - h * mean(g * h, 0)) / std


BATCH_NORM = {
    "BatchNorm without the mean's term": (MISSING, batch_norm(lambda g, h, std: (g - h * mean(g * h, 0)) / std)),
    "BatchNorm without the variance's term": (MISSING, batch_norm(lambda g, h, std: (g - mean(g, 0)) / std)),
    "BatchNorm by N - 1": (WRONG_TERM, batch_norm(lambda g, h, std: (g - mean(g, 0) - h * (g * h).sum(0) / 6) / std)),
    "evaluation's formula in training": (MODE, batch_norm(lambda g, h, std: g / std)),
    "training's formula in evaluation": (MODE, dx(training_in_evaluation)),
    "BatchNorm without gamma": (BY_INDEX, dx(lambda v: v.dx / v.module.gamma.data)),
    "BatchNorm without 1/std": (
        BY_INDEX,
        batch_norm(lambda g, h, std: g - mean(g, 0) - h * mean(g * h, 0)),
    ),
    "BatchNorm over features": (
        MISSING,
        batch_norm(lambda g, h, std: (g - mean(g, 1) - h * mean(g * h, 1)) / std),
    ),
    "gamma without the input": ("exchanged", {"gamma": lambda v: v.g.sum(0)}),
    "gamma averaged": (FACTOR, {"gamma": lambda v: v.gamma / 7}),
    "beta one a sample": ("not summed", {"beta": lambda v: v.g}),
    "gamma and beta exchanged": ("exchanged", {"gamma": lambda v: v.beta, "beta": lambda v: v.gamma}),
}
LAYER_NORM = {
    "LayerNorm without the mean's term": (MISSING, layer_norm(lambda g, h, std: (g - h * mean(g * h, 1)) / std)),
    "LayerNorm without the variance's term": (MISSING, layer_norm(lambda g, h, std: (g - mean(g, 1)) / std)),
    "LayerNorm without both": (MISSING, layer_norm(lambda g, h, std: g / std)),
    "LayerNorm over the batch": (MIXED, layer_norm(lambda g, h, std: (g - mean(g, 0) - h * mean(g * h, 0)) / std)),
    "LayerNorm without 1/std": (BY_INDEX, layer_norm(lambda g, h, std: g - mean(g, 1) - h * mean(g * h, 1))),
    "LayerNorm sums for means": (
        WRONG_TERM,
        layer_norm(lambda g, h, std: (g - g.sum(1, keepdims=True) - h * (g * h).sum(1, keepdims=True)) / std),
    ),
    "LayerNorm's beta over features": ("summed twice", {"beta": lambda v: np.full(6, v.g.sum())}),
}


# ---- Conv2d


def not_flipped(v):
    padded = np.pad(v.g, ((0, 0), (0, 0), (2, 2), (2, 2)))
    return np.einsum("nohwkl,ockl->nchw", v.module.windows(padded), v.module.weight.data)


CONV = {
    "kernel's gradient flipped": ("reordered", weight(lambda v: v.weight[:, :, ::-1, ::-1])),
    "kernel not flipped": ("reordered", dx(not_flipped)),
    "kernel transposed": ("transposed", weight(lambda v: v.weight.swapaxes(2, 3))),
    "channels exchanged": ("transposed", weight(lambda v: v.weight.swapaxes(0, 1))),
    "bias over the batch alone": ("not summed", bias(lambda v: v.g.sum(0))),
    "bias at one pixel": ("not summed", bias(lambda v: v.g[:, :, 0, 0].sum(0))),
    "bias averaged over pixels": (FACTOR, bias(lambda v: v.bias / 9)),
    "bias averaged over pixels and batch": (FACTOR, bias(lambda v: v.bias / 27)),
    "weight of the first image": (
        "not summed",
        weight(lambda v: np.einsum("chwkl,ohw->ockl", v.module.windows(v.x)[0], v.g[0])),
    ),
    "border lost": (PARTLY, dx(lambda v: v.dx * np.pad(np.ones((3, 3)), 1))),
    "second channel lost": (PARTLY, dx(lambda v: v.dx * np.array([1, 0])[:, None, None])),
    "bias ignores upstream": (IGNORED, bias(lambda v: np.full(2, 27.0))),
}

PLANTED = [
    *formulas(lambda: nn.Linear(4, 3, generator=0), X, LINEAR),
    *formulas(lambda: nn.Linear(4, 4, generator=0), normal((4, 4)), SQUARE),
    *formulas(lambda: nn.Linear(4, 3, generator=0), normal((3, 5, 4)), BLOCKS),
    *LINEAR_DEEDS,
    *formulas(nn.ReLU, normal((8, 4)), RELU),
    *formulas(lambda: nn.LeakyReLU(0.1), X, LEAKY),
    *formulas(nn.Sigmoid, X, SIGMOID),
    *formulas(nn.Tanh, X, TANH),
    *formulas(nn.Tanh, normal((50, 40)), WIDE),
    *formulas(lambda: nn.Softplus(beta=3.0), X, SOFTPLUS),
    *ACTIVATION_DEEDS,
    *formulas(lambda: nn.Softmax(1), X, SOFTMAX),
    *formulas(lambda: nn.LogSoftmax(1), X, LOG_SOFTMAX),
    *formulas(lambda: nn.Dropout(0.4), normal((8, 4)), DROPOUT),
    *DROPOUT_DEEDS,
    *formulas(nn.MSELoss, PAIR, MSE),
    Plant("another default upstream", AnotherDefault, PAIR, ("default upstream",)),
    *formulas(nn.L1Loss, PAIR, L1),
    *formulas(lambda: nn.HuberLoss(delta=0.5, reduction="sum"), PAIR, HUBER),
    *formulas(nn.BCEWithLogitsLoss, lambda rng: (rng.normal(size=(5, 4)), rng.random((5, 4))), BCE),
    *formulas(nn.CrossEntropyLoss, classes, CROSS_ENTROPY),
    *formulas(lambda: nn.CrossEntropyLoss(weight=[1, 2, 3, 4], reduction="sum"), classes, WEIGHTED),
    *formulas(lambda: nn.CrossEntropyLoss(label_smoothing=0.2), classes, SMOOTHED),
    *formulas(Product, PAIR, PRODUCT),
    Plant("product's second forgotten", FirstInputOnly, PAIR, ("wrong count",)),
    *formulas(lambda: Bilinear(3, 4, 2), normal((5, 3), (5, 4)), BILINEAR),
    *formulas(lambda: Bilinear(3, 3, 2), normal((5, 3), (5, 3)), BILINEAR_SQUARE),
    *formulas(Split, X, SPLIT),
    Plant("two arguments for two outputs", TwoArguments, X, ("raised",)),
    *formulas(Heads, X, HEADS),
    *formulas(Cell, nested, CELL),
    *formulas(lambda: BatchNorm(3), normal((7, 3)), BATCH_NORM),
    *formulas(lambda: LayerNorm(6), normal((4, 6)), LAYER_NORM),
    *formulas(lambda: Conv2d(2, 2, 3), normal((3, 2, 5, 5)), CONV),
]
