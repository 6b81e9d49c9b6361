"""Can CA3 say how well it will recall the next pattern, before it stores it?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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
from neurosim.plotting import label, points
from neurosim.randomness import Streams
from neurosim.recorder import Recorder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HALF = Cue(0.5)

expected = {
    "largest_error": (0.05, "this project's bar: predicted within 5 points of measured recall"),
    "released_exactly": (1.0, "this project's bar: release restores the others exactly"),
}


@dataclass(frozen=True)
class Config:
    """Network, loads and statistics.

    Parameters
    ----------
    n_units, fan_in : int
        Cells, and recurrent synapses a cell.
    readout : str
        Of `circuits.readouts.READOUTS`.
    loads : tuple of float
        Patterns stored, ascending, as the k of p = k C / (a ln 1/a).
    n_next : int
        Patterns tried at each load: rehearsed, stored, recalled, released. The half cue of the
        rehearsal and that of the recall are drawn each for itself.
    seeds : tuple of int
    workers : int
        Processes at a time; 0 for one a processor.
    """

    n_units: int = 4096
    fan_in: int = 1024
    readout: str = "bayesian"
    loads: tuple[float, ...] = (0.05, 0.1, 0.15, 0.19, 0.21, 0.22, 0.23, 0.24, 0.25, 0.27, 0.3)
    n_next: int = 30
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    workers: int = 0

    def __post_init__(self) -> None:
        if list(self.loads) != sorted(set(self.loads)) or not self.loads or self.loads[0] <= 0:
            raise ConfigError.expected(
                self, "loads", "ascending numbers above 0", self.loads, "reorder them"
            )
        if self.n_next < 1 or not self.seeds:
            raise ConfigError.expected(
                self, "n_next", "one pattern and one seed or more", self.n_next, "raise it"
            )
        self.circuit()

    def circuit(self) -> CA3Config:
        """Return the configuration of CA3."""
        return CA3Config(n_units=self.n_units, fan_in=self.fan_in, readout=self.readout)

    def network(self) -> Network:
        """Return the network as theory sees it."""
        circuit = self.circuit()
        return Network(self.n_units, self.fan_in, circuit.sparsity, circuit.bits)


@dataclass(frozen=True)
class Result:
    """Predictions and what came true.

    Parameters
    ----------
    config : Config
    predicted, measured : (n_seeds, n_loads) float
        Mean overlap of the next pattern's recall from half a cue.
    exact : (n_seeds, n_loads) float
        Share of the releases after which every synapse and load was as before the store.
    """

    config: Config
    predicted: NDArray[np.float64]
    measured: NDArray[np.float64]
    exact: NDArray[np.float64]

    def errors(self) -> list[Interval]:
        """Return predicted minus measured at each load, paired by seed."""
        return [mean_interval(column) for column in (self.predicted - self.measured).T]

    def theory(self, loads: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what mean-field theory gives at each load."""
        network = self.config.network()
        return np.array([network.theory(self.config.readout, HALF, k) for k in loads])

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers."""
        errors = self.errors()
        worst = max(errors, key=lambda interval: abs(interval.mean))
        theory = self.theory(np.array(self.config.loads)) - self.measured.mean(axis=0)
        values = {
            "largest_error": abs(worst.mean),
            "largest_error_low": worst.low,
            "largest_error_high": worst.high,
            "largest_error_of_one_seed": float(np.abs(self.predicted - self.measured).max()),
            "largest_error_of_theory": float(np.abs(theory).max()),
            "released_exactly": float(self.exact.mean()),
        }
        for at, k in enumerate(self.config.loads):
            key = f"{k:g}".replace(".", "p")
            values[f"predicted_{key}"] = float(self.predicted[:, at].mean())
            values[f"measured_{key}"] = float(self.measured[:, at].mean())
            values[f"error_{key}_low"] = errors[at].low
            values[f"error_{key}_high"] = errors[at].high
        return values


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Result:
    """Fill networks; at each load predict the next pattern's recall, then try some.

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
    # A seed's result, and the name it is kept under, depend on nothing but these.
    alone = replace(config, seeds=(0,), workers=0)
    jobs = [(seed, alone) for seed in config.seeds]
    rows = np.array(run_jobs(one_seed, jobs, config.workers, tick, shelf))
    result = Result(config, *np.moveaxis(rows, 1, 0))
    if recorder is not None:
        for name in ("predicted", "measured", "exact"):
            recorder.store(name, getattr(result, name), "", ("seed", "load"))
        recorder.store("load", np.array(config.loads), "k C / (a ln 1/a)", ("load",))
    return result


def one_seed(seed: int, config: Config) -> NDArray[np.float64]:
    """Return predicted and measured recall and exactness ``(3, n_loads)`` of one network."""
    rng = Streams(seed).generator("free_capacity", config.n_units, config.fan_in)
    net, unit = CA3(config.circuit(), rng), config.network().unit
    out = np.zeros((3, len(config.loads)))
    for at, k in enumerate(config.loads):
        while net.auto.n_stored < k * unit:
            net.store(SparseCode.random(config.n_units, net.config.k, rng))
        out[:, at] = np.mean([try_next(net, rng) for _ in range(config.n_next)], axis=0)
    return out


def try_next(net: CA3, rng: np.random.Generator) -> tuple[float, float, bool]:
    """Predict a new pattern's recall, store it, recall it from half a cue, release it.

    Returns
    -------
    (float, float, bool)
        Predicted and measured overlap, and whether everything is as it was before.
    """
    before = {name: array.copy() for name, array in net.auto.state.items()}
    code = SparseCode.random(net.config.n_units, net.config.k, rng)
    predicted = net.predicted_recall(HALF.right, probes=1, rng=rng, code=code)
    net.store(code)
    overlap = net.recall(corrupted(code, HALF.right, HALF.wrong, rng)).code.overlap(code)
    net.release(code)
    after = net.auto.state
    return predicted, overlap, all(np.array_equal(before[name], after[name]) for name in before)


def plot(result: Result, axes: Axes) -> None:
    """Draw measured recall of the next pattern over what was predicted."""
    loads = np.array(result.config.loads)
    points(axes, loads, result.measured, "measured, after it was stored", "#332288", "o")
    points(axes, loads, result.predicted, "predicted by CA3 before", "#CC6677", "x")
    fine = np.linspace(loads[0], loads[-1], 120)
    axes.plot(fine, result.theory(fine), color="black", linewidth=1, label="mean-field theory")
    label(axes.xaxis, "patterns stored", "k C / (a ln 1/a)")
    axes.set_ylabel("overlap of the next pattern's recall (half a cue)")
    axes.set_ylim(0, 1.03)
    axes.legend(loc="lower left")
