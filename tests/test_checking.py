"""The checker is checked: it finds and names planted faults, accuses nothing correct, and disturbs nothing."""

import copy
import html
import importlib
import inspect
import random
import re
import typing
from pathlib import Path

import numpy as np
import pytest
from cases import CASES
from faults import MISTAKES
from planted import PLANTED, spoil
from textbook import CORRECT, BatchNorm, Cell, Heads, MaxPool, Product, Split

import nn
from nn.checking.measure import grid
from nn.checking.report import Fault

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 4))


def report(module, *inputs, **settings):
    return nn.gradcheck(module, *inputs, raise_exception=False, **settings)


def kinds(found):
    return {(fault.name, fault.kind) for fault in found.faults}


class Doubled(nn.ReLU):
    """Wrong everywhere."""

    def backward(self, grad_output):
        return 2 * super().backward(grad_output)


class Reversed(nn.ReLU):
    """Passes the gradient where it should stop it."""

    def backward(self, grad_output):
        return grad_output * (self.saved() <= 0)


# ---- planted faults


@pytest.fixture(scope="module")
def reports(unhurried):
    return {
        plant.name: report(plant.build(), *plant.draw(np.random.default_rng(number)))
        for number, plant in enumerate(PLANTED)
    }


def named(plant, found):
    return bool(found.faults) and found.faults[0].kind in plant.kinds


def test_there_are_many_faults_each_under_its_own_name(reports):
    assert len(reports) == len(PLANTED) >= 60


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.name)
def test_a_planted_fault_is_caught(plant, reports):
    assert not reports[plant.name]


def test_the_kinds_are_those_that_are_documented(reports):
    documented = set(re.findall(r'"([a-z ]+)"', " ".join(Fault.__doc__.split())))
    assert {fault.kind for found in reports.values() for fault in found.faults} | {"unknown"} <= documented
    planted = {kind for plant in [*PLANTED, *MISTAKES] for kind in plant.kinds}
    assert planted | {"slightly off", "memory order", "unknown", "not measurable", "not as declared"} == {
        kind for kind in documented if " ".join(kind.split()) not in ("input", "forward", "backward", "train", "eval")
    }


def test_nine_in_ten_planted_faults_are_named(reports):
    misnamed = [
        f"{plant.name}: {[fault.kind for fault in reports[plant.name].faults]} and not {plant.kinds}"
        for plant in PLANTED
        if not named(plant, reports[plant.name])
    ]
    print(*misnamed, sep="\n")
    assert 1 - len(misnamed) / len(PLANTED) >= 0.9


DEEDS = {"changed in place", "overwritten", "stale values", "random forward", "random backward", "default upstream"}


@pytest.mark.parametrize("plant", [p for p in PLANTED if p.kinds[0] in DEEDS], ids=lambda plant: plant.name)
def test_what_is_no_matter_of_numbers_is_always_named_and_nothing_else(plant, reports):
    assert {fault.kind for fault in reports[plant.name].faults} == {plant.kinds[0]}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.name)
def test_only_what_is_spoiled_is_accused(plant, reports):
    module = plant.build()
    if hasattr(module, "spoiled"):
        parameters = {name for name, _ in module.named_parameters()}
        for fault in reports[plant.name].faults:
            if fault.name not in ("forward", "backward"):
                assert (fault.name if fault.name in parameters else "dx") in module.spoiled


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.name)
def test_a_report_reads_well_in_a_terminal(plant, reports):
    text = str(reports[plant.name])
    assert text.isascii() and max(map(len, text.splitlines())) <= 80
    assert not re.search(r"\?\.|[^.]\.\.[^.]| $|\bnan times\b", text, re.MULTILINE)
    for fault in reports[plant.name].faults:
        assert fault.message[-1] in ".?:" and fault.message in " ".join(text.split())
        assert fault.modes == ["train", "eval"] or f"in {fault.modes[0]} mode alone" in text


# ---- correct modules

ROWS = {case.name: (case.build, case.draw) for case in CASES} | {f"textbook {k}": v for k, v in CORRECT.items()}


@pytest.mark.parametrize("name", ROWS)
def test_nothing_correct_is_accused(name):
    build, draw = ROWS[name]
    for seed in range(6):  # `verify.py --seeds 1000` does more
        rng = np.random.default_rng([seed, *name.encode()])
        module = build()
        for p in module.parameters():
            p.data[...] = rng.normal(size=p.data.shape)
        inputs = draw(rng)
        while isinstance(module, nn.Loss) and not np.isfinite(module(*inputs)).all():
            inputs = draw(rng)  # one that ignores every sample
        assert report(module, *inputs, generator=seed), seed


