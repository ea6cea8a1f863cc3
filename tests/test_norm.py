"""Norms: what they keep from one batch to the next, what they refuse, and numbers that are hard."""

import copy

import numpy as np
import pytest

import nn
from nn.numeric import row_products, row_sums, sum_rows

RNG = np.random.default_rng(0)
BATCHES = [RNG.normal(2, 3, size=(4, 3, 5)) for _ in range(3)]
STATES = ("running_mean", "running_var", "num_batches_tracked")


def statistics(module):
    return [getattr(module, name).data for name in STATES]


def after(module, batches=BATCHES):
    """Return a module after training passes, in float64."""
    module.double()
    for x in batches:
        module(x)
    return module


def own_statistics(x, each_sample):
    """Return the mean and the variance over n - 1 of each channel, of the batch or averaged over its samples."""
    if each_sample:
        return x.mean(2).mean(0), x.var(2, ddof=1).mean(0)
    return x.mean((0, 2)), x.var((0, 2), ddof=1)


# ---- running statistics


@pytest.mark.parametrize("momentum", [0.1, 1.0, None])
@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.InstanceNorm1d])
def test_running_statistics_by_their_definition(kind, momentum):
    module = after(kind(3, momentum=momentum, track_running_stats=True))
    mean, var = np.zeros(3), np.ones(3)
    for count, x in enumerate(BATCHES, 1):
        batch_norm = kind is nn.BatchNorm1d
        rate = momentum if momentum is not None else 1 / count if batch_norm else 0.0
        now = own_statistics(x, not batch_norm)
        mean, var = (1 - rate) * mean + rate * now[0], (1 - rate) * var + rate * now[1]
    np.testing.assert_allclose(module.running_mean.data, mean, rtol=1e-13)
    np.testing.assert_allclose(module.running_var.data, var, rtol=1e-13)
    assert module.num_batches_tracked.data == (3 if kind is nn.BatchNorm1d else 0)


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5), (2, 3, 2, 2), (2, 3, 2, 1, 2)])
@pytest.mark.parametrize("momentum", [0.3, None])
@pytest.mark.parametrize("family", ["BatchNorm", "InstanceNorm"])
def test_running_statistics_are_those_of_pytorch(family, shape, momentum):
    torch = pytest.importorskip("torch")
    dims = len(shape) - 2 if len(shape) > 2 else 1
    if len(shape) == 2:
        shape = (4, 3) if family == "BatchNorm" else (3, 4)  # a batch of vectors, or a series without a batch
    settings = {"momentum": momentum, "track_running_stats": True}
    module = getattr(nn, f"{family}{dims}d")(3, **settings).double()
    twin = getattr(torch.nn, f"{family}{dims}d")(3, **settings).double()
    for seed in range(3):
        x = np.random.default_rng(seed).normal(1, 2, shape)
        with nn.no_grad():
            module(x)
        twin(torch.tensor(x))
    assert list(module.state_dict()) == list(twin.state_dict())
    for name, value in twin.state_dict().items():
        np.testing.assert_allclose(module.state_dict()[name], value.numpy(), rtol=1e-13, err_msg=name)


def test_evaluation_and_untracked_layers_keep_nothing():
    module = after(nn.BatchNorm1d(3)).eval()
    before = copy.deepcopy(module.state_dict())
    module(BATCHES[0])
    assert all(np.array_equal(before[name], value) for name, value in module.state_dict().items())
    module = nn.BatchNorm1d(3, track_running_stats=False)
    assert list(module.state_dict()) == ["weight", "bias"]
    np.testing.assert_array_equal(module(BATCHES[0]), module.eval()(BATCHES[0]))


def test_statistics_are_saved_loaded_shared_and_reset(tmp_path):
    module = after(nn.BatchNorm1d(3, affine=False, dtype="float64"))
    assert [array.dtype for array in statistics(module)] == [np.float64, np.float64, np.int64]
    nn.save(module.state_dict(), tmp_path / "state")
    other = nn.BatchNorm1d(3, affine=False, dtype="float64")
    held = statistics(other)
    other.load_state_dict(nn.load(tmp_path / "state"))
    np.testing.assert_array_equal(other.eval()(BATCHES[0]), module.eval()(BATCHES[0]))
    assert all(a is b for a, b in zip(held, statistics(other), strict=True))  # loaded, and later moved, in place
    other.train().share()(BATCHES[0])
    assert other.num_batches_tracked.data == 4
    assert all(a is b for a, b in zip(held, statistics(other), strict=True))
    other.reset_running_stats()
    assert other.running_mean.data.tolist() == [0, 0, 0] and other.running_var.data.tolist() == [1, 1, 1]
    assert other.num_batches_tracked.data == 0


