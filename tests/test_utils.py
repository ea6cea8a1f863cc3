"""Clipping and vectors of parameters: PyTorch's arithmetic, in place, float32 staying float32."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nn
import optim
from nn.utils import clip_grad_norm_, clip_grad_value_, parameters_to_vector, vector_to_parameters

WEIGHT = [[1.0, -2.0, 3.0], [-0.5, 0.25, 0.0]]
BIAS = [4.0, -1.5]


def two(dtype=np.float64):
    """Return two parameters with the gradients above."""
    weight, bias = nn.Parameter(np.zeros((2, 3), dtype)), nn.Parameter(np.zeros(2, dtype))
    weight.grad += WEIGHT
    bias.grad += BIAS
    return weight, bias


# import torch
# for norm_type, max_norm in [(1, 1), (2, 1), (3, 0.5), (0.5, 2), (float("inf"), 0.25), (2, 100), (2, 0)]:
#     weight = torch.nn.Parameter(torch.zeros(2, 3, dtype=torch.float64))
#     bias = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
#     weight.grad, bias.grad = torch.tensor(WEIGHT).double(), torch.tensor(BIAS).double()
#     total = torch.nn.utils.clip_grad_norm_([weight, bias], max_norm, norm_type)
#     print((norm_type, max_norm, total.item(), weight.grad.flatten().tolist() + bias.grad.tolist()))
GOLDEN = [
    (1, 1, 12.25, [0.08163264639733499, -0.16326529279466998, 0.24489793919200498, -0.040816323198667494,
        0.020408161599333747, 0.0, 0.32653058558933995, -0.12244896959600249]),
    (2, 1, 5.706356105256663, [0.17524315102516205, -0.3504863020503241, 0.5257294530754861, -0.08762157551258103,
        0.04381078775629051, 0.0, 0.7009726041006482, -0.26286472653774307]),
    (3, 0.5, 4.695357192776339, [0.10648814839499024, -0.21297629678998048, 0.31946444518497075, -0.05324407419749512,
        0.02662203709874756, 0.0, 0.42595259357996096, -0.15973222259248537]),
    (0.5, 2, 73.58407449581622, [0.02717979381440641, -0.05435958762881282, 0.08153938144321923,
        -0.013589896907203206, 0.006794948453601603, 0.0, 0.10871917525762564, -0.04076969072160962]),
    (math.inf, 0.25, 4.0, [0.062499984375003904, -0.12499996875000781, 0.18749995312501172, -0.031249992187501952,
        0.015624996093750976, 0.0, 0.24999993750001562, -0.09374997656250586]),
    (2, 100, 5.706356105256663, [1.0, -2.0, 3.0, -0.5, 0.25, 0.0, 4.0, -1.5]),
    (2, 0, 5.706356105256663, [0.0] * 8),
]  # fmt: skip


@pytest.mark.parametrize(("norm_type", "max_norm", "total", "clipped"), GOLDEN)
def test_clip_grad_norm_is_pytorchs(norm_type, max_norm, total, clipped):
    for dtype, rtol in ((np.float64, 1e-14), (np.float32, 1e-6)):
        weight, bias = two(dtype)
        found = clip_grad_norm_([weight, bias], max_norm, norm_type)
        assert type(found) is float
        np.testing.assert_allclose(found, total, rtol)
        np.testing.assert_allclose([*weight.grad.flat, *bias.grad], clipped, rtol)
        assert weight.grad.dtype == bias.grad.dtype == dtype


@settings(deadline=None, derandomize=True)
@given(
    st.lists(st.lists(st.floats(-1e30, 1e30), max_size=5), max_size=4),
    st.floats(0, 1e6),
    st.sampled_from([1, 2, 3.5, math.inf]),
)
def test_the_norm_is_that_of_one_vector_and_comes_down_to_the_bound(grads, max_norm, norm_type):
    parameters = [nn.Parameter(np.zeros(len(grad))) for grad in grads]
    for parameter, grad in zip(parameters, grads, strict=True):
        parameter.grad += grad
    entries = np.abs(np.concatenate([[0.0], *grads]))
    largest = entries.max() or 1.0
    scaled = entries / largest
    expected = largest * (scaled.max() if norm_type == math.inf else (scaled**norm_type).sum() ** (1 / norm_type))
    assert clip_grad_norm_(parameters, max_norm, norm_type) == pytest.approx(expected, rel=1e-12)
    assert clip_grad_norm_(parameters, max_norm, norm_type) <= max_norm * (1 + 1e-9)


def test_gradients_are_clipped_in_place_whatever_they_are_views_of():
    flat = np.array([3.0, 4.0, 99.0], np.float32)
    weight = nn.Parameter(np.zeros(2, np.float32))
    weight.grad = flat[:2]
    clip_grad_norm_(weight, 1.0)
    assert weight.grad.base is flat
    np.testing.assert_allclose(flat, [0.6, 0.8, 99.0], 1e-6)
    clip_grad_value_(weight, 0.7)
    np.testing.assert_allclose(flat, [0.6, 0.7, 99.0], 1e-6)


def test_an_optimizer_steps_by_the_clipped_gradients():
    weight, bias = two()
    optimizer = optim.SGD([weight, bias], lr=1.0)
    optimizer.zero_grad()
    weight.grad += 1
    clip_grad_norm_([weight, bias], 1.0)
    optimizer.step()
    np.testing.assert_allclose(weight.data, np.full((2, 3), -1 / math.sqrt(6)), 1e-5)


@pytest.mark.parametrize(
    "kind", [list, tuple, iter, lambda found: (p for p in found), lambda found: dict.fromkeys(found)]
)
def test_any_iterable_will_do(kind):
    weight, bias = two()
    assert clip_grad_norm_(kind([weight, bias]), 1.0) == pytest.approx(5.706356105256663)
    clip_grad_value_(kind([weight, bias]), 0.5)
    assert abs(weight.grad).max() == 0.5 == bias.grad.max()
    assert parameters_to_vector(kind([weight, bias])).shape == (8,)
    vector_to_parameters(range(8), kind([weight, bias]))
    assert bias.data.tolist() == [6, 7]


def test_a_single_parameter_will_do():
    weight, _ = two()
    assert clip_grad_norm_(weight, 100) == pytest.approx(math.sqrt(14.3125))
    clip_grad_value_(weight, 1)
    assert weight.grad.tolist() == [[1, -1, 1], [-0.5, 0.25, 0]]
    vector_to_parameters(range(6), weight)
    assert parameters_to_vector(weight).tolist() == [0, 1, 2, 3, 4, 5]


def test_frozen_parameters_are_passed_by_in_clipping_only():
    weight, bias = two()
    bias.requires_grad = False
    assert clip_grad_norm_([weight, bias], 1.0) == pytest.approx(math.sqrt(14.3125))
    clip_grad_value_([weight, bias], 0.1)
    assert bias.grad.tolist() == BIAS
    vector_to_parameters(np.arange(8), [weight, bias])
    assert parameters_to_vector([weight, bias]).tolist() == list(range(8))


def test_large_float32_gradients_do_not_overflow():
    weight = nn.Parameter(np.zeros(4, np.float32))
    weight.grad += 3e38
    assert clip_grad_norm_(weight, 2.0) == pytest.approx(6e38)
    np.testing.assert_allclose(weight.grad, np.ones(4), 1e-4)


def test_nothing_to_clip():
    assert clip_grad_norm_([], 1.0) == 0.0
    assert clip_grad_norm_(nn.Parameter(np.zeros((0, 3))), 1.0, math.inf) == 0.0
    clip_grad_value_([], 1.0)


# import torch
# for gradient in ([1.0, float("inf")], [1.0, float("nan")]):
#     weight = torch.nn.Parameter(torch.zeros(2))
#     weight.grad = torch.tensor(gradient)
#     print(torch.nn.utils.clip_grad_norm_([weight], 1.0), weight.grad)
@pytest.mark.parametrize(
    ("gradient", "total", "clipped"),
    [([1.0, math.inf], math.inf, [0.0, math.nan]), ([1.0, math.nan], math.nan, [math.nan, math.nan])],
)
@pytest.mark.parametrize("norm_type", [1, 2, math.inf])
def test_what_is_not_finite_is_not_hidden(gradient, total, clipped, norm_type):
    weight = nn.Parameter(np.zeros(2, np.float32))
    weight.grad += gradient
    with pytest.raises(RuntimeError, match=f"finite norm, got a {norm_type}-norm of {total}"):
        clip_grad_norm_(weight, 1.0, norm_type, error_if_nonfinite=True)
    np.testing.assert_array_equal(weight.grad, gradient)
    np.testing.assert_equal(clip_grad_norm_(weight, 1.0, norm_type), total)
    np.testing.assert_array_equal(weight.grad, clipped)


def test_clip_grad_value():
    weight, bias = two(np.float32)
    bias.grad[1] = math.nan
    clip_grad_value_([weight, bias], np.float64(1.25))
    assert weight.grad.tolist() == [[1, -1.25, 1.25], [-0.5, 0.25, 0]]
    np.testing.assert_array_equal(bias.grad, [1.25, math.nan])
    assert weight.grad.dtype == np.float32
    clip_grad_value_(weight, math.inf)
    clip_grad_value_(weight, 1e300)
    assert weight.grad.tolist() == [[1, -1.25, 1.25], [-0.5, 0.25, 0]]
    clip_grad_value_(weight, 0)
    assert not weight.grad.any()


# ---- vectors


def test_a_vector_is_a_copy_in_order():
    model = nn.Sequential(nn.Linear(2, 3, generator=0), nn.ReLU(), nn.Linear(3, 1, generator=1))
    vector = parameters_to_vector(model.parameters())
    assert vector.shape == (13,) and vector.dtype == np.float32
    assert (vector[:6] == model[0].weight.data.ravel()).all() and vector[-1] == model[2].bias.data[0]
    vector[:] = 7
    assert not (model[0].weight.data == 7).any()


def test_there_and_back_keeps_the_arrays_the_optimizer_looks_into():
    weight, bias = two(np.float32)
    optimizer = optim.SGD([weight, bias], lr=1.0)
    optimizer.step()
    arrays = weight.data, bias.data
    vector_to_parameters(parameters_to_vector([weight, bias]) + 1, [weight, bias])
    assert weight.data is arrays[0] and bias.data is arrays[1] and weight.data.dtype == np.float32
    np.testing.assert_allclose(bias.data, [-3.0, 2.5])
    vector_to_parameters(np.arange(8.0), [weight, bias])  # float64 into float32
    assert weight.data.tolist() == [[0, 1, 2], [3, 4, 5]] and weight.data.dtype == np.float32


@pytest.mark.parametrize("vec", [np.zeros(7), np.zeros(9), np.zeros((8, 1)), 1.0, []])
def test_a_vector_of_another_length_writes_nothing(vec):
    weight, bias = two()
    weight.data += 1
    with pytest.raises(ValueError, match=r"expects a vector of shape \(8,\), got"):
        vector_to_parameters(vec, [weight, bias])
    assert (weight.data == 1).all() and not bias.data.any()


def test_a_vector_of_no_real_numbers():
    with pytest.raises(TypeError, match="expected real numbers, got dtype complex128"):
        vector_to_parameters(np.zeros(8, complex), two())


def test_no_parameters_make_no_vector():
    with pytest.raises(ValueError, match="at least one parameter, got none"):
        parameters_to_vector([])
    vector_to_parameters([], [])


# ---- what is refused


@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_bounds_out_of_range(value):
    weight, _ = two()
    with pytest.raises(ValueError, match=f"clip_grad_norm_ expects max_norm to be a number of at least 0, got {value}"):
        clip_grad_norm_(weight, value)
    with pytest.raises(ValueError, match=f"clip_grad_norm_ expects norm_type to be a number above 0, got {value}"):
        clip_grad_norm_(weight, 1.0, value)
    with pytest.raises(
        ValueError, match=f"clip_grad_value_ expects clip_value to be a number of at least 0, got {value}"
    ):
        clip_grad_value_(weight, value)
    assert weight.grad.tolist() == WEIGHT


@pytest.mark.parametrize("value", ["1", None, True, np.ones(1), 1j])
def test_bounds_of_another_kind(value):
    weight, _ = two()
    for function in (clip_grad_norm_, clip_grad_value_):
        with pytest.raises(TypeError, match=f"{function.__name__} expects .* to be a number .*, got"):
            function(weight, value)
    with pytest.raises(TypeError, match="norm_type to be a number above 0, got"):
        clip_grad_norm_(weight, 1.0, value)
    assert weight.grad.tolist() == WEIGHT


def test_bounds_may_be_numpys():
    weight, _ = two(np.float32)
    assert type(clip_grad_norm_(weight, np.float64(1.0), np.float64(2.0))) is float
    clip_grad_value_(weight, np.float64(0.25))
    assert weight.grad.dtype == np.float32 and abs(weight.grad).max() == 0.25


@pytest.mark.parametrize("found", [np.zeros(3), [np.zeros(3)], nn.Linear(1, 1), nn.Sequential(nn.ReLU()), None, 3])
def test_other_kinds_are_refused(found):
    for function in (clip_grad_norm_, clip_grad_value_):
        with pytest.raises(TypeError, match=rf"{function.__name__} expects a Parameter.*, such as .*, got \w+$"):
            function(found, 1.0)
    with pytest.raises(TypeError, match=r"parameters_to_vector expects a Parameter.*, such as .*, got \w+$"):
        parameters_to_vector(found)
    with pytest.raises(TypeError, match=r"vector_to_parameters expects a Parameter.*, such as .*, got \w+$"):
        vector_to_parameters([1.0], found)
