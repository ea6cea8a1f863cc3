"""Windows as columns, and back: Unfold lays the windows of an image side by side, Fold adds them up to an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..module import short_repr
from .spatial import Spatial
from .window import Windows, add_windows, crop, pad, slide, windows

Pair = int | Sequence[int]


class _Columns(Spatial):
    """What Unfold and Fold share: the windows, and the two ways between an image and its columns."""

    dims: ClassVar[int] = 2
    symbols: ClassVar = {"k": "kernel_size", "d": "dilation", "p": "padding", "s": "stride"}

    def __init__(self, kernel_size: Pair, dilation: Pair, padding: Pair, stride: Pair) -> None:
        self.kernel_size = self.each("kernel_size", kernel_size, at_least=1)
        self.dilation = self.each("dilation", dilation, at_least=1)
        self.padding = self.each("padding", padding, at_least=0)
        self.stride = self.each("stride", stride, at_least=1)

    def _columns(self, x: np.ndarray) -> np.ndarray:
        """Return the windows of an image as columns: (..., C, H, W) to (..., C·U·V, I·J), of I·J windows of U·V."""
        q = pad(x, [(p, p) for p in self.padding])
        w = windows(q, self.kernel_size, self.stride, self.dilation)  # (..., C, I, J, U, V)
        i, j, u, v = w.shape[-4:]
        return np.moveaxis(w, (-2, -1), (-4, -3)).reshape(*x.shape[:-3], x.shape[-3] * u * v, i * j)

    def _image(self, columns: np.ndarray, counts: Sequence[int], sizes: Sequence[int]) -> np.ndarray:
        """Return the image, (..., C, *sizes), to which windows in columns add up."""
        u, v = self.kernel_size
        w = columns.reshape(*columns.shape[:-2], columns.shape[-2] // (u * v), u, v, *counts)
        w = np.moveaxis(w, (-4, -3), (-2, -1))  # (..., C, I, J, U, V)
        widths = [(p, p) for p in self.padding]
        q = pad(np.zeros((*w.shape[:-4], *sizes), w.dtype), widths)
        add_windows(q, w, self.stride, self.dilation)
        return crop(q, widths)

    def _slid(self, sizes: Sequence[int]) -> Windows:
        """Return the windows over an image of these sizes."""
        return slide(sizes, self.kernel_size, self.stride, self.padding, self.dilation)


class Unfold(_Columns):
    """Lays the windows of an image side by side, as columns (im2col); their gradients add up where windows overlap.

    Args:
        kernel_size: the height and width of a window; one integer for both, as in all that follows.
        dilation: the steps from one entry of a window to the next.
        padding: how many zeros there are on both sides.
        stride: the steps from one window to the next.

    Shape:
        Input (N, C, H, W) or (C, H, W), output (N, C·U·V, L) or (C·U·V, L), where a window has U·V entries, those of
        each channel together, and L counts the windows along the rows.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for settings out of range, or an input in which no window has room.

    Example:
        >>> Unfold(2)([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]])
        array([[1., 2.],
               [2., 3.],
               [4., 5.],
               [5., 6.]])
    """

    equations = """
        i = (x.shape[-2] + 2*p[0] - d[0]*(k[0] - 1) - 1)//s[0] + 1
        j = (x.shape[-1] + 2*p[1] - d[1]*(k[1] - 1) - 1)//s[1] + 1
        c, l = range(x.shape[-3]*k[0]*k[1]), range(i*j)
        a[c], u[c], v[c] = c//(k[0]*k[1]), c//k[1] % k[0], c % k[1]
        q = pad(x, p) if p != (0, 0) else x
        y[..., c, l] = q[..., a[c], s[0]*(l//j) + d[0]*u[c], s[1]*(l % j) + d[1]*v[c]]
        dq[..., a[c], s[0]*(l//j) + d[0]*u[c], s[1]*(l % j) + d[1]*v[c]] += dy[..., c, l]
        dx = crop(dq, p) if p != (0, 0) else dq
    """

    def __init__(self, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1) -> None:
        super().__init__(kernel_size, dilation, padding, stride)

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.images(x)
        self.slide(x, self.kernel_size, self.stride, self.padding, self.dilation)
        y = self._columns(x)
        self.save_for_backward(x.shape, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        shape = self.saved()
        return self._image(g, self._slid(shape[-2:]).counts, shape[-2:])


class Fold(_Columns):
    """Adds windows, given as columns, up to an image (col2im): what `Unfold` does backward, and Unfold its gradient.

    Args:
        output_size: the height and width of the image; one integer for both, as in all that follows.
        kernel_size: the height and width of a window.
        dilation: the steps from one entry of a window to the next.
        padding: how far the windows reach over the edges; what lies there is dropped.
        stride: the steps from one window to the next.

    Shape:
        Input (N, C·U·V, L) or (C·U·V, L), with L windows of U·V entries as `Unfold` gives them, output (N, C, H, W) or
        (C, H, W).

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for settings out of range, or an input of another number of windows, or of entries in them.

    Example:
        >>> Fold((1, 3), (1, 2))([[1.0, 2.0], [10.0, 20.0]])
        array([[[ 1., 12., 20.]]])
    """

    symbols: ClassVar = {"n": "output_size", **_Columns.symbols}
    equations = """
        I = (n[0] + 2*p[0] - d[0]*(k[0] - 1) - 1)//s[0] + 1
        K = (n[1] + 2*p[1] - d[1]*(k[1] - 1) - 1)//s[1] + 1
        c, r, t = range(x.shape[-2]//(k[0]*k[1])), range(n[0]), range(n[1])
        i, j, u, v = range(I), range(K), range(k[0]), range(k[1])
        a[i, u, r] = s[0]*i + d[0]*u == r + p[0]
        b[j, v, t] = s[1]*j + d[1]*v == t + p[1]
        y[..., c, r, t] = sum(x[..., (c*k[0] + u)*k[1] + v, i*K + j] * a[i, u, r] * b[j, v, t], i, j, u, v)
        dx[..., (c*k[0] + u)*k[1] + v, i*K + j] += dy[..., c, r, t] * a[i, u, r] * b[j, v, t]
    """

    def __init__(
        self, output_size: Pair, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1
    ) -> None:
        self.output_size = self.each("output_size", output_size, at_least=1)
        super().__init__(kernel_size, dilation, padding, stride)

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.cast(x)
        counts, entries = self._slid(self.output_size).counts, math.prod(self.kernel_size)
        if min(counts) < 1:
            raise ValueError(f"{short_repr(self)} expects an output_size in which a window has room")
        if x.ndim not in (2, 3) or x.shape[-2] % entries or x.shape[-1] != math.prod(counts):
            raise ValueError(
                f"{short_repr(self)} expects input of shape (N, C·{entries}, {math.prod(counts)}) or "
                f"(C·{entries}, {math.prod(counts)}), for {counts[0]} x {counts[1]} windows, got {x.shape}"
            )
        y = self._image(x, counts, self.output_size)
        self.save_for_backward(output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        self.saved()
        return self._columns(g)
