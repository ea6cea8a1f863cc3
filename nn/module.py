"""Module: what every layer, loss and container is made of.

An author writes `forward` and `backward` side by side. The class adds the walk over whatever the object holds
(parameters, buffers, submodules), the one slot that carries values from forward to backward, and the helpers that
cast and check an argument on the first line of each.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Never, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from . import tree
from .parameter import Buffer, Parameter, Uninitialized, as_floating
from .pytorch import METHODS, refuse_attributes, refuse_keywords
from .settings import arguments_text, flag
from .shapes import Likeness, fits, likeness, outline, shape_text

# Both are per thread and per task, so that one thread's validation does not switch off another one's training.
_saving: ContextVar[bool] = ContextVar("saving", default=True)
_caller: ContextVar[Callable[[Module, tuple], Any] | None] = ContextVar("caller", default=None)

_SLOTS = ("_saved", "_output")  # what a forward leaves for its backward belongs to no state


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

    A backward goes through the latest forward, once, in the thread that ran it; a forward that needs no backward
    belongs under `no_grad`. In between, what went in and what came out must not be written to: layers keep both without
    copying them, and nothing would tell that the gradient is another.

    Attributes:
        training: True in training mode, False after `eval()`.
        needs_input_grad: False lets a model's first layer return None from backward and spare a product.
        equations: what the module computes, as lines of the language of `nn.mathematics`: the output y (several: y0,
            y1, ...; of a loss: its values L), then the gradients, dx and one for each parameter, from dy, which comes
            in. Empty when nothing is stated.
        symbols: ties letters in `equations` to attributes: {"W": "weight"}.
        input_symbols, output_symbols: the letters of inputs and outputs in `equations`, where they are others; an input
            at the end that is left out is None there.

    Example:
        >>> class Scale(Module):
        ...     def __init__(self):
        ...         self.weight = Parameter(2.0)
        ...     def forward(self, x):
        ...         x = self.cast(x, self.weight.data.dtype)
        ...         y = x * self.weight.data
        ...         self.save_for_backward(x, output=y)
        ...         return y
        ...     def backward(self, grad_output):
        ...         g = self.upstream(grad_output)
        ...         x = self.saved()
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
    _saved: tuple[int, tuple] | None = None  # the thread that ran forward, and what it saved for backward
    _output: Any = None  # the shape and dtype of what forward returned, for upstream

    if not TYPE_CHECKING:  # so that type checkers flag an argument that there is not

        def __new__(cls, *args: Any, **kwargs: Any) -> Self:
            refuse_keywords(cls, kwargs)
            if (args or kwargs) and cls.__init__ is object.__init__:
                raise TypeError(f"{cls.__name__} takes no arguments")
            return super().__new__(cls)

        # What `inspect` and help() show of a class without a constructor of its own.
        __new__.__signature__ = inspect.Signature([inspect.Parameter("cls", inspect.Parameter.POSITIONAL_ONLY)])

    # ---- the author's two

    def forward(self, *inputs: Any) -> Any:
        """Return the output, and leave with `save_for_backward` what backward will need."""
        raise NotImplementedError(f"{type(self).__name__} has no forward: write def forward(self, x), beside backward")

    def backward(self, grad_output: Any) -> Any:
        """Add into each parameter's `grad` and return the gradient of the input (of several: one each)."""
        raise NotImplementedError(
            f"{type(self).__name__} has no backward, and nothing derives one: write def backward(self, grad_output), "
            f"which calls the backward of each module that forward called, the last first, and returns the gradient of "
            f"the input; a chain of modules is an nn.Sequential, which has one"
        )

    def __call__(self, *inputs: Any) -> Any:
        caller = _caller.get()
        return self.forward(*inputs) if caller is None else caller(self, inputs)

    # ---- the mathematics

    def equations_of(self, count: int) -> str:
        """Return `equations` for a call with `count` inputs; a layer that takes any number of them overrides this."""
        return self.equations

    # ---- from forward to backward

    def save_for_backward(self, *values: Any, output: Any = None) -> None:
        """Keep `values` for backward, in place of what an earlier forward kept; nothing is kept under `no_grad`.

        Calling it with no values still marks that a forward has run.

        Args:
            *values: what `saved` will return.
            output: what forward returns, for `upstream`: its shapes and dtypes are kept, and not the arrays.
        """
        if _saving.get():
            self._saved = (get_ident(), values)  # one object, so that no thread sees half of another one's
            if output is not None:
                self._output = likeness(output)

    def saved(self) -> Any:
        """Return what forward saved, the one value or the tuple of several, and empty the slot.

        Raises:
            RuntimeError: when the slot is empty: no forward since the last backward; or when it was filled by another
                thread.
        """
        slot = self._saved
        if slot is None:
            raise self._nothing_saved()
        thread, values = slot
        if thread != get_ident():
            raise RuntimeError(
                f"{short_repr(self)} was last run forward in another thread, whose values this backward would take: "
                f"give each thread a model of its own, copy.deepcopy(model), and add up their gradients"
            )
        self._saved = None
        return values[0] if len(values) == 1 else values

    def upstream(self, grad_output: Any) -> Any:
        """Return the gradient that backward was given, cast and checked to be shaped and typed like the output.

        Call it once, before `saved` or after it: when it comes first, a gradient of the wrong shape leaves what was
        saved for another try. Where the output is a nest of tuples, lists and dicts, the gradient is the same nest,
        with None in the place of whatever is not made of floating numbers.

        Args:
            grad_output: the gradient of what forward gave to `save_for_backward` as `output`.

        Raises:
            RuntimeError: where no forward has left its output since the last backward.
            TypeError: for what is not made of real numbers.
            ValueError: for another shape, or another nesting.
        """
        like = self._output
        if like is None:
            raise self._nothing_saved()
        if isinstance(like, Likeness):
            g = self.cast(grad_output, like.dtype, like.shape, "grad_output")
        else:
            g = self._cast_nest(grad_output, like, "grad_output")
        self._output = None
        return g

    def _cast_nest(self, value: Any, like: Any, name: str) -> Any:
        """Return a nest of gradients cast and checked to be like a nest of outputs."""
        if isinstance(like, Likeness):
            return self.cast(value, like.dtype, like.shape, name) if like.dtype.kind == "f" else None
        if isinstance(like, dict):
            if isinstance(value, dict) and value.keys() == like.keys():
                return {key: self._cast_nest(value[key], item, f"{name}[{key!r}]") for key, item in like.items()}
        elif isinstance(value, tuple | list) and len(value) == len(like):
            pairs = enumerate(zip(value, like, strict=True))
            return type(like)([self._cast_nest(g, item, f"{name}[{i}]") for i, (g, item) in pairs])
        found = outline(value)
        raise ValueError(
            f"{short_repr(self)} expects {name} to be nested as the output is, {outline(like)}, got {found}"
        )

    def _nothing_saved(self) -> RuntimeError:
        return RuntimeError(
            f"{short_repr(self)} has nothing saved to go back through: each backward needs a forward of its own before "
            f"it, outside no_grad. If this one object is used twice in a forward, use it once and its share() the "
            f"second time"
        )

    # ---- arguments

    def cast(
        self, value: ArrayLike, dtype: DTypeLike | None = None, shape: tuple | None = None, name: str = "input"
    ) -> np.ndarray:
        """Return an argument of forward or backward as an array, cast and checked; the argument is left alone.

        Args:
            value: an array, a number, or nested lists of numbers.
            dtype: what to cast to; None keeps a floating dtype and makes anything else float32.
            shape: what the shape must be: an int is an exact size, a string any size, which it names in the error, and
                `...` in front any leading dimensions: (..., 3), ("N", 3, "H", "W"). None allows all.
            name: what the error calls the argument.

        Raises:
            TypeError: for what is not made of real numbers.
            ValueError: for another shape.
        """
        try:
            array = as_floating(value, dtype)
        except (TypeError, ValueError) as error:  # NumPy's ValueError: lists of unequal lengths
            raise type(error)(f"{short_repr(self)} expects {name} to be an array of real numbers: {error}") from None
        if shape is not None and array.shape != shape and not fits(array.shape, shape):
            raise ValueError(f"{short_repr(self)} expects {name} of shape {shape_text(shape)}, got {array.shape}")
        return array

    def indices(
        self, value: ArrayLike, count: int, shape: tuple | None = None, name: str = "input", ignore: int | None = None
    ) -> np.ndarray:
        """Return an argument that holds indices as an array of integers, checked to be from 0 to count - 1.

        Args:
            value: an array, a number, or nested lists of integers.
            count: how many things there are to index.
            shape: as in `cast`.
            name: what the error calls the argument.
            ignore: one more number that may stand there.

        Raises:
            TypeError: for what is not made of integers; booleans are none.
            ValueError: for another shape, or an index out of range.

        Example:
            >>> Module().indices([0, 2], 3)
            array([0, 2])
        """
        array = self._array(value, name, "an array of integers")
        if array.dtype.kind not in "iu":
            raise TypeError(f"{short_repr(self)} expects {name} to be indices of an integer dtype, got {array.dtype}")
        if shape is not None and not fits(array.shape, shape):
            raise ValueError(f"{short_repr(self)} expects {name} of shape {shape_text(shape)}, got {array.shape}")
        wrong = (array < 0) | (array >= count)
        if ignore is not None:
            wrong &= array != ignore
        if wrong.any():
            raise ValueError(
                f"{short_repr(self)} expects {name} to be indices from 0 to {count - 1}, got {array[wrong][0]}"
            )
        return array.astype(np.intp, copy=False)

    def _array(self, value: ArrayLike, name: str, expected: str) -> np.ndarray:
        """Return an argument as an array of whatever dtype it has."""
        try:
            return np.asarray(value)
        except (TypeError, ValueError) as error:  # a Parameter; lists of unequal lengths
            raise type(error)(f"{short_repr(self)} expects {name} to be {expected}: {error}") from None

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
            if name not in _SLOTS:
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

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the modules held directly with their names, each once, under its first name."""
        seen = set()
        for name, member in self._members():
            if isinstance(member, Module) and id(member) not in seen:
                seen.add(id(member))
                yield name, member

    def children(self) -> Iterator[Module]:
        """Yield the modules held directly, each once."""
        return (module for _, module in self.named_children())

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

    def register_buffer(self, name: str, value: ArrayLike | Buffer | None) -> None:
        """Set the attribute `name` to a Buffer of `value`: PyTorch's way to write `self.name = Buffer(value)`.

        Args:
            name: of the attribute.
            value: an array, which is copied, a Buffer, or None.

        Raises:
            ValueError: for a name with a dot, an empty one, or one that stands for something else already.

        Example:
            >>> module = Module()
            >>> module.register_buffer("mean", [0.0, 0.0])
            >>> module.mean.data
            array([0., 0.])
        """
        title = type(self).__name__
        if not name or "." in name:
            raise ValueError(f"{title} expects a buffer's name without dots and not empty, got {name!r}")
        if hasattr(self, name) and not isinstance(vars(self).get(name), Buffer):
            raise ValueError(f"{title} cannot name a buffer {name!r}: it has an attribute of that name")
        setattr(self, name, value if value is None or isinstance(value, Buffer) else Buffer(value))

    # ---- done to the whole

    def apply(self, function: Callable[[Module], Any]) -> Self:
        """Call `function` with every module, children first, and return this one."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def train(self, mode: bool = True) -> Self:
        """Put this module and all below it into training mode (False: evaluation), and return it.

        Raises:
            TypeError: for a mode that is not True or False.
        """
        mode = flag(self, "mode", mode)
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

    def zero_grad(self, **unknown: Never) -> None:
        """Set every Parameter's gradient to zero, in place.

        Raises:
            TypeError: for any argument, such as PyTorch's set_to_none.
        """
        if unknown:
            name, advice = next(iter(unknown)), "leave it out, gradients are set to zero in place and are never None"
            raise TypeError(f"{type(self).__name__}.zero_grad() has no {name}: {advice}")
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
        other._saved = other._output = None
        for name, value in vars(self).items():
            if name not in _SLOTS:
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
            ValueError: for missing or unexpected names (when strict), an array of another shape, or a Parameter or
                Buffer whose array is read-only.
            TypeError: for an array whose kind of number cannot be held, such as complex for real.
        """
        title = type(self).__name__
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"{title} expects a state as a dict, got {type(state_dict).__name__}; nothing was loaded")
        own = dict(self._state())
        values = {name: self._array(value, name, "an array") for name, value in state_dict.items() if name in own}
        missing = [name for name in own if name not in values]
        unexpected = [name for name in state_dict if name not in own]
        faults = [f"missing: {', '.join(missing)}"] * bool(strict and missing)
        faults += [f"unexpected: {', '.join(map(str, unexpected))}"] * bool(strict and unexpected)
        kinds = []
        for name, value in values.items():
            member, data = own[name], own[name].data
            if value.shape != data.shape and not (isinstance(member, Uninitialized) and member.fits(value.shape)):
                faults.append(f"{name} has shape {value.shape}, expected {data.shape}")
            if not data.flags.writeable:
                faults.append(f"{name} is read-only")
            if not np.can_cast(value.dtype, data.dtype, "same_kind"):
                kinds.append(f"{name} has dtype {value.dtype}, expected {data.dtype}")
        if faults or kinds:
            text = f"the state does not fit {title}, nothing was loaded; {'; '.join(faults + kinds)}"
            raise ValueError(text) if faults else TypeError(text)
        # All are cast before the first is written, since a cast may overflow, which NumPy can be told to raise.
        ready = {name: value.astype(own[name].data.dtype) for name, value in values.items()}
        for name, value in ready.items():
            member = own[name]
            if isinstance(member, Uninitialized) and value.size:  # an empty one is of a lazy layer without values
                member.materialize(value)
            else:
                member.data[...] = value
        return IncompatibleKeys(missing, unexpected)

    # ---- how it is shown

    def extra_repr(self) -> str:
        """Return the inside of repr's brackets: the arguments that would build this module again.

        They are read from the attributes named as the constructor's arguments: those without default by position, the
        others by keyword where they differ from it. A bool may stand for a Parameter that is there or None (`bias`),
        and `dtype` for that of the parameters. What has no attribute, or none that can be written down, is left out.
        """
        return arguments_text(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"


refuse_attributes(Module, METHODS)


def is_grad_enabled() -> bool:
    """Return whether forward passes save for backward, which they do outside of `no_grad`."""
    return _saving.get()


def count_parameters(module: Module) -> int:
    """Return how many numbers a module trains or could train; shared ones count once.

    Example:
        >>> module = Module()
        >>> module.weight = Parameter(np.zeros((2, 3)))
        >>> count_parameters(module)
        6
    """
    return sum(parameter.data.size for parameter in module.parameters())


def check_initialized(owner: str, module: Module) -> None:
    """Refuse a module that holds a lazy layer which has not been called yet; `owner` is who refuses.

    Raises:
        ValueError: naming the first parameter or buffer without values.

    Example:
        >>> from nn import LazyLinear
        >>> check_initialized("gradcheck", LazyLinear(3))
        Traceback (most recent call last):
            ...
        ValueError: gradcheck expects layers that know their sizes, got a lazy one (weight has no values): call it once
    """
    for name, member in module._state():
        if isinstance(member, Uninitialized):
            raise ValueError(
                f"{owner} expects layers that know their sizes, got a lazy one ({name} has no values): call it once"
            )


def short_repr(module: Module) -> str:
    """Return a module's repr, or its class alone where it holds others or its repr takes several lines."""
    text = repr(module)
    return type(module).__name__ if "\n" in text or list(module.children()) else text


def named_generators(module: Module) -> dict[str, np.random.Generator]:
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
    "check_initialized",
    "count_parameters",
    "is_grad_enabled",
    "named_generators",
    "no_grad",
    "short_repr",
    "watching",
]
