"""Hints for each gradient of the sheet: its shape, the nodes that it depends on, the rule; the answer never."""

from __future__ import annotations

from .gradients import Blank
from .sheet import Sheet
from .slips import title

RULES = {
    "output": (
        "Take one entry: with s = 1/2 (v - t)^2, how fast does s grow with v? All entries together give the vector."
    ),
    "bias": "Where u = v + c, each entry of c moves its own entry of u, and as fast as it moves itself.",
    "weight": (
        "Where u = A v, the entry A[i, j] moves u[i] alone, at the rate v[j]. By the chain rule the entry [i, j] of "
        "the gradient is the upstream gradient at i times that rate. Which product of a column and a row holds all of "
        "these?"
    ),
    "linear": (
        "Where u = A v, the entry v[j] moves every u[i], at the rate A[i, j]. By the chain rule the upstream gradients "
        "at all i are multiplied by these rates and summed. Which product with A sums over i, and not over j?"
    ),
    "relu": (
        "Where u = max(v, 0), entry by entry, u moves as fast as v where v is positive, and stays 0 elsewhere. By the "
        "chain rule the upstream gradient is multiplied by that rate, entry by entry. Which comparison gives the rates?"
    ),
}
FOR_ROWS = {
    "output": " J is a mean over N samples, so each of them has the Nth part in it.",
    "bias": " In a batch it does so in every sample, and what comes back from all of them is summed.",
    "weight": (
        " In a batch, A has a part in every sample, and the products of all samples are summed: one product of two "
        "matrices does that, too."
    ),
    "linear": " In a batch each sample is a row, u^T = v^T A^T; each row goes back by itself.",
    "relu": "",
}


def steps(sheet: Sheet, blank: Blank) -> list[str]:
    """Return the hints for a gradient, in the order in which they are given.

    Example:
        >>> from .gradients import BLANKS
        >>> steps(Sheet("columns"), BLANKS[0])[0]
        'dJ/dz3 has the shape of z3: a gradient has the shape of its node.'
    """
    node, child = blank.node, blank.child
    shape = f"dJ/d{node} has the shape of {node}: a gradient has the shape of its node."
    if blank.kind == "weight":
        shape += f" So it has a row for each entry of {child} and a column for each entry of {blank.other}."
    equation = sheet.equations[child]
    if blank.kind == "output":
        nodes = f"J is computed from z3 directly: {equation}. So dJ/dz3 depends on z3 and y."
    else:
        nodes = f"One arrow leaves {node}, to {child}: {equation}. So dJ/d{node} depends on dJ/d{child}"
        nodes += f" and {title(blank.other)}." if blank.other else " alone."
    return [shape, nodes, RULES[blank.kind] + (FOR_ROWS[blank.kind] if sheet.by_rows else "")]
