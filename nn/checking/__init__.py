"""Gradient checking: whether a backward is the derivative of its forward, and if it is not, what went wrong.

`check` has `gradcheck` itself. `pull` has the one form that it knows; `modules`, `functions`, `torch_adapter`,
`jax_adapter` and `program_adapter` bring each kind into that form. `experiment` runs it from a pinned `state`,
`protocol` sees to what backward owes besides numbers, `measure` takes numerical derivatives and compares gradients with
them, `declared` holds deliberate gradients against what is said of them. What is wrong is named by `diagnosis` from the
gradient, by `structure` from the Jacobian's columns, by `uses`, and by `slips`: which of the `mistakes` that people
make gives just this in the chain rule (`derivatives`) of forward's own `operations`, some of them functions that
`recognition` knows; all from one `evidence` and in one `vocabulary`.
`composite` holds what the modules inside are given against the measured, and `report` shows it all.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .check import Settings as Settings
from .check import check_subject as check_subject
from .check import gradcheck as gradcheck
from .measure import Function as Function
from .measure import NumericalGradient as NumericalGradient
from .measure import grid as grid
from .measure import typical as typical
from .pull import Back as Back
from .pull import Pull as Pull
from .pull import Subject as Subject
from .report import GradcheckError as GradcheckError
from .report import Report as Report
from .state import ModuleState as ModuleState
from .state import RandomState as RandomState

# Adapters to what not everybody has are loaded when they are first asked for.
if TYPE_CHECKING:
    from .jax_adapter import jax as jax
    from .program_adapter import program as program
    from .torch_adapter import torch as torch

_ASKED_FOR = {"jax": "jax_adapter", "program": "program_adapter", "torch": "torch_adapter"}


if not TYPE_CHECKING:  # so that type checkers flag a name that there is not

    def __getattr__(name: str) -> Any:
        if name not in _ASKED_FOR:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(f".{_ASKED_FOR[name]}", __name__), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_ASKED_FOR})
