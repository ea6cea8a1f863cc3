"""The language of the equations: what its programs compute, how its rules answer to mistakes, how it is shown."""

import importlib.util
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from statements import STATEMENTS

import nn
from nn.checking.measure import numerical_jacobian
from nn.mathematics.program import EquationError, halves, parse
from nn.mathematics.run import Walker, evaluate
from nn.mathematics.statement import inlined, without_unused

every_statement = pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.name)


def drawn(statement):
    return statement.draw(np.random.default_rng([*statement.name.encode()]))


def forward(statement, values):
    walker = Walker(values)
    walker.run(halves(parse(statement.text))[0])
    return walker


def upstream(statement, outputs):
    rng = np.random.default_rng(1)
    return {f"d{name}": rng.normal(size=np.shape(outputs[name])) for name in statement.outputs}


def run(statement, values):
    walker = forward(statement, values)
    walker.give(upstream(statement, walker.stated()))
    walker.run(halves(parse(statement.text))[1])
    return walker


# ---- what programs compute


@every_statement
def test_stated_gradients_are_the_derivatives_of_the_stated_outputs(statement):
    values = drawn(statement)
    found = run(statement, values).stated()
    g = upstream(statement, found)

    def objective():
        outputs = forward(statement, values).stated()
        return sum(float(np.sum(outputs[name] * g[f"d{name}"])) for name in statement.outputs)

    for symbol in statement.by if statement.derivative else ():
        array = values[symbol]
        assert np.shape(found[f"d{symbol}"]) == array.shape
        derivative = numerical_jacobian(objective, array)
        np.testing.assert_allclose(found[f"d{symbol}"], derivative, rtol=1e-6, atol=1e-6 * np.abs(derivative).max())


@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="PyTorch is not installed")
@every_statement
def test_statements_are_what_pytorch_computes(statement):
    import torch

    values = drawn(statement)
    found = run(statement, values).stated()
    tensors = {name: torch.tensor(v) if isinstance(v, np.ndarray) else v for name, v in values.items()}
    for symbol in statement.by:
        tensors[symbol].requires_grad_()
    outputs = statement.torch(torch.nn.functional, tensors)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    g = upstream(statement, found)
    for name, output in zip(statement.outputs, outputs, strict=True):
        np.testing.assert_allclose(found[name], output.detach().numpy(), rtol=1e-12, atol=1e-12)
    torch.autograd.backward(outputs, [torch.tensor(g[f"d{name}"]) for name in statement.outputs])
    for symbol in statement.by:
        np.testing.assert_allclose(found[f"d{symbol}"], tensors[symbol].grad.numpy(), rtol=1e-12, atol=1e-12)


@every_statement
def test_settled_lines_compute_the_same(statement):
    """What is shown is what was run: branches taken, absent parts gone, `...` of no axes gone."""
    values = drawn(statement)
    walker = run(statement, values)
    first = walker.stated()
    given = {name: value for name, value in values.items() if value is not None}
    again = Walker(given | upstream(statement, first))
    again.run(walker.settled)
    for name, value in first.items():
        np.testing.assert_array_equal(again.stated()[name], value)
    assert " if " not in " ".join(map(str, walker.settled))


def test_numbers_and_arrays():
    assert evaluate("y = -(x > 0) + 2**k * 1", {"x": np.array([-1.0, 2.0]), "k": 3})["y"].tolist() == [8, 7]
    assert evaluate("a, b = 3 // 2, 7 % 4", {}) == {"a": 1, "b": 3}
    assert evaluate("y = x[1]", {"x": (5, 7)}) == {"y": 7}
    values = evaluate("i = range(3); y[i] = i * i; z = y.sum() / y.size", {})
    assert values["y"].tolist() == [0, 1, 4] and values["z"] == 5 / 3
    assert evaluate("y = 2 * x", {"x": [1, 2]})["y"].tolist() == [2, 4]
    assert np.isnan(evaluate("y = x**0.5", {"x": -1.0})["y"])
    assert evaluate("y = x**-2; z = k**-2", {"x": 2.0, "k": 2}) == {"y": 0.25, "z": 0.25}
    with np.errstate(all="raise"):
        assert evaluate("y = 1 / x", {"x": np.zeros(1)})["y"] == np.inf


