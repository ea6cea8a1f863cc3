"""Extreme magnitudes, special values, initial values and chance."""

import copy
import math
import pickle

import numpy as np
import pytest

import nn

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("module", "x", "y", "dx"),
    [
        (nn.ReLU(), [-INF, -1e30, 0.0, 1e30, INF], [0, 0, 0, 1e30, INF], [0, 0, 0, 1, 1]),
        (nn.LeakyReLU(0.5), [-1e30, 0.0, 1e30], [-0.5e30, 0, 1e30], [0.5, 0.5, 1]),
        (nn.Sigmoid(), [-1e4, 0.0, 1e4, -INF, INF], [0, 0.5, 1, 0, 1], [0, 0.25, 0, 0, 0]),
        (nn.Tanh(), [-1e4, 0.0, 1e4, INF], [-1, 0, 1, 1], [0, 1, 0, 0]),
        (nn.Softplus(), [-1e4, 1e4], [0, 1e4], [0, 1]),
        (nn.Softmax(0), [1e4, 1e4, -1e4], [0.5, 0.5, 0], None),
        (nn.LogSoftmax(0), [1e4, 1e4, -1e4], [-math.log(2), -math.log(2), -2e4 - math.log(2)], None),
        (nn.Softmax(0), [-1e4, -1e4], [0.5, 0.5], None),
        (nn.LogSoftmax(0), [-1e4, -1e4], [-math.log(2), -math.log(2)], None),
        (nn.LogSoftmax(0), [0.0, -INF], [0, -INF], None),
    ],
)
def test_extreme_magnitudes(module, x, y, dx, dtype):
    x = np.array(x, dtype)
    np.testing.assert_allclose(module(x), np.array(y, dtype), rtol=1e-6)
    gradient = module.backward(np.ones_like(x))
    assert np.isfinite(gradient).all()
    if dx is not None:
        np.testing.assert_array_equal(gradient, np.array(dx, dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_at_extreme_logits(dtype):
    logits = np.array([[1e4, -1e4], [-1e4, 1e4]], dtype)
    loss = nn.CrossEntropyLoss()
    assert loss(logits, [0, 1]) == 0 and not loss.backward().any()
    assert loss(logits, [1, 1]) == 1e4
    np.testing.assert_array_equal(loss.backward(), [[0.5, -0.5], [0, 0]])
    bce = nn.BCEWithLogitsLoss(reduction="none")
    np.testing.assert_array_equal(bce(logits, [[1, 0], [1, 0]]), [[0, 0], [1e4, 1e4]])
    np.testing.assert_array_equal(bce.backward(), [[0, 0], [-1, 1]])


def test_small_probabilities_keep_their_digits():
    x = np.array([-40.0, -700.0])
    np.testing.assert_allclose(nn.Sigmoid()(x), np.exp(x), rtol=1e-12)
    np.testing.assert_allclose(nn.Softplus()(x), np.exp(x), rtol=1e-12)


def test_softplus_is_curved_up_to_its_threshold_and_straight_beyond():
    layer = nn.Softplus(beta=2.0, threshold=1.0)
    np.testing.assert_allclose(layer([0.5, 0.75]), [math.log(1 + math.e) / 2, 0.75], rtol=1e-12)
    np.testing.assert_allclose(layer.backward([1.0, 1.0]), [1 / (1 + math.exp(-1)), 1], rtol=1e-12)


def test_classes_masked_by_minus_infinity_cost_nothing():
    loss = nn.CrossEntropyLoss()
    assert loss([[0.0, -INF, 0.0]], [0]) == pytest.approx(math.log(2))
    np.testing.assert_allclose(loss.backward(), [[-0.5, 0, 0.5]])
    assert loss([[0.0, -INF]], [1]) == INF


def test_mean_over_nothing_is_nan_without_a_warning():
    loss = nn.CrossEntropyLoss()
    assert math.isnan(loss(np.ones((2, 3)), [-100, -100]))
    assert nn.CrossEntropyLoss(reduction="sum")(np.ones((2, 3)), [-100, -100]) == 0
    assert math.isnan(nn.MSELoss()(np.ones((0, 3)), np.ones((0, 3))))
    assert nn.CrossEntropyLoss(reduction="sum", label_smoothing=0.1)(np.ones((0, 0)), np.ones((0, 0))) == 0


@pytest.mark.parametrize("module", [nn.ReLU(), nn.LeakyReLU(), nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.Identity()])
def test_nan_passes_through(module):
    y = module([NAN, 1.0])
    assert math.isnan(y[0]) and math.isfinite(y[1])


def test_linear_with_no_features():
    layer = nn.Linear(0, 2, bias=False)
    np.testing.assert_array_equal(layer(np.ones((3, 0))), np.zeros((3, 2)))
    assert layer.backward(np.ones((3, 2))).shape == (3, 0)
    assert nn.Linear(2, 0)(np.ones((3, 2))).shape == (3, 0)


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: layer,
        lambda layer: layer.double().float(),
        copy.deepcopy,
        lambda layer: pickle.loads(pickle.dumps(layer)),
        lambda layer: layer.load_state_dict(layer.state_dict()) and layer,
    ],
    ids=["new", "cast", "copied", "pickled", "loaded"],
)
def test_linear_keeps_what_forward_multiplies_by_in_rows(change):
    """Products of a matrix that lies so are the faster ones."""
    layer = change(nn.Linear(3, 2))
    assert layer.weight.data.T.flags.c_contiguous and layer.weight.grad.T.flags.c_contiguous


