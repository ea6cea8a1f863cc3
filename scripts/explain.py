"""Draw the computing graph of a model's loss, derive every gradient, and check each line by numbers.

    python scripts/explain.py
    python scripts/explain.py --format md --out homework.md
    python scripts/explain.py --model mine.py:build --data mine.npz --format text

The first writes explain.html, one page that needs nothing else, for a three-layer ReLU network under
J = ½ ‖f(x) - y‖² at one sample, drawn until every unit is above zero, so that no gradient is zero. With --quiz the
page asks for each gradient before it shows it. A factory, such as build, takes no arguments and returns a model, or
(model, criterion), or (model, criterion, x, y); the criterion is HalfSquaredLoss if it returns none.
"""

import argparse
import html
import importlib.util
import itertools
import os
import re
import sys
from pathlib import Path
from typing import Any

import common
import numpy as np

import nn
from data import read_table
from nn.graph.derivation import Derivation, step_html, subject_html
from nn.graph.steps import Step

TITLE = "The computing graph of J, and every gradient"
TEMPLATE = Path(__file__).with_suffix(".html")
WIDTHS = (2, 4, 3, 2)
NOTE = (
    "Where your sheet gives Wₗ the shape dₗ × dₗ₊₁ and bₗ the length dₗ: zₗ₊₁ = Wₗ aₗ + bₗ asks for the transpose. "
    "Here Wₗ is dₗ₊₁ × dₗ and bₗ is dₗ₊₁ long, so that W₀, from 2 inputs to 4 units, is 4 × 2."
)
FORMATS = ("html", "svg", "mermaid", "md", "tex", "text")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--model", metavar="FILE:FACTORY", help="a Python file, and the function in it to call")
    parser.add_argument("--data", metavar="FILE", help="an .npz file with x and y, or a .csv whose last column is y")
    parser.add_argument("--rows", type=common.positive_int, default=5, help="use so many rows of the data (default: 5)")
    parser.add_argument("--sample", action="store_true", help="one sample, as columns, as for the default network")
    parser.add_argument("--format", default="html", choices=FORMATS)
    parser.add_argument("--quiz", action="store_true", help="a page that hides each gradient until it is asked for")
    parser.add_argument("--direction", default="down", choices=("down", "right"), help="which way the graph flows")
    parser.add_argument("--out", metavar="FILE", help="explain.html for the page, else standard output, by default")
    parser.add_argument("--seed", type=common.seed, default=0, help="of the default network, and of what a model draws")
    args = parser.parse_args(argv)
    common.check_paths(
        parser,
        reads={"--model": args.model and (args.model.rpartition(":")[0] or args.model), "--data": args.data},
        writes={"--out": args.out},
    )
    if args.data and not args.model:
        parser.error("--data needs --model FILE:FACTORY: the default network brings its own sample")
    if args.quiz and args.format != "html":
        parser.error("--quiz makes a page: leave --format out")
    return args


def homework(seed: int) -> tuple[nn.Module, nn.Module, np.ndarray, np.ndarray]:
    """Return the three-layer ReLU network, its loss, and a sample for which no unit is below zero."""
    rng = np.random.default_rng(seed)
    alive = False
    while not alive:
        model = common.mlp(WIDTHS, rng).double()
        x, y = rng.normal(size=(1, WIDTHS[0])), rng.normal(size=(1, WIDTHS[-1]))
        values = itertools.accumulate(model, lambda value, layer: layer(value), initial=x)
        alive = all(
            (value > 0).all() for value, layer in zip(values, model, strict=False) if isinstance(layer, nn.ReLU)
        )
    return model, nn.HalfSquaredLoss(), x, y


def load(args: argparse.Namespace) -> tuple[nn.Module, nn.Module, Any, Any]:
    """Return what to explain: model, criterion, x and y."""
    made = call_factory(args.model)
    parts = made if isinstance(made, tuple) else (made,)
    if len(parts) not in (1, 2, 4):
        common.fail(
            f"{args.model} returned a tuple of {len(parts)}, expected a model, (model, criterion) or "
            f"(model, criterion, x, y)"
        )
    model, criterion, *data = (*parts, nn.HalfSquaredLoss()) if len(parts) == 1 else parts
    if args.data:
        data = load_data(args.data, isinstance(criterion, nn.CrossEntropyLoss))
    if not data:
        common.fail(f"{args.model} returned no data: name a file with --data, or return (model, criterion, x, y)")
    x, y = (first_rows(value, args.rows) for value in data)
    return model, criterion, x, y


