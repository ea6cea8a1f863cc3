"""Whole training steps of the same nets in several frameworks, each run in a process of its own by benchmark.py.

A contender is a function of a case that returns a function: one training step on the next batch (zero the gradients,
forward, loss, backward, Adam), which gives the loss as a Python float. Its own imports are inside it, so that a process
loads nothing else.

    python scripts/contenders.py NAME CASE THREADS        then a number of seconds a line on standard input

A case is one of CASES by name, or widths and batch like 784-256-10x128, or the channels, the side of an image and the
batch of the small convolutional net like cnn-8-28x64.
"""

import itertools
import json
import math
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

BATCHES = 8  # different ones, taken in turn
LR, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8


@dataclass
class Case:
    """A net of Linear and ReLU layers with a loss: MSE for one output, cross-entropy for several."""

    widths: tuple[int, ...]
    batch: int

    def __str__(self) -> str:
        return "-".join(map(str, self.widths)) + f"x{self.batch}"

    @property
    def classifies(self) -> bool:
        return self.widths[-1] > 1

    def data(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the batches, float32, targets (N, 1) or class indices (N,)."""
        rng = np.random.default_rng(0)
        x = rng.standard_normal((BATCHES, self.batch, self.widths[0]), dtype=np.float32)
        if self.classifies:
            return list(zip(x, rng.integers(self.widths[-1], size=(BATCHES, self.batch)), strict=True))
        return list(zip(x, np.sin(x.sum(2, keepdims=True)), strict=True))

    def weights(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return each layer's W (out, in) and b (out,), float32."""
        rng = np.random.default_rng(1)
        return [
            (
                rng.uniform(-1, 1, (outputs, inputs)).astype(np.float32) / np.float32(inputs**0.5),
                np.zeros(outputs, np.float32),
            )
            for inputs, outputs in itertools.pairwise(self.widths)
        ]

    def modules(self, nn: Any) -> list[Any]:
        """Return the layers, from a package that has PyTorch's names."""
        pairs = itertools.pairwise(self.widths)
        return [layer for inputs, outputs in pairs for layer in (nn.Linear(inputs, outputs), nn.ReLU())][:-1]


@dataclass
class ImageCase:
    """A convolutional net with cross-entropy: (channels, height, width) of an image, and a function of a package that
    has PyTorch's names, which returns the layers."""

    shape: tuple[int, int, int]
    batch: int
    modules: Callable[[Any], list[Any]]
    classifies = True

    def data(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the batches: images, float32, and class indices (N,)."""
        rng = np.random.default_rng(0)
        x = rng.standard_normal((BATCHES, self.batch, *self.shape), dtype=np.float32)
        return list(zip(x, rng.integers(10, size=(BATCHES, self.batch)), strict=True))


@dataclass
class SmallCNN(ImageCase):
    """Two convolutions, the second with twice the channels, each with ReLU and pooling, and a linear map."""

    channels: int

    def __init__(self, channels: int = 8, side: int = 28, batch: int = 64) -> None:
        super().__init__((1, side, side), batch, self._modules)
        self.channels = channels

    def _modules(self, nn: Any) -> list[Any]:
        c, side = self.channels, self.shape[1]
        layers = [nn.Conv2d(1, c, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.Conv2d(c, 2 * c, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        return [*layers, nn.Flatten(), nn.Linear(2 * c * (side // 4) ** 2, 10)]

    def weights(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return each layer's W and b, float32."""
        rng = np.random.default_rng(1)
        c, inputs = self.channels, 2 * self.channels * (self.shape[1] // 4) ** 2
        shapes = [(c, 1, 3, 3), (2 * c, c, 3, 3), (10, inputs)]
        return [
            (
                rng.uniform(-1, 1, shape).astype(np.float32) / np.float32(math.prod(shape[1:]) ** 0.5),
                np.zeros(shape[0], np.float32),
            )
            for shape in shapes
        ]

    def __str__(self) -> str:
        return f"cnn-{self.channels}-{self.shape[1]}x{self.batch}"


def lenet(nn: Any) -> list[Any]:
    """The net of LeCun et al. (1998), with ReLU and the maximum in its poolings."""
    layers = [nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU()]
    layers += [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()]
    return [*layers, nn.Linear(84, 10)]


def convbn(nn: Any) -> list[Any]:
    """Three convolutions with BatchNorm, as in today's nets, and the mean over each map."""
    layers = []
    for inputs, outputs in ((3, 32), (32, 32), (32, 64)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    return [*layers[:6], nn.MaxPool2d(2), *layers[6:], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]


CASES: dict[str, Case | ImageCase] = {
    "toy": Case((1, 64, 64, 1), 64),
    "tab": Case((16, 128, 128, 1), 128),
    "mnist": Case((784, 256, 128, 10), 128),
    "wide": Case((1024, 1024, 1024, 1024, 10), 512),
    "cnn": SmallCNN(),
    "lenet": ImageCase((1, 28, 28), 64, lenet),
    "convbn": ImageCase((3, 32, 32), 32, convbn),
}


def case_named(text: str) -> Case | ImageCase:
    """Return a case by its name or its sizes."""
    if text in CASES:
        return CASES[text]
    sizes, _, batch = text.removeprefix("cnn-").partition("x")
    numbers = tuple(map(int, sizes.split("-")))
    return SmallCNN(*numbers, int(batch)) if text.startswith("cnn-") else Case(numbers, int(batch))


Step = Callable[[], float]


def parts(case: Case | ImageCase) -> tuple:
    """Return this project's model, loss and optimizer."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import nn
    import optim

    model = nn.Sequential(*case.modules(nn))
    if isinstance(case, Case):  # the weights of the contender that is bare
        for linear, (W, b) in zip(model[::2], case.weights(), strict=True):
            linear.load_state_dict({"weight": W, "bias": b})
    model.needs_input_grad = False
    criterion = nn.CrossEntropyLoss() if case.classifies else nn.MSELoss()
    return model, criterion, optim.Adam(model.parameters(), lr=LR)


def handgrad(case: Case | ImageCase) -> Step:
    """This project, written as its README has it."""
    model, criterion, optimizer = parts(case)
    batches = itertools.cycle(case.data())

    def step() -> float:
        x, y = next(batches)
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        model.backward(criterion.backward())
        optimizer.step()
        return float(loss)

    return step


def compiled(case: Case) -> Step:
    """The same, its step compiled to C by nn.compile."""
    model, criterion, optimizer = parts(case)
    import nn

    take = nn.compile(model, criterion, optimizer)
    batches = itertools.cycle(case.data())

    def step() -> float:
        return float(take(*next(batches)))

    return step


def bare(case: Case) -> Step:
    """The same step in straight NumPy, without any module: what the framework costs is the difference.

    It has the weights, and their gradients, as (in, out).
    """
    sizes = [(w.size, b.size) for w, b in case.weights()]
    total = sum(map(sum, sizes))
    flat, grad, m, v = (np.zeros(total, np.float32) for _ in range(4))
    weights, grads, place = [], [], 0
    for W, b in case.weights():
        for views, array in ((weights, flat), (grads, grad)):
            views.append((array[place : place + W.size].reshape(W.T.shape), array[place + W.size :][: b.size]))
        weights[-1][0][...] = W.T
        place += W.size + b.size
    batches = itertools.cycle(case.data())
    rows = np.arange(case.batch)
    ones = np.ones(case.batch, np.float32)
    zeros = [np.zeros((case.batch, width), np.float32) for width in case.widths[1:]]
    last = len(weights) - 1
    count = 0

    def step() -> float:
        nonlocal count
        x, y = next(batches)
        inputs = []
        for index, (W, b) in enumerate(weights):
            inputs.append(x)
            x = x.dot(W)
            x += b
            if index < last:
                x = np.maximum(x, zeros[index])
        if case.classifies:
            x -= x.max(1, keepdims=True)
            g = np.exp(x)
            total = g.sum(1, keepdims=True)
            loss = float((np.log(total[:, 0]) - x[rows, y]).mean())
            g /= total
            g[rows, y] -= 1
            g *= 1 / case.batch
        else:
            r = x - y
            loss = float(r.ravel().dot(r.ravel())) / r.size
            g = r * (2 / r.size)
        for index in range(last, -1, -1):
            W, _ = weights[index]
            dW, db = grads[index]
            np.dot(inputs[index].T, g, out=dW)
            np.dot(ones, g, out=db)
            if index:
                g = g.dot(W.T)
                g *= inputs[index] > 0
        count += 1
        step_size = LR * (1 - BETA2**count) ** 0.5 / (1 - BETA1**count)
        eps = EPS * (1 - BETA2**count) ** 0.5
        for start in range(0, len(flat), 1 << 17):
            w, g, a, s = (array[start : start + (1 << 17)] for array in (flat, grad, m, v))
            d = g - a
            d *= 1 - BETA1
            a += d
            d = g * g
            d *= 1 - BETA2
            s *= BETA2
            s += d
            d = np.sqrt(s)
            d += eps
            np.divide(a, d, out=d)
            d *= step_size
            w -= d
        return loss

    return step


def limit(case: Case) -> Step:
    """Nothing but the matrix products that the step cannot do without, each into a ready buffer."""
    weights = [np.ascontiguousarray(W.T) for W, _ in case.weights()]
    outputs = [np.empty((case.batch, width), np.float32) for width in case.widths[1:]]
    grads = [np.empty_like(W) for W in weights]
    upstream = [np.ones_like(y) for y in outputs]
    batches = itertools.cycle(case.data())

    def step() -> float:
        x, _ = next(batches)
        inputs = [x, *outputs[:-1]]
        for W, x, y in zip(weights, inputs, outputs, strict=True):
            np.dot(x, W, out=y)
        for index in range(len(weights) - 1, -1, -1):
            np.dot(inputs[index].T, upstream[index], out=grads[index])
            if index:
                np.dot(upstream[index], weights[index].T, out=upstream[index - 1])
        return 0.0

    return step


def _torch(case: Case | ImageCase, fused: bool = False, compiled: bool = False) -> Step:
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(*case.modules(torch.nn))
    criterion = torch.nn.CrossEntropyLoss() if case.classifies else torch.nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=fused or None)
    batches = itertools.cycle([(torch.from_numpy(x), torch.from_numpy(y)) for x, y in case.data()])

    def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return criterion(model(x), y)

    if compiled:
        loss_of = torch.compile(loss_of)

    def step() -> float:
        x, y = next(batches)
        optimizer.zero_grad()
        loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def torch_eager(case: Case | ImageCase) -> Step:
    """PyTorch as people write it."""
    return _torch(case)


def torch_fused(case: Case | ImageCase) -> Step:
    """PyTorch with Adam in one kernel."""
    return _torch(case, fused=True)


def torch_compiled(case: Case | ImageCase) -> Step:
    """PyTorch with forward, loss and backward compiled, and the fused Adam."""
    return _torch(case, fused=True, compiled=True)


def jax_jit(case: Case | ImageCase) -> Step:
    """JAX with the whole step compiled into one function, its state donated."""
    import jax
    import jax.numpy as jnp

    def loss_of(params: list, x: jax.Array, y: jax.Array) -> jax.Array:
        for W, b in params[:-1]:
            x = jnp.maximum(x @ W.T + b, 0)
        W, b = params[-1]
        f = x @ W.T + b
        if case.classifies:
            return -jnp.take_along_axis(jax.nn.log_softmax(f), y[:, None], 1).mean()
        return jnp.square(f - y).mean()

    def cnn_loss(params: list, x: jax.Array, y: jax.Array) -> jax.Array:
        for W, b in params[:-1]:
            layout = ("NCHW", "OIHW", "NCHW")
            x = jax.lax.conv_general_dilated(x, W, (1, 1), "SAME", dimension_numbers=layout) + b[:, None, None]
            x = jnp.maximum(x, 0)
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        W, b = params[-1]
        f = x.reshape(len(x), -1) @ W.T + b
        return -jnp.take_along_axis(jax.nn.log_softmax(f), y[:, None], 1).mean()

    def update(params: list, m: list, v: list, count: jax.Array, x: jax.Array, y: jax.Array) -> tuple:
        loss, grads = jax.value_and_grad(cnn_loss if isinstance(case, SmallCNN) else loss_of)(params, x, y)
        m = jax.tree.map(lambda a, g: BETA1 * a + (1 - BETA1) * g, m, grads)
        v = jax.tree.map(lambda s, g: BETA2 * s + (1 - BETA2) * g * g, v, grads)
        size, root = LR / (1 - BETA1**count), jnp.sqrt(1 - BETA2**count)
        params = jax.tree.map(lambda w, a, s: w - size * a / (jnp.sqrt(s) / root + EPS), params, m, v)
        return params, m, v, count + 1, loss

    jitted = jax.jit(update, donate_argnums=(0, 1, 2, 3))
    params = jax.tree.map(jnp.asarray, case.weights())  # of the convolutions, (out, in, 3, 3)
    state = (params, jax.tree.map(jnp.zeros_like, params), jax.tree.map(jnp.zeros_like, params), jnp.float32(1))
    batches = itertools.cycle([(jnp.asarray(x), jnp.asarray(y)) for x, y in case.data()])

    def step() -> float:
        nonlocal state
        x, y = next(batches)
        *now, loss = jitted(*state, x, y)
        state = tuple(now)
        return float(loss)

    return step


def sklearn(case: Case) -> Step:
    """scikit-learn's MLP: one epoch of its fit over the same batches, a step being its share."""
    import warnings

    from sklearn.neural_network import MLPClassifier, MLPRegressor

    warnings.simplefilter("ignore")  # that it has not converged
    kind = MLPClassifier if case.classifies else MLPRegressor
    settings = {"batch_size": case.batch, "alpha": 0.0, "shuffle": False, "max_iter": 1, "warm_start": True}
    model = kind(
        hidden_layer_sizes=case.widths[1:-1], learning_rate_init=LR, random_state=0, n_iter_no_change=10**9, **settings
    )
    x, y = (np.concatenate(arrays) for arrays in zip(*case.data(), strict=True))
    y = y.ravel()

    def step() -> float:
        model.fit(x, y)
        return float(model.loss_)

    step.steps = BATCHES  # type: ignore[attr-defined]
    return step


CONTENDERS = {
    f.__name__: f for f in (handgrad, compiled, bare, limit, torch_eager, torch_fused, torch_compiled, jax_jit, sklearn)
}
NEEDS = {"torch_eager": "torch", "torch_fused": "torch", "torch_compiled": "torch", "jax_jit": "jax"}
NEEDS["sklearn"] = "sklearn"
ONLY_LINEAR = {"bare", "limit", "sklearn"}  # contenders that have no convolution


def takes_part(name: str, case: Case | ImageCase) -> bool:
    """Tell whether a contender has what a case needs."""
    return isinstance(case, Case) or (name not in ONLY_LINEAR and (name != "jax_jit" or isinstance(case, SmallCNN)))


def resident() -> float:
    """Return the memory this process holds, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def timed(step: Step, seconds: float) -> list[float]:
    """Return the seconds a step takes, one number for each run of about 5 ms, for so many seconds."""
    per_call = getattr(step, "steps", 1)
    start = time.perf_counter()
    step()
    calls = max(1, int(0.005 / (time.perf_counter() - start)))
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(calls):
            step()
        times.append((time.perf_counter() - start) / calls / per_call)
    return times


def main() -> None:
    name, case, threads = sys.argv[1], case_named(sys.argv[2]), int(sys.argv[3])
    if hasattr(os, "sched_setaffinity"):  # JAX takes as many threads as it sees processors
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    if name in NEEDS:
        __import__(NEEDS[name])
    elif name in ("handgrad", "compiled"):
        parts(Case((1, 1), 1))  # imports it
    # glibc hands large freed blocks back to the system, and fresh ones cost page faults: 2 % of mnist. Once a block of
    # this size has been freed it keeps them, for every contender alike.
    np.empty(31 << 20, np.uint8)
    before = resident()
    step = CONTENDERS[name](case)
    step()
    if "--first" in sys.argv:
        return
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        times = timed(step, float(line))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            json.dumps(
                {"best": min(times), "median": statistics.median(times), "memory": peak - before, "process": peak}
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
