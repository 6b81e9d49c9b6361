"""CA1: from the hippocampal code back to entorhinal cortex."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from circuits.episodic_ca3 import log_odds
from neurosim.codes import SparseCode
from neurosim.contracts import Rule
from neurosim.projections import SparseProjection

TRUST = 0.999
"""Trust in a CA3 state when it is read out."""


@dataclass(frozen=True)
class CA1Config:
    """Wiring of the Schaffer collaterals.

    Parameters
    ----------
    connectivity : float
        Fraction of the entorhinal item cells that one CA3 sequence cell reaches through CA1.
    """

    connectivity: float = 0.5


class CA1:
    """Learn in one shot which entorhinal item a CA3 state belongs to.

    The read-out is that of `circuits.episodic_ca3.log_odds`: a frequent item, whose cells are
    loaded, does not answer for every state.

    Parameters
    ----------
    config : CA1Config
    n_sequence, n_item : int
    rule : Rule
    rng : numpy.random.Generator
    """

    def __init__(
        self, config: CA1Config, n_sequence: int, n_item: int, rule: Rule, rng: np.random.Generator
    ) -> None:
        self.rule = rule
        fan_out = max(1, round(config.connectivity * n_item))
        self.schaffer = SparseProjection("schaffer", n_sequence, n_item, fan_out, rng)

    def write(self, state: SparseCode, item: SparseCode, sign: int = 1) -> int:
        """Associate a state with an item (sign -1 takes it back); return synaptic events."""
        return self.schaffer.learn(self.rule, state, item, sign)

    def decode(self, state: SparseCode) -> NDArray[np.float32]:
        """Return the activity ``(n_item,)`` [nats a synapse] of the entorhinal item cells."""
        drive = self.schaffer.drive(state)
        return log_odds(self.schaffer, drive, TRUST) / np.maximum(drive.connected, 1.0)
