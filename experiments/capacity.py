"""How many patterns does CA3 hold? By fan-in, sparsity, bits, read-out and cue, over theory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from circuits import readouts
from circuits.ca3 import CA3, CA3Config
from neurosim.codes import SparseCode, corrupted
from neurosim.density_evolution import graded_overlap, recall_overlap
from neurosim.errors import ConfigError
from neurosim.jobs import run_jobs
from neurosim.mean_field import Cue, recall_capacity
from neurosim.metrics import mean_interval
from neurosim.plotting import points
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from neurosim.theory import treves_rolls_k

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CUES = {"full": Cue(), "half": Cue(0.5), "half_noise": Cue(0.5, 0.5)}
CRITERIA = (0.5, 0.95)
LOST = 0.1
"""Mean overlap below which greater loads are not tried."""

COLOURS = {"covariance": "#44AA99", "bayesian": "#332288", "willshaw": "#CC6677"}

expected = {
    "k_low": (0.15, "this project's bar, from Treves & Rolls (1991) and a prototype's 0.17-0.19"),
    "k_high": (0.30, "Treves & Rolls (1991) Network 2:371: k of 0.2 to 0.3"),
    "bayesian_over_covariance": (1.3, "this project's bar: also from half a cue and as much noise"),
}


@dataclass(frozen=True)
class Config:
    """Networks: every combination of the lists; and how they are examined.

    Parameters
    ----------
    fan_ins : tuple of int
        Recurrent synapses a cell.
    dilution : float
        Fan-in over cells, above 0 and up to 1.
    sparsities : tuple of float
        Fraction of active cells.
    bits : tuple of int
        Of a synaptic count.
    readouts : tuple of str
        Of `circuits.readouts.READOUTS`; all read the same synapses.
    loads : tuple of float
        Patterns stored, ascending, as the k of p = k C / (a ln 1/a).
    n_cues : int
        Patterns recalled at each load, from each kind of cue.
    seeds : tuple of int
    workers : int
        Processes at a time; 0 for one a processor.
    """

    fan_ins: tuple[int, ...] = (330, 660, 1320)
    dilution: float = 0.125
    sparsities: tuple[float, ...] = (0.02,)
    bits: tuple[int, ...] = (8,)
    readouts: tuple[str, ...] = ("covariance", "bayesian")
    loads: tuple[float, ...] = tuple(round(0.02 * step, 2) for step in range(1, 14))
    n_cues: int = 16
    seeds: tuple[int, ...] = (0, 1, 2)
    workers: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.dilution <= 1:
            raise ConfigError.expected(self, "dilution", "0 < c <= 1", self.dilution, "try 0.04")
        if list(self.loads) != sorted(set(self.loads)) or not self.loads or self.loads[0] <= 0:
            raise ConfigError.expected(
                self, "loads", "ascending numbers above 0", self.loads, "reorder them"
            )
        if self.n_cues < 1 or not self.seeds:
            raise ConfigError.expected(
                self, "n_cues", "one cue and one seed or more", self.n_cues, "raise it"
            )
        for network in self.networks():
            network.circuit(self.readouts[0])  # CA3 refuses what it cannot be.

    def networks(self) -> list[Network]:
        """Return every combination of fan-in, sparsity and bits."""
        combinations = itertools.product(self.fan_ins, self.sparsities, self.bits)
        return [Network(round(c / self.dilution), c, a, b) for c, a, b in combinations]


@dataclass(frozen=True)
class Network:
    """Size of one network.

    Parameters
    ----------
    n_units, fan_in : int
    sparsity : float
    bits : int
    """

    n_units: int
    fan_in: int
    sparsity: float
    bits: int

    @property
    def unit(self) -> float:
        """Patterns at k = 1."""
        return self.fan_in / (self.sparsity * math.log(1 / self.sparsity))

    def circuit(self, readout: str) -> CA3Config:
        """Return the configuration of the CA3 of this size."""
        return CA3Config(
            n_units=self.n_units,
            fan_in=self.fan_in,
            sparsity=self.sparsity,
            bits=self.bits,
            readout=readout,
        )

    def theory(self, readout: str, cue: Cue, k: float) -> float:
        """Return the overlap that mean-field theory gives at load `k`."""
        circuit = self.circuit(readout)
        worth, prior = worth_of_counts(readout, self.bits), worth_of_cue(circuit, cue)
        net = k * self.unit, self.sparsity, self.fan_in, cue
        if readout == "bayesian":
            first, grades = circuit.trust[0], readouts.GRADES
            return graded_overlap(worth, *net, first, grades, prior, circuit.steps)
        return recall_overlap(worth, *net, circuit.trust, prior, circuit.steps)

    def theory_k(self, readout: str, cue: Cue, criterion: float) -> float:
        """Return the capacity, as k, that mean-field theory gives."""
        return recall_capacity(lambda k: self.theory(readout, cue, k), criterion, 1e-3, 1.0)


def worth_of_counts(readout: str, bits: int) -> Callable[[float, float], ArrayLike]:
    """Return what each count is worth as a function of load and trust."""
    most = 2**bits - 1
    return lambda load, trust: readouts.table(readout, np.array([load]), most, trust)[0]


def worth_of_cue(circuit: CA3Config, cue: Cue) -> Callable[[float, float], float]:
    """Return what being in a cue adds to a cell's drive as a function of load and trust."""
    n_cue, most = round((cue.right + cue.wrong) * circuit.k), 2**circuit.bits - 1

    def worth(load: float, trust: float) -> float:
        nat = readouts.nat(circuit.readout, min(load, most), trust)
        return nat * readouts.prior(n_cue, circuit.k, circuit.n_units, trust)

    return worth


