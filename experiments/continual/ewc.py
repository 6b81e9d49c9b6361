"""EWC, elastic weight consolidation: weights that mattered are held where they were."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from experiments.continual_network import NetworkLearner, NetworkMethod, RawMemory
from neurosim.batches import checked_batch
from neurosim.continual_learner import ContinualLearner, Shape
from neurosim.network import Network
from neurosim.ranges import Count, NotNegative
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
    all_labels : bool
        Expect the Fisher information over all labels instead of drawing one an image, as the code
        of van de Ven et al. (2022) does: a network that is sure of its answers draws no other.

    References
    ----------
    Kirkpatrick et al. (2017) PNAS 114:3521, eq. 3; a parabola a task: Huszar (2018) PNAS 115:E2496
    discusses the alternatives.
    """

    strength: NotNegative = 90.0
    samples: Count = 500
    all_labels: bool = False

    source: ClassVar[str] = "Kirkpatrick et al. (2017) PNAS 114:3521"
    published: ClassVar[Mapping[str, float]] = {"van_de_ven": 20.6}
    van_de_ven: ClassVar[Mapping[str, Any]] = {
        "strength": 1e9, "samples": 1000, "all_labels": True,
    }  # fmt: skip

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
        self.all_labels = method.all_labels
        self.stiffness = [np.zeros_like(p) for p in self.network.parameters]
        self.pull = [np.zeros_like(p) for p in self.network.parameters]

    def observe(self, batch: Batch) -> None:
        """Take one step on the batch and the springs."""
        batch = checked_batch(batch, self.shape)
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
        x = self.samples.draw(10**9, self.rng).x
        fisher = (
            expected_fisher_diagonal(self.network, x)
            if self.all_labels
            else fisher_diagonal(self.network, x, self.rng)
        )
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
    answers = network.forward(x).activities[-1]
    drawn = (answers.cumsum(axis=1) < rng.random((len(x), 1))).sum(axis=1)
    labels = np.minimum(drawn, answers.shape[1] - 1)
    return _mean_squares(network, x, labels, np.ones((len(x), 1), np.float32))


def expected_fisher_diagonal(network: Network, x: Array) -> list[Array]:
    """Return the same with every label, each as often as the network would answer it.

    ``F_ij = mean over samples of sum_c p_c (e_i(c) h_j)^2``

    Parameters
    ----------
    network : Network
    x : (n, n_inputs) float32
    """
    answers = network.forward(x).activities[-1]
    found = [np.zeros_like(p) for p in network.parameters]
    for label in range(answers.shape[1]):
        chance = answers[:, label : label + 1]
        squares = _mean_squares(network, x, np.full(len(x), label), chance)
        for whole, part in zip(found, squares, strict=True):
            whole += part
    return found


def _mean_squares(
    network: Network, x: Array, labels: NDArray[np.integer], chance: Array
) -> list[Array]:
    """Return the mean squared slope for given labels, each image weighted, by parameter."""
    drives, activities = network.forward(x)
    error = -activities[-1].copy()
    error[np.arange(len(x)), labels] += 1
    weights, biases = [], []
    for layer in reversed(range(network.n_layers)):
        square = chance * error * error
        weights.append(square.T @ np.square(activities[layer]) / len(x))
        biases.append(square.mean(axis=0))
        network.count_products(layer, len(x))
        if layer:
            slope = network.slope(drives[layer - 1], activities[layer])
            error = slope * network.feedback(layer, error)
    return [*weights[::-1], *biases[::-1]]
