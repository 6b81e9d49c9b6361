"""Association: patterns of one region bring back the patterns of another that came with them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from circuits import readouts
from neurosim.codes import SparseCode
from neurosim.connectivity import Generated
from neurosim.synapses import Change, CountSynapses

CERTAIN = 0.98
"""Trust in a presynaptic pattern that is believed to be right."""


class Association:
    """Synapses that count the coincidences of two patterns, read out by log odds.

    What a synapse must know: that both its cells fired while plasticity was on. What a target cell
    must know at recall: its own load and that of the cells that drive it.

    Parameters
    ----------
    n_pre, n_post : int
    fan_in : int
        Synapses of a target cell, on average; all presynaptic cells if there are fewer.
    seed : int
        The wiring.
    bits : int
        Of a count: 1, 4 or 8.
    readout : {"willshaw", "covariance", "bayesian"}

    References
    ----------
    Lansner & Ekeberg (1989) Int. J. Neural Syst. 1:77 (log odds); see `circuits.readouts`.
    """

    def __init__(
        self,
        n_pre: int,
        n_post: int,
        fan_in: int,
        seed: int,
        bits: int = 8,
        readout: str = "bayesian",
    ) -> None:
        wiring = Generated.with_fan_in(n_pre, n_post, min(fan_in, n_pre), seed)
        self.synapses = CountSynapses(wiring, bits)
        self.readout = readout

    def write(self, pre: SparseCode, post: SparseCode, amount: int = 1) -> Change:
        """Count a coincidence of two patterns; a negative amount takes it back."""
        return self.synapses.potentiate(pre, post, amount)

    def drive(self, pre: SparseCode, trust: float = CERTAIN) -> NDArray[np.float64]:
        """Return what a pattern says of each target cell ``(n_post,)`` [nats if Bayesian].

        Zero everywhere as long as nothing is stored.
        """
        synapses = self.synapses
        if synapses.n_stored < 1 or not len(pre):
            return np.zeros(synapses.connectivity.n_post)
        pre_class, post_class, chance = readouts.classify(
            synapses.pre_use, synapses.post_use, synapses.n_stored
        )
        table = readouts.table(self.readout, chance, synapses.most, trust)
        return synapses.score(pre, pre_class, post_class, table)

    def rates(self) -> NDArray[np.float64]:
        """Return the share of the stored patterns in which each target cell fired ``(n_post,)``."""
        return self.synapses.post_use / max(self.synapses.n_stored, 1.0)
