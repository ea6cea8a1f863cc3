"""The machine's C compiler: a text becomes a library that ctypes calls, once for each text."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
import zlib

from ..files import whole_file

# Sums may be taken in any order, so that they can be taken by vectors; NaN and infinity stay what they are.
FLAGS = (
    *("-std=gnu99", "-O3", "-march=native", "-shared", "-fPIC", "-ffp-contract=fast", "-fno-math-errno"),
    *("-fno-trapping-math", "-fassociative-math", "-fno-signed-zeros", "-freciprocal-math"),
)
SHOWN = 5  # lines of what a compiler complains of


class CompilerError(RuntimeError):
    """Says why a text could not be compiled."""


def find_compiler() -> str | None:
    """Return the C compiler: what the environment variable CC names, or clang, gcc or cc; None where there is none."""
    named = os.environ.get("CC")
    return shutil.which(named) if named else next(filter(None, map(shutil.which, ("clang", "gcc", "cc"))), None)


def cache_folder() -> str:
    """Return where compiled texts are kept: under HANDGRAD_CACHE, or the user's own folder for caches."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.environ.get("HANDGRAD_CACHE") or os.path.join(base, "handgrad")


def load_library(text: str) -> ctypes.CDLL:
    """Return the library of a C text, compiled unless that was done before.

    Raises:
        CompilerError: where there is no compiler, or it fails; with the first lines of what it says.
        OSError: where the folder for compiled texts cannot be written.
    """
    compiler = find_compiler()
    if compiler is None:
        raise CompilerError("there is no C compiler: install clang or gcc, or name one in the environment variable CC")
    text = f"/* {compiler} {' '.join(FLAGS)} {processor()} */\n{text}"
    folder = cache_folder()
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise OSError(
            error.errno, f"cannot keep compiled code: {error.strerror}; set HANDGRAD_CACHE to a folder that can", folder
        ) from error
    encoded = text.encode()
    base = os.path.join(folder, f"{zlib.crc32(encoded):08x}{zlib.crc32(encoded[::-1]):08x}")
    if not _is_made_of(base, text):
        _compile(compiler, text, base)
    return ctypes.CDLL(f"{base}.so")


def processor() -> str:
    """Return what code for one's own processor depends on."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next((line for line in file if line.startswith("flags")), "").partition(":")[2].strip()
    except OSError:
        return os.uname().machine if hasattr(os, "uname") else ""


def _is_made_of(base: str, text: str) -> bool:
    try:
        with open(f"{base}.c", encoding="utf-8") as file:
            return file.read() == text and os.path.isfile(f"{base}.so")
    except FileNotFoundError:
        return False


def _compile(compiler: str, text: str, base: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, library = os.path.join(folder, "step.c"), os.path.join(folder, "step.so")
        with open(source, "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run([compiler, *FLAGS, source, "-o", library, "-lm"], capture_output=True, text=True)
        if done.returncode:
            lines = "\n".join((done.stderr or done.stdout).splitlines()[:SHOWN])
            raise CompilerError(f"{compiler} failed with exit status {done.returncode}:\n{lines}")
        with open(library, "rb") as file:
            code = file.read()
    with whole_file(f"{base}.so") as file:
        file.write(code)
    with whole_file(f"{base}.c", "utf-8") as file:  # last: it tells that the library is there
        file.write(text)
