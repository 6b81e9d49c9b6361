"""The hippocampus: a fast memory that writes in one shot, completes, replays and releases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.episodic_ca3 import BASE_DEPTH, Episode
from circuits.hippocampal_loop import HippocampalLoop
from circuits.hippocampus_config import HippocampusConfig
from neurosim.codes import SparseCode
from neurosim.contracts import Completion, Gauge, Replay, Rule
from neurosim.errors import CapacityError, ConfigError
from neurosim.randomness import Streams


@dataclass(frozen=True)
class Recollection:
    """What a fragment brought back.

    Parameters
    ----------
    items : tuple of int
        The whole episode, without its end mark.
    episode : Episode
    confidence : float
        Share of the synapses along the chain that agree, times the share of the cue found again.
    fragment : bool
        Only the opening of a released episode is left.
    """

    items: tuple[int, ...]
    episode: Episode
    confidence: float
    fragment: bool


class Hippocampus(HippocampalLoop):
    """A fast, parametric memory for sequences of items (tokens).

    An episode is written by one exposure and read out by walking the loop. Nothing is kept but
    synaptic counts, the homeostatic averages of the cells, and a few totals.

    Parameters
    ----------
    config : HippocampusConfig
    rule : Rule
        What every plastic synapse does.
    streams : Streams
        Draw wiring, codes and recruitment.
    """

    def __init__(self, config: HippocampusConfig, rule: Rule, streams: Streams) -> None:
        super().__init__(config, rule, streams)
        self._streams = streams
        self.n_recruited = 0
        self.n_episodes = 0
        self.n_fragments = 0
        self.n_items = 0
        self.longest = 0

    def store(self, items: Sequence[int], salience: float = 0.0) -> int:
        """Write one sequence in one shot; return the synaptic events.

        Parameters
        ----------
        items : sequence of int
            Without the end mark.
        salience : float [nats]
            Deepens the attractor by one count a nat, three at most.

        Raises
        ------
        ConfigError
            When the sequence is empty or too long.
        CapacityError
            When nothing more fits.
        """
        if not 0 < len(items) < self.config.longest:
            raise ConfigError.expected(
                self, "items", f"1..{self.config.longest - 1} of them", len(items), "split it"
            )
        if self.gauge().room < len(items) + 1:
            raise CapacityError(
                f"the hippocampus is full with {self.n_episodes} memories; let a night pass, "
                f"which frees what the cortex takes over"
            )
        index = self.ca3.recruit(self._streams.generator("recruit", self.n_recruited))
        self.n_recruited += 1
        sequence = (*items, self.config.end)
        self.longest = max(self.longest, len(sequence))
        depth = BASE_DEPTH + int(np.clip(salience, 0, 3))
        self.n_episodes += 1
        return self._write(index, sequence, depth, 1)

    def remember(self, cue: Sequence[int]) -> Recollection | None:
        """Bring back the episode a fragment belongs to; None when the cue is empty."""
        if not cue:
            return None
        codes = [self.entorhinal.item(item) for item in cue]
        index, _ = self.ca3.complete(codes, self._states(cue, None))
        replay = self._walk(index, True, self.longest)
        found = len(set(cue) & set(replay.items)) / len(set(cue))
        confidence = replay.confidence * found
        return Recollection(tuple(replay.items), replay.trace, confidence, replay.fragment)

    def recall(self, cue: Sequence[int]) -> Completion:
        """Complete a fragment: what follows it in the episode it belongs to."""
        memory = self.remember(cue)
        if memory is None or memory.fragment:
            return Completion((), 0.0)
        return Completion(memory.items[_end_of(cue, memory.items) :], memory.confidence)

    def knows(self, items: Sequence[int]) -> bool:
        """Compare what CA3 predicts with what is there: no mismatch, no novelty (Lisman, 1999)."""
        memory = self.remember(items) if self.n_episodes else None
        return memory is not None and not memory.fragment and memory.items == tuple(items)

    def replay(self, n: int, rng: np.random.Generator, acetylcholine: float = 0.0) -> list[Replay]:
        """Let CA3 reactivate by itself, `n` bursts from noise.

        At a low level of acetylcholine the deep memories come first, at a high one all alike.
        """
        return [
            self._walk(*self.ca3.spontaneous(rng, acetylcholine), self.longest) for _ in range(n)
        ]

    def strengthen(self, items: Sequence[int]) -> None:
        """Deepen the attractor of a sequence met again, by one count."""
        memory = self.remember(items)
        if memory is not None:
            self.ca3.deepen(memory.episode.index, 1)

    def depth(self, which: Replay) -> int:
        """Return how deep a memory's attractor is [counts]."""
        return self.ca3.depth(which.trace.index)

    def fade(self, which: Replay) -> None:
        """Let one memory lie one count less deep, but not vanish."""
        if self.depth(which) > 1:
            self.ca3.deepen(which.trace.index, -1)

    def release(self, which: Replay, kept: int | None = None) -> None:
        """Take one memory's synapses back, but for its opening.

        The others are as if only the opening had ever been written. The opening lets a later
        night ask the cortex for the rest (trace transformation: Winocur & Moscovitch, 2011).

        Parameters
        ----------
        which : Replay
            Of a whole episode or, to let it go for good, of a fragment.
        kept : int, optional
            How many items stay; the configured share by default.
        """
        index = which.trace.index
        mark = self.config.more if which.fragment else self.config.end
        self._write(index, (*which.items, mark), self.ca3.depth(index), -1)
        if which.fragment:
            self.n_fragments -= 1
            return
        self.n_episodes -= 1
        opening = which.items[: self.opening(which.items) if kept is None else kept]
        if opening:
            self.n_fragments += 1
            self._write(index, (*opening, self.config.more), 1, 1)

    def reconsolidate(self, which: Replay, items: Sequence[int]) -> None:
        """Write what has come back of a released memory anew, as another opening of it.

        Parameters
        ----------
        which : Replay
            Of a fragment.
        items : sequence of int
            What it shall be from now on.

        References
        ----------
        Nader, Schafe & LeDoux (2000) Nature 406:722: a memory that is reactivated is labile.
        """
        index = which.trace.index
        self._write(index, (*which.items, self.config.more), self.ca3.depth(index), -1)
        self._write(index, (*items, self.config.more), 1, 1)

    def opening(self, items: Sequence[int]) -> int:
        """Return how many items of a released episode stay at least."""
        return int(self.config.gist * len(items))

    def gauge(self) -> Gauge:
        """Measure how full the memory is, from the loads of its own cells.

        A cell outside a state wins against one inside when all its active synapses happen to be
        potentiated, which has the chance ``q_gate^n q_chain^n`` with n = k times connectivity. If
        cells take up load as they did so far, ``q(s) = 1 - (1 - q)^s`` (Willshaw et al., 1969),
        the factor s at which `tolerance` false winners are expected says how much more fits.
        """
        potentiated = sum(int(round(p.load() * p.n_synapses)) for p in self.plastic)
        n_synapses = sum(p.n_synapses for p in self.plastic)
        if self.n_items < 500:
            capacity = self._capacity_of_even_loads()
        else:
            capacity = self._capacity_from_loads()
        room = max(0, int(capacity) - self.n_items)
        used = self.n_items / capacity
        return Gauge(
            self.n_episodes, self.n_fragments, self.n_items, used, room, potentiated, n_synapses
        )

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """Return the named arrays that make up the memory."""
        arrays: dict[str, NDArray[Any]] = {f"weights/{p.name}": p.weights for p in self.plastic}
        for name, cells in (("dentate", self.dentate.homeostasis), ("ca3", self.ca3.homeostasis)):
            arrays[f"homeostasis/{name}/mean"] = cells.mean
            arrays[f"homeostasis/{name}/squares"] = cells.squares
            arrays[f"homeostasis/{name}/n_seen"] = np.array(cells.n_seen)
        arrays["fatigue"] = self.ca3.fatigue
        arrays["totals"] = np.array(
            [self.n_recruited, self.n_episodes, self.n_fragments, self.n_items, self.longest]
        )
        return arrays

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take a saved state back; the wiring must come from the same seed and configuration."""
        for projection in self.plastic:
            projection.restore(state[f"weights/{projection.name}"])
        for name, cells in (("dentate", self.dentate.homeostasis), ("ca3", self.ca3.homeostasis)):
            cells.mean[...] = state[f"homeostasis/{name}/mean"]
            cells.squares[...] = state[f"homeostasis/{name}/squares"]
            cells.n_seen = int(state[f"homeostasis/{name}/n_seen"])
        self.ca3.fatigue[...] = state["fatigue"]
        totals = (int(total) for total in state["totals"])
        self.n_recruited, self.n_episodes, self.n_fragments, self.n_items, self.longest = totals

    def _write(self, index: SparseCode, items: Sequence[int], depth: int, sign: int) -> int:
        episode = Episode(index, self._states(items, index))
        codes = [self.entorhinal.item(item) for item in items]
        events = self.ca3.write(episode, codes, depth, sign)
        for state, code in zip(episode.states, codes, strict=True):
            events += self.ca1.write(state, code, sign)
        self.n_items += sign * len(items)
        return events

    def _capacity_of_even_loads(self) -> float:
        ca3 = self.config.ca3
        n = ca3.k_sequence * ca3.connectivity + ca3.k_index * ca3.connectivity
        load = (self.config.tolerance / ca3.n_sequence) ** (1 / n)
        share = (ca3.k_index / ca3.n_index) * (ca3.k_sequence / ca3.n_sequence)
        return float(np.log1p(-load) / np.log1p(-share))

    def _capacity_from_loads(self) -> float:
        ca3 = self.ca3
        n_gate = self.config.ca3.k_index * self.config.ca3.connectivity
        n_chain = self.config.ca3.k_sequence * self.config.ca3.connectivity
        gate = np.log1p(-np.clip(ca3.gate.load_by_post(), 1e-6, 0.999999))
        chain = np.log1p(-np.clip(ca3.chain.load_by_post(), 1e-6, 0.999999))

        def false_winners(factor: float) -> float:
            chance = (-np.expm1(factor * gate)) ** n_gate * (-np.expm1(factor * chain)) ** n_chain
            return float(chance.sum())

        low, high = 1e-3, 1e3
        for _ in range(40):
            middle = np.sqrt(low * high)
            low, high = (
                (middle, high)
                if false_winners(middle) < self.config.tolerance
                else (
                    low,
                    middle,
                )
            )
        return float(low * self.n_items)


def _end_of(cue: Sequence[int], items: Sequence[int]) -> int:
    """Return where the part of `items` that matches the end of the cue ends."""
    for length in range(len(cue), 0, -1):
        tail = tuple(cue[-length:])
        for start in range(len(items) - length + 1):
            if tuple(items[start : start + length]) == tail:
                return start + length
    return 0
