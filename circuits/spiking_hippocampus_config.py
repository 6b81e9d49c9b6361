"""A hippocampus on the spiking CA3: the tracks it can hold, and how it learns and sleeps."""

from __future__ import annotations

from dataclasses import dataclass, replace

from circuits.closed_loop import LoopConfig
from circuits.place_cells import TrackConfig
from circuits.sleep_rhythm import SlowOscillation
from circuits.spiking_ca3 import SpikingCA3Config
from circuits.spiking_cells import Quantities, quantity
from neurosim.errors import ConfigError


@dataclass(frozen=True)
class SpikingHippocampusConfig(Quantities):
    """A spiking CA3, the tracks it can hold, and how it learns and sleeps.

    Parameters
    ----------
    ca3 : SpikingCA3Config
    track : TrackConfig
        Of each track.
    n_tracks, n_places : int
        Tracks, and places into which each is divided: the items.
    exposure : float [s]
        How long the animal runs, lap after lap, at salience 1: one exposure.
    initial_weight, largest_weight : float [S]
        Where recurrent weights begin, and their largest, before `scale`.
    scale : float
        On learnt weights in sleep; what fits one track is much for two (0.45 was better for them).
    burst : float [s]
        Sleep for one burst asked for: a night has a length, and how many bursts come in it is up
        to the network.
    shuffles : int
        For the significance of a replay; 20 are the fewest that can tell one at 0.05.
    fading : float
        Share of a synapse's learnt weight that is lost when a memory fades.
    loop : LoopConfig, optional
        Sleep in a closed loop; None leaves it alone.
    seed : int

    Raises
    ------
    ConfigError
        For a share of fading outside of 0..1, or fewer shuffles than a p of 0.05 needs.

    References
    ----------
    Ecker et al. (2022) eLife 11:e71850: weights, and the scale, are the reference's.
    """

    ca3: SpikingCA3Config = replace(SpikingCA3Config.of_size(1000), rhythm=SlowOscillation())
    track: TrackConfig = TrackConfig()
    n_tracks: int = 1
    n_places: int = 12
    exposure: float = 400.0
    initial_weight: float = quantity("S", default=1e-10)
    largest_weight: float = quantity("S", default=2e-8)
    scale: float = 0.62
    burst: float = quantity("s", default=1.0)
    shuffles: int = 20
    fading: float = 0.01
    loop: LoopConfig | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.fading <= 1:
            raise ConfigError.expected(
                self, "fading", "a share from 0 to 1", self.fading, "try 0.01"
            )
        if self.shuffles < 20:
            raise ConfigError.expected(
                self, "shuffles", "20 or more", self.shuffles, "or no replay could be significant"
            )
