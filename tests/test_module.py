"""Module: the walk over what it holds, the saved slot, sharing, and the state."""

import copy
import math
import threading
import time
import weakref
from collections import OrderedDict

import numpy as np
import pytest

import nn
from nn.module import watching


class Cell(nn.Module):
    """An author's module: no super().__init__(), parameters and modules in lists, tuples and dicts."""

    def __init__(self):
        self.first = nn.Linear(2, 2, generator=0)
        self.scale = nn.Parameter([1.0, 2.0])
        self._mean = nn.Buffer([3.0])
        self.blocks = [nn.Linear(2, 3, generator=1), {"deep": (nn.Parameter([4.0]), nn.Linear(1, 1, generator=2))}]
        self.scratch = np.ones(5)
        self.name = "forgotten"


NAMES = ["scale", "blocks.1.deep.0", "_mean", "first.weight", "first.bias", "blocks.0.weight", "blocks.0.bias",
         "blocks.1.deep.1.weight", "blocks.1.deep.1.bias"]  # fmt: skip


def test_walk_finds_everything_under_its_name_own_parameters_then_buffers_then_children():
    cell = Cell()
    assert list(cell.state_dict()) == NAMES
    assert [name for name, _ in cell.named_parameters()] == [name for name in NAMES if name != "_mean"]
    assert list(cell.parameters()) == [p for _, p in cell.named_parameters()]
    assert list(cell.buffers()) == [cell._mean]
    assert list(cell.children()) == [cell.first, cell.blocks[0], cell.blocks[1]["deep"][1]]
    cell.again = cell.first
    assert [name for name, _ in cell.named_children()] == ["first", "blocks.0", "blocks.1.deep.1"]
    assert [child for _, child in cell.named_children()] == list(cell.children())
    assert [name for name, _ in cell.named_modules()] == ["", "first", "blocks.0", "blocks.1.deep.1"]


def test_what_forward_keeps_is_not_walked():
    class Keeper(nn.Module):
        def forward(self, x):
            self.save_for_backward(nn.Parameter([1.0]), nn.Linear(1, 1))
            return x

    keeper = Keeper()
    keeper(1.0)
    assert list(keeper.modules()) == [keeper] and not list(keeper.parameters()) and not keeper.state_dict()


def test_shared_parameter_is_listed_once_and_saved_under_each_name():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    model.double()
    assert model[1].weight is model[0].weight and model[0].weight.data.dtype == np.float64


def test_train_eval_apply_zero_grad_and_freezing_reach_all():
    cell = Cell()
    assert cell.eval() is cell and not any(module.training for module in cell.modules())
    assert cell.train() is cell and all(module.training for module in cell.modules())
    seen = []
    assert cell.apply(seen.append) is cell
    assert seen[-1] is cell and set(seen) == set(cell.modules())
    for p in cell.parameters():
        p.grad += 1
        grad = p.grad
    cell.zero_grad()
    assert all(not p.grad.any() for p in cell.parameters())
    assert p.grad is grad, "cleared in place: optimizers hold views"
    assert cell.requires_grad_(False) is cell and not any(p.requires_grad for p in cell.parameters())
    assert cell.requires_grad_() is cell and all(p.requires_grad for p in cell.parameters())


def test_double_and_float_leave_integer_buffers():
    cell = Cell()
    cell.count = nn.Buffer(np.array(3))
    cell.double()
    assert {p.data.dtype for p in cell.parameters()} == {p.grad.dtype for p in cell.parameters()} == {np.dtype("f8")}
    assert cell._mean.data.dtype == np.float64 and cell.count.data.dtype.kind == "i"
    cell.float()
    assert {p.data.dtype for p in cell.parameters()} == {np.dtype("f4")}


