"""What the scripts share: the way to the packages, arguments, clean failures, and files written whole."""

import argparse
import contextlib
import itertools
import json
import math
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a bare clone works without an installation
sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal without Unicode still prints
sys.stderr.reconfigure(errors="replace")  # type: ignore[union-attr]

import nn  # noqa: E402

np.seterr(over="ignore", invalid="ignore")  # the scripts look at the loss themselves, and say more


def fail(message: object) -> NoReturn:
    """End the script with a message and exit status 1."""
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")


def positive_int(text: str) -> int:
    """Read an argument that counts something."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text}")
    return value


def non_negative(text: str) -> float:
    """Read an argument that is a finite number of at least 0."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a finite number of at least 0, got {text}")
    return value


def seed(text: str) -> int:
    """Read an argument that starts a generator."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text}")
    return value


def processor() -> str:
    """Return the name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def mlp(widths: Sequence[int], generator: np.random.Generator | None) -> nn.Sequential:
    """Return Linear, ReLU, ..., Linear through the given widths."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs, generator=generator), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    model.needs_input_grad = False  # nobody asks for the gradient of the data
    return model


def stop_unless_finite(loss: float, model: nn.Module, x: np.ndarray, epoch: int) -> None:
    """End the script when a loss is NaN or infinite, with the epoch and the layer where that first appeared."""
    if not math.isfinite(loss):
        where = nn.first_nonfinite(model, x) or "the loss itself"
        fail(f"the loss is {loss} in epoch {epoch + 1}; first not finite: {where}; try a smaller --lr")


def save_state(state: dict[str, Any], path: str) -> None:
    """Write a state, whole or not at all."""
    try:
        nn.save(state, path)
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")


@contextlib.contextmanager
def output(path: str | None) -> Iterator[TextIO]:
    """Open a file to write text to, which is there only once it is whole; without a path, standard output."""
    if path is None:
        yield sys.stdout
        return
    beside = f"{path}.part"
    try:
        with open(beside, "w", encoding="utf-8", newline="") as file:
            yield file
        os.replace(beside, path)
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")
    finally:
        Path(beside).unlink(missing_ok=True)


def write_json(values: dict[str, Any], path: str) -> None:
    """Write a JSON file."""
    with output(path) as file:
        file.write(json.dumps(values, indent=2) + "\n")


def new_figure(width: float, height: float) -> Any:
    """Return an empty matplotlib Figure, or None, with a word of why, where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no picture: matplotlib is not installed (pip install 'handgrad[plot]')", file=sys.stderr)
        return None
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, path: str) -> None:
    """Write a figure, in the format that the file's ending names."""
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        fail(f"cannot write the picture {path}: {error}")
