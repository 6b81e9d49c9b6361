"""Two tasks one after the other: digits 0 to 4, then 5 to 9, with the same five outputs."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.task import ImageTask, Samples, Stage


@dataclass(frozen=True, kw_only=True)
class Interference(ImageTask):
    """Learn a second task without losing the first.

    The score is the mean accuracy on both after the second; interference is what the second took
    from the first.

    References
    ----------
    Song et al. (2024) Nature Neuroscience 27:348, Fig. 4e: two tasks of five classes that share
    their outputs (there in alternation).
    """

    passes: float = 6.0
    probes: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)

    title: ClassVar[str] = "two tasks"

    @property
    def ends(self) -> tuple[int, int]:
        """Pixels, and five classes."""
        return super().ends[0], 5

    def stages(self, rng: np.random.Generator, final: bool) -> tuple[Stage, ...]:
        """Return a stage a task; both are examined all the time."""
        learnt, exam = self.parts(rng, final)
        exams = tuple(half(exam, task) for task in range(2))
        stages = []
        for task in range(2):
            x, y = half(learnt, task)
            stages.append(Stage(x, y, max(1, round(self.passes * len(x))), exams))
        return tuple(stages)

    def score(self, scores: NDArray[np.float64]) -> float:
        """Return the mean accuracy on both tasks in the end."""
        return float(scores[-1].mean())

    def interference(self, scores: NDArray[np.float64]) -> float:
        """Return the accuracy on the first task before the second, minus that after it."""
        before = scores[len(self.probes), 0]
        return float(before - scores[-1, 0])


def half(samples: Samples, task: int) -> Samples:
    """Return the samples of five of the ten classes, labelled 0 to 4."""
    x, y = samples
    mine = (y >= 5) == bool(task)
    return x[mine], y[mine] - 5 * task
