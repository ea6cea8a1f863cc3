"""The same check for PyTorch and JAX, where they are installed."""

import random

import numpy as np
import pytest

import nn
from nn import checking

RNG = np.random.default_rng(0)
X, W, B = RNG.normal(size=(5, 4)), RNG.normal(size=(4, 3)), RNG.normal(size=3)


def kinds(found):
    return {(fault.name, fault.kind) for fault in found.faults}


def test_nothing_foreign_is_loaded_before_it_is_asked_for():
    assert {"torch", "jax", "program"} <= set(dir(checking))
    with pytest.raises(AttributeError, match="no attribute 'tensorflow'"):
        _ = checking.tensorflow


# ---- PyTorch


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # many tiny calls: threads of a busy machine would wait for one another
    yield torch
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def scale(torch):
    class Scale(torch.autograd.Function):
        factor = 1.0

        @staticmethod
        def forward(ctx, x, w, power):
            ctx.save_for_backward(x, w)
            return x * w

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            return g * w, (g * x).sum(0) * Scale.factor, None

    return Scale


def test_an_autograd_function_is_checked_in_one_line(torch, scale):
    x, w = torch.tensor(X, dtype=torch.float32), torch.ones(4)
    found = checking.torch(scale, x, w, 2)
    assert list(found.errors) == ["x", "w"] and found.skipped == {"power": "a setting: passed on"}
    assert str(found).startswith("Scale: all gradients are right")
    scale.factor = 0.2
    with pytest.raises(nn.GradcheckError, match=r"0.2 times the true gradient"):
        checking.torch(scale, x, w, 2)
    scale.factor = 1.0


def test_a_function_with_its_context_apart(torch):
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    assert list(checking.torch(Square, torch.tensor(X)).errors) == ["x"]


def test_a_callable_and_nests_of_tensors(torch):
    def function(x, state, scale=1.0):
        h, c = state
        return {"y": x * h * scale, "indices": x.argmax(1), "z": c.sum()}

    x = torch.tensor(X)
    found = checking.torch(function, x, (x + 1, x + 2), 3.0)
    assert list(found.errors) == ["x", "state[0]", "state[1]"]
    wanted = x.clone().requires_grad_()
    found = checking.torch(function, wanted, (x, x))
    assert list(found.errors) == ["x"] and found.skipped["state[0]"] == "requires_grad is False"
    assert wanted.grad is None


def test_a_module_with_all_its_parameters(torch):
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6), torch.nn.Tanh(), torch.nn.Dropout(0.3), torch.nn.Linear(6, 2)
    )
    net[0].weight.requires_grad_(False)
    net[3].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    chance = torch.get_rng_state()
    found = checking.torch(net, torch.tensor(X, dtype=torch.float32))
    assert found.modes == ["train", "eval"]
    assert list(found.errors) == [
        "input", "0.weight", "0.bias", "1.weight", "1.bias", "4.weight", "4.bias"
    ]  # fmt: skip
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert net.training and not net[3].training and torch.equal(torch.get_rng_state(), chance)
    assert all(p.grad is None for p in net.parameters()) and net[0].weight.dtype == torch.float32
    assert checking.torch(net, torch.tensor(X), training=False).modes == ["eval"]


def test_a_module_whose_weight_has_a_wrong_gradient(torch):
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, w):
            return w.clone()

        @staticmethod
        def backward(ctx, g):
            return 2 * g

    class Net(torch.nn.Linear):
        def forward(self, x):
            return torch.nn.functional.linear(x, Doubled.apply(self.weight), self.bias)

    found = checking.torch(Net(4, 3), torch.tensor(X), raise_exception=False)
    assert kinds(found) == {("weight", "constant factor")}  # which torch.autograd.gradcheck does not look at
    assert torch.autograd.gradcheck(Net(4, 3).double(), torch.tensor(X, requires_grad=True))


@pytest.mark.parametrize(
    "build",
    [
        lambda t: (t.nn.Conv2d(2, 3, 3, stride=2, padding=1), (2, 2, 5, 5)),
        lambda t: (t.nn.LayerNorm(4), (5, 4)),
        lambda t: (t.nn.GELU(), (5, 4)),
        lambda t: (t.nn.MaxPool2d(2), (2, 2, 4, 4)),
        lambda t: (t.nn.LSTM(4, 3, 2), (5, 2, 4)),
        lambda t: (t.nn.GroupNorm(2, 4), (3, 4, 5)),
        lambda t: (t.nn.Embedding(7, 3), None),
        lambda t: (t.nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1), (3, 2, 4)),
    ],
)
def test_modules_of_pytorch_are_right(torch, build):
    torch.manual_seed(1)
    net, shape = build(torch)
    x = torch.arange(6) if shape is None else torch.randn(shape)
    assert checking.torch(net, x)


