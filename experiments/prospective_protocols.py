"""The protocols of Song et al. (2024), Figs. 3h and 4: what is learnt and how it is tested."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurosim import datasets
from neurosim.network import Initial
from neurosim.randomness import Streams

N_CLASSES = 10
N_TASKS = 2


@dataclass(frozen=True)
class Protocol:
    """How one point of a published curve was measured.

    Parameters
    ----------
    figure : str
        Of `FIGURES`.
    batch : int
        Samples a step.
    per_class, test_per_class : int
        Images of a class, drawn anew for each seed.
    n_hidden, n_layers : int
        Units of a hidden layer; layers of weights.
    activation, initial : str
        As of `NetworkConfig`; without biases.
    n_steps : int
        The paper's T: value nodes take one step less before the weights take theirs.
    rate, discount : float
        Of the value nodes, and what it is multiplied by when the energy of a batch has not fallen.
    n_iterations, n_batches : int
        Tests, and steps before each; 0 for a whole epoch.
    summary : str
        "mean" or "min": of the test errors.
    etas : tuple of float
        Learning rates that were searched, of the error summed over a batch.
    downhill : bool
        Try them from the first on only until the error rises: a grid of all depths holds far more
        rates than a depth has use for.
    """

    figure: str
    batch: int = 1
    per_class: int = 6000
    test_per_class: int = 1000
    n_hidden: int = 32
    n_layers: int = 3
    activation: str = "sigmoid"
    initial: Initial = "xavier_uniform"
    n_steps: int = 64
    rate: float = 0.1
    discount: float = 0.5
    n_iterations: int = 64
    n_batches: int = 0
    summary: str = "mean"
    etas: tuple[float, ...] = (0.01,)
    downhill: bool = False


ONE_BY_ONE = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
FIGURES = {
    "learning_rate": Protocol(
        "learning_rate", n_batches=200, summary="min", etas=ONE_BY_ONE
    ),
    "batch_size": Protocol("batch_size", n_batches=200),
    "data_size": Protocol("data_size", batch=60, rate=1.0, summary="min"),
    "drift": Protocol(
        "drift", batch=32, per_class=120, test_per_class=100, n_steps=128, n_iterations=3000,
        etas=(0.001, 0.005, 0.01, 0.05, 0.1),
    ),
    "continual": Protocol(
        "continual", batch=500, per_class=600, n_layers=4, initial="xavier_normal", discount=0.9,
        n_iterations=84, etas=(0.0001, 0.00025, 0.0005, 0.00075, 0.001, 0.005),
    ),
    "depth": Protocol(
        "depth", batch=60, per_class=60, n_hidden=64, activation="leaky_relu",
        initial="xavier_normal", n_steps=128,
        etas=(
            5.0, 1.0, 0.5, 0.1, 0.05, 0.01, 0.005, 0.001, 0.0005, 0.0001, 0.00005, 0.00001,
            0.000005,
        ), downhill=True,
    ),
}  # fmt: skip
# The grids of the authors' configuration files, and of their figure for the data's size.
_ETAS_OF_BATCH = {
    1: ONE_BY_ONE,
    8: (0.01, 0.025, 0.05, 0.1),
    16: (0.0075, 0.01, 0.025, 0.05),
    32: (0.005, 0.0075, 0.01, 0.025, 0.05),
    64: (0.001, 0.0025, 0.005, 0.0075, 0.01),
}
_ETAS_OF_SIZE = (0.001, 0.0025, 0.005, 0.0075)
AUTHORS_SEEDS = (
    1482555873, 698841058, 2283198659, 1855152618, 2444264003, 4191194675, 2563230118, 2508066235,
    690101352, 1489128536, 193493729, 3247095100, 2569134589, 3859394752, 3982413761, 2889788203,
    3507183834, 1288605031, 1603403502, 4110491292, 3228301166,
)  # fmt: skip
"""Of their configuration files: the first three of every figure, all of the continual task's."""
DRIFT_EVERY = 64
TURN = 4
"""Iterations of one task before the other has its turn."""


def protocol_of(figure: str, setting: float) -> Protocol:
    """Return the protocol of one point of a figure."""
    base = FIGURES[figure]
    whole = int(setting)
    if figure == "batch_size":
        return replace(base, batch=whole, etas=_ETAS_OF_BATCH[whole])
    if figure == "data_size":
        return replace(base, per_class=whole, test_per_class=whole, etas=_ETAS_OF_SIZE)
    if figure == "depth":
        return replace(base, n_layers=whole)
    return base


