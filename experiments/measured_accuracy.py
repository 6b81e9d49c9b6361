"""What `local_accuracy` has measured, drawn from the values that are committed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from experiments import local_accuracy
from experiments.comparison import check_names
from neurosim.errors import CorruptFileError
from neurosim.metrics import Interval, mean_interval
from neurosim.plotting import colour, label
from neurosim.recorder import Recorder
from neurosim.storage import read_json

DATA = Path(__file__).parents[1] / "data" / "local_accuracy.json"
TITLES = {"mnist": "MNIST", "fashion": "Fashion-MNIST"}
MEAN = "mean over seeds and its 95 % interval"

expected = {
    f"mnist_{name}": (number, source)
    for name, (number, source) in (
        (name.removeprefix("accuracy_"), bar) for name, bar in local_accuracy.expected.items()
    )
}


@dataclass(frozen=True)
class Config:
    """What is drawn.

    Parameters
    ----------
    sources : tuple of str
        Of `TITLES`, a panel each.
    """

    sources: tuple[str, ...] = ("mnist", "fashion")

    def __post_init__(self) -> None:
        check_names(self, "sources", self.sources, tuple(TITLES))


@dataclass(frozen=True)
class Measured:
    """One learner's accuracies on test images.

    Parameters
    ----------
    interval : Interval
        Mean over seeds and its 95 % interval.
    seeds : (n_seeds,) float64
        Empty where the seeds' own values were not kept.
    """

    interval: Interval
    seeds: NDArray[np.float64]


@dataclass(frozen=True)
class Result:
    """All learners.

    Parameters
    ----------
    config : Config
    rows : dict of str to dict of str to Measured
        By source and learner.
    """

    config: Config
    rows: dict[str, dict[str, Measured]]

    def metrics(self) -> dict[str, float]:
        """Return means and limits by source and learner."""
        numbers: dict[str, float] = {}
        for source, row in self.rows.items():
            for name, each in row.items():
                key = f"{source}_{name}"
                numbers[key] = each.interval.mean
                numbers[f"{key}_low"] = each.interval.low
                numbers[f"{key}_high"] = each.interval.high
                numbers[f"{key}_seeds"] = each.interval.n
        return numbers


def measured(source: str, path: Path = DATA) -> dict[str, Measured]:
    """Return the committed accuracies on a source, by learner.

    Raises
    ------
    CorruptFileError
        When the file has no such values.
    """
    try:
        return {name: _one(row) for name, row in read_json(path)[source].items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise CorruptFileError(
            f"{path}: expected accuracies by learner under {source}, got others; restore the file"
        ) from None


def _one(row: dict[str, list[float] | float]) -> Measured:
    if "accuracies" in row:
        seeds = np.array(row["accuracies"], dtype=np.float64)
        return Measured(mean_interval(seeds), seeds)
    mean, low, high = (float(row[name]) for name in ("mean", "low", "high"))  # type: ignore[arg-type]
    return Measured(Interval(mean, low, high, int(row["n_seeds"])), np.zeros(0))  # type: ignore[arg-type]


def run(
    config: Config, rng: np.random.Generator | None = None, recorder: Recorder | None = None
) -> Result:
    """Read what was measured.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator, optional
        Not used.
    recorder : Recorder, optional
    """
    result = Result(config, {source: measured(source) for source in config.sources})
    if recorder is not None:
        for source, row in result.rows.items():
            means = np.array([each.interval.mean for each in row.values()])
            recorder.store(f"{source}/accuracy", means, "", ("learner",))
    return result


def plot(result: Result, axes: Axes) -> None:
    """Draw a panel a source: seeds, mean and 95 % interval of each learner, and its bar."""
    axes.set_axis_off()
    names = list(dict.fromkeys(name for row in result.rows.values() for name in row))
    bars = "mnist" in result.rows
    width = 0.78 / len(result.rows)
    for k, (source, row) in enumerate(result.rows.items()):
        panel = axes.inset_axes((0.22 + k * width, 0.14, width - 0.03, 0.8))
        for y, name in enumerate(names):
            if name in row:
                _draw(panel, y, name, row[name])
            bar = local_accuracy.expected.get(f"accuracy_{name}")
            if source == "mnist" and bar is not None:
                panel.plot([100 * bar[0]] * 2, [y - 0.3, y + 0.3], color="black", linewidth=1.5)
        shown = [name.replace("_", " ") for name in names] if k == 0 else [""] * len(names)
        panel.set_yticks(range(len(names)), shown, fontsize=8)
        panel.set_ylim(len(names) - 0.5, -0.5)
        panel.tick_params(axis="x", labelsize=8)
        panel.set_title(TITLES[source], fontsize=10)
        label(panel.xaxis, "accuracy", "%")
    key = axes.inset_axes((0, 0, 1, 0.03), frame_on=False, xticks=(), yticks=())
    key.errorbar([], [], xerr=[], fmt="o", color="black", capsize=2, markersize=4, label=MEAN)
    key.plot([], [], ".", color="0.6", markersize=6, label="one seed, where it was kept")
    if bars:
        key.plot([], [], "k|", markersize=9, markeredgewidth=1.5, label="this project's bar")
    key.legend(fontsize=8, ncols=3, loc="center", frameon=False)


def _draw(panel: Axes, y: int, name: str, each: Measured) -> None:
    mean, low, high = (100 * v for v in (each.interval.mean, each.interval.low, each.interval.high))
    panel.plot(100 * each.seeds, np.full(len(each.seeds), y + 0.28), ".", color="0.6", markersize=4)
    ends = [[mean - low], [high - mean]] if each.interval.n > 1 else None
    panel.errorbar(mean, y, xerr=ends, fmt="o", color=colour(name), capsize=2, markersize=4)
