"""Schedules: PyTorch's rates to the last digit but one, in any combination, saved and resumed."""

import copy
import inspect
import json
import math
from pathlib import Path

import numpy as np
import pytest

import nn
import optim
from optim import lr_scheduler
from optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)

GOLDEN = json.loads((Path(__file__).parent / "golden_optim.json").read_text(encoding="utf-8"))
LAMBDAS = {"inverse": lambda epoch: 1 / (1 + epoch), "halving": lambda epoch: 0.5 ** (epoch // 4)}

# One of each, on two groups, with settings as odd as they may be; NumPy's scalars among them.
SCHEDULES = {
    "LambdaLR": lambda o: LambdaLR(o, [lambda t: np.float64(0.9) ** t, lambda t: 1 / (1 + t)]),
    "StepLR": lambda o: StepLR(o, np.int64(3), np.float64(0.5)),
    "MultiStepLR": lambda o: MultiStepLR(o, np.array([5, 2, 2]), 0.5),
    "ExponentialLR": lambda o: ExponentialLR(o, np.float32(0.5)),
    "CosineAnnealingLR": lambda o: CosineAnnealingLR(o, np.int64(3), 0.01),
    "OneCycleLR": lambda o: OneCycleLR(o, [0.5, np.float64(0.1)], total_steps=np.int64(12), three_phase=True),
    "ReduceLROnPlateau": lambda o: ReduceLROnPlateau(o, "max", 0.5, patience=1, cooldown=1, min_lr=[0.01, 0.2]),
}
every_schedule = pytest.mark.parametrize("name", SCHEDULES)


def make_optimizer(rule=optim.SGD, lrs=(0.1, 1.0), **settings):
    return rule([{"params": nn.Parameter([1.0]), "lr": lr} for lr in lrs], **settings)


def advance(scheduler, metric):
    scheduler.step(*[metric] * isinstance(scheduler, ReduceLROnPlateau))


def rates(optimizer):
    return [group["lr"] for group in optimizer.param_groups]


def momenta(optimizer):
    return [group["betas"][0] if "betas" in group else group["momentum"] for group in optimizer.param_groups]


# ---- arithmetic


def make_golden(optimizer, name, settings):
    functions = settings.get("lr_lambda")
    if isinstance(functions, list):
        settings = {**settings, "lr_lambda": [LAMBDAS[function] for function in functions]}
    elif functions:
        settings = {**settings, "lr_lambda": LAMBDAS[functions]}
    return getattr(lr_scheduler, name)(optimizer, **settings)


@pytest.mark.parametrize("case", GOLDEN["schedules"], ids=lambda case: f"{case['schedules']}")
def test_every_schedule_goes_where_pytorch_goes(case):
    groups = [{"params": nn.Parameter([0.0]), **group} for group in case["groups"]]
    optimizer = getattr(optim, case["rule"])(groups)
    schedulers = [make_golden(optimizer, name, settings) for name, settings in case["schedules"]]
    lr, momentum = [rates(optimizer)], [momenta(optimizer)]
    for metric in GOLDEN["metrics"]:
        for scheduler in schedulers:
            advance(scheduler, metric)
        assert schedulers[-1].get_last_lr() == rates(optimizer)
        lr.append(rates(optimizer))
        momentum.append(momenta(optimizer))
    assert len(lr) == 26
    np.testing.assert_allclose(lr, case["lr"], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(momentum, case.get("momentum", [momentum[0]] * 26), rtol=1e-12, atol=1e-15)
    assert {type(value) for row in lr + momentum for value in row} <= {float, int}


def test_golden_numbers_cover_every_schedule():
    own = {
        name for name, value in vars(lr_scheduler).items() if isinstance(value, type) and issubclass(value, LRScheduler)
    }
    assert {name for case in GOLDEN["schedules"] for name, _ in case["schedules"]} == own - {"LRScheduler"}
    assert own - {"LRScheduler"} == set(SCHEDULES)


ONE_CYCLE = {"total_steps": None, "epochs": None, "steps_per_epoch": None, "pct_start": 0.3, "anneal_strategy": "cos",
             "cycle_momentum": True, "base_momentum": 0.85, "max_momentum": 0.95, "div_factor": 25.0,
             "final_div_factor": 1e4, "three_phase": False}  # fmt: skip
PLATEAU = {"mode": "min", "factor": 0.1, "patience": 10, "threshold": 1e-4, "threshold_mode": "rel", "cooldown": 0,
           "min_lr": 0, "eps": 1e-8}  # fmt: skip


@pytest.mark.parametrize(
    ("schedule", "settings"),
    [
        (LambdaLR, {"last_epoch": -1}),
        (StepLR, {"gamma": 0.1, "last_epoch": -1}),
        (MultiStepLR, {"gamma": 0.1, "last_epoch": -1}),
        (ExponentialLR, {"last_epoch": -1}),
        (CosineAnnealingLR, {"eta_min": 0, "last_epoch": -1}),
        (OneCycleLR, {**ONE_CYCLE, "last_epoch": -1}),
        (ReduceLROnPlateau, PLATEAU),
    ],
)
def test_default_settings_are_pytorchs(schedule, settings):
    parameters = inspect.signature(schedule).parameters.values()
    assert {p.name: p.default for p in parameters if p.default is not p.empty} == settings


def test_cosine_comes_back_up_and_down_again():
    optimizer = make_optimizer(lrs=[0.5])
    scheduler = CosineAnnealingLR(optimizer, 4, eta_min=0.1)
    found = []
    for t in range(17):
        found.append(optimizer.param_groups[0]["lr"])
        assert scheduler.last_epoch == t
        scheduler.step()
    np.testing.assert_allclose(found, [0.3 + 0.2 * math.cos(math.pi * t / 4) for t in range(17)], rtol=1e-12)


def test_the_order_is_optimizer_then_schedule():
    p = nn.Parameter([0.0])
    optimizer = optim.SGD([p], lr=1.0)
    scheduler = ExponentialLR(optimizer, 0.5)
    p.grad -= 1
    found = []
    for _ in range(3):
        optimizer.step()
        scheduler.step()
        found.append(p.data.item())
    assert found == [1.0, 1.5, 1.75]  # the first step has the first rate


def test_two_schedules_multiply_and_a_rate_set_by_hand_stays():
    optimizer = make_optimizer(lrs=[1.0])
    both = [ExponentialLR(optimizer, 0.5), StepLR(optimizer, 2, 0.1)]
    for _ in range(4):
        for scheduler in both:
            scheduler.step()
    assert rates(optimizer) == pytest.approx([0.5**4 * 0.1**2], rel=1e-12)
    assert both[0].base_lrs == both[1].base_lrs == [1.0]
    optimizer.param_groups[0]["lr"] = 8.0
    both[0].step()
    assert rates(optimizer) == [4.0]


def test_one_cycle_reaches_its_marks():
    optimizer = make_optimizer(optim.Adam)
    scheduler = OneCycleLR(optimizer, [0.5, 0.25], epochs=2, steps_per_epoch=5, pct_start=0.4, div_factor=10.0)
    lr, beta = [rates(optimizer)], [momenta(optimizer)]
    for _ in range(9):
        scheduler.step()
        lr.append(rates(optimizer))
        beta.append(momenta(optimizer))
    assert lr[0] == pytest.approx([0.05, 0.025]) and beta[0] == [0.95, 0.95]
    assert lr[3] == [0.5, 0.25] and beta[3] == [0.85, 0.85]
    assert lr[9] == pytest.approx([0.05e-4, 0.025e-4]) and beta[9] == [0.95, 0.95]
    assert [group["betas"][1] for group in optimizer.param_groups] == [0.999, 0.999]


@pytest.mark.parametrize("pct_start", [0.1, 0.0, 1.0])
def test_one_cycle_has_phases_of_no_length(pct_start):
    optimizer = make_optimizer()
    scheduler = OneCycleLR(optimizer, 0.5, total_steps=10, pct_start=pct_start)
    for _ in range(10):
        scheduler.step()
        assert all(math.isfinite(lr) for lr in rates(optimizer))


def test_plateau_waits_lowers_and_cools_down():
    optimizer = make_optimizer(lrs=[1.0])
    scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=1, cooldown=2, threshold=0)
    found = []
    for epoch, metric in enumerate([3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0, math.nan, math.nan]):
        assert scheduler.last_epoch == epoch
        scheduler.step(metrics=metric)
        found.append(scheduler.get_last_lr()[0])
    assert found == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25]
    assert scheduler.best == 1.0


@pytest.mark.parametrize(
    ("mode", "threshold_mode", "metric", "better"),
    [
        ("min", "rel", 3.1, False),
        ("min", "rel", 2.9, True),
        ("min", "abs", 3.8, False),
        ("min", "abs", 3.7, True),
        ("max", "rel", 4.9, False),
        ("max", "rel", 5.1, True),
        ("max", "abs", 4.2, False),
        ("max", "abs", 4.3, True),
        ("min", "rel", math.nan, False),
        ("max", "abs", math.nan, False),
    ],
)
def test_plateau_takes_for_better_what_beats_the_best_by_the_threshold(mode, threshold_mode, metric, better):
    scheduler = ReduceLROnPlateau(make_optimizer(), mode, threshold=0.25, threshold_mode=threshold_mode)
    scheduler.step(4.0)
    scheduler.step(metric)
    assert (scheduler.best, scheduler.num_bad_epochs) == ((metric, 0) if better else (4.0, 1))


def test_plateau_takes_the_first_metric_for_the_best_also_below_zero():
    scheduler = ReduceLROnPlateau(make_optimizer(), "max")
    scheduler.step(-4.0)
    assert (scheduler.best, scheduler.num_bad_epochs) == (-4.0, 0)


# ---- the state


@every_schedule
def test_a_saved_schedule_goes_on_exactly_and_is_made_of_plain_values(name):
    metrics = [1.0, 0.5, 2.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5]
    optimizer = make_optimizer(momentum=0.5)
    scheduler = SCHEDULES[name](optimizer)
    expected = []
    for t, metric in enumerate(metrics):
        if t == 4:
            saved = json.dumps([optimizer.state_dict(), scheduler.state_dict()])  # refuses all but plain values
        advance(scheduler, metric)
        expected.append((rates(optimizer), momenta(optimizer), scheduler.get_last_lr()))

    other = make_optimizer(lrs=(7.0, 8.0))
    resumed = SCHEDULES[name](other)
    for metric in (5.0, 5.0):
        advance(resumed, metric)
    kept, state = json.loads(saved)
    other.load_state_dict(kept)
    resumed.load_state_dict(state)
    found = []
    for metric in metrics[4:]:
        advance(resumed, metric)
        found.append((rates(other), momenta(other), resumed.get_last_lr()))
    assert found == expected[4:]
    assert json.dumps(state) == json.dumps(json.loads(saved)[1])  # stepping has not written into it


@every_schedule
def test_rates_are_pythons_floats_also_from_numpys(name):
    optimizer = make_optimizer(lrs=(np.float64(0.1), np.float32(0.5)))
    scheduler = SCHEDULES[name](optimizer)
    for metric in (1.0, 1.0, 1.0, 1.0):
        advance(scheduler, np.float64(metric))
    values = [*rates(optimizer), *scheduler.get_last_lr(), *momenta(optimizer)]
    assert {type(value) for value in values} <= {float, int}


@every_schedule
def test_state_and_last_rates_are_copies(name):
    scheduler = SCHEDULES[name](make_optimizer())
    state, before = scheduler.state_dict(), copy.deepcopy(scheduler.state_dict())
    for value in state.values():
        if isinstance(value, list):
            value.append(99)
    scheduler.get_last_lr().append(99)
    assert scheduler.state_dict() == before
    state = scheduler.state_dict()
    scheduler.load_state_dict(state)
    state["_last_lr"].append(99)
    assert scheduler.state_dict() == before


@every_schedule
def test_a_copied_pair_is_a_pair(name):
    optimizer = make_optimizer()
    scheduler = SCHEDULES[name](optimizer)
    before = rates(optimizer)
    twin, twins = copy.deepcopy((optimizer, scheduler))
    assert twins.optimizer is twin
    for _ in range(6):
        advance(twins, 1.0)
    assert rates(optimizer) == before != rates(twin)


@every_schedule
@pytest.mark.parametrize(
    ("spoiled", "text"),
    [
        (lambda state: {}, "expects a state of .*'last_epoch'.*got \\[\\]; nothing was loaded"),
        (lambda state: {**state, "more": 1}, "'more'"),
        (lambda state: {key: state[key] for key in state if key != "last_epoch"}, "expects a state of"),
        (lambda state: {**state, "_last_lr": [0.1]}, "has 2 groups, the state has 1; nothing was loaded"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(name, spoiled, text):
    optimizer = make_optimizer()
    scheduler = SCHEDULES[name](optimizer)
    before = scheduler.state_dict()
    state = {**before, "last_epoch": 7}
    with pytest.raises(ValueError, match=f"{name} {text}" if text.startswith(("expects", "has")) else text):
        scheduler.load_state_dict(spoiled(state))
    assert scheduler.state_dict() == before


@pytest.mark.parametrize(
    ("name", "change", "error", "text"),
    [
        ("StepLR", {"last_epoch": "abc"}, TypeError, "StepLR expects last_epoch to be a whole number.*got 'abc'"),
        ("StepLR", {"last_epoch": -1}, ValueError, "last_epoch to be a whole number of at least 0, got -1"),
        ("StepLR", {"last_epoch": 1.5}, ValueError, "last_epoch.*got 1.5"),
        ("StepLR", {"last_epoch": None}, TypeError, "last_epoch.*got None"),
        ("StepLR", {"base_lrs": 0.1}, TypeError, "base_lrs to be a list, each a number, got 0.1"),
        ("StepLR", {"base_lrs": [0.1, "a"]}, ValueError, "base_lrs.*'a'"),
        ("StepLR", {"_last_lr": [math.nan, 0.1]}, ValueError, "_last_lr.*nan"),
        ("StepLR", {"step_size": 0}, ValueError, "step_size.*got 0"),
        ("StepLR", {"gamma": [0.1, 0.2]}, TypeError, "gamma.*got"),
        ("MultiStepLR", {"milestones": [3, -1]}, ValueError, "milestones to be a list, each a number of at least 0"),
        ("MultiStepLR", {"milestones": 3}, TypeError, "milestones.*got 3"),
        ("ExponentialLR", {"gamma": -1}, ValueError, "gamma.*got -1"),
        ("CosineAnnealingLR", {"T_max": 0}, ValueError, "T_max.*got 0"),
        ("CosineAnnealingLR", {"eta_min": "0"}, TypeError, "eta_min.*got '0'"),
        ("OneCycleLR", {"anneal_strategy": "step"}, ValueError, "anneal_strategy.*got 'step'"),
        ("OneCycleLR", {"total_steps": 2.5}, ValueError, "total_steps.*got 2.5"),
        ("OneCycleLR", {"pct_start": 2.0}, ValueError, "pct_start.*got 2.0"),
        ("OneCycleLR", {"three_phase": 1}, TypeError, "three_phase to be True or False, got 1"),
        ("OneCycleLR", {"cycle_momentum": "no"}, TypeError, "cycle_momentum.*got 'no'"),
        ("ReduceLROnPlateau", {"mode": "low"}, ValueError, "mode.*got 'low'"),
        ("ReduceLROnPlateau", {"mode": None}, TypeError, "mode.*got None"),
        ("ReduceLROnPlateau", {"best": math.nan}, ValueError, "best to be a number, got nan"),
        ("ReduceLROnPlateau", {"num_bad_epochs": -1}, ValueError, "num_bad_epochs.*got -1"),
        ("ReduceLROnPlateau", {"cooldown_counter": "1"}, TypeError, "cooldown_counter.*got '1'"),
        ("ReduceLROnPlateau", {"min_lr": [0.1, -1]}, ValueError, "min_lr.*at least 0, or a list of them, got"),
        ("ReduceLROnPlateau", {"min_lr": -1}, ValueError, "min_lr.*got -1"),
        ("ReduceLROnPlateau", {"min_lr": None}, TypeError, "min_lr.*got None"),
    ],
)
def test_a_state_out_of_range_changes_nothing(name, change, error, text):
    scheduler = SCHEDULES[name](make_optimizer())
    before = scheduler.state_dict()
    with pytest.raises(error, match=text):
        scheduler.load_state_dict({**{key: value for key, value in before.items() if key not in change}, **change})
    with pytest.raises(TypeError, match=f"{name} expects a state as a dict, got NoneType"):
        scheduler.load_state_dict(None)
    assert scheduler.state_dict() == before


@every_schedule
def test_every_value_of_a_state_has_a_range(name):
    scheduler = SCHEDULES[name](make_optimizer())
    assert scheduler.state_dict().keys() <= {*scheduler.ranges, "last_epoch", "base_lrs", "_last_lr"}


def test_a_loaded_state_takes_numpys_numbers_and_settings_of_its_own():
    scheduler = MultiStepLR(make_optimizer(), [3], gamma=0.1)
    state = {**scheduler.state_dict(), "milestones": (1, 2, 5), "gamma": np.float64(0.5), "last_epoch": np.int64(1)}
    scheduler.load_state_dict(state)
    assert (scheduler.milestones, scheduler.gamma, scheduler.last_epoch) == ([1, 2, 5], 0.5, 1)
    assert type(scheduler.gamma) is float and type(scheduler.last_epoch) is int
    scheduler.step()
    assert scheduler.get_last_lr() == [0.05, 0.5]


# ---- groups that come later


def test_chained_forms_take_in_a_group_that_is_added_later():
    for make in (lambda o: StepLR(o, 1, 0.5), lambda o: ExponentialLR(o, 0.5), lambda o: MultiStepLR(o, [1], 0.5)):
        optimizer = make_optimizer()
        scheduler = make(optimizer)
        optimizer.add_param_group({"params": nn.Parameter([1.0]), "lr": 4.0})
        scheduler.step()
        assert scheduler.get_last_lr() == [0.05, 0.5, 2.0]
    optimizer = make_optimizer(lrs=[1.0])
    scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    optimizer.add_param_group({"params": nn.Parameter([1.0]), "lr": 4.0})
    for _ in range(2):
        scheduler.step(1.0)
    assert rates(optimizer) == [0.5, 2.0]


@pytest.mark.parametrize("name", ["LambdaLR", "CosineAnnealingLR", "OneCycleLR", "ReduceLROnPlateau"])
def test_others_say_that_they_have_no_numbers_for_it(name):
    optimizer = make_optimizer()
    scheduler = SCHEDULES[name](optimizer)
    if name == "CosineAnnealingLR":  # needs the initial rate only where it turns
        for _ in range(3):
            scheduler.step()
    optimizer.add_param_group({"params": nn.Parameter([1.0])})
    before, lrs = scheduler.state_dict(), rates(optimizer)
    with pytest.raises(ValueError, match=r"2 groups, got 3|for 3 groups, got 2"):
        advance(scheduler, 1.0)
    assert scheduler.state_dict() == before and rates(optimizer) == lrs


# ---- what is refused

NAN = math.nan
LR = 0.1


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda o: StepLR("SGD", 1), TypeError, "StepLR expects an Optimizer, got str"),
        (lambda o: LambdaLR([o], abs), TypeError, "LambdaLR expects an Optimizer, got list"),
        (lambda o: ReduceLROnPlateau(None), TypeError, "expects an Optimizer, got NoneType"),
        (lambda o: OneCycleLR(1, LR, 10), TypeError, "expects an Optimizer, got int"),
        (lambda o: StepLR(o, 0), ValueError, "StepLR expects step_size to be a number above 0, got 0"),
        (lambda o: StepLR(o, -3), ValueError, "step_size.*got -3"),
        (lambda o: StepLR(o, "3"), TypeError, "step_size.*got '3'"),
        (lambda o: StepLR(o, 1, gamma=-0.1), ValueError, "gamma to be a number of at least 0, got -0.1"),
        (lambda o: StepLR(o, 1, gamma=NAN), ValueError, "gamma.*got nan"),
        (lambda o: StepLR(o, 1, last_epoch=-2), ValueError, "last_epoch.*got -2"),
        (lambda o: StepLR(o, 1, last_epoch=3), ValueError, "StepLR expects group 0 to have initial_lr to go on"),
        (lambda o: MultiStepLR(o, [3, -1]), ValueError, "milestone.*got -1"),
        (lambda o: MultiStepLR(o, ["3"]), TypeError, "milestone.*got '3'"),
        (lambda o: MultiStepLR(o, 3), TypeError, "iterable"),
        (lambda o: MultiStepLR(o, [3], gamma=-1), ValueError, "gamma.*got -1"),
        (lambda o: ExponentialLR(o, -0.5), ValueError, "ExponentialLR expects gamma"),
        (lambda o: ExponentialLR(o, None), TypeError, "gamma.*got None"),
        (lambda o: CosineAnnealingLR(o, 0), ValueError, "T_max to be a number above 0, got 0"),
        (lambda o: CosineAnnealingLR(o, NAN), ValueError, "T_max.*got nan"),
        (lambda o: CosineAnnealingLR(o, 3, eta_min=-1), ValueError, "eta_min.*got -1"),
        (lambda o: CosineAnnealingLR(o, 3, last_epoch=2), ValueError, "group 0 to have initial_lr"),
        (lambda o: LambdaLR(o, [abs]), ValueError, "LambdaLR expects a function for each of 2 groups, got 1"),
        (lambda o: LambdaLR(o, 0.5), TypeError, "LambdaLR expects functions of the epoch, got 0.5"),
        (lambda o: OneCycleLR(o, LR), ValueError, "total_steps, or both epochs and steps_per_epoch"),
        (lambda o: OneCycleLR(o, LR, epochs=3), ValueError, "total_steps, or both"),
        (lambda o: OneCycleLR(o, LR, 0), ValueError, "total_steps to be a whole number above 0, got 0"),
        (lambda o: OneCycleLR(o, LR, 10.0), ValueError, "total_steps.*got 10.0"),
        (lambda o: OneCycleLR(o, LR, epochs=-1, steps_per_epoch=1), ValueError, "epochs.*got -1"),
        (lambda o: OneCycleLR(o, LR, epochs=1, steps_per_epoch=1.5), ValueError, "steps_per_epoch.*got 1.5"),
        (lambda o: OneCycleLR(o, [LR], 10), ValueError, "max_lr for 2 groups, got 1"),
        (lambda o: OneCycleLR(o, [LR, -1], 10), ValueError, "max_lr.*got -1"),
        (lambda o: OneCycleLR(o, LR, 10, pct_start=1.5), ValueError, "a float from 0.0 to 1.0, got 1.5"),
        (lambda o: OneCycleLR(o, LR, 10, pct_start=-0.1), ValueError, "pct_start.*got -0.1"),
        (lambda o: OneCycleLR(o, LR, 10, pct_start=1), ValueError, "pct_start.*got 1"),
        (lambda o: OneCycleLR(o, LR, 10, anneal_strategy="step"), ValueError, r"of \('cos', 'linear'\), got 'step'"),
        (lambda o: OneCycleLR(o, LR, 10, div_factor=0), ValueError, "div_factor.*got 0"),
        (lambda o: OneCycleLR(o, LR, 10, final_div_factor=-1), ValueError, "final_div_factor.*got -1"),
        (lambda o: OneCycleLR(o, LR, 10, base_momentum=-0.1), ValueError, "base_momentum.*got -0.1"),
        (lambda o: OneCycleLR(o, LR, 10, max_momentum=[0.9]), ValueError, "max_momentum for 2 groups, got 1"),
        (lambda o: OneCycleLR(o, LR, 10, last_epoch=2), ValueError, "to have initial_lr, max_lr, min_lr, max_mom"),
        (lambda o: OneCycleLR(make_optimizer(optim.Adam), LR, 9, max_momentum=1.0), ValueError, "momentum.*got 1.0"),
        (lambda o: OneCycleLR(make_optimizer(optim.Optimizer, defaults={}), LR, 9), ValueError, "momentum or betas"),
        (lambda o: ReduceLROnPlateau(o, "low"), ValueError, r"mode to be one of \('min', 'max'\), got 'low'"),
        (lambda o: ReduceLROnPlateau(o, threshold_mode="part"), ValueError, "threshold_mode.*got 'part'"),
        (lambda o: ReduceLROnPlateau(o, factor=1.0), ValueError, r"factor to be a number in \[0, 1\), got 1.0"),
        (lambda o: ReduceLROnPlateau(o, factor=-1), ValueError, "factor.*got -1"),
        (lambda o: ReduceLROnPlateau(o, patience=-1), ValueError, "patience.*got -1"),
        (lambda o: ReduceLROnPlateau(o, cooldown=-1), ValueError, "cooldown.*got -1"),
        (lambda o: ReduceLROnPlateau(o, threshold=NAN), ValueError, "threshold.*got nan"),
        (lambda o: ReduceLROnPlateau(o, eps=-1), ValueError, "eps.*got -1"),
        (lambda o: ReduceLROnPlateau(o, min_lr=-1), ValueError, "min_lr.*got -1"),
        (lambda o: ReduceLROnPlateau(o, min_lr=[0.1]), ValueError, "min_lr for 2 groups, got 1"),
        (lambda o: ReduceLROnPlateau(o).step("low"), ValueError, "low"),
        (lambda o: StepLR(o, 1).step(3), TypeError, "positional"),
        (lambda o: LRScheduler(o), NotImplementedError, "LRScheduler has no get_lr"),
    ],
)  # fmt: skip
def test_refused_with_a_text(call, error, text):
    optimizer = make_optimizer()
    before = rates(optimizer), momenta(optimizer)
    with pytest.raises(error, match=text):
        call(optimizer)
    assert (rates(optimizer), momenta(optimizer)) == before


def test_a_step_beyond_the_cycle_is_refused_and_changes_nothing():
    optimizer = make_optimizer()
    scheduler = OneCycleLR(optimizer, 0.5, total_steps=4)
    for _ in range(4):
        scheduler.step()
    before = rates(optimizer), momenta(optimizer), scheduler.state_dict()
    for _ in range(2):
        with pytest.raises(ValueError, match="OneCycleLR was made for 4 steps, this would be step 5"):
            scheduler.step()
    assert (rates(optimizer), momenta(optimizer), scheduler.state_dict()) == before


@pytest.mark.parametrize("lrs", [[0.5], [0.5, 0.5, 0.5]])
def test_a_schedule_that_gives_another_number_of_rates_is_refused(lrs):
    class Uneven(LRScheduler):
        def get_lr(self):
            return lrs

    optimizer = make_optimizer()
    before = rates(optimizer)
    with pytest.raises(ValueError, match="Uneven expects a rate for each of 2 groups"):
        Uneven(optimizer)
    assert rates(optimizer) == before


def test_a_function_that_fails_leaves_the_schedule_where_it_was():
    optimizer = make_optimizer()
    scheduler = LambdaLR(optimizer, [lambda t: 1.0, lambda t: 1 / (1 - t)])
    before = rates(optimizer), scheduler.state_dict()
    with pytest.raises(ZeroDivisionError):
        scheduler.step()
    assert (rates(optimizer), scheduler.state_dict()) == before


def test_a_rate_that_is_no_number_changes_no_group():
    optimizer = make_optimizer()
    scheduler = LambdaLR(optimizer, [lambda t: 0.5 if t else 1.0, lambda t: "x" if t else 1.0])
    before = rates(optimizer), scheduler.state_dict()
    with pytest.raises((TypeError, ValueError)):
        scheduler.step()
    assert (rates(optimizer), scheduler.state_dict()) == before


def test_a_schedule_of_an_optimizer_whose_rate_is_no_number_is_refused():
    optimizer = make_optimizer()
    optimizer.param_groups[1]["lr"] = None
    with pytest.raises(TypeError, match="SGD expects lr to be a number of at least 0, got None"):
        StepLR(optimizer, 1)


@pytest.mark.parametrize("eta_min", [0.0, 0.03, 0.5])
def test_cosine_never_gives_a_rate_that_a_step_would_refuse(eta_min):
    for T_max in range(1, 40):
        optimizer = make_optimizer(lrs=[0.1, 0.0])
        scheduler = CosineAnnealingLR(optimizer, T_max, eta_min)
        for _ in range(3 * T_max + 2):
            optimizer.step()
            scheduler.step()
