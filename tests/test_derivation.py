"""The derivation: each rule in symbols and numbers, the checks, and that the checks can fail."""

import copy
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from cases import CASES
from test_graph import X, Y, linear, models, traced

import nn
from nn.graph.derivation import zeros
from nn.graph.replay import Replay
from nn.mathematics.notation import Latex

CROSS = "✗ NOT RIGHT"


def rules(derivation):
    """Return the equations of the gradients by node."""
    return {step.node.name: step.formula.to_text() if step.formula else step.remark for step in derivation.gradients}


# ---- the homework

BATCH = {
    "J": "∂J/∂J = 1",
    "y": "given, no gradient is asked for",
    "z₃": "∂J/∂z₃[n,…] = (∂J/∂Lₙ) (z₃[n,…] − y[n,…])",
    "b₂": "∂J/∂b₂ = Σₙ (∂J/∂z₃)ₙ",
    "W₂": "∂J/∂W₂ = (∂J/∂z₃)ᵀ a₂",
    "a₂": "∂J/∂a₂ = (∂J/∂z₃) W₂",
    "z₂": "∂J/∂z₂ = (∂J/∂a₂) ⊙ 1[z₂ > 0]",
    "b₁": "∂J/∂b₁ = Σₙ (∂J/∂z₂)ₙ",
    "W₁": "∂J/∂W₁ = (∂J/∂z₂)ᵀ a₁",
    "a₁": "∂J/∂a₁ = (∂J/∂z₂) W₁",
    "z₁": "∂J/∂z₁ = (∂J/∂a₁) ⊙ 1[z₁ > 0]",
    "b₀": "∂J/∂b₀ = Σₙ (∂J/∂z₁)ₙ",
    "W₀": "∂J/∂W₀ = (∂J/∂z₁)ᵀ x",
    "x": "∂J/∂x = (∂J/∂z₁) W₀",
}
SAMPLE = BATCH | {
    "z₃": "∂J/∂z₃ = z₃ − y",
    "b₂": "∂J/∂b₂ = ∂J/∂z₃",
    "W₂": "∂J/∂W₂ = (∂J/∂z₃) a₂ᵀ",
    "a₂": "∂J/∂a₂ = W₂ᵀ (∂J/∂z₃)",
    "b₁": "∂J/∂b₁ = ∂J/∂z₂",
    "W₁": "∂J/∂W₁ = (∂J/∂z₂) a₁ᵀ",
    "a₁": "∂J/∂a₁ = W₁ᵀ (∂J/∂z₂)",
    "b₀": "∂J/∂b₀ = ∂J/∂z₁",
    "W₀": "∂J/∂W₀ = (∂J/∂z₁) xᵀ",
    "x": "∂J/∂x = W₀ᵀ (∂J/∂z₁)",
}


@pytest.mark.parametrize(("sample", "expected"), [(False, BATCH), (True, SAMPLE)], ids=["batch", "sample"])
def test_homework_rules(sample, expected):
    derivation = traced("mlp").derivation(sample=sample)
    assert rules(derivation) == expected
    assert list(rules(derivation)) == list(expected)  # from J back to x
    assert derivation.right
    assert [step.difference.entries for step in derivation.gradients if step.difference] == [
        step.value.size for step in derivation.gradients if step.difference
    ]
    for step in derivation.gradients:
        assert step.error is None or step.error < 1e-14
        assert step.difference is None or step.difference.error < 1e-6


def test_homework_values_and_shapes():
    graph = traced("mlp")
    batch, sample = graph.derivation(), graph.derivation(sample=True)
    values = {step.node.name: step for step in sample.values}
    assert values["z₁"].formula.to_text() == "z₁ = W₀ x + b₀"
    assert values["z₁"].shapes.to_text() == "(4, 1) = (4, 2) (2, 1) + (4, 1)"
    assert values["J"].formula.to_text() == "J = ½ ‖z₃ − y‖²"
    np.testing.assert_array_equal(values["x"].value, X[:1].T)
    gradients = {step.node.name: step for step in batch.gradients}
    assert gradients["W₂"].shapes.to_text() == "(1, 3) = (5, 1)ᵀ (5, 3)"
    where = [formula.to_text() for formula in gradients["z₃"].where]
    assert where == ["Lₙ = ½ ‖z₃[n,…] − y[n,…]‖²", "m = size(L)", "∂J/∂L = 1/m"]
    np.testing.assert_array_equal(gradients["W₂"].value, graph["W2"].grad)
    raised = "<msubsup><mi>W</mi><mn>0</mn><mo>⊤</mo></msubsup>"  # the sign over the index, not after it
    assert raised in sample.gradients[-1].formula.to_mathml()
    per_sample = {step.node.name: step for step in sample.gradients}
    np.testing.assert_allclose(per_sample["x"].value.T / 5, graph["x"].grad[:1], rtol=1e-13)  # J is a mean over 5


