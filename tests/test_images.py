"""Images: folders of them as people have them, what is refused, and augmentation that moves no pixel wrong."""

import gzip
import hashlib
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from data import augment, image_files, load_mnist, read_idx, read_image, read_images

FILES = Path(__file__).resolve().parents[1] / "data" / "files"
CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


def as_idx(path, array, code=None, compress=False):
    """Write an array in the IDX format, as its page describes it."""
    array = np.asarray(array)
    content = struct.pack(">HBB", 0, code or CODES[str(array.dtype)], array.ndim) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    content += array.astype(array.dtype.newbyteorder(">")).tobytes()
    path.write_bytes(gzip.compress(content) if compress else content)
    return path


def as_png(path, pixels, mode=None):
    Image = pytest.importorskip("PIL.Image")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.asarray(pixels))
    (picture.convert(mode) if mode else picture).save(path)
    return path


def grey(value, size=(5, 4)):
    return np.full(size, value, np.uint8)


# The set that is shipped


def test_mnist_is_the_test_set_of_mnist():
    x, y = load_mnist()
    assert x.shape == (10000, 1, 28, 28) and x.dtype == np.float32 and y.shape == (10000,) and y.dtype == np.int64
    unpacked = struct.pack(">4I", 0x803, 10000, 28, 28) + x.astype(np.uint8).tobytes()
    assert hashlib.md5(unpacked).hexdigest() == "2646ac647ad5339dbf082846283269ea"
    assert np.bincount(y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert "mnist_t10k_images.idx3.gz" in (FILES / "SOURCES.md").read_text(encoding="utf-8")


# IDX files


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("compress", [False, True])
def test_idx_gives_back_what_was_written(tmp_path, dtype, compress):
    array = (np.arange(24).reshape(2, 3, 4) * 5).astype(dtype)
    read = read_idx(as_idx(tmp_path / "a", array, compress=compress))
    np.testing.assert_array_equal(read, array)
    assert read.dtype == array.dtype and read.dtype.isnative and read.flags.writeable


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "got nothing"),
        (b"\x89PNG\r\n", "begins with the bytes 00 00, a type .* got 89 50 4e 47"),
        (b"\0\0\x07\x01\0\0\0\0", "got 00 00 07 01"),
        (b"\0\0\x08\0", "got 00 00 08 00"),
        (b"\0\0\x08\x01\0\0\0\x03ab", "expected 11 bytes, for 3 numbers of uint8, got 10"),
        (b"\0\0\x08\x01\0\0\0\x03abcd", "expected 11 bytes.* got 12"),
        (b"\0\0\x08\x03\0\0\0\x02", "expected 16 bytes.* got 8"),
        (b"\0\0\x08\x02" + b"\xff" * 8, "expected 1844"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x03abc", mtime=0)[:-9], "no whole gzip file"),
    ],
)
def test_idx_of_another_format_is_refused(tmp_path, content, text):
    path = tmp_path / "images.idx3"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=text) as error:
        read_idx(path)
    assert str(path) in str(error.value)


