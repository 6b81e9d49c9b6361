"""Instar: the synapses of a cell that fires turn towards the pattern that made it fire."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.rule import Event, Rule

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Instar(Rule):
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
    acts_on: ClassVar[Event] = "post"

    @staticmethod
    def change(pre, post, weight, modulator, eta):
        """Return the change of one synapse."""
        return eta * modulator * (post * (pre - weight))

    @staticmethod
    def reference(pre: Array, post: Array, weight: Array, modulator: float, eta: float) -> Array:
        """Return the ``(n_post, n_pre)`` change, from the formula."""
        return eta * modulator * post[:, None] * (pre[None, :] - weight)
