"""Time whole training steps of this project beside other frameworks, straight NumPy, and the matrix products alone.

    python scripts/benchmark.py --plot benchmark.png

Each contender runs in a process of its own, which waits while it is not its turn; all take turns for several rounds,
so that a drift of the machine's speed falls on each alike. Read ratios, not times: those within one run compare.
"""

import argparse
import contextlib
import importlib.util
import itertools
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from typing import Any

import common
import numpy as np
from contenders import CASES, CONTENDERS, NEEDS, Case, SmallCNN, takes_part
from tqdm import tqdm

from data import DataLoader, TensorDataset

SCRIPT = str(common.ROOT / "scripts" / "contenders.py")
PACKAGES = {"torch": "PyTorch", "jax": "JAX", "sklearn": "scikit-learn"}
LABELS = {
    "handgrad": "handgrad",
    "compiled": "handgrad, compiled",
    "bare": "NumPy, bare",
    "limit": "matrix products alone",
    "torch_eager": "PyTorch, eager",
    "torch_fused": "PyTorch, fused Adam",
    "torch_compiled": "PyTorch, compiled",
    "jax_jit": "JAX, jit",
    "sklearn": "scikit-learn",
}
MEASUREMENTS = ("steps", "start", "loader", "growth")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=common.positive_int, default=1, help="processors each contender may use")
    parser.add_argument("--rounds", type=common.positive_int, default=7, help="turns of each contender in each case")
    parser.add_argument("--seconds", type=common.non_negative, default=0.5, help="of a turn")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--measure", nargs="+", choices=MEASUREMENTS, default=list(MEASUREMENTS))
    parser.add_argument("--json", metavar="FILE", help="write all figures")
    parser.add_argument("--plot", metavar="FILE", help="write a picture")
    args = parser.parse_args(argv)
    common.check_paths(parser, reads={}, writes={"--json": args.json, "--plot": args.plot})
    return args


def environment(threads: int) -> dict[str, str]:
    """Return an environment in which every runtime uses so many threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    return {**os.environ, **dict.fromkeys(names, str(threads)), "PYTHONWARNINGS": "ignore"}


class Contender:
    """A process that takes steps when told to."""

    def __init__(self, name: str, case: str, threads: int) -> None:
        command = [sys.executable, SCRIPT, name, case, str(threads)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process: Any = subprocess.Popen(command, env=environment(threads), **pipes)

    def answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.process.stderr.read().strip().rpartition("\n")[2] or "the process ended")
        return json.loads(line)

    def turn(self, seconds: float) -> dict[str, Any]:
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def measure_steps(args: argparse.Namespace, names: list[str]) -> dict[str, dict[str, dict[str, float]]]:
    """Return for each case and contender the best and the median seconds of a step, and the most memory in MiB.

    That is what the steps took, and what the whole process held, its imports included.
    """
    results: dict[str, dict[str, dict[str, float]]] = {}
    taking_part = {case: [name for name in names if takes_part(name, CASES[case])] for case in args.cases}
    bar = tqdm(total=sum(map(len, taking_part.values())) * args.rounds, unit="turn", disable=None)
    for case, names_there in taking_part.items():
        with contextlib.ExitStack() as stack:
            running = {}
            for name in names_there:
                contender = running[name] = Contender(name, case, args.threads)
                stack.callback(contender.close)
                try:
                    contender.answer()
                except RuntimeError as error:
                    print(f"{LABELS[name]} fails in {case}: {error}", file=sys.stderr)
                    del running[name]
            turns: dict[str, list[dict[str, float]]] = {name: [] for name in running}
            for contender in running.values():
                contender.turn(args.seconds / 2)  # warm-up
            for _ in range(args.rounds):
                for name, contender in running.items():
                    bar.set_description(f"{case} {name}")
                    turns[name].append(contender.turn(args.seconds))
                    bar.update()
        results[case] = {
            name: {
                "best": min(turn["best"] for turn in each),
                "median": statistics.median(turn["median"] for turn in each),
                "memory": max(turn["memory"] for turn in each),
                "process": max(turn["process"] for turn in each),
            }
            for name, each in turns.items()
        }
    bar.close()
    return results


def steps_table(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return the steps as a Markdown table, a row a contender and case."""
    lines = ["| case | contender | best | median | handgrad takes | against the limit | memory | whole process |"]
    lines += ["|---|---|---:|---:|---:|---:|---:|---:|"]
    for case, each in results.items():
        ours, limit = (each.get(name, {}).get("best", math.nan) for name in ("handgrad", "limit"))
        for name, r in each.items():
            cells = [case, LABELS[name], f"{1e6 * r['best']:.1f} µs", f"{1e6 * r['median']:.1f} µs"]
            cells += [
                f"{ratio:.2f}x" if math.isfinite(ratio) else "" for ratio in (ours / r["best"], r["best"] / limit)
            ]
            cells += [f"{r['memory']:.0f} MiB", f"{r['process']:.0f} MiB"]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def measure_start(args: argparse.Namespace, names: list[str]) -> dict[str, float]:
    """Return the seconds from a process's start to its end after the first trained step of toy, and of imports."""
    path = f"import sys; sys.path.insert(0, {str(common.ROOT)!r}); "
    commands = {
        f"first step, {LABELS[name]}": [SCRIPT, name, "toy", str(args.threads), "--first"]
        for name in names
        if name in ("handgrad", "compiled", "torch_eager", "jax_jit", "sklearn")
    }
    commands |= {what: ["-c", path + what] for what in ("import numpy", "import nn, optim, data")}
    times = dict.fromkeys(commands, math.inf)
    for name in tqdm(list(commands) * args.rounds, desc="start", unit="process", disable=None):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, *commands[name]], env=environment(args.threads), check=True, capture_output=True
        )
        times[name] = min(times[name], time.perf_counter() - start)
    return times


