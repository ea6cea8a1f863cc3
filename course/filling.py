"""A filled-in sheet: what each of its lines gives. Whether that is right is judged elsewhere."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from .gradients import COMPUTED, LEAVES, NAMES, RETURNED, Arrays
from .statements import StatementError, Statements

Answer = (
    Any  # what a line gives at a point: an array, `...` for a blank, the StatementError that it ends in, or nonsense
)


class Filling:
    """A filled-in sheet that is run here.

    Args:
        source: the text of the file.
        filename: what messages call it.
        surroundings: its globals.

    Raises:
        SyntaxError: where the text is no Python.
        LookupError: where there is no backward, or one that lacks arguments.

    Example:
        >>> from .solutions import columns
        >>> from pathlib import Path
        >>> filling = Filling(Path(columns.__file__).read_text(encoding="utf-8"), "train.py", vars(columns))
        >>> filling.answer("dz3", {"z3": np.ones((2, 1)), "y": np.zeros((2, 1))}, {}).tolist()
        [[1.0], [1.0]]
    """

    def __init__(self, source: str, filename: str, surroundings: Mapping[str, Any]) -> None:
        self.backward = Statements(source, "backward", filename)
        check_arguments(self.backward)
        self.surroundings = surroundings
        self.lines = {name: self.backward.line(name) for name in NAMES}

    def answer(self, name: str, nodes: Arrays, given: Arrays) -> Answer:
        """Return what the line of a gradient gives, `...` for a blank, or the error that it ends in."""
        variables = {key: nodes[key] for key in self.backward.parameters if key in nodes}
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
                value = self.backward.value(name, variables, given, NAMES, self.surroundings)
        except StatementError as error:
            return error
        except LookupError as error:
            return StatementError(f"{error.args[0]}; the names of the gradients must stay", self.lines[name])
        return np.asarray(value) if isinstance(value, int | float | np.generic) else value

    def together(self, leaves: Arrays) -> Answer:
        """Return all that forward and backward return in one run, by name, or the error that it ends in."""
        function = "forward"
        try:
            *nodes, loss = self.surroundings["forward"](*(leaves[name].copy() for name in LEAVES))
            found = dict(zip(COMPUTED, [*nodes, np.asarray(loss)], strict=True))
            function = "backward"
            gradients = self.surroundings["backward"](*(leaves[name].copy() for name in LEAVES), *nodes)
            return found | dict(zip(RETURNED, gradients, strict=True))
        except Exception as error:  # a student's code raises anything
            text = f"{function} cannot be run: {type(error).__name__}: {error}".rstrip(": ")
            return StatementError(text, self.backward.line_of(error, self.backward.tree))


def kind_of(value: Any) -> str:
    """Return in words what something is that is no array of numbers.

    Example:
        >>> kind_of(None), kind_of([1]), kind_of(np.array(["a"]))
        ('None', 'a list', 'an array of <U1')
    """
    if value is None:
        return "None"
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"


def check_arguments(backward: Statements) -> None:
    """Refuse a backward that does not take what it was handed out with.

    Raises:
        LookupError: where it does not.

    Example:
        >>> check_arguments(Statements("def backward(x): pass", "backward"))
        Traceback (most recent call last):
        LookupError: line 1: backward takes (x) and lacks y, W0, b0, W1, b1, W2, b2, z1, a1, z2, a2, z3: ...
    """
    taken, handed_out = backward.parameters, [*LEAVES, *COMPUTED[:-1]]
    if lacking := [name for name in handed_out if name not in taken]:
        raise LookupError(
            f"line {backward.tree.lineno}: backward takes ({', '.join(taken)}) and lacks {', '.join(lacking)}: it "
            f"should take ({', '.join(handed_out)}), as it was handed out"
        )
