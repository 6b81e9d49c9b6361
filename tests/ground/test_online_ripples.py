"""Ripples are detected online from the past alone, soon, and not in noise."""

import numpy as np
import pytest
from scipy import signal as filters

from neurosim.errors import ConfigError
from neurosim.online_ripples import DetectorConfig, OnlineDetector

SAMPLING = 2000.0


def noisy(seconds, onsets=(), rng=None):
    """Return white noise with bursts of 200 Hz, 0.1 s long, of four times its deviation."""
    rng = rng or np.random.default_rng(1)
    times = np.arange(round(seconds * SAMPLING)) / SAMPLING
    values = rng.normal(size=times.size)
    for onset in onsets:
        inside = (times >= onset) & (times < onset + 0.1)
        values[inside] += 4 * np.sin(2 * np.pi * 200 * times[inside])
    return values


@pytest.fixture
def detector():
    made = OnlineDetector(DetectorConfig(threshold=8.0), SAMPLING)
    made.calibrate(noisy(20.0, rng=np.random.default_rng(2)))
    return made


def test_each_burst_is_detected_once_and_within_twenty_milliseconds(detector):
    onsets = 0.5 + np.arange(20)
    found = np.array(detector.feed(noisy(21.0, onsets))) / SAMPLING
    late = found - onsets[np.searchsorted(onsets, found) - 1]
    assert found.size == onsets.size
    assert (late > 0).all() and (late < 0.02).all()


def test_noise_alone_is_quiet(detector):
    assert len(detector.feed(noisy(60.0))) <= 1


def test_pieces_give_what_the_whole_gives(detector):
    values = noisy(5.0, (1.0, 2.0, 3.5))
    whole = detector.feed(values)
    detector.reset()
    pieces, first = [], 0
    for length in [1, 9, 20, 100, 3000, 7000]:
        pieces += [first + k for k in detector.feed(values[first : first + length])]
        first += length
    assert len(whole) >= 3
    assert pieces == whole


def test_the_future_does_not_matter(detector):
    values = noisy(3.0, (1.0, 2.0))
    early = detector.feed(values[:4000])
    detector.reset()
    changed = values.copy()
    changed[4000:] = 50.0
    assert [k for k in detector.feed(changed) if k < 4000] == early != []


def test_the_envelope_is_the_rectified_band_smoothed(detector):
    """By SciPy's filters on the whole signal."""
    values, c = noisy(2.0, (1.0,)), DetectorConfig()
    sections = filters.butter(c.order, (c.low, c.high), "bandpass", fs=SAMPLING, output="sos")
    inside = np.abs(filters.sosfilt(sections, values))
    keep, level = np.exp(-1 / (c.smoothing * SAMPLING)), 0.0
    for value in inside:
        level = keep * level + (1 - keep) * value
    detector.feed(values)
    expected = (level - detector._mean) / detector._deviation
    assert detector.envelope == pytest.approx(expected, rel=1e-9)


def test_the_dead_time_is_kept():
    detector = OnlineDetector(DetectorConfig(dead_time=0.5), SAMPLING)
    detector.calibrate(noisy(5.0, rng=np.random.default_rng(2)))
    found = np.array(detector.feed(noisy(6.0, 0.2 * np.arange(30))))
    assert found.size > 5
    assert np.diff(found).min() >= 0.5 * SAMPLING


def test_bad_settings_are_refused():
    with pytest.raises(ConfigError, match="swap them"):
        DetectorConfig(low=250.0, high=150.0)
    with pytest.raises(ConfigError, match="DetectorConfig.smoothing"):
        DetectorConfig(smoothing=0.0)
    with pytest.raises(ConfigError, match="more than 500 Hz"):
        OnlineDetector(DetectorConfig(), 400.0)
    with pytest.raises(ConfigError, match="OnlineDetector.quiet"):
        OnlineDetector(DetectorConfig(), SAMPLING).calibrate(np.zeros(4000))
    with pytest.raises(ConfigError, match="got 0; record longer"):
        OnlineDetector(DetectorConfig(), SAMPLING).calibrate(np.zeros(0))
