"""Strata: how the slots of a cell divide a population, evenly or by distance, in whole numbers."""

from __future__ import annotations

import decimal

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

CELLS_A_BLOCK = 1 << 15
"""About how many target cells the loops over a population take at a time."""


def edges_of(n: int, n_parts: int) -> Indices:
    """Return where nearly equal parts of `n` cells begin, and the end: ``(n_parts + 1,)``."""
    return np.arange(n_parts + 1, dtype=np.int64) * n // n_parts


def strata_of(n_post: int, quota: Indices) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return low and width ``(n_zones, fan_out)`` of every slot's stratum.

    Parameters
    ----------
    n_post : int
    quota : (n_zones, n_parts) int64
        Slots of a cell of each zone into each part of the population.
    """
    edges = edges_of(n_post, quota.shape[1])
    low, width = [], []
    for row in quota:
        cuts = [edges[p] + edges_of(edges[p + 1] - edges[p], q) for p, q in enumerate(row) if q]
        low.append(np.concatenate([cut[:-1] for cut in cuts]))
        width.append(np.concatenate([np.diff(cut) for cut in cuts]))
    return np.array(low, dtype=np.uint32), np.array(width, dtype=np.uint32)


def blocks_of(quota: Indices, n_post: int, fan_out: int) -> Indices:
    """Return the slots ``(n_zones, n_blocks + 1)`` at which blocks of target cells begin."""
    if quota.shape[1] > 1:  # The parts of the population are common to all zones.
        return np.concatenate([np.zeros((len(quota), 1), np.int64), np.cumsum(quota, 1)], axis=1)
    return edges_of(fan_out, min(fan_out, -(-n_post // CELLS_A_BLOCK)))[None]


def nearness(zone: int, zones: int, side: int, reach: float) -> list[decimal.Decimal]:
    """Return exp(-d / reach) to every zone; decimal, so that it is the same on every machine.

    Parameters
    ----------
    zone, zones : int
        From which zone, and how many there are.
    side : int
        Zones along a side of the torus; 0 for a ring.
    reach : float
        As a fraction of the length of the ring, or of a side.
    """
    with decimal.localcontext() as context:
        context.prec = 30
        length = decimal.Decimal(reach)

        def around(a: int, b: int, n: int) -> decimal.Decimal:
            return decimal.Decimal(min((a - b) % n, (b - a) % n)) / n

        values = []
        for other in range(zones):
            if side:
                across = around(zone // side, other // side, side)
                along = around(zone % side, other % side, side)
                distance = (across * across + along * along).sqrt()
            else:
                distance = around(zone, other, zones)
            values.append((-distance / length).exp())
        return values


def deal(total: int, worth: list[decimal.Decimal], room: Indices) -> list[int]:
    """Deal `total` slots in proportion to worth times room, at most `room` to a part.

    Parameters
    ----------
    total : int
        At most the sum of `room`.
    worth : list of Decimal
        Of a cell of each part.
    room : (n_parts,) int64
        Cells of each part.
    """
    shares = [0] * len(worth)
    open_parts = set(range(len(worth)))
    while total:
        weights = {p: worth[p] * int(room[p]) for p in open_parts}
        scale = total / sum(weights.values(), decimal.Decimal(0))
        exact = {p: weights[p] * scale for p in open_parts}
        full = {p for p in open_parts if shares[p] + exact[p] >= int(room[p])}
        if full:  # They take what fits; the others share the rest.
            for p in full:
                total -= int(room[p]) - shares[p]
                shares[p] = int(room[p])
            open_parts -= full
            continue
        for p in open_parts:
            shares[p] += int(exact[p])
        rest = total - sum(int(value) for value in exact.values())
        by_remainder = sorted(open_parts, key=lambda p: (int(exact[p]) - exact[p], p))
        for p in by_remainder[:rest]:
            shares[p] += 1
        total = 0
    return shares
