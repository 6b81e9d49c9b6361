"""Which synapses a step visits: rows and columns of active cells, on any wiring."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from neurosim import kernels
from neurosim.connectivity import Connectivity, Stored

_BLOCK = 1 << 14
_NO_TARGETS = np.zeros((1, 1), dtype=np.uint32)


class Visits:
    """Hands out the targets and sources of active cells in the form the loops want.

    Parameters
    ----------
    connectivity : Connectivity
        Full, stored or generated.

    Attributes
    ----------
    full : bool
        Whether every cell reaches every other, so that no table of targets is needed.
    """

    def __init__(self, connectivity: Connectivity) -> None:
        self.connectivity = connectivity
        self.fan_out = connectivity.fan_out
        self.full = connectivity.fan_out == connectivity.n_post
        self.stored = isinstance(connectivity, Stored)
        self.index = connectivity.index if isinstance(connectivity, Stored) else _NO_TARGETS
        n_rows = max(1, min(connectivity.n_pre, _BLOCK // self.fan_out))
        generated = not (self.full or self.stored)
        self._targets = np.zeros((n_rows if generated else 1, self.fan_out), dtype=np.uint32)
        self._rows = np.arange(n_rows, dtype=np.int64)
        self._by_post: tuple[Any, ...] | None = None
        n_pre = connectivity.n_pre if self.full else 0
        self._all_pre = np.arange(n_pre, dtype=np.int64)
        self._one, self._ends = np.zeros(1, dtype=np.int64), np.array([0, n_pre])

    @property
    def held_bytes(self) -> int:
        """Bytes of both orders as far as they are stored."""
        return self.index.nbytes * self.stored + sum(each.nbytes for each in self._by_post or ())

    @property
    def target_bytes(self) -> int:
        """Bytes of one index of a target, as a loop reads it."""
        if self.full:
            return 0
        return int(self.index.itemsize if self.stored else 4)

    @property
    def source_bytes(self) -> int:
        """Bytes of one index of a source, as a loop reads it."""
        return 2 if self.stored and self.connectivity.n_pre <= 1 << 16 else 8

    def rows(self, cells: NDArray[np.int64]) -> Any:
        """Yield presynaptic cells, their rows in a table of targets, and that table."""
        if self.full:
            yield cells, cells, _NO_TARGETS
        elif self.stored:
            yield cells, cells, self.index
        else:
            size = self._rows.size
            for start in range(0, cells.size, size):
                some = cells[start : start + size]
                _generate(self.connectivity.wires, some, self._targets)
                yield some, self._rows[: some.size], self._targets

    def columns(self, cells: NDArray[np.int64]) -> Any:
        """Yield postsynaptic cells, their rows, where these start, sources, and a row's slot.

        A cell lies in one stratum, so that all sources of a zone reach it by the same slot: of a
        stored synapse only the source is kept in the second order.
        """
        if self.full:
            for cell in cells:
                one = np.array([cell])
                yield one, self._one, self._ends, self._all_pre, one
        elif self.stored:
            if self._by_post is None:
                slots = self.connectivity.slots(np.arange(self.connectivity.n_post))[0]
                self._by_post = (*_transposed(self.index, self.connectivity.n_post), slots)
            yield (cells, cells, *self._by_post)
        else:
            for cell in cells:
                pre, slot = self.connectivity.sources(cell)
                if pre.size:
                    firsts = np.concatenate([[0], np.flatnonzero(np.diff(slot)) + 1])
                    rows = np.arange(firsts.size)
                    starts = np.append(firsts, pre.size)
                    yield np.full(rows.size, cell), rows, starts, pre, slot[firsts]


def _transposed(index: NDArray[Any], n_post: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return starts and sources of the synapses by postsynaptic cell, sources ascending."""
    starts = np.zeros(n_post + 1, dtype=np.int64)
    kind = np.uint16 if len(index) <= 1 << 16 else np.int32
    sources = np.empty(index.size, dtype=kind)
    _transpose(index, starts, sources)
    return starts, sources


@numba.njit(cache=True)
def _transpose(index, starts, sources):
    for i in range(index.shape[0]):
        for k in range(index.shape[1]):
            starts[np.int64(index[i, k]) + 1] += 1
    for n in range(1, starts.size):
        starts[n] += starts[n - 1]
    free = starts.copy()
    for i in range(index.shape[0]):
        for k in range(index.shape[1]):
            j = np.int64(index[i, k])
            sources[free[j]] = i
            free[j] += 1


@numba.njit  # Not cached: it calls a kernel of another file.
def _generate(wires, cells, out):
    for n in range(cells.size):
        kernels.targets(wires, cells[n], out[n])
