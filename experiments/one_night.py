"""One day and one night, beside its controls: does sleep write the day into slow weights?"""

import dataclasses
import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray

from circuits.brain import Brain, BrainConfig
from circuits.language_cortex import LanguageCortex, PlasticityConfig
from circuits.night import Burst, Night, NightConfig
from experiments.childhood import DATA, MODEL, heldout_perplexity, shipped_facts
from neurosim.errors import CapacityError, ConfigError, InputError, nearest_name
from neurosim.hdf5 import pack_hdf5
from neurosim.metrics import exact_recall, steps_to_criterion, transformer_flops
from neurosim.plotting import colour
from neurosim.progress import progress
from neurosim.recorder import Recorder
from neurosim.resources import ResourceMeter
from neurosim.storage import atomic_write_json
from neurosim.text import Sentence, read_sentences
from rules.willshaw import Willshaw

DIARY = DATA / "diary.txt"
ARMS = ("night", "naive", "raw replay", "no REM", "no gate", "dense codes", "no sleep")
FEW = ("night", "naive", "no sleep")
PROBE_EVERY = 52

expected = {
    "new_recall": (0.95, "this project's bar: exact answers after the night, cortex alone"),
    "base_ratio": (0.98, "this project's bar: base facts after over before"),
    "perplexity_ratio": (1.05, "this project's bar: held-out perplexity after over before"),
    "naive_new_recall": (1.0, "Tadros et al. (2022) and our prototype: naive learns the new"),
}


@dataclass(frozen=True)
class Config:
    """What to compare, on which text.

    Parameters
    ----------
    file : str
        The day's text; empty for the shipped diary.
    arms : tuple of str
        Of `ARMS`; "night" always runs.
    seeds : tuple of int
        Each arm runs once a seed.
    known : int
        Sentences the model knows already, mixed into the day of every arm, for the gate to
        refuse; -1 means 20 with the shipped diary and none with another text.
    night : NightConfig
    plasticity : PlasticityConfig
    brain : str
        Directory in which the first seed's brain is left; empty for none.
    workers : int
        Processes at a time; 0 for one a processor. Each computes on one thread, so results do not
        depend on it.
    """

    file: str = ""
    arms: tuple[str, ...] = FEW
    seeds: tuple[int, ...] = (0,)
    known: int = -1
    night: NightConfig = field(default_factory=NightConfig)
    plasticity: PlasticityConfig = field(default_factory=PlasticityConfig)
    brain: str = ""
    workers: int = 0

    def __post_init__(self) -> None:
        for arm in self.arms:
            if arm not in ARMS:
                raise ConfigError(
                    f"Config.arms: expected some of {', '.join(ARMS)}, got {arm}; "
                    f"did you mean {nearest_name(arm, ARMS) or ARMS[0]}?"
                )


@dataclass(frozen=True)
class Item:
    """A sentence of the day as the examination uses it: the first half of its words, the rest."""

    text: str
    line: int
    cue: str
    answer: str


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


@dataclass(frozen=True)
class Result:
    """All arms at all seeds."""

    config: Config
    arms: list[ArmResult]
    n_items: int

    def values(self, arm: str, metric: str) -> NDArray[np.float64]:
        """Return one metric of one arm, a value a seed."""
        rows = sorted((r for r in self.arms if r.arm == arm), key=lambda r: r.seed)
        return np.array([row.metrics[metric] for row in rows])


def read_day(config: Config) -> list[Sentence]:
    """Read the day's text.

    Raises
    ------
    InputError
        When it cannot be read, or holds nothing to examine.
    """
    sentences = list(read_sentences(Path(config.file) if config.file else DIARY))
    if not examine_items(sentences):
        raise InputError("no sentence has two words or more; give a text of whole sentences")
    return sentences


def examine_items(sentences: Sequence[Sentence]) -> list[Item]:
    """Make the cloze examination: sentences of two words and more."""
    items = []
    for sentence in sentences:
        words = sentence.text.split()
        half = (len(words) + 1) // 2
        if len(words) >= 2:
            cue, answer = " ".join(words[:half]), " ".join(words[half:])
            items.append(Item(sentence.text, sentence.line, cue, answer))
    return items


