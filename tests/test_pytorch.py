"""What PyTorch has and the library lacks is answered with what to write here, and never taken and ignored."""

import copy
import importlib.util
import inspect

import numpy as np
import pytest

import nn
from nn import pytorch

W = nn.Parameter(np.ones((2, 3)))
X = np.ones((4, 2))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MultiheadAttentions", "; PyTorch has MultiheadAttention"),
        ("Transformer", "yet: docs/from_pytorch.md tells"),
        ("functional", r"write nn\.ReLU\(\)\(x\) for F\.relu\(x\)"),
        ("ModuleList", "assign a plain list or dict of modules to an attribute"),
        ("BCELoss", r"write nn\.BCEWithLogitsLoss\(\)"),
        ("linear", r"did you mean Linear\?"),
        ("Relu", r"did you mean ReLU\?"),
        ("CrossEntropy", r"did you mean CrossEntropyLoss\?"),
        ("kaiming", r"dir\(nn\) lists what it has"),
    ],
)
def test_a_name_that_the_package_lacks(name, text):
    with pytest.raises(AttributeError, match=f"module 'nn' has no attribute '{name}'.*{text}"):
        getattr(nn, name)


def test_what_is_here_is_not_said_to_be_missing():
    here = {*vars(nn), *dir(nn)}
    assert not here & {*pytorch.NAMES, *pytorch.LAYERS}
    assert not [name for name in pytorch.METHODS if hasattr(nn.Module, name)]


@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="needs PyTorch")
def test_the_tables_hold_names_of_pytorch():
    import torch

    assert not [name for name in {*pytorch.LAYERS, *pytorch.NAMES} - {"Tensor"} if not hasattr(torch.nn, name)]
    assert not [name for name in pytorch.METHODS if not hasattr(torch.nn.Module, name)]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: nn.ReLU(inplace=True), "ReLU has no inplace: leave it out"),
        (lambda: nn.Dropout(0.5, inplace=False), "Dropout has no inplace: leave it out"),
        (lambda: nn.Linear(2, 3, device="cuda"), "Linear has no device: leave it out"),
        (lambda: nn.MSELoss(size_average=True), "MSELoss has no size_average: write reduction="),
        (lambda: nn.ReLU(True), "ReLU takes no arguments"),
        (lambda: nn.Tanh(dim=1), "Tanh takes no arguments"),
        (lambda: nn.Linear(2, 3, rank=1), "unexpected keyword argument 'rank'"),
        (
            lambda: nn.Linear(2, 3).zero_grad(set_to_none=True),
            r"Linear\.zero_grad\(\) has no set_to_none: leave it out",
        ),
    ],
)
def test_a_keyword_that_is_pytorchs(call, text):
    with pytest.raises(TypeError, match=text):
        call()


def test_an_author_may_use_pytorchs_keywords():
    class Own(nn.Module):
        def __init__(self, device, **settings):
            self.device, self.settings = device, settings

    class Plain(nn.Module):
        pass

    assert Own(device="here", inplace=True).settings == {"inplace": True}
    assert isinstance(nn.Identity(3, device="cuda"), nn.Identity)
    assert isinstance(Plain(), Plain)
    with pytest.raises(TypeError, match="Plain takes no arguments"):
        Plain(1)


def test_signatures_are_those_of_the_constructors():
    assert list(inspect.signature(nn.Linear).parameters) == [
        "in_features",
        "out_features",
        "bias",
        "dtype",
        "generator",
    ]
    assert not inspect.signature(nn.ReLU).parameters


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: W.T, AttributeError, r"Parameter has no T: its array has, write \.data\.T"),
        (lambda: W.mean(), AttributeError, r"write \.data\.mean"),
        (lambda: W.detach(), AttributeError, r"Parameter has no detach: its values are a NumPy array, \.data"),
        (lambda: nn.Buffer(X).sum(), AttributeError, r"Buffer has no sum: its array has, write \.data\.sum"),
        (lambda: X @ W, TypeError, r"a Parameter is no array, but holds one: write \.data"),
        (lambda: W @ X, TypeError, r"write \.data"),
        (lambda: X * W, TypeError, r"write \.data"),
        (lambda: W - 0.1 * X, TypeError, r"write \.data"),
        (lambda: np.exp(W), TypeError, r"write \.data"),
        (lambda: np.asarray(nn.Buffer(X)), TypeError, r"a Buffer is no array, but holds one: write \.data"),
        (lambda: nn.Linear(2, 3)(W), TypeError, r"Linear\(2, 3\) expects input to be .* write \.data"),
        (lambda: nn.Linear(2, 3).to("cuda"), AttributeError, "Linear has no to: everything is computed on the CPU"),
        (lambda: nn.ReLU().register_parameter("a", W), AttributeError, r"write self\.name = nn\.Parameter\(values\)"),
        (lambda: nn.ReLU().weight, AttributeError, "'ReLU' object has no attribute 'weight'"),
    ],
)
def test_what_is_used_as_in_pytorch(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_an_author_may_have_what_is_refused():
    class Own(nn.Module):
        def __init__(self):
            self.to = 3

        def cuda(self):
            return "own"

    assert Own().to == 3 and Own().cuda() == "own"
    module = nn.Sequential({"to": nn.ReLU()})
    assert isinstance(module.to, nn.ReLU)


def test_holders_are_copied_and_compared_as_any_object():
    twin = copy.deepcopy(W)
    assert twin is not W and twin.data is not W.data and [W, twin].index(twin) == 1
