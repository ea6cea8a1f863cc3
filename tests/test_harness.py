"""The checks of test_cases.py take rows of every kind, and go red where anything is wrong."""

import dataclasses
import inspect
import itertools

import numpy as np
import pytest
import test_cases
from cases import Case, Setup, golden
from cases.base import indices, nested, normal, several
from cases.trees import flat

import nn

CHECKS = {
    name: check
    for name, check in vars(test_cases).items()
    if name.startswith("test_") and "case" in inspect.signature(check).parameters
}


class Embedding(nn.Module):
    """An integer input, which has no gradient."""

    def __init__(self, num_embeddings, embedding_dim):
        self.weight = nn.Parameter(np.zeros((num_embeddings, embedding_dim)))

    def forward(self, i):
        i = np.asarray(i)
        self.save_for_backward(i)
        return self.weight.data[i]

    def backward(self, grad_output):
        i = self.saved()
        W = self.weight
        np.add.at(W.grad, i, self.cast(grad_output, W.data.dtype, (*i.shape, W.data.shape[1]), "grad_output"))

    def extra_repr(self):
        return ", ".join(map(str, self.weight.data.shape))


class Cell(nn.Module):
    """A state (h, c) goes in, and an output and a state come out: y = w c + x, h' = tanh(c), c' = y h."""

    def __init__(self, size):
        self.weight = nn.Parameter(np.zeros(size))

    def forward(self, x, state):
        w = self.weight.data
        x, h, c = (self.cast(value, w.dtype) for value in (x, *state))
        y = w * c + x
        self.save_for_backward(h, c, y)
        return {"y": y, "state": (np.tanh(c), y * h)}

    def backward(self, grads):
        h, c, y = self.saved()
        w = self.weight.data
        gy, gh, gc = (self.cast(g, y.dtype, y.shape, "grad_output") for g in (grads["y"], *grads["state"]))
        gy = gy + gc * h
        self.weight.grad += (gy * c).sum(0)
        return gy, (gc * y, gy * w + gh * (1 - np.tanh(c) ** 2))

    def extra_repr(self):
        return str(self.weight.data.size)


class MarginRankingLoss(nn.Loss):
    """Two predictions and a target: max(0, -y (f0 - f1))."""

    def forward(self, f0, f1, target):
        f0 = self.cast(f0)
        f1, y = (self.cast(value, f0.dtype, f0.shape) for value in (f1, target))
        values = np.maximum(-y * (f0 - f1), 0)
        self.save_for_backward(y * (values > 0))
        return self.reduce(values)

    def backward(self, grad_output=None):
        y = self.saved()
        g = self.upstream(grad_output) * y
        return -g, g, None


def embedding(module, i):
    return np.array([[module.weight.data[k] for k in row] for row in i]).reshape(*i.shape, -1)


def cell(module, x, state):
    h, c = state
    y = np.empty_like(x)
    for n, k in np.ndindex(y.shape):
        y[n, k] = module.weight.data[k] * c[n, k] + x[n, k]
    return {"y": y, "state": (np.tanh(c), y * h)}


def margin_ranking(module, f0, f1, target):
    return np.mean([max(0.0, -t * (a - b)) for a, b, t in zip(f0, f1, target, strict=True)])


state = nested(normal(4, 3), normal(4, 3))
EMBEDDING = Case("Embedding", lambda: Embedding(5, 3), indices(5, 4, 2), embedding)
CELL = Case("Cell", lambda: Cell(3), several(normal(4, 3), state), cell)
RANKING = Case("Ranking", MarginRankingLoss, several(normal(5), normal(5), normal(5)), margin_ranking, targets=(2,))
ROWS = [EMBEDDING, CELL, RANKING]


@pytest.fixture(autouse=True)
def names(monkeypatch):
    """Let repr be read, which names modules that nn lacks."""
    for layer in (Embedding, Cell, MarginRankingLoss):
        monkeypatch.setattr(nn, layer.__name__, layer, raising=False)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """A check runs on a row, as often as it has modes and dtypes, with golden numbers through a file."""

    def run(check, case, right):
        setup = Setup(right)
        given = {"inputs": setup.inputs, "state": setup.module.state_dict()}
        given["grad_output"] = setup.upstream(setup.forward())
        golden.write(
            tmp_path / "family.json", {case.name: given | {"both": setup.forward_backward(given["grad_output"])}}
        )
        monkeypatch.setattr(test_cases, "GOLDEN", golden.read(tmp_path / "family.json"))
        choices = {"mode": test_cases.MODES, "dtype": (np.float32, np.float64), "tmp_path": [tmp_path]}
        parameters = [name for name in inspect.signature(CHECKS[check]).parameters if name != "case"]
        for values in itertools.product(*(choices[name] for name in parameters)):
            CHECKS[check](case, **dict(zip(parameters, values, strict=True)))

    return run


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.name)
def test_every_check_takes_every_kind_of_row(run, check, case):
    run(check, case, right=case)


# ---- what is planted, and the check that goes red


class Overwriting(Cell):
    def backward(self, grads):
        self.weight.grad[...] = 0
        return super().backward(grads)


class Doubled(Cell):
    def backward(self, grads):
        gx, (gh, gc) = super().backward(grads)
        return gx, (gh, 2 * gc)


class Flattened(Cell):
    def backward(self, grads):
        gx, (gh, gc) = super().backward(grads)
        return gx, gh, gc


class Wide(Cell):
    def forward(self, x, state):
        y = super().forward(x, state)
        return y | {"y": y["y"].astype(np.float64)}


class WideBackward(Cell):
    def backward(self, grads):
        gx, (gh, gc) = super().backward(grads)
        return gx, (gh, gc.astype(np.float64))


