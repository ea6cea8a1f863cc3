"""Datasets and the loader: every row once an epoch, and a resumed run goes on exactly where it was."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import data
import nn
from data import DataLoader, Dataset, Subset, TensorDataset, random_split


def rows(n):
    return TensorDataset(np.arange(n))


def batches(loader):
    """An epoch as lists of row numbers."""
    return [x.tolist() for (x,) in loader]


# Datasets


def test_tensor_dataset_indexing():
    x, y = np.arange(12.0).reshape(6, 2), list("abcdef")
    dataset = TensorDataset(x, y)
    assert len(dataset) == 6
    mask = np.array([True, False] * 3)
    for index, expected in ((np.array([4, 0]), [4, 0]), ([1, 1], [1, 1]), (slice(1, 3), [1, 2]), (mask, [0, 2, 4])):
        got_x, got_y = dataset[index]
        np.testing.assert_array_equal(got_x, x[expected])
        assert got_y.tolist() == [y[i] for i in expected]
    one_x, one_y = dataset[-1]
    assert one_x.tolist() == [10, 11] and one_y == "f"
    with pytest.raises(IndexError):
        dataset[np.array([6])]


def test_tensor_dataset_refuses():
    with pytest.raises(ValueError, match=r"lengths \[3, 4\]"):
        TensorDataset(np.zeros((3, 2)), np.zeros(4))
    with pytest.raises(ValueError, match="one dimension or more"):
        TensorDataset()
    with pytest.raises(ValueError, match="one dimension or more"):
        TensorDataset(np.float32(1))


def test_dataset_base_says_what_to_write():
    with pytest.raises(NotImplementedError, match="Dataset must define __len__"):
        len(Dataset())
    with pytest.raises(NotImplementedError, match="Dataset must define __getitem__"):
        Dataset()[np.array([0])]


def test_subset():
    indices = np.array([3, 1, 1])
    subset = Subset(rows(4), indices)
    indices[0] = 0
    assert len(subset) == 3 and subset[np.arange(3)][0].tolist() == [3, 1, 1]
    assert Subset(subset, [2, 0])[:][0].tolist() == [1, 3]
    assert len(Subset(rows(4), [])) == 0 and Subset(rows(4), [])[np.array([], int)][0].shape == (0,)


@pytest.mark.parametrize("index", [-1, 4])
def test_subset_refuses_what_is_out_of_range(index):
    with pytest.raises(ValueError, match=rf"\[0, 4\), got {index}"):
        Subset(rows(4), [0, index])


def test_subset_refuses_other_kinds():
    with pytest.raises(TypeError, match="float64"):
        Subset(rows(4), [0.0])
    with pytest.raises(TypeError, match="bool"):
        Subset(rows(4), [True, False])
    with pytest.raises(ValueError, match="Subset expects indices"):
        Subset(rows(4), [[0], [1, 2]])
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        Subset(rows(4), [[0, 1]])


@pytest.mark.parametrize(
    ("n", "lengths", "expected"),
    [  # those with fractions as torch.utils.data.random_split 2.13 has them
        (10, [7, 3], [7, 3]),
        (10, [10, 0], [10, 0]),
        (10, [0.5, 0.25, 0.25], [6, 2, 2]),
        (11, [0.25, 0.25, 0.25, 0.25], [3, 3, 3, 2]),
        (392, [0.8, 0.1, 0.1], [314, 39, 39]),
        (100, [0.29, 0.71], [29, 71]),  # 0.29 * 100 is below 29 in floating point: the remainder makes it good
        (10, [0.1] * 10, [1] * 10),
        (1, [0.3, 0.7], [1, 0]),
        (5, [1], [5]),
        (0, [0.5, 0.5], [0, 0]),
    ],
)
def test_random_split_lengths(n, lengths, expected):
    parts = random_split(rows(n), lengths, generator=0)
    assert [len(part) for part in parts] == expected
    assert sorted(i for part in parts for i in part.indices) == list(range(n))


@pytest.mark.parametrize("lengths", [[3, 3], [11], [12, -2], [0.5, 0.4], [5.0, 5.0], [1.5, -0.5], [], [float("nan")]])
def test_random_split_refuses(lengths):
    with pytest.raises(ValueError, match="sum to 10"):
        random_split(rows(10), lengths)


@given(st.integers(0, 300), st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 99))
def test_random_split_parts_every_row(n, weights, seed):
    lengths = [weight / sum(weights) for weight in weights]
    parts = random_split(rows(n), lengths, generator=seed)
    assert sorted(i for part in parts for i in part.indices) == list(range(n))
    assert all(abs(len(part) - n * fraction) < 1 + 1e-9 for part, fraction in zip(parts, lengths, strict=True))


def test_random_split_draws_from_the_generator():
    def split(generator):
        return [part.indices.tolist() for part in random_split(rows(50), [25, 25], generator=generator)]

    assert split(3) == split(np.random.default_rng(3)) != split(4)
    assert split(None) != split(None)
    assert split(3) != [list(range(25)), list(range(25, 50))]


# An epoch


@given(n=st.integers(0, 60), batch_size=st.integers(1, 20), shuffle=st.booleans(), drop_last=st.booleans())
def test_an_epoch_has_each_row_once(n, batch_size, shuffle, drop_last):
    loader = DataLoader(rows(n), batch_size, shuffle, drop_last, generator=0)
    for _ in range(2):
        epoch = batches(loader)
        assert len(epoch) == len(loader)
        sizes = [len(batch) for batch in epoch]
        assert sizes == [batch_size] * (n // batch_size) + [n % batch_size] * (not drop_last and n % batch_size > 0)
        seen = list(itertools.chain(*epoch))
        assert len(set(seen)) == len(seen) and set(seen) <= set(range(n))
        if not shuffle:
            assert seen == list(range(len(seen)))


def test_fields_stay_together():
    x = np.arange(40.0).reshape(20, 2)
    for x_batch, y_batch in DataLoader(TensorDataset(x, x.sum(axis=1)), 3, shuffle=True):
        np.testing.assert_array_equal(x_batch.sum(axis=1), y_batch)


def test_each_epoch_has_an_order_of_its_own():
    loader = DataLoader(rows(50), 50, shuffle=True, generator=1)
    orders = [batches(loader)[0] for _ in range(3)]
    assert orders[0] != orders[1] != orders[2] != list(range(50))
    again = DataLoader(rows(50), 50, shuffle=True, generator=np.random.default_rng(1))
    assert [batches(again)[0] for _ in range(3)] == orders
    assert batches(DataLoader(rows(50), 50, True)) != batches(DataLoader(rows(50), 50, True))


def test_batches_may_be_written_to():
    dataset = rows(6)
    for (x,) in DataLoader(dataset, 2):
        x[...] = -1
    assert dataset[:][0].tolist() == list(range(6))


def test_a_batch_is_one_call_with_an_integer_array():
    class Author(Dataset):
        calls = ()

        def __len__(self):
            return 5

        def __getitem__(self, indices):
            assert isinstance(indices, np.ndarray) and indices.dtype.kind == "i"
            self.calls += (len(indices),)
            return (indices,)

    dataset = Author()
    assert batches(DataLoader(dataset, 2)) == [[0, 1], [2, 3], [4]]
    assert dataset.calls == (2, 2, 1)


def test_iterators_do_not_disturb_one_another():
    loader = DataLoader(rows(20), 3, shuffle=True, generator=5)
    first, second = iter(loader), iter(loader)
    mixed = [(a.tolist(), b.tolist()) for (a,), (b,) in zip(first, second, strict=True)]
    alone = DataLoader(rows(20), 3, shuffle=True, generator=5)
    assert [list(epoch) for epoch in zip(*mixed, strict=True)] == [batches(alone), batches(alone)]


def test_a_loop_left_early_is_left():
    loader, other = (DataLoader(rows(20), 3, shuffle=True, generator=5) for _ in range(2))
    for _ in loader:
        break
    batches(other)
    assert batches(loader) == batches(other)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_loader_refuses_a_batch_size(batch_size):
    with pytest.raises(ValueError, match=f"DataLoader expects batch_size .* at least 1, got {batch_size}"):
        DataLoader(rows(3), batch_size)


def test_loader_refuses_other_kinds():
    for batch_size in (2.0, "2", None):
        with pytest.raises(TypeError):
            DataLoader(rows(3), batch_size)
    for dataset in (np.zeros(3), [1, 2], (np.zeros(3), np.zeros(3))):
        with pytest.raises(TypeError, match="wrap arrays in TensorDataset"):
            DataLoader(dataset)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"shuffle": "no"}, "shuffle to be True or False, got 'no'"),
        ({"drop_last": 1}, "drop_last to be True or False, got 1"),
        ({"batch_size": True}, "batch_size to be an integer of at least 1, got True"),
        ({"generator": "seed"}, "generator to be a NumPy Generator, a seed of at least 0, or None, got 'seed'"),
        ({"num_workers": 2}, "DataLoader has no num_workers: .* leave the keyword out"),
        ({"pin_memory": True}, "DataLoader has no pin_memory: .* leave the keyword out"),
        ({"collate_fn": list}, "DataLoader has no collate_fn: .*__getitem__"),
        ({"sampler": [1]}, r"DataLoader has no sampler: .*Subset\(dataset, indices\)"),
        ({"shufle": True}, "unexpected keyword argument 'shufle'"),
    ],
)
def test_loader_settings_refused(settings, text):
    with pytest.raises(TypeError, match=text):
        DataLoader(rows(3), **settings)


def test_numpy_settings_become_plain():
    loader = DataLoader(rows(3), np.int64(2), shuffle=np.True_, drop_last=np.False_)
    assert [type(value) for value in loader.state_dict().values()][:4] == [int, int, bool, bool]


@pytest.mark.parametrize("make", [Subset, random_split])
def test_subsets_refuse_what_is_no_dataset(make):
    for dataset in (np.zeros(3), [1, 2, 3], None, np.int8(1), np.float64("nan")):
        with pytest.raises(TypeError, match=f"{make.__name__} expects a Dataset, got .* wrap arrays in TensorDataset"):
            make(dataset, [1, 2])


@pytest.mark.parametrize("lengths", [3, 0.8, None, ["a", "b"], np.zeros((2, 2))])
def test_random_split_refuses_other_kinds(lengths):
    error = ValueError if isinstance(lengths, np.ndarray) else TypeError
    with pytest.raises(error, match="lengths to be whole numbers that sum to 10, or fractions that sum to 1, got"):
        random_split(rows(10), lengths)


def test_tensor_dataset_refuses_ragged_lists():
    with pytest.raises(ValueError, match="TensorDataset expects arrays, or lists that make one"):
        TensorDataset([[1], [1, 2]])


# Resuming

GENERATORS = (np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64)


def plain(value):
    """Whether a checkpoint can hold the value without pickling."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(item) for key, item in value.items())
    return value is None or type(value) in (bool, int, str, float) or isinstance(value, np.ndarray)


