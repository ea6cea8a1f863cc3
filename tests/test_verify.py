"""scripts/verify.py is green, writes the table that docs has, and is red where anything is off."""

import dataclasses
import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import CASES, golden
from planted import spoil
from textbook import CORRECT

import nn

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def verify(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("verify")


def test_verify_is_green_and_writes_a_table_of_every_row(tmp_path):
    table = tmp_path / "gradients.md"
    command = [sys.executable, ROOT / "scripts" / "verify.py", "--markdown", table]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0 and "0 faults" in run.stdout, run.stderr
    assert rows_of(table) == rows_of(ROOT / "docs" / "gradients.md") == [case.name for case in CASES], (
        "the rows have changed: run python scripts/verify.py --markdown docs/gradients.md"
    )
    assert len(re.findall(r"^textbook ", run.stdout, re.MULTILINE)) == len(CORRECT)


def rows_of(table):
    return re.findall(r"^\| ([^|-][^|]*) \| [\d-]", table.read_text(), re.MULTILINE)


def test_verify_fails_where_anything_is_off(verify, monkeypatch, capsys):
    case = next(case for case in CASES if case.name == "Tanh")
    wrong = dataclasses.replace(case, build=lambda: spoil(nn.Tanh(), dx=lambda v: 2 * v.dx))
    monkeypatch.setattr(verify, "CASES", [case, wrong])
    with pytest.raises(SystemExit) as caught:
        verify.main(verify.parse([]))
    text = str(caught.value.code)
    assert "Tanh, seed 0: Tanh(): the gradient of input is wrong" in text
    assert "Tanh: PyTorch, float64: off by 1.0e+00, which is more than 1e-12" in text
    assert len(re.findall("OFF", capsys.readouterr().out)) == 1


def test_verify_compares_outputs_dtypes_and_shapes(verify):
    case = next(case for case in CASES if case.name == "Tanh")

    class Offset(nn.Tanh):
        def forward(self, x):
            return super().forward(x) + 1e-9

    class Wide(nn.Tanh):
        def forward(self, x):
            return super().forward(x).astype(np.float64)

    record = golden.read_all()["Tanh"]
    for build, columns in (
        (nn.Tanh, set()),
        (Offset, {"PyTorch, float64"}),
        (Wide, {"PyTorch, float32", "slopes, float32"}),
    ):
        row = verify.Row(dataclasses.replace(case, build=build), record)
        verify.against_slopes(row, 0)
        verify.against_pytorch(row)
        assert {fault.split(": ")[1] for fault in row.faults} == columns
    for found, fine in (({}, False), ({"": None}, False), ({"": np.ones(2, "f")}, False), ({"": np.ones(2)}, True)):
        row = verify.Row(case)
        row.enter("slopes, float64", found, {"": np.ones(2)}, np.float64)
        row.enter("slopes, float64", {"": None}, {"": None}, np.float64)
        assert row.faults == [] if fine else "off by inf" in row.faults[0]
    assert verify.relative(np.ones(2), np.ones(3)) == np.inf and verify.relative(np.zeros(2), np.zeros(2)) == 0
    assert verify.relative(np.array([1.0, 2.0]), np.array([1.0, 4.0])) == 0.5
