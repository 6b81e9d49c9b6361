"""Does CA3 replay sequences in order, forward and in reverse; how fast; and at a branch?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from circuits.attractor import Recall
from circuits.ca3 import CA3, CA3Config
from neurosim.codes import SparseCode
from neurosim.errors import ConfigError
from neurosim.hdf5 import Arrays
from neurosim.jobs import pack_arrays, run_jobs, unpack_arrays
from neurosim.metrics import mean_interval
from neurosim.plotting import points
from neurosim.randomness import Streams
from neurosim.recorder import Recorder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VALID = 0.95
"""Overlap with its pattern from which a state counts as an item of the sequence."""

DIRECTIONS = {"forward": "#332288", "reverse": "#CC6677"}
STEM, ARM = 4, 4
"""Items before a branch and in each of its arms."""

expected = {
    "half_capacity_forward": (0.99, "this project's bar: 12 items in order at half capacity"),
    "half_capacity_reverse": (0.99, "this project's bar: in reverse too"),
    "compression": (
        10.0,
        "in vivo 10-20 times faster than behaviour; Lee & Wilson (2002), roughly",
    ),
}


@dataclass(frozen=True)
class Config:
    """Network, sequences and examination.

    Parameters
    ----------
    n_units, fan_in : int
        Cells, and recurrent synapses a cell in each of the three sets of synapses.
    readout : str
        Of `circuits.readouts.READOUTS`.
    length : int
        Items of a sequence, 3 or more.
    loads : tuple of float
        Items stored, ascending, as the k of k C / (a ln 1/a).
    n_replays : int
        Sequences replayed at each load, in each direction.
    strengths : tuple of int
        Times that the first arm of a branch was stored, the second once.
    n_branch_replays : int
    delay : float [s]
        Of one step from state to state; the default is the period of a ripple of 160 Hz.
    item_duration : float [s]
        How long one item lasted in behaviour, to which the speed is compared.
    seeds : tuple of int
    workers : int
        Processes at a time; 0 for one a processor.

    Raises
    ------
    ConfigError
        For counts below their least, loads that do not ascend, no seed, or a time that is not
        positive.
    """

    n_units: int = 4096
    fan_in: int = 512
    readout: str = "bayesian"
    length: int = 12
    loads: tuple[float, ...] = (0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14, 0.16, 0.18)
    n_replays: int = 8
    strengths: tuple[int, ...] = (1, 2, 3)
    n_branch_replays: int = 20
    delay: float = 0.00625
    item_duration: float = 0.5
    seeds: tuple[int, ...] = (0, 1, 2)
    workers: int = 0

    def __post_init__(self) -> None:
        for name, least in (("length", 3), ("n_replays", 1), ("n_branch_replays", 1)):
            if getattr(self, name) < least:
                raise ConfigError.expected(
                    self, name, f"{least} or more", getattr(self, name), "raise it"
                )
        if list(self.loads) != sorted(set(self.loads)) or not self.loads or self.loads[0] <= 0:
            raise ConfigError.expected(
                self, "loads", "ascending numbers above 0", self.loads, "reorder them"
            )
        if not self.seeds or not self.strengths or min(self.strengths) < 1:
            raise ConfigError.expected(
                self, "strengths", "a seed and strengths of 1 or more", self.strengths, "give 1"
            )
        if not (self.delay > 0 and self.item_duration > 0):
            raise ConfigError.expected(self, "delay", "times above 0", self.delay, "give seconds")
        self.circuit()

    def circuit(self) -> CA3Config:
        """Return the configuration of CA3."""
        return CA3Config(n_units=self.n_units, fan_in=self.fan_in, readout=self.readout)

    def n_sequences(self, load: float) -> int:
        """Return how many sequences make up a load."""
        a = self.circuit().sparsity
        return max(1, round(load * self.fan_in / (a * math.log(1 / a)) / self.length))


@dataclass(frozen=True)
class Result:
    """What was replayed.

    Parameters
    ----------
    config : Config
    in_order : (n_seeds, n_directions, n_loads) float
        Share of sequences replayed whole, in order, and ended.
    speed : (n_seeds, n_directions, n_loads) float [items a step]
        Of the sequences replayed in order; NaN if there were none.
    capacity : (n_seeds,) float
        Load at which half the sequences are replayed, both directions taken together.
    half : (n_seeds, n_directions) float
        Share of all sequences replayed in order at half that load.
    first_arm, whole_arm : (n_seeds, n_strengths) float
        At a branch: share of replays that took the first arm, and that went through to the end of
        either.
    laps : (n_seeds,) float
        Share of the steps of a cycle that were in order, three times round.
    """

    config: Config
    in_order: NDArray[np.float64]
    speed: NDArray[np.float64]
    capacity: NDArray[np.float64]
    half: NDArray[np.float64]
    first_arm: NDArray[np.float64]
    whole_arm: NDArray[np.float64]
    laps: NDArray[np.float64]

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers."""
        config = self.config
        columns = {"capacity_k": self.capacity, "cycle_in_order": self.laps}
        for d, direction in enumerate(DIRECTIONS):
            columns[f"half_capacity_{direction}"] = self.half[:, d]
            columns[f"items_per_step_{direction}"] = self.speed[:, d, 0]
        for s, strength in enumerate(config.strengths):
            columns[f"first_arm_{strength}_to_1"] = self.first_arm[:, s]
            columns[f"whole_arm_{strength}_to_1"] = self.whole_arm[:, s]
        columns["first_arm_gain"] = self.first_arm[:, -1] - self.first_arm[:, 0]
        values: dict[str, float] = {}
        for name, column in columns.items():
            interval = mean_interval(column)
            values |= {
                name: interval.mean,
                f"{name}_low": interval.low,
                f"{name}_high": interval.high,
            }
        per_second = values["items_per_step_forward"] / config.delay
        return values | {
            "items_per_ms": per_second / 1000,
            "compression": per_second * config.item_duration,
        }


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Result:
    """Store sequences at each load and replay some; then at half capacity; then branch and cycle.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator, optional
        Not used: each network draws from its own seed.
    recorder : Recorder, optional
    tick : callable
        Called after each seed.
    shelf : Path, optional
        Folder that keeps what is finished when a run is interrupted, for the next one.
    """
    jobs = [(seed, config) for seed in config.seeds]
    rows = run_jobs(one_seed, jobs, config.workers, tick, shelf, pack_arrays, unpack_arrays)
    result = Result(config, **{name: np.stack([row[name] for row in rows]) for name in rows[0]})
    if recorder is not None:
        recorder.store("in_order", result.in_order, "", ("seed", "direction", "load"))
        speed = np.nan_to_num(result.speed, nan=0.0)
        recorder.store("speed", speed, "items a step", ("seed", "direction", "load"))
        recorder.store("first_arm", result.first_arm, "", ("seed", "strength"))
        recorder.store("whole_arm", result.whole_arm, "", ("seed", "strength"))
        recorder.store("half_capacity", result.half, "", ("seed", "direction"))
        recorder.store("capacity", result.capacity, "", ("seed",))
        recorder.store("laps", result.laps, "", ("seed",))
    return result


