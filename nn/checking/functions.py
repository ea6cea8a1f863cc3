"""Functions as subjects: a forward with its backward, in the styles that people write, or a pull as it is."""

from __future__ import annotations

import contextlib
import inspect
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from .pull import Back, MismatchError, Pull, Subject, copied


class Arguments:
    """What a function is called with: arrays, under the names that it gives them, and settings, which are passed on.

    Args:
        function: whose parameters give the names.
        values: the arguments, in order.
        is_array: tells whether a leaf is an array. What is made of nothing else is checked; the rest is settings.

    Example:
        >>> def conv(x, w, conv_param): ...
        >>> arguments = Arguments(conv, (np.ones(3), np.ones(2), {"stride": 1}), is_array)
        >>> list(arguments.arrays), list(arguments.settings)
        (['x', 'w'], ['conv_param'])
    """

    def __init__(self, function: Callable[..., Any], values: Sequence[Any], is_array: Callable[[Any], bool]) -> None:
        self.names = _names(function, values)
        named = dict(zip(self.names, values, strict=True))
        self.arrays = {name: value for name, value in named.items() if _is_made_of(value, is_array)}
        self.settings = {name: value for name, value in named.items() if name not in self.arrays}
        self.skipped = dict.fromkeys(self.settings, "a setting: passed on")

    def filled(self, arrays: Sequence[Any]) -> list[Any]:
        """Return all arguments with others in the places of the arrays, and with copies of the settings."""
        given = dict(zip(self.arrays, arrays, strict=True))
        return [given[name] if name in given else copied(self.settings[name]) for name in self.names]

    def numbers(self) -> dict[str, float]:
        """Return the settings that are numbers, also those in dicts, by name."""
        return {
            name: leaf
            for name, leaf in tree.named_leaves(self.settings)
            if isinstance(leaf, int | float) and not isinstance(leaf, bool)
        }


class FunctionSubject(Subject):
    """A function with its backward; `gradcheck` says what the arguments mean."""

    def __init__(
        self,
        forward: Callable[..., Any],
        inputs: tuple,
        backward: Callable[..., Any] | None = None,
        cache: bool = True,
        value_and_grad: bool = False,
    ) -> None:
        if value_and_grad and backward is not None:
            raise TypeError("gradcheck takes backward= or value_and_grad=True, not both: the latter has its gradients")
        self.arguments = Arguments(forward, inputs, is_array)
        super().__init__(title_of(forward), self.arguments.arrays)
        self.forward, self.backward, self.cache, self.scalar = forward, backward, cache, value_and_grad
        leaves = tree.named_leaves(self.inputs)
        self.optional = {name: "backward returns None: no gradient" for name, _ in leaves}
        self.settings, self.skipped = self.arguments.numbers(), self.arguments.skipped
        self._voice = _Voice()

    def instance(self) -> Pull:
        """Return the function as a pull: it is one object, whatever it remembers."""
        return self._pull

    def notes(self, experiment: Any) -> list[str]:
        """Return a note on what was printed."""
        return [PRINTS] if self._voice.muted else []

    def _pull(self, *arrays: Any) -> tuple[Any, Back]:
        arguments = self.arguments.filled(arrays)
        with self._voice:
            output, back = self._called(arguments)
        if output is None:
            raise TypeError(f"{self.title} returns None for its output: is a return left out?")

        def gradients(g: Any) -> Sequence[Any]:
            with self._voice:
                returned = back(g)
            self._voice.has_spoken = True
            return _one_each(returned, self.inputs, self.arguments.names)

        return output, gradients

    def _called(self, arguments: list[Any]) -> tuple[Any, Callable[[Any], Any]]:
        """Return the output and the way back, whatever style the function is written in."""
        returned = self.forward(*arguments)
        if self.backward is not None and not self.cache:
            return returned, lambda g: self._backward((g, *arguments), "dout, *inputs")
        several = isinstance(returned, tuple | list) and len(returned) > 1
        if self.backward is not None:
            if not several:
                raise TypeError(
                    f"gradcheck expects {self.title} to return (output, cache), got {_kind(returned)}. With "
                    f"cache=False it returns the output alone, and backward gets the inputs again"
                )
            *outputs, cache = returned
            if len(outputs) == 1:
                return outputs[0], lambda g: self._backward((g, cache), "dout, cache")
            return tuple(outputs), lambda g: self._backward((*g, cache), "the gradient of each output, then cache")
        if self.scalar:
            if not several or np.ndim(returned[0]):
                raise TypeError(
                    f"gradcheck expects {self.title} to return (value, gradient), the value being one number, got "
                    f"{_kind(returned)}"
                )
            value, *given = returned
            return value, lambda g: given[0] if len(given) == 1 else tuple(given)
        if not several or len(returned) != 2 or not callable(returned[1]):
            raise TypeError(
                f"gradcheck expects backward=, the function that goes back through {self.title}. Without it, "
                f"{self.title} should return its output and a function from the output's gradient to the inputs', got "
                f"{_kind(returned)}"
            )
        return returned[0], returned[1]

    def _backward(self, arguments: tuple, described: str) -> Any:
        try:
            return self.backward(*arguments)  # type: ignore[misc]
        except TypeError as error:
            if _takes(self.backward, arguments):
                raise
            raise TypeError(
                f"{error}. It is called as backward({described}); cache=False calls backward(dout, *inputs)"
            ) from error


