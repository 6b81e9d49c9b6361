"""Fifty tasks of permuted images: what is learnt late, and what is left of what was early."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from experiments.comparison import Measured, check_names, key, record
from experiments.continual.der import DER
from experiments.continual.er import ER
from experiments.continual.ewc import EWC
from experiments.continual.fast_memory import FastMemory
from experiments.continual.nearest_neighbour import NearestNeighbour
from experiments.continual.none import Nothing
from experiments.continual.si import SI
from experiments.reference import Reference, compare_with
from neurosim.continual import live
from neurosim.continual_learner import Method
from neurosim.errors import ConfigError, check_counts
from neurosim.hdf5 import Arrays
from neurosim.metrics import mean_interval
from neurosim.plotting import label
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from neurosim.stream_config import StreamConfig
from neurosim.streams import Stream

ARMS: Mapping[str, Method] = MappingProxyType(
    {
        **{
            f"fast {n} kB": FastMemory(1000 * n, maps=False, least_wins=2)
            for n in (100, 200, 400, 1000, 2000)
        },
        "maps 1000 kB": FastMemory(1_000_000),
        "no room 1000 kB": FastMemory(1_000_000, maps=False, room=False, least_wins=2),
        "none": Nothing(),
        "EWC": EWC(),
        "SI": SI(),
        "ER 1000 kB": ER(per_class=127),
        "DER 1000 kB": DER(per_class=121),
        "1-NN 1000 kB": NearestNeighbour(127, by_class=True),
    }
)

DIMS = {"accuracy": ("visit", "task"), "learnt": ("task",), "end": ("task",)}

expected = {
    "fall_fast_1000_kb": (0.03, "this project's bar: last ten within 3 points of the first ten"),
    "late_fast_1000_kb": (0.03, "this project's bar, read as what a late task is learnt to"),
}


@dataclass(frozen=True)
class Config:
    """How many tasks, and which methods.

    Parameters
    ----------
    dataset : str
        "mnist", "fashion" (both need NEUROSIM_DATA) or "digits".
    n_tasks : int
        Each has its own permutation of the pixels, all have the same ten labels and outputs; which
        task it is is not told at test.
    share : float
        Of the training images, the same in each task; each is seen once a task, ten at a time.
    test : int
        Test images a task, the first so many.
    probe : int
        Of them those on which the speed of learning is measured; 0 leaves it out.
    inside : int
        Replays and test images that are looked at inside each learner, of each task three images
        or more; 0 for none. See `neurosim.representation`.
    reference : bool
        Whether the shared network also learns all tasks mixed, once a seed, so that intransigence
        can be measured.
    ends : int
        First and last tasks that are compared; no more than half of them.
    part : str
        "test", or "validation", a tenth of the training images, which the stream then leaves out.
    arms : tuple of str
        Of `ARMS`.
    seeds : tuple of int
        Give permutations and the order of images.
    workers : int
        Processes at a time; 0 for one a processor.
    """

    dataset: str = "mnist"
    n_tasks: int = 50
    share: float = 1 / 30
    test: int = 1000
    probe: int = 100
    inside: int = 500
    reference: bool = True
    ends: int = 10
    part: str = "test"
    arms: tuple[str, ...] = tuple(ARMS)
    seeds: tuple[int, ...] = (0, 1, 2)
    workers: int = 0

    def __post_init__(self) -> None:
        check_names(self, "arms", self.arms, tuple(ARMS))
        check_names(self, "part", (self.part,), ("test", "validation"))
        check_counts(self, "n_tasks", least=2)
        check_counts(self, "test", "ends")
        check_counts(self, "probe", "inside", least=0)
        if not 0 < self.share <= 1:
            raise ConfigError.expected(
                self, "share", "above 0, up to 1", self.share, "leave it out"
            )

    def stream(self) -> StreamConfig:
        """Return the stream's configuration."""
        return StreamConfig(
            self.dataset, "permuted", "domain", self.n_tasks, shares=(self.share,) * 10,
            validation=0.1 if self.part == "validation" else 0.0,
        )  # fmt: skip


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
        """Return the flat numbers of the command's ``--json``."""
        numbers: dict[str, float] = {}
        for arm in self.config.arms:
            found = self.ends(arm) | {
                name: values for name, values in self.measured[arm].items() if values.ndim == 1
            }
            for name, values in found.items():
                finite = values[np.isfinite(values)]
                if finite.size:
                    numbers[f"{name}_{key(arm)}"] = mean_interval(finite).mean
        return numbers

    def ends(self, arm: str) -> dict[str, NDArray[np.float64]]:
        """Return the means over all, the first and the last tasks, one number a seed."""
        n = min(self.config.ends, self.config.n_tasks // 2)
        now, end = (self.measured[arm][name] for name in ("learnt", "end"))
        means = {
            "acc": end.mean(axis=1),
            "first": end[:, :n].mean(axis=1),
            "last": end[:, -n:].mean(axis=1),
            "first_learnt": now[:, :n].mean(axis=1),
            "last_learnt": now[:, -n:].mean(axis=1),
        }
        return means | {
            "fall": np.abs(means["first"] - means["last"]),
            "late": means["first_learnt"] - means["last_learnt"],
            "forgetting": (now - end)[:, :-1].mean(axis=1),
        }


def run_arm(config: Config, arm: str, seed: int) -> Arrays:
    """Let one learner live through all tasks.

    Returns
    -------
    dict of str to ndarray
        ``accuracy (n_tasks, n_tasks)``, NaN but for the task just learnt, the next, and all at the
        end; of it ``learnt`` and ``end (n_tasks,)``, the accuracy on each task just after it and at
        the end; and the numbers of `Course.metrics`.
    """
    stream = Stream(config.stream(), seed)
    rng = Streams(seed).generator("learner")
    course = live(
        stream, ARMS[arm], rng, config.part, config.probe, inside=config.inside, few=config.test,
        sparse=True,
    )  # fmt: skip
    found = {name: np.array(value) for name, value in course.metrics().items()}
    r = course.accuracy
    return {**found, "accuracy": r, "learnt": np.diagonal(r).copy(), "end": r[-1]}


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
    joint = Reference(config.stream(), config.part, config.test)
    reference = joint if config.reference else None
    result = Result(config, compare_with(reference, run_arm, config, tick, shelf))
    if recorder is not None:
        record(result.measured, recorder, DIMS)
    return result


def plot(result: Result, axes: Axes) -> None:
    """Draw each task's accuracy at the end over its number; dotted when it was just learnt."""
    for k, arm in enumerate(result.config.arms):
        values, colour = result.measured[arm], f"C{k % 10}"
        style = "-" if k < 10 else "--"
        tasks = 1 + np.arange(result.config.n_tasks)
        axes.plot(tasks, 100 * values["end"].mean(axis=0), style, color=colour, label=arm)
        if arm.startswith("fast"):
            axes.plot(tasks, 100 * values["learnt"].mean(axis=0), ":", color=colour)
    label(axes.xaxis, "task", "")
    label(axes.yaxis, "accuracy", "%")
    axes.set_title(f"permuted {result.config.dataset}: at the end; dotted: just learnt")
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))  # Curves are everywhere.