def test_parameters_are_float32_by_default_and_inputs_follow_them():
    layer = nn.Linear(2, 1)
    assert layer.weight.data.dtype == layer(np.ones((3, 2), np.float64)).dtype == np.float32
    assert nn.Linear(2, 1, dtype=np.float64)(np.ones((3, 2), np.float32)).dtype == np.float64
    assert nn.ReLU()([1, 2]).dtype == nn.ReLU()(np.array([True])).dtype == np.float32
    assert nn.ReLU()(np.ones(2, np.float16)).dtype == np.float16


@pytest.mark.parametrize("in_features", [1, 100])
def test_default_initial_values_are_uniform_to_one_over_root_fan_in(in_features):
    layer = nn.Linear(in_features, 5000, generator=0)
    bound = 1 / math.sqrt(in_features)
    for p in (layer.weight, layer.bias):
        assert abs(p.data).max() <= bound
        assert p.data.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)
        assert p.data.mean() == pytest.approx(0, abs=0.03 * bound)


@pytest.mark.parametrize(
    ("initialise", "std", "bound"),
    [
        (lambda p, g: nn.init.uniform_(p, -0.5, 0.5, generator=g), 1 / math.sqrt(12), 0.5),
        (lambda p, g: nn.init.normal_(p, generator=g), 1.0, None),
        (lambda p, g: nn.init.normal_(p, std=0.3, generator=g), 0.3, None),
        (lambda p, g: nn.init.xavier_uniform_(p, 2.0, generator=g), 2 * math.sqrt(2 / 700), 2 * math.sqrt(6 / 700)),
        (lambda p, g: nn.init.xavier_uniform_(p, generator=g), math.sqrt(2 / 700), math.sqrt(6 / 700)),
        (lambda p, g: nn.init.xavier_normal_(p, 2.0, generator=g), 2 * math.sqrt(2 / 700), None),
        (lambda p, g: nn.init.xavier_normal_(p, generator=g), math.sqrt(2 / 700), None),
        (lambda p, g: nn.init.kaiming_uniform_(p, generator=g), math.sqrt(2 / 300), math.sqrt(6 / 300)),
        (lambda p, g: nn.init.kaiming_uniform_(p, 2.0, generator=g), math.sqrt(0.4 / 300), math.sqrt(1.2 / 300)),
        (lambda p, g: nn.init.kaiming_normal_(p, mode="fan_out", generator=g), math.sqrt(2 / 400), None),
        (lambda p, g: nn.init.kaiming_normal_(p, nonlinearity="tanh", generator=g), 5 / 3 / math.sqrt(300), None),
        (lambda p, g: nn.init.kaiming_normal_(p, nonlinearity="relu", generator=g), math.sqrt(2 / 300), None),
    ],
)
def test_initial_values_have_the_stated_scale(initialise, std, bound):
    p = nn.Parameter(np.zeros((400, 300), np.float32))
    held = p.data
    assert initialise(p, 0) is p and p.data is held and held.dtype == np.float32
    assert held.std() == pytest.approx(std, rel=0.02)
    assert abs(held.mean()) < 0.02 * std
    if bound is not None:
        assert 0.99 * bound < abs(held).max() <= bound


