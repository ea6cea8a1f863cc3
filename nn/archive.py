"""The `.npz` of a saved state: arrays one behind the other, uncompressed, and a directory of them at the end.

`write` writes what `numpy.savez` would, byte for byte, so that NumPy and every zip program read it. `read` accepts
nothing but these bytes: whatever else an archive could claim (compression, foreign entries, an entry under two names,
a size beyond the file) is refused before memory is set aside for it. The standard library's `zipfile` accepts all of
this, and importing it would make `import nn` a tenth slower.
"""

from __future__ import annotations

import io
import itertools
import math
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, NamedTuple

import numpy as np

KINDS = "biufcmMSU"  # NumPy's kinds that an archive holds: booleans, numbers, times, text; no objects, no records

_VERSION = 45  # of the zip format: the first with sizes of 64 bits
_UNIX = 3
_DATE = 1 << 5 | 1  # 1 January 1980: equal states make equal files
_MODE = 0o600 << 16
_IN_EXTRA = 2**32 - 1  # in place of a size that is too large for its field and stands in the extra field
_LARGEST = 2**31 - 1  # the largest size that `zipfile` writes into a field of 32 bits
_MOST = 2**16 - 1  # entries of a directory without such fields


class _Entry(NamedTuple):
    name: bytes
    size: int
    crc: int
    offset: int


def write(file: IO[bytes], arrays: Iterable[np.ndarray]) -> None:
    """Write arrays under the names structure, 0, 1, 2, and so on."""
    entries = []
    for name, array in zip(_names(), arrays, strict=False):
        header = io.BytesIO()
        described = np.lib.format.header_data_from_array_1_0(array)
        np.lib.format.write_array_header_1_0(header, described)
        data = array.tobytes("F" if described["fortran_order"] else "C")
        crc = zlib.crc32(data, zlib.crc32(header.getvalue()))
        entry = _Entry(name, header.tell() + len(data), crc, file.tell())
        file.write(_local_header(entry))
        file.write(header.getvalue())
        file.write(data)
        entries.append(entry)
    file.write(_directory(entries, file.tell()))


def read(file: io.BufferedReader) -> Iterator[np.ndarray]:
    """Yield the arrays of a file, in order, each once its checksum has been found right; then look at the directory.

    Raises:
        ValueError: as soon as the bytes are not those that `write` writes.
    """
    size = os.fstat(file.fileno()).st_size
    entries: list[_Entry] = []
    for name in _names():
        offset = file.tell()
        start = file.read(len(_local_header(_Entry(name, 0, 0, 0))))
        if not start.startswith(b"PK\x03\x04"):
            break
        (crc,), (length,) = struct.unpack("<L", start[14:18]), struct.unpack("<Q", start[-8:])
        entry = _Entry(name, length, crc, offset)
        if start != _local_header(entry):
            raise ValueError(f"expected the uncompressed entry {name.decode()} at byte {offset}")
        if length > size - file.tell():
            raise ValueError(f"entry {name.decode()} goes beyond the end of the file")
        entries.append(entry)
        yield _array(file, entry)
    if not entries:
        raise ValueError("it does not begin as a saved state does")
    directory = _directory(entries, offset)
    file.seek(offset)
    if file.read(len(directory) + 1) != directory:
        raise ValueError(f"the directory at byte {offset} does not list the {len(entries)} entries before it")


def _names() -> Iterator[bytes]:
    return (f"{name}.npy".encode() for name in itertools.chain(["structure"], itertools.count()))


def _array(file: io.BufferedReader, entry: _Entry) -> np.ndarray:
    """Read one array, for which memory is taken only once its size is known to be that of the entry."""
    start = file.tell()
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError(f"entry {entry.name.decode()} has another version of the format")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    length = file.tell() - start
    if dtype.kind not in KINDS or not dtype.itemsize or math.prod(shape) * dtype.itemsize != entry.size - length:
        raise ValueError(f"entry {entry.name.decode()} does not hold an array of shape {shape} and dtype {dtype}")
    array = np.empty(shape, dtype, order="F" if fortran_order else "C")
    data = array.reshape(-1, order="A").view(np.uint8).data
    file.seek(start)
    crc = zlib.crc32(file.read(length))
    if file.readinto(data) != len(data) or zlib.crc32(data, crc) != entry.crc:
        raise ValueError(f"the checksum of entry {entry.name.decode()} is wrong")
    return array


# The three kinds of records of a zip archive, as the format's specification (APPNOTE.TXT, 4.3) lays them out.


def _local_header(entry: _Entry) -> bytes:
    fields = (_VERSION, 0, 0, 0, _DATE, entry.crc, _IN_EXTRA, _IN_EXTRA, len(entry.name), 20)
    return (
        struct.pack("<4s5H3L2H", b"PK\x03\x04", *fields)
        + entry.name
        + struct.pack("<2H2Q", 1, 16, entry.size, entry.size)
    )


def _directory(entries: list[_Entry], start: int) -> bytes:
    records = b"".join(map(_record, entries))
    count, size, end = len(entries), len(records), b""
    if count > _MOST or max(size, start) > _LARGEST:
        fields = (44, _VERSION, _VERSION, 0, 0, count, count, size, start)
        end += struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", *fields)
        end += struct.pack("<4sLQL", b"PK\x06\x07", 0, start + size, 1)
        count, size, start = min(count, 2**16 - 1), min(size, _IN_EXTRA), min(start, _IN_EXTRA)
    return records + end + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, size, start, 0)


def _record(entry: _Entry) -> bytes:
    large, size, offset = [], entry.size, entry.offset
    if size > _LARGEST:
        large += [size, size]
        size = _IN_EXTRA
    if offset > _LARGEST:
        large += [offset]
        offset = _IN_EXTRA
    extra = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    made_by = _UNIX << 8 | _VERSION
    sizes = (entry.crc, size, size, len(entry.name), len(extra), 0)
    fields = (made_by, _VERSION, 0, 0, 0, _DATE, *sizes, 0, 0, _MODE, offset)
    return struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *fields) + entry.name + extra
