"""The gradients that the sheet asks for, from J back to x, and how they hang together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

LEAVES = ("x", "y", "W0", "b0", "W1", "b1", "W2", "b2")  # what forward takes
COMPUTED = ("z1", "a1", "z2", "a2", "z3", "J")  # what it returns
RETURNED = ("dW0", "db0", "dW1", "db1", "dW2", "db2", "dx")  # what backward returns

Arrays = dict[str, Any]  # by the names of the sheet; a gradient dJ/dz3 is called dz3


@dataclass(frozen=True)
class Blank:
    """A gradient that is asked for.

    Attributes:
        name: such as "dW1".
        node: what J is differentiated by, "W1".
        kind: "output", "bias", "weight", "linear" (of what a layer is given) or "relu".
        child: the node that is computed from it, "z2"; its gradient is known.
        other: what its node is multiplied by there, or what the ReLU looks at: "a1".

    Example:
        >>> next(blank for blank in BLANKS if blank.name == "dW1")
        Blank(name='dW1', node='W1', kind='weight', child='z2', other='a1')
    """

    name: str
    node: str
    kind: str
    child: str
    other: str

    @property
    def upstream(self) -> str:
        """The gradient that comes in, such as "dz2"; "" at J itself."""
        return "" if self.child == "J" else f"d{self.child}"


def _blanks() -> Iterator[Blank]:
    yield Blank("dz3", "z3", "output", "J", "y")
    for layer, given in ((2, "a2"), (1, "a1"), (0, "x")):
        z, weight = f"z{layer + 1}", f"W{layer}"
        yield Blank(f"db{layer}", f"b{layer}", "bias", z, "")
        yield Blank(f"d{weight}", weight, "weight", z, given)
        yield Blank(f"d{given}", given, "linear", z, weight)
        if layer:
            yield Blank(f"dz{layer}", f"z{layer}", "relu", given, f"z{layer}")


BLANKS = tuple(_blanks())  # from J back to x
NAMES = tuple(blank.name for blank in BLANKS)
