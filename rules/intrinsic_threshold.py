"""Intrinsic threshold adaptation: a cell that fires too often becomes harder to excite."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from neurosim.rule import Event, Rule

Array = NDArray[np.floating]


@dataclass(frozen=True)
class IntrinsicThreshold(Rule):
    """Move a cell's own threshold until the cell fires at its target.

    ``threshold += eta * (post - target)``

    A rule of cells: no synapse changes. The projection keeps the threshold among its traces; the
    circuit subtracts it from the drive.

    What the synapse must know: nothing, its cell post. It may not know any weight, any other cell,
    label or time.

    Parameters
    ----------
    eta : float
        Step.
    target : float
        Mean activity to be reached.

    References
    ----------
    Foldiak (1990), Biol. Cybern. 64, 165-170.
    """

    eta: float = 0.02
    target: float = 0.1

    source: ClassVar[str] = "Foldiak (1990) Biol. Cybern. 64:165"
    acts_on: ClassVar[Event] = "cell"
    post_traces: ClassVar[tuple[str, ...]] = ("threshold",)

    @staticmethod
    def threshold(threshold, post, eta, target):
        """Return the next threshold of the postsynaptic cell."""
        return threshold + eta * (post - target)

    @staticmethod
    def reference(threshold: Array, post: Array, eta: float, target: float) -> Array:
        """Return the next thresholds ``(n_post,)``, from the formula."""
        return threshold + eta * (post - target)
