"""Rows for training: datasets, the loader that hands them out in batches, toy problems and CSV tables.

The names below are the package's whole public interface, by file.
"""

from .dataset import Dataset, Subset, TensorDataset, random_split
from .encoder import TableEncoder
from .loader import DataLoader
from .real import load_auto_mpg, load_csv, load_digits
from .table import Table, infer_task, read_table
from .toy import FUNCTIONS, moons, regression, spirals

__all__ = [  # noqa: RUF022 - by file
    # dataset
    "Dataset",
    "TensorDataset",
    "Subset",
    "random_split",
    # loader
    "DataLoader",
    # toy
    "FUNCTIONS",
    "regression",
    "spirals",
    "moons",
    # table
    "Table",
    "read_table",
    "infer_task",
    # encoder
    "TableEncoder",
    # real
    "load_csv",
    "load_auto_mpg",
    "load_digits",
]
