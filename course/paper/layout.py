"""How the arrays of a forward pass lie: samples as columns or as rows, one or several, and which sizes they have.

Students write one and the same network in several ways. For each way the shapes of the inputs follow from how the
forward pass uses them: what is added has the same shape, and what is multiplied fits. Sizes that nothing fixes are
chosen different from one another, so that a wrong shape, order or transpose shows.
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from nn.mathematics.trees import base, nodes
from nn.mathematics.words import is_elementwise

from .answers import HandIn, ordered_names
from .reader import Given

SIZES = (3, 5, 4, 6, 7, 8, 2, 9, 10, 11, 12, 13)
SAMPLES = 4
DATA = re.compile(r"([xytXYT]|u|target|label|labels|targets|inputs?|one_?hot|data|Y_true|y_true)\d*")
SCALARS = {"lam", "lambda_", "lmbda", "alpha", "eps", "epsilon", "eta", "tau", "lr", "reg", "delta", "c", "k"}
COUNTS = {"N", "n", "m", "M", "B", "batch", "batch_size", "num_samples", "n_samples", "samples"}


class Layout(NamedTuple):
    """A way in which arrays may lie; axes are "N" for the samples, "1" for a single entry, "d" for those of a sample.

    Attributes:
        name: in words.
        data: the axes of x.
        target: those of y.
        bias: those of what is added to each sample.
        weight: those of a factor with a small letter; one with a capital letter is a matrix.
        class_axis: along which the entries of a sample lie.
    """

    name: str
    data: str
    target: str
    bias: str
    weight: str
    class_axis: int

    @property
    def of_batch(self) -> bool:
        """Whether there are several samples."""
        return "N" in self.data


LAYOUTS = (
    Layout("one sample, as a column", "d1", "d1", "d1", "dd", 0),
    Layout("one sample, as a vector", "d", "d", "d", "dd", 0),
    Layout("one sample, as a vector, and w too", "d", "d", "d", "d", 0),
    Layout("a batch, a sample a column", "dN", "dN", "d1", "dd", 0),
    Layout("a batch, a sample a row", "Nd", "Nd", "d", "dd", 1),
    Layout("a batch, a sample a row, and biases of one row", "Nd", "Nd", "1d", "dd", 1),
    Layout("a batch, a sample a row, one number for each", "Nd", "N", "", "d", 0),
)


def is_data(name: str) -> bool:
    """Tell whether a symbol is data: what goes in, or a target."""
    return DATA.fullmatch(name) is not None


def is_target(name: str) -> bool:
    """Tell whether a symbol is what a prediction is compared with."""
    return is_data(name) and name[0] in "ytYTlo"


class MisfitError(ValueError):
    """Says that the arrays of a forward pass do not fit together."""


class Size:
    """The length of an axis, known or not yet; two that must be the same become one."""

    def __init__(self, value: int | None = None) -> None:
        self.value = value
        self.same_as: Size | None = None

    def root(self) -> Size:
        """Return the one of all that are the same that knows the value."""
        return self if self.same_as is None else self.same_as.root()


Shape = tuple[Size, ...]


def _same(a: Size, b: Size, what: str) -> Size:
    """Make two sizes one."""
    a, b = a.root(), b.root()
    if a is b:
        return a
    if a.value is not None and b.value is not None:
        if a.value != b.value:
            raise MisfitError(f"{what}: {a.value} and {b.value} entries do not fit")
        return a
    if a.value is None:
        a, b = b, a
    b.same_as = a
    return a


def _one(size: Size) -> bool:
    return size.root().value == 1


class Shapes:
    """Finds the shapes of the inputs of a forward pass.

    Args:
        hand_in: whose forward pass.
        layout: the way in which its arrays lie.
        strict: whether matrix products may not sum over the samples, which few forward passes do.

    Attributes:
        inputs: the shape of each input.
        numbers: the inputs that are numbers, with their values.

    Raises:
        MisfitError: where the forward pass cannot be computed with arrays that lie so.
    """

    def __init__(self, hand_in: HandIn, layout: Layout, strict: bool = True) -> None:
        self.layout, self.strict = layout, strict
        self.samples = Size(self._stated_count(hand_in)) if layout.of_batch else Size(1)
        self.numbers: dict[str, float] = {}
        self._shapes: dict[str, Shape] = {}
        factors = _factors(hand_in)
        for name in hand_in.inputs:
            given = hand_in.given.get(name, Given())
            if given.number is not None:
                self.numbers[name] = given.number
            elif given.shape is None and name in COUNTS and _is_divisor(name, hand_in):
                self.numbers[name] = -1  # the number of samples, once that is known
            elif given.shape is None and name in SCALARS:
                self.numbers[name] = 0.3
            else:
                self._shapes[name] = self._input(name, name in factors, given)
        for line in hand_in.forward:
            self._shapes[line.names[0]] = self.of(line.value)
        for size in self._shapes[hand_in.loss]:
            _same(size, Size(1), f"the loss {hand_in.loss} is one number (is a sum missing?)")
        self.inputs = self._chosen([name for name in hand_in.inputs if name in self._shapes])
        if self.samples.root().value is None:
            self.samples.root().value = SAMPLES
        for name, value in self.numbers.items():
            if value == -1:
                self.numbers[name] = self.samples.root().value or 1

    @staticmethod
    def _stated_count(hand_in: HandIn) -> int | None:
        for name, given in hand_in.given.items():
            if name in COUNTS and given.number is not None and given.number == int(given.number) > 0:
                return int(given.number)
        return None

    def _input(self, name: str, is_factor: bool, given: Given) -> Shape:
        """Return the shape of an input as far as it is known."""
        axes = {"N": self.samples, "1": self.samples if is_data(name) else Size(1)}
        is_matrix = is_factor and name[0].isupper()
        form = "dd" if is_matrix else self.layout.weight if is_factor else self.layout.bias
        if is_data(name):
            form = self.layout.target if is_target(name) else self.layout.data
        shape = tuple(axes.get(axis) or Size() for axis in form)
        if given.shape is None:
            return shape
        if len(given.shape) != len(shape):
            raise MisfitError(f"{name} is stated to have {len(given.shape)} axes")
        for axis, (size, value) in enumerate(zip(shape, given.shape, strict=True)):
            _same(size, Size(value), f"axis {axis} of {name}")
        return shape

    def _chosen(self, names: list[str]) -> dict[str, tuple[int, ...]]:
        """Return the shapes with sizes in the place of those that nothing fixes."""
        taken = {size.root().value for shape in self._shapes.values() for size in shape}
        if self.samples.root().value is None:
            self.samples.root().value = next(n for n in (SAMPLES, *SIZES) if n not in taken)
            taken.add(self.samples.root().value)
        free = iter([size for size in (*SIZES, *range(14, 60)) if size not in taken])
        first = list(filter(is_data, names))
        for name in [*first, *names]:
            for size in self._shapes[name]:
                if size.root().value is None:
                    size.root().value = next(free)
        return {name: tuple(size.root().value or 1 for size in self._shapes[name]) for name in names}

    # ---- the shape of an expression

    def of(self, node: ast.AST) -> Shape:
        """Return the shape of an expression, and note what must be the same for it to have one."""
        match node:
            case ast.Name(id=name):
                return self._shapes.get(name, ())
            case ast.BinOp(left=left, op=ast.MatMult(), right=right):
                return self._product(self.of(left), self.of(right), ast.unparse(node))
            case ast.BinOp(left=left, right=right):
                return self._together([self.of(left), self.of(right)], ast.unparse(node))
            case ast.Compare(left=left, comparators=[right]):
                return self._together([self.of(left), self.of(right)], ast.unparse(node))
            case ast.UnaryOp(operand=operand):
                return self.of(operand)
            case ast.Attribute(value=value, attr="T"):
                return tuple(reversed(self.of(value)))
            case ast.Call(func=ast.Attribute(value=value, attr="reshape"), args=sizes):
                return self._reshaped(self.of(value), sizes)
            case ast.Call(func=ast.Attribute(value=value), args=axes, keywords=keywords):
                return self._reduced(self.of(value), axes, bool(keywords))
            case ast.Call(func=ast.Name(id="softmax"), args=[value, *_]):
                return self.of(value)
            case ast.Call(func=ast.Name(id=name), args=arguments) if is_elementwise(name):
                return self._together([self.of(argument) for argument in arguments], ast.unparse(node))
        return ()

    def _product(self, left: Shape, right: Shape, what: str) -> Shape:
        if not left or not right:
            raise MisfitError(f"{what}: @ multiplies arrays, and one of these is a number")
        inner = right[-2] if len(right) > 1 else right[-1]
        if self.strict and self.samples.root() in (left[-1].root(), inner.root()):
            raise MisfitError(f"{what} sums over the samples")
        _same(left[-1], inner, what)
        return (*left[:-1], *(right[-1:] if len(right) > 1 else ()))

    def _together(self, shapes: list[Shape], what: str) -> Shape:
        """Return the shape of something that is computed entry by entry."""
        rank = max(map(len, shapes))
        result: list[Size] = []
        for axis in range(1, rank + 1):
            sizes = [shape[-axis] for shape in shapes if len(shape) >= axis]
            wide = [size for size in sizes if not _one(size)]
            for size in wide[1:]:
                _same(wide[0], size, what)
            result.insert(0, (wide or sizes)[0])
        return tuple(result)

    def _reduced(self, shape: Shape, axes: list[ast.expr], keepdims: bool) -> Shape:
        if not axes:
            return tuple(Size(1) for _ in shape) if keepdims else ()
        places = [each.value for each in ast.walk(axes[0]) if isinstance(each, ast.Constant)]
        gone = {int(place) % len(shape) for place in places if isinstance(place, int) and place < len(shape)}
        if not gone:
            raise MisfitError(f"an array of {len(shape)} axes is summed over axis {ast.unparse(axes[0])}")
        if keepdims:
            return tuple(Size(1) if axis in gone else size for axis, size in enumerate(shape))
        return tuple(size for axis, size in enumerate(shape) if axis not in gone)

    def _reshaped(self, shape: Shape, sizes: list[ast.expr]) -> Shape:
        wide = [size for size in shape if not _one(size)]
        return tuple(
            Size(each.value)
            if isinstance(each, ast.Constant) and isinstance(each.value, int)
            else wide[0]
            if len(wide) == 1
            else Size()
            for each in sizes
        )


def _factors(hand_in: HandIn) -> set[str]:
    """Return the symbols that are factors of matrix products, or are transposed."""
    found: set[str] = set()
    for line in hand_in.forward:
        for node in nodes(line.value):
            sides = [node.left, node.right] if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult) else []
            sides += [node] if isinstance(node, ast.Attribute) and node.attr == "T" else []
            for side in sides:
                while isinstance(side, ast.Attribute):
                    side = side.value
                found.add(base(side))
    return found


def _is_divisor(name: str, hand_in: HandIn) -> bool:
    """Tell whether something is divided by a symbol."""
    return any(
        isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and name in ordered_names(node.right)
        for line in hand_in.forward
        for node in nodes(line.value)
    )
