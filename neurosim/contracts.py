"""Contracts: what a region, a cortex and a hippocampus promise; a rule's stands in `rule`."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from neurosim.rule import Event, Rule

__all__ = [
    "Completion", "Cortex", "Event", "Gauge", "Hippocampus", "Replay", "Rule", "State",
    "drift_since_dusk",
]  # fmt: skip

State = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Replay:
    """What one ripple burst brings back.

    Parameters
    ----------
    items : tuple of int, or bytes
        The reactivated sequence, in the units the entorhinal cortex decodes to (tokens; levels of
        a sheet, as bytes, since they are many).
    confidence : float
        How well the recurrent synapses agreed with the sequence, 0..1.
    valid : bool
        The attractor settled and the sequence ended by itself.
    trace : object
        The CA3 patterns of the burst; what `Hippocampus.release` takes back.
    fragment : bool
        Only the opening of a released memory came back; the cortex must know the rest.
    """

    items: tuple[int, ...] | bytes
    confidence: float
    valid: bool
    trace: Any
    fragment: bool = False


@dataclass(frozen=True)
class Completion:
    """A cue completed.

    Parameters
    ----------
    items : tuple of int
        The continuation without the cue and without the end mark.
    confidence : float
        0..1; for a cortex the probability of the least certain step.
    """

    items: tuple[int, ...]
    confidence: float


@runtime_checkable
class Cortex(Protocol):
    """A slow memory: it can be surprised, learn, dream and recall.

    What a night writes is apart from the rest until `merge`, so the cortex at `dusk` stays its own
    teacher.
    """

    def surprise(self, items: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        """Return the surprise [nats] of each element of each sequence."""

    def dream(
        self, n: int, seed: int, temperature: float = 1.0, cues: Sequence[Sequence[int]] = ()
    ) -> Sequence[tuple[int, ...] | bytes]:
        """Return `n` sequences the cortex makes up, or one continuation of each cue.

        None where it knows nothing yet.
        """

    def recall(self, cues: Sequence[Sequence[int]]) -> list[Completion]:
        """Complete each cue greedily."""

    def opening(self, items: Sequence[int]) -> int:
        """Return how many elements of a sequence serve as its cue in an examination."""

    def grow(self, seed: int) -> None:
        """Make what this night may write, silent at first."""

    @property
    def growing(self) -> bool:
        """Whether something has grown that is not merged yet."""

    def learn(
        self,
        lessons: Sequence[Sequence[int]],
        trust: Sequence[float],
        dreams: Sequence[Sequence[int]],
        pace: float = 1.0,
    ) -> float:
        """Take one step on lessons and dreams; return the loss of the lessons."""

    def dusk(self) -> AbstractContextManager[None]:
        """Look at the cortex without what this night has written."""

    def merge(self) -> None:
        """Make what has grown part of the cortex."""

    def discard(self) -> None:
        """Forget what has grown."""

    @property
    def state(self) -> State:
        """Return the named arrays that make up the memory."""


def drift_since_dusk(cortex: Cortex, dreams: Sequence[Sequence[int]]) -> float:
    """Return the factor by which the perplexity of `dreams` has risen since dusk.

    Parameters
    ----------
    cortex : Cortex
    dreams : sequence of sequence of int
        Such as it made up itself; 1 is returned where there is none.
    """
    if not len(dreams):
        return 1.0
    now = np.concatenate(cortex.surprise(dreams)).mean()
    with cortex.dusk():
        before = np.concatenate(cortex.surprise(dreams)).mean()
    return float(np.exp(now - before))


@dataclass(frozen=True)
class Gauge:
    """How full a hippocampus is.

    Parameters
    ----------
    n_episodes, n_fragments, n_items : int
        Held now: whole episodes, openings of released ones, items of both with their end marks.
    used : float
        Share of the capacity in use, 1 is full.
    room : int
        Items that still fit.
    potentiated : int
        Synapses in use, of `n_synapses` plastic ones.
    n_synapses : int
    """

    n_episodes: int
    n_fragments: int
    n_items: int
    used: float
    room: int
    potentiated: int
    n_synapses: int


@runtime_checkable
class Hippocampus(Protocol):
    """A fast memory: one exposure is enough, and replay is spontaneous."""

    def store(self, items: Sequence[int], salience: float) -> int:
        """Write one sequence in one shot; return the synaptic events."""

    def recall(self, cue: Sequence[int]) -> Completion:
        """Complete a sequence from a fragment of it."""

    def replay(self, n: int, rng: np.random.Generator, acetylcholine: float = 0.0) -> list[Replay]:
        """Let the recurrent network reactivate by itself, `n` bursts.

        Acetylcholine, 0 to 1, is that of the phase of sleep.
        """

    def depth(self, which: Replay) -> int:
        """Return how strongly a memory is held: what it weighs among tonight's lessons."""

    def fade(self, which: Replay) -> None:
        """Let one memory lie less deep, so that it replays less."""

    def release(self, which: Replay, kept: int | None = None) -> None:
        """Take one memory's synapses back, but for its first `kept` items."""

    def reconsolidate(self, which: Replay, items: Sequence[int]) -> None:
        """Write the opening of a released memory anew."""

    def opening(self, items: Sequence[int]) -> int:
        """Return how many items of a released memory stay at least."""

    def gauge(self) -> Gauge:
        """Measure how full the memory is."""

    @property
    def state(self) -> State:
        """Return the named arrays that make up the memory."""
