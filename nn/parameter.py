"""What a module keeps: a Parameter is trained, a Buffer is saved, everything else is forgotten.

Both are plain holders of one array. There is no autograd behind them: a layer's `backward` adds into `grad`
by hand, and an optimizer reads `data` and `grad` and writes `data` in place.
"""

from __future__ import annotations

from typing import Never, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .pytorch import TENSORS, refuse_attributes

NUMERIC = "biuf"  # NumPy's kinds of booleans, integers and real floating numbers


def as_floating(value: ArrayLike, dtype: DTypeLike | None = None) -> np.ndarray:
    """Return `value` as an array of `dtype`; without one a floating dtype stays and all else becomes float32.

    The value itself comes back where it already fits, and is never written to.

    Raises:
        TypeError: for complex numbers, text and objects.

    Example:
        >>> as_floating([1, 2]).dtype, as_floating(np.float64(3)).dtype
        (dtype('float32'), dtype('float64'))
    """
    array = np.asarray(value)
    found = array.dtype
    if found == dtype or (dtype is None and found.kind == "f"):
        return array
    if found.kind not in NUMERIC:
        raise TypeError(f"expected real numbers, got dtype {found}")
    return array.astype(np.float32 if dtype is None else dtype)


class _Holder:
    """What is not an array, but has one: whoever takes it for one is told where the array is."""

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Never:
        raise TypeError(f"a {type(self).__name__} is no array, but holds one: write .data")


_OF_ARRAYS = {
    name: f"its array has, write .data.{name}" for name in dir(np.ndarray) if name.isalpha() and name != "data"
}
refuse_attributes(_Holder, {**TENSORS, **_OF_ARRAYS})


class Parameter(_Holder):
    """An array that is trained, with its gradient beside it.

    Args:
        data: the values, any shape; copied. Floating dtypes stay, integers and booleans become float32.
        requires_grad: False freezes it: optimizers and gradient clipping pass it by. Layers ignore the flag.

    Attributes:
        data: the values.
        grad: the gradient, shaped and typed like `data`; born zero, added to by `backward`, cleared by `zero_grad`.

    Raises:
        TypeError: for data that are not real numbers.

    Example:
        >>> p = Parameter([1.0, 2.0])
        >>> p.grad += 1
        >>> p.data, p.grad
        (array([1., 2.]), array([1., 1.]))
    """

    def __init__(self, data: ArrayLike, requires_grad: bool = True) -> None:
        self.data = np.array(as_floating(data))
        self.grad = np.zeros_like(self.data)
        self.requires_grad = requires_grad

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of `data`."""
        return self.data.shape

    def numel(self) -> int:
        """Return how many numbers `data` holds."""
        return self.data.size

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set `requires_grad` (False freezes), and return this Parameter."""
        self.requires_grad = requires_grad
        return self

    def __repr__(self) -> str:
        title = type(self).__name__
        return f"{title}(shape={self.data.shape}, dtype={self.data.dtype}, requires_grad={self.requires_grad})"


class Buffer(_Holder):
    """An array that is saved with the parameters and never trained, such as a running mean or class weights.

    Args:
        data: the values, any shape and dtype; copied.

    Example:
        >>> Buffer(np.zeros(3)).data
        array([0., 0., 0.])
    """

    def __init__(self, data: ArrayLike) -> None:
        self.data = np.array(data)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self.data.shape}, dtype={self.data.dtype})"


class Uninitialized(_Holder):
    """What lazy layers hold until their first input tells its size: an empty array, 0 long on each unknown axis.

    Example:
        >>> isinstance(UninitializedParameter(np.zeros((3, 0))), Uninitialized)
        True
    """

    data: np.ndarray
    kind: type  # what it becomes

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Return whether it may become an array of this shape."""
        sizes = self.data.shape
        return len(shape) == len(sizes) and all(size in (0, n) for size, n in zip(sizes, shape, strict=True))

    def materialize(self, data: np.ndarray) -> None:
        """Take over values and their shape, in its own dtype: from now on, it is an ordinary object of its `kind`."""
        self.data = data.astype(self.data.dtype)
        self.__class__ = self.kind


class UninitializedParameter(Uninitialized, Parameter):
    """A Parameter of a lazy layer, before its size is known.

    Example:
        >>> p = UninitializedParameter(np.zeros((3, 0)))
        >>> p
        UninitializedParameter(shape=(3, 0), dtype=float64, requires_grad=True)
        >>> p.materialize(np.ones((3, 2)))
        >>> p, p.grad.shape
        (Parameter(shape=(3, 2), dtype=float64, requires_grad=True), (3, 2))
    """

    kind = Parameter

    def materialize(self, data: np.ndarray) -> None:
        super().materialize(data)
        self.grad = np.zeros_like(self.data)


class UninitializedBuffer(Uninitialized, Buffer):
    """A Buffer of a lazy layer, before its size is known.

    Example:
        >>> b = UninitializedBuffer(np.zeros(0))
        >>> b.materialize(np.ones(2))
        >>> b
        Buffer(shape=(2,), dtype=float64)
    """

    kind = Buffer
