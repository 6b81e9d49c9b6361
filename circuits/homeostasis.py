"""Intrinsic homeostasis: every cell learns what drive is usual for it."""

import numba
import numpy as np
from numpy.typing import NDArray


class Homeostasis:
    """Running mean and variance of each cell's own drive.

    ``z_j = (h_j - m_j) / s_j``: a cell fires when its drive is high *for that cell*, so that no
    cell becomes a hub that takes part in everything.

    What a cell must know: its own drive. It may not know any other cell's.

    Parameters
    ----------
    n_units : int

    Attributes
    ----------
    n_seen : int
        Drives learnt from so far.
    mean, squares : (n_units,) float64
        Mean drive, and sum of squared deviations from it.

    References
    ----------
    Welford (1962) Technometrics 4:419 (online variance); Turrigiano & Nelson (2004) Nat. Rev.
    Neurosci. 5:97 (intrinsic homeostasis).
    """

    def __init__(self, n_units: int) -> None:
        self.n_seen = 0
        self.mean = np.zeros(n_units)
        self.squares = np.zeros(n_units)

    def learn(self, drive: NDArray[np.float32]) -> None:
        """Take in ``(n_steps, n_units)`` drives."""
        self.n_seen = int(_welford(drive, self.n_seen, self.mean, self.squares))

    def normalise(self, drive: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return z ``(n_steps, n_units)``; the drive itself before anything was learnt."""
        if self.n_seen < 2:
            return drive
        deviation = np.sqrt(self.squares / self.n_seen)
        return ((drive - self.mean) / np.maximum(deviation, 1e-6)).astype(np.float32)


@numba.njit(cache=True)
def _welford(drive, n, mean, squares):
    for t in range(drive.shape[0]):
        n += 1
        for j in range(drive.shape[1]):
            gap = drive[t, j] - mean[j]
            mean[j] += gap / n
            squares[j] += gap * (drive[t, j] - mean[j])
    return n
