"""Stated equations are what the code computes, in every row of the table, and are shown as they are meant."""

import importlib
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from cases import CASES
from cases.trees import flat
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cases import MODES, Setup, every_mode, rows

import nn
from nn.checking.measure import numerical_jacobian
from nn.container import Container
from nn.layers.lazy import Lazy
from nn.mathematics.columns import Columns, as_column
from nn.mathematics.notation import Text
from nn.mathematics.program import flat as flat_lines
from nn.mathematics.program import halves, is_gradient, parse
from nn.mathematics.run import evaluate
from nn.mathematics.statement import Statement, output_names

ROOT = Path(__file__).resolve().parents[1]
STATED = [case for case in CASES if not isinstance(case.build(), Container)]
every_stated_case = rows(STATED)
# What the equations say by themselves is the same in both modes, unless they ask for the mode.
every_statement = pytest.mark.parametrize(
    ("case", "mode"),
    [
        (case, mode)
        for case in STATED
        for mode in MODES
        if mode == "train" or "training" in case.build().symbols.values()
    ],
    ids=lambda part: part if isinstance(part, str) else part.name,
)


def rewound(setup):
    """Return a row's module with all generators as they stand before the row's forward."""
    nn.manual_seed(0)
    for generator, state in zip(setup.generators, setup.states, strict=True):
        generator.bit_generator.state = state
    return setup.module


def parameters(module):
    """Return the Parameters by their symbols."""
    tied = {symbol: getattr(module, attribute) for symbol, attribute in module.symbols.items()}
    return {symbol: value for symbol, value in tied.items() if isinstance(value, nn.Parameter)}


def close(actual, desired, tolerance=1e-12):
    assert np.shape(actual) == np.shape(desired)
    np.testing.assert_allclose(actual, desired, rtol=tolerance, atol=tolerance)


def stated(setup, g):
    """Return a row's statement, run forward and back."""
    statement = Statement(rewound(setup), setup.inputs)
    statement.backward(tuple(leaf if leaf.dtype.kind == "f" else None for leaf in flat(g).values()))
    return statement


# ---- stated equation = code = central difference


@every_mode
@every_stated_case
def test_equations_are_what_the_code_computes(case, mode):
    setup = Setup(case, mode)
    y = setup.forward()
    g = setup.upstream(y)
    gradients = setup.backward(g)
    statement = stated(setup, g)
    for output, value in zip(statement.outputs, flat(y).values(), strict=True):
        close(statement.values[output], value)
    for symbol, gradient in zip(statement.inputs, gradients, strict=True):
        if gradient is not None:
            close(statement.values[f"d{symbol}"], gradient)
    for symbol, parameter in parameters(setup.module).items():
        close(statement.values[f"d{symbol}"], parameter.grad)


FEW = 24  # entries of an array whose derivatives are taken one by one


def slope_along(direction, objective, array):
    """Return the central difference of an objective along a direction of an array, which is left as it was."""
    at, step = array.copy(), 1e-6
    values = []
    for sign in (1, -1):
        array[...] = at + sign * step * direction
        values.append(objective())
    array[...] = at
    return (values[0] - values[1]) / (2 * step)


@every_statement
def test_stated_gradients_are_the_derivatives_of_the_stated_output(case, mode):
    setup = Setup(case, mode)
    module = rewound(setup)
    output, *integers = output_names(module, len(setup.inputs))
    y = Statement(module, setup.inputs).values
    g = setup.upstream(y[output])
    statement = stated(setup, (g, *(y[name] for name in integers)))

    def objective():
        return float(np.sum(Statement(rewound(setup), setup.inputs).values[output] * g))

    arrays = dict(zip(statement.inputs, setup.inputs, strict=True))
    arrays = {s: x for i, (s, x) in enumerate(arrays.items()) if i not in setup.targets and x.dtype.kind == "f"}
    arrays |= {symbol: parameter.data for symbol, parameter in parameters(module).items()}
    for symbol, array in arrays.items():
        gradient = statement.values[f"d{symbol}"]
        if array.size <= FEW:
            close(gradient, numerical_jacobian(objective, array), 1e-6)
            continue
        for _ in range(2):  # a random direction meets every entry; which one is wrong, the code's own tests tell
            direction = setup.rng.normal(size=array.shape)
            close(np.sum(gradient * direction), slope_along(direction, objective, array), 1e-6)


