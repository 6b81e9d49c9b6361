"""Compression against writability: what does one more memory cost all others?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from circuits.ca3 import CA3, CA3Config
from experiments.capacity import Network
from neurosim.codes import SparseCode, corrupted
from neurosim.errors import ConfigError
from neurosim.jobs import run_jobs
from neurosim.mean_field import Cue
from neurosim.metrics import Interval, mean_interval
from neurosim.plotting import label
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from neurosim.theory import BUHMANN_LIMIT, WILLSHAW_LIMIT, transinformation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SYNAPSES = {
    "willshaw 1 bit": ("willshaw", 1, "#CC6677"),
    "bayesian 1 bit": ("bayesian", 1, "#DDCC77"),
    "covariance 8 bits": ("covariance", 8, "#44AA99"),
    "bayesian 4 bits": ("bayesian", 4, "#88CCEE"),
    "bayesian 8 bits": ("bayesian", 8, "#332288"),
}
HALF = Cue(0.5)
FINE = 24
"""Loads at which theory is drawn."""

LEAST = 0.01
"""Damage below which points and lines are drawn at the foot of the figure."""

MOST = 20.0
"""Damage above which nothing is drawn: the network forgets what it is told."""

NOTHING = 1e-3
"""Share of a pattern's information below which it counts as not stored."""

expected = {
    "bits_per_synapse_willshaw": (
        WILLSHAW_LIMIT / 2,
        "auto-association: half of ln 2; Palm (1980)",
    ),
    "bits_per_synapse_graded": (BUHMANN_LIMIT, "Buhmann, Divko & Schulten (1989) Phys. Rev. A 39"),
}


@dataclass(frozen=True)
class Config:
    """Networks, loads and statistics.

    Parameters
    ----------
    n_units, fan_in : int
        Cells, and recurrent synapses a cell.
    sparsities : tuple of float
        Fraction of active cells.
    synapses : tuple of str
        Of `SYNAPSES`: read-out and bits.
    loads : tuple of float
        Patterns stored, ascending, as the k of p = k C / (a ln 1/a).
    written : float
        Patterns written to measure the damage, as a share of those stored; the damage is that of
        one of them.
    n_probes : int
        Patterns recalled before and after, from the same half cues.
    seeds : tuple of int
    workers : int
        Processes at a time; 0 for one a processor.
    """

    n_units: int = 2048
    fan_in: int = 512
    sparsities: tuple[float, ...] = (0.02, 0.05)
    synapses: tuple[str, ...] = tuple(SYNAPSES)
    loads: tuple[float, ...] = (0.04, 0.08, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2, 0.22)
    written: float = 0.15
    n_probes: int = 32
    seeds: tuple[int, ...] = (0, 1)
    workers: int = 0

    def __post_init__(self) -> None:
        if list(self.loads) != sorted(set(self.loads)) or not self.loads or self.loads[0] <= 0:
            raise ConfigError.expected(
                self, "loads", "ascending numbers above 0", self.loads, "reorder them"
            )
        if not 0 < self.written <= 1:
            raise ConfigError.expected(self, "written", "0 < share <= 1", self.written, "try 0.05")
        if not self.synapses or not set(self.synapses) <= set(SYNAPSES):
            raise ConfigError.expected(
                self, "synapses", f"some of {', '.join(SYNAPSES)}", self.synapses, "choose of these"
            )
        if self.n_probes < 1 or not self.seeds:
            raise ConfigError.expected(
                self, "n_probes", "one probe and one seed or more", self.n_probes, "raise it"
            )
        for name, a in self.networks():
            self.circuit(name, a)

    def networks(self) -> list[tuple[str, float]]:
        """Return every combination of synapses and sparsity."""
        return list(itertools.product(self.synapses, self.sparsities))

    def circuit(self, name: str, sparsity: float) -> CA3Config:
        """Return the configuration of CA3 with such synapses."""
        readout, bits, _ = SYNAPSES[name]
        return CA3Config(
            n_units=self.n_units,
            fan_in=self.fan_in,
            sparsity=sparsity,
            bits=bits,
            readout=readout,
        )