def measure_loader(args: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of an epoch of mnist's shape over 60,000 rows, through DataLoader and through a bare loop."""
    rng = np.random.default_rng(0)
    case, rows = CASES["mnist"], 60_000
    x = rng.standard_normal((rows, case.widths[0]), dtype=np.float32)
    y = rng.integers(case.widths[-1], size=rows)
    loader = DataLoader(TensorDataset(x, y), case.batch, shuffle=True, generator=0)
    bare_times, loader_times = [], []
    for _ in range(args.rounds):
        start = time.perf_counter()
        order = rng.permutation(rows)
        for place in range(0, rows, case.batch):
            chosen = order[place : place + case.batch]
            _ = x[chosen], y[chosen]
        bare_times.append(time.perf_counter() - start)
        start = time.perf_counter()
        for _ in loader:
            pass
        loader_times.append(time.perf_counter() - start)
    return {"bare loop": min(bare_times), "DataLoader": min(loader_times)}


def measure_growth(args: argparse.Namespace) -> dict[str, list[tuple[float, float]]]:
    """Return pairs of multiplications and seconds of our step, along six axes."""
    cases: dict[str, list[Case | SmallCNN]] = {
        "width": [Case((w, w, w, w), 256) for w in (16, 32, 64, 128, 256, 512, 1024)],
        "depth": [Case((128,) * (depth + 1), 128) for depth in (1, 2, 4, 8, 16, 32, 64)],
        "batch": [Case((128, 128, 128, 128), batch) for batch in (8, 32, 128, 512, 2048, 8192)],
        "cnn, channels": [SmallCNN(channels=c) for c in (4, 8, 16, 32, 64)],
        "cnn, side": [SmallCNN(side=side, batch=16) for side in (16, 32, 64, 128, 256)],
        "cnn, batch": [SmallCNN(batch=batch) for batch in (8, 32, 128, 512, 2048)],
    }
    with contextlib.ExitStack() as stack:
        running: dict[str, Contender] = {}
        times: dict[str, float] = {}
        for case in itertools.chain(*cases.values()):
            contender = running[str(case)] = Contender("handgrad", str(case), args.threads)
            stack.callback(contender.close)
            contender.answer()
            contender.turn(args.seconds / 2)  # warm-up
        for name in tqdm(list(running) * args.rounds, desc="growth", unit="turn", disable=None):
            times[name] = min(times.get(name, math.inf), running[name].turn(args.seconds / 2)["best"])
    return {axis: [(multiplications(case), times[str(case)]) for case in each] for axis, each in cases.items()}


def multiplications(case: Case | SmallCNN) -> int:
    """Return how many multiplications the products of a step take; the first layer's input gradient is spared."""
    if isinstance(case, SmallCNN):
        c, pixels = case.channels, case.shape[1] ** 2
        first, others = 9 * c * pixels, 9 * 2 * c**2 * (pixels // 4) + 10 * 2 * c * (pixels // 16)
        return case.batch * (2 * first + 3 * others)
    sizes = [a * b for a, b in itertools.pairwise(case.widths)]
    return case.batch * (3 * sum(sizes) - sizes[0])


def slope(points: list[tuple[float, float]]) -> float:
    """Return how steeply seconds grow with work at the large end, on log-log axes: a line through three points."""
    work, seconds = np.log(points[-3:]).T
    return float(np.polyfit(work, seconds, 1)[0])


def draw(results: dict[str, Any]) -> Any:
    """Return the picture: steps of each case as bars in units of the limit, and the growth."""
    steps, growth = results.get("steps", {}), results.get("growth", {})
    figure = common.new_figure(3.8 * max(len(steps) + bool(growth), 2), 4)
    if figure is None:
        return None
    axes = np.ravel(figure.subplots(1, len(steps) + bool(growth), squeeze=False))
    for axis, (case, each) in zip(axes, steps.items(), strict=False):
        names = sorted(each, key=lambda name: -each[name]["best"])
        unit = each.get("limit", next(iter(each.values())))["best"]
        ratios = [each[name]["best"] / unit for name in names]
        colors = {"handgrad": "tab:orange", "bare": "0.6", "limit": "0.6"}
        bars = axis.barh([LABELS[name] for name in names], ratios, color=[colors.get(n, "tab:blue") for n in names])
        axis.bar_label(bars, [f" {ratio:.2f}" for ratio in ratios])
        axis.set(
            title=case,
            xlabel=f"in units of {'the products' if 'limit' in each else 'the first'}",
            xlim=(0, 1.3 * max(ratios)),
        )
    if growth:
        for (name, points), marker in zip(growth.items(), "osd^vx", strict=True):
            work, seconds = zip(*points, strict=True)
            axes[-1].loglog(work, seconds, marker=marker, label=f"{name}, slope {slope(points):.2f}")
        axes[-1].set(xlabel="multiplications a step", ylabel="seconds a step", title="growth")
        axes[-1].legend(loc="lower right", fontsize="small")
    return figure


def machine(args: argparse.Namespace, names: list[str]) -> dict[str, str]:
    """Return what the figures were measured on."""
    modules = ["numpy", *{NEEDS[name]: None for name in names if name in NEEDS}]
    versions = [f"{PACKAGES.get(m, 'NumPy')} {version(m if m != 'sklearn' else 'scikit-learn')}" for m in modules]
    return {
        "machine": f"{common.processor()}, {os.cpu_count()} processors, {platform.system()}",
        "versions": ", ".join([f"Python {platform.python_version()}", *versions]),
        "threads": str(args.threads),
        "rounds": f"{args.rounds} of {args.seconds} s",
    }


def main() -> None:
    args = parse()
    missing = sorted({NEEDS[n] for n in args.contenders if n in NEEDS and not importlib.util.find_spec(NEEDS[n])})
    for module in missing:
        print(f"not installed, so left out: {PACKAGES[module]}", file=sys.stderr)
    names = [name for name in args.contenders if NEEDS.get(name) not in missing]
    if not names:
        common.fail("none of the contenders is installed")
    results: dict[str, Any] = {"setting": machine(args, names)}
    common.say("\n".join(f"{name}: {text}" for name, text in results["setting"].items()))

    def enter(measurement: str, values: Any) -> None:
        results[measurement] = values
        if args.json:
            common.write_json(results, args.json)

    if "steps" in args.measure:
        enter("steps", measure_steps(args, names))
        common.say("\n" + steps_table(results["steps"]))
    if "start" in args.measure:
        enter("start", measure_start(args, names))
        common.say("\n" + "\n".join(f"{name:<40} {1e3 * t:8.1f} ms" for name, t in results["start"].items()))
    if "loader" in args.measure:
        enter("loader", measure_loader(args))
        ratio = results["loader"]["DataLoader"] / results["loader"]["bare loop"]
        common.say(f"\nan epoch of 60,000 rows: DataLoader takes {ratio:.3f} of the bare loop's time")
    if "growth" in args.measure:
        enter("growth", measure_growth(args))
        for axis, points in results["growth"].items():
            common.say(f"slope against {axis}, at the large end: {slope(points):.2f}")
    if args.plot and (figure := draw(results)):
        common.save_figure(figure, args.plot)


if __name__ == "__main__":
    common.run(main)
