"""Textbook modules that the library does not have, written correctly: BatchNorm, LayerNorm, Conv2d, and modules of
several inputs and outputs. The checker must find nothing wrong with them, and what is planted in them.
"""

import numpy as np

import nn


def normal(*shapes):
    """Draw normal arrays."""
    return lambda rng: tuple(rng.normal(size=shape) for shape in shapes)


def nested(rng):
    """Draw an input, and a state of two arrays."""
    return rng.normal(size=(5, 3)), (rng.normal(size=(5, 3)), rng.normal(size=(5, 3)))


class BatchNorm(nn.Module):
    """y = gamma (x - mean) / std + beta over the batch, or over what was seen in training; input (N, C)."""

    def __init__(self, features):
        rng = np.random.default_rng(5)
        self.gamma = nn.Parameter(rng.normal(size=features))
        self.beta = nn.Parameter(rng.normal(size=features))
        self.running_mean = nn.Buffer(rng.normal(size=features))
        self.running_var = nn.Buffer(rng.uniform(0.5, 2, features))

    def forward(self, x):
        if self.training:
            mean, var = x.mean(0), x.var(0)
            for running, now in ((self.running_mean, mean), (self.running_var, var)):
                running.data[...] = 0.9 * running.data + 0.1 * now
        else:
            mean, var = self.running_mean.data, self.running_var.data
        std = np.sqrt(var + 1e-5)
        xhat = (x - mean) / std
        self.save_for_backward(xhat, std)
        return self.gamma.data * xhat + self.beta.data

    def backward(self, g):
        xhat, std = self.saved()
        self.gamma.grad += (g * xhat).sum(0)
        self.beta.grad += g.sum(0)
        g = g * self.gamma.data
        if self.training:
            g = g - g.mean(0) - xhat * (g * xhat).mean(0)
        return g / std


class LayerNorm(nn.Module):
    """y = gamma (x - mean) / std + beta over each sample's features; input (N, C)."""

    def __init__(self, features):
        rng = np.random.default_rng(6)
        self.gamma = nn.Parameter(rng.normal(size=features))
        self.beta = nn.Parameter(rng.normal(size=features))

    def forward(self, x):
        std = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        xhat = (x - x.mean(-1, keepdims=True)) / std
        self.save_for_backward(xhat, std)
        return self.gamma.data * xhat + self.beta.data

    def backward(self, g):
        xhat, std = self.saved()
        self.gamma.grad += (g * xhat).sum(0)
        self.beta.grad += g.sum(0)
        g = g * self.gamma.data
        return (g - g.mean(-1, keepdims=True) - xhat * (g * xhat).mean(-1, keepdims=True)) / std


class Conv2d(nn.Module):
    """Cross-correlation with a K x K kernel, without padding; input (N, C, H, W), weight (O, C, K, K)."""

    def __init__(self, channels, out_channels, size):
        rng = np.random.default_rng(7)
        self.weight = nn.Parameter(rng.normal(size=(out_channels, channels, size, size)))
        self.bias = nn.Parameter(rng.normal(size=out_channels))

    def windows(self, x):
        return np.lib.stride_tricks.sliding_window_view(x, self.weight.data.shape[2:], (2, 3))

    def forward(self, x):
        self.save_for_backward(x)
        return np.einsum("nchwkl,ockl->nohw", self.windows(x), self.weight.data) + self.bias.data[:, None, None]

    def backward(self, g):
        x = self.saved()
        self.weight.grad += np.einsum("nchwkl,nohw->ockl", self.windows(x), g)
        self.bias.grad += g.sum((0, 2, 3))
        edge = self.weight.data.shape[2] - 1
        padded = np.pad(g, ((0, 0), (0, 0), (edge, edge), (edge, edge)))
        return np.einsum("nohwkl,ockl->nchw", self.windows(padded), self.weight.data[:, :, ::-1, ::-1])


class MaxPool(nn.Module):
    """The larger of each two neighbours; the first one where they tie."""

    def forward(self, x):
        pairs = x.reshape(*x.shape[:-1], -1, 2)
        first = pairs[..., 0] >= pairs[..., 1]
        self.save_for_backward(first)
        return np.where(first, pairs[..., 0], pairs[..., 1])

    def backward(self, g):
        first = self.saved()
        return np.stack([g * first, g * ~first], -1).reshape(*g.shape[:-1], -1)


class Product(nn.Module):
    """y = x0 x1, elementwise: two inputs."""

    def forward(self, x0, x1):
        self.save_for_backward(x0, x1)
        return x0 * x1

    def backward(self, g):
        x0, x1 = self.saved()
        return g * x1, g * x0


class Bilinear(nn.Module):
    """y_k = x0 W_k x1: two inputs and a parameter."""

    def __init__(self, size0, size1, out):
        self.weight = nn.Parameter(np.random.default_rng(8).normal(size=(out, size0, size1)))

    def forward(self, x0, x1):
        self.save_for_backward(x0, x1)
        return np.einsum("ni,kij,nj->nk", x0, self.weight.data, x1)

    def backward(self, g):
        x0, x1 = self.saved()
        self.weight.grad += np.einsum("nk,ni,nj->kij", g, x0, x1)
        W = self.weight.data
        return np.einsum("nk,kij,nj->ni", g, W, x1), np.einsum("nk,kij,ni->nj", g, W, x0)


class Split(nn.Module):
    """The first columns squared, and the others tripled: two outputs."""

    def forward(self, x):
        self.save_for_backward(x)
        return x[:, :2] ** 2, 3 * x[:, 2:]

    def backward(self, grads):
        x = self.saved()
        return np.concatenate([2 * x[:, :2] * grads[0], 3 * grads[1]], 1)


class Heads(nn.Module):
    """Two linear maps of one input: two outputs, in a dict."""

    def __init__(self):
        self.mean, self.scale = nn.Linear(4, 3, generator=1), nn.Linear(4, 2, generator=2)

    def forward(self, x):
        return {"mean": self.mean(x), "scale": self.scale(x)}

    def backward(self, grads):
        return self.mean.backward(grads["mean"]) + self.scale.backward(grads["scale"])


class Cell(nn.Module):
    """A state (h, c) goes in and comes out, as in a recurrent cell: nested inputs and outputs."""

    def __init__(self):
        self.weight = nn.Parameter(np.random.default_rng(9).normal(size=3))

    def forward(self, x, state):
        h, c = state
        c = c * self.weight.data + x
        self.save_for_backward(state[1], np.tanh(c))
        return c + h, (np.tanh(c), h)

    def backward(self, grads):
        gy, (gt, gh) = grads
        c, t = self.saved()
        gc = gy + gt * (1 - t * t)
        self.weight.grad += (gc * c).sum(0)
        return gc, (gy + gh, gc * self.weight.data)


# By name: how to build it, and what inputs to draw.
CORRECT = {
    "BatchNorm": (lambda: BatchNorm(3), normal((7, 3))),
    "LayerNorm": (lambda: LayerNorm(6), normal((4, 6))),
    "Conv2d": (lambda: Conv2d(2, 2, 3), normal((3, 2, 5, 5))),
    "MaxPool": (lambda: MaxPool(), normal((4, 6))),
    "Product": (lambda: Product(), normal((5, 4), (5, 4))),
    "Bilinear": (lambda: Bilinear(3, 4, 2), normal((5, 3), (5, 4))),
    "Split": (lambda: Split(), normal((5, 4))),
    "Heads": (lambda: Heads(), normal((5, 4))),
    "Cell": (lambda: Cell(), nested),
}