def test_state_is_a_copy_and_loading_is_in_place():
    a, b = Cell(), Cell()
    a.scale.data[...] = 7
    state = a.state_dict()
    before = b.scale.data
    assert b.load_state_dict(state) == ([], [])
    assert b.scale.data is before and before[0] == 7
    state["scale"][...] = 0
    assert a.scale.data[0] == 7 and b.scale.data[0] == 7


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda s: s.pop("scale"), ValueError, "missing: scale"),
        (lambda s: s.update(extra=[1.0]), ValueError, "unexpected: extra"),
        (lambda s: s.update(scale=[1.0]), ValueError, r"scale has shape \(1,\), expected \(2,\)"),
        (lambda s: s.update(scale=np.array([1j, 1])), TypeError, "scale has dtype complex128"),
        (lambda s: s.update(scale=["a", "b"]), TypeError, "scale has dtype <U1"),
    ],
)
def test_a_state_that_does_not_fit_loads_nothing(change, error, text):
    cell = Cell()
    before = cell.state_dict()
    state = {name: array + 1 for name, array in before.items()}
    change(state)
    with pytest.raises(error, match=text) as caught:
        cell.load_state_dict(state)
    assert "nothing was loaded" in str(caught.value)
    for name, array in cell.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_an_array_that_cannot_be_written_is_found_before_any_is():
    cell = Cell()
    before = cell.state_dict()
    cell.blocks[0].bias.data.flags.writeable = False
    with pytest.raises(ValueError, match=r"nothing was loaded; blocks\.0\.bias is read-only"):
        cell.load_state_dict({name: array + 1 for name, array in before.items()})
    for name, array in cell.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    state = {name: array + 1 for name, array in before.items() if name != "blocks.0.bias"}
    assert cell.load_state_dict(state, strict=False).missing_keys == ["blocks.0.bias"]


def test_a_number_that_overflows_loads_nothing_where_numpy_is_told_to_raise():
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    before = model.state_dict()
    state = {name: array.astype(np.float64) + 1 for name, array in before.items()}
    state["1.bias"][0] = 1e300
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        model.load_state_dict(state)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_state_may_hold_the_very_arrays_of_the_module():
    a, b = nn.Parameter([1.0, 2.0]), nn.Parameter([3.0, 4.0])
    module = nn.Module()
    module.a, module.b = a, b
    module.load_state_dict({"a": b.data, "b": a.data})
    assert (a.data.tolist(), b.data.tolist()) == ([3, 4], [1, 2])


def test_loading_leniently_tolerates_names_but_not_shapes():
    cell = Cell()
    state = cell.state_dict()
    state["extra"] = state.pop("scale") + 1
    assert cell.load_state_dict(state, strict=False) == (["scale"], ["extra"])
    with pytest.raises(ValueError, match="shape"):
        cell.load_state_dict({"scale": [1.0]}, strict=False)


class Twice(nn.Module):
    """Uses one object in two places of its forward; with `share`, rightly."""

    def __init__(self, share):
        self.fc = nn.Linear(2, 2, generator=0).double()
        self.again = self.fc.share() if share else self.fc

    def forward(self, x):
        return self.again(self.fc(x))

    def backward(self, g):
        return self.fc.backward(self.again.backward(g))


def test_one_object_used_twice_fails_loudly_and_share_is_the_way():
    x = np.ones((3, 2))
    wrong = Twice(share=False)
    y = wrong(x)
    with pytest.raises(RuntimeError, match=r"share\(\)"):
        wrong.backward(np.ones_like(y))
    right = Twice(share=True)
    assert nn.gradcheck(right, x)
    assert len(list(right.parameters())) == 2
    assert list(right.state_dict()) == ["fc.weight", "fc.bias", "again.weight", "again.bias"]


def test_share_goes_deep_and_keeps_its_own_slots():
    cell = nn.Sequential(nn.Linear(2, 2, generator=0), nn.Sequential(nn.ReLU(), nn.Dropout(0.5, generator=3)))
    cell.history = [nn.Identity()]
    cell([[1.0, 2.0]])
    twin = cell.share()
    assert list(twin.parameters()) == list(cell.parameters())
    assert not set(twin.modules()) & set(cell.modules())
    assert twin[1][1].generator is cell[1][1].generator, "each place draws its own mask"
    with pytest.raises(RuntimeError, match="nothing saved"):
        twin.backward(np.ones((1, 2)))
    twin([[3.0, 4.0]])
    assert cell[0]._saved is not twin[0]._saved
    twin.append(nn.Identity())
    assert len(cell) == 2 and len(twin) == 3