def test_what_cannot_be_copied_is_used_as_it_is(torch):
    class Locked(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.norm = torch.nn.Linear(4, 2), torch.nn.BatchNorm1d(4).double()
            self.generator = (i for i in range(3))  # which has no copy

        def forward(self, x):
            return self.linear(self.norm(x))

    net = Locked()
    net.eval()
    assert checking.torch(net, torch.tensor(X)) and not net.training and net.linear.weight.dtype == torch.float32
    assert not net.norm.running_mean.any() and net.norm.num_batches_tracked == 0


def test_chance_of_pytorch_is_pinned(torch):
    assert checking.torch(lambda x: x * torch.rand(x.shape, dtype=x.dtype), torch.tensor(X))
    assert checking.torch(lambda x: x * random.random(), torch.tensor(X))
    found = checking.torch(lambda x: x * np.random.default_rng().random(), torch.tensor(X), raise_exception=False)
    assert kinds(found) == {("forward", "random forward")} and "PyTorch's" in found.faults[0].message


def test_what_is_cut_off_is_told(torch):
    found = checking.torch(lambda x: (2 * x).detach(), torch.tensor(X), raise_exception=False)
    assert kinds(found) == {("x", "zero")}
    found = checking.torch(lambda x: x.float() * 2, torch.tensor(X), raise_exception=False)
    assert kinds(found) == {("forward", "wrong dtype")} and "torch.set_default_dtype" in found.faults[0].message
    ste = checking.torch(lambda x: x + (x.round() - x).detach(), torch.tensor(X), except_for={"x": "straight-through"})
    assert ste.declared


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((3,), TypeError, "expects a subclass of torch.autograd.Function, a torch.nn.Module or a function, got 3"),
        ((np.ndarray,), TypeError, "a function, got <class"),
        ((lambda text: text, "text"), ValueError, "nothing has a gradient"),
    ],
)
def test_pytorch_refuses(torch, arguments, error, words):
    with pytest.raises(error, match=words):
        checking.torch(arguments[0], *arguments[1:] or (torch.tensor(X),))


# ---- JAX


@pytest.fixture
def jax():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    with jax.enable_x64(True):
        yield jax


def with_rule(jax, factor=1.0, output=None):
    @jax.custom_vjp
    def scale(x, w):
        return x * w

    def forward(x, w):
        return (scale(x, w) if output is None else output), (x, w)

    def backward(residuals, g):
        x, w = residuals
        return g * w, factor * (g * x).sum(0)

    scale.defvjp(forward, backward)
    return scale


def test_a_custom_vjp_is_checked_in_one_line(jax):
    found = checking.jax(with_rule(jax), jax.numpy.asarray(X), np.ones(4))
    assert list(found.errors) == ["x", "w"] and str(found).startswith("scale: all gradients are right")
    found = checking.jax(with_rule(jax, factor=0.2), X, np.ones(4), raise_exception=False)
    assert kinds(found) == {("w", "constant factor")} and "N = 5 is the size of the batch" in found.faults[0].message
    found = checking.jax(with_rule(jax, output=np.zeros((5, 4))), X, np.ones(4), raise_exception=False)
    assert kinds(found) == {("backward", "raised")} and "returns another output" in found.faults[0].message


def test_nests_integers_keys_and_settings_of_jax(jax):
    def function(params, x, index, key, mode):
        mask = jax.random.bernoulli(key, 0.5, x.shape)
        return {"y": (x * mask) @ params["W"] + params["b"], "best": x.argmax(1)}, params["b"][index]

    found = checking.jax(function, {"W": W, "b": B}, X, np.array([0, 2]), jax.random.key(3), "train")
    assert list(found.errors) == ["params['W']", "params['b']", "x"]
    assert found.skipped == {
        "index": "not floating: no gradient",
        "key": "a setting: passed on",
        "mode": "a setting: passed on",
    }


def test_the_form_of_jax_is_the_checkers_own(jax):
    def pull(x, w):
        y, back = jax.vjp(with_rule(jax), x, w)
        return np.asarray(y), lambda g: [np.asarray(each) for each in back(jax.numpy.asarray(g))]

    assert list(nn.gradcheck(pull, X, np.ones(4)).errors) == ["x", "w"]


def test_jax_refuses(jax):
    with jax.enable_x64(False), pytest.raises(RuntimeError, match=r"jax.config.update..jax_enable_x64., True"):
        checking.jax(lambda x: x, X)
    with pytest.raises(TypeError, match=r"nn.checking.jax expects a function, got 3"):
        checking.jax(3, X)
    with pytest.raises(TypeError, match="training= for modules"):
        checking.jax(lambda x: x, X, training=True)