@pytest.mark.parametrize("scale", [1e-3, 1e3])
@pytest.mark.parametrize(
    "build",
    [lambda: nn.Linear(4, 3, generator=0), nn.Softplus, lambda: nn.LogSoftmax(1), lambda: BatchNorm(4), nn.ReLU],
)
def test_inputs_of_any_scale(build, scale):
    assert report(build(), scale * X)
    assert not report(spoil(build(), dx=lambda v: v.dx * (1 + 1e-4)), scale * X)


@pytest.mark.parametrize("build", [nn.Sigmoid, nn.Tanh, lambda: nn.Softmax(1), nn.CrossEntropyLoss])
def test_inputs_that_saturate(build):
    inputs = (1e3 * X, [0, 1, 2, 3, 0])[: 1 + (build is nn.CrossEntropyLoss)]
    assert report(build(), *inputs)
    assert not report(spoil(build(), dx=lambda v: v.dx + 1e-6), *inputs)


class Affine(nn.Module):
    """y = a x + b, for outputs that are large, or far from zero."""

    def __init__(self, a, b):
        self.a, self.b = a, b

    def forward(self, x):
        self.save_for_backward()
        return self.a * x + self.b

    def backward(self, g):
        self.saved()
        return self.a * g


@pytest.mark.parametrize(("a", "b"), [(1e6, 0.0), (1e-6, 0.0), (1.0, 1e6), (1e6, 1e6)])
def test_outputs_of_any_scale(a, b):
    assert report(Affine(a, b), X)
    assert not report(spoil(Affine(a, b), dx=lambda v: v.dx * (1 + 1e-4)), X)


def test_steps_that_are_lost_in_a_large_output():
    assert report(Affine(np.array([1.0, 1e-5, 1.0, 1e-5]), 1e6), X)


class SumOfSoftmax(nn.Module):
    """Is 1, whatever the input."""

    def forward(self, x):
        e = np.exp(x)
        self.save_for_backward(e / e.sum(1, keepdims=True))
        return (e / e.sum(1, keepdims=True)).sum(1)

    def backward(self, g):
        return 0 * g[:, None] * self.saved()


def test_a_gradient_that_is_truly_zero():
    assert report(SumOfSoftmax(), X)
    assert not report(spoil(SumOfSoftmax(), dx=lambda v: v.dx + 1e-6), X)
    assert not report(spoil(SumOfSoftmax(), dx=lambda v: 1e-6 * v.x), X)
    for seed in range(5):
        assert report(SumOfSoftmax(), np.random.default_rng(seed).normal(size=(5, 40)))
    sure = np.array([[40.0, 0.0, 0.0]])  # costs nothing in float64, though its gradient is not quite zero
    assert not report(nn.CrossEntropyLoss(), sure, [0]).notes


# ---- kinks


@pytest.mark.parametrize(
    "x", [np.zeros((3, 4)), X.round(), np.zeros(()), np.zeros((50, 40)), (3 * RNG.normal(size=(50, 40))).round()]
)
@pytest.mark.parametrize("build", [nn.ReLU, lambda: nn.LeakyReLU(0.1)])
def test_kinks_are_no_faults_and_hide_none(build, x):
    found = report(build(), x)
    assert found and "not differentiable here" in str(found)
    assert not report(spoil(build(), dx=lambda v: v.g * (v.x < 0)), x)
    assert not report(spoil(build(), dx=lambda v: v.dx * 1.001), x)
    assert not report(spoil(build(), dx=lambda v: 0 * v.dx), x)


def test_absolute_value_at_zero():
    y = X.copy()
    y[1] = 0
    assert report(nn.L1Loss(), X, X)
    assert report(nn.L1Loss(reduction="none"), X, np.where(X > 0, X, 0))
    assert not report(spoil(nn.L1Loss(), dx=lambda v: -v.dx), X, X)
    assert not report(spoil(nn.L1Loss(), dx=lambda v: v.dx / 2), X, np.where(X > 0, X, 0))
    first = X.copy()
    first[1:] = 0  # the first row is where its target is: only there is the gradient wrong
    assert not report(spoil(nn.L1Loss(), dx=lambda v: v.dx * [[2], [1], [1], [1], [1]]), X, first)


def test_ties_of_a_maximum():
    assert report(MaxPool(), np.ones((4, 6)))
    assert report(MaxPool(), np.ones((40, 60)))
    found = report(spoil(MaxPool(), dx=lambda v: v.dx.reshape(4, 3, 2)[..., ::-1].reshape(4, 6)), np.ones((4, 6)))
    assert not found
    assert not report(spoil(MaxPool(), dx=lambda v: v.g.repeat(2, 1)), np.ones((4, 6)))


