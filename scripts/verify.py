"""Prove every row of tests/cases.py: its gradients against central differences, all its numbers against PyTorch's.

    python scripts/verify.py --markdown docs/gradients.md

Both modes of each row are run. PyTorch's numbers are those in tests/golden.npz, so PyTorch need not be installed. The
correct modules that the tests plant faults in are checked as well, since a checker is worth little if it cries wolf.
"""

import argparse
import copy
import itertools
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import common
import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(common.ROOT / "tests"))

from cases import CASES
from textbook import CORRECT

import nn

# What is compared, and how far off it may be.
LIMITS = {
    "slopes, float64": 1e-6,
    "slopes, float32": 1e-5,
    "PyTorch, float64": 1e-12,
    "PyTorch, float32": 1e-5,
}
INTRODUCTION = """\
# Every gradient, proven

By how much each row of `tests/cases.py` is off at most, over its outputs and all its gradients, in training and in
evaluation mode: the largest difference, relative to the largest entry of the array. *Slopes* are central differences
in float64, under a random upstream gradient; *PyTorch* is what PyTorch computes in float64 (`tests/golden.npz`), except
for dropout in training, since no two libraries draw alike. Float32 has seven digits, float64 sixteen.

Written by `python scripts/verify.py --markdown docs/gradients.md`, which fails where anything is off.
"""


@dataclass
class Row:
    """A module to verify, and what was found."""

    name: str
    build: Callable[[], nn.Module]
    draw: Callable[[np.random.Generator], tuple]
    golden: dict[str, Any] | None = None
    errors: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def enter(self, column: str, found: Any, expected: Any) -> None:
        """Enter by how much two arrays differ."""
        self.enter_error(column, relative(np.asarray(found), np.asarray(expected)))

    def enter_error(self, column: str, error: float) -> None:
        """Keep the largest error of a column; one that is too large is a fault."""
        self.errors[column] = max(error, self.errors.get(column, 0.0))
        if not error <= LIMITS[column]:
            self.faults.append(f"{self.name}: {column}: off by {error:.1e}, which is more than {LIMITS[column]:.0e}")

    def cells(self) -> list[str]:
        errors = [self.errors.get(column) for column in LIMITS]
        return ["-" if error is None else f"{error:.0e}" if error else "0" for error in errors]


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=common.positive_int, default=1, help="draws of each row (default: 1)")
    parser.add_argument("--markdown", metavar="FILE", help="write the table there")
    parser.add_argument("--quiet", action="store_true", help="print nothing but what is off")
    args = parser.parse_args(argv)
    common.check_paths(parser, reads={}, writes={"--markdown": args.markdown})
    return args


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference of two arrays, relative to the largest entry."""
    if found.shape != expected.shape:
        return float("inf")
    difference = np.abs(found - expected).max(initial=0)
    return float(difference / np.abs(expected).max(initial=0)) if difference else 0.0


def computed(module: nn.Module, inputs: Iterable[Any], g: np.ndarray, dtype: type) -> list[np.ndarray]:
    """Return the output, the gradient of the first input and those of the parameters, as computed in a dtype."""
    module = copy.deepcopy(module)
    module = module.double() if dtype is np.float64 else module.float()
    nn.manual_seed(0)
    y = module(*(x.astype(dtype) if x.dtype.kind == "f" else x for x in map(np.asarray, inputs)))
    module.zero_grad()
    gradient = module.backward(g.astype(dtype))
    found = [np.asarray(y), gradient, *(p.grad for p in module.parameters())]
    return found if all(array.dtype == dtype for array in found) else []


def against_slopes(row: Row, seed: int) -> None:
    """Check one draw of a row with nn.gradcheck; of the first draw, in float32 too."""
    rng = np.random.default_rng([seed, *row.name.encode()])
    module = row.build()
    for p in module.parameters():
        p.data[...] = rng.normal(size=p.data.shape)
    inputs = row.draw(rng)
    while isinstance(module, nn.Loss) and not np.isfinite(module(*inputs)).all():
        inputs = row.draw(rng)  # one that ignores every sample: their mean is NaN, as in PyTorch
    report = nn.gradcheck(module, *inputs, generator=seed, raise_exception=False)
    row.enter_error("slopes, float64", max(report.errors.values(), default=float("inf")))
    if not report:
        row.faults.append(f"{row.name}, seed {seed}: {report}")
    for training in (True, False) if row.golden and seed == 0 else ():
        module.train(training)
        g = np.asarray(rng.normal(size=np.shape(module(*inputs))))
        wide, narrow = (computed(module, inputs, g, dtype) for dtype in (np.float64, np.float32))
        for found, expected in itertools.zip_longest(narrow, wide, fillvalue=np.nan):
            row.enter("slopes, float32", found, expected)


def against_pytorch(row: Row) -> None:
    """Compare a row's numbers with PyTorch's, in both modes as far as they can be compared."""
    module = row.build().double()
    module.load_state_dict(row.golden["state"])
    for mode in {"train", "eval"} & row.golden.keys():
        golden = row.golden[mode]
        expected = [golden["output"], golden["grad_inputs"][0], *golden["grad_parameters"].values()]
        for dtype in (np.float64, np.float32):
            found = computed(module.train(mode == "train"), row.golden["inputs"], golden["grad_output"], dtype)
            for a, b in itertools.zip_longest(found, expected, fillvalue=np.nan):
                row.enter(f"PyTorch, {np.dtype(dtype).name}", a, b)


def write_markdown(rows: list[Row], path: str) -> None:
    """Write the table of the rows of tests/cases.py."""
    lines = [["row", *LIMITS], ["---"] + ["---:"] * len(LIMITS)]
    lines += [[row.name, *row.cells()] for row in rows if row.golden]
    with common.output(path) as file:
        file.write(INTRODUCTION + "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines))


def main(args: argparse.Namespace) -> None:
    golden = nn.load(common.ROOT / "tests" / "golden.npz")
    rows = [Row(case.name, case.build, case.draw, golden[case.name]) for case in CASES]
    rows += [Row(f"textbook {name}", build, draw) for name, (build, draw) in CORRECT.items()]
    width = max(len(row.name) for row in rows)
    say = (lambda text: None) if args.quiet else tqdm.write
    say(" " * width + "".join(f"{column:>18}" for column in LIMITS))
    bar = tqdm(total=len(rows) * args.seeds, unit="check", disable=args.quiet or None)
    for row in rows:
        for seed in range(args.seeds):
            against_slopes(row, seed)
            bar.update()
        if row.golden:
            against_pytorch(row)
        say(f"{row.name:{width}}" + "".join(f"{cell:>18}" for cell in row.cells()) + "  OFF" * bool(row.faults))
    bar.close()
    if args.markdown:
        write_markdown(rows, args.markdown)
    faults = [fault for row in rows for fault in row.faults]
    say(f"{len(rows)} rows, {len(rows) * args.seeds} checks of all gradients in both modes, {len(faults)} faults")
    if faults:
        common.fail("\n\n".join(["something is off", *faults]))


if __name__ == "__main__":
    common.run(lambda: main(parse()))
