"""The input on which a wrong answer differs from the reference, as a test that can be pasted in.

What is run to find a difference is the very code that is shown.
"""

from __future__ import annotations

import itertools
import textwrap
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .calls import Recorder, Result, flat
from .variants import Chain, chain_of, varied

VARIANTS = 200
SECONDS = 8.0  # after which no further variant is tried on a wrong answer
SAME = 1e-6  # relative: what differs by less is rounding
FEW = 8  # entries of an array that is written out; of others, a sum with random weights


class Witness(NamedTuple):
    """An input on which a wrong answer differs from the reference.

    Attributes:
        said: what is special about it.
        test: a test with it, to paste in.
    """

    said: str
    test: str


class Differences:
    """Finds the inputs on which wrong answers differ from a reference.

    Args:
        recorder: what recorded the tests on the reference.
        source: of the reference.
    """

    def __init__(self, recorder: Recorder, source: str) -> None:
        self.recorder = recorder
        self.draws = "np.random.seed(0)\n" if "np.random." in source or "numpy.random" in source else ""
        self._expected: dict[str, dict[str, np.ndarray]] = {}

    def witness(self, function: str, source: str) -> Witness | None:
        """Return an input on which a changed source gives something else; None where none was found.

        Args:
            function: the one that was changed.
            source: the whole file.
        """
        module = {name: self.recorder.module.get(name) for name in ("__name__", "__package__", "__file__", "__spec__")}
        try:
            exec(compile(source, str(module["__file__"]), "exec"), module)
        except Exception:
            return None  # it cannot even be imported: no test is needed to see that
        calls = self.recorder.calls
        own = [call for call in calls if call.function == function]
        deadline = time.perf_counter() + SECONDS
        for call in own or [call for call in calls if not call.is_constructor]:
            for chain in itertools.islice(varied(chain_of(call, calls)), VARIANTS):
                if found := self._compared(chain, module):
                    return found
                if time.perf_counter() > deadline:
                    return None
        return None

    def _compared(self, chain: Chain, module: Mapping[str, Any]) -> Witness | None:
        """Return a chain as a witness, if the changed module gives something else than the reference."""
        expected = self._reference(chain)
        if not expected:
            return None
        got = self._run(chain, module)
        for name, value in expected.items():
            if got is not None and not _passes(got.get(name), value):
                return Witness(chain.said, self._test(chain, name, value))
        return None

    def _reference(self, chain: Chain) -> dict[str, np.ndarray]:
        """Return what the reference gives; nothing where it fails, or gives something else each time."""
        key = chain.code()
        if key not in self._expected:
            first, second = (self._run(chain, self.recorder.module) for _ in range(2))
            first = first or {}
            steady = second is not None and all(_is_same(second.get(name), value) for name, value in first.items())
            finite = all(np.isfinite(value).all() for value in first.values())
            self._expected[key] = first if steady and finite else {}
        return self._expected[key]

    def _run(self, chain: Chain, module: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
        """Return what a chain gives, by how it is written; None where it fails."""
        names = {**module, "np": np, "rng": np.random.default_rng(0)}
        try:
            exec(self.draws + chain.code(), names)
        except Exception:
            return None
        found = {f"result{path}": value for path, value in flat(names["result"])}
        last = chain.calls[-1]
        if last.is_method and isinstance(owner := last.arguments[0][1], Result):
            name = chain.names()[owner.call]
            found |= {f"{name}.{key}{path}": v for key, x in vars(names[name]).items() for path, v in flat(x)}
        return found

    def _test(self, chain: Chain, name: str, value: np.ndarray) -> str:
        """Return a test that the reference passes and the wrong answer does not."""
        lines = [*(self.draws + chain.code()).splitlines()]
        if value.size <= FEW:
            lines.append(f"np.testing.assert_allclose({name}, {_written(value)}, rtol={SAME}, atol=1e-9)")
        else:
            lines += [
                f"weights = np.random.default_rng(1).normal(size={value.shape})",
                f"assert np.shape({name}) == {value.shape}",
                f"np.testing.assert_allclose(np.vdot({name}, weights), {_weighed(value):.10g}, rtol={SAME}, atol=1e-9)",
            ]
        uses_rng = any("rng." in line for line in lines)
        lines = ["rng = np.random.default_rng(0)"] * uses_rng + lines
        title = chain.calls[-1].function.replace(".", "_").lower()
        return f"def test_{title}():\n" + textwrap.indent("\n".join(lines), "    ")


def _is_same(got: np.ndarray | None, expected: np.ndarray) -> bool:
    return got is not None and got.shape == expected.shape and np.array_equal(got, expected)


def _passes(got: np.ndarray | None, expected: np.ndarray) -> bool:
    """Tell whether a value would pass the test that is written for it."""
    if got is None or got.shape != expected.shape:
        return False
    if expected.size > FEW:
        got, expected = _weighed(got), _weighed(expected)
    return np.allclose(got, expected, rtol=2 * SAME, atol=1e-8)


def _weighed(value: np.ndarray) -> np.ndarray:
    """Return the sum of an array's entries with random weights: one number that tells of each."""
    return np.vdot(value, np.random.default_rng(1).normal(size=value.shape))


def _written(value: np.ndarray) -> str:
    """Return an array of few entries as it is written."""
    if value.dtype.kind in "biu":
        return str(value.tolist())
    digits = [float(f"{number:.8g}") for number in value.ravel()]
    return str(np.reshape(digits, value.shape).tolist())
