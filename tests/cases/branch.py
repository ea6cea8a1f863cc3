"""Rows of nn/branch.py: of several inputs and outputs, alone and inside one another."""

import math

import numpy as np

import nn

from .activation import relu, tanh
from .base import Case, nested, normal, several, torch_twin
from .linear import linear
from .shape import identity


def composed(module, *xs):
    """Containers, branches and the layers in them; several inputs and outputs are tuples."""
    match type(module).__name__:
        case "Sequential":
            for layer in module:
                y = composed(layer, *xs)
                xs = y if isinstance(y, tuple) else (y,)
            return y
        case "ConcatTable":
            return tuple(composed(branch, *xs) for branch in module)
        case "ParallelTable":
            pairs = zip(module, xs, strict=True)
            return tuple(composed(branch, *(x if isinstance(x, tuple) else (x,))) for branch, x in pairs)
        case "Residual":
            branches = list(module)
            shortcut = composed(branches[1], *xs) if len(branches) > 1 else xs[0]
            return composed(branches[0], *xs) + shortcut
        case "CAddTable" | "CMulTable" as name:
            combine = math.fsum if name == "CAddTable" else math.prod
            entries = zip(*(x.flat for x in xs), strict=True)
            return np.array([combine(each) for each in entries]).reshape(xs[0].shape)
        case "JoinTable":
            slices = [part for x in xs for part in np.moveaxis(x, module.dim, 0)]
            return np.moveaxis(np.array(slices), 0, module.dim)
        case name:
            return {"Linear": linear, "ReLU": relu, "Tanh": tanh, "Identity": identity}[name](module, *xs)


def twin(module):
    """In PyTorch's operations, since it has none of these modules, nor a Sequential of several inputs."""
    import torch

    class Sequential(torch.nn.Sequential):
        def forward(self, *xs):
            for layer in self:
                y = layer(*xs)
                xs = y if isinstance(y, tuple) else (y,)
            return y

    class ConcatTable(torch.nn.ModuleDict):
        def __init__(self, *branches):
            named = branches[0] if isinstance(branches[0], dict) else {str(i): b for i, b in enumerate(branches)}
            super().__init__(named)

        def forward(self, *xs):
            return tuple(branch(*xs) for branch in self.values())

    class ParallelTable(ConcatTable):
        def forward(self, *xs):
            pairs = zip(self.values(), xs, strict=True)
            return tuple(branch(*x) if isinstance(x, tuple) else branch(x) for branch, x in pairs)

    class Residual(ConcatTable):
        def forward(self, x):
            return sum(super().forward(x)) + (x if len(self) == 1 else 0)

    class CAddTable(torch.nn.Module):
        def forward(self, *xs):
            return sum(xs)

    class CMulTable(torch.nn.Module):
        def forward(self, *xs):
            return math.prod(xs)

    class JoinTable(torch.nn.Module):
        def __init__(self, dim):
            super().__init__()
            self.dim = dim

        def forward(self, *xs):
            return torch.cat(xs, self.dim)

    own = (Sequential, ConcatTable, ParallelTable, Residual, CAddTable, CMulTable, JoinTable)
    return torch_twin(module, **{twin.__name__: twin for twin in own})


