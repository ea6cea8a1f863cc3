"""Layers with hand-written gradients: this page lists them all, by family.

Every module writes its own `forward` and `backward`; `Sequential` chains them, a loss gives the first gradient.
"""

import importlib
from typing import TYPE_CHECKING, Any

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
from .linear import Flatten as Flatten
from .linear import Identity as Identity
from .linear import Linear as Linear

# Activations
from .activation import LeakyReLU as LeakyReLU
from .activation import LogSoftmax as LogSoftmax
from .activation import ReLU as ReLU
from .activation import Sigmoid as Sigmoid
from .activation import Softmax as Softmax
from .activation import Softplus as Softplus
from .activation import Tanh as Tanh

# Noise
from .dropout import Dropout as Dropout

# Losses
from .loss import BCEWithLogitsLoss as BCEWithLogitsLoss
from .loss import CrossEntropyLoss as CrossEntropyLoss
from .loss import HalfSquaredLoss as HalfSquaredLoss
from .loss import HuberLoss as HuberLoss
from .loss import L1Loss as L1Loss
from .loss import Loss as Loss
from .loss import MSELoss as MSELoss

# Chance
from .random import get_rng_state as get_rng_state
from .random import manual_seed as manual_seed
from .random import set_rng_state as set_rng_state

# Looking into a model
from .watchers import first_nonfinite as first_nonfinite
from .watchers import summary as summary

# Files
from .serialization import load as load
from .serialization import save as save

# Rooms of their own
from . import init as init
from . import utils as utils

# What proves and explains models is loaded when it is first asked for: it is as much code as all the rest, and who
# trains a net need not wait for it.
if TYPE_CHECKING:
    # Proof
    from .checking import gradcheck as gradcheck
    from .checking import GradcheckError as GradcheckError

    # The computing graph
    from .graph import trace as trace

    # Mathematics as data
    from .columns import column_equations as column_equations
    from .equation import evaluate_equations as evaluate_equations
    from .notation import to_latex as to_latex
    from .notation import to_mathml as to_mathml
    from .notation import to_text as to_text

_ASKED_FOR = {
    "gradcheck": "checking",
    "GradcheckError": "checking",
    "trace": "graph",
    "column_equations": "columns",
    "evaluate_equations": "equation",
    "to_latex": "notation",
    "to_mathml": "notation",
    "to_text": "notation",
}


def __getattr__(name: str) -> Any:
    if name not in _ASKED_FOR:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f".{_ASKED_FOR[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_ASKED_FOR})
