"""ER, experience replay: old images, kept as they were, beside the new."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from experiments.continual_network import NetworkMethod, RawMemory, RememberingLearner
from neurosim.batches import checked_batch
from neurosim.continual_learner import ContinualLearner, Shape
from neurosim.ranges import Count, Positive
from neurosim.streams import Batch

Array = NDArray[np.float32]


@dataclass(frozen=True)
class ER(NetworkMethod):
    """Learn as many memories as new images in each step.

    Parameters
    ----------
    per_class : int
        Images kept, times the number of outputs, a uniform sample of the stream.
    by_tasks : bool
        Weigh the new images 1/n and the memories 1 - 1/n, n the tasks so far, and replay old tasks
        only; else all alike.
    by_class : bool
        Keep at most `per_class` of a class, as van de Ven et al. (2022) do; else the whole memory
        is in use from the start, and the first classes have more of it while they are alone.

    References
    ----------
    Chaudhry et al. (2019) arXiv:1902.10486, algorithm 1; Riemer et al. (2019) ICLR. By tasks: van
    de Ven et al. (2022), Methods.
    """

    eta: Positive = 0.1
    per_class: Count = 50
    by_tasks: bool = False
    by_class: bool = False

    source: ClassVar[str] = "Chaudhry et al. (2019) arXiv:1902.10486"
    published: ClassVar[Mapping[str, float]] = {"mammoth": 86.12, "van_de_ven": 88.8}
    van_de_ven: ClassVar[Mapping[str, Any]] = {
        "per_class": 100, "by_tasks": True, "by_class": True,
    }  # fmt: skip

    def begin(self, shape: Shape, rng: np.random.Generator) -> ContinualLearner:
        """Return a newborn network with an empty memory."""
        return Replaying(self, shape, rng)


class Replaying(RememberingLearner):
    """A network with images in a box."""

    def __init__(self, method: ER, shape: Shape, rng: np.random.Generator) -> None:
        quota = method.per_class if method.by_class else 0
        memory = RawMemory(method.per_class * shape.n_outputs, shape, quota=quota)
        super().__init__(method, shape, rng, memory)
        self.by_tasks = method.by_tasks

    def observe(self, batch: Batch) -> None:
        """Take one step on the batch and as many memories."""
        batch = checked_batch(batch, self.shape)
        before = self.tasks_done if self.by_tasks else None
        old = self.memory.draw(len(batch.y), self.rng, before)
        x, y = np.concatenate([batch.x, old.x]), np.concatenate([batch.y, old.y])
        if self.by_tasks and len(old.y):
            share = 1 / (self.tasks_done + 1)
            weights = np.repeat(
                [share / len(batch.y), (1 - share) / len(old.y)], [len(batch.y), len(old.y)]
            ).astype(np.float32)
            targets = self.one_hot(y)
            self.move(self.gradient_of(x, lambda z, p: weights[:, None] * (targets - p)))
        else:
            self.move(self.gradient(x, self.one_hot(y)))
        self.memory.add(batch.x, batch.y, self.rng, task=self.tasks_done)
