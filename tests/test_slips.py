"""Forward is recorded, and the one slip in its chain rule that gives a wrong gradient is named."""

import math
import threading

import numpy as np
import pytest
from faults import INPUTS, layers

import nn
from nn.checking.experiment import Experiment
from nn.checking.functions import FunctionSubject
from nn.checking.mistakes import possible_slips
from nn.checking.modules import ModuleSubject
from nn.checking.operations import Record, Recorded
from nn.checking.slips import Slips
from nn.checking.state import RandomState

pytestmark = pytest.mark.usefixtures("unhurried")


def searched(subject):
    """Return the search for slips at the point of a subject, under a random upstream gradient."""
    e = Experiment(subject, RandomState(subject.sources))
    e.upstream = np.random.default_rng(1).normal(size=e.value.shape)
    return Slips(e)


def of_function(function, *shapes):
    inputs = [np.random.default_rng(0).normal(size=shape) if isinstance(shape, tuple) else shape for shape in shapes]
    return searched(FunctionSubject(function, tuple(inputs), lambda *_: None, cache=False))


# ---- what can be recorded, as people write it


def convolution(x, w, b, settings):
    s, p = settings["stride"], settings["pad"]
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    out = np.zeros((len(x), len(w), (padded.shape[2] - 2) // s + 1, (padded.shape[3] - 2) // s + 1))
    for n, f, i, j in np.ndindex(out.shape):
        out[n, f, i, j] = np.sum(padded[n, :, i * s : i * s + 2, j * s : j * s + 2] * w[f]) + b[f]
    return out


def stable_sigmoid(z):
    e = np.zeros_like(z)
    e[z >= 0], e[z < 0] = np.exp(-z[z >= 0]), np.exp(z[z < 0])
    top = np.ones_like(z)
    top[z < 0] = e[z < 0]
    return top / (1 + e)


def lstm(x, h, wx, wh):
    states, c = np.zeros((*x.shape[:2], 3)), np.zeros_like(h)
    for t in range(x.shape[1]):
        a = x[:, t].dot(wx) + h.dot(wh)
        i, f, o = (stable_sigmoid(a[:, k : k + 3]) for k in (0, 3, 6))
        c = f * c + i * np.tanh(a[:, 9:])
        h = o * np.tanh(c)
        states[:, t] = h
    return states


def heads(x, w):
    q, k, v = (part.reshape(2, 3, 2, 2).transpose(0, 2, 1, 3) for part in np.split(x @ w, 3, axis=-1))
    s = np.einsum("nhqd,nhkd->nhqk", q, k) / math.sqrt(2)
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return np.einsum("nhqk,nhkd->nhqd", e / np.sum(e, -1, keepdims=True), v).transpose(0, 2, 1, 3).reshape(2, 3, 4)


def columns(x, w):
    patches = np.lib.stride_tricks.as_strided(x, (2, 2, 2, 2), np.array(x.itemsize) * (3, 1, 3, 1))
    patches = np.ascontiguousarray(patches)
    patches.shape = (4, 4)
    return w @ patches


def in_place(x, w):
    y = x.copy()
    y[y < 0] = 0
    y += w
    y *= w
    np.add.at(y, [0, 0], w)
    return np.clip(y, -1, 1) + np.var(x, 0)


def list_of_rows(x):
    return np.array([np.linalg.norm(row) + np.logaddexp(row, 0).mean() for row in x])


@pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")  # NumPy 2.5's; people write it
@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (convolution, [(1, 2, 3, 3), (2, 2, 2, 2), (2,), {"stride": 1, "pad": 1}]),
        (lstm, [(2, 3, 2), (2, 3), (2, 12), (3, 12)]),
        (heads, [(2, 3, 4), (4, 12)]),
        (columns, [(3, 3), (2, 4)]),
        (in_place, [(3, 4), (4,)]),
        (list_of_rows, [(3, 4)]),
    ],
)
def test_functions_as_people_write_them_are_recorded(function, inputs):
    assert of_function(function, *inputs).true


def test_functions_of_several_operations_are_known():
    names = {operation.name for operation in of_function(lstm, (2, 3, 2), (2, 3), (2, 12), (3, 12)).rules[0].operations}
    assert "sigmoid" in names
    names = {operation.name for operation in of_function(heads, (2, 3, 4), (4, 12)).rules[0].operations}
    assert "softmax" in names


def test_what_is_not_made_of_known_operations_is_not_relied_upon():
    assert not of_function(lambda x: np.array([math.exp(v) for v in x]), (3,)).true
    assert not of_function(lambda x: x + np.vectorize(math.sin)(x), (3,)).true


@pytest.mark.parametrize("name", ["MaxPool2d", "LayerNorm", "BatchNorm2d", "RNN", "Attention", "LogSumExp", "Hinge"])
def test_each_slip_can_be_made(name):
    inputs = INPUTS[name](np.random.default_rng(1))
    search = searched(ModuleSubject(getattr(layers, name)(), inputs))
    assert search.true
    assert sum(1 for chain in search.rules for _ in possible_slips(chain)) > 20


# ---- what recording leaves behind


def test_numpy_is_as_it_was_and_other_threads_see_nothing_of_it():
    before, made = (np.zeros, np.array, np.lib.stride_tricks.as_strided), []
    record = Record()
    with pytest.raises(ZeroDivisionError), record.making():
        thread = threading.Thread(target=lambda: made.append(np.zeros(2)))
        thread.start()
        thread.join()
        assert type(np.zeros(2)) is Recorded
        raise ZeroDivisionError
    assert (np.zeros, np.array, np.lib.stride_tricks.as_strided) == before
    assert type(made[0]) is np.ndarray


def test_what_was_recorded_and_is_kept_is_recorded_no_more():
    record = Record()
    with record.making():
        kept = record.leaf(np.ones(3)) * 2
    count = len(record.operations)
    assert type(kept + 1) is type(kept.sum(0, keepdims=True)) is np.ndarray
    kept += 1
    kept[0] = 5
    assert kept.tolist() == [5, 3, 3] and len(record.operations) == count


# ---- what is said


def gates(x, w, u):
    h, states = np.zeros((len(x), 2)), []
    for t in range(4):
        before, z = h, x[:, t] @ w
        h = np.tanh(z) * stable_sigmoid(before @ u)
        states.append((before, np.tanh(z), stable_sigmoid(before @ u)))
    return h, (x, w, u, states)


def gates_backward(g, cache, *, slope=True, carried=True, turned=False):
    x, w, u, states = cache
    dx, dw, du = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u)
    for t, (before, z, s) in reversed(list(enumerate(states))):
        da = g * z * (s * (1 - s) if slope else s)
        dz = g * s * (1 - z**2)
        dx[:, t] = dz @ w.T
        dw += x[:, t].T @ dz
        du += before.T @ da
        g = da @ (u if turned else u.T) if carried else 0 * g
    return dx, dw, du


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ({"slope": False}, "where dy * (y * (1 - y)) should"),
        ({"carried": False}, "`before @ u` in line"),
        ({"turned": True}, "dy @ b goes back to a = before, where dy @ b.mT should"),
    ],
)
def test_the_slip_is_told_in_the_authors_own_line(mistake, said):
    inputs = [np.random.default_rng(0).normal(size=shape) for shape in ((3, 4, 3), (3, 2), (2, 2))]
    assert nn.gradcheck(gates, *inputs, backward=gates_backward)
    found = nn.gradcheck(
        gates, *inputs, backward=lambda g, cache: gates_backward(g, cache, **mistake), raise_exception=False
    )
    assert any(said in fault.message and "explains all that is wrong" in fault.message for fault in found.faults)