@models
def test_every_model_is_derived_and_right(name):
    graph = traced(name)
    nn.manual_seed(2)  # what a model drew is drawn again, whatever has been drawn since
    derivation = graph.derivation()
    if name in ("reversal", "beside"):  # its backward is no derivative, and the checks say so
        assert not derivation.right
        return
    assert derivation.right, derivation.to_text()
    assert "all right" in derivation.verdict and CROSS not in derivation.to_text()
    stated = [step for step in derivation.gradients if step.error is not None]
    assert all(step.difference and step.formula for step in stated)
    assert all(step.shapes or re.search(r"…\]|…,c\]|split\(", step.formula.to_text()) for step in stated)


@pytest.mark.parametrize("name", ["mlp", "linear", "dropout", "classes", "residual", "shared", "two inputs", "float32"])
def test_single_samples(name):
    derivation = traced(name).derivation(sample=True)
    assert derivation.right, derivation.to_text()
    assert all(step.value.shape[1:] in ((1,), ()) for step in derivation.values if step.node.kind == "intermediate")
    assert "Vectors are columns" in derivation.to_text()


def joining(outputs):
    """Return a module that joins outputs into one array; those that are tuples are joined first."""
    branches = (joining(y) if isinstance(y, tuple) else nn.Identity() for y in outputs)
    return nn.Sequential(nn.ParallelTable(*branches), nn.JoinTable(-1))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_every_row_of_the_table_is_derived_and_right(case, training):
    rng = np.random.default_rng(0)
    module, inputs = case.build().double().train(training), case.draw(rng)
    if isinstance(module, nn.Loss):
        graph = nn.trace(nn.Identity(), module, *inputs)
    else:
        with nn.no_grad():
            y = copy.deepcopy(module)(*inputs)
        whole = nn.Sequential(module, joining(y)) if isinstance(y, tuple) else module
        y = joining(y)(*y) if isinstance(y, tuple) else y
        graph = nn.trace(whole, nn.MSELoss(), inputs, rng.normal(size=y.shape))
    derivation = graph.derivation()
    assert derivation.right, derivation.to_text()
    unstated = [step.remark for step in (*derivation.values, *derivation.gradients) if "no equations" in step.remark]
    assert set(unstated) <= {"no equations stated by Sequential()"}  # the empty one
    try:
        sample = graph.derivation(sample=True)
    except ValueError:  # no samples along the first axis, or only ignored ones
        return
    assert sample.right, sample.to_text()


def test_sums_over_the_nodes_that_one_feeds():
    steps = {step.node.name: step for step in traced("residual").derivation().gradients}
    assert steps["h₀"].formula.to_text() == "∂J/∂h₀ = ∂J/∂h₁ + (∂J/∂h[1.0.0]) W[1.0.0]"
    shared = {step.node.name: step for step in traced("shared").derivation().gradients}
    assert shared["W₀"].formula.to_text() == "∂J/∂W₀ = (∂J/∂z₃)ᵀ a₂ + (∂J/∂z₂)ᵀ a₁ + (∂J/∂z₁)ᵀ x"
    assert "W₀ is used 3 times, for z₃, z₂, z₁" in traced("shared").derivation().to_text()


def test_symbols_of_several_calls_are_told_apart():
    class Mix(nn.Module):
        def __init__(self):
            self.left, self.right, self.add = nn.Dropout(0.3), nn.Dropout(0.5), nn.CAddTable()

        def forward(self, x):
            return self.add(self.left(x), self.right(x))

        def backward(self, grad_output):
            left, right = self.add.backward(grad_output)
            return self.left.backward(left) + self.right.backward(right)

    derivation = nn.trace(Mix(), nn.MSELoss(), X, X).derivation()
    step = derivation.gradients[-1]
    assert derivation.right
    assert step.formula.to_text() == (
        "∂J/∂x = (∂J/∂h[right]) ⊙ k[right] / (1 − p[right]) + (∂J/∂h[left]) ⊙ k[left] / (1 − p[left])"
    )
    assert [formula.to_text() for formula in step.where] == [
        *("k[right] = 1[random(shape(x)) ≥ p]", "p[right] = ½", "k[left] = 1[random(shape(x)) ≥ p]", "p[left] = 0.3")
    ]


# ---- modules that state nothing, or what is wrong


