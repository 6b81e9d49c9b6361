"""Sharp-wave events: stretches of a run in which a population fires above its usual rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurosim.population_rate import population_rate
from neurosim.spikes import SpikeTrains


@dataclass(frozen=True)
class Event:
    """A stretch of time.

    Parameters
    ----------
    start, stop : float [s]
    """

    start: float
    stop: float

    @property
    def length(self) -> float:
        """How long it lasts [s]."""
        return self.stop - self.start

    @property
    def middle(self) -> float:
        """When half of it is over [s]."""
        return 0.5 * (self.start + self.stop)


def sharp_waves(
    spikes: SpikeTrains,
    threshold: float = 2.0,
    bin_width: float = 0.02,
    shortest: float = 0.05,
) -> tuple[Event, ...]:
    """Find the stretches in which the population rate stays at or above a threshold.

    Parameters
    ----------
    spikes : SpikeTrains
        Of the pyramidal cells.
    threshold : float [Hz]
        Of the mean rate of a cell.
    bin_width : float [s]
    shortest : float [s]
        Shorter stretches do not count.

    Returns
    -------
    tuple of Event
        Empty if there is none, as without spikes.

    References
    ----------
    Ecker et al. (2022) eLife 11:e71850 (2 Hz in bins of 20 ms).
    """
    high = population_rate(spikes, bin_width) >= threshold
    edges = np.flatnonzero(np.diff(np.concatenate([[0], high.astype(np.int8), [0]])))
    starts, stops = edges[::2] * bin_width, edges[1::2] * bin_width
    return tuple(
        Event(float(start), float(stop))
        for start, stop in zip(starts, stops, strict=True)
        if stop - start >= shortest - 1e-9
    )
