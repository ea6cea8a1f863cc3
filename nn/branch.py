"""Branches: containers that run modules side by side, and the layers that bring several arrays back into one.

The names are Torch7's. A branch point returns a tuple; `Sequential` hands it on as the next one's several inputs, and
where paths meet in backward, gradients are summed here, in plain sight.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from .container import Container
from .module import Module, count_parameters
from .settings import integer


class _Branches(Container):
    """Modules side by side: each has an output, and a gradient of its output, of its own."""

    _part = "branch"
    _needs_input_grad = True

    @property
    def needs_input_grad(self) -> bool:
        """False on the outermost model lets the branches spare the gradients of their inputs."""
        return self._needs_input_grad

    @needs_input_grad.setter
    def needs_input_grad(self, value: bool) -> None:
        self._needs_input_grad = value
        for branch in self:
            branch.needs_input_grad = value

    def _each(self, run: Callable[[Module, Any], Any], values: Sequence[Any]) -> tuple:
        """Return what `run(branch, value)` gives for each branch and its value."""
        results = []
        for index, (branch, value) in enumerate(zip(self, values, strict=True)):
            try:
                results.append(run(branch, value))
            except (ValueError, TypeError, RuntimeError) as error:
                self._locate(error, index)
                raise
        return tuple(results)

    def _backward(self, grad_output: Any) -> tuple:
        """Return the gradient of each branch's input."""
        grads = grad_output if isinstance(grad_output, tuple | list) else (grad_output,)
        if len(grads) != len(self):
            raise ValueError(
                f"{type(self).__name__} of {len(self)} branches expects a tuple of as many gradients, got {len(grads)}"
            )
        return self._each(_back, grads)

    def _sum(self, grads: Sequence[Any]) -> Any:
        """Return the sum of what the branches gave for their common input; of several inputs, each."""
        missing = [index for index, grad in enumerate(grads) if grad is None]
        if len(missing) == len(grads) or not self.needs_input_grad:
            return None
        if missing:
            raise RuntimeError(
                f"branch {missing[0]} of {type(self).__name__}, {self[missing[0]]!r}, returned no gradient, which is "
                f"needed for the sum: set its needs_input_grad back to True"
            )
        if isinstance(grads[0], tuple):
            return tuple(map(self._sum, zip(*grads, strict=True)))
        return functools.reduce(operator.add, grads)


def _back(branch: Module, grad_output: Any) -> Any:
    if grad_output is None:  # as from an Embedding, whose input has no gradient
        if count_parameters(branch):
            raise RuntimeError(
                f"{branch!r} has parameters, and no gradient came back to it: set needs_input_grad of what follows it "
                f"back to True"
            )
        return None
    return branch.backward(grad_output)


class ConcatTable(_Branches):
    """Feeds one input to each of its branches and returns the tuple of their outputs (Torch7's name).

    Args:
        *branches: the modules, or one dict of them by name; an object given twice is shared, as in Sequential.

    Shape:
        What all branches take, to a tuple of what they give. In backward a tuple of as many gradients, to their sum.

    Raises:
        TypeError: for anything that is not a Module.
        ValueError: for a number of gradients that is not the number of branches.
        RuntimeError: where one branch returns no gradient (`needs_input_grad` is False) and others do.

    Example:
        >>> from nn import Identity, ReLU
        >>> fork = ConcatTable(Identity(), ReLU())
        >>> fork([-1.0, 2.0])
        (array([-1.,  2.]), array([0., 2.]))
        >>> fork.backward(([1.0, 1.0], [10.0, 10.0]))
        array([ 1., 11.])
    """

    def forward(self, *inputs: Any) -> tuple:
        return self._each(lambda branch, given: branch(*given), [inputs] * len(self))

    def backward(self, grad_output: tuple) -> Any:
        return self._sum(self._backward(grad_output))


class ParallelTable(_Branches):
    """Feeds the i-th input to the i-th branch and returns the tuple of their outputs (Torch7's name).

    Args:
        *branches: the modules, or one dict of them by name; an object given twice is shared, as in Sequential.

    Shape:
        As many inputs as branches, to a tuple of outputs. In backward a tuple of gradients, to a tuple of gradients.

    Raises:
        TypeError: for anything that is not a Module.
        ValueError: for a number of inputs or gradients that is not the number of branches.

    Example:
        >>> from nn import Identity, ReLU
        >>> ParallelTable(Identity(), ReLU())([-1.0], [-1.0])
        (array([-1.]), array([0.]))
    """

    def forward(self, *inputs: Any) -> tuple:
        if len(inputs) != len(self):
            raise ValueError(f"ParallelTable of {len(self)} branches expects as many inputs, got {len(inputs)}")
        return self._each(lambda branch, x: branch(*x) if isinstance(x, tuple) else branch(x), inputs)

    def backward(self, grad_output: tuple) -> Any:
        return _one_or_all(self._backward(grad_output))


