"""Rao & Ballard (1999): oriented fields of natural images, and end-stopped error cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from circuits.visual_hierarchy import VisualHierarchy, VisualHierarchyConfig
from experiments.comparison import check_names
from neurosim.gabor import Gabor, fit_gabor
from neurosim.hdf5 import Arrays
from neurosim.images import dead_leaves, orientation_selectivity, retina
from neurosim.jobs import pack_arrays, run_jobs, unpack_arrays
from neurosim.metrics import mean_interval
from neurosim.plotting import label
from neurosim.randomness import Streams
from neurosim.recorder import Recorder

FloatArray = NDArray[np.float64]

SOURCES = ("photographs", "dead leaves")
_MARGIN = 8  # The filter of the retina wraps around at the edges.

expected = {
    "index_with_feedback": (0.0, "above that without: Rao & Ballard (1999), Fig. 3, end-stopping"),
    "index_without_feedback": (0.0, "Rao & Ballard (1999), Fig. 3: vanishes without feedback"),
    "gabor_share": (0.5, "this project's bar: most lower cells are oriented, as in their Fig. 2"),
}


@dataclass(frozen=True)
class Config:
    """What is seen, and how it is measured.

    Parameters
    ----------
    source : str
        Of `SOURCES`: the two photographs that ship with scikit-learn, or images of dead leaves
        (other ones for each seed).
    hierarchy : VisualHierarchyConfig
    n_batches, batch : int
        Steps of learning, and images a step.
    quality : float
        Share of a field's variance that a Gabor must explain for the field to count as one; a wave
        longer than the field is none.
    lengths : tuple of float [pixels]
        Of the bars, ascending.
    contrast : float
        Of the bars, in deviations of the filtered images.
    seeds : tuple of int
        Runs of everything.
    workers : int
        Processes at a time; 0 for one a processor.
    """

    source: str = "photographs"
    hierarchy: VisualHierarchyConfig = field(
        default_factory=lambda: VisualHierarchyConfig(sparsity=0.5)
    )
    n_batches: int = 1500
    batch: int = 50
    quality: float = 0.6
    lengths: tuple[float, ...] = (
        2.0,
        4.0,
        6.0,
        8.0,
        10.0,
        12.0,
        14.0,
        16.0,
        18.0,
        22.0,
        26.0,
        30.0,
    )
    contrast: float = 2.0
    seeds: tuple[int, ...] = (0, 1, 2)
    workers: int = 0

    def __post_init__(self) -> None:
        check_names(self, "source", (self.source,), SOURCES)


@dataclass(frozen=True)
class Result:
    """Fields and responses.

    Parameters
    ----------
    config : Config
    measured : dict of str to (n_seeds, ...) float64
        What `run_seed` returns.
    """

    config: Config
    measured: dict[str, FloatArray]

    def tuned(self, feedback: bool) -> list[FloatArray]:
        """Return responses over length of the cells with a Gabor field, seed by seed.

        Each cell's are divided by its largest; a cell that no bar excites is left out. Where no
        cell is left, one of zeros stands for all.
        """
        found = []
        for responses, quality in zip(
            self.measured["with_feedback" if feedback else "without_feedback"],
            self.measured["quality"],
            strict=True,
        ):
            largest = responses.max(axis=1)
            cells = (quality >= self.config.quality) & (largest > 0)
            found.append(responses[cells] / largest[cells, None])
        return [each if len(each) else np.zeros((1, each.shape[1])) for each in found]

    def tuning(self, feedback: bool) -> FloatArray:
        """Return the mean of the cells' responses over length, ``(n_seeds, n_lengths)``."""
        return np.array([cells.mean(axis=0) for cells in self.tuned(feedback)])

    def index(self, feedback: bool) -> FloatArray:
        """Return how far responses to the longest bar lie below the largest, ``(n_seeds,)``."""
        return np.array(
            [(cells.max(axis=1) - cells[:, -1]).mean() for cells in self.tuned(feedback)]
        )

    def metrics(self) -> dict[str, float]:
        """Return means over seeds, with limits of their 95 % interval."""
        numbers: dict[str, float] = {}
        rows = {
            "gabor_share": np.mean(self.measured["quality"] >= self.config.quality, axis=1),
            "gabor_quality": np.mean(self.measured["quality"], axis=1),
            "gabor_share_at_birth": np.mean(
                self.measured["quality_at_birth"] >= self.config.quality, axis=1
            ),
            "selectivity": np.mean(self.measured["selectivity"], axis=1),
            "explained_above": self.measured["explained_above"],
            "index_with_feedback": self.index(True),
            "index_without_feedback": self.index(False),
        }
        for name, values in rows.items():
            numbers[name] = float(np.mean(values))
            if len(values) > 1:
                interval = mean_interval(values)
                numbers[f"{name}_low"], numbers[f"{name}_high"] = interval.low, interval.high
        return numbers


