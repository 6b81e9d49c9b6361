"""Backpropagation: the gradient of the loss, by hand and by torch's autograd."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ConfigError
from neurosim.learner import Direction, Learner, Memory, send_back
from neurosim.network import LEAK, Network

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Backprop(Learner):
    """Send the error of the output back through the transposed forward weights.

    ``e_L = y - output,  e_l = f'(z_l) (e_{l+1} W_{l+1}),  delta W_l = e_l h_{l-1}``

    For a softmax with cross-entropy and for half the squared error of a linear output, ``y -
    output`` is the gradient at the output.

    What a synapse must be given: pre, an error neuron of its cell that hears the labels through the
    transposed weights of the layers above.

    Parameters
    ----------
    engine : str
        "numpy", the formulas above, or "torch", which is autograd; the same to rounding.

    References
    ----------
    Rumelhart, Hinton & Williams (1986) Nature 323:533, Eqs. 4-7. Paszke et al. (2019) NeurIPS.
    """

    engine: str = "numpy"

    source: ClassVar[str] = "Rumelhart, Hinton & Williams (1986) Nature 323:533"
    needs: ClassVar[frozenset[str]] = frozenset(
        {"pre", "error neuron", "transposed forward weights", "labels"}
    )

    def __post_init__(self) -> None:
        if self.engine not in ("numpy", "torch"):
            raise ConfigError.expected(
                self, "engine", "'numpy' or 'torch'", self.engine, "choose one of them"
            )

    def direction(self, network: Network, memory: Memory, x: Array, y: Array) -> Direction:
        """Return the negative gradient of the mean loss."""
        return (autograd if self.engine == "torch" else gradient)(network, memory, x, y)


def gradient(network: Network, memory: Memory, x: Array, y: Array) -> Direction:
    """Return the negative gradient of the mean loss, from the formulas."""
    return send_back(network, memory, x, y, network.feedback)


def autograd(network: Network, memory: Memory, x: Array, y: Array) -> Direction:
    """Return the negative gradient of the mean loss, from torch's autograd.

    The signals of the synapses stay inside torch, so the audit sees this engine from outside only.
    """
    import torch
    from torch.nn import functional

    weights = [torch.from_numpy(w).requires_grad_() for w in network.weights]
    biases = [torch.from_numpy(b).requires_grad_() for b in network.biases]
    hidden = {
        "tanh": torch.tanh,
        "relu": torch.relu,
        "sigmoid": torch.sigmoid,
        "leaky_relu": lambda z: functional.leaky_relu(z, LEAK),
        "linear": lambda z: z,
    }[network.config.activation]
    activity = torch.from_numpy(x)
    for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
        network.count_products(layer, len(x), times=3 if layer else 2)
        activity = functional.linear(activity, w, b if network.config.bias else None)
        if layer < network.n_layers - 1:
            activity = hidden(activity)
    targets = torch.from_numpy(y)
    if network.config.loss == "mse":
        losses = 0.5 * (targets - activity).square().sum(dim=1)
    else:
        losses = -(targets * functional.log_softmax(activity, dim=1)).sum(dim=1)
    losses.mean().backward()
    return Direction(
        [-w.grad.numpy() for w in weights],  # type: ignore[union-attr]
        [np.zeros_like(b.detach().numpy()) if b.grad is None else -b.grad.numpy() for b in biases],
        losses.detach().numpy(),
    )
