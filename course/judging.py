"""Whether a filled-in blank does what the solution does, and if not, what is wrong with it.

Both are asked the same in processes of their own, at points that are drawn here, and their answers are compared. What
is wrong with a gradient is then named by the gradient checker, which asks the hand-in for what it needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nn import tree
from nn.checking import Back, Pull, Subject, check_subject

from .naming import factor, is_right
from .parts import Part
from .runner import Runner, RunnerError

POINTS = 4
STEPS = 5  # of an optimizer
TOLERANCE = 1e-7  # of the largest entry: other ways to compute the same differ by rounding

Found = tuple[str, int]  # what is wrong, and in which line, 0 where that is not known


def judged(part: Part, right: Runner, tried: Runner, rng: np.random.Generator) -> Found | None:
    """Return what is wrong with a blank that is filled in; None where nothing is.

    Args:
        part: the blank.
        right: the solution.
        tried: the hand-in.
        rng: where the points come from.
    """
    for number in range(POINTS):
        inputs, rest = part.draw(rng), {"training": number % 2 == 0}
        if part.kind == "optimizer":
            drawn = [rng.standard_normal(inputs[0].shape) for _ in range(STEPS)]
            request = part.request(inputs, gradients=drawn)
        else:
            first = right.ask(part.request(inputs, **rest, parameters={}, upstream=None))["answer"]
            parameters = {name: rng.standard_normal(p.shape) for name, p in first.get("parameters", {}).items()}
            upstream = _drawn_like(first.get("output"), rng) if part.kind == "module" or part.backward else None
            request = part.request(inputs, **rest, parameters=parameters, upstream=upstream)
        expected = right.ask(request)["answer"]
        try:
            got = tried.ask(request)
        except RunnerError as error:
            return str(error), 0
        if "error" in got:
            return str(got["error"]), int(got.get("line") or 0)
        if found := _difference(part, expected, got.get("answer")):
            if found.startswith("the gradient") and (words := _by_gradcheck(part, request, tried)):
                return words, 0
            return found, 0
    return None


def _drawn_like(output: Any, rng: np.random.Generator) -> Any:
    return np.asarray(rng.standard_normal(output.shape)) if isinstance(output, np.ndarray) else None


def _difference(part: Part, expected: dict[str, Any], got: Any) -> str | None:
    """Say where an answer differs from the solution's; None where it does not."""
    if not isinstance(got, dict):
        return "it gives no answer that can be read"
    for key, right in expected.items():
        leaves = dict(tree.named_leaves(right, key))
        values = dict(tree.named_leaves(got.get(key), key))
        for name, leaf in leaves.items():
            text = _wrong(leaf, values.get(name))
            if text:
                return f"{_titled(part, key, name)} {text}"
        if len(values) != len(leaves):
            return f"{_titled(part, key, key)}: expected {len(leaves)}, got {len(values)}"
    return None


def _titled(part: Part, key: str, name: str) -> str:
    """Return what to call a part of an answer."""
    place = name.removeprefix(key).strip("[].'")
    if key == "output":
        return "the output"
    if key == "steps":
        return f"the weight after step {int(place or 0) + 1}"
    if key == "inputs" and place:
        return f"the gradient of {part.names[int(place)]}"
    return f"the gradient of {place}" if place else "the number of gradients"


def _wrong(right: Any, value: Any) -> str | None:
    if right is None or not isinstance(right, np.ndarray):
        return None
    if not isinstance(value, np.ndarray):
        return f"should be an array of shape {right.shape}, and is {'None' if value is None else value}"
    if value.shape != right.shape:
        return f"should have shape {right.shape}, and has {value.shape}"
    if is_right(value, right, TOLERANCE):
        return None
    if not np.isfinite(value).all():
        return "has entries that are not finite (NaN or infinity)"
    if not value.any():
        return "is zero everywhere"
    c = factor([np.asarray(value, float)], [np.asarray(right, float)]) if right.size > 1 else None
    if c is not None:
        return "has the wrong sign" if abs(c + 1) < TOLERANCE else f"is {c:.6g} times what it should be"
    return f"is wrong in {int((np.abs(value - right) > TOLERANCE * np.abs(right).max()).sum())} of {right.size} entries"


# ---- the gradient checker's words


class CallSubject(Subject):
    """A hand-in as the gradient checker knows things: each pass is asked of its process."""

    starts_afresh = True

    def __init__(self, part: Part, request: dict[str, Any], runner: Runner) -> None:
        self.part, self.request, self.runner = part, request, runner
        super().__init__(part.name, dict(zip(part.names, request["inputs"], strict=True)), request["parameters"])
        if len(part.names) > 1 and part.kind == "module":
            self.optional = {part.names[-1]: "a target: no gradient"}

    def instance(self) -> Pull:
        """Return a run of forward, and of both passes."""
        return self._pull

    def _pull(self, *values: Any) -> tuple[Any, Back]:
        count = len(self.part.inputs)
        inputs, parameters = values[:count], dict(zip(self.parameters, values[count:], strict=True))

        def answer(upstream: Any) -> dict[str, Any]:
            request = {**self.request, "inputs": list(inputs), "parameters": parameters, "upstream": upstream}
            return dict(self.runner.ask(request)["answer"])

        def back(g: Any) -> Sequence[Any]:
            found = answer(np.asarray(g))
            gradients = [*found["inputs"], *[None] * (count - len(found["inputs"]))]
            return [*gradients, *(found.get("parameters", {})[name] for name in self.parameters)]

        return answer(None)["output"], back


def _by_gradcheck(part: Part, request: dict[str, Any], tried: Runner) -> str | None:
    """Return what the gradient checker says of a hand-in; None where it says nothing."""
    try:
        report = check_subject(CallSubject(part, request, tried), raise_exception=False)
    except (RunnerError, KeyError, TypeError, ValueError, RuntimeError):  # what cannot be run elsewhere
        return None
    known = [fault for fault in report.faults if fault.kind != "unknown"]
    return f"the gradient of {known[0].name}: {_lowered(known[0].message)}" if known else None


def _lowered(text: str) -> str:
    return f"{text[0].lower()}{text[1:]}".strip().rstrip(".")
