"""Image sets are found in the user's folders, checked, and never taken for what they are not."""

import gzip
import hashlib
import struct

import numpy as np
import pytest

from neurosim import datasets
from neurosim.errors import ConfigError, CorruptFileError, InputError


def idx(array, kind=8):
    header = struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape)
    return gzip.compress(header + array.tobytes())


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Plant a set of five and three tiny images; return its folder and what is in it."""
    rng = np.random.default_rng(0)
    shapes = [(5, 2, 3), (5,), (3, 2, 3), (3,)]
    arrays = [rng.integers(0, 256, shape).astype(np.uint8) for shape in shapes]
    folder = tmp_path / "mnist"
    folder.mkdir()
    digests = []
    for part, array in zip(datasets.PARTS, arrays, strict=True):
        packed = idx(array)
        (folder / f"{part}-ubyte.gz").write_bytes(packed)
        digests.append(hashlib.sha256(packed).hexdigest())
    monkeypatch.setattr(datasets, "SHA256", {"mnist": tuple(digests)})
    monkeypatch.setenv(datasets.VARIABLE, str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder, arrays


def test_what_was_written_is_read_back(planted):
    _, arrays = planted
    found = datasets.load("mnist")
    read = (found.train_images, found.train_labels, found.test_images, found.test_labels)
    for got, expected in zip(read, arrays, strict=True):
        np.testing.assert_array_equal(got, expected)
    assert datasets.available("mnist")


def test_the_cache_is_looked_through_after_the_variable(planted, monkeypatch, tmp_path):
    folder, arrays = planted
    monkeypatch.delenv(datasets.VARIABLE)
    assert not datasets.available("mnist")
    (tmp_path / "cache" / "neurosim").mkdir(parents=True)
    folder.rename(tmp_path / "cache" / "neurosim" / "mnist")
    np.testing.assert_array_equal(datasets.load("mnist").train_images, arrays[0])


def test_a_missing_file_is_named_with_folder_variable_and_checksum(planted):
    folder, _ = planted
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(InputError) as raised:
        datasets.load("mnist")
    message = str(raised.value)
    for needed in ("t10k-labels-idx1", str(folder), "NEUROSIM_DATA", datasets.SHA256["mnist"][3]):
        assert needed in message


def test_a_flipped_byte_is_noticed(planted):
    path = planted[0] / "train-images-idx3-ubyte.gz"
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptFileError, match="SHA-256"):
        datasets.load("mnist")


@pytest.mark.parametrize(
    "packed",
    [
        idx(np.zeros((2, 2), np.uint8), kind=13),
        idx(np.zeros((2, 2), np.uint8))[:-4],
        gzip.compress(struct.pack(">HBB2I", 0, 8, 2, 3, 3) + b"1234"),
        gzip.compress(b""),
        b"no gzip at all",
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, packed):
    path = tmp_path / "file.gz"
    path.write_bytes(packed)
    with pytest.raises(CorruptFileError, match="IDX"):
        datasets.read_idx(path, hashlib.sha256(packed).hexdigest())


def test_an_unknown_set_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean mnist"):
        datasets.load("minst")


def test_the_digits_come_with_their_labels():
    digits = datasets.load("digits")
    assert len(digits.train_images) + len(digits.test_images) == 1797
    assert digits.train_images.shape[1:] == (8, 8) and digits.train_images.max() == 255
    assert set(digits.test_labels.tolist()) == set(range(10))
    # Zeros have a hole: an oracle that labels and images belong together.
    hole = [digits.train_images[digits.train_labels == d][:, 3:5, 3:5].mean() for d in (0, 8)]
    assert hole[0] < 40 < 150 < hole[1]


@pytest.mark.data
@pytest.mark.parametrize("name", ["mnist", "fashion"])
def test_the_published_sets_are_read_whole(name):
    images = datasets.load(name)
    assert images.train_images.shape == (60000, 28, 28)
    assert images.test_images.shape == (10000, 28, 28)
    # The MNIST labels are not balanced, those of Fashion-MNIST are: 1,000 of each in the test part.
    counts = np.bincount(images.test_labels)
    assert len(counts) == 10
    assert (counts.tolist() == [1000] * 10) == (name == "fashion")
    if name == "mnist":
        assert images.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
