"""`python -m nn`, gradcheck and export, called as a function and run as people run it."""

import subprocess
import sys
from pathlib import Path

import pytest

import nn
from nn.__main__ import main as command_line

ROOT = Path(__file__).resolve().parents[1]

AUTHOR = """
import numpy as np
import nn

class Mine(nn.ReLU):
    pass

class Wrong(nn.ReLU):
    def backward(self, grad_output):
        return grad_output

def with_inputs():
    return Wrong(), np.ones((2, 3)) * [[-1], [1]]

def sized(features, scale=1.0):
    return nn.Linear(features, 2) if scale else None

ready = nn.Linear(3, 2)

def no_module():
    return 3
"""


@pytest.fixture
def author(tmp_path, monkeypatch):
    (tmp_path / "authors_layers.py").write_text(AUTHOR)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delitem(sys.modules, "authors_layers", raising=False)
    state = nn.get_rng_state()
    yield
    nn.set_rng_state(state)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["authors_layers:Mine", "--shape", "4,3"], 0, "Mine(): all gradients are right"),
        (["authors_layers:Mine", "--shape", "4,3", "--full", "--seed", "5"], 0, "all gradients are right"),
        (["authors_layers:ready", "--shape", "4,3"], 0, "Linear(3, 2): all gradients are right"),
        (["authors_layers:sized(3)", "--shape", "4,3"], 0, "Linear(3, 2): all gradients are right"),
        (["authors_layers:sized(3, scale=-2.0)", "--shape", "4,3"], 0, "Linear(3, 2): all gradients are right"),
        (["authors_layers:Wrong", "--shape", "4,3"], 1, "passed through"),
        (["authors_layers:with_inputs"], 1, "Wrong(): the gradient of input is wrong"),
    ],
)
def test_command_line(author, capsys, arguments, status, words):
    assert command_line(["gradcheck", *arguments]) == status
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["authors_layers:Mine"], "gives no inputs: add --shape"),
        (["authors_layers:with_inputs", "--shape", "3"], "gives the inputs too"),
        (["authors_layers"], "expected package.module:factory, got authors_layers"),
        (["authors_layers:Other"], "authors_layers has no Other"),
        (["nowhere.layers:Other"], "there is no module nowhere"),
        (["authors_layers:no_module"], "should return a Module"),
        (["authors_layers:np"], "authors_layers:np should be a Module, or return one"),
        (["authors_layers:sized"], "required argument: 'features'; arguments go in brackets"),
        (["authors_layers:sized(3, depth=1)"], "unexpected keyword argument 'depth'"),
        (["authors_layers:sized(np)"], "expected plain values in the brackets, such as sized(3, bias=False)"),
        (["authors_layers:sized(3"], "expected plain values in the brackets"),
        (["authors_layers:sized(*[3])"], "expected plain values in the brackets"),
        (["authors_layers:sized(**{})"], "expected plain values in the brackets"),
        (["authors_layers:sized(3).weight"], "expected plain values in the brackets"),
        (["authors_layers:Mine", "--shape", "a"], "argument --shape: invalid"),
    ],
)
def test_command_line_refuses(author, capsys, arguments, words):
    with pytest.raises(SystemExit) as caught:
        command_line(["gradcheck", *arguments])
    assert caught.value.code == 2 and words in capsys.readouterr().err


def test_command_line_as_people_run_it(author):
    run = subprocess.run(
        [sys.executable, "-m", "nn", "gradcheck", "authors_layers:Wrong", "--shape", "4,3"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert run.returncode == 1 and "Wrong(): the gradient of input is wrong" in run.stdout and not run.stderr


# ---- export c

NET = """
import numpy as np
import nn
import optim

def build(width=2):
    return nn.Sequential(nn.Flatten(), nn.Linear(3, width))

def learning():
    model = build()
    return model, np.zeros((1, 3)), nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1)

def activation():
    return nn.ReLU()
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    (tmp_path / "some_net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delitem(sys.modules, "some_net", raising=False)
    return tmp_path


def test_export_c_takes_saved_weights(net):
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    nn.save(model.state_dict(), net / "model.npz")
    nn.save({"model": model.state_dict(), "optimizer": {}}, net / "run.npz")
    for weights in ("model.npz", "run.npz"):
        assert command_line(["export", "c", "some_net.py:build", "--weights", weights, "--out", "net.c"]) == 0
        assert f"{model[1].weight.data[0, 0]!s}f" in (net / "net.c").read_text()
    assert "train_step" not in (net / "net.h").read_text()
    assert (
        command_line(["export", "c", "some_net:build(5)", "--out", "net.c", "--shape", "1,3", "--max-batch", "9"]) == 0
    )
    assert "#define MAX_BATCH 9 " in (net / "net.h").read_text()


def test_export_c_of_what_learns(net):
    assert command_line(["export", "c", "some_net.py:learning", "--out", "net.c"]) == 0
    assert "float train_step(long n, const float *x, const float *target);" in (net / "net.h").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no_net.py:build"], "there is no file no_net.py"),
        (["some_net.py:other"], "some_net has no other"),
        (["some_net.py:activation"], "gives no inputs: add --shape, such as --shape 1,3"),
        (["some_net.py:build", "--weights", "none.npz"], "none.npz"),
        (["some_net.py:build", "--shape", "1,4"], "expects input of shape (..., 3), got (1, 4)"),
        (["some_net.py:build", "--out", "net.cc"], "a path that ends in .c"),
    ],
)
def test_export_c_refuses(net, capsys, arguments, words):
    with pytest.raises(SystemExit) as caught:
        command_line(["export", "c", "--out", "net.c", *arguments])
    assert caught.value.code == 2 and words in capsys.readouterr().err
    assert not (net / "net.c").exists()
