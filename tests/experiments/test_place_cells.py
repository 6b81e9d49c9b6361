"""Place cells fire where and when the formula says, and STDP makes of it what it must."""

import math

import numpy as np
import pytest

from circuits.place_cells import PlaceCells, TrackConfig
from experiments.ripples_and_replay import Config, learn
from neurosim.connectivity import Stored
from neurosim.errors import ConfigError


@pytest.fixture(scope="module")
def run():
    config = TrackConfig()
    cells = PlaceCells(config, 400, np.random.default_rng(0))
    return cells, cells.spikes(200.0, np.random.default_rng(1))


def test_half_the_cells_have_a_field_and_fields_cover_the_track(run):
    cells, _ = run
    assert cells.cells.size == 200
    assert np.all(np.diff(cells.centres) >= 0)
    assert 0 <= cells.centres[0] < 0.1 and 2.9 < cells.centres[-1] <= 3.0


def test_rates_are_those_of_the_formula_in_spite_of_the_refractory_period(run):
    """Mean over a lap: rate * s sqrt(2 pi) / length / pi (the mean of a rectified cosine)."""
    cells, spikes = run
    c = cells.config
    inner = (cells.centres > 0.3) & (cells.centres < 2.7)
    mean = c.in_field_rate * c.field_width * math.sqrt(2 * math.pi) / c.length / math.pi
    counts = np.bincount(spikes.cells, minlength=400)[cells.cells[inner]]
    laps = spikes.duration * c.speed / c.length
    # Whole laps and the rest of one: cells behind the animal have one passage more.
    expected = mean * c.length / c.speed * np.ceil(laps - cells.centres[inner] / c.length).sum()
    assert abs(counts.sum() - expected) < 4 * math.sqrt(expected)
    others = np.setdiff1d(np.arange(400), cells.cells)
    silent = np.isin(spikes.cells, others).sum()
    assert abs(silent - 0.1 * 200 * spikes.duration) < 4 * math.sqrt(0.1 * 200 * spikes.duration)


def test_no_cell_fires_twice_within_its_refractory_period(run):
    cells, spikes = run
    order = np.lexsort((spikes.times, spikes.cells))
    times, who = spikes.times[order], spikes.cells[order]
    gaps = np.diff(times)[np.diff(who) == 0]
    assert gaps.size > 1000
    assert gaps.min() >= cells.config.refractory * (1 - 1e-6)


def test_spikes_fall_into_the_field_and_precess_by_half_a_cycle(run):
    cells, spikes = run
    c = cells.config
    place = np.full(400, np.nan)
    place[cells.cells] = cells.centres
    away = cells.position(spikes.times) - place[spikes.cells]
    away, times = away[np.isfinite(away)], spikes.times[np.isfinite(away)]
    assert np.std(away[np.abs(away) < 0.5]) == pytest.approx(c.field_width, rel=0.05)
    phase = 2 * np.pi * c.theta * times

    def mean_phase(inside):
        return np.angle(np.exp(1j * phase[inside]).mean())

    early = mean_phase((away > -0.12) & (away < -0.08))
    late = mean_phase((away > 0.08) & (away < 0.12))
    # 0.2 m of 0.3 m: two thirds of half a cycle earlier.
    assert (early - late) % (2 * np.pi) == pytest.approx(2 / 3 * np.pi, abs=0.15)


@pytest.mark.compiled
def test_learnt_weights_are_those_expected_of_the_distance_of_two_fields():
    config = Config(track_seconds=185.0)  # Twenty laps.
    rng = np.random.default_rng(3)
    cells = PlaceCells(TrackConfig(end_share=0.0, place_share=1.0), 300, rng)
    wiring = Stored(300, 300, 150, rng)
    weights = learn(config, wiring, cells.spikes(config.track_seconds, rng)) / config.scale
    place = cells.centres
    apart = np.abs(place[wiring.index] - place[:, None])
    inner = (place > 0.5) & (place < 2.5)
    inside = inner[:, None] & inner[wiring.index] & (wiring.index != np.arange(300)[:, None])
    step = config.amplitude * config.largest_weight
    for low, high in ((0.0, 0.03), (0.1, 0.13), (0.2, 0.23), (0.8, 1.2)):
        chosen = inside & (apart >= low) & (apart < high)
        expected = 20 * step * cells.expected_pairs(np.linspace(low, high, 7), config.tau).mean()
        grown = weights[chosen] - config.initial_weight
        # Pairs share cells: their mean has the error of some 100 independent cells.
        error = 4 * grown.std() / math.sqrt(100) + 1e-13
        assert abs(grown.mean() - expected) < error, (low, grown.mean(), expected)
    near, far = inside & (apart < 0.03), inside & (apart > 0.8)
    assert weights[near].mean() > 5 * weights[far].mean()


def test_bad_tracks_are_refused():
    with pytest.raises(ConfigError, match="TrackConfig.speed"):
        TrackConfig(speed=0.0)
    with pytest.raises(ConfigError, match="TrackConfig.place_share"):
        TrackConfig(place_share=0.0)
    with pytest.raises(ConfigError, match="TrackConfig.refractory"):
        TrackConfig(refractory=0.05)