class InPlace(Cell):
    def forward(self, x, state):
        if isinstance(state[1], np.ndarray):
            state[1][...] += 0
        return super().forward(x, state)


class InMemoryOrder(Cell):
    def backward(self, grads):
        return super().backward(grads | {"y": np.reshape(np.ravel(grads["y"], "K"), np.shape(grads["y"]))})


class NotEmpty(Cell):
    def forward(self, x, state):
        y = super().forward(x, state)
        return y if len(y["y"]) else y | {"state": (np.zeros((1, 3)), y["state"][1])}


class Broadcasting(Cell):
    def backward(self, grads):
        like = self._saved[1][0] if self._saved else np.zeros(())
        return super().backward(grads | {"y": np.resize(grads["y"], like.shape)})


class Unsaved(Cell):
    def saved(self):
        return self._saved[1] if self._saved else super().saved()


class OwnGradient(Embedding):
    def backward(self, grad_output):
        super().backward(grad_output)
        return np.zeros(())


class TargetGradient(MarginRankingLoss):
    def backward(self, grad_output=None):
        g0, g1, _ = super().backward(grad_output)
        return g0, g1, g1


class Forgetful(Cell):
    def __init__(self, size, factor=1.0):
        super().__init__(size)
        self.factor = factor

    def forward(self, x, state):
        y = super().forward(x, state)
        return y | {"y": self.factor * y["y"]}


def other(change):
    """Return a reference that is right but for what `change` makes of its output."""
    return lambda module, *inputs: change(cell(module, *inputs))


# By name: the row, what is replaced in it, the check that must notice, and what that says.
# fmt: off
PLANTED = {
    "a wrong reference": (CELL, {"reference": other(lambda y: y | {"y": y["y"] + 1e-9})}, "forward_is_the_reference", r"\['y'\]"),
    "a reference of another shape": (CELL, {"reference": other(lambda y: y | {"y": y["y"][:, :1]})}, "forward_is_the_reference", r"\['y'\]"),
    "a reference of another nesting": (CELL, {"reference": other(lambda y: y["y"])}, "forward_is_the_reference", "nested otherwise"),
    "another draw": (CELL, {"draw": several(normal(4, 3, scale=2), state)}, "golden_numbers_are_of_what_the_row_draws", r"tree\[0\]"),
    "another forward than PyTorch's": (CELL, {"build": lambda: Forgetful(3, factor=1 + 1e-9)}, "golden_numbers", r"'output'\]\['y'"),
    "another gradient than PyTorch's": (CELL, {"build": lambda: Doubled(3)}, "golden_numbers", r"'grad_inputs'\]\[1\]\[1\]"),
    "a doubled gradient": (CELL, {"build": lambda: Doubled(3)}, "backward_is_the_derivative", r"gradient of input 1\[1\] is wrong"),
    "a gradient overwritten": (CELL, {"build": lambda: Overwriting(3)}, "gradients_accumulate", r"\['weight'\]"),
    "gradients of another nesting": (CELL, {"build": lambda: Flattened(3)}, "gradients_accumulate", "gradients of shapes"),
    "a gradient of an integer": (EMBEDDING, {"build": lambda: OwnGradient(5, 3)}, "gradients_accumulate", "gradients of shapes"),
    "a gradient of a target": (RANKING, {"build": TargetGradient}, "gradients_accumulate", "gradients of shapes"),
    "an argument written to": (CELL, {"build": lambda: InPlace(3)}, "arguments_stay_as_they_are", "read-only"),
    "a memory order that matters": (CELL, {"build": lambda: InMemoryOrder(3)}, "memory_layout_does_not_matter", "Mismatched"),
    "an output for no rows": (CELL, {"build": lambda: NotEmpty(3)}, "a_batch_of_no_rows", "False"),
    "a wide output": (CELL, {"build": lambda: Wide(3)}, "dtype_stays", "float64"),
    "a wide gradient": (CELL, {"build": lambda: WideBackward(3)}, "dtype_stays", "float64"),
    "an upstream gradient that broadcasts": (CELL, {"build": lambda: Broadcasting(3)}, "upstream_of_another_shape_is_refused", "DID NOT RAISE"),
    "a second backward": (CELL, {"build": lambda: Unsaved(3)}, "call_order", "DID NOT RAISE"),
    "a setting that repr forgets": (CELL, {"build": lambda: Forgetful(3, factor=2.0)}, "repr_shows_every_setting", r"\['y'\]"),
}
# fmt: on


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_wrong_goes_red(run, monkeypatch, name):
    right, changes, check, text = PLANTED[name]
    wrong = dataclasses.replace(right, **changes)
    monkeypatch.setattr(nn, type(wrong.build()).__name__, type(wrong.build()), raising=False)
    with pytest.raises((Exception, pytest.fail.Exception), match=text):
        run(f"test_{check}", wrong, right)


def test_golden_files_keep_every_number(tmp_path):
    awkward = np.array([[0.1, -0.0, 1e-320], [1 / 3, 1.7976931348623157e308, np.nan]])
    inputs = (awkward, (np.array([2, -100]), {"h": np.array(1.0), "mask": np.array([True, False])}))
    golden.write(tmp_path / "family.json", {"row": {"inputs": inputs, "both": {"grad_inputs": (awkward, None)}}})
    record = golden.read(tmp_path / "family.json")["row"]
    assert golden.expected(record, "eval") == golden.expected(record, "train") == record["both"]
    for place, x in flat(inputs).items():
        assert record["inputs"][place].dtype == x.dtype and record["inputs"][place].shape == x.shape
        assert record["inputs"][place].tobytes() == x.tobytes()
    assert record["state"] == {} and record["both"]["tree['grad_inputs'][1]"] is None