def test_a_folder_of_idx_files(tmp_path):
    train, test = np.arange(24, dtype=np.uint8).reshape(3, 2, 4), np.zeros((1, 2, 4), np.uint8)
    as_idx(tmp_path / "train-images-idx3-ubyte.gz", train, compress=True)
    as_idx(tmp_path / "train-labels-idx1-ubyte.gz", np.array([7, 3, 7], np.uint8), compress=True)
    as_idx(tmp_path / "t10k-images-idx3-ubyte", test)
    as_idx(tmp_path / "t10k-labels-idx1-ubyte", np.array([3], np.uint8))
    (tmp_path / "readme.txt").write_text("of no concern")
    found = read_images(tmp_path)
    assert found.images.shape == (4, 1, 2, 4) and found.images.dtype == np.float32
    np.testing.assert_array_equal(found.images[:, 0], np.concatenate([test, train]))
    assert found.classes == ["3", "7"] and found.labels.tolist() == [0, 1, 0, 1]
    assert found.names[:2] == ["t10k-images-idx3-ubyte[0]", "train-images-idx3-ubyte.gz[0]"]
    assert found.held_out.tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("images", "labels", "text"),
    [
        (np.zeros((3, 2, 2), np.uint8), None, r"a-images.idx3 of shape \(3, 2, 2\)"),
        (np.zeros((3, 2), np.uint8), np.zeros(3, np.uint8), r"of images \(three\).*of shape \(3, 2\)"),
        (np.zeros((3, 2, 2), np.uint8), np.zeros(2, np.uint8), "a-labels.idx1: expected 3 whole numbers.* got 2"),
        (np.zeros((3, 2, 2), np.uint8), np.zeros(3, np.float32), "got 3 of float32"),
    ],
)
def test_idx_files_that_do_not_belong_together_are_refused(tmp_path, images, labels, text):
    as_idx(tmp_path / "a-images.idx3", images)
    if labels is not None:
        as_idx(tmp_path / "a-labels.idx1", labels)
    with pytest.raises(ValueError, match=text):
        read_images(tmp_path)


def test_idx_images_of_two_sizes_are_refused(tmp_path):
    for name, size in (("a", (1, 2, 2)), ("b", (1, 3, 2))):
        as_idx(tmp_path / f"{name}-images.idx3", np.zeros(size, np.uint8))
        as_idx(tmp_path / f"{name}-labels.idx1", np.zeros(1, np.uint8))
    with pytest.raises(ValueError, match=r"of one size, got a-images.idx3\[0\] of 2 x 2 .* b-images.idx3 of 3 x 2"):
        read_images(tmp_path)


# Picture files


def test_a_folder_for_each_class(tmp_path):
    for name, value in (("cat/1.png", 10), ("cat/2.PNG", 20), ("ant/x.png", 30)):
        as_png(tmp_path / name, grey(value))
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "cat" / "notes.txt").write_text("of no concern")
    found = read_images(tmp_path)
    assert found.classes == ["ant", "cat"] and found.names == ["ant/x.png", "cat/1.png", "cat/2.PNG"]
    assert found.images.shape == (3, 1, 5, 4) and found.images[:, 0, 0, 0].tolist() == [30, 10, 20]
    assert found.labels.tolist() == [0, 1, 1] and not found.held_out.any()
    as_png(tmp_path / "ant" / "y.png", np.full((5, 4, 3), [1, 2, 3], np.uint8))
    found = read_images(tmp_path)
    assert found.images[:, :, 0, 0].tolist() == [[30] * 3, [1, 2, 3], [10] * 3, [20] * 3]


def test_pictures_as_they_are_kept(tmp_path):
    picture = np.arange(0, 240, 12).reshape(5, 4)
    for mode in ("L", "RGB", "LA", "RGBA", "P"):
        is_grey = mode in ("L",)
        read = read_image(as_png(tmp_path / f"{mode}.png", picture.astype(np.uint8), mode))
        assert read.shape == ((1 if is_grey else 3), 5, 4) and read.dtype == np.uint8, mode
        np.testing.assert_array_equal(read, np.broadcast_to(picture, read.shape))
        np.testing.assert_array_equal(read_image(tmp_path / f"{mode}.png", channels=1)[0], picture)
    deep = read_image(as_png(tmp_path / "16.png", (picture * 257).astype(np.uint16)))
    np.testing.assert_array_equal(deep, picture[None])
    bits = read_image(as_png(tmp_path / "1.png", picture > 100))
    np.testing.assert_array_equal(bits, 255 * (picture > 100)[None])
    ink = np.zeros((5, 4, 4), np.uint8)  # black strokes on nothing, which would be black, too
    ink[2, 1:3, 3] = 255
    np.testing.assert_array_equal(read_image(as_png(tmp_path / "ink.png", ink), channels=1)[0], 255 - ink[..., 3])
    with pytest.raises(ValueError, match="channels to be 1, 3 or None, got 2"):
        read_image(tmp_path / "ink.png", channels=2)


