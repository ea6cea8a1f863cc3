"""Lazy layers: they take a size from their first input, and are the layers that they stand for from then on."""

import copy
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

import nn
import optim
from nn.layers.lazy import Lazy
from nn.parameter import Parameter, UninitializedParameter


@dataclass
class Row:
    """A lazy layer, the layer that it becomes, and the shape of an input of that size."""

    lazy: partial
    real: partial
    shape: tuple[int, ...]

    @property
    def name(self):
        return self.lazy.func.__name__


def row(name, size, shape, *args, **settings):
    """Both layers of the same arguments; the real one has the size before them."""
    lazy, real = getattr(nn, f"Lazy{name}"), getattr(nn, name)
    return Row(partial(lazy, *args, **settings), partial(real, size, *args, **settings), shape)


ROWS = [
    row("Linear", 4, (5, 4), 3),
    row("Conv1d", 4, (2, 4, 6), 6, 3, groups=2, padding="same", padding_mode="circular"),
    row("Conv2d", 3, (2, 3, 5, 4), 2, (3, 2), stride=2, padding=1, bias=False),
    row("Conv3d", 1, (1, 1, 3, 3, 3), 2, 2),
    row("ConvTranspose1d", 4, (2, 4, 5), 2, 3, stride=2, output_padding=1, groups=2),
    row("ConvTranspose2d", 3, (3, 2, 2), 2, 3),
    row("ConvTranspose3d", 1, (1, 1, 2, 2, 2), 2, 2, dilation=2),
    row("BatchNorm1d", 3, (5, 3), momentum=None),
    row("BatchNorm2d", 2, (3, 2, 3, 2), eps=0.1),
    row("BatchNorm3d", 2, (2, 2, 2, 3, 2), track_running_stats=False, bias=False),
    row("InstanceNorm1d", 2, (2, 2, 4), affine=True, track_running_stats=True),
    row("InstanceNorm2d", 2, (2, 2, 3, 2), affine=True, track_running_stats=True, bias=False),
    row("InstanceNorm3d", 2, (2, 2, 2, 2, 2), affine=True, track_running_stats=False),
]
every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def inputs(row):
    return np.random.default_rng(0).normal(size=row.shape).astype(np.float32)


def equal(state, other):
    assert list(state) == list(other)
    for name, value in state.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def test_every_lazy_layer_has_a_row():
    public = {name for name, value in vars(nn).items() if isinstance(value, type) and issubclass(value, Lazy)}
    assert public == {row.name for row in ROWS}


@every_row
def test_it_becomes_the_layer_that_it_stands_for(row):
    x = inputs(row)
    nn.manual_seed(0)
    lazy = row.lazy()
    real = row.real()  # nothing has been drawn before it
    nn.manual_seed(0)
    y = lazy(x)
    assert type(lazy) is type(real) and repr(lazy) == repr(real)
    np.testing.assert_array_equal(y, real(x))
    equal(lazy.state_dict(), real.state_dict())
    assert vars(lazy).keys() - {"training"} == vars(real).keys()
    g = np.ones_like(y)
    np.testing.assert_array_equal(lazy.backward(g), real.backward(g))
    for p, q in zip(lazy.parameters(), real.parameters(), strict=True):
        assert type(p) is Parameter
        np.testing.assert_array_equal(p.grad, q.grad)
    np.testing.assert_array_equal(lazy(x), y)
    assert nn.gradcheck(lazy, x.astype(np.float64))


