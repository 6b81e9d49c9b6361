"""What old classes lose while a night teaches new ones, step by step, and what is back by dawn.

Two days' examinations do not show it: a cortex that is as good in the morning as it was in the
evening may have been far worse at midnight. Every class is examined on all its images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from experiments import nights_over_images as nights
from experiments.comparison import Measured, check_names, compare, key, record
from experiments.sleeper import Sleeper
from neurosim.continual_learner import Shape
from neurosim.errors import check_counts
from neurosim.hdf5 import Arrays
from neurosim.metrics import mean_interval
from neurosim.plotting import colour, label
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from neurosim.streams import Batch, Stream

FloatArray = NDArray[np.float64]

ARMS = tuple(name for name, method in nights.ARMS.items() if method.bedtime == "task")
"""Of `nights_over_images`, those that sleep after every task."""

EARLY = (1, 2, 3, 5, 10)
"""Steps after which it is looked in any case: where a night does most harm."""

DIMS = {"accuracy": ("night", "look", "class")}

BAR = 0.05
"""Share of its accuracy that an old class may lose."""

expected = {
    "fall_inside_night": (BAR, "this project's bar: no old class falls by more, at any step"),
    "fall_at_dawn_night": (BAR, "this project's bar: no old class falls by more"),
}


@dataclass(frozen=True)
class Config:
    """Which stream, which brains, and how often it is looked.

    Parameters
    ----------
    dataset, share, part, steps
        See `nights_over_images.Config`.
    every : int
        Steps of a night from one look to the next, besides some at its beginning.
    arms : tuple of str
        Of `ARMS`.
    seeds : tuple of int
    workers : int
        Processes at a time; 0 for one a processor.

    References
    ----------
    De Lange, van de Ven & Tuytelaars (2023) ICLR (the stability gap).
    """

    dataset: str = "digits"
    share: float = 1.0
    part: str = "test"
    steps: int = 300
    every: int = 20
    arms: tuple[str, ...] = (
        "night", "backprop", "written at once", "backprop written at once", "gentle night",
        "backprop gentle night",
    )  # fmt: skip
    seeds: tuple[int, ...] = tuple(range(5))
    workers: int = 0

    def __post_init__(self) -> None:
        check_names(self, "arms", self.arms, ARMS)
        check_counts(self, "every")
        self.brain()

    def brain(self) -> nights.Config:
        """Return the configuration of the experiment whose brains these are."""
        return nights.Config(self.dataset, self.share, self.part, self.steps)

    def looks(self, arm: str) -> list[int]:
        """Return the steps of a night after which it is looked, the last of all being one."""
        night = self.brain().method(arm, 0).night
        last = night.steps * night.cycles
        return sorted({*(k for k in EARLY if k < last), *range(self.every, last, self.every), last})


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
        numbers = {}
        for arm in self.config.arms:
            for name in ("acc", "fall_inside", "fall_at_dawn"):
                found = mean_interval(self.measured[arm][name])
                numbers[f"{name}_{key(arm)}"] = found.mean
                numbers[f"{name}_{key(arm)}_low"] = found.low
                numbers[f"{name}_{key(arm)}_high"] = found.high
                if name != "acc":
                    worst = float(self.measured[arm][name].max())
                    numbers[f"{name}_worst_{key(arm)}"] = worst
        return numbers


def falls(accuracy: FloatArray) -> FloatArray:
    """Return what is left of each old class, as a share of what it was at dusk.

    Parameters
    ----------
    accuracy : (n_nights, 1 + n_looks, n_classes)
        The first of each night at dusk; NaN for a class that is not old.

    Returns
    -------
    (n_nights, n_looks, n_classes) float64
        Positive where it has fallen; NaN for a class that is not old, or of which nothing was
        known.
    """
    dusk = np.where(accuracy[:, :1] > 0, accuracy[:, :1], np.nan)
    return np.asarray((dusk - accuracy[:, 1:]) / dusk)


def run_arm(config: Config, arm: str, seed: int) -> Arrays:
    """Let one brain live along the stream of a seed, and look at its cortex all night.

    Returns
    -------
    dict of str to ndarray
        ``accuracy (n_nights, 1 + n_looks, n_classes)`` as in `falls`, of all nights but the
        first; ``fall_inside``, the largest of `falls`, and ``fall_at_dawn``, the largest after the
        last step; ``acc``, the accuracy after all tasks.
    """
    brain = config.brain()
    stream = Stream(brain.stream(), seed)
    shape = Shape(stream.n_inputs, stream.n_outputs, stream.image_shape)
    method = brain.method(arm, 0)
    sleeper = method.begin(shape, Streams(seed).generator("learner"))
    assert isinstance(sleeper, Sleeper)
    tests = [stream.test(number, config.part) for number in range(len(stream.tasks))]
    looks = config.looks(arm)
    accuracy = np.full((len(tests) - 1, 1 + len(looks), stream.n_outputs), np.nan)
    for visit in range(len(tests)):
        for batch in stream.batches(visit):
            sleeper.observe(batch)
        if visit:
            sheets = [sleeper.sheet.encode(test.x) for test in tests[:visit]]
            night = accuracy[visit - 1]
            night[0] = _by_class(sleeper, sheets, tests[:visit])

            def look(step: int, night: FloatArray = night, sheets: list = sheets) -> None:
                if step in looks:
                    found = _by_class(sleeper, sheets, tests[: len(sheets)])
                    night[1 + looks.index(step)] = found

            sleeper.on_step = look
        sleeper.end_of_task(visit)
    right = [(sleeper.predict(test.x).argmax(axis=1) == test.y).mean() for test in tests]
    found = falls(accuracy)
    numbers = {
        "acc": np.mean(right),
        "fall_inside": np.nanmax(found),
        "fall_at_dawn": np.nanmax(found[:, -1]),
    }
    return {"accuracy": accuracy} | {name: np.array(value) for name, value in numbers.items()}


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
        record(result.measured, recorder, DIMS)
    return result


def plot(result: Result, axes: Axes) -> None:
    """Draw what the old classes have lost at each step: in the mean, and the one that lost most."""
    for arm in result.config.arms:
        lost = 100 * np.stack([falls(a) for a in result.measured[arm]["accuracy"]])
        steps, own = result.config.looks(arm), colour(arm)
        mean = np.nanmean(lost, axis=(0, 1, 3))
        most = np.nanmax(lost, axis=(1, 3))  # (n_seeds, n_looks)
        axes.plot(steps, mean, "--", color=own, lw=1)
        axes.plot(steps, most.mean(axis=0), color=own, label=arm)
        axes.fill_between(steps, most.min(axis=0), most.max(axis=0), color=own, alpha=0.15)
    axes.axhline(100 * BAR, color="0.4", linestyle=":", label="bar")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    label(axes.xaxis, "step of the night")
    label(axes.yaxis, "lost of what was known at dusk", "%")
    axes.legend(
        fontsize=7,
        title_fontsize=7,
        title="the class that lost most\n(dashed: mean of all old classes)",
    )


def _by_class(sleeper: Sleeper, sheets: list[NDArray[np.uint8]], tests: list[Batch]) -> FloatArray:
    """Return the accuracy of the cortex on each class ``(n_classes,)``; NaN where none is asked."""
    found = np.full(sleeper.shape.n_outputs, np.nan)
    for levels, test in zip(sheets, tests, strict=True):
        named = sleeper.cortex.scores(levels.astype(np.float32) / np.float32(255)).argmax(axis=1)
        for c in np.unique(test.y):
            found[c] = (named == test.y)[test.y == c].mean()
    return found
