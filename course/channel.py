"""Messages between the grader and a hand-in's process: lines of JSON, with arrays in them as their bytes in base64.

Nothing that arrives is run, and an array is made of its bytes alone: a hand-in cannot reach the grader by what it says.
"""

from __future__ import annotations

import base64
import json
import math
from typing import IO, Any

import numpy as np

KINDS = "biuf"  # of arrays: booleans, integers, floating numbers
LONGEST = 2**25  # bytes of a message


class Channel:
    """Two streams, one to read messages from and one to write them to.

    Args:
        source: a binary stream.
        sink: a binary stream.

    Example:
        >>> import io
        >>> stream = io.BytesIO()
        >>> Channel(stream, stream).send({"x": np.array([1.0, 2.0]), "names": ["a"]})
        >>> _ = stream.seek(0)
        >>> Channel(stream, stream).receive()
        {'x': array([1., 2.]), 'names': ['a']}
    """

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        self.source, self.sink = source, sink

    def send(self, message: Any) -> None:
        """Write a message: dicts, lists, text, numbers, None, and arrays of numbers."""
        self.sink.write(json.dumps(_encoded(message)).encode() + b"\n")
        self.sink.flush()

    def receive(self) -> Any:
        """Return the next message.

        Raises:
            EOFError: where none comes any more.
            ValueError: for anything that is no message.
        """
        line = self.source.readline(LONGEST)
        if not line:
            raise EOFError("nothing comes any more")
        if not line.endswith(b"\n"):
            raise ValueError("a message is too long, or ends too soon")
        try:
            return _decoded(json.loads(line))
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"this is no message: {error}") from None


def _encoded(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"array": [value.dtype.str, list(value.shape), data]}
    if isinstance(value, dict):
        return {"dict": [[key, _encoded(item)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_encoded(item) for item in value]
    return value


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if isinstance(value, dict) and "array" in value:
        name, shape, data = value["array"]
        dtype, content = np.dtype(str(name)), base64.b64decode(data)
        if dtype.kind not in KINDS or math.prod(shape) * dtype.itemsize != len(content):
            raise ValueError(f"an array of {dtype} of shape {shape} has another size, or is of no kind that is sent")
        return np.frombuffer(content, dtype).reshape(shape).copy()
    if isinstance(value, dict):
        return {key: _decoded(item) for key, item in value["dict"]}
    return value
