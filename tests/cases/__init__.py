"""The table: a row for each configuration of each layer and loss. Every check of `test_cases.py` runs on every row.

A family's file has its rows, and for each its slow forward and its PyTorch twin. To add a layer, add rows to the file
of its family and run `tools/golden.py`.
"""

from . import (
    activation,
    batch_norm,
    branch,
    classification,
    container,
    conv,
    conv_transpose,
    dropout,
    layer_norm,
    linear,
    norm,
    regression,
    response_norm,
    shape,
    upsample,
)
from .base import Case
from .setup import Setup

__all__ = ["CASES", "FAMILIES", "Case", "Setup"]

_FILES = (
    linear,
    conv,
    conv_transpose,
    shape,
    upsample,
    activation,
    norm,
    layer_norm,
    batch_norm,
    response_norm,
    dropout,
    container,
    branch,
    regression,
    classification,
)
FAMILIES: dict[str, list[Case]] = {file.__name__.rpartition(".")[2]: file.CASES for file in _FILES}
CASES: list[Case] = [case for cases in FAMILIES.values() for case in cases]
