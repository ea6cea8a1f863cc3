"""The museum: the checker must find each mistake, name it, and find nothing wrong with the layer as it should be."""

import importlib
import re
from pathlib import Path

import pytest
from museum import EXHIBITS

import nn

pytestmark = pytest.mark.usefixtures("unhurried")
ROOT = Path(__file__).resolve().parents[1]
every = pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.name)


@every
def test_the_mistake_is_found_and_named(exhibit):
    said = {}
    for fault in exhibit.report().faults:
        said.setdefault(fault.name, []).append(fault.kind)
    names = {name: exhibit.said_today.get(name) or kinds for name, kinds in exhibit.wrong.items()}
    assert said.keys() == names.keys()
    assert {name: kinds for name, kinds in said.items() if len(kinds) > 1 or kinds[0] not in names[name]} == {}


@every
def test_without_the_mistake_nothing_is_wrong(exhibit):
    report = nn.gradcheck(exhibit.layer(), *exhibit.inputs())
    assert report
    assert "float32" not in str(report)


def test_the_collection():
    assert len(EXHIBITS) >= 40
    assert len({exhibit.name for exhibit in EXHIBITS}) == len(EXHIBITS)
    for exhibit in EXHIBITS:
        assert exhibit.said_today.keys() <= exhibit.wrong.keys()
        assert not [name for name, kind in exhibit.said_today.items() if kind in exhibit.wrong[name]], "named by now"


def without_errors(page):
    """Return the page without errors of measurement, whose digits are no two machines' the same."""
    return re.sub(r"(\d+e[-+]\d\d|  0)(?= +(right|WRONG))", "", page)


def test_the_page_is_what_the_tool_writes(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    written = (ROOT / "docs" / "museum.md").read_text(encoding="utf-8")
    new = importlib.import_module("museum_page").page()
    assert without_errors(written) == without_errors(new), "run python tools/museum_page.py"