def call_factory(name: str) -> Any:
    """Import a file and return what a function in it returns."""
    path, colon, factory = name.rpartition(":")
    if not colon or not factory:
        common.fail(f"--model expects FILE:FACTORY, such as mine.py:build, got {name!r}")
    if not os.path.isfile(path):
        common.fail(f"--model {name}: there is no file {path!r}")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None:
        common.fail(f"--model {name}: {path!r} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(Path(path).resolve().parent))  # the file may import its neighbours
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        common.fail(f"--model {name}: importing {path} fails: {type(error).__name__}: {error}")
    if not callable(getattr(module, factory, None)):
        common.fail(f"--model {name}: {path} has no function {factory!r}")
    try:
        return getattr(module, factory)()
    except (Exception, SystemExit) as error:
        common.fail(f"--model {name}: {factory}() fails: {type(error).__name__}: {error}")


def load_data(path: str, classes: bool) -> list:
    """Return x and y of a file; x is a tuple where an .npz file has x0, x1, and so on."""
    try:
        if path.endswith((".csv", ".csv.gz")):
            table = read_table(path)
            *features, target = map(table.numbers, table.columns)
            if not features:
                raise ValueError("a single column; expected features, and the target last")
            return [np.stack(features, axis=1), target.astype(np.int64) if classes else target[:, None]]
        with open(path, "rb") as file:  # NumPy would leave a damaged one open
            arrays = np.load(file, allow_pickle=False)
            if isinstance(arrays, np.ndarray):
                raise ValueError("a single array; expected an .npz file with arrays x and y")
            names = ["x"] if "x" in arrays else [f"x{i}" for i in range(len(arrays.files)) if f"x{i}" in arrays]
            if not names or "y" not in arrays:
                raise ValueError(f"expected arrays x and y, got {', '.join(arrays.files)}")
            inputs = tuple(arrays[name] for name in names)
            return [inputs if len(inputs) > 1 else inputs[0], arrays["y"]]
    except OSError as error:
        common.fail(f"--data {path}: {error.strerror or error}")
    except Exception as error:  # what NumPy says of a damaged file is of a dozen kinds
        common.fail(f"--data {path}: {error or type(error).__name__}")


def first_rows(value: Any, count: int) -> Any:
    """Return the first rows of an array, or of each array of a tuple."""
    return tuple(first_rows(item, count) for item in value) if isinstance(value, tuple) else np.asarray(value)[:count]


def page(derivation: Derivation, model: nn.Module, args: argparse.Namespace) -> str:
    """Return the template filled in."""
    number = {step.node: index for index, step in enumerate(derivation.values)}

    def steps(found: list[Step], quiz: bool) -> str:
        return "\n".join(
            f'<div class="step" data-node="{number[step.node]}">{question(step) if quiz else step_html(step)}'
            f"{note * (not args.model and step.node.letter == 'W' and not step.is_gradient)}</div>"
            for step in found
        )

    note = f'<p class="note">{NOTE}</p>'
    parts = {
        "title": TITLE,
        "verdict": html.escape(derivation.verdict),
        "wrong": " wrong" * (not derivation.right),
        "hint": "; a gradient shows when its question is opened" * args.quiz,
        "model": html.escape(repr(model)),
        "graph": derivation.to_svg(args.direction),
        "values": steps(derivation.values, quiz=False),
        "conventions": html.escape(derivation.conventions),
        "gradients": steps(derivation.gradients, args.quiz),
    }
    template = TEMPLATE.read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def question(step: Step) -> str:
    """Return a gradient's step, folded away behind the question for it."""
    fed = " and ".join(dict.fromkeys(made.name for term in step.node.terms for made in term.call.results))
    hint = f" <small>{html.escape(f'{step.node.name} feeds {fed}')}</small>" if fed else ""
    return f"<details><summary>{subject_html(step)} = ?{hint}</summary>{step_html(step)}</details>"


def main(args: argparse.Namespace) -> None:
    nn.manual_seed(args.seed)
    sample = args.sample or not args.model
    model, criterion, x, y = load(args) if args.model else homework(args.seed)
    for module in (model, criterion):
        if not isinstance(module, nn.Module):
            common.fail(f"{args.model} returned {module!r}, expected a Module")
    try:
        graph = nn.trace(model.double(), criterion.double(), x, y)
        graph = graph.first_sample() if sample else graph
        derivation = None if args.format in ("svg", "mermaid") else graph.derivation()
    except (ValueError, TypeError, RuntimeError) as error:
        common.fail(error)

    note = "" if args.model else NOTE
    if args.format == "html":
        text = page(derivation, model, args)
    elif args.format == "md":
        text = f"# {TITLE}\n\n```mermaid\n{graph.to_mermaid(args.direction)}```\n\n{derivation.to_markdown(note)}"
    elif args.format == "tex":
        text = derivation.to_latex(note)
    elif args.format == "text":
        text = f"{graph.to_text()}\n{derivation.to_text()}"
    else:
        text = getattr(graph, f"to_{args.format}")(args.direction)

    out = args.out or ("explain.html" if args.format == "html" else None)
    with common.output(out) as file:
        file.write(text)
    if out:
        common.say(f"{out}: {derivation.verdict if derivation else repr(graph)}")
    if derivation and not derivation.right:
        common.fail(derivation.verdict)


if __name__ == "__main__":
    common.run(lambda: main(parse()))
