"""Episodic CA3: an index binds a chain of states; stored in one shot, replayed by itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from circuits.homeostasis import Homeostasis
from neurosim.codes import SparseCode
from neurosim.contracts import Rule
from neurosim.errors import ConfigError
from neurosim.projections import Drive, SparseProjection

CERTAIN = 0.9999
"""Trust in a source that is exact: one silent synapse all but rules a cell out."""

FALLING = (0.1, 0.2, 0.4, 0.6, 0.8, 0.98)
"""Trust in the present state while it falls into an attractor: little at first, then all."""

ALLY = 0.3
"""Trust in a cue's states: words before the fragment are missing from their context."""

BASE_DEPTH = 3
"""Strength [counts] of an auto-association without salience."""


@dataclass(frozen=True)
class EpisodicCA3Config:
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
    index_bias : float
        Drive that the structural synapses of the index give a state, in standard deviations: the
        same word after the same words is a partly other state in another episode.
    settle_steps : int
        Longest run of attractor steps.
    fatigue : float [counts]
        Drive an index cell loses for each replay it took part in.
    recovery : float
        Fraction of the fatigue left one replay later.

    Raises
    ------
    ConfigError
        For no active cell in a code, or more than there are.
    """

    n_index: int = 4096
    k_index: int = 40
    n_sequence: int = 8192
    k_sequence: int = 40
    connectivity: float = 0.25
    mossy_fan_out: int = 14
    index_bias: float = 0.7
    settle_steps: int = 16
    fatigue: float = 4.0
    recovery: float = 0.98

    def __post_init__(self) -> None:
        for k, n in (("k_index", self.n_index), ("k_sequence", self.n_sequence)):
            if not 0 < getattr(self, k) <= n:
                raise ConfigError.expected(
                    self, k, f"1..{n} active cells", getattr(self, k), "choose about one per cent"
                )


@dataclass(frozen=True, eq=False)
class Episode:
    """The CA3 activity of one episode: its index and its states in order."""

    index: SparseCode
    states: tuple[SparseCode, ...]


@dataclass(frozen=True, eq=False)
class Gating:
    """What an index gives every sequence cell for as long as it is active.

    Parameters
    ----------
    index : SparseCode of n_index
    drive : Drive
        Through the gate synapses.
    score : (n_sequence,) float32 [nats]
        Log odds of that drive.
    bias : (n_sequence,) float32 [standard deviations]
        Structural drive, potentiated or not, normalised over cells.
    """

    index: SparseCode
    drive: Drive
    score: NDArray[np.float32]
    bias: NDArray[np.float32]


class EpisodicCA3:
    """Recurrent memory of episodes.

    An episode is an index (cells that fire throughout) and a chain of states. Storing it
    potentiates ``item -> index`` (perforant path), ``index -> index`` (auto-association),
    ``index -> first state`` (onset), ``index -> state`` (gate), ``state -> index`` (binding) and,
    with the delay of one step, ``state -> next state`` (chain).

    Every cell j is scored by the log odds of its clipped synapses. With n active connected
    synapses of which m are potentiated, with q_j the load of the cell (the fraction of all its
    synapses that is potentiated) and with p the trust in the source,

    ``score_j = m log(p_j / q_j) + (n - m) log((1 - p_j) / (1 - q_j)),  p_j = p + (1 - p) q_j``

    and the k best fire. A hub, which everything drives, has q near one and says nothing.

    Parameters
    ----------
    config : EpisodicCA3Config
    n_granule, n_item : int
        Sizes of the dentate gyrus and of the entorhinal item layer.
    rule : Rule
        What every plastic synapse does.
    rng : numpy.random.Generator
        Draws the wiring.

    References
    ----------
    Willshaw et al. (1969); Marr (1971); Teyler & DiScenna (1986) Behav. Neurosci. 100:147 (index);
    Buckingham & Willshaw (1993) Network 4:441 (thresholds under partial connectivity);
    Lansner & Ekeberg (1989) Int. J. Neural Syst. 1:77 (log-odds read-out);
    Sompolinsky & Kanter (1986) Phys. Rev. Lett. 57:2861 (delayed association).
    Ours: the trust p that grows while the state settles.
    """

    def __init__(
        self,
        config: EpisodicCA3Config,
        n_granule: int,
        n_item: int,
        rule: Rule,
        rng: np.random.Generator,
    ) -> None:
        self.config, self.rule = config, rule
        index, sequence = config.n_index, config.n_sequence

        def project(name: str, n_pre: int, n_post: int) -> SparseProjection:
            fan_out = max(1, round(config.connectivity * n_post))
            return SparseProjection(name, n_pre, n_post, fan_out, rng)

        fan_out = min(config.mossy_fan_out, sequence)
        self.mossy = SparseProjection("mossy", n_granule, sequence, fan_out, rng)
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

    def mature(self, granules: Sequence[SparseCode], z: NDArray[np.float32]) -> None:
        """Let each sequence cell learn what mossy drive is usual for it."""
        self.homeostasis.learn(self._mossy_drive(granules, z))

    def detonate(
        self,
        granules: Sequence[SparseCode],
        z: NDArray[np.float32],
        gating: Gating | None = None,
    ) -> list[SparseCode]:
        """Let the mossy fibres of each granule code fire their sequence cells.

        Parameters
        ----------
        granules : sequence of SparseCode
        z : (n_steps, n_granule) float32
            Drive of the granule cells; strongly driven cells count more.
        gating : Gating, optional
            The episode's index, whose structural synapses bias the choice.
        """
        drive = self.homeostasis.normalise(self._mossy_drive(granules, z))
        if gating is not None:
            drive = drive + np.float32(self.config.index_bias) * gating.bias
        return [SparseCode.winners(row, self.config.k_sequence) for row in drive]

    def recruit(self, rng: np.random.Generator) -> SparseCode:
        """Draw an index for a new episode: chosen by nothing but chance."""
        return SparseCode.random(self.config.n_index, self.config.k_index, rng)

    def write(
        self, episode: Episode, items: Sequence[SparseCode], depth: int, sign: int = 1
    ) -> int:
        """Potentiate (or with sign -1 take back) the synapses of an episode.

        Parameters
        ----------
        episode : Episode
        items : sequence of SparseCode
            Entorhinal item code of each state.
        depth : int [counts]
            Strength of the auto-association: salient episodes lie in deeper attractors.
        sign : int
            +1 or -1.

        Returns
        -------
        int
            Synaptic events.
        """
        index, states = episode.index, episode.states
        events = self.deepen(index, sign * depth)
        events += self.onset.learn(self.rule, index, states[0], sign)
        for item, state in zip(items, states, strict=True):
            events += self.perforant.learn(self.rule, item, index, sign)
            events += self.gate.learn(self.rule, index, state, sign)
            events += self.binding.learn(self.rule, state, index, sign)
        for state, following in zip(states, states[1:], strict=False):
            events += self.chain.learn(self.rule, state, following, sign)
        return events

    def deepen(self, index: SparseCode, depth: int) -> int:
        """Strengthen (or with a negative depth weaken) one attractor; return synaptic events."""
        return self.auto.learn(self.rule, index, index, depth)

    def depth(self, index: SparseCode) -> int:
        """Return the depth of an attractor: the median count among its own synapses."""
        slots = self.auto.coincident(index, index)
        return int(np.median(self.auto.weights.reshape(-1)[slots])) if slots.size else 0

    def settle(self, start: SparseCode) -> tuple[SparseCode, bool]:
        """Fall into the nearest attractor of the index cells.

        Returns
        -------
        (SparseCode, bool)
            The last state, and whether it is a fixed point.
        """
        index = start
        for step in range(self.config.settle_steps):
            trust = FALLING[min(step, len(FALLING) - 1)]
            score = log_odds(self.auto, self.auto.drive(index), trust)
            following = SparseCode.winners(score, self.config.k_index)
            if following == index and step >= len(FALLING):
                return index, True
            index = following
        return index, False

    def complete(
        self, items: Sequence[SparseCode], states: Sequence[SparseCode]
    ) -> tuple[SparseCode, bool]:
        """Settle from the evidence of a cue.

        An item that is part of many episodes says little: entorhinal cells count by the log of
        their own load.
        """
        gain = -np.log(np.clip(self.perforant.load_by_pre(), 1e-4, 0.999)).astype(np.float32)
        evidence = np.zeros(self.config.n_index, dtype=np.float32)
        for item in items:
            drive = self.perforant.drive(item, gain)
            evidence += drive.potentiated - 0.5 * drive.connected
        for state in states:
            evidence += log_odds(self.binding, self.binding.drive(state), ALLY)
        return self.settle(SparseCode.winners(evidence, self.config.k_index))

    def gating(self, index: SparseCode) -> Gating:
        """Return what an index gives the sequence cells."""
        drive = self.gate.drive(index)
        spread = max(float(drive.connected.std()), 1e-6)
        bias = (drive.connected - drive.connected.mean()) / np.float32(spread)
        return Gating(index, drive, log_odds(self.gate, drive, CERTAIN), bias)

    def first_state(self, gating: Gating) -> tuple[SparseCode, float]:
        """Return the state an index starts from, and how well its synapses agree (0..1)."""
        return self._next(self.onset, gating.index, gating)

    def next_state(self, gating: Gating, state: SparseCode) -> tuple[SparseCode, float]:
        """Return the state that follows, and how well its synapses agree (0..1)."""
        return self._next(self.chain, state, gating)

    def spontaneous(
        self, rng: np.random.Generator, acetylcholine: float = 0.0
    ) -> tuple[SparseCode, bool]:
        """Start from noise and settle; the cells that fired tire.

        Noise decides which attractor is near, its depth (salience) widens the basin, and fatigue
        moves the next burst elsewhere. Acetylcholine suppresses recurrent transmission (Hasselmo,
        1999), most where it is strong: a synapse of count w conducts ``w^(1 - acetylcholine)``,
        so at a high level the deep attractors are no wider than the shallow ones.

        Parameters
        ----------
        rng : numpy.random.Generator
        acetylcholine : float
            0 to 1 (quiet waking).
        """
        noise = SparseCode.random(self.config.n_index, self.config.k_index, rng)
        drive = self.auto.strength(noise, 1.0 - acetylcholine) - self.fatigue
        drive += 1e-3 * rng.random(self.config.n_index, dtype=np.float32)
        index, settled = self.settle(SparseCode.winners(drive, self.config.k_index))
        self.fatigue *= self.config.recovery
        self.fatigue[index.active] += self.config.fatigue
        return index, settled

    def _mossy_drive(
        self, granules: Sequence[SparseCode], z: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        drives = [self.mossy.drive(g, gain).connected for g, gain in zip(granules, z, strict=True)]
        return np.stack(drives)

    def _next(
        self, source: SparseProjection, pre: SparseCode, gating: Gating
    ) -> tuple[SparseCode, float]:
        drive = source.drive(pre)
        score = log_odds(source, drive, CERTAIN) + gating.score
        winners = SparseCode.winners(score, self.config.k_sequence)
        cells = winners.active
        potentiated = (drive.potentiated + gating.drive.potentiated)[cells].sum()
        connected = (drive.connected + gating.drive.connected)[cells].sum()
        return winners, float(potentiated / max(connected, 1.0))


def log_odds(projection: SparseProjection, drive: Drive, trust: float) -> NDArray[np.float32]:
    """Score every target cell by its clipped synapses (formula in `EpisodicCA3`).

    Parameters
    ----------
    projection : SparseProjection
        Gives the load of its target cells.
    drive : Drive
        What a pattern sends through it.
    trust : float
        Probability that an active synapse of a stored pair is potentiated, 0..1.

    Returns
    -------
    (n_post,) float32 [nats]
    """
    load = np.clip(projection.load_by_post(), np.float32(0.005), np.float32(0.998))
    p = np.float32(trust) + np.float32(1 - trust) * load
    silent = drive.connected - drive.potentiated
    return drive.potentiated * np.log(p / load) + silent * np.log((1 - p) / (1 - load))
