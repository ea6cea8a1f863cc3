"""The audit of a teacher's tests: what it plants, how it proves a mistake, and that it finds what tests cannot see."""

import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from course.audit import audit_tests
from course.auditing.calls import Array, Recorder
from course.auditing.mistakes import plant
from course.auditing.variants import chain_of, varied
from course.auditing.witness import Differences

ROOT = Path(__file__).resolve().parents[1]

# Functions and tests as courses write them: forward gives (out, cache), and a test compares with central differences.
POOLING = """
import numpy as np


def pool_forward(x, pool_param):
    N, C, H, W = x.shape
    k, s = pool_param["size"], pool_param["stride"]
    out = np.zeros((N, C, 1 + (H - k) // s, 1 + (W - k) // s))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = np.max(x[:, :, i * s : i * s + k, j * s : j * s + k], axis=(2, 3))
    return out, (x, pool_param)


def pool_backward(dout, cache):
    x, pool_param = cache
    N, C, H, W = dout.shape
    k, s = pool_param["size"], pool_param["stride"]
    dx = np.zeros_like(x)
    for n in range(N):
        for c in range(C):
            for i in range(H):
                for j in range(W):
                    window = x[n, c, i * s : i * s + k, j * s : j * s + k]
                    mask = window == np.max(window)
                    dx[n, c, i * s : i * s + k, j * s : j * s + k] += mask * dout[n, c, i, j]
    return dx
"""
POOLING_TESTS = """
import numpy as np

from layers import pool_backward, pool_forward


def numeric_gradient(f, x, df, h=1e-5):
    grad = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        old = x[index]
        x[index] = old + h
        above = f(x)
        x[index] = old - h
        below = f(x)
        x[index] = old
        grad[index] = np.sum((above - below) * df) / (2 * h)
    return grad


def test_pool():
    np.random.seed(231)
    x = np.random.randn(2, 2, 4, 4)
    dout = np.random.randn(2, 2, 2, 2)
    param = {"size": 2, "stride": 2}
    out, cache = pool_forward(x, param)
    expected = numeric_gradient(lambda x: pool_forward(x, param)[0], x, dout)
    assert np.abs(pool_backward(dout, cache) - expected).max() < 1e-7
"""


@pytest.fixture
def files(tmp_path):
    def written(reference: str, tests: str) -> tuple[Path, Path]:
        paths = tmp_path / "layers.py", tmp_path / "checks.py"
        for path, text in zip(paths, (reference, tests), strict=True):
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        return paths

    return written


def passes(reference: str, test: str) -> bool:
    """Tell whether a printed test, pasted below the reference, passes."""
    names: dict = {"np": np}
    exec(textwrap.dedent(reference) + "\n" + test, names)
    (run,) = [value for name, value in names.items() if name.startswith("test_")]
    try:
        run()
    except AssertionError:
        return False
    return True


def test_pooling_at_its_own_stride_cannot_tell_assignment_from_accumulation(files):
    found = audit_tests(*files(POOLING, POOLING_TESTS), most=8, seconds=60)
    assert found.proven == 8 and found.tests == 1
    survivor = {survivor.mistake.said: survivor for survivor in found.survivors}["= stands for +="]
    assert survivor.mistake.function == "pool_backward"
    assert survivor.said == "stride 1"
    assert passes(POOLING, survivor.test)
    assert not passes(survivor.mistake.source, survivor.test)


LAYER = """
    import numpy as np

    class Layer:
        def __init__(self, size):
            self.w = np.full(size, 3.0)
            self.dw = np.zeros(size)

        def forward(self, x):
            self.x = x
            return x * self.w

        def backward(self, g):
            self.dw += (g * self.x).sum(axis=0)
            return g * self.w

    def look_up(w, i):
        return w[i], (w, i)

    def look_up_back(g, cache):
        w, i = cache
        dw = np.zeros_like(w)
        np.add.at(dw, i, g)
        return dw
    """