def test_no_grad_saves_nothing_and_leaves_the_slot():
    layer = nn.ReLU()
    with nn.no_grad():
        layer([1.0])
    with pytest.raises(RuntimeError, match="nothing saved"):
        layer.backward([1.0])
    layer([1.0, -1.0])
    with nn.no_grad():
        layer([-1.0, 1.0])
    np.testing.assert_array_equal(layer.backward([1.0, 1.0]), [1.0, 0.0])


def test_no_grad_nests_decorates_and_keeps_to_its_thread():
    layer = nn.ReLU()
    with nn.no_grad():
        with nn.no_grad():
            pass
        layer([1.0])
        assert layer._saved is None

    @nn.no_grad()
    def recursive(depth):
        layer([1.0])
        return depth if not depth else recursive(depth - 1)

    recursive(2)
    assert layer._saved is None
    layer([1.0])
    assert layer._saved is not None
    other = nn.ReLU()
    with nn.no_grad():
        thread = threading.Thread(target=other, args=([1.0],))
        thread.start()
        thread.join()
    assert other._saved is not None
    with pytest.raises(KeyError), nn.no_grad():
        raise KeyError
    layer([2.0])
    assert layer.backward([1.0]) == 1.0


# ---- one forward, one backward


def test_a_loss_refuses_to_go_back_where_its_model_has_run_again():
    x = np.ones((4, 2), np.float32)
    for criterion, target in ((nn.MSELoss(), np.zeros((4, 2))), (nn.CrossEntropyLoss(), np.zeros(4, int))):
        model = nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), nn.Linear(3, 2))
        criterion(model(x), target)
        model(x)
        with pytest.raises(RuntimeError, match=r"Loss\(\) was computed from an earlier forward .*nn\.no_grad\(\)$"):
            criterion.backward()
        criterion(model(x), target)  # and goes on from there
        assert model.backward(criterion.backward()).shape == x.shape


def test_a_forward_that_failed_has_replaced_what_its_first_layers_had_saved():
    model = nn.Sequential(nn.ReLU(), nn.Linear(2, 1))
    criterion = nn.MSELoss()
    criterion(model(np.ones((4, 2))), np.zeros((4, 1)))
    with pytest.raises(ValueError):
        model(np.ones((4, 3)))
    with pytest.raises(RuntimeError, match="earlier forward"):
        criterion.backward()


def two_models(model):
    return model, nn.Sequential(nn.Linear(2, 1))


def shared(model):
    return model, model.share()


@pytest.mark.parametrize("pair", [two_models, shared])
def test_losses_of_two_models_may_be_gone_back_through_in_any_order(pair):
    first, second = pair(nn.Sequential(nn.Linear(2, 1)))
    x, y = np.ones((4, 2)), np.zeros((4, 1))
    a, b = nn.MSELoss(), nn.L1Loss()
    a(first(x), y)
    b(second(x), y)
    with nn.no_grad():
        first(x)
        a(first(x), y)
    first.backward(a.backward())
    second.backward(b.backward())


def test_a_loss_watches_only_the_model_that_its_prediction_came_from():
    watched, other, criterion = nn.Sequential(nn.ReLU()), nn.ReLU(), nn.MSELoss()
    x = np.ones((4, 2))
    watched(x)
    criterion(other(x), x)
    watched(x)
    other.backward(criterion.backward())


def test_an_evaluation_without_gradients_does_not_end_the_watch():
    model, criterion = nn.Sequential(nn.ReLU()), nn.MSELoss()
    x = np.ones((4, 2))
    criterion(model(x), x)
    with nn.no_grad():
        criterion(model(x), x)
    model(x)
    with pytest.raises(RuntimeError, match="earlier forward"):
        criterion.backward()


