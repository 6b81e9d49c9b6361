"""Other programs that learn by predictive coding, each a file: what `neurosim bench cortex` runs.

A peer is a module with `DISTRIBUTION`, the name of the installed package it needs, and
``made(network, inference, eta) -> Peer``: its own training step on a copy of the network. A peer
that runs another algorithm, or another one in part, says so in `DIFFERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


class Peer(NamedTuple):
    """A training step and the weights it changes.

    Parameters
    ----------
    step : callable
        Given inputs ``(n_samples, n_in)`` and targets ``(n_samples, n_out)``.
    weights : callable
        Returns the weights of each layer as they are, ``(n_post, n_pre)``.
    """

    step: Callable[[Array, Array], object]
    weights: Callable[[], list[Array]]
