"""What a brain is made of, as a run gives it and as its manifest keeps it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from circuits.night_config import NightConfig


@dataclass(frozen=True)
class BrainConfig:
    """What a brain is made of.

    Parameters
    ----------
    seed : int
    surprise_threshold : float [nats]
        A sentence is written when some token of its second half surprises the cortex by more:
        at log 2 the cortex gave every token more than half its trust, and would say it itself.
    gate : bool
        False writes everything.
    separation : bool
        False takes the dentate gyrus out (ablation).
    night : NightConfig
    """

    seed: int = 0
    surprise_threshold: float = 0.6931
    gate: bool = True
    separation: bool = True
    night: NightConfig = dataclasses.field(default_factory=NightConfig)

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> "BrainConfig":
        """Build from what `asdict` gave; what this version no longer knows is left out."""
        night = NightConfig(**_known(NightConfig, values["night"]))
        return cls(**{**_known(cls, values), "night": night})


def _known(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in values.items() if name in names}
