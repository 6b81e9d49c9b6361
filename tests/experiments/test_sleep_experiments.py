"""Ripples teach the cortex unless they are cut short, and keep to the rhythm of sleep."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from circuits.night_config import NightConfig
from circuits.sleep_rhythm import SlowOscillation, within
from experiments import ripple_disruption, sleep_rhythm, spiking_figures, spiking_night
from experiments.ripple_disruption import CONTROL, DISRUPTED
from experiments.sleep_rhythm import GATED, IDLE, LEVELS, coupling, phases
from neurosim.errors import ConfigError
from neurosim.nwb import NEEDED
from neurosim.recorder import Recorder
from neurosim.sharp_waves import Event

NIGHT = ripple_disruption.Config(
    night=NightConfig(cycles=1, confidence=0.7), arms=(CONTROL, DISRUPTED), seeds=(0,), workers=1
)
RHYTHM = sleep_rhythm.Config(
    levels=(0.2, 1.0), sleep_seconds=20.0, level_seconds=3.0, arms=(IDLE, GATED, LEVELS),
    seeds=(0,), workers=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def disrupted():
    recorder = Recorder()
    return ripple_disruption.run(NIGHT, recorder=recorder), recorder


@pytest.fixture(scope="module")
def rhythm():
    recorder = Recorder()
    return sleep_rhythm.run(RHYTHM, recorder=recorder), recorder


@pytest.mark.compiled
def test_disrupted_ripples_are_short_and_teach_little(disrupted):
    values = disrupted[0].metrics()
    assert values["event_length_disrupted"] < 0.7 * values["event_length_control"]
    assert values["lesson_length_disrupted"] < values["lesson_length_control"]
    assert values["stimulations_disrupted"] > 1 and values["stimulations_control"] == 0
    assert values["within_events_disrupted"] > 0.6
    assert values["known_at_dusk_control"] == values["known_at_dusk_disrupted"] < 0.1
    assert values["known_control"] > 2 * values["known_at_dusk_control"]
    assert values["known_disrupted"] < 0.6 * values["known_control"]
    assert values["difference_disrupted_control"] == pytest.approx(
        values["known_disrupted"] - values["known_control"]
    )


@pytest.mark.compiled
def test_old_knowledge_is_kept_whatever_is_done_to_ripples(disrupted):
    values = disrupted[0].metrics()
    assert values["known_before_control"] > 0.5
    for arm in ("control", "disrupted"):
        assert values[f"kept_{arm}"] > 0.8 * values[f"known_before_{arm}"]


@pytest.mark.compiled
def test_the_arms_are_recorded_and_drawn(disrupted):
    result, recorder = disrupted
    known = recorder.recording()["control/known"].values
    assert known.shape == (1, 3)  # Dusk, one cycle, dawn.
    axes = Figure().add_subplot()
    ripple_disruption.plot(result, axes)
    drawn = [text.get_text().split("\n")[0] for text in axes.get_xticklabels()]
    assert drawn == [CONTROL, DISRUPTED]


@pytest.mark.compiled
def test_ripples_begin_in_up_states_where_these_act(rhythm):
    values = rhythm[0].metrics()
    assert values["in_up_gated"] > 0.9
    assert values["coupling_p_gated"] < 0.01
    assert abs(values["in_up_idle_states"] - values["time_up_idle_states"]) < 0.25
    assert values["coupling_p_idle_states"] > 0.01


@pytest.mark.compiled
def test_ripples_vanish_at_high_acetylcholine(rhythm):
    values = rhythm[0].metrics()
    assert values["event_rate_at_0.2"] > 1.0
    assert values["event_rate_at_1"] == 0.0
    assert values["pyramidal_rate_at_1"] > 0.05  # It is quiet, not dead.
    axes = Figure().add_subplot()
    sleep_rhythm.plot(*rhythm[:1], axes)
    assert len(axes.get_legend().get_texts()) == 3
    assert rhythm[1].recording()["acetylcholine/event_rate"].values.shape == (1, 2)


def test_a_seed_without_sharp_waves_is_left_out_and_counted():
    config = sleep_rhythm.Config(arms=(GATED,), seeds=(0, 1, 2))
    rows = {"in_up": np.array([0.5, np.nan, 1.0]), "locking": np.full(3, np.nan)}
    values = sleep_rhythm.Result(config, {GATED: rows}).metrics()
    assert values["in_up_gated"] == 0.75 and values["in_up_gated_seeds"] == 2
    assert values["in_up_gated_low"] < 0.75 < values["in_up_gated_high"]
    assert np.isnan(values["locking_gated"]) and values["locking_gated_seeds"] == 0
    config = sleep_rhythm.Config(arms=(LEVELS,), levels=(0.2, 1.0), seeds=(0, 1))
    rows = {"event_length": np.array([[0.2, np.nan], [0.4, np.nan]])}
    values = sleep_rhythm.Result(config, {LEVELS: rows}).metrics()
    assert values["event_length_at_0.2"] == pytest.approx(0.3)
    assert values["event_length_at_0.2_seeds"] == 2 and values["event_length_at_1_seeds"] == 0


def test_phases_rise_evenly_within_each_state():
    up = (Event(1.0, 2.0), Event(4.0, 4.5))
    np.testing.assert_allclose(
        phases(np.array([0.5, 1.0, 1.5, 3.0, 4.25, 6.0]), up),
        np.pi * np.array([0.0, 0.5, 1.5, 2.5]),
    )


def test_coupling_is_found_where_it_is_and_not_where_it_is_not():
    """By spikes put into states by hand."""
    from circuits.spiking_activity import Activity
    from neurosim.spikes import SpikeTrains

    rng = np.random.default_rng(0)
    gate = SlowOscillation().gate(100.0, rng)
    starts = np.array([each.start for each in gate.up[1:-1]])
    for onsets, coupled in ((starts + 0.1, True), (np.arange(1.0, 98.0, 1.017), False)):
        times = np.sort(np.concatenate([onsets + 1e-3 * k for k in range(100)]))
        cells = np.arange(times.size) % 10
        trains = SpikeTrains(times, cells, 10, 100.0)
        night = Activity(
            {"pyramidal": trains}, 100.0, 1e-4, np.zeros(0), 5e-4, {}, up_states=gate.up
        )
        found = coupling(night, np.random.default_rng(1))
        assert found["event_rate"] == pytest.approx(len(onsets) / 100)
        assert (found["coupling_p"] < 0.01) == coupled
        if coupled:
            assert found["in_up"] > 0.95 and found["locking"] > 0.9
        else:
            assert abs(found["in_up"] - found["time_up"]) < 0.2 and found["locking"] < 0.3
        assert within([starts[0] + 0.01], gate.up).all()


@pytest.mark.compiled
def test_a_short_night_is_recorded_with_all_that_an_export_needs():
    config = spiking_night.Config(
        n_pyramidal=300, track_seconds=2.0, recorded_seconds=1.0,
        sleep_seconds=1.0, shuffles=1,
    )  # fmt: skip
    recorder = Recorder(config=config)
    result = spiking_night.run(config, recorder=recorder)
    recording = recorder.recording()
    assert set(NEEDED) <= set(recording.signals)
    assert recording["weights"].values.shape == (60, 60)
    assert recording["track/position"].values.size == 50
    values = result.metrics()
    assert values["replays"] == 0.0  # Two seconds of a track teach nothing.
    spiking_night.plot(result, Figure().add_subplot())
    with pytest.raises(ConfigError, match="a night with a replay"):
        spiking_figures.animation(recording)


@pytest.mark.slow
@pytest.mark.compiled
def test_a_whole_night_replays_and_is_drawn():
    config = spiking_night.Config()
    recorder = Recorder(config=config)
    values = spiking_night.run(config, recorder=recorder).metrics()
    assert values["replays"] > 3 and values["replay_share"] > 0.6
    assert 0 < values["reverse_share"] < 1
    recording = recorder.recording()
    weights = recording["weights"].values
    # Neighbours are bound, far places are not.
    assert np.diag(weights).mean() > 10 * weights[:20, 40:].mean()
    assert len(spiking_figures.animation(recording)) < 1e6


def test_unknown_arms_and_a_cortex_too_small_are_refused():
    with pytest.raises(ConfigError, match="did you mean"):
        ripple_disruption.Config(arms=("disrupt",))
    with pytest.raises(ConfigError, match="cortex.n_items"):
        ripple_disruption.Config(cortex=replace(NIGHT.cortex, n_items=12))
    with pytest.raises(ConfigError, match="Config.sleep_seconds"):
        sleep_rhythm.Config(sleep_seconds=1.0)
    with pytest.raises(ConfigError, match="recorded_seconds"):
        spiking_night.Config(recorded_seconds=500.0)
