"""Dreams: what the cortex teaches itself in REM, and the words of the day they start from."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

Items = tuple[int, ...] | bytes
"""A sequence: of tokens, or the levels of a sheet and its class."""


@dataclass
class Dreams:
    """What the cortex dreams in one cycle.

    Parameters
    ----------
    fresh : list of sequences
        Dreamt freely or from words out of their context.
    continued : list of sequences
        Continuations of openings that CA3 has kept.
    """

    fresh: list[Items] = field(default_factory=list)
    continued: list[Items] = field(default_factory=list)

    def __add__(self, other: "Dreams") -> "Dreams":
        """Dream on."""
        return Dreams(self.fresh + other.fresh, self.continued + other.continued)

    def __len__(self) -> int:
        """Return the number of dreams."""
        return len(self.fresh) + len(self.continued)

    def batches(self, n: int, rng: np.random.Generator) -> Iterator[list[Items]]:
        """Deal the dreams out over `n` steps, in random order, each kind evenly."""
        for kind in (self.fresh, self.continued):
            rng.shuffle(kind)  # type: ignore[arg-type]
        for step in range(n):
            yield [
                kind[k]
                for kind in (self.fresh, self.continued)
                for k in range(step * len(kind) // n, (step + 1) * len(kind) // n)
            ]


def words_of(lessons: list[Items], rng: np.random.Generator) -> Items:
    """Cut one to three items from the inside of a random lesson."""
    lesson = lessons[rng.integers(len(lessons))]
    length = int(rng.integers(1, 4))
    start = int(rng.integers(1, max(2, len(lesson) - length)))
    return lesson[start : start + length]
