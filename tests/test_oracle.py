"""`gradcheck` as an oracle: functions in every style, badly written ones too; deliberate gradients; targets."""

import functools
import itertools
import re
from pathlib import Path

import numpy as np
import pytest

import nn
from nn.checking.declared import declarations
from nn.checking.experiment import Experiment
from nn.checking.functions import FunctionSubject
from nn.checking.protocol import examine
from nn.checking.state import RandomState

RNG = np.random.default_rng(0)
X, W, B = RNG.normal(size=(5, 4)), RNG.normal(size=(4, 3)), RNG.normal(size=3)
Y = np.array([0, 1, 2, 0, 1])


def report(forward, *inputs, **settings):
    return nn.gradcheck(forward, *inputs, raise_exception=False, **settings)


def kinds(found):
    return {(fault.name, fault.kind) for fault in found.faults}


def message(found):
    (fault,) = found.faults
    return fault.message


# ---- functions in the style of courses


def affine_forward(x, w, b):
    out = x.reshape(x.shape[0], -1) @ w + b
    return out, (x, w, b)


def affine_backward(dout, cache):
    x, w, _ = cache
    dx = (dout @ w.T).reshape(x.shape)
    return dx, x.reshape(x.shape[0], -1).T @ dout, dout.sum(axis=0)


def conv_forward(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], (2, 3))[:, :, ::stride, ::stride]
    return np.einsum("nchwkl,ockl->nohw", windows, w) + b[:, None, None], (x, w, b, conv_param)


def conv_backward(dout, cache):
    x, w, _, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            rows, columns = (slice(k * stride, k * stride + size) for k, size in ((i, w.shape[2]), (j, w.shape[3])))
            dw += np.einsum("no,nchw->ochw", dout[:, :, i, j], padded[:, :, rows, columns])
            dpadded[:, :, rows, columns] += np.einsum("no,ochw->nchw", dout[:, :, i, j], w)
    end = (slice(pad, padded.shape[k] - pad) for k in (2, 3))
    return dpadded[(slice(None), slice(None), *end)], dw, dout.sum((0, 2, 3))


CONV = RNG.normal(size=(2, 3, 5, 5)), RNG.normal(size=(4, 3, 3, 3)), RNG.normal(size=4), {"stride": 2, "pad": 1}


def batchnorm_forward(x, gamma, beta, bn_param):
    mean, var = x.mean(0), x.var(0)
    bn_param["running_mean"] = 0.9 * bn_param["running_mean"] + 0.1 * mean
    std = np.sqrt(var + bn_param.get("eps", 1e-5))
    xhat = (x - mean) / std
    return gamma * xhat + beta, (xhat, gamma, std)


def batchnorm_backward(dout, cache):
    xhat, gamma, std = cache
    g = dout * gamma
    return (g - g.mean(0) - xhat * (g * xhat).mean(0)) / std, (dout * xhat).sum(0), dout.sum(0)


def softmax_loss(x, y):
    z = x - x.max(1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    dx = p.copy()
    dx[np.arange(len(y)), y] -= 1
    return -np.log(p[np.arange(len(y)), y]).mean(), dx / len(y)


def lstm_step_forward(x, prev_h, prev_c, Wx):
    a = x @ Wx + prev_h
    next_c = prev_c * np.tanh(a)
    next_h = np.tanh(next_c) * a
    return next_h, next_c, (x, prev_c, Wx, a, next_c)


def lstm_step_backward(dnext_h, dnext_c, cache):
    x, prev_c, Wx, a, next_c = cache
    t = np.tanh(next_c)
    dc = dnext_c + dnext_h * a * (1 - t * t)
    da = dnext_h * t + dc * prev_c * (1 - np.tanh(a) ** 2)
    return da @ Wx.T, da, dc * np.tanh(a), x.T @ da


def test_functions_of_a_course_are_checked_in_one_line():
    found = nn.gradcheck(affine_forward, X, W, B, backward=affine_backward)
    assert list(found.errors) == ["x", "w", "b"] and max(found.errors.values()) < 1e-8
    assert found.modes == [] and str(found).startswith("affine_forward: all gradients are right")
    found = nn.gradcheck(conv_forward, *CONV, backward=conv_backward)
    assert list(found.errors) == ["x", "w", "b"] and found.skipped == {"conv_param": "a setting: passed on"}
    found = nn.gradcheck(
        lstm_step_forward, X, RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3)), W, backward=lstm_step_backward
    )
    assert list(found.errors) == ["x", "prev_h", "prev_c", "Wx"] if found else found
    param = {"mode": "train", "running_mean": np.zeros(4)}
    gamma, beta = RNG.normal(size=4), np.zeros(4)
    found = nn.gradcheck(batchnorm_forward, X, gamma, beta, param, backward=batchnorm_backward)
    assert list(found.errors) == ["x", "gamma", "beta"] and not param["running_mean"].any()


