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
        return f"Parameter(shape={self.data.shape}, dtype={self.data.dtype}, requires_grad={self.requires_grad})"


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
        return f"Buffer(shape={self.data.shape}, dtype={self.data.dtype})"
