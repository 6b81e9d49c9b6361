"""Counting Willshaw synapses: one coincidence of pre and post, one step of strength."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.contracts import Event


@dataclass(frozen=True)
class Willshaw:
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
    knows: ClassVar[tuple[str, ...]] = ("pre", "post", "modulator")
    acts_on: ClassVar[Event] = "coincidence"

    def delta(
        self,
        pre: NDArray[np.floating],
        post: NDArray[np.floating],
        weights: NDArray[np.floating],
        modulator: float,
        out: NDArray[np.floating],
    ) -> None:
        """Fill `out` with the weight changes of the synapses given.

        Parameters
        ----------
        pre, post : (n_synapses,) float
            Activity of each synapse's two cells, 0 or 1.
        weights : (n_synapses,) float [counts]
            Not used by this rule.
        modulator : float
            +1 writes, -1 takes back; other values scale.
        out : (n_synapses,) float [counts]
        """
        np.multiply(pre, post, out=out)
        out *= self.step * modulator

    @staticmethod
    def reference(
        pre: NDArray[np.floating], post: NDArray[np.floating], step: float, modulator: float
    ) -> NDArray[np.floating]:
        """Return the full ``(n_post, n_pre)`` change of a dense projection, from the formula."""
        return step * modulator * np.outer(post, pre)
