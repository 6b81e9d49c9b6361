"""Pattern separation: how alike the dentate codes of two inputs are, given how alike the inputs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from circuits.dentate_gyrus import DentateConfig, DentateGyrus
from circuits.neurogenesis import NeurogenesisConfig
from experiments.comparison import Measured, check_names, compare, key, record
from neurosim.codes import SparseCode
from neurosim.errors import ConfigError
from neurosim.hdf5 import Arrays
from neurosim.plotting import curve, label
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from rules.instar import Instar

NO_GYRUS, RANDOM, HOMEOSTASIS = "no dentate gyrus", "random k-WTA", "homeostasis"
LEARNING, YOUNG, ALL = "learning", "only the young learn", "all mechanisms"
ARMS = (NO_GYRUS, RANDOM, HOMEOSTASIS, LEARNING, YOUNG, ALL)
AGES = (0, 1, 10, 50)

expected = {
    "overlap_090_random_k_wta": (
        0.58,
        "two jointly normal drives at 2 % active; our prototype: 0.54 at 1 %, 0.63 at 5 %",
    ),
    "overlap_090_all_mechanisms": (0.45, "this project's bar: at most that, at 2 % active"),
    "overlap_090_no_dentate_gyrus": (0.9, "identity: nothing separates without the gyrus"),
}


@dataclass(frozen=True)
class Config:
    """What to measure, on which layer.

    Parameters
    ----------
    n_input : int
        Entorhinal cells.
    activity : float
        Fraction of them that a pattern activates.
    n_units : int
        Granule cells.
    sparsity : float
        Fraction of them that fires.
    connectivity : float
        Fraction of the entorhinal cells that reach a granule cell.
    shares : tuple of float
        Input overlaps of a pattern and its lures, descending.
    arms : tuple of str
        Of `ARMS`.
    seeds : tuple of int
        Each arm runs once a seed, on the same patterns.
    development : int
        Patterns from which cells learn their usual drive.
    burn_in, tests : int
        Episodes before the measurement, so that learning, recovery, birth and death are in balance;
        and those after each of which its lures are tested.
    eta : float
        Learning rate of a mature perforant synapse.
    recovery : float
        Share of the way back to its birth weight that a synapse goes each episode.
    turnover : float
        Share of the granule cells replaced each episode, in the arms with young cells.
    workers : int
        Processes at a time; 0 for one a processor.

    Raises
    ------
    ConfigError
        For an unknown arm, too short a burn-in, or an overlap outside of 0..1.
    """

    n_input: int = 10_000
    activity: float = 0.1
    n_units: int = 2000
    sparsity: float = 0.02
    connectivity: float = 0.5
    shares: tuple[float, ...] = (0.98, 0.95, 0.9, 0.8, 0.6, 0.4, 0.2)
    arms: tuple[str, ...] = ARMS
    seeds: tuple[int, ...] = tuple(range(10))
    development: int = 200
    burn_in: int = 60
    tests: int = 30
    eta: float = 0.1
    recovery: float = 0.2
    turnover: float = 0.005
    workers: int = 0

    def __post_init__(self) -> None:
        check_names(self, "arms", self.arms, ARMS)
        if self.burn_in < max(AGES):
            raise ConfigError.expected(
                self, "burn_in", f"{max(AGES)} episodes or more", self.burn_in, "lengthen it"
            )
        for share in self.shares:
            if not 0.0 <= share <= 1.0:
                raise ConfigError.expected(
                    self, "shares", "overlaps from 0 to 1", share, "choose others"
                )

    @property
    def k_input(self) -> int:
        """Active entorhinal cells."""
        return round(self.activity * self.n_input)


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
        """Return the transfer curves of an arm, ``(n_seeds, n_shares)``."""
        return self.measured[arm]["overlap"]

    def reliability(self, arm: str) -> NDArray[np.float64]:
        """Return how well the codes of an arm last, ``(n_seeds, n_ages)``."""
        return self.measured[arm]["reliability"]

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers of the command's ``--json``."""
        numbers = {}
        for arm in self.config.arms:
            name = key(arm)
            for share, value in zip(self.config.shares, self.overlap(arm).mean(0), strict=True):
                numbers[f"overlap_{round(100 * share):03d}_{name}"] = float(value)
            for age, value in zip(AGES, self.reliability(arm).mean(0), strict=True):
                numbers[f"reliability_after_{age}_{name}"] = float(value)
        return numbers


def expected_overlap(share: float, sparsity: float) -> float:
    """Return the output overlap of a random expansion with k-winners-take-all.

    The drives of a cell by two patterns are jointly normal with correlation `share` (each synapse
    is there by chance), and a cell fires above the quantile t of `sparsity`:
    ``P(h1 > t, h2 > t) / sparsity``.

    Parameters
    ----------
    share : float
        Input overlap, 0..1.
    sparsity : float
        Fraction of granule cells that fires.

    References
    ----------
    The bivariate normal orthant, Owen (1956) Ann. Math. Stat. 27:1075, by numerical integration.
    """
    from scipy.stats import multivariate_normal, norm  # Slow to import.

    t = norm.isf(sparsity)
    if share >= 1.0:
        return 1.0
    both = multivariate_normal.cdf([-t, -t], cov=[[1.0, share], [share, 1.0]])
    return float(both / sparsity)


