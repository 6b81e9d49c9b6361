"""One network learns by a protocol of Song et al. (2024), by either of the two rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from experiments.prospective_protocols import N_CLASSES, N_TASKS, Protocol, Samples, Turn, turns
from neurosim import fused_inference
from neurosim.errors import NumericalError
from neurosim.hdf5 import Arrays
from neurosim.learner import Learner
from neurosim.network import Network, NetworkConfig
from neurosim.online_inference import Room
from neurosim.optimisers import Optimiser
from neurosim.predictive_coding import Inference, Settled
from neurosim.randomness import Streams
from neurosim.training import batches
from rules.backprop import Backprop
from rules.prospective import ProspectiveConfiguration

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class PaperProspective(ProspectiveConfiguration):
    """Prospective configuration to the letter of the authors' code, fused for small networks.

    All steps are always taken, and all samples of a batch share one rate, which is multiplied by
    `discount` whenever their common energy has not fallen.

    Parameters
    ----------
    discount : float
    """

    discount: float = 0.5

    def settle(
        self, network: Network, x: Array, y: Array | None, room: Room | None = None
    ) -> Settled:
        """Let value nodes settle, as `neurosim.fused_inference.settle`."""
        if y is None:
            return super().settle(network, x, y, room)
        steps, rate = self.inference.n_steps, self.inference.step
        name = type(self).__name__
        return fused_inference.settle(network, x, y, steps, rate, self.discount, name)


def learner_of(protocol: Protocol, rule: str, eta: float) -> Learner:
    """Return the learner of "PC" or "BP"; `eta` is that of the error summed over a batch."""
    optimiser = Optimiser("sgd", eta=eta * protocol.batch)
    if rule == "BP":
        return Backprop(optimiser=optimiser)
    inference = Inference(n_steps=protocol.n_steps - 1, step=protocol.rate)
    return PaperProspective(optimiser=optimiser, inference=inference, discount=protocol.discount)


class Scholar:
    """A network that learns and is tested by a protocol.

    In the authors' code of the continual task the last output never gets an error. So it is not
    part of our network, but answers beside it with the weights it was born with.

    Parameters
    ----------
    protocol : Protocol
    streams : Streams
    weights : sequence of (n_post, n_pre) float32
        To begin with; drawn, if there are none.
    """

    def __init__(
        self, protocol: Protocol, streams: Streams, weights: tuple[NDArray[np.float32], ...] = ()
    ) -> None:
        n_out = N_CLASSES // N_TASKS if protocol.figure == "continual" else N_CLASSES
        hidden = (protocol.n_hidden,) * (protocol.n_layers - 1)
        born = self._born(protocol, (784, *hidden, n_out), streams)
        self.mute = born.weights[-1][n_out - 1 :].copy() if protocol.figure == "continual" else None
        self.network = born
        if self.mute is not None:
            self.network = self._born(protocol, (784, *hidden, n_out - 1), streams)
            weights = (*born.weights[:-1], born.weights[-1][: n_out - 1])
        for mine, given in zip(self.network.weights, weights, strict=False):
            mine[...] = given

    @staticmethod
    def _born(protocol: Protocol, sizes: tuple[int, ...], streams: Streams) -> Network:
        config = NetworkConfig(sizes, protocol.activation, "mse", False, protocol.initial)
        return Network(config, streams.generator("prospective/weights"))

    def error(self, samples: Samples) -> float:
        """Return the share of wrong answers."""
        last = self.network.forward(samples.images).activities
        scores = last[-1]
        if self.mute is not None:
            scores = np.hstack([scores, last[-2] @ self.mute.T])
        return float(np.mean(scores.argmax(axis=1) != samples.labels))

    def wanted(self, samples: Samples) -> NDArray[np.float32]:
        """Return the targets of the outputs that learn."""
        return np.ascontiguousarray(samples.targets[:, : self.network.n_outputs])


def trial(
    protocol: Protocol,
    rule: str,
    eta: float,
    seed: int,
    weights: tuple[NDArray[np.float32], ...] = (),
) -> Arrays:
    """Let one network learn.

    Parameters
    ----------
    protocol : Protocol
    rule : str
        "PC" or "BP": same data, same order, same first weights.
    eta : float
    seed : int
    weights : sequence of (n_post, n_pre) float32
        With which the drift begins.

    Returns
    -------
    dict of str to ndarray
        ``errors (n_iterations, n_tests)``, shares of wrong answers. A network that has diverged
        knows nothing: nine wrong answers of ten.
    """
    streams = Streams(seed)
    scholar = Scholar(protocol, streams, weights if protocol.figure == "drift" else ())
    order = streams.generator("prospective/order")

    def ordered(n: int) -> Iterator[NDArray[np.intp]]:
        return batches(n, protocol.batch, order)

    return school(protocol, rule, eta, scholar, turns(protocol, streams), ordered)


def school(
    protocol: Protocol,
    rule: str,
    eta: float,
    scholar: Scholar,
    lessons: Iterator[Turn],
    ordered: Callable[[int], Iterable[NDArray[np.intp]]],
) -> Arrays:
    """Let a scholar learn and be tested, iteration by iteration.

    Parameters
    ----------
    protocol : Protocol
    rule : str
    eta : float
    scholar : Scholar
    lessons : iterator of Turn
        At least as many as the protocol has iterations.
    ordered : callable
        From a number of samples to the batches of an epoch.

    Returns
    -------
    dict of str to ndarray
        As `trial`.
    """
    network, learner = scholar.network, learner_of(protocol, rule, eta)
    memory = learner.begin(network, np.random.default_rng(0))  # Neither rule draws.
    errors = np.full((protocol.n_iterations, _n_tests(protocol)), 1 - 1 / N_CLASSES)
    for iteration, turn in enumerate(islice(lessons, protocol.n_iterations)):
        wanted = scholar.wanted(turn.training)
        try:
            for k, chosen in enumerate(ordered(len(wanted))):
                if protocol.n_batches and k == protocol.n_batches:
                    break
                share = len(chosen) / protocol.batch
                learner.step(network, memory, turn.training.images[chosen], wanted[chosen], share)
        except NumericalError:
            break
        errors[iteration] = [scholar.error(test) for test in turn.tests]
    return {"errors": errors}


def _n_tests(protocol: Protocol) -> int:
    return N_TASKS if protocol.figure == "continual" else 1
