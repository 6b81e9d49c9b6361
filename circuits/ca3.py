"""CA3: a recurrent memory of sparse patterns, of any size up to a rat's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from circuits import free_capacity, inhibition, readouts
from circuits.attractor import Recall, settle
from circuits.ca3_config import CA3Config
from circuits.free_capacity import Drive, Gauge, chance_patterns
from neurosim.codes import SparseCode, corrupted
from neurosim.errors import CapacityError, ConfigError, CorruptFileError, NumericalError
from neurosim.hdf5 import pack_hdf5, unpack_hdf5
from neurosim.resources import require_memory
from neurosim.synapses import CountSynapses, check_state


@dataclass(frozen=True, eq=False)
class Written:
    """What storing, releasing or overwriting did.

    Parameters
    ----------
    n_events : int
        Synapses written.
    n_lost : int
        Steps that counts at their bound did not take; 0 means that the change can be undone.
    """

    n_events: int
    n_lost: int


class CA3:
    """Recurrent network that stores a pattern in one shot and completes it from a fragment.

    Auto-association counts, for every synapse, how often both its cells were active in a stored
    pattern; hetero-association, in synapses of its own, how often one was active a delay before
    the other. At recall a cell sums what its active synapses' counts are worth
    (`circuits.readouts`) and inhibition lets about k cells fire.

    Parameters
    ----------
    config : CA3Config
    rng : numpy.random.Generator
        Draws the wiring.

    Attributes
    ----------
    auto : CountSynapses
        Auto-association.
    forward, backward : CountSynapses or None
        Hetero-association from a pattern to its successor and to its predecessor; made by the
        first sequence.
    fatigue : (n_units,) float32 [standard deviations of the drive]
        Adaptation of each cell.

    Raises
    ------
    CapacityError
        When the network does not fit into memory, before it is built.

    References
    ----------
    Marr (1971) Phil. Trans. R. Soc. B 262:23; Treves & Rolls (1991) Network 2:371;
    Sompolinsky & Kanter (1986) Phys. Rev. Lett. 57:2861 (delayed association);
    Mishra et al. (2016) Nat. Commun. 7:11552 (symmetric plasticity, which reverse replay needs).
    """

    def __init__(self, config: CA3Config, rng: np.random.Generator) -> None:
        self.config = config
        require_memory(config.required_bytes, f"a CA3 of {config.n_units:,} x {config.fan_in:,}")
        self._seeds = rng.integers(1 << 63, size=3, dtype=np.int64)
        self.auto = self._synapses(0)
        self.forward: CountSynapses | None = None
        self.backward: CountSynapses | None = None
        self.fatigue = np.zeros(config.n_units, dtype=np.float32)
        self._sorted: WeakKeyDictionary[CountSynapses, tuple[int, readouts.Classes]]
        self._sorted = WeakKeyDictionary()

    # Writing

    def store(self, code: SparseCode) -> Written:
        """Store a pattern in one shot; beyond capacity too, where recall of all suffers."""
        self._check("store", code)
        return self._write(self.auto, code, code, 1)

    def release(self, code: SparseCode) -> Written:
        """Take a stored pattern back: the others are as if it had never been stored.

        Exact if nothing was lost at a bound, neither now nor when it was stored.

        Raises
        ------
        ConfigError
            For counts of one bit, which do not know how many patterns share them.
        """
        self._check("release", code)
        if self.config.bits == 1:
            raise ConfigError.expected(
                self, "release", "counts of 4 or 8 bits", "1 bit", "build the circuit with more"
            )
        if self.auto.n_stored < 1:
            raise ConfigError.expected(self, "release", "a stored pattern", "none", "store first")
        return self._write(self.auto, code, code, -1)

    def overwrite(self, old: SparseCode, new: SparseCode) -> Written:
        """Release one pattern and store another in its place."""
        first, second = self.release(old), self.store(new)
        return Written(first.n_events + second.n_events, first.n_lost + second.n_lost)

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

    # Reading

    def recall(
        self,
        cue: SparseCode,
        trust: tuple[float, ...] | None = None,
        must_settle: bool = False,
    ) -> Recall:
        """Complete a cue by attractor steps.

        Parameters
        ----------
        cue : SparseCode
            Any number of cells, right or wrong.
        trust : tuple of float, optional
            Instead of the configuration's.
        must_settle : bool
            Raise an error if no fixed point is reached.

        Raises
        ------
        NumericalError
            With `must_settle`, saying the steps taken and the overlap of the last two states.
        """
        self._check("recall", cue)
        trust = trust or self.config.trust
        found = self._settle(cue, trust, prior=self._prior(cue, trust[0]))
        if must_settle and not found.settled:
            raise NumericalError.expected(
                self,
                "recall",
                f"a fixed point within {found.n_steps} steps",
                f"an overlap of {found.overlaps[-1]:.3f} between the last two states",
                "raise steps or store less",
            )
        return found

    def drive(self, state: SparseCode, trust: float) -> NDArray[np.float64]:
        """Return the drive ``(n_units,)`` of every cell through the auto-association."""
        return self._drive(self.auto, state, trust)

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

    # How full it is

    def predicted_recall(
        self,
        cue_fraction: float = 0.5,
        wrong_fraction: float = 0.0,
        n_stored: float | None = None,
        probes: int = 8,
        rng: np.random.Generator | None = None,
        code: SparseCode | None = None,
    ) -> float:
        """Predict how well the next pattern will be recalled, before it is stored.

        The network rehearses: random patterns are recalled as if their synapses had counted once
        more, and nothing is written. For another number of patterns than there are, the loads of
        the cells say what counts to expect, and a network with counts drawn from that expectation
        completes the cue.

        Parameters
        ----------
        cue_fraction, wrong_fraction : float
            Right and wrong cells of the cue, over k.
        n_stored : float, optional
            As if that many patterns were stored; as many as there are by default.
        probes : int
            Patterns to average over.
        rng : numpy.random.Generator, optional
            Draws patterns, cues and counts.
        code : SparseCode, optional
            The pattern in question; random ones by default.

        Returns
        -------
        float
            Mean overlap, 0..1.
        """
        rng = rng or np.random.default_rng(0)
        here = n_stored is None or n_stored == self.auto.n_stored
        config = self.config
        overlaps = []
        for _ in range(probes):
            drawn = SparseCode.random(config.n_units, config.k, rng)
            pattern = drawn if code is None else code
            cue = corrupted(pattern, cue_fraction, wrong_fraction, rng)
            seed = int(rng.integers(1 << 63))
            drive = (
                free_capacity.rehearsed(self.auto, config.readout, config.k, pattern)
                if here
                else free_capacity.imagined(
                    self.auto, config.readout, config.k, pattern, n_stored, seed
                )
            )
            prior = self._prior(cue, config.trust[0])
            found = self._settle(cue, config.trust, drive, prior)
            overlaps.append(found.code.overlap(pattern))
        return float(np.mean(overlaps))

    def gauge(self, criterion: float = 0.5, cue_fraction: float = 0.5, probes: int = 2) -> Gauge:
        """Measure how full the memory is.

        Parameters
        ----------
        criterion : float
            Full is where the predicted recall of the next pattern falls below it.
        cue_fraction, probes
            As for `predicted_recall`.
        """

        def recalled(n: float) -> float:
            return self.predicted_recall(cue_fraction, n_stored=n, probes=probes)

        return free_capacity.gauge(self.auto, self.config.k, criterion, recalled)

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
        check_state(self, {"seeds": self._seeds, "fatigue": self.fatigue}, state)
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

    def _synapses(self, number: int) -> CountSynapses:
        wiring = self.config.connect(int(self._seeds[number]))
        return CountSynapses(
            wiring, self.config.bits, recurrent=number == 0, threads=self.config.threads
        )

    def _write(
        self, synapses: CountSynapses, pre: SparseCode, post: SparseCode, amount: int
    ) -> Written:
        change = synapses.potentiate(pre, post, amount)
        return Written(change.n_events, change.n_lost)

    def _drive(
        self, synapses: CountSynapses, state: SparseCode, trust: float
    ) -> NDArray[np.float64]:
        pre, post, expected = self._classes(synapses)
        levels = synapses.largest + 1
        table = readouts.table(self.config.readout, expected, synapses.most, trust, levels)
        return synapses.score(state, pre, post, table)

    def _classes(self, synapses: CountSynapses) -> readouts.Classes:
        """Sort the synapses by what chance counts; anew only when their loads have changed."""
        known = self._sorted.get(synapses)
        if known is None or known[0] != synapses.changes:
            n_stored, pre_use, post_use = synapses.n_stored, synapses.pre_use, synapses.post_use
            if synapses is self.auto:
                n_stored, pre_use = chance_patterns(n_stored, self.config.k), post_use
            inputs = synapses.connectivity.fan_in * self.config.sparsity
            known = synapses.changes, readouts.classify(pre_use, post_use, n_stored, inputs)
            self._sorted[synapses] = known
        return known[1]

    def _fire(self, drive: NDArray[np.floating]) -> SparseCode:
        inhibit = inhibition.exact if self.config.inhibition == "exact" else inhibition.feedback
        return inhibit(drive, self.config.k)

    def _prior(self, cue: SparseCode, trust: float) -> float:
        """Return what being in the cue says of a cell: only log odds can be added to log odds."""
        if self.config.readout != "bayesian":
            return 0.0
        return readouts.prior(len(cue), self.config.k, self.config.n_units, trust)

    def _settle(
        self,
        cue: SparseCode,
        trust: tuple[float, ...],
        drive: Drive | None = None,
        prior: float = 0.0,
    ) -> Recall:
        return settle(cue, drive or self.drive, self._fire, trust, self.config.steps, prior)

    def _evidence(self, synapses: CountSynapses, state: SparseCode, following: SparseCode) -> float:
        """Return the potentiated share of the synapses onto the next state, 0 chance and 1 all."""
        slots = synapses.coincident(state, following)
        rows, columns = np.divmod(slots, synapses.connectivity.fan_out)
        used = np.mean(synapses.read(rows, columns) > 0) if slots.size else 0.0
        mean = synapses.pre_use[state.active].mean() * synapses.post_use[following.active].mean()
        chance = -np.expm1(-mean / max(synapses.n_stored, 1.0))
        return float((used - chance) / max(1.0 - chance, 1e-9))

    def _check(self, action: str, code: SparseCode) -> None:
        if code.n_units != self.config.n_units or not 0 < len(code) < code.n_units:
            raise ConfigError.expected(
                self,
                action,
                f"a code of {self.config.n_units} cells, some active and not all",
                f"{len(code)} active of {code.n_units}",
                "encode with the dentate gyrus of this circuit",
            )