# In each of the styles: that the gradients of one pass are right cannot tell = from +=.
STYLES = {
    "functions": """
        import numpy as np
        import layers

        def test_layer():
            layer = layers.Layer(3)
            layer.forward(np.ones((2, 3)))
            assert layer.backward(np.ones((2, 3))).shape == (2, 3)
            assert (layer.dw == 2).all()

        def test_look_up():
            out, cache = layers.look_up(np.arange(5.0), np.array([3, 1]))
            assert layers.look_up_back(np.array([1.0, 2.0]), cache).tolist() == [0, 2, 0, 1, 0]
        """,
    "statements": """
        import numpy as np
        from layers import Layer, look_up, look_up_back

        layer = Layer(3)
        assert layer.forward(np.ones((2, 3))).tolist() == [[3, 3, 3], [3, 3, 3]]
        layer.backward(np.ones((2, 3)))
        assert (layer.dw == 2).all()
        out, cache = look_up(np.arange(5.0), np.array([3, 1]))
        assert look_up_back(np.array([1.0, 2.0]), cache).tolist() == [0, 2, 0, 1, 0]
        """,
    "unittest": """
        import unittest
        import numpy as np
        from layers import *

        class Checks(unittest.TestCase):
            def test_layer(self):
                layer = Layer(3)
                self.assertEqual(layer.forward(np.ones((2, 3))).tolist(), [[3, 3, 3], [3, 3, 3]])
                layer.backward(np.ones((2, 3)))
                self.assertEqual(layer.dw.tolist(), [2, 2, 2])

            def test_look_up(self):
                out, cache = look_up(np.arange(5.0), np.array([3, 1]))
                self.assertEqual(look_up_back(np.array([1.0, 2.0]), cache).tolist(), [0, 2, 0, 1, 0])

        if __name__ == "__main__":
            unittest.main()
        """,
}
BY_PYTEST = """
    import numpy as np
    import pytest
    from layers import look_up, look_up_back

    @pytest.fixture
    def g():
        return np.array([1.0, 2.0])

    class TestLookUp:
        @pytest.mark.parametrize("i", [[3, 1], [0, 2]])
        def test_back(self, g, i):
            out, cache = look_up(np.arange(5.0), np.array(i))
            assert look_up_back(g, cache)[i].tolist() == [1, 2]
    """


@pytest.mark.parametrize("style", STYLES)
def test_tests_of_every_style_are_run(files, style):
    found = audit_tests(*files(LAYER, STYLES[style]), most=6, seconds=60)
    said = {survivor.mistake.said: survivor for survivor in found.survivors}
    assert {"= stands for +=", "x[i] += v stands for np.add.at(x, i, v)"} <= said.keys()
    assert len(said) < found.proven == 6, "something is caught"
    for survivor in found.survivors:
        assert passes(LAYER, survivor.test)
        assert not passes(survivor.mistake.source, survivor.test)


def test_pytest_runs_what_only_it_can(files):
    found = audit_tests(*files(LAYER, BY_PYTEST), most=1, seconds=60)
    assert [survivor.mistake.function for survivor in found.survivors] == ["look_up_back"]
    assert (found.tests, found.untested) == (2, ["Layer"])


KINDS = [
    ("dw += x", "dw = x"),
    ("np.add.at(dw, i, g)", "dw[i] += g"),
    ("return g * (x > 0)", "return g"),
    ("return g * (x > 0)", "return g * ((x >= 0))"),
    ("return -g", "return g"),
    ("return p - y", "return (y - p)"),
    ("return g @ w.T", "return g @ w"),
    ("return x.T @ g", "return (g @ x.T)"),
    ("return 2 * g / n", "return (2 * g)"),
    ("return 2 * g", "return g"),
    ("return g.sum(axis=0)", "return g.sum(axis=1)"),
    ("return g.sum(0)", "return g.sum(1)"),
    ("return g.sum(axis=0, keepdims=True)", "return g.sum(axis=0)"),
    ("return g.mean(axis=0)", "return g.sum(axis=0)"),
    ("return w[i, j]", "return w[j, i]"),
    ("return x[i * stride]", "return x[i * 1]"),
    ("return q[pad:]", "return q[0:]"),
    ("return g * (1 - t ** 2)", "return g * ((t * (1 - t)))"),
    ("return s * (1 - s)", "return (1 - s ** 2)"),
    ("return np.maximum(x, 0)", "return x"),
    ("return np.argmax(x)", "return np.argmin(x)"),
    ("return a + b", "return a"),
    ("return x.shape[0]", "return x.shape[1]"),
    ("x, w = cache; return g * w", "x, w = cache; return g * x"),
    ("dx[m] = 0", "pass"),
]


