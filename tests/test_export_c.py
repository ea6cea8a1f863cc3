"""A model as a C file: it predicts and learns as Python does, compiles without a warning, and refuses clearly."""

import ctypes
import math
import re
import shutil
import subprocess

import numpy as np
import pytest
from lowered import WARNINGS, build, needs_compiler

import nn
import optim

RNG = np.random.default_rng(0)
X, LABELS, Y = RNG.normal(size=(32, 3)), RNG.integers(4, size=32), RNG.normal(size=(32, 1))
RULES = {
    "SGD": (optim.SGD, {}),
    "SGD-momentum": (optim.SGD, {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01}),
    "SGD-nesterov": (optim.SGD, {"momentum": 0.9, "nesterov": True, "maximize": True}),
    "Adam": (optim.Adam, {}),
    "Adam-amsgrad": (optim.Adam, {"amsgrad": True, "weight_decay": 0.1}),
    "AdamW": (optim.AdamW, {}),
    "RMSprop": (optim.RMSprop, {}),
    "RMSprop-centered": (optim.RMSprop, {"centered": True, "momentum": 0.5}),
}


def classifier(dtype="float64"):
    return nn.Sequential(
        nn.Linear(3, 5, dtype=dtype, generator=0), nn.ReLU(), nn.Linear(5, 4, dtype=dtype, generator=1)
    )


def branched():
    fork = nn.ConcatTable(nn.Linear(5, 5, generator=1), nn.Sequential(nn.Linear(5, 5, generator=2), nn.Tanh()))
    layers = [
        nn.Linear(3, 5, generator=0),
        fork,
        nn.CMulTable(),
        nn.Residual(nn.Softplus()),
        nn.Linear(5, 1, generator=3),
    ]
    return nn.Sequential(*layers).double()


class Net:
    """An exported model, compiled."""

    def __init__(self, folder, dtype=np.float64, flags=()):
        self.library = build(folder, (folder / "net.c").read_text(), *flags, name="library")
        self.dtype = dtype
        for name in ("loss", "gradients", "train_step"):
            if hasattr(self.library, name):
                getattr(self.library, name).restype = ctypes.c_double if dtype is np.float64 else ctypes.c_float

    def __call__(self, function, *arrays, n=None):
        """Call a function on arrays that begin with one of n rows."""
        arrays = [np.ascontiguousarray(a, self.dtype if a.dtype.kind == "f" else np.intc) for a in arrays]
        n = len(arrays[0]) if n is None else n
        return getattr(self.library, function)(ctypes.c_long(n), *(ctypes.c_void_p(a.ctypes.data) for a in arrays))

    def predict(self, x, *outputs):
        y = np.full(outputs, np.nan, self.dtype)
        x, y = np.ascontiguousarray(x, self.dtype if x.dtype.kind == "f" else np.intc), y
        assert (
            self.library.predict(ctypes.c_long(len(x)), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data))
            == 0
        )
        return y

    def array(self, name, size):
        kind = ctypes.c_double if self.dtype is np.float64 else ctypes.c_float
        return np.ctypeslib.as_array((kind * size).in_dll(self.library, name))


def python_step(model, criterion, optimizer, x, y):
    loss = criterion(model(x), y)
    optimizer.zero_grad()
    model.backward(criterion.backward())
    optimizer.step()
    return loss


# ---- it does what Python does


