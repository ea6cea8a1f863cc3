"""A compiled training step does what the lines in Python do, on the same arrays, and steps aside where it cannot."""

import copy
import os
import warnings

import numpy as np
import pytest
from lowered import needs_compiler

import nn
import optim
from nn.lowering import compiler as machine

RNG = np.random.default_rng(0)
X, LABELS, Y = RNG.normal(size=(40, 3)), RNG.integers(4, size=40), RNG.normal(size=(40, 1))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """Keep compiled code in one folder for all tests."""
    folder = tmp_path_factory.getbasetemp() / "handgrad-cache"
    monkeypatch.setenv("HANDGRAD_CACHE", str(folder))
    return folder


def python_step(model, criterion, optimizer, x, y, max_norm=None):
    loss = criterion(model(x), y)
    optimizer.zero_grad()
    model.backward(criterion.backward())
    if max_norm is not None:
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss


class Pair:
    """A model that is trained by compiled steps, and its twin in Python."""

    def __init__(self, model, criterion, optimizer, max_norm=None, dtype=np.float64):
        model = model.double() if dtype is np.float64 else model.float()
        self.dtype, self.max_norm = dtype, max_norm
        self.model, self.twin = model, copy.deepcopy(model)
        self.criterion = criterion
        self.optimizer, self.twins = optimizer(self.model), optimizer(self.twin)
        self.step = nn.compile(self.model, criterion, self.optimizer, max_norm=max_norm)

    def both(self, x=X, y=LABELS, n=40, compiled=True):
        """Take a step of both, and compare the losses."""
        x = x[:n].astype(self.dtype)
        state = nn.get_rng_state()
        expected = python_step(self.twin, copy.deepcopy(self.criterion), self.twins, x, y[:n], self.max_norm)
        nn.set_rng_state(state)
        if compiled:
            loss = self.step(x, y[:n])
        else:
            loss = python_step(self.model, self.criterion, self.optimizer, x, y[:n], self.max_norm)
        assert not self.step.reason
        assert loss.dtype == expected.dtype
        np.testing.assert_allclose(loss, expected, rtol=1e-10 if self.dtype is np.float64 else 1e-4)

    def compare(self):
        """Hold all weights, gradients and states of the two against one another."""
        tolerance = 1e-9 if self.dtype is np.float64 else 1e-3
        state, other = self.optimizer.state_dict()["state"], self.twins.state_dict()["state"]
        for p, q in zip(self.model.parameters(), self.twin.parameters(), strict=True):
            np.testing.assert_allclose(p.data, q.data, rtol=tolerance, atol=tolerance)
            if p.requires_grad:
                np.testing.assert_allclose(p.grad, q.grad, rtol=tolerance, atol=tolerance)
        assert state.keys() == other.keys()
        for number, values in other.items():
            for name, value in values.items():
                np.testing.assert_allclose(state[number][name], value, rtol=tolerance, atol=tolerance)


def classifier(width=5):
    first = nn.Linear(3, width, generator=0)
    return nn.Sequential(first, nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 4, generator=1))


def adam(model):
    return optim.Adam(model.parameters(), lr=0.01)


# ---- the same as in Python


@needs_compiler
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_steps_are_those_of_python_for_any_batch_size(dtype):
    pair = Pair(classifier(width=70), nn.CrossEntropyLoss(weight=[1, 2, 3, 4]), adam, dtype=dtype)
    for n in (40, 7, 1, 33, 6, 40):
        pair.both(n=n)
    pair.compare()


@needs_compiler
def test_compiled_and_python_steps_take_turns_and_checkpoints_are_the_same():
    pair = Pair(classifier(), nn.CrossEntropyLoss(), adam)
    for number in range(6):
        pair.both(compiled=number % 2 == 0)
    pair.compare()
    for model, optimizer, other in ((pair.model, pair.optimizer, pair.twins), (pair.twin, pair.twins, pair.optimizer)):
        optimizer.load_state_dict(other.state_dict())
        model.load_state_dict({name: 0.5 * value for name, value in model.state_dict().items()})
    for _ in range(3):
        pair.both()
    pair.compare()


@needs_compiler
def test_groups_schedules_clipping_and_hooks():
    def grouped(model):
        groups = [{"params": model[0].parameters(), "lr": 0.1, "amsgrad": True}, {"params": model[3].parameters()}]
        optimizer = optim.Adam(groups, lr=0.01)
        optimizer.register_step_pre_hook(lambda o, args, kwargs: [p.grad.__imul__(0.5) for p in model[3].parameters()])
        return optimizer

    pair = Pair(classifier(), nn.CrossEntropyLoss(), grouped, max_norm=0.05)
    schedules = [optim.lr_scheduler.StepLR(optimizer, 2, 0.5) for optimizer in (pair.optimizer, pair.twins)]
    for _ in range(6):
        pair.both()
        for schedule in schedules:
            schedule.step()
    pair.compare()


@needs_compiler
def test_freezing_between_steps():
    pair = Pair(classifier(), nn.CrossEntropyLoss(), adam)
    for frozen in (False, True, True, False, False):
        for model in (pair.model, pair.twin):
            model[0].weight.requires_grad = not frozen
        pair.both()
        pair.compare()


@needs_compiler
def test_moved_arrays_are_found_again():
    pair = Pair(classifier(), nn.CrossEntropyLoss(), adam)
    pair.both()
    for model in (pair.model, pair.twin):
        model[3].weight.data = model[3].weight.data.copy() * 2
    pair.both()
    pair.compare()