@dataclass(frozen=True)
class Result:
    """Mean overlaps after recall.

    Parameters
    ----------
    config : Config
    overlaps : (n_seeds, n_networks, n_readouts, n_cues, n_loads) float
        0 where a smaller load had lost everything already.
    """

    config: Config
    overlaps: NDArray[np.float64]

    def k(self, criterion: float) -> NDArray[np.float64]:
        """Return the load, as k, at which the overlap falls through a criterion.

        Linear between the loads on both sides; ``(n_seeds, n_networks, n_readouts, n_cues)``.
        """
        loads = np.concatenate(([0.0], self.config.loads))
        whole = np.ones((*self.overlaps.shape[:-1], 1))
        return np.apply_along_axis(
            _falls_through, -1, np.concatenate((whole, self.overlaps), -1), loads, criterion
        )

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers: measured k with its interval, and theory's."""
        values: dict[str, float] = {}
        for criterion in CRITERIA:
            measured = self.k(criterion)
            for n, network in enumerate(self.config.networks()):
                for r, readout in enumerate(self.config.readouts):
                    for c, (name, cue) in enumerate(CUES.items()):
                        key = f"k_{readout}_{_name(network)}_{name}_{round(100 * criterion)}"
                        interval = mean_interval(measured[:, n, r, c])
                        values[key] = interval.mean
                        values[f"{key}_low"], values[f"{key}_high"] = interval.low, interval.high
                        values[f"{key}_theory"] = network.theory_k(readout, cue, criterion)
        return values


def _name(network: Network) -> str:
    return f"c{network.fan_in}_a{network.sparsity:g}_b{network.bits}".replace(".", "p")


