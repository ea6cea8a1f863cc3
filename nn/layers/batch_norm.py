"""BatchNorm and InstanceNorm: each channel is normalised, over the batch or in each sample, and statistics are kept."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..numeric import sum_rows
from ..parameter import Buffer
from ..settings import flag, floating_dtype, integer, number
from ..shapes import fits, shape_text
from .norm import ChannelNorm


class TrackingNorm(ChannelNorm):
    """The base of BatchNorm and InstanceNorm, which normalise by the statistics of their input, and may track them.

    Attributes:
        running_mean: M, (C,), born zero; None without track_running_stats.
        running_var: V, (C,), born one; None without track_running_stats.
        num_batches_tracked: how many batches BatchNorm has seen in training; None without track_running_stats.
        layouts: the letters of the input's dimensions, of each number of dimensions that it may have.
    """

    layouts: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype: DTypeLike | None = None,
        *,
        bias: bool = True,
    ) -> None:
        self.num_features = integer(self, "num_features", num_features, at_least=0)
        self.eps = number(self, "eps", eps, at_least=0)
        self.momentum = None if momentum is None else number(self, "momentum", momentum)
        self._init_affine(self.num_features, affine, bias, dtype)
        self.track_running_stats = flag(self, "track_running_stats", track_running_stats)
        self.running_mean: Buffer | None = None
        self.running_var: Buffer | None = None
        self.num_batches_tracked: Buffer | None = None
        if self.track_running_stats:
            self.running_mean = Buffer(np.zeros(self.num_features, floating_dtype(self, dtype)))
            self.running_var = Buffer(np.ones(self.num_features, floating_dtype(self, dtype)))
            self.num_batches_tracked = Buffer(np.array(0))

    def reset_running_stats(self) -> None:
        """Set the running statistics back to those of a new layer."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean.data.fill(0)
            self.running_var.data.fill(1)
            self.num_batches_tracked.data.fill(0)

    def forward(self, x: ArrayLike) -> np.ndarray:
        holder = self.running_mean if self.weight is None else self.weight
        x = self.cast(x, None if holder is None else holder.data.dtype)
        axis = self._channel_axis(x)
        if self.running_mean is not None and self.running_var is not None and not self.training:
            y, _, _ = self._normalize(x, axis, (self.running_mean.data[:, None], self.running_var.data[:, None]))
            return y
        count = self._count(x, axis)
        if count == 1:
            raise ValueError(
                f"{self!r} expects more than one number to take the mean and the variance of, got shape {x.shape}: a "
                f"number less its own mean is 0"
            )
        if self.eps == 0:
            raise ValueError(f"{self!r} expects eps to be a number above 0 where the input's own variance is used")
        y, mean, var = self._normalize(x, axis)
        if self.track_running_stats:
            self._track(mean, var, count)
        return y

    def _channel_axis(self, x: np.ndarray) -> int:
        """Return the axis of the channels, once the shape is checked."""
        shapes = [tuple(self.num_features if letter == "C" else letter for letter in text) for text in self.layouts]
        for layout, shape in zip(self.layouts, shapes, strict=True):
            if fits(x.shape, shape):
                return layout.index("C")
        raise ValueError(f"{self!r} expects input of shape {' or '.join(map(shape_text, shapes))}, got {x.shape}")

    def _count(self, x: np.ndarray, axis: int) -> int:
        """Return how many numbers belong together."""
        raise NotImplementedError

    def _rate(self) -> float:
        """Return how far the running statistics move towards those of a batch."""
        raise NotImplementedError

    def _track(self, mean: np.ndarray, var: np.ndarray, count: int) -> None:
        """Move the running statistics, the variance's over n - 1: it stands for that of all data, not of the batch."""
        rate = self._rate()
        if self.running_mean is not None and self.running_var is not None and mean.size and count:
            for running, now in ((self.running_mean, mean), (self.running_var, var * (count / (count - 1)))):
                each = now.reshape(-1, self.num_features)  # one of the batch, or one of each sample
                running.data += rate * (sum_rows(each) / len(each) - running.data)


