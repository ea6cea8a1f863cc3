"""Statements of layers that the library does not have yet, in the language of the equations, as textbook cases.

Each has its text, the values of its symbols, and the same in PyTorch, which runs where that is installed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Statement:
    """A program and what it is run on.

    name: unique.
    text: the program.
    draw: the values of the symbols from a generator; None for what is absent.
    by: the symbols whose gradients are stated, a letter each where that is enough.
    torch: the outputs, from PyTorch's functional module and a dict of tensors.
    outputs: their symbols.
    derivative: False where a gradient is deliberately none, as for the padding of an embedding.
    """

    name: str
    text: str
    draw: Callable[[np.random.Generator], dict[str, Any]]
    by: tuple[str, ...]
    torch: Callable
    outputs: tuple[str, ...] = ("y",)
    derivative: bool = True


def drawn(settings=None, **shapes):
    """Draw normal arrays of these shapes (None stays None), beside settings."""

    def draw(rng):
        arrays = {name: None if shape is None else rng.normal(size=shape) for name, shape in shapes.items()}
        return arrays | (settings or {})

    return draw


LINEAR_INDEXED = """
    y[..., o] = b[o] + sum(x[..., i] * W[o, i], i)
    dx[..., i] += dy[..., o] * W[o, i]
    dW[o, i] += dy[..., o] * x[..., i]
    db[o] += dy[..., o]
"""
CROSS_ENTROPY = """
    p[n, c, ...] = exp(f[n, c, ...]) / sum(exp(f[n, j, ...]), j)
    s[n, c, ...] = y[n, ...] == c if indices else y[n, c, ...]
    v[n, c, ...] = w[c] * (y[n, ...] != ignored) if indices else w[c]
    t[n, c, ...] = v[n, c, ...] * ((1 - e) * s[n, c, ...] + e / f.shape[1] if e else s[n, c, ...])
    L[n, ...] = -sum(t[n, c, ...] * log(p[n, c, ...]), c)
    m = sum(v[n, c, ...] * s[n, c, ...], n, c, ...) if indices else L.size
    df[n, c, ...] = dL[n, ...] * (sum(t[n, j, ...], j) * p[n, c, ...] - t[n, c, ...])
