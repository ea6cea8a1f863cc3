"""Upsample and the layers that move entries about: against PyTorch at many sizes, and what they refuse."""

import itertools

import numpy as np
import pytest

import nn

SIZES = [*itertools.product((1, 2, 3, 7), (1, 2, 5, 6)), (3, 55), (28, 46), (13, 41)]  # the last: ties of float32
FACTORS = (0.5, 1.0, 1.3, 2.0, 7 / 3, 2.4)
MODES = {3: ("linear",), 4: ("bilinear", "bicubic"), 5: ("trilinear",)}


def settings(dims, size):
    yield from ({"mode": mode, **size} for mode in ("nearest", "nearest-exact"))
    for mode, corners in itertools.product(MODES[dims], (None, True)):
        yield {"mode": mode, "align_corners": corners, **size}


@pytest.mark.parametrize("dims", [3, 4, 5])
def test_every_mode_and_size_is_that_of_pytorch(dims):
    torch = pytest.importorskip("torch")
    rest = (1,) * (dims - 3)

    def compare(old, **given):
        x = np.random.default_rng(old).normal(size=(1, 2, old, *rest))
        for chosen in settings(dims, given):
            expected = torch.nn.Upsample(**chosen)(torch.tensor(x)).numpy()
            np.testing.assert_allclose(
                nn.Upsample(**chosen)(x), expected, rtol=1e-12, atol=1e-13, err_msg=f"{old} {chosen}"
            )

    for old, new in SIZES:
        compare(old, size=(new, *rest))
    for old, factor, again in itertools.product((2, 3, 5), FACTORS, (None, True)):
        compare(old, scale_factor=(factor, *map(float, rest)), recompute_scale_factor=again)


def test_what_is_not_finite_stays_where_it_is():
    x = np.zeros((1, 1, 3, 3))
    x[0, 0, 1, 1] = np.inf
    for mode in ("nearest", "nearest-exact"):
        y = nn.Upsample(scale_factor=2, mode=mode)(x)[0, 0]
        assert np.isinf(y[2:4, 2:4]).all() and not y[:2].any() and not y[4:].any()


def test_dtype_stays_in_half_precision():
    x = np.ones((1, 1, 2, 2), np.float16)
    layer = nn.Upsample(scale_factor=2, mode="bicubic")
    assert layer(x).dtype == np.float16 and layer.backward(np.ones((1, 1, 4, 4))).dtype == np.float16


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda: nn.Upsample(), ValueError, "Upsample expects a size or a scale_factor, got size=None"),
        (lambda: nn.Upsample(2, 2.0), ValueError, "Upsample expects a size or a scale_factor, got size=2"),
        (lambda: nn.Upsample(2.0), TypeError, "Upsample expects size to be an integer"),
        (lambda: nn.Upsample(0), ValueError, "Upsample expects size to be an integer of at least 1"),
        (lambda: nn.Upsample(scale_factor=-1), ValueError, "Upsample expects scale_factor to be a number above 0"),
        (lambda: nn.Upsample(scale_factor=(2, "2")), TypeError, r"Upsample expects scale_factor\[1\]"),
        (lambda: nn.Upsample(2, mode="area"), ValueError, "Upsample expects mode to be 'nearest', 'nearest-exact'"),
        (lambda: nn.Upsample(2, align_corners=True), ValueError, "expects align_corners=None for mode 'nearest'"),
        (lambda: nn.Upsample(2, mode="linear", align_corners=1), TypeError, "expects align_corners to be True"),
        (lambda: nn.Upsample(2, recompute_scale_factor=True), ValueError, "expects recompute_scale_factor to stand"),
        (lambda: nn.UpsamplingNearest2d(), ValueError, "UpsamplingNearest2d expects a size or a scale_factor"),
        (lambda: nn.PixelShuffle(0), ValueError, "PixelShuffle expects upscale_factor"),
        (lambda: nn.PixelUnshuffle(1.5), TypeError, "PixelUnshuffle expects downscale_factor"),
        (lambda: nn.ChannelShuffle(0), ValueError, "ChannelShuffle expects groups"),
        (lambda: nn.Unflatten(1, 3), TypeError, "Unflatten expects unflattened_size to be a tuple of integers"),
        (lambda: nn.Unflatten(1, ()), ValueError, "Unflatten expects unflattened_size"),
        (lambda: nn.Unflatten(1, (-1, -1)), ValueError, "Unflatten expects unflattened_size"),
        (lambda: nn.Unflatten("C", (2, 2)), TypeError, "Unflatten expects dim to be an integer"),
    ],
)  # fmt: skip
def test_settings_refused(build, error, text):
    with pytest.raises(error, match=text):
        build()


