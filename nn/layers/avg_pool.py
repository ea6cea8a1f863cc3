"""Average-pooling: the mean of each window, whose gradient is shared out evenly."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..settings import flag, integer
from .spatial import Spatial, check_padding
from .window import Windows, crop, pad


def window_sums(x: np.ndarray, windows: Windows) -> np.ndarray:
    """Return the sum over each window; the padding counts as 0.

    Example:
        >>> from .window import slide
        >>> window_sums(np.array([1.0, 3.0, 3.0, 2.0]), slide((4,), (2,), (2,), (0,), (1,)))
        array([4., 5.])
    """
    q = pad(x, windows.widths)
    y = q[windows.places[0]].copy()
    for place in windows.places[1:]:
        y += q[place]
    return y


def window_sums_backward(g: np.ndarray, windows: Windows, shape: tuple[int, ...]) -> np.ndarray:
    """Return the gradient of an input of this shape: each entry of a window gets that of the window's sum."""
    dq = pad(np.zeros(shape, g.dtype), windows.widths)
    for place in windows.places:
        dq[place] += g
    return crop(dq, windows.widths)


def window_areas(
    sizes: Sequence[int],
    counts: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    count_include_pad: bool,
) -> np.ndarray:
    """Return how many entries each window has, on the image or on its padding too; what hangs over never counts.

    Example:
        >>> window_areas((5,), (3,), (2,), (2,), (0,), True)
        array([2, 2, 1])
    """
    spans = []
    for size, count, k, s, p in zip(sizes, counts, kernel, stride, padding, strict=True):
        first = np.arange(count) * s - p
        before, behind = (-p, size + p) if count_include_pad else (0, size)
        spans.append(np.minimum(first + k, behind) - np.maximum(first, before))
    return reduce(np.multiply.outer, spans)


class _AvgPool(Spatial):
    """Average-pooling for any number of axes; the classes below state it for each."""

    symbols: ClassVar = {
        "k": "kernel_size",
        "s": "stride",
        "p": "padding",
        "ceil": "ceil_mode",
        "include": "count_include_pad",
        "D": "divisor_override",
    }

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self.kernel_size = self.each("kernel_size", kernel_size, at_least=1)
        self.stride = self.each("stride", kernel_size if stride is None else stride, at_least=1)
        self.padding = self.each("padding", padding, at_least=0)
        self.ceil_mode = flag(self, "ceil_mode", ceil_mode)
        self.count_include_pad = flag(self, "count_include_pad", count_include_pad)
        self.divisor_override = None
        if divisor_override is not None:
            self.divisor_override = integer(self, "divisor_override", divisor_override)
            if self.divisor_override == 0:
                raise ValueError(f"{type(self).__name__} expects a divisor_override other than 0, or None for none")
        check_padding(self, self.padding, self.kernel_size)

    def forward(self, x: ArrayLike) -> np.ndarray:
        x = self.images(x)
        windows = self.slide(x, self.kernel_size, self.stride, self.padding, ceil_mode=self.ceil_mode)
        divisor = self._divisor(x, windows)
        y = window_sums(x, windows) / divisor
        self.save_for_backward(divisor, windows, x.shape, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> np.ndarray:
        g = self.upstream(grad_output)
        divisor, windows, shape = self.saved()
        return window_sums_backward(g / divisor, windows, shape)

    def _divisor(self, x: np.ndarray, windows: Windows) -> np.ndarray:
        """Return what each window's sum is divided by."""
        areas = window_areas(
            x.shape[-self.dims :], windows.counts, self.kernel_size, self.stride, self.padding, self.count_include_pad
        )
        return np.asarray(areas if self.divisor_override is None else self.divisor_override, x.dtype)


class AvgPool1d(_AvgPool):
    """The mean of each window of a signal; each entry of the window gets an equal share of the gradient.

    Args:
        kernel_size: how many entries a window has.
        stride: the step from one window to the next; the kernel's size by default.
        padding: how many zeros there are on both sides, at most half the kernel's size.
        ceil_mode: whether a last window may hang over the end; what hangs over is not counted.
        count_include_pad: whether zeros of the padding count in the mean.

    Shape:
        Input (N, C, L) or (C, L), output (N, C, L') or (C, L') with L' = ⌊(L + 2 padding - kernel_size) / stride⌋ + 1,
        rounded up with ceil_mode; the last window begins before the end of the signal.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for settings out of range, or an input in which no window has room.

    Example:
        >>> AvgPool1d(2)([[1.0, 3.0, 2.0, 5.0, 4.0]])
        array([[2. , 3.5]])
    """

    dims: ClassVar[int] = 1
    equations = """
        r = x.shape[-1] + 2*p[0] - k[0]
        h = (r + s[0] - 1)//s[0] if ceil else r//s[0]
        i, u = range(h + (s[0]*h < x.shape[-1] + p[0]) if ceil else h + 1), range(k[0])
        P = ((p[0], p[0] + s[0] - 1),) if ceil else p
        q = pad(x, P) if ceil or p != (0,) else x
        e = p[0] if include else 0
        a[i] = minimum(s[0]*i + k[0], x.shape[-1] + p[0] + e) - maximum(s[0]*i, p[0] - e)
        m[i] = a[i] if ceil or p != (0,) and not include else k[0]
        y[..., i] = sum(q[..., s[0]*i + u], u) / m[i]
        dq[..., s[0]*i + u] += dy[..., i] / m[i]
        dx = crop(dq, P) if ceil or p != (0,) else dq
    """

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)


