"""How lamellae are cut, and in which numbers they compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from neurosim.errors import ConfigError
from neurosim.ranges import Count, OneOf, PartialShare, Positive, Share, Whole, check_fields

FINEST = 255
"""Steps of the input at most: distances are sums of whole numbers, the same in any order."""

QUIET = 0.3
"""Activity of a lamella at which divisive inhibition halves it."""

Bits = Annotated[int, OneOf((4, 8))]
"""Of a weight."""


@dataclass(frozen=True)
class LamellaeConfig:
    """How the entorhinal sheet is cut, and what a class may recruit.

    Parameters
    ----------
    n_classes : int
        Classes that can be told apart.
    cells : int
        Granule cells that a class recruits in each lamella.
    extent, stride : int [columns of the sheet]
        Side of the square of the sheet that drives a lamella, and from one to the next.
    bits : int
        Of a weight: 4 or 8.
    strongest : float
        Weight of the largest count.
    conscience : float
        How much a cell that has often won yields: distances count times wins to this power.
    patience : float
        How far it is made up for that a class met a few times has few cells: 0 not at all, so that
        it is rarely heard beside old ones; 1 fully, at the cost of the old ones' peace.
    room : bool
        Whether a class that comes back on another day makes room for what it looks like now.
    winners : int
        Cells of the class that a pattern turns in each lamella: how sparse the gyrus is.
    competition : bool
        False is a lesion: whichever cell of the class wins does so by chance, not by its match.
    cooperativity : float
        Share of its inputs by which a lamella must be driven together for its synapses to change:
        a part whose drive sums to less than ``sqrt(cooperativity n_pre)``, which is what so many
        inputs give that share all of it, is faint and writes nothing. 0: none is.
    least_wins : int
        A cell that stems from fewer patterns does not outlast the day: it merges with the nearest
        of its class. 1: all do.
    volatility : int [counts]
        By how much each synapse that is not silent wanders, up or down by chance, at the end of a
        day on which its class was met. 0: none does.
    steady : float
        Share of its inputs from which on a cell does not wander: one whose weights sum to
        ``sqrt(steady n_pre)`` or more holds too much to come beside an image by chance. 1: all do.
    """

    n_classes: Count = 10
    cells: Count = 60
    extent: Count = 3
    stride: Count = 2
    bits: Bits = 4
    strongest: Positive = 0.35
    conscience: Share = 0.5
    patience: Share = 0.5
    room: bool = True
    winners: Count = 1
    competition: bool = True
    cooperativity: PartialShare = 0.085
    least_wins: Count = 5
    volatility: Whole = 0
    steady: Share = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        most = self.cells if self.competition else 1
        if self.winners > most:
            raise ConfigError.expected(self, "winners", f"1 to {most} cells", self.winners, "try 1")
        if self.volatility > self.most // 2:
            raise ConfigError.expected(
                self, "volatility", f"at most {self.most // 2} counts of {self.bits} bits",
                self.volatility, "try 1",
            )  # fmt: skip

    @property
    def most(self) -> int:
        """The largest count of a weight."""
        return (1 << self.bits) - 1

    @property
    def fine(self) -> int:
        """Steps of the input to one count of a weight."""
        return FINEST // self.most
