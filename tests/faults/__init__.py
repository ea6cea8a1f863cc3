"""Mistakes as people make them, planted in textbook layers by an edit to their text: see `table`."""

from .table import INPUTS, MISTAKES, Mistake, verdict

__all__ = ["INPUTS", "MISTAKES", "Mistake", "verdict"]