def test_reductions():
    x = np.arange(24.0).reshape(2, 3, 4) % 7
    values = evaluate(
        "a = sum(x[i, ...], i, ...); b[j] = max(x[i, j, k], i, k); c[i] = min(x[i, ...], ...);"
        "e[k] = prod(x[i, j, k] + 1, i, j); f[i] = norm(x[i, j, k], j, k); u[j], v[j] = argmax(x[i, j, k], i, k)",
        {"x": x},
    )  # fmt: skip
    assert values["a"] == x.sum()
    np.testing.assert_array_equal(values["b"], x.max((0, 2)))
    np.testing.assert_array_equal(values["c"], x.min((1, 2)))
    np.testing.assert_allclose(values["e"], (x + 1).prod((0, 1)))
    np.testing.assert_allclose(values["f"], np.sqrt((x**2).sum((1, 2))))
    for j in range(3):
        place = np.unravel_index(x[:, j].argmax(), (2, 4))
        assert (values["u"][j], values["v"][j]) == place
    first = evaluate("u, v = argmax(x[i, j], i, j)", {"x": np.array([[1.0, 3.0], [3.0, 3.0]])})
    assert first == {"u": 0, "v": 1}


def test_a_gradient_starts_at_zero_and_accumulates_where_entries_coincide():
    values = {"x": np.array([0, 1, 1, 1]), "W": np.zeros(3), "dy": np.array([1.0, 2.0, 4.0, 8.0])}
    assert evaluate("dW[x[n]] += dy[n]", values)["dW"].tolist() == [1, 14, 0]
    assert evaluate("dW[x[n]] += dy[n]; dW[x[n] + 1] += dy[n]", values)["dW"].tolist() == [1, 15, 14]
    assert evaluate("dx[n] += dy[n]; dx[n] += dy[n]", values)["dx"].tolist() == [2, 4, 8, 16]
    assert evaluate("dW += 1; dV = dW", {"W": np.zeros(2), "V": np.zeros(2)})["dV"].tolist() == [1, 1]
    assert evaluate("dx = dq", {"x": np.zeros(2), "q": np.zeros(2)})["dx"].tolist() == [0, 0]


def test_what_is_absent_drops_out():
    values = {"a": 3.0, "b": None, "c": 2.0}
    for text, expected in {
        "a + b": 3, "b + a": 3, "a - b": 3, "b - a": -3, "a * b": 3, "b * a": 3, "a / b": 3, "1 / b + a": 4,
        "-b * a": -3, "a * -b": -3, "-b / a": -1 / 3, "a / -b": -3, "(-b * b) * a": -3, "(-b * -b) * a": 3,
        "a + -b": 3, "a * (c + b)": 6, "a * (b > 0)": 3, "a * sum(b[i], i)": 3, "where(b > 0, a, c)": 3,
        "a if b else c": 2, "a if b is None else c": 3, "a if not b and c > 1 else c": 3, "a if b or c < 1 else c": 2,
    }.items():  # fmt: skip
        assert evaluate(f"y = {text}", values)["y"] == expected, text
    assert evaluate("y = b; z = a + y; db = a; w[0] = b; w[0] = a", values) == {"z": 3, "w": 3}


def test_conditions_count_as_whole_numbers():
    """In the narrowest type they would overflow, and their functions have three digits."""
    values = evaluate(
        "a = (x > 0) * 1000; b = exp(x > 0); c = (x > 0) - (x < 0); y[n] = w[x[n] > 0]",
        {"x": np.array([-1.0, 2.0]), "w": np.array([5.0, 6.0])},
    )
    assert values["a"].tolist() == [0, 1000] and values["c"].tolist() == [-1, 1] and values["y"].tolist() == [5, 6]
    np.testing.assert_allclose(values["b"], [1, np.e], rtol=1e-15)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64"])
def test_integers_neither_wrap_nor_lose_digits(dtype):
    values = evaluate("a = exp(-x); b = x - 3; c = 100 * x; d = x**-1", {"x": np.array([1, 2], dtype)})
    np.testing.assert_allclose(values["a"], np.exp([-1.0, -2.0]), rtol=1e-15)
    assert values["b"].tolist() == [-2, -1] and values["c"].tolist() == [100, 200] and values["d"].tolist() == [1, 0.5]


