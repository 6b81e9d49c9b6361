"""What a report reads from a recording: arms, values a seed, intervals, bars."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import InputError, StorageError
from neurosim.metrics import Interval, mean_interval
from neurosim.recorder import Recording

FloatArray = NDArray[np.float64]

REGIONS = {
    "entorhinal": "Entorhinal cortex",
    "dentate_gyrus": "Dentate gyrus",
    "ca3": "CA3",
}
ANSWER_FIELDS = ("cue", "truth", "before", "day", "night")


@dataclass(frozen=True)
class Bar:
    """What a run is to reach.

    Parameters
    ----------
    quantity : str
        As `values` knows it.
    title : str
        In words.
    limit : float
        The bar itself, as measured.
    at_least : bool
        Whether more is better.
    percent : bool
        Whether it is drawn in per cent.
    """

    quantity: str
    title: str
    limit: float
    at_least: bool
    percent: bool

    @property
    def scale(self) -> float:
        """Factor between what is measured and what is drawn."""
        return 100.0 if self.percent else 1.0

    def met_by(self, value: float) -> bool:
        """Return whether a value reaches the bar."""
        return value >= self.limit if self.at_least else value <= self.limit

    def words(self) -> str:
        """Return the bar as it stands in a title."""
        unit = " %" if self.percent else ""
        return f"{'at least' if self.at_least else 'at most'} {self.limit * self.scale:g}{unit}"


BARS = (
    Bar("new_recall", "New recall", 0.95, at_least=True, percent=True),
    Bar("base_kept", "Base recall kept", 0.98, at_least=True, percent=True),
    Bar("perplexity_ratio", "Perplexity, after / before", 1.05, at_least=False, percent=False),
)
# Quantities that are not stored but follow from two that are: (after, before).
_RATIOS = {
    "base_kept": ("base_after", "base_before"),
    "perplexity_ratio": ("perplexity_after", "perplexity_before"),
}


def open_run(path: Path) -> Recording:
    """Read the recording of a run and check what a report relies on.

    Raises
    ------
    InputError
        If there is none, or it is damaged, of another kind, or without arms.
    """
    if not path.is_file():
        raise InputError(f"{path}: expected the recording of a run, got none; run it first")
    try:
        recording = Recording.open(path)
    except StorageError as error:
        raise InputError(str(error)) from error
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: expected the recording of a run, got one without its notes; run it again"
        ) from error
    wrong = next(iter(_complaints(recording)), None)
    if wrong is not None:
        raise InputError(f"{path}: {wrong}; run it again")
    return recording


def read_answers(path: Path) -> list[dict[str, Any]] | None:
    """Read the answers before the day, after it and after the night; None if there are none.

    Raises
    ------
    InputError
        If the file is damaged or of another kind.
    """
    if not path.exists():
        return None
    try:
        rows = json.loads(path.read_text("utf-8"))
        return [
            {**{key: str(row[key]) for key in ANSWER_FIELDS}, "correct": bool(row["correct"])}
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: expected a list of cues and answers, got another text; run it again"
        ) from error


def settings(recording: Recording) -> Mapping[str, Any]:
    """Return the configuration of the run, empty if it has none."""
    return recording.config if isinstance(recording.config, dict) else {}


def arm_names(recording: Recording) -> list[str]:
    """Return the arms that were recorded, in the order of the configuration."""
    found = dict.fromkeys(
        name.split("/")[1] for name in recording.signals if name.startswith("arms/")
    )
    wanted = settings(recording).get("arms")
    if not isinstance(wanted, list):
        wanted = []
    known = [str(arm) for arm in wanted if _folder(str(arm)) in found]
    folders = {_folder(arm) for arm in known}
    return known + [name.replace("_", " ") for name in found if name not in folders]


def metric_names(recording: Recording) -> list[str]:
    """Return the names of all values that some arm holds one of a seed."""
    parts = [name.split("/") for name in recording.signals if name.startswith("arms/")]
    return list(dict.fromkeys(p[2] for p in parts if len(p) == 3 and "curve" not in p[2]))


def n_seeds(recording: Recording) -> int:
    """Return how many seeds the arms ran with."""
    arms = arm_names(recording)
    found = (values(recording, arm, m) for m in metric_names(recording) for arm in arms)
    return max((each.size for each in found if each is not None), default=0)


def values(recording: Recording, arm: str, quantity: str) -> FloatArray | None:
    """Return a quantity of an arm, a value a seed; None if it was not recorded.

    Parameters
    ----------
    recording : Recording
    arm : str
        Its real name.
    quantity : str
        A recorded metric, ``"base_kept"`` or ``"perplexity_ratio"``.
    """
    if quantity in _RATIOS:
        after, before = (values(recording, arm, each) for each in _RATIOS[quantity])
        if after is None or before is None or after.shape != before.shape:
            return None
        with np.errstate(all="ignore"):  # Nothing known before is no ratio: NaN, shown as such.
            return np.where(before > 0, after / before, np.nan)
    return array(recording, f"arms/{_folder(arm)}/{quantity}")


def curve(recording: Recording, arm: str) -> tuple[FloatArray, FloatArray] | None:
    """Return gradient steps ``(n_points,)`` and recall ``(n_seeds, n_points)`` of an arm."""
    steps = array(recording, f"arms/{_folder(arm)}/curve_steps")
    recall = array(recording, f"arms/{_folder(arm)}/curve_recall")
    return None if steps is None or recall is None else (steps, recall)


def array(recording: Recording, name: str) -> FloatArray | None:
    """Return a recorded array, None if it is missing or empty."""
    signal = recording.signals.get(name)
    if signal is None or signal.values.size == 0:
        return None
    return np.asarray(signal.values, dtype=np.float64)


def interval(row: ArrayLike) -> Interval | None:
    """Return mean and 95 % interval of the finite values; None if there are none."""
    x = np.asarray(row, dtype=np.float64)
    finite = x[np.isfinite(x)]
    return mean_interval(finite) if finite.size else None


def mean_overlap(matrix: FloatArray) -> float:
    """Return the mean of a square matrix off its diagonal, NaN for a single item."""
    n = len(matrix)
    return float((matrix.sum() - np.trace(matrix)) / (n * (n - 1))) if n > 1 else math.nan


def _folder(arm: str) -> str:
    return arm.replace(" ", "_")


def _complaints(recording: Recording) -> list[str]:
    def shape(name: str) -> tuple[int, ...] | None:
        found = array(recording, name)
        return None if found is None else found.shape

    arms = arm_names(recording)
    if not arms or not metric_names(recording):
        return ["expected the measurements of at least one arm, got none"]
    wrong = []
    for arm in arms:
        for metric in metric_names(recording):
            place = f"arms/{_folder(arm)}/{metric}"
            found = shape(place)
            if found is not None and len(found) != 1:
                wrong.append(f"expected {place} with one value a seed, got shape {found}")
        lines = curve(recording, arm)
        if lines and (lines[1].ndim != 2 or lines[1].shape[1:] != lines[0].shape):
            wrong.append(f"expected a recall for each step of arm '{arm}', got other shapes")
    bursts = [shape(f"night/burst_{name}") for name in ("cycle", "memory", "confidence")]
    if len(set(bursts)) > 1 or (bursts[0] is not None and len(bursts[0]) != 1):
        wrong.append(f"expected three equal rows of bursts, got shapes {bursts}")
    for region in REGIONS:
        found = shape(f"separation/{region}")
        if found is not None and (len(found) != 2 or found[0] != found[1]):
            wrong.append(f"expected a square separation/{region}, got shape {found}")
    if shape("capacity/potentiated") not in (None, (3,)):
        wrong.append("expected three counts in capacity/potentiated, got another shape")
    return wrong