@every_mode
@pytest.mark.parametrize("case", [case for case in CASES if [*case.build().buffers()]], ids=lambda case: case.name)
def test_what_forward_leaves_in_buffers_is_stated(case, mode):
    setup = Setup(case, mode)
    before = [buffer.copy() for _, buffer in buffers_of(setup.module)]
    values = Statement(rewound(setup), setup.inputs).values
    setup.forward()
    new = {attribute: values.get(f"{symbol}_new") for symbol, attribute in setup.module.symbols.items()}
    for (name, buffer), old in zip(buffers_of(setup.module), before, strict=True):
        expected = old if new.get(name) is None else new[name]
        np.testing.assert_allclose(buffer, expected, rtol=1e-12, err_msg=name)


def buffers_of(module):
    """Return the Buffers that a module itself has, by name."""
    return [(name, value.data) for name, value in vars(module).items() if isinstance(value, nn.Buffer)]


@every_statement
def test_each_gradient_has_its_line(case, mode):
    setup = Setup(case, mode)
    statement = stated(setup, setup.upstream(setup.forward()))
    wanted = {f"d{symbol}" for symbol in parameters(setup.module)}
    inputs = enumerate(zip(statement.inputs, setup.inputs, strict=True))
    wanted |= {f"d{symbol}" for i, (symbol, x) in inputs if i not in setup.targets and x.dtype.kind == "f"}
    assert wanted <= {name for line in flat_lines(statement.lines()) for name in line.names}
    forward, backward = halves(parse(setup.module.equations_of(len(setup.inputs))))
    assert not any(is_gradient(name) for line in forward for name in line.names)
    known = statement.values.keys() | setup.module.symbols.keys()
    assert all(name[1:] in known for line in backward for name in line.names if is_gradient(name))


def test_every_public_layer_and_loss_states_its_equations():
    classes = [value for value in vars(nn).values() if isinstance(value, type) and issubclass(value, nn.Module)]
    classes = [value for value in classes if not issubclass(value, Lazy)]
    silent = {nn.Module, nn.Loss} | {value for value in classes if issubclass(value, Container)}
    assert {type(case.build()) for case in STATED} == {*classes} - silent
    assert all(case.build().equations_of(1) for case in STATED)
    assert not any(value.equations for value in silent)


def test_evaluation_leaves_everything_as_it_was():
    nn.manual_seed(0)
    module = nn.Dropout()
    x = np.ones((3, 4))
    y = module(x)
    state = nn.get_rng_state()
    nn.evaluate_equations(module, (x,), np.ones((3, 4)))
    assert nn.get_rng_state() == state
    close(module.backward(np.ones((3, 4))), y)

    linear = nn.Linear(4, 2)
    nn.evaluate_equations(linear, (x,), np.ones((3, 2)))
    assert not linear.weight.grad.any()
    with pytest.raises(RuntimeError, match="nothing saved"):
        linear.backward(np.ones((3, 2)))


def test_upstream_gradients_are_ones_by_default():
    lines = nn.evaluate_equations(nn.HalfSquaredLoss(), (np.full((2, 3), 5.0), np.ones((2, 3))))
    close(lines["J"], 24.0)
    close(lines["df"], np.full((2, 3), 2.0))


def test_the_generator_can_be_given():
    x = np.ones(1000)
    lines = nn.evaluate_equations(nn.Dropout(0.25), (x,), x, generator=7)
    np.testing.assert_array_equal(lines["k"], np.random.default_rng(7).random(1000) >= 0.25)


def test_an_authors_layer_states_its_own():
    class Affine(nn.Module):
        symbols = {"a": "scale"}  # noqa: RUF012
        equations = """y0 = a * x0
            y1 = x0 + x1
            dx0 = a * dy0 + dy1
            dx1 = dy1
            da = (dy0 * x0).sum()"""

        def __init__(self):
            self.scale = nn.Parameter(3.0)

    lines = nn.evaluate_equations(Affine(), (np.array([1.0, 2.0]), np.array([5.0, 6.0])), (np.ones(2), np.ones(2)))
    assert {symbol: value.tolist() for symbol, value in lines.items()} == {
        "y0": [3, 6],
        "y1": [6, 8],
        "dx0": [4, 4],
        "dx1": [1, 1],
        "da": 3,
    }


