"""The hippocampal loop: entorhinal cortex, dentate gyrus, CA3 and CA1, wired in a circle."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.ca1 import CA1
from circuits.dentate_gyrus import DentateGyrus
from circuits.entorhinal import EntorhinalCortex
from circuits.episodic_ca3 import Episode, EpisodicCA3
from circuits.hippocampus_config import HippocampusConfig
from neurosim.codes import SparseCode
from neurosim.contracts import Replay, Rule
from neurosim.projections import SparseProjection
from neurosim.randomness import Streams


class HippocampalLoop:
    """The four regions, and the two ways through them.

    In: entorhinal -> dentate gyrus -> CA3. Out: CA3 -> CA1 -> entorhinal, and the item that was
    read out enters again through the dentate gyrus (the big loop, Buzsaki 1996), so errors of one
    step do not grow along the chain.

    Parameters
    ----------
    config : HippocampusConfig
    rule : Rule
        What every plastic synapse does.
    streams : Streams
        Draw wiring and codes.
    """

    def __init__(self, config: HippocampusConfig, rule: Rule, streams: Streams) -> None:
        self.config = config
        cortex, n_granule = config.entorhinal, config.dentate.n_units
        self.entorhinal = EntorhinalCortex(cortex, streams.generator("entorhinal"))
        self.dentate = DentateGyrus(
            config.dentate, cortex.n_units, streams.generator("dentate_gyrus")
        )
        n_mossy = n_granule if config.separation else cortex.n_units
        self.ca3 = EpisodicCA3(config.ca3, n_mossy, cortex.n_item, rule, streams.generator("ca3"))
        self.ca1 = CA1(
            config.ca1, config.ca3.n_sequence, cortex.n_item, rule, streams.generator("ca1")
        )

    @property
    def plastic(self) -> tuple[SparseProjection, ...]:
        """The projections that hold memories."""
        return (*self.ca3.plastic, self.ca1.schaffer)

    def mature(self, sequences: Sequence[Sequence[int]]) -> None:
        """Develop: cells learn their usual drive from sequences that are not remembered."""
        layers = [self.entorhinal.encode(items) for items in sequences if items]
        if self.config.separation:
            for layer in layers:
                self.dentate.mature(layer)
        for layer in layers:
            self.ca3.mature(*self._mossy_input(layer))

    def separation(self, items: Sequence[int]) -> dict[str, NDArray[Any]]:
        """Return the patterns of a sequence region by region, ``(n_steps, n_units)`` each."""
        layer = self.entorhinal.encode(items)
        granules, z = self._mossy_input(layer)
        states = self.ca3.detonate(granules, z)
        return {
            "entorhinal": layer,
            "dentate gyrus": np.stack([code.to_dense() for code in granules]),
            "CA3": np.stack([code.to_dense() for code in states]),
        }

    def _mossy_input(
        self, layer: NDArray[np.float32]
    ) -> tuple[list[SparseCode], NDArray[np.float32]]:
        """Return which mossy fibres are active at each step, and the drive of all."""
        if not self.config.separation:
            return [SparseCode.from_dense(row) for row in layer], layer
        z = self.dentate.normalised(layer)
        return [self.dentate.inhibition.winners(row) for row in z], z

    def _states(self, items: Sequence[int], index: SparseCode | None) -> tuple[SparseCode, ...]:
        """Return the state of CA3 at each item, biased by an index if there is one."""
        granules, z = self._mossy_input(self.entorhinal.encode(items))
        gating = None if index is None else self.ca3.gating(index)
        return tuple(self.ca3.detonate(granules, z, gating))

    def _walk(self, index: SparseCode, settled: bool, longest: int) -> Replay:
        """Go along the chain of an index, item by item, until an end mark or `longest` items."""
        context = self.entorhinal.silence()
        gating = self.ca3.gating(index)
        state, agreement = self.ca3.first_state(gating)
        items: list[int] = []
        states: list[SparseCode] = []
        item = self.config.end
        agreements = [agreement]
        while len(items) < longest:
            item, _ = self.entorhinal.decode(self.ca1.decode(state))
            layer = self.entorhinal.activity(item, context)[None]
            state = self.ca3.detonate(*self._mossy_input(layer), gating)[0]
            states.append(state)
            if item in (self.config.end, self.config.more):
                break
            items.append(item)
            context = self.entorhinal.advance(context, item)
            state, agreement = self.ca3.next_state(gating, state)
            agreements.append(agreement)
        valid = settled and 0 < len(items) < longest
        confidence = float(np.mean(agreements))
        trace = Episode(index, tuple(states))
        return Replay(tuple(items), confidence, valid, trace, item == self.config.more)