def stream(loader, count, shared=None):
    """The next batches, over as many epochs as it takes; after each, somebody else draws from a shared generator."""
    while True:
        for batch in loader:
            yield batch[0].tolist(), shared and shared.random()
            count -= 1
            if not count:
                return


@given(
    n=st.integers(1, 25),
    batch_size=st.integers(1, 8),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    position=st.integers(1, 40),
    shared=st.booleans(),
    kind=st.sampled_from(GENERATORS),
)
def test_resumed_run_equals_the_uninterrupted_one(n, batch_size, shuffle, drop_last, position, shared, kind):
    if drop_last:
        n = max(n, batch_size)

    def build(seed):
        generator = np.random.Generator(kind(seed))
        loader = DataLoader(rows(n), batch_size, shuffle, drop_last, generator=generator)
        return loader, generator if shared else None

    loader, generator = build(seed=0)
    run = stream(loader, 60, generator)
    before = list(itertools.islice(run, position))
    state = loader.state_dict()
    assert plain(state)
    after = list(run)
    loader, generator = build(seed=1)
    loader.load_state_dict(state)
    assert list(stream(loader, 60 - len(before), generator)) == after


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("seen", range(5))
def test_the_rest_of_an_epoch_comes_first(seen, shuffle):
    loader = DataLoader(rows(10), 3, shuffle, generator=0)
    batches(loader)
    epoch = iter(loader)
    before = [next(epoch)[0].tolist() for _ in range(seen)]
    state = loader.state_dict()
    resumed = DataLoader(rows(10), 3, shuffle)
    resumed.load_state_dict(state)
    assert len(resumed) == 4
    rest = batches(resumed)
    assert len(before + rest) == 4 and rest == [x.tolist() for (x,) in epoch]
    assert sorted(itertools.chain(*before, *rest)) == list(range(10))
    assert batches(resumed) == batches(loader)


