"""Containers: modules that chain other modules, forward in order and backward in reverse."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, Self, overload

from .module import Module, count_parameters


class Sequential(Module):
    """A chain of layers: the output of each is the input of the next.

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

    # The layers are the object's own attributes "0", "1", ... (or a dict's names) in order of assignment, so
    # that the walk of every Module finds them under PyTorch's names without knowing containers.

    def __init__(self, *layers: Module | dict[str, Module]) -> None:
        if len(layers) == 1 and isinstance(layers[0], dict):
            for name, layer in layers[0].items():
                self._add(name, layer)
        else:
            for layer in layers:
                self.append(layer)

    def _add(self, name: str, layer: Any) -> None:
        if not isinstance(layer, Module):
            raise TypeError(f"Sequential expects modules, got {layer!r} for {name!r}")
        if "." in name or not name:
            raise ValueError(f"Sequential expects layer names without dots and not empty, got {name!r}")
        if hasattr(self, name) and name not in vars(self):
            raise ValueError(f"Sequential cannot name a layer {name!r}: Module has an attribute of that name")
        if any(layer is other for key, other in self._named() if key != name):
            layer = layer.share()
        vars(self)[name] = layer

    def _named(self) -> list[tuple[str, Module]]:
        return [(name, value) for name, value in vars(self).items() if isinstance(value, Module)]

    def append(self, layer: Module) -> Self:
        """Put a layer behind the last one, and return this container."""
        self._add(next(name for name in map(str, count(len(self))) if name not in vars(self)), layer)
        return self

    def __iter__(self) -> Iterator[Module]:
        return iter([value for value in vars(self).values() if isinstance(value, Module)])

    def __len__(self) -> int:
        return len(self._named())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Module:
        """Return the layer at an index, or a Sequential of the layers of a slice, the very same objects."""
        if isinstance(index, slice):
            return Sequential(dict(self._named()[index]))
        return self._named()[index][1]

    def __setitem__(self, index: int, layer: Module) -> None:
        self._add(self._named()[index][0], layer)

    def forward(self, x: Any) -> Any:
        for index, layer in enumerate(self):
            try:
                x = layer(x)
            except (ValueError, TypeError, RuntimeError) as error:
                raise self._located(error, index)
        return x

    def backward(self, grad_output: Any) -> Any:
        layers = list(self)
        for index in reversed(range(len(layers))):
            try:
                grad_output = layers[index].backward(grad_output)
            except (ValueError, TypeError, RuntimeError) as error:
                raise self._located(error, index)
            if grad_output is None:
                if any(count_parameters(layer) for layer in layers[:index]):
                    raise RuntimeError(
                        f"layer {index} of Sequential, {layers[index]!r}, returned no gradient, and layers in front of "
                        f"it have parameters: set its needs_input_grad back to True"
                    )
                return None
        return grad_output

    @staticmethod
    def _located(error: Exception, index: int) -> Exception:
        """Write into an error's text which layer it comes from."""
        error.args = (f"in layer {index} of Sequential: {error}",)
        return error

    def _leading(self) -> Iterator[Module]:
        """Yield the layers up to and with the first that has parameters."""
        for layer in self:
            yield layer
            if any(True for _ in layer.parameters()):
                return

    @property
    def needs_input_grad(self) -> bool:  # type: ignore[override]
        """False on the outermost model lets its first layer with parameters spare the gradient of its input."""
        return all(layer.needs_input_grad for layer in self._leading())

    @needs_input_grad.setter
    def needs_input_grad(self, value: bool) -> None:
        for layer in self._leading():
            layer.needs_input_grad = value

    def _without_total(self) -> str:
        named = self._named()
        if not named:
            return f"{type(self).__name__}()"
        numbered = all(name == str(index) for index, (name, _) in enumerate(named))
        lines = []
        for name, layer in named:
            text = layer._without_total() if isinstance(layer, Sequential) else repr(layer)
            text = text if numbered else f"{name!r}: {text}"
            lines.append("  " + text.replace("\n", "\n  ") + "," + _count_comment(layer) + "\n")
        opening, closing = ("(", ")") if numbered else ("({", "})")
        return f"{type(self).__name__}{opening}\n{''.join(lines)}{closing}"

    def __repr__(self) -> str:
        return self._without_total() + _count_comment(self)


def _count_comment(module: Module) -> str:
    parameters = count_parameters(module)
    return f"  # {parameters}" if parameters else ""