@pytest.mark.parametrize(
    ("module", "shape", "text"),
    [
        (nn.Upsample(2), (1, 2), r"Upsample\(size=2\) expects an input of 3 or 4 or 5 dimensions, got shape \(1, 2\)"),
        (nn.Upsample(2, mode="linear"), (1, 1, 2, 2), "expects an input of 3 dimensions"),
        (nn.Upsample((2, 2)), (1, 1, 2), "2 of them behind the channels"),
        (nn.Upsample(scale_factor=0.2), (1, 1, 2), "expects sizes above 0 of input and output, got 2 and 0 for axis 2"),
        (nn.PixelShuffle(2), (1, 6, 2, 2), r"PixelShuffle\(2\) expects channels that 4 divides, got 6"),
        (nn.PixelShuffle(2), (4, 4), r"PixelShuffle\(2\) expects input of shape \(..., C, H, W\)"),
        (nn.PixelUnshuffle(2), (1, 3, 2), "expects a height and a width that 2 divides"),
        (nn.ChannelShuffle(2), (1, 3, 2), "with C a multiple of 2"),
        (nn.ChannelShuffle(2), (1, 4), "with C a multiple of 2"),
        (nn.Unflatten(2, (2, 2)), (1, 4), "expects an input that has dimension 2"),
        (nn.Unflatten(1, (2, 3)), (1, 4), "expects dimension 1 to be the product of the sizes"),
        (nn.Unflatten(1, (3, -1)), (1, 4), "expects dimension 1 to be the product of the sizes"),
        (nn.Unflatten(1, (0, -1)), (1, 0), "expects dimension 1 to be the product of the sizes"),
        (nn.Softmax2d(), (2, 2), r"Softmax2d\(\) expects input of shape \(N, C, H, W\) or \(C, H, W\)"),
        (nn.Dropout1d(), (2,), r"Dropout1d\(\) expects input of shape \(C, L\) or \(N, C, L\), got \(2,\)"),
        (nn.Dropout2d(), (2, 2), r"Dropout2d\(\) expects input of shape \(N, C, L\) or \(N, C, H, W\)"),
        (nn.Dropout3d(), (2, 2, 2), r"Dropout3d\(\) expects input of shape \(C, D, H, W\) or \(N, C, D, H, W\)"),
        (nn.FeatureAlphaDropout(), (2,), r"FeatureAlphaDropout\(\) expects input of shape \(N, C, ...\)"),
    ],
)  # fmt: skip
def test_inputs_refused(module, shape, text):
    for mode in (True, False):
        with pytest.raises(ValueError, match=text):
            module.train(mode)(np.ones(shape))


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Dropout1d(0.4, generator=0), (400, 5, 3)),
        (nn.Dropout1d(0.4, generator=0), (2000, 3)),
        (nn.Dropout2d(0.4, generator=0), (400, 5, 3, 2)),
        (nn.Dropout2d(0.4, generator=0), (400, 5, 3)),
        (nn.Dropout3d(0.4, generator=0), (400, 5, 3, 2, 2)),
        (nn.Dropout3d(0.4, generator=0), (2000, 3, 2, 2)),
        (nn.FeatureAlphaDropout(0.4, generator=0), (400, 5, 3)),
    ],
)
def test_channels_are_dropped_whole(module, shape):
    y = module(np.ones(shape)).reshape(2000, -1)
    assert (y == y[:, :1]).all()
    values = np.unique(y)
    assert len(values) == 2 and abs((y == values[0]).mean() - 0.4) < 0.05
    if isinstance(module, nn.FeatureAlphaDropout):
        x = np.random.default_rng(1).normal(size=shape)
        assert abs(module(x).mean()) < 0.1 and abs(module(x).std() - 1) < 0.05
    else:
        assert values[0] == 0 and abs(values[1] - 1 / 0.6) < 1e-12
    assert (module.eval()(np.ones(shape)) == 1).all()
