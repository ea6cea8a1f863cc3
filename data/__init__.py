"""Rows for training: datasets, the loader that hands them out in batches, toy problems, CSV tables and images.

The names below are the package's whole public interface, by file.
"""

from . import augment as augment  # a room of its own
from .dataset import Dataset, Subset, TensorDataset, random_split
from .encoder import TableEncoder
from .images import ImageSet, idx_files, image_files, read_idx, read_image, read_images
from .loader import DataLoader
from .real import load_auto_mpg, load_csv, load_digits, load_mnist
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
    "load_mnist",
    # images
    "ImageSet",
    "read_images",
    "image_files",
    "idx_files",
    "read_image",
    "read_idx",
]