def test_arrays_without_entries():
    values = {"x": np.zeros((0, 2, 3)), "dy": np.zeros((0, 2)), "W": np.ones(3)}
    text = """y[n, i] = max(x[n, i, j], j)
        a[n], b[n] = argmax(x[n, i, j], i, j)
        s[j] = sum(x[n, i, j], n, i)
        dx[n, i, b[n]] += dy[n, i]
        dW[j] += dy[n, i] * x[n, i, j]"""
    found = evaluate(text, values)
    shapes = {"y": (0, 2), "a": (0,), "b": (0,), "s": (3,), "dx": (0, 2, 3), "dW": (3,)}
    assert {name: np.shape(value) for name, value in found.items()} == shapes
    assert not found["s"].any() and not found["dW"].any()


def test_arrays_without_axes():
    values = {"x": np.array(-3.0), "dy": np.array(2.0)}
    text = "y[...] = x[...]**2; z = sum(x[...], ...); n[...] = norm(x[...], ...); dx[...] = 2 * x[...] * dy[...]"
    assert evaluate(text, values) == {"y": 9, "z": -3, "n": 3, "dx": -12}
    assert evaluate("n[i] = norm(v[i, ...], ...)", {"v": np.array([-1.0, 2.0])})["n"].tolist() == [1, 2]


def test_words_may_stand_in_subscripts():
    values = evaluate("i = range(3); y[i] = x[maximum(i - 1, 0)]", {"x": np.array([5.0, 6.0, 7.0])})
    assert values["y"].tolist() == [5, 5, 6]
    assert evaluate("y[i, j] = x.T[i, j]", {"x": np.ones((2, 3))})["y"].shape == (3, 2)
    assert evaluate("i = range(2); y[i] = s[i]", {"s": (4, 5)})["y"].tolist() == [4, 5]


RECURRENCE = """T = len(x)
    h[0] = zeros(2)
    for t in range(T):
        h[t + 1] = h[t] + w * x[t]
    y = h[T]
    dh[T] = dy
    for t in reversed(range(T)):
        dw += (dh[t + 1] * x[t]).sum()
        dx[t] = dh[t + 1] * w
        dh[t] = dh[t + 1]"""


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_recurrences_of_any_length(steps):
    x = np.arange(2.0 * steps).reshape(steps, 2)
    found = evaluate(RECURRENCE, {"x": x, "w": 3.0, "dy": np.ones(2)})
    np.testing.assert_array_equal(found["y"], 3 * x.sum(0))
    np.testing.assert_array_equal(found["dx"], np.full((steps, 2), 3.0))
    assert found["dw"] == x.sum() and found["h"].shape == found["dh"].shape == (steps + 1, 2)


def test_steps_of_a_gradient_that_nothing_was_added_to_are_zero():
    values = {"x": np.arange(3.0), "dz": np.array(5.0)}
    found = evaluate(
        "for t in range(3): h[t] = 2 * x[t]\nz = h[1]; dh[1] = dz; dx[1] = 2 * dh[1]; s = dh.sum()", values
    )
    assert found["dh"].tolist() == [0, 5, 0] and found["dx"].tolist() == [0, 10, 0] and found["s"] == 5


def test_a_recurrence_within_another():
    found = evaluate(
        "for t in range(3):\n    for s in range(t): y[s] = x if b else 2 * x", {"x": np.ones(1), "b": None}
    )
    assert found["y"].tolist() == [[2], [2]]


def test_given_arrays_are_left_alone():
    values = {"x": np.ones(3), "z": np.zeros(3), "W": np.ones(3), "dy": np.ones(3)}
    evaluate("y = x; u = z; dW += dy; dx[i] += dy[i]; y2[i] = x[i] * 2", values)
    assert values["x"].tolist() == [1, 1, 1] and values["z"].tolist() == [0, 0, 0]
    for text in ("y = exp(x, z)", "y = maximum(x, x, z)", "y = x.max(0, z)"):
        with pytest.raises(EquationError, match="the language has no"):
            evaluate(text, values)


def test_random_numbers_come_from_the_generator():
    drawn = evaluate("k = random((2, 3))", {}, generator=7)["k"]
    np.testing.assert_array_equal(drawn, np.random.default_rng(7).random((2, 3)))


