"""Slips that students make in a gradient of the sheet: what each is called, and what it gives at a point.

Each function yields the slips at one point, a text and an array each, and in the same order at every point, so that
each can be held against the values at all of them. In a text, {} stands for a factor, such as "minus ". A text says
where to look next, and not what to write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .gradients import BLANKS, NAMES, Arrays, Blank
from .sheet import Sheet

Slip = tuple[str, np.ndarray]


def of_wrong_shape(sheet: Sheet, blank: Blank, n: Arrays) -> Iterator[Slip]:
    """Slips that give another shape than that of the node."""
    right = n[blank.name]
    if sheet.by_rows and blank.kind == "bias":
        for keepdims in (False, True):
            over = n[blank.upstream].sum(1, keepdims=keepdims)
            yield "the sum runs over the units of each sample, where it should run over the samples", over
    for axis in (None, *range(right.ndim)):
        for keepdims in (False, True):
            what = "all entries of the gradient are" if axis is None else f"along axis {axis} the gradient is"
            yield f"{what} summed up", right.sum(axis, keepdims=keepdims)
    if blank.kind == "weight":
        w, z, g, a = blank.node, blank.child, n[blank.upstream], n[blank.other]
        for name, node in n.items():
            if np.ndim(node) == 2 and node.shape[0 if sheet.by_rows else 1] == sheet.samples:
                text = f"{{}}{title(name)} is one factor"
                yield f"{text}: which node is {w} multiplied by to give {z}?", sheet.outer(g, node)
                yield f"{text}, where the gradient by {z} should come in", sheet.outer(node, a)
    if blank.kind == "output":
        length = np.asarray(np.linalg.norm(n["z3"] - n["y"]))
        yield "this is {}the length of z3 - y, a single number", length
        if not sheet.by_rows:
            yield "z3 and y do not have one shape there, so that they make a matrix of differences", n["z3"] - n["y"].T
    if blank.kind == "relu":
        alive, g = n[blank.node] > 0, n[blank.upstream]
        yield "the entries of dead units are left out, where they should be 0", g[alive]
    for name, node in n.items():
        yield f"this is {{}}{title(name)}", node
        yield f"this is {{}}{title(name)} transposed", node.T


# ---- what any gradient may be taken for, and what may be added to it


def title(name: str) -> str:
    """Return what to call a node or a gradient.

    Example:
        >>> title("z1"), title("dz1")
        ('z1', 'dJ/dz1')
    """
    return f"dJ/{name}" if name in NAMES else name


def like(n: Arrays, name: str) -> list[str]:
    """Return the nodes and gradients of the shape of a node, without itself.

    Example:
        >>> like({"z1": np.ones(2), "a1": np.ones(2), "x": np.ones(3)}, "z1")
        ['a1']
    """
    return [key for key, value in n.items() if key != name and np.shape(value) == np.shape(n[name])]


def another(sheet: Sheet, blank: Blank, n: Arrays) -> Iterator[Slip]:
    """Other gradients and nodes, and what may be made of the right gradient."""
    right = n[blank.name]
    yield "it is {}the absolute value of the gradient", np.abs(right)
    yield "it is {}the square of the gradient, entry by entry", right**2
    yield "it is cut off where the gradient is negative", np.maximum(right, 0)
    yield "it is cut off where the gradient is positive", np.minimum(right, 0)
    for name in like(n, blank.name):
        yield f"this is {{}}{title(name)}, and not the gradient by {blank.node}", n[name]


def added(sheet: Sheet, blank: Blank, n: Arrays) -> Iterator[Slip]:
    """What may be added to the right gradient."""
    if blank.kind == "relu":
        z, through = blank.node, n[blank.upstream] * (n[blank.node] <= 0)
        yield f"where {z} is negative, something comes through: what is the slope of max({z}, 0) there?", through
    for name in like(n, blank.name):
        yield f"{{}}{title(name)} is added to the right gradient", n[name]
    yield "a constant is added to the right gradient", np.ones_like(n[blank.name])


def of_upstream(sheet: Sheet, blank: Blank, n: Arrays) -> Iterator[Slip]:
    """Slips in what stands in the place of the upstream gradient: those of the line that should give it."""
    if not blank.upstream:
        return
    upstream = BLANKS[NAMES.index(blank.upstream)]
    rules: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "bias": lambda g: g.sum(0) if sheet.by_rows else g,
        "weight": lambda g: sheet.outer(g, n[blank.other]),
        "linear": lambda g: sheet.back(n[blank.other], g),
        "relu": lambda g: g * (n[blank.node] > 0),
    }
    for text, g in SLIPS[upstream.kind](sheet, upstream, n):
        yield f"what stands in the place of {title(blank.upstream)} is wrong: {text}", rules[blank.kind](g)


# ---- slips of each kind of gradient, the likeliest first


def _of_output(sheet: Sheet, blank: Blank, n: Arrays) -> Iterator[Slip]:
    y, z3, r = n["y"], n["z3"], n["z3"] - n["y"]
    yield "this is {}z3 alone: y has a part in J too", z3
    yield "this is {}y alone: z3 has a part in J too", y
    yield "this is {}z3 + y: look at the sign of y in J", z3 + y
    yield "this is {}the square of z3 - y, entry by entry: it is still to be differentiated", r**2
    yield "this is {}|z3 - y|: the sign of the difference is lost", np.abs(r)
    yield "this is {}the sign of z3 - y alone: that is the gradient of |z3 - y|", np.sign(r)
    for cut in (r * (z3 > 0), np.maximum(r, 0), r * (r > 0), np.maximum(z3, 0) - y):
        yield "a ReLU cuts it off, and the output z3 has none", cut
    yield "it has a factor J too many: the loss has no part in its own derivative", r * n["J"]
    for name in ("z3", "y", "a2"):
        if np.shape(n[name]) == r.shape:
            yield f"it has a factor {name} too many: what comes down when a square is differentiated?", r * n[name]
    yield "it is divided by the length of z3 - y, which is for a loss without the square", r / np.linalg.norm(r)
    yield "every entry holds J", np.full_like(r, n["J"])


def _of_bias(sheet: Sheet, blank: Blank, n: Arrays) -> Iterator[Slip]:
    b, z, g = blank.node, blank.child, n[blank.upstream]

    def total(u: np.ndarray) -> np.ndarray:
        return u.sum(0) if sheet.by_rows else u

    what = "the sum of " if sheet.by_rows else ""
    for name in like(n, blank.upstream):
        yield f"this is {{}}{what}{title(name)}, where the gradient by {z} should come in", total(n[name])
    yield f"it has a factor {b} too many: {z} depends on {b} by plain addition", total(g) * n[b]
    for name in like(n, blank.upstream):
        yield f"it has a factor {title(name)} too many: {z} depends on {b} by plain addition", total(g * n[name])
        yield f"it has a mask too many: between {b} and {z} there is no ReLU", total(g * (n[name] > 0))
    yield f"this is {{}}the derivative of {z} by {b} alone: by the chain rule, dJ/d{z} comes in", np.ones_like(n[b])
    yield "every entry holds the sum of them all", np.full_like(n[b], g.sum())
    if sheet.by_rows:
        yield f"only the first sample counts, and {b} has a part in all of them", g[0]
        yield f"only the last sample counts, and {b} has a part in all of them", g[-1]
        yield "this is the largest over the samples, where their sum is meant", g.max(0)


def _of_weight(sheet: Sheet, blank: Blank, n: Arrays) -> Iterator[Slip]:
    w, z, g, a = blank.node, blank.child, n[blank.upstream], n[blank.other]
    outer = sheet.outer
    for v in like(n, blank.other):
        yield f"{{}}{title(v)} is one factor: which node is {w} multiplied by to give {z}?", outer(g, n[v])
    for u in like(n, blank.upstream):
        yield f"{{}}{title(u)} is one factor, where the gradient by {z} should come in", outer(n[u], a)
    for mask in (blank.other, *like(n, blank.other)):
        text = f"one factor is the mask {title(mask)} > 0, where the values that {w} multiplies are meant"
        yield text, outer(g, n[mask] > 0)
        yield (
            f"it has a mask too many, {title(mask)} > 0: {w} and {blank.other} are multiplied as they are",
            outer(g, a * (n[mask] > 0)),
        )
    for mask in like(n, blank.upstream):
        yield (
            f"it has a mask too many, {title(mask)} > 0: between {w} and {z} there is no ReLU",
            outer(g * (n[mask] > 0), a),
        )
    yield (
        f"this is {{}}the derivative of {z} by {w} alone: by the chain rule, dJ/d{z} comes in",
        outer(np.ones_like(g), a),
    )
    yield f"{blank.other} is left out, which {w} is multiplied by to give {z}", outer(g, np.ones_like(a))
    yield f"it has a factor {w} too many: {z} is linear in {w}", n[blank.name] * n[w]
    if not sheet.by_rows:
        yield f"{w} itself is one factor: which node is it multiplied by to give {z}?", g * n[w]
    yield f"it is cut off where {w} is not positive: the ReLU looks at z, and at no weight", n[blank.name] * (n[w] > 0)
    if sheet.by_rows:
        yield f"only the first sample counts, and {w} has a part in all of them", np.outer(g[0], a[0])
        yield f"only the last sample counts, and {w} has a part in all of them", np.outer(g[-1], a[-1])
        text = "sums over the samples are multiplied, where the products of each sample are to be summed"
        yield text, np.outer(g.sum(0), a.sum(0))
    for u in like(n, blank.upstream):
        for v in like(n, blank.other):
            text = f"it is made of {title(u)} and {title(v)}: neither is a factor of the gradient by {w}"
            yield text, outer(n[u], n[v])


def _of_linear(sheet: Sheet, blank: Blank, n: Arrays) -> Iterator[Slip]:
    a, z, g, weight = blank.node, blank.child, n[blank.upstream], n[blank.other]
    back, right = sheet.back, n[blank.name]
    for u in like(n, blank.upstream):
        yield f"{{}}{title(u)} goes back through {blank.other}, where the gradient by {z} should", back(weight, n[u])
    further = "" if a == "x" else ", and the one before it belongs to the next gradient"
    for mask in (*like(n, blank.node), blank.node):
        text = f"it has a mask too many, {title(mask)} > 0: between {a} and {z} there is no ReLU{further}"
        yield text, right * (n[mask] > 0)
        yield f"it has a factor {title(mask)} too many", right * n[mask]
    for mask in like(n, blank.upstream):
        yield f"it has a mask too many, {title(mask)} > 0: dJ/d{z} goes back as it is", back(weight, g * (n[mask] > 0))
    text = f"it is made of {blank.other} alone: by the chain rule, dJ/d{z} comes in"
    yield text, back(weight, np.ones_like(g))
    yield f"{blank.other} is left out: every entry holds a sum of dJ/d{z}", back(np.ones_like(weight), g)
    yield f"it is computed with |{blank.other}|", back(np.abs(weight), g)
    text = f"dJ/d{blank.other} stands in the place of {blank.other}: how fast does {z} move with {a}?"
    yield text, back(n[f"d{blank.other}"], g)
    inverse = np.linalg.pinv(weight).T
    yield f"{blank.other} is inverted, and nothing is to be undone: how fast does {z} move with {a}?", back(inverse, g)


def _of_relu(sheet: Sheet, blank: Blank, n: Arrays) -> Iterator[Slip]:
    z, a = blank.node, blank.child
    g, alive, right = n[blank.upstream], n[z] > 0, n[blank.name]
    yield f"this is {{}}dJ/d{a} as it came: the derivative of the ReLU between {z} and {a} is missing", g
    yield f"the mask is the wrong way round: it lets through where {z} is negative", g * (n[z] <= 0)
    for cut in (g * (g > 0), g * (g < 0)):
        text = f"the ReLU is applied to dJ/d{a}: its derivative depends on what it was given on the way forward"
        yield text, cut
    yield f"dJ/d{a} is multiplied by {a}, the value of the ReLU, where its derivative is meant", g * n[a]
    yield f"dJ/d{a} is multiplied by {z}, where the derivative of the ReLU at {z} is meant", g * n[z]
    yield f"dJ/d{a} is multiplied by |{z}|, where the derivative of the ReLU at {z} is meant", g * np.abs(n[z])
    yield f"the sign of {z} is a factor, which is -1 where the unit is dead: is that the slope?", g * np.sign(n[z])
    yield f"this is {{}}the derivative of the ReLU alone: by the chain rule, dJ/d{a} comes in", 1.0 * alive
    yield f"the mask is added to dJ/d{a}: by the chain rule, derivatives are multiplied", g + alive
    sigmoid, tanh = 1 / (1 + np.exp(-n[z])), np.tanh(n[z])
    for derivative in (sigmoid, sigmoid * (1 - sigmoid), 1 - tanh**2, n[a] * (1 - n[a]), 1 - n[a], 1 - n[a] ** 2):
        yield "the derivative is that of another activation, such as a sigmoid: what is the ReLU's?", g * derivative
    for threshold in (1, 0.5, 0.1, 0.01, -1):
        yield f"the mask has another threshold than 0, where max({z}, 0) bends", g * (n[z] > threshold)
    if sheet.by_rows:
        for one in (n[z][0] > 0, n[z][-1] > 0, n[z].sum(0) > 0, (n[z] > 0).any(0), (n[z] > 0).all(0)):
            yield "the mask is the same for all samples, and each has its own", g * one
    for mask in like(n, z):
        yield f"the mask looks at {title(mask)}, and the ReLU looked at another node", g * (n[mask] > 0)
    for u in like(n, blank.upstream):
        yield f"{{}}{title(u)} goes through the mask, where the gradient by {a} should", n[u] * alive
        yield f"it has a factor {title(u)} too many", right * n[u]


SLIPS = {"output": _of_output, "bias": _of_bias, "weight": _of_weight, "linear": _of_linear, "relu": _of_relu}
