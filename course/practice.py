"""What a student sees who runs the handed-out train.py: the check, hints, and in the end the fit."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .checking import check, form_of
from .filling import Filling
from .gradients import BLANKS, NAMES
from .hints import steps
from .naming import Verdict
from .sheet import Sheet

SHOWN = 10  # lines of losses
PRINTED = 5  # lines that a student's own print is good for
BELOW: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14), "frameon": False, "columnspacing": 1}
BROAD: dict[str, Any] = {
    "linewidth": 4,
    "alpha": 0.4,
}  # a pale line below a narrow one: both are seen where they run together


def main(module: Mapping[str, Any], argv: list[str] | None = None) -> int:
    """Run train.py: check it and train, or give a hint; return the exit status.

    Args:
        module: the globals of train.py.
        argv: the arguments; None for those of the command line.
    """
    path = Path(module["__file__"])
    parser = argparse.ArgumentParser(prog=path.name, description="Check the gradients; train once all are right.")
    parser.add_argument("--hint", metavar="NAME", type=_gradient, help="a hint for a gradient, such as dW1; ask again")
    parser.add_argument("--check", action="store_true", help="check, and do not train")
    parser.add_argument("--plot", metavar="FILE", default=str(path.with_name("fit.png")), help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the toy data and the initial parameters (default: 0)")
    arguments = parser.parse_args(argv)
    source = path.read_text(encoding="utf-8-sig")
    sheet = Sheet(form_of(source))
    if arguments.hint:
        return _give_hint(sheet, arguments.hint, path.with_name(".hints.json"))
    try:
        filling = Filling(source, str(path), module)
    except LookupError as error:
        print(f"{path.name}: {error.args[0]}")
        return 1
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):  # each line is run many times
        verdicts = check(filling, sheet, np.random.default_rng())
    if lines := printed.getvalue().splitlines():
        print(f"backward prints {len(lines)} lines while it is checked, at first:")
        print("\n".join([*(f"    {line}" for line in lines[:PRINTED]), ""]))
    print("\n".join(map(_line, verdicts)))
    right = [verdict for verdict in verdicts if verdict.state == "right"]
    print(f"\n{len(right)} of {len(BLANKS)} gradients are right.")
    for verdict in verdicts:
        if verdict.state != "right":
            if verdict.name in NAMES:
                print(f"Next: {verdict.name}. For a hint: python {sys.argv[0]} --hint {verdict.name}")
            return 1
    if not arguments.check:
        _train(module, arguments)
    return 0


def _gradient(text: str) -> str:
    """Return the name of a gradient that is asked for as dW1, W1 or dJ/dW1."""
    name = "d" + text.removeprefix("dJ/").removeprefix("d")
    if name not in NAMES:
        raise argparse.ArgumentTypeError(f"there is no gradient {text}; there are {', '.join(NAMES)}")
    return name


def _line(verdict: Verdict) -> str:
    if verdict.state != "wrong":
        return f"{verdict.name:4}  {verdict.text}"
    return f"{verdict.name:4}  WRONG, {verdict.text}" + ("" if verdict.text.endswith("?") else ".")


# ---- hints


def _give_hint(sheet: Sheet, name: str, path: Path) -> int:
    """Print the hints for a gradient that were given before, and one more; which were, a file beside train.py knows."""
    texts = steps(sheet, BLANKS[NAMES.index(name)])
    given = _given(path)
    count = min(given.get(name, 0) + 1, len(texts))
    for number, step in enumerate(texts[:count], 1):
        print(f"Hint {number} of {len(texts)} for {name}: {step}")
    if count < len(texts):
        print("For the next hint, ask again.")
    try:
        path.write_text(json.dumps(given | {name: count}), encoding="utf-8")
    except OSError as error:
        print(f"(The next time it begins with hint 1 again: {path}: {error.strerror}.)")
    return 0


def _given(path: Path) -> dict[str, int]:
    """Return how many hints were given for each gradient; what cannot be read says none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: count for name, count in content.items() if type(count) is int} if type(content) is dict else {}


# ---- training


def _train(module: Mapping[str, Any], arguments: argparse.Namespace) -> None:
    """Train as train.py says, print the losses, and draw the fit."""
    epochs, floor = module["EPOCHS"], 0.5 * module["NOISE"] ** 2
    print("\nAll are right, so the network is trained.\n\nepoch  train loss  test loss")
    start, losses, parameters = time.perf_counter(), [], None
    for epoch, (parameters, *both) in enumerate(module["train"](arguments.seed), 1):  # noqa: B007
        losses.append(both)
        if epoch % max(1, epochs // SHOWN) == 0 or epoch in (1, epochs):
            print(f"{epoch:5}  {both[0]:10.5f}  {both[1]:9.5f}", flush=True)
    print(f"\ntrain loss {losses[-1][0]:.5f}, test loss {losses[-1][1]:.5f}, noise floor {floor:.5f} ", end="")
    print(f"({time.perf_counter() - start:.1f} s)")
    print(f"The noise floor is 1/2 {module['NOISE']}^2, half the variance of the noise: below it no network can get on")
    print("new samples. A test loss just above it is as good as can be.")
    _draw(arguments.plot, module["fit"](parameters), np.array(losses), floor)


def _draw(path: str, fit: tuple[np.ndarray, np.ndarray, np.ndarray], losses: np.ndarray, floor: float) -> None:
    """Draw the true function and the network on the left, and the losses on the right."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print('There is no picture: that needs matplotlib ("python -m pip install matplotlib").')
        return
    figure = Figure(figsize=(8.4, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    x, truth, network = fit
    left.plot(x, truth, color="black", label="true function", **BROAD)
    left.plot(x, network, color="tab:green", linewidth=1.5, label="network")
    left.set(xlabel="x", ylabel="y", title="the fit")
    left.legend(ncols=2, **BELOW)
    epochs = np.arange(1, len(losses) + 1)
    right.semilogy(epochs, losses[:, 0], color="tab:blue", label="train loss", **BROAD)
    right.semilogy(epochs, losses[:, 1], color="tab:orange", linewidth=1.5, label="test loss")
    right.axhline(floor, color="black", linewidth=1, linestyle="--", label="noise floor")
    right.set(xlabel="epoch", title="J a sample")
    right.legend(ncols=3, **BELOW)
    figure.savefig(path, dpi=120)
    print(f"The picture of the fit is {path}")