def test_two_losses_of_one_prediction():
    model = nn.Sequential(nn.Linear(2, 1))
    a, b = nn.MSELoss(), nn.L1Loss()
    prediction = model(np.ones((4, 2)))
    a(prediction, np.zeros((4, 1)))
    b(prediction, np.zeros((4, 1)))
    model.backward(a.backward() + b.backward())


def test_a_copy_of_a_loss_goes_with_a_copy_of_its_model():
    model, criterion = nn.Sequential(nn.Linear(2, 1)), nn.MSELoss()
    criterion(model(np.ones((4, 2))), np.zeros((4, 1)))
    twin, its_loss = copy.deepcopy((model, criterion))
    model(np.ones((4, 2)))
    twin.backward(its_loss.backward())


def test_a_pass_keeps_neither_its_output_nor_its_model():
    model = nn.Sequential(nn.Linear(2, 1))
    output = model(np.ones((4, 2)))
    nn.MSELoss()(output, np.zeros((4, 1)))
    alive = weakref.ref(output), weakref.ref(model)
    del output, model
    assert [each() for each in alive] == [None, None]


def test_a_sequential_whose_author_calls_no_constructor_counts_its_passes():
    class Net(nn.Sequential):
        def __init__(self):
            self.fc = nn.Linear(2, 1)

    model, other, criterion = Net(), Net(), nn.MSELoss()
    criterion(model(np.ones((4, 2))), np.zeros((4, 1)))
    other(np.ones((4, 2)))
    model.backward(criterion.backward())


def test_a_backward_in_another_thread_than_its_forward_is_refused():
    layer = nn.Linear(2, 1)
    grad = layer.weight.grad.copy()
    layer(np.ones((4, 2)))
    thread = threading.Thread(target=layer, args=(np.full((4, 2), 7.0),))
    thread.start()
    thread.join()
    with pytest.raises(RuntimeError, match=r"Linear\(2, 1\) was last run forward in another thread.*deepcopy"):
        layer.backward(np.ones((4, 1)))
    np.testing.assert_array_equal(layer.weight.grad, grad)
    layer(np.ones((4, 2)))
    layer.backward(np.ones((4, 1)))


def test_one_model_in_two_threads_gives_the_right_gradient_or_an_error():
    layer = nn.Tanh()
    wrong = []

    def work(value):
        x = np.full((3, 3), value)
        for _ in range(300):
            layer(x)
            time.sleep(0)  # the other thread's turn
            try:
                g = layer.backward(np.ones_like(x))
            except RuntimeError:
                continue
            if not np.array_equal(g, 1 - np.tanh(x) ** 2):
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(value,)) for value in (0.1, 0.9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_deepcopy_is_independent():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    twin = copy.deepcopy(model)
    twin[0].weight.data += 1
    assert (twin[0].weight.data != model[0].weight.data).all()


def test_watchers_are_told_of_each_call_children_first():
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU()))
    calls = []
    with watching(lambda module, inputs, output: calls.append((type(module).__name__, inputs[0].shape, output.shape))):
        model(np.ones((4, 2)))
    model(np.ones((4, 2)))
    assert calls == [
        ("Linear", (4, 2), (4, 3)),
        ("ReLU", (4, 3), (4, 3)),
        ("Sequential", (4, 3), (4, 3)),
        ("Sequential", (4, 2), (4, 3)),
    ]


def test_a_module_without_its_methods_says_so():
    with pytest.raises(NotImplementedError, match=r"Module has no forward: write def forward\(self, x\)"):
        nn.Module()(1)
    with pytest.raises(NotImplementedError, match=r"Module has no backward.*write def backward\(self, grad_output\)"):
        nn.Module().backward(1)


def test_sequential_is_a_list_of_layers():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert len(model) == 3 and [type(layer).__name__ for layer in model] == ["Linear", "ReLU", "Linear"]
    assert model[-1] is model[2]
    part = model[1:]
    assert isinstance(part, nn.Sequential) and part[1] is model[2] and list(part.state_dict()) == ["2.weight", "2.bias"]
    assert part.append(nn.Tanh()) is part and isinstance(part[2], nn.Tanh) and part[1] is model[2]
    model[1] = nn.Tanh()
    assert [type(layer).__name__ for layer in model] == ["Linear", "Tanh", "Linear"]
    with pytest.raises(IndexError):
        model[3]


