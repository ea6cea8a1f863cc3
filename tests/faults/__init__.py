"""Mistakes as people make them, planted in textbook layers by an edit to their text: see `table`."""

from .aside import ASIDE
from .table import INPUTS, MISTAKES, Mistake, verdict

__all__ = ["ASIDE", "INPUTS", "MISTAKES", "Mistake", "verdict"]