@every_row
def test_before_the_first_input(row):
    lazy = row.lazy()
    assert repr(eval(repr(lazy), vars(nn))) == repr(lazy) and repr(lazy).startswith(row.name)
    assert all(isinstance(p, UninitializedParameter) and p.data.size == 0 for p in lazy.parameters())
    assert [name for name, _ in lazy.named_parameters()] == [name for name, _ in row.real().named_parameters()]
    lazy.zero_grad()
    with pytest.raises(RuntimeError, match=rf"{row.name}\(.*nothing saved"):
        lazy.backward(inputs(row))
    for function in (nn.init.zeros_, nn.utils.parameters_to_vector):
        with pytest.raises(ValueError, match=f"{function.__name__} expects a Parameter with values, got Uninit"):
            function(lazy.weight)
    with pytest.raises(ValueError, match=r"gradcheck expects layers that know their sizes.*weight has no values"):
        nn.gradcheck(nn.Sequential(lazy), inputs(row))
    with pytest.raises(ValueError, match=r"record expects layers that know their sizes.*0\.weight has no values"):
        nn.record(nn.Sequential(lazy), inputs(row))
    with pytest.raises(ValueError, match=rf"{row.name}\(.* states its equations once it knows its sizes"):
        nn.evaluate_equations(lazy, (inputs(row),))
    assert isinstance(lazy, Lazy)


@every_row
def test_modes_dtypes_and_flags_set_before_stay(row):
    lazy = row.lazy().double().eval().requires_grad_(False)
    lazy.needs_input_grad = False
    y = lazy(inputs(row))
    assert y.dtype == np.float64 and not lazy.training
    assert all(p.data.dtype == p.grad.dtype == np.float64 and not p.requires_grad for p in lazy.parameters())
    assert lazy.backward(y) is None
    assert row.lazy(dtype="float64")(inputs(row)).dtype == np.float64


@every_row
def test_a_state_loaded_before_gives_the_values(row):
    x, real = inputs(row), row.real()
    lazy = row.lazy()
    parameters = list(lazy.parameters())
    lazy.load_state_dict(real.state_dict())
    np.testing.assert_array_equal(lazy(x), real(x))
    assert type(lazy) is type(real) and all(p is q for p, q in zip(parameters, lazy.parameters(), strict=True))
    equal(lazy.state_dict(), real.state_dict())


@every_row
def test_a_state_saved_before_holds_nothing(row, tmp_path):
    nn.save(row.lazy().state_dict(), tmp_path / "state")
    state = nn.load(tmp_path / "state")
    other = row.lazy()
    other.load_state_dict(state)
    nn.manual_seed(0)
    other.eval()(inputs(row))
    nn.manual_seed(0)
    equal(other.state_dict(), row.real().state_dict())
    with pytest.raises(ValueError, match=r"weight has shape .*, expected"):
        row.real().load_state_dict(state)


@every_row
def test_a_state_of_another_size_is_refused(row):
    state = row.real().state_dict()
    lazy = row.lazy()
    with pytest.raises(ValueError, match=r"weight has shape .*, expected .*0"):
        lazy.load_state_dict({**state, "weight": np.zeros((7, *state["weight"].shape[1:], 1))})
    assert all(isinstance(p, UninitializedParameter) for p in lazy.parameters())
    lazy.load_state_dict(state)
    axis = -len(lazy.kernel_size) - 1 if hasattr(lazy, "kernel_size") else 1
    other = np.repeat(inputs(row), 2, axis)
    with pytest.raises(ValueError, match=rf"{row.name}\(.*\) has weight of shape .* expects an input that fits it"):
        lazy(other)
    assert isinstance(lazy, Lazy)
    lazy(inputs(row))


@every_row
@pytest.mark.parametrize("rule", [optim.SGD, optim.Adam])
def test_an_optimizer_made_before_trains_it(row, rule):
    x = inputs(row)
    nn.manual_seed(0)
    lazy = row.lazy()
    optimizer = rule(lazy.parameters(), lr=0.1)
    optimizer.zero_grad()
    optimizer.step()  # there is nothing to do yet
    lazy(x)
    real = row.real()
    real.load_state_dict(lazy.state_dict())
    twin = rule(real.parameters(), lr=0.1)
    for _ in range(2):
        for module, steps in ((lazy, optimizer), (real, twin)):
            y = module(x)
            steps.zero_grad()
            module.backward(np.ones_like(y))
            steps.step()
    equal(lazy.state_dict(), real.state_dict())