class BatchNorm(TrackingNorm):
    """The base of BatchNorm1d, 2d and 3d, whose channels belong together over the whole batch."""

    symbols: ClassVar = {
        "w": "weight",
        "b": "bias",
        "M": "running_mean",
        "V": "running_var",
        "T": "num_batches_tracked",
        "momentum": "momentum",
        "eps": "eps",
        "training": "training",
    }
    equations = """
        m = x.size / x.shape[1]
        mu[c] = sum(x[n, c, ...], n, ...) / m if training or M is None else M[c]
        v[c] = sum((x[n, c, ...] - mu[c])**2, n, ...) / m if training or M is None else V[c]
        h[n, c, ...] = (x[n, c, ...] - mu[c]) / sqrt(v[c] + eps)
        y[n, c, ...] = w[c] * h[n, c, ...] + b[c]
        T_new = T + 1 if training and M is not None else None
        a = 1 / (T + 1) if momentum is None else momentum
        M_new[c] = M[c] + a * (mu[c] - M[c]) if training and M is not None else None
        V_new[c] = V[c] + a * (v[c] * m / (m - 1) - V[c]) if training and M is not None else None
        dw[c] += dy[n, c, ...] * h[n, c, ...]
        db[c] += dy[n, c, ...]
        dh[n, c, ...] = w[c] * dy[n, c, ...]
        r[c] = sum(dh[n, c, ...], n, ...) / m
        s[c] = sum(dh[n, c, ...] * h[n, c, ...], n, ...) / m
        u[n, c, ...] = dh[n, c, ...] - r[c] - s[c] * h[n, c, ...] if training or M is None else dh[n, c, ...]
        dx[n, c, ...] = u[n, c, ...] / sqrt(v[c] + eps)
    """

    def _mean(self, sums: np.ndarray, length: int) -> np.ndarray:
        return sum_rows(sums[..., 0])[:, None] / max(len(sums) * length, 1)

    def _count(self, x: np.ndarray, axis: int) -> int:
        return math.prod(x.shape[:axis]) * math.prod(x.shape[axis + 1 :])

    def _rate(self) -> float:
        if self.num_batches_tracked is None:
            return 0.0
        self.num_batches_tracked.data += 1
        return 1 / int(self.num_batches_tracked.data) if self.momentum is None else self.momentum


class BatchNorm1d(BatchNorm):
    """y = w h + b, where h has mean 0 and variance 1 in each channel, over the batch; in evaluation by what was seen.

    Ioffe and Szegedy, "Batch Normalization", 2015. In training, also under `no_grad`, each batch moves the running
    statistics, by which evaluation normalises.

    Args:
        num_features: C, how many channels there are.
        eps: what is added to the variance.
        momentum: how far the running statistics move towards those of a batch, from 0 to 1; None averages over all
            batches alike.
        affine: False leaves w and b out.
        track_running_stats: False keeps no statistics: evaluation takes those of its batch.
        dtype: of the parameters, and so of the computation; float32 by default.
        bias: False leaves b out.

    Shape:
        Input (N, C) or (N, C, L), output the same.

    Attributes:
        weight: w, (C,), born one; None without affine.
        bias: b, (C,), born zero; None without affine or bias.
        running_mean: M, (C,), born zero; None without track_running_stats.
        running_var: V, (C,), of the variances over n - 1, born one; None without track_running_stats.
        num_batches_tracked: how many batches were seen in training; None without track_running_stats.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for another number of channels, or, where the statistics are the batch's, a single number in each.

    Example:
        >>> BatchNorm1d(2)([[1.0, 3.0], [5.0, 3.2]]).round(2)
        array([[-1., -1.],
               [ 1.,  1.]], dtype=float32)
    """

    layouts = ("NC", "NCL")


class BatchNorm2d(BatchNorm):
    """BatchNorm1d of images: h has mean 0 and variance 1 in each channel, over the batch and all pixels.

    Args, attributes and errors are those of BatchNorm1d.

    Shape:
        Input (N, C, H, W), output the same.

    Example:
        >>> BatchNorm2d(3)(np.ones((2, 3, 4, 4))).shape
        (2, 3, 4, 4)
    """

    layouts = ("NCHW",)


class BatchNorm3d(BatchNorm):
    """BatchNorm1d of volumes: h has mean 0 and variance 1 in each channel, over the batch and all voxels.

    Args, attributes and errors are those of BatchNorm1d.

    Shape:
        Input (N, C, D, H, W), output the same.

    Example:
        >>> BatchNorm3d(3)(np.ones((2, 3, 4, 4, 4))).shape
        (2, 3, 4, 4, 4)
    """

    layouts = ("NCDHW",)