def test_a_value_with_its_gradient():
    found = nn.gradcheck(softmax_loss, X, Y, value_and_grad=True)
    assert list(found.errors) == ["x"] and found.skipped == {"y": "not floating: no gradient"}

    def twice_averaged(x, y):
        loss, dx = softmax_loss(x, y)
        return loss, dx / len(y)

    found = report(twice_averaged, X, Y, value_and_grad=True)
    assert kinds(found) == {("x", "constant factor")} and "N = 5 is the size of the batch" in message(found)

    def both(x, w):
        y = x @ w
        return 0.5 * (y * y).sum(), y @ w.T, x.T @ y

    assert list(nn.gradcheck(both, X, W, value_and_grad=True).errors) == ["x", "w"]

    def svm(params, x, y):
        loss, dscores = softmax_loss(x @ params["W"] + params["b"], y)
        return loss, {"W": x.T @ dscores, "b": dscores.sum(0)}

    found = nn.gradcheck(svm, {"W": W, "b": B}, X, Y, value_and_grad=True)
    assert list(found.errors) == ["params['W']", "params['b']"]
    assert found.skipped == {"x": "backward returns None: no gradient", "y": "not floating: no gradient"}


def test_without_a_cache_backward_gets_the_inputs_again():
    def forward(x, w, scale):
        return scale * (x @ w)

    def backward(dout, x, w, scale):
        return scale * dout @ w.T, scale * x.T @ dout

    assert list(nn.gradcheck(forward, X, W, 3.0, backward=backward, cache=False).errors) == ["x", "w"]
    found = report(forward, X, W, 7.0, backward=lambda dout, x, w, scale: (dout @ w.T, x.T @ dout), cache=False)
    assert kinds(found) == {("x", "constant factor"), ("w", "constant factor")}
    assert "1/scale, where scale = 7 is a setting" in found.faults[0].message
    two = report(
        lambda x: (x**2, np.tanh(x)), X, cache=False, backward=lambda g, x: 2 * x * g[0] + g[1] / np.cosh(x) ** 2
    )
    assert two and list(two.errors) == ["x"]


def test_the_one_form_that_all_others_come_down_to():
    def pull(x, w):
        return x @ w, lambda g: (g @ w.T, x.T @ g)

    assert list(nn.gradcheck(pull, X, W).errors) == ["x", "w"]
    output, back = FunctionSubject(pull, (X, W)).instance()(X, W)
    assert output.shape == (5, 3) and [gradient.shape for gradient in back(output)] == [X.shape, W.shape]
    assert not report(lambda x, w: (x @ w, lambda g: (g @ w.T, 2 * x.T @ g)), X, W)


@pytest.mark.parametrize(
    "returned",
    [
        lambda dx, dw, db: (dx, dw, db),
        lambda dx, dw, db: [dx, dw, db],
        lambda dx, dw, db: (dx, None, dw, None, db, None),
        lambda dx, dw, db: (dx, None, dw, None, db),
        lambda dx, dw, db: {"x": dx, "w": dw, "b": db},
        lambda dx, dw, db: {"db": db, "dx": dx, "dw": dw},
    ],
)
def test_gradients_in_order_or_by_name(returned):
    def forward(x, index, w, mode, b, param):
        return x[index] @ w + b, (x, index, w)

    def backward(dout, cache):
        x, index, w = cache
        dx = np.zeros_like(x)
        np.add.at(dx, index, dout @ w.T)
        return returned(dx, x[index].T @ dout, dout.sum(0))

    inputs = X, np.array([0, 0, 3]), W, "train", B, {"p": 0.5}
    found = nn.gradcheck(forward, *inputs, backward=backward)
    assert list(found.errors) == ["x", "w", "b"] and list(found.skipped) == ["index", "mode", "param"]


