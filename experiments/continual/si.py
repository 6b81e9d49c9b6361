"""SI, synaptic intelligence: every weight counts what its way has done for the loss."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from experiments.continual_network import NetworkLearner, NetworkMethod
from neurosim.batches import checked_batch
from neurosim.continual_learner import ContinualLearner, Shape
from neurosim.ranges import NotNegative, Positive
from neurosim.streams import Batch


@dataclass(frozen=True)
class SI(NetworkMethod):
    """Add ``c sum Omega (theta - theta*)^2`` to the loss.

    ``Omega += omega / (Delta^2 + xi)`` after each task, Delta the way of the weight in it, omega
    the sum of its steps times the way down of the loss.

    Parameters
    ----------
    strength : float
        c.
    xi : float
        Damping.
    whole : bool
        Book what the steps did for the whole loss, springs included, and let a weight that did
        harm lose importance, as the code of van de Ven et al. (2022) does; else only the loss of
        the images counts, and no importance is below 0.

    References
    ----------
    Zenke, Poole & Ganguli (2017) ICML, eqs. 4-5.
    """

    eta: Positive = 0.1
    strength: NotNegative = 1.0
    xi: Positive = 0.9
    whole: bool = False

    source: ClassVar[str] = "Zenke, Poole & Ganguli (2017) ICML"
    published: ClassVar[Mapping[str, float]] = {"mammoth": 19.27, "van_de_ven": 21.2}
    van_de_ven: ClassVar[Mapping[str, Any]] = {"strength": 5000.0, "xi": 0.1, "whole": True}

    def begin(self, shape: Shape, rng: np.random.Generator) -> ContinualLearner:
        """Return a newborn network."""
        return _Intelligent(self, shape, rng)


class _Intelligent(NetworkLearner):
    """A network whose weights know their history."""

    def __init__(self, method: SI, shape: Shape, rng: np.random.Generator) -> None:
        super().__init__(method, shape, rng)
        self.strength, self.xi, self.whole = method.strength, method.xi, method.whole
        self.anchor = [p.copy() for p in self.network.parameters]
        self.importance = [np.zeros_like(p) for p in self.network.parameters]
        self.path = [np.zeros_like(p) for p in self.network.parameters]

    def observe(self, batch: Batch) -> None:
        """Take one step on the batch and the springs, and book what it did for the loss."""
        batch = checked_batch(batch, self.shape)
        way = self.gradient(batch.x, self.one_hot(batch.y))
        before = [p.copy() for p in self.network.parameters]
        whole = [direction.copy() for direction in way]
        if self.tasks_done:
            for direction, p, a, omega in zip(
                whole, before, self.anchor, self.importance, strict=True
            ):
                direction -= 2 * self.strength * omega * (p - a)
        if self.moments.optimiser.kind == "sgd":  # As Mammoth: such springs make plain steps blow.
            for direction in whole:
                np.clip(direction, -1, 1, out=direction)
        self.move(whole)
        booked = whole if self.whole else way
        for s, direction, p, b in zip(
            self.path, booked, self.network.parameters, before, strict=True
        ):
            s += direction * (p - b)

    def end_of_task(self, task: int) -> None:
        """Turn the way into importance."""
        super().end_of_task(task)
        for omega, s, p, a in zip(
            self.importance, self.path, self.network.parameters, self.anchor, strict=True
        ):
            gain = s if self.whole else np.maximum(s, 0)
            omega += gain / (np.square(p - a) + np.float32(self.xi))
            a[...] = p
            s[...] = 0

    @property
    def state(self) -> Mapping[str, NDArray]:
        """Return the network, and three numbers a weight."""
        kept = {"anchor": self.anchor, "importance": self.importance, "path": self.path}
        extra = {f"memory/{n}/{k}": a for n, arrays in kept.items() for k, a in enumerate(arrays)}
        return {**super().state, **extra}
