"""A night follows its schedule: what replays, what is dreamt and what may change in which phase."""

import dataclasses

import numpy as np
import pytest

from circuits.night import Night, NightConfig
from neurosim.contracts import Completion
from neurosim.errors import ConfigError
from neurosim.phases import NREM, REM, Phase
from neurosim.randomness import Streams

pytestmark = pytest.mark.compiled
CONFIG = NightConfig(cycles=2, steps=4, lessons_per_step=4, dreams_per_step=4)


@pytest.fixture
def asleep(filled, language_cortex):
    """Return a function that puts a filled hippocampus and a small cortex to sleep."""

    def fall_asleep(config=CONFIG):
        night = Night(filled, language_cortex, config, Streams(3))
        night.begin()
        return night

    return fall_asleep


class Rewritten(Night):
    """A night with phases of its own."""

    written: tuple[Phase, ...] = ()

    def phases(self, cycle):
        """Return the same phases for every cycle."""
        return self.written


def rewritten(night, *phases):
    other = Rewritten(night.hippocampus, night.cortex, night.config, night.streams)
    other.written = phases
    return other


def test_a_cycle_is_an_nrem_and_a_rem_phase_and_without_rem_only_the_first(asleep):
    assert [p.name for p in asleep().phases(2)] == ["nrem", "rem"]
    without = Night(None, None, dataclasses.replace(CONFIG, rem=False), Streams(0))
    assert [p.name for p in without.phases(2)] == ["nrem"]


def test_the_hippocampus_replays_under_the_acetylcholine_of_the_phase(asleep, monkeypatch):
    night, levels = asleep(), []
    replay = night.hippocampus.replay

    def listen(n, rng, acetylcholine):
        levels.append(acetylcholine)
        return replay(n, rng, acetylcholine)

    monkeypatch.setattr(night.hippocampus, "replay", listen)
    night.cycle(1)
    assert levels == [NREM.acetylcholine, REM.acetylcholine]


def test_towards_morning_there_are_fewer_bursts_and_more_dreams(asleep):
    night = asleep(dataclasses.replace(CONFIG, tilt=0.5))
    early, late = night.cycle(1), night.cycle(2)
    assert len(late.bursts) < 0.5 * len(early.bursts)
    assert late.n_dreams > 2 * early.n_dreams > 0


def test_what_is_not_plastic_in_nrem_does_not_change(asleep):
    night = asleep()
    grown = {k: v.clone() for k, v in night.cortex.save_growth().items()}
    synapses = {k: v.copy() for k, v in night.hippocampus.state.items() if "weights" in k}
    rest = dataclasses.replace(NREM, plastic=frozenset())
    report = rewritten(night, rest, REM).cycle(1)
    assert report.n_memories > 0 and report.n_steps == 0
    assert all((v == grown[k]).all() for k, v in night.cortex.save_growth().items())
    assert all(np.array_equal(night.hippocampus.state[k], v) for k, v in synapses.items())
    assert night.cycle(2).n_steps == CONFIG.steps  # With the usual phases it learns.
    assert any((v != grown[k]).any() for k, v in night.cortex.save_growth().items() if k in grown)


class Parrot:
    """A cortex that has learnt a few sequences by heart and goes on with the first that fits."""

    def __init__(self, known):
        self.known = known

    def opening(self, items):
        """Take the first half as a cue."""
        return len(items) // 2

    def recall(self, cues):
        """Go on as the first known sequence does that begins with the cue."""
        fits = ([s for s in self.known if s[: len(cue)] == tuple(cue)] for cue in cues)
        return [
            Completion(tuple(found[0][len(cue) :]) if found else (), 1.0)
            for found, cue in zip(fits, cues, strict=True)
        ]


def test_what_is_kept_is_the_shortest_opening_from_which_the_cortex_goes_on(filled):
    first, other = tuple(range(10, 20)), (10, 11, 12, *range(30, 37))
    night = Night(filled, Parrot([first, other]), CONFIG, Streams(0))
    least = filled.opening(first)
    assert 0 < least < 4
    assert night._openings([first, other]) == [least, 4]  # The fourth item tells them apart.
    ambiguous = (10, 11, 12, 13, 14, 50, 51, 52, 53, 54)  # Not known: the whole cue stays.
    assert night._openings([ambiguous]) == [5]


def test_an_old_memory_that_begins_as_a_new_one_keeps_enough_to_tell_them_apart(birth):
    memory = birth()
    old = tuple(range(10, 20))
    other = tuple(range(60, 70))
    for items in (old, other):
        memory.store(items)
    for replay in {r.items: r for r in memory.replay(40, np.random.default_rng(0))}.values():
        memory.release(replay, 3)
    night = Night(memory, Parrot([old, other]), CONFIG, Streams(0))
    replays = memory.replay(40, np.random.default_rng(1), REM.acetylcholine)
    fragments = {r.items: r for r in replays if r.valid and r.fragment}
    assert set(fragments) == {old[:3], other[:3]}
    new = (*old[:5], 90, 91, 92, 93, 94)
    before = memory.gauge()
    assert set(night._reconsolidate(fragments, [new])) == {old[:6], other[:3]}
    after = memory.gauge()
    assert after.n_fragments == before.n_fragments and after.n_items == before.n_items + 3
    replays = memory.replay(40, np.random.default_rng(2), REM.acetylcholine)
    again = {r.items: r for r in replays if r.valid and r.fragment}
    assert set(again) == {old[:6], other[:3]}
    assert set(night._reconsolidate(again, [new])) == set(again)  # Once is enough.
    assert memory.gauge() == after


@pytest.mark.parametrize("cycles", [0, -3])
def test_a_night_without_a_cycle_is_refused(cycles):
    with pytest.raises(ConfigError, match=r"NightConfig\.cycles"):
        NightConfig(cycles=cycles)


def test_the_learning_rate_rises_over_the_onset_and_falls_towards_morning():
    pace = Night(None, None, dataclasses.replace(CONFIG, onset=0.5), Streams(0)).pace
    np.testing.assert_allclose([pace(k, 60) for k in (0, 14, 29, 41)], [1 / 30, 0.5, 1, 1])
    np.testing.assert_allclose([pace(k, 60) for k in (51, 59)], [0.5, 1 / 18])
    # Ten steps at the least, and as it was where nothing is said.
    for onset in (0.0, 0.1):
        config = dataclasses.replace(CONFIG, onset=onset)
        assert Night(None, None, config, Streams(0)).pace(4, 60) == 0.5
    with pytest.raises(ConfigError, match="onset: expected a number from 0 to 1"):
        dataclasses.replace(CONFIG, onset=-0.1)