def test_inputs_and_outputs_may_have_letters_of_their_own():
    class Cell(nn.Module):
        input_symbols, output_symbols = ("x", "h"), ("z", "c")
        equations = "z = x * h if h is not None else x; c = 2 * z; dz = dz0; dx = dz * h + 2 * dc * h".replace(
            "dz = dz0; dx = dz * h", "dx = dz * h"
        )

    values = nn.evaluate_equations(Cell(), (np.array([3.0]), np.array([5.0])), (np.array([1.0]), np.array([10.0])))
    assert {name: value.tolist() for name, value in values.items()} == {"z": [15], "c": [30], "dx": [105]}
    assert nn.evaluate_equations(Cell(), (np.array([3.0]), None))["z"].tolist() == [3]


def test_a_recurrence_may_be_stated():
    class Running(nn.Module):
        equations = """
            s[0] = 0 * x[0]
            for t in range(len(x)):
                s[t + 1] = s[t] + x[t]
                y[t] = s[t + 1]
            for t in reversed(range(len(x))):
                ds[t + 1] += dy[t]
                ds[t] = ds[t + 1]
                dx[t] = ds[t + 1]
        """

    values = nn.evaluate_equations(Running(), (np.array([1.0, 2.0, 4.0]),))
    assert values["y"].tolist() == [1, 3, 7] and values["dx"].tolist() == [3, 2, 1]
    Running.equations = Running.equations.replace("0 * x[0]", "0")
    with pytest.raises(ValueError, match=r"in the equations of Running\(\), y has no value: .* has no steps"):
        nn.evaluate_equations(Running(), (np.zeros(0),))


def test_what_states_nothing_says_so():
    for module in (nn.Sequential(nn.ReLU()), nn.Residual(nn.ReLU()), nn.Module()):
        assert not module.equations
        with pytest.raises(ValueError, match="states no equations"):
            nn.evaluate_equations(module, (np.ones(2),))
    silent = nn.ReLU()
    silent.equations = " "
    with pytest.raises(ValueError, match="states no equations"):
        nn.evaluate_equations(silent, (np.ones(2),))
    with pytest.raises(ValueError, match=r"in the equations of ReLU\(\), line 1, .*: x has no value here"):
        nn.evaluate_equations(nn.ReLU(), (np.ones(2), np.ones(2)))
    with pytest.raises(ValueError, match=r"MSELoss.* states equations of f, y, got 1 inputs"):
        nn.evaluate_equations(nn.MSELoss(), (np.ones(2),))


def test_upstream_gradients_do_not_broadcast():
    x = np.ones((2, 3))
    for g in (np.ones(3), np.ones((2, 1)), (x, x), 1.0):
        with pytest.raises(ValueError, match=r"ReLU\(\) expects upstream gradients of shape \(2, 3\), got"):
            nn.evaluate_equations(nn.ReLU(), (x,), g)


# ---- settled, and in columns


def lines_of(module, *inputs):
    statement = Statement(module, inputs)
    statement.backward()
    return {", ".join(line.names): str(line) for line in statement.lines()}


def test_settled_lines_are_those_that_hold():
    f = np.ones((2, 3))
    indices = lines_of(nn.CrossEntropyLoss(), f, np.array([0, 1]))
    assert indices["s"] == "s[..., c] = y[...] == c" and indices["m"] == "m = sum(s[..., c], ..., c)"
    assert list(indices) == ["p", "s", "L", "m", "J", "dL", "df"]
    probabilities = lines_of(nn.CrossEntropyLoss(), f, f / 3)
    assert probabilities["m"] == "m = L.size"
    assert probabilities["L"] == "L[...] = -sum(y[..., c] * log(p[..., c]), c)"
    assert lines_of(nn.Linear(3, 2, bias=False), f) == {
        "y": "y = x @ W.T",
        "dx": "dx = dy @ W",
        "dW": "dW = rows(dy).T @ rows(x)",
    }
    assert lines_of(nn.Dropout().eval(), f) == {"y": "y = x", "dx": "dx = dy"}


NO_COLUMNS = (
    r"a matrix is expected|reduction='none'|Softmax\(dim=0\)|no samples along their first axis|JoinTable\(-2\)"
    r"|BCEWithLogitsLoss\(weight=\[\[0.5\]|no single index is that of the samples|there is none of (join|flatten|pad)"
    r"|there is none of (unflatten|.*\.mean\(a, keepdims|x\.reshape)"
)


