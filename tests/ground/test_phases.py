"""A night alternates NREM and REM as human nights do."""

import math

import numpy as np
import pytest

from neurosim.errors import ConfigError
from neurosim.phases import NREM, REM, Phase, Schedule


def test_a_night_alternates_nrem_then_rem():
    assert [phase.name for phase in Schedule.night(4)] == ["nrem", "rem"] * 4
    assert len(Schedule.night(4)) == 8


def test_nrem_shortens_and_rem_lengthens_over_the_night():
    phases = list(Schedule.night(5))
    assert all(np.diff([phase.duration for phase in phases[::2]]) < 0)
    assert all(np.diff([phase.duration for phase in phases[1::2]]) > 0)


@pytest.mark.parametrize("cycles", [1, 2, 5])
@pytest.mark.parametrize("tilt", [0.0, 0.9])
def test_the_total_time_does_not_depend_on_the_tilt(cycles, tilt):
    night = Schedule.night(cycles, tilt=tilt)
    assert night.duration == pytest.approx(cycles * (NREM.duration + REM.duration), rel=1e-12)


def test_the_default_night_has_the_share_of_rem_of_a_human_night():
    night = Schedule.night()
    share = sum(phase.duration for phase in night if phase.name == "rem") / night.duration
    assert 0.20 <= share <= 0.25  # Carskadon & Dement (2011)


def test_the_phases_of_a_night_keep_what_may_change_in_them():
    nrem = Phase("nrem", 10.0, 0.1, frozenset({"cortex"}))
    night = Schedule.night(2, nrem=nrem, rem=Phase("rem", 5.0))
    assert all(p.plastic == {"cortex"} and p.acetylcholine == 0.1 for p in list(night)[::2])


def test_acetylcholine_is_low_in_nrem_and_high_in_rem():
    assert NREM.acetylcholine < 1 / 3 < REM.acetylcholine  # Hasselmo (1999)


@pytest.mark.parametrize("cycles", [0, -1, 1.5, True, "3"])
def test_a_night_without_a_cycle_is_refused_with_a_mend(cycles):
    with pytest.raises(ConfigError, match=r"Schedule\.cycles.*ask for at least one"):
        Schedule.night(cycles)


@pytest.mark.parametrize("duration", [0, -1, math.nan, math.inf, "1", True])
def test_a_phase_without_a_length_of_time_is_refused(duration):
    with pytest.raises(ConfigError, match=r"Phase\.duration"):
        Phase("wake", duration)


@pytest.mark.parametrize("level", [-0.1, 1.1, math.nan, None])
def test_a_level_outside_0_to_1_is_refused(level):
    with pytest.raises(ConfigError, match=r"Phase\.acetylcholine"):
        Phase("wake", 1.0, level)


def test_an_unknown_phase_and_a_bare_string_are_refused():
    with pytest.raises(ConfigError, match=r"Phase\.name"):
        Phase("dream")
    with pytest.raises(ConfigError, match=r"Phase\.plastic"):
        Phase("wake", plastic="cortex")
    with pytest.raises(ConfigError, match=r"Schedule\.phases"):
        Schedule(("wake",))
    with pytest.raises(ConfigError, match=r"Schedule\.night"):
        Schedule.night(2, nrem=REM, rem=NREM)
    with pytest.raises(ConfigError, match=r"Schedule\.tilt"):
        Schedule.night(2, tilt=1.0)
