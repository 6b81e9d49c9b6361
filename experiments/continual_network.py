"""What the methods on the shared network have in common: gradients, steps and raw memories."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurosim.batches import checked_batch, checked_images
from neurosim.continual_learner import Method, Shape
from neurosim.errors import ConfigError
from neurosim.learner import Memory
from neurosim.network import Network, NetworkConfig
from neurosim.optimisers import Moments, Optimiser
from neurosim.ranges import Count, Positive
from neurosim.representation import Replayed
from neurosim.streams import Batch
from rules.backprop import Backprop

Array = NDArray[np.float32]


@dataclass(frozen=True)
class NetworkMethod(Method):
    """A method on a multilayer network of rectifying units with a softmax output.

    Parameters
    ----------
    hidden : tuple of int
        Units of each hidden layer.
    optimiser : str
        "sgd" or "adam".
    eta : float
        Learning rate.
    gain : float
        Of the first weights, as a factor of He's; torch's own are 1/sqrt(6) of them.
    drawn_biases : bool
        Whether the first biases are drawn from +-1/sqrt(n_pre), as torch's are; else they are 0.

    Attributes
    ----------
    van_de_ven : mapping of str to value
        What the method's fields are in that protocol; the defaults are Mammoth's.
    """

    hidden: tuple[Count, ...] = (100, 100)
    optimiser: Literal["sgd", "adam"] = "sgd"
    eta: Positive = 0.03
    gain: Positive = 1.0
    drawn_biases: bool = False

    van_de_ven: ClassVar[Mapping[str, Any]] = {}


class NetworkLearner:
    """A network that takes one gradient step a batch.

    Parameters
    ----------
    method : NetworkMethod
    shape : Shape
    rng : numpy.random.Generator
        Draws the weights, and what a method draws later.
    """

    def __init__(self, method: NetworkMethod, shape: Shape, rng: np.random.Generator) -> None:
        self.shape, self.rng = shape, rng
        sizes = (shape.n_inputs, *method.hidden, shape.n_outputs)
        self.network = Network(NetworkConfig(sizes, initial="kaiming_uniform"), rng)
        for weights in self.network.weights:
            weights *= np.float32(method.gain)
        if method.drawn_biases:
            for biases, n_pre in zip(self.network.biases, sizes[:-1], strict=True):
                biases[:] = rng.uniform(-(n_pre**-0.5), n_pre**-0.5, size=biases.shape)
        kind = Optimiser(method.optimiser, method.eta)
        self.moments = Moments(kind, self.network.parameters)
        self._memory = Memory(self.moments)
        self.tasks_done = 0

    def observe(self, batch: Batch) -> None:
        """Take one step on a batch."""
        batch = checked_batch(batch, self.shape)
        self.move(self.gradient(batch.x, self.one_hot(batch.y)))

    def end_of_task(self, task: int) -> None:
        """Count the tasks."""
        self.tasks_done += 1

    def predict(self, x: Array) -> Array:
        """Return the softmax of each output, ``(n, n_outputs)``."""
        return self.network.predict(checked_images(x, self.shape))

    def regions(self, x: Array) -> Mapping[str, Array]:
        """Return the activity of each hidden layer, ``(n, n_units)``."""
        hidden = self.network.forward(checked_images(x, self.shape)).activities[1:-1]
        return {f"hidden_{k}": each for k, each in enumerate(hidden, start=1)}

    @property
    def state(self) -> Mapping[str, NDArray]:
        """Return the weights, and the optimiser's moments."""
        own = {f"network/{name}": array for name, array in self.network.state.items()}
        moments = {
            f"memory/moments/{k}/{m}": array
            for k, kept in enumerate(self.moments.moments)
            for m, array in enumerate(kept)
        }
        return own | moments

    def one_hot(self, y: NDArray[np.int64]) -> Array:
        """Return targets ``(n, n_outputs)``."""
        targets = np.zeros((len(y), self.shape.n_outputs), np.float32)
        targets[np.arange(len(y)), y] = 1
        return targets

    def gradient(self, x: Array, targets: Array) -> list[Array]:
        """Return the way down of the mean cross-entropy, by parameter."""
        direction = Backprop().direction(self.network, self._memory, x, targets)
        return [*direction.weights, *direction.biases]

    def gradient_of(self, x: Array, error: Callable[[Array, Array], Array]) -> list[Array]:
        """Return the way down of any loss of the output, by parameter.

        Parameters
        ----------
        x : (n, n_inputs) float32
        error : callable
            Given drives (logits) and softmax of the output, returns minus the slope of each
            sample's loss by its drives, times its share in the whole.
        """
        network = self.network
        drives, activities = network.forward(x)
        back: NDArray[Any] = error(drives[-1], activities[-1])  # type: ignore[arg-type]
        weights, biases = [], []
        for layer in reversed(range(network.n_layers)):
            weights.append(back.T @ activities[layer])
            biases.append(back.sum(axis=0))
            network.count_products(layer, len(x))
            if layer:
                slope = network.slope(drives[layer - 1], activities[layer])
                back = slope * network.feedback(layer, back)
        return [*weights[::-1], *biases[::-1]]

    def move(self, way: list[Array], rate: float = 1.0) -> None:
        """Take the optimiser's step."""
        self.moments.step(way, rate)
        for layer in range(self.network.n_layers):
            self.network.count_writes(layer)


