"""What a task promises: the same network, samples and budget for every learner."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets import ImageSet, load
from neurosim.errors import ConfigError
from neurosim.network import Loss, NetworkConfig

Samples = tuple[NDArray[np.float32], NDArray]


class Stage(NamedTuple):
    """A stretch of learning from one set of samples.

    Parameters
    ----------
    x : (n_samples, n_in) float32
    y : (n_samples,) int or (n_samples, n_out) float32
    n_presented : int
        Samples to learn from before the stage ends, over as many passes as that takes.
    exams : tuple of (x, y)
        What is examined at each probe; the first is what counts at the time.
    """

    x: NDArray[np.float32]
    y: NDArray
    n_presented: int
    exams: tuple[Samples, ...]


@dataclass(frozen=True, kw_only=True)
class Task:
    """Something to be learnt, on a network and a budget that are the same for every learner.

    Parameters
    ----------
    hidden : tuple of int
        Units of the hidden layers.
    activation : str
        Of the hidden units, see `NetworkConfig`.
    batch : int
        Samples a step.
    probes : tuple of float
        Shares of each stage, rising to 1, at which learners are examined; there is one exam more
        before they have learnt anything.

    Attributes
    ----------
    title : str
        In figures.
    kin : str
        Task whose settings serve where none were searched for this one; empty for none.
    measure : str
        "accuracy", or "r_squared": 1 - mean squared error / variance.
    """

    hidden: tuple[int, ...] = (64, 64)
    activation: str = "relu"
    batch: int = 16
    probes: tuple[float, ...] = (0.01, 0.04, 0.09, 0.16, 0.25, 0.36, 0.49, 0.64, 0.81, 1.0)

    title: ClassVar[str]
    kin: ClassVar[str] = ""
    measure: ClassVar[str] = "accuracy"

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise ConfigError.expected(
                self, "hidden", "one or more layers of one or more units", self.hidden, "try 64,64"
            )
        if self.batch < 1:
            raise ConfigError.expected(self, "batch", "1 or more samples", self.batch, "try 16")
        rising = all(a < b for a, b in zip((0.0, *self.probes), self.probes, strict=False))
        if not self.probes or not rising or self.probes[-1] != 1.0:
            raise ConfigError.expected(
                self, "probes", "shares that rise from above 0 to 1", self.probes, "try 0.5,1"
            )

    @property
    def ends(self) -> tuple[int, int]:
        """Units of the input and of the output."""
        raise NotImplementedError

    @property
    def loss(self) -> Loss:
        """What is minimised."""
        return "cross_entropy" if self.measure == "accuracy" else "mse"

    def network(self) -> NetworkConfig:
        """Return the network that every learner gets."""
        n_in, n_out = self.ends
        return NetworkConfig((n_in, *self.hidden, n_out), self.activation, self.loss)

    def check_data(self) -> None:
        """See that what the task needs is there, before any work is done.

        Raises
        ------
        InputError
            Says which folder, variable and SHA-256 a missing set is looked for by.
        """

    def stages(self, rng: np.random.Generator, final: bool) -> tuple[Stage, ...]:
        """Return what is learnt, in this order.

        Parameters
        ----------
        rng : numpy.random.Generator
            Draws the samples: of one seed, the same for every learner.
        final : bool
            Examine on test samples; else on validation samples, the only ones that a choice of
            hyper-parameters may see. Neither is ever learnt.
        """
        raise NotImplementedError

    def grade(self, output: NDArray, y: NDArray) -> float:
        """Return the score of an exam: the task's `measure`."""
        if self.measure == "accuracy":
            return float((output.argmax(axis=1) == y).mean())
        error = np.square(y - output, dtype=np.float64).mean()
        return float(1 - error / np.square(y - y.mean(axis=0), dtype=np.float64).mean())

    def score(self, scores: NDArray[np.float64]) -> float:
        """Return what counts in the end.

        Parameters
        ----------
        scores : (n_probes, n_exams) float64
        """
        return float(scores[-1, 0])

    def interference(self, scores: NDArray[np.float64]) -> float:
        """Return what later learning took from earlier; NaN where there is no such thing."""
        return float("nan")


@dataclass(frozen=True, kw_only=True)
class ImageTask(Task):
    """A task on a set of labelled images, grey values from 0 to 1.

    Parameters
    ----------
    data : str
        Of `neurosim.datasets.NAMES`.
    n_train, n_validation, n_test : int
        Images; the first two are drawn from the training part and have none in common.
    passes : float
        Over the training images: the budget.
    """

    data: str = "digits"
    n_train: int = 1137
    n_validation: int = 300
    n_test: int = 360
    passes: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n_train", "n_validation", "n_test", "passes"):
            if not getattr(self, name) > 0:
                raise ConfigError.expected(self, name, "more than 0", getattr(self, name), "try 1")

    @property
    def ends(self) -> tuple[int, int]:
        """Pixels and classes."""
        return {"digits": 64}.get(self.data, 784), 10

    def check_data(self) -> None:
        """Load the images, which checks their SHA-256."""
        _loaded(self.data)

    def parts(self, rng: np.random.Generator, final: bool) -> tuple[Samples, Samples]:
        """Return training samples, and those of the exam: `final` or of validation."""
        images = _loaded(self.data)
        n_images = len(images.train_images)
        if self.n_train + self.n_validation > n_images:
            raise ConfigError.expected(
                self, "n_train", f"{n_images - self.n_validation} or fewer beside n_validation",
                self.n_train, "take fewer",
            )  # fmt: skip
        order = rng.permutation(n_images)
        train, validation = np.split(order[: self.n_train + self.n_validation], [self.n_train])
        learnt = _samples(images.train_images, images.train_labels, train)
        if not final:
            return learnt, _samples(images.train_images, images.train_labels, validation)
        test = np.arange(min(self.n_test, len(images.test_images)))
        return learnt, _samples(images.test_images, images.test_labels, test)

    def stages(self, rng: np.random.Generator, final: bool) -> tuple[Stage, ...]:
        """Return one stage of all the training samples."""
        (x, y), exam = self.parts(rng, final)
        return (Stage(x, y, max(1, round(self.passes * len(x))), (exam,)),)


@functools.cache
def _loaded(name: str) -> ImageSet:
    return load(name)


def _samples(images: NDArray, labels: NDArray, chosen: NDArray) -> Samples:
    flat = images[chosen].reshape(len(chosen), -1).astype(np.float32)
    return flat / np.float32(255), labels[chosen].astype(np.intp)
