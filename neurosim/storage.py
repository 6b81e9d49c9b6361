"""Files that survive a crash: each appears whole or not at all, and what was good stays good."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.errors import ConfigError, CorruptFileError, NeurosimError, StorageError

_SPARE_BYTES = 1 << 20  # File systems need room for their own records too.
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")
_ADVICE = {
    errno.ENOSPC: "free some space or choose another disk",
    errno.EDQUOT: "free some space or ask for a larger quota",
    errno.EFBIG: "raise the limit on file size or choose another disk",
    errno.EACCES: "choose a directory you may write to",
    errno.EPERM: "choose a directory you may write to",
    errno.EROFS: "choose a disk that is not read-only",
    errno.ENOENT: "create the directory first",
    errno.EISDIR: "choose the name of a file",
    errno.EEXIST: "choose another name, a file has this one",
    errno.ENOTDIR: "choose another place, a file lies on the way",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def atomic_write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file that is, at any moment, either the old one or the whole new one.

    Parameters
    ----------
    path : path-like
        The file to write; a link is followed. Its directory must exist.
    data : bytes
        The whole content.

    Raises
    ------
    StorageError
        If the disk is full, read-only or failing; the old file is untouched then.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    with reporting(target):
        require_space(target.parent, len(data))
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
            sync_directory(target.parent)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()


def make_directory(path: str | os.PathLike[str]) -> None:
    """Make a directory, and those above it, unless it is there.

    Raises
    ------
    StorageError
        If a file has its name, or it may not be made.
    """
    with reporting(Path(path)):
        Path(path).mkdir(parents=True, exist_ok=True)


def check_place(path: str | os.PathLike[str], *, folder: bool = False) -> None:
    """See, before hours of work, that a file or a folder of results can be written.

    Parameters
    ----------
    path : path-like
        Nothing is made.
    folder : bool
        Whether it is a folder, which is made later with those above it; a file's must be there.

    Raises
    ------
    StorageError
        If something of another kind lies there, or nothing may be made.
    """
    place = Path(path)
    with reporting(place):
        _check_place(place, folder)


def check_places(folder: str | os.PathLike[str], *names: str) -> None:
    """See the same of a folder, made later or there already, and of files in it.

    Parameters
    ----------
    folder : path-like
    *names : str
        Of the files.

    Raises
    ------
    StorageError
        As `check_place`.
    """
    check_place(folder, folder=True)
    if Path(folder).exists():
        for name in names:
            check_place(Path(folder) / name)


def _check_place(place: Path, folder: bool) -> None:
    if place.exists() and place.is_dir() != folder:
        kind, other = ("folder", "file") if folder else ("file", "folder")
        raise StorageError(f"{place}: expected a {kind}, got a {other}; choose another name")
    above = place if folder else place.parent
    while folder and not os.path.lexists(above):
        above = above.parent
    if not above.is_dir():
        mend = "choose another place" if folder else "make it first"
        raise StorageError(f"{place}: expected a folder {above}, got none; {mend}")
    if not os.access(above, os.W_OK):
        raise StorageError(
            f"{place}: expected a place to write to, got no permission; choose another place"
        )


def atomic_write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8, atomically; see `atomic_write_bytes`."""
    atomic_write_bytes(path, text.encode())


def atomic_write_json(path: str | os.PathLike[str], value: object) -> None:
    """Write `value` as JSON, atomically; see `json_text` and `atomic_write_bytes`."""
    atomic_write_text(path, json_text(value, indent=2) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Return what `atomic_write_json` wrote.

    Raises
    ------
    StorageError
        If the file cannot be read.
    CorruptFileError
        If it is no JSON.
    """
    try:
        return json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise StorageError(
            f"{path}: expected a readable file, got '{error.strerror}'; check the path"
        ) from error
    except ValueError as error:
        raise CorruptFileError(
            f"{path}: expected JSON, got something else ({error}); restore it from a copy"
        ) from error


def json_text(value: object, indent: int | None = None) -> str:
    """Return strict JSON for plain values, dataclasses, sets, paths, enums and NumPy values.

    Raises
    ------
    ConfigError
        If something in `value` has no JSON form, such as NaN.
    """
    try:
        return json.dumps(value, indent=indent, default=_plain, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"json: expected plain finite values, got an error ({error}); convert them first"
        ) from error


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def clean_stale_temporaries(directory: str | os.PathLike[str]) -> list[Path]:
    """Delete what killed writers left in `directory`, and return the paths.

    Call it only while no one else writes there, that is, under a `DirectoryLock`.
    """
    stale = [path for path in Path(directory).iterdir() if _TEMPORARY.fullmatch(path.name)]
    for path in stale:
        path.unlink(missing_ok=True)
    return stale


@contextlib.contextmanager
def reporting(path: Path) -> Iterator[None]:
    """Turn what the system refuses while `path` is written into a StorageError."""
    try:
        yield
    except OSError as error:
        raise storage_error(path, error) from error


def is_refusal(error: OSError) -> bool:
    """Return whether the disk refused what was written: what anything may meet that writes."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def storage_error(path: str | os.PathLike[str], error: OSError) -> NeurosimError:
    """Return the sentence for what the system refused, with the mend."""
    advice = _ADVICE.get(error.errno or 0, "check the disk")
    return StorageError(
        f"{path}: expected to write, got '{error.strerror or error}'; {advice}, "
        "what was saved before is untouched"
    )


def require_space(directory: Path, n_bytes: int) -> None:
    """Refuse to begin what the disk has no room for."""
    free = shutil.disk_usage(directory).free
    if free < n_bytes + _SPARE_BYTES:
        raise StorageError(
            f"{directory}: expected {(n_bytes + _SPARE_BYTES) / 1e6:.1f} MB of free space, "
            f"got {free / 1e6:.1f} MB; {_ADVICE[errno.ENOSPC]}, "
            "what was saved before is untouched"
        )


def sync_directory(directory: Path) -> None:
    """Make what was renamed or deleted in a directory last."""
    if os.name == "nt":  # Windows cannot open a directory.
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
