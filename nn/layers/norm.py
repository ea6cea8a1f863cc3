"""Normalisation: entries that belong together get mean 0 and variance 1, then a scale and a shift that are learned.

The layers differ in which entries belong together: those of a channel in all samples (BatchNorm) or in one
(InstanceNorm), of a group of channels (GroupNorm), or of a sample's last dimensions (LayerNorm; RMSNorm leaves the mean
as it is). The mathematics is one, and stands first here. batch_norm.py has the layers that may keep statistics, and
layer_norm.py those of the last dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..module import Module
from ..numeric import row_products, row_sums, sum_rows, wide
from ..parameter import Parameter
from ..settings import arguments_text, flag, floating_dtype, integer, number

Mean = Callable[[np.ndarray], np.ndarray]


def standardize(x: np.ndarray, mean: Mean, eps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return c = x - m and r = 1 / √(v + eps), whose product has mean 0 and variance 1, then the mean m and variance v.

    Args:
        x: rows, along the last axis.
        mean: makes of the sums of rows the mean over all the rows that belong together.
        eps: keeps the root away from 0.

    Example:
        >>> c, r, m, v = standardize(np.array([[1.0, 5.0]]), lambda sums: sums / 2, 0.0)
        >>> c * r, m, v
        (array([[-1.,  1.]]), array([[3.]]), array([[4.]]))
    """
    m = mean(row_sums(x))
    c = x - m
    v = mean(row_products(c, c))
    return c, 1 / np.sqrt(v + eps), m, v


def standardize_backward(
    q: np.ndarray, c: np.ndarray, r: np.ndarray, mean_q: np.ndarray, mean_qc: np.ndarray
) -> np.ndarray:
    """Return the gradient of the x of `standardize`, from q, that of c with r held fast, and the means of q and q · c.

    It has three terms, since x acts in three ways: through its own c, through the variance, and through the mean, by
    which it moves all that it belongs together with. A stretch of all x changes no c r, so what q is along c is taken
    off; nor does a common shift, so what q is on average is taken off too.

    Example:
        >>> standardize_backward(np.array([5.0, 7.0]), np.array([-1.0, 1.0]), np.ones(1), np.array(6.0), np.array(1.0))
        array([0., 0.])
    """
    return q - mean_q - c * (r * r * mean_qc)