def test_none_says_that_there_is_no_gradient():
    def forward(f, y):
        return 0.5 * ((f - y) ** 2).sum(1), (f, y)

    found = report(forward, X, X + 1, backward=lambda g, cache: (g[:, None] * (cache[0] - cache[1]), None))
    assert found and found.skipped == {"y": "backward returns None: no gradient"}


def test_wrong_functions_are_named():
    def wrong(**changed):
        def backward(dout, cache):
            true = dict(zip("xwb", affine_backward(dout, cache), strict=True))
            return tuple(changed.get(name, lambda gradient: gradient)(gradient) for name, gradient in true.items())

        return report(affine_forward, X, W, B, backward=backward)

    assert kinds(wrong(w=lambda dw: dw.T)) == {("w", "transposed")}
    assert kinds(wrong(b=lambda db: -db)) == {("b", "wrong sign")}
    assert kinds(wrong(x=lambda dx: 0 * dx)) == {("x", "zero")}
    assert kinds(wrong(x=lambda dx: dx / 5, b=lambda db: db / 5)) == {
        ("x", "constant factor"),
        ("b", "constant factor"),
    }
    with pytest.raises(nn.GradcheckError, match="affine_forward: the gradient of w is wrong"):
        nn.gradcheck(affine_forward, X, W, B, backward=lambda g, cache: (affine_backward(g, cache)[0], 0 * W, g.sum(0)))


def test_partial_functions_and_methods_keep_their_names():
    class Layer:
        def __init__(self):
            self.x = None

        def forward(self, x, *, slope=0.1):
            return np.where(x > 0, x, slope * x), x

        def backward(self, dout, x):
            return np.where(x > 0, dout, 0.1 * dout)

    layer = Layer()
    assert list(nn.gradcheck(layer.forward, X, backward=layer.backward).errors) == ["x"]
    found = report(functools.partial(layer.forward, slope=0.2), X, backward=layer.backward)
    assert [fault.name for fault in found.faults] == ["x"] and str(found).startswith("forward: ")
    assert list(
        nn.gradcheck(lambda *args: (args[0] * args[1], args), X, X, backward=lambda g, c: (g * c[1], g * c[0])).errors
    ) == [
        "args[0]",
        "args[1]",
    ]


# ---- functions that are badly written


def test_what_cannot_be_copied_is_passed_on_as_it_is():
    found = nn.gradcheck(lambda x, module: (x * module.pi, None), X, np, backward=lambda g, cache: g * np.pi)
    assert found and found.skipped == {"module": "a setting: passed on"}


def test_chance_is_pinned_or_told():
    def dropout(x, param):
        mask = np.random.random(x.shape) < param["p"]  # noqa: NPY002
        return x * mask, mask

    assert report(dropout, X, {"p": 0.5}, backward=lambda g, mask: g * mask)

    def fresh(x):
        mask = np.random.default_rng().random(x.shape) < 0.5
        return x * mask, mask

    found = report(fresh, X, backward=lambda g, mask: g * mask)
    assert kinds(found) == {("forward", "random forward")} and "made from a seed in each call" in message(found)
    generator = np.random.default_rng(3)
    before = generator.bit_generator.state

    def given(x, rng):
        mask = rng.random(x.shape) < 0.5
        return x * mask, mask

    assert report(given, X, generator, backward=lambda g, mask: g * mask)
    assert generator.bit_generator.state == before


def test_a_function_that_remembers():
    memory = {}

    def forward(x):
        memory.setdefault("x", x)
        return x**2, None

    found = report(forward, X, backward=lambda g, _: 2 * memory["x"] * g)
    assert not found and "right at the given point, and wrong at another" in " ".join(str(found).split())


def test_a_function_that_writes_into_its_arguments():
    def forward(x):
        x *= 2
        return x, None

    found = report(forward, X, backward=lambda g, _: 2 * g)
    assert kinds(found) == {("forward", "changed in place")} and "forward writes into its argument, x" in message(found)

    def backward(dout, x):
        dout[x < 0] = 0
        return dout

    found = report(lambda x: (np.maximum(x, 0), x), X, backward=backward)
    assert kinds(found) == {("backward", "changed in place")} and "grad_output" in message(found)


def test_a_function_that_prints(capsys):
    def forward(x):
        print("forward", x.shape)
        return 2 * x, None

    def backward(g, _):
        print("backward")
        return 2 * g

    found = report(forward, X, backward=backward)
    assert found and "It prints while it runs" in str(found)
    assert capsys.readouterr().out.splitlines().count("backward") == 1
    assert not report(lambda x: (2 * x, None), X, backward=lambda g, _: 2 * g).notes