@dataclass(frozen=True)
class Result:
    """What is stored, and what a write destroys.

    Parameters
    ----------
    config : Config
    stored : (n_seeds, n_networks, n_loads) float [bit a synapse]
        Information that half cues bring back of all stored patterns.
    damage : (n_seeds, n_networks, n_loads) float [bit a bit]
        Information all others lose for each bit that one more pattern holds.
    """

    config: Config
    stored: NDArray[np.float64]
    damage: NDArray[np.float64]

    def front(self) -> list[tuple[str, float, float, float, float]]:
        """Return the Pareto front: synapses, sparsity, load, bits a synapse, damage.

        On it no other network and load stores more with no more damage; by the means over seeds,
        noise below zero counting as no damage, each network up to the load at which it stores
        most.
        """
        stored, damage = self.stored.mean(axis=0), np.maximum(self.damage.mean(axis=0), 0.0)
        points = [
            (name, a, self.config.loads[at], float(stored[n, at]), float(damage[n, at]))
            for n, (name, a) in enumerate(self.config.networks())
            for at in range(int(stored[n].argmax()) + 1)
        ]
        best, front = -math.inf, []
        for point in sorted(points, key=lambda p: (p[4], -p[3])):
            if point[3] > best:
                best = point[3]
                front.append(point)
        return front

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers: of each network the most it stores, and the damage there."""
        values: dict[str, float] = {"n_front": float(len(self.front()))}
        for n, (name, a) in enumerate(self.config.networks()):
            at = int(self.stored[:, n].mean(axis=0).argmax())
            key = f"{name}_a{a:g}".replace(" ", "_").replace(".", "p")
            parts: dict[str, Interval] = {
                "bits_per_synapse": mean_interval(self.stored[:, n, at]),
                "bits_per_bit": mean_interval(self.stored[:, n, at] / SYNAPSES[name][1]),
                "damage": mean_interval(self.damage[:, n, at]),
            }
            values[f"load_{key}"] = self.config.loads[at]
            for part, interval in parts.items():
                values[f"{part}_{key}"] = interval.mean
                values[f"{part}_{key}_low"] = interval.low
                values[f"{part}_{key}_high"] = interval.high
        return values


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Result:
    """Fill networks; at each load measure what is stored, write some more, measure again.

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
    networks = config.networks()
    jobs = [
        (seed, config.circuit(name, a), config.loads, config.written, config.n_probes)
        for seed in config.seeds
        for name, a in networks
    ]
    rows = np.array(run_jobs(fill_network, jobs, config.workers, tick, shelf))
    shape = (len(config.seeds), len(networks), 2, len(config.loads))
    result = Result(config, *np.moveaxis(rows.reshape(shape), 2, 0))
    if recorder is not None:
        dims = ("seed", "network", "load")
        recorder.store("stored", result.stored, "bit a synapse", dims)
        recorder.store("damage", result.damage, "bit a bit", dims)
    return result


def fill_network(
    seed: int, circuit: CA3Config, loads: tuple[float, ...], written: float, n_probes: int
) -> NDArray[np.float64]:
    """Return bits a synapse and damage of a write ``(2, n_loads)`` of one network as it fills."""
    key = (circuit.n_units, round(1e6 * circuit.sparsity), circuit.bits)
    rng = Streams(seed).generator("writability", *key)
    net, a = CA3(circuit, rng), circuit.sparsity
    unit = circuit.fan_in / (a * math.log(1 / a))
    n_synapses = net.auto.connectivity.n_synapses
    out = np.zeros((2, len(loads)))
    codes: list[SparseCode] = []

    def write(n: float) -> None:
        while len(codes) < n:
            codes.append(SparseCode.random(circuit.n_units, circuit.k, rng))
            net.store(codes[-1])

    for at, load in enumerate(loads):
        write(load * unit)
        n_before = len(codes)
        chosen = rng.choice(n_before, min(n_probes, n_before), replace=False)
        probes = [codes[i] for i in chosen]
        cues = [corrupted(code, HALF.right, HALF.wrong, rng) for code in probes]
        before = recalled_information(net, cues, probes)
        write(n_before + max(1.0, written * n_before))
        after = recalled_information(net, cues, probes)
        n_written = len(codes) - n_before
        new = recalled_information(
            net,
            [corrupted(code, HALF.right, HALF.wrong, rng) for code in codes[n_before:]][:n_probes],
            codes[n_before:][:n_probes],
        )
        out[0, at] = n_before * before / n_synapses
        # A new pattern that cannot be recalled holds nothing: its write is damage only.
        gained = max(new, NOTHING * circuit.n_units * transinformation(a, 0.0, 0.0))
        out[1, at] = n_before * (before - after) / n_written / gained
    return out


