"""Detectors find what was planted, do not find what was not, and say none to silence."""

import numpy as np
import pytest

from neurosim.decoding import decode, posterior
from neurosim.errors import ConfigError
from neurosim.population_rate import population_rate
from neurosim.replay_score import Search, _Lines, as_replay, median_speed, score_replay
from neurosim.ripples import ripple_events, ripple_spectrum
from neurosim.sharp_waves import Event, sharp_waves
from neurosim.spikes import SpikeTrains

SILENCE = SpikeTrains(np.zeros(0), np.zeros(0, dtype=np.int64), 50, 2.0)
POSITIONS = np.linspace(0.0, 3.0, 51)
CENTRES = np.linspace(0.0, 3.0, 150)
TUNING = 20.0 * np.exp(-0.5 * ((POSITIONS - CENTRES[:, None]) / 0.07) ** 2)
WHOLE = Event(0.0, 0.4)


def planted(path, rng, peak=60.0, duration=0.4, dt=1e-3):
    """Draw the spikes of the place cells while a position [m] runs along `path(t)`."""
    times = np.arange(0.0, duration, dt)
    rate = peak * np.exp(-0.5 * ((path(times) - CENTRES[:, None]) / 0.07) ** 2)
    cell, step = np.nonzero(rng.random(rate.shape) < rate * dt)
    order = np.lexsort((cell, step))
    return SpikeTrains(step[order] * dt, cell[order], CENTRES.size, duration)


def pink(n, sampling, rng, exponent=1.0):
    """Return noise whose power falls as 1 / f^exponent."""
    spectrum = np.fft.rfft(rng.normal(size=n))
    f = np.fft.rfftfreq(n, 1 / sampling)
    f[0] = f[1]
    return np.fft.irfft(spectrum / f ** (exponent / 2), n)


def test_the_population_rate_counts_every_spike_once():
    rng = np.random.default_rng(0)
    spikes = SpikeTrains.poisson(np.full(30, 10.0), 2.0, rng)
    rate = population_rate(spikes, 0.01)
    assert rate.shape == (200,)
    assert rate.sum() * 0.01 * 30 == pytest.approx(len(spikes))
    on_edges = SpikeTrains.of_cell(np.arange(10) * 0.1, 1.0)
    np.testing.assert_allclose(population_rate(on_edges, 0.1), 10.0)
    with pytest.raises(ConfigError, match="population_rate.bin_width"):
        population_rate(spikes, 3.0)


def test_sharp_waves_are_found_where_they_were_planted():
    rng = np.random.default_rng(1)
    low = SpikeTrains.poisson(np.full(200, 0.3), 3.0, rng)
    burst = SpikeTrains.poisson(np.full(200, 10.0), 0.3, rng)
    times = np.concatenate([low.times, burst.times + 1.0])
    cells = np.concatenate([low.cells, burst.cells])
    order = np.lexsort((cells, times))
    spikes = SpikeTrains(times[order], cells[order], 200, 3.0)
    (event,) = sharp_waves(spikes)
    assert event.start == pytest.approx(1.0, abs=0.021)
    assert event.length == pytest.approx(0.3, abs=0.041)
    assert sharp_waves(spikes, shortest=0.5) == ()


def test_long_events_are_those_of_the_reference():
    """Ecker et al. (2022): 13 bins of 20 ms or more in a row at 2 Hz or more; no gap is bridged."""
    rng = np.random.default_rng(4)
    level = np.repeat(np.abs(rng.normal(3.0, 1.5, 60)), 120)  # [Hz], every 120 ms another.
    step, cell = np.nonzero(rng.random((level.size, 400)) < level[:, None] * 1e-3)
    spikes = SpikeTrains(step * 1e-3, cell, 400, level.size * 1e-3)
    by_bin = np.bincount(step, minlength=level.size).reshape(-1, 20).sum(axis=1) / (400 * 0.02)
    expected, run = [], []
    for k, rate in enumerate([*by_bin, 0.0]):
        if rate >= 2.0:
            run.append(k)
            continue
        if len(run) >= 13:
            expected.append((0.02 * run[0], 0.02 * (run[-1] + 1)))
        run = []
    assert 2 < len(expected) < len(sharp_waves(spikes))
    found = [(event.start, event.stop) for event in sharp_waves(spikes, shortest=0.26)]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_ripple_stands_out_from_pink_noise_at_its_frequency():
    rng = np.random.default_rng(2)
    sampling, t = 2000.0, np.arange(8000) / 2000.0
    noise = pink(8000, sampling, rng)
    events = [Event(k, k + 0.3) for k in np.arange(0.2, 3.5, 0.5)]
    inside = np.zeros(8000, dtype=bool)
    for event in events:
        inside[round(event.start * sampling) : round(event.stop * sampling)] = True
    ripple = 0.5 * noise.std() * np.sin(2 * np.pi * 183.0 * t) * inside
    found = ripple_spectrum(noise + ripple, sampling, events)
    assert found.p < 1e-6
    assert found.peak == pytest.approx(183.0, abs=2.0)
    assert found.share > ripple_spectrum(noise, sampling, events).share


