"""CA3: one-shot storage in sparse recurrent synapses, completion and spontaneous replay."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from circuits.homeostasis import Homeostasis
from neurosim.codes import SparseCode
from neurosim.contracts import Rule
from neurosim.projections import Drive, SparseProjection

import os
BETA=float(os.environ.get('BETA','1'))
HIT = 0.98
HITS=(.1,.2,.4,.6,.8,.98)


@dataclass(frozen=True)
class CA3Config:
    """Size, sparsity and wiring of CA3.

    Parameters
    ----------
    n_index, k_index : int
        Cells that stay active through an episode and bind it together, and how many at a time.
    n_sequence, k_sequence : int
        Cells that step from state to state within an episode, and how many at a time.
    connectivity : float
        Fraction of the target cells that one cell reaches, in every recurrent projection.
    mossy_fan_out : int
        Sequence cells that one granule cell reaches.
    settle_steps : int
        Longest run of attractor steps.
    fatigue : float
        Drive a cell loses after each replay it took part in, as a fraction of a full drive.
    recovery : float
        Fraction of the fatigue left one replay later.
    """

    n_index: int = 4096
    k_index: int = 40
    n_sequence: int = 8192
    k_sequence: int = 40
    connectivity: float = 0.25
    mossy_fan_out: int = 14
    settle_steps: int = 12
    fatigue: float = float(os.environ.get("FAT","1"))
    recovery: float = 0.98


class Episode(NamedTuple):
    """The CA3 activity of one episode: its index and its states in order."""

    index: SparseCode
    states: tuple[SparseCode, ...]


class CA3:
    """Recurrent memory of episodes.

    An episode is an index (cells that fire throughout) and a chain of states. Storing it
    potentiates, once each, ``index -> index`` (auto-association), ``index -> first state``
    (onset), ``index -> state`` (gate), ``state -> index`` (binding) and, with the delay of one
    step, ``state -> next state`` (chain). Every cell is scored by the log odds of its clipped
    synapses, ``sum_i log(p1/q_j)`` over the potentiated and ``log((1-p1)/(1-q_j))`` over the
    silent ones, with q_j the load of the cell itself, and the k best fire: a cell that everything
    drives (a hub) has q near one and says nothing.

    Parameters
    ----------
    config : CA3Config
    n_granule, n_item : int
        Sizes of the dentate gyrus and of the entorhinal item layer.
    rule : Rule
        What every plastic synapse does.
    rng : numpy.random.Generator
        Draws the wiring.

    References
    ----------
    Willshaw et al. (1969); Marr (1971); Teyler & DiScenna (1986) (hippocampal index);
    Buckingham & Willshaw (1993) Network 4:441 (thresholds under partial connectivity);
    Lansner & Ekeberg (1989) (log-odds read-out); Sompolinsky & Kanter (1986) (delayed chain).
    """

    def __init__(
        self,
        config: CA3Config,
        n_granule: int,
        n_item: int,
        rule: Rule,
        rng: np.random.Generator,
    ) -> None:
        self.config, self.rule = config, rule

        def project(name: str, n_pre: int, n_post: int) -> SparseProjection:
            fan_out = max(1, round(config.connectivity * n_post))
            return SparseProjection(name, n_pre, n_post, fan_out, rng)

        index, sequence = config.n_index, config.n_sequence
        self.mossy = SparseProjection("mossy", n_granule, sequence, config.mossy_fan_out, rng)
        self.perforant = project("perforant", n_item, index)
        self.auto = project("auto", index, index)
        self.onset = project("onset", index, sequence)
        self.gate = project("gate", index, sequence)
        self.binding = project("binding", sequence, index)
        self.chain = project("chain", sequence, sequence)
        self.homeostasis = Homeostasis(sequence)
        self.fatigue = np.zeros(index, dtype=np.float32)

    @property
    def plastic(self) -> tuple[SparseProjection, ...]:
        """The projections that hold memories."""
        return (self.perforant, self.auto, self.onset, self.gate, self.binding, self.chain)

    def detonate(self, granules: Sequence[SparseCode], z: NDArray[np.float32], index=None) -> list[SparseCode]:
        """Let the mossy fibres of each granule code fire their sequence cells.

        Parameters
        ----------
        granules : sequence of SparseCode
        z : (n_steps, n_granule) float32
            Drive of the granule cells; strongly driven cells count more.
        """
        drive = self.homeostasis.normalise(self.mossy_drive(granules, z))
        if index is not None:
            bias = self.gate.drive(index).connected
            drive = drive + BETA * (bias - bias.mean()) / bias.std()
        return [SparseCode.winners(row, self.config.k_sequence) for row in drive]

    def mature(self, granules, z) -> None:
        self.homeostasis.learn(self.mossy_drive(granules, z))

    def mossy_drive(self, granules, z) -> NDArray[np.float32]:
        """Return the mossy drive of each sequence cell."""
        return np.stack([self.mossy.drive(g, gain).connected for g, gain in zip(granules, z, strict=True)])

    def recruit(self, rng: np.random.Generator) -> SparseCode:
        """Draw an index for a new episode: young cells, chosen by nothing but chance."""
        return SparseCode.random(self.config.n_index, self.config.k_index, rng)

    def write(
        self, episode: Episode, items: Sequence[SparseCode], strength: int, sign: int = 1
    ) -> int:
        """Potentiate (or with sign -1 take back) the synapses of an episode.

        Parameters
        ----------
        episode : Episode
        items : sequence of SparseCode
            Entorhinal item code of each state.
        strength : int [counts]
            Of the auto-association: salient episodes lie in deeper attractors.
        sign : int
            +1 or -1.

        Returns
        -------
        int
            Synaptic events.
        """
        index, states = episode
        learn = self.rule
        events = self.auto.learn(learn, index, index, sign * strength)
        events += self.onset.learn(learn, index, states[0], sign)
        for item, state in zip(items, states, strict=True):
            events += self.perforant.learn(learn, item, index, sign)
            events += self.gate.learn(learn, index, state, sign)
            events += self.binding.learn(learn, state, index, sign)
        for state, following in zip(states, states[1:], strict=False):
            events += self.chain.learn(learn, state, following, sign)
        return events

    def strength_of(self, index: SparseCode) -> int:
        """Return the depth of an attractor: the median count among its own synapses."""
        slots = self.auto.coincident(index, index)
        return int(np.median(self.auto.weights.reshape(-1)[slots])) if slots.size else 0

    def settle(
        self, start: SparseCode, evidence: NDArray[np.float32] | float = 0.0
    ) -> tuple[SparseCode, bool]:
        """Fall into the nearest attractor of the index cells.

        Parameters
        ----------
        start : SparseCode of n_index
        evidence : (n_index,) float32
            Lasting drive from outside, such as a cue.

        Returns
        -------
        (SparseCode, bool)
            The last state, and whether it was reached twice (a fixed point).
        """
        index = start
        for step in range(self.config.settle_steps):
            hit = HITS[min(step, len(HITS) - 1)]
            score = _log_odds(self.auto, self.auto.drive(index), hit) + evidence - self.fatigue
            following = SparseCode.winners(score, self.config.k_index)
            if following == index and step >= len(HITS):
                return index, True
            index = following
        return index, False

    def cue(
        self, items: Sequence[SparseCode], states: Sequence[SparseCode]
    ) -> NDArray[np.float32]:
        """Return the evidence ``(n_index,)`` a cue gives for each index cell.

        A token that is part of many episodes says little: entorhinal cells count by the log of
        their own load.
        """
        gain = -np.log(np.clip(self.perforant.load_by_pre(), 1e-4, 0.999)).astype(np.float32)
        evidence = np.zeros(self.config.n_index, dtype=np.float32)
        for item in items:
            drive = self.perforant.drive(item, gain)
            evidence += drive.potentiated - 0.5 * drive.connected
        for state in states:
            evidence += _log_odds(self.binding, self.binding.drive(state), 0.3)
        return evidence

    def first_state(self, index: SparseCode) -> tuple[SparseCode, float]:
        """Return the state an index starts from, and how well its synapses agree (0..1)."""
        return self._next((self.onset, index), (self.gate, index))

    def next_state(self, index: SparseCode, state: SparseCode) -> tuple[SparseCode, float]:
        """Return the state that follows, and how well its synapses agree (0..1)."""
        return self._next((self.chain, state), (self.gate, index))

    def _next(self, *sources: tuple[SparseProjection, SparseCode]) -> tuple[SparseCode, float]:
        drives = [(projection, projection.drive(pre)) for projection, pre in sources]
        score = sum(_log_odds(projection, drive, 0.9999) for projection, drive in drives)
        winners = SparseCode.winners(np.asarray(score), self.config.k_sequence)
        potentiated = sum(float(d.potentiated[winners.active].sum()) for _, d in drives)
        connected = sum(float(d.connected[winners.active].sum()) for _, d in drives)
        return winners, potentiated / max(connected, 1.0)

    def spontaneous(self, rng: np.random.Generator) -> tuple[SparseCode, bool]:
        start = SparseCode.random(self.config.n_index, self.config.k_index, rng)
        depth = self.auto.strength(start) - self.fatigue
        depth += 1e-3 * rng.random(self.config.n_index, dtype=np.float32)
        index, settled = self.settle(SparseCode.winners(depth, self.config.k_index))
        self.fatigue *= self.config.recovery
        self.fatigue[index.active] += self.config.fatigue
        return index, settled


def _log_odds(projection, drive, hit=HIT):
    load = np.clip(projection.load_by_post(), 0.005, 0.998)
    p = hit + (1 - hit) * load
    potentiated, silent = drive.potentiated, drive.connected - drive.potentiated
    score = potentiated * np.log(p / load) + silent * np.log((1 - p) / (1 - load))
    return score.astype(np.float32)
