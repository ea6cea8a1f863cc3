"""What is asked of the functions and classes of a file: one call each, arrays in and arrays out.

A hand-in and its solution are asked the same, each in a process of its own, and their answers are compared elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .statements import StatementError

Request = dict[str, Any]


def call_module(surroundings: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """Run forward and backward of a Module.

    Args:
        surroundings: the globals of its file.
        request: "name", "args" and "kwargs" of the class; "parameters", by name, to replace its own; "inputs"; the
            gradient of the output under "upstream", None for a forward alone; whether it is in "training".

    Returns:
        "output"; after a backward "inputs", their gradients, and "parameters", theirs by name; else the parameters.
    """
    module = named(surroundings, request["name"])(*request["args"], **request["kwargs"]).double()
    module.train(request["training"])
    parameters = dict(module.named_parameters())
    for name, value in request["parameters"].items():
        parameters[name].data[...] = value
    output = module(*(np.array(value) for value in request["inputs"]))
    if request["upstream"] is None:
        return {"output": plain(output), "parameters": {name: plain(p.data) for name, p in parameters.items()}}
    module.zero_grad()
    gradients = module.backward(np.array(request["upstream"]))
    return {
        "output": plain(output),
        "inputs": plain(gradients if isinstance(gradients, tuple | list) else [gradients]),
        "parameters": {name: plain(parameter.grad) for name, parameter in parameters.items()},
    }


def call_function(surroundings: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """Call the function "name" with "inputs"; where "backward" names another, also that with (upstream, cache).

    Returns:
        "output", and after a backward "inputs", the gradients.
    """
    returned = named(surroundings, request["name"])(*(copied(value) for value in request["inputs"]))
    if not request["backward"]:
        return {"output": plain(returned)}
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise StatementError(f"{request['name']} should return (output, cache)", 0)
    output, cache = returned
    if request["upstream"] is None:
        return {"output": plain(output)}
    gradients = named(surroundings, request["backward"])(np.array(request["upstream"]), cache)
    return {"output": plain(output), "inputs": plain(gradients if isinstance(gradients, tuple | list) else [gradients])}


class Weight:
    """What an optimizer needs of a parameter.

    Example:
        >>> Weight(np.ones(2)).grad.tolist()
        [0.0, 0.0]
    """

    requires_grad = True

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.grad = data, np.zeros_like(data)


def call_optimizer(surroundings: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """Take a step with each of "gradients", from "inputs"; return the weights after each of them as "steps"."""
    weight = Weight(np.array(request["inputs"][0]))
    optimizer = named(surroundings, request["name"])([weight], *request["args"], **request["kwargs"])
    steps = []
    for gradient in request["gradients"]:
        weight.grad[...] = gradient
        optimizer.step()
        steps.append(weight.data.copy())
    return {"steps": steps}


CALLS: dict[str, Callable[[Mapping[str, Any], Request], dict[str, Any]]] = {
    "module": call_module,
    "function": call_function,
    "optimizer": call_optimizer,
}


def named(surroundings: Mapping[str, Any], name: str) -> Any:
    """Return a function or class of a file.

    Raises:
        StatementError: where there is none.

    Example:
        >>> named({"f": len}, "f") is len
        True
    """
    if not callable(surroundings.get(name)):
        raise StatementError(f"there is no {name} in the file", 0)
    return surroundings[name]


def copied(value: Any) -> Any:
    """Return a copy of an array, and anything else as it is.

    Example:
        >>> copied(3)
        3
    """
    return np.array(value) if isinstance(value, np.ndarray) else value


def plain(value: Any) -> Any:
    """Return a value as it can be sent: numbers as arrays, and what is of no such kind as a text that says what it is.

    Example:
        >>> plain((2.0, None, len))
        [array(2.), None, 'a builtin_function_or_method']
    """
    if value is None or (isinstance(value, np.ndarray) and value.dtype.kind in "biuf"):
        return value
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if value is ...:
        return "..."
    if isinstance(value, bool | int | float | np.generic):
        return np.asarray(value)
    return f"a {type(value).__name__}"
