"""Predictive coding: activity settles first, then weights learn from what errors are left."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.learner import Direction, Learner, Memory, Report, correlation
from neurosim.network import Network
from neurosim.online_inference import Room
from neurosim.predictive_coding import Inference, Settled, settle
from neurosim.samples import check_inputs

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class PredictiveCoding(Learner):
    """Let value nodes settle between input and target, then explain away the errors that are left.

    ``eps_l = z_l - W_l h_{l-1} - b_l,  dz_l = step (-eps_l + f'(z_l) (eps_{l+1} W_{l+1}))``

    ``delta W_l = eps_l h_{l-1} / nudge``

    Weights learn once, when the last step of inference is done. Divided by the nudge, the change
    tends to the gradient of backpropagation as the nudge becomes small (Millidge et al. 2022).

    What a synapse must be given: pre, an error neuron of its cell, which hears the labels through
    the transposed weights of the layers above. Pre and error are those of the settled activity.

    Parameters
    ----------
    inference : Inference

    References
    ----------
    Whittington & Bogacz (2017) Neural Computation 29:1229, Eqs. 2.15-2.19 and 2.12. Millidge, Song,
    Salvatori, Lukasiewicz & Bogacz (2022) arXiv:2206.02629.
    """

    inference: Inference = Inference(n_steps=20, step=0.1)

    source: ClassVar[str] = "Whittington & Bogacz (2017) Neural Computation 29:1229"
    needs: ClassVar[frozenset[str]] = frozenset(
        {"pre", "error neuron", "transposed forward weights", "labels"}
    )

    def settle(
        self, network: Network, x: Array, y: Array | None, room: Room | None = None
    ) -> Settled:
        """Let value nodes settle; without a target they stay at their predictions."""
        return settle(network, x, y, self.inference, name=type(self).__name__, room=room)

    def direction(self, network: Network, memory: Memory, x: Array, y: Array) -> Direction:
        """Return what the errors that are left say about the weights."""
        settled = self.settle(network, x, y)
        nudge = network.dtype.type(self.inference.nudge)
        changes = [
            correlation(network, memory, layer, error / nudge, pre)
            for layer, (error, pre) in enumerate(
                zip(settled.errors, settled.activities, strict=True)
            )
        ]
        return Direction([w for w, _ in changes], [b for _, b in changes], settled.losses)

    def take_step(
        self, network: Network, memory: Memory, x: Array, y: Array, rate: float
    ) -> Report:
        """Take one step; unless someone looks on, no change of the weights is written down."""
        if memory.tap is not None:
            return super().take_step(network, memory, x, y, rate)
        if len(x) == 1 and "settling" not in memory.room:
            memory.room["settling"] = Room(network)
        settled = self.settle(network, x, y, memory.room.get("settling"))
        moments, scale = memory.moments, 1 / (self.inference.nudge * len(x))
        moments.tick()
        for layer, (error, pre) in enumerate(zip(settled.errors, settled.activities, strict=True)):
            bias = network.n_layers + layer if network.config.bias else None
            moments.step_layer(layer, bias, error, pre, scale, rate)
        network.count([1] * network.n_layers, len(x), writes=1)
        return Report(float(settled.losses.mean()), len(x))

    def output(self, network: Network, memory: Memory, x: ArrayLike) -> Array:
        """Return the prediction of the output; with sparse activity, from sparse activity."""
        if self.inference.active == 1:
            return network.predict(x)
        return self.settle(network, check_inputs(network, x), None).output
