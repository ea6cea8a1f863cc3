"""What the scripts share: the way to the packages, arguments, clean failures, and files written whole."""

import argparse
import json
import math
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a bare clone works without an installation
sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal without Unicode still prints
sys.stderr.reconfigure(errors="replace")  # type: ignore[union-attr]


def fail(message: object) -> NoReturn:
    """End the script with a message and exit status 1."""
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")


def positive_int(text: str) -> int:
    """Read an argument that counts something."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text}")
    return value


def non_negative(text: str) -> float:
    """Read an argument that is a finite number of at least 0."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a finite number of at least 0, got {text}")
    return value


def write_json(values: dict[str, Any], path: str) -> None:
    """Write a JSON file, whole or not at all."""
    beside = f"{path}.part"
    try:
        Path(beside).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        os.replace(beside, path)
    except OSError as error:
        Path(beside).unlink(missing_ok=True)
        fail(f"cannot write {path}: {error.strerror}")


def new_figure(width: float, height: float) -> Any:
    """Return an empty matplotlib Figure, or None, with a word of why, where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no picture: matplotlib is not installed (pip install 'handgrad[plot]')", file=sys.stderr)
        return None
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, path: str) -> None:
    """Write a figure, in the format that the file's ending names."""
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        fail(f"cannot write the picture {path}: {error}")
