"""A whole training step in C, compiled on first use and run on the very arrays of the model and its optimizer."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..module import Module
from ..settings import number
from ..utils import clip_grad_norm_
from .compiler import CompilerError
from .expression import LoweringError
from .prepared import PreparedStep


def compile(  # noqa: A001 - the name that it has in PyTorch
    model: Module, criterion: Module, optimizer: Any, *, max_norm: float | None = None
) -> CompiledStep:
    """Return a function that takes a whole training step in C: `loss = step(x, y)`.

    A step does what these lines do, on the same arrays and the same state, so that both can take turns:

        loss = criterion(model(x), y)
        optimizer.zero_grad()
        model.backward(criterion.backward())
        clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()

    It is made of the equations that the layers, the loss and the rule state, compiled by the machine's C compiler when
    it is first called, and kept for the next run. Gradients of frozen parameters are not computed. Where there is no
    compiler, or something has no lowering, it warns once and runs the lines above. Layers, and their settings, stay
    what they were at the first step; what the groups of the optimizer say may change.

    Args:
        model: any Module whose layers state their equations.
        criterion: the loss, of reduction 'mean' or 'sum'.
        optimizer: from `optim`, over parameters of the model.
        max_norm: clips the norm of the gradients of all that is trained; None leaves them.

    Raises:
        TypeError: for what is no Module, or no optimizer.
        ValueError: for a negative `max_norm`.

    Example:
        >>> from nn import Linear, MSELoss
        >>> class Descent:
        ...     pass
        >>> compile(Linear(1, 1), MSELoss(), Descent())
        Traceback (most recent call last):
            ...
        TypeError: compile expects an optimizer of the package optim, got Descent
    """
    for role, module in (("model", model), ("criterion", criterion)):
        if not isinstance(module, Module):
            raise TypeError(f"compile expects a Module as {role}, got {module!r}")
    if not hasattr(optimizer, "flat_groups"):
        raise TypeError(f"compile expects an optimizer of the package optim, got {type(optimizer).__name__}")
    if max_norm is not None:
        max_norm = number("compile", "max_norm", max_norm, at_least=0)
    return CompiledStep(model, criterion, optimizer, max_norm)


class CompiledStep:
    """A training step, as `compile` makes it; call it with a batch.

    Attributes:
        reason: why steps are run in Python; "" while they are run in C.
    """

    def __init__(self, model: Module, criterion: Module, optimizer: Any, max_norm: float | None) -> None:
        self.model = model
        self.criterion = criterion
        self.optimizer = optimizer
        self.max_norm = max_norm
        self.reason = ""
        self._modules = [*model.modules(), *criterion.modules()]
        self._prepared: dict[Any, PreparedStep] = {}

    def __call__(self, x: Any, y: ArrayLike) -> Any:
        """Take a step on a batch, and return its loss as it was before.

        Args:
            x: the input; a tuple for several.
            y: the target.

        Raises:
            ValueError, TypeError, RuntimeError: as the model and the criterion do, for a batch that does not fit.
        """
        inputs = x if isinstance(x, tuple) else (x,)
        if not self.reason:
            arrays = [np.asarray(each) for each in (*inputs, y)]
            try:
                if prepared := self._prepared_for(arrays):
                    return prepared.step(arrays)
            except (LoweringError, CompilerError, OSError) as error:
                self._give_up(error)
            except (TypeError, ValueError, RuntimeError) as error:
                loss = self._python_step(inputs, y)  # where the batch is at fault, this says so
                self._give_up(error)
                return loss
        return self._python_step(inputs, y)

    def _prepared_for(self, arrays: list[np.ndarray]) -> PreparedStep | None:
        """Return the compiled step for arrays like these; None for a batch that Python had better see itself."""
        if not arrays[0].ndim or not len(arrays[0]):
            return None
        flats = self.optimizer.flat_groups()
        key = (
            tuple([(array.shape[1:], array.dtype.kind) for array in arrays]),
            tuple([module.training for module in self._modules]),
        )
        prepared = self._prepared.get(key)
        if prepared is None or not prepared.suits(arrays, flats):
            prepared = PreparedStep(self.model, self.criterion, self.optimizer, self.max_norm, arrays)
            prepared.find(flats)
            self._prepared[key] = prepared
        return prepared if prepared.fits(arrays) else None

    def _give_up(self, error: Exception) -> None:
        self.reason = str(error)
        warnings.warn(f"the training step runs in Python: {error}", RuntimeWarning, stacklevel=3)

    def _python_step(self, inputs: tuple, y: ArrayLike) -> Any:
        loss = self.criterion(self.model(*inputs), y)
        self.optimizer.zero_grad()
        self.model.backward(self.criterion.backward())  # type: ignore[call-arg]
        if self.max_norm is not None:
            clip_grad_norm_(self.model.parameters(), self.max_norm)
        self.optimizer.step()
        return loss
