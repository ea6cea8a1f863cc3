"""Recurrence: what one step owes the step before."""

import numpy as np

import nn

from .exhibit import Exhibit, normal, weight


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class LSTM(nn.Module):
    """Returns the state h of every step and the last cell state c; input (T, N, 2)."""

    def __init__(self):
        self.w = weight(8, 4)
        self.bf, self.bi, self.bo, self.bz = (nn.Parameter([0.1 * k, -0.3]) for k in range(4))

    def forward(self, x):
        h = c = np.zeros((x.shape[1], 2))
        steps, hs = [], []
        for xt in x:
            v = np.concatenate([xt, h], 1)
            f, i, o, z = np.split(v @ self.w.data.T, 4, axis=1)
            f, i = sigmoid(f + self.bf.data), sigmoid(i + self.bi.data)
            o, z = sigmoid(o + self.bo.data), np.tanh(z + self.bz.data)
            before, c = c, f * c + i * z
            h = o * np.tanh(c)
            steps.append((v, f, i, o, z, before, np.tanh(c)))
            hs.append(h)
        self.save_for_backward(steps)
        return np.stack(hs), c

    def backward(self, g):
        dhs, dc_last = g
        dx, dh, dc = np.zeros_like(dhs), 0, dc_last
        for t, (v, f, i, o, z, before, tanh_c) in reversed(list(enumerate(self.saved()))):
            dh = dh + dhs[t]
            dc = dc + dh * o * (1 - tanh_c**2)
            df = dc * before * f * (1 - f)
            di = dc * z * i * (1 - i)
            do = dh * tanh_c * o * (1 - o)
            dz = dc * i * (1 - z**2)
            da = np.concatenate([df, di, do, dz], 1)
            self.w.grad += da.T @ v
            self.bf.grad += df.sum(0)
            self.bi.grad += di.sum(0)
            self.bo.grad += do.sum(0)
            self.bz.grad += dz.sum(0)
            dv = da @ self.w.data
            dx[t], dh, dc = dv[:, :2], dv[:, 2:], dc * f
        return dx


X = normal((3, 2, 2))
ARRAYS = ("input", "w", "bf", "bi", "bo", "bz")


def all_of(*kinds):
    return dict.fromkeys(ARRAYS, kinds)


EXHIBITS = [
    Exhibit(
        "An LSTM in NumPy, the forget gate",
        2023,
        "https://github.com/CaptainE/RNN-LSTM-in-numpy/issues/1",
        "The logistic function's derivative is f (1 - f). The forget gate is multiplied by f itself. That keeps the "
        "sign of the gate's own gradient, and the gradient as a whole points so nearly the right way that training "
        "goes on.",
        LSTM,
        "df = dc * before * f * (1 - f)",
        "df = dc * before * f",
        X,
        all_of("elementwise slip"),
    ),
    Exhibit(
        "An LSTM in NumPy, the step before",
        2023,
        "https://github.com/CaptainE/RNN-LSTM-in-numpy/issues/1",
        "The same code computes what the state and the cell owe to the step before, and drops it. Each step learns by "
        "itself: a network made to remember, trained without a memory. On a sequence of one step it is right.",
        LSTM,
        "dx[t], dh, dc = dv[:, :2], dv[:, 2:], dc * f",
        "dx[t], dh, dc = dv[:, :2], 0, 0",
        X,
        all_of("not carried"),
    ),
    Exhibit(
        "numpy-ml, one bias for three gates",
        2019,
        "https://github.com/ddbourgin/numpy-ml/issues/42",
        "Here forward is mistaken: the forget and the update gate add the output gate's bias, and their own are "
        "never read. Backward, as rebuilt here, is that of the layer that was meant. Biases that begin at zero are "
        "equal, so that the first outputs are right.",
        LSTM,
        "f, i = sigmoid(f + self.bf.data), sigmoid(i + self.bi.data)",
        "f, i = sigmoid(f + self.bo.data), sigmoid(i + self.bo.data)",
        X,
        {"bf": ("unused",), "bi": ("unused",), "bo": ("missing term",)},
    ),
    Exhibit(
        "DL4J, the last cell state",
        2020,
        "https://github.com/deeplearning4j/deeplearning4j/issues/8838",
        "The layer returns all its states and the last cell state. Backward takes two gradients and begins as if the "
        "second were zero. Whoever uses the states alone, and most do, will never know.",
        LSTM,
        "dx, dh, dc = np.zeros_like(dhs), 0, dc_last",
        "dx, dh, dc = np.zeros_like(dhs), 0, 0",
        X,
        all_of("not summed", "missing term"),
    ),
    Exhibit(
        "learn_dl, the forget gate's delta",
        2019,
        "https://github.com/hanbt/learn_dl/issues/53",
        "Three lines, two of them as if pasted: the biases of the input and the output gate are given the forget "
        "gate's delta. The weights are right, and three biases learn the same thing.",
        LSTM,
        "self.bi.grad += di.sum(0)\n            self.bo.grad += do.sum(0)",
        "self.bi.grad += df.sum(0)\n            self.bo.grad += df.sum(0)",
        X,
        {"bi": ("exchanged",), "bo": ("exchanged",)},
    ),
    Exhibit(
        "MXNet's LSTM example",
        2016,
        "https://github.com/apache/mxnet/issues/4057",
        "Two gradients meet in the cell: the state's, and that of the step after. An equals sign lets the first "
        "replace the second, and no gradient passes from cell to cell, the one road that an LSTM was built for. On "
        "a sequence of one step nothing is lost.",
        LSTM,
        "dc = dc + dh * o * (1 - tanh_c**2)",
        "dc = dh * o * (1 - tanh_c**2)",
        X,
        all_of("not carried"),
    ),
]
