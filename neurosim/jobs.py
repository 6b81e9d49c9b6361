"""Independent jobs in processes of one thread each; what is finished outlives an interruption."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import CapacityError, ConfigError, CorruptFileError
from neurosim.hdf5 import Arrays, pack_hdf5, unpack_hdf5
from neurosim.ledger import Ledger, counting, enter
from neurosim.provenance import source_digest, versions
from neurosim.storage import atomic_write_bytes, check_place, json_text, make_directory

R = TypeVar("R")

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Shelf:
    """A folder where the results of finished jobs wait until all are done.

    A file's name follows from what the result depends on: the work, the code and the versions
    beside it. So results of other settings, another text or another code are not taken for these.

    Parameters
    ----------
    root : Path
        The shelf is the folder ``unfinished`` in it, made when something is put there.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "unfinished"

    def place(self, *work: object) -> Path:
        """Return where the result of some work lies, whether or not it is there.

        Parameters
        ----------
        *work : object
            Plain values, dataclasses or arrays.
        """
        text = json_text([work, source_digest(), versions()])
        return self.folder / hashlib.sha256(text.encode()).hexdigest()[:24]

    def put(self, place: Path, data: bytes) -> None:
        """Keep the bytes of one result."""
        make_directory(self.folder)
        atomic_write_bytes(place, data)

    def get(self, place: Path, unpack: Callable[[bytes], R]) -> R | None:
        """Return a result kept earlier; None when there is none, or it is damaged."""
        try:
            return unpack(place.read_bytes())
        except (FileNotFoundError, CorruptFileError):
            return None

    def clear(self, places: Sequence[Path]) -> None:
        """Throw results away: all are done, and a next run starts anew."""
        for place in places:
            place.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # Another run's results may lie there.
            self.folder.rmdir()


def pack_array(result: Any) -> bytes:
    """Return an array as a sealed HDF5 file."""
    return pack_hdf5({"result": np.asarray(result)}, {})


def unpack_array(data: bytes) -> NDArray[Any]:
    """Take back what `pack_array` returned."""
    return unpack_hdf5(data, "a job's result")[0]["result"]


def pack_arrays(result: Arrays) -> bytes:
    """Return named arrays, of any shapes, as a sealed HDF5 file."""
    return pack_hdf5(result, {})


def unpack_arrays(data: bytes) -> Arrays:
    """Take back what `pack_arrays` returned."""
    return unpack_hdf5(data, "a job's result")[0]


def run_jobs(
    function: Callable[..., R],
    jobs: Sequence[tuple[Any, ...]],
    workers: int = 0,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
    pack: Callable[[R], bytes] = pack_array,
    unpack: Callable[[bytes], R] = unpack_array,  # type: ignore[assignment]
    clear: bool = True,
) -> list[R]:
    """Return ``[function(*job) for job in jobs]``, computed in processes.

    Processes start by spawn (a fork after a threaded kernel would hang) and compute on one thread,
    so that results depend neither on the number of workers nor on the machine. What a job cost
    comes back with its result, from a process as from the shelf, and is entered into the ledgers
    opened here by `counting`.

    Parameters
    ----------
    function : callable
        Of a module's top level, so that a new process finds it.
    jobs : sequence of tuple
        Its arguments, job by job.
    workers : int
        Processes at a time; 0 for one a processor, 1 for none besides this one.
    tick : callable
        Called after each job.
    shelf : Path, optional
        Folder in which each result is kept as soon as it is there: what an interruption left is
        found by the next call. When all jobs are done they are thrown away.
    pack, unpack : callable
        How a result becomes the bytes of a file and is read again; for an array by default.
    clear : bool
        Whether results are thrown away when all jobs are done. If more jobs of the same run are to
        follow, they stay, until `clear_jobs`.

    Raises
    ------
    ConfigError
        When `workers` is negative.
    CapacityError
        When a process is killed from outside, as a system without memory does.
    StorageError
        When there can be no shelf.
    """
    if workers < 0:
        raise ConfigError.expected("run_jobs", "workers", "0 or more", workers, "take 0")
    kept = None if shelf is None else Shelf(shelf)
    if kept is not None:
        check_place(kept.folder, folder=True)
    places, costs = ([], []) if kept is None else _places(kept, function, jobs)
    results: dict[int, R] = {}
    for k, place in enumerate(places):
        found = kept.get(place, unpack) if kept is not None else None
        cost = kept.get(costs[k], _unpack_cost) if kept is not None else None
        if found is not None and cost is not None:
            results[k] = found
            enter(cost)
            tick()
    waiting = {k: job for k, job in enumerate(jobs) if k not in results}
    for k, (result, cost) in _computed(function, waiting, workers):
        results[k] = result
        if kept is not None:
            kept.put(costs[k], pack_array(list(cost.as_dict().values())))
            kept.put(places[k], pack(result))
        tick()
    if kept is not None and clear:
        kept.clear([*places, *costs])
    return [results[k] for k in range(len(jobs))]


