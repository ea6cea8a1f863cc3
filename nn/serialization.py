"""Files of state: nested dicts, lists and tuples of arrays, text and numbers, without pickle.

A file is a standard `.npz`: the arrays under "0", "1", ..., and under "structure" a JSON text that says where they
stand. In it each object `{kind: content}` is one value of a kind that JSON lacks. NumPy's own functions do the work
on the archive, since importing `zipfile` here would make every `import nn` a tenth slower.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
from typing import Any

import numpy as np

from .parameter import Buffer, Parameter

_NUMBERS = "biufcmM"  # NumPy's kinds of fixed size: booleans, numbers, times
_ARRAYS = _NUMBERS + "SU"  # and text; neither objects nor records
_DEPTH = 100  # levels of nesting, which both JSON and Python's stack bear easily
_EXACT = 2**53  # integers up to here are the same for every reader of JSON


def save(obj: Any, path: str | os.PathLike[str]) -> None:
    """Write a state to a file: all of it, or the file stays as it was.

    The bytes go to a file beside, named `path` + ".tmp", which is then renamed: whoever looks, or comes after a
    crash, finds the old state or the new one.

    Args:
        obj: dicts, lists and tuples, nested, of arrays, NumPy scalars, strings, None, booleans, ints and floats.
            Keys are strings, numbers, booleans, None, or tuples of those. What stands in two places is written twice.
        path: the file's name; nothing is added to it.

    Raises:
        TypeError: for anything else, such as a Module or an array of objects, naming its place.
        ValueError: for more than 100 levels of nesting.
        OSError: when the file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save({"step": 3, "betas": (0.9, 0.999)}, f"{folder}/run.checkpoint")
        ...     load(f"{folder}/run.checkpoint")
        {'step': 3, 'betas': (0.9, 0.999)}
    """
    arrays: list[np.ndarray] = []
    structure = json.dumps(_encoded(obj, (), arrays))
    entries: dict[str, Any] = {"structure": np.array(structure.encode())}
    entries.update((str(number), array) for number, array in enumerate(arrays))
    target = os.path.realpath(path)  # where a link points, so that the link stays
    beside = target + ".tmp"  # one name, so that the next save clears away what a killed one left
    try:
        with open(beside, "wb") as file:
            np.savez(file, **entries)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(beside)
        raise


def load(path: str | os.PathLike[str]) -> Any:
    """Return the state that `save` wrote: the same values, of the same types.

    Every byte of it has been held against its checksum; nothing in the file is run.

    Args:
        path: the file's name.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is not a whole and unchanged file that `save` wrote.

    Example:
        >>> load("no such file")
        Traceback (most recent call last):
        FileNotFoundError: [Errno 2] No such file or directory: 'no such file'
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{os.fspath(path)} is not a readable checkpoint: it is not a file")
    with open(path, "rb") as file:
        try:
            with np.lib.npyio.NpzFile(file) as npz:
                _check_sizes(npz.zip, os.fstat(file.fileno()).st_size)
                return _decoded(json.loads(_read(npz.zip, "structure").item()), npz.zip)
        except MemoryError:
            raise  # the sizes are true, so this says nothing against the file
        except Exception as error:  # a damaged archive raises a dozen kinds, from struct.error to NotImplementedError
            raise ValueError(
                f"{os.fspath(path)} is not a readable checkpoint ({type(error).__name__}: {error})"
            ) from error


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
    if kind is np.ndarray and value.dtype.kind in _ARRAYS:
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


def _decoded(node: Any, archive: Any) -> Any:
    """Return the value that `_encoded` made `node` of, with its arrays from the archive."""
    if isinstance(node, list):
        return [_decoded(item, archive) for item in node]
    if not isinstance(node, dict):
        return node
    ((kind, content),) = node.items()
    if kind == "dict":
        return {_decoded(key, archive): _decoded(item, archive) for key, item in content}
    if kind == "tuple":
        return tuple(_decoded(content, archive))
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
        return _read(archive, content)
    raise ValueError(f"a value of unknown kind {kind!r}")


def _check_sizes(archive: Any, size: int) -> None:
    """Refuse an archive that claims more than it has, before memory is set aside for what it claims."""
    entries = archive.infolist()
    if any(entry.compress_size != entry.file_size for entry in entries) or sum(e.file_size for e in entries) > size:
        raise ValueError("the sizes of its entries are not true")


def _read(archive: Any, name: str) -> np.ndarray:
    """Return one array of the archive, whose header is not believed before the checksum has been seen to be right."""
    data = archive.read(f"{name}.npy")
    header = io.BytesIO(data)
    np.lib.format.read_magic(header)
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(header)
    if dtype.kind not in _ARRAYS or math.prod(shape) * dtype.itemsize != len(data) - header.tell():
        raise ValueError(f"array {name} of shape {shape} and dtype {dtype} has other contents")
    return np.ndarray(shape, dtype, data, header.tell(), order="F" if fortran_order else "C").copy("K")
