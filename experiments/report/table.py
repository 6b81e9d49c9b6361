"""The table of a run in Markdown: every arm with its interval, and what each ablation changes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.report.measurements import arm_names, open_run
from neurosim.metrics import Interval, mean_interval, paired_difference
from neurosim.recorder import Recording
from neurosim.storage import atomic_write_text

TABLE = "table.md"

_COLUMNS = {
    "new recall": ("new_recall", None, 100, "%"),
    "base kept": ("base_after", "base_before", 100, "%"),
    "perplexity ratio": ("perplexity_after", "perplexity_before", 1, ""),
    "steps to 90 %": ("steps_to_90", None, 1, ""),
    "memories written": ("n_stored", None, 1, ""),
    "synapses freed": ("freed", None, 100, "%"),
    "CPU s": ("cpu_seconds", None, 1, ""),
}
_EFFECTS = ("new recall", "base kept", "perplexity ratio", "memories written")


def write_table(directory: Path) -> Path:
    """Write ``table.md`` beside ``run.h5``: means over seeds with 95 % intervals.

    The second table is paired by seed: arm minus night, so an interval without zero is an effect.
    """
    recording = open_run(Path(directory) / "run.h5")
    arms = arm_names(recording)
    text = [_head(recording), "", *_rows(recording, arms)]
    others = [arm for arm in arms if arm != "night"]
    if others and len(recording.config["seeds"]) > 1:
        text += ["", "Arm minus night, paired by seed:", "", *_differences(recording, others)]
    path = Path(directory) / TABLE
    atomic_write_text(path, "\n".join(text) + "\n")
    return path


def _head(recording: Recording) -> str:
    seeds = recording.config["seeds"]
    version = recording.provenance.get("neurosim", "")
    return (
        f"Text: {recording.config['file']}, {recording.config['n_items']} examined sentences; "
        f"seeds {seeds[0]} to {seeds[-1]}; neurosim {version}, "
        f"{recording.provenance['date'][:10]}. "
        f"Mean [95 % interval]."
    )


def _rows(recording: Recording, arms: list[str]) -> list[str]:
    lines = [f"| arm | {' | '.join(_COLUMNS)} |", "|---" * (len(_COLUMNS) + 1) + "|"]
    for arm in arms:
        cells = [_cell(_values(recording, arm, column), column) for column in _COLUMNS]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return lines


def _differences(recording: Recording, arms: list[str]) -> list[str]:
    lines = [f"| arm | {' | '.join(_EFFECTS)} |", "|---" * (len(_EFFECTS) + 1) + "|"]
    for arm in arms:
        cells = []
        for column in _EFFECTS:
            pair = _values(recording, arm, column), _values(recording, "night", column)
            difference = paired_difference(*pair)
            nothing = difference.low <= 0 <= difference.high
            cells.append(_shown(difference, column) + (" (no effect)" if nothing else ""))
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return lines


def _values(recording: Recording, arm: str, column: str) -> NDArray[np.float64]:
    metric, over, _, _ = _COLUMNS[column]
    place = f"arms/{arm.replace(' ', '_')}"
    values = np.asarray(recording[f"{place}/{metric}"].values, dtype=np.float64)
    if over is None:
        return values
    return values / np.asarray(recording[f"{place}/{over}"].values, dtype=np.float64)


def _cell(values: NDArray[np.float64], column: str) -> str:
    missed = int(np.isnan(values).sum())
    if missed:
        return "never" if missed == len(values) else f"not in {missed} of {len(values)} runs"
    return _shown(mean_interval(values), column)


def _shown(interval: Interval, column: str) -> str:
    _, _, scale, unit = _COLUMNS[column]
    digits = 3 if column == "perplexity ratio" else 1
    mean = f"{interval.mean * scale:.{digits}f}{' ' if unit else ''}{unit}"
    if not math.isfinite(interval.low):
        return mean
    return f"{mean} [{interval.low * scale:.{digits}f}, {interval.high * scale:.{digits}f}]"