@needs_compiler
@pytest.mark.parametrize("rule", RULES)
def test_a_hundred_steps_of_each_rule(rule, tmp_path):
    kind, settings = RULES[rule]
    model, criterion = classifier(), nn.CrossEntropyLoss()
    optimizer = kind(model.parameters(), lr=0.003, **settings)
    python_step(model, criterion, optimizer, X, LABELS)  # the state goes along
    nn.export_c(model, X[:2], tmp_path / "net.c", criterion=criterion, optimizer=optimizer, max_batch=32)
    net = Net(tmp_path)
    for step in range(100):
        n = (7, 32, 1, 16)[step % 4]
        expected = python_step(model, criterion, optimizer, X[:n], LABELS[:n])
        assert net("train_step", X[:n], LABELS[:n]) == pytest.approx(expected, rel=1e-10)
    weights = np.concatenate([p.data.ravel() for p in model.parameters()])
    np.testing.assert_allclose(net.array("weights", weights.size), weights, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(net.predict(X[:9], 9, 4), model(X[:9]), rtol=1e-10, atol=1e-10)
    assert net("loss", X[:9], LABELS[:9]) == pytest.approx(criterion(model(X[:9]), LABELS[:9]), rel=1e-10)


@needs_compiler
def test_branches_and_float32(tmp_path):
    model, criterion = branched().float(), nn.HuberLoss()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    nn.export_c(model, (X[:2], Y[:2]), tmp_path / "net.c", criterion=criterion, optimizer=optimizer, max_batch=32)
    net = Net(tmp_path, np.float32)
    for _ in range(20):
        expected = python_step(model, criterion, optimizer, X.astype(np.float32), Y.astype(np.float32))
        assert net("train_step", X, Y) == pytest.approx(expected, rel=1e-5)
    gradients = np.concatenate([p.grad.ravel() for p in model.parameters()])
    np.testing.assert_allclose(net.array("weight_gradients", gradients.size), gradients, rtol=1e-3, atol=1e-6)


@needs_compiler
def test_frozen_parameters_and_groups(tmp_path):
    model, criterion = classifier(), nn.CrossEntropyLoss()
    model[0].bias.requires_grad = False
    groups = [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[2].parameters(), "momentum": 0.5}]
    optimizer = optim.SGD(groups, lr=0.01)
    nn.export_c(model, X[:2], tmp_path / "net.c", criterion=criterion, optimizer=optimizer)
    net = Net(tmp_path)
    for _ in range(9):
        assert net("train_step", X, LABELS) == pytest.approx(
            python_step(model, criterion, optimizer, X, LABELS), rel=1e-10
        )


@needs_compiler
def test_dropout_draws_in_training_alone(tmp_path):
    model, criterion = nn.Sequential(nn.Dropout(0.25), nn.Linear(3, 1, dtype="float64", generator=0)), nn.MSELoss()
    optimizer = optim.SGD(model.parameters(), lr=0.0)
    nn.export_c(model, (X[:2], Y[:2]), tmp_path / "net.c", criterion=criterion, optimizer=optimizer)
    net = Net(tmp_path)
    model.eval()
    np.testing.assert_allclose(net.predict(X, 32, 1), model(X), rtol=1e-12)
    losses = [net("gradients", X, Y) for _ in range(2)]
    assert losses[0] != losses[1]
    net.library.seed_generator(ctypes.c_ulong(5))
    again = [net("gradients", X, Y) for _ in range(2)]
    net.library.seed_generator(ctypes.c_ulong(5))
    assert [net("gradients", X, Y) for _ in range(2)] == again != losses


