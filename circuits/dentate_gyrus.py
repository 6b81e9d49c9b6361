"""Dentate gyrus: similar inputs leave with dissimilar, sparse codes."""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from circuits.homeostasis import Homeostasis
from neurosim.codes import SparseCode
from neurosim.errors import ConfigError
from neurosim.projections import SparseProjection


@dataclass(frozen=True)
class DentateConfig:
    """Size and sparsity of the granule cell layer.

    Parameters
    ----------
    n_units : int
        Granule cells.
    sparsity : float
        Fraction active, 0.02-0.05 by default of this project; at least one cell.
    connectivity : float
        Fraction of granule cells an entorhinal cell reaches.
    """

    n_units: int = 8192
    sparsity: float = 0.03
    connectivity: float = 0.1

    def __post_init__(self) -> None:
        if not 0.0 < self.sparsity < 1.0 or round(self.sparsity * self.n_units) < 1:
            raise ConfigError(
                f"DentateConfig.sparsity: expected a fraction of at least one of {self.n_units} "
                f"cells, got {self.sparsity}; choose 0.02 to 0.05"
            )

    @property
    def k(self) -> int:
        """Number of active granule cells."""
        return round(self.sparsity * self.n_units)


class DentateGyrus:
    """Sparse expansion with homeostatic thresholds and k-winners-take-all.

    ``h = W x``, ``z_j = (h_j - m_j) / s_j``, the `k` cells of largest z fire. Each cell learns
    the mean m and standard deviation s of its own drive online while the circuit develops
    (`mature`), so no cell is a hub that fires for everything. In adulthood they rest: a code
    must be the same at recall as it was at storage.

    Parameters
    ----------
    config : DentateConfig
    n_input : int
        Entorhinal cells.
    rng : numpy.random.Generator
        Draws the perforant path.

    References
    ----------
    Treves & Rolls (1992) Hippocampus 2:189 (sparse expansion); Welford (1962) Technometrics 4:419
    (online variance); k-winners-take-all as lateral inhibition: O'Reilly & McClelland (1994).
    """

    def __init__(self, config: DentateConfig, n_input: int, rng: np.random.Generator) -> None:
        self.config = config
        fan_out = max(1, round(config.connectivity * config.n_units))
        self.perforant = SparseProjection("perforant_dg", n_input, config.n_units, fan_out, rng)
        self.homeostasis = Homeostasis(config.n_units)

    def mature(self, activity: NDArray[np.float32]) -> None:
        """Let each cell learn the statistics of its drive from ``(n_steps, n_input)`` input."""
        self.homeostasis.learn(self._drive(activity))

    def encode(self, activity: NDArray[np.float32]) -> list[SparseCode]:
        """Return the granule code of each step of ``(n_steps, n_input)`` input."""
        return [SparseCode.winners(z, self.config.k) for z in self.normalised(activity)]

    def normalised(self, activity: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the homeostatic drive z ``(n_steps, n_units)``, before inhibition."""
        return self.homeostasis.normalise(self._drive(activity))

    def _drive(self, activity: NDArray[np.float32]) -> NDArray[np.float32]:
        drive = np.zeros((len(activity), self.config.n_units), dtype=np.float32)
        _expand(np.ascontiguousarray(activity), self.perforant.targets, drive)
        return drive


@numba.njit(cache=True)
def _expand(activity, targets, drive):
    for t in range(activity.shape[0]):
        for i in range(activity.shape[1]):
            x = activity[t, i]
            if x != 0.0:
                for k in range(targets.shape[1]):
                    drive[t, targets[i, k]] += x
