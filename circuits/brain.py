"""A brain on disk: a hippocampus, a language cortex and the record of their days and nights."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from circuits.brain_config import BrainConfig
from circuits.entorhinal import EntorhinalConfig
from circuits.hippocampus import Hippocampus
from circuits.hippocampus_config import HippocampusConfig
from circuits.language_cortex import LanguageCortex
from circuits.language_model_files import language_model, load_language_model
from circuits.night import CycleReport, DawnReport, Night
from neurosim.contracts import Rule
from neurosim.errors import BrainError, CapacityError, InputError
from neurosim.hdf5 import pack_hdf5, unpack_hdf5
from neurosim.randomness import Streams
from neurosim.storage import make_directory
from neurosim.text import Sentence
from neurosim.versioned import LOCK_NAME, VersionedDirectory

FORMAT_VERSION = 1
ADOLESCENCE = 200
"""Dreams of the newborn cortex on which the cells of the hippocampus mature."""


@dataclass(frozen=True)
class DayReport:
    """What a day brought.

    Parameters
    ----------
    n_read, n_stored, n_expected, n_familiar : int
        Sentences read; written; not written since the cortex expected them; met before and
        strengthened.
    n_split : int
        Sentences longer than an episode, stored in parts.
    surprise : float [nats a token]
        Mean over the sentences read.
    synaptic_events : int
    """

    n_read: int
    n_stored: int
    n_expected: int
    n_familiar: int
    n_split: int
    surprise: float
    synaptic_events: int


@dataclass(frozen=True)
class Answer:
    """What a brain says to a cue.

    Parameters
    ----------
    text : str
        The continuation.
    source : str
        hippocampus, cortex or both.
    confidence : float
        0..1.
    hippocampus, cortex : str
        What each says.
    hippocampus_confidence, cortex_confidence : float
    """

    text: str
    source: str
    confidence: float
    hippocampus: str
    cortex: str
    hippocampus_confidence: float
    cortex_confidence: float


class Brain:
    """A hippocampus and a language cortex that live in one directory.

    Parameters
    ----------
    directory : VersionedDirectory
    config : BrainConfig
    cortex : LanguageCortex
    rule : Rule
        What hippocampal synapses do.
    ledger : list of dict
        Events and statistics; never text.
    """

    def __init__(
        self,
        directory: VersionedDirectory | None,
        config: BrainConfig,
        cortex: LanguageCortex,
        rule: Rule,
        ledger: list[dict[str, Any]] | None = None,
    ) -> None:
        self.directory, self.config, self.cortex = directory, config, cortex
        self.ledger = ledger if ledger is not None else []
        self.streams = Streams(config.seed)
        self.hippocampus = Hippocampus(self._hippocampus_config(), rule, self.streams)

    @classmethod
    def create(
        cls,
        path: Path | None,
        lm: Path,
        rule: Rule,
        config: BrainConfig | None = None,
        examine: Callable[[LanguageCortex], dict[str, float]] = lambda cortex: {},
    ) -> "Brain":
        """Make a newborn brain from a language model's directory, and save it.

        Parameters
        ----------
        path : Path or None
            None keeps the brain in memory.
        lm : Path
            Directory with config.json, model.safetensors and tokenizer.json.
        examine : callable
            Scores of the newborn cortex for the ledger.

        Raises
        ------
        BrainError
            When `path` holds something already.
        """
        if path is not None:
            _check_free(path)
        cortex = load_language_model(lm)
        directory = None if path is None else _directory(path)
        brain = cls(directory, config or BrainConfig(), cortex, rule)
        childhood = cortex.dream(ADOLESCENCE, brain.streams.seed_for("childhood"))
        brain.hippocampus.mature(childhood)
        scores = examine(cortex)
        brain.ledger.append({"event": "birth", "parameters": brain.n_parameters, **scores})
        if directory is None:
            return brain
        make_directory(directory.root)
        with directory.lock:
            _check_free(directory.root)  # Another may have been born there meanwhile.
            brain.save(everything=True)
        return brain

    @classmethod
    @contextmanager
    def open(cls, path: Path, rule: Rule) -> Iterator["Brain"]:
        """Load a brain and hold its lock.

        Raises
        ------
        BrainError
            When it is missing, half-written, damaged, of a newer version or in use.
        """
        directory = _directory(path)
        manifest = directory.manifest()
        with directory.lock:
            directory.clean()
            manifest = directory.manifest()
            config = BrainConfig.from_mapping(manifest.meta["config"])
            cortex = language_model(
                directory.read("language_model.json"),
                directory.read("language_model.safetensors"),
                directory.read("tokenizer.json"),
            )
            brain = cls(directory, config, cortex, rule, list(manifest.meta["ledger"]))
            arrays, _ = unpack_hdf5(directory.read("hippocampus.h5"), "hippocampus.h5")
            brain.hippocampus.restore(arrays)
            cortex.load_growth(load_tensors(directory.read("growth.safetensors")))
            yield brain

    @property
    def n_parameters(self) -> int:
        """Number of weights of the cortex."""
        return sum(parameter.numel() for parameter in self.cortex.network.parameters())

    @property
    def nights(self) -> int:
        """Number of whole nights so far."""
        return sum(event["event"] == "night" for event in self.ledger)

    @property
    def cycles_slept(self) -> int:
        """Cycles of a night that was interrupted; 0 when awake."""
        count = 0
        for event in self.ledger:
            count = count + 1 if event["event"] == "cycle" else 0
        return count

    def save(self, everything: bool = False, cortex: bool = False) -> None:
        """Commit to disk, all or nothing."""
        if self.directory is None:
            return
        files = {
            "hippocampus.h5": pack_hdf5(self.hippocampus.state, {}),
            "growth.safetensors": save_tensors(self.cortex.save_growth()),
        }
        if cortex or everything:
            network = self.cortex.network
            weights = {k: v.detach().contiguous() for k, v in network.state_dict().items()}
            files["language_model.safetensors"] = save_tensors(weights)
            files["language_model.json"] = json.dumps(network.config.to_mapping()).encode()
        if everything:
            files["tokenizer.json"] = self.cortex.tokenizer.to_str().encode()
        meta = {"config": asdict(self.config), "ledger": self.ledger}
        self.directory.commit(files, meta)

    def day(self, sentences: Iterable[Sentence], tick: Callable[[], object] = int) -> DayReport:
        """Live one day: read, be surprised, write what is new in one shot.

        Saves at the end. When the hippocampus fills up, what fitted is saved first.

        Raises
        ------
        CapacityError
            Says what was and what was not stored.
        InputError
            For a sentence that cannot be read; nothing is saved.
        """
        self._require_awake()
        counts = dict.fromkeys(("read", "stored", "expected", "familiar", "split"), 0)
        events, surprises = 0, []
        full: tuple[int, CapacityError] | None = None
        last_line = 0
        for sentence, items, surprise, split in self._episodes(sentences):
            counts["read"] += 1
            counts["split"] += split
            surprises.append(float(surprise.mean()))
            if self.config.gate and self._expects(items, surprise):
                counts["expected"] += 1
            elif self.hippocampus.knows(items):
                self.hippocampus.strengthen(items)
                counts["familiar"] += 1
            else:
                try:
                    events += self.hippocampus.store(items, float(surprise.mean()))
                except CapacityError as error:
                    full = (sentence.line, error)
                    break
                counts["stored"] += 1
            last_line = sentence.line
            tick()
        if not counts["read"]:
            raise InputError("the text holds no sentence; give a file with at least one")
        report = DayReport(
            n_read=counts["read"],
            n_stored=counts["stored"],
            n_expected=counts["expected"],
            n_familiar=counts["familiar"],
            n_split=counts["split"],
            surprise=float(np.mean(surprises)),
            synaptic_events=events,
        )
        self.ledger.append({"event": "day", **asdict(report)})
        self.save()
        if full is not None:
            raise CapacityError(
                f"the hippocampus is full: {report.n_stored} sentences were stored (up to line "
                f"{last_line}), line {full[0]} and what follows were not; let a night pass, then "
                f"read the rest"
            )
        return report

    def sleep(
        self,
        cycles: int | None = None,
        on_cycle: Callable[[CycleReport], object] | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> tuple[list[CycleReport], DawnReport | None]:
        """Sleep one night, or the rest of one; saves after every cycle.

        Returns
        -------
        (list of CycleReport, DawnReport or None)
            No report of dawn when there was nothing to sleep on.
        """
        if cycles is None:
            cycles = self.ledger[-1]["planned"] if self.cycles_slept else self.config.night.cycles
        config = dataclasses.replace(self.config.night, cycles=cycles)
        if not self.hippocampus.n_episodes and not self.cycles_slept:
            return [], None
        night = Night(self.hippocampus, self.cortex, config, self.streams, self.nights + 1, on_step)
        night.begin()
        reports = []
        for number in range(self.cycles_slept + 1, config.cycles + 1):
            report = night.cycle(number)
            reports.append(report)
            event = {k: v for k, v in asdict(report).items() if k != "bursts"}
            self.ledger.append({"event": "cycle", "planned": config.cycles, **event})
            self.save()
            if on_cycle is not None:
                on_cycle(report)
        dawn = night.dawn()
        self.ledger.append({"event": "night", **asdict(dawn), "parameters": self.n_parameters})
        self.save(cortex=True)
        return reports, dawn

    def ask(self, cue: str) -> Answer:
        """Complete a cue, and say which memory answered."""
        items = self.cortex.encode(cue.strip())[: self.cortex.longest - 2]
        slow = self.cortex.recall([items])[0]
        fast = self.hippocampus.remember(items) if self.hippocampus.n_episodes else None
        slow_text = self.cortex.decode(slow.items).strip()
        fast_text, fast_confidence = "", 0.0
        if fast is not None and items:
            completion = self.hippocampus.recall(items)
            fast_text = self.cortex.decode(completion.items).strip()
            fast_confidence = completion.confidence
        if fast_text and fast_text == slow_text:
            source, text, sure = "both", slow_text, max(slow.confidence, fast_confidence)
        elif fast_text and fast_confidence > slow.confidence:
            source, text, sure = "hippocampus", fast_text, fast_confidence
        else:
            source, text, sure = "cortex", slow_text, slow.confidence
        return Answer(text, source, sure, fast_text, slow_text, fast_confidence, slow.confidence)

    def _hippocampus_config(self) -> HippocampusConfig:
        sizes = HippocampusConfig(
            entorhinal=EntorhinalConfig(n_tokens=self.cortex.tokenizer.get_vocab_size()),
            longest=min(126, self.cortex.longest - 2),
            end=self.cortex.end,
            more=self.cortex.pad,
        )
        return sizes if self.config.separation else sizes.dense()

    def _require_awake(self) -> None:
        if self.cycles_slept:
            raise BrainError(
                f"the brain is asleep after {self.cycles_slept} cycles of an interrupted night; "
                f"run neurosim night to finish it first"
            )

    def _expects(self, items: list[int], surprise: np.ndarray) -> bool:
        second_half = surprise[self.cortex.opening(items) :]
        return bool(second_half.max() <= self.config.surprise_threshold)

    def _episodes(
        self, sentences: Iterable[Sentence]
    ) -> Iterator[tuple[Sentence, list[int], np.ndarray, bool]]:
        """Yield sentences as items with their surprise, batch by batch, long ones in parts."""
        room = self.hippocampus.config.longest - 1
        waiting: list[tuple[Sentence, list[int], bool]] = []
        for sentence in sentences:
            items = self.cortex.encode(sentence.text)
            parts = _parts(items, room)
            waiting += [(sentence, part, len(parts) > 1) for part in parts]
            if len(waiting) >= 64:
                yield from self._surprised(waiting)
                waiting = []
        yield from self._surprised(waiting)

    def _surprised(
        self, waiting: list[tuple[Sentence, list[int], bool]]
    ) -> Iterator[tuple[Sentence, list[int], np.ndarray, bool]]:
        surprises = self.cortex.surprise([items for _, items, _ in waiting])
        for (sentence, items, split), surprise in zip(waiting, surprises, strict=True):
            yield sentence, items, surprise, split


def _check_free(path: Path) -> None:
    """Refuse a place that holds more than the lock of a birth that failed."""
    if not path.exists():
        return
    if not path.is_dir() or any(each.name != LOCK_NAME for each in path.iterdir()):
        raise BrainError(f"{path} exists and is not empty; choose another name or remove it first")


def _directory(path: Path) -> VersionedDirectory:
    return VersionedDirectory(path, "brain", FORMAT_VERSION)


def _parts(items: list[int], room: int) -> list[list[int]]:
    """Cut a long sequence into parts of nearly equal length that fit."""
    n_parts = max(1, -(-len(items) // room))
    bounds = [round(k * len(items) / n_parts) for k in range(n_parts + 1)]
    return [items[a:b] for a, b in zip(bounds, bounds[1:], strict=False) if b > a]