def test_the_background_is_the_power_of_noise_however_few_pieces_there_are():
    rng = np.random.default_rng(5)
    events = [Event(0.1, 0.23), Event(1.1, 1.23)]
    found = [ripple_spectrum(pink(4000, 2000.0, rng), 2000.0, events) for _ in range(200)]
    assert found[0].n_segments == 2
    # Where the line is fitted best. The logarithm of two periodograms' mean lies 0.27 too low.
    here = np.abs(found[0].frequencies - 100.0) < 20.0
    power = np.log(np.mean([each.power[here] for each in found]))
    background = np.mean([np.log(each.background[here]) for each in found])
    assert background == pytest.approx(power, abs=0.1)


def test_pink_noise_alone_has_a_significant_peak_as_rarely_as_p_says():
    rng = np.random.default_rng(3)
    events = [Event(k, k + 0.13) for k in np.arange(0.1, 3.5, 0.2)]
    p = [ripple_spectrum(pink(8000, 2000.0, rng), 2000.0, events).p for _ in range(200)]
    false_alarms = np.mean(np.array(p) < 0.05)
    assert false_alarms < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 200)


def test_rare_ripples_are_found_by_their_envelope():
    rng = np.random.default_rng(4)
    sampling, t = 2000.0, np.arange(10_000) / 2000.0
    noise = pink(10_000, sampling, rng)
    signal = noise.copy()
    for start, height in ((1.0, 1.2), (2.2, 0.5), (3.2, 1.2)):
        near = (t > start) & (t < start + 0.08)
        signal[near] += height * noise.std() * np.sin(2 * np.pi * 180 * t[near])
    found = ripple_events(signal, sampling, threshold=4.0)
    assert [event.middle for event in found] == pytest.approx([1.04, 3.24], abs=0.02)
    found = ripple_events(signal, sampling, threshold=1.5)  # The low one, too.
    assert [event.middle for event in found] == pytest.approx([1.04, 2.24, 3.24], abs=0.02)


def test_the_posterior_is_bayes_rule_for_poisson_cells():
    from scipy.stats import poisson

    rng = np.random.default_rng(5)
    rates = rng.uniform(1.0, 20.0, (4, 6))
    counts = rng.poisson(2.0, (5, 4)).astype(float)
    dt = 0.1
    likelihood = np.prod(
        poisson.pmf(counts[:, :, None], dt * rates[None]), axis=1
    )  # (n_bins, n_positions)
    expected = likelihood / likelihood.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        posterior(counts, rates, rates.sum(axis=0), dt), expected, rtol=1e-10
    )


def test_the_decoded_position_follows_the_planted_one():
    rng = np.random.default_rng(6)
    spikes = planted(lambda t: 0.3 + 6.0 * t, rng)
    decoded = decode(spikes, TUNING, WHOLE)
    assert decoded.shape == (40, 51)
    told = np.isfinite(decoded[:, 0])
    np.testing.assert_allclose(decoded[told].sum(axis=1), 1.0)
    truth = 0.3 + 6.0 * (np.arange(40) + 0.5) * 0.01
    error = np.abs(POSITIONS[np.nanargmax(decoded[told], axis=1)] - truth[told])
    assert np.median(error) <= 0.06


@pytest.mark.parametrize(("speed", "direction"), [(5.0, "forward"), (-4.0, "reverse")])
def test_a_planted_replay_is_significant_with_its_speed_and_direction(speed, direction):
    rng = np.random.default_rng(7)
    start = 0.3 if speed > 0 else 2.5
    spikes = planted(lambda t: start + speed * t, rng)
    found = score_replay(spikes, TUNING, POSITIONS, WHOLE, rng, n_shuffles=100)
    assert found.p < 0.05 and found.score > 0.7
    assert found.direction == direction
    assert found.speed == pytest.approx(speed, abs=0.5)
    assert median_speed(spikes, TUNING, POSITIONS, WHOLE) == pytest.approx(speed, abs=0.5)