@every_statement
def test_columns_give_the_same_numbers_for_one_sample(case, mode):
    setup = Setup(case, mode)
    try:
        statement = stated(setup, setup.upstream(setup.forward()))
        Columns(statement)
        inputs = tuple(x[1:2] for x in setup.inputs)  # not the first, which is ignored in some rows
        statement = Statement(rewound(setup), inputs)
        g = setup.upstream(statement.values[statement.outputs[0]])
        statement.backward((g, *(None for _ in statement.outputs[1:])))
        columns = Columns(statement)
    except ValueError as error:
        assert re.search(NO_COLUMNS, str(error))
        return
    generator = nn.random.default_generator(getattr(rewound(setup), "generator", None))
    values = columns.evaluate(generator)
    assert {name for line in columns.lines for name in line.names} >= statement.wanted & {*statement.stated}
    for line in columns.run:
        for name in line.names:
            expected = statement.stated[name]
            np.testing.assert_allclose(
                values[name], as_column(columns.first(name, expected)), rtol=1e-12, atol=1e-12, err_msg=name
            )


def shown_in_columns(module, *inputs):
    statement = Statement(module, inputs)
    statement.backward()
    columns = Columns(statement)
    scalars = {name for name, value in columns.evaluate(np.random.default_rng(0)).items() if np.ndim(value) == 0}
    return Text.of_program(columns.lines, scalars).lines(columns.lines, {}).splitlines()


def test_columns_read_as_in_a_textbook():
    x = np.ones((5, 3))
    assert nn.column_equations(nn.Linear(3, 2), (x,)) == {
        "y": "W @ x + b",
        "dx": "W.T @ dy",
        "dW": "dy @ x.T",
        "db": "dy",
    }
    assert shown_in_columns(nn.Linear(3, 2), x) == [
        "y = W x + b",
        "∂J/∂x = Wᵀ (∂J/∂y)",
        "∂J/∂W = (∂J/∂y) xᵀ",
        "∂J/∂b = ∂J/∂y",
    ]
    assert shown_in_columns(nn.HalfSquaredLoss(), x, x) == ["J = ½ ‖f − y‖²", "∂J/∂f = (∂J/∂J) (f − y)"]
    assert shown_in_columns(nn.CrossEntropyLoss(reduction="sum"), x, np.zeros(5, int)) == [
        "p[c] = exp(f[c]) / Σⱼ exp(fⱼ)",
        "s[c] = 1[y = c]",
        "J = −Σ_c s[c] log(p[c])",
        "∂J/∂f[c] = (∂J/∂J) ((Σⱼ sⱼ) p[c] − s[c])",
    ]


def test_lengths_and_further_axes_in_columns():
    class Scaled(nn.Module):
        equations = "y = x / x.shape[0] * x.shape[1]; dx = dy / len(x) * x.shape[1]"

    columns = nn.column_equations(Scaled(), (np.ones((5, 3)),))
    assert columns == {"y": "x * x.shape[0]", "dx": "dy * x.shape[0]"}
    Scaled.equations = "y[..., i] = 2 * x[..., i]; dx[..., i] = 2 * dy[..., i]"
    columns = nn.column_equations(Scaled(), (np.ones((5, 4, 3)),))
    assert columns == {"y[..., i]": "2 * x[..., i]", "dx[..., i]": "2 * dy[..., i]"}
    assert nn.column_equations(Scaled(), (np.ones((5, 3)),)) == {"y[i]": "2 * x[i]", "dx[i]": "2 * dy[i]"}
    Scaled.equations = "y[n, i] = n * x[n, i]; dx[n, i] = n * dy[n, i]"
    with pytest.raises(ValueError, match="the sample's index n is used as a number"):
        nn.column_equations(Scaled(), (np.ones((5, 3)),))


def test_what_mixes_samples_has_no_columns():
    with pytest.raises(ValueError, match=r"Softmax\(dim=0\) has no column form"):
        nn.column_equations(nn.Softmax(dim=0), (np.ones((2, 3)),))
    with pytest.raises(ValueError, match=r"Linear.* has no column form: x has shape \(4, 2, 3\)"):
        nn.column_equations(nn.Linear(3, 2), (np.ones((4, 2, 3)),))


