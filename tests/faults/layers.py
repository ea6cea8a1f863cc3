"""Textbook layers, written correctly and as people write them: loops where they loop, caches where they cache.

`faults.table` plants mistakes in them, by an edit to the text of a class.
"""

import numpy as np

import nn


def weight(*shape, seed=0):
    """Return a Parameter of normal numbers."""
    return nn.Parameter(np.random.default_rng([seed, *shape]).normal(size=shape))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class Layer(nn.Module):
    def forward(self, *inputs):
        y, *cache = self.run(*inputs)
        self.save_for_backward(cache)
        return y


class Loss(nn.Loss):
    def __init__(self):
        super().__init__("mean")

    def forward(self, *inputs):
        y, *cache = self.run(*inputs)
        self.save_for_backward(cache)
        return y


# ---- convolution and pooling: images are (N, C, H, W), sequences (N, C, T)


class Conv2d(Layer):
    """A 3 x 3 kernel, with a stride of 2 and one row and column of padding."""

    def __init__(self, stride=2):
        self.w, self.b, self.stride = weight(3, 2, 3, 3), weight(3), stride

    def run(self, x):
        p, s, w = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), self.stride, self.w.data
        n, h, k = len(x), (x.shape[2] - 1) // s + 1, (x.shape[3] - 1) // s + 1
        y = np.zeros((n, len(w), h, k))
        for i in range(h):
            for j in range(k):
                y[:, :, i, j] = np.tensordot(p[:, :, i * s : i * s + 3, j * s : j * s + 3], w, ((1, 2, 3), (1, 2, 3)))
        return y + self.b.data[:, None, None], p

    def backward(self, g):
        (p,), s, w = self.saved(), self.stride, self.w.data
        self.b.grad += g.sum((0, 2, 3))
        dp, dw = np.zeros_like(p), np.zeros_like(w)
        for i in range(g.shape[2]):
            for j in range(g.shape[3]):
                rows, columns = slice(i * s, i * s + 3), slice(j * s, j * s + 3)
                dp[:, :, rows, columns] += np.tensordot(g[:, :, i, j], w, 1)
                dw += np.tensordot(g[:, :, i, j], p[:, :, rows, columns], (0, 0))
        self.w.grad += dw
        return dp[:, :, 1:-1, 1:-1]


class Conv1d(Layer):
    """A kernel of 3 without padding."""

    def __init__(self):
        self.w, self.b = weight(3, 2, 3), weight(3)

    def run(self, x):
        t = x.shape[2] - 2
        y = sum(np.einsum("nct,oc->not", x[:, :, k : k + t], self.w.data[:, :, k]) for k in range(3))
        return y + self.b.data[:, None], x

    def backward(self, g):
        (x,), dx, t = self.saved(), 0.0, g.shape[2]
        dx = np.zeros_like(x)
        for k in range(3):
            dx[:, :, k : k + t] += np.einsum("not,oc->nct", g, self.w.data[:, :, k])
            self.w.grad[:, :, k] += np.einsum("not,nct->oc", g, x[:, :, k : k + t])
        self.b.grad += g.sum((0, 2))
        return dx


class Depthwise(Layer):
    """A causal kernel of 3 for each channel of its own, dilated by 2."""

    def __init__(self):
        self.w = weight(4, 3)

    def run(self, x):
        p = np.pad(x, ((0, 0), (0, 0), (4, 0)))
        return sum(p[:, :, 2 * k : 2 * k + x.shape[2]] * self.w.data[:, k, None] for k in range(3)), p

    def backward(self, g):
        (p,), t = self.saved(), g.shape[2]
        dp = np.zeros_like(p)
        for k in range(3):
            dp[:, :, 2 * k : 2 * k + t] += g * self.w.data[:, k, None]
            self.w.grad[:, k] += (g * p[:, :, 2 * k : 2 * k + t]).sum((0, 2))
        return dp[:, :, 4:]


class Upsample(Layer):
    """A transposed convolution along time, with a kernel of 3 and a stride of 2."""

    def __init__(self):
        self.w = weight(2, 3, 3)

    def run(self, x):
        y = np.zeros((len(x), 3, 2 * x.shape[2] + 1))
        for t in range(x.shape[2]):
            y[:, :, 2 * t : 2 * t + 3] += np.einsum("nc,cok->nok", x[:, :, t], self.w.data)
        return y, x

    def backward(self, g):
        (x,) = self.saved()
        dx = np.zeros_like(x)
        for t in range(x.shape[2]):
            window = g[:, :, 2 * t : 2 * t + 3]
            dx[:, :, t] = np.einsum("nok,cok->nc", window, self.w.data)
            self.w.grad += np.einsum("nc,nok->cok", x[:, :, t], window)
        return dx


