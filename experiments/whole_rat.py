"""A whole rat's CA3: how many patterns do 324,000 cells of 12,000 synapses hold?"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from circuits.ca3 import CA3, CA3Config
from neurosim.codes import SparseCode, corrupted
from neurosim.errors import ConfigError, CorruptFileError, check_counts
from neurosim.hdf5 import read_hdf5, write_hdf5
from neurosim.plotting import colour
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from neurosim.resources import ResourceMeter
from neurosim.storage import atomic_write_json, json_text, make_directory, read_json
from neurosim.versioned import DirectoryLock

CUES = {"whole": (1.0, 0.0), "half": (0.5, 0.0), "half, half noise": (0.5, 0.5)}
"""Right and wrong cells of each cue, over k."""

CRITERIA = (0.5, 0.9, 0.95)
"""A memory is full where the mean overlap of a recalled pattern falls below it."""

ROWS_A_PART = 1 << 24
MANIFEST = "checkpoint.json"
FORMAT = 2
"""Of a checkpoint; the first had no wall seconds."""

expected = {
    "k": (0.22, "Treves & Rolls (1991) Network 2:371: k of 0.2 to 0.3, above finite sizes"),
    "store_cpu_seconds": (0.2, "this project's bar: 0.1 s on two threads"),
    "recall_step_cpu_seconds": (0.3, "this project's bar: 0.15 s on two threads"),
    "store_wall_seconds": (0.1, "this project's bar, with two threads on a machine of their own"),
    "recall_step_wall_seconds": (0.15, "this project's bar, with two threads of their own"),
}


@dataclass(frozen=True)
class Config:
    """Size of the network and what is stored.

    Parameters
    ----------
    n_units, fan_in, sparsity, bits, readout
        As in `CA3Config`; the defaults are a rat's.
    patterns : int
        Random patterns to store.
    probes : int
        At how many evenly spaced loads recall is measured.
    tests : int
        Patterns recalled at each, with each kind of cue.
    checkpoint_every : int
        Patterns between two checkpoints; 0 keeps none.
    checkpoint : str
        Folder of the checkpoint, from which an interrupted run goes on to the same bits.
    threads : int
        For the kernels.
    seed : int
    """

    n_units: int = 324_000
    fan_in: int = 12_000
    sparsity: float = 0.02
    bits: int = 8
    readout: str = "bayesian"
    patterns: int = 20
    probes: int = 1
    tests: int = 4
    checkpoint_every: int = 0
    checkpoint: str = "out/whole_rat/checkpoint"
    threads: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        check_counts(self, "patterns", "probes", "tests")


SLOW = Config(patterns=40_000, probes=16, tests=10, checkpoint_every=2_500)
"""What `neurosim run whole_rat --slow` does, some 80 minutes: theory's capacity is 36,400."""


@dataclass
class Costs:
    """What every store and every recall cost.

    Parameters
    ----------
    stores : list of (wall, cpu) [s]
        Of one pattern; the first of a run, which compiles, is left out.
    recalls : list of (wall, cpu, n_steps) [s, s, 1]
        Of one recall.
    """

    stores: list[list[float]] = field(default_factory=list)
    recalls: list[list[float]] = field(default_factory=list)

    def metrics(self) -> dict[str, float]:
        """Return means of processor time and medians of wall time; NaN for what was not done.

        Another program that takes the processor for a moment lengthens the wall time of a few
        calls, but not their processor time: hence the median.
        """
        store_wall, store_cpu = np.reshape(self.stores or [[np.nan] * 2], (-1, 2)).T
        wall, cpu, n_steps = np.reshape(self.recalls or [[np.nan] * 3], (-1, 3)).T
        return {
            "store_cpu_seconds": float(store_cpu.mean()),
            "recall_step_cpu_seconds": float(cpu.sum() / n_steps.sum()),
            "store_wall_seconds": float(np.median(store_wall)),
            "recall_step_wall_seconds": float(np.median(wall / n_steps)),
        }


