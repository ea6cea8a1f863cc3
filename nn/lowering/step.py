"""A whole training step in C, compiled on first use and run on the very arrays of the model and its optimizer."""

from __future__ import annotations

import ctypes
import operator
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..graph import CRITERION
from ..module import Module
from ..random import default_generator
from ..settings import number
from ..utils import clip_grad_norm_
from .c import Dialect
from .compiler import CompilerError, load_library, processor
from .example import Example
from .expression import LoweringError
from .limits import limits
from .memory import plan, size_at
from .model import Lowered
from .rule import Rule, numbers_of
from .source import HEAD, Source
from .tiles import tile_shape, tiled_function, vector_type, with_panels

CODE = """\
double gradients(long n, void *const *a) {
@gradients
}

/* Scale the gradients of all flat arrays, so that their norm is at most max_norm. */
void clip(long count, const long *size, void *const *flat, double max_norm) {
    double total = 0;
    for (long k = 0; k < count; k++) {
        const T *g = (const T *)flat[k * ARRAYS + 1];
        for (long i = 0; i < size[k]; i++) total += (double)g[i] * g[i];
    }
    const double coefficient = max_norm / (sqrt(total) + 1e-6);
    if (coefficient >= 1) return;
    for (long k = 0; k < count; k++) {
        T *g = (T *)flat[k * ARRAYS + 1];
        for (long i = 0; i < size[k]; i++) g[i] *= (T)coefficient;
    }
}

void update(long count, const long *size, const long *kind, void *const *flat, const double *setting) {
    for (long k = 0; k < count; k++) {
        void *const *b = flat + k * ARRAYS;
        const double *s = setting + k * SETTINGS;
@rules
    }
}

double step(long n, void *const *a, long count, const long *size, const long *kind, void *const *flat,
            const double *setting, double max_norm) {
    const double loss = gradients(n, a);
    if (max_norm >= 0) clip(count, size, flat, max_norm);
    update(count, size, kind, flat, setting);
    return loss;
}
"""


def compile(  # noqa: A001 - the name that it has in PyTorch
    model: Module, criterion: Module, optimizer: Any, *, max_norm: float | None = None
) -> CompiledStep:
    """Return a function that takes a whole training step in C: `loss = step(x, y)`.

    A step does what these lines do, on the same arrays and the same state, so that both can take turns:

        loss = criterion(model(x), y)
        optimizer.zero_grad()
        model.backward(criterion.backward())
        clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()

    It is made of the equations that the layers, the loss and the rule state, compiled by the machine's C compiler when
    it is first called, and kept for the next run. Gradients of frozen parameters are not computed. Where there is no
    compiler, or something has no lowering, it says so once and runs the lines above.

    Args:
        model: any Module whose layers state their equations.
        criterion: the loss, of reduction 'mean' or 'sum'.
        optimizer: from `optim`, over parameters of the model.
        max_norm: clips the norm of the gradients of all that is trained; None leaves them.

    Raises:
        TypeError: for what is no Module, or no optimizer.
        ValueError: for a negative `max_norm`.

    Example:
        >>> from nn import Linear, MSELoss
        >>> class Descent:
        ...     pass
        >>> compile(Linear(1, 1), MSELoss(), Descent())
        Traceback (most recent call last):
            ...
        TypeError: compile expects an optimizer of the package optim, got Descent
    """
    for role, module in (("model", model), ("criterion", criterion)):
        if not isinstance(module, Module):
            raise TypeError(f"compile expects a Module as {role}, got {module!r}")
    if not hasattr(optimizer, "flat_groups"):
        raise TypeError(f"compile expects an optimizer of the package optim, got {type(optimizer).__name__}")
    if max_norm is not None:
        max_norm = number("compile", "max_norm", max_norm, at_least=0)
    return CompiledStep(model, criterion, optimizer, max_norm)


