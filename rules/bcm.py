"""BCM: a sliding threshold between depression and potentiation makes cells selective."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.rule import Event, Rule

Array = NDArray[np.floating]


@dataclass(frozen=True)
class BCM(Rule):
    """Potentiate above a threshold, depress below it; the threshold follows the cell.

    ``delta w = eta * pre * post * (post - theta)``

    ``theta`` is the cell's running mean of ``post^2``: it rises faster than the activity, so that a
    cell cannot be strong on everything, and ends up responding to one pattern.

    What the synapse must know: pre, post, and the threshold of the postsynaptic cell. It may not
    know its own weight, any other cell, weight, label or time.

    Parameters
    ----------
    eta : float
        Learning rate.
    tau : float [s]
        Time constant of the threshold; shorter than the weights' own.

    References
    ----------
    Bienenstock, Cooper & Munro (1982), J. Neurosci. 2, 32-48; the threshold E[post^2] is Intrator
    & Cooper (1992), Neural Networks 5, 3-17.
    """

    eta: float = 0.005
    tau: float = 20.0

    source: ClassVar[str] = (
        "Bienenstock, Cooper & Munro (1982) J. Neurosci. 2:32; Intrator & Cooper (1992)"
    )
    acts_on: ClassVar[Event] = "coincidence"
    post_traces: ClassVar[tuple[str, ...]] = ("theta",)

    @staticmethod
    def theta(theta, post, tau, dt):
        """Return the next threshold of the postsynaptic cell."""
        return theta + (1 - math.exp(-dt / tau)) * (post * post - theta)

    @staticmethod
    def change(pre, post, theta, eta):
        """Return the change of one synapse."""
        return eta * pre * post * (post - theta)

    @staticmethod
    def reference(pre: Array, post: Array, theta: Array, eta: float) -> Array:
        """Return the ``(n_post, n_pre)`` change, from the formula."""
        return eta * np.outer(post * (post - theta), pre)
