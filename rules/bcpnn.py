"""BCPNN: a weight is the log odds of its two cells firing together."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.rule import Event, Rule

Array = NDArray[np.floating]


@dataclass(frozen=True)
class BCPNN(Rule):
    """Estimate three probabilities and set the weight to their log odds.

    ``w = log(p_joint / (p_pre * p_post))``

    Each probability is a running mean, ``p += modulator * dt / tau * (x - p)``: those of the cells
    are their own, the joint one is the synapse's. The modulator is the print-now signal kappa; with
    ``tau = dt`` and kappa = 1 / t the means are the empirical counts of t samples. Nothing below
    `floor` is believed, which keeps the logarithm finite.

    What the synapse must know: pre, post, the modulator, and three traces. It may not know any
    other cell, weight, label or time.

    Parameters
    ----------
    tau : float [s]
        Time constant of the estimates.
    floor : float
        Smallest probability.

    References
    ----------
    Lansner & Ekeberg (1989), Int. J. Neural Syst. 1, 77-87; Sandberg et al. (2002), Network 13,
    179-194; kappa from Tully, Hennig & Lansner (2014), Front. Synaptic Neurosci. 6, 8.
    """

    tau: float = 100.0
    floor: float = 1e-6

    source: ClassVar[str] = (
        "Lansner & Ekeberg (1989) Int. J. Neural Syst. 1:77; Sandberg et al. (2002)"
    )
    acts_on: ClassVar[Event] = "all"
    pre_traces: ClassVar[tuple[str, ...]] = ("p_pre",)
    post_traces: ClassVar[tuple[str, ...]] = ("p_post",)
    own_traces: ClassVar[tuple[str, ...]] = ("p_joint",)
    traces_first: ClassVar[bool] = True

    @staticmethod
    def p_pre(p_pre, pre, modulator, tau, dt):
        """Return the next probability of the presynaptic cell."""
        return p_pre + modulator * dt / tau * (pre - p_pre)

    @staticmethod
    def p_post(p_post, post, modulator, tau, dt):
        """Return the next probability of the postsynaptic cell."""
        return p_post + modulator * dt / tau * (post - p_post)

    @staticmethod
    def p_joint(p_joint, pre, post, modulator, tau, dt):
        """Return the next joint probability of the synapse."""
        return p_joint + modulator * dt / tau * (pre * post - p_joint)

    @staticmethod
    def change(weight, p_pre, p_post, p_joint, floor):
        """Return the change of one synapse: the way to the log odds."""
        alone = max(p_pre, floor) * max(p_post, floor)
        return math.log(max(p_joint, floor * floor) / alone) - weight

    @staticmethod
    def reference(
        weight: Array, p_pre: Array, p_post: Array, p_joint: Array, floor: float
    ) -> Array:
        """Return the ``(n_post, n_pre)`` change, from the formula."""
        alone = np.outer(np.maximum(p_post, floor), np.maximum(p_pre, floor))
        return np.log(np.maximum(p_joint, floor**2) / alone) - weight