class Residual(_Branches):
    """y = module(x) + x, or module(x) + shortcut(x) (He et al., "Deep residual learning", 2016).

    Args:
        module: the branch with the layers.
        shortcut: the other one, where shapes change on the way; None for x itself.

    Shape:
        What the module takes, to what it gives, which must be the shape of the shortcut's output.

    Raises:
        TypeError: for anything that is not a Module.
        ValueError: where the two outputs differ in shape.

    Example:
        >>> from nn import ReLU
        >>> block = Residual(ReLU())
        >>> block([-1.0, 2.0]), block.backward([1.0, 1.0])
        (array([-1.,  4.]), array([1., 2.]))
    """

    def __init__(self, module: Module, shortcut: Module | None = None) -> None:
        super().__init__()
        for branch in (module,) if shortcut is None else (module, shortcut):
            self.append(branch)

    def forward(self, x: Any) -> np.ndarray:
        outputs = self._each(Module.__call__, [x] * len(self))
        f, shortcut = outputs if len(self) == 2 else (*outputs, x)
        f = self.cast(f, name="the module's output")
        y = f + self.cast(shortcut, f.dtype, f.shape, "the shortcut's output")
        self.save_for_backward(output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> Any:
        g = self.upstream(grad_output)
        self.saved()
        grads = self._backward((g,) * len(self))
        return self._sum(grads if len(self) == 2 else (*grads, g))


class _Joining(Module):
    """A layer of any number of inputs and one output; backward gives a tuple of gradients (of one input: its own)."""

    def _cast_inputs(self, inputs: tuple, same_shape: bool) -> list[np.ndarray]:
        """Return the inputs as arrays of the first one's dtype, and of its shape if so asked."""
        if not inputs:
            raise ValueError(f"{self!r} expects at least one input, got none")
        first = self.cast(inputs[0], name="input 0")
        shape = first.shape if same_shape else None
        return [first, *(self.cast(x, first.dtype, shape, f"input {i}") for i, x in enumerate(inputs[1:], 1))]


class CAddTable(_Joining):
    """y = x₀ + x₁ + ..., the sum of its inputs, entry by entry and never broadcast (Torch7's name).

    Shape:
        Any number of inputs of one shape, to the same.

    Raises:
        ValueError: for no input, or shapes that differ.

    Example:
        >>> CAddTable()([1.0, 2.0], [10.0, 20.0])
        array([11., 22.])
    """

    def forward(self, *inputs: ArrayLike) -> np.ndarray:
        xs = self._cast_inputs(inputs, same_shape=True)
        y = functools.reduce(operator.add, xs)
        self.save_for_backward(len(xs), output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> Any:
        g = self.upstream(grad_output)
        count = self.saved()
        return _one_or_all((g,) * count)

    def equations_of(self, count: int) -> str:
        xs = _symbols(count)
        return "\n".join([f"y = {' + '.join(xs)}", *(f"d{x} = dy" for x in xs)])


class CMulTable(_Joining):
    """y = x₀ x₁ ..., the product of its inputs, entry by entry and never broadcast (Torch7's name).

    Shape:
        Any number of inputs of one shape, to the same.

    Raises:
        ValueError: for no input, or shapes that differ.

    Example:
        >>> CMulTable()([1.0, 2.0], [10.0, 20.0])
        array([10., 40.])
    """

    def forward(self, *inputs: ArrayLike) -> np.ndarray:
        xs = self._cast_inputs(inputs, same_shape=True)
        y = functools.reduce(operator.mul, xs)
        self.save_for_backward(xs, output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> Any:
        g = self.upstream(grad_output)
        xs = self.saved()
        # Not g y / x, which would fail where x is 0.
        return _one_or_all(tuple(functools.reduce(operator.mul, xs[:i] + xs[i + 1 :], g) for i in range(len(xs))))

    def equations_of(self, count: int) -> str:
        xs = _symbols(count)
        gradients = (f"d{x} = {' * '.join(['dy', *(other for other in xs if other != x)])}" for x in xs)
        return "\n".join([f"y = {' * '.join(xs)}", *gradients])


class JoinTable(_Joining):
    """Joins its inputs, in order, along a dimension (Torch7's name).

    Args:
        dim: the dimension; negative counts from the end.

    Shape:
        Any number of inputs that differ in that dimension alone, to an array that is as long there as they together.

    Raises:
        TypeError: for a dimension that is no integer.
        ValueError: for no input, a dimension that they do not have, or shapes that differ elsewhere.

    Example:
        >>> JoinTable(1)([[1.0, 2.0]], [[3.0]])
        array([[1., 2., 3.]])
    """

    symbols: ClassVar = {"k": "dim"}

    def __init__(self, dim: int) -> None:
        self.dim = integer(self, "dim", dim)

    def forward(self, *inputs: ArrayLike) -> np.ndarray:
        xs = self._cast_inputs(inputs, same_shape=False)
        try:
            y = np.concatenate(xs, self.dim)
        except ValueError:
            shapes = ", ".join(str(x.shape) for x in xs)
            raise ValueError(
                f"{self!r} expects inputs that differ in dimension {self.dim} alone, got {shapes}"
            ) from None
        self.save_for_backward([x.shape[self.dim] for x in xs], output=y)
        return y

    def backward(self, grad_output: ArrayLike) -> Any:
        g = self.upstream(grad_output)
        lengths = self.saved()
        return _one_or_all(tuple(np.split(g, np.cumsum(lengths[:-1]), self.dim)))

    def equations_of(self, count: int) -> str:
        xs = _symbols(count)
        if count == 1:
            return "y = x\ndx = dy"
        lengths = ", ".join(f"{x}.shape[k]" for x in xs)
        return f"y = join({', '.join(xs)}, k)\n{', '.join(f'd{x}' for x in xs)} = split(dy, ({lengths}), k)"


def _one_or_all(grads: tuple) -> Any:
    """Return gradients in the nesting of the inputs: of one input its own, of several the tuple."""
    return grads[0] if len(grads) == 1 else grads


def _symbols(count: int) -> list[str]:
    return ["x"] if count == 1 else [f"x{i}" for i in range(count)]