# ---- shown

SHOWN = [
    (nn.Linear(3, 2), "y = x Wᵀ + b; ∂J/∂x = (∂J/∂y) W; ∂J/∂W = (∂J/∂y)ᵀ x; ∂J/∂b = Σₙ (∂J/∂y)ₙ"),
    (nn.Identity(), "y = x; ∂J/∂x = ∂J/∂y"),
    (nn.ReLU(), "y = max(x, 0); ∂J/∂x = (∂J/∂y) ⊙ 1[x > 0]"),
    (nn.LeakyReLU(), "y = x if x > 0, else α ⊙ x; ∂J/∂x = ∂J/∂y if x > 0, else α ⊙ (∂J/∂y)"),
    (nn.Sigmoid(), "y = 1 / (1 + exp(−x)); ∂J/∂x = (∂J/∂y) ⊙ y ⊙ (1 − y)"),
    (nn.Tanh(), "y = tanh(x); ∂J/∂x = (∂J/∂y) ⊙ (1 − y²)"),
    (nn.MSELoss(), "L = (f − y)²; m = size(L); J = (Σ L) / m; ∂J/∂L = (∂J/∂J)/m; ∂J/∂f = 2 (∂J/∂L) ⊙ (f − y)"),
    (nn.L1Loss("none"), "L = |f − y|; J = L; ∂J/∂L = ∂J/∂J; ∂J/∂f = (∂J/∂L) ⊙ sign(f − y)"),
]


@pytest.mark.parametrize(("module", "expected"), SHOWN, ids=repr)
def test_layers_as_text(module, expected):
    assert nn.to_text(module.equations_of(1)).splitlines() == expected.split("; ")


@every_statement
def test_every_line_is_well_formed(case, mode):
    setup = Setup(case, mode)
    text = setup.module.equations_of(len(setup.inputs))
    statement = stated(setup, setup.upstream(setup.forward()))
    for equations in (text, "\n".join(map(str, statement.lines()))):
        for line in equations.strip().splitlines():
            well_formed(line.strip(), scalars=statement.scalars)
            well_formed(line.strip(), rename={"x": "a1", "W": "W2", "y": "z3"})


