"""Image sets: read from a folder of the user's, checked by their SHA-256, never shipped.

`digits` comes with scikit-learn and is there always. MNIST and Fashion-MNIST are looked for in
``$NEUROSIM_DATA/mnist`` (``fashion``), then in ``~/.cache/neurosim/mnist`` (``fashion``).
"""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ConfigError, CorruptFileError, InputError, nearest_name

VARIABLE = "NEUROSIM_DATA"
PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
_DIGITS_TRAIN = 1437  # Four fifths of 1,797, in the order of the set.

# Of the files as their publishers gave them out.
SHA256: Mapping[str, tuple[str, str, str, str]] = {
    "mnist": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
    "fashion": (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
}
NAMES = ("digits", *SHA256)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with labels, in two parts.

    Parameters
    ----------
    name : str
    train_images, test_images : (n_images, n_rows, n_columns) uint8
        Grey values, 0..255.
    train_labels, test_labels : (n_images,) uint8
    """

    name: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


def load(name: str) -> ImageSet:
    """Return an image set.

    Parameters
    ----------
    name : str
        "digits" (8 x 8, 1,797 images), "mnist" or "fashion" (28 x 28, 70,000 images).

    Raises
    ------
    InputError
        When a file is nowhere; says where it was looked for, and its SHA-256.
    CorruptFileError
        When a file is not the published one.

    References
    ----------
    MNIST: LeCun, Bottou, Bengio & Haffner (1998) Proc. IEEE 86:2278. Fashion-MNIST: Xiao, Rasul &
    Vollgraf (2017) arXiv:1708.07747. Digits: Alpaydin & Kaynak (1998), UCI repository.
    """
    if name == "digits":
        return _digits()
    if name not in SHA256:
        near = nearest_name(name, NAMES)
        mend = f"did you mean {near}?" if near else "choose one of them"
        raise ConfigError.expected("datasets", "name", " or ".join(NAMES), name, mend)
    parts = [
        read_idx(find(name, part), digest) for part, digest in zip(PARTS, SHA256[name], strict=True)
    ]
    return ImageSet(name, *parts)


def available(name: str) -> bool:
    """Return whether all files of a set are in one of its places (unchecked)."""
    try:
        return name == "digits" or all(find(name, part) for part in PARTS)
    except InputError:
        return False


def folders(name: str) -> list[Path]:
    """Return where the files of a set are looked for, in this order."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "neurosim"
    given = os.environ.get(VARIABLE, "")
    return [*([Path(given) / name] if given else []), cache / name]


def find(name: str, part: str) -> Path:
    """Return the path of one of the four files of a set.

    Raises
    ------
    InputError
        When it is in none of the set's folders.
    """
    file = f"{part}-ubyte.gz"
    for folder in folders(name):
        if (folder / file).is_file():
            return folder / file
    places = " or ".join(str(folder) for folder in folders(name))
    digest = SHA256[name][PARTS.index(part)]
    raise InputError(
        f"{name}: expected the file {file} in {places}, got none; put the published file there "
        f"(SHA-256 {digest}), or set {VARIABLE} to the folder that holds {name}/"
    )


def read_idx(path: Path, sha256: str) -> NDArray[np.uint8]:
    """Return the array of a gzipped IDX file of bytes.

    Parameters
    ----------
    path : Path
    sha256 : str
        Of the gzipped file.

    Raises
    ------
    CorruptFileError
        When its bytes are others, or do not hold what their header says.
    """
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: expected a readable file, got '{error.strerror}'; check it"
        ) from error
    digest = hashlib.sha256(packed).hexdigest()
    if digest != sha256:
        raise CorruptFileError(
            f"{path}: expected SHA-256 {sha256}, got {digest}; download the published file again"
        )
    try:
        raw = gzip.decompress(packed)
        zeros, kind, n_dims = struct.unpack_from(">HBB", raw)
        shape = struct.unpack_from(f">{n_dims}I", raw, 4)
        values = np.frombuffer(raw, dtype=np.uint8, offset=4 + 4 * n_dims)
        if zeros != 0 or kind != 8:
            raise ValueError("no bytes")
        return values.reshape(shape)
    except (ValueError, struct.error, EOFError, OSError, zlib.error) as error:
        raise CorruptFileError(
            f"{path}: expected a gzipped IDX file of bytes, got another kind; check the path"
        ) from error


def _digits() -> ImageSet:
    from sklearn.datasets import load_digits  # Here, because it is slow to import.

    loaded = load_digits()
    images = np.rint(loaded.images * (255 / 16)).astype(np.uint8)
    labels = loaded.target.astype(np.uint8)
    cut = _DIGITS_TRAIN
    return ImageSet("digits", images[:cut], labels[:cut], images[cut:], labels[cut:])
