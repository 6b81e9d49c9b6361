"""Directories whose state changes by commits: a crash leaves the last whole state."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Self

import filelock

from neurosim.errors import (
    BrainBusyError,
    BrainError,
    ConfigError,
    nearest_name,
)
from neurosim.storage import (
    atomic_write_bytes,
    atomic_write_text,
    clean_stale_temporaries,
    json_text,
    reporting,
    require_space,
    storage_error,
)

_GENERATION = re.compile(r"(?P<stem>.+)\.\d{6,}(?P<suffix>(\.[^.]*)?)")
LOCK_NAME = ".lock"


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
        self._lock = filelock.FileLock(self.path / LOCK_NAME, timeout=0, thread_local=False)

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
            raise storage_error(self.path, error) from error

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
        with reporting(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            require_space(self.root, sum(map(len, files.values())))
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
