"""JAX as a subject: any function that `jax.vjp` takes, with whatever `custom_vjp` is inside."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Unpack

import numpy as np

from .. import tree
from .check import Settings, check_subject
from .functions import Arguments, title_of
from .pull import Back, Pull, Subject
from .report import Report


def jax(function: Callable[..., Any], *arrays: Any, **settings: Unpack[Settings]) -> Report:
    """Check what `jax.vjp` gives for a function: `gradcheck` for JAX.

    Args:
        function: what to check, such as a `jax.custom_vjp`.
        *arrays: what to call it with: arrays, nests of them, and settings and random keys, which are passed on.
        **settings: as in `gradcheck`: except_for, expected, full, tolerance, generator, raise_exception.

    Returns:
        The report.

    Raises:
        GradcheckError: for a wrong gradient, with the report.
        ModuleNotFoundError: where JAX is not installed.
        RuntimeError: where JAX computes in 32 bits.
        TypeError: for what cannot be called.

    Example:
        >>> try:
        ...     import jax as google_jax
        ... except ImportError:
        ...     names = ["x"]
        ... else:
        ...     with google_jax.enable_x64(True):
        ...         names = list(jax(lambda x: x**2, np.ones(3)).errors)
        >>> names
        ['x']
    """
    return check_subject(JaxSubject(importlib.import_module("jax"), function, arrays), **settings)


class JaxSubject(Subject):
    """A JAX function; `jax` is the library itself."""

    narrow = "Something inside asks for a narrower dtype than its input's."
    starts_afresh = True  # JAX's functions are pure

    def __init__(self, jax: Any, function: Callable[..., Any], values: Sequence[Any]) -> None:
        if not callable(function) or isinstance(function, type):
            raise TypeError(f"nn.checking.jax expects a function, got {function!r}")
        if not jax.config.jax_enable_x64:
            raise RuntimeError(
                "nn.checking.jax measures in 64 bits, and JAX computes in 32: call "
                'jax.config.update("jax_enable_x64", True) before arrays are made, or set JAX_ENABLE_X64=1'
            )
        self.jax, self.function = jax, function
        self.arguments = Arguments(function, values, self._is_array)
        super().__init__(title_of(function), tree.map(self._array, self.arguments.arrays))
        self.settings, self.skipped = self.arguments.numbers(), self.arguments.skipped

    def instance(self) -> Pull:
        """Return the function as a pull."""
        return self._pull

    def _pull(self, *values: Any) -> tuple[Any, Back]:
        given = tree.map(lambda leaf: None if leaf is None else self.jax.numpy.asarray(leaf), list(values))
        floating = [leaf for leaf in tree.leaves(given) if leaf is not None and self._is_floating(leaf)]

        def function(*leaves: Any) -> Any:
            replaced = dict(zip(map(id, floating), leaves, strict=True))
            arguments = [tree.map(lambda leaf: replaced.get(id(leaf), leaf), value) for value in given]
            return self.function(*self.arguments.filled(arguments))

        y = function(*floating)

        def back(g: Any) -> list[Any]:
            output, vjp = self.jax.vjp(function, *floating)
            if not all(np.allclose(own, other, equal_nan=True) for own, other in tree.pairs(output, y)):
                raise ValueError("the rule's forward returns another output than the function does by itself")
            pairs = iter(tree.pairs(output, g))  # by key: JAX sorts those of dicts
            gradients = vjp(tree.map(lambda _: self._cotangent(*next(pairs)), output))
            found = dict(zip(map(id, floating), map(np.asarray, gradients), strict=True))
            return [tree.map(lambda leaf: found.get(id(leaf)), value) for value in given]

        return tree.map(lambda leaf: np.asarray(leaf) if self._is_array(leaf) else leaf, y), back

    def _is_array(self, leaf: Any) -> bool:
        """Tell whether a leaf is an array of numbers; keys are arrays of no numbers."""
        kinds = (self.jax.Array, np.ndarray, np.generic)
        numbers = (np.number, np.bool_)
        return isinstance(leaf, kinds) and any(self.jax.numpy.issubdtype(leaf.dtype, kind) for kind in numbers)

    def _is_floating(self, leaf: Any) -> bool:
        return self.jax.numpy.issubdtype(leaf.dtype, np.floating)

    def _array(self, leaf: Any) -> np.ndarray | None:
        if leaf is None:
            return None
        return np.array(leaf, np.float64 if self._is_floating(leaf) else None)

    def _cotangent(self, output: Any, g: Any) -> Any:
        """Return the upstream gradient of an output; integers have one of a kind of its own."""
        if self._is_floating(output):
            return self.jax.numpy.asarray(g, output.dtype)
        return np.zeros(output.shape, self.jax.dtypes.float0)
