"""Images from a folder: IDX files, as MNIST comes, or one folder a class with picture files.

Picture files are read by Pillow, which the extra `images` brings; IDX files need nothing.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import settings
from .table import listed

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp"}
IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
IDX_NAMES = ("idx", "ubyte")  # one of which is in the name of every such file that is about
HELD_OUT_NAMES = ("t10k", "test")


class ImageSet(NamedTuple):
    """Images with what they show.

    Attributes:
        images: (N, C, H, W), float32 from 0 to 255, of one channel where all are grey, else of three.
        labels: the class of each, (N,), int64.
        classes: the name of each class.
        names: of each image, its file within the folder; of one in an IDX file, with its number.
        held_out: which of them are set apart for the test, (N,), boolean: those in IDX files named t10k or test.

    Example:
        >>> ImageSet(np.zeros((1, 1, 28, 28)), np.array([0]), ["a"], ["a/1.png"], np.array([False])).classes
        ['a']
    """

    images: np.ndarray
    labels: np.ndarray
    classes: list[str]
    names: list[str]
    held_out: np.ndarray


def read_images(folder: str | os.PathLike[str]) -> ImageSet:
    """Read all images of a folder: of its IDX files, where there are any, or of its folders, one a class.

    Args:
        folder: with IDX files, as many of images as of labels, plain or compressed by gzip; or with a folder for each
            class, named like it, with PNG or other picture files in it. Names that begin with a dot are passed over.

    Raises:
        FileNotFoundError, NotADirectoryError: for what is no folder.
        ValueError: for a folder without such files, for images of several sizes, for files that cannot be read, or
            lie elsewhere than in the folder of a class.
        ImportError: where picture files are to be read and Pillow is not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "images.idx3").write_bytes(bytes([0, 0, 8, 3, *[0, 0, 0, 1] * 2, 0, 0, 0, 2, 5, 6]))
        ...     _ = Path(folder, "labels.idx1").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 1, 7]))
        ...     read_images(folder)[:3]
        (array([[[[5., 6.]]]], dtype=float32), array([0]), ['7'])
    """
    files = idx_files(folder)
    return _read_idx_files(folder, files) if files else _read_class_folders(folder)


def _read_idx_files(folder: str | os.PathLike[str], files: list[str]) -> ImageSet:
    arrays = {name: read_idx(os.path.join(folder, name)) for name in files}
    images = {name: array for name, array in arrays.items() if array.ndim == 3}
    labels = {name: array for name, array in arrays.items() if array.ndim == 1}
    if not images or len(images) != len(labels):
        raise ValueError(
            f"{os.fspath(folder)}: expected an IDX file of labels (one dimension) for each of images (three), got "
            f"{listed(f'{name} of shape {array.shape}' for name, array in arrays.items())}"
        )
    names: list[str] = []
    held_out: list[bool] = []
    size = next(iter(images.values())).shape[1:]
    for (name, array), (other, codes) in zip(images.items(), labels.items(), strict=True):  # both sorted by name
        if len(array) != len(codes) or codes.dtype.kind not in "iu":
            raise ValueError(
                f"{os.path.join(folder, other)}: expected {len(array)} whole numbers, a label for each image in "
                f"{name}, got {len(codes)} of {codes.dtype}"
            )
        if array.shape[1:] != size:
            raise ValueError(_sizes(folder, names[0], size, name, array.shape[1:]))
        names += [f"{name}[{number}]" for number in range(len(array))]
        held_out += [any(word in name.lower() for word in HELD_OUT_NAMES)] * len(array)
    classes, y = np.unique(np.concatenate(list(labels.values())), return_inverse=True)
    x = np.concatenate(list(images.values()))[:, None].astype(np.float32)
    return ImageSet(x, y.astype(np.int64), list(map(str, classes.tolist())), names, np.array(held_out))


def _read_class_folders(folder: str | os.PathLike[str]) -> ImageSet:
    names = image_files(folder)
    lost = next((name for name in names if name.count("/") != 1), None)
    if not names or lost:
        what = lost or f"no image ({listed(sorted(os.listdir(folder))) or 'nothing'})"
        raise ValueError(
            f"{os.fspath(folder)}: expected IDX files, or a folder for each class with PNG files in it, got {what}"
        )
    classes = list(dict.fromkeys(name.partition("/")[0] for name in names))
    images = []
    for name in names:
        images.append(read_image(os.path.join(folder, name)))
        if images[-1].shape[1:] != images[0].shape[1:]:
            raise ValueError(_sizes(folder, names[0], images[0].shape[1:], name, images[-1].shape[1:]))
    channels = max(map(len, images))  # grey ones among coloured ones are coloured, too
    x = np.empty((len(images), channels, *images[0].shape[1:]), np.float32)
    for row, image in zip(x, images, strict=True):
        row[...] = image
    y = np.array([classes.index(name.partition("/")[0]) for name in names], np.int64)
    return ImageSet(x, y, classes, names, np.zeros(len(names), bool))


def _sizes(folder: str | os.PathLike[str], first: str, size: tuple[int, ...], name: str, other: tuple[int, ...]) -> str:
    sizes = [" x ".join(map(str, shape)) for shape in (size, other)]
    return (
        f"{os.fspath(folder)}: expected images of one size, got {first} of {sizes[0]} pixels (height x width) and "
        f"{name} of {sizes[1]}"
    )


def idx_files(folder: str | os.PathLike[str]) -> list[str]:
    """Return the names of the files in a folder that are in the IDX format, sorted.

    They are told by "idx" or "ubyte" in their names. Names that begin with a dot are passed over.

    Args:
        folder: where to look.

    Raises:
        FileNotFoundError, NotADirectoryError: for what is no folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("t10k-images-idx3-ubyte.gz", "notes.txt"):
        ...         Path(folder, name).touch()
        ...     idx_files(folder)
        ['t10k-images-idx3-ubyte.gz']
    """
    names = [name for name in sorted(os.listdir(folder)) if any(word in name.lower() for word in IDX_NAMES)]
    return [name for name in names if not name.startswith(".") and os.path.isfile(os.path.join(folder, name))]


def image_files(folder: str | os.PathLike[str]) -> list[str]:
    """Return the picture files in a folder and the folders in it, sorted, by their paths within it, with slashes.

    They are told by the ends of their names, such as .png. Names that begin with a dot are passed over.

    Args:
        folder: where to look.

    Raises:
        FileNotFoundError, NotADirectoryError: for what is no folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("b.png", "a.PNG", "notes.txt"):
        ...         Path(folder, name).touch()
        ...     image_files(folder)
        ['a.PNG', 'b.png']
    """
    found = []
    for entry in sorted(os.listdir(folder)):
        path = os.path.join(folder, entry)
        if entry.startswith("."):
            continue
        if os.path.isdir(path):
            found += [f"{entry}/{name}" for name in image_files(path)]
        elif Path(entry).suffix.lower() in SUFFIXES:
            found.append(entry)
    return found


def read_image(path: str | os.PathLike[str], channels: int | None = None) -> np.ndarray:
    """Read a picture file. What is transparent in it becomes white.

    Args:
        path: the file.
        channels: 1 makes it grey, 3 coloured; None leaves it as the file has it.

    Shape:
        (channels, H, W), uint8.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: for a file that is no picture, or a broken one, and for other channels.
        ImportError: where Pillow is not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.pgm").write_bytes(b"P5 3 1 255 " + bytes([0, 128, 255]))
        ...     read_image(f"{folder}/a.pgm")
        array([[[  0, 128, 255]]], dtype=uint8)
    """
    if channels not in (None, 1, 3):
        raise ValueError(settings.refusal("read_image", "channels", "1, 3 or None", channels))
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(
            f"to read {os.fspath(path)}, Pillow is needed, which is not installed (pip install 'handgrad[images]')"
        ) from None
    try:
        with Image.open(path) as file:
            picture: Any = file
            if picture.has_transparency_data:
                picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA"))
            mode = picture.mode
            if mode.startswith("I;16"):  # which Pillow would clip at 255
                picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
            is_grey = channels == 1 or (channels is None and mode.startswith(("1", "L", "I")))
            pixels = np.asarray(picture.convert("L" if is_grey else "RGB"))
    except FileNotFoundError:
        raise
    except Exception as error:  # what Pillow says of a broken file is of a dozen kinds
        raise ValueError(f"{os.fspath(path)} is no image that can be read: {error}") from error
    return pixels[None] if is_grey else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an array from a file in the IDX format, plain or compressed by gzip.

    Two zero bytes, one for the type, one for the number of dimensions, each size in four bytes, then the numbers, all
    with the most significant byte first.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: for a file in another format, or one cut off.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.idx1").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 6, 7]))
        ...     read_idx(f"{folder}/a.idx1")
        array([5, 6, 7], dtype=uint8)
    """
    name = os.fspath(path)
    content = Path(path).read_bytes()
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{name} is no whole gzip file: {error}") from error
    start = content[:4]
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in IDX_TYPES or not start[3]:
        types = ", ".join(f"{code:02x}" for code in IDX_TYPES)
        raise ValueError(
            f"{name}: expected an IDX file, which begins with the bytes 00 00, a type ({types}) and a number of "
            f"dimensions, got {start.hex(' ') or 'nothing'}"
        )
    body = 4 + 4 * start[3]
    sizes = [int.from_bytes(content[place : place + 4], "big") for place in range(4, body, 4)]
    dtype = np.dtype(IDX_TYPES[start[2]])
    expected = body + math.prod(sizes) * dtype.itemsize
    if len(content) != expected:
        shape = " x ".join(map(str, sizes))
        raise ValueError(f"{name}: expected {expected} bytes, for {shape} numbers of {dtype}, got {len(content)}")
    numbers: Any = np.frombuffer(content, dtype, offset=body).reshape(sizes)
    return numbers.astype(dtype.newbyteorder("="))
