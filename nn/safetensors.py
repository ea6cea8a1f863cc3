"""Files in the safetensors format: named arrays behind a JSON header, which most frameworks read and nothing runs.

The format (https://github.com/huggingface/safetensors): 8 bytes with the header's length, little-endian; the header, an
object of `name: {"dtype", "shape", "data_offsets"}`; then the arrays' bytes, little-endian and in C order, one behind
the other without a gap.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .files import check_path, whole_file
from .serialization import foreign

# Wider kinds stand later, in the format's own order.
_DTYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "I16": "<i2",
    "U16": "<u2",
    "F16": "<f2",
    "I32": "<i4",
    "U32": "<u4",
    "F32": "<f4",
    "F64": "<f8",
    "I64": "<i8",
    "U64": "<u8",
}
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}
_LARGEST_HEADER = 100_000_000  # bytes, as the format's own library allows
_METADATA = "__metadata__"


def save_safetensors(
    state: Mapping[str, np.ndarray], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Write named arrays, such as a module's `state_dict()`, as a safetensors file: all of it, or none.

    Args:
        state: the arrays by name: booleans, integers, or floats of at most 64 bits.
        path: the file's name; nothing is added to it.
        metadata: texts by name to keep beside them; some readers ask for {"format": "pt"}.

    Raises:
        TypeError: for what is no mapping of text to arrays, or an array of a dtype that the format lacks.
        ValueError: for an array named `__metadata__`.
        OSError: when the file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_safetensors({"weight": np.ones((2, 3), np.float32)}, f"{folder}/model.safetensors")
        ...     load_safetensors(f"{folder}/model.safetensors")
        {'weight': array([[1., 1., 1.],
               [1., 1., 1.]], dtype=float32)}
    """
    check_path("save_safetensors(state, path)", path)
    arrays = _checked_arrays(state)
    # The widest kinds first, so that each array lies at a multiple of its size.
    order = sorted(arrays, key=lambda name: (-list(_NAMES).index(arrays[name].dtype), name))
    header: dict[str, Any] = {} if metadata is None else {_METADATA: _checked_metadata(metadata)}
    end = 0
    for name in order:
        array = arrays[name]
        start, end = end, end + array.nbytes
        header[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with whole_file(path) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in order:
            file.write(arrays[name].tobytes())


def load_safetensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Return the arrays of a safetensors file by name, in the order of the file's header.

    bfloat16, which NumPy lacks, becomes float32 without loss. Nothing in the file is run, and a file takes about as
    much memory as its size.

    Args:
        path: the file's name.

    Raises:
        FileNotFoundError: when there is no such file.
        TypeError: for what is no path.
        ValueError: when it is not a whole safetensors file, or holds a kind of number that NumPy lacks. Where PyTorch,
            NumPy or `save` wrote it, the text says how to read it.

    Example:
        >>> load_safetensors("no such file")
        Traceback (most recent call last):
        FileNotFoundError: [Errno 2] No such file or directory: 'no such file'
    """
    check_path("load_safetensors(path)", path)
    name = os.fsdecode(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{name} is not a readable safetensors file: it is not a file")
    with open(path, "rb") as file:
        try:
            return _read(file)
        except (ValueError, KeyError, TypeError, RecursionError) as error:  # what JSON and Python say of nonsense
            reason = foreign(file, name, "load_safetensors") or error
            raise ValueError(f"{name} is not a readable safetensors file ({reason})") from error


# ---- writing


def _checked_arrays(state: Any) -> dict[str, np.ndarray]:
    if not isinstance(state, Mapping):
        advice = "; give its state_dict()" if hasattr(state, "state_dict") else ""
        raise TypeError(f"save_safetensors expects a dict of arrays by name, got {type(state).__name__}{advice}")
    arrays = {}
    for name, array in state.items():
        if not isinstance(name, str):
            raise TypeError(f"save_safetensors expects names to be text, got {name!r}")
        if name == _METADATA:
            raise ValueError(f"save_safetensors cannot call an array {name!r}: the format keeps this name")
        if not isinstance(array, np.ndarray | np.generic) or array.dtype.newbyteorder("<") not in _NAMES:
            what = f"dtype {array.dtype}" if isinstance(array, np.ndarray | np.generic) else type(array).__name__
            raise TypeError(
                f"save_safetensors expects {name!r} to be an array of booleans, integers, or floats of at most 64 "
                f"bits, got {what}"
            )
        arrays[name] = np.asarray(array, array.dtype.newbyteorder("<"))
    return arrays


def _checked_metadata(metadata: Any) -> dict[str, str]:
    if not isinstance(metadata, Mapping) or not all(
        isinstance(text, str) for pair in metadata.items() for text in pair
    ):
        raise TypeError(f"save_safetensors expects metadata to be a dict of text by text, got {metadata!r}")
    return dict(metadata)


# ---- reading


def _read(file: io.BufferedReader) -> dict[str, np.ndarray]:
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, _LARGEST_HEADER):
        raise ValueError(f"a header of {length} bytes in a file of {size}")
    entries = json.loads(file.read(length).decode(), object_pairs_hook=_unique)
    if not isinstance(entries, dict):
        raise ValueError("its header is no object")
    entries.pop(_METADATA, None)
    start = 8 + length
    for name, entry in sorted(entries.items(), key=lambda item: _span(*item)):
        begin, end = _span(name, entry)
        if begin != start - 8 - length:
            raise ValueError(f"{name!r} begins at byte {begin} of the data, expected {start - 8 - length}")
        if end - begin != _bytes_of(name, entry) or 8 + length + end > size:
            raise ValueError(f"{name!r} has the wrong size: {end - begin} bytes in a file of {size}")
        start = 8 + length + end
    if start != size:
        raise ValueError(f"{size - start} bytes that belong to no array")
    return {name: _array(file, 8 + length, entry) for name, entry in entries.items()}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in its header")
    return found


def _whole(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _span(name: str, entry: Any) -> tuple[int, int]:
    """Return where an array's bytes begin and end in the data; also check the kinds of what the header says of it."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name!r} needs dtype, shape and data_offsets")
    if not (_whole(entry["shape"]) and _whole(entry["data_offsets"]) and len(entry["data_offsets"]) == 2):
        raise ValueError(f"{name!r} needs a shape and two data_offsets of whole numbers")
    begin, end = entry["data_offsets"]
    return begin, end


def _bytes_of(name: str, entry: dict[str, Any]) -> int:
    kind = entry["dtype"]
    if kind != "BF16" and kind not in _DTYPES:
        raise ValueError(f"{name!r} is of dtype {kind}, which NumPy lacks")
    return math.prod(entry["shape"]) * (2 if kind == "BF16" else np.dtype(_DTYPES[kind]).itemsize)


def _array(file: io.BufferedReader, start: int, entry: dict[str, Any]) -> np.ndarray:
    kind, shape = entry["dtype"], entry["shape"]
    stored = np.empty(shape, "<u2" if kind == "BF16" else _DTYPES[kind])
    file.seek(start + entry["data_offsets"][0])
    if file.readinto(stored.reshape(-1).view(np.uint8).data) != stored.nbytes:
        raise ValueError("it ends too early")
    if kind == "BF16":  # the upper half of a float32
        return (stored.astype(np.uint32) << 16).view(np.float32)
    if kind == "BOOL" and stored.view(np.uint8).max(initial=0) > 1:
        raise ValueError("a boolean that is neither 0 nor 1")
    return stored.astype(stored.dtype.newbyteorder("="), copy=False)
