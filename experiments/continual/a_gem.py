"""A-GEM, averaged gradient episodic memory: no step that harms the memories."""

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
class AGEM(NetworkMethod):
    """Project the gradient so that the loss on memories of earlier tasks does not rise.

    ``g <- g - (g . r / r . r) r`` if ``g . r < 0``, r the gradient on a draw of memories.

    Parameters
    ----------
    per_class : int
        Images kept, times the number of outputs, a uniform sample of the stream.
    draw : int
        Memories of which r is taken.
    by_class : bool
        Keep at most `per_class` of a class, as van de Ven et al. (2022) do.

    References
    ----------
    Chaudhry, Ranzato, Rohrbach & Elhoseiny (2019) ICLR, eq. 11.
    """

    eta: Positive = 0.1
    per_class: Count = 50
    draw: Count = 128
    by_class: bool = False

    source: ClassVar[str] = "Chaudhry, Ranzato, Rohrbach & Elhoseiny (2019) ICLR"
    published: ClassVar[Mapping[str, float]] = {"mammoth": 46.7, "van_de_ven": 65.1}
    van_de_ven: ClassVar[Mapping[str, Any]] = {"per_class": 100, "by_class": True}

    def begin(self, shape: Shape, rng: np.random.Generator) -> ContinualLearner:
        """Return a newborn network with an empty memory."""
        return _Careful(self, shape, rng)


class _Careful(RememberingLearner):
    """A network that asks its memories first."""

    def __init__(self, method: AGEM, shape: Shape, rng: np.random.Generator) -> None:
        quota = method.per_class if method.by_class else 0
        memory = RawMemory(method.per_class * shape.n_outputs, shape, quota=quota)
        super().__init__(method, shape, rng, memory)
        self.draw = method.draw

    def observe(self, batch: Batch) -> None:
        """Take one step that the memories of earlier tasks allow."""
        batch = checked_batch(batch, self.shape)
        way = self.gradient(batch.x, self.one_hot(batch.y))
        old = self.memory.draw(self.draw, self.rng, before=self.tasks_done)
        if len(old.y):
            reference = self.gradient(old.x, self.one_hot(old.y))
            way = project(way, reference)
        self.move(way)
        self.memory.add(batch.x, batch.y, self.rng, task=self.tasks_done)


def project(way: list[Array], reference: list[Array]) -> list[Array]:
    """Return the nearest direction that does not go against the reference."""
    along = sum(float(np.vdot(a, b)) for a, b in zip(way, reference, strict=True))
    length = sum(float(np.vdot(b, b)) for b in reference)
    if along >= 0 or length == 0:
        return way
    share = np.float32(along / length)
    return [a - share * b for a, b in zip(way, reference, strict=True)]