class CompiledStep:
    """A training step, as `compile` makes it; call it with a batch.

    Attributes:
        reason: why steps are run in Python; "" while they are run in C.

    Example:
        >>> import optim
        >>> from nn import Linear, MSELoss
        >>> model = Linear(1, 1)
        >>> step = compile(model, MSELoss(), optim.SGD(model.parameters(), lr=0.1))
        >>> losses = [step([[1.0]], [[2.0]]) for _ in range(9)]
        >>> losses[-1] < losses[0] / 10
        np.True_
    """

    def __init__(self, model: Module, criterion: Module, optimizer: Any, max_norm: float | None) -> None:
        self.model = model
        self.criterion = criterion
        self.optimizer = optimizer
        self.max_norm = max_norm
        self.reason = ""
        self._modules = [*model.modules(), *criterion.modules()]
        self._ready: dict[Any, _Ready] = {}

    def __call__(self, x: Any, y: ArrayLike) -> Any:
        """Take a step on a batch, and return its loss as it was before.

        Args:
            x: the input; a tuple for several.
            y: the target.
        """
        inputs = x if isinstance(x, tuple) else (x,)
        arrays = [np.asarray(each) for each in (*inputs, y)]
        if self.reason or not arrays[0].ndim or not len(arrays[0]):
            return self._python_step(inputs, y)
        try:
            ready = self._prepared(arrays)
        except (TypeError, ValueError, RuntimeError) as error:
            loss = self._python_step(inputs, y)  # which says better what is wrong with a batch
            self._give_up(error)
            return loss
        return self._python_step(inputs, y) if ready is None else ready.step(arrays)

    def _python_step(self, inputs: tuple, y: ArrayLike) -> Any:
        loss = self.criterion(self.model(*inputs), y)
        self.optimizer.zero_grad()
        self.model.backward(self.criterion.backward())  # type: ignore[call-arg]
        if self.max_norm is not None:
            clip_grad_norm_(self.model.parameters(), self.max_norm)
        self.optimizer.step()
        return loss

    def _prepared(self, arrays: list[np.ndarray]) -> _Ready | None:
        """Return the compiled step for arrays like these; None where there is none."""
        flats = self.optimizer.flat_groups()
        key = (
            tuple([(array.shape[1:], array.dtype.kind) for array in arrays]),
            tuple([module.training for module in self._modules]),
        )
        ready = self._ready.get(key)
        if ready is None or not ready.takes(arrays, flats):
            try:
                ready = _Ready(self, arrays, flats)
                ready.takes(arrays, flats)
                self._ready[key] = ready
            except (LoweringError, CompilerError, OSError) as error:
                self._give_up(error)
                return None
        return ready if ready.in_range(arrays) else None

    def _give_up(self, error: Exception) -> None:
        self.reason = str(error)
        warnings.warn(f"the training step runs in Python: {error}", RuntimeWarning, stacklevel=4)


