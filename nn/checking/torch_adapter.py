"""PyTorch as a subject: an autograd Function, a callable or a module with all its parameters, in float64 copies."""

from __future__ import annotations

import copy
import functools
import importlib
from collections.abc import Sequence
from typing import Any, Self, Unpack

import numpy as np

from .. import tree
from .check import Settings, check_subject
from .functions import Arguments, title_of
from .pull import Back, Pull, Subject, copied
from .report import Report
from .state import SOURCES, Source


def torch(function: Any, *tensors: Any, **settings: Unpack[Settings]) -> Report:
    """Check what PyTorch's autograd gives for a function or a module: `gradcheck` for PyTorch.

    A module is checked in training and in evaluation mode, its parameters included, frozen ones too. Everything runs on
    copies in float64, on the tensors' devices. Where some of the tensors require gradients, the others have none.

    Args:
        function: a subclass of `torch.autograd.Function`, a callable, or a `torch.nn.Module`.
        *tensors: what to call it with: tensors, nests of them, and settings, which are passed on.
        **settings: as in `gradcheck`: training, except_for, expected, full, tolerance, generator, raise_exception.

    Returns:
        The report.

    Raises:
        GradcheckError: for a wrong gradient, with the report.
        ModuleNotFoundError: where PyTorch is not installed.
        TypeError: for what cannot be called.

    Example:
        >>> try:
        ...     import torch as pytorch
        ... except ImportError:
        ...     names = ["input", "weight", "bias"]
        ... else:
        ...     names = list(torch(pytorch.nn.Linear(3, 2), pytorch.ones(4, 3)).errors)
        >>> names
        ['input', 'weight', 'bias']
    """
    return check_subject(TorchSubject(importlib.import_module("torch"), function, tensors), **settings)


