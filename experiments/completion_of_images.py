"""Half-covered images completed by the predictive-coding cortex and by the best linear decoder."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from circuits.bidirectional import BidirectionalConfig
from circuits.predictive_cortex import PredictiveCortex
from circuits.predictive_cortex_config import PredictiveCortexConfig
from experiments.comparison import check_names
from neurosim import datasets
from neurosim.hdf5 import Arrays
from neurosim.jobs import pack_arrays, run_jobs, unpack_arrays
from neurosim.metrics import mean_interval
from neurosim.optimisers import Optimiser
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from neurosim.training import batches, cosine

Images = NDArray[np.float32]
Mask = NDArray[np.bool_]

HALVES = ("lower", "upper", "right", "left")
PENALTIES = tuple(10.0 ** (k / 2) for k in range(-4, 9))
N_SHOWN = 10

expected = {
    "below_linear": (1.0, "this project's bar: every half completed better than linearly"),
    "accuracy": (0.98, "Whittington & Bogacz (2017), Table 1: PC at 98.3 % on MNIST"),
}


@dataclass(frozen=True)
class Config:
    """Which images, which cortex.

    Parameters
    ----------
    source : str
        "digits", which ships with scikit-learn, or "mnist" or "fashion", which need NEUROSIM_DATA.
    n_train : int
        Training images, the first of the set; 0 for all.
    cortex : PredictiveCortexConfig
        The sizes of its ends follow from the images, its seed from the run's.
    n_epochs, batch : int
        With a learning rate that falls as half a cosine.
    seeds : tuple of int
        Runs; each draws other first weights and another order.
    workers : int
        Processes at a time; 0 for one a processor.
    """

    source: str = "digits"
    n_train: int = 0
    cortex: PredictiveCortexConfig = field(
        default_factory=lambda: PredictiveCortexConfig(
            network=BidirectionalConfig(sizes=(64, 512, 10), optimiser=Optimiser("adam", eta=3e-3))
        )
    )
    n_epochs: int = 60
    batch: int = 32
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    workers: int = 0

    def __post_init__(self) -> None:
        check_names(self, "source", (self.source,), datasets.NAMES)


SLOW = Config(
    source="mnist",
    cortex=PredictiveCortexConfig(
        network=BidirectionalConfig(sizes=(784, 512, 10), optimiser=Optimiser("adam", eta=3e-3))
    ),
    n_epochs=6,
    batch=128,
    seeds=(0,),
)


@dataclass(frozen=True)
class Result:
    """Errors and pictures.

    Parameters
    ----------
    config : Config
    measured : dict of str to (n_seeds, ...) float64
        What `run_seed` returns.
    linear : dict of str to (...) float64
        What `decode` returns.
    """

    config: Config
    measured: dict[str, NDArray[np.float64]]
    linear: dict[str, NDArray[np.float64]]

    def metrics(self) -> dict[str, float]:
        """Return means over seeds, with limits of their 95 % interval where there are several."""
        numbers: dict[str, float] = {}
        below = []
        for k, half in enumerate(HALVES):
            ours, linear = self.measured["errors"][:, k], float(self.linear["errors"][k])
            numbers[f"error_{half}"] = float(ours.mean())
            if len(ours) > 1:
                interval = mean_interval(ours)
                numbers[f"error_{half}_low"] = interval.low
                numbers[f"error_{half}_high"] = interval.high
            numbers[f"linear_{half}"] = linear
            numbers[f"ratio_{half}"] = float(ours.mean()) / linear
            below.append(numbers[f"ratio_{half}"] < 1)
        numbers["below_linear"] = float(np.mean(below))
        for name in ("accuracy", "accuracy_covered", "dreams_recognised", "active"):
            numbers[name] = float(self.measured[name].mean())
        return numbers


@cache
def images_of(
    source: str, n_train: int
) -> tuple[Images, NDArray[np.intp], Images, NDArray[np.intp]]:
    """Return training images ``(n, n_pixels)``, 0..1, and labels, then those of the test."""
    loaded = datasets.load(source)
    n = n_train or len(loaded.train_images)

    def grey(images: NDArray[np.uint8]) -> Images:
        return (images.reshape(len(images), -1) / 255).astype(np.float32)

    train, test = grey(loaded.train_images[:n]), grey(loaded.test_images)
    labels, truth = (part.astype(np.intp) for part in (loaded.train_labels[:n], loaded.test_labels))
    return train, labels, test, truth


def visible(half: str, n_pixels: int) -> Mask:
    """Return which pixels are seen when a half of the image is covered."""
    side = math.isqrt(n_pixels)
    row, column = np.divmod(np.arange(n_pixels), side)
    at = row if half in ("lower", "upper") else column
    first = at < side // 2
    return first if half in ("lower", "right") else ~first


def decode(source: str, n_train: int) -> Arrays:
    """Complete the test images by ridge regression from the visible to the covered pixels.

    One decoder a half; its penalty is chosen on the last sixth of the training images, then it is
    fitted to all of them. What it says is clipped to 0..1, which helps it.

    Returns
    -------
    dict of str to ndarray
        ``errors (n_halves,)``, mean squares over covered pixels; ``shown (n_shown, n_pixels)``, the
        first test images completed from their upper half.
    """
    train, _, test, _ = images_of(source, n_train)
    n = len(train) * 5 // 6
    errors, shown = [], test[:0]
    for half in HALVES:
        seen = visible(half, train.shape[1])
        x, t = (np.column_stack([part[:, seen], np.ones(len(part))]) for part in (train, test))
        y = train[:, ~seen].astype(np.float64)
        fits = {p: _ridge(x[:n], y[:n], p) for p in PENALTIES}
        best = min(PENALTIES, key=lambda p: float(np.mean((x[n:] @ fits[p] - y[n:]) ** 2)))
        filled = np.clip(t @ _ridge(x, y, best), 0, 1)
        errors.append(np.mean((filled - test[:, ~seen]) ** 2))
        if half == "lower":
            shown = test[:N_SHOWN].copy()
            shown[:, ~seen] = filled[:N_SHOWN]
    return {"errors": np.array(errors), "shown": shown}


def _ridge(x: NDArray[np.float64], y: NDArray[np.float64], penalty: float) -> NDArray[np.float64]:
    return np.asarray(np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y))


def run_seed(config: Config, seed: int) -> Arrays:
    """Let one cortex learn the images, then complete, name and dream.

    Returns
    -------
    dict of str to ndarray
        ``errors (n_halves,)``, mean squares over covered pixels of test images; ``accuracy``, and
        ``accuracy_covered`` with the lower half covered; ``dreams_recognised``, share of dreams of
        a class that a linear classifier of real images takes for it; ``active``, share of hidden
        units; ``shown`` and ``dreams``, images ``(n, n_pixels)``.
    """
    train, labels, test, truth = images_of(config.source, config.n_train)
    cortex = PredictiveCortex(config.cortex)
    rng = Streams(seed).generator("completion_of_images/order")
    n_steps, step = config.n_epochs * -(-len(train) // config.batch), 0
    for _ in range(config.n_epochs):
        for chosen in batches(len(train), config.batch, rng):
            cortex.study(train[chosen], labels[chosen], pace=cosine(step / n_steps))
            step += 1
    errors, shown, covered = [], test[:0], np.zeros(0)
    for half in HALVES:
        seen = np.broadcast_to(visible(half, train.shape[1]), test.shape)
        filled = cortex.complete(test, seen)
        errors.append(np.mean((filled - test)[~seen] ** 2))
        if half == "lower":
            shown = filled[:N_SHOWN]
            covered = cortex.scores(test * seen).argmax(axis=1)
    classes = np.repeat(np.arange(cortex.n_classes), 20)
    dreams = cortex.generate(classes, Streams(seed).generator("completion_of_images/dreams"))
    judge = _ridge(
        np.column_stack([train, np.ones(len(train))]).astype(np.float64),
        np.eye(cortex.n_classes)[labels], 10.0,
    )  # fmt: skip
    taken_for = (np.column_stack([dreams, np.ones(len(dreams))]) @ judge).argmax(axis=1)
    hidden = cortex.network.activity(1, cortex.network.sweep(test)[1])[0]
    return {
        "errors": np.array(errors),
        "accuracy": np.array(np.mean(cortex.classify(test) == truth)),
        "accuracy_covered": np.array(np.mean(covered == truth)),
        "dreams_recognised": np.array(np.mean(taken_for == classes)),
        "active": np.array(np.mean(hidden > 0)),
        "shown": shown,
        "dreams": dreams[::20],
        "more_dreams": dreams[1::20],
    }


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Result:
    """Let a cortex of each seed learn, and fit the linear decoders once.

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
    train, labels, test, _ = images_of(config.source, config.n_train)
    sizes = (train.shape[1], *config.cortex.network.sizes[1:-1], int(labels.max()) + 1)
    network = replace(config.cortex.network, sizes=sizes)
    jobs = []
    for seed in config.seeds:
        cortex = replace(config.cortex, network=network, seed=seed)
        jobs.append((replace(config, cortex=cortex, seeds=(), workers=0), seed))
    rows: list[Arrays] = run_jobs(
        run_seed, jobs, config.workers, tick, shelf, pack_arrays, unpack_arrays
    )
    measured = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    linear = decode(config.source, config.n_train)
    linear["original"] = test[:N_SHOWN]
    if recorder is not None:
        for name, values in measured.items():
            inner = ("half",) if name == "errors" else ("image", "pixel")
            recorder.store(f"cortex/{name}", values, "", ("seed", *inner)[: values.ndim])
        for name, values in linear.items():
            inner = ("half",) if name == "errors" else ("image", "pixel")
            recorder.store(f"linear/{name}", values, "", inner)
    return Result(config, measured, linear)


