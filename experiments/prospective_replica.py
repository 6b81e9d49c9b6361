"""The runs of Song et al. (2024) from their own random numbers: images, weights and order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray

from experiments import prospective_protocols as protocols
from experiments.prospective_pretraining import Draws
from experiments.prospective_trials import Scholar, school
from neurosim.hdf5 import Arrays
from neurosim.randomness import Streams

FIGURES = ("data_size", "depth", "drift")
"""In which each iteration is one epoch."""
N_SEEDS = 3
"""Of each of their published points."""
DEPTH_GAIN = 0.9999
"""Of the weights in their file of the depth; ours are drawn with 1."""


def replica(
    protocol: protocols.Protocol,
    rule: str,
    eta: float,
    seed: int,
    weights: tuple[NDArray[np.float32], ...] = (),
) -> Arrays:
    """Let one network learn what that of the authors' run learnt, from the same first weights.

    Their code seeds torch, draws the training and the test images, then the weights, and then an
    order for each epoch and each test; where labels drift it draws images anew after each batch
    of that epoch. Here torch's generator is asked for the same numbers in the same order; what is
    left to differ is rounding, which on their machine was that of a GPU.

    Parameters
    ----------
    protocol : Protocol
        Of `FIGURES`.
    rule : str
        "PC" or "BP".
    eta : float
    seed : int
        0 to 2: which of their seeds.
    weights : sequence of (n_post, n_pre) float32
        With which the drift begins.

    Returns
    -------
    dict of str to ndarray
        As `experiments.prospective_trials.trial`.

    References
    ----------
    Song et al. (2024) Nat. Neurosci. 27:348; repository YuhangSong/Prospective-Configuration,
    dataset_utils.py and the configurations of nature_small-arch-small-data, nature_search_depth and
    nature_concept_drift.
    """
    draws = Draws(protocols.AUTHORS_SEEDS[seed])
    drifts, deep = protocol.figure == "drift", protocol.figure == "depth"
    training = _samples(draws, "train", protocol.per_class)
    test = _samples(draws, "test", -1 if deep or drifts else protocol.test_per_class)
    hidden = (protocol.n_hidden,) * (protocol.n_layers - 1)
    sizes = (training.images.shape[1], *hidden, protocols.N_CLASSES)
    drawn = draws.weights(sizes, protocol.initial, DEPTH_GAIN if deep else 1.0)
    begin = weights if drifts else tuple(w.numpy() for w in drawn)
    orders: list[torch.Tensor] = []

    def lessons() -> Iterator[protocols.Turn]:
        learnt, tested, labels = training, test, protocols.label_shuffles(Streams(seed))
        for iteration in count():
            now = learnt
            orders.append(draws.order(len(now.labels)))
            if drifts and iteration % protocols.DRIFT_EVERY == 0:
                for _ in range(-(-len(now.labels) // protocol.batch)):
                    answers = np.arange(protocols.N_CLASSES)
                    labels.shuffle(answers[5:])
                    learnt = _samples(draws, "train", protocol.per_class, answers)
                    tested = _samples(draws, "test", protocol.test_per_class, answers)
            draws.order(len(tested.labels))  # Their tests are shuffled too.
            yield protocols.Turn(now, [tested])

    def ordered(n: int) -> Iterable[NDArray[np.intp]]:
        return [part.numpy() for part in orders.pop().split(protocol.batch)]

    scholar = Scholar(protocol, Streams(seed), begin)
    return school(protocol, rule, eta, scholar, lessons(), ordered)


def _samples(
    draws: Draws, part: str, per_class: int, answers: NDArray[np.intp] | None = None
) -> protocols.Samples:
    """Return drawn images; once labels have drifted, wrong answers are wanted to be -1, not 0."""
    images, labels = (drawn.numpy() for drawn in draws.subset(part, per_class))
    right, low = (labels, 0.0) if answers is None else (answers[labels], -1.0)
    wanted = np.eye(protocols.N_CLASSES, dtype=bool)[right]
    return protocols.Samples(images, np.where(wanted, 1.0, low).astype(np.float32), right)
