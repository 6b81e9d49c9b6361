"""The cortex with backpropagation in place of predictive coding, for comparison."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from circuits.image_items import Array
from circuits.inferred import Inferred
from circuits.predictive_cortex import PredictiveCortex
from neurosim.network import softmax


class BackpropCortex(PredictiveCortex):
    """The same network, weights and contract; the chain rule assigns credit, nothing settles.

    Bottom-up weights go down the cross-entropy of a softmax over the classes; top-down weights, as
    in the predictive-coding cortex, down the squared error of what each layer predicts of the one
    below. Not local: the error of a hidden cell is carried down through the transposed weights
    above, and all below wait for it.

    Parameters
    ----------
    config : PredictiveCortexConfig

    References
    ----------
    Rumelhart, Hinton & Williams (1986) Nature 323:533.
    """

    def credit(
        self, view: Array, images: Array, top: Array | None, known: NDArray[np.bool_] | None
    ) -> Inferred:
        """Return minus the slope of each sample's losses by the drive of every cell."""
        net = self.network
        values = net.sweep(view)
        pairs = [net.activity(layer, value) for layer, value in enumerate(values)]
        belief = softmax(values[-1])
        told = np.zeros((len(view), 1), np.bool_) if known is None else known[:, None]
        if top is not None and known is None:
            told[:] = True
        named = belief if top is None else np.where(told, top, belief).astype(net.dtype)
        up: list[Array] = [named - belief]
        for layer in range(net.top - 1, 0, -1):
            up.insert(0, pairs[layer][1] * net.through(net.up[layer], up[0]))
        values[0] = images
        sent = [view, *(h for h, _ in pairs[1:-1]), named]
        down: list[Array] = [
            values[layer] - net.fall(layer, sent[layer + 1]) for layer in range(net.top)
        ]
        losses = -np.log(np.maximum((belief * named).sum(axis=1), 1e-12))
        return Inferred(values, sent, up, down, np.array([float(losses.mean())]))

    def belief(self, scores: Array) -> Array:
        """Return the softmax of scores."""
        probabilities: Array = softmax(scores)
        return probabilities
