"""Two engines, one spiking CA3: do its nights differ by more than their noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import stats

from circuits.place_cells import PlaceCells
from circuits.spiking_activity import Activity, Watch
from circuits.spiking_brian2 import TARGETS, Brian2Engine, Target
from circuits.spiking_ca3 import BASKET, PYRAMIDAL, SpikingCA3
from experiments import ripples_and_replay as track
from experiments.comparison import Measured, check_names, record
from neurosim.errors import ConfigError
from neurosim.hdf5 import Arrays
from neurosim.jobs import Shelf, pack_arrays, unpack_arrays
from neurosim.plotting import label
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from neurosim.replay_score import score_replay
from neurosim.ripples import ripple_spectrum
from neurosim.sharp_waves import sharp_waves

OURS, BRIAN2 = "neurosim", "Brian2"
MEASURES = {
    "pyramidal_rate": "Hz",
    "basket_rate": "Hz",
    "ripples": "1/s",
    "ripple_peak": "Hz",
    "event_length": "s",
    "speed": "m/s",
}
"""What is compared, one number a night, and its unit. Ripples are events of 260 ms or more."""

TESTS = ("kolmogorov_smirnov", "mann_whitney")
BAR = 4.0
"""Standard errors by which two means may differ."""

expected = {
    "largest_difference": (BAR, "this project's bar: means within 4 standard errors"),
    "significant_tests": (0.0, "this project's bar: distributions that cannot be told apart"),
}


@dataclass(frozen=True)
class Config:
    """One learnt network, many nights by either engine.

    Parameters
    ----------
    n_pyramidal : int
    track_seconds, sleep_seconds : float [s]
    seeds : tuple of int
        Of the mossy fibres; each engine draws its own spikes from them, so that no two nights
        have an input in common.
    network_seed : int
        Of track, wiring and learning: the same for all nights.
    target : {"auto", "numpy", "cython", "standalone"}
        Of Brian2; a standalone program is compiled once for all seeds.
    shuffles : int
        For the significance of a replay, as in the reference.
    alpha : float
        Of a two-sample test, after Holm's correction over all of them.

    References
    ----------
    Holm (1979) Scand. J. Statist. 6:65.
    """

    n_pyramidal: int = 8000
    track_seconds: float = 400.0
    sleep_seconds: float = 5.0
    seeds: tuple[int, ...] = tuple(range(20))
    network_seed: int = 0
    target: Target = "standalone"
    shuffles: int = 20
    alpha: float = 0.05

    def __post_init__(self) -> None:
        check_names(self, "target", (self.target,), TARGETS)
        if not self.sleep_seconds > 0:
            raise ConfigError.expected(
                self, "sleep_seconds", "seconds above 0", self.sleep_seconds, "lengthen it"
            )
        if len(self.seeds) < 2 or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError.expected(
                self, "seeds", "two different ones or more", self.seeds, "add some"
            )

    @property
    def track(self) -> track.Config:
        """How the network learns."""
        return track.Config(n_pyramidal=self.n_pyramidal, track_seconds=self.track_seconds)


@dataclass(frozen=True)
class Result:
    """All nights.

    Parameters
    ----------
    config : Config
    measured : dict of str to dict of str to ndarray
        By engine and by name: what `measures` returns, ``(n_seeds, ...)``.
    """

    config: Config
    measured: Measured

    def night_values(self, engine: str, name: str) -> NDArray[np.float64]:
        """Return a measure of the nights in which it is defined (a night may have no ripple)."""
        values = self.measured[engine][name]
        return values[np.isfinite(values)]

    def metrics(self) -> dict[str, float]:
        """Return means, deviations, their difference in standard errors and Holm's p."""
        numbers: dict[str, float] = {}
        raw: dict[str, float] = {}
        for name in MEASURES:
            one, other = (self.night_values(engine, name) for engine in (OURS, BRIAN2))
            for engine, values in (("ours", one), ("brian2", other)):
                numbers[f"{name}_{engine}"] = float(values.mean()) if values.size else np.nan
                numbers[f"{name}_sd_{engine}"] = _deviation(values)
            numbers[f"{name}_difference"] = difference(one, other)
            if min(one.size, other.size) > 1:
                raw[f"{name}_kolmogorov_smirnov"] = float(stats.ks_2samp(one, other).pvalue)
                raw[f"{name}_mann_whitney"] = float(stats.mannwhitneyu(one, other).pvalue)
        corrected = holm(np.array(list(raw.values())))
        for name, p, q in zip(raw, raw.values(), corrected, strict=True):
            numbers[f"{name}_p"], numbers[f"{name}_holm"] = p, float(q)
        differences = [numbers[f"{name}_difference"] for name in MEASURES]
        numbers["largest_difference"] = float(np.nanmax(np.abs([0.0, *differences])))
        numbers["tests"] = float(len(raw))
        numbers["significant_tests"] = float((corrected < self.config.alpha).sum())
        for engine, short in ((OURS, "ours"), (BRIAN2, "brian2")):
            busy, rate = self.measured[engine]["busy"], self.measured[engine]["pyramidal_rate"]
            varied = np.ptp(busy) > 0 and np.ptp(rate) > 0
            fit = stats.linregress(busy, rate).rvalue ** 2 if varied else np.nan
            numbers[f"rate_explained_by_events_{short}"] = float(fit)
            # The first night of a standalone program compiles.
            numbers[f"cpu_seconds_{short}"] = float(np.median(self.measured[engine]["cpu_seconds"]))
        return numbers


def difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return how far two means lie apart, in standard errors of the difference (Welch)."""
    if min(one.size, other.size) < 2:
        return float("nan")
    error = np.sqrt(one.var(ddof=1) / one.size + other.var(ddof=1) / other.size)
    return float((one.mean() - other.mean()) / error) if error else 0.0


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p values corrected for their number, step by step from the smallest (Holm 1979)."""
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(steps, 1.0)
    return corrected


def measures(
    config: Config, night: Activity, places: PlaceCells, rng: np.random.Generator
) -> Arrays:
    """Return what a night is compared by; NaN where it has no ripple or no replay.

    Returns
    -------
    dict of str to ndarray
        A number for each of `MEASURES`, and ``busy``, the share of the night spent in events.
    """
    spikes = night.spikes[PYRAMIDAL]
    events = sharp_waves(spikes)
    long = [event for event in events if event.length >= track.LONG - 1e-9]
    spectrum = ripple_spectrum(night.field, 1 / night.field_dt, long)
    positions = np.linspace(0.0, places.config.length, track.POSITIONS)
    tuning = places.config.in_field_rate * places.tuning(positions)
    found = [score_replay(spikes, tuning, positions, e, rng, config.shuffles) for e in long]
    speeds = [abs(one.speed) for one in found if one is not None and one.p < track.SIGNIFICANT]
    lengths = [event.length for event in long]
    return {
        "pyramidal_rate": np.array(night.rate(PYRAMIDAL)),
        "basket_rate": np.array(night.rate(BASKET)),
        "ripples": np.array(len(long) / night.duration),
        "ripple_peak": np.array(spectrum.peak if spectrum else np.nan),
        "event_length": np.array(np.mean(lengths) if lengths else np.nan),
        "speed": np.array(np.mean(speeds) if speeds else np.nan),
        "busy": np.array(sum(event.length for event in events) / night.duration),
    }


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Result:
    """Learn once, sleep once a seed by either engine, in this process.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator, optional
        Not used: each night draws from its own seed.
    recorder : Recorder, optional
    tick : callable
        Called after each night.
    shelf : Path, optional
        Folder in which finished nights outlive an interruption.
    """
    kept = None if shelf is None else Shelf(shelf)
    ca3, places = track.circuit(config.track, track.SYMMETRIC, config.network_seed)
    measured: Measured = {}
    used: list[Path] = []
    for engine, nights in ((OURS, _our_nights), (BRIAN2, _brian2_nights)):
        rows: dict[int, Arrays] = {}
        shelved = {}
        if kept is not None:
            shelved = {s: kept.place(__name__, engine, *_identity(config), s) for s in config.seeds}
            found = {s: kept.get(place, unpack_arrays) for s, place in shelved.items()}
            rows = {seed: row for seed, row in found.items() if row is not None}
            used += shelved.values()
        missing = tuple(seed for seed in config.seeds if seed not in rows)
        for seed, (night, cpu) in zip(missing, nights(config, ca3, missing), strict=True):
            decoding = Streams(seed).generator("decoding")
            row = measures(config, night, places, decoding) | {"cpu_seconds": np.array(cpu)}
            if kept is not None:
                kept.put(shelved[seed], pack_arrays(row))
            rows[seed] = row
            tick()
        of_seeds = [rows[seed] for seed in config.seeds]
        measured[engine] = {name: np.stack([row[name] for row in of_seeds]) for name in of_seeds[0]}
    if recorder is not None:
        record(measured, recorder, {})
    if kept is not None:
        kept.clear(used)
    return Result(config, measured)


def plot(result: Result, axes: Axes) -> None:
    """Draw every night by the share of it spent in events and its rate, for both engines."""
    for engine, colour, marker in ((OURS, "#0072B2", "o"), (BRIAN2, "#D55E00", "s")):
        values = result.measured[engine]
        axes.plot(
            100 * values["busy"], values["pyramidal_rate"], marker, color=colour, label=engine,
            markerfacecolor="none",
        )  # fmt: skip
    label(axes.xaxis, "share of the night within events", "%")
    label(axes.yaxis, "mean rate of the pyramidal cells", "Hz")
    axes.legend()


def _our_nights(
    config: Config, ca3: SpikingCA3, seeds: tuple[int, ...]
) -> Iterator[tuple[Activity, float]]:
    from time import process_time

    for seed in seeds:
        start = process_time()
        night = ca3.sleep(config.sleep_seconds, Streams(seed).generator("mossy"))
        yield night, (process_time() - start) / config.sleep_seconds


def _brian2_nights(
    config: Config, ca3: SpikingCA3, seeds: tuple[int, ...]
) -> Iterator[tuple[Activity, float]]:
    from time import process_time

    outside, watch = {PYRAMIDAL: ca3.config.mossy_rate}, Watch(field_of=PYRAMIDAL)
    if not seeds:
        return
    if config.target == "standalone":
        engine = Brian2Engine(ca3.network, config.target, outside)
        for night in engine.redrawn(config.sleep_seconds, seeds, watch):
            yield night, engine.program_cpu_seconds / config.sleep_seconds
        return
    for seed in seeds:
        engine = Brian2Engine(ca3.network, config.target, outside, seed)
        start = process_time()
        night = engine.run(config.sleep_seconds, watch=watch)
        yield night, (process_time() - start) / config.sleep_seconds


def _identity(config: Config) -> tuple[object, ...]:
    """Return what a night depends on besides its engine and seed."""
    return (
        config.n_pyramidal, config.track_seconds, config.sleep_seconds, config.network_seed,
        config.target, config.shuffles,
    )  # fmt: skip


def _deviation(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if values.size > 1 else float("nan")
