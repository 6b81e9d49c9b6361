"""How fast this machine reads memory, in order and at random: the yardstick of the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np

from neurosim.resources import require_memory


@dataclass(frozen=True)
class Config:
    """What is read.

    Parameters
    ----------
    megabytes : int
        Size of the array; far more than the caches hold.
    accesses : int
        Reads at random.
    repeats : int
        Of which the fastest counts.
    """

    megabytes: int = 512
    accesses: int = 20_000_000
    repeats: int = 3


def run(config: Config, tick: Callable[[str], object] = lambda line: None) -> dict[str, float]:
    """Measure one thread's bandwidth [bytes/s] and rate of independent random reads [1/s]."""
    size = config.megabytes * 1_000_000 // 8
    require_memory(16 * size, "the measurement of the memory")
    array = np.ones(size, dtype=np.int64)
    _sum(array[:8])
    _jump(array[:8], 8)
    in_order = min(_cpu(lambda: _sum(array)) for _ in range(config.repeats))
    at_random = min(_cpu(lambda: _jump(array, config.accesses)) for _ in range(config.repeats))
    return {
        "memory_bytes_per_second": array.nbytes / in_order,
        "random_reads_per_second": config.accesses / at_random,
    }


def table(values: dict[str, float]) -> str:
    """Return the two numbers in words."""
    return (
        f"One thread of this machine reads {values['memory_bytes_per_second'] / 1e9:.1f} GB/s in "
        f"order and {values['random_reads_per_second'] / 1e6:.0f} million words a second at random."
    )


def _cpu(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


@numba.njit(cache=True)
def _sum(array):
    total = 0
    for i in range(array.size):
        total += array[i]
    return total


@numba.njit(cache=True)
def _jump(array, n):
    # Independent reads, so that as many are under way as the processor can hold.
    total = 0
    x = np.uint64(1)
    for _ in range(n):
        x = x * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
        total += array[np.int64((x >> np.uint64(33)) % np.uint64(array.size))]
    return total
