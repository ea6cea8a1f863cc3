"""Prove every row of tests/cases: its gradients against central differences, all its numbers against PyTorch's.

    python scripts/verify.py --markdown docs/gradients.md

Both modes of each row are run. PyTorch's numbers are those in tests/golden, so PyTorch need not be installed. The
correct modules that the tests plant faults in are checked as well, since a checker is worth little if it cries wolf.
"""

import argparse
import sys
from dataclasses import dataclass, field
from typing import Any

import common
import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(common.ROOT / "tests"))

from cases import CASES, Case, Setup, golden
from cases.trees import flat
from textbook import CORRECT

import nn

MODES = ("train", "eval")
# What is compared, and how far off it may be.
LIMITS = {
    "slopes, float64": 1e-6,
    "slopes, float32": 1e-5,
    "PyTorch, float64": 1e-12,
    "PyTorch, float32": 1e-5,
}
INTRODUCTION = """\
# Every gradient, proven

By how much each row of `tests/cases` is off at most, over its outputs and all its gradients, in training and in
evaluation mode: the largest difference, relative to the largest entry of the array. *Slopes* are central differences
in float64, under a random upstream gradient; *PyTorch* is what PyTorch computes in float64 (`tests/golden`), except for
dropout in training, since no two libraries draw alike. Float32 has seven digits, float64 sixteen.

Written by `python scripts/verify.py --markdown docs/gradients.md`, which fails where anything is off.
"""


@dataclass
class Row:
    """A row of the table, PyTorch's numbers, and what was found; a module from elsewhere has no such numbers."""

    case: Case
    record: dict[str, Any] | None = None
    errors: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.case.name

    def enter(self, column: str, found: dict[str, Any], expected: dict[str, Any], dtype: type) -> None:
        """Enter by how much arrays differ, each from the one at its place; what is of another dtype is off.

        Integers stay so, and have no gradient.
        """
        for place in found.keys() | expected.keys():
            a, b = found.get(place), expected.get(place)
            if a is None and b is None:
                self.enter_error(column, 0.0)
            elif (
                a is None
                or b is None
                or np.asarray(a).dtype != (dtype if np.asarray(b).dtype.kind == "f" else np.int64)
            ):
                self.enter_error(column, float("inf"))
            else:
                self.enter_error(column, relative(np.asarray(a), np.asarray(b)))

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


def against_slopes(row: Row, seed: int) -> None:
    """Check one draw of a row with nn.gradcheck; of the first draw, in float32 too."""
    setup = Setup(row.case, seed=seed)
    while setup.is_loss and not np.isfinite(setup.forward()).all():
        setup.draw_inputs()  # one that ignores every sample: their mean is NaN, as in PyTorch
    report = nn.gradcheck(setup.module, *setup.inputs, generator=seed, raise_exception=False)
    row.enter_error("slopes, float64", max(report.errors.values(), default=float("inf")))
    if not report:
        row.faults.append(f"{row.name}, seed {seed}: {report}")
    for mode in MODES if row.record and seed == 0 else ():
        wide, narrow = (Setup(row.case, mode, dtype) for dtype in (np.float64, np.float32))
        g = wide.upstream(wide.forward())
        found, expected = (flat(setup.forward_backward(setup.cast(g))) for setup in (narrow, wide))
        row.enter("slopes, float32", found, expected, np.float32)


def against_pytorch(row: Row) -> None:
    """Compare a row's numbers with PyTorch's, in both modes as far as they can be compared."""
    for mode in MODES:
        expected = golden.expected(row.record, mode)
        if expected is None:
            continue
        for dtype in (np.float64, np.float32):
            setup = Setup(row.case, mode, dtype)
            found = flat(setup.forward_backward(setup.restore(row.record)))
            row.enter(f"PyTorch, {np.dtype(dtype).name}", found, expected, dtype)


def write_markdown(rows: list[Row], path: str) -> None:
    """Write the table of the rows of tests/cases."""
    lines = [["row", *LIMITS], ["---"] + ["---:"] * len(LIMITS)]
    lines += [[row.name, *row.cells()] for row in rows if row.record]
    with common.output(path) as file:
        file.write(INTRODUCTION + "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines))


def main(args: argparse.Namespace) -> None:
    records = golden.read_all()
    rows = [Row(case, records[case.name]) for case in CASES]
    rows += [Row(Case(f"textbook {name}", build, draw, reference=None)) for name, (build, draw) in CORRECT.items()]
    width = max(len(row.name) for row in rows)
    say = (lambda text: None) if args.quiet else tqdm.write
    say(" " * width + "".join(f"{column:>18}" for column in LIMITS))
    bar = tqdm(total=len(rows) * args.seeds, unit="check", disable=args.quiet or None)
    for row in rows:
        for seed in range(args.seeds):
            against_slopes(row, seed)
            bar.update()
        if row.record:
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
