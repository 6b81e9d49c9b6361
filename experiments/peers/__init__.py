"""Other programs that do what a learner here does, each a file: for `neurosim bench cortex`.

A peer is a module with `REQUIRES`, the module it needs to be installed, and ``made(network,
inference, eta) -> Peer``: its own training step on a copy of the network. One that computes
something else on purpose says what in `DIFFERS`; one that knows not every loss lists its `LOSSES`.
A step is called with batches of one size.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurosim import discovery
from neurosim.network import LOSSES, Network
from neurosim.predictive_coding import Inference

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


def known() -> dict[str, bool]:
    """Return which peers there are, and whether what each needs is installed."""
    return {
        name: importlib.util.find_spec(module.REQUIRES) is not None
        for name, module in discovery.modules(__name__).items()
    }


def made(name: str, network: Network, inference: Inference, eta: float) -> Peer:
    """Return a peer's training step, on one thread, on a copy of the network."""
    # Read when JAX is imported; later it does not hear.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    )
    return discovery.find(__name__, name).made(network, inference, eta)


def losses(name: str) -> tuple[str, ...]:
    """Return the losses a peer knows."""
    return getattr(discovery.find(__name__, name), "LOSSES", LOSSES)


def differs(name: str) -> str:
    """Return what a peer computes that is not the same on purpose; empty where it is the same."""
    return getattr(discovery.find(__name__, name), "DIFFERS", "")
