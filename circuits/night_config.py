"""How a night runs: cycles, bursts, lessons and dreams."""

from dataclasses import dataclass
from typing import Annotated

from neurosim.phases import Schedule
from neurosim.ranges import (
    Count,
    NotNegative,
    PartialShare,
    Range,
    Share,
    Whole,
    check_fields,
)  # fmt: skip


@dataclass(frozen=True)
class NightConfig:
    """How a night runs.

    Parameters
    ----------
    cycles : int
        NREM-REM cycles; people have four to six.
    bursts_per_memory : float
        Ripple bursts a cycle for each memory CA3 holds.
    steps : int
        Gradient steps a cycle for up to `steps_for` memories, in proportion above.
    steps_for : int
    onset : float
        Share of a night's steps, but ten of them at the least, over which the learning rate rises.
    lessons_per_step, dreams_per_step : int
        Sequences a gradient step; each dream is dreamt for one step.
    recombined : float
        Share of the dreams that start from words of a replay, out of their context. Of a sheet
        there are none: 0.
    rehearsals : float
        Times a night that the cortex continues, beside these dreams, each opening that CA3 has
        kept of a released memory.
    continued : int
        Most bursts in REM, a cycle, that may bring back such openings.
    composure : float
        Temperature at which the cortex continues such an opening; at 1 it would wander off.
    confidence : float
        A replay below this teaches nothing.
    rem : bool
        False leaves the REM phases out, and with them the dreams.
    tilt : float
        How much NREM shortens and REM lengthens towards morning, 0 to 1 (see `Schedule.night`);
        bursts and dreams follow the length of their phase.
    crowded : float
        Share of the hippocampus in use above which old openings are let go at dawn.
    drift_limit : float
        Factor by which the perplexity of fresh dreams may rise for the night to be merged.
    release : bool
        False lets the hippocampus keep what the cortex has learnt, as an archive that replays it in
        later nights, too.

    Raises
    ------
    ConfigError
        For a night without a cycle, and for what is out of its range.
    """

    cycles: Count = 5
    bursts_per_memory: NotNegative = 1.6
    steps: Whole = 60
    steps_for: Count = 60
    lessons_per_step: Whole = 14
    dreams_per_step: Whole = 28
    recombined: Share = 0.5
    rehearsals: NotNegative = 24.0
    continued: Whole = 300
    composure: NotNegative = 0.3
    confidence: NotNegative = 0.9
    rem: bool = True
    tilt: PartialShare = 0.0
    crowded: NotNegative = 0.5
    drift_limit: Annotated[float, Range(0, infinite=True)] = 1.25
    release: bool = True
    onset: Share = 0.0

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def n_steps(self) -> int:
        """Steps of a whole night for up to `steps_for` memories."""
        return self.cycles * self.steps

    def schedule(self) -> Schedule:
        """Return the phases of the night in order of time."""
        night = Schedule.night(self.cycles, tilt=self.tilt)
        return night if self.rem else Schedule(tuple(p for p in night if p.name != "rem"))