@cache
def photographs() -> tuple[FloatArray, ...]:
    """Return the two photographs that ship with scikit-learn, grey, as the retina sends them."""
    from sklearn.datasets import load_sample_images

    return tuple(retina(image.mean(axis=2) / 255) for image in load_sample_images().images)


def cut(images: tuple[FloatArray, ...], side: int, n: int, rng: np.random.Generator) -> FloatArray:
    """Cut `n` squares ``(n, side, side)`` out of images, away from their edges."""
    squares = np.empty((n, side, side))
    for k, which in enumerate(rng.integers(len(images), size=n)):
        y, x = (rng.integers(_MARGIN, extent - side - _MARGIN) for extent in images[which].shape)
        squares[k] = images[which][y : y + side, x : x + side]
    return squares


def bars(gabor: Gabor, offset: int, side: int, lengths: tuple[float, ...]) -> FloatArray:
    """Return bars ``(n, side, side)`` that lie on a cell's field, as it likes them but in length.

    Parameters
    ----------
    gabor : Gabor
        The field, in pixels of its module.
    offset : int [pixels]
        Where the module begins.
    side : int [pixels]
        Of the images.
    lengths : tuple of float [pixels]
    """
    rows, columns = np.mgrid[:side, :side]
    x, y = columns - gabor.x - offset, rows - gabor.y - offset
    u = np.cos(gabor.theta) * x + np.sin(gabor.theta) * y
    v = -np.sin(gabor.theta) * x + np.cos(gabor.theta) * y
    crest = -gabor.phase / (2 * np.pi * gabor.frequency)  # Where the wave is highest.
    width = 0.5 / gabor.frequency
    across = _soft(np.abs(u - crest), width / 2)
    return np.stack([across * _soft(np.abs(v), length / 2) for length in lengths])


def _soft(distance: FloatArray, half: float) -> FloatArray:
    """Return 1 within, 0 without, and a slope of one pixel between."""
    return np.clip(half - distance + 0.5, 0, 1)


def run_seed(config: Config, seed: int) -> Arrays:
    """Let one hierarchy learn, fit its fields, and show its cells bars.

    Returns
    -------
    dict of str to ndarray
        ``fields (n_lower, side * side)``; ``quality (n_lower,)``, ``quality_at_birth``, shares of
        variance that a Gabor explains after and before learning, 0 for a wave longer than the
        field; ``selectivity (n_lower,)``; ``explained_above``, share of the lower level's mean
        square that is predicted from above in images; and what `respond` returns.
    """
    streams, c = Streams(seed), config.hierarchy
    hierarchy = VisualHierarchy(c, streams.generator("end_stopping/birth"))
    born = [fit_gabor(each, c.side)[1] for each in hierarchy.fields.T]
    draw = streams.generator("end_stopping/images")
    if config.source == "photographs":
        images = photographs()
    else:
        images = tuple(retina(dead_leaves(256, draw)) for _ in range(6))
    for k in range(config.n_batches):
        percept = hierarchy.perceive(cut(images, c.field, config.batch, draw))
        hierarchy.learn(percept, pace=1 / (1 + 3 * k / config.n_batches))
    percept = hierarchy.perceive(cut(images, c.field, 200, draw))
    left = np.mean(percept.error_above**2) / np.mean(percept.lower**2)
    fits = [fit_gabor(each, c.side) for each in hierarchy.fields.T]
    waves = [gabor.frequency * c.side >= 1 for gabor, _ in fits]
    return {
        "fields": hierarchy.fields.T.copy(),
        "quality": np.where(waves, [explained for _, explained in fits], 0.0),
        "quality_at_birth": np.array(born),
        "selectivity": orientation_selectivity(hierarchy.fields.T, c.side),
        "explained_above": np.array(1 - left),
        **respond(config, hierarchy, [gabor for gabor, _ in fits]),
    }


