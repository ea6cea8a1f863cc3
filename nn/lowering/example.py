"""What a model is lowered for: an example of its inputs, perhaps a loss and a target, and the batch size left free."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

import numpy as np

from ..graph import record, trace
from ..module import Module, no_grad
from .batch import BatchError, free_batch
from .expression import LoweringError
from .model import Lowered, ModelLowering


class Example:
    """A model with what it is called with.

    Args:
        model: any Module; copies of it are run.
        inputs: the arrays that it is called with.
        criterion: a loss, or None.
        target: what the loss is given beside the prediction; None lets `default_target` choose.
    """

    def __init__(self, model: Module, inputs: tuple, criterion: Module | None = None, target: Any = None) -> None:
        self.model = model
        self.criterion = criterion
        self.inputs = tuple(map(np.asarray, inputs))
        if empty := [x.shape for x in self.inputs if not x.size]:
            raise LoweringError(f"expected an example of at least one row, got shape {empty[0]}")
        self.target = np.asarray(target) if target is not None else None
        if criterion is not None and target is None:
            self.target = default_target(model, criterion, self.inputs)
        self.dtype = common_dtype(model, criterion)
        self.rows = len(self.inputs[0]) if self.inputs and self.inputs[0].ndim else 0

    def lowered(
        self, training: bool | None, loss: bool, gradients: bool, draw: str = "generator", frozen: Collection[str] = ()
    ) -> tuple[Lowered, bool]:
        """Return the lowered model, and whether its batch size is free.

        Args:
            training: the mode; None leaves each module in its own.
            loss: whether the loss is computed too.
            gradients: whether those of the parameters are.
            draw: as in ModelLowering.
            frozen: as in ModelLowering.

        Raises:
            LoweringError: for what has no lowering.
        """

        def lower(n: int) -> Lowered:
            inputs = tuple(_resized(x, self.rows, n) for x in self.inputs)
            model = copy.deepcopy(self.model)
            if training is not None:
                model.train(training)
            if not loss:
                graph = record(model, *inputs)
            else:
                criterion = copy.deepcopy(self.criterion)
                target = _resized(self.target, self.rows, n)
                graph = trace(model, criterion, inputs, target)  # type: ignore[arg-type]
            kind = "parameters" if gradients else "none"
            return ModelLowering(graph, kind, draw=draw, frozen=frozen).run()

        taken = {size for p in self.model.parameters() for size in p.data.shape}
        taken |= {size for x in self.inputs for size in x.shape[1:]}
        if self.rows:
            try:
                return free_batch(lower, taken), True
            except (BatchError, ValueError, RuntimeError):
                pass  # such as of a single sample without a batch axis: what is wrong shows at the example's own size
        return lower(self.rows), False


def _resized(array: Any, rows: int, n: int) -> Any:
    """Return an array with its rows repeated or left out, so that there are n; one without such rows as it is."""
    if array is None or not array.ndim or len(array) != rows or not rows:
        return array
    return np.resize(array, (n, *array.shape[1:]))


def default_target(model: Module, criterion: Module, inputs: tuple) -> np.ndarray:
    """Return zeros as a loss takes them for a target: class indices where it can, else numbers like the prediction."""
    with no_grad():
        prediction = np.asarray(copy.deepcopy(model)(*inputs))
    classes = np.zeros(prediction.shape[:1] + prediction.shape[2:], np.int64)
    if prediction.ndim > 1:
        try:
            copy.deepcopy(criterion)(prediction, classes)
            return classes
        except (TypeError, ValueError):
            pass
    return np.zeros_like(prediction)


def common_dtype(model: Module, criterion: Module | None = None) -> np.dtype:
    """Return the dtype of all parameters of a model; float32 where it has none.

    Raises:
        LoweringError: where they have several, or one that C lacks.
    """
    dtypes = {p.data.dtype for p in model.parameters()}
    dtype = dtypes.pop() if len(dtypes) == 1 else np.dtype(np.float32)
    if dtypes:
        raise LoweringError(f"a model in C has one dtype, got parameters of {', '.join(map(str, {dtype, *dtypes}))}")
    if dtype not in (np.float32, np.float64):
        raise LoweringError(f"C computes in float32 and float64, got parameters of {dtype}")
    return dtype


def split_example(model: Module, criterion: Module | None, example: Any) -> tuple[tuple, Any]:
    """Return the inputs and the target of an example: an input, a tuple of several, or with a loss a pair of these
    and the target.
    """
    given = example if isinstance(example, tuple) else (example,)
    if criterion is None or len(given) == 1:
        return given, None
    if len(given) == 2 and isinstance(given[0], tuple):
        return given
    try:
        with no_grad():
            copy.deepcopy(model)(*given)
        return given, None
    except (TypeError, ValueError, RuntimeError):
        *inputs, target = given
        return tuple(inputs), target
