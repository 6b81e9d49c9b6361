"""Covariance learning: what counts is the deviation from the usual activity."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.rule import Event, Rule

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Covariance(Rule):
    """Change a synapse by the product of the deviations of its two cells from their means.

    ``delta w = eta * (pre - mean_pre) * (post - mean_post)``

    Each cell keeps a running mean of its own activity, ``mean += (1 - exp(-dt / tau)) (x - mean)``;
    the synapse sees the means as they were before this step.

    What the synapse must know: pre, post, and the mean of each of the two cells. It may not know
    any other cell, weight, label or time.

    Parameters
    ----------
    eta : float
        Learning rate.
    tau : float [s]
        Time constant of the means.

    References
    ----------
    Sejnowski (1977), J. Math. Biol. 4, 303-321: the covariance of the two activities. The
    paper's expectations are running means here.
    """

    eta: float = 0.01
    tau: float = 100.0

    source: ClassVar[str] = "Sejnowski (1977) J. Math. Biol. 4:303"
    acts_on: ClassVar[Event] = "all"
    pre_traces: ClassVar[tuple[str, ...]] = ("mean_pre",)
    post_traces: ClassVar[tuple[str, ...]] = ("mean_post",)

    @staticmethod
    def mean_pre(mean_pre, pre, tau, dt):
        """Return the next mean of the presynaptic cell."""
        return mean_pre + (1 - math.exp(-dt / tau)) * (pre - mean_pre)

    @staticmethod
    def mean_post(mean_post, post, tau, dt):
        """Return the next mean of the postsynaptic cell."""
        return mean_post + (1 - math.exp(-dt / tau)) * (post - mean_post)

    @staticmethod
    def change(pre, post, mean_pre, mean_post, eta):
        """Return the change of one synapse."""
        return eta * (pre - mean_pre) * (post - mean_post)

    @staticmethod
    def reference(pre: Array, post: Array, mean_pre: Array, mean_post: Array, eta: float) -> Array:
        """Return the ``(n_post, n_pre)`` change, from the formula."""
        return eta * np.outer(post - mean_post, pre - mean_pre)
