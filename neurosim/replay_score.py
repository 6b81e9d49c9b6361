"""Replay: the straight trajectory that fits decoded positions best, and whether by chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.contracts import Replay
from neurosim.decoding import decode, posterior, spike_counts
from neurosim.errors import ConfigError
from neurosim.sharp_waves import Event
from neurosim.spikes import SpikeTrains

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Search:
    """Which trajectories are tried.

    Parameters
    ----------
    slowest, fastest : float [m/s]
        In either direction.
    n_speeds, n_offsets : int
        Trajectories on the grid: speeds in one direction, and positions in the middle of an event.
    band : float [m]
        Probability as near as that to the trajectory counts.
    covered : float [m]
        A trajectory must cover that much of the track within the event: standing still is none.
    """

    slowest: float = 1.0
    fastest: float = 15.0
    n_speeds: int = 57
    n_offsets: int = 61
    band: float = 0.18
    covered: float = 0.3


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The straight line through an event.

    Parameters
    ----------
    event : Event
    speed : float [m/s]
        Negative in reverse.
    middle : float [m]
        Position in the middle of the event.
    score : float
        Mean probability within the band along the line, 0..1.
    p : float
        Share of shuffles that fit as well; 1 without shuffles.
    decoded : (n_bins, n_positions) float64
        What was fitted.
    """

    event: Event
    speed: float
    middle: float
    score: float
    p: float
    decoded: FloatArray

    @property
    def direction(self) -> Literal["forward", "reverse"]:
        """Whether the trajectory runs as the animal ran."""
        return "forward" if self.speed > 0 else "reverse"


def score_replay(
    spikes: SpikeTrains,
    tuning: ArrayLike,
    positions: ArrayLike,
    event: Event,
    rng: np.random.Generator,
    n_shuffles: int = 100,
    bin_width: float = 0.01,
    search: Search | None = None,
) -> Trajectory | None:
    """Fit a trajectory to an event, and to the same spikes with the cells' fields exchanged.

    Parameters
    ----------
    spikes : SpikeTrains
    tuning : (n_units, n_positions) array-like [Hz]
        Cells whose row is zero have no field: their spikes are not looked at.
    positions : (n_positions,) array-like [m]
        Equally spaced.
    event : Event
    rng : numpy.random.Generator
        Draws the shuffles: fields are exchanged among the cells that have one.
    n_shuffles : int
    bin_width : float [s]
    search : Search, optional

    Returns
    -------
    Trajectory or None
        None if no cell with a field fires, or the event is shorter than three bins.

    Raises
    ------
    ConfigError
        For positions that are not those of the tuning curves, or not equally spaced.

    References
    ----------
    Davidson, Kloosterman & Wilson (2009) Neuron 63:497 (score and speed by a line of finite width);
    shuffles as in Ecker et al. (2022) eLife 11:e71850.
    """
    fields, where = np.asarray(tuning, dtype=np.float64), np.asarray(positions, dtype=np.float64)
    steps = np.diff(where)
    if where.shape != fields.shape[1:] or steps.size < 2 or not np.allclose(steps, steps[0]):
        raise ConfigError.expected(
            "score_replay", "positions", f"{fields.shape[1]} equally spaced positions",
            where.shape, "give those of the tuning curves",
        )  # fmt: skip
    if event.length < 3 * bin_width * (1 - 1e-9):
        return None
    search = search or Search()
    placed = np.flatnonzero(fields.any(axis=1))
    counts, active = spike_counts(spikes, event, bin_width)
    has_field = np.isin(active, placed)
    counts, active = counts[:, has_field], active[has_field]
    if not active.size:
        return None
    total = fields.sum(axis=0)
    rows = np.searchsorted(placed, active)
    best = posterior(counts, fields[active], total, bin_width)
    lines = _Lines(len(counts), where, bin_width, search)
    speed, middle, score = lines.fit(best)
    as_good = 0
    for _ in range(n_shuffles):
        exchanged = placed[rng.permutation(placed.size)[rows]]
        chance = posterior(counts, fields[exchanged], total, bin_width)
        as_good += lines.fit(chance)[2] >= score
    p = (1 + as_good) / (1 + n_shuffles)
    return Trajectory(event, speed, middle, score, p, best)


