"""Direct feedback alignment: the error of the output reaches every layer at once."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.learner import Direction, Learner, Memory, correlation
from neurosim.network import Network, draw_weights

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class DirectFeedbackAlignment(Learner):
    """Send the error of the output straight to each hidden layer, through fixed random weights.

    ``e_L = y - output,  e_l = f'(z_l) (e_L B_l),  delta W_l = e_l h_{l-1}``

    No error waits for that of the layer above, so all layers can learn at the same time. With one
    hidden layer this is feedback alignment. B is drawn as forward weights of its shape would be.

    What a synapse must be given: pre, an error neuron of its cell that hears the labels through
    random feedback from the output. It needs no forward weight but its own.

    References
    ----------
    Nokland (2016) NeurIPS, Eq. 7.
    """

    source: ClassVar[str] = "Nokland (2016) Adv. Neural Inf. Process. Syst. 29"
    needs: ClassVar[frozenset[str]] = frozenset({"pre", "error neuron", "labels"})

    def keep(self, network: Network, rng: np.random.Generator) -> dict[str, Array]:
        """Draw ``feedback/l (n_out, n_pre)``, from the output to the cells below layer l."""
        sizes, initial = network.config.sizes, network.config.initial
        return {
            f"feedback/{layer}": draw_weights((sizes[-1], sizes[layer]), initial, rng).astype(
                network.dtype
            )
            for layer in range(1, network.n_layers)
        }

    def direction(self, network: Network, memory: Memory, x: Array, y: Array) -> Direction:
        """Return the pseudo-gradient's way down."""
        drives, activities = network.forward(x)
        output = y - activities[-1]
        weights, biases = [], []
        for layer in range(network.n_layers):
            error = output
            if layer < network.n_layers - 1:
                arriving = network.through(memory.arrays[f"feedback/{layer + 1}"], output)
                error = network.slope(drives[layer], activities[layer + 1]) * arriving
            change, bias = correlation(network, memory, layer, error, activities[layer])
            weights.append(change)
            biases.append(bias)
        return Direction(weights, biases, network.losses(activities[-1], y))
