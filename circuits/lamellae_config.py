"""How lamellae are cut, and in which numbers they compute."""

from __future__ import annotations

from dataclasses import dataclass

from neurosim.errors import ConfigError, check_counts

FINEST = 255
"""Steps of the input at most: distances are sums of whole numbers, the same in any order."""

QUIET = 0.3
"""Activity of a lamella at which divisive inhibition halves it."""


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
    """

    n_classes: int = 10
    cells: int = 60
    extent: int = 3
    stride: int = 2
    bits: int = 4
    strongest: float = 0.35
    conscience: float = 0.5
    patience: float = 0.5
    room: bool = True
    winners: int = 1
    competition: bool = True
    cooperativity: float = 0.085
    least_wins: int = 5
    volatility: int = 0

    def __post_init__(self) -> None:
        check_counts(self, "n_classes", "cells", "extent", "stride", "least_wins")
        check_counts(self, "volatility", least=0)
        most = self.cells if self.competition else 1
        if not 1 <= self.winners <= most:
            raise ConfigError.expected(self, "winners", f"1 to {most} cells", self.winners, "try 1")
        if self.bits not in (4, 8):
            raise ConfigError.expected(self, "bits", "4 or 8", self.bits, "choose one of them")
        if not (self.strongest > 0 and 0 <= min(self.conscience, self.patience)) or (
            max(self.conscience, self.patience) > 1
        ):
            raise ConfigError.expected(
                self, "conscience", "0..1, so patience, and strongest above 0",
                (self.conscience, self.patience, self.strongest), "try 0.5, 0.5 and 0.35",
            )  # fmt: skip
        if self.volatility > self.most // 2:
            raise ConfigError.expected(
                self, "volatility", f"at most {self.most // 2} counts of {self.bits} bits",
                self.volatility, "try 1",
            )  # fmt: skip
        if not 0 <= self.cooperativity < 1:
            raise ConfigError.expected(
                self, "cooperativity", "0 up to, but not, 1", self.cooperativity, "try 0.085"
            )

    @property
    def most(self) -> int:
        """The largest count of a weight."""
        return (1 << self.bits) - 1

    @property
    def fine(self) -> int:
        """Steps of the input to one count of a weight."""
        return FINEST // self.most
