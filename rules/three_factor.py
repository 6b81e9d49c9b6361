"""Three factors: a coincidence leaves a trace, and a later modulator turns it into weight."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.rule import Event, Rule

Array = NDArray[np.floating]


@dataclass(frozen=True)
class ThreeFactor(Rule):
    """Remember coincidences in the synapse, and change when the modulator comes.

    ``delta w = eta * modulator * eligibility``

    ``eligibility`` decays with `tau` and grows by ``pre * post``. A modulator that never comes
    leaves the weight as it was; one that is not given at all is an error.

    What the synapse must know: pre, post, its own trace, the modulator. It may not know any other
    cell, weight, label or time.

    Parameters
    ----------
    eta : float
        Learning rate.
    tau : float [s]
        How long a coincidence can wait for the modulator.

    References
    ----------
    Fremaux & Gerstner (2016), Front. Neural Circuits 9, 85; Izhikevich (2007), Cereb. Cortex
    17, 2443-2452.
    """

    eta: float = 0.01
    tau: float = 1.0

    source: ClassVar[str] = "Fremaux & Gerstner (2016) Front. Neural Circuits 9:85"
    acts_on: ClassVar[Event] = "all"
    own_traces: ClassVar[tuple[str, ...]] = ("eligibility",)
    traces_first: ClassVar[bool] = True

    @staticmethod
    def eligibility(eligibility, pre, post, tau, dt):
        """Return the next eligibility of the synapse."""
        return eligibility * math.exp(-dt / tau) + pre * post

    @staticmethod
    def change(eligibility, modulator, eta):
        """Return the change of one synapse."""
        return eta * modulator * eligibility

    @staticmethod
    def reference(eligibility: Array, modulator: float, eta: float) -> Array:
        """Return the ``(n_post, n_pre)`` change, from the formula."""
        return eta * modulator * eligibility