def _falls_through(
    overlaps: NDArray[np.float64], loads: NDArray[np.float64], criterion: float
) -> float:
    below = np.flatnonzero(overlaps < criterion)
    if not below.size:
        return float(loads[-1])  # Not reached: at least that.
    at = below[0]
    part = (overlaps[at - 1] - criterion) / (overlaps[at - 1] - overlaps[at])
    return float(loads[at - 1] + part * (loads[at] - loads[at - 1]))


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Result:
    """Fill every network with random patterns and recall some of them at each load.

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
        (seed, network, config.readouts, config.loads, config.n_cues)
        for seed in config.seeds
        for network in networks
    ]
    filled = run_jobs(fill_network, jobs, config.workers, tick, shelf)
    shape = (len(config.seeds), len(networks), *filled[0].shape)
    result = Result(config, np.stack(filled).reshape(shape))
    if recorder is not None:
        dims = ("seed", "network", "readout", "cue", "load")
        recorder.store("overlap", result.overlaps, "", dims)
        recorder.store("load", np.array(config.loads), "k C / (a ln 1/a)", ("load",))
    return result


def fill_network(
    seed: int, network: Network, names: tuple[str, ...], loads: tuple[float, ...], n_cues: int
) -> NDArray[np.float64]:
    """Return the mean overlaps ``(n_readouts, n_cues, n_loads)`` of one network as it fills."""
    key = (network.n_units, network.fan_in, round(1e6 * network.sparsity), network.bits)
    rng = Streams(seed).generator("capacity", *key)
    net = CA3(network.circuit(names[0]), rng)
    readers = [net] + [_reader(net, network.circuit(name)) for name in names[1:]]
    overlaps = np.zeros((len(names), len(CUES), len(loads)))
    codes: list[SparseCode] = []
    for at, k in enumerate(loads):
        while len(codes) < k * network.unit:
            codes.append(SparseCode.random(network.n_units, net.config.k, rng))
            net.store(codes[-1])
        chosen = [codes[i] for i in rng.choice(len(codes), min(n_cues, len(codes)), replace=False)]
        for c, cue in enumerate(CUES.values()):
            cues = [corrupted(code, cue.right, cue.wrong, rng) for code in chosen]
            for r, reader in enumerate(readers):
                if at == 0 or overlaps[r, c, at - 1] > LOST:
                    overlaps[r, c, at] = mean_overlap(reader, cues, chosen)
        if overlaps[:, :, at].max() <= LOST:
            break
    return overlaps


def _reader(net: CA3, config: CA3Config) -> CA3:
    """Return a CA3 with the synapses of another and a read-out of its own."""
    reader = CA3(replace(config, n_units=2, fan_in=1, sparsity=0.5), np.random.default_rng(0))
    reader.config, reader.auto = config, net.auto
    return reader


def mean_overlap(net: CA3, cues: list[SparseCode], codes: list[SparseCode]) -> float:
    """Return the mean overlap of what each cue brings back with its pattern."""
    recalled = [net.recall(cue).code for cue in cues]
    return float(np.mean([a.overlap(b) for a, b in zip(recalled, codes, strict=True)]))


def plot(result: Result, axes: Axes) -> None:
    """Draw the measured k over that of theory against whichever list has most entries."""
    config, networks = result.config, result.config.networks()
    names = {"fan_in": config.fan_ins, "sparsity": config.sparsities, "bits": config.bits}
    varied = max(names, key=lambda name: len(names[name]))
    x = np.array([getattr(network, varied) for network in networks], dtype=float)
    kinds = ("full", "o", "-", 0.5), ("half_noise", "s", "--", 0.5), ("full", "^", ":", 0.95)
    for r, readout in enumerate(config.readouts):
        for cue, marker, line, criterion in kinds:
            measured = result.k(criterion)[:, :, r, list(CUES).index(cue)]
            what = f"{readout}, {cue.replace('_', ' + ')} cue, overlap {criterion}"
            points(axes, x, measured, what, COLOURS[readout], marker)
            theory = [n.theory_k(readout, CUES[cue], criterion) for n in networks]
            axes.plot(x, theory, line, color=COLOURS[readout], linewidth=1)
    graded = [treves_rolls_k(network.sparsity) for network in networks]
    axes.plot(x, graded, color="black", linewidth=1, label="Treves & Rolls: graded, infinite")
    axes.plot([], [], color="grey", linewidth=1, label="lines: theory of that network")
    axes.set_xscale("log")
    axes.set_xticks(x, [f"{value:g}" for value in x])
    axes.minorticks_off()
    titles = {"fan_in": "synapses a cell", "sparsity": "fraction of active cells"}
    axes.set_xlabel(titles.get(varied, "bits a synapse"))
    axes.set_ylabel("capacity k = p a ln(1/a) / C")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
