"""Toy problems: what they say they are, from the generator they are given."""

import numpy as np
import pytest

from data import FUNCTIONS, moons, regression, spirals
from data.toy import DOMAIN

PROBLEMS = (regression, spirals, moons)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_shapes_dtypes_and_generators(problem):
    x, y = problem(samples=7, generator=0)
    features = 1 if problem is regression else 2
    assert x.shape == (7, features) and x.dtype == np.float32
    assert (y.shape, y.dtype) == (((7, 1), np.float32) if problem is regression else ((7,), np.int64))
    same, _ = problem(samples=7, generator=np.random.default_rng(0))
    np.testing.assert_array_equal(x, same)
    assert (x != problem(samples=7, generator=1)[0]).any()
    assert (problem(samples=7)[0] != problem(samples=7)[0]).any()
    assert problem(samples=0)[0].shape == (0, features)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_negative_settings_are_refused(problem):
    with pytest.raises(ValueError, match="samples to be an integer of at least 0, got -1"):
        problem(samples=-1)
    for noise in (-0.1, np.nan, np.inf):
        with pytest.raises(ValueError, match=f"noise to be a finite number of at least 0, got {noise}"):
            problem(noise=noise)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_more_samples_than_memory_holds_are_refused_by_name(problem):
    with pytest.raises(ValueError, match=f"{problem.__name__} expects samples to be .* below"):
        problem(samples=2**70)
    with pytest.raises(ValueError, match=r"spirals expects classes to be .* below"):
        spirals(classes=2**70)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_settings_of_another_kind_are_refused(problem):
    for settings in ({"samples": 2.0}, {"samples": "2"}, {"noise": "0.1"}, {"noise": None}, {"generator": "seed"}):
        ((name, _),) = settings.items()
        with pytest.raises(TypeError, match=f"{problem.__name__} expects {name} to be "):
            problem(**settings)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_regression_without_noise_is_the_function(function):
    x, y = regression(function, samples=500, noise=0, generator=0)
    assert DOMAIN[0] <= x.min() < DOMAIN[0] + 0.1 and DOMAIN[1] - 0.1 < x.max() <= DOMAIN[1]
    np.testing.assert_allclose(y, FUNCTIONS[function](x), atol=1e-6)
    assert np.abs(y).max() <= 1.001 * max(1, np.abs(x).max() if function == "absolute" else 1)
    assert y.std() > 0.2  # there is something to learn


def test_known_values():
    at = np.array([-2.0, -0.5, 0.0, 0.5, 1.0])
    expected = {
        "absolute": [2, 0.5, 0, 0.5, 1],
        "bump": [np.exp(-16), np.exp(-1), 1, np.exp(-1), np.exp(-4)],
        "polynomial": [-1, 0.6875, 0, -0.6875, -1],
        "sinc": [0, 0, 1, 0, 0],
        "sine": [0, -1, 0, 1, 0],
        "step": [-1, -1, 1, 1, 1],
    }
    assert expected.keys() == FUNCTIONS.keys()
    for function, values in expected.items():
        np.testing.assert_allclose(FUNCTIONS[function](at), values, atol=1e-12, err_msg=function)


def test_noise_is_a_standard_deviation():
    clean = regression("step", 20_000, noise=0, generator=0)
    noisy = regression("step", 20_000, noise=0.3, generator=0)
    np.testing.assert_array_equal(clean[0], noisy[0])
    assert abs((noisy[1] - clean[1]).std() - 0.3) < 0.01 and abs((noisy[1] - clean[1]).mean()) < 0.01
    for problem in (spirals, moons):
        clean, noisy = (problem(20_000, noise=noise, generator=0) for noise in (0, 0.3))
        np.testing.assert_allclose((noisy[0] - clean[0]).std(axis=0), 0.3, atol=0.01)


def test_an_unknown_function_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'absolute', 'bump', .*, got 'cosine'"):
        regression("cosine")


def test_spirals_are_turned_copies_of_one_arm():
    x, label = spirals(3000, classes=3, noise=0, generator=0)
    assert np.bincount(label).tolist() == [1000] * 3
    radius = np.hypot(*x.T)
    assert radius.max() <= 1 and radius.max() > 0.99
    turned = (x[:, 0] + 1j * x[:, 1]) * np.exp(-2j * np.pi * (radius + label / 3))  # undo the arm's turn
    np.testing.assert_allclose(turned, radius, atol=1e-5)
    with pytest.raises(ValueError, match="classes to be an integer of at least 1, got 0"):
        spirals(classes=0)


def test_moons_are_half_circles():
    x, label = moons(1001, noise=0, generator=0)
    assert np.bincount(label).tolist() == [501, 500]
    upper, lower = x[label == 0], x[label == 1]
    np.testing.assert_allclose(np.hypot(*upper.T), 1, atol=1e-6)
    np.testing.assert_allclose(np.hypot(*(lower - [1, 0.5]).T), 1, atol=1e-6)
    assert (upper[:, 1] >= -1e-6).all() and (lower[:, 1] <= 0.5 + 1e-6).all()
    assert (upper[:, 0] > 0.9).any() and (upper[:, 0] < -0.9).any() and (lower[:, 0] > 1.9).any()
