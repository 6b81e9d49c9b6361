"""Symmetric STDP of CA3: either order of two spikes strengthens."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.rule import Event, Rule

Array = NDArray[np.floating]


@dataclass(frozen=True)
class SymmetricSTDP(Rule):
    """Strengthen by how near two spikes are, whichever came first.

    ``delta w = amplitude * (r1 * post + o1 * pre)``

    ``pre`` and ``post`` are 1 in the step of a spike and 0 else. Both traces decay with the same
    `tau`. A sequence of places is so stored in both directions. Spikes see the traces as they were
    just before.

    What the synapse must know: pre, post, and one trace of each of its cells. It may not know its
    own weight, any other cell, weight, label or time.

    Parameters
    ----------
    amplitude : float
        Change of a pair at zero distance.
    tau : float [s]
        Width of the window.

    References
    ----------
    Mishra, Kim, Guzman & Jonas (2016), Nat. Commun. 7, 11552 (the window is symmetric and broad);
    exponential form and 62.5 ms as in Ecker et al. (2022), eLife 11, e71850.
    """

    amplitude: float = 0.004
    tau: float = 0.0625

    source: ClassVar[str] = "Mishra, Kim, Guzman & Jonas (2016) Nat. Commun. 7:11552"
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
    def change(pre, post, r1, o1, amplitude):
        """Return the change of one synapse."""
        return amplitude * (r1 * post + o1 * pre)

    @staticmethod
    def reference(pre: Array, post: Array, r1: Array, o1: Array, amplitude: float) -> Array:
        """Return the ``(n_post, n_pre)`` change of one step, from the formula."""
        return amplitude * (np.outer(post, r1) + np.outer(o1, pre))
