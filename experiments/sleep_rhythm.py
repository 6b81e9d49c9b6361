"""Ripples and the rhythm of sleep: up and down states gate them, acetylcholine abolishes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from circuits.sleep_rhythm import SlowOscillation, within
from circuits.spiking_activity import Activity
from circuits.spiking_ca3 import PYRAMIDAL, SpikingCA3
from circuits.spiking_hippocampus import SpikingHippocampus
from circuits.spiking_hippocampus_config import SpikingHippocampusConfig
from experiments.comparison import Measured, check_names, compare, key, record
from experiments.ripple_disruption import after_the_day
from neurosim.errors import ConfigError
from neurosim.hdf5 import Arrays
from neurosim.metrics import Interval, mean_interval
from neurosim.plotting import label
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from neurosim.ripples import ripple_spectrum
from neurosim.sharp_waves import Event, sharp_waves
from rules.symmetric_stdp import SymmetricSTDP

IDLE, INPUT, GATED, LEVELS = "idle states", "input alone", "gated", "acetylcholine"
ARMS = (IDLE, INPUT, GATED, LEVELS)

COLOURS = {IDLE: "#999999", INPUT: "#56B4E9", GATED: "#0072B2"}

SHIFTS = 400
"""Surrogates: the events of a night shifted around against its states."""

WINDOW = (-0.6, 1.2)
"""Seconds around the onset of an up state that are drawn."""

BINS = 36

expected = {
    "in_up_gated": (0.95, "this project's bar: ripples in up states only, by their onsets"),
    "in_up_idle_states": (0.54, "by chance: the share of the time that is up, 0.7 s of 1.3 s"),
    "event_rate_at_1": (0.0, "Vandecasteele et al. (2014): cholinergic stimulation blocks ripples"),
}


@dataclass(frozen=True)
class Config:
    """A learnt CA3, its rhythms, and levels of acetylcholine.

    Parameters
    ----------
    hippocampus : SpikingHippocampusConfig
        Its seed is set by the arm.
    rhythm : SlowOscillation
        Of the arm "gated"; "input alone" has no inhibition in down states, and in "idle states"
        the states come and go without any effect.
    levels : tuple of float
        Of acetylcholine, in sleep without states.
    sleep_seconds, level_seconds : float [s]
        Sleep with a rhythm, and at each level.
    arms : tuple of str
        Of `ARMS`.
    seeds : tuple of int
        Each arm runs once a seed.
    workers : int
        Processes at a time; 0 for one a processor.
    """

    hippocampus: SpikingHippocampusConfig = SpikingHippocampusConfig()
    rhythm: SlowOscillation = SlowOscillation()
    levels: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
    sleep_seconds: float = 40.0
    level_seconds: float = 6.0
    arms: tuple[str, ...] = ARMS
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    workers: int = 0

    def __post_init__(self) -> None:
        check_names(self, "arms", self.arms, ARMS)
        # A shorter night might lie between two up states, or within one.
        for name, least in (("sleep_seconds", 5), ("level_seconds", 1)):
            if not getattr(self, name) >= least:
                raise ConfigError.expected(
                    self, name, f"{least} s or more", getattr(self, name), "lengthen it"
                )

    def states(self, arm: str) -> SlowOscillation:
        """Return the rhythm of an arm."""
        if arm == IDLE:
            return replace(self.rhythm, down_input=1.0, down_inhibition=0.0)
        return replace(self.rhythm, down_inhibition=0.0) if arm == INPUT else self.rhythm


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

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers of the command's ``--json``: means over seeds.

        A night without sharp waves says nothing of where they lie or how long they are: means are
        over the seeds that have some, ``<measure>_<arm>_seeds`` or ``<measure>_at_<level>_seeds``
        of them.
        """
        numbers: dict[str, float] = {}
        for arm in self.config.arms:
            if arm == LEVELS:
                continue
            for name, values in self.measured[arm].items():
                if name == "around_onset":
                    continue
                kept = values[np.isfinite(values)]
                nothing = Interval(np.nan, np.nan, np.nan, 0)
                interval = mean_interval(kept) if kept.size else nothing
                numbers[f"{name}_{key(arm)}_seeds"] = float(interval.n)
                numbers[f"{name}_{key(arm)}"] = interval.mean
                numbers[f"{name}_{key(arm)}_low"] = interval.low
                numbers[f"{name}_{key(arm)}_high"] = interval.high
        if LEVELS in self.config.arms:
            for name, rows in self.measured[LEVELS].items():
                for level, column in zip(self.config.levels, rows.T, strict=True):
                    kept = column[np.isfinite(column)]
                    mean = float(kept.mean()) if kept.size else float("nan")
                    numbers[f"{name}_at_{level:g}"] = mean
                    numbers[f"{name}_at_{level:g}_seeds"] = float(kept.size)
        return numbers