class Cube(nn.Module):
    """No equations."""

    def forward(self, x):
        x = self.cast(x)
        self.save_for_backward(x)
        return x**3

    def backward(self, grad_output):
        return 3 * self.saved() ** 2 * grad_output


class WrongBackward(Cube):
    def backward(self, grad_output):
        return 2 * super().backward(grad_output)


class WrongRule(Cube):
    equations = "y = x**3; dx = 3 * x * dy"


class WrongValue(Cube):
    equations = "y = x**2; dx = 3 * x**2 * dy"


class NoRule(Cube):
    equations = "y = x**3"


class NoValue(Cube):
    equations = "y = x**3; dx = 3 * unknown * dy"


class NoValueForward(Cube):
    equations = "y = x**unknown; dx = 3 * x**2 * dy"


class NoEquation(Cube):
    equations = "y = x**; dx = 3 * x**2 * dy"


class Misshapen(Cube):
    equations = "y = x**3; dx = dy.sum(0)"


def derived(layer):
    return nn.trace(nn.Sequential(linear(2, 1), layer), nn.MSELoss(), X, Y).derivation()


def test_a_module_without_equations_is_checked_by_numbers():
    derivation = derived(Cube())
    step = next(step for step in derivation.gradients if step.node.name == "z₁")
    assert derivation.right
    assert step.formula is None and step.remark == "no equations stated by Cube()"
    assert step.difference.error < 1e-6
    for text in (derivation.to_text(), derivation.to_markdown(), derivation.to_latex(), derivation.to_html()):
        assert "no equations stated by Cube()" in text


def test_a_sum_says_which_part_is_not_stated():
    fork = nn.Sequential(nn.ConcatTable(Cube(), nn.Tanh()), nn.CAddTable())
    step = nn.trace(fork, nn.MSELoss(), X, X).derivation().gradients[-1]
    assert step.formula.to_text() == "∂J/∂x = (∂J/∂h[0.1]) ⊙ (1 − h[0.1]²) + [no equations stated by Cube()]"
    assert step.error is None and step.right


@pytest.mark.parametrize(
    "layer", [WrongBackward, WrongRule, WrongValue, NoValue, NoValueForward, NoEquation, Misshapen]
)
def test_what_is_wrong_is_found(layer):
    derivation = derived(layer())
    assert not derivation.right
    assert derivation.verdict.startswith("NOT RIGHT: ")
    wrong = {step.node.name for step in (*derivation.values, *derivation.gradients) if not step.right}
    assert wrong >= {"a₁" if layer is WrongValue else "z₁"}
    assert CROSS in derivation.to_text() and 'class="wrong"' in derivation.to_html()
    if layer is WrongBackward:  # and all that lies before it, but not the loss
        assert wrong == {"z₁", "W₀", "b₀", "x"}
        assert derivation.verdict == "NOT RIGHT: z₁, b₀, W₀, x; see the checks there, first those of z₁."
    marked = ET.fromstring(derivation.to_svg()).findall("{*}g[@data-node]")
    marked = {group.get("data-name") for group in marked if "wrong" in group.get("class").split()}
    assert marked == wrong
    assert "NOT RIGHT" in derivation.to_svg() and "NOT RIGHT" not in traced("mlp").derivation().to_svg()
    if layer in (NoValue, NoValueForward, NoEquation):
        assert f"the equations of {layer.__name__}() have no value: " in derivation.to_text()


def test_a_formula_that_overflows_is_no_fault():
    x = np.array([[1000.0, -1.0], [2.0, -1000.0]])
    derivation = nn.trace(nn.Softplus(threshold=1e9), nn.MSELoss(), x, x).derivation()
    assert derivation.right
    assert "the plain formula overflows at 1 of 4 entries" in derivation.to_text()


def test_a_rule_that_is_not_stated_is_no_fault():
    derivation = derived(NoRule())
    assert derivation.right and "no equations stated by NoRule()" in derivation.to_text()


def test_small_errors_in_small_gradients_are_found():
    layer = linear(2, 1)
    layer.weight.data *= 1e-6
    wrong = nn.trace(nn.Sequential(linear(2, 2), WrongBackward(), layer), nn.MSELoss(), X, Y).derivation()
    assert not wrong.right


def test_a_layer_without_a_column_form_says_so():
    model = nn.Sequential(nn.Flatten(), linear(6, 1))
    derivation = nn.trace(model, nn.MSELoss(), np.ones((4, 3, 2)), np.ones((4, 1))).derivation(sample=True)
    assert derivation.right
    assert "Flatten() has no column form: x has shape (1, 3, 2)" in derivation.to_text()


