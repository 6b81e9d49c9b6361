"""Spike trains, checked once, and a rule run along them from event to event."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import ConfigError
from neurosim.plasticity import PlasticProjection


@dataclass(frozen=True, eq=False)
class SpikeTrains:
    """The spikes of a population in one run.

    Parameters
    ----------
    times : (n_spikes,) float64 [s]
        In order, from 0 to the duration.
    cells : (n_spikes,) int64
        Which cell fired.
    n_units : int
        Size of the population.
    duration : float [s]
        Length of the run.

    Raises
    ------
    ConfigError
        For spikes out of order, outside the run or of a cell that is not there, and for a cell
        that fires twice at the same time.
    """

    times: NDArray[np.float64]
    cells: NDArray[np.int64]
    n_units: int
    duration: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.duration) and self.duration > 0):
            raise ConfigError.expected(
                self, "duration", "seconds above 0", self.duration, "give the length of the run"
            )
        times = np.ascontiguousarray(self.times, dtype=np.float64)
        cells = np.ascontiguousarray(self.cells)
        if cells.size and cells.dtype.kind not in "iu":
            raise ConfigError.expected(
                self, "cells", "whole numbers", cells.dtype, "give the index of each spike's cell"
            )
        cells = cells.astype(np.int64)
        if times.ndim != 1 or times.shape != cells.shape:
            raise ConfigError.expected(
                self, "cells", f"shape {times.shape}, a cell a spike", cells.shape, "pair them up"
            )
        outside = ~((times >= 0) & (times <= self.duration))
        within = f"spikes within 0..{self.duration:g} s"
        self._refuse("times", outside, times, within, "cut the train to the run")
        back = np.append(np.diff(times) < 0, False)
        self._refuse("times", back, times, "spikes in order", "sort them by time")
        unknown = (cells < 0) | (cells >= self.n_units)
        known = f"cells of 0..{self.n_units - 1}"
        self._refuse("cells", unknown, cells, known, "check the size of the population")
        # Spikes of one time are mostly in the order of their cells; to sort them costs far more.
        if not ((np.diff(times) > 0) | (np.diff(cells) > 0)).all():
            order = np.lexsort((cells, times))
            twin = (np.diff(times[order]) == 0) & (np.diff(cells[order]) == 0)
            repeated = np.append(twin, False)
            once = "a cell to fire once at a time"
            self._refuse("times", repeated, times[order], once, "remove the repeated spike")
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "cells", cells)

    @classmethod
    def of_cell(cls, times: ArrayLike, duration: float) -> SpikeTrains:
        """Return the train of a population of one cell."""
        given = np.asarray(times, dtype=np.float64)
        return cls(given, np.zeros(given.shape, dtype=np.int64), 1, duration)

    @classmethod
    def poisson(cls, rates: ArrayLike, duration: float, rng: np.random.Generator) -> SpikeTrains:
        """Draw independent Poisson trains.

        Parameters
        ----------
        rates : (n_units,) array-like [Hz]
        duration : float [s]
        rng : numpy.random.Generator
        """
        counts = rng.poisson(np.asarray(rates, dtype=np.float64) * duration)
        cells = np.repeat(np.arange(counts.size), counts)
        times = rng.random(cells.size) * duration
        order = np.argsort(times, kind="stable")
        return cls(times[order], cells[order], counts.size, duration)

    def __len__(self) -> int:
        return len(self.times)

    def _refuse(
        self, name: str, wrong: NDArray[np.bool_], values: NDArray[np.generic], what: str, mend: str
    ) -> None:
        if wrong.any():
            place = int(np.flatnonzero(wrong)[0])
            raise ConfigError(
                f"SpikeTrains.{name}: expected {what}, got {values[place]} in spike {place}; {mend}"
            )


def run_spikes(
    projection: PlasticProjection,
    pre: SpikeTrains,
    post: SpikeTrains,
    modulator: float | None = None,
) -> int:
    """Run a rule along two populations' spikes, exactly: its traces decay from event to event.

    Parameters
    ----------
    projection : PlasticProjection
        Its rule must change nothing between spikes.
    pre, post : SpikeTrains
        Of the same duration.
    modulator : float, optional
        For a rule that knows it.

    Returns
    -------
    int
        Synaptic events.

    Raises
    ------
    ConfigError
        For another number of cells, two durations, or a rule that acts all the time.
    """
    if projection.rule.acts_on in ("all", "cell"):
        raise ConfigError.expected(
            "run_spikes", "projection", "a rule that changes nothing between spikes",
            type(projection.rule).__name__, "call learn at every step instead",
        )  # fmt: skip
    if pre.duration != post.duration:
        raise ConfigError.expected(
            "run_spikes", "post", f"a run of {pre.duration:g} s", post.duration, "cut one of them"
        )
    for side, train, n in (("pre", pre, projection.n_pre), ("post", post, projection.n_post)):
        if train.n_units != n:
            raise ConfigError.expected(
                "run_spikes", side, f"trains of {n} cells", train.n_units, "give the right one"
            )
    times = np.union1d(pre.times, post.times)
    waits = np.diff(times, append=pre.duration)
    edges = [np.searchsorted(train.times, [*times, np.inf]) for train in (pre, post)]
    x, y = np.zeros(pre.n_units), np.zeros(post.n_units)
    events = 0
    for step, wait in enumerate(waits):
        fired = [
            train.cells[edge[step] : edge[step + 1]]
            for train, edge in zip((pre, post), edges, strict=True)
        ]
        x[fired[0]] = 1.0
        y[fired[1]] = 1.0
        events += projection.learn(x, y, modulator, dt=wait)
        x[fired[0]] = 0.0
        y[fired[1]] = 0.0
    return events
