"""1-NN: the nearest of some images kept as they were."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from experiments.continual_network import RawMemory
from neurosim.batches import checked_batch, checked_images
from neurosim.continual_learner import ContinualLearner, Method, Shape
from neurosim.ranges import Count
from neurosim.streams import Batch

Array = NDArray[np.float32]


@dataclass(frozen=True)
class NearestNeighbour(Method):
    """Keep images, as many of each class, and answer with the class of the nearest.

    Parameters
    ----------
    per_class : int
        Images kept, times the number of outputs.
    by_class : bool
        Keep a uniform sample of all that was seen of a class. Else the first that come, a class
        giving way only to another: where classes come back in later tasks, nothing of these.

    References
    ----------
    Cover & Hart (1967) IEEE Trans. Inf. Theory 13:21.
    """

    per_class: Count = 50
    by_class: bool = False

    source: ClassVar[str] = "Cover & Hart (1967) IEEE Trans. Inf. Theory 13:21"
    published: ClassVar[Mapping[str, float]] = {}

    def begin(self, shape: Shape, rng: np.random.Generator) -> ContinualLearner:
        """Return a learner with an empty memory."""
        quota = self.per_class if self.by_class else 0
        memory = RawMemory(self.per_class * shape.n_outputs, shape, not self.by_class, quota=quota)
        return _Neighbours(memory, shape, rng)


class _Neighbours:
    """Images in a box."""

    def __init__(self, memory: RawMemory, shape: Shape, rng: np.random.Generator) -> None:
        self.memory, self.shape, self.rng = memory, shape, rng

    def observe(self, batch: Batch) -> None:
        """Keep some."""
        batch = checked_batch(batch, self.shape)
        self.memory.add(batch.x, batch.y, self.rng)

    def end_of_task(self, task: int) -> None:
        """Do nothing."""

    def predict(self, x: Array) -> Array:
        """Return minus the squared distance to the nearest of each class, but for ``|x|^2``."""
        x = checked_images(x, self.shape)
        scores = np.full((len(x), self.shape.n_outputs), -np.inf, np.float32)
        kept = self.memory.take(np.arange(len(self.memory)))
        if len(kept.y):
            near = 2 * x @ kept.x.T - np.square(kept.x).sum(axis=1)
            for label in np.unique(kept.y):
                scores[:, label] = near[:, kept.y == label].max(axis=1)
        return scores

    @property
    def state(self) -> Mapping[str, NDArray]:
        """Return the images."""
        return self.memory.state
