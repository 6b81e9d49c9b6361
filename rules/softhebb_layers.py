"""SoftHebb layers: soft winner-take-all cells learn causes unlabelled, a read-out names them."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import ConfigError
from neurosim.learner import Direction, Learner, Memory, correlation
from neurosim.network import Network
from neurosim.optimisers import Optimiser
from neurosim.samples import check_inputs

Array = NDArray[np.floating]

TINY = 1e-8


@dataclass(frozen=True, kw_only=True)
class SoftHebbLayers(Learner):
    """Let hidden cells share each input by a soft competition, and read them out by the delta rule.

    ``u_l = W_l x_l,  p_l = softmax(u_l / temperature - log(n_l use_l))``
    ``delta W_l = p_l (x_l - u_l W_l),  delta W_L = (y - output) x_L``
    ``x_{l+1} = unit(f(u_l - mean over cells of u_l) - usual),  x_1 = unit(input - usual)``

    Where learning stands still, ``w_k = E[p_k x] / |E[p_k x]|``: each cell's weights are
    the mean of what it has won, of length 1, and the layer is a mixture model of its input. What
    goes up is the drive above the layer's mean (Journe et al. 2023, "triangle"), through the
    network's transfer function. All layers learn at the same time, and a sample once is enough.

    Two homeostatic averages, which the papers do not have, keep all cells in the game from any
    initial weights: of how active each presynaptic cell usually is, which is taken away, and of how
    often each cell wins (`use`), which makes frequent winners less excitable (Habenschuss, Bill &
    Nessler 2012). With `adaptation` 0 there are none, and the rule is the papers'. Biases of hidden
    cells stay as they are.

    What a synapse must be given: pre (over its usual activity), the share that its cell has won
    (post), the drive of its cell, its own weight; the averages remember the past. No label, no
    error, no other layer; the competition is the circuit's.

    Parameters
    ----------
    temperature : float
        Of the competition, above 0; drives lie between -1 and 1.
    readout_rate : float
        Learning rate of the output layer over that of the hidden ones, above 0.
    adaptation : float
        Share of a sample in the averages, 0 to 1; the first samples have equal shares.

    References
    ----------
    Moraitis, Toichkin, Journe, Chua & Guo (2022) Neuromorph. Comput. Eng. 2:044017. Journe, Garcia
    Rodriguez, Guo & Moraitis (2023) ICLR, without its anti-Hebbian losers and its learning rates by
    cell. Homeostasis: Habenschuss, Bill & Nessler (2012) NeurIPS. Read-out: Widrow & Hoff (1960).
    """

    optimiser: Optimiser = Optimiser("sgd", eta=0.5)
    temperature: float = 0.1
    readout_rate: float = 5.0
    adaptation: float = 1e-3

    source: ClassVar[str] = "Moraitis et al. (2022) Neuromorph. Comput. Eng. 2:044017"
    needs: ClassVar[frozenset[str]] = frozenset(
        {"pre", "post", "drive", "own weight", "stored past"}
    )

    def __post_init__(self) -> None:
        for field in ("temperature", "readout_rate"):
            value = getattr(self, field)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError.expected(self, field, "a number above 0", value, "leave it out")
        if not 0 <= self.adaptation <= 1:
            raise ConfigError.expected(
                self, "adaptation", "0 to 1", self.adaptation, "leave it out"
            )

    def keep(self, network: Network, rng: np.random.Generator) -> dict[str, Array]:
        """Return ``usual/l (n_pre,)``, ``use/l (n_post,)`` of hidden cells, and samples seen."""
        arrays: dict[str, Array] = {"n_seen": np.zeros(1)}
        for layer, w in enumerate(network.weights):
            n_post, n_pre = w.shape
            arrays[f"usual/{layer}"] = np.zeros(n_pre, dtype=w.dtype)
            if layer < network.n_layers - 1:
                arrays[f"use/{layer}"] = np.full(n_post, 1 / n_post, dtype=w.dtype)
        return arrays

    def direction(self, network: Network, memory: Memory, x: Array, y: Array) -> Direction:
        """Return the Hebbian way of hidden layers and the read-out's way down."""
        weights: list[Array] = []
        biases: list[Array] = []
        n, top = network.dtype.type(len(x)), network.n_layers - 1
        h: Array = x
        averages: dict[str, Array] = {"usual/0": x.mean(axis=0)}
        for layer in range(top):
            pre = unit(h - memory.arrays[f"usual/{layer}"])
            drive = unbiased_drive(network, layer, pre)
            h = lifted(network, drive)
            share = self.shares(drive, memory.arrays[f"use/{layer}"])
            averages |= {f"usual/{layer + 1}": h.mean(axis=0), f"use/{layer}": share.mean(axis=0)}
            for signal, values in (("pre", pre), ("post", share), ("drive", drive)):
                memory.show(signal, layer, values)
            share /= n
            network.count_products(layer, len(x))
            change: Array = share.T @ pre
            change -= np.einsum("ij,ij->j", share, drive)[:, None] * network.weights[layer]
            weights.append(change)
            biases.append(np.zeros_like(network.biases[layer]))
        pre = unit(h - memory.arrays[f"usual/{top}"])
        output = network.output(network.drive(top, pre))
        change, bias = correlation(network, memory, top, y - output, pre)
        self._adapt(memory, averages, len(x))
        rate = network.dtype.type(self.readout_rate)
        losses = network.losses(output, y)
        return Direction([*weights, rate * change], [*biases, rate * bias], losses)

    def shares(self, drive: Array, use: Array) -> Array:
        """Return what each cell wins of each sample, ``(n_samples, n_units)``; rows sum to 1.

        Parameters
        ----------
        drive : (n_samples, n_units) float
        use : (n_units,) float
            Share that each has won so far; 1 / n_units where all are alike.
        """
        share = drive / drive.dtype.type(self.temperature)
        share -= np.log(use * drive.dtype.type(len(use)))
        share -= share.max(axis=1, keepdims=True)
        np.exp(share, out=share)
        share /= share.sum(axis=1, keepdims=True)
        return share

    def output(self, network: Network, memory: Memory, x: ArrayLike, batch: int = 1000) -> Array:
        """Return the read-out's answers, ``(n_samples, n_out)``."""
        inputs = check_inputs(network, x)
        parts, top = [], network.n_layers - 1
        for start in range(0, len(inputs), batch):
            h = inputs[start : start + batch]
            for layer in range(top):
                pre = unit(h - memory.arrays[f"usual/{layer}"])
                h = lifted(network, unbiased_drive(network, layer, pre))
            pre = unit(h - memory.arrays[f"usual/{top}"])
            parts.append(network.output(network.drive(top, pre)))
        return np.concatenate(parts)

    def _adapt(self, memory: Memory, averages: dict[str, Array], n: int) -> None:
        """Move the averages towards a batch's."""
        if self.adaptation == 0:
            return
        seen = memory.arrays["n_seen"]
        seen += n
        for name, mean in averages.items():
            # A cell that never won would be excitable without bound.
            first = n / seen[0] if name.startswith("usual") else 0.0
            part = max(1 - (1 - self.adaptation) ** n, first)
            kept = memory.arrays[name]
            kept += kept.dtype.type(part) * (mean - kept)
            if name.startswith("use/"):
                np.maximum(kept, kept.dtype.type(TINY / len(kept)), out=kept)


def unit(x: Array) -> Array:
    """Return samples of length 1, or 0 where nothing is active."""
    return x / (np.sqrt(np.einsum("ij,ij->i", x, x)) + x.dtype.type(TINY))[:, None]


def unbiased_drive(network: Network, layer: int, pre: Array) -> Array:
    """Return ``W x`` of one layer, ``(n_samples, n_post)``."""
    network.count_products(layer, len(pre))
    return pre @ network.weights[layer].T


def lifted(network: Network, drive: Array) -> Array:
    """Return the activity above the layer's mean drive, ``(n_samples, n_post)``."""
    return network.activation.value(drive - drive.mean(axis=1, keepdims=True))
