"""CA3: a recurrent memory of sparse patterns and sequences, of any size up to a rat's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits import readouts
from circuits.attractor import Recall
from circuits.autoassociation import Autoassociation, Written
from circuits.ca3_config import CA3Config
from neurosim.codes import SparseCode
from neurosim.errors import CapacityError, ConfigError, CorruptFileError
from neurosim.hdf5 import pack_hdf5, unpack_hdf5
from neurosim.resources import require_memory
from neurosim.state import check_arrays
from neurosim.synapses import CountSynapses


class CA3(Autoassociation):
    """Auto-association that also stores sequences, and replays both by itself.

    Hetero-association, in synapses of its own, counts how often one cell was active a delay before
    the other. Adaptation makes cells tire, so that spontaneous replay goes from one memory to the
    next.

    Parameters
    ----------
    config : CA3Config
    rng : numpy.random.Generator
        Draws the wiring.

    Attributes
    ----------
    forward, backward : CountSynapses or None
        Hetero-association from a pattern to its successor and to its predecessor; made by the
        first sequence.
    fatigue : (n_units,) float32 [standard deviations of the drive]
        Adaptation of each cell.

    References
    ----------
    Sompolinsky & Kanter (1986) Phys. Rev. Lett. 57:2861 (delayed association);
    Mishra et al. (2016) Nat. Commun. 7:11552 (symmetric plasticity, which reverse replay needs).
    """

    def __init__(self, config: CA3Config, rng: np.random.Generator) -> None:
        super().__init__(config, rng)
        self.forward: CountSynapses | None = None
        self.backward: CountSynapses | None = None
        self.fatigue = np.zeros(config.n_units, dtype=np.float32)

    # Writing

    def decay(self, fraction: float, rng: np.random.Generator) -> None:
        """Let every unit of every count fade with a chance of `fraction`."""
        for synapses in self._all():
            synapses.decay(fraction, rng)

    def store_sequence(self, codes: Sequence[SparseCode], auto: bool = True) -> Written:
        """Store that each pattern is followed by the next, one delay later.

        A pattern may come again in the same or another sequence: sequences branch and close.

        Parameters
        ----------
        codes : sequence of SparseCode
            Two or more.
        auto : bool
            Store each of the patterns themselves too, once.

        Raises
        ------
        ConfigError
            For fewer than two patterns, or one of another population.
        """
        if len(codes) < 2:
            raise ConfigError.expected(
                self, "store_sequence", "two patterns or more", len(codes), "use store for one"
            )
        for code in codes:
            self._check("store_sequence", code)
        if self.forward is None or self.backward is None:
            need = 2 * self.auto.weights.nbytes
            require_memory(need, "the synapses of sequences, forward and backward")
            self.forward, self.backward = self._synapses(1), self._synapses(2)
        written = []
        if auto:
            distinct = {code.active.tobytes(): code for code in codes}
            written += [self.store(code) for code in distinct.values()]
        for code, following in zip(codes, codes[1:], strict=False):
            written.append(self._write(self.forward, code, following, 1))
            written.append(self._write(self.backward, following, code, 1))
        return Written(sum(w.n_events for w in written), sum(w.n_lost for w in written))

    # Replay

    def replay(self, n: int, rng: np.random.Generator) -> list[Recall]:
        """Let the network reactivate by itself, `n` bursts.

        Each burst starts from noise; tired cells stay away from it, so that the state hops from
        attractor to attractor.
        """
        bursts = []
        for _ in range(n):
            start = SparseCode.random(self.config.n_units, self.config.k, rng)
            drive = self.drive(start, self.config.trust[0])
            spread = max(float(drive.std()), 1e-12)
            noise = rng.standard_normal(self.config.n_units, dtype=np.float32)
            drive = drive / spread + self.config.noise * noise - self.fatigue
            burst = self._settle(self._fire(drive), self.config.trust)
            self.fatigue *= np.float32(self.config.recovery)
            self.fatigue[burst.code.active] += np.float32(self.config.adaptation)
            bursts.append(burst)
        return bursts

    def replay_sequence(
        self,
        start: SparseCode,
        reverse: bool = False,
        n_steps: int = 64,
        rng: np.random.Generator | None = None,
    ) -> list[Recall]:
        """Go from pattern to pattern until nothing follows.

        Parameters
        ----------
        start : SparseCode
            A cue of the first pattern (of the last, in reverse).
        reverse : bool
            Through the synapses to the predecessors.
        n_steps : int
            Longest replay: a cycle does not end by itself.
        rng : numpy.random.Generator, optional
            Noise of the drive; at a branch it decides.

        Returns
        -------
        list of Recall
            The completed cue first.

        Raises
        ------
        ConfigError
            For a start of another population, or before any sequence was stored.
        """
        self._check("replay_sequence", start)
        synapses = self.backward if reverse else self.forward
        if synapses is None:
            raise ConfigError.expected(
                self, "replay_sequence", "a stored sequence", "none", "call store_sequence first"
            )
        visited = [self.recall(start)]
        while len(visited) < n_steps:
            state = visited[-1].code
            drive = self._drive(synapses, state, self.config.trust[-1])
            if self.config.readout == "bayesian":  # Only log odds can be added to log odds.
                drive += readouts.bias(synapses.post_use, synapses.n_stored)
            if rng is not None:
                spread = self.config.noise * float(drive.std())
                drive = drive + spread * rng.standard_normal(len(drive))
            following = self._fire(drive)
            if self._evidence(synapses, state, following) < self.config.end:
                break
            visited.append(self._settle(following, self.config.trust))
        return visited

    # State

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """The named arrays that make up the memory."""
        arrays: dict[str, NDArray[Any]] = {"seeds": self._seeds, "fatigue": self.fatigue}
        for name in ("auto", "forward", "backward"):
            synapses = getattr(self, name)
            if synapses is not None:
                arrays |= {f"{name}/{key}": array for key, array in synapses.state.items()}
        return arrays

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Take a saved state back, wiring included.

        Raises
        ------
        CorruptFileError
            When an array is missing or of another shape or type; nothing is changed then.
        """
        check_arrays(self, {"seeds": self._seeds, "fatigue": self.fatigue}, state)
        old = self._seeds
        self._seeds = state["seeds"].copy()
        try:
            built: dict[str, CountSynapses | None] = {}
            for number, name in enumerate(("auto", "forward", "backward")):
                part = {
                    key.partition("/")[2]: array
                    for key, array in state.items()
                    if key.startswith(f"{name}/")
                }
                synapses = self._synapses(number) if part or name == "auto" else None
                if synapses is not None:
                    synapses.restore(part)
                built[name] = synapses
        except (CorruptFileError, CapacityError):
            self._seeds = old
            raise
        for name, restored in built.items():
            setattr(self, name, restored)
        self.fatigue = state["fatigue"].copy()

    def to_bytes(self) -> bytes:
        """Return the state as a sealed HDF5 file."""
        return pack_hdf5(self.state, {"circuit": "CA3"})

    def from_bytes(self, data: bytes, source: str = "CA3") -> None:
        """Take a state back from `to_bytes`; see `restore`.

        Raises
        ------
        CorruptFileError
            If a single bit differs.
        """
        self.restore(unpack_hdf5(data, source)[0])

    # Within

    def _all(self) -> list[CountSynapses]:
        return [s for s in (self.auto, self.forward, self.backward) if s is not None]

    def _evidence(self, synapses: CountSynapses, state: SparseCode, following: SparseCode) -> float:
        """Return the potentiated share of the synapses onto the next state, 0 chance and 1 all."""
        slots = synapses.coincident(state, following)
        rows, columns = np.divmod(slots, synapses.connectivity.fan_out)
        used = np.mean(synapses.read(rows, columns) > 0) if slots.size else 0.0
        mean = synapses.pre_use[state.active].mean() * synapses.post_use[following.active].mean()
        chance = -np.expm1(-mean / max(synapses.n_stored, 1.0))
        return float((used - chance) / max(1.0 - chance, 1e-9))
