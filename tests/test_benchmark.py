"""The benchmark runs, and its contenders compute the same thing; how fast is for the script to say."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import contenders  # noqa: E402


@pytest.mark.parametrize("case", ["toy", "tab", "mnist"])
def test_bare_and_handgrad_take_the_same_steps(case):
    steps = [contender(contenders.CASES[case]) for contender in (contenders.handgrad, contenders.bare)]
    losses = np.array([[step() for _ in range(20)] for step in steps])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    assert losses[0, -4:].mean() < losses[0, :4].mean()


def test_a_case_can_be_named_or_spelled_out():
    mnist = contenders.case_named("mnist")
    assert str(mnist) == "784-256-128-10x128" and contenders.case_named(str(mnist)) == mnist
    cnn = contenders.case_named("cnn-4-12x5")
    assert str(cnn) == "cnn-4-12x5" and cnn.shape == (1, 12, 12) and cnn.batch == 5 and cnn.channels == 4


def test_the_script_measures_and_writes(tmp_path):
    options = ["--cases", "toy", "--contenders", "handgrad", "limit", "--rounds", "1", "--seconds", "0.02"]
    options += ["--measure", "steps", "start", "--json", "b.json", "--plot", "b.png"]
    command = [sys.executable, str(SCRIPTS / "benchmark.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert "| toy | handgrad |" in done.stdout and "first step, handgrad" in done.stdout
    steps = json.loads((tmp_path / "b.json").read_text(encoding="utf-8"))["steps"]["toy"]
    assert steps["handgrad"]["best"] > steps["limit"]["best"] > 0
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")
