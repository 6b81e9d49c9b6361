"""CA1 for patterns: what CA3 predicts meets what entorhinal cortex says, and finds the way back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.association import Association
from circuits.homeostasis import Homeostasis
from circuits.perforant_path import GeneratedPath
from neurosim.codes import SparseCode
from neurosim.errors import ConfigError
from neurosim.state import check_arrays


@dataclass(frozen=True)
class PatternCA1Config:
    """Size, sparsity and wiring of CA1.

    Parameters
    ----------
    n_units : int
        Pyramidal cells.
    sparsity : float
        Fraction active.
    temporoammonic : float
        Fraction of CA1 cells that an entorhinal cell reaches directly; these synapses are fixed.
    fan_in : int
        Schaffer collaterals of a CA1 cell, and CA1 synapses of a deep entorhinal cell.
    plastic : bool
        False is the ablation in which neither of the two learns.

    Raises
    ------
    ConfigError
        For a sparsity of less than a cell, or a side without a synapse.
    """

    n_units: int = 4096
    sparsity: float = 0.02
    temporoammonic: float = 0.25
    fan_in: int = 4096
    plastic: bool = True

    def __post_init__(self) -> None:
        if not 0.0 < self.sparsity < 1.0 or self.k < 1:
            raise ConfigError.expected(
                self,
                "sparsity",
                f"a fraction of at least one of {self.n_units} cells",
                self.sparsity,
                "choose 0.01 to 0.05",
            )
        if not 0.0 < self.temporoammonic <= 1.0 or self.fan_in < 1:
            raise ConfigError(
                "PatternCA1Config.fan_in: expected one synapse or more from each side, got none; "
                "try temporoammonic=0.25 and fan_in=4096"
            )

    @property
    def k(self) -> int:
        """Number of active CA1 cells."""
        return round(self.sparsity * self.n_units)


class PatternCA1:
    """Compare and translate.

    The present entorhinal pattern makes a CA1 code of its own through the temporoammonic path. As
    it is stored, Schaffer collaterals learn to bring that code back from the CA3 code, and CA1
    cells learn to bring the entorhinal pattern back. What CA3 predicts and what is there then meet
    in one population, and their mismatch is novelty.

    Parameters
    ----------
    config : PatternCA1Config
    n_ca3, n_input : int
        Cells of CA3 and of entorhinal cortex.
    rng : numpy.random.Generator
        Draws the wiring.

    References
    ----------
    Lisman (1999) Neuron 22:233 (CA1 as comparator); Hasselmo & Schnell (1994) J. Neurosci. 14:3898
    (self-organising Schaffer collaterals); McClelland & Goddard (1996) Hippocampus 6:654 (an
    invertible entorhinal-CA1 pathway).
    """

    def __init__(
        self, config: PatternCA1Config, n_ca3: int, n_input: int, rng: np.random.Generator
    ) -> None:
        self.config = config
        seeds = rng.integers(1 << 62, size=3)
        fan_out = max(1, round(config.temporoammonic * config.n_units))
        self.temporoammonic = GeneratedPath(n_input, config.n_units, fan_out, int(seeds[0]))
        self.homeostasis = Homeostasis(config.n_units)
        self.schaffer = Association(n_ca3, config.n_units, config.fan_in, int(seeds[1]))
        self.output = Association(config.n_units, n_input, config.fan_in, int(seeds[2]))

    def mature(self, activity: NDArray[np.float32]) -> None:
        """Let each cell learn its usual temporoammonic drive from ``(n_steps, n_input)`` input."""
        self.homeostasis.learn(self.temporoammonic.drive(activity))

    def encode(self, pattern: SparseCode) -> SparseCode:
        """Return the CA1 code that an entorhinal pattern makes directly."""
        drive = self.temporoammonic.drive_of(pattern)[None]
        return SparseCode.winners(self.homeostasis.normalise(drive)[0], self.config.k)

    def predict(self, ca3: SparseCode) -> SparseCode:
        """Return the CA1 code that CA3 brings back."""
        return SparseCode.winners(self.schaffer.drive(ca3), self.config.k)

    def decode(self, code: SparseCode) -> SparseCode:
        """Return the entorhinal pattern a CA1 code stands for.

        A cell fires if the odds are for it: the log odds of its usual rate and of what its synapses
        say add up to more than nothing.
        """
        rates = np.clip(self.output.rates(), 1e-3, 1.0 - 1e-3)
        return SparseCode.from_dense(self.output.drive(code) + np.log(rates / (1 - rates)) > 0)

    def write(self, ca3: SparseCode, pattern: SparseCode, amount: int = 1) -> int:
        """Learn the way from a CA3 code to an entorhinal pattern; return the synaptic events."""
        if not self.config.plastic:
            return 0
        code = self.encode(pattern)
        first = self.schaffer.write(ca3, code, amount)
        return first.n_events + self.output.write(code, pattern, amount).n_events

    def mismatch(self, ca3: SparseCode, pattern: SparseCode) -> float:
        """Return how far CA3's prediction is from the entorhinal input, 0 none to 1 all of it."""
        return 1.0 - self.predict(ca3).overlap(self.encode(pattern))

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """Return the named arrays that make up the memory."""
        arrays: dict[str, NDArray[Any]] = {
            "homeostasis/counts": self.homeostasis.counts,
            "homeostasis/mean": self.homeostasis.mean,
            "homeostasis/squares": self.homeostasis.squares,
        }
        for name, part in (("schaffer", self.schaffer), ("output", self.output)):
            arrays |= {f"{name}/{key}": array for key, array in part.synapses.state.items()}
        return arrays

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take a saved state back.

        Raises
        ------
        CorruptFileError
            When an array is missing or of another shape or type.
        """
        own = self.state
        check_arrays(self, own, dict(state))
        for name in ("counts", "mean", "squares"):
            own[f"homeostasis/{name}"][...] = state[f"homeostasis/{name}"]
        for name, part in (("schaffer", self.schaffer), ("output", self.output)):
            part.synapses.restore({key: state[f"{name}/{key}"] for key in part.synapses.state})
