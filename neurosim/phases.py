"""Phases of day and night: how long, which neuromodulation, and what may change."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from neurosim.errors import ConfigError

PhaseName = Literal["wake", "nrem", "rem"]


def _is_real(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


@dataclass(frozen=True)
class Phase:
    """One stretch of wake, NREM or REM sleep.

    Parameters
    ----------
    name : {"wake", "nrem", "rem"}
        Which state the brain is in.
    duration : float [s]
        How long it lasts; greater than 0.
    acetylcholine : float
        Level relative to quiet waking, 0 to 1. High in wake and REM; in NREM below a third [1]_.
    plastic : frozenset of str
        Names of the projections and stores that may change.

    Raises
    ------
    ConfigError
        For an unknown name, a duration that is not positive, a level outside of 0..1, or a word in
        the place of a set of names.

    References
    ----------
    .. [1] Hasselmo (1999), Trends Cogn. Sci. 3, 351-359.
    """

    name: PhaseName = "wake"
    duration: float = 1.0
    acetylcholine: float = 1.0
    plastic: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.name not in get_args(PhaseName):
            raise ConfigError.expected(
                self, "name", "'wake', 'nrem' or 'rem'", self.name, "choose one of these"
            )
        if not (_is_real(self.duration) and 0 < self.duration < math.inf):
            raise ConfigError.expected(
                self, "duration", "seconds greater than 0", self.duration, "give a length of time"
            )
        if not (_is_real(self.acetylcholine) and 0 <= self.acetylcholine <= 1):
            raise ConfigError.expected(
                self, "acetylcholine", "a level from 0 to 1", self.acetylcholine, "use 1 for waking"
            )
        if isinstance(self.plastic, str):
            raise ConfigError.expected(
                self, "plastic", "a set of names", self.plastic, f"write {{{self.plastic!r}}}"
            )
        object.__setattr__(self, "plastic", frozenset(self.plastic))


MEMORIES = frozenset({"hippocampus", "cortex"})

NREM = Phase("nrem", duration=70 * 60.0, acetylcholine=0.2, plastic=MEMORIES)
REM = Phase("rem", duration=20 * 60.0, acetylcholine=1.0, plastic=MEMORIES)


@dataclass(frozen=True)
class Schedule:
    """A sequence of phases, to be iterated over.

    Parameters
    ----------
    phases : tuple of Phase
        In order of time.
    """

    phases: tuple[Phase, ...] = ()

    def __post_init__(self) -> None:
        """Check that every item is a Phase."""
        object.__setattr__(self, "phases", tuple(self.phases))
        for phase in self.phases:
            if not isinstance(phase, Phase):
                raise ConfigError.expected(self, "phases", "Phases only", phase, "pass a Phase")

    @classmethod
    def night(
        cls, cycles: int = 5, nrem: Phase = NREM, rem: Phase = REM, tilt: float = 0.5
    ) -> Schedule:
        r"""Alternate NREM and REM, as in a human night: NREM shortens and REM lengthens [1]_.

        With :math:`s_k` running evenly from -1 in the first cycle to 1 in the last, cycle k has

        .. math:: d_k^{NREM} = (1 - tilt \, s_k) \, d^{NREM}, \quad
                  d_k^{REM} = (1 + tilt \, s_k) \, d^{REM}

        so that the total time of either kind does not depend on `tilt`.

        Parameters
        ----------
        cycles : int
            Number of NREM-REM cycles, 1 or more; four to six in a human night.
        nrem, rem : Phase
            The phases to repeat; their `duration` is the mean over the night. The defaults make
            a 90-minute cycle with 22 % REM.
        tilt : float
            From 0 (all cycles alike) to less than 1.

        References
        ----------
        .. [1] Carskadon & Dement (2011), Normal human sleep: an overview, in Principles and
           Practice of Sleep Medicine, 5th ed., ch. 2. The linear tilt is our simplification.
        """
        _check_night(cycles, nrem, rem, tilt)
        phases: list[Phase] = []
        for k in range(cycles):
            s = 2 * k / (cycles - 1) - 1 if cycles > 1 else 0.0
            phases.append(replace(nrem, duration=nrem.duration * (1 - tilt * s)))
            phases.append(replace(rem, duration=rem.duration * (1 + tilt * s)))
        return cls(tuple(phases))

    @property
    def duration(self) -> float:
        """Total time [s]."""
        return math.fsum(phase.duration for phase in self.phases)

    def __iter__(self) -> Iterator[Phase]:
        """Yield the phases in order of time."""
        return iter(self.phases)

    def __len__(self) -> int:
        """Return the number of phases."""
        return len(self.phases)


def _check_night(cycles: int, nrem: Phase, rem: Phase, tilt: float) -> None:
    if isinstance(cycles, bool) or not isinstance(cycles, numbers.Integral) or cycles <= 0:
        raise ConfigError.expected(
            Schedule, "cycles", "an integer of 1 or more", cycles, "ask for at least one cycle"
        )
    if (nrem.name, rem.name) != ("nrem", "rem"):
        raise ConfigError.expected(
            Schedule, "night", "an 'nrem' and a 'rem' phase", (nrem.name, rem.name), "name them so"
        )
    if not (_is_real(tilt) and 0 <= tilt < 1):
        raise ConfigError.expected(Schedule, "tilt", "0 <= tilt < 1", tilt, "use 0.5, the default")
