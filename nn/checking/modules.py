"""Modules as subjects: copies of the module are run, in both modes, its parameters beside its inputs."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np

from .. import tree
from ..losses.base import Loss
from ..module import Module, check_initialized, watching
from .protocol import agree
from .pull import Back, MismatchError, Subject
from .report import Fault
from .state import ModuleState, advance

NO_PARAMETER = (
    "a float array that is no Parameter, so that it has no gradient to check. An nn.Parameter is trained, an nn.Buffer "
    "kept."
)
DOUBLE = "the gradient is float64 where all else is float32. Does a np.zeros want a dtype?"


class ModuleSubject(Subject):
    """A module, and what it is called with.

    Args:
        module: the original, which is left alone.
        inputs: what to call it with.
        loss: what it is chained with; the last input is the target then.
    """

    accumulates = True
    starts_afresh = True
    pinned = "nn's generator, or from a NumPy Generator that is an attribute of the module"
    module: Module

    def __init__(self, module: Module, inputs: tuple, loss: Module | None = None) -> None:
        whole = module if loss is None else Chain(module, loss)
        names, self._targets = _names(module, inputs, chained=loss is not None)
        self.module = _prototype(whole)
        parameters = {name: p.data for name, p in self.module.named_parameters()}
        super().__init__(repr(whole), dict(zip(names, inputs, strict=True)), parameters)
        self.scalar = loss is not None
        if not module.needs_input_grad:
            self.optional = {name: "needs_input_grad is False" for name, _ in tree.named_leaves(self.inputs)}
        for target in (list(self.inputs)[i] for i in self._targets):
            leaves = tree.named_leaves(self.inputs[target], target)
            self.optional |= {name: "a target: no gradient" for name, _ in leaves}
        self.settings = {
            f"{path}.{name}".lstrip("."): value
            for path, part in self.module.named_modules()
            for name, value in vars(part).items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }

    @property
    def mode(self) -> str:  # type: ignore[override]
        """The mode that the module is in."""
        return "train" if self.module.training else "eval"

    def modes(self, training: bool | None) -> list[Self]:
        """Return the subject in each mode, or in the one that is asked for."""
        return [self._with(copy.deepcopy(self.module).train(on)) for on in (True, False) if training in (on, None)]

    def redrawn(self) -> Self:
        """Return the same with the module's own generators further on; the global ones are moved too."""
        module = copy.deepcopy(self.module)
        advance(module)
        return self._with(module)

    def _with(self, module: Module) -> Self:
        other = copy.copy(self)
        other.module = module
        return other

    def instance(self) -> Instance:
        """Return a copy of the module."""
        return Instance(self.module, self._targets)

    def advance(self, pull: Instance) -> None:  # type: ignore[override]
        """Draw from the global generators, and from those of the copy."""
        advance(pull.module)

    def own(self, pull: Instance) -> list[np.ndarray]:  # type: ignore[override]
        """Return the parameters and buffers of the copy."""
        return [member.data for _, member in pull.module._state()]

    # ---- what modules owe besides

    def promises(self, experiment: Any) -> Iterator[Fault]:
        """Yield where a loss's backward without an argument is not the one with ones.

        Raises:
            ValueError: where forward makes parameters that were not there, so that they were not checked.
        """
        instance = self.instance()
        experiment.forward(instance)
        for name, _ in instance.module.named_parameters():
            if name not in self.parameters:
                raise ValueError(f"forward makes the parameter {name}: call the module once before it is checked")
        if not isinstance(self.module, Loss):
            return
        try:
            alone = instance.module.backward()  # type: ignore[call-arg]
            run = experiment.forward(instance)
            with_ones = instance.module.backward(tree.map(lambda leaf: np.ones(np.shape(leaf)), run.output))
        except Exception as error:
            text = f"backward() without an argument raised {type(error).__name__}: {error}."
            yield Fault("backward", "raised", text, cause=error)
            return
        if not agree(tree.ravel(alone), tree.ravel(with_ones)):
            text = "backward() without an argument differs from backward(1.0). It should mean ones."
            yield Fault("backward", "default upstream", text)

    def notes(self, experiment: Any) -> list[str]:
        """Return notes on gradients in float64, and on float arrays that have no gradient.

        These are neither Parameters nor Buffers, and forward does not assign them.
        """
        instance = self.instance()
        before = _plain_arrays(instance.module)
        if before:
            experiment.forward(instance)
        after = _plain_arrays(instance.module)
        return [f"{name}: {DOUBLE}" for name in self._float64_for_float32(experiment)] + [
            f"{name}: {NO_PARAMETER}" for name, array in before.items() if after.get(name) is array
        ]

    def _float64_for_float32(self, experiment: Any) -> list[str]:
        """Return the inputs whose gradient is float64 where they, the parameters and the output are float32."""

        def single(leaf: Any) -> Any:
            return np.asarray(leaf, np.float32) if tree.is_floating(leaf) else leaf

        instance = Instance(copy.deepcopy(self.module).float(), self._targets)
        point = [*experiment.inputs.values(), *experiment.parameters.values()]
        with contextlib.suppress(Exception), np.errstate(all="ignore"):
            experiment.random_state.restore()
            y, back = instance(*tree.map(single, copy.deepcopy(point)))
            if all(np.asarray(leaf).dtype != np.float64 for leaf in tree.leaves(y)):
                gradients = experiment.backward(back, tree.map(single, experiment.upstream))
                received = [name for name in experiment.gradients if name not in experiment.parameters]
                return [name for name in received if np.asarray(gradients[name]).dtype == np.float64]
        return []

    def parts(self) -> Iterator[tuple[str, ModuleSubject]]:
        """Yield the modules inside, children before the parents that call them, each with its first call's inputs."""
        module = self.instance().module
        names = {id(part): name for name, part in module.named_modules()}
        calls: dict[str, tuple[Module, tuple]] = {}

        def record(part: Module, x: tuple, _: Any) -> None:
            calls.setdefault(names.get(id(part), ""), (part, copy.deepcopy(x)))

        with watching(record):
            module(*copy.deepcopy(list(self.inputs.values())))
        for name, (part, x) in calls.items():
            if name:
                with contextlib.suppress(Exception):  # what cannot be checked by itself is passed by
                    yield name, ModuleSubject(part, x)


