"""Where does a Hopfield network lose its memories at once? The 0.138 of theory, measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, stdtrit

from circuits.hopfield import Hopfield, HopfieldConfig
from neurosim.errors import ConfigError
from neurosim.jobs import run_jobs
from neurosim.metrics import Interval, mean_interval
from neurosim.plotting import SHADES, label, points
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from neurosim.theory import hopfield_capacity, hopfield_overlap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HELD = 0.7
"""Between the overlap of a kept memory (0.97 and more) and of a lost one (0.3 to 0.4)."""

expected = {
    "capacity": (0.138, "Amit, Gutfreund & Sompolinsky (1985) Phys. Rev. Lett. 55:1530"),
    "overlap_at_capacity": (0.967, "Amit, Gutfreund & Sompolinsky (1987) Ann. Phys. 173:30"),
}


@dataclass(frozen=True)
class Config:
    """Sizes, loads and statistics.

    Parameters
    ----------
    sizes : tuple of int
        Cells of each network, ascending, two or more: where their curves cross is the transition.
    loads : tuple of float
        Patterns over cells.
    n_cues : int
        Patterns recalled from themselves in each network.
    seeds : tuple of int
    workers : int
        Processes at a time; 0 for one a processor.
    """

    sizes: tuple[int, ...] = (1000, 2000)
    loads: tuple[float, ...] = (0.12, 0.13, 0.14, 0.15, 0.16, 0.17)
    n_cues: int = 50
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    workers: int = 0

    def __post_init__(self) -> None:
        if len(self.sizes) < 2 or list(self.sizes) != sorted(set(self.sizes)):
            raise ConfigError.expected(
                self, "sizes", "two or more, ascending", self.sizes, "give 1000,2000"
            )
        if len(self.loads) < 3 or min(self.loads) <= 0:
            raise ConfigError.expected(
                self, "loads", "three or more above 0", self.loads, "give loads about 0.14"
            )
        if self.n_cues < 1 or not self.seeds:
            raise ConfigError.expected(
                self, "n_cues", "one cue and one seed or more", self.n_cues, "raise it"
            )


@dataclass(frozen=True)
class Result:
    """Overlaps after recall.

    Parameters
    ----------
    config : Config
    overlaps : (n_seeds, n_sizes, n_loads, n_cues) float
        Between the state a recall ended in and the pattern it started from.
    """

    config: Config
    overlaps: NDArray[np.float64]

    def held(self) -> NDArray[np.float64]:
        """Return the share of memories kept ``(n_seeds, n_sizes, n_loads)``."""
        return (self.overlaps > HELD).mean(axis=-1)

    def half_points(self) -> NDArray[np.float64]:
        """Return the load at which half the memories are kept ``(n_seeds, n_sizes)``."""
        fits = [self._fits(self.overlaps[s : s + 1]) for s in range(len(self.overlaps))]
        return np.array([[centre for centre, _ in fit] for fit in fits])

    def crossing(self) -> Interval:
        """Return the load at which the share kept does not depend on size: the transition.

        Below it the share rises with the size, above it it falls. The two largest sizes are
        used; the interval is a jackknife's, leaving out one seed at a time (Tukey 1958).
        """
        whole = _cross(self._fits(self.overlaps))
        n = len(self.overlaps)
        if n < 2:
            return mean_interval([whole])
        left_out = np.array(
            [_cross(self._fits(np.delete(self.overlaps, s, axis=0))) for s in range(n)]
        )
        error = np.sqrt((n - 1) * np.var(left_out))
        half = float(stdtrit(n - 1, 0.975) * error)
        return Interval(whole, whole - half, whole + half, n)

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers."""
        crossing = self.crossing()
        below = min(range(len(self.config.loads)), key=lambda k: self.config.loads[k])
        values = {
            "capacity": crossing.mean,
            "capacity_low": crossing.low,
            "capacity_high": crossing.high,
            "theory": hopfield_capacity(),
            "overlap_at_lowest_load": float(self.overlaps[:, -1, below].mean()),
        }
        for size, halves in zip(self.config.sizes, self.half_points().T, strict=True):
            values[f"half_kept_{size}"] = float(halves.mean())
        return values

    def _fits(self, overlaps: NDArray[np.float64]) -> list[tuple[float, float]]:
        kept = (overlaps > HELD).mean(axis=(0, 3))
        return [_logistic(np.array(self.config.loads), row) for row in kept]


