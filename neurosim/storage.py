"""Files that survive a crash: atomic writes, checked HDF5, and directories with commits.

A file appears whole or not at all; what was good before a fault stays good; and damage is
reported in a sentence instead of being read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import errno
import hashlib
import io
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Self

import filelock
import h5py
import numpy as np

from neurosim.errors import (
    BrainBusyError,
    BrainError,
    ConfigError,
    CorruptFileError,
    NeurosimError,
    StorageError,
    nearest_name,
)

Arrays = dict[str, np.ndarray]
Attributes = dict[str, Any]

_SPARE_BYTES = 1 << 20  # File systems need room for their own records too.
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")
_GENERATION = re.compile(r"(?P<stem>.+)\.\d{6,}(?P<suffix>(\.[^.]*)?)")
_SEAL_SIZE = 512  # The smallest user block, which HDF5 leaves to the writer.
_LOCK_NAME = ".lock"
_ADVICE = {
    errno.ENOSPC: "free some space or choose another disk",
    errno.EDQUOT: "free some space or ask for a larger quota",
    errno.EFBIG: "raise the limit on file size or choose another disk",
    errno.EACCES: "choose a directory you may write to",
    errno.EPERM: "choose a directory you may write to",
    errno.EROFS: "choose a disk that is not read-only",
    errno.ENOENT: "create the directory first",
    errno.EISDIR: "choose the name of a file",
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
    with _reporting(target):
        _require_space(target.parent, len(data))
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
            _sync_directory(target.parent)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()


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


class DirectoryLock:
    """A lock that one process at a time can hold on a directory; use it in a ``with``.

    It is held by the process, not by the file ``.lock``: the system frees it if the process is
    killed. It may be entered again while it is held.

    Parameters
    ----------
    path : path-like
        An existing directory.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock = filelock.FileLock(self.path / _LOCK_NAME, timeout=0, thread_local=False)

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return bool(self._lock.is_locked)

    def acquire(self) -> None:
        """Take the lock, or raise BrainBusyError at once."""
        if not self.path.is_dir():
            raise BrainError(
                f"{self.path}: expected a directory, got none; check the path or create it"
            )
        try:
            self._lock.acquire()
        except filelock.Timeout as error:
            raise BrainBusyError(
                f"{self.path}: expected a free directory, got one that is in use; "
                "close the other neurosim process that works on it"
            ) from error
        except OSError as error:
            raise _storage_error(self.path, error) from error

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()

    def __enter__(self) -> Self:
        """Take the lock."""
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the lock back."""
        self.release()


@dataclasses.dataclass(frozen=True)
class Member:
    """One file of a committed state: its name on disk, its SHA-256 and its size [bytes]."""

    file: str
    sha256: str
    size: int


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A committed state: which files make it up, and what was noted about it.

    Parameters
    ----------
    format : str
        What the directory holds, such as ``"brain"``.
    format_version : int
        Version of the layout, from 1.
    generation : int
        Number of commits so far.
    members : mapping of str to Member
        By logical name.
    meta : mapping
        Free notes, plain JSON values.
    """

    format: str
    format_version: int
    generation: int = 0
    members: Mapping[str, Member] = dataclasses.field(default_factory=dict)
    meta: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class VersionedDirectory:
    """A directory whose state changes by commits, each of which happens wholly or not at all.

    New contents go to new files; the atomic replacement of the manifest is the commit; only then
    are old files deleted. So a crash at any moment leaves the last committed state.

    Parameters
    ----------
    root : path-like
        The directory; the first commit creates it.
    kind : str
        What it holds, such as ``"brain"``.
    version : int
        The newest layout this program can read, and the one it writes.
    manifest_name : str, optional
        Name of the manifest; ``<kind>.json`` by default.

    Attributes
    ----------
    lock : DirectoryLock
        Hold it for as long as the directory is in use. `commit` and `clean` take it themselves if
        it is not held, so never hold another lock on the same directory beside it.
    """

    def __init__(
        self, root: str | os.PathLike[str], kind: str, version: int, manifest_name: str = ""
    ) -> None:
        self.root = Path(root)
        self.kind = kind
        self.version = version
        self.manifest_name = manifest_name or f"{kind}.json"
        self.lock = DirectoryLock(self.root)

    def exists(self) -> bool:
        """Return whether something was ever committed here."""
        return (self.root / self.manifest_name).is_file()

    def manifest(self) -> Manifest:
        """Return the last committed state.

        Raises
        ------
        BrainError
            If the directory is missing, half-written, of another kind, newer or damaged.
        """
        path = self.root / self.manifest_name
        if not self.root.is_dir():
            raise self._error("a directory", "none", "check the path or create it")
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError as error:
            raise self._error(
                f"the file {self.manifest_name}",
                "a directory without it, not one of ours or never finished",
                "check the path, or delete the directory and create it again",
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise self._damaged(self.manifest_name, str(error)) from error
        return self._parsed(text)

    def read(self, name: str) -> bytes:
        """Return the content of a member, checked against its SHA-256.

        Parameters
        ----------
        name : str
            Logical name, as given to `commit`.

        Raises
        ------
        BrainError
            If there is no such member, or its file is missing or damaged.
        """
        manifest = self.manifest()
        while True:
            try:
                return self._read_member(manifest, name)
            except FileNotFoundError as error:
                newer = self.manifest()
                # A commit of another process may have replaced the file since.
                if newer.generation == manifest.generation:
                    raise self._damaged(manifest.members[name].file, "it is missing") from error
                manifest = newer

    def verify(self) -> Manifest:
        """Read and check every member; return the manifest.

        Raises
        ------
        BrainError
            Naming the first file that is missing or damaged.
        """
        manifest = self.manifest()
        for name in manifest.members:
            self.read(name)
        return manifest

    def commit(self, files: Mapping[str, bytes], meta: Mapping[str, Any]) -> Manifest:
        """Make `files` and `meta` the new state; members not given keep their content.

        Parameters
        ----------
        files : mapping of str to bytes
            New contents by logical name, such as ``"cortex.h5"``.
        meta : mapping
            Notes that replace the old ones; see `json_text` for what may stand in them.

        Returns
        -------
        Manifest
            The state as committed.

        Raises
        ------
        StorageError
            If the disk is full or failing; the last committed state stays.
        BrainBusyError
            If another process holds the lock.
        """
        for name in files:
            self._check_name(name)
        plain_meta = json.loads(json_text(dict(meta)))
        with _reporting(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            _require_space(self.root, sum(map(len, files.values())))
        with self.lock:
            old = self.manifest() if self.exists() else Manifest(self.kind, self.version)
            generation = old.generation + 1
            written = {
                name: Member(
                    _generation_name(name, generation),
                    hashlib.sha256(data).hexdigest(),
                    len(data),
                )
                for name, data in files.items()
            }
            new = Manifest(
                self.kind, self.version, generation, {**old.members, **written}, plain_meta
            )
            try:
                for name, data in files.items():
                    atomic_write_bytes(self.root / written[name].file, data)
                atomic_write_text(self.root / self.manifest_name, _manifest_text(new))
            finally:
                # The manifest on disk, old or new, decides which files are the garbage.
                self._discard_unreferenced(new.members)
        return new

    def clean(self) -> list[Path]:
        """Delete what crashed writers left behind, under the lock; return the paths."""
        with self.lock:
            return [
                *clean_stale_temporaries(self.root),
                *self._discard_unreferenced(self.manifest().members),
            ]

    def _read_member(self, manifest: Manifest, name: str) -> bytes:
        if name not in manifest.members:
            near = nearest_name(name, manifest.members)
            mend = f"did you mean '{near}'?" if near else "check the name"
            raise self._error(f"a member '{name}'", "none of that name", mend)
        member = manifest.members[name]
        try:
            data = (self.root / member.file).read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._damaged(member.file, str(error.strerror)) from error
        if hashlib.sha256(data).hexdigest() != member.sha256:
            reason = f"{len(data)} bytes of {member.size}" if len(data) != member.size else "sha256"
            raise self._damaged(member.file, reason)
        return data

    def _parsed(self, text: str) -> Manifest:
        try:
            fields = json.loads(text)
            checksum = fields.pop("checksum")
            members = {name: Member(**each) for name, each in fields.pop("members").items()}
            manifest = Manifest(members=members, **fields)
            newer = manifest.format_version > self.version
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._damaged(self.manifest_name, "it is not a manifest") from error
        if manifest.format != self.kind:
            raise self._error(f"a {self.kind}", f"a {manifest.format}", "check the path")
        if newer:
            raise self._error(
                f"format version {self.version} or older",
                f"version {manifest.format_version}, written by a newer neurosim",
                "upgrade neurosim",
            )
        if checksum != _checksum(manifest):
            raise self._damaged(self.manifest_name, "sha256")
        return manifest

    def _discard_unreferenced(self, names: Iterable[str]) -> list[Path]:
        kept = {each.file for each in self.manifest().members.values()} if self.exists() else set()
        known = set(names)
        discarded = []
        for path in self.root.iterdir():
            if _logical_name(path.name) in known and path.name not in kept:
                with contextlib.suppress(OSError):  # Garbage does no harm; `clean` tries again.
                    path.unlink()
                    discarded.append(path)
        return discarded

    def _check_name(self, name: str) -> None:
        bad = (
            not name
            or PurePath(name).name != name
            or "\0" in name
            or name.startswith(".")
            or "\\" in name
            or name == self.manifest_name
            or _logical_name(name) is not None
        )
        if bad:
            raise ConfigError.expected(
                self, "commit", "a plain file name without a number", name, "such as 'cortex.h5'"
            )

    def _error(self, expected: str, got: str, mend: str) -> BrainError:
        return BrainError(f"{self.root}: expected {expected}, got {got}; {mend}")

    def _damaged(self, file: str, reason: str) -> BrainError:
        return self._error(
            f"the file {file} as it was written",
            f"a damaged or unreadable one ({reason})",
            f"restore the {self.kind} from a copy",
        )


def _generation_name(name: str, generation: int) -> str:
    path = PurePath(name)
    return f"{path.stem}.{generation:06d}{path.suffix}"


def _logical_name(file: str) -> str | None:
    match = _GENERATION.fullmatch(file)
    return match["stem"] + match["suffix"] if match else None


def _manifest_text(manifest: Manifest) -> str:
    fields = {**dataclasses.asdict(manifest), "checksum": _checksum(manifest)}
    return json_text(fields, indent=2) + "\n"


def _checksum(manifest: Manifest) -> str:
    text = json.dumps(dataclasses.asdict(manifest), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@contextlib.contextmanager
def _reporting(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _storage_error(path, error) from error


def _storage_error(path: Path, error: OSError) -> NeurosimError:
    advice = _ADVICE.get(error.errno or 0, "check the disk")
    return StorageError(
        f"{path}: expected to write, got '{error.strerror or error}'; {advice}, "
        "what was saved before is untouched"
    )


def _require_space(directory: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < n_bytes + _SPARE_BYTES:
        raise StorageError(
            f"{directory}: expected {(n_bytes + _SPARE_BYTES) / 1e6:.1f} MB of free space, "
            f"got {free / 1e6:.1f} MB; {_ADVICE[errno.ENOSPC]}, "
            "what was saved before is untouched"
        )


def _sync_directory(directory: Path) -> None:
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
