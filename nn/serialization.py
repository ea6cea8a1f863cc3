"""Files of state: nested dicts, lists and tuples of arrays, text and numbers, without pickle.

A file is a standard `.npz`: under "structure" a JSON text, and under "0", "1", ... the arrays in the order in which
they stand in it. In this text each object `{kind: content}` is one value of a kind that JSON lacks.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import archive
from .files import check_path, whole_file
from .parameter import Buffer, Parameter

_NUMBERS = "biufcmM"  # NumPy's kinds of fixed size: booleans, numbers, times
_DEPTH = 100  # levels of nesting, which both JSON and Python's stack bear easily
_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9"  # how files begin that PyTorch wrote before 1.6
_EXACT = 2**53  # integers up to here are the same for every reader of JSON


def save(obj: Any, path: str | os.PathLike[str]) -> None:
    """Write a state to a file: all of it, or the file stays as it was.

    The bytes go to a file beside, which is then renamed: whoever looks, or comes after a crash, finds the old state
    or the new one.

    Args:
        obj: dicts, lists and tuples, nested, of arrays, NumPy scalars, strings, None, booleans, ints and floats.
            Keys are strings, numbers, booleans, None, or tuples of those. What stands in two places is written twice.
        path: the file's name; nothing is added to it.

    Raises:
        TypeError: for anything else, such as a Module or an array of objects, naming its place; for what is no path.
        ValueError: for more than 100 levels of nesting.
        OSError: when the file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save({"step": 3, "betas": (0.9, 0.999)}, f"{folder}/run.checkpoint")
        ...     load(f"{folder}/run.checkpoint")
        {'step': 3, 'betas': (0.9, 0.999)}
    """
    check_path("save(obj, path)", path)
    arrays: list[np.ndarray] = []
    structure = json.dumps(_encoded(obj, (), arrays))
    with whole_file(path) as file:
        archive.write(file, [np.array(structure.encode()), *arrays])


def load(path: str | os.PathLike[str]) -> Any:
    """Return the state that `save` wrote: the same values, of the same types.

    Every byte of it has been held against its checksum; nothing in the file is run, and a file takes about as much
    memory as its size.

    Args:
        path: the file's name.

    Raises:
        FileNotFoundError: when there is no such file.
        TypeError: for what is no path.
        ValueError: when it is not a whole and unchanged file that `save` wrote. Where PyTorch or NumPy wrote it, the
            text says how to make a state of it.

    Example:
        >>> load("no such file")
        Traceback (most recent call last):
        FileNotFoundError: [Errno 2] No such file or directory: 'no such file'
    """
    check_path("load(path)", path)
    name = os.fspath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{name} is not a readable checkpoint: it is not a file")
    with open(path, "rb") as file:
        try:
            return _read(file)
        except MemoryError:
            raise  # the sizes are true, so this says nothing against the file
        except Exception as error:  # what NumPy, JSON and Python say of nonsense is of a dozen kinds
            reason = foreign(file, name, "load") or f"{type(error).__name__}: {error}"
            raise ValueError(f"{name} is not a readable checkpoint ({reason})") from error


def _read(file: io.BufferedReader) -> Any:
    arrays = archive.read(file)
    structure = next(arrays).item()
    value = _decoded(json.loads(structure), arrays)
    if next(arrays, None) is not None:
        raise ValueError("an array that the structure does not name")
    again: list[np.ndarray] = []
    if json.dumps(_encoded(value, (), again)).encode() != structure:  # such as one key twice, or a text for a tuple
        raise ValueError("the structure is not written as save writes it")
    return value


def foreign(file: io.BufferedReader, name: str, reader: str) -> str | None:
    """Say what to do with a file that `reader`, which is "load" or "load_safetensors", does not read.

    Example:
        >>> foreign(io.BufferedReader(io.BytesIO(b"\\x93NUMPY")), "a.npy", "load")
        "a single array of NumPy's; numpy.load('a.npy') reads it"
    """
    file.seek(0)
    start = file.read(30)
    entry = file.read(int.from_bytes(start[26:28], "little")) if start.startswith(b"PK") else b""
    if start.startswith(_LEGACY_TORCH) or entry.endswith(b"/data.pkl"):
        return (
            f"PyTorch wrote it; there, {{k: v.numpy() for k, v in torch.load({name!r}, map_location='cpu').items()}} "
            f"makes a state of a state_dict, which nn.save writes"
        )
    if entry == b"structure.npy" and reader != "load":
        return f"nn.save wrote it; nn.load({name!r}) reads it"
    if entry.endswith(b".npy") and entry != b"structure.npy":
        return f"a plain .npz; dict(numpy.load({name!r})) makes a state of it"
    if start[8:10] == b'{"' and reader != "load_safetensors":
        return f"a safetensors file; nn.load_safetensors({name!r}) reads it"
    if start.startswith(b"\x93NUMPY"):
        return f"a single array of NumPy's; numpy.load({name!r}) reads it"
    return None


def _encoded(value: Any, place: tuple, arrays: list[np.ndarray]) -> Any:
    """Return `value` as JSON can say it, and append its arrays to `arrays`; `place` is the keys that lead to it."""
    if len(place) > _DEPTH:
        raise ValueError(f"save expects at most {_DEPTH} levels of nesting, got more: does the state hold itself?")
    kind = type(value)  # exactly: what comes back is of the kind that was given, so a subclass will not do
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        return value if abs(value) <= _EXACT else {"int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if kind is list:
        return [_encoded(item, (*place, index), arrays) for index, item in enumerate(value)]
    if kind is tuple:
        return {"tuple": _encoded(list(value), place, arrays)}
    if kind is dict:
        for key in value:
            if not _is_key(key):
                raise TypeError(
                    f"save expects keys to be strings, numbers, booleans, None or tuples of those, "
                    f"got {key!r} in {_text(place)}"
                )
        return {
            "dict": [[_encoded(k, place, arrays), _encoded(item, (*place, k), arrays)] for k, item in value.items()]
        }
    if kind is np.str_:
        return {"str_": value}
    if isinstance(value, np.generic) and value.dtype.kind in _NUMBERS:
        return {"scalar": [value.dtype.str, value.tobytes().hex()]}
    if kind is np.ndarray and value.dtype.kind in archive.KINDS and value.dtype.itemsize:
        arrays.append(value)
        return {"array": str(len(arrays) - 1)}
    what = f"an array of dtype {value.dtype}" if kind is np.ndarray else kind.__name__
    advice = ""
    if hasattr(value, "state_dict"):
        advice = "; save its state_dict()"
    elif isinstance(value, Parameter | Buffer):
        advice = "; save its data, or the state_dict() of its module"
    raise TypeError(
        f"save expects plain dicts, lists, tuples, arrays, strings, None, booleans and numbers, "
        f"got {what} at {_text(place)}{advice}"
    )


def _is_key(key: Any) -> bool:
    return key is None or type(key) in (str, int, float, bool) or (type(key) is tuple and all(map(_is_key, key)))


def _text(place: tuple) -> str:
    return "state" + "".join(f"[{key!r}]" for key in place)


def _decoded(node: Any, arrays: Iterator[np.ndarray]) -> Any:
    """Return the value that `_encoded` made `node` of, taking its arrays in the same order."""
    if isinstance(node, list):
        return [_decoded(item, arrays) for item in node]
    if not isinstance(node, dict):
        return node
    ((kind, content),) = node.items()
    if kind == "dict":
        return {_decoded(key, arrays): _decoded(item, arrays) for key, item in content}
    if kind == "tuple":
        return tuple(_decoded(content, arrays))
    if kind == "int":
        return int(content, 16)
    if kind == "float":
        return float(content)
    if kind == "str_":
        return np.str_(content)
    if kind == "scalar":
        dtype, digits = content
        return np.frombuffer(bytes.fromhex(digits), dtype)[0]
    if kind == "array":
        array = next(arrays, None)
        if array is None:
            raise ValueError(f"array {content} is missing")
        return array
    raise ValueError(f"a value of unknown kind {kind!r}")
