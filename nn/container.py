"""Containers: `Container` holds modules under names, `Sequential` chains them; branches are in branch.py.

A tuple that a layer returns is handed to the next one as its several inputs, and comes back as several gradients.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, Self, overload

from .module import Module, count_parameters, is_grad_enabled
from .passes import record_pass


class Container(Module):
    """A row of modules: what Sequential and the branch containers share.

    One object may stand in several places (as people do with one ReLU): the later places get its `share()`.

    Args:
        *modules: the modules in order, or one dict (or OrderedDict) of them by name.

    Raises:
        TypeError: for anything that is not a Module.
        ValueError: for a name that cannot be used.

    Example:
        >>> from nn import ReLU, Tanh
        >>> container = Container(ReLU(), Tanh())
        >>> len(container), container[1]
        (2, Tanh())
    """

    # The modules are the object's own attributes "0", "1", ... (or a dict's names) in order of assignment, so
    # that the walk of every Module finds them under PyTorch's names without knowing containers.

    _part = "module"  # what errors call one of them

    def __init__(self, *modules: Module | dict[str, Module]) -> None:
        if len(modules) == 1 and isinstance(modules[0], dict):
            for name, module in modules[0].items():
                self._add(name, module)
        else:
            for given in modules:
                self.append(given)

    def _add(self, name: str, module: Any) -> None:
        title = type(self).__name__
        if not isinstance(module, Module):
            raise TypeError(f"{title} expects modules, got {module!r} for {name!r}")
        if "." in name or not name:
            raise ValueError(f"{title} expects {self._part} names without dots and not empty, got {name!r}")
        if hasattr(self, name) and name not in vars(self):
            raise ValueError(f"{title} cannot name a {self._part} {name!r}: Module has an attribute of that name")
        if any(module is other for key, other in self._named() if key != name):
            module = module.share()
        vars(self)[name] = module

    def _named(self) -> list[tuple[str, Module]]:
        return [(name, value) for name, value in vars(self).items() if isinstance(value, Module)]

    def append(self, module: Any) -> Self:
        """Append a module, and return this container."""
        self._add(next(name for name in map(str, count(len(self))) if name not in vars(self)), module)
        return self

    def _modules(self) -> list[Module]:
        return [value for value in vars(self).values() if isinstance(value, Module)]

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules())

    def __len__(self) -> int:
        return len(self._modules())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Module:
        """Return the module at an index, or a container of the modules of a slice, the very same objects."""
        if isinstance(index, slice):
            return type(self)(dict(self._named()[index]))
        return self._named()[index][1]

    def __setitem__(self, index: int, module: Module) -> None:
        self._add(self._named()[index][0], module)

    def _locate(self, error: Exception, index: int) -> None:
        """Write into an error's text which module it comes from."""
        error.args = (f"in {self._part} {index} of {type(self).__name__}: {error}",)

    def _without_total(self) -> str:
        named = self._named()
        if not named:
            return f"{type(self).__name__}()"
        numbered = all(name == str(index) for index, (name, _) in enumerate(named))
        lines = []
        for name, module in named:
            text = module._without_total() if isinstance(module, Container) else repr(module)
            text = text if numbered else f"{name!r}: {text}"
            lines.append("  " + text.replace("\n", "\n  ") + "," + _count_comment(module) + "\n")
        opening, closing = ("(", ")") if numbered else ("({", "})")
        return f"{type(self).__name__}{opening}\n{''.join(lines)}{closing}"

    def __repr__(self) -> str:
        return self._without_total() + _count_comment(self)


class Sequential(Container):
    """A chain of layers: the output of each is the input of the next, a tuple its several inputs.

    One object may stand in several places (as people do with one ReLU): the later places get its `share()`.

    Args:
        *layers: the modules in order, or one dict (or OrderedDict) of them by name.

    Shape:
        What the first layer takes, to what the last one gives. With no layers: the input itself.

    Raises:
        TypeError: for anything that is not a Module.

    Example:
        >>> from nn import Linear, ReLU
        >>> model = Sequential(Linear(1, 64), ReLU(), Linear(64, 1))
        >>> model
        Sequential(
          Linear(1, 64),  # 128
          ReLU(),
          Linear(64, 1),  # 65
        )  # 193
        >>> model([[0.5], [1.0]]).shape
        (2, 1)
    """

    _part = "layer"
    _pass: list[bool] | None = None  # the latest that has saved for backward

    def forward(self, *inputs: Any) -> Any:
        saving = is_grad_enabled()
        if saving and self._pass is not None:
            self._pass[0] = False  # at once: also a forward that fails has replaced what its first layers had saved
        output: Any = inputs[0] if len(inputs) == 1 else inputs
        for index, layer in enumerate(self):
            try:
                output = layer(*inputs)
            except (ValueError, TypeError, RuntimeError) as error:
                self._locate(error, index)
                raise
            inputs = output if isinstance(output, tuple) else (output,)
        if saving:
            self._pass = record_pass(output)
        return output

    def backward(self, grad_output: Any) -> Any:
        layers = self._modules()
        for index in reversed(range(len(layers))):
            try:
                grad_output = layers[index].backward(grad_output)
            except (ValueError, TypeError, RuntimeError) as error:
                self._locate(error, index)
                raise
            if grad_output is None:
                if any(count_parameters(layer) for layer in layers[:index]):
                    raise RuntimeError(
                        f"layer {index} of Sequential, {layers[index]!r}, returned no gradient, and layers in front of "
                        f"it have parameters: set its needs_input_grad back to True"
                    )
                return None
        return grad_output

    def _leading(self) -> Iterator[Module]:
        """Yield the layers up to and with the first that has parameters."""
        for layer in self:
            yield layer
            if any(True for _ in layer.parameters()):
                return

    @property
    def needs_input_grad(self) -> bool:
        """False on the outermost model lets its first layer with parameters spare the gradient of its input."""
        return all(layer.needs_input_grad for layer in self._leading())

    @needs_input_grad.setter
    def needs_input_grad(self, value: bool) -> None:
        for layer in self._leading():
            layer.needs_input_grad = value


def _count_comment(module: Module) -> str:
    parameters = count_parameters(module)
    return f"  # {parameters}" if parameters else ""