@pytest.mark.parametrize(("line", "mistake"), KINDS)
def test_a_mistake_of_each_kind_is_planted(line, mistake):
    planted = plant(f"def backward(g, x):\n    {line}\n")
    assert mistake in [each.after for each in planted]
    for each in planted:
        ast.parse(each.source)
        assert each.source.splitlines()[each.line - 1].strip() == each.after != line


def test_the_lines_around_a_mistake_stay():
    text = "# é\ndef f(x):\n    y = (x\n         + 1)  # why\n    return -y  # ½\n"
    for mistake in plant(text):
        assert len(mistake.source.splitlines()) == 5
        assert mistake.source.startswith("# é\ndef f(x):\n")


def test_gradients_come_first_and_no_function_is_left_out():
    text = "".join(f"def forward_{k}(x, w):\n    return x + w\n\n" for k in range(12))
    text += "def look_up_backward(g, i):\n    dw = 0\n    dw += g\n    return -dw\n"
    planted = plant(text)
    assert planted[0].function == "look_up_backward"
    assert len({mistake.function for mistake in planted[:14]}) == 13


def test_accumulation_comes_before_all_else():
    text = "def back(g, x):\n    a = g * x + 1\n    a += g\n    a += x\n    a += 1\n    return -a\n"
    assert [mistake.kind for mistake in plant(text)[:3]] == 3 * ["= for +="]


def recorded(text: str, calls: str) -> Recorder:
    module: dict = {"__name__": "layers", "__file__": "layers.py", "np": np}
    exec(textwrap.dedent(text), module)
    recorder = Recorder()
    recorder.watch(module)
    exec(textwrap.dedent(calls), module)
    return recorder


PAIR = """
    def forward(x, w):
        return x @ w, (x, w)

    def backward(g, cache):
        return g @ cache[1].T

    def backward_again(g, x, w):
        return g @ w.T
    """


def test_a_call_remembers_what_came_from_another():
    recorder = recorded(
        PAIR, "out, cache = forward(np.ones((2, 3)), np.ones((3, 4))); backward(np.ones((2, 4)), cache)"
    )
    chain = chain_of(recorder.calls[-1], recorder.calls)
    assert "out = forward(x, w)" in chain.code()
    assert chain.code().endswith("g = rng.normal(size=np.shape(out[0]))\nresult = backward(g, out[1])")


def test_arguments_that_are_given_again_are_the_same():
    calls = "x, w = np.ones((2, 3)), np.ones((3, 4)); forward(x, w); backward_again(np.ones((2, 4)), x, w)"
    chain = chain_of(recorded(PAIR, calls).calls[-1], recorded(PAIR, calls).calls)
    assert chain.code().endswith("result = backward_again(g, x, w)")
    assert chain.code().count("x = ") == 1


def test_a_call_of_the_same_kind_is_noted_once():
    recorder = recorded(PAIR, "for k in range(50): forward(np.full((2, 3), -k / 2), np.ones((3, 4)))")
    assert len(recorder.calls) == 1


PROVEN = {  # what makes the input special on which a mistake shows; None if there is no such input
    "the same for all inputs": ("s = x - x.max()\n    return np.exp(s) / np.exp(s).sum()", "- became +", None),
    "zeros": ("return 1.0 * (x > 0)", "> became >=", "small whole numbers, so that zeros and ties occur"),
    "another number of samples": ("return x / x.shape[0]", "shape[1] stands for shape[0]", ""),
    "chance": ("return x * np.random.default_rng().normal() + 1", "+ became -", None),
    "rounding": ("return x + 1e-12 * x", "the term 1e-12 * x was left out", None),
}


@pytest.mark.parametrize(("text", "said", "special"), PROVEN.values(), ids=PROVEN)
def test_a_mistake_is_proven_or_thrown_away(text, said, special):
    text = f"import numpy as np\ndef f(x):\n    {text}\n"
    recorder = recorded(text, "f(np.array([[1.5, -2.0, 0.5], [3.0, 4.0, -1.0]]))")
    recorder.is_on = False
    (mistake,) = [mistake for mistake in plant(text) if mistake.said == said]
    witness = Differences(recorder, text).witness("f", mistake.source)
    assert (witness and witness.said) == special
    if witness:
        assert passes(text, witness.test) and not passes(mistake.source, witness.test)


