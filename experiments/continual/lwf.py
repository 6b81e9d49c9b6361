"""LwF, learning without forgetting: answer to new images as the network before did."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from experiments.continual_network import NetworkLearner, NetworkMethod
from neurosim.batches import checked_batch
from neurosim.continual_learner import ContinualLearner, Shape
from neurosim.network import Network, softmax
from neurosim.ranges import Positive
from neurosim.streams import Batch

Array = NDArray[np.float32]


@dataclass(frozen=True)
class LwF(NetworkMethod):
    """Distil the network as it was after the last task, on the images of this one.

    ``loss = 1/n CE(y) + (1 - 1/n) T^2 CE_T(old answers)`` over the outputs met before, n the tasks
    so far.

    Parameters
    ----------
    temperature : float
        T.
    unweighted : bool
        ``CE(y) + CE_T(old answers)`` over all outputs, without T^2, as the code of van de Ven et
        al. (2022) has it.

    References
    ----------
    Li & Hoiem (2017) IEEE TPAMI 40:2935; the weights as in van de Ven et al. (2022), Methods.
    """

    temperature: Positive = 2.0
    unweighted: bool = False

    source: ClassVar[str] = "Li & Hoiem (2017) IEEE TPAMI 40:2935"
    published: ClassVar[Mapping[str, float]] = {"mammoth": 19.62, "van_de_ven": 21.9}
    van_de_ven: ClassVar[Mapping[str, Any]] = {"unweighted": True}

    def begin(self, shape: Shape, rng: np.random.Generator) -> ContinualLearner:
        """Return a newborn network."""
        return _Distilled(self, shape, rng)


class _Distilled(NetworkLearner):
    """A network and what it was."""

    def __init__(self, method: LwF, shape: Shape, rng: np.random.Generator) -> None:
        super().__init__(method, shape, rng)
        self.temperature, self.unweighted = np.float32(method.temperature), method.unweighted
        self.before: Network | None = None
        self.met = np.zeros(shape.n_outputs, dtype=np.bool_)
        self.met_before = self.met.copy()

    def observe(self, batch: Batch) -> None:
        """Take one step on labels and old answers."""
        batch = checked_batch(batch, self.shape)
        self.met[batch.y] = True
        targets = self.one_hot(batch.y)
        if self.before is None:
            self.move(self.gradient(batch.x, targets))
            return
        t, share = self.temperature, np.float32(1 / (self.tasks_done + 1))
        new, kept, asked = share, (1 - share) * t, self.met_before
        if self.unweighted:
            new, kept, asked = np.float32(1), 1 / t, np.ones_like(asked)
        old = softmax(self.before.forward(batch.x).drives[-1][:, asked] / t)

        def error(drive: Array, answer: Array) -> Array:
            back = new * (targets - answer)
            back[:, asked] += kept * (old - softmax(drive[:, asked] / t))
            return back / np.float32(len(drive))

        self.move(self.gradient_of(batch.x, error))

    def end_of_task(self, task: int) -> None:
        """Keep the network as it is now."""
        super().end_of_task(task)
        self.before = self.network.copy()
        self.met_before = self.met.copy()

    @property
    def state(self) -> Mapping[str, NDArray]:
        """Return the network, now and before."""
        old = self.before.state if self.before is not None else {}
        return {**super().state, **{f"memory/before/{name}": a for name, a in old.items()}}
