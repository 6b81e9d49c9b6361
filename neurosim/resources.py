"""What a piece of work costs: wall time, processor time and memory."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from neurosim.errors import CapacityError

# The kernel counts kibibytes on Linux and bytes on macOS.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class ResourceMeter:
    """Measure the block of a ``with``; read it during the block or after.

    Attributes
    ----------
    seconds : float [s]
        Wall time.
    cpu_seconds : float [s]
        Processor time of all threads, and of the child processes that have ended.
    peak_rss_mb : float [MB]
        Largest resident memory of this process since it started, or of a child that has ended;
        the system keeps no count for a block alone.
    """

    def __init__(self) -> None:
        self._start: tuple[float, float] | None = None
        self._stop: tuple[float, float, float] | None = None

    @property
    def seconds(self) -> float:
        """Wall time of the block [s]."""
        return self._end()[0] - self._begin()[0]

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the block [s]."""
        return self._end()[1] - self._begin()[1]

    @property
    def peak_rss_mb(self) -> float:
        """Largest resident memory by the end of the block [MB, 10^6 bytes]."""
        return self._end()[2]

    def as_dict(self) -> dict[str, float]:
        """Return the three measures by name."""
        return {
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "peak_rss_mb": self.peak_rss_mb,
        }

    def __enter__(self) -> Self:
        """Start the clock."""
        self._stop = None
        self._start = _now()[:2]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the clock."""
        self._stop = _now()

    def _begin(self) -> tuple[float, float]:
        return self._start if self._start is not None else _now()[:2]

    def _end(self) -> tuple[float, float, float]:
        return self._stop if self._stop is not None else _now()


def cpu_seconds(step: Callable[[], object], times: int = 1) -> float:
    """Return the processor time of a step [s], the mean over so many in a row."""
    start = time.process_time()
    for _ in range(times):
        step()
    return (time.process_time() - start) / times


def times_to_measure(step: Callable[[], object], enough: float) -> int:
    """Return how often to repeat a step so that together they take `enough` processor time [s]."""
    times = 1
    while cpu_seconds(step, times) * times < enough:
        times *= 2
    return times


def available_memory() -> int:
    """Return the memory that can be had without swapping [bytes]."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def require_memory(n_bytes: int, what: str) -> None:
    """Refuse, before anything is allocated, what does not fit into memory.

    Raises
    ------
    CapacityError
        Saying how much is needed and how much there is.
    """
    free = available_memory()
    if n_bytes > free:
        raise CapacityError(
            f"memory: expected {n_bytes / 1e9:.2f} GB for {what}, got {free / 1e9:.2f} GB free; "
            f"use fewer cells, a smaller fan-in or fewer bits"
        )


def _now() -> tuple[float, float, float]:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    peak = max(_own_peak_bytes(own.ru_maxrss * _RSS_UNIT), children.ru_maxrss * _RSS_UNIT)
    return time.perf_counter(), cpu, peak / 1e6


def _own_peak_bytes(reported: int) -> int:
    # Linux hands ru_maxrss down from parent to child, so that a small worker of a big program
    # would be called big; the high-water mark in /proc is the process's own.
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return reported
    marks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(marks[0]) * 1024 if marks else reported
