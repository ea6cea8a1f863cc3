"""Mistakes planted in the library's own convolutions, by an edit to the text of their files, with the kinds to name."""

import __future__

import ast
import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import nn
from nn.layers import conv, conv_transpose, convolution

from .table import EXCHANGED, FACTOR, LOST, MISSING, OVERWRITTEN, PARTLY, REORDERED, SHIFTED, SUMMED, TRANSPOSED

FILES = (convolution, conv, conv_transpose)


@dataclass
class Planted:
    """One text that is another.

    name: unique.
    build: makes the layer, from the classes by their names.
    shape: of its input.
    old, new: the texts; the first occurs once in all files.
    kinds: those that name the mistake rightly; none where the checker says that it knows none.
    """

    name: str
    build: Callable[[dict], nn.Module]
    shape: tuple[int, ...]
    old: str
    new: str
    kinds: tuple[str, ...]

    def layer(self):
        """Return the layer with the mistake: all files are run again, as if they were one."""
        texts = [inspect.getsource(file) for file in FILES]
        if sum(text.count(self.old) for text in texts) != 1:
            raise ValueError(f"{self.name}: {self.old!r} occurs not once")
        space = {"__package__": "nn.layers", "__name__": "planted"}
        for text in texts:
            tree = ast.parse(text.replace(self.old, self.new))
            tree.body = [line for line in tree.body if not _brings_one_of_them(line)]
            code = compile(tree, "planted", "exec", __future__.annotations.compiler_flag, dont_inherit=True)
            exec(code, space)
        return self.build(space)

    def report(self):
        """Return what the checker finds."""
        x = np.random.default_rng(1).normal(size=self.shape)
        return nn.gradcheck(self.layer(), x, raise_exception=False)


def _brings_one_of_them(line):
    return isinstance(line, ast.ImportFrom) and line.module in ("__future__", "conv", "convolution")


def image(made):
    return made["Conv2d"](2, 3, 3, padding=1, generator=0)


def signal(made):
    return made["Conv1d"](2, 2, 3, padding=1, generator=0)


def strided(made):
    return made["Conv2d"](2, 3, 3, 2, 1, generator=0)


def dilated(made):
    return made["Conv2d"](2, 3, 2, 2, 1, (2, 1), generator=0)


def grouped(made):
    return made["Conv2d"](4, 4, 2, 2, groups=2, generator=0)


def narrowing(made):
    return made["Conv2d"](3, 2, 3, padding=1, generator=0)


def square(made):
    return made["Conv2d"](2, 2, 3, padding=1, generator=0)


def reflected(made):
    return made["Conv2d"](2, 2, 3, padding=1, padding_mode="reflect", generator=0)


def transposed(made):
    return made["ConvTranspose2d"](2, 3, 3, 2, 1, 1, generator=0)


def upsampled(made):
    return made["ConvTranspose1d"](2, 3, 3, 2, generator=0)


IMAGE, SIGNAL, FOUR, THREE = (2, 2, 5, 6), (3, 2, 7), (2, 4, 5, 6), (2, 3, 5, 6)

