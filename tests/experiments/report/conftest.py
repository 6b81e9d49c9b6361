"""Runs as an experiment records them, for the tests of the report on them."""

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from neurosim.plotting import style
from neurosim.recorder import Recorder, Recording

ARMS = ("night", "naive", "raw replay", "no REM", "no gate", "dense codes", "no sleep")
# Mean new recall, base recall after and perplexity after, of arms as they may come out.
LEVELS = {
    "night": (0.97, 0.975, 20.6),
    "naive": (0.99, 0.38, 71.0),
    "raw replay": (0.98, 0.96, 21.5),
    "no REM": (0.95, 0.55, 44.0),
    "no gate": (0.96, 0.97, 20.9),
    "dense codes": (0.31, 0.97, 20.8),
    "no sleep": (0.02, 0.985, 20.2),
}


def _metrics(arm: str, n_seeds: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    recall, base, perplexity = LEVELS[arm]
    wobble = rng.normal(0, 0.01, (4, n_seeds))
    sleeps = arm != "no sleep"
    return {
        "new_recall": np.clip(recall + wobble[0], 0, 1),
        "new_recall_before": np.clip(0.02 + wobble[1], 0, 1),
        "new_recall_day": np.full(n_seeds, 59 / 60),
        "base_before": np.full(n_seeds, 0.985),
        "base_after": np.clip(base + wobble[2], 0, 1) if sleeps else np.full(n_seeds, base),
        "perplexity_before": np.full(n_seeds, 20.2),
        "perplexity_after": perplexity + 10 * wobble[3] * sleeps,
        "steps_to_90": np.where(rng.random(n_seeds) < 0.8, 75.0, np.nan)
        if recall > 0.9
        else np.full(n_seeds, np.nan),
        "seconds": 212 + 300 * wobble[3],
        "cpu_seconds": 205 + 300 * wobble[3],
        "peak_rss_mb": 812.4 + 100 * wobble[3],
        "flops": np.full(n_seeds, 3.21e12 * sleeps),
        "fast_bytes": np.full(n_seeds, 412_345.0),
        "raw_bytes": np.full(n_seeds, 4_230.0),
        "n_stored": np.full(n_seeds, 60.0),
        "capacity_used_day": np.full(n_seeds, 0.184),
        "capacity_used_night": np.full(n_seeds, 0.012),
        "freed": np.full(n_seeds, 0.943),
        "n_steps": np.full(n_seeds, 150.0 * sleeps),
    }


def _record_night(recorder: Recorder, n_items: int, rng: np.random.Generator) -> None:
    cycle = np.repeat([1, 2, 3, 4, 5], 2 * n_items)
    order = rng.permutation(n_items)
    memory = order[np.minimum(rng.exponential(n_items / 2, cycle.size), n_items - 1).astype(int)]
    memory = np.where(rng.random(cycle.size) < 0.07, -1, memory)
    confidence = np.where(memory < 0, 0.5, 1 - rng.exponential(0.08, cycle.size).clip(0, 0.6))
    recorder.store("night/burst_cycle", cycle)
    recorder.store("night/burst_memory", memory)
    recorder.store("night/burst_confidence", confidence)
    recorder.store("night/cycle_memories", np.full(5, n_items))
    recorder.store("night/cycle_mastered", n_items * np.arange(1, 6) // 5)


def _write_run(
    directory: Path,
    arms: tuple[str, ...] = ("night", "naive", "no sleep"),
    seeds: tuple[int, ...] = (0,),
    n_items: int = 12,
    name: str = "data/diary.txt",
    whole: bool = True,
) -> Path:
    """Write run.h5 as an experiment does; with ``whole=False`` only the metrics of the arms."""
    rng = np.random.default_rng(7)
    config = {"file": name, "seeds": seeds, "arms": arms, "n_items": n_items,
              "night": {"cycles": 5, "rem": True}}  # fmt: skip
    with Recorder(directory / "run.h5", config, seeds[0]) as recorder:
        for arm in arms:
            place = f"arms/{arm.replace(' ', '_')}"
            for metric, values in _metrics(arm, len(seeds), rng).items():
                recorder.store(f"{place}/{metric}", values, "", ("seed",))
            if whole and arm != "no sleep":
                steps = np.array([1, *range(15, 151, 15)])
                rise = LEVELS[arm][0] * (1 - np.exp(-steps / 30.0))
                noisy = rise + rng.normal(0, 0.02, (len(seeds), steps.size))
                recorder.store(f"{place}/curve_steps", steps, "steps")
                recorder.store(f"{place}/curve_recall", noisy.clip(0, 1))
        if whole:
            _record_night(recorder, n_items, rng)
            for region, level in (("entorhinal", 0.45), ("dentate_gyrus", 0.06), ("ca3", 0.03)):
                noise = rng.exponential(level, (n_items, n_items)).clip(0, 1)
                overlap = (noise + noise.T) / 2
                np.fill_diagonal(overlap, 1)
                recorder.store(f"separation/{region}", overlap)
            recorder.store("capacity/potentiated", np.array([0, 184_320, 10_514]), "synapses")
            recorder.store("capacity/n_synapses", np.array(1_048_576), "synapses")
    return directory


def _write_answers(directory: Path, n_items: int = 12, cue: str = "The lamp stood") -> None:
    rows = [
        {
            "cue": f"{cue} {k}",
            "truth": "on the windowsill of the old boathouse.",
            "before": "and the end of the day was",
            "day": "on the windowsill of the old boathouse.",
            "night": "on the windowsill of the old boathouse." if k % 20 else "on the table.",
            "correct": bool(k % 20),
        }
        for k in range(n_items)
    ]
    (directory / "answers.json").write_text(json.dumps(rows), "utf-8")


@pytest.fixture(scope="session")
def every_arm():
    """Return the names of all arms, in their order."""
    return ARMS


@pytest.fixture(scope="session")
def write_run():
    """Return a function that writes the recording of a run into a folder."""
    return _write_run


@pytest.fixture(scope="session")
def write_answers():
    """Return a function that writes the answers of a run into a folder."""
    return _write_answers


@pytest.fixture(scope="session")
def recording_of():
    """Return a function that opens the recording in a folder."""
    return lambda directory: Recording.open(directory / "run.h5")


@pytest.fixture(scope="session")
def panels():
    """Return a function that makes axes in the style of the house."""

    def make(**layout):
        with style():
            return Figure().subplots(**layout)

    return make
