"""Run independent jobs, such as the seeds of an experiment, as processes of one thread each."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any, TypeVar

from neurosim.errors import ConfigError

T = TypeVar("T")

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def in_processes(
    function: Callable[..., T],
    jobs: Sequence[tuple[Any, ...]],
    workers: int = 0,
    tick: Callable[[], object] = lambda: None,
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

    Raises
    ------
    ConfigError
        When `workers` is negative.
    """
    if workers < 0:
        raise ConfigError.expected("in_processes", "workers", "0 or more", workers, "take 0")
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
