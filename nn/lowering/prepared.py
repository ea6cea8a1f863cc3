"""A training step that is compiled: its C code, and the pointers to the arrays of model and optimizer."""

from __future__ import annotations

import ctypes
import operator
from typing import Any

import numpy as np

from ..graph import CRITERION
from ..module import Module
from ..random import default_generator
from .c import Dialect
from .compiler import load_library, processor
from .cuts import with_panels
from .example import Example
from .expression import LoweringError
from .limits import index_limits
from .memory import plan, size_at
from .rule import Rule, numbers_of
from .source import HEAD, Source
from .tiles import tile_shape, tiled_function, vector_type

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


class PreparedStep:
    """A training step that is compiled for inputs of certain shapes, and the memory that it runs in.

    Args:
        model, criterion, optimizer: what is trained.
        max_norm: clips gradients; None leaves them.
        arrays: a batch: the inputs, then the target.

    Raises:
        LoweringError: for what has no lowering.
        CompilerError, OSError: where it cannot be compiled.
    """

    def __init__(
        self, model: Module, criterion: Module, optimizer: Any, max_norm: float | None, arrays: list[np.ndarray]
    ) -> None:
        self.model = model
        self.criterion = criterion
        self.optimizer = optimizer
        self.max_norm = -1.0 if max_norm is None else max_norm
        *inputs, target = arrays
        example = Example(model, tuple(inputs), criterion, target)
        self.dtype = example.dtype
        self.parameters = dict(model.named_parameters())
        self.frozen = {path for path, p in self.parameters.items() if not p.requires_grad}
        self._check_optimizer()
        lowered, _ = example.lowered(None, True, True, draw="input", frozen=self.frozen)
        if lowered.program.arrays[lowered.outputs[0]].shape:
            raise LoweringError(f"{criterion!r} gives several losses: take reduction 'mean' or 'sum'")
        self.lowered = lowered
        self.dialect = Dialect("double" if self.dtype == np.float64 else "float")
        self.is_wide = "avx512f" in processor()
        self.program = with_panels(lowered.program, tile_shape(self.is_wide).columns(self.dialect))
        given = [*lowered.inputs, lowered.target]
        self.shapes = [self.program.arrays[name].shape for name in given]
        self.limits = {given.index(name): size_at(size, 1) for name, size in index_limits(self.program).items()}
        self.names = list(self.program.arrays)
        self.rules: dict[tuple[str, ...], Rule] = {}
        for flat in optimizer.flat_groups():
            kept = tuple(flat.arrays)
            self.rules.setdefault(kept, Rule(optimizer, optimizer.param_groups[flat.group], kept))
        self.library = load_library(self._source())
        for function in (self.library.gradients, self.library.step):
            function.restype = ctypes.c_double
        self.pointers = (ctypes.c_void_p * len(self.names))()
        self.given = [(self.names.index(name), self._dtype(name)) for name in given]
        self.capacity = 0
        self.flats: list[Any] = []

    def _check_optimizer(self) -> None:
        """Raise LoweringError where the optimizer trains something else than the model."""
        trained = {p for group in self.optimizer.param_groups for p in group["params"] if p.requires_grad}
        if trained != {p for p in self.parameters.values() if p.requires_grad}:
            raise LoweringError("the optimizer trains other parameters than those of the model")

    def _dtype(self, name: str) -> Any:
        return self.dtype if self.program.arrays[name].is_real else np.intc

    def suits(self, arrays: list[np.ndarray], flats: list[Any]) -> bool:
        """Tell whether the step is compiled for these batch sizes and for what is trained now; if so, find it."""
        if self._size(0, 0, 1) == self._size(0, 0, 2) != len(arrays[0]):
            return False
        if flats is not self.flats or any(p.data is not data for p, data in self.untrained):
            if {path for path, p in self.parameters.items() if not p.requires_grad} != self.frozen:
                return False
            if any(tuple(flat.arrays) not in self.rules for flat in flats):
                return False
            self.find(flats)
        return True

    def _size(self, number: int, axis: int, n: int) -> int:
        return size_at(self.shapes[number][axis], n)

    def fits(self, arrays: list[np.ndarray]) -> bool:
        """Tell whether the code can take a batch: of the right shapes, and with integers that it knows."""
        n = len(arrays[0])
        for number, array in enumerate(arrays):
            if array.shape != tuple([size_at(size, n) for size in self.shapes[number]]):
                return False
        return all(arrays[k].min() >= 0 and arrays[k].max() < largest for k, largest in self.limits.items())

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

    def find(self, flats: list[Any]) -> None:
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
        root = self.criterion if path.startswith(CRITERION) else self.model
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
        groups = self.optimizer.param_groups
        now = [value for group in groups for value in group.values()]
        if len(now) != len(self.seen) or not all(map(operator.is_, now, self.seen)):
            self.seen = now
            for k, flat in enumerate(self.flats):
                values = numbers_of(self.optimizer.defaults, groups[flat.group])
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
            array = np.ascontiguousarray(array, dtype)
            kept.append(array)
            self.pointers[place] = array.__array_interface__["data"][0]
        kept += self._draw(n)
        for buffer, used in self.copied:
            used[...] = buffer
        hooks = self.optimizer.step_pre_hooks
        if hooks:
            loss = self.library.gradients(ctypes.c_long(n), self.pointers)
            if self.max_norm >= 0:
                self.library.clip(ctypes.c_long(self.count), self.sizes, self.flat, ctypes.c_double(self.max_norm))
            for hook in hooks:
                hook(self.optimizer, (), {})
            self.suits(arrays, self.optimizer.flat_groups())
            self._read_settings()
            self.library.update(ctypes.c_long(self.count), self.sizes, self.kinds, self.flat, self.setting)
        else:
            self._read_settings()
            count, bound = ctypes.c_long(self.count), ctypes.c_double(self.max_norm)
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
        modules = dict(self.model.named_modules()) if self.lowered.draws else {}
        for name, path in self.lowered.draws.items():
            shape = tuple(size_at(size, n) for size in self.program.arrays[name].shape)
            generator = default_generator(getattr(modules[path], "generator", None))
            drawn.append(np.ascontiguousarray(generator.random(shape), self.dtype))
            self.pointers[self.names.index(name)] = drawn[-1].__array_interface__["data"][0]
        return drawn
