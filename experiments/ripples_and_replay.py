"""Ripples and replay: a spiking CA3 learns a track awake, and replays it in sleep by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from circuits.place_cells import PlaceCells, TrackConfig
from circuits.spiking_activity import Activity, Explosion
from circuits.spiking_ca3 import (
    BASKET,
    PYRAMIDAL,
    SpikingCA3,
    SpikingCA3Config,
    without_adaptation,
)
from experiments.comparison import Measured, check_names, compare, key, record
from neurosim.connectivity import Stored
from neurosim.errors import ConfigError
from neurosim.hdf5 import Arrays
from neurosim.plasticity import PlasticProjection
from neurosim.plotting import label
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from neurosim.replay_score import score_replay
from neurosim.ripples import ripple_spectrum
from neurosim.sharp_waves import Event, sharp_waves
from neurosim.spikes import SpikeTrains, run_spikes
from rules.pair_stdp import PairSTDP
from rules.symmetric_stdp import SymmetricSTDP

SYMMETRIC, SHUFFLED = "symmetric STDP", "shuffled weights"
ASYMMETRIC, NO_ADAPTATION = "asymmetric STDP", "no adaptation"
ARMS = (SYMMETRIC, SHUFFLED, ASYMMETRIC, NO_ADAPTATION)

LONG = 0.26
"""Events that last so long [s] are asked for replay, as in the reference."""

SIGNIFICANT = 0.05
POSITIONS = 51
"""At which place fields are taken, from one end of the track to the other."""

PICTURE = (500, 60)
"""Bins of time and place of the figure."""

_AUTHORS = "our run of the authors' network (KaliLab/ca3net), 2026"
expected = {
    "ripple_peak_symmetric_stdp": (186.0, f"184-188 Hz: {_AUTHORS}"),
    "pyramidal_rate_symmetric_stdp": (2.41, f"one seed: {_AUTHORS}"),
    "basket_rate_symmetric_stdp": (68.6, f"one seed: {_AUTHORS}"),
    "long_event_rate_symmetric_stdp": (0.85, f"0.8-0.9 a second: {_AUTHORS}"),
    "speed_symmetric_stdp": (3.55, f"3.4-3.7 m/s by medians: {_AUTHORS}"),
    "replay_share_symmetric_stdp": (0.6, "this project's bar: at least that, of long events"),
    "event_rate_shuffled_weights": (0.0, "Ecker et al. (2022): without structure no sharp waves"),
    "reverse_share_asymmetric_stdp": (0.0, "Ecker et al. (2022): forward replay only"),
    "replay_share_no_adaptation": (0.0, "Ecker et al. (2022): no replay without adaptation"),
}


@dataclass(frozen=True)
class Config:
    """A track, a network, a night.

    Parameters
    ----------
    n_pyramidal : int
        Cells; see `SpikingCA3Config.of_size`.
    track_seconds, sleep_seconds : float [s]
        How long the animal runs and sleeps.
    arms : tuple of str
        Of `ARMS`.
    seeds : tuple of int
        Each arm runs once a seed.
    shuffles : int
        For the significance of a replay.
    initial_weight, largest_weight : float [S]
        Where recurrent weights begin, and the largest symmetric STDP makes; asymmetric STDP goes
        to twice that.
    amplitude, tau : float, float [s]
        Of symmetric STDP, in largest weights.
    scale : float
        On learnt weights before sleep.
    asymmetric_amplitude, asymmetric_tau, asymmetric_scale : float, float [s], float
        The same of asymmetric STDP, whose two halves are equal.
    asymmetric_mossy : float [S]
        Weight of a mossy fibre in that arm.
    workers : int
        Processes at a time; 0 for one a processor.

    Raises
    ------
    ConfigError
        For an unknown arm, or less than a second on the track or asleep.

    References
    ----------
    Ecker et al. (2022) eLife 11:e71850; the numbers are those of the authors' code (``stdp.py``,
    ``spw_network.py``).
    """

    n_pyramidal: int = 8000
    track_seconds: float = 400.0
    sleep_seconds: float = 10.0
    arms: tuple[str, ...] = ARMS
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    shuffles: int = 100
    initial_weight: float = 1e-10
    largest_weight: float = 2e-8
    amplitude: float = 4e-3
    tau: float = 0.0625
    scale: float = 0.62
    asymmetric_amplitude: float = 0.01
    asymmetric_tau: float = 0.02
    asymmetric_scale: float = 1.27
    asymmetric_mossy: float = 21.5e-9
    workers: int = 0

    def __post_init__(self) -> None:
        check_names(self, "arms", self.arms, ARMS)
        for name in ("track_seconds", "sleep_seconds"):
            if not getattr(self, name) >= 1:
                raise ConfigError.expected(
                    self, name, "a second or more", getattr(self, name), "lengthen it"
                )


@dataclass(frozen=True)
class Result:
    """All arms at all seeds.

    Parameters
    ----------
    config : Config
    measured : dict of str to dict of str to ndarray
        By arm and by name: what `run_arm` returns, ``(n_seeds, ...)``.
    """

    config: Config
    measured: Measured

    def events(self, arm: str) -> NDArray[np.float64]:
        """Return start, length, speed, middle and p of all events of an arm, ``(n, 5)``."""
        rows = self.measured[arm]["events"].reshape(-1, 5)
        return rows[np.isfinite(rows[:, 0])]

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers of the command's ``--json``: means over seeds or events."""
        numbers: dict[str, float] = {}
        for arm in self.config.arms:
            values, rows, name = self.measured[arm], self.events(arm), key(arm)
            seconds = float(values["seconds"].sum())
            long = rows[rows[:, 1] >= LONG - 1e-9]
            replays = long[long[:, 4] < SIGNIFICANT]
            speeds = np.abs(replays[:, 2])
            for each in ("pyramidal_rate", "basket_rate", "ripple_share", "exploded"):
                numbers[f"{each}_{name}"] = _mean(values[each])
            numbers[f"ripple_peak_{name}"] = _mean(values["ripple_peak"])
            numbers[f"ripple_p_{name}"] = _most(values["ripple_p"])
            numbers[f"event_rate_{name}"] = len(rows) / seconds
            numbers[f"long_event_rate_{name}"] = len(long) / seconds
            numbers[f"event_length_{name}"] = _mean(rows[:, 1])
            numbers[f"longest_event_{name}"] = _most(rows[:, 1])
            numbers[f"replay_share_{name}"] = len(replays) / len(long) if len(long) else 0.0
            numbers[f"replays_{name}"] = float(len(replays))
            reverse = (replays[:, 2] < 0).sum()
            numbers[f"reverse_share_{name}"] = reverse / len(replays) if len(replays) else 0.0
            numbers[f"speed_{name}"] = _mean(speeds)
            numbers[f"compression_{name}"] = _mean(speeds) / TrackConfig().speed
        return numbers