def _logistic(loads: NDArray[np.float64], kept: NDArray[np.float64]) -> tuple[float, float]:
    """Fit ``kept = 1 / (1 + exp((load - centre) / width))`` by likelihood."""

    def loss(point: NDArray[np.float64]) -> float:
        share = np.clip(expit(-(loads - point[0]) / np.exp(point[1])), 1e-9, 1 - 1e-9)
        return -float((kept * np.log(share) + (1 - kept) * np.log(1 - share)).sum())

    found = minimize(loss, (0.15, np.log(0.01)), method="Nelder-Mead", options={"maxiter": 2000})
    return float(found.x[0]), float(np.exp(found.x[1]))


def _cross(fits: list[tuple[float, float]]) -> float:
    """Return the load at which the curves of the two largest sizes cross; NaN if they do not."""
    (small, wide), (large, narrow) = fits[-2:]
    if wide == narrow:
        return math.nan
    return (large * wide - small * narrow) / (wide - narrow)


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Result:
    """Store random patterns at each load, recall some from themselves.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator, optional
        Not used: each network draws from its own seed.
    recorder : Recorder, optional
    tick : callable
        Called after each network.
    shelf : Path, optional
        Folder that keeps what is finished when a run is interrupted, for the next one.
    """
    shape = (len(config.seeds), len(config.sizes), len(config.loads))
    jobs = [
        (seed, size, load, config.n_cues)
        for seed in config.seeds
        for size in config.sizes
        for load in config.loads
    ]
    overlaps = np.array(run_jobs(recall_overlaps, jobs, config.workers, tick, shelf))
    result = Result(config, overlaps.reshape(*shape, config.n_cues))
    if recorder is not None:
        recorder.store("overlap", result.overlaps, "", ("seed", "size", "load", "cue"))
        recorder.store("load", np.array(config.loads), "", ("load",))
        recorder.store("size", np.array(config.sizes), "cells", ("size",))
    return result


def recall_overlaps(seed: int, n_units: int, load: float, n_cues: int) -> NDArray[np.float64]:
    """Return the overlaps ``(n_cues,)`` in one network."""
    n_patterns = max(1, round(load * n_units))
    rng = Streams(seed).generator("hopfield", n_units, n_patterns)
    patterns = rng.choice(np.array([-1, 1], dtype=np.int8), (n_patterns, n_units))
    net = Hopfield(HopfieldConfig(n_units))
    net.store(patterns)
    cues = patterns[np.arange(n_cues) % n_patterns]
    return np.array([net.recall(x, rng).state @ x.astype(np.float64) / n_units for x in cues])


def plot(result: Result, axes: Axes) -> None:
    """Draw the share of memories kept against load, size by size, and the theory's transition."""
    loads = np.array(result.config.loads)
    for k, size in enumerate(result.config.sizes):
        shade = SHADES[k % len(SHADES)]
        points(axes, loads, result.held()[:, k], f"measured, {size:,} cells", shade, "o-")
    fine = np.linspace(loads.min(), loads.max(), 400)
    predicted = [hopfield_overlap(a) > HELD for a in fine]
    axes.plot(fine, predicted, color="black", label="theory, infinitely many cells")
    crossing = result.crossing().mean
    axes.axvline(crossing, color="#CC6677", linestyle=":", label=f"curves cross at {crossing:.3f}")
    label(axes.xaxis, "load", "patterns a cell")
    axes.set_ylabel(f"share of memories kept (overlap > {HELD})")
    axes.set_ylim(-0.03, 1.05)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)  # No corner is free of curves.