def test_what_is_refused_moves_no_statistics():
    module = after(nn.BatchNorm1d(3))
    before = copy.deepcopy(module.state_dict())
    for x in (np.ones((1, 3)), np.ones((4, 2)), np.ones((2, 2, 3, 2)), [["a"]]):
        with pytest.raises((ValueError, TypeError)):
            module(x)
    module(np.ones((0, 3)))
    before["num_batches_tracked"] += 1  # a batch of no rows counts, in PyTorch too, and has no mean
    assert all(np.array_equal(before[name], value) for name, value in module.state_dict().items())


def test_the_checker_leaves_statistics_alone():
    module = after(nn.BatchNorm1d(3))
    before = copy.deepcopy(module.state_dict())
    assert nn.gradcheck(module, BATCHES[0])
    assert all(np.array_equal(before[name], value) for name, value in module.state_dict().items())


# ---- numbers


@pytest.mark.parametrize(
    "module",
    [
        nn.BatchNorm1d(4, eps=1e-3),
        nn.InstanceNorm1d(4, eps=1e-3),
        nn.GroupNorm(2, 4, eps=1e-3),
        nn.LayerNorm((4, 3000), eps=1e-3),
    ],
    ids=repr,
)
def test_a_mean_far_from_zero(module):
    x = np.random.default_rng(1).normal(1000, 1, (3, 4, 3000)).astype(np.float32)
    y = module(x)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, copy.deepcopy(module).double()(x), atol=5e-4)


@pytest.mark.parametrize(
    "module",
    [
        nn.BatchNorm1d(2, dtype="float16"),
        nn.InstanceNorm1d(2, affine=True, track_running_stats=True, dtype="float16"),
        nn.GroupNorm(1, 2, dtype="float16"),
        nn.LayerNorm((2, 500), dtype="float16"),
        nn.RMSNorm(500, dtype="float16"),
        nn.LocalResponseNorm(2),
    ],
    ids=repr,
)
def test_half_precision(module):
    """Squares of 1,000 do not fit into float16, nor do sums of 500 of them."""
    x = np.random.default_rng(1).normal(1000, 300, (3, 2, 500)).astype(np.float16)
    g = np.random.default_rng(2).normal(size=x.shape).astype(np.float16)
    y = module(x)
    dx = module.backward(g)
    wide = copy.deepcopy(module).double()
    wide.zero_grad()
    np.testing.assert_allclose(y, wide(x.astype(np.float64)), rtol=2e-3, atol=2e-3)
    assert y.dtype == dx.dtype == np.float16
    wanted = wide.backward(g.astype(np.float64))
    np.testing.assert_allclose(dx, wanted, rtol=4e-3, atol=4e-3 * abs(wanted).max())
    assert all(np.isfinite(parameter.grad).all() for parameter in module.parameters())


@pytest.mark.parametrize(
    "module", [nn.BatchNorm1d(2), nn.InstanceNorm1d(2), nn.GroupNorm(1, 2), nn.LayerNorm(3)], ids=repr
)
def test_what_is_equal_everywhere_becomes_zero(module):
    x = np.full((2, 2, 3), 7.25, np.float32)
    assert not module(x).any()
    assert np.isfinite(module.backward(np.ones(x.shape))).all()


def test_statistics_of_many_rows_are_accurate():
    x = np.random.default_rng(3).normal(100, 1, (20_000, 1)).astype(np.float32)
    module = nn.BatchNorm1d(1, momentum=1.0)
    module(x)
    np.testing.assert_allclose(module.running_mean.data, x.mean(0, np.float64), rtol=1e-6)
    np.testing.assert_allclose(module.running_var.data, x.var(0, np.float64, ddof=1), rtol=1e-5)