class _Ready:
    """A step that is compiled for inputs of certain shapes, and the memory that it runs in."""

    def __init__(self, owner: CompiledStep, arrays: list[np.ndarray], flats: list[Any]) -> None:
        *inputs, target = arrays
        self.owner = owner
        example = Example(owner.model, tuple(inputs), owner.criterion, target)
        self.dtype = example.dtype
        self.parameters = dict(owner.model.named_parameters())
        self.frozen = {path for path, p in self.parameters.items() if not p.requires_grad}
        self._check_optimizer()
        lowered, self.is_free = example.lowered(True, True, True, draw="input", frozen=self.frozen)
        check_scalar(lowered, owner.criterion)
        self.rows = example.rows
        self.lowered = lowered
        self.dialect = Dialect("double" if self.dtype == np.float64 else "float")
        self.is_wide = "avx512f" in processor()
        self.program = with_panels(lowered.program, tile_shape(self.is_wide).columns(self.dialect))
        self.limits = [(lowered.inputs + [lowered.target]).index(name) for name in limits(self.program)]
        self.largest = [size_at(size, 1) for size in limits(self.program).values()]
        self.names = list(self.program.arrays)
        self.rules: dict[tuple[str, ...], Rule] = {}
        for flat in flats:
            names = tuple(flat.arrays)
            self.rules.setdefault(names, Rule(owner.optimizer, owner.optimizer.param_groups[flat.group], names))
        self.library = load_library(self._source())
        for function in (self.library.gradients, self.library.step):
            function.restype = ctypes.c_double
        self.pointers = (ctypes.c_void_p * len(self.names))()
        self.given = [self._places(name) for name in (*lowered.inputs, lowered.target)]
        self.capacity = 0
        self.flats: list[Any] = []

    def _check_optimizer(self) -> None:
        """Raise LoweringError where the optimizer trains something else than the model."""
        trained = {p for group in self.owner.optimizer.param_groups for p in group["params"] if p.requires_grad}
        if trained != {p for p in self.parameters.values() if p.requires_grad}:
            raise LoweringError("the optimizer trains other parameters than those of the model")

    def _places(self, name: str) -> tuple[int, Any]:
        """Return where the pointer to an argument goes, -1 for one that nothing reads, and its dtype."""
        if name not in self.program.arrays:
            return -1, None
        return self.names.index(name), self.dtype if self.program.arrays[name].is_real else np.intc

    def takes(self, arrays: list[np.ndarray], flats: list[Any]) -> bool:
        """Tell whether the step is compiled for these batch sizes and what is trained now, and find the arrays."""
        if not self.is_free and len(arrays[0]) != self.rows:
            return False
        if flats is not self.flats or any(p.data is not data for p, data in self.untrained):
            if {path for path, p in self.parameters.items() if not p.requires_grad} != self.frozen:
                return False
            if any(tuple(flat.arrays) not in self.rules for flat in flats):
                return False
            self._find(flats)
        return True

    def in_range(self, arrays: list[np.ndarray]) -> bool:
        """Tell whether integers are such that the code knows what to do with them; the Python step knows them all."""
        for place, largest in zip(self.limits, self.largest, strict=True):
            if arrays[place].min() < 0 or arrays[place].max() >= largest:
                return False
        return True

    # ---- the code

    def _source(self) -> str:
        code = Source(self.dialect, tiled_function(self.is_wide))
        where = {
            name: f"({'T' if array.is_real else 'int'} *)a[{number}]"
            for number, (name, array) in enumerate(self.program.arrays.items())
        }
        calls = code.calls(self.program, where)
        loss = where[self.lowered.outputs[0]]
        rules = []
        for kind, rule in enumerate(self.rules.values()):
            name = code.add("rule", rule.function("?", code.dialect)).name
            arrays = "".join(f", (T *)b[{k}]" for k in range(2 + len(rule.state)))
            rules.append(f"        if (kind[k] == {kind}) {name}(size[k], s{arrays});")
        self.width = 2 + max((len(rule.state) for rule in self.rules.values()), default=0)
        self.settings = len(next(iter(self.rules.values())).settings) if self.rules else 1
        body = CODE.replace("@gradients", "\n".join([*calls, f"    return *{loss};"]))
        body = body.replace("@rules", "\n".join(rules))
        head = [
            HEAD,
            f"typedef {code.dialect.real} T;",
            vector_type(self.is_wide),
            f"enum {{ ARRAYS = {self.width}, SETTINGS = {self.settings} }};",
        ]
        return "\n".join([*head, *code.text(), body])

    # ---- the arrays

    def _find(self, flats: list[Any]) -> None:
        """Put pointers to the arrays of model and optimizer where the code looks for them."""
        self.flats = flats
        self.untrained = [(self.parameters[path], self.parameters[path].data) for path in self.frozen]
        self.held: list[Any] = []  # what pointers point to, so that it stays
        self.copied: list[tuple[np.ndarray, np.ndarray]] = []  # buffers of another dtype, and what the code has of them
        for place, (name, array) in enumerate(self.program.arrays.items()):
            if name in self.lowered.parameters:
                self.pointers[place] = self._pointer(self.parameters[self.lowered.parameters[name]].data)
            elif array.role == "gradient":
                self.pointers[place] = self._pointer(self.parameters[self.lowered.parameters[name[1:]]].grad)
            elif name in self.lowered.constants:
                place_of = self.lowered.values.get(name)
                value = self._live(*place_of) if place_of else self.lowered.constants[name]
                used = np.ascontiguousarray(value, self.dtype if array.is_real else np.intc)
                self.pointers[place] = self._pointer(used)
                if array.role == "buffer" and used is not value:
                    self.copied.append((value, used))
            elif array.role in ("output", "random"):
                self.capacity = 0
        self.loss = np.zeros((), self.dtype)
        self.pointers[self.names.index(self.lowered.outputs[0])] = self._pointer(self.loss)
        kinds = list(self.rules)
        self.count = len(flats)
        self.sizes = (ctypes.c_long * self.count)(*(flat.data.size for flat in flats))
        self.kinds = (ctypes.c_long * self.count)(*(kinds.index(tuple(flat.arrays)) for flat in flats))
        self.flat = (ctypes.c_void_p * (self.count * self.width))()
        for k, flat in enumerate(flats):
            for place, array in enumerate((flat.data, flat.grad, *flat.arrays.values())):
                self.flat[k * self.width + place] = self._pointer(array)
        self.setting = (ctypes.c_double * (self.count * self.settings))()
        self.seen: list[Any] = []

    def _live(self, path: str, attribute: str) -> np.ndarray:
        """Return the array of a buffer as the model or the criterion has it now."""
        inner = path.removeprefix(CRITERION).removeprefix(".")
        root = self.owner.criterion if path.startswith(CRITERION) else self.owner.model
        value = getattr(dict(root.named_modules())[inner], attribute)
        return getattr(value, "data", value) if not isinstance(value, np.ndarray) else value

    def _pointer(self, array: np.ndarray) -> int:
        if not array.flags.c_contiguous:
            raise LoweringError(f"an array of shape {array.shape} is not contiguous")
        self.held.append(array)
        return array.__array_interface__["data"][0]

    def _make_room(self, n: int) -> None:
        """Plan the memory of intermediate values for a batch size."""
        self.capacity = n
        places, reals, integers = plan(self.program, n)
        self.block = np.empty(reals, self.dtype), np.empty(integers, np.intc)
        starts = [block.__array_interface__["data"][0] for block in self.block]
        for name, place in places.items():
            is_integer = not self.program.arrays[name].is_real
            self.pointers[self.names.index(name)] = starts[is_integer] + place * self.block[is_integer].itemsize

    def _read_settings(self) -> None:
        """Give the code the settings of the groups, where one has changed."""
        groups = self.owner.optimizer.param_groups
        now = [value for group in groups for value in group.values()]
        if len(now) != len(self.seen) or not all(map(operator.is_, now, self.seen)):
            self.seen = now
            for k, flat in enumerate(self.flats):
                values = numbers_of(self.owner.optimizer.defaults, groups[flat.group])
                for place, value in enumerate(values.values(), start=1):
                    self.setting[k * self.settings + place] = value
        for k, flat in enumerate(self.flats):
            self.setting[k * self.settings] = flat.states[0]["step"] + 1

    def step(self, arrays: list[np.ndarray]) -> Any:
        """Take a step."""
        n = len(arrays[0])
        if n > self.capacity:
            self._make_room(n)
        kept = []
        for (place, dtype), array in zip(self.given, arrays, strict=True):
            if place >= 0:
                array = np.ascontiguousarray(array, dtype)
                kept.append(array)
                self.pointers[place] = array.__array_interface__["data"][0]
        kept += self._draw(n)
        for buffer, used in self.copied:
            used[...] = buffer
        max_norm = -1.0 if self.owner.max_norm is None else self.owner.max_norm
        hooks = self.owner.optimizer.step_pre_hooks
        if hooks:
            loss = self.library.gradients(ctypes.c_long(n), self.pointers)
            if max_norm >= 0:
                self.library.clip(ctypes.c_long(self.count), self.sizes, self.flat, ctypes.c_double(max_norm))
            for hook in hooks:
                hook(self.owner.optimizer, (), {})
            self.takes(arrays, self.owner.optimizer.flat_groups())
            self._read_settings()
            self.library.update(ctypes.c_long(self.count), self.sizes, self.kinds, self.flat, self.setting)
        else:
            self._read_settings()
            count, bound = ctypes.c_long(self.count), ctypes.c_double(max_norm)
            loss = self.library.step(
                ctypes.c_long(n), self.pointers, count, self.sizes, self.kinds, self.flat, self.setting, bound
            )
        for buffer, used in self.copied:
            buffer[...] = used
        for flat in self.flats:
            for state in flat.states:
                state["step"] += 1
        return self.dtype.type(loss)

    def _draw(self, n: int) -> list[np.ndarray]:
        """Draw the random numbers of a step as the modules would, from the same generators."""
        drawn = []
        modules = dict(self.owner.model.named_modules()) if self.lowered.draws else {}
        for name, path in self.lowered.draws.items():
            shape = tuple(size_at(size, n) for size in self.program.arrays[name].shape)
            generator = default_generator(getattr(modules[path], "generator", None))
            drawn.append(np.ascontiguousarray(generator.random(shape), self.dtype))
            self.pointers[self.names.index(name)] = drawn[-1].__array_interface__["data"][0]
        return drawn


def check_scalar(lowered: Lowered, criterion: Module) -> None:
    """Raise LoweringError for a loss that is no single number."""
    if lowered.program.arrays[lowered.outputs[0]].shape:
        raise LoweringError(f"{criterion!r} gives several losses: train with reduction 'mean' or 'sum'")
