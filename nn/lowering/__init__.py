"""Models lowered to C: from the stated equations to loops, and from these to a file or a compiled training step.

`lines` and `wholes` read the equations of one call into a `program` of loops over `expression`s, `model` those of a
graph, and `rule` an optimizer's. `stable` and `fusion` rewrite, `batch` leaves the batch size of an `example` open,
`limits` finds which integers a program takes, and `memory` plans. `c`, `tiles` and `source` print. `export` writes a
file, made of `cfile`, `training` and `row`, what it knows of a table; `step` takes a training step in C, by `compiler`.
"""

from .compiler import CompilerError as CompilerError
from .export import export_c as export_c
from .expression import LoweringError as LoweringError
from .step import CompiledStep as CompiledStep
from .step import compile as compile  # noqa: A004 - the name that it has in PyTorch