def test_inputs_are_varied_as_the_issue_of_each_mistake_needs():
    text = "def f(x, i, stride, mode): return x[i] * stride"
    recorder = recorded(text, "f(np.array([[1.0, -2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([0, 2]), 2, 'train')")
    (call,) = recorder.calls
    chains = list(varied(chain_of(call, recorder.calls)))
    codes = [chain.code() for chain in chains]
    assert "f(x, i, 2, 'train')" in codes[0] and "i = rng.integers(3, size=(2,))" in codes[0]
    assert any("i = np.full((2,), 2)" in code for code in codes), "a repeated index"
    assert any("f(x, i, 1, 'train')" in code for code in codes), "another stride"
    assert any("'test')" in code for code in codes), "the other mode"
    assert any("size=(1, 2)" in code for code in codes), "a batch of one"
    assert any("rng.integers(-2, 3, size=(3, 2))" in code for code in codes), "zeros and ties"
    assert len(set(codes)) > 20
    assert isinstance(dict(call.arguments)["x"], Array)


def run(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "course", "audit", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_what_is_printed_can_be_pasted_in(files):
    reference, tests = files(POOLING, POOLING_TESTS)
    done = run(reference, tests, "--most", 1)
    pasted = done.stdout.partition("to be pasted in:\n")[2]
    imports = "import numpy as np\nfrom layers import pool_backward, pool_forward\n"
    assert pasted.strip().startswith(imports)
    assert passes(POOLING, pasted.partition(imports)[2])


def test_the_command_prints_a_table_and_tests_to_paste(files):
    reference, tests = files(LAYER, STYLES["functions"])
    done = run(reference, tests, "--most", 2)
    assert done.returncode == 1, done.stderr
    assert "2 proven to change what a function gives: 0 caught by the 2 tests, 2 not." in done.stdout
    assert "self.dw = (g * self.x).sum(axis=0)" in done.stdout
    assert "def test_layer_backward_1():" in done.stdout
    assert "No test" not in done.stdout
    assert "is anything asserted?" in done.stdout
    assert "import numpy as np\nfrom layers import Layer\n" in done.stdout


SMALL = "def f(x):\n    return 2 * x\n"
REFUSED = {
    "the tests fail": (
        SMALL,
        "import layers\ndef test_f():\n    assert layers.f(1.0) == 3",
        "fails on layers.py itself",
    ),
    "the tests call nothing": (SMALL, "import layers", "calls no function of layers.py"),
    "the tests end Python": (SMALL, "import os; os._exit(4)", "ends Python with status 4, and tests nothing"),
    "the tests never end": (SMALL, "while True: pass", "does not end within 1 s"),
    "no Python": ("def f(x)\n    return x", "import layers", "line 1: 'def f(x)' is not Python: expected ':'"),
    "no Python either": (SMALL, "assert (", "checks.py, line 1: 'assert (' is not Python"),
    "nothing proven": ("def f(x):\n    y = x + 1\n    return x\n", "import layers; layers.f(1.0)", "could be proven"),
    "nothing to plant": ("def f(x):\n    return x\n", "import layers; layers.f(1.0)", "in which a mistake could"),
}


@pytest.mark.parametrize(("reference", "tests", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_audited_is_refused(files, reference, tests, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        audit_tests(*files(reference, tests), most=2, seconds=1)


def test_files_that_are_not_there(tmp_path, files):
    reference, tests = files(SMALL, "import layers")
    for pair, message in (
        ((tmp_path / "no.py", tests), "there is no file"),
        ((reference, tmp_path), "there is no file"),
        ((reference, reference), "expected two files"),
    ):
        with pytest.raises(ValueError, match=message):
            audit_tests(*pair, most=2, seconds=5)


def test_a_mistake_that_never_ends_holds_nobody_up(files, monkeypatch):
    monkeypatch.setattr("course.audit.PROOF_SECONDS", 0.5)
    reference = "def grad(n):\n    while n > 0:\n        n -= 1\n    return n\n"
    found = audit_tests(*files(reference, "import layers\nassert layers.grad(3) == 0"), most=3, seconds=60)
    assert found.tests == 1
