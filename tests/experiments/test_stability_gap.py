"""What old classes lose inside a night is seen step by step, and looking changes nothing."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from experiments import nights_over_images, stability_gap
from experiments.stability_gap import Config, falls
from neurosim.errors import ConfigError

SMALL = Config(share=0.3, steps=40, every=15, arms=("night", "NREM only"), seeds=(0,), workers=1)


def test_a_fall_is_a_share_of_what_was_known_at_dusk():
    nan = np.nan
    night = np.array([[0.8, 0.5, nan, 0.0], [0.6, 0.5, nan, 0.2], [0.9, 0.4, nan, 0.1]])
    found = falls(night[None])
    expected = [[[0.25, 0.0, nan, nan], [-0.125, 0.2, nan, nan]]]
    np.testing.assert_allclose(found, expected)


def test_it_is_looked_early_and_then_now_and_again_and_at_the_end():
    assert SMALL.looks("night") == [1, 2, 3, 5, 10, 15, 30, 40]
    assert replace(SMALL, steps=300, every=100).looks("5 cycles")[-3:] == [100, 200, 300]
    assert replace(SMALL, steps=20, every=40).looks("night") == [1, 2, 3, 5, 10, 20]


@pytest.mark.compiled
def test_who_is_looked_at_sleeps_the_same_and_who_has_no_replay_of_the_old_loses_it_at_once():
    result = stability_gap.run(SMALL)
    accuracy = result.measured["night"]["accuracy"]
    assert accuracy.shape == (1, 4, 9, 10)
    # Two classes are old in the second night, eight in the last; all looks at them were taken.
    assert np.isfinite(accuracy[0]).sum(axis=2).tolist() == [[2 * k] * 9 for k in (1, 2, 3, 4)]
    alone = nights_over_images.run_arm(SMALL.brain(), "night", 0)
    assert result.measured["night"]["acc"][0] == alone["acc"]
    lost = result.metrics()
    assert lost["fall_at_dawn_night"] <= lost["fall_inside_night"] < 0.6
    assert lost["fall_at_dawn_nrem_only"] > 0.9
    figure, axes = plt.subplots()
    stability_gap.plot(result, axes)
    drawn = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    worst = 100 * np.nanmax(falls(accuracy[0]), axis=(0, 2))
    np.testing.assert_allclose(drawn["night"], worst)
    plt.close(figure)


@pytest.mark.compiled
def test_a_night_that_begins_gently_shakes_old_classes_less():
    arms = ("written at once", "gentle night")
    lost = stability_gap.run(
        Config(steps=100, every=10, arms=arms, seeds=(0, 2), workers=1)
    ).metrics()
    assert lost["fall_inside_gentle_night"] < 0.8 * lost["fall_inside_written_at_once"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"every": 0}, "Config.every: expected 1 or more"),
        ({"arms": ("20 nights",)}, "Config.arms"),
        ({"steps": 5}, "Config.steps: expected 20 or more"),
        ({"share": 0.0}, "Config.share"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        Config(**settings)
