"""Ripples cut short or prolonged in a closed loop: what does the cortex know after the night?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from circuits.closed_loop import LoopConfig, Stimulus, overlapping
from circuits.night import Night
from circuits.night_config import NightConfig
from circuits.sequence_cortex import SequenceCortex, SequenceCortexConfig
from circuits.spiking_ca3 import PYRAMIDAL
from circuits.spiking_hippocampus import SpikingHippocampus
from circuits.spiking_hippocampus_config import SpikingHippocampusConfig
from experiments.comparison import Measured, check_names, compare, key, record
from neurosim.contracts import State
from neurosim.errors import ConfigError
from neurosim.hdf5 import Arrays
from neurosim.metrics import mean_interval
from neurosim.plotting import label
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from rules.symmetric_stdp import SymmetricSTDP

CONTROL, DISRUPTED, DELAYED = "control", "disrupted", "delayed"
PROLONGED, INDUCED = "prolonged", "induced"
ARMS = (CONTROL, DISRUPTED, DELAYED, PROLONGED, INDUCED)

COLOURS = {
    CONTROL: "#000000", DISRUPTED: "#D55E00", DELAYED: "#E69F00", PROLONGED: "#0072B2",
    INDUCED: "#56B4E9",
}  # fmt: skip

CHILDHOOD = 300
"""Steps, of eight stretches each, in which the cortex learns another track before the night."""

_DIRECTION = "direction in the abstract; the size is this project's bar, data/published"
expected = {
    "effect_disrupted_delayed": (-0.8, f"at most: Girardeau et al. (2009), {_DIRECTION}"),
    "effect_delayed_control": (0.0, f"about: delayed stimulation as control, {_DIRECTION}"),
    "effect_prolonged_control": (0.8, f"at least: Fernandez-Ruiz et al. (2019), {_DIRECTION}"),
    "effect_induced_control": (0.0, f"about: Fernandez-Ruiz et al. (2019), {_DIRECTION}"),
}


@dataclass(frozen=True)
class Config:
    """One track by day, one night, and what is done to its ripples.

    Parameters
    ----------
    hippocampus : SpikingHippocampusConfig
        Its loop and seed are set by the arm.
    cortex : SequenceCortexConfig
    night : NightConfig
    arms : tuple of str
        Of `ARMS`.
    seeds : tuple of int
        Each arm runs once a seed; the arms of a seed share track, network and noise.
    inhibition : float [Hz]
        Spikes at each basket cell in a stimulation that disrupts, or would.
    excitation : float [Hz]
        Spikes at each pyramidal cell in a stimulation that prolongs, beside the noise.
    length : float [s]
        Of a stimulation.
    workers : int
        Processes at a time; 0 for one a processor.

    References
    ----------
    Girardeau et al. (2009) Nat. Neurosci. 12:1222; Ego-Stengel & Wilson (2010) Hippocampus 20:1;
    Fernandez-Ruiz et al. (2019) Science 364:1082.
    """

    hippocampus: SpikingHippocampusConfig = SpikingHippocampusConfig()
    cortex: SequenceCortexConfig = field(default_factory=lambda: SequenceCortexConfig(rate=4.0))
    night: NightConfig = NightConfig(cycles=3, confidence=0.7)
    arms: tuple[str, ...] = ARMS
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    inhibition: float = 200.0
    excitation: float = 60.0
    length: float = 0.1
    workers: int = 0

    def __post_init__(self) -> None:
        check_names(self, "arms", self.arms, ARMS)
        if self.cortex.n_items < 2 * self.hippocampus.n_places:
            raise ConfigError.expected(
                self, "cortex.n_items", f"{2 * self.hippocampus.n_places}, places of two tracks",
                self.cortex.n_items, "raise it",
            )  # fmt: skip

    def stimulus(self, arm: str) -> Stimulus | None:
        """Return what the loop does in an arm."""
        when = "quiet" if arm in (DELAYED, INDUCED) else "detection"
        if arm in (DISRUPTED, DELAYED):
            return Stimulus(rate=self.inhibition, length=self.length, moment=when)  # type: ignore[arg-type]
        if arm in (PROLONGED, INDUCED):
            return Stimulus(PYRAMIDAL, self.excitation, 1.0, self.length, when)  # type: ignore[arg-type]
        return None


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

    def known(self, arm: str) -> NDArray[np.float64]:
        """Return what each seed's cortex knows after the night."""
        return self.measured[arm]["known"][:, -1]

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers of the command's ``--json``."""
        numbers: dict[str, float] = {}
        for arm in self.config.arms:
            for name, values in self.measured[arm].items():
                last = values.reshape(len(values), -1)[:, -1]
                interval = mean_interval(last)
                numbers[f"{name}_{key(arm)}"] = interval.mean
                if name in ("known", "completed", "event_length"):
                    numbers[f"{name}_{key(arm)}_low"] = interval.low
                    numbers[f"{name}_{key(arm)}_high"] = interval.high
        pairs = [(arm, CONTROL) for arm in self.config.arms if arm != CONTROL]
        for arm, other in [*pairs, (DISRUPTED, DELAYED), (PROLONGED, INDUCED)]:
            if {arm, other} <= set(self.config.arms):
                name = f"{key(arm)}_{key(other)}"
                difference = self.known(arm) - self.known(other)
                interval = mean_interval(difference)
                numbers[f"difference_{name}"] = interval.mean
                numbers[f"difference_{name}_low"] = interval.low
                numbers[f"difference_{name}_high"] = interval.high
                numbers[f"effect_{name}"] = effect(difference)
        return numbers


