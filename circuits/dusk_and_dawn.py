"""What a cortex keeps from dusk to dawn: itself at dusk, and what is not yet captured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.bidirectional import BidirectionalNetwork
from circuits.synaptic_capture import SynapticCapture
from neurosim.randomness import Streams
from neurosim.state import check_shapes


class DuskAndDawn(ABC):
    """The part of the `Cortex` contract that is about nights, for a cortex of named arrays.

    Parameters
    ----------
    network : BidirectionalNetwork
        Whose weights a night writes.
    horizon : float [steps]
        Over which they capture it; 0 for at once (see `SynapticCapture`).

    Attributes
    ----------
    streams : Streams
        Of its own chance; saved by its seed.
    """

    streams: Streams

    def __init__(self, network: BidirectionalNetwork, horizon: float) -> None:
        self.network, self.horizon = network, horizon
        self._at_dusk: dict[str, NDArray[Any]] | None = None
        self._capture: SynapticCapture | None = None

    @property
    @abstractmethod
    def learnt(self) -> dict[str, NDArray[Any]]:
        """Return all that a lesson may change, by name, and the seed."""

    def learning(self) -> AbstractContextManager[None]:
        """Let the network compute with the weights that learn."""
        return self._capture.learning() if self._capture else nullcontext()

    def grow(self, seed: int) -> None:
        """Keep the cortex of dusk; what the night learns is written beside it."""
        self._at_dusk = {name: array.copy() for name, array in self.learnt.items()}
        self.streams = Streams(seed)
        self._tag()

    @property
    def growing(self) -> bool:
        """Whether a night has begun that is neither merged nor discarded."""
        return self._at_dusk is not None

    @contextmanager
    def dusk(self) -> Iterator[None]:
        """Look at the cortex without what this night has written."""
        if self._at_dusk is None:
            yield
            return
        tonight = {name: array.copy() for name, array in self.learnt.items()}
        self._put_back(self._at_dusk)
        try:
            yield
        finally:
            self._put_back(tonight)

    def merge(self) -> None:
        """Keep what the night has written and captured; it is over."""
        self._at_dusk = None
        self._untag()

    def discard(self) -> None:
        """Forget what the night has written; the cortex is as it was at dusk."""
        self._untag()
        if self._at_dusk is not None:
            self._put_back(self._at_dusk)
        self._at_dusk = None

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """Return what it has learnt by name.

        While a night goes on, with the cortex of dusk under ``dusk/``, and what is not yet
        captured under ``tagged/``.
        """
        dusk = {f"dusk/{name}": array for name, array in (self._at_dusk or {}).items()}
        return {**self.learnt, **dusk, **(self._capture.state if self._capture else {})}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take a saved state back, and go on bit for bit as the cortex would have that was saved.

        Raises
        ------
        InputError
            When an array is missing or of another shape.
        """
        own = self.learnt
        growing = any(name.startswith("dusk/") for name in state)
        if growing:
            own |= {f"dusk/{name}": array for name, array in self.learnt.items()}
        if growing and self.horizon:
            own |= {f"tagged/{name}": array for name, array in self.network.state.items()}
        check_shapes(self, own, state)
        state = {name: np.array(state[name]) for name in own}  # It may be this cortex's own.
        self._untag()
        self._put_back(state)
        self._at_dusk = None
        if growing:
            self._at_dusk = {name: state[f"dusk/{name}"] for name in self.learnt}
            self._tag()
        if self._capture:
            self._capture.restore(state)

    def _tag(self) -> None:
        """Let what is written from now on be captured slowly, if the configuration says so."""
        if self.horizon and self._capture is None:
            self._capture = SynapticCapture(self.network, self.horizon)

    def _untag(self) -> None:
        if self._capture is not None:
            self._capture.end()
        self._capture = None

    def _put_back(self, state: Mapping[str, NDArray[Any]]) -> None:
        for name, mine in self.learnt.items():
            mine[...] = state[name]
        self.streams = Streams(int(state["seed"][0]))
