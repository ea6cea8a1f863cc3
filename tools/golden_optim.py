"""Makes tests/golden_optim.json: what PyTorch's optimizers and schedules do in 25 steps, in float64.

Needs PyTorch, which the tests themselves do not; run by hand, when a case is added:

    python tools/golden_optim.py

A case trains two groups of parameters with the stored gradients, and holds the values after each step; a case with
schedules holds the rates (and what is cycled with them) at the beginning and after each of their steps instead.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import torch

STEPS = 25
START = [[0.5, -1.25], [2.0]]  # the values of the groups' parameters
LAMBDAS = {"inverse": lambda epoch: 1 / (1 + epoch), "halving": lambda epoch: 0.5 ** (epoch // 4)}

# The rule, its settings, and those of either group.
RULES: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("SGD", {}, {"lr": 0.1}, {"lr": 0.03}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}, {}, {"momentum": 0.5}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}, {}, {"dampening": 0.8}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}, {}, {"lr": 0.01, "momentum": 0.7}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.2}, {}, {"weight_decay": 0}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "weight_decay": 0.1, "nesterov": True}, {}, {"nesterov": False}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "weight_decay": 0.1, "maximize": True}, {}, {"maximize": False}),
    ("Adam", {}, {}, {"lr": 0.1}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3}, {}, {"betas": (0.5, 0.6), "eps": 1e-8}),
    ("Adam", {"lr": 0.05, "betas": (0.0, 0.0)}, {}, {"betas": (0.9, 0.0)}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.1}, {}, {"weight_decay": 0.5}),
    ("Adam", {"lr": 0.05, "amsgrad": True, "betas": (0.9, 0.7)}, {}, {"amsgrad": False}),
    ("Adam", {"lr": 0.05, "amsgrad": True, "weight_decay": 0.1, "maximize": True}, {}, {"maximize": False}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.3, "decoupled_weight_decay": True}, {}, {"decoupled_weight_decay": False}),
    ("AdamW", {}, {}, {"lr": 0.1}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.3, "betas": (0.7, 0.9)}, {}, {"weight_decay": 0}),
    ("AdamW", {"lr": 0.05, "amsgrad": True, "betas": (0.9, 0.7), "maximize": True}, {}, {"amsgrad": False}),
    ("RMSprop", {}, {}, {"lr": 0.1}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.7, "eps": 1e-2}, {}, {"alpha": 0.95}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.9}, {}, {"momentum": 0}),
    ("RMSprop", {"lr": 0.02, "centered": True}, {}, {"centered": False}),
    ("RMSprop", {"lr": 0.02, "weight_decay": 0.2}, {}, {"weight_decay": 0}),
    ("RMSprop", {"lr": 0.02, "centered": True, "momentum": 0.5, "weight_decay": 0.1, "maximize": True}, {}, {}),
]

RESUMED = [{"lr": 0.04, "initial_lr": 0.1}, {"lr": 0.5, "initial_lr": 1.0}]
CYCLED = [
    {"initial_lr": 0.01, "max_lr": 0.2, "min_lr": 1e-4, "max_momentum": 0.9, "base_momentum": 0.8},
    {"initial_lr": 0.02, "max_lr": 0.4, "min_lr": 1e-5, "max_momentum": 0.95, "base_momentum": 0.85},
]

# The rule, the settings of the groups, and the schedules with theirs; all are stepped in turn.
TWO = [{"lr": 0.1}, {"lr": 1.0}]
SCHEDULES: list[tuple[str, list[dict[str, Any]], list[tuple[str, dict[str, Any]]]]] = [
    ("SGD", TWO, [("StepLR", {"step_size": 4})]),
    ("SGD", TWO, [("StepLR", {"step_size": 1, "gamma": 0.7})]),
    ("SGD", RESUMED, [("StepLR", {"step_size": 4, "gamma": 0.5, "last_epoch": 5})]),
    ("SGD", RESUMED, [("StepLR", {"step_size": 4, "gamma": 0.5, "last_epoch": 7})]),
    ("SGD", TWO, [("MultiStepLR", {"milestones": [10, 3, 10, 17], "gamma": 0.3})]),
    ("SGD", TWO, [("MultiStepLR", {"milestones": [0, 2]})]),
    ("SGD", RESUMED, [("MultiStepLR", {"milestones": [3, 8, 9], "gamma": 0.3, "last_epoch": 7})]),
    ("SGD", TWO, [("ExponentialLR", {"gamma": 0.9})]),
    ("SGD", RESUMED, [("ExponentialLR", {"gamma": 0.9, "last_epoch": 3})]),
    ("SGD", TWO, [("CosineAnnealingLR", {"T_max": 25})]),
    ("SGD", TWO, [("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01})]),
    ("SGD", TWO, [("CosineAnnealingLR", {"T_max": 1, "eta_min": 0.5})]),
    ("SGD", TWO, [("CosineAnnealingLR", {"T_max": 6.5})]),
    ("SGD", RESUMED, [("CosineAnnealingLR", {"T_max": 10, "eta_min": 0.02, "last_epoch": 5})]),
    ("SGD", TWO, [("LambdaLR", {"lr_lambda": "inverse"})]),
    ("SGD", TWO, [("LambdaLR", {"lr_lambda": ["halving", "inverse"]})]),
    ("SGD", RESUMED, [("LambdaLR", {"lr_lambda": "halving", "last_epoch": 4})]),
    ("SGD", TWO, [("ExponentialLR", {"gamma": 0.95}), ("StepLR", {"step_size": 5, "gamma": 0.5})]),
    ("SGD", TWO, [("CosineAnnealingLR", {"T_max": 6}), ("ExponentialLR", {"gamma": 0.9})]),
    ("SGD", TWO, [("MultiStepLR", {"milestones": [0, 5]}), ("LambdaLR", {"lr_lambda": "inverse"})]),
    ("SGD", TWO, [("OneCycleLR", {"max_lr": 0.5, "total_steps": 25})]),
    ("SGD", TWO, [("OneCycleLR", {"max_lr": [0.5, 0.1], "epochs": 5, "steps_per_epoch": 6, "three_phase": True})]),
    ("SGD", TWO, [("OneCycleLR", {"max_lr": 0.5, "total_steps": 30, "anneal_strategy": "linear", "pct_start": 0.55})]),
    ("SGD", TWO, [("OneCycleLR", {"max_lr": 0.5, "total_steps": 25, "cycle_momentum": False, "pct_start": 0.0})]),
    (
        "SGD",
        TWO,
        [("OneCycleLR", {"max_lr": 0.5, "total_steps": 40, "three_phase": True, "anneal_strategy": "linear"})],
    ),
    (
        "Adam",
        TWO,
        [
            (
                "OneCycleLR",
                {
                    "max_lr": 0.5,
                    "total_steps": 27,
                    "base_momentum": [0.7, 0.8],
                    "max_momentum": [0.9, 0.99],
                    "div_factor": 10.0,
                    "final_div_factor": 50.0,
                },
            )
        ],
    ),
    ("RMSprop", TWO, [("OneCycleLR", {"max_lr": 0.5, "total_steps": 27})]),
    ("SGD", CYCLED, [("OneCycleLR", {"max_lr": 0.3, "total_steps": 33, "last_epoch": 4})]),
    ("SGD", TWO, [("ReduceLROnPlateau", {"factor": 0.5, "patience": 2})]),
    ("SGD", TWO, [("ReduceLROnPlateau", {"factor": 0.5, "patience": 0, "cooldown": 3, "threshold": 0.2})]),
    ("SGD", TWO, [("ReduceLROnPlateau", {"mode": "max", "factor": 0.3, "patience": 1, "min_lr": [0.05, 0.2]})]),
    ("SGD", TWO, [("ReduceLROnPlateau", {"factor": 0.5, "patience": 1, "threshold_mode": "abs", "threshold": 0.3})]),
    (
        "SGD",
        TWO,
        [
            (
                "ReduceLROnPlateau",
                {
                    "mode": "max",
                    "factor": 0.5,
                    "patience": 1,
                    "threshold_mode": "abs",
                    "threshold": 0.1,
                    "eps": 0.06,
                    "min_lr": 0.01,
                },
            )
        ],
    ),
    ("SGD", TWO, [("ExponentialLR", {"gamma": 0.9}), ("ReduceLROnPlateau", {"factor": 0.5, "patience": 1})]),
]


def make_optimizer(rule: str, settings: dict[str, Any], groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    params = [torch.nn.Parameter(torch.tensor(values, dtype=torch.float64)) for values in START]
    return getattr(torch.optim, rule)(
        [{"params": [p], **group} for p, group in zip(params, groups, strict=True)], **settings
    )


def train(optimizer: torch.optim.Optimizer, gradients: list[list[float]]) -> list[list[float]]:
    params = [group["params"][0] for group in optimizer.param_groups]
    values = []
    for gradient in gradients:
        for p, part in zip(params, (gradient[:2], gradient[2:]), strict=True):
            p.grad = torch.tensor(part, dtype=torch.float64)
        optimizer.step()
        values.append([value for p in params for value in p.tolist()])
    return values


def schedule(
    optimizer: torch.optim.Optimizer, schedules: list[tuple[str, dict[str, Any]]], metrics: list[float]
) -> dict[str, list[list[float]]]:
    def rates() -> list[float]:
        return [group["lr"] for group in optimizer.param_groups]

    def momenta() -> list[float]:
        return [group["betas"][0] if "betas" in group else group["momentum"] for group in optimizer.param_groups]

    schedulers = []
    for name, settings in schedules:
        functions = settings.get("lr_lambda")
        if isinstance(functions, list):
            settings = {**settings, "lr_lambda": [LAMBDAS[function] for function in functions]}
        elif functions:
            settings = {**settings, "lr_lambda": LAMBDAS[functions]}
        schedulers.append(getattr(torch.optim.lr_scheduler, name)(optimizer, **settings))
    optimizer.step()  # PyTorch warns without it
    lr, momentum = [rates()], [momenta()]
    for metric in metrics:
        for scheduler in schedulers:
            takes_metric = isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
            scheduler.step(*[metric] * takes_metric)
        lr.append(rates())
        momentum.append(momenta())
    return {"lr": lr} | ({"momentum": momentum} if any(row != momentum[0] for row in momentum) else {})


def main() -> None:
    draw = random.Random(0)
    gradients = [[draw.randint(-64, 64) / 32 for _ in range(3)] for _ in range(STEPS)]
    metrics = [draw.randint(8, 24) / 8 for _ in range(STEPS - 1)] + [float("nan")]
    rules = [
        {
            "rule": rule,
            "settings": settings,
            "groups": groups,
            "values": train(make_optimizer(rule, settings, groups), gradients),
        }
        for rule, settings, *groups in RULES
    ]
    schedules = [
        {
            "rule": rule,
            "groups": groups,
            "schedules": schedules,
            **schedule(make_optimizer(rule, {}, groups), schedules, metrics),
        }
        for rule, groups, schedules in SCHEDULES
    ]
    golden = {
        "torch": torch.__version__,
        "start": START,
        "gradients": gradients,
        "metrics": metrics,
        "rules": rules,
        "schedules": schedules,
    }
    path = Path(__file__).resolve().parent.parent / "tests" / "golden_optim.json"
    path.write_text(json.dumps(golden, separators=(",", ":")).replace('{"rule"', '\n{"rule"') + "\n")


if __name__ == "__main__":
    main()
