"""Programs of loops compiled and run, for the tests: many in one C file, each on arrays of its own."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest

from nn.lowering.c import Dialect
from nn.lowering.source import HEAD, Source

COMPILER = shutil.which("gcc") or shutil.which("clang")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler here")
WARNINGS = ("-pedantic", "-Wall", "-Wextra", "-Werror")


def build(folder, text, *flags, name="net", compiler=COMPILER):
    """Compile a text to a library that ctypes loads; a warning is an error."""
    source, library = folder / f"{name}.c", folder / f"{name}.so"
    source.write_text(text)
    command = [
        compiler,
        "-std=c99",
        *WARNINGS,
        "-O1",
        *flags,
        "-shared",
        "-fPIC",
        str(source),
        "-o",
        str(library),
        "-lm",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]
    return ctypes.CDLL(str(library))


class Programs:
    """Programs that are compiled together, each in float64 and in float32.

    Each is a function of one table of pointers, one an array in the order of `program.arrays`.
    """

    def __init__(self):
        self.sources = {dtype: (Source(Dialect(real)), []) for dtype, real in DTYPES.items()}
        self.count = 0

    def add(self, program):
        """Add a program, and return its number."""
        for source, functions in self.sources.values():
            where = {
                name: f"({'T' if a.is_real else 'int'} *)a[{k}]" for k, (name, a) in enumerate(program.arrays.items())
            }
            lines = source.calls(program, where)
            functions.append(
                "\n".join([f"void program{self.count}(long n, void **a) {{", "(void)n; (void)a;", *lines, "}"])
            )
        self.count += 1
        return self.count - 1

    def compile(self, folder):
        """Compile all programs."""
        self.libraries = {}
        for dtype, (source, functions) in self.sources.items():
            declared = [line.replace(" {", ";") for text in functions for line in text.splitlines()[:1]]
            text = "\n".join([HEAD, f"typedef {DTYPES[dtype]} T;", *source.text(), *declared, *functions])
            self.libraries[dtype] = build(folder, text + "\n", name=DTYPES[dtype])

    def run(self, number, program, given, dtype, n=0):
        """Run a program on the arrays given by name, and return all arrays."""
        arrays = {}
        for name, array in program.arrays.items():
            kind = dtype if array.is_real else np.intc
            shape = tuple(size if isinstance(size, int) else size.at(n) for size in array.shape)
            value = given.get(name, np.full(shape, 99, kind))
            arrays[name] = np.array(np.broadcast_to(value, shape), kind, order="C")
        pointers = (ctypes.c_void_p * max(len(arrays), 1))(*(array.ctypes.data for array in arrays.values()))
        getattr(self.libraries[dtype], f"program{number}")(ctypes.c_long(n), pointers)
        return arrays


DTYPES = {np.float64: "double", np.float32: "float"}
