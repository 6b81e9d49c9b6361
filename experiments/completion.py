"""Pattern completion: what comes back from a part of a pattern, with parts of the circuit gone."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from circuits.ca3 import CA3Config
from circuits.dentate_gyrus import DentateConfig
from circuits.pattern_ca1 import PatternCA1Config
from circuits.pattern_hippocampus import PatternHippocampus, PatternHippocampusConfig
from experiments.comparison import Measured, check_names, compare, key, record
from neurosim.codes import SparseCode
from neurosim.errors import ConfigError
from neurosim.hdf5 import Arrays
from neurosim.plotting import curve, label
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from rules.instar import Instar

INTACT, KNOCK_OUT = "intact", "no CA3 NMDA receptors"
NO_GYRUS, NO_CA1 = "no dentate gyrus", "no CA1 learning"
ARMS = (INTACT, KNOCK_OUT, NO_GYRUS, NO_CA1)

expected = {
    "full_cue_difference": (
        0.03,
        "Nakazawa et al. (2002): recall with full cues is normal; at most this, our tolerance",
    ),
    "quarter_cue_difference": (
        0.3,
        "Nakazawa et al. (2002): impaired with a fraction of the cues; at least this, our bar",
    ),
}


def _small() -> PatternHippocampusConfig:
    return PatternHippocampusConfig(
        n_input=1024,
        dentate=DentateConfig(4096, sparsity=0.02, connectivity=0.2),
        ca3=CA3Config(n_units=2048, fan_in=1024, sparsity=0.02),
        ca1=PatternCA1Config(2048, fan_in=2048),
    )


@dataclass(frozen=True)
class Config:
    """What to store and how much of it to show.

    Parameters
    ----------
    fractions : tuple of float
        Share of a pattern's active cells that the cue keeps, descending from 1.
    n_patterns : int
        Patterns stored, random.
    activity : float
        Fraction of the entorhinal cells that a pattern activates.
    n_probes : int
        Patterns tested.
    development : int
        Patterns from which cells learn their usual drive.
    arms : tuple of str
        Of `ARMS`.
    seeds : tuple of int
        Each arm runs once a seed, on the same patterns.
    hippocampus : PatternHippocampusConfig
    workers : int
        Processes at a time; 0 for one a processor.
    """

    fractions: tuple[float, ...] = (1.0, 0.9, 0.75, 0.5, 0.25, 0.1, 0.05)
    n_patterns: int = 100
    activity: float = 0.1
    n_probes: int = 40
    development: int = 200
    arms: tuple[str, ...] = ARMS
    seeds: tuple[int, ...] = tuple(range(10))
    hippocampus: PatternHippocampusConfig = field(default_factory=_small)
    workers: int = 0

    def __post_init__(self) -> None:
        check_names(self, "arms", self.arms, ARMS)
        if not all(0.0 < fraction <= 1.0 for fraction in self.fractions):
            raise ConfigError.expected(
                self, "fractions", "shares above 0, to 1", self.fractions, "try 1,0.5,0.25"
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

    def overlap(self, arm: str) -> NDArray[np.float64]:
        """Return the completion curves of an arm, ``(n_seeds, n_fractions)``."""
        return self.measured[arm]["overlap"]

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers of the command's ``--json``."""
        numbers = {}
        for arm in self.config.arms:
            name = key(arm)
            values = self.overlap(arm).mean(axis=0)
            for fraction, value in zip(self.config.fractions, values, strict=True):
                numbers[f"recall_{round(100 * fraction):03d}_{name}"] = float(value)
            for known in ("novelty_known", "novelty_new"):
                numbers[f"{known}_{name}"] = float(self.measured[arm][known].mean())
        if {INTACT, KNOCK_OUT} <= set(self.config.arms):
            gap = (self.overlap(INTACT) - self.overlap(KNOCK_OUT)).mean(axis=0)
            at = {
                fraction: float(g) for fraction, g in zip(self.config.fractions, gap, strict=True)
            }
            numbers |= {"full_cue_difference": at[1.0]} if 1.0 in at else {}
            numbers |= {"quarter_cue_difference": at[0.25]} if 0.25 in at else {}
        return numbers


def fragment(pattern: SparseCode, fraction: float, rng: np.random.Generator) -> SparseCode:
    """Return a part of the active cells, at least one."""
    n = max(1, round(fraction * len(pattern)))
    return SparseCode(np.sort(rng.choice(pattern.active, n, replace=False)), pattern.n_units)


def circuit_of(arm: str, config: Config, seed: int) -> PatternHippocampus:
    """Return the hippocampus of an arm, before development."""
    whole = config.hippocampus
    changed = {
        INTACT: whole,
        KNOCK_OUT: replace(whole, nmda=False),
        NO_GYRUS: replace(whole, separation=False),
        NO_CA1: replace(whole, ca1=replace(whole.ca1, plastic=False)),
    }[arm]
    return PatternHippocampus(changed, Streams(seed), Instar(0.1))


def run_arm(config: Config, arm: str, seed: int) -> Arrays:
    """Store once, then recall from less and less.

    Returns
    -------
    dict of str to ndarray
        ``overlap (n_fractions,)`` of the entorhinal pattern read out with the one stored;
        ``novelty_known`` and ``novelty_new``, the mismatch that CA1 reports for stored patterns and
        for others.
    """
    rng = Streams(seed).generator("patterns")  # The same in all arms.
    n, k = config.hippocampus.n_input, round(config.activity * config.hippocampus.n_input)
    circuit = circuit_of(arm, config, seed)
    circuit.mature([SparseCode.random(n, k, rng) for _ in range(config.development)])
    patterns = [SparseCode.random(n, k, rng) for _ in range(config.n_patterns)]
    for pattern in patterns:
        circuit.store(pattern)
    probes = [patterns[i] for i in rng.permutation(len(patterns))[: config.n_probes]]
    overlap = [
        np.mean([circuit.recall(fragment(p, share, rng)).pattern.overlap(p) for p in probes])
        for share in config.fractions
    ]
    known = np.mean([circuit.novelty(pattern) for pattern in probes])
    new = np.mean([circuit.novelty(SparseCode.random(n, k, rng)) for _ in probes])
    return {
        "overlap": np.array(overlap),
        "novelty_known": np.array(known),
        "novelty_new": np.array(new),
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
        recorder.store("fractions", np.array(config.fractions), "", ("fraction",))
        record(result.measured, recorder, {"overlap": ("fraction",)})
    return result


def plot(result: Result, axes: Axes) -> None:
    """Draw recall against the share of the cue."""
    shares = 100 * np.array(result.config.fractions)
    for arm in result.config.arms:
        curve(axes, shares, result.overlap(arm), arm)
        if arm == INTACT:
            axes.lines[-1].set_linewidth(4)  # Another arm may lie on it.
    axes.axvline(25, color="0.6", linestyle=":", linewidth=1)
    axes.text(
        26,
        0.6,
        "Nakazawa et al. (2002):\nknock-out impaired when most\ncues are gone, normal with all",
        fontsize=8,
        color="0.3",
        ha="right",
        va="center",
    )
    axes.invert_xaxis()
    axes.set_ylim(-0.03, 1.03)
    label(axes.xaxis, "cue", "% of the pattern's cells")
    label(axes.yaxis, "pattern read out", "overlap with the one stored")
    axes.legend(fontsize=8, loc="center left")
