"""A small spiking CA3 ripples and replays what it has learnt, and only then."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments import ripples_and_replay as experiment
from experiments.ripples_and_replay import (
    ASYMMETRIC,
    LONG,
    NO_ADAPTATION,
    SHUFFLED,
    SYMMETRIC,
    Config,
)
from neurosim.errors import ConfigError
from neurosim.recorder import Recorder

SMALL = Config(
    n_pyramidal=1000, sleep_seconds=4.0, arms=(SYMMETRIC, SHUFFLED), seeds=(0,), shuffles=40,
    workers=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def night():
    recorder = Recorder()
    return experiment.run(SMALL, recorder=recorder), recorder


@pytest.mark.compiled
def test_a_thousand_cells_ripple_and_replay(night):
    values = night[0].metrics()
    assert values["ripple_p_symmetric_stdp"] < 1e-3
    # A small network ripples faster than the reference's 184-188 Hz.
    assert 150 < values["ripple_peak_symmetric_stdp"] < 250
    assert values["long_event_rate_symmetric_stdp"] > 0.5
    assert values["replay_share_symmetric_stdp"] > 0.6
    assert 5 < values["compression_symmetric_stdp"] < 20


@pytest.mark.compiled
def test_shuffled_weights_do_neither(night):
    values = night[0].metrics()
    assert values["event_rate_shuffled_weights"] == 0
    assert values["replays_shuffled_weights"] == 0
    assert math.isnan(values["ripple_peak_shuffled_weights"])
    assert values["pyramidal_rate_shuffled_weights"] > 0  # It is quiet, not dead.


@pytest.mark.compiled
def test_the_night_is_recorded_and_drawn(night):
    result, recorder = night
    table = recorder.recording()["symmetric_STDP/events"].values
    assert np.isfinite(table[..., 0]).sum() == len(result.events(SYMMETRIC))
    axes = Figure().add_subplot()
    experiment.plot(result, axes)
    found = result.measured[SYMMETRIC]["events"][0]
    drawn = (found[:, 1] >= LONG - 1e-9) & (found[:, 4] < 0.05)
    drawn &= found[:, 0] + found[:, 1] < 4.0
    lines = [line for line in axes.lines if len(line.get_xdata())]
    assert len(lines) == drawn.sum() > 0


@pytest.mark.slow
@pytest.mark.compiled
def test_asymmetric_stdp_never_replays_in_reverse_and_without_adaptation_nothing_moves():
    config = Config(
        n_pyramidal=1000, arms=(SYMMETRIC, ASYMMETRIC, NO_ADAPTATION), seeds=(0,), workers=1
    )
    values = experiment.run(config).metrics()
    assert 0 < values["reverse_share_symmetric_stdp"] < 1
    assert values["replays_asymmetric_stdp"] > 0
    assert values["reverse_share_asymmetric_stdp"] == 0
    assert values["longest_event_no_adaptation"] > 1.0
    assert values["replays_no_adaptation"] == 0


def test_an_unknown_arm_and_an_empty_night_are_refused():
    with pytest.raises(ConfigError, match="did you mean shuffled weights"):
        Config(arms=("shuffled",))
    with pytest.raises(ConfigError, match="Config.sleep_seconds"):
        Config(sleep_seconds=0.0)
