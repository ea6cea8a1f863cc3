"""Module: the walk over what it holds, the saved slot, sharing, and the state."""

import copy
import threading
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
    with pytest.raises(NotImplementedError, match="Module has no forward"):
        nn.Module()(1)
    with pytest.raises(NotImplementedError, match="Module has no backward"):
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
