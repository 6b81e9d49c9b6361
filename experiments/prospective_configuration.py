"""Prospective configuration: predictive coding and backpropagation as Song et al. compare them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from experiments.comparison import check_names
from experiments.prospective_points import (
    PARTS,
    PUBLISHED,
    PUBLISHED_POINTS,
    RULES,
    against_published,
    point_key,
    point_numbers,
    read_points,
)
from experiments.prospective_pretraining import AUTHORS_SEED, pretrained
from experiments.prospective_protocols import FIGURES, Protocol, protocol_of
from experiments.prospective_replica import FIGURES as REPLICATED
from experiments.prospective_replica import N_SEEDS, replica
from experiments.prospective_trials import trial
from neurosim.errors import ConfigError
from neurosim.hdf5 import Arrays
from neurosim.jobs import clear_jobs, pack_arrays, run_jobs, unpack_arrays
from neurosim.plotting import label
from neurosim.recorder import Recorder

Errors = NDArray[np.float64]
Point = tuple[str, float]
Job = tuple[Protocol, str, float, int]

RISE = 0.01
"""More than chance makes of two networks that know nothing."""
_COLOURS = {"PC": "#0072B2", "BP": "#D55E00"}
_AXIS = {
    "batch_size": "samples a batch",
    "learning_rate": "learning rate",
    "data_size": "images a class",
    "drift": "iterations between drifts",
    "continual": "tasks taking turns",
    "depth": "layers of weights",
}


expected = PUBLISHED_POINTS


@dataclass(frozen=True)
class Config:
    """Which curves, at how many seeds.

    Parameters
    ----------
    figures : tuple of str
        Of `FIGURES`. They need Fashion-MNIST, see `neurosim.datasets`.
    settings : tuple of float
        Of the figures' points only these; 0 for all.
    seeds : tuple of int
        Runs of each point at its best learning rate; of all learning rates in "learning_rate".
    n_search : int
        The first so many seeds run at every learning rate of the point's grid, the same grid for
        both rules; the best by their mean is the point's.
    n_iterations : int
        Less than the paper's, for a trial; 0 for the paper's.
    replicas : bool
        Draw images, first weights and order as the authors' code drew them: seeds 0 to 2 are
        theirs. Of the figures in which an iteration is an epoch.
    points : str
        A file of points that earlier runs wrote with ``--json``, such as those of the results page:
        they are compared and drawn, and nothing is run.
    workers : int
        Processes at a time; 0 for one a processor.
    """

    figures: tuple[str, ...] = tuple(FIGURES)
    settings: tuple[float, ...] = (0.0,)
    seeds: tuple[int, ...] = tuple(range(10))
    n_search: int = 1
    n_iterations: int = 0
    replicas: bool = False
    points: str = ""
    workers: int = 0

    def __post_init__(self) -> None:
        check_names(self, "figures", self.figures, tuple(FIGURES))
        if not 1 <= self.n_search <= len(self.seeds):
            raise ConfigError.expected(
                self, "n_search", f"1 to {len(self.seeds)} seeds", self.n_search, "take 1"
            )
        if self.n_iterations < 0:
            raise ConfigError.expected(
                self, "n_iterations", "0 or more", self.n_iterations, "take 0, the paper's"
            )
        if self.replicas:
            check_names(self, "figures", self.figures, REPLICATED)
            if max(self.seeds) >= N_SEEDS:
                raise ConfigError.expected(
                    self, "seeds", f"0 to {N_SEEDS - 1} with replicas", self.seeds, "take 0,1,2"
                )


@dataclass(frozen=True)
class Result:
    """Every point's runs.

    Parameters
    ----------
    config : Config
    points : dict of str to float
        See `experiments.prospective_points.point_numbers`.
    errors : dict of str to (n_seeds, n_iterations, n_tests) float64
        Test errors by the key of the point; none where points were read from a file.
    """

    config: Config
    points: dict[str, float]
    errors: dict[str, Errors]

    def metrics(self) -> dict[str, float]:
        """Return every point's mean, interval, learning rate and distance from the published."""
        numbers = dict(self.points)
        for figure in self.config.figures:
            numbers |= against_published(figure, settings_of(self.config, figure), self.points)
        return numbers


def summary(protocol: Protocol, errors: Errors) -> NDArray[np.float64]:
    """Return the mean or the least error over iterations, of the mean over tests, a value a run."""
    over_tests = errors.mean(axis=2)
    return over_tests.min(axis=1) if protocol.summary == "min" else over_tests.mean(axis=1)


def settings_of(config: Config, figure: str) -> list[float]:
    """Return the points of a figure that are asked for."""
    known = [float(s) for s in PUBLISHED[figure]["settings"]]
    if 0.0 in config.settings:
        return known
    return [setting for setting in known if setting in config.settings]


def points(config: Config) -> list[Point]:
    """Return figure and setting of every point."""
    return [(f, s) for f in config.figures for s in settings_of(config, f)]


