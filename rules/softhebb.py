"""SoftHebb: soft winner-take-all cells learn the causes of their input."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.rule import Event, Rule

Array = NDArray[np.floating]


@dataclass(frozen=True)
class SoftHebb(Rule):
    """Learn as much as the cell has won, towards the input and away from the own drive.

    ``delta w = eta * post * (pre - drive * w)``

    ``drive = w . pre`` is the cell's summed input and ``post = softmax(drive / temperature +
    bias)`` over the layer, made by lateral inhibition of the circuit; the synapse sees only its own
    cell. The bias of a cell, ``bias += eta (post exp(-bias) - 1)``, is the log of its prior. For
    normalised inputs of a mixture, `post` becomes the posterior of the causes.

    What the synapse must know: pre, post, the drive of the postsynaptic cell, its own weight. It
    may not know any other cell, weight, label or time.

    Parameters
    ----------
    eta : float
        Learning rate.

    References
    ----------
    Moraitis, Toichkin, Journe, Chua & Guo (2022), Neuromorph. Comput. Eng. 2, 044017.
    """

    eta: float = 0.01

    source: ClassVar[str] = "Moraitis et al. (2022) Neuromorph. Comput. Eng. 2:044017"
    acts_on: ClassVar[Event] = "post"
    post_traces: ClassVar[tuple[str, ...]] = ("bias",)

    @staticmethod
    def bias(bias, post, eta):
        """Return the next bias (log prior) of the postsynaptic cell."""
        return bias + eta * (post * math.exp(-bias) - 1)

    @staticmethod
    def change(pre, post, drive, weight, eta):
        """Return the change of one synapse."""
        return eta * post * (pre - drive * weight)

    @staticmethod
    def reference(pre: Array, post: Array, drive: Array, weight: Array, eta: float) -> Array:
        """Return the ``(n_post, n_pre)`` change, from the formula."""
        return eta * post[:, None] * (pre[None, :] - drive[:, None] * weight)
