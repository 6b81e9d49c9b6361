"""Contracts: what a rule, a region, a cortex, a hippocampus and an experiment promise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

State = Mapping[str, NDArray[Any]]
Event = Literal["coincidence", "pre", "post", "all"]
"""Which synapses a rule acts on: both cells active, one of them, or any."""


@runtime_checkable
class Rule(Protocol):
    """A synaptic rule: a frozen dataclass, all parameters with defaults.

    Locality is the signature: `delta` sees the two cells, the weight and a modulator of each
    synapse, and fills a change; only a `SparseProjection` writes weights.
    """

    source: ClassVar[str]
    knows: ClassVar[tuple[str, ...]]
    acts_on: ClassVar[Event]

    def delta(
        self,
        pre: NDArray[np.floating],
        post: NDArray[np.floating],
        weights: NDArray[np.floating],
        modulator: float,
        out: NDArray[np.floating],
    ) -> None:
        """Fill `out (n_synapses,)` with weight changes."""


@dataclass(frozen=True)
class Replay:
    """What one ripple burst brings back.

    Parameters
    ----------
    items : tuple of int
        The reactivated sequence, in the units the entorhinal cortex decodes to (tokens).
    confidence : float
        How well the recurrent synapses agreed with the sequence, 0..1.
    valid : bool
        The attractor settled and the sequence ended by itself.
    trace : object
        The CA3 patterns of the burst; what `Hippocampus.release` takes back.
    """

    items: tuple[int, ...]
    confidence: float
    valid: bool
    trace: Any


@runtime_checkable
class Cortex(Protocol):
    """A slow memory: it can be surprised, learn, dream and recall."""

    def surprise(self, items: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        """Return the surprise [nats] of each element of each sequence."""

    def dream(self, n: int, seed: int) -> list[tuple[int, ...]]:
        """Return `n` sequences the cortex generates by itself."""

    def recall(self, cues: Sequence[Sequence[int]]) -> list["Completion"]:
        """Complete each cue greedily."""

    @property
    def state(self) -> State:
        """Return the named arrays that make up the memory."""


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
class Hippocampus(Protocol):
    """A fast memory: one exposure is enough, and replay is spontaneous."""

    def store(self, items: Sequence[int], salience: float) -> int:
        """Write one sequence in one shot; return the synaptic events."""

    def recall(self, cue: Sequence[int]) -> "Completion":
        """Complete a sequence from a fragment of it."""

    def replay(self, n: int, rng: np.random.Generator) -> list[Replay]:
        """Let the recurrent network reactivate by itself, `n` bursts."""

    def release(self, which: Replay) -> None:
        """Take one memory's synapses back."""

    @property
    def state(self) -> State:
        """Return the named arrays that make up the memory."""