def draw_pattern(n: int, k: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return an input ``(n,)`` with `k` active cells."""
    pattern = np.zeros(n, dtype=np.float32)
    pattern[rng.choice(n, k, replace=False)] = 1.0
    return pattern


def draw_lure(
    pattern: NDArray[np.float32], share: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return a pattern as large that keeps a share of the active cells, the others drawn anew."""
    on, off = np.flatnonzero(pattern), np.flatnonzero(pattern == 0)
    kept = round(share * len(on))
    lure = np.zeros_like(pattern)
    lure[rng.choice(on, kept, replace=False)] = 1.0
    lure[rng.choice(off, len(on) - kept, replace=False)] = 1.0
    return lure


def gyrus_of(arm: str, config: Config, rng: np.random.Generator) -> DentateGyrus:
    """Return the dentate gyrus of an arm, before development."""
    births = NeurogenesisConfig(
        turnover=config.turnover if arm in (YOUNG, ALL) else 0.0,
        maturity=0.0 if arm == YOUNG else 1.0,
    )
    dentate = DentateConfig(
        config.n_units,
        config.sparsity,
        config.connectivity,
        homeostasis=arm != RANDOM,
        recovery=config.recovery,
        neurogenesis=births,
    )
    rule = Instar(config.eta) if arm in (LEARNING, YOUNG, ALL) else None
    return DentateGyrus(dentate, config.n_input, rng, rule)


def run_arm(config: Config, arm: str, seed: int) -> Arrays:
    """Develop, live through episodes, and test lures of the last ones.

    Returns
    -------
    dict of str to ndarray
        ``overlap (n_shares,)``, the mean output overlap of a pattern and its lures, and
        ``reliability (n_ages,)``, the overlap of a code with the code that the same pattern has
        `AGES` episodes later.
    """
    streams = Streams(seed)
    rng = streams.generator("patterns")  # The same in all arms.

    def draw() -> NDArray[np.float32]:
        return draw_pattern(config.n_input, config.k_input, rng)

    if arm == NO_GYRUS:
        pattern = draw()
        code = SparseCode.from_dense(pattern)
        lures = [draw_lure(pattern, share, rng) for share in config.shares]
        overlap = np.array([code.overlap(SparseCode.from_dense(lure)) for lure in lures])
        return {"overlap": overlap, "reliability": np.ones(len(AGES))}
    gyrus = gyrus_of(arm, config, streams.generator("dentate_gyrus"))
    gyrus.mature(np.stack([draw() for _ in range(config.development)]))
    births = streams.generator("neurogenesis")
    episodes: list[tuple[NDArray[np.float32], SparseCode]] = []
    overlaps = np.zeros((config.tests, len(config.shares)))
    reliability = np.zeros((config.tests, len(AGES)))
    for episode in range(config.burn_in + config.tests):
        pattern = draw()
        lures = [draw_lure(pattern, share, rng) for share in config.shares]
        episodes.append((pattern, gyrus.learn(pattern, births)))
        if episode >= config.burn_in:
            codes = gyrus.encode(np.stack([pattern, *lures]))
            overlaps[episode - config.burn_in] = [codes[0].overlap(code) for code in codes[1:]]
            old = [episodes[episode - age] for age in AGES]
            codes = gyrus.encode(np.stack([pattern for pattern, _ in old]))
            reliability[episode - config.burn_in] = [
                now.overlap(then) for now, (_, then) in zip(codes, old, strict=True)
            ]
    return {"overlap": overlaps.mean(axis=0), "reliability": reliability.mean(axis=0)}


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
        recorder.store("shares", np.array(config.shares), "", ("share",))
        recorder.store("ages", np.array(AGES), "episodes", ("age",))
        record(result.measured, recorder, {"overlap": ("share",), "reliability": ("age",)})
    return result


def plot(result: Result, axes: Axes) -> None:
    """Draw the transfer curves, with the identity and what two normal drives would give."""
    config = result.config
    shares = np.array([1.0, *config.shares])
    axes.plot(
        [0, 1], [0, 1], color="0.6", linewidth=1, linestyle=":", label="as alike as the input"
    )
    fine = np.linspace(0, 1, 41)
    theory = [expected_overlap(float(share), config.sparsity) for share in fine]
    axes.plot(fine, theory, "k--", linewidth=1, label="theory of random k-WTA")
    for arm in config.arms:
        rows = result.overlap(arm)
        rows = np.column_stack([np.ones(len(rows)), rows])
        curve(axes, shares, rows, arm)
    label(axes.xaxis, "input overlap", "share of active cells in common")
    label(axes.yaxis, "output overlap", "share of active cells in common")
    axes.set_title(f"{100 * config.sparsity:g} % of granule cells active")
    axes.legend(fontsize=8)
