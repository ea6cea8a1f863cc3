"""Running a hand-in in a process of its own, within limits: the side of the grader."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .channel import Channel
from .filling import Answer
from .gradients import Arrays
from .statements import StatementError

HOME = Path(__file__).resolve().parents[1]
SECONDS = 3.0  # for one answer
START = 4  # times as long, for a hand-in to be imported
MEMORY = 2**30  # bytes; NumPy alone reserves a few hundred MB of addresses
FILE_SIZE = 2**20  # bytes of a file that a hand-in writes, and of a file of a hand-in
ENDS = 2  # a hand-in that has not answered so often is asked no more


class RunnerError(Exception):
    """A hand-in that gives no answer, in words.

    Example:
        >>> RunnerError("it did not end").line
        0
    """

    line = 0


class Runner:
    """A hand-in in a process of its own, which is started anew where it has ended.

    Args:
        file: the Python file of the hand-in; what stands beside it is at hand too.
        service: what the process answers, "sheet" or "calls".
        seconds: how long one answer may take.
        withheld: methods of handgrad that the process shall not have, each as module, class and name.

    Raises:
        RunnerError: where the file cannot be imported; `line` says where, if it is known.
    """

    def __init__(
        self, file: Path, service: str, seconds: float = SECONDS, withheld: Sequence[tuple[str, str, str]] = ()
    ) -> None:
        self.seconds, self.service, self.withheld, self.ended = seconds, service, list(withheld), 0
        self.folder = Path(tempfile.mkdtemp(prefix="hand-in-"))
        self.file = self.folder / file.name
        for path in file.parent.iterdir():
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= FILE_SIZE:
                shutil.copyfile(path, self.folder / path.name)
        self.process: subprocess.Popen[bytes] | None = None
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request.

        Raises:
            RunnerError: where none comes.
        """
        if self.ended >= ENDS:
            raise RunnerError("not run: the hand-in failed to answer before")
        if self.process is None:
            self._start()
        return self._exchange(request, self.seconds)

    def close(self) -> None:
        """End the process, and clear its folder away."""
        self._stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        given = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
        home = str(self.folder)
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-P", "-m", "course.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            env={**given, "PYTHONPATH": str(HOME), "HOME": home, "TMPDIR": home, "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,
        )
        order = {"folder": home, "file": str(self.file), "service": self.service, "withheld": self.withheld}
        answer = self._exchange({**order, "memory": MEMORY, "file_size": FILE_SIZE}, START * self.seconds)
        if "error" in answer:
            error = RunnerError(str(answer["error"]))
            error.line = int(answer.get("line") or 0)
            raise error

    def _exchange(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send a message and return the answer; a process that gives none is ended."""
        process, late = self.process, threading.Event()
        if process is None or process.stdin is None or process.stdout is None:
            raise RunnerError("the process has ended")

        def end() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            channel = Channel(process.stdout, process.stdin)
            channel.send(message)
            answer = channel.receive()
            if not isinstance(answer, dict):
                raise ValueError("no answer")
            return answer
        except (EOFError, OSError, ValueError):
            self._stop()
            self.ended += 1
            if late.is_set():
                raise RunnerError(f"it did not end within {seconds:g} s and was stopped") from None
            raise RunnerError("its process ended without an answer") from None
        finally:
            timer.cancel()

    def _stop(self) -> None:
        if self.process is not None:
            _kill(self.process)
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):  # what was still to be written
                        stream.close()
            self.process = None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and those that it has started."""
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


class RemoteFilling:
    """A filled-in sheet that runs in a process of its own.

    Args:
        runner: the process.
        lines: where each gradient stands in the file.
    """

    def __init__(self, runner: Runner, lines: dict[str, int]) -> None:
        self.runner, self.lines = runner, lines
        self.failed: dict[str, StatementError] = {}  # what is asked no more

    def answer(self, name: str, nodes: Arrays, given: Arrays) -> Answer:
        """Return what the line of a gradient gives, `...` for a blank, or the error that it ends in."""
        return self._asked(name, nodes, given)

    def together(self, leaves: Arrays) -> Answer:
        """Return all that forward and backward return in one run, by name, or the error that it ends in."""
        return self._asked("", leaves, {})

    def _asked(self, name: str, nodes: Arrays, given: Arrays) -> Answer:
        if name in self.failed:
            return self.failed[name]
        line = self.lines.get(name, min(self.lines.values()))
        try:
            answer = self.runner.ask({"name": name, "nodes": nodes, "given": given})
        except RunnerError as error:
            self.failed[name] = StatementError(str(error), line)
            return self.failed[name]
        if "blank" in answer:
            return ...
        if "error" in answer:
            return StatementError(str(answer["error"]), int(answer.get("line") or line))
        if "kind" in answer:
            return StatementError(f"an array of numbers is expected, got {answer['kind']}", line)
        return answer.get("all", answer.get("array"))
