"""A night follows its schedule: what replays, what is dreamt and what may change in which phase."""

import dataclasses

import numpy as np
import pytest

from circuits.night import Night, NightConfig
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


@pytest.mark.parametrize("cycles", [0, -3])
def test_a_night_without_a_cycle_is_refused(cycles):
    with pytest.raises(ConfigError, match=r"NightConfig\.cycles"):
        NightConfig(cycles=cycles)
