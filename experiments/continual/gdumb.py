"""GDumb: keep a balanced box of images, and learn from it alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from experiments.continual_network import (
    NetworkLearner,
    NetworkMethod,
    RawMemory,
    RememberingLearner,
)
from neurosim.batches import checked_batch
from neurosim.continual_learner import ContinualLearner, Shape
from neurosim.ranges import Count, Positive
from neurosim.streams import Batch
from neurosim.training import batches, cosine

Array = NDArray[np.float32]


@dataclass(frozen=True)
class GDumb(NetworkMethod):
    """Raise a new network from the box at the end of each task.

    The paper raises it when it is asked; between the ends of tasks ours answers with the last one.

    Parameters
    ----------
    per_class : int
        Images kept, times the number of outputs.
    epochs : int
        Over the box.

    References
    ----------
    Prabhu, Torr & Dokania (2020) ECCV, algorithms 1 and 2: 91.9 with 500 images on Split-MNIST, by
    a larger network and with CutMix.
    """

    eta: Positive = 0.1
    per_class: Count = 50
    epochs: Count = 40

    source: ClassVar[str] = "Prabhu, Torr & Dokania (2020) ECCV"
    published: ClassVar[Mapping[str, float]] = {}

    def begin(self, shape: Shape, rng: np.random.Generator) -> ContinualLearner:
        """Return a newborn network with an empty box."""
        return _FromTheBox(self, shape, rng)


class _FromTheBox(RememberingLearner):
    """A network that is raised anew each time."""

    def __init__(self, method: GDumb, shape: Shape, rng: np.random.Generator) -> None:
        memory = RawMemory(method.per_class * shape.n_outputs, shape, balanced=True)
        super().__init__(method, shape, rng, memory)
        self.method = method

    def observe(self, batch: Batch) -> None:
        """Keep some."""
        batch = checked_batch(batch, self.shape)
        self.memory.add(batch.x, batch.y, self.rng)

    def end_of_task(self, task: int) -> None:
        """Raise a new network on the box."""
        super().end_of_task(task)
        fresh = NetworkLearner(self.method, self.shape, self.rng)
        kept = self.memory.take(np.arange(len(self.memory)))
        for epoch in range(self.method.epochs):
            for which in batches(len(kept.y), 10, self.rng):
                way = fresh.gradient(kept.x[which], fresh.one_hot(kept.y[which]))
                fresh.move(way, cosine(epoch / self.method.epochs))
        self.network, self.moments = fresh.network, fresh.moments
