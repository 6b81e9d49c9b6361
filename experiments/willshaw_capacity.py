"""How many bits does a Willshaw synapse hold? One bit each, measured against ln 2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from circuits.willshaw_matrix import WillshawMatrix, WillshawMatrixConfig
from neurosim.codes import SparseCode
from neurosim.errors import ConfigError
from neurosim.metrics import mean_interval
from neurosim.plotting import SHADES, label, points
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from neurosim.seeds import in_processes
from neurosim.theory import (
    WILLSHAW_LIMIT,
    transinformation,
    willshaw_capacity,
    willshaw_information,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FINEST = 60
"""Largest number of active cells looked at for the best one; it follows log2 n."""

expected = {
    "bits_per_synapse": (0.5, "this project's bar: at the optimum, one false cell a recall"),
    "limit": (WILLSHAW_LIMIT, "Willshaw, Buneman & Longuet-Higgins (1969) Nature 222:960"),
}


@dataclass(frozen=True)
class Config:
    """Sizes, loads and statistics.

    Parameters
    ----------
    sizes : tuple of int
        Cells on each side of a matrix, 16 or more.
    fill : tuple of float
        Loads, in units of the pairs that theory gives for one false cell a recall.
    n_cues : int
        Pairs recalled at each load.
    seeds : tuple of int
    workers : int
        Processes at a time; 0 for one a processor.
    """

    sizes: tuple[int, ...] = (512, 1024, 2048)
    fill: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
    n_cues: int = 500
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    workers: int = 0

    def __post_init__(self) -> None:
        if not self.sizes or min(self.sizes) < 16:
            raise ConfigError.expected(self, "sizes", "16 cells or more", self.sizes, "raise them")
        if list(self.fill) != sorted(set(self.fill)) or 1.0 not in self.fill or self.fill[0] <= 0:
            raise ConfigError.expected(
                self, "fill", "ascending loads above 0, 1 among them", self.fill, "reorder them"
            )
        if self.n_cues < 1 or not self.seeds:
            raise ConfigError.expected(
                self, "n_cues", "one cue and one seed or more", self.n_cues, "raise it"
            )


def best_k(n_units: int) -> int:
    """Return the number of active cells at which theory gives most information."""
    finest = range(2, min(FINEST, n_units // 2))
    return max(finest, key=lambda k: willshaw_capacity(n_units, k).bits_per_synapse)


@dataclass(frozen=True)
class Result:
    """What was read out.

    Parameters
    ----------
    config : Config
    k : (n_sizes,) int
        Active cells of a code.
    n_pairs : (n_sizes, n_loads) int
        Pairs stored.
    false_cells : (n_seeds, n_sizes, n_loads) float
        Mean number of false cells a recall; no cell is ever missed.
    bits : (n_seeds, n_sizes, n_loads) float [bit]
        Information a synapse.
    load : (n_seeds, n_sizes, n_loads) float
        Fraction of synapses potentiated.
    """

    config: Config
    k: NDArray[np.int64]
    n_pairs: NDArray[np.int64]
    false_cells: NDArray[np.float64]
    bits: NDArray[np.float64]
    load: NDArray[np.float64]

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers, at one expected false cell."""
        at = self.config.fill.index(1.0)
        values: dict[str, float] = {}
        for place, n in enumerate(self.config.sizes):
            k, bits = int(self.k[place]), mean_interval(self.bits[:, place, at])
            theory = willshaw_information(float(self.n_pairs[place, at]), n, n, k, k)
            values |= {
                f"k_{n}": float(k),
                f"bits_per_synapse_{n}": bits.mean,
                f"bits_per_synapse_{n}_low": bits.low,
                f"bits_per_synapse_{n}_high": bits.high,
                f"theory_{n}": theory,
                f"false_cells_{n}": float(self.false_cells[:, place, at].mean()),
                f"load_{n}": float(self.load[:, place, at].mean()),
            }
        return values | {"bits_per_synapse": values[f"bits_per_synapse_{self.config.sizes[-1]}"]}


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
) -> Result:
    """Fill matrices with random pairs and read some of them out at each load.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator, optional
        Not used: each matrix draws from its own seed.
    recorder : Recorder, optional
    tick : callable
        Called after each matrix.
    """
    k = np.array([best_k(n) for n in config.sizes])
    full = [willshaw_capacity(n, int(a)).n_patterns for n, a in zip(config.sizes, k, strict=True)]
    n_pairs = np.rint(np.outer(full, config.fill)).astype(np.int64)
    jobs = [
        (seed, n, int(k[place]), n_pairs[place].tolist(), config.n_cues)
        for seed in config.seeds
        for place, n in enumerate(config.sizes)
    ]
    measured = np.array(in_processes(fill_matrix, jobs, config.workers, tick))
    shape = (len(config.seeds), len(config.sizes), len(config.fill), 3)
    result = Result(config, k, n_pairs, *np.moveaxis(measured.reshape(shape), -1, 0))
    if recorder is not None:
        dims = ("seed", "size", "load")
        recorder.store("n_pairs", n_pairs, "pairs", dims[1:])
        recorder.store("bits_per_synapse", result.bits, "bit", dims)
        recorder.store("false_cells", result.false_cells, "cells", dims)
        recorder.store("potentiated", result.load, "", dims)
    return result


