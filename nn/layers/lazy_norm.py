"""Lazy norms: they take the number of channels from their first input, and then are ordinary norms."""

from __future__ import annotations

from numpy.typing import ArrayLike, DTypeLike

from .batch_norm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    TrackingNorm,
)
from .lazy import Lazy


class LazyNorm(Lazy, TrackingNorm):
    """What all of them share; as in PyTorch, the lazy InstanceNorms too have w and b and track statistics by default.

    Example:
        >>> isinstance(LazyBatchNorm2d(), LazyNorm)
        True
    """

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype: DTypeLike | None = None,
        *,
        bias: bool = True,
    ) -> None:
        self.wait(
            eps=eps,
            momentum=momentum,
            affine=affine,
            track_running_stats=track_running_stats,
            dtype=dtype,
            bias=bias,
        )

    def first_argument(self, x: ArrayLike) -> int:
        shape = self.cast(x).shape
        for layout in self.layouts:
            if len(layout) == len(shape):
                return shape[layout.index("C")]
        expected = " or ".join(f"({', '.join(layout)})" for layout in self.layouts)
        raise ValueError(f"{self!r} expects input of shape {expected}, got {shape}")


class LazyBatchNorm1d(LazyNorm, BatchNorm1d):
    """A BatchNorm1d that takes `num_features` from its first input.

    Args:
        eps, momentum, ...: as in BatchNorm1d.

    Shape:
        As in BatchNorm1d.

    Raises:
        TypeError, ValueError: as in BatchNorm1d.

    Example:
        >>> import numpy as np
        >>> layer = LazyBatchNorm1d()
        >>> layer(np.ones((2, 3, 5))).shape, layer
        ((2, 3, 5), BatchNorm1d(3))
    """

    becomes = BatchNorm1d


class LazyBatchNorm2d(LazyNorm, BatchNorm2d):
    """A BatchNorm2d that takes `num_features` from its first input.

    Args:
        eps, momentum, ...: as in BatchNorm2d.

    Shape:
        As in BatchNorm2d.

    Raises:
        TypeError, ValueError: as in BatchNorm2d.

    Example:
        >>> import numpy as np
        >>> layer = LazyBatchNorm2d()
        >>> layer(np.ones((2, 3, 5, 4))).shape, layer
        ((2, 3, 5, 4), BatchNorm2d(3))
    """

    becomes = BatchNorm2d


class LazyBatchNorm3d(LazyNorm, BatchNorm3d):
    """A BatchNorm3d that takes `num_features` from its first input.

    Args:
        eps, momentum, ...: as in BatchNorm3d.

    Shape:
        As in BatchNorm3d.

    Raises:
        TypeError, ValueError: as in BatchNorm3d.

    Example:
        >>> import numpy as np
        >>> layer = LazyBatchNorm3d()
        >>> layer(np.ones((2, 3, 5, 4, 2))).shape, layer
        ((2, 3, 5, 4, 2), BatchNorm3d(3))
    """

    becomes = BatchNorm3d


class LazyInstanceNorm1d(LazyNorm, InstanceNorm1d):
    """An InstanceNorm1d that takes `num_features` from its first input.

    Args:
        eps, momentum, ...: as in InstanceNorm1d; affine and track_running_stats are True by default, as in PyTorch.

    Shape:
        As in InstanceNorm1d.

    Raises:
        TypeError, ValueError: as in InstanceNorm1d.

    Example:
        >>> import numpy as np
        >>> layer = LazyInstanceNorm1d()
        >>> layer(np.ones((2, 3, 5))).shape, layer
        ((2, 3, 5), InstanceNorm1d(3, affine=True, track_running_stats=True))
    """

    becomes = InstanceNorm1d


class LazyInstanceNorm2d(LazyNorm, InstanceNorm2d):
    """An InstanceNorm2d that takes `num_features` from its first input.

    Args:
        eps, momentum, ...: as in InstanceNorm2d; affine and track_running_stats are True by default, as in PyTorch.

    Shape:
        As in InstanceNorm2d.

    Raises:
        TypeError, ValueError: as in InstanceNorm2d.

    Example:
        >>> import numpy as np
        >>> layer = LazyInstanceNorm2d()
        >>> layer(np.ones((2, 3, 5, 4))).shape, layer
        ((2, 3, 5, 4), InstanceNorm2d(3, affine=True, track_running_stats=True))
    """

    becomes = InstanceNorm2d


class LazyInstanceNorm3d(LazyNorm, InstanceNorm3d):
    """An InstanceNorm3d that takes `num_features` from its first input.

    Args:
        eps, momentum, ...: as in InstanceNorm3d; affine and track_running_stats are True by default, as in PyTorch.

    Shape:
        As in InstanceNorm3d.

    Raises:
        TypeError, ValueError: as in InstanceNorm3d.

    Example:
        >>> import numpy as np
        >>> layer = LazyInstanceNorm3d()
        >>> layer(np.ones((2, 3, 5, 4, 2))).shape, layer
        ((2, 3, 5, 4, 2), InstanceNorm3d(3, affine=True, track_running_stats=True))
    """

    becomes = InstanceNorm3d