class ChannelNorm(Module):
    """The base of the norms with a scale and a shift for each channel, whose rows are the channels of each sample.

    Attributes:
        eps: what is added to the variance.
        weight: w, (C,), born one; None without affine.
        bias: b, (C,), born zero; None without affine or bias.
    """

    eps: float
    weight: Parameter | None
    bias: Parameter | None

    def _init_affine(self, channels: int, affine: bool, bias: bool, dtype: DTypeLike | None) -> None:
        dtype = floating_dtype(self, dtype)
        bias = flag(self, "bias", bias)
        self.affine = flag(self, "affine", affine)
        self.weight = Parameter(np.ones(channels, dtype)) if self.affine else None
        self.bias = Parameter(np.zeros(channels, dtype)) if self.affine and bias else None

    def extra_repr(self) -> str:
        return arguments_text(self, without=() if self.affine else ("bias",))

    def _mean(self, sums: np.ndarray, length: int) -> np.ndarray:
        """Return the means of what belongs together, from the sums (N, C, 1) of rows of a length."""
        raise NotImplementedError(f"{type(self).__name__} does not say which channels belong together")

    def _scaled_mean(self, sums: np.ndarray, scale: np.ndarray, length: int) -> np.ndarray:
        """Return `_mean` of sums times a scale, which is one number for all that belongs together."""
        return scale * self._mean(sums, length)

    def _normalize(
        self, x: np.ndarray, axis: int = 1, fixed: tuple[np.ndarray, np.ndarray] | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the output, the mean and the variance, and save for backward.

        Args:
            x: the input.
            axis: where its channels are.
            fixed: a mean and a variance that do not come from x.
        """
        length = math.prod(x.shape[axis + 1 :])
        planes = wide(x).reshape(math.prod(x.shape[:axis]), x.shape[axis], length)
        if fixed is None:
            c, r, m, v = standardize(planes, lambda sums: self._mean(sums, length), self.eps)
        else:
            m, v = fixed
            c, r = planes - m, 1 / np.sqrt(v + self.eps)
        y = c * self._scale(r)
        if self.bias is not None:
            y += self.bias.data[:, None]
        y = y.reshape(x.shape).astype(x.dtype, copy=False)
        self.save_for_backward(c, r, fixed is not None, output=y)
        return y, m, v

    def _scale(self, r: np.ndarray) -> np.ndarray:
        """Return w r, by which c is multiplied."""
        return r if self.weight is None else self.weight.data[:, None] * r

    def backward(self, grad_output: ArrayLike) -> np.ndarray | None:
        dy = self.upstream(grad_output)
        c, r, is_fixed = self.saved()
        g = wide(dy).reshape(c.shape)
        sums, products = row_sums(g), row_products(g, c)
        if self.weight is not None and r.ndim == 2:  # one r for all samples, which need not be multiplied with each
            self.weight.grad += sum_rows(products[..., 0]) * r[:, 0]
        elif self.weight is not None:
            self.weight.grad += sum_rows((products * r)[..., 0])
        if self.bias is not None:
            self.bias.grad += sum_rows(sums[..., 0])
        if not self.needs_input_grad:
            return None
        scale = self._scale(r)
        dx = g * scale  # through its own c; where the mean and the variance are those of x, it acts through them too
        if not is_fixed:
            length = c.shape[-1]
            mean_q, mean_qc = (self._scaled_mean(s, scale, length) for s in (sums, products))
            dx = standardize_backward(dx, c, r, mean_q, mean_qc)
        return dx.reshape(dy.shape).astype(dy.dtype, copy=False)


class GroupNorm(ChannelNorm):
    """y = w h + b, where h has mean 0 and variance 1 in each group of channels of each sample.

    Wu and He, "Group Normalization", 2018. Training and evaluation are the same.

    Args:
        num_groups: how many groups the channels are split into.
        num_channels: C.
        eps: what is added to the variance.
        affine: False leaves w and b out.
        dtype: of the parameters, and so of the computation; float32 by default.
        bias: False leaves b out.

    Shape:
        Input (N, C, ...), output the same.

    Attributes:
        weight: w, (C,), born one; None without affine.
        bias: b, (C,), born zero; None without affine or bias.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for groups that do not divide the channels, another number of channels in the input, or an input
            with a single number in each group, which would be 0 whatever it is.

    Example:
        >>> GroupNorm(2, 4, affine=False)([[1.0, 3.0, 5.0, 5.2]]).round(2)
        array([[-1.,  1., -1.,  1.]])
    """

    symbols: ClassVar = {"w": "weight", "b": "bias", "G": "num_groups", "eps": "eps"}
    equations = """
        q = x.reshape(len(x), G, -1)
        m = q.mean(2, keepdims=True)
        v = ((q - m)**2).mean(2, keepdims=True)
        p = (q - m) / sqrt(v + eps)
        h = p.reshape(x.shape)
        y[n, c, ...] = w[c] * h[n, c, ...] + b[c]
        dw[c] += dy[n, c, ...] * h[n, c, ...]
        db[c] += dy[n, c, ...]
        dh[n, c, ...] = w[c] * dy[n, c, ...]
        dp = dh.reshape(q.shape)
        dq = (dp - dp.mean(2, keepdims=True) - p * (dp * p).mean(2, keepdims=True)) / sqrt(v + eps)
        dx = dq.reshape(x.shape)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        dtype: DTypeLike | None = None,
        *,
        bias: bool = True,
    ) -> None:
        self.num_groups = integer(self, "num_groups", num_groups, at_least=1)
        self.num_channels = integer(self, "num_channels", num_channels, at_least=0)
        self.eps = number(self, "eps", eps, at_least=0)
        if self.num_channels % self.num_groups:
            raise ValueError(
                f"GroupNorm expects num_channels to be a multiple of num_groups, got {self.num_channels} channels for "
                f"{self.num_groups} groups"
            )
        self._init_affine(self.num_channels, affine, bias, dtype)

    def _mean(self, sums: np.ndarray, length: int) -> np.ndarray:
        size = self.num_channels // self.num_groups
        groups = sums.reshape(len(sums), self.num_groups, size).sum(-1) / max(size * length, 1)
        return groups.repeat(size, axis=1)[..., None]

    def _scaled_mean(self, sums: np.ndarray, scale: np.ndarray, length: int) -> np.ndarray:
        return self._mean(scale * sums, length)  # the channels of a group have a scale each

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x, None if self.weight is None else self.weight.data.dtype)
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ValueError(f"{self!r} expects input of shape (N, {self.num_channels}, ...), got {x.shape}")
        if x.size == self.num_groups:
            raise ValueError(
                f"{self!r} expects more than one number in each group, got shape {x.shape}: a number less its own mean "
                f"is 0"
            )
        y, _, _ = self._normalize(x)
        return y