class InstanceNorm(TrackingNorm):
    """The base of InstanceNorm1d, 2d and 3d, whose channels belong together in each sample alone."""

    symbols: ClassVar = {**BatchNorm.symbols, "k": "spatial_dims"}
    equations = """
        t = flatten(x, -k, -1)
        q = t.reshape(-1, t.shape[-2], t.shape[-1])
        m = q.mean(2, keepdims=True) if training or M is None else M.reshape(1, -1, 1)
        v = ((q - m)**2).mean(2, keepdims=True) if training or M is None else V.reshape(1, -1, 1)
        h = (q - m) / sqrt(v + eps)
        z[n, c, l] = w[c] * h[n, c, l] + b[c]
        y = z.reshape(x.shape)
        L = q.shape[2]
        M_new = M + momentum * (m.mean(0).reshape(-1) - M) if training and M is not None and momentum else None
        V_new = V + momentum * (v.mean(0).reshape(-1) * L / (L - 1) - V) if training and V is not None and momentum else None
        dz = dy.reshape(z.shape)
        dw[c] += dz[n, c, l] * h[n, c, l]
        db[c] += dz[n, c, l]
        dh[n, c, l] = w[c] * dz[n, c, l]
        p = dh - dh.mean(2, keepdims=True) - h * (dh * h).mean(2, keepdims=True) if training or M is None else dh
        dq = p / sqrt(v + eps)
        dx = dq.reshape(x.shape)
    """  # noqa: E501

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        dtype: DTypeLike | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, dtype, bias=bias)

    @property
    def spatial_dims(self) -> int:
        """How many dimensions stand behind the channels."""
        return len(self.layouts[0]) - 1

    def _mean(self, sums: np.ndarray, length: int) -> np.ndarray:
        return sums / max(length, 1)

    def _count(self, x: np.ndarray, axis: int) -> int:
        return math.prod(x.shape[axis + 1 :])

    def _rate(self) -> float:
        return 0.0 if self.momentum is None else self.momentum  # PyTorch's InstanceNorm counts no batches


class InstanceNorm1d(InstanceNorm):
    """y = w h + b, where h has mean 0 and variance 1 in each channel of each sample.

    Ulyanov et al., "Instance Normalization", 2016. Training and evaluation are the same, unless statistics are tracked:
    then evaluation takes the running ones.

    Args:
        num_features: C, how many channels there are.
        eps: what is added to the variance.
        momentum: how far the running statistics move towards the mean of the samples' own, from 0 to 1; None leaves
            them as they are.
        affine: True adds w and b.
        track_running_stats: True keeps running statistics, and takes them in evaluation.
        dtype: of the parameters, and so of the computation; float32 by default.
        bias: False leaves b out.

    Shape:
        Input (N, C, L) or (C, L), output the same.

    Attributes:
        weight: w, (C,), born one; None without affine.
        bias: b, (C,), born zero; None without affine or bias.
        running_mean: M, (C,), born zero; None without track_running_stats.
        running_var: V, (C,), of the variances over n - 1, born one; None without track_running_stats.
        num_batches_tracked: 0, as in PyTorch; None without track_running_stats.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for another number of channels, or, where the statistics are the input's, a single number in each.

    Example:
        >>> InstanceNorm1d(2)([[[1.0, 3.0], [5.0, 5.2]]]).round(2)
        array([[[-1.,  1.],
                [-1.,  1.]]])
    """

    layouts = ("CL", "NCL")


class InstanceNorm2d(InstanceNorm):
    """InstanceNorm1d of images: h has mean 0 and variance 1 over the pixels of each channel of each sample.

    Args, attributes and errors are those of InstanceNorm1d.

    Shape:
        Input (N, C, H, W) or (C, H, W), output the same.

    Example:
        >>> InstanceNorm2d(3)(np.ones((2, 3, 4, 4))).shape
        (2, 3, 4, 4)
    """

    layouts = ("CHW", "NCHW")


class InstanceNorm3d(InstanceNorm):
    """InstanceNorm1d of volumes: h has mean 0 and variance 1 over the voxels of each channel of each sample.

    Args, attributes and errors are those of InstanceNorm1d.

    Shape:
        Input (N, C, D, H, W) or (C, D, H, W), output the same.

    Example:
        >>> InstanceNorm3d(3)(np.ones((2, 3, 4, 4, 4))).shape
        (2, 3, 4, 4, 4)
    """

    layouts = ("CDHW", "NCDHW")
