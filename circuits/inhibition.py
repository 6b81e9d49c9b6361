"""Inhibition: how many cells may fire, by a local rule or exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurosim.codes import SparseCode
from neurosim.errors import NumericalError

TOLERANCE = 0.02
"""Activity that far from its set point is left alone."""

MOST_ROUNDS = 60
ROUNDS_TO_A_LOOK = 8
"""Rounds after which it is looked whether equal drives keep the set point out of reach."""


def feedback(score: NDArray[np.floating], k: int) -> SparseCode:
    """Let interneurons raise or lower the common threshold until about `k` cells fire.

    ``theta <- theta + g s log(n / k)``

    with n the cells above theta, s the spread of the drive and g a gain that halves whenever the
    activity swings through its set point. What an interneuron must know: how many cells fire. It
    may not know which, nor sort them.

    Parameters
    ----------
    score : (n_units,) float
        Drive of each cell.
    k : int
        Set point, 1..n_units.

    Returns
    -------
    SparseCode
        Within 2 per cent of k if no equal drives stand in the way; at least one cell.

    Raises
    ------
    NumericalError
        For drives that are not finite.

    References
    ----------
    de Almeida, Idiart & Lisman (2009) J. Neurosci. 29:7497 (feedback inhibition sets the fraction
    that fires); the gain is ours.
    """
    spread = float(score.std())
    if not np.isfinite(spread):
        raise NumericalError("inhibition.feedback: expected finite drives, got NaN or inf; see why")
    if k >= len(score) or spread == 0.0:
        return SparseCode.winners(score, min(k, len(score)))
    theta = float(score.mean()) + 2.0 * spread
    gain, last, best = 0.5, 0, (np.inf, theta)
    below, above = -np.inf, np.inf
    for turn in range(1, MOST_ROUNDS + 1):
        n = int(np.count_nonzero(score > theta))
        miss = np.log(max(n, 0.5) / k)
        if n:
            best = min(best, (abs(miss), theta))
        if abs(miss) <= np.log1p(TOLERANCE):
            break
        side = 1 if miss > 0 else -1
        below, above = (max(below, theta), above) if side > 0 else (below, min(above, theta))
        swung = np.isfinite(below) and np.isfinite(above)
        if swung and turn % ROUNDS_TO_A_LOOK == 0 and _all_equal(score, below, above):
            break
        if last and side != last:
            gain *= 0.5
        last = side
        theta += gain * spread * float(miss)
    if not np.isfinite(best[0]):
        return SparseCode.winners(score, 1)
    return SparseCode.from_dense(score > best[1])


def _all_equal(score: NDArray[np.floating], below: float, above: float) -> bool:
    between = score[(score > below) & (score <= above)]
    return between.size == 0 or bool(between.min() == between.max())


def exact(score: NDArray[np.floating], k: int) -> SparseCode:
    """Let exactly the `k` most driven cells fire."""
    return SparseCode.winners(score, k)