def run_arm(config: Config, arm: str, seed: int) -> Arrays:
    """Learn the track and sleep, with a rhythm or at each level of acetylcholine.

    Returns
    -------
    dict of str to ndarray
        For a rhythm what `coupling` returns; for "acetylcholine" by level ``event_rate``,
        ``event_length``, ``pyramidal_rate``, ``ripple_p``.
    """
    base = replace(config.hippocampus, seed=seed)
    rule = SymmetricSTDP(0.004 * base.largest_weight, 0.0625)
    learnt = after_the_day(base, rule)
    rng = Streams(seed).generator("sleep_rhythm")
    if arm != LEVELS:
        shape = replace(base.ca3, rhythm=config.states(arm))
        ca3 = _circuit(replace(base, ca3=shape), rule, learnt)
        values = coupling(ca3.sleep(config.sleep_seconds, rng), rng)
        return {name: np.asarray(value, dtype=np.float64) for name, value in values.items()}
    constant = replace(base, ca3=replace(base.ca3, rhythm=None))
    rows = []
    for level in config.levels:
        ca3 = _circuit(constant, rule, learnt, level)
        rows.append(_activity(ca3.sleep(config.level_seconds, rng)))
    names = ("event_rate", "event_length", "pyramidal_rate", "ripple_p")
    return {name: np.array([row[k] for row in rows]) for k, name in enumerate(names)}


def coupling(night: Activity, rng: np.random.Generator) -> dict[str, NDArray[np.float64] | float]:
    """Return how the sharp waves of a night lie in its up and down states.

    Parameters
    ----------
    night : Activity
        With its up states.
    rng : numpy.random.Generator
        Draws the surrogates.

    Returns
    -------
    dict
        ``event_rate`` [Hz]; ``time_up``, the share of the night; ``in_up``, the share of onsets;
        ``modulation``, the rate of onsets in up over that in down states (the latter at least one
        a night); ``locking``, length of the mean vector of their phases; ``coupling_p``, the
        share of shifted nights with as many onsets in up states; ``around_onset (BINS,)``, onsets a
        second around the onset of up states.
    """
    events = sharp_waves(night.spikes[PYRAMIDAL])
    onsets = np.array([event.start for event in events])
    up = night.up_states
    time_up = sum(each.length for each in up) / night.duration
    if not onsets.size:
        nothing = {"in_up": np.nan, "modulation": np.nan, "locking": np.nan, "coupling_p": 1.0}
        return {"event_rate": 0.0, "time_up": time_up, **nothing, "around_onset": np.zeros(BINS)}
    inside = within(onsets, up)
    shifted = [
        within((onsets + shift) % night.duration, up).mean()
        for shift in rng.uniform(1.0, night.duration - 1.0, SHIFTS)
    ]
    down_rate = max(1, (~inside).sum()) / (1 - time_up)
    return {
        "event_rate": onsets.size / night.duration,
        "time_up": time_up,
        "in_up": float(inside.mean()),
        "modulation": float(inside.sum() / time_up / down_rate),
        "locking": float(np.abs(np.exp(1j * phases(onsets, up)).mean())),
        "coupling_p": (1 + sum(np.array(shifted) >= inside.mean())) / (1 + SHIFTS),
        "around_onset": _around(onsets, [each.start for each in up if each.start > 0]),
    }


