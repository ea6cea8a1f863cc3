"""Pooling, padding and folding where the table cannot go: ties, infinite entries, chance, and what is refused."""

import math

import numpy as np
import pytest

import nn

INF, NAN = math.inf, math.nan


def run(module, *inputs, g=None):
    """Return the output, and the gradient of the first input under g, ones by default."""
    y = module(*(np.array(x, float) if index == 0 else x for index, x in enumerate(inputs)))
    values = y[0] if isinstance(y, tuple) else y
    g = np.ones(values.shape) if g is None else np.array(g, float)
    gradient = module.backward((g, None) if isinstance(y, tuple) else g)
    return y, gradient[0] if isinstance(gradient, tuple) else gradient


# ---- the largest of several


@pytest.mark.parametrize(
    "module",
    [
        nn.MaxPool2d(2, return_indices=True),
        nn.AdaptiveMaxPool2d(1, return_indices=True),
        nn.FractionalMaxPool2d(2, output_size=1, return_indices=True),
        nn.LPPool2d(INF, 2),
        nn.LPPool2d(-INF, 2),
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    ("x", "place"), [([[1, 1], [1, 1]], 0), ([[-2, 3], [3, 3]], 1), ([[0, 1], [5, 5]], 2), ([[0, 0], [0, 4]], 3)]
)
def test_the_first_of_several_largest_gets_the_gradient(module, x, place):
    x = np.array(x, float)
    if isinstance(module, nn.LPPool2d):
        x = np.abs(x) + 1
        x = x if module.norm_type > 0 else 1 / x
    y, gradient = run(module, x[None])
    assert gradient.ravel().tolist() == [float(number == place) for number in range(4)]
    if isinstance(y, tuple):
        assert y[0].item() == x.max() and y[1].item() == place and y[1].dtype == np.int64


def test_an_entry_that_is_the_largest_of_several_windows_gets_all_their_gradients():
    _, gradient = run(nn.MaxPool2d(2, stride=1), [[[0, 0, 0], [0, 9, 0], [0, 0, 0]]], g=[[[1, 10], [100, 1000]]])
    assert gradient.tolist() == [[[0, 0, 0], [0, 1111, 0], [0, 0, 0]]]
    _, gradient = run(nn.AdaptiveMaxPool1d(2), [[0, 9, 0]], g=[[1, 10]])
    assert gradient.tolist() == [[0, 11, 0]]


def test_infinite_entries_beat_the_padding():
    (y, indices), gradient = run(nn.MaxPool1d(3, 1, 1, return_indices=True), [[-INF] * 4])
    assert y.tolist() == [[-INF] * 4] and indices.tolist() == [[0, 0, 1, 2]] and gradient.tolist() == [[2, 1, 1, 0]]
    (y, indices), gradient = run(nn.MaxPool1d(3, 1, return_indices=True), [[-INF] * 4])
    assert y.tolist() == [[-INF] * 2] and indices.tolist() == [[0, 1]] and gradient.tolist() == [[1, 1, 0, 0]]


@pytest.mark.parametrize(
    "pool",
    [nn.MaxPool1d(4, return_indices=True), nn.AdaptiveMaxPool1d(1, return_indices=True)],
    ids=["fixed", "adaptive"],
)
def test_nan_is_the_largest_and_of_several_the_last_counts(pool):
    (y, indices), gradient = run(pool, [[[NAN, 5, NAN, INF]]])
    assert np.isnan(y.item()) and indices.item() == 2 and gradient.tolist() == [[[0, 0, 1, 0]]]


def test_a_dilated_window_may_lie_in_padding_alone():
    (y, _), gradient = run(nn.MaxPool1d(3, 3, 1, 2, return_indices=True, ceil_mode=True), [[7.0]])
    assert y.tolist() == [[-INF]] and gradient.tolist() == [[0]]


# ---- averages and powers


def test_an_entry_that_is_infinite_stays_in_its_window():
    for pool in (nn.AvgPool1d(2), nn.AdaptiveAvgPool1d(2), nn.LPPool1d(1, 2)):
        y = pool(np.array([[INF, 0, 4, 4]]))
        assert y[0, 0] == INF and y[0, 1] in (4, 8)


def test_the_root_of_zero_has_gradient_zero():
    _, gradient = run(nn.LPPool1d(2, 2), [[0, 0, 3, 4]])
    np.testing.assert_allclose(gradient, [[0, 0, 0.6, 0.8]], rtol=1e-14)
    y, _ = run(nn.LPPool1d(3, 2), [[-2, 1]])  # no real root: as in PyTorch
    assert np.isnan(y.item())


def test_what_hangs_over_is_not_counted():
    assert nn.AvgPool1d(2, ceil_mode=True)([[1.0, 3.0, 5.0]]).tolist() == [[2, 5]]
    assert nn.AvgPool1d(3, padding=1)([[3.0, 3.0, 3.0, 3.0]]).tolist() == [[2, 2]]
    assert nn.AvgPool1d(3, padding=1, count_include_pad=False)([[3.0, 3.0, 3.0, 3.0]]).tolist() == [[3, 3]]
    # The second window would begin on the padding behind the input, and is left out.
    assert nn.AvgPool1d(2, stride=4, padding=1, ceil_mode=True)([[3.0, 3.0, 3.0]]).tolist() == [[1.5]]


# ---- unpooling


def test_pooling_and_unpooling_in_a_row():
    model = nn.Sequential(nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2))
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    y, gradient = run(model, x)
    at = np.isin(x, [5, 7, 13, 15])
    assert np.array_equal(y, x * at) and np.array_equal(gradient, at)
    assert nn.gradcheck(model, x)


