"""Lateral inhibition: which cells of a layer fire, given what drives them."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from circuits.inhibition import feedback
from neurosim.codes import SparseCode
from neurosim.errors import ConfigError, NumericalError

Kind = Literal["global", "pools", "feedback", "threshold"]
"""How cells inhibit each other."""


@dataclass(frozen=True)
class InhibitionConfig:
    """The competition among the cells of a layer.

    Parameters
    ----------
    kind : str
        "global": the k most driven cells of the layer fire. "pools": so do the most driven ones of
        each of `n_pools` neighbourhoods, as far as a basket cell's axon reaches. "feedback":
        interneurons that know only how many cells fire bring that near k. "threshold": no
        competition; a cell fires above a threshold of its own, which it learns so as to fire for
        its share of patterns; how many fire differs from pattern to pattern.
    n_pools : int
        Neighbourhoods of equal size (to within one cell).
    gain : float [standard deviations of the drive]
        Step of a threshold; thresholds need a drive that homeostasis has normalised.
    """

    kind: Kind = "global"
    n_pools: int = 1
    gain: float = 0.1

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ConfigError.expected(
                self, "kind", " or ".join(get_args(Kind)), self.kind, "choose one of them"
            )
        if self.n_pools < 1:
            raise ConfigError.expected(self, "n_pools", "1 or more", self.n_pools, "use 1")


class Inhibition:
    """Let the winners fire.

    Parameters
    ----------
    config : InhibitionConfig
    n_units, k : int
        Cells, and how many of them are to be active.

    Attributes
    ----------
    threshold : (n_units,) float64
        Of each cell, used by the kind "threshold" only.

    Raises
    ------
    ConfigError
        When there are more pools than active cells.

    References
    ----------
    k-winners-take-all: O'Reilly & McClelland (1994) Hippocampus 4:661. Thresholds:
    Foldiak (1990) Biol. Cybern. 64:165, eq. for the threshold change.
    """

    def __init__(self, config: InhibitionConfig, n_units: int, k: int) -> None:
        if config.kind == "pools" and config.n_pools > k:
            raise ConfigError.expected(
                config, "n_pools", f"at most {k}, one active cell each", config.n_pools, "use fewer"
            )
        self.config, self.k = config, k
        self._share = k / n_units
        # Where a normal drive of mean 0 and deviation 1 would leave that share.
        self.threshold = np.full(n_units, NormalDist().inv_cdf(1 - self._share))
        self._edges = np.linspace(0, n_units, config.n_pools + 1).round().astype(np.int64)
        self._winners = np.diff(np.linspace(0, k, config.n_pools + 1).round().astype(np.int64))

    def winners(self, drive: NDArray[np.floating]) -> SparseCode:
        """Return the cells that fire for ``drive (n_units,)``; ties fall to lower indices."""
        if self.config.kind == "global":
            return SparseCode.winners(drive, self.k)
        if self.config.kind == "feedback":
            silent = np.isneginf(drive)  # Dormant cells must not widen the spread.
            lowest = drive[~silent].min(initial=np.inf)
            return feedback(np.where(silent, lowest, drive), self.k)
        if self.config.kind == "pools":
            pools = zip(self._edges, self._edges[1:], self._winners, strict=False)
            active = [a + SparseCode.winners(drive[a:b], int(k)).active for a, b, k in pools]
            return SparseCode(np.concatenate(active), len(drive))
        if np.isnan(drive).any():
            raise NumericalError(
                "Inhibition.drive: expected finite values, got NaN; find the region whose "
                "activity is no longer finite"
            )
        return SparseCode.from_dense(drive > self.threshold)

    def learn(self, drive: NDArray[np.floating]) -> None:
        """Let each cell find its threshold from ``(n_steps, n_units)`` normalised drives.

        ``threshold += gain * (fired - k / n_units)``: a cell that fires too often makes itself
        harder to fire. A cell must know its own firing, and may not know any other's.
        """
        if self.config.kind != "threshold":
            return
        for row in drive:
            self.threshold += self.config.gain * ((row > self.threshold) - self._share)