@needs_compiler
def test_branches_and_several_inputs():
    fork = nn.ConcatTable(nn.Linear(3, 3, generator=0), nn.Residual(nn.Tanh()))
    model = nn.Sequential(nn.CMulTable(), fork, nn.CAddTable(), nn.Softplus(), nn.Linear(3, 1, generator=1)).double()
    twin = copy.deepcopy(model)
    first, second = (optim.SGD(m.parameters(), lr=0.1, momentum=0.9) for m in (model, twin))
    step = nn.compile(model, nn.HuberLoss(), first)
    for n in (9, 4):
        inputs = X[:n], X[n : 2 * n]
        loss = step(inputs, Y[:n])
        criterion = nn.HuberLoss()
        twin_loss = criterion(twin(*inputs), Y[:n])
        second.zero_grad()
        twin.backward(criterion.backward())
        second.step()
        assert not step.reason
        np.testing.assert_allclose(loss, twin_loss, rtol=1e-10)


@needs_compiler
def test_evaluation_mode_has_code_of_its_own():
    pair = Pair(classifier(), nn.CrossEntropyLoss(), adam)
    for mode in (True, False, True):
        pair.model.train(mode), pair.twin.train(mode)
        pair.both()
    pair.compare()


@needs_compiler
def test_the_code_is_kept_for_the_next_time(cache, monkeypatch):
    nn.compile(*(parts := (classifier(6), nn.CrossEntropyLoss())), adam(parts[0]))(X, LABELS)
    monkeypatch.setattr(machine.subprocess, "run", None)  # nothing is compiled any more
    model = classifier(6)
    step = nn.compile(model, nn.CrossEntropyLoss(), adam(model))
    step(X, LABELS)
    assert not step.reason
    assert list(cache.iterdir())


# ---- what it leaves to Python


@needs_compiler
def test_a_batch_that_does_not_fit_is_refused_as_in_python():
    model = classifier()
    step = nn.compile(model, nn.CrossEntropyLoss(), adam(model))
    step(X, LABELS)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=r"expects input of shape \(\.\.\., 3\), got \(40, 2\)"):
        step(X[:, :2], LABELS)
    with pytest.raises(ValueError, match=r"expects a target of shape \(40,\)"):
        step(X, LABELS[:39])
    with pytest.raises(ValueError, match="indices from 0 to 3, got 4"):
        step(X, np.where(LABELS == 0, 4, LABELS))
    with pytest.raises(TypeError, match="real numbers"):
        step(X.astype(complex), LABELS)
    np.testing.assert_equal(model.state_dict(), before)
    assert not step.reason


@needs_compiler
def test_ignored_targets_are_left_to_python():
    pair = Pair(classifier(), nn.CrossEntropyLoss(), adam)
    pair.both()
    pair.both(y=np.where(LABELS == 0, -100, LABELS))
    pair.compare()


@needs_compiler
def test_an_empty_batch_is_python_s():
    model = nn.Linear(3, 1)
    step = nn.compile(model, nn.MSELoss(reduction="sum"), adam(model))
    assert step(X[:0], Y[:0]) == 0
    assert not step.reason


class Doubled(nn.Module):
    def forward(self, x):
        x = self.cast(x)
        self.save_for_backward(output=x)
        return 2 * x

    def backward(self, grad_output):
        self.saved()
        return 2 * self.upstream(grad_output)


def falls_back(step, match):
    """Take steps that fall back, and see that it is said once."""
    with pytest.warns(RuntimeWarning, match=match):
        first = step(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert step(X, Y) < first
    assert step.reason


def test_a_layer_without_equations_runs_in_python():
    model = nn.Sequential(nn.Linear(3, 1, generator=0), Doubled())
    step = nn.compile(model, nn.MSELoss(), adam(model))
    falls_back(step, r"the training step runs in Python: 1 \(Doubled\(\)\) has no lowering: it states no equations")


def test_no_compiler(monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    model = nn.Linear(3, 1, generator=0)
    falls_back(nn.compile(model, nn.MSELoss(), adam(model)), "there is no C compiler: install clang or gcc")


def test_a_compiler_that_fails_is_quoted(monkeypatch, tmp_path):
    script = tmp_path / "broken"
    script.write_text("#!/bin/sh\nfor i in 1 2 3 4 5 6 7; do echo complaint $i >&2; done\nexit 3\n")
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    model = nn.Linear(3, 1, generator=0)
    falls_back(nn.compile(model, nn.MSELoss(), adam(model)), "(?s)exit status 3:\ncomplaint 1\n.*complaint 5$")


@needs_compiler
def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HANDGRAD_CACHE", os.path.join(tmp_path, "file", "cache"))
    model = nn.Linear(3, 1, generator=0)
    falls_back(
        nn.compile(model, nn.MSELoss(), adam(model)), "cannot keep compiled code.*set HANDGRAD_CACHE to a folder"
    )


@needs_compiler
def test_an_optimizer_of_some_parameters_runs_in_python():
    model = nn.Sequential(nn.Linear(3, 3, generator=0), nn.Linear(3, 1, generator=1))
    step = nn.compile(model, nn.MSELoss(), optim.SGD(model[1].parameters(), lr=0.01))
    falls_back(step, "the optimizer trains other parameters than those of the model")


def test_what_is_refused():
    model = nn.Linear(3, 1)
    with pytest.raises(TypeError, match="compile expects a Module as model, got"):
        nn.compile(nn.Linear, nn.MSELoss(), adam(model))
    with pytest.raises(TypeError, match="compile expects a Module as criterion, got None"):
        nn.compile(model, None, adam(model))
    with pytest.raises(TypeError, match="compile expects an optimizer of the package optim, got"):
        nn.compile(model, nn.MSELoss(), "adam")
    with pytest.raises(ValueError, match="max_norm"):
        nn.compile(model, nn.MSELoss(), adam(model), max_norm=-1)
