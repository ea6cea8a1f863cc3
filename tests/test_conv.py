"""Convolutions beyond their rows in the table: refused settings and inputs, sizes, first values."""

import dataclasses
import math
import re

import numpy as np
import pytest
from faults.conv import PLANTED

import nn
from nn.layers import convolution
from nn.layers.convolution import Steps, convolve, convolve_backward, weight_gradient

IMAGE = np.ones((2, 2, 5, 5), np.float32)


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"groups": 2}, ValueError, "in_channels to be divisible by groups=2, got 3"),
        ({"groups": 0}, ValueError, "groups to be an integer of at least 1, got 0"),
        ({"in_channels": -1}, ValueError, "in_channels to be an integer of at least 0, got -1"),
        (
            {"in_channels": 4, "groups": 2, "out_channels": 3},
            ValueError,
            "out_channels to be divisible by groups=2, got 3",
        ),
        ({"out_channels": 2.0}, TypeError, "out_channels to be an integer"),
        ({"kernel_size": 0}, ValueError, "kernel_size to be an integer of at least 1, got 0"),
        ({"kernel_size": (3, 3, 3)}, ValueError, r"kernel_size to be one integer or 2, got \(3, 3, 3\)"),
        ({"kernel_size": (3, -3)}, ValueError, r"kernel_size\[1\] to be an integer of at least 1, got -3"),
        ({"stride": 0}, ValueError, "stride to be an integer of at least 1"),
        ({"dilation": (1, 0)}, ValueError, r"dilation\[1\] to be an integer of at least 1"),
        ({"padding": -1}, ValueError, "padding to be an integer of at least 0, got -1"),
        ({"padding": 0.5}, TypeError, "padding to be an integer"),
        ({"bias": 1}, TypeError, "bias to be True or False, got 1"),
        ({"dtype": "int32"}, TypeError, "dtype to be a floating dtype"),
    ],
)
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_settings_out_of_range_are_refused(kind, settings, error, text):
    with pytest.raises(error, match=f"{kind.__name__} expects .*{text}"):
        kind(**{"in_channels": 3, "out_channels": 4, "kernel_size": 3} | settings)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: nn.Conv2d(1, 1, 3, padding="full"), "Conv2d expects padding to be 'valid' or 'same', got 'full'"),
        (lambda: nn.Conv2d(1, 1, 3, 2, "same"), "Conv2d expects stride to be 1 where padding is 'same', got 2"),
        (lambda: nn.Conv1d(1, 1, 3, padding_mode="edge"), "Conv1d expects padding_mode to be 'zeros', .*, got 'edge'"),
        (lambda: nn.ConvTranspose2d(1, 1, 3, padding_mode="reflect"), "padding_mode to be 'zeros', got 'reflect'"),
        (
            lambda: nn.ConvTranspose1d(1, 1, 3, output_padding=1),
            "output_padding to be smaller than stride or dilation, got 1",
        ),
        (lambda: nn.ConvTranspose2d(1, 1, 3, (2, 3), output_padding=2), "output_padding to be smaller than stride"),
        (lambda: nn.ConvTranspose2d(1, 1, 3, output_padding=-1), "output_padding to be an integer of at least 0"),
    ],
)
def test_words_and_output_padding_are_checked(build, text):
    with pytest.raises(ValueError, match=text):
        build()
    with pytest.raises(TypeError, match="ConvTranspose2d expects padding to be an integer"):
        nn.ConvTranspose2d(1, 1, 3, padding="same")


