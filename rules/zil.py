"""Z-IL: predictive coding whose weights learn just as the first error arrives; equals backprop."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.learner import Direction, Learner, Memory, correlation
from neurosim.network import Network
from neurosim.predictive_coding import Inference, Settling

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class ZeroDivergence(Learner):
    """Learn each layer at the step of inference in which the error of the output first reaches it.

    ``z_l += f'(z_l) (eps_{l+1} W_{l+1})`` with a step of 1, from the forward start;
    ``delta W_l = eps_l h_{l-1}`` at step L - l.

    Until then the layer has not moved, so its error is that of backpropagation, exactly. What
    would move later is not computed.

    What a synapse must be given: pre, an error neuron of its cell, which hears the labels through
    the transposed weights of the layers above; and its layer's time to learn.

    References
    ----------
    Song, Lukasiewicz, Xu & Bogacz (2020) NeurIPS 33:22566, Theorem 1 and Algorithm 1.
    """

    source: ClassVar[str] = "Song et al. (2020) NeurIPS 33:22566"
    needs: ClassVar[frozenset[str]] = frozenset(
        {"pre", "error neuron", "transposed forward weights", "labels"}
    )

    def direction(self, network: Network, memory: Memory, x: Array, y: Array) -> Direction:
        """Return the negative gradient of the mean loss, as the errors arrive."""
        state = Settling(network, x, y, Inference(network.n_layers, step=1.0))
        state.check(0, type(self).__name__)
        changes: list[tuple[Array, Array]] = []
        for layer in reversed(range(network.n_layers)):
            pre, error = state.activities[layer], state.errors[layer]
            changes.insert(0, correlation(network, memory, layer, error, pre))
            if layer > 0:
                state.reach_down()
        state.account()
        losses = network.losses(state.output, y)
        return Direction([w for w, _ in changes], [b for _, b in changes], losses)