def learn(
    config: Config, wiring: Stored, spikes: SpikeTrains, symmetric: bool = True
) -> NDArray[np.float32]:
    """Let STDP grow the recurrent weights while the animal runs; return them in siemens.

    Parameters
    ----------
    config : Config
    wiring : Stored
    spikes : SpikeTrains
        Of the pyramidal cells on the track: on both sides of a synapse.
    symmetric : bool
        Symmetric STDP, else asymmetric.

    Returns
    -------
    (n_pre, fan_out) float32 [S]
        Scaled for sleep.
    """
    c = config
    rule: SymmetricSTDP | PairSTDP
    if symmetric:
        most, scale = c.largest_weight, c.scale
        rule = SymmetricSTDP(c.amplitude * most, c.tau)
    else:
        most, scale = 2 * c.largest_weight, c.asymmetric_scale
        step = c.asymmetric_amplitude * most
        rule = PairSTDP(step, step, c.asymmetric_tau, c.asymmetric_tau)
    projection = PlasticProjection(
        wiring, rule, c.initial_weight, bounds=(0.0, most), dtype=np.float32, name="recurrent"
    )
    run_spikes(projection, spikes, spikes)
    projection.weights *= scale
    return projection.weights


def circuit(config: Config, arm: str, seed: int) -> tuple[SpikingCA3, PlaceCells]:
    """Learn the track with one arm and one seed; return the network that will sleep."""
    streams = Streams(seed)
    shape = SpikingCA3Config.of_size(config.n_pyramidal)
    if arm == NO_ADAPTATION:
        shape = without_adaptation(shape)
    if arm == ASYMMETRIC:
        shape = replace(shape, mossy_weight=config.asymmetric_mossy)
    places = PlaceCells(TrackConfig(), shape.n_pyramidal, streams.generator("place_cells"))
    spikes = places.spikes(config.track_seconds, streams.generator("track"))
    wiring = shape.recurrent_wiring(streams.generator("recurrent"))
    weights = learn(config, wiring, spikes, arm != ASYMMETRIC) * np.float32(shape.strength)
    if arm == SHUFFLED:
        streams.generator("shuffle").shuffle(weights.reshape(-1))
    return SpikingCA3(shape, wiring, weights, streams.generator("baskets")), places


