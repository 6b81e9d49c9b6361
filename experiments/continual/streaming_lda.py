"""SLDA, streaming linear discriminant analysis: class means, and one covariance of all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from experiments.continual.nearest_class_mean import Means
from neurosim.batches import checked_batch, checked_images
from neurosim.continual_learner import ContinualLearner, Method, Shape
from neurosim.ranges import SomeShare
from neurosim.streams import Batch

Array = NDArray[np.float32]


@dataclass(frozen=True)
class StreamingLDA(Method):
    """Keep means and the covariance around them; score with its inverse.

    ``score_c = mu_c L x - mu_c L mu_c / 2,  L = ((1 - epsilon) S + epsilon I)^-1``

    Not local: an inverse of all pixels by all pixels.

    Parameters
    ----------
    epsilon : float
        Shrinkage.

    References
    ----------
    Hayes & Kanan (2020) CVPR workshops, eqs. 1-5. On the pixels of MNIST 87.68 (our own earlier
    measurement).
    """

    epsilon: SomeShare = 1e-4

    source: ClassVar[str] = "Hayes & Kanan (2020) CVPR workshops"
    published: ClassVar[Mapping[str, float]] = {}

    def begin(self, shape: Shape, rng: np.random.Generator) -> ContinualLearner:
        """Return a learner without means."""
        return _Discriminant(self, shape)


class _Discriminant(Means):
    """Means and a covariance."""

    def __init__(self, method: StreamingLDA, shape: Shape) -> None:
        super().__init__(shape)
        self.epsilon = method.epsilon
        self.covariance = np.zeros((shape.n_inputs, shape.n_inputs), np.float32)
        self._solved: tuple[int, NDArray[Any]] = -1, self.mean.T

    def observe(self, batch: Batch) -> None:
        """Take in the deviations from the means as they are, then move the means."""
        batch = checked_batch(batch, self.shape)
        n = int(self.counts.sum())
        gap = batch.x - self.mean[batch.y]
        known = self.counts[batch.y] > 0  # The first of a class deviates from nothing.
        gap = gap[known]
        self.covariance *= np.float32(n / max(n + len(batch.y), 1))
        self.covariance += gap.T @ gap / np.float32(max(n + len(batch.y), 1))
        size = self.covariance.size
        self.ledger.add(0, size, len(gap) * size, 2 * self.covariance.nbytes)
        super().observe(batch)

    def predict(self, x: Array) -> Array:
        """Return the linear scores; -inf for a class never seen."""
        x, n = checked_images(x, self.shape), int(self.counts.sum())
        if self._solved[0] != n:
            s = (1 - self.epsilon) * self.covariance.astype(np.float64)
            s[np.diag_indices_from(s)] += self.epsilon
            self._solved = n, np.linalg.solve(s, self.mean.T.astype(np.float64))
        weights = self._solved[1]
        scores = x @ weights - (self.mean.T * weights).sum(axis=0) / 2
        return np.where(self.counts > 0, scores, -np.inf).astype(np.float32)

    @property
    def state(self) -> Mapping[str, NDArray]:
        """Return means, counts and covariance."""
        return {**super().state, "memory/covariance": self.covariance}
