"""HDF5 files that are written whole and checked to the last bit before they are read."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neurosim.errors import ConfigError, CorruptFileError, StorageError
from neurosim.storage import atomic_write_bytes

Arrays = dict[str, np.ndarray]
Attributes = dict[str, Any]

_SEAL_SIZE = 512  # The smallest user block, which HDF5 leaves to the writer.


def pack_hdf5(arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Any]) -> bytes:
    """Return the bytes of an HDF5 file with the given arrays, compressed and sealed.

    Data sets are shuffled, compressed (gzip, level 1) and checksummed (Fletcher-32). A SHA-256 of
    the whole stands in the user block, where any HDF5 reader skips it.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Numeric or boolean arrays, scalars and empty ones too; ``/`` in a name makes a group.
    attributes : mapping of str to value
        Strings, numbers and lists of them. A mapping under the name of an array holds that
        array's own attributes, such as ``{"unit": "Hz"}``.
    """
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=_SEAL_SIZE) as file:
        for name, array in arrays.items():
            _create_dataset(file, name, np.asarray(array))
        for name, value in attributes.items():
            if not isinstance(value, Mapping):
                _set_attributes(file, {name: value})
            elif name in arrays:
                _set_attributes(file[name], value)
            else:
                raise ConfigError.expected(
                    "pack_hdf5", name, "an array of that name", "none", "give the array too"
                )
    body = buffer.getvalue()[_SEAL_SIZE:]
    return _seal(body) + body


def unpack_hdf5(data: bytes, source: str = "HDF5 data") -> tuple[Arrays, Attributes]:
    """Return the arrays and attributes given to `pack_hdf5`.

    Parameters
    ----------
    data : bytes
        The whole file.
    source : str
        What to call it in an error.

    Raises
    ------
    CorruptFileError
        If a single bit differs from what `pack_hdf5` returned.
    """
    body = data[_SEAL_SIZE:]
    # Checked before HDF5 sees a byte: its library can crash on damaged metadata.
    if data[:_SEAL_SIZE] != _seal(body):
        raise CorruptFileError(
            f"{source}: expected a whole HDF5 file written by neurosim, got one that is "
            "truncated, altered or foreign; restore it from a copy or run again"
        )
    arrays: Arrays = {}
    with h5py.File(io.BytesIO(data), "r") as file:
        attributes = _read_attributes(file)

        def collect(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset):
                arrays[name] = np.asarray(item[()])
                if len(item.attrs):
                    attributes[name] = _read_attributes(item)

        file.visititems(collect)
    return arrays, attributes


def write_hdf5(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Write an HDF5 file atomically; see `pack_hdf5` and `atomic_write_bytes`."""
    atomic_write_bytes(path, pack_hdf5(arrays, attributes or {}))


def read_hdf5(path: str | os.PathLike[str]) -> tuple[Arrays, Attributes]:
    """Read an HDF5 file written by `write_hdf5`.

    Raises
    ------
    StorageError
        If the file cannot be read.
    CorruptFileError
        If it is truncated, altered or not ours.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise StorageError(
            f"{path}: expected a readable file, got '{error.strerror}'; check the path"
        ) from error
    return unpack_hdf5(data, str(path))


def _seal(body: bytes) -> bytes:
    line = f"neurosim sealed hdf5\nsha256 {hashlib.sha256(body).hexdigest()}\n"
    return line.encode().ljust(_SEAL_SIZE, b"\0")


def _create_dataset(file: h5py.File, name: str, array: np.ndarray) -> None:
    if array.dtype.kind not in "biufc":
        raise ConfigError.expected(
            "pack_hdf5", name, "a numeric or boolean array", array.dtype, "keep text in attributes"
        )
    if array.size == 0 or array.ndim == 0:  # HDF5 cannot filter these; the seal covers them.
        file.create_dataset(name, data=array)
    else:
        file.create_dataset(
            name, data=array, compression="gzip", compression_opts=1, shuffle=True, fletcher32=True
        )


def _set_attributes(item: h5py.HLObject, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        try:
            item.attrs[name] = value
        except (TypeError, ValueError, OverflowError, OSError, RuntimeError) as error:
            raise ConfigError.expected(
                "pack_hdf5", name, "a string, number or short list", value, "store it as an array"
            ) from error


def _read_attributes(item: h5py.HLObject) -> Attributes:
    return {
        name: value.tolist() if isinstance(value, np.generic | np.ndarray) else value
        for name, value in item.attrs.items()
    }
