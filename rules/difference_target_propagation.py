"""Difference target propagation: targets come back through inverses that each layer learns."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ConfigError
from neurosim.learner import Direction, Learner, Memory, correlation
from neurosim.network import Network, draw_weights
from neurosim.optimisers import Moments, Optimiser

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class DifferenceTargetPropagation(Learner):
    """Tell each layer what it should have been, and let it learn that by itself.

    ``t_{L-1} = h_{L-1} - eta_t dC/dh_{L-1},  t_{l-1} = h_{l-1} + g_l(t_l) - g_l(h_l)``,
    ``g_l(h) = f(V_l h + c_l)``, ``delta W_l = f'(z_l) (t_l - h_l) h_{l-1} / eta_t``

    The topmost hidden layer's target is a step of length `target_step` down the gradient of the
    loss, as in the paper; below, g is an approximate inverse of the layer, and its error in
    ``g(h)`` is taken out by the difference. We divide by `target_step`, so that it does not change
    how far a layer goes. Inverses learn from noisy copies of the activity below,

    ``delta V_l = f'(.) (u - g_l(f_l(u))) f_l(u),  u = h_{l-1} + noise``,

    each by itself, and after the forward weights; the paper lets them learn before, so that ours
    are a batch behind.

    What a synapse must be given: pre, an error neuron of its cell that hears the labels through
    the learnt inverses, whose weights remember the past; the last but one layer's, through the
    transposed weights of the output.

    Parameters
    ----------
    target_step : float
        eta_t, above 0.
    noise : float
        Standard deviation, 0 or more.
    inverse : Optimiser
        Of V and c.

    References
    ----------
    Lee, Zhang, Fischer & Bengio (2015) ECML PKDD, Algorithm 1, Eqs. 8, 13 and 15.
    """

    target_step: float = 0.1
    noise: float = 0.1
    inverse: Optimiser = Optimiser("sgd", eta=0.05)

    source: ClassVar[str] = "Lee, Zhang, Fischer & Bengio (2015) ECML PKDD"
    needs: ClassVar[frozenset[str]] = frozenset(
        {"pre", "error neuron", "transposed forward weights", "labels", "stored past"}
    )

    def __post_init__(self) -> None:
        if not (math.isfinite(self.target_step) and self.target_step > 0):
            raise ConfigError.expected(
                self, "target_step", "a step above 0", self.target_step, "try 0.1"
            )
        if not (math.isfinite(self.noise) and self.noise >= 0):
            raise ConfigError.expected(self, "noise", "0 or more", self.noise, "try 0.1")

    def keep(self, network: Network, rng: np.random.Generator) -> dict[str, Array]:
        """Draw V as ``inverse/l (n_pre, n_post)`` of each layer between hidden ones, and c."""
        arrays: dict[str, Array] = {}
        for layer in between(network):
            n_post, n_pre = network.weights[layer].shape
            drawn = draw_weights((n_pre, n_post), network.config.initial, rng)
            arrays[f"inverse/{layer}"] = drawn.astype(network.dtype)
            arrays[f"inverse_bias/{layer}"] = np.zeros(n_pre, dtype=network.dtype)
        return arrays

    def own_moments(self, kept: dict[str, Array]) -> dict[str, Moments]:
        """Return the optimiser of the inverses, one a layer."""
        layers = [name.partition("/")[2] for name in kept if name.startswith("inverse/")]
        return {
            f"inverse_moments/{layer}": Moments(
                self.inverse, [kept[f"inverse/{layer}"], kept[f"inverse_bias/{layer}"]]
            )
            for layer in layers
        }

    def direction(self, network: Network, memory: Memory, x: Array, y: Array) -> Direction:
        """Return the way to the targets, then let the inverses learn."""
        drives, activities = network.forward(x)
        error = y - activities[-1]
        top = network.n_layers - 1
        weights: list[Array] = [np.empty(0)] * network.n_layers
        biases = list(weights)
        weights[top], biases[top] = correlation(network, memory, top, error, activities[top])
        if top > 0:
            step = network.dtype.type(self.target_step)
            miss = network.feedback(top, error)  # (t - h) / eta_t
            for layer in reversed(range(top)):
                h = activities[layer + 1]
                error = network.slope(drives[layer], h) * miss
                pre = activities[layer]
                weights[layer], biases[layer] = correlation(network, memory, layer, error, pre)
                if layer > 0:
                    miss = self._miss_below(network, memory, layer, h, step * miss) / step
        for layer in between(network):
            self._learn_inverse(network, memory, layer, activities[layer])
        return Direction(weights, biases, network.losses(activities[-1], y))

    def _miss_below(
        self, network: Network, memory: Memory, layer: int, h: Array, miss: Array
    ) -> Array:
        """Return ``g(h + miss) - g(h)``, the two drives from one product."""
        both = inverse_drive(network, memory, layer, np.concatenate([h + miss, h]))
        values = network.activation.value(both)
        return values[: len(h)] - values[len(h) :]

    def _learn_inverse(self, network: Network, memory: Memory, layer: int, h: Array) -> None:
        draws = memory.rng.standard_normal(h.shape, dtype=h.dtype)
        noisy = h + h.dtype.type(self.noise) * draws
        above = network.activation.value(network.drive(layer, noisy))
        drive = inverse_drive(network, memory, layer, above)
        back = network.activation.value(drive)
        error = network.slope(drive, back) * (noisy - back) / h.dtype.type(len(h))
        moments = memory.own_moments[f"inverse_moments/{layer}"]
        network.count_products(layer, len(h))
        moments.step([error.T @ above, error.sum(axis=0)])
        network.count_writes(layer)


def between(network: Network) -> range:
    """Return the layers of weights that lie between hidden layers, and so have an inverse."""
    return range(1, network.n_layers - 1)


def inverse_drive(network: Network, memory: Memory, layer: int, above: Array) -> Array:
    """Return ``V h + c``, the drive through a layer's inverse, ``(n_samples, n_pre)``."""
    drive = network.through(memory.arrays[f"inverse/{layer}"].T, above)
    drive += memory.arrays[f"inverse_bias/{layer}"]
    return drive
