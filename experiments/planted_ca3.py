"""A spiking CA3 that knows the track without having learnt it, to be measured at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.place_cells import PlaceCells, TrackConfig
from circuits.spiking_ca3 import SpikingCA3, SpikingCA3Config
from experiments.ripples_and_replay import Config as Track
from neurosim.connectivity import Stored
from neurosim.randomness import Streams

LAPS = 43.0
"""Passages of 400 s on the track: what planted weights have grown in."""

ROWS = 1024
"""Presynaptic cells whose weights are planted at a time."""


def planted(n: int, seed: int) -> SpikingCA3:
    """Return a network whose weights are those expected after 400 s on the track.

    Learning them takes longer than all measurements; the mean weight at each distance between two
    fields is known in closed form (`PlaceCells.expected_pairs`).
    """
    streams, track = Streams(seed), Track()
    shape = SpikingCA3Config.of_size(n)
    places = PlaceCells(TrackConfig(), n, streams.generator("place_cells"))
    wiring = shape.recurrent_wiring(streams.generator("recurrent"))
    grid = np.linspace(0.0, 1.5, 76)
    grown = LAPS * track.amplitude * places.expected_pairs(grid, track.tau)
    profile = np.minimum(track.initial_weight / track.largest_weight + grown, 1.0)
    centre = np.full(n, np.nan)
    centre[places.cells] = places.centres
    weights = _weights(wiring, centre, grid, profile)
    weights *= np.float32(track.largest_weight * track.scale * shape.strength)
    return SpikingCA3(shape, wiring, weights, streams.generator("baskets"))


def _weights(
    wiring: Stored, centre: NDArray[Any], grid: NDArray[Any], profile: NDArray[Any]
) -> NDArray[np.float32]:
    """Return the profile's value at the distance of every two place cells, a block at a time."""
    weights = np.full(wiring.index.shape, profile[-1], dtype=np.float32)
    for first in range(0, wiring.n_pre, ROWS):
        rows = slice(first, first + ROWS)
        apart = np.abs(centre[wiring.index[rows]] - centre[rows, None])
        both = np.isfinite(apart)
        weights[rows][both] = np.interp(apart[both], grid, profile)
    return weights