def plot(result: Result, axes: Axes) -> None:
    """Draw test images, covered, completed linearly and by the first cortex, and its dreams."""
    original = result.linear["original"]
    n_pixels = original.shape[1]
    covered = np.where(visible("lower", n_pixels), original, np.nan)
    rows = {
        "original": original,
        "covered": covered,
        f"linear\n{result.linear['errors'][0]:.4f}": result.linear["shown"],
        f"cortex\n{result.measured['errors'][:, 0].mean():.4f}": result.measured["shown"][0],
        "dreams of\nclasses 0 to 9": result.measured["dreams"][0],
        "other dreams\nof the same": result.measured["more_dreams"][0],
    }
    side, gap = math.isqrt(n_pixels), max(1, math.isqrt(n_pixels) // 8)
    step = side + gap
    sheet = np.full((len(rows) * step - gap, N_SHOWN * step - gap), np.nan)
    for r, (name, pictures) in enumerate(rows.items()):
        for k, picture in enumerate(pictures):
            sheet[r * step : r * step + side, k * step : k * step + side] = picture.reshape(
                side, side
            )
        axes.text(-gap, r * step + side / 2, name, ha="right", va="center", fontsize=9)
    axes.imshow(sheet, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(
        f"Test images of {result.config.source}, their lower halves covered and completed\n"
        "(numbers: mean squared error of a pixel of the lower half, over all test images)",
        fontsize=9,
    )
