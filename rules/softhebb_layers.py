"""SoftHebb layers: soft winner-take-all cells learn causes without labels, a read-out names them."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import ConfigError
from neurosim.learner import Direction, Learner, Memory, correlation
from neurosim.network import Network, check_inputs
from neurosim.optimisers import Optimiser

Array = NDArray[np.floating]

TINY = 1e-8


@dataclass(frozen=True, kw_only=True)
class SoftHebbLayers(Learner):
    """Let hidden cells share each input by a soft competition, and read them out by the delta rule.

    ``u_l = W_l x_l,  p_l = softmax(u_l / temperature)``
    ``delta W_l = p_l (x_l - u_l W_l),  delta W_L = (y - output) x_L``
    ``x_{l+1} = f(u_l - mean(u_l)) / norm,  x_1 = input / norm``

    Where learning stands still, ``w_k = E[p_k x] / |E[p_k x]|``: each cell's weights are
    the mean of what it has won, of length 1, and the layer is a mixture model of its input. What
    goes up is the drive above the layer's mean (Journe et al. 2023, "triangle"), through the network's
    transfer function. All layers learn at the same time and from each sample once. Biases of hidden
    cells, the log priors of the synaptic rule `softhebb`, stay at 0.

    What a synapse must be given: pre, the share that its cell has won (post), the drive of its
    cell, its own weight. No label, no error, no other layer; the competition is the circuit's.

    Parameters
    ----------
    temperature : float
        Of the competition, above 0; drives lie between -1 and 1.
    readout_rate : float
        Learning rate of the output layer over that of the hidden ones, above 0.

    References
    ----------
    Moraitis, Toichkin, Journe, Chua & Guo (2022) Neuromorph. Comput. Eng. 2:044017, Eqs. 2 and 5.
    Journe, Garcia Rodriguez, Guo & Moraitis (2023) ICLR, Section 3; without its anti-Hebbian
    losers and its learning rates by cell. Read-out: Widrow & Hoff (1960).
    """

    optimiser: Optimiser = Optimiser("sgd", eta=0.1)
    temperature: float = 0.1
    readout_rate: float = 10.0

    source: ClassVar[str] = "Moraitis et al. (2022) Neuromorph. Comput. Eng. 2:044017"
    needs: ClassVar[frozenset[str]] = frozenset({"pre", "post", "drive", "own weight"})

    def __post_init__(self) -> None:
        for field in ("temperature", "readout_rate"):
            value = getattr(self, field)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError.expected(self, field, "a number above 0", value, "leave it out")

    def direction(self, network: Network, memory: Memory, x: Array, y: Array) -> Direction:
        """Return the Hebbian way of hidden layers and the read-out's way down."""
        weights: list[Array] = []
        biases: list[Array] = []
        pre, n, top = unit(x), network.dtype.type(len(x)), network.n_layers - 1
        for layer in range(top):
            drive = unbiased_drive(network, layer, pre)
            above = lifted(network, drive)
            share = self.shares(drive)
            for signal, values in (("pre", pre), ("post", share), ("drive", drive)):
                memory.show(signal, layer, values)
            share /= n
            network.count_products(layer, len(x))
            change = share.T @ pre
            change -= np.einsum("ij,ij->j", share, drive)[:, None] * network.weights[layer]
            weights.append(change)
            biases.append(np.zeros_like(network.biases[layer]))
            pre = above
        output = network.output(network.drive(top, pre))
        change, bias = correlation(network, memory, top, y - output, pre)
        rate = network.dtype.type(self.readout_rate)
        losses = network.losses(output, y)
        return Direction([*weights, rate * change], [*biases, rate * bias], losses)

    def shares(self, drive: Array) -> Array:
        """Return what each cell wins of each sample, ``(n_samples, n_units)``; rows sum to 1."""
        share = drive - drive.max(axis=1, keepdims=True)
        share /= drive.dtype.type(self.temperature)
        np.exp(share, out=share)
        share /= share.sum(axis=1, keepdims=True)
        return share

    def output(self, network: Network, memory: Memory, x: ArrayLike, batch: int = 1000) -> Array:
        """Return the read-out's answers, ``(n_samples, n_out)``."""
        inputs = check_inputs(network, x)
        parts = []
        for start in range(0, len(inputs), batch):
            pre = unit(inputs[start : start + batch])
            for layer in range(network.n_layers - 1):
                pre = lifted(network, unbiased_drive(network, layer, pre))
            parts.append(network.output(network.drive(network.n_layers - 1, pre)))
        return np.concatenate(parts)


def unit(x: Array) -> Array:
    """Return samples of length 1, or 0 where nothing is active."""
    return x / (np.sqrt(np.einsum("ij,ij->i", x, x)) + x.dtype.type(TINY))[:, None]


def unbiased_drive(network: Network, layer: int, pre: Array) -> Array:
    """Return ``W x`` of one layer, ``(n_samples, n_post)``."""
    network.count_products(layer, len(pre))
    return pre @ network.weights[layer].T


def lifted(network: Network, drive: Array) -> Array:
    """Return what goes up: the activity above the layer's mean drive, of length 1."""
    return unit(network.activation.value(drive - drive.mean(axis=1, keepdims=True)))
