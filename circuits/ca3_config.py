"""What a CA3 is made of: size, wiring and dynamics, checked before anything is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from circuits import readouts
from neurosim.connectivity import Connectivity, Full, Generated, Nearby, Stored
from neurosim.errors import ConfigError
from neurosim.synapses import row_bytes

Wiring = Literal["generated", "stored", "nearby", "full"]
Inhibition = Literal["feedback", "exact"]

_CELL_BYTES = 64
"""Loads, fatigue and drives of one cell."""


@dataclass(frozen=True)
class CA3Config:
    """Size, wiring and dynamics of CA3.

    Parameters
    ----------
    n_units : int
        Pyramidal cells.
    fan_in : int
        Recurrent synapses a cell, on average.
    sparsity : float
        Fraction of cells that inhibition lets fire.
    bits : int
        Of a synaptic count: 1, 4 or 8.
    readout : {"willshaw", "covariance", "bayesian"}
        What a count is worth (`circuits.readouts`).
    wiring : {"generated", "stored", "nearby", "full"}
        Random without a stored index, random with one, rarer with distance, or all to all.
    reach : float
        Length constant of the wiring "nearby", as a fraction of the ring.
    inhibition : {"feedback", "exact"}
        Interneurons that track the activity, or exactly the k most driven cells.
    steps : int
        Longest run of attractor steps.
    trust : tuple of float
        Share of the active cells believed to be right at each step of settling; the last value
        stays. Little at first, so that a corrupted cue may be wrong. The Bayesian read-out trusts
        the cells of a cue by the first value, and from then on each cell by its own drive.
    adaptation : float [standard deviations of the drive]
        Drive a cell loses when it took part in a burst.
    recovery : float
        Fraction of the adaptation left one burst later.
    noise : float [standard deviations of the drive]
        Of the fluctuations of a cell's drive at the start of a spontaneous burst.
    end : float
        A sequence ends when the cells that would follow have less than this share of the evidence
        that a stored successor has.
    threads : int
        For the kernels; results do not depend on it.

    Raises
    ------
    ConfigError
        When the numbers do not fit each other.
    """

    n_units: int = 4096
    fan_in: int = 1024
    sparsity: float = 0.02
    bits: int = 8
    readout: str = "bayesian"
    wiring: str = "generated"
    reach: float = 0.1
    inhibition: str = "feedback"
    steps: int = 32
    trust: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    adaptation: float = 4.0
    recovery: float = 0.98
    noise: float = 1.0
    end: float = 0.5
    threads: int = 1

    def __post_init__(self) -> None:
        """Check what can be checked before anything is built."""
        checks = {
            "n_units": (self.n_units >= 2, "2 cells or more", "try 4096"),
            "fan_in": (
                1 <= self.fan_in <= self.n_units,
                f"1..{self.n_units} of the cells",
                "lower it to the number of cells",
            ),
            "sparsity": (
                0.0 < self.sparsity < 1.0 and 1 <= self.k < self.n_units,
                f"a fraction of at least one of {self.n_units} cells and not of all",
                "choose 0.005 to 0.05",
            ),
            "bits": (self.bits in (1, 4, 8), "1, 4 or 8", "choose one of them"),
            "steps": (self.steps >= 1, "1 or more", "try 16"),
            "trust": (
                len(self.trust) > 0 and all(0.0 < r <= 1.0 for r in self.trust),
                "at least one value in 0..1",
                "such as (0.5, 0.8, 0.98)",
            ),
            "readout": (
                self.readout in readouts.READOUTS,
                f"one of {', '.join(readouts.READOUTS)}",
                "choose one",
            ),
            "wiring": (
                self.wiring in get_args(Wiring),
                f"one of {', '.join(get_args(Wiring))}",
                "choose one",
            ),
            "inhibition": (
                self.inhibition in get_args(Inhibition),
                f"one of {', '.join(get_args(Inhibition))}",
                "choose one",
            ),
        }
        for name, (good, expected, mend) in checks.items():
            if not good:
                raise ConfigError.expected(self, name, expected, getattr(self, name), mend)

    @property
    def k(self) -> int:
        """Number of cells that inhibition lets fire."""
        return round(self.sparsity * self.n_units)

    @property
    def required_bytes(self) -> int:
        """Memory that the auto-association needs [bytes], its cells included."""
        fan_out = self.n_units if self.wiring == "full" else self.fan_in
        index = 4 * self.n_units * fan_out if self.wiring == "stored" else 0
        counts = self.n_units * row_bytes(self, fan_out, self.bits)
        return counts + index + _CELL_BYTES * self.n_units

    def connect(self, seed: int) -> Connectivity:
        """Return a wiring of the cells among themselves; a seed is a wiring."""
        n = self.n_units
        if self.wiring == "full":
            return Full(n, n)
        if self.wiring == "stored":
            return Stored.with_fan_in(n, n, self.fan_in, np.random.default_rng(seed))
        if self.wiring == "nearby":
            return Nearby(n, n, self.fan_in, self.reach, seed)
        return Generated.with_fan_in(n, n, self.fan_in, seed)
