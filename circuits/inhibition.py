"""Inhibition: how many cells may fire, by a local rule or exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurosim.codes import SparseCode
from neurosim.errors import NumericalError

TOLERANCE = 0.02
"""Activity that far from its set point is left alone."""

MOST_ROUNDS = 60


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
    for _ in range(MOST_ROUNDS):
        n = int(np.count_nonzero(score > theta))
        miss = np.log(max(n, 0.5) / k)
        if n:
            best = min(best, (abs(miss), theta))
        if abs(miss) <= np.log1p(TOLERANCE):
            break
        side = 1 if miss > 0 else -1
        if last and side != last:
            gain *= 0.5
        last = side
        theta += gain * spread * float(miss)
    if not np.isfinite(best[0]):
        return SparseCode.winners(score, 1)
    return SparseCode.from_dense(score > best[1])


def exact(score: NDArray[np.floating], k: int) -> SparseCode:
    """Let exactly the `k` most driven cells fire."""
    return SparseCode.winners(score, k)
