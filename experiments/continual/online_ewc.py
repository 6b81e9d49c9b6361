"""Online EWC: one set of springs, the old ones fading."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from experiments.continual.ewc import EWC, Elastic
from neurosim.continual_learner import ContinualLearner, Shape
from neurosim.ranges import Share


@dataclass(frozen=True)
class OnlineEWC(EWC):
    """Keep one Fisher information, ``F <- gamma F + F_k``, around the latest weights.

    Parameters
    ----------
    gamma : float
        What a task leaves of the Fisher information of those before.

    References
    ----------
    Schwarz et al. (2018) ICML, Progress & compress, eq. 9; Chaudhry et al. (2018) ECCV (EWC++).
    """

    gamma: Share = 1.0

    source: ClassVar[str] = "Schwarz et al. (2018) ICML, Progress & compress"
    published: ClassVar[Mapping[str, float]] = {"mammoth": 20.46}
    van_de_ven: ClassVar[Mapping[str, Any]] = {"strength": 1e9}

    def begin(self, shape: Shape, rng: np.random.Generator) -> ContinualLearner:
        """Return a newborn network."""
        return _LatestSprings(self, shape, rng)


class _LatestSprings(Elastic):
    """Springs that end at the weights of the latest task."""

    def __init__(self, method: OnlineEWC, shape: Shape, rng: np.random.Generator) -> None:
        super().__init__(method, shape, rng)
        self.decay = method.gamma

    def end_of_task(self, task: int) -> None:
        """Measure the Fisher information, and move the springs' ends."""
        super().end_of_task(task)
        for f, g, p in zip(self.stiffness, self.pull, self.network.parameters, strict=True):
            np.multiply(f, p, out=g)
