"""The hippocampus for static patterns: entorhinal -> dentate -> CA3 -> CA1 -> entorhinal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.association import Association
from circuits.ca3 import CA3, CA3Config
from circuits.dentate_gyrus import DentateConfig, DentateGyrus
from circuits.homeostasis import Homeostasis
from circuits.pattern_ca1 import PatternCA1, PatternCA1Config
from circuits.perforant_path import GeneratedPath
from neurosim.codes import SparseCode
from neurosim.connectivity import Generated
from neurosim.contracts import Rule
from neurosim.errors import ConfigError
from neurosim.randomness import Streams
from neurosim.transmission import push


@dataclass(frozen=True)
class PatternHippocampusConfig:
    """Sizes of the regions, and the ablations.

    Parameters
    ----------
    n_input : int
        Entorhinal cells.
    dentate, ca3, ca1 : configurations of the regions
    mossy_fan_out : int
        CA3 cells that one granule cell reaches.
    perforant_fan_in : int
        Entorhinal synapses of a CA3 cell.
    mossy_at_recall : float
        Weight of the mossy fibres against the perforant path when a cue arrives: weak, since the
        dentate gyrus separates a cue from its memory as it separates any two inputs.
    novelty : float
        Mismatch in CA1 above which acetylcholine rises by itself.
    separation : bool
        False by-passes the dentate gyrus: entorhinal cells drive CA3 directly, at random.
    nmda : bool
        False knocks the NMDA receptors of CA3 out: neither its recurrent nor its perforant synapses
        learn, mossy fibres and CA1 do without.

    Raises
    ------
    ConfigError
        For fewer than 2 input cells, or a fan-out or fan-in that the regions do not have room for.
    """

    n_input: int = 1024
    dentate: DentateConfig = field(
        default_factory=lambda: DentateConfig(8192, sparsity=0.02, connectivity=0.2)
    )
    ca3: CA3Config = field(default_factory=CA3Config)
    ca1: PatternCA1Config = field(default_factory=PatternCA1Config)
    mossy_fan_out: int = 16
    perforant_fan_in: int = 512
    mossy_at_recall: float = 0.2
    novelty: float = 0.5
    separation: bool = True
    nmda: bool = True

    def __post_init__(self) -> None:
        if self.n_input < 2:
            raise ConfigError.expected(self, "n_input", "2 cells or more", self.n_input, "try 1024")
        if not 1 <= self.mossy_fan_out <= self.ca3.n_units or self.perforant_fan_in < 1:
            raise ConfigError(
                f"PatternHippocampusConfig.mossy_fan_out: expected 1..{self.ca3.n_units} cells and "
                f"a perforant fan-in of 1 or more, got {self.mossy_fan_out} and "
                f"{self.perforant_fan_in}; try 16 and 512"
            )


@dataclass(frozen=True, eq=False)
class Memory:
    """What was written for one pattern; what `release` takes back."""

    pattern: SparseCode
    ca3: SparseCode


@dataclass(frozen=True, eq=False)
class Recollection:
    """What a cue, or noise, brought back.

    Parameters
    ----------
    pattern : SparseCode of n_input
        The entorhinal pattern read out.
    ca3, ca1 : SparseCode
        The codes it was read from.
    settled : bool
        Whether CA3 came to rest.
    """

    pattern: SparseCode
    ca3: SparseCode
    ca1: SparseCode
    settled: bool


@dataclass(frozen=True, eq=False)
class Experience:
    """What happened when a pattern was met.

    Parameters
    ----------
    recollection : Recollection
        What it reminded of.
    novelty : float
        Mismatch between that and what is there, 0..1.
    acetylcholine : float
        The level that followed.
    memory : Memory or None
        What was written, if anything.
    """

    recollection: Recollection
    novelty: float
    acetylcholine: float
    memory: Memory | None


class PatternHippocampus:
    """A fast memory for static patterns such as images.

    Acetylcholine gates it. High: mossy fibres alone decide which CA3 cells fire, recurrent and
    perforant transmission is suppressed so that old memories do not blend into the new one, and
    synapses learn. Low: the perforant path and the recurrent synapses complete the cue, and nothing
    is written. In between, both drives add up with weights A and 1 - A.

    Parameters
    ----------
    config : PatternHippocampusConfig
    streams : Streams
        Every region draws its wiring from its own stream.
    rule : Rule, optional
        Of the plastic perforant synapses onto granule cells (such as rules.instar); fixed without.

    References
    ----------
    Treves & Rolls (1992) Hippocampus 2:189 (mossy fibres store, the perforant path recalls);
    Hasselmo, Wyble & Wallenstein (1996) Hippocampus 6:693 (acetylcholine); Lisman (1999) Neuron
    22:233 (novelty); Nakazawa et al. (2002) Science 297:211 (the knock-out).
    """

    def __init__(
        self, config: PatternHippocampusConfig, streams: Streams, rule: Rule | None = None
    ) -> None:
        self.config = config
        ca3 = config.ca3
        rng = streams.generator("dentate_gyrus")
        self.dentate = DentateGyrus(config.dentate, config.n_input, rng, rule)
        seed = streams.seed_for("mossy")
        self.mossy = Generated(config.dentate.n_units, ca3.n_units, config.mossy_fan_out, seed)
        fan_out = max(1, round(config.perforant_fan_in * ca3.n_units / config.n_input))
        self.direct = GeneratedPath(
            config.n_input, ca3.n_units, min(fan_out, ca3.n_units), streams.seed_for("direct")
        )
        self.perforant = Association(
            config.n_input, ca3.n_units, config.perforant_fan_in, streams.seed_for("perforant")
        )
        self.homeostasis = Homeostasis(ca3.n_units)
        self.ca3 = CA3(ca3, streams.generator("ca3"))
        self.ca1 = PatternCA1(config.ca1, ca3.n_units, config.n_input, streams.generator("ca1"))
        self._births = streams.generator("neurogenesis")

    def mature(self, patterns: list[SparseCode]) -> None:
        """Develop: cells learn their usual drive from patterns that are not remembered."""
        activity = np.stack([pattern.to_dense(np.float32) for pattern in patterns])
        if self.config.separation:
            self.dentate.mature(activity)
            self.homeostasis.learn(np.stack([self._mossy_drive(row) for row in activity]))
        self.ca1.mature(activity)

    def store(self, pattern: SparseCode, acetylcholine: float = 1.0) -> Memory:
        """Write a pattern in one shot.

        Parameters
        ----------
        pattern : SparseCode of n_input
        acetylcholine : float
            1 as it should be; a lower level lets old memories into the new one.

        Raises
        ------
        ConfigError
            When the pattern is empty, all active or of another size, or the level outside 0..1.
        """
        self._check(pattern, acetylcholine)
        code = self._encode(pattern, acetylcholine)
        if self.config.separation:
            self.dentate.learn(pattern.to_dense(np.float32), self._births)  # type: ignore[arg-type]
        return self._write(Memory(pattern, code), 1)

    def release(self, memory: Memory) -> None:
        """Take a memory's synapses back; all others are as if it had never been stored.

        What the dentate gyrus learnt stays.
        """
        self._write(memory, -1)

    def recall(self, cue: SparseCode) -> Recollection:
        """Complete a cue, a part of a stored pattern or a distorted one."""
        self._check(cue, 0.0)
        start = self._fire(self._cue_drive(cue))
        if not self.config.nmda:
            return self._read_out(start, True)
        found = self.ca3.recall(start)
        return self._read_out(found.code, found.settled)

    def novelty(self, pattern: SparseCode) -> float:
        """Return how far a pattern is from what it reminds of, 0 known to 1 new."""
        return self.ca1.mismatch(self.recall(pattern).ca3, pattern)

    def experience(self, pattern: SparseCode, acetylcholine: float | None = None) -> Experience:
        """Meet a pattern: retrieve first, and write it if acetylcholine is high.

        Parameters
        ----------
        pattern : SparseCode of n_input
        acetylcholine : float, optional
            From outside, 0..1; written from 0.5 on. By default novelty sets it: 1 if the mismatch
            in CA1 is above the configuration's bar and 0 if not.
        """
        reminded = self.recall(pattern)
        novelty = self.ca1.mismatch(reminded.ca3, pattern)
        level = float(novelty > self.config.novelty) if acetylcholine is None else acetylcholine
        memory = self.store(pattern, level) if level >= 0.5 else None
        return Experience(reminded, novelty, level, memory)

    def replay(self, n: int, rng: np.random.Generator) -> list[Recollection]:
        """Let CA3 reactivate by itself, `n` bursts, and read each out."""
        return [self._read_out(burst.code, burst.settled) for burst in self.ca3.replay(n, rng)]

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """Return the named arrays that make up the memory; fixed wiring follows from the seed."""
        arrays: dict[str, NDArray[Any]] = {
            "homeostasis/counts": self.homeostasis.counts,
            "homeostasis/mean": self.homeostasis.mean,
            "homeostasis/squares": self.homeostasis.squares,
        }
        for name, part in self._parts().items():
            arrays |= {f"{name}/{key}": values for key, values in part.state.items()}
        return arrays

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take a saved state back, into a hippocampus of the same configuration and seed."""
        for name in ("counts", "mean", "squares"):
            getattr(self.homeostasis, name)[...] = state[f"homeostasis/{name}"]
        for name, part in self._parts().items():
            start = f"{name}/"
            part.restore(
                {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
            )

    def _parts(self) -> dict[str, Any]:
        return {
            "dentate": self.dentate,
            "perforant": self.perforant.synapses,
            "ca3": self.ca3,
            "ca1": self.ca1,
        }

    def _encode(self, pattern: SparseCode, acetylcholine: float) -> SparseCode:
        new = self._new_drive(pattern)
        if acetylcholine >= 1.0 or not self.config.nmda:
            return self._fire(new)
        old = _standard(self._cue_drive(pattern))
        state = self._fire(acetylcholine * new + (1.0 - acetylcholine) * old)
        for trust in self.config.ca3.trust:
            old = _standard(self.ca3.drive(state, trust))
            state = self._fire(acetylcholine * new + (1.0 - acetylcholine) * old)
        return state

    def _write(self, memory: Memory, amount: int) -> Memory:
        if self.config.nmda:
            self.perforant.write(memory.pattern, memory.ca3, amount)
            if amount > 0:
                self.ca3.store(memory.ca3)
            else:
                self.ca3.release(memory.ca3)
        self.ca1.write(memory.ca3, memory.pattern, amount)
        return memory

    def _new_drive(self, pattern: SparseCode) -> NDArray[np.float64]:
        """Return the drive that makes a new CA3 code, normalised."""
        if not self.config.separation:
            return _standard(self.direct.drive_of(pattern))
        drive = self._mossy_drive(pattern.to_dense(np.float32))  # type: ignore[arg-type]
        return _standard(self.homeostasis.normalise(drive[None])[0])

    def _cue_drive(self, cue: SparseCode) -> NDArray[np.float64]:
        """Return the drive with which a cue starts retrieval."""
        return self.config.mossy_at_recall * self._new_drive(cue) + _standard(
            self.perforant.drive(cue)
        )

    def _mossy_drive(self, activity: NDArray[np.float32]) -> NDArray[np.float32]:
        z = self.dentate.normalised(activity[None])[0]
        granules = self.dentate.inhibition.winners(z)
        return push(self.mossy, granules, gain=z)

    def _fire(self, drive: NDArray[np.floating]) -> SparseCode:
        return SparseCode.winners(drive, self.config.ca3.k)

    def _read_out(self, ca3: SparseCode, settled: bool) -> Recollection:
        code = self.ca1.predict(ca3)
        return Recollection(self.ca1.decode(code), ca3, code, settled)

    def _check(self, pattern: SparseCode, acetylcholine: float) -> None:
        if pattern.n_units != self.config.n_input or not 0 < len(pattern) < pattern.n_units:
            raise ConfigError.expected(
                self,
                "pattern",
                f"a code of {self.config.n_input} cells, some active and not all",
                f"{len(pattern)} active of {pattern.n_units}",
                "make one entorhinal cell of each element of the pattern",
            )
        if not 0.0 <= acetylcholine <= 1.0:
            raise ConfigError.expected(
                self, "acetylcholine", "a level from 0 to 1", acetylcholine, "use 0 or 1"
            )


def _standard(drive: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return a drive with mean 0 and deviation 1 over the cells; zero if all cells are alike."""
    centred = drive.astype(np.float64) - float(drive.mean())
    return centred / (float(drive.std()) or 1.0)
