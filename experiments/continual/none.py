"""None: learn each batch as it comes, the lower bound."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from experiments.continual_network import NetworkLearner, NetworkMethod
from neurosim.continual_learner import ContinualLearner, Shape


@dataclass(frozen=True)
class Nothing(NetworkMethod):
    """Plain gradient descent on the stream.

    References
    ----------
    McCloskey & Cohen (1989) Psychol. Learn. Motiv. 24:109 (catastrophic interference).
    """

    source: ClassVar[str] = "McCloskey & Cohen (1989) Psychol. Learn. Motiv. 24:109"
    published: ClassVar[Mapping[str, float]] = {"mammoth": 19.60, "van_de_ven": 19.90}
    van_de_ven: ClassVar[Mapping[str, Any]] = {}

    def begin(self, shape: Shape, rng: np.random.Generator) -> ContinualLearner:
        """Return a newborn network."""
        return NetworkLearner(self, shape, rng)