def effect(difference: NDArray[np.float64]) -> float:
    """Return the mean of paired differences over their standard deviation (Cohen's d_z)."""
    spread = difference.std(ddof=1) if difference.size > 1 else 0.0
    return float(difference.mean() / spread) if spread > 0 else float("nan")


def knowledge(cortex: SequenceCortex, path: tuple[int, ...]) -> float:
    """Return the mean probability of the right next place on a path, in both directions."""
    return 0.5 * (one_way(cortex, path) + one_way(cortex, path[::-1]))


def one_way(cortex: SequenceCortex, path: tuple[int, ...]) -> float:
    """Return the mean probability of the right next place, from the two before it, on a path."""
    contexts = list(zip(path[:-2], path[1:-1], strict=True))
    p = cortex.predict(contexts)
    return float(p[np.arange(len(contexts)), list(path[2:])].mean())


def completed(cortex: SequenceCortex, path: tuple[int, ...]) -> float:
    """Return how much of a path the cortex recalls in order from its first two places, 0..1."""
    answer = cortex.recall([path[:2]])[0].items
    right = [a == b for a, b in zip(answer, path[2:], strict=False)]
    return (right.index(False) if False in right else len(right)) / len(path[2:])


def raised(config: Config, seed: int) -> SequenceCortex:
    """Return a cortex that knows the other track, in both directions, from stretches of it."""
    n = config.hippocampus.n_places
    cortex, rng = SequenceCortex(config.cortex), Streams(seed).generator("childhood")
    for _ in range(CHILDHOOD):
        lessons = []
        for _ in range(8):
            low, high = np.sort(rng.choice(n + 1, 2, replace=False))
            stretch = tuple(range(n + low, n + high))
            lessons.append(stretch if rng.random() < 0.5 else stretch[::-1])
        cortex.learn(lessons, [1.0] * 8, [])
    return cortex


@lru_cache(maxsize=1)
def after_the_day(hippocampus: SpikingHippocampusConfig, rule: SymmetricSTDP) -> State:
    """Return what the hippocampus holds after the day; the arms of a seed share it."""
    born = SpikingHippocampus(hippocampus, rule)
    born.store(tuple(range(hippocampus.n_places)))
    return born.state


