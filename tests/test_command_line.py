"""`python -m nn gradcheck`, called as a function and run as people run it."""

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