@pytest.mark.parametrize(
    ("forward", "settings", "words"),
    [
        (
            lambda x: x,
            {"backward": lambda g, c: g},
            r"expects the function to return \(output, cache\), got an array of shape \(5, 4\)",
        ),
        (lambda x: None, {"backward": lambda g, c: g}, r"return \(output, cache\), got a NoneType"),
        (
            lambda x: None,
            {"backward": lambda g, x: g, "cache": False},
            "returns None for its output: is a return left out",
        ),
        (lambda x: x, {}, "expects backward=, the function that goes back through the function"),
        (lambda x: (x, x), {}, "expects backward=.*got a tuple of 2"),
        (lambda x: x.sum(), {"value_and_grad": True}, r"return \(value, gradient\), the value being one number"),
        (lambda x: (x, x), {"value_and_grad": True}, r"return \(value, gradient\), the value being one number"),
        (lambda x: (x, x), {"value_and_grad": True, "backward": lambda g, c: g}, "not both"),
        (
            lambda x, w: (x, w),
            {"backward": lambda g, c: g},
            r"with 1 inputs: missing a required argument: 'w'. Give it all",
        ),
        (lambda: (1, 2), {"backward": lambda g, c: g}, "too many positional arguments"),
        (lambda x: (x, x), {"backward": lambda g, c: g, "training": True}, "training= for modules"),
        (lambda x: (x, x), {"backward": lambda g, c: g, "loss": nn.MSELoss()}, "loss= for modules"),
        (nn.ReLU(), {"backward": lambda g, c: g}, "for functions; ReLU"),
        (nn.ReLU(), {"cache": False}, "for functions; ReLU"),
        (3, {}, "an instance of nn.Module, or a function, got 3"),
    ],
)
def test_refused(forward, settings, words):
    with pytest.raises(TypeError, match=words):
        nn.gradcheck(forward, X, **settings)


@pytest.mark.parametrize(
    ("backward", "kind", "words"),
    [
        (
            lambda g, c: None,
            "wrong count",
            "backward returns None. It should return 3, those of x, w, b, in this order",
        ),
        (lambda g, c: g, "wrong count", "backward returns an array of shape (5, 3). It should return 3"),
        (lambda g, c: affine_backward(g, c)[:2], "wrong count", "backward returns 2 gradients. It should return 3"),
        (lambda g, c: (*affine_backward(g, c), g, g), "wrong count", "backward returns 5 gradients"),
        (lambda g, c: {"dx": g}, "wrong count", "no gradient under the name 'w' or 'dw'"),
        (lambda g, c: {"dx": g, "dW": g}, "wrong count", "a gradient under the name 'dW'"),
        (lambda g, c: ([1.0], *affine_backward(g, c)[1:]), "wrong count", "nested as forward got those"),
        (lambda g, c: ("dx", *affine_backward(g, c)[1:]), "wrong dtype", "The gradient is a str"),
        (lambda g, c: 1 / 0, "raised", "backward raised ZeroDivisionError"),
        (
            lambda g, x, w, b: g,
            "raised",
            "It is called as backward(dout, cache); cache=False calls backward(dout, *inputs)",
        ),
        (lambda g, c: (affine_backward(g, c)[0].astype("f4"), *affine_backward(g, c)[1:]), "wrong dtype", "float32"),
    ],
)
def test_what_backward_should_have_returned(backward, kind, words):
    found = report(affine_forward, X, W, B, backward=backward)
    assert {fault.kind for fault in found.faults} == {kind} and words in message(found)


def test_one_array_of_several_must_be_checked():
    with pytest.raises(ValueError, match="nothing has a gradient"):
        nn.gradcheck(lambda x, y: (x, x), X, X, backward=lambda g, c: (None, None))
    with pytest.raises(ValueError, match="nothing has a gradient"):
        nn.gradcheck(lambda x: (x, x), 3.0, backward=lambda g, c: g)


# ---- deliberate gradients


class Quantizer(nn.Module):
    """Rounds, and passes the gradient straight through."""

    def forward(self, x):
        self.save_for_backward()
        return x.round()

    def backward(self, g):
        self.saved()
        return g


class Reversal(nn.Module):
    """The identity, whose gradient is reversed."""

    def forward(self, x):
        self.save_for_backward()
        return x + 0.0

    def backward(self, g):
        self.saved()
        return -0.5 * g


