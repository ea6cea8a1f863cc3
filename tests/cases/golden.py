"""Golden numbers: what PyTorch computes for each row in float64, a JSON file a family in tests/golden.

A row has the inputs, the state, the upstream gradient, and for each mode ("both" where the modes agree) the output and
all gradients. An array stands in a line of its own, with as many digits as it takes to read the same float64 again.
"""

import json
from pathlib import Path

import numpy as np

from .trees import flat

FOLDER = Path(__file__).resolve().parents[1] / "golden"


def write(path, rows):
    """Write the rows: a dict by name of dicts by part."""
    texts = []
    for name, parts in rows.items():
        arrays = {place: leaf for part, tree in parts.items() for place, leaf in flat(tree, part).items()}
        lines = [f"  {json.dumps(place)}: {_text(leaf)}" for place, leaf in arrays.items()]
        texts.append(f"{json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n}")
    Path(path).write_text("{\n" + ",\n".join(texts) + "\n}\n", encoding="utf-8")


def _text(leaf):
    return "null" if leaf is None else json.dumps(np.asarray(leaf).tolist())


def read(path):
    """Return the rows: a dict by name of dicts by part of dicts by place, as `flat` gives them."""
    rows = json.loads(Path(path).read_text(encoding="utf-8"))
    return {name: _parts(arrays) for name, arrays in rows.items()}


def _parts(arrays):
    parts = {"state": {}}  # which may be empty
    for place, value in arrays.items():
        part, bracket, rest = place.partition("[")
        parts.setdefault(part, {})["tree" + bracket + rest] = None if value is None else np.array(value)
    return parts


def read_all():
    """Return the rows of all families."""
    return {name: row for path in sorted(FOLDER.iterdir()) for name, row in read(path).items()}


def expected(record, mode):
    """Return the output and all gradients in a mode, by their places; None where they cannot be compared."""
    return record.get(mode, record.get("both"))