def recalled_information(net: CA3, cues: list[SparseCode], codes: list[SparseCode]) -> float:
    """Return the mean information of a recall about its pattern [bit]."""
    n = net.config.n_units
    total = 0.0
    for cue, code in zip(cues, codes, strict=True):
        found = net.recall(cue).code
        n_right = np.intersect1d(found.active, code.active, assume_unique=True).size
        miss = 1 - n_right / len(code)
        false_alarm = (len(found) - n_right) / (n - len(code))
        # A recall worse than chance would count as information; it is none.
        if n_right / len(code) > false_alarm:
            total += n * transinformation(len(code) / n, miss, false_alarm)
    return total / len(codes)


def theory(
    config: Config, name: str, sparsity: float, loads: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return bits a synapse and damage of a write ``(n_loads,)`` that mean-field theory gives."""
    readout, bits, _ = SYNAPSES[name]
    network = Network(config.n_units, config.fan_in, sparsity, bits)

    def information(k: float) -> float:
        m = network.theory(readout, HALF, k)
        false_alarm = (1 - m) * sparsity / (1 - sparsity)
        if m <= false_alarm:
            return 0.0
        return config.n_units * transinformation(sparsity, 1 - m, false_alarm)

    before = np.array([information(k) for k in loads])
    after = np.array([information(k * (1 + config.written)) for k in loads])
    full = config.n_units * transinformation(sparsity, 0.0, 0.0)
    stored = loads * network.unit * before / (config.n_units * config.fan_in)
    return stored, (before - after) / config.written / np.maximum(after, NOTHING * full)


def plot(result: Result, axes: Axes) -> None:
    """Draw damage against information stored, measured over theory, and the Pareto front."""
    config = result.config
    fine = np.linspace(config.loads[0], config.loads[-1], FINE)
    for n, (name, a) in enumerate(config.networks()):
        place, shade = config.sparsities.index(a), SYNAPSES[name][2]
        x, y = result.stored[:, n].mean(axis=0), result.damage[:, n].mean(axis=0)
        till = int(x.argmax()) + 1  # Beyond its best load a network only loses.
        marker, line = "os^Dv"[place % 5], ("-", "--", ":", "-.")[place % 4]
        axes.plot(x[:till], np.maximum(y[:till], LEAST), marker, color=shade, markersize=5)
        stored, damage = theory(config, name, a, fine)
        best = min(int(stored.argmax()) + 1, int(np.argmax(np.append(damage, 2 * MOST) > MOST)))
        axes.plot(
            stored[:best], np.maximum(damage[:best], LEAST), line, color=shade, linewidth=1,
        )  # fmt: skip
        said = f"{name}, a = {a:g}"
        axes.plot([], [], marker + line, color=shade, linewidth=1, markersize=4, label=said)
    front = np.array([point[3:] for point in result.front()])
    heights = np.maximum(front[:, 1], LEAST)
    axes.plot(front[:, 0], heights, color="black", linewidth=5, alpha=0.2, label="Pareto front")
    axes.plot([], [], "o", color="grey", label="points: measured, lines: theory")
    label(axes.xaxis, "information stored", "bits a synapse")
    axes.set_ylabel("damage of a write\n(bits others lose a bit written)")
    axes.set_yscale("log")
    axes.set_ylim(0.7 * LEAST, MOST)
    axes.set_xlim(left=0)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
