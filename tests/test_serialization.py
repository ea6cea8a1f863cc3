"""What `save` wrote, `load` gives back: the same values of the same types, or a clear error and nothing lost."""

import io
import json
import os
import struct
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import nn
import optim
from nn import archive

STATE = {
    "model": {"0.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "0.bias": np.array(0.5)},
    "optimizer": {"state": {0: {"step": 3}}, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "params": [0]}]},
    "generator": {"bit_generator": "PCG64", "state": {"state": 2**127 + 1, "inc": 3}},
    "losses": [np.float32(0.25), float("nan"), float("-inf"), -0.0],
    "none": None,
    "done": False,
}


def same(a, b):
    """Tell whether two states are equal in value and type, down to the bits of every number."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        pairs = zip(a.items(), b.items(), strict=True)
        return len(a) == len(b) and all(same(k, m) and same(v, w) for (k, v), (m, w) in pairs)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b) or (a != a and b != b)
    if isinstance(a, np.generic):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    return a == b


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.checkpoint"


def saved_and_loaded(value, path):
    nn.save(value, path)
    return nn.load(path)


# ---- there and back

VALUES = {
    "nested": STATE,
    "integers": [0, -1, 2**53, 2**53 + 1, -(2**63), 2**128 - 1, 10**5000, -(10**5000)],
    "floats": [0.1, -0.0, 5e-324, 1.7976931348623157e308, float("nan"), float("inf"), float("-inf")],
    "text": ["", "é\0\ud800", "a\0", "\n\"'\\", "0.npy"],
    "booleans are not integers": [True, 1, False, 0, None],
    "keys": {"a": 1, 1: 2, 2.5: 3, None: 4, (1, ("a", None)): 5, 2**80: 6, float("inf"): 7, False: 8},
    "tuples": ((), (1,), ([], {}), ((2,), [3])),
    "names that look like ours": {"dict": {"array": "0"}, "tuple": [1], "structure": np.zeros(2)},
    "scalars": [
        np.float16(1.5),
        np.float32("nan"),
        np.float64(-0.0),
        np.int8(-3),
        np.uint64(2**64 - 1),
        np.True_,
        np.complex64(1 - 2j),
        np.datetime64("2020-02-29"),
        np.timedelta64(3, "s"),
        np.str_("a\0"),
    ],
    "arrays": [
        np.array(3.0),
        np.zeros((0, 3), ">f4"),
        np.arange(24).reshape(2, 3, 4)[:, ::2, ::-1],
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([[True, False]]),
        np.array(["é", "long text"]),
        np.array([b"bytes"]),
        np.array(["2020-01", "NaT"], "M8[M]"),
        np.array([1 + 2j], np.complex64),
        np.array([np.nan, np.inf, -0.0], np.float16),
    ],
    "an array alone": np.ones(3),
    "a number alone": 7,
}


@pytest.mark.parametrize("name", VALUES)
def test_load_gives_back_what_save_got(name, path):
    assert same(saved_and_loaded(VALUES[name], path), VALUES[name])


KEYS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=4,
)
DTYPES = (
    hnp.boolean_dtypes()
    | hnp.integer_dtypes()
    | hnp.unsigned_integer_dtypes()
    | hnp.floating_dtypes(sizes=(16, 32, 64))
    | hnp.complex_number_dtypes(sizes=(64, 128))
    | hnp.datetime64_dtypes()
    | hnp.unicode_string_dtypes(min_len=1)
    | hnp.byte_string_dtypes(min_len=1)
)
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, min_side=0, max_side=3))
SCALARS = hnp.arrays(st.sampled_from([np.float32, np.float64, np.int16, np.bool_]), ()).map(lambda array: array[()])
STATES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | SCALARS | ARRAYS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None, derandomize=True)
@given(STATES)
def test_any_state_comes_back(tmp_path_factory, state):
    path = tmp_path_factory.getbasetemp() / "any"
    assert same(saved_and_loaded(state, path), state)


def test_loaded_arrays_can_be_written_to(path):
    array = saved_and_loaded(np.zeros((2, 2)), path)
    array += 1
    assert array.flags.owndata and array.sum() == 4


def test_a_generator_goes_on_where_it_was(path):
    generator = np.random.default_rng(0)
    nn.save(generator.bit_generator.state, path)
    expected = generator.random(5)
    generator.bit_generator.state = nn.load(path)
    assert (generator.random(5) == expected).all()


def test_a_model_and_its_optimizer_come_back(path):
    model = nn.Sequential(nn.Linear(2, 3, generator=0), nn.Linear(3, 1, generator=1))
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    for parameter in model.parameters():
        parameter.grad += 1
    optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    assert same(saved_and_loaded(state, path), state)


# ---- the file


def test_the_file_bears_exactly_the_name_given(tmp_path):
    for name in ("model", "model.ckpt", "model.npz"):
        nn.save([1], tmp_path / name)
        nn.save([2], str(tmp_path / name))
        assert nn.load(str(tmp_path / name)) == [2]
    assert sorted(os.listdir(tmp_path)) == ["model", "model.ckpt", "model.npz"]


def test_the_file_is_a_standard_npz_with_one_json_entry(path):
    nn.save({"a": np.arange(3), "b": [np.zeros(2), np.inf]}, path)
    with np.load(path, allow_pickle=False) as npz:
        assert sorted(npz.files) == ["0", "1", "structure"]
        assert npz["0"].tolist() == [0, 1, 2]
        structure = json.loads(npz["structure"].item(), parse_constant=pytest.fail)  # NaN is not JSON
    assert structure == {"dict": [["a", {"array": "0"}], ["b", [{"array": "1"}, {"float": "inf"}]]]}


def test_equal_states_make_equal_files(tmp_path):
    nn.save(STATE, tmp_path / "a")
    nn.save(STATE, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="zipfile writes down which system it runs on")
@pytest.mark.parametrize("limit", [None, 100])
def test_the_file_is_what_numpy_would_write(limit, path, monkeypatch):
    if limit:  # so that small files need what files of gigabytes need
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", limit)
        monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", limit)
        monkeypatch.setattr(archive, "_LARGEST", limit)
        monkeypatch.setattr(archive, "_MOST", limit)
    arrays = [*VALUES["arrays"], *[np.arange(3)] * 100]
    nn.save(arrays, path)
    structure = np.array(json.dumps([{"array": str(number)} for number in range(len(arrays))]).encode())
    ours, theirs = path.read_bytes(), io.BytesIO()
    np.savez(theirs, structure=structure, **{str(number): array for number, array in enumerate(arrays)})
    assert ours == theirs.getvalue()
    assert same(nn.load(path), arrays)
    with np.load(path, allow_pickle=False) as npz:
        assert same([npz[str(number)] for number in range(len(arrays))], arrays)


def test_a_file_takes_about_as_much_memory_as_its_size(path):
    nn.save([np.zeros(300_000), np.asfortranarray(np.ones((300, 400)))], path)
    tracemalloc.start()
    state = nn.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(state) == 2 and peak < 1.1 * path.stat().st_size


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "latest").symlink_to(tmp_path / "run3")
    nn.save([1], tmp_path / "latest")
    assert (tmp_path / "latest").is_symlink() and nn.load(tmp_path / "run3") == [1]


def test_the_bytes_are_on_the_disk_before_the_name_changes(path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append(os.fstat(fd)) or fsync(fd))
    monkeypatch.setattr(os, "replace", lambda *names: calls.append("renamed") or replace(*names))
    nn.save(np.zeros(1000), path)
    file, renamed, *folder = calls
    assert file.st_size == path.stat().st_size and renamed == "renamed"
    assert [os.path.samestat(found, os.stat(path.parent)) for found in folder] == [True] * (os.name == "posix")


# ---- what cannot be kept


class State(dict):
    pass


LINEAR = nn.Linear(1, 1)
REFUSED = {
    "a module": ({"model": LINEAR}, "got Linear at state['model']; save its state_dict()"),
    "an optimizer": ({"optimizer": [optim.SGD(LINEAR.parameters())]}, "SGD at state['optimizer'][0]; save its state_d"),
    "a parameter": ([(LINEAR.weight,)], "got Parameter at state[0][0]; save its data, or the state_dict() of its mod"),
    "a buffer": ({1: nn.Buffer(0)}, "got Buffer at state[1]; save its data"),
    "a generator": (np.random.default_rng(0), "got Generator at state"),
    "a set": ([{1, 2}], "got set at state[0]"),
    "bytes": ([b"x"], "got bytes at state[0]"),
    "a complex number": ([1j], "got complex at state[0]"),
    "a subclass of dict": ({"a": State()}, "got State at state['a']"),
    "an array of objects": ([np.array([None])], "got an array of dtype object at state[0]"),
    "an array of nothing": ([np.ndarray(3, "S0")], "got an array of dtype"),
    "an array of records": ([np.zeros(1, "f4,i4")], "got an array of dtype"),
    "a masked array": ([np.ma.zeros(2)], "got MaskedArray at state[0]"),
    "a NumPy key": ({"a": {np.int64(3): 1}}, "got np.int64(3) in state['a']"),
    "a key inside a tuple": ({(1, frozenset()): 1}, "got (1, frozenset()) in state"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_kinds_are_refused_by_place(name, path):
    value, message = REFUSED[name]
    nn.save("old", path)
    with pytest.raises(TypeError) as caught:
        nn.save(value, path)
    assert message in str(caught.value)
    assert nn.load(path) == "old" and os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("path", [{"w": np.zeros(3)}, None, 3, io.BytesIO()])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(TypeError, match=r"save\(obj, path\) expects path to be the name of a file, got"):
        nn.save("state", path)
    with pytest.raises(TypeError, match=r"load\(path\) expects path to be the name of a file, got"):
        nn.load(path)


def test_nesting_has_an_end(path):
    deepest = 0.5
    for level in range(100):
        deepest = {level: deepest} if level % 2 else (deepest,)
    assert same(saved_and_loaded(deepest, path), deepest)
    with pytest.raises(ValueError, match="at most 100 levels"):
        nn.save([deepest], path)
    endless = []
    endless.append({"again": endless})
    with pytest.raises(ValueError, match="at most 100 levels of nesting, got more: does the state hold itself"):
        nn.save(endless, path)


# ---- a save that fails


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # NumPy 2.0 leaves its archive open
def test_a_full_disk_loses_nothing(path):
    resource = pytest.importorskip("resource")
    nn.save(STATE, path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError):
            nn.save([np.zeros(1000), np.zeros(100_000)], path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert same(nn.load(path), STATE) and os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_interrupted_save_loses_nothing(step, error, path, monkeypatch):
    def fail(*args):
        raise error

    nn.save(STATE, path)
    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(type(error)):
            nn.save([1], path)
    assert same(nn.load(path), STATE) and os.listdir(path.parent) == [path.name]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        nn.save([1], tmp_path / "none" / "model")
    assert os.listdir(tmp_path) == []


# ---- files that are not whole


def test_a_missing_file(path):
    with pytest.raises(FileNotFoundError, match=r"run\.checkpoint"):
        nn.load(path)


def npz(path, **entries):
    with open(path, "wb") as file:
        np.savez(file, **entries)


def npy(header, data=b""):
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def entries(path, pairs, compression=zipfile.ZIP_STORED):
    """Write an archive with the headers that ours have."""
    with zipfile.ZipFile(path, "w") as file:
        for name, data in pairs:
            info = zipfile.ZipInfo(f"{name}.npy")
            info.compress_type = compression if name == "0" else zipfile.ZIP_STORED
            with warnings.catch_warnings(action="ignore"), file.open(info, "w", force_zip64=True) as entry:
                entry.write(data)  # the warning is of a name that is there twice


def npy_of(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def one_array(path, data, compression=zipfile.ZIP_STORED, structure='{"array": "0"}'):
    """Write an archive whose structure says that it is one array."""
    entries(path, [("structure", npy_of(np.array(structure.encode()))), ("0", data)], compression)


def lie(path, compression):
    """Compress a hundred megabytes, and let the archive say that they are as few as when compressed."""
    one_array(path, npy("{'descr': '|u1', 'fortran_order': False, 'shape': (100000000,), }", bytes(10**8)), compression)
    data = bytearray(path.read_bytes())
    record = data.rindex(b"PK\x01\x02")
    data[record + 24 : record + 28] = data[record + 20 : record + 24]
    local = data.rindex(b"PK\x03\x04")
    extra = local + 30 + len("0.npy") + 4
    data[extra : extra + 8] = data[extra + 8 : extra + 16]
    path.write_bytes(data)


def without_end(path):
    """Let the directory of an archive name its entry ten thousand times."""
    nn.save(None, path)
    data = path.read_bytes()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    size = 10_000 * (end - start)
    counts = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 10_000, 10_000, size, start, 0)
    path.write_bytes(data[:start] + 10_000 * data[start:end] + counts)


def structure(value):
    return np.array(json.dumps(value).encode())


def claim_four_gigabytes(path):
    """Let the directory of an archive say that its first entry is larger than the whole file."""
    nn.save(np.zeros(3), path)
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 20 : entry + 28] = struct.pack("<LL", 2**32 - 2, 2**32 - 2)
    path.write_bytes(data)


HUGE = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }", bytes(8))
OBJECTS = npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", bytes(8))
SHORT = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", bytes(16))
NEGATIVE = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1), }", bytes(8))
NOT_OURS = {
    "empty": lambda path: path.write_bytes(b""),
    "random bytes": lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)),
    "text": lambda path: path.write_text("epoch,loss\n1,0.5\n"),
    "a folder": lambda path: path.mkdir(),
    "a single array": lambda path: path.write_bytes(HUGE),
    "an empty zip": lambda path: entries(path, []),
    "another npz": lambda path: npz(path, weight=np.zeros(3)),
    "its structure is an array": lambda path: npz(path, structure=np.zeros(3)),
    "its structure is a number": lambda path: npz(path, structure=np.array(3.0)),
    "its structure is text": lambda path: npz(path, structure=np.array(b"weights")),
    "an array is missing": lambda path: npz(path, structure=structure({"array": "0"})),
    "an unknown kind": lambda path: npz(path, structure=structure({"module": "Linear"})),
    "two kinds": lambda path: npz(path, structure=structure({"int": "0x1", "float": "1"})),
    "no kind": lambda path: npz(path, structure=structure({})),
    "a key that is a list": lambda path: npz(path, structure=structure({"dict": [[[], 1]]})),
    "a scalar of objects": lambda path: npz(path, structure=structure({"scalar": ["O", "00" * 8]})),
    "a nest without end": lambda path: npz(path, structure=np.array(b"[" * 100_000)),
    "a shape beyond the data": lambda path: one_array(path, HUGE),
    "an array of objects": lambda path: one_array(path, OBJECTS),
    "a shape short of the data": lambda path: one_array(path, SHORT),
    "negative sizes": lambda path: one_array(path, NEGATIVE),
    "an entry beyond the file": claim_four_gigabytes,
    "an array named a thousand times": lambda path: one_array(
        path, npy_of(np.zeros(100_000)), structure=json.dumps([{"array": "0"}] * 1000)
    ),
    "an array of another number": lambda path: one_array(path, npy_of(np.zeros(3)), structure='{"array": "1"}'),
    "items of no size": lambda path: one_array(
        path, npy("{'descr': '|S0', 'fortran_order': False, 'shape': (8589934592,), }")
    ),
    "an entry that is not named": lambda path: one_array(path, npy_of(np.zeros(3)), structure="null"),
    "an entry twice": lambda path: entries(
        path, [("structure", npy_of(np.array(b'{"array": "0"}'))), *[("0", npy_of(np.zeros(3)))] * 2]
    ),
    "a foreign entry": lambda path: entries(path, [("structure", npy_of(np.array(b"1"))), ("README", b"text")]),
    "entries in another order": lambda path: entries(
        path, [("0", npy_of(np.zeros(3))), ("structure", npy_of(np.array(b'{"array": "0"}')))]
    ),
    "a directory without end": without_end,
    "more behind its end": lambda path: nn.save([1], path) or path.write_bytes(path.read_bytes() + b"more"),
    "more before its start": lambda path: nn.save([1], path) or path.write_bytes(b"more" + path.read_bytes()),
    "a key twice": lambda path: npz(path, structure=structure({"dict": [["a", 1], ["a", 2]]})),
    "a text for a tuple": lambda path: npz(path, structure=structure({"tuple": "ab"})),
    "a NaN": lambda path: npz(path, structure=np.array(b"NaN")),
    "a scalar of many": lambda path: npz(path, structure=structure({"scalar": ["u1", "0102"]})),
    "deflated, and its sizes lie": lambda path: lie(path, zipfile.ZIP_DEFLATED),
    "bzip2, and its sizes lie": lambda path: lie(path, zipfile.ZIP_BZIP2),
    "LZMA, and its sizes lie": lambda path: lie(path, zipfile.ZIP_LZMA),
}


@pytest.mark.parametrize("name", NOT_OURS)
def test_what_save_did_not_write_is_refused(name, path):
    NOT_OURS[name](path)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"run\.checkpoint is not a readable checkpoint"):
        nn.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6


def test_archives_made_here_are_as_ours(path):
    one_array(path, npy_of(np.arange(3)))
    assert nn.load(path).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "content", "advice"),
    [
        ("weights.pt", b"PK\x03\x04" + bytes(22) + b"\x10\0\0\0weights/data.pkl", "torch.load('{}'"),
        ("weights.pt", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "PyTorch wrote it"),
        ("weights.npz", {"w": np.zeros(3)}, "a plain .npz; dict(numpy.load('{}'))"),
        ("weights.npy", npy_of(np.zeros(3)), "numpy.load('{}')"),
    ],
)  # fmt: skip
def test_what_others_wrote_is_told_with_what_to_do(name, content, advice, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if isinstance(content, dict):
        np.savez(name, **content)
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError) as caught:
        nn.load(name)
    assert f"{name} is not a readable checkpoint (" in str(caught.value) and advice.format(name) in str(caught.value)


def test_the_advice_for_a_file_of_pytorch_works(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    model = torch.nn.Linear(2, 3)
    torch.save(model.state_dict(), "weights.pt")
    with pytest.raises(ValueError) as caught:
        nn.load("weights.pt")
    code = str(caught.value).partition("there, ")[2].partition(" makes")[0]
    nn.save(eval(code, {"torch": torch}), "weights.npz")
    ours = nn.Linear(2, 3)
    ours.load_state_dict(nn.load("weights.npz"))
    np.testing.assert_array_equal(ours.weight.data, model.weight.detach().numpy())


def outcome(path):
    """Load a damaged file: it must be refused, or give the very state that was saved."""
    try:
        state = nn.load(path)
    except ValueError as error:
        assert "run.checkpoint is not a readable checkpoint" in str(error)
        return "refused"
    assert same(state, STATE)
    return "unharmed"


def flipped(path, bits):
    """Yield what comes of each flip of one bit, in a file that is whole before and after."""
    data = path.read_bytes()
    with open(path, "r+b", buffering=0) as file:
        for bit in bits:
            position = bit // 8
            for byte in (data[position] ^ 1 << bit % 8, data[position]):
                file.seek(position)
                file.write(bytes([byte]))
                if byte != data[position]:
                    yield outcome(path)


def test_every_truncation_is_refused(path):
    nn.save(STATE, path)
    for length in reversed(range(path.stat().st_size)):
        os.truncate(path, length)
        assert outcome(path) == "refused"


def test_no_flipped_bit_gives_another_value(path):
    nn.save(STATE, path)
    bits = np.random.default_rng(0).choice(8 * path.stat().st_size, 3000, replace=False)
    outcomes = list(flipped(path, bits.tolist()))
    assert outcomes.count("refused") > 2990  # the others fell into the spaces that fill a header up


def test_no_flipped_size_takes_memory(path):
    nn.save(STATE, path)
    data = path.read_bytes()
    bits = []
    for signature, sizes in (
        (b"PK\x01\x02", range(20, 28)),
        (b"PK\x05\x06", range(8, 20)),
        (b"\x93NUMPY", range(8, 80)),
    ):
        start = data.find(signature)
        while start >= 0:
            bits += [8 * (start + offset) + bit for offset in sizes for bit in range(8)]
            start = data.find(signature, start + 1)
    tracemalloc.start()
    assert list(flipped(path, bits)).count("refused") > 1000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6
