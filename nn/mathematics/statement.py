"""What a module states of one call: its equations with values, settled for its inputs, its settings and its mode."""

from __future__ import annotations

import ast
import copy
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from ..parameter import Buffer, Parameter
from ..random import default_generator
from .program import EquationError, Line, Loop, halves, is_gradient, parse
from .run import Walker
from .trees import base, index_name, names_in, subscripts


class Stated(Protocol):
    """What this file asks of a module; `Module` says what the attributes mean."""

    @property
    def symbols(self) -> Mapping[str, str]: ...
    @property
    def input_symbols(self) -> tuple[str, ...]: ...
    @property
    def output_symbols(self) -> tuple[str, ...]: ...

    def equations_of(self, count: int) -> str: ...


def input_names(module: Stated, count: int) -> tuple[str, ...]:
    """Return the symbols of a module's inputs: its own, or x, or x0, x1, ... for several."""
    return module.input_symbols[:count] or (("x",) if count == 1 else tuple(f"x{i}" for i in range(count)))


def output_names(module: Stated, count: int = 1) -> tuple[str, ...]:
    """Return the symbols of a module's outputs: its own, J for a loss, y, or y0, y1, ... for several."""
    if module.output_symbols:
        return module.output_symbols
    stated = dict.fromkeys(name for line in parse(module.equations_of(count)) for name in line.names)
    return ("J",) if "J" in stated else tuple(name for name in stated if re.fullmatch(r"y\d*", name))


def attribute_values(module: Stated) -> dict[str, Any]:
    """Return the values of the attributes that symbols are tied to; None for what there is not, such as no bias."""
    values = {symbol: getattr(module, attribute) for symbol, attribute in module.symbols.items()}
    return {symbol: v.data if isinstance(v, Parameter | Buffer) else v for symbol, v in values.items()}


def _does_without(module: Any, count: int) -> bool:
    """Tell whether forward can be called with so many inputs, since it has defaults for the others."""
    parameters = list(inspect.signature(module.forward).parameters.values())[count:]
    return all(parameter.default is not parameter.empty for parameter in parameters)


class Statement:
    """A module's equations, run for one call: first forward, then `backward`.

    Args:
        module: in the mode that it is in, with the parameters that it has; it is left alone.
        inputs: what it is called with; None for one that is left out.
        generator: where random numbers are drawn from; by default a copy of the module's own, as it stands.

    Attributes:
        inputs, outputs: the symbols.
        attributes: the values of the symbols that are tied to attributes.
        values: of all symbols.

    Raises:
        EquationError: (a ValueError) for a module that states nothing, and for a line that cannot be read or run: it
            names the module, the line and the place.

    Example:
        >>> from nn import ReLU
        >>> statement = Statement(ReLU(), (np.array([-1.0, 2.0]),))
        >>> statement.backward((np.array([3.0, 4.0]),))
        >>> statement.values["dx"]
        array([0., 4.])
    """

    walker = Walker  # what runs the lines

    def __init__(
        self, module: Stated, inputs: tuple[Any, ...], generator: np.random.Generator | int | None = None
    ) -> None:
        self.module = module
        self.attributes = attribute_values(module)
        self.inputs = input_names(module, len(inputs))
        text = module.equations_of(len(inputs))
        if not isinstance(text, str):
            raise EquationError(f"{module!r} expects equations to be a text of lines, got {type(text).__name__}")
        if not text.strip():
            raise EquationError(f"{module!r} states no equations")
        left_out = module.input_symbols[len(inputs) :]
        if len(self.inputs) != len(inputs) or (left_out and not _does_without(module, len(inputs))):
            symbols = ", ".join(module.input_symbols or self.inputs)
            raise EquationError(f"{module!r} states equations of {symbols}, got {len(inputs)} inputs")
        given = {
            **self.attributes,
            **dict.fromkeys(left_out),
            **dict(zip(self.inputs, map(_array, inputs), strict=True)),
        }
        if generator is None:
            generator = copy.deepcopy(default_generator(getattr(module, "generator", None)))
        self._walker = self.walker(given, default_generator(generator))
        with self._named():
            self.outputs = output_names(module, len(inputs))
            forward, self._backward = halves(parse(text))
            stated = {name for line in (*forward, *self._backward) for name in line.names}
            for name in given:
                if is_gradient(name) and name[1:] in {*given, *stated}:
                    raise EquationError(
                        f"the symbol {name} would be the gradient by {name[1:]}: give it another letter"
                    )
            self._walker.run(forward)
            if missing := [name for name in self.outputs if name not in self._walker.values]:
                raise EquationError(f"{missing[0]} has no value: no line states it, or a recurrence has no steps")

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Name the module in what is wrong with its equations."""
        try:
            yield
        except EquationError as error:
            raise type(error)(f"in the equations of {self.module!r}, {error}") from None

    def backward(self, upstream: tuple[Any, ...] | None = None) -> None:
        """Run the lines of the gradients.

        Args:
            upstream: the gradients of the outputs; None means ones.

        Raises:
            EquationError: for gradients of another shape than the outputs, and as in Statement.
        """
        outputs = [self._walker.value(output) for output in self.outputs]
        given = tuple(map(np.ones_like, outputs)) if upstream is None else upstream
        shapes = [np.shape(y) if g is None else np.shape(g) for y, g in zip_longest(outputs, given)]
        if len(given) != len(outputs) or shapes != list(map(np.shape, outputs)):
            wanted = ", ".join(str(np.shape(y)) for y in outputs)
            raise EquationError(f"{self.module!r} expects upstream gradients of shape {wanted}, got {shapes}")
        self._walker.give({f"d{name}": g for name, g in zip(self.outputs, given, strict=True)})
        with self._named():
            self._walker.run(self._backward)

    @property
    def values(self) -> dict[str, Any]:
        """The values of all symbols, as far as the lines have been run."""
        return {name: self._walker.value(name) for name in self._walker.values}

    @property
    def stated(self) -> dict[str, Any]:
        """The values of what the lines state."""
        return self._walker.stated()

    @property
    def wanted(self) -> set[str]:
        """What the equations are there for: the outputs, and the gradients of inputs and parameters."""
        return {*self.outputs, *(f"d{name}" for name in (*self.inputs, *self.attributes))}

    @property
    def scalars(self) -> frozenset[str]:
        """The symbols that stand for one number, by which a product needs no sign."""
        return frozenset(name for name, value in self.values.items() if np.ndim(value) == 0 and name not in self.wanted)

    def lines(self) -> list[Line | Loop]:
        """Return the settled lines as they are shown: without those of no use, and without mere renamings."""
        return inlined(without_unused(self._walker.settled, self.wanted), self.wanted, self.shape_of)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a symbol."""
        return np.shape(self._walker.value(name))


