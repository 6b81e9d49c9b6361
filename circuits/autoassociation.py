"""Auto-association: recurrent synapses store a pattern in one shot and complete a part of it."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from circuits import free_capacity, inhibition, readouts
from circuits.attractor import Recall, settle
from circuits.ca3_config import CA3Config
from circuits.free_capacity import Drive, Gauge, Trust, chance_patterns
from neurosim.codes import SparseCode, corrupted
from neurosim.errors import ConfigError, NumericalError
from neurosim.resources import require_memory
from neurosim.synapses import CountSynapses


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


class Autoassociation:
    """Recurrent network that stores a pattern in one shot and completes it from a fragment.

    Every synapse counts how often both its cells were active in a stored pattern. At recall a cell
    sums what its active synapses' counts are worth (`circuits.readouts`) and inhibition lets about
    k cells fire.

    Parameters
    ----------
    config : CA3Config
    rng : numpy.random.Generator
        Draws the wiring.

    Attributes
    ----------
    auto : CountSynapses
        Auto-association.

    Raises
    ------
    CapacityError
        When the network does not fit into memory, before it is built.

    References
    ----------
    Marr (1971) Phil. Trans. R. Soc. B 262:23; Treves & Rolls (1991) Network 2:371.
    """

    def __init__(self, config: CA3Config, rng: np.random.Generator) -> None:
        self.config = config
        require_memory(config.required_bytes, f"a CA3 of {config.n_units:,} x {config.fan_in:,}")
        self._seeds = rng.integers(1 << 63, size=3, dtype=np.int64)
        self.auto = self._synapses(0)
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

    def drive(self, state: SparseCode, trust: Trust) -> NDArray[np.float64]:
        """Return the drive ``(n_units,)`` of every cell through the auto-association."""
        return self._drive(self.auto, state, trust)

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
            prior = self._prior(cue, config.trust[0], n_stored)
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

    # Within

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
        self, synapses: CountSynapses, state: SparseCode, trust: Trust
    ) -> NDArray[np.float64]:
        pre, post, expected = self._classes(synapses)
        levels = synapses.largest + 1
        table, first = readouts.tables(self.config.readout, expected, synapses.most, trust, levels)
        return synapses.score(state, readouts.trusted(pre, state, first), post, table)

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

    def _prior(self, cue: SparseCode, trust: float, n_stored: float | None = None) -> float:
        """Return what being in the cue says of a cell, in the units of the read-out."""
        k, n_units = self.config.k, self.config.n_units
        chance = min(free_capacity.mean_count(self.auto, k, n_stored), self.auto.most)
        nat = readouts.nat(self.config.readout, chance, trust)
        return nat * readouts.prior(len(cue), k, n_units, trust)

    def _believe(self, drives: NDArray[np.floating]) -> NDArray[np.float64]:
        return readouts.belief(drives, self.config.sparsity)

    def _settle(
        self,
        cue: SparseCode,
        trust: tuple[float, ...],
        drive: Drive | None = None,
        prior: float = 0.0,
    ) -> Recall:
        believe = self._believe if self.config.readout == "bayesian" else None
        steps = self.config.steps
        return settle(cue, drive or self.drive, self._fire, trust, steps, prior, believe)

    def _check(self, action: str, code: SparseCode) -> None:
        if code.n_units != self.config.n_units or not 0 < len(code) < code.n_units:
            raise ConfigError.expected(
                self,
                action,
                f"a code of {self.config.n_units} cells, some active and not all",
                f"{len(code)} active of {code.n_units}",
                "encode with the dentate gyrus of this circuit",
            )