class Instance:
    """A copy of a module as a pull, whose parameters are taken from the arguments."""

    def __init__(self, module: Module, targets: list[int]) -> None:
        self.targets = targets
        originals = list(module.parameters())
        self.parameters = [copy.copy(p) for p in originals]
        # The parameters' arrays are not copied: the first call takes others in their places.
        self.module = copy.deepcopy(module, dict(zip(map(id, originals), self.parameters, strict=True)))
        self._original, self._has_a_past = module, False

    def __call__(self, *values: Any) -> tuple[Any, Back]:
        count = len(values) - len(self.parameters)
        if self._has_a_past:
            ModuleState(self._original).restore(self.module)
            for p, value in zip(self.parameters, values[count:], strict=True):
                p.data[...] = value
        else:
            self._has_a_past = True
            for p, value in zip(self.parameters, values[count:], strict=True):
                p.data, p.grad = value, np.zeros(value.shape)  # which takes no time, unlike zeros_like
        inputs = values[:count]
        y = self.module(*inputs)
        self._hand_back(values[count:])

        def back(grad_output: Any) -> list[Any]:
            returned = self._one_each(self.module.backward(grad_output), inputs)
            self._hand_back(values[count:])
            return [*returned, *(p.grad for p in self.parameters)]

        return y, back

    def _one_each(self, returned: Any, inputs: tuple) -> Sequence[Any]:
        """Return what backward returned as one gradient for each input."""
        count = len(inputs)
        if count == 1:
            return [returned]
        if not isinstance(returned, tuple | list):  # targets and integers have none
            floating = [any(map(tree.is_floating, tree.leaves(leaf))) for leaf in inputs]
            receiving = [i for i in range(count) if floating[i] and i not in self.targets]
            if len(receiving) != 1:
                raise MismatchError(
                    f"backward returns one gradient for {count} inputs. It should return a tuple of one for each, or "
                    f"derive from nn.Loss if it is a loss, where the prediction alone has one."
                )
            return [returned if i in receiving else None for i in range(count)]
        if len(returned) != count:
            raise MismatchError(
                f"backward returns {len(returned)} gradients for {count} inputs. It should return one for each."
            )
        return returned

    def _hand_back(self, values: tuple) -> None:
        """Show the caller what the module has made of its parameters."""
        for p, value in zip(self.parameters, values, strict=True):
            if p.data is not value:
                value[...] = p.data


class Chain(Module):
    """A model and its loss as one module: what a training step differentiates."""

    def __init__(self, model: Module, loss: Module) -> None:
        self.model = model
        self.loss = loss

    def forward(self, *inputs: Any) -> Any:
        *x, target = inputs
        return self.loss(self.model(*x), target)

    def backward(self, grad_output: Any = None) -> Any:
        given = self.model.backward(self.loss.backward())  # type: ignore[call-arg]
        return (*given, None) if isinstance(given, tuple | list) else (given, None)

    def __repr__(self) -> str:
        return f"{type(self.model).__name__} under {self.loss!r}"


def _names(module: Module, inputs: tuple, chained: bool) -> tuple[list[str], list[int]]:
    """Return what to call the inputs, and the places of the targets among them."""
    count = len(inputs)
    if isinstance(module, Loss) and count > 1 and not chained:
        names = _declared_names(module, count)
        targets = [i for i, name in enumerate(names) if name.startswith("target")]
        if count > 2:
            return names, targets
        targets = targets if len(targets) == 1 else [1]
        return ["target" if i in targets else "prediction" for i in range(count)], targets
    single = "prediction" if isinstance(module, Loss) else "input"
    count -= int(chained)
    names = [single] if count == 1 else [f"input {index}" for index in range(count)]
    return names + ["target"] * int(chained), [count] * int(chained)


def _declared_names(module: Module, count: int) -> list[str]:
    """Return what forward calls its first arguments; a forward that takes any of them says nothing, its base may."""
    for kind in type(module).__mro__:
        if "forward" in vars(kind):
            parameters = list(inspect.signature(vars(kind)["forward"]).parameters.values())[1:]
            if all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters[:count]) and len(parameters) >= count:
                return [p.name for p in parameters[:count]]
    return [f"input {index}" for index in range(count)]


def _prototype(module: Module) -> Module:
    """Return a copy in float64, with its gradients at zero and nothing saved."""
    check_initialized("gradcheck", module)
    prototype = copy.deepcopy(module).double().requires_grad_()
    for p in prototype.parameters():
        p.data = np.array(p.data, order="C")  # so that its flat view is no copy
        p.grad = np.zeros_like(p.data)
    for part in prototype.modules():
        part._saved = None
    return prototype


def _plain_arrays(module: Module) -> dict[str, np.ndarray]:
    """Return the float arrays among the attributes of a module and those inside it, by dotted name."""
    return {
        f"{path}.{name}".lstrip("."): leaf
        for path, part in module.named_modules()
        for key, value in vars(part).items()
        for name, leaf in tree.named_leaves(value, key)
        if key != "_saved" and isinstance(leaf, np.ndarray) and tree.is_floating(leaf)
    }
