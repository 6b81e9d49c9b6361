"""A track and a night of the spiking CA3, recorded in full: for figures, animations and NWB."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from circuits.place_cells import PlaceCells, TrackConfig
from circuits.sleep_rhythm import SlowOscillation
from circuits.spiking_activity import Activity
from circuits.spiking_ca3 import BASKET, PYRAMIDAL, SpikingCA3, SpikingCA3Config
from experiments.ripples_and_replay import LONG, POSITIONS, SIGNIFICANT, learn
from experiments.ripples_and_replay import Config as LearningConfig
from neurosim.connectivity import Stored
from neurosim.errors import ConfigError, check_counts
from neurosim.plotting import label
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from neurosim.replay_score import score_replay
from neurosim.ripples import ripple_events
from neurosim.sharp_waves import sharp_waves
from neurosim.spikes import SpikeTrains

PLACES = 60
"""Into which the track is divided for the matrix of weights."""

POSITION_DT = 0.02
"""Seconds between samples of the animal's position."""

FORWARD, REVERSE = "#0072B2", "#D55E00"

expected = {
    "replay_share": (0.6, "this project's bar for ripples_and_replay: at least that, of long ones"),
    "compression": (11.0, "Ecker et al. (2022), our run of the authors' network: 11 times"),
}


@dataclass(frozen=True)
class Config:
    """A track, a network, a night.

    Parameters
    ----------
    n_pyramidal : int
        Cells; see `SpikingCA3Config.of_size`.
    track_seconds : float [s]
        How long the animal runs and learns.
    recorded_seconds : float [s]
        Of the run that are recorded, at its end.
    sleep_seconds : float [s]
    rhythm : bool
        Whether sleep has up and down states.
    shuffles : int
        For the significance of a replay.
    seed : int
    """

    n_pyramidal: int = 1000
    track_seconds: float = 400.0
    recorded_seconds: float = 20.0
    sleep_seconds: float = 20.0
    rhythm: bool = True
    shuffles: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        check_counts(self, "n_pyramidal", least=2)
        if not 1 <= self.recorded_seconds <= self.track_seconds:
            raise ConfigError.expected(
                self, "recorded_seconds", f"1..{self.track_seconds:g} s", self.recorded_seconds,
                "record less",
            )  # fmt: skip
        if not self.sleep_seconds >= 1:
            raise ConfigError.expected(
                self, "sleep_seconds", "a second or more", self.sleep_seconds, "lengthen it"
            )


@dataclass(frozen=True)
class Result:
    """What was recorded.

    Parameters
    ----------
    config : Config
    night : Activity
    places : PlaceCells
    ripples : (n, 2) float64 [s]
        Start and stop of each ripple in the field.
    replays : (n, 5) float64
        Start, stop [s], speed [m/s], middle [m] and p of each sharp wave; the last three NaN where
        none could be decoded.
    """

    config: Config
    night: Activity
    places: PlaceCells
    ripples: NDArray[np.float64]
    replays: NDArray[np.float64]

    def significant(self) -> NDArray[np.float64]:
        """Return the rows of long sharp waves that replay."""
        long = self.replays[:, 1] - self.replays[:, 0] >= LONG - 1e-9
        return self.replays[long & (self.replays[:, 4] < SIGNIFICANT)]

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers of the command's ``--json``."""
        rows, found = self.replays, self.significant()
        long = rows[rows[:, 1] - rows[:, 0] >= LONG - 1e-9]
        speeds = np.abs(found[:, 2])
        return {
            "pyramidal_rate": self.night.rate(PYRAMIDAL),
            "basket_rate": self.night.rate(BASKET),
            "event_rate": len(rows) / self.night.duration,
            "ripple_rate": len(self.ripples) / self.night.duration,
            "replays": float(len(found)),
            "replay_share": len(found) / len(long) if len(long) else 0.0,
            "reverse_share": float((found[:, 2] < 0).mean()) if len(found) else 0.0,
            "compression": float(speeds.mean()) / TrackConfig().speed if len(found) else 0.0,
        }


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[float], object] = lambda seconds: None,
) -> Result:
    """Run, learn, sleep, and record all of it.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator, optional
        Not used: the night follows from the seed of the configuration.
    recorder : Recorder, optional
        Is given spikes asleep and on the track, place fields, position, field, up states, sharp
        waves with their replays, ripples, and weights by place.
    tick : callable
        Called with the simulated time [s] after each second of sleep.
    """
    streams = Streams(config.seed)
    shape = SpikingCA3Config.of_size(config.n_pyramidal)
    shape = replace(shape, rhythm=SlowOscillation() if config.rhythm else None)
    places = PlaceCells(TrackConfig(), shape.n_pyramidal, streams.generator("place_cells"))
    awake = places.spikes(config.track_seconds, streams.generator("track"))
    wiring = shape.recurrent_wiring(streams.generator("recurrent"))
    weights = learn(LearningConfig(), wiring, awake) * np.float32(shape.strength)
    ca3 = SpikingCA3(shape, wiring, weights, streams.generator("baskets"))
    night = ca3.sleep(
        config.sleep_seconds, streams.generator("mossy"), recorder=recorder, tick=tick
    )
    # Ripples fill up to half of the night, and so raise the deviation they are measured by.
    ripples = ripple_events(
        night.field, 1 / night.field_dt, threshold=0.5, border=0.0, band=(150.0, 250.0)
    )
    result = Result(
        config, night, places,
        np.array([(each.start, each.stop) for each in ripples]).reshape(-1, 2),
        _replays(config, night, places, streams.generator("decoding")),
    )  # fmt: skip
    if recorder is not None:
        _record(recorder, result, awake, by_place(wiring, weights, places))
    return result


