"""Run independent jobs, such as the seeds of an experiment, as processes of one thread each."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from neurosim import __version__
from neurosim.errors import ConfigError
from neurosim.storage import read_hdf5, write_hdf5

T = TypeVar("T")

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def in_processes(
    function: Callable[..., T],
    jobs: Sequence[tuple[Any, ...]],
    workers: int = 0,
    tick: Callable[[], object] = lambda: None,
    keep: str = "",
) -> list[T]:
    """Return ``[function(*job) for job in jobs]``, computed in processes.

    Processes start by spawn: a fork after a threaded kernel would hang. Each computes on one
    thread, so that results depend neither on the number of workers nor on the machine.

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
    keep : str
        Folder in which the result of each job is kept as soon as it is there, so that an
        interrupted run goes on where it was; for functions that return an array. Empty for none.

    Raises
    ------
    ConfigError
        When `workers` is negative.
    """
    if workers < 0:
        raise ConfigError.expected("in_processes", "workers", "0 or more", workers, "take 0")
    if keep:
        Path(keep).mkdir(parents=True, exist_ok=True)
        kept = [(function, job, _place(keep, function, job)) for job in jobs]
        return in_processes(_kept, kept, workers, tick)  # type: ignore[arg-type]
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    if workers <= 1:
        results = []
        for job in jobs:
            results.append(function(*job))
            tick()
        return results
    context = multiprocessing.get_context("spawn")
    with _one_thread_each(), ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [pool.submit(function, *job) for job in jobs]
        try:
            for future in as_completed(futures):
                future.result()
                tick()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _place(folder: str, function: Callable[..., Any], job: tuple[Any, ...]) -> str:
    """Name a job's file by all that determines its result."""
    name = f"{__version__} {function.__module__}.{function.__qualname__}{job!r}"
    return str(Path(folder) / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.h5")


def _kept(function: Callable[..., Any], job: tuple[Any, ...], place: str) -> NDArray[Any]:
    if Path(place).exists():
        return read_hdf5(place)[0]["result"]
    result = np.asarray(function(*job))
    write_hdf5(place, {"result": result}, {})
    return result


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
