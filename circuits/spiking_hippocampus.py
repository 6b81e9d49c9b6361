"""A hippocampus made of a spiking CA3: it learns tracks by STDP and replays them in its ripples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.closed_loop import ClosedLoop, added_spikes
from circuits.spiking_activity import bernoulli_spikes
from circuits.spiking_ca3 import PYRAMIDAL, SpikingCA3, SpikingCA3Config
from circuits.spiking_hippocampus_config import SpikingHippocampusConfig
from circuits.track_maps import TrackMaps
from neurosim.contracts import Completion, Gauge, Replay
from neurosim.decoding import decode
from neurosim.errors import ConfigError
from neurosim.phases import NREM
from neurosim.plasticity import PlasticProjection
from neurosim.randomness import Streams
from neurosim.replay_score import Search
from neurosim.rule import Rule
from neurosim.sharp_waves import Event, sharp_waves
from neurosim.spikes import SpikeTrains, run_spikes

HELD = 0.5
"""A memory counts as whole while so much of what its run has written is left."""

POTENTIATED = 10.0
"""Initial weights above which a synapse counts as in use: cells without a field stay below."""

BIN = 0.01
MIN_BINS = 3
"""Seconds a bin of decoding, and fewest bins."""

COMPRESSION = 10.0
CUE_RATE = 100.0
BEFORE, AFTER = 0.05, 0.5
"""A cue passes so many times faster than the animal, at so many spikes a second [Hz] a cell, after
a while and with time to go on [s]."""

QUICK = Search(n_speeds=20, n_offsets=31)
"""A coarser search than for a table of speeds: what matters is which places come in which order."""


@dataclass(frozen=True, eq=False)
class Slept:
    """What one stretch of sleep brought, beside its replays.

    Parameters
    ----------
    seconds, acetylcholine : float
    events : tuple of Event
        Sharp waves.
    replays : tuple of Replay
        In order of time, those that are not significant too.
    detections : int
    stimulations : tuple of Event
    """

    seconds: float
    acetylcholine: float
    events: tuple[Event, ...]
    replays: tuple[Replay, ...]
    detections: int
    stimulations: tuple[Event, ...]


class SpikingHippocampus:
    """Keeps the contract of a hippocampus on a spiking CA3: items are places on tracks.

    Parameters
    ----------
    config : SpikingHippocampusConfig
    rule : Rule
        What recurrent synapses do while the animal runs, such as symmetric STDP.

    Attributes
    ----------
    maps : TrackMaps
    recurrent : PlasticProjection
    nights : list of Slept
        Every stretch of sleep so far.
    """

    def __init__(self, config: SpikingHippocampusConfig, rule: Rule) -> None:
        self.config = c = config
        self.streams = Streams(c.seed)
        n = c.ca3.n_pyramidal
        self.maps = TrackMaps(
            c.track, n, c.n_tracks, c.n_places, self.streams.generator("place_cells")
        )
        self._wiring = c.ca3.recurrent_wiring(self.streams.generator("recurrent"))
        self.recurrent = PlasticProjection(
            self._wiring, rule, c.initial_weight, bounds=(0.0, c.largest_weight),
            dtype=np.float32, name="recurrent",
        )  # fmt: skip
        self._written: dict[tuple[int, ...], float] = {}
        self._n_stored = 0
        self._loop = ClosedLoop(c.loop) if c.loop else None
        self.nights: list[Slept] = []

    def asleep(self, acetylcholine: float = NREM.acetylcholine) -> SpikingCA3:
        """Return the network as it sleeps now, at rest.

        Parameters
        ----------
        acetylcholine : float
            0 to 1.
        """
        shape = self.config.ca3
        level = replace(shape.acetylcholine, level=acetylcholine)
        return self._circuit(replace(shape, acetylcholine=level))

    # The contract of a hippocampus

    def store(self, items: Sequence[int], salience: float = 1.0) -> int:
        """Run along these places, lap after lap, while the rule writes; return synaptic events.

        Parameters
        ----------
        items : sequence of int
            Places of one track, in the order in which the animal passes them.
        salience : float
            Factor on the length of the exposure.
        """
        if not salience > 0:
            raise ConfigError.expected(self, "salience", "above 0", salience, "leave it at 1")
        walk = self.maps.walk(items)
        self._n_stored += 1
        duration = max(walk.lap, salience * self.config.exposure)
        spikes = walk.spikes(duration, self.streams.generator("track", self._n_stored))
        for trace in self.recurrent.traces.values():
            trace[...] = 0.0
        events = run_spikes(self.recurrent, spikes, spikes)
        self._written[tuple(items)] = self._mean_weight(items)
        return events

    def recall(self, cue: Sequence[int]) -> Completion:
        """Drive the cells of these places, one place after the other, and see where it goes on.

        The network is as in quiet rest, without up and down states. Confidence is the mean
        probability of the decoded places.
        """
        track, _ = self.maps.locate(cue)
        c, rng = self.config, self.streams.generator("recall", *cue)
        ca3 = self._circuit(replace(c.ca3, rhythm=None))
        dt, n = c.ca3.dt, c.ca3.n_pyramidal
        step = c.track.length / c.n_places / (COMPRESSION * c.track.speed)
        told = BEFORE + len(cue) * step
        n_steps = ca3.network.steps(told + AFTER)
        outside = ca3.outside(n_steps, rng)
        for k, item in enumerate(cue):
            cells = self.maps.cells_of([item])
            drawn = bernoulli_spikes(cells.size, CUE_RATE, ca3.network.steps(step), dt, rng)
            shifted = SpikeTrains(
                drawn.times + BEFORE + k * step, drawn.cells, cells.size, n_steps * dt
            )
            outside[PYRAMIDAL] = added_spikes(outside[PYRAMIDAL], shifted, cells, n, dt)
        spikes = ca3.engine().run(n_steps * dt, outside).spikes[PYRAMIDAL]
        for event in sharp_waves(spikes):
            if event.start < told < event.stop - MIN_BINS * BIN:
                return self._continuation(spikes, Event(told, event.stop), track, cue)
        return Completion((), 0.0)

    def replay(
        self, n: int, rng: np.random.Generator, acetylcholine: float = NREM.acetylcholine
    ) -> list[Replay]:
        """Sleep for `n` bursts' time; return what came back, ripple by ripple.

        Parameters
        ----------
        n : int
        rng : numpy.random.Generator
        acetylcholine : float
            Of the phase of sleep; with as much as in REM there are no ripples.
        """
        if n < 1:
            return []
        seconds, ca3 = n * self.config.burst, self.asleep(acetylcholine)
        if self._loop:
            night = self._loop.sleep(ca3, seconds, rng)
        else:
            night = ca3.sleep(seconds, rng)
        spikes = night.spikes[PYRAMIDAL]
        events, shuffles = sharp_waves(spikes), rng.spawn(1)[0]
        found = []
        for event in events:
            replayed = self.maps.decode(spikes, event, shuffles, self.config.shuffles, QUICK)
            if replayed is not None:
                # One place is no sequence.
                valid = replayed.valid and len(set(replayed.items)) > 1
                fragment = self._is_fragment(replayed)
                found.append(replace(replayed, valid=valid, fragment=fragment))
        detections = len(self._loop.detections) if self._loop else 0
        stimulations = tuple(self._loop.stimulations) if self._loop else ()
        self.nights.append(
            Slept(seconds, acetylcholine, events, tuple(found), detections, stimulations)
        )
        return found

    def depth(self, which: Replay) -> int:
        """Return the mean recurrent weight between successive places, in initial weights."""
        items = which.items
        pairs = [items[k : k + 2] for k in range(max(1, len(items) - 1))]
        mean = np.mean([self._mean_weight(pair) for pair in pairs])
        return max(1, round(float(mean) / self.config.initial_weight))

    def fade(self, which: Replay) -> None:
        """Weaken what synapses among the cells of a burst have learnt, by `fading`."""
        self._weaken(which.trace.cells, self.config.fading)

    def release(self, which: Replay, kept: int | None = None) -> None:
        """Take the synapses among the cells of the replayed places back to their initial weight.

        Parameters
        ----------
        which : Replay
        kept : int, optional
            The synapses among the cells of so many places at its beginning stay.

        Notes
        -----
        Weights are sums over all tracks: what another track has written into the same synapses goes
        with it.
        """
        gone = which.items[(kept or 0) :]
        if gone:
            self._weaken(self.maps.cells_of(gone), 1.0)

    def reconsolidate(self, which: Replay, items: Sequence[int]) -> None:
        """Run along the opening of a released memory again."""
        self.store(items)

    def opening(self, items: Sequence[int]) -> int:
        """Return 0: of a released memory nothing needs to stay."""
        return 0

    def gauge(self) -> Gauge:
        """Measure how full the memory is, by the weights as they are."""
        c, left = self.config, [self.strength(items) for items in self._written]
        held = [n for n in left if n >= HELD]
        n_items = sum(len(items) + 1 for items, n in zip(self._written, left, strict=True) if n > 0)
        weights = self.recurrent.weights
        return Gauge(
            n_episodes=len(held),
            n_fragments=0,
            n_items=n_items,
            used=len(held) / c.n_tracks,
            room=max(0, c.n_tracks - len(held)) * c.n_places,
            potentiated=int((weights > POTENTIATED * c.initial_weight).sum()),
            n_synapses=weights.size,
        )

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """Return recurrent weights, and the runs: how many, their places and mean weights.

        Wiring and fields follow from the seed, and the spikes of the next run from the number.
        """
        found: dict[str, NDArray[Any]] = {
            "recurrent": self.recurrent.weights, "n_stored": np.array(self._n_stored),
        }  # fmt: skip
        for k, (items, weight) in enumerate(self._written.items()):
            found[f"runs/{k}/items"] = np.array(items)
            found[f"runs/{k}/weight"] = np.array(weight)
        return found

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over a state.

        Parameters
        ----------
        state : mapping of str to ndarray
            Of a hippocampus of the same configuration and seed.

        Raises
        ------
        ConfigError
            For an array that is missing, and weights of another size; nothing is changed then.
        """
        runs = sorted(
            int(name.split("/")[1]) for name in state
            if name.startswith("runs/") and name.endswith("/items")
        )  # fmt: skip
        for name in ("recurrent", "n_stored", *(f"runs/{k}/weight" for k in runs)):
            if name not in state:
                raise ConfigError.expected(
                    self, "state", f"an array '{name}'", sorted(state) or "none",
                    "restore what `state` of a hippocampus returned, whole",
                )  # fmt: skip
        weights = state["recurrent"]
        if weights.shape != self.recurrent.weights.shape:
            raise ConfigError.expected(
                self, "state", f"weights of shape {self.recurrent.weights.shape}", weights.shape,
                "restore it into a hippocampus of its size",
            )  # fmt: skip
        self.recurrent.weights[...] = weights
        self._written = {
            tuple(state[f"runs/{k}/items"].tolist()): float(state[f"runs/{k}/weight"]) for k in runs
        }
        self._n_stored = int(state["n_stored"])

    # Its parts

    def strength(self, items: tuple[int, ...]) -> float:
        """Return how much of what a run has written is left, by the mean over its synapses, 0..1.

        Parameters
        ----------
        items : tuple of int
            As they were stored.
        """
        initial = self.config.initial_weight
        gained = self._written[items] - initial
        left = self._mean_weight(items) - initial
        return max(0.0, left / gained) if gained > 0 else 0.0

    def _circuit(self, shape: SpikingCA3Config) -> SpikingCA3:
        weights = self.recurrent.weights * np.float32(self.config.scale * shape.strength)
        return SpikingCA3(shape, self._wiring, weights, self.streams.generator("baskets"))

    def _continuation(
        self, spikes: SpikeTrains, event: Event, track: int, cue: Sequence[int]
    ) -> Completion:
        """Decode what follows a cue on its track."""
        decoded = decode(spikes, self.maps.tuning(track), event, BIN)
        told = decoded[np.isfinite(decoded[:, 0])]
        if not len(told):
            return Completion((), 0.0)
        places = told.argmax(axis=1) * self.config.n_places // decoded.shape[1]
        items = [*cue[-1:], *(places + track * self.config.n_places).tolist()]
        fresh = [b for a, b in zip(items[:-1], items[1:], strict=True) if a != b]
        return Completion(tuple(fresh), float(told.max(axis=1).mean()))

    def _is_fragment(self, which: Replay) -> bool:
        """Say whether the run that a burst comes from is no longer held as a whole."""
        track, _ = self.maps.locate(which.items)
        mine = [each for each in self._written if self.maps.locate(each)[0] == track]
        return bool(mine) and all(self.strength(each) < HELD for each in mine)

    def _mean_weight(self, items: Sequence[int]) -> float:
        rows, inside = self._among(self.maps.cells_of(items))
        if not inside.any():  # Few cells: none of them reaches another.
            return self.config.initial_weight
        return float(self.recurrent.weights[rows][inside].mean(dtype=np.float64))

    def _weaken(self, cells: NDArray[np.int64], share: float) -> None:
        rows, inside = self._among(cells)
        weights, initial = self.recurrent.weights[rows], np.float32(self.config.initial_weight)
        weights[inside] = initial + np.float32(1 - share) * (weights[inside] - initial)
        self.recurrent.weights[rows] = weights

    def _among(self, cells: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return these cells, and which of their synapses lead to one another."""
        member = np.zeros(self.config.ca3.n_pyramidal, dtype=bool)
        member[cells] = True
        rows = np.flatnonzero(member)
        return rows, member[self._wiring.index[rows]]
