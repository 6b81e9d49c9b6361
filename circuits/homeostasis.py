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
    counts : (n_units,) int64
        Drives each cell has learnt from so far.
    mean, squares : (n_units,) float64
        Mean drive, and sum of squared deviations from it.

    References
    ----------
    Welford (1962) Technometrics 4:419 (online variance); Turrigiano & Nelson (2004) Nat. Rev.
    Neurosci. 5:97 (intrinsic homeostasis).
    """

    def __init__(self, n_units: int) -> None:
        self.counts = np.zeros(n_units, dtype=np.int64)
        self.mean = np.zeros(n_units)
        self.squares = np.zeros(n_units)

    @property
    def n_seen(self) -> int:
        """Drives learnt from so far by the cell that learnt most; setting it sets all cells."""
        return int(self.counts.max())

    @n_seen.setter
    def n_seen(self, n: int) -> None:
        """Let every cell have learnt from `n` drives."""
        self.counts[:] = n

    def learn(self, drive: NDArray[np.float32], cells: NDArray[np.int64] | None = None) -> None:
        """Take in ``(n_steps, n_units)`` drives, in all cells or only in those given."""
        learning = np.arange(self.mean.size) if cells is None else cells
        _welford(drive, learning, self.counts, self.mean, self.squares)

    def forget(self, cells: NDArray[np.int64]) -> None:
        """Let cells know nothing again, as new ones in their place."""
        self.counts[cells] = 0
        self.mean[cells] = 0.0
        self.squares[cells] = 0.0

    def normalise(self, drive: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return z ``(n_steps, n_units)``; the drive itself before anything was learnt."""
        if self.n_seen < 2:
            return drive
        deviation = np.sqrt(self.squares / np.maximum(self.counts, 1))
        return ((drive - self.mean) / np.maximum(deviation, 1e-6)).astype(np.float32)


@numba.njit(cache=True)
def _welford(drive, cells, counts, mean, squares):
    for t in range(drive.shape[0]):
        for j in cells:
            counts[j] += 1
            gap = drive[t, j] - mean[j]
            mean[j] += gap / counts[j]
            squares[j] += gap * (drive[t, j] - mean[j])
