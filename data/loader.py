"""Batches of rows, in a new order each epoch.

The place in the epoch can be saved and restored, so that an interrupted run goes on with the very batches it would
have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from . import settings
from .dataset import Dataset, check_dataset

_IN_PROCESS = "a batch is one indexing call in this process; leave the keyword out"
_OWN_ORDER = "give the rows in the order you want, DataLoader(Subset(dataset, indices)), or say shuffle=True"


class _Epoch:
    """One pass over the rows: their order, and how many batches have been handed out."""

    def __init__(self, order: np.ndarray, batch: int = 0) -> None:
        self.order = order
        self.batch = batch


class DataLoader:
    """Hands out a dataset in batches: `for x, y in loader` is one epoch, `len(loader)` the batches it has.

    Each iterator goes its own way, undisturbed by others.

    Args:
        dataset: a batch is `dataset[indices]` for some of its row numbers: a tuple of arrays.
        batch_size: rows in a batch; the last one may be smaller.
        shuffle: True goes through the rows in a fresh permutation each epoch, False in order.
        drop_last: True leaves a smaller last batch out.
        generator: a NumPy Generator, which may be shared with other code, or a seed; None for a fresh one.

    Raises:
        ValueError: for a batch size below 1.
        TypeError: for settings of another kind, for a keyword that only PyTorch's loader has, and for bare arrays or
            lists in place of a dataset.

    Example:
        >>> from data import TensorDataset
        >>> loader = DataLoader(TensorDataset(np.arange(5)), batch_size=2)
        >>> [x.tolist() for (x,) in loader]
        [[0, 1], [2, 3], [4]]
    """

    @settings.lacks(
        "DataLoader",
        num_workers=_IN_PROCESS,
        prefetch_factor=_IN_PROCESS,
        persistent_workers=_IN_PROCESS,
        multiprocessing_context=_IN_PROCESS,
        worker_init_fn=_IN_PROCESS,
        timeout=_IN_PROCESS,
        pin_memory="arrays stay in the memory of the CPU; leave the keyword out",
        pin_memory_device="arrays stay in the memory of the CPU; leave the keyword out",
        collate_fn="the dataset makes the batch: write what it does in __getitem__, which is given all its row numbers",
        sampler=_OWN_ORDER,
        batch_sampler=_OWN_ORDER,
    )
    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        *,
        generator: np.random.Generator | int | None = None,
    ) -> None:
        self.dataset = check_dataset("DataLoader", dataset)
        self.batch_size = settings.integer("DataLoader", "batch_size", batch_size, at_least=1)
        self.shuffle = settings.flag("DataLoader", "shuffle", shuffle)
        self.drop_last = settings.flag("DataLoader", "drop_last", drop_last)
        self.generator = settings.random_generator("DataLoader", generator)
        self._epoch: _Epoch | None = None  # the one begun last; None when it was gone through to its end
        self._restored = False  # that epoch came from load_state_dict, and the next iterator goes on with it

    def __len__(self) -> int:
        rows = len(self.dataset)
        return rows // self.batch_size if self.drop_last else -(-rows // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        if self._epoch is None or not self._restored:
            rows = len(self.dataset)
            self._epoch = _Epoch(self.generator.permutation(rows) if self.shuffle else np.arange(rows))
        self._restored = False
        return self._batches(self._epoch)

    def _batches(self, epoch: _Epoch) -> Iterator[tuple[Any, ...]]:
        size, batches = self.batch_size, len(self)
        while epoch.batch < batches:
            start = epoch.batch * size
            batch = self.dataset[epoch.order[start : start + size]]
            epoch.batch += 1  # before the yield: whoever saves inside the loop has this batch
            yield batch
        if self._epoch is epoch:
            self._epoch = None

    def _settings(self) -> dict[str, Any]:
        """Return what a state and the loader it goes to must agree on."""
        return {
            "length": len(self.dataset),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return all that the batches to come depend on, as nested dicts of plain values and arrays.

        Taken inside a loop, the batch in hand counts as seen and the rest of the epoch as to come, also after `break`:
        in the body of the last batch nothing is left of that epoch. Taken after a loop's end, the next epoch is what
        comes. The order of the rows is part of the state (8 bytes a row), because a shared generator has moved on
        since it was drawn.

        Example:
            >>> from data import TensorDataset
            >>> dataset = TensorDataset(np.arange(6))
            >>> loader = DataLoader(dataset, batch_size=2, shuffle=True, generator=0)
            >>> batches = iter(loader)
            >>> _ = next(batches)
            >>> resumed = DataLoader(dataset, batch_size=2, shuffle=True)
            >>> resumed.load_state_dict(loader.state_dict())
            >>> all(np.array_equal(a, b) for (a,), (b,) in zip(resumed, batches, strict=True))
            True
        """
        epoch = self._epoch
        return {
            **self._settings(),
            "order": None if epoch is None else epoch.order.copy(),
            "batch": 0 if epoch is None else epoch.batch,
            "generator": self.generator.bit_generator.state,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go back to where the state was taken: the next `iter(loader)` goes on there.

        The generator is set too, for all who share it.

        Raises:
            TypeError: for what is no dict.
            ValueError: for the state of a loader over another number of rows, with other settings or another kind of
                bit generator, and for what is no such state; nothing is changed then.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(settings.refusal("DataLoader", "the state", "a dict", state_dict))
        missing = self.state_dict().keys() - state_dict.keys()
        if missing:
            raise ValueError(f"DataLoader's state lacks {sorted(missing)}")
        for name, value in self._settings().items():
            theirs = state_dict[name]
            if isinstance(theirs, np.ndarray) or theirs != value:
                raise ValueError(f"DataLoader has {name}={value}, but the state is for {name}={theirs}")
        epoch = None
        if state_dict["order"] is not None:
            epoch = self._checked_epoch(state_dict["order"], state_dict["batch"])
        elif state_dict["batch"] != 0:
            raise ValueError(settings.refusal("DataLoader", "batch without an order", "0", state_dict["batch"]))
        before = self.generator.bit_generator.state
        try:
            self.generator.bit_generator.state = state_dict["generator"]
            state = self.generator.bit_generator.state
            # The places of MT19937 and Philox in what they have ready: NumPy believes them, and crashes outside of it.
            if not (0 <= state["state"].get("pos", 0) <= 624 and 0 <= state.get("buffer_pos", 0) <= 4):
                raise ValueError("its place is outside of its buffer")
        except Exception as error:  # each bit generator has its own ways, and some leave the state half set
            self.generator.bit_generator.state = before
            kind = type(self.generator.bit_generator).__name__
            raise ValueError(f"DataLoader draws from a {kind}, which cannot take the state: {error}") from error
        self._epoch = epoch
        self._restored = True

    def _checked_epoch(self, order: Any, batch: Any) -> _Epoch:
        """Return the epoch of a state: each row once, and a batch that it has."""
        rows = len(self.dataset)
        try:
            array = np.asarray(order)
            is_order = array.dtype.kind in "iu" or not rows
            is_order = is_order and np.array_equal(np.sort(array), np.arange(rows))
            batch = settings.integer("DataLoader", "batch", batch, at_least=0)
        except (TypeError, ValueError):
            is_order = False
        if not is_order or batch > len(self):
            raise ValueError(f"DataLoader expects an order of {rows} rows and one of {len(self)} batches")
        return _Epoch(array.astype(np.int64), batch)