@pytest.mark.parametrize("mapping", [dict, OrderedDict])
def test_sequential_by_name(mapping):
    model = nn.Sequential(mapping([("fc", nn.Linear(2, 3)), ("act", nn.ReLU())]))
    assert list(model.state_dict()) == ["fc.weight", "fc.bias"] and isinstance(model.act, nn.ReLU)


@pytest.mark.parametrize(
    ("layers", "error", "text"),
    [
        ((nn.Linear(1, 1), np.tanh), TypeError, "Sequential expects modules, got <ufunc 'tanh'> for '1'"),
        (([nn.ReLU()],), TypeError, "Sequential expects modules"),
        (({"train": nn.ReLU()},), ValueError, "'train'"),
        (({"a.b": nn.ReLU()},), ValueError, "without dots"),
        (({"": nn.ReLU()},), ValueError, "not empty"),
    ],
)
def test_sequential_refuses(layers, error, text):
    with pytest.raises(error, match=text):
        nn.Sequential(*layers)


def test_sequential_shares_an_object_given_twice():
    relu, fc = nn.ReLU(), nn.Linear(2, 2, generator=0)
    model = nn.Sequential(fc, relu, fc, relu).double()
    assert model[1] is relu and model[3] is not relu and model[2].weight is fc.weight
    assert nn.gradcheck(model, np.random.default_rng(0).normal(size=(3, 2)))


def test_sequential_says_where_an_error_is():
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.Linear(4, 1)))
    with pytest.raises(ValueError) as caught:
        model(np.ones((5, 2)))
    assert str(caught.value) == (
        "in layer 1 of Sequential: in layer 1 of Sequential: Linear(4, 1) expects input of shape (..., 4), got (5, 3)"
    )
    good = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    good(np.ones((5, 2)))
    with pytest.raises(ValueError, match=r"in layer 1 of Sequential: ReLU\(\) expects grad_output of shape \(5, 3\)"):
        good.backward(np.ones((5, 2)))


def test_the_first_layers_input_gradient_can_be_spared():
    model = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Identity(), nn.Linear(4, 3)), nn.ReLU(), nn.Linear(3, 1))
    x = np.ones((5, 2, 2))
    y = model(x)
    gradient = model.backward(np.ones_like(y))
    assert gradient.shape == x.shape
    grads = [p.grad.copy() for p in model.parameters()]
    model.zero_grad()
    assert model.needs_input_grad
    model.needs_input_grad = False
    assert not model.needs_input_grad and not model[1][1].needs_input_grad and model[3].needs_input_grad
    model(x)
    assert model.backward(np.ones_like(y)) is None
    for p, grad in zip(model.parameters(), grads, strict=True):
        np.testing.assert_array_equal(p.grad, grad)
    model.needs_input_grad = True
    assert all(layer.needs_input_grad for layer in model.modules())


def test_a_spared_gradient_that_is_needed_is_an_error():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    model[2].needs_input_grad = False
    y = model(np.ones((5, 2)))
    with pytest.raises(RuntimeError, match=r"layer 2 of Sequential, Linear\(3, 1\).*needs_input_grad"):
        model.backward(np.ones_like(y))


# ---- arguments of forward and backward


