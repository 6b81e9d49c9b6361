"""Joint: all tasks mixed, the upper bound of the network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from experiments.continual_network import NetworkLearner, NetworkMethod
from neurosim.continual_learner import ContinualLearner, Shape


@dataclass(frozen=True)
class Joint(NetworkMethod):
    """Plain gradient descent on all tasks at once, as often as the stream would show them.

    References
    ----------
    Caruana (1997) Mach. Learn. 28:41 (multitask learning).
    """

    source: ClassVar[str] = "Caruana (1997) Mach. Learn. 28:41"
    published: ClassVar[Mapping[str, float]] = {"mammoth": 95.57, "van_de_ven": 98.2}
    joint: ClassVar[bool] = True

    def begin(self, shape: Shape, rng: np.random.Generator) -> ContinualLearner:
        """Return a newborn network."""
        return NetworkLearner(self, shape, rng)
