"""Writing a file: all of it, or it stays as it was."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Iterator
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str], encoding: str | None = None) -> Iterator[IO[Any]]:
    """Open a file to write to that takes its place once all of it is on the disk.

    Whoever looks, or comes after a crash, finds the old file or the new one. What is written goes to a file beside,
    `path` + ".unfinished1" (or 2, or 3, where others are writing the same file). At the end of the `with` block it is
    flushed and renamed, and the folder is flushed; after an error it is removed. What a killed program has left is
    cleared away by whoever next writes the same file. A link stays, and the file that it points to is replaced. The
    new file has the mode of the old one. Windows has no such modes, no flush of a folder, and no locks by which a file
    that was left is told from one that is being written: there all three are done without.

    Args:
        path: the file's name; nothing is added to it.
        encoding: of text, whose line ends are kept; None opens a binary file.

    Raises:
        OSError: when the file cannot be written, or when `path` is not a regular file but a folder, a device, a pipe.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with whole_file(f"{folder}/notes", "utf-8") as file:
        ...         _ = file.write("all of it")
        ...     os.listdir(folder)
        ['notes']
    """
    target, mode = _target(os.fsdecode(path))
    descriptor, beside = _create(target, mode)
    ours = os.fstat(descriptor)
    try:
        with contextlib.ExitStack() as stack:
            if fcntl:  # its lock lasts until the file has its name; Windows does not rename a file that is open
                stack.callback(os.close, os.dup(descriptor))
            kind = {"mode": "wb"} if encoding is None else {"mode": "w", "encoding": encoding, "newline": ""}
            with open(descriptor, **kind) as file:  # type: ignore[call-overload]
                if fcntl and mode is not None and mode != stat.S_IMODE(ours.st_mode):
                    os.fchmod(descriptor, mode)
                yield file
                file.flush()
                os.fsync(descriptor)
            os.replace(beside, target)
    except BaseException:
        if _is_named(ours, beside):
            os.remove(beside)
        raise
    _flush_folder(os.path.dirname(target))


def check_path(call: str, path: Any) -> None:
    """Refuse what is no path; `call` is how the function is called.

    Raises:
        TypeError: for anything but text, bytes and paths.

    Example:
        >>> check_path("load(path)", "model.npz")
    """
    if not isinstance(path, str | bytes | os.PathLike):
        raise TypeError(f"{call} expects path to be the name of a file, got {type(path).__name__}")


def _target(path: str) -> tuple[str, int | None]:
    """Return the name of what is to be replaced, following links, and its mode, None where there is nothing yet."""
    if not os.path.basename(path):  # the empty name, or one that ends in a slash
        raise FileNotFoundError(errno.ENOENT, "expected the name of a file", path)
    target = os.path.realpath(path)
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return target, None
    if stat.S_ISDIR(there.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(there.st_mode):
        raise FileExistsError(errno.EEXIST, "expected a regular file, got a device or a pipe", path)
    if not os.access(path, os.W_OK):  # renaming does not ask
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return target, stat.S_IMODE(there.st_mode)


def _create(target: str, mode: int | None) -> tuple[int, str]:
    """Create and lock a file beside the target, and clear away what killed programs have left there."""
    for name in _names_beside(target):
        if not os.path.lexists(name):
            break
        _remove_abandoned(name)
    names = _names_beside(target)
    while True:
        name = next(names)
        try:  # a file that is to be private is so from the start
            descriptor = os.open(name, _FLAGS, 0o666 if mode is None else 0o600)
        except FileExistsError:  # somebody else is writing it
            continue
        if fcntl:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_named(os.fstat(descriptor), name):
            return descriptor, name
        os.close(descriptor)  # somebody took it for abandoned before it was locked


def _names_beside(target: str) -> Iterator[str]:
    return (f"{target}.unfinished{number}" for number in itertools.count(1))


def _remove_abandoned(name: str) -> None:
    """Remove a file that was left unfinished, unless it is locked, or is something else."""
    if not fcntl:
        return
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    try:
        found = os.fstat(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError where its writer is alive
        if stat.S_ISREG(found.st_mode) and _is_named(found, name):
            os.remove(name)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def _is_named(file: os.stat_result, name: str) -> bool:
    """Tell whether a name still stands for this file."""
    try:
        return os.path.samestat(file, os.lstat(name))
    except FileNotFoundError:
        return False


def _flush_folder(folder: str) -> None:
    """Put a file's new name on the disk, where the system can: the file is whole in either case."""
    if fcntl:
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
