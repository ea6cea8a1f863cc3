"""The sheet: a three-layer ReLU network and J = 1/2 ||f(x) - y||^2, with its right values and gradients.

The mathematics stands in `solutions`, once for a sample as a column and once for batches of rows. Here it is run, at
points that are drawn to try a filling at.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from types import ModuleType

import numpy as np

from .gradients import Arrays
from .solutions import columns, rows
from .statements import Statements

SIZES = (3, 5, 4, 2)  # of x, a1, a2 and z3: all different, so that a wrong shape or order shows
BATCH = 7  # samples in a batch, where there are batches
SCALES = (1.0, 0.01)  # of the data and the parameters: numbers small and large show a threshold that is not 0


class Sheet:
    """One form of the sheet, with its solution.

    Args:
        form: "columns", one sample at a time, or "rows", a batch.

    Example:
        >>> sheet = Sheet("columns")
        >>> point = sheet.point(np.random.default_rng(0))
        >>> point["W1"].shape, point["dW1"].shape
        ((4, 5), (4, 5))
    """

    def __init__(self, form: str) -> None:
        self.by_rows = by_rows = form == "rows"
        self.samples = BATCH if by_rows else 1
        self.solution: ModuleType = rows if by_rows else columns
        self.source = Path(str(self.solution.__file__)).read_text(encoding="utf-8")
        self.forward = Statements(self.source, "forward")
        self.backward = Statements(self.source, "backward")

    @property
    def equations(self) -> dict[str, str]:
        """The equation of each node that forward computes."""
        equations = {}
        for layer, (given, out) in enumerate((("x", "z1"), ("a1", "z2"), ("a2", "z3"))):
            product = f"{given} W{layer}^T" if self.by_rows else f"W{layer} {given}"
            equations[out] = f"{out} = {product} + b{layer}"
        mean = "1/(2N)" if self.by_rows else "1/2"
        return {**equations, "a1": "a1 = max(z1, 0)", "a2": "a2 = max(z2, 0)", "J": f"J = {mean} ||z3 - y||^2"}

    # ---- values

    def nodes(self, leaves: Arrays, replaced: Arrays | None = None) -> Arrays:
        """Return all nodes of the graph, the loss J too; `replaced` holds nodes that are set to other values."""
        return {**leaves, **(replaced or {}), **self.forward.values(leaves, vars(self.solution), replaced)}

    def gradients(self, nodes: Arrays) -> Arrays:
        """Return the gradient of J by each node, under its name with a d in front."""
        return self.backward.values(nodes, vars(self.solution))

    def point(self, rng: np.random.Generator, scale: float = 1.0) -> Arrays:
        """Draw the data and the parameters; return all nodes there, and the gradients of J by them."""
        first, *_, last = SIZES
        leaves: Arrays = {name: rng.standard_normal(self._shape(size)) for name, size in (("x", first), ("y", last))}
        for layer, (inputs, outputs) in enumerate(itertools.pairwise(SIZES)):
            leaves[f"W{layer}"] = rng.standard_normal((outputs, inputs))
            leaves[f"b{layer}"] = rng.standard_normal(outputs if self.by_rows else (outputs, 1))
        nodes = self.nodes({name: scale * value for name, value in leaves.items()})
        return nodes | self.gradients(nodes)

    def _shape(self, size: int) -> tuple[int, int]:
        return (self.samples, size) if self.by_rows else (size, 1)

    def points(self, rng: np.random.Generator) -> list[Arrays]:
        """Draw points of each scale until everything has gone either way at one of them.

        Each hidden unit has been alive, and dead, while a gradient came in; each output has been positive and negative,
        and above and below its target.
        """
        points = []
        for scale in SCALES:
            seen = np.zeros(1, bool)
            while not np.all(seen):
                points.append(self.point(rng, scale))
                seen = seen | self._ways(points[-1])
        return points

    def _ways(self, n: Arrays) -> np.ndarray:
        """Return, for each unit and way, whether it has gone that way at a point."""
        ways = [n["z3"] > 0, n["z3"] < 0, n["dz3"] > 0, n["dz3"] < 0]
        for z, dz, da in (("z1", "dz1", "da1"), ("z2", "dz2", "da2")):
            ways += [n[dz] != 0, (n[z] < 0) & (n[da] != 0)]
        return np.concatenate([way.any(axis=0 if self.by_rows else 1) for way in ways])

    # ---- products, for either form

    def outer(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return u v^T, in rows summed over the samples: so the gradient by a weight is made."""
        return u.T @ v if self.by_rows else u @ v.T

    def back(self, weight: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return W^T u, the way back through a layer."""
        return u @ weight if self.by_rows else weight.T @ u