def test_a_wrong_entry_beside_a_kink_in_a_large_array():
    x = np.random.default_rng(1).normal(size=(60, 50))
    x[1, 1] = 0
    assert not any(1 in indices for indices in grid(x.shape))  # so that the sample does not see it

    def wrong(v):
        gradient = v.dx.copy()
        gradient[37, 11] += 1
        return gradient

    assert report(nn.Tanh(), x) and report(nn.ReLU(), x)
    assert not report(spoil(nn.ReLU(), dx=wrong), x)


class Clip(nn.Module):
    """y = x^2, for x from 0 to 1 alone."""

    def forward(self, x):
        if (x < 0).any() or (x > 1).any():
            raise ValueError("out of range")
        self.save_for_backward(x)
        return x * x

    def backward(self, g):
        return 2 * self.saved() * g


def test_the_edge_of_what_forward_takes():
    x = np.array([0.0, 0.25, 0.5, 1.0])
    assert report(Clip(), x)
    assert not report(spoil(Clip(), dx=lambda v: v.x * v.g), x)
    assert report(Clip(), np.array([0.0, 1.0, 1.0]))
    assert not report(spoil(Clip(), dx=lambda v: v.x * v.g), np.array([0.0, 1.0, 1.0]))


class Steps(nn.Module):
    """Jumps between points that no step is small enough for."""

    def forward(self, x):
        self.save_for_backward(x)
        return np.sin(1e12 * x)

    def backward(self, g):
        return g * np.cos(1e12 * self.saved()) * 1e12


def test_what_cannot_be_measured_is_not_passed():
    assert kinds(report(Steps(), X)) == {("input", "not measurable")}


class Narrow(nn.Module):
    """Right, with float32 inside."""

    def forward(self, x):
        y = np.tanh(x.astype(np.float32)).astype(x.dtype)
        self.save_for_backward(y)
        return y

    def backward(self, g):
        y = self.saved()
        return g * (1 - y * y)


def test_float32_inside_is_measured_as_well_as_it_can_be():
    assert "float32" in str(report(Narrow(), X))
    assert not report(spoil(Narrow(), dx=lambda v: 1.01 * v.dx), X)


# ---- all entries, one direction, and what lies between


def big(formula):
    return spoil(nn.Linear(500, 64, generator=0), weight=formula)


def one_entry(v):
    w = v.weight.copy()
    w[17, 400] += 1
    return w


BIG = RNG.normal(size=(32, 500))


@pytest.mark.parametrize(
    ("formula", "kind", "words"),
    [
        (lambda v: v.weight / 32, "constant factor", "1/N, where N = 32"),
        (lambda v: v.weight * (np.arange(500) != 400), "partly right", "except column 400"),
        (one_entry, "partly right", "(17, 400)"),
        (lambda v: np.ones_like(v.g).T @ v.x, "upstream ignored", "all ones"),
        (lambda v: v.g[:-1].T @ v.x[:-1], "not summed", "Sample 31 is left out"),
    ],
)
def test_a_large_wrong_linear_is_found_and_named(formula, kind, words):
    found = report(big(formula), BIG)
    assert kinds(found) == {("weight", kind)} and words in found.faults[0].message
    assert report(big(lambda v: v.weight), BIG)


def test_entry_by_entry_where_asked_for():
    x = RNG.normal(size=(10, 10))
    calls = []

    class Counting(nn.Tanh):
        def forward(self, x):
            calls.append(1)
            return super().forward(x)

    def count(full):
        calls.clear()
        assert report(Counting(), x, full=full)
        return len(calls)

    assert count(False) == count(None) < 25
    assert count(True) > 200
    assert not report(spoil(nn.Tanh(), dx=lambda v: 2 * v.dx), x, full=True)
    assert not report(spoil(nn.Tanh(), dx=lambda v: 2 * v.dx), X, full=False)


def test_grids_are_symmetric_and_bounded():
    for shape in [(), (5,), (1000,), (7, 9), (300, 2), (8, 3, 3, 3), (1, 50, 50)]:
        chosen = grid(shape)
        assert np.prod([len(indices) for indices in chosen]) <= 64 * 1.3
        for size, indices in zip(shape, chosen, strict=True):
            np.testing.assert_array_equal(indices, (size - 1 - indices)[::-1])
    rows, columns = grid((100, 200), including=(33, 44))
    assert 33 in rows and 44 in columns


# ---- several inputs and outputs, losses, whole models


def test_every_array_is_checked_under_its_name():
    assert list(report(nn.Linear(4, 3), X).errors) == ["input", "weight", "bias"]
    assert list(report(Product(), X, X).errors) == ["input 0", "input 1"]
    found = report(nn.MSELoss(), X, X + 1)
    assert list(found.errors) == ["prediction"] and found.skipped == {"target": "a target: no gradient"}
    found = report(nn.CrossEntropyLoss(), X, [0, 1, 2, 3, 0])
    assert list(found.errors) == ["prediction"] and found.skipped == {"target": "not floating: no gradient"}
    found = report(Heads(), X)
    assert list(found.errors) == ["input", "mean.weight", "mean.bias", "scale.weight", "scale.bias"]


