"""What the scripts share: the way to the packages, arguments, clean failures, and files written whole."""

import argparse
import contextlib
import itertools
import json
import math
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a bare clone works without an installation
for stream in ("stdout", "stderr"):
    if getattr(sys, stream) is None:  # closed, as by `>&-`: that loses what is printed, and no more
        setattr(sys, stream, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    getattr(sys, stream).reconfigure(errors="replace")  # a terminal without Unicode still prints

import nn  # noqa: E402
from nn.files import whole_file  # noqa: E402

np.seterr(over="ignore", invalid="ignore")  # the scripts look at the loss themselves, and say more


def run(main: Callable[[], None]) -> None:
    """Run a script, so that whatever stops it ends in one line and exit status 1, and not in a traceback."""
    try:
        main()
        with standard_output() as file:
            file.flush()
    except KeyboardInterrupt:
        sys.exit("interrupted")
    except MemoryError as error:
        fail(f"there is not enough memory. {error}".rstrip(". "))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else error)
    except (ValueError, TypeError, RuntimeError) as error:  # the library's own, whose texts are written to be read
        fail(error)
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        fail(f"{type(error).__name__}: {error} (unexpected; `python -X dev` shows where)")


def fail(message: object) -> NoReturn:
    """End the script with a message and exit status 1."""
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")


@contextlib.contextmanager
def standard_output() -> Iterator[TextIO]:
    """Give standard output; where it takes nothing more, as under `| head -1`, what follows is lost without harm."""
    try:
        yield sys.stdout
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"standard output: {error.strerror}", file=sys.stderr)


def say(*values: object) -> None:
    """Print at once, and go on where nobody listens any more."""
    with standard_output() as file:
        print(*values, file=file, flush=True)


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


def check_paths(
    parser: argparse.ArgumentParser, *, reads: Mapping[str, str | None], writes: Mapping[str, str | None]
) -> None:
    """End the script at once where a file could not be written in the end, or would be lost.

    Args:
        parser: what reports it.
        reads: the files that are read, by option; None where the option was not given.
        writes: the same of the files that are written.
    """
    given = {option: path for option, path in {**reads, **writes}.items() if path is not None}
    for option, path in given.items():
        if not path:
            parser.error(f"{option} expects the name of a file, got an empty one")
        if option in writes:
            folder = os.path.dirname(path) or os.curdir
            if not os.path.isdir(folder):
                parser.error(f"{option} {path}: there is no folder {folder}")
            if not os.path.basename(path) or (os.path.exists(path) and not os.path.isfile(path)):
                parser.error(f"{option} {path}: expected a regular file, got a folder, a device or a pipe")
    for (first, one), (second, other) in itertools.combinations(given.items(), 2):
        if second in writes and _same_file(one, other):
            parser.error(f"{second} {other} would overwrite {first} {one}")


def _same_file(one: str, other: str) -> bool:
    if os.path.exists(one) and os.path.exists(other):
        return os.path.samefile(one, other)
    return os.path.realpath(one) == os.path.realpath(other)


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


def save_run(
    args: argparse.Namespace, identity: Sequence[str], parts: Mapping[str, Any], history: dict[str, list[float]]
) -> None:
    """Write a run's checkpoint: its settings, the figures of its epochs, and the state of each part."""
    settings = {name: getattr(args, name) for name in identity}
    state = {name: part.state_dict() for name, part in parts.items()}
    save_state({"settings": settings, "history": history, **state}, args.checkpoint)


def resume(
    args: argparse.Namespace, identity: Sequence[str], parts: Mapping[str, Any], history: dict[str, list[float]]
) -> None:
    """Put every part of a run, and the figures of its epochs, back as the checkpoint has them; end the script if not.

    Args:
        args: of the script, with checkpoint, epochs and quiet.
        identity: the settings that make a run what it is: those of the checkpoint must be the same.
        parts: what has a state, by name; a learning rate schedule, which counts the epochs, among them.
        history: a list for each kind of figure, to be filled.
    """
    path = args.checkpoint
    try:
        state = nn.load(path)
        theirs = state["settings"]
        different = [name for name in identity if theirs[name] != getattr(args, name)]
        if different:
            flags = ", ".join(f"--{n.replace('_', '-')} {theirs[n]} and not {getattr(args, n)}" for n in different)
            fail(f"{path} belongs to another run: it was made with {flags}")
        for name, losses in history.items():
            losses += map(float, state["history"][name])
        done = state["schedule"]["last_epoch"]
        if any(len(losses) != done for losses in history.values()):
            fail(f"{path} is no checkpoint of this script: it lacks the losses of some epochs")
        for name, part in parts.items():
            part.load_state_dict(state[name])
    except FileNotFoundError:
        fail(f"nothing to resume: there is no checkpoint {path}")
    except (KeyError, TypeError) as error:
        fail(f"{path} is no checkpoint of this script: {error!r}")
    except (OSError, ValueError) as error:
        fail(error)
    if done >= args.epochs and not args.quiet:
        say(f"{path} has all of its {done} epochs: nothing is left to train")


@contextlib.contextmanager
def output(path: str | None) -> Iterator[TextIO]:
    """Open a file to write text to, which is there only once it is whole; without a path, standard output."""
    if path is None:
        with standard_output() as file:
            yield file
            file.flush()
        return
    try:
        with whole_file(path, "utf-8") as file:
            yield file
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")


def write_json(values: dict[str, Any], path: str) -> None:
    """Write a JSON file, with null for numbers that are not finite, which JSON lacks."""
    with output(path) as file:
        file.write(json.dumps(_finite(values), indent=2, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def new_figure(width: float, height: float) -> Any:
    """Return an empty matplotlib Figure, or None, with a word of why, where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no picture: matplotlib is not installed (pip install 'handgrad[plot]')", file=sys.stderr)
        return None
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, path: str) -> None:
    """Write a figure, whole or not at all, in the format that the file's ending names (PNG without one)."""
    try:
        with whole_file(path) as file:
            figure.savefig(file, dpi=120, format=Path(path).suffix[1:] or "png")
    except OSError as error:
        fail(f"cannot write the picture {path}: {error.strerror or error}")
    except ValueError as error:
        fail(f"cannot write the picture {path}: {error}")
