"""The delta rule: an error neuron tells the cell how far it is off."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.rule import Event, Rule

Array = NDArray[np.floating]


@dataclass(frozen=True)
class DeltaRule(Rule):
    """Follow the error of the postsynaptic cell down the gradient of its square.

    ``delta w = eta * error * pre``

    ``error`` is the activity of an error neuron beside the postsynaptic cell, target minus output.
    Where the target comes from is not the synapse's business.

    What the synapse must know: pre, and the error neuron of its cell. It may not know its own
    weight, any other cell, weight, label or time.

    Parameters
    ----------
    eta : float
        Learning rate.

    References
    ----------
    Widrow & Hoff (1960), IRE WESCON Convention Record 4, 96-104.
    """

    eta: float = 0.01

    source: ClassVar[str] = "Widrow & Hoff (1960) IRE WESCON Conv. Rec. 4:96"
    acts_on: ClassVar[Event] = "pre"

    @staticmethod
    def change(pre, error, eta):
        """Return the change of one synapse."""
        return eta * error * pre

    @staticmethod
    def reference(pre: Array, error: Array, eta: float) -> Array:
        """Return the ``(n_post, n_pre)`` change, from the formula."""
        return eta * np.outer(error, pre)
