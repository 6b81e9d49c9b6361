"""The arms of an experiment on one night: one brain, one day, one way to spend the night."""

import dataclasses
import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray

from circuits.brain import Brain
from circuits.brain_config import BrainConfig
from circuits.night import Burst, Night, NightConfig
from circuits.night_growth import PlasticityConfig
from experiments.childhood import DATA, MODEL, heldout_perplexity, shipped_facts
from experiments.examination import cloze, examine_items
from neurosim.errors import CapacityError, ConfigError, StorageError, nearest_name
from neurosim.hdf5 import pack_hdf5, unpack_hdf5
from neurosim.ledger import counting
from neurosim.metrics import exact_recall, steps_to_criterion, transformer_flops
from neurosim.resources import ResourceMeter
from neurosim.text import Sentence
from neurosim.versioned import DirectoryLock
from rules.willshaw import Willshaw

ARMS = ("night", "naive", "raw replay", "no REM", "no gate", "dense codes", "no sleep")
PROBE_EVERY = 60


@dataclass(frozen=True)
class ArmConfig:
    """One way to spend a night.

    Parameters
    ----------
    arm : str
        Of `ARMS`.
    seed : int
    known : int
        Sentences the model knows already, mixed into the day for the gate to refuse.
    night : NightConfig
    plasticity : PlasticityConfig
    brain : str
        Directory in which the brain is left; empty for none. A brain that lies there is replaced.
    """

    arm: str = "night"
    seed: int = 0
    known: int = 0
    night: NightConfig = field(default_factory=NightConfig)
    plasticity: PlasticityConfig = field(default_factory=PlasticityConfig)
    brain: str = ""

    def __post_init__(self) -> None:
        if self.arm not in ARMS:
            raise ConfigError(
                f"ArmConfig.arm: expected one of {', '.join(ARMS)}, got {self.arm}; "
                f"did you mean {nearest_name(self.arm, ARMS) or ARMS[0]}?"
            )


@dataclass(frozen=True)
class ArmResult:
    """What one arm did at one seed.

    Parameters
    ----------
    arm : str
    seed : int
    metrics : dict of str to float
    curve : list of (int, float)
        Gradient steps, and recall of the day's items after them.
    answers : list of dict
        Cue, truth and the answers before, after the day and after the night.
    bursts : list of Burst
    cycles : list of (int, int)
        Memories replayed and mastered, cycle by cycle.
    overlaps : dict of str to array
        Overlap matrices of the day's sentences, region by region.
    potentiated : list of int
        Synapses in use before the day, after it and after the night.
    n_synapses : int
    """

    arm: str
    seed: int
    metrics: dict[str, float]
    curve: list[tuple[int, float]]
    answers: list[dict[str, Any]]
    bursts: list[Burst]
    cycles: list[tuple[int, int]]
    overlaps: dict[str, NDArray[Any]]
    potentiated: list[int]
    n_synapses: int

    def pack(self) -> bytes:
        """Return everything as a sealed HDF5 file."""
        notes = {k: v for k, v in asdict(self).items() if k != "overlaps"}
        return pack_hdf5(self.overlaps, {"notes": json.dumps(notes)})

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Take back what `pack` returned."""
        overlaps, attributes = unpack_hdf5(data, "an arm's result")
        notes = json.loads(attributes["notes"])
        notes["bursts"] = [Burst(**burst) for burst in notes["bursts"]]
        for name in ("curve", "cycles"):
            notes[name] = [tuple(pair) for pair in notes[name]]
        return cls(overlaps=overlaps, **notes)


def check_replaceable(path: Path) -> None:
    """See that at `path` lies nothing, or a brain that nobody works on.

    Raises
    ------
    StorageError
        When something else lies there.
    BrainBusyError
        When another process works on it.
    """
    if path.exists():
        if not (path / "brain.json").exists():
            raise StorageError(f"{path} exists and is no brain; choose another --out")
        with DirectoryLock(path):
            pass


def run_arm(config: ArmConfig, sentences: list[Sentence]) -> ArmResult:
    """Run one arm on one thread."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    with counting() as ledger, ResourceMeter() as meter:
        result = _Arm(config, sentences).run()
    costs = {key: float(value) for key, value in ledger.as_dict().items()}
    return dataclasses.replace(result, metrics=result.metrics | costs | meter.as_dict())


