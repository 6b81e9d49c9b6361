"""How good a learner's credit assignment is, measured on any network at any time."""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import NDArray

from neurosim.learner import Learner, Memory, send_back
from neurosim.network import Network

Array = NDArray[np.floating]

SMALL = 1e-3
"""Length of the step of `target_alignment`, relative to the weights."""


def gradient_cosines(
    learner: Learner, network: Network, memory: Memory, x: Array, y: Array
) -> NDArray[np.float64]:
    """Return the cosine between a learner's direction and the gradient's way down, layer by layer.

    Parameters
    ----------
    learner : Learner
    network : Network
    memory : Memory
        Neither changes.
    x : (n_samples, n_in) float
    y : (n_samples, n_out) float
        A batch, both checked already.

    Returns
    -------
    (n_layers,) float64
        NaN where one of the two is zero.

    References
    ----------
    Lillicrap et al. (2016) Nature Communications 7:13276, Fig. 2 (as an angle).
    """
    ours = _direction(learner, network, memory, x, y).weights
    other = network.copy()
    theirs = send_back(other, Memory(memory.moments), x, y, other.feedback).weights
    return np.array([_cosine(a, b) for a, b in zip(ours, theirs, strict=True)])


def target_alignment(
    learner: Learner, network: Network, memory: Memory, x: Array, y: Array
) -> float:
    """Return how straight towards the target a small step moves the output of its sample.

    ``cos(output after - output before, target - output before)``, the mean over samples, each
    learnt alone from the same state. The step goes along the learner's direction and is `SMALL`
    times the norm of all weights, whatever the optimiser.

    Parameters
    ----------
    learner, network, memory, x, y
        As for `gradient_cosines`.

    Returns
    -------
    float
        NaN for a learner whose answer is no distribution over classes and so has no target, such as
        the goodness of forward-forward.

    References
    ----------
    Song et al. (2024) Nature Neuroscience 27:348, Fig. 3 and Methods, target alignment.
    """
    shares = learner.output(network, memory, x).sum(axis=1)
    if network.config.loss == "cross_entropy" and not np.allclose(shares, 1, atol=1e-3):
        return float("nan")
    found = []
    for k in range(len(x)):
        sample, target = x[k : k + 1], y[k : k + 1]
        direction = _direction(learner, network, memory, sample, target)
        other = network.copy()
        before = learner.output(other, memory, sample)
        changes = [*direction.weights, *(direction.biases if network.config.bias else [])]
        length = _norm(changes)
        if length == 0:
            continue
        for values, change in zip(other.parameters, changes, strict=True):
            values += (SMALL * _norm(network.weights) / length) * change
        found.append(_cosine(learner.output(other, memory, sample) - before, target - before))
    return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")


def _direction(learner: Learner, network: Network, memory: Memory, x: Array, y: Array):  # type: ignore[no-untyped-def]
    """Return a learner's direction; what it changes besides is a copy's."""
    network, memory = copy.deepcopy((network, memory))
    return learner.direction(network, memory, x.copy(), y.copy())


def _norm(arrays: list[Array]) -> float:
    return float(np.sqrt(sum(np.square(a, dtype=np.float64).sum() for a in arrays)))


def _cosine(one: Array, other: Array) -> float:
    a, b = (each.ravel().astype(np.float64) for each in (one, other))
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norms) if norms > 0 else float("nan")
