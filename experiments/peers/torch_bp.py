"""Backpropagation in torch: what the same network costs without inference."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from experiments.peers import Peer
from neurosim.network import Network
from neurosim.predictive_coding import Inference

REQUIRES = "torch"
DIFFERS = "backpropagation, no inference"


def made(network: Network, inference: Inference, eta: float) -> Peer:
    """Return torch's training step: modules, autograd, its own optimiser."""
    import torch
    from torch import nn

    hidden = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[network.config.activation]
    layers = [nn.Linear(w.shape[1], w.shape[0]) for w in network.weights]
    for layer, w, b in zip(layers, network.weights, network.biases, strict=True):
        layer.weight.data = torch.from_numpy(w.copy())
        layer.bias.data = torch.from_numpy(b.copy())
    parts = itertools.chain.from_iterable((layer, hidden()) for layer in layers[:-1])
    model = nn.Sequential(*parts, layers[-1])
    optimiser = torch.optim.SGD(model.parameters(), lr=eta)
    cross_entropy = nn.CrossEntropyLoss()

    def step(x: NDArray[np.floating], y: NDArray[np.floating]) -> None:
        optimiser.zero_grad()
        output, target = model(torch.from_numpy(x)), torch.from_numpy(y)
        if network.config.loss == "mse":
            loss = 0.5 * (target - output).square().sum() / len(x)
        else:
            loss = cross_entropy(output, target)
        loss.backward()
        optimiser.step()

    return Peer(step, lambda: [layer.weight.detach().numpy() for layer in layers])
