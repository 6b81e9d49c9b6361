"""Feedback alignment: errors come back through fixed random weights."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.learner import Direction, Learner, Memory, send_back
from neurosim.network import Network, draw_weights

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class FeedbackAlignment(Learner):
    """Send the error back through random weights that never learn.

    ``e_L = y - output,  e_l = f'(z_l) (e_{l+1} B_{l+1}),  delta W_l = e_l h_{l-1}``

    Forward weights come to align with B, so that errors point, within 90 degrees, along the
    gradient. B is drawn as the forward weights are.

    What a synapse must be given: pre, an error neuron of its cell that hears the labels through the
    random feedback. It needs no forward weight but its own.

    References
    ----------
    Lillicrap, Cownden, Tweed & Akerman (2016) Nature Communications 7:13276, Eq. 2.
    """

    source: ClassVar[str] = "Lillicrap et al. (2016) Nat. Commun. 7:13276"
    needs: ClassVar[frozenset[str]] = frozenset({"pre", "error neuron", "labels"})

    def keep(self, network: Network, rng: np.random.Generator) -> dict[str, Array]:
        """Draw the feedback weights ``feedback/l``, of the shape of layer l."""
        return {
            f"feedback/{layer}": draw_weights(w.shape, network.config.initial, rng).astype(w.dtype)
            for layer, w in enumerate(network.weights)
            if layer > 0
        }

    def direction(self, network: Network, memory: Memory, x: Array, y: Array) -> Direction:
        """Return the pseudo-gradient's way down."""

        def back(layer: int, error: Array) -> Array:
            network.count_products(layer, len(x))
            return error @ memory.arrays[f"feedback/{layer}"]

        return send_back(network, memory, x, y, back)
