"""How fast this machine reads and counts: the yardstick of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np

from neurosim.errors import check_counts
from neurosim.resources import cpu_seconds, require_memory

LINKS = 8
"""Multiply-adds in a chain."""

COUNTERS = 1 << 16
"""Of four bytes: the second cache holds them, the first does not."""


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

    def __post_init__(self) -> None:
        check_counts(self, "megabytes", "accesses", "repeats")


def run(config: Config, tick: Callable[[str], object] = lambda line: None) -> dict[str, float]:
    """Measure what one thread can do.

    Returns
    -------
    dict of str to float
        ``memory_bytes_per_second`` in order; per second, ``random_reads``, independent ones,
        ``multiply_adds`` in double precision and vectors, and ``counts``, ones added at random to
        counters in the second cache.
    """
    size = config.megabytes * 1_000_000 // 8
    require_memory(16 * size, "the measurement of the memory")
    array = np.ones(size, dtype=np.int64)
    _sum(array[:8])
    _jump(array[:8], 8)
    in_order = min(cpu_seconds(lambda: _sum(array)) for _ in range(config.repeats))
    at_random = min(
        cpu_seconds(lambda: _jump(array, config.accesses)) for _ in range(config.repeats)
    )
    block, counters = np.linspace(0.1, 0.9, 128), np.zeros(COUNTERS, dtype=np.int32)
    places = (np.arange(COUNTERS) * 40_503 % COUNTERS).astype(np.uint16)
    rounds = max(1, config.accesses // COUNTERS)
    _chains(block, 1)
    _count(places, counters, 1)
    adding = min(cpu_seconds(lambda: _chains(block, 50 * rounds)) for _ in range(config.repeats))
    counting = min(
        cpu_seconds(lambda: _count(places, counters, rounds)) for _ in range(config.repeats)
    )
    return {
        "memory_bytes_per_second": array.nbytes / in_order,
        "random_reads_per_second": config.accesses / at_random,
        "multiply_adds_per_second": 50 * rounds * block.size * 4 * LINKS / adding,
        "counts_per_second": rounds * COUNTERS / counting,
    }


def table(values: dict[str, float]) -> str:
    """Return the two numbers in words."""
    return (
        f"One thread of this machine reads {values['memory_bytes_per_second'] / 1e9:.1f} GB/s in "
        f"order and {values['random_reads_per_second'] / 1e6:.0f} million words a second at random."
    )


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


@numba.njit(cache=True, error_model="numpy", fastmath={"contract", "nsz"})
def _chains(block, n):
    for _ in range(n):
        for i in range(block.size):
            # Four chains, since a link waits four cycles for the one before.
            a = b = c = d = x = block[i]
            for _ in range(LINKS):
                a, b, c, d = a * x + 0.1, b * x + 0.2, c * x + 0.3, d * x + 0.4
            block[i] = (a + b) * 1e-3 + (c + d) * 1e-3


@numba.njit(cache=True, error_model="numpy")
def _count(places, counters, n):
    for _ in range(n):
        for k in range(places.size):
            counters[np.int64(places[k])] += 1
