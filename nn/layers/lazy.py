"""Lazy layers: they take the size that their constructor lacks from their first input, and then are ordinary layers."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import init
from ..module import Module
from ..parameter import Buffer, Parameter, Uninitialized, UninitializedBuffer, UninitializedParameter
from .conv import Conv1d, Conv2d, Conv3d, Sizes, SlidingKernel
from .conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .linear import Linear


class Lazy(Module):
    """What turns into a layer of the class `becomes` with its first input.

    A lazy layer states that class, hands its settings to `wait`, and says in `first_argument` what its input tells. Its
    Parameters and Buffers are there from the beginning, without values, and stay the same objects: an optimizer may be
    made before the first input, and a state loaded, which gives them their values.

    Example:
        >>> layer = LazyLinear(2)
        >>> layer
        LazyLinear(2)
        >>> layer(np.zeros((5, 3))).shape, layer
        ((5, 2), Linear(3, 2))
    """

    becomes: ClassVar[Any]  # a class of layers

    def wait(self, **settings: Any) -> None:
        """Keep the settings, and hold Parameters and Buffers without values.

        Args:
            **settings: all arguments of the constructor of `becomes` but the first.
        """
        drawn = {"generator": 0} if "generator" in settings else {}  # nothing is drawn yet from the one that was given
        self.becomes.__init__(self, 0, **{**settings, **drawn})
        self._settings = settings
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                vars(self)[name] = UninitializedParameter(_emptied(value.data))
            elif isinstance(value, Buffer) and value.data.ndim:  # a single number needs no size
                vars(self)[name] = UninitializedBuffer(_emptied(value.data))

    def first_argument(self, x: ArrayLike) -> int:
        """Return what the input tells: the first argument of the constructor of `becomes`."""
        raise NotImplementedError(f"{type(self).__name__} has no first_argument")

    def forward(self, x: ArrayLike, *others: Any) -> Any:
        layer = self._layer(x)
        y = layer.forward(x, *others)  # which may refuse the input: nothing has been changed so far
        for name, member in vars(self).items():
            if isinstance(member, Uninitialized):
                member.materialize(vars(layer)[name].data)
                vars(layer)[name] = member
        del self._settings
        vars(self).update(vars(layer))
        self.__class__ = self.becomes
        return y

    def _layer(self, x: ArrayLike) -> Any:
        """Return the layer that this one becomes, with the values that have been loaded."""
        settings = dict(self._settings)
        arrays = [*(buffer.data for buffer in self.buffers()), *(parameter.data for parameter in self.parameters())]
        for array in arrays:
            if array.dtype.kind == "f":
                settings["dtype"] = array.dtype  # which double() may have changed
        layer = self.becomes(self.first_argument(x), **settings)
        layer.training = self.training
        for name, member in vars(self).items():
            if isinstance(member, Parameter | Buffer) and not isinstance(member, Uninitialized):
                expected = vars(layer)[name].data.shape
                if member.data.shape != expected:
                    raise ValueError(
                        f"{self!r} has {name} of shape {member.data.shape} and expects an input that fits it, got "
                        f"shape {np.shape(x)}, for which it would be {expected}"
                    )
                vars(layer)[name] = member
        return layer

    def equations_of(self, count: int) -> str:
        raise ValueError(f"{self!r} states its equations once it knows its sizes: call it once")


def _emptied(data: np.ndarray) -> np.ndarray:
    """Return what has no values, though the sizes that are known already: those of a weight, of which one is 0."""
    return data if data.size == 0 else np.zeros([0] * data.ndim, data.dtype)


class LazyLinear(Lazy, Linear):
    """A Linear that takes `in_features` from its first input.

    Args:
        out_features, bias, dtype, generator: as in Linear; the initial values are drawn with the first input.

    Shape:
        Input (..., in_features), output (..., out_features), as in Linear.

    Raises:
        TypeError, ValueError: as in Linear.

    Example:
        >>> layer = LazyLinear(2)
        >>> layer(np.zeros((5, 3))).shape, layer
        ((5, 2), Linear(3, 2))
    """

    becomes = Linear

    def __init__(
        self,
        out_features: int,
        bias: bool = True,
        dtype: DTypeLike | None = None,
        *,
        generator: init.Generator = None,
    ) -> None:
        self.wait(out_features=out_features, bias=bias, dtype=dtype, generator=generator)

    def first_argument(self, x: ArrayLike) -> int:
        return self.cast(x, shape=(..., "in_features")).shape[-1]


class LazyKernel(Lazy, SlidingKernel):
    """What the lazy convolutions and transposed ones share: their input tells `in_channels`.

    Example:
        >>> isinstance(LazyConv2d(2, 3), LazyKernel)
        True
    """

    def first_argument(self, x: ArrayLike) -> int:
        x = self.cast(x)
        sample = ("C", *self.AXES)
        return self.cast(x, shape=sample if x.ndim == len(sample) else ("N", *sample)).shape[-len(sample)]


class LazyConvolution(LazyKernel):
    """What LazyConv1d, LazyConv2d and LazyConv3d share.

    Example:
        >>> isinstance(LazyConv2d(2, 3), LazyConvolution)
        True
    """

    def __init__(
        self,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        dtype: DTypeLike | None = None,
        *,
        generator: init.Generator = None,
    ) -> None:
        self.wait(
            out_channels=out_channels,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=bias,
            padding_mode=padding_mode,
            dtype=dtype,
            generator=generator,
        )


class LazyTransposedConvolution(LazyKernel):
    """What LazyConvTranspose1d, LazyConvTranspose2d and LazyConvTranspose3d share.

    Example:
        >>> isinstance(LazyConvTranspose2d(2, 3), LazyTransposedConvolution)
        True
    """

    def __init__(
        self,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        dtype: DTypeLike | None = None,
        *,
        generator: init.Generator = None,
    ) -> None:
        self.wait(
            out_channels=out_channels,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            output_padding=output_padding,
            groups=groups,
            bias=bias,
            dilation=dilation,
            padding_mode=padding_mode,
            dtype=dtype,
            generator=generator,
        )


class LazyConv1d(LazyConvolution, Conv1d):
    """A Conv1d that takes `in_channels` from its first input.

    Args:
        out_channels, kernel_size, ...: as in Conv1d; the initial values are drawn with the first input.

    Shape:
        As in Conv1d.

    Raises:
        TypeError, ValueError: as in Conv1d.

    Example:
        >>> layer = LazyConv1d(4, 3)
        >>> layer(np.zeros((2, 3, 5))).shape, layer
        ((2, 4, 3), Conv1d(3, 4, 3))
    """

    becomes = Conv1d


class LazyConv2d(LazyConvolution, Conv2d):
    """A Conv2d that takes `in_channels` from its first input.

    Args:
        out_channels, kernel_size, ...: as in Conv2d; the initial values are drawn with the first input.

    Shape:
        As in Conv2d.

    Raises:
        TypeError, ValueError: as in Conv2d.

    Example:
        >>> layer = LazyConv2d(4, 3)
        >>> layer(np.zeros((2, 3, 5, 4))).shape, layer
        ((2, 4, 3, 2), Conv2d(3, 4, 3))
    """

    becomes = Conv2d


class LazyConv3d(LazyConvolution, Conv3d):
    """A Conv3d that takes `in_channels` from its first input.

    Args:
        out_channels, kernel_size, ...: as in Conv3d; the initial values are drawn with the first input.

    Shape:
        As in Conv3d.

    Raises:
        TypeError, ValueError: as in Conv3d.

    Example:
        >>> layer = LazyConv3d(4, 3)
        >>> layer(np.zeros((2, 3, 5, 4, 4))).shape, layer
        ((2, 4, 3, 2, 2), Conv3d(3, 4, 3))
    """

    becomes = Conv3d


class LazyConvTranspose1d(LazyTransposedConvolution, ConvTranspose1d):
    """A ConvTranspose1d that takes `in_channels` from its first input.

    Args:
        out_channels, kernel_size, ...: as in ConvTranspose1d; the initial values are drawn with the first input.

    Shape:
        As in ConvTranspose1d.

    Raises:
        TypeError, ValueError: as in ConvTranspose1d.

    Example:
        >>> layer = LazyConvTranspose1d(4, 3)
        >>> layer(np.zeros((2, 3, 5))).shape, layer
        ((2, 4, 7), ConvTranspose1d(3, 4, 3))
    """

    becomes = ConvTranspose1d


class LazyConvTranspose2d(LazyTransposedConvolution, ConvTranspose2d):
    """A ConvTranspose2d that takes `in_channels` from its first input.

    Args:
        out_channels, kernel_size, ...: as in ConvTranspose2d; the initial values are drawn with the first input.

    Shape:
        As in ConvTranspose2d.

    Raises:
        TypeError, ValueError: as in ConvTranspose2d.

    Example:
        >>> layer = LazyConvTranspose2d(4, 3)
        >>> layer(np.zeros((2, 3, 5, 4))).shape, layer
        ((2, 4, 7, 6), ConvTranspose2d(3, 4, 3))
    """

    becomes = ConvTranspose2d


class LazyConvTranspose3d(LazyTransposedConvolution, ConvTranspose3d):
    """A ConvTranspose3d that takes `in_channels` from its first input.

    Args:
        out_channels, kernel_size, ...: as in ConvTranspose3d; the initial values are drawn with the first input.

    Shape:
        As in ConvTranspose3d.

    Raises:
        TypeError, ValueError: as in ConvTranspose3d.

    Example:
        >>> layer = LazyConvTranspose3d(4, 3)
        >>> layer(np.zeros((2, 3, 5, 4, 4))).shape, layer
        ((2, 4, 7, 6, 6), ConvTranspose3d(3, 4, 3))
    """

    becomes = ConvTranspose3d
