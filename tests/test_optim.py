"""Optimizers: PyTorch's numbers, and a flat base that keeps on training whatever is done to the parameters."""

import ast
import copy
import importlib
import inspect
import json
import pickle
import re
import typing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nn
import optim
import optim.flat
from nn.mathematics.run import evaluate

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = json.loads((Path(__file__).parent / "golden_optim.json").read_text(encoding="utf-8"))

# Each rule with as much state as it can have; the second group has settings of its own.
RULES = {
    "SGD": lambda groups: optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adam": lambda groups: optim.Adam(groups, lr=0.1, weight_decay=0.01, amsgrad=True),
    "AdamW": lambda groups: optim.AdamW(groups, lr=0.1, weight_decay=0.1),
    "RMSprop": lambda groups: optim.RMSprop(groups, lr=0.1, momentum=0.9, centered=True),
}
every_rule = pytest.mark.parametrize("rule", RULES)
P, Q = nn.Parameter([1.0]), nn.Parameter([2.0])
NAN = float("nan")
ADAM = {"lr": 0.001, "betas": (0.9, 0.999), "eps": 1e-8, "amsgrad": False}  # the defaults that AdamW has too


def make(rule, dtype=np.float32, seed=0):
    """Return a small model, whose last two weights are of one shape, and its optimizer of two groups."""
    first, second, third = [
        nn.Linear(width, 3, dtype=dtype, generator=seed + index) for index, width in enumerate((2, 3, 3))
    ]
    rest = [*second.parameters(), *third.parameters()]
    optimizer = RULES[rule]([{"params": first.parameters()}, {"params": rest, "lr": 0.03}])
    return nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), third), optimizer


def gradients(model, t):
    """Leave in the model the gradients of step t's batch."""
    draw = np.random.default_rng(t)
    criterion = nn.HalfSquaredLoss()
    criterion(model(draw.normal(size=(5, 2))), draw.normal(size=(5, 3)))
    model.backward(criterion.backward())


def train(model, optimizer, steps):
    for t in steps:
        optimizer.zero_grad()
        gradients(model, t)
        optimizer.step()
    return model, optimizer


def weights(model):
    return [p.data for p in model.parameters()]