@pytest.mark.parametrize("size", [0, 1, 5, 64, 1024, 1025, 2048, 3000])
def test_sums_of_rows(size):
    x, y = np.random.default_rng(size).normal(size=(2, 3, 4, size))
    for array, other in ((x, y), (np.asfortranarray(x), y.astype(np.float32).astype(np.float64))):
        np.testing.assert_allclose(row_sums(array), array.sum(-1, keepdims=True), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(
            row_products(array, other), (array * other).sum(-1, keepdims=True), rtol=1e-12, atol=1e-12
        )
    rows, scale = x.reshape(12, size).T, np.linspace(-1, 2, size)[:, None]
    np.testing.assert_allclose(sum_rows(rows, scale), (rows * scale).sum(0), rtol=1e-12, atol=1e-12)
    assert row_sums(x.astype(np.float32)).dtype == np.float32


# ---- what is refused


@pytest.mark.parametrize(
    ("module", "shape", "text"),
    [
        (nn.BatchNorm1d(3), (4, 2), r"BatchNorm1d\(3\) expects input of shape \(N, 3\) or \(N, 3, L\), got \(4, 2\)"),
        (nn.BatchNorm2d(3), (4, 3), r"BatchNorm2d\(3\) expects input of shape \(N, 3, H, W\), got \(4, 3\)"),
        (nn.BatchNorm3d(3), (4, 3, 2, 2), r"\(N, 3, D, H, W\), got"),
        (nn.BatchNorm1d(3), (1, 3), r"BatchNorm1d\(3\) expects more than one number .* got shape \(1, 3\)"),
        (nn.BatchNorm2d(3, track_running_stats=False).eval(), (1, 3, 1, 1), "expects more than one number"),
        (nn.BatchNorm1d(3, eps=0), (4, 3), "expects eps to be a number above 0"),
        (nn.InstanceNorm1d(3), (4, 2), r"InstanceNorm1d\(3\) expects .* \(3, L\) or \(N, 3, L\), got \(4, 2\)"),
        (nn.InstanceNorm2d(3), (4, 3, 1, 1), "expects more than one number"),
        (nn.GroupNorm(2, 4), (3, 6), r"GroupNorm\(2, 4\) expects input of shape \(N, 4, ...\), got \(3, 6\)"),
        (nn.GroupNorm(4, 4), (1, 4), "expects more than one number in each group"),
        (nn.LayerNorm((2, 3)), (4, 3), r"LayerNorm\(\(2, 3\)\) expects input of shape \(..., 2, 3\), got \(4, 3\)"),
        (nn.RMSNorm(3), (4, 2), r"RMSNorm\(\(3,\)\) expects input of shape \(..., 3\), got \(4, 2\)"),
        (nn.LocalResponseNorm(2), (4, 3), r"LocalResponseNorm\(2\) expects input of shape \(N, C, ...\)"),
        (nn.CrossMapLRN2d(2), (4, 3, 2), r"CrossMapLRN2d\(2\) expects input of shape \(N, C, H, W\)"),
    ],
)  # fmt: skip
def test_inputs_refused(module, shape, text):
    with pytest.raises(ValueError, match=text):
        module(np.ones(shape))


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda: nn.BatchNorm1d(-1), ValueError, "BatchNorm1d expects num_features"),
        (lambda: nn.BatchNorm1d(3.0), TypeError, "BatchNorm1d expects num_features to be an integer"),
        (lambda: nn.BatchNorm2d(3, eps=-1), ValueError, "BatchNorm2d expects eps"),
        (lambda: nn.BatchNorm2d(3, momentum="0.1"), TypeError, "BatchNorm2d expects momentum"),
        (lambda: nn.BatchNorm2d(3, affine=1), TypeError, "BatchNorm2d expects affine"),
        (lambda: nn.InstanceNorm1d(3, track_running_stats=None), TypeError, "expects track_running_stats"),
        (lambda: nn.BatchNorm1d(3, dtype=int), TypeError, "expects dtype to be a floating dtype"),
        (lambda: nn.GroupNorm(3, 4), ValueError, "GroupNorm expects num_channels to be a multiple of num_groups"),
        (lambda: nn.GroupNorm(0, 4), ValueError, "GroupNorm expects num_groups"),
        (lambda: nn.LayerNorm(()), ValueError, "LayerNorm expects normalized_shape to have a dimension"),
        (lambda: nn.LayerNorm((3, 2.0)), TypeError, r"LayerNorm expects normalized_shape\[1\]"),
        (lambda: nn.RMSNorm(-2), ValueError, "RMSNorm expects normalized_shape"),
        (lambda: nn.LocalResponseNorm(0), ValueError, "LocalResponseNorm expects size"),
    ],
)
def test_settings_refused(build, error, text):
    with pytest.raises(error, match=text):
        build()


def test_reprs():
    modules = [
        nn.BatchNorm1d(3),
        nn.BatchNorm2d(3, momentum=None, affine=False),
        nn.InstanceNorm2d(3),
        nn.InstanceNorm3d(3, affine=True, bias=False),
        nn.GroupNorm(1, 2, eps=0.5, bias=False),
        nn.LayerNorm([2, 3], elementwise_affine=False),
        nn.RMSNorm(4, eps=0.5),
    ]
    assert list(map(repr, modules)) == [
        "BatchNorm1d(3)",
        "BatchNorm2d(3, momentum=None, affine=False)",
        "InstanceNorm2d(3)",
        "InstanceNorm3d(3, affine=True, bias=False)",
        "GroupNorm(1, 2, eps=0.5, bias=False)",
        "LayerNorm((2, 3), elementwise_affine=False)",
        "RMSNorm((4,), eps=0.5)",
    ]