def test_a_single_sample_needs_samples():
    graph = nn.trace(linear(2, 1), nn.MSELoss(), X[0], Y[0])
    with pytest.raises(ValueError, match=r"samples along the first axis, got shapes \(2,\), \(1,\)"):
        graph.derivation(sample=True)


# ---- central differences


def test_kinks_are_left_out_and_counted():
    x = np.array([[0.0, 1.0], [0.0, -1.0]])
    graph = nn.trace(nn.Sequential(nn.ReLU(), linear(2, 1)), nn.MSELoss(), x, np.ones((2, 1)))
    difference = Replay(graph.nodes, graph.calls).compare(graph["x"])
    assert difference.kinks == 2 and difference.entries == 4 and difference.error < 1e-6
    assert "2 left out, where J has no derivative" in graph.derivation().to_text()


def test_a_wrong_gradient_is_no_kink():
    graph = traced("mlp")
    graph["W1"].grad = graph["W1"].grad + 1e-5
    difference = Replay(graph.nodes, graph.calls).compare(graph["W1"])
    assert difference.kinks == 0 and difference.error > 1e-5


def test_large_arrays_are_compared_along_random_directions():
    x = np.random.default_rng(1).normal(size=(20, 100))
    graph = nn.trace(nn.Sequential(linear(100, 100), nn.Tanh()), nn.MSELoss(), x, x)
    replay = Replay(graph.nodes, graph.calls)
    difference = replay.compare(graph["W0"])
    assert difference.entries == 0 and difference.error < 1e-6
    graph["W0"].grad = graph["W0"].grad * 1.0001
    assert replay.compare(graph["W0"]).error > 1e-6


def test_comparing_changes_nothing():
    graph = traced("dropout")
    state = nn.get_rng_state()
    replay = Replay(graph.nodes, graph.calls)
    assert [replay.compare(graph["W0"]) for _ in range(2)] == [replay.compare(graph["W0"])] * 2
    assert nn.get_rng_state() == state


# ---- gradients that are zero


def dead():
    """Return a graph in which all three units of the second ReLU are below zero, and some of the first."""
    model = nn.Sequential(linear(2, 4), nn.ReLU(), linear(4, 3), nn.ReLU(), linear(3, 1))
    model[0].weight.data[:] = [[1, 0], [0, 1], [1, 1], [-1, -1]]
    model[0].bias.data[:] = 0
    model[2].bias.data[:] = -99
    return nn.trace(model, nn.HalfSquaredLoss(), [[1.0, 2.0]], [[5.0]])


def test_zero_gradients_are_told_with_their_reason():
    derivation = dead().derivation(sample=True)
    assert derivation.right
    told = {step.node.name: zeros(step) for step in derivation.gradients if zeros(step)}
    flat = "ReLU() is flat at all entries of z₂, which are below zero"
    assert told["z₂"] == f"3 of 3 entries; {flat}"
    assert told["W₂"] == "3 of 3 entries; from zeros in a₂"
    assert told["W₁"] == "12 of 12 entries; from zeros in ∂J/∂z₂ and a₁"
    assert told["b₁"] == "3 of 3 entries; from zeros in ∂J/∂z₂"
    assert told["z₁"] == "4 of 4 entries; from zeros in ∂J/∂a₁"
    assert told.keys() == {"W₂", "z₂", "b₁", "W₁", "a₁", "z₁", "b₀", "W₀", "x"}
    assert derivation.verdict.endswith(
        f"Zero in every entry, and so hardly tested: W₂, z₂, b₁, W₁, a₁, z₁, b₀, W₀, x. {flat}."
    )
    for text in (derivation.to_text(), derivation.to_markdown(), derivation.to_html()):
        assert flat in text and "12 of 12 entries" in text
    assert "ReLU() is flat at all entries of z$_{2}$, which are below zero" in derivation.to_latex()


def test_a_gradient_that_is_zero_in_part_is_told_in_its_step_alone():
    model = nn.Sequential(linear(2, 1), nn.ReLU())
    model[0].weight.data[:], model[0].bias.data[:] = 1, 0
    derivation = nn.trace(model, nn.HalfSquaredLoss(), [[1.0, 2.0], [-1.0, -2.0]], [[0.0], [1.0]]).derivation()
    (z,) = (step for step in derivation.gradients if step.node.name == "z₁")
    assert zeros(z) == "1 of 2 entries; ReLU() is flat at 1 of the 2 entries of z₁, which are below zero"
    assert "Zero in every entry" not in derivation.verdict
    unused = nn.Sequential(linear(2, 1))
    unused.spare = linear(1, 1)
    assert "zero" not in nn.trace(unused, nn.HalfSquaredLoss(), X, Y).derivation().to_text()