class Memories(NamedTuple):
    """Some of what a `RawMemory` keeps.

    Parameters
    ----------
    x : (n, n_inputs) float32
    y : (n,) int64
    answers : (n, n_outputs) float32
        What the network said when it saw them; zeros unless they are kept.
    """

    x: Array
    y: NDArray[np.int64]
    answers: Array


class RawMemory:
    """Images kept as they were, a byte a pixel, with their labels.

    Parameters
    ----------
    capacity : int
        Images.
    shape : Shape
    balanced : bool
        False: a uniform sample of all that was seen (reservoir). True: as many of each class as of
        any other, the largest class giving way.
    answers : bool
        Whether the network's drives are kept, too.
    quota : int
        Most images of one class, a uniform sample of those of that class; 0 for no limit. Of an
        early class no more are kept than of a late one, and the box fills as classes come.

    References
    ----------
    Vitter (1985) ACM TOMS 11:37, algorithm R; Prabhu, Torr & Dokania (2020) ECCV, algorithm 1.
    """

    def __init__(
        self,
        capacity: int,
        shape: Shape,
        balanced: bool = False,
        answers: bool = False,
        quota: int = 0,
    ) -> None:
        if capacity < 1 or int(capacity) != capacity:
            raise ConfigError.expected(
                self, "capacity", f"1 image ({shape.n_inputs} bytes) or more, whole ones", capacity,
                "raise the budget",
            )  # fmt: skip
        capacity = int(capacity)
        self.balanced, self.quota = balanced, quota
        self.seen = np.zeros(shape.n_outputs, np.int64)
        self.x = np.zeros((capacity, shape.n_inputs), np.uint8)
        self.y = np.full(capacity, -1, np.int16)
        self.task = np.zeros(capacity, np.int16)
        self.answers = np.zeros((capacity, shape.n_outputs if answers else 0), np.float32)
        self.n_kept, self.n_seen = 0, 0

    def __len__(self) -> int:
        return self.n_kept

    def add(
        self,
        x: Array,
        y: NDArray[np.int64],
        rng: np.random.Generator,
        answers: Array | None = None,
        task: int = 0,
    ) -> None:
        """See images, and keep some, with the number of tasks done before."""
        for k in range(len(x)):
            place = self._place(int(y[k]), rng)
            self.n_seen += 1
            self.seen[y[k]] += 1
            if place is None:
                continue
            self.x[place], self.y[place] = np.rint(x[k] * 255), y[k]
            self.task[place] = task
            if answers is not None:
                self.answers[place] = answers[k]

    def draw(self, n: int, rng: np.random.Generator, before: int | None = None) -> Memories:
        """Return `n` different memories by chance, or as many as there are.

        Parameters
        ----------
        n : int
        rng : numpy.random.Generator
        before : int, optional
            Only those of the tasks before this one.
        """
        if before is None:
            return self.take(rng.choice(self.n_kept, min(n, self.n_kept), replace=False))
        old = np.flatnonzero(self.task[: self.n_kept] < before)
        return self.take(rng.choice(old, min(n, len(old)), replace=False))

    def take(self, which: NDArray[np.integer]) -> Memories:
        """Return the memories of these numbers."""
        x = self.x[which].astype(np.float32) / 255
        return Memories(x, self.y[which].astype(np.int64), self.answers[which])

    def replay(self, n: int, rng: np.random.Generator) -> Replayed:
        """Return memories as what a `Replaying` learner brings back."""
        old = self.draw(n, rng)
        return Replayed(old.x, old.y)

    @property
    def state(self) -> Mapping[str, NDArray]:
        """Return the arrays that a `ContinualLearner` keeps for it."""
        return {
            "memory/raw": self.x,
            "memory/labels": self.y,
            "memory/tasks": self.task,
            "memory/answers": self.answers,
        }

    def _place(self, label: int, rng: np.random.Generator) -> int | None:
        if self.quota and self.seen[label] >= self.quota:
            place = int(rng.integers(self.seen[label] + 1))
            mine = np.flatnonzero(self.y == label)
            return int(mine[place]) if place < len(mine) else None
        if self.n_kept < len(self.x):
            self.n_kept += 1
            return self.n_kept - 1
        if not self.balanced:
            place = int(rng.integers(self.n_seen + 1))
            return place if place < len(self.x) else None
        counts = np.bincount(self.y, minlength=label + 1)
        if counts[label] >= counts.max():
            return None
        return int(rng.choice(np.flatnonzero(self.y == counts.argmax())))


class RememberingLearner(NetworkLearner):
    """A network with images in a box.

    Parameters
    ----------
    method, shape, rng
        As for `NetworkLearner`.
    memory : RawMemory
    """

    def __init__(
        self, method: NetworkMethod, shape: Shape, rng: np.random.Generator, memory: RawMemory
    ) -> None:
        super().__init__(method, shape, rng)
        self.memory = memory

    def replay(self, n: int, rng: np.random.Generator) -> Replayed:
        """Return some of the images."""
        return self.memory.replay(n, rng)

    @property
    def state(self) -> Mapping[str, NDArray]:
        """Return the network and what is in the box."""
        return {**super().state, **self.memory.state}
