"""How large the hippocampus is, and the ablation of its pattern separation."""

from dataclasses import dataclass, field, replace

from circuits.ca1 import CA1Config
from circuits.dentate_gyrus import DentateConfig
from circuits.entorhinal import EntorhinalConfig
from circuits.episodic_ca3 import EpisodicCA3Config


@dataclass(frozen=True)
class HippocampusConfig:
    """Sizes of the four regions, and the ablation of pattern separation.

    Parameters
    ----------
    entorhinal, dentate, ca3, ca1 : configurations of the regions
    longest : int [items]
        Longest episode, the end mark included.
    end : int
        Item that ends every episode.
    more : int
        Item that ends what is left of a released episode: there was more.
    gist : float
        Share of a released episode's items, from its beginning, that stays as a fragment.
    tolerance : float
        Expected false winners among the k of a state at which the memory counts as full.
    separation : bool
        False by-passes the dentate gyrus; see `dense`.
    """

    entorhinal: EntorhinalConfig = field(default_factory=EntorhinalConfig)
    dentate: DentateConfig = field(default_factory=DentateConfig)
    ca3: EpisodicCA3Config = field(default_factory=EpisodicCA3Config)
    ca1: CA1Config = field(default_factory=CA1Config)
    longest: int = 126
    end: int = 2
    more: int = 0
    gist: float = 0.2
    tolerance: float = 1e-3
    separation: bool = True

    def dense(self, activity: float = 0.03) -> "HippocampusConfig":
        """Return the ablation: no dentate gyrus, and CA3 codes that are dense (fraction active).

        The mossy fibres then carry the entorhinal activity itself.
        """
        ca3 = replace(
            self.ca3,
            k_index=round(activity * self.ca3.n_index),
            k_sequence=round(activity * self.ca3.n_sequence),
            index_bias=0.0,
        )
        return replace(self, ca3=ca3, separation=False)
