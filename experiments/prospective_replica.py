"""The runs of Song et al. (2024) from their own random numbers: images, weights and order."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from experiments import prospective_protocols as protocols
from experiments.prospective_pretraining import Draws
from neurosim.hdf5 import Arrays
from neurosim.randomness import Streams

FIGURES = ("data_size", "depth")
"""In which each iteration is one epoch of one set of images."""
N_SEEDS = 3
"""Of each of their published points."""
DEPTH_GAIN = 0.9999
"""Of the weights in their file of the depth; ours are drawn with 1."""


def replica(protocol: protocols.Protocol, rule: str, eta: float, seed: int) -> Arrays:
    """Let one network learn what that of the authors' run learnt, from the same first weights.

    Their code seeds torch, draws the training and the test images, then the weights, and then an
    order for each epoch and each test. Here torch's generator is asked for the same numbers in the
    same order; what is left to differ is rounding, which on their machine was that of a GPU.

    Parameters
    ----------
    protocol : Protocol
        Of `FIGURES`.
    rule : str
        "PC" or "BP".
    eta : float
    seed : int
        0 to 2: which of their seeds.

    Returns
    -------
    dict of str to ndarray
        As `experiments.prospective_protocols.trial`.

    References
    ----------
    Song et al. (2024) Nat. Neurosci. 27:348; repository YuhangSong/Prospective-Configuration,
    dataset_utils.py and the configurations of nature_small-arch-small-data and nature_search_depth.
    """
    draws = Draws(protocols.AUTHORS_SEEDS[seed])
    deep = protocol.figure == "depth"
    training = _samples(draws, "train", protocol.per_class)
    test = _samples(draws, "test", -1 if deep else protocol.test_per_class)
    hidden = (protocol.n_hidden,) * (protocol.n_layers - 1)
    sizes = (training.images.shape[1], *hidden, protocols.N_CLASSES)
    drawn = draws.weights(sizes, protocol.initial, DEPTH_GAIN if deep else 1.0)
    scholar = protocols.Scholar(protocol, Streams(seed), tuple(w.numpy() for w in drawn))

    def ordered(n: int) -> Iterable[NDArray[np.intp]]:
        order = draws.order(n)
        draws.order(len(test.labels))  # Their tests are shuffled too.
        return [part.numpy() for part in order.split(protocol.batch)]

    lessons = repeat(protocols.Turn(training, [test]))
    return protocols.school(protocol, rule, eta, scholar, lessons, ordered)


def _samples(draws: Draws, part: str, per_class: int) -> protocols.Samples:
    images, labels = (drawn.numpy() for drawn in draws.subset(part, per_class))
    targets = np.eye(protocols.N_CLASSES, dtype=np.float32)[labels]
    return protocols.Samples(images, targets, labels)