class AvgPool2d(_AvgPool):
    """The mean of each window of an image; each entry of the window gets an equal share of the gradient.

    Args:
        kernel_size: the height and width of a window; one integer for both.
        stride: the steps from one window to the next; the kernel's size by default.
        padding: how many zeros there are on both sides, at most half the kernel's size.
        ceil_mode: whether a last window may hang over the edge; what hangs over is not counted.
        count_include_pad: whether zeros of the padding count in the mean.
        divisor_override: what to divide each sum by in place of the count; None for the count.

    Shape:
        Input (N, C, H, W) or (C, H, W), output (N, C, H', W') or (C, H', W') with
        H' = ⌊(H + 2 padding - kernel_size) / stride⌋ + 1, rounded up with ceil_mode; the last window begins before the
        edge of the image.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for settings out of range, or an input in which no window has room.

    Example:
        >>> AvgPool2d(2)([[[1.0, 2.0], [3.0, 6.0]]])
        array([[[3.]]])
    """

    dims: ClassVar[int] = 2
    equations = """
        H, W = x.shape[-2], x.shape[-1]
        r, t = H + 2*p[0] - k[0], W + 2*p[1] - k[1]
        h = (r + s[0] - 1)//s[0] if ceil else r//s[0]
        w = (t + s[1] - 1)//s[1] if ceil else t//s[1]
        i, u = range(h + (s[0]*h < H + p[0]) if ceil else h + 1), range(k[0])
        j, v = range(w + (s[1]*w < W + p[1]) if ceil else w + 1), range(k[1])
        P = ((p[0], p[0] + s[0] - 1), (p[1], p[1] + s[1] - 1)) if ceil else p
        q = pad(x, P) if ceil or p != (0, 0) else x
        e, f = p[0] if include else 0, p[1] if include else 0
        a[i] = minimum(s[0]*i + k[0], H + p[0] + e) - maximum(s[0]*i, p[0] - e)
        b[j] = minimum(s[1]*j + k[1], W + p[1] + f) - maximum(s[1]*j, p[1] - f)
        m[i, j] = D if D is not None else a[i] * b[j] if ceil or p != (0, 0) and not include else k[0] * k[1]
        y[..., i, j] = sum(q[..., s[0]*i + u, s[1]*j + v], u, v) / m[i, j]
        dq[..., s[0]*i + u, s[1]*j + v] += dy[..., i, j] / m[i, j]
        dx = crop(dq, P) if ceil or p != (0, 0) else dq
    """


class AvgPool3d(_AvgPool):
    """The mean of each window of a volume; each entry of the window gets an equal share of the gradient.

    Args:
        kernel_size: the depth, height and width of a window; one integer for all.
        stride: the steps from one window to the next; the kernel's size by default.
        padding: how many zeros there are on both sides, at most half the kernel's size.
        ceil_mode: whether a last window may hang over the edge; what hangs over is not counted.
        count_include_pad: whether zeros of the padding count in the mean.
        divisor_override: what to divide each sum by in place of the count; None for the count.

    Shape:
        Input (N, C, D, H, W) or (C, D, H, W), output the same with sizes as `AvgPool2d` has them.

    Raises:
        TypeError: for settings of the wrong kind.
        ValueError: for settings out of range, or an input in which no window has room.

    Example:
        >>> AvgPool3d((1, 2, 2))(np.zeros((5, 3, 7, 28, 28))).shape
        (5, 3, 7, 14, 14)
    """

    dims: ClassVar[int] = 3
    equations = """
        T, H, W = x.shape[-3], x.shape[-2], x.shape[-1]
        r, t, z = T + 2*p[0] - k[0], H + 2*p[1] - k[1], W + 2*p[2] - k[2]
        g = (r + s[0] - 1)//s[0] if ceil else r//s[0]
        h = (t + s[1] - 1)//s[1] if ceil else t//s[1]
        o = (z + s[2] - 1)//s[2] if ceil else z//s[2]
        i, u = range(g + (s[0]*g < T + p[0]) if ceil else g + 1), range(k[0])
        j, v = range(h + (s[1]*h < H + p[1]) if ceil else h + 1), range(k[1])
        l, w = range(o + (s[2]*o < W + p[2]) if ceil else o + 1), range(k[2])
        P = ((p[0], p[0] + s[0] - 1), (p[1], p[1] + s[1] - 1), (p[2], p[2] + s[2] - 1)) if ceil else p
        q = pad(x, P) if ceil or p != (0, 0, 0) else x
        e, f, n = p[0] if include else 0, p[1] if include else 0, p[2] if include else 0
        a[i] = minimum(s[0]*i + k[0], T + p[0] + e) - maximum(s[0]*i, p[0] - e)
        b[j] = minimum(s[1]*j + k[1], H + p[1] + f) - maximum(s[1]*j, p[1] - f)
        c[l] = minimum(s[2]*l + k[2], W + p[2] + n) - maximum(s[2]*l, p[2] - n)
        M[i, j, l] = a[i] * b[j] * c[l] if ceil or p != (0, 0, 0) and not include else k[0] * k[1] * k[2]
        m[i, j, l] = M[i, j, l] if D is None else D
        y[..., i, j, l] = sum(q[..., s[0]*i + u, s[1]*j + v, s[2]*l + w], u, v, w) / m[i, j, l]
        dq[..., s[0]*i + u, s[1]*j + v, s[2]*l + w] += dy[..., i, j, l] / m[i, j, l]
        dx = crop(dq, P) if ceil or p != (0, 0, 0) else dq
    """
