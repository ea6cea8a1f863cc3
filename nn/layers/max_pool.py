"""Max-pooling: the largest entry of each window, to which alone the gradient goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..settings import flag
from .spatial import Spatial, check_padding
from .window import Windows, crop, pad


def largest(x: np.ndarray, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest entry of each window, and the number of that entry within its window.

    Of several, the first counts; where a window has NaN, the last NaN, as in PyTorch. The padding never counts. Maxima
    of the shifted views take 0.4 of the time of reshaping and `max`.

    Example:
        >>> from .window import slide
        >>> largest(np.array([1.0, 3.0, 3.0, 2.0]), slide((4,), (2,), (2,), (0,), (1,)))
        (array([3., 3.]), array([1, 0], dtype=uint8))
    """
    q = pad(x, windows.widths, value=-np.inf)
    places = windows.places
    y = q[places[0]].copy()
    for place in places[1:]:
        np.maximum(y, q[place], out=y)
    outside = pad(np.zeros(x.shape[-len(windows.counts) :], bool), windows.widths, value=True)
    padded = bool(outside.any())
    number = np.zeros(y.shape, np.uint8 if len(places) < 256 else np.intp)
    ahead = np.ones(y.shape, bool)  # whether the largest entry is yet to come
    for place in places:
        missed = q[place] != y
        if padded:  # padding equals the largest where all of the window is -inf
            missed |= outside[place]
        ahead &= missed
        number += ahead
    if ahead.any():  # NaN is not equal to itself; or the window, dilated, has padding alone
        number[ahead] = 0
        for n, place in enumerate(places):
            number[np.isnan(q[place])] = n
    return y, number


def to_largest(g: np.ndarray, number: np.ndarray, windows: Windows, shape: tuple[int, ...]) -> np.ndarray:
    """Return the gradient of an input of this shape: that of each window goes to the entry that `largest` numbered."""
    dq = pad(np.zeros(shape, g.dtype), windows.widths)
    for n, place in enumerate(windows.places):
        if windows.overlap:
            dq[place] += g * (number == n)
        else:  # 0.6 of the time of +=
            dq[place] = g * (number == n)
    return crop(dq, windows.widths)


