"""The computing graph of a loss, and the derivation of every gradient in it.

`graph` has `trace` itself. `tracing` records the `node`s of a real call, `naming` names them; `replay`, `statement` and
`steps` state each gradient and hold it against the run, and `derivation` writes them down; `layout`, `drawing` and
`rendering` show the graph.
"""

from .graph import Graph as Graph
from .graph import trace as trace
