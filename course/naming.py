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
from .gradients import LEAVES, Arrays, Blank
from .sheet import Sheet
from .slips import SLIPS, Slip, added, another, of_upstream, of_wrong_shape
from .statements import StatementError

TOLERANCE = 1e-9  # of the largest entry: a right filling is off by rounding alone
FLOAT32 = 1e-5  # to which a filling is right that rounds to float32, and to which a slip agrees

ADVICE = dict.fromkeys(  # for a product that cannot be computed
    ("output", "bias", "weight", "linear"),
    "; dJ/d{0} has the shape of {0}: which operands, in which order, and which of them transposed, give that?",
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
    if not np.array_equal(ask(points[0]), values[0]):
        text = "it is another one each time that it is computed, from the same numbers: is anything in it random?"
        return Verdict(blank.name, "wrong", text, line)
    telling = max(points, key=lambda point: _telling(point[blank.name]))
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
        slip = _reduced(sheet, values, right) or _first(sheet, blank, points, values, of_wrong_shape)
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
        or _first(sheet, blank, points, values, another)
        or _first(sheet, blank, points, values, of_upstream)
        or _first(sheet, blank, points, rest, added)
        or _stepped(blank, points, values)
    )


def _stepped(blank: Blank, points: Sequence[Arrays], values: Sequence[np.ndarray]) -> str | None:
    """Say that a node is updated, where the values are those of the node after a step along its gradient."""
    steps = [value - point[blank.node] for value, point in zip(values, points, strict=True)]
    if factor(steps, [point[blank.name] for point in points]) is None:
        return None
    return f"this is {blank.node} after a step of training: dJ/d{blank.node} itself is asked for"


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
        text = f"{text}: what becomes of the 1/2 in J when the square is differentiated?"
        return f"{text} Or is the mean taken over all entries, where J divides by N?" if batch and abs(c) < 1 else text
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


# ---- the gradient checker's words


def _telling(gradient: np.ndarray) -> tuple[int, int]:
    """Return how much a point tells of a gradient: one with dead and living units most, else the most living ones."""
    alive = int(np.count_nonzero(gradient))
    return min(alive, gradient.size - alive), alive


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
    known = [
        fault.message
        for fault in report.faults
        if fault.kind not in ("unknown", "not carried") and "grad_output" not in fault.message  # which is 1 here
    ]
    return re.sub(r"\bnode\b", blank.node, f"{known[0][0].lower()}{known[0][1:]}".rstrip(".")) if known else None