class _MaxPool(Spatial):
    """Max-pooling for any number of axes; the classes below state it for each."""

    symbols: ClassVar = {"k": "kernel_size", "s": "stride", "p": "padding", "d": "dilation", "ceil": "ceil_mode"}

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size = self.each("kernel_size", kernel_size, at_least=1)
        self.stride = self.each("stride", kernel_size if stride is None else stride, at_least=1)
        self.padding = self.each("padding", padding, at_least=0)
        self.dilation = self.each("dilation", dilation, at_least=1)
        self.return_indices = flag(self, "return_indices", return_indices)
        self.ceil_mode = flag(self, "ceil_mode", ceil_mode)
        self.output_symbols = ("y", "m") if self.return_indices else ("y",)
        check_padding(self, self.padding, self.kernel_size)

    def forward(self, x: ArrayLike) -> Any:
        x = self.images(x)
        windows = self.slide(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)
        y, number = largest(x, windows)
        output = (y, self._indices(number, x.shape)) if self.return_indices else y
        self.save_for_backward(number, windows, x.shape, output=output)
        return output

    def backward(self, grad_output: Any) -> np.ndarray:
        g = self.upstream(grad_output)
        number, windows, shape = self.saved()
        return to_largest(g[0] if self.return_indices else g, number, windows, shape)

    def _indices(self, number: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return where each largest entry lies in its channel, counted along rows, from its number in its window."""
        first = np.indices(number.shape[-self.dims :], sparse=True)
        offsets = np.unravel_index(number.astype(np.int64), self.kernel_size)
        axes = zip(shape[-self.dims :], first, offsets, self.stride, self.padding, self.dilation, strict=True)
        indices = np.zeros(number.shape, np.int64)
        for size, i, u, s, p, d in axes:
            indices = indices * size + (s * i + d * u - p)
        return indices


class MaxPool1d(_MaxPool):
    """The largest entry of each window of a signal; the gradient goes to that entry, the first of several.

    Args:
        kernel_size: how many entries a window has.
        stride: the step from one window to the next; the kernel's size by default.
        padding: how far windows may reach over both ends, at most half the kernel's size; what is there never counts.
        dilation: the step from one entry of a window to the next.
        return_indices: whether to return where each largest entry is, too, as integers: what `MaxUnpool1d` takes.
        ceil_mode: whether a last window may hang over the end.

    Shape:
        Input (N, C, L) or (C, L), output (N, C, L') or (C, L') with
        L' = ⌊(L + 2 padding - dilation (kernel_size - 1) - 1) / stride⌋ + 1, rounded up with ceil_mode; the last window
        begins before the end of the signal. With return_indices the output is (values, indices), of that shape each.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for settings out of range, or an input in which no window has room.

    Example:
        >>> MaxPool1d(2)([[1.0, 3.0, 2.0, 5.0, 4.0]])
        array([[3., 5.]])
        >>> MaxPool1d(2, return_indices=True)([[1.0, 3.0, 2.0, 5.0, 4.0]])
        (array([[3., 5.]]), array([[1, 3]]))
    """

    dims: ClassVar[int] = 1
    equations = """
        r = x.shape[-1] + 2*p[0] - d[0]*(k[0] - 1) - 1
        h = (r + s[0] - 1)//s[0] if ceil else r//s[0]
        i, u = range(h + (s[0]*h < x.shape[-1] + p[0]) if ceil else h + 1), range(k[0])
        P = ((p[0], p[0] + s[0] - 1),) if ceil else p
        q = pad(x, P, -inf) if ceil or p != (0,) else x
        y[..., i] = max(q[..., s[0]*i + d[0]*u], u)
        a[..., i] = argmax(q[..., s[0]*i + d[0]*u], u)
        m[..., i] = s[0]*i + d[0]*a[..., i] - p[0]
        dq[..., s[0]*i + d[0]*a[..., i]] += dy[..., i]
        dx = crop(dq, P) if ceil or p != (0,) else dq
    """


class MaxPool2d(_MaxPool):
    """The largest entry of each window of an image; the gradient goes to that entry, the first of several.

    Args:
        kernel_size: the height and width of a window; one integer for both.
        stride: the steps from one window to the next; the kernel's size by default.
        padding: how far windows may reach over the edges, at most half the kernel's size; what is there never counts.
        dilation: the steps from one entry of a window to the next.
        return_indices: whether to return where each largest entry is, too, as integers that count along the rows of
            its channel: what `MaxUnpool2d` takes.
        ceil_mode: whether a last window may hang over the edge.

    Shape:
        Input (N, C, H, W) or (C, H, W), output (N, C, H', W') or (C, H', W') with
        H' = ⌊(H + 2 padding - dilation (kernel_size - 1) - 1) / stride⌋ + 1, rounded up with ceil_mode; the last window
        begins before the edge of the image. With return_indices the output is (values, indices), of that shape each.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for settings out of range, or an input in which no window has room.

    Example:
        >>> MaxPool2d(2)(np.zeros((5, 3, 28, 28))).shape
        (5, 3, 14, 14)
    """

    dims: ClassVar[int] = 2
    equations = """
        r = x.shape[-2] + 2*p[0] - d[0]*(k[0] - 1) - 1
        t = x.shape[-1] + 2*p[1] - d[1]*(k[1] - 1) - 1
        h = (r + s[0] - 1)//s[0] if ceil else r//s[0]
        w = (t + s[1] - 1)//s[1] if ceil else t//s[1]
        i, u = range(h + (s[0]*h < x.shape[-2] + p[0]) if ceil else h + 1), range(k[0])
        j, v = range(w + (s[1]*w < x.shape[-1] + p[1]) if ceil else w + 1), range(k[1])
        P = ((p[0], p[0] + s[0] - 1), (p[1], p[1] + s[1] - 1)) if ceil else p
        q = pad(x, P, -inf) if ceil or p != (0, 0) else x
        y[..., i, j] = max(q[..., s[0]*i + d[0]*u, s[1]*j + d[1]*v], u, v)
        a[..., i, j], b[..., i, j] = argmax(q[..., s[0]*i + d[0]*u, s[1]*j + d[1]*v], u, v)
        m[..., i, j] = (s[0]*i + d[0]*a[..., i, j] - p[0])*x.shape[-1] + s[1]*j + d[1]*b[..., i, j] - p[1]
        dq[..., s[0]*i + d[0]*a[..., i, j], s[1]*j + d[1]*b[..., i, j]] += dy[..., i, j]
        dx = crop(dq, P) if ceil or p != (0, 0) else dq
    """


class MaxPool3d(_MaxPool):
    """The largest entry of each window of a volume; the gradient goes to that entry, the first of several.

    Args:
        kernel_size: the depth, height and width of a window; one integer for all.
        stride: the steps from one window to the next; the kernel's size by default.
        padding: how far windows may reach over the edges, at most half the kernel's size; what is there never counts.
        dilation: the steps from one entry of a window to the next.
        return_indices: whether to return where each largest entry is, too, as integers that count along the rows of
            its channel: what `MaxUnpool3d` takes.
        ceil_mode: whether a last window may hang over the edge.

    Shape:
        Input (N, C, D, H, W) or (C, D, H, W), output the same with sizes as `MaxPool2d` has them. With return_indices
        the output is (values, indices), of that shape each.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for settings out of range, or an input in which no window has room.

    Example:
        >>> MaxPool3d((1, 2, 2))(np.zeros((5, 3, 7, 28, 28))).shape
        (5, 3, 7, 14, 14)
    """

    dims: ClassVar[int] = 3
    equations = """
        D, H, W = x.shape[-3], x.shape[-2], x.shape[-1]
        r = D + 2*p[0] - d[0]*(k[0] - 1) - 1
        t = H + 2*p[1] - d[1]*(k[1] - 1) - 1
        z = W + 2*p[2] - d[2]*(k[2] - 1) - 1
        g = (r + s[0] - 1)//s[0] if ceil else r//s[0]
        h = (t + s[1] - 1)//s[1] if ceil else t//s[1]
        f = (z + s[2] - 1)//s[2] if ceil else z//s[2]
        i, u = range(g + (s[0]*g < D + p[0]) if ceil else g + 1), range(k[0])
        j, v = range(h + (s[1]*h < H + p[1]) if ceil else h + 1), range(k[1])
        l, w = range(f + (s[2]*f < W + p[2]) if ceil else f + 1), range(k[2])
        P = ((p[0], p[0] + s[0] - 1), (p[1], p[1] + s[1] - 1), (p[2], p[2] + s[2] - 1)) if ceil else p
        q = pad(x, P, -inf) if ceil or p != (0, 0, 0) else x
        Q[..., i, j, l, u, v, w] = q[..., s[0]*i + d[0]*u, s[1]*j + d[1]*v, s[2]*l + d[2]*w]
        y[..., i, j, l] = max(Q[..., i, j, l, u, v, w], u, v, w)
        a[..., i, j, l], b[..., i, j, l], c[..., i, j, l] = argmax(Q[..., i, j, l, u, v, w], u, v, w)
        A[..., i, j, l] = s[0]*i + d[0]*a[..., i, j, l]
        B[..., i, j, l] = s[1]*j + d[1]*b[..., i, j, l]
        C[..., i, j, l] = s[2]*l + d[2]*c[..., i, j, l]
        m[..., i, j, l] = ((A[..., i, j, l] - p[0])*H + B[..., i, j, l] - p[1])*W + C[..., i, j, l] - p[2]
        dq[..., A[..., i, j, l], B[..., i, j, l], C[..., i, j, l]] += dy[..., i, j, l]
        dx = crop(dq, P) if ceil or p != (0, 0, 0) else dq
    """
