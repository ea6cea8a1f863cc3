"""The text of a C file: the functions of nests, and functions that call these in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from .c import Dialect, helpers
from .memory import in_memory
from .nests import Function, nest_function
from .program import Item, Program, Recurrence

HEAD = """\
#include <math.h>

#if defined(__cplusplus) || defined(_MSC_VER)
#define restrict __restrict
#endif
"""

GENERATOR = """\
static unsigned long generator = 1;

/* The next number of Marsaglia's xorshift generator of 32 bits, in [0, 1). */
static T uniform(void) {
    generator ^= generator << 13 & 0xffffffffUL;
    generator ^= generator >> 17;
    generator ^= generator << 5 & 0xffffffffUL;
    return (T)(generator >> 8) / 16777216;
}
"""

Writer = Callable[..., Function]  # writes a nest, as `nest_function` does


class Source:
    """Collects functions; nests that say the same are written once.

    Args:
        dialect: how numbers are written.
        writer: what writes a nest.
    """

    def __init__(self, dialect: Dialect, writer: Writer = nest_function) -> None:
        self.dialect = dialect
        self._writer = writer
        self._nests: dict[str, Function] = {}

    def calls(self, program: Program, where: Mapping[str, str], indent: int = 1) -> list[str]:
        """Return the lines that run a program.

        Args:
            program: the program.
            where: of each array in memory, a pointer to it in C.
            indent: how deep the lines stand.
        """
        kept = in_memory(program)
        return list(self._lines(program.items, program, kept, where, indent))

    def _lines(
        self, items: Iterable[Item], program: Program, kept: set[str], where: Mapping[str, str], indent: int
    ) -> Iterable[str]:
        margin = "    " * indent
        for item in items:
            if isinstance(item, Recurrence):
                step = item.index
                if item.backwards:
                    yield f"{margin}for (long {step} = {item.count} - 1; {step} >= 0; {step}--) {{"
                else:
                    yield f"{margin}for (long {step} = 0; {step} < {item.count}; {step}++) {{"
                yield from self._lines(item.items, program, kept, where, indent + 1)
                yield margin + "}"
                continue
            known = self.add("nest", self._writer("?", item, program.arrays, kept, self.dialect))
            arguments = ["n", *known.steps, *(where[each] for each in known.arguments)]
            yield f"{margin}{known.name}({', '.join(arguments)});"

    def add(self, kind: str, function: Function) -> Function:
        """Return a function under a name of its own; one that says the same as another is that other one."""
        known = self._nests.get(function.text)
        if known is None:
            name = f"{kind}{sum(f.name.startswith(kind) for f in self._nests.values())}"
            text = function.text.replace(" ?(", f" {name}(", 1)
            known = self._nests[function.text] = Function(name, text, function.arguments, function.steps)
        return known

    def functions(self) -> list[Function]:
        """Return all functions so far."""
        return list(self._nests.values())

    @property
    def draws(self) -> bool:
        """Whether random numbers are drawn."""
        return any("uniform()" in function.text for function in self.functions())

    def text(self) -> list[str]:
        """Return the definitions of all nests, with the helpers that they need before them."""
        texts = [function.text for function in self._nests.values()]
        generator = [GENERATOR] if self.draws else []
        return [*helpers(texts, self.dialect), "", *generator, *(f"{text}\n" for text in texts)]


def numbers(values: Iterable[Any], dialect: Dialect) -> str:
    """Return the inside of an array's initialiser, several numbers a line."""
    texts = [_number(value, dialect) for value in values]
    lines = [", ".join(texts[start : start + 8]) for start in range(0, len(texts), 8)]
    return ",\n    ".join(lines)


def _number(value: Any, dialect: Dialect) -> str:
    if isinstance(value, int | np.integer):
        return str(int(value))
    if not np.isfinite(value):
        return dialect.number(float(value))
    return f"{value!s}{dialect.suffix}"


def product(sizes: Iterable[Any]) -> str:
    """Return the product of sizes in C."""
    texts = [str(size) for size in sizes if size != 1]
    return " * ".join(texts) or "1"