def one_seed(seed: int, config: Config) -> Arrays:
    """Return the fields of `Result` at one seed, by name."""
    rng = Streams(seed).generator("sequences", config.n_units, config.fan_in)
    in_order, speed = _order_by_load(config, rng)
    capacity = falls_to_half(np.array(config.loads), in_order.mean(axis=0))
    net = CA3(config.circuit(), rng)
    stored = [
        _store_random(net, config.length, rng) for _ in range(config.n_sequences(capacity / 2))
    ]
    half = np.array([_examine(net, stored, reverse)[0] for reverse in (False, True)])
    drawn = [Streams(seed).generator("branch") for _ in config.strengths]  # The same network.
    arms = np.array(
        [branch(config, n, own) for n, own in zip(config.strengths, drawn, strict=True)]
    )
    return {
        "in_order": in_order,
        "speed": speed,
        "capacity": np.array(capacity),
        "half": half,
        "first_arm": arms[:, 0],
        "whole_arm": arms[:, 1],
        "laps": cycle(config, rng),
    }


def _order_by_load(
    config: Config, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    net = CA3(config.circuit(), rng)
    stored: list[list[SparseCode]] = []
    order = np.zeros((2, len(config.loads)))
    speed = np.full(order.shape, np.nan)
    for at, load in enumerate(config.loads):
        while len(stored) < config.n_sequences(load):
            stored.append(_store_random(net, config.length, rng))
        chosen = rng.choice(len(stored), min(config.n_replays, len(stored)), replace=False)
        for d in range(2):
            found = _examine(net, [stored[i] for i in chosen], bool(d))
            order[d, at], speed[d, at] = found
        if not order[:, at].any():
            break  # Greater loads lose no less.
    return order, speed


def _store_random(net: CA3, length: int, rng: np.random.Generator) -> list[SparseCode]:
    codes = [SparseCode.random(net.config.n_units, net.config.k, rng) for _ in range(length)]
    net.store_sequence(codes)
    return codes


def _examine(net: CA3, sequences: Sequence[list[SparseCode]], reverse: bool) -> tuple[float, float]:
    """Return the share replayed in order from the first item, and their items a step."""
    n_good, n_items, n_steps = 0, 0, 0
    for codes in sequences:
        wanted = codes[::-1] if reverse else codes
        visited = net.replay_sequence(wanted[0], reverse, n_steps=2 * len(wanted))
        if len(visited) == len(wanted) and n_in_order(visited, wanted) == len(wanted):
            n_good += 1
            n_items += len(visited) - 1
            # One delay through the hetero-association, then those of settling.
            n_steps += sum(1 + recall.n_steps for recall in visited[1:])
    return n_good / len(sequences), n_items / n_steps if n_steps else math.nan


def n_in_order(visited: Sequence[Recall], wanted: Sequence[SparseCode]) -> int:
    """Return how many states from the first on are the items wanted."""
    for n, (recall, code) in enumerate(zip(visited, wanted, strict=False)):
        if recall.code.overlap(code) < VALID:
            return n
    return min(len(visited), len(wanted))


def falls_to_half(loads: NDArray[np.float64], share: NDArray[np.float64]) -> float:
    """Return the load at which the share falls through a half, linear between loads."""
    below = np.flatnonzero(share < 0.5)
    if not below.size:
        return float(loads[-1])
    if below[0] == 0:
        return float(loads[0])
    x, y = loads[below[0] - 1 : below[0] + 1], share[below[0] - 1 : below[0] + 1]
    return float(x[0] + (y[0] - 0.5) / (y[0] - y[1]) * (x[1] - x[0]))


def branch(config: Config, strength: int, rng: np.random.Generator) -> tuple[float, float]:
    """Return the share of replays into the first arm, and of those that finish either."""
    net = CA3(config.circuit(), rng)
    codes = [SparseCode.random(config.n_units, net.config.k, rng) for _ in range(STEM + 2 * ARM)]
    stem, arms = codes[:STEM], (codes[STEM : STEM + ARM], codes[STEM + ARM :])
    for arm, times in zip(arms, (strength, 1), strict=True):
        net.store_sequence(stem + arm)
        for _ in range(times - 1):
            net.store_sequence(stem[-1:] + arm, auto=False)
    taken, whole = [], []
    for _ in range(config.n_branch_replays):
        visited = net.replay_sequence(stem[0], n_steps=STEM + 2 * ARM, rng=rng)
        counts = [n_in_order(visited, stem + arm) - STEM for arm in arms]
        if max(counts) >= 1:
            taken.append(counts[0] > counts[1])
        whole.append(max(counts) == ARM and len(visited) == STEM + ARM)
    return float(np.mean(taken)) if taken else math.nan, float(np.mean(whole))


def cycle(config: Config, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the share of three laps round a closed sequence that is in order."""
    net = CA3(config.circuit(), rng)
    codes = [SparseCode.random(config.n_units, net.config.k, rng) for _ in range(config.length)]
    net.store_sequence([*codes, codes[0]])
    wanted = codes * 3
    visited = net.replay_sequence(codes[0], n_steps=len(wanted))
    return np.array(n_in_order(visited, wanted) / len(wanted))


def plot(result: Result, axes: Axes) -> None:
    """Draw the share of sequences in order against load, both directions."""
    loads = np.array(result.config.loads)
    for d, (direction, colour) in enumerate(DIRECTIONS.items()):
        points(axes, loads, result.in_order[:, d], direction, colour, "o-")
        half = float(result.half[:, d].mean())
        at = float(result.capacity.mean()) / 2
        marker = ">" if direction == "forward" else "<"
        axes.plot([at], [half], marker, color=colour, markersize=9, fillstyle="none")
    axes.axvline(at, color="black", linestyle=":", label="half capacity (triangles)")
    axes.set_xlabel("load k (items = k C / (a ln 1/a))")
    axes.set_ylabel(f"share of {result.config.length}-item sequences in order")
    axes.set_ylim(-0.03, 1.05)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