# fmt: off
CASES = [
    Case("ConcatTable", lambda: nn.ConcatTable(nn.Linear(3, 2), nn.Tanh()), normal(4, 3), composed, twin),
    Case("ConcatTable-one", lambda: nn.ConcatTable(nn.Linear(3, 2)), normal(4, 3), composed, twin),
    Case("ConcatTable-two-inputs", lambda: nn.ConcatTable({"sum": nn.CAddTable(), "product": nn.CMulTable()}), several(normal(4, 3), normal(4, 3)), composed, twin),
    Case("ConcatTable-nested", lambda: nn.ConcatTable(nn.ConcatTable(nn.Tanh(), nn.Linear(3, 2)), nn.ReLU()), normal(4, 3), composed, twin),
    Case("ParallelTable", lambda: nn.ParallelTable(nn.Linear(3, 2), nn.ReLU()), several(normal(4, 3), normal(4, 2)), composed, twin),
    Case("ParallelTable-one", lambda: nn.ParallelTable(nn.Linear(3, 2)), normal(4, 3), composed, twin),
    Case("ParallelTable-nested", lambda: nn.ParallelTable(nn.CMulTable(), nn.ParallelTable(nn.Tanh(), nn.Linear(3, 2))), several(nested(normal(4, 3), normal(4, 3)), nested(normal(4, 2), normal(4, 3))), composed, twin),
    Case("CAddTable", lambda: nn.CAddTable(), several(normal(4, 3), normal(4, 3)), composed, twin),
    Case("CAddTable-one", lambda: nn.CAddTable(), normal(4, 3), composed, twin),
    Case("CAddTable-0d", lambda: nn.CAddTable(), several(normal(), normal(), normal()), composed, twin, batched=False),
    Case("CMulTable", lambda: nn.CMulTable(), several(normal(4, 3), normal(4, 3)), composed, twin),
    Case("CMulTable-one", lambda: nn.CMulTable(), normal(4), composed, twin),
    Case("CMulTable-three", lambda: nn.CMulTable(), several(normal(4, 2), normal(4, 2), normal(4, 2)), composed, twin),
    Case("JoinTable", lambda: nn.JoinTable(1), several(normal(4, 3), normal(4, 1)), composed, twin),
    Case("JoinTable-one", lambda: nn.JoinTable(0), normal(4, 3), composed, twin),
    Case("JoinTable-middle", lambda: nn.JoinTable(-2), several(normal(2, 3, 2), normal(2, 1, 2), normal(2, 2, 2)), composed, twin),
    Case("ConcatTable-CAddTable", lambda: nn.Sequential(nn.ConcatTable(nn.Linear(3, 2), nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))), nn.CAddTable()), normal(4, 3), composed, twin),
    Case("ConcatTable-named", lambda: nn.Sequential(nn.ConcatTable({"left": nn.Linear(3, 2), "right": nn.Linear(3, 2)}), nn.CAddTable()), normal(4, 3), composed, twin),
    Case("ConcatTable-CMulTable", lambda: nn.Sequential(nn.ConcatTable(nn.Linear(3, 2), nn.Linear(3, 2), nn.Linear(3, 2, bias=False)), nn.CMulTable()), normal(4, 3), composed, twin),
    Case("ConcatTable-JoinTable", lambda: nn.Sequential(nn.ConcatTable(nn.Linear(3, 2)), nn.JoinTable(1)), normal(4, 3), composed, twin),
    Case("ConcatTable-JoinTable-middle", lambda: nn.Sequential(nn.ConcatTable(nn.Identity(), nn.Tanh(), nn.ReLU()), nn.JoinTable(-2)), normal(4, 3, 2), composed, twin),
    Case("ParallelTable-JoinTable", lambda: nn.Sequential(nn.ConcatTable(nn.Identity(), nn.Tanh()), nn.ParallelTable(nn.Linear(3, 2), nn.ReLU()), nn.JoinTable(1)), normal(4, 3), composed, twin),
    Case("tables-within-tables", lambda: nn.Sequential(nn.ConcatTable(nn.ConcatTable(nn.Tanh(), nn.Linear(3, 3)), nn.Identity()), nn.ParallelTable(nn.CMulTable(), nn.ReLU()), nn.CAddTable()), normal(4, 3), composed, twin),
    Case("Residual", lambda: nn.Residual(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3))), normal(4, 3), composed, twin),
    Case("Residual-shortcut", lambda: nn.Residual(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), nn.Linear(3, 4, bias=False)), normal(4, 3), composed, twin),
    Case("Residual-twice", lambda: nn.Sequential(nn.Residual(nn.Linear(3, 3)), nn.ReLU(), nn.Residual(nn.Residual(nn.Linear(3, 3)))), normal(4, 3), composed, twin),
]
# fmt: on
