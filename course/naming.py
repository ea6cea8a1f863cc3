"""What is wrong with a filling of the sheet, in a sentence that says where to look next, and not what to write.

A wrong value is held against what typical slips give: another node, a factor left out, a transpose, a sum too many.
Each slip is computed at all points, and named where it agrees at all of them, but for a constant factor. What no slip
explains is shown to the gradient checker, which knows many more in general terms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nn import gradcheck

from .filling import Answer, kind_of
from .gradients import BLANKS, LEAVES, NAMES, Arrays, Blank
from .sheet import Sheet
from .statements import StatementError

TOLERANCE = 1e-9  # of the largest entry: a right filling is off by rounding alone
FLOAT32 = 1e-5  # to which a filling is right that rounds to float32, and to which a slip agrees

Slip = tuple[str, np.ndarray]  # what it is called, where {} stands for a factor such as "minus ", and what it gives
ADVICE = dict.fromkeys(  # for a product that cannot be computed
    ("output", "bias", "weight", "linear"),
    "; dJ/d{0} has the shape of {0}: which order of the factors, and which of them transposed, gives that?",
)
ADVICE["relu"] = "; a ReLU acts entry by entry, so all that belongs into dJ/d{0} has the shape of {0}"
UNKNOWN = (
    "the shape is right and the numbers are not, and no usual slip explains them: look again at {}, and at how it "
    "changes with {}"
)


@dataclass(frozen=True)
class Verdict:
    """What came out for one gradient.

    Attributes:
        name: the gradient, such as "dW1".
        state: "right", "blank" (not filled yet) or "wrong".
        message: of a wrong one, what is wrong.
        line: of the student's file, where it is computed.

    Example:
        >>> print(Verdict("dW1", "wrong", "the sign is wrong", 40))
        dW1: line 40: the sign is wrong
    """

    name: str
    state: str
    message: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"

    @property
    def text(self) -> str:
        """What is to be said."""
        if self.state == "wrong":
            return f"line {self.line}: {self.message}" if self.line else self.message
        return "right" if self.state == "right" else "not filled yet"


def judge(
    sheet: Sheet,
    blank: Blank,
    points: Sequence[Arrays],
    answers: Sequence[Answer],
    line: int,
    ask: Callable[[Arrays], Answer],
) -> Verdict:
    """Return the verdict on one gradient.

    Args:
        sheet: the form of the sheet.
        blank: the gradient.
        points: where it was computed.
        answers: what the filling gave at each of them.
        line: where it stands in the student's file.
        ask: computes the filling at a further point.
    """
    if any(answer is ... for answer in answers):
        return Verdict(blank.name, "blank")
    if all(is_right(answer, point[blank.name]) for answer, point in zip(answers, points, strict=True)):
        return Verdict(blank.name, "right")
    for answer in answers:
        if isinstance(answer, StatementError):
            text = str(answer) + (ADVICE[blank.kind].format(blank.node) if "cannot be computed" in str(answer) else "")
            return Verdict(blank.name, "wrong", text, answer.line)
        if not isinstance(answer, np.ndarray) or answer.dtype.kind not in "biuf":
            return Verdict(blank.name, "wrong", f"an array of numbers is expected, got {kind_of(answer)}", line)
        if not np.isfinite(answer).all():
            return Verdict(blank.name, "wrong", "it has entries that are not finite (NaN or infinity)", line)
    values = [np.asarray(answer, float) for answer in answers]
    telling = max(points, key=lambda point: int(np.count_nonzero(point[blank.name])))
    with np.errstate(all="ignore"):
        words = _named(sheet, blank, points, values) or _by_gradcheck(sheet, blank, telling, ask)
    return Verdict(blank.name, "wrong", words or UNKNOWN.format(sheet.equations[blank.child], blank.node), line)


def is_right(answer: Answer, right: np.ndarray, tolerance: float = TOLERANCE) -> bool:
    """Return whether an answer is the right array, but for rounding.

    Example:
        >>> is_right(np.ones((2, 1)), np.ones((2, 1))), is_right(np.ones(2), np.ones((2, 1)))
        (True, False)
    """
    if not isinstance(answer, np.ndarray) or answer.shape != right.shape or answer.dtype.kind not in "iuf":
        return False
    return bool((np.abs(answer - right) <= tolerance * np.abs(right).max()).all())


# ---- comparing


def _named(sheet: Sheet, blank: Blank, points: Sequence[Arrays], values: Sequence[np.ndarray]) -> str | None:
    """Return in words what makes of the right gradient the one that was computed; None where no slip does."""
    right = [point[blank.name] for point in points]
    batch = sheet.samples if sheet.by_rows else 0
    if any(value.shape != gradient.shape for value, gradient in zip(values, right, strict=True)):
        text = f"it has shape {values[0].shape}, and {blank.node} has shape {right[0].shape}: a gradient has the shape "
        text += "of its node"
        slip = _reduced(sheet, values, right) or _first(sheet, blank, points, values, _of_wrong_shape)
        if slip is None and values[0].size == 1:
            slip = "this is a single number, and each entry has one of its own"
        return f"{text}; {slip}" if slip else text
    if not any(value.any() for value in values):
        return "it is zero everywhere"
    if all(np.array_equal(value, values[0]) for value in values):
        return "it is the same at every point: it depends neither on the data nor on the parameters"
    if all(is_right(value, gradient, FLOAT32) for value, gradient in zip(values, right, strict=True)):
        return "it is right to a few digits alone: is something rounded, or computed in float32?"
    if (c := factor(values, right)) is not None:
        return _of_factor(blank, c, batch)
    rest = [value - gradient for value, gradient in zip(values, right, strict=True)]
    return (
        _first(sheet, blank, points, values, SLIPS[blank.kind])
        or _first(sheet, blank, points, values, _another)
        or _first(sheet, blank, points, values, _of_upstream)
        or _first(sheet, blank, points, rest, _added)
    )


def _first(
    sheet: Sheet,
    blank: Blank,
    points: Sequence[Arrays],
    values: Sequence[np.ndarray],
    slips: Callable[[Sheet, Blank, Arrays], Iterator[Slip]],
) -> str | None:
    """Return the name of the first slip that gives the values, or a multiple of them, at all points."""
    for at_points in zip(*(slips(sheet, blank, point) for point in points), strict=True):
        if (c := factor(values, [expected for _, expected in at_points])) is not None:
            return at_points[0][0].format(_times(c, sheet.samples if sheet.by_rows else 0))
    return None


def factor(values: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float | None:
    """Return c where the values are c times what is expected, at all points; None where there is no such number.

    Example:
        >>> factor([np.array([2.0]), np.array([4.0])], [np.array([1.0]), np.array([2.0])])
        2.0
    """
    if any(a.shape != np.shape(b) for a, b in zip(values, expected, strict=True)):
        return None
    sizes = [np.abs(b).max(initial=0) or np.abs(a).max(initial=0) or 1.0 for a, b in zip(values, expected, strict=True)]
    a, b = (  # each point counts alike, whether numbers are large or small there
        np.concatenate([np.ravel(array) / size for array, size in zip(arrays, sizes, strict=True)])
        for arrays in (values, expected)
    )
    square = b @ b
    c = float(a @ b / square) if square else 0.0
    return c if c and np.abs(a - c * b).max() <= FLOAT32 * np.abs(a).max() else None


def _times(c: float, batch: int) -> str:
    """Return in words what a factor is, to stand in front of "the gradient" or the like."""
    known = {1.0: "", -1.0: "minus ", 2.0: "twice ", 0.5: "half ", -2.0: "minus twice ", -0.5: "minus half "}
    if batch:
        known |= {float(batch): "N times ", 1 / batch: "1/N times ", 2 / batch: "2/N times "}
    return next((text for value, text in known.items() if abs(c - value) <= FLOAT32), f"{c:.4g} times ")


def _of_factor(blank: Blank, c: float, batch: int) -> str:
    """Say what a constant factor may come from."""
    if abs(c + 1) <= FLOAT32:
        return "the sign is wrong: it is minus the gradient"
    text = f"it is {_times(c, batch)}the gradient"
    if blank.kind == "output" and min(abs(abs(c) - 2), abs(abs(c) - 0.5)) <= FLOAT32:
        return f"{text}: what becomes of the 1/2 in J when the square is differentiated?"
    if batch and abs(c - batch) <= FLOAT32:
        return f"{text}: J is the mean over the N samples" if blank.kind == "output" else f"{text}: is a mean undone?"
    if batch and abs(c * batch - 1) <= FLOAT32:
        return f"{text}: is the mean taken twice? The 1/N of J comes in once, with dJ/dz3"
    return text


# ---- the shape


def _reduced(sheet: Sheet, values: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> str | None:
    """Say what is to be done to the values, such as to be summed, for the right numbers to come out."""
    batch = sheet.samples if sheet.by_rows else 0
    if (c := factor(values, [gradient.T for gradient in right])) is not None:
        return f"this is {_times(c, batch)}the right gradient transposed"
    if (c := factor([value.ravel() for value in values], [gradient.ravel() for gradient in right])) is not None:
        return f"this is {_times(c, batch)}the right gradient, laid out in another shape"
    for axis in range(values[0].ndim):
        over = "the samples" if sheet.by_rows and axis == 0 else f"axis {axis}"
        for keepdims in (False, True):
            sums = [value.sum(axis, keepdims=keepdims) for value in values]
            if factor(sums, right) is not None or factor([each.T for each in sums], right) is not None:
                return f"a sum over {over} is missing"
    return None


def _of_wrong_shape(sheet: Sheet, blank: Blank, n: Arrays) -> Iterator[Slip]:
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


def _another(sheet: Sheet, blank: Blank, n: Arrays) -> Iterator[Slip]:
    right = n[blank.name]
    yield "it is {}the absolute value of the gradient", np.abs(right)
    yield "it is {}the square of the gradient, entry by entry", right**2
    yield "it is cut off where the gradient is negative", np.maximum(right, 0)
    yield "it is cut off where the gradient is positive", np.minimum(right, 0)
    for name in like(n, blank.name):
        yield f"this is {{}}{title(name)}, and not the gradient by {blank.node}", n[name]


def _added(sheet: Sheet, blank: Blank, n: Arrays) -> Iterator[Slip]:
    if blank.kind == "relu":
        z, through = blank.node, n[blank.upstream] * (n[blank.node] <= 0)
        yield f"where {z} is negative, something comes through: what is the slope of max({z}, 0) there?", through
    for name in like(n, blank.name):
        yield f"{{}}{title(name)} is added to the right gradient", n[name]
    yield "a constant is added to the right gradient", np.ones_like(n[blank.name])


def _of_upstream(sheet: Sheet, blank: Blank, n: Arrays) -> Iterator[Slip]:
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


# ---- the gradient checker's words


def _by_gradcheck(sheet: Sheet, blank: Blank, point: Arrays, ask: Callable[[Arrays], Answer]) -> str | None:
    """Check the filling as the gradient of J by its own node, and return what the gradient checker makes of it."""
    leaves = {name: point[name] for name in LEAVES}

    def loss(node: np.ndarray) -> tuple[float, np.ndarray]:
        nodes = sheet.nodes(leaves, {blank.node: node})
        answer = ask(nodes | sheet.gradients(nodes))
        if not isinstance(answer, np.ndarray):
            raise TypeError(f"expected an array, got {kind_of(answer)}")
        return nodes["J"], answer

    try:
        report = gradcheck(loss, point[blank.node], value_and_grad=True, raise_exception=False)
    except (TypeError, ValueError, RuntimeError):  # a filling that cannot be computed at other points
        return None
    known = [fault.message for fault in report.faults if fault.kind != "unknown"]
    return re.sub(r"\bnode\b", blank.node, f"{known[0][0].lower()}{known[0][1:]}".rstrip(".")) if known else None