def test_nested_inputs_keep_their_names():
    x = RNG.normal(size=(5, 3))
    assert list(report(Cell(), x, (x, x)).errors) == ["input 0", "input 1[0]", "input 1[1]", "weight"]
    assert report(Cell(), x, [x, x])


class Lookup(nn.Module):
    """Rows of a table, by integers: the one gradient is the parameter's."""

    def __init__(self):
        self.weight = nn.Parameter(np.random.default_rng(3).normal(size=(6, 2)))

    def forward(self, index):
        self.save_for_backward(index)
        return self.weight.data[index]

    def backward(self, g):
        np.add.at(self.weight.grad, self.saved(), g)


def test_integers_have_no_gradient():
    found = report(Lookup(), np.array([1, 1, 4]))
    assert found and list(found.errors) == ["weight"] and "input" in found.skipped
    with pytest.raises(ValueError, match="nothing has a gradient"):
        nn.gradcheck(nn.ReLU(), np.arange(3))


class Plain(nn.Module):
    """A loss that does not derive from Loss; its targets are integers."""

    def forward(self, f, y):
        self.save_for_backward(f, y)
        return f[np.arange(len(y)), y].sum()

    def backward(self, g=1.0):
        f, y = self.saved()
        return g * np.eye(f.shape[1])[y]


def test_one_gradient_will_do_where_the_other_inputs_are_integers():
    assert report(Plain(), X, np.array([0, 1, 2, 3, 0]))


def test_a_whole_model_with_its_loss():
    model = nn.Sequential(nn.Linear(4, 6, generator=0), nn.ReLU(), nn.Linear(6, 3, generator=1))
    found = report(model, X, [0, 1, 2, 0, 1], loss=nn.CrossEntropyLoss())
    assert found
    assert list(found.errors) == ["input", "model.0.weight", "model.0.bias", "model.2.weight", "model.2.bias"]
    assert report(Product(), X, X, X, loss=nn.MSELoss())
    assert report(nn.Linear(4, 2), X, X[:, :2], loss=nn.MSELoss(reduction="none"))


def test_a_chain_is_not_blamed_for_its_missing_upstream_gradient():
    model = spoil(nn.Linear(4, 2, generator=0), weight=lambda v: 2 * v.weight)
    found = report(model, X, X[:, :2], loss=nn.MSELoss())
    assert kinds(found) == {("model.weight", "constant factor")}


def test_a_model_that_spares_its_inputs_gradient():
    model = nn.Sequential(nn.Linear(4, 6, generator=0), nn.ReLU(), nn.Linear(6, 3, generator=1))
    model.needs_input_grad = False
    for settings in ({}, {"loss": nn.MSELoss()}):
        found = report(model, X, *([np.ones((5, 3))] if settings else []), **settings)
        assert found and "input" not in found.errors and found.skipped["input"] == "needs_input_grad is False"
    model[0] = spoil(model[0], weight=lambda v: v.weight / 5)
    assert not report(model, X)


def test_the_culprit_inside_is_named():
    x, y = RNG.normal(size=(5, 4)), RNG.normal(size=(5, 2))
    inner = nn.Sequential(nn.Linear(6, 6, generator=2), Doubled())
    model = nn.Sequential(nn.Linear(4, 6, generator=0), nn.Tanh(), inner, nn.Linear(6, 2, generator=1))
    found = report(model, x, y, loss=nn.MSELoss())
    assert list(found.inside) == ["model.2.1"]
    assert kinds(found.inside["model.2.1"]) == {("input", "constant factor")}
    assert "Inside it, model.2.1 is wrong by itself" in str(found) and "model.2.1" in found._repr_html_()
    found = report(
        nn.Sequential(nn.Linear(4, 6, generator=0)),
        x,
        y[:, :1] + np.zeros(6),
        loss=spoil(nn.MSELoss(), dx=lambda v: -v.dx),
    )
    assert list(found.inside) == ["loss"]


class Forgetful(nn.Module):
    """Two right modules, wrongly joined."""

    def __init__(self):
        self.first, self.second = nn.Linear(4, 4, generator=0), nn.Tanh()

    def forward(self, x):
        return self.second(self.first(x)) + x

    def backward(self, g):
        return self.first.backward(self.second.backward(g))


def test_a_fault_between_right_modules():
    found = report(Forgetful(), X)
    assert kinds(found) == {("input", "missing term")} and not found.inside


# ---- modes


