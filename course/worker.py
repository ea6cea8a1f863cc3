"""The process in which a hand-in runs: it computes what it is asked for, and knows neither tests nor solutions.

It reads requests and writes answers through a channel of its own; what the hand-in prints goes nowhere. Limits on
memory and on the size of files come from the system, and a hook refuses to write outside the working folder, to start
programs and to open connections. That holds mistakes off, and is no sandbox against malice.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from .calls import CALLS
from .channel import Channel
from .filling import Filling, kind_of
from .statements import StatementError

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {  # events that change what their paths name
    *("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.chown", "os.link", "os.symlink"),
    *("os.utime", "shutil.rmtree", "shutil.move", "shutil.copyfile", "shutil.copytree"),
}
REFUSED = ("subprocess.", "socket.", "os.exec", "os.fork", "os.spawn", "os.posix_spawn", "os.system", "os.kill", "pty.")


def main() -> None:
    """Serve until the grader has no more requests."""
    channel = Channel(os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb"))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    order = channel.receive()
    for name in [name for name in sys.modules if name.partition(".")[0] == "course"]:
        sys.modules[name] = None  # type: ignore[assignment]  # a hand-in that imports the solutions gets an ImportError
    for module, owner, method in order["withheld"]:
        setattr(getattr(importlib.import_module(module), owner), method, withheld)
    confine(order["folder"], order["memory"], order["file_size"])
    try:
        serve = SERVICES[order["service"]](Path(order["file"]))
    except BaseException as error:  # whatever a file does when it is imported, such as to call exit
        channel.send(failure(error, order["file"]))
        return
    channel.send({})
    while True:
        try:
            request = channel.receive()
        except EOFError:
            return
        try:
            answer = serve(request)
        except BaseException as error:  # as above
            answer = failure(error, order["file"])
        channel.send(answer)


def withheld(*args: object, **kwargs: object) -> NoReturn:
    """Stand in the place of a solution of handgrad's own."""
    raise PermissionError("it asks handgrad itself for the solution")


def failure(error: BaseException, filename: str) -> dict[str, Any]:
    """Return in words what a hand-in raised, and the line of its file."""
    if isinstance(error, StatementError):
        return {"error": str(error), "line": error.line}
    if isinstance(error, SystemExit):
        text = "it calls exit"
    elif isinstance(error, MemoryError):
        text = "it needs more memory than it may have"
    elif isinstance(error, LookupError) and type(error) is LookupError:
        text = str(error.args[0])
    else:
        text = f"{type(error).__name__}: {error}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
    return {"error": text[:1000], "line": (lines or [0])[-1] or 0}


# ---- limits


def confine(folder: str, memory: int, file_size: int) -> None:
    """Limit this process for good: its memory, the files that it writes, and where."""
    if resource:
        for what, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, file_size), (resource.RLIMIT_CORE, 0)):
            resource.setrlimit(what, (most, most))
    inside = os.path.realpath(folder) + os.sep

    def is_allowed(path: object) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return True  # a file that is open already
        name = os.path.realpath(os.fsdecode(path))
        return name.startswith(inside) or name == os.devnull

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool(flags & WRITING)
            if writes and not is_allowed(path):
                raise PermissionError(f"it writes to {path!r}, and may write into its working folder alone")
        elif event in CHANGES:
            for path in arguments[:2]:
                if not is_allowed(path):
                    raise PermissionError(f"it changes {path!r}, and may change its working folder alone")
        elif event.startswith(REFUSED):
            raise PermissionError(f"it asks for {event}, and may neither start programs nor open connections")

    sys.addaudithook(watch)


# ---- services: each takes the hand-in's file and returns what answers requests


def loaded(file: Path) -> dict[str, Any]:
    """Import a file, and return its globals."""
    sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise LookupError(f"{file.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return vars(module)


def sheet_service(file: Path) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Serve the lines of a filled-in sheet."""
    filling = Filling(file.read_text(encoding="utf-8-sig"), str(file), loaded(file))

    def serve(request: dict[str, Any]) -> dict[str, Any]:
        if request["name"]:
            answer = filling.answer(request["name"], request["nodes"], request["given"])
        else:
            answer = filling.together(request["nodes"])
        if answer is ...:
            return {"blank": True}
        if isinstance(answer, StatementError):
            return failure(answer, str(file))
        if isinstance(answer, dict):
            return {"all": {name: _array(value) for name, value in answer.items()}}
        array = _array(answer)
        return {"kind": kind_of(answer)} if array is None else {"array": array}

    return serve


def _array(value: Any) -> np.ndarray | None:
    return value if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" else None


def call_service(file: Path) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Serve calls of the functions and classes of a file."""
    surroundings = loaded(file)

    def serve(request: dict[str, Any]) -> dict[str, Any]:
        if "nn" in sys.modules:
            sys.modules["nn"].manual_seed(0)  # so that chance is the same for a hand-in and for the solution
        return {"answer": CALLS[request["kind"]](surroundings, request)}

    return serve


SERVICES = {"sheet": sheet_service, "calls": call_service}

if __name__ == "__main__":
    main()
