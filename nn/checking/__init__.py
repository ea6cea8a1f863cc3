"""Gradient checking: whether a module's backward is the derivative of its forward, and if it is not, what went wrong.

`check` has `gradcheck` itself. `experiment` runs the module from a pinned `state`, `protocol` sees to what backward
owes besides numbers, `measure` takes numerical derivatives and compares gradients with them. What is wrong is named by
`diagnosis` from the gradient, by `structure` from the Jacobian's columns, and by `uses`, all from one `evidence` and in
one `vocabulary`. `composite` holds what the modules inside are given against the measured, and `report` shows it all.
"""

from .check import gradcheck as gradcheck
from .measure import Function as Function
from .measure import NumericalGradient as NumericalGradient
from .report import GradcheckError as GradcheckError
from .state import ModuleState as ModuleState
from .state import RandomState as RandomState