BROKEN = {
    "empty": lambda content: b"",
    "text": lambda content: b"no picture",
    "cut off": lambda content: content[:60],
    "spoilt": lambda content: content[:41] + bytes(len(content) - 41),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_picture_is_refused_by_name(tmp_path, kind):
    as_png(tmp_path / "a" / "1.png", grey(1))
    path = as_png(tmp_path / "b" / "2.png", np.random.default_rng(0).integers(256, size=(20, 20)).astype(np.uint8))
    path.write_bytes(BROKEN[kind](path.read_bytes()))
    for read in (lambda: read_image(path), lambda: read_images(tmp_path)):
        with pytest.raises(ValueError, match="no image that can be read") as error:
            read()
        assert str(path) in str(error.value)


def test_pictures_of_two_sizes_are_refused(tmp_path):
    as_png(tmp_path / "a" / "1.png", grey(1))
    as_png(tmp_path / "b" / "2.png", grey(1, size=(4, 5)))
    with pytest.raises(ValueError, match=r"got a/1.png of 5 x 4 pixels \(height x width\) and b/2.png of 4 x 5"):
        read_images(tmp_path)


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ([], r"a folder for each class with PNG files in it, got no image \(nothing\)"),
        (["notes.txt"], r"got no image \(notes.txt\)"),
        (["a/notes.txt"], r"got no image \(a\)"),
        (["a/1.png", "2.png"], "got 2.png"),
        (["train/a/1.png", "train/b/2.png"], "got train/a/1.png"),
    ],
)
def test_a_folder_of_another_kind_is_refused(tmp_path, files, text):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=text) as error:
        read_images(tmp_path)
    assert str(tmp_path) in str(error.value)
    assert image_files(tmp_path) == [name for name in sorted(files) if name.endswith("png")]


def test_what_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for read in (read_images, image_files):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "none")
        with pytest.raises(NotADirectoryError):
            read(tmp_path / "file")
    for read in (read_idx, read_image):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "none")


def test_without_pillow_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"a.png.*pip install 'handgrad\[images\]'"):
        read_image(tmp_path / "a.png")


# Augmentation


def images(*shape):
    return np.random.default_rng(0).integers(1, 256, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(200, 4, 5), (200, 1, 4, 5), (200, 3, 4, 5)])
def test_shift_moves_each_image_as_a_whole(shape):
    x = images(*shape)
    before = x.copy()
    shifted = augment.shift(x, 2, generator=0)
    assert shifted.shape == x.shape and shifted.dtype == x.dtype
    np.testing.assert_array_equal(x, before)
    seen = set()
    for one, other in zip(x, shifted, strict=True):
        candidates = {}
        for down in range(-2, 3):
            for right in range(-2, 3):
                rolled = np.roll(one, (down, right), axis=(-2, -1))
                rolled[..., : max(down, 0), :] = 0
                rolled[..., 4 + min(down, 0) :, :] = 0
                rolled[..., : max(right, 0)] = 0
                rolled[..., 5 + min(right, 0) :] = 0
                candidates[down, right] = rolled
        (move,) = [move for move, candidate in candidates.items() if np.array_equal(candidate, other)]
        seen.add(move)
    assert len(seen) == 25


@pytest.mark.parametrize(("mode", "edge"), [("zeros", 0), ("replicate", 1), ("reflect", 2)])
def test_what_comes_in_at_the_edges(mode, edge):
    row = np.arange(1.0, 6.0)
    shifted = augment.shift(np.broadcast_to(row, (50, 5, 5)), 1, mode, generator=0)
    rights = [image for image in shifted if image[2, 1] == 1]  # moved to the right by one
    assert rights and all(image[2, 0] == edge for image in rights)


