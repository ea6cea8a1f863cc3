"""Models lowered to C: from the stated equations to loops, and from these to a file or a compiled training step.

`lines`, with `values` and `wholes`, read the equations of one call into a `program` of loops, which store an
`expression` for each of an array's `entries`. `model` does so for a graph, `rule` for an optimizer's rule. `stable`,
`fusion` and `reuse` rewrite, `batch` leaves the batch size of an `example` open, `limits` finds which integers a
program takes, and `memory` plans. `c` prints expressions, `nests` and `tiles`, by the plan of `cuts`, print loops, and
`source` collects functions. `export` writes a file, made of `cfile`, `training` and `row`, what it knows of a table;
`step` takes a training step in C, which is `prepared` and compiled by `compiler`.
"""

from .compiler import CompilerError as CompilerError
from .export import export_c as export_c
from .expression import LoweringError as LoweringError
from .step import CompiledStep as CompiledStep
from .step import compile as compile  # noqa: A004 - the name that it has in PyTorch
