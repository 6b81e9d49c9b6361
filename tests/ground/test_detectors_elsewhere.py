"""Our detectors give what Elephant and pynapple give, where these offer the same."""

import numpy as np
import pytest

from neurosim.decoding import decode
from neurosim.population_rate import population_rate
from neurosim.ripples import ripple_envelope
from neurosim.sharp_waves import Event, sharp_waves
from neurosim.spikes import SpikeTrains

EXTRA = "the extra nwb is not installed: pip install -e .[nwb]"
DURATION = 2.0


def trains(n_units=30, seed=0):
    """Return Poisson spikes with a burst of all cells between 0.8 and 1.1 s."""
    rng = np.random.default_rng(seed)
    usual = SpikeTrains.poisson(np.full(n_units, 1.0), DURATION, rng)
    burst = SpikeTrains.poisson(np.full(n_units, 40.0), 0.3, rng)
    times = np.concatenate([usual.times, burst.times + 0.8])
    cells = np.concatenate([usual.cells, burst.cells])
    order = np.argsort(times)
    return SpikeTrains(times[order], cells[order], n_units, DURATION)


def per_cell(spikes):
    return [spikes.times[spikes.cells == cell] for cell in range(spikes.n_units)]


def test_the_population_rate_is_that_of_elephants_binned_trains():
    conversion = pytest.importorskip("elephant.conversion", reason=EXTRA)
    neo, quantities = pytest.importorskip("neo"), pytest.importorskip("quantities")
    spikes = trains()
    given = [neo.SpikeTrain(each * quantities.s, t_stop=DURATION) for each in per_cell(spikes)]
    binned = conversion.BinnedSpikeTrain(given, bin_size=0.02 * quantities.s)
    theirs = binned.to_array().sum(axis=0) / (spikes.n_units * 0.02)
    assert theirs.max() > 20
    np.testing.assert_allclose(population_rate(spikes, 0.02), theirs, rtol=1e-12)


@pytest.mark.slow  # pynapple compiles what this calls.
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_sharp_waves_are_where_pynapples_thresholded_rate_is():
    nap = pytest.importorskip("pynapple", reason=EXTRA)
    spikes = trains()
    whole = nap.IntervalSet(0, DURATION)
    group = nap.TsGroup(
        {k: nap.Ts(each) for k, each in enumerate(per_cell(spikes))}, time_support=whole
    )
    counts = group.count(0.02, whole)
    rate = nap.Tsd(counts.index, counts.values.sum(axis=1) / (30 * 0.02), time_support=whole)
    above = rate.threshold(5.0, "aboveequal").time_support
    theirs = [(a, b) for a, b in zip(above["start"], above["end"], strict=True) if b - a >= 0.05]
    ours = sharp_waves(spikes, threshold=5.0)
    assert len(ours) == len(theirs) >= 1
    for event, (start, stop) in zip(ours, theirs, strict=True):
        # Theirs crosses halfway between the middles of bins, which is where ours has its edge.
        assert event.start == pytest.approx(start, abs=0.0101)
        assert event.stop == pytest.approx(stop, abs=0.0101)


def test_the_ripple_envelope_is_that_of_elephants_butterworth_and_hilbert():
    processing = pytest.importorskip("elephant.signal_processing", reason=EXTRA)
    neo, quantities = pytest.importorskip("neo"), pytest.importorskip("quantities")
    rng, times = np.random.default_rng(1), np.arange(0, 1.0, 5e-4)
    values = rng.normal(size=times.size) + 3 * np.sin(2 * np.pi * 190 * times) * (times > 0.5)
    signal = neo.AnalogSignal(values, units="mV", sampling_rate=2000 * quantities.Hz)
    band = {"highpass_frequency": 150 * quantities.Hz, "lowpass_frequency": 220 * quantities.Hz}
    inside = processing.butter(signal, **band, order=3, filter_function="sosfiltfilt")
    theirs = np.abs(processing.hilbert(inside).magnitude[:, 0])
    ours = ripple_envelope(values, 2000.0)
    middle = slice(200, -200)  # Both extend the signal at its ends, in their own ways.
    assert theirs[middle].max() > 2
    np.testing.assert_allclose(ours[middle], theirs[middle], rtol=1e-3, atol=1e-3)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_decoded_positions_are_those_of_pynapple():
    nap = pytest.importorskip("pynapple", reason=EXTRA)
    xarray = pytest.importorskip("xarray")
    rng = np.random.default_rng(2)
    positions = np.linspace(0, 3, 31)
    tuning = 0.5 + 30 * np.exp(-0.5 * ((positions - np.linspace(0, 3, 20)[:, None]) / 0.2) ** 2)
    place = np.repeat(np.arange(0, 30, 3), 20)  # Of each bin of 10 ms.
    times, cells = [], []
    for k, where in enumerate(place):
        counts = rng.poisson(tuning[:, where] * 0.01 * 8)
        times.append(0.01 * k + 0.01 * rng.random(counts.sum()))
        cells.append(np.repeat(np.arange(20), counts))
    times, cells = np.concatenate(times), np.concatenate(cells)
    order = np.argsort(times)
    spikes = SpikeTrains(times[order], cells[order], 20, DURATION)
    ours = decode(spikes, tuning, Event(0.0, DURATION), 0.01)
    whole = nap.IntervalSet(0, DURATION)
    group = nap.TsGroup(
        {k: nap.Ts(each) for k, each in enumerate(per_cell(spikes))}, time_support=whole
    )
    curves = xarray.DataArray(
        tuning, dims=("unit", "position"), coords={"unit": np.arange(20), "position": positions}
    )
    _, p = nap.decode_bayes(curves, group, whole, 0.01, uniform_prior=True)
    theirs = np.asarray(p.values)
    told = np.isfinite(ours[:, 0])
    assert told.sum() > 150
    np.testing.assert_allclose(ours[told], theirs[told], atol=1e-6)