@dataclass(frozen=True)
class Result:
    """What was recalled at each load.

    Parameters
    ----------
    loads : (n_probes,) int64
        Patterns stored.
    overlaps : (n_probes, n_cues, n_tests) float
    costs : Costs
    peak_rss_mb : float
    config : Config
    """

    loads: NDArray[np.int64]
    overlaps: NDArray[np.float64]
    costs: Costs
    peak_rss_mb: float
    config: Config

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers; k is NaN where the criterion was never undercut."""
        values = {
            "patterns": float(self.loads[-1]),
            **self.costs.metrics(),
            "network_rss_mb": self.peak_rss_mb,
        }
        a = self.config.sparsity
        for c, cue in enumerate(CUES):
            name = cue.replace(",", "").replace(" ", "_")
            mean = self.overlaps[:, c].mean(axis=1)
            values[f"overlap_{name}"] = float(mean[-1])
            for criterion in CRITERIA:
                load = crossing(self.loads, mean, criterion)
                k = load * a * np.log(1 / a) / self.config.fan_in
                values[f"k_{name}_{round(100 * criterion)}"] = float(k)
        return values


def crossing(loads: NDArray[np.int64], overlap: NDArray[np.float64], criterion: float) -> float:
    """Return the load at which the overlap first falls below a criterion, interpolated; or NaN."""
    below = np.flatnonzero(overlap < criterion)
    if not below.size:
        return float("nan")
    i = int(below[0])
    if i == 0:
        return float(loads[0] * overlap[0] / criterion)
    share = (overlap[i - 1] - criterion) / (overlap[i - 1] - overlap[i])
    return float(loads[i - 1] + share * (loads[i] - loads[i - 1]))


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
) -> Result:
    """Store, probe and checkpoint; go on from the checkpoint if there is one.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator, optional
        Not used: pattern n follows from the seed and n, so that none has to be kept.
    recorder : Recorder, optional
    tick : callable
        Called after each pattern.
    """
    with ExitStack() as held:
        if config.checkpoint_every:
            folder = Path(config.checkpoint)
            make_directory(folder)
            held.enter_context(DirectoryLock(folder))
        result = _run(config, tick)
    if recorder is not None:
        recorder.store("loads", result.loads, "", ("probe",))
        recorder.store("overlaps", result.overlaps, "", ("probe", "cue", "test"))
    return result


def plot(result: Result, axes: Axes) -> None:
    """Draw mean overlap over the number of patterns, one line a cue.

    Where cues bring back the same, the line of one lies within the wider line of the one before.
    """
    arms, widths = ("night", "raw replay", "naive"), (5, 2.5, 1)
    for c, (cue, arm, width) in enumerate(zip(CUES, arms, widths, strict=True)):
        mean = result.overlaps[:, c].mean(axis=1)
        n = result.overlaps.shape[2]
        error = 1.96 * result.overlaps[:, c].std(axis=1) / np.sqrt(n)
        axes.plot(
            result.loads, mean, "o-", color=colour(arm), label=f"{cue} cue", linewidth=width,
            markersize=4 + 1.5 * width,
        )  # fmt: skip
        axes.fill_between(
            result.loads, mean - error, mean + error, color=colour(arm), alpha=0.2, lw=0
        )
    axes.set_xlabel("patterns stored")
    axes.set_ylabel("overlap of the recalled pattern")
    axes.set_ylim(0, 1.02)
    title = f"mean and 1.96 standard errors over {result.config.tests} patterns"
    axes.legend(loc="lower left", frameon=False, title=title, alignment="left")


def _run(config: Config, tick: Callable[[], object]) -> Result:
    network = CA3(_of(config), Streams(config.seed).generator("wiring"))
    done = 0
    rows: list[list[float]] = []
    costs = Costs()
    if config.checkpoint_every:
        done, rows, costs = _resume(config, network)
    probe_at = set(np.linspace(0, config.patterns, config.probes + 1, dtype=int)[1:].tolist())
    for number in range(done, config.patterns):
        with ResourceMeter() as meter:
            network.store(_pattern(config, number))
        if number > done:
            costs.stores.append([meter.seconds, meter.cpu_seconds])
        stored = number + 1
        if stored in probe_at:
            rows.append([float(stored), *_probe(config, network, stored, costs)])
        last = stored == config.patterns
        if config.checkpoint_every and (stored % config.checkpoint_every == 0 or last):
            _checkpoint(config, network, stored, rows, costs)
        tick()
    table = np.array(rows)
    overlaps = table[:, 1:].reshape(len(rows), len(CUES), config.tests)
    return Result(
        table[:, 0].astype(np.int64),
        overlaps,
        costs,
        ResourceMeter().peak_rss_mb,
        config,
    )


def _of(config: Config) -> CA3Config:
    return CA3Config(
        n_units=config.n_units,
        fan_in=config.fan_in,
        sparsity=config.sparsity,
        bits=config.bits,
        readout=config.readout,
        threads=config.threads,
    )


def _pattern(config: Config, number: int) -> SparseCode:
    rng = Streams(config.seed).generator("pattern", number)
    return SparseCode.random(config.n_units, _of(config).k, rng)


def _probe(config: Config, network: CA3, stored: int, costs: Costs) -> list[float]:
    """Return the overlaps ``(n_cues * n_tests,)`` at this load, cue by cue."""
    rng = Streams(config.seed).generator("probe", stored)
    which = rng.choice(stored, size=config.tests, replace=stored < config.tests)
    overlaps = []
    network.drive(_pattern(config, int(which[0])), 0.5)  # Compiles.
    for right, wrong in CUES.values():
        for number in which:
            pattern = _pattern(config, int(number))
            cue = corrupted(pattern, right, wrong, rng)
            with ResourceMeter() as meter:
                found = network.recall(cue)
            costs.recalls.append([meter.seconds, meter.cpu_seconds, float(found.n_steps)])
            overlaps.append(found.code.overlap(pattern))
    return overlaps


def _checkpoint(
    config: Config, network: CA3, stored: int, rows: list[list[float]], costs: Costs
) -> None:
    """Write the counts in parts beside the old ones; replacing the manifest commits them."""
    folder = Path(config.checkpoint)
    state = network.auto.state
    step = max(1, ROWS_A_PART // state["weights"].shape[1])
    starts = list(range(0, config.n_units, step))
    for part, first in enumerate(starts):
        block = state["weights"][first : first + step]
        write_hdf5(folder / _part(stored, part), {"weights": block})
    loads = {name: state[name] for name in ("pre_use", "post_use", "n_stored")}
    write_hdf5(folder / _part(stored, len(starts)), loads)
    manifest = {
        "config": _identity(config),
        "stored": stored,
        "parts": len(starts),
        "rows": rows,
        "costs": dataclasses.asdict(costs),
    }
    atomic_write_json(folder / MANIFEST, manifest)
    for path in folder.glob("part.*.h5"):
        if not path.name.startswith(f"part.{stored:06d}."):
            path.unlink()


def _resume(config: Config, network: CA3) -> tuple[int, list[list[float]], Costs]:
    folder = Path(config.checkpoint)
    if not (folder / MANIFEST).exists():
        return 0, [], Costs()
    manifest = read_json(folder / MANIFEST)
    if manifest.get("config") != _identity(config):
        raise ConfigError.expected(
            Config,
            "checkpoint",
            "a checkpoint of the same format, network and seed",
            str(folder),
            "choose another folder",
        )
    stored, n_parts = int(manifest["stored"]), int(manifest["parts"])
    if stored > config.patterns:
        raise ConfigError.expected(
            Config, "patterns", f"{stored} or more, which are stored", config.patterns, "raise it"
        )
    parts = [read_hdf5(folder / _part(stored, p))[0] for p in range(n_parts + 1)]
    loads = parts.pop()
    first = 0
    for part in parts:
        rows = part["weights"]
        target = network.auto.weights[first : first + len(rows)]
        if target.shape != rows.shape:
            raise CorruptFileError.expected(
                "checkpoint", "weights", str(target.shape), rows.shape, "delete the folder"
            )
        target[...] = rows
        first += len(rows)
    network.auto.restore({"weights": network.auto.weights, **loads})
    return stored, manifest["rows"], Costs(**manifest["costs"])


def _identity(config: Config) -> str:
    """Return what a checkpoint depends on."""
    free = {"patterns", "checkpoint", "checkpoint_every", "threads"}
    fields: dict[str, Any] = dataclasses.asdict(config)
    kept = {name: value for name, value in fields.items() if name not in free}
    return json_text({"format": FORMAT, **kept})


def _part(stored: int, part: int) -> str:
    return f"part.{stored:06d}.{part:04d}.h5"