def test_unpooling_to_the_size_of_what_was_pooled():
    x = np.arange(25.0).reshape(1, 5, 5)
    values, indices = nn.MaxPool2d(2, return_indices=True)(x)
    unpool = nn.MaxUnpool2d(2)
    for size in ((5, 5), [5, 5], (1, 1, 5, 5)):
        y = unpool(values, indices, output_size=size)
        assert np.array_equal(y, x * np.isin(x, [6, 8, 16, 18]))
    gradient, *others = unpool.backward(y)
    assert np.array_equal(gradient, values) and others == [None, None]
    lines = nn.evaluate_equations(unpool, (values, indices, (5, 5)), y)
    assert np.array_equal(lines["y"], y) and np.array_equal(lines["dx0"], values)
    for size in ((6, 5), (5, 2), (5,), 5, (1, 5, 5)):
        with pytest.raises(ValueError, match=r"MaxUnpool2d\(2, stride=2\) expects output_size .* 3 to 5 x 3 to 5, got"):
            unpool(values, indices, size)


def test_of_an_index_that_occurs_twice_the_last_value_stays():
    y, gradient = run(nn.MaxUnpool1d(2), [[1, 2]], [[1, 1]], g=[[1, 10, 100, 1000]])
    assert y.tolist() == [[0, 2, 0, 0]] and gradient.tolist() == [[10, 10]]


@pytest.mark.parametrize(
    ("indices", "error", "text"),
    [
        ([[[0, 16]]], ValueError, "expects the indices of its pooling to be indices from 0 to 7, got 16"),
        ([[[0, -1]]], ValueError, "got -1"),
        ([[[0]]], ValueError, r"expects the indices of its pooling of shape \(1, 1, 2\), got \(1, 1, 1\)"),
        ([[[0.0, 1.0]]], TypeError, "to be indices of an integer dtype, got float64"),
    ],
)
def test_indices_of_another_pooling_are_refused(indices, error, text):
    with pytest.raises(error, match=rf"MaxUnpool2d\(2, stride=2\) .*{text}"):
        nn.MaxUnpool2d(2)(np.ones((1, 1, 2)), np.array(indices))


# ---- chance


def test_fractional_windows_are_drawn_anew():
    x = np.random.default_rng(0).normal(size=(2, 3, 9, 9))
    pool = nn.FractionalMaxPool2d(2, output_ratio=0.6, generator=0)
    first, second = pool(x), pool.eval()(x)
    assert first.shape == (2, 3, 5, 5) and not np.array_equal(first, second)
    assert np.array_equal(nn.FractionalMaxPool2d(2, output_ratio=0.6, generator=0)(x), first)
    nn.manual_seed(3)
    third = nn.FractionalMaxPool2d(2, output_ratio=0.6)(x)
    nn.manual_seed(3)
    assert np.array_equal(nn.FractionalMaxPool2d(2, output_ratio=0.6)(x), third)
    lines = nn.evaluate_equations(pool, (x,))
    assert np.array_equal(lines["y"], pool(x))


