"""Layers with hand-written gradients: this page lists them all, by family.

Every module writes its own `forward` and `backward`; `Sequential` chains them, a loss gives the first gradient.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .pytorch import missing_name as _missing_name

# What modules are made of
from .parameter import Buffer as Buffer
from .parameter import Parameter as Parameter
from .module import Module as Module
from .module import no_grad as no_grad

# Containers
from .container import Sequential as Sequential

# Branches
from .branch import CAddTable as CAddTable
from .branch import CMulTable as CMulTable
from .branch import ConcatTable as ConcatTable
from .branch import JoinTable as JoinTable
from .branch import ParallelTable as ParallelTable
from .branch import Residual as Residual

# Linear maps and shapes
from .layers.shape import Flatten as Flatten
from .layers.shape import Identity as Identity
from .layers.linear import Linear as Linear

# Activations
from .layers.activation import LeakyReLU as LeakyReLU
from .layers.activation import LogSoftmax as LogSoftmax
from .layers.activation import ReLU as ReLU
from .layers.activation import Sigmoid as Sigmoid
from .layers.activation import Softmax as Softmax
from .layers.activation import Softplus as Softplus
from .layers.activation import Tanh as Tanh

# Noise
from .layers.dropout import Dropout as Dropout

# Losses
from .losses.classification import BCEWithLogitsLoss as BCEWithLogitsLoss
from .losses.classification import CrossEntropyLoss as CrossEntropyLoss
from .losses.regression import HalfSquaredLoss as HalfSquaredLoss
from .losses.regression import HuberLoss as HuberLoss
from .losses.regression import L1Loss as L1Loss
from .losses.base import Loss as Loss
from .losses.regression import MSELoss as MSELoss

# Chance
from .random import get_rng_state as get_rng_state
from .random import manual_seed as manual_seed
from .random import set_rng_state as set_rng_state

# Looking into a model
from .inspection import first_nonfinite as first_nonfinite
from .inspection import summary as summary

# Files
from .serialization import load as load
from .serialization import save as save

# Rooms of their own
from . import init as init
from . import utils as utils

# What proves, explains and lowers models is loaded when it is first asked for: it is more code than all the rest, and
# who trains a net need not wait for it.
if TYPE_CHECKING:
    # Proof
    from .checking import gradcheck as gradcheck
    from .checking import GradcheckError as GradcheckError

    # The computing graph
    from .graph import record as record
    from .graph import trace as trace

    # To C
    from .lowering import compile as compile  # noqa: A004 - the name that it has in PyTorch
    from .lowering import export_c as export_c

    # Mathematics as data
    from .mathematics.columns import column_equations as column_equations
    from .mathematics.statement import evaluate_equations as evaluate_equations
    from .mathematics.notation import to_latex as to_latex
    from .mathematics.notation import to_mathml as to_mathml
    from .mathematics.notation import to_text as to_text

_ASKED_FOR = {
    "gradcheck": "checking",
    "GradcheckError": "checking",
    "record": "graph",
    "trace": "graph",
    "compile": "lowering",
    "export_c": "lowering",
    "column_equations": "mathematics.columns",
    "evaluate_equations": "mathematics.statement",
    "to_latex": "mathematics.notation",
    "to_mathml": "mathematics.notation",
    "to_text": "mathematics.notation",
}


if not TYPE_CHECKING:  # so that type checkers flag a name that there is not

    def __getattr__(name: str) -> Any:
        if name not in _ASKED_FOR:
            raise AttributeError(_missing_name(__name__, name, __dir__()))
        value = globals()[name] = getattr(importlib.import_module(f".{_ASKED_FOR[name]}", __name__), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_ASKED_FOR})