@pytest.mark.parametrize("epochs", [0, 1, 2])
def test_between_epochs_the_next_one_begins(epochs):
    loader = DataLoader(rows(10), 3, shuffle=True, generator=0)
    for _ in range(epochs):
        batches(loader)
    state = loader.state_dict()
    resumed = DataLoader(rows(10), 3, shuffle=True)
    resumed.load_state_dict(state)
    assert batches(resumed) == batches(loader) != []


def test_a_state_is_a_copy_and_can_be_passed_on():
    loader = DataLoader(rows(10), 3, shuffle=True, generator=0)
    epoch = iter(loader)
    next(epoch)
    state = loader.state_dict()
    state["order"][:] = 0  # the loader's own order must not feel this
    state = loader.state_dict()
    middle = DataLoader(rows(10), 3, shuffle=True)
    middle.load_state_dict(state)
    last = DataLoader(rows(10), 3, shuffle=True)
    last.load_state_dict(middle.state_dict())
    state["order"][:] = 0
    rest = [x.tolist() for (x,) in epoch]
    assert len(rest) == 3 and batches(middle) == rest == batches(last)


def test_loading_leaves_a_running_iterator_alone():
    loader = DataLoader(rows(10), 3, shuffle=True, generator=0)
    fresh = loader.state_dict()
    epoch = iter(loader)
    before = [next(epoch)[0].tolist()]
    loader.load_state_dict(fresh)
    before += [x.tolist() for (x,) in epoch]
    assert batches(loader) == before  # the same epoch once more, from its beginning


