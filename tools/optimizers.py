"""Write docs/optimizers.md: each rule's equations, settings and papers, as they stand with its class.

python tools/optimizers.py
"""

import inspect
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

import nn  # noqa: E402
import optim  # noqa: E402
from nn.mathematics.notation import Latex  # noqa: E402
from nn.mathematics.program import parse  # noqa: E402
from nn.mathematics.run import Walker  # noqa: E402
from nn.mathematics.statement import inlined, without_unused  # noqa: E402

INTRODUCTION = """\
# Optimizers

What each rule does with one weight w in one step. g is its gradient, t counts the steps from 1, and settings go by
their own names or by the symbols in the tables. m is a value before the step, m_new the same after it; values that the
rule keeps are 0 before the first step. The names in brackets are those in `state_dict()`. The tests hold these lines
against `update`, and `update` against PyTorch.

Written by `python tools/optimizers.py`.
"""


def rules() -> list[type[optim.Optimizer]]:
    """Return the rules that the package exports."""
    return [
        value
        for value in vars(optim).values()
        if inspect.isclass(value) and issubclass(value, optim.Optimizer) and value is not optim.Optimizer
    ]


def section(rule: type, title: str) -> list[str]:
    """Return the lines of a section of a docstring."""
    found = re.search(rf"^{title}:\n((?:    .*\n?)+)", inspect.getdoc(rule) or "", re.MULTILINE)
    return [line.strip() for line in found[1].splitlines()] if found else []


def meanings(rule: type) -> dict[str, str]:
    """Return what the docstrings of a rule and of those that it extends say of each setting."""
    found = {}
    for ancestor in reversed(rule.__mro__):
        for line in section(ancestor, "Args") if issubclass(ancestor, optim.Optimizer) else ():
            name, _, text = line.partition(": ")
            if not text.startswith("as in"):
                found[name] = text.rstrip(".")
    return found


def by_default(rule: type[optim.Optimizer]) -> str:
    """Return, as LaTeX, what the equations come to for the default settings, in the second step."""
    settings = rule([nn.Parameter([1.0])]).defaults
    arrays = {name: np.ones(2) for name in ("w", "g", *rule([nn.Parameter([1.0])]).init_state(np.ones(2), settings))}
    symbol_of = {name: symbol for symbol, name in rule.symbols.items()}
    values = {symbol_of.get(name, name): value for name, value in {**settings, **arrays, "t": 2}.items()}
    walker = Walker(values)
    walker.run(parse(rule.equations))
    known = walker.values
    symbols = [symbol_of.get(name, name) for name in arrays]
    changed = [s for s in symbols if known.get(f"{s}_new") is not known[s]]
    wanted = {f"{symbol}_new" for symbol in changed}
    shape_of = {name: np.shape(value) for name, value in walker.values.items()}.get
    lines = inlined(without_unused(walker.settled, wanted), wanted, shape_of)
    scalars = {name for name, value in walker.values.items() if np.ndim(value) == 0}
    return Latex.of_program(lines, scalars).lines(lines, {})


def chapter(rule: type[optim.Optimizer]) -> str:
    """Return what the page says of one rule."""
    defaults = rule([nn.Parameter([1.0])]).defaults
    given = [name for name in defaults if name in inspect.signature(rule).parameters]
    symbol_of = {name: symbol for symbol, name in rule.symbols.items()}
    kept = [f"{symbol} (`{name}`)" for symbol, name in rule.symbols.items() if name not in defaults]
    fixed = [f"`{name}` is {defaults[name]} here." for name in defaults if name not in given]
    lines = [
        f"## {rule.__name__}",
        "",
        *(inspect.getdoc(rule) or "").split("\n\n")[0].splitlines(),
        "",
        "With the default settings:",
        "",
        "```math",
        by_default(rule),
        "```",
        "",
        "With all settings:",
        "",
        "```",
        *inspect.cleandoc(rule.equations).splitlines(),
        "```",
        "",
        " ".join([f"State, as far as the settings need it: {', '.join(kept)}.", *fixed]),
        "",
        "| setting | symbol | default | range | meaning |",
        "|---|---|---|---|---|",
    ]
    for name in given:
        symbol, text = symbol_of.get(name, ""), meanings(rule)[name]
        lines.append(f"| `{name}` | {symbol} | {defaults[name]!r} | {rule.ranges[name].text} | {text} |")
    papers = re.findall(r"(\S.*?), (https://\S+)", " ".join(section(rule, "Papers")))
    return "\n".join([*lines, "", *(f"- [{title}]({address})" for title, address in papers), ""])


def page() -> str:
    """Return the whole page."""
    return "\n".join([INTRODUCTION, *map(chapter, rules())])


if __name__ == "__main__":
    (ROOT / "docs" / "optimizers.md").write_text(page(), encoding="utf-8")
