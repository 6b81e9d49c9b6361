"""Acetylcholine and the slow oscillation act on the description, so both engines get them."""

from dataclasses import replace

import numpy as np
import pytest

from circuits.closed_loop import Stimulus, added_spikes
from circuits.sleep_rhythm import Acetylcholine, SlowOscillation, within
from circuits.spiking_activity import bernoulli_spikes
from circuits.spiking_brian2 import Brian2Engine
from circuits.spiking_ca3 import BASKET, PYRAMIDAL, SpikingCA3, SpikingCA3Config
from circuits.spiking_numba import NumbaEngine
from neurosim.errors import ConfigError
from neurosim.phases import NREM, REM
from neurosim.recorder import Recorder
from neurosim.sharp_waves import Event

SMALL = SpikingCA3Config(
    n_pyramidal=120, n_basket=12, recurrent=0.5, mossy_rate=60.0, mossy_weight=19e-9
)


def small_ca3(config=SMALL, weight=0.5e-9):
    rng = np.random.default_rng(0)
    wiring = config.recurrent_wiring(rng)
    return SpikingCA3(config, wiring, np.full(wiring.index.shape, weight), rng)


def test_acetylcholine_scales_the_recurrent_synapses_and_no_others():
    asleep = small_ca3()
    awake = small_ca3(replace(SMALL, acetylcholine=Acetylcholine(level=1.0)))
    assert Acetylcholine(NREM.acetylcholine).gain == 1.0
    assert Acetylcholine(REM.acetylcholine).gain == pytest.approx(0.5 / 0.9)
    for before, after in zip(asleep.network.pathways, awake.network.pathways, strict=True):
        recurrent = before.pre == before.post == PYRAMIDAL
        factor = 0.5 / 0.9 if recurrent else 1.0
        np.testing.assert_allclose(after.weights, factor * before.weights, rtol=1e-4)
    assert asleep.network.pathways[0].weights.max() == pytest.approx(0.5e-9)


def test_states_have_the_lengths_they_should_and_do_not_overlap():
    rhythm = SlowOscillation(up=0.5, down=0.7)
    gate = rhythm.gate(3000.0, np.random.default_rng(1))
    up = np.array([each.length for each in gate.up[1:-1]])
    down = np.array([b.start - a.stop for a, b in zip(gate.up[:-1], gate.up[1:], strict=True)])
    assert up.size > 2000
    assert rhythm.frequency == pytest.approx(1 / 1.2)
    for lengths, mean in ((up, 0.5), (down, 0.7)):
        error = 0.25 * mean / np.sqrt(lengths.size)
        assert abs(lengths.mean() - mean) < 4 * error
        assert lengths.std() / lengths.mean() == pytest.approx(0.25, rel=0.1)
    assert down.min() > 0


def test_the_slow_oscillation_is_slow():
    assert 0.5 <= SlowOscillation().frequency <= 1.0


def test_down_states_let_a_share_of_the_input_pass_and_inhibit():
    rhythm = SlowOscillation(down_input=0.2)
    ca3 = small_ca3(replace(SMALL, rhythm=rhythm))
    rng = np.random.default_rng(2)
    gate = rhythm.gate(20.0, rng)
    time_up = sum(each.length for each in gate.up)
    given = ca3.outside(ca3.network.steps(20.0), rng, gate)
    for name, up_rate, down_rate, n in (
        (PYRAMIDAL, 60.0, 12.0, 120), (BASKET, 0.0, rhythm.down_inhibition, 12),
    ):  # fmt: skip
        inside = within(given[name].times, gate.up)
        for found, wanted in (
            (inside.sum(), up_rate * n * time_up),
            ((~inside).sum(), down_rate * n * (20.0 - time_up)),
        ):
            assert abs(found - wanted) <= 4 * np.sqrt(wanted)


@pytest.mark.global_rng
def test_both_engines_sleep_with_the_same_rhythm(small):
    """The same spikes to the last one, as for the network without it."""
    rhythm = SlowOscillation(up=0.04, down=0.03)
    ca3 = small_ca3(replace(SMALL, rhythm=rhythm, acetylcholine=Acetylcholine(0.5)))
    duration = 0.01 if small else 0.15
    nights = [
        ca3.sleep(duration, np.random.default_rng(3), engine)
        for engine in (NumbaEngine(ca3.network), Brian2Engine(ca3.network, "numpy"))
    ]
    assert nights[0].up_states == nights[1].up_states != ()
    for name in (PYRAMIDAL, BASKET):
        ours, theirs = (night.spikes[name] for night in nights)
        if not small:
            assert len(theirs) > 20
        np.testing.assert_array_equal(ours.times, theirs.times)
        np.testing.assert_array_equal(ours.cells, theirs.cells)


@pytest.mark.compiled
def test_the_network_is_quieter_in_down_states_and_they_are_recorded():
    ca3 = small_ca3(replace(SMALL, rhythm=SlowOscillation()))
    recorder = Recorder()
    night = ca3.sleep(10.0, np.random.default_rng(4), recorder=recorder)
    times = night.spikes[PYRAMIDAL].times
    inside = within(times, night.up_states)
    time_up = sum(each.length for each in night.up_states)
    up, down = inside.sum() / time_up, (~inside).sum() / (10.0 - time_up)
    assert inside.sum() > 200
    assert up > 5 * down
    kept = recorder.recording()["up_states"].values
    np.testing.assert_array_equal(kept, [(e.start, e.stop) for e in night.up_states])


def test_without_a_rhythm_there_are_no_states():
    night = small_ca3().sleep(0.005, np.random.default_rng(5))
    assert night.up_states == ()


# The closed loop


def test_added_spikes_are_at_most_one_a_step_and_only_where_they_should_be():
    rng = np.random.default_rng(6)
    there = bernoulli_spikes(50, 100.0, 1000, 1e-4, rng)
    drawn = bernoulli_spikes(3, 500.0, 1000, 1e-4, rng)
    reached = np.array([4, 7, 40])
    both = added_spikes(there, drawn, reached, 50, 1e-4)
    assert len(there) < len(both) <= len(there) + len(drawn)
    others = ~np.isin(both.cells, reached)
    assert others.sum() == (~np.isin(there.cells, reached)).sum() > 0
    only = added_spikes(None, drawn, reached, 50, 1e-4)
    np.testing.assert_array_equal(np.unique(only.cells), reached)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Acetylcholine(1.2), "Acetylcholine.level"),
        (lambda: Acetylcholine(1.0, 1.0), "less than 1"),
        (lambda: SlowOscillation(up=700.0), "SlowOscillation.up: expected a value within"),
        (lambda: SlowOscillation(down_input=2.0), "down_input from 0 to 1"),
        (lambda: Stimulus(target="granule"), "one of basket, pyramidal"),
        (lambda: Stimulus(moment="never"), "one of detection, quiet"),
        (lambda: Stimulus(rate=0.0), "leave the stimulus out"),
    ],
)
def test_bad_settings_are_refused(made, words):
    with pytest.raises(ConfigError, match=words):
        made()


def test_spikes_within_events():
    events = (Event(0.1, 0.2), Event(0.5, 0.6))
    np.testing.assert_array_equal(
        within([0.05, 0.1, 0.15, 0.3, 0.55, 0.7], events), [0, 1, 1, 0, 1, 0]
    )
    assert not within([0.1], ()).any()