def test_only_the_first_iterator_after_loading_goes_on():
    loader, other = (DataLoader(rows(10), 3, shuffle=True, generator=0) for _ in range(2))
    next(iter(loader))
    loader.load_state_dict(loader.state_dict())
    for _ in loader:
        break
    batches(other)
    assert batches(loader) == batches(other)


def test_the_place_is_that_of_the_iterator_begun_last():
    loader = DataLoader(rows(10), 3, shuffle=True, generator=0)
    first = iter(loader)
    second = iter(loader)
    next(second)
    list(first)
    resumed = DataLoader(rows(10), 3, shuffle=True)
    resumed.load_state_dict(loader.state_dict())
    assert batches(resumed) == [x.tolist() for (x,) in second]


@pytest.mark.parametrize("kind", GENERATORS)
def test_saved_and_loaded(tmp_path, kind):
    loader = DataLoader(rows(10), 3, shuffle=True, generator=np.random.Generator(kind(0)))
    next(iter(loader))
    nn.save(loader.state_dict(), tmp_path / "state.npz")
    resumed = DataLoader(rows(10), 3, shuffle=True, generator=np.random.Generator(kind(1)))
    resumed.load_state_dict(nn.load(tmp_path / "state.npz"))
    assert len(batches(resumed)) == 3 and batches(resumed) == batches(loader)


def test_json_and_back():
    loader = DataLoader(rows(10), 3, shuffle=True, generator=0)
    next(iter(loader))
    state = json.loads(json.dumps({**loader.state_dict(), "order": loader.state_dict()["order"].tolist()}))
    resumed = DataLoader(rows(10), 3, shuffle=True)
    resumed.load_state_dict(state)
    assert len(batches(resumed)) == 3 and batches(resumed) == batches(loader)


STATE = np.random.default_rng(7).bit_generator.state


