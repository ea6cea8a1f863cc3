"""Module: what every layer, loss and container is made of.

An author writes `forward` and `backward` side by side. The class adds the walk over whatever the object holds
(parameters, buffers, submodules), the one slot that carries values from forward to backward, and one helper that
casts and checks an argument.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from . import tree
from .parameter import Buffer, Parameter, as_floating

_float = float  # the class below has a method of this name

# Both are per thread and per task, so that one thread's validation does not switch off another one's training.
_saving: ContextVar[bool] = ContextVar("saving", default=True)
_caller: ContextVar[Callable[[Module, tuple], Any] | None] = ContextVar("caller", default=None)


class no_grad(contextlib.ContextDecorator):
    """Inside `with no_grad():` forward passes save nothing for backward. Also decorates a function.

    Example:
        >>> with no_grad():
        ...     pass
    """

    def __enter__(self) -> None:
        self._token = _saving.set(False)

    def __exit__(self, *exc_info: object) -> None:
        _saving.reset(self._token)

    def _recreate_cm(self) -> no_grad:
        return no_grad()  # a decorated function may call itself: each call has a token of its own


@contextlib.contextmanager
def calling(caller: Callable[[Module, tuple], Any]) -> Iterator[None]:
    """Inside the `with`, every call of a module goes through `caller(module, inputs)`, which returns the output.

    The caller runs `module.forward(*inputs)` itself, so it sees which calls happen inside which.

    Example:
        >>> with calling(lambda module, inputs: module.forward(*inputs)):
        ...     pass
    """
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


@contextlib.contextmanager
def watching(watcher: Callable[[Module, tuple, Any], None]) -> Iterator[None]:
    """Inside the `with`, call `watcher(module, inputs, output)` after the forward of every module that is called.

    Example:
        >>> with watching(lambda module, inputs, output: print(module)):
        ...     pass
    """

    def caller(module: Module, inputs: tuple) -> Any:
        output = module.forward(*inputs)
        watcher(module, inputs, output)
        return output

    with calling(caller):
        yield


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` found amiss between a module and a state: two lists of names."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """The base of all layers, losses and containers.

    Write `forward` and `backward`; assign Parameters, Buffers, Modules, or lists, tuples and dicts of them to
    attributes, and they are found. `super().__init__()` need not be called.

    Attributes:
        training: True in training mode, False after `eval()`.
        needs_input_grad: False lets a model's first layer return None from backward and spare a product.
        equations: what the module computes, as lines of the language of `nn.mathematics`: the output y (several: y0,
            y1, ...; of a loss: its values L), then the gradients, dx and one for each parameter, from dy, which comes
            in. Empty when nothing is stated.
        symbols: ties letters in `equations` to attributes: {"W": "weight"}.
        input_symbols, output_symbols: the letters of inputs and outputs in `equations`, where they are others.

    Example:
        >>> class Scale(Module):
        ...     def __init__(self):
        ...         self.weight = Parameter(2.0)
        ...     def forward(self, x):
        ...         x = self.cast(x, self.weight.data.dtype)
        ...         self.save_for_backward(x)
        ...         return x * self.weight.data
        ...     def backward(self, grad_output):
        ...         x = self.saved()
        ...         g = self.cast(grad_output, x.dtype, x.shape, "grad_output")
        ...         self.weight.grad += (g * x).sum()
        ...         return g * self.weight.data
        >>> scale = Scale()
        >>> scale([1, 2]), scale.backward([1, 1]), scale.weight.grad
        (array([2., 4.]), array([2., 2.]), array(3.))
    """

    training: bool = True
    needs_input_grad: bool = True
    equations: ClassVar[str] = ""
    symbols: ClassVar[Mapping[str, str]] = {}
    input_symbols: tuple[str, ...] = ()
    output_symbols: tuple[str, ...] = ()
    _saved: tuple | None = None

    # ---- the author's two

    def forward(self, *inputs: Any) -> Any:
        """Return the output, and leave with `save_for_backward` what backward will need."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, grad_output: Any) -> Any:
        """Add into each parameter's `grad` and return the gradient of the input (of several: one each)."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def __call__(self, *inputs: Any) -> Any:
        caller = _caller.get()
        return self.forward(*inputs) if caller is None else caller(self, inputs)

    # ---- the mathematics

    def equations_of(self, count: int) -> str:
        """Return `equations` for a call with `count` inputs; a layer that takes any number of them overrides this."""
        return self.equations

    # ---- from forward to backward

    def save_for_backward(self, *values: Any) -> None:
        """Keep `values` for backward, in place of what an earlier forward kept; nothing is kept under `no_grad`.

        Calling it with no values still marks that a forward has run.
        """
        if _saving.get():
            self._saved = values

    def saved(self) -> Any:
        """Return what forward saved, the one value or the tuple of several, and empty the slot.

        Raises:
            RuntimeError: when the slot is empty: no forward since the last backward.
        """
        values = self._saved
        if values is None:
            raise RuntimeError(
                f"{self!r} has nothing saved to go back through: each backward needs a forward of its own before it, "
                f"outside no_grad. If this one object is used twice in a forward, use it once and its share() the "
                f"second time"
            )
        self._saved = None
        return values[0] if len(values) == 1 else values

    def cast(
        self, value: ArrayLike, dtype: DTypeLike | None = None, shape: tuple | None = None, name: str = "input"
    ) -> np.ndarray:
        """Return an argument of forward or backward as an array, cast and checked; the argument is left alone.

        Args:
            value: an array, a number, or nested lists of numbers.
            dtype: what to cast to; None keeps a floating dtype and makes anything else float32.
            shape: what the shape must be; one that starts with `...` allows any leading dimensions. None allows all.
            name: what the error calls the argument.

        Raises:
            TypeError: for what is not made of real numbers.
            ValueError: for another shape.
        """
        try:
            array = as_floating(value, dtype)
        except (TypeError, ValueError) as error:  # NumPy's ValueError: lists of unequal lengths
            raise type(error)(f"{self!r} expects {name} to be an array of real numbers: {error}") from None
        if shape is not None and array.shape != shape:
            if not (shape[:1] == (...,) and array.shape[1 - len(shape) :] == shape[1:]):
                raise ValueError(f"{self!r} expects {name} of shape {shape_text(shape)}, got {array.shape}")
        return array

    # ---- the walk

    def _members(self) -> Iterator[tuple[str, Parameter | Buffer | Module]]:
        """Yield what this very object holds, in order of assignment, under dotted names for lists, tuples and dicts."""

        def walk(name: str, value: Any) -> Iterator[tuple[str, Any]]:
            if isinstance(value, Parameter | Buffer | Module):
                yield name, value
            elif isinstance(value, dict):
                for key, item in value.items():
                    yield from walk(f"{name}.{key}", item)
            elif isinstance(value, list | tuple):
                for index, item in enumerate(value):
                    yield from walk(f"{name}.{index}", item)

        for name, value in vars(self).items():
            if name != "_saved":
                yield from walk(name, value)

    def _state(self, prefix: str = "") -> Iterator[tuple[str, Parameter | Buffer]]:
        """Yield every Parameter and Buffer under each of its names: own Parameters, own Buffers, then children's."""
        members = list(self._members())
        for kind in (Parameter, Buffer):
            for name, member in members:
                if isinstance(member, kind):
                    yield prefix + name, member
        for name, member in members:
            if isinstance(member, Module):
                yield from member._state(f"{prefix}{name}.")

    def children(self) -> Iterator[Module]:
        """Yield the modules held directly, each once."""
        members = (member for _, member in self._members() if isinstance(member, Module))
        return iter({id(member): member for member in members}.values())

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Yield this module (named "") and all below it with their dotted names, each once, parents first."""
        seen = set()

        def walk(name: str, module: Module) -> Iterator[tuple[str, Module]]:
            if id(module) not in seen:
                seen.add(id(module))
                yield name, module
                for key, member in module._members():
                    if isinstance(member, Module):
                        yield from walk(f"{name}.{key}" if name else key, member)

        return walk("", self)

    def modules(self) -> Iterator[Module]:
        """Yield this module and all below it, each once, parents first."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield the Parameters with their dotted names; a shared one once, under its first name.

        Example:
            >>> module = Module()
            >>> module.layers = [Parameter([1.0])]
            >>> [name for name, _ in module.named_parameters()]
            ['layers.0']
        """
        seen = set()
        for name, member in self._state():
            if isinstance(member, Parameter) and id(member) not in seen:
                seen.add(id(member))
                yield name, member

    def parameters(self) -> Iterator[Parameter]:
        """Yield the Parameters, each once."""
        return (parameter for _, parameter in self.named_parameters())

    def buffers(self) -> Iterator[Buffer]:
        """Yield the Buffers, each once."""
        members = (member for _, member in self._state() if isinstance(member, Buffer))
        return iter({id(member): member for member in members}.values())

    # ---- done to the whole

    def apply(self, function: Callable[[Module], Any]) -> Self:
        """Call `function` with every module, children first, and return this one."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Put this module and all below it into training mode (False: evaluation), and return it."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Put this module and all below it into evaluation mode, and return it."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set `requires_grad` of every Parameter (False freezes them), and return this module."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self) -> None:
        """Set every Parameter's gradient to zero, in place."""
        for parameter in self.parameters():
            parameter.grad.fill(0)

    def _to(self, dtype: DTypeLike) -> Self:
        for parameter in self.parameters():
            parameter.data = parameter.data.astype(dtype)
            parameter.grad = parameter.grad.astype(dtype)
        for buffer in self.buffers():
            if buffer.data.dtype.kind == "f":
                buffer.data = buffer.data.astype(dtype)
        return self

    def double(self) -> Self:
        """Turn Parameters, gradients and floating Buffers into float64, and return this module."""
        return self._to(np.float64)

    def float(self) -> Self:
        """Turn Parameters, gradients and floating Buffers into float32, and return this module."""
        return self._to(np.float32)

    def share(self) -> Self:
        """Return a second object with saved slots of its own on the same Parameters and Buffers.

        This is how one layer serves in several places of a forward, such as a cell that is unrolled. Containers are
        followed: what they hold is shared too.

        Example:
            >>> module = Module()
            >>> module.weight = Parameter([1.0])
            >>> twin = module.share()
            >>> twin is module, twin.weight is module.weight
            (False, True)
        """

        def twin(leaf: Any) -> Any:
            return leaf.share() if isinstance(leaf, Module) else leaf

        other = copy.copy(self)
        other._saved = None
        for name, value in vars(self).items():
            if name != "_saved":
                vars(other)[name] = tree.map(twin, value)
        return other

    # ---- the state

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of all Parameters and Buffers by dotted name; a shared one stands under each of its names."""
        return {name: member.data.copy() for name, member in self._state()}

    def load_state_dict(self, state_dict: Mapping[str, ArrayLike], strict: bool = True) -> IncompatibleKeys:
        """Copy a state's values into the Parameters and Buffers, in place; all of it, or nothing when it raises.

        Args:
            state_dict: arrays by name, as `state_dict()` gives them.
            strict: False tolerates missing and unexpected names. A shape that differs is always an error.

        Returns:
            The missing and the unexpected names.

        Raises:
            ValueError: for missing or unexpected names (when strict), or for an array of another shape.
            TypeError: for an array whose kind of number cannot be held, such as complex for real.
        """
        own = dict(self._state())
        values = {name: np.asarray(value) for name, value in state_dict.items() if name in own}
        missing = [name for name in own if name not in values]
        unexpected = [name for name in state_dict if name not in own]
        wrong = [
            f"{name} has shape {values[name].shape}, expected {member.data.shape}"
            for name, member in own.items()
            if name in values and values[name].shape != member.data.shape
        ]
        faults = [f"missing: {', '.join(missing)}"] * bool(strict and missing)
        faults += [f"unexpected: {', '.join(unexpected)}"] * bool(strict and unexpected)
        faults += wrong
        title = type(self).__name__
        if faults:
            raise ValueError(f"the state does not fit {title}, nothing was loaded; {'; '.join(faults)}")
        for name, value in values.items():
            if not np.can_cast(value.dtype, own[name].data.dtype, "same_kind"):
                raise TypeError(
                    f"the state does not fit {title}, nothing was loaded; {name} has dtype {value.dtype}, "
                    f"expected {own[name].data.dtype}"
                )
        for name, value in values.items():
            own[name].data[...] = value
        return IncompatibleKeys(missing, unexpected)

    # ---- how it is shown

    def extra_repr(self) -> str:
        """Return the inside of repr's brackets: the arguments that would build this module again."""
        return ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"


def shape_text(shape: tuple) -> str:
    """Write a shape as Python would, with `...` for any leading dimensions."""
    return "(" + ", ".join("..." if size is ... else str(size) for size in shape) + ("," * (len(shape) == 1)) + ")"


def count_parameters(module: Module) -> int:
    """Return how many numbers a module trains or could train; shared ones count once.

    Example:
        >>> module = Module()
        >>> module.weight = Parameter(np.zeros((2, 3)))
        >>> count_parameters(module)
        6
    """
    return sum(parameter.data.size for parameter in module.parameters())


def title(module: Module) -> str:
    """Return a module's repr, or its class alone where it holds others or its repr takes several lines."""
    text = repr(module)
    return type(module).__name__ if "\n" in text or list(module.children()) else text


def held_generators(module: Module) -> dict[str, np.random.Generator]:
    """Return the generators that a module and those inside it have as attributes, by dotted name."""
    return {
        f"{path}.{name}": value
        for path, part in module.named_modules()
        for name, value in vars(part).items()
        if isinstance(value, np.random.Generator)
    }


__all__ = [
    "IncompatibleKeys",
    "Module",
    "calling",
    "count_parameters",
    "held_generators",
    "no_grad",
    "shape_text",
    "title",
    "watching",
]
