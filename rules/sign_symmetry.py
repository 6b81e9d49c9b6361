"""Sign symmetry: errors come back through weights that share only the signs of the forward ones."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ConfigError, nearest_name
from neurosim.learner import Direction, Learner, Memory, send_back
from neurosim.network import Network, draw_weights, weight_spread

Array = NDArray[np.floating]
Magnitudes = Literal["uniform", "fixed", "batchwise"]
MAGNITUDES = get_args(Magnitudes)


@dataclass(frozen=True, kw_only=True)
class SignSymmetry(Learner):
    """Send the error back through weights of the forward signs and of other magnitudes.

    ``e_L = y - output,  e_l = f'(z_l) (e_{l+1} B_{l+1}),  B = M sign(W),  delta W_l = e_l h_{l-1}``

    Magnitudes are of the mean square of fresh forward weights, whatever these grow to. The paper
    found signs to matter and magnitudes not to; it needed batch normalisation and steps of one size
    for that in deep convolutional nets, which are left out here.

    What a synapse must be given: pre, an error neuron of its cell that hears the labels through
    feedback whose signs follow the forward weights of the layers above.

    Parameters
    ----------
    magnitudes : str
        M is one number a layer ("uniform", uSF), drawn once a synapse ("fixed", frSF), or drawn
        anew for each batch ("batchwise", brSF).

    References
    ----------
    Liao, Leibo & Poggio (2016) AAAI 30:1837, Section "Asymmetric back-propagations". The names of
    the variants: Moskovitz, Litwin-Kumar & Abbott (2018) arXiv:1812.06488.
    """

    magnitudes: Magnitudes = "uniform"

    source: ClassVar[str] = "Liao, Leibo & Poggio (2016) AAAI 30:1837"
    needs: ClassVar[frozenset[str]] = frozenset(
        {"pre", "error neuron", "transposed forward weights", "labels"}
    )

    def __post_init__(self) -> None:
        if self.magnitudes not in MAGNITUDES:
            near = nearest_name(str(self.magnitudes), MAGNITUDES)
            mend = f"did you mean '{near}'?" if near else "choose one of them"
            raise ConfigError.expected(
                self, "magnitudes", " or ".join(MAGNITUDES), self.magnitudes, mend
            )

    def keep(self, network: Network, rng: np.random.Generator) -> dict[str, Array]:
        """Draw ``magnitudes/l`` of every layer that sends errors; a scalar where uniform."""
        return {
            f"magnitudes/{layer}": self._drawn(network, layer, rng)
            for layer in range(1, network.n_layers)
        }

    def direction(self, network: Network, memory: Memory, x: Array, y: Array) -> Direction:
        """Return the pseudo-gradient's way down."""

        def back(layer: int, error: Array) -> Array:
            if self.magnitudes == "batchwise":
                memory.arrays[f"magnitudes/{layer}"] = self._drawn(network, layer, memory.rng)
            return network.through(feedback(network, memory, layer), error)

        return send_back(network, memory, x, y, back)

    def _drawn(self, network: Network, layer: int, rng: np.random.Generator) -> Array:
        shape, initial = network.weights[layer].shape, network.config.initial
        if self.magnitudes == "uniform":
            return np.array(weight_spread(shape, initial), dtype=network.dtype)
        return np.abs(draw_weights(shape, initial, rng)).astype(network.dtype)


def feedback(network: Network, memory: Memory, layer: int) -> Array:
    """Return the feedback weights of a layer as they are now, ``(n_post, n_pre)``."""
    # A weight of exactly 0 counts as positive; none stays there.
    return np.copysign(memory.arrays[f"magnitudes/{layer}"], network.weights[layer])
