"""Hopfield network: dense, symmetric, cells up or down; the reference of all attractor memories."""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ConfigError
from neurosim.ledger import Ledger

States = NDArray[np.int8]


@dataclass(frozen=True)
class HopfieldConfig:
    """Size and patience of a Hopfield network.

    Parameters
    ----------
    n_units : int
        Cells; all connected with all others.
    max_sweeps : int
        Sweeps over the cells after which a recall is called unsettled.
    """

    n_units: int = 2000
    max_sweeps: int = 100

    def __post_init__(self) -> None:
        for name, least in (("n_units", 2), ("max_sweeps", 1)):
            if getattr(self, name) < least:
                raise ConfigError.expected(
                    self, name, f"{least} or more", getattr(self, name), "raise it"
                )


@dataclass(frozen=True, eq=False)
class HopfieldRecall:
    """Where a recall ended.

    Parameters
    ----------
    state : (n_units,) int8
        +1 or -1.
    settled : bool
        Whether it is a fixed point.
    n_sweeps : int
        Sweeps over all cells, the last without a change included.
    """

    state: States
    settled: bool
    n_sweeps: int


class Hopfield:
    """Autoassociative memory of patterns of +1 and -1.

    ``w_ij = sum over patterns of x_i x_j / n_units``, ``w_ii = 0``; at zero temperature a cell in
    turn takes the sign of its field ``sum_j w_ij s_j``, and keeps its state where that is zero.

    Parameters
    ----------
    config : HopfieldConfig

    Attributes
    ----------
    weights : (n_units, n_units) int16 [counts]
        ``n_units`` times w: exact sums, so that `release` is exact.
    ledger : Ledger
        What storing and recalling have cost so far; patterns that are stored together are one
        matrix product and one write.

    References
    ----------
    Hopfield (1982) Proc. Natl. Acad. Sci. 79:2554; Amit, Gutfreund & Sompolinsky (1985).
    """

    def __init__(self, config: HopfieldConfig) -> None:
        self.config = config
        self.weights = np.zeros((config.n_units, config.n_units), dtype=np.int16)
        self.n_patterns = 0
        self.ledger = Ledger()

    def store(self, patterns: NDArray[np.integer]) -> None:
        """Add patterns ``(n_patterns, n_units)`` of +1 and -1, each in one shot."""
        self._write(self._checked("store", patterns), 1)

    def release(self, patterns: NDArray[np.integer]) -> None:
        """Take stored patterns ``(n_patterns, n_units)`` out again; the others stay exactly."""
        self._write(self._checked("release", patterns), -1)

    def recall(self, cue: NDArray[np.integer], rng: np.random.Generator) -> HopfieldRecall:
        """Fall into an attractor from a cue, cell by cell in an order drawn anew each sweep.

        Parameters
        ----------
        cue : (n_units,) int
            +1 or -1.
        rng : numpy.random.Generator
            Draws the order of the cells.
        """
        state = self._checked("recall", np.asarray(cue)[None])[0].copy()
        field = (self.weights @ state.astype(np.float32)).astype(np.int64)
        self._enter_rows(self.config.n_units)
        for sweep in range(1, self.config.max_sweeps + 1):
            order = rng.permutation(self.config.n_units)
            n_flips = _sweep(order, self.weights, state, field)
            self._enter_rows(n_flips)
            if not n_flips:
                return HopfieldRecall(state, True, sweep)
        return HopfieldRecall(state, False, self.config.max_sweeps)

    def _write(self, patterns: States, sign: int) -> None:
        if abs(self.n_patterns + sign * len(patterns)) > np.iinfo(np.int16).max:
            raise ConfigError.expected(
                self, "store", "32,767 patterns or fewer", len(patterns), "store fewer"
            )
        wide = patterns.astype(np.float32)  # Sums below 2^24: exact.
        change = (sign * (wide.T @ wide)).astype(np.int16)
        np.fill_diagonal(change, 0)
        self.weights += change
        n, visited = self.config.n_units, self.weights.size
        n_changed = int(np.count_nonzero(change))
        n_bytes = visited * 2 * self.weights.itemsize + 2 * len(patterns) * n * wide.itemsize
        self.ledger.add(visited, n_changed, visited * len(patterns), n_bytes)
        self.n_patterns += sign * len(patterns)

    def _enter_rows(self, n_rows: int) -> None:
        """Enter that the weights of some cells were added to fields of eight bytes."""
        visited = n_rows * self.config.n_units
        self.ledger.add(visited, 0, visited, visited * (self.weights.itemsize + 8))

    def _checked(self, attribute: str, patterns: NDArray[np.integer]) -> States:
        given = np.asarray(patterns)
        if given.ndim != 2 or given.shape[1] != self.config.n_units:
            raise ConfigError.expected(
                self, attribute, f"rows of {self.config.n_units} cells", given.shape, "reshape it"
            )
        if not np.isin(given, (-1, 1)).all():
            raise ConfigError.expected(
                self, attribute, "cells of +1 or -1", given.dtype, "write 2 * active - 1"
            )
        return given.astype(np.int8)


@numba.njit(cache=True)
def _sweep(order, weights, state, field):
    # One asynchronous sweep; the fields follow each flip, which costs one row.
    n_flips = 0
    for i in order:
        if field[i] * state[i] < 0:
            state[i] = -state[i]
            step = 2 * state[i]
            for j in range(field.size):
                field[j] += step * weights[i, j]
            n_flips += 1
    return n_flips


def sweep_reference(
    order: NDArray[np.integer], weights: NDArray[np.int16], state: States
) -> States:
    """Return the state after one asynchronous sweep, from the formula."""
    after = state.copy()
    for i in order:
        field = weights[i].astype(np.int64) @ after
        if field != 0:
            after[i] = np.sign(field)
    return after
