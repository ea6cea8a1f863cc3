"""The measuring stick of the checker, the graph and these tests: numerical derivatives, and state that is put back."""

import copy
import random

import numpy as np
import pytest
from textbook import BatchNorm

import nn
from nn.checking import Function, ModuleState, NumericalGradient, RandomState
from nn.checking.measure import compare, grid, numerical_jacobian
from nn.checking.state import advance

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 2))


def test_a_jacobian_has_the_shapes_of_the_array_and_of_the_outputs():
    a = RNG.normal(size=(4, 3))
    for x in (X.copy(), X.T.copy().T):  # in either layout
        jacobian = numerical_jacobian(lambda x=x: a @ np.tanh(x), x)
        expected = np.einsum("ij,jk,kl->jkil", a, 1 - np.tanh(X) ** 2, np.eye(2))
        np.testing.assert_allclose(jacobian, expected, atol=1e-9)
        np.testing.assert_array_equal(x, X)
    part = (np.array([0, 2]), np.array([1]))
    x = X.copy()
    np.testing.assert_allclose(numerical_jacobian(lambda: (x**2).sum(), x, part), 2 * X[[0, 2], 1:], rtol=1e-8)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_steps_fit_the_scale(scale):
    x = scale * X
    np.testing.assert_allclose(numerical_jacobian(lambda: (x**3).sum(), x), 3 * x**2, rtol=1e-7)


def test_a_function_is_nan_where_it_cannot_go_and_its_array_is_put_back():
    def root():
        if (x < 0).any():
            raise ValueError("negative")
        return np.sqrt(x)

    x = np.array([4.0, 9.0])
    function = Function(root, x)
    assert function.at(0, 16.0).tolist() == [4, 3] and np.isnan(function.at(1, -1.0)).all() and x.tolist() == [4, 9]
    above, below, distance = function.around(slice(None), 5.0)
    assert above.tolist() == [3, 14**0.5] and np.isnan(below).all() and distance.tolist() == [10, 10]


@pytest.mark.parametrize(("gradient", "outside"), [(-0.1, True), (0.0, False), (0.5, False), (1.0, False), (1.1, True)])
def test_at_a_kink_a_gradient_lies_between_the_one_sided_derivatives(gradient, outside):
    x = np.zeros(1)
    numerical = NumericalGradient(Function(lambda: np.maximum(x, 0), x), np.array([gradient]), np.ones(1), 1e-6)
    sample = numerical.sample(grid(x.shape))
    assert not sample.judged and not sample.wrong and bool(sample.outside) == outside


@pytest.mark.parametrize("full", [True, None, False])
def test_a_wrong_entry_is_found_in_a_large_array(full):
    x = RNG.normal(size=(40, 50))
    gradient = np.cos(x)
    right = compare(Function(lambda: np.sin(x).sum(), x), gradient, np.ones(1), 1e-6, full, np.random.default_rng(0))
    assert right.sample is None and right.error < 1e-8 and right.measured == (x.size if full else 1)
    gradient[7, 11] += 1
    wrong = compare(Function(lambda: np.sin(x).sum(), x), gradient, np.ones(1), 1e-6, full, np.random.default_rng(0))
    (row, column), *others = np.argwhere(wrong.sample.wrong)
    assert (wrong.sample.grid[0][row], wrong.sample.grid[1][column]) == (7, 11) and not others


def test_random_state_is_advanced_and_restored():
    module = nn.Dropout(generator=3)
    state, own = RandomState(), ModuleState(module)
    draws = [lambda: nn.random.default_generator().random(), np.random.random, random.random, module.generator.random]
    first = [draw() for draw in draws]
    state.restore()
    own.restore(module)
    advance(module)
    assert not set(first) & {draw() for draw in draws}
    state.restore()
    own.restore(module)
    assert [draw() for draw in draws] == first
    state.restore()
    assert not state.drawn()._states
    random.random()
    assert len(state.drawn()._states) == 1
    state.restore()


def test_the_state_of_a_module_goes_to_its_copies_and_leaves_attributes_alone():
    module = nn.Sequential(BatchNorm(2), nn.Dropout(generator=0))
    state, used = ModuleState(module), copy.deepcopy(module)
    y = used(X)
    used.note = "kept"
    state.restore(used)
    assert used.note == "kept" and (used[0].running_mean.data == module[0].running_mean.data).all()
    assert (used(X) == y).all() and (used[0].running_mean.data != module[0].running_mean.data).any()
