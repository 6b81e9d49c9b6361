"""A small cortex for sequences of places: from the last two places to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurosim.contracts import Completion
from neurosim.errors import ConfigError, InputError
from neurosim.randomness import Streams
from neurosim.state import check_shapes

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SequenceCortexConfig:
    """Size and plasticity of a sequence cortex.

    Parameters
    ----------
    n_items : int
        Places it can tell.
    longest : int
        Items after which it stops by itself when it recalls or dreams.
    rate : float
        Of learning: slow beside one exposure.
    dream_weight : float
        How much a dream counts beside a lesson.
    """

    n_items: int = 24
    longest: int = 24
    rate: float = 0.3
    dream_weight: float = 0.5

    def __post_init__(self) -> None:
        for name in ("n_items", "longest"):
            if getattr(self, name) < 2:
                raise ConfigError.expected(self, name, "2 or more", getattr(self, name), "raise it")
        for name in ("rate", "dream_weight"):
            if not getattr(self, name) >= 0:
                raise ConfigError.expected(
                    self, name, "a number of 0 or more", getattr(self, name), "raise it"
                )


class SequenceCortex:
    """Predicts the next item of a sequence from the last two, one output cell an item.

    ``p(next) = softmax(W1[last] + W2[the one before] + b)``; ``dW = rate (target - p)`` at the rows
    of the two that are active: the delta rule, whose terms are all at the synapse. The last output
    cell stands for the end of a sequence. What a night writes stands in weights of its own, silent
    at first, until it is merged.

    Parameters
    ----------
    config : SequenceCortexConfig, optional

    Notes
    -----
    Two items of context are what it takes to tell the two directions of a track apart: replays run
    in both.

    References
    ----------
    Widrow & Hoff (1960), IRE WESCON Conv. Rec. 4:96 (delta rule); McClelland, McNaughton & O'Reilly
    (1995) Psychol. Rev. 102:419 (slow cortical learning from interleaved replays).
    """

    def __init__(self, config: SequenceCortexConfig | None = None) -> None:
        self.config = c = config or SequenceCortexConfig()
        # Rows: each item as the last, each as the one before, "no item yet" for both, and a bias.
        self.weights: Array = np.zeros((2 * (c.n_items + 1) + 1, c.n_items + 1))
        self._tonight: Array | None = None
        self._awake = True

    @property
    def end(self) -> int:
        """Output cell of the end mark, and the input row of "no item yet"."""
        return self.config.n_items

    def predict(self, contexts: Sequence[Sequence[int]]) -> Array:
        """Return the probabilities ``(n, n_items + 1)`` of what comes next, the end mark last.

        Parameters
        ----------
        contexts : sequence of sequence of int
            Of each the last two items are looked at.
        """
        pairs = [self._context(each) for each in contexts]
        return self._probabilities(np.array(pairs, dtype=np.int64).reshape(-1, 2))

    def surprise(self, items: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        """Return the surprise [nats] of each element of each sequence."""
        found = []
        for sequence in items:
            rows, targets = self._steps(sequence)
            p = self._probabilities(rows[:-1])
            values = -np.log(np.maximum(p[np.arange(len(p)), targets[:-1]], 1e-12))
            found.append(values.astype(np.float32))
        return found

    def dream(
        self, n: int, seed: int, temperature: float = 1.0, cues: Sequence[Sequence[int]] = ()
    ) -> list[tuple[int, ...]]:
        """Return `n` sequences it makes up, or one continuation of each cue with the cue."""
        rng = Streams(seed).generator("sequence_cortex/dream")
        starts = [tuple(cue) for cue in cues] if len(cues) else [()] * n
        return [self._run_on(start, rng, temperature)[0] for start in starts]

    def recall(self, cues: Sequence[Sequence[int]]) -> list[Completion]:
        """Complete each cue by the most likely items, until the end mark."""
        found = []
        for cue in cues:
            whole, least = self._run_on(tuple(cue), None, 1.0)
            found.append(Completion(whole[len(cue) :], least))
        return found

    def opening(self, items: Sequence[int]) -> int:
        """Return two, the context: an examination asks for the rest."""
        return min(2, len(items))

    def grow(self, seed: int) -> None:
        """Make the weights this night may write, silent at first; the seed is not needed."""
        self._tonight = np.zeros_like(self.weights)

    @property
    def growing(self) -> bool:
        """Whether something has grown that is not merged yet."""
        return self._tonight is not None

    def learn(
        self,
        lessons: Sequence[Sequence[int]],
        trust: Sequence[float],
        dreams: Sequence[Sequence[int]],
        pace: float = 1.0,
    ) -> float:
        """Take one step on lessons and dreams; return the loss of the lessons [nats an item].

        Each sequence counts by its trust, a dream by `dream_weight`, over the number of both.
        """
        weights = self.weights if self._tonight is None else self._tonight
        change = np.zeros_like(weights)
        loss, n_items = 0.0, 0
        counts = [*trust, *[self.config.dream_weight] * len(dreams)]
        total = max(len(counts), 1)
        for k, sequence in enumerate([*lessons, *dreams]):
            rows, targets = self._steps(sequence)
            p = self._probabilities(rows)
            error = -p
            error[np.arange(len(p)), targets] += 1.0
            scale = counts[k] / total
            for column in range(2):
                np.add.at(change, self._row(rows[:, column], column), scale * error)
            change[-1] += scale * error.sum(axis=0)
            if k < len(lessons):
                loss -= float(np.log(np.maximum(p[np.arange(len(p)), targets], 1e-12)).sum())
                n_items += len(p)
        weights += pace * self.config.rate * change
        return loss / max(n_items, 1)

    @contextmanager
    def dusk(self) -> Iterator[None]:
        """Look at the cortex without what this night has written."""
        before, self._awake = self._awake, False
        try:
            yield
        finally:
            self._awake = before

    def merge(self) -> None:
        """Make what has grown part of the cortex."""
        if self._tonight is not None:
            self.weights += self._tonight
        self._tonight = None

    def discard(self) -> None:
        """Forget what has grown."""
        self._tonight = None

    @property
    def state(self) -> dict[str, Array]:
        """Return the weights by name, and those of an unfinished night."""
        grown = {} if self._tonight is None else {"tonight": self._tonight}
        return {"weights": self.weights, **grown}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Take a saved state back, and that of an unfinished night.

        All that it draws follows from the seeds it is given, so that nothing else need be saved.

        Raises
        ------
        InputError
            When an array is missing or of another shape.
        """
        tonight = {"tonight": self.weights} if "tonight" in state else {}
        check_shapes(self, {"weights": self.weights, **tonight}, state)
        self.weights[...] = state["weights"]
        self._tonight = np.array(state["tonight"]) if "tonight" in state else None

    # Its parts

    def _probabilities(self, rows: NDArray[np.int64]) -> Array:
        weights = self.weights
        if self._tonight is not None and self._awake:
            weights = weights + self._tonight
        drive = weights[self._row(rows[:, 0], 0)] + weights[self._row(rows[:, 1], 1)] + weights[-1]
        drive = np.exp(drive - drive.max(axis=1, keepdims=True))
        return np.asarray(drive / drive.sum(axis=1, keepdims=True))

    def _row(self, items: NDArray[np.int64], column: int) -> NDArray[np.int64]:
        return items + column * (self.config.n_items + 1)

    def _steps(self, sequence: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the last two items at each step, and what follows, the end mark last."""
        items = self._checked(sequence)
        padded = np.concatenate([[self.end, self.end], items])
        rows = np.column_stack([padded[1:], padded[:-1]])
        return rows, np.concatenate([items, [self.end]])

    def _context(self, context: Sequence[int]) -> tuple[int, int]:
        items = [self.end, self.end, *self._checked(context)]
        return int(items[-1]), int(items[-2])

    def _checked(self, sequence: Sequence[int]) -> NDArray[np.int64]:
        items = np.asarray(tuple(sequence), dtype=np.int64)
        wrong = (items < 0) | (items >= self.config.n_items)
        if wrong.any():
            raise InputError.expected(
                self, "items", f"places of 0..{self.config.n_items - 1}", int(items[wrong][0]),
                "give the cortex as many items as there are places",
            )  # fmt: skip
        return items

    def _run_on(
        self, start: tuple[int, ...], rng: np.random.Generator | None, temperature: float
    ) -> tuple[tuple[int, ...], float]:
        """Go on from `start` until the end mark; return all, and the least certain step's p."""
        items, least = list(start), 1.0
        for _ in range(self.config.longest - len(start)):
            p = self.predict([items])[0]
            if rng is None:
                item = int(p.argmax())
            else:
                sharp = (p / p.max()) ** (1 / max(temperature, 1e-3))
                item = int(rng.choice(p.size, p=sharp / sharp.sum()))
            least = min(least, float(p[item]))
            if item == self.end:
                break
            items.append(item)
        return tuple(items), least
