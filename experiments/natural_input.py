"""Crosstalk of natural input: how many images or sentences CA3 holds, by how they are coded."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from circuits.ca3 import CA3, CA3Config
from circuits.dentate_gyrus import DentateConfig, DentateGyrus
from circuits.neurogenesis import NeurogenesisConfig
from experiments.childhood import DATA
from experiments.comparison import Measured, check_names, compare, key, record
from experiments.completion import fragment
from experiments.separation import draw_pattern
from neurosim import datasets
from neurosim.codes import SparseCode, stack
from neurosim.errors import ConfigError
from neurosim.hdf5 import Arrays
from neurosim.metrics import overlap_matrix
from neurosim.plotting import curve, label
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from rules.instar import Instar

SOURCES = ("mnist", "digits", "sentences", "random")
RAW, FAIR, HOMEOSTASIS = "raw k-WTA", "raw with fair ties", "homeostasis"
LEARNING, ALL = "learning", "all mechanisms"
ARMS = (RAW, FAIR, HOMEOSTASIS, LEARNING, ALL)
RAW_RECALL = 0.2

expected = {
    "recall_homeostasis": (0.9, "this project's bar: perfect recall where raw k-WTA reaches 0.20"),
    "capacity_ratio": (4.0, "our prototype on real images: usable capacity times about four"),
}


@dataclass(frozen=True)
class Config:
    """What to store, and in which circuit.

    Parameters
    ----------
    source : str
        Of `SOURCES`; "mnist" needs NEUROSIM_DATA, the others ship.
    n_units : int
        Granule cells, and CA3 cells that they fire one to one.
    sparsity : float
        Fraction active.
    connectivity : float
        Fraction of the granule cells that an entorhinal cell reaches.
    readout : str
        Of CA3's counts.
    loads : tuple of int
        Patterns stored, ascending.
    n_probes : int
        Patterns whose half-cues are tested at each load.
    development : int
        Patterns, none of which is stored, from which cells learn their usual drive.
    eta, recovery, turnover : float
        As in the experiment `separation`.
    arms : tuple of str
        Of `ARMS`.
    seeds : tuple of int
        Each draws other patterns and other wiring.
    workers : int
        Processes at a time; 0 for one a processor.

    Raises
    ------
    ConfigError
        For an unknown source or arm, or loads that do not ascend.
    """

    source: str = "digits"
    n_units: int = 1000
    sparsity: float = 0.02
    connectivity: float = 0.2
    readout: str = "willshaw"
    loads: tuple[int, ...] = (25, 50, 100, 150, 200, 300, 450, 700, 1100)
    n_probes: int = 40
    development: int = 300
    eta: float = 0.1
    recovery: float = 0.02
    turnover: float = 0.002
    arms: tuple[str, ...] = ARMS
    seeds: tuple[int, ...] = tuple(range(6))
    workers: int = 0

    def __post_init__(self) -> None:
        check_names(self, "source", (self.source,), SOURCES)
        check_names(self, "arms", self.arms, ARMS)
        if list(self.loads) != sorted(set(self.loads)) or len(self.loads) < 2 or self.loads[0] < 1:
            raise ConfigError.expected(
                self, "loads", "two loads or more, ascending", self.loads, "try 100,200,400"
            )


@dataclass(frozen=True)
class Result:
    """All arms at all seeds.

    Parameters
    ----------
    config : Config
    measured : dict of str to dict of str to ndarray
        By arm and by name: what `run_arm` returns, ``(n_seeds, ...)``.
    """

    config: Config
    measured: Measured

    def recall(self, arm: str) -> NDArray[np.float64]:
        """Return perfect recall over load of an arm, ``(n_seeds, n_loads)``."""
        return self.measured[arm]["recall"]

    def raw_load(self) -> float:
        """Return the load at which raw codes are recalled in a fifth of the trials [patterns]."""
        return load_at(self.config.loads, self.recall(RAW).mean(axis=0), RAW_RECALL)

    def at_raw_load(self, arm: str) -> NDArray[np.float64]:
        """Return the recall of an arm at that load, a value a seed, between measured loads."""
        loads = np.log(self.config.loads)
        at = np.log(self.raw_load())
        return np.array([np.interp(at, loads, row) for row in self.recall(arm)])

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers of the command's ``--json``."""
        numbers: dict[str, float] = {}
        for arm in self.config.arms:
            name = key(arm)
            numbers[f"code_overlap_{name}"] = float(self.measured[arm]["overlap"].mean())
            numbers[f"use_spread_{name}"] = float(self.measured[arm]["spread"].mean())
            mean = self.recall(arm).mean(axis=0)
            numbers[f"capacity_{name}"] = load_at(self.config.loads, mean, 0.5)
            if RAW in self.config.arms:
                numbers[f"recall_{name}"] = float(self.at_raw_load(arm).mean())
        if {RAW, HOMEOSTASIS} <= set(self.config.arms):
            numbers["raw_load"] = self.raw_load()
            ratio = numbers["capacity_homeostasis"] / numbers["capacity_raw_k_wta"]
            numbers["capacity_ratio"] = ratio
        return numbers


def load_at(loads: tuple[int, ...], recall: NDArray[np.float64], level: float) -> float:
    """Return where recall first falls to a level, between loads by their logarithm.

    The last load, if it never falls so far, or the first, if it starts below.
    """
    below = np.flatnonzero(recall <= level)
    if not below.size:
        return float(loads[-1])
    j = int(below[0])
    if j == 0:
        return float(loads[0])
    share = (recall[j - 1] - level) / (recall[j - 1] - recall[j])
    return float(loads[j - 1] * (loads[j] / loads[j - 1]) ** share)


