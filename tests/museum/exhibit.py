"""What an exhibit is: a layer that is right, the line that was mistaken, and what the checker must say of it."""

import difflib
import inspect
import sys
import textwrap
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

import nn
from nn.checking.report import Report


def normal(*shapes):
    """Draw normal arrays."""
    return lambda rng: tuple(rng.normal(size=shape) for shape in shapes)


def positive(*shapes):
    """Draw arrays of numbers well above zero."""
    return lambda rng: tuple(rng.uniform(0.2, 1, shape) for shape in shapes)


def weight(*shape):
    """Return a Parameter of normal numbers."""
    return nn.Parameter(np.random.default_rng([7, *shape]).normal(size=shape))


@dataclass
class Exhibit:
    """A mistake that somebody made, rebuilt.

    layer: the module, right.
    line: a piece of its text that occurs once.
    mistake: what stood there in spirit.
    draw: from a generator, what to call it with.
    wrong: by array whose gradient is wrong, the kinds of mistake that name it rightly; none where it is right.
    said_today: where the checker says something else still, what it says.
    """

    name: str
    year: int
    link: str
    story: str
    layer: type[nn.Module]
    line: str
    mistake: str
    draw: Callable[[np.random.Generator], tuple]
    wrong: dict[str, tuple[str, ...]]
    said_today: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Return the text of the layer with the mistake."""
        text = inspect.getsource(self.layer)
        if text.count(self.line) != 1:
            raise ValueError(f"{self.name}: {self.line!r} occurs not once in {self.layer.__name__}")
        return text.replace(self.line, self.mistake)

    def build(self) -> nn.Module:
        """Return the layer with the mistake."""
        space = dict(vars(sys.modules[self.layer.__module__]))
        exec(self.text(), space)
        return space[self.layer.__name__]()

    def inputs(self) -> tuple:
        return self.draw(np.random.default_rng(zlib.crc32(self.name.encode())))

    def report(self) -> Report:
        """Return what the checker says."""
        return nn.gradcheck(self.build(), *self.inputs(), raise_exception=False)

    def change(self) -> str:
        """Return the lines that were mistaken after a minus, and the right ones after a plus."""
        lines = difflib.unified_diff(self.text().splitlines(), inspect.getsource(self.layer).splitlines(), n=0)
        changed = [line for line in list(lines)[2:] if line[0] in "-+"]
        code = textwrap.dedent("\n".join(line[1:] for line in changed)).splitlines()
        return "\n".join(f"{line[0]} {text}" for line, text in zip(changed, code, strict=True))
