"""The report in words: the paragraph on top, the bars and the tables of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.report.measurements import (
    BARS,
    FloatArray,
    arm_names,
    array,
    interval,
    metric_names,
    n_seeds,
    settings,
    values,
)
from neurosim.metrics import Interval
from neurosim.recorder import Recording

MISSING = "—"


@dataclass(frozen=True)
class _Metric:
    title: str
    unit: str = ""
    factor: float = 1.0


_METRICS = {
    "new_recall_before": _Metric("New recall before the day, cortex", "%", 100),
    "new_recall_day": _Metric("New recall after the day, hippocampus", "%", 100),
    "new_recall": _Metric("New recall after the night, cortex", "%", 100),
    "base_before": _Metric("Base recall before", "%", 100),
    "base_after": _Metric("Base recall after", "%", 100),
    "base_kept": _Metric("Base recall kept, after / before", "%", 100),
    "forgetting": _Metric("Forgetting of base facts", "points", 100),
    "backward_transfer": _Metric("Backward transfer", "points", 100),
    "perplexity_before": _Metric("Perplexity before, held-out text"),
    "perplexity_after": _Metric("Perplexity after, held-out text"),
    "perplexity_ratio": _Metric("Perplexity, after / before"),
    "steps_to_90": _Metric("Steps to 90 % new recall", "steps"),
    "n_steps": _Metric("Gradient steps", "steps"),
    "n_read": _Metric("Sentences read", ""),
    "n_stored": _Metric("Sentences stored", ""),
    "capacity_used_day": _Metric("Capacity in use after the day", "%", 100),
    "capacity_used_night": _Metric("Capacity in use after the night", "%", 100),
    "freed": _Metric("Synapses of consolidated memories freed", "%", 100),
    "fast_bytes": _Metric("State of the hippocampus, packed", "kB", 1e-3),
    "raw_bytes": _Metric("The day's text", "kB", 1e-3),
    "n_parameters": _Metric("Parameters of the cortex", ""),
    "flops": _Metric("Computation of the night", "GFLOP", 1e-9),
    "seconds": _Metric("Wall time, whole arm", "s"),
    "cpu_seconds": _Metric("Processor time, whole arm", "s"),
    "peak_rss_mb": _Metric("Largest resident memory", "MB"),
}


def number(x: float) -> str:
    """Return a number with four significant digits, whole numbers whole."""
    if not math.isfinite(x):
        return MISSING
    short = float(f"{x:.4g}")
    if short == round(short) or abs(x) >= 1000:
        return f"{round(x):,}"
    if abs(short) < 1e-3:
        return f"{x:.3g}"
    return f"{short:,.{3 - math.floor(math.log10(abs(short)))}f}"


def spread(row: FloatArray | None, percent: bool = True) -> str:
    """Return a mean with its 95 % interval as it stands in a sentence."""
    found = None if row is None else interval(row)
    if found is None:
        return MISSING
    shown = [f"{100 * x:.1f}" if percent else number(x) for x in (found.mean, *_limits(found))]
    mean = f"{shown[0]}\N{NO-BREAK SPACE}%" if percent else shown[0]
    return f"{mean} [{', '.join(shown[1:])}]" if shown[1:] else mean


def main_arm(recording: Recording) -> str:
    """Return the arm the report is about: the night, or else the first."""
    arms = arm_names(recording)
    return "night" if "night" in arms else arms[0]


def paragraph(recording: Recording) -> str:
    """Return the run in words and numbers."""
    arm = main_arm(recording)

    def said(quantity: str, of: str = arm, percent: bool = True) -> str:
        return spread(values(recording, of, quantity), percent)

    def known(*quantities: str, of: str = arm) -> bool:
        return all(said(each, of=of) != MISSING for each in quantities)

    text = [_opening(recording)]
    if known("new_recall_day"):
        text.append(
            f"By evening the hippocampus completes {said('new_recall_day')} of the cues of the day."
        )
    if known("new_recall"):
        before = f", {said('new_recall_before')} before the day" * known("new_recall_before")
        night = "After the night" if arm == "night" else f"In the arm “{arm}”"
        text.append(f"{night} the cortex alone completes {said('new_recall')}{before}.")
    if known("base_kept"):
        text.append(f"It keeps {said('base_kept')} of the base facts it knew before.")
    if known("perplexity_ratio"):
        ratio = said("perplexity_ratio", percent=False)
        text.append(f"Its perplexity on held-out text is {ratio} times that of before.")
    used = array(recording, "capacity/potentiated")
    if used is not None:
        text.append(
            f"The day raises the hippocampus from {used[0]:,.0f} to {used[1]:,.0f} potentiated "
            f"synapses; after the night {used[2]:,.0f} are left."
        )
    if arm != "naive" and known("new_recall", "base_kept", of="naive"):
        text.append(
            "The naive cortex, trained on the same sentences without hippocampus or dreams, "
            f"completes {said('new_recall', of='naive')} of the cues and keeps "
            f"{said('base_kept', of='naive')} of its base facts."
        )
    return " ".join(text) + " " + seeds_in_words(recording)


def seeds_in_words(recording: Recording) -> str:
    """Return how many seeds stand behind the numbers, and what the brackets mean."""
    n = n_seeds(recording)
    if n == 1:
        return "One seed: there is no interval, and a difference may be chance."
    return (
        f"Means of {n} seeds; brackets are 95 % t-intervals over seeds, left out where all agree."
    )


def verdicts(recording: Recording) -> list[dict[str, Any]]:
    """Return for each bar what was reached, for the tiles of the page."""
    tiles = []
    for bar in BARS:
        row = values(recording, main_arm(recording), bar.quantity)
        found = None if row is None else interval(row)
        state = "not recorded"
        if found is not None:
            state = "met" if bar.met_by(found.mean) else "missed"
        value, _, limits = spread(row, bar.percent).partition(" [")
        tiles.append(
            {
                "title": bar.title,
                "value": value,
                "limits": f"[{limits}" if limits else "",
                "bar": bar.words(),
                "state": state,
            }
        )
    return tiles


def metric_table(recording: Recording) -> list[dict[str, Any]]:
    """Return a row for each metric: its title, and a cell of mean and interval for each arm."""
    arms, recorded = arm_names(recording), metric_names(recording)
    known = [
        name for name in _METRICS if any(values(recording, arm, name) is not None for arm in arms)
    ]
    rows = []
    for name in [*known, *(each for each in recorded if each not in _METRICS)]:
        metric = _METRICS.get(name, _Metric(name))
        title = f"{metric.title} ({metric.unit})" if metric.unit else metric.title
        cells = [_cell(name, values(recording, arm, name), metric.factor) for arm in arms]
        rows.append({"title": title, "cells": cells})
    return rows


def cycle_table(recording: Recording) -> list[dict[str, str]]:
    """Return a row for each cycle of the night; empty if no cycle was recorded."""
    memories = array(recording, "night/cycle_memories")
    mastered = array(recording, "night/cycle_mastered")
    if memories is None or mastered is None or memories.shape != mastered.shape:
        return []
    bursts = array(recording, "night/burst_cycle")
    numbers = np.arange(1, memories.size + 1)
    counts = [MISSING if bursts is None else number(np.sum(bursts == k)) for k in numbers]
    pairs = zip(numbers, counts, memories.ravel(), mastered.ravel(), strict=True)
    return [
        {"cycle": str(k), "bursts": n, "memories": number(a), "mastered": number(b)}
        for k, n, a, b in pairs
    ]


def setting_table(recording: Recording) -> list[tuple[str, str]]:
    """Return the configuration as names and values, nested ones with a dot."""
    return _flat(settings(recording))


def provenance_table(recording: Recording) -> list[tuple[str, str]]:
    """Return seed, date, commit and versions, as names and values."""
    notes = dict(recording.provenance)
    seeds = settings(recording).get("seeds", [recording.seed])
    first = [
        ("seeds", _plain(seeds)),
        ("date", notes.pop("date", MISSING)),
        ("commit", notes.pop("commit", MISSING)),
    ]
    return first + [(name, str(value)) for name, value in notes.items()]


def _opening(recording: Recording) -> str:
    about = settings(recording)
    n_items, stored = about.get("n_items"), values(recording, main_arm(recording), "n_stored")
    name = f"“{about['file']}”" if about.get("file") else "the day's text"
    lived = f"{n_items} sentences of {name}" if n_items else name
    text = f"One day, {lived}, each read once"
    if stored is None or interval(stored) is None:
        return f"{text}."
    return f"{text}; the hippocampus stored {spread(stored, percent=False)} sentences in one shot."


def _cell(name: str, row: FloatArray | None, factor: float) -> dict[str, str]:
    found = None if row is None else interval(row)
    if row is None or found is None:
        never = row is not None and name == "steps_to_90"
        return {"mean": "never" if never else MISSING, "limits": "", "of": ""}
    numbers = ", ".join(number(factor * x) for x in _limits(found))
    return {
        "mean": number(factor * found.mean),
        "limits": f"[{numbers}]" if numbers else "",
        "of": f"{found.n} of {row.size} seeds" if found.n < row.size else "",
    }


def _limits(found: Interval) -> tuple[float, ...]:
    """Return the limits of an interval; none for one seed, or where all seeds agree."""
    if found.n == 1 or math.isclose(found.low, found.high, rel_tol=1e-9):
        return ()
    return found.low, found.high


def _flat(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in config.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", _plain(value)))
    return rows


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value not in (None, "") else MISSING
