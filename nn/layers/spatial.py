"""What layers over signals, images and volumes share: the axes that they work along, and windows that slide there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..module import Module, short_repr
from ..settings import arguments_text, integers
from .window import Windows, slide

AXES = {1: "L", 2: "H, W", 3: "D, H, W"}


class Spatial(Module):
    """A layer over the last axes of its input, which has channels before them and may have a batch before those.

    Attributes:
        dims: how many axes: 1 for signals (N, C, L), 2 for images (N, C, H, W), 3 for volumes (N, C, D, H, W).
    """

    dims: ClassVar[int]

    def images(self, value: ArrayLike) -> np.ndarray:
        """Return an input as an array, checked to have channels and perhaps a batch, which alone may be empty.

        Raises:
            ValueError: for another number of axes, or an empty one.
        """
        x = self.cast(value)
        axes = AXES[self.dims]
        if x.ndim not in (self.dims + 1, self.dims + 2) or 0 in x.shape[-self.dims - 1 :]:
            raise ValueError(
                f"{short_repr(self)} expects input of shape (N, C, {axes}) or (C, {axes}), "
                f"each of C, {axes} at least 1, got {x.shape}"
            )
        return x

    def each(self, name: str, value: Any, at_least: int) -> tuple[int, ...]:
        """Return a setting with one integer an axis, where one may stand for all."""
        return integers(self, name, value, self.dims, at_least=at_least)

    def slide(
        self,
        x: np.ndarray,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int] = (0, 0, 0),
        dilation: Sequence[int] = (1, 1, 1),
        ceil_mode: bool = False,
    ) -> Windows:
        """Return the windows over an input.

        Raises:
            ValueError: where not even one fits.
        """
        sizes = x.shape[-self.dims :]
        found = slide(sizes, kernel, stride, padding[: self.dims], dilation[: self.dims], ceil_mode)
        if min(found.counts) < 1:
            raise ValueError(
                f"{short_repr(self)} expects an input in which a window has room, got {sizes} for {AXES[self.dims]}: "
                f"make the kernel smaller or the padding larger"
            )
        return found

    def extra_repr(self) -> str:
        """Return the arguments, one number where the same stands for all axes."""
        return arguments_text(self, each_axis=vars(self))


def check_padding(module: Spatial, padding: Sequence[int], kernel: Sequence[int]) -> None:
    """Raise ValueError for padding of more than half the kernel, where a window could lie in nothing but padding."""
    for p, k in zip(padding, kernel, strict=True):
        if p > k // 2:
            raise ValueError(
                f"{type(module).__name__} expects padding of at most half the kernel size, got padding {p} for "
                f"kernel size {k}"
            )
