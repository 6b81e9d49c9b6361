"""Digits whose names change: at intervals, half of the labels are reshuffled."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ConfigError
from neurosim.task import ImageTask, Stage


@dataclass(frozen=True, kw_only=True)
class ConceptDrift(ImageTask):
    """Keep up with classes that trade labels.

    Every `interval` steps, half of the classes, drawn by chance, trade their labels among
    themselves so that each gets another. The score is the mean over all exams after learning began:
    who adapts faster scores more.

    Parameters
    ----------
    n_concepts : int
    interval : int
        Steps from one reshuffling to the next.

    References
    ----------
    Song et al. (2024) Nature Neuroscience 27:348, Fig. 4g: intervals of 64 iterations at a batch of
    32, on Fashion-MNIST.
    """

    n_concepts: int = 6
    interval: int = 64
    batch: int = 32
    probes: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0)

    title: ClassVar[str] = "concept drift"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_concepts < 2 or self.interval < 1:
            raise ConfigError.expected(
                self, "n_concepts", "2 or more, of 1 or more steps each",
                (self.n_concepts, self.interval), "try 6 and interval 64",
            )  # fmt: skip

    def stages(self, rng: np.random.Generator, final: bool) -> tuple[Stage, ...]:
        """Return a stage a concept."""
        (x, y), (exam, answers) = self.parts(rng, final)
        names = np.arange(10)
        stages = []
        for concept in range(self.n_concepts):
            if concept:
                names = reshuffled(names, rng)
            stages.append(Stage(x, names[y], self.interval * self.batch, ((exam, names[answers]),)))
        return tuple(stages)

    def score(self, scores: NDArray[np.float64]) -> float:
        """Return the mean over all exams but the first, which is before learning."""
        return float(scores[1:, 0].mean())


def reshuffled(names: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return labels of which half have moved, each to another class."""
    chosen = rng.choice(len(names), size=len(names) // 2, replace=False)
    moved = names.copy()
    moved[chosen] = names[np.roll(chosen, 1)]
    return moved