def test_uniform_is_from_0_to_1_by_default():
    drawn = nn.init.uniform_(nn.Parameter(np.zeros(10_000)), generator=0).data
    assert 0 <= drawn.min() < 0.01 and 0.99 < drawn.max() < 1


def test_fans_count_the_field_of_a_kernel():
    p = nn.Parameter(np.zeros((64, 3, 5, 4)))
    nn.init.kaiming_normal_(p, generator=0)
    assert p.data.std() == pytest.approx(math.sqrt(2 / 60), rel=0.05)


def test_constants():
    p = nn.Parameter([1.0, 2.0])
    assert (nn.init.constant_(p, 3).data == 3).all()
    assert (nn.init.zeros_(p).data == 0).all()
    assert (nn.init.ones_(p).data == 1).all()


@pytest.mark.parametrize(
    ("name", "gain"), [("linear", 1), ("sigmoid", 1), ("tanh", 5 / 3), ("relu", math.sqrt(2)), ("selu", 0.75)]
)
def test_gains(name, gain):
    assert nn.init.calculate_gain(name) == pytest.approx(gain)


def test_gain_of_leaky_relu():
    assert nn.init.calculate_gain("leaky_relu", 1) == 1
    assert nn.init.calculate_gain("leaky_relu") == pytest.approx(math.sqrt(2 / 1.0001))


def test_manual_seed_decides_everything_drawn():
    def draw():
        return nn.Linear(3, 2).weight.data, nn.Dropout()(np.ones(50))

    nn.manual_seed(5)
    a = draw()
    nn.manual_seed(5)
    b = draw()
    c = draw()
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert not any(np.array_equal(x, y) for x, y in zip(a, c, strict=True))


def test_generator_state_can_be_kept_and_restored():
    nn.manual_seed(1)
    state = nn.get_rng_state()
    a = nn.Dropout()(np.ones(50))
    nn.set_rng_state(state)
    np.testing.assert_array_equal(nn.Dropout()(np.ones(50)), a)


def test_a_seeded_layer_draws_on_and_does_not_touch_the_library_generator():
    state = nn.get_rng_state()
    layer = nn.Dropout(generator=3)
    first, second = layer(np.ones(50)), layer(np.ones(50))
    assert not np.array_equal(first, second)
    assert nn.get_rng_state() == state
    np.testing.assert_array_equal(nn.Dropout(generator=3)(np.ones(50)), first)
    shared = np.random.default_rng(3)
    np.testing.assert_array_equal(nn.Dropout(generator=shared)(np.ones(50)), first)
    assert shared.bit_generator.state != np.random.default_rng(3).bit_generator.state


def test_dropout_keeps_the_expected_value():
    x = np.ones(100_000)
    y = nn.Dropout(0.3, generator=0)(x)
    assert set(np.unique(y.round(6))) == {0.0, round(1 / 0.7, 6)}
    assert y.mean() == pytest.approx(1, abs=0.01)
