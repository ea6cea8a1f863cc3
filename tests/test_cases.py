"""What holds for every row of the table."""

import copy

import numpy as np
import pytest
from cases import CASES, FAMILIES, Setup, golden
from cases.trees import filled, flat, mapped

import nn
from nn.layers.lazy import Lazy

MODES = ("train", "eval")
GOLDEN = golden.read_all()


def rows(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


every_case = rows(CASES)
every_keeping_case = rows([case for case in CASES if case.name != "Sequential-empty"])  # which passes everything on
every_mode = pytest.mark.parametrize("mode", MODES)


def close(actual, desired, rtol, atol=0.0):
    """Assert that two trees have the same nesting, and arrays of the same shapes and about the same numbers."""
    actual, desired = flat(actual), flat(desired)
    assert [*actual] == [*desired], f"nested otherwise: {[*desired]} are expected, got {[*actual]}"
    for place, wanted in desired.items():
        if wanted is None:
            assert actual[place] is None, place
        else:
            assert np.shape(actual[place]) == np.shape(wanted), place
            np.testing.assert_allclose(actual[place], wanted, rtol=rtol, atol=atol, err_msg=place)


def equal(actual, desired):
    close(actual, desired, rtol=0.0)


def arrays(*trees):
    """Return the leaves of the trees that are not None."""
    return [leaf for leaf in flat(trees).values() if leaf is not None]


def floating(*trees):
    """Return the leaves of the trees that are made of floating numbers."""
    return [leaf for leaf in arrays(*trees) if np.asarray(leaf).dtype.kind == "f"]


@every_mode
@every_case
def test_forward_is_the_reference(case, mode):
    setup = Setup(case, mode)
    nn.manual_seed(0)
    expected = case.reference(copy.deepcopy(setup.module), *setup.inputs)
    close(setup.forward(), expected, rtol=1e-12, atol=1e-14)


@every_mode
@every_case
def test_backward_is_the_derivative(case, mode):
    setup = Setup(case, mode)
    assert nn.gradcheck(setup.module, *setup.inputs, tolerance=1e-7)


@every_mode
@every_case
def test_golden_numbers(case, mode):
    record = GOLDEN[case.name]
    expected = golden.expected(record, mode)
    if expected is None:
        assert case.drawn and mode == "train", "the row has no golden numbers: run tools/golden.py"
        return
    setup = Setup(case, mode)
    g = setup.restore(record)
    close(flat(setup.forward_backward(g)), expected, rtol=1e-12, atol=1e-14)


@every_case
def test_golden_numbers_are_of_what_the_row_draws(case):
    """Were it otherwise, the row would be another one than PyTorch was asked for: run tools/golden.py."""
    record = GOLDEN[case.name]
    setup = Setup(case)
    drawn = {"inputs": setup.inputs, "state": setup.module.state_dict()}
    drawn["grad_output"] = setup.upstream(setup.forward())
    for part, tree in drawn.items():
        close(flat(tree), record[part], rtol=1e-12)
        assert [x.dtype for x in arrays(tree)] == [x.dtype for x in record[part].values()]


@every_mode
@every_case
def test_gradients_accumulate(case, mode):
    setup = Setup(case, mode)
    g = setup.upstream(setup.forward())
    first = setup.backward(g)
    once = {name: grad.copy() for name, grad in setup.grads().items()}
    setup.forward()
    equal(setup.backward(g), first)
    close(setup.grads(), {name: 2 * grad for name, grad in once.items()}, rtol=1e-14)


@every_mode
@every_case
def test_arguments_stay_as_they_are(case, mode):
    setup = Setup(case, mode)
    for x in arrays(setup.inputs):
        x.flags.writeable = False
    y = setup.forward()
    g = setup.upstream(y)
    for array in arrays(g):
        array.flags.writeable = False
    setup.backward(g)
    for array in floating(y):
        if isinstance(array, np.ndarray) and array.ndim:
            if not any(np.shares_memory(array, x) for x in arrays(setup.inputs)):
                # What came out is the caller's, and may be written to before the next forward.
                array[...] = np.nan


@every_mode
@every_case
def test_memory_layout_does_not_matter(case, mode):
    setup = Setup(case, mode)
    y = setup.forward()
    g = setup.upstream(y)
    gradients = setup.backward(g)
    grads = copy.deepcopy(setup.grads())
    setup.module.zero_grad()

    def strided(x):
        return np.repeat(x.T[..., None], 2, -1)[..., 0].T  # in Fortran's order, with gaps

    setup.inputs = mapped(strided, setup.inputs)
    close(setup.forward(), y, rtol=1e-13, atol=1e-14)
    close(setup.backward(mapped(strided, g)), gradients, rtol=1e-13, atol=1e-14)
    close(setup.grads(), grads, rtol=1e-13, atol=1e-14)


@every_mode
@rows([case for case in CASES if case.batched])
def test_a_batch_of_no_rows(case, mode):
    setup = Setup(case, mode)
    full = setup.forward()
    setup.inputs = mapped(lambda x: x[:0], setup.inputs)
    y = setup.forward()
    reduced = getattr(setup.module, "reduction", "none")
    if reduced == "none":
        assert mapped(np.ndim, flat(y)) == mapped(np.ndim, flat(full))
        assert all(np.size(leaf) == 0 for leaf in arrays(y))
    else:
        assert np.isnan(y) if reduced == "mean" else y == 0
    setup.backward(mapped(lambda leaf: np.ones(np.shape(leaf)), y))
    assert all(not grad.any() for grad in setup.grads().values())


@every_mode
@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_stays(case, mode, dtype):
    setup = Setup(case, mode, dtype)
    y = setup.forward()
    gradients = setup.backward(setup.upstream(y))
    assert {array.dtype for array in floating(y, gradients, setup.grads())} <= {np.dtype(dtype)}
    if setup.is_loss:
        assert isinstance(y, np.ndarray if setup.module.reduction == "none" else dtype)
        setup.forward()
        assert {array.dtype for array in arrays(setup.backward())} <= {np.dtype(dtype)}


@every_keeping_case
def test_upstream_is_cast(case):
    setup = Setup(case, dtype=np.float32)
    y = setup.forward()
    g = setup.upstream(y)
    expected = setup.backward(g)
    setup.forward()
    gradients = setup.backward(mapped(lambda leaf: leaf.astype(np.float64).tolist(), g))
    assert {array.dtype for array in arrays(gradients)} <= {np.dtype(np.float32)}
    equal(gradients, expected)


@every_case
def test_float32_agrees_with_float64(case):
    wide, narrow = Setup(case), Setup(case, dtype=np.float32)
    y, y32 = wide.forward(), narrow.forward()
    close(y32, y, rtol=1e-5, atol=1e-5)
    g = wide.upstream(y)
    close(narrow.backward(g), wide.backward(g), rtol=1e-5, atol=1e-5)


@every_case
def test_lists_and_numbers_are_inputs(case):
    setup = Setup(case)
    y = setup.forward(*mapped(np.ndarray.tolist, setup.inputs))
    equal(np.array(y) if isinstance(y, list) else y, setup.forward())  # the empty Sequential gives the list back


@every_keeping_case
def test_call_order(case):
    setup = Setup(case)
    ones = mapped(lambda leaf: 1.0, Setup(case).forward())
    with pytest.raises(RuntimeError, match="nothing saved"):
        setup.module.backward(ones)
    y = setup.forward()
    g = setup.upstream(y)
    setup.backward(g)
    with pytest.raises(RuntimeError, match="nothing saved"):
        setup.module.backward(g)
    with nn.no_grad():
        equal(setup.forward(), y)
    with pytest.raises(RuntimeError, match="nothing saved"):
        setup.module.backward(g)


@every_keeping_case
def test_upstream_of_another_shape_is_refused(case):
    setup = Setup(case)
    y = setup.forward()

    def refused(*shapes):
        setup.forward()
        g = filled(y, dict(zip(flat(y), map(np.ones, shapes), strict=True)))
        with pytest.raises(ValueError, match=r"expects grad_output(\[0\])? of shape"):
            setup.module.backward(g)

    shapes = [np.shape(leaf) for leaf in arrays(y)]
    longer = [(*shape, 1) for shape in shapes]
    refused(*longer)
    if any(np.size(leaf) > 1 for leaf in arrays(y)):
        refused(*(() for _ in shapes))
    assert all(not grad.any() for grad in setup.grads().values())
    for index, leaf in enumerate(arrays(y)):
        if np.asarray(leaf).dtype.kind != "f":  # integers have no gradient
            continue
        refused(*shapes[:index], longer[index], *shapes[index + 1 :])


@every_case
def test_state_round_trip(case, tmp_path):
    setup = Setup(case)
    y = setup.forward()
    nn.save(setup.module.state_dict(), tmp_path / "state")
    other = case.build().double()
    other.load_state_dict(nn.load(tmp_path / "state"))
    nn.manual_seed(0)
    equal(other(*setup.inputs), y)


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
    equal(twin(*setup.inputs), setup.forward())


def test_every_public_layer_and_loss_has_a_row():
    public = {
        name
        for name, value in vars(nn).items()
        if isinstance(value, type)
        and issubclass(value, nn.Module)
        and value not in (nn.Module, nn.Loss)
        and not issubclass(value, Lazy)  # which is another layer with its first input: test_lazy.py has a row for each
    }
    assert public == {type(case.build()).__name__ for case in CASES}


def test_rows_stand_in_the_file_that_is_named_like_the_family():
    for family, cases in FAMILIES.items():
        for case in cases:
            inside = {type(module).__module__.rpartition(".")[2] for module in case.build().modules()}
            assert any(name.endswith(family) for name in inside), case.name  # max_pool, unpool: pool


def test_names_are_unique_and_golden_numbers_have_no_others():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert {path.name for path in golden.FOLDER.iterdir()} == {f"{family}.json" for family in FAMILIES}
    for family, cases in FAMILIES.items():
        written = golden.read(golden.FOLDER / f"{family}.json")
        assert [*written] == [case.name for case in cases], f"run tools/golden.py {family}"