BRACKETS = [
    ("x - (a - b)", "x − (a − b)", "x - (a - b)"),
    ("x - a - b", "x − a − b", "x - a - b"),
    ("x * (y + 1)", "x ⊙ (y + 1)", r"x \odot (y + 1)"),
    ("-(a + b)", "−(a + b)", "-(a + b)"),
    ("a + -b", "a + (−b)", "a + (-b)"),
    ("-a * b", "−a ⊙ b", r"-a \odot b"),
    ("-a * b / c + a", "−a ⊙ b / c + a", r"-\frac{a \odot b}{c} + a"),
    ("a * -b", "a ⊙ (−b)", r"a \odot (-b)"),
    ("a / (b * c)", "a / (b ⊙ c)", r"\frac{a}{b \odot c}"),
    ("a / b * c", "(a/b) ⊙ c", r"\frac{a}{b} \odot c"),
    ("a * b / c", "a ⊙ b / c", r"\frac{a \odot b}{c}"),
    ("a / (b / c)", "a/(b/c)", r"\frac{a}{\frac{b}{c}}"),
    ("(a + b) / c", "(a + b) / c", r"\frac{a + b}{c}"),
    ("(g * r.T).T", "(g ⊙ rᵀ)ᵀ", r"(g \odot r^{\top})^{\top}"),
    ("(a / b).T", "(a/b)ᵀ", r"\left( \frac{a}{b} \right)^{\top}"),
    ("(x * y) @ W", "(x ⊙ y) W", r"(x \odot y) W"),
    ("x @ W * y", "(x W) ⊙ y", r"(x W) \odot y"),
    ("x @ W @ V", "x W V", "x W V"),
    ("x @ (W + V)", "x (W + V)", "x (W + V)"),
    ("x @ (a * y)", "x (a ⊙ y)", r"x (a \odot y)"),
    ("a * (x @ y)", "a ⊙ (x y)", r"a \odot (x y)"),
    ("a * (b / c)", "a ⊙ (b/c)", r"a \odot \frac{b}{c}"),
    ("a * (2 * b)", "a ⊙ (2 b)", r"a \odot (2 b)"),
    ("2 * (a / b)", "2 (a/b)", r"2 \frac{a}{b}"),
    ("2 * (a * b)", "2 a ⊙ b", r"2 a \odot b"),
    ("2 * (a @ b) * c", "(2 a b) ⊙ c", r"(2 a b) \odot c"),
    ("-x ** 2", "−x²", "-x^{2}"),
    ("(-x) ** 2", "(−x)²", "(-x)^{2}"),
    ("(a * b) ** -1", "(a ⊙ b)⁻¹", r"(a \odot b)^{-1}"),
    ("x.T ** 2", "(xᵀ)²", r"(x^{\top})^{2}"),
    ("x.sum() * y", "(Σ x) y", r"\left( \sum x \right) y"),
    ("y * x.sum()", "y Σ x", r"y \sum x"),
    ("x * y.sum() * z", "(x Σ y) ⊙ z", r"\left( x \sum y \right) \odot z"),
    ("(x + y).sum() + z", "Σ (x + y) + z", r"\sum (x + y) + z"),
    ("(a - b).sum(0)", "Σₙ (a − b)ₙ", r"\sum_{n} (a - b)_{n}"),
    ("z3.sum(0)", "Σₙ z₃[n]", r"\sum_{n} (z_{3})_{n}"),
    ("g * (x > 0)", "g ⊙ 1[x > 0]", r"g \odot \mathbf{1}[x > 0]"),
    ("where(x > 0, 1, 2) * y", "(1 if x > 0, else 2) ⊙ y", None),
    ("y == (x if c > 0 else z)", "y = x if c > 0, else z", None),
    ("m == (x >= p)", "m = 1[x ≥ p]", r"m = \mathbf{1}[x \ge p]"),
    ("1 * x / 1", "x", "x"),
    ("alpha * beta1", "α ⊙ β₁", r"\alpha \odot \beta_{1}"),
    ("log_p", "log_p", r"\mathrm{log\_p}"),
    ("xhat0", "x\N{COMBINING CIRCUMFLEX ACCENT}₀", r"\hat{x}_{0}"),
    ("dx", "∂J/∂x", r"\frac{\partial J}{\partial x}"),
    ("dx0 * dW", "(∂J/∂x₀) ⊙ (∂J/∂W)", None),
    ("dW[o, i] * x[i]", "(∂J/∂W[o,i]) xᵢ", r"\frac{\partial J}{\partial W_{o,i}} x_{i}"),
    ("a // b + 1", "⌊a/b⌋ + 1", r"\left\lfloor \frac{a}{b} \right\rfloor + 1"),
    ("sqrt(a + b)", "√(a + b)", r"\sqrt{a + b}"),
    ("(a > b) * (a < 2 * b)", "1[a > b] ⊙ 1[a < 2 b]", None),
]


@pytest.mark.parametrize(("expression", "text", "latex"), BRACKETS)
def test_brackets_are_needed_and_sufficient(expression, text, latex):
    assert nn.to_text(expression) == text
    if latex is not None:
        assert nn.to_latex(expression) == latex
    well_formed(expression)


def test_products_with_numbers_have_no_sign():
    assert nn.to_text("g * x / n * y", scalars={"g", "n"}) == "(g x / n) ⊙ y"
    assert nn.to_text("g * n * x", scalars={"g", "n"}) == "g n x"
    assert nn.to_text("(1 - p) * x", scalars={"p"}) == "(1 − p) x"
    assert nn.to_text("x.size * x") == "size(x) x"


def test_symbols_are_renamed_and_the_gradients_by_them_follow():
    rename = {"x": "a₂", "W": "W₂", "b": "b2", "y": "z3"}
    assert nn.to_text("y = x @ W.T + b", rename) == "z₃ = a₂ W₂ᵀ + b₂"
    assert nn.to_text("dW = dy.T @ x", rename) == "∂J/∂W₂ = (∂J/∂z₃)ᵀ a₂"
    assert nn.to_text("dy @ W", rename) == "(∂J/∂z₃) W₂"
    assert nn.to_text("rows(dy).sum(0)", rename) == "Σₙ (∂J/∂z₃)ₙ"
    assert nn.to_text("x + y", {"x": "y", "y": "x"}) == "y + x"
    assert nn.to_latex("dy.T @ x", rename) == r"\left( \frac{\partial J}{\partial z_{3}} \right)^{\top} a_{2}"


