"""Write docs/museum.md: mistakes that people made in backward passes, and what the checker says of each.

python tools/museum_page.py
"""

import contextlib
import io
import sys
import textwrap
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from museum import EXHIBITS, ROOMS, Exhibit  # noqa: E402

INTRODUCTION = """\
# A museum of wrong gradients

Everything in these rooms was written by people who meant it to be right, and it looked right. Backward has a talent for
that: the shapes fit, the loss falls, the tests pass, since they have square kernels, a stride of one, a batch of one, a
weight of ones. Then somebody compares two numbers.

There are {count} exhibits, from {first} to {last}. Each was found in public, where its year links to, and is
rebuilt here in a few lines of NumPy: after a minus what stood there, in spirit, and after a plus what should. Below is
what `nn.gradcheck` says of the layer with the wrong lines; of the layer with the right ones it says that all gradients
are right. It is told nothing but the layer and an input. One exhibit only looks like a mistake, and the checker is not
taken in. It catches all others, and names {named} of them rightly; for {unnamed} it accuses the right arrays and has
not yet the right word, and that is on show as well.

The checker also prints the numbers that are off the most; they are left out in the rooms, but for the last resort of
"unknown". At the entrance, a layer as a visitor might bring it along:

```python
import numpy as np
import nn


class Swish(nn.Module):
    def forward(self, x):
        s = 1 / (1 + np.exp(-x))
        self.save_for_backward(x, s)
        return x * s

    def backward(self, g):
        x, s = self.saved()
        return g * s  # and x * s * (1 - s)?


print(nn.gradcheck(Swish(), np.array([-1.0, 0.5, 2.0]), raise_exception=False))
```

```
{printed}
```

The rooms: {rooms}.
"""


def title(room: ModuleType) -> str:
    return room.__name__.rpartition(".")[2].capitalize()


def report(exhibit: Exhibit) -> str:
    """Return what the checker says of an exhibit; few of the numbers, and of many arrays the first two."""
    result = exhibit.report()
    for fault in result.faults:
        fault.worst = fault.worst[:2] if fault.kind == "unknown" else []
    text, more = str(result), result.faults[2:]
    if not more:
        return text
    shown = text.partition(f"\n\n{more[0].name}: {more[0].kind}")[0]
    return f"{shown}\n\n[and as much on {', '.join(fault.name for fault in more)}]"


def story(exhibit: Exhibit) -> str:
    """Return what the page says of an exhibit."""
    words = textwrap.fill(f"[{exhibit.year}]({exhibit.link}). {exhibit.story}", 120, break_long_words=False)
    head = f"### {exhibit.name}\n\n{words}"
    return f"{head}\n\n```diff\n{exhibit.change()}\n```\n\n```\n{report(exhibit)}\n```\n"


def page() -> str:
    """Return the page."""
    years = [exhibit.year for exhibit in EXHIBITS]
    rooms = ",\n".join(f"[{title(room)}](#{title(room).lower()})" for room in ROOMS)
    mistakes = [exhibit for exhibit in EXHIBITS if exhibit.wrong]
    unnamed = sum(bool(exhibit.said_today) for exhibit in mistakes)
    code, printed = INTRODUCTION.split("```python\n")[1].split("```")[0], io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    parts = [
        INTRODUCTION.format(
            count=len(EXHIBITS),
            first=min(years),
            last=max(years),
            named=len(mistakes) - unnamed,
            unnamed=unnamed,
            printed=printed.getvalue().rstrip(),
            rooms=rooms,
        )
    ]
    for room in ROOMS:
        first, *rest = (room.__doc__ or "").partition(": ")[2].strip()
        parts.append(f"## {title(room)}\n\n{first.upper()}{''.join(rest)}\n")
        parts += map(story, room.EXHIBITS)
    return "\n".join(parts) + "\nWritten by `python tools/museum_page.py`.\n"


if __name__ == "__main__":
    (ROOT / "docs" / "museum.md").write_text(page(), encoding="utf-8")
