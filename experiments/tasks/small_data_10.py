"""Ten examples of each digit."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from neurosim.task import ImageTask, Samples, Stage


@dataclass(frozen=True, kw_only=True)
class SmallData(ImageTask):
    """Classify digits from a few examples of each.

    Parameters
    ----------
    n_a_class : int
        Training images of each class, the first of the seed's order.

    References
    ----------
    Song et al. (2024) Nature Neuroscience 27:348, Fig. 4h.
    """

    n_a_class: int = 10
    passes: float = 40.0
    batch: int = 10

    title: ClassVar[str] = "10 a class"

    def stages(self, rng: np.random.Generator, final: bool) -> tuple[Stage, ...]:
        """Return one stage of as many samples of each class."""
        learnt, exam = self.parts(rng, final)
        x, y = first_of_each(learnt, self.n_a_class)
        return (Stage(x, y, max(1, round(self.passes * len(x))), (exam,)),)


def first_of_each(samples: Samples, n: int) -> Samples:
    """Return the first `n` samples of each class, in their order."""
    x, y = samples
    kept = np.sort(np.concatenate([np.flatnonzero(y == label)[:n] for label in np.unique(y)]))
    return x[kept], y[kept]
