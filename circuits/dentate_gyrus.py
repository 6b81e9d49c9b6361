"""Dentate gyrus: similar inputs leave with dissimilar, sparse codes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.homeostasis import Homeostasis
from circuits.lateral_inhibition import Inhibition, InhibitionConfig
from circuits.neurogenesis import Neurogenesis, NeurogenesisConfig
from circuits.perforant_path import PerforantPath, PlasticPath, StoredPath
from neurosim.codes import SparseCode
from neurosim.contracts import Rule
from neurosim.errors import ConfigError


@dataclass(frozen=True)
class DentateConfig:
    """Size, sparsity and mechanisms of the granule cell layer.

    Parameters
    ----------
    n_units : int
        Granule cells.
    sparsity : float
        Fraction active, 0.02-0.05 by default of this project, 0.001 to 0.5 in reason; at least one
        cell.
    connectivity : float
        Fraction of granule cells an entorhinal cell reaches.
    homeostasis : bool
        Whether each cell competes with its drive normalised by its own mean and deviation.
    recovery : float
        Share of the way back to its birth weight that a synapse goes in each episode; with
        learning only. It makes room: a cell tuned to an old episode can be recruited again.
    inhibition : InhibitionConfig
    neurogenesis : NeurogenesisConfig
        With learning only.

    Raises
    ------
    ConfigError
        For a sparsity of less than a cell, a share outside of 0..1, or thresholds without
        homeostasis.
    """

    n_units: int = 8192
    sparsity: float = 0.03
    connectivity: float = 0.1
    homeostasis: bool = True
    recovery: float = 0.1
    inhibition: InhibitionConfig = field(default_factory=InhibitionConfig)
    neurogenesis: NeurogenesisConfig = field(default_factory=NeurogenesisConfig)

    def __post_init__(self) -> None:
        if not 0.0 < self.sparsity < 1.0 or round(self.sparsity * self.n_units) < 1:
            raise ConfigError(
                f"DentateConfig.sparsity: expected a fraction of at least one of {self.n_units} "
                f"cells, got {self.sparsity}; choose 0.02 to 0.05"
            )
        for name in ("connectivity", "recovery"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError.expected(
                    self, name, "a fraction from 0 to 1", getattr(self, name), "try 0.1"
                )
        if self.inhibition.kind == "threshold" and not self.homeostasis:
            raise ConfigError(
                "DentateConfig.inhibition: expected homeostasis with thresholds, got none; "
                "switch homeostasis on or let the cells compete"
            )

    @property
    def k(self) -> int:
        """Number of active granule cells."""
        return round(self.sparsity * self.n_units)


class DentateGyrus:
    """Sparse expansion with homeostatic thresholds and lateral inhibition.

    ``h = W x``, ``z_j = (h_j - m_j) / s_j``, the `k` cells of largest z fire. Each cell learns
    the mean m and standard deviation s of its own drive online while the circuit develops
    (`mature`), so no cell is a hub that fires for everything. In adulthood they rest: a code
    must be the same at recall as it was at storage.

    With a rule, the perforant path learns (`learn`): the cells that fire are tuned to the pattern,
    so that they fire less for a similar one, while the pattern itself keeps them. Tuned cells are
    lost to other patterns until their weights recover or they are replaced by newborn ones.

    Parameters
    ----------
    config : DentateConfig
    n_input : int
        Entorhinal cells.
    rng : numpy.random.Generator
        Draws the perforant path.
    rule : Rule, optional
        What a perforant synapse does, acting on "post"; without it the synapses are fixed.
    path : PerforantPath, optional
        Another perforant path, such as a generated one; then there is no learning.

    References
    ----------
    Treves & Rolls (1992) Hippocampus 2:189 (sparse expansion); Welford (1962) Technometrics 4:419
    (online variance); k-winners-take-all as lateral inhibition: O'Reilly & McClelland (1994).
    """

    def __init__(
        self,
        config: DentateConfig,
        n_input: int,
        rng: np.random.Generator,
        rule: Rule | None = None,
        path: PerforantPath | None = None,
    ) -> None:
        self.config, self.rule, self.n_input = config, rule, n_input
        self.perforant: PerforantPath
        if path is not None:
            self.perforant = path
        elif rule is not None:
            self.perforant = PlasticPath(n_input, config.n_units, config.connectivity, rng)
        else:
            fan_out = max(1, round(config.connectivity * config.n_units))
            self.perforant = StoredPath(n_input, config.n_units, fan_out, rng)
        changing = rule is not None or config.neurogenesis.turnover > 0
        if changing and not isinstance(self.perforant, PlasticPath):
            raise ConfigError(
                "DentateGyrus.rule: expected learning and neurogenesis with a plastic perforant "
                "path only, got a fixed one; give a rule and no path of your own"
            )
        self.homeostasis = Homeostasis(config.n_units)
        self.inhibition = Inhibition(config.inhibition, config.n_units, config.k)
        self.neurogenesis = Neurogenesis(config.neurogenesis, config.n_units)

    def mature(self, activity: NDArray[np.float32]) -> None:
        """Let each cell learn the statistics of its drive from ``(n_steps, n_input)`` input."""
        drive = self._drive(activity)
        self.homeostasis.learn(drive)
        if self.config.inhibition.kind == "threshold":
            self.inhibition.learn(self.homeostasis.normalise(drive))

    def encode(self, activity: NDArray[np.float32]) -> list[SparseCode]:
        """Return the granule code of each step of ``(n_steps, n_input)`` input."""
        return [self.inhibition.winners(z) for z in self.normalised(activity)]

    def normalised(self, activity: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the homeostatic drive z ``(n_steps, n_units)``, before inhibition."""
        return self._normalised(self._drive(activity))

    def learn(self, activity: NDArray[np.float32], rng: np.random.Generator) -> SparseCode:
        """Live through one episode ``(n_input,)`` and return its code.

        Without a rule nothing changes and the code is that of `encode`.

        Parameters
        ----------
        activity : (n_input,) float32
        rng : numpy.random.Generator
            Wires the newborn cells.
        """
        drive = self._drive(activity[None])
        code = self.inhibition.winners(self._normalised(drive)[0])
        if self.rule is None or not isinstance(self.perforant, PlasticPath):
            return code
        rates = self.neurogenesis.plasticity()[code.active]
        self.perforant.learn(self.rule, activity, code.active, rates)
        if self.config.recovery:
            self.perforant.recover(self.config.recovery)
        self._renew(code, drive, rng)
        return code

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """Return the named arrays of what the cells have learnt; fixed wiring is not among them."""
        arrays: dict[str, NDArray[Any]] = {
            "homeostasis/counts": self.homeostasis.counts,
            "homeostasis/mean": self.homeostasis.mean,
            "homeostasis/squares": self.homeostasis.squares,
            "threshold": self.inhibition.threshold,
        }
        if isinstance(self.perforant, PlasticPath):
            arrays["perforant/weights"] = self.perforant.weights
            arrays["perforant/connected"] = self.perforant.connected
            lives = self.neurogenesis.state
            arrays |= {f"neurogenesis/{name}": values for name, values in lives.items()}
        return arrays

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take a saved state back, into a gyrus of the same configuration.

        Raises
        ------
        ConfigError
            When an array has another shape.
        """
        for name, own in self.state.items():
            if state[name].shape != own.shape:
                raise ConfigError.expected(
                    self, name, f"shape {own.shape}", state[name].shape, "use its configuration"
                )
            own[...] = state[name]
        if isinstance(self.perforant, PlasticPath):
            self.neurogenesis.debt = float(state["neurogenesis/debt"])

    def _drive(self, activity: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.perforant.drive(activity)

    def _normalised(self, drive: NDArray[np.float32]) -> NDArray[np.float32]:
        z = self.homeostasis.normalise(drive) if self.config.homeostasis else drive
        if self.config.neurogenesis.turnover > 0:
            z = z + self.neurogenesis.advantage()
        return z

    def _renew(
        self, code: SparseCode, drive: NDArray[np.float32], rng: np.random.Generator
    ) -> None:
        if self.config.neurogenesis.turnover <= 0 or not isinstance(self.perforant, PlasticPath):
            return
        self.homeostasis.learn(drive, np.flatnonzero(self.neurogenesis.dormant))
        born = self.neurogenesis.pass_episode(code)
        self.perforant.rewire(born, rng)
        self.homeostasis.forget(born)
