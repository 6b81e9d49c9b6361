"""Triplet STDP: potentiation also needs an earlier spike of the postsynaptic cell."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.rule import Event, Rule

Array = NDArray[np.floating]


@dataclass(frozen=True)
class TripletSTDP(Rule):
    """Let pairs and triplets of spikes count, so that the rate matters too.

    ``delta w = post * r1 * (a2_plus + a3_plus * o2) - pre * o1 * (a2_minus + a3_minus * r2)``

    ``pre`` and ``post`` are 1 in the step of a spike and 0 else. Each cell has a fast trace
    (``r1``, ``o1``) and a slow one (``r2``, ``o2``), all-to-all; every spike sees them as they were
    just before it. The defaults are the paper's minimal model of visual cortex.

    What the synapse must know: pre, post, and two traces of each of its cells. It may not know its
    own weight, any other cell, weight, label or time.

    Parameters
    ----------
    a2_plus, a2_minus, a3_plus, a3_minus : float
        Pair and triplet amplitudes.
    tau_plus, tau_minus, tau_x, tau_y : float [s]
        Time constants of r1, o1, r2 and o2.

    References
    ----------
    Pfister & Gerstner (2006), J. Neurosci. 26, 9673-9682: the triplet rule; visual cortex, minimal,
    all-to-all.
    """

    a2_plus: float = 0.0
    a3_plus: float = 6.5e-3
    a2_minus: float = 7.1e-3
    a3_minus: float = 0.0
    tau_plus: float = 0.0168
    tau_minus: float = 0.0337
    tau_x: float = 0.101
    tau_y: float = 0.114

    source: ClassVar[str] = "Pfister & Gerstner (2006) J. Neurosci. 26:9673"
    acts_on: ClassVar[Event] = "either"
    pre_traces: ClassVar[tuple[str, ...]] = ("r1", "r2")
    post_traces: ClassVar[tuple[str, ...]] = ("o1", "o2")

    @staticmethod
    def r1(r1, pre, tau_plus, dt):
        """Return the next fast trace of the presynaptic cell."""
        return (r1 + pre) * math.exp(-dt / tau_plus)

    @staticmethod
    def r2(r2, pre, tau_x, dt):
        """Return the next slow trace of the presynaptic cell."""
        return (r2 + pre) * math.exp(-dt / tau_x)

    @staticmethod
    def o1(o1, post, tau_minus, dt):
        """Return the next fast trace of the postsynaptic cell."""
        return (o1 + post) * math.exp(-dt / tau_minus)

    @staticmethod
    def o2(o2, post, tau_y, dt):
        """Return the next slow trace of the postsynaptic cell."""
        return (o2 + post) * math.exp(-dt / tau_y)

    @staticmethod
    def change(pre, post, r1, r2, o1, o2, a2_plus, a3_plus, a2_minus, a3_minus):
        """Return the change of one synapse."""
        return post * r1 * (a2_plus + a3_plus * o2) - pre * o1 * (a2_minus + a3_minus * r2)

    @staticmethod
    def reference(
        pre: Array,
        post: Array,
        r1: Array,
        r2: Array,
        o1: Array,
        o2: Array,
        a2_plus: float,
        a3_plus: float,
        a2_minus: float,
        a3_minus: float,
    ) -> Array:
        """Return the ``(n_post, n_pre)`` change of one step, from the formula."""
        potentiation = np.outer(post * (a2_plus + a3_plus * o2), r1)
        return potentiation - np.outer(o1, pre * (a2_minus + a3_minus * r2))