def run_arm(config: Config, arm: str, seed: int) -> Arrays:
    """Learn, sleep, and look for ripples and replay.

    Returns
    -------
    dict of str to ndarray
        ``pyramidal_rate``, ``basket_rate`` and ``ripple_peak`` [Hz], ``ripple_p``,
        ``ripple_share``, ``seconds`` slept, ``exploded`` (1 if the night ended so);
        ``events (n, 5)``: start, length [s], speed [m/s], middle [m] and p, filled up with NaN;
        ``picture``: mean rate [Hz] by time, over the first 5 s, and by place.
    """
    ca3, places = circuit(config, arm, seed)
    streams, exploded = Streams(seed), 0.0
    try:
        night = ca3.sleep(config.sleep_seconds, streams.generator("mossy"))
    except Explosion as explosion:
        night, exploded = explosion.activity, 1.0
    spikes = night.spikes[PYRAMIDAL]
    events = sharp_waves(spikes)
    spectrum = ripple_spectrum(night.field, 1 / night.field_dt, events)
    table = np.full((int(config.sleep_seconds * 20) + 1, 5), np.nan)
    table[: len(events)] = _scored(config, night, places, events, streams.generator("decoding"))
    return {
        "pyramidal_rate": np.array(night.rate(PYRAMIDAL)),
        "basket_rate": np.array(night.rate(BASKET)),
        "ripple_peak": np.array(spectrum.peak if spectrum else np.nan),
        "ripple_p": np.array(spectrum.p if spectrum else np.nan),
        "ripple_share": np.array(spectrum.share if spectrum else 0.0),
        "seconds": np.array(night.duration),
        "exploded": np.array(exploded),
        "events": table,
        "picture": _picture(spikes, places),
    }


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Result:
    """Run every arm at every seed, in processes of one thread each.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator, optional
        Not used: each arm draws from its own seed, so that arms can be compared.
    recorder : Recorder, optional
    tick : callable
        Called after each arm.
    shelf : Path, optional
        Folder in which the arms that are finished outlive an interruption.
    """
    result = Result(config, compare(run_arm, config, tick, shelf))
    if recorder is not None:
        dims = {"events": ("event", "quantity"), "picture": ("time", "place")}
        record(result.measured, recorder, dims)
    return result


def plot(result: Result, axes: Axes) -> None:
    """Draw the first arm's first night: who fires where on the track, and the replays found."""
    arm = result.config.arms[0]
    values = result.measured[arm]
    seconds = min(5.0, float(values["seconds"][0]))
    length = TrackConfig().length
    image = axes.imshow(
        values["picture"][0].T, origin="lower", aspect="auto", cmap="Greys", vmin=0, vmax=60,
        extent=(0, seconds, 0, length), interpolation="nearest",
    )  # fmt: skip
    axes.grid(False)
    axes.figure.colorbar(image, ax=axes, label="rate of the place cells (Hz)")
    for start, duration, speed, middle, p in values["events"][0]:
        if start + duration < seconds and duration >= LONG - 1e-9 and p < SIGNIFICANT:
            half = 0.5 * duration
            colour = "#0072B2" if speed > 0 else "#D55E00"
            where = [middle - speed * half, middle + speed * half]
            axes.plot([start, start + duration], where, color=colour, linewidth=1.5)
    for name, colour in (("forward", "#0072B2"), ("reverse", "#D55E00")):
        axes.plot([], [], color=colour, label=f"{name} replay, decoded")
    axes.set_xlim(0, seconds)
    axes.set_ylim(0, length)
    label(axes.xaxis, "time asleep", "s")
    label(axes.yaxis, "middle of the place field", "m")
    axes.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncol=2)


def _scored(
    config: Config,
    night: Activity,
    places: PlaceCells,
    events: tuple[Event, ...],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    positions = np.linspace(0.0, places.config.length, POSITIONS)
    tuning = places.config.in_field_rate * places.tuning(positions)
    rows = np.full((len(events), 5), np.nan)
    for row, event in zip(rows, events, strict=True):
        row[:2] = event.start, event.length
        found = score_replay(
            night.spikes[PYRAMIDAL], tuning, positions, event, rng, config.shuffles
        )
        if found is not None:
            row[2:] = found.speed, found.middle, found.p
    return rows


def _picture(spikes: SpikeTrains, places: PlaceCells) -> NDArray[np.float64]:
    seconds, track = min(5.0, spikes.duration), places.config.length
    centre = np.full(places.n_units, -1.0)
    centre[places.cells] = places.centres
    edges = np.linspace(0, seconds, PICTURE[0] + 1), np.linspace(0, track, PICTURE[1] + 1)
    counts = np.histogram2d(spikes.times, centre[spikes.cells], edges)[0]
    cells = np.maximum(np.histogram(places.centres, edges[1])[0], 1)
    return counts / cells / (seconds / PICTURE[0])


def _mean(values: NDArray[np.float64]) -> float:
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if kept.size else float("nan")


def _most(values: NDArray[np.float64]) -> float:
    kept = values[np.isfinite(values)]
    return float(kept.max()) if kept.size else float("nan")
