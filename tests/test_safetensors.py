"""The safetensors format: what its own library writes is read, what is written it reads, and nothing else is taken."""

import json
import struct
import zipfile

import numpy as np
import pytest

import nn

ARRAYS = {
    "0.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "0.bias": np.array([0.5, -0.0]),
    "half": np.array([1.5, np.inf, 65504], np.float16),
    "count": np.array(7),
    "mask": np.array([True, False, True]),
    "bytes": np.array([[1, 255]], np.uint8),
    "small": np.array([-1, 1], np.int16),
    "wide": np.array([2**64 - 1], np.uint64),
    "none": np.zeros((0, 3), np.float32),
    "ünïcode": np.array([1], np.int32),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def same(found, expected):
    return found.keys() == expected.keys() and all(
        found[name].dtype == array.dtype
        and found[name].shape == array.shape
        and found[name].tobytes() == array.tobytes()
        for name, array in expected.items()
    )


def test_there_and_back(path):
    nn.save_safetensors(ARRAYS, path)
    assert same(nn.load_safetensors(path), ARRAYS)


def test_any_memory_layout_is_written_by_its_values(path):
    big = np.arange(6, dtype=">f4").reshape(2, 3)
    nn.save_safetensors({"fortran": np.asfortranarray(big), "strided": np.arange(6)[::2], "big": big}, path)
    found = nn.load_safetensors(path)
    assert found["fortran"].tolist() == found["big"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["strided"].tolist() == [0, 2, 4] and found["big"].dtype == np.float32


def test_a_model_takes_its_state(path):
    model, other = (nn.Sequential(nn.Linear(3, 2, generator=seed), nn.Tanh()) for seed in (0, 1))
    nn.save_safetensors(model.state_dict(), path)
    other.load_state_dict(nn.load_safetensors(path))
    assert same(other.state_dict(), model.state_dict())


def written(path, header, data=b"", length=None):
    """Write a file by hand."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def entry(dtype="F32", shape=(1,), offsets=(0, 4), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)} | more


def test_bfloat16_becomes_float32(path):
    values = np.array([1.0, -2.5, np.inf, 3.0e38], np.float32)
    upper = (values.view(np.uint32) >> 16).astype("<u2")
    found = nn.load_safetensors(written(path, {"a": entry("BF16", (4,), (0, 8))}, upper.tobytes()))["a"]
    assert found.dtype == np.float32 and found[:3].tolist() == [1.0, -2.5, np.inf]
    assert abs(found[3] / 3.0e38 - 1) < 2**-7


@pytest.mark.parametrize(
    ("header", "data", "words"),
    [
        ({"a": entry()}, b"123", "wrong size"),
        ({"a": entry()}, b"12345", "1 bytes that belong to no array"),
        ({"a": entry(offsets=(0, 8))}, b"12345678", "wrong size"),
        ({"a": entry(offsets=(4, 8))}, b"12345678", "'a' begins at byte 4 of the data, expected 0"),
        ({"a": entry(), "b": entry()}, b"1234", "'b' begins at byte 0 of the data, expected 4"),
        ({"a": entry(shape=(2**40, 2**40))}, b"1234", "wrong size"),
        ({"a": entry(shape=(-1,))}, b"1234", "whole numbers"),
        ({"a": entry(shape=(True,))}, b"1234", "whole numbers"),
        ({"a": entry(shape=(1.0,))}, b"1234", "whole numbers"),
        ({"a": entry(offsets=(0, 4, 8))}, b"1234", "whole numbers"),
        ({"a": entry("F8_E4M3", (4,))}, b"1234", "F8_E4M3, which NumPy lacks"),
        ({"a": entry("BOOL", (4,))}, b"\0\1\2\0", "neither 0 nor 1"),
        ({"a": entry(["F32"])}, b"1234", "unhashable"),
        ({"a": entry(strides=[1])}, b"1234", "needs dtype, shape and data_offsets"),
        ({"a": 3}, b"", "needs dtype, shape and data_offsets"),
        ([], b"", "no object"),
        (b'{"a": 1, "a": 1}', b"", "twice"),
        (b"{", b"", "Expecting"),
        (b"\xff", b"", "decode"),
        (b"[" * 20_000, b"", "recursion"),
        (b"", b"", "Expecting"),
    ],
)
def test_anything_else_is_refused(path, header, data, words):
    with pytest.raises(ValueError, match=rf"model.safetensors is not a readable safetensors file .*{words}"):
        nn.load_safetensors(written(path, header, data))


def test_a_file_that_something_else_wrote_is_named(path):
    nn.save({"weight": np.ones(2)}, path)
    with pytest.raises(ValueError, match=r"nn[.]save wrote it; nn[.]load"):
        nn.load_safetensors(path)
    with path.open("wb") as file:
        np.savez(file, weight=np.ones(2))
    with pytest.raises(ValueError, match=r"a plain [.]npz"):
        nn.load_safetensors(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model/data.pkl", b"")
    with pytest.raises(ValueError, match=r"PyTorch wrote it; there, .*torch[.]load"):
        nn.load_safetensors(path)


@pytest.mark.parametrize("length", [2**63, 10**6])
def test_a_header_beyond_the_file_takes_no_memory(path, length):
    with pytest.raises(ValueError, match="header of"):
        nn.load_safetensors(written(path, {}, length=length))


def test_every_truncation_is_refused(path):
    nn.save_safetensors(ARRAYS, path)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="not a readable safetensors file"):
            nn.load_safetensors(path)


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        (nn.Linear(2, 1), TypeError, "expects a dict of arrays by name, got Linear; give its state_dict"),
        ({1: np.zeros(1)}, TypeError, "names to be text, got 1"),
        ({"a": [1.0]}, TypeError, "'a' to be an array of .*, got list"),
        ({"a": np.zeros(1, complex)}, TypeError, "got dtype complex128"),
        ({"a": np.zeros(1, np.longdouble)}, TypeError, "got dtype float128|got dtype longdouble"),
        ({"__metadata__": np.zeros(1)}, ValueError, "keeps this name"),
    ],
)
def test_what_the_format_lacks_is_not_written(path, state, kind, words):
    with pytest.raises(kind, match=words):
        nn.save_safetensors(state, path)
    assert not path.exists()


def test_metadata_and_paths(path):
    nn.save_safetensors({"a": np.ones(1)}, path, {"format": "pt"})
    assert b'"__metadata__":{"format":"pt"}' in path.read_bytes()
    assert list(nn.load_safetensors(path)) == ["a"]
    with pytest.raises(TypeError, match=r"metadata to be a dict of text by text, got \{'a': 1\}"):
        nn.save_safetensors({}, path, {"a": 1})
    with pytest.raises(TypeError, match="expects path to be the name of a file, got int"):
        nn.load_safetensors(3)
    with pytest.raises(ValueError, match="it is not a file"):
        nn.load_safetensors(path.parent)
    with pytest.raises(ValueError, match=r"a safetensors file; nn\.load_safetensors"):
        nn.load(path)


def test_its_own_library_agrees(path):
    theirs = pytest.importorskip("safetensors.numpy")
    nn.save_safetensors(ARRAYS, path, {"format": "pt"})
    assert same(theirs.load_file(path), ARRAYS)
    ours = path.read_bytes()
    theirs.save_file(ARRAYS, path, {"format": "pt"})
    assert path.read_bytes() == ours
    assert same(nn.load_safetensors(path), ARRAYS)
