"""What inference is told and where it has come to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


class Precisions(NamedTuple):
    """How much errors count in inference.

    Parameters
    ----------
    sensory : float
        Of the top-down prediction of the senses.
    prior : float
        Of the top-down predictions of hidden layers.
    """

    sensory: float
    prior: float


class Inferred(NamedTuple):
    """Where inference has come to.

    Parameters
    ----------
    values : list of (n_samples, n_units) float
        Value nodes of all layers.
    activities : list of (n_samples, n_units) float
        What each layer sends up and down; the senses' entry is the view.
    bottom_up : list of (n_samples, n_units) float
        Errors of the layers above the senses against the prediction from below.
    top_down : list of (n_samples, n_units) float
        Errors of all layers but the top against the prediction from above.
    energies : (n_steps + 1,) float
        Mean over samples, before each step and after the last.
    causes : list of (n_samples, n_units) float, optional
        What each layer sends down, where that is not what it sends up.
    """

    values: list[Array]
    activities: list[Array]
    bottom_up: list[Array]
    top_down: list[Array]
    energies: NDArray[np.float64]
    causes: list[Array] | None = None