# ---- mistakes

X = {"x": np.ones((2, 3)), "b": None, "W": np.ones((4, 5)), "dy": np.ones((2, 3)), "p": 0.5}
MISTAKES = [
    # what cannot be read
    ("y = x @@ W", r"line 1, 'y = x @@ W', cannot be read: invalid syntax"),
    ("y = x\nz = (x", r"line 2, 'z = \(x', cannot be read"),
    ("y = eval(x)", r"line 1, 'y = eval\(x\)': the language has no word 'eval'; it has abs, argmax"),
    ("y = x.dot(x)", r"the language has no '.dot'; it has .T, .mT, .shape"),
    ("y = x.T.real", r"the language has no '.real'"),
    ("y = 'text'", r"the language has no \"'text'\""),
    ("y = [x]", r"the language has no '\[x\]'"),
    ("y = 1 < p < 2", r"the language has no '1 < p < 2'"),
    ("y = sum(x[i], i, keepdims=True, axis=0)", r"the language has no keyword"),
    ("import os", r"line 1, 'import os': a line is `target = expression`"),
    ("y -= x", r"a line is `target = expression`"),
    ("y.T = x", r"a target is a symbol"),
    ("y = x; y = 2 * x", r"line 1, 'y = 2 \* x': y is stated twice"),
    ("y = x[0][1]", r"the language has no 'x\[0\]\[1\]'"),
    ("y = exp(x, W)", r"the language has no 'exp\(x, W\)': the arguments of exp are 1"),
    ("i = range(2, 5)", r"the language has no 'range\(2, 5\)'"),
    ("y = where(x > 0)", r"the language has no 'where\(x > 0\)'"),
    ("y = x.max(0, W)", r"the language has no 'x.max\(0, W\)'"),
    ("y = x.sum", r"the language has no 'x.sum'"),
    ("y = exp(x, keepdims=True)", r"the language has no keyword"),
    ("y = sum()", r"the language has no 'sum\(\)'"),
    # numbers
    ("y = 3 // 0", r"line 1, 'y = 3 // 0': integer division or modulo by zero"),
    ("y = 2.0**5000", r"line 1, .*Numerical result out of range"),
    # symbols and gradients
    ("y = x + z", r"line 1, 'y = x \+ z': z has no value here; known are x, W, dy, p"),
    ("x = 2 * x", r"x is given, and cannot be stated"),
    ("dq = x", r"line 1, 'dq = x': dq is the gradient of nothing: there is no q"),
    ("dx = dy.sum(0)", r"dx has shape \(3,\), and x has \(2, 3\)"),
    ("y += x", r"y has no value to add to: state y = zeros"),
    ("a, c = split(x, 3, 1)", r"2 targets for 3 values"),
    ("z = zeros(3); z += x", r"z has shape \(2, 3\), and z before has \(3,\)"),
    ("y = random((2, 3))", r"random draws from a generator, and none is given"),
    # absence
    ("y = maximum(x, b)", r"b is None and cannot drop out of maximum\(x, b\): only a term, a factor or a condition"),
    ("y = x**b", r"b is None and cannot drop out of x \*\* b"),
    ("y = x.reshape(b)", r"b is None and cannot drop out of x.reshape\(b\)"),
    ("y = x if b > 0 else p", r"b is None"),
    ("y = x if x > 0 else p", r"`if x > 0` chooses once for the whole line: write where\(...\)"),
    # indices
    ("y[i] = sum(x[i, j], j) + k[i]", r"k has no value here"),
    ("y[i, q] = x[i, 2 * q]", r"the range of the index q cannot be known: it stands alone on no axis"),
    ("y[i] = x[i, i]", r"the index i has 2 values, and 3 in x\[i, i\]"),
    ("i = range(4); y[i] = x[i, 0]", r"the index i has 4 values, and 2 in x\[i, 0\]"),
    ("y[i] = x[i, j]", r"the index j stands on the right alone: reduce it, or write \+="),
    ("y[i] = sum(x[i, j], j) * x[0, j]", r"the index j is reduced, and stands outside of its reduction too"),
    ("y[i + 1] = x[i, 0]", r"y\[i \+ 1\] defines entries at computed places: accumulate with \+="),
    ("y[i, i] = x[i, 0]", r"y\[i, i\] defines entries at computed places"),
    ("i = range(5); y[i] = x[i - 1, 0]", r"x reaches outside of axis 0, which has 2 entries"),
    ("dx[i, j + 1] += dy[i, j]", r"dx reaches outside of axis 1, which has 3 entries"),
    ("y[i] = x[i]", r"x has 2 axes, and 1 subscripts"),
    ("y[i, j] = x[i, j] * W", r"W, of shape \(4, 5\), stands without subscripts among indices"),
    ("y[i, ...] = x[i, ...] + W[i, ..., 0]", r"`...` stands for \(3,\), and in W\[i, ..., 0\] for \(\)"),
    ("y[..., i] = x[..., i] + W[..., 0]", r"`...` stands for \(2,\), and in W\[..., 0\] for \(4,\)"),
    ("y = sum(x, k)", r"k is no index: nothing has it as a subscript"),
    ("y = sum(x)", r"sum runs over named indices: sum\(x\[i\], i\); of a whole array write x.sum\(\)"),
    ("i = range(10**8); y[i] = i * 1", r"its indices span more than 10,000,000 entries"),
    ("y[i] = k[i]", r"k has no value here"),
    ("y = x[-1, 0]", r"x reaches outside of axis 0, which has 2 entries"),
    ("y = x[2]", r"x reaches outside of axis 0, which has 2 entries"),
    ("y[...] = argmax(p, ...)", r"argmax runs over named indices"),
    # recurrences
    ("for t in x: y[t] = x[t]", r"line 1, 'for t in x:': a recurrence runs over range\(T\)"),
    ("for t in range(2, 3): y[t] = x[t]", r"a recurrence runs over range\(T\)"),
    ("for x in range(2): y[x] = p", r"x is a symbol already, and cannot count steps"),
    ("for t in range(b): y[t] = x[t]", r"b is None"),
    ("for t in range(2): h[t + 1] = h[t] + p", r"h has no value here"),
    ("for t in range(2): h[t - 1] = p", r"a sequence has no step -1"),
    ("y = x; y[0] = p", r"y is no sequence"),
    ("y[0] = p; y = x", r"y is a sequence: state its steps"),
    ("y[0, 1] = p", r"the steps of a sequence have one subscript"),
    ("for t in range(2): y[t / 2] = p", r"cannot be interpreted as an integer"),
    ("for t in range(2): y[t] = x[t - 1]", r"x reaches outside of axis 0"),
    ("for t in range(2): y[2 * t] = p\nz = y * 2", r"y\[1\] is not there"),
    ("for t in range(2): dx[t + 1] = p", r"x reaches outside of axis 0"),
    ("for t in range(2): n = t; y[t] = x[t] if n else p", r"cannot depend on n"),
    ("for t in range(2): y[t] = x[t] if t == 0 else p", r"cannot depend on t"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_told(text, message):
    with pytest.raises(EquationError, match=message):
        evaluate(text, X)


def test_a_modules_name_stands_before_the_line():
    class Twice(nn.Module):
        equations = "y = 2 * x\ndx = 2 * z"

        def forward(self, x):
            return 2 * x

    with pytest.raises(ValueError, match=r"in the equations of Twice\(\), line 2, 'dx = 2 \* z': z has no value"):
        nn.evaluate_equations(Twice(), (np.ones(2),))
    Twice.equations = {"y": "x"}
    with pytest.raises(ValueError, match=r"Twice\(\) expects equations to be a text of lines, got dict"):
        nn.evaluate_equations(Twice(), (np.ones(2),))
    Twice.equations, Twice.symbols = "y = x * dx", {"dx": "training"}
    with pytest.raises(ValueError, match="the symbol dx would be the gradient by x: give it another letter"):
        nn.evaluate_equations(Twice(), (np.ones(2),))


# ---- as it is shown


def test_lines_of_no_use_and_mere_renamings_are_left_out():
    lines = parse("a = x.sum(); t = x; s[i] = t[i]; y[i] = s[i] * 2; dx[i] = dy[i] * 2")
    shapes = dict.fromkeys("xtsy", (3,)) | {"a": ()}
    kept = inlined(without_unused(lines, {"y", "dx"}), {"y", "dx"}, shapes.get)
    assert [str(line) for line in kept] == ["y[i] = x[i] * 2", "dx[i] = dy[i] * 2"]
    kept = inlined(parse("h[0] = x[0]; y = h * 2"), {"y"}, dict.fromkeys("hxy", (3,)).get)
    assert [str(line) for line in kept] == ["h[0] = x[0]", "y = h * 2"]
    shapes = {"L": (3,), "f": (3,), "y": (3,), "df": (3,), "dL": (3,), "J": (), "dJ": ()}
    kept = inlined(parse("L = f - y; J = L.sum(); dL = dJ; df = dL.T"), {"J", "df"}, shapes.get)
    assert [str(line) for line in kept] == ["L = f - y", "J = L.sum()", "dL = dJ", "df = dL.T"]
    kept = inlined(parse("L = f - y; J = L; dL = dJ; df = dL"), {"J", "df"}, dict.fromkeys("LfyJ", ()).get)
    assert [str(line) for line in kept] == ["J = f - y", "df = dJ"]


@every_statement
def test_every_statement_is_shown_in_all_notations(statement):
    text = nn.to_text(statement.text)
    assert len(text.splitlines()) >= len(halves(parse(statement.text))[0])
    assert "None" not in text and "∂J/∂" in text
    latex = nn.to_latex(statement.text)
    assert latex.isascii() and latex.count("{") - latex.count(r"\{") == latex.count("}") - latex.count(r"\}")
    assert latex.count(r"\begin") == latex.count(r"\end") and latex.count(r"\left") == latex.count(r"\right")
    ElementTree.fromstring(nn.to_mathml(statement.text))


SHOWN = [
    ("y[..., o] = b[o] + sum(x[..., i] * W[o, i], i)", "y[…,o] = bₒ + Σᵢ x[…,i] W[o,i]"),
    ("dW[o, i] += dy[..., o] * x[..., i]", "∂J/∂W[o,i] = Σ_{…} (∂J/∂y[…,o]) x[…,i]"),
    ("dW[x[n], k] += dy[n, k]", "∂J/∂W[xₙ,k] += ∂J/∂y[n,k]"),
    ("y[i, j] = max(q[s[0]*i + u, s[1]*j + v], u, v)", "y[i,j] = max_{u,v} q[s₀ i + u, s₁ j + v]"),
    ("a[i], b[i] = argmax(q[i, u, v], u, v)", "aᵢ, bᵢ = argmax_{u,v} q[i,u,v]"),
    ("H, K = q.shape[-2], q.shape[-1]", "H, K = shape(q)[−2], shape(q)[−1]"),
    ("k = random(x.shape) >= p", "k = 1[random(shape(x)) ≥ p]"),
    ("v = ((x - mu)**2).mean(axes, keepdims=True)", "v = mean_axes (x − μ)²"),
    ("y = x / sqrt(v + eps)", "y = x / √(v + ε)"),
    ("y[i] = x[i//2, i % 2]", "yᵢ = x[⌊i/2⌋, i mod 2]"),
    ("h[0] = h0\nfor t in range(T):\n    h[t + 1] = f[t] * h[t]\n    y[t] = h[t + 1]",
     "for t = 0, …, T − 1:\n  h[t + 1] = fₜ ⊙ hₜ\n  yₜ = h[t + 1]"),
    ("for t in reversed(range(T)):\n    dh[t] = dh[t + 1] @ U\n    dU += dh[t].T @ h[t]",
     "for t = T − 1, …, 0:\n  ∂J/∂hₜ = (∂J/∂h[t + 1]) U\n  ∂J/∂U += (∂J/∂hₜ)ᵀ hₜ"),
    ("y = a if c else b", "y = a if c, else b"),
    ("k = range(3)\ndx[i] += (i <= k) * x[i]", "k = range(3)\n∂J/∂xᵢ = Σₖ 1[i ≤ k] xᵢ"),
    ("m = sum(v[n] * s[n], n) if hard else L.size", "m = Σₙ vₙ sₙ if hard, else size(L)"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shown"), SHOWN, ids=range(len(SHOWN)))
def test_lines_as_text(text, shown):
    assert nn.to_text(text) == shown
