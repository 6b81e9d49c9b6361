"""Nights of two engines are compared by tests that would see a difference, and only a real one."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments import spiking_engines as experiment
from experiments.spiking_engines import BRIAN2, MEASURES, OURS, Config, Result, difference, holm
from neurosim.errors import ConfigError

SMALL = Config(
    n_pyramidal=120, track_seconds=5.0, sleep_seconds=0.2, seeds=(0, 1), target="numpy"
)  # fmt: skip


def nights(shift, n=20):
    """Return made-up nights of which every measure of Brian2 lies higher by some deviations."""
    rng = np.random.default_rng(3)
    names = [*MEASURES, "busy", "cpu_seconds"]
    return Result(
        Config(seeds=tuple(range(n))),
        {
            OURS: {name: rng.normal(size=n) for name in names},
            BRIAN2: {name: rng.normal(shift, size=n) for name in names},
        },
    )


def test_p_values_are_corrected_as_in_holms_procedure():
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, 0.03, 0.9])), [0.09, 0.04, 0.09, 0.9])
    assert holm(np.array([0.7, 0.8])).tolist() == [1.0, 1.0]
    assert holm(np.zeros(0)).size == 0


def test_means_are_held_against_the_error_of_their_difference():
    one, other = np.array([1.0, 3.0]), np.array([4.0, 8.0])
    assert difference(one, other) == pytest.approx(-4 / np.sqrt(2 / 2 + 8 / 2))
    assert np.isnan(difference(one[:1], other))


def test_equal_engines_pass_and_another_one_does_not():
    same, other = nights(0.0).metrics(), nights(2.0).metrics()
    assert same["tests"] == other["tests"] == 2 * len(MEASURES)
    assert same["significant_tests"] == 0 and same["largest_difference"] < 4
    assert other["significant_tests"] == other["tests"] and other["largest_difference"] > 4


def test_how_much_events_explain_of_the_rate_is_the_square_of_their_correlation():
    result = nights(0.0)
    busy = result.measured[OURS]["busy"]
    result.measured[OURS]["pyramidal_rate"] = 2.0 + 3.0 * busy
    result.measured[BRIAN2]["pyramidal_rate"][:] = 2.0
    values = result.metrics()
    assert values["rate_explained_by_events_ours"] == pytest.approx(1.0)
    assert np.isnan(values["rate_explained_by_events_brian2"])  # Nothing to explain.


def test_a_night_without_a_ripple_counts_in_what_it_has():
    result = nights(0.0)
    result.measured[OURS]["speed"][:19] = np.nan
    values = result.metrics()
    assert values["tests"] == 2 * len(MEASURES) - 2 and "speed_mann_whitney_p" not in values
    assert np.isnan(values["speed_difference"]) and np.isfinite(values["largest_difference"])


@pytest.mark.compiled
@pytest.mark.global_rng
def test_finished_nights_outlive_an_interruption(tmp_path):
    pytest.importorskip("brian2")
    whole = experiment.run(SMALL)
    assert (whole.measured[OURS]["basket_rate"] >= 0).all()
    for engine in (OURS, BRIAN2):
        assert np.ptp(whole.measured[engine]["pyramidal_rate"]) >= 0
        assert whole.measured[engine]["pyramidal_rate"].max() > 0
    ticks = []

    def interrupt():
        ticks.append(None)
        if len(ticks) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiment.run(SMALL, tick=interrupt, shelf=tmp_path)
    again = experiment.run(SMALL, tick=lambda: ticks.append(None), shelf=tmp_path)
    assert len(ticks) == 4
    for name in ("pyramidal_rate", "basket_rate"):
        for engine in (OURS, BRIAN2):
            np.testing.assert_array_equal(
                again.measured[engine][name], whole.measured[engine][name]
            )
    axes = Figure().add_subplot()
    experiment.plot(again, axes)
    assert len(axes.lines) == 2
    assert not list(tmp_path.rglob("*.cost")) and not (tmp_path / "unfinished").exists()


def test_fewer_than_two_nights_are_refused():
    with pytest.raises(ConfigError, match="Config.seeds: expected two different ones or more"):
        Config(seeds=(1, 1))
    with pytest.raises(ConfigError, match="did you mean cython"):
        Config(target="cyton")