def well_formed(expression, **arguments):
    """Check an expression's three forms for what any of them must be."""
    text = nn.to_text(expression, **arguments)
    assert text and "\n" not in text and "*" not in text and "@" not in text
    assert text.count("(") == text.count(")")

    latex = nn.to_latex(expression, **arguments)
    bare = re.sub(r"\\[{}|]", "", latex)
    depth = 0
    for character in bare:
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0
    for opening, closing in ((r"\left", r"\right"), (r"\begin{cases}", r"\end{cases}")):
        assert len(re.findall(re.escape(opening) + r"\b|" + re.escape(opening), latex)) == latex.count(closing)
    assert latex.isascii()
    assert not re.search(r"[_^]\{[^{}]*\}[_^]\{[^{}]*\}[_^]", bare), "LaTeX refuses double scripts"

    root = ElementTree.fromstring(nn.to_mathml(expression, **arguments))
    space = "{http://www.w3.org/1998/Math/MathML}"
    assert root.tag == f"{space}math"
    children = {"mfrac": 2, "msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "msqrt": 1}
    leaves = {"mi", "mn", "mo", "mtext"}
    for element in root.iter():
        name = element.tag.removeprefix(space)
        assert name in {*children, *leaves, "math", "mrow", "mtable", "mtr", "mtd", "mspace"}
        assert len(element) == children.get(name, len(element))
        assert bool(element.text) == (name in leaves) and not element.tail
        assert not (name in leaves and len(element))


# What text shows can be read again: were a bracket missing, it would be another number. On arrays only, since
# products without a sign cannot be told apart.
ARRAYS = {name: np.random.default_rng(ord(name)).uniform(1, 2, (2, 2)) for name in "abc"}
expressions = st.recursive(
    st.sampled_from([*ARRAYS]),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("(-{})".format, inner),
        st.builds("({}) ** 2".format, inner),
        st.builds("({} + a).T".format, inner),
        st.builds("({} > b)".format, inner),
        st.builds("exp(-({}) ** 2)".format, inner),
    ),
    max_leaves=8,
)


def value(expression):
    return evaluate(f"y = {expression}", ARRAYS)["y"]


@settings(max_examples=300, deadline=None)
@given(expressions)
def test_text_means_what_it_shows(expression):
    text = nn.to_text(expression)
    written = text.replace("−", "-").replace("⊙", "*").replace("²", "**2").replace("ᵀ", ".T").replace("1[", "[")
    written = re.sub(r"(?<=[\w).]) (?=[\w(\[])", " * ", written.replace("[", "(").replace("]", ")"))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(value(written) * 1.0, value(expression) * 1.0, rtol=1e-9, atol=1e-9)


# ---- what is refused

REFUSED = [
    *("__import__('os').system('true')", "x.__class__", "x.dtype", "x.tofile('f')", "x.sum.__self__", "open('f')"),
    *("eval('1')", "exp.__globals__", "lambda: 1", "(lambda: 1)()", "[i for i in x]", "{i for i in x}", "[1, 2]"),
    *("{'a': 1}", "f'{x}'", "b'bytes'", "1j", "x[0:1]", "(y := 1)", "x << 9", "~x", "a < b < c", "exp(*x)"),
    *("exp(**x)", "exp(x)(y)", "x.sum(out=y)", "exp(x, out=y)", "(x, *y)", "import os", "x +", "", "await x", "yield"),
]


@pytest.mark.parametrize("expression", REFUSED)
def test_what_the_language_has_not_is_refused(expression):
    for read in (lambda e: evaluate(f"y = {e}", {"x": np.ones(2)}), nn.to_text, nn.to_latex, nn.to_mathml):
        with pytest.raises(ValueError, match=r"cannot be read|the language has no|a line is"):
            read(expression)


# ---- the page


def test_the_page_is_what_the_tool_writes(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "tools")
    page = importlib.import_module("equations").page()
    assert (ROOT / "docs" / "equations.md").read_text(encoding="utf-8") == page, "run python tools/equations.py"
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], {})
    assert capsys.readouterr().out == "y = s ⊙ x\n∂J/∂x = s ⊙ (∂J/∂y)\n∂J/∂s = Σₙ ((∂J/∂y) ⊙ x)ₙ\n[1. 2.]\n"
