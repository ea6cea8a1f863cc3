"""Write tests/golden.npz: PyTorch's forwards and gradients of every row of tests/cases.py, in float64.

Run by hand where PyTorch is installed, after adding rows: `python tools/golden.py`. The test suite reads the file
and needs no PyTorch. A row's repr builds the PyTorch module too: names and arguments are the same.
"""

import copy
import math
import sys
from collections import OrderedDict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from cases import CASES  # noqa: E402

import nn  # noqa: E402


class ConcatTable(torch.nn.ModuleDict):
    """Branches, which PyTorch has not either."""

    def __init__(self, *branches):
        named = branches[0] if isinstance(branches[0], dict) else {str(i): b for i, b in enumerate(branches)}
        super().__init__(named)

    def forward(self, x):
        return tuple(branch(x) for branch in self.values())


class ParallelTable(ConcatTable):
    def forward(self, xs):
        return tuple(branch(x) for branch, x in zip(self.values(), xs, strict=True))


class Residual(ConcatTable):
    def forward(self, x):
        return sum(super().forward(x)) + (x if len(self) == 1 else 0)


class CAddTable(torch.nn.Module):
    def forward(self, xs):
        return sum(xs)


class CMulTable(torch.nn.Module):
    def forward(self, xs):
        return math.prod(xs)


class JoinTable(torch.nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, xs):
        return torch.cat(xs, self.dim)


class HalfSquaredLoss(torch.nn.Module):
    """The one loss that PyTorch has not, in PyTorch's own operations."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, prediction, target):
        values = 0.5 * (prediction - target).pow(2).flatten(1).sum(1)
        return {"mean": values.mean, "sum": values.sum, "none": values.clone}[self.reduction]()


def torch_module(module):
    """Build PyTorch's module from the repr of ours, with the same state."""

    def tensors(loss):
        return lambda **settings: loss(
            **{name: torch.tensor(v) if isinstance(v, list) else v for name, v in settings.items()}
        )

    def sequential(*layers):
        named = layers and isinstance(layers[0], dict)
        return torch.nn.Sequential(OrderedDict(layers[0])) if named else torch.nn.Sequential(*layers)

    own = (HalfSquaredLoss, ConcatTable, ParallelTable, Residual, CAddTable, CMulTable, JoinTable)
    names = vars(torch.nn) | {twin.__name__: twin for twin in own} | {"Sequential": sequential}
    for name in ("CrossEntropyLoss", "BCEWithLogitsLoss"):
        names[name] = tensors(names[name])
    twin = eval(repr(copy.deepcopy(module).float()), names).double()  # float, since PyTorch takes no dtype by name
    state = {name: torch.tensor(value) for name, value in module.state_dict().items()}
    if not isinstance(module, nn.Loss):  # PyTorch's losses keep their weights out of some states
        twin.load_state_dict(state)
    return twin.train(module.training)


def golden(case, number):
    """Return the inputs, the state, and what PyTorch makes of them, in both modes where it can be compared."""
    rng = np.random.default_rng(number)
    module = case.build().double()
    for parameter in module.parameters():
        parameter.data[...] = rng.normal(size=parameter.data.shape)
    inputs = case.draw(rng)
    record = {"inputs": list(inputs), "state": module.state_dict()}
    for mode in ("train", "eval"):
        if case.drawn and mode == "train":
            continue
        twin = torch_module(module.train(mode == "train"))
        xs = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
        if isinstance(module, nn.Loss):
            xs[1].requires_grad_(False)
        y = twin(*xs)
        g = torch.tensor(rng.normal(size=tuple(y.shape)))
        y.backward(g)
        record[mode] = {
            "grad_output": g.numpy(),
            "output": y.detach().numpy(),
            "grad_inputs": [None if x.grad is None else x.grad.numpy() for x in xs],
            "grad_parameters": {name: p.grad.numpy() for name, p in twin.named_parameters()},
        }
    return record


if __name__ == "__main__":
    nn.save({case.name: golden(case, number) for number, case in enumerate(CASES)}, ROOT / "tests" / "golden.npz")
    print(f"wrote {len(CASES)} rows to tests/golden.npz, from PyTorch {torch.__version__}")
