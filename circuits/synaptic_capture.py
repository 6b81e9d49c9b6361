"""Synapses that are tagged at once and captured slowly: what a night writes, and what answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from circuits.bidirectional import BidirectionalNetwork

Array = NDArray[np.floating]


class SynapticCapture:
    """Two weights a synapse while a night goes on: one that learns, and one that answers.

    A lesson moves the tagged weight v, from which the error of the next lesson comes; after each
    step the weight that answers captures a share of it, ``w += (v - w) / horizon``. The first steps
    towards a new class overshoot at the cost of the old ones (the stability gap) and come back;
    what answers, a running mean of the way, has left the old and not yet gone astray. What has not
    been captured by the end is lost, as early potentiation is.

    A synapse must know its own two weights, and nothing else.

    Parameters
    ----------
    network : BidirectionalNetwork
        Answers with w from now on; its optimiser moves v.
    horizon : float [steps]
        Over which the running mean is taken; 1 captures at once.

    References
    ----------
    Frey & Morris (1997) Nature 385:533 (tagging and capture); Polyak & Juditsky (1992) SIAM J.
    Control Optim. 30:838 (averaging); Soutif-Cormerais, Carta & van de Weijer (2023) CoLLAs
    (running means of weights against the stability gap; theirs learn on, ours wake as the mean).
    """

    def __init__(self, network: BidirectionalNetwork, horizon: float) -> None:
        self.network, self.horizon = network, horizon
        self.tagged = network.parameters
        self.captured = [array.copy() for array in self.tagged]
        network.place(self.captured)

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Let the network compute with v, and capture a share of what this leaves there."""
        self.network.place(self.tagged)
        try:
            yield
        finally:
            self.network.place(self.captured)
        share = 1 / self.horizon
        for w, v in zip(self.captured, self.tagged, strict=True):
            w += w.dtype.type(share) * (v - w)
            self.network.ledger.add(0, w.size, w.size, 3 * w.nbytes)

    def end(self) -> None:
        """Leave to the network the weights that have answered."""
        for v, w in zip(self.tagged, self.captured, strict=True):
            v[...] = w
        self.network.place(self.tagged)

    @property
    def state(self) -> dict[str, Array]:
        """Return v by name: ``tagged/up/0``, ... ."""
        self.network.place(self.tagged)
        named = {f"tagged/{name}": array for name, array in self.network.state.items()}
        self.network.place(self.captured)
        return named

    def restore(self, state: Mapping[str, Array]) -> None:
        """Take a saved v back; w is the network's."""
        for name, array in self.state.items():
            array[...] = state[name]
