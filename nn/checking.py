"""Gradient checking: whether a module's backward is the derivative of its forward."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .module import Module
from .random import default_generator, get_rng_state, set_rng_state


class GradcheckError(RuntimeError):
    """Raised by `gradcheck` when a gradient is wrong; its text says which.

    Example:
        >>> raise GradcheckError("x: off by 2.0")
        Traceback (most recent call last):
        ...
        nn.checking.GradcheckError: x: off by 2.0
    """


def gradcheck(
    module: Module,
    *inputs: ArrayLike,
    step: float = 1e-6,
    tolerance: float = 1e-6,
    generator: np.random.Generator | int | None = 0,
    raise_exception: bool = True,
) -> bool:
    """Compare the gradients of every input and every parameter with central differences, entry by entry.

    Works in float64 on copies of the module, with the same randomness in each evaluation, against a random upstream
    gradient; the caller's module and the library's generator stay as they are. Integer and boolean inputs have no
    gradient.

    Args:
        module: the module to check, in the mode that it is in.
        *inputs: what to call it with.
        step: of the central differences.
        tolerance: the largest error allowed, relative to the largest entry of the gradient (at least 1).
        generator: where the upstream gradient is drawn from.
        raise_exception: False returns False instead of raising.

    Raises:
        GradcheckError: naming the arrays whose gradient is wrong, and by how much.

    Example:
        >>> from nn import Linear
        >>> gradcheck(Linear(3, 2), np.ones((4, 3)))
        True
    """
    prototype = copy.deepcopy(module).double()
    arrays = [np.array(x, np.float64) if np.asarray(x).dtype.kind == "f" else np.array(x) for x in inputs]
    rng_state = get_rng_state()

    def run() -> tuple[Module, Any]:
        set_rng_state(rng_state)
        replica = copy.deepcopy(prototype)
        return replica, replica(*arrays)

    try:
        replica, y = run()
        g = default_generator(generator).normal(size=np.shape(y))
        grads = replica.backward(g)
        grads = grads if isinstance(grads, tuple) else (grads,)

        def objective() -> float:
            return float(np.sum(run()[1] * g))

        checks = [(f"input {i}", x, dx) for i, (x, dx) in enumerate(zip(arrays, grads, strict=False)) if dx is not None]
        gradients = dict(replica.named_parameters())
        checks += [(name, p.data, gradients[name].grad) for name, p in prototype.named_parameters()]
        faults = []
        for name, array, analytic in checks:
            numeric = _central_differences(objective, array, step)
            if np.shape(analytic) != numeric.shape:
                faults.append(f"{name}: expected a gradient of shape {numeric.shape}, got {np.shape(analytic)}")
                continue
            error = np.abs(analytic - numeric).max(initial=0) / max(1, np.abs(numeric).max(initial=0))
            if not error <= tolerance:
                faults.append(f"{name}: off by {error:.1e}, relative to the largest entry")
    finally:
        set_rng_state(rng_state)
    if faults and raise_exception:
        raise GradcheckError(f"{module!r} has a wrong gradient; {'; '.join(faults)}")
    return not faults


def _central_differences(objective: Callable[[], float], array: np.ndarray, step: float) -> np.ndarray:
    """Return the derivative of `objective` by each entry of `array`, which is varied in place and put back."""
    derivative = np.empty_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + step
        above = objective()
        array[index] = value - step
        below = objective()
        array[index] = value
        derivative[index] = (above - below) / (2 * step)
    return derivative
