"""What the pages print runs as printed: their Python, and the commands that a reader types after it."""

import importlib.util
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import nn

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/from_pytorch.md")


def blocks(page: str) -> list[str]:
    """Return the Python that a page shows, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [textwrap.dedent(code) for _, code in re.findall(r"^( *)```python\n(.*?)^\1```$", text, re.M | re.S)]


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    state = nn.get_rng_state()
    namespace = {"__name__": page}
    found = blocks(page)
    assert len(found) >= 4
    for number, code in enumerate(found):
        if "import torch" not in code or importlib.util.find_spec("torch"):
            exec(compile(code, f"{page}, block {number}", "exec"), namespace)
    nn.set_rng_state(state)


def test_the_readme_checks_a_layer_from_the_shell(tmp_path):
    layer = next(code for code in blocks("README.md") if "class Scale" in code)
    (tmp_path / "mylayers.py").write_text(layer, encoding="utf-8")
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    commands = re.findall(r"python (-m nn gradcheck '?mylayers[^`]*?)(?=`|\s+\.venv)", text)
    assert commands
    for command in commands:
        done = subprocess.run(
            [sys.executable, *command.replace("'", "").split()],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert "all gradients are right" in done.stdout and "factor" in done.stdout


def test_the_readme_names_extras_that_there_are():
    config = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    extras = config.partition("[options.extras_require]")[2].partition("\n[")[0]
    named = {
        extra for group in re.findall(r"'\.\[(.*?)\]'", (ROOT / "README.md").read_text()) for extra in group.split(",")
    }
    assert named >= {"plot", "test", "benchmark"} and named <= set(re.findall(r"^(\w+) =", extras, re.M))


def test_the_page_for_users_of_pytorch_names_what_is_here():
    text = (ROOT / "docs/from_pytorch.md").read_text(encoding="utf-8")
    here = "".join(line.split("|")[2] for line in text.splitlines() if line.startswith("| `"))
    assert all(hasattr(nn, name) for name in re.findall(r"\bnn\.(\w+)", here))