class Embedding(nn.Module):
    """Rows of a table, of which the first is padding."""

    def __init__(self):
        self.weight = nn.Parameter(RNG.normal(size=(6, 3)))

    def forward(self, index):
        self.save_for_backward(index)
        return self.weight.data[index] ** 2

    def backward(self, g):
        index = self.saved()
        gradient = np.zeros_like(self.weight.data)
        np.add.at(gradient, index, 2 * g * self.weight.data[index])
        gradient[0] = 0
        self.weight.grad += gradient


class SpectralNorm(nn.Module):
    """x @ W / sigma, where sigma = u W v by vectors that are held constant."""

    def __init__(self):
        self.weight = nn.Parameter(RNG.normal(size=(4, 3)))

    def parts(self, w):
        v = w.T @ np.ones(4)
        v = v / np.linalg.norm(v)
        u = w @ v
        u = u / np.linalg.norm(u)
        return u, v, u @ w @ v

    def forward(self, x):
        self.save_for_backward(x)
        return x @ self.weight.data / self.parts(self.weight.data)[2]

    def backward(self, g):
        x, w = self.saved(), self.weight.data
        self.weight.grad += self.meant(g, x, w)
        return g @ w.T / self.parts(w)[2]

    def meant(self, g, x, weight):
        u, v, sigma = self.parts(weight)
        dw = x.T @ g
        return dw / sigma - (dw * weight).sum() / sigma**2 * np.outer(u, v)


NOT_PADDING = (np.arange(6) > 0)[:, None]
INDEX = np.array([0, 0, 1, 4, 4])
DELIBERATE = [
    (Quantizer(), X, {"except_for": {"input": "straight-through"}}),
    (Quantizer(), X, {"expected": {"input": lambda g, x: g}}),
    (Reversal(), X, {"except_for": {"input": -0.5}}),
    (Reversal(), X, {"expected": {"input": lambda g, x: -g / 2}}),
    (Embedding(), INDEX, {"except_for": {"weight": NOT_PADDING}}),
    (SpectralNorm(), X, {"expected": {"weight": SpectralNorm().meant}}),
]


@pytest.mark.parametrize(("module", "x", "settings"), DELIBERATE)
def test_what_is_declared_is_held_against_the_declaration(module, x, settings):
    found = report(module, x, **settings)
    assert found and list(found.declared) and "as declared" in str(found) and "WRONG" not in str(found)
    assert not report(module, x), "without the declaration it is wrong"
    name = next(iter(found.declared))

    class Off(type(module)):
        def backward(self, g):
            before = self.weight.grad.copy() if name == "weight" else None
            gradient = super().backward(g)
            if name == "weight":
                self.weight.grad += 0.01 * (self.weight.grad - before)
            return gradient if name == "weight" else 1.01 * gradient

    off = Off()
    vars(off).update(vars(module))
    wrong = report(off, x, **settings)
    assert kinds(wrong) == {(name, "not as declared")} and "is declared to be" in message(wrong)
    assert "not as declared" in wrong._repr_html_()


def test_words_of_declarations():
    stopped = lambda x: (x * (x > 0), lambda g: 0 * g)  # noqa: E731
    assert nn.gradcheck(stopped, X, except_for={"x": "stop-gradient"}).errors == {"x": 0}
    assert not report(lambda x: (x**2, lambda g: g), X, except_for={"x": "stop-gradient"})
    assert report(lambda x: (x**2, lambda g: -2 * x * g), X, except_for={"x": "reversed"})
    assert not report(lambda x: (x**2, lambda g: 2 * x * g), X, except_for={"x": "reversed"})
    found = report(lambda x: (x.sum(1), lambda g: g), X, except_for={"x": "straight-through"})
    assert not found  # the shape is another
    padding = Embedding()
    padding.backward = lambda g: padding.weight.grad.__iadd__(1.0)
    assert not report(padding, INDEX, except_for={"weight": NOT_PADDING})


