"""Ten days and ten nights, one brain: what is left of the first day and of what came before?"""

import dataclasses
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray

from circuits.brain import Brain
from circuits.brain_config import BrainConfig
from circuits.night import NightConfig
from circuits.night_growth import PlasticityConfig
from experiments.childhood import DATA, MODEL, heldout_perplexity, shipped_facts
from experiments.examination import cloze, examine_items
from neurosim.errors import ConfigError
from neurosim.jobs import Shelf
from neurosim.metrics import backward_transfer, forgetting
from neurosim.plotting import colour
from neurosim.recorder import Recorder
from neurosim.storage import atomic_write_json, make_directory, read_json
from neurosim.text import Sentence, read_sentences
from rules.willshaw import Willshaw

SHIPPED_DAYS = 10

expected = {
    "first_day": (0.90, "this project's bar: first day's facts after the tenth night"),
    "base": (0.95, "this project's bar: base facts after the tenth night"),
    "prototype_first_day": (0.99, "our prototype with many dreams; 0.94 of the base left"),
}


@dataclass(frozen=True)
class Config:
    """What the brain lives through.

    Parameters
    ----------
    seed : int
    days : int
        Up to ten; day k reads data/days/dayKK.txt.
    night : NightConfig
        Longer than the default, which has to fit into two minutes.
    plasticity : PlasticityConfig
    """

    seed: int = 0
    days: int = 10
    night: NightConfig = field(
        default_factory=lambda: NightConfig(steps=72, dreams_per_step=40, rehearsals=32)
    )
    plasticity: PlasticityConfig = field(default_factory=PlasticityConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.days <= SHIPPED_DAYS:
            raise ConfigError.expected(
                self, "days", f"1 to {SHIPPED_DAYS}, the days that are shipped", self.days, "try 10"
            )


@dataclass
class Diary:
    """The examinations of a life so far.

    Parameters
    ----------
    recall : list of list of float
        After each night the recall of each day so far.
    states : list of list of float
        Base facts, perplexity, potentiated synapses and weights before the first day and after
        each night.
    """

    recall: list[list[float]]
    states: list[list[float]]

    def keep(self, folder: Path | None) -> None:
        """Write the diary into a folder; without one, not at all."""
        if folder is not None:
            make_directory(folder)
            atomic_write_json(folder / "diary.json", self)

    @classmethod
    def found(cls, folder: Path | None) -> Self:
        """Return the diary that lies in a folder, or an empty one."""
        if folder is None or not (folder / "diary.json").exists():
            return cls([], [])
        return cls(**read_json(folder / "diary.json"))


@dataclass(frozen=True)
class Result:
    """What was known after each night.

    Parameters
    ----------
    recall : (n_nights, n_days) float
        Recall of each day's facts after each night, cortex alone; NaN before the day.
    base, perplexity, potentiated, parameters : (n_nights + 1,) float
        Before the first day and after each night.
    """

    recall: NDArray[np.float64]
    base: NDArray[np.float64]
    perplexity: NDArray[np.float64]
    potentiated: NDArray[np.float64]
    parameters: NDArray[np.float64]

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers."""
        known = np.nan_to_num(self.recall)
        values = {
            "first_day": float(self.recall[-1, 0]),
            "mean_recall": float(self.recall[-1].mean()),
            "base_before": float(self.base[0]),
            "base_after": float(self.base[-1]),
            "perplexity_before": float(self.perplexity[0]),
            "perplexity_after": float(self.perplexity[-1]),
            "parameters_before": float(self.parameters[0]),
            "parameters_after": float(self.parameters[-1]),
        }
        if len(known) > 1:
            values["forgetting"] = float(forgetting(known))
            values["backward_transfer"] = float(backward_transfer(known))
        return values


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Result:
    """Live the days, sleep the nights, examine after each.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator, optional
        Not used: the brain draws from its own seed.
    recorder : Recorder, optional
    tick : callable
        Called after each night.
    shelf : Path, optional
        Folder in which an unfinished life is kept: the brain, which survives anything after its
        last whole cycle, and the examinations so far. The next run goes on with it.
    """
    torch.set_num_threads(1)
    home = None if shelf is None else Shelf(shelf).place("ten days", config)
    born = BrainConfig(seed=config.seed, night=config.night)
    texts = [
        list(read_sentences(DATA / "days" / f"day{k + 1:02d}.txt")) for k in range(config.days)
    ]
    exams = [[(item.cue, item.answer) for item in examine_items(text)] for text in texts]
    diary = Diary.found(home)
    with _brain(home and home / "brain", born) as brain:
        brain.cortex.plasticity = config.plasticity
        if not diary.states:
            diary.states.append(_state(brain))
            diary.keep(home)
        for night in range(len(diary.recall), config.days):
            _live(brain, texts[night], night)
            diary.recall.append([cloze(brain.cortex, exam)[0] for exam in exams[: night + 1]])
            diary.states.append(_state(brain))
            diary.keep(home)
            tick()
    recall = np.full((config.days, config.days), np.nan)
    for night, row in enumerate(diary.recall):
        recall[night, : night + 1] = row
    states = diary.states
    result = Result(recall, *(np.array(column) for column in zip(*states, strict=True)))
    if recorder is not None:
        for part in dataclasses.fields(result):
            values = getattr(result, part.name)
            dims = ("night", "day")[: values.ndim]
            recorder.store(part.name, np.nan_to_num(values, nan=-1.0), "", dims)
    if home is not None:
        shutil.rmtree(home)
        Shelf(home.parents[1]).clear([])
    return result


@contextmanager
def _brain(path: Path | None, config: BrainConfig) -> Iterator[Brain]:
    """Open the brain of an unfinished life, or give birth to one."""
    if path is not None and (path / "brain.json").exists():
        with Brain.open(path, Willshaw()) as brain:
            yield brain
    else:
        yield Brain.create(path, MODEL, Willshaw(), config)


def _live(brain: Brain, text: Sequence[Sentence], n_nights: int) -> None:
    """Live one day and sleep one night, or what is left of them after an interruption."""
    if brain.nights > n_nights:
        return
    if sum(event["event"] == "day" for event in brain.ledger) == n_nights:
        brain.day(text)
    brain.sleep()


def _state(brain: Brain) -> list[float]:
    facts = [fact.cloze() for fact in shipped_facts()]
    known = cloze(brain.cortex, facts)[0]
    used = float(brain.hippocampus.gauge().potentiated)
    return [known, heldout_perplexity(brain.cortex), used, float(brain.n_parameters)]


def plot(result: Result, axes: Axes) -> None:
    """Draw what is left of the first day, of all days and of the base, night by night."""
    nights = np.arange(1, len(result.recall) + 1)
    all_days = [np.nanmean(row) for row in result.recall]
    axes.plot(nights, result.recall[:, 0], "o-", color=colour("night"), label="first day")
    axes.plot(nights, all_days, "s--", color=colour("night"), label="all days so far")
    axes.plot(nights, result.base[1:], "^-", color=colour("raw replay"), label="base facts")
    axes.set_xlabel("night")
    axes.set_ylabel("recall (cortex alone)")
    axes.set_ylim(0, 1.02)
    axes.legend(loc="lower left", frameon=False)
