"""What an optimizer brings to a C file: the order of the weights, its rule, its settings and what it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .expression import LoweringError
from .rule import Rule, numbers_of
from .source import Source, numbers


class Run(NamedTuple):
    """Parameters that one call of the rule updates: of one group, and of one step count."""

    group: Mapping[str, Any]
    step: int
    paths: list[str]
    states: list[Mapping[str, Any]]


class Training:
    """An optimizer over the parameters of a model.

    Args:
        optimizer: from `optim`; None where nothing is trained.
        parameters: of the model, by path.

    Attributes:
        runs: what is updated together.
        frozen: paths of parameters that are not trained.

    Raises:
        LoweringError: for an optimizer of parameters that the model does not have.
    """

    def __init__(self, optimizer: Any, parameters: Mapping[str, Any]) -> None:
        self.optimizer = optimizer
        self.parameters = parameters
        self.runs = self._runs() if optimizer is not None else []
        self.frozen = set(parameters) - {path for run in self.runs for path in run.paths} if self.runs else set()

    def _runs(self) -> list[Run]:
        paths = {p: path for path, p in self.parameters.items()}
        listed = [p for group in self.optimizer.param_groups for p in group["params"]]
        if foreign := [p for p in listed if p not in paths]:
            raise LoweringError(f"the optimizer has a parameter of shape {foreign[0].shape} that the model has not")
        state = self.optimizer.state_dict()["state"]
        found: dict[tuple[int, int], Run] = {}
        for number, group in enumerate(self.optimizer.param_groups):
            for p in group["params"]:
                if p.requires_grad:
                    own = state.get(listed.index(p), {"step": 0})
                    run = found.setdefault((number, own["step"]), Run(group, own["step"], [], []))
                    run.paths.append(paths[p])
                    run.states.append(own)
        return list(found.values())

    def order(self) -> list[str]:
        """Return the paths of all parameters, those of a run one behind the other."""
        first = [path for run in self.runs for path in run.paths]
        return [*first, *(path for path in self.parameters if path not in first)]

    def tables(self, code: Source, dtype: np.dtype) -> tuple[list[str], list[str], list[str]]:
        """Write the rule.

        Args:
            code: where it is written to.
            dtype: of the parameters.

        Returns:
            The definitions of settings and of what the rule keeps, the lines of a step, and the lines of the header.
        """
        definitions, updates, declared = [], [], []
        place = 0
        for number, run in enumerate(self.runs):
            kept = self.optimizer.init_state(np.zeros(1), run.group)
            rule = Rule(self.optimizer, run.group, kept)
            function = code.add("rule", rule.function("?", code.dialect))
            size = sum(self.parameters[path].data.size for path in run.paths)
            values = {"t": float(run.step), **numbers_of(self.optimizer.defaults, run.group)}
            texts = ", ".join(f"{values[name]!r} /* {name} */" for name in rule.settings)
            definitions.append(f"double setting{number}[{len(rule.settings)}] = {{{texts}}};\n")
            arrays = []
            for name in rule.state:
                arrays.append(f"{name}{number}")
                now = np.concatenate(
                    [
                        np.ravel(own.get(name, np.zeros(self.parameters[path].data.size)))
                        for path, own in zip(run.paths, run.states, strict=True)
                    ]
                )
                text = f" = {{\n    {numbers(now.astype(dtype), code.dialect)}\n}}" if now.any() else ""
                definitions.append(f"static T {arrays[-1]}[{max(size, 1)}]{text};\n")
            pointers = ", ".join([f"weights + {place}", f"weight_gradients + {place}", *arrays])
            updates += [
                f"    setting{number}[0] += 1;",
                f"    {function.name}({size}, setting{number}, {pointers});",
            ]
            declared += [
                f"/* Settings of {type(self.optimizer).__name__}: {', '.join(rule.settings)}. They may be changed. */",
                f"extern double setting{number}[{len(rule.settings)}];",
                "",
            ]
            place += size
        return definitions, updates, declared
