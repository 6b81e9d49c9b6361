"""EWC, elastic weight consolidation: weights that mattered are held where they were."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from experiments.continual_network import NetworkLearner, NetworkMethod, RawMemory
from neurosim.continual import ContinualLearner, Shape
from neurosim.network import Network
from neurosim.streams import Batch

Array = NDArray[np.float32]


@dataclass(frozen=True)
class EWC(NetworkMethod):
    """Add ``lambda / 2 sum_k F_k (theta - theta_k)^2`` to the loss, k over the tasks done.

    F_k is the diagonal of the Fisher information after task k, labels drawn from the network's own
    answers. The sum of parabolas is one parabola, so that two numbers a weight are kept.

    Parameters
    ----------
    strength : float
        lambda.
    samples : int
        Images of a task that the Fisher information is estimated on; they are kept until its end.

    References
    ----------
    Kirkpatrick et al. (2017) PNAS 114:3521, eq. 3; a parabola a task: Huszar (2018) PNAS 115:E2496
    discusses the alternatives.
    """

    strength: float = 90.0
    samples: int = 500

    source: ClassVar[str] = "Kirkpatrick et al. (2017) PNAS 114:3521"
    published: ClassVar[Mapping[str, float]] = {"van_de_ven": 20.6}
    van_de_ven: ClassVar[Mapping[str, Any]] = {"strength": 1e9}

    def begin(self, shape: Shape, rng: np.random.Generator) -> ContinualLearner:
        """Return a newborn network."""
        return Elastic(self, shape, rng)


class Elastic(NetworkLearner):
    """A network on springs.

    Attributes
    ----------
    stiffness, pull : list of array
        ``sum F_k`` and ``sum F_k theta_k``, by parameter.
    """

    decay = 1.0

    def __init__(self, method: EWC, shape: Shape, rng: np.random.Generator) -> None:
        super().__init__(method, shape, rng)
        self.strength, self.samples = method.strength, RawMemory(method.samples, shape)
        self.stiffness = [np.zeros_like(p) for p in self.network.parameters]
        self.pull = [np.zeros_like(p) for p in self.network.parameters]

    def observe(self, batch: Batch) -> None:
        """Take one step on the batch and the springs."""
        way = self.gradient(batch.x, self.one_hot(batch.y))
        if self.tasks_done:
            for direction, p, f, g, limit in zip(
                way, self.network.parameters, self.stiffness, self.pull, self._limits(), strict=True
            ):
                direction -= np.minimum(self.strength, limit) * (f * p - g)
        self.samples.add(batch.x, batch.y, self.rng)
        self.move(way)

    def end_of_task(self, task: int) -> None:
        """Measure the Fisher information, and fix the springs."""
        super().end_of_task(task)
        fisher = fisher_diagonal(self.network, self.samples.draw(10**9, self.rng).x, self.rng)
        for f, g, new, p in zip(
            self.stiffness, self.pull, fisher, self.network.parameters, strict=True
        ):
            f *= self.decay
            g *= self.decay
            f += new
            g += new * p
        self.samples = RawMemory(len(self.samples.x), self.shape)

    @property
    def state(self) -> Mapping[str, NDArray]:
        """Return the network and its springs; the samples are gone when a task ends."""
        springs = {f"memory/stiffness/{k}": a for k, a in enumerate(self.stiffness)}
        return {
            **super().state, **springs,
            **{f"memory/pull/{k}": a for k, a in enumerate(self.pull)},
            **(self.samples.state if len(self.samples) else {}),
        }  # fmt: skip

    def _limits(self) -> list[Array]:
        """Return the largest strength at which plain descent down each parabola is stable."""
        if self.moments.optimiser.kind != "sgd":
            return [np.full_like(f, np.inf) for f in self.stiffness]
        eta = np.float32(self.moments.optimiser.eta)
        return [1 / np.maximum(eta * f, np.float32(1e-30)) for f in self.stiffness]


def fisher_diagonal(network: Network, x: Array, rng: np.random.Generator) -> list[Array]:
    """Return the mean squared slope of the log likelihood, by parameter.

    ``F_ij = mean over samples of (e_i h_j)^2 = mean e_i^2 h_j^2``, with labels drawn from the
    network's answers.

    Parameters
    ----------
    network : Network
    x : (n, n_inputs) float32
    rng : numpy.random.Generator
    """
    drives, activities = network.forward(x)
    answers = activities[-1]
    drawn = (answers.cumsum(axis=1) < rng.random((len(x), 1))).sum(axis=1)
    error = -answers.copy()
    error[np.arange(len(x)), np.minimum(drawn, answers.shape[1] - 1)] += 1
    weights, biases = [], []
    for layer in reversed(range(network.n_layers)):
        square = error * error
        weights.append(square.T @ np.square(activities[layer]) / len(x))
        biases.append(square.mean(axis=0))
        network.count_products(layer, len(x))
        if layer:
            slope = network.slope(drives[layer - 1], activities[layer])
            error = slope * network.feedback(layer, error)
    return [*weights[::-1], *biases[::-1]]