class _Arm:
    """One brain, one day, one way to spend the night."""

    def __init__(self, config: ArmConfig, sentences: list[Sentence]) -> None:
        self.config, self.arm, self.seed = config, config.arm, config.seed
        self.items = examine_items(sentences)
        self.pairs = [(item.cue, item.answer) for item in self.items]
        brain_config = BrainConfig(
            seed=config.seed,
            gate=config.arm != "no gate",
            separation=config.arm != "dense codes",
            night=dataclasses.replace(config.night, rem=config.arm != "no REM"),
        )
        path = Path(config.brain) if config.brain else None
        if path is not None:
            check_replaceable(path)
            shutil.rmtree(path, ignore_errors=True)
        self.brain = Brain.create(path, MODEL, Willshaw(), brain_config)
        self.brain.cortex.plasticity = config.plasticity
        self.day_text = self._with_known(sentences)
        self.curve: list[tuple[int, float]] = []

    def run(self) -> ArmResult:
        """Examine, live, examine, sleep, examine."""
        gauges = [self.brain.hippocampus.gauge()]
        metrics, said_before = self._exam("before")
        by_day, said_day = self._day()
        gauges.append(self.brain.hippocampus.gauge())
        metrics |= by_day | {"capacity_used_day": gauges[1].used}
        overlaps = self._overlaps() if self.arm == "night" else {}
        bursts, cycles, freed, n_steps, n_tokens = self._night()
        gauges.append(self.brain.hippocampus.gauge())
        after, said_night = self._exam("after")
        n_parameters = self.brain.n_parameters
        metrics |= after | {
            "capacity_used_night": gauges[2].used,
            "freed": freed,
            "n_steps": n_steps,
            "n_parameters": n_parameters,
            "flops": transformer_flops(n_parameters, n_tokens, backward=True),
        }
        metrics["forgetting"] = metrics["base_before"] - metrics["base_after"]
        metrics["backward_transfer"] = -metrics["forgetting"]
        learnt = self.curve or [(0, metrics["new_recall"])]
        steps, recall = zip(*learnt, strict=True)
        metrics["steps_to_90"] = steps_to_criterion(steps, recall)
        return ArmResult(
            self.arm,
            self.seed,
            {key: float(value) for key, value in metrics.items()},
            self.curve,
            self._answers(said_before, said_day, said_night),
            bursts,
            cycles,
            overlaps,
            [gauge.potentiated for gauge in gauges],
            gauges[1].n_synapses,
        )

    def _exam(self, when: Literal["before", "after"]) -> tuple[dict[str, float], list[str]]:
        """Ask the cortex alone for what is new, for the base and for running text."""
        cortex = self.brain.cortex
        recall, said = cloze(cortex, self.pairs)
        numbers = {
            "new_recall" if when == "after" else "new_recall_before": recall,
            f"base_{when}": cloze(cortex, [fact.cloze() for fact in shipped_facts()])[0],
            f"perplexity_{when}": heldout_perplexity(cortex),
        }
        return numbers, said

    def _day(self) -> tuple[dict[str, float], list[str]]:
        """Live through the day, and ask the hippocampus for it."""
        with suppress(CapacityError):  # What fitted is stored, and the ledger says how much.
            self.brain.day(self.day_text)
        day = self.brain.ledger[-1]
        said = [self.brain.cortex.decode(self._remember(cue)).strip() for cue, _ in self.pairs]
        numbers = {
            "new_recall_day": float(np.mean(exact_recall([true for _, true in self.pairs], said))),
            "n_read": day["n_read"],
            "n_stored": day["n_stored"],
            "fast_bytes": len(pack_hdf5(self.brain.hippocampus.state, {})),
            "raw_bytes": sum(len(s.text.encode()) + 1 for s in self.day_text),
        }
        return numbers, said

    def _answers(self, *said: list[str]) -> list[dict[str, Any]]:
        """Lay beside each cue what was said before, after the day and after the night."""
        return [
            {
                "cue": cue,
                "truth": truth,
                "before": before,
                "day": by_day,
                "night": by_night,
                "correct": bool(exact_recall([truth], [by_night])[0]),
            }
            for (cue, truth), before, by_day, by_night in zip(self.pairs, *said, strict=True)
        ]

    def _with_known(self, sentences: list[Sentence]) -> list[Sentence]:
        rng = self.brain.streams.generator("known")
        facts = shipped_facts()
        chosen = rng.choice(len(facts), size=min(self.config.known, len(facts)), replace=False)
        mixed = list(sentences)
        for k in chosen:
            mixed.insert(int(rng.integers(len(mixed) + 1)), Sentence(facts[k].sentence(), 0))
        return mixed

    def _remember(self, cue: str) -> Sequence[int]:
        items = self.brain.cortex.encode(cue)
        return self.brain.hippocampus.recall(items).items if items else ()

    def _overlaps(self) -> dict[str, NDArray[Any]]:
        """Overlap of the state in the middle of each sentence, region by region."""
        layers: dict[str, list[NDArray[Any]]] = {}
        for item in self.items[:60]:
            items = self.brain.cortex.encode(item.text)[:100]
            for name, pattern in self.brain.hippocampus.separation(items).items():
                layers.setdefault(name, []).append(pattern[len(items) // 2].astype(np.float64))
        return {name: _cosine(np.stack(rows)) for name, rows in layers.items()}

    def _night(self) -> tuple[list[Burst], list[tuple[int, int]], float, int, int]:
        if self.arm == "no sleep":
            return [], [], 0.0, 0, 0
        if self.arm in ("naive", "raw replay"):
            n_steps, n_tokens = self._study()
            return [], [], 0.0, n_steps, n_tokens
        reports, dawn = self.brain.sleep(on_step=self._probe)
        bursts = [burst for report in reports for burst in report.bursts]
        cycles = [(report.n_memories, report.n_mastered) for report in reports]
        return (
            bursts,
            cycles,
            dawn.freed if dawn is not None else 0.0,
            sum(report.n_steps for report in reports),
            sum(report.n_tokens for report in reports),
        )

    def _study(self) -> tuple[int, int]:
        """Learn from the raw text: the same steps, plasticity and pace; every token counts."""
        cortex, config = self.brain.cortex, self.config.night
        cortex.plasticity = dataclasses.replace(cortex.plasticity, opening_weight=1.0)
        night = Night(self.brain.hippocampus, cortex, config, self.brain.streams)
        night.begin()
        rng = self.brain.streams.generator("study")
        texts = [cortex.encode(sentence.text) for sentence in self.day_text]
        past = self._past() if self.arm == "raw replay" else []
        n_steps, n_tokens = night.n_steps() * config.cycles, 0
        order: list[int] = []
        for step in range(n_steps):
            chosen = []
            for _ in range(min(config.lessons_per_step, len(texts))):
                order = order or rng.permutation(len(texts)).tolist()
                chosen.append(texts[order.pop()])
            if past:
                chosen += [past[k] for k in rng.integers(len(past), size=config.dreams_per_step)]
            cortex.learn(chosen, [1.0] * len(chosen), (), night.pace(step, n_steps))
            n_tokens += sum(map(len, chosen))
            self._probe(step + 1)
        cortex.merge()
        return n_steps, n_tokens

    def _past(self) -> list[list[int]]:
        """Fill a buffer with what the model learnt as a child, up to the hippocampus's bytes."""
        budget = len(pack_hdf5(self.brain.hippocampus.state, {}))
        rng = self.brain.streams.generator("buffer")
        facts = [fact.sentence(k) for fact in shipped_facts() for k in range(3)]
        texts = facts + (DATA / "prose.txt").read_text(encoding="utf-8").splitlines()
        kept, used = [], 0
        for k in rng.permutation(len(texts)):
            used += len(texts[k].encode()) + 1
            if used > budget:
                break
            kept.append(self.brain.cortex.encode(texts[k])[:100])
        return kept

    def _probe(self, step: int) -> None:
        if step == 1 or step % PROBE_EVERY == 0:
            self.curve.append((step, cloze(self.brain.cortex, self.pairs)[0]))


def _cosine(patterns: NDArray[np.float64]) -> NDArray[np.float64]:
    unit = patterns / np.maximum(np.linalg.norm(patterns, axis=1, keepdims=True), 1e-12)
    return unit @ unit.T
