"""The check of a program in another language: its protocol, a layer in C, and programs that fail in every way."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import nn
from nn import checking
from nn.__main__ import main as command_line

ROOT = Path(__file__).resolve().parents[1]
X = np.random.default_rng(0).normal(size=(4, 1))

LAYER = """
import sys
from pathlib import Path
import numpy as np

what, folder = sys.argv[-2], Path(sys.argv[-1])
x = np.load(folder / "inputs.npz")["x"]

def write(name, **arrays):
    np.savez(folder / name, **arrays)

if what == "forward":
    {forward}
else:
    g = np.load(folder / "upstream.npz")["y"]
    {backward}
"""
FORWARD, BACKWARD = 'write("outputs.npz", y=x**2)', 'write("gradients.npz", x=2 * x * g)'


@pytest.fixture
def command(tmp_path):
    def written(forward=FORWARD, backward=BACKWARD):
        (tmp_path / "layer.py").write_text(LAYER.format(forward=forward, backward=backward))
        return [sys.executable, str(tmp_path / "layer.py")]

    return written


def report(command, **settings):
    return checking.program(command, {"x": X}, full=False, raise_exception=False, **settings)


def test_a_program_is_checked_and_leaves_nothing_behind(command, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = report(command())
    assert found and list(found.errors) == ["x"] and [path.name for path in tmp_path.iterdir()] == ["layer.py"]
    found = report(command(backward='write("gradients.npz", x=x * g)'))
    assert {fault.kind for fault in found.faults} == {"constant factor"}


@pytest.mark.parametrize(
    ("forward", "words"),
    [
        ("sys.exit(3)", "forward ended with status 3, without a word"),
        ("raise KeyError('pad')", r"ended with status 1; it said: .*KeyError: 'pad'"),
        ("import os; os.abort()", "forward was ended by SIGABRT"),
        ("pass", "forward wrote no outputs.npz into the folder"),
        ("print('all is well')", "wrote no outputs.npz into the folder; it said: all is well"),
        (
            "write('o.npz', y=x**2); data = (folder / 'o.npz').read_bytes(); "
            "(folder / 'outputs.npz').write_bytes(data[:len(data) // 2])",
            "wrote outputs.npz, which is no whole .npz file",
        ),
        ("(folder / 'outputs.npz').write_text('y = 3')", "no whole .npz file"),
        ("(folder / 'outputs.npz').write_bytes(b'')", "no whole .npz file"),
        ("write('outputs.npz', y=np.array([None]))", "no whole .npz file: Object arrays"),
        ("np.save(folder / 'o.npy', x); (folder / 'o.npy').rename(folder / 'outputs.npz')", "it is a single array"),
    ],
)
def test_a_forward_that_fails_is_an_error(command, forward, words):
    with pytest.raises(RuntimeError, match=words):
        report(command(forward=forward))


@pytest.mark.parametrize(
    ("backward", "kind", "words"),
    [
        ("sys.exit(3)", "raised", "backward ended with status 3"),
        ("pass", "raised", "backward wrote no gradients.npz into the folder"),
        ('write("gradients.npz", dx=2 * x * g)', "wrong count", "has entries for dx. It should have one for each"),
        ('write("gradients.npz", x=(2 * x * g).T)', "transposed", "shape (1, 4) and should have (4, 1)"),
        ('write("gradients.npz", x=(2 * x * g).astype("f4"))', "wrong dtype", "float32"),
        ('(folder / "gradients.npz").write_text("half")', "raised", "is no whole .npz file"),
    ],
)
def test_a_backward_that_fails_is_a_fault(command, backward, kind, words):
    (fault,) = report(command(backward=backward)).faults
    assert fault.kind == kind and words in fault.message


def test_a_program_that_hangs_is_stopped_with_all_that_it_started(command):
    hang = "import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)"
    start = time.monotonic()
    with pytest.raises(RuntimeError, match=r"did not end within 0\.5 s and was stopped"):
        report(command(forward=hang), timeout=0.5)
    assert time.monotonic() - start < 30


def test_float32_is_told_to_be_too_narrow(command):
    (fault,) = report(command(forward='write("outputs.npz", y=(x**2).astype("f4"))')).faults
    assert fault.kind == "wrong dtype" and "let it compute in double" in fault.message


# ---- the layer in C


@pytest.fixture(scope="module")
def layer(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("layer")

    def built(change=("", "")):
        source = (ROOT / "docs" / "layer.c").read_text()
        assert change[0] in source
        (folder / "layer.c").write_text(source.replace(*change))
        flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-O1"]
        subprocess.run([compiler, *flags, "-o", folder / "layer", folder / "layer.c"], check=True)
        return folder / "layer"

    return built


SHAPES = ["--shape", "x=5,4", "--shape", "w=4,3", "--shape", "b=3"]


def test_a_layer_in_c_is_right(layer, capsys):
    assert command_line(["gradcheck", "--command", str(layer()), *SHAPES]) == 0
    out = capsys.readouterr().out
    assert "layer: all gradients are right" in out and [line.split()[0] for line in out.splitlines()[3:]] == [
        "x",
        "w",
        "b",
    ]


def test_a_wrong_layer_in_c_is_named(layer, capsys, tmp_path):
    wrong = layer(("db[m] += g;", "db[m] = g;"))
    np.savez(tmp_path / "inputs.npz", x=np.ones((5, 4)), w=np.ones((4, 3)), b=np.ones(3))
    assert command_line(["gradcheck", "--command", str(wrong), "--inputs", str(tmp_path / "inputs.npz")]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "the gradient of b is wrong" in out and "b: not summed Only sample 4 counts" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "expected either package.module:factory or --command"),
        (["layers:Mine", "--command", "./layer"], "expected either package.module:factory or --command"),
        (["--command", "./layer"], "--command needs either --shape"),
        (["--command", "./nowhere", "--shape", "3"], "./nowhere forward cannot be run: No such file or directory"),
        (["--command", "./layer", "--inputs", "nowhere.npz"], "nowhere.npz"),
        (["--command", "./layer '", "--shape", "3"], "No closing quotation"),
    ],
)
def test_the_command_line_refuses(arguments, words, capsys):
    with pytest.raises(SystemExit) as caught:
        command_line(["gradcheck", *arguments])
    assert caught.value.code == 2 and words in capsys.readouterr().err


def test_the_report_is_gradchecks_own(command):
    with pytest.raises(nn.GradcheckError, match="the gradient of x is wrong"):
        checking.program(command(backward='write("gradients.npz", x=0 * x)'), {"x": X})