# fmt: off
PLANTED = [
    Planted("padding cropped by one too much before", narrowing, THREE, "before = [width for", "before = [width + 1 for", (SHIFTED,)),
    Planted("padding cropped behind alone", narrowing, THREE, "before = [width for", "before = [0 * width for", (SHIFTED,)),
    Planted("padding cropped on the wrong side of a signal", signal, SIGNAL, "before = [width for", "before = [2 * width for", (SHIFTED,)),
    Planted("padding cropped of a stride", strided, IMAGE, "before = [width for", "before = [0 * width for", (SHIFTED,)),
    Planted("what was copied into the padding forgotten", reflected, IMAGE, "dx = pad_backward(dq, widths, self.padding_mode)", "dx = pad_backward(dq, widths)", (PARTLY, MISSING, SUMMED)),
    Planted("kernel not flipped", narrowing, THREE, "np.flip(parts, tuple(inner))", "parts", (REORDERED, TRANSPOSED)),
    Planted("kernel flipped along columns too", narrowing, THREE, "np.flip(parts, tuple(inner))", "np.flip(parts, (3, 4))", (REORDERED, TRANSPOSED)),
    Planted("kernel flipped, channels not exchanged", square, IMAGE, ".transpose(0, 2, *outer, 1, *inner)", ".transpose(0, 1, *outer, 2, *inner)", (TRANSPOSED, REORDERED)),
    Planted("bias's mean over all", image, IMAGE, "g.sum((0, *range(2, g.ndim)))", "g.mean((0, *range(2, g.ndim)))", (FACTOR,)),
    Planted("bias over the batch alone", image, IMAGE, "g.sum((0, *range(2, g.ndim)))", "g.sum(0)[:, 0, 0]", (SUMMED,)),
    Planted("bias over the first image", image, IMAGE, "g.sum((0, *range(2, g.ndim)))", "g[0].sum((1, 2))", (SUMMED,)),
    Planted("bias's gradient overwritten", image, IMAGE, "self.bias.grad += g", "self.bias.grad = g", (OVERWRITTEN,)),
    Planted("weight's gradient overwritten", image, IMAGE, "self.weight.grad += weight_gradient(g", "self.weight.grad = weight_gradient(g", (OVERWRITTEN,)),
    Planted("weight of the first image", image, IMAGE, "columns.mT).sum(0)", "columns.mT)[0]", (SUMMED,)),
    Planted("weight's mean over the batch", image, IMAGE, "columns.mT).sum(0)", "columns.mT).mean(0)", (FACTOR,)),
    Planted("weight flipped", image, IMAGE, "return dW.reshape(W.shape)", "return dW.reshape(W.shape)[..., ::-1, ::-1]", (REORDERED,)),
    Planted("weight transposed", image, IMAGE, "return dW.reshape(W.shape)", "return dW.reshape(W.shape).swapaxes(2, 3)", (TRANSPOSED,)),
    Planted("weight of the output before", image, IMAGE, "counts, rows = g.shape[2:], _rows(g, steps)", "counts, rows = g.shape[2:], _rows(np.roll(g, 1, 3), steps)", (SHIFTED,)),
    Planted("weight without the stride", strided, IMAGE, "counts, steps, kept):\n        dW", "counts, steps._replace(stride=(1, 1))):\n        dW", ()),
    Planted("weight without the dilation", dilated, IMAGE, "counts, steps, kept):\n        dW", "counts, steps._replace(dilation=(1, 1))):\n        dW", (SHIFTED, REORDERED, PARTLY)),
    Planted("weight of the other group", grouped, FOUR, "np.matmul(rows[samples], columns", "np.matmul(rows[samples, ::-1], columns", (EXCHANGED,)),
    Planted("stride forgotten", strided, IMAGE, "enumerate(_places(axis, kernel, counts, steps))", "enumerate(_places(axis, kernel, counts, steps._replace(stride=(1, 1))))", (SHIFTED, REORDERED)),
    Planted("dilation forgotten", dilated, IMAGE, "enumerate(_places(axis, kernel, counts, steps))", "enumerate(_places(axis, kernel, counts, steps._replace(dilation=(1, 1))))", (SHIFTED, REORDERED, PARTLY)),
    Planted("overlaps overwritten", strided, IMAGE, "x[place] += w[:, :, u]", "x[place] = w[:, :, u]", (LOST,)),
    Planted("the last of a kernel left out", strided, IMAGE, "enumerate(_places(axis, kernel, counts, steps))", "enumerate(_places(axis, kernel, counts, steps)[:-1])", (PARTLY, MISSING, SUMMED)),
    Planted("kernel in reverse", strided, IMAGE, "x[place] += w[:, :, u]", "x[place] += w[:, :, -1 - u]", (REORDERED,)),
    Planted("groups exchanged", grouped, FOUR, "kernels = _kernels_back(W, copied, steps)", "kernels = _kernels_back(W, copied, steps)[::-1]", ()),
    Planted("groups of the output exchanged", grouped, FOUR, "np.matmul(kernels, rows)", "np.matmul(kernels, rows[:, ::-1])", (EXCHANGED,)),
    Planted("all from the first group", grouped, FOUR, "np.matmul(kernels, rows)", "np.matmul(kernels[:1], rows)", (REORDERED, PARTLY)),
    Planted("transposed: padding of the gradient on one side", transposed, IMAGE, "[(p, n - p - m)", "[(0, n - m)", ()),
    Planted("transposed: kernel flipped", transposed, IMAGE, "convolve(dz, W, self._steps)", "convolve(dz, W[..., ::-1, ::-1], self._steps)", (REORDERED,)),
    Planted("transposed: kernel transposed", transposed, IMAGE, "convolve(dz, W, self._steps)", "convolve(dz, W.swapaxes(2, 3), self._steps)", (TRANSPOSED,)),
    Planted("transposed: weight of the first image", transposed, IMAGE, "weight_gradient(x, dz, W", "weight_gradient(x[:1], dz[:1], W", (SUMMED,)),
    Planted("transposed: weight a step late", upsampled, SIGNAL, "weight_gradient(x, dz, W", "weight_gradient(x, np.roll(dz, 1, -1), W", (SHIFTED,)),
    Planted("transposed: gradient a step early", upsampled, SIGNAL, "convolve(dz, W, self._steps)", "convolve(np.roll(dz, -1, -1), W, self._steps)", (SHIFTED,)),
]
# fmt: on
