"""Models lowered to C: from the stated equations to loops, and from these to a file or a compiled training step.

`lines` reads the equations of one call into a `program` of loops over `expression`s, `model` those of a whole graph, and
`rule` an optimizer's; `stable` and `fusion` rewrite, `batch` leaves the batch size open, `memory` plans. `c`, `tiles`
and `source` print. `export` writes a file, `row` what it knows of a table, and `step` compiles a training step.
"""

from .compiler import CompilerError as CompilerError
from .export import export_c as export_c
from .expression import LoweringError as LoweringError
from .step import CompiledStep as CompiledStep
from .step import compile as compile
