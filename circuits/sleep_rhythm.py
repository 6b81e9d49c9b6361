"""Rhythm of sleep in a spiking network: acetylcholine, and up and down states of its input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from circuits.spiking_cells import Quantities, quantity
from neurosim.errors import ConfigError
from neurosim.phases import NREM
from neurosim.sharp_waves import Event
from neurosim.spikes import SpikeTrains


@dataclass(frozen=True)
class Acetylcholine:
    """Presynaptic suppression of recurrent excitation by acetylcholine.

    ``gain = (1 - suppression level) / (1 - suppression level of NREM)``: recurrent synapses are
    given as strong as they are in NREM sleep.

    Parameters
    ----------
    level : float
        Relative to quiet waking, 0 to 1, as in `neurosim.phases.Phase`.
    suppression : float
        Share of the recurrent transmission that is lost at level 1. In slices of CA3 carbachol
        suppresses recurrent synapses (stratum radiatum) more than the perforant path; mossy fibres
        are left as they are. The default is ours, not the papers'.

    References
    ----------
    Hasselmo, Schnell & Barkai (1995) J. Neurosci. 15:5249; Kremin & Hasselmo (2007) Neuroscience
    149:760; Vandecasteele et al. (2014) PNAS 111:13535.
    """

    level: float = NREM.acetylcholine
    suppression: float = 0.5

    def __post_init__(self) -> None:
        for name in ("level", "suppression"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError.expected(
                    self, name, "a share from 0 to 1", getattr(self, name),
                    "use 0.2 for NREM sleep and 1 for waking",
                )  # fmt: skip
        if self.suppression == 1:
            raise ConfigError.expected(
                self, "suppression", "less than 1, or nothing is left to scale", 1, "lower it"
            )

    @property
    def gain(self) -> float:
        """Factor on recurrent synapses."""
        return (1 - self.suppression * self.level) / (1 - self.suppression * NREM.acetylcholine)


@dataclass(frozen=True)
class SlowOscillation(Quantities):
    """Up and down states of what drives CA3: the slow oscillation of neocortex and dentate gyrus.

    States alternate; their lengths are gamma distributed. In down states granule cells are all but
    silent, so mossy fibres fire at a share of their rate.

    Parameters
    ----------
    up, down : float [s]
        Mean length of either state.
    spread : float
        Coefficient of variation of the lengths.
    down_input : float
        Rate of the mossy fibres in down states, relative to up states.
    down_inhibition : float [Hz]
        Rate of spikes from outside that reach each basket cell in down states. Without it replays
        outlast an up state, since a wave once begun carries itself (0 is that control).

    Raises
    ------
    ConfigError
        For a spread that is not positive, or a down state with more input than the up state or
        negative inhibition.

    References
    ----------
    Steriade, Nunez & Amzica (1993) J. Neurosci. 13:3252 (the slow oscillation, below 1 Hz); Isomura
    et al. (2006) Neuron 52:871 (granule cells follow it, CA3 has no up states of its own).
    """

    up: float = quantity("s", default=0.7)
    down: float = quantity("s", default=0.6)
    spread: float = 0.25
    down_input: float = 0.1
    down_inhibition: float = 200.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.spread > 0 and 0 <= self.down_input <= 1 and self.down_inhibition >= 0):
            raise ConfigError.expected(
                self, "spread", "above 0, down_input from 0 to 1 and down_inhibition 0 Hz or more",
                (self.spread, self.down_input, self.down_inhibition), "try 0.25, 0.1 and 200",
            )  # fmt: skip

    @property
    def frequency(self) -> float:
        """Up states a second [Hz]."""
        return 1 / (self.up + self.down)

    def gate(self, duration: float, rng: np.random.Generator) -> Gate:
        """Draw the states of a night.

        Parameters
        ----------
        duration : float [s]
        rng : numpy.random.Generator
        """
        up: list[Event] = []
        # A night begins anywhere in the rhythm.
        start = -float(rng.random()) * (self.up + self.down)
        while start < duration:
            stop = start + self._length(self.up, rng)
            if stop > 0:
                up.append(Event(max(start, 0.0), min(stop, duration)))
            start = stop + self._length(self.down, rng)
        return Gate(self, tuple(up), rng)

    def _length(self, mean: float, rng: np.random.Generator) -> float:
        shape = 1 / self.spread**2
        return float(rng.gamma(shape, mean / shape))


@dataclass(frozen=True, eq=False)
class Gate:
    """The states of one night, and what they let through.

    Parameters
    ----------
    rhythm : SlowOscillation
    up : tuple of Event
        In order of time.
    rng : numpy.random.Generator
        Draws which spikes pass in down states.
    """

    rhythm: SlowOscillation
    up: tuple[Event, ...]
    rng: np.random.Generator = field(repr=False)

    def passed(self, spikes: SpikeTrains, start: float) -> SpikeTrains:
        """Return the spikes that pass: all in up states, a share in down states.

        Parameters
        ----------
        spikes : SpikeTrains
            From outside, of a stretch of the night.
        start : float [s]
            When it begins.
        """
        up = within(spikes.times + start, self.up)
        return _those(spikes, up | (self.rng.random(len(spikes)) < self.rhythm.down_input))

    def held(self, spikes: SpikeTrains, start: float) -> SpikeTrains:
        """Return the spikes that fall into down states; see `passed`."""
        return _those(spikes, ~within(spikes.times + start, self.up))


def within(times: ArrayLike, events: Sequence[Event]) -> NDArray[np.bool_]:
    """Return which times [s] lie within any of these events, which do not overlap."""
    at = np.asarray(times, dtype=np.float64)
    starts = np.array([event.start for event in events])
    stops = np.array([event.stop for event in events])
    return np.searchsorted(starts, at, "right") > np.searchsorted(stops, at, "right")


def _those(spikes: SpikeTrains, kept: NDArray[np.bool_]) -> SpikeTrains:
    return SpikeTrains(spikes.times[kept], spikes.cells[kept], spikes.n_units, spikes.duration)
