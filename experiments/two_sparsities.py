"""Activation sparsity against connection sparsity: which of them prevents interference?"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from circuits.ca3 import CA3, CA3Config
from experiments.completion import fragment
from neurosim.codes import SparseCode
from neurosim.errors import ConfigError
from neurosim.jobs import run_jobs
from neurosim.metrics import Interval, mean_interval
from neurosim.plotting import label, points
from neurosim.randomness import Streams
from neurosim.recorder import Recorder

expected = {
    "exponent_activation": (
        -0.62,
        "Treves & Rolls (1991): capacity ~ C / (a ln 1/a), its slope from a = 0.02 to 0.2",
    ),
    "exponent_connection": (1.0, "Treves & Rolls (1991): capacity grows as the synapses of a cell"),
    "exponent_connection_per_synapse": (0.0, "the same, divided by the synapses of a cell"),
}


@dataclass(frozen=True)
class Config:
    """The two factors, and how capacity is measured.

    Parameters
    ----------
    activations : tuple of float
        Fractions of the cells active in a pattern.
    connections : tuple of float
        Fractions of the cells that reach a cell.
    n_units : int
        Cells of CA3.
    readout : str
        Of the counts.
    cue : float
        Share of a pattern's active cells in its cue.
    criterion : float
        Capacity is the load at which the mean overlap of what is recalled falls to this.
    growth : float
        Factor from load to load.
    n_probes : int
        Patterns tested at each load.
    fewest : float
        A point counts for the slopes only if that many synapses of a cell are active in a pattern:
        with fewer there is no signal, whatever the interference.
    seeds : tuple of int
    workers : int
        Processes at a time; 0 for one a processor.

    Raises
    ------
    ConfigError
        For a growth of 1 or less, or fewer than two fractions to compare.
    """

    activations: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.5)
    connections: tuple[float, ...] = (0.1, 0.25, 0.5, 1.0)
    n_units: int = 1000
    readout: str = "covariance"
    cue: float = 0.7
    criterion: float = 0.8
    growth: float = 1.3
    n_probes: int = 20
    fewest: float = 10.0
    seeds: tuple[int, ...] = tuple(range(5))
    workers: int = 0

    def __post_init__(self) -> None:
        if self.growth <= 1.0:
            raise ConfigError.expected(self, "growth", "more than 1", self.growth, "try 1.3")
        for name in ("activations", "connections"):
            values = getattr(self, name)
            if len(values) < 2 or not all(0.0 < value <= 1.0 for value in values):
                raise ConfigError.expected(
                    self, name, "two fractions or more, above 0", values, "try 0.1,0.5"
                )


@dataclass(frozen=True)
class Result:
    """Capacities over the grid.

    Parameters
    ----------
    config : Config
    capacity : (n_seeds, n_activations, n_connections) float64 [patterns]
    """

    config: Config
    capacity: NDArray[np.float64]

    def reached(self) -> NDArray[np.bool_]:
        """Return where enough synapses of a cell are active, ``(n_activations, n_connections)``."""
        config = self.config
        active = np.outer(config.activations, config.connections) * config.n_units
        return active >= config.fewest

    def exponents(self, per_synapse: bool = False) -> tuple[Interval, Interval]:
        """Return the slopes of log capacity over log activation and log connection.

        Least squares, seed by seed, over the points that are `reached` and up to an activation of
        0.2; beyond it activity is not sparse.

        Parameters
        ----------
        per_synapse : bool
            Divide the capacity by the synapses of a cell first.
        """
        config = self.config
        a, c = np.meshgrid(np.log(config.activations), np.log(config.connections), indexing="ij")
        used = self.reached() & (a <= np.log(0.2) + 1e-9)
        design = np.column_stack([np.ones(used.sum()), a[used], c[used]])
        slopes = []
        for grid in self.capacity:
            y = np.log(grid[used]) - (c[used] if per_synapse else 0.0)
            slopes.append(np.linalg.lstsq(design, y, rcond=None)[0][1:])
        first, second = np.transpose(slopes)
        return mean_interval(first), mean_interval(second)

    def shares(self) -> dict[str, float]:
        """Return what explains the variance of log capacity per synapse, by factors.

        R squared of each factor alone and of both without interaction, over the points `reached`
        and all seeds.
        """
        used = self.reached()
        y = np.log(self.capacity / np.array(self.config.connections))[:, used].ravel()
        rows, columns = (
            np.tile(index[used], len(self.capacity)) for index in np.indices(used.shape)
        )
        by_row = rows[:, None] == np.arange(used.shape[0])
        by_column = columns[:, None] == np.arange(used.shape[1])
        designs = {
            "activation": by_row,
            "connection": by_column,
            "both": np.hstack((by_row, by_column)),
        }
        shares = {}
        for name, design in designs.items():
            fit = design @ np.linalg.lstsq(design.astype(float), y, rcond=None)[0]
            shares[name] = 1.0 - float(((y - fit) ** 2).sum() / ((y - y.mean()) ** 2).sum())
        return shares

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers of the command's ``--json``."""
        activation, connection = self.exponents()
        _, per_synapse = self.exponents(per_synapse=True)
        return {
            "exponent_activation": activation.mean,
            "exponent_connection": connection.mean,
            "exponent_connection_per_synapse": per_synapse.mean,
            **{f"variance_share_{name}": share for name, share in self.shares().items()},
        }