def respond(config: Config, hierarchy: VisualHierarchy, gabors: list[Gabor]) -> Arrays:
    """Show each cell of the middle module bars of growing length on its field.

    Returns
    -------
    dict of str to ndarray
        ``with_feedback``, ``without_feedback (n_lower, n_lengths)``: what its error cell fires.
    """
    c = config.hierarchy
    middle, offset = c.modules**2 // 2, (c.modules // 2) * c.shift
    fired: Arrays = {}
    for name, feedback in (("with_feedback", True), ("without_feedback", False)):
        rows = []
        for cell, gabor in enumerate(gabors):
            shown = config.contrast * bars(gabor, offset, c.field, config.lengths)
            rows.append(np.abs(hierarchy.perceive(shown, feedback).error_above[:, middle, cell]))
        fired[name] = np.array(rows)
    return fired


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Result:
    """Run every seed.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator, optional
        Not used: each seed has streams of its own.
    recorder : Recorder, optional
    tick : callable
        Called after each seed.
    shelf : Path, optional
        Folder in which the seeds that are finished outlive an interruption.
    """
    jobs = [(config, seed) for seed in config.seeds]
    rows: list[Arrays] = run_jobs(
        run_seed, jobs, config.workers, tick, shelf, pack_arrays, unpack_arrays
    )
    measured = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    if recorder is not None:
        recorder.store("lengths", np.array(config.lengths), "pixel", ("length",))
        dims = {"fields": ("cell", "pixel")}
        for name, values in measured.items():
            inner = dims.get(name, ("cell", "length")[: values.ndim - 1])
            recorder.store(name, values, "", ("seed", *inner))
    return Result(config, measured)


def plot(result: Result, axes: Axes) -> None:
    """Draw the fields of the first seed, and responses over the length of a bar beside them."""
    axes.set_axis_off()
    side = result.config.hierarchy.side
    fields, quality = result.measured["fields"][0], result.measured["quality"][0]
    across, step = 6, side + 2
    order = np.argsort(-quality)
    sheet = np.full((-(-len(fields) // across) * step, across * step), np.nan)
    for place, cell in enumerate(order):
        y, x = (k * step for k in divmod(place, across))
        square = fields[cell].reshape(side, side)
        sheet[y : y + side, x : x + side] = square / np.abs(square).max()
    left = axes.inset_axes((0, 0, 0.42, 0.94))
    left.imshow(sheet, cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
    left.set_axis_off()
    n = int((quality >= result.config.quality).sum())
    left.set_title(f"{n} of {len(fields)} fields are Gabors", fontsize=10)
    right = axes.inset_axes((0.56, 0.12, 0.44, 0.66))
    for feedback, colour, name in ((True, "#0072B2", "with"), (False, "#D55E00", "without")):
        tuning = result.tuning(feedback)
        right.plot(
            result.config.lengths, tuning.mean(axis=0), color=colour, label=f"{name} feedback"
        )
        if len(tuning) > 1:
            intervals = [mean_interval(column) for column in tuning.T]
            low, high = [i.low for i in intervals], [i.high for i in intervals]
            right.fill_between(result.config.lengths, low, high, color=colour, alpha=0.2, lw=0)
    right.axvline(side, color="0.4", lw=1, ls=":", label=f"side of a field, {side} pixels")
    right.set_ylim(0, 1.05)
    label(right.xaxis, "length of the bar", "pixels")
    label(right.yaxis, "response of error cells", "of the largest")
    shaded = len(result.config.seeds) > 1
    title = "mean and 95 % interval over seeds" if shaded else None
    right.legend(fontsize=8, title=title, title_fontsize=8, loc="lower left", bbox_to_anchor=(0, 1))
