"""The one form in which the checker knows whatever it checks: a pull.

A pull is called with inputs and returns the output and a function `back`; called with the gradient of the output,
nested as that is, `back` returns the gradients of the inputs, one for each and nested as they are, None for none. This
is the form of `jax.vjp`. Each adapter (modules, functions, PyTorch, JAX, programs) makes a Subject out of its own kind.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from .. import tree
from ..module import Module
from ..parameter import NUMERIC
from .report import Fault
from .state import SOURCES, Source, advance

Back = Callable[[Any], Sequence[Any]]
Pull = Callable[..., tuple[Any, Back]]


class MismatchError(Exception):
    """The gradients that came back are not one for each input, nested like the inputs."""


class Subject:
    """What is checked: a function in the form of a pull, the point to check it at, and what else there is to know.

    Attributes:
        title: what a report calls it.
        inputs: what to call the pull with, by name: arrays, or nests of them, float64 where floating.
        parameters: further arrays that the pull takes, after the inputs.
        mode: "train" or "eval" where there is such a thing, else "".
        module: the Module, in the mode, if it is one.
        scalar: whether `back` takes the upstream gradient to be 1, whatever it is given.
        optional: by name, inputs that may come back without a gradient, and why.
        settings: by name, numbers that a wrong factor may be made of.
        skipped: by name, what else is passed on and not checked, and why.
        accumulates: whether the gradients of parameters add up over the passes of one instance.
        starts_afresh: whether an instance knows nothing of others; what cannot be copied may remember all calls.
        sources: where random numbers come from that are pinned.
        pinned: the same in words.
        narrow: a sentence on why something may be computed in less than float64.

    Example:
        >>> class Double(Subject):
        ...     def instance(self):
        ...         return lambda x: (2 * x, lambda g: [2 * g])
        >>> y, back = Double("double", {"x": np.ones(3)}).instance()(np.ones(3))
        >>> y, back(np.ones(3))
        (array([2., 2., 2.]), [array([2., 2., 2.])])
    """

    mode = ""
    module: Module | None = None
    scalar = False
    accumulates = False
    starts_afresh = False
    sources: tuple[Source, ...] = SOURCES
    pinned = "NumPy's or Python's global generator, or from one that is made from a seed in each call"
    narrow = ""

    def __init__(
        self, title: str, inputs: Mapping[str, Any], parameters: Mapping[str, np.ndarray] | None = None
    ) -> None:
        self.title = title
        self.parameters = dict(parameters or {})
        self.inputs = {
            f"argument {name}" if name in self.parameters else name: prepared(name, value)
            for name, value in inputs.items()
        }
        self.optional: dict[str, str] = {}
        self.settings: dict[str, float] = {}
        self.skipped: dict[str, str] = {}

    def instance(self) -> Pull:
        """Return a pull that starts afresh; it may remember its calls, so that a second one can go wrong."""
        raise NotImplementedError

    def advance(self, pull: Pull) -> None:
        """Draw from every generator within the reach of an instance."""
        advance(sources=self.sources)

    def own(self, pull: Pull) -> list[np.ndarray]:
        """Return the arrays that an instance keeps for good, such as its parameters."""
        return []

    def redrawn(self) -> Self:
        """Return the same with generators of its own further on, if it has any."""
        return self

    def modes(self, training: bool | None) -> list[Self]:
        """Return the subject in each mode that is to be looked at."""
        if training is not None:
            raise TypeError(f"gradcheck takes training= for modules, which have two modes: {self.title} has none")
        return [self]

    def promises(self, experiment: Any) -> Iterator[Fault]:
        """Yield where its kind owes more than every pull does, and fails."""
        return iter(())

    def notes(self, experiment: Any) -> list[str]:
        """Return what else a report should say."""
        return []

    def parts(self) -> Iterator[tuple[str, Subject]]:
        """Yield the parts inside, those within others first, by dotted name, each with what it is called with."""
        return iter(())


def prepared(name: str, value: Any) -> Any:
    """Return a copy of an input, floating arrays as float64.

    Raises:
        TypeError: for what is not made of real numbers.
        ValueError: for what is not finite.

    Example:
        >>> prepared("x", (np.ones(2, np.float32), 3))
        (array([1., 1.]), array(3))
    """

    def leaf_of(leaf: Any) -> np.ndarray | None:
        if leaf is None:
            return None
        array = np.array(leaf, order="C")
        if array.dtype.kind not in NUMERIC:
            raise TypeError(f"gradcheck expects {name} to be made of real numbers, got dtype {array.dtype}")
        if not np.isfinite(array).all():
            raise ValueError(f"gradcheck expects {name} to be finite, got {array[~np.isfinite(array)][0]}")
        return array.astype(np.float64) if array.dtype.kind == "f" else array

    nested_numbers = isinstance(value, list) and not any(isinstance(leaf, np.ndarray) for leaf in tree.leaves(value))
    return leaf_of(value) if nested_numbers else tree.map(leaf_of, value)


def copied(value: Any) -> Any:
    """Return a copy of what can be copied, else the thing itself.

    Example:
        >>> numbers = [1]
        >>> copied(numbers) is numbers, copied(np) is np
        (False, True)
    """
    try:
        return copy.deepcopy(value)
    except Exception:  # each kind refuses in its own way
        return value
