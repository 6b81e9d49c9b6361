"""Predictive coding as a person would write it in torch: plain tensors, no autograd."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from experiments.peers import Peer
from neurosim.network import Network
from neurosim.predictive_coding import Inference

REQUIRES = "torch"


def made(network: Network, inference: Inference, eta: float) -> Peer:
    """Return the formulas of `neurosim.predictive_coding.settle`, one tensor operation each."""
    import torch

    weights = [torch.from_numpy(w.copy()) for w in network.weights]
    biases = [torch.from_numpy(b.copy()) for b in network.biases]
    top = len(weights) - 1
    f = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}[
        network.config.activation
    ]
    slope = {
        "relu": lambda z, h: (z > 0).to(z.dtype),
        "tanh": lambda z, h: 1 - h * h,
        "sigmoid": lambda z, h: h * (1 - h),
    }[network.config.activation]
    softmax = network.config.loss == "cross_entropy"

    @torch.no_grad()
    def step(x: NDArray[np.floating], y: NDArray[np.floating]) -> None:
        target = torch.from_numpy(y)
        given, values = torch.from_numpy(x), []
        h = given
        for w, b in zip(weights[:-1], biases[:-1], strict=True):
            values.append(torch.addmm(b, h, w.T))
            h = f(values[-1])
        for t in range(inference.n_steps + 1):
            activities = [given, *(f(z) for z in values)]
            means = [
                torch.addmm(b, a, w.T) for a, w, b in zip(activities, weights, biases, strict=True)
            ]
            output = torch.softmax(means[top], dim=1) if softmax else means[top]
            errors = [*(z - mu for z, mu in zip(values, means[:-1], strict=True)), target - output]
            if t == inference.n_steps:
                break
            for k in range(top):
                back = errors[k + 1] @ weights[k + 1]
                values[k] = values[k] + inference.step * (
                    slope(values[k], activities[k + 1]) * back - errors[k]
                )
        for w, b, e, a in zip(weights, biases, errors, activities, strict=True):
            w += eta / len(x) * (e.T @ a)
            b += eta / len(x) * e.sum(dim=0)

    return Peer(step, lambda: [w.numpy() for w in weights])