def evaluate_equations(
    module: Stated,
    inputs: tuple[ArrayLike | None, ...],
    grad_output: Any = None,
    *,
    generator: np.random.Generator | int | None = None,
) -> dict[str, Any]:
    """Return the value of every line of a module's equations: intermediates, outputs, gradients.

    Args:
        module: in the mode that it is in, with the parameters that it has; its gradients are left alone.
        inputs: what it is called with.
        grad_output: the upstream gradient, a tuple of them for several outputs; None means ones.
        generator: where random numbers are drawn from; by default a copy of the module's own, as it stands.

    Raises:
        ValueError: for a module that states no equations, a line that cannot be read or run, or upstream gradients
            of another shape than the outputs.

    Example:
        >>> from nn import ReLU
        >>> evaluate_equations(ReLU(), (np.array([-1.0, 2.0]),), np.array([3.0, 4.0]))
        {'y': array([0., 2.]), 'dx': array([0., 4.])}
    """
    statement = Statement(module, inputs, generator)
    statement.backward(grad_output if grad_output is None or isinstance(grad_output, tuple) else (grad_output,))
    return {name: value for name, value in statement.stated.items() if name[1:] not in statement.outputs}


def _array(value: Any) -> np.ndarray | None:
    return None if value is None else np.asarray(value)


# ---- as it is shown


def without_unused(lines: Iterable[Line | Loop], wanted: set[str]) -> list[Line | Loop]:
    """Return the lines but for those that neither are wanted nor occur in a later one."""
    kept: list[Line | Loop] = []
    needed = set(wanted)
    for line in reversed(list(lines)):
        if needed.intersection(line.names):
            kept.append(line)
            needed |= used_names(line)
    return kept[::-1]


def used_names(line: Line | Loop) -> set[str]:
    """Return the names that a line reads."""
    if isinstance(line, Loop):
        return names_in(line.stop).union(*map(used_names, line.lines))
    return names_in(line.value, *(place for target in line.targets for place in subscripts(target)))


def inlined(lines: list[Line | Loop], wanted: set[str], shape_of: Callable[[str], Any]) -> list[Line | Loop]:
    """Return the lines without those that only rename: of `t = s` either name will do, where the shape is the same."""
    stated = {name for line in lines for name in line.names}
    for line in lines:
        if not isinstance(line, Line) or line.adds or len(line.targets) != 1:
            continue
        new, old, places = line.names[0], base(line.value), subscripts(line.targets[0])
        same_places = list(map(ast.dump, places)) == list(map(ast.dump, subscripts(line.value)))
        whole = all(map(index_name, places)) and not names_in(*places) & stated  # h[0] = x[0] is about one step alone
        if not old or not same_places or not whole or shape_of(new) != shape_of(old):
            continue
        if new in wanted and new != old and (old in wanted or old not in stated):
            continue
        gone, stays = (new, old) if new not in wanted else (old, new)
        names = {gone: ast.Name(stays), f"d{gone}": ast.Name(f"d{stays}")}

        def renamed(node: ast.expr, names: Mapping[str, ast.Name] = names) -> ast.Name | None:
            return names.get(node.id) if isinstance(node, ast.Name) else None

        return inlined([other.rewritten(renamed) for other in lines if other is not line], wanted, shape_of)
    return lines
