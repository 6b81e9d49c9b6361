"""Pair STDP: pre before post strengthens, post before pre weakens."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.rule import Event, Rule

Array = NDArray[np.floating]


@dataclass(frozen=True)
class PairSTDP(Rule):
    """Sum exponential windows over all pairs of spikes.

    ``delta w = a_plus * r1 * post - a_minus * o1 * pre``

    ``pre`` and ``post`` are 1 in the step of a spike and 0 else. Each spike of a cell adds 1 to its
    trace, which decays with `tau_plus` (``r1``) or `tau_minus` (``o1``). Spikes see the traces as
    they were just before, so two spikes at the same time are no pair.

    What the synapse must know: pre, post, and one trace of each of its cells. It may not know its
    own weight, any other cell, weight, label or time.

    Parameters
    ----------
    a_plus, a_minus : float
        Change of a pair at zero distance.
    tau_plus, tau_minus : float [s]
        Widths of the two halves of the window.

    References
    ----------
    Gerstner et al. (1996), Nature 383, 76-78; Song, Miller & Abbott (2000), Nat.
    Neurosci. 3, 919-926, whose `a_plus`, ratio 1.05 and 20 ms are the defaults.
    """

    a_plus: float = 0.005
    a_minus: float = 0.00525
    tau_plus: float = 0.020
    tau_minus: float = 0.020

    source: ClassVar[str] = "Song, Miller & Abbott (2000) Nat. Neurosci. 3:919"
    acts_on: ClassVar[Event] = "either"
    pre_traces: ClassVar[tuple[str, ...]] = ("r1",)
    post_traces: ClassVar[tuple[str, ...]] = ("o1",)

    @staticmethod
    def r1(r1, pre, tau_plus, dt):
        """Return the next trace of the presynaptic cell."""
        return (r1 + pre) * math.exp(-dt / tau_plus)

    @staticmethod
    def o1(o1, post, tau_minus, dt):
        """Return the next trace of the postsynaptic cell."""
        return (o1 + post) * math.exp(-dt / tau_minus)

    @staticmethod
    def change(pre, post, r1, o1, a_plus, a_minus):
        """Return the change of one synapse."""
        return a_plus * r1 * post - a_minus * o1 * pre

    @staticmethod
    def reference(
        pre: Array, post: Array, r1: Array, o1: Array, a_plus: float, a_minus: float
    ) -> Array:
        """Return the ``(n_post, n_pre)`` change of one step, from the formula."""
        return a_plus * np.outer(post, r1) - a_minus * np.outer(o1, pre)
