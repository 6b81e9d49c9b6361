"""A spiking hippocampus keeps the contract: it learns a track, replays, fades, and is heard."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from circuits.closed_loop import ClosedLoop, LoopConfig, Stimulus, _Stimulator, overlapping
from circuits.night import Night
from circuits.night_config import NightConfig
from circuits.place_cells import PlaceCells, TrackConfig
from circuits.sequence_cortex import SequenceCortex, SequenceCortexConfig
from circuits.sleep_rhythm import within
from circuits.spiking_activity import Explosion
from circuits.spiking_ca3 import PYRAMIDAL, SpikingCA3Config
from circuits.spiking_hippocampus import SpikingHippocampus
from circuits.spiking_hippocampus_config import SpikingHippocampusConfig
from circuits.track_maps import TrackMaps, Walk
from neurosim.contracts import Hippocampus, Replay
from neurosim.errors import ConfigError, InputError
from neurosim.online_ripples import DetectorConfig
from neurosim.phases import NREM, REM
from neurosim.randomness import Streams
from neurosim.sharp_waves import Event, sharp_waves
from rules.symmetric_stdp import SymmetricSTDP

CONFIG = SpikingHippocampusConfig()
TRACK = tuple(range(CONFIG.n_places))
RULE = SymmetricSTDP(0.004 * CONFIG.largest_weight, 0.0625)


@pytest.fixture(scope="module")
def learnt():
    """Return the state after a day on the track; learning it is what costs."""
    hippocampus = SpikingHippocampus(CONFIG, RULE)
    hippocampus.store(TRACK)
    return hippocampus.state


@pytest.fixture
def awoken(learnt):
    """Return a function that gives hippocampi that know the track."""

    def wake(**changes):
        hippocampus = SpikingHippocampus(replace(CONFIG, **changes), RULE)
        hippocampus.restore(learnt)
        return hippocampus

    return wake


@pytest.fixture(scope="module")
def loops(learnt):
    """Return nights of one seed in three loops: nothing is done, disrupted, delayed."""
    found = {}
    for name, stimulus in {
        "control": None, "disrupted": Stimulus(), "delayed": Stimulus(moment="quiet"),
        "prolonged": Stimulus(target=PYRAMIDAL, rate=60.0),
    }.items():  # fmt: skip
        hippocampus = SpikingHippocampus(CONFIG, RULE)
        hippocampus.restore(learnt)
        loop = ClosedLoop(LoopConfig(stimulus=stimulus, calibration=4.0))
        found[name] = loop.sleep(hippocampus.asleep(), 10.0, np.random.default_rng(7)), loop
    return found


@pytest.mark.compiled
def test_what_is_replayed_in_nrem_are_stretches_of_the_track_in_both_directions(awoken):
    hippocampus = awoken()
    assert isinstance(hippocampus, Hippocampus)
    replays = hippocampus.replay(12, np.random.default_rng(0), NREM.acetylcholine)
    valid = [each for each in replays if each.valid]
    assert len(valid) > 10
    steps = np.concatenate([np.diff(each.items) for each in valid])
    assert np.mean(np.abs(steps) == 1) > 0.8
    directions = {np.sign(each.trace.trajectory.speed) for each in valid}
    assert directions == {-1.0, 1.0}
    slept = hippocampus.nights[-1]
    assert slept.seconds == 12 * CONFIG.burst
    assert len(slept.events) >= len(replays)


@pytest.mark.compiled
def test_rem_has_no_ripples(awoken):
    hippocampus = awoken()
    assert hippocampus.replay(4, np.random.default_rng(0), REM.acetylcholine) == []
    assert hippocampus.nights[-1].events == ()
    assert hippocampus.replay(0, np.random.default_rng(0)) == []


@pytest.mark.compiled
def test_a_cue_is_gone_on_from(awoken):
    """By places beside one another: which way the wave runs is up to the network."""
    hippocampus = awoken()
    found = [hippocampus.recall((k, k + 1)).items for k in range(2, 9)]
    told = [items for items in found if items]
    assert len(told) >= 4
    steps = np.concatenate([np.diff(items) for items in told if len(items) > 1])
    assert np.mean(np.abs(steps) == 1) > 0.7


@pytest.mark.compiled
def test_a_memory_fades_and_is_released_and_then_is_not_replayed(awoken):
    hippocampus = awoken()
    before = hippocampus.gauge()
    assert (before.n_episodes, before.n_fragments, before.room) == (1, 0, 0)
    replay = hippocampus.replay(3, np.random.default_rng(1))[0]
    depth = hippocampus.depth(replay)
    assert depth > 10  # In initial weights.
    hippocampus.fade(replay)
    assert 0.9 < hippocampus.strength(TRACK) < 1.0
    whole = replace(replay, items=TRACK)
    hippocampus.release(whole)
    assert hippocampus.strength(TRACK) == pytest.approx(0.0, abs=1e-6)
    after = hippocampus.gauge()
    assert after.n_episodes == 0 and after.room == CONFIG.n_places
    assert after.potentiated < 0.5 * before.potentiated
    assert not any(each.valid for each in hippocampus.replay(3, np.random.default_rng(1)))


@pytest.mark.compiled
def test_what_is_kept_of_a_released_memory_stays(awoken):
    hippocampus = awoken()
    replay = replace(hippocampus.replay(2, np.random.default_rng(1))[0], items=TRACK)
    opening = hippocampus._mean_weight(TRACK[:4])
    hippocampus.release(replay, kept=4)
    assert hippocampus._mean_weight(TRACK[:4]) == pytest.approx(opening)
    assert hippocampus._mean_weight(TRACK[4:]) == pytest.approx(CONFIG.initial_weight)


@pytest.mark.compiled
def test_a_night_teaches_the_cortex_the_track(awoken):
    hippocampus = awoken(burst=1.5)
    cortex = SequenceCortex(SequenceCortexConfig(n_items=CONFIG.n_places, rate=4.0))
    night = Night(hippocampus, cortex, NightConfig(cycles=1, confidence=0.7), Streams(0))
    night.begin()
    pairs = [(k, k + 1) for k in range(10)] + [(k + 1, k) for k in range(1, 11)]
    nexts = [b + (b - a) for a, b in pairs]

    def knows():
        return cortex.predict(pairs)[np.arange(len(pairs)), nexts].mean()

    before = knows()
    report = night.cycle(1)
    assert report.n_memories > 3
    assert before == pytest.approx(1 / 13)
    assert knows() > 2 * before
    with cortex.dusk():
        assert knows() == before


# The closed loop


@pytest.mark.compiled
def test_the_noise_is_the_same_in_all_loops_until_the_first_stimulation(loops):
    control, delayed = loops["control"], loops["delayed"]
    first = delayed[1].stimulations[0].start
    before = [night.spikes[PYRAMIDAL].times for night, _ in (control, delayed)]
    before = [times[times < first] for times in before]
    assert before[0].size > 10
    np.testing.assert_array_equal(*before)
    assert control[1].detections[0] == delayed[1].detections[0]
    assert control[1].stimulations == []


@pytest.mark.compiled
def test_online_detections_are_sharp_waves_and_come_early(loops):
    night, loop = loops["control"]
    events = sharp_waves(night.spikes[PYRAMIDAL])
    wide = tuple(Event(each.start - 0.05, each.stop + 0.05) for each in events)
    inside = [within([t], (each,))[0] for t in loop.detections for each in wide]
    assert len(loop.detections) > 10
    assert sum(inside) >= 0.8 * len(loop.detections)
    long = [each for each in events if each.length >= 0.1]
    first = [
        min((t - each.start for t in loop.detections if each.start - 0.05 < t < each.stop),
            default=np.nan)
        for each in long
    ]  # fmt: skip
    assert np.isfinite(first).mean() > 0.8
    assert np.nanmedian(first) < 0.06


@pytest.mark.compiled
def test_stimulation_at_detection_is_prompt_shortens_or_prolongs(loops):
    lengths = {}
    for name, (night, loop) in loops.items():
        events = sharp_waves(night.spikes[PYRAMIDAL])
        lengths[name] = np.mean([each.length for each in events])
        if name in ("disrupted", "prolonged"):
            starts = np.array([each.start for each in loop.stimulations])
            detected = np.array(loop.detections)
            late = starts - detected[np.searchsorted(detected, starts, "right") - 1]
            assert starts.size > 10
            assert (late >= 0).all() and late.max() <= LoopConfig().step + 1e-9
            assert overlapping(loop.stimulations, events) > 0.6
    assert lengths["disrupted"] < 0.7 * lengths["control"]
    assert lengths["prolonged"] > 1.15 * lengths["control"]
    assert lengths["delayed"] > 0.75 * lengths["control"]


@pytest.mark.compiled
def test_delayed_stimulation_waits_until_it_has_been_quiet(loops):
    night, loop = loops["delayed"]
    detected = np.array(loop.detections)
    starts = np.array([each.start for each in loop.stimulations])
    assert starts.size > 5
    since = starts - detected[np.searchsorted(detected, starts) - 1]
    assert since.min() >= Stimulus().earliest - LoopConfig().step
    assert overlapping(loop.stimulations, sharp_waves(night.spikes[PYRAMIDAL])) < 0.3


# Maps, and bad input


def test_a_walk_passes_its_places_in_their_order():
    places = PlaceCells(TrackConfig(), 100, np.random.default_rng(0))
    walk = Walk(places, (3, 1, 2), 10)
    times = np.arange(0.05, walk.lap, 0.1)
    place = (walk.position(times) / 0.3).astype(int)
    assert [place[0], *place[1:][np.diff(place) != 0]] == [3, 1, 2]
    np.testing.assert_allclose(walk.position(times + walk.lap), walk.position(times))
    straight = Walk(places, range(10), 10)
    np.testing.assert_allclose(straight.position(times), places.position(times), atol=1e-9)


def test_tracks_have_maps_of_their_own_and_items_say_which():
    maps = TrackMaps(TrackConfig(), 300, 2, 10, np.random.default_rng(0))
    assert maps.locate((12, 13)) == (1, (2, 3))
    here, there = maps.cells_of(range(10)), maps.cells_of(range(10, 20))
    assert here.size == there.size == 150
    assert 50 < np.intersect1d(here, there).size < 100  # By chance 75.
    assert sum(maps.cells_of([k]).size for k in range(10)) == 150
    with pytest.raises(InputError, match=r"of 0\.\.19"):
        maps.locate((3, 12))
    with pytest.raises(InputError):
        maps.locate(())


def test_bad_settings_are_refused():
    with pytest.raises(ConfigError, match="shuffles"):
        SpikingHippocampusConfig(shuffles=5)
    with pytest.raises(ConfigError, match="fading"):
        SpikingHippocampusConfig(fading=2.0)
    tiny = SpikingCA3Config(n_pyramidal=60, n_basket=6)
    other = SpikingHippocampus(replace(CONFIG, ca3=tiny), RULE)
    with pytest.raises(ConfigError, match="weights of shape"):
        other.restore({"recurrent": np.zeros((3, 3), dtype=np.float32), "n_stored": np.array(0)})
    with pytest.raises(ConfigError, match="salience"):
        other.store(TRACK, salience=0.0)
    with pytest.raises(ConfigError, match="earliest"):
        Stimulus(earliest=0.2, latest=0.1)


def small():
    """Return a hippocampus so small that two places may hold no synapse."""
    tiny = SpikingCA3Config(n_pyramidal=60, n_basket=6)
    return SpikingHippocampus(replace(CONFIG, ca3=tiny, exposure=2.0), RULE)


def test_after_a_restart_the_next_run_is_the_one_it_would_have_been():
    going, again = small(), small()
    for _ in range(2):
        going.store(TRACK)  # The same way twice is one memory and two runs.
    again.restore({name: array.copy() for name, array in going.state.items()})
    before = going.recurrent.weights.copy()
    for each in (going, again):
        each.store(TRACK)
    assert (going.recurrent.weights != before).any()
    np.testing.assert_array_equal(again.recurrent.weights, going.recurrent.weights)


@pytest.mark.parametrize("name", ["recurrent", "n_stored", "runs/0/weight"])
def test_a_state_that_lacks_an_array_is_refused_by_its_name_and_changes_nothing(name):
    whole, other = small(), small()
    whole.store(TRACK)
    before = other.recurrent.weights.copy()
    state = {key: array.copy() for key, array in whole.state.items() if key != name}
    with pytest.raises(ConfigError, match=f"an array '{name}', got .*; restore what"):
        other.restore(state)
    np.testing.assert_array_equal(other.recurrent.weights, before)
    with pytest.raises(ConfigError, match="an array 'recurrent', got 'none'"):
        other.restore({})


def test_where_no_synapse_joins_the_cells_of_a_place_nothing_lies_deep():
    hippocampus = small()
    assert not hippocampus._among(hippocampus.maps.cells_of((0,)))[1].any()
    assert hippocampus.depth(Replay((0,), 1.0, True, None)) == 1


@pytest.mark.parametrize(("moment", "expected"), [("detection", [0.01]), ("quiet", [0.11, 0.31])])
def test_a_ripple_heard_during_a_stimulation_is_not_answered_after_it(moment, expected):
    """At detection means at once or never; with "quiet" only the number counts."""
    stimulus = Stimulus(length=0.2, moment=moment, earliest=0.095, latest=0.095)
    stimulator = _Stimulator(stimulus, small().asleep(), np.random.default_rng(0))
    for k in range(60):
        heard = k in (0, 12)  # The second one within the first stimulation.
        stimulator.hear(int(heard), not heard, 0.01 * (k + 1), 0.01)
    assert [each.start for each in stimulator.given] == pytest.approx(expected)


def test_an_explosion_leaves_what_was_detected_and_done_until_then(monkeypatch):
    ca3 = small().asleep()
    engine, calls = ca3.engine(), []

    def run(*given):
        part = engine.run(*given)
        calls.append(part)
        if len(calls) == 5:
            raise Explosion("too much", part)
        return part

    monkeypatch.setattr(ca3, "engine", lambda: SimpleNamespace(run=run))
    loop = ClosedLoop(LoopConfig(DetectorConfig(threshold=1e-30), Stimulus()))
    loop._calibrated = True
    with pytest.raises(Explosion) as caught:
        loop.sleep(ca3, 1.0, np.random.default_rng(0))
    assert caught.value.activity.duration == pytest.approx(0.05)
    assert loop.detections and loop.stimulations
