"""Points of the curves of Song et al. (2024): the published ones, ours, and how far they differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.childhood import DATA
from neurosim.errors import ConfigError
from neurosim.metrics import mean_interval

RULES = ("PC", "BP")
PARTS = ("", "_low", "_high", "_eta", "_seeds")
WITHIN = 0.015
PUBLISHED: dict[str, Any] = json.loads((DATA / "published" / "song_2024.json").read_text("utf-8"))[
    "figures"
]


def point_key(figure: str, setting: float, rule: str) -> str:
    """Return the key of a point in ``--json``, such as ``batch_size_64_pc``."""
    return f"{figure}_{setting:g}_{rule}".lower().replace(".", "_")


PUBLISHED_POINTS = {
    point_key(figure, setting, rule): (
        float(value),
        f"Song et al. (2024), Fig. {curves['figure']}, {rule}",
    )
    for figure, curves in PUBLISHED.items()
    for rule in RULES
    for setting, value in zip(curves["settings"], curves[rule], strict=True)
}


def point_numbers(key: str, values: NDArray[np.float64], eta: float) -> dict[str, float]:
    """Return the numbers of a point from a value a run.

    By the key of the point its mean error, and with ``_low``, ``_high``, ``_eta`` and ``_seeds``
    behind it the limits of the 95 % interval, the learning rate and the number of runs.

    Parameters
    ----------
    key : str
        As `point_key`.
    values : (n_seeds,) float64
    eta : float
    """
    interval = mean_interval(values)
    numbers = (interval.mean, interval.low, interval.high, eta, float(len(values)))
    return dict(zip((f"{key}{part}" for part in PARTS), numbers, strict=True))


def read_points(path: str, points: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Return the numbers of some points, see `point_numbers`, from a file of ``--json``.

    Parameters
    ----------
    path : str
    points : sequence of (str, float)
        Figure and setting.

    Raises
    ------
    ConfigError
        When the file is not there, is no JSON, or lacks a point.
    """
    try:
        found = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"Config.points: expected a JSON file of an earlier run's numbers, got {path!r} "
            f"({error}); write one with --json"
        ) from None
    keys = [point_key(*point, rule) for point in points for rule in RULES]
    wanted = [f"{key}{part}" for key in keys for part in PARTS]
    missing = [name for name in wanted if name not in found]
    if missing:
        raise ConfigError(
            f"Config.points: expected a number for {missing[0]}, got none in {path}; name the "
            "figures and settings that the file holds"
        )
    # JSON has no NaN, which the interval of a single run is.
    return {name: np.nan if found[name] is None else float(found[name]) for name in wanted}


def against_published(
    figure: str, settings: Sequence[float], points: dict[str, float]
) -> dict[str, float]:
    """Return how far the points of a figure lie from the published, and whether the same rule wins.

    Parameters
    ----------
    figure : str
    settings : sequence of float
    points : dict of str to float
        See `point_numbers`.

    Returns
    -------
    dict of str to float
        ``FIGURE_farthest``, ``FIGURE_within`` and ``FIGURE_same_winner``.
    """
    distances, same = [], []
    for setting in settings:
        keys = [point_key(figure, setting, rule) for rule in RULES]
        (pc, bp), theirs = [points[key] for key in keys], [PUBLISHED_POINTS[key][0] for key in keys]
        distances += [abs(pc - theirs[0]), abs(bp - theirs[1])]
        if theirs[0] != theirs[1]:
            same.append((pc < bp) == (theirs[0] < theirs[1]))
    return {
        f"{figure}_farthest": max(distances),
        f"{figure}_within": float(np.mean([d <= WITHIN for d in distances])),
        f"{figure}_same_winner": float(np.mean(same)) if same else 1.0,
    }
