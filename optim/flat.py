"""Parameters laid end to end in one array, which they become views of (Torch7's getParameters)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.lib.array_utils import byte_bounds

BLOCK = 1 << 15  # elements a block: 128 KB of float32, of which a rule touches a handful of arrays


class Trainable(Protocol):
    """What an optimizer needs of a parameter."""

    data: np.ndarray
    grad: np.ndarray
    requires_grad: bool


Group = dict[str, Any]
State = dict[str, np.ndarray]


class Flat(NamedTuple):
    """Parameters of one group, dtype and step count, laid end to end."""

    group: int  # its index
    states: list[dict[str, Any]]  # of each parameter: its step count, and its views of the rule's arrays
    data: np.ndarray
    grad: np.ndarray
    arrays: State  # of the rule, as long as they
    blocks: list[tuple[np.ndarray, np.ndarray, State]]  # what a rule is given: views of weights, gradient, state


def lay_out(
    index: int,
    group: Group,
    params: list[Trainable],
    states: dict[Trainable, dict[str, Any]],
    init_state: Callable[[np.ndarray, Group], State],
) -> Flat:
    """Lay parameters of a group end to end, with what state they have, and give each of them its views."""
    data = np.concatenate([p.data.ravel() for p in params])
    grad = np.concatenate([p.grad.ravel() for p in params]).astype(data.dtype, copy=False)
    arrays = init_state(data, group)
    start = 0
    for p in params:
        shape, part = p.data.shape, slice(start, start + p.data.size)
        start = part.stop
        p.data, p.grad = data[part].reshape(shape), grad[part].reshape(shape)
        views = {name: array[part].reshape(shape) for name, array in arrays.items()}
        for name in views.keys() & states[p].keys():
            views[name][...] = states[p][name]
        states[p] = {"step": states[p]["step"], **views}
    blocks = []
    for start in range(0, data.size, BLOCK):
        block = slice(start, start + BLOCK)
        blocks.append((data[block], grad[block], {name: array[block] for name, array in arrays.items()}))
    return Flat(index, [states[p] for p in params], data, grad, arrays, blocks)


def check_arrays(owner: str, params: Mapping[Trainable, str], shapes: Mapping[Trainable, tuple[int, ...]]) -> None:
    """Refuse trainable parameters, which come with their names, whose arrays cannot be trained.

    Raises:
        TypeError: for what is no floating array.
        ValueError: for another shape.
    """
    for p, name in params.items():
        for role, array in (("data", p.data), ("grad", p.grad)) if p.requires_grad else ():
            if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
                kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
                raise TypeError(f"{owner} expects {role} of {name} to be a floating array, got {kind}")
            if array.shape != shapes[p]:
                raise ValueError(
                    f"{owner} expects {role} of {name} to keep its shape {shapes[p]}, got {array.shape}: "
                    f"make a new optimizer for reshaped parameters"
                )


def check_memory(owner: str, params: Mapping[Trainable, str]) -> None:
    """Refuse a trainable parameter that shares memory with another one: laid end to end they would part.

    Raises:
        ValueError: naming both.
    """
    bounds = {p: byte_bounds(p.data) for p in params if isinstance(p.data, np.ndarray)}
    before: list[Trainable] = []  # those that may reach into the memory of the next
    for p in sorted(bounds, key=lambda p: bounds[p][0]):
        before = [q for q in before if bounds[q][1] > bounds[p][0]]
        for q in before:
            if (p.requires_grad or q.requires_grad) and np.shares_memory(p.data, q.data):
                raise ValueError(
                    f"{owner} expects each parameter to have memory of its own, got {params[q]} and {params[p]} with "
                    f"data in the same memory: to share weights, use the one parameter in both places"
                )
        before.append(p)
