"""Independent jobs in processes of their own; what is finished outlives an interruption."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from neurosim.errors import CorruptFileError
from neurosim.provenance import source_digest, versions
from neurosim.storage import atomic_write_bytes, json_text


class Packable(Protocol):
    """A result that can be kept in a file."""

    def pack(self) -> bytes:
        """Return everything as bytes."""

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Take back what `pack` returned, or raise CorruptFileError."""


R = TypeVar("R", bound=Packable)


class Shelf:
    """A folder in which finished jobs wait until all are done.

    The folder's name follows from what the results depend on, so that results of another
    configuration, text or version of the code are not taken for these.

    Parameters
    ----------
    root : Path
        The shelf is a folder in it.
    depends_on : object
        Plain values or dataclasses; the code and the versions beside it are added.
    """

    def __init__(self, root: Path, depends_on: object) -> None:
        text = json_text({"work": depends_on, "code": source_digest(), "versions": versions()})
        self.folder = root / f"unfinished-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def put(self, key: str, result: Packable) -> None:
        """Keep one result."""
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic_write_bytes(self.folder / f"{key}.h5", result.pack())

    def get(self, key: str, kind: type[R]) -> R | None:
        """Return a result kept earlier; None when there is none, or it is damaged."""
        try:
            return kind.unpack((self.folder / f"{key}.h5").read_bytes())
        except (FileNotFoundError, CorruptFileError):
            return None

    def clear(self) -> None:
        """Throw the results away: all are done, and a next run starts anew."""
        shutil.rmtree(self.folder, ignore_errors=True)


def run_jobs(
    function: Callable[..., R],
    jobs: Mapping[str, tuple[Any, ...]],
    kind: type[R],
    shelf: Shelf | None = None,
    workers: int = 0,
    tick: Callable[[], object] = lambda: None,
) -> dict[str, R]:
    """Run `function(*arguments)` for every job, each in a process; return the results by key.

    Processes start by spawn, and their order of finishing has no effect on the result. With a
    shelf, what is finished is kept when the rest is interrupted, and found by the next call; when
    all jobs are done the shelf is cleared.

    Parameters
    ----------
    function : callable
        Of a module, so that another process finds it.
    jobs : mapping of str to tuple
        Arguments by key; a key names a file.
    kind : type
        What `function` returns.
    shelf : Shelf, optional
    workers : int
        Processes at a time; 0 for one a processor.
    tick : callable
        Called after each job.
    """
    found = {key: shelf.get(key, kind) for key in jobs} if shelf is not None else {}
    results = {key: result for key, result in found.items() if result is not None}
    for _ in results:
        tick()
    waiting = {key: arguments for key, arguments in jobs.items() if key not in results}
    if waiting:
        n_workers = workers or min(len(waiting), os.cpu_count() or 1)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(n_workers, mp_context=context) as pool:
            futures = {pool.submit(function, *waiting[key]): key for key in waiting}
            try:
                for future in as_completed(futures):
                    result = future.result()
                    results[futures[future]] = result
                    if shelf is not None:
                        shelf.put(futures[future], result)
                    tick()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    if shelf is not None:
        shelf.clear()
    return {key: results[key] for key in jobs}
