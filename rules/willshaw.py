"""Counting Willshaw synapses: one coincidence of pre and post, one step of strength."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.rule import Event, Rule


@dataclass(frozen=True)
class Willshaw(Rule):
    """Potentiate a synapse whose two cells fire together.

    ``delta w = step * pre * post * modulator``

    A synapse counts its coincidences; the read-out clips the count to one (a synapse is
    potentiated or not), which is the rule of the paper. The count makes the rule reversible: a
    negative modulator takes one coincidence back, so releasing a memory restores what the others
    wrote.

    What the synapse must know: pre, post, the modulator. It may not know any other cell, weight,
    label or time.

    Parameters
    ----------
    step : int
        Strength of one coincidence [counts].

    References
    ----------
    Willshaw, Buneman & Longuet-Higgins (1969), Nature 222, 960, text to Fig. 2. They clip while
    storing; here the clipping is done by the reader (`SparseProjection.drive`).
    """

    step: int = 1

    source: ClassVar[str] = "Willshaw, Buneman & Longuet-Higgins (1969) Nature 222:960"
    acts_on: ClassVar[Event] = "coincidence"

    @staticmethod
    def change(pre, post, modulator, step):
        """Return the change of one synapse [counts]."""
        return step * modulator * pre * post

    @staticmethod
    def reference(
        pre: NDArray[np.floating], post: NDArray[np.floating], step: float, modulator: float
    ) -> NDArray[np.floating]:
        """Return the full ``(n_post, n_pre)`` change of a dense projection, from the formula."""
        return step * modulator * np.outer(post, pre)
