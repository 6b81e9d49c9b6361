"""Sparse codes: which of n cells are active. The currency between regions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ConfigError, NumericalError

Cells = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SparseCode:
    """The active cells of one pattern among `n_units`.

    Parameters
    ----------
    active : (n_active,) int64
        Indices of the active cells, ascending, no cell twice.
    n_units : int
        Size of the population.

    Raises
    ------
    ConfigError
        When an index lies outside the population or is no whole number, or they are not ascending
        and unique.
    """

    active: Cells
    n_units: int

    def __post_init__(self) -> None:
        given = np.asarray(self.active)
        if given.size and given.dtype.kind not in "iu":
            raise ConfigError(
                f"SparseCode.active: expected whole numbers, got {given.dtype}; build it from a "
                f"mask with SparseCode.from_dense"
            )
        active = np.ascontiguousarray(given, dtype=np.int64)
        if active.ndim != 1 or (active.size > 1 and np.any(np.diff(active) <= 0)):
            raise ConfigError(
                "SparseCode.active: expected ascending indices, each once, got an unsorted or "
                "repeated list; build it with SparseCode.of"
            )
        if active.size and (active[0] < 0 or active[-1] >= self.n_units):
            raise ConfigError(
                f"SparseCode.active: expected indices in 0..{self.n_units - 1}, got "
                f"{active[0]}..{active[-1]}; check the size of the population"
            )
        object.__setattr__(self, "active", active)

    @classmethod
    def of(cls, cells: Iterable[int], n_units: int) -> "SparseCode":
        """Build a code from cells in any order, repeated or not."""
        return cls(np.unique(np.fromiter(cells, dtype=np.int64)), n_units)

    @classmethod
    def from_dense(cls, dense: NDArray[np.generic]) -> "SparseCode":
        """Take the non-zero cells of ``dense (n_units,)``."""
        return cls(np.flatnonzero(dense), len(dense))

    @classmethod
    def winners(cls, drive: NDArray[np.floating], k: int) -> "SparseCode":
        """Let the `k` most driven cells fire (k-winners-take-all); ties fall to lower indices.

        Parameters
        ----------
        drive : (n_units,) float
        k : int
            From 1 to n_units.

        Raises
        ------
        ConfigError
            For no winner, or more than there are cells.
        NumericalError
            For a drive that is not a number.
        """
        if not 0 < k <= len(drive):
            raise ConfigError(
                f"SparseCode.winners.k: expected 1..{len(drive)}, got {k}; "
                f"choose a sparsity that rounds to at least one cell"
            )
        threshold = np.partition(drive, -k)[-k]
        above = np.flatnonzero(drive > threshold)
        at = np.flatnonzero(drive == threshold)[: k - above.size]
        if above.size + at.size < k:  # NaN equals nothing, not even itself.
            raise NumericalError(
                "SparseCode.winners.drive: expected finite values, got NaN; find the region whose "
                "activity is no longer finite"
            )
        return cls(np.sort(np.concatenate((above, at))), len(drive))

    @classmethod
    def random(cls, n_units: int, k: int, rng: np.random.Generator) -> "SparseCode":
        """Draw `k` cells with equal chance.

        Raises
        ------
        ConfigError
            For more active cells than there are.
        """
        if not 0 <= k <= n_units:
            raise ConfigError(
                f"SparseCode.random.k: expected 0..{n_units}, got {k}; choose fewer cells"
            )
        return cls(np.sort(rng.choice(n_units, size=k, replace=False)), n_units)

    def to_dense(self, dtype: type = np.bool_) -> NDArray[np.generic]:
        """Return ``(n_units,)`` with ones at the active cells."""
        dense: NDArray[np.generic] = np.zeros(self.n_units, dtype=dtype)
        dense[self.active] = 1
        return dense

    def __len__(self) -> int:
        return len(self.active)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, SparseCode)
            and self.n_units == other.n_units
            and np.array_equal(self.active, other.active)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def sparsity(self) -> float:
        """Fraction of cells that are active."""
        return len(self.active) / self.n_units

    def union(self, other: "SparseCode") -> "SparseCode":
        """Return the cells active in either code."""
        self._check_population(other)
        return SparseCode(np.union1d(self.active, other.active), self.n_units)

    def overlap(self, other: "SparseCode") -> float:
        """Return shared cells over the geometric mean of both sizes: 1 equal, 0 disjoint."""
        self._check_population(other)
        if not len(self) or not len(other):
            return 0.0
        shared = np.intersect1d(self.active, other.active, assume_unique=True).size
        return float(shared / np.sqrt(len(self) * len(other)))

    def _check_population(self, other: "SparseCode") -> None:
        if self.n_units != other.n_units:
            raise ConfigError(
                f"SparseCode.n_units: expected two codes of one population, got {self.n_units} and "
                f"{other.n_units} cells; compare codes of one region"
            )


def stack(codes: Sequence[SparseCode]) -> NDArray[np.bool_]:
    """Return a batch of codes of one population as ``(n_codes, n_units)`` bool."""
    if len({code.n_units for code in codes}) != 1:
        raise ConfigError(
            "stack.codes: expected codes of one population, got none or several sizes; "
            "stack the codes of one region"
        )
    return np.stack([code.to_dense() for code in codes])  # type: ignore[misc]


def corrupted(code: SparseCode, right: float, wrong: float, rng: np.random.Generator) -> SparseCode:
    """Return a cue of a pattern: some of its cells, and some that are not its own.

    Parameters
    ----------
    code : SparseCode
        The pattern.
    right : float
        Share of its cells that the cue has, 0..1.
    wrong : float
        Other cells in the cue, over the number of the pattern's cells; 0 or more.
    rng : numpy.random.Generator
        Draws both.

    Raises
    ------
    ConfigError
        When the shares cannot be met.
    """
    n_right, n_wrong = round(right * len(code)), round(wrong * len(code))
    n_silent = code.n_units - len(code)
    if not (0 <= n_right <= len(code) and 0 <= n_wrong <= n_silent):
        raise ConfigError(
            f"corrupted.right: expected a share of the pattern's {len(code)} cells and of the "
            f"{n_silent} others, got {right} and {wrong}; lower them"
        )
    kept = rng.choice(code.active, size=n_right, replace=False)
    # The i-th silent cell lies above all active ones whose index less rank is i or smaller.
    places = rng.choice(n_silent, size=n_wrong, replace=False)
    gaps = code.active - np.arange(len(code))
    others = places + np.searchsorted(gaps, places, side="right")
    return SparseCode(np.sort(np.concatenate((kept, others))), code.n_units)