class Samples(NamedTuple):
    """Images with their targets and the right answers.

    Parameters
    ----------
    images : (n, 784) float32
    targets : (n, n_out) float32
    labels : (n,) int
    """

    images: NDArray[np.float32]
    targets: NDArray[np.float32]
    labels: NDArray[np.intp]


class Turn(NamedTuple):
    """One iteration: what is learnt, and what is tested afterwards.

    Parameters
    ----------
    training : Samples
    tests : list of Samples
    """

    training: Samples
    tests: list[Samples]


@cache
def fashion(part: str) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return images ``(n, 784)``, 0..1, and classes of a part, "train" or "test"."""
    loaded = datasets.load("fashion")
    images = getattr(loaded, f"{part}_images").reshape(-1, 784).astype(np.float32) / 255
    return images, getattr(loaded, f"{part}_labels").astype(np.intp)


def draw(
    part: str,
    per_class: int,
    rng: np.random.Generator,
    classes: range = range(N_CLASSES),
    answers: NDArray[np.intp] | None = None,
    low: float = 0.0,
) -> Samples:
    """Draw images of some classes.

    Parameters
    ----------
    part : str
    per_class : int
        At most; all there are, if there are fewer.
    rng : numpy.random.Generator
    classes : range
    answers : (n_classes,) int, optional
        The right answer to each class, if it is not the class itself.
    low : float
        Target of the other answers; 1 is that of the right one.
    """
    images, labels = fashion(part)
    chosen = np.concatenate(
        [rng.permutation(np.flatnonzero(labels == each))[:per_class] for each in classes]
    )
    right = labels[chosen] if answers is None else answers[labels[chosen]]
    n_out = N_CLASSES if answers is None else int(answers.max()) + 1
    targets = np.where(np.eye(n_out, dtype=bool)[right], 1.0, low).astype(np.float32)
    return Samples(images[chosen], targets, right)


def turns(protocol: Protocol, streams: Streams) -> Iterator[Turn]:
    """Yield what is learnt and tested, iteration by iteration, without end."""
    rng = streams.generator("prospective/data")
    if protocol.figure == "drift":
        yield from _drifting(protocol, rng, label_shuffles(streams))
    elif protocol.figure == "continual":
        yield from _taking_turns(protocol, rng, label_shuffles(streams))
    else:
        training = draw("train", protocol.per_class, rng)
        tests = [draw("test", protocol.test_per_class, rng)]
        while True:
            yield Turn(training, tests)


def label_shuffles(streams: Streams) -> np.random.RandomState:
    """Return the generator that shuffles labels: of the first 21 seeds, that of the authors' runs.

    Which classes share an answer, or change it, makes one run much harder than another: with
    NumPy's old generator and their seeds the labels are those of the published curves.
    """
    if streams.seed < len(AUTHORS_SEEDS):
        return np.random.RandomState(AUTHORS_SEEDS[streams.seed])
    return np.random.RandomState(streams.seed_for("prospective/labels") % 2**32)


def _drifting(
    protocol: Protocol, rng: np.random.Generator, labels: np.random.RandomState
) -> Iterator[Turn]:
    answers = np.arange(N_CLASSES)
    iteration = 0
    # As in the authors' file: wrong answers are wanted to be 0 until the first change.
    training = draw("train", protocol.per_class, rng, answers=answers)
    while True:
        learnt = training
        if iteration % DRIFT_EVERY == 0:  # The authors change labels after an epoch, before a test.
            for _ in range(-(-len(learnt.labels) // protocol.batch)):  # Once a batch, there.
                answers = np.arange(N_CLASSES)
                labels.shuffle(answers[5:])
            training = draw("train", protocol.per_class, rng, answers=answers, low=-1.0)
            tests = [draw("test", protocol.test_per_class, rng, answers=answers, low=-1.0)]
        yield Turn(learnt, tests)
        iteration += 1


def _taking_turns(
    protocol: Protocol, rng: np.random.Generator, labels: np.random.RandomState
) -> Iterator[Turn]:
    half = N_CLASSES // N_TASKS
    answers = labels.permutation(N_CLASSES) % half  # As there, classes may share one.
    parts = [range(half * k, half * (k + 1)) for k in range(N_TASKS)]
    training = [draw("train", protocol.per_class, rng, part, answers) for part in parts]
    tests = [draw("test", protocol.test_per_class, rng, part, answers) for part in parts]
    while True:
        for task in range(N_TASKS):
            for _ in range(TURN):
                yield Turn(training[task], tests)