def run_arm(config: Config, arm: str, seed: int) -> Arrays:
    """Run the track, sleep a night with one arm's stimulation, and examine the cortex.

    Returns
    -------
    dict of str to ndarray
        ``known`` (n_cycles + 2,) at dusk, after each cycle and at dawn; ``known_at_dusk``;
        ``known_forward`` and
        ``known_in_reverse``, ``completed``; ``known_before`` and ``kept`` of the other track;
        ``merged`` (1 if the night was), ``event_rate`` [Hz], ``event_length`` [s], ``long_events``
        (share of 0.1 s and more), ``lessons`` and ``lesson_length`` of significant replays,
        ``stimulations`` a second, and the share of them ``within_events``.
    """
    base = replace(config.hippocampus, seed=seed)
    rule = SymmetricSTDP(0.004 * base.largest_weight, 0.0625)
    loop = LoopConfig(stimulus=config.stimulus(arm))
    hippocampus = SpikingHippocampus(replace(base, loop=loop), rule)
    hippocampus.restore(after_the_day(base, rule))
    cortex = raised(config, seed)
    path = tuple(range(base.n_places))
    other = tuple(place + base.n_places for place in path)
    known, before = [knowledge(cortex, path)], knowledge(cortex, other)
    night = Night(hippocampus, cortex, config.night, Streams(seed))
    night.begin()
    for cycle in range(1, config.night.cycles + 1):
        night.cycle(cycle)
        known.append(knowledge(cortex, path))
    report = night.dawn()
    known.append(knowledge(cortex, path))
    values = {
        "known_at_dusk": known[0],
        "known": known,
        "known_forward": one_way(cortex, path),
        "known_in_reverse": one_way(cortex, path[::-1]),
        "completed": 0.5 * (completed(cortex, path) + completed(cortex, path[::-1])),
        "known_before": before,
        "kept": knowledge(cortex, other),
        "merged": float(report.merged),
        "consolidated": float(report.n_consolidated),
        **_slept(hippocampus, config.night.confidence),
    }
    return {name: np.asarray(value, dtype=np.float64) for name, value in values.items()}


def _slept(hippocampus: SpikingHippocampus, confidence: float) -> dict[str, float]:
    nights = [each for each in hippocampus.nights if each.acetylcholine < 0.5]
    seconds = sum(each.seconds for each in nights)
    lengths = np.array([event.length for each in nights for event in each.events])
    lessons = [
        r.items for each in nights for r in each.replays if r.valid and r.confidence >= confidence
    ]
    stimulations = sum(len(each.stimulations) for each in nights)
    inside = sum(
        len(each.stimulations) * overlapping(list(each.stimulations), each.events)
        for each in nights
    )
    return {
        "event_rate": lengths.size / seconds,
        "event_length": float(lengths.mean()) if lengths.size else 0.0,
        "long_events": float((lengths >= 0.1 - 1e-9).mean()) if lengths.size else 0.0,
        "lessons": float(len(lessons)),
        "lesson_length": float(np.mean([len(set(each)) for each in lessons])) if lessons else 0.0,
        "detections": sum(each.detections for each in nights) / seconds,
        "stimulations": stimulations / seconds,
        "within_events": inside / stimulations if stimulations else 0.0,
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
        record(result.measured, recorder, {"known": ("moment",)})
    return result


def plot(result: Result, axes: Axes) -> None:
    """Draw what the cortex knows after the night: each seed, mean and 95 % interval by arm."""
    arms = result.config.arms
    rows = np.array([result.known(arm) for arm in arms])
    axes.plot(range(len(arms)), rows, color="#bbbbbb", linewidth=0.7, zorder=1)
    axes.plot(
        [], [], ".-", color="#bbbbbb", linewidth=0.7, label="a seed: track, network and noise"
    )
    axes.errorbar([], [], [], fmt="o", color="0.3", capsize=4, label="mean and 95 % interval")
    axes.legend(fontsize=8, loc="upper right")
    for k, arm in enumerate(arms):
        interval = mean_interval(rows[k])
        axes.plot([k] * rows.shape[1], rows[k], ".", color=COLOURS[arm], alpha=0.5)
        error = [[interval.mean - interval.low], [interval.high - interval.mean]]
        axes.errorbar(k, interval.mean, error, fmt="o", color=COLOURS[arm], capsize=4, markersize=7)
    chance = 1 / (result.config.hippocampus.n_places - 1)
    axes.axhline(chance, color="black", linestyle=":", linewidth=1)
    axes.text(len(arms) - 0.55, chance, "chance", va="bottom", ha="right", fontsize=8)
    axes.set_xlim(-0.5, len(arms) - 0.5)
    axes.set_xticks(range(len(arms)), [f"{arm}\n{_WHAT[arm]}" for arm in arms], fontsize=8)
    axes.set_ylim(0, 1)
    label(axes.yaxis, "p of the right next place, cortex alone")


_WHAT = {
    CONTROL: "nothing is done",
    DISRUPTED: "inhibited at\ndetection",
    DELAYED: "inhibited as often\noutside ripples",
    PROLONGED: "excited at\ndetection",
    INDUCED: "excited as often\noutside ripples",
}
