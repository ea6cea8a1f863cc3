"""A program as a subject, in whatever language it is written: arrays are handed over as `.npz` files in a folder.

`COMMAND forward FOLDER` reads `inputs.npz` there and writes `outputs.npz`; `COMMAND backward FOLDER` reads these two
and `upstream.npz`, and writes `gradients.npz`. docs/gradcheck.md has the whole protocol.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from .. import tree
from .check import Settings, check_subject
from .pull import Back, MismatchError, Pull, Subject
from .report import Report

LAST = 5  # lines of what a program said before it failed


def program(
    command: str | Sequence[str],
    inputs: Mapping[str, ArrayLike],
    *,
    timeout: float = 60.0,
    **settings: Unpack[Settings],
) -> Report:
    """Check the gradients that a program computes: `gradcheck` for any language.

    Args:
        command: how to run it, with its arguments; "forward" or "backward" and a folder are appended.
        inputs: arrays by name.
        timeout: how many seconds one run may take.
        **settings: as in `gradcheck`: except_for, expected, full, tolerance, generator, raise_exception.

    Returns:
        The report.

    Raises:
        GradcheckError: for a wrong gradient, with the report.
        RuntimeError: where the program cannot be run, fails, takes too long, or writes no whole file.

    Example:
        >>> program("nowhere/layer", {"x": [1.0]})
        Traceback (most recent call last):
        RuntimeError: nowhere/layer forward cannot be run: No such file or directory
        (raised while gradcheck ran 'nowhere/layer')
    """
    return check_subject(ProgramSubject(command, inputs, timeout), **settings)


class ProgramSubject(Subject):
    """A program, which is run once for each forward and once for each backward."""

    pinned = "a generator that starts from a fixed seed in each run"
    narrow = "Numbers are handed over in 64 bits: let it compute in double."
    starts_afresh = True

    def __init__(self, command: str | Sequence[str], inputs: Mapping[str, ArrayLike], timeout: float) -> None:
        self.command = shlex.split(command) if isinstance(command, str) else list(command)
        self.timeout = timeout
        super().__init__(shlex.join(self.command), {name: np.asarray(value) for name, value in inputs.items()})

    def instance(self) -> Pull:
        """Return a run of forward, and of backward in the same folder."""
        return self._pull

    def _pull(self, *values: Any) -> tuple[Any, Back]:
        folder = Path(tempfile.mkdtemp(prefix="gradcheck-"))
        inputs = dict(zip(self.inputs, values, strict=True))

        def back(g: Any) -> list[Any]:
            upstream = dict(zip(outputs, tree.leaves(g), strict=True))
            given = {name: leaf for name, leaf in upstream.items() if leaf is not None}
            np.savez(folder / "upstream.npz", **_in_c_order(given))
            gradients = self._run("backward", folder, "gradients.npz")
            floating = [name for name, value in inputs.items() if tree.is_floating(value)]
            if lacking := [name for name in floating if name not in gradients]:
                raise MismatchError(
                    f"gradients.npz has entries for {', '.join(gradients) or 'nothing'}. It should have one for each "
                    f"floating input, and lacks {', '.join(lacking)}."
                )
            return [gradients.get(name) for name in inputs]

        weakref.finalize(back, shutil.rmtree, folder, ignore_errors=True)  # the folder goes with the way back
        np.savez(folder / "inputs.npz", **_in_c_order(inputs))
        outputs = self._run("forward", folder, "outputs.npz")
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs, back

    def _run(self, what: str, folder: Path, answer: str) -> dict[str, np.ndarray]:
        """Run the program, and return the arrays of the file that it should write."""
        title = f"{self.title} {what}"
        try:
            process = subprocess.Popen(
                [*self.command, what, str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise RuntimeError(f"{title} cannot be run: {error.strerror}") from None
        with process:
            try:
                said, _ = process.communicate(timeout=self.timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # with whatever it has started
                raise RuntimeError(f"{title} did not end within {self.timeout:g} s and was stopped") from None
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        if status := process.returncode:
            end = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
            raise RuntimeError(f"{title} {end}{_last_lines(said)}")
        try:
            return _read(folder / answer)
        except FileNotFoundError:
            raise RuntimeError(f"{title} wrote no {answer} into the folder{_last_lines(said)}") from None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise RuntimeError(f"{title} wrote {answer}, which is no whole .npz file: {error}") from None


def _read(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as handle:
        file = np.load(handle)
        if isinstance(file, np.ndarray):
            raise ValueError("it is a single array, as .npy files are")
        with file:
            return dict(file)


def _last_lines(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()[-LAST:]
    return "; it said: " + " / ".join(lines) if lines else ", without a word"


def _in_c_order(arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the arrays as `.npz` files that are read without a look at their order hold them."""
    return {name: np.array(value, order="C") for name, value in arrays.items()}