def test_both_modes_are_checked_by_default():
    wrong_in_eval = spoil(BatchNorm(4), dx=lambda v: v.dx * (1 if v.module.training else 2))
    found = report(wrong_in_eval, X)
    assert [fault.modes for fault in found.faults] == [["eval"]] and "in eval mode alone" in str(found)
    assert report(wrong_in_eval, X, training=True)
    assert not report(wrong_in_eval, X, training=False)
    assert "in eval mode:" in str(report(wrong_in_eval, X, training=False))
    assert report(Doubled(), X).faults[0].modes == ["train", "eval"]


# ---- chance


def test_masks_are_pinned_wherever_they_come_from():
    class FromNumPy(nn.Module):
        def forward(self, x):
            mask = np.random.random(x.shape) > 0.5  # noqa: NPY002
            self.save_for_backward(mask)
            return x * mask

        def backward(self, g):
            return g * self.saved()

    class FromPython(FromNumPy):
        def forward(self, x):
            scale = random.random()
            self.save_for_backward(scale)
            return x * scale

    shared = np.random.default_rng(1)
    for module in (
        nn.Dropout(),
        nn.Dropout(generator=3),
        nn.Sequential(
            nn.Dropout(0.2, generator=shared), nn.Linear(4, 4, generator=0), nn.Dropout(0.2, generator=shared)
        ),
        FromNumPy(),
        FromPython(),
    ):
        assert report(module, X)


def test_the_upstream_gradient_is_not_the_input():
    # x drawn from the default seed, as people do: under the same numbers upstream, x * x would pass for g * x.
    x = np.random.default_rng(0).normal(size=(5, 4))
    assert not report(spoil(Affine(1.0, 0.0), dx=lambda v: v.x), x)


def test_a_check_can_be_repeated():
    errors = [report(nn.Tanh(), X, generator=seed).errors for seed in (0, 0, 1)]
    assert errors[0] == errors[1] != errors[2]
    generator = np.random.default_rng(5)
    before = generator.bit_generator.state
    assert report(nn.Tanh(), X, generator=generator)
    assert generator.bit_generator.state == before


# ---- nothing is disturbed


class Everything(nn.Module):
    """Has all that a check could disturb."""

    def __init__(self, fails=""):
        self.norm, self.drop = BatchNorm(4), nn.Dropout(generator=7)
        self.own, self.fails, self.plain = np.random.default_rng(2), fails, np.zeros(4)

    def forward(self, x):
        self.plain = self.plain + 1
        y = self.drop(self.norm(x)) * self.own.random() + nn.random.default_generator().random()
        if self.fails == "forward":
            raise KeyError("forward")
        return y

    def backward(self, g):
        if self.fails == "backward":
            raise KeyError("backward")
        if self.fails == "interrupt":
            raise KeyboardInterrupt
        return self.norm.backward(self.drop.backward(g))


def snapshot(module, *inputs):
    parts = [(part.training, part.needs_input_grad, copy.deepcopy(part._saved)) for part in module.modules()]
    arrays = [p.data.copy() for p in (*module.parameters(), *module.buffers())] + [
        p.grad.copy() for p in module.parameters()
    ]
    flags = [p.requires_grad for p in module.parameters()]
    own = [module.own.bit_generator.state, module.drop.generator.bit_generator.state, module.plain.tolist()]
    chance = [nn.get_rng_state(), str(np.random.get_state()), random.getstate()]  # noqa: NPY002
    return repr((parts, arrays, flags, own, chance, [x.tolist() for x in inputs]))


@pytest.mark.parametrize("fails", ["", "forward", "backward", "interrupt"])
def test_everything_stays_as_it_was(fails):
    module, x = Everything(), X.astype(np.float32)
    x.flags.writeable = False
    module(x)
    module.norm.gamma.grad += 3
    module.norm.beta.requires_grad = False
    module.drop.training = False
    module.fails = fails
    objects = [(p, p.data, p.grad) for p in module.parameters()]
    before = snapshot(module, x)
    expected = {
        "forward": KeyError,
        "backward": nn.GradcheckError,
        "interrupt": KeyboardInterrupt,
        "": nn.GradcheckError,
    }
    with pytest.raises(expected[fails]):  # it forgets self.own's factor
        nn.gradcheck(module, x)
    assert snapshot(module, x) == before
    assert all(p.data is data and p.grad is grad for p, data, grad in objects)


def test_a_module_may_have_been_used_and_hold_gradients():
    module = nn.Linear(4, 3)
    module(X)
    module.weight.grad += 1
    assert report(module, X)
    module.backward(np.ones((5, 3)))


def test_shared_parameters_and_objects_in_several_places():
    layer = nn.Linear(4, 4, generator=0)
    assert report(nn.Sequential(layer, nn.Tanh(), layer), X)


