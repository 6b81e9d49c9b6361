"""Prospective configuration: activity settles first, then weights keep what it came to."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.fused_inference import settle
from neurosim.learner import Direction, Learner, Memory, correlation
from neurosim.network import Network

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Prospective(Learner):
    """PLACEHOLDER must be given References (2024)

    Parameters
    ----------
    n_steps : int
    rate : float
    discount : float
    """

    n_steps: int = 63
    rate: float = 0.1
    discount: float = 0.5

    source: ClassVar[str] = "Song et al. (2024) Nat. Neurosci. 27:348"
    needs: ClassVar[frozenset[str]] = frozenset({"pre", "error neuron", "labels"})

    def direction(self, network: Network, memory: Memory, x: Array, y: Array) -> Direction:
        s = settle(network, x, y, self.n_steps, self.rate, self.discount)
        weights, biases = [], []
        for layer, e in enumerate(s.errors):
            w, b = correlation(network, memory, layer, e, s.activities[layer - 1] if layer else x)
            weights.append(w)
            biases.append(b)
        return Direction(weights, biases, np.full(len(x), s.energies[0] / len(x)))
