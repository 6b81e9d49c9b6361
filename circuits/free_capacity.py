"""How full an auto-association is: how well would the next pattern be recalled?

At the present load the network rehearses: it recalls a pattern as if its synapses had counted once
more. For another load a network is imagined whose counts are drawn from what the loads of the cells
let expect; recall in it predicts recall in the real one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from circuits import readouts
from neurosim.codes import SparseCode
from neurosim.synapses import CountSynapses

Trust = float | NDArray[np.float64]
"""Chance that an active cell is right: one for all, or ``(n_active,)`` one for each."""

Drive = Callable[[SparseCode, Trust], NDArray[np.float64]]
"""What drives every cell, given the state and the trust in it."""

PRECISION = 1.03
"""Capacity is known to 3 per cent."""


@dataclass(frozen=True)
class Gauge:
    """How full a CA3 is.

    Parameters
    ----------
    n_stored : float
        Patterns held; decay makes it a fraction.
    capacity : float
        Number at which the predicted recall of the next one falls below the criterion.
    used : float
        Share of the capacity in use; above 1 recall fails.
    room : int
        Patterns that still fit.
    mean_count : float [counts]
        Of a synapse.
    potentiated : float
        Share of synapses with a count.
    """

    n_stored: float
    capacity: float
    used: float
    room: int
    mean_count: float
    potentiated: float


def chance_patterns(n_stored: float, k: int) -> float:
    """Return the number of patterns over which two cells of one pattern meet by chance.

    ``lambda_ij = use_i use_j / n`` with n a little more than the patterns stored, since a cell that
    fires leaves only k - 1 places for the others.
    """
    return n_stored * k / max(k - 1, 0.5)


def mean_count(auto: CountSynapses, k: int, n_stored: float | None = None) -> float:
    """Return what chance counts in a synapse on average [counts].

    Parameters
    ----------
    auto : CountSynapses
    k : int
        Cells of a pattern.
    n_stored : float, optional
        As if that many patterns were stored; as many as there are by default.
    """
    use, n = _loads(auto, k, n_stored)
    return float(use.mean() ** 2 / chance_patterns(max(n, 1.0), k))


def rehearsed(auto: CountSynapses, readout: str, k: int, pattern: SparseCode) -> Drive:
    """Return the drive as it would be if `pattern` had been stored; nothing is written.

    Parameters
    ----------
    auto : CountSynapses
        Of a population that projects to itself.
    readout : str
        Of `readouts.READOUTS`.
    k : int
        Cells of a pattern.
    pattern : SparseCode
    """
    pre, slots = np.divmod(auto.coincident(pattern, pattern), auto.connectivity.fan_out)
    post = np.empty_like(pre)
    for cell in pattern.active:
        own = pre == cell
        post[own] = auto.connectivity.targets(cell)[slots[own]]
    others = pre != post  # A cell's synapse on itself stays silent.
    pre, post, slots = pre[others], post[others], slots[others]
    counts = auto.read(pre, slots).astype(np.int64)
    after = auto.post_use.copy()
    after[pattern.active] += 1.0
    n_stored, inputs = chance_patterns(auto.n_stored + 1.0, k), _inputs(auto, k)
    cells, _, expected = readouts.classify(after, after, n_stored, inputs)

    def drive(state: SparseCode, trust: Trust) -> NDArray[np.float64]:
        table, first = readouts.tables(readout, expected, auto.most, trust)
        sources = readouts.trusted(cells, state, first)
        score = auto.score(state, sources, cells, table)
        active = np.asarray(state.to_dense())[pre]
        row, count = sources[pre[active]] + cells[post[active]], counts[active]
        gain = table[row, np.minimum(count + 1, auto.most)] - table[row, count]
        np.add.at(score, post[active], gain)
        return score

    return drive


def imagined(
    auto: CountSynapses,
    readout: str,
    k: int,
    pattern: SparseCode,
    n_stored: float | None,
    seed: int,
) -> Drive:
    """Return the drive in a network as loaded as `auto`, with `pattern` counted once more.

    Parameters
    ----------
    auto : CountSynapses
        Gives the wiring and the loads; its counts are not looked at.
    readout : str
        Of `readouts.READOUTS`.
    k : int
        Cells of a pattern.
    pattern : SparseCode
    n_stored : float, optional
        Scale the loads to that many patterns.
    seed : int
        Draws the counts.
    """
    before, n_stored = _loads(auto, k, n_stored)
    after = before.copy()
    after[pattern.active] += 1.0
    inputs, patterns = _inputs(auto, k), chance_patterns(n_stored, k)
    cells, _, expected = readouts.classify(after, after, chance_patterns(n_stored + 1.0, k), inputs)
    load, _, counts = readouts.classify(before, before, patterns, inputs)
    chances = readouts.chances(counts, auto.most, k / pattern.n_units)

    def drive(state: SparseCode, trust: Trust) -> NDArray[np.float64]:
        table, first = readouts.tables(readout, expected, auto.most, trust)
        sources = readouts.trusted(cells, state, first)
        return auto.imagine(state, sources, cells, table, load, chances, pattern, seed)

    return drive


def gauge(
    auto: CountSynapses, k: int, criterion: float, recalled: Callable[[float], float]
) -> Gauge:
    """Find the load at which recall falls below a criterion, and set the present one beside it.

    Parameters
    ----------
    auto : CountSynapses
    k : int
        Cells of a pattern.
    criterion : float
    recalled : callable
        Predicted recall of the next pattern, given how many are stored.
    """
    low, high = 0.0, max(16.0, auto.connectivity.fan_in / k)
    while recalled(high) >= criterion:
        low, high = high, 2.0 * high
    while high > PRECISION * low and high - low > 1.0:
        middle = (low + high) / 2.0
        if recalled(middle) >= criterion:
            low = middle
        else:
            high = middle
    capacity = (low + high) / 2.0
    chance = mean_count(auto, k)
    return Gauge(
        n_stored=auto.n_stored,
        capacity=capacity,
        used=auto.n_stored / capacity,
        room=max(0, int(capacity - auto.n_stored)),
        mean_count=chance,
        potentiated=float(-np.expm1(-chance)),
    )


def _inputs(auto: CountSynapses, k: int) -> float:
    """Return the active synapses onto a cell when k cells fire."""
    return auto.connectivity.fan_in * k / auto.connectivity.n_pre


def _loads(
    auto: CountSynapses, k: int, n_stored: float | None
) -> tuple[NDArray[np.float64], float]:
    """Return the loads as they are, or scaled to another number of patterns."""
    use, n = auto.post_use, auto.n_stored
    if n_stored is None or n_stored == n:
        return use, n
    if n_stored < n:
        return use * (n_stored / n), n_stored
    return use + k / len(use) * (n_stored - n), n_stored