def as_replay(found: Trajectory, n_items: int, significant: float = 0.05) -> Replay:
    """Return a trajectory as the fast CA3 hands over what a ripple brings back.

    Parameters
    ----------
    found : Trajectory
    n_items : int
        Into how many places the track is divided; an item is a place, 0 where the animal starts.
    significant : float
        A replay is valid if fewer shuffles fit as well.

    Returns
    -------
    Replay
        `items` are the decoded places in their order, each once in a row; `confidence` is the
        score; `trace` is the trajectory itself.
    """
    n_positions = found.decoded.shape[1]
    if not 1 <= n_items <= n_positions:
        raise ConfigError.expected(
            "as_replay", "n_items", f"1..{n_positions} places", n_items, "choose fewer"
        )
    told = np.isfinite(found.decoded[:, 0])
    places = found.decoded[told].argmax(axis=1) * n_items // n_positions
    first = np.concatenate([[True], np.diff(places) != 0])
    items = tuple(int(place) for place in places[first])
    return Replay(items, found.score, found.p < significant, found)


def median_speed(
    spikes: SpikeTrains, tuning: ArrayLike, positions: ArrayLike, event: Event
) -> float:
    """Return the slope [m/s] of the decoded positions by the medians of Theil and Sen.

    It looks at no grid, so that it checks the speeds of `score_replay` by another way.

    Parameters
    ----------
    spikes, tuning, positions, event
        As for `score_replay`.

    Returns
    -------
    float
        NaN with fewer than three bins that say something.
    """
    from scipy.stats import theilslopes

    decoded = decode(spikes, tuning, event)
    told = np.flatnonzero(np.isfinite(decoded[:, 0]))
    if told.size < 3:
        return float("nan")
    where = np.asarray(positions)[decoded[told].argmax(axis=1)]
    return float(theilslopes(where, told * 0.01)[0])


class _Lines:
    """All trajectories of a search through an event of a given length."""

    def __init__(
        self, n_bins: int, positions: FloatArray, bin_width: float, search: Search
    ) -> None:
        spacing = float(positions[1] - positions[0])
        length = float(positions[-1] - positions[0])
        one_way = np.linspace(search.slowest, search.fastest, search.n_speeds)
        speeds = np.concatenate([-one_way[::-1], one_way])
        offsets = positions[0] + length * np.linspace(-0.25, 1.25, search.n_offsets)
        self.speed, self.offset = (each.ravel() for each in np.meshgrid(speeds, offsets))
        times = (np.arange(n_bins) - (n_bins - 1) / 2) * bin_width
        line = self.offset[:, None] + self.speed[:, None] * times
        inside = (line >= positions[0] - 0.5 * spacing) & (line <= positions[-1] + 0.5 * spacing)
        covered = inside.sum(axis=1) * bin_width * np.abs(self.speed)
        kept = covered >= search.covered
        if not kept.any():  # The event is too short for any to cover so much.
            kept = covered >= 0.999 * covered.max()
        self.speed, self.offset, line = self.speed[kept], self.offset[kept], line[kept]
        index = np.rint((line - positions[0]) / spacing).astype(np.int64)
        self.wide = _edges(index, round(search.band / spacing), positions.size)
        self.narrow = _edges(index, 1, positions.size)
        self.bins = np.arange(n_bins)

    def fit(self, decoded: FloatArray) -> tuple[float, float, float]:
        """Return speed, middle and score of the best line.

        Of those within a hundredth of the best score, it is the one with most probability close by:
        a wide band holds a sharp trajectory wherever it lies in it.
        """
        sums = np.zeros((decoded.shape[0], decoded.shape[1] + 1))
        np.cumsum(np.nan_to_num(decoded), axis=1, out=sums[:, 1:])
        mass = self._mass(sums, self.wide, slice(None))
        told = max(1, int(np.isfinite(decoded[:, 0]).sum()))
        good = np.flatnonzero(mass >= mass.max() - 0.01 * told)
        best = good[self._mass(sums, self.narrow, good).argmax()]
        return float(self.speed[best]), float(self.offset[best]), float(mass.max() / told)

    def _mass(self, sums: FloatArray, edges: _Edges, which: Any) -> FloatArray:
        low, high = (each[which] for each in edges)
        return np.asarray((sums[self.bins, high] - sums[self.bins, low]).sum(axis=1))


_Edges = tuple[NDArray[np.int64], NDArray[np.int64]]


def _edges(index: NDArray[np.int64], reach: int, n_positions: int) -> _Edges:
    return np.clip(index - reach, 0, n_positions), np.clip(index + reach + 1, 0, n_positions)