# ---- the formats


def latex_of(step):
    return step.formula.to_latex()


def latex_name(step):
    return Latex().shown_symbol(step.node.symbol(gradient=step.is_gradient)).text


def test_latex_to_hand_in_has_the_graph_and_no_log():
    graph = traced("mlp").first_sample()
    latex = graph.derivation().to_latex("Mind W₀ × x.")
    assert r"\usepackage{tikz}" in latex and "includegraphics" not in latex and r"\input" not in latex
    picture = latex[latex.index(r"\begin{tikzpicture}") : latex.index(r"\end{tikzpicture}")]
    assert picture.count(r"\node[") == len(graph.nodes) and picture.count(r"\draw[->]") == len(graph.edges)
    assert all(f"{{${Latex().shown_symbol(node.symbol()).text}$}};" in picture for node in graph.nodes)
    for word in ("norm", "differ", "central", r"\checkmark", "check", "right", "float64"):
        assert word not in latex.replace("raggedright", ""), word
    assert r"Mind W$_{0}$ $\times$ x." in latex
    assert r"= W_{1}^{\top} \frac{\partial J}{\partial z_{2}} = \begin{bmatrix}" in latex


@models
def test_the_graph_in_latex_fits_on_a_page(name):
    latex = traced(name).derivation().to_latex()
    scale = float(re.search(r"xscale=([\d.]+)", latex)[1])
    corners = np.array(re.findall(r"at \(([\d.]+)pt,([\d.]+)pt\)", latex), float) * scale
    widths = [float(width) * scale for width in re.findall(r"\\node\[\w+, minimum width=([\d.]+)pt, minimum h", latex)]
    assert len(corners) == len(traced(name).nodes)
    assert (corners[:, 0] + np.array(widths[: len(corners)]) / 2).max() <= 470 and corners[:, 1].max() <= 620


def test_latex_that_is_not_right_says_so():
    latex = derived(WrongBackward()).to_latex()
    assert r"\textbf{NOT RIGHT: z$_{1}$, b$_{0}$, W$_{0}$, x; " in latex and r"$\times$ NOT RIGHT" in latex


@models
def test_formats_hold_every_step(name):
    derivation = traced(name).derivation()
    count = len(derivation.values) + len(derivation.gradients)
    root = ET.fromstring(f"<div>{derivation.to_html()}</div>")
    assert len(root.findall("section")) == count
    math = "{http://www.w3.org/1998/Math/MathML}math"
    assert all(section.find(f"div/{math}") is not None for section in root.findall("section"))
    steps = [*derivation.values, *derivation.gradients]
    stated = sum(step.formula is not None for step in steps)
    markdown, latex = derivation.to_markdown(), derivation.to_latex()
    assert markdown.count("```math\n") == stated and markdown.count("```") == 2 * stated
    shown = sum(step.node.grad is not None or not step.is_gradient for step in steps)
    apart = sum(not latex_of(step).startswith(f"{latex_name(step)} = ") for step in steps if step.formula)
    assert latex.count("\n\\step{") == shown + apart  # each value, in its equation or after it
    assert all(latex_of(step) in latex for step in steps if step.formula)
    assert latex.count("{") - latex.count(r"\{") == latex.count("}") - latex.count(r"\}")
    assert latex.isascii()
    assert str(derivation) == derivation.to_text() and derivation._repr_html_() == derivation.to_html()


def test_the_latex_document_compiles(tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    odd = nn.Sequential({"a_b & c": linear(2, 3), "drop": nn.Dropout(0.2), "e%f#g~h^i": linear(3, 1)})
    graphs = [traced("mlp").first_sample(), traced("classes"), traced("residual"), nn.trace(odd, nn.MSELoss(), X, Y)]
    for number, graph in enumerate(graphs):
        (tmp_path / f"{number}.tex").write_text(graph.derivation().to_latex(), encoding="ascii")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{number}.tex"]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
        assert run.returncode == 0, run.stdout[-2000:]
        assert (tmp_path / f"{number}.pdf").stat().st_size > 10_000


def test_corners_of_large_arrays():
    x = np.arange(60.0).reshape(6, 10)
    text = nn.trace(linear(10, 1), nn.MSELoss(), x, np.ones((6, 1))).derivation().to_text()
    assert "[[0, 1, 2, 3, 4, …], [10, 11, 12, 13, 14, …], [20, 21, 22, 23, 24, …], [30, 31, 32, 33, 34, …], …]" in text