def entorhinal_patterns(source: str, n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return `n` different entorhinal patterns ``(n, n_input)`` of zeros and ones.

    - mnist: a cell a pixel, active above half of the grey scale (784 cells, 13 % active);
    - digits: eight cells a pixel, one of which is active, by grey level (512 cells, 12.5 %);
    - sentences: each word has ten cells of 1,024 of its own, by its hash; a sentence activates
      those of all its words (some 11 %);
    - random: 1,024 cells, 10 % of them active.
    """
    if source == "random":
        return np.stack([draw_pattern(1024, 102, rng) for _ in range(n)])
    if source == "sentences":
        lines = sorted(set((DATA / "prose.txt").read_text(encoding="utf-8").splitlines()))
        patterns = np.stack([_sentence(lines[i]) for i in rng.permutation(len(lines))[: 2 * n]])
    else:
        images = datasets.load(source).train_images
        chosen = images[rng.permutation(len(images))[: 2 * n]].reshape(-1, images[0].size)
        if source == "mnist":
            patterns = (chosen > 127).astype(np.float32)
        else:
            levels = np.minimum(chosen // 32, 7)
            patterns = np.eye(8, dtype=np.float32)[levels].reshape(len(chosen), -1)
    _, first = np.unique(patterns, axis=0, return_index=True)
    if len(first) < n:
        raise ConfigError.expected(
            "natural_input", "loads", f"at most {len(first)} patterns of {source}", n, "use fewer"
        )
    return patterns[np.sort(first)[:n]]


def codes_of(
    arm: str, config: Config, patterns: NDArray[np.float32], streams: Streams
) -> list[SparseCode]:
    """Return the granule codes of all but the first `development` patterns, learning each.

    Raw drives are whole numbers, and where equal drives meet the threshold the lower cells win,
    which makes hubs of them; the arm "raw with fair ties" lets a chance of less than a synapse
    decide, anew for each pattern.
    """
    dentate = DentateConfig(
        config.n_units,
        config.sparsity,
        config.connectivity,
        homeostasis=arm not in (RAW, FAIR),
        recovery=config.recovery,
        neurogenesis=NeurogenesisConfig(turnover=config.turnover if arm == ALL else 0.0),
    )
    rule = Instar(config.eta) if arm in (LEARNING, ALL) else None
    rng = streams.generator("dentate_gyrus")
    gyrus = DentateGyrus(dentate, patterns.shape[1], rng, rule)
    gyrus.mature(patterns[: config.development])
    if arm == FAIR:
        drives = gyrus.normalised(patterns[config.development :])
        chance = streams.generator("ties").random(drives.shape)
        return [gyrus.inhibition.winners(drive) for drive in drives + 0.5 * chance]
    births = streams.generator("neurogenesis")
    return [gyrus.learn(pattern, births) for pattern in patterns[config.development :]]


def run_arm(config: Config, arm: str, seed: int) -> Arrays:
    """Code the patterns, store the codes, and recall them from half of their cells.

    Returns
    -------
    dict of str to ndarray
        ``recall (n_loads,)``, the share of half-cues from which the code came back perfectly;
        ``overlap``, the mean of two codes; ``spread``, deviation over mean of how often each cell
        is used, 0 for even use.
    """
    streams = Streams(seed)
    rng = streams.generator("patterns")  # The same in all arms.
    patterns = entorhinal_patterns(config.source, config.development + config.loads[-1], rng)
    codes = codes_of(arm, config, patterns, streams)
    ca3 = CA3(
        CA3Config(
            n_units=config.n_units,
            fan_in=config.n_units,
            sparsity=config.sparsity,
            readout=config.readout,
            wiring="full",
            inhibition="exact",
        ),
        streams.generator("ca3"),
    )
    recall, stored = [], 0
    for load in config.loads:
        for code in codes[stored:load]:
            ca3.store(code)
        stored = load
        probes = [codes[i] for i in rng.permutation(load)[: config.n_probes]]
        recall.append(np.mean([ca3.recall(fragment(c, 0.5, rng)).code == c for c in probes]))
    overlaps = overlap_matrix(stack(codes[:200]))
    use = stack(codes).mean(axis=0)
    return {
        "recall": np.array(recall),
        "overlap": np.array(float(overlaps[~np.eye(len(overlaps), dtype=bool)].mean())),
        "spread": np.array(float(use.std() / use.mean())),
    }


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Result:
    """Run every arm at every seed, in processes of one thread each.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator, optional
        Not used: each arm draws from its own seed, so that arms can be compared.
    recorder : Recorder, optional
    tick : callable
        Called after each arm.
    shelf : Path, optional
        Folder in which the arms that are finished outlive an interruption.
    """
    result = Result(config, compare(run_arm, config, tick, shelf))
    if recorder is not None:
        recorder.store("loads", np.array(config.loads), "patterns", ("load",))
        record(result.measured, recorder, {"recall": ("load",)})
    return result


def plot(result: Result, axes: Axes) -> None:
    """Draw perfect recall over load."""
    config = result.config
    for arm in config.arms:
        curve(axes, config.loads, result.recall(arm), arm, within=(0, 1))
    axes.set_xscale("log")
    axes.set_ylim(-0.03, 1.03)
    axes.set_title(config.source)
    label(axes.xaxis, "load", "patterns stored")
    label(axes.yaxis, "perfect recall from half-cues", "share")
    axes.legend(fontsize=8)


def _sentence(text: str) -> NDArray[np.float32]:
    pattern = np.zeros(1024, dtype=np.float32)
    for word in text.split():
        pattern[_word_cells(word.strip(".,;:!?\"'()").lower())] = 1.0
    return pattern


def _word_cells(word: str) -> Any:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).choice(1024, 10, replace=False)
