"""A file is written whole or not at all: whoever else writes it, whatever stands in the way, whenever it is killed."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import nn
from nn import files
from nn.files import whole_file

ROOT = Path(__file__).resolve().parents[1]
needs_posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes, locks and special files")


@pytest.fixture
def path(tmp_path):
    """A file that is there already, alone in its folder."""
    (tmp_path / "file").write_bytes(b"old")
    return tmp_path / "file"


def write(path, content=b"new"):
    with whole_file(path) as file:
        file.write(content)


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_the_old_file_is_there_until_the_new_one_is_whole(path):
    with whole_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        assert sorted(os.listdir(path.parent)) == ["file", "file.unfinished1"]
    assert path.read_bytes() == b"new" and os.listdir(path.parent) == ["file"]


def test_text_keeps_its_line_ends(path):
    with whole_file(str(path), "utf-8") as file:
        file.write("½\r\n\n")
    assert path.read_bytes() == "½\r\n\n".encode()


def test_an_error_in_the_block_changes_nothing(path):
    with pytest.raises(KeyboardInterrupt), whole_file(path) as file:
        file.write(b"ne")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and os.listdir(path.parent) == ["file"]


def test_an_interrupt_behind_the_renaming_removes_nothing_of_others(path, monkeypatch):
    def replace(source, target, replace=os.replace):
        replace(source, target)
        Path(source).write_bytes(b"of another saver, who now has this name")
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        write(path)
    assert path.read_bytes() == b"new" and sorted(os.listdir(path.parent)) == ["file", "file.unfinished1"]


# ---- several at once


def test_two_who_write_one_file_do_not_meet(path):
    with whole_file(path) as first:
        first.write(b"first")
        with whole_file(path) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first" and os.listdir(path.parent) == ["file"]


def test_processes_that_save_to_one_path_all_succeed(tmp_path):
    code = "import nn, sys, numpy as np\nfor n in range(30): nn.save([int(sys.argv[1]), np.full(5000, n)], 'state')"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    savers = [subprocess.Popen([*command, str(number)], cwd=tmp_path, env=environment) for number in range(3)]
    while any(saver.poll() is None for saver in savers):
        if (tmp_path / "state").exists():
            _, array = nn.load(tmp_path / "state")
            assert (array == array[0]).all() and array.size == 5000
    assert [saver.returncode for saver in savers] == [0, 0, 0]
    assert os.listdir(tmp_path) == ["state"]


@needs_posix
def test_what_killed_programs_left_is_cleared_away(path):
    for number in (1, 2, 3):
        path.with_name(f"file.unfinished{number}").write_bytes(b"half a fi")
    write(path)
    assert path.read_bytes() == b"new" and os.listdir(path.parent) == ["file"]


@needs_posix
def test_a_name_cleared_away_before_it_was_locked_is_taken_anew(path, monkeypatch):
    def flock(descriptor, operation, flock=files.fcntl and files.fcntl.flock, calls=[]):  # noqa: B006
        calls.append(operation)
        if len(calls) == 1:
            os.remove(f"{path}.unfinished1")
        flock(descriptor, operation)

    monkeypatch.setattr(files.fcntl, "flock", flock)
    write(path)
    assert path.read_bytes() == b"new" and os.listdir(path.parent) == ["file"]


def test_without_locks_what_was_left_stays_and_harms_nothing(path, monkeypatch):
    def replace(source, target, replace=os.replace):
        assert not os.path.exists("/proc/self/fd") or source not in map(
            os.path.realpath, Path("/proc/self/fd").iterdir()
        ), "Windows does not rename a file that is open"
        replace(source, target)

    monkeypatch.setattr(files, "fcntl", None)
    monkeypatch.setattr(os, "replace", replace)
    left = path.with_name("file.unfinished1")
    left.write_bytes(b"half a fi")
    write(path)
    assert path.read_bytes() == b"new" and left.read_bytes() == b"half a fi"


# ---- what stands in the way


@needs_posix
@pytest.mark.parametrize("plant", ["link", "dangling link", "folder", "pipe", "hard link"])
def test_what_is_planted_beside_is_not_followed(plant, path, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "precious"
    other.write_bytes(b"precious")
    beside = path.with_name("file.unfinished1")
    if plant == "link":
        beside.symlink_to(other)
    elif plant == "dangling link":
        beside.symlink_to(other.with_name("none"))
    elif plant == "folder":
        beside.mkdir()
    elif plant == "pipe":
        os.mkfifo(beside)
    else:
        os.link(other, beside)
    write(path)
    assert path.read_bytes() == b"new" and not path.is_symlink()
    assert other.read_bytes() == b"precious" and os.listdir(other.parent) == ["precious"]
    assert os.path.lexists(beside) == (plant != "hard link")


@needs_posix
def test_what_is_no_regular_file_stays(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(tmp_path / "socket"))
        for name in ("folder", "folder/", "pipe", "link", "socket", "/dev/null"):
            with pytest.raises(OSError, match=r"directory|regular file|name of a file"):
                write(tmp_path / name if name != "folder/" else f"{tmp_path}/folder/")
    assert sorted(os.listdir(tmp_path)) == ["folder", "link", "pipe", "socket"]
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("name", ["", "none/", "none/file", ".", "x" * 5000, "file/under"])
def test_what_names_no_file_is_refused(name, path, monkeypatch):
    monkeypatch.chdir(path.parent)
    with pytest.raises(OSError):
        write(name)
    assert os.listdir(path.parent) == ["file"]


def test_a_file_that_may_not_be_written_stays(path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # as it is for everybody but the superuser
    with pytest.raises(PermissionError):
        write(path)
    assert path.read_bytes() == b"old" and os.listdir(path.parent) == ["file"]


@needs_posix
@pytest.mark.parametrize("target", ["file", "none"])
def test_a_link_stays_and_what_it_points_to_is_replaced(target, path):
    link = path.with_name("link")
    link.symlink_to(target)
    write(link)
    assert link.is_symlink() and path.with_name(target).read_bytes() == b"new"


# ---- modes


@needs_posix
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o640, 0o666, 0o400])
def test_the_mode_stays(mode, path):
    path.chmod(mode)
    with whole_file(path) as file:
        assert mode_of(f"{path}.unfinished1") == mode
        file.write(b"new")
    assert path.read_bytes() == b"new" and mode_of(path) == mode


@needs_posix
def test_what_is_private_is_so_from_the_start(path, monkeypatch):
    def fchmod(descriptor, mode, fchmod=os.fchmod):
        assert stat.S_IMODE(os.fstat(descriptor).st_mode) == 0o600
        fchmod(descriptor, mode)

    path.chmod(0o640)
    monkeypatch.setattr(os, "fchmod", fchmod)
    write(path)
    assert mode_of(path) == 0o640


@needs_posix
def test_a_new_file_has_the_mode_that_the_process_gives(tmp_path):
    old = os.umask(0o027)
    try:
        write(tmp_path / "new")
    finally:
        os.umask(old)
    assert mode_of(tmp_path / "new") == 0o640


# ---- killed

KILLED = """
import os, signal, sys
import numpy as np
import nn

old, new = [np.zeros(3), "old"], [np.ones(5), "new"]
outcomes = []
for moment in range(1, 100_000):
    nn.save(old, "state")
    child = os.fork()
    if child == 0:
        calls = 0
        def count(frame, event, argument):
            global calls
            if event in ("c_call", "c_return"):
                calls += 1
                if calls == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.setprofile(count)
        nn.save(new, "state")
        os._exit(0)
    done = os.waitpid(child, 0)[1] == 0
    outcomes.append(nn.load("state")[1])
    assert len(os.listdir()) <= 2, os.listdir()
    if done:
        break
nn.save(new, "state")
assert os.listdir() == ["state"], os.listdir()
print(*outcomes)
"""


@needs_posix
def test_killed_at_any_call_a_save_leaves_the_old_state_or_the_new_one(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-c", KILLED]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    outcomes = run.stdout.split()
    assert len(outcomes) > 100 and outcomes == sorted(outcomes, reverse=True) and set(outcomes) == {"old", "new"}