def by_place(
    wiring: Stored, weights: NDArray[np.float32], places: PlaceCells
) -> NDArray[np.float64]:
    """Return the mean weight [S] ``(PLACES, PLACES)`` from place cells here to those there."""
    bins = np.full(places.n_units, -1)
    where = (places.centres / places.config.length * PLACES).astype(np.int64)
    bins[places.cells] = np.minimum(where, PLACES - 1)
    total, count = np.zeros((2, PLACES * PLACES))
    for place in range(PLACES):
        pre = np.flatnonzero(bins == place)
        post = bins[wiring.index[pre]]
        kept = post >= 0
        cell = place * PLACES + post[kept]
        total += np.bincount(cell, weights[pre][kept], PLACES * PLACES)
        count += np.bincount(cell, minlength=PLACES * PLACES)
    return (total / np.maximum(count, 1)).reshape(PLACES, PLACES)


def plot(result: Result, axes: Axes) -> None:
    """Draw the first five seconds: spikes by place field, ripples shaded, replays as lines."""
    seconds = min(5.0, result.night.duration)
    length = result.places.config.length
    raster(axes, result.night.spikes[PYRAMIDAL], result.places, (0.0, seconds))
    for start, stop in result.ripples:
        axes.axvspan(start, min(stop, seconds), color="#F0E442", alpha=0.35, linewidth=0)
    for row in result.significant():
        if row[1] <= seconds:
            trajectory(axes, row)
    axes.set_xlim(0, seconds)
    axes.set_ylim(0, length)
    label(axes.xaxis, "time asleep", "s")
    label(axes.yaxis, "middle of the place field", "m")


def raster(
    axes: Axes, spikes: SpikeTrains, places: PlaceCells, window: tuple[float, float]
) -> None:
    """Draw the spikes of the place cells, by the middle of their field."""
    centre = np.full(places.n_units, np.nan)
    centre[places.cells] = places.centres
    inside = (spikes.times >= window[0]) & (spikes.times < window[1])
    axes.plot(
        spikes.times[inside], centre[spikes.cells[inside]], ",", color="#333333", rasterized=True
    )


def trajectory(axes: Axes, row: NDArray[np.float64]) -> None:
    """Draw a replay as the line that was fitted."""
    start, stop, speed, middle, _ = row
    half = 0.5 * (stop - start)
    where = [middle - speed * half, middle + speed * half]
    axes.plot([start, stop], where, color=FORWARD if speed > 0 else REVERSE, linewidth=1.5)


def _replays(
    config: Config, night: Activity, places: PlaceCells, rng: np.random.Generator
) -> NDArray[np.float64]:
    positions = np.linspace(0.0, places.config.length, POSITIONS)
    tuning = places.config.in_field_rate * places.tuning(positions)
    spikes = night.spikes[PYRAMIDAL]
    rows = []
    for event in sharp_waves(spikes):
        found = score_replay(spikes, tuning, positions, event, rng, config.shuffles)
        told = (found.speed, found.middle, found.p) if found else (np.nan,) * 3
        rows.append((event.start, event.stop, *told))
    return np.array(rows).reshape(-1, 5)


def _record(
    recorder: Recorder, result: Result, awake: SpikeTrains, weights: NDArray[np.float64]
) -> None:
    config, places = result.config, result.places
    since = config.track_seconds - config.recorded_seconds
    kept = awake.times >= since
    recorder.store("track/spike_times", awake.times[kept] - since, "s", ("spike",))
    recorder.store("track/spike_cells", awake.cells[kept], "", ("spike",))
    recorder.store("track/duration", np.array(config.recorded_seconds), "s", ())
    times = since + np.arange(0, config.recorded_seconds, POSITION_DT)
    recorder.store("track/position", places.position(times), "m", ("sample",))
    recorder.store("track/position_dt", np.array(POSITION_DT), "s", ())
    recorder.store("places/cells", places.cells, "", ("cell",))
    recorder.store("places/centres", places.centres, "m", ("cell",))
    n_basket = result.night.spikes[BASKET].n_units
    recorder.store("places/n_units", np.array([places.n_units, n_basket]), "", ("population",))
    recorder.store("ripples", result.ripples, "s", ("ripple", "edge"))
    recorder.store("replays", result.replays, "", ("event", "quantity"))
    recorder.store("weights", weights, "S", ("pre", "post"))
    recorder.store("dt", np.array(result.night.dt), "s", ())
