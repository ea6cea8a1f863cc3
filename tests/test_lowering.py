"""Programs of loops are what the code computes: every row of the table, and the textbook statements, in compiled C."""

import numpy as np
import pytest
from cases import FAMILIES
from cases.setup import Setup
from lowered import Programs, needs_compiler
from statements import STATEMENTS

import nn
from nn import tree
from nn.lowering.batch import BatchError, free_batch
from nn.lowering.example import Example
from nn.lowering.expression import Affine
from nn.lowering.fusion import fused
from nn.lowering.lines import LineLowering
from nn.lowering.memory import in_memory, plan
from nn.lowering.model import ModelLowering
from nn.lowering.program import Builder, Program, all_nests
from nn.lowering.values import Shapes
from nn.mathematics.program import halves, parse
from nn.mathematics.run import Walker

TOLERANCE = {np.float64: 1e-12, np.float32: 1e-5}

# Rows that have no lowering, with the reason that is given: at most a tenth of all.
NOT_LOWERED = dict.fromkeys(
    ("ConvTranspose2d-sized", "ConvTranspose2d-sized-wholly"), "expects upstream gradients of shape"
)


def close(actual, desired, dtype):
    desired = np.asarray(desired, np.float64)
    scale = max(1.0, float(np.abs(desired).max(initial=0, where=np.isfinite(desired))))
    np.testing.assert_allclose(actual, desired, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * scale)


# ---- every row of the table


class Row:
    """A row of the table, lowered."""

    def __init__(self, case, mode):
        self.setup = Setup(case, mode)
        y = self.setup.forward()
        self.upstream = self.setup.upstream(y)
        self.rewind(self.setup)
        module, inputs = self.setup.module, self.setup.inputs
        graph = nn.trace(nn.Identity(), module, *inputs) if self.setup.is_loss else nn.record(module, *inputs)
        self.lowered = ModelLowering(graph, "all", upstream=True).run()

    @staticmethod
    def rewind(setup):
        nn.manual_seed(0)
        for generator, state in zip(setup.generators, setup.states, strict=True):
            generator.bit_generator.state = state

    def arrays(self):
        """Return the arrays that the program is given, by name."""
        lowered, setup = self.lowered, self.setup
        parameters, modules = dict(setup.module.named_parameters()), dict(setup.module.named_modules())
        given = dict(zip([*lowered.inputs, lowered.target], leaves(setup.inputs), strict=False))
        given |= {name: parameters[path].data for name, path in lowered.parameters.items()}
        given |= {f"d{name}": g for name, g in zip(lowered.outputs, leaves(self.upstream), strict=True)}
        self.rewind(setup)
        for name, path in lowered.draws.items():
            generator = nn.random.default_generator(getattr(modules[path], "generator", None))
            given[name] = generator.random(lowered.program.arrays[name].shape)
        return {**lowered.constants, **given}

    def check(self, arrays, dtype):
        """Hold what the program left in its arrays against forward and backward."""
        lowered, setup = self.lowered, self.setup
        for parameter in setup.module.parameters():
            parameter.grad.fill(0)
        y = setup.forward()
        gradients = setup.gradients(self.upstream)
        for name, value in zip(lowered.outputs, leaves(y), strict=True):
            close(arrays[name], value, dtype)
        for name, value in zip(lowered.inputs, leaves(gradients[: len(setup.inputs)]), strict=False):
            if value is not None:
                close(arrays[f"d{name}"], value, dtype)
        parameters = dict(setup.module.named_parameters())
        for name, path in lowered.parameters.items():
            close(arrays[f"d{name}"], parameters[path].grad, dtype)


def leaves(values):
    return [None if leaf is None else np.asarray(leaf) for leaf in tree.leaves(values)]


@needs_compiler
@pytest.mark.parametrize("family", FAMILIES)
def test_c_is_what_the_code_computes(family, tmp_path):
    programs, rows = Programs(), []
    for case in FAMILIES[family]:
        for mode in ("train", "eval"):
            if case.name not in NOT_LOWERED:
                row = Row(case, mode)
                rows.append((row, programs.add(row.lowered.program)))
    programs.compile(tmp_path)
    for row, number in rows:
        for dtype in TOLERANCE:
            arrays = programs.run(number, row.lowered.program, row.arrays(), dtype)
            row.check(arrays, dtype)


def test_what_has_no_lowering_is_a_tenth_at_most():
    cases = {case.name: case for family in FAMILIES.values() for case in family}
    assert len(NOT_LOWERED) <= 0.1 * len(cases)
    for name in NOT_LOWERED.keys() & cases.keys():
        with pytest.raises((ValueError, RuntimeError), match=NOT_LOWERED[name]):
            Row(cases[name], "train")


# ---- textbook statements


