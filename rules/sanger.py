"""Sanger's rule: a row of cells finds the principal components in order."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.rule import Event, Rule

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Sanger(Rule):
    """Learn from what the cells before this one leave unexplained.

    ``delta w_ji = eta * post_j * (pre_i - sum over k <= j of post_k * w_ki)``

    Not local to one synapse: the sum is what this cell and those before it in the row send back to
    the presynaptic cell, through *their* synapses (lateral inhibition, a second set of connections
    of the same weights, or a dendrite that is told). The signal is called ``explained``, and the
    audit counts other synapses and other cells among what the rule uses.

    What the synapse must know: pre, post, and ``explained``. It may not know a label, a loss, time
    or another layer.

    Parameters
    ----------
    eta : float
        Learning rate.

    References
    ----------
    Sanger (1989), Neural Networks 2, 459-473 (generalized Hebbian algorithm).
    """

    eta: float = 0.01

    source: ClassVar[str] = "Sanger (1989) Neural Networks 2:459"
    acts_on: ClassVar[Event] = "all"

    @staticmethod
    def change(pre, post, explained, eta):
        """Return the change of one synapse."""
        return eta * post * (pre - explained)

    @staticmethod
    def reference(pre: Array, post: Array, weight: Array, eta: float) -> Array:
        """Return the ``(n_post, n_pre)`` change: ``eta (y x' - lower(y y') W)``."""
        return eta * (np.outer(post, pre) - np.tril(np.outer(post, post)) @ weight)