def test_holding_a_declaration_leaves_the_point_as_it_is():
    def pull(x, w):
        return x * w, lambda g: (g * w * (x > 0), g * x)

    experiment = Experiment(FunctionSubject(pull, (X, X + 1)), RandomState())
    assert not examine(experiment, np.random.default_rng(0))
    (declaration,) = declarations({"x": X > 0}, {}, ["x", "w"]).values()
    error, fault = declaration.judge(experiment, "x", 1e-6, None, np.random.default_rng(0))
    assert error < 1e-8 and fault is None
    np.testing.assert_array_equal(experiment.arrays["x"], X)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"except_for": {"y": "reversed"}}, ValueError, "knows no 'y' to be declared otherwise, only x"),
        ({"except_for": {"x": "straight"}}, ValueError, "one of straight-through, stop-gradient, reversed, target"),
        ({"except_for": {"x": object()}}, TypeError, "to be a word or factors"),
        ({"expected": {"x": 3}}, TypeError, r"to be a function of \(grad_output, \*inputs\), got 3"),
    ],
)
def test_declarations_that_are_refused(settings, error, words):
    with pytest.raises(error, match=words):
        nn.gradcheck(lambda x: (x, lambda g: g), X, **settings)


# ---- targets of losses


class GaussianNLL(nn.Loss):
    """Has its target in the middle."""

    def forward(self, prediction, target, var):
        self.save_for_backward(prediction - target, var)
        return self.reduce((np.log(var) + (prediction - target) ** 2 / var) / 2)

    def backward(self, grad_output=None):
        g = self.upstream(grad_output)
        r, var = self.saved()
        return g * r / var, None, g * (1 / var - (r / var) ** 2) / 2


class TwoTargets(nn.Loss):
    """Lies between two targets."""

    def forward(self, prediction, target_a, target_b):
        self.save_for_backward(2 * prediction - target_a - target_b)
        return self.reduce(((prediction - target_a) ** 2 + (prediction - target_b) ** 2) / 2)

    def backward(self, grad_output=None):
        return self.upstream(grad_output) * self.saved()


class TargetFirst(nn.Loss):
    """Takes the target before the prediction."""

    def forward(self, target, prediction):
        self.save_for_backward(prediction - target)
        return self.reduce((prediction - target) ** 2 / 2)

    def backward(self, grad_output=None):
        return None, self.upstream(grad_output) * self.saved()


class Triplet(nn.Loss):
    """Has three inputs, and no target."""

    last = 1.0

    def forward(self, anchor, positive, negative):
        self.save_for_backward(anchor, positive, negative)
        return self.reduce((anchor - positive) ** 2 - (anchor - negative) ** 2)

    def backward(self, grad_output=None):
        g = self.upstream(grad_output)
        a, p, n = self.saved()
        return 2 * g * (n - p), 2 * g * (p - a), self.last * 2 * g * (a - n)


def test_targets_wherever_they_stand():
    var = np.exp(X)
    found = nn.gradcheck(GaussianNLL(), X, X[::-1], var)
    assert list(found.errors) == ["prediction", "var"] and found.skipped == {"target": "a target: no gradient"}
    found = nn.gradcheck(TwoTargets(), X, X + 1, X[::-1])
    assert list(found.errors) == ["prediction"] and list(found.skipped) == ["target_a", "target_b"]
    found = nn.gradcheck(TargetFirst(), X, X + 1)
    assert list(found.errors) == ["prediction"] and list(found.skipped) == ["target"]


def test_an_input_is_no_target_unless_it_is_said_to_be():
    assert list(nn.gradcheck(Triplet(), X, X + 1, X[::-1]).errors) == ["anchor", "positive", "negative"]

    class Wrong(Triplet):
        last = 2.0

    assert kinds(report(Wrong(), X, X + 1, X[::-1])) == {("negative", "constant factor")}

    class Lacking(Triplet):
        def backward(self, grad_output=None):
            return (*super().backward(grad_output)[:2], None)

    assert kinds(report(Lacking(), X, X + 1, X[::-1])) == {("negative", "missing")}
    found = report(Lacking(), X, X + 1, X[::-1], except_for={"negative": "target"})
    assert found and found.skipped == {"negative": "a target: no gradient"}


# ---- the page


def test_what_the_page_shows_is_what_it_prints(capsys):
    text = (Path(nn.__file__).parents[1] / "docs" / "gradcheck.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL)
    names = {}
    for (language, code), (following, printed) in itertools.pairwise([*blocks, ("", "")]):
        if language == "python" and "import torch" not in code:
            exec(code, names)
            out = capsys.readouterr().out
            if out:
                assert following == "" and re.sub(r"\de-1\d", "#", out) == re.sub(r"\de-1\d", "#", printed)
