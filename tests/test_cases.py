"""What holds for every row of the table."""

import copy
from pathlib import Path

import numpy as np
import pytest
from cases import CASES, Case

import nn

MODES = ("train", "eval")
GOLDEN = nn.load(Path(__file__).parent / "golden.npz")


def rows(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


every_case = rows(CASES)
every_keeping_case = rows([case for case in CASES if case.name != "Sequential-empty"])  # which passes everything on
every_mode = pytest.mark.parametrize("mode", MODES)


class Setup:
    """A row made ready: a module in float64, its inputs, and a way to run it with the same randomness each time."""

    def __init__(self, case: Case, mode: str = "train", dtype: type = np.float64) -> None:
        self.rng = np.random.default_rng(sum(map(ord, case.name)))
        self.module = case.build().train(mode == "train")
        for parameter in self.module.parameters():
            parameter.data[...] = self.rng.normal(size=parameter.data.shape)
        self.module = self.module.double() if dtype is np.float64 else self.module.float()
        self.inputs = tuple(x.astype(dtype) if x.dtype.kind == "f" else x for x in map(np.array, case.draw(self.rng)))
        self.dtype = dtype
        self.is_loss = isinstance(self.module, nn.Loss)

        self.generators = [m.generator for m in self.module.modules() if getattr(m, "generator", None) is not None]
        self.states = [generator.bit_generator.state for generator in self.generators]

    def forward(self, *inputs):
        nn.manual_seed(0)
        for generator, state in zip(self.generators, self.states, strict=True):
            generator.bit_generator.state = state
        return self.module(*(inputs or self.inputs))

    def upstream(self, y):
        return np.array(self.rng.normal(size=np.shape(y)), self.dtype)

    def grads(self):
        return {name: p.grad for name, p in self.module.named_parameters()}


@every_mode
@every_case
def test_forward_is_the_reference(case, mode):
    setup = Setup(case, mode)
    nn.manual_seed(0)
    expected = case.reference(copy.deepcopy(setup.module), *setup.inputs)
    np.testing.assert_allclose(setup.forward(), expected, rtol=1e-12, atol=1e-14)
    assert np.shape(setup.forward()) == np.shape(expected)


@every_mode
@every_case
def test_backward_is_the_derivative(case, mode):
    setup = Setup(case, mode)
    assert nn.gradcheck(setup.module, *setup.inputs, tolerance=1e-7)


@every_mode
@every_case
def test_golden_numbers(case, mode):
    golden = GOLDEN[case.name]
    if mode not in golden:
        assert case.drawn, "the row has no golden numbers: run tools/golden.py"
        return
    expected = golden[mode]
    module = case.build().double().train(mode == "train")
    module.load_state_dict(golden["state"])
    inputs = case.draw(np.random.default_rng(0))
    assert [x.shape for x in inputs] == [x.shape for x in golden["inputs"]]
    y = module(*golden["inputs"])
    assert np.shape(y) == expected["output"].shape
    np.testing.assert_allclose(y, expected["output"], rtol=1e-12, atol=1e-14)
    gradient = module.backward(expected["grad_output"])
    np.testing.assert_allclose(gradient, expected["grad_inputs"][0], rtol=1e-12, atol=1e-14)
    grads = {name: p.grad for name, p in module.named_parameters()}
    assert list(grads) == list(expected["grad_parameters"])
    for name, grad in grads.items():
        np.testing.assert_allclose(grad, expected["grad_parameters"][name], rtol=1e-12, atol=1e-14)


@every_mode
@every_case
def test_gradients_accumulate(case, mode):
    setup = Setup(case, mode)
    g = setup.upstream(setup.forward())
    first = setup.module.backward(g)
    once = {name: grad.copy() for name, grad in setup.grads().items()}
    setup.forward()
    second = setup.module.backward(g)
    np.testing.assert_array_equal(first, second)
    for name, grad in setup.grads().items():
        np.testing.assert_allclose(grad, 2 * once[name], rtol=1e-14)


@every_mode
@every_case
def test_arguments_stay_as_they_are(case, mode):
    setup = Setup(case, mode)
    for x in setup.inputs:
        x.flags.writeable = False
    y = setup.forward()
    g = setup.upstream(y)
    g.flags.writeable = False
    setup.module.backward(g)
    if isinstance(y, np.ndarray) and y.ndim and not np.shares_memory(y, setup.inputs[0]):
        # What came out is the caller's, and may be written to before the next forward.
        y[...] = np.nan


@every_mode
@every_case
def test_memory_layout_does_not_matter(case, mode):
    setup = Setup(case, mode)
    y = setup.forward()
    g = setup.upstream(y)
    gradient = setup.module.backward(g)
    grads = copy.deepcopy(setup.grads())
    setup.module.zero_grad()

    def strided(x):
        return np.repeat(x.copy("F")[..., None], 2, -1)[..., 0]

    np.testing.assert_allclose(setup.forward(*map(strided, setup.inputs)), y, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(setup.module.backward(strided(g)), gradient, rtol=1e-13, atol=1e-14)
    for name, grad in setup.grads().items():
        np.testing.assert_allclose(grad, grads[name], rtol=1e-13, atol=1e-14)


@every_mode
@rows([case for case in CASES if case.batched])
def test_a_batch_of_no_rows(case, mode):
    setup = Setup(case, mode)
    full = setup.forward()
    empty = tuple(x[:0] for x in setup.inputs)
    y = setup.forward(*empty)
    reduced = getattr(setup.module, "reduction", "none")
    if reduced == "none":
        assert np.size(y) == 0 and np.ndim(y) == np.ndim(full)
    else:
        assert np.isnan(y) if reduced == "mean" else y == 0
    gradient = setup.module.backward(np.ones(np.shape(y)))
    assert gradient.shape == empty[0].shape
    assert all(not grad.any() for grad in setup.grads().values())


@every_mode
@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_stays(case, mode, dtype):
    setup = Setup(case, mode, dtype)
    y = setup.forward()
    assert y.dtype == dtype
    assert setup.module.backward(setup.upstream(y)).dtype == dtype
    assert all(grad.dtype == dtype for grad in setup.grads().values())
    if setup.is_loss:
        assert isinstance(y, np.ndarray if setup.module.reduction == "none" else dtype)
        setup.forward()
        assert setup.module.backward().dtype == dtype


@every_keeping_case
def test_upstream_is_cast(case):
    setup = Setup(case, dtype=np.float32)
    y = setup.forward()
    g = setup.upstream(y)
    expected = setup.module.backward(g)
    setup.forward()
    gradient = setup.module.backward(g.astype(np.float64).tolist())
    assert gradient.dtype == np.float32
    np.testing.assert_array_equal(gradient, expected)


@every_case
def test_float32_agrees_with_float64(case):
    wide, narrow = Setup(case), Setup(case, dtype=np.float32)
    y, y32 = wide.forward(), narrow.forward()
    np.testing.assert_allclose(y32, y, rtol=1e-5, atol=1e-5)
    g = wide.upstream(y)
    np.testing.assert_allclose(narrow.module.backward(g), wide.module.backward(g), rtol=1e-5, atol=1e-5)


@every_case
def test_lists_and_numbers_are_inputs(case):
    setup = Setup(case)
    np.testing.assert_array_equal(setup.forward(*(x.tolist() for x in setup.inputs)), setup.forward())


@every_keeping_case
def test_call_order(case):
    setup = Setup(case)
    with pytest.raises(RuntimeError, match="nothing saved"):
        setup.module.backward(1.0)
    y = setup.forward()
    g = setup.upstream(y)
    setup.module.backward(g)
    with pytest.raises(RuntimeError, match="nothing saved"):
        setup.module.backward(g)
    with nn.no_grad():
        np.testing.assert_array_equal(setup.forward(), y)
    with pytest.raises(RuntimeError, match="nothing saved"):
        setup.module.backward(g)


@every_keeping_case
def test_upstream_of_another_shape_is_refused(case):
    setup = Setup(case)
    y = setup.forward()
    with pytest.raises(ValueError, match="expects grad_output of shape"):
        setup.module.backward(np.ones((*np.shape(y), 1)))
    if np.size(y) > 1:
        setup.forward()
        with pytest.raises(ValueError, match="expects grad_output of shape"):
            setup.module.backward(np.ones(()))
    assert all(not grad.any() for grad in setup.grads().values())


@every_case
def test_state_round_trip(case, tmp_path):
    setup = Setup(case)
    y = setup.forward()
    nn.save(setup.module.state_dict(), tmp_path / "state")
    other = case.build().double()
    other.load_state_dict(nn.load(tmp_path / "state"))
    nn.manual_seed(0)
    np.testing.assert_array_equal(other(*setup.inputs), y)


@every_case
def test_repr_builds_the_module_again(case):
    module = case.build()
    twin = eval(repr(module), vars(nn))
    assert repr(twin) == repr(module)
    assert {n: a.shape for n, a in twin.state_dict().items()} == {n: a.shape for n, a in module.state_dict().items()}
    double = module.double()
    assert repr(eval(repr(double), vars(nn))) == repr(double)


@every_case
def test_repr_shows_every_setting(case):
    """A setting that the constructor was given and repr forgets would make another module of it."""
    setup = Setup(case, "eval")
    twin = eval(repr(case.build()), vars(nn)).double().eval()
    twin.load_state_dict(setup.module.state_dict())
    np.testing.assert_array_equal(twin(*setup.inputs), setup.forward())


def test_every_public_layer_and_loss_has_a_row():
    public = {
        name
        for name, value in vars(nn).items()
        if isinstance(value, type) and issubclass(value, nn.Module) and value not in (nn.Module, nn.Loss)
    }
    # Tables take or give several arrays, so they stand in a row inside a Sequential.
    assert public == {type(module).__name__ for case in CASES for module in case.build().modules()}


def test_names_are_unique_and_golden_numbers_have_no_others():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert list(GOLDEN) == names