class MaxPool2d(Layer):
    """The largest of each 3 x 3, in steps of 2: windows overlap."""

    def run(self, x):
        h, w = (x.shape[2] - 1) // 2, (x.shape[3] - 1) // 2
        y = np.zeros((*x.shape[:2], h, w))
        for i in range(h):
            for j in range(w):
                y[:, :, i, j] = x[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((2, 3))
        return y, x, y

    def backward(self, g):
        x, y = self.saved()
        dx = np.zeros_like(x)
        for i in range(g.shape[2]):
            for j in range(g.shape[3]):
                window = x[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
                mask = window == y[:, :, i, j][..., None, None]
                first = mask & (mask.reshape(*mask.shape[:2], 9).cumsum(-1).reshape(mask.shape) == 1)
                dx[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += first * g[:, :, i, j][..., None, None]
        return dx


class AvgPool2d(Layer):
    """The mean of each 2 x 2."""

    def run(self, x):
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5)), x

    def backward(self, g):
        self.saved()
        return np.repeat(np.repeat(g, 2, 2), 2, 3) / 4


class GlobalPool(Layer):
    """The largest and the mean over all positions, side by side."""

    def run(self, x):
        flat = x.reshape(*x.shape[:2], -1)
        return np.concatenate([flat.max(-1), flat.mean(-1)], 1), x

    def backward(self, g):
        (x,) = self.saved()
        flat, (a, b) = x.reshape(*x.shape[:2], -1), np.split(g, 2, 1)
        largest = np.eye(flat.shape[-1])[flat.argmax(-1)]
        return (largest * a[..., None] + b[..., None] / flat.shape[-1]).reshape(x.shape)


class PaddedMaxPool(Layer):
    """The largest of each 3 along time, in steps of 2, with one entry of padding on both sides."""

    def run(self, x):
        p = np.pad(x, ((0, 0), (0, 0), (1, 1)), constant_values=-np.inf)
        steps = range((x.shape[2] - 1) // 2 + 1)
        places = np.stack([2 * t + p[:, :, 2 * t : 2 * t + 3].argmax(2) for t in steps], 2)
        return np.take_along_axis(p, places, 2), x.shape, places

    def backward(self, g):
        shape, places = self.saved()
        dp = np.zeros((*shape[:2], shape[2] + 2))
        n, c = np.indices(shape[:2])
        for t in range(g.shape[2]):
            dp[n, c, places[:, :, t]] += g[:, :, t]
        return dp[:, :, 1:-1]


class TiedMaxPool(Layer):
    """The larger of each two; of equal ones the first."""

    def run(self, x):
        pairs = x.reshape(*x.shape[:2], -1, 2)
        y = pairs.max(-1)
        return y, pairs, y

    def backward(self, g):
        pairs, y = self.saved()
        mask = pairs == y[..., None]
        mask[..., 1] &= ~mask[..., 0]
        return (mask * g[..., None]).reshape(*g.shape[:2], -1)


class PaddedAvgPool(Layer):
    """The mean of each 3 along time, in steps of 2, with a zero on both sides, which does not count."""

    def run(self, x):
        p, ones = np.pad(x, ((0, 0), (0, 0), (1, 1))), np.pad(np.ones(x.shape[2]), 1)
        steps = range((x.shape[2] - 1) // 2 + 1)
        counts = [ones[2 * t : 2 * t + 3].sum() for t in steps]
        return np.stack([p[:, :, 2 * t : 2 * t + 3].sum(2) for t in steps], 2) / counts, x.shape, counts

    def backward(self, g):
        shape, counts = self.saved()
        dp = np.zeros((*shape[:2], shape[2] + 2))
        for t in range(g.shape[2]):
            dp[:, :, 2 * t : 2 * t + 3] += (g[:, :, t] / counts[t])[..., None]
        return dp[:, :, 1:-1]


class AdaptivePool(Layer):
    """The means of 3 windows that cover 8 entries; neighbours share some."""

    windows = ((0, 3), (2, 6), (5, 8))

    def run(self, x):
        return np.stack([x[:, :, a:b].mean(2) for a, b in self.windows], 2), x

    def backward(self, g):
        (x,) = self.saved()
        dx = np.zeros_like(x)
        for i, (a, b) in enumerate(self.windows):
            dx[:, :, a:b] += (g[:, :, i] / (b - a))[..., None]
        return dx


class PowerPool(Layer):
    """The length of each two entries, as of a vector."""

    def run(self, x):
        pairs = x.reshape(*x.shape[:2], -1, 2)
        y = np.sqrt((pairs**2).sum(-1))
        return y, pairs, y

    def backward(self, g):
        pairs, y = self.saved()
        return ((g / y)[..., None] * pairs).reshape(*g.shape[:2], -1)


class Unpool(Layer):
    """Each entry goes to its place among 6; zeros elsewhere."""

    def run(self, x, k):
        y = np.zeros((*x.shape[:2], 6))
        np.put_along_axis(y, k, x, 2)
        return y, k

    def backward(self, g):
        (k,) = self.saved()
        return np.take_along_axis(g, k, 2), None


class ReflectionPad(Layer):
    """Two entries more on both sides, in a mirror at the edge."""

    def run(self, x):
        return np.pad(x, ((0, 0), (0, 0), (2, 2)), "reflect"), x.shape

    def backward(self, g):
        self.saved()
        dx = g[:, :, 2:-2].copy()
        for k in (1, 2):
            dx[:, :, k] += g[:, :, 2 - k]
            dx[:, :, -1 - k] += g[:, :, k - 3]
        return dx


class ReplicationPad(Layer):
    """The first entry twice more, and the last once."""

    def run(self, x):
        return np.pad(x, ((0, 0), (0, 0), (2, 1)), "edge"), x.shape

    def backward(self, g):
        self.saved()
        dx = g[:, :, 2:-1].copy()
        dx[:, :, 0] += g[:, :, :2].sum(2)
        dx[:, :, -1] += g[:, :, -1]
        return dx


class CircularPad(Layer):
    """The last two entries before the first, and the first behind the last."""

    def run(self, x):
        return np.pad(x, ((0, 0), (0, 0), (2, 1)), "wrap"), x.shape

    def backward(self, g):
        self.saved()
        dx = g[:, :, 2:-1].copy()
        dx[:, :, -2:] += g[:, :, :2]
        dx[:, :, 0] += g[:, :, -1]
        return dx


class Columns(Layer):
    """The windows of 2 x 2, as columns."""

    def run(self, x):
        n, c, h, w = x.shape
        parts = [x[:, :, i : i + h - 1, j : j + w - 1] for i in range(2) for j in range(2)]
        return np.stack(parts, 2).reshape(n, 4 * c, (h - 1) * (w - 1)), x

    def backward(self, g):
        (x,) = self.saved()
        n, c, h, w = x.shape
        dx = np.zeros_like(x)
        parts = g.reshape(n, c, 4, h - 1, w - 1)
        for i in range(2):
            for j in range(2):
                dx[:, :, i : i + h - 1, j : j + w - 1] += parts[:, :, 2 * i + j]
        return dx


class FromColumns(Layer):
    """Windows of 2 along a row of 5, as columns, added up to the row."""

    def run(self, x):
        n, c, t = x.shape
        y = np.zeros((n, c // 2, t + 1))
        parts = x.reshape(n, c // 2, 2, t)
        for u in range(2):
            y[:, :, u : u + t] += parts[:, :, u]
        return y, x

    def backward(self, g):
        (x,) = self.saved()
        t = x.shape[2]
        return np.stack([g[:, :, u : u + t] for u in range(2)], 2).reshape(x.shape)


# ---- other sizes, other places


class NearestUpsample(Layer):
    """Twice the height and three times the width, by repetition."""

    def run(self, x):
        return np.repeat(np.repeat(x, 2, 2), 3, 3), x

    def backward(self, g):
        (x,) = self.saved()
        n, c, h, w = x.shape
        return g.reshape(n, c, h, 2, w, 3).sum((3, 5))


class LinearUpsample(Layer):
    """Five entries from three, along lines between them: 0, a half, 1, one and a half, 2."""

    def run(self, x):
        i, j, t = np.array([0, 0, 1, 1, 2]), np.array([1, 1, 2, 2, 2]), np.array([0, 0.5, 0, 0.5, 0])
        return (1 - t) * x[..., i] + t * x[..., j], i, j, t, x

    def backward(self, g):
        i, j, t, x = self.saved()
        dx = np.zeros_like(x)
        np.add.at(dx, (..., i), (1 - t) * g)
        np.add.at(dx, (..., j), t * g)
        return dx


class PixelShuffle(Layer):
    """Each 2 x 2 x 1 channels at a pixel become 2 x 2 pixels."""

    def run(self, x):
        n, c, h, w = x.shape
        parts = x.reshape(n, c // 4, 2, 2, h, w)
        return parts.transpose(0, 1, 4, 2, 5, 3).reshape(n, c // 4, 2 * h, 2 * w), x.shape

    def backward(self, g):
        (shape,) = self.saved()
        n, c, h, w = shape
        parts = g.reshape(n, c // 4, h, 2, w, 2)
        return parts.transpose(0, 1, 3, 5, 2, 4).reshape(shape)


class AlphaDropout(Layer):
    """A fixed mask; what it drops becomes -1.758, and all is scaled and shifted."""

    def run(self, x):
        k = np.arange(x.size).reshape(x.shape) % 3 > 0
        a, s = 0.9, -1.758
        return a * np.where(k, x, s) + 0.4, k, a

    def backward(self, g):
        k, a = self.saved()
        return a * k * g


# ---- norms


class BatchNorm2d(Layer):
    """Each channel standardised over the batch and all positions."""

    def __init__(self):
        self.gamma, self.beta = weight(3), weight(3, seed=1)

    def run(self, x):
        std = np.sqrt(x.var((0, 2, 3), keepdims=True) + 1e-5)
        h = (x - x.mean((0, 2, 3), keepdims=True)) / std
        return self.gamma.data[:, None, None] * h + self.beta.data[:, None, None], h, std

    def backward(self, g):
        h, std = self.saved()
        axes = (0, 2, 3)
        self.gamma.grad += (g * h).sum((0, 2, 3))
        self.beta.grad += g.sum((0, 2, 3))
        dh = g * self.gamma.data[:, None, None]
        return (dh - dh.mean(axes, keepdims=True) - h * (dh * h).mean(axes, keepdims=True)) / std


class LayerNorm(Layer):
    """The last axis standardised; input (N, T, D)."""

    def __init__(self):
        self.gamma, self.beta = weight(6), weight(6, seed=1)

    def run(self, x):
        c = x - x.mean(-1, keepdims=True)
        std = np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5)
        return self.gamma.data * c / std + self.beta.data, c, std

    def backward(self, g):
        c, std = self.saved()
        self.gamma.grad += (g * c / std).sum((0, 1))
        self.beta.grad += g.sum((0, 1))
        dh = g * self.gamma.data
        dvar = -(dh * c).mean(-1, keepdims=True) / std**3
        dc = dh / std + dvar * c
        return dc - dc.mean(-1, keepdims=True)


class RMSNorm(Layer):
    """The last axis over its root mean square."""

    def __init__(self):
        self.gamma = weight(5)

    def run(self, x):
        r = np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)
        return self.gamma.data * x / r, x, r

    def backward(self, g):
        x, r = self.saved()
        self.gamma.grad += (g * x / r).sum((0, 1))
        dh = g * self.gamma.data
        return dh / r - x * (dh * x).mean(-1, keepdims=True) / r**3


class GroupNorm(Layer):
    """Two groups of two channels each."""

    def __init__(self):
        self.gamma, self.beta = weight(4), weight(4, seed=1)

    def run(self, x):
        v = x.reshape(len(x), 2, -1)
        std = np.sqrt(v.var(-1, keepdims=True) + 1e-5)
        h = (v - v.mean(-1, keepdims=True)) / std
        return self.gamma.data[:, None] * h.reshape(x.shape) + self.beta.data[:, None], h, std

    def backward(self, g):
        h, std = self.saved()
        self.gamma.grad += (g * h.reshape(g.shape)).sum((0, 2))
        self.beta.grad += g.sum((0, 2))
        dh = (g * self.gamma.data[:, None]).reshape(h.shape)
        dx = (dh - dh.mean(-1, keepdims=True) - h * (dh * h).mean(-1, keepdims=True)) / std
        return dx.reshape(g.shape)


class InstanceNorm2d(Layer):
    """Each channel of each image standardised over its positions."""

    def __init__(self):
        self.gamma, self.beta = weight(3), weight(3, seed=1)

    def run(self, x):
        std = np.sqrt(x.var((2, 3), keepdims=True) + 1e-5)
        h = (x - x.mean((2, 3), keepdims=True)) / std
        return self.gamma.data[:, None, None] * h + self.beta.data[:, None, None], h, std

    def backward(self, g):
        h, std = self.saved()
        axes = (2, 3)
        self.gamma.grad += (g * h).sum((0, 2, 3))
        self.beta.grad += g.sum((0, 2, 3))
        dh = g * self.gamma.data[:, None, None]
        return (dh - dh.mean(axes, keepdims=True) - h * (dh * h).mean(axes, keepdims=True)) / std


class TrackingNorm(Layer):
    """Features standardised over the batch in training, by running statistics in evaluation."""

    def __init__(self):
        self.gamma, self.beta = weight(3), weight(3, seed=1)
        self.mean, self.var = nn.Buffer(np.array([0.5, -1.0, 2.0])), nn.Buffer(np.array([0.3, 2.0, 5.0]))

    def run(self, x):
        n, eps = len(x), 1e-5
        if self.training:
            m, v = x.mean(0), x.var(0)
            self.mean.data += 0.1 * (m - self.mean.data)
            self.var.data += 0.1 * (v * n / (n - 1) - self.var.data)
        else:
            m, v = self.mean.data, self.var.data
        h = (x - m) / np.sqrt(v + eps)
        return self.gamma.data * h + self.beta.data, h, v + eps

    def backward(self, g):
        h, v = self.saved()
        n = len(g)
        self.gamma.grad += (g * h).sum(0)
        self.beta.grad += g.sum(0)
        dh = g * self.gamma.data
        if self.training:
            dh = dh - dh.sum(0) / n - h * (dh * h).sum(0) / n
        return dh / np.sqrt(v)


class ResponseNorm(Layer):
    """Each channel over a power of what its neighbours and it make of their squares; input (N, C, T)."""

    def run(self, x):
        p = np.pad(x * x, ((0, 0), (1, 1), (0, 0)))
        u = 1 + 0.5 * (p[:, :-2] + p[:, 1:-1] + p[:, 2:])
        return x * u**-0.75, x, u

    def backward(self, g):
        x, u = self.saved()
        t = np.pad(g * x * u**-1.75, ((0, 0), (1, 1), (0, 0)))
        return g * u**-0.75 - 0.75 * x * (t[:, :-2] + t[:, 1:-1] + t[:, 2:])


class Normalize(Layer):
    """Rows of length 1."""

    def run(self, x):
        r = np.sqrt((x * x).sum(-1, keepdims=True))
        return x / r, x / r, r

    def backward(self, g):
        y, r = self.saved()
        return (g - y * (g * y).sum(-1, keepdims=True)) / r


class WeightNorm(Layer):
    """A linear map of rows g v / |v|."""

    def __init__(self):
        self.v, self.scale = weight(3, 4), weight(3)

    def run(self, x):
        r = np.sqrt((self.v.data**2).sum(1, keepdims=True))
        return x @ (self.scale.data[:, None] * self.v.data / r).T, x, r

    def backward(self, g):
        x, r = self.saved()
        u, s = self.v.data / r, self.scale.data[:, None]
        dw = g.T @ x
        self.scale.grad += (dw * u).sum(1)
        self.v.grad += s * (dw - u * (dw * u).sum(1, keepdims=True)) / r
        return g @ (s * u)


# ---- recurrent: sequences are (T, N, D)


class RNN(Layer):
    """h = tanh(W x + U h + b), from zero."""

    def __init__(self):
        self.w, self.u, self.b = weight(4, 3), weight(4, 4), weight(4)

    def run(self, x):
        h = [np.zeros((x.shape[1], 4))]
        for t in range(len(x)):
            h.append(np.tanh(x[t] @ self.w.data.T + h[-1] @ self.u.data.T + self.b.data))
        return np.stack(h[1:]), x, h

    def backward(self, g):
        x, h = self.saved()
        dx, dh = np.zeros_like(x), 0.0
        for t in reversed(range(len(x))):
            da = (g[t] + dh) * (1 - h[t + 1] ** 2)
            self.w.grad += da.T @ x[t]
            self.u.grad += da.T @ h[t]
            self.b.grad += da.sum(0)
            dx[t] = da @ self.w.data
            dh = da @ self.u.data
        return dx


class LSTM(Layer):
    """Gates i, f, o and the candidate, each of the input and of h."""

    def __init__(self, size=3, hidden=2):
        self.w, self.u, self.b = weight(4 * hidden, size), weight(4 * hidden, hidden), weight(4 * hidden)

    def run(self, x):
        n = self.u.data.shape[1]
        h, c, cache, outputs = np.zeros((x.shape[1], n)), np.zeros((x.shape[1], n)), [], []
        for t in range(len(x)):
            a = x[t] @ self.w.data.T + h @ self.u.data.T + self.b.data
            i, f, o, z = *sigmoid(a[:, : 3 * n]).reshape(-1, 3, n).swapaxes(0, 1), np.tanh(a[:, 3 * n :])
            new = f * c + i * z
            cache.append((i, f, o, z, c, h, np.tanh(new)))
            c, h = new, o * np.tanh(new)
            outputs.append(h)
        return np.stack(outputs), x, cache

    def backward(self, g):
        x, cache = self.saved()
        dx, dh, dc = np.zeros_like(x), 0.0, 0.0
        for t in reversed(range(len(x))):
            i, f, o, z, c, h, tc = cache[t]
            dh = dh + g[t]
            dc = dc + dh * o * (1 - tc**2)
            di, df, do, dz = dc * z, dc * c, dh * tc, dc * i
            da = np.concatenate([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dz * (1 - z**2)], 1)
            self.w.grad += da.T @ x[t]
            self.u.grad += da.T @ h
            self.b.grad += da.sum(0)
            dx[t] = da @ self.w.data
            dh = da @ self.u.data
            dc = dc * f
        return dx


class GRU(Layer):
    """Gates r and z, and the candidate from r h; returns the last state alone."""

    def __init__(self):
        self.w, self.u = weight(9, 2), weight(9, 3)

    def run(self, x, h):
        cache = []
        for t in range(len(x)):
            wr, wz, wc = np.split(x[t] @ self.w.data.T, 3, 1)
            ur, uz, uc = np.split(self.u.data, 3)
            r, z = sigmoid(wr + h @ ur.T), sigmoid(wz + h @ uz.T)
            c = np.tanh(wc + (r * h) @ uc.T)
            cache.append((r, z, c, h))
            h = (1 - z) * h + z * c
        return h, x, cache

    def backward(self, g):
        x, cache = self.saved()
        dx, dh = np.zeros_like(x), g
        ur, uz, uc = np.split(self.u.data, 3)
        for t in reversed(range(len(x))):
            r, z, c, h = cache[t]
            dc = dh * z * (1 - c**2)
            dz = dh * (c - h) * z * (1 - z)
            drh = dc @ uc
            dr = drh * h * r * (1 - r)
            da = np.concatenate([dr, dz, dc], 1)
            self.w.grad += da.T @ x[t]
            self.u.grad += np.concatenate([dr.T @ h, dz.T @ h, dc.T @ (r * h)])
            dx[t] = da @ self.w.data
            dh = dh * (1 - z) + drh * r + dr @ ur + dz @ uz
        return dx, dh


class CumulativeSum(Layer):
    """Running sums over time, weighed by a decay."""

    def run(self, x):
        y = np.zeros_like(x)
        for t in range(len(x)):
            y[t] = x[t] + (0.8 * y[t - 1] if t else 0)
        return (y,)

    def backward(self, g):
        self.saved()
        dx = np.zeros_like(g)
        for t in reversed(range(len(g))):
            dx[t] = g[t] + (0.8 * dx[t + 1] if t + 1 < len(g) else 0)
        return dx


# ---- attention and embeddings


class Attention(Layer):
    """softmax(q k / sqrt(d)) v, for one head; (N, T, d)."""

    def run(self, q, k, v):
        d = q.shape[-1]
        p = softmax(q @ k.swapaxes(1, 2) / np.sqrt(d))
        return p @ v, q, k, v, p

    def backward(self, g):
        q, k, v, p = self.saved()
        dv = p.swapaxes(1, 2) @ g
        dp = g @ v.swapaxes(1, 2)
        ds = p * (dp - (dp * p).sum(-1, keepdims=True))
        ds = ds / np.sqrt(q.shape[-1])
        dq = ds @ k
        dk = ds.swapaxes(1, 2) @ q
        return dq, dk, dv


class SelfAttention(Layer):
    """One head, causal, with projections; (N, T, D)."""

    def __init__(self):
        self.wq, self.wk, self.wv, self.wo = (weight(4, 4, seed=seed) for seed in range(4))

    def run(self, x):
        q, k, v = (x @ w.data for w in (self.wq, self.wk, self.wv))
        s = q @ k.swapaxes(1, 2) / 2
        p = softmax(np.where(np.tri(x.shape[1]) > 0, s, -1e9))
        a = p @ v
        return a @ self.wo.data, x, q, k, v, p, a

    def backward(self, g):
        x, q, k, v, p, a = self.saved()
        self.wo.grad += np.einsum("nti,ntj->ij", a, g)
        da = g @ self.wo.data.T
        dv = p.swapaxes(1, 2) @ da
        dp = da @ v.swapaxes(1, 2)
        ds = p * (dp - (dp * p).sum(-1, keepdims=True)) / 2
        dq, dk = ds @ k, ds.swapaxes(1, 2) @ q
        self.wq.grad += np.einsum("nti,ntj->ij", x, dq)
        self.wk.grad += np.einsum("nti,ntj->ij", x, dk)
        self.wv.grad += np.einsum("nti,ntj->ij", x, dv)
        return dq @ self.wq.data.T + dk @ self.wk.data.T + dv @ self.wv.data.T


class Embedding(Layer):
    """Rows of a table, by integers that repeat."""

    def __init__(self):
        self.table = weight(6, 3)

    def run(self, index):
        return self.table.data[index], index

    def backward(self, g):
        (index,) = self.saved()
        np.add.at(self.table.grad, index, g)


class Tied(Layer):
    """An autoencoder whose decoder is its encoder transposed."""

    def __init__(self):
        self.w, self.b = weight(3, 5), weight(5)

    def run(self, x):
        h = np.tanh(x @ self.w.data.T)
        return h @ self.w.data + self.b.data, x, h

    def backward(self, g):
        x, h = self.saved()
        da = (g @ self.w.data.T) * (1 - h**2)
        self.w.grad += h.T @ g
        self.w.grad += da.T @ x
        self.b.grad += g.sum(0)
        return da @ self.w.data


class Gather(Layer):
    """Entries taken from each row, by indices that repeat."""

    index = np.array([[0, 2, 2], [1, 1, 1], [3, 0, 2], [2, 3, 3]])

    def run(self, x):
        return x[np.arange(4)[:, None], self.index], x

    def backward(self, g):
        (x,) = self.saved()
        dx = np.zeros_like(x)
        np.add.at(dx, (np.arange(4)[:, None], self.index), g)
        return dx


# ---- blocks


class Residual(Layer):
    """x + V tanh(W x)."""

    def __init__(self):
        self.w, self.v = weight(6, 4), weight(4, 6)

    def run(self, x):
        h = np.tanh(x @ self.w.data.T)
        return x + h @ self.v.data.T, x, h

    def backward(self, g):
        x, h = self.saved()
        self.v.grad += g.T @ h
        da = (g @ self.v.data) * (1 - h**2)
        self.w.grad += da.T @ x
        dx = da @ self.w.data
        return dx + g


class Gated(Layer):
    """sigmoid(W x) times V x."""

    def __init__(self):
        self.w, self.v = weight(3, 4), weight(3, 4, seed=1)

    def run(self, x):
        s, y = sigmoid(x @ self.w.data.T), x @ self.v.data.T
        return s * y, x, s, y

    def backward(self, g):
        x, s, y = self.saved()
        ds = g * y * s * (1 - s)
        dy = g * s
        self.w.grad += ds.T @ x
        self.v.grad += dy.T @ x
        return ds @ self.w.data + dy @ self.v.data


class Excitation(Layer):
    """Channels scaled by a gate of their own means; (N, C, T)."""

    def __init__(self):
        self.w = weight(3, 3)

    def run(self, x):
        m = x.mean(-1)
        s = sigmoid(m @ self.w.data)
        return x * s[..., None], x, m, s

    def backward(self, g):
        x, m, s = self.saved()
        da = (g * x).sum(-1) * s * (1 - s)
        self.w.grad += m.T @ da
        dm = da @ self.w.data.T
        return g * s[..., None] + dm[..., None] / x.shape[-1]


class PReLU(Layer):
    """A slope for each channel where the input is negative; (N, C, T)."""

    def __init__(self):
        self.slope = weight(3)

    def run(self, x):
        return np.where(x > 0, x, self.slope.data[:, None] * x), x

    def backward(self, g):
        (x,) = self.saved()
        self.slope.grad += np.where(x > 0, 0, g * x).sum((0, 2))
        return g * np.where(x > 0, 1, self.slope.data[:, None])


class GELU(Layer):
    """x times the logistic function of 1.702 x."""

    def run(self, x):
        return x * sigmoid(1.702 * x), x

    def backward(self, g):
        (x,) = self.saved()
        s = sigmoid(1.702 * x)
        return g * (s + 1.702 * x * s * (1 - s))


class LogSumExp(Layer):
    """Over the last axis."""

    def run(self, x):
        m = x.max(-1, keepdims=True)
        return np.log(np.exp(x - m).sum(-1)) + m[..., 0], x

    def backward(self, g):
        (x,) = self.saved()
        return g[..., None] * softmax(x)


class Concat(Layer):
    """A wide and a deep path, side by side."""

    def __init__(self):
        self.w = weight(2, 4)

    def run(self, x):
        return np.concatenate([x**2, np.sin(x @ self.w.data.T)], 1), x

    def backward(self, g):
        (x,) = self.saved()
        wide, deep = g[:, :4], g[:, 4:]
        da = deep * np.cos(x @ self.w.data.T)
        self.w.grad += da.T @ x
        return wide * 2 * x + da @ self.w.data


class Network(Layer):
    """Three layers, one of them twice."""

    def __init__(self):
        self.first, self.second = nn.Linear(4, 4, generator=0), nn.Linear(4, 4, generator=1)
        self.a, self.b = nn.Tanh(), nn.Sigmoid()

    def run(self, x):
        return (self.b(self.second(self.a(self.first(x)))) + x,)

    def backward(self, g):
        self.saved()
        d = self.b.backward(g)
        d = self.second.backward(d)
        d = self.a.backward(d)
        return self.first.backward(d) + g


class MinimalGate(Layer):
    """A minimal gated unit; input (T, N, 2), returns all its states."""

    def __init__(self):
        self.w, self.v, self.u, self.b = weight(3, 2), weight(3, 2, seed=1), weight(3, 3), weight(3)

    def run(self, x):
        h, states = np.zeros((x.shape[1], 3)), []
        for xt in x:
            f = sigmoid(xt @ self.w.data.T + h @ self.u.data.T + self.b.data)
            z = np.tanh(xt @ self.v.data.T)
            states.append((h, f, z))
            h = f * h + (1 - f) * z
        return np.stack([h for h, _, _ in states[1:]] + [h]), x, states

    def backward(self, g):
        x, states = self.saved()
        dx, dh = np.zeros_like(x), np.zeros_like(g[0])
        for t in range(len(x) - 1, -1, -1):
            h, f, z = states[t]
            dh = dh + g[t]
            df = dh * (h - z) * f * (1 - f)
            dz = dh * (1 - f) * (1 - z**2)
            self.w.grad += df.T @ x[t]
            self.v.grad += dz.T @ x[t]
            self.u.grad += df.T @ h
            self.b.grad += df.sum(0)
            dx[t] = df @ self.w.data + dz @ self.v.data
            dh = dh * f + df @ self.u.data
        return dx


class TwoHeads(Layer):
    """Attention in two heads over (N, T, 4), its three projections in one matrix."""

    def __init__(self):
        self.w, self.o = weight(4, 12), weight(4, 4)

    def run(self, x):
        n, t, _ = x.shape
        q, k, v = (part.reshape(n, t, 2, 2).transpose(0, 2, 1, 3) for part in np.split(x @ self.w.data, 3, -1))
        p = softmax(q @ k.transpose(0, 1, 3, 2) / np.sqrt(2))
        a = (p @ v).transpose(0, 2, 1, 3).reshape(n, t, 4)
        return a @ self.o.data, x, q, k, v, p, a

    def backward(self, g):
        x, q, k, v, p, a = self.saved()
        n, t, _ = x.shape
        self.o.grad += a.reshape(-1, 4).T @ g.reshape(-1, 4)
        da = (g @ self.o.data.T).reshape(n, t, 2, 2).transpose(0, 2, 1, 3)
        dp = da @ v.transpose(0, 1, 3, 2)
        dv = p.transpose(0, 1, 3, 2) @ da
        ds = p * (dp - (p * dp).sum(-1, keepdims=True)) / np.sqrt(2)
        dq = ds @ k
        dk = ds.transpose(0, 1, 3, 2) @ q
        dqkv = np.concatenate([d.transpose(0, 2, 1, 3).reshape(n, t, 4) for d in (dq, dk, dv)], -1)
        self.w.grad += x.reshape(-1, 4).T @ dqkv.reshape(-1, 12)
        return dqkv @ self.w.data.T


class InstanceNorm(Layer):
    """Each channel of each sample standardised over its positions; (N, C, T)."""

    def __init__(self):
        self.gamma, self.beta = weight(3), weight(3, seed=1)

    def run(self, x):
        mu = x.mean(2, keepdims=True)
        inverse = 1 / np.sqrt(((x - mu) ** 2).mean(2, keepdims=True) + 1e-5)
        h = (x - mu) * inverse
        return self.gamma.data[:, None] * h + self.beta.data[:, None], h, inverse

    def backward(self, g):
        h, inverse = self.saved()
        self.beta.grad += g.sum(2).sum(0)
        self.gamma.grad += (h * g).sum(2).sum(0)
        dh = self.gamma.data[:, None] * g
        dx = dh - dh.mean(2, keepdims=True)
        dx = dx - h * (h * dh).mean(2, keepdims=True)
        return dx * inverse


class Bottleneck(Layer):
    """LeakyReLU(x W1 + b1) W2 times x, plus x."""

    def __init__(self):
        self.a, self.c, self.b = weight(4, 6), weight(6, 4), weight(6)

    def run(self, x):
        z = x @ self.a.data + self.b.data
        r = np.where(z > 0, z, 0.1 * z)
        s = r @ self.c.data
        return s * x + x, x, z, r, s

    def backward(self, g):
        x, z, r, s = self.saved()
        ds = g * x
        self.c.grad += r.T @ ds
        dz = (ds @ self.c.data.T) * np.where(z > 0, 1, 0.1)
        self.a.grad += x.T @ dz
        self.b.grad += dz.sum(0)
        return g * s + dz @ self.a.data.T + g


# ---- losses


class SequenceCrossEntropy(Loss):
    """Over the classes of each step, averaged over steps that count; (N, T, C)."""

    def run(self, prediction, target):
        p = softmax(prediction)
        n, t = target.shape
        picked = p[np.arange(n)[:, None], np.arange(t), target]
        return -np.log(picked).mean(), p, target

    def backward(self, g=1.0):
        p, target = self.saved()
        n, t = target.shape
        d = p.copy()
        d[np.arange(n)[:, None], np.arange(t), target] -= 1
        return g * d / (n * t)


class Hinge(Loss):
    """The multiclass SVM of margin 1."""

    def run(self, prediction, target):
        rows = np.arange(len(target))
        margins = np.maximum(prediction - prediction[rows, target][:, None] + 1, 0)
        margins[rows, target] = 0
        return margins.sum() / len(target), margins, target

    def backward(self, g=1.0):
        margins, target = self.saved()
        rows = np.arange(len(target))
        d = (margins > 0) * 1.0
        d[rows, target] -= (margins > 0).sum(1)
        return g * d / len(target)


class Divergence(Loss):
    """sum target log(target / prediction), over the batch."""

    def run(self, prediction, target):
        return (target * np.log(target / prediction)).sum() / len(target), prediction, target

    def backward(self, g=1.0):
        prediction, target = self.saved()
        return -g * target / prediction / len(target)


class Focal(Loss):
    """-(1 - p)^2 log p, for the probability of what is true."""

    def run(self, prediction, target):
        p = np.where(target > 0, sigmoid(prediction), 1 - sigmoid(prediction))
        return -((1 - p) ** 2 * np.log(p)).mean(), p, target

    def backward(self, g=1.0):
        p, target = self.saved()
        dp = 2 * (1 - p) * np.log(p) - (1 - p) ** 2 / p
        return g * dp * p * (1 - p) * np.where(target > 0, 1, -1) / p.size


class Dice(Loss):
    """1 - 2 sum(p t) / (sum p + sum t)."""

    def run(self, prediction, target):
        a, b = (prediction * target).sum(), prediction.sum() + target.sum()
        return 1 - 2 * a / b, target, a, b

    def backward(self, g=1.0):
        target, a, b = self.saved()
        return g * (2 * a / b**2 - 2 * target / b)


class Cosine(Layer):
    """One minus the cosine of rows."""

    def run(self, u, v):
        a, b = np.sqrt((u * u).sum(1, keepdims=True)), np.sqrt((v * v).sum(1, keepdims=True))
        s = (u * v).sum(1, keepdims=True) / (a * b)
        return 1 - s[:, 0], u, v, a, b, s

    def backward(self, g):
        u, v, a, b, s = self.saved()
        g = g[:, None]
        return -g * (v / (a * b) - s * u / a**2), -g * (u / (a * b) - s * v / b**2)


class Triplet(Layer):
    """max(|a - p|^2 - |a - n|^2 + 1, 0)."""

    def run(self, a, p, n):
        y = np.maximum(((a - p) ** 2).sum(1) - ((a - n) ** 2).sum(1) + 1, 0)
        return y, a, p, n, y

    def backward(self, g):
        a, p, n, y = self.saved()
        g = (g * (y > 0))[:, None]
        return 2 * g * (n - p), -2 * g * (a - p), 2 * g * (a - n)
