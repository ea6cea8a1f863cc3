"""Write the homework of the sheet into a new folder.

train.py has the network and the toy regression, with a blank for each gradient, and checks what is filled in;
README.md has the sheet with its three problems.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Collection
from pathlib import Path

from nn.files import whole_file

from .gradients import NAMES
from .sheet import Sheet

HOME = Path(__file__).resolve().parents[1]  # where this package is found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("folder", type=Path, help="a folder that is not there yet, such as hw")
    parser.add_argument("--rows", action="store_true", help="batches, a sample a row, in place of one sample a column")


def run(arguments: argparse.Namespace) -> int:
    """Write the homework, and return the exit status."""
    form = "rows" if arguments.rows else "columns"
    write_folder(arguments.folder, {"train.py": handout(Sheet(form).source), "README.md": README[form]})
    train = arguments.folder / "train.py"
    print(f"{train} has {len(NAMES)} blanks to fill; `python {train}` checks them.")
    print(f"{arguments.folder / 'README.md'} is the sheet with its three problems.")
    return 0


def write_folder(folder: Path, files: dict[str, str]) -> None:
    """Create a folder with text files in it.

    Raises:
        ValueError: where it is there already.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise ValueError(
            f"{folder} is there already, and nothing is overwritten: give the name of a new folder"
        ) from None
    for name, text in files.items():
        with whole_file(folder / name, "utf-8") as file:
            file.write(text)


def handout(source: str) -> str:
    """Return the text of train.py: the solution with its blanks, and with the place where handgrad is now.

    Example:
        >>> handout('dz3 = z3 - y  # by z3\\n')
        'dz3 = ...  # by z3\\n'
    """
    return blanked(source, NAMES).replace('HANDGRAD = ""', f"HANDGRAD = {str(HOME)!r}")


def blanked(source: str, names: Collection[str]) -> str:
    """Return a text in which what is assigned to some names is `...`."""
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in names:
            value, line = node.value, lines[node.lineno - 1]
            lines[node.lineno - 1] = f"{line[: value.col_offset]}...{line[value.end_col_offset :]}"
    return "".join(lines)


INTRODUCTION = """# Homework: the multilayer perceptron

A three-layer perceptron f has a ReLU, g(x) = max(x, 0), behind each layer but the last. For one sample, as a column,

    a_0 = x,   z_(l+1) = W_l a_l + b_l for l = 0, 1, 2,   a_(l+1) = g(z_(l+1)) for l = 0, 1,

and the output is z_3. So f(x) = W_2 g(W_1 g(W_0 x + b_0) + b_1) + b_2. The loss of a data point (x, y) is

    J = 1/2 ||f(x) - y||^2.

**Shapes.** Let d_0, d_1, d_2, d_3 be the sizes of x, a_1, a_2 and z_3. Then W_l has d_(l+1) rows and d_l columns, and
b_l has d_(l+1) entries. Sheets that write "W_l is d_l x d_(l+1)" and "b_l is a d_l-vector" make you stumble here: with
such shapes W_l a_l + b_l cannot be computed. Follow the equation.

**Problem 1 (20 points).** Draw the computing graph of J. Each parameter W_l and b_l, the data x and y, and every value
computed on the way is a node; an arrow goes from a to b where a is used to compute b.

**Problem 2 (20 points).** From the graph, derive the gradient dJ/dn for each node n, from J back to x. Where an arrow
goes from a to b, dJ/db may be used in dJ/da as something known, and need not be written out.

**Problem 3 (60 points).** Why the graph? Because dJ/dW_0 out of the whole formula is hopeless, and from J back, arrow
by arrow, it is easy. In `train.py`, fill in the blanks of `backward`. Then fit the toy data: the loss should get low on
the training samples and on the test samples.

"""

FORMS = {
    "columns": """In `train.py` a sample is a column, as above: x has shape (d_0, 1), and b0 has (d_1, 1).
""",
    "rows": """In `train.py` samples come in batches of N, a sample a row: x has shape (N, d_0), b0 has (d_1,). The
matrices stay as they are, so the rows of z_1 are those of x W_0^T + b_0, and J is the mean over the N samples.
""",
}

HOW = """
## How to work on problem 3

    python train.py

says of each gradient, from J back to x, whether it is right, not filled yet, or what is wrong with it and in which
line. Each line is looked at with the right gradients before it, so that one mistake does not spoil the lines below.
When all are right, the network is trained: you see the losses beside the noise floor, below which no network can get on
new samples, and a picture of the fit in `fit.png` (that needs matplotlib).

    python train.py --hint dW1

gives a hint for one gradient: its shape. Ask again for the nodes that it depends on, and once more for the rule.

In the code `dz3` stands for dJ/dz_3, and so on. A line may become several; names and order must stay. NumPy is all you
need: `@` multiplies matrices, `*` multiplies entry by entry, `.T` transposes.

`train.py` needs handgrad for the check. It is found where it is installed (`python -m pip install PATH/TO/handgrad`),
in the folder above this one, or in the one that is written in the line `HANDGRAD = ...` near the end of `train.py`.
"""

README = {form: INTRODUCTION + text + HOW for form, text in FORMS.items()}