"""
MAX_POOL2D = """
    q = pad(x, p, -inf)
    H, W = q.shape[-2], q.shape[-1]
    u, v = range(k[0]), range(k[1])
    i = range((H - d[0]*(k[0] - 1) - 1)//s[0] + 1)
    j = range((W - d[1]*(k[1] - 1) - 1)//s[1] + 1)
    y[..., i, j] = max(q[..., s[0]*i + d[0]*u, s[1]*j + d[1]*v], u, v)
    a[..., i, j], b[..., i, j] = argmax(q[..., s[0]*i + d[0]*u, s[1]*j + d[1]*v], u, v)
    dq[..., s[0]*i + d[0]*a[..., i, j], s[1]*j + d[1]*b[..., i, j]] += dy[..., i, j]
    dx = crop(dq, p)
"""
AVG_POOL2D = """
    q = pad(x, p)
    u, v = range(k[0]), range(k[1])
    i = range((q.shape[-2] - k[0])//s[0] + 1)
    j = range((q.shape[-1] - k[1])//s[1] + 1)
    y[..., i, j] = sum(q[..., s[0]*i + u, s[1]*j + v], u, v) / (k[0] * k[1])
    dq[..., s[0]*i + u, s[1]*j + v] += dy[..., i, j] / (k[0] * k[1])
    dx = crop(dq, p)
"""
ADAPTIVE_AVG_POOL2D = """
    H, W, I, J = x.shape[-2], x.shape[-1], size[0], size[1]
    i, j, u, v = range(I), range(J), range(H), range(W)
    a[i, u] = (u >= i*H//I) * (u < ((i + 1)*H + I - 1)//I)
    b[j, v] = (v >= j*W//J) * (v < ((j + 1)*W + J - 1)//J)
    A[i, u] = a[i, u] / sum(a[i, h], h)
    B[j, v] = b[j, v] / sum(b[j, w], w)
    y[..., i, j] = sum(A[i, u] * B[j, v] * x[..., u, v], u, v)
    dx[..., u, v] += A[i, u] * B[j, v] * dy[..., i, j]
"""
EMBEDDING = """
    y[..., k] = W[x[...], k]
    dW[x[...], k] += dy[..., k] * (x[...] != p)
"""
LSTM = """
    T = len(x)
    h[0] = zeros(x.shape[1], U.shape[1]) if h0 is None else h0
    c[0] = zeros(x.shape[1], U.shape[1]) if c0 is None else c0
    for t in range(T):
        a = x[t] @ W.T + b + h[t] @ U.T + r
        ai, af, ag, ao = split(a, 4)
        i[t] = sigmoid(ai)
        f[t] = sigmoid(af)
        g[t] = tanh(ag)
        o[t] = sigmoid(ao)
        c[t + 1] = f[t] * c[t] + i[t] * g[t]
        h[t + 1] = o[t] * tanh(c[t + 1])
        y[t] = h[t + 1]
    hn = h[T]
    cn = c[T]
    dh[T] = dhn
    dc[T] = dcn
    for t in reversed(range(T)):
        dh[t + 1] += dy[t]
        dc[t + 1] += dh[t + 1] * o[t] * (1 - tanh(c[t + 1])**2)
        dai = dc[t + 1] * g[t] * i[t] * (1 - i[t])
        daf = dc[t + 1] * c[t] * f[t] * (1 - f[t])
        dag = dc[t + 1] * i[t] * (1 - g[t]**2)
        dao = dh[t + 1] * tanh(c[t + 1]) * o[t] * (1 - o[t])
        da = join(dai, daf, dag, dao, -1)
        dx[t] = da @ W
        dh[t] = da @ U
        dc[t] = dc[t + 1] * f[t]
        dW += da.T @ x[t]
        dU += da.T @ h[t]
        db += da.sum(0)
        dr += da.sum(0)
    dh0 = dh[0]
    dc0 = dc[0]
"""
GRU = """
    T = len(x)
    h[0] = h0
    for t in range(T):
        ar, az, an = split(x[t] @ W.T + b, 3)
        br, bz, bn = split(h[t] @ U.T + q, 3)
        r[t] = sigmoid(ar + br)
        z[t] = sigmoid(az + bz)
        m[t] = bn
        n[t] = tanh(an + r[t] * m[t])
        h[t + 1] = (1 - z[t]) * n[t] + z[t] * h[t]
        y[t] = h[t + 1]
    for t in reversed(range(T)):
        dh[t + 1] += dy[t]
        dan = dh[t + 1] * (1 - z[t]) * (1 - n[t]**2)
        daz = dh[t + 1] * (h[t] - n[t]) * z[t] * (1 - z[t])
        dar = dan * m[t] * r[t] * (1 - r[t])
        u = join(dar, daz, dan, -1)
        v = join(dar, daz, dan * r[t], -1)
        dx[t] = u @ W
        dh[t] = dh[t + 1] * z[t] + v @ U
        dW += u.T @ x[t]
        dU += v.T @ h[t]
        db += u.sum(0)
        dq += v.sum(0)
    dh0 = dh[0]
"""
ATTENTION = """
    S = Q @ K.mT / sqrt(Q.shape[-1])
    A = softmax(where(M, S, -inf), -1)
    y = A @ V
    dV = A.mT @ dy
    dA = dy @ V.mT
    dS = A * (dA - (dA * A).sum(-1, keepdims=True))
    dQ = dS @ K / sqrt(Q.shape[-1])
    dK = dS.mT @ Q / sqrt(Q.shape[-1])
"""
PRELU = """
    y[n, c, ...] = where(x[n, c, ...] > 0, x[n, c, ...], w[c if each else 0] * x[n, c, ...])
    dx[n, c, ...] = dy[n, c, ...] * where(x[n, c, ...] > 0, 1, w[c if each else 0])
    dw[c if each else 0] += dy[n, c, ...] * x[n, c, ...] * (x[n, c, ...] <= 0)
"""
GLU = """
    a, b = split(x, 2, dim)
    s = sigmoid(b)
    y = a * s
    dx = join(dy * s, dy * a * s * (1 - s), dim)
"""
BILINEAR = """
    y[..., k] = b[k] + sum(x0[..., i] * W[k, i, j] * x1[..., j], i, j)
    dx0[..., i] += dy[..., k] * W[k, i, j] * x1[..., j]
    dx1[..., j] += dy[..., k] * W[k, i, j] * x0[..., i]
    dW[k, i, j] += dy[..., k] * x0[..., i] * x1[..., j]
    db[k] += dy[..., k]
"""
CUMULATIVE_SUM = """
    k = range(len(x))
    y[k] = sum(x[i] * (i <= k), i)
    dx[i] += dy[k] * (i <= k)
"""


def lstm(F, t):
    import torch  # needed by this twin alone

    zeros = t["x"].new_zeros(t["x"].shape[1], t["U"].shape[1])
    state = tuple(s[None] if s is not None else zeros[None] for s in (t["h0"], t["c0"]))
    weights = [w for w in (t["W"], t["U"], t["b"], t["r"]) if w is not None]
    y, h, c = torch.lstm(t["x"], state, weights, len(weights) == 4, 1, 0.0, False, False, False)
    return y, h[0], c[0]


def gru(F, t):
    import torch  # needed by this twin alone

    return torch.gru(t["x"], t["h0"][None], [t["W"], t["U"], t["b"], t["q"]], True, 1, 0.0, False, False, False)[0]


def cross_entropy(F, t):
    settings = {"ignore_index": t["ignored"], "label_smoothing": t["e"], "reduction": "none"}
    return F.cross_entropy(t["f"], t["y"], t["w"], **settings)


def attention(F, t):
    return F.scaled_dot_product_attention(t["Q"], t["K"], t["V"], t["M"])


def with_target(target, shape, **settings):
    """Logits of a shape, a target drawn by `target(rng)`, and cross-entropy's settings."""
    return lambda rng: {"w": None, "e": 0, "ignored": -100, "indices": True} | settings | {
        "f": rng.normal(size=shape), "y": target(rng)
    }  # fmt: skip


def masked(rng):
    mask = np.ones((3, 4), bool)
    mask[0, 1:] = mask[2, 0] = False
    return drawn({"M": mask}, Q=(2, 3, 2), K=(2, 4, 2), V=(2, 4, 3))(rng)


POOL = {"p": (1, 1), "k": (3, 2), "s": (2, 1), "d": (1, 2)}
W3 = np.array([0.5, 1.0, 2.0])
GATES = {"W": (8, 3), "U": (8, 2), "b": 8, "r": 8}
IDS = np.array([[0, 1, 1], [2, 0, 3]])

# fmt: off
STATEMENTS = [
    Statement("Linear", LINEAR_INDEXED, drawn(x=(2, 4, 3), W=(2, 3), b=2), ("x", "W", "b"), lambda F, t: F.linear(t["x"], t["W"], t["b"])),
    Statement("Linear-nobias", LINEAR_INDEXED, drawn(x=3, W=(2, 3), b=None), ("x", "W"), lambda F, t: F.linear(t["x"], t["W"])),
    Statement("CrossEntropy", CROSS_ENTROPY, with_target(lambda rng: rng.integers(3, size=4), (4, 3)), ("f",), cross_entropy, ("L",)),
    Statement("CrossEntropy-all", CROSS_ENTROPY, with_target(lambda rng: rng.integers(3, size=(4, 2)), (4, 3, 2), w=W3, e=0.1, ignored=1), ("f",), cross_entropy, ("L",)),
    Statement("CrossEntropy-shares", CROSS_ENTROPY, with_target(lambda rng: rng.dirichlet(np.ones(3), 4), (4, 3), w=W3, e=0.2, indices=False), ("f",), cross_entropy, ("L",)),
    Statement("MaxPool2d", MAX_POOL2D, drawn(POOL, x=(2, 2, 5, 4)), ("x",), lambda F, t: F.max_pool2d(t["x"], t["k"], t["s"], t["p"], t["d"])),
    Statement("AvgPool2d", AVG_POOL2D, drawn(POOL, x=(2, 2, 5, 4)), ("x",), lambda F, t: F.avg_pool2d(t["x"], t["k"], t["s"], t["p"])),
    Statement("AdaptiveAvgPool2d", ADAPTIVE_AVG_POOL2D, drawn({"size": (3, 2)}, x=(2, 2, 5, 4)), ("x",), lambda F, t: F.adaptive_avg_pool2d(t["x"], t["size"])),
    Statement("Embedding", EMBEDDING, drawn({"x": IDS, "p": None}, W=(5, 3)), ("W",), lambda F, t: F.embedding(t["x"], t["W"])),
    Statement("Embedding-padding", EMBEDDING, drawn({"x": IDS, "p": 1}, W=(5, 3)), ("W",), lambda F, t: F.embedding(t["x"], t["W"], 1), derivative=False),
    Statement("LSTM", LSTM, drawn(x=(3, 2, 3), h0=(2, 2), c0=(2, 2), **GATES), ("x", "W", "U", "b", "r", "h0", "c0"), lstm, ("y", "hn", "cn")),
    Statement("LSTM-plain", LSTM, drawn(x=(3, 2, 3), h0=None, c0=None, W=(8, 3), U=(8, 2), b=None, r=None), ("x", "W", "U"), lstm, ("y", "hn", "cn")),
    Statement("GRU", GRU, drawn(x=(3, 2, 3), h0=(2, 2), W=(6, 3), U=(6, 2), b=6, q=6), ("x", "W", "U", "b", "q", "h0"), gru),
    Statement("Attention", ATTENTION, drawn({"M": None}, Q=(2, 3, 2), K=(2, 4, 2), V=(2, 4, 3)), ("Q", "K", "V"), attention),
    Statement("Attention-mask", ATTENTION, masked, ("Q", "K", "V"), attention),
    Statement("PReLU", PRELU, drawn({"each": True}, x=(3, 2, 2), w=2), ("x", "w"), lambda F, t: F.prelu(t["x"], t["w"])),
    Statement("PReLU-one", PRELU, drawn({"each": False}, x=(3, 2), w=1), ("x", "w"), lambda F, t: F.prelu(t["x"], t["w"])),
    Statement("GLU", GLU, drawn({"dim": 1}, x=(3, 4, 2)), ("x",), lambda F, t: F.glu(t["x"], t["dim"])),
    Statement("Bilinear", BILINEAR, drawn(x0=(4, 3), x1=(4, 2), W=(2, 3, 2), b=2), ("x0", "x1", "W", "b"), lambda F, t: F.bilinear(t["x0"], t["x1"], t["W"], t["b"])),
    Statement("CumulativeSum", CUMULATIVE_SUM, drawn(x=5), ("x",), lambda F, t: t["x"].cumsum(0)),
]
# fmt: on