@pytest.mark.parametrize(
    ("layer", "shape", "text"),
    [
        (nn.Conv2d(3, 1, 3), (2, 4, 5, 5), r"input of shape (N, 3, H, W), got (2, 4, 5, 5)"),
        (nn.Conv2d(3, 1, 3), (4, 5, 5), r"input of shape (3, H, W), got (4, 5, 5)"),
        (nn.Conv2d(3, 1, 3), (5, 5), r"input of shape (N, 3, H, W), got (5, 5)"),
        (nn.Conv1d(3, 1, 3), (2, 3, 5, 5), r"input of shape (N, 3, L), got (2, 3, 5, 5)"),
        (nn.Conv3d(1, 1, 1), (2, 2, 5, 5, 5), r"input of shape (N, 1, D, H, W), got (2, 2, 5, 5, 5)"),
        (nn.Conv2d(1, 1, (5, 2)), (1, 1, 4, 4), "an input of H >= 5, W >= 2, got shape (1, 1, 4, 4)"),
        (nn.Conv2d(1, 1, 3, padding=1, dilation=(1, 3)), (1, 1, 4, 4), "an input of H >= 1, W >= 5, got"),
        (nn.Conv2d(1, 1, 1, padding=(2, 0), padding_mode="reflect"), (1, 2, 4), "an input of H >= 3, W >= 1, got"),
        (nn.Conv2d(1, 1, 1, padding=(2, 0), padding_mode="circular"), (1, 1, 4), "an input of H >= 2, W >= 1, got"),
        (nn.Conv1d(1, 1, 2, padding=1), (1, 1, 0), "an input of L >= 1, got shape (1, 1, 0)"),
        (nn.ConvTranspose2d(3, 1, 3), (2, 1, 5, 5), r"input of shape (N, 3, H, W), got (2, 1, 5, 5)"),
        (nn.ConvTranspose2d(1, 1, 3, padding=3), (1, 1, 3, 4), "a larger input, got shape (1, 1, 3, 4)"),
        (nn.ConvTranspose1d(1, 1, 3), (1, 1, 0), "a larger input, got shape (1, 1, 0)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(layer, shape, text):
    with pytest.raises(ValueError, match=re.escape(f"{layer!r} expects {text}")):
        layer(np.zeros(shape))
    with pytest.raises(ValueError, match=r"in layer 1 of Sequential: .*expects"):
        nn.Sequential(nn.Identity(), layer)(np.zeros(shape))


def test_the_smallest_input_that_is_allowed_works():
    assert nn.Conv2d(1, 1, (5, 2))(np.ones((1, 1, 5, 2))).shape == (1, 1, 1, 1)
    assert nn.Conv2d(1, 1, 1, padding=2, padding_mode="reflect")(np.ones((1, 3, 3))).shape == (1, 7, 7)
    assert nn.Conv2d(1, 1, 1, padding=2, padding_mode="circular")(np.ones((1, 2, 2))).shape == (1, 6, 6)
    assert nn.Conv1d(1, 1, 3, padding=1)(np.ones((1, 1))).shape == (1, 1)


def test_sizes_are_kept_one_an_axis_and_shown_as_they_were_given():
    layer = nn.Conv2d(3, 8, 3, padding=1)
    assert (layer.kernel_size, layer.stride, layer.padding, layer.dilation) == ((3, 3), (1, 1), (1, 1), (1, 1))
    assert repr(layer) == "Conv2d(3, 8, 3, padding=1)"
    assert repr(nn.Conv2d(3, 8, (3, 5), (1, 2), "valid")) == "Conv2d(3, 8, (3, 5), stride=(1, 2), padding='valid')"
    assert (
        repr(nn.ConvTranspose1d(3, 8, 2, 2, output_padding=1)) == "ConvTranspose1d(3, 8, 2, stride=2, output_padding=1)"
    )
    assert type(nn.Conv1d(np.int64(1), 1, np.int64(3)).kernel_size[0]) is int


@pytest.mark.parametrize(
    ("layer", "shape", "fan"),
    [
        (nn.Conv2d(32, 64, (3, 5), groups=4, generator=0), (64, 8, 3, 5), 8 * 15),
        (nn.ConvTranspose2d(32, 64, (3, 5), groups=4, generator=0), (32, 16, 3, 5), 16 * 15),
    ],
)
def test_first_values_are_pytorchs(layer, shape, fan):
    """Uniform up to one by the square root of how many weights stand behind the first axis."""
    assert layer.weight.data.shape == shape and layer.bias.data.shape == (64,)
    bound = 1 / math.sqrt(fan)
    for values in (layer.weight.data, layer.bias.data):
        assert values.dtype == np.float32 and 0.9 * bound < abs(values).max() <= bound
        assert abs(values.mean()) < 4 * bound / math.sqrt(3 * values.size)


def test_output_size_is_given_as_in_pytorch():
    down, up = nn.Conv2d(2, 3, 3, stride=2), nn.ConvTranspose2d(3, 2, 3, stride=2)
    for sides in ((7, 8), (8, 7)):
        x = np.ones((1, 2, *sides))
        y = down(x)
        assert up(y, output_size=x.shape).shape == up(y, sides).shape == up(y, np.array(sides)).shape == x.shape
        assert up(y[0], output_size=list(sides)).shape == up(y[0], x.shape[1:]).shape == x.shape[1:]
        dx, of_the_size = up.backward(np.ones((2, *sides)))
        assert dx.shape == y.shape[1:] and of_the_size is None
    y = np.ones((1, 3, 3, 3))
    assert up(y).shape == up(y, None).shape == (1, 2, 7, 7)
    for size, text in [
        ((6, 7), r"output_size from \(7, 7\) to \(8, 8\) for an input of shape \(1, 3, 3, 3\), got \(6, 7\)"),
        ((7, 9), r"output_size from \(7, 7\) to \(8, 8\)"),
        ((7,), r"output_size to be one integer or 2, got \(7,\)"),
        ((2, 7, 7), "output_size to be one integer or 2"),
    ]:
        with pytest.raises(ValueError, match=text):
            up(y, output_size=size)
    for size in ((7.0, 7), np.array([7.0, 7.0]), np.array(0.5), "77", [[7, 7]]):
        with pytest.raises((TypeError, ValueError), match="ConvTranspose2d expects output_size"):
            up(y, size)
    assert nn.gradcheck(up, y, np.array([8, 7]))
    assert "ConvTranspose2d" in nn.record(up, y, np.array([8, 7])).to_text()


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_the_first_layer_spares_its_inputs_gradient(kind, monkeypatch):
    model = nn.Sequential(kind(2, 3, 3), nn.ReLU(), nn.Flatten())
    y = model(IMAGE)
    assert model.backward(y).shape == IMAGE.shape
    expected = model[0].weight.grad.copy()
    model.zero_grad()
    model.needs_input_grad = False
    y = model(IMAGE)
    for name in ("convolve", "convolve_backward"):
        monkeypatch.delattr(f"{kind.__module__}.{name}")
    assert model.backward(y) is None
    np.testing.assert_array_equal(model[0].weight.grad, expected)


def test_a_transposed_convolution_is_a_convolutions_gradient():
    rng = np.random.default_rng(0)
    down = nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), groups=2, bias=False).double()
    up = nn.ConvTranspose2d(6, 4, (3, 2), (2, 1), (1, 0), (0, 0), groups=2, bias=False, dilation=(1, 2)).double()
    up.weight.data[...] = down.weight.data
    x = rng.normal(size=(2, 4, 7, 5))
    g = rng.normal(size=down(x).shape)
    np.testing.assert_allclose(down.backward(g), up(g, x.shape), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(up.backward(x)[0], down(x), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(up.weight.grad, down.weight.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_batch_is_computed_in_blocks(stride, monkeypatch):
    rng = np.random.default_rng(0)
    x, W, steps = rng.normal(size=(5, 2, 6, 6)), rng.normal(size=(3, 2, 3, 3)), Steps((stride,) * 2, (1, 1), 1)
    y = convolve(x, W, steps)
    g = rng.normal(size=y.shape)

    def all_three():
        return y, weight_gradient(g, x, W, steps), convolve_backward(g, W, steps, (6, 6), (0, 0))

    whole = all_three()
    monkeypatch.setattr(convolution, "_BLOCK", 700)  # two samples, or three
    for value, expected in zip((convolve(x, W, steps), *all_three()[1:]), whole, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.usefixtures("unhurried")
def test_planted_mistakes_are_caught_and_named():
    named = [mistake for mistake in PLANTED if mistake.kinds]
    assert len(named) > 0.9 * len(PLANTED)
    for mistake in named:
        kinds = {fault.kind for fault in mistake.report().faults}
        assert kinds and kinds <= set(mistake.kinds), f"{mistake.name} is taken for {kinds}"


def test_planted_mistakes_without_a_name_are_caught():
    for mistake in PLANTED:
        assert mistake.kinds or not mistake.report(), mistake.name


@pytest.mark.parametrize("build", dict.fromkeys(mistake.build for mistake in PLANTED))
def test_without_their_mistakes_the_layers_are_right(build):
    mistake = next(mistake for mistake in PLANTED if mistake.build is build)
    assert dataclasses.replace(mistake, new=mistake.old).report()
