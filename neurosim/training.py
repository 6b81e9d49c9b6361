"""Training on a set of samples: epochs and batches in an order that the seed gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import ConfigError
from neurosim.learner import Learner, Memory, diverged
from neurosim.network import Network
from neurosim.samples import check_inputs, check_targets


def batches(n_samples: int, batch: int, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Return the samples' numbers in random order, `batch` at a time; the last may be smaller.

    Raises
    ------
    ConfigError
        For a batch below 1.
    """
    if batch < 1:
        raise ConfigError.expected("batches", "batch", "1 or more samples", batch, "write 64")
    order = rng.permutation(n_samples)
    for start in range(0, n_samples, batch):
        yield order[start : start + batch]


def train(
    learner: Learner,
    network: Network,
    memory: Memory,
    x: ArrayLike,
    y: ArrayLike,
    n_epochs: int,
    batch: int,
    rng: np.random.Generator,
    schedule: Callable[[float], float] = lambda done: 1.0,
) -> Iterator[float]:
    """Learn a set of samples; yields the mean loss after each epoch.

    Parameters
    ----------
    learner : Learner
    network : Network
        Changed in place.
    memory : Memory
        Of ``learner.begin(network, ...)``.
    x : (n_samples, n_in) array-like
    y : (n_samples,) int or (n_samples, n_out) array-like
        Both converted and checked once.
    n_epochs, batch : int
        Samples of a batch; 1, or all of them, if you like.
    rng : numpy.random.Generator
        Gives the order; learners compared with one another get equal ones.
    schedule : callable
        The factor of the learning rate, given the share of steps done, 0 to 1.

    Raises
    ------
    InputError
        As `check_inputs` and `check_targets`.
    ConfigError
        For a batch below 1.
    NumericalError
        When the run diverges.
    """
    if batch < 1:
        raise ConfigError.expected("train", "batch", "1 or more samples", batch, "write 64")
    inputs = check_inputs(network, x)
    targets = check_targets(network, y, len(inputs))
    n_batches = -(-len(inputs) // batch)
    for epoch in range(n_epochs):
        total = 0.0
        # A run that diverges says so itself, in one sentence.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for k, chosen in enumerate(batches(len(inputs), batch, rng)):
                rate = schedule((epoch * n_batches + k) / (n_epochs * n_batches))
                report = learner.step(network, memory, inputs[chosen], targets[chosen], rate)
                total += report.loss * report.n_samples
        for array in network.parameters:
            if not np.isfinite(array).all():
                raise diverged(learner, network, memory, total / len(inputs))
        yield total / len(inputs)


def cosine(done: float) -> float:
    """Return a learning rate factor that falls from 1 to 0 as half a cosine.

    References
    ----------
    Loshchilov & Hutter (2017) ICLR, Eq. 5.
    """
    return float(0.5 * (1 + np.cos(np.pi * done)))