def cloze(cortex: LanguageCortex, pairs: Sequence[tuple[str, str]]) -> tuple[float, list[str]]:
    """Return the share of exact answers by free greedy generation, and what was said."""
    answers = cortex.recall([cortex.encode(cue) for cue, _ in pairs])
    said = [cortex.decode(answer.items).strip() for answer in answers]
    return float(np.mean(exact_recall([truth for _, truth in pairs], said))), said


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
) -> Result:
    """Run every arm at every seed, in processes of one thread each.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator, optional
        Not used: each arm draws from its own seed, so that arms can be compared.
    recorder : Recorder, optional
    tick : callable
        Called after each arm.
    """
    sentences = read_day(config)
    arms = tuple(dict.fromkeys(("night", *config.arms)))
    jobs = [(arm, seed) for seed in config.seeds for arm in arms]
    workers = config.workers or min(len(jobs), os.cpu_count() or 1)
    results: list[ArmResult] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [pool.submit(run_arm, config, sentences, arm, seed) for arm, seed in jobs]
        try:
            for future in as_completed(futures):
                results.append(future.result())
                tick()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    order = {job: place for place, job in enumerate(jobs)}
    results.sort(key=lambda r: order[r.arm, r.seed])
    result = Result(config, results, len(examine_items(sentences)))
    if recorder is not None:
        record(result, arms, recorder)
    return result


def run_arm(config: Config, sentences: list[Sentence], arm: str, seed: int) -> ArmResult:
    """Run one arm at one seed on one thread."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    with ResourceMeter() as meter:
        result = _Arm(config, sentences, arm, seed).run()
    return dataclasses.replace(result, metrics=result.metrics | meter.as_dict())


class _Arm:
    """One brain, one day, one way to spend the night."""

    def __init__(self, config: Config, sentences: list[Sentence], arm: str, seed: int) -> None:
        self.config, self.arm, self.seed = config, arm, seed
        self.items = examine_items(sentences)
        self.pairs = [(item.cue, item.answer) for item in self.items]
        night = dataclasses.replace(config.night, rem=arm != "no REM")
        brain_config = BrainConfig(
            seed=seed, gate=arm != "no gate", separation=arm != "dense codes", night=night
        )
        keep = config.brain and arm == "night" and seed == config.seeds[0]
        path = Path(config.brain) if keep else None
        self.brain = Brain.create(path, MODEL, Willshaw(), brain_config)
        self.brain.cortex.plasticity = config.plasticity
        self.day_text = self._with_known(sentences)
        self.curve: list[tuple[int, float]] = []

    def run(self) -> ArmResult:
        """Examine, live, examine, sleep, examine."""
        brain, cortex = self.brain, self.brain.cortex
        facts = [fact.cloze() for fact in shipped_facts()]
        potentiated = [brain.hippocampus.gauge().potentiated]
        recall_before, said_before = cloze(cortex, self.pairs)
        metrics: dict[str, float] = {
            "new_recall_before": recall_before,
            "base_before": cloze(cortex, facts)[0],
            "perplexity_before": heldout_perplexity(cortex),
        }
        with suppress(CapacityError):  # What fitted is stored, and the ledger says how much.
            brain.day(self.day_text)
        day = brain.ledger[-1]
        gauge = brain.hippocampus.gauge()
        potentiated.append(gauge.potentiated)
        said_day = [brain.cortex.decode(self._remember(cue)).strip() for cue, _ in self.pairs]
        truth = [answer for _, answer in self.pairs]
        metrics |= {
            "new_recall_day": float(np.mean(exact_recall(truth, said_day))),
            "n_read": day["n_read"],
            "n_stored": day["n_stored"],
            "capacity_used_day": gauge.used,
            "fast_bytes": len(pack_hdf5(brain.hippocampus.state, {})),
            "raw_bytes": sum(len(s.text.encode()) + 1 for s in self.day_text),
        }
        overlaps = self._overlaps() if self.arm == "night" else {}
        bursts, cycles, freed, n_steps, n_tokens = self._night()
        after = brain.hippocampus.gauge()
        potentiated.append(after.potentiated)
        recall_after, said_night = cloze(cortex, self.pairs)
        metrics |= {
            "new_recall": recall_after,
            "base_after": cloze(cortex, facts)[0],
            "perplexity_after": heldout_perplexity(cortex),
            "capacity_used_night": after.used,
            "freed": freed,
            "n_steps": n_steps,
            "n_parameters": brain.n_parameters,
            "flops": transformer_flops(brain.n_parameters, n_tokens, backward=True),
        }
        metrics["forgetting"] = metrics["base_before"] - metrics["base_after"]
        metrics["backward_transfer"] = -metrics["forgetting"]
        steps, recall = zip(*self.curve, strict=True) if self.curve else ((0,), (recall_after,))
        metrics["steps_to_90"] = float(steps_to_criterion(steps, recall))
        answers = [
            {
                "cue": cue,
                "truth": answer,
                "before": before,
                "day": by_day,
                "night": by_night,
                "correct": bool(exact_recall([answer], [by_night])[0]),
            }
            for (cue, answer), before, by_day, by_night in zip(
                self.pairs, said_before, said_day, said_night, strict=True
            )
        ]
        return ArmResult(
            self.arm,
            self.seed,
            {key: float(value) for key, value in metrics.items()},
            self.curve,
            answers,
            bursts,
            cycles,
            overlaps,
            potentiated,
            gauge.n_synapses,
        )

    def _with_known(self, sentences: list[Sentence]) -> list[Sentence]:
        n = self.config.known if self.config.known >= 0 else (0 if self.config.file else 20)
        rng = self.brain.streams.generator("known")
        facts = shipped_facts()
        chosen = rng.choice(len(facts), size=min(n, len(facts)), replace=False)
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


def record(result: Result, arms: Sequence[str], recorder: Recorder) -> None:
    """Store every number of a result, from which all figures can be drawn again."""
    for arm in arms:
        rows = [row for row in result.arms if row.arm == arm]
        place = f"arms/{arm.replace(' ', '_')}"
        for metric in rows[0].metrics:
            recorder.store(f"{place}/{metric}", result.values(arm, metric), "", ("seed",))
        steps = min(([step for step, _ in row.curve] for row in rows), key=len)
        if steps:
            recall = np.array([[value for _, value in row.curve[: len(steps)]] for row in rows])
            recorder.store(f"{place}/curve_steps", np.array(steps), "steps", ("point",))
            recorder.store(f"{place}/curve_recall", recall, "", ("seed", "point"))
    first = result.arms[0]
    for name in ("cycle", "memory", "confidence"):
        values = np.array([getattr(burst, name) for burst in first.bursts])
        recorder.store(f"night/burst_{name}", values, "", ("burst",))
    cycles = np.array(first.cycles).reshape(-1, 2)
    recorder.store("night/cycle_memories", cycles[:, 0], "", ("cycle",))
    recorder.store("night/cycle_mastered", cycles[:, 1], "", ("cycle",))
    for name, matrix in first.overlaps.items():
        key = name.lower().replace(" ", "_")
        recorder.store(f"separation/{key}", matrix, "", ("sentence", "sentence"))
    recorder.store("capacity/potentiated", np.array(first.potentiated), "synapses", ("time",))
    recorder.store("capacity/n_synapses", np.array(first.n_synapses), "synapses", ())


def summary(result: Result) -> dict[str, Any]:
    """Return the flat numbers of the command's ``--json``, controls under ``controls``."""
    names = list(dict.fromkeys(row.arm for row in result.arms))

    def means(arm: str) -> dict[str, float]:
        metrics = next(row.metrics for row in result.arms if row.arm == arm)
        return {key: float(np.mean(result.values(arm, key))) for key in metrics}

    rest = {arm.replace(" ", "_"): means(arm) for arm in names if arm != "night"}
    return {
        **means("night"),
        "n_items": result.n_items,
        "n_seeds": len(result.config.seeds),
        "controls": rest,
    }


