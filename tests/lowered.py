"""Programs of loops compiled and run, for the tests: many in one C file, each on arrays of its own."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest

from nn.lowering.c import Dialect
from nn.lowering.cuts import with_panels
from nn.lowering.nests import nest_function
from nn.lowering.source import HEAD, Source
from nn.lowering.tiles import tile_shape, tiled_function, vector_type

COMPILER = shutil.which("gcc") or shutil.which("clang")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler here")
WARNINGS = ("-pedantic", "-Wall", "-Wextra", "-Werror")


def build(folder, text, *flags, name="net", compiler=COMPILER):
    """Compile a text to a library that ctypes loads; a warning is an error."""
    source, library = folder / f"{name}.c", folder / f"{name}.so"
    source.write_text(text)
    options = ["-std=c99", *WARNINGS, "-O1", *flags, "-shared", "-fPIC"]
    command = [compiler, *options, str(source), "-o", str(library), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]
    return ctypes.CDLL(str(library))


class Programs:
    """Programs that are compiled together, each in float64 and in float32.

    Each is a function of one table of pointers, one an array in the order of `program.arrays`. With tiles, which are
    wide or not, products are written as in a compiled step.
    """

    def __init__(self, wide=None):
        self.wide = wide
        writer = nest_function if wide is None else tiled_function(wide)
        self.sources = {dtype: (Source(Dialect(real), writer), []) for dtype, real in DTYPES.items()}
        self.count = 0

    def laid_out(self, program, dtype):
        """Return the program with panels, where products are in tiles."""
        if self.wide is None:
            return program
        return with_panels(program, tile_shape(self.wide).columns(Dialect(DTYPES[dtype])))

    def add(self, program):
        """Add a program, and return its number."""
        whole = program
        for dtype, (source, functions) in self.sources.items():
            program = self.laid_out(whole, dtype)
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
            vectors, flags = ("", ()) if self.wide is None else (vector_type(self.wide), ("-std=gnu99", "-Wno-psabi"))
            text = "\n".join([HEAD, f"typedef {DTYPES[dtype]} T;", vectors, *source.text(), *declared, *functions])
            self.libraries[dtype] = build(folder, text + "\n", *flags, name=DTYPES[dtype])

    def run(self, number, program, given, dtype, n=0):
        """Run a program on the arrays given by name, and return all arrays."""
        arrays = {}
        program = self.laid_out(program, dtype)
        for name, array in program.arrays.items():
            kind = dtype if array.is_real else np.intc
            shape = tuple(size if isinstance(size, int) else size.at(n) for size in array.shape)
            value = given.get(name, np.full(shape, 99, kind))
            arrays[name] = np.array(np.broadcast_to(value, shape), kind, order="C")
        pointers = (ctypes.c_void_p * max(len(arrays), 1))(*(array.ctypes.data for array in arrays.values()))
        getattr(self.libraries[dtype], f"program{number}")(ctypes.c_long(n), pointers)
        return arrays


DTYPES = {np.float64: "double", np.float32: "float"}
