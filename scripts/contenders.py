"""Whole training steps of the same nets in several frameworks, each run in a process of its own by benchmark.py.

A contender is a function of a case that returns a function: one training step on the next batch (zero the gradients,
forward, loss, backward, Adam), which gives the loss as a Python float. Its own imports are inside it, so that a process
loads nothing else.

    python scripts/contenders.py NAME CASE THREADS        then a number of seconds a line on standard input

A case is one of CASES by name, or widths and batch like 784-256-10x128.
"""

import itertools
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

BATCHES = 8  # different ones, taken in turn
LR, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8


@dataclass
class Case:
    """A net of Linear and ReLU layers with a loss: MSE for one output, cross-entropy for several."""

    widths: tuple[int, ...]
    batch: int

    @classmethod
    def named(cls, text: str) -> "Case":
        """Return a case by its name or its widths and batch."""
        if text in CASES:
            return CASES[text]
        widths, _, batch = text.partition("x")
        return cls(tuple(map(int, widths.split("-"))), int(batch))

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


CASES = {
    "toy": Case((1, 64, 64, 1), 64),
    "tab": Case((16, 128, 128, 1), 128),
    "mnist": Case((784, 256, 128, 10), 128),
    "wide": Case((1024, 1024, 1024, 1024, 10), 512),
}
Step = Callable[[], float]


def parts(case: Case) -> tuple:
    """Return this project's model, loss and optimizer."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import nn
    import optim

    layers: list[nn.Module] = []
    for W, b in case.weights():
        linear = nn.Linear(W.shape[1], W.shape[0])
        linear.load_state_dict({"weight": W, "bias": b})
        layers += [linear, nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    model.needs_input_grad = False
    criterion = nn.CrossEntropyLoss() if case.classifies else nn.MSELoss()
    return model, criterion, optim.Adam(model.parameters(), lr=LR)


def handgrad(case: Case) -> Step:
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


def _torch(case: Case, fused: bool = False, compiled: bool = False) -> Step:
    import torch

    torch.manual_seed(0)
    layers: list[torch.nn.Module] = []
    for inputs, outputs in itertools.pairwise(case.widths):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
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


def torch_eager(case: Case) -> Step:
    """PyTorch as people write it."""
    return _torch(case)


def torch_fused(case: Case) -> Step:
    """PyTorch with Adam in one kernel."""
    return _torch(case, fused=True)


def torch_compiled(case: Case) -> Step:
    """PyTorch with forward, loss and backward compiled, and the fused Adam."""
    return _torch(case, fused=True, compiled=True)


def jax_jit(case: Case) -> Step:
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

    def update(params: list, m: list, v: list, count: jax.Array, x: jax.Array, y: jax.Array) -> tuple:
        loss, grads = jax.value_and_grad(loss_of)(params, x, y)
        m = jax.tree.map(lambda a, g: BETA1 * a + (1 - BETA1) * g, m, grads)
        v = jax.tree.map(lambda s, g: BETA2 * s + (1 - BETA2) * g * g, v, grads)
        size, root = LR / (1 - BETA1**count), jnp.sqrt(1 - BETA2**count)
        params = jax.tree.map(lambda w, a, s: w - size * a / (jnp.sqrt(s) / root + EPS), params, m, v)
        return params, m, v, count + 1, loss

    jitted = jax.jit(update, donate_argnums=(0, 1, 2, 3))
    params = jax.tree.map(jnp.asarray, case.weights())
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
    name, case, threads = sys.argv[1], Case.named(sys.argv[2]), int(sys.argv[3])
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
        print(json.dumps({"best": min(times), "median": statistics.median(times), "memory": peak - before}), flush=True)


if __name__ == "__main__":
    main()
