"""Instar: the synapses of a cell that fires turn towards the pattern that made it fire."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.contracts import Event


@dataclass(frozen=True)
class Instar:
    """Move the weights of an active cell towards its input.

    ``delta w = eta * modulator * post * (pre - w)``

    Active synapses go to one, silent ones to zero (heterosynaptic depression): the cell is tuned to
    what it fired for. From weights of one, as granule cells are born with, the learnt pattern
    itself loses nothing and every other pattern loses drive.

    What the synapse must know: pre, post, its weight, the modulator. It may not know any other
    cell, weight, label or time.

    Parameters
    ----------
    eta : float
        Share of the way that one episode goes, 0..1.

    References
    ----------
    Grossberg (1976) Biol. Cybern. 23:121, the instar; as competitive learning Rumelhart & Zipser
    (1985) Cogn. Sci. 9:75, eq. 1; in the hippocampus O'Reilly & McClelland (1994) Hippocampus
    4:661, "WI" and "WD" together.
    """

    eta: float = 0.25

    source: ClassVar[str] = "Grossberg (1976) Biol. Cybern. 23:121"
    knows: ClassVar[tuple[str, ...]] = ("pre", "post", "weights", "modulator")
    acts_on: ClassVar[Event] = "post"

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
            Activity of each synapse's two cells.
        weights : (n_synapses,) float
        modulator : float
            Scales the rate: how plastic the cell is.
        out : (n_synapses,) float
        """
        np.subtract(pre, weights, out=out)
        out *= post
        out *= self.eta * modulator

    @staticmethod
    def reference(
        pre: NDArray[np.floating],
        post: NDArray[np.floating],
        weights: NDArray[np.floating],
        eta: float,
        modulator: float,
    ) -> NDArray[np.floating]:
        """Return the full ``(n_post, n_pre)`` change of a dense projection, from the formula."""
        return eta * modulator * post[:, None] * (pre[None, :] - weights)
