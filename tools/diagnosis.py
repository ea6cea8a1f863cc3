"""Count how well the checker tells right from wrong and names what is wrong, and write docs/diagnosis.md.

    python tools/diagnosis.py [--checks 20000]

Each mistake of `tests/faults` is planted and checked: it is caught or not, and named, left unknown or misnamed. Then
right layers are checked, by seeds and scales: each that is accused is a false alarm.
"""

import argparse
import collections
import copy
import itertools
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from cases import CASES  # noqa: E402
from faults import INPUTS, MISTAKES, layers, verdict  # noqa: E402
from textbook import CORRECT  # noqa: E402

import nn  # noqa: E402
from nn import tree  # noqa: E402

SCALES = (1.0, 1e-6, 1e-3, 1e3, "one sample", "ties")


def right():
    """Yield names, builders and draws of right layers."""
    for case in CASES:
        yield case.name, case.build, case.draw
    for name, (build, draw) in CORRECT.items():
        yield f"textbook {name}", build, draw
    for name, draw in INPUTS.items():
        yield f"faults {name}", getattr(layers, name), draw


def changed(inputs, scale):
    """Return the floating inputs at another scale, of one sample, or with ties."""

    batches = {len(x) for x in inputs if np.ndim(x)}

    def change(x):
        if scale == "one sample":
            return x[:1] if np.ndim(x) and len(batches) == 1 else x
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
            return x
        return x.round() if scale == "ties" else x * scale

    return tuple(change(x) for x in inputs)


def false_alarms(checks):
    """Return how many checks of right layers were made, how many of these could not be measured, and false alarms."""
    count, unmeasured, alarms = 0, 0, []
    rounds = ((seed, *row, scale) for seed in itertools.count() for row in right() for scale in SCALES)
    while count < checks:
        seed, name, build, draw, scale = next(rounds)
        rng = np.random.default_rng([seed, *name.encode()])
        module, inputs = build(), draw(rng)
        for p in module.parameters():
            p.data[...] = rng.normal(size=p.data.shape)
        if scale != 1.0 and any(isinstance(x, tuple | list) for x in inputs):
            continue
        inputs = inputs if scale == 1.0 else changed(inputs, scale)
        with np.errstate(all="ignore"):
            try:
                y = copy.deepcopy(module)(*copy.deepcopy(inputs))
            except (ValueError, IndexError):
                continue  # a layer need not take such inputs
            if not all(np.isfinite(leaf).all() for leaf in tree.leaves(y)):
                continue
            report = nn.gradcheck(module, *inputs, generator=seed, raise_exception=False)
        count += 1
        kinds = {fault.kind for fault in report.faults}
        unmeasured += kinds == {"not measurable"}
        if kinds - {"not measurable"}:
            alarms.append(f"{name}, {scale}, seed {seed}: {[(f.name, f.kind) for f in report.faults]}")
            print(alarms[-1], flush=True)
    return count, unmeasured, alarms


def page(verdicts, rows, checked, seconds):
    """Return docs/diagnosis.md."""
    lines = [
        "# How well the checker names a mistake",
        "",
        "Mistakes as people make them, planted in textbook layers of convolution, pooling, norms, recurrent cells, "
        "attention, embeddings and losses by an edit to their text (`tests/faults`). *Named* means that at least one "
        "gradient is described rightly and none wrongly; *unknown*, that the checker says so; *misnamed*, that any of "
        "its descriptions is another than the edit bears out. A third was kept aside while the diagnosis was written.",
        "",
        "Written by `python tools/diagnosis.py`.",
        "",
        "| mistakes | planted | caught | named | unknown | misnamed |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for title, aside in (("worked on", False), ("kept aside", True)):
        c = collections.Counter(v for a, _, v in verdicts if a == aside)
        total = sum(c.values())
        numbers = (total, total - c["missed"], c["named"], c["unknown"], c["misnamed"])
        lines.append(f"| {title} | {' | '.join(map(str, numbers))} |")
    count, unmeasured, alarms = checked
    lines += [
        "",
        f"Right layers: {len(alarms)} false alarms in {count:,} checks of {rows} layers, as the tests draw their "
        f"inputs, times 1e-6, 1e-3 and 1e3, of one sample, and rounded to whole numbers so that entries tie; "
        f"{unmeasured} could not be measured. ({seconds / count * 1e3:.0f} ms a check.)",
        "",
        *(f"- {alarm}" for alarm in alarms),
        "## What is not named",
        "",
        *(f"- {name}: {v}" for _, name, v in verdicts if v != "named"),
        "",
    ]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checks", type=int, default=20000)
    settings = parser.parse_args()
    verdicts = [(m.aside, f"{m.layer}, {m.name}", verdict(m)) for m in MISTAKES]
    start = time.perf_counter()
    checked = false_alarms(settings.checks)
    text = page(verdicts, len(list(right())), checked, time.perf_counter() - start)
    (ROOT / "docs" / "diagnosis.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