def plot(result: Result, axes: Axes) -> None:
    """Draw recall of the day's items and of base facts, arm by arm."""
    names = list(dict.fromkeys(row.arm for row in result.arms))
    for place, arm in enumerate(names):
        for metric, marker in (("new_recall", "o"), ("base_after", "s")):
            values = result.values(arm, metric)
            axes.plot([place] * len(values), values, marker, color=colour(arm))
    axes.set_xticks(range(len(names)), names, rotation=30)
    axes.set_ylabel("recall after the night (circle: new, square: base)")
    axes.set_ylim(-0.02, 1.02)


def save(result: Result, directory: Path) -> None:
    """Write run.h5 and answers.json."""
    arms = tuple(dict.fromkeys(row.arm for row in result.arms))
    config = json.loads(json.dumps(asdict(result.config)))
    config |= {
        "arms": list(arms),
        "file": Path(result.config.file).name if result.config.file else "data/diary.txt",
        "n_items": result.n_items,
    }
    config.pop("brain")
    directory.mkdir(parents=True, exist_ok=True)
    with Recorder(directory / "run.h5", config, result.config.seeds[0]) as recorder:
        record(result, arms, recorder)
    atomic_write_json(directory / "answers.json", result.arms[0].answers)


def run_with_progress(config: Config) -> Result:
    """Run with a progress bar on the terminal."""
    n_jobs = len(config.seeds) * len(dict.fromkeys(("night", *config.arms)))
    with progress(n_jobs, "one night") as bar:
        return run(config, tick=lambda: bar.advance())
