"""Inhibitory STDP: inhibition grows until its cell fires at the target rate."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.rule import Event, Rule

Array = NDArray[np.floating]


@dataclass(frozen=True)
class InhibitorySTDP(Rule):
    """Strengthen inhibition by near spikes, weaken it a little at each presynaptic spike.

    ``delta w = eta * (pre * (o1 - 2 * target * tau) + post * r1)``

    ``pre`` and ``post`` are 1 in the step of a spike and 0 else. The weight is the strength of the
    inhibition, 0 or more. Where potentiation and the constant depression balance, the cell fires at
    `target`. Spikes see the traces as they were just before.

    What the synapse must know: pre, post, and one trace of each of its cells. It may not know its
    own weight, any other cell, weight, label or time.

    Parameters
    ----------
    eta : float
        Learning rate.
    target : float [Hz]
        Rate of the postsynaptic cell to be reached.
    tau : float [s]
        Width of the window.

    References
    ----------
    Vogels, Sprekeler, Zenke, Clopath & Gerstner (2011), Science 334, 1569-1573: alpha = 2 *
    target * tau.
    """

    eta: float = 1e-4
    target: float = 5.0
    tau: float = 0.020

    source: ClassVar[str] = "Vogels, Sprekeler, Zenke, Clopath & Gerstner (2011) Science 334:1569"
    acts_on: ClassVar[Event] = "either"
    pre_traces: ClassVar[tuple[str, ...]] = ("r1",)
    post_traces: ClassVar[tuple[str, ...]] = ("o1",)

    @staticmethod
    def r1(r1, pre, tau, dt):
        """Return the next trace of the presynaptic cell."""
        return (r1 + pre) * math.exp(-dt / tau)

    @staticmethod
    def o1(o1, post, tau, dt):
        """Return the next trace of the postsynaptic cell."""
        return (o1 + post) * math.exp(-dt / tau)

    @staticmethod
    def change(pre, post, r1, o1, eta, target, tau):
        """Return the change of one synapse."""
        return eta * (pre * (o1 - 2 * target * tau) + post * r1)

    @staticmethod
    def reference(
        pre: Array, post: Array, r1: Array, o1: Array, eta: float, target: float, tau: float
    ) -> Array:
        """Return the ``(n_post, n_pre)`` change of one step, from the formula."""
        return eta * (np.outer(o1 - 2 * target * tau, pre) + np.outer(post, r1))
