"""Place cells on a linear track: place fields, theta phase precession, and the spikes of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import ConfigError
from neurosim.spikes import SpikeTrains

FloatArray = NDArray[np.float64]

LONGEST_BLOCK = 10.0
"""Seconds of a run that are drawn at a time, so that memory does not grow with the run."""


@dataclass(frozen=True)
class TrackConfig:
    """A linear track that an animal runs again and again in one direction, and its place cells.

    At its end the animal is put back to its beginning, as in the reference.

    Parameters
    ----------
    length : float [m]
    speed : float [m/s]
    field_length : float [m]
        Over which the phase precesses by half a cycle.
    field_width : float [m]
        Standard deviation of the place field.
    theta : float [Hz]
    in_field_rate : float [Hz]
        In the middle of the field at the best phase.
    out_field_rate : float [Hz]
        Of cells without a place field.
    place_share : float
        Share of the cells that have a field.
    end_share : float
        Share of the cells at either end of the track that are twice as likely to have a field.
    refractory : float [s]
        No cell fires again sooner. Spikes are drawn so much more often that rates are those of the
        formula all the same: without that 7 % of them would be lost, and learnt weights, which go
        with the square, would be 15 % smaller. (In the authors' code intervals and acceptance
        share their random numbers, so hardly any spike is lost there.)
    dt : float [s]
        Grid of the spike times.

    Raises
    ------
    ConfigError
        For a length, speed or step that is not positive, a share outside of 0..1, or cells that
        would be refractory half of the time.

    References
    ----------
    Ecker et al. (2022) eLife 11:e71850, equations 1-3; the digits are those of the authors' code
    (KaliLab/ca3net, ``poisson_proc.py``, ``generate_spike_train.py``), in metres instead of
    radians.
    """

    length: float = 3.0
    speed: float = 0.3243567842
    field_length: float = 0.3
    field_width: float = 0.146 * 3.0 / (2 * math.pi)
    theta: float = 7.0
    in_field_rate: float = 20.0
    out_field_rate: float = 0.1
    place_share: float = 0.5
    end_share: float = 1 / 80
    refractory: float = 5e-3
    dt: float = 1e-4

    def __post_init__(self) -> None:
        for name in ("length", "speed", "field_length", "field_width", "theta", "dt"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError.expected(self, name, "a number above 0", value, "give it in SI")
        if not 0 <= self.refractory * self.in_field_rate < 0.5:
            raise ConfigError.expected(
                self, "refractory", f"0..{0.5 / self.in_field_rate:g} s", self.refractory,
                "shorten it or lower the rate",
            )  # fmt: skip
        if not 0 < self.place_share <= 1:
            raise ConfigError.expected(
                self, "place_share", "a share above 0, at most 1", self.place_share, "try 0.5"
            )


class PlaceCells:
    """A population some of whose cells have a place field, numbered along the track.

    Parameters
    ----------
    config : TrackConfig
    n_units : int
    rng : numpy.random.Generator
        Draws who has a field, and where.

    Attributes
    ----------
    cells : (n_place,) int64
        The cells that have a field, ascending.
    centres : (n_place,) float64 [m]
        The middle of each one's field, ascending, from 0 to the track's length.
    """

    def __init__(self, config: TrackConfig, n_units: int, rng: np.random.Generator) -> None:
        self.config, self.n_units = config, n_units
        n_place = round(config.place_share * n_units)
        if n_place < 1:
            raise ConfigError.expected(
                config, "place_share", "at least one place cell", config.place_share, "raise it"
            )
        chance = np.ones(n_units)
        at_ends = round(config.end_share * n_units)
        if at_ends:
            chance[:at_ends] = chance[-at_ends:] = 2.0
        chosen = rng.choice(n_units, n_place, replace=False, p=chance / chance.sum())
        self.cells = np.sort(chosen).astype(np.int64)
        self.centres = config.length * np.sort(rng.random(n_units))[self.cells]

    def position(self, times: ArrayLike) -> FloatArray:
        """Return where the animal is [m] at these times [s]."""
        return np.asarray(times, dtype=np.float64) * self.config.speed % self.config.length

    def tuning(self, positions: ArrayLike) -> FloatArray:
        """Return the place fields of all cells without theta, from 0 to 1.

        Parameters
        ----------
        positions : (n_positions,) array-like [m]

        Returns
        -------
        (n_units, n_positions) float64
            Zero for cells without a field.
        """
        where = np.asarray(positions, dtype=np.float64)
        fields = np.zeros((self.n_units, where.size))
        away = (where - self.centres[:, None]) / self.config.field_width
        fields[self.cells] = np.exp(-0.5 * away**2)
        return fields

    def rate(self, which: NDArray[np.int64], times: FloatArray) -> FloatArray:
        """Return the rate [Hz] of place cells at these times.

        ``lambda = rate exp(-(x - c)^2 / 2 s^2) max(0, cos(2 pi theta t + pi (x - start) / L))``

        The field begins at ``start = c - L / 2``; the phase at which a cell fires falls by half a
        cycle from there to the end of the field.

        Parameters
        ----------
        which : (n,) int64
            Index into `cells`.
        times : (n,) float64 [s]
        """
        return self._rate(self.position(times) - self.centres[which], times)

    def _passing(self, centre: float, times: FloatArray, shift: float) -> FloatArray:
        """Return the rate of a cell as the animal passes position 0 at time 0."""
        return self._rate(times * self.config.speed - centre, times + shift)

    def _rate(self, away: FloatArray, times: FloatArray) -> FloatArray:
        c = self.config
        phase = 2 * math.pi * c.theta * times + math.pi * (away / c.field_length + 0.5)
        field = np.exp(-0.5 * (away / c.field_width) ** 2)
        return c.in_field_rate * field * np.maximum(np.cos(phase), 0.0)

    def expected_pairs(self, distances: ArrayLike, tau: float) -> FloatArray:
        """Return what symmetric STDP is expected to sum over the pairs of spikes of one passage.

        ``E sum exp(-|t - t'| / tau) = int int lambda_i(t) lambda_j(t') exp(-|t - t'| / tau)`` over
        the spikes of two place cells, the mean over theta phases; refractoriness aside.

        Parameters
        ----------
        distances : (n,) array-like [m]
            Between the middles of the two fields.
        tau : float [s]

        Returns
        -------
        (n,) float64
        """
        c, step = self.config, 1e-3
        apart = np.abs(np.asarray(distances, dtype=np.float64))
        reach = 5 * c.field_width / c.speed
        times = np.arange(-reach, apart.max(initial=0.0) / c.speed + reach, step)
        window = np.exp(-np.abs(np.arange(-8 * tau, 8 * tau, step)) / tau)
        total = np.zeros(apart.size)
        phases = np.arange(0.0, 1.0, 0.125) / c.theta
        for shift in phases:
            first = self._passing(0.0, times, shift)
            drive = np.convolve(first, window, "same") * step
            for k, distance in enumerate(apart):
                total[k] += drive @ self._passing(distance, times, shift) * step
        return total / phases.size

    def spikes(self, duration: float, rng: np.random.Generator) -> SpikeTrains:
        """Draw the spikes of all cells while the animal runs.

        Parameters
        ----------
        duration : float [s]
        rng : numpy.random.Generator
        """
        parts = []
        for k in range(math.ceil(duration / LONGEST_BLOCK)):
            start = k * LONGEST_BLOCK
            parts.append(self._block(start, min(LONGEST_BLOCK, duration - start), rng))
        times = np.concatenate([part[0] for part in parts])
        cells = np.concatenate([part[1] for part in parts])
        times = np.floor(times / self.config.dt) * self.config.dt
        order = np.lexsort((times, cells))
        times, cells = times[order], cells[order]
        kept = _apart(times, cells, self.config.refractory)
        times, cells = times[kept], cells[kept]
        order = np.lexsort((cells, times))
        return SpikeTrains(times[order], cells[order], self.n_units, duration)

    def _block(
        self, start: float, length: float, rng: np.random.Generator
    ) -> tuple[FloatArray, NDArray[np.int64]]:
        """Thin a homogeneous process to the rates of the place cells; add those of the others."""
        c, n_place = self.config, self.cells.size
        most = c.in_field_rate / (1 - c.in_field_rate * c.refractory)
        n = rng.poisson(most * length * n_place)
        which = rng.integers(n_place, size=n)
        times = start + length * rng.random(n)
        wanted = self.rate(which, times)
        kept = rng.random(n) * most < wanted / (1 - wanted * c.refractory)
        others = np.setdiff1d(np.arange(self.n_units), self.cells)
        m = rng.poisson(c.out_field_rate * length * others.size)
        spontaneous = start + length * rng.random(m)
        silent = rng.choice(others, m) if others.size else np.zeros(0, dtype=np.int64)
        return (
            np.concatenate([times[kept], spontaneous[: silent.size]]),
            np.concatenate([self.cells[which[kept]], silent]),
        )


def _apart(times: FloatArray, cells: NDArray[np.int64], refractory: float) -> NDArray[np.bool_]:
    """Return which spikes, in the order of cells and times, stay if each silences its cell."""
    kept = np.ones(times.size, dtype=bool)
    latest = 0
    for k in np.flatnonzero((np.diff(times) < refractory * (1 - 1e-9)) & (np.diff(cells) == 0)) + 1:
        if kept[k - 1]:
            latest = k - 1
        kept[k] = times[k] - times[latest] >= refractory * (1 - 1e-9)
    return kept