PRINTS = "It prints while it runs: what the first pass printed stands above, the rest was left out."


class _Voice(contextlib.AbstractContextManager):
    """Inside the `with`, what is printed is left out, once the function has spoken: it is called hundreds of times."""

    def __init__(self) -> None:
        self.has_spoken = self.muted = False

    def __enter__(self) -> None:
        self._text = io.StringIO()
        self._redirection = contextlib.redirect_stdout(self._text) if self.has_spoken else contextlib.nullcontext()
        self._redirection.__enter__()

    def __exit__(self, *exc_info: Any) -> None:
        self._redirection.__exit__(*exc_info)
        self.muted |= bool(self._text.getvalue())


# ---- the gradients that a backward returns


def _one_each(returned: Any, inputs: dict[str, Any], names: list[str]) -> list[Any]:
    """Return what a backward returned as one gradient for each input.

    inputs: the arrays, by name.
    names: those of all arguments.
    """
    floating = [name for name, value in inputs.items() if any(map(tree.is_floating, tree.leaves(value)))]
    wanted = f"It should return {_counted(floating)}"
    if returned is None:
        raise MismatchError(f"backward returns None. {wanted}.")
    if isinstance(returned, dict):
        gradients = _by_name(returned, inputs, wanted)
    elif isinstance(returned, tuple | list):
        gradients = _in_order(returned, floating, names, wanted)
    elif len(floating) == 1:
        gradients = {floating[0]: returned}
    else:
        raise MismatchError(f"backward returns {_kind(returned)}. {wanted}.")
    return [_number(gradients.get(name)) for name in inputs]


def _by_name(returned: dict, inputs: dict[str, Any], wanted: str) -> dict[str, Any]:
    nests = [name for name, value in inputs.items() if isinstance(value, dict) and value.keys() == returned.keys()]
    if len(nests) == 1:
        return {nests[0]: returned}
    gradients = {}
    for key, gradient in returned.items():
        name = key if key in inputs else str(key).removeprefix("d")
        if name not in inputs:
            raise MismatchError(f"backward returns a gradient under the name {key!r}. {wanted}.")
        gradients[name] = gradient
    lacking = [name for name, value in inputs.items() if name not in gradients and tree.leaves(value)]
    lacking = [name for name in lacking if any(map(tree.is_floating, tree.leaves(inputs[name])))]
    if lacking:
        raise MismatchError(f"backward returns no gradient under the name {lacking[0]!r} or 'd{lacking[0]}'. {wanted}.")
    return gradients


def _in_order(returned: Sequence[Any], floating: list[str], names: list[str], wanted: str) -> dict[str, Any]:
    if len(returned) == len(names):
        return dict(zip(names, returned, strict=True))
    if len(returned) == len(floating):
        return dict(zip(floating, returned, strict=True))
    if len(returned) < len(names) and not set(floating) & set(names[len(returned) :]):
        return dict(zip(names, returned, strict=False))
    raise MismatchError(f"backward returns {len(returned)} gradients. {wanted}.")


def _counted(floating: list[str]) -> str:
    if len(floating) == 1:
        return f"one, that of {floating[0]}"
    return f"{len(floating)}, those of {', '.join(floating)}, in this order, or a dict of them"


def _number(gradient: Any) -> Any:
    return np.asarray(gradient) if isinstance(gradient, float) else gradient


# ---- what a function says of itself


def title_of(function: Any) -> str:
    """Return what to call a function.

    Example:
        >>> title_of(len), title_of(lambda x: x)
        ('len', 'the function')
    """
    name = getattr(function, "__name__", None) or getattr(getattr(function, "func", None), "__name__", None)
    return "the function" if name == "<lambda>" else name or type(function).__name__


def _names(function: Any, values: Sequence[Any]) -> list[str]:
    """Return what a function calls its arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # written in C
        return [f"input {index}" for index in range(len(values))]
    try:
        bound = signature.bind(*values).arguments
    except TypeError as error:
        raise TypeError(
            f"gradcheck calls {title_of(function)}{signature} with {len(values)} inputs: {error}. Give it all "
            f"that it needs as *inputs, settings too, in this order"
        ) from None
    names: list[str] = []
    for name in bound:
        if signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
            rest = len(values) - len(names)
            names += [f"{name}[{index}]" for index in range(rest)] if rest > 1 or names else ["input"]
        else:
            names.append(name)
    return names


def _takes(function: Any, arguments: tuple) -> bool:
    """Tell whether a function can be called with so many arguments, as far as one can know."""
    with contextlib.suppress(ValueError):
        try:
            inspect.signature(function).bind(*arguments)
        except TypeError:
            return False
    return True


def is_array(leaf: Any) -> bool:
    """Tell whether a leaf is an array of numbers, or a NumPy scalar.

    Example:
        >>> is_array(np.ones(2)), is_array(1.0)
        (True, False)
    """
    return isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind in "biufc"


def _is_made_of(value: Any, is_array: Callable[[Any], bool]) -> bool:
    """Tell whether a value is an array, or a nest of nothing but arrays."""
    leaves = [leaf for leaf in tree.leaves(value) if leaf is not None]
    return bool(leaves) and all(map(is_array, leaves))


def _kind(value: Any) -> str:
    """Return in words what something is."""
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