class PlainStatistics(nn.Module):
    """Keeps a running mean in an attribute of its own; only evaluation uses it."""

    def __init__(self):
        self.mean = np.zeros(4)

    def forward(self, x):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
        self.save_for_backward()
        return x - (x.mean(0) if self.training else self.mean)

    def backward(self, g):
        self.saved()
        return g - g.mean(0) if self.training else g


def test_statistics_of_an_authors_own_do_no_harm():
    assert report(PlainStatistics(), X)


class Fading(nn.Module):
    """Multiplies by a buffer, and then lets it fade."""

    def __init__(self):
        self.factor = nn.Buffer(np.ones(4))

    def forward(self, x):
        self.save_for_backward(self.factor.data.copy())
        y = x * self.factor.data
        self.factor.data *= 0.9
        return y

    def backward(self, g):
        return g * self.saved()


def test_buffers_that_forward_changes_start_afresh():
    assert report(Fading(), X)


def test_values_saved_before_the_check_are_not_used():
    class Unsaved(nn.ReLU):
        def forward(self, x):
            return np.maximum(x, 0)

    module = Unsaved()
    module.save_for_backward(np.maximum(X, 0))
    assert "nothing saved" in str(report(module, X))


class Honouring(nn.Linear):
    """Leaves out what is frozen."""

    def backward(self, g):
        frozen = not self.weight.requires_grad
        before = self.weight.grad.copy()
        gradient = super().backward(g)
        if frozen:
            self.weight.grad[...] = before
        return gradient


def test_frozen_parameters_are_checked():
    module = Honouring(4, 3)
    module.weight.requires_grad = False
    assert report(module, X)
    wrong = spoil(nn.Linear(4, 3), weight=lambda v: 2 * v.weight)
    assert not report(wrong.requires_grad_(False), X)


# ---- what is refused, and what passes through


@pytest.mark.parametrize(
    ("arguments", "settings", "error", "words"),
    [
        ((nn.ReLU, X), {}, TypeError, "instance of nn.Module"),
        ((nn.ReLU(), X, X), {"loss": nn.MSELoss}, TypeError, "loss= to be an instance"),
        ((nn.ReLU(), X + 1j), {}, TypeError, "real numbers"),
        ((nn.ReLU(), ["a"]), {}, TypeError, "real numbers"),
        ((nn.ReLU(), np.array([1.0, np.nan])), {}, ValueError, "input to be finite, got nan"),
        ((nn.ReLU(), np.zeros((0, 3))), {}, ValueError, "nothing to differentiate"),
        ((nn.Linear(3, 2), X), {}, ValueError, r"expects input of shape \(..., 3\)"),
    ],
)
def test_refused(arguments, settings, error, words):
    with pytest.raises(error, match=words):
        nn.gradcheck(*arguments, **settings)


def test_what_forward_raises_passes_through_with_a_note():
    with pytest.raises(ValueError) as caught:
        nn.gradcheck(nn.Linear(3, 2), X)
    assert caught.value.__notes__ == ["(raised while gradcheck ran Linear(3, 2, dtype='float64') in train mode)"]


def test_what_backward_raises_is_the_cause():
    class Stopping(nn.ReLU):
        def backward(self, g):
            raise ZeroDivisionError("no")

    with pytest.raises(nn.GradcheckError, match="backward raised ZeroDivisionError: no") as caught:
        nn.gradcheck(Stopping(), X)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert caught.value.report.faults[0].cause is caught.value.__cause__


class Lazy(nn.Module):
    def forward(self, x):
        if not hasattr(self, "weight"):
            self.weight = nn.Parameter(np.ones(4))
        self.save_for_backward(x)
        return x * self.weight.data

    def backward(self, g):
        self.weight.grad += (g * self.saved()).sum(0)
        return g * self.weight.data


def test_parameters_made_by_forward():
    module = Lazy()
    with pytest.raises(ValueError, match="forward makes the parameter weight: call the module once"):
        nn.gradcheck(module, X)
    module(X)
    assert list(report(module, X).errors) == ["input", "weight"]


def test_inside_no_grad_it_says_so():
    with nn.no_grad():
        assert "outside no_grad" in str(report(nn.ReLU(), X))


# ---- the report


def test_a_report_of_a_right_module():
    found = nn.gradcheck(nn.Linear(4, 3), X)
    assert found and found.modes == ["train", "eval"] and not found.faults and max(found.errors.values()) < 1e-8
    lines = str(found).splitlines()
    assert lines[0] == "Linear(4, 3): all gradients are right" and repr(found) == str(found)
    assert [line.split()[0] for line in lines[3:]] == ["input", "weight", "bias"]
    assert all(line.endswith("right") for line in lines[3:])


