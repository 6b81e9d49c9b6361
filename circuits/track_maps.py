"""Maps of several tracks in one population: who has a field where, walks, and decoded replays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from circuits.place_cells import PlaceCells, TrackConfig
from neurosim.contracts import Replay
from neurosim.errors import ConfigError, InputError
from neurosim.replay_score import Search, Trajectory, as_replay, score_replay
from neurosim.sharp_waves import Event
from neurosim.spikes import SpikeTrains

FloatArray = NDArray[np.float64]

POSITIONS = 51
"""At which place fields are taken, from one end of a track to the other."""


@dataclass(frozen=True, eq=False)
class Reactivation:
    """What a ripple brought back: the trace of a `Replay`.

    Parameters
    ----------
    trajectory : Trajectory
    cells : (n_active,) int64
        Who fired in it.
    track : int
        On whose map it was decoded.
    """

    trajectory: Trajectory
    cells: NDArray[np.int64]
    track: int


class Walk(PlaceCells):
    """The place cells of a track while the animal walks other than from end to end.

    Parameters
    ----------
    places : PlaceCells
        The same cells and fields.
    path : sequence of int
        Places in the order in which they are passed through, again and again; each is passed in
        the direction of the track.
    n_places : int
        Into how many the track is divided.
    """

    def __init__(self, places: PlaceCells, path: Sequence[int], n_places: int) -> None:
        self.config, self.n_units = places.config, places.n_units
        self.cells, self.centres = places.cells, places.centres
        self._path = np.asarray(path, dtype=np.int64)
        self._place = self.config.length / n_places

    def position(self, times: ArrayLike) -> FloatArray:
        """Return where the animal is [m] at these times [s]."""
        way = np.asarray(times, dtype=np.float64) * self.config.speed
        step = np.floor(way / self._place).astype(np.int64)
        return np.asarray(self._path[step % self._path.size] * self._place + way % self._place)

    @property
    def lap(self) -> float:
        """How long the path takes [s]."""
        return self._path.size * self._place / self.config.speed


class TrackMaps:
    """Place cells of several tracks; each track draws its own from the whole population.

    An item is a place: those of track k are numbered from ``k * n_places``.

    Parameters
    ----------
    config : TrackConfig
        Of each track.
    n_units, n_tracks, n_places : int
    rng : numpy.random.Generator
        Draws the fields.

    Raises
    ------
    ConfigError
        For no track, or places that are too few or too many to decode.
    """

    def __init__(
        self, config: TrackConfig, n_units: int, n_tracks: int, n_places: int,
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        if n_tracks < 1 or not 2 <= n_places <= POSITIONS:
            raise ConfigError.expected(
                self, "n_places", f"a track or more, of 2..{POSITIONS} places",
                (n_tracks, n_places), "choose others",
            )  # fmt: skip
        self.config, self.n_places = config, n_places
        self.tracks = tuple(PlaceCells(config, n_units, rng) for _ in range(n_tracks))
        self._positions = np.linspace(0.0, config.length, POSITIONS)
        self._tuning = tuple(
            config.in_field_rate * each.tuning(self._positions) for each in self.tracks
        )

    def locate(self, items: Sequence[int]) -> tuple[int, tuple[int, ...]]:
        """Return on which track a sequence lies, and its places there.

        Raises
        ------
        InputError
            For no items, unknown ones, and items of two tracks.
        """
        n_items = self.n_places * len(self.tracks)
        tracks = {item // self.n_places for item in items}
        if len(tracks) != 1 or not all(0 <= item < n_items for item in items):
            raise InputError.expected(
                self, "items", f"places of one track, of 0..{n_items - 1}", tuple(items),
                f"a track has {self.n_places} places",
            )  # fmt: skip
        return tracks.pop(), tuple(item % self.n_places for item in items)

    def walk(self, items: Sequence[int]) -> Walk:
        """Return the place cells of an animal that passes these places again and again."""
        track, path = self.locate(items)
        return Walk(self.tracks[track], path, self.n_places)

    def cells_of(self, items: Sequence[int]) -> NDArray[np.int64]:
        """Return the cells whose field has its middle in one of these places."""
        track, path = self.locate(items)
        places = self.tracks[track]
        where = places.centres * self.n_places / self.config.length
        inside = np.isin(np.minimum(where.astype(np.int64), self.n_places - 1), path)
        return places.cells[inside]

    def tuning(self, track: int) -> FloatArray:
        """Return the place fields of all cells on a track, ``(n_units, n_positions)`` [Hz]."""
        return self._tuning[track]

    def decode(
        self, spikes: SpikeTrains, event: Event, rng: np.random.Generator, n_shuffles: int,
        search: Search, significant: float = 0.05,
    ) -> Replay | None:  # fmt: skip
        """Return what an event replays, on the map where a trajectory fits best.

        Parameters
        ----------
        spikes : SpikeTrains
        event : Event
        rng : numpy.random.Generator
            Draws the shuffles.
        n_shuffles : int
        search : Search
        significant : float

        Returns
        -------
        Replay or None
            None without spikes of place cells, or for an event too short; see `score_replay`.
        """
        best: tuple[float, int, Trajectory] | None = None
        for track, tuning in enumerate(self._tuning):
            found = score_replay(
                spikes, tuning, self._positions, event, rng, n_shuffles, search=search
            )
            if found is not None and (best is None or found.score > best[0]):
                best = found.score, track, found
        if best is None:
            return None
        _, track, trajectory = best
        bare = as_replay(trajectory, self.n_places, significant)
        items = tuple(place + track * self.n_places for place in bare.items)
        edges = np.searchsorted(spikes.times, [event.start, event.stop])
        cells = np.unique(spikes.cells[edges[0] : edges[1]])
        return replace(bare, items=items, trace=Reactivation(trajectory, cells, track))