@pytest.mark.parametrize(
    ("expected", "fitting", "others"),
    [
        ((2, 3), [(2, 3)], [(3, 2), (2, 3, 1), (3,), ()]),
        ((..., 3), [(3,), (2, 3), (0, 5, 3)], [(), (2,), (3, 1)]),
        ((..., 2, 3), [(2, 3), (1, 2, 3)], [(3,), (3, 3), (2, 3, 1), ()]),
        ((...,), [(), (1, 2)], []),
        (("N", 3, "H", "W"), [(1, 3, 5, 7), (0, 3, 0, 2)], [(1, 2, 5, 7), (3, 5, 7), (1, 3, 5, 7, 9)]),
        ((..., "C", 2), [(5, 2), (1, 5, 2)], [(2,), (5, 3)]),
        (("N",), [(4,)], [(), (4, 1)]),
        ((), [()], [(1,)]),
    ],
)
def test_cast_checks_the_shape(expected, fitting, others):
    module = nn.ReLU()
    for shape in fitting:
        assert module.cast(np.ones(shape), shape=expected).shape == shape
    for shape in others:
        with pytest.raises(ValueError, match=r"ReLU\(\) expects input of shape \(.*, got \("):
            module.cast(np.ones(shape), shape=expected)


def test_the_error_names_free_sizes():
    with pytest.raises(ValueError) as caught:
        nn.ReLU().cast(np.ones((2, 4)), np.float32, ("N", 3, "H", "W"), "image")
    assert str(caught.value) == "ReLU() expects image of shape (N, 3, H, W), got (2, 4)"
    with pytest.raises(ValueError, match=r"of shape \(N,\), got"):
        nn.ReLU().cast(1.0, shape=("N",))


def test_indices():
    module = nn.ReLU()
    for value in ([0, 2], np.array([0, 2], np.uint8), np.array([0, 2], np.uint64)):
        found = module.indices(value, 3)
        assert found.tolist() == [0, 2] and found.dtype == np.intp
    assert module.indices(1, 3).shape == ()
    assert module.indices(np.zeros((0, 2), int), 0).shape == (0, 2)
    assert module.indices([0, -100], 1, ignore=-100).tolist() == [0, -100]
    assert module.indices([[1]], 2, ("N", 1)).tolist() == [[1]]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (([0, 3], 3), ValueError, "ReLU() expects input to be indices from 0 to 2, got 3"),
        (([0, -1], 3), ValueError, "ReLU() expects input to be indices from 0 to 2, got -1"),
        ((np.array([2**64 - 1], np.uint64), 3), ValueError, f"got {2**64 - 1}"),
        (([0.0], 3), TypeError, "ReLU() expects input to be indices of an integer dtype, got float64"),
        (([True], 3), TypeError, "got bool"),
        ((["a"], 3), TypeError, "got <U1"),
        ((None, 3), TypeError, "got object"),
        (([[0], [0, 1]], 3), ValueError, "ReLU() expects input to be an array of integers"),
        (([0], 3, (2,)), ValueError, "ReLU() expects input of shape (2,), got (1,)"),
        (([5], 3, (1,), "token", 4), ValueError, "ReLU() expects token to be indices from 0 to 2, got 5"),
    ],
)
def test_what_is_no_index(arguments, error, text):
    with pytest.raises(error) as caught:
        nn.ReLU().indices(*arguments)
    assert text in str(caught.value)


def test_a_module_that_holds_others_is_named_by_its_class_alone():
    block = nn.Residual(nn.Linear(2, 3))
    with pytest.raises(TypeError) as caught:
        block.indices([0.0], 1)
    assert str(caught.value).startswith("Residual expects input")


class Nested(nn.Module):
    """Returns a nest, of which only shapes and dtypes are remembered."""

    def forward(self, x):
        x = self.cast(x, np.float32)
        y = {"sum": x.sum(0), "both": (x, [x[0], x.argmax(0)])}
        self.save_for_backward(output=y)
        return y

    def backward(self, grad_output):
        g = self.upstream(grad_output)
        self.saved()
        return g


def test_upstream_of_a_nest_is_the_same_nest():
    module = Nested()
    module(np.ones((2, 3)))
    g = module.backward({"both": ([[1, 2, 3], [4, 5, 6]], (np.ones(3), None)), "sum": [1, 1, 1]})
    assert list(g) == ["sum", "both"] and isinstance(g["both"], tuple) and isinstance(g["both"][1], list)
    assert g["sum"].dtype == g["both"][0].dtype == np.float32 and g["both"][1][1] is None


ROW, ROWS = np.ones(3), np.ones((2, 3))