def test_a_replay_is_handed_over_as_the_places_in_their_order():
    rng = np.random.default_rng(12)
    spikes = planted(lambda t: 2.7 - 6.0 * t, rng, peak=200.0)
    found = score_replay(spikes, TUNING, POSITIONS, WHOLE, rng, n_shuffles=40)
    replay = as_replay(found, 10)
    assert replay.valid and replay.confidence == found.score
    assert replay.items[0] >= 8 and replay.items[-1] <= 1
    assert np.mean(np.diff(replay.items) < 0) > 0.9
    with pytest.raises(ConfigError, match="as_replay.n_items"):
        as_replay(found, 52)


def test_spikes_without_order_are_significant_as_rarely_as_p_says():
    rng = np.random.default_rng(8)
    event, p = Event(0.0, 0.2), []
    search = Search(n_speeds=15, n_offsets=31)
    for _ in range(60):
        spikes = SpikeTrains.poisson(np.full(150, 6.0), 0.2, rng)
        found = score_replay(spikes, TUNING, POSITIONS, event, rng, 20, search=search)
        p.append(found.p)
    assert np.mean(np.array(p) < 0.05) < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 60)


def test_silence_has_no_events_no_ripples_and_no_replay():
    assert sharp_waves(SILENCE) == ()
    rate = population_rate(SILENCE)
    assert ripple_spectrum(rate, 1000.0, ()) is None
    assert ripple_spectrum(rate, 1000.0, [Event(0.1, 0.5)]) is None
    assert ripple_events(rate, 1000.0) == ()
    tuning = TUNING[:50]
    rng = np.random.default_rng(9)
    assert score_replay(SILENCE, tuning, POSITIONS, Event(0.1, 0.5), rng) is None
    assert np.isnan(decode(SILENCE, tuning, Event(0.1, 0.5))).all()
    assert np.isnan(median_speed(SILENCE, tuning, POSITIONS, Event(0.1, 0.5)))


def test_spikes_of_cells_without_a_field_are_no_replay():
    rng = np.random.default_rng(10)
    spikes = SpikeTrains.poisson(np.full(150, 5.0), 0.4, rng)
    assert score_replay(spikes, np.zeros_like(TUNING), POSITIONS, WHOLE, rng) is None


def test_what_does_not_fit_is_refused():
    spikes = planted(lambda t: 1.0 + 0 * t, np.random.default_rng(11))
    with pytest.raises(ConfigError, match="decode.tuning"):
        decode(spikes, TUNING[:10], WHOLE)
    with pytest.raises(ConfigError, match="equally spaced"):
        score_replay(spikes, TUNING, POSITIONS**2, WHOLE, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="ripple_spectrum.sampling"):
        ripple_spectrum(np.zeros(100), 500.0, ())


def test_lines_run_through_their_middle_and_cover_what_they_must():
    search, spacing = Search(), POSITIONS[1] - POSITIONS[0]
    lines = _Lines(40, POSITIONS, 0.01, search)
    assert np.abs(lines.speed).min() * 0.39 >= search.covered - 0.01 * np.abs(lines.speed).max()
    # The mean of the first and the last bin of a line that stays on the track is its offset.
    low, high = (edges[:, [0, -1]].mean(axis=1) for edges in lines.wide)
    within = (lines.wide[0] > 0).all(axis=1) & (lines.wide[1] < POSITIONS.size).all(axis=1)
    assert within.sum() > 50
    middle = POSITIONS[0] + spacing * (low + high - 1)[within] / 2
    # Both ends are rounded to a place; that would bias no mean.
    miss = (middle - lines.offset[within]) * np.sign(lines.speed[within])
    assert np.abs(miss).max() <= 0.5 * spacing + 1e-9 and abs(miss.mean()) < 0.02 * spacing


def test_an_event_too_short_for_any_line_is_searched_with_those_that_cover_most():
    search = Search()
    lines = _Lines(1, POSITIONS, 0.01, search)
    assert 0.01 * search.fastest < search.covered
    np.testing.assert_allclose(np.abs(lines.speed), search.fastest)
    assert len(lines.speed) > 10
