"""What a night did: bursts, cycles and the examination at dawn."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Burst:
    """One ripple burst, as the replay raster draws it.

    Parameters
    ----------
    cycle : int
    memory : int
        Number of the memory in order of its first replay tonight; -1 for none.
    confidence : float
    """

    cycle: int
    memory: int
    confidence: float


@dataclass(frozen=True)
class CycleReport:
    """What one cycle did.

    Parameters
    ----------
    cycle : int
        From 1.
    bursts : tuple of Burst
    n_memories : int
        Different memories replayed.
    n_mastered : int
        Of these, the ones the cortex completes after the cycle.
    n_dreams, n_steps : int
    loss : float [nats a token]
        Of the lessons in the last step.
    n_tokens : int
        Tokens the cortex learnt from, dreams included.
    """

    cycle: int
    bursts: tuple[Burst, ...]
    n_memories: int
    n_mastered: int
    n_dreams: int
    n_steps: int
    loss: float
    n_tokens: int


@dataclass(frozen=True)
class DawnReport:
    """What the examination at dawn found and did.

    Parameters
    ----------
    merged : bool
        The night's growth became part of the cortex.
    drift : float
        Perplexity of fresh dreams, now over dusk.
    n_examined, n_consolidated, n_released : int
    freed : float
        Share of the consolidated memories' synapses that are silent again.
    """

    merged: bool
    drift: float
    n_examined: int
    n_consolidated: int
    n_released: int
    freed: float
