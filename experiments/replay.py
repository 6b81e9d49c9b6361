"""Does CA3 reactivate all it holds by itself, when nothing cues it? With and without adaptation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from circuits.ca3 import CA3, CA3Config
from neurosim.codes import SparseCode
from neurosim.errors import check_counts
from neurosim.jobs import run_jobs
from neurosim.metrics import mean_interval
from neurosim.plotting import label, points
from neurosim.randomness import Streams
from neurosim.recorder import Recorder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VALID = 0.95
"""Overlap from which a burst counts as a visit to a memory."""

ARMS = {"adapting": "#332288", "no adaptation": "#CC6677"}

expected = {
    "visited": (0.95, "this project's bar: of 100 memories in 1,000 bursts"),
    "valid": (0.95, "this project's bar: overlap of a burst with a memory"),
}


@dataclass(frozen=True)
class Config:
    """Network, memories and bursts.

    Parameters
    ----------
    n_units, fan_in : int
        Cells, and recurrent synapses a cell.
    n_memories : int
        Random patterns stored.
    n_bursts : int
        Spontaneous bursts.
    seeds : tuple of int
    workers : int
        Processes at a time; 0 for one a processor.
    """

    n_units: int = 4096
    fan_in: int = 1024
    n_memories: int = 100
    n_bursts: int = 1000
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    workers: int = 0

    def __post_init__(self) -> None:
        check_counts(self, "n_memories", "n_bursts")
        check_counts(self, "seeds", least=0)
        self.circuit()

    def circuit(self) -> CA3Config:
        """Return the configuration of CA3."""
        return CA3Config(n_units=self.n_units, fan_in=self.fan_in)


@dataclass(frozen=True)
class Result:
    """The bursts.

    Parameters
    ----------
    config : Config
    memory : (n_seeds, n_arms, n_bursts) int
        The memory nearest to each burst.
    overlap : (n_seeds, n_arms, n_bursts) float
        Its overlap with the burst.
    """

    config: Config
    memory: NDArray[np.int64]
    overlap: NDArray[np.float64]

    def visited(self) -> NDArray[np.float64]:
        """Return the share of memories visited so far ``(n_seeds, n_arms, n_bursts)``."""
        first_time = np.zeros(self.memory.shape)
        for place in np.ndindex(self.memory.shape[:2]):
            valid = np.flatnonzero(self.overlap[place] >= VALID)
            _, first = np.unique(self.memory[place][valid], return_index=True)
            first_time[place][valid[first]] = 1
        return np.cumsum(first_time, axis=-1) / self.config.n_memories

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers, the adapting arm's without a prefix."""
        values: dict[str, float] = {}
        visited, valid = self.visited(), self.overlap >= VALID
        for a, arm in enumerate(ARMS):
            prefix = "" if a == 0 else f"{arm.replace(' ', '_')}_"
            shares = {"visited": visited[:, a, -1], "valid": valid[:, a].mean(axis=-1)}
            for name, share in shares.items():
                interval = mean_interval(share)
                values[prefix + name] = interval.mean
                values |= {
                    f"{prefix}{name}_low": interval.low,
                    f"{prefix}{name}_high": interval.high,
                }
            to_all = [_bursts_until(row, 0.95) for row in visited[:, a]]
            values[f"{prefix}bursts_to_95"] = float(np.mean(to_all))
        return values


def _bursts_until(visited: NDArray[np.float64], share: float) -> float:
    reached = np.flatnonzero(visited >= share)
    return float(reached[0] + 1) if reached.size else float("nan")


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Result:
    """Store memories, let the network burst by itself, with adaptation and without.

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
    jobs = [(seed, config, arm) for seed in config.seeds for arm in ARMS]
    bursts = np.array(run_jobs(burst, jobs, config.workers, tick, shelf))
    bursts = bursts.reshape(len(config.seeds), len(ARMS), 2, config.n_bursts)
    result = Result(config, bursts[:, :, 0].astype(np.int64), bursts[:, :, 1])
    if recorder is not None:
        recorder.store("memory", result.memory, "", ("seed", "arm", "burst"))
        recorder.store("overlap", result.overlap, "", ("seed", "arm", "burst"))
    return result


def burst(seed: int, config: Config, arm: str) -> NDArray[np.float64]:
    """Return nearest memory and overlap ``(2, n_bursts)`` of each burst of one network."""
    rng = Streams(seed).generator("replay", config.n_units, config.n_memories)
    circuit = config.circuit()
    net = CA3(circuit if arm == "adapting" else replace(circuit, adaptation=0.0), rng)
    codes = [SparseCode.random(config.n_units, circuit.k, rng) for _ in range(config.n_memories)]
    for code in codes:
        net.store(code)
    overlaps = [
        [recall.code.overlap(code) for code in codes] for recall in net.replay(config.n_bursts, rng)
    ]
    return np.array([np.argmax(overlaps, axis=1), np.max(overlaps, axis=1)])


def plot(result: Result, axes: Axes) -> None:
    """Draw the share of memories visited burst by burst."""
    bursts = np.arange(1, result.config.n_bursts + 1)
    visited = result.visited()
    for a, (arm, colour) in enumerate(ARMS.items()):
        points(axes, bursts, visited[:, a], arm, colour, "-")
    axes.axhline(0.95, color="black", linestyle=":", label="bar: 95 %")
    label(axes.xaxis, "spontaneous bursts")
    axes.set_ylabel(f"share of memories visited (overlap {VALID} and more)")
    axes.set_xscale("log")
    axes.set_ylim(0, 1.03)
    axes.legend(loc="lower right")