def _protocol(config: Config, point: Point) -> Protocol:
    protocol = protocol_of(*point)
    if point[0] == "learning_rate":
        protocol = replace(protocol, etas=(point[1],))
    if config.n_iterations:
        protocol = replace(protocol, n_iterations=config.n_iterations)
    return protocol


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Result:
    """Search the learning rate of every point and rule, then run the best at all seeds.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator, optional
        Not used: each run draws from its own seed.
    recorder : Recorder, optional
    tick : callable
        Called after each run.
    shelf : Path, optional
        Folder in which the runs that are finished outlive an interruption.
    """
    if config.points:
        return Result(config, read_points(config.points, points(config)), {})
    work = partial(
        run_jobs, workers=config.workers, tick=tick, shelf=shelf, clear=False,
        pack=pack_arrays, unpack=unpack_arrays,
    )  # fmt: skip
    weights: tuple[NDArray[np.float32], ...] = ()
    if "drift" in config.figures:
        weights = tuple(work(pretrained, [(AUTHORS_SEED,)])[0].values())
    runs: dict[Job, Errors] = {}
    function = replica if config.replicas else trial

    def complete(wanted: list[Job]) -> list[Errors]:
        missing = [each for each in wanted if each not in runs]
        found: list[Arrays] = work(function, [(*job, weights) for job in missing])
        runs.update({job: f["errors"] for job, f in zip(missing, found, strict=True)})
        return [runs[job] for job in wanted]

    def mean(protocol: Protocol, rule: str, eta: float) -> float:
        found = complete([(protocol, rule, eta, s) for s in config.seeds[: config.n_search]])
        return float(summary(protocol, np.stack(found)).mean())

    errors, etas = {}, {}
    numbers: dict[str, float] = {}
    for point in points(config):
        protocol = _protocol(config, point)
        if not protocol.downhill:
            seeds = config.seeds[: config.n_search]
            complete([(protocol, r, eta, s) for r in RULES for eta in protocol.etas for s in seeds])
        best = {r: _best(protocol, partial(mean, protocol, r)) for r in RULES}
        complete([(protocol, r, best[r], s) for r in RULES for s in config.seeds])
        for rule in RULES:
            name = point_key(*point, rule)
            etas[name] = best[rule]
            errors[name] = np.stack(
                complete([(protocol, rule, best[rule], s) for s in config.seeds])
            )
            numbers |= point_numbers(name, summary(protocol, errors[name]), best[rule])
    if shelf is not None:
        clear_jobs(function, [(*job, weights) for job in runs], shelf)
        clear_jobs(pretrained, [(AUTHORS_SEED,)], shelf)
    if recorder is not None:
        for name, values in errors.items():
            recorder.store(name, values, "", ("seed", "iteration", "test"))
        recorder.store("etas", np.array(list(etas.values())), "", ("point",))
    return Result(config, numbers, errors)


def _best(protocol: Protocol, mean: Callable[[float], float]) -> float:
    """Return the learning rate of the least error; downhill, of those before the first rise."""
    errors: dict[float, float] = {}
    for eta in protocol.etas:
        errors[eta] = mean(eta)
        if protocol.downhill and errors[eta] > min(errors.values()) + RISE:
            break
    return min(errors, key=errors.__getitem__)


def plot(result: Result, axes: Axes) -> None:
    """Draw our means with 95 % intervals over the published points, a panel a figure."""
    axes.set_axis_off()
    figures = result.config.figures
    across = min(3, len(figures))
    down = -(-len(figures) // across)
    for k, figure in enumerate(figures):
        row, column = divmod(k, across)
        width, height = 1 / across, 1 / down
        place = (
            column * width + 0.17 * width,
            1 - (row + 1) * height + 0.2 * height,
            0.8 * width,
            0.68 * height,
        )
        panel = axes.inset_axes(place)
        _panel(result, figure, panel, legend=k == min(1, len(figures) - 1))
        if column == 0:  # All panels measure the same, and there is no room between them.
            label(panel.yaxis, "test error")
            panel.yaxis.label.set_fontsize(8)


def _panel(result: Result, figure: str, axes: Axes, legend: bool) -> None:
    settings = settings_of(result.config, figure)
    at = np.arange(len(settings))
    for rule, offset in zip(RULES, (-0.12, 0.12), strict=True):
        theirs = [expected[point_key(figure, s, rule)][0] for s in settings]
        keys = [point_key(figure, s, rule) for s in settings]
        means, lows, highs = (
            np.array([result.points[f"{key}{part}"] for key in keys]) for part in PARTS[:3]
        )
        axes.plot(
            at + offset,
            theirs,
            "o",
            mfc="none",
            mec=_COLOURS[rule],
            ms=8,
            label=f"{rule}, published",
        )
        axes.errorbar(
            at + offset,
            means,
            np.stack([means - lows, highs - means]),
            fmt=".-",
            ms=4,
            lw=1,
            color=_COLOURS[rule],
            label=f"{rule}, ours, 95 % interval",
        )
    axes.set_xlim(-0.5, len(settings) - 0.5)
    axes.set_xticks(at, [f"{s:g}" for s in settings])
    axes.tick_params(labelsize=7)
    axes.set_title(f"{figure.replace('_', ' ')} (Fig. {PUBLISHED[figure]['figure']})", fontsize=9)
    label(axes.xaxis, _AXIS[figure])
    axes.xaxis.label.set_fontsize(8)
    if legend:
        axes.legend(fontsize=6, loc="upper left")
