"""One day and one night, beside its controls: does sleep write the day into slow weights?"""

import dataclasses
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from circuits.night import NightConfig
from circuits.night_growth import PlasticityConfig
from experiments.arms import ARMS, ArmConfig, ArmResult, run_arm
from experiments.childhood import DATA
from experiments.examination import examine_items, read_day
from neurosim.errors import ConfigError, check_counts, nearest_name
from neurosim.jobs import run_jobs
from neurosim.plotting import colour
from neurosim.progress import progress
from neurosim.recorder import Recorder
from neurosim.storage import atomic_write_json, make_directory

DIARY = DATA / "diary.txt"
FEW = ("night", "naive", "no sleep")

expected = {
    "new_recall": (0.95, "this project's bar: exact answers after the night, cortex alone"),
    "base_ratio": (0.98, "this project's bar: base facts after over before"),
    "perplexity_ratio": (1.05, "this project's bar: held-out perplexity after over before"),
    "naive_new_recall": (1.0, "Tadros et al. (2022) and our prototype: naive learns the new"),
}


@dataclass(frozen=True)
class Config:
    """What to compare, on which text.

    Parameters
    ----------
    file : str
        The day's text; empty for the shipped diary.
    arms : tuple of str
        Of `ARMS`; "night" always runs.
    seeds : tuple of int
        Each arm runs once a seed.
    known : int
        Sentences the model knows already, mixed into the day of every arm, for the gate to
        refuse; -1 means 20 with the shipped diary and none with another text.
    night : NightConfig
    plasticity : PlasticityConfig
    brain : str
        Directory in which the first seed's brain is left; empty for none.
    workers : int
        Processes at a time; 0 for one a processor. Each computes on one thread, so results do not
        depend on it.
    """

    file: str = ""
    arms: tuple[str, ...] = FEW
    seeds: tuple[int, ...] = (0,)
    known: int = -1
    night: NightConfig = field(default_factory=NightConfig)
    plasticity: PlasticityConfig = field(default_factory=PlasticityConfig)
    brain: str = ""
    workers: int = 0

    def __post_init__(self) -> None:
        check_counts(self, "seeds", least=0)
        for arm in self.arms:
            if arm not in ARMS:
                raise ConfigError(
                    f"Config.arms: expected some of {', '.join(ARMS)}, got {arm}; "
                    f"did you mean {nearest_name(arm, ARMS) or ARMS[0]}?"
                )


@dataclass(frozen=True)
class Result:
    """All arms at all seeds."""

    config: Config
    arms: list[ArmResult]
    n_items: int

    @property
    def names(self) -> list[str]:
        """The arms, in order."""
        return list(dict.fromkeys(row.arm for row in self.arms))

    def values(self, arm: str, metric: str) -> NDArray[np.float64]:
        """Return one metric of one arm, a value a seed."""
        rows = sorted((r for r in self.arms if r.arm == arm), key=lambda r: r.seed)
        return np.array([row.metrics[metric] for row in rows])


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
    sentences = read_day(Path(config.file) if config.file else DIARY)
    jobs = [(arm, sentences) for arm in arms_of(config, len(sentences))]
    results = run_jobs(run_arm, jobs, config.workers, tick, shelf, ArmResult.pack, ArmResult.unpack)
    result = Result(config, results, len(examine_items(sentences)))
    if recorder is not None:
        record(result, recorder)
    return result


def arms_of(config: Config, n_sentences: int) -> list[ArmConfig]:
    """Return every arm at every seed, all with the same number of gradient steps.

    A night of its own takes its steps from how much the hippocampus holds; here they follow from
    the day's text, so that an arm that writes more is not taught longer.
    """
    steps = round(config.night.steps * max(1.0, n_sentences / config.night.steps_for))
    night = dataclasses.replace(config.night, steps=steps, steps_for=sys.maxsize)
    known = config.known if config.known >= 0 else (0 if config.file else 20)
    return [
        ArmConfig(
            arm=arm,
            seed=seed,
            known=known,
            night=night,
            plasticity=config.plasticity,
            brain=config.brain if (arm, seed) == ("night", config.seeds[0]) else "",
        )
        for seed in config.seeds
        for arm in dict.fromkeys(("night", *config.arms))
    ]


