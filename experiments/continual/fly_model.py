"""FlyModel: a random sparse expansion, and synapses that only their own class moves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.batches import checked_batch, checked_images
from neurosim.continual_learner import ContinualLearner, Method, Shape
from neurosim.ledger import Ledger
from neurosim.ranges import Count, PartialShare, Positive, Range
from neurosim.streams import Batch

Array = NDArray[np.float32]


@dataclass(frozen=True)
class FlyModel(Method):
    """Kenyon cells see a few inputs each, the most driven fire, and teach one output cell.

    ``w_c <- (1 - decay) w_c + eta x`` for the right class c alone, x the activity of the Kenyon
    cells that fire, scaled to 0..1; weights stay within 0..1; the answer is ``w x``.

    Parameters
    ----------
    n_units : int
        Kenyon cells.
    fan_in : int
        Inputs of each.
    sparsity : float
        Share of them that fires.
    eta, decay : float

    References
    ----------
    Shen, Dasgupta & Navlakha (2021) arXiv:2107.07617 (2023, Neural Comput. 35:1797). Written from
    memory, with the constants of the port Ramos-Ramos/FlyModel (3,200 cells of 10 inputs, 160 of
    which fire, 0.01, no decay); their inputs are 84 features of a trained network, ours are pixels.
    """

    n_units: Annotated[int, Range(2)] = 3200
    fan_in: Count = 10
    sparsity: Annotated[float, Range(0, 1, above=True, below=True)] = 0.05
    eta: Positive = 0.01
    decay: PartialShare = 0.0

    source: ClassVar[str] = "Shen, Dasgupta & Navlakha (2021) arXiv:2107.07617"
    published: ClassVar[Mapping[str, float]] = {}

    def begin(self, shape: Shape, rng: np.random.Generator) -> ContinualLearner:
        """Return a newborn mushroom body."""
        return _MushroomBody(self, shape, rng)


class _MushroomBody:
    """Kenyon cells and output cells."""

    def __init__(self, method: FlyModel, shape: Shape, rng: np.random.Generator) -> None:
        self.method, self.shape = method, shape
        fan_in = min(method.fan_in, shape.n_inputs)
        self.wiring = np.zeros((shape.n_inputs, method.n_units), np.float32)
        for cell in range(method.n_units):
            self.wiring[rng.choice(shape.n_inputs, fan_in, replace=False), cell] = 1
        self.k = min(max(1, round(method.sparsity * method.n_units)), method.n_units - 1)
        self.weights = np.zeros((shape.n_outputs, method.n_units), np.float32)
        self.ledger = Ledger()

    def observe(self, batch: Batch) -> None:
        """Teach the right output cells."""
        method, batch = self.method, checked_batch(batch, self.shape)
        for x, y in zip(self._fire(batch.x), batch.y, strict=True):
            w = self.weights[y]
            np.clip((1 - method.decay) * w + method.eta * x, 0, 1, out=w)
            self.ledger.add(self.k, self.k, self.k, 8 * self.k)

    def end_of_task(self, task: int) -> None:
        """Do nothing."""

    def predict(self, x: Array) -> Array:
        """Return the drive of each output cell."""
        scores: Array = self._fire(checked_images(x, self.shape)) @ self.weights.T
        return scores

    def regions(self, x: Array) -> Mapping[str, Array]:
        """Return the activity of the Kenyon cells, ``(n, n_units)``."""
        return {"kenyon": self._fire(checked_images(x, self.shape))}

    @property
    def state(self) -> Mapping[str, NDArray]:
        """Return the weights; the wiring follows from the seed."""
        return {"memory/weights": self.weights}

    def _fire(self, x: Array) -> Array:
        """Return the activity of the Kenyon cells, 0..1, zero but for those that win."""
        drive: Array = (x - x.mean(axis=1, keepdims=True)) @ self.wiring
        self.ledger.add(0, 0, len(x) * self.method.fan_in * drive.shape[1], 0)
        bar = np.partition(drive, -self.k - 1, axis=1)[:, -self.k - 1 : -self.k]
        fired = np.maximum(drive - bar, 0)
        top = fired.max(axis=1, keepdims=True)
        return np.divide(fired, top, out=np.zeros_like(fired), where=top > 0)