def assert_same(ours, theirs):
    """Two pairs of model and optimizer hold the very same numbers."""
    for a, b in zip(weights(ours[0]), weights(theirs[0]), strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
    assert_same_state(ours[1].state_dict(), theirs[1].state_dict())


def assert_same_state(ours, theirs):
    assert ours["param_groups"] == theirs["param_groups"]
    assert ours["state"].keys() == theirs["state"].keys()
    for number, kept in ours["state"].items():
        assert kept.keys() == theirs["state"][number].keys()
        for name in kept:
            np.testing.assert_array_equal(kept[name], theirs["state"][number][name], strict=True)


# ---- arithmetic


@pytest.mark.parametrize("case", GOLDEN["rules"], ids=lambda case: f"{case['rule']} {case['settings']}")
def test_every_rule_goes_where_pytorch_goes(case):
    params = [nn.Parameter(np.array(values)) for values in GOLDEN["start"]]
    groups = [{"params": [p], **group} for p, group in zip(params, case["groups"], strict=True)]
    optimizer = getattr(optim, case["rule"])(groups, **case["settings"])
    found = []
    for gradient in GOLDEN["gradients"]:
        optimizer.zero_grad()
        for p, part in zip(params, (gradient[:2], gradient[2:]), strict=True):
            p.grad += part
        optimizer.step()
        found.append([value for p in params for value in p.data])
    assert len(found) == 25
    np.testing.assert_allclose(found, case["values"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", GOLDEN["rules"], ids=lambda case: f"{case['rule']} {case['settings']}")
def test_every_rule_does_what_its_equations_state(case):
    params = [nn.Parameter(np.array(values)) for values in GOLDEN["start"]]
    groups = [{"params": [p], **group} for p, group in zip(params, case["groups"], strict=True)]
    optimizer = getattr(optim, case["rule"])(groups, **case["settings"])
    symbol_of = {name: symbol for symbol, name in optimizer.symbols.items()}
    for t, gradient in enumerate(GOLDEN["gradients"][:6], 1):
        params[0].grad[...], params[1].grad[...] = gradient[:2], gradient[2:]
        before = copy.deepcopy((params, optimizer.state_dict()["state"]))
        optimizer.step()
        after = optimizer.state_dict()["state"]
        for number, (p, group) in enumerate(zip(params, optimizer.param_groups, strict=True)):
            known = before[1].get(number) or {name: np.zeros_like(array) for name, array in after[number].items()}
            settings = {name: value for name, value in group.items() if name != "params"}
            values = {symbol_of.get(name, name): value for name, value in {**settings, **known}.items()}
            found = evaluate(optimizer.equations, {**values, "w": before[0][number].data, "g": p.grad, "t": t})
            after[number].pop("step")
            for name, array in {"w": p.data, **after[number]}.items():
                value = found[f"{symbol_of.get(name, name)}_new"]
                np.testing.assert_allclose(value, array, rtol=1e-12, atol=1e-12, err_msg=name)


@every_rule
def test_equations_state_each_name_once_in_the_language_and_end_in_the_new_weight(rule):
    optimizer = RULES[rule]([P])
    targets = []
    for line in ast.parse(inspect.cleandoc(optimizer.equations)).body:
        assert isinstance(line, ast.Assign) and len(line.targets) == 1
        targets += [node.id for node in ast.walk(line.targets[0]) if isinstance(node, ast.Name)]
    assert len(set(targets)) == len(targets) and targets[-1] == "w_new"
    assert not [name for name in targets if name.startswith("d")], "stands for a gradient"
    known = {*optimizer.defaults, *optimizer.init_state(P.data, optimizer.param_groups[0]), "max_exp_avg_sq"}
    assert known >= set(optimizer.symbols.values())
    assert not {"w", "g", "t", *optimizer.symbols} & {*targets, *optimizer.defaults}


@every_rule
def test_every_setting_has_a_range(rule):
    optimizer = RULES[rule]([P])
    assert optimizer.ranges.keys() == optimizer.defaults.keys()


def test_the_page_of_the_rules_is_up_to_date(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    page = importlib.import_module("optimizers").page()
    assert (ROOT / "docs" / "optimizers.md").read_text(encoding="utf-8") == page, "run python tools/optimizers.py"
    assert re.findall(r"^## (\w+)", page, re.MULTILINE) == sorted(RULES)


@pytest.mark.parametrize("module", ["optimizer", "flat", "settings", "lr_scheduler", "sgd", "adam", "rmsprop"])
def test_type_hints_of_all_that_is_public_can_be_resolved(module):
    module = importlib.import_module(f"optim.{module}")
    seen = 0
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__ or not callable(value):
            continue
        members = (
            [member for key, member in vars(value).items() if inspect.isfunction(member)]
            if inspect.isclass(value)
            else []
        )
        for each in (value, *members):
            typing.get_type_hints(each)
            seen += 1
    assert seen


@pytest.mark.parametrize(
    ("rule", "settings"),
    [
        (optim.SGD, {"lr": 0.001, "momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False}),
        (optim.Adam, {**ADAM, "weight_decay": 0, "decoupled_weight_decay": False}),
        (optim.AdamW, {**ADAM, "weight_decay": 0.01, "decoupled_weight_decay": True}),
        (optim.RMSprop, {"lr": 0.01, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0, "momentum": 0, "centered": False}),
    ],
)
def test_default_settings_are_pytorchs(rule, settings):
    assert rule([nn.Parameter([1.0])]).defaults == {**settings, "maximize": False}


def test_golden_numbers_cover_every_rule():
    rules = {name for name, value in vars(optim).items() if isinstance(value, type)} - {"Optimizer"}
    assert {case["rule"] for case in GOLDEN["rules"]} == rules == set(RULES)


@every_rule
def test_results_do_not_depend_on_the_blocks(rule, monkeypatch):
    whole = train(*make(rule), range(5))
    monkeypatch.setattr(optim.flat, "BLOCK", 7)
    assert_same(train(*make(rule), range(5)), whole)


@every_rule
def test_float32_stays_float32_and_numpy_scalars_change_nothing(rule):
    plain, other = make(rule), make(rule)
    for _, optimizer in (plain, other):
        for group in optimizer.param_groups:
            group["lr"] = 0.025
            group["weight_decay"] = 0.3
    for group in other[1].param_groups:
        group["lr"] = np.float64(0.025)
        group["weight_decay"] = np.float64(0.3)
        if "betas" in group:
            group["betas"] = tuple(map(np.float64, group["betas"]))
    train(*plain, range(4))
    train(*other, range(4))
    assert_same(plain, other)
    kept = [
        array for state in other[1].state_dict()["state"].values() for name, array in state.items() if name != "step"
    ]
    assert {array.dtype for array in [*weights(other[0]), *kept]} == {np.dtype(np.float32)}


@every_rule
def test_gradients_are_left_as_they_are(rule):
    model, optimizer = make(rule)
    gradients(model, 0)
    before = [p.grad.copy() for p in model.parameters()]
    optimizer.step()
    for p, grad in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.grad, grad)


@every_rule
def test_parameters_of_no_size_and_of_no_dimension(rule):
    params = [
        nn.Parameter(2.0),
        nn.Parameter(np.zeros((0, 3))),
        nn.Parameter(np.ones((2, 1))),
        nn.Parameter(np.zeros(0)),
    ]
    optimizer = RULES[rule](params)
    for _ in range(2):
        optimizer.zero_grad()
        for p in params:
            p.grad += 1
            p.data = p.data[...]  # laid out anew: what has no size begins where its neighbour does
        optimizer.step()
    assert [p.data.shape for p in params] == [(), (0, 3), (2, 1), (0,)]
    assert params[0].data < 2 and (params[2].data < 1).all()
    optimizer = RULES[rule]([nn.Parameter(np.zeros((0, 3)))])
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.step()


@every_rule
def test_several_dtypes_in_one_group(rule):
    params = [
        nn.Parameter(np.array([value], dtype)) for value, dtype in ((1.0, "f4"), (2.0, "f8"), (3.0, "f2"), (4.0, "f4"))
    ]
    optimizer = RULES[rule](params)
    for p in params:
        p.grad += 0.5
    optimizer.step()
    assert [p.data.dtype for p in params] == ["f4", "f8", "f2", "f4"]
    assert [p.grad.dtype for p in params] == ["f4", "f8", "f2", "f4"]
    for p, before in zip(params, (1, 2, 3, 4), strict=True):
        assert p.data < before


def test_sgd_plain_by_hand():
    p, q = nn.Parameter([1.0, 2.0]), nn.Parameter([3.0])
    optimizer = optim.SGD([{"params": p, "lr": 0.5}, {"params": [q], "maximize": True}], lr=0.25)
    p.grad += [1, 2]
    q.grad += 4
    optimizer.step()
    assert p.data.tolist() == [0.5, 1.0] and q.data.tolist() == [4.0]
    optimizer.zero_grad()
    assert p.grad.tolist() == [0, 0] and q.grad.tolist() == [0]


# ---- moving a parameter: a row for each way


def rebind(parameter, data):
    assert data is not parameter.data
    parameter.data = data


def each(change):
    def move(model, optimizer):
        for p in model.parameters():
            change(p)
        return model, optimizer

    return move


def other_optimizer(model, optimizer):
    optim.SGD(model.parameters(), lr=0).step()  # takes the parameters into flat arrays of its own
    return model, optimizer


def freeze_for_a_moment(model, optimizer):
    grads = [p.grad.copy() for p in model.parameters()]
    model[0].requires_grad_(False)
    optimizer.zero_grad()  # lays the others out without the frozen ones
    model[0].requires_grad_(True)
    for p, grad in zip(model.parameters(), grads, strict=True):
        p.grad += grad
    return model, optimizer


def reload(model, optimizer):
    optimizer.load_state_dict(optimizer.state_dict())
    return model, optimizer


# Ways that leave all numbers as they are: training goes on as if nothing had happened.
HARMLESS = {
    "nothing": lambda *pair: pair,
    "double and float": lambda model, optimizer: (model.double().float(), optimizer),
    "deepcopy": lambda *pair: copy.deepcopy(pair),
    "shallow copy of the optimizer": lambda model, optimizer: (model, copy.copy(optimizer)),
    "pickle": lambda *pair: pickle.loads(pickle.dumps(pair)),
    "data copied": each(lambda p: rebind(p, p.data.copy())),
    "data in rows": each(lambda p: rebind(p, np.array(p.data, order="C"))),
    "data in columns": each(lambda p: rebind(p, np.array(p.data, order="F"))),
    "data through a transposed view of the same memory": each(lambda p: rebind(p, p.data.T.T)),
    "data through a reshaped view of the same memory": each(
        lambda p: rebind(p, p.data.T.reshape(-1).reshape(p.data.T.shape).T)
    ),
    "data read-only": each(lambda p: rebind(p, np.frombuffer(p.data.tobytes(), p.data.dtype).reshape(p.data.shape))),
    "grad copied": each(lambda p: setattr(p, "grad", p.grad.copy())),
    "grad of float64": each(lambda p: setattr(p, "grad", p.grad.astype(np.float64))),
    "grad added to, out of place": each(lambda p: setattr(p, "grad", p.grad + 0)),
    "another optimizer on the same parameters": other_optimizer,
    "frozen and freed": freeze_for_a_moment,
    "state saved and loaded": reload,
}


@every_rule
@pytest.mark.parametrize("when", ["between steps", "between backward and step"])
@pytest.mark.parametrize("move", HARMLESS)
def test_moved_parameters_are_trained_as_unmoved_ones(rule, when, move):
    expected = train(*make(rule), range(6))
    model, optimizer = train(*make(rule), range(3))
    if when == "between steps":
        model, optimizer = HARMLESS[move](model, optimizer)
    else:
        optimizer.zero_grad()
        gradients(model, 3)
        model, optimizer = HARMLESS[move](model, optimizer)
        optimizer.step()
    before = [array.copy() for array in weights(model)]
    model, optimizer = train(model, optimizer, range(3 if when == "between steps" else 4, 6))
    assert all((a != b).any() for a, b in zip(weights(model), before, strict=True)), "nothing was trained"
    assert_same((model, optimizer), expected)
    assert {state["step"] for state in optimizer.state_dict()["state"].values()} == {6}


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(
    st.sampled_from(sorted(RULES)),
    st.lists(st.lists(st.sampled_from(sorted(HARMLESS)), max_size=3), min_size=5, max_size=5),
)
def test_any_moves_in_any_order_leave_training_as_it_is(rule, moves):
    expected = train(*make(rule), range(5))
    pair = make(rule)
    for t, names in enumerate(moves):
        for name in names:
            pair = HARMLESS[name](*pair)
        train(*pair, [t])
    assert_same(pair, expected)


@every_rule
def test_a_copy_trains_itself_and_leaves_the_original_alone(rule):
    pair = train(*make(rule), range(2))
    twin = copy.deepcopy(pair)
    before = copy.deepcopy(pair)
    train(*twin, range(2, 5))
    assert_same(pair, before)
    assert_same(train(*pair, range(2, 5)), twin)


@every_rule
def test_double_goes_on_in_float64_with_its_state(rule):
    model, optimizer = train(*make(rule), range(3))
    state = optimizer.state_dict()
    expected = make(rule, np.float64)
    for p, q in zip(expected[0].parameters(), model.parameters(), strict=True):
        p.data[...] = q.data
    expected[1].load_state_dict(state)
    train(*expected, range(3, 6))
    model.double()
    assert_same(train(model, optimizer, range(3, 6)), expected)
    kept = [
        array for state in optimizer.state_dict()["state"].values() for name, array in state.items() if name != "step"
    ]
    assert {array.dtype for array in [*weights(model), *kept]} == {np.dtype(np.float64)}


@every_rule
@pytest.mark.parametrize("swapped", ["data", "grad"])
def test_swapped_arrays_are_as_swapped_numbers(rule, swapped):
    model, optimizer = train(*make(rule), range(3))
    expected = copy.deepcopy((model, optimizer))
    for pair in (model, optimizer), expected:
        pair[1].zero_grad()
        gradients(pair[0], 3)
    p, q = model[2].weight, model[4].weight
    a, b = getattr(p, swapped), getattr(q, swapped)
    setattr(p, swapped, b)
    setattr(q, swapped, a)
    a, b = (getattr(layer.weight, swapped) for layer in (expected[0][2], expected[0][4]))
    a[...], b[...] = b.copy(), a.copy()
    optimizer.step()
    expected[1].step()
    assert_same(train(model, optimizer, range(4, 6)), train(*expected, range(4, 6)))


@every_rule
def test_two_optimizers_in_turn_on_the_same_parameters(rule):
    """The same as two models, an optimizer each, that hand each other their weights by value."""
    model, first = make(rule)
    second = RULES["Adam"](model.parameters())
    pairs = [make(rule), (twin := make(rule)[0], RULES["Adam"](twin.parameters()))]
    for t in range(6):
        train(model, (second if t % 2 else first), [t])
        train(*pairs[t % 2], [t])
        for giving, taking in zip(weights(pairs[t % 2][0]), weights(pairs[1 - t % 2][0]), strict=True):
            taking[...] = giving
    assert_same((model, first), pairs[0])
    assert_same((model, second), pairs[1])


def make_separate(rule):
    """Return the model of `make` with an optimizer for each of its three layers."""
    model, optimizer = make(rule)
    layers = zip((model[0], model[2], model[4]), (optimizer.defaults["lr"], 0.03, 0.03), strict=True)
    return model, [RULES[rule]([{"params": layer.parameters(), "lr": lr}]) for layer, lr in layers]


def train_separately(model, optimizers, steps, skip=None):
    for t in steps:
        model.zero_grad()
        gradients(model, t)
        for number, optimizer in enumerate(optimizers):
            if number != skip:
                optimizer.step()


def assert_same_weights(model, other):
    for a, b in zip(weights(model), weights(other), strict=True):
        np.testing.assert_array_equal(a, b)


def assert_steps(optimizer, *expected):
    states = optimizer.state_dict()["state"]
    assert [states[number]["step"] if number in states else 0 for number in range(6)] == list(expected)


@every_rule
@pytest.mark.parametrize("frozen_at", ["before construction", "before the first step", "later"])
def test_frozen_parameters_stand_still_and_come_back_with_their_own_step_count(rule, frozen_at):
    model, optimizers = make_separate(rule)
    start = 2 if frozen_at == "later" else 0
    train_separately(model, optimizers, range(start))
    train_separately(model, optimizers, range(start, 5), skip=1)
    train_separately(model, optimizers, range(5, 8))

    frozen, optimizer = make(rule)
    if frozen_at == "before construction":
        frozen[2].requires_grad_(False)
        rest = [*frozen[2].parameters(), *frozen[4].parameters()]
        optimizer = RULES[rule]([{"params": frozen[0].parameters()}, {"params": rest, "lr": 0.03}])
    train(frozen, optimizer, range(start))
    frozen[2].requires_grad_(False)
    before = [p.data.copy() for p in frozen[2].parameters()]
    train(frozen, optimizer, range(start, 5))
    for p, data in zip(frozen[2].parameters(), before, strict=True):
        np.testing.assert_array_equal(p.data, data)
    assert_steps(optimizer, 5, 5, start, start, 5, 5)
    optimizer.load_state_dict(optimizer.state_dict())  # keeps what belongs to the frozen ones too
    frozen[2].requires_grad_(True)
    train(frozen, optimizer, range(5, 8))
    assert_steps(optimizer, 8, 8, start + 3, start + 3, 8, 8)
    assert_same_weights(frozen, model)


@every_rule
def test_a_group_added_in_the_middle_starts_at_its_own_first_step(rule):
    model, optimizers = make_separate(rule)
    train_separately(model, optimizers, range(3), skip=2)
    train_separately(model, optimizers, range(3, 6))

    grown, _ = make(rule)
    optimizer = RULES[rule]([{"params": grown[0].parameters()}, {"params": grown[2].parameters(), "lr": 0.03}])
    train_separately(grown, [optimizer], range(3))
    optimizer.add_param_group({"params": grown[4].parameters(), "lr": 0.03})
    train(grown, optimizer, range(3, 6))
    assert_steps(optimizer, 6, 6, 6, 6, 3, 3)
    assert_same_weights(grown, model)


@every_rule
def test_a_parameter_of_two_layers_is_updated_once_for_both(rule):
    model, _ = make(rule)
    model[4].weight = model[2].weight
    optimizer = RULES[rule](model.parameters())
    twin = nn.Parameter(model[2].weight.data)
    reference = RULES[rule]([twin])
    for t in range(4):
        optimizer.zero_grad()
        gradients(model, t)
        reference.zero_grad()
        twin.grad += model[2].weight.grad
        optimizer.step()
        reference.step()
    np.testing.assert_array_equal(model[2].weight.data, twin.data)
    assert model[4].weight is model[2].weight
    assert_steps(optimizer, 4, 4, 4, 4, 4, 0)


@every_rule
def test_all_frozen_is_a_step_of_nothing(rule):
    model, optimizer = make(rule)
    model.requires_grad_(False)
    before = [array.copy() for array in weights(model)]
    train(model, optimizer, range(2))
    for a, b in zip(weights(model), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert optimizer.state_dict()["state"] == {}


def test_zero_grad_clears_frozen_gradients_too_in_place():
    model, optimizer = make("SGD")
    model[0].requires_grad_(False)
    optimizer.zero_grad()
    gradients(model, 0)
    grads = [p.grad for p in model.parameters()]
    assert all(grad.any() for grad in grads)
    optimizer.zero_grad()
    assert not any(grad.any() for grad in grads)
    assert all(p.grad is grad for p, grad in zip(model.parameters(), grads, strict=True))


def test_zero_grad_finds_moved_gradients():
    model, optimizer = train(*make("SGD"), range(2))
    for p in model.parameters():
        p.grad = np.ones_like(p.data)
    optimizer.zero_grad()
    assert not any(p.grad.any() for p in model.parameters())


def test_parameters_lie_end_to_end_and_stay_there():
    model, optimizer = train(*make("Adam"), range(1))
    second = [p for layer in (model[2], model[4]) for p in layer.parameters()]
    bases = {id(p.data.base) for p in second}
    assert len(bases) == 1 and second[0].data.base.size == sum(p.data.size for p in second)
    views = [(p.data, p.grad) for p in model.parameters()]
    train(model, optimizer, range(1, 3))
    optimizer.state_dict()
    for p, (data, grad) in zip(model.parameters(), views, strict=True):
        assert p.data is data and p.grad is grad, "laid out anew without need"


@every_rule
def test_parameters_of_any_order_of_memory_train_alike_and_lie_in_rows(rule):
    expected = train(*make(rule), range(1, 3))
    model, optimizer = make(rule)
    for p in model.parameters():
        p.data = np.array(p.data, order="F")
    assert_same(train(model, optimizer, range(1, 3)), expected)
    assert all(p.data.flags.c_contiguous and p.grad.flags.c_contiguous for p in model.parameters())


def test_flat_arrays_are_the_parameters_in_the_order_of_groups_then_dtypes():
    params = [nn.Parameter(np.full(2, n, dtype)) for n, dtype in enumerate(("f8", "f4", "f8", "f4", "f4"))]
    optimizer = optim.SGD([{"params": params[:4]}, {"params": params[4:]}], lr=1.0)
    assert [flat.tolist() for flat in optimizer.flat_parameters()] == [[0, 0, 2, 2], [1, 1, 3, 3], [4, 4]]
    assert [flat.dtype for flat in optimizer.flat_gradients()] == ["f8", "f4", "f4"]
    params[2].grad += 5
    assert optimizer.flat_gradients()[0].tolist() == [0, 0, 5, 5]
    optimizer.step()
    assert params[2].data.tolist() == [-3, -3]
    optimizer.flat_parameters()[1][...] = 7
    assert params[1].data.tolist() == params[3].data.tolist() == [7, 7]
    assert optimizer.flat_parameters()[0] is optimizer.flat_parameters()[0], "laid out anew without need"


def test_flat_arrays_of_other_step_counts_stand_beside_those_of_their_dtype():
    params = [nn.Parameter(np.full(1, n, dtype)) for n, dtype in enumerate(("f4", "f8", "f4", "f8"))]
    params[0].requires_grad = params[1].requires_grad = False
    optimizer = optim.Adam(params, lr=0)
    assert [flat.tolist() for flat in optimizer.flat_parameters()] == [[2], [3]]
    optimizer.step()
    params[0].requires_grad = params[1].requires_grad = True
    assert [flat.tolist() for flat in optimizer.flat_parameters()] == [[0], [2], [1], [3]]


# ---- the state


@every_rule
@pytest.mark.parametrize("into", ["the same", "a fresh one", "a used one"])
def test_a_loaded_state_goes_on_exactly(rule, into):
    expected = train(*make(rule), range(6))
    model, optimizer = train(*make(rule), range(3))
    saved = model.state_dict(), optimizer.state_dict()
    kept = copy.deepcopy(saved[1])
    if into != "the same":
        model, optimizer = make(rule, seed=7)
        for group in optimizer.param_groups:
            group["lr"] = 0.7
    if into != "a fresh one":
        train(model, optimizer, range(10, 14))
    model.load_state_dict(saved[0])
    optimizer.load_state_dict(saved[1])
    assert_same(train(model, optimizer, range(3, 6)), expected)
    assert_same_state(saved[1], kept)  # training has not written into it


@every_rule
def test_a_state_is_a_copy_in_pytorchs_form(rule):
    model, optimizer = make(rule)
    optimizer.zero_grad()
    assert optimizer.state_dict()["state"] == {}
    assert [group["params"] for group in optimizer.state_dict()["param_groups"]] == [[0, 1], [2, 3, 4, 5]]
    train(model, optimizer, range(2))
    state = optimizer.state_dict()
    expected = {
        "SGD": {"momentum_buffer"},
        "Adam": {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"},
        "AdamW": {"exp_avg", "exp_avg_sq"},
        "RMSprop": {"square_avg", "momentum_buffer", "grad_avg"},
    }
    for number, p in enumerate(model.parameters()):
        kept = state["state"][number]
        assert kept.pop("step") == 2
        assert kept.keys() == expected[rule]
        assert {array.shape for array in kept.values()} == {p.data.shape}
        for array in kept.values():
            assert array.base is None
            array.fill(np.nan)
    state["param_groups"][0]["lr"] = np.nan
    train(model, optimizer, range(2, 3))
    assert all(np.isfinite(array).all() for array in weights(model))


def test_settings_of_the_loaded_state_are_taken_also_those_it_adds():
    model, optimizer = make("Adam")
    state = optimizer.state_dict()
    state["param_groups"][1].update(lr=0.5, initial_lr=0.7, amsgrad=False, notes=["ours"])
    group = optimizer.param_groups
    optimizer.load_state_dict(state)
    state["param_groups"][1]["notes"].append("theirs")
    assert group[1]["notes"] == ["ours"]
    assert optimizer.param_groups is group and group[1]["lr"] == 0.5 and group[1]["initial_lr"] == 0.7
    train(model, optimizer, range(1))
    assert "max_exp_avg_sq" not in optimizer.state_dict()["state"][2]
    assert "max_exp_avg_sq" in optimizer.state_dict()["state"][0]


@pytest.mark.parametrize("step", [0, np.int64(3), 3.0, np.float32(3), np.array(3.0)])
def test_a_step_count_may_be_any_whole_number_such_as_pytorchs_floats(step):
    model, optimizer = train(*make("Adam"), range(3))
    state = optimizer.state_dict()
    for kept in state["state"].values():
        kept["step"] = step
    optimizer.load_state_dict(state)
    train(model, optimizer, range(1))
    assert_steps(optimizer, *[int(step) + 1] * 6)
    assert {type(kept["step"]) for kept in optimizer.state_dict()["state"].values()} == {int}


def spoil(change):
    def spoiled(state):
        change(state)
        return state

    return spoiled


@pytest.mark.parametrize(
    ("spoiled", "error", "text"),
    [
        (lambda state: {}, ValueError, "expects a state with 'param_groups' and 'state'"),
        (lambda state: None, ValueError, "expects a state with 'param_groups' and 'state'"),
        (lambda state: {"state": state["state"]}, ValueError, "'param_groups'"),
        (lambda state: {**state, "param_groups": [{}]}, ValueError, "'param_groups'"),
        (
            lambda state: {**state, "param_groups": state["param_groups"][:1]},
            ValueError,
            r"groups of \[2, 4\].*of \[2\]",
        ),
        (spoil(lambda state: state["param_groups"][1]["params"].pop()), ValueError, r"of \[2, 4\].*of \[2, 3\]"),
        (spoil(lambda state: state["param_groups"][1].pop("eps")), ValueError, "lacks settings of Adam: eps"),
        (spoil(lambda state: state["param_groups"][1].update(lr=-1)), ValueError, "lr.*got -1"),
        (spoil(lambda state: state["param_groups"][1].update(betas="no")), TypeError, "betas.*'no'"),
        (spoil(lambda state: state["state"][5].pop("exp_avg")), ValueError, "Adam keeps .*of parameter 5.*nothing was"),
        (spoil(lambda state: state["state"][5].pop("step")), ValueError, "of parameter 5"),
        (
            spoil(lambda state: state["state"][5].update(step=-1)),
            ValueError,
            "step of parameter 5 to be a whole.*got -1",
        ),
        (spoil(lambda state: state["state"][5].update(step=1.5)), ValueError, "step of parameter 5.*got 1.5"),
        (spoil(lambda state: state["state"][5].update(step=NAN)), ValueError, "step of parameter 5.*got nan"),
        (spoil(lambda state: state["state"][5].update(step=np.inf)), ValueError, "step of parameter 5.*got inf"),
        (spoil(lambda state: state["state"][5].update(step="abc")), TypeError, "step of parameter 5.*got 'abc'"),
        (spoil(lambda state: state["state"][5].update(step=True)), TypeError, "step of parameter 5.*got True"),
        (spoil(lambda state: state["state"].update({5: None})), ValueError, "of parameter 5, the state has None"),
        (spoil(lambda state: state["param_groups"][1].update(params=[2, 3, 4, 4])), ValueError, "each parameter once"),
        (spoil(lambda state: state["param_groups"][1].update(params=[2, 3, 4, []])), ValueError, "'param_groups'"),
        (spoil(lambda state: state["param_groups"][1].update(lr=None)), TypeError, "lr.*got None"),
        (spoil(lambda state: state["param_groups"][1].update(amsgrad="no")), TypeError, "amsgrad.*got 'no'"),
        (spoil(lambda state: state["state"][5].update(more=np.ones(3))), ValueError, "'more'"),
        (spoil(lambda state: state["state"][5].update(exp_avg=np.ones((3, 1)))), ValueError, r"\(3, 1\)"),
        (spoil(lambda state: state["state"][5].update(exp_avg=1.0)), ValueError, "of parameter 5"),
        (
            spoil(lambda state: state["state"][5].update(exp_avg=np.ones(3, complex))),
            TypeError,
            "exp_avg of parameter 5",
        ),
        (
            spoil(lambda state: state["state"][5].update(exp_avg=np.array(["a"] * 3))),
            TypeError,
            "exp_avg of parameter 5",
        ),
        (spoil(lambda state: state["state"].update({6: state["state"][5]})), ValueError, r"\[6\]"),
        (lambda state: {**state, "state": {str(n): kept for n, kept in state["state"].items()}}, ValueError, "'0'"),
        (lambda state: make_state("SGD"), ValueError, "lacks settings of Adam: betas, eps"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(spoiled, error, text):
    model, optimizer = train(*make("Adam"), range(3))
    expected = copy.deepcopy((model, optimizer))
    state = optimizer.state_dict()
    for group in state["param_groups"]:
        group["lr"] = 0.7
    with pytest.raises(error, match=text):
        optimizer.load_state_dict(spoiled(state))
    assert_same((model, optimizer), expected)
    assert_same(train(model, optimizer, range(3, 5)), train(*expected, range(3, 5)))


def make_state(rule):
    return train(*make(rule), range(1))[1].state_dict()


# ---- what is refused


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: optim.SGD([]), ValueError, "SGD got an empty list of parameters"),
        (lambda: optim.Adam(iter(())), ValueError, "empty list"),
        (lambda: optim.SGD([{"params": []}]), ValueError, "group with an empty list"),
        (lambda: optim.SGD([P, P]), ValueError, "each parameter once"),
        (lambda: optim.SGD([{"params": [P]}, {"params": [Q, P]}]), ValueError, "each parameter once"),
        (lambda: optim.SGD([P]).add_param_group({"params": P}), ValueError, "each parameter once"),
        (lambda: optim.SGD(P), TypeError, "SGD expects an iterable of parameters or of groups, got Parameter"),
        (lambda: optim.SGD(np.ones(3)), TypeError, "got ndarray"),
        (lambda: optim.SGD(nn.Linear(1, 1)), TypeError, "got Linear"),
        (lambda: optim.SGD([np.ones(3)]), TypeError, "parameters with data, grad and requires_grad, got ndarray"),
        (lambda: optim.SGD(nn.Sequential(nn.Linear(1, 1))), TypeError, "got Linear"),
        (lambda: optim.SGD([nn.Buffer([1.0])]), TypeError, "got Buffer"),
        (lambda: optim.SGD({P, Q}), TypeError, "fixed order, got a set"),
        (lambda: optim.SGD([{"params": {P, Q}}]), TypeError, "fixed order, got a set"),
        (lambda: optim.SGD([{"params": [P]}, Q]), TypeError, "a group to be a dict with 'params'"),
        (lambda: optim.SGD([{"lr": 1.0}]), TypeError, "a group to be a dict with 'params'"),
        (lambda: optim.SGD([P], lr=-0.1), ValueError, "SGD expects lr to be a number of at least 0, got -0.1"),
        (lambda: optim.SGD([P], lr=NAN), ValueError, "lr.*got nan"),
        (lambda: optim.SGD([P], lr=None), TypeError, "lr.*got None"),
        (lambda: optim.SGD([P], lr="0.1"), TypeError, "lr.*got '0.1'"),
        (lambda: optim.SGD([P], momentum=-0.9), ValueError, "momentum.*got -0.9"),
        (lambda: optim.SGD([P], weight_decay=-1), ValueError, "weight_decay.*got -1"),
        (lambda: optim.SGD([P], weight_decay=NAN), ValueError, "weight_decay.*got nan"),
        (lambda: optim.SGD([P], nesterov=True), ValueError, "momentum and no dampening"),
        (lambda: optim.SGD([P], momentum=0.9, dampening=0.1, nesterov=True), ValueError, "momentum and no dampening"),
        (lambda: optim.SGD([{"params": [P], "momentum": 0.9}], nesterov=True), ValueError, "momentum and no dampening"),
        (lambda: optim.SGD([{"params": [P], "lr": -1}]), ValueError, "lr.*got -1"),
        (lambda: optim.SGD([{"params": [P], "lr": 0.1}], lr=-1), ValueError, "lr.*got -1"),
        (lambda: optim.SGD([P], foreach=True), TypeError, "SGD has no foreach: leave it out, the parameters of"),
        (lambda: optim.SGD([P], nonsense=True), TypeError, "nonsense"),
        (lambda: optim.SGD([P]).zero_grad(set_to_none=True), TypeError, r"SGD.zero_grad\(\) has no set_to_none: write"),
        (lambda: optim.SGD([P]).zero_grad(nonsense=1), TypeError, r"zero_grad\(\) takes no arguments, got nonsense"),
        (lambda: optim.SGD([P], dampening=NAN), ValueError, "dampening.*got nan"),
        (lambda: optim.SGD([P], nesterov="yes"), TypeError, "nesterov to be True or False, got 'yes'"),
        (lambda: optim.SGD([P], lr=1j), TypeError, "lr.*got 1j"),
        (lambda: optim.SGD([P], lr=np.ones(1)), TypeError, "lr.*got array"),
        (lambda: optim.SGD([P], 0.1, 0, 0, 0, False, True), TypeError, "positional"),
        (lambda: optim.Adam([P], lr=-1), ValueError, "Adam expects lr.*got -1"),
        (lambda: optim.Adam([P], eps=-1e-8), ValueError, "eps.*got -1e-08"),
        (lambda: optim.Adam([P], weight_decay=-1), ValueError, "weight_decay.*got -1"),
        (lambda: optim.Adam([P], betas=(1.0, 0.9)), ValueError, r"two numbers in \[0, 1\), got \(1.0, 0.9\)"),
        (lambda: optim.Adam([P], betas=(0.9, 1.0)), ValueError, "betas"),
        (lambda: optim.Adam([P], betas=(-0.1, 0.9)), ValueError, "betas"),
        (lambda: optim.Adam([P], betas=(0.9, NAN)), ValueError, "betas"),
        (lambda: optim.Adam([P], betas=(0.9,)), ValueError, "betas"),
        (lambda: optim.Adam([P], betas=0.9), TypeError, "betas.*got 0.9"),
        (lambda: optim.Adam([P], fused=True), TypeError, "Adam has no fused: leave it out"),
        (lambda: optim.AdamW([P], betas=(0.9, 2)), ValueError, "AdamW expects betas"),
        (lambda: optim.AdamW([P], decoupled_weight_decay=False), TypeError, "decoupled_weight_decay"),
        (lambda: optim.RMSprop([P], lr=-1), ValueError, "RMSprop expects lr"),
        (lambda: optim.RMSprop([P], alpha=-1), ValueError, "alpha"),
        (lambda: optim.RMSprop([P], eps=-1), ValueError, "eps"),
        (lambda: optim.RMSprop([P], momentum=-1), ValueError, "momentum"),
        (lambda: optim.RMSprop([P], weight_decay=-1), ValueError, "weight_decay"),
        (lambda: optim.RMSprop([P], capturable=True), TypeError, "RMSprop has no capturable: leave it out"),
        (lambda: optim.AdamW([P], differentiable=True), TypeError, "AdamW has no differentiable: leave it out"),
        (lambda: optim.Optimizer([P], {}).step(), NotImplementedError, "Optimizer has no update"),
    ],
)  # fmt: skip
def test_refused_with_a_text(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_refused_group_leaves_the_optimizer_as_it_was():
    model, optimizer = train(*make("Adam"), range(2))
    expected = copy.deepcopy((model, optimizer))
    for group in ({"params": [P], "lr": -1}, {"params": [P, "no"]}, {"params": [model[0].weight]}):
        with pytest.raises((ValueError, TypeError)):
            optimizer.add_param_group(group)
    assert_same((model, optimizer), expected)
    optimizer.add_param_group({"params": P})
    assert len(optimizer.param_groups) == 3


@pytest.mark.parametrize(
    ("name", "change", "error", "text"),
    [
        ("data", lambda a: a.T, ValueError, r"data of parameter 2 of group 1 to keep its shape \(4, 3\), got \(3, 4\)"),
        ("data", lambda a: a.reshape(-1), ValueError, r"got \(12,\)"),
        ("grad", lambda a: a.T, ValueError, r"grad of parameter 2 of group 1 to keep its shape \(4, 3\), got \(3, 4\)"),
        ("grad", lambda a: a[0], ValueError, r"got \(3,\)"),
        ("grad", lambda a: None, TypeError, "grad of parameter 2 of group 1 to be a floating array, got NoneType"),
        (
            "data",
            lambda a: a.astype(int),
            TypeError,
            "data of parameter 2 of group 1 to be a floating array, got int64",
        ),
        ("data", lambda a: a.tolist(), TypeError, "got list"),
        ("grad", lambda a: a.astype(complex), TypeError, "got complex128"),
    ],
)
@pytest.mark.parametrize("done", [0, 2])
def test_arrays_that_cannot_be_trained_stop_the_step_before_it_begins(name, change, error, text, done):
    model = nn.Sequential(nn.Linear(2, 3, generator=0), nn.Linear(3, 3, generator=1), nn.Linear(3, 4, generator=2))
    groups = [{"params": model[0].parameters()}, {"params": [*model[1].parameters(), *model[2].parameters()]}]
    optimizer = optim.Adam(groups, lr=0.1)
    for _ in range(done):
        for p in model.parameters():
            p.grad += 1
        optimizer.step()
    before = [array.copy() for array in weights(model)]
    state = optimizer.state_dict()
    p = model[2].weight
    good = getattr(p, name)
    setattr(p, name, change(good))
    for call in (optimizer.step, optimizer.zero_grad):
        with pytest.raises(error, match=text):
            call()
    assert_same_state(optimizer.state_dict(), state)
    setattr(p, name, good)
    for a, b in zip(weights(model), before, strict=True):
        np.testing.assert_array_equal(a, b)
    optimizer.step()


MEMORY = np.zeros(24, np.float32)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (MEMORY[:6].reshape(2, 3), MEMORY[:6].reshape(2, 3).T),
        (MEMORY[:6], MEMORY[5:7]),
        (MEMORY[4:8], MEMORY),
        (MEMORY[::2], MEMORY[4:6]),
        (MEMORY.reshape(4, 6)[:, 3], MEMORY.reshape(4, 6)[3]),
    ],
)
@pytest.mark.parametrize("frozen", [None, 0, 1])
def test_parameters_in_the_same_memory_are_refused_by_name(first, second, frozen):
    params = [nn.Parameter([0.0]) for _ in range(4)]
    for number, data in ((1, first), (3, second)):
        params[number].data, params[number].grad = data, np.zeros_like(data)
    if frozen is not None:
        params[2 * frozen + 1].requires_grad = False
    optimizer = optim.SGD([{"params": params[:2]}, {"params": params[2:]}])
    text = (
        "parameter 1 of group (0 and parameter 1 of group 1|1 and parameter 1 of group 0) with data in the same memory"
    )
    for call in (optimizer.step, optimizer.zero_grad, optimizer.flat_parameters):
        with pytest.raises(ValueError, match=rf"memory of its own, got {text}: .*use the one parameter in both places"):
            call()
    assert params[1].data is first and params[3].data is second


def test_parameters_beside_one_another_in_memory_are_not_refused():
    params = [nn.Parameter(np.zeros(6)) for _ in range(4)]
    places = MEMORY[:12:2], MEMORY[1:12:2], MEMORY[12:18], MEMORY[12:18]
    for p, data in zip(params, places, strict=True):
        p.data, p.grad = data, np.ones(6)
    params[2].requires_grad = params[3].requires_grad = False  # these share what stays where it is
    optimizer = optim.SGD(params, lr=1.0)
    optimizer.step()
    assert [p.data.tolist() for p in params] == [[-1] * 6, [-1] * 6, [0] * 6, [0] * 6]
    params[3].requires_grad = True
    with pytest.raises(ValueError, match="parameter 2 of group 0 and parameter 3 of group 0"):
        optimizer.step()
    assert params[0].data.tolist() == [-1] * 6


# ---- settings that are changed by hand


@pytest.mark.parametrize(
    ("name", "value", "error", "text"),
    [
        ("lr", None, TypeError, "Adam expects lr to be a number of at least 0, got None"),
        ("lr", NAN, ValueError, "lr.*got nan"),
        ("eps", -1.0, ValueError, "eps.*got -1.0"),
        ("betas", [0.9, 1.5], ValueError, r"betas.*got \(0.9, 1.5\)"),
        ("betas", (0.9, "a"), ValueError, "betas.*'a'"),
        ("amsgrad", "no", TypeError, "amsgrad to be True or False, got 'no'"),
        ("maximize", None, TypeError, "maximize to be True or False, got None"),
        ("weight_decay", True, TypeError, "weight_decay.*got True"),
        ("weight_decay", np.ones(2), TypeError, "weight_decay.*got array"),
    ],
)
@pytest.mark.parametrize("steps", [0, 2])
def test_a_setting_out_of_range_in_any_group_stops_the_step_before_it_begins(name, value, error, text, steps):
    model, optimizer = train(*make("Adam"), range(steps))
    optimizer.zero_grad()
    gradients(model, steps)
    expected = copy.deepcopy((model, optimizer))
    good = optimizer.param_groups[1][name]
    optimizer.param_groups[1][name] = value
    with pytest.raises(error, match=text):
        optimizer.step()
    optimizer.param_groups[1][name] = good
    assert_same((model, optimizer), expected)
    optimizer.step()
    expected[1].step()
    assert_same((model, optimizer), expected)


def test_a_missing_setting_and_nesterov_without_momentum_stop_the_step_too():
    model, optimizer = train(*make("SGD"), range(1))
    before = copy.deepcopy(weights(model))
    momentum = optimizer.param_groups[1].pop("momentum")
    with pytest.raises(ValueError, match="lacks settings of SGD: momentum"):
        optimizer.step()
    optimizer.param_groups[1]["momentum"] = momentum * 0
    with pytest.raises(ValueError, match=r"momentum and no dampening for nesterov, got momentum=0.0 and dampening=0"):
        optimizer.step()
    for a, b in zip(weights(model), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "kind", [np.float64, np.float32, np.int64, np.longdouble, np.array, lambda value: np.array(value, np.float32)]
)
def test_numpys_numbers_become_pythons(kind):
    optimizer = optim.Adam([P], lr=kind(1), eps=kind(2), betas=[kind(0), np.float32(0.5)], amsgrad=np.True_)
    for group in (optimizer.param_groups[0], optimizer.defaults):
        assert group["betas"] == (0, 0.5) and group["amsgrad"] is True and (group["lr"], group["eps"]) == (1, 2)
        assert {type(number) for number in (group["lr"], group["eps"], *group["betas"])} <= {int, float}
    optimizer.param_groups[0]["lr"] = kind(3)
    optimizer.step()
    assert type(optimizer.param_groups[0]["lr"]) in (int, float) and optimizer.param_groups[0]["lr"] == 3
    optimizer.add_param_group({"params": Q, "lr": kind(2)})
    assert type(optimizer.param_groups[1]["lr"]) in (int, float)


def test_a_numpy_number_equal_to_the_one_that_was_there_is_no_stowaway():
    plain, other = make("AdamW"), make("AdamW")
    train(*plain, range(1))
    train(*other, range(1))
    for group in other[1].param_groups:
        group.update(lr=np.float64(group["lr"]), betas=tuple(map(np.float64, group["betas"])))
    assert_same(train(*other, range(1, 3)), train(*plain, range(1, 3)))


@pytest.mark.parametrize(
    ("rule", "switch", "kept"), [("Adam", "amsgrad", "max_exp_avg_sq"), ("RMSprop", "centered", "grad_avg")]
)
def test_a_switch_that_is_thrown_in_between_adds_and_drops_what_the_rule_keeps(rule, switch, kept):
    model, optimizer = train(*make(rule), range(2))
    assert kept in optimizer.state_dict()["state"][0]
    for on in (False, True):
        optimizer.param_groups[0][switch] = on
        train(model, optimizer, range(2, 4))
        state = optimizer.state_dict()
        assert (kept in state["state"][0]) is on and kept in state["state"][5]
        optimizer.load_state_dict(state)
    assert all(np.isfinite(array).all() for array in weights(model))


def test_a_group_that_is_replaced_by_hand_is_followed():
    p = nn.Parameter([1.0])
    optimizer = optim.SGD([p], lr=1.0)
    p.grad += 1
    optimizer.step()
    optimizer.param_groups[0] = {**optimizer.param_groups[0], "lr": 2.0}
    optimizer.step()
    assert p.data == -2


# ---- hooks


def test_hooks_run_before_each_step_in_order_until_they_are_removed():
    calls = []
    p = nn.Parameter([1.0])
    optimizer = optim.SGD([p], lr=1.0)

    def clip(given, args, kwargs):
        assert given is optimizer and args == () and kwargs == {}
        calls.append("clip")
        np.clip(p.grad, -1, 1, out=p.grad)

    def halve(given, args, kwargs):
        calls.append("halve")
        given.param_groups[0]["lr"] = 0.5
        second.remove()
        return args, kwargs

    first = optimizer.register_step_pre_hook(clip)
    second = optimizer.register_step_pre_hook(halve)
    p.grad += 3
    optimizer.step()
    assert calls == ["clip", "halve"] and p.data == 0.5
    optimizer.step()
    assert calls == ["clip", "halve", "clip"]
    first.remove()
    first.remove()
    optimizer.step()
    assert len(calls) == 3


def test_a_hook_that_raises_stops_the_step_and_a_copy_has_no_hooks():
    def fail(optimizer, args, kwargs):
        raise ArithmeticError("no")

    model, optimizer = make("SGD")
    gradients(model, 0)
    before = copy.deepcopy(weights(model))
    optimizer.register_step_pre_hook(fail)
    with pytest.raises(ArithmeticError, match="no"):
        optimizer.step()
    for a, b in zip(weights(model), before, strict=True):
        np.testing.assert_array_equal(a, b)
    train(*copy.deepcopy((model, optimizer)), range(1))
    with pytest.raises(TypeError, match="SGD expects a hook to be a function, got 3"):
        optimizer.register_step_pre_hook(3)


# ---- rules of one's own, and how it is shown


def test_a_rule_of_ones_own_gets_flat_blocks_and_its_own_state():
    calls = []

    class Counting(optim.Optimizer):
        def init_state(self, w, group):
            return {"sum": np.full_like(w, 3)}

        def begin(self, group, step):
            return step * group["lr"]

        def update(self, w, g, state, group, scalars):
            calls.append((w.size, scalars))
            state["sum"] += g
            w -= scalars * state["sum"]

    params = [nn.Parameter(np.zeros((2, 2))), nn.Parameter(np.zeros(3))]
    optimizer = Counting(params, {"lr": 0.5})
    for p in params:
        p.grad += 1
    optimizer.step()
    optimizer.step()
    assert calls == [(7, 0.5), (7, 1.0)]
    assert params[0].data.tolist() == [[-7.0, -7.0]] * 2  # 0.5 * 4 + 1.0 * 5
    assert optimizer.state_dict()["state"][1]["sum"].tolist() == [5.0, 5.0, 5.0]


def test_repr_names_the_settings():
    assert repr(optim.AdamW([P], lr=0.5)).startswith("AdamW({'lr': 0.5, 'betas': (0.9, 0.999), ")