@pytest.mark.parametrize(
    ("grad_output", "error", "text"),
    [
        (ROW, ValueError, "grad_output to be nested as the output is, a dict of 'sum', 'both', got a ndarray"),
        ({"sum": ROW}, ValueError, "a dict of 'sum', 'both', got a dict of 'sum'"),
        ({"sum": ROW, "both": ROWS}, ValueError, "['both'] to be nested as the output is, a tuple of 2, got a"),
        ({"sum": ROW, "both": (ROWS,)}, ValueError, "a tuple of 2, got a tuple of 1"),
        ({"sum": ROW, "both": (ROW, [ROW, None])}, ValueError, "['both'][0] of shape (2, 3), got (3,)"),
        ({"sum": None, "both": (ROWS, [ROW, None])}, TypeError, "['sum'] to be an array of real"),
    ],
)
def test_a_nest_of_another_form_is_refused(grad_output, error, text):
    module = Nested()
    module(np.ones((2, 3)))
    with pytest.raises(error) as caught:
        module.backward(grad_output)
    assert str(caught.value).startswith("Nested() expects grad_output") and text in str(caught.value)


def test_only_shapes_and_dtypes_of_the_output_are_remembered():
    module = Nested()
    alive = weakref.ref(module(np.ones((2, 3)))["sum"])
    assert alive() is None


@pytest.mark.parametrize(
    "module", [nn.Linear(3, 2), nn.ReLU(), nn.Softmax(1), nn.Flatten(), nn.Identity(), nn.MSELoss(), nn.CAddTable()]
)
def test_a_wrong_gradient_changes_nothing_and_may_be_given_again(module):
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    inputs = (x, -x) if isinstance(module, nn.MSELoss | nn.CAddTable) else (x,)
    shape = module(*inputs).shape
    with pytest.raises(ValueError, match=r"expects grad_output of shape .*, got \(7,\)"):
        module.backward(np.ones(7))
    assert not any(p.grad.any() for p in module.parameters())
    module.backward(np.ones(shape))
    with pytest.raises(RuntimeError, match="nothing saved"):
        module.backward(np.ones(shape))


def test_upstream_may_come_after_saved():
    class Double(nn.Module):
        def forward(self, x):
            self.save_for_backward(output=self.cast(x))
            return 2 * self.cast(x)

        def backward(self, grad_output):
            self.saved()
            return 2 * self.upstream(grad_output)

    double = Double()
    with pytest.raises(RuntimeError, match="nothing saved"):
        double.upstream(1.0)
    double([1.0, 2.0])
    assert double.backward([1, 1]).tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="nothing saved"):
        double.backward([1, 1])
    double([1.0, 2.0])
    with nn.no_grad():
        double([1.0])
    assert double.backward([1, 1]).tolist() == [2, 2]
    double([1.0])
    with pytest.raises(RuntimeError, match="nothing saved"):
        double.share().upstream([1.0])


def test_upstream_of_a_loss_is_the_gradient_of_each_value():
    class Gap(nn.Loss):
        def forward(self, prediction, target):
            f, y = self.cast_pair(prediction, target)
            self.save_for_backward()
            return self.reduce(f - y, count=4)

        def backward(self, grad_output=None):
            self.saved()
            return self.upstream(grad_output)

    for reduction, grad_output, expected in (
        ("mean", None, 0.25),
        ("mean", 2.0, 0.5),
        ("sum", None, 1.0),
        ("sum", 2.0, 2.0),
        ("none", None, [1.0, 1.0]),
        ("none", [1.0, 2.0], [1.0, 2.0]),
    ):
        gap = Gap(reduction)
        value = gap([3.0, 4.0], [0.0, 0.0])
        np.testing.assert_array_equal(value, {"mean": 7 / 4, "sum": 7.0, "none": [3.0, 4.0]}[reduction])
        np.testing.assert_array_equal(gap.backward(grad_output), expected)
        for again in (None, grad_output):
            with pytest.raises(RuntimeError, match="nothing saved"):
                gap.upstream(again)
        with nn.no_grad():
            gap([3.0, 4.0], [0.0, 0.0])
        with pytest.raises(RuntimeError, match="nothing saved"):
            gap.upstream(None)


