"""DER++, dark experience replay: old images with what was answered to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from experiments.continual_network import NetworkMethod, RawMemory, RememberingLearner
from neurosim.batches import checked_batch
from neurosim.continual_learner import ContinualLearner, Shape
from neurosim.ranges import Count, NotNegative
from neurosim.streams import Batch

Array = NDArray[np.float32]


@dataclass(frozen=True)
class DER(NetworkMethod):
    """Add ``alpha |drives - old drives|^2 + beta CE`` of memories to the loss of the batch.

    Parameters
    ----------
    per_class : int
        Images kept, times the number of outputs, with the drives of the output (logits).
    alpha, beta : float
        The square is the mean over outputs. Two draws from memory, one for each.

    References
    ----------
    Buzzega, Boschini, Porrello, Abati & Calderara (2020) NeurIPS, eq. 6 and algorithm 2.
    """

    per_class: Count = 50
    alpha: NotNegative = 1.0
    beta: NotNegative = 0.5

    source: ClassVar[str] = "Buzzega et al. (2020) NeurIPS, Dark experience"
    published: ClassVar[Mapping[str, float]] = {"mammoth": 91.00}
    van_de_ven: ClassVar[Mapping[str, Any]] = {"per_class": 100}

    def begin(self, shape: Shape, rng: np.random.Generator) -> ContinualLearner:
        """Return a newborn network with an empty memory."""
        return _Dark(self, shape, rng)


class _Dark(RememberingLearner):
    """A network with images and answers in a box."""

    def __init__(self, method: DER, shape: Shape, rng: np.random.Generator) -> None:
        memory = RawMemory(method.per_class * shape.n_outputs, shape, answers=True)
        super().__init__(method, shape, rng, memory)
        self.alpha, self.beta = np.float32(method.alpha), np.float32(method.beta)

    def observe(self, batch: Batch) -> None:
        """Take one step on the batch and two draws of memories."""
        batch = checked_batch(batch, self.shape)
        n = len(batch.y)
        dark, plain = (self.memory.draw(n, self.rng) for _ in range(2))
        x = np.concatenate([batch.x, dark.x, plain.x])
        targets, old = self.one_hot(batch.y), self.one_hot(plain.y)
        m = len(dark.y)
        drives: Array = np.empty(0, np.float32)

        def error(drive: Array, answer: Array) -> Array:
            nonlocal drives
            drives = drive[:n]
            gap = 2 * self.alpha * (dark.answers - drive[n : n + m]) / drive.shape[1]
            back = (targets - answer[:n]) / np.float32(n)
            if not m:
                return back
            rest = self.beta * (old - answer[n + m :])
            return np.concatenate([back, gap / np.float32(m), rest / np.float32(m)])

        way = self.gradient_of(x, error)
        self.memory.add(batch.x, batch.y, self.rng, drives)
        self.move(way)