@every_row
def test_a_refused_input_changes_nothing(row):
    lazy = row.lazy()
    before = repr(lazy), list(lazy.parameters())
    for x in (np.float32(1.0), "text", np.ones((1,) * (6 if hasattr(lazy, "kernel_size") else 0))):
        with pytest.raises((ValueError, TypeError), match="expects"):
            lazy(x)
    assert before == (repr(lazy), list(lazy.parameters())) and isinstance(lazy, Lazy)
    assert all(isinstance(p, UninitializedParameter) for p in lazy.parameters())
    lazy(inputs(row))


def test_too_small_an_image_changes_nothing():
    lazy = nn.LazyConv2d(2, 3)
    with pytest.raises(ValueError, match=r"Conv2d\(4, 2, 3\) expects an input of H >= 3, W >= 3, got shape"):
        lazy(np.zeros((1, 4, 2, 5)))
    assert isinstance(lazy, Lazy)
    with pytest.raises(ValueError, match="LazyConv2d expects out_channels to be divisible by groups=2, got 3"):
        nn.LazyConv2d(3, 3, groups=2)
    with pytest.raises(ValueError, match="Conv2d expects in_channels to be divisible by groups=2, got 3"):
        nn.LazyConv2d(2, 3, groups=2)(np.zeros((1, 3, 5, 5)))


def test_copies_and_shared_ones_in_models():
    model = nn.Sequential(nn.LazyConv2d(2, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    x = np.ones((2, 1, 5, 5), np.float32)
    other = copy.deepcopy(model)
    table = nn.summary(model, x.shape)
    assert "77 parameters, 77 trainable" in table and "Conv2d(1, 2, 3)" in table
    with nn.no_grad():
        other(x)
    assert repr(other[3]) == "Linear(18, 3)" and repr(model[3]) == "LazyLinear(3)"
    layer = nn.LazyLinear(4)
    twice = nn.Sequential(layer, layer)
    twice(np.ones((2, 4)))
    assert [repr(each) for each in twice] == ["Linear(4, 4)"] * 2 and twice[0].weight is twice[1].weight
    with pytest.raises(ValueError, match=r"in layer 1 of Sequential: LazyLinear.* has weight of shape"):
        layer = nn.LazyLinear(4)
        nn.Sequential(layer, layer)(np.ones((2, 3)))


def test_values_are_drawn_from_the_generator_that_was_given():
    x = np.ones((2, 3))
    lazy, real = nn.LazyLinear(2, generator=7), nn.Linear(3, 2, generator=7)
    lazy(x)
    equal(lazy.state_dict(), real.state_dict())
    state = nn.get_rng_state()
    nn.LazyLinear(2)
    assert nn.get_rng_state() == state


def test_norms_without_weights_and_of_single_samples():
    x = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    lazy = nn.LazyInstanceNorm2d(affine=False)  # a single sample of three channels
    real = nn.InstanceNorm2d(3, track_running_stats=True)
    np.testing.assert_array_equal(lazy(x), real(x))
    assert repr(lazy) == repr(real)
    equal(lazy.state_dict(), real.state_dict())
    assert nn.LazyBatchNorm1d(affine=False).double()(x).dtype == np.float64
    lazy = nn.LazyBatchNorm1d(affine=False, track_running_stats=False)
    lazy(x)
    assert repr(lazy) == "BatchNorm1d(4, affine=False, track_running_stats=False)"
    assert repr(nn.LazyBatchNorm2d()) == "LazyBatchNorm2d()"
    lazy = nn.LazyBatchNorm1d()
    with pytest.raises(ValueError, match=r"BatchNorm1d\(4\) expects more than one number"):
        lazy(np.ones((1, 4)))
    with pytest.raises(ValueError, match=r"LazyBatchNorm1d\(\) expects input of shape \(N, C\) or \(N, C, L\), got"):
        lazy(np.ones((1, 4, 2, 2)))
    assert isinstance(lazy, Lazy)