def test_crop_cuts_windows_out_everywhere():
    x = images(300, 2, 5, 6)
    cut = augment.crop(x, (3, 4), generator=1)
    assert cut.shape == (300, 2, 3, 4)
    places = set()
    for one, other in zip(x, cut, strict=True):
        found = [(i, j) for i in range(3) for j in range(3) if np.array_equal(one[:, i : i + 3, j : j + 4], other)]
        assert len(found) == 1
        places.update(found)
    assert len(places) == 9
    assert augment.crop(x, 9, padding=2, generator=0).shape == (300, 2, 9, 9)
    np.testing.assert_array_equal(augment.crop(x, (5, 6), generator=0), x)


def test_flip_mirrors_the_given_share():
    x = images(400, 1, 3, 4)
    flipped = augment.flip(x, generator=0)
    mirrored = np.array([not np.array_equal(a, b) for a, b in zip(x, flipped, strict=True)])
    np.testing.assert_array_equal(flipped[mirrored], x[mirrored, ..., ::-1])
    assert 160 < mirrored.sum() < 240
    np.testing.assert_array_equal(augment.flip(x, 0, generator=0), x)
    np.testing.assert_array_equal(augment.flip(x, 1.0, generator=0), x[..., ::-1])


def test_augmentation_repeats_under_a_seed_and_takes_any_batch():
    x = images(20, 1, 6, 6)
    for change in (lambda g: augment.shift(x, 1, generator=g), lambda g: augment.flip(x, generator=g)):
        np.testing.assert_array_equal(change(5), change(np.random.default_rng(5)))
        assert not np.array_equal(change(5), change(6))
    assert augment.shift(images(20, 1, 6, 6)[:0], 1, generator=0).shape == (0, 1, 6, 6)
    assert augment.flip(np.zeros((0, 2, 2))).shape == (0, 2, 2)
    np.testing.assert_array_equal(augment.shift(x[..., ::-1], 0), x[..., ::-1])


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: augment.shift(np.zeros((28, 28)), 1), ValueError, r"shift expects images of shape \(N, ..., H, W\)"),
        (lambda: augment.shift(np.zeros((1, 2, 2)), -1), ValueError, "most to be an integer of at least 0"),
        (lambda: augment.shift(np.zeros((1, 2, 2)), 1.5), TypeError, "most to be an integer of at least 0, got 1.5"),
        (lambda: augment.shift(np.zeros((1, 2, 2)), 1, "edge"), ValueError, "one of 'zeros', 'replicate', 'reflect'"),
        (lambda: augment.shift(np.zeros((1, 0, 2)), 1, "replicate"), ValueError, "at least one pixel"),
        (lambda: augment.shift(np.zeros((1, 2, 2)), 1, generator="x"), TypeError, "shift expects generator"),
        (lambda: augment.flip(np.zeros((1, 2, 2)), 1.5), ValueError, "p to be a finite number of at least 0 and at mo"),
        (lambda: augment.flip(np.zeros((1, 2, 2)), float("nan")), ValueError, "flip expects p"),
        (lambda: augment.flip(np.zeros(4)), ValueError, "flip expects images"),
        (lambda: augment.crop(np.zeros((1, 2, 3)), 3), ValueError, r"size to be at most \(2, 3\).* got \(3, 3\)"),
        (lambda: augment.crop(np.zeros((1, 2, 3)), 0), ValueError, "size to be an integer of at least 1, got 0"),
        (lambda: augment.crop(np.zeros((1, 2, 3)), (1, 2, 3)), ValueError, "a height and a width"),
        (lambda: augment.crop(np.zeros((1, 2, 3)), 2, padding=-1), ValueError, "padding to be an integer"),
    ],
)
def test_augmentation_refuses(call, error, text):
    with pytest.raises(error, match=text):
        call()
