"""Closed loop: a sleeping CA3 is listened to, and stimulated when it ripples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from circuits.sleep_rhythm import within
from circuits.spiking_activity import Activity, Explosion, Watch, bernoulli_spikes, joined
from circuits.spiking_ca3 import BASKET, PYRAMIDAL, SpikingCA3
from circuits.spiking_cells import Quantities, quantity
from neurosim.errors import ConfigError
from neurosim.online_ripples import DetectorConfig, OnlineDetector
from neurosim.sharp_waves import Event, sharp_waves
from neurosim.spikes import SpikeTrains

Moment = Literal["detection", "quiet"]

MARGIN = 0.05
"""Seconds beside a sharp wave that do not count as quiet."""


@dataclass(frozen=True)
class Stimulus(Quantities):
    """Spikes from outside that a stimulation adds.

    Parameters
    ----------
    target : str
        Population: "basket" cells silence the pyramidal cells, as commissural stimulation does;
        "pyramidal" cells are driven, as by light.
    rate : float [Hz]
        Of the spikes at each cell that is reached.
    share : float
        Of the cells that are reached, drawn once a night.
    length : float [s]
        Of a stimulation.
    moment : {"detection", "quiet"}
        At once, or not at all: a detection during a stimulation is not answered after it. Or as
        often, but each time only when there is no ripple.
    earliest, latest : float [s]
        With "quiet": how long there must have been none, drawn for each stimulation.

    Raises
    ------
    ConfigError
        For an unknown target or moment, a rate, length or share of nothing, or an earliest time
        after the latest.

    References
    ----------
    Girardeau et al. (2009) Nat. Neurosci. 12:1222 (commissural stimulation, delayed in controls);
    Fernandez-Ruiz et al. (2019) Science 364:1082 (light that prolongs ripples, or comes at random).
    """

    target: str = BASKET
    rate: float = 200.0
    share: float = 1.0
    length: float = quantity("s", default=0.1)
    moment: Moment = "detection"
    earliest: float = quantity("s", default=0.08)
    latest: float = quantity("s", default=0.12)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, known in (("target", (BASKET, PYRAMIDAL)), ("moment", get_args(Moment))):
            if getattr(self, name) not in known:
                raise ConfigError.expected(
                    self, name, f"one of {', '.join(known)}", getattr(self, name), "choose one"
                )
        if not (self.rate > 0 and 0 < self.share <= 1 and self.length > 0):
            raise ConfigError.expected(
                self, "rate", "a rate and a length above 0, and a share above 0, at most 1",
                (self.rate, self.length, self.share), "leave the stimulus out for none",
            )  # fmt: skip
        if self.earliest > self.latest:
            raise ConfigError.expected(
                self, "earliest", f"at most latest, {self.latest:g} s", self.earliest, "swap them"
            )


@dataclass(frozen=True)
class LoopConfig(Quantities):
    """What is listened to, and what is done.

    Parameters
    ----------
    detector : DetectorConfig
    stimulus : Stimulus, optional
        None to detect and do nothing.
    step : float [s]
        How often the loop looks: it adds half of it to the latency, in the mean.
    calibration : float [s]
        Sleep, without stimulation, from whose quiet the detector learns its threshold.
    """

    detector: DetectorConfig = DetectorConfig()
    stimulus: Stimulus | None = None
    step: float = quantity("s", default=0.01)
    calibration: float = quantity("s", default=10.0)


class ClosedLoop:
    """Lets a spiking CA3 sleep in a closed loop.

    Parameters
    ----------
    config : LoopConfig

    Attributes
    ----------
    detections : list of float [s]
        Since the beginning of the last sleep.
    stimulations : list of Event
        The same.
    """

    def __init__(self, config: LoopConfig) -> None:
        self.config = config
        self.detections: list[float] = []
        self.stimulations: list[Event] = []
        self._watch = Watch(field_of=PYRAMIDAL)
        self._detector = OnlineDetector(config.detector, 1 / self._watch.field_dt)
        self._calibrated = False

    def calibrate(self, ca3: SpikingCA3, rng: np.random.Generator) -> None:
        """Let the detector learn what quiet is from sleep without stimulation.

        Raises
        ------
        ConfigError
            If the network is never quiet.
        """
        night = ca3.sleep(self.config.calibration, rng)
        margins = [
            Event(each.start - MARGIN, each.stop + MARGIN)
            for each in sharp_waves(night.spikes[PYRAMIDAL])
        ]
        times = np.arange(night.field.size) * night.field_dt
        loud = np.zeros(times.size, dtype=bool)
        for each in margins:
            loud |= (times >= each.start) & (times <= each.stop)
        self._detector.calibrate(night.field[~loud])
        self._calibrated = True

    def sleep(self, ca3: SpikingCA3, duration: float, rng: np.random.Generator) -> Activity:
        """Sleep as `SpikingCA3.sleep` does, with stimulations.

        The noise does not depend on what is stimulated: nights of one seed can be compared.

        Parameters
        ----------
        ca3 : SpikingCA3
        duration : float [s]
        rng : numpy.random.Generator

        Raises
        ------
        ConfigError
            For a duration that holds no step.
        Explosion
            If a population fires above its ceiling.
        """
        total = ca3.network.steps_of_run(duration)
        noise, hand = rng.spawn(2)
        if not self._calibrated:
            self.calibrate(ca3, rng.spawn(1)[0])
        self.detections, self.stimulations = [], []
        self._detector.reset()
        rhythm, dt = ca3.config.rhythm, ca3.config.dt
        gate = rhythm.gate(duration, noise) if rhythm else None
        engine, stimulator = ca3.engine(), _Stimulator(self.config.stimulus, ca3, hand)
        self.stimulations = stimulator.given  # Grows as it goes: an explosion leaves it as it was.
        parts: list[Activity] = []
        piece = max(1, ca3.network.steps(self.config.step))
        up = gate.up if gate else ()
        try:
            for first in range(0, total, piece):
                n_steps, start = min(piece, total - first), first * dt
                outside = ca3.outside(n_steps, noise, gate, start)
                outside = stimulator.added(outside, n_steps, start)
                part = engine.run(n_steps * dt, outside, self._watch)
                parts.append(part)
                found = self._detector.feed(part.field)
                self.detections += [start + k * part.field_dt for k in found]
                calm = self._detector.envelope < self.config.detector.threshold
                stimulator.hear(len(found), calm, start + n_steps * dt, n_steps * dt)
        except Explosion as explosion:
            parts.append(explosion.activity)
            explosion.activity = replace(joined(parts), up_states=up)
            raise
        return replace(joined(parts), up_states=up)


class _Stimulator:
    """Decides when to stimulate, and draws the spikes."""

    def __init__(
        self, stimulus: Stimulus | None, ca3: SpikingCA3, rng: np.random.Generator
    ) -> None:
        self.stimulus, self.rng, self.dt = stimulus, rng, ca3.config.dt
        self.given: list[Event] = []
        self._until, self._due, self._calm_for, self._needed = 0.0, 0, 0.0, 0.0
        if stimulus:
            self.n_units = ca3.network.populations[stimulus.target].n_units
            n_reached = max(1, round(stimulus.share * self.n_units))
            self.reached = np.sort(rng.choice(self.n_units, n_reached, replace=False))

    def hear(self, n_detected: int, calm: bool, now: float, length: float) -> None:
        """Take note of the last stretch; begin a stimulation if it is time to."""
        s = self.stimulus
        if s is None:
            return
        self._calm_for = self._calm_for + length if calm and not n_detected else 0.0
        if n_detected:
            # A stimulation that comes late would meet no ripple, which is what controls are for;
            # those are as many as there were detections, however long they wait.
            busy = now < self._until - 1e-9
            self._due += n_detected if s.moment == "quiet" else int(not busy)
            self._needed = self.rng.uniform(s.earliest, s.latest)
        ready = s.moment == "detection" or self._calm_for >= self._needed
        if self._due and ready and now >= self._until - 1e-9:
            self._due -= 1
            self._until = now + s.length
            self._calm_for = 0.0
            self.given.append(Event(now, self._until))

    def added(
        self, outside: Mapping[str, SpikeTrains], n_steps: int, start: float
    ) -> dict[str, SpikeTrains]:
        """Return the spikes from outside with those of a stimulation under way."""
        found = dict(outside)
        s = self.stimulus
        if s is None or start >= self._until - 1e-9:
            return found
        drawn = bernoulli_spikes(self.reached.size, s.rate, n_steps, self.dt, self.rng)
        merged = added_spikes(found.get(s.target), drawn, self.reached, self.n_units, self.dt)
        found[s.target] = merged
        return found


def added_spikes(
    there: SpikeTrains | None,
    drawn: SpikeTrains,
    reached: NDArray[np.int64],
    n_units: int,
    dt: float,
) -> SpikeTrains:
    """Return spikes from outside with more of them for some cells; a line carries one a step.

    Parameters
    ----------
    there : SpikeTrains, optional
    drawn : SpikeTrains
        One train a cell that is reached.
    reached : (n_reached,) int
    n_units : int
        Of the population.
    dt : float [s]
    """
    steps, cells = np.rint(drawn.times / dt).astype(np.int64), reached[drawn.cells]
    if there is not None:
        steps = np.concatenate([steps, np.rint(there.times / dt).astype(np.int64)])
        cells = np.concatenate([cells, there.cells])
    places = np.unique(steps * n_units + cells)
    return SpikeTrains(places // n_units * dt, places % n_units, n_units, drawn.duration)


def overlapping(stimulations: list[Event], events: tuple[Event, ...]) -> float:
    """Return the share of stimulations that begin within an event; 0 without stimulations."""
    if not stimulations:
        return 0.0
    return float(within([each.start for each in stimulations], events).mean())