# ---- what is refused

X1, X2, X3 = np.ones((1, 2, 3)), np.ones((1, 2, 3, 3)), np.ones((1, 2, 3, 3, 3))
NO_ROOM = "expects an input in which a window has room"


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nn.MaxPool2d(0), ValueError, "MaxPool2d expects kernel_size to be an integer of at least 1, got 0"),
        (lambda: nn.MaxPool2d(2.0), TypeError, "MaxPool2d expects kernel_size to be an integer of at least 1, got 2.0"),
        (lambda: nn.MaxPool2d(True), TypeError, "kernel_size"),
        (lambda: nn.MaxPool2d((2, 2, 2)), ValueError, "kernel_size to be one integer or 2, got"),
        (lambda: nn.MaxPool1d(2, stride=0), ValueError, "MaxPool1d expects stride .* at least 1, got 0"),
        (lambda: nn.MaxPool3d(2, padding=-1), ValueError, "MaxPool3d expects padding .* at least 0, got -1"),
        (lambda: nn.MaxPool2d(3, padding=2), ValueError, "padding of at most half the kernel size, got padding 2 for"),
        (lambda: nn.MaxPool2d(3, padding=2, dilation=3), ValueError, "at most half the kernel size"),
        (lambda: nn.MaxPool2d(2, dilation=0), ValueError, "dilation .* at least 1, got 0"),
        (lambda: nn.MaxPool2d(2, ceil_mode=1), TypeError, "ceil_mode to be True or False, got 1"),
        (lambda: nn.MaxPool2d(2, return_indices=None), TypeError, "return_indices to be True or False"),
        (lambda: nn.MaxPool2d(4)(X2), ValueError, rf"MaxPool2d\(4, stride=4\) {NO_ROOM}, got \(3, 3\) for H, W"),
        (lambda: nn.MaxPool2d(2)(X1[0]), ValueError, r"shape \(N, C, H, W\) or \(C, H, W\), .* got \(2, 3\)"),
        (lambda: nn.MaxPool2d(2)(X3), ValueError, r"got \(1, 2, 3, 3, 3\)"),
        (lambda: nn.MaxPool2d(2)(X2[:, :, :0]), ValueError, r"each of C, H, W at least 1, got \(1, 2, 0, 3\)"),
        (lambda: nn.AvgPool2d(2)(X2[:, :0]), ValueError, r"at least 1, got \(1, 0, 3, 3\)"),
        (lambda: nn.MaxPool2d(2)("text"), TypeError, r"MaxPool2d\(2, stride=2\) expects input to be an array of real"),
        (lambda: nn.AvgPool1d(2, padding=2), ValueError, "AvgPool1d expects padding of at most half the kernel size"),
        (lambda: nn.AvgPool1d(2, divisor_override=2), TypeError, "divisor_override"),
        (lambda: nn.AvgPool2d(2, divisor_override=0), ValueError, "AvgPool2d expects a divisor_override other than 0"),
        (lambda: nn.AvgPool2d(2, divisor_override=2.0), TypeError, "divisor_override to be an integer, got 2.0"),
        (lambda: nn.AvgPool3d(4)(X3), ValueError, NO_ROOM),
        (lambda: nn.LPPool2d(0, 2), ValueError, "LPPool2d expects a norm_type other than 0"),
        (lambda: nn.LPPool2d("2", 2), TypeError, "norm_type to be a number, got '2'"),
        (lambda: nn.LPPool1d(2, 4)(X1), ValueError, NO_ROOM),
        (lambda: nn.AdaptiveAvgPool2d(-1), ValueError, "AdaptiveAvgPool2d expects output_size .* at least 0, got -1"),
        (lambda: nn.AdaptiveAvgPool2d(None), TypeError, "output_size to be an integer of at least 0, got None"),
        (lambda: nn.AdaptiveAvgPool1d((None,)), TypeError, "output_size"),
        (lambda: nn.AdaptiveMaxPool2d((2, 2, 2)), ValueError, "output_size to be one integer or 2, got"),
        (lambda: nn.AdaptiveMaxPool2d(1.5), TypeError, "output_size"),
        (lambda: nn.AdaptiveAvgPool2d(1)(X2[:, :, :0]), ValueError, "at least 1"),
        (lambda: nn.FractionalMaxPool2d(2), ValueError, "expects either output_size or output_ratio, got"),
        (lambda: nn.FractionalMaxPool2d(2, 3, 0.5), ValueError, "either output_size or output_ratio"),
        (lambda: nn.FractionalMaxPool2d(2, output_ratio=1.0), ValueError, "output_ratio .* below 1, got 1.0"),
        (lambda: nn.FractionalMaxPool3d(2, output_ratio=(0.5, 0.5)), ValueError, "output_ratio to be one number or 3"),
        (lambda: nn.FractionalMaxPool2d(2, 3)(X2), ValueError, "of at least 4 entries an axis for an output of 3"),
        (lambda: nn.FractionalMaxPool2d(2, 2, _random_samples=[[[0.5]]])(X2), ValueError, r"_random_samples of shape"),
        (lambda: nn.MaxUnpool2d(2, padding=2), ValueError, "padding of at most half the kernel size"),
        (lambda: nn.ZeroPad1d((1, 2, 3)), ValueError, r"ZeroPad1d expects padding to be one integer or 2, got"),
        (lambda: nn.ZeroPad2d(1.5), TypeError, "ZeroPad2d expects padding to be an integer, got 1.5"),
        (lambda: nn.ZeroPad2d(1)(np.ones(3)), ValueError, r"expects input of shape \(..., H, W\), got \(3,\)"),
        (lambda: nn.ZeroPad2d(-2)(X2), ValueError, "as many entries as negative widths take away, got"),
        (lambda: nn.ConstantPad1d(1, "0"), TypeError, "ConstantPad1d expects value to be a number, got '0'"),
        (lambda: nn.ReflectionPad2d(3)(X2), ValueError, "more entries than are added on a side"),
        (lambda: nn.ReflectionPad1d((-3, 0))(X1), ValueError, "one that stays"),
        (lambda: nn.ReflectionPad2d(1)(X1[0]), ValueError, r"shape \(N, C, H, W\) or \(C, H, W\)"),
        (lambda: nn.ReplicationPad1d((-2, -1))(X1), ValueError, r"one entry that stays, got \(3,\) for L"),
        (lambda: nn.CircularPad1d(4)(X1), ValueError, "at least as many entries left"),
        (lambda: nn.CircularPad1d((3, -1))(X1), ValueError, "after what is taken away"),
        (lambda: nn.Unfold(4)(X2), ValueError, NO_ROOM),
        (lambda: nn.Unfold(2, padding=-1), ValueError, "padding .* at least 0, got -1"),
        (lambda: nn.Fold(4, 2)(np.ones((1, 4, 8))), ValueError, r"\(N, C·4, 9\) or \(C·4, 9\), for 3 x 3 windows, got"),
        (lambda: nn.Fold(4, 2)(np.ones((1, 5, 9))), ValueError, r"got \(1, 5, 9\)"),
        (lambda: nn.Fold(1, 2)(np.ones((4, 1))), ValueError, "output_size in which a window has room"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_window_larger_than_the_image_may_hang_over():
    assert nn.MaxPool1d(6, ceil_mode=True)(X1).shape == (1, 2, 1)
    assert nn.AvgPool1d(6, ceil_mode=True)([[1.0, 3.0]]).tolist() == [[2]]


def test_settings_are_shown_as_they_are_given():
    shown = ["MaxPool2d(3, stride=2, padding=1)", "AvgPool2d((2, 3), stride=(2, 1))", "ZeroPad2d((1, 2, 0, 0))"]
    shown += ["AdaptiveAvgPool2d(1)", "AdaptiveMaxPool2d((None, None))", "ConstantPad1d(1, 2.0)", "Fold((3, 4), 2)"]
    for text in shown:
        assert repr(eval(text, vars(nn))) == text