def other_kind():
    return np.random.Generator(np.random.MT19937(0))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: DataLoader(rows(11), 3, True), "length=10, but the state is for length=11"),
        (lambda: DataLoader(rows(10), 4, True), "batch_size=3, but the state is for batch_size=4"),
        (lambda: DataLoader(rows(10), 3, False), "shuffle=True"),
        (lambda: DataLoader(rows(10), 3, True, True), "drop_last=False"),
        (lambda: DataLoader(rows(10), 3, True, generator=other_kind()), "draws from a PCG64"),
    ],
)
@pytest.mark.parametrize("begun", [False, True])
def test_a_foreign_state_is_refused_and_changes_nothing(other, message, begun):
    loader, untouched = (DataLoader(rows(10), 3, True, generator=0) for _ in range(2))
    foreign = other()
    if begun:
        next(iter(foreign))
    epoch, same = iter(loader), iter(untouched)
    assert next(epoch)[0].tolist() == next(same)[0].tolist()
    with pytest.raises(ValueError, match=message):
        loader.load_state_dict(foreign.state_dict())
    assert [x.tolist() for (x,) in epoch] == [x.tolist() for (x,) in same]
    assert batches(loader) == batches(untouched)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": np.zeros(10, int)}, "an order of 10 rows"),
        ({"order": np.arange(9)}, "an order of 10 rows"),
        ({"batch": 5}, "one of 4 batches"),
        ({"batch": -1}, "one of 4 batches"),
        ({"generator": {}}, "cannot take the state"),
        ({"generator": {"bit_generator": "PCG64"}}, "cannot take the state"),
        ({"generator": None}, "cannot take the state"),
        ({"generator": {**STATE, "state": {"state": -1, "inc": 1}}}, "cannot take the state"),
        ({"generator": {**STATE, "uinteger": "abc"}}, "cannot take the state"),
        ({"order": np.arange(10) + 0.5}, "an order of 10 rows"),
        ({"order": "abc"}, "an order of 10 rows"),
        ({"order": {}}, "an order of 10 rows"),
        ({"batch": 1.5}, "one of 4 batches"),
        ({"batch": "1"}, "one of 4 batches"),
        ({"batch": None}, "one of 4 batches"),
        ({"order": None}, "batch without an order to be 0, got 1"),
        ({"length": np.zeros(3)}, "length=10, but the state is for length="),
        ({"shuffle": None}, "shuffle=True, but the state is for shuffle=None"),
    ],
)
def test_a_broken_state_is_refused_and_changes_nothing(change, message):
    loader, untouched = (DataLoader(rows(10), 3, True, generator=0) for _ in range(2))
    other = DataLoader(rows(10), 3, True)
    next(iter(other))
    with pytest.raises(ValueError, match=message):
        loader.load_state_dict({**other.state_dict(), **change})
    assert batches(loader) == batches(untouched)


@pytest.mark.parametrize(
    ("kind", "change"),
    [  # NumPy refuses the first two when half of the state is set; the others would crash it at the next draw
        (np.random.MT19937, lambda state: state["state"].update(pos="abc")),
        (np.random.Philox, lambda state: state.update(uinteger="abc")),
        (np.random.MT19937, lambda state: state["state"].update(pos=10**6)),
        (np.random.MT19937, lambda state: state["state"].update(pos=-1)),
        (np.random.Philox, lambda state: state.update(buffer_pos=10**6)),
    ],
)
def test_a_broken_generator_changes_nothing(kind, change):
    loader, untouched = (DataLoader(rows(10), 3, True, generator=np.random.Generator(kind(0))) for _ in range(2))
    broken = DataLoader(rows(10), 3, True, generator=np.random.Generator(kind(1))).state_dict()
    change(broken["generator"])
    with pytest.raises(ValueError, match="cannot take the state"):
        loader.load_state_dict(broken)
    assert batches(loader) == batches(untouched)


@pytest.mark.parametrize("state", [None, 3, "state", [("length", 10)]])
def test_what_is_no_state_is_refused(state):
    with pytest.raises(TypeError, match="DataLoader expects the state to be a dict"):
        DataLoader(rows(10)).load_state_dict(state)


def test_a_state_that_lacks_entries_is_refused():
    with pytest.raises(ValueError, match=r"lacks \['batch'"):
        DataLoader(rows(10)).load_state_dict({"generator": None})


# The package


def test_all_lists_the_public_names():
    public = {name for name, value in vars(data).items() if not name.startswith("_") and not hasattr(value, "__path__")}
    modules = {path.stem for path in Path(data.__file__).parent.glob("*.py")}
    assert set(data.__all__) == public - modules
    assert not modules & set(data.__all__)
