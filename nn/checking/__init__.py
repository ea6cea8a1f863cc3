"""Gradient checking: whether a module's backward is the derivative of its forward, and if it is not, what went wrong.

`check` has `gradcheck` itself. `experiment` runs the module, `protocol` sees to what backward owes besides numbers,
`comparing` holds its gradients against slopes, `evidence`, `diagnosis` and `vocabulary` name what is wrong, and
`report` shows it.
"""

from .check import gradcheck as gradcheck
from .report import GradcheckError as GradcheckError