@needs_compiler
def test_several_inputs_and_outputs(tmp_path):
    model = nn.Sequential(
        nn.ParallelTable(nn.Linear(3, 2, generator=0), nn.Tanh()), nn.ConcatTable(nn.CAddTable(), nn.CMulTable())
    )
    a, b = X[:5].astype(np.float32), RNG.normal(size=(5, 2)).astype(np.float32)
    nn.export_c(model, (a, b), tmp_path / "net.c")
    assert (
        "int predict(long n, const float *x0, const float *x1, float *y0, float *y1);"
        in (tmp_path / "net.h").read_text()
    )
    total, product = np.empty((5, 2), np.float32), np.empty((5, 2), np.float32)
    assert Net(tmp_path, np.float32)("predict", a, b, total, product) == 0
    for found, expected in zip((total, product), model(a, b), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_memory_is_as_small_as_what_is_alive(tmp_path):
    model = nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
    nn.export_c(model, np.zeros((1, 1)), tmp_path / "net.c", max_batch=2)
    assert "#define MEMORY_BYTES 256 " in (tmp_path / "net.h").read_text()  # two layers of 16 for 2 rows, 4 bytes each
    assert "const float weights[321]" in (tmp_path / "net.h").read_text()


# ---- compilers

COMPILERS = {"gcc": "-std=c99", "clang": "-std=c99", "g++": "-xc++ -std=c++11", "clang++": "-xc++ -std=c++11"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    model = nn.Sequential(nn.Linear(3, 5), nn.Dropout(), nn.Residual(nn.Tanh()), nn.Linear(5, 4))
    criterion = nn.CrossEntropyLoss(weight=[1, 2, 3, 4], label_smoothing=0.1)
    before = [{"name": "a*/ /* ??/", "levels": ["x", 'y"?\\', "ü"], "mean": [0.5, 0.25, 0.25]}]
    optimizer = optim.Adam(model.parameters())
    after = {"classes": ["one", "two", 3, 4]}
    nn.export_c(model, X[:2], folder / "net.c", criterion=criterion, optimizer=optimizer, before=before, after=after)
    return folder


@pytest.mark.parametrize("compiler", COMPILERS)
def test_no_compiler_warns(compiler, exported, tmp_path):
    if not shutil.which(compiler):
        pytest.skip(f"there is no {compiler} here")
    command = [
        compiler,
        *COMPILERS[compiler].split(),
        *WARNINGS,
        "-c",
        str(exported / "net.c"),
        "-o",
        str(tmp_path / "net.o"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


MAIN = """
#include <stdio.h>
#include "net.h"
int main(void) {
    static float x[MAX_BATCH * 3], y[MAX_BATCH * 4];
    static int target[MAX_BATCH];
    double row[1] = {0};
    for (int k = 0; k < MAX_BATCH * 3; k++) x[k] = (float)(k % 7) / 7;
    for (int k = 0; k < MAX_BATCH; k++) target[k] = k % 4;
    for (int k = 0; k < 20; k++) train_step(MAX_BATCH - k, x, target);
    if (predict(MAX_BATCH, x, y) || predict_row(row, y)) return 1;
    if (!predict(MAX_BATCH + 1, x, y) || !predict(0, x, y)) return 2;
    if (loss(MAX_BATCH + 1, x, target) == loss(MAX_BATCH + 1, x, target)) return 3;
    target[3] = 4; /* a class that there is not */
    float refused = train_step(4, x, target);
    if (refused == refused) return 4;
    printf("%g\\n", loss(3, x, target));
    return level_of(0, "y\\"?\\\\") != 1 || level_of(0, "z") != -1 || level_of(1, "x") != -1;
}
"""


@needs_compiler
def test_sanitizers_find_nothing(exported, tmp_path):
    (tmp_path / "main.c").write_text(MAIN)
    flags = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{exported}"]
    program = tmp_path / "program"
    command = [
        shutil.which("gcc") or "clang",
        *flags,
        str(tmp_path / "main.c"),
        str(exported / "net.c"),
        "-o",
        str(program),
        "-lm",
    ]
    built = subprocess.run(command, capture_output=True, text=True)
    if "cannot find" in built.stderr:
        pytest.skip("there are no sanitizers here")
    assert built.returncode == 0, built.stderr
    done = subprocess.run([str(program)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert math.isfinite(float(done.stdout))


# ---- rows of a table


@needs_compiler
def test_raw_rows_and_levels(tmp_path):
    model = nn.Sequential(nn.Linear(4, 2, generator=0), nn.ReLU(), nn.Linear(2, 1, generator=1))
    before = [
        {"name": "origin", "levels": ["JP", "US", "EU"], "mean": [0.5, 0.25, 0.25]},
        {"name": "weight", "shift": 3000.0, "scale": 500.0, "mean": 2900.0},
    ]
    after = {"name": "mpg", "mean": 23.5, "std": 7.5}
    nn.export_c(model, np.zeros((1, 4)), tmp_path / "net.c", before=before, after=after)
    net = Net(tmp_path, np.float32)
    rows = {(1, 3500.0): [0, 1, 0, 1], (-1, 3500.0): [0.5, 0.25, 0.25, 1], (2, math.nan): [0, 0, 1, -0.2]}
    for row, x in rows.items():
        y = (ctypes.c_float * 1)()
        assert net.library.predict_row((ctypes.c_double * 2)(*row), y) == 0
        expected = model(np.array([x], np.float32)) * 7.5 + 23.5
        assert y[0] == pytest.approx(float(expected[0, 0]), rel=1e-6)
    assert [net.library.level_of(0, name) for name in (b"JP", b"EU", b"E", b"")] == [0, 2, -1, -1]


@needs_compiler
def test_rows_of_a_classification_give_probabilities(exported):
    net = Net(exported, np.float32)
    y = (ctypes.c_float * 4)()
    assert net.library.predict_row((ctypes.c_double * 1)(1), y) == 0
    assert sum(y) == pytest.approx(1, rel=1e-6)


# ---- what is refused


class Silent(nn.Module):
    def forward(self, x):
        x = self.cast(x)
        self.save_for_backward(output=x)
        return x

    def backward(self, grad_output):
        self.saved()
        return self.upstream(grad_output)


REFUSED = {
    "no equations": (lambda: {"model": nn.Sequential(nn.Linear(3, 2), nn.Sequential(Silent()))}, ValueError, r"1\.0 \(Silent\(\)\) has no lowering: it states no equations"),
    "two dtypes": (lambda: {"model": nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1).double())}, ValueError, "one dtype, got parameters of"),
    "half precision": (lambda: {"model": nn.Linear(3, 2, dtype="float16")}, ValueError, "float32 and float64, got parameters of float16"),
    "another name": (lambda: {"path": "net.cpp"}, ValueError, "a path that ends in .c, got"),
    "no module": (lambda: {"model": nn.Linear}, TypeError, "a Module as model, got"),
    "no loss": (lambda: {"optimizer": optim.SGD(nn.Linear(3, 2).parameters())}, ValueError, "a criterion with the optimizer"),
    "another model's optimizer": (lambda: {"criterion": nn.MSELoss(), "optimizer": optim.SGD([nn.Parameter([1.0, 2.0])])}, ValueError, r"a parameter of shape \(2,\) that the model has not"),
    "a loss a sample": (lambda: {"criterion": nn.MSELoss(reduction="none")}, ValueError, "gives several losses: take reduction 'mean' or 'sum'"),
    "an example of no rows": (lambda: {"example": np.zeros((0, 3))}, ValueError, r"an example of at least one row, got shape \(0, 3\)"),
    "no room": (lambda: {"max_batch": 0}, ValueError, "max_batch"),
    "an example of another width": (lambda: {"example": np.zeros((2, 4))}, ValueError, r"expects input of shape \(\.\.\., 3\), got \(2, 4\)"),
    "other columns": (lambda: {"before": [{"name": "a", "shift": 0, "scale": 1, "mean": 0}]}, ValueError, "a model of one input of 1 features"),
    "a column without scale": (lambda: {"before": [{"name": "a"}]}, ValueError, "column 0 of `before` to have mean, scale, shift"),
    "classes": (lambda: {"before": [{"name": n, "shift": 0, "scale": 1, "mean": 0} for n in "abc"], "after": {"classes": [1, 2, 3]}}, ValueError, "as many classes in `after` as outputs, 2, got 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path):
    changes, error, text = REFUSED[name]
    arguments = {"model": nn.Linear(3, 2), "example": np.zeros((2, 3)), "path": tmp_path / "net.c"} | changes()
    if isinstance(arguments["path"], str):
        arguments["path"] = tmp_path / arguments["path"]
    with pytest.raises(error, match=text):
        nn.export_c(arguments.pop("model"), arguments.pop("example"), arguments.pop("path"), **arguments)
    assert not list(tmp_path.iterdir())


@needs_compiler
def test_a_fixed_batch_size_says_so(tmp_path):
    nn.export_c(nn.Linear(3, 2, generator=0), X[0], tmp_path / "net.c")
    assert re.search(r"#define MAX_BATCH 3 /\* the largest n, and the only one", (tmp_path / "net.h").read_text())
