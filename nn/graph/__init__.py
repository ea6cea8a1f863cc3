"""The computing graph of a model and its loss, and the derivation of every gradient in it.

`graph` has `record` and `trace`. `tracing` records the `node`s of a real call, `naming` names them; `replay`, `formula`
and `steps` state each gradient and hold it against the run, and `derivation` writes them down; `layout`, `svg`,
`tikz` and `markup` show the graph.
"""

from .graph import Graph as Graph
from .graph import record as record
from .graph import trace as trace
from .node import CRITERION as CRITERION
from .node import Call as Call
from .node import Node as Node
from .node import leaves as leaves
from .node import placed as placed
