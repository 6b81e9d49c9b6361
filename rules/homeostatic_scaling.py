"""Homeostatic scaling: a cell multiplies its synapses until it fires as it should."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.rule import Event, Rule

Array = NDArray[np.floating]


@dataclass(frozen=True)
class HomeostaticScaling(Rule):
    """Scale a synapse up while its cell fires too little, and down while too much.

    ``delta w = eta * dt * w * (target - rate)``

    ``rate`` is the postsynaptic cell's running mean of its activity. Multiplication keeps the
    ratios of the weights, and with them what was learnt.

    What the synapse must know: its own weight, and the mean rate of the postsynaptic cell. It may
    not know any other cell, weight, label or time.

    Parameters
    ----------
    eta : float [1/s per activity]
        Speed.
    target : float
        Activity to be reached.
    tau : float [s]
        Time constant of the mean.

    References
    ----------
    Turrigiano et al. (1998), Nature 391, 892-896; formula of van Rossum, Bi & Turrigiano (2000), J.
    Neurosci. 20, 8812-8821, without its integral term.
    """

    eta: float = 0.01
    target: float = 1.0
    tau: float = 10.0

    source: ClassVar[str] = (
        "Turrigiano et al. (1998) Nature 391:892; van Rossum, Bi & Turrigiano (2000)"
    )
    acts_on: ClassVar[Event] = "all"
    post_traces: ClassVar[tuple[str, ...]] = ("rate",)

    @staticmethod
    def rate(rate, post, tau, dt):
        """Return the next mean activity of the postsynaptic cell."""
        return rate + (1 - math.exp(-dt / tau)) * (post - rate)

    @staticmethod
    def change(weight, rate, eta, target, dt):
        """Return the change of one synapse."""
        return eta * dt * weight * (target - rate)

    @staticmethod
    def reference(weight: Array, rate: Array, eta: float, target: float, dt: float) -> Array:
        """Return the ``(n_post, n_pre)`` change, from the formula."""
        return eta * dt * weight * (target - rate)[:, None]
