"""Rows of nn/container.py."""

from collections import OrderedDict

import nn

from .activation import relu
from .base import Case, normal, torch_twin
from .linear import linear


def sequential(module, x):
    """A chain of Linear and ReLU."""
    for layer in module:
        x = linear(layer, x) if hasattr(layer, "weight") else relu(layer, x)
    return x


def named_twin(module):
    """PyTorch's Sequential takes names in an OrderedDict."""
    import torch

    return torch_twin(module, Sequential=lambda layers: torch.nn.Sequential(OrderedDict(layers)))


# fmt: off
CASES = [
    Case("Sequential", lambda: nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)), normal(4, 3), sequential),
    Case("Sequential-named", lambda: nn.Sequential({"fc": nn.Linear(3, 2), "act": nn.ReLU()}), normal(4, 3), sequential, named_twin),
    Case("Sequential-empty", lambda: nn.Sequential(), normal(4, 3), sequential),
]
# fmt: on