def test_a_report_of_a_wrong_module():
    module = spoil(nn.Linear(4, 3, generator=0), weight=lambda v: v.weight / 5, bias=lambda v: -v.bias)
    with pytest.raises(nn.GradcheckError) as caught:
        nn.gradcheck(module, X)
    found = caught.value.report
    assert str(caught.value) == str(found)
    assert str(found).startswith("Linear(4, 3): the gradients of weight and bias are wrong\n")
    weight, bias = found.faults
    assert (weight.name, weight.kind, bias.name, bias.kind) == ("weight", "constant factor", "bias", "wrong sign")
    assert weight.message.startswith("This is 0.2 times the true gradient") and "1/N, where N = 5" in weight.message
    assert len(weight.worst) == 5 and len(bias.worst) == 3
    module = nn.Linear(4, 3, generator=0)
    module(X)
    assert found.errors["weight"] == pytest.approx(0.8) and found.errors["bias"] == pytest.approx(2)
    for index, gave, measured in weight.worst:
        assert len(index) == 2 and gave == pytest.approx(measured / 5, rel=1e-6)
        assert f"{index}" in str(found) and f"{gave:.7g}" in str(found)


def test_a_report_in_a_notebook():
    class Odd(Doubled):
        def extra_repr(self):
            return "<b>&"

    text = report(Odd(), X)._repr_html_()
    assert "<b>&" not in text.replace("<b>Odd(", "") and html.escape("<b>&") in text
    assert "constant factor" in text and "<td>(4, 2)</td>" in text
    assert "WRONG" not in nn.gradcheck(nn.ReLU(), X)._repr_html_()


def test_a_factor_is_explained_by_what_is_there():
    def words(module, *inputs):
        return report(module, *inputs).faults[0].message

    assert "N = 5 is the size of the batch. Is a mean" in words(spoil(nn.MSELoss(), dx=lambda v: 5 * v.dx), X, 0 * X)
    assert "n = 20 is the number of entries" in words(spoil(nn.MSELoss(), dx=lambda v: 20 * v.dx), X, 0 * X)
    assert "2 of a square's derivative left out" in words(spoil(nn.MSELoss(), dx=lambda v: v.dx / 2), X, 0 * X)
    assert "1 - p, where p = 0.3" in words(spoil(nn.Dropout(0.3), dx=lambda v: v.dx * 0.7), X)
    assert "beta = 7" in words(spoil(nn.Softplus(beta=7.0), dx=lambda v: v.dx * 7), X)
    assert "That is" not in words(spoil(nn.Tanh(), dx=lambda v: v.dx * 1.2345), X)
    assert "wrong sign" in words(spoil(nn.Tanh(), dx=lambda v: v.dx * -1.2345), X)


def test_the_evidence_is_in_the_words():
    def words(module, *inputs):
        return report(module, *inputs).faults[0].message

    assert "except row 2. Where it is wrong, it is zero" in words(
        spoil(nn.Linear(4, 3, generator=0), weight=lambda v: v.weight * [[1], [1], [0]]), X
    )
    assert "is used where (1 - output^2) is meant" in words(spoil(nn.Tanh(), dx=lambda v: v.g * (1 - v.x**2)), X)
    assert "They are 1/gamma" in words(spoil(BatchNorm(4), dx=lambda v: v.dx / v.module.gamma.data), X)
    assert "from one index to another, the gradient is zero" in words(
        spoil(nn.Softmax(1), dx=lambda v: v.g * v.y * (1 - v.y)), X
    )
    assert "in direction to 0." in words(spoil(nn.Softmax(1), dx=lambda v: v.dx * (1 + 0.1 * np.sin(v.x))), X)
    assert "at the class that is each sample's target" in words(
        spoil(nn.CrossEntropyLoss(), dx=lambda v: v.dx + v.g * np.eye(4)[v.inputs[1]] / 5), X, np.array([0, 1, 2, 3, 0])
    )
    assert "It gets one argument, nested like the output" in words(
        type("Two", (Split,), {"backward": lambda self, g0, g1: None})(), X
    )


def test_a_slip_that_vanishes_in_places_is_not_taken_for_a_piece():
    x = np.geomspace(1e-3, 1, 60).reshape(10, 6)
    assert kinds(report(spoil(nn.Tanh(), dx=lambda v: v.g * (1 - v.x**2)), x)) == {("input", "elementwise slip")}


# ---- what was not seen


class Silent(nn.ReLU):
    """Its gradient is zero, which is right wherever no input is positive."""

    def backward(self, grad_output):
        return 0 * super().backward(grad_output)


class SlippedReLU(nn.ReLU):
    """Asks for the sign of the gradient where it should ask for the input's."""

    def backward(self, grad_output):
        self.saved()
        return grad_output * (grad_output > 0)


NEGATIVE = -1 - np.abs(X)


