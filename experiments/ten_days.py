"""Ten days and ten nights, one brain: what is left of the first day and of what came before?"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray

from circuits.brain import Brain, BrainConfig
from circuits.language_cortex import PlasticityConfig
from circuits.night import NightConfig
from experiments.childhood import DATA, MODEL, heldout_perplexity, shipped_facts
from experiments.examination import cloze, examine_items
from neurosim.metrics import backward_transfer, forgetting
from neurosim.plotting import colour
from neurosim.recorder import Recorder
from neurosim.text import read_sentences
from rules.willshaw import Willshaw

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
        default_factory=lambda: NightConfig(steps=60, dreams=700, dreams_per_step=40)
    )
    plasticity: PlasticityConfig = field(default_factory=PlasticityConfig)


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
    """
    torch.set_num_threads(1)
    brain = Brain.create(None, MODEL, Willshaw(), BrainConfig(seed=config.seed, night=config.night))
    brain.cortex.plasticity = config.plasticity
    days = [
        list(read_sentences(Path(DATA / "days" / f"day{k:02d}.txt")))
        for k in range(1, config.days + 1)
    ]
    exams = [[(item.cue, item.answer) for item in examine_items(day)] for day in days]
    facts = [fact.cloze() for fact in shipped_facts()]

    def state() -> list[float]:
        known = cloze(brain.cortex, facts)[0]
        used = brain.hippocampus.gauge().potentiated
        return [known, heldout_perplexity(brain.cortex), used, brain.n_parameters]

    recall = np.full((config.days, config.days), np.nan)
    states = [state()]
    for night, day in enumerate(days):
        brain.day(day)
        brain.sleep()
        recall[night, : night + 1] = [cloze(brain.cortex, exam)[0] for exam in exams[: night + 1]]
        states.append(state())
        tick()
    result = Result(recall, *(np.array(column) for column in zip(*states, strict=True)))
    if recorder is not None:
        for part in dataclasses.fields(result):
            values = getattr(result, part.name)
            dims = ("night", "day")[: values.ndim]
            recorder.store(part.name, np.nan_to_num(values, nan=-1.0), "", dims)
    return result


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