def run_apart(function: Callable[..., R], *arguments: Any) -> R:
    """Return ``function(*arguments)``, computed in a fresh process, whose peak memory is its own.

    Parameters
    ----------
    function : callable
        Of a module's top level, so that the new process finds it.
    *arguments : Any
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_end_with_parent) as pool:
        return pool.submit(function, *arguments).result()


def clear_jobs(
    function: Callable[..., object], jobs: Sequence[tuple[Any, ...]], shelf: Path
) -> None:
    """Throw the results of jobs away that `run_jobs` has left on a shelf."""
    kept = Shelf(shelf)
    places, costs = _places(kept, function, jobs)
    kept.clear([*places, *costs])


def _places(
    kept: Shelf, function: Callable[..., object], jobs: Sequence[tuple[Any, ...]]
) -> tuple[list[Path], list[Path]]:
    name = f"{function.__module__}.{function.__qualname__}"
    places = [kept.place(name, job) for job in jobs]
    return places, [place.with_suffix(".cost") for place in places]


def _computed(
    function: Callable[..., R], jobs: dict[int, tuple[Any, ...]], workers: int
) -> Iterator[tuple[int, tuple[R, Ledger]]]:
    """Yield results and their costs by the job's key, as they come."""
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    if workers <= 1:
        for k, job in jobs.items():
            yield k, _counted(function, *job)
        return
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with (
        _one_thread_each(),
        ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool,
    ):
        with _deaf_to_ctrl_c():
            futures = {pool.submit(_counted, function, *job): k for k, job in jobs.items()}
        try:
            for future in as_completed(futures):
                result, cost = future.result()
                enter(cost)
                yield futures[future], (result, cost)
        except BrokenProcessPool as error:
            raise CapacityError(
                f"run_jobs: expected {workers} processes to come to their end, got one that was "
                "killed, most likely for want of memory; take fewer workers, what was finished "
                "is kept"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()  # Its job would be waited for, and then be lost all the same.
            raise


def _counted(function: Callable[..., R], *job: Any) -> tuple[R, Ledger]:
    with counting() as cost:
        return function(*job), cost


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Start processes that leave Ctrl-C, which all of a terminal's get, to this one.

    Each would print a traceback of its own, of Python's start when it is hit there. What comes
    meanwhile waits: a mask, unlike a handler that ignores, loses nothing and is inherited.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """See that this process ends when the one that started it is killed.

    A pool's process holds both ends of the queue it reads, so it would wait for a job for ever, and
    keep its memory.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


def _unpack_cost(data: bytes) -> Ledger:
    return Ledger(*unpack_array(data).tolist())


@contextmanager
def _one_thread_each() -> Iterator[None]:
    # Libraries read these once, when a process first imports them; a new process inherits them.
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