def lowered_text(text, values, outputs=("y",), by=(), upstream=None):
    """Lower a text: return the program, whose outputs stand in arrays out_NAME, and whose inputs in arrays in_NAME."""
    forward, backward = halves(parse(text))
    hollow = {
        k: np.broadcast_to(np.zeros((), v.dtype), v.shape) if isinstance(v, np.ndarray) else v
        for k, v in values.items()
    }
    walker, builder = Shapes(hollow), Builder()
    walker.run(forward)
    arrays = {
        k: builder.declare(f"in_{k}", v.shape, v.dtype.kind == "f", "input")
        for k, v in values.items()
        if isinstance(v, np.ndarray)
    }
    lowering = LineLowering(builder, walker, arrays, None, None, "c_")
    lowering.run(walker.settled)
    done = len(walker.settled)
    for name, g in (upstream or {}).items():
        lowering.names[name] = builder.declare(f"in_{name}", g.shape, True, "input")
    if upstream:
        walker.give(upstream)
        walker.run(backward)
        lowering.run(walker.settled[done:])
    for name in (*outputs, *(f"d{symbol}" for symbol in by)):
        value = lowering.names[name]
        builder.assign(builder.declare(f"out_{name}", value.shape, True, "output"), value)
    return fused(Program(builder.arrays, tuple(builder.items)), {"output"})


@needs_compiler
@pytest.mark.parametrize("wide", [None, True])
def test_textbook_statements_are_lowered(wide, tmp_path):
    programs, rows = Programs(wide), []
    for statement in STATEMENTS:
        rng = np.random.default_rng(0)
        values = statement.draw(rng)
        walker = Walker(values)
        forward, backward = halves(parse(statement.text))
        walker.run(forward)
        upstream = {f"d{name}": rng.normal(size=np.shape(walker.value(name))) for name in statement.outputs}
        walker.give(upstream)
        walker.run(backward)
        program = lowered_text(statement.text, values, statement.outputs, statement.by, upstream)
        given = {f"in_{name}": value for name, value in {**values, **upstream}.items() if isinstance(value, np.ndarray)}
        wanted = {f"out_{name}": walker.value(name) for name in (*statement.outputs, *(f"d{s}" for s in statement.by))}
        rows.append((program, programs.add(program), given, wanted))
    programs.compile(tmp_path)
    for program, number, given, wanted in rows:
        for dtype in TOLERANCE:
            arrays = programs.run(number, program, given, dtype)
            for name, value in wanted.items():
                close(arrays[name], value, dtype)


PRODUCTS = {
    "product": ("y = a @ b + 1", {"a": (13, 5), "b": (5, 70)}),
    "transposed": ("y = a @ b.T", {"a": (64, 3), "b": (9, 3)}),
    "three factors": ("y[i, j] = sum(a[i, k] * b[k, j] * s[k], k)", {"a": (7, 4), "b": (4, 20), "s": (4,)}),
    "two products": ("y = a @ b + c @ d", {"a": (6, 3), "b": (3, 19), "c": (6, 2), "d": (2, 19)}),
    "a stack": ("y = a @ b", {"a": (2, 5, 3), "b": (2, 3, 8)}),
    "columns summed": ("y = a.sum(0) * 2", {"a": (9, 67)}),
    "convolution": (
        "i, j = range(8), range(7); y[n, o, i, j] = sum(w[o, c, u, v] * x[n, c, i + u, j + 2 * v], c, u, v)",
        {"w": (5, 2, 3, 2), "x": (3, 2, 10, 9)},
    ),
    "scatter": (
        "z = zeros(3, 2, 10, 9); z[n, c, i + u, j + 2 * v] += w[o, c, u, v] * g[n, o, i, j]; y = z * 1",
        {"w": (5, 2, 3, 2), "g": (3, 5, 8, 7)},
    ),
}


@needs_compiler
@pytest.mark.parametrize("wide", [True, False])
def test_products_in_tiles(wide, tmp_path):
    programs, rows = Programs(wide), []
    for text, shapes in PRODUCTS.values():
        rng = np.random.default_rng(0)
        values = {name: rng.normal(size=shape) for name, shape in shapes.items()}
        walker = Walker(values)
        walker.run(parse(text))
        program = lowered_text(text, values)
        rows.append((program, programs.add(program), values, walker.value("y")))
    programs.compile(tmp_path)
    for program, number, values, expected in rows:
        given = {f"in_{name}": value for name, value in values.items()}
        for dtype in TOLERANCE:
            close(programs.run(number, program, given, dtype)["out_y"], expected, dtype)


# ---- rules of stability: the plain formula overflows where the lowered one does not

