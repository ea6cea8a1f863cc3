"""Linear maps: where it all begins, bias and all."""

import numpy as np

import nn

from .exhibit import Exhibit, normal, weight


class Columns(nn.Module):
    """y = W x + b with one sample a column; input (2, N)."""

    def __init__(self):
        self.W, self.b = weight(3, 2), weight(3, 1)

    def forward(self, x):
        self.save_for_backward(x)
        return self.W.data @ x + self.b.data

    def backward(self, g):
        x = self.saved()
        self.W.grad += g @ x.T
        self.b.grad += g.sum(1, keepdims=True)
        return self.W.data.T @ g


class Neuron(nn.Module):
    """y = tanh(w x), whose inner node keeps its gradient as nodes of a graph do; input (N,)."""

    def __init__(self):
        self.w = nn.Parameter(0.7)
        self.inner = None

    def forward(self, x):
        y = np.tanh(self.w.data * x)
        if np.shape(self.inner) != x.shape:
            self.inner = np.zeros_like(x)
        self.save_for_backward(x, y)
        return y

    def backward(self, g):
        x, y = self.saved()
        self.inner[...] = 0
        self.inner += g * (1 - y**2)
        self.w.grad += (self.inner * x).sum()
        return self.inner * self.w.data


EXHIBITS = [
    Exhibit(
        "A course on language, the bias of a word",
        2020,
        "https://github.com/rust0258/Deeplearning.ai-Natural-Language-Processing-Specialization/issues/62",
        "The bias's gradient is the layer's own, summed over the batch. Here it is the weight's gradient that is "
        "summed. Where each sample's numbers add up to one, as an average of one-hot vectors does, the two are equal: "
        "the mistake fits its course perfectly.",
        Columns,
        "g.sum(1, keepdims=True)",
        "(g @ x.T).sum(1, keepdims=True)",
        normal((2, 5)),
        {"b": ("factor by output", "exchanged")},
    ),
    Exhibit(
        "micrograd, backward called twice",
        2025,
        "https://github.com/karpathy/micrograd/pull/102",
        "Gradients add up, so that a value can be used twice. That of an inner node adds up over calls, too, unless "
        "somebody clears it, and passes on the old with the new. One call is right, and two calls are not twice one.",
        Neuron,
        "        self.inner[...] = 0\n",
        "",
        normal((5,)),
        dict.fromkeys(("input", "w"), ("stale values",)),
    ),
]
