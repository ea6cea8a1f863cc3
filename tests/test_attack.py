"""A sample of the attacks of tools/attack.py: bad input is refused in clear words, and nothing is changed or lost."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import attack


@pytest.mark.parametrize(
    "family",
    [
        attack.inputs,
        attack.upstream,
        attack.order,
        attack.settings,
        attack.states,
        attack.optimizers,
        attack.schedules,
        attack.functions,
        attack.loaders,
        attack.loads,
        attack.structures,
        attack.saves,
        attack.tables,
        attack.samples,
    ],
    ids=lambda family: family.__name__,
)
def test_attacks_of(family):
    found = {f"{number} {case.name}": attack.fault(case) for number, case in attack.attacks(family, 150)}
    assert not {name: fault for name, fault in found.items() if fault}


# ---- the judge of attacks sees what it is to see

WEIGHT = nn.Parameter(np.zeros(2))


def raising(error, change=lambda: None):
    def call():
        change()
        raise error

    return call


def cast():
    WEIGHT.grad = WEIGHT.grad.astype(np.float32)


@pytest.mark.parametrize(
    ("call", "must_fail", "expected"),
    [
        (lambda: 1, False, None),
        (lambda: 1, True, "was accepted"),
        (raising(ValueError("Careful() expects two, got one")), True, None),
        (raising(RuntimeError("Careful() has nothing saved")), True, None),
        (raising(ValueError("operands could not be broadcast together")), True, "names no Careful"),
        (raising(KeyError("Careful")), False, "KeyError"),
        (raising(MemoryError("Careful")), False, "MemoryError"),
        (lambda: warnings.warn("Careful", DeprecationWarning, stacklevel=1), False, "DeprecationWarning"),
        (raising(ValueError("Careful"), lambda: WEIGHT.data.__setitem__(0, np.nan)), True, "something changed"),
        (raising(ValueError("Careful"), cast), True, "something changed"),
        (raising(KeyError("Careful"), cast), True, "something changed"),
        (raising(ValueError("Careful"), lambda: setattr(WEIGHT, "requires_grad", False)), True, "something changed"),
    ],
)
def test_the_judge(call, must_fail, expected):
    WEIGHT.data, WEIGHT.grad, WEIGHT.requires_grad = np.zeros(2), np.zeros(2), True
    found = attack.fault(attack.Attack("", call, ["Careful"], lambda: [WEIGHT], must_fail))
    assert (found is None) if expected is None else (expected in found)


def test_attacks_are_what_their_number_says():
    first, second = ([case.name for _, case in attack.attacks(attack.inputs, 20)] for _ in range(2))
    assert first == second and len(set(first)) > 15
