"""An HDF5 file returns what it was given, or reports its damage."""

import h5py
import numpy as np
import pytest

from neurosim import hdf5
from neurosim.errors import (
    ConfigError,
    CorruptFileError,
    StorageError,
)

ARRAYS = {
    "ca3/weights": np.random.default_rng(0).random((20, 30)).astype(np.float32),
    "ca3/active": np.array([True, False, True]),
    "step": np.array(7, dtype=np.int64),
    "empty": np.empty((0, 4), dtype=np.uint16),
    "complex": np.array([1 + 2j]),
}
ATTRIBUTES = {
    "name": "Ärmel",
    "seed": 3,
    "rate": 0.5,
    "fresh": True,
    "layers": [3, 4],
    "ca3/weights": {"unit": "V", "dims": ["post", "pre"]},
}


def test_hdf5_returns_what_it_was_given(tmp_path):
    hdf5.write_hdf5(tmp_path / "a.h5", ARRAYS, ATTRIBUTES)
    arrays, attributes = hdf5.read_hdf5(tmp_path / "a.h5")
    assert attributes == ATTRIBUTES
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert np.array_equal(arrays[name], array) and arrays[name].shape == array.shape


def test_other_programs_can_open_the_file_and_find_it_compressed(tmp_path):
    hdf5.write_hdf5(tmp_path / "a.h5", ARRAYS, ATTRIBUTES)
    with h5py.File(tmp_path / "a.h5", "r") as file:
        weights = file["ca3/weights"]
        assert weights.compression == "gzip" and weights.compression_opts == 1
        assert weights.shuffle and weights.fletcher32
        assert weights.attrs["unit"] == "V"


def test_no_flipped_bit_goes_unnoticed():
    data = hdf5.pack_hdf5(ARRAYS, ATTRIBUTES)
    rng = np.random.default_rng(0)
    places = [*range(0, 600, 7), *rng.integers(0, len(data), 300).tolist(), len(data) - 1]
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(CorruptFileError, match="restore"):
            hdf5.unpack_hdf5(bytes(flipped))


def test_no_truncation_goes_unnoticed(tmp_path):
    path = tmp_path / "a.h5"
    hdf5.write_hdf5(path, ARRAYS)
    data = path.read_bytes()
    for size in [*range(0, len(data), len(data) // 40), len(data) - 1]:
        path.write_bytes(data[:size])
        with pytest.raises(CorruptFileError, match=r"a\.h5"):
            hdf5.read_hdf5(path)


def test_a_foreign_and_a_missing_file_are_said(tmp_path):
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = [1, 2]
    (tmp_path / "text.h5").write_text("hello")
    for name in ("foreign.h5", "text.h5"):
        with pytest.raises(CorruptFileError, match="foreign"):
            hdf5.read_hdf5(tmp_path / name)
    with pytest.raises(StorageError, match="check the path"):
        hdf5.read_hdf5(tmp_path / "missing.h5")


def test_a_long_text_fits_into_an_attribute():
    text = "x" * 200_000
    assert hdf5.unpack_hdf5(hdf5.pack_hdf5({}, {"config": text}))[1] == {"config": text}


@pytest.mark.parametrize(
    ("arrays", "attributes"),
    [
        ({"a": np.array(["text"])}, {}),
        ({"a": np.array([None])}, {}),
        ({}, {"a": None}),
        ({}, {"a": 2**70}),
        ({}, {"a": np.zeros(100_000)}),
        ({}, {"a": {"unit": "s"}}),
    ],
)
def test_what_hdf5_cannot_hold_is_refused(arrays, attributes):
    with pytest.raises(ConfigError, match=r"pack_hdf5\.a"):
        hdf5.pack_hdf5(arrays, attributes)
