"""What words about whole arrays do, entry by entry: which entry of the argument stands where in the result.

An array is given by its entries here (`Entries` of nn/lowering): a shape, and a function `at` of indices, which are
expressions. `moved` makes an array whose entries are others of this one, `chosen` chooses between two entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def _sides(x: Any, widths: Any) -> list[tuple[int, int]]:
    """Return how much is added before and after each axis: widths are one, or one or a pair for each of the last."""
    each = [tuple(w) if isinstance(w, list | tuple) else (w, w) for w in _listed(widths)]
    return [(0, 0)] * (x.ndim - len(each)) + [(int(before), int(after)) for before, after in each]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _with(indices: Sequence[Any], axis: int, place: Any) -> list[Any]:
    """Return indices with another one on one axis."""
    return [place if k == axis else i for k, i in enumerate(indices)]


def _resized(x: Any, axis: int, size: int) -> list[int]:
    return _with(x.shape, axis, size)


def _is(i: Any, place: int) -> Any:
    """Return whether an index is a place, as 1 or 0."""
    return (i >= place) * (i < place + 1)


def pad_entries(x: Any, widths: Any, filling: float | str = 0) -> Any:
    """Return the entries of `pad`: of one value, or copied by 'reflect', 'replicate' or 'circular'."""
    for axis, (before, after) in enumerate(_sides(x, widths)):
        if before or after:
            x = _padded(x, axis, before, after, filling)
    return x


def _padded(x: Any, axis: int, before: int, after: int, filling: float | str) -> Any:
    n = x.shape[axis]
    shape = _resized(x, axis, before + n + after)
    if isinstance(filling, str):
        return x.moved(shape, lambda *i: _with(i, axis, _source(x, filling, n, i[axis], before)))

    def at(*indices: Any) -> Any:
        i = indices[axis]
        entry = x.at(*_with(indices, axis, i - before))
        if after > 0:
            entry = x.chosen(i < before + n, entry, float(filling))
        return x.chosen(i >= before, entry, float(filling)) if before > 0 else entry

    return type(x)(shape, at)


def _source(x: Any, mode: str, n: int, i: Any, before: int) -> Any:
    """Return which of n entries stands at a place of an axis that is padded in a mode."""
    if mode == "circular":
        return (i + (-before % n)) % n
    place = i - before
    low, high = (
        (_negative(place), _negative(place) + (2 * n - 2)) if mode == "reflect" else (place * 0, place * 0 + (n - 1))
    )
    return x.chosen(place >= 0, x.chosen(place < n, place, high), low)


def _negative(i: Any) -> Any:
    return i * -1


def crop_entries(x: Any, widths: Any, filling: float | str = 0) -> Any:
    """Return the entries of `crop`; of padding that was copied, each is added to the one that it is a copy of."""
    for axis, (before, after) in enumerate(_sides(x, widths)):
        if isinstance(filling, str) and (before or after):
            x = _gathered(x, axis, before, after, filling)
        elif before or after:
            x = _padded(x, axis, -before, -after, 0)
    return x


def _gathered(x: Any, axis: int, before: int, after: int, mode: str) -> Any:
    n = x.shape[axis] - before - after

    def at(*indices: Any) -> Any:
        i = indices[axis]
        total = x.at(*_with(indices, axis, i + before))
        for place in (*range(before), *range(before + n, before + n + after)):
            copied = _source_of(mode, n, place - before)
            total = total + x.chosen(_is(i, copied), x.at(*_with(indices, axis, i * 0 + place)), 0.0)
        return total

    return type(x)(_resized(x, axis, n), at)


def _source_of(mode: str, n: int, place: int) -> int:
    """Return which of n entries stands at a place outside of them."""
    if mode == "circular":
        return place % n
    if mode == "replicate":
        return min(max(place, 0), n - 1)
    return -place if place < 0 else 2 * n - 2 - place


def split_entries(x: Any, parts: int | Sequence[int], axis: int = -1) -> list[Any]:
    """Return the entries of `split`."""
    axis %= x.ndim
    lengths = [x.shape[axis] // parts] * parts if isinstance(parts, int) else list(parts)
    found, start = [], 0
    for length in lengths:
        found.append(x.moved(_resized(x, axis, length), lambda *i, s=start: _with(i, axis, i[axis] + s)))
        start += length
    return found


def join_entries(*arguments: Any) -> Any:
    """Return the entries of `join`."""
    *arrays, axis = arguments
    axis %= arrays[0].ndim
    total = sum(each.shape[axis] for each in arrays)

    def at(*indices: Any) -> Any:
        entry, end = None, total
        for each in reversed(arrays):
            start = end - each.shape[axis]
            here = each.at(*_with(indices, axis, indices[axis] - start))
            entry = here if entry is None else each.chosen(indices[axis] < end, here, entry)
            end = start
        return entry

    return type(arrays[0])(_resized(arrays[0], axis, total), at)


def move_entries(x: Any, source: int, destination: int) -> Any:
    """Return the entries of `move`."""
    order = list(range(x.ndim))
    order.insert(destination % x.ndim, order.pop(source % x.ndim))
    return x.moved([x.shape[axis] for axis in order], lambda *i: [i[order.index(axis)] for axis in range(x.ndim)])
