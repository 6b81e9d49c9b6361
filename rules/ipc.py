"""Incremental predictive coding: weights learn at every step of inference."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.learner import Direction, Memory, Report, correlation
from neurosim.network import Network
from neurosim.optimisers import Optimiser
from neurosim.predictive_coding import Inference, Settling
from rules.pc import PredictiveCoding

Array = NDArray[np.floating]
Change = Callable[[int, Array, Array], None]


@dataclass(frozen=True, kw_only=True)
class IncrementalPredictiveCoding(PredictiveCoding):
    """Move value nodes and weights together, at every step of inference.

    ``dz_l = step (-eps_l + f'(z_l) (eps_{l+1} W_{l+1})),  delta W_l = eps_l h_{l-1} / nudge``

    Both down the same energy, from the same errors, with no phase and nothing to wait for: a
    variational expectation maximisation whose steps are partial. The optimiser makes `n_steps`
    steps a batch. A layer that no error has reached yet is left alone.

    What a synapse must be given: pre, an error neuron of its cell, which hears the labels through
    the transposed weights of the layers above.

    Parameters
    ----------
    optimiser : Optimiser
    inference : Inference
        Its tolerance and halving do not apply, since weights move too.

    References
    ----------
    Salvatori, Song, Yordanov, Millidge, Sha, Emde, Xu, Bogacz & Lukasiewicz (2024) ICLR, Algorithm
    1; from the forward start, which the paper leaves open.
    """

    optimiser: Optimiser = Optimiser(eta=0.02)
    inference: Inference = Inference(n_steps=8, step=0.1)

    source: ClassVar[str] = "Salvatori et al. (2024) ICLR"

    def direction(self, network: Network, memory: Memory, x: Array, y: Array) -> Direction:
        """Return where plain steps of the learning rate lead in all, over that rate."""
        copy, eta = network.copy(), network.dtype.type(self.optimiser.eta)
        copy.ledger = network.ledger

        def change(layer: int, weights: Array, bias: Array) -> None:
            copy.weights[layer] += eta * weights
            if network.config.bias:
                copy.biases[layer] += eta * bias

        losses = self._settle(copy, memory, x, y, change)
        ends = (
            [(end - begin) / eta for end, begin in zip(ends, begins, strict=True)]
            for ends, begins in (
                (copy.weights, network.weights),
                (copy.biases, network.biases),
            )
        )
        weights, biases = ends
        return Direction(weights, biases, losses)

    def take_step(
        self, network: Network, memory: Memory, x: Array, y: Array, rate: float
    ) -> Report:
        """Take the steps of inference, and with each a step of the optimiser."""
        moments = memory.moments

        def change(layer: int, weights: Array, bias: Array) -> None:
            moments.step_one(layer, weights, rate)
            if network.config.bias:
                moments.step_one(network.n_layers + layer, bias, rate)
            network.count_writes(layer)

        losses = self._settle(network, memory, x, y, change, lambda: moments.tick())
        return Report(float(np.mean(losses)), len(x))

    def _settle(
        self, network: Network, memory: Memory, x: Array, y: Array, change: Change,
        begin: Callable[[], None] = lambda: None,
    ) -> Array:  # fmt: skip
        name, nudge = type(self).__name__, network.dtype.type(self.inference.nudge)
        state = Settling(network, x, y, self.inference)
        losses = network.losses(state.output, y)
        state.check(0, name)
        for t in range(self.inference.n_steps):
            begin()
            reached = state.front
            changes = [
                correlation(network, memory, layer, state.errors[layer] / nudge, pre)
                for layer, pre in enumerate(state.activities)
                if layer >= reached
            ]
            state.move()  # With the weights that the errors came from.
            for layer, (weights, bias) in enumerate(changes, reached):
                change(layer, weights, bias)
            state.predict(changed=reached)
            state.check(t + 1, name, range(network.n_layers))
        state.account()
        return losses