def record(result: Result, recorder: Recorder) -> None:
    """Store every number of a result, from which all figures can be drawn again."""
    for arm in result.names:
        rows = [row for row in result.arms if row.arm == arm]
        place = f"arms/{arm.replace(' ', '_')}"
        for metric in rows[0].metrics:
            recorder.store(f"{place}/{metric}", result.values(arm, metric), "", ("seed",))
        steps = min(([step for step, _ in row.curve] for row in rows), key=len)
        if steps:
            recall = np.array([[value for _, value in row.curve[: len(steps)]] for row in rows])
            recorder.store(f"{place}/curve_steps", np.array(steps), "steps", ("point",))
            recorder.store(f"{place}/curve_recall", recall, "", ("seed", "point"))
    first = result.arms[0]
    for name in ("cycle", "memory", "confidence"):
        values = np.array([getattr(burst, name) for burst in first.bursts])
        recorder.store(f"night/burst_{name}", values, "", ("burst",))
    cycles = np.array(first.cycles).reshape(-1, 2)
    recorder.store("night/cycle_memories", cycles[:, 0], "", ("cycle",))
    recorder.store("night/cycle_mastered", cycles[:, 1], "", ("cycle",))
    for name, matrix in first.overlaps.items():
        key = name.lower().replace(" ", "_")
        recorder.store(f"separation/{key}", matrix, "", ("sentence", "sentence"))
    recorder.store("capacity/potentiated", np.array(first.potentiated), "synapses", ("time",))
    recorder.store("capacity/n_synapses", np.array(first.n_synapses), "synapses", ())


def summary(result: Result) -> dict[str, Any]:
    """Return the flat numbers of the command's ``--json``, controls under ``controls``."""

    def means(arm: str) -> dict[str, float]:
        metrics = next(row.metrics for row in result.arms if row.arm == arm)
        return {key: float(np.mean(result.values(arm, key))) for key in metrics}

    rest = {arm.replace(" ", "_"): means(arm) for arm in result.names if arm != "night"}
    return {
        **means("night"),
        "n_items": result.n_items,
        "n_seeds": len(result.config.seeds),
        "controls": rest,
    }


def plot(result: Result, axes: Axes) -> None:
    """Draw recall of the day's items and of base facts, arm by arm."""
    for place, arm in enumerate(result.names):
        for metric, marker in (("new_recall", "o"), ("base_after", "s")):
            values = result.values(arm, metric)
            axes.plot([place] * len(values), values, marker, color=colour(arm))
    axes.set_xticks(range(len(result.names)), result.names, rotation=30)
    axes.set_ylabel("recall after the night (circle: new, square: base)")
    axes.set_ylim(-0.02, 1.02)


def save(result: Result, directory: Path) -> None:
    """Write run.h5 and answers.json."""
    config = json.loads(json.dumps(asdict(result.config)))
    config |= {
        "arms": result.names,
        "file": Path(result.config.file).name if result.config.file else "data/diary.txt",
        "n_items": result.n_items,
    }
    config.pop("brain")
    make_directory(directory)
    with Recorder(directory / "run.h5", config, result.config.seeds[0]) as recorder:
        record(result, recorder)
    atomic_write_json(directory / "answers.json", result.arms[0].answers)


def run_with_progress(config: Config, shelf: Path) -> Result:
    """Run with a progress bar on the terminal; go on where an earlier run was interrupted."""
    n_jobs = len(arms_of(config, 1))
    with progress(n_jobs, "one night") as bar:
        return run(config, tick=lambda: bar.advance(), shelf=shelf)
