"""Settings: each is checked where it is given, NumPy's numbers become Python's, and a module's repr shows them.

An np.float64 would turn a float32 array that it multiplies into float64; a Python float does not.
"""

from __future__ import annotations

import inspect
import math
import numbers
import operator
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .parameter import Buffer, Parameter, Uninitialized, as_floating


def number(
    owner: object,
    name: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> float:
    """Return a setting that is a real number, within its bounds, as a float.

    Args:
        owner: the object that has the setting, or the name of the function.
        name: of the setting.
        value: what was given.
        above: the bound that the value must exceed.
        at_least: the least value allowed.
        below: the bound that the value must stay under.
        at_most: the largest value allowed.

    Raises:
        TypeError: for what is no number; booleans are none.
        ValueError: for NaN, or a number out of bounds.

    Example:
        >>> number("Dropout", "p", np.float64(0.5), at_least=0, at_most=1)
        0.5
        >>> number("Dropout", "p", 1.5, at_least=0, at_most=1)
        Traceback (most recent call last):
            ...
        ValueError: Dropout expects p to be a number of at least 0 and at most 1, got 1.5
    """
    bounds = {"above": above, "of at least": at_least, "below": below, "at most": at_most}
    limits = " and ".join(f"{word} {bound}" for word, bound in bounds.items() if bound is not None)
    expected = f"a number {limits}".rstrip()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(_refusal(owner, name, expected, value))
    found = float(value)
    if (
        math.isnan(found)
        or (above is not None and found <= above)
        or (at_least is not None and found < at_least)
        or (below is not None and found >= below)
        or (at_most is not None and found > at_most)
    ):
        raise ValueError(_refusal(owner, name, expected, value))
    return found


def integer(owner: object, name: str, value: Any, *, at_least: int | None = None, below: float = 2**63) -> int:
    """Return a setting that is an integer as an int; `owner` and `name` as in `number`.

    Raises:
        TypeError: for what is no integer; booleans and 2.0 are none.
        ValueError: for one that is too small, or that NumPy's own integers cannot hold.

    Example:
        >>> integer("Linear", "in_features", np.int64(3), at_least=0)
        3
    """
    expected = "an integer" if at_least is None else f"an integer of at least {at_least}"
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        value = operator.index(value)
    except TypeError:
        raise TypeError(_refusal(owner, name, expected, value)) from None
    if not -below <= value < below:
        raise ValueError(_refusal(owner, name, f"{expected} that 64 bits can hold", value))
    if at_least is not None and value < at_least:
        raise ValueError(_refusal(owner, name, expected, value))
    return value


def integers(owner: object, name: str, value: Any, count: int, *, at_least: int | None = None) -> tuple[int, ...]:
    """Return a setting that is an integer for each axis; one integer means all of them; `owner`, `name` as in `number`.

    Raises:
        TypeError: for what is neither an integer nor a list or tuple of integers.
        ValueError: for another count, or an integer that is too small.

    Example:
        >>> integers("Conv2d", "stride", 2, 2, at_least=1), integers("Conv2d", "padding", (1, 0), 2)
        ((2, 2), (1, 0))
    """
    if not isinstance(value, list | tuple):
        return (integer(owner, name, value, at_least=at_least),) * count
    if len(value) != count:
        raise ValueError(_refusal(owner, name, f"one integer or {count}", value))
    return tuple(integer(owner, f"{name}[{k}]", item, at_least=at_least) for k, item in enumerate(value))


def flag(owner: object, name: str, value: Any) -> bool:
    """Return a setting that is True or False; `owner` and `name` as in `number`.

    Raises:
        TypeError: for anything else, 0 and 1 too.

    Example:
        >>> flag("Linear", "bias", np.True_)
        True
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(_refusal(owner, name, "True or False", value))
    return bool(value)


def choice(owner: object, name: str, value: Any, *choices: str) -> str:
    """Return a setting that is one of several words; `owner` and `name` as in `number`.

    Raises:
        TypeError: for what is no text.
        ValueError: for another word.

    Example:
        >>> choice("MSELoss", "reduction", "sum", "none", "mean", "sum")
        'sum'
    """
    *others, last = map(repr, choices)
    expected = f"{', '.join(others)} or {last}" if others else last
    if not isinstance(value, str):
        raise TypeError(_refusal(owner, name, expected, value))
    if value not in choices:
        raise ValueError(_refusal(owner, name, expected, value))
    return str(value)


def floating_dtype(owner: object, dtype: DTypeLike | None) -> np.dtype:
    """Return the dtype of parameters that `dtype` means, float32 for None; `owner` as in `number`.

    Raises:
        TypeError: for a dtype that is not of real floating numbers.

    Example:
        >>> floating_dtype("Linear", None), floating_dtype("Linear", "float64")
        (dtype('float32'), dtype('float64'))
    """
    try:
        found = np.dtype(np.float32 if dtype is None else dtype)
    except TypeError:
        found = None
    if found is None or found.kind != "f":
        raise TypeError(_refusal(owner, "dtype", "a floating dtype", dtype))
    return found


def real_array(owner: object, name: str, value: Any) -> np.ndarray:
    """Return an argument that is an array of real numbers as one, of a floating dtype; `owner`, `name` as in `number`.

    Raises:
        TypeError: for what is not made of real numbers.
        ValueError: for lists of unequal lengths.

    Example:
        >>> real_array("vector_to_parameters", "vec", [1, 2])
        array([1., 2.], dtype=float32)
    """
    try:
        return as_floating(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{_title(owner)} expects {name} to be an array of real numbers: {error}") from None


def checked_parameter(owner: object, value: Any) -> Parameter:
    """Return what is a Parameter; `owner` as in `number`.

    Raises:
        TypeError: for anything else.
        ValueError: for that of a lazy layer before its first input.

    Example:
        >>> checked_parameter("zeros_", Parameter([1.0]))
        Parameter(shape=(1,), dtype=float64, requires_grad=True)
    """
    if not isinstance(value, Parameter):
        raise TypeError(f"{_title(owner)} expects a Parameter, such as layer.weight, got {type(value).__name__}")
    if isinstance(value, Uninitialized):
        raise ValueError(f"{_title(owner)} expects a Parameter with values, got {value!r}: call the lazy layer once")
    return value


def _title(owner: object) -> str:
    return owner if isinstance(owner, str) else type(owner).__name__


def _refusal(owner: object, name: str, expected: str, value: Any) -> str:
    return f"{_title(owner)} expects {name} to be {expected}, got {value!r}"


# ---- how they are shown


def arguments_text(module: Any, each_axis: Collection[str] = (), without: Collection[str] = ()) -> str:
    """Return the arguments that would build a module again, as Module.extra_repr tells.

    Args:
        module: the module.
        each_axis: names of settings that are kept as a tuple with an integer an axis, and shown as one where all agree.
        without: the names of arguments to leave out.

    Example:
        >>> from nn import Linear
        >>> arguments_text(Linear(3, 2, bias=False))
        '3, 2, bias=False'
    """
    shown: list[str] = []
    complete = True  # so far, so that arguments may stand by position
    for name, argument in list(inspect.signature(type(module).__init__).parameters.items())[1:]:
        if name in ("generator", *without) or argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
            continue
        text, default = _argument(module, name, argument.default, name in each_axis), _literal(argument.default)
        required = argument.default is argument.empty
        if text is None:
            complete = complete and not required
        elif required and complete and argument.kind != argument.KEYWORD_ONLY:
            shown.append(text)
        elif required or text != default:
            shown.append(f"{name}={text}")
    return ", ".join(shown)


def _argument(module: Any, name: str, default: Any, each_axis: bool) -> str | None:
    """Return the text of a constructor's argument, None where it is not known."""
    if name == "dtype":
        arrays = (member.data for member in (*module.parameters(), *module.buffers()))
        dtype = next((array.dtype for array in arrays if array.dtype.kind == "f"), np.dtype(np.float32))
        return None if dtype == np.float32 else repr(str(dtype))
    if name not in vars(module):
        return None
    value = vars(module)[name]
    if isinstance(default, bool) and (value is None or isinstance(value, Parameter)):
        return repr(value is not None)
    if each_axis and isinstance(value, tuple) and len({*value}) == 1 and value[0] is not None:
        value = value[0]
    return _literal(value)


def _literal(value: Any) -> str | None:
    """Return the text that `eval` makes a plain value or an array of again, arrays as lists; None for anything else."""
    if isinstance(value, Buffer):
        value = value.data
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if isinstance(value, list | tuple):
        items = [_literal(item) for item in value]
        if None in items:
            return None
        inside = ", ".join(map(str, items))
        return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' * (len(items) == 1)})"
    return repr(value) if type(value) in (type(None), bool, int, float, str) else None