FAR = np.array([[1e4, 0.0, -1e4], [300.0, 300.0, -300.0]])
SIGMOID = "p = 1 / (1 + exp(-x))"
SOFTMAX = "p[n, c] = exp(x[n, c]) / sum(exp(x[n, j]), j)"
LOGS = [[0, -1e4, -2e4], [-np.log(2), -np.log(2), -600 - np.log(2)]]
STABLE = {
    "softmax": ("y = exp(x) / exp(x).sum(1, keepdims=True)", [[1, 0, 0], [0.5, 0.5, 0]]),
    "softmax of entries": (f"{SOFTMAX}; y[n, c] = p[n, c]", [[1, 0, 0], [0.5, 0.5, 0]]),
    "log of softmax": (f"{SOFTMAX}; y[n, c] = log(p[n, c])", LOGS),
    "logsumexp": ("y = log(exp(x).sum(1))", [1e4, 300 + np.log(2)]),
    "log-softmax": ("y = x - log(exp(x).sum(1, keepdims=True))", LOGS),
    "softplus": ("y = log(1 + exp(x))", [[1e4, np.log(2), 0], [300, 300, np.exp(-300)]]),
    "log p": (f"{SIGMOID}; y = log(p)", [[0, -np.log(2), -1e4], [-np.exp(-300), -np.exp(-300), -300]]),
    "log(1 - p)": (f"{SIGMOID}; y = log(1 - p)", [[-1e4, -np.log(2), 0], [-300, -300, -np.exp(-300)]]),
    "square of a norm": ("y[n] = norm(x[n, c], c)**2 / 1e8", [2, 27e4 / 1e8]),
}  # fmt: skip


@pytest.fixture(scope="module")
def stable_results(tmp_path_factory):
    programs = Programs()
    lowered = {name: lowered_text(text, {"x": FAR}) for name, (text, _) in STABLE.items()}
    numbers = {name: programs.add(program) for name, program in lowered.items()}
    programs.compile(tmp_path_factory.mktemp("stable"))
    return lambda name, dtype: programs.run(numbers[name], lowered[name], {"in_x": FAR}, dtype)["out_y"]


@needs_compiler
@pytest.mark.parametrize("name", STABLE)
def test_formulas_become_numerics(name, stable_results):
    for dtype in TOLERANCE:
        found = stable_results(name, dtype)
        np.testing.assert_allclose(found, STABLE[name][1], rtol=TOLERANCE[dtype], atol=1e-40)


@needs_compiler
def test_what_is_impossible_and_has_no_share_counts_nothing(tmp_path):
    text = f"{SOFTMAX}; y[n] = -sum(t[n, c] * log(p[n, c]), c)"
    values = {"x": np.array([[0.0, -np.inf, 0.0]]), "t": np.array([[1.0, 0.0, 0.0]])}
    program, programs = lowered_text(text, values), Programs()
    programs.add(program)
    programs.compile(tmp_path)
    given = {f"in_{name}": value for name, value in values.items()}
    close(programs.run(0, program, given, np.float64)["out_y"], [np.log(2)], np.float64)


# ---- fewer loops, less memory


def test_elementwise_lines_share_the_loop_that_stores_what_they_read():
    text = "z = x @ W.T + b; a = maximum(z, 0); s = a * 2; y = s + 1"
    program = lowered_text(text, {"x": np.ones((4, 3)), "W": np.ones((2, 3)), "b": np.ones(2)})
    (nest,) = all_nests(program.items)
    assert [store.array.rstrip("0123456789") for store in nest.stores] == ["c_z", "c_a", "c_s", "c_y", "out_y"]
    assert in_memory(program) == {"in_x", "in_W", "in_b", "out_y"}


def test_a_mean_over_the_outer_axis_is_taken_once():
    program = lowered_text("y = x - x.mean(0)", {"x": np.ones((4, 3))})
    first, second = all_nests(program.items)
    assert [size for _, size in first.indices] == [3]
    assert [size for _, size in second.indices] == [4, 3]


def test_memory_is_used_again_when_its_array_is_no_longer_read():
    model = nn.Sequential(*(layer for _ in range(6) for layer in (nn.Linear(16, 16), nn.Tanh())))
    lowered = ModelLowering(nn.record(model, np.ones((2, 16)))).run()
    assert plan(lowered.program, 2)[1:] == (2 * 2 * 16, 0)


# ---- the batch size


def test_the_batch_size_is_left_open():
    example = Example(nn.Sequential(nn.Linear(3, 4), nn.Softmax(1)), (np.ones((2, 3)),))
    lowered, is_free = example.lowered(False, False, False)
    assert is_free
    assert lowered.program.arrays["y0"].shape == (Affine(1, 0), 4)
    assert str(Affine(6, 2)) == "(6 * n + 2)"


def test_sizes_that_do_not_follow_the_batch_size_are_found():
    def lower(n):
        return lowered_text("y = x @ x.T; L = y.sum() / y.size", {"x": np.ones((n, 2))}, ("L",))

    with pytest.raises(BatchError, match="do not follow the batch sizes"):
        free_batch(lower, {2})


def test_a_sample_without_a_batch_axis_has_its_size():
    lowered, is_free = Example(nn.Linear(3, 4), (np.ones(3),)).lowered(False, False, False)
    assert not is_free
    assert lowered.program.arrays["y0"].shape == (4,)