# ---- Parameters and Buffers


def test_a_parameter_tells_its_size_and_is_frozen():
    p = nn.Parameter(np.zeros((2, 3)))
    assert p.shape == (2, 3) and p.numel() == 6
    assert p.requires_grad_(False) is p and not p.requires_grad
    assert p.requires_grad_() is p and p.requires_grad
    assert nn.Parameter(1.0).shape == () and nn.Parameter(1.0).numel() == 1


def test_register_buffer():
    module = nn.Module()
    module.register_buffer("mean", [1.0, 2.0])
    module.register_buffer("spare", None)
    assert isinstance(module.mean, nn.Buffer) and module.spare is None and list(module.state_dict()) == ["mean"]
    buffer = nn.Buffer([3.0])
    module.register_buffer("mean", buffer)
    assert module.mean is buffer
    for name in ("", "a.b", "forward", "training", "spare"):
        with pytest.raises(ValueError, match=f"Module .* buffer.*{name!r}"):
            module.register_buffer(name, [1.0])


# ---- how modules are shown


class Shown(nn.Module):
    """An author's module with arguments of every kind."""

    def __init__(self, size, name, /, scale=1.0, *rest, flag=True, bias=True, weight=None, dtype=None, generator=None):
        self.size, self.name, self.scale, self.flag, self.generator = size, name, scale, flag, generator
        self.bias = nn.Parameter(np.zeros(size, dtype or np.float32)) if bias else None
        self.weight = None if weight is None else nn.Buffer(weight)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (Shown(2, "a"), "Shown(2, 'a')"),
        (Shown(2, "a", 2.0, 5, generator=np.random.default_rng(0)), "Shown(2, 'a', scale=2.0)"),
        (Shown(2, "a", flag=False, bias=False), "Shown(2, 'a', flag=False, bias=False)"),
        (Shown(2, "a", weight=np.array([1, 2], np.float32)), "Shown(2, 'a', weight=[1.0, 2.0])"),
        (Shown(2, "a", math.inf, dtype="float64"), "Shown(2, 'a', scale=float('inf'), dtype='float64')"),
        (Shown((2,), ["a", None]), "Shown((2,), ['a', None])"),
        (Shown(np.int64(2), "a", np.float32(0.5)), "Shown(2, 'a', scale=0.5)"),
    ],
)
def test_repr_is_read_from_the_constructor(module, text):
    assert repr(module) == text
    assert repr(eval(text, {"Shown": Shown})) == text


def test_repr_leaves_out_what_it_cannot_write():
    class Author(nn.Module):
        def __init__(self, function, inner, size, width=3, other=nn.ReLU()):  # noqa: B008
            self.function, self.inner, self.size = function, inner, size
            self.other = other

    assert repr(Author(np.tanh, nn.Linear(1, 1), 2)) == "Author(size=2)"
    assert repr(Cell()) == "Cell()"
    assert repr(nn.Identity(54, unused=True)) == "Identity()"
    assert repr(nn.Linear.__new__(nn.Linear)) == "Linear()"  # as in an error that the constructor raises


def test_repr():
    model = nn.Sequential(nn.Linear(1, 64), nn.ReLU(), nn.Sequential({"out": nn.Linear(64, 1, bias=False)}))
    assert repr(model) == (
        "Sequential(\n"
        "  Linear(1, 64),  # 128\n"
        "  ReLU(),\n"
        "  Sequential({\n"
        "    'out': Linear(64, 1, bias=False),  # 64\n"
        "  }),  # 64\n"
        ")  # 192"
    )
    assert repr(eval(repr(model), vars(nn))) == repr(model)
    assert repr(nn.Sequential()) == "Sequential()"
    assert repr(nn.Linear(2, 1).double()) == "Linear(2, 1, dtype='float64')"
    assert repr(nn.Parameter([1.0])) == "Parameter(shape=(1,), dtype=float64, requires_grad=True)"