def phases(times: NDArray[np.float64], up: tuple[Event, ...]) -> NDArray[np.float64]:
    """Return the phase of the slow oscillation at these times: 0 at the onset of an up state.

    It rises evenly to pi at the end of the up state and to 2 pi at the next onset; times before the
    first and after the last up state are left out.
    """
    edges = np.array([edge for each in up for edge in (each.start, each.stop)])
    inside = times[(times >= edges[0]) & (times < edges[-1])]
    return np.pi * np.interp(inside, edges, np.arange(edges.size))


def _around(onsets: NDArray[np.float64], starts: list[float]) -> NDArray[np.float64]:
    if not starts:
        return np.zeros(BINS)
    away = (onsets[:, None] - np.array(starts)[None, :]).ravel()
    counts = np.histogram(away, BINS, WINDOW)[0]
    return counts / len(starts) / ((WINDOW[1] - WINDOW[0]) / BINS)


def _circuit(
    config: SpikingHippocampusConfig, rule: SymmetricSTDP, learnt: object, level: float = 0.2
) -> SpikingCA3:
    hippocampus = SpikingHippocampus(config, rule)
    hippocampus.restore(learnt)  # type: ignore[arg-type]
    return hippocampus.asleep(level)


def _activity(night: Activity) -> tuple[float, float, float, float]:
    events = sharp_waves(night.spikes[PYRAMIDAL])
    spectrum = ripple_spectrum(night.field, 1 / night.field_dt, events)
    return (
        len(events) / night.duration,
        float(np.mean([event.length for event in events])) if events else np.nan,
        night.rate(PYRAMIDAL),
        spectrum.p if spectrum else np.nan,
    )


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
        by_level = dict.fromkeys(("event_length", "pyramidal_rate", "ripple_p"), ("level",))
        measured = {arm: values for arm, values in result.measured.items() if arm != LEVELS}
        record(measured, recorder, {"around_onset": ("bin",)})
        levels = {arm: values for arm, values in result.measured.items() if arm == LEVELS}
        record(levels, recorder, {"event_rate": ("level",), **by_level})
    return result


def plot(result: Result, axes: Axes) -> None:
    """Draw onsets of sharp waves around those of up states, and their rate by acetylcholine."""
    edges = np.linspace(*WINDOW, BINS + 1)
    middle = 0.5 * (edges[1:] + edges[:-1])
    for arm in result.config.arms:
        if arm != LEVELS:
            rows = result.measured[arm]["around_onset"]
            axes.step(middle, rows.mean(axis=0), where="mid", color=COLOURS[arm], label=arm)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.axvspan(0, result.config.rhythm.up, color="#F0E442", alpha=0.15, label="up, in the mean")
    label(axes.xaxis, "time from the onset of an up state", "s")
    label(axes.yaxis, "onsets of sharp waves", "1/s")
    axes.set_xlim(*WINDOW)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8, loc="upper left")
    if LEVELS in result.config.arms:
        inset = axes.inset_axes((0.66, 0.6, 0.33, 0.38))
        rows = result.measured[LEVELS]["event_rate"]
        inset.plot(result.config.levels, rows[:1].T, color="#bbbbbb", linewidth=0.7, label="a seed")
        inset.plot(result.config.levels, rows[1:].T, color="#bbbbbb", linewidth=0.7)
        mean = rows.mean(axis=0)
        inset.plot(result.config.levels, mean, "o-", color="#D55E00", markersize=3, label="mean")
        inset.legend(fontsize=7, loc="lower left")
        inset.set_xlabel("acetylcholine", fontsize=8)
        inset.set_ylabel("sharp waves (1/s)", fontsize=8)
        inset.tick_params(labelsize=7)
        inset.set_ylim(bottom=0)
