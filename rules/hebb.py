"""Plain Hebbian learning: cells that fire together wire together."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.rule import Event, Rule

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Hebb(Rule):
    """Strengthen a synapse by the product of its two activities.

    ``delta w = eta * pre * post``

    Nothing holds the weights back; bounds are the projection's.

    What the synapse must know: pre, post. It may not know its own weight, any other cell, weight,
    label or time.

    Parameters
    ----------
    eta : float
        Learning rate [weight per squared activity].

    References
    ----------
    Hebb (1949), The organization of behavior, p. 62 (in words); the product form is common usage.
    """

    eta: float = 0.01

    source: ClassVar[str] = "Hebb (1949) The organization of behavior"
    acts_on: ClassVar[Event] = "coincidence"

    @staticmethod
    def change(pre, post, eta):
        """Return the change of one synapse."""
        return eta * pre * post

    @staticmethod
    def reference(pre: Array, post: Array, eta: float) -> Array:
        """Return the ``(n_post, n_pre)`` change, from the formula."""
        return eta * np.outer(post, pre)