def fill_matrix(
    seed: int, n_units: int, k: int, n_pairs: list[int], n_cues: int
) -> NDArray[np.float64]:
    """Return false cells, bits a synapse and load ``(n_loads, 3)`` of one matrix as it fills."""
    rng = Streams(seed).generator("willshaw_matrix", n_units, k)
    matrix = WillshawMatrix(WillshawMatrixConfig(n_units, n_units))
    a, rows, stored = k / n_units, [], 0
    first: list[NDArray[np.int64]] = []
    for total in n_pairs:
        while stored < total:  # In blocks, so that memory does not grow with the load.
            n = min(total - stored, 50_000)
            pre, post = distinct_cells(n, n_units, k, rng), distinct_cells(n, n_units, k, rng)
            matrix.store_many(pre, post)
            first = first or [pre[:n_cues], post[:n_cues]]
            stored += n
        recalled = [matrix.recall(SparseCode(np.sort(cue), n_units)) for cue in first[0]]
        missed = [
            k - np.isin(post, code.active).sum()
            for post, code in zip(first[1], recalled, strict=True)
        ]
        n_false = float(np.mean([len(code) - k for code in recalled]) + np.mean(missed))
        miss = float(np.mean(missed)) / k
        bits = total * transinformation(a, miss, n_false / (n_units - k)) / n_units
        rows.append((n_false, bits, matrix.load()))
    return np.array(rows)


def distinct_cells(
    n_codes: int, n_units: int, k: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw k distinct cells for each code ``(n_codes, k)``."""
    cells = rng.integers(n_units, size=(n_codes, k))
    while True:
        ordered = np.sort(cells, axis=1)
        again = np.flatnonzero((np.diff(ordered, axis=1) == 0).any(axis=1))
        if not again.size:
            return cells
        cells[again] = rng.integers(n_units, size=(again.size, k))


def plot(result: Result, axes: Axes) -> None:
    """Draw bits a synapse against load, measured over theory, size by size."""
    fill = np.array(result.config.fill)
    fine = np.linspace(fill[0], fill[-1], 100)
    for place, n in enumerate(result.config.sizes):
        shade, k = SHADES[place % len(SHADES)], int(result.k[place])
        points(axes, fill, result.bits[:, place], f"{n:,} cells, k = {k}", shade)
        full = willshaw_capacity(n, k).n_patterns
        theory = [willshaw_information(f * full, n, n, k, k) for f in fine]
        axes.plot(fine, theory, color=shade, linewidth=1)
    axes.plot([], [], color="grey", linewidth=1, label="theory of that size")
    axes.axhline(WILLSHAW_LIMIT, color="black", linestyle=":", label="ln 2: infinitely many cells")
    label(axes.xaxis, "load", "pairs over those with one false cell a recall")
    label(axes.yaxis, "information", "bits a synapse")
    axes.set_ylim(0, 0.75)
    axes.legend(loc="lower right")
