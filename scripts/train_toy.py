"""Fit a function of one variable with a three-layer ReLU network, under J = ½ ‖f(x) - y‖² a sample.

    python scripts/train_toy.py --plot toy.png

The training loop below is the whole of it: forward, loss, backward, step.
"""

import argparse
import math
import os
import sys
import time

import common
import numpy as np
import pictures
from tqdm import tqdm

import nn
import optim
from data import FUNCTIONS, DataLoader, TensorDataset, regression

TEST_SAMPLES = 5000  # enough that the test loss of the true function itself is within 2 % of the noise floor
SECONDS_BETWEEN_SAVES = 1.0  # of the checkpoint, at the end of an epoch
OPTIMIZERS = {"adam": optim.Adam, "adamw": optim.AdamW, "rmsprop": optim.RMSprop, "sgd": optim.SGD}
# What makes a run what it is: a checkpoint is only resumed under the same.
IDENTITY = ("function", "samples", "noise", "hidden", "batch_size", "lr", "optimizer", "seed")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--function", default="sine", choices=FUNCTIONS, help="what to learn (default: sine)")
    parser.add_argument("--samples", type=common.positive_int, default=1000, help="training samples")
    parser.add_argument("--noise", type=common.non_negative, default=0.1, help="standard deviation of the noise on y")
    parser.add_argument("--hidden", type=common.positive_int, nargs="+", default=[64, 64], help="hidden layer widths")
    parser.add_argument("--epochs", type=common.positive_int, default=150)
    parser.add_argument("--batch-size", type=common.positive_int, default=50)
    parser.add_argument("--lr", type=common.non_negative, default=3e-3, help="learning rate at the start; falls to 0")
    parser.add_argument("--optimizer", default="adam", choices=OPTIMIZERS)
    parser.add_argument("--seed", type=common.seed, default=0)
    parser.add_argument("--compile", action="store_true", help="take training steps in C")
    parser.add_argument("--plot", metavar="FILE", help="write a picture of the fit and the losses")
    parser.add_argument("--metrics", metavar="FILE", help="write the results as JSON")
    parser.add_argument("--checkpoint", metavar="FILE", help="save the run here, every second and at its end")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    args = parser.parse_args(argv)
    common.check_paths(
        parser,
        reads={},
        writes={"--plot": args.plot, "--metrics": args.metrics, "--checkpoint": args.checkpoint},
    )
    if args.resume and not args.checkpoint:
        parser.error("--resume needs --checkpoint FILE")
    return args


def train(args: argparse.Namespace) -> None:
    start = time.perf_counter()
    rng = np.random.default_rng(args.seed)
    x_train, y_train = regression(args.function, args.samples, args.noise, generator=rng)
    x_test, y_test = regression(args.function, TEST_SAMPLES, args.noise, generator=rng)
    model = common.mlp([1, *args.hidden, 1], rng)
    criterion = nn.HalfSquaredLoss()
    optimizer = OPTIMIZERS[args.optimizer](model.parameters(), lr=args.lr)
    schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5 * (1 + math.cos(math.pi * epoch / args.epochs)))
    loader = DataLoader(TensorDataset(x_train, y_train), args.batch_size, shuffle=True, generator=rng)
    history: dict[str, list[float]] = {"train_loss": [], "test_loss": []}
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule, "loader": loader}
    if args.resume:
        common.resume(args, IDENTITY, parts, history)

    def save() -> None:
        if args.checkpoint:
            common.save_run(args, IDENTITY, parts, history)

    def evaluate(x: np.ndarray, y: np.ndarray) -> float:
        with nn.no_grad():
            return float(criterion(model(x), y))

    compiled = nn.compile(model, criterion, optimizer) if args.compile else None
    done = len(history["train_loss"])
    saved = time.perf_counter()
    bar = tqdm(range(done, args.epochs), initial=done, total=args.epochs, unit="epoch", disable=args.quiet or None)
    for epoch in bar:
        for x, y in loader:
            if compiled:
                common.stop_unless_finite(compiled(x, y), model, x, epoch)
                continue
            loss = criterion(model(x), y)
            common.stop_unless_finite(loss, model, x, epoch)
            optimizer.zero_grad()
            model.backward(criterion.backward())
            optimizer.step()
        schedule.step()
        history["train_loss"].append(evaluate(x_train, y_train))
        history["test_loss"].append(evaluate(x_test, y_test))
        bar.set_postfix(train=f"{history['train_loss'][-1]:.5f}", test=f"{history['test_loss'][-1]:.5f}", refresh=False)
        if time.perf_counter() - saved > SECONDS_BETWEEN_SAVES:
            save()
            saved = time.perf_counter()
    save()

    metrics = {
        "train_loss": history["train_loss"][-1],
        "test_loss": history["test_loss"][-1],
        "noise_floor": 0.5 * args.noise**2,
        "epochs": len(history["train_loss"]),
        "seconds": time.perf_counter() - start,
        "seed": args.seed,
    }
    if args.metrics:
        common.write_json(metrics, args.metrics)
    figure = draw(args, model, x_train, y_train, history) if args.plot else None
    if figure:
        common.save_figure(figure, args.plot)
    if not args.quiet:
        common.say(f"train loss   {metrics['train_loss']:.6f}   J = 1/2 |f(x) - y|^2, mean over {args.samples} samples")
        common.say(f"test loss    {metrics['test_loss']:.6f}   mean over {TEST_SAMPLES} samples")
        common.say(f"noise floor  {metrics['noise_floor']:.6f}   1/2 sigma^2: no model can do better")
        if figure:
            common.say(f"picture      {args.plot}")


def draw(
    args: argparse.Namespace, model: nn.Module, x: np.ndarray, y: np.ndarray, history: dict[str, list[float]]
) -> object:
    """Return the picture: data, true function and fit on the left, both loss curves on the right."""
    grid = np.linspace(x.min(), x.max(), 500, dtype=np.float32)[:, None]
    with nn.no_grad():
        f = model(grid)
    function = (args.function, FUNCTIONS[args.function](grid))
    return pictures.draw_toy([1, *args.hidden, 1], (x, y), (grid, f), function, history, 0.5 * args.noise**2)


def main() -> None:
    args = parse()
    try:
        train(args)
    except KeyboardInterrupt:
        resumable = args.checkpoint and os.path.exists(args.checkpoint)
        sys.exit("interrupted: --resume goes on from the checkpoint" if resumable else "interrupted")


if __name__ == "__main__":
    common.run(main)