def test_a_gradient_that_is_zero_here_is_looked_at_elsewhere():
    found = report(Silent(), NEGATIVE)
    assert kinds(found) == {("input", "zero")} and "wrong at another point" in " ".join(str(found).split())
    found = report(nn.ReLU(), NEGATIVE)
    assert found and not found.notes and not found.unseen and "all gradients are right" in str(found)
    model = nn.Sequential(spoil(nn.Linear(4, 6, generator=0), weight=lambda v: 0 * v.weight), nn.ReLU())
    model[0].bias.data[...] = -100
    assert not report(model, X)
    model = nn.Sequential(nn.Linear(4, 6, generator=0), nn.Linear(6, 2, generator=0))
    model[1].weight.data[...] = 0
    assert report(model, X) and not report(model, X).unseen
    model[0] = spoil(model[0], weight=lambda v: 2 * v.weight)
    assert not report(model, X)


@pytest.mark.parametrize("seed", range(60))
def test_one_sample_is_enough_to_find_what_few_units_hide(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(1, 2)), rng.normal(size=(1, 1))

    def model(first=None, slip=nn.ReLU):
        layers = [nn.Linear(2, 3, generator=rng), nn.ReLU(), nn.Linear(3, 2, generator=rng), slip()]
        if first:
            layers[0] = spoil(layers[0], weight=first)
        return nn.Sequential(*layers, nn.Linear(2, 1, generator=rng))

    assert report(model(), x, y, loss=nn.HalfSquaredLoss(), generator=seed)
    assert not report(model(first=lambda v: 0 * v.weight), x, y, loss=nn.HalfSquaredLoss(), generator=seed)
    assert not report(model(slip=SlippedReLU), x, y, loss=nn.HalfSquaredLoss(), generator=seed)


def test_what_stays_zero_everywhere_is_told():
    found = report(SumOfSoftmax(), X)
    assert found and list(found.unseen) == ["input"] and "all gradients are right" not in str(found)
    assert "input: the gradient is zero everywhere at every point tried; nothing was proven of it." in " ".join(
        str(found).split()
    )
    table = Lookup()
    table.weight.data = np.ones((60, 2))
    found = report(table, np.array([1, 1, 4]))
    assert found and "116 of 120 entries" in found.unseen["weight"] and found.unseen["weight"] in found._repr_html_()
    assert not report(spoil(table, weight=lambda v: 2 * v.weight), np.array([1, 1, 4]))


class Flat(Clip):
    """y = max(x^2 - 2, 0), for x from 0 to 1 alone: zero wherever it can go."""

    def forward(self, x):
        return np.maximum(super().forward(x) - 2, 0)

    def backward(self, g):
        return 0 * super().backward(g)


def test_where_a_module_cannot_go_it_is_not_sent():
    found = report(Flat(), np.linspace(0.1, 0.9, 12))
    assert found and list(found.unseen) == ["input"]


class PlainWeight(nn.Module):
    """Its weight is no Parameter, so that nothing trains and nothing checks it."""

    def __init__(self):
        self.weights = [np.ones(4)]
        self.steps = np.arange(3)

    def forward(self, x):
        self.x = x
        return x * self.weights[0]

    def backward(self, g):
        return g * self.weights[0]


def test_float_arrays_that_are_no_parameters_are_named():
    module = nn.Sequential(PlainWeight(), nn.Tanh())
    module(X)
    (note,) = report(module, X).notes
    assert "0.weights[0]" in note and "nn.Parameter" in note and "nn.Buffer" in note
    assert not report(nn.Sequential(nn.Linear(4, 3), nn.Dropout(), BatchNorm(3)), X).notes


# ---- the diagnosis cannot get in the way


def test_a_model_whose_input_is_shaped_like_the_target():
    slip = spoil(nn.Tanh(), dx=lambda v: v.dx * (1 + 0.1 * np.sin(v.x)))
    assert not report(slip, X, X + 1, loss=nn.MSELoss())


def test_a_diagnosis_that_fails_leaves_the_finding(monkeypatch):
    def failing(evidence):
        raise KeyError("prediction")

    monkeypatch.setattr("nn.checking.diagnosis.DIAGNOSES", (failing,))
    found = report(Doubled(), X)
    assert kinds(found) == {("input", "unknown")} and len(found.faults[0].worst) == 5


def test_types_of_all_that_is_public_can_be_asked_for():
    folder = Path(nn.__file__).parent / "checking"
    for name in sorted(path.stem for path in folder.glob("[!_]*.py")):
        module = importlib.import_module(f"nn.checking.{name}")
        for value in vars(module).values():
            if callable(value) and getattr(value, "__module__", "") == module.__name__:
                members = [value, *(vars(value).values() if isinstance(value, type) else ())]
                for member in members:
                    if inspect.isfunction(member) or isinstance(member, type):
                        typing.get_type_hints(member)
