"""Oja's rule: Hebbian learning that keeps the weights at unit length."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.rule import Event, Rule

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Oja(Rule):
    """Strengthen by Hebb's product and let the cell's own output take weight away.

    ``delta w = eta * post * (pre - post * w)``

    With ``post = w . pre`` a cell converges to the first principal component of its input, at
    length 1. Several cells without interaction all find the same one.

    What the synapse must know: pre, post, its own weight. It may not know any other cell, weight,
    label or time.

    Parameters
    ----------
    eta : float
        Learning rate.

    References
    ----------
    Oja (1982), J. Math. Biol. 15, 267-273.
    """

    eta: float = 0.01

    source: ClassVar[str] = "Oja (1982) J. Math. Biol. 15:267"
    acts_on: ClassVar[Event] = "post"

    @staticmethod
    def change(pre, post, weight, eta):
        """Return the change of one synapse."""
        return eta * post * (pre - post * weight)

    @staticmethod
    def reference(pre: Array, post: Array, weight: Array, eta: float) -> Array:
        """Return the ``(n_post, n_pre)`` change, from the formula."""
        return eta * (np.outer(post, pre) - (post**2)[:, None] * weight)