def capacity(config: Config, activation: float, connection: float, seed: int) -> float:
    """Store patterns until recall falls to the criterion; interpolate where it did [patterns]."""
    n = config.n_units
    ca3 = CA3Config(
        n_units=n,
        fan_in=max(1, round(connection * n)),
        sparsity=activation,
        readout=config.readout,
        inhibition="exact",
        wiring="full" if connection == 1.0 else "generated",
    )
    streams = Streams(seed)
    circuit, rng = CA3(ca3, streams.generator("ca3")), streams.generator("patterns")
    patterns: list[SparseCode] = []
    load, before = 2, (1.0, 1.0)
    while True:
        while len(patterns) < load:
            patterns.append(SparseCode.random(n, ca3.k, rng))
            circuit.store(patterns[-1])
        probes = [patterns[i] for i in rng.permutation(load)[: config.n_probes]]
        found = [circuit.recall(fragment(p, config.cue, rng)).code.overlap(p) for p in probes]
        overlap = float(np.mean(found))
        if overlap <= config.criterion:
            share = (before[1] - config.criterion) / max(before[1] - overlap, 1e-9)
            return float(before[0] * (load / before[0]) ** share)
        before = (load, overlap)
        load = max(load + 1, round(load * config.growth))


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Result:
    """Measure the capacity over the grid, in processes of one thread each.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator, optional
        Not used: each seed draws from its own streams.
    recorder : Recorder, optional
    tick : callable
        Called after each point.
    shelf : Path, optional
        Folder in which the points that are finished outlive an interruption.
    """
    shape = (len(config.seeds), len(config.activations), len(config.connections))
    alone = replace(config, seeds=(), workers=0)  # A point depends on neither.
    jobs = [
        (alone, activation, connection, seed)
        for seed in config.seeds
        for activation in config.activations
        for connection in config.connections
    ]
    grid = np.reshape(run_jobs(capacity, jobs, config.workers, tick, shelf), shape)
    if recorder is not None:
        recorder.store("activations", np.array(config.activations), "", ("activation",))
        recorder.store("connections", np.array(config.connections), "", ("connection",))
        recorder.store("capacity", grid, "patterns", ("seed", "activation", "connection"))
    return Result(config, grid)


def plot(result: Result, axes: Axes) -> None:
    """Draw capacity per synapse of a cell over connection, a line for each activation.

    Points where too few synapses of a cell are active are hollow.
    """
    from matplotlib import colormaps

    config = result.config
    per_synapse = result.capacity / (config.n_units * np.array(config.connections))
    shown = colormaps["cividis"](np.linspace(0.0, 0.9, len(config.activations)))
    lowest = per_synapse.min() / 10  # An interval may reach below zero, which has no logarithm.
    for i, activation in enumerate(config.activations):
        name = f"{100 * activation:g} % active"
        points(axes, config.connections, per_synapse[:, i], name, shown[i], "o-", (lowest, np.inf))
        few = ~result.reached()[i]
        x, y = np.array(config.connections)[few], per_synapse[:, i, few].mean(axis=0)
        axes.plot(x, y, "o", color=shown[i], markerfacecolor="w", markersize=4)
    if not result.reached().all():
        name = f"hollow: below {config.fewest:g} active synapses a cell"
        axes.plot([], [], "o", color="0.3", markerfacecolor="w", markersize=4, label=name)
    axes.set_xscale("log")
    axes.set_xticks(config.connections, [f"{each:g}" for each in config.connections])
    axes.minorticks_off()
    axes.set_yscale("log")
    label(axes.xaxis, "connection", "fraction of the cells that reach a cell")
    label(axes.yaxis, "capacity", "patterns a synapse of a cell")
    axes.legend(fontsize=8, ncols=2, loc="lower right")