class TorchSubject(Subject):
    """A PyTorch function or module; `torch` is the library itself."""

    pinned = "PyTorch's, NumPy's or Python's global generator"
    narrow = (
        "A tensor that is made inside has PyTorch's default dtype, float32: give it the input's, or call "
        "torch.set_default_dtype(torch.float64)."
    )

    def __init__(self, torch: Any, function: Any, values: Sequence[Any]) -> None:
        self.torch = torch
        is_rule = isinstance(function, type) and issubclass(function, torch.autograd.Function)
        self.net = copied(function) if isinstance(function, torch.nn.Module) else None
        self.function, title = function, title_of(function)
        signature: Any = function
        if self.net is not None:
            title, signature = repr(function), function.forward
        elif is_rule:
            apart = function.setup_context is not torch.autograd.Function.setup_context
            signature = function.forward if apart else functools.partial(function.forward, None)  # without its ctx
            self.function = function.apply
        elif not callable(function) or isinstance(function, type):
            raise TypeError(
                f"nn.checking.torch expects a subclass of torch.autograd.Function, a torch.nn.Module or a function, "
                f"got {function!r}"
            )
        self.arguments = Arguments(signature, values, lambda leaf: isinstance(leaf, torch.Tensor))
        parameters = dict(self.net.named_parameters()) if self.net is not None else {}
        arrays = tree.map(self._array, self.arguments.arrays)
        super().__init__(title, arrays, tree.map(self._array, parameters))
        self.settings, self.skipped = self.arguments.numbers(), self.arguments.skipped
        self.sources = (*SOURCES, Source(self._get_state, self._set_state, lambda: torch.rand(())))
        tensors = [*self.arguments.arrays.values(), *parameters.values()]
        # What is made of the arrays goes where the tensors are; where some require gradients, the others need none.
        self._devices = [leaf.device for leaf in self._leaves(tensors)]
        inputs = list(zip(tree.named_leaves(self.inputs), tree.leaves(tensors), strict=False))
        if any(leaf is not None and leaf.requires_grad for _, leaf in inputs):
            self.optional = {
                name: "requires_grad is False"
                for (name, _), leaf in inputs
                if leaf is not None and not leaf.requires_grad
            }

    def modes(self, training: bool | None) -> list[Self]:
        """Return a module in each mode, or in the one that is asked for."""
        if self.net is None:
            return super().modes(training)
        subjects = []
        for on, mode in ((True, "train"), (False, "eval")):
            if training in (on, None):
                subjects.append(copy.copy(self))
                subjects[-1].mode = mode
        return subjects

    def instance(self) -> Pull:
        """Return the function as a pull; a module's buffers start afresh in each call."""
        return self._pull

    def _pull(self, *values: Any) -> tuple[Any, Back]:
        devices = iter(self._devices)
        given = tree.map(lambda leaf: None if leaf is None else self._tensor(leaf, next(devices)), list(values))
        names = [name for name, _ in tree.named_leaves(self.inputs | self.parameters)]
        wanted = []
        for name, leaf in zip(names, tree.leaves(given), strict=True):
            if leaf is not None and leaf.is_floating_point() and name not in self.optional:
                wanted.append(leaf.requires_grad_())
        with self.torch.enable_grad():
            y = self._called(given)

        def back(g: Any) -> list[Any]:
            pairs = [
                (output, self._tensor(upstream, output.device))
                for output, upstream in zip(tree.leaves(y), tree.leaves(g), strict=True)
                if upstream is not None and output.requires_grad
            ]
            outputs, upstreams = ([pair[i] for pair in pairs] for i in (0, 1))
            # Autograd's None says that the outputs do not depend on it: a gradient of zero.
            gradients = [self.torch.zeros_like(leaf) for leaf in wanted]
            if pairs:
                gradients = self.torch.autograd.grad(outputs, wanted, upstreams, materialize_grads=True)
            found = {id(leaf): _numpy(gradient) for leaf, gradient in zip(wanted, gradients, strict=True)}
            return [tree.map(lambda leaf: found.get(id(leaf)), value) for value in given]

        return tree.map(lambda leaf: _numpy(leaf) if isinstance(leaf, self.torch.Tensor) else leaf, y), back

    def _called(self, given: list[Any]) -> Any:
        inputs, parameters = given[: len(self.inputs)], given[len(self.inputs) :]
        arguments = self.arguments.filled(inputs)
        if self.net is None:
            return self.function(*arguments)
        state = dict(zip(self.parameters, parameters, strict=True))
        for name, buffer in self.net.named_buffers():
            state[name] = buffer.detach().to(
                self.torch.float64 if buffer.is_floating_point() else buffer.dtype, copy=True
            )
        before = [(module, module.training) for module in self.net.modules()]
        self.net.train(self.mode == "train")
        try:
            return self.torch.func.functional_call(self.net, state, tuple(arguments))
        finally:
            for module, training in before:
                module.training = training

    # ---- tensors and arrays

    def _leaves(self, nest: Any) -> list[Any]:
        return [leaf for leaf in tree.leaves(nest) if leaf is not None]

    def _array(self, leaf: Any) -> np.ndarray | None:
        if leaf is None:
            return None
        return _numpy(leaf.to(self.torch.float64) if leaf.is_floating_point() else leaf)

    def _tensor(self, leaf: np.ndarray, device: Any) -> Any:
        return self.torch.from_numpy(np.asarray(leaf)).to(device)

    # ---- PyTorch's generators, a graphics card's included

    def _get_state(self) -> list[bytes]:
        cuda = self.torch.cuda.get_rng_state_all() if self.torch.cuda.is_initialized() else []
        return [state.numpy().tobytes() for state in (self.torch.get_rng_state(), *cuda)]

    def _set_state(self, states: list[bytes]) -> None:
        cpu, *cuda = (self.torch.frombuffer(bytearray(state), dtype=self.torch.uint8) for state in states)
        self.torch.set_rng_state(cpu)
        if cuda:
            self.torch.cuda.set_rng_state_all(cuda)


def _numpy(tensor: Any) -> np.ndarray:
    return tensor.detach().cpu().numpy()
