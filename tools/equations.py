"""Write docs/equations.md: the language of the equations, and what each layer and loss states in it.

python tools/equations.py
"""

import inspect
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import nn  # noqa: E402
from nn.mathematics.words import WORDS  # noqa: E402

INTRODUCTION = """\
# The mathematics, written once

A module states what it computes, and the gradient of it, as a few lines of text: its `equations`. The tests run these
lines beside its forward and backward, and hold both against central differences; `nn.trace` writes the derivation of a
model's gradients from them; `nn.to_text`, `nn.to_latex` and `nn.to_mathml` show them.

```python
import numpy as np
import nn


class Scale(nn.Module):
    symbols = {"s": "factor"}
    equations = \"\"\"
        y = s * x
        dx = s * dy
        ds = rows(dy * x).sum(0)
    \"\"\"

    def __init__(self, features):
        self.factor = nn.Parameter(np.ones(features))


print(nn.to_text(Scale.equations))
print(nn.evaluate_equations(Scale(2), (np.array([[1.0, 2.0]]),))["ds"])
```

## The language

A line is `target = expression`. Expressions have numbers, names, `+ - * / // % @ **`, comparisons, `a if c else b`,
`.T .mT .shape .size .ndim`, `.sum(axis) .mean(axis) .max(axis) .min(axis) .reshape(shape)`, and the words
{words}. Python's parser reads them, and a walker of our own runs them.

- **Symbols.** `symbols` ties letters to attributes: parameters, buffers, settings. An input is x (several: x0, x1), an
  output y (y0, y1); a loss has the prediction f, the target y, its values L and the loss J. `input_symbols` and
  `output_symbols` name others.
- **Gradients.** `dS` is the gradient of J by S, for whatever S: inputs, parameters, intermediates. `dy` comes in, `dx`
  and one for each parameter go out. A gradient has the shape of what it is the gradient of, and starts at zero. So no
  other target begins with d.
- **What is absent drops out.** Where an attribute or an input is None, its term leaves the sum, its factor the product,
  its condition the choice, and the line of its gradient the program. Anywhere else None is an error.
- **Indices.** A name in brackets that is no symbol is an index: `y[n, o] = sum(x[n, i] * W[o, i], i)`. It ranges over
  the axis where it stands alone, or over what `i = range(k)` says. `...` stands for the axes that are not named.
  `sum max min prod norm argmax (e, i, j)` reduce over indices. With `=` each index on the right stands on the left or
  is reduced; `+=` sums over the others, and adds up where entries coincide: `dW[x[n], k] += dy[n, k]`.
- **Choices.** `a if c else b` is decided once, from settings and shapes; a choice for each entry is `where(c, a, b)`.
- **Recurrences.** `for t in range(T):` with indented lines; backward over `reversed(range(T))`. `h[t + 1] = ...` makes
  a sequence of steps.
- **Losses** state L and its gradients. What the reduction makes of L is stated once, in `nn.Loss`.

Formulas are mathematics, not numerics: the plain softmax may overflow where the code, written for that, does not.

Written by `python tools/equations.py`.
"""


def modules() -> list[type[nn.Module]]:
    """Return the layers and losses that state equations."""
    every = [value for value in vars(nn).values() if inspect.isclass(value) and issubclass(value, nn.Module)]
    return [value for value in every if value.equations]


def chapter(module: type[nn.Module]) -> str:
    """Return what the page says of a layer or a loss."""
    sentence = " ".join((inspect.getdoc(module) or "").split("\n\n")[0].split())
    tied = ", ".join(f"{symbol} is `{attribute}`" for symbol, attribute in module.symbols.items())
    lines = [f"### {module.__name__}", "", sentence, "", "```", *inspect.cleandoc(module.equations).splitlines(), "```"]
    if tied:
        lines += ["", f"{tied}."]
    scalars = {symbol for symbol, attribute in module.symbols.items() if not attribute.endswith(("weight", "bias"))}
    return "\n".join([*lines, "", "```math", nn.to_latex(module.equations, scalars=scalars), "```", ""])


def page() -> str:
    """Return the whole page."""
    introduction = INTRODUCTION.replace("{words}", ", ".join(f"`{word}`" for word in sorted(WORDS)))
    return "\n".join([introduction, "## Layers and losses", "", *map(chapter, modules())])


if __name__ == "__main__":
    (ROOT / "docs" / "equations.md").write_text(page(), encoding="utf-8")
